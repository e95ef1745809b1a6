"""Activation checkpointing (tensor/recompute.py): the plain call's gradients, bit for bit, or a sentence."""

import tracemalloc

import numpy as np
import pytest

import nn
import tensor
from nn import functional as F
from tensor.recompute import checkpoint
from tinygrad_gpt import GPT, GPTConfig


class Block(nn.Module):
    """A Transformer's MLP, with dropout: two parameters' gradients, a residual path, random numbers."""

    def __init__(self, width: int = 6):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return x + F.dropout(self.down(F.gelu(self.up(x))), 0.3, self.training)


def block() -> Block:
    tensor.manual_seed(1)
    return Block()


def random(*shape: int, requires_grad: bool = True):
    return tensor.from_numpy(np.random.default_rng(0).standard_normal(shape)).float().requires_grad_(requires_grad)


def gradients(of) -> list[np.ndarray | None]:
    return [None if p.grad is None else p.grad.numpy() for p in of]


def assert_same(ours, theirs) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def plain(function, *args, **kwargs):
    return function(*args, **kwargs)


class TestGPT:
    def step(self, checkpointing: bool, *, dropout: float, dtype, frozen: str = "nothing"):
        """Loss, random state and gradients of a GPT's step, and what AdamW makes of the parameters."""
        tensor.manual_seed(3)
        model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=3, n_head=2, n_embd=8, dropout=dropout))
        model.to(dtype=dtype).gradient_checkpointing = checkpointing
        for name, p in model.named_parameters():
            p.requires_grad_(not name.startswith(frozen))
        optimizer = model.configure_optimizers(0.1, 1e-2, (0.9, 0.99))
        idx = tensor.from_numpy(np.random.default_rng(0).integers(11, size=(2, 8)))
        for _ in range(2):  # two batches add up, as in gradient accumulation
            _, loss = model(idx, idx)
            loss.backward()
        grads = gradients(model.parameters())
        optimizer.step()
        return loss.item(), tensor.get_rng_state(), grads, [p.detach().numpy() for p in model.parameters()]

    @pytest.mark.parametrize("frozen", ["nothing", "transformer.w", "transformer.h.1.", "transformer.h."])
    @pytest.mark.parametrize("dtype", [tensor.float32, tensor.float64], ids=str)
    @pytest.mark.parametrize("dropout", [0.0, 0.2])
    def test_a_step_is_bit_for_bit_the_plain_one(self, dropout, dtype, frozen):
        one, other = (self.step(on, dropout=dropout, dtype=dtype, frozen=frozen) for on in (True, False))
        assert one[:2] == other[:2]
        assert_same(one[2], other[2])
        assert_same(one[3], other[3])
        assert (None in [g if g is None else "some" for g in one[2]]) == (frozen != "nothing")

    def test_keeps_a_fraction_of_the_memory(self):
        model = GPT(GPTConfig(block_size=64, vocab_size=11, n_layer=8, n_head=2, n_embd=32))
        idx = tensor.from_numpy(np.random.default_rng(0).integers(11, size=(8, 64)))

        def held(checkpointing: bool) -> int:
            model.gradient_checkpointing = checkpointing
            tracemalloc.start()
            _, loss = model(idx, idx)
            size, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            loss.backward()
            return size

        assert held(True) < held(False) / 5


BLOCK = block()


@pytest.mark.parametrize(
    "function, shapes",
    [
        (lambda x: x.sin() * 2, [(3, 4)]),
        (lambda x, y: x @ y, [(3, 4), (4, 2)]),
        (lambda x, y: (x * y, (x + y).exp()), [(3, 4), (4,)]),
        (lambda x, y: x.exp(), [(3,), (3,)]),  # an input that is not used
        (lambda x: x.view(4, 3), [(3, 4)]),  # an output in the memory of an input
        (lambda x: x, [(3,)]),
        (lambda x: x.clone().mul_(x).add_(1.0), [(3,)]),  # in place, but not into an argument
        (lambda x: checkpoint(lambda x: checkpoint(BLOCK, x) * 2, x).sum(dim=1), [(3, 6)]),  # one inside of another
        (lambda x: x.sum(), [(2, 0)]),
    ],
)
def test_any_function(function, shapes):
    results = []
    for run in (plain, checkpoint):
        tensor.manual_seed(2)
        inputs = [random(*shape) for shape in shapes]
        outputs = run(function, *[x * 1.0 for x in inputs])
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        sum(((i + 1) * y * y).sum() for i, y in enumerate(outputs)).backward()
        results.append(
            [*[y.detach().numpy() for y in outputs], *[x.grad.numpy() for x in inputs if x.grad is not None]]
        )
    assert_same(*results)


def test_inputs_that_are_no_tensors_and_keywords_pass_through():
    x = random(3)
    checkpoint(lambda x, factor, shift=0.0: x * factor + shift, x, 3, shift=1.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


def test_the_same_tensor_twice_gets_both_gradients():
    x = random(3)
    checkpoint(lambda a, b: a * 2 + b * 3, x, x).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0, 5.0]


