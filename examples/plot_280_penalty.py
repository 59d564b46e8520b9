"""
What the L1 penalty does
========================

Batch norm with and without an L1 penalty: how large the penalty is beside the loss, and what it
does to the weights.

**The question.** Is the penalty a real part of the loss, does it make weights small, and does the
accuracy pay for it?
"""

from normstudy.study import figures, summaries
from normstudy.study.compare import differences
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
arms = {
    arm: runs for arm, runs in run_study(study).items() if arm.startswith("Batch norm")
}
rates = {arm: runs[0].recipe.lr for arm, runs in arms.items()}
plain = f"Batch norm at {rates['Batch norm + L1']:g}"
alone = {
    "Batch norm + L1": arms["Batch norm + L1"],
    plain: run_study(STUDIES["no-penalty"])["Batch norm"],
}
words = summaries.penalty_in_short(*alone.values())
print(f"In short, at one learning rate: {words}")
print(*differences(alone))

# %%
# **You will see** the penalty computed by hand, its share of the loss over the epochs, and the
# weights with and without it sorted by magnitude.
#
# What is compared with what
# --------------------------
#
# The search gave the arm with the penalty another learning rate than batch norm alone, and two arms
# that differ in two settings do not tell what either of them does. So this page sets the arm beside
# a control: batch norm without the penalty at the same rate, with three seeds, which was added when
# the study was under way. The arm of the study stands in the tables as well. How sure is the search
# that they need two rates? Here is what its rule would have taken with one seed; where a seed gives
# both arms the same rate, it does not say that they need two.

from normstudy.study.compare import choose

search = STUDIES["learning-rates"]
searched = run_study(search)
for arm in ("Batch norm", "Batch norm + L1"):
    for seed in search.seeds:
        lost = [r for r in search.diverged.get(arm, ()) if r.seed == seed]
        of_seed = [run for run in searched[arm] if run.recipe.seed == seed]
        print(f"{arm}, seed {seed} of the search: {choose(of_seed, lost).lr:g}")
arms |= {plain: alone[plain]}
print(summaries.settings(arms))

# %%
# The penalty by hand
# -------------------
#
# The L1 penalty (Tibshirani 1996) adds :math:`\lambda \sum_j |w_j|` to the loss: the *sum* of the
# magnitudes of all weights of convolutions and of the linear layer. Some reports take the mean
# instead, which divides :math:`\lambda` by the number of weights, so that hardly anything pulls at
# each of them. Scales, shifts and biases are left out. Here are both for four weights:

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

from normstudy.study.optimize import l1_penalty
from normstudy.study.train import build

recipe = arms["Batch norm + L1"][0].recipe
net = build(recipe, load(study.data))
kinds = torch.nn.Conv2d | torch.nn.Linear
covered = [layer for layer in net.modules() if isinstance(layer, kinds)]
by_hand = recipe.l1 * sum(layer.weight.abs().sum().item() for layer in covered)
print(f"lambda {recipe.l1:g}, penalty of the untrained network {by_hand:.4f} nats")
assert abs(l1_penalty(net, recipe).item() - by_hand) < 1e-6

# %%
# A real part of the loss?
# ------------------------
#
# The loss that the training minimizes is the cross-entropy plus the penalty. The figure shows which
# share of this total is the penalty, epoch by epoch.

share = figures.penalty(alone)

# %%
# The share can move for two reasons: the penalty itself changes, and the cross-entropy beside it
# shrinks. The table separates them, in nats. A penalty that falls means that the weights became
# smaller in sum; one that stays while the share grows means that only the cross-entropy fell.

print(summaries.first_and_last(arms["Batch norm + L1"], ["penalty", "train_loss"]))

# %%
# All arms also have weight decay, an L2 penalty that acts in the optimizer and does not appear in
# this loss.
#
# What became of the weights?
# ---------------------------
#
# All weights of the network, sorted from the smallest to the largest magnitude. The axis is
# logarithmic, because the interesting part happens close to zero.

weights = figures.weight_magnitudes(alone)

# %%
# Pick a point on the horizontal axis, say 50%: half of the weights are smaller than the height of
# the line there. Where the line of the arm with the penalty lies below the other, its weights are
# smaller. The dotted line marks the magnitude below which a weight counts as small here.
# It is a mark and not a zero: the subgradient step of SGD jumps across zero and back, so it makes
# weights small but hardly ever exactly zero.

