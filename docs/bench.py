"""Time the trainer beside the alternatives, and each norm alone: ``nox -s bench``.

Writes ``docs/timings``: ``loops.json``, ``layers.json``, ``starts.json``, ``processes.json``,
``cluster.json`` and, where there is a GPU, ``gpu.json``. Nothing else should run on the machine
meanwhile. The textbook loop is what most tutorials have: torchvision's transforms of single images
in a DataLoader, maps in PyTorch's default layout, torch's own norms, the loss read back at each
step.
"""

import argparse
import datetime as dt
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_cluster
import bench_gpu
import lightning
import torch
from bench_process import ARMS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.datasets import CIFAR10
from torchvision.transforms import v2
from tqdm import tqdm

from normstudy.study import data, files
from normstudy.study.batchnorm import fold
from normstudy.study.environment import SLOW, describe, pick_device, slowdown
from normstudy.study.groupnorm import ChannelsLastGroupNorm
from normstudy.study.model import make_norm
from normstudy.study.optimize import l1_penalty
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import evaluate, in_precision
from normstudy.study.timings import TIMINGS, Case, Timings, interleave, ratios
from normstudy.study.train import _one_epoch, _start, build

STEPS = 16  # of each case and round: two to six seconds
SCORED = 5_000  # images
OWN_STEPS = 32  # of a process of its own
PROCESS = Path(__file__).with_name("bench_process.py")
SHAPES = ((128, 48, 16, 16), (128, 72, 8, 8), (128, 96, 4, 4))  # maps of the main network


def textbook_norms(module: nn.Module) -> nn.Module:
    """Put torch's own group norm in the place of ours, with the same parameters."""
    for name, child in module.named_children():
        if isinstance(child, ChannelsLastGroupNorm):
            plain = nn.GroupNorm(child.num_groups, child.num_channels)
            plain.load_state_dict(child.state_dict())
            setattr(module, name, plain)
        else:
            textbook_norms(child)
    return module


