"""`--serve`: a changed entry goes through the real engine, and nobody but this machine's own page is answered."""

import http.client
import json
import threading

import numpy as np
import pytest
from shown import as_number

import tensor
from tinygrad_gpt.explore.examples import make_example
from tinygrad_gpt.explore.serve import HOST, Server


@pytest.fixture(scope="module")
def server():
    with Server("layernorm") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def engine_loss_and_gradient(index: tuple[int, int], value: float):
    example = make_example("layernorm")
    with tensor.no_grad():
        example.inputs["x"][index] = value
    loss = example.run()
    loss.backward()
    return loss.item(), example.inputs["x"].grad.numpy()


def test_what_if_shows_the_engines_new_numbers(server, visit):
    page = visit(server.url)
    page.click('[data-view="whatif"]')
    before = page.locator("#outcome").inner_text()
    field = page.get_by_label("x, row 1, column 2", exact=True)
    field.fill("2.5")
    field.press("Enter")
    page.wait_for_function("before => document.getElementById('outcome').textContent !== before", arg=before)
    x_before = make_example("layernorm").inputs["x"][1, 2].item()
    loss_before, gradient_before = engine_loss_and_gradient((1, 2), x_before)
    gradient_before = gradient_before[1, 2]
    loss, gradient = engine_loss_and_gradient((1, 2), 2.5)
    assert float(page.locator("#outcome").inner_text().split()[1]) == pytest.approx(loss, rel=1e-3)
    shown = [as_number(text) for text in page.locator(".entries small").all_inner_texts()]
    np.testing.assert_allclose(shown, gradient.ravel(), rtol=1e-3, atol=1e-6)
    promised = gradient_before * (2.5 - x_before)
    told = page.locator("#promised").inner_text()
    assert f"where the gradient was {gradient_before:.4g}".replace("-", "−") in told
    assert as_number(told.split("changes by ")[1].split(";")[0]) == pytest.approx(promised, rel=1e-3)
    assert as_number(told.split("it changed by ")[1].rstrip(".")) == pytest.approx(
        loss - loss_before, rel=1e-3, abs=1e-6
    )
    assert page.evaluate("document.activeElement.ariaLabel") == "x, row 1, column 2"  # the keyboard stays there
    assert page.locator("#ops b").count() > 5  # ops whose norms have changed
    page.click('[data-view="backward"]')  # the other views show the new numbers too
    page.keyboard.press("End")
    assert f"{loss:.6g}" in page.locator("#note").inner_text()
    page.click('[data-view="whatif"]')
    page.get_by_role("button", name="as at first").click()
    page.wait_for_function("before => document.getElementById('outcome').textContent === before", arg=before)


def ask(server, method: str, path: str, body: str = "", headers: dict | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=60)
    connection.request(method, path, body.encode(), headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize(
    "method, path, body, headers, status, text",
    [
        ("GET", "/elsewhere", "", {}, 404, "only the page"),
        ("GET", "/", "", {"Host": "evil.example"}, 403, "Open http://127.0.0.1"),
        ("POST", "/recompute", "{}", {"Host": "evil.example:80"}, 403, "Open http://127.0.0.1"),
        ("POST", "/elsewhere", "{}", {}, 404, "nothing here"),
        ("POST", "/recompute", "[1", {}, 400, "not JSON"),
        ("POST", "/recompute", "[1]", {}, 400, "an object of lists"),
        ("POST", "/recompute", '{"y": [1]}', {}, 400, "no input 'y'"),
        ("POST", "/recompute", '{"x": [1, 2]}', {}, 400, "24 finite numbers"),
        ("POST", "/recompute", '{"x": [NaN, 1]}', {}, 400, "24 finite numbers"),
        ("POST", "/recompute", '{"x": "text"}', {}, 400, "a list of numbers"),
    ],
)
def test_other_requests_are_refused(method, path, body, headers, status, text, server):
    found, answer = ask(server, method, path, body, headers)
    assert found == status and text in answer


def test_unchanged_inputs_give_the_same_data(server):
    status, text = ask(server, "POST", "/recompute", "{}")
    loss, _ = engine_loss_and_gradient((0, 0), make_example("layernorm").inputs["x"][0, 0].item())
    assert status == 200 and json.loads(text)["loss"] == pytest.approx(loss)
