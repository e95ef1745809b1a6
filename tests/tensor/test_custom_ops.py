"""`class MyOp(Op)`: the public way to add an operation, and what happens when it is written wrongly."""

import numpy as np
import pytest

import tensor
from tensor import Op


class Square(Op):
    """y = x²."""

    vjp = "dx = 2 x ⊙ dy"

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return 2 * self.x * dy


class Affine(Op):
    """y = scale · a + b, broadcast."""

    def forward(self, a, b, *, scale=1.0):
        self.scale = scale
        return scale * a + b

    def backward(self, dy):
        return self.scale * dy, dy


class MinMax(Op):
    """The least and the greatest element: two outputs."""

    def forward(self, x):
        self.shape, self.low, self.high = x.shape, x.argmin(), x.argmax()
        return x.min(), x.max()

    def backward(self, dlow, dhigh):
        dx = np.zeros(self.shape)
        dx.flat[self.low] += dlow
        dx.flat[self.high] += dhigh
        return dx


def leaf(data):
    return tensor.tensor(data, dtype=tensor.float64, requires_grad=True)


def test_gradients_are_those_of_the_mathematics():
    x, b = leaf([[1.0, -2.0], [3.0, 0.5]]), leaf([1.0, 2.0])
    assert tensor.gradcheck(Square.apply, [x])
    assert tensor.gradcheck(lambda x, b: Affine.apply(x, b, scale=3.0), [x, b])  # b is summed back to its shape
    assert tensor.gradcheck(MinMax.apply, [x])


def test_several_outputs_come_as_a_tuple_and_unused_ones_count_as_zero():
    x = leaf([1.0, -2.0, 3.0])
    low, high = MinMax.apply(x)
    high.backward()
    assert (low.item(), high.item(), x.grad.tolist()) == (-2, 3, [0, 0, 1])


def test_numbers_are_passed_on_and_constants_get_no_gradient():
    x = leaf([1.0, 2.0])
    y = Affine.apply(x, 5.0)
    y.sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([6, 7], [1, 1])
    assert not Square.apply(tensor.tensor([1.0])).requires_grad


def test_needs_tells_which_inputs_want_a_gradient():
    seen = []

    class Look(Op):
        def forward(self, a, b):
            seen.append(list(self.needs))
            return a + b

        def backward(self, dy):
            return dy, dy

    a, b = leaf([1.0]), tensor.tensor([1.0], dtype=tensor.float64)
    Look.apply(a, b)
    Look.apply(b, a)
    with tensor.no_grad():
        Look.apply(a, a)
    assert seen == [[True, False], [False, True], [False, False]]


def test_what_an_op_saved_is_watched():
    x = leaf([1.0, 2.0]) * 1
    y = Square.apply(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="backward of Square needs the value `x`"):
        y.sum().backward()


def test_a_list_of_saved_arrays_is_watched_too():
    class Product(Op):
        def forward(self, a, b):
            self.both = [a, b]
            return a * b

        def backward(self, dy):
            return dy * self.both[1], dy * self.both[0]

    a, b = leaf([1.0, 2.0]) * 1, leaf([3.0, 4.0]) * 1
    y = Product.apply(a, b)
    b.add_(1)
    with pytest.raises(RuntimeError, match="backward of Product needs the value `both`"):
        y.sum().backward()


@pytest.mark.parametrize("written", ["input", "output"])
def test_what_an_op_saved_is_watched_through_views(written):
    """No saved array is the input's or the output's very own: one is a view of it, the other what it is a view of."""

    class Rows(Op):
        def forward(self, x):
            self.x = x.reshape(-1) if written == "input" else None
            self.y = np.exp(x.reshape(-1)) if written == "output" else None
            return np.exp(x) if self.y is None else self.y.reshape(x.shape)

        def backward(self, dy):
            y = np.exp(self.x) if self.y is None else self.y
            return dy * y.reshape(dy.shape)

    x = leaf([[1.0, 2.0]]) * 1
    y = Rows.apply(x)
    Rows.apply(x).sum().backward(retain_graph=True)  # nothing was written yet
    (x if written == "input" else y).add_(1)
    with pytest.raises(RuntimeError, match="backward of Rows needs the value"):
        y.sum().backward()


def test_a_gradient_in_a_wider_dtype_comes_back_in_the_inputs():
    class Wide(Square):
        def backward(self, dy):
            return (2 * self.x * dy).astype(np.float64)

    x = tensor.tensor([1.0], requires_grad=True)
    Wide.apply(x).sum().backward()
    assert x.grad.dtype == tensor.float32


def _with_backward(answer):
    class Wrong(Op):
        def forward(self, a, b):
            return a * b

        def backward(self, dy):
            return answer(dy)

    return Wrong


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda dy: dy, r"Wrong\.backward returned 1 gradient\(s\) for 2 inputs"),
        (lambda dy: (dy, dy, dy), r"Wrong\.backward returned 3 gradient\(s\) for 2 inputs"),
        (lambda dy: (dy[:1], dy), r"Wrong\.backward returned a gradient of shape \(1,\) for an input of shape \(2,\)"),
        (lambda dy: (dy, np.ones((2, 3))), r"returned a gradient of shape \(2, 3\) for an input of shape \(2,\)"),
        (lambda dy: (None, dy), "Wrong has no gradient rule for input 0, which requires grad"),
    ],
    ids=["too few", "too many", "too small", "not a broadcast", "none where one is needed"],
)
def test_a_wrong_backward_is_named(answer, message):
    y = _with_backward(answer).apply(leaf([1.0, 2.0]), leaf([3.0, 4.0]))
    with pytest.raises(RuntimeError, match=message):
        y.backward(tensor.ones(2, dtype=tensor.float64))


def test_none_is_fine_where_no_gradient_is_wanted():
    a, b = leaf([1.0, 2.0]), tensor.tensor([3.0, 4.0], dtype=tensor.float64)
    _with_backward(lambda dy: (3 * dy, None)).apply(a, b).sum().backward()
    assert a.grad.tolist() == [3, 3]


def test_an_op_without_backward_raises_instead_of_dropping_the_graph():
    class Floorish(Op):
        def forward(self, x):
            return np.floor(x)

    assert Floorish.apply(tensor.tensor([1.5])).tolist() == [1]
    with pytest.raises(RuntimeError, match="Floorish has no gradient rule"):
        Floorish.apply(leaf([1.5]))


def test_an_op_without_backward_may_return_integers():
    class Sign(Op):
        def forward(self, x):
            return x > 0

    assert not Sign.apply(leaf([1.5, -1.0])).requires_grad


def test_an_op_without_forward_says_so():
    class Empty(Op):
        """Nothing yet."""

    with pytest.raises(TypeError, match="Empty has no forward"):
        Empty.apply(leaf([1.0]))


class Second(Op):
    """y = b itself: the output is the very array of the second input."""

    def forward(self, a, b):
        return b

    def backward(self, dy):
        return np.zeros_like(dy), dy


def test_an_output_that_is_an_input_shares_its_write_counter():
    a, leaf = tensor.ones(3), tensor.ones(3, requires_grad=True)
    b = leaf * 1
    loss = (b * b).sum()
    y = Second.apply(a, b)
    y += 1  # writes to b, which the product saved
    with pytest.raises(RuntimeError, match="backward of Mul needs the value"):
        loss.backward()


def test_an_op_without_tensors_makes_a_leaf():
    class Ones(Op):
        def forward(self, n):
            return np.ones(n)

    assert Ones.apply(3).is_leaf
