"""A browser for the pages: Debian's Chromium, driven by Playwright; without either, what needs it is skipped."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
PATIENCE = 120_000  # ms: a machine that is busy with other tests is slow to read five megabytes of script


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS.split(), "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open an address in a page that must log no error and ask for nothing but itself."""
    problems: list[str] = []
    pages = []

    def open_it(address: str, width: int = 1280, height: int = 800, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url, address) else 0)
        page.goto(address)
        pages.append(page)
        return page

    yield open_it
    for page in pages:
        page.close()
    assert problems == []


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))
