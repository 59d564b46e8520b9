"""Figures show the numbers of their runs, in places where they can be read."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from normstudy.drawing import apart
from normstudy.study import figures
from normstudy.study.data import ImageSet, Split
from normstudy.study.recipes import Recipe
from normstudy.study.runs import Run

NORMS = {
    "Batch norm": {"norm": "batch"},
    "Batch norm + L1": {"norm": "batch", "l1": 2e-5},
    "Group norm": {"norm": "group", "lr": 0.1},
    "Layer norm": {"norm": "layer", "lr": 0.1},
    "No norm": {"norm": "none", "lr": 0.03},
}
CLASSES = ("airplane", "automobile", "bird")
ARM_FIGURES = [
    figures.test_loss,
    figures.test_accuracy,
    figures.train_loss,
    figures.train_accuracy,
    figures.gap,
    figures.schedule,
    figures.penalty,
    figures.weight_magnitudes,
    figures.search,
    figures.accuracy_intervals,
    figures.difference_intervals,
]


def made(label, seed=0, *, epochs=20, final=None, num=30, **fields):
    """Make a run whose curves differ from those of every other label and seed."""
    rng = np.random.default_rng([list(NORMS).index(label), seed])
    recipe = Recipe(**{"epochs": epochs, "seed": seed, **NORMS[label], **fields})
    rise = 1 - np.exp(-4 * np.arange(1, epochs + 1) / epochs)
    top = 0.75 + 0.15 * rng.random() if final is None else final
    accuracy = 0.3 + (top - 0.3) * rise / rise[-1]
    history = {
        "epoch": list(range(1, epochs + 1)),
        "lr": (
            recipe.lr * np.interp(np.arange(epochs) / epochs, [0, 0.2, 1], [0.1, 1, 0])
        ).tolist(),
        "train_loss": (2.1 - 2 * accuracy).tolist(),
        "train_accuracy": (accuracy + 0.02 * rng.random()).tolist(),
        "test_loss": (2.2 - 2 * accuracy).tolist(),
        "test_accuracy": accuracy.tolist(),
        "penalty": np.linspace(recipe.l1 * 4000, recipe.l1 * 2000, epochs).tolist(),
        "seconds": [1.0] * epochs,
    }
    return Run(
        recipe=recipe,
        history=history,
        predictions=rng.integers(0, len(CLASSES), num),
        confidences=rng.random(num, dtype=np.float32),
        clean_train={"loss": 0.1, "accuracy": float(accuracy[-1]) + 0.05},
        weight_quantiles=np.quantile(rng.exponential(0.01, 2000), np.linspace(0, 1, 1001)),
        environment={},
    )


def arms(seeds=3, **fields):
    return {label: [made(label, seed, **fields) for seed in range(seeds)] for label in NORMS}


def image_set(num=30, name="cifar10"):
    """Make images of which each has a colour of its own, so that they can be found again."""
    labels = torch.arange(num) % len(CLASSES)
    images = torch.arange(num * 3, dtype=torch.uint8).view(num, 1, 1, 3).expand(num, 8, 8, 3)
    split, zero = Split(images.contiguous(), labels), torch.zeros(3)
    return ImageSet(name, split, split, CLASSES, zero, zero + 1, False, "none")


def texts(fig):
    return [text.get_text() for text in (*fig.texts, *fig.axes[0].texts)]


def label_of(fig, label):
    """Return the text below an arm's name at the end of its line."""
    found = texts(fig)
    return found[found.index(label) + 1]


@pytest.mark.parametrize(
    ("draw", "column", "scale", "form"),
    [
        (figures.test_loss, "test_loss", 1, "{:.4f} ± {:.4f}"),
        (figures.test_accuracy, "test_accuracy", 100, "{:.2f} ± {:.2f} %"),
        (figures.train_loss, "train_loss", 1, "{:.4f} ± {:.4f}"),
        (figures.train_accuracy, "train_accuracy", 100, "{:.2f} ± {:.2f} %"),
    ],
)
def test_curves_labels_and_caption_show_the_mean_over_seeds(draw, column, scale, form):
    runs = arms()
    fig = draw(runs)
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    for label, several in runs.items():
        columns = [run.history[column] for run in several]
        mean = [scale * sum(values) / 3 for values in zip(*columns, strict=True)]
        np.testing.assert_allclose(lines[label].get_ydata(), mean)
        lasts = [scale * values[-1] for values in columns]
        middle = sum(lasts) / 3
        number = form.format(middle, (sum((x - middle) ** 2 for x in lasts) / 2) ** 0.5)
        assert label_of(fig, label) == number
        assert f"{label} {number}" in fig.normstudy["caption"]
    assert len({tuple(line.get_ydata()) for line in lines.values()}) >= len(runs)


