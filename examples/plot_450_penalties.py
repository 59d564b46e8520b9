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
print("And what is exactly zero after training, of the weights or of the scales:")
print(responses.table(points, "lambda", measured.ZEROS))

# %%
# So the proximal step makes weights zero, and the subgradient none, at any strength. Some percent
# of zeros cost no more than these runs can tell; a third of the scales costs several points, and
# nearly all of the weights far more than any norm gains. All that lies between was not tried:
# lambda goes in steps of ten. In accuracy, no difference between the two steps is decided.
#
# **You will see** both steps by hand, accuracy and zeros over lambda, scales that are zero, L2, and
# what becomes of the learning rate when weights shrink in front of a norm.
#
# Two ways to take a step
# -----------------------
#
# The penalty is :math:`\lambda \sum |w|`. Its gradient is :math:`\pm\lambda`, whatever the size of
# the weight, and at zero it has none, so that a subgradient takes its place. A step along it
# carries a small weight across zero, and the next step carries it back. The proximal step moves
# each weight towards zero by the same amount, and stops there:

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
# threshold applied after the step does not pass through momentum, so here it is larger by that
# factor. Then at a constant rate both ways have the same resting points, and a lambda means about
# the same. For the lasso :math:`(w - a)^2 / 2 + \lambda |w|` the answer is known, and 400 steps
# find it:

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
# ways on weights take the same five values. Scales begin at 1 and have no weight decay, so they
# have a longer way to zero: their lambdas are ten times as large. In so short a training even that
# is not enough at the two lowest, as the first exercise computes. Without L1 is the run of L2 at
# the weight decay that all others have.
#
# Accuracy and zeros
# ------------------

accuracy = responses.figure(
    points, "lambda", name="lambda-accuracy", title="Test accuracy over lambda"
)

# %%
# The lines are level at their left ends, where the penalty is too weak to matter; a fall is decided
# from a lambda of 0.001 on. One lambda pulls on every weight of the network in one line, and on a
# few hundred scales in another: compare the two steps at a lambda, but not weights with scales.

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
# are equal. The spread is pooled over all points in the upper half between chance and the best, and
# seeds scatter further where a penalty is strong, so the intervals of weak ones are wider than they
# need be. And in zeros:

exact = responses.figure(
    points,
    "lambda",
    measured.ZEROS,
    name="lambda-zeros",
    title="Exact zeros over lambda",
)

# %%
# Under the subgradient, weights pass through zero and do not stay: its line keeps to 0. That is a
# fact about the numbers, and no proof that nothing could be cut, since a weight that swings around
# zero is small; how many were small was not counted here. The other two lines count different
# things. On all weights, the zeros are the weights that were chosen to go. On scales alone, the
# penalty pulls no weight, and the zeros are scales. Where nearly all are zero, scales cost more
# than weights do, since each takes its channel along.
#
# A scale of zero is worth more than a weight of zero: the whole channel after it is a constant. It
# can be cut out with the weights that make it and those that read it, once the constant has been
# moved into a shift of what comes next (exactly where that is a 1x1 convolution; at the border of a
# padded one nearly), and the network gets smaller and faster. That is network slimming (Liu et al.
# 2017). Single zeros among weights make a network smaller on disk, and hardly faster.
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
# The norm after a depthwise convolution divides by the size of its maps, so that the length of the
# weights does not matter to the output. It matters to the training. A step of rate r turns weights
# of length n as a step of rate :math:`r / n^2` would turn weights of length 1 (van Laarhoven 2017).
# A penalty on these weights shortens them, and so lengthens the steps; a penalty on a scale leads
# there as well, since at a scale of zero no gradient reaches the weights in front, and weight decay
# shortens them. The rates at the strengths that left at least half of the accuracy:

least = summarize(without[1]).mean / 2
for arm, of in {**points, "L2": l2["L2"]}.items():
    trained = {
        x: runs
        for x, runs in responses.held(of).items()
        if summarize(runs).mean > least
    }
    highest = {
        x: measured.effective_rates(runs).max(1).mean() for x, runs in trained.items()
    }
    told = ", ".join(f"{rate:.2g} at {x:g}" for x, rate in highest.items())
    print(f"{arm}: highest effective rate of an epoch {told}")

# %%
# Where this number grows with the strength, a part of what a penalty does is to change the learning
# rate, and could have been had from the learning rate. The two L1 arms can be compared up to the
# strength at which both have the same number. Beyond it the proximal step has made whole channels
# zero, which are left out of a median; the subgradient leaves the same channels at lengths so small
# that the epsilon of the norm outweighs their variance, and there the argument does not hold. The
# numbers are medians over the weights with a norm directly after them, or after a max pool. Where
# no norm takes the length out, as in the last stage and the classifier, there is no such way out
# (:ref:`sphx_glr_auto_examples_plot_299_weight_decay.py` finds which weights are which).
#
# At full length
# --------------
#
# The main study has L1 as a part of the loss on all images, for twenty epochs, at a lambda of the
# table above and at half the learning rate of batch norm without L1. A control has batch norm
# without L1 at that rate too:

from normstudy.study import summaries

main = run_study(STUDIES["main"])
both = {arm: main[arm] for arm in ("Batch norm", "Batch norm + L1")}
at_its_rate = run_study(STUDIES["no-penalty"])["Batch norm"]
print(summaries.accuracies({**both, "Batch norm, at the rate of L1": at_its_rate}))
at_equal_rates = {"Batch norm + L1": main["Batch norm + L1"], "without L1": at_its_rate}
print(summaries.pairs(contrasts.pairs(at_equal_rates)))
print(summaries.penalties(both))

# %%
# At the rate of the L1 arm, batch norm with and without a penalty are equal within half a point:
# what that arm may be ahead by in the main study is no evidence for a penalty. The last two columns
# count small weights, where the tables above count zeros: so weak a penalty makes few more of them.
#
# What this does not show
# -----------------------
#
# The learning rate was the same at all strengths, chosen for batch norm without L1; with one chosen
# anew for each, strong penalties might cost less. The arms with L1 keep their weight decay, so they
# are L1 and L2 together, and L2 beside them is L2 alone. At the strongest penalties the training
# itself breaks down: their accuracy is not the price of their zeros. No channel was cut, and
# nothing was trained on after pruning, as is usual. And in ten epochs on half of the images a
# penalty of :math:`10^{-6}` moves no weight far, as the first exercise computes: what a longer
# training makes of it is not shown.
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
#    The sum of all rates, times lambda, over one minus the momentum. In this time, the penalty
#    alone cannot bring a larger weight to zero. The way grows in proportion to lambda, and a scale
#    of 1 has to be measured by it. Weight decay, which weights have and scales have not, adds to
#    it.
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
