"""record() and explain(): gradients are PyTorch's, lines are the caller's, and watching changes nothing."""

import inspect
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from compare import numbers, our_tensor, their_tensor

import nn
import tensor
from nn import functional as F
from nn.functional.attention import attention_composed
from tensor.recompute import checkpoint
from tensor.recording import Leaf

# ---------------------------------------------------------------------- values and gradients


def attention(T, x, w):
    """Causal attention from primitive operations, with its intermediate values."""
    q, k, v = (x @ w).split(4, -1)  # (T, hs) each
    s = q @ k.transpose(-1, -2) / 2
    masked = s.masked_fill(T.ones(3, 3).tril() == 0, -math.inf)
    p = masked.softmax(-1)
    y = p @ v
    return [q, k, v, s, masked, p, y, y.square().sum()]


def broadcasting(T, x, w):
    a = x[:, :1] * w[0, :5]  # (3, 1) by (5,)
    b = a + x[0]
    return [a, b, (b * 2).tanh().mean()]


def in_place(T, x, w):
    y = x * 2
    y += w[:3, :5]
    y[1] *= 3
    z = y.exp()
    return [z, z.sum()]


def views(T, x, w):
    t = x.transpose(0, 1)
    r = t[1:].reshape(-1)
    part = r[::2]
    return [t, r, part, (part * part).sum() + (t @ w[:3]).sum()]


def used_twice(T, x, w):
    h = (x @ w).tanh()
    return [h, (h * h).sum() + h.mean()]


