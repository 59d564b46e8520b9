"""
Graph 1 and Graph 2: test curves
================================

Test loss and test accuracy of all arms, epoch by epoch, with the spread over several seeds.

**The question.** Which arm ends best, and is the distance between two arms larger than that between
two seeds of one arm?
"""

from normstudy.study import figures, summaries
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
arms = run_study(study)
print("In short, after the last epoch:")
print(summaries.extremes(arms, ["test_loss", "test_accuracy"]))

# %%
# **You will see** Graph 1 (test loss) and Graph 2 (test accuracy), a table of the last epoch with
# chance level and spread, and what picking the best epoch would have added.
#
# The runs
# --------
#
# Each arm was trained with several seeds, for the same number of epochs, on all training images. A
# seed decides the initial weights, the order of the images and their augmentation. Runs that are
# there already are read; what is missing is trained now.
#
# Graph 1: test loss
# ------------------
#
# The loss is the mean cross-entropy over all test images (the first term of equation :eq:`loss`),
# in nats. It falls when the network puts more probability on the true class, even where its answer
# stays the same, and it punishes wrong answers that are given with confidence.

graph_1 = figures.history(arms, "test_loss", title="Graph 1: test loss")

# %%
# Read a line from left to right: one point an epoch, the mean over the seeds. The band around it
# reaches from the lowest to the highest seed, so a wide band is an epoch in which luck decided. The
# middle of the training is restless because the learning rate is high there, and each step
# overshoots. In the last epochs the learning rate goes to zero and the lines become smooth, though
# they still fall. Only at their end are they comparable: the order in the middle says little about
# the order there.
#
# Which lines are apart, and which only look so? Bands show single seeds, and means are known more
# closely, so whether bands overlap does not tell. The intervals in the table hold for all pairs at
# once (Games & Howell 1976): in 95 of 100 studies like this one, every one of them covers its true
# difference. An arm is *ahead* where the interval keeps clear of zero. Otherwise the pair is
# *open*, or, for accuracies, *equal* if the whole interval lies within half a point of zero.

losses = differences(arms, "test_loss")
print(summaries.pairs(losses))

# %%
# A negative difference means that the first arm of the pair has the lower loss, and so the better
# one.
#
# Graph 2: test accuracy
# ----------------------
#
# The accuracy counts the test images whose most probable class is the true one. It is coarser than
# the loss, and it is what most reports quote.

reference = study.reference if study.data == "cifar10" else None
graph_2 = figures.history(
    arms, "test_accuracy", title="Graph 2: test accuracy", reference=reference
)

# %%
# The lines read as before, now with higher meaning better. Where the figure has dotted lines, they
# are the highest accuracies that we found in class reports of the same study. The caption says
# where they come from: a network with as few parameters and at most as many epochs, but a single
# seed, and the best epoch as picked on the test images themselves. Our lines are means over seeds
# of the last epoch, which nobody picked, so the comparison is to our disadvantage.
#
# Do the two graphs agree on the order of the arms? They need not: an arm can be right more often
# and yet pay more for its errors. The table sets both measures side by side.

print(summaries.accuracies(arms))
num_images = arms["Batch norm"][0].num_scored
print(f"Chance level: 10% and 2.303 nats. Test images: {num_images:,}")

# %%
# Two kinds of spread stand in this table. The number behind ± is the standard deviation over the
# seeds: how far another training of the same arm would typically end from here. The sampling error
# is how far the accuracy of one trained network would typically move on other test images. The
# second is common to all arms to a large part, since they are scored on the same images. The
# comparisons above look at the first kind alone: at other seeds, on these images.
#
# The last epoch, not the best one
# --------------------------------
#
# It is tempting to quote the best epoch of a run. But which epoch is the best was found on the test
# images, so its accuracy is no longer a fair test. How much would that have added?

print(summaries.best_epochs(arms))

# %%
# No gain is negative: picking can only add. Here it adds next to nothing, since the learning rate
# has gone to zero by the end; it would add more to a training that ends at a high rate. All numbers
# in this report are from the last epoch.
#
# What this does not show
# -----------------------
#
# The curves belong to one network, one schedule and one number of epochs. An arm that lies behind
# here might catch up in a longer training, and each arm has the learning rate that suited it best
# in a short search, so the search is part of what is compared. Graphs of means hide single runs:
# the bands show their extremes only.
#
# Exercises
# ---------
#
# All three use the runs above and train nothing.
#
# 1. Keep only the first seed of every arm. What does the test say about the same curves?
# 2. In which epoch does the best arm pass the last accuracy of the arm that ends lowest?
# 3. Score every run by its best epoch. Can that lower an accuracy, and does the order change here?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       single = {arm: runs[:1] for arm, runs in arms.items()}
#       found = differences(single)
#       print(summaries.pairs(found))
#       assert not any(difference.decided for difference in found)
#
#    Nothing is decided. The picture would look just as convincing, but one seed says nothing about
#    how far another would end from it.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from normstudy.study.measures import summarize
#
#       last = {arm: summarize(runs).mean for arm, runs in arms.items()}
#       best, lowest = max(last, key=last.get), min(last, key=last.get)
#       epochs = zip(*(run.history["test_accuracy"] for run in arms[best]), strict=True)
#       means = [100 * sum(epoch) / len(epoch) for epoch in epochs]
#       passed = next(e for e, mean in enumerate(means, 1) if mean >= last[lowest])
#       print(f"{best} passes the last {last[lowest]:.2f}% of {lowest} in epoch {passed}")
#       assert passed < len(means)
#
#    Only in the last epochs: while the learning rate is high, all arms stay below what they reach
#    at the end.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from statistics import mean
#
#       tops, lasts = (
#           {a: mean(pick(r.history["test_accuracy"]) for r in runs) for a, runs in arms.items()}
#           for pick in (max, lambda history: history[-1])
#       )
#       assert all(tops[arm] >= lasts[arm] for arm in arms)
#       same = sorted(tops, key=tops.get) == sorted(lasts, key=lasts.get)
#       print(f"the order {'stays' if same else 'changes'}")
#
#    It can lower none, and hardly raise one, since the learning rate has gone to zero by the last
#    epoch.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_260_training.py` sets the training curves beside these, and
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` draws the conclusions.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
