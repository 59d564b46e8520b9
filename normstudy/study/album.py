"""Everything that a study shows without words: figures by name, and tables.

That is what ``--figures`` writes and prints, so that no figure of a report's page needs the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from matplotlib.figure import Figure

from normstudy.study import (
    blueprint,
    demonstrations,
    factors,
    figures,
    hardness,
    pictures,
    replications,
    summaries,
)
from normstudy.study.compare import differences
from normstudy.study.data import ImageSet, load
from normstudy.study.design import Study
from normstudy.study.measures import Arms
from normstudy.study.model import layer_table
from normstudy.study.originals import ORIGINALS
from normstudy.study.train import build
from normstudy.tables import Table

Figures = dict[str, Figure]

_GRID = (5, 2)
"""Rows and columns of a picture of mistakes, where no report had another form."""


def figures_of(arms: Arms, study: Study | None = None) -> Figures:
    """Draw what is shown of some runs, by a name for the file.

    Graphs 1 and 2, and ten mistakes of each arm's first seed; of a study on MNIST, and of one that
    repeats a report, everything that its page shows.

    Parameters
    ----------
    arms
        Runs by arm.
    study
        The study that they belong to, if they do.
    """
    recipe = next(iter(arms.values()))[0].recipe
    images, original = load(recipe.data), study.original if study else None
    drawn = {part: figures.history(arms, f"test_{part}") for part in ("loss", "accuracy")}
    if study and study.original:
        for part in ("loss", "accuracy"):
            drawn[f"train-{part}"] = figures.history(arms, f"train_{part}")
    if study and (study.original or study.name in _MORE):
        drawn["samples"] = pictures.samples(images)
        layers = layer_table(build(recipe, images), images.size)
        drawn["network"] = blueprint.network(layers)
    if study and study.name in _MORE and recipe.data == study.data:
        drawn |= _MORE[study.name](arms, images)
    grid = original.grid if original else _GRID
    for arm, made in arms.items():
        if not made[0].recipe.keeps_answers:
            continue
        figure = pictures.mistakes(arm, made[0], images, grid=grid)
        drawn[figure.normstudy["name"] if len(arms) > 1 else "mistakes"] = figure  # type: ignore[attr-defined]
    return drawn


def _of_report_b(arms: Arms, images: ImageSet) -> Figures:
    """Its learning rate beside the one that was meant, and what its classifier is given."""
    built = arms["Layer norm"][0].recipe
    steps = -(-len(images.train) // built.batch_size)
    both = {"as meant": replace(built, rebuilt=False), "as built": built}
    nets = {
        name: build(arms[arm][0].recipe, images)
        for name, arm in (("Batch norm", "Batch norm + L1"), ("Group norm", "Group norm"))
    }
    inputs = {name: demonstrations.classifier_inputs(net, images, 24) for name, net in nets.items()}
    return {
        "learning-rates": demonstrations.rates(both, steps),
        "classifier-inputs": demonstrations.inputs(inputs),
    }


_MORE: Mapping[str, Callable[[Arms, ImageSet], Figures]] = {
    "study-b": _of_report_b,
    "study-c-built": lambda arms, _: {
        "seeds": demonstrations.seeds_beside(ORIGINALS["C"], arms["Batch norm"])
    },
    "study-d-penalty": lambda arms, _: {"weights": figures.weight_magnitudes(arms)},
    "mnist": lambda arms, images: {
        "intervals": figures.accuracy_intervals(arms),
        "doubtful": hardness.doubtful_grid(arms, images),
    },
}


def tables_of(arms: Arms, study: Study) -> dict[str, Table]:
    """Tabulate what a page says of a study that repeats a report, by title; nothing of others."""
    original = study.original
    if original is None:
        return {}
    recipe = next(iter(arms.values()))[0].recipe
    net = build(recipe, load(recipe.data))
    found = {
        "settings": replications.settings(study),
        "layers": summaries.layers(net, load(recipe.data).size),
        "accuracies": summaries.accuracies(arms),
    }
    several = min(map(len, arms.values())) > 1
    if arms.keys() == original.best.keys() and several:
        beside = replications.beside(original, arms)
        found["printed and measured"] = replications.results(beside)
        found["findings"] = replications.findings(replications.judge(original, arms))
    elif len(arms) > 1 and several:
        found["pairs"] = summaries.pairs(differences(arms))
    if study.name == "study-e-apart" and several:
        analysis = factors.analyse(arms)
        found["variance"] = factors.variance(analysis)
        found["norms"] = factors.effects(analysis.norms, "regularizer")
        found["regularizers"] = factors.effects(analysis.regularizers, "norm")
    return found
