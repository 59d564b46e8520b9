"""Links that each page has besides those of its text: to its source, its picture, and the sitemap.

A Sphinx extension. The sitemap lists all pages, also where a build writes only those that changed.
"""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
NOT_LISTED = {"404"}  # nobody should be led there


def source_of(page: str) -> str | None:
    """Return the file that a page is made from, relative to the project, or None where none is.

    >>> source_of("api/generated/normstudy.byhand.norms.backward")
    'normstudy/byhand/norms.py'
    >>> source_of("auto_examples/plot_130_group_norm")
    'examples/plot_130_group_norm.py'
    """
    folder, _, name = page.rpartition("/")
    if folder == "auto_examples":
        return f"examples/{name}.py"
    if folder == "api/generated":
        parts = name.split(".")
        module = (Path(*parts[:n]).with_suffix(".py") for n in range(len(parts), 0, -1))
        return next((path.as_posix() for path in module if (ROOT / path).exists()), None)
    found = (ROOT / "docs").glob(f"{page}.*")
    return next((path.relative_to(ROOT).as_posix() for path in sorted(found)), None)


def add_links(app: Sphinx, page: str, _: str, context: dict[str, Any], doctree: Any) -> None:
    """Tell the template where a page can be edited, and social networks which picture to show."""
    source = source_of(page)
    context["edit_url"] = f"{app.config.html_context['edit_base']}{source}" if source else None
    images = doctree.findall(nodes.image) if doctree else ()
    picture = next((image for image in images if image["uri"].endswith((".png", ".webp"))), None)
    if picture is not None:
        shown = f"{app.config.html_baseurl}_images/{Path(picture['uri']).name}"
        tags = {"og:image": shown, "og:image:alt": picture.get("alt", "")}
        context["meta"] = (context["meta"] or {}) | tags


def write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    """List every page for search engines."""
    if exception or app.builder.name != "html":
        return
    listed = sorted(app.env.found_docs - NOT_LISTED)
    urls = (f"{app.config.html_baseurl}{app.builder.get_target_uri(page)}" for page in listed)
    lines = (f"<url><loc>{escape(url)}</loc></url>" for url in urls)
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    schema = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    text = "\n".join((head + schema, *lines, "</urlset>\n"))
    (Path(app.outdir) / "sitemap.xml").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks with Sphinx."""
    app.connect("html-page-context", add_links, priority=400)  # before the tags are written
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
