"""One recipe in, one history and one set of predictions out."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from normstudy.study import checkpoints, data, environment, probes
from normstudy.study.data import ImageSet, Split
from normstudy.study.descent import Descent, show
from normstudy.study.model import Net
from normstudy.study.optimize import weights
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import evaluate, loss_and_accuracy


def _counts_weights(probe: str) -> bool:
    return "weights" in probe.split("+")


def _is_few(batch_size: int) -> bool:
    return batch_size <= 8


CHANGES: tuple[tuple[Mapping[str, tuple[Any, ...] | Callable[[Any], bool]], str], ...] = (
    ({}, "the first published numbers"),
    ({"norm": ("group", "instance")}, "group norm computes on contiguous maps"),
    ({"norm": ("group", "layer", "instance"), "precision": ("float32",)}, "safe at large means"),
    ({"net": ("study-b", "study-c", "study-e")}, "dropout of maps draws gaps"),
    ({"jitter": bool}, "brightness is a factor, before an image is turned"),
    ({"probe": _counts_weights}, "lengths are those of the pieces that a norm divides"),
    (
        {
            "norm": ("group", "layer", "instance"),
            "precision": ("float32",),
            "batch_size": _is_few,
        },
        "few images at a time go by way of contiguous maps",
    ),
    (  # under a norm only where a batch, or the last one of an epoch, has at most eight images
        {
            "net": ("separable",),
            "norm": ("group", "layer", "instance", "none"),
            "precision": ("float32",),
        },
        "gradients of blocks and norms lie in memory as their maps do",
    ),
)
"""What altered the numbers of recipes: of which, by field and values, and why. Only ever extended.

Values are listed, or told by a function. ``{}`` means all. The version of a recipe's numbers is how
many of these apply to it, and a run carries it. A change that moves a golden run gets a line here,
and the published runs that it touches are trained again.
"""

COLUMNS = (
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "penalty",
    "seconds",
    "images_per_second",
)
QUANTILES = np.linspace(0, 1, 1001)
CONFIDENCE_STEP = 2.0**-14
"""Confidences are kept in these steps: finer than tables show, and records are a third smaller."""


def in_steps(confidences: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round confidences to the steps in which they are kept."""
    return np.asarray(CONFIDENCE_STEP * np.round(confidences / CONFIDENCE_STEP), np.float32)


def numbers_version(recipe: Recipe) -> int:
    """Count the lines of :data:`CHANGES` that apply to a recipe."""
    values = recipe.to_dict()
    return sum(
        all(of(values[name]) if callable(of) else values[name] in of for name, of in which.items())
        for which, _ in CHANGES
    )


class DivergedError(RuntimeError):
    """The loss of a training is no longer a finite number."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outcome:
    """What a training yields.

    Attributes
    ----------
    history
        One list per name in ``COLUMNS``, one value an epoch. Losses are mean cross-entropies in
        nats without the penalty; accuracies are fractions. The ``train`` columns are gathered while
        the weights move, on augmented images with dropout; ``penalty`` is the mean of lambda times
        the L1 norm over the steps; ``images_per_second`` counts the training part of the epoch.
    num_scored
        Number N of the images that were scored.
    predictions, confidences
        Predicted class and its softmax probability, in steps of ``CONFIDENCE_STEP``, for each test
        image, shape (N,); (0,) where the recipe says that none are kept.
    clean_train
        Loss and accuracy over all training images after the last epoch, as the scored images are
        treated: no augmentation, evaluation mode.
    weight_quantiles
        The ``QUANTILES`` of ``|w|`` over convolution and linear weights after the last epoch.
    probed
        What the recipe's probes found: one list per column of :mod:`normstudy.study.probes`, one
        value an epoch, or one in all.
    """

    history: dict[str, list[float]]
    num_scored: int
    predictions: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float32]
    clean_train: dict[str, float]
    weight_quantiles: npt.NDArray[np.float32]
    probed: dict[str, list[float]] = field(default_factory=dict)


def build(recipe: Recipe, image_set: ImageSet) -> Net:
    """Build the network of a recipe for a data set, with initial weights from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        return Net(
            recipe.norm,
            recipe.num_groups,
            net=recipe.net,
            in_channels=image_set.in_channels,
            num_classes=len(image_set.classes),
            dropout=recipe.dropout,
            size=image_set.size,
            init=recipe.init,
            channels_per_group=recipe.channels_per_group,
            ghost_batch=recipe.ghost_batch,
            bn_momentum=recipe.bn_momentum,
        )


