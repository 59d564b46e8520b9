"""What each page is about, as entries of the index, which the search ranks first.

A Sphinx extension. The words stand in ``index_terms.toml``, and not in the pages, since the
notebooks that readers download could not show them.
"""

import tomllib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

FILE = Path(__file__).with_suffix(".toml")


def read() -> dict[str, list[str]]:
    """Return the words of each page."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


class IndexTerms(SphinxTransform):
    """Give a page its entries, as the directive ``index`` would."""

    default_priority = 500

    def apply(self) -> None:
        """Add the entries in front of the first section, which they lead to."""
        words = read().get(self.env.docname)
        section = self.document.next_node(nodes.section)
        if not words or section is None:
            return
        self.env.note_dependency(FILE)
        entries = [("single", word, section["ids"][0], "main", None) for word in words]
        self.document.insert(0, addnodes.index(entries=entries))


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Refuse words of a page that is not there, nor left out.

    Raises
    ------
    ExtensionError
        Naming the page and the file.
    """
    left_out = {page.removesuffix(".rst") for page in app.config.exclude_patterns}
    if missing := sorted(set(read()) - env.found_docs - left_out):
        msg = f"{FILE.name} has words for {', '.join(missing)}: there is no such page."
        raise ExtensionError(msg)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the check with Sphinx."""
    app.add_transform(IndexTerms)
    app.connect("env-updated", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
