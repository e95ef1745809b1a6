"""The activations and losses as Modules: each holds the arguments of one function in `nn.functional` and calls it.

A class says which function, and what its arguments' defaults are, in PyTorch's order. The formulas stand there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import tensor
from nn import functional as F
from nn.module import Module
from nn.parameter import Parameter
from tensor import Tensor

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "Mish",
    "NLLLoss",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Threshold",
]


class _Function(Module):
    """`function(*inputs, **arguments)`, where `forward` gets the inputs."""

    function: ClassVar[Callable]
    arguments: ClassVar[dict[str, Any]] = {}  # name -> default

    def __init__(self, *args, **kwargs):
        super().__init__()
        name = type(self).__name__
        if len(args) > len(self.arguments):
            raise TypeError(f"{name} takes at most {len(self.arguments)} argument(s), got {len(args)}")
        given = dict(zip(self.arguments, args, strict=False))
        for key, value in kwargs.items():
            if key in given or key not in self.arguments:
                raise TypeError(
                    f"{name}: {key!r} is given twice or unknown; the arguments are ({', '.join(self.arguments)})"
                )
            given[key] = value
        for key, default in self.arguments.items():
            value = given.get(key, default)
            if key in ("weight", "pos_weight"):
                self.register_buffer(key, value)  # a constant that moves with the module
            else:
                setattr(self, key, value)

    def forward(self, *inputs: Tensor) -> Tensor:
        return type(self).function(*inputs, **{key: getattr(self, key) for key in self.arguments})

    def extra_repr(self) -> str:
        shown = [key for key in self.arguments if key not in ("inplace", "weight", "pos_weight", "reduction")]
        return ", ".join(f"{key}={getattr(self, key)!r}" for key in shown)


def _module(name: str, function: Callable, **arguments) -> type[_Function]:
    """The Module class `name` around `function`."""
    doc = f"`nn.functional.{function.__name__}` as a Module. {(function.__doc__ or '').strip()}"
    return type(
        name,
        (_Function,),
        {"function": staticmethod(function), "arguments": arguments, "__doc__": doc, "__module__": __name__},
    )


# Activations: forward(x)
ReLU = _module("ReLU", F.relu, inplace=False)
ReLU6 = _module("ReLU6", F.relu6, inplace=False)
LeakyReLU = _module("LeakyReLU", F.leaky_relu, negative_slope=0.01, inplace=False)
ELU = _module("ELU", F.elu, alpha=1.0, inplace=False)
CELU = _module("CELU", F.celu, alpha=1.0, inplace=False)
SELU = _module("SELU", F.selu, inplace=False)
GELU = _module("GELU", F.gelu, approximate="none")
SiLU = _module("SiLU", F.silu, inplace=False)
Mish = _module("Mish", F.mish, inplace=False)
Sigmoid = _module("Sigmoid", F.sigmoid)
LogSigmoid = _module("LogSigmoid", F.logsigmoid)
Tanh = _module("Tanh", F.tanh)
Softsign = _module("Softsign", F.softsign)
Softplus = _module("Softplus", F.softplus, beta=1.0, threshold=20.0)
Hardtanh = _module("Hardtanh", F.hardtanh, min_val=-1.0, max_val=1.0, inplace=False)
Hardsigmoid = _module("Hardsigmoid", F.hardsigmoid, inplace=False)
Hardswish = _module("Hardswish", F.hardswish, inplace=False)
Threshold = _module("Threshold", F.threshold, threshold=0.0, value=0.0, inplace=False)
GLU = _module("GLU", F.glu, dim=-1)
Softmax = _module("Softmax", F.softmax, dim=None)
LogSoftmax = _module("LogSoftmax", F.log_softmax, dim=None)
Softmin = _module("Softmin", F.softmin, dim=None)
CosineSimilarity = _module("CosineSimilarity", F.cosine_similarity, dim=1, eps=1e-08)

# Losses: forward(input, target)
CrossEntropyLoss = _module(
    "CrossEntropyLoss", F.cross_entropy, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
)
NLLLoss = _module("NLLLoss", F.nll_loss, weight=None, ignore_index=-100, reduction="mean")
MSELoss = _module("MSELoss", F.mse_loss, reduction="mean")
L1Loss = _module("L1Loss", F.l1_loss, reduction="mean")
SmoothL1Loss = _module("SmoothL1Loss", F.smooth_l1_loss, reduction="mean", beta=1.0)
HuberLoss = _module("HuberLoss", F.huber_loss, reduction="mean", delta=1.0)
BCELoss = _module("BCELoss", F.binary_cross_entropy, weight=None, reduction="mean")
BCEWithLogitsLoss = _module(
    "BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, weight=None, reduction="mean", pos_weight=None
)
KLDivLoss = _module("KLDivLoss", F.kl_div, reduction="mean", log_target=False)


class PReLU(Module):
    """x where x > 0, else weight · x, with one learned weight, or one for each of `num_parameters` channels (dim 1)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        super().__init__()
        self.num_parameters = num_parameters
        self.weight = Parameter(tensor.ones(num_parameters) * init)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
