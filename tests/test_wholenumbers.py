"""The search finds the tensor of the worked examples, and that has what the search promises."""

from itertools import combinations_with_replacement, product
from statistics import fmean, pstdev

from normstudy import byhand
from normstudy.wholenumbers import Stat, search, stat, union

MAPS = list(combinations_with_replacement(range(11), 4))


def test_the_search_finds_the_tensor_of_the_worked_examples() -> None:
    assert search() == byhand.X


def test_stat_agrees_with_the_standard_library() -> None:
    for numbers in MAPS:
        mean, std = fmean(numbers), pstdev(numbers)
        whole = mean == int(mean) and std == int(std) and std > 0
        assert stat(numbers) == (Stat(int(mean), int(std)) if whole else None)


def test_union_agrees_with_stat() -> None:
    whole = [(numbers, stat(numbers)) for numbers in MAPS]
    pairs = list(product([(numbers, s) for numbers, s in whole if s], repeat=2))
    unions = [(union(s, t), stat(a + b)) for (a, s), (b, t) in pairs]
    assert all(ours == theirs for ours, theirs in unions)
    assert 0 < sum(ours is not None for ours, _ in unions) < len(unions)
