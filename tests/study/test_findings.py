"""The findings in sentences: the short answer, and the steps from the best arm down."""

from dataclasses import replace

import pytest
from study.fakes import arm

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
    close = short_answer({"A": arm(88, 89, 90), "B": arm(89, 88, 89.5)})
    assert close[1].endswith("; the data do not decide between the two.")
    (single, other) = short_answer({"A": arm(88), "B": arm(80)})
    assert "n = 1" in single
    assert "interval" not in other


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


def test_only_arms_of_the_same_seeds_can_be_paired():
    assert marginal({"A": arm(80, 81, 82), "B": arm(79.9, 60)}).endswith(" no pair.")
