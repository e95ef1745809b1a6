"""Settings as frozen dataclasses: one line a setting gives its type, its default and its `--help` text.

The same description checks a value wherever it comes from: the command line, a TOML file or Python.
"""

import dataclasses
import difflib
import math
import types
from typing import Any, Literal, Union, get_args, get_origin

from tinygrad_gpt.errors import InputError


def option(default: Any, help: str, *, group: str | None = None) -> Any:
    """A dataclass field with its help text; `group` opens a new section of `--help`."""
    return dataclasses.field(default=default, metadata={"help": help, "group": group})


def plain_type(annotation: Any) -> Any:
    """`int` for `int | None`; anything else as it is."""
    if get_origin(annotation) in (types.UnionType, Union):  # `Literal[...] | None` is the latter
        return next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def check_types(settings: Any) -> None:
    """Raise `InputError` for a field whose value is not of its type; a whole number serves as a float."""
    for field in dataclasses.fields(settings):
        value, expected = getattr(settings, field.name), plain_type(field.type)
        if value is None and field.type is not expected:
            continue
        if expected is float and type(value) is int:
            object.__setattr__(settings, field.name, value := float(value))
        if not _fits(value, expected):
            raise InputError(f"{field.name} should be {describe(expected)}, got {value!r}.")


def _fits(value: Any, expected: Any) -> bool:
    if get_origin(expected) is Literal:
        return value in get_args(expected)
    return type(value) is expected and (expected is not float or math.isfinite(value))


def describe(expected: Any) -> str:
    """A type in a reader's words."""
    if get_origin(expected) is Literal:
        return "one of " + ", ".join(get_args(expected))
    return {int: "a whole number", float: "a number", bool: "True or False", str: "text"}[expected]


def parse(text: str, expected: Any) -> Any:
    """The value of type `expected` that `text` spells. Raises `ValueError` where it spells none."""
    if expected is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    value = text if get_origin(expected) is Literal else expected(text)
    if not _fits(value, expected):
        raise ValueError(text)
    return value


def require(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


def nearest(word: str, words: list[str]) -> str:
    """` (did you mean …?)` with the word most like `word`, or nothing."""
    close = difflib.get_close_matches(word, words, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
