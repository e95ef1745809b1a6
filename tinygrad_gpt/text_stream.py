"""Tokens to text, a few at a time."""

from collections.abc import Iterable

from tinygrad_gpt.tokenizer import Tokenizer

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what bytes that are no whole character decode to


class TextStream:
    """Decodes a text that arrives in pieces, and never shows half a character.

    A GPT-2 token is a few bytes, and may end in the middle of a character. That character waits for the tokens that
    complete it. All pieces together are the text that the tokens decode to at once.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._pending: list[int] = []  # the tokens since characters and tokens last ended together
        self._shown = 0  # characters of theirs that were returned already

    def add(self, tokens: Iterable[int]) -> str:
        """The characters that are complete now."""
        self._pending += tokens
        text = self.tokenizer.decode(self._pending)
        end = len(text) - text.endswith(UNFINISHED)
        new = text[self._shown : end]
        if end == len(text):
            self._pending, self._shown = [], 0
        else:
            self._shown = end
        return new

    def finish(self) -> str:
        """What never became a whole character."""
        rest = self.tokenizer.decode(self._pending)[self._shown :]
        self._pending, self._shown = [], 0
        return rest
