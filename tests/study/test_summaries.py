"""Tables and sentences hold the numbers of their runs."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fakes import arm, fake_run, near
from scipy import stats

from normstudy.study import compare, measures, summaries
from normstudy.study.data import ImageSet, Split, load
from normstudy.study.design import Reference
from normstudy.study.model import Net
from normstudy.study.recipes import Recipe

THREE = {
    "Batch norm": arm(88, 89, 90),
    "Group norm": arm(85, 85.5, 86.8),
    "Layer norm": arm(85.2, 85.3, 86.9),
}


def cells(table):
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_results_hold_the_means():
    first, second = cells(summaries.results({"A": arm(87, 88, 89), "B": arm(70)}))
    assert first["test accuracy, %"] == "88.00 ± 1.00"
    assert first["test loss, nats"] == "1.1200 ± 0.0100"
    assert first["training accuracy, %"] == "91.00 ± 1.00"
    assert second["test accuracy, %"] == "70.00 (n = 1)"
    (one,) = cells(summaries.results({"A": arm(88)}, ["gap"]))
    assert one == {
        "arm": "A",
        "seeds": "1",
        "training minus test accuracy, points": "3.00 (n = 1)",
    }


def test_validation_scores_are_called_so():
    runs = {"A": arm(88, 89, validation=True)}
    assert "validation accuracy, %" in summaries.results(runs).header
    assert "validation accuracy, %" in summaries.accuracies(runs).header


def test_accuracies_have_both_kinds_of_error():
    (row,) = cells(summaries.accuracies({"A": arm(87, 88, 89)}))
    assert row["95% interval"] == "85.52 to 90.48"
    assert row["sampling error, points"] == f"{measures.sampling_error(arm(87, 88, 89)):.2f}"


def test_best_epochs_say_what_picking_adds():
    run = fake_run(Recipe(), [0.5, 0.9, 0.88])
    (row,) = summaries.best_epochs({"A": [run]}).rows
    assert row == ("A", "2.00", "2")


def test_pairs_and_verdict_follow_the_test():
    found = compare.differences(THREE)
    rows = summaries.pairs(found).rows
    assert rows[0][0] == "Batch norm \N{MINUS SIGN} Group norm"
    assert rows[0][2] == "+3.23"
    assert [row[-1] for row in rows] == ["ahead: batch norm", "ahead: batch norm", "open"]
    assert [d.verdict for d in found] == ["ahead", "ahead", "open"]
    text = summaries.verdict(found)
    assert text.startswith("Decided: 2 of 3 pairs, from 3.20 points (batch norm ahead of layer")
    assert "to 3.23 points (batch norm ahead of group norm)." in text
    assert " Equal within 0.5 points: no pair. " in text
    assert "Open: Group norm \N{MINUS SIGN} Layer norm (\N{MINUS SIGN}0.03" in text


def test_arms_within_the_margin_are_equal_whether_or_not_one_is_ahead():
    arms = {"Batch norm": near(88, 0.2), "Group norm": near(87.95, 0.2)}
    arms["Layer norm"] = near(87.6, 0.05)
    values = [[100 * run.accuracy for run in runs] for runs in arms.values()]
    ends = stats.tukey_hsd(*values, equal_var=False).confidence_interval(0.95)
    found = compare.differences(arms)
    said = [row[-1] for row in summaries.pairs(found).rows]
    assert said == ["equal within 0.5", "ahead: batch norm", "ahead: group norm"]
    low, high = abs(ends.low[0, 1]), ends.high[0, 1]
    assert summaries.verdict(found) == (
        "Decided: 2 of 3 pairs, from 0.35 points (group norm ahead of layer norm) to 0.40 points "
        "(batch norm ahead of layer norm). Equal within 0.5 points: Batch norm \N{MINUS SIGN} "
        f"Group norm (+0.05, 95% interval \N{MINUS SIGN}{low:.2f} to {high:.2f})."
    )
    close = compare.differences({"Batch norm": near(88, 0.05), "Group norm": near(87.8, 0.05)})
    assert summaries.pairs(close).rows[0][-1] == "ahead: batch norm, by < 0.5"
    assert summaries.verdict(close).endswith(" Equal within 0.5 points: no pair.")


def test_both_samples_stand_beside_each_other_for_each_pair_alone():
    intervals = {("Batch norm", "Group norm"): (1.234, 5.678)}
    (row,) = cells(summaries.both_samples(THREE, intervals))
    welch = stats.ttest_ind([88, 89, 90], [85, 85.5, 86.8], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert row == {
        "pair": "Batch norm \N{MINUS SIGN} Group norm",
        "difference": "+3.23",
        "95% interval, these images": f"{low:.2f} to {high:.2f}",
        "95% interval, other images": "1.23 to 5.68",
    }


def test_a_correlation_is_shown_with_its_interval():
    found = compare.Correlation(pair=("A", "B"), n=5, r=-0.25, low=-0.927, high=0.8)
    (row,) = cells(summaries.correlations([found]))
    assert row == {
        "pair": "A, B",
        "seeds": "5",
        "r over seeds": "\N{MINUS SIGN}0.25",
        "95% interval": "\N{MINUS SIGN}0.93 to 0.80",
    }


def test_our_numbers_beside_somebody_elses():
    reference = Reference(values={"Batch norm": 81.0}, label="class report", source="A source.")
    (row,) = summaries.beside(reference, THREE).rows
    assert row == ("Batch norm", "81.00", "89.00 ± 1.00", "+8.00")


def test_settings_that_differ_and_settings_that_are_shared():
    runs = {
        "Batch norm": arm(88, lr=0.3),
        "Group norm": arm(85, norm="group", num_groups=4, lr=0.1),
    }
    table = summaries.settings(runs)
    assert table.header == ("setting", "Batch norm", "Group norm")
    assert table.rows == (("num_groups", "\N{EN DASH}", "4"), ("lr", "0.3", "0.1"))
    shared = summaries.shared_settings(runs)
    assert shared["epochs"] == 20
    assert not {"lr", "norm", "num_groups", "seed"} & set(shared)


def test_penalties():
    with_l1 = fake_run(
        Recipe(data="digits", l1=1e-5), [0.5, 0.87], train_loss=[0.9, 0.3], penalty=[0.1, 0.05],
        weight_quantiles=np.linspace(0, 0.1, 1001, dtype=np.float32),
    )  # fmt: skip
    both = {"Batch norm": arm(88), "Batch norm + L1": [with_l1]}
    plain, l1 = summaries.penalties(both).rows
    assert plain == ("Batch norm", "0", "0.0", "0.0", "0.1", "0.5")
    assert l1 == ("Batch norm + L1", "1e-05", "10.0", "14.3", "1.0", "0.05")


def test_extremes_name_the_arms_at_both_ends():
    (line,) = summaries.extremes(THREE, ["test_accuracy"]).splitlines()
    assert line.startswith("test accuracy: from 85.77% (group norm) to 89.00% (batch norm)")
    pooled = np.mean([np.var([88, 89, 90], ddof=1), np.var([85, 85.5, 86.8], ddof=1),
                      np.var([85.2, 85.3, 86.9], ddof=1)])  # fmt: skip
    assert f"differ by {(2 * pooled) ** 0.5:.2f} (root mean square); 2 of 3 pairs decided" in line


def test_the_first_and_the_last_epoch_side_by_side():
    table = summaries.first_and_last(arm(88, 89), ["train_loss"])
    assert table.header == ("seed", "train loss, first epoch", "train loss, last epoch")
    assert table.rows == (("0", "0.9000", "0.3000"), ("1", "0.9000", "0.3000"))


def test_seeds_that_an_interval_takes():
    found = compare.differences({"A": arm(88, 89, 90), "B": arm(85, 85.5, 86.8)})
    (row,) = summaries.seeds_needed(found, 0.25).rows
    variances = np.var([88, 89, 90], ddof=1), np.var([85, 85.5, 86.8], ddof=1)
    assert row[1:3] == ("3", f"{math.sqrt(sum(variances) / 2):.2f}")
    assert row[3] == str(math.ceil(1.96**2 * sum(variances) / 0.25**2))  # two arms: Student's z
    single = compare.differences({"A": arm(88), "B": arm(85)})
    assert summaries.seeds_needed(single, 0.25).rows[0][-1] == "unknown (n = 1)"


def test_the_penalty_in_short():
    with_l1 = fake_run(
        Recipe(l1=1e-5), [0.5, 0.87], train_loss=[0.9, 0.3], penalty=[0.1, 0.05],
        weight_quantiles=np.linspace(0, 0.1, 1001, dtype=np.float32),
    )  # fmt: skip
    text = summaries.penalty_in_short([with_l1], arm(88))
    assert "the penalty is 14.3% of the loss" in text
    assert "0.05 in magnitude with it and 0.5 without; 1.0% and 0.1%" in text


def test_tables_of_a_network_count_it():
    nets = {norm: Net(norm, 8, net="separable") for norm in ("batch", "group", "none")}
    table = summaries.parameters(nets, 32)
    totals = (f"{sum(p.numel() for p in net.parameters()):,}" for net in nets.values())
    assert table.rows[-1] == ("all layers", *totals)
    kinds = {row[0]: row[1:] for row in summaries.norm_layers(nets).rows}
    assert kinds["batch"] == ("9 BatchNorm2d", "\N{EN DASH}")
    assert kinds["none"] == ("none", "\N{EN DASH}")
    assert kinds["group"][1] == "4, 8, 12"
    rows = summaries.layers(nets["batch"], 32).rows
    assert rows[0] == ("conv1", "Conv2d", "32 × 32 × 32", "864", "3")


def test_splits_and_shared_means_of_the_digits():
    images = load("digits")
    table = {row[0]: row[1] for row in summaries.splits(images).rows}
    assert table["training"] == f"{len(images.train):,}"
    assert table["test"] == f"{len(images.test):,}"
    norms = ("batch", "group", "layer", "instance")
    recipes = {
        norm: Recipe(data="digits", norm=norm, num_groups=4, batch_size=10) for norm in norms
    }
    first = summaries.shared_means(recipes, images).rows[0]
    assert first[0] == "10 × 16 × 4 × 4"
    cells = 10 * 16 * 4 * 4
    counts = {"batch": 16, "group": 40, "layer": 10, "instance": 160}
    for cell, norm in zip(first[1:], norms, strict=True):
        assert cell == f"{counts[norm]:,} of {cells // counts[norm]:,} cells"
    others = {
        "few": Recipe(data="digits", norm="layer", batch_size=5),
        "chw": Recipe(data="digits", norm="layer_chw", batch_size=10),
        "none": Recipe(data="digits", norm="none"),
    }
    first = summaries.shared_means(others, images).rows[0]
    assert first[1:] == ("5 of 256 cells", "10 of 256 cells", "\N{EN DASH}")


def test_the_largest_class_of_a_split_is_counted():
    def split(*labels):
        return Split(torch.zeros(len(labels), 4, 4, 1, dtype=torch.uint8), torch.tensor(labels))

    train, test = split(0, 0, 0, 0, 0, 0, 1, 1, 1, 2), split(0, 2, 2, 2)
    zero = torch.zeros(1)
    images = ImageSet("digits", train, test, ("ant", "bee", "cat"), zero, zero + 1)
    searched = [part.labels.numpy() for part in images.validation_split()]
    assert [len(labels) for labels in searched] == [8, 2]
    largest = [f"{100 * max(np.mean(labels == k) for k in range(3)):.1f}" for labels in searched]
    assert summaries.splits(images).rows == (
        ("training", "10", "60.0"),
        ("of these, in a search: to train on", "8", largest[0]),
        ("of these, in a search: validation", "2", largest[1]),
        ("test", "4", "75.0"),
    )


def test_shared_means_are_of_the_maps_that_the_norms_are_given(monkeypatch):
    recipe = Recipe(data="digits", net="valid", batch_size=3)
    net, given = Net(net="valid", in_channels=1, size=28), []
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_pre_hook(lambda _, x: given.append(tuple(x[0].shape)))
    net(torch.zeros(3, 1, 28, 28))
    expected = [" × ".join(map(str, shape)) for shape in given]
    monkeypatch.setattr(summaries, "build", lambda *_: net)
    table = summaries.shared_means({"Batch norm": recipe}, SimpleNamespace(size=28))
    assert [row[0] for row in table.rows] == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: summaries.results({}),
        lambda: summaries.accuracies({"A": []}),
    ],
)
def test_no_runs_are_refused(call):
    with pytest.raises(ValueError, match="no runs to compare"):
        call()
