"""
Group norm by hand
==================

The same batch as before, with means over groups of channels inside one image.

**The question.** What does group norm compute, and why does it not need a batch?

**You will see** the groups in colour, every mean and variance with its numbers, the output beside
PyTorch's, proof that the other images do not matter, and what the number of groups changes.
"""

# %%
# Which cells share a mean
# ------------------------
#
# Group norm (Wu & He 2018) stays inside one image. It cuts the C channels into G groups of
# neighbours and averages over all cells of a group. With C = 4 channels and G = 2 groups there are
# two channels in a group, and :math:`m = (C / G) \cdot H \cdot W = 8` cells. Two images with two
# groups each make 4 means.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import NUM_GROUPS, by_hand

example = by_hand("group")
batch = worked_cells(
    example, ["x"], title="The batch, by group", name="group-norm-input"
)

# %%
# These are the numbers of the page on batch norm, in other colours. A colour now covers two maps
# that lie side by side, and ends where the image ends. The letters are those of :doc:`/notation`.
# Index :math:`n` counts the images and
# :math:`g` the groups, both from 0, so :math:`\mu_{1,0}` is the mean of the second image's first
# group.
#
# Mean and variance of each group
# -------------------------------
#
# Eight numbers of one colour, added up and divided by eight:

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# The variance is the mean of the squared deviations :math:`d = x - \mu`, and divides by eight as
# well:

working(example["variance"])

# %%
# With :math:`\varepsilon = 0` the roots are whole numbers:

working(example["std"])

# %%
# Standardize, scale and shift
# ----------------------------
#
# Every cell is divided by the :math:`s` of its own group. One cell of each group:

cells = [(0, 0, 0, 0), (0, 2, 0, 1), (1, 1, 1, 1), (1, 3, 0, 0)]
working(example["xhat"], *cells)

# %%
# The statistics belong to groups, but :math:`\gamma` and :math:`\beta` belong to *channels*. The
# two channels of a group share a mean and have scales of their own. Here :math:`\gamma` is 1, 2, 3
# and −1, and :math:`\beta` is 0, 1, −1 and 2, as for batch norm:

working(example["y"], *cells)

# %%
# And all cells:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Group norm's result", name="group-norm-result"
)

# %%
# In the upper block every colour has mean 0 and variance 1. A single channel does not: in image 1,
# channel 0 stays below zero throughout. That channel 0 is darker than channel 1 there is the kind
# of information that group norm keeps and instance norm throws away.
#
# Does PyTorch agree?
# -------------------

import torch
from torch import nn

from normstudy.byhand import norms

x, y, xhat = (example[name].tensor for name in ("x", "y", "xhat"))
gamma, beta = example["gamma"].tensor, example["beta"].tensor
layer = nn.GroupNorm(NUM_GROUPS, 4, eps=0, dtype=torch.float64)
layer.weight.data, layer.bias.data = gamma, beta
assert torch.allclose(y, layer(x), atol=1e-12, rtol=0)

ours = norms.forward(x, "group", gamma, beta, num_groups=NUM_GROUPS, eps=0)
assert torch.allclose(y, ours.y, atol=1e-12, rtol=0)

groups = xhat.view(2, NUM_GROUPS, 8)
assert groups.mean(2).abs().max() < 1e-12
assert (groups.var(2, correction=0) - 1).abs().max() < 1e-12
assert xhat[1, 0].max() < 0
print(f"largest difference from torch: {(y - layer(x)).abs().max().item():.1e}")

# %%
# It works for one image
# ----------------------
#
# No set reaches into another image. So an image that comes alone gets, digit for digit, the output
# that it gets in a batch, and group norm computes the same in training and in evaluation. Batch
# norm does not: with half of its cells gone, its means are different ones.

alone = x[:1]
assert torch.equal(layer(alone), layer(x)[:1])
assert torch.equal(layer.eval()(x), layer.train()(x))

batch_norm = nn.BatchNorm2d(4, dtype=torch.float64)
moved = (batch_norm(alone) - batch_norm(x)[:1]).abs().max().item()
print(f"without the other image, batch norm's output moves by up to {moved:.2f}")
assert moved > 0.1

# %%
# How many groups?
# ----------------
#
# The number of groups goes from 1, where all channels share a mean, to C, where none do. It must
# divide C. The table counts the cells behind each mean of one image of our batch.

from normstudy.tables import Table

rows = []
for num_groups in (1, 2, 4):
    out = norms.forward(x, "group", num_groups=num_groups, eps=0)
    means = ", ".join(f"{mean:g}" for mean in out.mean[0].tolist())
    rows.append((str(num_groups), str(out.count), means))
print(Table(("groups", "cells in each set", "means of image 0"), tuple(rows)))

assert torch.equal(
    norms.forward(x, "group", num_groups=1, eps=0).mean[:, 0], x.mean((1, 2, 3))
)
assert torch.equal(norms.forward(x, "group", num_groups=4, eps=0).mean, x.mean((2, 3)))

# %%
# One group is layer norm and four groups are instance norm. A number that does not divide the
# channels is refused, since then there would be a group with fewer channels than the others:

try:
    norms.forward(x, "group", num_groups=3)
except ValueError as error:
    print(error)

# %%
# What this does not show
# -----------------------
#
# Neighbouring channels are put into one group because that is simple, and no more is known about
# them: a convolution can give its outputs in any order. Which number of groups trains best is a
# question for an experiment. Wu and He find that anything from 2 to 64 groups gives about the same.
#
# Exercises
# ---------
#
# 1. Which two numbers of image 0 would you exchange to change both of its means?
# 2. Compute :math:`\hat x_{1,2,1,1}` from the first figure, then look it up in the second.
# 3. Reverse the order of the channels with ``x.flip(1)``. Do the sets change with 2 groups? And if
#    you exchange the two channels in the middle?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_140_layer_norm.py` puts all channels into one group.

import matplotlib.pyplot as plt

plt.show()
