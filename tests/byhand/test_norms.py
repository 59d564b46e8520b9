"""The norms against torch.nn in float64, their invariances, and what they refuse."""

from collections.abc import Callable
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from normstudy.byhand.norms import (
    INDEX_SETS,
    Normalized,
    RunningStatistics,
    affine_shape,
    backward,
    forward,
    index_sets,
    standardize,
    update_running,
)
from normstudy.byhand.reference import assert_close, torch_layer

each_norm = pytest.mark.parametrize("norm", INDEX_SETS)


def assert_equal(ours: Tensor, theirs: Tensor, tolerance: float = 1e-12) -> None:
    """Equal up to the tolerance, relative to the largest number where that is above 1."""
    assert_close(ours, theirs, atol=tolerance * max(1.0, float(theirs.abs().max())))


@dataclass(frozen=True)
class Case:
    """A norm, and an x of a shape that it accepts."""

    norm: str
    shape: tuple[int, ...]
    num_groups: int
    eps: float
    seed: int

    def numbers(self, *shape: int, salt: int = 0) -> Tensor:
        """Numbers in float64 that differ with the salt and are the same at every call."""
        generator = torch.Generator().manual_seed(10 * self.seed + salt)
        return torch.randn(shape, generator=generator, dtype=torch.double) * 3 - 1

    def forward(
        self, x: Tensor, *affine: Tensor, running: RunningStatistics | None = None
    ) -> Normalized:
        return forward(
            x, self.norm, *affine, num_groups=self.num_groups, eps=self.eps, running=running
        )

    def torch_layer(self, momentum: float | None = 0.1) -> tuple[torch.nn.Module, list[Tensor]]:
        """Torch's layer with random parameters, and these: gamma and (unless RMS) beta."""
        layer = torch_layer(
            self.norm, self.shape, num_groups=self.num_groups, eps=self.eps, momentum=momentum
        )
        affine = [self.numbers(*p.shape, salt=k) for k, p in enumerate(layer.parameters(), start=5)]
        for parameter, value in zip(layer.parameters(), affine, strict=True):
            parameter.data = value.clone()
        return layer, affine


@st.composite
def cases(draw: st.DrawFn, norms: tuple[str, ...] = tuple(INDEX_SETS)) -> Case:
    norm = draw(st.sampled_from(norms))
    n, num_groups, per_group = (draw(st.integers(1, 4)) for _ in range(3))
    positions = draw(st.lists(st.integers(1, 4), min_size=norm == "instance", max_size=3))
    shape = (n, num_groups * per_group, *positions)
    owners = index_sets(shape, norm, num_groups=num_groups)
    assume(owners.numel() >= 2 * len(owners.unique()))
    eps = draw(st.sampled_from([1e-5, 1e-3, 0.1, 2.0]))
    return Case(norm, shape, num_groups, eps, seed=draw(st.integers(0, 999)))


def compare_with_torch(case: Case) -> None:
    """Forward pass and all gradients."""
    layer, affine = case.torch_layer()
    x, grad_y = case.numbers(*case.shape), case.numbers(*case.shape, salt=1)
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    expected = torch.autograd.grad(y, (leaf, *layer.parameters()), grad_y)
    out = case.forward(x, *affine)
    grads = backward(grad_y, out)
    assert_equal(out.y, y.detach())
    for ours, theirs in zip((grads.x, grads.weight, grads.bias), expected, strict=False):
        assert_equal(ours, theirs)


@given(cases())
def test_forward_and_gradients_are_those_of_torch(case: Case) -> None:
    # Numbers that almost agree lose their digits in x - mean, in torch's layers as in ours.
    assume(case.forward(case.numbers(*case.shape)).rstd.max() < 10)
    compare_with_torch(case)


@each_norm
def test_each_norm_is_that_of_torch_on_one_shape(norm: str) -> None:
    compare_with_torch(Case(norm, (2, 4, 3, 3), num_groups=2, eps=1e-5, seed=0))


def test_sets_are_numbered_in_the_order_of_the_statistics() -> None:
    assert index_sets((2, 3), "layer").tolist() == [[0, 0, 0], [1, 1, 1]]
    assert index_sets((2, 3), "batch").tolist() == [[0, 1, 2], [0, 1, 2]]


