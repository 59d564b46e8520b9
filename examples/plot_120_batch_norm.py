r"""
Batch norm by hand
==================

Every step of batch norm on one small batch, with whole numbers that you can check in your head.

**The question.** How does batch norm turn a batch of feature maps into its output, number by
number?

**The answer.** It takes one mean and one variance for each channel, over all images and positions:
4 of each here, from 8 cells each. Every cell becomes its distance from the mean in standard
deviations, and is then scaled by :math:`\gamma` and shifted by :math:`\beta`.

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
# The upper row of maps is image 0, the lower row image 1. Colours run down the columns: the two
# maps of a channel belong together, although they lie in different images. All letters are
# explained in :doc:`/notation`, whose equations :eq:`standardize` and :eq:`affine` follow here step
# by step; indices count from 0, as they do in code.
#
# Step 1: the mean of each channel
# --------------------------------
#
# Add up the eight numbers of one colour, and divide by eight.

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# Step 2: the variance of each channel
# ------------------------------------
#
# First subtract the mean from every cell. Here are the cells of channel 1 in image 0:

working(example["deviation"], (0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (0, 1, 1, 1))

# %%
# Then square every deviation :math:`d` and take the mean of the squares. The sum is again divided
# by eight, not by seven: this is the *biased* variance.

working(example["variance"])

# %%
# Step 3: divide by the standard deviation
# ----------------------------------------
#
# A small :math:`\varepsilon` is added to the variance before the root is taken. It is 0 for now, to
# keep the numbers whole.

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
# so the same four cells become

working(example["y"], (0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 0, 1), (1, 3, 1, 0))

# %%
# Here is every cell, before and after scale and shift:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Batch norm's result", name="batch-norm-result"
)

# %%
# In the upper block the eight cells of a colour have mean 0 and variance 1. Check one channel! In
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
# :math:`\varepsilon = 0` for batch norm, so it gets a number that vanishes beside every variance
# here.

import torch
from torch import nn

from normstudy.byhand import norms
from normstudy.byhand.reference import NO_EPS, assert_close

layer = nn.BatchNorm2d(4, eps=NO_EPS, dtype=torch.float64)
layer.weight.data, layer.bias.data = gamma, beta
assert_close(y, layer(x))
assert_close(y, norms.forward(x, "batch", gamma, beta, eps=0).y)
print(f"largest difference from torch: {(y - layer(x)).abs().max().item():.1e}")

# %%
# What eps changes
# ----------------
#
# In practice :math:`\varepsilon` is 0.00001. It matters only where a variance is nearly as small,
# as in a channel that is constant, where it prevents a division by zero. With the usual value, the
# root of channel 0, which has the smallest variance, becomes

usual = by_hand("batch", eps=1e-5)
working(usual["std"], (0,))

# %%
# The result changes in the sixth digit, and PyTorch's by the same amount.

change = (usual["y"].tensor - y).abs().max().item()
layer.eps = 1e-5
assert_close(usual["y"].tensor, layer(x))
assert 0 < change < 1e-4
print(f"largest change of an output: {change:.1e}")

# %%
# What this does not show
# -----------------------
#
# This is the forward pass in training mode. In evaluation mode batch norm uses running statistics
# instead of those of the batch; that has a page of its own, as has the backward pass. And eight
# cells are few: in the network of this study a mean is taken over thousands.
#
# Exercises
# ---------
#
# 1. Compute :math:`\mu_3` and :math:`s_3` with pencil and paper, from the first figure alone.
# 2. Add 100 to every cell of channel 2. Which steps change, and which outputs?
# 3. Swap the two images. What happens to the means?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       assert str(example["mean"].values[3]) == "9"
#       assert str(example["std"].values[3]) == "3"
#       working(example["deviation"], (0, 3, 0, 0), (1, 3, 0, 1))
#
#    The numbers 6, 6, 8, 8, 6, 12, 14, 12 add up to 72, so :math:`\mu_3 = 9`. Their deviations
#    −3, −3, −1, −1, −3, 3, 5, 3 have squares that add up to 72 as well, so :math:`\sigma_3^2 =
#    9` and :math:`s_3 = 3`.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       raised = x.clone()
#       raised[:, 2] += 100
#       out = norms.forward(raised, "batch", gamma, beta, eps=0)
#       assert_close(out.mean - example["mean"].tensor, torch.tensor([0, 0, 100, 0.0]).double())
#       assert_close(out.var, example["variance"].tensor)
#       assert_close(out.y, y)
#
#    Only the mean of channel 2 changes, by 100. From the deviations onwards everything stays as
#    it was, so no output changes.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       swapped = norms.forward(x.flip(0), "batch", gamma, beta, eps=0)
#       assert_close(swapped.mean, example["mean"].tensor)
#       assert_close(swapped.y, y.flip(0))
#
#    Nothing happens to them: a sum does not depend on the order of its terms. The outputs are
#    the same, in swapped order.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_130_group_norm.py` takes the same batch and changes one thing:
# the sets.
#
# :knobs:`Change these numbers <batch>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
