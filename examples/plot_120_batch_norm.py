r"""
Batch norm by hand
==================

Every step of batch norm on one small batch, with whole numbers that you can check by head.

**The question.** How does batch norm turn a batch of feature maps into its output, number by
number?

**You will see** the batch with the cells that share a mean in one colour, the mean, the variance
and the root of every channel, the output, what :math:`\varepsilon` changes, and PyTorch agreeing.
"""

# %%
# Which cells share a mean
# ------------------------
#
# Batch norm (Ioffe & Szegedy 2015) averages over all images and all positions, one channel at a
# time. Our batch has N = 2 images, C = 4 channels and maps of 2 × 2 cells, so there are 4 means,
# each of :math:`m = N \cdot H \cdot W = 8` cells. A worked example is a list of steps, computed in
# exact fractions.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import by_hand

example = by_hand("batch")
batch = worked_cells(
    example, ["x"], title="The batch, by channel", name="batch-norm-input"
)

# %%
# The upper row of maps is image 0, the lower row image 1. Colours go down the columns: the maps of
# one channel belong together, in whatever image they are. All letters are explained in
# :doc:`/notation`; indices count from 0, as they do in code.
#
# Step 1: the mean of each channel
# --------------------------------
#
# Add up the eight numbers of one colour and divide by eight.

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# Step 2: the variance of each channel
# ------------------------------------
#
# First subtract the mean from every cell. Here are the cells of channel 1 in image 0:

working(example["deviation"], (0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (0, 1, 1, 1))

# %%
# Then square all deviations :math:`d`, and take the mean of the squares. It divides by eight again,
# and not by seven: this is the *biased* variance.

working(example["variance"])

# %%
# Step 3: divide by the standard deviation
# ----------------------------------------
#
# A small :math:`\varepsilon` is added to the variance before the root is taken. To keep the numbers
# whole it is 0 for now.

working(example["std"])

# %%
# Now every cell is its deviation divided by the :math:`s` of its channel. One cell of each channel:

working(example["xhat"], (0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 0, 1), (1, 3, 1, 0))

# %%
# Step 4: scale and shift
# -----------------------
#
# The network learns a scale :math:`\gamma` and a shift :math:`\beta` for each channel. In this
# example they are

working(example["gamma"])

# %%
# and

working(example["beta"])

# %%
# so that the same four cells become

working(example["y"], (0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 0, 1), (1, 3, 1, 0))

# %%
# And here is every cell, before and after scale and shift:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Batch norm's result", name="batch-norm-result"
)

# %%
# In the upper block the eight cells of a colour have mean 0 and variance 1; check one channel. In
# the lower block they have mean :math:`\beta` and standard deviation :math:`|\gamma|`. Channel 3
# has a negative :math:`\gamma`, so its largest inputs have become its smallest outputs.

x, y, xhat = (example[name].tensor for name in ("x", "y", "xhat"))
gamma, beta = example["gamma"].tensor, example["beta"].tensor
assert xhat.mean((0, 2, 3)).abs().max() < 1e-12
assert (xhat.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-12
assert (y.mean((0, 2, 3)) - beta).abs().max() < 1e-12
assert (y.std((0, 2, 3), correction=0) - gamma.abs()).abs().max() < 1e-12

# %%
# Does PyTorch agree?
# -------------------
#
# We hand the same batch to PyTorch's layer, and to the functions of this package. PyTorch refuses
# :math:`\varepsilon = 0`, so it gets a number that vanishes beside any variance here.

import torch
from torch import nn

from normstudy.byhand import norms
from normstudy.byhand.reference import NO_EPS

layer = nn.BatchNorm2d(4, eps=NO_EPS, dtype=torch.float64)
layer.weight.data, layer.bias.data = gamma, beta
assert torch.allclose(y, layer(x), atol=1e-12, rtol=0)
assert torch.allclose(
    y, norms.forward(x, "batch", gamma, beta, eps=0).y, atol=1e-12, rtol=0
)
print(f"largest difference from torch: {(y - layer(x)).abs().max().item():.1e}")

# %%
# What eps changes
# ----------------
#
# In practice :math:`\varepsilon` is 0.00001. It matters only where a variance is nearly as small,
# as in a channel that is constant; then it prevents a division by zero. Here is the root of channel
# 0, which has the smallest variance, with the usual value:

usual = by_hand("batch", eps=1e-5)
working(usual["std"], (0,))

# %%
# The result moves in the sixth digit. PyTorch moves by the same amount.

change = (usual["y"].tensor - y).abs().max().item()
layer.eps = 1e-5
assert torch.allclose(usual["y"].tensor, layer(x), atol=1e-12, rtol=0)
assert 0 < change < 1e-4
print(f"largest change of an output: {change:.1e}")

# %%
# What this does not show
# -----------------------
#
# This is the forward pass in training mode. In evaluation mode batch norm uses running statistics
# in place of those of the batch, which has a page of its own, and so has the backward pass. And
# eight cells per mean are few: in the network of this study a mean averages over thousands.
#
# Exercises
# ---------
#
# 1. Compute :math:`\mu_3` and :math:`s_3` with pencil and paper, from the first figure alone.
# 2. Add 100 to all cells of channel 2. Which of the steps change, and which outputs?
# 3. Swap the two images. What happens to the means?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_130_group_norm.py` takes the same batch and changes one thing,
# the sets.

import matplotlib.pyplot as plt

plt.show()
