"""`tinygrad-gpt explore`: the backward pass as a page in the browser, or as pictures."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path

from tinygrad_gpt.explore.examples import EXAMPLES
from tinygrad_gpt.explore.page import render
from tinygrad_gpt.explore.pictures import draw_pictures
from tinygrad_gpt.explore.serve import Server
from tinygrad_gpt.explore.subject import example_data, gpt_data
from tinygrad_gpt.options import check_types, nearest, option, require
from tinygrad_gpt.paths import atomic_write
from tinygrad_gpt.trained import open_trained

SUBJECTS = (*EXAMPLES, "gpt")


@dataclass(frozen=True)
class ExploreConfig:
    """What to show and how. Raises `InputError` for a value that cannot work."""

    out_dir: str | None = option(None, "Run folder whose GPT to show. [default for gpt: the latest run]", group="Model")
    init_from: str | None = option(
        None, "Instead of a run: gpt2, gpt2-medium, gpt2-large, gpt2-xl or the folder of a GPT-2 or of a checkpoint."
    )
    vocab_file: str | None = option(
        None, "GPT-2's vocab.bpe, merges.txt or r50k_base.tiktoken, where tiktoken cannot fetch it."
    )
    text: str | None = option(None, "Text for the GPT to read. [default: the first lines of Shakespeare's plays]")

    html: str | None = option(None, "File to write. [default: explore-SUBJECT.html]", group="Output")
    png: str | None = option(None, "Folder for pictures, instead of a page.")
    serve: bool = option(False, "Serve the page on this machine, so that the inputs of an example can be changed.")
    port: int = option(0, "Port for --serve; 0 takes a free one.")
    open: bool = option(True, "Open the page in the browser.")

    def __post_init__(self):
        check_types(self)
        require(0 <= self.port < 1 << 16, f"port must be from 0 to 65535, got {self.port}.")
        require(not (self.serve and (self.html or self.png)), "--serve writes no file: leave out --html and --png.")
        require(self.html is None or self.png is None, "--html writes a page, --png pictures: pass one of them.")


def explore(subject: str | None, config: ExploreConfig) -> None:
    """Write the page or the pictures of `subject`, or serve its page until Ctrl-C."""
    names_model = config.out_dir is not None or config.init_from is not None
    if subject is None:
        subject = "gpt" if names_model else "attention"
    require(subject in SUBJECTS, f"There is nothing called {subject} to explore{nearest(subject, list(SUBJECTS))}.")
    require(
        subject == "gpt" or not (names_model or config.text is not None),
        f"--out_dir, --init_from and --text are for gpt; {subject} is an example with its own numbers.",
    )
    if config.serve:
        require(subject != "gpt", "--serve is for the examples: a GPT's inputs are tokens, pass others with --text.")
        _serve(subject, config)
        return
    if subject == "gpt":
        data = gpt_data(open_trained(config.out_dir, config.init_from, config.vocab_file), config.text)
    else:
        data = example_data(subject)
    if config.png is not None:
        for path in draw_pictures(data, Path(config.png)):
            print(path)
        return
    path = Path(config.html or f"explore-{subject}.html")
    page = render(data).encode("utf-8")
    with atomic_write(path) as file:
        file.write(page)
    print(f"{path} ({len(page) / 1e6:.1f} MB)")
    if config.open:
        webbrowser.open(path.absolute().as_uri())


def _serve(example: str, config: ExploreConfig) -> None:
    with Server(example, config.port) as server:
        print(f"{server.url} (Ctrl-C ends)", flush=True)
        if config.open:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
