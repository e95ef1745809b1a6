"""`tinygrad-gpt explore`: what it writes, that a run's page has the run's numbers, and errors as sentences."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from tinygrad_gpt.explore import extra
from tinygrad_gpt.explore.examples import EXAMPLES
from tinygrad_gpt.explore.graph_picture import BOX, nodes_of, place
from tinygrad_gpt.explore.page import render
from tinygrad_gpt.explore.subject import DEFAULT_TEXT, example_data, explain_gpt, gpt_data, tokenize
from tinygrad_gpt.explore.training import one_step
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.tokenizer import CharTokenizer
from tinygrad_gpt.trained import Trained

MEGABYTES = 1_000_000
CLIP = 0.1  # gradients of the run are larger


def page_data(path) -> dict:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL
    )
    return json.loads(text)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, made_text, small_run):
    from tinygrad_gpt.cli import run

    folder = tmp_path_factory.mktemp("explore")
    (folder / "verse.txt").write_text(made_text, "utf-8")
    options = [f"--input={folder / 'verse.txt'}", f"--out_dir={folder / 'run'}", *small_run, f"--grad_clip={CLIP}"]
    assert run(["train", *options]) == 0
    return folder / "run"


def test_an_example_is_one_small_file(here, tmp_path):
    done = here("explore", "attention", "--open=False")
    assert done.returncode == 0 and done.stdout.startswith("explore-attention.html (")
    path = tmp_path / "explore-attention.html"
    assert path.stat().st_size < 10 * MEGABYTES
    assert [step["name"] for step in page_data(path)["steps"]].count("Softmax") == 1


def test_without_a_subject_it_is_attention_and_opens_in_the_browser(here, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert here("explore", "--html=a page.html").returncode == 0
    assert opened == [(tmp_path / "a page.html").as_uri()]
    assert page_data(tmp_path / "a page.html")["title"] == "Causal self-attention"


def test_a_runs_page_has_its_losses_attention_and_next_step(here, tmp_path, run_dir):
    done = here("explore", f"--out_dir={run_dir}", "--text=ROMEO is the love", "--open=False")
    assert done.returncode == 0, done.stderr
    data = page_data(tmp_path / "explore-gpt.html")
    assert (tmp_path / "explore-gpt.html").stat().st_size < 10 * MEGABYTES
    assert "".join([*data["attention"]["words"], data["attention"]["targets"][-1]]) == "ROMEO is the love"
    metrics = read_metrics(run_dir)
    curve = data["training"]["curves"]["val_loss"]
    assert curve == [[line["iter"], line["val_loss"]] for line in metrics if "val_loss" in line]
    step = data["training"]["step"]
    assert step["iter"] == 24 and all(p["grad"] >= 0 for p in step["parameters"])
    names = [p["name"] for p in step["parameters"]]
    assert "h.1.attn.c_attn.weight" in names and "wte.weight" in names
    assert abs(data["loss"] - np.mean(data["attention"]["losses"])) < 1e-5


def test_the_step_is_taken_in_memory_and_is_an_adam_step(run_dir):
    before = sorted((path, path.stat().st_mtime_ns) for path in run_dir.rglob("*"))
    step = one_step(run_dir)
    assert sorted((path, path.stat().st_mtime_ns) for path in run_dir.rglob("*")) == before
    assert step == one_step(run_dir)
    ratios = [p["ratio"] for p in step["parameters"] if p["ratio"] is not None]
    assert ratios and all(0 < ratio < 0.1 for ratio in ratios)
    total = np.sqrt(sum(p["grad"] ** 2 for p in step["parameters"]))
    assert total == pytest.approx(CLIP, rel=1e-3)


def test_a_run_without_its_text_is_shown_without_the_step(here, tmp_path, run_dir):
    text = run_dir.parent / "verse.txt"
    text.rename(text.with_suffix(".gone"))
    try:
        done = here("explore", f"--out_dir={run_dir}", "--text=ROMEO is", "--open=False")
    finally:
        text.with_suffix(".gone").rename(text)
    assert done.returncode == 0
    training = page_data(tmp_path / "explore-gpt.html")["training"]
    assert "verse.txt does not exist" in training["missing"] and "step" not in training


def test_pictures(here, tmp_path, run_dir):
    for arguments, names in (
        (("attention",), ["gradient_flow.png", "graph.png"]),
        (("gpt", f"--out_dir={run_dir}", "--text=ROMEO is"), ["attention.png", "gradient_flow.png", "graph.png"]),
    ):
        folder = tmp_path / f"pictures of {arguments[0]}"
        assert here("explore", *arguments, f"--png={folder}").returncode == 0
        assert sorted(path.name for path in folder.iterdir()) == names
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())


@pytest.mark.parametrize("name", EXAMPLES)
def test_arrows_of_the_picture_go_from_box_to_box_and_through_none(name):
    nodes = nodes_of(example_data(name))
    centres, edges, width, height = place(nodes)
    assert edges
    for source, node, line in edges:
        (x0, y0), (x1, y1) = centres[id(source)], centres[id(node)]
        assert line[0] == (x1 - node.width / 2, y1) and line[-1] == (x0 + source.width / 2, y0)
        assert all(a[0] > b[0] for a, b in pairwise(line))  # back, to the left
        for (right, y), (left, same) in pairwise(line[1:-1]):
            through = [n for n in nodes if y == same and left < centres[id(n)][0] < right]
            assert all(abs(centres[id(n)][1] - y) > BOX / 2 for n in through)
    for x, y in centres.values():
        assert 0 < x < width and BOX / 2 < y < height - BOX / 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("explore atention", "There is nothing called atention to explore (did you mean attention?)."),
        ("explore gpt", "There is no run in"),
        ("explore mlp --text=hello", "--text are for gpt"),
        ("explore gpt --serve", "--serve is for the examples"),
        ("explore mlp --serve --html=x.html", "--serve writes no file"),
        ("explore mlp --html=x.html --png=x", "pass one of them"),
        ("explore mlp --port=70000", "port must be from 0 to 65535, got 70000."),
        ("explore --init_from=gone", "--init_from=gone is no folder"),
    ],
)
def test_unusable_input_is_one_sentence(arguments, sentence, here):
    done = here(*arguments.split())
    assert done.returncode == 2 and sentence in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_model_of_gpt2_xls_depth_and_heads_stays_below_the_limit():
    """Arrays are cut to a corner whatever their width, so that of XL adds nothing but time."""
    tokenizer = CharTokenizer.from_text(DEFAULT_TEXT)
    config = GPTConfig(block_size=1024, vocab_size=tokenizer.vocab_size, n_layer=48, n_head=25, n_embd=50)
    data = gpt_data(Trained(GPT(config).eval(), tokenizer, "random", None), None)
    assert len(render(data).encode()) < 10 * MEGABYTES
    T = len(data["attention"]["words"])
    assert T >= 12 and data["note"].startswith(f"{T} tokens, the first of 59; loss ")


def test_an_input_goes_by_its_name_in_forward():
    names = {step["name"]: [given["name"] for given in step["inputs"]] for step in example_data("block")["steps"]}
    assert names["Attention"] == ["q", "k", "v"] and names["Linear"] == ["x", "weight", "bias"]


def test_axes_have_the_right_name_or_none(small_gpt):
    """Six are both a head's channels and the heads of q, k and v; sixteen are both the tokens and the block."""
    tokens, _ = tokenize("the fat cat sat", small_gpt.tokenizer, small_gpt.model.config)
    explanation, _ = explain_gpt(small_gpt, tokens)
    shapes = {step.name: explanation.shape(step.outputs[0].shape) for step in explanation.steps if step.module}
    assert shapes["Attention"] == "(1, nh, T, 6)" and shapes["Split"] == "(1, nh, T, 6)"
    assert explanation.axis(16) == "block_size" and explanation.axis(12) == "C"


def test_a_text_too_short_or_unknown_is_one_sentence(here, run_dir):
    done = here("explore", f"--out_dir={run_dir}", "--text=a", "--open=False")
    assert done.returncode == 2 and "explore needs at least 3" in done.stderr


@pytest.mark.parametrize(
    "package, output",
    [("plotly", "--open=False"), ("netron", "--open=False"), ("latex2mathml", "--open=False"), ("igraph", "--png=x")],
)
def test_without_the_extra_it_says_how_to_get_it(package, output, here, monkeypatch):
    find_spec, import_module = extra.importlib.util.find_spec, extra.importlib.import_module

    def no_module(name, *rest):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return import_module(name, *rest)

    monkeypatch.setattr(extra.importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    monkeypatch.setattr(extra.importlib, "import_module", no_module)
    done = here("explore", "mlp", output)
    assert done.returncode == 2 and "pip install 'tinygrad-gpt[explore]'" in done.stderr and package in done.stderr
