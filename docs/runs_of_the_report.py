"""What the report is about: chooses its data set, trains the runs that are missing, answers first.

A Sphinx extension, so that ``sphinx-build docs out`` does all that ``nox -s docs`` does. Its
configuration values can be given with ``-D``: ``report_data=digits``, ``report_retrain=1``.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from normstudy.study.data import load
from normstudy.study.files import DataError
from normstudy.study.recipes import DATASETS, Recipe
from normstudy.study.runs import run_all, run_study
from normstudy.study.store import RecordError
from normstudy.study.studies import STUDIES
from normstudy.study.summaries import short_answer

ROOT = Path(__file__).parents[1]
NOTICE = (
    "This report shows scikit-learn's small digits, not CIFAR-10: "
    "its numbers stand for no published result."
)
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


def studies_shown() -> list[str]:
    """Name the studies that the pages and the notebooks ask for, in the order of the studies."""
    pages = [*(ROOT / "examples").glob("*.py"), *(ROOT / "docs" / "notebooks").glob("*.ipynb")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"STUDIES\[\\?[\"']([\w-]+)\\?[\"']\]", text))
    return [name for name in STUDIES if name in named]


def recipes_shown() -> list[Recipe]:
    """List what has to be trained for the report."""
    arms = (arm for name in studies_shown() for arm in STUDIES[name].recipes().values())
    return [recipe for arm in arms for recipe in arm]


def prepare(_app: Sphinx, config: Config) -> None:
    """Settle the data set, and train what the pages show and nobody has trained yet."""
    asked = config.report_data or os.environ.get("NORMSTUDY_REPORT", "")
    try:
        data = os.environ["NORMSTUDY_REPORT"] = choose_data(asked)
        make_runs(recipes_shown(), data, retrain=config.report_retrain)
    except (DataError, RecordError, ValueError) as error:
        raise ExtensionError(str(error)) from error
    if data != "cifar10":
        config.html_theme_options["announcement"] = NOTICE
        config.nbsphinx_execute = "always"  # its stored outputs are those of CIFAR-10


def make_runs(recipes: Iterable[Recipe], data: str, *, retrain: bool) -> None:
    """Train the runs of the report's own data set, again if asked; others are read as published."""
    wanted = list(recipes)
    run_all([recipe for recipe in wanted if recipe.data == data], retrain=retrain)
    run_all([recipe for recipe in wanted if recipe.data != data])


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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
