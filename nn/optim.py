"""Optimizers: from the gradients in `.grad`, the next values of the parameters, in place.

Parameters come as an iterable, or in groups with hyper-parameters of their own:

>>> AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}], lr=1e-3)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import tensor
from nn.parameter import clear_gradients
from tensor import Tensor, no_grad
from tensor.devices import device_of, namespace
from tensor.kernels import kernels
from tensor.tensor import as_array, wrap


class Optimizer:
    """Base class: a subclass names its hyper-parameters in `defaults`, checks them in `check`, and steps in `update`.

    Attributes:
        param_groups: a list of dicts, each with "params" (a list) and its hyper-parameters; a schedule may change them.
        state: what the optimizer remembers of each parameter, by parameter.
    """

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: pass the parameters in a list, or model.parameters(); got one Tensor")
        listed = list(params)
        if not listed:
            raise ValueError(
                f"{self._name}: got no parameters; if they came from a generator, it may have been used up"
            )
        groups = listed if isinstance(listed[0], Mapping) else [{"params": listed}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: {"params": [...]} with the hyper-parameters that shall differ from the defaults."""
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: a parameter must be a Tensor, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{self._name}: can only optimize leaves, not the result of {p.grad_fn.name}")
            if id(p) in known:
                raise ValueError(f"{self._name}: a parameter of shape {tuple(p.shape)} is listed twice")
            known.add(id(p))
        group = {**self.defaults, **param_group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError where a hyper-parameter of `group` makes no sense."""
        self.require(group["lr"] >= 0, "lr", group["lr"], "0 or more")
        self.require(group["weight_decay"] >= 0, "weight_decay", group["weight_decay"], "0 or more")

    def require(self, holds: bool, name: str, value, condition: str) -> None:
        """ValueError naming the hyper-parameter unless `holds`."""
        if not holds:
            raise ValueError(f"{self._name}: {name} must be {condition}, got {value}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or with `set_to_none=False` fill them with zeros."""
        clear_gradients([p for group in self.param_groups for p in group["params"]], set_to_none)

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *, grad_factor=None):
        """Update every parameter that has a gradient; returns what `closure` (which computes the loss anew) returns.

        With `grad_factor`, a number or a Tensor (), each gradient counts so many times; the gradients themselves stay.
        It clips them without another pass over memory: `nn.utils.clip_factor`.
        """
        loss = None
        if closure is not None:
            with tensor.enable_grad():
                loss = closure()
        factor = 1.0 if grad_factor is None else _number(grad_factor)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            self.update_all(params, [p.grad.array for p in params], group, factor)
            for p in params:
                p.mark_written()
        return loss

    def update_all(self, params: list[Tensor], gradients: list, group: dict[str, Any], factor) -> None:
        """Write the next values into all parameters of a group, one by one where a subclass knows no better.

        Gradients are raw arrays that count `factor` times what they hold, a number or on a GPU an array () there.
        """
        for p, g in zip(params, gradients, strict=True):
            self.update(p, _times(g, factor), self.state.setdefault(p, {}), group)

    def update(self, p: Tensor, g, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Write the next values into p.array, from its raw gradient g, its state and the group's settings."""
        raise TypeError(f"{self._name} has no update: define `update(self, p, g, state, group)`")

    # ------------------------------------------------------------------ saving and loading

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number of a parameter: its state}, "param_groups": [...]}, PyTorch's layout.

        Parameters are numbered through all groups. Arrays share memory with the optimizer.
        """
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers[id(p)] = len(numbers)
            groups.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
        state = {
            numbers[id(p)]: {key: _as_tensor(value) for key, value in entries.items()}
            for p, entries in self.state.items()
        }
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict()`, made by this class or PyTorch's; its arrays are copied.

        Raises ValueError where the groups or the shapes differ from this optimizer's.
        """
        sizes = [len(group["params"]) for group in self.param_groups]
        saved = [len(group["params"]) for group in state_dict["param_groups"]]
        if sizes != saved:
            raise ValueError(
                f"{self._name}: the saved parameter groups hold {saved} parameters, this optimizer's {sizes}"
            )
        numbers = [n for group in state_dict["param_groups"] for n in group["params"]]
        params = dict(zip(numbers, [p for group in self.param_groups for p in group["params"]], strict=True))
        state = {}
        for number, entries in state_dict["state"].items():
            p = params[int(number)]
            state[p] = {key: self._loaded(p, number, key, value) for key, value in entries.items() if value is not None}
        self.state = state
        for group, other in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in other.items() if key != "params"})

    def _loaded(self, p: Tensor, number: int, key: str, value):
        if key == "step":
            return int(value)
        if tuple(value.shape) != p.shape:
            raise ValueError(
                f"{self._name}: {key} of parameter {number} has shape {tuple(value.shape)}, "
                f"the parameter {tuple(p.shape)}"
            )
        return namespace(p.array).array(as_array(value, p.dtype, p.device), copy=True, order="C")


def _number(factor):
    """A factor as a number, but on a GPU as an array () there: to look at it would be to wait for it."""
    array = factor.array if isinstance(factor, Tensor) else factor
    return float(array) if namespace(array) is np else array


