"""Figures show the numbers of their runs, in places where they can be read."""

from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fakes import fake_run
from matplotlib.collections import PolyCollection

from normstudy.drawing import COLORS, style
from normstudy.study import figures
from normstudy.study.compare import differences
from normstudy.study.design import Reference
from normstudy.study.recipes import Recipe

NORMS = {
    "Batch norm": {"norm": "batch"},
    "Batch norm + L1": {"norm": "batch", "l1": 2e-5},
    "Group norm": {"norm": "group", "lr": 0.1},
    "Layer norm": {"norm": "layer", "lr": 0.1},
    "No norm": {"norm": "none", "lr": 0.03},
}
SOURCE = Reference(
    values={"Batch norm": 81.67, "Instance norm": 80.0}, label="class report", source="Read so."
)


def rates(runs):
    return figures.sweep(runs, "lr", title="A search", axis="learning rate")


ARM_FIGURES = [
    *(partial(figures.history, column=column) for column in ("test_loss", "test_accuracy")),
    *(partial(figures.history, column=column) for column in ("train_loss", "train_accuracy")),
    partial(figures.history, column="test_accuracy", reference=SOURCE),
    figures.gap,
    figures.schedule,
    figures.penalty,
    figures.weight_magnitudes,
    rates,
    figures.accuracy_intervals,
    figures.difference_intervals,
]


def made(label, seed=0, *, epochs=20, final=None, **fields):
    """Make a run whose curves differ from those of every other label and seed."""
    rng = np.random.default_rng([list(NORMS).index(label), seed])
    recipe = Recipe(**{"epochs": epochs, "seed": seed, **NORMS[label], **fields})
    rise = 1 - np.exp(-4 * np.arange(1, epochs + 1) / epochs)
    top = 0.75 + 0.15 * rng.random() if final is None else final
    accuracy = 0.3 + (top - 0.3) * rise / rise[-1]
    return fake_run(
        recipe,
        accuracy,
        train_accuracy=(accuracy + 0.02 * rng.random()).tolist(),
        test_loss=(2.2 - 2 * accuracy).tolist(),
        clean_train={"loss": 0.1, "accuracy": float(accuracy[-1]) + 0.05},
        weight_quantiles=np.quantile(rng.exponential(0.01, 2000), np.linspace(0, 1, 1001)),
    )


def arms(seeds=3, **fields):
    return {label: [made(label, seed, **fields) for seed in range(seeds)] for label in NORMS}


def texts(fig):
    return [text.get_text() for text in (*fig.texts, *fig.axes[0].texts)]


def label_of(fig, label):
    """Return the text below an arm's name at the end of its line."""
    found = texts(fig)
    return found[found.index(label) + 1]


@pytest.mark.parametrize(
    ("column", "scale", "form"),
    [
        ("test_loss", 1, "{:.4f} ± {:.4f}"),
        ("test_accuracy", 100, "{:.2f} ± {:.2f}%"),
        ("train_loss", 1, "{:.4f} ± {:.4f}"),
        ("train_accuracy", 100, "{:.2f} ± {:.2f}%"),
    ],
)
def test_curves_and_labels_show_the_mean_over_seeds(column, scale, form):
    runs = arms()
    fig = figures.history(runs, column)
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    for label, several in runs.items():
        columns = [run.history[column] for run in several]
        mean = [scale * sum(values) / 3 for values in zip(*columns, strict=True)]
        np.testing.assert_allclose(lines[label].get_ydata(), mean)
        lasts = [scale * values[-1] for values in columns]
        middle = sum(lasts) / 3
        number = form.format(middle, (sum((x - middle) ** 2 for x in lasts) / 2) ** 0.5)
        assert label_of(fig, label) == number
    assert len({tuple(line.get_ydata()) for line in lines.values()}) >= len(runs)


def test_loss_and_accuracy_have_titles_and_units():
    loss, accuracy = (figures.history(arms(), name) for name in ("test_loss", "test_accuracy"))
    assert "Test loss" in texts(loss)
    assert "Test accuracy" in texts(accuracy)
    assert loss.axes[0].get_ylabel() == "mean cross-entropy, nats"
    assert accuracy.axes[0].get_ylabel() == "accuracy, %"
    assert loss.axes[0].get_xlabel() == accuracy.axes[0].get_xlabel() == "epoch"
    assert "Validation loss" in texts(figures.history(arms(validation=True), "test_loss"))
    named = figures.history(arms(), "test_loss", title="Graph 1: test loss")
    assert "Graph 1: test loss" in texts(named)
    assert named.normstudy["caption"].startswith("Graph 1: test loss.")


