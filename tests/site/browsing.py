"""Which pages the built report has, and what a page does that it should not."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_build" / "html"
PICTURES = ROOT / "docs" / "_build" / "site-tests"  # what CI keeps


def pages() -> list[str]:
    """List the pages of the report."""
    made = (page.relative_to(SITE) for page in SITE.rglob("*.html"))
    return sorted(p.as_posix() for p in made if p.parts[0] not in {"_static", "_downloads"})


def one_of_each_kind() -> list[str]:
    """List the pages, but of the API reference only as many as show every element it has.

    An element is a tag with its classes and the tag around it. From the pages of the objects, the
    one that adds most elements is taken until none adds any.
    """
    chosen = [page for page in pages() if "/generated/" not in page]
    left = {page: elements(page) for page in pages() if "/generated/" in page}
    while left:
        richest = max(left, key=lambda page: (len(left[page]), page))
        seen = left.pop(richest)
        if not seen:
            break
        chosen.append(richest)
        left = {page: found - seen for page, found in left.items()}
    return chosen


def elements(page: str) -> set[tuple[str, str]]:
    """Collect the elements of a page's article."""
    text = (SITE / page).read_text(encoding="utf-8").split("<article", 1)[1].split("</article")[0]
    found, around = set(), "article"
    for tag, rest in re.findall(r"<(\w+)([^>]*)>", text):
        classes = re.search(r'class="([^"]*)"', rest)
        found.add((around, f"{tag} {classes[1] if classes else ''}"))
        around = tag
    return found


class Watch:
    """What a page asks for from elsewhere, and the errors of its scripts."""

    def __init__(self, page: Any, home: str) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.images: set[Path] = set()
        self.home = home
        page.on("request", self.asked)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self.said)

    def asked(self, request: Any) -> None:
        """Note a request that leaves the report, and every image of the report."""
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.foreign.append(request.url)
        elif request.resource_type == "image" and request.url.startswith(self.home):
            self.images.add(SITE / request.url.removeprefix(self.home).partition("?")[0])

    def said(self, message: Any) -> None:
        """Note what the browser complains of, but for a page that is meant to be missing."""
        if message.type in {"error", "warning"} and "404 (Not Found)" not in message.text:
            self.errors.append(message.text)


def settle(page: Any) -> None:
    """Wait for fonts, formulas, and what the theme does after a change of size."""
    page.evaluate(
        """async () => {
            await document.fonts.ready;
            await window.MathJax?.startup?.promise;
            await new Promise(done => setTimeout(done, 400));
        }"""
    )
