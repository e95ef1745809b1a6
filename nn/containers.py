"""Modules that hold others: Sequential, ModuleList, ModuleDict, and lists and dicts of parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nn.module import Module, tree_repr
from nn.parameter import Parameter


class _Listed(Module):
    """What a list of registered members does; the member named "0" comes first."""

    _kind: type = Module  # what the members are

    def __init__(self, members: Iterable = ()):
        super().__init__()
        self.extend(members or ())

    def _members_dict(self) -> dict[str, Any]:
        return self._registered(self._kind)

    def _set_all(self, members: Iterable) -> None:
        for name in self._members_dict():
            delattr(self, name)
        self.extend(members)

    def _key(self, index: int) -> str:
        """The name of the member at position `index`."""
        names = list(self._members_dict())
        i = operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"{type(self).__name__}: index {i} is out of range for {len(names)} member(s)")
        return names[i]

    def __len__(self) -> int:
        return len(self._members_dict())

    def __iter__(self) -> Iterator:
        return iter(self._members_dict().values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._like(dict(list(self._members_dict().items())[index]))
        return self._members_dict()[self._key(index)]

    def _like(self, members: dict):
        return type(self)(members.values())

    def __setitem__(self, index: int, member) -> None:
        setattr(self, self._key(index), member)

    def __delitem__(self, index) -> None:
        members = list(self)
        del members[index]
        self._set_all(members)

    def insert(self, index: int, member) -> None:
        """Put `member` before position `index`."""
        members = list(self)
        members.insert(index, member)
        self._set_all(members)

    def append(self, member):
        """Add `member` at the end; returns self."""
        name = str(len(self))
        if self._kind is Module:
            self.register_module(name, member)
        else:
            self.register_parameter(name, member)
        return self

    def extend(self, members: Iterable):
        """Add all `members` at the end; returns self."""
        for member in members:
            self.append(member)
        return self


class ModuleList(_Listed):
    """A list of modules, registered under the names 0, 1, 2, …"""

    def __repr__(self) -> str:
        runs: list[list] = []  # [first index, last index, text]: equal neighbours share a line
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        children = [
            f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
            for first, last, text in runs
        ]
        return tree_repr(type(self).__name__, "", children)


class ParameterList(_Listed):
    """A list of parameters, registered under the names 0, 1, 2, …; Tensors are wrapped."""

    _kind = Parameter

    def append(self, member) -> ParameterList:
        """Add a Parameter (or a Tensor, which becomes one) at the end; returns self."""
        return super().append(member if isinstance(member, Parameter) else Parameter(member))


class Sequential(_Listed):
    """Modules one after the other: the result of each is the argument of the next.

    `Sequential(a, b)` names them 0 and 1; `Sequential({"first": a, "second": b})` names them itself.
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.register_module(name, module)
        else:
            self.extend(modules)

    def _like(self, members: dict) -> Sequential:
        return Sequential(members)  # a slice keeps the names, as PyTorch's does

    def forward(self, x):
        for module in self:
            x = module(x)
        return x


class _Named(Module):
    """What a dict of registered members does."""

    _kind: type = Module  # what the members are

    def _members_dict(self) -> dict[str, Any]:
        return self._registered(self._kind)

    def __len__(self) -> int:
        return len(self._members_dict())

    def __iter__(self) -> Iterator[str]:
        return iter(self._members_dict())

    def __contains__(self, key: str) -> bool:
        return key in self._members_dict()

    def __getitem__(self, key: str):
        return self._members_dict()[key]

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __setitem__(self, key: str, member) -> None:
        if self._kind is Module:
            self.register_module(key, member)
        else:
            self.register_parameter(key, member if isinstance(member, Parameter) else Parameter(member))

    def keys(self):
        """The names."""
        return self._members_dict().keys()

    def values(self):
        """The members."""
        return self._members_dict().values()

    def items(self):
        """(name, member) pairs."""
        return self._members_dict().items()

    def update(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add (or replace by) the members of a dict or of (name, member) pairs."""
        for name, member in dict(members).items():
            self[name] = member

    def pop(self, key: str):
        """Remove the member `key` and return it."""
        member = self[key]
        delattr(self, key)
        return member

    def clear(self) -> None:
        """Remove all members."""
        for key in self:
            delattr(self, key)


class ModuleDict(_Named):
    """A dict of modules, each registered under its key."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        super().__init__()
        self.update(modules or ())


class ParameterDict(_Named):
    """A dict of parameters, each registered under its key; Tensors are wrapped."""

    _kind = Parameter

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()):
        super().__init__()
        self.update(parameters or ())


class Identity(Module):
    """Gives back what it gets; takes and ignores any arguments, so that it can stand in for any layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x
