"""Calls that may hang on a machine without a network, given a time limit that always holds."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call_within(seconds: float, function: Callable[[], T]) -> T:
    """`function()`, or `TimeoutError` after `seconds`.

    A socket's own timeout does not cover the name lookup, which can hang for minutes; leaving a thread
    behind does.
    """
    outcome: list = []

    def call():
        try:
            outcome.append((function(), None))
        except Exception as error:  # handed to the caller's thread below
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
