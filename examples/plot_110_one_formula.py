"""
One formula for every norm
==========================

Batch, layer, group and instance norm do the same arithmetic on different sets of numbers. This page
counts the sets and computes their means and variances.

**The question.** If the formula is always the same, what exactly differs between the norms, and how
many means and variances does each of them need?

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
# Only the set :math:`S_i` is still open. The figure shows a batch as a cube, with images in depth,
# channels to the right, and the positions of the map downwards.

from normstudy.byhand.diagrams import cubes

picture = cubes((4, 6, 5), num_groups=2)

# %%
# Each cube has one set in colour: the one that holds the cell in the upper right corner of the
# front. Batch norm takes one channel of *all* images. The other three stay inside one image: layer
# norm takes all of it, instance norm one channel, and group norm a few neighbouring channels. So
# batch norm is the only one whose result for an image depends on other images.
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
# things that are called layer norm; they have a page of their own. ``rms`` leaves out the mean,
# and ``weight`` standardizes the weight of a convolution instead of its output. One function reads
# the table and computes all eight, another their gradients, and PyTorch's layers agree with both on
# random numbers:

import torch

from normstudy.byhand.reference import torch_layer
from normstudy.byhand.norms import backward, forward

torch.manual_seed(0)
maps, upstream = torch.randn(2, 2, 4, 3, 3, dtype=torch.float64)
for norm in INDEX_SETS:
    leaf, layer = (
        maps.clone().requires_grad_(),
        torch_layer(norm, maps.shape, num_groups=2),
    )
    ours, theirs = forward(maps, norm, num_groups=2), layer(leaf)
    theirs.backward(upstream)
    assert torch.allclose(ours.y, theirs, atol=1e-12, rtol=0)
    assert torch.allclose(backward(upstream, ours).x, leaf.grad, atol=1e-12, rtol=0)

# %%
# How many means?
# ---------------
#
# Take a single image with 32 channels, and 8 groups. The function ``index_sets`` numbers the sets,
# so counting the different numbers counts the means.

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
# groups. It was searched for: under all four norms every mean is a whole number and every variance
# is the square of one, so that each step can be checked by head. These are its statistics.

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
# The same batch, four different sets of statistics, and so four different outputs. The two lines of
# the formula are enough to get all of them from PyTorch's own functions: the only thing that
# changes from norm to norm is the list of dimensions. Group norm first needs a view in which the
# channels of a group have a dimension of their own.

x = by_hand("batch")["x"].tensor
grouped = x.view(2, NUM_GROUPS, 2, 2, 2)
for norm, view, dims in (
    ("batch", x, (0, 2, 3)),
    ("layer", x, (1, 2, 3)),
    ("group", grouped, (2, 3, 4)),
    ("instance", x, (2, 3)),
):
    mean, var = (
        view.mean(dims, keepdim=True),
        view.var(dims, correction=0, keepdim=True),
    )
    xhat = ((view - mean) / var.sqrt()).reshape(x.shape)
    for name, values in (("mean", mean), ("variance", var), ("xhat", xhat)):
        expected = by_hand(norm)[name].tensor
        assert torch.allclose(
            values.reshape(expected.shape), expected, atol=1e-12, rtol=0
        )
print("Means, variances and results are those of torch.")

# %%
# How the sets nest
# -----------------
#
# The sets of instance norm fit into those of the other three like small boxes into larger ones. The
# mean of a large set is therefore the mean of its small means. Its variance is *not* the mean of
# the small variances: the spread of the small means comes on top,
#
# .. math::
#
#    \sigma^2_\text{large} = \overline{\sigma^2_\text{small}} + \Var(\mu_\text{small}) .

small_mean = by_hand("instance")["mean"].tensor  # (N, C)
small_var = by_hand("instance")["variance"].tensor
for norm, dims in (("batch", 0), ("layer", 1)):
    mean, spread = small_mean.mean(dims), small_mean.var(dims, correction=0)
    var = small_var.mean(dims) + spread
    assert torch.allclose(mean, by_hand(norm)["mean"].tensor, atol=1e-12, rtol=0)
    assert torch.allclose(var, by_hand(norm)["variance"].tensor, atol=1e-12, rtol=0)
    for parts in zip(small_var.mean(dims), spread, var, strict=True):
        print(norm, "{:g} + {:g} = {:g}".format(*parts))

# %%
# This is more than a curiosity. The second summand is what the smaller sets throw away: after
# instance norm all channels of all images have the same mean, so how bright one channel is compared
# with the others, or one image compared with the others, can no longer be read from the output.
#
# What this does not show
# -----------------------
#
# Counting sets does not tell which norm trains better. It shows neither the backward pass nor what
# batch norm does when there is no batch, and the batch above was chosen for its whole numbers; real
# feature maps have none.
#
# Exercises
# ---------
#
# 1. Draw ``cubes(num_groups=6)`` and ``cubes(num_groups=1)``. Which two panels become equal?
# 2. How many means has group norm with ``num_groups=16`` for 128 images of 64 channels?
# 3. Check the rule about variances for group norm, whose small sets are two channels each.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_120_batch_norm.py` follows one norm through all of its steps.

import matplotlib.pyplot as plt

plt.show()
