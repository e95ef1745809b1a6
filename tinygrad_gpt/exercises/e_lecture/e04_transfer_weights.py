"""Pretrain, then finetune: the weights in between.

The lecture's third exercise. A model has learned from a large text; another is to go on from there with a small
one. But the small text has other characters, so other ids, and the new model may look further back or less far.
What was learned about a character has to come to the row where that character now is, and what is new begins at
random.
"""

import numpy as np

from tinygrad_gpt.exercises.compare import compare
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


def transfer_weights(old, new, old_characters, new_characters):
    """The weights that the new model starts from: a dict of Tensors with the names and shapes of `new`.

    old, new: dicts name -> Tensor, the trained model's weights and the new model's random ones. Write into neither.
    old_characters, new_characters: texts; the id of a character is its place there. Both models have the names

        tokens.weight (V, C), logits.weight (V, C), logits.bias (V,)    row i is about the character with id i
        positions.weight (T, C)                                         row t is about position t
        and others, whose shapes are the same in both

    A row of `new` is replaced by the old one of the same character, or position, and stays as it is where there is
    none. All other weights are the old ones.
    """
    result = dict(old)
    shared = [(i, old_characters.index(c)) for i, c in enumerate(new_characters) if c in old_characters]
    for name in ("tokens.weight", "logits.weight", "logits.bias"):
        result[name] = new[name].clone()
        for i, j in shared:
            result[name][i] = old[name][j]
    result["positions.weight"] = new["positions.weight"].clone()
    T = min(len(old["positions.weight"]), len(new["positions.weight"]))
    result["positions.weight"][:T] = old["positions.weight"][:T]
    return result


HINTS = [
    "Start with result = dict(old), which has all others already. For the four that depend on ids or positions start "
    "with new[name].clone() and write the old rows into it.",
    "Row i of the new tables belongs to the character new_characters[i]. If it is in old_characters, its old row is "
    "old_characters.index(it); else leave the random one. The same for tokens.weight, logits.weight and logits.bias.",
    "Positions need no dictionary: the first T = min(old length, new length) rows are about the same positions. "
    "result[name][:T] = old[name][:T].",
]
READ = [
    Read(
        "examples/recipes/pretrain_then_finetune.sh",
        "",
        "the real thing, where one alphabet serves both texts",
    ),
    Read("tinygrad_gpt/model.py", "GPT.crop_block_size", "a shorter block for a pretrained model"),
    Read("nn/module.py", "Module.load_state_dict", "what it says to names and shapes that do not fit"),
]
MISTAKES = [
    Mistake(
        "old_characters.index(c)) for",
        "min(i, len(old_characters) - 1)) for",
        "Rows were copied by their id. The same character has another id in the new text: look up its old one.",
    ),
    Mistake(
        '("tokens.weight", "logits.weight", "logits.bias")',
        '("tokens.weight",)',
        "The logits have a row for each character too: they must move as the tokens' rows do.",
    ),
    Mistake(
        "new[name].clone()\n        for",
        "new[name] * 0\n        for",
        "A new character starts from the new model's random row, not from zeros: zeros get no gradient apart.",
    ),
    Mistake(
        "result = dict(old)\n",
        "result = dict(new)\n",
        "Only the tables were transferred: all weights in between are what the pretraining was for.",
    ),
    Mistake(
        'result["positions.weight"][:T] = old["positions.weight"][:T]',
        'result["positions.weight"][-T:] = old["positions.weight"][-T:]',
        "The last positions were matched, but row t is about position t: the first ones belong together.",
    ),
    Mistake(
        "result[name] = new[name].clone()",
        "result[name] = new[name]",
        "It writes into the new model's own Tensors: clone() before you write.",
    ),
]

PAIRS = (  # the old text's characters and the new one's, the old block and the new one
    ("ab", "ab", 2, 2),
    ("ab", "ba", 2, 2),
    ("ab", "bc", 2, 2),
    ("ab", "ab", 2, 3),
    ("ab", "ab", 3, 2),
    (" aeth", "\n !aehrst", 4, 6),
)


def check(student, draw):
    C = 2
    for old_characters, new_characters, old_block, new_block in PAIRS:
        old = _weights(draw, len(old_characters), old_block, C)
        new = _weights(draw, len(new_characters), new_block, C)
        kept = [{name: weight.clone() for name, weight in weights.items()} for weights in (old, new)]
        got = student.transfer_weights(old, new, old_characters, new_characters)
        shown = {"old_characters": old_characters, "new_characters": new_characters}
        for which, before, after in zip(("old", "new"), kept, (old, new), strict=True):
            for name, weight in before.items():
                if name not in after or compare(weight.array, after[name]):
                    raise Wrong(f'It changes {which}["{name}"]: that belongs to the caller.', shown)
        if not isinstance(got, dict) or set(got) != set(new):
            names = ", ".join(sorted(got)) if isinstance(got, dict) else type(got).__name__
            raise Wrong(f"It returns {names}; expected a dict with the names of `new`: {', '.join(new)}.", shown)
        for name in new:
            rows = f'old["{name}"]', f'new["{name}"]'
            inputs = shown | dict(zip(rows, (old[name], new[name]), strict=True))
            expected = _specification(name, old[name].array, new[name].array, old_characters, new_characters)
            expect(f'the weight "{name}"', expected, got[name], inputs=inputs)
    return "Right, for other characters and other blocks. The real thing: sh examples/recipes/pretrain_then_finetune.sh"


def _weights(draw, V, T, C):
    shapes = {"tokens.weight": (V, C), "positions.weight": (T, C), "blocks.0.norm1.weight": (C,)}
    shapes |= {"blocks.0.attention.mix.weight": (C, C), "logits.weight": (V, C), "logits.bias": (V,)}
    return {name: draw.floats(*shape) for name, shape in shapes.items()}


def _specification(name, old, new, old_characters, new_characters):
    if name.startswith("blocks."):
        return old
    out = np.empty_like(new)
    for i in range(len(new)):
        if name == "positions.weight":
            out[i] = old[i] if i < len(old) else new[i]
        else:
            j = old_characters.find(new_characters[i])
            out[i] = old[j] if j >= 0 else new[i]
    return out
