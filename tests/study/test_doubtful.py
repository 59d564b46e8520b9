"""Which images every arm gets wrong is counted by hand."""

import numpy as np
import pytest
import torch
from fakes import fake_run

from normstudy.study import doubtful
from normstudy.study.data import ImageSet, Split
from normstudy.study.doubtful import Doubtful
from normstudy.study.recipes import Recipe


def images():
    split = Split(torch.zeros(5, 8, 8, 1, dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1]))
    zero = torch.zeros(1)
    return ImageSet("digits", split, split, ("ant", "bee", "cat"), zero, zero + 1)


def runs(norm, *predictions):
    made = []
    for seed, of_one in enumerate(predictions):
        recipe = Recipe(data="digits", norm=norm, seed=seed)
        answers = np.array(of_one, dtype=np.int64)
        ones = np.ones(len(answers), dtype=np.float32)
        made.append(fake_run(recipe, [0.5], num=5, predictions=answers, confidences=ones))
    return made


ARMS = {  # labels      0 1 2 0 1
    "Batch norm": runs("batch", [0, 2, 0, 1, 2], [0, 2, 0, 1, 1], [0, 1, 0, 1, 2]),
    "Layer norm": runs("layer", [0, 0, 0, 2, 1], [0, 2, 0, 1, 1], [1, 2, 0, 1, 2]),
}


def test_images_that_most_seeds_of_every_arm_get_wrong_those_most_agreed_on_first():
    assert doubtful.find(ARMS, images()) == [
        Doubtful(index=2, true="cat", answer="ant", agreeing=6, runs=6),
        Doubtful(index=3, true="ant", answer="bee", agreeing=5, runs=6),
        Doubtful(index=1, true="bee", answer="cat", agreeing=4, runs=6),
    ]


def test_it_is_said_in_short():
    assert doubtful.in_short(ARMS, images()) == (
        "Of 5 test images, 5 are wrong in some run, 3 in most seeds of every arm, and to 1 of "
        "these all 6 runs give the same wrong answer."
    )


def test_the_picture_counts_the_runs():
    words = doubtful.draw(ARMS, images(), grid=(1, 2)).normstudy
    assert words["name"] == "doubtful"
    assert words["caption"].startswith("Wrong under every norm: 2 of 3 test images. Digits. Wrong")
    assert "no. 3, ant taken for bee by 5 runs." in words["alt"]


def test_where_no_image_is_shared_nothing_is_shown():
    right = {"Batch norm": runs("batch", [0, 1, 2, 0, 1])}
    assert doubtful.find(right, images()) == []
    assert doubtful.draw(right, images()).normstudy["alt"].endswith("0 test images: none.")


def test_runs_of_other_images_are_refused():
    with pytest.raises(ValueError, match="the run has 2 predictions and the test set 5 images"):
        doubtful.find({"A": [fake_run(Recipe(data="digits"), [0.5], num=2)]}, images())
