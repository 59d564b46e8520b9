"""What the report adds to Sphinx: figures with captions and a dark twin, and honest caches.

A Sphinx extension. The functions that ``conf.py`` names by string are pickled with the
configuration, which a function object would not survive.
"""

import contextlib
import gc
import hashlib
import os
import random
import re
import shutil
from importlib import metadata
from pathlib import Path
from textwrap import indent
from typing import Any, ClassVar

import live_graphs
import matplotlib.pyplot as plt
import numpy as np
import torch
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.artist import Artist
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from packaging.requirements import Requirement
from PIL import Image
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure as FigureDirective
from sphinx.transforms import SphinxTransform

DOCS = Path(__file__).parent
STAMP = DOCS / "auto_examples" / "fingerprint.txt"
PIXEL_RATIO = 2  # image pixels to one CSS pixel, so that lines stay sharp on dense screens
DARK_INK, DARK_PAPER = 0.90, 0.10  # what black and white become in dark mode
LIFT = 0.25  # how far colours move towards white in dark mode, so that blue stays readable


def figure_scraper(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save every open figure twice, light and dark, and write the directive that shows it.

    Sphinx-Gallery calls it after each block of an example. A figure brings its name, caption and
    alternative text along in ``figure.normstudy`` (see ``normstudy.drawing.describe``).

    Raises
    ------
    ValueError
        When a figure lacks one of the three: no picture of the report goes unexplained.
    """
    pieces = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        words = getattr(figure, "normstudy", {})
        if missing := [key for key in ("name", "caption", "alt") if not words.get(key)]:
            raise ValueError(
                f"{block_vars['src_file']}: figure {number} has no {' and no '.join(missing)}. "
                "Give every figure all three with normstudy.drawing.describe(figure, name=..., "
                "caption=..., alt=...)."
            )
        name = own_name(Path(block_vars["src_file"]).stem, words["name"])
        light = Path(next(block_vars["image_path_iterator"])).with_suffix(".webp")
        dark = light.with_stem(f"{light.stem}_dark")
        # fitted once for both; without loss, WebP takes less than half the bytes of PNG
        figure.draw_without_rendering()
        fit = figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
        settings: dict[str, Any] = {"dpi": PIXEL_RATIO * 100, "bbox_inches": fit}
        settings["pil_kwargs"] = {"lossless": True, "quality": 0, "method": 1}
        figure.savefig(light, **settings)
        to_dark(figure)
        figure.savefig(dark, transparent=True, **settings)
        with Image.open(light) as image:
            width = image.width // PIXEL_RATIO
        for image_path, ending in ((light, ""), (dark, "-dark")):  # other pages show it by its name
            shutil.copy(image_path, light.with_name(f"fig-{name}{ending}{light.suffix}"))
        source = "/" + light.relative_to(gallery_conf["src_dir"]).as_posix()
        twin = f"{source.removesuffix(light.suffix)}_dark{light.suffix}"
        shown = f"twin-figure:: {source}\n   :dark: {twin}"
        if graph := getattr(figure, "graph", None):
            live = light.with_name(f"fig-{name}.html")
            live.write_text(live_graphs.widget(graph), encoding="utf-8")
            shown = f"live-figure:: {source}\n   :live: {source.rpartition('/')[0]}/{live.name}"
        pieces.append(
            f"\n.. {shown}\n"
            f"   :name: fig-{name}\n"
            f"   :alt: {' '.join(words['alt'].split())}\n"
            f"   :width: {width}px\n\n"
            f"   {' '.join(words['caption'].split())}\n"
        )
    plt.close("all")
    return "".join(pieces)


def own_name(page: str, name: str) -> str:
    """Name a figure so that no other page has the name: pages of the reports add their own.

    What they show of a report, or of MNIST, the pages of the study show of CIFAR-10.
    """
    beside = re.fullmatch(r"plot_3\d\d_(\w+)", page)
    return f"{beside[1].replace('_', '-')}-{name}" if beside else name


def to_dark(figure: Figure) -> None:
    """Turn the greys of a figure upside down and lift its colours; images stay.

    An artist that must stay as it is (black on a coloured cell) carries the gid ``"as-is"``.
    """
    artists: list[Artist] = list(figure.findobj())
    # not every matplotlib looks into annotations for their arrows
    artists += [a.arrow_patch for a in artists if isinstance(a, Annotation) and a.arrow_patch]
    for artist in dict.fromkeys(artists):
        if artist.get_gid() == "as-is":
            continue
        changes = []  # all are read before one is made: a marker may take its line's colour
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            getter, setter = (getattr(artist, f"{verb}_{part}", None) for verb in ("get", "set"))
            if getter is None or setter is None or (part == "color" and hasattr(artist, "set_fc")):
                continue  # a patch's set_color would overwrite its face with its edge
            changes.append((setter, _dark_colors(getter())))
        for setter, colors in changes:
            setter(colors)


def _dark_colors(colors: Any) -> Any:
    """Return one colour, or the rows of an array of colours, as dark mode shows them."""
    if isinstance(colors, np.ndarray) and colors.ndim == 2:
        return [_dark_colors(tuple(row)) for row in colors]
    if isinstance(colors, str) and colors in {"auto", "inherit", "none"}:
        return colors
    red, green, blue, alpha = to_rgba(colors)
    if max(red, green, blue) - min(red, green, blue) > 0.02:
        return (*(part + LIFT * (1 - part) for part in (red, green, blue)), alpha)
    grey = DARK_INK + (DARK_PAPER - DARK_INK) * red
    return (grey, grey, grey, alpha)


class TwinFigure(FigureDirective):
    """A figure whose image has a second version for dark mode, under one caption and number."""

    option_spec: ClassVar = {**(FigureDirective.option_spec or {}), "dark": directives.uri}

    def run(self) -> list[nodes.Node]:
        """Return the figure with the dark image behind the light one."""
        dark = self.options.pop("dark")
        result = super().run()
        for figure in (node for node in result if isinstance(node, nodes.figure)):
            image = next(figure.findall(nodes.image))
            twin = image.deepcopy()
            twin["uri"] = dark
            image["classes"].append("only-light")
            twin["classes"].append("only-dark")
            figure.insert(1, twin)
        return result


class NotebookPictures(SphinxTransform):
    """Give the pictures of a notebook an alternative text: the paragraph that leads to them.

    A notebook keeps them as they are drawn on light paper for a plain screen. Where its code draws
    a figure of the pages, such as ``figures.history(arms, "test_loss")``, that one is shown, sharp
    and with its dark twin.
    """

    default_priority = 500

    def apply(self) -> None:
        """Go through the document in the order in which it is read."""
        if not self.env.docname.startswith("notebooks/"):
            return
        folder = Path(self.env.srcdir, "auto_examples", "images")
        figures = {path.stem: path for path in folder.glob("fig-*.webp")}
        words = code = ""
        for node in list(self.document.findall()):
            if isinstance(node, nodes.paragraph):
                words = " ".join(node.astext().split())
            elif isinstance(node, nodes.literal_block):
                code = re.sub(r"\W+|_", "-", node.astext().lower())
            elif isinstance(node, nodes.image):
                node.setdefault("alt", words)
                named = [name for name in figures if name.removeprefix("fig-") in code]
                if named and f"{named[0]}-dark" in figures:
                    self.show_both(node, figures[max(named, key=len)])

    def show_both(self, node: nodes.image, light: Path) -> None:
        """Show a figure and its dark twin in the place of an image."""
        with Image.open(light) as image:
            node["width"] = f"{image.width // PIXEL_RATIO}px"
        twin = node.deepcopy()
        for shown, ending in ((node, ""), (twin, "-dark")):
            shown["uri"] = f"/auto_examples/images/{light.stem}{ending}{light.suffix}"
            shown["classes"].append("only-dark" if ending else "only-light")
        node.parent.insert(node.parent.index(node) + 1, twin)


def reset(_gallery_conf: dict[str, Any], _file: str) -> None:
    """Begin each example from the same random state.

    Sphinx-Gallery collects garbage behind each example. What is alive before one is not searched
    again: searching all of Sphinx and PyTorch takes longer than most examples.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global state is what leaks between examples
    torch.manual_seed(0)
    gc.freeze()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def fingerprint() -> str:
    """Return a digest of everything but its own text that decides what an example shows."""
    digest = hashlib.sha256()
    for name in sorted({Requirement(line).name for line in metadata.requires("normstudy") or ()}):
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra that is not installed
            digest.update(f"{name} {metadata.version(name)}\n".encode())
    for setting in ("NORMSTUDY_REPORT", "NORMSTUDY_PRECISION"):
        digest.update(f"{setting} {os.environ.get(setting, '')}\n".encode())
    read = [p for p in (DOCS.parent / "normstudy").rglob("*") if p.suffix in {".py", ".csv"}]
    read += [*(DOCS / "runs").rglob("*.json"), *(DOCS / "timings").glob("*.json")]
    for path in sorted([*read, *DOCS.glob("*.py"), *DOCS.glob("*.json")]):
        digest.update(path.relative_to(DOCS.parent).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def forget_stale_pages(app: Sphinx) -> None:
    """Have every example executed again when the package or the runs have changed.

    Sphinx-Gallery itself compares an example with its last version only, so that a page would
    keep the numbers of yesterday's package. In the same way the reference would keep the pages of
    objects that are no longer there, and the gallery those of examples.
    """
    if not STAMP.exists() or STAMP.read_text(encoding="utf-8") != fingerprint():
        app.config.sphinx_gallery_conf["run_stale_examples"] = True
        shutil.rmtree(DOCS / "api" / "generated", ignore_errors=True)
    for page in (DOCS / "auto_examples").glob("plot_*.rst"):
        if not (DOCS.parent / "examples" / f"{page.stem}.py").exists():
            page.unlink()


def outdated_pages(app: Sphinx, *_: Any) -> list[str]:
    """Read every page again when the examples were: notebooks and mini-galleries depend on them.

    The list of chapters is always read: a page may have got its runs in the store of this machine.
    """
    stale = app.config.sphinx_gallery_conf["run_stale_examples"]
    return sorted(app.env.found_docs) if stale else ["index", "report"]


def mend_notebooks(_app: Sphinx) -> None:
    """Head the answers in downloaded notebooks: Sphinx-Gallery leaves the directive as it is."""
    for path in (DOCS / "auto_examples").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        mended = re.sub(r"\.\. dropdown:: ([\w ]+)", r"**\1**", text)
        if mended != text:
            path.write_text(mended, encoding="utf-8")


def fold_opening(_app: Sphinx, page: str, source: list[str]) -> None:
    """Fold the imports and the making of a page's answer, where they stand above that answer."""
    code = re.compile(r"^\.\. code-block:: Python\n(?:[ \t]+\S.*\n|\s*\n)+", re.MULTILINE)
    found = code.search(source[0]) if page.startswith("auto_examples/plot_") else None
    if found and "**You will see**" in source[0][found.end() :]:
        folded = f".. dropdown:: The code behind the answer\n\n{indent(found[0], '   ')}\n"
        source[0] = source[0][: found.start()] + folded + source[0][found.end() :]


def copy_mathjax(app: Sphinx, _exception: Exception | None) -> None:
    """Put MathJax beside the pages, so that they need no network."""
    if app.builder.format != "html":
        return
    package = metadata.distribution("sphinx-mathjax-offline")
    mathjax = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    target = Path(app.outdir) / "_static" / "mathjax"
    fonts = Path("output/chtml/fonts/woff-v2")
    shutil.copytree(mathjax / fonts, target / fonts, dirs_exist_ok=True)
    shutil.copy(mathjax / "tex-chtml.js", target)


def remember(app: Sphinx, exception: Exception | None) -> None:
    """Keep the fingerprint of what the pages were made of, and undo what :func:`reset` froze."""
    gc.unfreeze()
    if exception is None and app.builder.format == "html":
        STAMP.write_text(fingerprint(), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the hooks with Sphinx."""
    app.add_directive("twin-figure", TwinFigure)
    app.add_transform(NotebookPictures)
    app.connect("builder-inited", forget_stale_pages, priority=100)  # before the gallery is made
    app.connect("builder-inited", mend_notebooks, priority=600)  # and once it is
    app.connect("env-get-outdated", outdated_pages)
    app.connect("source-read", fold_opening)
    # Sphinx-Gallery reports failed examples at 500, and ends the build there
    app.connect("build-finished", copy_mathjax, priority=100)
    app.connect("build-finished", remember, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
