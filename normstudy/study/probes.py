"""What is measured on a network while it is trained, beside its scores.

A probe works on a copy of the network and on random numbers of its own: a training with a probe
has the history of one without, to the bit. A recipe names its probes; what they found is stored
with the run, a list for each column.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normstudy.study import data, environment
from normstudy.study.data import ImageSet, Split
from normstudy.study.optimize import scales, weights
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import evaluate, in_precision, loss_and_accuracy, scores_of

NUM_PRECISE = 10_000
"""Training images from which precise statistics are taken."""

CORRUPTIONS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "brightness": (0.1, 0.2, 0.3),
        "contrast": (0.75, 0.5, 0.25),
        "noise": (0.04, 0.08, 0.12),
    }
)
"""Shifts of test images, each at three levels.

What is added to all pixels; the factor on the distance from the mean of the image; the standard
deviation of normal noise. Pixels are in [0, 1], and cut off there.
"""

STEPS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Lengths of the steps along the gradient, as learning rates: w - step * gradient."""

CEILING = 1e9
"""What stands for a number that is not finite; JSON has none such."""

_NUM_BATCHES = 4  # along whose gradients the loss is followed


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is measured, and where it is in its training."""

    net: nn.Module
    image_set: ImageSet
    train_split: Split
    score_split: Split
    recipe: Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One kind of measurement: the names of its numbers, and how they are taken."""

    columns: tuple[str, ...]
    take: Callable[[Subject], Sequence[float]]
    last_only: bool = False
    """Whether it is taken after the last epoch alone, and not after each."""


def measure(subject: Subject, *, last: bool) -> dict[str, float]:
    """Take all measurements that the recipe names, after an epoch.

    Parameters
    ----------
    subject
        The network and its images; nothing of them is changed.
    last
        Whether this was the last epoch.

    Returns
    -------
    dict
        A number for each column.
    """
    found: dict[str, float] = {}
    for probe in _probes(subject.recipe):
        if last or not probe.last_only:
            with environment.own_randomness(subject.image_set.train.images.device):
                torch.manual_seed(0)
                taken = probe.take(replace(subject, net=copy.deepcopy(subject.net)))
            found |= zip(probe.columns, map(_finite, taken), strict=True)
    return found


def lengths(recipe: Recipe, epochs: int) -> dict[str, int]:
    """Say which columns there are after so many epochs, and how many values each of them has."""
    over = epochs == recipe.epochs
    return {
        column: 1 if probe.last_only else epochs
        for probe in _probes(recipe)
        for column in probe.columns
        if over or not probe.last_only
    }


def _probes(recipe: Recipe) -> Iterator[Probe]:
    return (PROBES[name] for name in recipe.probes)


def _finite(value: float) -> float:
    return value if abs(value) < CEILING else CEILING  # a NaN is not below either


# -- batch norm's statistics -----------------------------------------------------------------------


def _running(net: nn.Module) -> list[nn.BatchNorm2d]:
    """List the layers that keep running statistics."""
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


def _by_batch(net: nn.Module) -> nn.Module:
    """Let batch norms take the statistics of the batch, and all else be as in evaluation."""
    net.eval()
    for layer in _running(net):
        layer.train()
    return net


def _score_by_batch(subject: Subject, split: Split) -> tuple[float, float]:
    """Score a split with the statistics of its own batches, as large as those of the training."""
    recipe, net = subject.recipe, _by_batch(copy.deepcopy(subject.net))
    scores = scores_of(
        net, subject.image_set, split, recipe.precision, batch_size=recipe.batch_size
    )
    return loss_and_accuracy(scores, split.labels)


def _score(subject: Subject, split: Split) -> tuple[float, float]:
    scores = evaluate(subject.net, subject.image_set, split, subject.recipe.precision)
    return loss_and_accuracy(scores, split.labels)


