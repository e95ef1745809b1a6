"""The output projection: a linear layer on every position.

After the heads are merged, one linear layer mixes them. Its weight served all B·T positions, so its gradient is a sum
over all of them; folded into rows first, that sum is a single matrix product. PyTorch and we store the weight as
(out, in), which decides what has to be transposed.
"""

from nn import functional as F
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def projection_vjp(dout, y, weight):
    """For out = y @ weight.T + bias, (B, T, O), with y (B, T, I) and weight (O, I): returns (dbias, dweight, dy).

    >>> projection_vjp(np.ones((1, 2, 1)), np.array([[[3.0], [4.0]]]), np.array([[5.0]]))[1]
    array([[7.]])
    """
    rows = dout.reshape(-1, dout.shape[-1])  # (B·T, O)
    dweight = rows.T @ y.reshape(-1, y.shape[-1])  # (O, I)
    return rows.sum(0), dweight, dout @ weight


HINTS = [
    "bias is broadcast over B and T: sum over both (B01). dy needs no folding: @ works on the last dim, whatever is in "
    "front of it.",
    "For dweight fold B and T into one dim of rows, (B·T, O) and (B·T, I); what is left is a product of two matrices.",
    "dweight has to be (O, I), as the weight: the rows of dout transposed times the rows of y. dy is dout @ weight, "
    "nothing transposed.",
]
READ = [
    Read("nn/functional/linear.py", "Linear", "the same fold, for the same reason"),
    Read("tinygrad_gpt/model.py", "CausalSelfAttention", "c_proj, and how small its weights begin"),
]
MISTAKES = [
    Mistake(
        "rows.sum(0)", "dout.sum(0)", "dbias is summed over the batch only: it was broadcast over the positions, too."
    ),
    Mistake("rows.sum(0)", "rows.mean(0)", "dbias is a mean over the positions: their shares add up."),
    Mistake(
        "rows.T @ y.reshape(-1, y.shape[-1])",
        "y.reshape(-1, y.shape[-1]).T @ rows",
        "dweight is transposed: the weight is stored as (O, I).",
    ),
    Mistake("dout @ weight", "dout @ weight.T", "weight is transposed in dy: it was transposed forward, so not here."),
    Mistake(
        "rows.T @ y.reshape(-1, y.shape[-1])",
        "dout[0].T @ y[0]",
        "dweight has the share of the first sequence only: sum over the whole batch.",
    ),
]
RETURNS = ("dbias", "dweight", "dy")


def specification(dout, y, weight):
    bias = dout[0, 0] * 0
    return vjp(lambda bias, weight, y: F.linear(y, weight, bias), dout, bias, weight, y)


def cases(draw):
    for B, T, width, out in ((1, 1, 1, 1), (1, 2, 1, 1), (1, 2, 2, 2), (2, 2, 3, 2), draw.sizes(4, high=5)):
        yield draw.array(B, T, out), draw.array(B, T, width), draw.array(out, width)
