"""What the checker says of answers that are wrong, against the rule, or no Python at all."""

import ast

import numpy as np
import pytest

import tensor
from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.compare import compare
from tinygrad_gpt.exercises.examine import BROKEN, FAILED, PASSED, RAISED, RULE, UNWRITTEN, examine, examine_text
from tinygrad_gpt.exercises.parts import OneExpression, Wrong, expect
from tinygrad_gpt.exercises.rules import violations
from tinygrad_gpt.exercises.stub import solution, stub


def answer(name: str, body: str) -> str:
    """The student's file for an exercise with that body in the function."""
    return (
        stub(find(name))
        .replace("    return ...  # one expression here\n", body)
        .replace("    return ...  # your lines here\n", body)
    )


def everything(verdict) -> str:
    return "\n".join([verdict.sentence, *verdict.lines, *verdict.symptoms, verdict.where])


@pytest.mark.parametrize(
    "body, state, sentence",
    [
        ("    return (ids[:, None] == tensor.arange(num_classes)).long()\n", PASSED, "Right in all"),
        ("    return (tensor.arange(num_classes) == ids[..., None]).long()\n", PASSED, "Right in all"),
        ("    return ...\n", UNWRITTEN, "Replace the `...` in `one_hot`"),
        ("    return (ids[:, None]\n", BROKEN, "is not Python: '(' was never closed"),
        ("return 1 +\n", BROKEN, "is not Python"),
        ("    return ids\n", FAILED, "The shape is (1,), expected (1, 1)."),
        ("    return 7\n", FAILED, "The result should be a Tensor of shape (1, 1), but it is an int."),
        (
            "    return (ids[:, None] == tensor.arange(num_classes + 1)).long()\n",
            FAILED,
            "Only dim 1 is wrong: its size is",
        ),
        ("    return (ids[:, None] != tensor.arange(num_classes)).long()\n", FAILED, "at [0, 0]: expected 1, got 0"),
        (
            "    return (ids[:, None] == tensor.arange(num_classes)).float()\n",
            FAILED,
            "dtype is float32, expected int64",
        ),
        ("    return ids[:, None, 0] + tensor.arange(2)\n", RAISED, "IndexError"),
        ("    return idz\n", RULE, "uses `idz` (did you mean ids?), which is not allowed here"),
        ("    return tensor.nn(ids)\n", RULE, "`nn`, which is not allowed here (allowed: arange, long, float, where)"),
        ("    return [v for v in ids]\n", RULE, "a comprehension is a loop"),
        ("    x = ids\n    return x\n", RULE, "is an assignment; the rule is a single `return`"),
    ],
)
def test_one_hot(body, state, sentence):
    verdict = examine_text(find("one_hot"), answer("one_hot", body), "a04_one_hot.py")
    assert verdict.state == state
    assert sentence in everything(verdict)


@pytest.mark.parametrize(
    "name, expression",
    [
        ("one_hot", "tensor.where(ids[:, None] == tensor.arange(num_classes), 1, 0)"),
        ("one_hot", "(tensor.arange(num_classes) == ids[:, None]) * 1"),
        ("countdown", "tensor.arange(n - 1, -1, -1)"),
        ("countdown", "tensor.arange(n)[n - 1 - tensor.arange(n)]"),
        ("countdown", "-tensor.arange(1 - n, 1)"),
        ("outer", "a[:, None] @ b[None]"),
        ("outer", "a[:, None] * b[None, :]"),
        ("split_heads", "x.view(x.shape[0], x.shape[1], n_head, -1).transpose(1, 2)"),
        ("merge_heads", "y.permute(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)"),
        ("merge_heads", "y.transpose(1, 2).flatten(2)"),
        ("attention_scores", "q @ k.mT / q.shape[-1] ** 0.5"),
        ("expand_batch", "x[None].expand(B, -1, -1)"),
        ("expand_batch", "x.expand(B, *x.shape)"),
        ("bucketize", "(borders[:, None] <= x).sum(0)"),
        ("bucketize", "(borders <= x[:, None]).long().sum(-1)"),
        ("patches", "x.view(x.shape[0] // p, p, -1, p).permute(0, 2, 1, 3)"),
        (
            "strided",
            "memory[(offset + tensor.arange(rows) * row_stride)[:, None] + tensor.arange(columns) * column_stride]",
        ),
    ],
)
def test_other_right_answers_pass(name, expression):
    verdict = examine_text(find(name), answer(name, f"    return {expression}\n"), find(name).filename)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    "body, state, sentence",
    [
        ("    x[0] = 0\n    return x\n", FAILED, "It changes its input `x` in place"),
        ("    return x.array\n", FAILED, "elements differ"),
        ("    return None\n", FAILED, "but it is None"),
        ("    return x.mean(1, keepdim=True).tolist()\n", FAILED, "but it is a list"),
        ("    return x / 0 * 0\n", FAILED, "There are NaN"),
        ("    raise ValueError('mine')\n", RAISED, "ValueError: mine"),
        ("    def f(n):\n        return f(n)\n    return f(1)\n", RAISED, "a function calls itself without end"),
        ("    exit(3)\n", RAISED, "It calls exit(3): return a value instead."),
    ],
)
def test_average_v1(body, state, sentence):
    """An exercise without rules: anything may be written."""
    verdict = examine_text(find("average_v1"), answer("average_v1", body), "a10_average_v1.py")
    assert verdict.state == state, verdict
    assert sentence in everything(verdict)


