"""Checkpoints: complete after any crash, and damaged ones say so."""

import json
import os
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from safetensors.numpy import load_file

import tensor
from tinygrad_gpt import GPT, GPTConfig
from tinygrad_gpt.checkpoint import State, load_model, load_optimizer, load_state, save_checkpoint
from tinygrad_gpt.errors import InputError

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


def trained(steps: int, dtype: str = "float32"):
    """A model and its optimizer after some steps."""
    tensor.manual_seed(0)
    model = GPT(CONFIG).to(dtype=getattr(tensor, dtype))
    optimizer = model.configure_optimizers(0.1, 1e-2, (0.9, 0.99))
    for step in range(steps):
        one_step(model, optimizer, step)
    return model, optimizer


def one_step(model, optimizer, seed: int) -> float:
    tensor.manual_seed(seed)  # for dropout
    x, y = np.random.default_rng(seed).integers(CONFIG.vocab_size, size=(2, 4, 8))
    _, loss = model(tensor.from_numpy(x), tensor.from_numpy(y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_loaded_run_goes_on_bit_for_bit(dtype, steps, tmp_path):
    model, optimizer = trained(steps, dtype)
    save_checkpoint(tmp_path / "last", STATE, model, optimizer)
    again = load_model(tmp_path / "last", load_state(tmp_path / "last"))
    its_optimizer = again.configure_optimizers(0.1, 1e-2, (0.9, 0.99))
    load_optimizer(tmp_path / "last", its_optimizer)
    for seed in range(10, 14):
        assert one_step(again, its_optimizer, seed) == one_step(model, optimizer, seed)
    for (name, ours), (_, theirs) in zip(again.named_parameters(), model.named_parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy(), err_msg=name)
    assert again.lm_head.weight is again.transformer.wte.weight


def test_the_state_is_read_as_written(tmp_path):
    state = replace(STATE, iteration=7, best_val_loss=1.2345678901234567)
    save_checkpoint(tmp_path / "last", state, *trained(1))
    assert load_state(tmp_path / "last") == state


def test_holds_three_files_and_the_tied_matrix_once(tmp_path):
    model, optimizer = trained(1)
    save_checkpoint(tmp_path / "last", STATE, model, optimizer)
    assert sorted(os.listdir(tmp_path / "last")) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    arrays = load_file(tmp_path / "last" / "model.safetensors")
    assert "lm_head.weight" not in arrays
    assert sum(array.size for array in arrays.values()) == model.get_num_params(non_embedding=False)


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


def test_a_crash_at_any_moment_leaves_a_complete_checkpoint(tmp_path, monkeypatch):
    first, second, third = trained(1), trained(2), trained(3)
    moment, seen = 0, set()
    while True:
        folder = tmp_path / str(moment) / "last"
        save_checkpoint(folder, replace(STATE, iteration=1), *first)
        with monkeypatch.context() as patch:
            made = crash_at(patch, moment)
            try:
                save_checkpoint(folder, replace(STATE, iteration=2), *second)
                finished = True
            except Crash:
                finished = False
        state = load_state(folder)
        expected = {1: first, 2: second}[state.iteration][0]
        weights = load_model(folder, state).transformer.wte.weight.detach().numpy()
        np.testing.assert_array_equal(weights, expected.transformer.wte.weight.detach().numpy())
        load_optimizer(folder, trained(0)[1])
        seen.add(state.iteration)
        # and the next save is none the worse for what the crash has left
        save_checkpoint(folder, replace(STATE, iteration=3), *third)
        assert load_state(folder).iteration == 3
        assert os.listdir(folder.parent) == ["last"]
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


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        save_checkpoint(tmp_path / "last", STATE, *trained(1))
        return tmp_path / "last"

    def load(self, folder):
        state = load_state(folder)
        model = load_model(folder, state)
        load_optimizer(folder, model.configure_optimizers(0.1, 1e-2, (0.9, 0.99)))

    @pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
    def test_a_missing_file(self, name, folder):
        (folder / name).unlink()
        with pytest.raises(InputError, match=name):
            self.load(folder)

    @pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
    @pytest.mark.parametrize("size", [0, 5, -1])
    def test_a_file_cut_short(self, name, size, folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
        with pytest.raises(InputError, match=f"is damaged: {name}"):
            self.load(folder)

    @pytest.mark.parametrize(
        "change, sentence",
        [
            ({"format_version": 99}, "has format version 99; this program reads version 1"),
            ({"surprise": 1}, r"is damaged: state\.json lacks or adds a value"),
            ({"model": asdict(replace(CONFIG, n_embd=10))}, "does not fit its own settings"),
            ({"model": asdict(replace(CONFIG, n_layer=2))}, "does not fit its own settings"),
        ],
    )
    def test_a_state_that_does_not_fit(self, change, sentence, folder):
        path = folder / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(InputError, match=sentence):
            self.load(folder)
