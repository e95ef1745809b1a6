"""One step of AdamW, the optimizer that trains GPTs.

It divides each parameter's average gradient by the square root of its average squared gradient: so every parameter
moves about as far, whatever the size of its gradients. Weight decay acts beside it, on the parameter itself.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read


def adamw_step(p, grad, m, v, step, lr, beta1, beta2, eps, weight_decay):
    """The parameter and its two averages after one step: returns (p, m, v), all float64 of one shape.

    step counts from 1: the step that is being made. p, grad, m and v must not be changed in place. In this order:

        p ← p − lr · weight_decay · p
        m ← beta1 · m + (1 − beta1) · grad        the average gradient
        v ← beta2 · v + (1 − beta2) · grad²       the average squared gradient
        m̂ = m / (1 − beta1^step)                  both begin at 0, and this makes up for it
        v̂ = v / (1 − beta2^step)
        p ← p − lr · m̂ / (√v̂ + eps)
    """
    p = p - lr * weight_decay * p
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    p = p - lr * m_hat / (v_hat**0.5 + eps)
    return p, m, v


HINTS = [
    "The formulas are in the task; write them as lines of Python in the same order. A Tensor has .sqrt() or ** 0.5.",
    "Make new Tensors (p = p - …) rather than changing the given ones (p -= … would).",
    "Return the averages m and v as they are kept, without the hats: the correction is for this step's division only.",
]
READ = [
    Read("nn/optim.py", "Adam", "the formula, the state, and what AdamW changes"),
    Read("tensor/kernels/numpy_kernels.py", "adam_step", "the same loop in place, tile by tile"),
    Read("tinygrad_gpt/model.py", "GPT.configure_optimizers", "which parameters decay, and which do not"),
]
MISTAKES = [
    Mistake("m / (1 - beta1**step)", "m", "The first steps are too small: m̂ = m / (1 − beta1^step) is left out."),
    Mistake("v / (1 - beta2**step)", "v", "The first steps are too large: v̂ = v / (1 − beta2^step) is left out."),
    Mistake(
        "    p = p - lr * weight_decay * p\n",
        "    grad = grad + weight_decay * p\n",
        "That is Adam with L2: the decay must not pass through the averages.",
    ),
    Mistake("lr * weight_decay * p", "weight_decay * p", "Weight decay is multiplied by the learning rate, too."),
    Mistake("(v_hat**0.5 + eps)", "(v_hat + eps) ** 0.5", "eps is added after the root, not under it."),
    Mistake(
        "return p, m, v", "return p, m_hat, v_hat", "m and v are returned as they are kept, without the correction."
    ),
]
RETURNS = ("p", "m", "v")


def specification(p, grad, m, v, step, lr, beta1, beta2, eps, weight_decay):
    new_p, new_m, new_v = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for i in np.ndindex(p.shape):
        decayed = p[i] - lr * weight_decay * p[i]
        new_m[i] = beta1 * m[i] + (1 - beta1) * grad[i]
        new_v[i] = beta2 * v[i] + (1 - beta2) * grad[i] ** 2
        m_hat, v_hat = new_m[i] / (1 - beta1**step), new_v[i] / (1 - beta2**step)
        new_p[i] = decayed - lr * m_hat / (v_hat**0.5 + eps)
    return new_p, new_m, new_v


def cases(draw):
    zero = tensor.zeros(1, dtype=tensor.float64)
    yield (
        draw.floats(1, dtype=tensor.float64),
        draw.floats(1, dtype=tensor.float64),
        zero,
        zero,
        1,
        *_settings(draw, 0.0),
    )
    for step, shape in ((1, (2,)), (2, (3,)), (7, (2, 3)), (100, (4,))):
        p, grad, m, v = (draw.floats(*shape, dtype=tensor.float64) for _ in range(4))
        yield p, grad, m, v * v, step, *_settings(draw, 0.1)


def _settings(draw, weight_decay):
    return draw.uniform(0.01, 0.1), 0.9, 0.95, 0.01, weight_decay
