"""New Tensors are PyTorch's: values, shapes, dtypes, and what shares memory with what."""

import numpy as np
import pytest
import torch
from compare import assert_same, check, numbers, ours_and_theirs

import tensor

# (the call, as source that reads the same for both)
CALLS = [
    "tensor(3)",
    "tensor(3.5)",
    "tensor(True)",
    "tensor([1, 2])",
    "tensor([1, 2.5])",
    "tensor([[True], [False]])",
    "tensor([])",
    "tensor([[], []])",
    "tensor([1, 2], dtype=float64)",
    "tensor([1.7, -2.7], dtype=int64)",
    "tensor([1.0], requires_grad=True)",
    "as_tensor([1, 2])",
    "asarray([1.0, 2.0])",
    "scalar_tensor(3)",
    "zeros(2, 3)",
    "zeros((2, 3))",
    "zeros([2, 3], dtype=int64)",
    "zeros(())",
    "zeros(0, 3)",
    "ones(2, 3)",
    "ones(2, dtype=bool)",
    "full((2, 3), 1.5)",
    "full((2, 3), 7)",
    "full((2,), True)",
    "full((), 7, dtype=float64)",
    "full((2,), tensor(2.5))",
    "full((2,), -1, dtype=uint8)",
    "eye(3)",
    "eye(2, 3)",
    "eye(3, 2, dtype=int64)",
    "eye(0)",
    "arange(5)",
    "arange(0)",
    "arange(5.0)",
    "arange(2, 7)",
    "arange(2, 7, 2)",
    "arange(7, 2, -2)",
    "arange(0, 1, 0.25)",
    "arange(0, 1, 0.1)",
    "arange(1, 2, 0.3, dtype=float64)",
    "arange(5, dtype=float32)",
    "arange(0.0, 5.5, 2, dtype=int64)",
    "arange(tensor(3))",
    "arange(3, requires_grad=True, dtype=float32)",
    "linspace(0, 1, 5)",
    "linspace(-2, 3, 7, dtype=float64)",
    "linspace(0, 5, 5, dtype=int64)",
    "linspace(3, 3, 1)",
    "linspace(0, 1, 0)",
    "linspace(tensor(1.0), 2, steps=3)",
    "logspace(0, 2, 3)",
    "logspace(0, 3, 4, base=2, dtype=float64)",
    "zeros_like(ones(2, 3, dtype=int64))",
    "ones_like(zeros(2, 3, dtype=float64))",
    "ones_like(zeros(2, 3), dtype=bool)",
    "full_like(ones(2, 3, dtype=int64), 7)",
    "full_like(ones(2, 3), 7)",
    "ones(2, dtype=float64).new_zeros(2, 3)",
    "ones(2, dtype=float64).new_zeros((2, 3))",
    "ones(2, dtype=int64).new_ones((2, 3))",
    "ones(2, dtype=int64).new_full((2, 3), 7)",
    "ones(2, dtype=float64).new_tensor([1, 2])",
    "ones(2).new_zeros(3, dtype=int64)",
    "tril_indices(3, 4)",
    "tril_indices(3, 3, -1)",
    "triu_indices(3, 4, 1)",
    "cartesian_prod(tensor([1, 2]), tensor([3, 4, 5]))",
    "cartesian_prod(tensor([1, 2]))",
    "combinations(tensor([1, 2, 3]))",
    "combinations(tensor([1, 2, 3]), r=3)",
    "combinations(tensor([1, 2, 3]), r=2, with_replacement=True)",
    "combinations(tensor([1.0]), r=2)",
]


@pytest.mark.parametrize("call", CALLS)
def test_call(call):
    ours, theirs = eval(call, vars(tensor).copy()), eval(call, vars(torch).copy())
    assert_same(ours, theirs)
    assert ours.requires_grad == theirs.requires_grad
    assert ours.is_leaf
    assert ours.device == "cpu"


EMPTY = ["empty(2, 3)", "empty((2, 3), dtype=int64)", "empty_like(ones(2, 3))", "ones(1).new_empty(2, 3)"]


