"""
The same numbers as a spreadsheet
=================================

All worked examples of this part in a spreadsheet with live formulas: change a number, and watch
what follows.

**The question.** Which cells does a number depend on, and what happens to it when one of them
changes?

**The answer.** A result depends on the cells of its own set: on 4 of the 32 under instance norm and
channels-last layer norm, 8 under batch and group norm, 16 under layer norm. When one of them
changes, all results of that set follow, and no others.

**You will see** a picture of the spreadsheet, where to download it, how it is laid out, four things
to try in it, and the proof that its formulas give torch's results.
"""

# %%
# The spreadsheet
# ---------------
#
# :download:`Download normalization-by-hand.xlsx </downloads/normalization-by-hand.xlsx>`, and open
# it in LibreOffice, Excel or a program that reads their files. The same file comes from the command
# line, with ``python -m normstudy worksheet normalization-by-hand.xlsx``.
#
# .. figure:: /_static/worksheet.png
#    :name: fig-worksheet
#    :width: 100%
#    :alt: A spreadsheet titled Batch norm. At the top the numbers of x for two channels of an image
#       in blue frames, each channel in a colour of its own; below them scale, shift and epsilon,
#       then mean, deviation, square, variance, root, standardized x and the result, and at the
#       bottom torch's result in grey with a difference of zero.
#
#    The sheet of batch norm, cut off after two channels of the first image. Numbers in blue frames
#    are inputs; cells of one colour share one mean and one variance; column C shows the formula of
#    the first cell of each line.
#
# Read the sheet from top to bottom: it is the formula of the norm, one step a line. The images
# stand side by side, and in each of them the channels of two by two pixels. A mean or a variance
# stands once, below the first of the cells that share it. So a glance at the line of the means
# tells the norms apart: batch norm has one for each channel, layer norm one for each image, group
# norm one for each image and group, instance norm one for each image and channel.
#
# There is a sheet for each norm and for each of the other two meanings of layer norm. The sheet
# *Backward* takes one gradient back through all of them, *Running statistics* follows three batches
# and then evaluates, and *L1 and L2* takes steps of gradient descent with each penalty.
#
# What a formula says
# -------------------
#
# The norms differ in which cells share a mean and a variance. In the spreadsheet that is literally
# so: what tells one sheet from another are the ranges that ``AVERAGE`` reads. The table says how
# many of the 32 cells of x go into one mean, from the data that the formulas are made of:

# sphinx_gallery_thumbnail_path = '_static/worksheet.png'
from normstudy.byhand.examples import NORMS, by_hand
from normstudy.byhand.formulas import TITLES
from normstudy.tables import Table

rows = [
    (title.sheet, title.torch, str(len(mean.values)), str(len(mean.sources[0])))
    for norm, title in TITLES.items()
    for mean in [by_hand(norm)["mean"]]
]
print(Table(("sheet", "in torch", "means", "cells in each"), tuple(rows)))

for norm in NORMS:
    mean = by_hand(norm)["mean"]
    assert len(mean.values) * len(mean.sources[0]) == 32  # each cell in one mean

# %%
# The two numbers of a line multiply to 32. Whatever the norm, every cell of x belongs to one mean,
# and the norms only cut the tensor into different pieces.
#
# Four things to try
# ------------------
#
# 1. On *Batch norm*, add 100 to one cell of x. The line of the results changes in all eight cells
#    of its colour, and in no other. Do the same on *Layer norm*: now the whole image changes, and
#    the other image does not.
# 2. On *Group norm*, add 10 to all eight cells of one colour. The mean follows, and from the
#    deviations downwards nothing changes: a norm forgets a shift of everything that shares a mean.
# 3. On *Running statistics*, empty the cell of the momentum. That is torch's ``momentum=None``, and
#    the running mean becomes the plain average of the three means.
# 4. On *L1 and L2*, look at the third weight. The step of gradient descent, w', jumps across zero;
#    w* stops there. How small must the learning rate be until w' no longer jumps?
#
# Beware of one trap. A spreadsheet has two functions for the variance, and torch needs both, in
# different places: ``VAR.P`` divides by m, as every norm does in its result, and ``VAR.S`` divides
# by m − 1, as batch norm does for its running variance alone. The sheets spell out the mean of the
# squares instead, so that nothing is hidden.
#
# Is it right?
# ------------
#
# Below or beside every result stands torch's own, in grey, and the largest difference between the
# two. Torch's numbers are those for the inputs as given. They cannot follow your changes, so after
# a change the difference tells how far a result has moved.
#
# But formulas could agree for the given numbers and be wrong for others. So a test changes every
# input, has LibreOffice calculate the file, and compares with torch once more, to nine decimals.
# Here is such a comparison in Python: change a cell, take the steps of the sheet one by one, and
# ask torch.

