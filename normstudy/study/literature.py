"""What papers and public replications measured, to be set beside runs of our own; as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from normstudy.tables import Table, in_sentence, number


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One table of somebody else: a row for each arm, a column for each value of a setting."""

    what: str
    """Network, data set, and how many trainings stand behind a number."""
    axis: str
    """The setting."""
    places: tuple[str, ...]
    """Its values."""
    rows: Mapping[str, tuple[float, ...]]
    """Numbers in percent, by arm."""
    unit: str
    better: int
    """1 where more is better, -1 where less is."""
    source: str

    def table(self) -> Table:
        """Show the numbers as they were published."""
        header = (f"{self.axis}: {self.unit}", *self.places)
        every = [f"{value:g}" for of in self.rows.values() for value in of]
        digits = max(len(value.partition(".")[2]) for value in every)
        rows = [(arm, *(number(value, digits) for value in of)) for arm, of in self.rows.items()]
        return Table(header, tuple(rows))

    def lost(self, arm: str, here: str, there: str) -> float:
        """Count the points that an arm loses on the way from one value of the setting to another.

        Examples
        --------
        >>> round(WU_HE_BATCHES.lost("Batch norm", "32", "2"), 1)
        11.1
        """
        at = dict(zip(self.places, self.rows[arm], strict=True))
        first, second = (here, there) if self.better > 0 else (there, here)
        return at[first] - at[second]

    def sentence(self, here: str, there: str) -> str:
        """Say what each arm loses between two values of the setting."""
        lost = "; ".join(
            f"{in_sentence(arm)} {number(self.lost(arm, here, there), 1)} points"
            for arm in self.rows
        )
        return f"{self.what}, {self.axis} {there} instead of {here}, lost: {lost}. {self.source}"


_RESNET_50 = "ResNet-50 on ImageNet, one training each"
_WU_HE = "Wu & He 2018, Group Normalization, arXiv:1803.08494"

WU_HE_BATCHES = Published(
    what=_RESNET_50,
    axis="images per device",
    places=("32", "16", "8", "4", "2"),
    rows={
        "Batch norm": (23.6, 23.7, 24.8, 27.3, 34.7),
        "Group norm": (24.1, 24.2, 24.0, 24.2, 24.1),
    },
    unit="validation error, %",
    better=-1,
    source=f"{_WU_HE}, table 2.",
)

WU_HE_NORMS = Published(
    what=_RESNET_50,
    axis="norm",
    places=("batch", "layer", "instance", "group"),
    rows={"32 images per device": (23.6, 25.3, 28.4, 24.1)},
    unit="validation error, %",
    better=-1,
    source=f"{_WU_HE}, table 1.",
)

WU_HE_GROUPS = Published(
    what=_RESNET_50,
    axis="groups",
    places=("64", "32", "16", "8", "4", "2", "1"),
    rows={"Group norm": (24.6, 24.1, 24.6, 24.4, 24.6, 24.7, 25.3)},
    unit="validation error, %",
    better=-1,
    source=f"{_WU_HE}, table 3, upper half.",
)

WU_HE_CHANNELS = Published(
    what=_RESNET_50,
    axis="channels per group",
    places=("64", "32", "16", "8", "4", "2", "1"),
    rows={"Group norm": (24.4, 24.5, 24.2, 24.3, 24.8, 25.6, 28.4)},
    unit="validation error, %",
    better=-1,
    source=f"{_WU_HE}, table 3, lower half.",
)

PRECISE = Published(
    what="ResNet-50 on ImageNet",
    axis="images that share statistics",
    places=("32", "2"),
    rows={"moving averages": (23.7, 35.5), "precise statistics": (23.5, 32.0)},
    unit="validation error, %",
    better=-1,
    source='Wu & Johnson 2021, Rethinking "Batch" in BatchNorm, arXiv:2105.07576.',
)

REPLICATIONS = (
    Published(
        what="ResNet-20 on CIFAR-10, five seeds",
        axis="batch size",
        places=("2", "4", "8", "16", "32"),
        rows={
            "Batch norm": (80.30, 84.77, 86.14, 86.40, 86.40),
            "Group norm": (85.79, 85.97, 85.77, 85.71, 85.95),
        },
        unit="test accuracy, %",
        better=1,
        source=(
            "A public replication of Wu & He, which like the class reports is not named; standard "
            "deviations are 0.26 to 0.59 points."
        ),
    ),
    Published(
        what="ResNet-20 on CIFAR-10",
        axis="batch size",
        places=("2", "4", "8", "16", "32"),
        rows={
            "Batch norm": (79.37, 83.57, 84.34, 84.37, 84.69),
            "Group norm": (84.44, 84.42, 84.12, 83.93, 84.01),
        },
        unit="test accuracy, %",
        better=1,
        source="Another public replication, not named either.",
    ),
)
"""Two repetitions of Wu & He's sweep on CIFAR-10."""
