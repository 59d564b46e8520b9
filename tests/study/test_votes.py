"""Votes on doubtful labels are read as they were published, and set beside what runs answer."""

from dataclasses import replace

import pytest

from normstudy.study import votes
from normstudy.study.hardness import Hard
from normstudy.study.votes import VOTES, Vote

HARD = Hard(
    index=2597, wrong=6, runs=6, true_name="5", answer="3", agreeing=6, margin=0.0
)  # by people: 0 for the label, 4 for the suggestion, 3
KEPT = replace(HARD, index=6576, true_name="7", answer="1", agreeing=5)
NOT_ASKED = replace(HARD, index=5654, true_name="7", answer="2")


def test_the_votes_are_counted_as_in_the_paper():
    verdicts = [vote.verdict for vote in VOTES.values()]
    assert len(verdicts) == 100
    assert [verdicts.count(v) for v in ("suggestion", "neither", "no majority")] == [10, 3, 2]
    assert all(
        vote.for_label + vote.for_suggested + vote.for_neither == 5
        for vote in VOTES.values()
        if vote.label != vote.suggested
    )
    assert VOTES[247] == Vote(label="4", suggested="6", for_label=5, for_suggested=0, for_neither=0)


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((3, 2, 0), "label"),
        ((2, 3, 0), "suggestion"),
        ((1, 1, 3), "neither"),
        ((2, 2, 1), "no majority"),
    ],
)
def test_three_of_five_are_most(counts, verdict):
    names = ("for_label", "for_suggested", "for_neither")
    vote = Vote(label="4", suggested="9", **dict(zip(names, counts, strict=True)))
    assert vote.verdict == verdict


def test_they_stand_beside_the_answers_of_the_runs():
    assert votes.beside([HARD, KEPT, NOT_ASKED]).rows == (
        ("2597", "5", "3, 6 of 6", "3", "0", "4", "1", "suggestion"),
        ("6576", "7", "1, 5 of 6", "1", "4", "1", "0", "label"),
        ("5654", "7", "2, 6 of 6", "–", "–", "–", "–", "not asked"),
    )
    assert votes.in_short([HARD, KEPT, NOT_ASKED]) == (
        "People voted on 2 of these 3 images: most saw the label in 1 and the answer of the runs "
        "in 1."
    )


def test_a_suggestion_that_the_runs_do_not_share_is_not_their_answer():
    assert votes.in_short([replace(HARD, answer="8")]).endswith("answer of the runs in 0.")


def test_images_with_other_labels_are_not_those_that_people_saw():
    assert votes.on([HARD, replace(KEPT, true_name="6")]) == {2597: VOTES[2597]}
