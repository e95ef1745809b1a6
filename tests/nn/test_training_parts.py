"""First values (nn.init), learning-rate schedules (nn.schedule) and gradient clipping (nn.utils)."""

import itertools
import math

import numpy as np
import pytest
import torch
from compare import numbers

import nn
import tensor
from nn import init


class TestInit:
    """Statistics of 60,000 numbers against what the formula says; the bound of a uniform one is sharp."""

    shape = (300, 200)  # fan_out, fan_in

    @pytest.mark.parametrize(
        ("name", "kwargs", "mean", "std"),
        [
            ("uniform_", {"a": -1.0, "b": 3.0}, 1.0, 4 / math.sqrt(12)),
            ("normal_", {"mean": 2.0, "std": 0.5}, 2.0, 0.5),
            ("xavier_uniform_", {"gain": 2.0}, 0.0, 2 * math.sqrt(2 / 500)),
            ("xavier_normal_", {}, 0.0, math.sqrt(2 / 500)),
            ("kaiming_uniform_", {"a": math.sqrt(5)}, 0.0, math.sqrt(1 / 3 / 200)),
            ("kaiming_normal_", {"nonlinearity": "relu"}, 0.0, math.sqrt(2 / 200)),
            ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "linear"}, 0.0, math.sqrt(1 / 300)),
            ("trunc_normal_", {"std": 0.5, "a": -10.0, "b": 10.0}, 0.0, 0.5),
        ],
    )
    def test_statistics(self, name, kwargs, mean, std):
        tensor.manual_seed(1)
        p = nn.Parameter(tensor.zeros(*self.shape))
        assert getattr(init, name)(p, **kwargs) is p
        values = p.numpy(force=True)
        assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)
        assert abs(values.std() / std - 1) < 0.02
        if "uniform" in name:
            bound = math.sqrt(3) * std
            assert 0.999 * bound < np.abs(values - mean).max() <= bound * (1 + 1e-6)
        assert p.requires_grad
        assert p.is_leaf

    def test_trunc_normal_stays_inside(self):
        tensor.manual_seed(1)
        values = init.trunc_normal_(tensor.zeros(200, 50), mean=0.5, std=1.0, a=0.0, b=1.0).numpy(force=True)
        assert values.min() >= 0
        assert values.max() <= 1
        assert values.std() > 0.2

    def test_constants(self):
        p = nn.Parameter(tensor.rand(2, 3))
        assert init.zeros_(p).tolist() == [[0, 0, 0], [0, 0, 0]]
        assert init.ones_(p).tolist() == [[1, 1, 1], [1, 1, 1]]
        assert init.constant_(p, 0.5).tolist() == [[0.5] * 3] * 2
        assert init.eye_(p).tolist() == [[1, 0, 0], [0, 1, 0]]

    @pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 5)])
    def test_orthogonal(self, shape):
        w = (
            init.orthogonal_(tensor.zeros(*shape, dtype=tensor.float64), gain=2.0)
            .numpy(force=True)
            .reshape(shape[0], -1)
        )
        product = w @ w.T if shape[0] < w.shape[1] else w.T @ w
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)

    @pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
    def test_gain(self, name):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
        assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: init.calculate_gain("swish"), "there is no gain for 'swish': choose from linear, sigmoid"),
            (lambda: init.xavier_normal_(tensor.zeros(3)), r"needs at least 2 dims, \(out, in, …\), got shape \(3,\)"),
            (lambda: init.eye_(tensor.zeros(3, 3, 3)), r"needs a matrix, got shape \(3, 3, 3\)"),
            (lambda: init.kaiming_normal_(tensor.zeros(3, 3), mode="fan"), "mode must be 'fan_in' or 'fan_out'"),
            (lambda: init.trunc_normal_(tensor.zeros(3), mean=9.0), "the mean .9.0. must lie within 2 std"),
        ],
    )
    def test_errors(self, call, text):
        with pytest.raises(ValueError, match=text):
            call()


