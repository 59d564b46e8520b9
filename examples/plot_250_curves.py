"""
Graph 1 and Graph 2: test curves
================================

Test loss and test accuracy of all versions, epoch by epoch, with the spread over several seeds.

**The question.** Which version learns fastest, which ends best, and is the distance between them
larger than the distance between two seeds of one version?

**You will see** Graph 1 (test loss) and Graph 2 (test accuracy), a table of the last epoch with
chance level and spread, and what picking the best epoch would have added.
"""

# %%
# The runs
# --------
#
# Each version of the network, an *arm* of the study, was trained with several seeds, for the same
# number of epochs, on all training images. A seed decides the initial weights, the order of the
# images and their augmentation. Runs that are there already are read; what is missing is trained
# now.

from normstudy.study import compare, figures
from normstudy.study.recipes import report_data, study
from normstudy.study.runs import run_all
from normstudy.tables import Table

arms = {label: run_all(recipes) for label, recipes in study(report_data()).items()}

# %%
# Graph 1: test loss
# ------------------
#
# The loss is the mean cross-entropy over all test images, in nats. It falls when the network puts
# more probability on the true class, even where its answer stays the same, and it punishes wrong
# answers that are given with confidence.

graph_1 = figures.test_loss(arms)

# %%
# Read a line from left to right: one point an epoch, the mean over the seeds. The band around it
# reaches from the lowest to the highest seed, so a wide band is an epoch in which luck decided.
# The middle of the training is restless because the learning rate is high there: each step
# overshoots. In the last epochs the learning rate goes to zero, the lines settle, and only then are
# they comparable. The number at a line's end is its last epoch, with the standard deviation over
# the seeds.
#
# Which lines are apart, and which only look so? A line above another says little when their bands
# overlap. The sentences below come from a test that is paired by seed, and corrected for the number
# of pairs it looks at. The intervals in them are not corrected: each is that of its pair alone, so
# a pair may stay undecided although its interval keeps clear of zero.

for difference in compare.differences(arms, "test_loss"):
    print(difference)

# %%
# Graph 2: test accuracy
# ----------------------
#
# The accuracy counts the test images whose most probable class is the true one. It is coarser than
# the loss, and it is what most reports quote.

graph_2 = figures.test_accuracy(arms)

# %%
# The lines read as before, now with higher meaning better. Where the figure has dotted lines, they
# are the best accuracies among some 45 public reports of the same study: a network with as few
# parameters, as many epochs, one seed, and the best epoch as picked on the test images themselves.
# Our lines are means over seeds of the last epoch, which nobody picked, so the comparison is to our
# disadvantage.
#
# Do the two graphs agree on the order of the versions? They need not: a version can be right more
# often and yet pay more for its errors. The table sets both measures side by side.

rows = []
for label, runs in arms.items():
    accuracy, loss = (
        compare.summarize(runs, name) for name in ("test_accuracy", "test_loss")
    )
    single = compare.sampling_error(runs[0])[0]
    rows.append((label, str(accuracy.n), str(accuracy), f"{single:.2f}", str(loss)))
header = (
    "version",
    "seeds",
    "test accuracy, %",
    "sampling error, points",
    "test loss, nats",
)
print(Table(header, tuple(rows)))
print(
    f"Chance level: 10 % and 2.303 nats. Test images: {len(arms['Batch norm'][0].predictions):,}"
)

# %%
# Two kinds of spread stand in this table. The number behind ± is the standard deviation over the
# seeds: how far another training of the same version would typically end from here. The sampling
# error is how far the accuracy of one trained network would typically move on other test images.
# The second is common to all versions to a large part, since they are scored on the same images.
# The comparisons above look at the first kind alone: at other seeds, on these images.
#
# The last epoch, not the best one
# --------------------------------
#
# It is tempting to quote the best epoch of a run. But which epoch is the best was found on the test
# images, so its accuracy is no longer a fair test. How much would that have added?

rows = []
for label, runs in arms.items():
    histories = [run.history["test_accuracy"] for run in runs]
    gains = [100 * (max(history) - history[-1]) for history in histories]
    added = sum(gains) / len(gains)
    epochs = (str(1 + history.index(max(history))) for history in histories)
    rows.append((label, f"{added:.2f}", ", ".join(epochs)))
header = ("version", "best minus last epoch, points", "best epoch of each seed")
print(Table(header, tuple(rows)))

# %%
# The second column is never negative: picking can only add. It is small where the learning rate has
# gone to zero by the end, and it would be much larger for a training that ends at a high rate. All
# numbers in this report are from the last epoch.
#
# What this does not show
# -----------------------
#
# The curves belong to one network, one schedule and one number of epochs. A version that lies
# behind here might catch up in a longer training, and each version has the learning rate that
# suited it best in a short search, so the search is part of what is compared. Graphs of means hide
# single runs: the bands show their extremes only.
#
# Exercises
# ---------
#
# 1. Train the versions for 5 epochs with ``replace(recipe, epochs=5)``. Does the order change?
# 2. Give all versions the same ``lr``. Which of them suffers?
# 3. Compare two seeds of one version as if they were two versions. What does the paired test say,
#    and what would you have concluded from the picture?
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_240_training.py` sets the training curves beside these, and
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` draws the conclusions.

import matplotlib.pyplot as plt

plt.show()
