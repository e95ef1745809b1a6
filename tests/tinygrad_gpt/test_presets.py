"""The presets: each is a valid run, each says what it is, and the recipes are the ones they claim to be."""

import tomllib
from importlib import resources

import pytest

from tinygrad_gpt import GPTConfig
from tinygrad_gpt.config import TrainConfig, load_preset, preset_names

RECIPES = {
    "bigram": {"n_layer": 0, "tie_weights": False, "block_size": 8, "n_embd": 64},
    "calculator": {"task": "calculator", "digits": 3, "operators": "+-", "block_size": 12},
    "finetune-shakespeare": {"init_from": "gpt2", "tokenizer": "gpt2", "learning_rate": 3e-5, "decay_lr": False}
    | {"batch_size": 1, "gradient_accumulation_steps": 32, "max_iters": 20, "eval_interval": 5}
    | {"always_save_checkpoint": False, "gradient_checkpointing": False, "tokens_per_iter": 32_768},
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024, "bias": False, "tokenizer": "gpt2"}
    | {"learning_rate": 6e-4, "final_lr": 6e-5, "warmup_iters": 2000, "decay_iters": 600_000}
    | {"max_iters": 600_000, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "tokens_per_iter": 491_520},
    "shakespeare-char": {"n_layer": 6, "n_head": 6, "n_embd": 384, "block_size": 256}
    | {"batch_size": 64, "max_iters": 5000, "dropout": 0.2, "bias": False},
    "shakespeare-char-laptop": {
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 128,
        "block_size": 64,
        "batch_size": 12,
        "max_iters": 2000,
    }
    | {"learning_rate": 1e-3, "final_lr": 1e-4, "warmup_iters": 100, "decay_iters": 2000, "dropout": 0.0}
    | {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "grad_clip": 1.0, "bias": True, "tokens_per_iter": 768},
}


def test_every_preset_has_its_recipe_here():
    assert set(RECIPES) == set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_the_recipe(name):
    config = TrainConfig(**load_preset(name))
    assert {key: getattr(config, key) for key in RECIPES[name]} == RECIPES[name]
    assert isinstance(config.model_config(vocab_size=65), GPTConfig)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_begins_by_saying_what_it_is_and_sets_no_machine(name):
    text = resources.files("tinygrad_gpt").joinpath("presets", f"{name}.toml").read_text("utf-8")
    assert text.startswith("# ")
    assert not {"out_dir", "device", "overwrite", "eval_only"} & tomllib.loads(text).keys()


@pytest.mark.parametrize(
    "name, options",
    [
        ("bigram", ("--eval_iters=2",)),
        ("shakespeare-char", ("--n_layer=1", "--n_embd=12", "--batch_size=2", "--eval_iters=1")),
        ("calculator", ("--n_layer=1", "--batch_size=8", "--eval_iters=2")),
    ],
)
def test_a_preset_runs(name, options, here, text_file):
    data = () if name == "calculator" else (f"--input={text_file}",)
    done = here("train", name, *data, *options, "--max_iters=2", "--warmup_iters=0", "--sample_tokens=5")
    assert done.returncode == 0, done.stderr
    assert "iter 2: train loss" in done.stdout and f"run folder: out/{name}" in done.stdout


def test_the_bigram_model_learns_what_follows_what(here, tmp_path):
    """A text in which each character has one successor: nothing more than the character before is needed."""
    (tmp_path / "circle.txt").write_text("abcdefgh" * 500)
    done = here("train", "bigram", "--input=circle.txt", "--max_iters=100", "--eval_iters=2", "--sample_tokens=16")
    assert "abcdefgh" in done.stdout.split("a sample of the best checkpoint:")[1]


def test_gpt2_needs_its_data_set(here):
    done = here("train", "gpt2")
    assert done.returncode == 2
    assert "openwebtext holds no dataset: make one with tinygrad-gpt prepare" in done.stderr
