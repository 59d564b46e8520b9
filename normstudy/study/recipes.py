"""Recipes: everything that decides the result of a training, in one flat dataclass.

A variant of a recipe is ``dataclasses.replace(base, norm="group")``. The digest of a recipe names
its run, so two recipes that differ in any field never share a result.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, cast, get_args

from normstudy.tables import NORM_NAMES

Dataset = Literal["cifar10", "mnist", "digits"]
Norm = Literal["batch", "group", "layer", "instance", "none"]

DATASETS: tuple[str, ...] = get_args(Dataset)
NORMS: tuple[str, ...] = get_args(Norm)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One training, field by field.

    Raises
    ------
    ValueError
        If a field is outside what it accepts; the message names the field, what was given and what
        is accepted.

    Examples
    --------
    >>> from dataclasses import replace
    >>> base = Recipe(norm="batch")
    >>> replace(base, norm="group").digest != base.digest
    True
    """

    data: Dataset = "cifar10"
    """Data set: 60,000 colour photographs, 70,000 or 1,797 handwritten digits."""
    norm: Norm = "batch"
    """What stands in the places of the norms."""
    num_groups: int = 16
    """Groups of channels that share statistics; read by ``norm="group"`` only."""
    epochs: int = 20
    """Passes over the training images."""
    batch_size: int = 128
    """Images per step; the last batch of an epoch may be smaller."""
    lr: float = 0.3
    """Highest learning rate of the one-cycle schedule."""
    warmup: float = 0.2
    """Fraction of all steps in which the learning rate rises, in (0, 1)."""
    momentum: float = 0.9
    """Nesterov momentum of SGD, in [0, 1)."""
    weight_decay: float = 5e-4
    """L2 strength on convolution and linear weights; adds ``weight_decay * w`` to the gradient."""
    l1: float = 0.0
    """L1 strength, lambda: adds ``l1 * sum(|w|)`` to the loss of every batch."""
    l1_on: Literal["weights", "all"] = "weights"
    """What the L1 penalty covers: convolution and linear weights, or every parameter."""
    dropout: float = 0.0
    """Probability of zeroing a feature before the classifier, in [0, 1)."""
    crop: int = 4
    """Pixels of reflected padding from which a random crop is cut."""
    flip: bool = True
    """Mirror half of the images, in sets where a mirror image keeps its class."""
    rotation: float = 0.0
    """Largest rotation, in degrees either way."""
    translation: float = 0.0
    """Largest shift, as a fraction of the image's side."""
    scaling: float = 0.0
    """Largest relative change of size, in [0, 1)."""
    jitter: float = 0.0
    """Largest relative change of brightness and of contrast, in [0, 1)."""
    validation: bool = False
    """Hold out 5,000 training images and score on them instead of on the test images."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of convolutions and norms; parameters and statistics stay in float32."""
    seed: int = 0
    """Seed of initial weights, batch order, augmentation and dropout."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be trained."""
        choices = {
            "data": DATASETS,
            "norm": NORMS,
            "l1_on": ("weights", "all"),
            "precision": ("bfloat16", "float32"),
        }
        for name, accepted in choices.items():
            if getattr(self, name) not in accepted:
                msg = f"{name}={getattr(self, name)!r} is unknown; accepted: {', '.join(accepted)}"
                raise ValueError(msg)
        for name, (low, high, closed_low) in _RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            inside = number and (value >= low if closed_low else value > low) and value < high
            if not inside:  # a NaN is not inside either
                interval = f"{'[' if closed_low else '('}{low}, {high})"
                msg = f"{name}={value!r} is out of range; accepted: a number in {interval}"
                raise ValueError(msg)
        whole = ("num_groups", "epochs", "batch_size", "crop", "seed")
        kinds: dict[str, tuple[type, str]]
        kinds = dict.fromkeys(whole, (int, "is no whole number; give an int"))
        kinds["flip"] = kinds["validation"] = (bool, "is no flag; give True or False")
        for name, (kind, words) in kinds.items():
            if not isinstance(getattr(self, name), kind):
                msg = f"{name}={getattr(self, name)!r} {words}"
                raise ValueError(msg)
        for field in fields(self):  # lr=1 and lr=1.0 are one recipe, so they get one digest
            if isinstance(field.default, float):
                object.__setattr__(self, field.name, float(getattr(self, field.name)))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name this recipe and no other.

        Only fields that differ from their default count, so that a field added later, whose default
        keeps the old behaviour, renames no run.
        """
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        changed = {f.name: changed[f.name] for f in fields(self) if changed[f.name] != f.default}
        return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """File name of the run, readable and unique: ``cifar10-group-seed0-<digest>``."""
        arm = self.norm + ("-l1" if self.l1 else "")
        return f"{self.data}-{arm}-seed{self.seed}-{self.digest}"

    @property
    def label(self) -> str:
        """Name of the arm as readers see it, for example ``Batch norm + L1``."""
        return NORM_NAMES[self.norm] + (" + L1" if self.l1 else "")

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Read a recipe back from :meth:`to_dict`.

        Raises
        ------
        ValueError
            If ``values`` has fields that this version does not know.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            msg = (
                f"the recipe has the fields {', '.join(unknown)}, which this version of normstudy "
                "does not know; it was saved by a newer version"
            )
            raise ValueError(msg)
        return cls(**values)


_RANGES: dict[str, tuple[float, float, bool]] = {  # lowest, upper bound, is the lowest accepted
    "num_groups": (1, float("inf"), True),
    "epochs": (1, float("inf"), True),
    "batch_size": (1, float("inf"), True),
    "lr": (0, float("inf"), False),
    "warmup": (0, 1, False),
    "momentum": (0, 1, True),
    "weight_decay": (0, float("inf"), True),
    "l1": (0, float("inf"), True),
    "dropout": (0, 1, True),
    "crop": (0, 16, True),
    "rotation": (0, 181, True),
    "translation": (0, 1, True),
    "scaling": (0, 1, True),
    "jitter": (0, 1, True),
    "seed": (0, 2**31, True),
}


CHOSEN: tuple[dict[str, Any], ...] = (
    {"norm": "batch", "lr": 0.3},
    {"norm": "batch", "lr": 0.3, "l1": 3e-5},
    {"norm": "group", "lr": 0.2, "num_groups": 32},
    {"norm": "layer", "lr": 0.1, "weight_decay": 2e-4},
    {"norm": "none", "lr": 0.2, "weight_decay": 2e-4},
)
"""Settings of each arm: the best of :data:`TRIED` on the validation split; a test compares them."""

TRIED: tuple[dict[str, Any], ...] = (
    {"norm": "batch", "lr": 0.15},
    {"norm": "batch", "lr": 0.3},
    {"norm": "batch", "lr": 0.6},
    {"norm": "batch", "lr": 0.3, "weight_decay": 2e-4},
    {"norm": "batch", "lr": 0.3, "l1": 1e-5},
    {"norm": "batch", "lr": 0.3, "l1": 3e-5},
    {"norm": "batch", "lr": 0.3, "l1": 1e-4},
    {"norm": "group", "lr": 0.1, "num_groups": 16},
    {"norm": "group", "lr": 0.2, "num_groups": 16},
    {"norm": "group", "lr": 0.2, "num_groups": 8},
    {"norm": "group", "lr": 0.2, "num_groups": 32},
    {"norm": "group", "lr": 0.4, "num_groups": 32},
    {"norm": "group", "lr": 0.2, "num_groups": 32, "weight_decay": 2e-4},
    {"norm": "layer", "lr": 0.05},
    {"norm": "layer", "lr": 0.1},
    {"norm": "layer", "lr": 0.2},
    {"norm": "layer", "lr": 0.1, "weight_decay": 2e-4},
    {"norm": "none", "lr": 0.03},
    {"norm": "none", "lr": 0.1},
    {"norm": "none", "lr": 0.1, "weight_decay": 2e-4},
    {"norm": "none", "lr": 0.2},
    {"norm": "none", "lr": 0.2, "weight_decay": 2e-4},
    {"norm": "none", "lr": 0.3},
    {"norm": "none", "lr": 0.3, "weight_decay": 2e-4},
)
"""Settings that the search tried, arm by arm."""

DIVERGED: tuple[dict[str, Any], ...] = ({"norm": "none", "lr": 0.6},)
"""Settings that the search tried as well; their loss stopped being finite, so there is no run."""

SEEDS = (0, 1, 2, 3)
"""Seeds of the study."""


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


def base(data: Dataset = "cifar10") -> Recipe:
    """Return the recipe that all arms on a data set vary.

    Smaller images get a smaller crop.
    """
    crop = {"cifar10": 4, "mnist": 2, "digits": 1}[data]
    batch_size = 32 if data == "digits" else 128
    return Recipe(data=data, crop=crop, batch_size=batch_size)


def study(data: Dataset = "cifar10", seeds: Sequence[int] = SEEDS) -> dict[str, list[Recipe]]:
    """Recipes of the study: for each arm, by its label, one recipe per seed.

    The arms differ in the norm, in the penalty, and in the settings that :func:`search` chose for
    each on the validation split.
    """
    arms = [replace(base(data), **settings) for settings in CHOSEN]
    # smaller batches, noisier steps: the square-root rule of Krizhevsky 2014, arXiv:1404.5997
    arms = [replace(arm, lr=arm.lr * (arm.batch_size / 128) ** 0.5) for arm in arms]
    if data != "cifar10":  # the network for grey images is half as wide
        arms = [replace(arm, num_groups=arm.num_groups // 2) for arm in arms]
    return {arm.label: [replace(arm, seed=seed) for seed in seeds] for arm in arms}


def search() -> dict[str, list[Recipe]]:
    """Recipes of the search on CIFAR-10's validation split: by arm's label, what was tried.

    One seed and five epochs each: the learning rate, and at the best rates the number of groups,
    the weight decay or lambda.
    """
    tried: dict[str, list[Recipe]] = {}
    for settings in TRIED:
        recipe = replace(base(), epochs=5, validation=True, **settings)
        tried.setdefault(recipe.label, []).append(recipe)
    return tried


def first_settings() -> list[Recipe]:
    """Recipes without a norm as the study had them, with three seeds, before its search went on."""
    return [replace(base(), norm="none", lr=0.1, seed=seed) for seed in (0, 1, 2)]


def shown(data: Dataset = "cifar10") -> list[Recipe]:
    """Recipes of all runs that the report on a data set shows: its study, and CIFAR-10's search."""
    arms = (*study(data).values(), *search().values(), first_settings())
    return [recipe for arm in arms for recipe in arm]
