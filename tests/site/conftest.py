"""The built report in a real browser: over HTTP below ``/normstudy/``, and from the disk."""

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from book_pdf import find_browser
from browsing import SITE, one_of_each_kind, pages


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hand the pages to the tests that ask for a ``page_name``."""
    if "page_name" in metafunc.fixturenames:
        every = os.environ.get("NORMSTUDY_EVERY_PAGE")
        metafunc.parametrize("page_name", pages() if every else one_of_each_kind())


class Handler(SimpleHTTPRequestHandler):
    """Serves the report as GitHub Pages does: below the project's name, with a page for 404."""

    prefix = "/normstudy/"

    def translate_path(self, path: str) -> str:
        """Find a file below the project's name, and none elsewhere."""
        inside = path.startswith(self.prefix)
        return super().translate_path("/" + path.removeprefix(self.prefix) if inside else "/-")

    def send_error(self, code: int, *_: Any) -> None:
        """Answer with the report's own page."""
        page = (SITE / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        """Keep the terminal for the tests."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Serve the report, and return the address of its start page."""
    if not (SITE / "index.html").exists():
        pytest.fail("There is no report to look at. Build it first: uvx nox -s docs")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(SITE))) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}{Handler.prefix}"
        http.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start the browser once."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only these tests have it

    path = find_browser()
    if path is None:
        pytest.fail("No Chromium here. Install one, or name it in NORMSTUDY_BROWSER.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """Open a fresh tab without transitions, so that colours are measured as they come to rest."""
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def blank(browser: Any) -> Iterator[Any]:
    """Open an empty page; an error of a script fails the test."""
    contexts, errors = [], []

    def opened(width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def visit(blank: Any) -> Any:
    """Open a page of the report from the disk."""

    def go(name: str, **options: Any) -> Any:
        page = blank(**options)
        page.goto(f"{SITE.as_uri()}/{name}")
        return page

    return go
