"""Settings: their defaults, their checks, and TOML files."""

import dataclasses

import pytest

from tinygrad_gpt.config import DEFAULT_PRESET, TrainConfig, load_preset, to_toml
from tinygrad_gpt.errors import InputError


def test_the_defaults_are_the_laptop_preset():
    assert TrainConfig(**load_preset(DEFAULT_PRESET)) == TrainConfig()


def test_every_setting_has_a_help_text_and_every_default_its_type():
    for field in dataclasses.fields(TrainConfig):
        assert field.metadata["help"].endswith((".", "]")), field.name


def test_a_run_shorter_than_its_warmup_is_fine():
    assert TrainConfig(max_iters=10).decay_iters == 100


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"n_layer": "4"}, "n_layer should be a whole number, got '4'"),
        ({"n_layer": 4.0}, "n_layer should be a whole number, got 4.0"),
        ({"n_layer": True}, "n_layer should be a whole number, got True"),
        ({"bias": 1}, "bias should be True or False, got 1"),
        ({"dropout": "no"}, "dropout should be a number, got 'no'"),
        ({"learning_rate": float("nan")}, "learning_rate should be a number, got nan"),
        ({"dtype": "bfloat16"}, "dtype should be one of float32, float64, float16, got 'bfloat16'"),
        ({"tf32": True}, "tf32 is how a GPU multiplies: pass --device=cuda with it"),
        ({"input": 3}, "input should be text, got 3"),
        ({"n_head": 3}, r"n_embd \(128\) must be a multiple of n_head \(3\)"),
        ({"block_size": 0}, "block_size must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"max_iters": -5}, "max_iters must be at least 1, got -5"),
        ({"eval_iters": 0}, "eval_iters must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"grad_clip": -0.5}, "grad_clip must not be negative"),
        ({"beta2": 1.0}, r"beta2 must be in \[0, 1\), got 1.0"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"min_lr": 0.1}, r"min_lr must be between 0 and learning_rate \(0.001\), got 0.1"),
        ({"lr_decay_iters": 50}, r"lr_decay_iters \(50\) must not be less than warmup_iters \(100\)"),
        ({"vocab_file": "vocab.bpe"}, "vocab_file is the vocabulary of --tokenizer=gpt2"),
        ({"input": "a.txt", "dataset": "b"}, "input and dataset are two sources of text: pass one of them"),
        ({"tie_weights": 1}, "tie_weights should be True or False, got 1"),
        ({"task": "chess"}, "task should be one of text, calculator, got 'chess'"),
        ({"task": "calculator", "operators": "+/"}, r"operators should be some of \+-\*, each once, got '\+/'"),
        ({"task": "calculator", "operators": "++"}, "each once"),
        ({"task": "calculator", "operators": ""}, "each once"),
        ({"task": "calculator", "digits": 0}, "digits must be at least 1, got 0"),
        ({"task": "calculator", "digits": 10}, "digits must be at most 9, got 10"),
        ({"task": "calculator", "block_size": 11}, "3 digits need a block_size of at least 12, got 11"),
        ({"task": "calculator", "input": "a.txt"}, "makes its own problems"),
        ({"task": "calculator", "tokenizer": "gpt2"}, "makes its own problems"),
    ],
)
def test_values_that_cannot_work(changed, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainConfig(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"out_dir": 'a "quoted" \\ path \x7f \n é 😀', "input": "x.txt", "learning_rate": 1e-5, "min_lr": 0.0},
        {"freeze": "transformer.h.[0-5].*", "bias": False, "lr_decay_iters": 5000, "grad_clip": 1e22},
    ],
)
def test_settings_as_toml_are_read_back_unchanged(changed, tmp_path):
    config = TrainConfig(**changed)
    (tmp_path / "mine.toml").write_text(to_toml(config), "utf-8")
    assert TrainConfig(**load_preset(str(tmp_path / "mine.toml"))) == config


def test_whole_numbers_serve_as_floats():
    config = TrainConfig(learning_rate=1, min_lr=0)
    assert type(config.learning_rate) is type(config.min_lr) is float


def test_a_file_of_the_users_keeps_the_other_defaults(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("n_layer = 2\nlearning_rate = 5e-4\n")
    assert TrainConfig(**load_preset(str(path))) == TrainConfig(n_layer=2, learning_rate=5e-4)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("shakespear-char", None, r"no preset shakespear-char \(did you mean shakespeare-char\?\): choose"),
        (
            "zzz",
            None,
            "There is no preset zzz: choose bigram, calculator, finetune-shakespeare, gpt2, shakespeare-char",
        ),
        ("gone.toml", None, r"gone\.toml cannot be read: No such file or directory"),
        ("a.toml", b"n_layer = \n", r"a\.toml is not valid TOML: .*line 1"),
        ("a.toml", b"\xff\xfe", r"a\.toml is not UTF-8 text"),
        ("a.toml", b"n_layers = 4", r"a\.toml sets n_layers, which is not a setting \(did you mean n_layer\?\)"),
        ("a.toml", b"[model]\nn_layer = 4", r"a\.toml sets model, which is not a setting"),
        ("a.toml", b"n_layer = '4'", r"a\.toml: n_layer should be a whole number, got '4'"),
        ("a.toml", b"n_head = 3", r"a\.toml: n_embd \(128\) must be a multiple of n_head"),
    ],
)
def test_presets_that_cannot_be_used(name, content, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_preset(name)
