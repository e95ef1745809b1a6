"""Without a usable GPU `import tensor` works and says so: no CuPy, CuPy and no GPU, a broken CuPy."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
import tensor
assert sys.modules.get("cupy") is None, "import tensor imports CuPy"
assert not tensor.cuda.is_available()
assert tensor.cuda.device_count() == 0
assert tensor.ones(2).sum().item() == 2
for attempt in (lambda: tensor.ones(1).cuda(), lambda: tensor.zeros(1, device="cuda"),
                lambda: tensor.set_default_device("cuda"), tensor.cuda.synchronize):
    try:
        attempt()
    except RuntimeError as problem:
        print(problem)
"""

# what CuPy is -> (the files of a package `cupy` that comes first, what the error says)
SITUATIONS = {
    "none": (None, "pip install tinygrad-gpt"),
    "no GPU": (
        {
            "__init__.py": "from cupy import cuda\n",
            "cuda.py": "class runtime:\n    getDeviceCount = staticmethod(lambda: 0)\n",
        },
        "there is no CUDA device",
    ),
    "broken": ({"__init__.py": "raise ImportError('libcublas.so.12 is missing')\n"}, "libcublas.so.12 is missing"),
    "raises anything": ({"__init__.py": "raise SystemError('driver too old')\n"}, "driver too old"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_import_and_what_it_says(situation, tmp_path):
    files, sentence = SITUATIONS[situation]
    hide = "import sys\nsys.modules['cupy'] = None\n" if files is None else ""
    if files:
        (tmp_path / "cupy").mkdir()
        for name, text in files.items():
            (tmp_path / "cupy" / name).write_text(text)
    program = f"import sys\nsys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n{hide}{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(sentence in line for line in lines), done.stdout
