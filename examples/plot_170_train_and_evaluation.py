"""
Batch norm in training and evaluation
=====================================

Running statistics over three batches, by hand: what batch norm remembers, and how it uses it.

**The question.** Where do mean and variance come from when a single image is to be classified and
there is no batch?

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
# :math:`\alpha`; elsewhere the name is used for :math:`1 - a`. And note the two variances: the
# batch is normalized with the biased :math:`\sigma_t^2`, which divides by :math:`m`, but the
# unbiased :math:`u_t^2` is remembered, which divides by :math:`m - 1`.
#
# The first batch
# ---------------
#
# Our feature is a single number for each image, and a batch has four images. These are the
# numbers of the first batch:

from normstudy.byhand.examples import running_by_hand
from normstudy.byhand.typeset import working

example = running_by_hand()
working(example["x_1"])

# %%
# Mean and variance, and the standardized numbers that training goes on with:

working(example["mean_1"])

# %%
# The squares of the deviations from this mean are summed and divided by four:

working(example["variance_1"])

# %%
# The output of training mode:

working(example["xhat_1"])

# %%
# Now to memory. The unbiased variance is a third larger, since :math:`m / (m - 1) = 4 / 3`:

working(example["unbiased_1"])

# %%
# And the running statistics move a tenth of the way:

working(example["running_mean_1"])

# %%
# The same for the variance, which started at 1:

working(example["running_var_1"])

# %%
# Two more batches
# ----------------
#
# The rule is the same each time.

from normstudy.tables import Table

rows = []
for t in (1, 2, 3):
    names = (
        f"x_{t}",
        f"mean_{t}",
        f"variance_{t}",
        f"unbiased_{t}",
        f"running_mean_{t}",
        f"running_var_{t}",
    )
    values = [map(float, example[name].values) for name in names]
    numbers = [", ".join(f"{value:g}" for value in few) for few in values]
    rows.append((str(t), *numbers))
header = (
    "batch",
    "numbers",
    "mean",
    "variance",
    "unbiased",
    "running mean",
    "running variance",
)
print(Table(header, tuple(rows)))

# %%
# The running mean is far behind: the batches have means of 4, 6 and 8, and after three of them it
# has not reached 2. With ``momentum=0.1`` about 10 batches have to pass before it has gone two
# thirds of the way, so a short training must not be judged in evaluation mode too early. PyTorch
# offers ``momentum=None`` as well, which makes :math:`a_t = 1 / t` and the running mean the plain
# average of all batches.

from normstudy.byhand.diagrams import running

average = running_by_hand(None)
picture = running({"momentum 0.1": example, "momentum None": average})

# %%
# Both lines start at 0. The plain average forgets its start with the first batch and then lies in
# the middle of all batches; the other still carries most of its start with it.

assert average["running_mean_3"].values[0] == (4 + 6 + 8) / 3
assert example["running_mean_3"].values[0] < 2
assert average["mean_1"].values + average["mean_2"].values + average[
    "mean_3"
].values == (4, 6, 8)

# %%
# Evaluation mode
# ---------------
#
# We present the first batch again, in evaluation mode, with the plain averages. The root of the
# running variance is a whole number:

working(average["running_std"])

# %%
# so that

working(average["xhat_eval"])

# %%
# These are not the numbers that training mode gave for the same four images. Each image is now
# normalized on its own, with the same two numbers for all, and the output of one no longer depends
# on the others.
#
# Does PyTorch agree?
# -------------------
#
# Three batches through PyTorch's layer, in training mode, and the buffers compared after each:

import torch
from torch import nn

from normstudy.byhand.reference import NO_EPS

for momentum, steps in ((0.1, example), (None, average)):
    layer = nn.BatchNorm1d(1, NO_EPS, momentum, affine=False, dtype=torch.float64)
    for t in (1, 2, 3):
        x = steps[f"x_{t}"].tensor[:, None]
        assert torch.allclose(
            layer(x)[:, 0], steps[f"xhat_{t}"].tensor, atol=1e-12, rtol=0
        )
        for buffer in ("running_mean", "running_var"):
            theirs, ours = getattr(layer, buffer)[0], steps[f"{buffer}_{t}"].tensor
            assert torch.allclose(theirs, ours, atol=1e-12, rtol=0)
    first = steps["x_1"].tensor[:, None]
    evaluated = layer.eval()(first)[:, 0]
    assert torch.allclose(evaluated, steps["xhat_eval"].tensor, atol=1e-12, rtol=0)
    alone = layer(first[:1])[0, 0]
    assert torch.equal(alone, evaluated[0]), "alone or in company, it is the same"
print("Outputs and buffers are those of torch.")

# %%
# The functions of this package, ``norms.update_running`` and ``norms.forward`` with running
# statistics, are held to the same, and evaluation also to torch's usual :math:`\varepsilon`:

from normstudy.byhand import norms
from normstudy.byhand.examples import by_hand
from normstudy.byhand.reference import differences

found = [row for row in differences() if row.example.startswith("running")]
assert max(max(row.by_hand, row.norms) for row in found) < 1e-12

x, layer = by_hand("batch")["x"].tensor, nn.BatchNorm2d(4, dtype=torch.float64)
layer(x)  # in training mode: it moves the buffers
running = norms.RunningStatistics(layer.running_mean, layer.running_var)
evaluated = norms.forward(x, "batch", running=running).y
assert torch.allclose(evaluated, layer.eval()(x), atol=1e-12, rtol=0)
print(
    f"{len(found)} results compared, up to {max(row.norms for row in found):.0e} off."
)

# %%
# How much depends on it?
# -----------------------
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
# of an epoch the difference is small as long as the batches are alike and large. When they are
# small, each batch is a poor estimate, and training and evaluation drift apart. Layer, group and
# instance norm have no running statistics in this study, and so no difference between the modes.

for norm in (nn.GroupNorm(2, 4), nn.LayerNorm([4, 2, 2]), nn.InstanceNorm2d(4)):
    maps = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(norm.train()(maps), norm.eval()(maps))
    assert not list(norm.buffers())

# %%
# What this does not show
# -----------------------
#
# The three batches were made so that the roots are whole; their spread is larger than that of real
# features. Nothing here says how many images a batch should have.
#
# Exercises
# ---------
#
# 1. Compute :math:`M_1` and :math:`V_1` for ``momentum=1``. What does evaluation mode do then?
# 2. Use ``running_by_hand(Fraction(1, 2))``, with ``Fraction`` from Python's ``fractions``. After
#    which batch is the running mean above 5?
# 3. A batch of one image has no unbiased variance. Where does the formula break?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_185_mistakes_in_norms.py` shows what happens when these rules
# are mixed up.

import matplotlib.pyplot as plt

plt.show()
