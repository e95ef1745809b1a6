"""Datasets: what is written is what is read, a damaged file says so, no crash leaves half of one; and batches."""

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.data import (
    MAGIC,
    Splits,
    check_length,
    get_batch,
    open_dataset,
    prepare_splits,
    read_tokens,
    remove_leftovers,
    write_dataset,
)
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.tokenizer import CharTokenizer, tokenizer_from_dict

CHARS = CharTokenizer.from_text("abcdefgh\n é")


def write(folder: Path, train, val=(), tokenizer=CHARS, source="letters") -> Path:
    """A dataset of these ids; the path of its training tokens."""
    with write_dataset(folder, tokenizer, source) as writers:
        writers["train"].write(np.array(train, np.int64))
        writers["val"].write(np.array(val, np.int64))
    return folder / "train.tokens"


class TestTokenFiles:
    @pytest.mark.parametrize("ids", [[], [0], [1, 2, 3], [0, 65535], list(range(10_000))], ids=len)
    def test_round_trip(self, ids, tmp_path):
        file = read_tokens(write(tmp_path, ids))
        assert file.tokens.tolist() == ids and file.tokens.dtype == np.uint16
        assert file.vocab_size == CHARS.vocab_size and file.source == "letters"
        assert file.sha256 == hashlib.sha256(np.array(ids, "<u2").tobytes()).hexdigest()
        assert tokenizer_from_dict(file.tokenizer).characters == CHARS.characters

    def test_what_is_written_bit_by_bit_is_the_same_file(self, tmp_path):
        whole = write(tmp_path / "whole", range(100), range(10))
        with write_dataset(tmp_path / "bits", CHARS, "letters") as writers:
            for part in np.split(np.arange(100), [0, 1, 50]):
                writers["train"].write(part)
            writers["val"].write(np.arange(10))
        assert (tmp_path / "bits" / "train.tokens").read_bytes() == whole.read_bytes()

    def test_the_tokens_are_mapped_not_loaded_and_cannot_be_changed(self, tmp_path):
        tokens = read_tokens(write(tmp_path, range(10))).tokens
        assert isinstance(tokens, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            tokens[0] = 1

    def test_the_layout_is_the_documented_one(self, tmp_path):
        data = write(tmp_path, [1, 258]).read_bytes()
        length = int.from_bytes(data[8:16], "little")
        assert data[:8] == b"TGTOKENS" and (16 + length) % 64 == 0
        header = json.loads(data[16 : 16 + length])
        assert set(header) == {"version", "count", "vocab_size", "tokenizer", "source", "sha256", "dataset"}
        assert header["version"] == 2 and header["count"] == 2 and header["vocab_size"] == CHARS.vocab_size
        assert data[16 + length :] == b"\x01\x00\x02\x01"

    @pytest.mark.parametrize("bad", [65536, -1])
    def test_ids_that_do_not_fit_are_refused_and_leave_no_file(self, bad, tmp_path):
        with pytest.raises(InputError, match=f"Token id {bad} does not fit a token file"):
            write(tmp_path, [1, bad])
        assert list(tmp_path.iterdir()) == []


def with_header(**changes) -> bytes:
    header = {"version": 2, "count": 2, "vocab_size": 3, "tokenizer": {}, "source": "", "sha256": "", "dataset": ""}
    text = json.dumps({key: value for key, value in (header | changes).items() if value is not None}).encode()
    return MAGIC + len(text).to_bytes(8, "little") + text + b"\x00\x00\x01\x00"


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "is not a token file: it does not begin with TGTOKENS"),
        (b"hello world, this is text", "is not a token file"),
        (MAGIC, "has a damaged header"),
        (MAGIC + (10**15).to_bytes(8, "little") + b"{}", "has a damaged header"),
        (MAGIC + (2).to_bytes(8, "little") + b"{]", "has a damaged header"),
        (MAGIC + (2).to_bytes(8, "little") + b"[]", "has a damaged header"),
        (with_header(count=None), "has a damaged header"),
        (with_header(tokenizer=3), "has a damaged header"),
        (with_header(dataset=None), "has a damaged header"),
        (with_header(version=1, sha256=None), "has version 1; this program reads 2: make it again"),
        (with_header(version=3), "has version 3; this program reads 2"),
        (with_header(count=3), "should hold 3 tokens but has room for 2.0; it was cut short"),
        (with_header()[:-1], "should hold 2 tokens but has room for 1.5"),
        (with_header(count=1), "should hold 1 tokens but has room for 2.0"),
    ],
)
def test_damaged_files(data, sentence, tmp_path):
    path = tmp_path / "a.tokens"
    path.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        read_tokens(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "a.tokens")


