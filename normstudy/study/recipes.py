"""Recipes: everything that decides the result of a training, in one flat dataclass.

A variant of a recipe is ``dataclasses.replace(base, norm="group")``. The digest of a recipe names
its run, so two recipes that differ in any field never share a result.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from typing import Any, Literal, get_args, get_type_hints

from normstudy.study.networks import NETWORKS, Dropout

Dataset = Literal["cifar10", "mnist", "digits"]
Norm = Literal["batch", "group", "layer", "layer_chw", "instance", "none"]
Precision = Literal["bfloat16", "float32"]

PROBES = ("statistics", "last-statistics", "corruptions", "landscape", "weights")
"""Names of :data:`normstudy.study.probes.PROBES`."""

DATASETS: tuple[str, ...] = get_args(Dataset)
NORMS: tuple[str, ...] = get_args(Norm)
NUM_CLASSES = 10
"""Classes of every data set."""
MIRRORED: tuple[str, ...] = ("cifar10",)
"""Data sets in which a mirror image keeps its class; in the others ``flip`` does nothing."""

_HUGE = 1e38  # float32 ends at 3.4e38


def _number(default: float, low: float, high: float, *, above: bool = False) -> Any:
    """Declare a field whose value lies in [low, high), or in (low, high) with ``above``."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


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
    net: str = "separable"
    """Network, by its name in ``normstudy.study.networks.NETWORKS``."""
    norm: Norm = "batch"
    """What stands in the places of the norms."""
    num_groups: int = _number(16, 1, 2**31)
    """Groups of channels that share statistics; read by ``norm="group"`` only."""
    channels_per_group: int = _number(0, 0, 2**31)
    """Channels of a group, the same in every place; with 0, ``num_groups`` decides."""
    ghost_batch: int = _number(0, 0, 2**31)
    """Images of a batch that share batch norm's statistics in training; with 0, all of them."""
    bn_momentum: float = _number(0.1, 0, 1, above=True)
    """Weight of the newest batch in batch norm's running statistics, in (0, 1)."""
    init: Literal["pytorch", "he", "kaiming-uniform"] = "pytorch"
    """First weights, as :func:`normstudy.study.initial.draw` has them."""
    epochs: int = _number(20, 1, 100_000)
    """Passes over the training images."""
    batch_size: int = _number(128, 1, 2**31)
    """Images per step; the last batch of an epoch may be smaller."""
    lr: float = _number(0.3, 0, _HUGE, above=True)
    """Learning rate: the highest of the one-cycle schedule, or the constant one."""
    schedule: Literal["one-cycle", "one-cycle-cosine", "constant"] = "one-cycle"
    """How the learning rate moves from step to step."""
    rebuilt: bool = False
    """Begin optimizer and schedule anew with every epoch; the momentum is lost with them."""
    warmup: float = _number(0.2, 0, 1, above=True)
    """Fraction of all steps in which the rate of a one-cycle schedule rises, in (0, 1)."""
    momentum: float = _number(0.9, 0, 1)
    """Momentum of SGD, in [0, 1)."""
    nesterov: bool = True
    """Nesterov's form of the momentum, or the plain one."""
    weight_decay: float = _number(5e-4, 0, _HUGE)
    """L2 strength: adds ``weight_decay * w`` to the gradient."""
    weight_decay_on: Literal["weights", "all"] = "weights"
    """What weight decay covers: convolution and linear weights, or every parameter."""
    l1: float = _number(0.0, 0, _HUGE)
    """L1 strength, lambda: adds ``l1 * sum(|w|)`` to the loss of every batch."""
    l1_on: Literal["weights", "all", "scales"] = "weights"
    """What L1 covers: convolution and linear weights, every parameter, or the scales of norms."""
    l1_step: Literal["subgradient", "proximal"] = "subgradient"
    """How L1 acts: as a part of the loss, or as a soft threshold after every step."""
    l1_of: Literal["sum", "mean"] = "sum"
    """What lambda multiplies: the sum of ``|w|``, or of each tensor its mean, which is weaker."""
    dropout: float = _number(0.0, 0, 1)
    """Probability of zeroing a value in the network's places of dropout, in [0, 1)."""
    crop: int = _number(4, 0, 16)
    """Pixels of reflected padding from which a random crop is cut."""
    flip: bool = True
    """Mirror half of the images, in sets where a mirror image keeps its class."""
    rotation: float = _number(0.0, 0, 181)
    """Largest rotation, in degrees either way."""
    shear: float = _number(0.0, 0, 90)
    """Largest horizontal shear, in degrees either way."""
    translation: float = _number(0.0, 0, 1)
    """Largest shift, as a fraction of the image's side."""
    scaling: float = _number(0.0, 0, 1)
    """Largest relative change of size, in [0, 1)."""
    jitter: float = _number(0.0, 0, 1)
    """Brightness and contrast are multiplied by up to 1 ± this, pixels cut off at their range."""
    subset: int = _number(0, 0, 2**31)
    """Training images, as many of each class, the same for all seeds; with 0, all of them."""
    validation: bool = False
    """Hold out 5,000 training images and score on them instead of on the test images."""
    probe: str = ""
    """What else is measured while it trains: names of probes, with a plus between them."""
    precision: Precision = "bfloat16"
    """Precision of convolutions and norms; parameters and statistics stay in float32."""
    seed: int = _number(0, 0, 2**31)
    """Seed of initial weights, batch order, augmentation and dropout."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be trained, by the kind and the interval of each field."""
        kinds = get_type_hints(type(self))
        for f in fields(self):
            value = getattr(self, f.name)
            if accepted := NETWORKS if f.name == "net" else get_args(kinds[f.name]):
                if value not in accepted:
                    known = ", ".join(accepted)
                    msg = f"{f.name}={value!r} is unknown; accepted: {known}"
                    raise ValueError(msg)
            elif f.name == "probe":
                _check_probe(value)
            elif kinds[f.name] is bool:
                if not isinstance(value, bool):
                    msg = f"{f.name}={value!r} is no flag; give True or False"
                    raise ValueError(msg)
            else:
                _check_number(f.name, value, **f.metadata, whole=kinds[f.name] is int)
                # lr=1 and lr=1.0 are one recipe, so they get one digest
                object.__setattr__(self, f.name, kinds[f.name](value))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name this recipe and no other.

        Only fields that differ from their default count, so that a field added later, whose default
        keeps the old behaviour, renames no run; and only fields that are read, so that the groups
        of batch norm make no second run of the same numbers.
        """
        unread = self.unread
        changed = {
            f.name: value
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default and f.name not in unread
        }
        return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def unread(self) -> set[str]:
        """Names of fields that decide nothing, given the others."""
        rows = (row for form in NETWORKS[self.net].values() for row in form)
        unread = {
            "num_groups": self.norm != "group" or self.channels_per_group > 0,
            "channels_per_group": self.norm != "group",
            "ghost_batch": self.norm != "batch",
            "bn_momentum": self.norm != "batch",
            "warmup": self.schedule == "constant",
            "nesterov": not self.momentum,
            "weight_decay_on": not self.weight_decay,
            "l1_on": not self.l1,
            "l1_of": not self.l1,
            "l1_step": not self.l1,
            "dropout": not any(isinstance(row, Dropout) for row in rows),
            "flip": self.data not in MIRRORED,
        }
        return {name for name, holds in unread.items() if holds}

    @property
    def name(self) -> str:
        """Name of the run, readable and unique: ``cifar10-group-seed0-<digest>``."""
        arm = self.norm + ("-l1" if self.l1 else "")
        return f"{self.data}-{arm}-seed{self.seed}-{self.digest}"

    @property
    def probes(self) -> tuple[str, ...]:
        """Names of the probes, in their order."""
        return tuple(filter(None, self.probe.split("+")))

    @property
    def scored(self) -> str:
        """What the scores are measured on, as a word: ``"validation"`` or ``"test"`` images."""
        return "validation" if self.validation else "test"

    @property
    def augments(self) -> bool:
        """Whether training images are moved, mirrored or otherwise changed at random."""
        moves = self.crop, self.rotation, self.shear, self.translation, self.scaling, self.jitter
        return any(moves) or (self.flip and self.data in MIRRORED)

    @property
    def keeps_answers(self) -> bool:
        """Whether its run keeps predictions and confidences, from which mistakes are studied.

        Validation runs, those on a part of the images and those with a probe are many, and what is
        read from them are scores.
        """
        return not (self.validation or self.subset or self.probe)

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


Recipes = Mapping[str, Sequence[Recipe]]
"""Recipes by the name of an arm."""


def _check_probe(value: Any) -> None:
    if value and (not isinstance(value, str) or not {*value.split("+")} <= {*PROBES}):
        msg = f"probe={value!r} is unknown; accepted: {', '.join(PROBES)}, or several joined by +"
        raise ValueError(msg)


def _check_number(
    name: str, value: Any, *, low: float, high: float, above: bool, whole: bool
) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        msg = f"{name}={value!r} is of type {type(value).__name__}; give an int or a float"
        raise ValueError(msg)
    inside = (value > low if above else value >= low) and value < high
    if not inside:  # a NaN is not inside either
        interval = f"{'(' if above else '['}{low}, {high})"
        msg = f"{name}={value!r} is out of range; accepted: a number in {interval}"
        raise ValueError(msg)
    if whole and not isinstance(value, int):
        msg = f"{name}={value!r} is no whole number; give an int"
        raise ValueError(msg)


def variants(base: Recipe, **changes: Any) -> tuple[Recipe, ...]:
    """Return ``base`` with fields changed; a field that is given a list takes each of its values.

    Examples
    --------
    >>> [recipe.lr for recipe in variants(Recipe(), norm="layer", lr=[0.1, 0.2])]
    [0.1, 0.2]
    """
    values = [value if isinstance(value, list) else [value] for value in changes.values()]
    return tuple(replace(base, **dict(zip(changes, v, strict=True))) for v in product(*values))


def varied(recipes: Sequence[Recipe]) -> list[str]:
    """Name the fields in which recipes differ, in their order, if any of the recipes reads them."""
    unread = set.intersection(*(r.unread for r in recipes)) if recipes else set()
    return [
        f.name
        for f in fields(Recipe)
        if f.name not in unread and len({getattr(r, f.name) for r in recipes}) > 1
    ]
