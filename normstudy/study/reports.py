"""What public class reports on this assignment printed, as data.

The facts stand in ``reports.csv`` beside this file; their best numbers are what the studies are
compared with.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from normstudy.study.recipes import DATASETS, NUM_CLASSES, Dataset

_ARMS = {
    "batch": "Batch norm",
    "batch_l1": "Batch norm + L1",
    "group": "Group norm",
    "layer": "Layer norm",
}
"""Columns of the file, and the arms that they hold."""

LIMITS: Mapping[Dataset, int] = MappingProxyType({"cifar10": 50_000, "mnist": 10_000})
"""Parameters that the assignment allows, by data set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One network of one report: its highest test accuracies by arm, in percent.

    One seed each, at the epoch that was best on the test images.
    """

    name: str
    data: Dataset
    parameters: Mapping[str, int]
    """Of the network of each arm; empty where the report does not say."""
    accuracies: Mapping[str, float]
    remark: str

    @property
    def trained(self) -> bool:
        """Whether every arm is better than a guess: one that is not was not trained."""
        return min(self.accuracies.values()) > 100 / NUM_CLASSES


def _read() -> tuple[Report, ...]:
    """Read the file.

    Raises
    ------
    ValueError
        If a data set is unknown or a report has no accuracy.
    """
    text = resources.files("normstudy.study").joinpath("reports.csv").read_text(encoding="utf-8")
    found = []
    for line in csv.DictReader(text.splitlines()):
        accuracies = {arm: float(line[key]) for key, arm in _ARMS.items() if line[key]}
        if line["dataset"] not in DATASETS or not accuracies:
            msg = f"reports.csv: {line} has no known data set, or no accuracy"
            raise ValueError(msg)
        sizes = {
            arm: int(size)
            for key, arm in _ARMS.items()
            if arm in accuracies and (size := line.get(f"{key}_parameters") or line["parameters"])
        }
        found.append(
            Report(
                name=line["report"],
                data=line["dataset"],  # type: ignore[arg-type] # it was looked up
                parameters=MappingProxyType(sizes),
                accuracies=MappingProxyType(accuracies),
                remark=line["remark"],
            )
        )
    return tuple(found)


REPORTS = _read()
"""Every network of every report, student work found by searching public repositories, November 2026
(36 networks; names are left out)."""


def reports_on(data: Dataset) -> list[Report]:
    """List the reports on a data set whose networks trained."""
    return [report for report in REPORTS if report.data == data and report.trained]


def best(data: Dataset) -> dict[str, float]:
    """Look up the highest accuracy that the reports on a data set have for each arm, in percent.

    Networks that are known to have more parameters than the assignment allows do not count.
    """
    found: dict[str, float] = {}
    for report in reports_on(data):
        for arm, accuracy in report.accuracies.items():
            if report.parameters.get(arm, 0) < LIMITS[data]:
                found[arm] = max(accuracy, found.get(arm, accuracy))
    return {arm: found[arm] for arm in _ARMS.values() if arm in found}
