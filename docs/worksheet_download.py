"""The worksheet that a page offers for download.

A Sphinx extension.
"""

from pathlib import Path

from sphinx.application import Sphinx

from normstudy.byhand.worksheet import write


def write_download(app: Sphinx) -> None:
    """Write the worksheet where the page's link expects it, again when the package has changed."""
    target = Path(app.srcdir) / "downloads" / "normalization-by-hand.xlsx"
    if app.config.sphinx_gallery_conf["run_stale_examples"] or not target.exists():
        target.parent.mkdir(exist_ok=True)
        write(target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("builder-inited", write_download)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
