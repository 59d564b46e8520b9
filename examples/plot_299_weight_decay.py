"""
Does the order depend on the weight decay?
==========================================

A fifth of the weight decay, at the chosen learning rates and at twice those: batch, group and layer
norm.

**The question.** Weight decay is one number for all arms of the main study, and not the same thing
in each. Would another number have told another story?
"""

import itertools

from normstudy.study import controls, summaries
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["weight-decay"]
main, tried = run_study(STUDIES["main"]), run_study(study)
found, lost = controls.by_setting(tried), controls.by_setting(study.diverged)
print("In short:")
for rate, control in found.items():
    print(f"At {rate}: {controls.answer(main, control, lost.get(rate))}")

# %%
# **You will see** how the three arms end with the smaller decay, at both rates, and by how much
# every distance between two of them changes.
#
# Why two rates?
# --------------
#
# In front of a norm, weight decay does not make the function smaller. Scaling the weights changes
# nothing in what the norm gives, so what the decay sets is how long a step is relative to the
# weights: in the long run, learning rate and weight decay act through their product (van Laarhoven
# 2017). For these weights, a fifth of the decay alone would be shorter steps as well. So the
# control has two rates for each arm, the chosen one and twice that. Twice is only a part of the
# way: the old product would take five times the rate.

decays = {runs[0].recipe.weight_decay for of in (main, tried) for runs in of.values()}
print("weight decay:", " and ".join(f"{decay:g}" for decay in sorted(decays)))
few = {arm: main[arm] for arm in found["the chosen rate"]}
for arm, runs in few.items():
    rates = [f"{of[arm][0].recipe.lr:g}" for of in found.values()]
    print(f"{arm}: {runs[0].recipe.lr:g} in the main study, {' and '.join(rates)} here")

# %%
# And the argument holds only for weights whose scale no norm lets through. These are, layer by
# layer, the ones with a norm directly after them (a max pool between does no harm: it picks the
# same values whatever the scale). The 1x1 weights of the first separable convolution belong to them
# too: what they give is read by a depthwise convolution alone, which has a norm after it. And the
# sum that the first two blocks add to is read by nothing but such convolutions, so the three layers
# that write to it can be scaled together. The check: doubled, none of them changes a score.

import torch
from torch import nn

from normstudy.study.model import Net
from normstudy.study.optimize import weights

torch.manual_seed(0)
net, batch = Net("batch").double(), torch.randn(16, 3, 32, 32).double()
kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d
layers = [layer for layer in net.modules() if isinstance(layer, kinds)]
directly = [
    [layer]
    for layer, following in itertools.pairwise(layers)
    if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
]
for norm in (layer for layer in layers if isinstance(layer, nn.BatchNorm2d)):
    norm.eps = 1e-12  # which scales are compared with, and would show
writers = (net.separable2, net.block1, net.block2)
later = [[net.separable1.pointwise], [part.pointwise for part in writers]]
with torch.no_grad():
    scores = net(batch)
    for group in [*directly, *later]:
        for layer in group:
            layer.weight *= 2
        assert torch.allclose(net(batch), scores)

decayed = sum(w.numel() for w in weights(net))
for groups, where in ((directly, "directly"), (directly + later, "at all")):
    free = sum(layer.weight.numel() for group in groups for layer in group)
    share = f"{free:,} of {decayed:,} weights, {free / decayed:.0%}"
    print(f"in front of a norm {where}: {share}")

# %%
# On the others, those of the last stage and of the classifier, the decay acts as it does without
# norms: it pulls the function itself towards zero.
#
# What becomes of the distances
# -----------------------------

columns = ["test_accuracy", "train_accuracy"]
print(f"Main study\n{summaries.results(few, columns)}\n")
for rate, control in found.items():
    print(f"Smaller decay, {rate}\n{summaries.results(control, columns)}\n")
    print(controls.table(controls.changes(main, control)), end="\n\n")
print(controls.lost(study.diverged, tried))

# %%
# The intervals hold for all pairs of one rate at once. With three seeds, small changes mostly stay
# open. A change at one rate and not at the other belongs to the rate as much as to the decay.
#
# Is an arm better off?
# ---------------------
#
# The distances may stay while all arms move. Each row is tested alone.

for rate, control in found.items():
    gains = []
    for arm, runs in control.items():
        gains += differences({f"{arm}, smaller decay": runs, arm: main[arm]})
    print(f"At {rate}\n{summaries.pairs(gains)}\n")

# %%
# An arm that loses at its chosen rate, and not at twice that rate, may have been short of longer
# steps; but "ahead" in one table and "open" in the other does not show that. For that the two rates
# have to be compared with each other:

gains = []
for arm in few:
    gains += differences({f"{arm}, {rate}": of[arm] for rate, of in found.items()})
print(summaries.pairs(gains))

# %%
# And of so many rows, each tested alone, one may well be clear of zero by chance.
#
# What this does not show
# -----------------------
#
# Two rates are no search: each arm may have a better one at this decay. The decay acts on the
# weights of convolutions and of the classifier alone, in all arms.
#
# Exercises
# ---------
#
# Neither of these needs a training.
#
# 1. Multiply the weights of the first convolution by ten, and take one step of gradient descent
#    without decay on any loss. How much smaller is the change, relative to the weights?
# 2. How many steps does it take the decay of the main study to halve a weight on which the loss
#    does not depend?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       moves, labels = [], torch.arange(16) % 10
#       for factor in (1, 10):
#           torch.manual_seed(1)
#           scaled = Net("layer").double()
#           weight = scaled.conv1.weight
#           with torch.no_grad():
#               weight *= factor
#           loss = nn.functional.cross_entropy(scaled(batch), labels)
#           (slope,) = torch.autograd.grad(loss, weight)
#           moves.append((slope.norm() / weight.norm()).item())
#       print(f"{moves[0] / moves[1]:.1f} times")
#       assert 90 < moves[0] / moves[1] < 110
#
#    By the square of the factor: the gradient is that much smaller, and the weights are that much
#    larger. So large weights in front of a norm learn slowly. Steps along the gradient only ever
#    make them grow; decay holds that back.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from math import log
#
#       from normstudy.study.optimize import make_optimizer
#
#       recipe = main["Layer norm"][0].recipe
#       weight = nn.Linear(1, 1)
#       nn.init.ones_(weight.weight)
#       sgd, steps = make_optimizer(weight, recipe), 0
#       while weight.weight.item() > 0.5:
#           weight.weight.grad = torch.zeros(1, 1)
#           sgd.step()
#           steps += 1
#       expected = log(2) * (1 - recipe.momentum) / (recipe.lr * recipe.weight_decay)
#       print(f"{steps:,} steps; {expected:,.0f} expected")
#       assert abs(steps / expected - 1) < 0.05
#
#    At a rate of :math:`\eta`, a decay of :math:`\lambda_2` takes :math:`\eta \lambda_2` of a
#    weight in one step, and ``momentum`` divides that by one minus itself. This is at the peak of
#    the schedule; the training has few such halvings.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_297_controls.py` has the other controls of :ref:`plan`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
