"""A training in a process of its own, timed from the start of Python: ``docs/bench.py`` starts it.

Arguments: the arm, the steps after the first, the time at which the process was started.
"""

import json
import resource
import sys
import time
from dataclasses import replace

import torch
from tqdm import tqdm

from normstudy.study import data
from normstudy.study.recipes import Recipe
from normstudy.study.scoring import evaluate
from normstudy.study.train import _one_epoch, _start

BASE = Recipe(net="pyramid", init="he", precision="float32", lr=0.05)
ARMS = {
    "Batch norm": BASE,
    "Batch norm + L1": replace(BASE, l1=3e-5),
    "Group norm": replace(BASE, norm="group", num_groups=8),
    "Layer norm": replace(BASE, norm="layer"),
    "Instance norm": replace(BASE, norm="instance"),
    "No norm": replace(BASE, norm="none"),
}


def main() -> None:
    """Train, score training images, print times and memory."""
    arm, steps, began = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    image_set = data.load("cifar10")
    first = replace(image_set, train=image_set.train[slice(0, 128)])
    state = _start(replace(ARMS[arm], epochs=1_000), first, torch.device("cpu"))
    state.score_split = image_set.test[slice(0, 1)]
    _one_epoch(state, 1, tqdm(disable=True))
    told: dict[str, float] = {"first": time.time() - began}
    if steps:
        state.train_split = image_set.train[slice(0, 128 * steps)]
        _one_epoch(state, 2, tqdm(disable=True))
        told["each"] = 1 / state.history["images_per_second"][-1]
        evaluate(state.net, image_set, state.train_split, state.recipe.precision)
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # from KiB, on Linux
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
