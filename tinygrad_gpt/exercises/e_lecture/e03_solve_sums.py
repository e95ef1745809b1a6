"""A GPT that adds, part two: let it write the answer, and read it.

In training a GPT sees the right digits before each digit; in use it has only those that it wrote itself. So an
answer is written in a loop: ask for what comes next, append it, ask again. Here the model that you are given has
already learned to add, and writes units first, as in E02.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


def solve_sums(model, questions, digits):
    """The sums that `model` finds, int64 (B,), for questions (B, 2 · digits + 2), int64: token ids up to "=" (11).

    model(idx) takes ids (B, T) and gives logits (B, T, 12): at each position the scores of what comes next. Take the
    likeliest, digits + 1 times, each time giving it back to the model. What it writes are digits, units first.
    """
    idx = questions
    for _ in range(digits + 1):
        logits = model(idx)[:, -1]  # (B, 12): what comes after the last token
        idx = tensor.cat((idx, logits.argmax(-1, keepdim=True)), dim=1)
    answer = idx[:, questions.shape[1] :]  # (B, digits + 1)
    return (answer * 10 ** tensor.arange(digits + 1)).sum(1)


HINTS = [
    "Start with idx = questions. In each of digits + 1 rounds: the model's logits at the last position, their argmax, "
    "and tensor.cat to idx.",
    "model(idx) is (B, T, 12), and the last position is [:, -1], (B, 12). .argmax(-1, keepdim=True) is (B, 1), which "
    "can be appended to idx (B, T) along dim=1.",
    "What was appended is idx[:, questions.shape[1]:]. Its column i counts 10**i: multiply by 10 ** tensor.arange(...) "
    "and sum.",
]
READ = [
    Read("tinygrad_gpt/model.py", "GPT.stream", "the loop for any text: temperature, top-k, a cache"),
    Read("tinygrad_gpt/calculator.py", "Arithmetic.answer", "this function for the calculator"),
    Read(
        "tinygrad_gpt/calculator.py",
        "grade",
        "the answers of thousands of problems at once, without a loop: why can it?",
    ),
]
MISTAKES = [
    Mistake(
        "model(idx)[:, -1]", "model(idx)[:, 0]", "The scores of the first position say what follows the first token."
    ),
    Mistake(
        "model(idx)[:, -1]",
        "model(questions)[:, -1]",
        "It asks for the first digit each time: give back what was written.",
    ),
    Mistake(
        "10 ** tensor.arange(digits + 1)",
        "10 ** tensor.arange(digits + 1).flip(0)",
        "The digits were read the wrong way round: the units were written first.",
    ),
    Mistake("range(digits + 1)", "range(digits)", "The last carry is lost: a sum may have a digit more."),
    Mistake("logits.argmax(-1, keepdim=True)", "logits.argmin(-1, keepdim=True)", "It takes the least likely token."),
]


class Adder:
    """A model that adds: it knows the digits of the question, and where it is by how many digits it has written.

    Before "=" and after the answer, where a GPT has learned nothing, its scores are noise.
    """

    def __init__(self, digits, rng):
        self.digits, self.rng = digits, rng

    def __call__(self, idx):
        if not isinstance(idx, tensor.Tensor) or idx.ndim != 2 or idx.dtype != np.int64:
            found = f"{idx.dtype} {tuple(idx.shape)}" if isinstance(idx, tensor.Tensor) else type(idx).__name__
            raise Wrong(f"The model was called with {found}; it takes token ids, int64 (B, T).")
        B, T = idx.shape
        logits = self.rng.standard_normal((B, T, 12))
        place = 10 ** np.arange(self.digits)[::-1]
        a, b = idx.array[:, : self.digits] @ place, idx.array[:, self.digits + 1 : 2 * self.digits + 1] @ place
        first = 2 * self.digits + 1
        for t in range(first, min(T, first + self.digits + 1)):
            written = idx.array[:, first + 1 : t + 1] @ 10 ** np.arange(t - first)
            total = np.where(written == (a + b) % 10 ** (t - first), a + b, 0)  # one mistake, and all is lost
            logits[np.arange(B), t, total // 10 ** (t - first) % 10] += 10
        return tensor.tensor(logits.astype(np.float32))


def check(student, draw):
    for digits, problems in ((1, [(3, 4)]), (1, [(7, 8)]), (2, [(12, 30)]), (2, [(12, 89), (99, 99)]), (3, None)):
        pairs = draw.rng.integers(0, 10**digits, (100, 2)) if problems is None else np.array(problems)
        questions = [[*map(int, f"{a:0{digits}}"), 10, *map(int, f"{b:0{digits}}"), 11] for a, b in pairs]
        questions = tensor.tensor(questions)
        got = student.solve_sums(Adder(digits, draw.rng), questions.clone(), digits)
        expect("the sum", pairs.sum(1), got, inputs={"questions": questions, "digits": digits})
    return "Right. For a GPT that learns + and − from scratch: tinygrad-gpt train calculator"