@pytest.mark.parametrize("call", EMPTY)
def test_empty_has_shape_and_dtype(call):
    ours, theirs = eval(call, vars(tensor).copy()), eval(call, vars(torch).copy())
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) in str(theirs.dtype)


@pytest.mark.parametrize("indexing", ["ij", "xy"])
@pytest.mark.parametrize("shapes", [[(2,), (3,), (4,)], [(2,), (3,)], [(3,)], [(), (2,)], [(0,), (2,)]], ids=str)
def test_meshgrid(shapes, indexing):
    vectors = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    check(tensor.meshgrid, torch.meshgrid, vectors, {"indexing": indexing})
    check(tensor.meshgrid, torch.meshgrid, [vectors], {"indexing": indexing})


def test_gradient_flows_through_cartesian_prod_and_combinations():
    check(*ours_and_theirs("cartesian_prod"), [numbers(2), numbers(3, seed=1)])
    check(*ours_and_theirs("combinations"), [numbers(4)])


def test_what_shares_memory():
    array = np.zeros(3)
    for function in (tensor.from_numpy, tensor.as_tensor, tensor.asarray):
        assert np.shares_memory(function(array).array, array)
    assert not np.shares_memory(tensor.tensor(array).array, array)
    x = tensor.from_numpy(array)
    assert tensor.as_tensor(x) is x
    assert not np.shares_memory(tensor.as_tensor(x, dtype=tensor.float32).array, array)
    assert not np.shares_memory(tensor.asarray(array, copy=True).array, array)


def test_default_dtype():
    tensor.set_default_dtype(tensor.float64)
    try:
        assert tensor.zeros(1).dtype == tensor.tensor(1.0).dtype == tensor.arange(1.0).dtype == tensor.float64
        assert (tensor.arange(3) / 2).dtype == tensor.full((1,), 0.5).dtype == tensor.float64
    finally:
        tensor.set_default_dtype(tensor.float32)
    with pytest.raises(TypeError, match="the default dtype must be a floating-point one, got int64"):
        tensor.set_default_dtype(tensor.int64)


ERRORS = [
    (lambda: tensor.tensor([[1, 2], [3]]), "rows must have equal lengths"),
    (lambda: tensor.tensor("three"), "cannot make a Tensor of str three"),
    (lambda: tensor.tensor([1j]), "a Tensor cannot hold complex128"),
    (lambda: tensor.zeros(2, dtype="uint32"), "a Tensor cannot hold uint32: use one of float16"),
    (lambda: tensor.zeros(2, dtype=tensor.int64, requires_grad=True), "only floating-point Tensors can require grad"),
    (lambda: tensor.zeros(2, device="tpu"), "there is no device 'tpu': use 'cpu', 'cuda' or 'cuda:N'"),
    (lambda: tensor.from_numpy([1, 2]), "from_numpy: expected a NumPy array, got list; tensor(...) takes anything"),
    (lambda: tensor.arange(0, 5, -1), "arange: from 0 to 5 in steps of -1 never arrives: step needs the other sign"),
    (lambda: tensor.arange(0, 5, 0), "arange: from 0 to 5 in steps of 0 never arrives"),
    (lambda: tensor.linspace(0, 1, -1), "linspace: the number of steps must be at least 0, got -1"),
    (lambda: tensor.meshgrid(tensor.zeros(2, 2)), "meshgrid: expected vectors, got shapes (2, 2)"),
    (lambda: tensor.meshgrid(tensor.zeros(2), indexing="yx"), "meshgrid: indexing must be 'ij' or 'xy', got 'yx'"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error_says_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises((RuntimeError, TypeError)) as error:
        call()
    assert text in str(error.value)


@pytest.mark.skipif(tensor.cuda.is_available(), reason="says what happens on a machine without CUDA")
def test_cuda_without_a_gpu_says_what_is_missing():
    assert tensor.cuda.device_count() == 0
    for call in (lambda: tensor.zeros(2, device="cuda"), lambda: tensor.zeros(2).cuda(), tensor.cuda.synchronize):
        with pytest.raises(RuntimeError, match=r"CUDA needs CuPy|there is no CUDA device|finds no usable CUDA device"):
            call()
