"""
Instance norm: as many groups as channels
=========================================

Instance norm by hand, and why it is the other end of group norm.

**The question.** What happens when every channel of every image is normalized on its own, and what
is lost?

**The answer.** Each of the 8 maps of our batch gets a mean and a variance of its own, from 4 cells.
Afterwards every map has the same level and the same contrast: the maps 0 0 2 2 and 6 6 8 8 become
one and the same.

**You will see** the smallest sets of all, every statistic with its numbers, the row of group norms
from one group to as many groups as channels, and which information does not survive.
"""

# %%
# Which cells share a mean
# ------------------------
#
# Instance norm (Ulyanov, Vedaldi & Lempitsky 2016) averages over the positions of one channel of
# one image. Our batch has N · C = 8 means, each of :math:`m = H \cdot W = 4` cells. The letters are
# those of :doc:`/notation`.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import by_hand

example = by_hand("instance")
batch = worked_cells(
    example, ["x"], title="The batch, map by map", name="instance-norm-input"
)

# %%
# Every map has a colour of its own. No norm in this chapter has smaller sets on this batch. Those
# of the channels-last layer norm are as small, but run the other way: one pixel through all four
# channels.
#
# Mean, variance, root
# --------------------
#
# With only four numbers to a mean, this is quick. The first index is the image, the second the
# channel.

from normstudy.byhand.typeset import working

working(example["mean"])

# %%
# The variances, too, are means of four numbers:

working(example["variance"])

# %%
# and their roots, with :math:`\varepsilon = 0`, are 1 or 3:

working(example["std"], (0, 0), (0, 2), (1, 1))

# %%
# Standardize, scale and shift
# ----------------------------
#
# One cell of each of these three maps:

cells = [(0, 0, 1, 0), (0, 2, 1, 1), (1, 1, 0, 1)]
working(example["xhat"], *cells)

# %%
# Scale and shift belong to channels and are shared by all images. They turn the same cells into

working(example["y"], *cells)

# %%
# All cells:

steps = ["xhat", "y"]
result = worked_cells(
    example, steps, title="Instance norm's result", name="instance-norm-result"
)

# %%
# In the upper block, look at channels 0 and 1 of image 0. Their results are all −1 or 1, because
# each input holds only two numbers, twice each. Whatever those numbers are, the result is the same:
# the norm turns ``0 0 2 2`` and ``6 6 8 8`` into one and the same map.

x, y, xhat = (example[name].tensor for name in ("x", "y", "xhat"))
assert x[0, 0].tolist() == [[0, 0], [2, 2]]
assert x[0, 3].tolist() == [[6, 6], [8, 8]]
assert xhat[0, 0].equal(xhat[0, 3])

# %%
# Does PyTorch agree?
# -------------------
#
# PyTorch has instance norm twice: under its own name, and as group norm with as many groups as
# channels.

import torch
from torch import nn

from normstudy.byhand.reference import assert_close

gamma, beta = example["gamma"].tensor, example["beta"].tensor
for layer in (
    nn.InstanceNorm2d(4, eps=0, affine=True, dtype=torch.float64),
    nn.GroupNorm(4, 4, eps=0, dtype=torch.float64),
):
    layer.weight.data, layer.bias.data = gamma, beta
    assert_close(y, layer(x))
    print(f"{type(layer).__name__}: {(y - layer(x)).abs().max().item():.1e} from ours")

# %%
# By default they differ in scale and shift: ``InstanceNorm2d`` has none unless you ask for
# ``affine=True``, and ``GroupNorm`` has both. (On maps of one cell they differ too, see below.)

assert sum(p.numel() for p in nn.InstanceNorm2d(4).parameters()) == 0
assert sum(p.numel() for p in nn.GroupNorm(4, 4).parameters()) == 8