def test_bands_reach_from_the_lowest_to_the_highest_seed():
    runs = arms(5)
    fig = figures.history(runs, "test_accuracy")
    bands = [art for art in fig.axes[0].collections if isinstance(art, PolyCollection)]
    assert len(bands) == len(runs)
    for band, several in zip(bands, runs.values(), strict=True):
        corners = band.get_paths()[0].vertices
        last = [100 * run.accuracy for run in several]
        at_end = corners[corners[:, 0] == 20, 1]
        assert (at_end.min(), at_end.max()) == pytest.approx((min(last), max(last)))
    assert "bands: lowest to highest seed" in fig.normstudy["caption"]


def test_one_seed_has_no_band_and_says_so():
    for draw in ARM_FIGURES:
        fig = draw(arms(1))
        assert not [art for art in fig.axes[0].collections if isinstance(art, PolyCollection)]
    fig = figures.history(arms(1), "test_accuracy")
    assert "n = 1" in fig.normstudy["caption"]
    assert label_of(fig, "Group norm").endswith("% (n = 1)")


@pytest.mark.parametrize("draw", ARM_FIGURES)
@pytest.mark.parametrize(
    "runs",
    [
        arms(),
        arms(5, data="mnist", final=0.995),
        arms(1, epochs=1),
        arms(2, final=0.8),
    ],
    ids=["three seeds", "close ends", "one epoch", "equal ends"],
)
def test_no_text_lies_on_another_or_outside(draw, runs):
    fig = draw(runs)
    fig.draw_without_rendering()
    ax = fig.axes[0]
    ticks = [label for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]
    shown = [*fig.texts, *ax.texts, ax.xaxis.label, ax.yaxis.label]
    boxes = {t.get_text(): t.get_window_extent() for t in shown if t.get_text()}
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        # a bounding box has room for accents that the letters here do not use
        assert width < 1 or height < 3, f"{first!r} lies on {second!r}"
    for text, box in boxes.items():
        assert box.x0 >= 0, text
        assert box.x1 <= fig.bbox.x1, text
        assert box.y0 >= 0, text
        assert box.y1 <= fig.bbox.y1, text
    assert min(t.get_fontsize() for t in (*shown, *ticks)) >= 9


@pytest.mark.parametrize("draw", ARM_FIGURES)
def test_every_figure_is_described_in_plain_words(draw):
    words = draw(arms()).normstudy
    assert set(words) == {"name", "caption", "alt"}
    assert words["caption"].endswith((".", "!"))
    assert "nan" not in words["caption"] + words["alt"]
    assert not set("|*`_<>") & set(words["caption"] + words["alt"])  # would be markup in a page
    assert plt.get_fignums()


def test_chance_is_a_line_in_range_and_a_note_out_of_range():
    far = figures.history(arms(), "test_accuracy")
    assert "\N{DOWNWARDS ARROW} chance: 10%" in texts(far)
    assert far.axes[0].get_ylim()[0] > 30
    assert "\N{UPWARDS ARROW} chance: 2.30 nats" in texts(figures.history(arms(), "test_loss"))
    runs = {"No norm": [made("No norm", final=0.1)], "Batch norm": [made("Batch norm")]}
    near = figures.history(runs, "test_accuracy")
    assert "chance: 10%" in texts(near)
    assert any(np.allclose(line.get_ydata(), 10) for line in near.axes[0].lines)


def test_a_wild_first_epoch_is_cut_off_and_counted():
    runs = arms()
    fig = figures.history(runs, "test_accuracy")
    low = fig.axes[0].get_ylim()[0]
    means = [
        100 * np.mean([run.history["test_accuracy"] for run in several], axis=0)
        for several in runs.values()
    ]
    cut = int((np.array(means) < low).sum())
    assert 0 < cut <= 0.1 * np.size(means)
    (note,) = (text for text in fig.texts if "Labels: " in text.get_text())
    for told in (fig.normstudy["caption"], note.get_text()):  # a file shows no caption
        assert f"{cut} of {np.size(means)} means" in told
        assert told.endswith("off the axis.")
    fig.draw_without_rendering()
    above = [fig.axes[0].yaxis.label, *fig.axes[0].texts]
    assert note.get_window_extent().y0 > max(text.get_window_extent().y1 for text in above)
    assert all(mean[-1] > low for mean in means)


