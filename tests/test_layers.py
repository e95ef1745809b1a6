"""The plan of the house: tensor <- nn <- tinygrad_gpt, no import cycles, and `import tensor` is quick and light."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("tensor", "nn", "tinygrad_gpt")
BELOW = {"tensor": {"tensor"}, "nn": {"tensor", "nn"}, "tinygrad_gpt": set(PACKAGES)}


def module_name(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imports_of(module: str, at_import_time: bool) -> set[str]:
    """The modules of ours that `module` imports: all, or only those of its top level."""
    tree = ast.parse(FILES[module].read_text())
    nodes = list(ast.walk(tree))
    if at_import_time:
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
        inside = {id(n) for function in functions for n in ast.walk(function)}
        typing_only = [n for n in nodes if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
        inside |= {id(n) for block in typing_only for n in ast.walk(block)}
        nodes = [n for n in nodes if id(n) not in inside]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full, not relative"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return {name for name in found if name.partition(".")[0] in PACKAGES}


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    package = module.partition(".")[0]
    upward = {name for name in imports_of(module, at_import_time=False) if name.partition(".")[0] not in BELOW[package]}
    assert not upward


def test_no_import_cycles():
    graph = {module: imports_of(module, at_import_time=True) - {module} for module in FILES}
    done: set[str] = set()
    while ready := {m for m in graph if m not in done and graph[m] <= done}:
        done |= ready
    assert done == set(graph), f"in or behind a cycle: { {m: sorted(graph[m] - done) for m in graph if m not in done} }"


@pytest.fixture(scope="module")
def run_python(tmp_path_factory):
    """Run code in a fresh interpreter that keeps its bytecode, as every second start of a program has it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    return run


@pytest.mark.parametrize("package", ["torch", "cupy", "numba", "scipy", "hypothesis", "nn"])
def test_import_tensor_brings_in_no(run_python, package):
    assert run_python(f"import sys, tensor; print({package!r} in sys.modules)").strip() == "False"
