"""What a notebook shows of a Tensor."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

import nn
import tensor
from tensor import display


def tables(x: tensor.Tensor) -> list[list[list[str]]]:
    """The texts of the cells, header cells included, of each table that is shown; it must be well-formed."""
    root = ET.fromstring(x._repr_html_())
    return [[["".join(cell.itertext()) for cell in row] for row in table.iter("tr")] for table in root.iter("table")]


def caption(x: tensor.Tensor) -> str:
    return ET.fromstring(x._repr_html_())[0].text


def colours(x: tensor.Tensor) -> list[str]:
    """Of each number its background: "red 0.60", "blue 0.30" or ""."""
    names = {display.ABOVE: "red", display.BELOW: "blue"}
    found = []
    for cell in ET.fromstring(x._repr_html_()).iter("td"):
        match = re.search(r"rgba\((\d+, \d+, \d+), (.*)\)", cell.get("style"))
        found.append(f"{names[match[1]]} {match[2]}" if match else "")
    return found


def test_one_dim_is_a_row_under_its_indices():
    assert tables(tensor.tensor([3, -1])) == [[["0", "1"], ["3", "-1"]]]


def test_two_dims_are_a_matrix_with_the_indices_of_both():
    x = tensor.arange(4).view(2, 2) / 3
    assert tables(x) == [[["", "0", "1"], ["0", "0", "0.3333"], ["1", "0.6667", "1"]]]


def test_more_dims_are_matrices_with_the_indices_in_front():
    x = tensor.arange(12).view(2, 3, 1, 2)
    shown = tables(x)
    assert [table[0][0] for table in shown] == ["[0, 0]", "[0, 1]", "[0, 2]", "[1, 0]", "[1, 1]", "[1, 2]"]
    assert shown[4] == [["[1, 1]", "0", "1"], ["0", "8", "9"]]


def test_of_a_long_dim_the_ends_are_shown():
    (table,) = tables(tensor.arange(200).view(10, 20))
    assert table[0] == ["", "0", "1", "2", "3", "…", "16", "17", "18", "19"]
    assert [row[0] for row in table[1:]] == ["0", "1", "2", "3", "…", "6", "7", "8", "9"]
    assert table[-1] == ["9", "180", "181", "182", "183", "…", "196", "197", "198", "199"]
    assert len(tables(tensor.zeros(100, 2, 2))) == 2 * display.EDGE
    assert len(tensor.zeros(300, 300, 300)._repr_html_()) < 100_000


def test_colour_says_the_sign_and_the_size_beside_the_largest():
    assert colours(tensor.tensor([0.0, 1.0, -2.0])) == ["", "red 0.30", "blue 0.60"]
    assert colours(tensor.tensor([True, False])) == ["red 0.60", ""]
    assert colours(tensor.tensor([-math.inf, math.nan, 1.0])) == ["", "", "red 0.60"]
    assert colours(tensor.zeros(2)) == ["", ""]


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: tensor.zeros(2, 3), "Tensor float32 (2, 3)"),
        (lambda: tensor.zeros(1, dtype=tensor.int64), "Tensor int64 (1,)"),
        (lambda: tensor.zeros(2, requires_grad=True), "Tensor float32 (2,), requires grad"),
        (lambda: tensor.zeros(2, requires_grad=True) * 2, "Tensor float32 (2,), made by Mul"),
        (lambda: nn.Linear(2, 1).weight, "Parameter float32 (1, 2), requires grad"),
    ],
)
def test_the_caption_says_what_it_is(make, text):
    assert caption(make()) == text


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)])
def test_where_there_is_no_table_the_repr_is_shown(shape):
    assert tensor.zeros(shape)._repr_html_() is None


def test_the_repr_of_no_elements_says_the_shape():
    assert repr(tensor.zeros(0)) == "tensor([])"
    assert repr(tensor.zeros(0, 3)) == "tensor([], size=(0, 3))"
