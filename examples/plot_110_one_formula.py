"""
One formula for every norm
==========================

Batch, layer, group and instance norm do the same arithmetic on different sets of numbers. This page
counts the sets and computes their means and variances.

**The question.** If the formula is always the same, what exactly differs between the norms, and how
many means and variances does each of them need?

**The answer.** Only the set of cells that share a mean and a variance differs. One image with 32
channels needs 32 means under instance norm, 8 under group norm with 8 groups, and 1 under layer
norm; batch norm needs 32 for the whole batch, however large it is.

**You will see** the formula, the four index sets as cubes, the count of means for 32 channels, the
statistics of one small batch under each norm, and how the sets nest.
"""

# %%
# The formula
# -----------
#
# A batch of feature maps is a tensor of shape (N, C, H, W): N images, C channels, H rows and W
# columns. Each of its numbers is a cell. A norm puts every cell :math:`i` into an index set
# :math:`S_i` of :math:`m` cells, and standardizes it with the mean and the variance of that set:
#
# .. math::
#
#    \mu_i = \frac{1}{m} \sum_{k \in S_i} x_k, \qquad
#    \sigma_i^2 = \frac{1}{m} \sum_{k \in S_i} (x_k - \mu_i)^2, \qquad
#    \hat x_i = \frac{x_i - \mu_i}{\sqrt{\sigma_i^2 + \varepsilon}}
#
# Afterwards each channel :math:`c` gets a scale and a shift that are learned,
# :math:`y_i = \gamma_c \, \hat x_i + \beta_c`. All letters are listed in :doc:`/notation`. Two
# details are easy to get wrong: the variance divides by :math:`m` and not by :math:`m - 1`, and
# :math:`\varepsilon` stands inside the root.
#
# That leaves the choice of :math:`S_i`. The figure shows a batch as a cube: images run into the
# page, channels to the right, and the positions of the map downwards.

from normstudy.byhand.diagrams import cubes

picture = cubes((4, 6, 5), num_groups=2)

# %%
# In each cube one set is coloured: the one that contains the upper right cell of the front face.
# Batch norm takes one channel of *all* images. The other three stay inside one image: layer norm
# takes all of it, instance norm one channel, and group norm a few neighbouring channels. So batch
# norm is the only one whose result for an image depends on other images.
#
# Sets as data
# ------------
#
# In the package the norms are rows of one table. A batch is seen as a tensor of shape (N, G, K, S)
# with N images, G groups of K channels, and S positions, so that a norm is named by the letters it
# averages over. The second column says along which letters :math:`\gamma` and :math:`\beta` vary;
# GK means one value for each channel.

from normstudy.byhand.norms import INDEX_SETS
from normstudy.tables import Table

rows = [(norm, INDEX_SETS[norm].over, INDEX_SETS[norm].affine) for norm in INDEX_SETS]
print(Table(("norm", "averages over", "gamma varies along"), tuple(rows)))

# %%
# The first four rows are the norms of this page. ``layer_chw`` and ``layer_channels`` are two other
# layers known as layer norm, which have a page of their own. ``rms`` does not subtract a mean, and
# ``weight`` standardizes the weight of a convolution instead of its output. One function reads the
# table and computes all eight, another their gradients, and PyTorch's layers agree with both on
# random numbers:

import torch

from normstudy.byhand.norms import backward, forward
from normstudy.byhand.reference import assert_close, torch_layer

torch.manual_seed(0)
maps, upstream = torch.randn(2, 2, 4, 3, 3, dtype=torch.float64)
for norm in INDEX_SETS:
    layer = torch_layer(norm, maps.shape, num_groups=2)
    leaf = maps.clone().requires_grad_()
    ours, theirs = forward(maps, norm, num_groups=2), layer(leaf)
    theirs.backward(upstream)
    assert_close(ours.y, theirs)
    assert_close(backward(upstream, ours).x, leaf.grad)

# %%
# How many means?
# ---------------
#
# Take a single image with 32 channels, and 8 groups for group norm. The function ``index_sets``
# numbers the sets, so the number of distinct numbers is the number of means.

from normstudy.byhand.norms import index_sets

shape = (1, 32, 4, 4)
counts = {}
for norm in ("batch", "instance", "group", "layer"):
    counts[norm] = len(index_sets(shape, norm, num_groups=8).unique())
    print(f"{norm}: {counts[norm]} means of {32 * 4 * 4 // counts[norm]} cells each")

assert (counts["instance"], counts["group"], counts["layer"]) == (32, 8, 1)
assert counts["batch"] == counts["instance"]  # one image: the same sets

# %%
# Thirty-two, eight or one. With N images the last three counts are multiplied by N, because every
# image has sets of its own. The count of batch norm stays at 32 however large the batch is, and its
# sets grow instead.

more = (5, 32, 4, 4)
assert len(index_sets(more, "batch").unique()) == 32
assert len(index_sets(more, "group", num_groups=8).unique()) == 5 * 8
assert len(index_sets(more, "layer").unique()) == 5

