"""Exercise 2 of the lecture: a GPT that learns to add from examples alone, and is examined on sums it has never seen.

    python examples/recipes/adder.py [OPTIONS of `tinygrad-gpt train`]

It writes the sum in reverse, units first, so that a carry goes the way it writes; in training, only what follows "="
counts. tinygrad_gpt/calculator.py is the whole story.
"""

import sys
from pathlib import Path

import numpy as np

from tinygrad_gpt.calculator import Arithmetic, grade
from tinygrad_gpt.cli import run
from tinygrad_gpt.trained import open_trained

OUT_DIR = Path("out/adder")
EXAMINATION = 2000  # problems


def main(options: list[str]) -> int:
    code = run(["train", "calculator", "--operators=+", f"--out_dir={OUT_DIR}", "--overwrite", *options])
    if code != 0:
        return code
    trained = open_trained(str(OUT_DIR))
    assert trained.state is not None  # it is a checkpoint of ours
    arithmetic = Arithmetic(trained.state.config["digits"], "+")

    problems = arithmetic.draw(EXAMINATION, np.random.default_rng(2024), validation=True, full_length=True)
    _, share = grade(trained.model, *arithmetic.encode(problems))
    print(f"{100 * share:.2f} % of {EXAMINATION} unseen {arithmetic.digits}-digit sums are right, for example:")
    for question, answer in problems[:5]:
        found = arithmetic.answer(trained.model, question)
        right = answer.strip()[::-1]
        print(f"    {found}{'' if found.endswith(f'={right}') else f', which should be {right}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
