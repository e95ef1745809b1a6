"""Layers against torch.nn: same weights give the same results and gradients; same first values; same repr."""

import math

import numpy as np
import pytest
import torch
from compare import numbers

import nn
import tensor

x = numbers(2, 3, 8)
integers = np.array([[1, 0, 4], [4, 1, 2]])

LAYERS = [
    ("Linear", [8, 5], {}, x),
    ("Linear", [8, 5], {"bias": False}, x),
    ("Embedding", [5, 3], {}, integers),
    ("Embedding", [5, 3], {"padding_idx": 1}, integers),
    ("Embedding", [5, 3], {"padding_idx": -4}, integers),
    ("LayerNorm", [8], {}, x),
    ("LayerNorm", [(3, 8)], {"eps": 1e-3}, x),
    ("LayerNorm", [8], {"bias": False}, x),
    ("LayerNorm", [8], {"elementwise_affine": False}, x),
    ("RMSNorm", [8], {}, x),
    ("RMSNorm", [8], {"eps": 1e-3, "elementwise_affine": False}, x),
    ("PReLU", [], {}, x),
    ("PReLU", [3], {}, x),
    ("Flatten", [], {}, x),
    ("Flatten", [0, 1], {}, x),
    ("Unflatten", [2, (2, 4)], {}, x),
    ("Identity", [], {}, x),
    ("Dropout", [0.0], {}, x),
    ("ReLU", [], {}, x),
    ("ReLU6", [], {}, x),
    ("LeakyReLU", [0.3], {}, x),
    ("ELU", [], {"alpha": 0.5}, x),
    ("CELU", [], {}, x),
    ("SELU", [], {}, x),
    ("GELU", [], {}, x),
    ("GELU", ["tanh"], {}, x),
    ("SiLU", [], {}, x),
    ("Mish", [], {}, x),
    ("Sigmoid", [], {}, x),
    ("LogSigmoid", [], {}, x),
    ("Tanh", [], {}, x),
    ("Softsign", [], {}, x),
    ("Softplus", [], {"beta": 2.0}, x),
    ("Hardtanh", [-0.5, 0.5], {}, x),
    ("Hardswish", [], {}, x),
    ("Threshold", [0.1, 20.0], {}, x),
    ("GLU", [], {}, x),
    ("Softmax", [-1], {}, x),
    ("LogSoftmax", [1], {}, x),
    ("Softmin", [0], {}, x),
]
# torch names these's arguments differently from layer to layer, or from version to version
SHOWN_OTHERWISE = ("GELU", "Hardtanh", "LayerNorm", "Softplus", "Threshold", "Unflatten")


def pair(name, args, kwargs):
    """Our layer and torch's, both in float64 and with torch's weights."""
    theirs = getattr(torch.nn, name)(*args, **kwargs).double()
    ours = getattr(nn, name)(*args, **kwargs).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(("name", "args", "kwargs", "inputs"), LAYERS, ids=lambda v: str(v)[:30])
def test_same_weights_same_results(name, args, kwargs, inputs):
    ours, theirs = pair(name, args, kwargs)
    a, b = tensor.tensor(inputs), torch.tensor(inputs)
    if inputs.dtype.kind == "f":
        a.requires_grad_()
        b.requires_grad_()
    y, expected = ours(a), theirs(b)
    np.testing.assert_allclose(y.numpy(force=True), expected.numpy(force=True), rtol=1e-9, atol=1e-12)
    g = numbers(*y.shape, seed=5)
    y.backward(tensor.tensor(g))
    expected.backward(torch.tensor(g))
    if inputs.dtype.kind == "f":
        np.testing.assert_allclose(a.grad.numpy(force=True), b.grad.numpy(force=True), rtol=1e-7, atol=1e-12)
    names = [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_parameters()] == names
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(force=True), q.grad.numpy(force=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "args", "kwargs", "inputs"), LAYERS, ids=lambda v: str(v)[:30])
def test_repr_is_torchs(name, args, kwargs, inputs):
    ours, theirs = pair(name, args, kwargs)
    if name in SHOWN_OTHERWISE:
        assert repr(ours).startswith(f"{name}(")
    else:
        assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_gelu_is_torchs_linear_and_gelu(bias):
    ours, theirs = pair("Linear", [8, 5], {"bias": bias})
    fused = nn.LinearGELU(8, 5, bias=bias).double()
    fused.load_state_dict(ours.state_dict())
    compare_with_torch(fused, theirs, (x,), lambda y: torch.nn.functional.gelu(theirs(y), approximate="tanh"))
    assert repr(fused) == repr(theirs).replace("Linear", "LinearGELU")


@pytest.mark.parametrize("kwargs", [{}, {"bias": False}, {"elementwise_affine": False, "eps": 0.1}], ids=str)
@pytest.mark.parametrize("branch", [numbers(2, 3, 8, seed=3), numbers(3, 8, seed=3)], ids=["alike", "broadcast"])
def test_add_layer_norm_is_torchs_sum_and_layer_norm(kwargs, branch):
    ours, theirs = pair("LayerNorm", [8], kwargs)
    fused = nn.AddLayerNorm(8, **kwargs).double()
    fused.load_state_dict(ours.state_dict())
    compare_with_torch(fused, theirs, (x, branch), lambda a, b: (a + b, theirs(a + b)))


