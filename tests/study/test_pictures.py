"""Pictures show the images that they say, in places where they can be read."""

import numpy as np
import pytest
import torch
from fakes import fake_run

from normstudy.study import pictures
from normstudy.study.data import ImageSet, Split
from normstudy.study.mistakes import reliability
from normstudy.study.recipes import Recipe

ARM = "Batch norm"
CLASSES = ("airplane", "automobile", "bird")


def made(seed=0, num=30):
    rng = np.random.default_rng(seed)
    predictions = rng.integers(0, len(CLASSES), num)
    confidences = rng.random(num, dtype=np.float32)
    recipe = Recipe(seed=seed)
    return fake_run(recipe, [0.88], num=num, predictions=predictions, confidences=confidences)


def image_set(num=30, name="cifar10"):
    """Make images of which each has a colour of its own, so that they can be found again."""
    labels = torch.arange(num) % len(CLASSES)
    images = (torch.arange(num * 3) % 256).to(torch.uint8).view(num, 1, 1, 3).expand(num, 8, 8, 3)
    split, zero = Split(images.contiguous(), labels), torch.zeros(3)
    return ImageSet(name, split, split, CLASSES, zero, zero + 1)


def texts(fig):
    return [text.get_text() for text in (*fig.texts, *fig.axes[0].texts)]


def tile(fig, row, column):
    """Cut one image of 8 by 8 pixels out of a mistake grid."""
    canvas = fig.axes[0].images[0].get_array()
    return canvas[row * 9 : row * 9 + 8, column * 24 : column * 24 + 8]


def test_mistake_grid_shows_ten_mistakes_and_says_which():
    images, run = image_set(), made(seed=1)
    fig = pictures.mistakes(ARM, run, images)
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
            f"confidence: {100 * run.confidences[index]:.1f}%",
            f"test image {index}",
        ]
        shown = tile(fig, *divmod(place, 2))
        assert (shown[..., 3] == 1).all()
        colours = images.test.images[index].numpy() / 255
        np.testing.assert_allclose(shown[..., :3], colours)
    assert f"Batch norm, seed 1: 10 of its {len(wrong)} mistakes" in texts(fig)
    assert f"{100 * run.accuracy:.2f}% of 30 test images right" in fig.normstudy["caption"]
    assert "highest confidence, highest first" in fig.normstudy["caption"]


def test_mistake_grid_of_a_model_with_three_mistakes():
    images, run = image_set(), made()
    run.predictions[:] = images.test.labels.numpy()
    run.predictions[[4, 9, 11]] = (run.predictions[[4, 9, 11]] + 1) % 3
    fig = pictures.mistakes(ARM, run, images, order="least confident")
    assert {t.get_text().split()[-1] for t in fig.axes[0].texts} == {"4", "9", "11"}
    assert "Batch norm, seed 0: 3 of its 3 mistakes" in texts(fig)
    assert (tile(fig, 4, 1)[..., 3] == 0).all()
    run.predictions[:] = images.test.labels.numpy()
    alt = pictures.mistakes(ARM, run, images).normstudy["alt"]
    assert alt.startswith("Batch norm, seed 0: 0 of its 0 mistakes; ")
    assert alt.endswith(" 88.00% of 30 test images right. None.")


def test_mistake_grid_has_room_for_long_names():
    fig = pictures.mistakes("Batch norm + L1", made(), image_set())
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert all(box.x1 < fig.bbox.x1 for box in boxes)
    middle = fig.axes[0].transData.transform((24, 0))[0]  # where the second column begins
    assert all(box.x1 < middle for box in boxes[::2])


@pytest.mark.parametrize("grid", [(2, 5), (5, 4)])
def test_a_mistake_grid_has_as_many_rows_and_columns_as_are_asked_for(grid):
    images, run = image_set(60), made(num=60)
    fig = pictures.mistakes(ARM, run, images, grid=grid)
    fig.draw_without_rendering()
    captions = fig.axes[0].texts
    assert len(captions) == grid[0] * grid[1]
    boxes = [text.get_window_extent() for text in captions]
    canvas = fig.axes[0].images[0].get_array()
    down, right = canvas.shape[0] // grid[0], canvas.shape[1] // grid[1]
    wrong = np.flatnonzero(run.predictions != images.test.labels.numpy())
    expected = wrong[np.argsort(-run.confidences[wrong])]
    for place, (text, box) in enumerate(zip(captions, boxes, strict=True)):
        assert text.get_text().endswith(f"no. {expected[place]}")
        row, column = divmod(place, grid[1])
        colour = canvas[row * down, column * right, :3]
        np.testing.assert_allclose(colour, images.test.images[expected[place], 0, 0] / 255)
        x, y = fig.axes[0].transData.transform(((column + 1) * right, (row + 1) * down))
        assert box.x1 < x, "it ends before the next column begins"
        assert box.y0 > y, "and above the next row"


def test_samples_are_the_first_images_of_each_class():
    images = image_set()
    fig = pictures.samples(images)
    canvas = fig.axes[0].images[0].get_array()
    for row in range(3):
        for column in range(10):
            shown = canvas[row * 9, column * 9, :3]
            expected = images.train.images[row + 3 * column, 0, 0].numpy() / 255
            np.testing.assert_allclose(shown, expected)
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == list(CLASSES)


def test_the_reliability_diagram_shows_confidence_beside_accuracy():
    images, run = image_set(1000), made(num=1000)
    fig = pictures.reliability_diagram({ARM: [run, made(1, 1000)]}, images)
    found = reliability([run, made(1, 1000)], images)
    (curve,) = [line for line in fig.axes[0].lines if line.get_label() == ARM]
    there = found.counts >= 100
    np.testing.assert_allclose(curve.get_xdata(), 100 * found.confidence[there])
    np.testing.assert_allclose(curve.get_ydata(), 100 * (found.accuracy - found.confidence)[there])
    errors = [100 * reliability([one], images).error for one in (run, made(1, 1000))]
    assert f"{np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f}" in texts(fig)
    assert "bins with fewer than 100 are left out" in fig.normstudy["caption"]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: pictures.mistakes(ARM, made(), image_set(), order="size"),
            "order='size' is unknown",
        ),
        (lambda: pictures.mistakes(ARM, made(), image_set(name="mnist")), "are mnist"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()
