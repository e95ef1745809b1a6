"""A check in a process of its own: an endless loop, a crash or a flood of output there does not reach the command."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tinygrad_gpt.exercises.catalogue import ROOT, Exercise
from tinygrad_gpt.exercises.examine import MISSING, STOPPED, Verdict

START = 60.0  # seconds that starting and ending the process may take beyond the exercise's own limit
MOST_PRINTED = 2000  # characters of the student's output that are shown


def check(exercise: Exercise, path: Path, seconds: float | None = None) -> Verdict:
    """The verdict on the file at `path`; the time limit is the exercise's own unless `seconds` is given."""
    if not path.exists():
        again = f"`tinygrad-gpt exercises reset {exercise.number}` writes it anew"
        return Verdict(MISSING, f"{path} is gone: {again}.")
    seconds = exercise.seconds if seconds is None else seconds
    with tempfile.TemporaryDirectory(prefix="tinygrad-gpt-") as name:
        folder = Path(name)
        code = _run(exercise, path, folder, seconds)
        result = folder / "verdict.json"
        if result.exists():
            verdict = Verdict(**json.loads(result.read_text("utf-8")))
        else:
            verdict = _unfinished(path, folder / "faults.txt", code, seconds)
        printed = (folder / "printed.txt").read_bytes()[: 4 * MOST_PRINTED].decode("utf-8", "replace")
    verdict.printed = printed if len(printed) <= MOST_PRINTED else printed[:MOST_PRINTED] + " …"
    return verdict


def _run(exercise: Exercise, path: Path, folder: Path, seconds: float) -> int | None:
    """The exit code of the process, or None if it had to be killed."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUTF8": "1"}
    environment.setdefault("OPENBLAS_NUM_THREADS", "2")  # each thread asks for memory, and the Tensors are small
    environment.setdefault("TENSOR_KERNELS", "numpy")  # nor are they worth seconds of compiling
    arguments = [exercise.number, str(path), str(folder), str(seconds)]
    # -P: a tensor.py in the folder that the user stands in is not ours
    command = [sys.executable, "-P", "-m", "tinygrad_gpt.exercises.child", *arguments]
    with open(folder / "printed.txt", "wb") as printed:  # no pipe: one that stays open would be waited for
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=seconds + START,
            )
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def _unfinished(path: Path, faults: Path, code: int | None, seconds: float) -> Verdict:
    """A process that left no verdict: what ended it, and the student's line that it was at."""
    report = faults.read_text("utf-8", "replace") if faults.exists() else ""
    numbers = [int(line) for line in re.findall(rf'File "{re.escape(str(path))}", line (\d+)', report)][:1]
    text = path.read_text("utf-8", "replace").splitlines()
    lines = [f"{number:>4}  {text[number - 1]}" for number in numbers if number <= len(text)]
    if code is None or "Timeout" in report:
        at = ", in this line when the time was up" if lines else ""
        sentence = f"Not done after {seconds:g} seconds{at}: is there a loop without end?"
    elif code < 0:
        sentence = f"The process was ended by {signal.Signals(-code).name} before the check was done."
    else:
        sentence = f"The process ended itself (exit code {code}) before the check was done."
    return Verdict(STOPPED, sentence, lines)