@given(cases(("batch", "instance")), st.none() | st.floats(0, 1), st.integers(1, 4))
def test_buffers_and_evaluation_are_those_of_torch(
    case: Case, momentum: float | None, num_batches: int
) -> None:
    # With momentum=None torch's instance norm never moves its buffers: nothing to compare with.
    assume(momentum is not None or case.norm == "batch")
    layer, affine = case.torch_layer(momentum)
    channels = case.shape[1]
    running = RunningStatistics(torch.zeros(channels).double(), torch.ones(channels).double())
    for salt in range(num_batches):
        x = case.numbers(*case.shape, salt=salt)
        layer(x)
        running = update_running(running, case.forward(x), momentum=momentum)
        assert_equal(running.mean, layer.running_mean)
        assert_equal(running.var, layer.running_var)
    assert running.num_batches == num_batches
    layer.eval()
    leaf, grad_y = x.clone().requires_grad_(), case.numbers(*case.shape, salt=1)
    # A running variance near 0 makes large numbers of both; they are compared relative to these.
    y = layer(leaf)
    out = case.forward(x, *affine, running=running)
    assert_equal(out.y, y.detach())
    assert torch.equal(out.mean, running.mean)
    assert torch.equal(out.var, running.var)
    grads = backward(grad_y, out)
    expected = torch.autograd.grad(y, (leaf, *layer.parameters()), grad_y)
    for ours, theirs in zip((grads.x, grads.weight, grads.bias), expected, strict=True):
        assert_equal(ours, theirs)


def test_momentum_is_the_weight_of_the_new_batch() -> None:
    out = forward(torch.randn(8, 4).double(), "batch")
    running = RunningStatistics(torch.zeros(4).double(), torch.ones(4).double())
    kept, replaced = (update_running(running, out, momentum=a) for a in (0, 1))
    assert_equal(kept.mean, running.mean)
    assert_equal(kept.var, running.var)
    assert_equal(replaced.mean, out.mean)
    assert_equal(replaced.var, out.var * 8 / 7)


def test_buffers_of_instance_norm_average_all_batches_without_momentum() -> None:
    x = torch.randn(3, 2, 5, 4, 4).double()
    running = RunningStatistics(torch.zeros(5).double(), torch.ones(5).double())
    for batch in x:
        running = update_running(running, forward(batch, "instance"), momentum=None)
    assert_equal(running.mean, x.mean((0, 1, 3, 4)))
    assert_equal(running.var, x.var((3, 4)).mean((0, 1)))


@given(cases())
def test_statistics_are_those_of_the_numbered_sets(case: Case) -> None:
    x = case.numbers(*case.shape)
    out = case.forward(x)
    owners = index_sets(case.shape, case.norm, num_groups=case.num_groups)
    centered = INDEX_SETS[case.norm].centered
    sets = [x[owners == k] for k in range(out.mean.numel())]
    assert all(len(numbers) == out.count for numbers in sets)
    means = torch.stack([numbers.mean() * centered for numbers in sets])
    variances = [(s - mean).square().mean() for s, mean in zip(sets, means, strict=True)]
    assert_equal(out.mean.flatten(), means)
    assert_equal(out.var.flatten(), torch.stack(variances))
    # In a view (N, C, ...) the statistics have the natural shape of what they are kept for.
    n, c, *positions = case.shape
    natural = {
        "batch": (c,),
        "instance": (n, c),
        "group": (n, case.num_groups),
        "layer": (n,),
        "layer_chw": (n,),
        "weight": (n,),
    }
    assert out.mean.shape == natural.get(case.norm, (n, *positions))


@given(cases())
def test_autograd_through_forward_agrees_with_backward(case: Case) -> None:
    x, grad_y = case.numbers(*case.shape), case.numbers(*case.shape, salt=1)
    shape = affine_shape(case.shape, case.norm)
    leaves = [x, case.numbers(*shape, salt=2), case.numbers(*shape, salt=3)]
    grads = backward(grad_y, case.forward(*leaves))
    for leaf in leaves:
        leaf.requires_grad_()
    expected = torch.autograd.grad(case.forward(*leaves).y, leaves, grad_y)
    for ours, theirs in zip((grads.x, grads.weight, grads.bias), expected, strict=True):
        assert_equal(ours, theirs)


