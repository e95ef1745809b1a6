"""The gradients that keys and values receive, and p, are PyTorch's for the same weights; on the page as well."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from shown import as_number

import tensor
from tinygrad_gpt.bench.torch_gpt import TorchGPT
from tinygrad_gpt.explore.attention import attention_data, attention_flow, decode_maps, weights
from tinygrad_gpt.explore.subject import tokenize
from tinygrad_gpt.model import GPT, GPTConfig

T = 7
TEXT = "the fat cat sat"


@pytest.fixture
def model():
    tensor.manual_seed(0)
    model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=3, n_embd=12)).double()
    with tensor.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # far from even attention
    return model


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(0, 11, T + 1)


def torch_flow(model, tokens, monkeypatch):
    """p, ‖dk‖, ‖dv‖ (layers, nh, T, T) and the losses (T,) by PyTorch alone."""
    T = len(tokens) - 1
    theirs = TorchGPT(dataclasses.replace(model.config)).double()
    theirs.load_state_dict({name: torch.from_numpy(x.numpy().copy()) for name, x in model.state_dict().items()})
    seen = []

    def attention(q, k, v, **_):
        for x in (k, v):
            x.retain_grad()
        s = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(torch.ones(T, T).tril() == 0, -torch.inf)
        seen.append((s.softmax(-1), k, v))
        return s.softmax(-1) @ v

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", attention)
    idx = torch.from_numpy(tokens)
    logits, _ = theirs(idx[None, :-1], idx[None, 1:])
    losses = torch.nn.functional.cross_entropy(logits.reshape(T, -1), idx[1:], reduction="none")
    norms = []
    for loss in losses:
        for _, k, v in seen:
            k.grad = v.grad = None
        loss.backward(retain_graph=True)
        norms.append([[x.grad[0].norm(dim=-1).numpy() for x in (k, v)] for _, k, v in seen])
    dk, dv = np.array(norms).transpose(2, 1, 3, 0, 4)  # (target, layer, k or v, nh, T) before
    return np.concatenate([p.detach().numpy() for p, _, _ in seen]), dk, dv, losses.detach().numpy()


def test_attention_and_its_gradients_are_pytorchs(model, tokens, monkeypatch):
    found = attention_flow(model, tokens)
    for ours, theirs in zip(found, torch_flow(model, tokens, monkeypatch), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)
    dv = found[2]
    assert dv[0].any() and not np.triu(dv, 1).any()  # nothing comes from a target to a later position


def test_the_model_is_left_as_it_was(model, tokens):
    frozen = model.transformer.wpe.weight.requires_grad_(False)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    attention_flow(model, tokens)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == before
    assert not frozen.requires_grad and all(p.grad is None for p in model.parameters())


def test_the_page_gets_the_same_numbers(model, tokens):
    data = attention_data(model, tokens, list("abcdefgh"))
    for name, expected in zip(("p", "dk", "dv"), attention_flow(model, tokens), strict=False):
        np.testing.assert_array_equal(decode_maps(data[name], *expected.shape[:3]), expected)
    assert "".join(data["words"]) == "abcdefg" and "".join(data["targets"]) == "bcdefgh"


def test_the_page_shows_pytorchs_gradients(gpt_page, visit, small_gpt, monkeypatch):
    model = small_gpt.model
    tokens, words = tokenize(TEXT, small_gpt.tokenizer, model.config)
    p, dk, dv, losses = torch_flow(model, tokens, monkeypatch)
    page = visit(gpt_page)
    page.click('[data-view="attention"]')
    page.select_option("#layer", "0")
    page.locator("#words button").nth(5).click()
    chosen = page.locator("#chosen").inner_text()
    assert chosen.startswith(f"at {words[5]} (position 5) the target is {words[6]}")
    assert as_number(re.search(r"loss ([\d.]+)", chosen)[1]) == pytest.approx(losses[5], rel=1e-3)
    titles = [button.get_attribute("title") for button in page.locator("#words button").all()]
    received = np.sqrt((dk[0, :, 5] ** 2 + dv[0, :, 5] ** 2).sum(0))
    assert [as_number(title.split()[-1]) for title in titles] == pytest.approx(received, rel=1e-3, abs=1e-9)
    for side, norms in (("v", dv), ("k", dk)):  # what stands there on hover
        texts = page.evaluate(f"byId('flow-{side}').data[0].customdata")
        found = [[as_number(re.search("<b>(.*)</b>", text)[1]) for text in row] for row in texts]
        np.testing.assert_allclose(found, norms[0, :, 5], rtol=1e-3, atol=1e-9)
        assert texts[1][2].startswith(f"head 1, position 2 “{words[2]}”")
    shown = page.evaluate("[...document.querySelectorAll('#heads .plot')].map(plot => plot.data[0].z)")
    np.testing.assert_allclose(shown, p[0], rtol=1e-4, atol=1e-7)
    alpha = page.evaluate("byId('overview').getContext('2d').getImageData(3 + 2, 5, 1, 1).data[3]")
    assert alpha == pytest.approx(20 + 235 * p[0, 0, 5, 2] ** 0.4, abs=1)  # key 2 of query 5
    page.keyboard.press("ArrowRight")
    assert "(position 6)" in page.locator("#chosen").inner_text()
    page.click("#overview", position={"x": 5, "y": page.locator("#overview").bounding_box()["height"] - 2})
    assert page.input_value("#layer") == "1"


def test_weights_of_far_apart_scores_are_finite():
    p = weights(np.full((2, 1), 1e3), np.array([[1.0], [-1.0]]), 1.0, causal=False)
    np.testing.assert_array_equal(p, [[1, 0], [1, 0]])
