r"""
Norm, activation and dropout: which order?
==========================================

Dropout in front of batch norm shifts the variance; a norm and a ReLU fix other things in the other
order.

**The question.** Does it matter whether dropout stands before or after a norm, and the norm before
or after the activation?

**The answer.** Dropout in front of batch norm makes training and evaluation disagree: with half of
the values dropped, batch norm records a variance twice as large as the one that it meets in
evaluation, and more than twice after a ReLU. After the last norm it does no such harm. A norm
before the ReLU makes what comes out the same for a feature that is shifted or scaled, zeros
included; after the ReLU it fixes mean and variance of any feature, and not how many values are
alike. Dropout and a ReLU may stand in either order.

**You will see** the factor on eight cells, its formula, its way through a layer of several inputs,
and five numbers that differ between the two orders of norm and ReLU.
"""

# %%
# Four numbers and a coin
# -----------------------
#
# Dropout with probability :math:`p` sets a value to 0, or else divides it by :math:`1 - p`, so that
# the mean stays what it was. In evaluation it does nothing. Take a feature with the four values −3,
# −1, 1 and 3 and :math:`p = 1/2`. A batch in which each value is kept once and dropped once has
# exactly the mean and the variance that dropout gives on average:

import torch

from normstudy.byhand import norms
from normstudy.byhand.diagrams import strips

p = 0.5
x = torch.tensor([-3, -3, -1, -1, 1, 1, 3, 3]).double().view(8, 1)
kept = torch.tensor([1, 0] * 4).double().view(8, 1)
dropped = x * kept / (1 - p)
training = norms.forward(dropped, "batch", eps=0.0)
remembered = norms.RunningStatistics(training.mean, training.var)
evaluation = norms.forward(x, "batch", eps=0.0, running=remembered)

rows = {
    "the values": (x.flatten(), 8),
    "with dropout": (dropped.flatten(), 8),
    "training": (training.y.flatten(), 8),
    "evaluation": (evaluation.y.flatten(), 8),
}
picture = strips(
    rows, title="Batch norm after dropout", name="dropout-before-batch-norm"
)

# %%
# Dropout has doubled the variance, from 5 to 10. Batch norm divides by the root of 10, and
# remembers it. In evaluation nothing is dropped, and it still divides by the root of 10. The layers
# after it were trained on a variance of 1 and now get 1/2. (A running variance is a little larger
# still, since it is the unbiased one; this is another matter, and small in large batches.)

assert (x.var(correction=0), training.var) == (5, 10)
assert abs(evaluation.y.var(correction=0) - (1 - p)) < 1e-12

# %%
# Li et al. (2019) call this the variance shift. With mean :math:`\mu` and variance
# :math:`\sigma^2` of the values, the variance in training is
#
# .. math::
#
#    \frac{\sigma^2 + \mu^2}{1 - p} - \mu^2, \qquad \text{which is} \qquad
#    \sigma^2 \left( \frac{1}{1 - p} + \frac{p}{1 - p} \, \frac{\mu^2}{\sigma^2} \right) ,
#
# since a kept value has a square of :math:`x^2 / (1 - p)^2` and is kept with probability
# :math:`1 - p`. With a mean of 0 the shift is a factor of :math:`1 / (1 - p)`. Behind a ReLU the
# mean is *not* 0, and the shift is larger. With three rates, and beside PyTorch's own dropout on
# two million values:

from torch import nn

from normstudy.tables import Table, number

torch.manual_seed(0)
rows = []
for mean in (0.0, 3.0):
    values = x + mean
    for rate in (0.1, 0.3, 0.5):
        before = (values.var(correction=0) + mean**2) / (1 - rate) - mean**2
        shift = (before / values.var(correction=0)).item()
        many = nn.Dropout(rate)(values.repeat(250_000, 1))
        found = (many.var(correction=0) / values.var(correction=0)).item()
        rows.append((f"{mean:g}", f"{rate:g}", f"{shift:.3f}", f"{found:.3f}"))
        assert abs(shift - (1 + rate * mean**2 / 5) / (1 - rate)) < 1e-12
        assert abs(found / shift - 1) < 0.01