@given(cases())
def test_only_group_norm_depends_on_the_groups(case: Case) -> None:
    x, grad_y = case.numbers(*case.shape), case.numbers(*case.shape, salt=1)
    one = forward(x, case.norm, eps=case.eps)
    out = case.forward(x)
    if case.norm != "group":
        assert_equal(out.y, one.y)
        assert_equal(backward(grad_y, out).x, backward(grad_y, one).x)


@each_norm
def test_parameters_default_to_one_and_zero(norm: str) -> None:
    x = torch.randn(3, 4, 2, 2).double()
    weight = torch.full(affine_shape(x.shape, norm), 2.0).double()
    out = forward(x, norm)
    assert torch.equal(out.y, out.xhat)
    assert_equal(forward(x, norm, bias=weight).y, out.xhat + 2)
    assert_equal(forward(x, norm, weight).y, out.xhat * 2)


def test_defaults_are_those_of_torch() -> None:
    x = torch.randn(8, 4, 3, 3).double() / 100  # so that eps matters
    layer = torch.nn.BatchNorm2d(4, dtype=torch.double)
    running = RunningStatistics(torch.zeros(4).double(), torch.ones(4).double())
    out = forward(x, "batch")
    assert_equal(out.y, layer(x).detach())
    assert_equal(update_running(running, out).mean, layer.running_mean)
    assert torch.equal(standardize(x, (0, 2, 3), 1e-5)[0], out.xhat)


@each_norm
def test_arguments_are_left_alone(norm: str) -> None:
    x, grad_y = torch.randn(2, 3, 4, 2, 2).double()
    weight, bias = torch.randn(2, *affine_shape(x.shape, norm)).double()
    arguments = (x, weight, bias, grad_y)
    copies = [argument.clone() for argument in arguments]
    out = forward(x, norm, weight, bias, num_groups=2)
    backward(grad_y, out)
    assert all(torch.equal(a, copy) for a, copy in zip(arguments, copies, strict=True))
    assert torch.equal(out.gamma.flatten(), weight.flatten())


def test_running_statistics_are_left_alone() -> None:
    running = RunningStatistics(torch.zeros(4), torch.ones(4))
    update_running(running, forward(torch.randn(3, 4), "batch"))
    assert running.mean.tolist() == [0.0] * 4
    assert running.var.tolist() == [1.0] * 4
    assert running.num_batches == 0


@each_norm
def test_memory_order_makes_no_difference(norm: str) -> None:
    x = torch.randn(2, 4, 3, 5).double()
    y = forward(x, norm, num_groups=2).y
    assert_equal(forward(x.to(memory_format=torch.channels_last), norm, num_groups=2).y, y)


