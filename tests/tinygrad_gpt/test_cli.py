"""The command as a process: what it prints, how it exits, and that no mistake of the user's is a traceback."""

import re
import subprocess
import sys
import tomllib

import pytest

from tinygrad_gpt import __version__
from tinygrad_gpt.metrics import read_metrics


@pytest.fixture
def files(tmp_path, text_file):
    """Inputs that somebody will pass one day, in the folder that the command runs in."""
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "short.txt").write_text("Too short for a block.")
    (tmp_path / "latin1.txt").write_bytes("café".encode("latin-1") * 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.toml").write_text("n_layer = four")
    (tmp_path / "unknown.toml").write_text("n_layres = 4")
    (tmp_path / "broken" / "last").mkdir(parents=True)
    (tmp_path / "broken" / "last" / "state.json").write_text("{")
    (tmp_path / "file").write_text("not a folder")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        # options
        ("train --n_layers=4", "There is no option --n_layers (did you mean --n_layer?)."),
        ("train --zzz=4", "There is no option --zzz."),
        ("train --n_layer=four", "--n_layer should be a whole number, got 'four'."),
        ("train --n_layer=4.5", "--n_layer should be a whole number, got '4.5'."),
        ("train --learning_rate=fast", "--learning_rate should be a number, got 'fast'."),
        ("train --learning_rate=inf", "--learning_rate should be a number, got 'inf'."),
        ("train --decay_lr=maybe", "--decay_lr should be True or False, got 'maybe'."),
        ("train --dtype=float8", "--dtype should be one of float32, float64, float16, got 'float8'."),
        ("train --n_layer", "Option '--n_layer' requires an argument."),
        ("train --n_head=3", "n_embd (128) must be a multiple of n_head (3)"),
        ("train --max_iters=0", "max_iters must be at least 1, got 0."),
        ("train shakespeare-char extra", "Got unexpected extra argument (extra)"),
        ("tran", "No such command 'tran'. Did you mean 'train'?"),
        ("sample --tempreature=1", "There is no option --tempreature (did you mean --temperature?)."),
        ("sample --temperature=-1", "temperature must not be negative, got -1.0."),
        ("sample --top_p=2", "top_p must be in (0, 1], got 2.0."),
        ("sample --num_samples=0", "num_samples must be at least 1, got 0."),
        # presets
        ("train shakespeare", "There is no preset shakespeare (did you mean shakespeare-char?)"),
        ("train gone.toml", "gone.toml cannot be read: No such file or directory."),
        ("train folder.toml", "folder.toml cannot be read"),
        ("train bad.toml", "bad.toml is not valid TOML"),
        ("train unknown.toml", "unknown.toml sets n_layres, which is not a setting (did you mean n_layer?)."),
        # texts
        ("train --input=gone.txt", "--input=gone.txt does not exist"),
        ("train --input=empty.txt", "--input=empty.txt is empty"),
        ("train --input=folder", "--input=folder is a folder"),
        ("train --input=latin1.txt", "latin1.txt is not UTF-8 text: byte 3 is 0xe9"),
        ("train --input=short.txt", "a block of 64 needs at least 65"),
        ("train --tokenizer=gpt2 --vocab_file=verse.txt --input=verse.txt", "is not GPT-2's vocabulary"),
        # runs
        ("train --out_dir=file --input=verse.txt", "The folder file cannot be made"),
        ("train --init_from=resume", "There is no run in"),
        ("train --init_from=resume --out_dir=folder", "There is no checkpoint in folder/last"),
        ("train --init_from=resume --out_dir=broken", "The checkpoint broken/last is damaged"),
        ("train shakespeare-char --init_from=resume", "leave out shakespeare-char"),
        ("sample", "There is no run in"),
        ("sample --out_dir=folder", "--out_dir=folder holds no run"),
        ("sample --out_dir=broken", "The checkpoint broken/last is damaged"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(arguments, sentence, files, here):
    done = here(*arguments.split())
    assert sentence in done.stderr
    assert done.returncode == 2
    assert done.stderr.startswith("tinygrad-gpt: ") and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("train --n_layers=4", "There is no option --n_layers (did you mean --n_layer?)."),
        ("train --input=gone.txt", "--input=gone.txt does not exist"),
        ("train --device=cuda", "--device=cuda cannot be used"),
    ],
)
def test_the_process_says_and_returns_the_same(arguments, sentence, command, environment):
    environment["CUDA_VISIBLE_DEVICES"] = ""
    done = command(*arguments.split())
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_mistake_in_the_program_itself_is_a_sentence_too(here, monkeypatch):
    def broken(config):
        raise KeyError("surprise")

    monkeypatch.setattr("tinygrad_gpt.cli.sample", broken)
    done = here("sample")
    assert done.returncode == 1
    assert "mistake in the program itself (KeyError: 'surprise')" in done.stderr
    monkeypatch.setenv("TINYGRAD_GPT_TRACEBACK", "1")
    with pytest.raises(KeyError):
        here("sample")


