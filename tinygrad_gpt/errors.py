"""The two ways in which a command ends early; both reach the user as one sentence, never as a traceback."""

TRACEBACK_VARIABLE = "TINYGRAD_GPT_TRACEBACK"  # in the environment: mistakes in the program itself show where they are


class InputError(ValueError):
    """What the user gave cannot be used: a file, an option, a folder. Exit code 2."""


class RunError(RuntimeError):
    """The run itself failed: the loss is not finite, the disk is full. Exit code 1."""


class Interrupted(Exception):
    """The user stopped the run, which is saved. Exit code 128 + signal: 130 for Ctrl-C."""

    def __init__(self, sentence: str, signum: int):
        super().__init__(sentence)
        self.exit_code = 128 + signum