def _times(g, factor):
    """factor · g, rounded once, to g's dtype."""
    if isinstance(factor, float) and factor == 1:
        return g
    with np.errstate(over="ignore", invalid="ignore"):  # an inf by a factor of 0 is NaN
        return namespace(g).multiply(g, factor, dtype=g.dtype)


def _as_tensor(value) -> Tensor:
    return tensor.tensor(float(value)) if isinstance(value, int) else wrap(value)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    g ← g + weight_decay · p
    b ← momentum · b + (1 − dampening) g      (b = g at the first step)
    g ← g + momentum · b if nesterov else b   (only with momentum)
    p ← p − lr · g
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov, "maximize": maximize})

    def check(self, group):
        super().check(group)
        self.require(group["momentum"] >= 0, "momentum", group["momentum"], "0 or more")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum above 0 and dampening 0")

    def update(self, p, g, state, group):
        momentum = group["momentum"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p.array
        if momentum:
            if "momentum_buffer" in state:
                b = state["momentum_buffer"]
                b *= momentum
                b += (1 - group["dampening"]) * g
            else:
                b = state["momentum_buffer"] = namespace(p.array).array(g)
            g = g + momentum * b if group["nesterov"] else b
        p.array -= group["lr"] * g


class Adam(Optimizer):
    """Adam: steps of about the size lr in each coordinate, whatever the size of its gradient (Kingma and Ba 2014,
    arXiv:1412.6980).

        g ← g + weight_decay · p                            (Adam: L2 regularisation)
        p ← p − lr · weight_decay · p                       (AdamW: decoupled decay)
        m ← β₁ m + (1 − β₁) g                               mean of the gradients
        v ← β₂ v + (1 − β₂) g²                              mean of their squares
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)               m and v start at 0: this makes up for it at step t
        p ← p − lr · m̂ / (√v̂ + eps)

    With `amsgrad`, v̂ is made from the largest v so far (Reddi et al. 2018, arXiv:1904.09237). The loop is a kernel
    (`adam_step` in tensor/kernels) that works in place and goes through memory once: it takes `grad_factor` along, and
    all parameters of a group stand end to end for it. In memory each parameter has arrays of its own: one buffer for
    all m and all v would save only what it takes to collect their addresses, a tenth of a microsecond each.
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "maximize": maximize})

    def check(self, group):
        super().check(group)
        self.require(group["eps"] >= 0, "eps", group["eps"], "0 or more")
        for i, beta in enumerate(group["betas"]):
            self.require(0 <= beta < 1, f"betas[{i}]", beta, "at least 0 and below 1")

    def update_all(self, params, gradients, group, factor):
        # The arrays that one call of the kernel can take, by what it must know of them.
        together: defaultdict[tuple, list] = defaultdict(list)
        transposed = []  # (array, its values in order)
        for p, g in zip(params, gradients, strict=True):
            state = self.state.get(p)
            if not state:
                state = self.state[p] = self._first_state(p, group["amsgrad"])
            values, m, v = p.array, state["exp_avg"], state["exp_avg_sq"]
            self._require_alike(values, g, m)
            state["step"] += 1
            if not (values.flags.c_contiguous and g.flags.c_contiguous):
                xp = namespace(values)
                values, g = xp.ascontiguousarray(values), xp.ascontiguousarray(g)
                transposed.append((p.array, values))
            largest = state["max_exp_avg_sq"] if group["amsgrad"] else None
            together[type(values), values.dtype, state["step"]].append((values, g, m, v, largest))
        (beta1, beta2), decay = group["betas"], group["weight_decay"]
        for (_, _, step), parameters in together.items():
            kernels(parameters[0][0]).adam_step(
                parameters,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                eps=group["eps"],
                decay=decay if self.decoupled else 0.0,
                l2=0.0 if self.decoupled else decay,
                step=step,
                factor=-factor if group["maximize"] else factor,
            )
        for array, values in transposed:
            if array is not values:
                array[...] = values

    def _require_alike(self, values, g, m) -> None:
        """RuntimeError unless they have one shape, dtype and device: kernels go by addresses, as far as p reaches."""
        places = isinstance(values, np.ndarray), isinstance(g, np.ndarray), isinstance(m, np.ndarray)
        if not (values.shape == g.shape == m.shape and values.dtype == g.dtype == m.dtype and len({*places}) == 1):
            p, gradient, moments = (f"{a.dtype} {a.shape} on {device_of(a)}" for a in (values, g, m))
            raise RuntimeError(
                f"{self._name}: a parameter is {p}, its gradient {gradient} and its moments {moments}: "
                "make a new optimizer after replacing, converting or moving parameters"
            )

    def _first_state(self, p: Tensor, amsgrad: bool) -> dict[str, Any]:
        names = ("exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * amsgrad)
        return {"step": 0} | {name: namespace(p.array).zeros(p.shape, p.dtype) for name in names}


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr · weight_decay each step, whatever its gradient's history
    (Loshchilov and Hutter 2017, arXiv:1711.05101). The formula stands at `Adam`.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
