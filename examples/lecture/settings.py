"""The settings of the lecture's scripts, as options of the command line: `--max_iters=500 --n_embd=64`."""

import argparse

OPTIONAL = ("n_embd", "n_head", "n_layer", "dropout", "seeds", "exercises")  # those that not every step has
OPTIONS = {  # the lecture's values, and what they mean
    "batch_size": (32, "sequences side by side"),
    "block_size": (8, "positions in a sequence: how far a model can look back"),
    "n_embd": (32, "channels of each position"),
    "n_head": (4, "attention heads"),
    "n_layer": (3, "blocks"),
    "dropout": (0.0, "probability that an activation is dropped in training"),
    "learning_rate": (1e-3, "step size of AdamW"),
    "max_iters": (5000, "training steps"),
    "eval_interval": (500, "steps between two estimates of the losses"),
    "eval_iters": (200, "batches in an estimate"),
    "sample_tokens": (300, "characters to write at the end"),
    "seeds": (2, "trainings, each with a seed of its own"),
    "exercises": ("", "folder with your solutions of E05, E06 and E07, to be measured instead of the parts here"),
    "seed": (1337, "seed of weights, batches, dropout and sample"),
    "device": ("cpu", "cpu or cuda"),
    "input": ("", "text to learn; Tiny Shakespeare if empty"),
}


def options(description: str, used: str = "", large: dict | None = None, **defaults) -> argparse.Namespace:
    """The command line's settings.

    used: which of OPTIONAL the step has.
    large: the defaults that `--large` brings instead of `defaults`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (lecture, meaning) in OPTIONS.items():
        if name in used.split() or name not in OPTIONAL:
            default = defaults.get(name, lecture)
            parser.add_argument(f"--{name}", type=type(lecture), default=default, help=f"{meaning} [{default}]")
    if large is None:
        return parser.parse_args()
    parser.add_argument("--large", action="store_true", help=f"instead of these: {large}")
    if parser.parse_args().large:
        parser.set_defaults(**large)
    return parser.parse_args()
