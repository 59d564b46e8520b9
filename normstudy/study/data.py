"""Data sets as tensors that are held once, and augmentation of whole batches.

The only reader of data sets: CIFAR-10 and MNIST from their files
(:mod:`normstudy.study.files`), and scikit-learn's digits as the embedded set that needs no network.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from normstudy.study import files
from normstudy.study.recipes import MIRRORED, Recipe

NUM_HELD_OUT = 5_000
"""Images of the validation split, at most a fifth of the training set."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a data set before it is read."""

    title: str
    """Name in sentences and titles."""
    md5: str
    """Checksum of all images and labels: torchvision does not check MNIST's once unpacked."""
    num_train: int
    num_test: int
    classes: tuple[str, ...] = tuple("0123456789")
    """Names of the classes, in the order of their labels."""

    @property
    def num_held_out(self) -> int:
        """Images of the validation split."""
        return min(NUM_HELD_OUT, self.num_train // 5)


_THINGS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

FACTS: Mapping[str, Facts] = MappingProxyType(
    {
        "cifar10": Facts(
            "CIFAR-10",
            "7997768f35e6e382292fd27177cedce6",
            50_000,
            10_000,
            _THINGS,
        ),
        "mnist": Facts("MNIST", "3a8942afaa4d4472e73e631e8d5025b7", 60_000, 10_000),
        "digits": Facts("Digits", "2e5899fa584f77358ac54f54ea3d7e0e", 1_437, 360),
    }
)
"""The data sets, by name."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images and labels side by side.

    ``images`` has dtype uint8 and shape (N, H, W, C), ``labels`` has dtype int64 and shape (N,).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> "Split":
        """Select images with their labels."""
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True, slots=True)
class ImageSet:
    """One data set: two splits, class names, and the constants that normalize it.

    ``mean`` and ``std`` have shape (C,) and are those of the training images on the scale 0 to 255.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor

    @property
    def facts(self) -> Facts:
        """The line of :data:`FACTS`."""
        return FACTS[self.name]

    @property
    def mirror(self) -> bool:
        """Whether a mirror image keeps its class."""
        return self.name in MIRRORED

    @property
    def in_channels(self) -> int:
        """Channels of an image: 3 for colour, 1 for grey."""
        return self.train.images.shape[-1]

    @property
    def size(self) -> int:
        """Height and width of an image in pixels."""
        return self.train.images.shape[1]

    def validation_split(self) -> tuple[Split, Split]:
        """Split the training set into a part to train on and a part to choose settings with.

        Which images are held out is fixed: it depends on the number of training images alone.
        """
        num = len(self.train)
        held_out = min(NUM_HELD_OUT, num // 5)
        order = torch.randperm(num, generator=torch.Generator().manual_seed(0))
        order = order.to(self.train.labels.device)
        return self.train[order[held_out:]], self.train[order[:held_out]]

    def balanced(self, split: Split, num: int) -> Split:
        """Select ``num`` images of a split, as many of each class as of any other, or one more.

        Which ones is fixed: a larger selection holds every smaller one of the same split. A class
        that has too few leaves its places to the others.

        Raises
        ------
        ValueError
            If the split has fewer images.
        """
        if num > len(split):
            msg = f"subset={num} is more than the {len(split)} images; accepted: 0 to {len(split)}"
            raise ValueError(msg)
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
        labels = split.labels.cpu()[order]
        one_hot = F.one_hot(labels, len(self.classes))
        turn = one_hot.cumsum(0)[torch.arange(len(split)), labels]  # the first of its class, ...
        chosen = order[turn.argsort(stable=True)[:num]].sort().values
        return split[chosen.to(split.labels.device)]

    def normalize(self, images: Tensor) -> Tensor:
        """Turn uint8 images (N, H, W, C) into float32 (N, C, H, W).

        Over all training images, each channel then has mean 0 and variance 1. Contiguous images
        give a channels-last tensor; others keep their own order in memory.
        """
        mean, std = self.mean, self.std
        if images.is_contiguous():  # rows of W C numbers in place of C: a longer innermost loop
            mean, std = (of.repeat(images.shape[2], 1) for of in (mean, std))
        return ((images.float() - mean) / std).permute(0, 3, 1, 2)

    def to(self, device: torch.device | str) -> "ImageSet":
        """Copy the set to a device once, so that no batch has to travel."""
        train, test = (
            Split(s.images.to(device), s.labels.to(device)) for s in (self.train, self.test)
        )
        mean, std = self.mean.to(device), self.std.to(device)
        return ImageSet(self.name, train, test, self.classes, mean, std)


@cache
def load(name: str) -> ImageSet:
    """Load a data set into memory, on the CPU; a second call returns the same object.

    Parameters
    ----------
    name
        ``"cifar10"``, ``"mnist"`` or ``"digits"``. The first two are read from the folder in the
        environment variable ``NORMSTUDY_DATA`` or else downloaded once to a folder of this user.

    Raises
    ------
    ValueError
        If the name is unknown.
    DataError
        If the files are missing, incomplete or damaged and no download mends that.

    References
    ----------
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
    Y. LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998;
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html
    """
    if name not in FACTS:
        msg = f"data set {name!r} is unknown; accepted: {', '.join(FACTS)}"
        raise ValueError(msg)
    facts, read = FACTS[name], files.read(name)
    md5 = read and _md5(read)
    if read is None or (md5 != facts.md5 and name != "digits"):
        read = files.read_or_download(name)
        md5 = _md5(read)
    if md5 != facts.md5:
        reason = f"is damaged there (MD5 {md5}, not {facts.md5}); delete it"
        raise files.error(name, reason)
    train, test = (Split(*part) for part in read)
    return ImageSet(name, train, test, facts.classes, *_mean_and_std(train.images))


def _md5(splits: files.Both) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for part in splits:
        for tensor in part:
            for some in tensor.split(1_000):  # whose copy, pixel by pixel, stays in the caches
                digest.update(some.contiguous().numpy())
    return digest.hexdigest()


def _mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, from how often each of the 256 values occurs."""
    counts = torch.stack([c.flatten().bincount(minlength=256) for c in images.unbind(-1)]).double()
    values, total = torch.arange(256).double(), counts[0].sum()
    mean = (counts * values).sum(1) / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / total
    return mean.float(), variance.sqrt().float()


Draws = dict[str, Tensor]  # what happens to each image of a batch, by name; a row for each of them


def draw(image_set: ImageSet, num: int, recipe: Recipe, generator: torch.Generator) -> Draws:
    """Draw crops, mirror images and all else that augments ``num`` images, before any is touched.

    Parameters
    ----------
    image_set
        Knows the size of its images, and whether a mirror image keeps its class.
    num
        Images of the batch.
    recipe
        Its fields ``crop``, ``flip``, ``rotation``, ``shear``, ``translation``, ``scaling`` and
        ``jitter``.
    generator
        Source of all random numbers, on the CPU, so that each device sees the same images.

    Returns
    -------
    dict
        Tensors on the CPU: ``down`` and ``right``, where the crop begins, in pixels of the image,
        (num, 1); and where the recipe asks for it ``mirrored``, (num, 1), ``matrix``, (num, 2, 3),
        ``contrast`` and ``brightness``, (num,).

    Raises
    ------
    ValueError
        If the crop's padding is not smaller than the image, which leaves nothing to reflect.
    """
    size = image_set.size
    if recipe.crop >= size:
        msg = f"crop={recipe.crop} is too large for {size}x{size} images; accepted: 0 to {size - 1}"
        raise ValueError(msg)
    shifts = torch.randint(0, 2 * recipe.crop + 1, (2, num, 1), generator=generator) - recipe.crop
    drawn = {"down": shifts[0], "right": shifts[1]}
    if recipe.flip and image_set.mirror:
        drawn["mirrored"] = torch.rand(num, 1, generator=generator) < 0.5
    if recipe.rotation or recipe.translation or recipe.scaling or recipe.shear:
        drawn["matrix"] = _matrices(num, recipe, generator)
    if recipe.jitter:
        drawn["contrast"] = 1 + _uniform(num, recipe.jitter, generator)
        drawn["brightness"] = 1 + _uniform(num, recipe.jitter, generator)
    return drawn


def moved_at_once(draws: Iterable[Draws], device: torch.device) -> list[Draws]:
    """Draw for all batches of an epoch now, in their order, and move it to a device in one go.

    A copy of each batch's own would have the processor wait for the GPU at every step.
    """
    each = list(draws)
    counts = [len(drawn["down"]) for drawn in each]
    moved = (
        torch.cat([drawn[name] for drawn in each]).to(device).split(counts) for name in each[0]
    )
    return [dict(zip(each[0], parts, strict=True)) for parts in zip(*moved, strict=True)]


def augment(image_set: ImageSet, split: Split, index: Tensor, drawn: Draws) -> Tensor:
    """Select, augment and normalize a batch of training images, where they lie.

    Crop and mirror image are one gather from the uint8 pixels of the batch, whatever its size.

    Parameters
    ----------
    image_set
        Holds the normalization constants.
    split
        Part of the set that ``index`` points into.
    index
        Image numbers, shape (B,), int64.
    drawn
        What :func:`draw` returned for so many images, on the device of the split.

    Returns
    -------
    Tensor
        Shape (B, C, H, W), float32; channels-last, but where images are turned or sheared.
    """
    size = image_set.size
    steps = torch.arange(size, device=split.images.device)
    rows, columns = (_reflect(drawn[n] + steps, size) for n in ("down", "right"))
    if "mirrored" in drawn:
        columns = torch.where(drawn["mirrored"], columns.flip(1), columns)
    pixels = ((rows * size)[:, :, None] + columns[:, None, :]).flatten(1)
    # one colour after the other, as CIFAR-10 lies in memory
    planes = split.images.permute(0, 3, 1, 2).index_select(0, index).flatten(2)
    planes = planes.gather(2, pixels[:, None].expand_as(planes)).unflatten(2, (size, size))
    images = torch.stack(planes.unbind(1), -1)
    if "contrast" in drawn:
        images = _jittered(images, drawn["contrast"], drawn["brightness"])
    batch = image_set.normalize(images)
    if "matrix" in drawn:
        grid = F.affine_grid(drawn["matrix"], list(batch.shape), align_corners=False)
        batch = F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    return batch


def draw_batch(
    image_set: ImageSet, split: Split, index: Tensor, recipe: Recipe, generator: torch.Generator
) -> Tensor:
    """Draw what :func:`augment` needs, and augment a batch.

    Parameters
    ----------
    image_set, split, index
        As in :func:`augment`.
    recipe, generator
        As in :func:`draw`.

    Returns
    -------
    Tensor
        As of :func:`augment`.
    """
    drawn = draw(image_set, len(index), recipe, generator)
    device = split.images.device
    return augment(image_set, split, index, {n: drawn[n].to(device) for n in drawn})


def _reflect(position: Tensor, size: int) -> Tensor:
    """Map positions outside [0, size) back inside, mirrored at the first and last pixel."""
    last = size - 1
    return last - (last - position.abs()).abs()


def _jittered(images: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Multiply uint8 images (N, H, W, C) by a factor, then their distances from their own mean.

    What leaves the range of a pixel is cut off, after each step, so black stays black in the first.
    """
    contrast, brightness = (factor.view(-1, 1, 1, 1) for factor in (contrast, brightness))
    pixels = (images * brightness).clamp_(0, 255)
    middle = pixels.mean((1, 2, 3), keepdim=True)
    return ((pixels - middle) * contrast + middle).clamp_(0, 255)


def _uniform(num: int, most: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(num, generator=generator) - 1) * most


def _matrices(num: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Draw how each image is rotated, sheared, scaled and shifted: (num, 2, 3), as torch has it."""
    angle = _uniform(num, recipe.rotation * torch.pi / 180, generator)
    scale = 1 + _uniform(num, recipe.scaling, generator)
    shift = torch.stack([_uniform(num, 2 * recipe.translation, generator) for _ in range(2)], 1)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(num, 2, 2)
    if recipe.shear:
        lean = torch.eye(2).repeat(num, 1, 1)
        lean[:, 0, 1] = _uniform(num, recipe.shear * torch.pi / 180, generator).tan()
        turn = turn @ lean
    return torch.cat([turn / scale[:, None, None], shift[:, :, None]], 2)


def to_display(images: Tensor) -> npt.NDArray[np.float64]:
    """Turn uint8 images (N, H, W, C) into colours (N, H, W, 3) in [0, 1]; grey is repeated."""
    colours = images.cpu().numpy().astype(np.float64) / 255
    return colours if colours.shape[-1] == 3 else np.repeat(colours, 3, axis=-1)
