"""Images that keep their place and wait for their turn.

A Sphinx extension. Every picture of a page says how large it is, so that text below it does not
jump when it arrives, and is fetched when it comes near the screen; a twin that the other mode
shows is not fetched at all.
"""

import re
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.application import Sphinx


def add_sizes(app: Sphinx, _page: str, _template: str, context: dict[str, Any], *_: Any) -> None:
    """Write width, height and ``loading="lazy"`` into the images of a page."""
    files = {name: Path(app.srcdir, path) for path, (_, name) in app.env.images.items()}

    def sized(tag: re.Match[str]) -> str:
        source = re.search(r'\bsrc="([^"]+)"', tag[0])
        file = files.get(Path(source[1]).name) if source else None
        if file is None or file.suffix == ".svg" or re.search(r"\swidth=", tag[0]):
            return tag[0]
        with Image.open(file) as image:
            width, height = image.size
        return f'<img width="{width}" height="{height}" loading="lazy"{tag[0][4:]}'

    if "body" in context:
        context["body"] = re.sub(r"<img\s[^>]*>", sized, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("html-page-context", add_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
