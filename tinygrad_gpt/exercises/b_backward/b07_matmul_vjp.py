"""A product of two matrices.

Most of the time and of the gradients in a GPT is matrix products. There are two gradients, and both are matrix products
again: that is why a backward pass costs twice a forward pass.
"""

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def matmul_vjp(dy, a, b):
    """For y = a @ b with a (N, K), b (K, M), y (N, M): returns (da, db).

    y[n, m] = Σ_k a[n, k] b[k, m]. The element a[n, k] reaches row n of y, all its M elements, and y[n, m] moves by
    b[k, m] for each unit. Hence

        da[n, k] = Σ_m dy[n, m] b[k, m]

    Find db[k, m] in the same way, and write both as products of matrices.

    >>> matmul_vjp(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0], [5.0]]))[0]
    array([[4., 5.]])
    """
    return dy @ b.T, a.T @ dy


HINTS = [
    "A sum over the second index of both, Σ_m dy[n, m] b[k, m], is a product with the second one transposed.",
    "db[k, m] = Σ_n a[n, k] dy[n, m]: here the sum runs over the first index of both.",
    "The shapes leave one way only: da (N, K) from dy (N, M) and b (K, M); db (K, M) from a (N, K) and dy (N, M).",
]
READ = [
    Read("tensor/ops/matmul.py", "Matmul", "these two lines, for any number of batch dims"),
]
MISTAKES = [
    Mistake("a.T @ dy", "dy.T @ a", "db is transposed: (K, M) = aᵀ dy."),
    Mistake("dy @ b.T", "(dy.sum(1)[:, None] * b.sum(1))", "da: the sum over m is of products, not a product of sums."),
    Mistake("dy @ b.T, a.T @ dy", "a.T @ dy, dy @ b.T", "da and db are exchanged."),
]
RETURNS = ("da", "db")


def specification(dy, a, b):
    return vjp(lambda a, b: a @ b, dy, a, b)


def cases(draw):
    for N, K, M in ((1, 1, 1), (1, 2, 1), (2, 2, 2), (2, 1, 3), (3, 3, 3), draw.sizes(3, high=5)):
        yield draw.array(N, M), draw.array(N, K), draw.array(K, M)
