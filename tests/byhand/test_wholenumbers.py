"""The searches find the tensors of the worked examples, and these have what they promise."""

from fractions import Fraction
from itertools import combinations_with_replacement, product
from statistics import fmean, pstdev

import torch

from normstudy.byhand import examples, norms
from normstudy.byhand.wholenumbers import (
    Map,
    Stat,
    Sums,
    backward_means,
    gradients,
    search,
    search_gradient,
    stat,
    union,
)

MAPS = list(combinations_with_replacement(range(11), 4))


def test_the_search_finds_the_tensor_of_the_worked_examples() -> None:
    assert search() == examples.X


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


def test_the_search_finds_the_gradient_of_the_worked_examples() -> None:
    assert search_gradient(examples.X, examples.GAMMA) == examples.GRAD_Y


def test_the_gradient_keeps_the_promises_of_its_search() -> None:
    means: list[Fraction] = []
    for norm in ("batch", "layer", "group", "instance"):
        example = examples.by_hand(norm)
        both = [*example["mean_g"].values, *example["mean_g_xhat"].values]
        means += [Fraction(value) for value in both]
        assert norm != "instance" or 0 not in both
    assert len(means) == 2 * (4 + 2 + 4 + 8)
    assert {mean.denominator for mean in means} == {1}
    assert means.count(Fraction(0)) == 4
    # a smaller largest number leaves no choice for the first map
    assert gradients(examples.X[0][0], examples.GAMMA[0], largest=1) == {}


def sums_of(grad: Map, x: Map) -> Sums:
    return Sums(sum(grad), sum(g * number for g, number in zip(grad, x, strict=True)))


def test_means_of_the_backward_pass_agree_with_torch() -> None:
    x = examples.X[1][1]
    whole = 0
    for grad in product(range(-2, 3), repeat=4):
        g, numbers = torch.tensor(grad).double(), torch.tensor(x).double()
        xhat = norms.forward(numbers.reshape(1, 1, 4), "instance", eps=0).y.flatten()
        expected = (g.mean().item(), (g * xhat).mean().item())
        found = backward_means([x], [sums_of(grad, x)])
        if found is None:
            assert max(abs(mean - round(mean)) for mean in expected) > 1e-3
        else:
            assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 1e-12
            whole += 1
    assert 0 < whole < 5**4


def test_gradients_take_the_most_different_numbers_for_their_sums() -> None:
    x, gamma = examples.X[0][3], examples.GAMMA[3]
    chosen = gradients(x, gamma, largest=2)
    assert chosen
    for grad in product(range(-2, 3), repeat=4):
        sums = sums_of(tuple(gamma * g for g in grad), x)
        means = backward_means([x], [sums])
        assert (sums in chosen) == (means is not None and 0 not in means)
        if sums in chosen:
            assert sums_of(tuple(gamma * g for g in chosen[sums]), x) == sums
            assert len(set(chosen[sums])) >= len(set(grad))