@pytest.mark.parametrize("fn", [attention, broadcasting, in_place, views, used_twice])
def test_recorded_values_and_gradients_are_pytorchs(fn):
    arrays = [numbers(3, 5), numbers(5, 12, seed=1)]
    with tensor.record():
        ours = fn(tensor, *(our_tensor(a, True) for a in arrays))
        ours[-1].backward()  # frees the graph
    leaves = [their_tensor(a, True) for a in arrays]
    theirs = fn(torch, *leaves)
    for t in theirs:
        t.retain_grad()
    theirs[-1].backward()
    for mine, t in zip(ours, theirs, strict=True):
        step = mine.grad_fn.step
        np.testing.assert_allclose(step.outputs[mine._nr].values, t.detach().numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(step.output_grads[mine._nr].values, t.grad.numpy(), rtol=1e-9, atol=1e-12)
    recorded = ours[-1].explain().leaves
    assert len(recorded) == len(leaves)
    for mine, leaf in zip(recorded, leaves, strict=True):
        np.testing.assert_array_equal(mine.value.values, leaf.detach().numpy())
        np.testing.assert_allclose(mine.grad.values, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_fused_attention_has_the_gradients_of_the_composed_one_and_of_pytorch():
    arrays = [numbers(2, 3, 5, 4, seed=n) for n in range(3)]
    found = []
    for form in (F.scaled_dot_product_attention, attention_composed):
        with tensor.record():
            y = form(*(our_tensor(a, True) for a in arrays), is_causal=True)
            loss = y.square().sum()
            loss.backward()
        found.append([leaf.grad.values for leaf in loss.explain().leaves])
    (fused,) = [s for s in loss.explain().steps if s.name == "Softmax"]  # of the composed form: p is there to see
    assert fused.outputs[0].shape == (2, 3, 5, 5)
    leaves = [their_tensor(a, True) for a in arrays]
    torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=True).square().sum().backward()
    for fused, composed, leaf in zip(*found, leaves, strict=True):
        np.testing.assert_allclose(fused, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(composed, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_summed_names_the_axes_along_which_an_input_was_broadcast():
    with tensor.record():
        y = our_tensor(numbers(3, 1), True) + our_tensor(numbers(2, 3, 4), True) + our_tensor(numbers(4), True)
        y.sum().backward()
    last, first = y.grad_fn.step, y.grad_fn.step.sources[0][0]
    assert first.summed == [(0, 2), ()] and last.summed == [(), (0, 1)]


def test_an_array_beyond_the_limit_leaves_a_corner_and_its_numbers():
    x = numbers(3, 30, 40)
    with tensor.record(limit=100):
        y = our_tensor(x, True) * 2
        y.sum().backward()
    value = y.grad_fn.step.inputs[0]
    assert value.shape == (3, 30, 40) and not value.is_whole
    np.testing.assert_array_equal(value.values, x[:1, :10, :10])
    assert value.norm == pytest.approx(np.linalg.norm(x)) and value.mean == pytest.approx(x.mean())
    assert (value.low, value.high) == (x.min(), x.max())


def test_what_was_kept_survives_a_later_write():
    with tensor.record():
        x = our_tensor(numbers(3), True)
        y = x + 1
        before = y.tolist()
        z = y * 2
        y += 10
        (z.sum() + y.sum()).backward()
    assert z.grad_fn.step.inputs[0].values.tolist() == before


# ---------------------------------------------------------------------- where an op was called, and in which module


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(4, 4), nn.LayerNorm(4)])
        self.head = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        for part in self.parts:
            x = part(x) * 2
        return self.head(x) + self.head(x)


def test_an_ops_line_is_the_innermost_outside_the_engine_and_the_layers():
    model = Twice()
    here = inspect.currentframe().f_lineno
    with tensor.record():
        x = tensor.ones(2, 4)
        loss = F.cross_entropy(model(x), tensor.tensor([1, 3]))  # here + 3
        loss.backward()
    steps = loss.explain(order="forward").steps
    assert {step.file for step in steps} == {__file__}
    first = Twice.forward.__code__.co_firstlineno
    lines = [(step.name, step.line) for step in steps]
    inside = [("Linear", 2), ("Mul", 2), ("LayerNorm", 2), ("Mul", 2), ("Linear", 3), ("Linear", 3), ("Add", 3)]
    assert lines[:7] == [(name, first + offset) for name, offset in inside]
    assert ("CrossEntropy", here + 3) in lines and {line for _, line in lines[7:]} == {here + 3}


def test_a_step_knows_the_modules_it_ran_in():
    model = Twice()
    with tensor.record():
        loss = model(tensor.ones(2, 4)).sum()
        loss.backward()
    steps = loss.explain(order="forward").steps
    paths = [[module.name for module in step.module.path] if step.module else [] for step in steps]
    parts = [["Twice", "parts.0"], ["Twice"], ["Twice", "parts.1"], ["Twice"]]
    assert paths == [*parts, ["Twice", "head"], ["Twice", "head"], ["Twice"], []]
    assert steps[4].module is not steps[5].module  # two calls of one module
    assert {leaf.name for leaf in loss.explain().leaves} == {name for name, _ in model.named_parameters()}


def test_folding_makes_a_row_of_each_module_below_the_depth():
    model = nn.Sequential(Twice(), nn.Tanh())
    with tensor.record():
        loss = model(tensor.ones(2, 4)).sum()
        loss.backward()
    titles = [[row.title for row in loss.explain(depth=depth).rows()] for depth in (0, 1, None)]
    assert titles[0] == ["Sum", "Sequential, 8 ops"]
    assert titles[1] == ["Sum", "Sequential", "1: Tanh", "0 (Twice), 7 ops"]
    head = ["Sum", "Sequential", "1: Tanh", "0 (Twice)", "Add", "head: Linear", "head: Linear"]
    assert titles[2] == [*head, "Mul", "parts.1: LayerNorm", "Mul", "parts.0: Linear"]


def test_a_checkpointed_segment_shows_its_ops_and_their_gradients():
    model = Twice()
    x = our_tensor(numbers(2, 4, dtype="float32"), True)
    gradients = []
    for call in (lambda: model(x), lambda: checkpoint(model, x)):
        model.zero_grad()
        with tensor.record():
            loss = call().square().sum()
            loss.backward()
        found = {leaf.name: leaf.grad.values for leaf in loss.explain().leaves if leaf.grad is not None}
        assert found.keys() - {""} == {name for name, _ in model.named_parameters()}
        for name, parameter in model.named_parameters():
            np.testing.assert_allclose(found[name], parameter.grad.array, rtol=1e-6)
        gradients.append([s.output_grads[0].values for s in loss.explain().steps if s.name in ("Linear", "LayerNorm")])
    for plain, again in zip(*gradients, strict=True):
        np.testing.assert_array_equal(plain, again)
    names = [step.name for step in loss.explain().steps]
    assert names[:4] == ["Sum", "Power", "Recompute", "Add"]


# ---------------------------------------------------------------------- the shapes that explain() gives


@pytest.fixture
def loss():
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4))
    with tensor.record(axes={"B": 2, "C": 4, "H": 6, "D": 6}):
        x = our_tensor(numbers(2, 4, dtype="float32"), True)
        loss = (model(x) + x).sum()
        loss.backward()
    return loss


