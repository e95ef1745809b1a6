"""The student's file, made from the exercise's: what stands before `HINTS` without the bodies of its functions.

A function keeps its signature and docstring (each needs one). One whose `def` line ends in `# given` keeps its body.
"""

import ast
import re

from tinygrad_gpt.exercises.catalogue import Exercise
from tinygrad_gpt.exercises.parts import OneExpression

GIVEN = "# given"
DOCUMENTED = {"np": "import numpy as np", "tensor": "import tensor"}  # what a docstring's example may need
END_OF_SOLUTION = "HINTS"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def solution(exercise: Exercise) -> str:
    """The reference solution: the imports that it uses and all definitions before `HINTS`."""
    tree = ast.parse(exercise.source)
    lines = exercise.source.splitlines()
    nodes = _solution_nodes(tree)
    first, last = _first_line(nodes[0]), nodes[-1].end_lineno
    while lines[first - 2].startswith("#"):  # the comment above it belongs to it
        first -= 1
    text = "\n".join(lines[first - 1 : last]) + "\n"
    used = {node.id for part in nodes for node in ast.walk(part) if isinstance(node, ast.Name)}
    imports = [ast.unparse(node) for node in tree.body if _is_needed(node, used)]
    for name, line in DOCUMENTED.items():
        if re.search(rf"\b{name}\.", text) and line not in imports:
            imports.append(line)
    return "\n".join(imports) + "\n\n\n" + text


def _solution_nodes(tree: ast.Module) -> list[ast.stmt]:
    nodes: list[ast.stmt] = []
    for node in tree.body[1:]:  # after the docstring
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == END_OF_SOLUTION:
            return nodes
        if not isinstance(node, ast.Import | ast.ImportFrom):
            nodes.append(node)
    raise ValueError(f"an exercise has its solution before {END_OF_SOLUTION}")


def _is_needed(node: ast.stmt, used: set[str]) -> bool:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return False
    return bool({(alias.asname or alias.name).partition(".")[0] for alias in node.names} & used)


def _first_line(node) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def stub(exercise: Exercise) -> str:
    """The text of the file that the student gets."""
    text = solution(exercise)
    lines = text.splitlines()
    for function in sorted(_to_write(ast.parse(text), lines), key=lambda f: f.lineno, reverse=True):
        docstring = function.body[0]
        indent = " " * docstring.col_offset
        lines[docstring.end_lineno : function.end_lineno] = [f"{indent}return ...  # {_wanted(exercise)}"]
    return header(exercise) + "\n" + "\n".join(line.removesuffix("  " + GIVEN) for line in lines) + "\n"


def _wanted(exercise: Exercise) -> str:
    return "one expression here" if exercise.rules else "your lines here"


def _to_write(node, lines: list[str]):
    """The functions and methods that lose their bodies."""
    for child in getattr(node, "body", ()):
        if isinstance(child, FUNCTION):
            signature = lines[child.lineno - 1 : child.body[0].lineno]
            if not any(line.endswith(GIVEN) for line in signature):
                yield child
        elif isinstance(child, ast.ClassDef):
            yield from _to_write(child, lines)


def header(exercise: Exercise) -> str:
    """The docstring of the student's file: number, title, background, the rule, and the command that checks it."""
    parts = [f"{exercise.number} {exercise.name}: {exercise.introduction}"]
    if exercise.rules:
        parts.append(rule_text(exercise.rules))
    parts.append(f"Check it with:  tinygrad-gpt exercises check {exercise.number}")
    return '"""' + "\n\n".join(parts) + '\n"""\n'


def rule_text(rules: OneExpression) -> str:
    names = f"Names you may use: {', '.join(rules.names)}." if rules.names else "No function or method is needed."
    return (
        "Rule: one expression after `return`, no loops, no conditions. Arithmetic, comparisons, indexing, @ and\n"
        f".shape are always allowed. {names}"
    )


def unwritten(tree: ast.AST) -> list[str]:
    """The functions that still end in `...`, as the stub has them."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            last = node.body[-1]
            value = last.value if isinstance(last, ast.Return | ast.Expr) else None
            if isinstance(value, ast.Constant) and value.value is Ellipsis:
                found.append(node.name)
    return found