class TestDatasets:
    def test_round_trip(self, tmp_path):
        write(tmp_path, [1, 2, 3], [4])
        splits = open_dataset(tmp_path)
        assert splits.train.tolist() == [1, 2, 3] and splits.val.tolist() == [4]
        assert splits.tokenizer.characters == CHARS.characters and splits.source == "letters"

    def test_the_fingerprint_follows_the_tokens_and_their_meaning_and_nothing_else(self, tmp_path):
        def fingerprint(*arguments, **options) -> str:
            write(tmp_path, *arguments, **options)
            return open_dataset(tmp_path).fingerprint

        first = fingerprint([1, 2], [3])
        assert first == fingerprint([1, 2], [3], source="the same from elsewhere")
        others = [
            fingerprint([1, 2], [4]),
            fingerprint([1, 3], [3]),
            fingerprint([1], [2, 3]),
            fingerprint([1, 2], [3], tokenizer=CharTokenizer("abcdefghi")),
        ]
        assert len({first, *others}) == 5

    @pytest.mark.parametrize(
        "spoil, sentence",
        [
            (
                lambda folder: [path.unlink() for path in folder.iterdir()],
                "holds no dataset: make one with tinygrad-gpt",
            ),
            (lambda folder: (folder / "val.tokens").unlink(), r"val\.tokens cannot be read"),
            (lambda folder: (folder / "train.tokens").unlink(), r"train\.tokens cannot be read"),
            (lambda folder: os.truncate(folder / "val.tokens", 100), r"val\.tokens has a damaged header"),
            (
                lambda folder: os.replace(write(folder / "another", [1, 2, 4]), folder / "train.tokens"),
                "were not made together; prepare the dataset again",
            ),
        ],
        ids=["nothing", "no val", "no train", "cut short", "two datasets"],
    )
    def test_folders_without_a_sound_dataset(self, spoil, sentence, tmp_path):
        write(tmp_path, [1, 2, 3], [4])
        spoil(tmp_path)
        with pytest.raises(InputError, match=sentence):
            open_dataset(tmp_path)

    @pytest.mark.parametrize("calls_before", [0, 1, 2])
    def test_an_error_while_writing_leaves_the_old_dataset(self, calls_before, tmp_path, monkeypatch):
        write(tmp_path, [1, 2, 3], [4])
        calls = iter(range(calls_before))

        def fsync(descriptor):
            if next(calls, None) is None:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", fsync)
        with pytest.raises(RunError, match=r"\.tokens cannot be written: No space left on device"):
            write(tmp_path, [5, 6], [7])
        assert open_dataset(tmp_path).train.tolist() == [1, 2, 3]
        assert sorted(file.name for file in tmp_path.iterdir()) == ["train.tokens", "val.tokens"]

    @pytest.mark.parametrize("old", [True, False], ids=["in place of an old one", "the first one"])
    def test_a_program_killed_between_the_two_files_has_made_the_new_dataset(self, old, tmp_path):
        folder = tmp_path / "data"
        write(tmp_path / "new", [5, 6], [7])
        folder.mkdir()
        if old:
            write(folder, [1, 2, 3], [4])
        os.replace(tmp_path / "new" / "val.tokens", folder / "val.tokens")
        os.replace(tmp_path / "new" / "train.tokens", folder / ".train.tokens.123.tmp")
        splits = open_dataset(folder)
        assert splits.train.tolist() == [5, 6] and splits.val.tolist() == [7]
        assert sorted(file.name for file in folder.iterdir()) == ["train.tokens", "val.tokens"]

    def test_what_a_killed_program_left_is_removed_and_the_old_dataset_kept(self, tmp_path):
        write(tmp_path, [1, 2, 3], [4])
        (tmp_path / ".train.tokens.123.tmp").write_bytes(bytes(1000))
        (tmp_path / ".val.tokens.123.tmp").write_bytes(bytes(1000))
        assert open_dataset(tmp_path).train.tolist() == [1, 2, 3]
        remove_leftovers(tmp_path)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["train.tokens", "val.tokens"]


