"""Verdicts, tasks and lists, for a terminal or a plain pipe. Words carry the meaning, colour only repeats it."""

import itertools
import textwrap

from rich.console import Console
from rich.text import Text

from tinygrad_gpt.exercises.catalogue import Exercise, exercises, following, sets
from tinygrad_gpt.exercises.examine import BROKEN, FAILED, MISSING, PASSED, RAISED, RULE, STOPPED, UNWRITTEN, Verdict
from tinygrad_gpt.exercises.progress import Progress, Record
from tinygrad_gpt.exercises.reading import location
from tinygrad_gpt.exercises.stub import solution

COMMAND = "tinygrad-gpt exercises"
GOOD, BAD, QUIET = "bold blue", "bold red", "dim"  # blue and red: told apart by the colour-blind too
WORDS = {
    PASSED: "solved",
    FAILED: "wrong result",
    RAISED: "an exception",
    RULE: "against the rule",
    BROKEN: "cannot be checked",
    MISSING: "no file",
    STOPPED: "stopped",
    UNWRITTEN: "not written yet",
}

console = Console(highlight=False, markup=False)


def say(text: str = "", style: str = "") -> None:
    """A line; a long one is left to the terminal to wrap, so that paths and commands can be copied."""
    console.print(Text(text, style=style), soft_wrap=True)


def row(text: str, style: str = "") -> None:
    """A line of a list: a terminal that is too narrow cuts it off, a pipe gets it whole."""
    console.print(Text(text, style=style), no_wrap=True, overflow="ellipsis", soft_wrap=not console.is_terminal)


def sentence(text: str, style: str = "") -> None:
    """A line of a verdict, indented: a terminal gets it broken between words, a pipe as it is."""
    if console.is_terminal:
        wrapper = textwrap.TextWrapper(max(40, console.width - 4), break_long_words=False, break_on_hyphens=False)
        text = "\n".join(wrapper.fill(line) for line in text.splitlines())
    say(textwrap.indent(text, "  "), style)


def block(text: str, indent: int) -> None:
    """Lines as they are, indented."""
    say(textwrap.indent(text, " " * indent))


def prose(text: str, indent: int) -> None:
    """Paragraphs, broken anew to the width that there is."""
    width = max(40, min(console.width, 100) - indent)
    paragraphs = (textwrap.fill(" ".join(part.split()), width) for part in text.split("\n\n"))
    block("\n\n".join(paragraphs), indent)


def show_verdict(exercise: Exercise, verdict: Verdict) -> None:
    sign, style = ("✓", GOOD) if verdict.passed else ("✗", BAD)
    say(f"{sign} {exercise.number} {exercise.name}: {WORDS[verdict.state]}", style)
    sentence(verdict.sentence)
    for line in verdict.lines:
        say(f"    {line}", QUIET)
    for symptom in verdict.symptoms:
        sentence(symptom, "bold")
    if verdict.table:
        _show_table(verdict.table)
    if verdict.where:
        say(f"  First difference {verdict.where}")
    if verdict.expected or verdict.got:
        _show_pair(verdict)
    if verdict.inputs:
        many = verdict.cases > 1
        say(f"  The smallest of {verdict.failed_cases} failing cases (of {verdict.cases}):" if many else "  With:")
        for name, value in verdict.inputs.items():
            _show_input(name, value)
    if verdict.printed:
        say("  Your program printed:")
        block(verdict.printed.rstrip(), 4)


