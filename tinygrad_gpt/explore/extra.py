"""What the optional extra `explore` brings, and a sentence where it is missing."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from tinygrad_gpt.errors import InputError

HOW = "explore needs its extra: pip install 'tinygrad-gpt[explore]'"


def require_extra(name: str) -> ModuleType:
    """The module `name`; InputError with the way to get it where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{HOW} ({name.partition('.')[0]} is not installed).") from None


def package_file(package: str, name: str) -> str:
    """The text of the file `name` of an installed package, without importing the package."""
    found = importlib.util.find_spec(package)
    path = Path(found.origin).parent / name if found and found.origin else None
    if path is None or not path.is_file():
        raise InputError(f"{HOW} ({package} with its {name} is not installed).")
    return path.read_text("utf-8")
