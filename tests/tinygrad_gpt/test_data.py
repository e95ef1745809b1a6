"""Token files: what is written is what is read, and a damaged file says so; batches."""

import json

import numpy as np
import pytest

from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.data import (
    MAGIC,
    Splits,
    check_length,
    get_batch,
    prepare_splits,
    read_tokens,
    write_tokens,
)
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.tokenizer import CharTokenizer, tokenizer_from_dict

CHARS = CharTokenizer.from_text("abcdefgh\n é")


@pytest.mark.parametrize("ids", [[], [0], [1, 2, 3], [0, 65535], list(range(10_000))], ids=len)
def test_round_trip(ids, tmp_path):
    path = tmp_path / "a.tokens"
    write_tokens(path, np.array(ids, dtype=np.int64), CHARS)
    file = read_tokens(path)
    assert file.tokens.tolist() == ids and file.tokens.dtype == np.uint16
    assert file.vocab_size == CHARS.vocab_size
    assert tokenizer_from_dict(file.tokenizer).characters == CHARS.characters


def test_the_tokens_are_mapped_not_loaded_and_cannot_be_changed(tmp_path):
    path = tmp_path / "a.tokens"
    write_tokens(path, np.arange(10), CHARS)
    tokens = read_tokens(path).tokens
    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_the_layout_is_the_documented_one(tmp_path):
    path = tmp_path / "a.tokens"
    write_tokens(path, np.array([1, 258]), CHARS)
    data = path.read_bytes()
    length = int.from_bytes(data[8:16], "little")
    assert data[:8] == b"TGTOKENS" and (16 + length) % 64 == 0
    header = json.loads(data[16 : 16 + length])
    assert header["version"] == 1 and header["count"] == 2 and header["vocab_size"] == CHARS.vocab_size
    assert data[16 + length :] == b"\x01\x00\x02\x01"


@pytest.mark.parametrize("bad", [65536, -1])
def test_ids_that_do_not_fit_are_refused_and_leave_no_file(bad, tmp_path):
    with pytest.raises(InputError, match=f"Token id {bad} does not fit a token file"):
        write_tokens(tmp_path / "a.tokens", np.array([1, bad]), CHARS)
    assert list(tmp_path.iterdir()) == []


def with_header(**changes) -> bytes:
    header = {"version": 1, "count": 2, "vocab_size": 3, "tokenizer": {}} | changes
    text = json.dumps({key: value for key, value in header.items() if value is not None}).encode()
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
        (with_header(version=2), "has version 2; this program reads 1"),
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


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.tokens"
    write_tokens(path, np.arange(5), CHARS)

    def crash(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        write_tokens(path, np.arange(9), CHARS)
    assert read_tokens(path).tokens.tolist() == list(range(5))
    assert [file.name for file in tmp_path.iterdir()] == ["a.tokens"]


class TestSplits:
    def test_nine_tenths_of_the_characters_train(self, text_file, made_text, cache):
        tokenizer = CharTokenizer.from_text(made_text)
        splits = prepare_splits(find_corpus(str(text_file)), tokenizer)
        cut = int(0.9 * len(made_text))
        assert tokenizer.decode(splits.train) == made_text[:cut]
        assert tokenizer.decode(splits.val) == made_text[cut:]

    def test_tiny_shakespeares_known_sizes(self, tiny_shakespeare, tmp_path, cache):
        path = tmp_path / "input.txt"
        path.write_text(tiny_shakespeare)
        splits = prepare_splits(find_corpus(str(path)), CharTokenizer.from_text(tiny_shakespeare))
        assert (len(splits.train), len(splits.val)) == (1_003_854, 111_540)

    def test_are_made_once_and_made_again_when_damaged(self, text_file, made_text, cache):
        corpus, tokenizer = find_corpus(str(text_file)), CharTokenizer.from_text(made_text)
        before = prepare_splits(corpus, tokenizer).train.tolist()
        path = next(cache.glob("tokens/*/train.tokens"))
        made = path.stat().st_mtime_ns
        prepare_splits(corpus, tokenizer)
        assert path.stat().st_mtime_ns == made
        path.write_bytes(path.read_bytes()[:-1])
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
            check_length(Splits(np.zeros(train), np.zeros(val), CHARS), block_size=64)


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
