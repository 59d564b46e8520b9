"""
Batch, group and layer norm in the network
==========================================

What batch, group and layer norm are in the network that the next pages train, place by place.

**The question.** What does the argument ``norm`` change in the network, and which norm lets an
image's scores depend on the other images?
"""

from normstudy.study import summaries
from normstudy.study.data import load
from normstudy.study.studies import STUDIES
from normstudy.study.train import build

study = STUDIES["main"]
images = load(study.data)
recipes = {
    arm: tried[0]
    for arm, tried in study.recipes().items()
    if arm in {"Batch norm", "Group norm", "Layer norm"}
}
nets = {arm: build(recipe, images) for arm, recipe in recipes.items()}
num, num_groups = recipes["Batch norm"].batch_size, recipes["Group norm"].num_groups
channels = nets["Batch norm"].norm1.num_features
print(
    f"In short: from {num} images, the first norm of the network takes {channels} means "
    f"as batch norm, {num * num_groups:,} as group norm and {num} as layer norm."
)
print("Only batch norm, and only in training, lets other images change the scores.")

# %%
# **You will see** the cells that share a mean, the network's layers beside the formula on maps of
# the network itself, how many means each norm takes from a batch, and a test with a changed
# neighbour.
#
# Who shares a mean
# -----------------
#
# Every norm subtracts a mean from each cell of its feature maps, divides by a standard deviation,
# and gives each channel a scale and a shift. The norms differ in which cells share a mean and a
# standard deviation. :ref:`sphx_glr_auto_examples_plot_110_one_formula.py` has the formula, and the
# pages after it follow the numbers. Here are 2 images with 4 channels of 2 × 2 cells:

from normstudy.byhand.diagrams import shared_cells

picture = shared_cells((2, 4, 2, 2), num_groups=2)

# %%
# Cells of one number and colour share a mean and a variance. *Batch norm* stays inside a channel
# and goes through all images. The others stay inside an image: *layer norm* takes all of its
# channels, *group norm* some neighbours, and *instance norm* only one.
#
# The layers
# ----------
#
# Here are the three networks with the settings of the study, all with the same random weights. We
# send a batch of test images to the first norm of each, and compare the network's layer with the
# formula of the pages by hand. They agree to 5 decimals, as the network computes in float32.

import torch

from normstudy.byhand import norms
from normstudy.byhand.reference import assert_close

batch = images.normalize(images.test.images[:num])
with torch.no_grad():
    for arm, net in nets.items():
        maps = net.maxpool1(net.conv1(batch))
        by_hand = norms.forward(maps, recipes[arm].norm, num_groups=num_groups)
        assert_close(net.norm1(maps), by_hand.y, atol=1e-5)
        kind, means = type(net.norm1).__name__, by_hand.mean.numel()
        print(f"{arm}: the layer is a {kind} and takes {means:,} means")

# %%
# ``ChannelsLastGroupNorm`` computes what PyTorch's ``GroupNorm`` computes, by sums that keep more
# digits, and faster where groups have few channels
# (:ref:`sphx_glr_auto_examples_plot_510_costs.py`). Layer norm is such a layer with one group: its
# mean runs over all channels and pixels of an image, and scale and shift are per channel, as in the
# other two. So all three have the same number of parameters. "Layer norm" can also mean two other
# things, which :ref:`sphx_glr_auto_examples_plot_140_layer_norm.py` compares with this one.
#
# How many means?
# ---------------
#
# In a batch of N images with C channels of H × W pixels, batch norm takes C means, layer norm N,
# and group norm N for each of its G groups. The more means, the fewer cells for each. The table has
# one row for each size of maps in the network.

print(summaries.shared_means(recipes, images))

# %%
# Of these three, group norm has the most means and so the smallest sets, a few neighbouring
# channels of one image. Instance norm, which is group norm with a group for each channel, has more
# still. Layer norm has one mean per image. Batch norm has one per channel, whose set grows with the
# batch: it is the only one of the three to which the size of the batch matters.
#
# Who looks at the other images?
# ------------------------------
#
# We put the negative of the last image in its place, and look at the scores of the *first* image,
# in training mode and in evaluation mode.


def moved(net, before, after):
    """Return by how much the scores of the first image change, at most."""
    with torch.no_grad():
        return (net(before)[0] - net(after)[0]).abs().max().item()


other = torch.cat([batch[:-1], -batch[-1:]])
for arm, net in nets.items():
    training = moved(net.train(), batch, other)
    evaluation = moved(net.eval(), batch, other)
    print(f"{arm}: moved by {training:.5f} in training, {evaluation:.5f} in evaluation")
    assert (training > 1e-4) == (arm == "Batch norm")
    assert evaluation < 1e-5

# %%
# Only batch norm notices, and only in training. That is its price: with few images in a batch the
# means are poor, and for evaluation it has to remember running averages
# (:ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py`). Perhaps it is also its strength:
# in each step an image comes with other neighbours, a kind of noise that may keep a network from
# learning by heart. The other two compute the same in training and in evaluation.
#
# What this does not show
# -----------------------
#
# Nothing here says which norm learns best: the networks above are untrained. That is measured on
# the following pages. Nor does the size of a set say how good its mean is, since cells of one map
# resemble each other.
#
# Exercises
# ---------
#
# 1. Draw the figure with ``num_groups=1`` and ``num_groups=4``. Which panels become equal?
# 2. Halve the ``num_groups`` of group norm. Which columns of the table of means change?
# 3. Take the first and the last image as a batch of two. How far do the scores move now under batch
#    norm, and why?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       one, four = (shared_cells((2, 4, 2, 2), num_groups=groups) for groups in (1, 4))
#       sets = norms.index_sets
#       shape = (2, 4, 2, 2)
#       assert sets(shape, "group", num_groups=1).equal(sets(shape, "layer"))
#       assert sets(shape, "group", num_groups=4).equal(sets(shape, "instance"))
#
#    With one group, group norm is layer norm; with as many groups as channels it is instance norm.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       halved = replace(recipes["Group norm"], num_groups=num_groups // 2)
#       table = summaries.shared_means(recipes | {"Group norm": halved}, images)
#       rows = zip(table.rows, summaries.shared_means(recipes, images).rows, strict=True)
#       changed = {i for row in rows for i, (a, b) in enumerate(zip(*row)) if a != b}
#       assert [table.header[i] for i in changed] == ["Group norm"]
#
#    Only that of group norm: it takes half as many means, each of twice as many cells.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       net = nets["Batch norm"].train()
#       two, changed = batch[[0, -1]], torch.cat([batch[:1], -batch[-1:]])
#       print(f"the scores move by {moved(net, two, changed):.3f} at most")
#       assert moved(net, two, changed) > 5 * moved(net, batch, other)
#
#    Many times further: the changed image is now half of the batch, and so of every mean.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_240_search.py` finds out how each of them has to be trained.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