def _show_table(rows: list[list[str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, said in rows:
        say(f"    {name:<{width}}   {said}")


def _show_pair(verdict: Verdict) -> None:
    """Expected beside got where both fit, else one above the other."""
    pair = [f"{name} {text}" for name, text in (("expected", verdict.expected), ("got", verdict.got)) if text]
    columns = [text.splitlines() for text in pair]
    widths = [max(map(len, lines)) for lines in columns]
    say()
    if sum(widths) + 4 * len(pair) <= console.width:
        for row in itertools.zip_longest(*columns, fillvalue=""):
            say("  " + "    ".join(line.ljust(width) for line, width in zip(row, widths, strict=True)).rstrip())
    else:
        block("\n".join(pair), 2)
    say()


def _show_input(name: str, value: str) -> None:
    first, _, rest = value.partition("\n")
    if not rest:
        say(f"    {name} = {first}")
    elif "\n" not in rest:
        say(f"    {name} = {rest}   {first}")
    else:
        say(f"    {name} =   {first}")
        block(rest, 6)


def show_next_steps(exercise: Exercise, verdict: Verdict, progress: Progress, watching: bool = False) -> None:
    """After a verdict: what to read and what comes next (while watching, with its task), or where to get help."""
    if not verdict.passed:
        if verdict.state in (FAILED, RAISED, UNWRITTEN, RULE, STOPPED):
            hints = progress.record(exercise).hints
            more = "hint" if hints < len(exercise.hints) else "solution"
            say(f"  Help: {COMMAND} {more} {exercise.number}", QUIET)
        return
    say("  Now read:")
    for read in exercise.read:
        say(f"    {location(read)}  {read.name}".rstrip())
        prose(read.why, 6)
    after = following(exercise)
    coming = progress.next_unsolved() if after is None or progress.record(after).solved else after
    if coming is None:
        say("All exercises are solved.", GOOD)
    elif watching:
        say()
        show_task(coming, progress, watching)
    else:
        say(f"  Next: {coming.number} {coming.name}: {coming.title}")
        say(f"        {progress.file(coming)}")


def show_task(exercise: Exercise, progress: Progress, watching: bool = False) -> None:
    """What an exercise is about, where its file is, and what can be done with it."""
    say(f"{exercise.number} {exercise.name}: {exercise.title}", "bold")
    rest = exercise.introduction.partition("\n")[2].strip()
    if rest:
        prose(rest, 2)
    say(f"  Write it in  {progress.file(exercise)}")
    if not watching:
        say(f"  Check it     {COMMAND} check {exercise.number}")
    say(f"  Get a hint   {COMMAND} hint {exercise.number}")


def show_hint(exercise: Exercise, number: int) -> None:
    """Hint `number`, counted from 1."""
    say(f"{exercise.number} {exercise.name}, hint {number} of {len(exercise.hints)}:", "bold")
    prose(exercise.hints[number - 1], 2)


def show_solution(exercise: Exercise) -> None:
    say(solution(exercise).rstrip())


def show_list(progress: Progress) -> None:
    records = progress.records()
    width = max(len(exercise.name) for exercise in exercises())
    for group in sets():
        done = sum(records.get(e.name, Record()).solved for e in group.exercises)
        row(f"{group.letter}. {done} of {len(group.exercises)} solved: {group.title}", "bold")
        for exercise in group.exercises:
            state = _state(records.get(exercise.name, Record()))
            line = f"  {exercise.number}  {exercise.name:<{width}}  {state:<8}  {exercise.title}"
            row(line, GOOD if "✓" in state else "")
        say()


def _state(record: Record) -> str:
    if record.solved:
        return "✓ solved"
    if record.solution_shown:
        return "… read"
    return "… tried" if record.attempts else ""


def show_standing(progress: Progress) -> None:
    """Where one stands: a line for each set, and what to do next."""
    records = progress.records()
    for group in sets():
        done = sum(records.get(e.name, Record()).solved for e in group.exercises)
        count = len(group.exercises)
        bar = "█" * round(20 * done / count) + "·" * (20 - round(20 * done / count))
        row(f"{group.letter}  {bar}  {done:>2} of {count:>2}  {group.title}")
    say()
    coming = progress.next_unsolved()
    if coming is None:
        return say("All exercises are solved.", GOOD)
    if not records:
        say(f"Start with `{COMMAND} next`: it puts one file for each exercise into {progress.folder}/.")
    else:
        say(f"Next is {coming.number} {coming.name}: {coming.title}")
        say(f"        {progress.file(coming)}")
        say(f"`{COMMAND} check` checks it, `hint` helps, `list` shows all,")
        say("`watch` checks whenever you save.")


def show_losses(yours: dict[int, float], engines: dict[int, float]) -> None:
    """Validation losses by iteration, of a run with the student's backward and of one with the engine's."""
    say("\n    iter   your loss   the engine's")
    for iteration, loss in yours.items():
        say(f"  {iteration:>6}   {loss:>9.4f}   {engines[iteration]:>12.4f}")
    say(
        "Where the two part, it is by rounding: their sums run in different orders, and each step builds on the last.\n"
    )
