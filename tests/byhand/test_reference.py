"""What torch computes, written out once more, and what a failed comparison says."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from normstudy.byhand import norms
from normstudy.byhand.examples import BATCHES, NORMS, NUM_GROUPS, SHAPE, penalties_by_hand
from normstudy.byhand.reference import (
    NO_EPS,
    assert_close,
    by_torch,
    differences,
    penalties_by_torch,
    running_by_torch,
    torch_layer,
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


# -- torch's layers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norm", "layer"),
    [
        ("batch", nn.BatchNorm2d(4, 1e-3)),
        ("instance", nn.InstanceNorm2d(4, 1e-3)),
        ("group", nn.GroupNorm(2, 4, 1e-3)),
        ("layer", nn.GroupNorm(1, 4, 1e-3)),
        ("layer_chw", nn.LayerNorm([4, 3, 3], 1e-3)),
    ],
)
def test_a_layer_is_the_one_of_that_name(norm: str, layer: nn.Module) -> None:
    x = numbers(2, 4, 3, 3)
    ours = torch_layer(norm, x.shape, num_groups=2, eps=1e-3)
    assert type(ours) is type(layer)
    assert torch.equal(ours(x), layer.double()(x))


@pytest.mark.parametrize(
    ("norm", "layer"), [("layer_channels", nn.LayerNorm(4, 1e-3)), ("rms", nn.RMSNorm(4, 1e-3))]
)
def test_channels_last_layers_see_one_pixel_at_a_time(norm: str, layer: nn.Module) -> None:
    x = numbers(2, 4, 3, 3)
    pixel = layer.double()(x[1, :, 2, 0])
    assert_close(torch_layer(norm, x.shape, eps=1e-3)(x)[1, :, 2, 0], pixel)


def test_weight_standardization_makes_every_output_channel_standard() -> None:
    y = torch_layer("weight", (5, 4, 3, 3), eps=0)(numbers(5, 4, 3, 3) + 7).flatten(1)
    assert_close(y.mean(1), torch.zeros(5).double())
    assert_close(y.var(1, correction=0), torch.ones(5).double())


@pytest.mark.parametrize("norm", NORMS)
def test_no_eps_is_as_good_as_none(norm: str) -> None:
    x = numbers(*SHAPE)
    layer = torch_layer(norm, SHAPE, num_groups=NUM_GROUPS, eps=0)
    expected = norms.forward(x, norm, num_groups=NUM_GROUPS, eps=0).y
    assert_close(layer(x), expected)
    assert getattr(layer, "layer", layer).eps == NO_EPS


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="norm is 'bach'; it must be one of batch, instance, gro"):
        torch_layer("bach", SHAPE)


# -- the worked examples in torch ----------------------------------------------------------------


def test_result_and_gradients_are_those_of_autograd() -> None:
    x, grad_y = numbers(3, 4, 2, 2), numbers(3, 4, 2, 2, seed=1)
    weight, bias = numbers(4, seed=2), numbers(4, seed=3)
    layer = nn.GroupNorm(2, 4, 1e-5, dtype=torch.double)
    layer.weight.data, layer.bias.data = weight, bias
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    y.backward(grad_y)
    expected = {"y": y, "grad_x": leaf.grad, "grad_gamma": layer.weight.grad}
    expected["grad_beta"] = layer.bias.grad
    found = by_torch("group", x, weight, bias, grad_y, num_groups=2, eps=1e-5)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        assert not found[name].requires_grad
    assert x.requires_grad is False


def test_rms_norm_has_no_gradient_for_a_shift() -> None:
    x, weight = numbers(*SHAPE), numbers(4)
    found = by_torch("rms", x, weight, weight, x)
    assert found.keys() == {"y", "grad_x", "grad_gamma"}


def test_running_statistics_start_where_they_are_told_and_move_with_each_batch() -> None:
    batches = [torch.tensor(batch).double() for batch in BATCHES]
    found = running_by_torch(batches, 0.25, mean=2.0, var=3.0)
    mean, var = 2.0, 3.0
    for t, x in enumerate(batches, start=1):
        mean, var = 0.75 * mean + 0.25 * x.mean(), 0.75 * var + 0.25 * x.var()
        assert_close(found[f"running_mean_{t}"], mean)
        assert_close(found[f"running_var_{t}"], var)
        assert torch.equal(found[f"mean_{t}"], x.mean())
        assert torch.equal(found[f"variance_{t}"] * 4 / 3, found[f"unbiased_{t}"])
        assert_close(found[f"xhat_{t}"], (x - x.mean()) / x.std(correction=0))
    assert_close(found["xhat_eval"], (batches[0] - mean) / var.sqrt())


def test_penalties_are_these_sums_slopes_and_steps() -> None:
    w, grad = torch.tensor([6.0, -4.0, 1.0, 0.0]).double(), torch.tensor([2.0, -2, 0, 2]).double()
    sign = torch.tensor([1.0, -1.0, 1.0, 0.0]).double()
    plain = w - 0.5 * grad
    expected = {
        "penalty": torch.tensor(4 * 11.0).double(),
        "subgradient": 4 * sign,
        "step": plain - 0.5 * 4 * sign,
        "plain_step": plain,
        "proximal": torch.tensor([3.0, -1.0, 0.0, 0.0]).double(),
        "mean_penalty": torch.tensor(11.0).double(),
        "mean_subgradient": sign,
        "l2_penalty": torch.tensor(53 / 2).double(),
        "l2_gradient": w,
        "l2_step": plain - 0.5 * w,
    }
    found = penalties_by_torch(w, grad, lr=0.5, l1=4, l2=1)
    assert found.keys() == expected.keys()
    assert found.keys() <= {step.name for step in penalties_by_hand().steps}
    for name, tensor in expected.items():
        assert_close(found[name], tensor, name=name)
    assert w.requires_grad is False


# -- the assertion -------------------------------------------------------------------------------


def test_rounding_is_allowed_and_no_more() -> None:
    x = numbers(3, 4)
    assert_close(x, x)
    assert_close(x, x + 0.9e-12)
    assert_close(x, x + 0.9e-3, atol=1e-3)
    assert_close(torch.tensor(torch.inf), torch.tensor(torch.inf))
    assert_close(torch.zeros(0), torch.zeros(0))
    assert_close(torch.ones(2, requires_grad=True), torch.ones(2))
    with pytest.raises(AssertionError, match="12 of 12 values"):
        assert_close(x, x + 2e-12)


def test_the_message_says_which_values_differ_where_and_by_how_much() -> None:
    given = torch.zeros(2, 2, 3)
    expected = given.clone()
    expected[0, 1, 2], expected[1, 0, 0] = 0.25, -1.5
    with pytest.raises(AssertionError) as caught:
        assert_close(given, expected, atol=0.1, name="y")
    assert str(caught.value).splitlines() == [
        "2 of 12 values of y differ from those expected by more than 0.1:",
        "  at (1, 0, 0): given 0.0, expected -1.5, off by 1.5",
        "  at (0, 1, 2): given 0.0, expected 0.25, off by 0.25",
    ]


def test_a_long_message_ends_with_a_count() -> None:
    with pytest.raises(AssertionError, match=r"(?s)^20 of 20 .*at \(19,\): .*\n  and 15 more$"):
        assert_close(torch.arange(20), torch.arange(20) * 2 + 1, name="x")


@pytest.mark.parametrize(
    ("given", "expected", "message"),
    [
        (torch.nan, torch.nan, r"at \(\): given nan, expected nan, off by nan"),
        (torch.inf, 1.0, r"at \(\): given inf, expected 1.0, off by inf"),
    ],
)
def test_what_is_no_number_is_never_close(given: float, expected: float, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_close(torch.tensor(given), torch.tensor(expected))


def test_nan_is_listed_first() -> None:
    with pytest.raises(AssertionError, match=r"more than 1e-12:\n  at \(1,\): given nan"):
        assert_close(torch.tensor([5.0, torch.nan]), torch.zeros(2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.ones(4), r"^y has shape \(4,\), where \(2, 2\) is expected: compare tensors of one"),
        (torch.ones(2, 2).double(), r"^y has dtype torch.float64, where torch.float32 is expected"),
    ],
)
def test_tensors_of_different_kinds_are_not_compared(given: Tensor, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_close(given, torch.ones(2, 2), name="y")


# -- the table of differences --------------------------------------------------------------------


def test_difference_report_covers_everything_and_finds_nothing() -> None:
    rows = differences()
    assert max(max(row.by_hand, row.norms) for row in rows) < 1e-13
    assert {row.quantity for row in rows} >= {"y", "grad_x", "grad_gamma", "grad_beta", "xhat_eval"}
    for norm in NORMS:
        assert sum(row.example.startswith(f"{norm} norm") for row in rows) == 8
    assert len({(row.example, row.quantity) for row in rows}) == len(rows)


def test_difference_report_finds_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    def unbiased(*args: object, **kwargs: object) -> tuple[Tensor, ...]:
        xhat, mean, var, rstd = standardize(*args, **kwargs)
        return xhat * 0.9, mean, var, rstd

    standardize = norms.standardize
    monkeypatch.setattr(norms, "standardize", unbiased)
    assert max(row.norms for row in differences()) > 0.01
    assert max(row.by_hand for row in differences()) < 1e-13


def test_difference_report_finds_a_wrong_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    from normstudy.byhand import reference  # noqa: PLC0415 - patched here alone

    right = reference.running_by_hand
    monkeypatch.setattr(reference, "running_by_hand", lambda a: right(Fraction(1, 3)))
    rows = [row for row in differences() if row.example.startswith("running")]
    assert max(row.by_hand for row in rows) > 0.1
    assert max(row.norms for row in rows) < 1e-13
