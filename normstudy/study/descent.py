"""A network on its way down: a step on every batch, on a GPU without ever waiting for it."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from normstudy.study import data
from normstudy.study.cudagraphs import Recorder, can_record
from normstudy.study.data import ImageSet, Split
from normstudy.study.model import Net
from normstudy.study.optimize import descend, make_optimizer, make_schedule
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import in_precision


@dataclass(slots=True, kw_only=True)
class Descent:
    """What is trained on what, and what moves with it.

    Attributes
    ----------
    recipe, image_set, train_split, net
        The network is trained on the split, and lies where that lies.
    generator
        Source of the order of the images and of their augmentation, on the CPU on every device.
    optimizer, schedule
        What moves the weights, and how fast at each step.
    recorder
        Repeats the step on a GPU.
    """

    recipe: Recipe
    image_set: ImageSet
    train_split: Split
    net: Net
    generator: torch.Generator
    optimizer: SGD = field(init=False)
    schedule: LRScheduler = field(init=False)
    recorder: Recorder = field(default_factory=Recorder, init=False)

    def __post_init__(self) -> None:
        """Build optimizer and schedule."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Build optimizer and schedule again, as they are before the first step."""
        self.optimizer = make_optimizer(self.net, self.recipe)
        self.schedule = make_schedule(self.optimizer, self.recipe, self.recipe.epochs * self.steps)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.train_split) / self.recipe.batch_size)

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self.train_split.labels.device

    @property
    def on_gpu(self) -> bool:
        """Whether the processor runs ahead of what computes, and should not wait for it."""
        return self.device.type == "cuda"

    def one_epoch(self, epoch: int, bar: "tqdm[Any]") -> tuple[Tensor, Tensor]:
        """Take a step on every batch, in a new order.

        A GPU gets the random numbers of the whole epoch at its start, which are those of the CPU,
        and nothing is read back from it before the end.

        Parameters
        ----------
        epoch
            Number of the epoch, for the bar.
        bar
            Moves with every step, and on the CPU shows running means.

        Returns
        -------
        tuple
            Sums of loss, hits and penalty over all images, shape (3,), float64; and for each step
            whether its loss was finite, shape (steps,). Both lie on the device.
        """
        split, device = self.train_split, self.device
        order = torch.randperm(len(split), generator=self.generator).to(device)
        batches = order.split(self.recipe.batch_size)
        draw = partial(data.draw, self.image_set, recipe=self.recipe, generator=self.generator)
        draws = map(draw, map(len, batches))
        recorded = self.on_gpu and can_record(self.recipe)
        sums, seen = torch.zeros(3, dtype=torch.float64, device=device), 0
        finite = torch.ones(len(batches), dtype=torch.bool, device=device)
        self.net.train()
        for step, (index, drawn) in enumerate(
            zip(batches, data.moved_at_once(draws, device) if self.on_gpu else draws, strict=True)
        ):
            lr = float(self.schedule.get_last_lr()[0])
            if recorded:
                rate = torch.full((), lr, device=device)
                told = self.recorder.take(self._step, index=index, lr=rate, **drawn)
            else:
                told = self._step(index=index, lr=lr, **drawn)
            self.schedule.step()
            seen += len(index)
            sums += told[:3]
            finite[step] = torch.isfinite(told[3])
            bar.update()
            if step % 20 == 0 and not self.on_gpu:
                show(bar, epoch, sums, seen)
        return sums, finite

    def _step(self, *, index: Tensor, lr: float | Tensor, **drawn: Tensor) -> Tensor:
        """Take one step on a batch: sums of loss, hits and penalty; the mean of both losses."""
        images = data.augment(self.image_set, self.train_split, index, drawn)
        labels, num = self.train_split.labels[index], len(index)
        with in_precision(self.device, self.recipe.precision):
            scores = self.net(images)
        loss = F.cross_entropy(scores.float(), labels)
        penalty = descend(self.net, self.optimizer, self.recipe, loss, lr)
        with torch.no_grad():
            hits = (scores.argmax(1) == labels).sum()
            return torch.stack([loss * num, hits, penalty * num, loss + penalty])


def show(bar: "tqdm[Any]", epoch: int, sums: Tensor, seen: int) -> None:
    """Show running means on the bar; this waits for a GPU.

    Parameters
    ----------
    bar
        Where to.
    epoch
        Number of the epoch.
    sums
        Sums of loss and hits, and whatever else, over the images so far.
    seen
        Number of these images.
    """
    loss, hits = sums.tolist()[:2]
    bar.set_postfix(epoch=epoch, loss=f"{loss / seen:.3f}", accuracy=f"{hits / seen:.1%}")
