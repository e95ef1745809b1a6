"""The rules of backward. Most run on both engines, so that each is known to be PyTorch's rule, not just ours."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch

import tensor


@pytest.fixture(params=[tensor, torch], ids=["tensor", "torch"])
def T(request):
    """The module under test: each rule must hold for this engine and for PyTorch."""
    return request.param


def leaf(T, data):
    return T.tensor(data, dtype=T.float64, requires_grad=True)


def values(x):
    return x.detach().numpy().tolist()


def grad_of(T, y, x, **kwargs):
    return (T.autograd.grad if T is torch else T.grad)(y, x, **kwargs)


# ---------------------------------------------------------------------------------------- accumulation


@pytest.mark.parametrize(
    "fn, expected",
    [
        (lambda x: x + x, 2),
        (lambda x: x * x, 6),  # x = 3
        (lambda x: x * x * x, 27),
        (lambda x: (x * 2) * (x + 1), 14),
        (lambda x: (lambda h: h + h * h)(x * x), 6 + 4 * 27),  # a diamond: d(x² + x⁴) = 2x + 4x³
    ],
    ids=["add", "square", "cube", "two-paths", "diamond"],
)
def test_gradients_of_all_uses_are_added(T, fn, expected):
    x = leaf(T, 3.0)
    fn(x).backward()
    assert x.grad.item() == expected


def test_backward_adds_to_grad(T):
    x = leaf(T, [1.0, 2.0])
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert values(x.grad) == [5, 7]
    x.grad = None
    (x * 3).sum().backward()
    assert values(x.grad) == [3, 3]


def test_grad_is_no_view_of_the_gradient_passed_in(T):
    x, dy = leaf(T, [1.0, 2.0]), T.tensor([1.0, 1.0], dtype=T.float64)
    (x + 0).backward(dy)
    with T.no_grad():
        x.grad[0] = 100
    assert values(dy) == [1, 1]


def test_two_leaves_do_not_share_a_grad(T):
    a, b = leaf(T, [1.0]), leaf(T, [2.0])
    (a + b).sum().backward()
    with T.no_grad():
        a.grad += 10
    assert values(b.grad) == [1]


def test_backward_of_a_leaf_itself(T):
    x = leaf(T, 2.0)
    x.backward()
    assert x.grad.item() == 1


def test_broadcast_inputs_get_gradients_of_their_own_shape(T):
    a, b, c = leaf(T, [[1.0], [2.0]]), leaf(T, [1.0, 2.0, 3.0]), leaf(T, 2.0)
    (a * b * c).sum().backward()
    assert (values(a.grad), values(b.grad), values(c.grad)) == ([[12], [12]], [6, 6, 6], 18)


def test_outputs_that_nobody_used_count_as_zero(T):
    x = leaf(T, [1.0, 2.0, 3.0, 4.0])
    first, _ = x.split(2)
    (first * first).sum().backward()
    assert values(x.grad) == [2, 4, 0, 0]


# ------------------------------------------------------------------------------ backward's arguments


def test_gradient_argument_for_non_scalars(T):
    x = leaf(T, [1.0, 2.0])
    (x * x).backward(T.tensor([1.0, 10.0], dtype=T.float64))
    assert values(x.grad) == [2, 40]


def test_non_scalar_without_gradient_raises(T):
    with pytest.raises(RuntimeError):
        (leaf(T, [1.0, 2.0]) * 2).backward()


def test_gradient_of_another_shape_raises(T):
    with pytest.raises(RuntimeError):
        (leaf(T, [1.0, 2.0]) * 2).backward(T.tensor([1.0, 1.0, 1.0], dtype=T.float64))


def test_second_backward_raises(T):
    y = leaf(T, 2.0).exp()
    y.backward()
    with pytest.raises(RuntimeError):
        y.backward()


def test_shared_part_of_two_graphs_is_freed_by_the_first(T):
    h = leaf(T, 2.0).exp()
    (h * 2).backward()
    with pytest.raises(RuntimeError):
        (h * 3).backward()


def test_retain_graph(T):
    x = leaf(T, 2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError):
        y.backward()


def test_nothing_requires_grad_raises(T):
    with pytest.raises(RuntimeError):
        (T.tensor([1.0]) * 2).sum().backward()


def test_create_graph_says_that_it_is_not_supported():
    x = leaf(tensor, 2.0)
    with pytest.raises(RuntimeError, match="create_graph=True is not supported"):
        (x * x).backward(create_graph=True)
    with pytest.raises(RuntimeError, match="create_graph=True is not supported"):
        tensor.grad(x * x, x, create_graph=True)


# -------------------------------------------------------------------------------------------- grad()


def test_grad_touches_no_grad_field(T):
    x, w = leaf(T, 2.0), leaf(T, 5.0)
    gx, gw = grad_of(T, x * x * w, [x, w])
    assert (gx.item(), gw.item(), x.grad, w.grad) == (20, 4, None, None)


def test_grad_with_respect_to_a_computed_tensor(T):
    x = leaf(T, [1.0, 2.0])
    h = x * x
    gh, gx = grad_of(T, (h * 3).sum(), [h, x])
    assert (values(gh), values(gx)) == ([3, 3], [6, 12])


def test_grad_with_respect_to_the_output_itself(T):
    y = leaf(T, 2.0) * 3
    (g,) = grad_of(T, y, y)
    assert g.item() == 1


def test_grad_of_several_outputs_weighted_by_grad_outputs(T):
    x = leaf(T, [1.0, 2.0])
    ones, twos = T.ones(2, dtype=T.float64), 2 * T.ones(2, dtype=T.float64)
    (g,) = grad_of(T, [x * 3, x * x], x, grad_outputs=[ones, twos])
    assert values(g) == [3 + 4, 3 + 8]


def test_unused_input_raises_or_gives_none(T):
    x, unused = leaf(T, 1.0), leaf(T, 1.0)
    with pytest.raises(RuntimeError):
        grad_of(T, x * 2, [x, unused])
    assert grad_of(T, x * 2, [x, unused], allow_unused=True)[1] is None


def test_input_without_requires_grad_raises(T):
    x, constant = leaf(T, 1.0), T.tensor(1.0, dtype=T.float64)
    with pytest.raises(RuntimeError):
        grad_of(T, x * constant, constant)


# ------------------------------------------------------------------------- leaves, detach, retain_grad


def test_leaf_rules(T):
    x = leaf(T, [1.0])
    y = x * 2
    constant = T.tensor([1.0]) * 2
    assert (x.is_leaf, y.is_leaf, constant.is_leaf) == (True, False, True)
    assert (x.grad_fn is None, y.grad_fn is None, constant.requires_grad) == (True, False, False)
    with pytest.raises(RuntimeError):
        y.requires_grad_(False)
    with pytest.raises(RuntimeError):
        T.tensor([1, 2]).requires_grad_()  # integers have no gradient


def test_computed_tensors_keep_no_grad_unless_asked(T):
    x = leaf(T, [1.0, 2.0])
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward()
    assert values(h.grad) == [4, 8]
    assert values(x.grad) == [8, 16]


def test_retain_grad_accumulates_as_a_leaf_does(T):
    x = leaf(T, 3.0)
    h = x * 2
    h.retain_grad()
    (h + h * h).backward(retain_graph=True)
    (h + h * h).backward()
    assert h.grad.item() == 2 * 13


def test_detach_shares_memory_and_stops_gradients(T):
    x = leaf(T, [1.0, 2.0])
    h = x * 2
    d = h.detach()
    assert not d.requires_grad and d.is_leaf
    assert d.data_ptr() == h.data_ptr()
    (h * d).sum().backward()
    assert values(x.grad) == [4, 8]  # d counts as a constant


def test_writing_to_data_goes_unrecorded(T):
    p = leaf(T, [1.0, 2.0])
    (p * p).sum().backward()
    p.data += -0.5 * p.grad
    assert values(p) == [0, 0] and p.is_leaf and p.requires_grad


# -------------------------------------------------------------------------------------------- hooks


def test_hook_sees_and_replaces_the_gradient(T):
    for make in (lambda x: x, lambda x: x * 1):  # on the leaf, and on a computed Tensor
        x, seen = leaf(T, [1.0, 2.0]), []
        h = make(x)
        h.register_hook(lambda g, seen=seen: seen.append(values(g)))
        h.register_hook(lambda g: g * 10)
        h.register_hook(lambda g, seen=seen: seen.append(values(g)))
        (h * 3).sum().backward()
        assert seen == [[3, 3], [30, 30]]
        assert values(x.grad) == [30, 30]


def test_hook_runs_once_with_the_summed_gradient(T):
    x, seen = leaf(T, 2.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x + x * x + x).backward()
    assert seen == [6]


def test_removed_hook_does_not_run(T):
    x, seen = leaf(T, 2.0), []
    handle = x.register_hook(seen.append)
    handle.remove()
    (x * 2).backward()
    assert not seen


# -------------------------------------------------------------------------------------------- modes


def test_no_grad_as_block_decorator_and_bare_decorator(T):
    x = leaf(T, 2.0)

    @T.no_grad()
    def called():
        return x * 2

    @T.no_grad
    def bare():
        return x * 2

    with T.no_grad():
        block = x * 2
    assert not (block.requires_grad or called().requires_grad or bare().requires_grad)
    assert (x * 2).requires_grad


def test_decorated_function_keeps_its_name_and_recurses(T):
    @T.no_grad()
    def countdown(n):
        """Count down."""
        return n if n == 0 else countdown(n - 1)

    assert (countdown(3), countdown.__name__, countdown.__doc__) == (0, "countdown", "Count down.")
    assert T.is_grad_enabled()


def test_enable_grad_inside_no_grad(T):
    x = leaf(T, 2.0)
    with T.no_grad():
        with T.enable_grad():
            y = x * 2
        z = x * 2
    assert (y.requires_grad, z.requires_grad) == (True, False)


def test_inference_mode_records_nothing(T):
    x = leaf(T, 2.0)
    with T.inference_mode():
        assert not (x * 2).requires_grad


@pytest.mark.parametrize("flag", [True, False])
def test_set_grad_enabled_as_block_call_and_decorator(T, flag):
    x = leaf(T, 2.0)
    with T.set_grad_enabled(flag):
        assert (x * 2).requires_grad is flag
    assert T.is_grad_enabled()

    T.set_grad_enabled(flag)
    assert T.is_grad_enabled() is flag
    T.set_grad_enabled(True)

    @T.set_grad_enabled(flag)
    def decorated():
        return (x * 2).requires_grad

    assert decorated() is flag and T.is_grad_enabled()


def test_modes_end_with_an_exception(T):
    with pytest.raises(KeyError), T.no_grad():
        raise KeyError
    assert T.is_grad_enabled()


class Nested(tensor.Op):
    """y = ln x, by another op."""

    def forward(self, x):
        self.x = x
        return tensor.from_numpy(x).log().array

    def backward(self, dy):
        return dy / self.x


def test_infinities_come_without_a_warning_and_numpys_own_settings_stay():
    x = leaf(tensor, [0.0, 1.0])

    def run():
        y = x.log()  # -inf, and 1/0 in backward
        (y + Nested.apply(x)).sum().backward()
        return values(y)

    with np.errstate(divide="raise"):  # the user's, for the user's own arrays
        assert run() == [-np.inf, 0]
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(run()))
    thread.start()
    thread.join()
    assert answers == [[-np.inf, 0]]


def test_each_thread_has_its_own_mode(T):
    seen = []
    with T.no_grad():
        thread = threading.Thread(target=lambda: seen.append(T.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


# ---------------------------------------------------------------------------------- long and wide graphs


def test_chain_100_000_ops_deep():
    x = leaf(tensor, 1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1


def test_deep_graph_is_dropped_without_backward_and_without_recursion():
    gc.disable()
    try:
        y = leaf(tensor, 1.0)
        first = weakref.ref((y := y * 1).grad_fn)
        for _ in range(100_000):
            y = y * 1
        assert first() is not None
        del y
        assert first() is None
    finally:
        gc.enable()


def test_one_leaf_used_10_000_times():
    x = leaf(tensor, np.ones(3))
    total = sum((x * i for i in range(10_000)), start=tensor.zeros(3, dtype=tensor.float64))
    total.sum().backward()
    assert values(x.grad) == [49_995_000] * 3
