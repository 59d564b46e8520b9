"""What the probes found is read as it is stored."""

from dataclasses import replace

import numpy as np
import pytest
from study.fakes import fake_run

from normstudy.study import measured
from normstudy.study.compare import differences
from normstudy.study.probes import CORRUPTIONS, SHIFTS, STEPS
from normstudy.study.recipes import Recipe


def run(seed=0, norm="batch", accuracy=(0.2, 0.6, 0.5), **probed):
    return fake_run(
        Recipe(norm=norm, seed=seed, lr=0.4),
        accuracy,
        probed={k: list(v) for k, v in probed.items()},
    )


BATCH = [
    run(batch_accuracy=(0.5, 0.6, 0.7), precise_accuracy=(0.5, 0.6, 0.55)),
    run(1, batch_accuracy=(0.3, 0.6, 0.7), precise_accuracy=(0.3, 0.7, 0.66)),
]


def test_columns_come_from_the_history_or_from_the_probes():
    assert measured.column(BATCH, "test_accuracy").shape == (2, 3)
    assert measured.column(BATCH, "batch_accuracy")[1].tolist() == [0.3, 0.6, 0.7]
    assert measured.column(BATCH, "lr")[0, 0] == pytest.approx(0.04)


def test_statistics_are_set_side_by_side():
    (row,) = measured.statistics_table({"Batch norm": BATCH}).rows
    assert row == ("Batch norm", "50.00", "70.00", "60.50", "+30.0", "1")
    fig = measured.statistics_figure(BATCH, name="ways", title="Three ways")
    lines = {line.get_label(): line.get_ydata() for line in fig.axes[0].lines}
    assert list(lines["precise statistics"]) == pytest.approx([40, 65, 60.5])
    assert list(lines["moving averages"]) == pytest.approx([20, 60, 50])
    assert fig.normstudy["name"] == "ways"


def test_the_largest_fall_is_told_with_its_epoch_and_seed():
    steady = [replace(r, history=r.history | {"test_accuracy": [0.1, 0.2, 0.3]}) for r in BATCH]
    found = measured.falls({"Batch norm": BATCH, "Layer norm": steady})
    assert found.rows[0] == ("Batch norm", "10.0", "10.0 (epoch 3, seed 0)", "5.0")
    assert found.header[3] == "there, with precise statistics"
    assert found.rows[1][1] == "0.0"
    assert found.rows[1][2].startswith("0.0 ")
    one_fell = measured.falls({"Batch norm": [*steady[:1], *BATCH[1:]]})
    assert one_fell.rows[0][1:3] == ("5.0", "10.0 (epoch 3, seed 1)")
    plain = measured.falls({"Batch norm": [replace(r, probed={}) for r in BATCH[1:]]})
    assert plain.header[2:] == ("of all seeds",)
    assert plain.rows == (("Batch norm", "10.0", "10.0 (epoch 3, seed 1)"),)


def test_gaps_are_told_where_the_rate_is_highest_and_at_the_end():
    rates = [0.1, 0.4, 0.2]  # with which the epochs begin: the second is reached after the first
    runs = [replace(r, history=r.history | {"lr": rates}) for r in BATCH]
    sd = np.std([30, 10], ddof=1)
    assert measured.gaps(runs) == (
        "Precise statistics less moving averages: after epoch 1, at the highest rate, "
        f"+20.00 ± {sd:.2f} points; after the last, +10.50 ± {np.std([5, 16], ddof=1):.2f} points. "
        "They are more than a point apart after 3 of 3 epochs."
    )
    assert "at the highest rate, +30.00 points;" in measured.gaps(runs[:1])


def test_the_last_statistics_are_tabulated_by_a_setting():
    runs = [run(s, last_batch_accuracy=(0.6,), last_precise_accuracy=(0.55,)) for s in (0, 1)]
    found = measured.last_statistics({2: runs}, "images")
    assert found.header[0] == "images: test accuracy, %"
    assert found.rows == (("2", "50.00 ± 0.00", "60.00 ± 0.00", "55.00 ± 0.00"),)


def shifted(norm, clean, dark, seed=0):
    values = {s: [clean if s == "clean" else dark] for s in SHIFTS}
    return run(norm=norm, seed=seed, **values, **{f"{s}, batch": [0.9] for s in SHIFTS})


