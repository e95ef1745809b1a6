"""The loss of a GPT: log-softmax, pick, mean, in one expression.

Walked through step by step, the gradient would be: −1/N for each picked log-probability (B04), put into zeros where it
was picked (B11), and sent through the log-softmax (B14). Do that once on paper. The row of zeros has a single entry, so
its sum is −1/N, and nearly everything falls away: what is left is what the model predicts minus what is true.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def cross_entropy_vjp(dloss, log_p, targets):
    """For loss = −mean_n log_p[n, targets[n]], where log_p = log_softmax(logits) (N, V): returns dlogits (N, V).

    targets (N,) are class numbers, dloss is a single number. Note: dlogits is asked for, not the gradient in log_p.

    >>> cross_entropy_vjp(1.0, np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1]))
    array([[-0.25 ,  0.25 ],
           [ 0.125, -0.125]])
    """
    return dloss * (np.exp(log_p) - (targets[:, None] == np.arange(log_p.shape[1]))) / len(targets)


HINTS = [
    "The gradient in log_p is −dloss/N at [n, targets[n]] and 0 elsewhere. Put it into your answer to B14 as dy.",
    "The sum of that dy over a row is −dloss/N. So the row becomes dloss/N times (softmax − one-hot of the target).",
    "The probabilities are np.exp(log_p), and a one-hot matrix is a comparison of targets[:, None] with an arange "
    "(exercise A04).",
]
READ = [
    Read("nn/functional/cross_entropy.py", "CrossEntropy", "fused: no (N, V) matrix is kept between the passes"),
    Read("tinygrad_gpt/model.py", "GPT.forward", "its last lines, where the loss of a GPT begins its way back"),
]
MISTAKES = [
    Mistake(" / len(targets)", "", "It is the gradient of the sum: the loss is a mean over N rows, so divide by N."),
    Mistake(
        "/ len(targets)",
        "/ log_p.shape[0] / log_p.shape[1]",
        "It is divided by N·V: the mean is over the N rows, not over the classes.",
    ),
    Mistake("np.exp(log_p) -", "log_p -", "log_p are logarithms: the probabilities are exp(log_p)."),
    Mistake(
        "(np.exp(log_p) - (targets[:, None] == np.arange(log_p.shape[1])))",
        "-(targets[:, None] == np.arange(log_p.shape[1]))",
        "That is the gradient in log_p: it still has to pass through the log-softmax, where exp(log_p) comes in.",
    ),
    Mistake(
        "(np.exp(log_p) - (targets[:, None] == np.arange(log_p.shape[1])))",
        "((targets[:, None] == np.arange(log_p.shape[1])) - np.exp(log_p))",
        "The sign is wrong: prediction minus truth. A step down this gradient has to raise the true class.",
    ),
    Mistake(
        "(np.exp(log_p) - (targets[:, None] == np.arange(log_p.shape[1])))",
        "(np.exp(log_p) - 1) * (targets[:, None] == np.arange(log_p.shape[1]))",
        "Only the true class gets a gradient: all others have to be pushed down, by their probability.",
    ),
    Mistake("return dloss * ", "return ", "dloss is missing: what comes from behind multiplies everything."),
]
RULES = OneExpression(allow="exp arange eye len")


def specification(dloss, log_p, targets):
    def loss(logits):
        return -logits.log_softmax(1)[tensor.arange(len(targets)), targets.tolist()].mean()

    return vjp(loss, dloss, log_p)  # log_p is its own log-softmax, so it will do for logits


def cases(draw):
    for N, V in ((1, 2), (2, 2), (2, 3), (3, 2), draw.sizes(2, high=6)):
        logits = draw.array(N, V)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        yield draw.uniform(0.5, 2.0), log_p, draw.ints(N, high=V).array
