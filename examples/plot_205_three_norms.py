"""
The three norms in the network
==============================

What batch, group and layer norm are in the network that the next pages train, place by place.

**The question.** The versions of the network differ in one argument. What does it change, and which
of them lets an image's scores depend on the other images?

**You will see** the cells that share a mean, PyTorch's layers beside the formula on maps of the
network itself, how many means each norm takes from a batch, and a test with a changed neighbour.
"""

# %%
# Who shares a mean
# -----------------
#
# Every norm subtracts a mean from each cell of its feature maps, divides by a standard deviation,
# and gives each channel a scale and a shift. The norms differ in which cells share a mean and a
# standard deviation. :ref:`sphx_glr_auto_examples_plot_110_one_formula.py` has the formula, and the
# pages after it follow the numbers. In short, on 2 images with 4 channels of 2 × 2 cells:

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
# Here are the three versions with the settings of the study, all with the same random weights. We
# send a batch of test images through each, up to its last norm, and compare PyTorch's layer with
# the formula of the pages by hand. They agree to 5 decimals, as the network computes in float32.

import torch

from normstudy.byhand import norms
from normstudy.study.data import load
from normstudy.study.model import Net, layer_table
from normstudy.study.recipes import report_data, study
from normstudy.tables import Table

images, nets = load(report_data()), {}
arms = study(images.name)
recipes = {
    label: arms[label][0] for label in ("Batch norm", "Group norm", "Layer norm")
}
for label, recipe in recipes.items():
    torch.manual_seed(0)
    nets[label] = Net(recipe.norm, recipe.num_groups, in_channels=images.in_channels)

batch = images.normalize(images.test.images[: recipes["Batch norm"].batch_size])
rows = []
with torch.no_grad():
    for label, recipe in recipes.items():
        maps, net = batch, nets[label]
        for layer in net.children():
            if layer is net.norm:
                break
            maps = layer(maps)
        formula = norms.forward(maps, recipe.norm, num_groups=recipe.num_groups)
        assert torch.allclose(net.norm(maps), formula.y, atol=1e-5, rtol=0)
        rows.append((label, type(net.norm).__name__, f"{formula.mean.numel():,}"))
assert len({sum(p.numel() for p in net.parameters()) for net in nets.values()}) == 1
print(Table(("version", "class of the layer", "means in this batch"), tuple(rows)))

# %%
# ``ContiguousGroupNorm`` is PyTorch's ``GroupNorm`` with the maps laid out so that it is fast.
# Layer norm is a ``GroupNorm`` with one group: its mean runs over all channels and pixels of an
# image, and scale and shift are per channel, as in the other two. So all three versions have the
# same number of parameters. "Layer norm" can also mean two other things, which
# :ref:`sphx_glr_auto_examples_plot_140_layer_norm.py` compares with this one.
#
# How many means?
# ---------------
#
# In a batch of N images with C channels of H × W pixels, batch norm takes C means, layer norm N,
# and group norm N for each of its G groups. The more means, the fewer cells for each. The table has
# one row for each size of maps in the network.

sizes = {
    row.output_size: row for row in layer_table(net, images.size) if "norm" in row.name
}
num, num_groups = len(batch), recipes["Group norm"].num_groups
rows = []
for channels, height, width in sizes:
    cells = num * channels * height * width
    means = {"Batch norm": channels, "Group norm": num * num_groups, "Layer norm": num}
    counts = (f"{count:,} of {cells // count:,} cells" for count in means.values())
    rows.append((f"{num} × {channels} × {height} × {width}", *counts))
    assert max(means, key=means.get) == "Group norm"
assert num_groups == next(iter(sizes))[0]  # of the first row
print(Table(("maps: N × C × H × W", *means), tuple(rows)))

# %%
# Group norm has the most means and so the smallest sets. In the first row it has as many groups as
# channels, so each set is a single map, and group norm is instance norm there. Layer norm has one
# mean per image. Batch norm has one per channel, whose set grows with the batch: it is the only one
# of the three to which the size of the batch matters.
#
# Who looks at the other images?
# ------------------------------
#
# We put the negative of the last image in its place, and look at the scores of the *first* image,
# in training mode and in evaluation mode.

other = torch.cat([batch[:-1], -batch[-1:]])
rows = []
with torch.no_grad():
    for label, net in nets.items():
        moved = {}
        for training in (True, False):
            net.train(training)
            moved[training] = (net(batch)[0] - net(other)[0]).abs().max().item()
        rows.append((label, f"{moved[True]:.5f}", f"{moved[False]:.5f}"))
        assert (moved[True] > 1e-4) == (label == "Batch norm")
        assert moved[False] < 1e-5
print(Table(("largest change of a score", "training", "evaluation"), tuple(rows)))

# %%
# Only batch norm notices, and only in training. That is its price: with few images in a batch the
# means are poor, and for evaluation it has to remember running averages
# (:ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py`). Perhaps it is its gift too: each
# step sees an image in other company, a kind of noise that may keep a network from learning by
# heart. The other two compute the same in training and in evaluation.
#
# What this does not show
# -----------------------
#
# Nothing here says which version learns best: the networks above are untrained. That is measured on
# the following pages. Nor does the size of a set say how good its mean is, since cells of one map
# resemble each other.
#
# Exercises
# ---------
#
# 1. Draw the figure with ``num_groups=1`` and ``num_groups=4``. Which panels become equal?
# 2. Give group norm's recipe another ``num_groups``. Which columns of the second table change?
# 3. Set ``batch_size=2``, with ``dataclasses.replace``. How far do the scores move now, and why?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_210_data.py` shows the images, and
# :ref:`sphx_glr_auto_examples_plot_220_model.py` the places of the norms in the network.

import matplotlib.pyplot as plt

plt.show()
