"""Sweeps and controls: what the main study chose, with something changed.

A sweep is small enough to be trained in an hour or two on two cores. What is spared for that,
images, epochs or seeds, is said on its page, which sets runs of full length beside it. Controls
have full length and three seeds.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from normstudy.study.design import Arms, Study
from normstudy.study.recipes import Recipe, variants

BASE = Recipe(net="pyramid", init="he", precision="float32")
"""What the arms of the main study share; docs/plan.rst says why."""

MAIN: Mapping[str, Recipe] = MappingProxyType(
    {  # by the rule of docs/plan.rst, from the studies learning-rates, groups and lambdas
        "Batch norm": replace(BASE, norm="batch", lr=0.4),
        "Batch norm + L1": replace(BASE, norm="batch", lr=0.2, l1=1e-5),
        "Group norm": replace(BASE, norm="group", lr=0.2, num_groups=8),
        "Layer norm": replace(BASE, norm="layer", lr=0.2),
        "Instance norm": replace(BASE, norm="instance", lr=0.4),
        "No norm": replace(BASE, norm="none", lr=0.2),
    }
)
"""Recipes of the main study, by arm."""


FIFTH = 10_000
"""Training images of the sweeps that need many steps or many cells: a fifth of CIFAR-10."""

_FOUR = ("Batch norm", "Group norm", "Layer norm", "No norm")
_SHORT = {arm: replace(recipe, epochs=10) for arm, recipe in MAIN.items()}
_SMALL = {arm: replace(recipe, subset=FIFTH) for arm, recipe in _SHORT.items()}

# -- controls --------------------------------------------------------------------------------------

_THREE = {arm: MAIN[arm] for arm in ("Batch norm", "Group norm", "Layer norm")}
_MANY_GROUPS = replace(MAIN["Group norm"], num_groups=24)


def _control(name: str, title: str, arms: Arms, diverged: Arms = MappingProxyType({})) -> Study:
    title = f"Control: {title}"
    return Study(name=name, title=title, arms=arms, seeds=(0, 1, 2), diverged=diverged)


_AT_ONE_RATE = {arm: replace(recipe, lr=MAIN["Batch norm"].lr) for arm, recipe in _THREE.items()}

CONTROLS = (
    _control(
        "one-rate",
        "three norms at the learning rate of batch norm",
        {arm: (recipe,) for arm, recipe in _AT_ONE_RATE.items()},
        diverged={"Layer norm": (replace(_AT_ONE_RATE["Layer norm"], seed=1),)},
    ),
    _control(
        "forty-epochs",
        "batch and group norm for twice as many epochs",
        {arm: variants(MAIN[arm], epochs=40) for arm in ("Batch norm", "Group norm")},
    ),
    _control(
        "weight-decay",
        "a smaller weight decay, at the chosen rates and at twice these",
        {
            f"{arm}, {rate}": variants(recipe, weight_decay=1e-4, lr=factor * recipe.lr)
            for arm, recipe in _THREE.items()
            for rate, factor in (("the chosen rate", 1), ("twice the rate", 2))
        },
    ),
    _control(
        "norm-after-activation",
        "the norms after the activations",
        {arm: variants(recipe, net="pyramid-act-first") for arm, recipe in _THREE.items()},
    ),
    # the following are not in the plan
    _control(
        "norm-last",
        "a norm in front of the average pool in place of an activation",
        {
            **{
                arm: variants(recipe, net="pyramid-norm-last")
                for arm, recipe in {**_THREE, "Group norm, 24 groups": _MANY_GROUPS}.items()
            },
            "Group norm, 24 groups, activation last": (_MANY_GROUPS,),
        },
    ),
    _control(
        "no-penalty",
        "batch norm at the learning rate of batch norm + L1",
        {"Batch norm": variants(MAIN["Batch norm"], lr=MAIN["Batch norm + L1"].lr)},
    ),
    _control(
        "finer-maps",
        "the same layers on maps of twice the side",
        {arm: variants(recipe, net="pyramid-fine") for arm, recipe in _THREE.items()},
    ),
)
"""The controls of the main study; each has three seeds."""

# -- batch sizes -----------------------------------------------------------------------------------

BATCH_SIZES = (1, 2, 4, 8, 32, 128, 512)
SEARCHED = BATCH_SIZES[1:]
"""Batch sizes whose rate is searched; 1 takes that of 2."""

FACTORS = (1 / 3.4, 1.0, 3.4)
"""Learning rates that are tried in each cell, as multiples of :func:`scaled`."""

CHOSEN: Mapping[tuple[str, int], float] = MappingProxyType(
    {
        ("Group norm", 32): 3.4,
        **{(arm, size): 1 / 3.4 for arm in ("Layer norm", "No norm") for size in (128, 512)},
        ("Group norm", 512): 1 / 3.4,
    }
)
"""The factor that ``compare.choose`` has named for an arm and a batch size, where it is not 1."""


def scaled(lr: float, batch_size: int) -> float:
    """Scale the learning rate of batches of 128 to batches of another size: lr (B / 128)^(3/4).

    That lies between the linear rule and the square-root rule. Divided and multiplied by 3.4, as
    :data:`FACTORS` do, it reaches both of them down to one image.

    References
    ----------
    Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.1, https://arxiv.org/abs/1706.02677
    (linear); Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014,
    section 5, https://arxiv.org/abs/1404.5997 (who derives the square root, and found the linear
    rule to work better).
    """
    return float(lr * (batch_size / 128) ** 0.75)


def _cell(base: Recipe, batch_size: int, factor: float) -> Recipe:
    lr = float(f"{factor * scaled(base.lr, batch_size):.3g}")
    return replace(base, batch_size=batch_size, lr=lr)


def _cells(bases: Mapping[str, Recipe], sizes: tuple[int, ...]) -> dict[str, tuple[Recipe, ...]]:
    """One recipe for each arm and batch size, at the chosen rate."""
    return {
        arm: tuple(_cell(base, size, CHOSEN.get((arm, max(size, 2)), 1.0)) for size in sizes)
        for arm, base in bases.items()
    }


# Rates at full length are those of the main study, scaled: what is best for five epochs may not be
# best for twenty. With a probe a run keeps no answers, which nobody asks for here.
_LONG = {
    "Batch norm": replace(MAIN["Batch norm"], probe="last-statistics"),
    "Group norm": replace(MAIN["Group norm"], probe="weights"),
}
# the statistics of small batches are what batch norm may suffer from
_SIZED = _SMALL | {"Batch norm": replace(_SMALL["Batch norm"], probe="last-statistics")}
_SWEPT = _cells({arm: _SIZED[arm] for arm in _FOUR}, BATCH_SIZES)
(_WHOLE,) = (recipe for recipe in _SWEPT["Batch norm"] if recipe.batch_size == 128)
_SEARCH = {arm: replace(_SMALL[arm], epochs=5, validation=True) for arm in _FOUR}
_TRIED = {
    arm: tuple(_cell(base, size, factor) for size in SEARCHED for factor in FACTORS)
    for arm, base in _SEARCH.items()
}
_LOST = {  # batch size and factor
    "Batch norm": ((512, 3.4),),
    "Group norm": ((512, 1.0),),
    "No norm": ((128, 1.0), (128, 3.4), (512, 1.0), (512, 3.4)),
}

# -- depths ----------------------------------------------------------------------------------------

BLOCKS: Mapping[str, int] = MappingProxyType(
    {"pyramid-half": 2, "pyramid": 4, "pyramid-double": 8, "pyramid-quadruple": 16}
)
"""Residual blocks of the networks of other depths."""


_DEEP = ("pyramid-double", "pyramid-quadruple")
_DEEPEST = replace(_SMALL["No norm"], net="pyramid-quadruple")


def _depths(base: Recipe) -> tuple[Recipe, ...]:
    """All depths, and the deep ones at a quarter of the rate as well.

    An arm that fails at both rates, with all seeds, does not fail for a long step.
    """
    return (
        *variants(base, net=list(BLOCKS)),
        *variants(base, net=list(_DEEP), lr=base.lr / 4),
    )


# -- penalties -------------------------------------------------------------------------------------

_HALF = replace(_SHORT["Batch norm"], subset=25_000, probe="weights")
_LAMBDAS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
_OF_SCALES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]  # they begin at 1, and have further to go


def _sweep(
    name: str,
    title: str,
    arms: Arms,
    seeds: tuple[int, ...] = (0, 1),
    diverged: Arms = MappingProxyType({}),
) -> Study:
    """Make a sweep, which is for the images of CIFAR-10: the digits are too few for it."""
    return Study(name=name, title=title, arms=arms, seeds=seeds, diverged=diverged, stands_in=False)


SWEEPS = (
    _sweep(
        "main-on-cifar10",
        "Batch and group norm of the main study, on CIFAR-10 whatever the report shows",
        {arm: (MAIN[arm],) for arm in ("Batch norm", "Group norm")},
        seeds=tuple(range(10)),
    ),
    _sweep(
        "batch-sizes-search",
        "Learning rates for six batch sizes, on validation images",
        _TRIED,
        seeds=(100,),  # another than those of the sweep
        diverged={
            arm: tuple(replace(_cell(_SEARCH[arm], *cell), seed=100) for cell in cells)
            for arm, cells in _LOST.items()
        },
    ),
    _sweep(
        "batch-sizes",
        "Four arms at seven batch sizes, on a fifth of the images",
        _SWEPT,
        diverged={"No norm": (replace(_SWEPT["No norm"][-1], seed=1),)},  # 512 images
    ),
    _sweep(
        "batch-sizes-full",
        "Small batches, at full length",
        {arm: tuple(_cell(base, n, 1.0) for n in (4, 8, 32)) for arm, base in _LONG.items()},
    ),
    _sweep(
        "short-rate-full",
        "Batches of 32 under group norm at full length, at the rate that the short search chose",
        _cells({"Group norm": _LONG["Group norm"]}, (32,)),
        seeds=(0,),
    ),
    _sweep(
        "ghost-batches",
        "Statistics over a part of a batch of 128, on a fifth of the images",
        {"Batch norm": variants(_WHOLE, ghost_batch=[2, 8, 32])},
        seeds=(0, 1, 2),
    ),
    _sweep(
        "group-counts",
        "Numbers and sizes of groups, on half of the images",
        {
            "Groups": variants(_SHORT["Group norm"], subset=25_000, num_groups=[1, 2, 4, 8, 24]),
            "Channels per group": variants(
                _SHORT["Group norm"], subset=25_000, channels_per_group=[1, 2, 4, 8, 24]
            ),
        },
        seeds=(0, 1, 2),
    ),
    _sweep(
        "depths",
        "Four depths, the deep ones at two learning rates, on a fifth of the images",
        {arm: _depths(_SMALL[arm]) for arm in _FOUR},
        diverged={
            "No norm": (
                *variants(_DEEPEST, seed=[0, 1]),
                replace(_DEEPEST, lr=_DEEPEST.lr / 4, seed=0),
            )
        },
    ),
    _sweep(
        "depths-full",
        "Sixteen blocks, at full length",
        {
            # with a probe a run keeps no answers, which nobody asks for here
            arm: variants(MAIN[arm], net="pyramid-quadruple", probe="weights")
            for arm in ("Batch norm", "Group norm")
        },
        seeds=(0,),
    ),
    _sweep(
        "probed",
        "Four arms, measured while they train",
        {
            arm: variants(_SHORT[arm], probe="statistics+corruptions+landscape+weights")
            for arm in _FOUR
        },
    ),
    _sweep(
        "probed-full",
        "Batch and group norm, measured while they train at full length",
        {
            arm: variants(MAIN[arm], probe="statistics+corruptions")
            for arm in ("Batch norm", "Group norm")
        },
        seeds=(0,),
    ),
    _sweep(
        "bn-momentum",
        "Batch norm's momentum, measured while it trains",
        {"Batch norm": variants(_SHORT["Batch norm"], bn_momentum=[0.01, 0.5], probe="statistics")},
    ),
    _sweep(
        "penalties",
        "Four penalties at five strengths, on half of the images",
        {
            "L1, subgradient": variants(_HALF, l1=_LAMBDAS),
            "L1, proximal": variants(_HALF, l1=_LAMBDAS, l1_step="proximal"),
            "L1 on scales, proximal": variants(
                _HALF, l1=_OF_SCALES, l1_on="scales", l1_step="proximal"
            ),
            "L2": variants(_HALF, weight_decay=[5e-6, 5e-5, 5e-4, 5e-3, 5e-2]),
        },
    ),
)
"""Every sweep."""
