"""Batch, layer, group, instance and RMS norm: one formula, and one table of index sets.

Every norm subtracts a mean and divides by a standard deviation. The norms differ only in the set of
values that share one mean and one standard deviation (Wu & He 2018). To write these sets down, a
tensor of shape (N, C, ...) is seen as (N, G, K, S): N images, G groups of K = C / G channels, and S
positions. Each norm is then named by the letters it averages over: one row of `INDEX_SETS`.

References
----------
* Ioffe & Szegedy 2015, *Batch Normalization*, arXiv:1502.03167.
* Ba, Kiros & Hinton 2016, *Layer Normalization*, arXiv:1607.06450.
* Ulyanov, Vedaldi & Lempitsky 2016, *Instance Normalization*, arXiv:1607.08022.
* Wu & He 2018, *Group Normalization*, arXiv:1803.08494.
* Qiao et al. 2019, *Weight Standardization*, arXiv:1903.10520.
* Zhang & Sennrich 2019, *Root Mean Square Layer Normalization*, arXiv:1910.07467.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

AXES = "NGKS"  # images, groups, channels of a group, positions


@dataclass(frozen=True, slots=True)
class IndexSet:
    """One row of the table: which values share a statistic, and which share a parameter."""

    over: str  #: the letters of (N, G, K, S) that one mean and one variance average over
    affine: str  #: the letters along which gamma and beta vary: "GK" is one of each per channel
    centered: bool = True  #: whether the mean is subtracted, which RMS norm does not do


INDEX_SETS = MappingProxyType(
    {
        "batch": IndexSet("NS", "GK"),  # per channel; Wu & He 2018, equation 3
        "instance": IndexSet("S", "GK"),  # per image and channel; equation 5
        "group": IndexSet("KS", "GK"),  # per image and group; equation 7
        "layer": IndexSet("GKS", "GK"),  # GroupNorm(1, C), per image; equation 4
        "layer_chw": IndexSet("GKS", "GKS"),  # LayerNorm([C, H, W]): affine per value
        "layer_channels": IndexSet("GK", "GK"),  # LayerNorm(C), channels last: per pixel
        "rms": IndexSet("GK", "GK", centered=False),  # RMSNorm(C), channels last
        "weight": IndexSet("GKS", "N"),  # weight (O, I, ...) standardized per output channel
    }
)
"""The index set of every norm, by name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Normalized:
    """What `forward` computed: the output, and what `backward` and `update_running` need.

    The statistics have one value per index set: shape (C,) for batch, (N, C) for instance, (N, G)
    for group, (N,) for layer norm, (N, ...) for the channels-last norms.
    """

    y: Tensor  #: gamma xhat + beta, of the shape of x
    xhat: Tensor  #: standardized x
    mean: Tensor
    var: Tensor  #: biased: divided by `count`
    rstd: Tensor  #: 1 / sqrt(var + eps), in a shape that broadcasts over (N, G, K, S)
    gamma: Tensor  #: in such a shape too; 1 without a weight
    count: int  #: m, the number of values that one statistic averages over
    norm: str
    num_groups: int
    training: bool  #: False where running statistics were given


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Gradients:
    """Gradients of a loss with respect to x, gamma (`weight`) and beta (`bias`)."""

    x: Tensor
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class RunningStatistics:
    """The buffers of batch norm: mean and unbiased variance of shape (C,), and the batches seen.

    A fresh layer of torch starts with ``RunningStatistics(torch.zeros(C), torch.ones(C))``.
    """

    mean: Tensor
    var: Tensor
    num_batches: int = 0