def test_shifts_have_a_row_each_and_batch_norm_a_second_column():
    arms = {"Batch norm": [shifted("batch", 0.8, 0.5)], "Layer norm": [shifted("layer", 0.7, 0.6)]}
    found = measured.shift_table(arms)
    assert found.header[1:] == (
        *("Batch norm", "Batch norm, statistics of the batch", "Layer norm"),
    )
    assert [row[0] for row in found.rows] == list(SHIFTS)
    assert found.rows[0][1:] == ("80.0", "90.0", "70.0")
    assert found.rows[-1][1:] == ("50.0", "90.0", "60.0")
    losses = measured.shift_losses(arms)
    assert losses == pytest.approx(
        {"Batch norm": 30, "Batch norm, statistics of the batch": 0, "Layer norm": 10}
    )
    (found,) = differences(arms, measured.SHIFTED)
    assert found.mean == pytest.approx(-10)
    assert found.ordered().pair == ("Layer norm", "Batch norm")
    (found,) = differences(arms, measured.SHIFTED_TOGETHER)
    assert found.mean == pytest.approx(30)  # layer norm's score does not depend on the batch
    levels = {s: [0.1 * n] for n, s in enumerate(s for s in SHIFTS if s.startswith("contrast"))}
    one = run(**{s: [0.9] for s in SHIFTS} | levels)
    assert measured.shifted("contrast").of(one) == pytest.approx(100 * np.mean([*levels.values()]))


def test_what_the_statistics_of_the_batch_win_back_is_told_by_kind():
    found = measured.won_back([shifted("batch", 0.8, 0.5), shifted("batch", 0.8, 0.7, seed=1)])
    assert [row[0] for row in found.rows] == list(CORRUPTIONS)
    sd = np.std([40, 20], ddof=1)
    assert found.rows[0][1:] == (f"60.0 ± {sd:.1f}", "90.0 ± 0.0", f"+30.0 ± {sd:.1f}")


def landscape(gradient, turns, seed=0, **changes):
    """Make a run of one epoch, in which the gradient changes by so much at each step size."""
    every = {f"loss_change_{s:g}": (-s * gradient**2,) for s in STEPS}
    for step, turn in zip(STEPS, turns, strict=True):
        every[f"gradient_change_{step:g}"] = (turn,)
    every |= {name: (value,) for name, value in changes.items()}
    return run(seed=seed, loss=(1.5,), gradient=(gradient,), length=(30.0,), **every)


def test_the_landscape_is_told_as_a_part_of_a_straight_slope():
    runs = [
        landscape(2.0, STEPS),
        landscape(2.0, STEPS, seed=1, **{"loss_change_0.05": -0.1, "loss_change_0.8": 0.32}),
    ]
    (row,) = measured.landscape_table({"Batch norm": runs}, 1).rows
    half = 50 / np.sqrt(2)
    assert row[:4] == ("Batch norm", "1.50 ± 0.00", "2.00 ± 0.00", "30.0")
    assert row[4:6] == (f"75 ± {half:.0f}", "100 ± 0")
    assert measured.landscape_table({"A": runs[1:]}, 1).rows[0][-1] == "\N{MINUS SIGN}10"


def test_turns_of_the_gradient_are_read_at_equal_lengths_of_the_step():
    runs = [landscape(2.0, [0.1, 0.2, 0.4, 0.8, 1.6]), landscape(0.4, STEPS, seed=1)]
    # steps of 0.1 to 1.6 and of 0.02 to 0.32, whose turns grow with the length from 0 on
    assert measured.turned(runs, 0.2)[:, 0] == pytest.approx([0.2, 0.5])
    assert measured.turned(runs, 0.05)[:, 0] == pytest.approx([0.05, 0.125])
    assert list(np.isnan(measured.turned(runs, 0.4)[:, 0])) == [False, True]
    table = measured.turn_table({"Batch norm": runs[:1], "No norm": runs}, 1)
    assert table.rows[0] == ("Batch norm", "0.05", "0.10", "0.20", "0.40")
    assert table.rows[1][-1] == "\N{EN DASH}"
    assert table.rows[1][3] == f"0.35 ± {0.3 / np.sqrt(2):.2f}"


def test_the_arm_whose_gradient_changes_least_is_counted_where_all_can_be_compared():
    bent = landscape(1.0, [0.2, 0.3, 0.4, 0.5, 0.6])  # more than the other at first, and then less
    found = measured.least_turned(
        {"Batch norm": [landscape(1.0, [0.1, 0.2, 0.6, 0.8, 1])], "No norm": [bent]}
    )
    assert found.endswith("changes least: batch norm in 2 of 4, no norm in 2 of 4.")
    short = measured.least_turned({"Batch norm": [bent], "No norm": [landscape(0.2, STEPS)]})
    assert short.endswith(": batch norm in 2 of 2."), "the longest step of the other is 0.16"


def test_zeros_are_counted_among_what_is_penalized():
    zeros = {"zero_weights": [0.0, 0.25], "zero_scales": [0.0, 0.5]}
    for on, share in (("weights", 25), ("scales", 50)):
        one = run(**zeros)
        one = replace(one, recipe=replace(one.recipe, l1_on=on))
        assert measured.ZEROS.of(one) == share


def test_an_effective_rate_is_the_rate_over_the_squared_length():
    runs = [run(rate_factor=(0.5, 0.25, 0.1))]
    expected = np.array(runs[0].history["lr"][1:]) * [0.5, 0.25]
    np.testing.assert_allclose(measured.effective_rates(runs), expected[None])
