"""TensorBoard and Weights & Biases get what metrics.jsonl gets, and a resumed run goes on where it was."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import RunError
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.writers import WANDB_ID_FILE, WandbWriter

TAGS = ("loss", "train_loss", "val_loss", "lr", "tokens_per_s", "mfu")


@pytest.fixture
def train(text_file, here, small_run):
    def run_it(*options: str):
        start = () if "--init_from=resume" in options else (f"--input={text_file}", *small_run)
        return here("train", *start, *options, "--out_dir=run")

    return run_it


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads: tag -> (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def expected(folder: Path, tag: str) -> list:
    return [(line["iter"], pytest.approx(line[tag], rel=1e-6)) for line in read_metrics(folder) if tag in line]


class TestTensorBoard:
    def test_has_every_line_of_the_metrics(self, train, tmp_path):
        assert train("--tensorboard=True").returncode == 0
        read = scalars(tmp_path / "run")
        assert set(read) == set(TAGS)
        for tag in TAGS:
            assert read[tag] == expected(tmp_path / "run", tag)

    def test_a_resumed_run_has_each_step_once(self, train, tmp_path):
        # The short run's end, iteration 10, is reported by it, and again by the run that goes on from there.
        assert train("--tensorboard=True", "--max_iters=10").returncode == 0
        assert train("--init_from=resume", "--max_iters=24").returncode == 0
        assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2
        read = scalars(tmp_path / "run")
        for tag in ("loss", "val_loss", "lr"):
            assert read[tag] == expected(tmp_path / "run", tag)

    def test_a_new_run_in_the_folder_starts_anew(self, train, tmp_path):
        train("--tensorboard=True")
        train("--overwrite=True")
        assert not (tmp_path / "run" / "tensorboard").exists()


class TestWandb:
    """The package itself is asked whether it knows what we call; a stand-in takes the calls."""

    @pytest.fixture
    def calls(self, monkeypatch):
        calls = []

        class Run:
            def log(self, data, *, step):
                calls.append(("log", step, data))

            def finish(self):
                calls.append(("finish",))

        def init(**options):
            calls.append(("init", options))
            return Run()

        stand_in = types.ModuleType("wandb")
        stand_in.__spec__ = importlib.util.spec_from_loader("wandb", loader=None)
        stand_in.init = init
        stand_in.errors = types.SimpleNamespace(Error=ConnectionRefusedError)
        monkeypatch.setitem(sys.modules, "wandb", stand_in)
        return calls

    def test_gets_every_line_of_the_metrics(self, calls, train, tmp_path):
        done = train("--wandb_log=True", "--wandb_project=plays", "--wandb_run_name=first")
        assert done.returncode == 0, done.stderr
        (_, options), *logged, last = calls
        assert (options["project"], options["name"]) == ("plays", "first")
        assert options["config"]["n_layer"] == 2
        assert last == ("finish",)
        lines = read_metrics(tmp_path / "run")
        assert logged == [("log", line.pop("iter"), line) for line in lines]

    def test_a_resumed_run_is_the_same_run_there_and_a_new_one_another(self, calls, train):
        train("--wandb_log=True", "--max_iters=10")
        train("--init_from=resume", "--max_iters=12")
        train("--wandb_log=True", "--overwrite=True")
        first, resumed, new = [call[1] for call in calls if call[0] == "init"]
        assert first["id"] == resumed["id"] != new["id"]
        assert resumed["resume"] == "allow" and resumed["name"] == "run"

    def test_a_refusal_is_a_sentence(self, calls, tmp_path, monkeypatch):
        def refuse(**options):
            raise ConnectionRefusedError("no API key")

        monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
        with pytest.raises(RunError, match=r"Weights & Biases cannot be used: no API key\. Log in with `wandb login`"):
            WandbWriter(TrainConfig(out_dir=str(tmp_path)))

    def test_offline_it_writes_a_run_that_can_be_sent_later(self, command, environment, text_file, small_run, tmp_path):
        environment |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}
        done = command("train", f"--input={text_file}", "--out_dir=run", *small_run, "--wandb_log=True")
        assert done.returncode == 0, done.stderr
        (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
        run_id = (tmp_path / "run" / WANDB_ID_FILE).read_text()
        data = (folder / f"run-{run_id}.wandb").read_bytes()
        assert all(name.encode() in data for name in ("val_loss", "tokens_per_s", "tinygrad-gpt"))


@pytest.mark.parametrize("option, package", [("--tensorboard=True", "tensorboard"), ("--wandb_log=True", "wandb")])
def test_a_missing_package_is_named_before_anything_is_done(option, package, train, tmp_path, monkeypatch):
    train("--max_iters=2")
    before = json.dumps(read_metrics(tmp_path / "run"))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    done = train(option, "--overwrite=True")
    assert done.returncode == 2
    assert f"The package {package} is not installed: pip install 'tinygrad-gpt[log]'." in done.stderr
    assert json.dumps(read_metrics(tmp_path / "run")) == before


def test_nothing_is_imported_that_nobody_asked_for(train):
    loaded = {"tensorboard", "wandb"} & set(sys.modules)
    assert train("--max_iters=2").returncode == 0
    assert {"tensorboard", "wandb"} & set(sys.modules) == loaded
