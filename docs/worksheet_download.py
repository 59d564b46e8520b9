"""The worksheet that a page offers for download, written at every build.

A Sphinx extension.
"""

from pathlib import Path

from sphinx.application import Sphinx

from normstudy.worksheet import write


def write_download(app: Sphinx) -> None:
    """Write the worksheet where the page's link expects it."""
    folder = Path(app.srcdir) / "downloads"
    folder.mkdir(exist_ok=True)
    write(folder / "normalization-by-hand.xlsx")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("builder-inited", write_download)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
