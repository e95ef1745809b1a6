"""Module: parameters, buffers and other modules under one name each, and a `forward` that uses them.

Assigning an attribute registers it: `self.weight = Parameter(...)` is a parameter, `self.mlp = MLP(...)` a
submodule, and what `register_buffer` has named stays a buffer. They are attributes like any other; the module notes of
which kind each is. All else a Module can do is a walk over that tree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn.parameter import Parameter, clear_gradients
from tensor import Tensor, float32, float64, no_grad
from tensor.devices import Device
from tensor.inplace import assign
from tensor.modes import state
from tensor.tensor import as_array, wrap


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of all layers and models: subclass it, build the parts in `__init__`, compute in `forward`.

    >>> class Twice(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.gain = Parameter(tensor.ones(3))
    ...     def forward(self, x):
    ...         return 2 * x * self.gain
    """

    training: bool
    _kinds: dict[str, type]  # the name of each parameter, buffer and submodule -> Parameter, Tensor or Module

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self):
        # Straight into __dict__: __setattr__ below needs these to be there.
        vars(self).update(training=True, _kinds={}, _not_saved=set(), _hooks={}, _pre_hooks={})

    # ------------------------------------------------------------------ computing

    def forward(self, *args, **kwargs):
        """Compute the module's result; every subclass defines its own."""
        raise TypeError(f"{type(self).__name__} has no forward: define `forward(self, ...)`")

    def __call__(self, *args, **kwargs):
        if state.recorder is not None:
            with state.recorder.module(self):  # whoever watches wants to know which module an op ran in
                return self._between_hooks(*args, **kwargs)
        if self._pre_hooks or self._hooks:
            return self._between_hooks(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def _between_hooks(self, *args, **kwargs):
        for pre_hook in list(self._pre_hooks.values()):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._hooks.values()):
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    def register_forward_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, args, result)` after each forward; what it returns, if not None, replaces the result."""
        return RemovableHandle(self._hooks, hook)

    def register_forward_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; what it returns, if not None, replaces the arguments."""
        return RemovableHandle(self._pre_hooks, hook)

    # ------------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value) -> None:
        fields = vars(self)
        if "_kinds" not in fields:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning `{name}`")
        if isinstance(value, (Parameter, Module)):
            self._register(Parameter if isinstance(value, Parameter) else Module, name, value)
            return
        kind = self._kinds.get(name)
        if kind is not None and value is not None and not (kind is Tensor and isinstance(value, Tensor)):
            hint = ": wrap it in nn.Parameter(...)" if kind is Parameter else ""
            raise TypeError(
                f"{type(self).__name__}.{name} is a {ROLES[kind]} and takes a {kind.__name__} or None, got "
                f"{type(value).__name__}{hint}"
            )
        fields[name] = value

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget(name)

    def _register(self, kind: type, name: str, value) -> None:
        if self._kinds.get(name) is not kind:  # else it keeps its place
            self._forget(name)
            self._kinds[name] = kind
        vars(self)[name] = value

    def _forget(self, name: str) -> None:
        self._not_saved.discard(name)
        self._kinds.pop(name, None)
        vars(self).pop(name, None)

    def _registered(self, kind: type) -> dict[str, Any]:
        """All of one kind, as they were registered: by name, a Parameter, Tensor or Module, or None."""
        fields = vars(self)
        return {name: fields[name] for name, its_kind in self._kinds.items() if its_kind is kind}

    def _check_name(self, name: str, kind: type) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(
                f"{type(self).__name__}: {name!r} cannot be a name: it must be a string without dots, not empty"
            )
        if hasattr(self, name) and self._kinds.get(name) is not kind:
            raise KeyError(f"{type(self).__name__} already has an attribute {name!r}")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep `tensor` as `self.<name>`: it moves with the module but is not learned (a mask, a table).

        With `persistent=False` it is left out of `state_dict()`.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name!r} must be a Tensor or None, got {type(tensor).__name__}")
        self._check_name(name, Tensor)
        self._register(Tensor, name, tensor)
        if persistent:
            self._not_saved.discard(name)
        else:
            self._not_saved.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Keep `param` as `self.<name>`; None keeps the name for a parameter that this module does without."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name!r} must be a Parameter or None, got {type(param).__name__}")
        self._check_name(name, Parameter)
        self._register(Parameter, name, param)

    def register_module(self, name: str, module: Module | None) -> None:
        """Keep `module` as `self.<name>`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"register_module: {name!r} must be a Module or None, got {type(module).__name__}")
        self._check_name(name, Module)
        self._register(Module, name, module)

    add_module = register_module

    # ------------------------------------------------------------------ walking the tree

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module ("") and all below it, parents first; each module once."""
        return self._walk(prefix, set() if remove_duplicate else None)

    def _walk(self, prefix: str, seen: set | None) -> Iterator[tuple[str, Module]]:
        if seen is not None:
            if self in seen:
                return
            seen.add(self)
        yield prefix, self
        for name, child in self._registered(Module).items():
            if child is not None:
                yield from child._walk(_join(prefix, name), seen)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first; each once."""
        found: dict[Module, None] = {}
        self._collect(found)
        return iter(found)

    def _collect(self, found: dict[Module, None]) -> None:
        found[self] = None
        for name, kind in self._kinds.items():
            if kind is Module and (child := getattr(self, name)) is not None and child not in found:
                child._collect(found)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct submodules, each once."""
        seen: set[Module] = set()
        for name, child in self._registered(Module).items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        return (child for _, child in self.named_children())

    def _members(self, kind: type, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        seen = set()
        for path, module in modules:
            for name, value in module._registered(kind).items():
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield _join(path, name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter); one that is shared (tied) comes once, under its first name."""
        return self._members(Parameter, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once, in the order of `named_parameters`."""
        modules = self.modules() if recurse else [self]
        found: dict[Parameter, None] = {}
        for module in modules:
            for name, kind in module._kinds.items():
                if kind is Parameter and (parameter := getattr(module, name)) is not None:
                    found[parameter] = None
        return iter(found)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer), each buffer once."""
        return self._members(Tensor, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def apply(self, fn: Callable[[Module], None]) -> Module:
        """Call `fn` on every module below this one, children first, then on this one; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------ modes, places, gradients

    def train(self, mode: bool = True) -> Module:
        """Switch to training (dropout drops) or, with `mode=False`, to evaluation; returns self."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Module:
        """Switch to evaluation: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze or unfreeze every parameter; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient of every parameter, or with `set_to_none=False` fill it with zeros."""
        clear_gradients(self.parameters(), set_to_none)

    def to(self, *args, dtype=None, device=None) -> Module:
        """Move everything to a device and/or cast what is floating to a dtype, in place; returns self.

        `to("cuda")`, `to(tensor.float64)`, `to(other_tensor)`.
        """
        for a in args:
            if isinstance(a, Tensor):
                dtype, device = a.dtype, a.device
            elif isinstance(a, Device) or (isinstance(a, str) and a.partition(":")[0] in ("cpu", "cuda")):
                device = a
            else:
                dtype = a
        if dtype is not None and np.dtype(dtype).kind != "f":
            raise TypeError(f"{type(self).__name__}.to: the dtype must be a floating-point one, got {np.dtype(dtype)}")
        return self._replace(lambda t: t.to(dtype=dtype if t.is_floating_point() else None, device=device))

    def cpu(self) -> Module:
        """Move everything to the CPU; returns self."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Module:
        """Move everything to a CUDA device; returns self."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def float(self) -> Module:
        """Cast what is floating to float32; returns self."""
        return self.to(float32)

    def double(self) -> Module:
        """Cast what is floating to float64; returns self."""
        return self.to(float64)

    @no_grad()
    def _replace(self, convert: Callable[[Tensor], Tensor]) -> Module:
        for parameter in self.parameters():
            parameter.data = convert(parameter.data)
            if parameter.grad is not None:
                parameter.grad = convert(parameter.grad)
        for module in self.modules():
            for name, buffer in module._registered(Tensor).items():
                setattr(module, name, None if buffer is None else convert(buffer))
        return self

    # ------------------------------------------------------------------ saving and loading

    def state_dict(self, *, prefix: str = "") -> dict[str, Tensor]:
        """Every parameter and persistent buffer by its dotted name, detached, sharing memory with the module.

        A tied parameter stands under each of its names.
        """
        return {prefix + name: value.detach() for name, value in self._state()}

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(remove_duplicate=False):
            saved = {k: v for k, v in module._registered(Tensor).items() if k not in module._not_saved}
            for name, value in itertools.chain(module._registered(Parameter).items(), saved.items()):
                if value is not None:
                    yield _join(path, name), value

    @no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy `state_dict` (Tensors or arrays by dotted name) into this module, cast to its dtypes and devices.

        Raises one RuntimeError that names all problems, and then changes nothing: keys that are missing or
        unexpected (not with `strict=False`, which returns them instead), and shapes that differ.
        """
        own = dict(self._state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append("missing: " + ", ".join(missing))
        if strict and unexpected:
            problems.append("unexpected: " + ", ".join(unexpected))
        for name, value in state_dict.items():
            if name in own and tuple(value.shape) != own[name].shape:
                problems.append(f"{name} has shape {tuple(value.shape)}, the module's has {own[name].shape}")
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise RuntimeError(f"load_state_dict: the weights do not fit this {type(self).__name__}:{listed}")
        for name, target in own.items():
            if name in state_dict:
                values = as_array(state_dict[name], target.dtype, target.device)
                assign(target, wrap(values), f"load_state_dict ({name})")
        return IncompatibleKeys(missing, unexpected)

    # ------------------------------------------------------------------ printing

    def extra_repr(self) -> str:
        """What stands between the parentheses of `repr`; a layer names its sizes here."""
        return ""

    def __repr__(self):
        children = [f"({name}): {child!r}" for name, child in self._registered(Module).items()]
        return tree_repr(type(self).__name__, self.extra_repr(), children)


ROLES = {Parameter: "parameter", Tensor: "buffer", Module: "submodule"}


class RemovableHandle:
    """Takes a hook off again: `handle.remove()`."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Callable], hook: Callable):
        self._hooks, self._number = hooks, next(self._numbers)
        hooks[self._number] = hook

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self._number, None)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def tree_repr(name: str, extra: str, children: list[str]) -> str:
    """Name(extra) on one line, or with `children` below it, indented."""
    if not children:
        return f"{name}({extra})"
    lines = [extra] if extra else []
    body = "\n".join([*lines, *children]).replace("\n", "\n  ")
    return f"{name}(\n  {body}\n)"
