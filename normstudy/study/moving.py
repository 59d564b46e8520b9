"""What the environment asks of a report, and how a recipe for CIFAR-10 is moved to other data."""

import os
from dataclasses import replace
from typing import cast, get_args

from normstudy.study.recipes import DATASETS, Dataset, Precision, Recipe


def report_data() -> Dataset:
    """Data set that the report shows: ``NORMSTUDY_REPORT``, or else CIFAR-10.

    Raises
    ------
    ValueError
        If the variable names an unknown data set.
    """
    given = os.environ.get("NORMSTUDY_REPORT", "cifar10")
    if given not in DATASETS:
        msg = f"NORMSTUDY_REPORT={given!r} is unknown; accepted: {', '.join(DATASETS)}"
        raise ValueError(msg)
    return cast("Dataset", given)


def report_precision() -> Precision | None:
    """Precision in which studies are trained: ``NORMSTUDY_PRECISION``, or None for their own.

    Raises
    ------
    ValueError
        If the variable names an unknown precision.
    """
    given = os.environ.get("NORMSTUDY_PRECISION")
    if given is not None and given not in get_args(Precision):
        accepted = ", ".join(get_args(Precision))
        msg = f"NORMSTUDY_PRECISION={given!r} is unknown; accepted: {accepted}"
        raise ValueError(msg)
    return cast("Precision | None", given)


def moved(recipe: Recipe, data: Dataset) -> Recipe:
    """Move a recipe for CIFAR-10 to another data set.

    Smaller images get a smaller crop. The digits are few and a demonstration: batches are a quarter
    as large, with the rate of the square-root rule of Krizhevsky 2014, arXiv:1404.5997, and five
    epochs are enough. Networks for grey images are half as wide, so they get half as many groups,
    or half as many channels in each.

    Raises
    ------
    ValueError
        If the recipe is for another data set than CIFAR-10.
    """
    if recipe.data == data:
        return recipe
    if recipe.data != "cifar10":
        msg = f"a recipe for {recipe.data} cannot be moved to {data}; accepted: one for cifar10"
        raise ValueError(msg)
    few = data == "digits"
    return replace(
        recipe,
        data=data,
        crop=1 if few else 2,
        batch_size=max(1, recipe.batch_size // 4) if few else recipe.batch_size,
        epochs=min(recipe.epochs, 5) if few else recipe.epochs,
        lr=recipe.lr / 2 if few else recipe.lr,
        num_groups=max(1, recipe.num_groups // 2),
        channels_per_group=-(-recipe.channels_per_group // 2),  # 0 stays 0
        precision="float32",  # which every processor computes at its full speed
    )