# %%
# One small batch, four results
# -----------------------------
#
# The pages of this chapter all use one batch of 2 images with 4 channels of 2 × 2 cells, and 2
# groups. A search found it: under all four norms every mean is a whole number and every variance is
# the square of one, so that you can check each step in your head. These are its statistics.

from normstudy.byhand.examples import NUM_GROUPS, by_hand

rows = []
for norm in ("batch", "layer", "group", "instance"):
    example = by_hand(norm)
    numbers = [
        ", ".join(map(str, example[name].values))
        for name in ("mean", "variance", "std")
    ]
    rows.append((norm, *numbers))
print(Table(("norm", "means", "variances", "standard deviations"), tuple(rows)))

# %%
# One batch, four sets of statistics, and so four different outputs. PyTorch's ``mean`` and ``var``
# give all of them, and only the list of dimensions changes from norm to norm. Group norm first
# needs a view in which the channels of a group have a dimension of their own.

x = by_hand("batch")["x"].tensor
grouped = x.view(2, NUM_GROUPS, 2, 2, 2)
for norm, view, dims in (
    ("batch", x, (0, 2, 3)),
    ("layer", x, (1, 2, 3)),
    ("group", grouped, (2, 3, 4)),
    ("instance", x, (2, 3)),
):
    mean = view.mean(dims, keepdim=True)
    var = view.var(dims, correction=0, keepdim=True)
    xhat = ((view - mean) / var.sqrt()).reshape(x.shape)
    for name, values in (("mean", mean), ("variance", var), ("xhat", xhat)):
        expected = by_hand(norm)[name].tensor
        assert_close(values.reshape(expected.shape), expected)
print("Means, variances and results are those of torch.")

# %%
# How the sets nest
# -----------------
#
# The sets of instance norm fit inside those of the other three, like small boxes in larger ones.
# The mean of a large set is therefore the mean of its small means. Its variance is *not* the mean
# of the small variances: the spread of the small means comes on top,
#
# .. math::
#
#    \sigma^2_\text{large} = \overline{\sigma^2_\text{small}} + \Var(\mu_\text{small}) .

small_mean = by_hand("instance")["mean"].tensor  # (N, C)
small_var = by_hand("instance")["variance"].tensor
for norm, dims in (("batch", 0), ("layer", 1)):
    mean, spread = small_mean.mean(dims), small_mean.var(dims, correction=0)
    var = small_var.mean(dims) + spread
    assert_close(mean, by_hand(norm)["mean"].tensor)
    assert_close(var, by_hand(norm)["variance"].tensor)
    for parts in zip(small_var.mean(dims), spread, var, strict=True):
        print(norm, "{:g} + {:g} = {:g}".format(*parts))

# %%
# This is more than a curiosity. The second term is what the smaller sets throw away: after instance
# norm all channels of all images have the same mean, so the output no longer tells how bright a
# channel is compared with the other channels, or an image compared with the other images.
#
# What this does not show
# -----------------------
#
# Counting sets does not tell you which norm trains better. It shows neither the backward pass nor
# what batch norm does when there is no batch. And the batch above was chosen for its whole numbers,
# which real feature maps do not have.
#
# Exercises
# ---------
#
# 1. Draw ``cubes(num_groups=6)`` and ``cubes(num_groups=1)``. Which two panels become the same in
#    each?
# 2. How many means does group norm with ``num_groups=16`` compute for 128 images of 64 channels?
# 3. Check the rule about variances for group norm, where each group is made of two channels.
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       finest, coarsest = cubes(num_groups=6), cubes(num_groups=1)
#       cube = (4, 6, 5)  # what cubes draws by default: images, channels, positions
#       one_each = index_sets(cube, "group", num_groups=6)
#       assert one_each.equal(index_sets(cube, "instance"))
#       all_in_one = index_sets(cube, "group", num_groups=1)
#       assert all_in_one.equal(index_sets(cube, "layer"))
#
#    With six groups for six channels group norm is instance norm, and with one group it is layer
#    norm.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       sets = index_sets((128, 64, 2, 2), "group", num_groups=16)
#       assert len(sets.unique()) == 128 * 16 == 2048
#
#    Every image has a mean for each of its 16 groups, and so 128 images have 2,048. The number
#    of channels and the size of the maps do not matter.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       pairs_mean, pairs_var = (t.view(2, NUM_GROUPS, 2) for t in (small_mean, small_var))
#       spread_of_pairs = pairs_mean.var(2, correction=0)
#       assert_close(pairs_mean.mean(2), by_hand("group")["mean"].tensor)
#       assert_close(
#           pairs_var.mean(2) + spread_of_pairs, by_hand("group")["variance"].tensor
#       )
#
#    The rule holds: a group's variance is the mean of the variances of its two channels, plus
#    the variance of their two means.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_120_batch_norm.py` follows one norm through all of its steps.
#
# :knobs:`Change these numbers <group>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
