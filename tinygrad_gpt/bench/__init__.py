"""`tinygrad-gpt bench`: how fast this engine is, beside PyTorch, on the same work.

settings.py   the options, and the work they describe
measure.py    what each mode does, in this process
ranks.py      mode ranks: several processes under mpiexec, each of which runs rank_worker.py
sides.py      the processes of the sides, and how they take turns
worker.py     what such a process runs: a task of our_side.py, torch_side.py or floor.py
report.py     the result as text
chart.py      and as a picture
"""

import importlib.util
import json
from pathlib import Path

from tinygrad_gpt.bench.chart import draw
from tinygrad_gpt.bench.measure import measure
from tinygrad_gpt.bench.report import report
from tinygrad_gpt.bench.settings import BenchConfig
from tinygrad_gpt.errors import InputError

NEEDED = {"torch": ["torch"], "transformers": ["torch", "transformers"]}


def bench(preset: str, config: BenchConfig, as_json: bool = False) -> None:
    """Measure and print. Raises `InputError` where the opponent is not installed, `RunError` where a side fails."""
    for package in NEEDED.get(config.opponent or "", []):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed: `pip install {package}`, or pass --against=nothing.")
    if config.png is not None:
        _check_picture(Path(config.png))
    result = measure(preset, config)
    if as_json:
        print(json.dumps(result))
    else:
        report(result)
    if config.png is not None:
        draw(result, Path(config.png))


def _check_picture(path: Path) -> None:
    """Raise `InputError` for a picture that could not be written: better now than after all the measuring."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("--png needs matplotlib: run `pip install 'tinygrad-gpt[plot]'`.")
    if path.is_dir():
        raise InputError(f"--png={path} cannot be written: it is a folder.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--png={path} cannot be written: there is no folder {path.parent}.")
