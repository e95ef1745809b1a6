"""The commands `tinygrad-gpt exercises …`."""

import io
import signal
import sys
import time
from pathlib import Path

import click

from tinygrad_gpt.config import DEFAULT_PRESET, TrainConfig, load_preset
from tinygrad_gpt.errors import Interrupted
from tinygrad_gpt.exercises import isolate, show, swap
from tinygrad_gpt.exercises.catalogue import Exercise, exercises, find
from tinygrad_gpt.exercises.examine import Verdict, load
from tinygrad_gpt.exercises.progress import Progress
from tinygrad_gpt.exercises.show import say

POLL = 0.3  # seconds between two looks at the files


class Folder(click.ParamType):
    """`--dir`: the student's folder, as its Progress."""

    name = "folder"

    def convert(self, value, param, ctx) -> Progress:
        return value if isinstance(value, Progress) else Progress(Path(value))


folder_option = click.option(
    "--dir", "progress", type=Folder(), default="exercises", show_default=True, help="Your folder for the exercises."
)
number_argument = click.argument("exercise", metavar="[N]", required=False)


@click.group("exercises", invoke_without_command=True)
@folder_option
@click.pass_context
def app(context: click.Context, progress: Progress) -> None:
    """Learn by doing: exercises with a checker.

    N is a number (A03), a name (one_hot), or 3 for number 3 of the set you are at; left out, it is the next
    one that is not solved.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a pipe may have no √
    if context.invoked_subcommand is None:
        show.show_standing(progress)
    context.default_map = {name: {"progress": progress} for name in app.commands}


def _chosen(progress: Progress, text: str | None) -> Exercise:
    """The exercise that the user named, or the next unsolved one (the last, if all are solved)."""
    current = progress.next_unsolved() or exercises()[-1]
    return find(text, current.number[0]) if text else current


def _hand_out(progress: Progress) -> None:
    if count := progress.hand_out():
        say(f"{count} new exercises in {progress.folder}/: one file each, yours to edit.\n")


@app.command("list")
@folder_option
def list_(progress: Progress) -> None:
    """All exercises, and which are solved."""
    show.show_list(progress)


@app.command("next")
@folder_option
def next_(progress: Progress) -> None:
    """The next exercise: its task and its file."""
    _hand_out(progress)
    coming = progress.next_unsolved()
    if coming is None:
        say("All exercises are solved.", show.GOOD)
    else:
        show.show_task(coming, progress)
        say(f"\n`{show.COMMAND} watch`, in a second terminal, checks whenever you save.")


@app.command()
@number_argument
@folder_option
def check(exercise: str | None, progress: Progress) -> int:
    """Check an exercise; exit code 0 if it is solved, else 1."""
    chosen = _chosen(progress, exercise)
    _hand_out(progress)
    try:
        return 0 if _check(chosen, progress).passed else 1
    except KeyboardInterrupt:
        raise Interrupted("Stopped.", signal.SIGINT) from None


def _check(exercise: Exercise, progress: Progress, watching: bool = False) -> Verdict:
    verdict = isolate.check(exercise, progress.file(exercise))
    record = progress.record(exercise)
    progress.change(exercise, attempts=record.attempts + 1, solved=record.solved or verdict.passed)
    show.show_verdict(exercise, verdict)
    show.show_next_steps(exercise, verdict, progress, watching)
    return verdict


@app.command()
@number_argument
@folder_option
def hint(exercise: str | None, progress: Progress) -> None:
    """The next hint for an exercise: a nudge, a direction, nearly there."""
    chosen = _chosen(progress, exercise)
    seen = progress.record(chosen).hints
    if seen < len(chosen.hints):
        progress.change(chosen, hints=seen + 1)
        show.show_hint(chosen, seen + 1)
        return
    for number in range(1, len(chosen.hints) + 1):
        show.show_hint(chosen, number)
    say(f"That is all of them; `{show.COMMAND} solution {chosen.number}` shows the answer.")


@app.command()
@folder_option
def watch(progress: Progress) -> None:
    """Check each exercise whenever its file is saved, until Ctrl-C."""
    _hand_out(progress)
    coming = progress.next_unsolved()
    if coming is not None:
        show.show_task(coming, progress, watching=True)
    say(f"\nWatching {progress.folder}/: save a file and it is checked. Ctrl-C ends.")
    try:
        _watch(progress)
    except KeyboardInterrupt:
        say("\nNo longer watching.")


def _watch(progress: Progress) -> None:
    files = {exercise: progress.file(exercise) for exercise in exercises()}
    seen = {exercise: _saved(path) for exercise, path in files.items()}
    while True:
        time.sleep(POLL)
        for exercise, path in files.items():
            now = _saved(path)
            if now not in (None, seen[exercise]):  # None: gone, as for a moment while an editor replaces it
                seen[exercise] = now
                say(f"\n── {path} {'─' * 20}", show.QUIET)
                _check(exercise, progress, watching=True)


def _saved(path: Path) -> tuple[int, int] | None:
    """What changes when a file is saved: the time and the size; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@app.command()
@number_argument
@folder_option
def solution(exercise: str | None, progress: Progress) -> None:
    """Print the reference solution; your file stays as it is."""
    chosen = _chosen(progress, exercise)
    progress.change(chosen, solution_shown=True)
    show.show_solution(chosen)


@app.command()
@click.argument("exercise", metavar="N")
@folder_option
def reset(exercise: str, progress: Progress) -> None:
    """Write an exercise's file anew; what was in it is kept as a backup."""
    chosen = _chosen(progress, exercise)
    backup = progress.reset(chosen)
    say(f"{progress.file(chosen)} is new" + (f"; what it was is in {backup}." if backup else "."))


@app.command()
@click.option("--max_iters", type=click.IntRange(min=1), help="Steps of each run.  [default: the preset's]")
@click.option("--input", "text", metavar="FILE", help="UTF-8 text to train on.  [default: Tiny Shakespeare]")
@folder_option
def train(progress: Progress, max_iters: int | None, text: str | None) -> int:
    """Train the laptop GPT with your attention backward (C12), then with the engine's own; compare the losses."""
    exercise = find("attention_backward")
    _hand_out(progress)
    verdict = isolate.check(exercise, progress.file(exercise))
    if not verdict.passed:
        show.show_verdict(exercise, verdict)
        say(f"\n{exercise.number} has to pass its check before a GPT trains with it.")
        return 1
    given = {name: value for name, value in (("max_iters", max_iters), ("input", text)) if value is not None}
    config = TrainConfig(**load_preset(DEFAULT_PRESET) | given)
    path = progress.file(exercise)
    sys.path.append(str(path.parent))  # it may import an earlier one
    student = load(path.read_text("utf-8"), str(path))
    say(f"1. {config.max_iters} steps with your backward", show.GOOD)
    mine = swap.train_with(student.attention_backward, config)
    say(f"\n2. {config.max_iters} steps with the engine's own", show.GOOD)
    engines = swap.train_without(config)
    show.show_losses(swap.validation_losses(mine), swap.validation_losses(engines))
    say(f"Your model is in {mine}: `tinygrad-gpt sample --out_dir={mine}` lets it speak.")
    return 0
