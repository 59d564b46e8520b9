"""
Which numbers share a mean?
===========================

Batch norm, layer norm and group norm are one formula. They differ in which numbers are averaged
together, and everything that sets them apart follows from that.

**The question.** Given the same numbers, what do the three norms compute, and on what does the
result for one image depend?

**You will see** one formula, a picture of the cells that share a mean, each norm in two lines of
code beside PyTorch's own, and a test of which norm looks at the other images of the batch.
"""

# %%
# One formula
# -----------
#
# A convolution hands on a batch of feature maps: a tensor of shape (N, C, H, W) with N images, C
# channels, H rows and W columns. Call one of its numbers a cell. Every norm takes each cell
# :math:`x_i`, subtracts a mean, and divides by a standard deviation:
#
# .. math::
#
#    \hat x_i = \frac{x_i - \mu_i}{\sqrt{\sigma_i^2 + \varepsilon}}, \qquad
#    y_i = \gamma_c \, \hat x_i + \beta_c
#
# The mean :math:`\mu_i` and the variance :math:`\sigma_i^2` are taken over the set of cells that
# cell :math:`i` belongs to. The small constant :math:`\varepsilon` keeps the root away from zero.
# Scale :math:`\gamma_c` and shift :math:`\beta_c` are learned, one of each per channel, so that the
# network can undo the norm where that helps. The variance divides by the number of cells, not by
# one less.
#
# So one question is left: which cells form a set? That is where the norms differ, and nowhere else.

from normstudy.diagrams import shared_cells

picture = shared_cells((2, 4, 2, 2), num_groups=2)

# %%
# Read the figure like this: all cells with the same number and colour are averaged together.
#
# - **Batch norm** goes through all images and stays inside one channel. Cells of the first channel
#   share a mean with each other, in whatever image they stand.
# - **Layer norm** stays inside one image and goes through all its channels.
# - **Group norm** stays inside one image, and inside one group of neighbouring channels.
# - **Instance norm** stays inside one image and one channel. It is the other end of group norm: as
#   many groups as channels, while layer norm is group norm with a single group.
#
# How many means is that? For one image with 32 channels and 8 groups the table counts the sets.

from normstudy.compare import Table
from normstudy.norms import index_sets

shape = (1, 32, 8, 8)
counts = {
    norm: len(index_sets(shape, norm, num_groups=8).unique())
    for norm in ("batch", "layer", "group", "instance")
}
rows = [(norm, str(count), str(32 * 8 * 8 // count)) for norm, count in counts.items()]
print(Table(("norm", "means", "cells in each"), tuple(rows)))

assert counts["batch"] == 32
assert counts["group"] == 8
assert counts["layer"] == 1

# %%
# A batch of one image has as many means under batch norm as under instance norm: 32 of 64 cells
# each. The difference between the two begins with the second image, which adds cells to the sets of
# batch norm and new sets to the others.
#
# Each norm in two lines
# ----------------------
#
# Below, a batch of 4 images with 6 channels is normalized by hand and by PyTorch. In code, the set
# is the list of dimensions that the mean runs over. Group norm needs one thing more: a view of the
# tensor in which the channels of a group have a dimension of their own.

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(4, 6, 5, 5, dtype=torch.float64)
eps = 1e-5

mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
batch = (x - mean) / (var + eps).sqrt()

mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), correction=0, keepdim=True)
layer = (x - mean) / (var + eps).sqrt()

view = x.view(4, 3, 2, 5, 5)  # 3 groups of 2 channels
mean, var = view.mean((2, 3, 4), keepdim=True), view.var((2, 3, 4), correction=0, keepdim=True)
group = ((view - mean) / (var + eps).sqrt()).view(4, 6, 5, 5)

assert torch.allclose(batch, nn.BatchNorm2d(6).double()(x), atol=1e-12, rtol=0)
assert torch.allclose(layer, nn.GroupNorm(1, 6).double()(x), atol=1e-12, rtol=0)
assert torch.allclose(group, nn.GroupNorm(3, 6).double()(x), atol=1e-12, rtol=0)
assert torch.allclose(layer, nn.LayerNorm([6, 5, 5]).double()(x), atol=1e-12, rtol=0)
print("By hand and by PyTorch: equal to 12 decimals.")

# %%
# "Layer norm" has more than one meaning. This study uses the one in the figure, which PyTorch calls
# ``GroupNorm(1, C)``: the mean runs over all channels and pixels of an image, and scale and shift
# are per channel. ``LayerNorm([C, H, W])`` has the same mean, but a scale and a shift for each
# cell, which is many more parameters. And transformers normalize each position on its own, over
# the channels alone. The first meaning gives every version of our network the same number of
# parameters, which the study needs.

parameters = {
    "BatchNorm2d(64)": nn.BatchNorm2d(64),
    "GroupNorm(16, 64)": nn.GroupNorm(16, 64),
    "GroupNorm(1, 64)": nn.GroupNorm(1, 64),
    "LayerNorm([64, 16, 16])": nn.LayerNorm([64, 16, 16]),
}
rows = [(name, f"{sum(p.numel() for p in m.parameters()):,}") for name, m in parameters.items()]
print(Table(("layer", "parameters"), tuple(rows)))

# %%
# Who looks at the other images?
# ------------------------------
#
# The sets of batch norm go through all images, so its output for one image depends on which other
# images happen to be in the batch. We replace the last image by a much brighter one and ask whether
# the output for the first image moves.

other = x.clone()
other[3] += 10
for name, norm in {"batch": nn.BatchNorm2d(6), "group": nn.GroupNorm(3, 6)}.items():
    moved = (norm.double()(x)[0] - norm(other)[0]).abs().max().item()
    print(f"{name} norm: the first image's output moves by up to {moved:.3f}")
    assert (moved > 0) == (name == "batch")

# %%
# This is the price of batch norm and perhaps also its gift. The price: with few images per batch
# the means are poor, and an image that comes alone has no company to be compared with, so that
# batch norm has to remember running averages and use those in evaluation mode. The gift: every step
# sees each image beside others, a kind of noise that may keep the network from learning by heart.
# Group norm and layer norm compute the same in training and in evaluation.
#
# What this does not show
# -----------------------
#
# Nothing here says which norm trains better: that is measured in the following pages. Nor does it
# show the backward pass, the running averages, or what a norm does to the size of the gradients.
#
# Exercises
# ---------
#
# 1. Draw the figure for 1 group and for 4 groups. Which other two panels does group norm become?
# 2. Add 10 to one channel of ``x`` instead of one image. Which norms change which outputs?
# 3. Give batch norm a batch of one image with 1×1 maps. What does PyTorch say, and why?
#
# Where to go next
# ----------------
#
# :doc:`/notation` lists every symbol. :ref:`sphx_glr_auto_examples_plot_220_model.py` shows where
# the norms stand in the network, and :ref:`sphx_glr_auto_examples_plot_230_curves.py` what they do.

import matplotlib.pyplot as plt

plt.show()
