"""Changes of distances between arms: sizes, intervals, and what is said of them."""

import math

import numpy as np
import pytest
from scipy import stats
from study.fakes import arm

from normstudy.study.controls import answer, by_setting, changes, compared, lost, sentence, table
from normstudy.study.recipes import Recipe

MINUS = "\N{MINUS SIGN}"
STUDY = {
    "Batch norm": arm(84, 85, 86, lr=0.1),
    "Group norm": arm(81, 82, 83, 82, norm="group", lr=0.1),
    "No norm": arm(60, 70, norm="none", lr=0.1),
}
CONTROL = {
    "Batch norm": arm(80.2, 80.4, lr=0.2),
    "Group norm": arm(82.1, 82.3, 82.2, norm="group", lr=0.2),
}


def test_a_control_of_two_settings_is_taken_apart():
    both = {"Batch norm, slow": 1, "Group norm, slow": 2, "Batch norm, fast": 3}
    found = {"slow": {"Batch norm": 1, "Group norm": 2}, "fast": {"Batch norm": 3}}
    assert by_setting(both) == found
    with pytest.raises(ValueError, match="the arm 'Batch norm' names no setting; write it as"):
        by_setting({"Batch norm": 1})


def test_a_change_is_the_distance_of_the_control_less_that_of_the_study():
    (found,) = changes(STUDY, CONTROL)
    assert found.title == "Batch norm \N{MINUS SIGN} Group norm"
    assert (found.before, found.after) == pytest.approx((3, -1.9))
    assert found.size == pytest.approx(-4.9)
    assert found.turned
    assert found.decided


def test_for_two_arms_that_do_not_scatter_in_one_study_it_is_welch_s_interval():
    study = {"Batch norm": arm(80, 82, 87, lr=0.1), "Group norm": arm(70, 70, norm="group", lr=0.1)}
    control = {
        "Batch norm": arm(85, 86, lr=0.2),
        "Group norm": arm(70, 70, norm="group", lr=0.2),
    }
    (found,) = changes(study, control)
    welch = stats.ttest_ind([85, 86], [80, 82, 87], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high))
    assert not found.decided
    assert not found.turned


def test_intervals_hold_for_all_pairs_at_once():
    third = {"Layer norm": arm(76, 77, 79, norm="layer", lr=0.2)}
    alone = changes(STUDY, CONTROL)[0]
    study = {**STUDY, "Layer norm": arm(76, 78, norm="layer", lr=0.1)}
    together = changes(study, CONTROL | third)
    assert [c.pair for c in together] == [
        ("Batch norm", "Group norm"),
        ("Batch norm", "Layer norm"),
        ("Group norm", "Layer norm"),
    ]
    assert together[0].size == alone.size
    assert together[0].high - together[0].low > 1.3 * (alone.high - alone.low)


def test_nine_and_a_half_of_ten_intervals_hold_the_true_change():
    rng = np.random.default_rng(0)

    def drawn(mean, sd, n, **fields):
        return arm(*(mean + sd * rng.standard_normal(n)).round(2).tolist(), **fields)

    hits = 0
    for _ in range(400):
        study = {"A": drawn(80, 0.3, 10, lr=0.1), "B": drawn(78, 0.6, 10, lr=0.2)}
        control = {"A": drawn(81, 0.3, 3, lr=0.3), "B": drawn(78, 0.6, 3, lr=0.4)}
        (found,) = changes(study, control)
        hits += found.low <= 1 <= found.high
    assert 0.92 < hits / 400 < 0.985


def test_an_arm_that_is_the_same_in_both_changes_nothing():
    control = {"Batch norm": STUDY["Batch norm"][:2], "Group norm": CONTROL["Group norm"]}
    assert compared(STUDY, control) == control | {"Batch norm": STUDY["Batch norm"]}
    (found,) = changes(STUDY, control)
    group = [82.1, 82.3, 82.2]
    assert found.after == pytest.approx(85 - 82.2)
    welch = stats.ttest_ind([81, 82, 83, 82], group, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high))
    (still,) = changes(STUDY, {name: STUDY[name][:2] for name in ("Batch norm", "Group norm")})
    assert still.size == 0
    assert math.isnan(still.low)


def test_one_seed_has_no_interval():
    (found,) = changes(STUDY, {name: runs[:1] for name, runs in CONTROL.items()})
    assert math.isnan(found.low)
    assert not found.decided
    assert found.interval == "none"


def test_a_control_repeats_arms_of_the_study():
    for control in ({"Batch norm": STUDY["Batch norm"]}, {}, {**CONTROL, "None": arm(50)}):
        with pytest.raises(ValueError, match="a control repeats two or more arms of the study"):
            changes(STUDY, control)
        with pytest.raises(ValueError, match="a control repeats two or more arms of the study"):
            compared(STUDY, control)


def test_one_distance_can_be_told_in_a_sentence():
    (found,) = changes(STUDY, CONTROL)
    assert sentence(found, "at a large rate") == (
        "Batch norm \N{MINUS SIGN} Group norm is \N{MINUS SIGN}1.90 points at a large rate and "
        f"+3.00 without (95% interval of the change {found.interval})."
    )


def test_the_table_has_both_distances_and_the_change():
    found = table(changes(STUDY, CONTROL))
    ((title, *numbers, interval),) = found.rows
    assert title == "Batch norm \N{MINUS SIGN} Group norm"
    assert numbers == ["+3.00", "\N{MINUS SIGN}1.90", "\N{MINUS SIGN}4.90"]
    assert interval == changes(STUDY, CONTROL)[0].interval
    assert found.header[1:3] == ("main study", "control")
    assert table([], ("one", "other")).header[1:3] == ("one", "other")


