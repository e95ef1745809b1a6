"""The pages in a real browser: a walk through backward, folding, hovering, and numbers that are the engine's."""

import pytest
from shown import as_number

from tinygrad_gpt.explore.examples import EXAMPLES, make_example
from tinygrad_gpt.explore.formula import lines
from tinygrad_gpt.explore.subject import explain_example

WALK = """() => {  // as fast as a key that is held down
    const names = [];
    for (let before = null; byId("position").value !== before;) {
        before = byId("position").value;
        names.push(document.querySelector("#about h2").textContent);
        byId("graph").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true}));
    }
    return names;
}"""
READ_ALL = """() => {
    const text = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
    return {
        position: byId("position").value, op: text("#about h2")[0],
        line: text("#code h3")[0], source: text("#source")[0],
        formula: document.querySelector(".formula").title, parts: text(".formula math").length,
        norms: text(".card .numbers").filter((line) => line.startsWith("norm")).map((line) => line.split(" ")[1]),
    };
}"""


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_walk_through_backward_shows_every_ops_formula_line_and_gradients(name, example_page, visit):
    page = visit(example_page(name))
    explanation, _ = explain_example(make_example(name))
    for n, step in enumerate(reversed(explanation.steps)):
        shown = page.evaluate(READ_ALL)
        assert shown["position"] == f"{n + 1} of {len(explanation.steps)}: {step.name}"
        assert (shown["op"], shown["formula"]) == (step.name, step.op.vjp)
        assert shown["parts"] == len(lines(step.op.vjp))
        assert shown["line"].endswith(f":{step.line}") and "def backward" in shown["source"]
        expected = [g.norm for g in [*step.output_grads, *step.input_grads] if g is not None]
        assert list(map(as_number, shown["norms"])) == pytest.approx(expected, rel=1e-3)
        page.keyboard.press("ArrowRight")
    assert page.locator('.node:not(.leaf)[data-state="todo"]').count() == 0
    page.keyboard.press("ArrowLeft")
    assert page.locator("#position").inner_text().startswith(f"{len(explanation.steps) - 1} of")
    page.keyboard.press("Home")
    assert page.locator("#position").inner_text().startswith("1 of")
    assert page.locator('.node[data-state="done"]').count() == 0


def test_hovering_over_a_cell_shows_its_value(example_page, visit):
    page = visit(example_page("crossentropy"))
    explanation, _ = explain_example(make_example("crossentropy"))
    n, step = next((n, s) for n, s in enumerate(reversed(explanation.steps)) if s.name == "Exp")
    for _ in range(n):
        page.keyboard.press("ArrowRight")
    plot = page.locator(".card .plot .nsewdrag").first
    plot.wait_for()
    box = plot.bounding_box()
    rows, columns = step.output_grads[0].shape
    page.mouse.move(box["x"] + box["width"] * 2.5 / columns, box["y"] + box["height"] * 1.5 / rows, steps=3)
    hover = page.locator(".hoverlayer").first.text_content
    page.wait_for_function("() => document.querySelector('.hoverlayer').textContent")
    assert "T 1, V 2" in hover()
    assert as_number(hover().split(":")[1]) == pytest.approx(step.output_grads[0].values[1, 2], rel=1e-3)


def test_broadcasting_is_explained_and_axes_are_named(example_page, visit):
    page = visit(example_page("layernorm"))
    explanation, _ = explain_example(make_example("layernorm"))
    n = next(n for n, step in enumerate(reversed(explanation.steps)) if step.name == "Div")
    for _ in range(n):
        page.keyboard.press("ArrowRight")
    assert page.locator(".sums").all_inner_texts()[0].startswith("Σ over C (axis 1)")
    assert page.locator(".card code").all_inner_texts() == ["(T, C)", "(T, C)", "(T, 1)"]


def test_values_can_be_shown_in_place_of_gradients(example_page, visit):
    page = visit(example_page("mlp"))
    explanation, _ = explain_example(make_example("mlp"))
    page.keyboard.press("v")
    step = explanation.steps[-1]
    assert list(map(as_number, page.evaluate(READ_ALL)["norms"])) == pytest.approx(
        [step.outputs[0].norm, step.inputs[0].norm], rel=1e-3
    )


def test_a_module_folds_and_unfolds_by_key_and_by_click(gpt_page, visit):
    page = visit(gpt_page)
    nodes = page.locator(".node:not(.leaf)").count
    page.click("#fold-all")  # a small graph opens unfolded
    before = nodes()
    block = page.locator('.node[data-id^="call"]', has_text="transformer.h.1")
    block.click()
    assert "transformer.h.1" in page.locator("#position").inner_text()
    page.keyboard.press("Enter")
    assert nodes() == before - 1 + 5  # ln_1, attn, ln_2 (which adds), mlp, +; attn and mlp are still folded
    page.keyboard.press("0")  # all of the graph in sight
    page.locator(".group text", has_text="h.1").first.click()
    assert nodes() == before
    page.click("#unfold-all")
    assert page.locator("#position").inner_text().partition(":")[0].endswith(f"of {nodes()}")
    page.click("#fold-all")
    assert nodes() == before


def test_a_gpts_whole_backward_can_be_walked_unfolded(gpt_page, visit):
    page = visit(gpt_page)
    page.click("#unfold-all")
    page.keyboard.press("Home")
    names = page.evaluate(WALK)
    assert names[0] == "Div" and names[-1] == "Embedding" and names.count("Attention") == 2


@pytest.mark.parametrize("width, height, scheme", [(1280, 800, "dark"), (390, 844, "light")], ids=["desktop", "phone"])
def test_the_page_fits_the_screen_and_follows_the_systems_theme(width, height, scheme, example_page, visit):
    page = visit(example_page("block"), width, height, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") != scheme
    assert page.locator("#next").is_visible() and page.locator("#graph").bounding_box()["width"] > 0.85 * width


def test_a_recording_says_how_to_change_its_inputs(example_page, visit):
    page = visit(example_page("attention"))
    page.click('[data-view="whatif"]')
    assert "tinygrad-gpt explore attention --serve" in page.locator("#how").inner_text()
    assert page.locator(".entries input:not(:disabled)").count() == 0
    assert page.locator(".entries input").count() == 5 * 8
