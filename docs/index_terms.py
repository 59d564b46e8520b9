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
from sphinx.util.index_entries import split_index_msg

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


def keep_entries(app: Sphinx) -> list[tuple[str, dict[str, object], str]]:
    """Give the search the entries of pages that are not written anew, which Sphinx forgets.

    A build that writes some pages takes the words of the others from the last ``searchindex.js``,
    and their entries from nowhere: https://github.com/sphinx-doc/sphinx/issues/12599.
    """
    indexer = getattr(app.builder, "indexer", None)
    if indexer is not None:
        for page, entries in app.env.domains.index_domain.entries.items():
            found = {
                (word, target, main)
                for kind, value, target, main, _ in entries
                for word in split_index_msg(kind, value)
            }
            indexer._index_entries.setdefault(page, sorted(found))
    return []  # no pages of its own


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the check with Sphinx."""
    app.add_transform(IndexTerms)
    app.connect("env-updated", check)
    app.connect("html-collect-pages", keep_entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
