"""Where in the repository a `Read` is: the file, and the line of the function or class in it."""

import ast
from pathlib import Path

from tinygrad_gpt.exercises.catalogue import ROOT
from tinygrad_gpt.exercises.parts import Read

DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def line_of(read: Read) -> int:
    """The line where `read.name` ("Softmax.backward", or "" for the file) is defined. LookupError if it is not."""
    path = ROOT / read.path
    if not path.is_file():
        raise LookupError(f"there is no file {read.path}")
    if not read.name:
        return 1
    node: ast.AST = ast.parse(path.read_text("utf-8"))
    for name in read.name.split("."):
        body = getattr(node, "body", ())
        found = [part for part in body if isinstance(part, DEFINITION) and part.name == name]
        if not found:
            raise LookupError(f"{read.path} defines no {read.name}")
        node = found[-1]
    return getattr(node, "lineno", 1)


def location(read: Read) -> str:
    """ "nn/functional/softmax.py:20": from the folder that the user stands in, if it lies below it."""
    path = ROOT / read.path
    if not path.is_file():  # examples/ is not part of an installed package
        return f"{read.path} (in the repository)"
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{line_of(read)}"
