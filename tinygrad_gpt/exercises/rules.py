"""The rule of one expression, read from the syntax tree: what breaks it, and on which line."""

import ast
from collections.abc import Iterator

from tinygrad_gpt.exercises.parts import OneExpression
from tinygrad_gpt.options import nearest

ALWAYS = ("shape", "ndim", "dtype")

FORBIDDEN: dict[type[ast.AST], str] = {
    ast.ListComp: "a comprehension is a loop",
    ast.SetComp: "a comprehension is a loop",
    ast.DictComp: "a comprehension is a loop",
    ast.GeneratorExp: "a generator is a loop",
    ast.IfExp: "an `if` inside the expression is a condition; choose between elements by where or by a mask",
    ast.Lambda: "a lambda is a function of its own",
    ast.NamedExpr: "`:=` is an assignment",
}
STATEMENTS: dict[type[ast.AST], str] = {
    ast.For: "a `for` loop",
    ast.While: "a `while` loop",
    ast.If: "an `if`",
    ast.Assign: "an assignment",
    ast.AugAssign: "an assignment",
    ast.AnnAssign: "an assignment",
    ast.FunctionDef: "a function inside the function",
    ast.Expr: "a statement before the `return`",
}


def violations(rules: OneExpression, function: ast.FunctionDef, modules: set[str]) -> list[str]:
    """Sentences, in the order of the lines. `modules` are the imported names that may be used."""
    found = [*_statements(function), *_names(rules, function, modules)]
    return list(dict.fromkeys(sentence for _, sentence in sorted(found, key=lambda pair: pair[0])))


def _statements(function: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    for decorator in function.decorator_list:
        yield decorator.lineno, f"Line {decorator.lineno} is a decorator; the rule is a plain function."
    for statement in body:
        if not isinstance(statement, ast.Return) or len(body) > 1:
            kind = STATEMENTS.get(type(statement), f"`{ast.unparse(statement).partition(chr(10))[0]}`")
            if not isinstance(statement, ast.Return):
                yield statement.lineno, f"Line {statement.lineno} is {kind}; the rule is a single `return`."
    for node in (node for statement in body for node in ast.walk(statement)):
        if reason := FORBIDDEN.get(type(node)):
            line = getattr(node, "lineno", function.lineno)
            yield line, f"Line {line}: {reason}; the rule is one expression of whole Tensors."


def _names(rules: OneExpression, function: ast.FunctionDef, modules: set[str]) -> Iterator[tuple[int, str]]:
    arguments = function.args
    parameters = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    allowed = {*rules.names, *ALWAYS}
    may = ", ".join(rules.names) or "none but operators, indexing and .shape"
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    for node in sorted(nodes, key=lambda node: isinstance(node, ast.Attribute)):  # numpy before numpy.eye
        if isinstance(node, ast.Name):
            word, fine = node.id, {*parameters, *modules, *rules.names, *stored}
        elif isinstance(node, ast.Attribute):
            word, fine = node.attr, allowed
        else:
            continue
        if word not in fine:
            guess = nearest(word, sorted(fine))
            yield node.lineno, f"Line {node.lineno} uses `{word}`{guess}, which is not allowed here (allowed: {may})."
