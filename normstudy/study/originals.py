"""The four class reports that are repeated here: their settings as recipes, and what they printed.

The networks stand in :mod:`normstudy.study.networks`. A setting that a report had and that no
recipe can express is named beside the recipe that comes closest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from normstudy.study.recipes import Dataset, Recipe

_COMMON = Recipe(
    schedule="constant",
    nesterov=False,
    weight_decay=0.0,
    weight_decay_on="all",
    l1_on="all",
    crop=0,
    flip=False,
    precision="float32",
)
"""What all four share: SGD with plain momentum, batches of 128, penalties on every parameter."""

_B = replace(
    _COMMON,
    data="mnist",
    net="study-b",
    init="kaiming-uniform",
    lr=0.02,
    schedule="one-cycle-cosine",
    rebuilt=True,
    l1=0.01,
    dropout=0.03,
    rotation=9.2,  # it rotates by 6 and again by 7 degrees: the same variance in one rotation
    shear=10.0,
    translation=0.1,
    scaling=0.2,
    jitter=0.4,
)
_LONG = replace(_B, epochs=25, warmup=6 / 25)  # of 20 epochs, PyTorch's warm-up of 30% is 6
_SHORT = replace(_B, epochs=20, warmup=6 / 20)
B: Mapping[str, Recipe] = MappingProxyType(
    {
        "Batch norm + L1": replace(_LONG, norm="batch"),
        "Group norm": replace(_LONG, norm="group", channels_per_group=2),
        "Layer norm": replace(_SHORT, norm="layer"),
    }
)
"""Report B, as it was built: the L1 penalty is on in all three arms."""

B_MEANT: Mapping[str, Recipe] = MappingProxyType(
    {arm: replace(recipe, rebuilt=False) for arm, recipe in B.items()}
)
"""Report B, as it was meant: one cycle over all epochs."""

B_PENALTY: Mapping[str, Recipe] = MappingProxyType(
    {arm: replace(recipe, l1=recipe.l1 / 100) for arm, recipe in B_MEANT.items()}  # as in report E
)
"""Report B, as it was meant, with a hundredth of its penalty."""

B_TWO_GROUPS: Mapping[str, Recipe] = MappingProxyType(
    {"Two groups": replace(B_PENALTY["Group norm"], channels_per_group=0, num_groups=2)}
)
"""The same group norm in two groups, which hold 8 values and not 2 on maps of one pixel."""

_C = replace(_COMMON, net="study-c", lr=0.01, dropout=0.1)
C: Mapping[str, Recipe] = MappingProxyType(
    {
        "Group norm": replace(_C, norm="group", num_groups=2),
        "Layer norm": replace(_C, norm="layer"),
        "Batch norm": replace(_C, norm="batch"),
    }
)
"""Report C, as it was meant."""

C_BUILT: Mapping[str, Recipe] = MappingProxyType({"Batch norm": C["Batch norm"]})
"""Report C, as it was built: its three arms are one network."""

_D = replace(_COMMON, data="mnist", net="study-d", lr=0.01, dropout=0.02, rotation=7.0)
D: Mapping[str, Recipe] = MappingProxyType(
    {
        "Batch norm + L1": replace(_D, norm="batch", l1=5e-4, l1_of="mean"),
        "Layer norm": replace(_D, norm="layer_chw"),
        "Group norm": replace(_D, norm="group", num_groups=2),
    }
)
"""Report D, as it was built: lambda multiplies the mean of each tensor."""

_MEAN = D["Batch norm + L1"]
D_PENALTY: Mapping[str, Recipe] = MappingProxyType(
    {
        "No penalty": replace(_MEAN, l1=0.0),
        "Mean penalty (as built)": _MEAN,
        # 19 tensors share 19 lambda, 8,016 parameters share as much here: equal on average
        "Sum penalty (as weak)": replace(_MEAN, l1_of="sum", l1=_MEAN.l1 * 19 / 8_016),
        "Sum penalty (same lambda)": replace(_MEAN, l1_of="sum"),
    }
)
"""The penalty of report D, beside none, and beside the sum that an L1 penalty is."""

D_FIRST_EPOCH: Mapping[str, Recipe] = MappingProxyType(
    {arm: replace(recipe, epochs=1) for arm, recipe in D.items()}
)
"""Report D after its first epoch, whose mistakes it shows: the rate is constant, so nothing else
differs from the first epoch of twenty."""

_E = replace(_COMMON, data="mnist", net="study-e", lr=0.04, dropout=0.05, rotation=6.9)
_L1, _L2 = 1e-4, 1e-3
E: Mapping[str, Recipe] = MappingProxyType(
    {
        "Batch norm + L1 + L2": replace(_E, norm="batch", l1=_L1, weight_decay=_L2),
        "Group norm + L1": replace(_E, norm="group", channels_per_group=2, l1=_L1),
        "Layer norm + L2": replace(_E, norm="layer", weight_decay=_L2),
    }
)
"""Report E, as it was built."""

E_APART: Mapping[str, Recipe] = MappingProxyType(
    {
        norm + words: replace(recipe, l1=l1, weight_decay=l2)
        for norm, recipe in zip(("Batch norm", "Group norm", "Layer norm"), E.values(), strict=True)
        for words, l1, l2 in (
            ("", 0.0, 0.0),
            (" + L1", _L1, 0.0),
            (" + L2", 0.0, _L2),
            (" + L1 + L2", _L1, _L2),
        )
    }
)
"""Report E with its regularizers taken apart: each norm with none, either and both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One arm of a report ahead of another, as the report says or as its numbers suggest."""

    ahead: str
    behind: str
    written: str = ""
    """What the report concludes in words; empty where only its numbers say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """What one report printed: one seed for each arm, accuracies in percent of the test images."""

    letter: str
    data: Dataset
    best: Mapping[str, float]
    """By arm, at the epoch that was best on the test images."""
    last: Mapping[str, float]
    """By arm, after the last epoch."""
    parameters: Mapping[str, int]
    """By arm."""
    findings: tuple[Finding, ...]
    grid: tuple[int, int] = (5, 2)
    """Rows and columns of its pictures of mistakes."""


