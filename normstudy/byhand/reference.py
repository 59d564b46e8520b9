"""Torch as the reference: its layers, its results for the worked examples, and a comparison.

`by_torch`, `running_by_torch` and `penalties_by_torch` compute what `normstudy.byhand.examples` has
by hand, under the same names, with nothing but `torch.nn`, autograd and `torch.optim`.
`assert_close` says which values differ; `differences` tabulates how far all of them are from torch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from normstudy.byhand import norms
from normstudy.byhand.examples import BATCHES, NORMS, NUM_GROUPS, SHAPE, by_hand, running_by_hand
from normstudy.byhand.steps import Step

NO_EPS = 1e-30  # torch's batch norm refuses 0; in float64 this vanishes beside any variance here
SHOWN = 5  # values that a failed comparison lists


class Rearranged(nn.Module):
    """A layer of torch on a tensor with its axes in another order."""

    def __init__(
        self, layer: nn.Module, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.layer, self.there, self.back = layer, there, back

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange x, apply the layer, and undo the rearrangement."""
        return self.back(self.layer(self.there(x)))


def torch_layer(
    norm: str,
    shape: Sequence[int],
    *,
    num_groups: int = 1,
    eps: float = 1e-5,
    momentum: float | None = 0.1,
) -> nn.Module:
    """Build the layer of `torch.nn` for one of `norms.INDEX_SETS` and x of shape (N, C, ...).

    Parameters
    ----------
    norm
        A name in `norms.INDEX_SETS`.
    shape
        Of x; for "weight" that of a weight, (O, I, ...).
    num_groups
        Of group norm, a divisor of C.
    eps
        Added to the variance. 0, which torch's batch norm refuses, becomes `NO_EPS`.
    momentum
        Of batch and instance norm: the weight of the newest batch.

    Returns
    -------
    Module
        In float64 and in training mode, with gamma 1 and beta 0.

    Raises
    ------
    ValueError
        There is no such norm.

    Notes
    -----
    Torch has no weight standardization: this is batch norm with the weight's output channels as
    channels of one image.

    Examples
    --------
    >>> x = torch.randn(2, 4, 3, 3).double()
    >>> assert_close(norms.forward(x, "rms").y, torch_layer("rms", x.shape)(x))
    """
    n, c, *positions = shape
    dtype, eps = torch.double, eps or NO_EPS
    dims = len(positions)
    batch = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    instance: tuple[Any, ...] = (None, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)

    def channels_last(layer: nn.Module) -> nn.Module:
        return Rearranged(layer, lambda x: x.movedim(1, -1), lambda y: y.movedim(-1, 1))

    layers: dict[str, Callable[[], nn.Module]] = {
        "batch": lambda: batch[dims](c, eps, momentum, dtype=dtype),
        "instance": lambda: instance[dims](c, eps, momentum, True, True, dtype=dtype),
        "group": lambda: nn.GroupNorm(num_groups, c, eps, dtype=dtype),
        "layer": lambda: nn.GroupNorm(1, c, eps, dtype=dtype),
        "layer_chw": lambda: nn.LayerNorm([c, *positions], eps, dtype=dtype),
        "layer_channels": lambda: channels_last(nn.LayerNorm(c, eps, dtype=dtype)),
        "rms": lambda: channels_last(nn.RMSNorm(c, eps, dtype=dtype)),
        "weight": lambda: Rearranged(
            nn.BatchNorm1d(n, eps, dtype=dtype),
            lambda x: x.reshape(1, n, -1),
            lambda y: y.reshape(*shape),
        ),
    }
    if norm not in layers:
        raise ValueError(f"norm is {norm!r}; it must be one of {', '.join(layers)}.")
    return layers[norm]()


def by_torch(
    norm: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    grad_y: Tensor,
    *,
    num_groups: int = NUM_GROUPS,
    eps: float = 0.0,
) -> dict[str, Tensor]:
    """Normalize x with torch's layer, and take grad_y back through it with autograd.

    Parameters
    ----------
    norm
        A name in `norms.INDEX_SETS`.
    x, grad_y
        Shape (N, C, ...), in float64.
    weight, bias
        gamma and beta, of the shape that `norms.affine_shape` gives. RMS norm has no beta.
    num_groups, eps
        Of the layer, as in `torch_layer`.

    Returns
    -------
    dict
        y, grad_x, grad_gamma and grad_beta: the names of `normstudy.byhand.examples.by_hand`.

    Examples
    --------
    >>> example = by_hand("group")
    >>> given = [example[name].tensor for name in ("x", "gamma", "beta", "grad_y")]
    >>> for name, theirs in by_torch("group", *given).items():
    ...     assert_close(example[name].tensor, theirs, name=name)
    """
    layer = torch_layer(norm, x.shape, num_groups=num_groups, eps=eps)
    parameters = list(layer.parameters())
    for parameter, value in zip(parameters, (weight, bias), strict=False):
        parameter.data = value
    leaf = x.detach().clone().requires_grad_()
    y = layer(leaf)
    grads = torch.autograd.grad(y, (leaf, *parameters), grad_y)
    names = ("grad_x", "grad_gamma", "grad_beta")
    return {"y": y.detach(), **dict(zip(names, grads, strict=False))}


