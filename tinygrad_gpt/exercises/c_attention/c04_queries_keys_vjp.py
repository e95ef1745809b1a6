"""From the scores to the queries and keys.

A score is a dot product, s[t, s′] = q[t] · k[s′]. Backward, each query moves towards the keys whose score should rise
and away from the others, and each key towards the queries likewise. Most mistakes in an attention of one's own are
here: with as many queries as keys, ds and dsᵀ have the same shape, and nothing complains.
"""

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def queries_keys_vjp(ds, q, k):
    """For s = q @ k.T with queries q (T, D), keys k (S, D), s (T, S): returns (dq, dk).

    dq[t] = Σ_s′ ds[t, s′] k[s′]. Write dk[s′] in the same way: which index is summed over?

    >>> dq, dk = queries_keys_vjp(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[4.0], [5.0]]))
    >>> dk
    array([[3.],
           [6.]])
    """
    return ds @ k, ds.T @ q


HINTS = [
    "For y = a @ b it was da = dy @ b.T and db = a.T @ dy (exercise B07). Here b is k.T, and its gradient is to be "
    "transposed again.",
    "dq (T, D) from ds (T, S) and k (S, D): there is one way only.",
    "dk[s′] = Σ_t ds[t, s′] q[t]: the sum runs over the first dim of ds, so ds has to be transposed.",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "the third line of the three steps back"),
    Read("tensor/ops/matmul.py", "Matmul", "both products, found from dy as here"),
]
MISTAKES = [
    Mistake("ds.T @ q", "ds @ q", "ds is not transposed in dk: the sum runs over the queries, its first dim."),
    Mistake("ds @ k,", "ds.T @ k,", "ds is transposed in dq: rows of ds are queries already."),
    Mistake("ds @ k, ds.T @ q", "ds.T @ q, ds @ k", "dq and dk are exchanged."),
    Mistake("ds @ k, ds.T @ q", "ds @ q, ds.T @ k", "q and k are exchanged: dq is made of keys, dk of queries."),
    Mistake("ds.T @ q", "(q.T @ ds)", "That is the gradient of k.T: transpose it."),
]
RETURNS = ("dq", "dk")


def specification(ds, q, k):
    return vjp(lambda q, k: q @ k.mT, ds, q, k)


def cases(draw):
    yield draw.array(1, 2), draw.array(1, 1), draw.array(2, 1)
    for T, S, D in ((2, 2, 2), (3, 3, 3), (3, 3, 2), (2, 3, 4), draw.sizes(3, high=5)):
        yield draw.array(T, S), draw.array(T, D), draw.array(S, D)
