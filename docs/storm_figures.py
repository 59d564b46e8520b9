"""What the storm counted, for the page that says what is promised: read from docs/storm.json."""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FIGURES = Path(__file__).parent / "storm.json"

ROWS = (
    (
        "No training is lost, and no record is half-written, however a process dies.",
        (
            "{training_kills} trainings killed by SIGKILL, SIGTERM or SIGINT at random moments, "
            "{training_kills_with_a_checkpoint} of them with a checkpoint to go on from"
        ),
        (
            "{training_records_lost} records lost; all ended with the numbers of uninterrupted "
            "trainings, to the bit, and nothing else was left in the store"
        ),
    ),
    (
        "A study outlives its workers, and no worker outlives its study.",
        (
            "{study_kills} studies of two workers: {study_workers_killed} times a worker was "
            "killed, else the parent or its whole group"
        ),
        "{study_records_lost} records lost; no worker trained on",
    ),
    (
        "Whoever asks at once shares one training.",
        (
            "{crowd} processes that ask for one recipe, and as many that ask for "
            "{crowd_recipes} in different orders"
        ),
        "{crowd_trainings_of_one_recipe} and {crowd_trainings_of_many} trainings",
    ),
    (
        "Bytes that changed are never taken for numbers, and nothing in them is executed.",
        "{damages} random flips, truncations and exchanges in records and checkpoints",
        (
            "{damages_refused} refused with a line, {damages_harmless} without any effect, "
            "{damages_accepted} accepted"
        ),
    ),
    (
        "A store that cannot be written costs no number.",
        (
            "{full_store}, which is full at the end of a training; and {closed_stores} stores that "
            "cannot be written at all"
        ),
        "the numbers printed, and a line that says what to do; refused before any training",
    ),
    (
        "A store may have any name.",
        "{named_stores} of them, with spaces, umlauts, quotes, a leading dash or a placeholder",
        "in each a training was kept, and found when it was asked for again",
    ),
    (
        "A command line that is no good is answered with one line.",
        "{bad_lines} random ones",
        (
            "{bad_lines_status_2} ended with status 2, {bad_lines_status_1} with status 1, each "
            "with one line"
        ),
    ),
)
ABOUT = "on {machine}, with Python {python}, torch {torch} and joblib {joblib}"


def told(groups: dict[str, Any]) -> list[str]:
    """Write the table and the line below it, in reStructuredText.

    ``groups`` is what one test each counted, with the day and the machine.
    """
    figures = {name: value for group in groups.values() for name, value in group["figures"].items()}
    dates = {name: g["counted"]["date"] for g in groups.values() for name in g["figures"]}
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 29 33 26 12", ""]
    lines += [
        "   * - Promise",
        "     - What was done",
        "     - What came of it",
        "     - Counted on",
    ]
    for row in ROWS:
        names = re.findall(r"{(\w+)}", "".join(row))
        if any(name not in figures for name in names):
            continue  # the storm did not come to it
        first, *rest = (cell.format(**figures) for cell in row)
        days = ", ".join(sorted({dates[name] for name in names}))
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in (*rest, days))]
    days_by_place = dict[str, set[str]]()
    for about in (group["counted"] for group in groups.values()):
        days_by_place.setdefault(ABOUT.format(**about), set()).add(about["date"])
    places = [f"on {' and '.join(sorted(days))} {where}" for where, days in days_by_place.items()]
    return [*lines, "", f"Counted {'; '.join(places)}."]


class StormFigures(SphinxDirective):
    """The promises, and what the last storm did to them."""

    def run(self) -> list[nodes.Node]:
        """Return a table and a paragraph."""
        self.env.note_dependency(str(FIGURES))
        groups = json.loads(FIGURES.read_text(encoding="utf-8"))
        return self.parse_text_to_nodes("\n".join(told(groups)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive with Sphinx."""
    app.add_directive("storm-figures", StormFigures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
