"""The data behind the curves: what matplotlib and the report draw, before they do."""

import numpy as np
import pytest
from fakes import arm, fake_run

from normstudy.study import curves
from normstudy.study.design import Reference
from normstudy.study.recipes import Recipe


def test_a_history_keeps_every_seed():
    arms = {"Batch norm": arm(80, 82), "No norm": arm(70, 73, norm="none")}
    graph = curves.history(arms, "test_accuracy")
    assert [curve.label for curve in graph.curves] == list(arms)
    for curve, runs in zip(graph.curves, arms.values(), strict=True):
        assert curve.seeds == (0, 1)
        expected = [100 * np.array(run.history["test_accuracy"]) for run in runs]
        np.testing.assert_allclose(curve.values, expected)
        assert curve.end == pytest.approx(np.mean([100 * run.accuracy for run in runs]))
    assert graph.places == [1, 2]
    assert graph.low < 50
    assert graph.high > 82


def test_only_numbers_of_arms_that_are_there_are_published():
    reference = Reference(values={"No norm": 60.0, "Other": 9.0}, label="report", source="Read.")
    graph = curves.history({"No norm": arm(70)}, "test_accuracy", reference=reference)
    assert graph.published == {"No norm": 60.0}
    assert graph.low < 60


def test_chance_is_a_uniform_guess():
    loss, accuracy = (curves.history({"A": arm(70)}, f"test_{c}") for c in ("loss", "accuracy"))
    assert loss.chance == (pytest.approx(np.log(10)), "chance: 2.30 nats")
    assert accuracy.chance == (10, "chance: 10%")


def test_only_augmented_images_are_called_so():
    for settings, told in (({}, True), ({"crop": 0, "flip": False}, False)):
        caption = curves.history({"A": arm(70, **settings)}, "train_loss").caption
        assert "Measured while learning" in caption
        assert ("with augmentation" in caption) == told


def test_a_graph_says_from_which_epoch_on_nothing_is_left_out():
    run = fake_run(Recipe(), np.full(20, 0.5), test_loss=[30.0, 20.0, *[1.0] * 17, 1.5])
    graph = curves.history({"A": [run]}, "test_loss")
    assert graph.high < 20
    assert graph.note.endswith("\n2 of 20 means, none after epoch 2, are off the axis.")
    assert graph.caption.endswith(" 2 of 20 means, none after epoch 2, are off the axis.")


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [(1, [1]), (2, [1, 2]), (24, [1, 5, 10, 15, 20]), (40, [1, *range(10, 41, 10)])],
)
def test_epochs_have_few_ticks(epochs, ticks):
    run = fake_run(Recipe(epochs=epochs), np.linspace(0.3, 0.8, epochs))
    graph = curves.history({"A": [run]}, "test_loss")
    assert graph.x_ticks == ticks
    assert graph.x_range[0] < 1 <= epochs < graph.x_range[1]


def test_a_sweep_names_every_place_that_was_tried():
    runs = [fake_run(Recipe(norm="none", lr=lr), [0.5, 0.7]) for lr in (0.1, 0.4)]
    lost = {"No norm": [Recipe(norm="none", lr=0.8, seed=seed) for seed in (0, 1)]}
    graph = curves.sweep({"No norm": runs}, "lr", title="A", axis="rate", diverged=lost)
    assert graph.places == graph.x_ticks == [0.1, 0.4, 0.8]
    assert graph.diverged == {"No norm": [0.8]}
    assert graph.x_title == "rate (log scale)"


def test_an_arm_of_which_everything_was_lost_has_its_crosses_and_no_line():
    runs = [fake_run(Recipe(lr=lr), [0.5, 0.7]) for lr in (0.1, 0.4)]
    lost = {"No norm": [Recipe(norm="none", lr=0.8)]}
    arms = {"Batch norm": runs, "No norm": []}
    graph = curves.sweep(arms, "lr", title="A", axis="rate", diverged=lost)
    assert [curve.label for curve in graph.curves] == list(graph.tried) == ["Batch norm"]
    assert graph.diverged == {"No norm": [0.8]}


def test_a_sweep_may_be_over_a_field_that_stays_below_one():
    runs = [fake_run(Recipe(momentum=m, lr=0.4), [0.5, 0.7]) for m in (0.5, 0.9)]
    graph = curves.sweep({"Batch norm": runs}, "momentum", title="A", axis="momentum")
    assert graph.places == [0.5, 0.9]