def running_by_torch(
    batches: Sequence[Tensor], momentum: float | None = 0.1, *, mean: float = 0.0, var: float = 1.0
) -> dict[str, Tensor]:
    """Take batches of one feature through `torch.nn.BatchNorm1d`, then evaluate the first again.

    Parameters
    ----------
    batches
        Each of shape (m,), in float64.
    momentum
        Weight of the newest batch; None is 1 / (number of batches).
    mean, var
        The running statistics before the first batch.

    Returns
    -------
    dict
        For t = 1, 2, ...: mean_t, variance_t (biased) and unbiased_t of the batch, running_mean_t
        and running_var_t, all of shape (), and xhat_t of shape (m,); at the end xhat_eval. These
        are the names of `normstudy.byhand.examples.running_by_hand`.

    Examples
    --------
    >>> example = running_by_hand(None)
    >>> batches = [example[f"x_{t}"].tensor for t in (1, 2, 3)]
    >>> for name, theirs in running_by_torch(batches, momentum=None).items():
    ...     assert_close(example[name].tensor, theirs, name=name)
    """
    layer = nn.BatchNorm1d(1, NO_EPS, momentum, affine=False, dtype=torch.double)
    layer.get_buffer("running_mean").fill_(mean)
    layer.get_buffer("running_var").fill_(var)
    found: dict[str, Tensor] = {}
    for t, x in enumerate(batches, start=1):
        found |= {f"mean_{t}": x.mean(), f"variance_{t}": x.var(correction=0)}
        found[f"unbiased_{t}"] = x.var(correction=1)
        found[f"xhat_{t}"] = layer(x[:, None])[:, 0]
        for name in ("running_mean", "running_var"):
            found[f"{name}_{t}"] = layer.get_buffer(name)[0].clone()
    return {**found, "xhat_eval": layer.eval()(batches[0][:, None])[:, 0]}


def penalties_by_torch(
    w: Tensor, grad: Tensor, *, lr: float, l1: float, l2: float
) -> dict[str, Tensor]:
    """Penalize the weights w in torch, and take one step of `torch.optim.SGD` with each penalty.

    Parameters
    ----------
    w, grad
        Shape (n,): the weights, and the gradient of the loss without its penalty.
    lr, l1, l2
        Learning rate and strengths. L2 takes its step as ``weight_decay``.

    Returns
    -------
    dict
        penalty, subgradient, step; plain_step, proximal; mean_penalty, mean_subgradient;
        l2_penalty, l2_gradient, l2_step: the names of
        `normstudy.byhand.examples.penalties_by_hand`.

    Examples
    --------
    >>> w, grad = torch.tensor([3.0, -1.0]), torch.zeros(2)
    >>> penalties_by_torch(w, grad, lr=0.5, l1=1.0, l2=0.0)["step"].tolist()
    [2.5, -0.5]
    """
    leaf = w.detach().clone().requires_grad_()
    losses = {
        "penalty": l1 * leaf.abs().sum(),
        "mean_penalty": l1 * leaf.abs().mean(),
        "l2_penalty": l2 / 2 * leaf.square().sum(),
    }
    found = {name: loss.detach() for name, loss in losses.items()}
    slopes = ("subgradient", "mean_subgradient", "l2_gradient")
    for name, loss in zip(slopes, losses.values(), strict=True):
        found[name] = torch.autograd.grad(loss, leaf)[0]

    def stepped(slope: Tensor, weight_decay: float = 0.0) -> Tensor:
        weight = nn.Parameter(w.detach().clone())
        weight.grad = slope.detach()
        torch.optim.SGD([weight], lr=lr, weight_decay=weight_decay).step()
        return weight.detach()

    found["step"] = stepped(grad + found["subgradient"])
    found["plain_step"] = stepped(grad)
    found["l2_step"] = stepped(grad, weight_decay=l2)
    found["proximal"] = nn.functional.softshrink(found["plain_step"], lr * l1)
    return found