def make_precise(subject: Subject) -> None:
    """Replace running statistics by those of many training batches, with the weights at rest.

    The batches are as large as those of the training, and augmented like them. The variance is that
    of all their values together: E[s^2 + m^2] - E[m]^2 with mean m and variance s^2 of a batch. The
    mean of s^2 alone would miss how far small batches lie apart.

    References
    ----------
    Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, section 3.1,
    https://arxiv.org/abs/2105.07576
    """
    split, recipe = subject.train_split, subject.recipe
    layers = _running(_by_batch(subject.net))
    moments = {layer: layer.weight.new_zeros(2, layer.num_features).double() for layer in layers}

    def gather(layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        maps = inputs[0].float()
        var, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
        mean = mean.double()
        moments[layer] += len(maps) * torch.stack([mean, var + mean.square()])

    hooks = [layer.register_forward_pre_hook(gather) for layer in layers]
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(split), generator=generator)[:NUM_PRECISE]
    device = split.labels.device
    with torch.no_grad(), in_precision(device, recipe.precision):
        for index in order.to(device).split(recipe.batch_size):
            images = data.draw_batch(subject.image_set, split, index, recipe, generator)
            subject.net(images)
    for hook, layer in zip(hooks, layers, strict=True):
        hook.remove()
        mean, square = moments[layer] / len(order)
        layer.running_mean, layer.running_var = mean.float(), (square - mean.square()).float()


def _statistics(subject: Subject) -> tuple[float, ...]:
    if not _running(subject.net):  # then all statistics are the image's own
        return 2 * _score(subject, subject.score_split)
    by_batch = _score_by_batch(subject, subject.score_split)
    make_precise(subject)
    return (*by_batch, *_score(subject, subject.score_split))


# -- shifted images --------------------------------------------------------------------------------


def corrupt(images: Tensor, kind: str, level: float) -> Tensor:
    """Shift images as :data:`CORRUPTIONS` says.

    Parameters
    ----------
    images
        Shape (N, H, W, C), uint8.
    kind, level
        A key of ``CORRUPTIONS``, and how strong.

    Returns
    -------
    Tensor
        The same shape, uint8. Noise is the same at every call.

    References
    ----------
    Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations, 2019, https://arxiv.org/abs/1903.12261, whose kinds these are.
    """
    pixels = images.float()
    match kind:
        case "brightness":
            pixels = pixels + 255 * level
        case "contrast":
            middle = pixels.mean((1, 2, 3), keepdim=True)
            pixels = middle + level * (pixels - middle)
        case "noise":
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(images.shape, generator=generator)
            pixels = pixels + 255 * level * noise.to(images.device)
        case _:
            msg = f"kind={kind!r} is unknown; accepted: {', '.join(CORRUPTIONS)}"
            raise ValueError(msg)
    return pixels.round().clamp(0, 255).to(torch.uint8)


def _corruptions(subject: Subject) -> Iterator[float]:
    """Accuracies by running statistics and by those of the shifted batch, shift by shift."""
    clean = subject.score_split
    splits = [clean] + [
        Split(corrupt(clean.images, kind, level), clean.labels)
        for kind, levels in CORRUPTIONS.items()
        for level in levels
    ]
    for split in splits:
        accuracy = _score(subject, split)[1]
        yield accuracy
        yield _score_by_batch(subject, split)[1] if _running(subject.net) else accuracy


SHIFTS = ("clean", *(f"{kind} {level:g}" for kind, of in CORRUPTIONS.items() for level in of))
"""Names of the shifts; a column ``<name>, batch`` is scored by the statistics of the batch."""


# -- the loss along its gradient -------------------------------------------------------------------


def _landscape(subject: Subject) -> list[float]:
    """Loss, size of its gradient, and what becomes of both after a step along the gradient."""
    recipe, image_set, net = subject.recipe, subject.image_set, _by_batch(subject.net)
    num = min(_NUM_BATCHES * recipe.batch_size, len(subject.train_split))
    few = image_set.balanced(subject.train_split, num)
    few = few[torch.randperm(num).to(few.labels.device)]
    parameters = list(net.parameters())
    start = [p.detach().clone() for p in parameters]
    rows = []
    for batch in map(few.__getitem__, torch.arange(num).split(recipe.batch_size)):
        loss, gradient = _loss_and_gradient(net, image_set, batch, recipe)
        size = max(_length(gradient), 1 / CEILING)
        losses, turns = [], []
        for step in STEPS:
            _put(parameters, [w - step * g for w, g in zip(start, gradient, strict=True)])
            there, other = _loss_and_gradient(net, image_set, batch, recipe)
            losses.append(_finite(there - loss))
            turn = _length([b - a for a, b in zip(gradient, other, strict=True)])
            turns.append(_finite(turn / size))
        _put(parameters, start)
        rows.append([loss, size, *losses, *turns])
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _loss_and_gradient(
    net: nn.Module, image_set: ImageSet, batch: Split, recipe: Recipe
) -> tuple[float, list[Tensor]]:
    with in_precision(batch.labels.device, recipe.precision):
        scores = net(image_set.normalize(batch.images))
    loss = F.cross_entropy(scores.float(), batch.labels)
    return loss.item(), list(torch.autograd.grad(loss, list(net.parameters())))