@each_norm
@pytest.mark.parametrize("shape", [(8, 16, 16, 16), (4, 8, 4, 4)])
def test_float32_holds_where_the_mean_is_large(norm: str, shape: tuple[int, ...]) -> None:
    """Torch's own kernels are off by up to 1e-2 here: the rounded mean is off by half its ulp."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1e4
    expected = forward(x.double(), norm, num_groups=4)
    out = forward(x, norm, num_groups=4)
    assert_equal(out.y, expected.y.float(), 1e-5)
    assert_equal(out.var, expected.var.float(), 1e-5)
    layer = torch_layer(norm, shape, num_groups=4)
    assert_equal(out.y.double(), layer(x.double()).detach(), 1e-5)


# Which norm forgets what about its input or about the weights before it.
PER_IMAGE = ("instance", "group", "layer", "layer_chw", "layer_channels", "rms")


def assert_unchanged(norm: str, change: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(4, 6, 3, 3).double()
    kwargs = {"num_groups": 3, "eps": 0.0}
    assert_equal(forward(change(x), norm, **kwargs).xhat, forward(x, norm, **kwargs).xhat, 1e-10)


@each_norm
def test_scaling_the_input_changes_nothing(norm: str) -> None:
    assert_unchanged(norm, lambda x: 7 * x)


@each_norm
def test_shifting_the_input_changes_only_rms_norm(norm: str) -> None:
    if INDEX_SETS[norm].centered:
        assert_unchanged(norm, lambda x: x + 7)
    else:
        with pytest.raises(AssertionError):
            assert_unchanged(norm, lambda x: x + 7)


@pytest.mark.parametrize("norm", PER_IMAGE)
def test_other_images_do_not_matter(norm: str) -> None:
    x = torch.randn(4, 6, 3, 3).double()
    assert_equal(forward(x, norm, num_groups=3).y[:1], forward(x[:1], norm, num_groups=3).y)


@each_norm
def test_the_order_of_images_does_not_matter(norm: str) -> None:
    x = torch.randn(4, 6, 3, 3).double()
    order = [2, 0, 3, 1]
    assert_equal(forward(x[order], norm).xhat, forward(x, norm).xhat[order])


@each_norm
def test_gradient_is_orthogonal_to_what_the_norm_forgets(norm: str) -> None:
    """Over an index set the gradient sums to 0 (shift), and so does its product with x (scale)."""
    x, grad_y = torch.randn(2, 4, 6, 3, 3).double()
    out = forward(x, norm, num_groups=3, eps=0)
    grad_x = backward(grad_y, out).x
    owners = index_sets(x.shape, norm, num_groups=3)
    for k in range(out.mean.numel()):
        assert abs((grad_x * x)[owners == k].sum()) < 1e-11
        if INDEX_SETS[norm].centered:
            assert abs(grad_x[owners == k].sum()) < 1e-11


def test_two_values_in_a_group_give_plus_and_minus_one() -> None:
    y = forward(torch.randn(5, 8, 1, 1).double(), "group", num_groups=4, eps=0).y
    assert_equal(y.abs(), torch.ones_like(y))


def test_no_images_are_fine_where_images_are_apart() -> None:
    assert forward(torch.randn(0, 4, 2, 2), "group", num_groups=2).y.shape == (0, 4, 2, 2)


X = torch.randn(2, 4, 3, 3)
ONE = torch.ones(4)
RUNNING = RunningStatistics(ONE, ONE)
REFUSED = [
    ("norm is 'bach'; it must be one of batch, instance, group, ", lambda: forward(X, "bach")),
    (
        r"x has 1 dimension\(s\), shape \(5,\); it must have 2 or more, .* with x.unsqueeze",
        lambda: forward(ONE.new_ones(5), "batch"),
    ),
    (
        r"num_groups is 3 for x of shape \(2, 4, 3, 3\) with 4 channels; .* one of 1, 2, 4\.",
        lambda: forward(X, "group", num_groups=3),
    ),
    (r"num_groups is 0 .* one of 1, 2, 4\.", lambda: forward(X, "group", num_groups=0)),
    (r"num_groups is -2 .* one of 1, 2, 4\.", lambda: forward(X, "group", num_groups=-2)),
    (r"num_groups is 8 .* one of 1, 2, 4\.", lambda: index_sets(X.shape, "group", num_groups=8)),
    ("eps is -1e-05; it must be 0 or greater", lambda: forward(X, "batch", eps=-1e-5)),
    ("eps is nan; it must be 0 or greater", lambda: forward(X, "batch", eps=float("nan"))),
    (
        r"batch norm of x of shape \(1, 4\) with num_groups=1 has 1 value\(s\) .* more images",
        lambda: forward(torch.randn(1, 4), "batch"),
    ),
    (
        r"group norm of x of shape \(8, 4, 1, 1\) with num_groups=4 has 1 value\(s\)",
        lambda: forward(torch.randn(8, 4, 1, 1), "group", num_groups=4),
    ),
    (r"batch norm .* has 0 value\(s\)", lambda: forward(torch.randn(0, 4), "batch")),
    (
        r"weight has shape \(4, 1\); x of shape \(2, 4, 3, 3\) needs \(4,\)",
        lambda: forward(X, "batch", ONE[:, None]),
    ),
    (
        r"bias has shape \(4,\); x of shape \(2, 4, 3, 3\) needs \(4, 3, 3\)",
        lambda: forward(X, "layer_chw", bias=ONE),
    ),
    (
        r"running.mean has shape \(3,\); x of shape \(2, 4, 3, 3\) needs \(4,\)",
        lambda: forward(X, "batch", running=RunningStatistics(ONE[:3], ONE)),
    ),
    (
        r"running.var has shape \(3,\); x of shape \(2, 4, 3, 3\) needs \(4,\)",
        lambda: forward(X, "batch", running=RunningStatistics(ONE, ONE[:3])),
    ),
    (
        "group norm keeps no running statistics: .* Only batch and instance norm keep them",
        lambda: forward(X, "group", running=RUNNING),
    ),
    ("layer norm keeps no running", lambda: update_running(RUNNING, forward(X, "layer"))),
    (
        r"running.var has shape \(2,\); x of shape \(2, 4, 3, 3\) needs \(4,\)",
        lambda: update_running(
            RunningStatistics(ONE.new_ones(4), ONE.new_ones(2)), forward(X, "batch")
        ),
    ),
    (
        "out holds running statistics and not those of its batch: call forward without running",
        lambda: update_running(RUNNING, forward(X, "batch", running=RUNNING)),
    ),
    (
        "momentum is 1.5; it is the weight of the new batch, a number from 0 to 1 .* or None",
        lambda: update_running(RUNNING, forward(X, "batch"), momentum=1.5),
    ),
    ("momentum is -0.1;", lambda: update_running(RUNNING, forward(X, "batch"), momentum=-0.1)),
    (
        r"grad_y has shape \(4,\); it must have the shape of y, \(2, 4, 3, 3\)",
        lambda: backward(ONE, forward(X, "batch")),
    ),
]


@pytest.mark.parametrize(("message", "call"), REFUSED)
def test_refuses(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_refuses_what_is_not_floating_point(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"x has dtype {dtype}; .* pass x.float"):
        forward(torch.ones(2, 4, dtype=dtype), "batch")


# -- half precision, transforms --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_norm
def test_half_precision_computes_in_float32(norm: str, dtype: torch.dtype) -> None:
    x = (300 * torch.randn(4, 6, 5)).to(dtype)
    weight, bias = torch.randn(2, *affine_shape(x.shape, norm)).to(dtype)
    grad = torch.randn(4, 6, 5).to(dtype)
    out, wide = (forward(z, norm, weight.to(z.dtype), bias.to(z.dtype)) for z in (x, x.float()))
    assert out.y.dtype == dtype
    assert torch.equal(out.y, wide.y.to(dtype))
    assert torch.equal(out.var, wide.var)
    found, expected = backward(grad, out), backward(grad.float(), wide)
    assert found.x.dtype == dtype
    assert torch.equal(found.x, expected.x.to(dtype))
    assert torch.equal(found.weight, expected.weight)


def test_half_precision_is_right_where_squares_overflow_and_eps_vanishes() -> None:
    x = (300 * torch.randn(8, 6, 5)).half()
    theirs = torch.nn.functional.batch_norm(x.double(), None, None, training=True)
    assert float((forward(x, "batch").y.double() - theirs).abs().max()) < 2e-3
    assert bool((forward(torch.zeros(2, 3, 4).half(), "batch", eps=1e-8).y == 0).all())


def loss(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return forward(x, "batch", weight, bias).y.pow(3).sum()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch itself, for jvp
def test_transforms_of_torch_func() -> None:
    x, weight, bias = torch.randn(4, 6, 5).double(), *torch.randn(2, 6).double()
    grads = torch.func.grad(loss, (0, 1, 2))(x, weight, bias)
    out = forward(x, "batch", weight, bias)
    closed = backward(3 * out.y.square(), out)
    for found, expected in zip(grads, (closed.x, closed.weight, closed.bias), strict=True):
        assert_equal(found, expected, 1e-10)
    many = torch.randn(3, 6).double()
    for place in (1, 2):
        given = [x, weight, bias]
        dims = tuple(0 if i == place else None for i in range(3))
        given[place] = many
        found = torch.func.vmap(loss, dims)(*given)
        for one, row in zip(found, many, strict=True):
            given[place] = row
            assert_equal(one, loss(*given), 1e-10)
    _, tangent = torch.func.jvp(lambda x: loss(x, weight, bias), (x,), (x,))
    assert_equal(tangent, (closed.x * x).sum(), 1e-10)


@each_norm
def test_a_norm_compiles_as_one_graph(norm: str) -> None:
    torch._dynamo.reset()
    x, grad = torch.randn(2, 4, 6, 5).double()

    def both(x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        out = forward(x, norm)
        return out.y, backward(grad, out).x

    compiled = torch.compile(both, fullgraph=True, backend="eager")
    for found, expected in zip(compiled(x, grad), both(x, grad), strict=True):
        assert torch.equal(found, expected)