def assert_close(
    given: Tensor, expected: Tensor, *, atol: float = 1e-12, name: str = "what is given"
) -> None:
    r"""Assert that two tensors are equal but for rounding, and say where they are not.

    .. math:: |\text{given}_i - \text{expected}_i| \le \text{atol} \quad \text{for all } i

    Parameters
    ----------
    given, expected
        Of one shape and one dtype. Gradients are left out of it.
    atol
        The largest difference allowed. There is no relative tolerance.
    name
        What the message calls the given values.

    Raises
    ------
    AssertionError
        Shape, dtype or values differ. The message lists the values that are furthest off, each
        with its position, what is given, what is expected, and the difference. nan is close to
        nothing.

    Examples
    --------
    >>> assert_close(torch.ones(2), torch.ones(2) + 1e-9, atol=1e-6)
    >>> assert_close(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]), name="y")
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 2 values of y differ from those expected by more than 1e-12:
      at (1,): given 2.5, expected 2.0, off by 0.5
    """
    for what in ("shape", "dtype"):
        ours, theirs = (getattr(tensor, what) for tensor in (given, expected))
        if what == "shape":
            ours, theirs = tuple(ours), tuple(theirs)
        if ours != theirs:
            raise AssertionError(
                f"{name} has {what} {ours}, where {theirs} is expected: compare tensors of one "
                f"{what}."
            )
    ours, theirs = given.detach(), expected.detach()
    off = (ours.double() - theirs.double()).abs()
    off = off.masked_fill(ours == theirs, 0)  # two equal infinities
    bad = ~(off <= atol)  # nan is not within any tolerance
    if not bad.any():
        return
    places = sorted(bad.nonzero().tolist(), key=lambda i: -off[tuple(i)].nan_to_num(torch.inf))
    counted = f"{len(places)} of {off.numel()} values of {name}"
    lines = [f"{counted} differ from those expected by more than {atol:g}:"]
    for place in map(tuple, places[:SHOWN]):
        values = f"given {ours[place].item()}, expected {theirs[place].item()}"
        lines.append(f"  at {place}: {values}, off by {off[place].item():.3g}")
    if (more := len(places) - SHOWN) > 0:
        lines.append(f"  and {more} more")
    raise AssertionError("\n".join(lines))


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One row of the report: how far a worked example and the pure functions are from torch."""

    example: str  #: such as "group norm, eps = 1e-05"
    quantity: str  #: name of the step
    torch: str  #: what torch computed it with
    by_hand: float  #: largest absolute difference of the worked example
    norms: float  #: the same of `normstudy.byhand.norms`


def differences() -> list[Difference]:
    """Compare all worked norms and `normstudy.byhand.norms` with `torch.nn` and its autograd.

    Examples
    --------
    >>> max(max(row.by_hand, row.norms) for row in differences()) < 1e-12
    True
    """
    rows = [row for norm in NORMS for eps in (0.0, 1e-5) for row in _norm_differences(norm, eps)]
    return rows + [row for a in (Fraction(1, 10), None) for row in _running_differences(a)]


def _norm_differences(norm: str, eps: float) -> Iterable[Difference]:
    example = by_hand(norm, eps or Fraction(0))
    x, weight, bias, grad_y = (example[name].tensor for name in ("x", "gamma", "beta", "grad_y"))
    theirs = by_torch(norm, x, weight, bias, grad_y, eps=eps)
    out = norms.forward(x, norm, weight, bias, num_groups=NUM_GROUPS, eps=eps)
    closed = norms.backward(grad_y, out)
    ours = {"y": out.y, "grad_x": closed.x, "grad_gamma": closed.weight, "grad_beta": closed.bias}
    layer = torch_layer(norm, SHAPE)
    name = type(getattr(layer, "layer", layer)).__name__
    for step, tensor in ours.items():
        yield _difference(f"{norm} norm, eps = {eps:g}", example[step], name, theirs[step], tensor)


def _running_differences(a: Fraction | None) -> Iterable[Difference]:
    example = running_by_hand(a)
    momentum = None if a is None else float(a)
    batches = [example[f"x_{t}"].tensor for t in range(1, len(BATCHES) + 1)]
    theirs = running_by_torch(batches, momentum)
    running = norms.RunningStatistics(torch.zeros(1).double(), torch.ones(1).double())
    ours = {}
    for t, x in enumerate(batches, start=1):
        out = norms.forward(x[:, None], "batch", eps=0)
        running = norms.update_running(running, out, momentum=momentum)
        ours[f"xhat_{t}"] = out.y
        ours[f"running_mean_{t}"], ours[f"running_var_{t}"] = running.mean, running.var
    ours["xhat_eval"] = norms.forward(batches[0][:, None], "batch", eps=0, running=running).y
    title = f"running statistics, momentum = {momentum}"
    for step, tensor in ours.items():
        yield _difference(title, example[step], "BatchNorm1d", theirs[step], tensor)


def _difference(example: str, step: Step, name: str, theirs: Tensor, ours: Tensor) -> Difference:
    return Difference(
        example=example,
        quantity=step.name,
        torch=name,
        by_hand=float((step.tensor - theirs).abs().max()),
        norms=float((ours.reshape(theirs.shape) - theirs).abs().max()),
    )