class TestSplitsOfACorpus:
    def test_nine_tenths_of_the_characters_train(self, text_file, made_text, cache):
        tokenizer = CharTokenizer.from_text(made_text)
        corpus = find_corpus(str(text_file))
        splits = prepare_splits(corpus, tokenizer)
        cut = int(0.9 * len(made_text))
        assert tokenizer.decode(splits.train) == made_text[:cut]
        assert tokenizer.decode(splits.val) == made_text[cut:]
        assert splits.source == corpus.source and len(splits.fingerprint) == 64

    def test_tiny_shakespeares_known_sizes(self, tiny_shakespeare, tmp_path, cache):
        path = tmp_path / "input.txt"
        path.write_text(tiny_shakespeare)
        splits = prepare_splits(find_corpus(str(path)), CharTokenizer.from_text(tiny_shakespeare))
        assert (len(splits.train), len(splits.val)) == (1_003_854, 111_540)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            lambda path: path.write_bytes(with_header(version=1)),
            lambda path: write(path.parent, [1, 2], [3], tokenizer=CharTokenizer("xyz")),
            lambda path: path.unlink(),
        ],
        ids=["cut short", "version 1", "another tokenizer", "gone"],
    )
    def test_are_made_once_and_made_again_when_damaged(self, spoil, text_file, made_text, cache):
        corpus, tokenizer = find_corpus(str(text_file)), CharTokenizer.from_text(made_text)
        before = prepare_splits(corpus, tokenizer).train.tolist()
        path = next(cache.glob("tokens/*/train.tokens"))
        made = path.stat().st_mtime_ns
        prepare_splits(corpus, tokenizer)
        assert path.stat().st_mtime_ns == made
        spoil(path)
        assert prepare_splits(corpus, tokenizer).train.tolist() == before

    @pytest.mark.parametrize(
        "train, val, sentence",
        [
            (64, 99, "The training split has 64 tokens, but a block of 64 needs at least 65"),
            (99, 0, "The validation split has 0 tokens"),
        ],
    )
    def test_too_short_for_a_block(self, train, val, sentence):
        with pytest.raises(InputError, match=sentence):
            check_length(Splits(np.zeros(train), np.zeros(val), CHARS, "", ""), block_size=64)


class TestBatches:
    TOKENS = np.arange(100, dtype=np.uint16)

    def test_targets_are_the_next_tokens(self):
        x, y = get_batch(self.TOKENS, 32, 8, np.random.default_rng(0))
        assert x.shape == y.shape == (32, 8) and x.dtype == y.dtype == np.int64
        np.testing.assert_array_equal(y, x + 1)

    def test_every_block_can_be_drawn_and_none_beyond_the_end(self):
        x, y = get_batch(self.TOKENS, 5000, 90, np.random.default_rng(0))
        assert set(x[:, 0]) == set(range(10)) and y.max() == 99

    def test_the_generator_decides(self):
        draws = [get_batch(self.TOKENS, 4, 8, np.random.default_rng(seed))[0].tolist() for seed in (1, 1, 2)]
        assert draws[0] == draws[1] != draws[2]

    def test_the_shortest_text(self):
        x, y = get_batch(self.TOKENS[:9], 2, 8, np.random.default_rng(0))
        assert x.tolist() == [list(range(8))] * 2 and y.tolist() == [list(range(1, 9))] * 2