def test_loss_and_accuracy_have_titles_and_units():
    loss, accuracy = figures.test_loss(arms()), figures.test_accuracy(arms())
    assert "Graph 1: Test loss" in texts(loss)
    assert "Graph 2: Test accuracy" in texts(accuracy)
    assert loss.axes[0].get_ylabel() == "mean cross-entropy, nats"
    assert accuracy.axes[0].get_ylabel() == "accuracy, %"
    assert loss.axes[0].get_xlabel() == accuracy.axes[0].get_xlabel() == "epoch"
    assert "Graph 1: Validation loss" in texts(figures.test_loss(arms(validation=True)))


def test_bands_reach_from_the_lowest_to_the_highest_seed():
    runs = arms(5)
    fig = figures.test_accuracy(runs)
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
    fig = figures.test_accuracy(arms(1))
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
    far = figures.test_accuracy(arms())
    assert "\N{DOWNWARDS ARROW} chance: 10 %" in texts(far)
    assert far.axes[0].get_ylim()[0] > 30
    assert "\N{UPWARDS ARROW} chance: 2.30 nats" in texts(figures.test_loss(arms()))
    runs = {"No norm": [made("No norm", final=0.1)], "Batch norm": [made("Batch norm")]}
    near = figures.test_accuracy(runs)
    assert "chance: 10 %" in texts(near)
    assert any(np.allclose(line.get_ydata(), 10) for line in near.axes[0].lines)


def test_a_wild_first_epoch_is_cut_off_and_counted():
    runs = arms()
    fig = figures.test_accuracy(runs)
    low = fig.axes[0].get_ylim()[0]
    means = [
        100 * np.mean([run.history["test_accuracy"] for run in several], axis=0)
        for several in runs.values()
    ]
    cut = int((np.array(means) < low).sum())
    assert 0 < cut <= 0.1 * np.size(means)
    assert f"{cut} of {np.size(means)} means" in fig.normstudy["caption"]
    assert all(mean[-1] > low for mean in means)


def test_published_numbers_belong_to_their_data_set():
    def published(fig):
        return [text for text in texts(fig) if text.split()[-1] in {"81.67", "99.57", "99.47"}]

    assert published(figures.test_accuracy(arms())) == ["Batch norm 81.67"]
    mnist = published(figures.test_accuracy(arms(data="mnist", final=0.99)))
    assert mnist == ["Batch norm 99.57", "Batch norm + L1 99.47"]
    assert published(figures.test_accuracy(arms(data="digits"))) == []
    assert published(figures.test_accuracy(arms(validation=True))) == []
    assert published(figures.train_accuracy(arms())) == []


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
    shown = float(label_of(fig, "Batch norm").split()[0])
    assert shown == pytest.approx(small, abs=0.1)


def test_search_names_the_best_setting_and_counts_what_is_not_drawn():
    finals = {0.03: 0.80, 0.1: 0.84, 0.3: 0.82, 1.0: 0.10}
    runs = [made("Group norm", final=final, lr=lr) for lr, final in finals.items()]
    runs.append(made("Group norm", final=0.83, lr=0.1, weight_decay=0.0))
    fig = figures.search({"Group norm": runs})
    assert label_of(fig, "Group norm") == "84.00 % at 0.1"
    assert "Not drawn: 1 below 74 %." in fig.normstudy["caption"]
    assert fig.axes[0].get_xscale() == "log"
    line = fig.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [80, 84, 82, 10])


def test_intervals_are_those_of_the_comparison():
    runs = {"A": [], "B": []}
    for seed, (a, b) in enumerate([(0.88, 0.85), (0.89, 0.855), (0.90, 0.868)]):
        runs["A"].append(made("Batch norm", seed, final=a))
        runs["B"].append(made("Group norm", seed, final=b))
    fig = figures.accuracy_intervals(runs)
    bar = fig.axes[0].lines[0].get_xdata()
    np.testing.assert_allclose(bar, [89 - 4.302653 / 3**0.5, 89 + 4.302653 / 3**0.5], rtol=1e-6)
    assert "89.00 ± 1.00 %" in texts(fig)
    fig = figures.difference_intervals(runs)
    assert "+3.23, decided" in texts(fig)
    np.testing.assert_allclose(sorted(fig.axes[0].lines[2].get_xdata()), [3, 3.2, 3.5])


def test_arms_without_a_colour_of_their_own_differ():
    runs = {f"variant {i}": [made("Batch norm", i)] for i in range(6)}
    fig = figures.test_loss(runs)
    lines = [line for line in fig.axes[0].lines if line.get_label() in runs]
    assert len({line.get_color() for line in lines}) == 6
    known = {line.get_label(): line.get_color() for line in figures.test_loss(arms()).axes[0].lines}
    assert all(known[label] == figures.COLORS[label] for label in NORMS)


