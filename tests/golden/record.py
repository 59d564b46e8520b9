"""Record the golden runs again: ``python tests/golden/record.py``, where normstudy is installed.

Call it only when a change is meant to alter numbers: then add a line to ``CHANGES`` in
normstudy/study/train.py first, and train the published runs that it touches again.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from normstudy.study.recipes import Recipe
from normstudy.study.train import numbers_version, train

FOLDER = Path(__file__).parent
BASE = Recipe(
    data="digits",
    num_groups=4,
    epochs=2,
    batch_size=144,
    l1=1e-4,
    dropout=0.1,
    crop=1,
    rotation=5.0,
    translation=0.05,
    scaling=0.05,
    jitter=0.1,
    precision="float32",
)
RATES = {"batch": 0.02, "group": 0.1, "layer": 0.1, "instance": 0.1, "none": 0.3}
RECIPES = {norm: replace(BASE, norm=norm, lr=RATES[norm]) for norm in RATES}
COLUMNS = ("lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "penalty")


def measure(recipe: Recipe) -> dict[str, Any]:
    """Train and return what is compared: the history, and the quartiles of the weights."""
    made = train(recipe, device="cpu", progress=False)
    history = {name: made.history[name] for name in COLUMNS}
    return {"history": history, "weights": made.weight_quantiles[::250].tolist()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for norm, recipe in RECIPES.items():
        record = {
            "numbers_version": numbers_version(recipe),
            "torch": torch.__version__,
            "recipe": recipe.to_dict(),
            **measure(recipe),
        }
        (FOLDER / f"{norm}.json").write_text(json.dumps(record, indent=1) + "\n")
