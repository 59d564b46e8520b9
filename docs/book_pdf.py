"""Print the built report as one PDF, with Chromium: ``python docs/book_pdf.py``.

The pages are set one behind the other in a single document, so that the links between them stay
links; the browser, which typesets the formulas, writes the outline.
"""

import os
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from book_epub import LEFT_OUT
from bs4 import BeautifulSoup, Tag

DOCS = Path(__file__).parent
SITE = DOCS / "_build" / "html"
HOME = "https://normstudy.github.io/normstudy/"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ONLY_ON_SCREEN = ".only-dark, .definition, .headerlink, .sphx-glr-footer, .graph-controls"
STYLE = """
.bd-main .bd-content .bd-article-container { max-width: none; padding: 0; }
.bd-article h1 { font-size: 1.9rem; } /* the outline would lose the space where a title breaks */
article + article { break-before: page; }
.bd-article figure img { max-height: 22cm; object-fit: contain; }
"""
READY = """async () => {
    await MathJax.startup.promise;
    await document.fonts.ready;
    await Promise.all([...document.images].map(image => image.decode()));
}"""
NUMBER = """<div style="width: 100%; font-size: 8px; text-align: center">
    <span class="pageNumber"></span></div>"""


def find_browser() -> str | None:
    """Return the path of a Chromium: ``NORMSTUDY_BROWSER``, or the first that is installed."""
    named = os.environ.get("NORMSTUDY_BROWSER")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)


def resolved(page: str, link: str) -> str:
    """Return where a relative link of a page leads, seen from the start page."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def pages(site: Path) -> Iterator[tuple[str, BeautifulSoup]]:
    """Yield the pages of the report in the order in which they are read."""
    name: str | None = "index.html"
    while name:
        soup = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        if not name.startswith(LEFT_OUT):
            yield name, soup
        following = soup.select_one('link[rel="next"]')
        name = resolved(name, str(following["href"])) if following else None


def place(page: str, anchor: str = "") -> str:
    """Name a place of the book, since a page's own names may be those of another page."""
    return f"{page.removesuffix('.html').replace('/', '-')}--{anchor}"


def moved(page: str, article: Tag, chapters: set[str]) -> Tag:
    """Fit the article of a page into the book: links to its pages stay inside, others lead out."""
    for tag in article.select(ONLY_ON_SCREEN):
        tag.decompose()
    for tag in article.find_all(True):
        for key in ("id", "for", "aria-labelledby"):
            if key in tag.attrs:
                tag[key] = place(page, str(tag[key]))
        if "src" in tag.attrs:
            tag["src"] = resolved(page, str(tag["src"]))
            tag.attrs.pop("loading", None)  # all of them are printed
        if "href" in tag.attrs and not re.match(r"\w+:", str(tag["href"])):
            path, _, anchor = str(tag["href"]).partition("#")
            there = resolved(page, path) if path else page
            inside = there in chapters and "=" not in anchor  # such an anchor is a script's
            tag["href"] = f"#{place(there, anchor)}" if inside else HOME + f"{there}#{anchor}"
        if tag.name == "details":
            tag["open"] = ""
    article["id"] = place(page)
    return article


def compose(site: Path) -> str:
    """Write the whole report as one page, to lie beside the others."""
    report = dict(pages(site))
    head: dict[str, None] = {}
    for page, soup in report.items():
        for tag in soup.select('head link[rel="stylesheet"], head script'):
            source = str(tag.get("href") or tag.get("src") or "")
            if tag.name == "link" or "mathjax" in source:
                tag["href" if tag.name == "link" else "src"] = resolved(page, source)
                head[str(tag)] = None
            elif "window.MathJax" in tag.text:
                head[str(tag)] = None
    articles = [
        str(moved(page, article, set(report)))
        for page, soup in report.items()
        if (article := soup.select_one("article.bd-article"))
    ]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>',
            '<meta charset="utf-8"><title>normstudy</title>',
            *head,
            f"<style>{STYLE}</style></head><body>",
            '<main class="bd-main"><div class="bd-content"><div class="bd-article-container">',
            *articles,
            "</div></div></main></body></html>",
        ]
    )


def write(site: Path, target: Path) -> None:
    """Print the report.

    Raises
    ------
    SystemExit
        Where no report is built, or no Chromium is installed.
    """
    if not (site / "index.html").exists():
        sys.exit("There is no report to print. Build it first: uvx nox -s docs")
    browser_path = find_browser()
    if browser_path is None:
        sys.exit("No Chromium to print with. Install one, or name it in NORMSTUDY_BROWSER.")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - tests of the rest lack it

    source = site / "book.html"
    source.write_text(compose(site), encoding="utf-8")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox"]
            )
            page = browser.new_page(color_scheme="light")
            page.set_default_timeout(300_000)  # some thousand formulas
            page.goto(source.resolve().as_uri())
            page.evaluate(READY)
            page.pdf(
                path=target,
                format="A4",
                scale=0.8,
                margin={"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=NUMBER,
                outline=True,
                tagged=True,
            )
            browser.close()
    finally:
        source.unlink()


if __name__ == "__main__":
    write(SITE, SITE / "normstudy.pdf")
