"""Formulas: what `vjp` says becomes LaTeX, and every op of the engine gets MathML that an XML parser reads."""

import xml.etree.ElementTree as ET

import pytest

import nn  # noqa: F401  (brings its ops into being)
from tensor import Op
from tinygrad_gpt.explore.formula import latex, lines, mathml


@pytest.mark.parametrize(
    "formula, expected",
    [
        ("dA = dY Bᵀ", r"\mathrm{d}A = \mathrm{d}Y\,B^{T}"),
        ("dx_i = dy / n", r"\mathrm{d}x_{i} = \mathrm{d}y / n"),
        ("dx = dy / √(1 − x²)", r"\mathrm{d}x = \mathrm{d}y / \sqrt{1 - x^{2}}"),
        ("dx = dy ⊙ n xⁿ⁻¹", r"\mathrm{d}x = \mathrm{d}y \odot  n\,x^{n-1}"),
        ("dx = dy where y > 0, else 0", r"\mathrm{d}x = \mathrm{d}y\;\text{where}\;y > 0, \text{else}\;0"),
        ("x̂ mean(g)", r"\hat{x}\;\text{mean}(g)"),
        ("dx_i = dy Π_{j≠i} x_j", r"\mathrm{d}x_{i} = \mathrm{d}y \prod _{j\ne i}\,x_{j}"),
        ("dx[i] += dy", r"\mathrm{d}x[i]\;\text{+=}\,\mathrm{d}y"),
        ("dx = x σ(2x) exp(−x)", r"\mathrm{d}x = x\,\sigma (2x) \exp (-x)"),
    ],
)
def test_latex(formula, expected):
    assert latex(formula) == expected


def every_op(base=Op):
    for op in base.__subclasses__():
        yield op
        yield from every_op(op)


def test_every_formula_of_the_engine_is_typeset():
    formulas = {op.vjp for op in every_op() if op.vjp and op.__module__.partition(".")[0] in ("tensor", "nn")}
    assert len(formulas) > 50
    for formula in formulas:
        parts = mathml(formula)
        assert len(parts) == len(lines(formula)) >= formula.count(";") + 1
        for part in parts:
            assert ET.fromstring(part).tag.endswith("math")
        assert not set("⊙−·ᵀ²³√") & set("".join(map(latex, lines(formula))))


def test_gradients_and_definitions_stand_on_lines_of_their_own():
    assert lines("dx = dy g, g = σ(x, 2);  db = Σ dy") == ["dx = dy g", "g = σ(x, 2)", "db = Σ dy"]
    assert lines("dx, dθ = computed again") == ["dx, dθ = computed again"]
