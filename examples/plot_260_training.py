"""
Training, and the gap to testing
================================

Training loss and training accuracy of all versions, and how much of what they learn carries over
to images that they have not seen.

**The question.** Does a version that ends behind on the test images fail to learn, or does it learn
by heart?

**You will see** the learning rate over the epochs, the two training graphs, the gap between
training and test accuracy, and a table that measures both in the same way.
"""

# %%
# How the learning rate moves
# ---------------------------
#
# All versions are trained by stochastic gradient descent with Nesterov momentum and a one-cycle
# schedule: the learning rate rises for a fifth of the steps, then falls in a straight line to
# almost zero (Smith & Topin 2019). The versions differ in the peak.

from normstudy.study import compare, figures
from normstudy.study.recipes import report_data, study
from normstudy.study.runs import run_all
from normstudy.tables import Table

arms = {label: run_all(recipes) for label, recipes in study(report_data()).items()}
rates = figures.schedule(arms)

# %%
# Every point is the learning rate at the start of an epoch. Keep this shape in mind for the next
# figures: where the rate is high the curves are rough, and where it goes to zero they settle. The
# peak of each version was chosen on validation images.

for label, runs in arms.items():
    lr = runs[0].history["lr"]
    assert max(lr) > lr[0], "the learning rate rises"
    assert max(lr) > lr[-1], "and falls again"
    print(
        f"{label}: {lr[0]:.3g} at first, {max(lr):.3g} at most, {lr[-1]:.3g} in the last epoch"
    )

# %%
# Training loss and accuracy
# --------------------------
#
# These are gathered during each epoch, while the weights move and on augmented images. The first
# batches of an epoch are scored by a worse network than the last ones, and a shifted or mirrored
# image is harder than the original. So the curves show the network as worse than it is on the plain
# training images at the end of the epoch.

loss = figures.train_loss(arms)

# %%
# The penalty of the version with L1 is left out of this loss, so that all lines mean the same: the
# mean cross-entropy in nats. Compare the order of the lines here with their order in
# Graph 1. A version that is behind in both has not fitted the training images as well, and it makes
# no sense to say that it learned by heart.

accuracy = figures.train_accuracy(arms)

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
# The lines are training accuracy, as gathered during the epochs, minus test accuracy. They are
# often negative: the network is scored on harder images in training than in the test. Batch norm
# has a second reason to move: in training it uses the statistics of each batch, in the test the
# running averages, which lag behind while the weights move fast
# (:ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py`). The diamonds behind the last
# epoch are the honest gap. What separates a line's end from its diamond is the effect of
# augmentation, of the moving weights and of these two modes, and not of new images.

rows = []
for label, runs in arms.items():
    measures = ("train_accuracy", "test_accuracy", "gap", "train_loss", "test_loss")
    rows.append(
        (
            label,
            str(len(runs)),
            *(str(compare.summarize(runs, name)) for name in measures),
        )
    )
header = (
    "version", "seeds", "training accuracy, %", "test accuracy, %", "gap, points",
    "training loss, nats", "test loss, nats",
)  # fmt: skip
print(Table(header, tuple(rows)))
print(
    "Chance level: accuracy 10 %, loss 2.303 nats. Behind ±: standard deviation over the seeds."
)

# %%
# Read the table by rows. Two versions with the same training accuracy and different test accuracies
# differ in how well they generalize; two with the same gap differ in how well they fit. Which
# versions differ in the gap by more than luck explains? As before, the test is corrected for the
# number of pairs, and the intervals are not.

for difference in compare.differences(arms, "gap"):
    print(difference)

# %%
# In these sentences "ahead" means a smaller gap. A small gap is no virtue in itself: a network that
# guesses has none. It counts in favour of a version only together with a high test accuracy.
#
# What this does not show
# -----------------------
#
# A gap says that something was learned that does not carry over, not what it was. And the gap
# depends on the length of the training and on the augmentation at least as much as on the norm, and
# here both are the same for all versions.
#
# Exercises
# ---------
#
# 1. Set ``crop=0`` and ``flip=False``. What happens to the training curves and to the gap?
# 2. Set ``dropout=0.2``. Which of the two accuracies does it lower first?
# 3. Set ``weight_decay=0`` for the version with the largest gap.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_250_mistakes.py` looks at the images that are still wrong.

import matplotlib.pyplot as plt

plt.show()
