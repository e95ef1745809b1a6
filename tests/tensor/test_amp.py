"""Mixed precision: what autocast computes in which dtype, and GradScaler beside PyTorch's."""

import math

import numpy as np
import pytest
import torch
from compare import DEVICE

import nn
import tensor
from nn import functional as F
from nn.optim import SGD
from tensor.amp import GradScaler
from tensor.recompute import checkpoint

x = tensor.randn(3, 4, 8)
q = tensor.randn(1, 2, 5, 8)
half = x.half()
target = tensor.tensor([0, 7, 1])


class TestAutocast:
    @pytest.mark.parametrize(
        "function",
        [
            lambda: F.linear(x, tensor.randn(6, 8), tensor.randn(6)),
            lambda: F.linear(half, tensor.randn(6, 8)),
            lambda: x @ x.transpose(1, 2),
            lambda: half @ x.transpose(1, 2),
            lambda: tensor.einsum("bij,bkj->bik", x, half),
            lambda: F.scaled_dot_product_attention(q, q.half(), q, is_causal=True),
            lambda: F.gelu(half),
            lambda: F.dropout(half, 0.5),
        ],
    )
    def test_computed_in_float16(self, function):
        with tensor.autocast(DEVICE):
            assert function().dtype == "float16"

    @pytest.mark.parametrize(
        "function",
        [
            lambda: F.softmax(half, -1),
            lambda: half.log_softmax(-1),
            lambda: F.layer_norm(half, (8,), tensor.ones(8), tensor.zeros(8)),
            lambda: F.rms_norm(half, (8,), tensor.ones(8)),
            lambda: F.cross_entropy(half[:, 0], target),
            lambda: F.nll_loss(half[:, 0], target),
            lambda: x + half,
        ],
    )
    def test_computed_in_float32(self, function):
        with tensor.autocast(DEVICE):
            assert function().dtype == "float32"

    def test_leaves_alone_what_is_not_its_own(self):
        with tensor.autocast("cuda" if DEVICE == "cpu" else "cpu"):
            assert (x @ x.mT).dtype == "float32"
        with tensor.autocast(DEVICE):
            assert (x.double() @ x.mT.double()).dtype == "float64"
            with tensor.autocast(DEVICE, enabled=False):
                assert (x @ x.mT).dtype == "float32"
            assert (x @ x.mT).dtype == "float16"
        assert (x @ x.mT).dtype == "float32"

    def test_there_is_no_bfloat16(self):
        with pytest.raises(TypeError, match="dtype must be float16"):
            tensor.autocast(DEVICE, dtype="int8")

    def test_gradients_arrive_in_float32_and_are_close(self):
        """Those of a linear layer, attention and cross-entropy in a row."""
        tensor.manual_seed(0)
        layer, inputs = nn.Linear(8, 8), tensor.randn(2, 6, 8)

        def gradients(enabled):
            layer.zero_grad()
            with tensor.autocast(DEVICE, enabled=enabled):
                y = layer(inputs)[:, None]  # (B, one head, T, C)
                y = F.scaled_dot_product_attention(y, y, y, is_causal=True)
                loss = F.cross_entropy(y.reshape(-1, 8), tensor.arange(12) % 8)
            loss.backward()
            assert layer.weight.grad.dtype == "float32"
            return layer.weight.grad.numpy(force=True).copy()

        exact, mixed = gradients(False), gradients(True)
        assert not np.array_equal(exact, mixed)
        np.testing.assert_allclose(mixed, exact, atol=5e-3 * np.abs(exact).max())

    def test_sums_in_products_are_float32(self):
        """4096 · 16² is far beyond float16's 65504, and a sum of ones in float16 stops at 2048."""
        big, ones = tensor.full((1, 4096), 16.0).half(), tensor.ones(1, 4096).half()
        assert (big @ big.T).item() == math.inf
        assert (ones @ ones.T).item() == 4096

    def test_a_checkpointed_segment_runs_the_same_again(self):
        layer, inputs = nn.Linear(8, 8), tensor.randn(5, 8)
        with tensor.autocast(DEVICE):
            loss = checkpoint(layer, inputs).sum()
        loss.backward()
        assert layer.weight.grad.dtype == "float32"