@dataclass(slots=True, kw_only=True)
class _Training(Descent):
    """A training in progress: what is trained, what it is scored on, and what was found so far."""

    score_split: Split
    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    probed: dict[str, list[float]] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Collect what must be equal for the numbers to be those of one machine, to the bit."""
        return {
            "recipe": self.recipe.to_dict(),
            "numbers_version": numbers_version(self.recipe),
            "data": data.FACTS[self.recipe.data].md5,
            "processor": environment.processor(),
            **environment.rounding(self.device),
        }

    def state(self) -> dict[str, Any]:
        """Collect everything that moves."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "random": torch.random.get_rng_state(),
            "gpu_random": torch.cuda.get_rng_state(self.device) if self.on_gpu else None,
            "history": self.history,
            "probed": self.probed,
        }

    def take_up(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; one that does not fit raises almost anything."""
        history: dict[str, list[float]] = state["history"]
        done = len(history["epoch"])
        if list(history) != list(COLUMNS) or {*map(len, history.values())} != {done}:
            msg = "its history is not whole"
            raise ValueError(msg)
        if not 0 < done < self.recipe.epochs:
            msg = f"it has {done} of {self.recipe.epochs} epochs"
            raise ValueError(msg)
        probed: dict[str, list[float]] = state["probed"]
        if {name: len(column) for name, column in probed.items()} != probes.lengths(
            self.recipe, done
        ):
            msg = "its measurements are not whole"
            raise ValueError(msg)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        torch.random.set_rng_state(state["random"].cpu())
        if self.on_gpu:
            torch.cuda.set_rng_state(state["gpu_random"].cpu(), self.device)
        self.history, self.probed = history, probed

    def probe(self) -> None:
        """Take the measurements that the recipe names; what was trained stays as it is."""
        subject = probes.Subject(
            net=self.net,
            image_set=self.image_set,
            train_split=self.train_split,
            score_split=self.score_split,
            recipe=self.recipe,
        )
        last = len(self.history["epoch"]) == self.recipe.epochs
        for name, value in probes.measure(subject, last=last).items():
            self.probed.setdefault(name, []).append(value)


def train(
    recipe: Recipe,
    *,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Outcome:
    """Train the network of a recipe, from its first to its last epoch.

    SGD with momentum, its learning rate stepped per batch: by default Nesterov's momentum and one
    cycle (Smith & Topin 2019, https://arxiv.org/abs/1708.07120). The data are held on the device. A
    GPU gets an epoch's random numbers at its start and is read at its end, and repeats the step as
    a CUDA graph where that can be recorded (:mod:`normstudy.study.cudagraphs`).

    Parameters
    ----------
    recipe
        Everything that decides the result. On the CPU, the same recipe and number of threads give
        the same numbers to the bit.
    device
        ``"auto"`` takes a GPU where there is one; else ``"cpu"`` or ``"cuda"``.
    checkpoint
        File that is written after each epoch. One that is there at the start is taken up where that
        yields the numbers of an uninterrupted training, to the bit, and else told and not used.
    progress
        Show on standard error where it is trained, and a bar with running loss and accuracy.

    Raises
    ------
    DivergedError
        If a loss is not finite.
    ValueError
        If the device is not there, or the maps are 1x1 where batch norm gets a batch of one image.
    """
    where = environment.pick_device(device)
    image_set = data.load(recipe.data).to(where)
    with environment.own_randomness(where):
        state = _start(recipe, image_set, where, checkpoint)
        done, steps = len(state.history["epoch"]), state.steps
        if progress:
            environment.say_where(where, f"training {recipe.name}")
        with tqdm(
            total=recipe.epochs * steps,
            initial=done * steps,
            desc=recipe.name.rsplit("-", 1)[0],
            disable=not progress,
            unit="step",
        ) as bar:
            for epoch in range(done + 1, recipe.epochs + 1):
                _one_epoch(state, epoch, bar)
                state.probe()
                if checkpoint is not None and epoch < recipe.epochs:
                    checkpoints.write(checkpoint, state.about(), state.state())
    return _outcome(state)


def _start(
    recipe: Recipe, image_set: ImageSet, device: torch.device, checkpoint: Path | None = None
) -> _Training:
    """Everything as it is before the first step, or after the last one that was saved."""
    fresh = _fresh(recipe, image_set, device)
    if checkpoint is None:
        return fresh
    most = 4 * checkpoints.size_of(fresh.net.state_dict()) + (1 << 20)  # momentum, history
    saved = checkpoints.read(checkpoint, fresh.about(), most=most, device=device)
    if saved is not None:
        try:
            fresh.take_up(saved)
        except Exception as error:  # noqa: BLE001 - and leaves it half taken up
            checkpoints.refuse(checkpoint, error)
            return _fresh(recipe, image_set, device)
    return fresh


def _fresh(recipe: Recipe, image_set: ImageSet, device: torch.device) -> _Training:
    """Everything as it is before the first step."""
    train_split, score_split = image_set.train, image_set.test
    if recipe.validation:
        train_split, score_split = image_set.validation_split()
    if recipe.subset:
        train_split = image_set.balanced(train_split, recipe.subset)
    net = build(recipe, image_set)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.manual_seed(recipe.seed)  # dropout draws from PyTorch's own generator
    return _Training(
        recipe=recipe,
        image_set=image_set,
        train_split=train_split,
        score_split=score_split,
        net=net,
        generator=torch.Generator().manual_seed(recipe.seed),
    )


def _one_epoch(state: _Training, epoch: int, bar: "tqdm[Any]") -> None:
    """Train on every image once, score, and append one value to each column of the history."""
    began = time.perf_counter()
    recipe, seen = state.recipe, len(state.train_split)
    if recipe.rebuilt:
        state.begin_anew()
    lr = state.schedule.get_last_lr()[0]
    sums, finite = state.one_epoch(epoch, bar)
    _require_finite(finite, epoch, recipe)
    trained = time.perf_counter() - began
    loss_sum, hits_sum, penalty_sum = sums.tolist()
    show(bar, epoch, sums, seen)
    scores = evaluate(state.net, state.image_set, state.score_split, recipe.precision)
    test_loss, test_accuracy = loss_and_accuracy(scores, state.score_split.labels)
    finite[-1] = math.isfinite(test_loss)  # scores show what the last step broke
    _require_finite(finite, epoch, recipe)
    values = (
        epoch,
        lr,
        loss_sum / seen,
        hits_sum / seen,
        test_loss,
        test_accuracy,
        penalty_sum / seen,
        time.perf_counter() - began,
        seen / trained,
    )
    for name, value in zip(COLUMNS, values, strict=True):
        state.history[name].append(value)


def _require_finite(finite: Tensor, epoch: int, recipe: Recipe) -> None:
    """Stop a training whose loss was not finite at some step of the epoch."""
    if not bool(finite.all()):
        step = int(finite.int().argmin()) + 1
        msg = (
            f"the loss is not finite in epoch {epoch}, step {step}; a smaller lr usually mends "
            f"this. The recipe was {recipe}"
        )
        raise DivergedError(msg)


def _outcome(state: _Training) -> Outcome:
    """Score once more with the last weights, on the scored and on the training images."""
    precision = state.recipe.precision
    scores = evaluate(state.net, state.image_set, state.score_split, precision)
    confidences, predictions = scores.softmax(1).max(1)
    clean = evaluate(state.net, state.image_set, state.train_split, precision)
    loss, accuracy = loss_and_accuracy(clean, state.train_split.labels)
    kept = len(scores) if state.recipe.keeps_answers else 0
    magnitudes = torch.cat([w.detach().flatten() for w in weights(state.net)]).abs()
    return Outcome(
        history=state.history,
        num_scored=len(scores),
        predictions=predictions[:kept].cpu().numpy(),
        confidences=in_steps(confidences[:kept].cpu().numpy()),
        clean_train={"loss": loss, "accuracy": accuracy},
        weight_quantiles=np.quantile(magnitudes.cpu().numpy(), QUANTILES).astype(np.float32),
        probed=state.probed,
    )
