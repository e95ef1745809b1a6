"""metrics.jsonl's lines for other eyes: TensorBoard and Weights & Biases, both in the optional extra `log`.

A writer gets each record that metrics.jsonl gets. Both tools know an `iter` as a step. A resumed run goes on in
the same place: TensorBoard is told to forget what an earlier process wrote at or after the step where the run
goes on, and Weights & Biases ignores a step that it has already.
"""

import importlib.util
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.metrics import Writer

TENSORBOARD_DIR = "tensorboard"
WANDB_ID_FILE = "wandb-id.txt"


class TensorBoardWriter:
    """Event files in `out_dir/tensorboard`, one for each process that worked on the run."""

    def __init__(self, folder: Path, start: int):
        from tensorboard.compat.proto import event_pb2, summary_pb2  # the optional extra `log`
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._file = EventFileWriter(str(folder / TENSORBOARD_DIR))
        if start:  # whoever reads drops the steps from here on that an earlier process wrote
            session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._file.add_event(self._event(wall_time=time.time(), step=start, session_log=session))

    def write(self, record: dict[str, float]) -> None:
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in record.items() if tag != "iter"]
        summary = self._summary(value=values)
        self._file.add_event(self._event(wall_time=time.time(), step=int(record["iter"]), summary=summary))

    def close(self) -> None:
        self._file.close()


class WandbWriter:
    """A run at Weights & Biases; the run folder keeps its id, so that a resumed run is the same one there."""

    def __init__(self, config: TrainConfig):
        import wandb  # the optional extra `log`

        folder = Path(config.out_dir)
        id_file = folder / WANDB_ID_FILE
        if not id_file.exists():
            id_file.write_text(uuid.uuid4().hex[:12], "utf-8")
        try:
            self._run = wandb.init(
                project=config.wandb_project,
                name=config.wandb_run_name or folder.name,
                id=id_file.read_text("utf-8"),
                resume="allow",
                dir=str(folder),
                config=asdict(config),
            )
        except wandb.errors.Error as error:
            raise RunError(
                f"Weights & Biases cannot be used: {error}. Log in with `wandb login`, or set WANDB_MODE=offline to "
                "keep the run on this machine until `wandb sync`."
            ) from None

    def write(self, record: dict[str, float]) -> None:
        self._run.log({tag: value for tag, value in record.items() if tag != "iter"}, step=int(record["iter"]))

    def close(self) -> None:
        self._run.finish()


def check_writers(config: TrainConfig) -> None:
    """Raise `InputError` where a package that `config` asks for is not installed."""
    for package, wanted in (("tensorboard", config.tensorboard), ("wandb", config.wandb_log)):
        if wanted and importlib.util.find_spec(package) is None:
            raise InputError(f"The package {package} is not installed: pip install 'tinygrad-gpt[log]'.")


def open_writers(config: TrainConfig, start: int) -> list[Writer]:
    """The writers that `config` asks for, for a run that goes on at iteration `start`."""
    writers: list[Writer] = []
    if config.tensorboard:
        writers.append(TensorBoardWriter(Path(config.out_dir), start))
    if config.wandb_log:
        writers.append(WandbWriter(config))
    return writers
