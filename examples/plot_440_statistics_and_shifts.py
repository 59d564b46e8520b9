"""
Batch norm in training and in use
=================================

The accuracy of batch norm with the statistics of the batch, with moving averages and with precise
statistics, epoch by epoch, and on test images that are lighter, flatter or noisy.

**The question.** How much does batch norm lose between training and evaluation, when, and what
happens where the test images do not look like the training images?
"""

from normstudy.study import contrasts, measured, responses
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

arms = run_study(STUDIES["probed"])
losses = measured.shift_losses(arms)
pairs = contrasts.pairs(arms, measured.SHIFTED)
print("In short, batch norm's accuracy in training and in use:")
print(measured.gaps(arms["Batch norm"]))
print("Points lost on shifted test images, on average over all shifts:")
print("; ".join(f"{arm} {lost:.1f}" for arm, lost in losses.items()))
print("Decided on these images:", contrasts.ahead(pairs))

# %%
# So a test curve of batch norm is too low in the middle of a training, and correct at its end. On
# images of less contrast, batch norm in use falls far behind group norm, and nearly as deep as no
# norm.
#
# **You will see** batch norm scored in three ways, a table for other momenta, the largest falls
# from one epoch to the next under all norms, and a table of accuracies on shifted images.
#
# The runs
# --------
#
# Network and settings of the main study, all images, ten epochs, two seeds. After each epoch a copy
# of the network is scored in other ways too; the training does not notice. Chance level is 10%.
#
# Three ways to score one network
# -------------------------------
#
# In training, batch norm divides by the statistics of the batch. In evaluation it takes moving
# averages of them: at a momentum of 0.1, of about the last ten batches, while the weights moved on.
# Precise statistics (Wu & Johnson 2021) are those of 10,000 training images, with the weights at
# rest. And one can also score with the statistics of the test batch itself, so long as the test
# images come in batches.

ways = measured.statistics_figure(
    arms["Batch norm"],
    name="statistics",
    title="One network, three scores",
)

# %%
# Where the curve of moving averages lies below the other two, the network is good and its averages
# are stale. While the learning rate is high, the weights may move far within ten batches. In the
# last epochs the rate goes to zero, so that the weights come to rest and the averages can catch up:

print(measured.gaps(arms["Batch norm"]))
print(measured.statistics_table({"Batch norm": arms["Batch norm"]}))

# %%
# A gap that closes is one reason to end a training at a small rate, and one more not to trust test
# curves in its middle. The statistics of the test batch are a little behind both: 128 images are a
# small sample, and they score each image by what its neighbours happen to be.
#
# Momentum
# --------
#
# A larger weight for the newest batch forgets stale statistics sooner, and averages over fewer
# images; a smaller one the other way round. Two further values, two seeds each; the largest gap is
# that of any epoch and any seed:

momenta = responses.by(run_study(STUDIES["bn-momentum"]), lambda r: r.bn_momentum)
of_momentum = dict(momenta["Batch norm"]) | {0.1: arms["Batch norm"]}
by_momentum = {f"momentum {m:g}": of_momentum[m] for m in sorted(of_momentum)}
print(measured.statistics_table(by_momentum))

# %%
# The momentum changes nothing in the training itself, since only evaluation reads the averages. The
# column of moving averages is what it decides, and with it the last two, the gap and its epoch. At
# the end they agree whatever the momentum is, so it does not decide how good the network becomes,
# but how far its test curve can be trusted on the way. That the trainings are the same can be seen:

histories = [
    [run.history["train_loss"] for run in runs] for runs in by_momentum.values()
]
print(
    "the same training loss in every epoch:", all(h == histories[0] for h in histories)
)

# %%
# Spikes of norms without averages
# --------------------------------
#
# Group and layer norm are the same function in training and evaluation. If their test curves jump
# as well, stale averages cannot be the only cause of jumps. How far does the accuracy fall from one
# epoch to the next, at most? The first column of numbers is the median over the seeds of their
# largest falls, the second the largest fall of all seeds.

print(measured.falls(arms))

# %%
# The last column is the fall between the same two epochs of the same training, scored with precise
# statistics; below zero it is a rise. For batch norm, what of its largest fall is left there is due
# to the weights. For the other arms both columns are the same by construction. The main study, with
# twenty epochs and more seeds, has more occasions to fall, so that the largest of all is a matter
# of single seeds; compare the medians:

print(measured.falls(run_study(STUDIES["main"])))

# %%
# Test images that look different
# -------------------------------
#
# Moving averages describe the training images. On lighter, flatter or noisy ones they describe
# something that is not there. All numbers are accuracies after the last epoch, in percent. The
# names say what is added to the pixels, by what the contrast is multiplied, or how strong the noise
# is, on a scale from 0 to 1.

print(measured.shift_table(arms))

# %%
# The second column scores batch norm with the statistics of the shifted batch, 128 images of the
# same shift. More light moves means, less contrast shrinks variances, and noise widens the maps: of
# each, new statistics may take something back.

print(measured.won_back(arms["Batch norm"]))