def tile(fig, row, column):
    """Cut one image of 8 by 8 pixels out of a mistake grid."""
    canvas = fig.axes[0].images[0].get_array()
    return canvas[row * 9 : row * 9 + 8, column * 24 : column * 24 + 8]


def test_mistake_grid_shows_ten_mistakes_and_says_which():
    images, run = image_set(), made("Batch norm", seed=1)
    fig = figures.mistake_grid(run, images)
    captions = [text.get_text() for text in fig.axes[0].texts]
    assert len(captions) == 10
    wrong = np.flatnonzero(run.predictions != images.test.labels.numpy())
    expected = wrong[np.argsort(-run.confidences[wrong])][:10]
    for place, (caption, index) in enumerate(zip(captions, expected, strict=True)):
        true, predicted = int(images.test.labels[index]), int(run.predictions[index])
        assert true != predicted
        assert caption.splitlines() == [
            f"true: {CLASSES[true]}",
            f"predicted: {CLASSES[predicted]}",
            f"confidence: {100 * run.confidences[index]:.1f} %",
            f"test image {index}",
        ]
        shown = tile(fig, *divmod(place, 2))
        assert (shown[..., 3] == 1).all()
        colours = images.test.images[index].numpy() / 255
        np.testing.assert_allclose(shown[..., :3], colours)
    assert f"Batch norm, seed 1: 10 of its {len(wrong)} mistakes" in texts(fig)
    assert f"{100 * run.accuracy:.2f} % of 30 test images right" in fig.normstudy["caption"]
    assert "highest confidence, highest first" in fig.normstudy["caption"]


def test_mistake_grid_of_a_model_with_three_mistakes():
    images, run = image_set(), made("Layer norm")
    run.predictions[:] = images.test.labels.numpy()
    run.predictions[[4, 9, 11]] = (run.predictions[[4, 9, 11]] + 1) % 3
    fig = figures.mistake_grid(run, images, order="index")
    assert [t.get_text().split()[-1] for t in fig.axes[0].texts] == ["4", "9", "11"]
    assert "Layer norm, seed 0: 3 of its 3 mistakes" in texts(fig)
    assert (tile(fig, 4, 1)[..., 3] == 0).all()
    run.predictions[:] = images.test.labels.numpy()
    alt = figures.mistake_grid(run, images).normstudy["alt"]
    assert alt.startswith("Layer norm, seed 0: 0 of its 0 mistakes; ")
    assert alt.endswith(" 76.28 % of 30 test images right. None.")


def test_mistake_grid_has_room_for_long_names():
    fig = figures.mistake_grid(made("Batch norm + L1"), image_set())
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert all(box.x1 < fig.bbox.x1 for box in boxes)
    middle = fig.axes[0].transData.transform((24, 0))[0]  # where the second column begins
    assert all(box.x1 < middle for box in boxes[::2])


def test_samples_are_the_first_images_of_each_class():
    images = image_set()
    fig = figures.samples(images, per_class=4)
    canvas = fig.axes[0].images[0].get_array()
    for row in range(3):
        for column in range(4):
            shown = canvas[row * 9, column * 9, :3]
            expected = images.train.images[row + 3 * column, 0, 0].numpy() / 255
            np.testing.assert_allclose(shown, expected)
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == list(CLASSES)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.3))
def test_labels_are_pushed_apart_and_keep_their_order(wanted, gap):
    moved = apart(wanted, gap, 0.0, 1.0)
    order = np.argsort(wanted, kind="stable")
    room = min(gap, 1 / max(1, len(wanted) - 1))
    assert (np.diff(moved[order]) >= room - 1e-9).all()
    assert moved.min() >= -1e-9
    assert moved.max() <= 1 + 1e-9


def test_labels_that_are_apart_stay():
    np.testing.assert_allclose(apart([0.9, 0.1, 0.5], 0.2, 0, 1), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(apart([0.5, 0.5], 0.2, 0, 1), [0.4, 0.6])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: figures.test_loss({}), "no runs to compare"),
        (lambda: figures.gap({"A": []}), "no runs to compare"),
        (
            lambda: figures.test_accuracy(arms(1) | {"B": [made("No norm", data="mnist")]}),
            "mix data sets",
        ),
        (lambda: figures.penalty({"Batch norm": [made("Batch norm")]}), "no arm has an L1 penalty"),
        (lambda: figures.samples(image_set(), per_class=0), "per_class=0; accepted: 1 to 10"),
        (lambda: figures.samples(image_set(), per_class=11), "per_class=11; accepted: 1 to 10"),
        (
            lambda: figures.mistake_grid(made("Batch norm"), image_set(), order="size"),
            "order='size' is unknown",
        ),
        (lambda: figures.mistake_grid(made("Batch norm"), image_set(name="mnist")), "are mnist"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()
