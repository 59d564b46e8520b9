"""What people said of labels that a program doubted, as data, and beside what runs answer.

The votes stand in ``votes.csv`` beside this file: test images of MNIST and CIFAR-10 whose labels
the program of Northcutt et al. doubted, each shown to five people with the label and the program's
suggestion. Each of the five saw the label, the suggestion, neither or both. Where the suggestion is
the label, both have the same count. Labels are positions in ``classes`` of the data set.

References
----------
Northcutt et al., Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks, 2021,
section 4 and table 2, https://arxiv.org/abs/2103.14749; votes:
https://github.com/cleanlab/label-errors, folder ``mturk``.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

from normstudy.study.data import ImageSet
from normstudy.study.hardness import Hard
from normstudy.tables import Table

Verdict = Literal["label", "suggestion", "neither", "no majority"]
"""What most people saw in an image."""

_MOST = 3  # of five people


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """What five people saw in one test image."""

    label: int
    suggested: int
    for_label: int
    for_suggested: int
    for_neither: int
    for_both: int = 0

    @property
    def verdict(self) -> Verdict:
        """What at least three of the five saw."""
        if self.for_label >= _MOST:
            return "label"
        if self.for_suggested >= _MOST:
            return "suggestion"
        return "neither" if self.for_neither >= _MOST else "no majority"


def _read() -> Mapping[str, Mapping[int, Vote]]:
    """Read the file."""
    text = resources.files("normstudy.study").joinpath("votes.csv").read_text(encoding="utf-8")
    found: dict[str, dict[int, Vote]] = {}
    for line in csv.DictReader(text.splitlines()):
        of_data = found.setdefault(line.pop("dataset"), {})
        numbers = {key: int(value) for key, value in line.items()}
        index = numbers.pop("index")
        of_data[index] = Vote(**numbers)
    return MappingProxyType({data: MappingProxyType(votes) for data, votes in found.items()})


VOTES = _read()
"""Votes by data set, and by the position of the image in its test set."""


def on(found: Sequence[Hard], images: ImageSet) -> dict[int, Vote]:
    """Look up the votes on test images, by position.

    Images that nobody was asked about are left out, and so are those of another label than the one
    that people voted on: they are made up, and not of the data set.
    """
    votes = VOTES.get(images.name, {})
    labels = images.test.labels
    asked = {one.index: votes[one.index] for one in found if one.index in votes}
    return {i: vote for i, vote in asked.items() if vote.label == int(labels[i])}


def beside(found: Sequence[Hard], images: ImageSet) -> Table:
    """Set what people saw beside what runs answer."""
    votes, rows = on(found, images), []
    for one in found:
        asked: tuple[str, ...] = (*["\N{EN DASH}"] * 2, "not asked")
        if vote := votes.get(one.index):
            counts = (vote.for_label, vote.for_suggested, vote.for_both, vote.for_neither)
            asked = (images.classes[vote.suggested], ", ".join(map(str, counts)), vote.verdict)
        runs = f"{one.answer}, {one.agreeing} of {one.runs}"
        rows.append((str(one.index), one.true_name, runs, *asked))
    people = ("suggested to people", "people for label, suggestion, both, neither", "most people")
    return Table(("image", "label", "runs answer", *people), tuple(rows))


def in_short(found: Sequence[Hard], images: ImageSet) -> str:
    """Say of how many images most people saw the label, and of how many the answer of the runs."""
    votes = on(found, images)
    kept = sum(vote.verdict == "label" for vote in votes.values())
    changed = sum(
        vote.verdict == "suggestion" and images.classes[vote.suggested] == one.answer
        for one in found
        if (vote := votes.get(one.index))
    )
    return (
        f"People voted on {len(votes):,} of these {len(found):,} images: most saw the label in "
        f"{kept:,} and the answer of the runs in {changed:,}."
    )
