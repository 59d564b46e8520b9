"""Definitions that open where a page uses a term or a symbol for the first time.

A Sphinx extension. Terms come from the glossary, symbols from the tables of the page of notation;
no page marks them. The definitions lie hidden at the end of the page, where ``normstudy.js`` finds
them; without a script the terms are links to the glossary.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

Definitions = dict[str, tuple[str, str, Sequence[nodes.Node]]]  # by word: page, place on it, text
WITHOUT = ("api/", "changelog", "contributing", "glossary", "notation", "plan", "references")
NOT_IN = (nodes.reference, nodes.literal, nodes.math, nodes.table)


@cache
def terms(env: BuildEnvironment) -> Definitions:
    """Read the glossary."""
    found: Definitions = {}
    for item in env.get_doctree("glossary").findall(nodes.definition_list_item):
        term, text = next(item.findall(nodes.term)), next(item.findall(nodes.definition))
        found[term.astext()] = ("glossary", term["ids"][0], text.children)
    return found


@cache
def symbols(env: BuildEnvironment) -> Definitions:
    """Read the tables of symbols, but for symbols with two meanings: pages say which they mean."""
    found: Definitions = {}
    twice = set()
    for section in env.get_doctree("notation").findall(nodes.section):
        tables = (node for node in section if isinstance(node, nodes.table))
        for row in (row for table in tables for row in table.findall(nodes.row)):
            first, *_, meaning = (cell for cell in row if isinstance(cell, nodes.entry))
            for math in first.findall(nodes.math):
                for symbol in math.astext().split(", "):
                    twice |= {symbol} & set(found)
                    found[symbol] = ("notation", section["ids"][0], meaning.children)
    return {symbol: meaning for symbol, meaning in found.items() if symbol not in twice}


def define(app: Sphinx, document: nodes.document, page: str) -> None:
    """Link the first uses of a page, and put the definitions at its end."""
    if app.builder.name == "html" and not page.startswith(WITHOUT):
        Page(app, document, page).define()


class Page:
    """A page, and the words that it has used so far."""

    def __init__(self, app: Sphinx, document: nodes.document, page: str) -> None:
        self.builder, self.document, self.page = app.builder, document, page
        env = app.builder.env
        typeset = env.domaindata["math"]["has_equations"].get(page)
        self.known = {
            word: meaning
            for word, meaning in (terms(env) | symbols(env)).items()
            if not any(_holds(node, addnodes.pending_xref) for node in meaning[-1])
            and (typeset or not any(_holds(node, nodes.math) for node in meaning[-1]))
        }
        self.used: list[str] = []
        longest_first = sorted(terms(env), key=len, reverse=True)
        self.pattern = re.compile(rf"\b({'|'.join(longest_first)})s?\b", re.IGNORECASE)

    def define(self) -> None:
        """Go through the paragraphs in the order in which they are read."""
        for paragraph in self.document.findall(nodes.paragraph):
            for node in list(paragraph.findall(nodes.math)):
                if node.astext() in self.known and not _inside(node.parent, NOT_IN):
                    node.parent.replace(node, self.link(node.astext(), node.deepcopy()))
            for text in list(paragraph.findall(nodes.Text)):
                if not _inside(text.parent, NOT_IN):
                    text.parent.replace(text, list(self.linked(text.astext())))
        for word in self.used:
            opened = f'<div id="definition-{_name(word)}" class="definition" popover="manual">'
            self.document += nodes.raw("", opened, format="html")
            self.document += [node.deepcopy() for node in self.known[word][-1]]
            self.document += nodes.raw("", "</div>", format="html")

    def linked(self, text: str) -> Iterator[nodes.Node]:
        """Yield a text with its terms linked."""
        at = 0
        for match in self.pattern.finditer(text):
            word = match[1].lower()
            if word in self.known and word not in self.used:
                yield nodes.Text(text[at : match.start()])
                yield self.link(word, nodes.Text(match[0]))
                at = match.end()
        yield nodes.Text(text[at:])

    def link(self, word: str, shown: nodes.Node) -> nodes.Node:
        """Link the first use of a word; leave it as it is later."""
        if word in self.used:
            return shown
        self.used.append(word)
        page, place, _ = self.known[word]
        uri = f"{self.builder.get_relative_uri(self.page, page)}#{place}"
        link = nodes.reference("", "", shown, refuri=uri, internal=True, classes=["defined"])
        link["ids"] = [f"use-{_name(word)}"]
        return link


def _name(word: str) -> str:
    return re.sub(r"\W+", "-", word.replace("\\", "")).strip("-")


def _holds(node: nodes.Node, kind: type[nodes.Node]) -> bool:
    return next(iter(node.findall(kind)), None) is not None


def _inside(node: nodes.Node | None, kinds: tuple[type[nodes.Node], ...]) -> bool:
    return node is not None and (isinstance(node, kinds) or _inside(node.parent, kinds))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("doctree-resolved", define)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
