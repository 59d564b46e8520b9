"""
Better, with the same budget
============================

MNIST with fewer than 10,000 parameters in 20 epochs, as in the reports: six arms of one network,
each with its own learning rate, five seeds, scored after the last epoch.

**The question.** What does the budget of the reports allow, how far apart are the norms there, and
are the images that every norm gets wrong labelled rightly?
"""

from normstudy.study import findings, hardness, summaries
from normstudy.study.data import load
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study, search = STUDIES["mnist"], STUDIES["mnist-learning-rates"]
arms, images = run_study(study), load(study.data)
print("In short:", *findings.short_answer(arms), sep="\n")
print(hardness.doubtful_in_short(arms, images))
((_, edge),) = run_study(STUDIES["mnist-first-rate"]).items()
fallen = [run for run in edge if run.accuracy < 0.2]
print(
    f"At the rate that was chosen for layer norm first, {len(fallen)} of {len(edge)} seeds stayed "
    "at chance."
)

# %%
# **You will see** the network, the search for the learning rates, the accuracies with intervals
# beside the best numbers that reports printed, and the test images that no norm gets right.
#
# The network
# -----------
#
# The assignment allows 10,000 parameters on MNIST. This network spends them on a stem and five
# separable convolutions, each with a norm and an activation between its halves. They have no
# padding, so that the maps shrink to 4x4 pixels before the average pool. The head is that of the
# main study.

from normstudy.study.blueprint import network
from normstudy.study.model import layer_table
from normstudy.study.reports import LIMITS
from normstudy.study.train import build

nets = {arm: build(runs[0].recipe, images) for arm, runs in arms.items()}
counts = {arm: sum(p.numel() for p in net.parameters()) for arm, net in nets.items()}
assert max(counts.values()) < LIMITS["mnist"]
drawing = network(layer_table(nets["Batch norm"], images.size))

# %%
# No norm stands behind the last separable convolution: there it would fix the very means that the
# classifier is to read, and instance norm would leave it nothing. Where the last arm has no norm,
# it has a learned shift of each channel.

print(counts)
print(summaries.layers(nets["Batch norm"], images.size))

# %%
# Why the maps are small
# ----------------------
#
# Most pixels of a digit are background. An average over a large map is mostly one over background,
# and hardly differs from image to image. Here are three networks with the same layers and as many
# parameters, before any training: ``valid``, the one of this page, with last maps of 4x4;
# ``same-pooled``, whose convolutions are padded and which has two more pools, with 3x3; and
# ``same``, which is padded and has no more pools, with 14x14.

from normstudy.study import demonstrations

maps = STUDIES["mnist-maps"]
untrained = {arm: build(recipes[0], images) for arm, recipes in maps.arms.items()}
print(demonstrations.input_spreads(untrained, images))

# %%
# And this is what became of them in six epochs, all at batch norm's rate, on validation images:

tried = run_study(maps)
print(summaries.results(tried, ("test_accuracy", "test_loss")))

# %%
# Under each norm ``valid`` does best. Batch norm can do with large maps, and loses little on them.
# Group norm and layer norm lose far more, and their two seeds differ more as well: what the first
# table showed before training is felt after it. The networks differ in padding and pools as well as
# in the size of the maps, so a step from one to the next has more than one cause. And ``valid`` was
# picked for what it did on these very images, which flatters it a little.
#
# The settings
# ------------
#
# All arms share everything but the norm, the penalty and the learning rate. Digits are turned,
# sheared, shifted and scaled a little in training; they are never mirrored, since a mirrored 3 is
# no digit.

from normstudy.study import replications

print(replications.settings(study))

# %%
# The rates come from a search that is the same for every arm: six rates, a factor of two apart,
# six epochs each, on 5,000 training images that were held out, with seeds that the study itself
# does not use. There were five at first; since one arm chose the highest, the sixth was added for
# all of them. Of all rates that are within 0.3 points of the best in accuracy, and within one
# standard error of the best in loss, the lowest is taken.

from normstudy.study import figures
from normstudy.study.compare import cautious, choose

searched = run_study(search)
assert all(run.recipe.validation for runs in searched.values() for run in runs)
for arm, runs in searched.items():
    lost = search.diverged.get(arm, ())
    named, lowest = cautious(runs, lost).lr, choose(runs, lost).lr
    used = arms[arm][0].recipe.lr
    print(
        f"{arm}: {named:g} is chosen, {used:g} is used; the lowest loss is at {lowest:g}"
    )
rates = figures.sweep(
    searched,
    "lr",
    title="Six learning rates for each arm",
    axis="peak learning rate",
    diverged=search.diverged,
)