def run_scaler(library, scaler, sgd, gradients):
    """The parameter, the scale and the growth tracker after each step with one of `gradients` (scaled here)."""
    p = library.ones(2, requires_grad=True)
    optimizer = sgd([p], lr=0.5)
    history = []
    for gradient in gradients:
        optimizer.zero_grad()
        scaler.scale((p * library.tensor(gradient)).sum()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        history.append((p.detach().numpy(force=True).tolist(), scaler.get_scale(), scaler.state_dict()))
    return history


class TestGradScaler:
    def test_equals_pytorchs(self):
        gradients = [[1.0, 2.0], [math.inf, 1.0], [0.5, math.nan], *[[0.1, -0.2]] * 7, [1e38, 1.0], [3.0, 4.0]]
        settings = {"init_scale": 1024.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3}
        ours = run_scaler(tensor, GradScaler("cpu", **settings), SGD, gradients)
        theirs = run_scaler(torch, torch.amp.GradScaler("cpu", **settings), torch.optim.SGD, gradients)
        assert ours == theirs

    def test_the_scale_does_not_grow_beyond_float32(self):
        scaler = GradScaler("cpu", init_scale=2.0**127, growth_interval=1)
        run_scaler(tensor, scaler, SGD, [[0.0, 0.0]] * 2)
        assert scaler.get_scale() == 2.0**127

    def test_goes_on_from_a_state_dict(self):
        one, other = GradScaler("cpu", growth_interval=4), GradScaler("cpu")
        run_scaler(tensor, one, SGD, [[0.0, 0.0]] * 3)
        other.load_state_dict(one.state_dict())
        assert run_scaler(tensor, one, SGD, [[0.0, 0.0]]) == run_scaler(tensor, other, SGD, [[0.0, 0.0]])
        assert other.get_scale() == 2.0**17

    def test_not_enabled_it_passes_all_through(self):
        scaler = GradScaler(enabled=False)
        assert (scaler.get_scale(), scaler.state_dict(), scaler.is_enabled()) == (1.0, {}, False)
        ((parameter, _, _),) = run_scaler(tensor, scaler, SGD, [[1.0, 2.0]])
        assert parameter == [0.5, 0.0]

    def test_several_losses(self):
        a, b = GradScaler(init_scale=8.0).scale([tensor.tensor(1.0), tensor.tensor(2.0)])
        assert (a.item(), b.item()) == (8.0, 16.0)

    @pytest.mark.parametrize(
        ("calls", "message"),
        [
            (["unscale_", "unscale_"], "unscale_() has already been called on this optimizer"),
            (["step", "unscale_"], "unscale_() is being called after step()"),
            (["step", "step"], "step() has already been called since the last update()"),
            (["update"], "No inf checks were recorded prior to update"),
        ],
    )
    @pytest.mark.parametrize("library", [tensor, torch])
    def test_calls_out_of_order(self, library, calls, message):
        sgd = SGD if library is tensor else torch.optim.SGD
        scaler = library.amp.GradScaler("cpu")
        p = library.ones(2, requires_grad=True)
        scaler.scale(p.sum()).backward()
        optimizer = sgd([p], lr=0.1)
        with pytest.raises((RuntimeError, AssertionError)) as caught:
            for call in calls:
                getattr(scaler, call)(*[optimizer] * (call != "update"))
        assert message in str(caught.value)

    def test_parameters_in_float16_are_refused(self):
        p = tensor.ones(2).half().requires_grad_()
        p.sum().backward()
        with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
            GradScaler().unscale_(SGD([p], lr=0.1))

    @pytest.mark.parametrize("settings", [{"growth_factor": 1.0}, {"backoff_factor": 1.0}])
    def test_settings_that_make_no_sense(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            GradScaler(**settings)
