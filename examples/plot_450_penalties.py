"""
How should weights become zero?
===============================

L1 as a part of the loss and as a proximal step, on all weights and on the scales of norms, over
four decades of lambda, with L2 beside it.

**The question.** How many weights can be switched off for how much accuracy, and does it matter how
the penalty acts and on what?
"""

from normstudy.study import contrasts, measured, responses
from normstudy.study.measures import summarize
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["penalties"]
arms = run_study(study)
l1 = {arm: runs for arm, runs in arms.items() if arm.startswith("L1")}
points = responses.by(l1, lambda r: r.l1, study.diverged)
l2 = responses.by({"L2": arms["L2"]}, lambda r: r.weight_decay, study.diverged)
without = ("Without L1", l2["L2"][5e-4])
print("In short, test accuracy at each lambda less that without L1, in points:")
print(contrasts.to_one(points, without, "lambda"))
print("And what is exactly zero by then, of the weights or of the scales:")
print(responses.table(points, "lambda", measured.ZEROS))

# %%
# **You will see** both steps by hand, accuracy and zeros over lambda, channels that could go,
# L2, and what becomes of the learning rate when weights shrink in front of a norm.
#
# Two ways to take a step
# -----------------------
#
# The penalty is :math:`\lambda \sum |w|`. Its gradient is :math:`\pm\lambda`, whatever the size of
# the weight, and at zero there is none: one speaks of a subgradient. A step along it carries a
# small weight across zero, and the next step carries it back. The proximal step moves each weight
# towards zero by the same amount, and stops there:

import torch
from torch.nn.functional import softshrink

w, threshold = torch.tensor([0.5, 0.03, -0.02]), 0.05
crossed = w - threshold * w.sign()
stopped = softshrink(w, threshold)
for name, found in (("subgradient", crossed), ("proximal", stopped)):
    print(name, [round(value, 3) for value in found.tolist()])
assert torch.equal(crossed.sign(), torch.tensor([1.0, -1.0, 1.0]))
assert (stopped[1:] == 0).all()

# %%
# Momentum sums up gradients, a penalty among them, to :math:`1 / (1 - \mu)` times one of them. A
# threshold that stands behind the step is not summed up, so here it is larger by that factor. Then
# both ways come to rest at the same weights, and a lambda means the same. For the lasso
# :math:`(w - a)^2 / 2 + \lambda |w|` the answer is known, and 400 steps find it:

from normstudy.study.optimize import shrink
from normstudy.study.recipes import Recipe

recipe = Recipe(l1=0.3, l1_step="proximal", momentum=0.9, lr=0.05)
target = torch.tensor([2.0, -1.0, 0.25, -0.2])
net = torch.nn.Linear(4, 1, bias=False)
sgd = torch.optim.SGD(net.parameters(), lr=recipe.lr, momentum=0.9)
for _ in range(400):
    sgd.zero_grad()
    (0.5 * (net.weight[0] - target) ** 2).sum().backward()
    sgd.step()
    shrink(net, recipe, recipe.lr)
print([round(value, 3) for value in net.weight[0].tolist()])
assert torch.allclose(net.weight[0], softshrink(target, 0.3), atol=1e-4)

# %%
# The runs
# --------
#
# Batch norm with the settings of the main study, ten epochs on a fixed half of the images, two
# seeds. Weight decay stays at what the main study has, so that lambda is all that changes. Both
# ways on weights take the same five values. Scales begin at 1, and have a longer way to zero than
# weights: their lambdas are ten times as large. Without L1 is the run of L2 at the weight decay
# that all others have.
#
# Accuracy and zeros
# ------------------

accuracy = responses.figure(
    points, "lambda", name="lambda-accuracy", title="Test accuracy over lambda"
)

# %%
# If a line is level at its left end, the penalty is too weak there to matter. Where it bends
# down, it begins to cost.

print(responses.table(points, "lambda"))
print(f"Without L1: {responses.said(without[1])}. Chance level: 10%.")
print(
    "Mean ± standard deviation of two seeds.",
    contrasts.pooled({**points, without[0]: {0.0: without[1]}}),
)
print()
print(contrasts.against(points, *list(points)[:2], "lambda"))

# %%
# The last table sets the two steps beside each other in accuracy; an open row is no proof that they
# are equal. And in zeros:

exact = responses.figure(
    points,
    "lambda",
    measured.ZEROS,
    name="lambda-zeros",
    title="Exact zeros over lambda",
)

# %%
# Under the subgradient, weights should pass by zero and not stay: does its line keep to 0? The
# other two lines count different things. On all weights, the zeros are the weights that were chosen
# to go. On scales alone, the penalty pulls no weight, and the zeros are scales.
#
# A scale of zero is worth more than a weight of zero: the whole channel behind it is a constant. It
# can be cut out with the weights that read it, once the constant has been moved into a shift of
# what comes next (exactly where that is a 1x1 convolution; at the border of a padded one nearly),
# and the network gets smaller and faster. That is network slimming (Liu et al. 2017). Single zeros
# among weights make a network smaller on disk, and hardly faster.
#
# L2 beside it
# ------------

