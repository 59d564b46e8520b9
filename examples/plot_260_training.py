"""
Training, and the gap to testing
================================

Training loss and training accuracy of all arms, and how much of what they learn carries over to
images that they have not seen.

**The question.** Does an arm that ends behind on the test images fail to learn, or does it learn by
heart?
"""

from normstudy.study import figures, summaries
from normstudy.study.compare import differences
from normstudy.study.measures import summarize
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

arms = run_study(STUDIES["main"])
fits, gaps = (differences(arms, measure) for measure in ("train_accuracy", "gap"))
means = {
    arm: [summarize(arms[arm], m).mean for m in ("train_accuracy", "gap")]
    for arm in arms
}
fit, gap = (max(column) - min(column) for column in zip(*means.values(), strict=True))
what = "fit the training images less well" if fit > gap else "carry over less of it"
print(
    f"In short: arms that end behind do so mostly because they {what}. Training accuracies "
    f"lie up to {fit:.2f} points apart, gaps to the test accuracy up to {gap:.2f}."
)
print(summaries.extremes(arms, ["train_accuracy", "gap"]))

# %%
# **You will see** the learning rate over the epochs, the two training graphs, the gap between
# training and test accuracy, and a table that measures both in the same way.
#
# How the learning rate moves
# ---------------------------
#
# All arms are trained by stochastic gradient descent with Nesterov momentum and a one-cycle
# schedule: the learning rate rises for a fifth of the steps, then falls in a straight line to
# almost zero (Smith & Topin 2019). The arms differ in the peak.

rates = figures.schedule(arms)

# %%
# Every point is the learning rate at the start of an epoch. Keep this shape in mind for the next
# figures: where the rate is high the curves are rough, and where it goes to zero they become
# smooth. The peak of each arm was chosen on validation images.
#
# Training loss and accuracy
# --------------------------
#
# These are gathered during each epoch, while the weights move and on augmented images. The first
# batches of an epoch are scored by a worse network than the last ones, and a shifted or mirrored
# image is harder than the original. So the curves show the network as worse than it is on the plain
# training images at the end of the epoch.

loss = figures.history(arms, "train_loss")

# %%
# The penalty of the arm with L1 is left out of this loss, so that all lines mean the same: the
# first term of equation :eq:`loss`, in nats. Compare the order of the lines here with their order
# in Graph 1 (:numref:`fig-test-loss`). An arm that is behind in both has not fitted the training
# images as well, and it makes no sense to say that it learned by heart.

accuracy = figures.history(arms, "train_accuracy")

# %%
# The same in percent of the images. The chance level is 10%. A training accuracy that ends well
# below 100% says that this network, with this training and its augmentation, does not learn the
# images by heart, and that it is limited by how well it fits more than by how well it generalizes.
#
# The gap
# -------
#
# How much of the training accuracy is lost on new images? The honest comparison treats both in the
# same way: no augmentation, the weights at rest. That is measured once, after the last epoch, over
# all training images.

gap = figures.gap(arms)

# %%
# The lines are training accuracy, as gathered during the epochs, minus test accuracy. Where a line
# is below zero, the reason is that the network is scored on harder images in training than in the
# test, and by weights that are still moving. The arms with batch norm also use other statistics in
# training than in the test, running ones, which are scored worse while the weights move fast:
# compare the lines while the rate is high. (How much of a line is due to that was not measured.)
# The diamonds behind the last epoch are the honest gap. What separates a line's end from its
# diamond is the way of measuring, and not new images.

print(summaries.results(arms, ["train_accuracy", "test_accuracy", "gap"]))
print()
print(summaries.results(arms, ["train_loss", "test_loss"]))
print("Chance level: 10%, 2.303 nats. Behind ±: standard deviation over the seeds.")

# %%
# Read the tables by rows. Two arms with the same training accuracy and different test accuracies
# differ in how well they generalize; two with the same gap differ in how well they fit. Which arms
# differ by more than luck explains? First in training accuracy, then in training loss, then in the
# gap; the intervals of each table hold for all pairs at once.

print(summaries.pairs(fits), end="\n\n")
print(summaries.pairs(differences(arms, "train_loss")), end="\n\n")
print(summaries.pairs(gaps))

# %%
# In loss and gap, a negative difference is in favour of the first arm. But a small gap is no virtue
# in itself: a network that guesses has none. It counts only together with a high test accuracy.
#
# What this does not show
# -----------------------
#
# A gap says that something was learned that does not carry over, not what it was. The gap also
# depends on the length of the training and on the augmentation, and here both are the same for all
# arms. A test that finds no difference in the gap does not show that there is none.
#
# Exercises
# ---------
#
# All three use the runs above and train nothing.
#
# 1. How much higher is the training accuracy after the last epoch than during it?
# 2. In how many of all epochs is the gathered training accuracy below the test accuracy?
# 3. After how many epochs is the learning rate highest, and what sets this?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       for arm, runs in arms.items():
#           during = sum(run.history["train_accuracy"][-1] for run in runs) / len(runs)
#           after = sum(run.clean_train["accuracy"] for run in runs) / len(runs)
#           ends = [100 * r for run in runs for r in run.history["test_accuracy"][-2:]]
#           last = sum(ends[1::2]) / len(runs) - sum(ends[::2]) / len(runs)
#           print(f"{arm}: {100 * (after - during):.2f} points; the test {last:+.2f} in that epoch")
#           assert after > during or study.data == "digits"  # which leave little to learn
#
#    By a few points, for two reasons. The images of the epoch were cut and mirrored, and the clean
#    ones are easier (with batch norm, the statistics of the batch come to that). And the weights
#    were still moving: the test accuracy, too, rises in the last epoch.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       for arm, runs in arms.items():
#           histories = [
#               (run.history["train_accuracy"], run.history["test_accuracy"]) for run in runs
#           ]
#           epochs = [a < b for both in histories for a, b in zip(*both, strict=True)]
#           print(f"{arm}: {sum(epochs)} of {len(epochs)}")
#           assert any(epochs)
#
#    In most of them without batch norm: training images are augmented, and scored while the network
#    still learns. In fewer with it, as its test has running statistics.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       for runs in arms.values():
#           rates_of_run, recipe = runs[0].history["lr"], runs[0].recipe
#           rising = recipe.warmup * recipe.epochs
#           assert abs(rates_of_run.index(max(rates_of_run)) - rising) < 1
#
#    After ``warmup * epochs``, a fifth of all epochs: four of 20.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_270_mistakes.py` looks at the images that are still wrong.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