def textbook_batches(num_workers: int) -> DataLoader[Any]:
    """Load the textbook's batches; workers stay, so that no round but the first starts them."""
    image_set = data.load("cifar10")
    mean, std = (image_set.mean / 255).tolist(), (image_set.std / 255).tolist()
    treat = v2.Compose(
        [
            v2.RandomCrop(32, padding=4, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    images = CIFAR10(str(files.data_root()), train=True, transform=treat)
    return DataLoader(
        Subset(images, range(128 * STEPS)),
        batch_size=128,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )


def timed(work: Callable[[], None], count: int) -> float:
    """Return the seconds that some work takes, for each of ``count`` things."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / count


class Textbook(lightning.LightningModule):
    """Network, loss and optimizer as tutorials have them; also what Lightning trains."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = textbook_norms(build(recipe, data.load("cifar10")))

    def training_step(self, batch: tuple[Tensor, Tensor], *_: Any) -> Tensor:
        """Compute the loss of a batch."""
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels)
        return loss + l1_penalty(self.net, self.recipe) if self.recipe.l1 else loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer of the study, without its groups of parameters."""
        r = self.recipe
        return torch.optim.SGD(
            self.parameters(),
            lr=r.lr,
            momentum=r.momentum,
            weight_decay=r.weight_decay,
            nesterov=r.nesterov,
        )

    def loop(self, batches: DataLoader[Any]) -> None:
        """Train for one pass."""
        optimizer, running = self.configure_optimizers(), 0.0
        self.train()
        for batch in batches:
            loss = self.training_step(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()


class Stopwatch(lightning.Callback):
    """Times the steps of a training, without what comes before and after them."""

    def on_train_epoch_start(self, *_: Any) -> None:
        """Begin."""
        self.began = time.perf_counter()

    def on_train_epoch_end(self, *_: Any) -> None:
        """End."""
        self.seconds = time.perf_counter() - self.began


def with_lightning(module: Textbook, batches: DataLoader[Any]) -> float:
    """Train for one pass with PyTorch Lightning, everything switched off that can be."""
    watch = Stopwatch()
    trainer = lightning.Trainer(
        callbacks=[watch],
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches)
    return watch.seconds / (128 * STEPS)


def study_epoch(recipe: Recipe) -> Callable[[], float]:
    """Prepare an epoch of the study's own trainer on as many images; its training part is timed."""
    image_set = data.load("cifar10")
    few = replace(image_set, train=image_set.train[slice(0, 128 * STEPS)])
    state = _start(replace(recipe, epochs=1_000), few, torch.device("cpu"))
    state.score_split = image_set.test[slice(0, 250)]

    def epoch() -> float:
        _one_epoch(state, 1, tqdm(disable=True))
        return 1 / state.history["images_per_second"][-1]

    return epoch


def bare_step(recipe: Recipe) -> Callable[[], None]:
    """Prepare forward, backward and update on one batch that is there already, and nothing else."""
    image_set = data.load("cifar10")
    state = _start(recipe, image_set, torch.device("cpu"))
    part = image_set.train[slice(0, 128)]
    images = image_set.normalize(part.images)

    def steps() -> None:
        state.net.train()
        for _ in range(STEPS):
            with in_precision(images.device, recipe.precision):
                scores = state.net(images)
            loss = F.cross_entropy(scores.float(), part.labels)
            if recipe.l1:
                loss = loss + l1_penalty(state.net, recipe)
            state.optimizer.zero_grad()
            loss.backward()
            state.optimizer.step()

    return steps


def evaluation(recipe: Recipe, *, folded: bool = False) -> Callable[[], None]:
    """Prepare the scoring of test images, with batch norms folded into convolutions if asked."""
    image_set = data.load("cifar10")
    net = _start(recipe, image_set, torch.device("cpu")).net
    if folded:
        fold(net)
    part = image_set.test[slice(0, SCORED)]

    def score() -> None:
        evaluate(net, image_set, part, recipe.precision)

    return score


def arithmetic(recipe: Recipe) -> Callable[[], float]:
    """Prepare as many multiplications as a step has, in the form that the machine does fastest.

    Backward has twice those of forward: the gradients of the weights, and of the maps. (What the
    counter says of backward is wrong for depthwise convolutions.)
    """
    net = build(recipe, data.load("cifar10"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))
    square, repeats = torch.randn(1024, 1024), 16
    share: float = 3 * counter.get_total_flops() / (2 * 1024**3)  # of one product of such squares

    def products() -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            square @ square
        return share * (time.perf_counter() - began) / repeats

    return products


def loops() -> dict[Case, Callable[[], float]]:
    """Every way to train, with every arm; each case returns seconds an image."""
    serial, parallel = textbook_batches(0), textbook_batches(2)
    cases: dict[Case, Callable[[], float]] = {}
    count = 128 * STEPS
    bfloat16 = slowdown(torch.device("cpu")) < SLOW
    for arm, recipe in ARMS.items():
        module = Textbook(recipe)
        cases["textbook loop", arm] = partial(timed, partial(module.loop, serial), count)
        cases["textbook loop, 2 workers", arm] = partial(
            timed, partial(module.loop, parallel), count
        )
        cases["PyTorch Lightning", arm] = partial(with_lightning, module, serial)
        cases["normstudy", arm] = study_epoch(recipe)
        if bfloat16:
            low = replace(recipe, precision="bfloat16")
            cases["normstudy in bfloat16", arm] = study_epoch(low)
            cases["bare step in bfloat16", arm] = partial(timed, bare_step(low), count)
        cases["bare step", arm] = partial(timed, bare_step(recipe), count)
        cases["arithmetic alone", arm] = arithmetic(recipe)
        cases["evaluation", arm] = partial(timed, evaluation(recipe), SCORED)
    cases["evaluation, folded", "Batch norm"] = partial(
        timed, evaluation(ARMS["Batch norm"], folded=True), SCORED
    )
    return cases


def layers() -> dict[Case, Callable[[], float]]:
    """Each norm alone on each kind of map, forward and backward; each case is seconds a call."""
    cases: dict[Case, Callable[[], float]] = {}
    dtypes = {"": torch.float32, ", bfloat16": torch.bfloat16}
    kinds = {"Batch norm": "batch", "Group norm": "group", "Layer norm": "layer"}
    kinds |= {"Instance norm": "instance"}
    layouts = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}
    for shape, (layout, memory_format), (precision, dtype) in itertools.product(
        SHAPES, layouts.items(), dtypes.items()
    ):
        x = torch.randn(shape).to(dtype, memory_format=memory_format).requires_grad_()
        gradient = torch.randn_like(x)
        place = f"{' × '.join(map(str, shape[1:]))}, {layout}{precision}"
        for arm, norm in kinds.items():
            ours = make_norm(norm, shape[1], 8)
            for owner in ("", ", torch's own") if norm != "batch" else ("",):
                layer = textbook_norms(nn.Sequential(ours))[0] if owner else ours  # type: ignore[index]
                cases[f"training, {place}{owner}", arm] = partial(
                    timed, partial(_both_ways, layer, x, gradient), 8
                )
                cases[f"inference, {place}{owner}", arm] = partial(
                    timed, partial(_forward, layer, x), 8
                )
        cases[f"training, {place}", "copy"] = partial(timed, partial(_copy, x), 8)
    return cases | pools()


def pools() -> dict[Case, Callable[[], float]]:
    """The way back through the main network's first pool, for a gradient in either layout."""
    maps = torch.randn(128, 24, 32, 32).to(torch.bfloat16, memory_format=torch.channels_last)
    pooled = F.max_pool2d(maps.requires_grad_(), 2)
    alike = torch.randn_like(pooled)

    def back(gradient: Tensor) -> None:
        for _ in range(8):
            torch.autograd.grad(pooled, maps, gradient, retain_graph=True)

    gradients = {"channels-last": alike, "contiguous": alike.contiguous()}
    return {
        (f"backward, gradient {layout}", "max pool"): partial(timed, partial(back, gradient), 8)
        for layout, gradient in gradients.items()
    }


def _both_ways(layer: nn.Module, x: Tensor, gradient: Tensor) -> None:
    layer.train()
    for _ in range(8):
        torch.autograd.grad(layer(x), [x, *layer.parameters()], gradient)


def _forward(layer: nn.Module, x: Tensor) -> None:
    layer.eval()
    with torch.inference_mode():
        for _ in range(8):
            layer(x)


def _copy(x: Tensor) -> None:
    """Read and write every value once: no layer can be faster."""
    with torch.inference_mode():
        for _ in range(8):
            x.clone(memory_format=torch.preserve_format)


def starts() -> dict[Case, Callable[[], float]]:
    """From the start of Python to the end of the first step; each case returns seconds."""
    return {
        ("until the first step", arm): partial(own_process, "first", arm, steps=0) for arm in ARMS
    }


def processes() -> dict[Case, Callable[[], float]]:
    """Trainings one after the other, or side by side; each case returns seconds an image."""
    cases: dict[Case, Callable[[], float]] = {}
    for arm in ARMS:
        cases["one at a time, two threads", arm] = partial(own_process, "each", arm, threads=2)
    for arm in ("Batch norm", "Group norm"):
        cases["two at a time, one thread each", arm] = partial(own_process, "each", arm, crew=2)
    return cases


def own_process(
    what: str, arm: str, *, threads: int = 1, crew: int = 1, steps: int = OWN_STEPS
) -> float:
    """Start processes that train, and return the seconds that they report, shared by the crew."""
    command = [sys.executable, str(PROCESS), arm, str(steps), str(time.time())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(crew)
    ]
    told: list[dict[str, float]] = [json.loads(process.communicate()[0]) for process in started]
    MEMORY[arm] = max(MEMORY.get(arm, 0), *(int(of_one["peak"]) for of_one in told))
    return max(of_one[what] for of_one in told) / crew


MEMORY: dict[str, int] = {}


def main() -> None:
    """Time everything, write it and print the ratios."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    made = {
        "loops": (loops, "image", 11),
        "layers": (layers, "call", 5),
        "starts": (starts, "process", 3),
        "processes": (processes, "image", 3),
        "cluster": (bench_cluster.cases, "run", 15),
        "gpu": (bench_gpu.cases, "case", 3),
    }
    parser.add_argument("--rounds", type=int, help="how often each case is timed")
    parser.add_argument("--only", choices=list(made))
    options = parser.parse_args()
    for name, (prepare, per, rounds) in made.items():
        if options.only in (None, name) and (cases := prepare()):
            timings = Timings(
                name=name,
                per=per,
                seconds=interleave(cases, options.rounds or rounds),
                environment=describe(pick_device("cuda" if name == "gpu" else "cpu")),
                date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
                memory=MEMORY if name == "processes" else {},
                accuracy=bench_gpu.ACCURACY if name == "gpu" else {},
            )
            timings.save(TIMINGS)
            if name == "loops":
                for under in ("textbook loop", "bare step"):
                    sys.stdout.write(f"{ratios(timings, under)}\n\n")


if __name__ == "__main__":
    main()
