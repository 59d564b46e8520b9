"""Outcomes of trainings that nobody made, for tests of what becomes of them."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from normstudy.study import probes
from normstudy.study.data import FACTS
from normstudy.study.recipes import Recipe
from normstudy.study.train import COLUMNS, Outcome


def make_up(recipe: Recipe, **_: Any) -> Outcome:
    """Yield an outcome that depends on the recipe alone, in no time.

    Two trainings that differ in their number of epochs begin alike.
    """
    seed = int.from_bytes(hashlib.sha256(replace(recipe, epochs=1).name.encode()).digest()[:4])
    rng = np.random.default_rng(seed)
    facts = FACTS[recipe.data]
    num_scored = facts.num_held_out if recipe.validation else facts.num_test
    kept = num_scored if recipe.keeps_answers else 0
    columns = zip(*rng.random((recipe.epochs, len(COLUMNS))).tolist(), strict=True)
    history = dict(zip(COLUMNS, map(list, columns), strict=True))
    history["epoch"] = list(range(1, recipe.epochs + 1))
    return Outcome(
        history=history,
        num_scored=num_scored,
        predictions=rng.integers(0, 10, kept),
        confidences=rng.random(kept, dtype=np.float32),
        clean_train={"loss": rng.random(), "accuracy": rng.random()},
        weight_quantiles=np.sort(rng.random(1001, dtype=np.float32)),
        probed={
            name: rng.random(count).tolist()
            for name, count in probes.lengths(recipe, recipe.epochs).items()
        },
    )