def test_a_loss_that_is_not_finite_is_one_sentence_and_exit_code_1(text_file, here, small_run):
    wild = ("--learning_rate=1e30", "--warmup_iters=0", "--grad_clip=0")
    done = here("train", f"--input={text_file}", "--out_dir=wild", *small_run, *wild)
    assert done.returncode == 1
    assert "became nan at iteration 1; the checkpoint in wild/last is from before" in done.stderr
    assert "Traceback" not in done.stderr
    assert here("sample", "--out_dir=wild", "--max_new_tokens=5").returncode == 0


def test_a_disk_that_cannot_be_written_is_one_sentence_and_exit_code_1(text_file, command, environment, tmp_path):
    environment["TINYGRAD_GPT_CACHE"] = str(text_file / "cache")
    done = command("train", f"--input={text_file}")
    assert done.returncode == 1
    assert "Cannot create the cache folder" in done.stderr and "TINYGRAD_GPT_CACHE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_the_commands(arguments, command):
    done = command(*arguments)
    assert done.returncode == 0
    assert "train" in done.stdout and "sample" in done.stdout


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((), {}),
        (("shakespeare-char", "--seed=5", "--freeze=*wte*"), {"n_embd": 384, "seed": 5, "freeze": "*wte*"}),
        (("--init_from=gpt2-xl", "--out_dir=a b"), {"init_from": "gpt2-xl", "out_dir": "a b"}),
    ],
)
def test_a_printed_config_is_taken_back_unchanged(arguments, expected, here, tmp_path):
    printed = here("train", *arguments, "--print_config")
    assert printed.returncode == 0 and expected.items() <= tomllib.loads(printed.stdout).items()
    (tmp_path / "mine.toml").write_text(printed.stdout, "utf-8")
    assert here("train", "mine.toml", "--print_config").stdout == printed.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine.toml"]


def test_a_runs_settings_can_be_printed_and_make_another_run(here, text_file, small_run, tmp_path):
    here("train", f"--input={text_file}", "--out_dir=run", *small_run)
    printed = here("train", "--init_from=resume", "--out_dir=run", "--print_config").stdout
    (tmp_path / "mine.toml").write_text(printed, "utf-8")
    assert here("train", "mine.toml", "--out_dir=again").returncode == 0
    run, again = (
        [line["val_loss"] for line in read_metrics(tmp_path / name) if "val_loss" in line] for name in ("run", "again")
    )
    assert run == again


def test_help_of_train_shows_the_presets_own_defaults(here):
    for preset, channels, folder in (
        ((), 128, "out/shakespeare-char-laptop"),
        (("shakespeare-char",), 384, "out/shakespeare-char"),
    ):
        lines = here("train", *preset, "--help").stdout
        assert re.search(rf"--n_embd INT +Channels\.\s+\[default: {channels}\]", lines)
        assert f"[default:{folder}]" in re.sub(r"\s+", "", lines)  # wherever the lines are broken


def test_kernels_that_do_not_exist_are_a_sentence(command, environment, text_file, small_run):
    environment["TENSOR_KERNELS"] = "fortran"
    done = command("train", f"--input={text_file}", *small_run)
    assert done.returncode == 2
    sentence = "there are no kernels called 'fortran': TENSOR_KERNELS must be numpy or numba."
    assert done.stderr == f"tinygrad-gpt: {sentence}\n"


def test_the_start_loads_nothing_that_is_slow(environment):
    """A clock would measure the machine; these are the modules that take a second each."""
    program = "import sys, tinygrad_gpt.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    slow = {"numba", "cupy", "matplotlib", "torch", "requests", "tensorboard", "wandb"}
    assert not slow & set(done.stdout.split())


def test_version(command):
    assert command("--version").stdout == f"tinygrad-gpt, version {__version__}\n"
