"""The studies as values: which arms are compared, on which data, with which seeds.

To add a study, add an entry to :data:`STUDIES`.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from normstudy.study import originals
from normstudy.study.design import Reference, Study
from normstudy.study.moving import moved
from normstudy.study.originals import ORIGINALS
from normstudy.study.recipes import Dataset, Norm, Recipe, variants
from normstudy.study.reports import LIMITS, best, reports_on
from normstudy.study.sweeps import BASE, CONTROLS, MAIN, SWEEPS


def chosen(norm: Norm, data: Dataset, *, l1: bool = False) -> tuple[str, Recipe]:
    """Look up what the main study chose for a norm: the name of its arm, and its recipe.

    Parameters
    ----------
    norm
        The norm; ``"layer_chw"`` takes what was chosen for ``"layer"``.
    data
        Data set that the recipe is moved to.
    l1
        Whether the arm with an L1 penalty is asked for, where there is one.
    """
    main, wanted = STUDIES["main"], "layer" if norm == "layer_chw" else norm
    found = {arm: tried[0] for arm, tried in main.arms.items() if tried[0].norm == wanted}
    arm = min(found, key=lambda arm: (found[arm].l1 > 0) != l1)
    return arm, moved(replace(found[arm], norm=norm), data)


def _report(
    letter: str, rest: str, title: str, arms: Mapping[str, Recipe], num_seeds: int
) -> Study:
    """Make a study of a report that is repeated here: one recipe an arm, on the data it was for."""
    original = ORIGINALS[letter]
    printed = original.best
    reference = Reference(
        values=printed,
        label=f"report {letter}",
        source="Its highest test accuracies: one seed, the epoch that was best on the test images.",
    )
    return Study(
        name=f"study-{letter.lower()}{rest}",
        title=f"Report {letter}, {title}",
        arms={arm: (recipe,) for arm, recipe in arms.items()},
        seeds=tuple(range(num_seeds)),
        reference=reference if printed.keys() == arms.keys() else None,
        original=original,
        stands_in=False,
    )


_FIRST = Recipe()
_TRIED = replace(_FIRST, epochs=5, validation=True)
_GROUP = replace(_TRIED, norm="group", lr=0.2, num_groups=32)
_NONE = replace(_TRIED, norm="none")

_ASKED = replace(BASE, epochs=10, validation=True)
_RATES = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


def _best_reports(data: Dataset, title: str, more: str = "") -> Reference:
    """Make a reference of the best class reports on a data set."""
    source = (
        f"The highest test accuracies among {len(reports_on(data))} networks of class reports "
        f"on {title}, student work found by searching public repositories for the text "
        f"of the assignment: fewer than {LIMITS[data]:,} parameters where they are printed, at "
        f"most 20 epochs, one seed, and the best epoch as picked on the test images.{more}"
    )
    return Reference(values=best(data), label="best class report", source=source)


_BEST_REPORTS = _best_reports("cifar10", "CIFAR-10", " We found none with batch norm and L1.")

_ALL = (
    Study(
        name="cifar10",
        title="Five arms on CIFAR-10, the first network",
        seeds=(0, 1, 2, 3),
        arms={
            "Batch norm": variants(_FIRST, norm="batch", lr=0.3),
            "Batch norm + L1": variants(_FIRST, norm="batch", lr=0.3, l1=3e-5),
            "Group norm": variants(_FIRST, norm="group", lr=0.2, num_groups=32),
            "Layer norm": variants(_FIRST, norm="layer", lr=0.1, weight_decay=2e-4),
            "No norm": variants(_FIRST, norm="none", lr=0.2, weight_decay=2e-4),
        },
        reference=_BEST_REPORTS,
    ),
    Study(
        name="search",
        title="Search for the settings of the five arms, on validation images",
        stands_in=False,  # its results are used on the other data sets as well
        arms={
            "Batch norm": (
                *variants(_TRIED, norm="batch", lr=[0.15, 0.3, 0.6]),
                *variants(_TRIED, norm="batch", lr=0.3, weight_decay=2e-4),
            ),
            "Batch norm + L1": variants(_TRIED, norm="batch", lr=0.3, l1=[1e-5, 3e-5, 1e-4]),
            "Group norm": (
                *variants(_GROUP, lr=[0.1, 0.2], num_groups=16),
                *variants(_GROUP, lr=0.2, num_groups=[8, 32]),
                *variants(_GROUP, lr=0.4),
                *variants(_GROUP, weight_decay=2e-4),
            ),
            "Layer norm": (
                *variants(_TRIED, norm="layer", lr=[0.05, 0.1, 0.2]),
                *variants(_TRIED, norm="layer", lr=0.1, weight_decay=2e-4),
            ),
            "No norm": (
                *variants(_NONE, lr=0.03),
                *variants(_NONE, lr=[0.1, 0.2, 0.3], weight_decay=[5e-4, 2e-4]),
            ),
        },
        diverged={"No norm": variants(_NONE, lr=0.6)},
    ),
    Study(
        name="no-norm-first-settings",
        title="No norm, with the settings of a search that was too short",
        stands_in=False,
        seeds=(0, 1, 2),
        arms={"No norm, first settings": variants(_FIRST, norm="none", lr=0.1)},
        diverged={"No norm, first settings": variants(_FIRST, norm="none", lr=0.3)},
    ),
    Study(
        name="learning-rates",
        title="Six arms at seven learning rates, on validation images",
        stands_in=False,
        seeds=(100, 101),  # others than those of the main study
        arms={
            "Batch norm": variants(_ASKED, lr=_RATES),
            "Batch norm + L1": variants(_ASKED, lr=_RATES, l1=3e-5),
            "Group norm": variants(_ASKED, norm="group", lr=_RATES, num_groups=8),
            "Layer norm": variants(_ASKED, norm="layer", lr=_RATES),
            "Instance norm": variants(_ASKED, norm="instance", lr=_RATES),
            "No norm": variants(_ASKED, norm="none", lr=_RATES),
        },
        diverged={
            "Batch norm + L1": variants(_ASKED, l1=3e-5, lr=1.6, seed=101),
            "Group norm": (
                *variants(_ASKED, norm="group", num_groups=8, lr=0.8, seed=100),
                *variants(_ASKED, norm="group", num_groups=8, lr=1.6, seed=[100, 101]),
            ),
            "Layer norm": (
                *variants(_ASKED, norm="layer", lr=0.8, seed=101),
                *variants(_ASKED, norm="layer", lr=1.6, seed=100),
            ),
            "Instance norm": variants(_ASKED, norm="instance", lr=1.6, seed=[100, 101]),
            "No norm": (
                *variants(_ASKED, norm="none", lr=0.4, seed=101),
                *variants(_ASKED, norm="none", lr=[0.8, 1.6], seed=[100, 101]),
            ),
        },
    ),
    Study(
        name="groups",
        title="Group norm with 2 to 24 groups, on validation images",
        stands_in=False,
        seeds=(100, 101),
        arms={"Group norm": variants(_ASKED, norm="group", lr=0.2, num_groups=[2, 4, 8, 24])},
    ),
    Study(
        name="lambdas",
        title="Three strengths of the L1 penalty, on validation images",
        stands_in=False,
        seeds=(100, 101),
        arms={
            "Batch norm + L1": (
                *variants(_ASKED, lr=0.2, l1=[1e-5, 3e-5, 1e-4]),
                *variants(_ASKED, lr=[0.1, 0.4], l1=1e-5),  # beside what was chosen
            )
        },
    ),
    Study(
        name="main",
        title="The main study: six arms on CIFAR-10",
        seeds=tuple(range(10)),
        arms={arm: (recipe,) for arm, recipe in MAIN.items()},
        reference=_BEST_REPORTS,
    ),
)


_SMALL = Recipe(
    data="mnist",
    net="valid",
    init="he",
    batch_size=64,
    precision="float32",
    crop=0,
    rotation=10.0,
    shear=5.0,
    translation=0.07,
    scaling=0.1,
)
_BUDGET = {  # what reports on MNIST may spend, at the rates that compare.cautious has named
    "Batch norm": replace(_SMALL, lr=0.1),
    "Batch norm + L1": replace(_SMALL, lr=0.1, l1=1e-5),
    "Group norm": replace(_SMALL, norm="group", num_groups=4, lr=0.2),
    "Layer norm": replace(_SMALL, norm="layer", lr=0.05),
    "Instance norm": replace(_SMALL, norm="instance", lr=0.2),
    "No norm": replace(_SMALL, norm="none", lr=0.1),
}
_SHORTER = {arm: replace(recipe, epochs=6, validation=True) for arm, recipe in _BUDGET.items()}
_ON_MNIST = (
    Study(
        name="mnist-learning-rates",
        title="Six arms on MNIST at six learning rates, on validation images",
        stands_in=False,
        seeds=(100, 101),
        arms={arm: variants(recipe, lr=_RATES[:-1]) for arm, recipe in _SHORTER.items()},
        diverged={
            "No norm": (
                *variants(_SHORTER["No norm"], lr=0.2, seed=100),
                *variants(_SHORTER["No norm"], lr=[0.4, 0.8], seed=[100, 101]),
            )
        },
    ),
    Study(
        name="mnist-maps",
        title="Three norms on MNIST, by the size of the last maps, on validation images",
        stands_in=False,
        seeds=(100, 101),
        arms={
            f"{arm}, {net}": variants(_SHORTER[arm], lr=0.1, net=net)
            for arm in ("Batch norm", "Group norm", "Layer norm")
            for net in ("valid", "same-pooled", "same")
        },
    ),
    Study(
        name="mnist",
        title="Six arms on MNIST, fewer than 10,000 parameters",
        stands_in=False,
        seeds=(0, 1, 2, 3, 4),
        arms={arm: (recipe,) for arm, recipe in _BUDGET.items()},
        reference=_best_reports("mnist", "MNIST"),
    ),
    Study(
        name="mnist-first-rate",
        title="Layer norm on MNIST at the rate that was chosen first, and lost a seed",
        stands_in=False,
        seeds=(0, 1, 2, 3, 4),
        arms={"Layer norm, first rate": variants(_BUDGET["Layer norm"], lr=0.4)},
    ),
)

_REPORTS = (
    Study(
        name="study-a",
        title="Report A, whose network is not known: its arms, on ours",
        seeds=tuple(range(10)),
        arms={arm: (MAIN[arm],) for arm in ("Group norm", "Layer norm", "Batch norm + L1")},
        stands_in=False,
    ),
    _report("B", "", "as it was built: a cycle that begins anew every epoch", originals.B, 5),
    _report("B", "-one-cycle", "as it was meant: one cycle", originals.B_MEANT, 5),
    _report("B", "-penalty", "as it was meant, with a weaker penalty", originals.B_PENALTY, 3),
    _report("B", "-two-groups", "its group norm in two groups", originals.B_TWO_GROUPS, 3),
    _report("C", "", "as it was meant: three norms", originals.C, 3),
    _report("C", "-built", "as it was built: one network, many seeds", originals.C_BUILT, 12),
    _report("D", "", "as it was built", originals.D, 5),
    _report("D", "-penalty", "its penalty, none, and the sum", originals.D_PENALTY, 5),
    _report("D", "-first-epoch", "after its first epoch", originals.D_FIRST_EPOCH, 1),
    _report("E", "", "as it was built", originals.E, 5),
    _report("E", "-apart", "norm and regularizer taken apart", originals.E_APART, 3),
)

STUDIES: Mapping[str, Study] = MappingProxyType(
    {study.name: study for study in (*_ALL, *CONTROLS, *_ON_MNIST, *SWEEPS, *_REPORTS)}
)
"""Every study, by its name."""

OF_REPORTS: tuple[str, ...] = tuple(study.name for study in _REPORTS)
"""Names of the studies that repeat class reports."""
