"""Tables of a search say what was tried, what was lost and what the rule took."""

from dataclasses import replace

import pytest
from fakes import fake_run

from normstudy.study import searches
from normstudy.study.recipes import Recipe

BASE = Recipe(data="digits", validation=True)


def made(accuracy, loss, seed=0, **fields):
    recipe = replace(BASE, seed=seed, **fields)
    return fake_run(recipe, [accuracy / 100], test_loss=[loss])


SEARCH = {
    "Batch norm": [
        *(made(80, 0.6, seed, lr=0.1) for seed in (0, 1)),
        *(made(84.8 + 0.4 * seed, 0.52, seed, lr=0.2) for seed in (0, 1)),
        *(made(84.9, 0.5, seed, lr=0.4) for seed in (0, 1)),
    ],
    "No norm": [
        *(made(70 + seed, 0.8, seed, norm="none", lr=0.1) for seed in (0, 1)),
        *(made(74, 0.7, seed, norm="none", lr=0.2) for seed in (0, 1)),
        made(10, 2.3, norm="none", lr=0.4),
    ],
}
LOST = {"No norm": [replace(BASE, norm="none", lr=0.4, seed=1)]}


def test_the_table_has_means_and_marks_what_the_rule_took():
    table = searches.by_value(SEARCH, "lr", LOST)
    assert table.header == ("learning rate", "Batch norm", "No norm")
    assert table.rows == (
        ("0.1", "80.00", "70.50"),
        ("0.2", "85.00", "> 74.00"),
        ("0.4", "> 84.90", "(diverged)"),
    )
    losses = searches.by_value(SEARCH, "lr", LOST, measure="test_loss")
    assert losses.rows[-1] == ("0.4", "> 0.5000", "(diverged)")


def test_a_value_that_an_arm_was_not_tried_at_is_a_dash():
    shorter = {**SEARCH, "Batch norm": SEARCH["Batch norm"][2:]}
    assert searches.by_value(shorter, "lr", LOST).rows[0][1] == "\N{EN DASH}"


def test_what_the_rate_of_another_arm_would_cost():
    said = searches.at_another(SEARCH, "lr", "Batch norm", LOST)
    assert said == "At 0.4, the learning rate of batch norm: no norm: 1 of 2 seeds diverged."
    said = searches.at_another(SEARCH, "lr", "No norm", LOST)
    assert said == "At 0.2, the learning rate of no norm: batch norm 0.10 points more."


def test_what_diverged_with_every_seed_stands_without_brackets():
    lost = {"No norm": [replace(BASE, norm="none", lr=0.8, seed=seed) for seed in (0, 1)]}
    more = {
        **SEARCH,
        "Batch norm": [*SEARCH["Batch norm"], *(made(90, 0.4, s, lr=0.8) for s in (0, 1))],
    }
    more["No norm"] = SEARCH["No norm"][:-1]
    assert searches.by_value(more, "lr", lost).rows[-1] == ("0.8", "> 90.00", "diverged")
    said = searches.at_another(more, "lr", "Batch norm", lost)
    assert said == "At 0.8, the learning rate of batch norm: no norm: diverged."


def test_only_runs_on_validation_images_choose():
    tested = {"Batch norm": [fake_run(replace(BASE, validation=False), [0.8])]}
    with pytest.raises(ValueError, match="settings are chosen by runs on validation images"):
        searches.by_value(tested, "lr")
