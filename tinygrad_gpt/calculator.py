"""A GPT that calculates: sums, differences and products, learned from examples alone.

An example is a text like `123+098=122` and a line break. Short numbers have zeros in front, so that each digit has
a place of its own. The answer, 221, stands in reverse, units first: a carry travels from the units up, so each digit
follows from two digits of the question and what is already written, while the leading digit of 221 would need all of
them at once (Lee et al. 2023, "Teaching Arithmetic to Small Transformers", arXiv:2307.03381). Only the answer counts
in the loss: the question is random, and nothing can be learned from predicting it.

The problems are made as they are needed. One pair of numbers in sixteen is never trained on, in neither order, and
the validation is made of such pairs only: what the model gets right there it has understood, not remembered.
"""

import re
from dataclasses import dataclass

import numpy as np

import tensor
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.model import GPT
from tinygrad_gpt.tokenizer import CharTokenizer

OPERATORS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
END = "\n"
CHARACTERS = "".join(sorted(END + "0123456789=" + "".join(OPERATORS)))
MOST_DIGITS = 9  # of a number, so that two fit into the 64 bits that are hashed
NOT_COUNTED = -1  # the target that cross_entropy ignores


def held_out(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether the pair a, b (N,), in either order, is for validation only: (N,), True for one in sixteen."""
    pair = np.maximum(a, b).astype(np.uint64) << np.uint64(32) | np.minimum(a, b).astype(np.uint64)
    return pair * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(60) == 0  # Fibonacci hashing: the top four bits


@dataclass(frozen=True)
class Arithmetic:
    """Problems with numbers of up to `digits` digits and any of the `operators`, as token ids."""

    digits: int
    operators: str  # of "+-*"

    @property
    def tokenizer(self) -> CharTokenizer:
        return CharTokenizer(CHARACTERS)

    @property
    def block_size(self) -> int:
        """The length of the longest problem, without the line break at its end, which is only predicted."""
        answer = 2 * self.digits if "*" in self.operators else self.digits + 1  # a carry, or the sign
        return 2 * self.digits + len("+=") + answer

    def question(self, a: int, operator: str, b: int) -> str:
        return f"{a:0{self.digits}}{operator}{b:0{self.digits}}="

    def draw(
        self, count: int, generator: np.random.Generator, validation: bool = False, full_length: bool = False
    ) -> list[tuple[str, str]]:
        """`count` random problems as (question, reversed answer), like ("089+023=", "211\\n"): all held out or none."""
        problems: list[tuple[str, str]] = []
        tries = 32 * count if validation else 2 * count  # enough for nearly always
        while len(problems) < count:
            if full_length:
                a, b = generator.integers(10 ** (self.digits - 1), 10**self.digits, size=(2, tries))
            else:  # the greater of two random lengths: mostly long numbers, for there are more of them
                a, b = generator.integers(10 ** generator.integers(1, self.digits + 1, size=(2, 2, tries)).max(axis=0))
            operators = generator.integers(len(self.operators), size=tries)
            for i in np.flatnonzero(held_out(a, b) == validation)[: count - len(problems)].tolist():
                x, y, operator = int(a[i]), int(b[i]), self.operators[operators[i]]
                problems.append((self.question(x, operator, y), str(OPERATORS[operator](x, y))[::-1] + END))
        return problems

    def encode(self, problems: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Ids x (B, T) and targets y (B, T), int64, where y counts on the answers only; T is `block_size`."""
        T = self.block_size
        text = "".join((question + answer).ljust(T + 1, END) for question, answer in problems)
        ids = self.tokenizer.encode(text).reshape(len(problems), T + 1)
        x, y = ids[:, :-1], ids[:, 1:].copy()
        start = np.array([len(question) for question, _ in problems])[:, None] - 1  # y[start] is the first digit
        stop = start + np.array([len(answer) for _, answer in problems])[:, None]
        position = np.arange(T)
        y[(position < start) | (position >= stop)] = NOT_COUNTED
        return x, y

    def answer(self, model: GPT, question: str) -> str:
        """What the model answers to a question like "12+34=": "12+34=46". Raises `InputError` for any other text."""
        match = re.fullmatch(r"\s*(\d+)\s*(\S)\s*(\d+)\s*=?\s*", question)
        if match is None or match[2] not in self.operators:
            raise InputError(
                f"The calculator answers questions like 12{self.operators[0]}34=, with one of {self.operators} "
                f"between two numbers; got {question!r}."
            )
        a, b = int(match[1]), int(match[3])
        if max(a, b) >= 10**self.digits:
            raise InputError(f"The calculator has learned numbers of up to {self.digits} digits; got {question!r}.")
        ids = self.tokenizer.encode(self.question(a, match[2], b))  # (T,)
        prompt = tensor.from_numpy(ids[None, :]).to(model.lm_head.weight.device)  # (1, T)
        longest = self.block_size + 1 - len(ids)
        text = model.generate(prompt, longest, temperature=0.0, stop_tokens=self.tokenizer.encode(END).tolist())
        reverse = self.tokenizer.decode(text[0, len(ids) :].tolist()).removesuffix(END)
        return f"{a}{match[2]}{b}={reverse[::-1]}"


@tensor.no_grad()
def grade(model: GPT, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mean loss on the answers, in nats a token, and the share of problems whose whole answer is right.

    An answer counts as right where each of its tokens is the likeliest after the right ones before it, which
    is when taking the likeliest token each time, one by one, writes exactly this answer.
    """
    was_training = model.training
    model.eval()
    device = model.lm_head.weight.device
    logits, loss = model(tensor.from_numpy(x).to(device), tensor.from_numpy(y).to(device))  # (B, T, V), ()
    model.train(was_training)
    likeliest = logits.argmax(dim=-1).cpu().numpy()  # (B, T)
    right = ((likeliest == y) | (y == NOT_COUNTED)).all(axis=1)  # (B,)
    return loss.item(), float(right.mean())
