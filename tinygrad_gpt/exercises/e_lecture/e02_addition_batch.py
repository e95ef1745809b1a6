"""A GPT that adds, part one: the data that teach it.

The lecture's second exercise. A sum is a text like 12+89=101, and a GPT writes it a character at a time. Two
things decide whether it can learn to. The answer stands in reverse, 101 here as 1, 0, 1 but 124 as 4, 2, 1: units
first, so a carry goes the way that it writes. And only the answer counts in the loss: the numbers before "=" are
random, and −1 as a target means "not counted".
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read

PLUS, EQUALS = 10, 11  # token ids; 0 … 9 are the digits


def addition_batch(a, b, digits):
    """For a and b (B,), int64 of at most `digits` digits: x and y, int64 (B, T) each, with T = 3 · digits + 2.

    A row of x and y comes from one text: a with zeros in front (digits tokens), PLUS, b likewise, EQUALS, and a + b in
    reverse, units first (digits + 1 tokens, again with zeros). x is the text without its last token. y[t] is what
    follows x[t], or −1 where that belongs to the question: only targets from the units of the answer on count.

    >>> x, y = addition_batch(tensor.tensor([12]), tensor.tensor([89]), 2)
    >>> x
    tensor([[ 1,  2, 10,  8,  9, 11,  1,  0]])
    >>> y
    tensor([[-1, -1, -1, -1, -1,  1,  0,  1]])
    """
    place = 10 ** tensor.arange(digits + 1)  # 1, 10, 100, …: the places of a number, units first
    first, second = (n[:, None] // place[:digits].flip(0) % 10 for n in (a, b))  # (B, digits) as one writes it
    answer = (a + b)[:, None] // place % 10  # (B, digits + 1) in reverse
    plus, equals = (tensor.full((len(a), 1), sign) for sign in (PLUS, EQUALS))
    text = tensor.cat((first, plus, second, equals, answer), dim=1)  # (B, 3 digits + 3)
    x, y = text[:, :-1], text[:, 1:].clone()
    y[:, : 2 * digits + 1] = -1
    return x, y


HINTS = [
    "Make the whole text first, one row of token ids for each problem (a loop will do), then x = text[:, :-1] and "
    "y = text[:, 1:].clone(), and last the −1.",
    "n // 1 % 10, n // 10 % 10, n // 100 % 10 are the digits of n, units first. For the answer that is the order; a "
    "and b need it the other way round. For all problems at once: n[:, None] // 10 ** tensor.arange(count) % 10.",
    'y[t] is the target at x[t]. The question has 2 · digits + 2 tokens, the last of them "=", at x[2 · digits + 1]: '
    "its target is the units of the answer, the first that counts. So y[:, : 2 * digits + 1] = -1.",
]
READ = [
    Read("tinygrad_gpt/calculator.py", "Arithmetic.encode", "the same for +, − and ×, with an end for shorter answers"),
    Read("nn/functional/cross_entropy.py", "cross_entropy", "ignore_index: what a target of −1 means to the loss"),
    Read("tinygrad_gpt/calculator.py", "held_out", "which sums are for validation only, by a hash of the pair"),
    Read(
        "examples/recipes/adder.py", "main", "run it: a GPT learns sums of three digits from such batches, in minutes"
    ),
]
MISTAKES = [
    Mistake(
        "answer = (a + b)[:, None] // place % 10",
        "answer = (a + b)[:, None] // place.flip(0) % 10",
        "The answer stands as one writes it: it comes in reverse, units first.",
    ),
    Mistake(
        "// place[:digits].flip(0) % 10",
        "// place[:digits] % 10",
        "The question is in reverse, too: only the answer is.",
    ),
    Mistake(
        "    y[:, : 2 * digits + 1] = -1\n",
        "",
        "The question counts in the loss: its targets should be −1, for nothing can be learned from random numbers.",
    ),
    Mistake(
        "y[:, : 2 * digits + 1]",
        "y[:, : 2 * digits + 2]",
        'The units of the answer do not count: the target at "=" is theirs.',
    ),
    Mistake(
        "y[:, : 2 * digits + 1]",
        "y[:, : 2 * digits]",
        'The "=" counts in the loss: the target before it is −1 as well, for it is always the same.',
    ),
    Mistake("y[:, : 2 * digits + 1] = -1", "y[:, : 2 * digits + 1] = 0", "The question is masked by −1; 0 is a digit."),
    Mistake(
        "x, y = text[:, :-1], text[:, 1:].clone()",
        "x, y = text[:, :-1], text[:, :-1].clone()",
        "y is what stands at x, but it should be what follows: one position further in the text.",
    ),
]
RETURNS = ("x", "y")


def specification(a, b, digits):
    rows = []
    for m, n in zip(a.tolist(), b.tolist(), strict=True):
        question, answer = f"{m:0{digits}}+{n:0{digits}}=", f"{m + n:0{digits + 1}}"[::-1]
        text = [{"+": PLUS, "=": EQUALS}.get(character) or int(character) for character in question + answer]
        rows.append((text[:-1], [-1] * (len(question) - 1) + text[len(question) :]))
    return tuple(np.array(part) for part in zip(*rows, strict=True))


def cases(draw):
    for digits, a, b in ((1, [3], [4]), (1, [7, 0], [8, 0]), (2, [12], [89]), (2, [7], [5]), (3, [123], [4])):
        yield tensor.tensor(a), tensor.tensor(b), digits
    yield draw.ints(5, high=1000), draw.ints(5, high=1000), 3
