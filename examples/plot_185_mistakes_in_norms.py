"""
Eleven ways to get a norm wrong
===============================

Mistakes in norms and penalties that are easy to make, each with the right number beside the wrong.

**The question.** Which mistakes are easy to make when you write a norm or a penalty, and how would
you notice them?

**The answer.** Ten of these eleven give no error message, and some are off by a few percent only.
Nearly all of them show when you compare with ``torch.nn`` in float64.

**You will see** one channel normalized rightly and wrongly, then each mistake in a few lines, the
wrong and the right number side by side, and an assert that tells the two apart.
"""

# %%
# The batch of the worked examples
# --------------------------------
#
# Most of these mistakes show on channel 2 of the small batch of this chapter, which has mean 7,
# variance 25 and standard deviation 5. The letters are those of :doc:`/notation`.

import torch
from torch import nn
from torch.nn import functional as F

from normstudy.byhand import norms
from normstudy.byhand.examples import by_hand
from normstudy.byhand.reference import assert_close

example = by_hand("batch")
x = example["x"].tensor
channel, right = (example[name].tensor[:, 2].flatten() for name in ("x", "xhat"))
mean, var = (example[name].tensor[2] for name in ("mean", "variance"))
print("channel 2:", channel.tolist(), "mean", mean.item(), "variance", var.item())
assert (mean, var) == (channel.mean(), 25)

# %%
# Four of them at a glance
# ------------------------
#
# Four of the mistakes fit on these eight cells. For two of them, the cells stand for what a network
# has after global pooling: 2 images with 4 channels of a single cell each.

from normstudy.byhand.diagrams import strips

pooled = channel.view(2, 4, 1, 1)
rows = {
    "the cells": (channel, 8),
    "right": (right, 8),
    "1 · no root": ((channel - mean) / var, 8),
    "2 · sample variance": ((channel - mean) / channel.std(), 8),
    "7 · two in a group": (F.group_norm(pooled, 2, eps=0).flatten(), 2),
    "8 · one in a group": (F.group_norm(pooled, 4).flatten(), 1),
}
picture = strips(rows, title="One channel, right and wrong", name="mistakes-in-norms")

# %%
# Compare each row with the second. Row 1 is the right one at a fifth of its size. Row 2 could pass
# for it: its variance is 7/8, and comes closer to 1 the more cells there are. Row 7 has variance 1,
# as it should, and is useless all the same: of the two cells with a 2, one has become 1 and the
# other −1. In row 8 nothing is left.

found = torch.stack([values.var(correction=0) for values, _ in rows.values()])
expected = torch.tensor([25, 1, 1 / 25, 7 / 8, 1, 0]).double()
assert_close(found, expected, atol=1e-7)

# %%
# 1 · Dividing by the variance
# ----------------------------
#
# The divisor is the *standard deviation*, the root of the variance. Without the root the result is
# too small by a factor of 5 here, and no longer has variance 1.


def show(mistake, wrong, right):
    """Print both numbers, and insist that they differ."""
    print(f"{mistake}: wrong {wrong:.7g}, right {right:.7g}")
    assert wrong != right


wrong = (channel - mean) / var
show("first cell", wrong[0], right[0])
show("variance of the result", wrong.var(correction=0), right.var(correction=0))

# %%
# 2 · The sample variance in place of the population variance
# -----------------------------------------------------------
#
# ``x.var()`` in PyTorch divides by :math:`m - 1`. A norm divides by :math:`m`, since the cells are
# all there is and not a sample of something larger. A spreadsheet has both as well, ``VAR.S`` and
# ``VAR.P``.

show("variance", channel.var(), channel.var(correction=0))
show("first cell", ((channel - mean) / channel.var().sqrt())[0], right[0])

# %%
# 3 · eps outside the root
# ------------------------
#
# With :math:`\varepsilon` = 0.00001 and an ordinary variance this goes unnoticed. With a small
# variance it does not: here the channel is scaled down by a thousand.

small, eps = channel / 1000, 1e-5
deviation, std = small - small.mean(), small.std(correction=0)
inside = deviation / (std**2 + eps).sqrt()
show("first cell", (deviation / (std + eps))[0], inside[0])
layer = nn.BatchNorm1d(1, eps, dtype=torch.float64)
assert_close(inside, layer(small[:, None])[:, 0])

# %%
# 4 · The variance in one pass
# ----------------------------
#
# :math:`\E[x^2] - \E[x]^2` is the variance, on paper. In float32 both terms are rounded to seven
# digits; if the mean is large, their difference is little but rounding error, and may even be
# negative.

far = torch.tensor([9999.0, 10001.0] * 50)  # mean 10,000 and variance 1, exactly
noisy = far + torch.linspace(-0.01, 0.01, 100)
one_pass = (noisy.square().mean() - noisy.mean().square()).item()
two_passes = (noisy - noisy.mean()).square().mean().item()
show("variance", one_pass, two_passes)
truth = noisy.double().var(correction=0).item()
assert abs(two_passes - truth) < 1e-3 < abs(one_pass - truth)

# %%
# 5 · The biased variance in the running statistics
# -------------------------------------------------
#
# The batch is normalized with the biased variance, but ``running_var`` takes the unbiased one. With
# ``momentum=1`` it is that of the last batch:

layer = nn.BatchNorm2d(4, momentum=1.0, dtype=torch.float64)
layer(x)
show("running_var of channel 2", var, layer.running_var[2].item())
assert_close(layer.running_var[2], var * 8 / 7)

# %%
# 6 · Momentum the wrong way round
# --------------------------------
#
# In PyTorch ``momentum=0.1`` is the weight of the *new* batch. Other libraries give the weight of
# the old value, 0.9 or 0.99. Copy that number, and the layer remembers about one batch.