def standardize(
    x: Tensor, dims: tuple[int, ...], eps: float, *, centered: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Subtract the mean over `dims` and divide by the standard deviation over `dims`.

    .. math::

        \mu = \frac1m \sum_{i \in S} x_i, \quad
        \sigma^2 = \frac1m \sum_{i \in S} (x_i - \mu)^2, \quad
        \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}

    Parameters
    ----------
    x
        Any shape, floating point.
    dims
        The dimensions that make up one index set S of m values.
    eps
        Added to the variance, inside the root; in the unit of x squared.
    centered
        False takes 0 for the mean, so that the variance is the mean square.

    Returns
    -------
    xhat, mean, var, rstd
        xhat has the shape of x; the others have length 1 along `dims`. All are float32 if x has 16
        bits, as in torch: the squares of numbers above 255 overflow in float16.

    Notes
    -----
    Equations 1 and 2 of Wu & He 2018, 3 and 4 of Ba et al. 2016; uncentered, 4 of Zhang & Sennrich
    2019. The variance is biased (it divides by m). It takes two passes, since the one-pass form
    E[x^2] - E[x]^2 loses every digit in float32 where the mean is large.

    Examples
    --------
    >>> xhat, *_ = standardize(torch.randn(2, 3, 5).double(), (0, 2), eps=0.0)
    >>> bool(xhat.mean((0, 2)).abs().max() < 1e-12)
    True
    >>> bool((xhat.square().mean((0, 2)) - 1).abs().max() < 1e-12)
    True
    """
    x = _wide(x)
    mean, deviation = x.new_zeros(1), x
    if centered:
        mean = x.mean(dims, keepdim=True)
        deviation = x - mean
        deviation -= deviation.mean(dims, keepdim=True)  # what rounding left of the mean
    var = deviation.square().mean(dims, keepdim=True)
    rstd = (var + eps).rsqrt()
    return deviation * rstd, mean, var, rstd


def forward(
    x: Tensor,
    norm: str,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    num_groups: int = 1,
    eps: float = 1e-5,
    running: RunningStatistics | None = None,
) -> Normalized:
    r"""Normalize x with the named norm, then scale by gamma and shift by beta.

    .. math:: y_i = \gamma \, \hat x_i + \beta

    Parameters
    ----------
    x
        Shape (N, C, ...), floating point; for "weight" a weight of shape (O, I, ...). If it has 16
        bits, so has y, and all else is float32.
    norm
        A name in `INDEX_SETS`.
    weight, bias
        gamma and beta, of the shape that `affine_shape` gives; 1 and 0 where left out.
    num_groups
        G, a divisor of C. Only group norm's result depends on it.
    eps
        Added to the variance, inside the root; in the unit of x squared.
    running
        Evaluation mode: these statistics replace the batch's own (batch and instance norm only).

    Raises
    ------
    TypeError
        x is not floating point.
    ValueError
        An argument breaks the rules above, or x has fewer than two values per statistic.

    Notes
    -----
    Algorithm 1 of Ioffe & Szegedy 2015; equation 6 of Wu & He 2018.

    Examples
    --------
    Group norm with one group is layer norm; with one channel in each group it is instance norm:

    >>> x = torch.randn(2, 6, 4, 4).double()
    >>> torch.equal(forward(x, "group", num_groups=1).y, forward(x, "layer").y)
    True
    >>> torch.allclose(forward(x, "group", num_groups=6).y, forward(x, "instance").y)
    True
    """
    if not x.is_floating_point():
        raise TypeError(
            f"x has dtype {x.dtype}; a norm divides by a standard deviation and takes floating "
            "point: pass x.float() or x.double()."
        )
    if not eps >= 0:
        raise ValueError(f"eps is {eps}; it must be 0 or greater (torch's default is 1e-5).")
    rule = _rule(norm)
    sizes = _sizes(x.shape, num_groups)
    dims = _dims(rule.over)
    count = math.prod([sizes[dim] for dim in dims])
    view = _wide(x).reshape(sizes)
    if running is None:
        if count < 2:
            raise ValueError(
                f"{norm} norm of x of shape {tuple(x.shape)} with num_groups={num_groups} has "
                f"{count} value(s) per statistic; it needs 2 or more: give more images, larger "
                "maps or fewer groups, or use running statistics (evaluation mode)."
            )
        xhat, mean, var, rstd = standardize(view, dims, eps, centered=rule.centered)
        own = "".join([axis for axis in AXES if axis not in rule.over])
    else:
        _check_keeps_running(norm)
        own = "GK"
        mean = _shared(running.mean, "running.mean", own, x.shape, num_groups)
        var = _shared(running.var, "running.var", own, x.shape, num_groups)
        rstd = (var + eps).rsqrt()
        xhat = (view - mean) * rstd
    gamma, beta = view.new_ones(1), view.new_zeros(1)
    if weight is not None:
        gamma = _shared(weight, "weight", rule.affine, x.shape, num_groups)
    if bias is not None:
        beta = _shared(bias, "bias", rule.affine, x.shape, num_groups)
    y = xhat * gamma + beta
    return Normalized(
        y=(y.to(x.dtype) if view.dtype != x.dtype else y).reshape(x.shape),
        xhat=xhat.reshape(x.shape),
        mean=mean.expand_as(var).reshape(_shape(own, x.shape, num_groups)),
        var=var.reshape(_shape(own, x.shape, num_groups)),
        rstd=rstd,
        gamma=gamma,
        count=count,
        norm=norm,
        num_groups=num_groups,
        training=running is None,
    )


def backward(grad_y: Tensor, out: Normalized) -> Gradients:
    r"""Gradients of a loss, from its gradient with respect to y, in closed form.

    With :math:`g = \gamma \, \partial L / \partial y` and bars for means over an index set:

    .. math::

        \frac{\partial L}{\partial x} =
        \frac{g - \overline{g} - \hat x \, \overline{g \hat x}}{\sqrt{\sigma^2 + \varepsilon}},
        \quad
        \frac{\partial L}{\partial \gamma} = \sum \frac{\partial L}{\partial y} \, \hat x, \quad
        \frac{\partial L}{\partial \beta} = \sum \frac{\partial L}{\partial y}

    The sums run over the values that share the parameter. RMS norm lacks the first mean; in
    evaluation mode, where the statistics are constants, both vanish.

    Parameters
    ----------
    grad_y
        The gradient with respect to y, of its shape (a `ValueError` otherwise).
    out
        What `forward` returned.

    Notes
    -----
    Ioffe & Szegedy 2015, Section 3, write the chain rule in six lines; substituting the first three
    into the fourth gives the one above.

    Examples
    --------
    Adding a constant to an index set changes nothing, so the gradient sums to 0 over it:

    >>> out = forward(torch.randn(2, 6, 4, 4).double(), "group", num_groups=3)
    >>> grad_x = backward(torch.randn(2, 6, 4, 4).double(), out).x
    >>> bool(grad_x.reshape(2, 3, -1).sum(-1).abs().max() < 1e-12)
    True
    """
    shape = out.y.shape
    if grad_y.shape != shape:
        raise ValueError(
            f"grad_y has shape {tuple(grad_y.shape)}; it must have the shape of y, {tuple(shape)}: "
            "pass the gradient of the loss with respect to y."
        )
    rule = _rule(out.norm)
    sizes = _sizes(shape, out.num_groups)
    grad_y, xhat = _wide(grad_y).reshape(sizes), out.xhat.reshape(sizes)
    grad_gamma = grad_y * xhat
    g = grad_y * out.gamma
    if out.training:
        dims = _dims(rule.over)
        mean_g = g.mean(dims, keepdim=True) * rule.centered
        mean_gx = (grad_gamma * out.gamma).mean(dims, keepdim=True)
        g = g - mean_g - xhat * mean_gx
    sharing = _dims("".join([axis for axis in AXES if axis not in rule.affine]))
    return Gradients(
        x=(g * out.rstd).to(out.y.dtype).reshape(shape),
        weight=grad_gamma.sum(sharing).reshape(affine_shape(shape, out.norm)),
        bias=grad_y.sum(sharing).reshape(affine_shape(shape, out.norm)),
    )


def update_running(
    running: RunningStatistics, out: Normalized, *, momentum: float | None = 0.1
) -> RunningStatistics:
    r"""Move the running statistics towards those of one more batch, as torch does.

    .. math::

        \text{mean} \leftarrow (1 - a) \, \text{mean} + a \, \mu, \quad
        \text{var} \leftarrow (1 - a) \, \text{var} + a \, \frac{m}{m - 1} \, \sigma^2

    Parameters
    ----------
    running
        The statistics so far. They are not changed.
    out
        The batch, as `forward` returned it in training mode.
    momentum
        a, the weight of the new batch, from 0 to 1 (other texts call 1 - a the momentum). None is
        1 / (number of batches), which makes the buffers the plain average of all batches.

    Raises
    ------
    ValueError
        momentum outside [0, 1], statistics of another shape, a norm without any, evaluation mode.

    Notes
    -----
    A batch is normalized with its biased variance, but the buffer takes the unbiased one, which is
    m / (m - 1) times as large (Ioffe & Szegedy 2015, Section 3.1). Instance norm takes the average
    of its N images; with ``momentum=None`` torch's own never moves its buffers, and this does.

    Examples
    --------
    >>> x = torch.randn(3, 8, 4).double()
    >>> buffers = RunningStatistics(torch.zeros(4).double(), torch.ones(4).double())
    >>> for batch in x:
    ...     buffers = update_running(buffers, forward(batch, "batch"), momentum=None)
    >>> torch.allclose(buffers.mean, x.mean((0, 1))), torch.allclose(buffers.var, x.var(1).mean(0))
    (True, True)
    """
    _check_keeps_running(out.norm)
    if not out.training:
        raise ValueError(
            "out holds running statistics and not those of its batch: call forward without running."
        )
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(
            f"momentum is {momentum}; it is the weight of the new batch, a number from 0 to 1 "
            "(torch's default is 0.1), or None for the plain average of all batches."
        )
    for name in ("mean", "var"):
        _shared(getattr(running, name), f"running.{name}", "GK", out.y.shape, out.num_groups)
    num_batches = running.num_batches + 1
    a = 1 / num_batches if momentum is None else momentum
    mean = out.mean.reshape(-1, len(running.mean)).mean(0)
    unbiased = out.var.reshape(-1, len(running.var)).mean(0) * out.count / (out.count - 1)
    return RunningStatistics(
        (1 - a) * running.mean + a * mean, (1 - a) * running.var + a * unbiased, num_batches
    )


def index_sets(shape: Sequence[int], norm: str, *, num_groups: int = 1) -> Tensor:
    """Say for each value of an x of shape (N, C, ...) which statistic it shares.

    The result has that shape, and numbers the statistics in the order of ``out.mean``.

    Examples
    --------
    How many means do the 32 channels of one image need?

    >>> for norm in ("instance", "group", "layer"):
    ...     print(norm, len(index_sets((1, 32, 8, 8), norm, num_groups=8).unique()))
    instance 32
    group 8
    layer 1
    """
    sizes = _sizes(shape, num_groups)
    own = [1 if axis in _rule(norm).over else size for axis, size in zip(AXES, sizes, strict=True)]
    return torch.arange(math.prod(own)).reshape(own).expand(sizes).reshape(*shape)


def affine_shape(shape: Sequence[int], norm: str) -> tuple[int, ...]:
    """Shape of gamma, and of beta, for an x of shape (N, C, ...).

    Examples
    --------
    Layer norm has 2 C parameters or 2 C H W of them, depending on what is meant by it:

    >>> affine_shape((2, 4, 8, 8), "layer"), affine_shape((2, 4, 8, 8), "layer_chw")
    ((4,), (4, 8, 8))
    """
    return _shape(_rule(norm).affine, shape, 1)


def _rule(norm: str) -> IndexSet:
    if norm not in INDEX_SETS:
        raise ValueError(f"norm is {norm!r}; it must be one of {', '.join(INDEX_SETS)}.")
    return INDEX_SETS[norm]


def _wide(x: Tensor) -> Tensor:
    """Give numbers of 16 bits the precision and the range of float32."""
    return x.float() if x.element_size() == 2 else x


def _dims(letters: str) -> tuple[int, ...]:
    return tuple([AXES.index(axis) for axis in letters])


def _sizes(shape: Sequence[int], num_groups: int) -> tuple[int, int, int, int]:
    """Sizes of the view (N, G, K, S) of a tensor of shape (N, C, ...)."""
    if len(shape) < 2:
        raise ValueError(
            f"x has {len(shape)} dimension(s), shape {tuple(shape)}; it must have 2 or more, "
            "(N, C, ...), images first and channels second: add the missing one with x.unsqueeze."
        )
    n, c, *positions = shape
    if num_groups < 1 or c % num_groups:
        divisors = ", ".join(str(g) for g in range(1, c + 1) if c % g == 0)
        raise ValueError(
            f"num_groups is {num_groups} for x of shape {tuple(shape)} with {c} channels; it must "
            f"divide the channels: one of {divisors}."
        )
    return n, num_groups, c // num_groups, math.prod(positions)


def _shape(letters: str, shape: Sequence[int], num_groups: int) -> tuple[int, ...]:
    """Shape of one value for each combination of the letters, G and K together written as C."""
    n, c, *positions = shape
    channels = {"": [], "G": [num_groups], "GK": [c]}["".join([a for a in letters if a in "GK"])]
    return (*[n] * ("N" in letters), *channels, *positions * ("S" in letters))


def _shared(
    value: Tensor, name: str, letters: str, shape: Sequence[int], num_groups: int
) -> Tensor:
    """Reshape a parameter or buffer so that it broadcasts over (N, G, K, S)."""
    expected = _shape(letters, shape, num_groups)
    if value.shape != expected:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}; x of shape {tuple(shape)} needs {expected}."
        )
    sizes = zip(AXES, _sizes(shape, num_groups), strict=True)
    return value.reshape([size if axis in letters else 1 for axis, size in sizes])


def _check_keeps_running(norm: str) -> None:
    if norm not in ("batch", "instance"):
        raise ValueError(
            f"{norm} norm keeps no running statistics: it is the same in training and in "
            "evaluation. Only batch and instance norm keep them."
        )