def test_the_table_is_in_order_and_names_axes(loss):
    lines = str(loss.explain()).splitlines()
    assert "B = 2, C = 4" in lines[0] and "H" not in lines[0]  # H and D have one size: no name for it
    assert [line.split()[0] for line in lines[2:]] == ["Sum", "Add", "Sequential", "2:", "1:", "0:"]
    assert "da = dy;  db = dy" in lines[3] and "(B, C), (B, C) → (B, C)" in lines[3]
    assert "test_explain.py:" in lines[3]
    assert [s.name for s in loss.explain(order="forward").steps] == [s.name for s in loss.explain().steps][::-1]
    shares = [float(line.split()[-1].removesuffix("%")) for line in lines[2:] if line.endswith("%")]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_the_dict_is_json_and_the_graph_is_whole(loss):
    explanation = loss.explain()
    given = json.loads(json.dumps(explanation.to_dict()))
    assert [step["name"] for step in given["steps"]] == [step.name for step in explanation.steps]
    assert len(given["leaves"]) == 5
    add = given["steps"][1]
    assert add["inputs"][0]["source"] == {"step": 2, "output": 0}
    assert given["leaves"][add["inputs"][1]["source"]["leaf"]]["name"] == ""  # x
    assert add["outputs"][0]["grad"]["norm"] == pytest.approx(math.sqrt(8))
    for step in given["steps"]:
        for i in step["inputs"]:
            assert i["source"] is None or i["grad"]["shape"] == i["value"]["shape"]


def test_the_dot_graph_has_a_node_for_each_op_and_a_cluster_for_each_module(loss):
    dot = loss.explain().to_dot()
    assert dot.count("->") == sum(len([s for s in step.sources if s]) for step in loss.explain().steps)
    assert dot.count("subgraph") == 4 and dot.count("{") == dot.count("}")


def test_notebooks_get_an_escaped_table(loss):
    page = loss.explain()._repr_html_()
    assert page.count("<tr>") == len(list(loss.explain().rows())) + 1
    assert "dx = dy W;  dW = dyᵀ x;  db = Σ dy" in page


@pytest.mark.parametrize(
    "fn, error, message",
    [
        (lambda: tensor.ones(2, requires_grad=True).sum().explain(), RuntimeError, "inside `with tensor.record"),
        (lambda: tensor.ones(2).explain(), RuntimeError, "from leaves that require grad"),
        (lambda: recorded_forward().explain(order="sideways"), ValueError, "'backward' or 'forward', got 'sideways'"),
        (lambda: recorded_forward().explain(depth=-1), ValueError, "depth must not be negative"),
        (lambda: freed_outside().explain(), RuntimeError, "a backward outside"),
    ],
    ids=["not recorded", "no graph", "order", "depth", "freed outside"],
)
def test_errors(fn, error, message):
    with pytest.raises(error, match=message):
        fn()


def recorded_forward():
    with tensor.record():
        return (tensor.ones(2, requires_grad=True) * 2).sum()


def freed_outside():
    loss = recorded_forward()
    loss.backward()
    return loss


def test_a_forward_alone_can_be_explained():
    explanation = recorded_forward().explain(order="forward")
    assert [step.name for step in explanation.steps] == ["Mul", "Sum"]
    assert "(2,), () → (2,)" in str(explanation)
    assert explanation.to_dict()["steps"][0]["outputs"][0]["grad"] is None


# ---------------------------------------------------------------------- nothing else changes


def test_nothing_is_kept_outside_the_block_and_results_are_the_same():
    def gradient():
        x = our_tensor(numbers(3, 4), True)
        y = F.softmax(x, dim=-1).square().sum()
        y.backward()
        return y, x.grad.tolist()

    plain, expected = gradient()
    with tensor.record():
        _, watched = gradient()
    after, _ = gradient()
    assert watched == expected
    assert not hasattr(plain.grad_fn, "step") and not hasattr(after.grad_fn, "step")


def test_an_error_in_a_module_leaves_the_recording_whole():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    with tensor.record():
        with pytest.raises(ValueError, match="no"):
            Fails()(tensor.ones(2))
        loss = our_tensor(numbers(2), True).sum()
        loss.backward()
    (step,) = loss.explain().steps
    assert step.module is None and isinstance(step.sources[0][0], Leaf)


def test_explain_needs_numpy_alone():
    code = "import tensor\nwith tensor.record():\n y = tensor.ones(2, requires_grad=True).sum(); y.backward()\n"
    code += "print(y.explain())\nimport sys; assert 'rich' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "dx_i = dy" in done.stdout and "<string>:3" in done.stdout, done.stderr
