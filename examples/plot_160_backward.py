r"""
The backward pass by hand
=========================

The gradient through a norm: one formula, every intermediate number, checked in two ways.

**The question.** How does a change in one cell reach the loss, when that cell is also part of the
mean and of the variance?

**The answer.** In three ways: directly, through the mean and through the variance. The last two
subtract from the gradient its mean over the set and its part along :math:`\hat x`. Without them,
cells of our example are off by up to 2, where the largest gradient is 2.04.

**You will see** the gradients of shift and scale, the closed form for the gradient of the input
with all of its parts, its agreement with autograd and with finite differences, and what goes wrong
when mean and variance are treated as constants.
"""

# %%
# Three ways to the loss
# ----------------------
#
# Suppose the rest of the network has told us :math:`G = \partial L / \partial y`, the gradient of
# the loss with respect to each output. A cell :math:`x_i` influences the loss in three ways:
# directly through its own output, through the mean of its set, and through the variance of its set.
# With :math:`g = \gamma \, G`, the three are the three terms of
#
# .. math::
#
#    \frac{\partial L}{\partial x_i} = \frac{1}{s} \left( g_i - \overline{g} - \hat x_i \,
#    \overline{g \hat x} \right), \qquad s = \sqrt{\sigma^2 + \varepsilon}
#
# where a bar is the mean over the index set. Ioffe and Szegedy (2015) write the chain rule in six
# lines; the four that lead to :math:`x` combine into this one. It holds for every norm: only the
# sets change. On these pages :math:`\nabla x` is short for :math:`\partial L / \partial x`, and
# :math:`G` is not the number of groups. All other letters are those of :doc:`/notation`.
#
# The numbers on the way back
# ---------------------------
#
# We take batch norm on the batch of the earlier pages, and an upstream gradient :math:`G` of small
# whole numbers. A search found it, as it found the batch (``normstudy.byhand.wholenumbers``): both
# means of the formula are whole numbers under all four norms.

from normstudy.byhand.diagrams import worked_cells
from normstudy.byhand.examples import by_hand

example = by_hand("batch")
given = worked_cells(
    example, ["xhat", "grad_y"], title="What is known", name="backward-input"
)

# %%
# The upper block comes from the forward pass, the lower block from the layers that follow. Colours
# mark the sets, here the channels.
#
# Shift and scale first
# ---------------------
#
# :math:`\beta_c` is added to each output of its channel, so its gradient is the sum of :math:`G`
# over the channel:

from normstudy.byhand.typeset import working

working(example["grad_beta"], (0,), (1,))

# %%
# :math:`\gamma_c` multiplies :math:`\hat x`, so its gradient is the sum of :math:`G \hat x`:

working(example["grad_gamma"], (0,), (1,))

# %%
# The input, in four steps
# ------------------------
#
# First each :math:`G` is multiplied by the :math:`\gamma` of its channel. For channel 1, where
# :math:`\gamma` is 2, in image 0:

