"""Where the numbers of a page come from, and how to cite them.

A Sphinx extension. Each page that asks for studies ends with the runs behind it: how many, made
with what and where, and all of them as CSV. ``.. cite-this::`` writes what ``CITATION.cff`` says.
"""

import csv
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from normstudy.study.runs import Run, run_study
from normstudy.study.studies import STUDIES
from normstudy.study.train import COLUMNS

ROOT = Path(__file__).parents[1]
COMMITS = "https://github.com/normstudy/normstudy/commit/"


@cache
def runs_of(study: str) -> dict[str, list[Run]]:
    """Read the runs of a study once: several pages show the same."""
    return run_study(STUDIES[study], progress=False)


def write_csv(study: str, folder: Path) -> str:
    """Write a study's runs, a row for each epoch of each run, and return the name of the file."""
    name = f"runs-{study}.csv"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("arm", "run", "seed", *COLUMNS))
        for arm, runs in runs_of(study).items():
            for run in runs:
                history = zip(*(run.history[column] for column in COLUMNS), strict=True)
                rows.writerows((arm, run.recipe.name, run.recipe.seed, *row) for row in history)
    return name


def add_directive(_app: Sphinx, page: str, source: list[str]) -> None:
    """End each page that asks for studies with the directive below; its downloads stay without."""
    if page.startswith("auto_examples/"):
        named = dict.fromkeys(re.findall(r'STUDIES\["([\w-]+)"\]', source[0]))
        if named:
            source[0] += f"\n\n.. provenance:: {' '.join(named)}\n"


class Provenance(SphinxDirective):
    """The runs behind a page."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return a line that says what the runs have in common, and links to all of them."""
        studies = self.arguments[0].split()
        runs = {run.recipe.name: run for s in studies for arm in runs_of(s).values() for run in arm}
        made = [run.environment for run in runs.values()]
        line = nodes.paragraph(classes=["provenance"])
        torch, device = (_listed(e[name] for e in made) for name in ("torch", "device"))
        when = _when(e.get("date") for e in made)
        line += nodes.Text(
            f"Made from {len(runs)} runs, trained with PyTorch {torch} on {device}{when} "
            "at revision "
        )
        for number, revision in enumerate(sorted({str(e["git_revision"]) for e in made})):
            line += nodes.Text(", " if number else "")
            commit = revision.removesuffix("-dirty")
            known = re.fullmatch("[0-9a-f]{40}", commit)
            name = nodes.literal("", revision[:7])
            line += nodes.reference("", "", name, refuri=COMMITS + commit) if known else name
        line += nodes.Text(". All epochs of all runs: ")
        for number, study in enumerate(studies):
            file = write_csv(study, Path(self.env.srcdir) / "downloads")
            line += nodes.Text(", " if number else "")
            line += addnodes.download_reference(
                "", "", nodes.literal("", file), reftarget=f"/downloads/{file}"
            )
        line += nodes.Text(".")
        return [line]


def _when(dates: Iterable[object]) -> str:
    """Say on which days runs were made, if all of them tell; older records do not."""
    days = list(dates)
    if not all(days):
        return ""
    first, *_, last = sorted(map(str, [*days, *days]))
    return f", {' to '.join(dict.fromkeys((first, last)))},"


def _listed(values: Iterable[object]) -> str:
    return " and ".join(sorted({str(value) for value in values}))


class CiteThis(SphinxDirective):
    """How to cite the report, from ``CITATION.cff``."""

    def run(self) -> list[nodes.Node]:
        """Return an entry for BibTeX."""
        path = ROOT / "CITATION.cff"
        self.env.note_dependency(path)
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        authors = " and ".join(f"{{{author['name']}}}" for author in given["authors"])
        fields = {
            "title": f"{{{given['title']}}}",
            "author": authors,
            "version": given["version"],
            "url": given["url"],
        }
        lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
        text = f"@software{{normstudy,\n{lines}\n}}"
        return [nodes.literal_block(text, text, language="bibtex")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the hook with Sphinx."""
    app.add_directive("provenance", Provenance)
    app.add_directive("cite-this", CiteThis)
    app.connect("source-read", add_directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
