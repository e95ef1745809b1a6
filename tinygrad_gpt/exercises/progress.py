"""The student's folder: one file an exercise, and `progress.json` with what is solved.

A student's file is written only where none was handed out before; only `reset` replaces one, and keeps a backup.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.exercises.catalogue import Exercise, exercises
from tinygrad_gpt.exercises.stub import stub
from tinygrad_gpt.paths import atomic_write

FILENAME = "progress.json"
FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What is known of one exercise."""

    given: bool = False  # its stub was written once
    attempts: int = 0
    hints: int = 0  # how many were shown
    solution_shown: bool = False
    solved: bool = False


class Progress:
    """The records in one folder, by exercise name. Each change is read, made and written at once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / FILENAME
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--dir={folder} is a file; pass a folder for the exercises.")

    def records(self) -> dict[str, Record]:
        if not self.path.exists():
            return {}
        try:
            saved = json.loads(self.path.read_text("utf-8"))
            if saved["format"] != FORMAT:
                raise InputError(f"{self.path} has format {saved['format']}; this version reads format {FORMAT}.")
            return {name: Record(**values) for name, values in saved["exercises"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.path} is damaged ({error}). Delete it and check again: your exercise files are not touched."
            ) from None

    def record(self, exercise: Exercise) -> Record:
        return self.records().get(exercise.name, Record())

    def change(self, *changed: Exercise, **values) -> None:
        """Set these values in the records of the exercises."""
        records = self.records()
        for exercise in changed:
            records[exercise.name] = dataclasses.replace(records.get(exercise.name, Record()), **values)
        saved = {"format": FORMAT, "exercises": {name: dataclasses.asdict(r) for name, r in records.items()}}
        with atomic_write(self.path) as file:
            file.write(json.dumps(saved, indent=1).encode())

    def file(self, exercise: Exercise) -> Path:
        return self.folder / exercise.filename

    def hand_out(self) -> int:
        """Write the stubs that were never written; how many."""
        records = self.records()
        new = [exercise for exercise in exercises() if not records.get(exercise.name, Record()).given]
        missing = [exercise for exercise in new if not self.file(exercise).exists()]
        for exercise in missing:
            self._write_stub(exercise)
        if new:
            self.change(*new, given=True)
        return len(missing)

    def reset(self, exercise: Exercise) -> Path | None:
        """Write the stub anew and forget the record; the former file's backup, if there was one that differed."""
        path, backup = self.file(exercise), None
        if path.exists() and path.read_bytes() != stub(exercise).encode():
            backup = self._free_backup(path)
            path.rename(backup)
        self._write_stub(exercise)
        self.change(exercise, **dataclasses.asdict(Record(given=True)))
        return backup

    def _write_stub(self, exercise: Exercise) -> None:
        with atomic_write(self.file(exercise)) as file:
            file.write(stub(exercise).encode())

    @staticmethod
    def _free_backup(path: Path) -> Path:
        number = 1
        while (backup := path.with_suffix(f".backup{number}.py")).exists():
            number += 1
        return backup

    def next_unsolved(self) -> Exercise | None:
        records = self.records()
        return next((e for e in exercises() if not records.get(e.name, Record()).solved), None)
