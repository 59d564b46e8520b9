"""
Instance norm: as many groups as channels
=========================================

Instance norm by hand, and why it is the other end of group norm.

**The question.** What happens when every channel of every image is normalized on its own, and what
is lost?

**You will see** the smallest sets of all, every statistic with its numbers, the row of group norms
from one group to as many groups as channels, and which information does not survive.
"""

# %%
# Which cells share a mean
# ------------------------
#
# Instance norm (Ulyanov, Vedaldi & Lempitsky 2016) averages over the positions of one channel of
# one image. There are N · C = 8 means in our batch, each of :math:`m = H \cdot W = 4` cells. The
# letters are those of :doc:`/notation`.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import by_hand

example = by_hand("instance")
batch = worked_cells(
    example, ["x"], title="The batch, map by map", name="instance-norm-input"
)

# %%
# Every map has a colour of its own. No norm in this chapter has smaller sets on this batch. Those
# of the channels-last layer norm are as small, a pixel through four channels, and cross these.
#
# Mean, variance, root
# --------------------
#
# With four numbers to a mean this is quickly done. The first index is the image, the second the
# channel.

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# The variances divide by four:

working(example["variance"])

# %%
# and the roots, with :math:`\varepsilon = 0`, are 1 or 3:

working(example["std"], (0, 0), (0, 2), (1, 1))

# %%
# Standardize, scale and shift
# ----------------------------
#
# One cell of each of these three maps, and then the same cells with :math:`\gamma` and
# :math:`\beta` of their channel:

cells = [(0, 0, 1, 0), (0, 2, 1, 1), (1, 1, 0, 1)]
working(example["xhat"], *cells)

# %%
# Scale and shift belong to channels, and all images share them:

working(example["y"], *cells)

# %%
# All cells:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Instance norm's result", name="instance-norm-result"
)

# %%
# In the upper block, look at channels 0 and 1 of image 0. Their results consist of −1 and 1 alone,
# because their inputs consist of two numbers, each twice. Whatever these two numbers are, the
# result is the same: from ``0 0 2 2`` and from ``6 6 8 8`` the norm makes one and the same map.

x, y, xhat = (example[name].tensor for name in ("x", "y", "xhat"))
assert x[0, 0].tolist() == [[0, 0], [2, 2]]
assert x[0, 3].tolist() == [[6, 6], [8, 8]]
assert xhat[0, 0].equal(xhat[0, 3])

# %%
# Does PyTorch agree?
# -------------------
#
# Instance norm exists twice in PyTorch: under its own name, and as group norm with as many groups
# as channels.

import torch
from torch import nn

gamma, beta = example["gamma"].tensor, example["beta"].tensor
for layer in (
    nn.InstanceNorm2d(4, eps=0, affine=True, dtype=torch.float64),
    nn.GroupNorm(4, 4, eps=0, dtype=torch.float64),
):
    layer.weight.data, layer.bias.data = gamma, beta
    assert torch.allclose(y, layer(x), atol=1e-12, rtol=0)
    print(f"{type(layer).__name__}: {(y - layer(x)).abs().max().item():.1e} from ours")

# %%
# There is one difference between the two names. ``InstanceNorm2d`` has no scale and shift unless
# one asks for ``affine=True``, while ``GroupNorm`` has them.

assert sum(p.numel() for p in nn.InstanceNorm2d(4).parameters()) == 0
assert sum(p.numel() for p in nn.GroupNorm(4, 4).parameters()) == 8

# %%
# From one end to the other
# -------------------------
#
# Between layer norm (one group) and instance norm (C groups) lies a row of group norms. For each of
# them we ask how different the means of the channels are *after* the norm: large if the norm
# leaves the channels their level, 0 if it removes it.

from normstudy.byhand import norms
from normstudy.tables import Table

rows = []
for num_groups in (1, 2, 4):
    out = norms.forward(x, "group", num_groups=num_groups, eps=0)
    levels = out.xhat.mean((2, 3))  # of each image and channel
    rows.append(
        (
            str(num_groups),
            str(len(out.mean.flatten())),
            f"{levels.std(correction=0).item():.3f}",
        )
    )
print(
    Table(
        ("groups", "means in the batch", "spread of the channels' means"), tuple(rows)
    )
)

assert norms.forward(x, "group", num_groups=1, eps=0).y.equal(
    norms.forward(x, "layer", eps=0).y
)
assert out.y.equal(norms.forward(x, "instance", eps=0).y)
assert levels.abs().max() < 1e-12

# %%
# In the last row nothing is left of the levels. Contrast and brightness of a map are gone, and this
# is what instance norm was invented for: in style transfer the contrast of the photograph should
# not be in the result. For telling classes apart, how strongly a filter responds to an image is a
# large part of what a network knows, and just that is removed.
#
# One cell per map
# ----------------
#
# When the maps have shrunk to 1 × 1, a set has a single cell. Its deviation from its own mean is 0,
# so the output would be :math:`\beta`, whatever the input. ``InstanceNorm2d`` refuses, and so does
# this package. ``GroupNorm(C, C)`` computes it, from two images on, without a word.

maps = (
    torch.tensor([[1.0, -2.0, 5.0, 0.0], [3.0, 4.0, 7.0, 9.0]])
    .double()
    .view(2, 4, 1, 1)
)
layer.eps = 1e-5  # as usual; with 0 it would divide 0 by 0
assert torch.allclose(layer(maps).flatten(1), beta.expand(2, 4), atol=1e-12, rtol=0)
try:
    norms.forward(maps, "instance")
except ValueError as error:
    print(error)

# %%
# What this does not show
# -----------------------
#
# That information is lost does not prove that accuracy is lost, since layers further on could do
# without it. Wu and He (2018) measured it on ImageNet: group norm comes close to batch norm there,
# and instance norm is clearly behind. Here instance norm is not among the trained versions: the
# network of this study ends in a norm and an average over each map, and the average of an
# instance-normalized map is :math:`\beta`, whatever the image.
#
# Exercises
# ---------
#
# 1. Multiply image 1 by 10. Which outputs of instance norm change, with :math:`\varepsilon = 0`?
# 2. Where would you move the last norm, so that a network with instance norm can learn?
# 3. Find two maps of the batch with the same mean and variance but different results.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_160_backward.py` goes the way back.

import matplotlib.pyplot as plt

plt.show()