working(example["g"], (0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (0, 1, 1, 1))

# %%
# Second comes the mean of :math:`g` over each set, which accounts for the way through :math:`\mu`:

working(example["mean_g"])

# %%
# Third, the mean of :math:`g \hat x`, which accounts for the way through the variance:

working(example["mean_g_xhat"])

# %%
# Fourth, the parts are put together. The divisor is the :math:`s` of the forward pass, which was 1,
# 3, 5 and 3 for the four channels. One cell of each channel:

working(example["grad_x"], (0, 0, 0, 0), (0, 1, 1, 0), (1, 2, 1, 1), (1, 3, 0, 1))

# %%
# And all cells:

result = worked_cells(
    example, ["g", "grad_x"], title="The gradient", name="backward-result"
)

# %%
# Compare the blocks. In channel 0, where :math:`s = 1`, a :math:`g` of 2 has become 0 in several
# cells: what these cells would gain directly, they lose again by moving the mean and the variance.
# Where :math:`s` is large, the gradient is small beside :math:`g`, since a wide distribution reacts
# little to a shift of one of its cells.
#
# Two sums that vanish
# --------------------
#
# Adding one number to all cells of a set changes no output, and so the gradient must sum to 0 over
# the set. With :math:`\varepsilon = 0`, stretching the set about its mean changes no output either,
# and so the gradient has no part along :math:`\hat x`; with a small :math:`\varepsilon` it has next
# to none. Both follow from the formula, for every norm.

for norm in ("batch", "layer", "group", "instance"):
    steps = by_hand(norm)
    grad, direction = steps["grad_x"].tensor, steps["xhat"].tensor
    for cells in steps["mean"].cells:
        place = tuple(zip(*cells, strict=True))
        assert abs(grad[place].sum()) < 1e-12
        assert abs((grad * direction)[place].sum()) < 1e-12
print("Both sums are 0 over each set of each norm.")

# %%
# Check 1: autograd
# -----------------
#
# PyTorch differentiates its own layer, and all three of its gradients must equal ours.

import torch
from torch import nn

from normstudy.byhand.reference import NO_EPS, assert_close

layer = nn.BatchNorm2d(4, eps=NO_EPS, dtype=torch.float64)
layer.weight.data, layer.bias.data = example["gamma"].tensor, example["beta"].tensor
x, grad_y = example["x"].tensor.requires_grad_(), example["grad_y"].tensor
layer(x).backward(grad_y)
for name, theirs in (
    ("grad_x", x.grad),
    ("grad_gamma", layer.weight.grad),
    ("grad_beta", layer.bias.grad),
):
    assert_close(example[name].tensor, theirs, name=name)
print("All three gradients are those of autograd.")

# %%
# Check 2: finite differences
# ---------------------------
#
# Autograd and a formula could share a mistake. The definition has the last word: move one cell up
# and down a little, and see how much the loss :math:`L = \sum G y` changes.

h, slopes = 1e-4, []
with torch.no_grad():
    for i in range(x.numel()):
        step = torch.zeros(x.numel(), dtype=x.dtype)
        step[i] = h
        step = step.view_as(x)
        change = (layer(x + step) * grad_y).sum() - (layer(x - step) * grad_y).sum()
        slopes.append(change / (2 * h))
slopes = torch.stack(slopes).view_as(x)
off = (slopes - example["grad_x"].tensor).abs().max().item()
print(f"largest difference: {off:.1e}")
assert_close(slopes, example["grad_x"].tensor, atol=1e-6)

# %%
# The other norms
# ---------------
#
# They take the same steps on other sets. For all of them, the worked examples and the functions of
# this package are compared with torch's layers and autograd: outputs and all three gradients, with
# and without :math:`\varepsilon`. The table shows the gradient of the input.

from normstudy.byhand.reference import differences
from normstudy.tables import Table

found = [row for row in differences() if "eps" in row.example]
assert max(max(row.by_hand, row.norms) for row in found) < 1e-12
rows = [
    (row.example, row.torch, f"{row.by_hand:.0e}", f"{row.norms:.0e}")
    for row in found
    if row.quantity == "grad_x" and row.example.endswith("eps = 0")
]
header = ("example", "torch's layer", "by hand, off by", "norms, off by")
print(Table(header, tuple(rows)))

# %%
# A common mistake
# ----------------
#
# Treat mean and variance as constants, and you get :math:`g / s`, the first of the three terms.
# That is the right gradient in evaluation mode and the wrong one in training:

wrong = example["g"].tensor / example["std"].tensor[:, None, None]
right = example["grad_x"].tensor
for words, values in (("statistics as constants", wrong), ("right", right)):
    numbers = ", ".join(f"{value:.3f}" for value in values[0, 1].flatten().tolist())
    print(f"channel 1 of image 0, {words}: {numbers}")
off = (wrong - right).abs().max().item()
print(f"off by up to {off:.2f}; the largest gradient is {right.abs().max():.2f}")
assert off > 1.9

# %%
# What this does not show
# -----------------------
#
# The gradient of a single norm says little about a whole network. That its parts along the mean and
# along :math:`\hat x` are removed is one explanation of why norms allow larger learning rates, but
# no proof. The numbers here are for batch norm; those of the other norms are in
# ``by_hand("group")`` and so on.
#
# Exercises
# ---------
#
# 1. Compute :math:`\nabla \beta_3` and :math:`\nabla \gamma_3` from the first figure.
# 2. Show ``working(by_hand("group")["grad_x"], (0, 0, 0, 0))``. Which five numbers enter it?
# 3. Let :math:`G` be 1 everywhere. Why is :math:`\nabla x` then 0 everywhere, if :math:`\gamma` is
#    constant on each set?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       working(example["grad_beta"], (3,))
#       working(example["grad_gamma"], (3,))
#       upstream, standard = (example[name].tensor[:, 3] for name in ("grad_y", "xhat"))
#       assert_close(upstream.sum(), torch.tensor(0.0).double())
#       assert_close((upstream * standard).sum(), torch.tensor(8.0).double())
#
#    The eight numbers of :math:`G` in channel 3 are −1, 1, −2, −2, −1, 2, 1 and 2. They add up
#    to :math:`\nabla \beta_3 = 0`; multiplied by :math:`\hat x` they add up to :math:`\nabla
#    \gamma_3 = 8`.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       of_group = by_hand("group")["grad_x"]
#       working(of_group, (0, 0, 0, 0))
#       entering = [name for name, index in of_group.sources[0]]
#       assert entering == ["g", "mean_g", "xhat", "mean_g_xhat", "std"]
#
#    Its own :math:`g` and :math:`\hat x`, and three numbers of its group: the means of :math:`g`
#    and of :math:`g \hat x`, and :math:`s`.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from normstudy.byhand import norms
#
#       out = norms.forward(x.detach(), "batch", example["gamma"].tensor, eps=0)
#       flat = norms.backward(torch.ones(x.shape, dtype=x.dtype), out)
#       assert_close(flat.x, torch.zeros(x.shape, dtype=x.dtype))
#
#    On each set :math:`g` is a constant. It equals its own mean, so the first two terms cancel;
#    and the mean of :math:`g \hat x` is that constant times the mean of :math:`\hat x`, which is
#    0.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py` asks what batch norm does when
# there is no batch.
#
# :knobs:`Change these numbers <backward>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
