"""Data sets are what their facts say, and augmented images are what they claim to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import datasets
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from normstudy.study import data, files
from normstudy.study.data import FACTS, ImageSet, Split, draw_batch, to_display
from normstudy.study.recipes import DATASETS, MIRRORED, Recipe

CLASSES = [f"class {k}" for k in range(10)]


# -- which sets there are --------------------------------------------------------------------------


def test_digits_need_no_disk_and_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr("urllib.request.urlopen", None)
    data.load.cache_clear()
    monkeypatch.setenv("NORMSTUDY_DATA", str(tmp_path / "nothing"))
    found = data.load("digits")
    assert (len(found.train), len(found.test)) == (1437, 360)
    assert (found.in_channels, found.size, found.mirror) == (1, 8, False)
    assert found.train.images.max() == 255


def test_there_is_one_line_of_facts_for_each_data_set():
    assert tuple(FACTS) == DATASETS
    assert [facts.title for facts in FACTS.values()] == ["CIFAR-10", "MNIST", "Digits"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        FACTS["svhn"] = FACTS["mnist"]


def test_a_set_is_held_once():
    assert data.load("digits") is data.load("digits")


def test_the_real_sets_are_whole_where_they_are_at_hand():
    root = files.data_root()
    there = {"cifar10": root / "cifar-10-batches-py", "mnist": root / "MNIST"}
    names = ["digits", *(name for name, folder in there.items() if folder.is_dir())]
    for name in names:
        found = data.load(name)
        held_out = found.validation_split()[1]
        if name != "digits":
            assert len(found.train) == {"cifar10": 50_000, "mnist": 60_000}[name]
            assert len(found.test) == 10_000
            assert len(held_out) == 5_000
        assert held_out.labels.unique().tolist() == list(range(10))
        assert len(found.classes) == len(set(found.classes)) == 10


def test_an_unknown_set_is_refused():
    match = "data set 'imagenet' is unknown; accepted: cifar10, mnist, digits"
    with pytest.raises(ValueError, match=match):
        data.load("imagenet")


def test_names_of_classes_are_torchvisions():
    names = datasets.MNIST.classes
    assert data.FACTS["mnist"].classes == tuple(name.split(" - ")[0] for name in names)
    assert len(set(data.FACTS["cifar10"].classes)) == 10


# -- normalizing and splitting ---------------------------------------------------------------------


def some_set(num=6, size=8, channels=3, *, mirror=True, seed=0):
    """Random images in which no two pixels of one image and channel are equal."""
    rng = np.random.default_rng(seed)
    pixels = rng.permuted(np.tile(np.arange(256, dtype=np.uint8), (num, channels, 1)), axis=2)
    pixels = pixels[:, :, : size * size].reshape(num, channels, size, size)
    images = torch.tensor(pixels.transpose(0, 2, 3, 1).copy())
    split = Split(images, torch.arange(num) % 10)
    mean, std = torch.arange(channels) + 100.0, torch.arange(channels) + 50.0
    return ImageSet("cifar10" if mirror else "mnist", split, split, tuple(CLASSES), mean, std)


def test_training_images_have_mean_0_and_variance_1_in_each_channel():
    colours = some_set()
    mean, std = data._mean_and_std(colours.train.images)
    for found in (replace(colours, mean=mean, std=std), data.load("digits")):
        pixels = found.normalize(found.train.images).double()
        assert pixels.mean((0, 2, 3)).abs().max() < 1e-4
        assert (pixels.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-4


def test_normalized_images_are_channels_last():
    images = some_set().normalize(some_set().train.images)
    assert images.shape == (6, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_copies_of_a_set_keep_everything():
    one = some_set()
    copy = one.to("cpu")
    assert torch.equal(copy.train.images, one.train.images)
    assert torch.equal(copy.test.labels, one.test.labels)
    assert torch.equal(copy.mean, one.mean)
    assert torch.equal(copy.std, one.std)
    assert (copy.name, copy.facts, copy.classes) == (one.name, one.facts, one.classes)


def numbered(num):
    """Return a set of images of one pixel whose labels are their numbers."""
    split = Split(torch.zeros(num, 1, 1, 1, dtype=torch.uint8), torch.arange(num))
    return replace(some_set(), train=split)


@pytest.mark.parametrize(("num", "held_out"), [(50_000, 5_000), (60_000, 5_000), (1_437, 287)])
def test_the_validation_split_is_fixed_and_disjoint(num, held_out):
    train, validation = numbered(num).validation_split()
    assert len(validation) == held_out
    assert torch.equal(torch.cat([train.labels, validation.labels]).sort()[0], torch.arange(num))
    torch.manual_seed(123)
    assert torch.equal(numbered(num).validation_split()[1].labels, validation.labels)


def test_the_validation_split_of_50000_images_is_the_one_of_the_published_search():
    held_out = numbered(50_000).validation_split()[1].labels
    assert held_out[:5].tolist() == [36_044, 49_165, 37_807, 11_341, 6_091]


# -- augmenting ------------------------------------------------------------------------------------

PLAIN = Recipe(crop=0, flip=False)


def draw(image_set, recipe, seed=0, index=None):
    index = torch.arange(len(image_set.train)) if index is None else index
    generator = torch.Generator().manual_seed(seed)
    return draw_batch(image_set, image_set.train, index, recipe, generator)


def all_crops(image_set, number, crop, *, mirror):
    """Every crop of the reflected image and, where allowed, its mirror image; normalized."""
    image = image_set.train.images[number].numpy()
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)), mode="reflect")
    size = len(image)
    for top in range(2 * crop + 1):
        for left in range(2 * crop + 1):
            part = padded[top : top + size, left : left + size]
            for shown in (part, part[:, ::-1])[: 1 + mirror]:
                normal = (shown - image_set.mean.numpy()) / image_set.std.numpy()
                yield normal.transpose(2, 0, 1).astype(np.float32)


@settings(max_examples=40)
@given(
    st.integers(3, 8).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_batches_hold_crops_of_the_reflected_images(size_and_crop, channels, flip, mirror, seed):
    size, crop = size_and_crop
    images = some_set(3, size, channels, mirror=mirror)
    batch = draw(images, Recipe(crop=crop, flip=flip), seed)
    assert batch.dtype == torch.float32
    for number, image in enumerate(batch.numpy()):
        crops = all_crops(images, number, crop, mirror=flip and mirror)
        assert any(np.allclose(image, one, atol=1e-6) for one in crops)


def test_all_crops_and_mirror_images_are_equally_likely():
    images = some_set(1)
    num = 9_000
    batch = draw(images, Recipe(crop=1), index=torch.zeros(num, dtype=torch.int64))
    crops = torch.tensor(np.array(list(all_crops(images, 0, 1, mirror=True))))
    hits = torch.isclose(batch[:, None], crops[None], atol=1e-6).flatten(2).all(2)
    assert hits.sum(1).eq(1).all(), "each image is one of the 18, which all differ"
    expected = num / 18
    assert (hits.sum(0) - expected).abs().max() < 5 * expected**0.5


def test_digits_are_never_mirrored():
    images = some_set(1, mirror=False)
    batch = draw(images, Recipe(crop=0, flip=True), index=torch.zeros(500, dtype=torch.int64))
    assert torch.equal(batch, batch[:1].expand(500, -1, -1, -1))
    assert MIRRORED == ("cifar10",)


EVERYTHING = Recipe(crop=2, rotation=7.0, shear=5.0, translation=0.1, scaling=0.1, jitter=0.2)


@pytest.mark.parametrize("recipe", [Recipe(crop=2), EVERYTHING])
def test_augmentation_follows_the_generator_alone(recipe):
    images = some_set()
    one = draw(images, recipe, seed=1)
    torch.manual_seed(99)
    assert torch.equal(draw(images, recipe, seed=1), one)
    assert not torch.equal(draw(images, recipe, seed=2), one)
    assert one.shape == (6, 3, 8, 8)
    assert torch.isfinite(one).all()


@pytest.mark.parametrize("recipe", [PLAIN, Recipe(crop=2), replace(EVERYTHING, crop=3)])
@pytest.mark.parametrize("mirror", [True, False])
def test_an_epoch_drawn_at_once_has_the_images_of_one_drawn_batch_by_batch(recipe, mirror):
    images = some_set(20, mirror=mirror)
    batches = torch.randperm(20).split(8)
    each, at_once = (torch.Generator().manual_seed(5) for _ in range(2))
    draws = data.moved_at_once(
        (data.draw(images, len(index), recipe, at_once) for index in batches), torch.device("cpu")
    )
    assert len(draws) == len(batches)
    for index, drawn in zip(batches, draws, strict=True):
        expected = draw_batch(images, images.train, index, recipe, each)
        assert torch.equal(data.augment(images, images.train, index, drawn), expected)
    assert torch.equal(each.get_state(), at_once.get_state())


@pytest.mark.parametrize("recipe", [Recipe(crop=2), EVERYTHING])
def test_how_the_images_lie_in_memory_changes_nothing(recipe):
    images = some_set()
    in_planes = images.train.images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert not in_planes.is_contiguous(), "one colour after the other, as CIFAR-10 has them"
    same = replace(images, train=Split(in_planes, images.train.labels))
    index = torch.tensor([4, 0, 4])
    one, other = (draw(of, recipe, index=index) for of in (images, same))
    assert torch.equal(one, other)
    assert one.stride() == other.stride()


def test_without_augmentation_a_batch_is_the_selected_images():
    images = some_set()
    index = torch.tensor([4, 0, 4])
    assert torch.equal(
        draw(images, PLAIN, index=index), images.normalize(images.train.images[index])
    )


def test_padding_that_leaves_nothing_to_reflect_is_refused():
    with pytest.raises(ValueError, match="crop=8 is too large for 8x8 images; accepted: 0 to 7"):
        draw(some_set(), Recipe(crop=8))


def plane(size=32, num=200):
    """Images on which grey rises by 4 a pixel to the right and by 2 a pixel downwards."""
    rise = torch.arange(size) * 4 + torch.arange(size)[:, None] * 2
    pixels = rise.to(torch.uint8)[None, :, :, None].expand(num, -1, -1, 1)
    split = Split(pixels, torch.zeros(num, dtype=torch.int64))
    zero = torch.zeros(1)
    return ImageSet("mnist", split, split, tuple(CLASSES), zero, zero + 1)


def fit(batch):
    """Slopes to the right and downwards, and height in the centre, of the inner half of each image.

    Bilinear interpolation of a plane is a plane, so whatever the warp the fit has to be exact.
    """
    size = batch.shape[-1]
    inner = slice(size // 4, -size // 4)
    position = torch.arange(size, dtype=torch.float64)[inner] - (size - 1) / 2
    down, right = torch.meshgrid(position, position, indexing="ij")
    basis = torch.stack([right.flatten(), down.flatten(), torch.ones(right.numel())], 1)
    values = batch[:, 0, inner, inner].double().flatten(1).T
    found = torch.linalg.lstsq(basis, values).solution
    assert (basis @ found - values).abs().max() < 1e-3
    return found


def close(found, expected):
    torch.testing.assert_close(found, torch.full_like(found, expected), rtol=1e-5, atol=1e-4)


def test_rotation_turns_the_slope_and_nothing_else():
    right, down, centre = fit(draw(plane(), replace(PLAIN, rotation=20.0)))
    turned = torch.rad2deg(torch.atan2(down, right) - torch.atan2(*torch.tensor([2.0, 4.0])))
    assert 15 < turned.max() <= 20.01
    assert -20.01 <= turned.min() < -15
    close(right.hypot(down), 20**0.5)
    close(centre, 6 * 15.5)


def test_shear_moves_rows_sideways_and_nothing_else():
    right, down, centre = fit(draw(plane(), replace(PLAIN, shear=15.0)))
    angle = torch.rad2deg(torch.atan((down - 2) / 4))
    assert 11 < angle.max() <= 15.01
    assert -15.01 <= angle.min() < -11
    close(right, 4.0)
    close(centre, 6 * 15.5)


def test_shear_is_torchvisions():
    recipe, num = replace(PLAIN, shear=15.0), 8
    _, down, _ = fit(draw(plane(num=num), recipe))  # the same generator draws the same angles
    angles = torch.rad2deg(torch.atan((down - 2) / 4)).tolist()
    images = some_set(num, size=16)
    before, after = draw(images, PLAIN), draw(images, recipe)
    for angle, image, found in zip(angles, before, after, strict=True):
        expected = transforms.affine(
            image, 0.0, [0, 0], 1.0, [angle, 0.0], InterpolationMode.BILINEAR
        )
        inner = (slice(None), slice(None), slice(4, -4))  # beyond the edge it is black there
        torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=1e-3)


def test_without_shear_a_warp_draws_the_numbers_it_always_did():
    generator = torch.Generator().manual_seed(0)
    torch.randint(0, 1, (2, 6, 1), generator=generator)  # the crop
    draws = [torch.rand(6, generator=generator) for _ in range(4)]  # angle, scale, two shifts
    follow = torch.Generator().manual_seed(0)
    images = some_set()
    draw_batch(images, images.train, torch.arange(6), replace(PLAIN, rotation=5.0), follow)
    assert len(draws) == 4
    assert torch.equal(follow.get_state(), generator.get_state())


def test_translation_moves_the_plane_by_at_most_its_fraction_of_the_side():
    right, down, centre = fit(draw(plane(), replace(PLAIN, translation=0.125)))
    close(right, 4.0)
    close(down, 2.0)
    moved = centre - 6 * 15.5
    assert 6 * 3 < moved.abs().max() <= 6 * 4 + 1e-3  # four of 32 pixels, in both directions
    assert moved.min() < 0 < moved.max()


def test_scaling_divides_the_slope():
    right, down, centre = fit(draw(plane(), replace(PLAIN, scaling=0.25)))
    scale = 4 / right
    close(scale * down, 2.0)
    assert 0.75 - 1e-5 <= scale.min() < 0.8
    assert 1.2 < scale.max() <= 1.25 + 1e-5
    close(centre, 6 * 15.5)


def test_a_warp_by_nothing_is_the_identity():
    images = some_set()
    tiny = replace(PLAIN, rotation=1e-9)
    torch.testing.assert_close(draw(images, tiny), draw(images, PLAIN), rtol=0, atol=1e-4)


def test_jitter_is_a_brightness_and_then_a_contrast_of_each_image_as_torchvision_has_them():
    images = some_set(100, channels=1)
    recipe = replace(PLAIN, jitter=0.4)
    drawn = data.draw(images, 100, recipe, torch.Generator().manual_seed(0))
    for name in ("brightness", "contrast"):
        assert 0.35 < (drawn[name] - 1).abs().max() <= 0.4 + 1e-6
    pixels = images.train.images.permute(0, 3, 1, 2) / 255
    expected = torch.stack(
        [
            transforms.adjust_contrast(transforms.adjust_brightness(x, b), c)
            for x, b, c in zip(
                pixels, drawn["brightness"].tolist(), drawn["contrast"].tolist(), strict=True
            )
        ]
    )
    assert (expected == 1).any()  # some are cut off
    assert (expected == 0).any()
    shown = (draw(images, recipe) * images.std + images.mean) / 255
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-5)


# -- showing ---------------------------------------------------------------------------------------


@given(st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 5))
def test_images_are_displayed_in_their_colours(channels, num, size):
    images = some_set(num, size, channels).train.images
    shown = to_display(images)
    assert shown.shape == (num, size, size, 3)
    assert np.array_equal(np.rint(shown * 255), np.broadcast_to(images.numpy(), shown.shape))
    assert shown.min() >= 0
    assert shown.max() <= 1


# -- a fixed part of the training images -----------------------------------------------------------


@pytest.mark.parametrize("num", [1, 10, 95, 200, 1_000])
def test_a_subset_has_as_many_images_of_each_class_and_stays_in_order(num):
    digits = data.load("digits")
    few = digits.balanced(digits.train, num)
    counts = few.labels.bincount(minlength=10)
    assert len(few) == len(few.images) == num
    assert counts.max() - counts.min() <= 1
    places = [
        next(i for i in range(len(digits.train)) if torch.equal(digits.train.images[i], image))
        for image in few.images[:20]
    ]
    assert places == sorted(places)
    assert torch.equal(digits.train.labels[places], few.labels[:20])


def test_a_larger_subset_holds_every_smaller_one_and_a_class_may_run_out():
    digits = data.load("digits")
    small, large = (
        {image.numpy().tobytes() for image in digits.balanced(digits.train, num).images}
        for num in (50, 300)
    )
    assert small < large
    whole = digits.balanced(digits.train, len(digits.train))
    assert torch.equal(whole.labels, digits.train.labels)


def test_a_subset_of_more_images_than_there_are_is_refused():
    digits = data.load("digits")
    with pytest.raises(ValueError, match=r"subset=2000 is more than the 1437 images; accepted: 0"):
        digits.balanced(digits.train, 2_000)