def test_an_integer_output_and_an_unused_one():
    x = random(2, 3)
    best, place, unused = checkpoint(lambda x: (x.max(dim=1).values, x.argmax(dim=1), x.exp()), x)
    assert not place.requires_grad and unused.requires_grad
    best.sum().backward()
    assert x.grad.sum().item() == 2.0


def test_without_gradients_it_is_the_plain_call():
    calls = []

    def function(x):
        calls.append(x)
        return x * 2

    x = random(3)
    with tensor.no_grad():
        assert not checkpoint(function, x).requires_grad
    assert calls == [x]  # the very same Tensor
    assert not checkpoint(function, random(3, requires_grad=False)).requires_grad


def test_grad_and_hooks_and_retain_graph_see_the_whole_gradient():
    model, x = block().eval(), random(4, 6)
    seen = []
    model.up.weight.register_hook(lambda g: seen.append(g.clone()))
    loss = (checkpoint(model, checkpoint(model, x)) ** 2).sum()
    (of_weight, of_x) = tensor.grad(loss, [model.up.weight, x], retain_graph=True)
    assert model.up.weight.grad is None
    loss.backward()
    np.testing.assert_array_equal(model.up.weight.grad.numpy(), of_weight.numpy())
    np.testing.assert_array_equal(x.grad.numpy(), of_x.numpy())
    assert len(seen) == 2  # once each: not for the parts that the two segments add
    np.testing.assert_array_equal(seen[0].numpy(), of_weight.numpy())
    with pytest.raises(RuntimeError, match="backward a second time"):
        loss.backward()


def test_random_numbers_go_on_as_if_nothing_had_been_drawn_again():
    def numbers(run):
        model = block()
        tensor.manual_seed(5)
        y = run(model, random(4, 6))
        between = tensor.rand(3).tolist()
        y.sum().backward()
        return between, tensor.rand(3).tolist()

    assert numbers(checkpoint) == numbers(plain)


def test_anomalies_are_found_inside():
    x = tensor.tensor([0.0, 1.0], requires_grad=True)
    with tensor.detect_anomaly():
        y = checkpoint(lambda x: x.sqrt() * 2, x)
        with pytest.raises(RuntimeError, match="the backward of Sqrt made the first inf"):
            y.sum().backward()


class Fickle:
    """A function that adds `change` to its result from the second call on."""

    def __init__(self, change):
        self.change, self.calls = change, 0

    def __call__(self, x):
        self.calls += 1
        return x * 2 if self.calls == 1 else self.change(x)


def switched_to_eval():
    model, x = block(), random(4, 6)
    y = checkpoint(model, x)
    model.eval()
    return y


def an_argument_written_afterwards():
    x = random(4, 6) * 1.0
    y = checkpoint(block(), x)
    x.mul_(2.0)
    return y


def a_parameter_written_afterwards():
    model = block()
    y = checkpoint(model, random(4, 6))
    with tensor.no_grad():
        model.up.weight.mul_(2.0)
    return y


def a_parameter_frozen_afterwards():
    model = block()
    y = checkpoint(model, random(4, 6))
    model.up.requires_grad_(False)
    return y


def without_the_random_state():
    return checkpoint(block(), random(4, 6), preserve_rng_state=False)


@pytest.mark.parametrize(
    "prepare, sentence",
    [
        (lambda: checkpoint(Fickle(lambda x: x * 3), random(4)), "did not do the same when backward ran it again"),
        (lambda: checkpoint(Fickle(lambda x: x[:2]), random(4)), "did not do the same when backward ran it again"),
        (lambda: checkpoint(Fickle(lambda x: (x * 2, x)), random(4)), "did not do the same when backward ran it again"),
        (switched_to_eval, "train\\(\\) and eval\\(\\)"),
        (without_the_random_state, "did not do the same"),
        (an_argument_written_afterwards, "backward of Recompute needs the value `arrays`.* changed in place"),
        (a_parameter_written_afterwards, "backward of Recompute needs the value `arrays`.* changed in place"),
        (a_parameter_frozen_afterwards, "did not do the same"),
    ],
)
def test_backward_refuses_another_function(prepare, sentence):
    y = prepare()
    with pytest.raises(RuntimeError, match=sentence):
        y.sum().backward()


W = random(3)


@pytest.mark.parametrize(
    "function, error, sentence",
    [
        (lambda x: x.add_(1.0) * W, RuntimeError, "writes into an argument"),
        (lambda x: [x], TypeError, "must return a Tensor or a tuple of Tensors"),
        (lambda x: x.sum().item(), TypeError, "must return a Tensor or a tuple of Tensors"),
    ],
)
def test_forward_refuses_what_it_could_not_repeat(function, error, sentence):
    with pytest.raises(error, match=sentence):
        checkpoint(function, random(3, requires_grad=False))


def test_a_graph_from_outside_must_be_an_argument():
    w = random(3)
    outside = w.exp()
    with pytest.raises(RuntimeError, match="computed outside and has a graph: pass it as an argument"):
        checkpoint(lambda x: x * outside, random(3))
    checkpoint(lambda x, y: x * y, random(3), outside).sum().backward()
    assert w.grad is not None
