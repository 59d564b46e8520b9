"""Sweeps change one setting of what the main study chose, and cost what they may cost."""

from dataclasses import replace

import pytest

from normstudy.study import sweeps
from normstudy.study.compare import choose
from normstudy.study.networks import NETWORKS, Block
from normstudy.study.recipes import varied
from normstudy.study.runs import PUBLISHED, find
from normstudy.study.studies import STUDIES
from normstudy.study.sweeps import (
    BATCH_SIZES,
    BLOCKS,
    CHOSEN,
    FACTORS,
    MAIN,
    SEARCHED,
    SWEEPS,
    scaled,
)

MOST = "statistics+corruptions+landscape+weights"
SETTINGS = {
    "main-on-cifar10": set(),
    "batch-sizes-search": {"batch_size", "lr"},
    "batch-sizes": {"batch_size", "lr"},
    "batch-sizes-full": {"batch_size", "lr"},
    "short-rate-full": {"batch_size", "lr"},
    "ghost-batches": {"ghost_batch", "lr"},  # the rate that was chosen for 128 images
    "group-counts": {"num_groups", "channels_per_group"},
    "depths": {"net", "lr"},
    "depths-full": {"net"},
    "probed": set(),
    "probed-full": set(),
    "bn-momentum": {"bn_momentum"},
    "penalties": {"l1", "l1_on", "l1_step", "weight_decay"},
}


@pytest.mark.parametrize("study", SWEEPS, ids=lambda study: study.name)
def test_within_an_arm_nothing_differs_but_what_is_swept(study):
    name = study.name
    for arm, tried in study.arms.items():
        assert set(varied(tried)) <= SETTINGS[name], arm
        main = MAIN.get(arm)
        if main is not None:
            spared = {"epochs", "subset", "validation", "probe"}
            assert {n for r in tried for n in varied([r, main])} <= SETTINGS[name] | spared
    assert not study.stands_in
    assert len(study.seeds) >= (1 if name.endswith(("-search", "-full")) else 2)


def test_all_sweeps_together_take_at_most_eight_hours_on_two_cores():
    """An epoch of 50,000 images takes 30 core-seconds; smaller batches take longer by the step.

    Both are medians of the runs that were made for the report.
    """
    step = {1: 4.8, 2: 5.5, 4: 7.2, 8: 10.7, 32: 27}  # milliseconds
    depth = {"pyramid-half": 0.9, "pyramid": 1, "pyramid-double": 1.4, "pyramid-quadruple": 2.1}
    # seconds an epoch; counting weights takes none
    measured = {MOST: 20, "statistics+corruptions": 15, "statistics": 10}
    total = 0.0
    already = {r for recipes in STUDIES["main"].recipes(data="cifar10").values() for r in recipes}
    for study in SWEEPS:
        for recipes in study.recipes().values():
            for r in (r for r in recipes if r not in already):
                images = r.subset or 50_000
                few = step.get(r.batch_size)
                each = few / r.batch_size if few else 0.6
                seconds = images * each / 1000 * depth[r.net]
                parts = 1 + 2 / r.ghost_batch if r.ghost_batch else 1
                total += r.epochs * (seconds * parts + measured.get(r.probe, 0))
    assert total < 8 * 2 * 3600, f"{total / 3600:.1f} core-hours"


def test_rates_that_are_tried_reach_the_linear_and_the_square_root_rule():
    for size in BATCH_SIZES:
        tried = [factor * scaled(0.1, size) for factor in FACTORS]
        linear, root = 0.1 * size / 128, 0.1 * (size / 128) ** 0.5
        assert min(tried) <= min(linear, root)
        assert max(tried) >= max(linear, root)
    assert scaled(0.3, 128) == 0.3


def test_the_sweep_takes_the_rate_that_the_search_chose_in_each_cell():
    """Where the runs of the search are there, no factor is anything but what they say."""
    study = STUDIES["batch-sizes-search"]
    for arm, recipes in study.recipes().items():
        for size in SEARCHED:
            cell = [find(recipe) for recipe in recipes if recipe.batch_size == size]
            if all(cell):
                best = choose(cell, study.diverged.get(arm, ()))
                (final,) = (r for r in STUDIES["batch-sizes"].arms[arm] if r.batch_size == size)
                assert final.lr == best.lr, (arm, size)


def test_long_trainings_take_the_scaled_rates_of_the_main_study_and_one_that_was_searched():
    arms, short = STUDIES["batch-sizes-full"].arms, STUDIES["batch-sizes"].arms
    for arm in ("Batch norm", "Group norm"):
        for recipe in arms[arm]:
            assert recipe.lr == pytest.approx(scaled(MAIN[arm].lr, recipe.batch_size), rel=5e-3)
    (searched,) = STUDIES["short-rate-full"].arms["Group norm"]
    assert searched in [replace(r, lr=searched.lr) for r in arms["Group norm"]]
    assert (searched.batch_size, searched.lr) in {(r.batch_size, r.lr) for r in short["Group norm"]}
    assert searched.lr not in {r.lr for r in arms["Group norm"]}


def test_a_chosen_factor_is_one_that_was_tried(monkeypatch):
    assert set(CHOSEN.values()) <= set(FACTORS)
    monkeypatch.setattr(sweeps, "CHOSEN", {("Batch norm", 8): 3.0})
    base = MAIN["Batch norm"]
    (eight, large) = sweeps._cells({"Batch norm": base}, (8, 128))["Batch norm"]
    assert eight.lr == pytest.approx(3 * scaled(base.lr, 8), rel=1e-2)
    monkeypatch.setattr(sweeps, "CHOSEN", {("Batch norm", 2): 3.4})
    (one, two) = sweeps._cells({"Batch norm": base}, (1, 2))["Batch norm"]
    assert [cell.lr for cell in (one, two)] == pytest.approx(
        [3.4 * scaled(base.lr, size) for size in (1, 2)], rel=1e-2
    )
    assert large.lr == base.lr


def test_ghost_batches_differ_from_a_batch_of_128_in_nothing_else():
    (whole,) = (r for r in STUDIES["batch-sizes"].arms["Batch norm"] if r.batch_size == 128)
    for recipe in STUDIES["ghost-batches"].arms["Batch norm"]:
        assert replace(recipe, ghost_batch=0) == whole


def test_blocks_are_counted():
    for net, blocks in BLOCKS.items():
        rows = NETWORKS[net][3]
        assert sum(isinstance(row, Block) for row in rows) == blocks


def test_published_runs_are_less_than_twenty_megabytes():
    sizes = [path.stat().st_size for path in PUBLISHED.rglob("*.json")]
    assert len(sizes) > 200
    assert sum(sizes) < 20e6
