"""Every example runs, as its own docstring says, and shows what it promises."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SHOWN = {
    "backprop_through_attention.py": "dWv: largest difference between autograd and the derivation",
    "bigram.py": "step 300: loss",
    "custom_op.py": "gradcheck      = True",
}


def test_every_example_is_listed():
    assert sorted(path.name for path in (ROOT / "examples").glob("*.py")) == sorted(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_example_runs(name):
    path = [os.environ.get("PYTHONPATH"), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / name)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert SHOWN[name] in result.stdout