header = (
    "mean",
    "dropout rate",
    "variance in training / evaluation",
    "torch's dropout",
)
print(Table(header, tuple(rows)))

# %%
# Through a layer of several inputs
# ---------------------------------
#
# Mostly there is a layer with weights :math:`w_j` between the dropout and the next norm. It adds up
# several values, each with a coin of its own:
#
# .. math::
#
#    \text{variance in training} = w^\top \Sigma \, w +
#    \frac{p}{1 - p} \sum_j w_j^2 \operatorname{E}[x_j^2]
#
# where :math:`\Sigma` is the covariance of the inputs. The first part is the variance in
# evaluation, the second the noise. Four inputs have 16 ways to be kept or dropped, so that the
# formula can be checked to the last digit. The inputs are once uncorrelated, and twice all equal.

coins = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).double()
signs = 2 * coins - 1  # every pattern of four signs once: mean 0, uncorrelated
weight = torch.tensor([1.0, 2.0, -1.0, 3.0]).double()


def shift(inputs, weight):
    """Variance of the weighted sum in training, divided by that in evaluation."""
    noisy = (coins[:, None] * inputs / (1 - p)) @ weight
    clean = (inputs @ weight).var(correction=0)
    noise = p / (1 - p) * (weight**2 * inputs.square().mean(0)).sum()
    assert torch.isclose(noisy.var(correction=0), clean + noise, rtol=1e-12)
    return (noisy.var(correction=0) / clean).item()


equal = signs[:, :1].expand(-1, 4)
cancelling = torch.tensor([1.0, 1.0, -1.0, -0.5]).double()
for words, inputs, w in (
    ("uncorrelated inputs", signs, weight),
    ("equal inputs, equal weights", equal, torch.ones(4).double()),
    ("equal inputs, weights that nearly cancel", equal, cancelling),
):
    print(f"{words}: {shift(inputs, w):.3f}")
assert abs(shift(signs, weight) - 1 / (1 - p)) < 1e-12
assert abs(shift(equal, torch.ones(4).double()) - (1 + p / (1 - p) / 4)) < 1e-12
assert shift(equal, cancelling) > 5 / (1 - p)

# %%
# Uncorrelated inputs do not help, however many there are. Equal ones do if their weights have one
# sign: their coins average out, and the shift shrinks towards 1 with their number. Where the
# weights cancel, little of the signal is left and all of the noise. Li et al. find wide networks
# the least affected, and ascribe it to the number of their features.
#
# Group, layer and instance norm take their statistics anew in evaluation. Their output has variance
# 1 in both modes, whatever stands in front:

maps = torch.randn(2, 4, 8, 8).double()
for norm in ("layer", "group", "instance", "batch"):
    noisy = norms.forward(nn.functional.dropout(maps, p), norm, num_groups=2, eps=0.0)
    remembered = (
        norms.RunningStatistics(noisy.mean, noisy.var) if norm == "batch" else None
    )
    clean = norms.forward(maps, norm, num_groups=2, eps=0.0, running=remembered)
    modes = (noisy.y.square().mean().item(), clean.y.square().mean().item())
    print(f"{norm} norm: {modes[0]:.3f} in training, {modes[1]:.3f} in evaluation")
    assert (abs(modes[0] - modes[1]) < 1e-12) == (norm != "batch")

# %%
# So whoever wants no such shift puts dropout after the last batch norm, which in practice means in
# front of the classifier, where the networks of this study have it. Those of the class reports
# (:mod:`normstudy.study.networks`) have it after every norm, and so in front of the next one.
#
# With a ReLU dropout may change places: both multiply by a number that is not negative, or by zero.

mask = torch.randint(0, 2, maps.shape) / (1 - p)
assert torch.equal((maps * mask).relu(), maps.relu() * mask)

# %%
# The norm before or after the ReLU
# ---------------------------------
#
# A feature with a normal distribution comes in two orders out of a norm and a ReLU. A very fine
# sample stands for the distribution, and :math:`\gamma = 1`, :math:`\beta = 0`. One more feature is
# skewed: the exponential distribution, whose values are all positive.

