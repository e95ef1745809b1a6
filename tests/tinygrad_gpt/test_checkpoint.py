"""Checkpoints: complete after any crash, and damaged ones say so."""

import hashlib
import json
import os
import pickle
import shutil
import tracemalloc
from dataclasses import asdict, replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tensor
from tinygrad_gpt import GPT, GPTConfig, checkpoint
from tinygrad_gpt.checkpoint import (
    DamagedCheckpoint,
    State,
    load_model,
    load_newest,
    load_optimizer,
    load_state,
    remove_checkpoint,
    save_checkpoint,
    set_aside,
)
from tinygrad_gpt.errors import InputError, RunError

CONFIG = GPTConfig(block_size=8, vocab_size=11, n_layer=1, n_head=2, n_embd=8, dropout=0.1)
STATE = State(
    config={"n_layer": 1},
    model=asdict(CONFIG),
    tokenizer={"kind": "char", "characters": "abcdefghijk"},
    iteration=0,
    best_val_loss=None,
    corpus_sha256="0" * 64,
    rng={"engine": {"seed": 1}, "data": {"state": 2**100}},
)


def trained(steps: int, dtype: str = "float32", frozen: str = "none", config: GPTConfig = CONFIG):
    """A model and its optimizer after some steps, without gradients for the parameters whose names begin so."""
    tensor.manual_seed(0)
    model = GPT(config).to(dtype=getattr(tensor, dtype))
    optimizer = its_optimizer(model, frozen)
    for step in range(steps):
        one_step(model, optimizer, step)
    return model, optimizer


def its_optimizer(model: GPT, frozen: str = "none"):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    return model.configure_optimizers(0.1, 1e-2, (0.9, 0.99))


def load(folder, frozen: str = "none"):
    """The state, the model and the optimizer of a checkpoint."""
    state = load_state(folder)
    model = load_model(folder, state)
    optimizer = its_optimizer(model, frozen)
    load_optimizer(folder, state, model, optimizer)
    return state, model, optimizer