@pytest.mark.parametrize("epochs", [1, 2, 5, 11])
@pytest.mark.parametrize("column", ["test_loss", "test_accuracy", "train_loss", "train_accuracy"])
def test_a_short_run_is_shown_whole(column, epochs):
    runs = arms(epochs=epochs)
    fig = figures.history(runs, column)
    low, high = fig.axes[0].get_ylim()
    scale = 1 if column.endswith("loss") else 100
    every = scale * np.array([run.history[column] for several in runs.values() for run in several])
    assert low < every.min()
    assert every.max() < high
    assert "off the axis" not in fig.normstudy["caption"]


def test_a_short_run_shows_every_gap():
    wide = made("Batch norm", epochs=5)
    wide.history["train_accuracy"][0] = wide.history["test_accuracy"][0] - 0.4
    low, high = (
        figures.gap({"Batch norm": [wide, made("Batch norm", 1, epochs=5)]}).axes[0].get_ylim()
    )
    assert low < -40
    assert high > 5


def test_a_long_run_is_cut_only_where_that_shows_more():
    steady = fake_run(Recipe(epochs=20), np.linspace(0.2, 0.8, 20))
    fig = figures.history({"Batch norm": [steady]}, "test_accuracy")
    assert fig.axes[0].get_ylim()[0] < 20
    assert "off the axis" not in fig.normstudy["caption"]


def test_numbers_of_others_are_dotted_and_say_where_they_come_from():
    fig = figures.history(arms(), "test_accuracy", reference=SOURCE)
    legend = fig.axes[0].get_legend()
    named = [text.get_text() for text in legend.get_texts()]
    shown = {arm: value for arm, value in SOURCE.values.items() if arm in arms()}
    assert named == [f"{arm} {value:.2f}" for arm, value in shown.items()], (
        "no arm that is not here"
    )
    lines = {line.get_label(): line.get_ydata()[0] for line in fig.axes[0].lines}
    assert [lines[name] for name in named] == list(shown.values())
    assert legend.get_title().get_text() == "class report, %"
    assert fig.normstudy["caption"].endswith("Dotted: class report. Read so.")
    assert figures.history(arms(), "test_accuracy").axes[0].get_legend() is None


def test_gap_label_is_the_clean_gap():
    runs = arms()
    fig = figures.gap(runs)
    clean = [100 * (r.clean_train["accuracy"] - r.accuracy) for r in runs["Layer norm"]]
    assert label_of(fig, "Layer norm") == f"{np.mean(clean):.2f} ± {np.std(clean, ddof=1):.2f}"


def test_schedule_and_penalty_show_the_history():
    runs = arms()
    fig = figures.schedule(runs)
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    np.testing.assert_allclose(lines["Group norm"].get_ydata(), runs["Group norm"][0].history["lr"])
    assert label_of(fig, "Group norm") == "peak 0.1"
    fig = figures.penalty(runs)
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    assert "Batch norm" not in lines
    several = [run.history for run in runs["Batch norm + L1"]]
    share = np.mean([100 * 0.04 / (0.04 + history["train_loss"][-1]) for history in several])
    assert lines["Batch norm + L1"].get_ydata()[-1] == pytest.approx(share)


def test_weights_are_on_a_log_axis():
    runs = {key: several for key, several in arms().items() if key.startswith("Batch")}
    fig = figures.weight_magnitudes(runs)
    assert fig.axes[0].get_yscale() == "log"
    small = 100 * np.mean([(r.weight_quantiles < 1e-3).mean() for r in runs["Batch norm"]])
    shown = float(label_of(fig, "Batch norm").split("%")[0])
    assert shown == pytest.approx(small, abs=0.1)


def test_a_sweep_names_the_best_setting_and_counts_what_is_not_drawn():
    finals = {0.03: 0.80, 0.1: 0.84, 0.3: 0.82, 1.0: 0.10}
    runs = [made("Group norm", final=final, lr=lr) for lr, final in finals.items()]
    runs.append(made("Group norm", final=0.83, lr=0.1, weight_decay=0.0))
    fig = rates({"Group norm": runs})
    assert label_of(fig, "Group norm") == "84.00% at 0.1"
    assert "Not drawn: 1 setting below 74%." in fig.normstudy["caption"]
    assert fig.axes[0].get_xscale() == "log"
    np.testing.assert_allclose(fig.axes[0].lines[0].get_ydata(), [80, 84, 82, 10])


