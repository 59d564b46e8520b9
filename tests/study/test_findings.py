"""The findings in sentences: the short answer, and the steps from the best arm down."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from study.fakes import arm, near

from normstudy.study import compare
from normstudy.study.findings import marginal, short_answer, steps

THREE = {
    "Batch norm": arm(88, 89, 90),
    "Group norm": arm(85, 85.5, 86.8),
    "Layer norm": arm(85.2, 85.3, 86.9),
}


def test_the_short_answer_has_a_line_for_each_arm_best_first():
    lines = short_answer(THREE)
    assert lines[0].startswith("Batch norm: 89.00 ± 1.00% of 1,000 test images right")
    assert [line.split(":")[0] for line in lines] == ["Batch norm", "Layer norm", "Group norm"]
    assert "3.23 points behind batch norm (95% interval " in lines[2]
    assert lines[2].endswith(").")
    close = short_answer({"A": arm(88, 89, 90), "B": arm(89, 88, 89.5)})
    assert close[1].endswith("; the data do not decide between the two.")
    (single, other) = short_answer({"A": arm(88), "B": arm(80)})
    assert "n = 1" in single
    assert "interval" not in other


def test_the_short_answer_says_what_is_equal_for_practical_purposes():
    """Surely ahead by less than the margin, not surely ahead, and the same to the last digit."""
    for other, spread, size in (
        (87.8, 0.05, "0.20 points behind batch norm"),
        (87.95, 0.2, "0.05 points behind batch norm"),
        (88.0, 0.2, "the same as batch norm"),
    ):
        arms = {"Batch norm": near(88, spread), "Group norm": near(other, spread)}
        first, second = ([100 * run.accuracy for run in runs] for runs in arms.values())
        ends = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
        low, high = (f"{end:.2f}".replace("-", "\N{MINUS SIGN}") for end in ends)
        assert short_answer(arms)[1] == (
            f"Group norm: {other:.2f} ± {np.std(second, ddof=1):.2f}%, {size} (95% interval "
            f"{low} to {high}); equal within 0.5 points."
        )


def test_no_runs_are_no_answer():
    with pytest.raises(ValueError, match="no runs to compare"):
        short_answer({})


def test_steps_go_down_from_the_best_arm_and_an_earlier_study_has_its_word():
    def dated(*accuracies):
        runs = enumerate(arm(*accuracies))
        return [replace(run, environment={"date": f"2026-11-{20 + n}"}) for n, run in runs]

    now = {"Group norm": dated(70, 70.2, 70.4), "Batch norm": dated(80, 80.1, 80.4)}
    now["No norm"] = dated(70.1, 70.2, 70.3)
    earlier = {"Batch norm": arm(60, 60.1, 60.4), "Group norm": arm(65, 65.1, 65.4)}
    first, second = steps(now, earlier)
    assert first.startswith("2026-11-22: Batch norm is ahead of group norm by 9.97 points")
    (before,) = compare.differences(earlier)
    assert first.endswith(
        " The first network said the opposite: group norm was 5.00 points ahead of batch norm "
        f"(95% interval {(-before).interval})."
    )
    assert second.startswith("2026-11-22: The data do not decide between")
    assert second.endswith(" The first study did not have both arms.")
    for accuracies, word in {
        (50, 50.2, 50.4): "said the same",
        (40, 60, 80): "did not decide this",
    }.items():
        earlier["Group norm"] = arm(*accuracies)
        assert f" The first network {word}: " in steps(now, earlier)[0]


def test_what_an_earlier_study_decided_stands_beside_what_is_open_now():
    def dated(*accuracies):
        return [replace(run, environment={"date": "2026-11-20"}) for run in arm(*accuracies)]

    now = {"Batch norm": dated(80, 80.2, 80.4), "Group norm": dated(80.1, 80.2, 80.2)}
    near = {"Batch norm": arm(80, 80.1, 80.2), "Group norm": arm(79.6, 79.7, 79.8)}
    (said,) = steps(now, near)
    assert " The first network decided this: batch norm was 0.40 points ahead of group norm" in said
    assert said.endswith(f"(95% interval {compare.differences(near)[0].interval}).")
    (said,) = steps(now, near | {"Batch norm": arm(90, 90.1, 90.2)})
    assert said.endswith(", which does not overlap with the interval here.")


def test_a_pair_that_moves_against_each_other_is_marginal():
    against = {"A": arm(80, 81, 82, 83), "B": arm(79.9, 78.9, 77.9, 76.9)}
    together = {"A": arm(80, 81, 82, 83), "B": arm(76.9, 77.9, 78.9, 79.9)}
    for arms in (against, together):
        assert compare.differences(arms)[0].decided
    assert marginal(together) == "Decided, and open if seeds were paired: no pair."
    (d,) = compare.differences(against)
    assert marginal(against) == (
        f"Decided, and open if seeds were paired: A ahead of B (95% interval {d.interval})."
    )


def test_pairs_of_seeds_have_the_degrees_of_freedom_of_pairs():
    """Seeds that do not move together: as much spread, and half the degrees of freedom."""
    values = {"A": (80, 81, 82, 83), "B": (78.8, 76.8, 79.8, 77.8), "C": (58, 59, 60, 61)}
    arms = {name: arm(*of) for name, of in values.items()}
    apart = np.subtract(values["A"], values["B"])
    error = apart.std(ddof=1) / np.sqrt(4)
    assert error == pytest.approx(np.sqrt((5 / 3 + 5 / 3) / 4)), "as of independent arms"
    q = {df: stats.studentized_range.ppf(0.95, 3, df) / np.sqrt(2) for df in (3, 6)}
    assert q[6] * error < apart.mean() < q[3] * error
    assert stats.t.ppf(0.975, 3) * error < apart.mean(), "decided, were these two all"
    ends = stats.tukey_hsd(*values.values(), equal_var=False).confidence_interval(0.95)
    said = (
        "Decided, and open if seeds were paired: A ahead of B "
        f"(95% interval {ends.low[0, 1]:.2f} to {ends.high[0, 1]:.2f})."
    )
    assert marginal(arms) == said
    together = [arms["B"][seed] for seed in (1, 3, 0, 2)]  # by accuracy, as those of A are
    assert marginal({**arms, "B": together}) == said, "in whatever order the seeds come"


def test_only_arms_of_the_same_seeds_can_be_paired():
    assert marginal({"A": arm(80, 81, 82), "B": arm(79.9, 60)}).endswith(" no pair.")
