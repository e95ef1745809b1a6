"""Settings: their defaults, their checks, presets and TOML files."""

import dataclasses

import pytest

from tinygrad_gpt.config import DEFAULT_PRESET, TrainConfig, load_preset, preset_names
from tinygrad_gpt.errors import InputError


def test_the_defaults_are_the_laptop_preset():
    assert TrainConfig(**load_preset(DEFAULT_PRESET)) == TrainConfig()


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_run(name):
    config = TrainConfig(**load_preset(name))
    assert config.model_config(vocab_size=65).n_embd == config.n_embd


def test_the_laptop_recipe():
    config = TrainConfig()
    assert (config.n_layer, config.n_head, config.n_embd, config.block_size) == (4, 4, 128, 64)
    assert (config.batch_size, config.max_iters, config.warmup_iters) == (12, 2000, 100)
    assert (config.learning_rate, config.final_lr, config.decay_iters) == (1e-3, 1e-4, 2000)
    assert (config.beta1, config.beta2, config.weight_decay, config.grad_clip) == (0.9, 0.99, 0.1, 1.0)
    assert (config.dropout, config.bias, config.tokens_per_iter) == (0.0, True, 768)


def test_the_large_recipe():
    config = TrainConfig(**load_preset("shakespeare-char"))
    assert (config.n_layer, config.n_head, config.n_embd, config.block_size) == (6, 6, 384, 256)
    assert (config.batch_size, config.max_iters, config.dropout) == (64, 5000, 0.2)


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
        ({"dtype": "float16"}, "dtype should be one of float32, float64, got 'float16'"),
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
    ],
)
def test_values_that_cannot_work(changed, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainConfig(**changed)


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
        ("zzz", None, "There is no preset zzz: choose shakespeare-char, shakespeare-char-laptop or a file"),
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
