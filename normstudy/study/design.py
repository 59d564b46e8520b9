"""What a study is: arms by name, the seeds of each, and what its numbers are set beside.

An arm is a name that its study gives to one recipe or, in a search, to the recipes that are tried
for it. Nothing is guessed from a recipe: two settings of one norm are two arms.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from normstudy.study.moving import moved, report_data, report_precision
from normstudy.study.originals import Original
from normstudy.study.recipes import Dataset, Precision, Recipe

Arms = Mapping[str, tuple[Recipe, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Numbers of somebody else, to be set beside ours: values by arm, and where they are from."""

    values: Mapping[str, float]
    """Test accuracy in percent, by the name of the arm."""
    label: str
    """What the numbers are, in a word or two."""
    source: str
    """Where they come from, and how they were obtained, in a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One comparison: arms by name, and the seeds that each is trained with."""

    name: str
    title: str
    arms: Arms
    """Recipes by the name of the arm: one, or all that are tried for it."""
    seeds: tuple[int, ...] = (0,)
    diverged: Arms = field(default_factory=dict)
    """Recipes, each with its seed, that left no run, since their loss stopped being finite."""
    reference: Reference | None = None
    """What the study is compared with."""
    original: Original | None = None
    """The class report that the study repeats."""
    stands_in: bool = True
    """Whether a report on another data set shows the study on that set, or as it was published."""

    def recipes(
        self,
        seeds: Iterable[int] | None = None,
        data: Dataset | None = None,
        precision: Precision | None = None,
    ) -> dict[str, list[Recipe]]:
        """List what is trained: for each arm its recipes, each with every seed, less what diverged.

        Parameters
        ----------
        seeds
            Instead of the study's own.
        data
            Data set to move the recipes to; by default that of the report, for a study that was
            made for CIFAR-10 and stands in. On digits the first two seeds are enough.
        precision
            In which everything is trained; by default ``NORMSTUDY_PRECISION``, or its own.

        Raises
        ------
        ValueError
            If the recipes cannot be moved, or two arms would no longer differ.
        """
        arms, chosen = self.arms, self.seeds if seeds is None else tuple(seeds)
        made_for_cifar10 = all(r.data == "cifar10" for tried in arms.values() for r in tried)
        if data is None and self.stands_in and made_for_cifar10:
            data = report_data()
        if data is not None:
            arms = {arm: tuple(moved(r, data) for r in tried) for arm, tried in arms.items()}
            self._check_apart(arms, data)
            if data == "digits" and seeds is None:
                chosen = chosen[:2]  # a demonstration is no evidence
        wanted = precision or report_precision()
        if wanted is not None:
            arms = {
                arm: tuple(replace(r, precision=wanted) for r in tried)
                for arm, tried in arms.items()
            }
        lost = {recipe for tried in self.diverged.values() for recipe in tried}
        if wanted is not None:  # a step that is too long in one precision is so in the other
            lost = {replace(recipe, precision=wanted) for recipe in lost}
        seeded = {
            arm: [replace(recipe, seed=seed) for recipe in tried for seed in chosen]
            for arm, tried in arms.items()
        }
        return {arm: [r for r in recipes if r not in lost] for arm, recipes in seeded.items()}

    def _check_apart(self, arms: Arms, data: str) -> None:
        """Refuse to move a study whose arms would no longer differ."""
        names: dict[tuple[Recipe, ...], str] = {}
        for arm, tried in arms.items():
            if (other := names.setdefault(tried, arm)) != arm:
                msg = (
                    f"on {data} the arms {other!r} and {arm!r} of the study {self.name!r} would be "
                    "the same; keep the study on its own data set (stands_in=False)"
                )
                raise ValueError(msg)

    @property
    def data(self) -> Dataset:
        """Data set that the study is trained on, here and now."""
        return next(iter(self.recipes().values()))[0].data
