"""What --figures writes of a study is what its page shows."""

import re
from pathlib import Path

import pytest
from made_up import make_up

from normstudy.drawing import for_files
from normstudy.study import album
from normstudy.study.runs import Run
from normstudy.study.studies import OF_REPORTS, STUDIES

EXAMPLES = Path(__file__).parents[2] / "examples"


def made(name, seeds=(0, 1)):
    recipes = STUDIES[name].recipes(seeds)
    fields = ("history", "num_scored", "predictions", "confidences", "clean_train")
    return {
        arm: [
            Run(
                recipe=recipe,
                environment={},
                weight_quantiles=outcome.weight_quantiles,
                **{field: getattr(outcome, field) for field in fields},
            )
            for recipe, outcome in ((r, make_up(r)) for r in of)
        ]
        for arm, of in recipes.items()
    }


@pytest.mark.parametrize("name", ["study-b", "study-c", "study-d", "study-e"])
def test_of_a_report_there_is_every_figure_of_its_page(name):
    """By the functions that the page calls; the figures of its other studies come with these."""
    letter = name[-1]
    (page,) = EXAMPLES.glob(f"plot_3?0_report_{letter}.py")
    calls = re.findall(
        r"^\w+ = ((?:figures|pictures|demonstrations)\.\w+|network)\(",
        page.read_text(),
        re.MULTILINE,
    )
    assert {"figures.history", "pictures.samples", "pictures.mistakes", "network"} <= {*calls}
    related = [one for one in OF_REPORTS if one.startswith(name)]
    with for_files():
        parts = {one: list(album.figures_of(made(one), STUDIES[one])) for one in related}
    own, drawn = parts[name], [part for of in parts.values() for part in of]
    curves = {"loss", "accuracy", "train-loss", "train-accuracy"}
    assert curves | {"samples", "network"} <= {*own}
    assert sum(part.startswith("mistakes") for part in own) == len(STUDIES[name].arms)
    more = {
        "demonstrations.rates": "learning-rates",
        "demonstrations.inputs": "classifier-inputs",
        "demonstrations.seeds_beside": "seeds",
        "figures.weight_magnitudes": "weights",
    }
    assert {more[call] for call in calls if call in more} <= {*drawn}
    assert {*calls} <= {
        *more, "figures.history", "pictures.samples", "pictures.mistakes", "network",
        "demonstrations.classifier_inputs",
    }  # fmt: skip


def test_tables_of_a_report_are_those_of_its_page():
    found = album.tables_of(made("study-e"), STUDIES["study-e"])
    assert list(found) == [
        *("settings", "layers", "accuracies", "printed and measured", "findings"),
    ]
    apart = album.tables_of(made("study-e-apart"), STUDIES["study-e-apart"])
    assert list(apart)[3:] == ["pairs", "variance", "norms", "regularizers"]
    assert len(apart["norms"].rows) == 6
    assert (
        list(album.tables_of(made("study-d-first-epoch", (0,)), STUDIES["study-d-first-epoch"]))[3:]
        == []
    )
    assert album.tables_of(made("mnist"), STUDIES["mnist"]) == {}


def test_on_mnist_the_doubtful_images_are_drawn_as_well():
    with for_files():
        drawn = album.figures_of(made("mnist"), STUDIES["mnist"])
    assert {"samples", "network", "intervals", "doubtful"} <= {*drawn}


def test_other_runs_have_the_two_graphs_and_mistakes():
    runs = {"Batch norm": made("study-d")["Batch norm + L1"]}
    with for_files():
        assert list(album.figures_of(runs)) == ["loss", "accuracy", "mistakes"]
