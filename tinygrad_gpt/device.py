"""The device that a command computes on."""

import tensor
from tinygrad_gpt.errors import InputError


def check_device(device: str) -> None:
    """Raise `InputError` with the engine's own reason where this machine has no such device."""
    try:
        tensor.zeros(1).to(device)
    except RuntimeError as error:
        raise InputError(f"--device={device} cannot be used: {error}") from None
