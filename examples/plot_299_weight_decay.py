"""
Is the order one of this weight decay?
======================================

A fifth of the weight decay, at the chosen learning rates and at twice these: batch, group and layer
norm.

**The question.** Weight decay is one number for all arms of the main study, and not the same thing
in each. Would another one have told another story?
"""

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
# weights: in the long run, learning rate and weight decay act through their product
# :cite:p:`vanlaarhoven2017`. For these weights, a fifth of the decay alone would be shorter steps
# as well. So the control has two rates for each arm, the chosen one and twice that.

decays = {runs[0].recipe.weight_decay for of in (main, tried) for runs in of.values()}
print("weight decay:", " and ".join(f"{decay:g}" for decay in sorted(decays)))
few = {arm: main[arm] for arm in found["the chosen rate"]}
for arm, runs in few.items():
    rates = [f"{of[arm][0].recipe.lr:g}" for of in found.values()]
    print(f"{arm}: {runs[0].recipe.lr:g} in the main study, {' and '.join(rates)} here")

# %%
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
# Read the two tables together. What an arm loses at its chosen rate, and not at twice that rate, it
# loses to shorter steps and not to the decay itself. And an arm that is as good at both rates does
# not depend on that product much.
#
# What this does not show
# -----------------------
#
# Two rates are no search: each arm may have a better one at this decay. The decay acts on the
# weights of convolutions and of the classifier alone, in all arms, and most of these weights have
# no norm directly behind them.
#
# Exercises
# ---------
#
# Neither of these needs a training.
#
# 1. Multiply the weights of the first convolution by ten, and take one step of gradient descent
#    without decay on any loss. How much smaller is the change, relative to the weights?
# 2. By how much does a decay of :math:`\lambda` at a rate of :math:`\eta` shrink a weight in one
#    step, and how many steps halve it?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       import torch
#
#       from normstudy.study.data import load
#       from normstudy.study.train import build
#
#       images = load(STUDIES["main"].data)
#       batch = images.normalize(images.test.images[:64])
#       moves = []
#       for factor in (1, 10):
#           net = build(main["Layer norm"][0].recipe, images).double()
#           weight = net.conv1.weight
#           with torch.no_grad():
#               weight *= factor
#           scores = net(batch.double())
#           loss = torch.nn.functional.cross_entropy(scores, images.test.labels[:64])
#           (slope,) = torch.autograd.grad(loss, weight)
#           moves.append((slope.norm() / weight.norm()).item())
#       print(f"{moves[0] / moves[1]:.1f} times")
#       assert 90 < moves[0] / moves[1] < 110
#
#    The square of the factor: the gradient shrinks by it, and the weights have grown by it. So a
#    large weight in front of a norm learns slowly, and decay is what keeps it from growing.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from math import log
#
#       recipe = main["Layer norm"][0].recipe
#       kept = 1 - recipe.lr * recipe.weight_decay
#       steps = log(0.5) / log(kept)
#       print(f"by {1 - kept:.2g} of itself; {steps:,.0f} steps halve it")
#       assert abs(kept**steps - 0.5) < 1e-9
#
#    By :math:`\eta \lambda` of itself, at the peak of the schedule. So doubling the rate at the
#    same decay doubles the forgetting.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_297_controls.py` has the other controls of :ref:`plan`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