copied, meant = (nn.BatchNorm2d(4, momentum=a, dtype=torch.float64) for a in (0.9, 0.1))
copied(x), meant(x)
show("running_mean of channel 2", *(r.running_mean[2].item() for r in (copied, meant)))
assert_close(meant.running_mean[2], 0.9 * 0 + 0.1 * mean)

# %%
# 7 · Two values in a group
# -------------------------
#
# ``GroupNorm(8, 16)`` after global pooling, on maps of 1 × 1 cells, has two values in each group.
# Any two different numbers become −1 and +1 when standardized. All that is left of the input is
# which one was larger.

features = torch.randn(3, 16, 1, 1, generator=torch.Generator().manual_seed(0)).double()
pairs = nn.GroupNorm(8, 16, eps=0).double()(features)
print("distinct outputs:", pairs.round(decimals=9).unique().tolist())
assert_close(pairs.abs(), torch.ones_like(pairs))
four = nn.GroupNorm(4, 16, eps=0).double()(features)
show("distinct outputs", len(pairs.round(decimals=9).unique()), len(four.unique()))

# %%
# 8 · One value in a group
# ------------------------
#
# One step further, ``GroupNorm(C, C)`` on such maps has a single value in each group. Its deviation
# is 0, so for two images or more the layer returns :math:`\beta`, whatever they show, without a
# warning. ``InstanceNorm2d``, the same norm under another name, raises an error, and so does this
# package.

silent = nn.GroupNorm(16, 16).double()
nn.init.constant_(silent.bias, 0.25)
assert_close(silent(features), silent.bias[0].expand_as(features))
try:
    norms.forward(features, "group", num_groups=16)
except ValueError as error:
    print(error)

# %%
# 9 · "A bias before a norm is useless"
# -------------------------------------
#
# Batch norm subtracts the mean of each channel, so a constant added to a channel is gone, and the
# bias of the convolution in front of it can be left out. Group and layer norm subtract the mean of
# *several* channels. There a bias per channel survives, except for the part that the channels of a
# group have in common.

bias = torch.tensor([1.0, -2.0, 3.0, 0.0], dtype=torch.float64).view(1, 4, 1, 1)
for norm in ("batch", "group", "layer"):
    plain, shifted = (norms.forward(t, norm, num_groups=2).y for t in (x, x + bias))
    change = (shifted - plain).abs().max().item()
    print(f"{norm} norm: the bias changes the output by up to {change:.3g}")
    assert (change < 1e-12) == (norm == "batch")

# %%
# 10 · The mean of the L1 penalty
# -------------------------------
#
# The penalty is :math:`\lambda` times the *sum* of the magnitudes. Its mean divides
# :math:`\lambda` by the number of weights, which for this small convolution is 2,304.

weight = nn.Conv2d(16, 16, 3).weight.detach()
show("penalty, lambda = 1", weight.abs().mean().item(), weight.abs().sum().item())
assert weight.numel() == 2304

# %%
# 11 · A last batch of one image
# ------------------------------
#
# 50,001 images in batches of 100 leave a last batch of one. If the maps are 1 × 1 by then, batch
# norm has a single value per channel and refuses, at the end of an epoch that went well.
# ``drop_last=True`` in the loader avoids it in training; evaluation mode needs no batch at all.

layer = nn.BatchNorm1d(16)
try:
    layer(torch.randn(1, 16))
except ValueError as error:
    print(error)
assert layer.eval()(torch.ones(1, 16)).shape == (1, 16)

# %%
# How to notice
# -------------
#
# One test finds almost all of these: compare with ``torch.nn`` in float64, to 12 decimals, with a
# random scale and shift, on channels whose means are *not* 0 and of which one has a small variance,
# in training and in evaluation mode, and compare the buffers too. Otherwise mistake 1 hides where
# the variance is 1, and mistake 3 wherever it is not small.
#
# What this does not show
# -----------------------
#
# How much each mistake costs in accuracy. They are mistakes even where that is little, because the
# numbers cannot be compared with anybody else's, and because evaluation then differs from training.
#
# Exercises
# ---------
#
# 1. Move the mean of mistake 4's numbers to a million, then to a hundred million, in float64. Is
#    the variance in one pass still right?
# 2. Give mistake 9 a bias of (1, 1, 3, 3). Behind which norms does it matter now?
# 3. A test checks only that the output has variance 1. Which mistake of the picture does it miss?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       for away, right_still in ((1e6, True), (1e8, False)):
#           farther = noisy.double() - far.mean() + away
#           once = farther.square().mean() - farther.mean().square()
#           assert (abs(once - truth) < 1e-2) == right_still
#
#    At a million yes, to two decimals; at a hundred million no. float64 has 16 digits, and the
#    square of a hundred million uses up all of them.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       per_group = torch.tensor([1.0, 1.0, 3.0, 3.0]).double().view(1, 4, 1, 1)
#       for norm in ("batch", "group", "layer"):
#           before, after = (norms.forward(t, norm, num_groups=2).y for t in (x, x + per_group))
#           assert ((after - before).abs().max() > 0.01) == (norm == "layer")
#
#    Behind layer norm alone. The two channels of each group share their bias now, and so group
#    norm subtracts it with the mean.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       passed = [
#           words for words, (cells, _) in rows.items() if abs(cells.var(correction=0) - 1) < 0.01
#       ]
#       assert passed == ["right", "7 · two in a group"]
#
#    Number 7: its output has variance 1 and says next to nothing. So a test must compare values,
#    not only their mean and variance.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_188_invariances.py` turns the question round: which changes
# of the input does a norm not see?
#
# :knobs:`Change these numbers <batch>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
