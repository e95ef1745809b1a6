"""A browser for the pages: Debian's Chromium, driven by Playwright; without either, what needs it is skipped.

Reading a page's five megabytes of script costs seconds: a page is written once and opened once, and the tests share it.
"""

import shutil

import pytest

import tensor
from tinygrad_gpt.explore.page import render
from tinygrad_gpt.explore.subject import example_data, gpt_data
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.tokenizer import CharTokenizer
from tinygrad_gpt.trained import Trained

CHROMIUM = shutil.which("chromium")
FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
PATIENCE = 120_000  # ms: a machine that is busy with other tests is slow to read five megabytes of script
AS_AT_FIRST = """() => {
    foldAtFirst();
    byId("values").checked = false;
    redraw();
    open("backward");
    goTo(0);
    byId("graph").focus();
}"""
TEXT = "the fat cat sat"


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS.split(), "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def problems() -> list[str]:
    """What went wrong in any page, until a test has reported it."""
    return []


@pytest.fixture(scope="session")
def open_pages(browser):
    pages: dict = {}
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def visit(browser, open_pages, problems):
    """The page of an address, as at first; it must log no error and ask for nothing but itself."""

    def open_it(address: str, width: int = 1280, height: int = 800, scheme: str = "light"):
        key = (address, width, height, scheme)
        if key in open_pages:
            open_pages[key].evaluate(AS_AT_FIRST)
            return open_pages[key]
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url, address) else 0)
        page.goto(address)
        open_pages[key] = page
        return page

    yield open_it
    found = list(problems)
    problems.clear()
    assert found == []


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))


@pytest.fixture(scope="session")
def example_page(tmp_path_factory):
    """The address of an example's page, written once."""
    written = {}

    def write(name: str) -> str:
        if name not in written:
            written[name] = tmp_path_factory.mktemp("pages") / f"{name}.html"
            written[name].write_text(render(example_data(name)), "utf-8")
        return written[name].as_uri()

    return write


@pytest.fixture(scope="session")
def small_gpt() -> Trained:
    """Two layers of two heads; a head's channels are as many as the heads of q, k and v: 6."""
    tensor.manual_seed(0)
    tokenizer = CharTokenizer.from_text(TEXT)
    config = GPTConfig(block_size=16, vocab_size=tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=12)
    model = GPT(config).eval()
    with tensor.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # far from even attention
    return Trained(model, tokenizer, "small", None)


@pytest.fixture(scope="session")
def gpt_page(tmp_path_factory, small_gpt) -> str:
    path = tmp_path_factory.mktemp("pages") / "gpt.html"
    path.write_text(render(gpt_data(small_gpt, TEXT)), "utf-8")
    return path.as_uri()
