"""A recipe goes to the data set of the report, and only one for CIFAR-10 does."""

import pytest

from normstudy.study import data
from normstudy.study.moving import moved, report_data
from normstudy.study.recipes import Recipe
from normstudy.study.train import build

TINY = Recipe(data="digits", epochs=1, batch_size=480, lr=0.1, crop=1, precision="float32")


def test_the_report_shows_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("NORMSTUDY_REPORT", raising=False)
    assert report_data() == "cifar10"
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    assert report_data() == "digits"
    monkeypatch.setenv("NORMSTUDY_REPORT", "imagenet")
    with pytest.raises(ValueError, match="NORMSTUDY_REPORT='imagenet' is unknown; accepted: cifar"):
        report_data()


def test_a_recipe_that_is_there_already_is_not_moved():
    assert moved(TINY, "digits") == TINY
    assert moved(Recipe(num_groups=1), "mnist").num_groups == 1


@pytest.mark.parametrize("num_groups", [1, 2, 4, 8, 24])
def test_groups_of_the_main_study_fit_its_network_for_grey_images(num_groups):
    recipe = Recipe(net="pyramid", norm="group", num_groups=num_groups)
    build(moved(recipe, "digits"), data.load("digits"))


@pytest.mark.parametrize(("channels", "halved"), [(0, 0), (1, 1), (2, 1), (3, 2), (8, 4)])
def test_groups_of_so_many_channels_become_half_as_large_and_never_none(channels, halved):
    recipe = Recipe(net="pyramid", norm="group", channels_per_group=channels)
    assert moved(recipe, "mnist").channels_per_group == halved
    assert moved(recipe, "digits").channels_per_group == halved


def test_a_recipe_of_another_set_stays_where_it_is():
    with pytest.raises(ValueError, match="a recipe for digits cannot be moved to mnist; accepted"):
        moved(TINY, "mnist")
