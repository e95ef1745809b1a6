"""Tensors on the GPU: where they lie, that devices do not mix, memory and what is copied."""

import gc

import numpy as np
import pytest

import nn
import tensor
from nn import functional as F

SECOND_GPU = pytest.mark.skipif(tensor.cuda.device_count() < 2, reason="needs two GPUs")


def test_there_is_a_gpu():
    assert tensor.cuda.is_available()
    assert tensor.cuda.device_count() >= 1
    assert tensor.cuda.current_device() == 0
    assert tensor.cuda.get_device_name()


def test_there_and_back():
    x = tensor.tensor([[1.0, 2.0], [3.0, 4.0]], device="cpu", requires_grad=True)
    y = x.cuda()
    assert (str(x.device), str(y.device), y.is_cuda) == ("cpu", "cuda:0", True)
    assert y.cuda() is y
    (y * y).sum().backward()  # backward comes back over the bus
    assert x.grad.device == "cpu"
    assert x.grad.tolist() == [[2, 4], [6, 8]]
    assert y.detach().cpu().tolist() == x.tolist()
    with pytest.raises(TypeError, match=r"\.cpu\(\)"):
        y.detach().numpy()
    assert y.numpy(force=True).tolist() == x.tolist()


CREATORS = {
    "tensor": lambda **k: tensor.tensor([1.0], **k),
    "as_tensor": lambda **k: tensor.as_tensor(np.ones(2), **k),
    "zeros": lambda **k: tensor.zeros(2, **k),
    "ones": lambda **k: tensor.ones(2, **k),
    "empty": lambda **k: tensor.empty(2, **k),
    "full": lambda **k: tensor.full((2,), 3.0, **k),
    "eye": lambda **k: tensor.eye(2, **k),
    "arange": lambda **k: tensor.arange(3, **k),
    "linspace": lambda **k: tensor.linspace(0, 1, 3, **k),
    "rand": lambda **k: tensor.rand(2, **k),
    "randn": lambda **k: tensor.randn(2, **k),
    "randint": lambda **k: tensor.randint(9, (2,), **k),
    "randperm": lambda **k: tensor.randperm(4, **k),
    "tril_indices": lambda **k: tensor.tril_indices(2, 2, **k),
}


@pytest.mark.parametrize("name", CREATORS)
@pytest.mark.parametrize("device", ["cpu", "cuda", pytest.param("cuda:1", marks=SECOND_GPU)])
def test_a_new_tensor_lies_where_it_was_asked_for(name, device):
    assert CREATORS[name](device=device).device == device


@pytest.mark.parametrize("name", CREATORS)
def test_a_new_tensor_lies_on_the_default_device(name):
    assert CREATORS[name]().device == "cuda"  # conftest.py sets it
    tensor.set_default_device(None)
    try:
        assert CREATORS[name]().device == "cpu"
    finally:
        tensor.set_default_device("cuda")
    assert tensor.get_default_device() == "cuda:0"


def test_random_numbers_are_the_same_on_every_device():
    for name in ("rand", "randn", "randint", "randperm"):
        tensor.manual_seed(7)
        here = CREATORS[name](device="cpu")
        tensor.manual_seed(7)
        assert CREATORS[name](device="cuda").tolist() == here.tolist()


@SECOND_GPU
def test_results_and_gradients_stay_on_their_gpu():
    x = tensor.randn(3, 4, device="cuda:1", requires_grad=True)
    y = nn.Linear(4, 2).to("cuda:1")(x).softmax(-1)
    y.sum().backward()
    assert (y.device, x.grad.device) == ("cuda:1", "cuda:1")


MIXTURES = {
    "add": lambda a, b: a + b,
    "matmul": lambda a, b: a @ b,
    "cat": lambda a, b: tensor.cat([a, b]),
    "where": lambda a, b: tensor.where(a > 0, a, b),
    "linear": F.linear,
    "layer_norm": lambda a, b: F.layer_norm(a, (2,), b[0]),
    "embedding": lambda a, b: F.embedding(a.long(), b),
    "cross_entropy": lambda a, b: F.cross_entropy(a, b[0].long()),
    "attention": lambda a, b: F.scaled_dot_product_attention(a[None, None], b[None, None], b[None, None]),
}


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("other", ["cpu", pytest.param("cuda:1", marks=SECOND_GPU)])
def test_devices_do_not_mix(name, other):
    a, b = tensor.ones(2, 2, device="cuda"), tensor.ones(2, 2, device=other)
    with pytest.raises(RuntimeError, match=f"different devices.*(cuda:0.*{other}|{other}.*cuda:0)"):
        MIXTURES[name](a, b)


def test_a_gpu_that_is_not_there():
    with pytest.raises(RuntimeError, match="there is no cuda:77"):
        tensor.zeros(1, device="cuda:77")
    with pytest.raises(RuntimeError, match="there is no cuda:77"):
        tensor.ones(1).to("cuda:77")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: F.embedding(tensor.tensor([0, 5]), tensor.ones(5, 2)),
        lambda: F.cross_entropy(tensor.ones(2, 3), tensor.tensor([0, 3])),
        lambda: tensor.ones(3)[tensor.tensor([0, -4])],
        lambda: tensor.ones(2, 2).gather(1, tensor.tensor([[0], [2]])),
    ],
    ids=["embedding", "cross_entropy", "index", "gather"],
)
def test_an_index_out_of_range_raises_when_something_is_read(wrong):
    y = wrong()
    with pytest.raises(IndexError, match=r"must lie in|out of range"):
        y.sum().item()
    assert tensor.ones(2).sum().item() == 2  # once


def test_memory_is_counted_and_given_back():
    gc.collect()
    tensor.cuda.synchronize()
    start = tensor.cuda.memory_allocated()
    tensor.cuda.reset_peak_memory_stats()
    x = tensor.ones(1000, 1000)
    for _ in range(3):
        y = x + 1
    del y
    assert tensor.cuda.memory_allocated() == start + 4_000_256  # in blocks of 512 bytes
    assert tensor.cuda.max_memory_allocated() - start == 3 * 4_000_256  # the next y is made before the last one goes
    del x
    assert tensor.cuda.memory_allocated() == start
    tensor.cuda.empty_cache()
    tensor.cuda.reset_peak_memory_stats()
    assert tensor.cuda.max_memory_allocated() == start


def test_events_time_the_work():
    start, end = tensor.cuda.Event(enable_timing=True), tensor.cuda.Event(enable_timing=True)
    start.record()
    x = tensor.ones(64, 64)
    (x @ x).sum()
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) > 0