# %%
# Look at how flat the curves are, and at where they end. A cross marks a loss that stopped being
# finite, but a network can also stay at chance with a finite loss, and its point is then far below
# what is drawn. How many steps from there is the rate that each arm chose?
#
# A rate too close to the edge
# ----------------------------
#
# The main study takes the rate of lowest loss, and that is what was trained here first. For layer
# norm it is a rate one step below the one at which both seeds of the search fail, and the loss is
# lower there by less than its standard error. This is what five seeds made of it:

for run in edge:
    loss = run.history["train_loss"][-1]
    print(
        f"seed {run.recipe.seed}: {100 * run.accuracy:.2f}%, training loss {loss:.3f}"
    )

# %%
# A network that stays at chance says so in its training loss, so no test image is needed to see it.
# The rule became more cautious after that, for every arm of this study alike: where the search
# cannot tell, take the lower rate. The list above says which arms that moves. The runs at the first
# rate stay published, as the study ``mnist-first-rate``.
#
# The accuracies
# --------------

print(summaries.accuracies(arms))
intervals = figures.accuracy_intervals(arms)

# %%
# A guess is right in 10% of ten thousand test images, and 0.01 points are one image. So read each
# step from one arm to the next as a number of digits. The column of sampling errors says how far
# one network would move with ten thousand other digits. No two arms are further apart than that.

from normstudy.study.compare import differences

pairs = differences(arms)
print(summaries.pairs(pairs))

# %%
# The intervals hold for all pairs at once. The margin of "equal" is five test images either way; on
# CIFAR-10, where so much more is left to get wrong, the margin is half a point. One pair is
# decided, because the seeds of both its arms happen to lie close together: it is a matter of six
# digits, on these ten thousand.
#
# Beside the best reports
# -----------------------

print(summaries.beside(study.reference, arms))
print(study.reference.source)

# %%
# This is a race in which the reports start ahead. Each of their numbers is the best of several
# reports, of one seed, at the epoch that did best on the test images. Ours are means of five seeds
# after the last epoch. How much would picking the epoch add to ours?

print(summaries.best_epochs(arms))
test_accuracy = figures.history(arms, "test_accuracy", reference=study.reference)

# %%
# The learning rate falls to nearly nothing, so that the curves can come to rest: the smaller the
# numbers in the table, the less luck the last epoch needs. The dotted lines are the best of the
# reports.
#
# What no norm gets right
# -----------------------
#
# Are some of the mistakes that are left made by nearly every run? The picture shows test images
# that most seeds of *every* arm get wrong, and how many runs give the same wrong answer.

shared = hardness.doubtful_grid(arms, images)

# %%
# Cover the label and decide for yourself what each digit is. If you agree with the networks, you
# are one more reader who does, and the label is the likelier mistake. If you cannot tell, no
# network can be expected to. Only where the label is plain to you did the networks miss something.
# Northcutt et al. (2021) had such candidates judged by several people each, and confirmed 15 wrong
# labels among the ten thousand test images of MNIST.

found, total = hardness.doubtful(arms, images), len(images.test)
score = 100 - 100 * len(found) / total
print(f"Test images that most seeds of every arm miss: {len(found)}.")
print(f"The score of a reader who misses no others: {score:.2f}%.")

# %%
# If all these labels are wrong, a score above that one is no better reading of digits.
#
# What this does not show
# -----------------------
#
# That this network is the best one for the budget. It is what is left of some twenty, in trials
# with one seed and one to three norms on the validation images, whose runs were not kept. Each arm
# has a learning rate of its own; everything else is shared. A few values of weight decay, batch
# size and augmentation were tried, with batch norm alone, which may favour it. Of groups and lambda
# only one value was tried. That an image is missed by every norm does not prove its label wrong,
# and the labels of the training images were not looked at.
#
# Exercises
# ---------
#
# 1. How many test images does a committee of all runs, each with one vote, get wrong?
# 2. Are the images that every arm gets wrong more than independent mistakes would leave?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       import numpy as np
#
#       answers = np.stack([run.predictions for runs in arms.values() for run in runs])
#       votes = np.stack([(answers == k).sum(0) for k in range(len(images.classes))])
#       labels = images.test.labels.numpy()
#       missed = int((votes.argmax(0) != labels).sum())
#       print(f"{missed} of {total:,}; single runs {(answers != labels).sum(1)}")
#       assert missed <= (answers != labels).sum(1).max()
#
#    Compare it with the single runs: what differs from seed to seed can be outvoted, and what all
#    of them miss in the same way stays.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from normstudy.study.mistakes import overlap
#
#       first = {arm: runs[0] for arm, runs in arms.items()}
#       together = overlap(first, images)
#       print(f"{together.all_wrong} images, {together.expected_all_wrong:.1g} if independent")
#       assert together.all_wrong <= min(together.num_wrong)
#
#    Independent mistakes that are as rare would hardly ever meet in six arms.
#
# Where to go next
# ----------------
#
# What the reports say together: :ref:`sphx_glr_auto_examples_plot_390_reports.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
