"""Write an op of your own, and let central differences check its derivative.

python examples/custom_op.py
"""

import tensor
from tensor import Op


class Swish(Op):
    """y = x σ(βx), with σ(z) = 1 / (1 + e⁻ᶻ) (Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941).

    dy/dx = σ + x β σ (1 − σ) = σ + β y (1 − σ).
    """

    vjp = "dx = dy ⊙ (σ + β y (1 − σ))"

    def forward(self, x, *, beta):
        self.sigma = 1 / (1 + tensor.namespace(x).exp(-beta * x))
        self.x, self.beta = x, beta
        return x * self.sigma

    def backward(self, dy):
        y = self.x * self.sigma
        return dy * (self.sigma + self.beta * y * (1 - self.sigma))


def swish(x: tensor.Tensor, beta: float = 1.0) -> tensor.Tensor:
    return Swish.apply(x, beta=beta)


if __name__ == "__main__":
    tensor.manual_seed(0)
    x = tensor.randn(4, 3, dtype=tensor.float64, requires_grad=True)
    y = swish(x, beta=1.5).sum()
    y.backward()
    print("swish(x).sum() =", y)
    print("its gradient   =", x.grad)
    print("gradcheck      =", tensor.gradcheck(lambda x: swish(x, beta=1.5), [x]))
