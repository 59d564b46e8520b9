"""What a search found: how every setting scored, and the one that the rule chose."""

from collections import Counter
from collections.abc import Sequence

from normstudy.study.compare import choose
from normstudy.study.measures import Arms, summarize
from normstudy.study.recipes import Recipe, Recipes
from normstudy.study.runs import Run
from normstudy.tables import Table, in_sentence

WORDS = {"lr": "learning rate", "num_groups": "groups", "l1": "lambda"}


def by_value(
    arms: Arms, field: str, diverged: Recipes | None = None, *, measure: str = "test_accuracy"
) -> Table:
    """Tabulate a field of the recipe against the arms: the mean of a measure over the seeds.

    The mark > stands before what the rule of :func:`normstudy.study.compare.choose` took. What
    diverged with some seeds and not with all stands in brackets.

    Parameters
    ----------
    arms
        Runs of each arm, which differ in that field and the seed alone.
    field
        Name of the field, which gives the rows.
    diverged
        Recipes that left no run, by arm, each with its seed.
    measure
        Key of :data:`normstudy.study.measures.MEASURES`.
    """
    lost = Counter((arm, getattr(r, field)) for arm, of in (diverged or {}).items() for r in of)
    taken = {(arm, getattr(chosen(runs, arm, diverged), field)) for arm, runs in arms.items()}
    cells: dict[tuple[str, float], list[Run]] = {}
    for arm, runs in arms.items():
        for run in runs:
            cells.setdefault((arm, getattr(run.recipe, field)), []).append(run)
    rows = []
    for value in sorted({value for _, value in [*cells, *lost]}):
        row = [f"{value:g}"]
        for arm in arms:
            place = (arm, value)
            if place in lost:
                tried = lost[place] + len(cells.get(place, ()))
                row.append("diverged" if lost[place] == tried else "(diverged)")
            elif place in cells:
                found = summarize(cells[place], measure)
                row.append("> " * (place in taken) + found.measure.text(found.mean))
            else:
                row.append("\N{EN DASH}")
        rows.append(tuple(row))
    return Table((WORDS[field], *arms), tuple(rows))


def chosen(runs: Sequence[Run], arm: str, diverged: Recipes | None = None) -> Recipe:
    """Return the recipe that the rule takes for an arm, given what was lost."""
    return choose(runs, (diverged or {}).get(arm, ()))


def at_another(arms: Arms, field: str, arm: str, diverged: Recipes | None = None) -> str:
    """Say what each arm would lose at the value that another has chosen, in validation accuracy."""
    value = getattr(chosen(arms[arm], arm, diverged), field)
    parts = []
    for name, runs in arms.items():
        own = getattr(chosen(runs, name, diverged), field)
        if own == value:
            continue
        lost = sum(getattr(recipe, field) == value for recipe in (diverged or {}).get(name, ()))
        if lost:
            left = sum(getattr(run.recipe, field) == value for run in runs)
            some = f"{lost} of {lost + left} seeds " if left else ""
            parts.append(f"{in_sentence(name)}: {some}diverged")
            continue
        mine, there = (
            summarize([run for run in runs if getattr(run.recipe, field) == v]).mean
            for v in (own, value)
        )
        word = "less" if there < mine else "more"
        parts.append(f"{in_sentence(name)} {abs(mine - there):.2f} points {word}")
    at = f"At {value:g}, the {WORDS[field]} of {in_sentence(arm)}"
    return f"{at}: {', '.join(parts) or 'the choice of all'}."
