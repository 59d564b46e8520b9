"""A report is set beside our runs, and judged by them, without a number typed by hand."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from normstudy.study import replications
from normstudy.study.originals import ORIGINALS
from normstudy.study.replications import as_far_apart, beside, chance_of_range, judge
from normstudy.study.studies import OF_REPORTS, STUDIES
from tests.study.fakes import arm, fake_run

C = ORIGINALS["C"]  # prints 77.60, 75.93 and 76.67 after its last epochs


def arms():
    return {
        "Group norm": arm(76.0, 76.2, 76.4, norm="group"),
        "Layer norm": arm(75.0, 76.0, 77.0, norm="layer"),
        "Batch norm": arm(79.0, 79.2, 79.4, norm="batch"),
    }


def test_a_printed_number_is_measured_in_standard_deviations_of_our_seeds():
    group, layer, batch = beside(C, arms())
    assert (group.arm, group.printed, group.printed_best) == ("Group norm", 77.60, 77.60)
    assert group.mean == pytest.approx(76.2)
    assert group.sd == pytest.approx(0.2)
    assert group.distance == pytest.approx((77.60 - 76.2) / 0.2)
    expected = stats.ttest_1samp([76.0, 76.2, 76.4], 0).confidence_interval()
    np.testing.assert_allclose(group.interval, expected)
    assert [row.far for row in (group, layer, batch)] == [True, False, True]
    assert str(group) == (
        "Group norm: the report printed 77.60%, 7.0 standard deviations above our mean of "
        "76.20%, which asks for a reason (p = 0.026 that another seed of ours would be as far "
        "away). Over the last 5 epochs, 0 of 6 accuracies of our seeds are as far from the mean of "
        "their epoch, on that side."
    )
    restless = replace(group, recent=(1.5, -1.5, 0.1))
    assert "Over the last 5 epochs, 1 of 3 accuracies" in str(restless)
    assert str(layer).endswith(
        "0.1 standard deviations below our mean of 76.00% (p = 0.957 that another seed of ours "
        "would be as far away)."
    )


def test_a_curve_that_all_seeds_share_is_not_restless():
    rising = [
        fake_run(run.recipe, [*np.linspace(0.5, 0.7, 5), run.accuracy])
        for run in arms()["Group norm"]
    ]
    row = beside(C, arms() | {"Group norm": rising})[0]
    assert max(map(abs, row.recent)) == pytest.approx(0.2)
    assert row.as_far == 0


def test_the_probability_of_another_seed_is_that_of_random_numbers():
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=(40_000, 4))
    ours, other = seeds[:, :3], seeds[:, 3]
    far = abs(other - ours.mean(1)) / ours.std(1, ddof=1) >= replications.FAR
    values = np.array([-1.0, 0.0, 1.0])  # of mean 0 and standard deviation 1
    numbers = {"printed": replications.FAR, "printed_best": 0.0, "bests": (0.0,)}
    row = replications.Beside(arm="A", values=tuple(values), **numbers)
    assert row.distance == pytest.approx(replications.FAR)
    assert row.p == pytest.approx(far.mean(), abs=0.01)


def test_seeds_without_spread_are_infinitely_far_from_everything_else():
    numbers = {"arm": "A", "printed_best": 0.0, "values": (10.0, 10.0), "bests": (0.0,)}
    assert replications.Beside(printed=12.0, **numbers).distance == float("inf")
    assert replications.Beside(printed=12.0, **numbers).p == 0
    assert not replications.Beside(printed=10.0, **numbers).far


def test_best_epochs_are_compared_with_best_epochs():
    runs = [fake_run(run.recipe, [run.accuracy, 0.9, run.accuracy]) for run in arms()["Batch norm"]]
    row = beside(C, arms() | {"Batch norm": runs})[2]
    assert row.bests == pytest.approx((90, 90, 90))
    assert row.mean == pytest.approx(79.2)
    assert replications.results([row]).rows[0][-1] == "90.00 ± 0.00"


def test_the_table_of_results_has_everything_beside_each_other():
    table = replications.results(beside(C, arms()))
    assert len(table.header) == len(table.rows[0]) == 9
    assert table.rows[0][:4] == ("Group norm", "3", "77.60", "76.20 ± 0.20")
    assert table.rows[0][5:8] == ("+7.0", "0.026", "77.60")
    assert table.rows[1][5] == "−0.1"


def test_one_seed_is_no_spread():
    with pytest.raises(ValueError, match="the arm 'Layer norm' has one seed, and no spread"):
        beside(C, arms() | {"Layer norm": arm(75.0, norm="layer")})


def test_findings_are_judged_by_simultaneous_intervals():
    judged = judge(C, arms())
    fates = {(one.finding.ahead, one.finding.behind): one.fate for one in judged}
    assert fates == {
        ("Group norm", "Batch norm"): "refuted",
        ("Group norm", "Layer norm"): "open",
        ("Batch norm", "Layer norm"): "open",
    }
    first = judged[0]
    assert first.printed == pytest.approx(77.60 - 76.96)
    assert first.printed_last == pytest.approx(77.60 - 76.67)
    assert first.ours.mean == pytest.approx(76.2 - 79.2)
    rows = replications.findings(judged).rows
    values = [[100 * run.accuracy for run in arms()[arm]] for arm in ("Group norm", "Batch norm")]
    ends = stats.tukey_hsd(*values, [75, 76, 77], equal_var=False).confidence_interval()
    low, high = (f"\N{MINUS SIGN}{-end[0, 1]:.2f}" for end in (ends.low, ends.high))
    assert rows[0] == (
        *("Group norm ahead of batch norm", "in its numbers", "+0.64", "+0.93"),
        *("\N{MINUS SIGN}3.00", f"{low} to {high}", "refuted"),
    )
    assert [row[1] for row in rows] == ["in its numbers", *["in words: LN performs the worst"] * 2]
    clear = arms() | {"Layer norm": arm(70.0, 70.1, 70.2, norm="layer")}
    assert [one.fate for one in judge(C, clear)] == ["refuted", "confirmed", "confirmed"]


def test_in_short_counts_what_the_tables_show():
    text = replications.in_short(beside(C, arms()), judge(C, arms()))
    assert text.startswith("1 of its 3 accuracies is within 3 standard deviations of our seeds.")
    assert text.endswith(
        " Of the 3 differences between its arms, refuted: group norm ahead of batch norm (here "
        "\N{MINUS SIGN}3.00 points); left open: 2."
    )


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((97.0, 97.2, 97.4), "one cycle makes up 40% of it (+1.20 points, 95% interval "),
        ((99.0, 99.2, 99.4), "one cycle makes up all of it (+3.20 points, 95% interval "),
        ((94.0, 94.2, 94.4), "one cycle makes it worse (\N{MINUS SIGN}1.80 points, 95% interval "),
        ((90.0, 96.2, 99.9), "whether one cycle changes anything is open (\N{MINUS SIGN}0.63 poi"),
    ],
)
def test_a_change_is_measured_on_the_way_to_a_goal(after, said):
    text = replications.towards(99, "Group norm", arm(95.8, 96, 96.2), arm(*after), "one cycle")
    assert text.startswith(f"Group norm: 3.00 points below 99%; {said}")


def test_seeds_that_end_at_chance_are_counted_and_not_averaged():
    before = arm(95.8, 96, 96.2)
    some = replications.towards(99, "A", before, arm(11.3, 98, 98.5), "one cycle")
    lost = "A: 3.00 points below 99%; with one cycle, "
    assert some == f"{lost}1 of 3 seeds ends at chance; the mean of the others is 98.25%."
    every = replications.towards(99, "A", before, arm(11.3, 10, 9.8), "one cycle")
    assert every == f"{lost}3 of 3 seeds end at chance."


def test_what_has_passed_the_goal_has_no_way_left():
    text = replications.towards(90, "A", arm(95.8, 96, 96.2), arm(97, 97.2, 97.4), "one cycle")
    assert text.startswith("A: not below 90%; one cycle changes it by +1.20 points, 95% interval")


def test_the_chance_of_a_range_is_that_of_random_numbers():
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=(40_000, 6))
    three = rng.normal(size=(40_000, 3))
    wide = np.ptp(three, axis=1) / seeds.std(axis=1, ddof=1) >= 2.5
    values = rng.normal(size=6)
    width = 2.5 * values.std(ddof=1)
    assert chance_of_range(values, [0.0, 0.3 * width, width]) == pytest.approx(
        wide.mean(), abs=0.01
    )


def test_choices_of_seeds_are_counted():
    assert as_far_apart([1.0, 2.0, 4.0, 4.5], [10.0, 13.0]) == (2, 6)
    values = [76.1, 76.5, 77.0, 77.7]
    wide = sum(max(c) - min(c) >= 1.15 for c in combinations(values, 3))
    assert as_far_apart(values, [77.6, 76.45, 76.96]) == (wide, 4)


@pytest.mark.parametrize("name", OF_REPORTS)
def test_the_table_of_settings_shows_what_is_on(name):
    study = STUDIES[name]
    table = replications.settings(study)
    assert table.header == ("setting", *study.arms)
    cells = {row[0]: row[1:] for row in table.rows}
    recipes = [tried[0] for tried in study.arms.values()]
    assert cells["lr"] == tuple(f"{r.lr:g}" for r in recipes)
    assert cells["epochs"] == tuple(str(r.epochs) for r in recipes)
    assert ("l1" in cells) == any(r.l1 for r in recipes)
    assert ("rotation" in cells) == any(r.rotation for r in recipes)
    assert not {"validation", "data", "net", "seed"} & cells.keys()
    assert ({"crop", "flip"} <= cells.keys()) == (name == "study-a")
    if "l1" in cells:
        assert [cell == "–" for cell in cells["l1"]] == [not r.l1 for r in recipes]
        assert [cell == "–" for cell in cells["l1 on"]] == [not r.l1 for r in recipes]