def test_the_answer_says_what_turned_round_and_what_changed():
    said = answer(STUDY, CONTROL)
    turned = "Batch norm \N{MINUS SIGN} Group norm from +3.00 to \N{MINUS SIGN}1.90 points"
    assert said.startswith(
        f"Changed by more than chance: {turned} (95% interval of the change \N{MINUS SIGN}"
    )
    assert said.endswith(
        f"Turned round: {turned}. Decided here: 1 of 1 pairs (Group norm ahead of batch norm)."
    )
    calm = {"Batch norm": arm(84, 86, lr=0.2), "Group norm": arm(81, 83, norm="group", lr=0.2)}
    (change,) = changes(STUDY, calm)
    reach = max(abs(change.low), abs(change.high))
    assert answer(STUDY, calm) == (
        "These runs show no change of a distance beyond chance; the intervals reach "
        f"{reach:.1f} points. The means stand in the same order. No pair is decided here."
    )


def test_an_order_that_may_have_turned_by_chance_is_called_so():
    control = {"Batch norm": arm(80, 86, lr=0.2), "Group norm": arm(81, 87, norm="group", lr=0.2)}
    assert answer(STUDY, control).endswith(
        "points. In another order, though the turn may be chance: "
        "Batch norm \N{MINUS SIGN} Group norm from +3.00 to \N{MINUS SIGN}1.00 points. "
        "No pair is decided here."
    )


def test_a_turn_may_be_chance_even_where_the_order_here_is_decided():
    study = {"A": arm(80, 84, 88, lr=0.1), "B": arm(79.9, 83.9, 87.9, norm="group", lr=0.1)}
    control = {
        "A": arm(80, 80.1, 80.2, lr=0.2),
        "B": arm(82, 82.1, 82.2, norm="group", lr=0.2),
    }
    said = answer(study, control)
    assert "In another order, though the turn may be chance: A " in said
    assert said.endswith("Decided here: 1 of 1 pairs (B ahead of A).")


def test_the_reach_is_that_of_the_intervals_which_are_known():
    study = {
        "A": arm(84, 86, lr=0.1),
        "B": arm(81, 83, norm="group", lr=0.1),
        "C": arm(80, 82, norm="layer", lr=0.1),
    }
    moved = study | {"C": arm(80, 83, norm="layer", lr=0.2)}
    (_, *known) = changes(study, moved)  # A and B did not move
    reach = max(abs(end) for change in known for end in (change.low, change.high))
    for order in ("ABC", "CAB"):
        said = answer(study, {name: moved[name] for name in order})
        assert f"beyond chance; the intervals reach {reach:.1f} points." in said


def test_a_sure_change_to_an_order_that_is_open_is_no_turn():
    study = {"A": arm(79.9, 80, 80.1, lr=0.1), "B": arm(80.2, 80.3, 80.4, norm="group", lr=0.1)}
    control = {
        "A": arm(81.8, 82, 82.2, lr=0.2),
        "B": arm(81.5, 81.7, 81.9, norm="group", lr=0.2),
    }
    said = answer(study, control)
    assert said.startswith("Changed by more than chance: A ")
    assert "In another order, though the turn may be chance: A " in said
    assert "Turned round" not in said


def test_the_answer_says_first_what_diverged_or_scatters():
    gone = {"Group norm": (Recipe(data="digits", norm="group", lr=0.3),)}
    wild = {"Batch norm": arm(84, 86, lr=0.3), "Group norm": arm(60, 80, norm="group", lr=0.3)}
    said = answer(STUDY, wild, gone)
    assert said.startswith(
        f"{lost(gone, wild)} Group norm scatters from 60.00 to 80.00%. These runs show no"
    )
    assert "scatters" not in answer(STUDY, CONTROL)


def test_the_answer_counts_pairs_on_the_runs_that_the_distances_are_from():
    same = STUDY["Batch norm"][:1]
    group = arm(82.1, 82.3, 82.2, norm="group", lr=0.2)
    said = answer(STUDY, {"Batch norm": same, "Group norm": group})
    assert "Decided here: 1 of 1 pairs (Batch norm ahead of group norm)." in said


def test_an_order_that_only_the_lost_runs_turn_is_told_apart():
    gone = {"Batch norm": (Recipe(data="digits", lr=0.2, seed=2),)}
    said = answer(STUDY, CONTROL | {"Batch norm": arm(84, 86, lr=0.2)}, gone)
    one, only = "may be chance", "once what diverged is counted as chance"
    turned = f"Batch norm {MINUS} Group norm from +3.00 to {MINUS}22.20 points"
    assert f"In another order {only}: {turned}." in said
    assert one not in said
    assert "same order" not in said
    assert only not in answer(STUDY, CONTROL, gone)  # where it has turned without them


def test_what_diverged_is_counted_as_chance():
    gone = Recipe(data="digits", norm="group", lr=0.2)
    control = {"Batch norm": arm(80, 84), "Group norm": arm(81, 83, norm="group", lr=0.2)}
    assert lost({"Group norm": (gone,)}, control) == (
        "Group norm: 1 of 3 trainings diverged and left no run. "
        "Counted as chance, 10%, it makes its mean 58.00%."
    )
    whole = "Every training reached its end."
    assert lost({}, control) == whole
    assert lost({"Group norm": (Recipe(data="mnist"),)}, control) == whole
