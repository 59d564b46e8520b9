"""What Sphinx and docutils write in a way that a screen reader stumbles over, written well.

A Sphinx extension. The citations of a bibliography become a definition list, and the parameters of
a long signature a list.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator


class CitationList(SphinxPostTransform):
    """List works as terms with their definitions: docutils gives them roles that ARIA took back."""

    default_priority = 900  # the bibliography is filled in by a transform too
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Replace each row of citations."""
        parents = (node.parent for node in self.document.findall(nodes.citation))
        for parent in list(dict.fromkeys(parents)):
            works = [node for node in parent if isinstance(node, nodes.citation)]
            entries = nodes.definition_list(classes=["citations"])
            for work in works:
                label, *words = work.children
                term = nodes.term("", label.astext(), ids=work["ids"])
                entries += nodes.definition_list_item("", term, nodes.definition("", *words))
            parent.replace(works[0], entries)
            for work in works[1:]:
                parent.remove(work)


class Translator(HTML5Translator):
    """Writes the parameters of a long signature as a list, not as definitions without terms."""

    def visit_desc_parameterlist(self, node: nodes.Element) -> None:
        """Remember where the list begins."""
        self.parameters_begin = len(self.body)
        super().visit_desc_parameterlist(node)

    def depart_desc_parameterlist(self, node: nodes.Element) -> None:
        """Name the elements of the list anew."""
        super().depart_desc_parameterlist(node)
        written = "".join(self.body[self.parameters_begin :])
        written = written.replace("<dl>", '<ul class="sig-params">').replace("</dl>", "</ul>")
        self.body[self.parameters_begin :] = [re.sub(r"<(/?)dd>", r"<\1li>", written)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the translator with Sphinx; the theme builds upon it."""
    app.add_post_transform(CitationList)
    app.set_translator("html", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
