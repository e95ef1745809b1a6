"""Scripts written for PyTorch, in the style of its lectures, run here after changing only their import lines.

Each script in tests/scripts is run twice, as it stands and with the replacements below, and both runs must print the
same losses. Weights and batches come from NumPy's generator in the scripts; what is sampled (torch.multinomial) comes
from the framework's own, so of that only the length is compared.
"""

import contextlib
import io
import pathlib
import re

import pytest
import torch

import tensor

SCRIPTS = sorted(pathlib.Path(__file__).with_name("scripts").glob("*.py"))
IMPORTS = {
    "import torch": "import tensor as torch",
    "import torch.nn as nn": "import nn",
    "import torch.nn.functional as F": "from nn import functional as F",
    "from torch.nn import functional as F": "from nn import functional as F",
}


def with_our_imports(source: str) -> str:
    """`source` with its import lines of PyTorch replaced, and nothing else."""
    lines = source.splitlines()
    return "\n".join(IMPORTS.get(line, line) for line in lines)


def run(source: str, name: str) -> dict:
    """The global names of the script after it ran."""
    names: dict = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, name, "exec"), names)
    return names


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """The default dtype of both engines while a test runs."""
    before = torch.get_default_dtype(), tensor.get_default_dtype()
    torch.set_default_dtype(getattr(torch, request.param))
    tensor.set_default_dtype(getattr(tensor, request.param))
    yield request.param
    torch.set_default_dtype(before[0])
    tensor.set_default_dtype(before[1])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_same_losses_after_changing_only_the_import_lines(script, dtype):
    source = script.read_text()
    ours = with_our_imports(source)
    assert not re.search(r"^(import|from) torch", ours, re.MULTILINE)
    expected, found = run(source, str(script)), run(ours, str(script))
    assert expected["torch"].__name__ == "torch" and found["torch"].__name__ == "tensor"
    # rounding grows over the steps of a training
    assert found["losses"] == pytest.approx(expected["losses"], rel={"float32": 1e-4, "float64": 1e-9}[dtype])
    assert len(found["sample"]) == len(expected["sample"])
    assert script.stem != "bigram" or found["losses"][-1] < 0.7 * found["losses"][0]


def test_the_scripts_cover_the_lectures():
    assert [path.stem for path in SCRIPTS] == ["bigram", "gpt", "mlp", "puzzles"]
