"""What a cluster adds to a run, for the page about it: read from docs/timings/cluster.json."""

from statistics import median

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from normstudy.study.timings import TIMINGS, Timings, read

FIGURES = TIMINGS / "cluster.json"


def told(timings: Timings) -> list[str]:
    """Write the answer, the table and the line below it, in reStructuredText."""
    here, there = timings.arms()
    table = [".. list-table::", "   :header-rows: 1", ""]
    rows = [["Milliseconds a run", here, there, "added (lowest to highest)"]]
    added = {}
    for what in timings.whats():
        pairs = zip(timings.seconds[what, here], timings.seconds[what, there], strict=True)
        more = [1000 * (far - near) for near, far in pairs]
        added[what] = f"{median(more):.0f}"
        times = [f"{1000 * timings.median((what, arm)):.0f}" for arm in (here, there)]
        rows.append([what, *times, f"{added[what]} ({min(more):.0f} to {max(more):.0f})"])
    for first, *rest in rows:
        table += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    one, many = timings.whats()
    about = timings.environment
    answer = (
        f"{added[many]} milliseconds a run in {many}, and {added[one]} in {one}: connecting, "
        "and asking the workers what they have, is paid for once a study. A training of "
        "the main study takes minutes."
    )
    how = (
        f"Medians of {timings.rounds} rounds, all cases in turn, with runs as small as can be, on "
        f"{timings.date}: {about['device']}, torch {about['torch']}, and one worker, on the same "
        "machine."
    )
    return [answer, "", *table, "", how]


class ClusterOverhead(SphinxDirective):
    """What the last benchmark found, or how to have one."""

    def run(self) -> list[nodes.Node]:
        """Return paragraphs and a table."""
        self.env.note_dependency(str(FIGURES))
        if FIGURES.exists():
            return self.parse_text_to_nodes("\n".join(told(read(FIGURES))))
        return self.parse_text_to_nodes("``uvx nox -s bench -- --only cluster`` measures it.")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive with Sphinx."""
    app.add_directive("cluster-overhead", ClusterOverhead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