@pytest.mark.parametrize(
    "before, after, sentence",
    [
        ("def one_hot(", "def onehot(", "The function `one_hot` is missing (did you mean onehot?)"),
        ("(ids, num_classes):", "(ids):", "should be `def one_hot(ids, num_classes):`"),
        ("(ids, num_classes):", "(num_classes, ids):", "should be `def one_hot(ids, num_classes):`"),
        (
            "import tensor\n",
            "import tensors\n",
            "The file cannot be imported: ModuleNotFoundError: No module named 'tensors'",
        ),
        ("import tensor\n", "import tensor\n\x00", "cannot contain null bytes"),
        ("import tensor\n", "import tensor\n1 / 0\n", "The file cannot be imported: ZeroDivisionError"),
    ],
)
def test_files_that_cannot_be_checked(before, after, sentence):
    text = solution(find("one_hot")).replace(before, after)
    verdict = examine_text(find("one_hot"), text, "a04_one_hot.py")
    assert not verdict.passed
    assert sentence in everything(verdict)


def test_annotations_and_a_shorter_docstring_are_welcome():
    text = "import tensor\n\ndef one_hot(ids: tensor.Tensor, num_classes: int) -> tensor.Tensor:\n"
    text += "    return (ids[:, None] == tensor.arange(num_classes)).long()\n"
    assert examine_text(find("one_hot"), text, "a04_one_hot.py").passed


def test_a_file_in_another_encoding(tmp_path):
    path = tmp_path / "a04_one_hot.py"
    path.write_bytes(b"# caf\xe9\n")
    assert "cannot be read as UTF-8" in examine(find("one_hot"), path).sentence


def test_an_exception_shows_the_students_lines_only():
    body = "    y = x + 1\n    return y @ tensor.ones(99)\n"
    verdict = examine_text(find("average_v1"), answer("average_v1", body), "a10_average_v1.py")
    assert verdict.state == RAISED
    assert [line.split(maxsplit=1)[1] for line in verdict.lines] == ["return y @ tensor.ones(99)"]
    assert verdict.sentence.startswith("RuntimeError: matmul: ")
    assert verdict.inputs["x"].startswith("float32 (1, 1, 1)")


def test_the_smallest_failing_case_is_shown():
    body = "    return tensor.arange(n)\n"  # right for 0 and 1
    verdict = examine_text(find("countdown"), answer("countdown", body), "a01_countdown.py")
    assert verdict.inputs == {"n": "2"}
    assert verdict.failed_cases == verdict.cases - 2
    assert "It is reversed along dim 0." in verdict.symptoms


def test_of_several_methods_the_check_says_how_far_the_written_ones_get():
    text = solution(find("autograd")).replace(
        "        return Value(np.log(self.data), (self,),",
        "        return ...\n\n    def unused(self):\n        return Value(np.log(self.data), (self,),",
    )
    verdict = examine_text(find("autograd"), text, "d02_autograd.py")
    assert verdict.sentence.startswith("(a * a + 1.0).log() is a")
    assert "Still to be written: `log`." in verdict.symptoms


@pytest.mark.parametrize(
    "expression, sentence",
    [
        ("x", None),
        ("x[0, None] @ x * 2 ** 0.5", None),
        ("tensor.arange(3)", None),
        ("-x.shape[0] + x.ndim", None),
        ("(x < 1) & (x > 0)", None),
        ("x.array", "`array`"),
        ("sum(x)", "`sum`"),
        ("__import__('numpy').eye(3)", "`__import__`"),
        ("x.__class__", "`__class__`"),
        ("numpy.eye(3)", "`numpy`"),
        ("x if x else x", "an `if` inside the expression is a condition"),
        ("(lambda y: y)(x)", "a lambda is a function of its own"),
        ("(y := x)", "`:=` is an assignment"),
        ("{v for v in x}", "a comprehension is a loop"),
        ("{v: v for v in x}", "a comprehension is a loop"),
        ("arange(v for v in x)", "a generator is a loop"),
    ],
)
def test_rules_of_one_expression(expression, sentence):
    function = ast.parse(f"def f(x):\n    return {expression}").body[0]
    found = violations(OneExpression(allow="arange"), function, {"tensor"})
    assert (sentence is None) == (not found)
    assert sentence is None or sentence in found[0]
    assert all(line.startswith("Line 2") for line in found)


