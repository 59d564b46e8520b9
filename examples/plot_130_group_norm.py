"""
Group norm by hand
==================

The same batch as before, with means over groups of channels inside one image.

**The question.** What does group norm compute, and why does it not need a batch?

**The answer.** It takes one mean and one variance for each image and each group of channels: 4 of
each here, from 8 cells each. No mean reaches into another image, so an image gets the same output
alone as in company.

**You will see** the groups in colour, every mean and variance with its numbers, the output beside
PyTorch's, proof that the other images do not matter, and what the number of groups changes.
"""

# %%
# Which cells share a mean
# ------------------------
#
# Group norm (Wu & He 2018) stays inside one image. It cuts the C channels into G groups of
# neighbours and averages over all cells of a group. With C = 4 channels and G = 2 groups, a group
# has two channels and :math:`m = (C / G) \cdot H \cdot W = 8` cells. Two images with two groups
# each have 4 means.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import NUM_GROUPS, by_hand

example = by_hand("group")
batch = worked_cells(
    example, ["x"], title="The batch, by group", name="group-norm-input"
)

# %%
# These are the numbers of the page on batch norm, coloured differently. A colour now covers two
# maps side by side, and ends where the image ends. The letters are those of :doc:`/notation`. Index
# :math:`n` counts the images and :math:`g` the groups, both from 0, so :math:`\mu_{1,0}` is the
# mean of the second image's first group.
#
# Mean and variance of each group
# -------------------------------
#
# Eight numbers of one colour, added up and divided by eight:

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# The variance is the mean of the squared deviations :math:`d = x - \mu`, over the same eight cells:

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
# The statistics belong to groups, but :math:`\gamma` and :math:`\beta` belong to *channels*: the
# two channels of a group share a mean, yet each has a scale of its own. Here :math:`\gamma` is 1,
# 2, 3 and −1, and :math:`\beta` is 0, 1, −1 and 2, as for batch norm:

working(example["y"], *cells)

# %%
# And all cells:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Group norm's result", name="group-norm-result"
)

# %%
# In the upper block every colour has mean 0 and variance 1. A single channel need not: in image 1,
# all of channel 0 lies below zero. That channel 0 is darker than channel 1 there is something that
# group norm keeps and instance norm throws away.
#
# Does PyTorch agree?
# -------------------

import torch
from torch import nn

from normstudy.byhand import norms
from normstudy.byhand.reference import assert_close

x, y, xhat = (example[name].tensor for name in ("x", "y", "xhat"))
gamma, beta = example["gamma"].tensor, example["beta"].tensor
layer = nn.GroupNorm(NUM_GROUPS, 4, eps=0, dtype=torch.float64)
layer.weight.data, layer.bias.data = gamma, beta
assert_close(y, layer(x))

ours = norms.forward(x, "group", gamma, beta, num_groups=NUM_GROUPS, eps=0)
assert_close(y, ours.y)

groups = xhat.view(2, NUM_GROUPS, 8)
assert groups.mean(2).abs().max() < 1e-12
assert (groups.var(2, correction=0) - 1).abs().max() < 1e-12
assert xhat[1, 0].max() < 0
print(f"largest difference from torch: {(y - layer(x)).abs().max().item():.1e}")

# %%
# It works for one image
# ----------------------
#
# No set reaches into another image. So an image on its own gets, digit for digit, the output that
# it gets in a batch, and group norm computes the same in training and in evaluation. Batch norm
# does not: with half of its cells gone, its means change.

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
# The number of groups runs from 1, where all channels share a mean, to C, where no two do. It must
# divide C. For each choice, the table counts the cells behind a mean, and gives the means of the
# first image.

from normstudy.tables import Table

rows = []
for num_groups in (1, 2, 4):
    out = norms.forward(x, "group", num_groups=num_groups, eps=0)
    means = ", ".join(f"{mean:g}" for mean in out.mean[0].tolist())
    rows.append((str(num_groups), str(out.count), means))
print(Table(("groups", "cells in each set", "means of image 0"), tuple(rows)))

one, four = (norms.forward(x, "group", num_groups=g, eps=0) for g in (1, 4))
assert_close(one.mean[:, 0], x.mean((1, 2, 3)))  # layer norm's means
assert_close(four.mean, x.mean((2, 3)))  # instance norm's

# %%
# One group gives layer norm and four groups give instance norm. A number that does not divide the
# channels is refused, since some groups would have fewer channels than others:

try:
    norms.forward(x, "group", num_groups=3)
except ValueError as error:
    print(error)

# %%
# What this does not show
# -----------------------
#
# Neighbouring channels go into one group because that is simple, and for no deeper reason: a
# convolution may put its outputs in any order.
#
# Which number of groups trains best is a question for an experiment. Wu and He (2018) trained
# ResNet-50 on ImageNet. In their wide layers, anything from 2 to 64 groups is about as good: 24.1
# to 24.7% validation error, against 25.3% for one group, which is layer norm. But the same paper
# fixes the channels in each group instead, and there small groups lose: 24.2 to 24.5% with 8 to 64
# channels a group, 24.8% with 4, 25.6% with 2, and 28.4% with 1, which is instance norm. Narrow
# layers such as ours, whose groups have 3 to 12 channels, belong to the second comparison.
#
# Exercises
# ---------
#
# 1. Exchange two numbers of image 0 so that both of its means change. How far do they move?
# 2. Compute :math:`\hat x_{1,2,1,1}` from the first figure, then look it up in the second.
# 3. Reverse the order of the channels with ``x.flip(1)``. Are the sets still the same? And if you
#    exchange the two channels in the middle instead?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       exchanged = x.clone()
#       exchanged[0, 0, 0, 0], exchanged[0, 3, 1, 1] = x[0, 3, 1, 1], x[0, 0, 0, 0]
#       means = norms.forward(exchanged, "group", num_groups=NUM_GROUPS, eps=0).mean
#       assert ours.mean[0].tolist() == [1, 5]
#       assert means[0].tolist() == [2, 4]
#
#    Take one number from each group, say a 0 of channel 0 and an 8 of channel 3. Their
#    difference of 8 is spread over eight cells, so the means 1 and 5 become 2 and 4. Exchanging
#    two numbers of one group changes nothing.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       cell = (1, 2, 1, 1)
#       working(example["xhat"], cell)
#       assert (x[cell], example["mean"].tensor[1, 1], example["std"].tensor[1, 1]) == (14, 11, 3)
#       assert xhat[cell] == 1
#
#    The cell holds 14. Its group has the mean 11 and :math:`s = 3`, so the result is (14 − 11) /
#    3 = 1.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       flipped = norms.forward(x.flip(1), "group", num_groups=NUM_GROUPS, eps=0)
#       assert_close(flipped.xhat, xhat.flip(1))
#       middle = [0, 2, 1, 3]
#       mixed = norms.forward(x[:, middle], "group", num_groups=NUM_GROUPS, eps=0)
#       assert (mixed.xhat - xhat[:, middle]).abs().max() > 0.1
#
#    Reversing keeps the pairs of channels together, so every cell keeps its result. Exchanging
#    the two in the middle makes other pairs, which have other means.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_140_layer_norm.py` puts all channels into one group.
#
# :knobs:`Change these numbers <group>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
