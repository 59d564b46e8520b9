"""Votes on doubtful labels are read as they were published, and set beside what runs answer."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from study.fakes import DIGITS

from normstudy.study import votes
from normstudy.study.data import Split
from normstudy.study.hardness import Hard
from normstudy.study.votes import VOTES, Vote

LABELS = torch.zeros(10_000, dtype=torch.long)
for place, its_vote in VOTES["mnist"].items():
    LABELS[place] = its_vote.label
MNIST = replace(
    DIGITS, name="mnist", test=Split(torch.zeros(10_000, 28, 28, 1, dtype=torch.uint8), LABELS)
)
# by people: 0 for the label, 4 for the suggestion, 3
HARD = Hard(index=2597, wrong=6, runs=6, true_name="5", answer="3", agreeing=6, margin=0.0)
KEPT = replace(HARD, index=6576, true_name="7", answer="1", agreeing=5)
NOT_ASKED = replace(HARD, index=5654, true_name="0", answer="2")


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        ("mnist", {"label": 85, "suggestion": 10, "neither": 3, "no majority": 2}),
        ("cifar10", {"label": 221, "suggestion": 18, "neither": 4, "no majority": 32}),
    ],
)
def test_the_votes_are_counted_as_in_the_paper(data, counts):
    of_data = VOTES[data].values()
    assert Counter(vote.verdict for vote in of_data) == counts
    for vote in of_data:
        five = vote.for_label + vote.for_suggested + vote.for_neither + vote.for_both
        assert five == 5 or vote.label == vote.suggested


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((3, 2, 0, 0), "label"),
        ((2, 3, 0, 0), "suggestion"),
        ((1, 1, 3, 0), "neither"),
        ((2, 1, 0, 2), "no majority"),
    ],
)
def test_three_of_five_are_most(counts, verdict):
    names = ("for_label", "for_suggested", "for_neither", "for_both")
    vote = Vote(label=4, suggested=9, **dict(zip(names, counts, strict=True)))
    assert vote.verdict == verdict


def test_they_stand_beside_the_answers_of_the_runs():
    assert votes.beside([HARD, KEPT, NOT_ASKED], MNIST).rows == (
        ("2597", "5", "3, 6 of 6", "3", "0, 4, 0, 1", "suggestion"),
        ("6576", "7", "1, 5 of 6", "1", "4, 1, 0, 0", "label"),
        ("5654", "0", "2, 6 of 6", "–", "–", "not asked"),
    )
    assert votes.in_short([HARD, KEPT, NOT_ASKED], MNIST) == (
        "People voted on 2 of these 3 images: most saw the label in 1 and the answer of the runs "
        "in 1."
    )


def test_a_suggestion_that_the_runs_do_not_share_is_not_their_answer():
    assert votes.in_short([replace(HARD, answer="8")], MNIST).endswith("answer of the runs in 0.")


def test_images_with_other_labels_are_not_those_that_people_saw():
    changed = LABELS.clone()
    changed[KEPT.index] += 1
    made_up = replace(MNIST, test=replace(MNIST.test, labels=changed))
    assert votes.on([HARD, KEPT], made_up) == {HARD.index: VOTES["mnist"][HARD.index]}
    assert votes.on([HARD, KEPT], DIGITS) == {}
