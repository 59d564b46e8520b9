"""Dropout by gaps is dropout: independent, at its rate, and from PyTorch's own generator."""

import pytest
import torch
from scipy import stats
from torch import nn

from normstudy.study.dropout import Dropout, draw

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("p", [0.003, 0.05, 0.5, 0.97])
@pytest.mark.parametrize("num", [0, 1, 7, 1000])
def test_every_value_is_dropped_at_the_rate(num, p):
    torch.manual_seed(0)
    counts, rounds = torch.zeros(num), 400
    for _ in range(rounds):
        places = draw(num, p)
        assert places.dtype == torch.int64
        assert (places.diff() > 0).all(), "rising, and none twice"
        counts[places] += 1
    if num:
        total = int(counts.sum())
        assert stats.binomtest(total, num * rounds, p).pvalue > 1e-3
        lowest, highest = stats.binom.ppf([1e-4 / num, 1 - 1e-4 / num], rounds, p)
        assert lowest <= counts.min() <= counts.max() <= highest, "the first and the last as well"


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    kept = torch.ones(1_000_000)
    kept[draw(len(kept), 0.05)] = 0
    both = int(((kept[:-1] == 0) & (kept[1:] == 0)).sum())
    assert stats.binomtest(both, len(kept) - 1, 0.05**2).pvalue > 1e-3
    per_thousand = (1 - kept).view(1000, 1000).sum(1)
    assert float(per_thousand.var()) == pytest.approx(1000 * 0.05 * 0.95, rel=0.15)


def test_more_is_drawn_where_the_gaps_do_not_reach_the_end(monkeypatch):
    whole = torch.Tensor.geometric_
    monkeypatch.setattr(torch.Tensor, "geometric_", lambda self, p: whole(self, p).fill_(1))
    assert draw(100, 0.05).tolist() == list(range(100))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 8, 7, 7), (4, 1, 7, 7), (3, 8, 1, 1)])
def test_values_are_dropped_or_scaled_and_gradients_likewise(shape, layout, dtype):
    torch.manual_seed(0)
    x = torch.ones(shape, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    y = Dropout(0.25)(x)
    assert y.dtype == dtype
    assert y.stride() == x.stride()
    scaled = torch.tensor(4 / 3, dtype=dtype)
    assert ((y == 0) | (y == scaled)).all()
    assert 0 < int((y == 0).sum()) < y.numel()
    for grad in (torch.ones_like(y), torch.ones(1, dtype=dtype).expand(shape)):
        (dx,) = torch.autograd.grad(y, x, grad, retain_graph=True)
        assert torch.equal(dx, y)
    elsewhere = torch.ones(shape, dtype=dtype)  # contiguous, whatever the layout of y
    assert torch.equal(torch.autograd.grad(y, x, elsewhere)[0], y)


def test_the_generator_decides_and_its_state_continues_it():
    layer, x = Dropout(0.05), torch.ones(2, 3, 50, 50)
    torch.manual_seed(3)
    first, state, second = layer(x), torch.get_rng_state(), layer(x)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    torch.set_rng_state(state)
    assert torch.equal(layer(x), second)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certain_rates_draw_nothing_or_are_pytorchs(p):
    x, state = torch.randn(2, 3, 4, 4), torch.get_rng_state()
    torch.testing.assert_close(Dropout(p)(x), nn.Dropout(p)(x))
    assert p or torch.equal(torch.get_rng_state(), state)


def test_features_are_dropped_as_before():
    x = torch.randn(50, 48)
    torch.manual_seed(0)
    expected = nn.Dropout(0.1)(x)
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.1)(x), expected)


def test_evaluation_changes_nothing():
    x = torch.randn(2, 3, 4, 4)
    assert Dropout(0.5).eval()(x) is x