class TestSchedule:
    def test_warmup_cosine(self):
        """nanoGPT's values: up over 10 iterations, down a half cosine until 110, then flat."""

        def rate(it):
            return nn.schedule.warmup_cosine(it, learning_rate=1e-3, min_lr=1e-4, warmup_iters=10, lr_decay_iters=110)

        assert rate(0) == pytest.approx(1e-3 / 11)
        assert rate(9) == pytest.approx(1e-3 * 10 / 11)
        assert rate(10) == pytest.approx(1e-3)
        assert rate(35) == pytest.approx(1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi / 4)))
        assert rate(60) == pytest.approx(5.5e-4)
        assert rate(110) == rate(5000) == pytest.approx(1e-4)
        rates = [rate(i) for i in range(120)]
        assert all(a > b for a, b in itertools.pairwise(rates[10:111]))

    @pytest.mark.parametrize("warmup", [0, 5])
    def test_no_warmup_and_no_decay(self, warmup):
        rate = nn.schedule.warmup_cosine(5, learning_rate=1.0, min_lr=0.1, warmup_iters=warmup, lr_decay_iters=5)
        assert rate == 0.1

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("LambdaLR", (lambda i: 0.9**i,)),
            ("LambdaLR", ([lambda i: 1 / (1 + i), lambda i: 2.0],)),
            ("StepLR", (3, 0.5)),
            ("CosineAnnealingLR", (7, 0.01)),
        ],
    )
    def test_classes_against_torch(self, name, args):
        def rates(optim, schedule, parameters):
            optimizer = optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.3}], lr=0.1)
            scheduler = getattr(schedule, name)(optimizer, *args)
            found = []
            for _ in range(7):
                found.append(scheduler.get_last_lr())
                optimizer.step()
                scheduler.step()
            return found

        ours = rates(nn.optim, nn.schedule, [nn.Parameter(tensor.ones(1)) for _ in range(2)])
        theirs = rates(torch.optim, torch.optim.lr_scheduler, [torch.nn.Parameter(torch.ones(1)) for _ in range(2)])
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)

    def test_state_round_trip(self):
        def make():
            return nn.schedule.StepLR(nn.optim.SGD([nn.Parameter(tensor.ones(1))], lr=1.0), 2, 0.5)

        a, b = make(), make()
        for _ in range(5):
            a.step()
        b.load_state_dict(a.state_dict())
        assert b.get_last_lr() == a.get_last_lr() == [0.25]

    def test_lambda_count(self):
        with pytest.raises(ValueError, match=r"2 functions for 1 parameter group"):
            nn.schedule.LambdaLR(nn.optim.SGD([nn.Parameter(tensor.ones(1))]), [abs, abs])


