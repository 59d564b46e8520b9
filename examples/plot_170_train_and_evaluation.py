"""
Batch norm in training and evaluation
=====================================

Running statistics over three batches, by hand: what batch norm remembers, and how it uses it.

**The question.** Where do mean and variance come from when a single image is to be classified and
there is no batch?

**The answer.** From running statistics, collected during training. They lag behind: after three
batches with means 4, 6 and 8, the running mean is 1.66 with PyTorch's default momentum of 0.1, and
6 with ``momentum=None``.

**You will see** the running mean and the running variance after each of three batches, two
variances that must not be mixed up, two choices of momentum, and evaluation mode beside PyTorch.
"""

# %%
# Two sets of statistics
# ----------------------
#
# In training mode batch norm uses the mean and the variance of the batch at hand. On the side it
# keeps a running mean :math:`M` and a running variance :math:`V`, which start at 0 and 1 and move a
# little towards each batch,
#
# .. math::
#
#    M_t = (1 - a) \, M_{t-1} + a \, \mu_t, \qquad V_t = (1 - a) \, V_{t-1} + a \, u_t^2,
#    \qquad u_t^2 = \frac{m}{m - 1} \, \sigma_t^2 .
#
# In evaluation mode these two replace :math:`\mu` and :math:`\sigma^2`. The weight :math:`a` of the
# *new* batch is what PyTorch calls ``momentum``, 0.1 by default, and :doc:`/notation` calls
# :math:`\alpha`; elsewhere that name stands for :math:`1 - a`. Note that there are two variances:
# the batch is normalized with the biased :math:`\sigma_t^2`, which divides by :math:`m`, but what
# is remembered is the unbiased :math:`u_t^2`, which divides by :math:`m - 1`.
#
# The first batch
# ---------------
#
# Our feature is a single number for each image, and a batch has four images. The first batch is

from normstudy.byhand.examples import running_by_hand
from normstudy.byhand.typeset import working

example = running_by_hand()
working(example["x_1"])

# %%
# Its mean:

working(example["mean_1"])

# %%
# Its variance, the mean of the squared deviations:

working(example["variance_1"])

# %%
# So the output in training mode is

working(example["xhat_1"])

# %%
# Now for what is remembered. The unbiased variance is a third larger, since :math:`m / (m - 1) = 4
# / 3`:

working(example["unbiased_1"])

# %%
# The running mean starts at 0 and moves a tenth of the way to the new mean:

working(example["running_mean_1"])

# %%
# The running variance starts at 1 and does the same:

working(example["running_var_1"])

# %%
# Two more batches
# ----------------
#
# The rule is the same each time.

from normstudy.tables import Table

rows = []
for t in (1, 2, 3):
    names = ("x", "mean", "variance", "unbiased", "running_mean", "running_var")
    values = [map(float, example[f"{name}_{t}"].values) for name in names]
    numbers = [", ".join(f"{value:g}" for value in few) for few in values]
    rows.append((str(t), *numbers))
header = ("batch", "numbers", "mean", "variance", "unbiased")
print(Table((*header, "running mean", "running variance"), tuple(rows)))

# %%
# The running mean lags far behind: the batches have means of 4, 6 and 8, and after three of them it
# has not reached 2. With ``momentum=0.1`` it takes about 10 batches to go two thirds of the way, so
# a network should not be judged in evaluation mode after its first few batches. PyTorch offers
# ``momentum=None`` as well, which makes :math:`a_t = 1 / t` and the running mean the plain average
# of all batches.

from normstudy.byhand.diagrams import running

average = running_by_hand(None)
picture = running({"momentum 0.1": example, "momentum None": average})

# %%
# Both lines start at 0. The plain average forgets its start with the first batch, and from then on
# weighs all batches alike; the other still gives its start a weight of 0.73 after the third.

assert average["running_mean_3"].values[0] == (4 + 6 + 8) / 3
assert round(float(example["running_mean_3"].values[0]), 2) == 1.66
assert [average[f"mean_{t}"].values[0] for t in (1, 2, 3)] == [4, 6, 8]

# %%
# Evaluation mode
# ---------------
#
# We evaluate the first batch again, now with the plain averages. The root of the running variance
# is a whole number:

working(average["running_std"])

# %%
# and so

working(average["xhat_eval"])

# %%
# These are not the numbers that training mode gave for the same four images. Every image is now
# normalized with the same two numbers, and its output no longer depends on the other images.
#
# Does PyTorch agree?
# -------------------
#
# We pass the three batches through PyTorch's layer in training mode, and compare its buffers after
# each:

import torch
from torch import nn

from normstudy.byhand.reference import NO_EPS, assert_close

