"""What examples/ shows for a GPU, on one."""

import re
import runpy
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


def test_a_training_gives_the_same_losses_on_the_gpu(monkeypatch, capsys):
    options = ["--n_layer=1", "--n_head=2", "--n_embd=16", "--block_size=8", "--batch_size=2", "--steps=2"]
    monkeypatch.setattr("sys.argv", ["move_to_cuda.py", *options])
    runpy.run_path(str(RECIPES / "move_to_cuda.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert re.search(r"^cuda \(.+\): loss 5\.\d+ -> ", output, re.MULTILINE)
    assert float(re.search(r"two losses of the same step: (\S+)", output)[1]) < 1e-4