print(responses.table(l2, "weight decay"))
length = responses.probe_of("length", "length of all weights")
print()
print(responses.table(l2, "weight decay", length))
most = {
    x: max(summarize(runs, measured.ZEROS).values.values())
    for x, runs in responses.held(l2["L2"]).items()
}
print(
    "weights of exactly zero, in %:",
    ", ".join(f"{of:.2f} at {x:g}" for x, of in most.items()),
)

# %%
# L2 pulls each weight in proportion to its size, so it shortens all of them and singles out none.
# It could make zeros only where a weight shrinks until nothing is left of it in the precision of
# the numbers.
#
# Short weights, long steps
# -------------------------
#
# The norm behind a depthwise convolution divides by the size of its maps, so that the length of the
# weights does not matter to the output. It matters to the training. A step of rate r turns weights
# of length n as a step of rate :math:`r / n^2` would turn weights of length 1 (van Laarhoven 2017).
# A penalty on these weights shortens them, and so lengthens the steps:

for arm, of in {**points, "L2": l2["L2"]}.items():
    trained = {
        x: runs
        for x, runs in responses.held(of).items()
        if summarize(runs).mean
        > 20  # else too near to chance for a rate to mean anything
    }
    highest = {
        x: measured.effective_rates(runs).max(1).mean() for x, runs in trained.items()
    }
    told = ", ".join(f"{rate:.2g} at {x:g}" for x, rate in highest.items())
    print(f"{arm}: highest effective rate of an epoch {told}")

# %%
# Where this number grows with the strength, a part of what a penalty does is to change the learning
# rate, and could have been had from the learning rate. The numbers are medians over the weights
# with a norm directly behind them, or behind a max pool. Where no norm takes the length out, as in
# the last stage and the classifier, there is no such way out
# (:ref:`sphx_glr_auto_examples_plot_299_weight_decay.py` finds which weights are which).
#
# At full length
# --------------
#
# The main study has one point of the first line, L1 as a part of the loss, on all images, for
# twenty epochs, with a lambda and a learning rate of its own, beside batch norm without L1:

from normstudy.study import summaries

main = run_study(STUDIES["main"])
both = {arm: main[arm] for arm in ("Batch norm", "Batch norm + L1")}
print(summaries.accuracies(both))
print(summaries.penalties(both))

# %%
# The last two columns tell of small weights, where the tables above count zeros. How many weights
# does the subgradient make small, without making them zero, in this longer training?
#
# What this does not show
# -----------------------
#
# The learning rate was the same at all strengths; with one chosen anew for each, strong penalties
# might cost less. Channels were counted and not cut. Nothing was trained on after pruning, as those
# who prune do. And in ten epochs on half of the images a penalty of :math:`10^{-6}` moves no weight
# far, as the first exercise computes: what a longer training makes of it is not shown.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. How far can the penalty move a weight in a whole training, if the loss does not pull at it?
# 2. Scale the weights in front of a batch norm by a tenth: what becomes of penalty and output?
# 3. Which way has the most zeros at an accuracy of at most one point below its own best?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from normstudy.study.optimize import learning_rates
#
#       one = arms["L1, proximal"][0].recipe
#       steps = -(-one.subset // one.batch_size)
#       way = sum(learning_rates(one, steps)) * one.l1 / (1 - one.momentum)
#       print(f"{way:.2g} at a lambda of {one.l1:g}")
#       assert way > 0
#
#    The sum of all rates, times lambda, over one minus the momentum. By the penalty alone, weights
#    that are longer than that cannot reach zero in this time. With the weight decay that all these
#    runs have, the way is longer.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       norm, maps = torch.nn.BatchNorm2d(4), torch.randn(8, 4, 6, 6)
#       same = torch.allclose(norm(maps), norm(0.1 * maps), atol=1e-2)
#       print("the same output:", same)
#       assert same
#
#    The penalty falls to a tenth and the output stays: that is a way to pay less without choosing a
#    single weight. On scales there is one as well, where the weights that read a channel are not
#    penalized: they can grow as its scale shrinks. With a ReLU in between, nothing changes as long
#    as the shift shrinks along. The hard swish of this network turns into a straight line, so here
#    that way out costs the nonlinearity.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       for arm, of in points.items():
#           there = responses.held(of).values()
#           best = max(summarize(runs).mean for runs in there)
#           close = [runs for runs in there if summarize(runs).mean >= best - 1]
#           most = max(summarize(runs, measured.ZEROS).mean for runs in close)
#           print(f"{arm}: {most:.1f}% zeros")
#
#    That is the question to ask of a penalty: not how many zeros, but how many at which price.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_180_penalties.py` works both penalties by hand, and
# :ref:`sphx_glr_auto_examples_plot_280_penalty.py` looks at the weights of the main study.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