for momentum, steps in ((0.1, example), (None, average)):
    layer = nn.BatchNorm1d(1, NO_EPS, momentum, affine=False, dtype=torch.float64)
    for t in (1, 2, 3):
        x = steps[f"x_{t}"].tensor[:, None]
        assert_close(layer(x)[:, 0], steps[f"xhat_{t}"].tensor)
        for buffer in ("running_mean", "running_var"):
            theirs, ours = getattr(layer, buffer)[0], steps[f"{buffer}_{t}"].tensor
            assert_close(theirs, ours, name=buffer)
    first = steps["x_1"].tensor[:, None]
    evaluated = layer.eval()(first)[:, 0]
    assert_close(evaluated, steps["xhat_eval"].tensor)
    alone = layer(first[:1])[0, 0]
    assert torch.equal(alone, evaluated[0]), "alone or in company, it is the same"
print("Outputs and buffers are those of torch.")

# %%
# The functions of this package, ``norms.update_running`` and ``norms.forward`` with running
# statistics, are held to the same standard, and evaluation also with torch's usual
# :math:`\varepsilon`:

from normstudy.byhand import norms
from normstudy.byhand.examples import by_hand
from normstudy.byhand.reference import differences

found = [row for row in differences() if row.example.startswith("running")]
assert max(max(row.by_hand, row.norms) for row in found) < 1e-12

x, layer = by_hand("batch")["x"].tensor, nn.BatchNorm2d(4, dtype=torch.float64)
layer(x)  # in training mode: it moves the buffers
running = norms.RunningStatistics(layer.running_mean, layer.running_var)
evaluated = norms.forward(x, "batch", running=running).y
assert_close(evaluated, layer.eval()(x))
largest = max(row.norms for row in found)
print(f"{len(found)} results compared, up to {largest:.0e} off.")

# %%
# How much does it matter?
# ------------------------
#
# The two modes side by side, for the same four numbers:

modes = {
    "training": example["xhat_1"].tensor,
    "evaluation, momentum 0.1": example["xhat_eval"].tensor,
    "evaluation, momentum None": average["xhat_eval"].tensor,
}
rows = [
    (mode, *(f"{value:.3f}" for value in values.tolist()))
    for mode, values in modes.items()
]
print(Table(("mode", *(f"image {i}" for i in range(4))), tuple(rows)))

# %%
# Three batches are too few for good running statistics, and it shows. After the hundreds of batches
# of an epoch the difference is small, provided that batches are large and alike. Small batches are
# poor estimates, and training and evaluation drift apart. Layer, group and instance norm have no
# running statistics in this study, and so no difference between the modes.

for norm in (nn.GroupNorm(2, 4), nn.LayerNorm([4, 2, 2]), nn.InstanceNorm2d(4)):
    maps = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(norm.train()(maps), norm.eval()(maps))
    assert not list(norm.buffers())

# %%
# What this does not show
# -----------------------
#
# The three batches were chosen for their whole roots, and they are small and far apart. Nothing
# here says how many images a batch should have.
#
# Exercises
# ---------
#
# 1. Compute :math:`M_1` and :math:`V_1` for ``momentum=1``. What does evaluation mode do then?
# 2. Use ``running_by_hand(Fraction(1, 2))``, with ``Fraction`` from Python's ``fractions``. After
#    which batch does the running mean exceed 5?
# 3. A batch of one image has no unbiased variance. Where does the formula break?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from fractions import Fraction
#
#       whole = running_by_hand(Fraction(1))
#       assert (whole["running_mean_1"].values[0], whole["running_var_1"].values[0]) == (4, 12)
#       assert whole["running_mean_3"].values == whole["mean_3"].values
#
#    :math:`M_1 = 4`, the mean of the batch, and :math:`V_1 = 4/3 \cdot 9 = 12`, its unbiased
#    variance. Evaluation mode then knows the last batch only.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from fractions import Fraction
#
#       half = running_by_hand(Fraction(1, 2))
#       assert [half[f"running_mean_{t}"].values[0] for t in (1, 2, 3)] == [2, 4, 6]
#
#    After the third: the running mean goes from 0 to 2, 4 and 6.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       message = ""
#       try:
#           nn.BatchNorm1d(1)(torch.ones(1, 1))
#       except ValueError as error:
#           message = str(error)
#       assert "more than 1 value per channel" in message
#
#    In :math:`m / (m - 1)`, which is 1 / 0. Already :math:`\sigma^2` is of no use, since it is 0
#    for a single value. PyTorch refuses such a batch in training mode.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_185_mistakes_in_norms.py` shows what happens when these rules
# are mixed up.
#
# :knobs:`Change these numbers <running>` and see which others move.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