# %%
# From one end to the other
# -------------------------
#
# Between layer norm (one group) and instance norm (C groups) lies a row of group norms. For each of
# them we ask how far the means of the channels are spread *after* the norm. The spread is large if
# channels keep their levels, and 0 if the norm removes them.

from normstudy.byhand import norms
from normstudy.tables import Table

rows = []
for num_groups in (1, 2, 4):
    out = norms.forward(x, "group", num_groups=num_groups, eps=0)
    levels = out.xhat.mean((2, 3))  # of each image and channel
    spread = f"{levels.std(correction=0).item():.3f}"
    rows.append((str(num_groups), str(out.mean.numel()), spread))
header = ("groups", "means in the batch", "spread of the channels' means")
print(Table(header, tuple(rows)))

one_group = norms.forward(x, "group", num_groups=1, eps=0)
assert_close(one_group.y, norms.forward(x, "layer", eps=0).y)
assert_close(out.y, norms.forward(x, "instance", eps=0).y)
assert levels.abs().max() < 1e-12

# %%
# In the last row nothing is left of the levels. Brightness and contrast of each map are gone, and
# that is what instance norm was invented for: in style transfer the contrast of the photograph
# should not show in the result. But how strongly a filter responds to an image also helps to tell
# classes apart, and exactly that is removed.
#
# One cell per map
# ----------------
#
# Once the maps have shrunk to 1 × 1, a set has a single cell. Its deviation from its own mean is 0,
# so the output is :math:`\beta`, whatever the input. ``InstanceNorm2d`` refuses such maps, and so
# does this package. ``GroupNorm(C, C)`` accepts them without a word if there are two images or
# more.

values = torch.tensor([[1.0, -2.0, 5.0, 0.0], [3.0, 4.0, 7.0, 9.0]]).double()
maps = values.view(2, 4, 1, 1)
layer.eps = 1e-5  # as usual; with 0 it would divide 0 by 0
assert_close(layer(maps).flatten(1), beta.expand(2, 4))
try:
    norms.forward(maps, "instance")
except ValueError as error:
    print(error)

# %%
# What this does not show
# -----------------------
#
# Losing information need not mean losing accuracy, since later layers might do without it. Wu and
# He (2018) measured it on ImageNet, where group norm comes close to batch norm and instance norm is
# clearly behind. Here it is one of the arms of the main study, whose network has no norm after its
# last block: the average of an instance-normalized map is :math:`\beta`, whatever the image.
#
# Exercises
# ---------
#
# 1. Multiply image 1 by 10. Which outputs of instance norm change, with :math:`\varepsilon = 0`?
# 2. A network ends in instance norm and an average over each map. Why can it not learn, and what
#    helps?
# 3. Find two maps of the batch with the same mean and the same variance but different results.
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       brighter = x * torch.tensor([1.0, 10.0]).double().view(2, 1, 1, 1)
#       assert_close(norms.forward(brighter, "instance", gamma, beta, eps=0).y, y)
#
#    None. The mean and the standard deviation of each of its maps become ten times as large,
#    too, and the factor cancels.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       assert_close(y.mean((2, 3)), beta.expand(2, 4))
#       after_relu = y.relu().mean((2, 3))
#       assert (after_relu[0] - after_relu[1]).abs().max() > 0.1
#
#    The average of a normalized map is :math:`\beta`, whatever the image, so both images look
#    the same to the last layer. A ReLU between the norm and the average helps, since it keeps
#    the positive cells only; so does leaving out the last norm.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       means, variances = (example[name].tensor for name in ("mean", "variance"))
#       assert means[0, 0] == means[0, 1] == 1
#       assert variances[0, 0] == variances[0, 1] == 1
#       assert not xhat[0, 0].equal(xhat[0, 1])
#
#    Channels 0 and 1 of image 0 both hold two zeros and two twos, in different places. The norm
#    forgets level and contrast, but not the pattern.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_160_backward.py` follows the gradients back through a norm.
#
# :knobs:`Change these numbers <instance>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