def _put(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for p, value in zip(parameters, values, strict=True):
            p.copy_(value)


def _length(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(t.detach().double().square().sum()) for t in tensors))


# -- weights ---------------------------------------------------------------------------------------


def before_norms(net: nn.Module) -> list[Tensor]:
    """List the weights of convolutions whose maps go into a norm, cut as it cuts them.

    A max pool may stand between: it passes lengths on. The length of each piece does not matter to
    what the norm gives. A piece is what makes one channel under batch norm, and all channels of one
    group under group norm.
    """
    pieces: list[Tensor] = []
    for parent in net.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        layers = [m for m in parent.children() if not isinstance(m, nn.MaxPool2d)]
        for layer, norm in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, _NORMS):
                pieces += layer.weight.chunk(_groups(norm))
    return pieces


_NORMS = nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm


def _groups(norm: nn.Module) -> int:
    """Count the groups of channels that share no statistics."""
    if isinstance(norm, nn.BatchNorm2d):
        return norm.num_features
    return norm.num_groups if isinstance(norm, nn.GroupNorm) else 1


def _weights(subject: Subject) -> tuple[float, ...]:
    """Fractions of exact zeros, lengths, and what the rate is multiplied with on the sphere."""
    every, free = weights(subject.net), before_norms(subject.net)
    lengths_of_free = [n for n in (_length([w]) for w in free) if n]
    factor = median(n**-2 for n in lengths_of_free) if lengths_of_free else 0.0
    zeros = (_zeros(some) for some in (every, scales(subject.net)))
    return (*zeros, _length(every), _length(free), factor)


def _zeros(tensors: Sequence[Tensor]) -> float:
    total = sum(t.numel() for t in tensors)
    return sum(int((t == 0).sum()) for t in tensors) / max(1, total)


PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "statistics": Probe(
            columns=("batch_loss", "batch_accuracy", "precise_loss", "precise_accuracy"),
            take=_statistics,
        ),
        "last-statistics": Probe(
            columns=(
                *("last_batch_loss", "last_batch_accuracy"),
                *("last_precise_loss", "last_precise_accuracy"),
            ),
            take=_statistics,
            last_only=True,
        ),
        "corruptions": Probe(
            columns=tuple(name for shift in SHIFTS for name in (shift, f"{shift}, batch")),
            take=lambda subject: tuple(_corruptions(subject)),
            last_only=True,
        ),
        "landscape": Probe(
            columns=(
                *("loss", "gradient"),
                *(f"loss_change_{step:g}" for step in STEPS),
                *(f"gradient_change_{step:g}" for step in STEPS),
            ),
            take=_landscape,
        ),
        "weights": Probe(
            columns=("zero_weights", "zero_scales", "length", "length_before_norms", "rate_factor"),
            take=_weights,
        ),
    }
)
"""Every probe, by the name that a recipe gives.

``statistics``: loss and accuracy of the scored images when batch norm takes the statistics of their
own batches, and when it has precise ones (:func:`make_precise`). ``last-statistics``: the same,
after the last epoch alone, for small batches, which take long to be scored. ``corruptions``:
accuracy on shifted images. ``landscape``: over some training batches, the loss, the length of its
gradient, and for each of :data:`STEPS` how much the loss changes, and by what part of its length
the gradient does. ``weights``: fractions of weights and of scales that are exactly 0; lengths (L2)
of all weights and of the pieces of :func:`before_norms`; and the median of 1 / length^2 over these,
which makes a learning rate an effective one (van Laarhoven 2017, https://arxiv.org/abs/1706.05350).
"""