# %%
# Group and layer norm always take their statistics from the image at hand. Does that help them?
# These are the means over all shifts, with batch norm's moving averages:

from normstudy.study import summaries

print(summaries.pairs(pairs))

# %%
# The intervals take the spread of all four arms together, since two seeds know little of their own,
# and hold for all six pairs at once. But a mean over three kinds of shifts may hide what they do
# one by one. What is decided for each kind, in the same way, and for all kinds together where batch
# norm has the statistics of the shifted batch:

from normstudy.study.probes import CORRUPTIONS

for kind in CORRUPTIONS:
    print(f"{kind}: {contrasts.ahead(contrasts.pairs(arms, measured.shifted(kind)))}")
together = contrasts.pairs(arms, measured.SHIFTED_TOGETHER)
print(f"all, with statistics of the batch: {contrasts.ahead(together)}")

# %%
# Why does batch norm in use lose so much where the contrast is low, nearly as much as no norm? With
# moving averages it divides all images by the same numbers: it is a factor and a shift for each
# channel, which could be folded into the convolution
# (:ref:`sphx_glr_auto_examples_plot_510_costs.py`). In use, its scale and shift do not adapt to the
# image, just as without a norm. Compare the two columns, above all for contrast. With the
# statistics of a batch that is shifted alike, it is ahead of all others. But such a batch has to be
# there.
#
# By hand, for one image: brightness is a shift of all pixels, contrast a factor around the mean.
# A norm right after the image would take both out:

import torch

torch.manual_seed(0)
image = torch.rand(1, 1, 8, 8, dtype=torch.float64)
norm = torch.nn.GroupNorm(1, 1, eps=0, affine=False).double()
lighter, flatter = image + 0.2, 0.5 * image + 0.1
assert torch.allclose(norm(lighter), norm(image))
assert torch.allclose(norm(flatter), norm(image))

# %%
# In the network a convolution stands before the first norm and shifts each channel by another
# amount, while a group shares one mean; its padding is zero and not light, and pixels are cut off
# at white. So the shifts are not taken out entirely.
#
# At full length
# --------------
#
# Twenty epochs, as in the main study, with one seed of batch norm and one of group norm:

from normstudy.study.measures import summarize
from normstudy.tables import Table, number

full = run_study(STUDIES["probed-full"])
print(measured.gaps(full["Batch norm"]))
rows = []
for kind in CORRUPTIONS:
    read, cells = measured.shifted(kind), [kind]
    for of in (full, arms):
        one, other = (
            summarize(of[arm], read).mean for arm in ("Batch norm", "Group norm")
        )
        cells.append(number(one - other, 1, sign=True))
    rows.append(tuple(cells))
header = ("Batch norm \N{MINUS SIGN} group norm, points", "20 epochs", "10 epochs")
print(Table(header, tuple(rows)))

# %%
# At full length the readings are the same: moving averages are behind for nearly all of the
# training and not at its end, and batch norm falls far behind group norm where the contrast is
# low, and not where images are brighter. What noise costs, one seed cannot tell any better.
#
# What others found
# -----------------

from normstudy.study.literature import PRECISE

print(PRECISE.table(), PRECISE.source, sep="\n")

# %%
# There the gap is small with 32 images in a batch and large with two. Hendrycks and Dietterich
# (2019) made the shifts of test images a benchmark, with more kinds than these three; Schneider et
# al. (2020) found that statistics of the shifted images win back a good part of what is lost.
#
# What this does not show
# -----------------------
#
# The statistics of a test batch are no way to answer for a single image, and they break where all
# images of a batch are of one class. Ten epochs and two seeds, or twenty epochs and one, show large
# effects only. Other momenta were not trained at full length. The shifts are ours: three kinds,
# three levels, the same noise for all arms. And no network here saw shifted images in its training,
# which might help it under any norm.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. At a momentum of 0.1, how much of a moving average comes from the last ten batches?
# 2. In how many epochs do precise statistics score better than moving averages?
# 3. Which shift costs batch norm with moving averages most, and what do its batch statistics save?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       share = 1 - 0.9**10
#       print(f"{share:.0%}")
#       assert 0.65 < share < 0.66
#
#    About two thirds. The rest is older, and of weights that are further away.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       precise, moving = (
#           measured.column(arms["Batch norm"], name)
#           for name in ("precise_accuracy", "test_accuracy")
#       )
#       better = int((precise > moving).sum())
#       print(f"{better} of {precise.size}")
#
#    Where they do not, the rate is small and the weights hardly move.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       found = measured.shift_accuracies(arms)
#       moving, batch = found["Batch norm"], found["Batch norm, statistics of the batch"]
#       worst = min(moving, key=moving.get)
#       print(f"{worst}: {moving[worst]:.1f}%, with statistics of the batch {batch[worst]:.1f}%")
#
#    Moving averages describe the images of the training, the batch describes those that are seen.
#    Where the second number is larger, the difference is the price of that.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py` follows the averages by hand, and
# :ref:`sphx_glr_auto_examples_plot_540_frozen.py` asks which statistics to keep in fine-tuning.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