import torch

from normstudy.byhand.reference import assert_close

x = by_hand("batch")["x"].tensor
x[0, 0, 0, 0] += 100
mean = x.mean((0, 2, 3), keepdim=True)
deviation = x - mean
variance = (deviation**2).mean((0, 2, 3), keepdim=True)
xhat = deviation / torch.sqrt(variance + 1e-5)

layer = torch.nn.BatchNorm2d(4, dtype=torch.double)
assert_close(xhat, layer(x))
print(f"the first cell, {x[0, 0, 0, 0]:.0f}, becomes {xhat[0, 0, 0, 0]:.4f}")

# %%
# So large a number, and so small a result: none of m numbers can lie further from their mean than
# :math:`\sqrt{m - 1}` standard deviations, here :math:`\sqrt{7}`. Type a million into the
# spreadsheet to see it.

assert xhat[0, 0, 0, 0] < 7**0.5

# %%
# What this does not show
# -----------------------
#
# A spreadsheet shows which numbers are used, but not which norm trains better; the pages of the
# study measure that. It has one size of tensor: the ranges of its formulas do not grow with it. And
# it calculates in double precision, so the rounding of float32 does not show in it.
#
# Exercises
# ---------
#
# 1. Suppose you turn the sheet *Group norm* into one with four groups. Which other sheet do you
#    get, and how do the ranges of ``AVERAGE`` change?
# 2. On *Batch norm*, replace the mean of the squares by ``VAR.S`` of x. How far from torch is the
#    result?
# 3. Set ε to 1 on *Instance norm*. Which maps change most, and why?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from normstudy.byhand.norms import forward
#
#       given, instance = by_hand("group")["x"].tensor, by_hand("instance")
#       out = forward(given, "group", num_groups=4, eps=0)
#       assert_close(out.xhat, instance["xhat"].tensor)
#       ranges = [len(by_hand(norm)["mean"].sources[0]) for norm in ("group", "instance")]
#       assert ranges == [8, 4]
#
#    You get *Instance norm*. Each ``AVERAGE`` reads the 4 cells of one channel instead of the 8
#    of two, and the lines below refer to the mean and the root of their own channel.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       example = by_hand("batch")
#       gamma, standard = example["gamma"].tensor.view(4, 1, 1), example["xhat"].tensor
#       off = (gamma * standard).abs() * (1 - (7 / 8) ** 0.5)
#       assert 0.30 < off.max() < 0.31
#       assert example["x"].tensor.flatten()[off.argmax()] == 10
#
#    By up to 0.30, in the cell of channel 1 that holds 10: all standardized values are too small
#    by the factor :math:`\sqrt{7/8}`, about 6%.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       usual, large = (by_hand("instance", eps)["std"].tensor for eps in (0.0, 1.0))
#       shrunk = usual / large
#       assert_close(shrunk[usual == 1], torch.full((4,), 0.5**0.5).double(), atol=1e-7)
#       assert_close(shrunk[usual == 3], torch.full((4,), 0.9**0.5).double(), atol=1e-7)
#
#    Those with the smallest variance. Where it is 1, ε doubles what stands under the root, and
#    the standardized values shrink to 71%; where it is 9, they shrink only to 95%.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_230_three_norms.py` puts the norms into a network.
#
# :knobs:`Change these numbers <batch>` and see which others move.