def test_a_line_joins_only_recipes_that_differ_in_the_swept_field():
    runs = [made("Group norm", final=0.8, lr=0.1, num_groups=g) for g in (8, 16)]
    runs += [made("Group norm", final=0.82, lr=lr, num_groups=16) for lr in (0.2, 0.4)]
    runs += [made("Group norm", 1, final=0.84, lr=0.4, num_groups=16)]
    fig = rates({"Group norm": runs})
    lines = {tuple(line.get_xdata()) for line in fig.axes[0].lines if line.get_marker() == "."}
    assert lines == {(0.1,), (0.1, 0.2, 0.4)}
    (joined,) = [line for line in fig.axes[0].lines[1:] if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(joined.get_ydata(), [80, 82, 83])  # of two seeds the mean


def test_settings_that_diverged_are_marked():
    runs = {"No norm": [made("No norm", lr=0.1), made("No norm", lr=0.2)]}
    lost = {"No norm": [Recipe(norm="none", lr=0.6)]}
    fig = figures.sweep(runs, "lr", title="A search", axis="learning rate", diverged=lost)
    assert "A cross marks No norm at 0.6" in fig.normstudy["caption"]
    (cross,) = [line for line in fig.axes[0].lines if line.get_marker() == "x"]
    assert cross.get_xdata().tolist() == [0.6]
    accuracies = [line.get_ydata().min() for line in fig.axes[0].lines if line.get_marker() == "."]
    assert cross.get_ydata()[0] < min(fig.axes[0].get_yticks()), "no tick makes it an accuracy"
    assert cross.get_ydata()[0] < min(accuracies)
    assert "0.6" in [tick.get_text() for tick in fig.axes[0].get_xticklabels()]
    assert fig.axes[0].get_xlabel() == "learning rate (log scale)"


def test_intervals_are_those_of_the_comparison():
    runs = {"A": [], "B": []}
    for seed, (a, b) in enumerate([(0.88, 0.85), (0.89, 0.855), (0.90, 0.868)]):
        runs["A"].append(made("Batch norm", seed, final=a))
        runs["B"].append(made("Group norm", seed, final=b))
    fig = figures.accuracy_intervals(runs)
    bar = fig.axes[0].lines[0].get_xdata()
    np.testing.assert_allclose(bar, [89 - 4.302653 / 3**0.5, 89 + 4.302653 / 3**0.5], rtol=1e-6)
    assert "89.00 ± 1.00%" in texts(fig)
    fig = figures.difference_intervals(runs)
    assert "+3.23, ahead" in texts(fig)
    (d,) = differences(runs)
    np.testing.assert_allclose(fig.axes[0].lines[0].get_xdata(), [d.low, d.high])


def test_arms_without_a_colour_of_their_own_differ():
    runs = {f"variant {i}": [made("Batch norm", i)] for i in range(6)}
    fig = figures.history(runs, "test_loss")
    lines = [line for line in fig.axes[0].lines if line.get_label() in runs]
    assert len({line.get_color() for line in lines}) == 6
    known = {
        line.get_label(): line.get_color()
        for line in figures.history(arms(), "test_loss").axes[0].lines
    }
    assert all(known[label] == COLORS[label] for label in NORMS)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: figures.history({}, "test_loss"), "no runs to compare"),
        (lambda: figures.gap({"A": []}), "no runs to compare"),
        (
            lambda: figures.history(
                arms(1) | {"B": [made("No norm", data="mnist")]}, "test_accuracy"
            ),
            "mix data sets",
        ),
        (
            lambda: figures.history(arms(1), "seconds"),
            "column='seconds' is unknown; accepted: test_loss, test_accuracy, train_loss",
        ),
        (
            lambda: figures.sweep(arms(1), "flip", title="", axis=""),
            "the field flip is True; accepted: a field whose values are numbers",
        ),
        (lambda: figures.penalty({"Batch norm": [made("Batch norm")]}), "no arm has an L1 penalty"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_labels_that_nobody_knows_differ_by_more_than_colour():
    labels = ["Group norm", *(f"G = {2**k}" for k in range(6))]
    looks = [style(label, labels) for label in labels[1:]]
    for one, other in combinations(looks, 2):
        assert one[0] != other[0]
        assert one[1:] != other[1:], "dashes and marker tell them apart in grey as well"