count = 100_000
standard = torch.special.ndtri((torch.arange(count).double() + 0.5) / count).view(-1, 1)


def both_orders(feature):
    """What the next layer sees: mean, variance, smallest and largest value, share of the first."""
    orders = {
        "norm, ReLU": norms.forward(feature, "batch", eps=0.0).y.relu(),
        "ReLU, norm": norms.forward(feature.relu(), "batch", eps=0.0).y,
    }
    for words, y in orders.items():
        least = (y == y.min()).double().mean().item()
        ends = y.min().item(), y.max().item()
        yield words, y.mean().item(), y.var(correction=0).item(), *ends, least


skewed = -torch.log1p(-torch.special.ndtr(standard))
features = {f"around {number(c, 0)}": standard + c for c in (0, 1, -2)} | {
    "skewed": skewed
}
rows = []
for feature, values in features.items():
    for words, *found in both_orders(values):
        cells = [number(round(value, 3) + 0.0, 3) for value in found]
        rows.append((f"{words}, input {feature}", *cells))
header = ("order", "mean", "variance", "smallest", "largest", "share of the smallest")
print(Table(header, tuple(rows)))

first, last = both_orders(standard)
pi = torch.pi
assert abs(first[1] - 1 / (2 * pi) ** 0.5) < 1e-4
assert abs(first[2] - (1 / 2 - 1 / (2 * pi))) < 1e-3
assert abs(last[3] + 1 / (pi - 1) ** 0.5) < 1e-3

# %%
# With the norm first, the rows are the same for all normal features, wherever they lie: half of the
# values are 0, the mean is :math:`1/\sqrt{2 \pi}`, and the variance :math:`1/2 - 1/(2\pi)`. The
# mean square is 1/2, which is what the factor of 2 in the weights of He et al. (2015) makes up for.
# With the ReLU first, the next layer gets mean 0 and variance 1, but the input decides how many
# values are alike: few where it is positive, nearly all where it is negative. There the norm turns
# the few others into large numbers. The skewed feature shows what each order fixes for *any*
# distribution: the second mean and variance, the first the smallest value alone.
#
# What this does not show
# -----------------------
#
# Which order trains better. Both orders have a learned :math:`\gamma` and :math:`\beta`, with which
# a network can move the share of zeros, and both are used. The variance shift is a fact about two
# modes; how many points of accuracy it costs depends on the layers that follow, and Li et al.
# measured it on large networks. The formulas are for a coin of each value; dropout of whole maps
# has one coin for all cells of a map. And features are not normal.
#
# Exercises
# ---------
#
# 1. For which dropout rate is the variance in evaluation nine tenths of that in training, if the
#    mean is 0?
# 2. Run the training batches once more without dropout, in order to collect the running statistics
#    anew. What is the variance in evaluation then?
# 3. A feature is negative for all images of a batch. What do the two orders make of it?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       rate = 0.1
#       assert abs((1 - rate) - 0.9) < 1e-12
#       noisy = nn.functional.dropout(x.repeat(250_000, 1), rate)
#       assert abs(x.var(correction=0) / noisy.var(correction=0) - 0.9) < 0.01
#
#    For 0.1: the ratio is :math:`1 - p`. Small rates do little, large ones a lot.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       again = norms.forward(x, "batch", eps=0.0)
#       renewed = norms.RunningStatistics(again.mean, again.var)
#       mended = norms.forward(x, "batch", eps=0.0, running=renewed).y
#       assert abs(mended.var(correction=0) - 1) < 1e-12
#
#    1, as in training. That mends the statistics of this norm, while the layers after it were
#    still trained on values with noise.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       negative = -x.abs()
#       assert norms.forward(negative, "batch", eps=0.0).y.relu().max() > 0.9
#       assert norms.forward(negative.relu(), "batch").y.abs().max() == 0
#
#    With the norm first, half of its values survive, and with them their gradient. With the ReLU
#    first nothing is left but :math:`\beta`, and no gradient that could bring the feature back.
#
# Where to go next
# ----------------
#
# What batch norm remembers, and when it uses it:
# :ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py`. What else a norm does not see:
# :ref:`sphx_glr_auto_examples_plot_188_invariances.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
