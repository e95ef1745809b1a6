"""detect_anomaly: which op first made a NaN or inf, forward or backward, and the user's line that called it."""

import math
import re

import pytest

import tensor


def leaf(data):
    return tensor.tensor(data, dtype=tensor.float64, requires_grad=True)


@pytest.mark.parametrize(
    "fn, message",
    [
        (lambda: leaf([1.0, 0.0]).log(), r"Log made the first inf \(inputs of shape \(2,\)\)"),
        (lambda: leaf([-1.0, 2.0]).log() * 2, r"Log made the first NaN"),
        (lambda: leaf([1000.0]).exp() - 1, r"Exp made the first inf"),
        (lambda: leaf([1.0]) / leaf([0.0]), r"Div made the first inf \(inputs of shape \(1,\), \(1,\)\)"),
    ],
    ids=["log 0", "log of a negative", "overflow", "division by zero"],
)
def test_forward_names_the_op_and_the_line(fn, message):
    with pytest.raises(RuntimeError, match=message) as caught, tensor.detect_anomaly():
        fn()
    assert re.search(rf"{re.escape(__file__)}.*, line {fn.__code__.co_firstlineno}", str(caught.value))


def test_backward_names_the_op_and_where_its_forward_was_called():
    x = leaf([4.0, 0.0])
    with tensor.detect_anomaly():
        y = x**0.5  # fine forward; the derivative at 0 is infinite
        with pytest.raises(RuntimeError, match="backward of Power made the first inf") as caught:
            y.sum().backward()
    assert "y = x**0.5" in str(caught.value)


def test_backward_alone_still_names_the_op():
    y = (leaf([4.0, 0.0]) ** 0.5).sum()
    message = r"backward of Power .* run the forward in detect_anomaly"
    with pytest.raises(RuntimeError, match=message), tensor.detect_anomaly():
        y.backward()


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * math.inf,  # written on purpose
        lambda x: x + tensor.tensor([-math.inf, 0.0], dtype=tensor.float64),
        lambda x: (x + tensor.tensor([-math.inf, 0.0], dtype=tensor.float64)).exp(),
        lambda x: x + math.nan,
    ],
    ids=["a number", "a mask", "after a mask", "an input NaN"],
)
def test_what_the_inputs_explain_is_no_anomaly(fn):
    with tensor.detect_anomaly():
        fn(leaf([1.0, 2.0]))


def test_it_ends_with_the_block_and_is_off_by_default():
    with tensor.detect_anomaly():
        leaf([1.0]).log()
    assert leaf([0.0]).log().item() == -math.inf


def test_an_in_place_write_is_traced_to_the_line_of_the_op():
    with tensor.detect_anomaly():
        x = leaf([1.0, 2.0]) * 1
        y = x.log()
        x.add_(1)
        with pytest.raises(RuntimeError) as caught:
            y.sum().backward()
    assert "y = x.log()" in str(caught.value)