@pytest.mark.parametrize(
    "body, kind",
    [
        ("for i in x: pass\n    return x", "a `for` loop"),
        ("while x: pass\n    return x", "a `while` loop"),
        ("if x: pass\n    return x", "an `if`"),
        ("x += 1\n    return x", "an assignment"),
        ("print(x)\n    return x", "a statement before the `return`"),
        ("def g(): return 1\n    return x", "a function inside the function"),
        ("import os\n    return x", "`import os`"),
    ],
)
def test_rules_of_a_single_return(body, kind):
    function = ast.parse(f"def f(x):\n    {body}").body[0]
    assert f"Line 2 is {kind}; the rule is a single `return`." in violations(OneExpression(), function, set())


A = np.arange(6.0).reshape(2, 3) + 1
SQUARE = np.arange(9.0).reshape(3, 3) + 1


@pytest.mark.parametrize(
    "expected, got, symptom",
    [
        (A, A.T, "a transpose would put them right"),
        (SQUARE, SQUARE.T, "a transpose would put them right"),
        (A[None], A[None].transpose(2, 0, 1), "permute(1, 2, 0) would put them right"),
        (A, A.reshape(3, 2), "only the shape is not"),
        (A[:, :1], A[:, 0] * 2, "A dim of size 1 is missing or too many"),
        (A, A.sum(0), "It has 1 dim(s), expected 2."),
        (A, A[:, :2], "Only dim 1 is wrong: its size is 2, expected 3."),
        (A, A[::-1], "It is reversed along dim 0."),
        (A, np.roll(A, 1, 1), "It is shifted by one along dim 1."),
        (A, -A, "Every element has the opposite sign."),
        (A, A / 7, "Every element is 0.142857 times what it should be."),
        (A, A * 4, "4 times what it should be: 4, and 4 is the size of dim 1 of x, a sum where a mean belongs"),
        (A, A / 5, "0.2 times what it should be: 1/5, and 5 is the size of dim 0 of x, a sum where a mean belongs"),
        (A, A * 2.0, "2 times what it should be: √4, and 4 is the size of dim 1 of x, a scale?"),
        (A, A + 2, "Every element is 2 too large."),
        (A, A * np.nan, "There are NaN"),
        (A, A * 0, "It is 0 everywhere."),
        (A > 2, A <= 2, "Every element is the opposite of what it should be."),
        (SQUARE, SQUARE + np.eye(3), "It is wrong on the diagonal only."),
        (SQUARE, np.tril(SQUARE), "It is wrong above the diagonal only."),
        (SQUARE, np.triu(SQUARE), "It is wrong below the diagonal only."),
        (A, A + np.array([0, 0, 9]), "It is wrong only at index 2 (the last) of dim 1."),
        (A, (A + 1).astype(int), "The dtype is int64, expected float64."),
    ],
)
def test_symptoms(expected, got, symptom):
    difference = compare(expected, tensor.tensor(np.ascontiguousarray(got)), inputs={"x": np.zeros((5, 4))})
    assert any(symptom in said for said in difference.symptoms), difference


@pytest.mark.parametrize(
    "expected, got",
    [
        (A, A + 1e-12),
        (np.float32(A), np.float32(A * (1 + 1e-6))),
        (np.array([np.nan, -np.inf]), np.array([np.nan, -np.inf])),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (0.5, 0.5),
        (0.5, np.float64(0.5)),
        (3, 3),
        ((A, 1), (A, 1)),
    ],
)
def test_agreement(expected, got):
    assert compare(expected, got) is None


@pytest.mark.parametrize(
    "expected, got, sentence",
    [
        (A, A.astype(np.float32), "The values are right, but the dtype is float32, expected float64."),
        (0.5, 0.6, "The value is another one."),
        (3, 3.0, "The result should be an int, but it is a float."),
        ((A, A), A, "2 results are expected, (dx, dw), but it returns a ndarray."),
        ((A, A), (A,), "2 results are expected, (dx, dw), but it returns 1 results."),
        ((A, A), (A, A + 1), "dw: Every element differs."),
    ],
)
def test_disagreement(expected, got, sentence):
    assert compare(expected, got, names=("dx", "dw")).sentence == sentence


def test_of_several_results_each_gets_its_verdict():
    difference = compare((A, A, A), (A, A.T, A), names=("dq", "dk", "dv"))
    assert difference.table == [("dq", "right"), ("dk", "The shape is (3, 2), expected (2, 3)."), ("dv", "right")]


def test_expect_names_what_is_wrong():
    expect("the gradient of w", A, A)
    with pytest.raises(Wrong, match="The gradient of w is wrong") as caught:
        expect("the gradient of w", A, -A, inputs={"w": A})
    assert caught.value.difference.symptoms == ["Every element has the opposite sign."]
    assert list(caught.value.inputs) == ["w"]
