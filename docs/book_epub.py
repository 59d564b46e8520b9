"""The report as an EPUB, which readers of books show without scripts.

A Sphinx extension. Mathematics becomes MathML, figures keep their light image, answers are open,
and the reference stays on the web, where links lead.
"""

import html
import json
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pypandoc
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx.transforms.post_transforms import SphinxPostTransform

LEFT_OUT = ("404", "api/", "changelog", "contributing", "promises")  # for those who use the code
MATH = re.compile(
    r'(<(?:span|div)\s[^>]*class="[^"]*\bmath\b[^>]*>.*?)\\(?:\((.*?)\\\)|\[(.*?)\\\])', re.DOTALL
)


class Book(Epub3Builder):
    """Writes the pages of the report, and none of the reference."""

    def prepare_writing(self, docnames: AbstractSet[str]) -> None:
        """Have no index of modules, which lists the reference alone."""
        super().prepare_writing(docnames)
        self.domain_indices = []

    def write_documents(self, docnames: AbstractSet[str]) -> None:
        """Write what belongs into the book."""
        super().write_documents({name for name in docnames if not name.startswith(LEFT_OUT)})

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        """Lead to the web where a page is not in the book."""
        if docname.startswith(LEFT_OUT):
            return f"{self.config.html_baseurl}{docname}.html"
        return super().get_target_uri(docname, typ)

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        """Return an address on the web as it is."""
        if to.startswith(LEFT_OUT):
            return self.get_target_uri(to)
        return super().get_relative_uri(from_, to, typ)

    def build_content(self) -> None:
        """Mark the files that hold MathML or drawings, as EPUB asks for."""
        super().build_content()
        path = Path(self.outdir, "content.opf")

        def marked(item: re.Match[str]) -> str:
            text = Path(self.outdir, html.unescape(item[1])).read_text(encoding="utf-8")
            held = [name for name, tag in (("mathml", "<math"), ("svg", "<svg")) if tag in text]
            return f'{item[0]} properties="{" ".join(held)}"' if held else item[0]

        manifest = path.read_text(encoding="utf-8")
        item = r'href="([^"]+)" media-type="application/xhtml\+xml"(?! properties)'
        path.write_text(re.sub(item, marked, manifest), encoding="utf-8")


def mathml(formulas: Sequence[tuple[str, bool]], macros: dict[str, str]) -> list[str]:
    """Convert formulas, each with whether it stands on a line of its own, from LaTeX to MathML.

    Raises
    ------
    ValueError
        When pandoc cannot read one.
    """
    paragraphs = []
    for tex, displayed in formulas:
        full = re.sub(r"\\([A-Za-z]+)", lambda m: macros.get(m[1], m[0]), tex)
        kind = {"t": "DisplayMath" if displayed else "InlineMath"}
        paragraphs.append({"t": "Para", "c": [{"t": "Math", "c": [kind, full]}]})
    document = {"pandoc-api-version": [1, 23], "meta": {}, "blocks": paragraphs}
    written = pypandoc.convert_text(
        json.dumps(document), "html", format="json", extra_args=["--mathml", "--wrap=none"]
    )
    found = re.findall(r"<p>(.*?)</p>", written, re.DOTALL)
    for (tex, _), result in zip(formulas, found, strict=True):
        if not result.startswith("<math"):
            raise ValueError(f"pandoc cannot turn this formula into MathML: {tex}")
    return found


def convert(app: Sphinx, _page: str, _template: str, context: dict[str, Any], *_: Any) -> None:
    """Turn what MathJax would typeset on a page into MathML, and open what would be folded."""
    if app.builder.name != "epub" or "body" not in context:
        return
    given = [(html.unescape(m[2] or m[3]), m[2] is None) for m in MATH.finditer(context["body"])]
    if given:
        written = iter(mathml(given, app.config.mathjax3_config["tex"]["macros"]))
        context["body"] = MATH.sub(lambda m: m[1] + next(written), context["body"])
    context["body"] = context["body"].replace("<details ", '<details open="open" ')


class LightImages(SphinxPostTransform):
    """Drop the dark twins of figures."""

    builders = ("epub",)
    default_priority = 500

    def run(self, **_: Any) -> None:
        """Go through the images."""
        for image in list(self.document.findall(nodes.image)):
            if "only-dark" in image["classes"]:
                image.parent.remove(image)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the builder and the hooks with Sphinx."""
    app.add_builder(Book, override=True)
    app.add_post_transform(LightImages)
    app.connect("html-page-context", convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