class TestClipping:
    def both(self, scale=1.0):
        arrays = [numbers(3, 4) * scale, numbers(5, seed=1) * scale]
        ours, theirs = [], []
        for a in arrays:
            ours.append(nn.Parameter(a.copy()))
            ours[-1].grad = tensor.tensor(a)
            theirs.append(torch.nn.Parameter(torch.tensor(a)))
            theirs[-1].grad = torch.tensor(a)
        ours.append(nn.Parameter(tensor.ones(1)))  # without gradient
        theirs.append(torch.nn.Parameter(torch.ones(1)))
        return ours, theirs

    @pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
    @pytest.mark.parametrize("max_norm", [0.5, 100.0, math.inf])
    def test_norm_against_torch(self, norm_type, max_norm):
        ours, theirs = self.both()
        before = nn.utils.get_total_norm((p.grad for p in ours if p.grad is not None), norm_type)
        total = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
        expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
        assert total.item() == pytest.approx(expected.item(), rel=1e-12)
        assert before.item() == total.item()
        assert (total.shape, total.dtype) == ((), tensor.float64)
        for p, q in zip(ours[:2], theirs[:2], strict=True):
            np.testing.assert_allclose(p.grad.numpy(force=True), q.grad.numpy(force=True), rtol=1e-12)

    def test_nothing_to_clip(self):
        assert nn.utils.clip_grad_norm_([nn.Parameter(tensor.ones(2))], 1.0).item() == 0
        p = nn.Parameter(tensor.ones(2))
        p.grad = tensor.ones(2) * 3
        nn.utils.clip_grad_norm_(p, 1.0)  # one Tensor instead of a list
        assert p.grad.numpy(force=True) == pytest.approx(np.full(2, math.sqrt(0.5)), rel=1e-5)

    def test_not_finite(self):
        ours, _ = self.both()
        ours[0].grad[0, 0] = math.nan
        with pytest.raises(RuntimeError, match="the norm of the gradients is nan"):
            nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
        assert math.isnan(nn.utils.clip_grad_norm_(ours, 1.0).item())
        assert ours[1].grad.isnan().all()  # as in PyTorch: who asks for no error sees that something is wrong
        finite, theirs = self.both()
        nn.utils.clip_grad_norm_(finite, 0.5, error_if_nonfinite=True)
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        np.testing.assert_allclose(finite[0].grad.numpy(force=True), theirs[0].grad.numpy(force=True), rtol=1e-12)

    @pytest.mark.parametrize(
        ("norm", "max_norm", "factor"),
        [
            (4.0, 1.0, 1 / (4 + 1e-6)),
            (0.5, 1.0, 1.0),
            (0.0, 1.0, 1.0),
            (4.0, math.inf, 1.0),
            (math.inf, 1.0, 0.0),
            (math.inf, math.inf, math.nan),
            (math.nan, 1.0, math.nan),
        ],
    )
    def test_factor(self, norm, max_norm, factor):
        """A number's, and a Tensor's: of one on a GPU it stays there."""
        for given in (norm, tensor.tensor(norm, dtype=tensor.float64)):
            assert float(nn.utils.clip_factor(given, max_norm)) == pytest.approx(factor, rel=1e-12, nan_ok=True)

    def test_the_norm_of_different_dtypes(self):
        tensors = [tensor.full((3,), 2.0, dtype=dtype) for dtype in (tensor.float16, tensor.float32)]
        norm = nn.utils.get_total_norm(tensors)
        assert (norm.item(), norm.dtype) == (pytest.approx(math.sqrt(24)), tensor.float32)
        assert nn.utils.get_total_norm(tensors[0]).dtype == tensor.float16

    def test_with_the_norm_of_more_than_these(self):
        """As where a process has only a part of the gradients."""
        ours, _ = self.both()
        before = ours[0].grad.clone()
        nn.utils.clip_grads_with_norm_(ours[0], 1.0, 8.0)
        np.testing.assert_allclose(ours[0].grad.numpy(force=True), before.numpy(force=True) / (8 + 1e-6), rtol=1e-12)

    def test_value_against_torch(self):
        ours, theirs = self.both()
        nn.utils.clip_grad_value_(ours, 0.7)
        torch.nn.utils.clip_grad_value_(theirs, 0.7)
        for p, q in zip(ours[:2], theirs[:2], strict=True):
            np.testing.assert_allclose(p.grad.numpy(force=True), q.grad.numpy(force=True))

    def test_vector_round_trip(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        vector = nn.utils.parameters_to_vector(model.parameters())
        assert vector.shape == (2 * 3 + 3 + 3 + 3,)
        nn.utils.vector_to_parameters(vector.detach() * 2, model.parameters())
        again = nn.utils.parameters_to_vector(model.parameters())
        np.testing.assert_allclose(again.numpy(force=True), 2 * vector.numpy(force=True))


def test_names_are_where_torch_has_them():
    from nn import functional, optim

    assert nn.functional is functional
    assert nn.optim is optim
    assert callable(nn.utils.clip_grad_norm_)
    assert callable(nn.init.normal_)
    assert callable(nn.schedule.warmup_cosine)
