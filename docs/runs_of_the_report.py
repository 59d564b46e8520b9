"""What the report is about: its data set, the pages that are published, their runs, its answer.

A Sphinx extension, so that ``sphinx-build docs out`` does all that ``nox -s docs`` does. Its
configuration values can be given with ``-D``: ``report_data=digits``, ``report_retrain=1``.
"""

import ast
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from normstudy.study.data import FACTS, load
from normstudy.study.files import DataError
from normstudy.study.findings import short_answer
from normstudy.study.recipes import DATASETS, Recipe
from normstudy.study.runs import find, run_all, run_study
from normstudy.study.store import RecordError
from normstudy.study.studies import STUDIES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "examples").glob("plot_*.py"))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NOTICE = (
    "This report shows scikit-learn's small digits, not CIFAR-10: "
    "its numbers stand for no published result."
)
NAMED = re.compile(r"STUDIES\[\\?[\"']([\w-]+)\\?[\"']\]")
logger = logging.getLogger(__name__)


def choose_data(asked: str) -> str:
    """Return the set that was asked for, or CIFAR-10, or digits where CIFAR-10 cannot be had.

    Raises
    ------
    DataError
        If a set was asked for and cannot be had: only a report that names none falls back.
    ValueError
        If the set is unknown.
    """
    if asked and asked not in DATASETS:
        msg = f"report_data={asked!r} is unknown; accepted: {', '.join(DATASETS)}"
        raise ValueError(msg)
    try:
        load(asked or "cifar10")
    except DataError as error:
        if asked:
            raise
        logger.info("%s\nThe report shows the embedded digits instead.", error)
        return "digits"
    return asked or "cifar10"


def studies_of(pages: Iterable[Path]) -> list[str]:
    """Name the studies that pages and notebooks ask for, in the order of the studies."""
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(NAMED.findall(text))
    return [name for name in STUDIES if name in named]


def recipes_of(study: str) -> list[Recipe]:
    """List what has to be trained for a study in this report."""
    return [recipe for arm in STUDIES[study].recipes().values() for recipe in arm]


def out_of_reach(page: Path) -> str:
    """Say that the images of a page cannot be had here: those of the study that it names first."""
    text = page.read_text(encoding="utf-8")
    if "load(" in text and (first := NAMED.search(text)):
        data = recipes_of(first[1])[0].data
        try:
            load(data)
        except DataError as error:
            return f"{FACTS[data].title} cannot be had: {error}"
    return ""


def left_out(made_here: Collection[str]) -> dict[Path, str]:
    """Find the pages that cannot be shown, and say which data or which of their runs are missing.

    A build trains on the data sets ``made_here`` and on no other: there the runs come first, and
    the page stays away until all of them are there.
    """
    lacks = {}
    for study in studies_of(PAGES):
        recipes = recipes_of(study)
        missing = [r for r in recipes if r.data not in made_here and find(r) is None]
        if missing:
            store = f"docs/runs/{missing[0].data}-{missing[0].net}"
            lacks[study] = (
                f"{len(missing)} of {len(recipes)} runs of {study} are missing; "
                f"`normstudy study {study} --store {store}` trains them"
            )
    told = {
        page: [out_of_reach(page), *(lacks.get(study, "") for study in studies_of([page]))]
        for page in PAGES
    }
    return {page: ". And ".join(filter(None, why)) for page, why in told.items() if any(why)}


def prepare(_app: Sphinx, config: Config) -> None:
    """Settle the data set and the pages, and train what these show and the build may train."""
    asked = config.report_data or os.environ.get("NORMSTUDY_REPORT", "")
    try:
        data = os.environ["NORMSTUDY_REPORT"] = choose_data(asked)
        waiting = left_out({"digits", data} if config.report_retrain else {"digits"})
        shown = studies_of([*(page for page in PAGES if page not in waiting), *NOTEBOOKS])
        recipes = [recipe for study in shown for recipe in recipes_of(study)]
        make_runs(recipes, data, retrain=config.report_retrain)
    except (DataError, RecordError, ValueError) as error:
        raise ExtensionError(str(error)) from error
    for page, why in waiting.items():
        logger.info("%s is left out: %s", page.stem, why)
    gallery = config.sphinx_gallery_conf
    gallery["ignore_pattern"] = "|".join([gallery["ignore_pattern"], *(p.stem for p in waiting)])
    # an earlier build may have left them there
    config.exclude_patterns += [f"auto_examples/{page.stem}.rst" for page in waiting]
    if data != "cifar10":
        config.html_theme_options["announcement"] = NOTICE
        config.nbsphinx_execute = "always"  # its stored outputs are those of CIFAR-10


def make_runs(recipes: Iterable[Recipe], data: str, *, retrain: bool) -> None:
    """Train the runs of the report's own data set, again if asked; others are read as published."""
    wanted = list(recipes)
    run_all([recipe for recipe in wanted if recipe.data == data], retrain=retrain)
    run_all([recipe for recipe in wanted if recipe.data != data])


def name_page_left_out(
    app: Sphinx, _env: BuildEnvironment, node: pending_xref, _content: nodes.TextElement
) -> nodes.inline | None:
    """Where a page leads to one that is left out, write its title and no link."""
    target = node["reftarget"].removeprefix("sphx_glr_auto_examples_").removesuffix(".py")
    if f"auto_examples/{target}.rst" not in app.config.exclude_patterns:
        return None
    (page,) = (page for page in PAGES if page.stem == target)
    words = ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or target
    return nodes.inline("", words.splitlines()[0])  # an element: a card's link has classes


def list_pages(app: Sphinx, _page: str, source: list[str]) -> None:
    """Name the pages that a mini-gallery describes by a pattern: it would show those left out."""
    ignored = re.compile(app.config.sphinx_gallery_conf["ignore_pattern"])

    def names(pattern: re.Match[str]) -> str:
        pages = sorted(Path(app.srcdir).glob(pattern[0]))
        return " ".join(f"../examples/{p.name}" for p in pages if not ignored.search(p.name))

    source[0] = re.sub(r"(?<=minigallery:: )\.\./examples/\S*\*\S*", names, source[0])


class ShortAnswer(SphinxDirective):
    """What the study found, in a line for each arm, from its runs."""

    def run(self) -> list[nodes.Node]:
        """Return a list with one item a line."""
        answer = nodes.bullet_list(classes=["short-answer"])
        for line in short_answer(run_study(STUDIES["main"], progress=False)):
            arm, rest = line.split(":", 1)
            words = nodes.paragraph("", "", nodes.strong("", f"{arm}:"), nodes.Text(rest))
            answer += nodes.list_item("", words)
        return [answer]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the configuration values, the directive and the hook with Sphinx."""
    app.add_config_value("report_data", "", "env", [str])
    app.add_config_value("report_retrain", False, "", [bool])
    app.add_directive("short-answer", ShortAnswer)
    app.connect("config-inited", prepare, priority=100)
    app.connect("source-read", list_pages)
    app.connect("missing-reference", name_page_left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