print(summaries.penalties(arms))

# %%
# The two columns on the right compare the arms: the fraction of weights that are small, and the
# magnitude in the middle of the sorted row. With batch norm after a convolution, there is a
# subtlety. The norm divides by the standard deviation of what the convolution gives, so halving all
# weights of a channel changes nothing in the output. There a penalty can be paid by making all
# weights smaller together, without choosing any. In this network a norm follows the first
# convolution and the depthwise ones. The pointwise ones, which have most of the weights, have none
# directly after them. What those of the first stages give still meets a norm later, so the same
# way is open to some of them together (:ref:`sphx_glr_auto_examples_plot_299_weight_decay.py` finds
# which). For the last stage and the classifier it is not: the scales of the norm before them, which
# nothing penalizes, would have to grow, and that changes what the activation does.

pointwise = [part.pointwise for part in net.children() if hasattr(part, "pointwise")]
bound = sum(layer.weight.numel() for layer in [*pointwise, net.linear1])
total = sum(layer.weight.numel() for layer in covered)
print(
    f"{total - bound:,} of {total:,} penalized weights have a norm directly after them, or "
    "after a max pool"
)
assert bound > total / 2

# %%
# Whether the penalty chooses, and makes some weights small while others stay, is seen in the
# *shape* of the line and not in its height.
#
# What does it cost?
# ------------------

print(summaries.results(arms, ["test_accuracy", "train_accuracy", "gap"]))
for measure in ("test_accuracy", "train_accuracy", "gap"):
    print(*differences(alone, measure))

# %%
# The chance level is 10%. The first sentence says whether the test accuracy differs by more than
# the seeds explain. The second tells what happened on the training images, where a penalty is
# expected to cost. The third is about the gap between the two, which a penalty is meant to narrow
# ("ahead" means a smaller gap). Each is tested alone here; the page of findings corrects for the
# number of all pairs. All three are about the same learning rate. How much of the distance between
# the two arms of the study is due to their rates and how much to the penalty, these runs cannot
# tell as long as the first interval holds both zero and that distance.
#
# What this does not show
# -----------------------
#
# One value of :math:`\lambda` is no dose-response curve; larger ones were tried in the search alone
# (:ref:`sphx_glr_auto_examples_plot_240_search.py`). Nothing was pruned here: whether the small
# weights can be removed without loss has to be tried. And a penalty may act differently beside
# another norm.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. Suppose that a program takes the mean of the magnitudes. How large would its :math:`\lambda`
#    have to be for the same penalty?
# 2. Include the scales, shifts and biases with ``l1_on="all"``. How much larger is the penalty of
#    the untrained network?
# 3. Divide the weights of the first convolution by ten. What becomes of the penalty, and of what
#    the norm after it gives?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       mean = sum(layer.weight.abs().sum().item() for layer in covered) / total
#       other_strength = recipe.l1 * total
#       print(f"lambda {other_strength:.2f} instead of {recipe.l1:g}")
#       assert abs(other_strength * mean - by_hand) < 1e-9
#
#    As many times larger as there are weights.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       everything = l1_penalty(net, replace(recipe, l1_on="all")).item()
#       norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
#       scales = sum(part.num_features for part in norms)  # all 1 at first, and the shifts 0
#       more = recipe.l1 * (scales + net.linear1.bias.abs().sum().item())
#       print(f"{by_hand:.4f} nats, then {everything:.4f}")
#       assert abs(everything - by_hand - more) < 1e-6
#
#    By :math:`\lambda` for each scale of a norm. These pull on what the norm gives and not on what
#    it undoes. So smaller pointwise weights can no longer be made up for by larger scales at no
#    price. The weights in front of a norm can still shrink for nothing.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       maps = torch.randn(64, net.conv1.out_channels, 16, 16)
#       before, after = (net.norm1(scale * maps) for scale in (1, 0.1))
#       print(f"{(before - after).abs().max().item():.4f} at most")
#       assert (before - after).abs().max() < 0.01
#
#    The penalty of this layer falls to a tenth, and its maps shrink to a tenth as well. The norm
#    gives the same as before, but for :math:`\varepsilon`.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` puts all arms together, and
# :ref:`sphx_glr_auto_examples_plot_330_report_d.py` shows what a mean in place of the sum does.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
