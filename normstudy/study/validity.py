"""What the record of a run must hold, by its recipe and data set: no checksum can know that."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from normstudy.study.data import FACTS
from normstudy.study.probes import lengths
from normstudy.study.recipes import Recipe
from normstudy.study.store import Arrays
from normstudy.study.train import COLUMNS, QUANTILES

_FRACTIONS = {"train_accuracy", "test_accuracy", "accuracy"}


def check(recipe: Recipe, record: Mapping[str, Any], arrays: Arrays) -> None:
    """Refuse a record that no training of its recipe can have left.

    Parameters
    ----------
    recipe
        What the record says was trained.
    record
        Its values: ``environment``, ``history``, ``num_scored`` and ``clean_train``, and with a
        probe ``probed``.
    arrays
        Its arrays: ``predictions``, ``confidences`` and ``weight_quantiles``.

    Raises
    ------
    ValueError
        If something is missing, of another kind, size or range; the message says what.
    """
    facts = FACTS[recipe.data]
    _check_environment(record["environment"], facts.md5)
    _check_history(record["history"], recipe.epochs)
    _check_probed(record.get("probed", {}), lengths(recipe, recipe.epochs))
    _check_numbers("clean_train", record["clean_train"], ("loss", "accuracy"))
    scored = facts.num_held_out if recipe.validation else facts.num_test
    _require(record["num_scored"] == scored, f"num_scored is {record['num_scored']}, not {scored}")
    kept = scored if recipe.keeps_answers else 0
    shapes = {"predictions": (kept,), "confidences": (kept,), "weight_quantiles": QUANTILES.shape}
    for name, shape in shapes.items():
        found = arrays[name].shape
        _require(found == shape, f"{name} have the shape {found}, not {shape}")
    most = max(arrays["predictions"], default=0)
    _require(most < len(facts.classes), f"a prediction is {most}, of {len(facts.classes)} classes")
    sure = arrays["confidences"]
    _require(bool(((sure > 0) & (sure <= 1 + 1e-6)).all()), "a confidence is outside (0, 1]")
    sizes = arrays["weight_quantiles"]
    grow = bool(np.isfinite(sizes).all() and (sizes >= 0).all() and (np.diff(sizes) >= 0).all())
    _require(grow, "weight_quantiles do not grow from 0 or above")


def _check_environment(found: Any, md5: str) -> None:
    _require(isinstance(found, dict), "the environment is none")
    for name, kind in (("torch", str), ("device", str), ("threads", int), ("data_md5", str)):
        _require(isinstance(found.get(name), kind), f"the environment says nothing of {name}")
    _require(found["data_md5"] == md5, f"it was trained on other data (MD5 {found['data_md5']})")


def _check_history(found: Any, epochs: int) -> None:
    _require(isinstance(found, dict) and {*found} == {*COLUMNS}, "the history has other columns")
    for name, column in found.items():
        right = isinstance(column, list) and len(column) == epochs
        _require(right, f"the history of {name} is not that of {epochs} epochs")
    for row in zip(*found.values(), strict=True):
        _check_numbers("history", dict(zip(found, row, strict=True)), COLUMNS)
    _require(found["epoch"] == list(range(1, epochs + 1)), "the epochs are not counted from 1")


def _check_probed(found: Any, expected: Mapping[str, int]) -> None:
    right = isinstance(found, dict) and {*found} == {*expected}
    _require(right, "what was probed is not what the recipe names")
    for name, column in found.items():
        right = isinstance(column, list) and len(column) == expected[name]
        _require(right, f"the probe's {name} has not {expected[name]} values")
        _require(all(map(_is_number, column)), f"the probe's {name} is not of finite numbers")


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _check_numbers(where: str, found: Any, names: tuple[str, ...]) -> None:
    """Require finite numbers of these names: fractions in [0, 1], and the others not negative."""
    _require(isinstance(found, dict) and {*found} == {*names}, f"{where} has other names")
    for name, value in found.items():
        top = 1 if name in _FRACTIONS else math.inf
        right = _is_number(value) and 0 <= value <= top
        _require(right, f"{where} has {name} = {value!r}")


def _require(right: bool, else_say: str) -> None:
    if not right:
        raise ValueError(else_say)