def _original(
    letter: str,
    data: Dataset,
    parameters: tuple[int, int, int],
    printed: Mapping[str, tuple[float, float]],
    written: str = "",
    **settings: tuple[int, int],
) -> Original:
    """Collect what a report printed, by arm; its findings are the order of its best epochs."""
    best = {arm: values[0] for arm, values in printed.items()}
    order = sorted(best, key=lambda arm: -best[arm])
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if best[a] > best[b]]
    findings = [
        Finding(ahead=a, behind=b, written=written if b == order[-1] else "") for a, b in pairs
    ]
    return Original(
        letter=letter,
        data=data,
        best=MappingProxyType(best),
        last=MappingProxyType({arm: values[1] for arm, values in printed.items()}),
        parameters=MappingProxyType(dict(zip(printed, parameters, strict=True))),
        findings=tuple(findings),
        **settings,
    )


ORIGINALS: Mapping[str, Original] = MappingProxyType(
    {
        "B": _original(
            "B",
            "mnist",
            (7_792, 7_792, 7_792),
            {
                "Batch norm + L1": (96.92, 95.32),
                "Group norm": (95.69, 94.04),
                "Layer norm": (96.95, 92.93),
            },
        ),
        "C": _original(
            "C",
            "cifar10",
            (47_808, 47_808, 47_808),
            {
                "Group norm": (77.60, 77.60),
                "Layer norm": (76.45, 75.93),
                "Batch norm": (76.96, 76.67),
            },
            written="LN performs the worst",
            grid=(2, 5),
        ),
        "D": _original(
            "D",
            "mnist",
            (8_016, 37_592, 8_016),
            {
                "Batch norm + L1": (99.48, 99.46),
                "Layer norm": (99.34, 99.29),
                "Group norm": (99.48, 99.48),
            },
        ),
        "E": _original(
            "E",
            "mnist",
            (7_864, 7_864, 7_864),
            {
                "Batch norm + L1 + L2": (98.89, 98.57),
                "Group norm + L1": (99.14, 98.94),
                "Layer norm + L2": (99.11, 99.04),
            },
            grid=(5, 4),
        ),
    }
)
"""What the reports printed, by their letter. The files of all four were read in November 2026."""
