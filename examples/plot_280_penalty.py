"""
What the L1 penalty does
========================

Batch norm with and without an L1 penalty: how large the penalty is beside the loss, and what it
does to the weights.

**The question.** Is the penalty a real part of the loss, does it make weights small, and does the
accuracy pay for it?

**You will see** the penalty computed by hand, its share of the loss over the epochs, and the
weights of both versions sorted by magnitude.
"""

# %%
# The penalty by hand
# -------------------
#
# The L1 penalty (Tibshirani 1996) adds :math:`\lambda \sum_j |w_j|` to the loss: the *sum* of the
# magnitudes of all weights of convolutions and of the linear layer. Some reports take the mean
# instead, which divides :math:`\lambda` by the number of weights and makes the penalty vanish.
# Scales, shifts and biases are left out. Here are both for four weights:

import torch

w = torch.tensor([0.5, -1.0, 0.0, 2.0], requires_grad=True)
strength = 0.1
penalty = strength * w.abs().sum()
print(f"sum: {penalty:.3f}, mean: {strength * w.abs().mean():.4f}")
assert penalty.item() == torch.tensor(0.1 * (0.5 + 1.0 + 0.0 + 2.0)).item()

# %%
# Its gradient is :math:`\lambda` for positive weights, :math:`-\lambda` for negative ones and 0 at
# zero. Every weight is pushed towards zero by the same amount, whatever its size. That is the
# difference from the L2 penalty, whose push shrinks with the weight and so never finishes.

penalty.backward()
print(f"gradient: {w.grad}")
assert torch.equal(w.grad, strength * torch.tensor([1.0, -1.0, 0.0, 1.0]))

# %%
# The training uses this sum over the whole network. We compute it a second time, independently,
# from a freshly built network:

from normstudy.study.data import load
from normstudy.study.recipes import report_data, study
from normstudy.study.train import build, l1_penalty

recipe = study(report_data())["Batch norm + L1"][0]
net = build(recipe, load(recipe.data))
covered = [
    layer
    for layer in net.modules()
    if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
]
by_hand = recipe.l1 * sum(layer.weight.abs().sum().item() for layer in covered)
print(f"lambda {recipe.l1:g}, penalty of the untrained network {by_hand:.4f} nats")
assert abs(l1_penalty(net, recipe).item() - by_hand) < 1e-6

# %%
# A real part of the loss?
# ------------------------
#
# The loss that the training minimizes is the cross-entropy plus the penalty. The figure shows which
# share of this total is the penalty, epoch by epoch.

from normstudy.study import compare, figures
from normstudy.study.runs import run_all
from normstudy.tables import Table

labels = ("Batch norm", "Batch norm + L1")
arms = {label: run_all(study(report_data())[label]) for label in labels}
share = figures.penalty(arms)

# %%
# The share can move for two reasons: the penalty itself changes, and the cross-entropy beside it
# shrinks. The next lines separate them. A penalty in nats that falls means that the weights became
# smaller in sum; one that stays while the share grows means that only the cross-entropy fell.

rows = []
for run in arms["Batch norm + L1"]:
    penalty, loss = run.history["penalty"], run.history["train_loss"]
    numbers = (penalty[0], penalty[-1], loss[0], loss[-1])
    rows.append((f"seed {run.recipe.seed}", *(f"{number:.4f}" for number in numbers)))
header = (
    "run",
    "penalty, first epoch",
    "penalty, last epoch",
    "cross-entropy, first epoch",
    "cross-entropy, last epoch",
)
print(Table(header, tuple(rows)))

# %%
# Beside it, keep in mind that both versions also have weight decay, an L2 penalty that acts in the
# optimizer and does not appear in this loss.
#
# What became of the weights?
# ---------------------------
#
# All weights of the network, sorted from the smallest to the largest magnitude. The axis is
# logarithmic, because the interesting part happens close to zero.

weights = figures.weight_magnitudes(arms)

# %%
# Pick a point on the horizontal axis, say 50%: half of the weights are smaller than the height of
# the line there. Where the line of the version with the penalty lies below the other, its weights
# are smaller. The dotted line marks the magnitude below which a weight counts as switched off here.
# It is a mark and not a zero: the subgradient step of SGD jumps across zero and back, so it makes
# weights small but hardly ever exactly zero.

print(compare.penalty_table(arms))

# %%
# The two columns on the right compare the versions: the fraction of weights that are nearly off,
# and the magnitude in the middle of the sorted row. With batch norm behind a convolution, there is
# a subtlety. The norm divides by the standard deviation of what the convolution gives, so halving
# all weights of a channel changes nothing in the output. There a penalty can be paid by making all
# weights smaller together, without choosing any. In this network a norm follows the stem, the
# transitions and the depthwise convolutions; the pointwise ones, which have most of the weights,
# add straight to the residual sum. There the way out is not exact: the scales of the norm before
# them, which nothing penalizes, would have to grow, and that changes what the activation does.

free = sum(
    layer.weight.numel()
    for name, layer in net.named_modules()
    if name == "stem" or name.startswith("transition") or name.endswith("depthwise")
    if isinstance(layer, torch.nn.Conv2d)
)
total = sum(layer.weight.numel() for layer in covered)
print(f"{free:,} of {total:,} penalized weights have a norm directly behind them")
assert free < total / 2

# %%
# Whether the penalty chooses, and switches some weights off while others stay, is seen in the
# *shape* of the line and not in its height.
#
# What does it cost?
# ------------------

for measure in ("test_accuracy", "train_accuracy", "gap"):
    for difference in compare.differences(arms, measure):
        print(difference)
for label, runs in arms.items():
    accuracy = compare.summarize(runs)
    print(
        f"{label}: test accuracy {accuracy} %, n = {accuracy.n} seeds, chance level 10 %"
    )

# %%
# The first sentence says whether the accuracy differs by more than the seeds explain. The second
# tells what happened on the training images, where a penalty is expected to cost. The third is
# about the gap between the two, which a penalty is meant to narrow ("ahead" means a smaller gap).
# Each is tested alone; the page of findings corrects for the number of all pairs.
#
# What this does not show
# -----------------------
#
# One value of :math:`\lambda` is no dose-response curve. A larger one would switch off more weights
# and cost more. Nothing was pruned here: whether the nearly-off weights can be removed without loss
# has to be tried. And a penalty on the version with another norm may act differently.
#
# Exercises
# ---------
#
# 1. Set ``l1=1e-4``. Which share of the loss is the penalty, and what happens to the accuracy?
# 2. Set ``l1_on="all"``, which includes the scales of the norms. Is that more
#    harmful, and why?
# 3. Set ``weight_decay=0`` and ``l1=2e-5``. Is one penalty enough?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` puts all versions together.

import matplotlib.pyplot as plt

plt.show()