def compare_with_torch(ours, theirs, inputs, function):
    """ours(*inputs) against function(*inputs), which uses torch's layer `theirs`: results and all gradients."""
    a, b = [[library.tensor(v).requires_grad_() for v in inputs] for library in (tensor, torch)]
    results, expected = ours(*a), function(*b)
    if not isinstance(expected, tuple):
        results, expected = (results,), (expected,)
    for i, (y, e) in enumerate(zip(results, expected, strict=True)):
        np.testing.assert_allclose(y.numpy(force=True), e.numpy(force=True), rtol=1e-9, atol=1e-12)
        g = numbers(*y.shape, seed=i)
        y.backward(tensor.tensor(g), retain_graph=True)
        e.backward(torch.tensor(g), retain_graph=True)
    for p, q in zip([*a, *ours.parameters()], [*b, *theirs.parameters()], strict=True):
        np.testing.assert_allclose(p.grad.numpy(force=True), q.grad.numpy(force=True), rtol=1e-7, atol=1e-12)


def test_add_layer_norm_notices_that_its_sum_was_changed():
    layer = nn.AddLayerNorm(4)
    total, y = layer(tensor.ones(2, 4, requires_grad=True), tensor.ones(2, 4))
    with tensor.no_grad():
        total += 1
    with pytest.raises(RuntimeError, match="backward of AddLayerNorm needs the value `total`"):
        y.sum().backward()


LOSSES = [
    ("CrossEntropyLoss", {"label_smoothing": 0.1, "ignore_index": 2}, np.array([0, 2, 1])),
    ("CrossEntropyLoss", {"weight": numbers(8, low=0, high=1)}, np.array([0, 2, 1])),
    ("NLLLoss", {"reduction": "sum"}, np.array([0, 2, 1])),
    ("MSELoss", {}, numbers(3, 8, seed=2)),
    ("L1Loss", {"reduction": "none"}, numbers(3, 8, seed=2)),
    ("SmoothL1Loss", {"beta": 0.5}, numbers(3, 8, seed=2)),
    ("HuberLoss", {"delta": 0.5}, numbers(3, 8, seed=2)),
    ("BCEWithLogitsLoss", {"pos_weight": numbers(8, low=0, high=1)}, numbers(3, 8, low=0, high=1)),
    ("KLDivLoss", {"reduction": "batchmean", "log_target": True}, numbers(3, 8, seed=2)),
]


@pytest.mark.parametrize(("name", "kwargs", "target"), LOSSES, ids=lambda v: str(v)[:30])
def test_losses(name, kwargs, target):
    arrays = {k: v for k, v in kwargs.items() if isinstance(v, np.ndarray)}
    ours = getattr(nn, name)(**{**kwargs, **{k: tensor.tensor(v) for k, v in arrays.items()}})
    theirs = getattr(torch.nn, name)(**{**kwargs, **{k: torch.tensor(v) for k, v in arrays.items()}})
    a, b = tensor.tensor(x[0], requires_grad=True), torch.tensor(x[0], requires_grad=True)
    y, expected = ours(a, tensor.tensor(target)), theirs(b, torch.tensor(target))
    np.testing.assert_allclose(y.numpy(force=True), expected.numpy(force=True), rtol=1e-9)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(force=True), b.grad.numpy(force=True), rtol=1e-9, atol=1e-12)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_function_modules_check_their_arguments():
    with pytest.raises(TypeError, match=r"ReLU: 'slope' is given twice or unknown; the arguments are \(inplace\)"):
        nn.ReLU(slope=1)
    with pytest.raises(TypeError, match=r"GELU takes at most 1 argument"):
        nn.GELU("none", 3)


class TestDropout:
    def test_training_scales_what_it_keeps(self):
        tensor.manual_seed(0)
        layer, ones = nn.Dropout(0.25), tensor.ones(400, 250, requires_grad=True)
        y = layer(ones)
        kept = y.numpy(force=True)
        assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
        assert abs((kept != 0).mean() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / kept.size)
        y.sum().backward()
        assert (ones.grad.numpy(force=True) == kept).all()

    def test_evaluation_is_the_identity(self):
        ones = tensor.ones(3)
        assert nn.Dropout(0.9).eval()(ones) is ones

    def test_all_or_nothing(self):
        assert nn.Dropout(1.0)(tensor.ones(3)).tolist() == [0, 0, 0]
        assert nn.Dropout(0.0)(tensor.ones(3)).tolist() == [1, 1, 1]

    def test_the_seed_decides(self):
        draws = []
        for _ in range(2):
            tensor.manual_seed(7)
            draws.append(nn.Dropout(0.5)(tensor.ones(50)).tolist())
        assert draws[0] == draws[1]

    def test_in_place(self):
        x = tensor.ones(50)
        y = nn.Dropout(0.5, inplace=True)(x)
        assert y is x
        assert 0 in x.tolist()

    def test_attention_dropout_drops_weights(self):
        tensor.manual_seed(0)
        q = tensor.ones(1, 1, 40, 4)
        y = nn.functional.scaled_dot_product_attention(q, q, tensor.ones(1, 1, 40, 1), dropout_p=0.5)
        assert y.numpy(force=True).std() > 0.01
        assert abs(float(y.mean()) - 1) < 0.2


@pytest.mark.parametrize(("name", "args"), [("Linear", [400, 300]), ("Embedding", [400, 300])])
def test_first_values_are_distributed_as_torchs(name, args):
    tensor.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    for (_, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        a, b = p.numpy(force=True), q.numpy(force=True)
        assert a.shape == b.shape
        error = 5 * b.std() / math.sqrt(a.size)
        assert abs(a.mean()) < error
        assert abs(a.std() - b.std()) < error
        assert abs(np.abs(a).max() / np.abs(b).max() - 1) < 0.2


def test_embedding_from_pretrained():
    table = tensor.tensor(numbers(4, 3))
    assert not nn.Embedding.from_pretrained(table).weight.requires_grad
    learned = nn.Embedding.from_pretrained(table, freeze=False)
    assert learned.weight.requires_grad
    assert (learned(tensor.tensor([2])).numpy(force=True) == table.numpy(force=True)[2]).all()
