"""What people said of MNIST's doubtful labels, as data, and beside what runs answer.

The votes stand in ``votes.csv`` beside this file: 100 test images whose labels the program of
Northcutt et al. doubted, each shown to five people with the label and the program's suggestion. Of
three counts, one of each image is the number that saw the label, one the suggestion, one neither.
Where the suggestion is the label, both have the same count.

References
----------
Northcutt et al., Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks, 2021,
section 4 and table 2, https://arxiv.org/abs/2103.14749; votes:
https://github.com/cleanlab/label-errors, file ``mturk/mnist_mturk.json``.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

from normstudy.study.hardness import Hard
from normstudy.tables import Table

Verdict = Literal["label", "suggestion", "neither", "no majority"]
"""What most people saw in an image."""

_MOST = 3  # of five people


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """What five people saw in one test image."""

    label: str
    suggested: str
    for_label: int
    for_suggested: int
    for_neither: int

    @property
    def verdict(self) -> Verdict:
        """What at least three of the five saw."""
        if self.for_label >= _MOST:
            return "label"
        if self.for_suggested >= _MOST:
            return "suggestion"
        return "neither" if self.for_neither >= _MOST else "no majority"


def _read() -> Mapping[int, Vote]:
    """Read the file."""
    text = resources.files("normstudy.study").joinpath("votes.csv").read_text(encoding="utf-8")
    found = {}
    for line in csv.DictReader(text.splitlines()):
        found[int(line.pop("index"))] = Vote(
            label=line["label"],
            suggested=line["suggested"],
            **{key: int(line[key]) for key in ("for_label", "for_suggested", "for_neither")},
        )
    return MappingProxyType(found)


VOTES = _read()
"""Votes by the position of the image in MNIST's test set."""


def on(found: Sequence[Hard]) -> dict[int, Vote]:
    """Look up the votes on images, by position.

    Images that nobody was asked about are left out, and so are those of another label than the one
    that people voted on: they are not of MNIST's test set.
    """
    votes = {one.index: (one, VOTES[one.index]) for one in found if one.index in VOTES}
    return {i: vote for i, (one, vote) in votes.items() if vote.label == one.true_name}


def beside(found: Sequence[Hard]) -> Table:
    """Set what people saw beside what runs answer."""
    votes, rows = on(found), []
    for one in found:
        asked: tuple[str, ...] = (*["\N{EN DASH}"] * 4, "not asked")
        if vote := votes.get(one.index):
            counts = (vote.for_label, vote.for_suggested, vote.for_neither)
            asked = (vote.suggested, *map(str, counts), vote.verdict)
        runs = f"{one.answer}, {one.agreeing} of {one.runs}"
        rows.append((str(one.index), one.true_name, runs, *asked))
    votes_for = (f"people for the {what}" for what in ("label", "suggestion"))
    header = (
        "image",
        "label",
        "runs answer",
        "suggested",
        *votes_for,
        "for neither",
        "most people",
    )
    return Table(header, tuple(rows))


def in_short(found: Sequence[Hard]) -> str:
    """Say of how many images most people saw the label, the answer of the runs, or neither."""
    votes = on(found)
    kept = sum(vote.verdict == "label" for vote in votes.values())
    changed = sum(
        votes[one.index].verdict == "suggestion" and votes[one.index].suggested == one.answer
        for one in found
        if one.index in votes
    )
    return (
        f"People voted on {len(votes)} of these {len(found)} images: most saw the label in {kept} "
        f"and the answer of the runs in {changed}."
    )
