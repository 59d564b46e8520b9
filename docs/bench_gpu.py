"""The main study on a GPU, for ``nox -s bench -- --only gpu``: one run, three arms, all 60 runs.

As a program it trains arms in a process of its own, from cold, and prints their accuracies. Its
arguments: the number of seeds, and the arms.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from normstudy.study import runs
from normstudy.study.recipes import Recipe
from normstudy.study.studies import STUDIES
from normstudy.study.timings import Case
from normstudy.study.train import train

ARMS = STUDIES["main"].recipes()
THREE = ("Batch norm", "Group norm", "Layer norm")
ACCURACY: dict[str, dict[str, list[float]]] = {"on the GPU": {}, "published": {}}
"""Last-epoch test accuracies by arm, of the 60 runs that were timed last, and of published ones."""


def on_gpu(recipe: Recipe) -> Recipe:
    """Let a recipe compute in the precision in which a GPU is fast."""
    return replace(recipe, precision="bfloat16")


def one_run(recipe: Recipe) -> float:
    """Train once in this process and return the seconds."""
    began = time.perf_counter()
    train(on_gpu(recipe), device="cuda", progress=False)
    return time.perf_counter() - began


def from_cold(arms: Sequence[str], seeds: int) -> float:
    """Return the seconds of a process that trains arms, from its start to its end."""
    began = time.perf_counter()
    command = [sys.executable, __file__, str(seeds), *arms]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    seconds = time.perf_counter() - began
    if seeds > 1:  # one says nothing of the noise
        ACCURACY["on the GPU"] = json.loads(told)
    return seconds


def cases() -> dict[Case, Callable[[], float]]:
    """Return what is timed, each case in seconds of the whole; nothing where there is no GPU."""
    if not torch.cuda.is_available():
        sys.stdout.write("gpu: PyTorch sees no GPU here, so nothing is timed on one\n")
        return {}
    for arm, recipes in ARMS.items():
        found = (runs.find(recipe, runs.PUBLISHED) for recipe in recipes)
        ACCURACY["published"][arm] = [run.accuracy for run in found if run is not None]
    timed: dict[Case, Callable[[], float]] = {
        ("one run, after a first one", arm): partial(one_run, ARMS[arm][0]) for arm in THREE
    }
    timed["three versions, from cold", "all three"] = partial(from_cold, THREE, 1)
    timed["60 runs, from cold", "all arms"] = partial(from_cold, [*ARMS], 10)
    return timed


def main() -> None:
    """Train the arms that are named, as a study does, and print the accuracies of each."""
    seeds, arms = int(sys.argv[1]), sys.argv[2:]
    wanted = [on_gpu(recipe) for arm in arms for recipe in ARMS[arm][:seeds]]
    with tempfile.TemporaryDirectory() as folder:
        made = runs.run_all(
            wanted, folder=Path(folder), device="cuda", progress=False, retrain=True
        )
    accuracies = iter([run.accuracy for run in made])
    told = {arm: [next(accuracies) for _ in range(seeds)] for arm in arms}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
