"""The two ways in which a command ends early; both reach the user as one sentence, never as a traceback."""


class InputError(ValueError):
    """What the user gave cannot be used: a file, an option, a folder. Exit code 2."""


class RunError(RuntimeError):
    """The run itself failed: the loss is not finite, the disk is full. Exit code 1."""