def one_step(model, optimizer, seed: int) -> float:
    tensor.manual_seed(seed)  # for dropout
    x, y = np.random.default_rng(seed).integers(CONFIG.vocab_size, size=(2, 4, 8))
    _, loss = model(tensor.from_numpy(x), tensor.from_numpy(y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("frozen", ["none", "transformer.w", "transformer.h.0.attn"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_loaded_run_goes_on_bit_for_bit(steps, dtype, frozen, tied, tmp_path):
    config = replace(CONFIG, tie_weights=tied)
    model, optimizer = trained(steps, dtype, frozen, config)
    save_checkpoint(tmp_path / "last", replace(STATE, model=asdict(config)), model, optimizer)
    _, again, its_optimizer = load(tmp_path / "last", frozen)
    for seed in range(10, 14):
        assert one_step(again, its_optimizer, seed) == one_step(model, optimizer, seed)
    for (name, ours), (_, theirs) in zip(again.named_parameters(), model.named_parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy(), err_msg=name)
    assert (again.lm_head.weight is again.transformer.wte.weight) == tied


def test_the_state_is_read_as_written(tmp_path):
    state = replace(STATE, iteration=7, best_val_loss=1.2345678901234567)
    save_checkpoint(tmp_path / "last", state, *trained(1))
    assert load_state(tmp_path / "last") == state


def test_holds_three_files_and_the_tied_matrix_once(tmp_path):
    model, optimizer = trained(1, frozen="transformer.wpe")
    save_checkpoint(tmp_path / "last", STATE, model, optimizer)
    assert sorted(os.listdir(tmp_path / "last")) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    names = [name for name, _ in model.named_parameters()]
    assert "lm_head.weight" not in names
    arrays = load_file(tmp_path / "last" / "model.safetensors")
    assert sorted(arrays) == sorted(names)
    moments = load_file(tmp_path / "last" / "optimizer.safetensors")
    trained_names = [name for name in names if name != "transformer.wpe.weight"]
    assert sorted(moments) == sorted(
        f"{name}.{key}" for name in trained_names for key in ("step", "exp_avg", "exp_avg_sq")
    )
    values = json.loads((tmp_path / "last" / "state.json").read_text())
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert values["sha256"][name] == hashlib.sha256((tmp_path / "last" / name).read_bytes()).hexdigest()


def test_other_trainable_parameters_than_it_was_saved_with(tmp_path):
    save_checkpoint(tmp_path / "last", STATE, *trained(1, frozen="transformer.wpe"))
    sentence = "was saved with other trainable parameters; of only one of both: transformer.wpe.weight. Freeze the same"
    with pytest.raises(InputError, match=sentence) as caught:
        load(tmp_path / "last")
    assert not isinstance(caught.value, DamagedCheckpoint)  # an older one would be no better


class Crash(BaseException):
    """The power goes: nothing in the program may catch it."""


def crash_at(monkeypatch, moment: int) -> list:
    """Let the `moment`-th call that touches the disk be the last; returns the calls that were made."""
    made = []

    def limited(name, function):
        def call(*arguments, **options):
            if len(made) == moment:
                raise Crash(name)
            made.append(name)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", limited("fsync", os.fsync))
    monkeypatch.setattr(os, "rename", limited("rename", os.rename))
    monkeypatch.setattr(shutil, "rmtree", limited("rmtree", shutil.rmtree))
    return made


@pytest.mark.parametrize("keep", [True, False], ids=["keeping the one before", "alone"])
def test_a_crash_at_any_moment_leaves_a_complete_checkpoint(keep, tmp_path, monkeypatch):
    first, second, third = trained(1), trained(2), trained(3)
    moment, seen = 0, set()
    while True:
        folder = tmp_path / str(moment) / "last"
        folder.parent.mkdir()
        save_checkpoint(folder, replace(STATE, iteration=1), *first, keep_previous=keep)
        with monkeypatch.context() as patch:
            made = crash_at(patch, moment)
            try:
                save_checkpoint(folder, replace(STATE, iteration=2), *second, keep_previous=keep)
                finished = True
            except Crash:
                finished = False
        (state, model, _), damaged = load_newest([folder], load)
        assert not damaged
        expected = {1: first, 2: second}[state.iteration][0]
        weights = model.transformer.wte.weight.detach().numpy()
        np.testing.assert_array_equal(weights, expected.transformer.wte.weight.detach().numpy())
        seen.add(state.iteration)
        # and the next save is none the worse for what the crash has left
        save_checkpoint(folder, replace(STATE, iteration=3), *third, keep_previous=keep)
        assert load_state(folder).iteration == 3
        assert sorted(os.listdir(folder.parent)) == (["last", "last.old"] if keep else ["last"])
        if finished:
            break
        moment += 1
    assert seen == {1, 2} and made.count("rename") == 2 and made.count("fsync") >= 4


def test_a_crash_before_the_first_checkpoint_is_complete_leaves_none(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        crash_at(patch, 2)
        with pytest.raises(Crash):
            save_checkpoint(tmp_path / "last", STATE, *trained(1))
    with pytest.raises(InputError, match="There is no checkpoint in"):
        load_state(tmp_path / "last")


def test_a_folder_that_went_away_is_not_made_again(tmp_path):
    with pytest.raises(
        RunError, match=r"run/last cannot be written: No such file or directory\. What was saved before"
    ):
        save_checkpoint(tmp_path / "run" / "last", STATE, *trained(0))
    assert not (tmp_path / "run").exists()


FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def cut(size: int):
    return lambda path: path.write_bytes(path.read_bytes()[:size])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # of a number or a name: the file stays one of its kind
    path.write_bytes(data)


def pickle_instead(path):
    path.write_bytes(pickle.dumps({"weight": [0.0]}))


def json_instead(path):
    path.write_text('{"epoch": 3, "loss": 1.25}')


def not_a_number(path):
    path.write_text(path.read_text().replace('"best_val_loss": null', '"best_val_loss": NaN'))


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        save_checkpoint(tmp_path / "last", STATE, *trained(1))
        return tmp_path / "last"

    @pytest.mark.parametrize("name", FILES)
    def test_a_missing_file(self, name, folder):
        (folder / name).unlink()
        with pytest.raises(DamagedCheckpoint, match=name):
            load(folder)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("damage", [cut(0), cut(5), cut(-1), flip_a_bit, pickle_instead, json_instead])
    def test_a_file_that_is_not_the_one_that_was_saved(self, name, damage, folder):
        damage(folder / name)
        with pytest.raises(DamagedCheckpoint, match=f"^The checkpoint {folder} is damaged: {name}: it .*") as caught:
            load(folder)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "damage, sentence",
        [
            (cut(-1), "it is not JSON"),
            (not_a_number, "it is not JSON"),
            (json_instead, "it was not written by this program"),
            (lambda path: path.write_text("[1, 2]"), "it was not written by this program"),
            (lambda path: path.write_bytes(b"\xff\xfe"), "it is not JSON"),
        ],
    )
    def test_a_state_that_is_none(self, damage, sentence, folder):
        damage(folder / "state.json")
        with pytest.raises(DamagedCheckpoint, match=sentence):
            load(folder)

    def rewrite(self, folder, change=(), **arrays):
        """Another program's checkpoint: with valid sums, but not what belongs there."""
        values = json.loads((folder / "state.json").read_text()) | dict(change)
        for name, content in arrays.items():
            path = folder / f"{name}.safetensors"
            save_file(load_file(path) | content, path) if isinstance(content, dict) else path.write_bytes(content)
            values["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        values["sha256"]["state.json"] = checkpoint._sha256_of_values(values)
        (folder / "state.json").write_text(json.dumps(values))

    @pytest.mark.parametrize(
        "change, arrays, sentence",
        [
            ({"format_version": 99}, {}, "has format version 99; this program reads version 2"),
            ({"format_version": 1}, {}, "has format version 1; this program reads version 2"),
            ({"surprise": 1}, {}, r"state\.json: it lacks or adds a value"),
            ({"model": asdict(CONFIG) | {"n_expert": 8}}, {}, r"state\.json: it describes no model: .*n_expert"),
            ({"model": asdict(CONFIG) | {"n_head": 3}}, {}, r"state\.json: it describes no model: n_embd \(8\)"),
            (
                {"model": asdict(replace(CONFIG, n_embd=10))},
                {},
                r"model\.safetensors: it does not fit state\.json: \S+ has the shape \(24,\) instead of \(30,\)",
            ),
            (
                {"model": asdict(replace(CONFIG, n_layer=2))},
                {},
                r"it does not fit state\.json: it lacks transformer\.h\.1\.\S+, \S+, \S+ and 9 more",
            ),
            ({}, {"model": {"extra": np.zeros(3, np.float32)}}, r"model\.safetensors: .* it adds extra"),
            (
                {},
                {"model": {"transformer.ln_f.bias": np.zeros(8, np.float16)}},
                r"model\.safetensors: its arrays should be all F32 or all F64, they are F16, F32",
            ),
            ({}, {"model": pickle.dumps([0.0])}, r"model\.safetensors: .*header"),
            ({}, {"optimizer": {"transformer.ln_f.bias.exp_avg": np.zeros(9, np.float32)}}, r"has the shape \(9,\)"),
            ({}, {"optimizer": {"transformer.ln_f.bias.surprise": np.zeros(9, np.float32)}}, r"it adds \S+surprise"),
        ],
    )
    def test_a_foreign_one(self, change, arrays, sentence, folder):
        self.rewrite(folder, change, **arrays)
        with pytest.raises(InputError, match=sentence):
            load(folder)


class TestTheOneBefore:
    @pytest.fixture
    def last(self, tmp_path):
        for iteration in (1, 2):
            state = replace(STATE, iteration=iteration)
            save_checkpoint(tmp_path / "last", state, *trained(iteration), keep_previous=True)
        save_checkpoint(tmp_path / "best", STATE, *trained(0))
        return tmp_path / "last"

    def taken(self, last) -> tuple[int, list[str]]:
        """The iteration of the checkpoint that a resumed run takes, and the names of those that it passes over."""
        (state, _, _), damaged = load_newest([last, last.with_name("best")], load)
        return state.iteration, [error.folder.name for error in damaged]

    @pytest.mark.parametrize("name", FILES)
    def test_is_taken_where_the_newer_one_is_damaged(self, name, last):
        assert self.taken(last) == (2, [])
        flip_a_bit(last / name)
        assert self.taken(last) == (1, ["last"])
        flip_a_bit(last.with_name("last.old") / name)
        assert self.taken(last) == (0, ["last", "last.old"])
        (last.with_name("best") / name).unlink()
        with pytest.raises(InputError) as caught:
            self.taken(last)
        assert all(f"{folder}" in str(caught.value) for folder in (last, f"{last}.old", last.with_name("best")))

    def test_is_not_replaced_by_the_damaged_one(self, last):
        flip_a_bit(last / "model.safetensors")
        _, damaged = load_newest([last], load)
        set_aside(damaged)
        assert self.taken(last) == (1, [])
        save_checkpoint(last, replace(STATE, iteration=3), *trained(3), keep_previous=True)
        flip_a_bit(last / "model.safetensors")
        assert self.taken(last) == (1, ["last"])
        remove_checkpoint(last)
        assert os.listdir(last.parent) == ["best"]

    def test_is_no_way_around_another_version(self, last):
        path = last / "state.json"
        path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3'))
        with pytest.raises(InputError, match="has format version 3; this program reads version 2"):
            self.taken(last)


def test_a_new_optimizer_state_needs_no_second_copy(tmp_path):
    """Loading holds the arrays once, and one more of them at a time."""
    config = replace(CONFIG, n_embd=128, n_layer=4)
    save_checkpoint(tmp_path / "last", replace(STATE, model=asdict(config)), *trained(1, config=config))
    size = sum(path.stat().st_size for path in (tmp_path / "last").iterdir())
    tracemalloc.start()
    loaded = load(tmp_path / "last")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded and peak < 1.5 * size
