"""
How small may a batch be?
=========================

Batch sizes from 1 to 512 under batch, group, layer and no norm, and batch norm whose statistics run
over a part of a large batch.

**The question.** How much accuracy does batch norm lose when batches get small, which norms lose
nothing, and is it the statistics that suffer or the steps?
"""

from normstudy.study import contrasts, responses
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

study = STUDIES["batch-sizes"]
arms = run_study(STUDIES["batch-sizes"])
points = responses.by(arms, lambda r: r.batch_size, study.diverged)
ghosts = responses.by(
    run_study(STUDIES["ghost-batches"]),
    lambda r: r.ghost_batch,
    STUDIES["ghost-batches"].diverged,
)
whole = {128: points["Batch norm"][128]}
SMALL, PARTS = "Batches of this size", "Parts of 128 images"
split = {
    SMALL: {n: points["Batch norm"][n] for n in ghosts["Batch norm"]} | whole,
    PARTS: dict(ghosts["Batch norm"]) | whole,
}
at_length = run_study(STUDIES["batch-sizes-full"])
long = responses.by(
    responses.joined(run_study(STUDIES["main-on-cifar10"]), at_length),
    lambda r: r.batch_size,
    STUDIES["batch-sizes-full"].diverged,
)
print("In short, by the images of a batch, in trainings of full length:")
print(contrasts.against(long, "Batch norm", "Group norm", "images in a batch"))
print("\nIn short trainings:")
for other in ("Group norm", "Layer norm"):
    print(contrasts.in_short(points, "Batch norm", other))
cost = contrasts.compared(split, (PARTS, 128), (PARTS, 2))
print(f"What statistics over 2 of 128 images cost batch norm: {cost}")

# %%
# So with many images batch norm is ahead, and with few it is not: at full length its lead is gone
# with 8 images, and with 4 group norm is ahead. Short trainings, which can be had for every batch
# size, set batch norm further ahead than it is in the end, and let it lead with fewer images. Even
# they show that it is no choice for single images, where nearly the whole loss lies in how it is
# scored. (The intervals of the table hold together, the others each by itself.)
#
# **You will see** accuracy over the batch size for four arms, the same with batches of 128 whose
# statistics run over 2, 8 or 32 images, and two published sweeps beside it.
#
# The runs
# --------
#
# The network and the settings are those of the main study, but for four things. To afford small
# batches, each training takes a fixed fifth of the images, the same for all, with as many of every
# class. It takes ten epochs instead of twenty. It has two seeds. And the learning rate is chosen
# anew for each batch size and each arm, since a rate that suits 128 images may be too large for
# two.
#
# Three rates were tried in a cell, with another seed, on validation images, for five epochs:
# :math:`r (B / 128)^{3/4}`, where r is the arm's rate at 128, and the same divided and multiplied
# by 3.4. These reach both the linear rule (Goyal et al. 2017) and the square-root rule, which
# Krizhevsky (2014) derives, while he found the linear one to work better. The rule that chooses is
# that of all searches here. Single images take the factor that was chosen for two. Batches of 128
# are searched as all others are: the rate of the main study was found with all images.

search = STUDIES["batch-sizes-search"]
tried = responses.cells(
    run_study(STUDIES["batch-sizes-search"]), lambda r: r.batch_size
)
print(responses.choices(tried, diverged=search.diverged))

# %%
# "Lowest" and "highest" mark an end of the three: there a wider grid might have found a better
# rate, so that cell may be too low in what follows. And a rate that diverged with one seed is
# passed over, though without a norm 128 images end higher at it
# (:ref:`sphx_glr_auto_examples_plot_430_rates_and_depth.py`). All arms but batch norm stand at the
# lowest rate with 512 images, so what batch norm is ahead by there is at most what the table says.
#
# What the batch size does
# ------------------------

sizes = responses.figure(
    points, "batch size", name="batch-sizes", title="Test accuracy over the batch size"
)

# %%
# Read each line from right to left. Group norm, layer norm and no norm do not care how many images
# come together: where their lines are not level, the optimizer is the reason, with the number and
# the noise of its steps, the rate, momentum and weight decay. Batch norm's line has the statistics
# in it as well. Towards 512, all lines may fall for a reason that has nothing to do with norms: a
# fifth of the images makes 20 batches of 512, so the network takes 200 steps in all.

print(responses.table(points, "batch size"))
print(f"Chance level: 10%. Test images: {whole[128][0].num_scored:,}. Two seeds.\n")
print(contrasts.pooled(points))
print(contrasts.against(points, "Batch norm", "Group norm", "batch size"))

# %%
# The intervals take the spread that is pooled over the sweep, as if seeds scattered alike in all
# cells, and hold for all rows at once. Seeds scatter more at some sizes than at others, so some
# intervals are too wide and some too narrow, and an open row is no proof that two arms are equal.
# Below the middle between chance and the best cell, two seeds are too few to tell anything.
#
# Why one image is enough for batch norm at all
# ---------------------------------------------
#
# A single image leaves no variance over a batch, and yet batch norm accepts it. On a feature map
# the statistics run over the pixels too. With one image they run over nothing else, and then batch
# norm computes what instance norm does:

import torch

from normstudy.study.model import make_norm

torch.manual_seed(0)
image = torch.randn(1, 24, 16, 16)
batch, instance = (make_norm(norm, 24, num_groups=1) for norm in ("batch", "instance"))
assert torch.allclose(batch(image), instance(image), atol=1e-5)

# %%
# That holds in training. In evaluation instance norm still looks at the image, while batch norm
# takes its running statistics, which are means over the images of the last steps. The network was
# trained as one function and is scored as another:

one, other = (layer.eval()(image) for layer in (batch, instance))
print(f"largest distance in evaluation: {(one - other).abs().max():.2f}")
assert not torch.allclose(one, other, atol=0.1)

# %%
# The smaller the batch, the more the statistics of the training scatter around those of the
# evaluation. On maps of 1x1, where one image does leave a single value, torch refuses.
#
# How much of batch norm's loss comes from that? The trained networks were scored in two more ways:
# with the statistics of test batches as small as those of the training, and with precise ones,
# those of 10,000 training images with the weights at rest (Wu & Johnson 2021):

from normstudy.study import measured

print(
    measured.last_statistics(responses.held(points["Batch norm"]), "images of a batch")
)

# %%
# Next to nothing of it comes from moving averages: precise statistics win back hardly anything at
# any size, unlike in Wu and Johnson's network. With a single image, the statistics of that image
# win back nearly all: the network is as good as under the other norms, but it is evaluated as a
# different function from the one that it was trained as. With two images that difference is within
# the scatter. With 4, 8 and 32 the statistics of the test batch are the worse ones.
#
# Statistics or steps?
# --------------------
#
# Ghost batches (Hoffer et al. 2017) take the two apart. The step is that of 128 images, with its
# learning rate, but batch norm normalizes 2, 8 or 32 of them at a time.

AXIS = "images that share statistics"
apart_figure = responses.figure(
    split, AXIS, name="ghost-batches", title="Statistics or steps?"
)

# %%
# Both lines meet at 128, where they are the same runs. What the line of parts loses, statistics
# over few images cost at the rate of 128, which was not searched again for parts. Batches of two
# lose less, and batches of 8 and 32 are not behind 128: whatever else comes with a small batch
# makes up, in a short training, for what its statistics cost. That may be the many more steps, or
# their noise. (Parts have three seeds.)

print(responses.table(split, AXIS))
below = {what: {n: of[n] for n in ghosts["Batch norm"]} for what, of in split.items()}
print(contrasts.against(below, PARTS, SMALL, AXIS))
print(
    measured.last_statistics(responses.held(ghosts["Batch norm"]), "images of a part")
)

# %%
# A fifth of the images, and all of them
# --------------------------------------
#
# Does the reading hold where nothing is spared? These are trainings on all 50,000 images, for the
# twenty epochs of the main study. Their rates are those of the main study, scaled by :math:`(B /
# 128)^{3/4}` and not searched again. They have fewer seeds than the main study, whose own runs,
# with ten, are those of 128 images; so the intervals rest mostly on the spread of those.

length_figure = responses.figure(
    long, "batch size", name="at-length", title="Test accuracy at full length"
)
print(responses.table(long, "batch size, at full length"))
print()
print(responses.table(long, "batch size, at full length", "train_loss"))
for arm, of in long.items():
    print(f"{arm}, 128 less 4: {contrasts.compared({arm: of}, (arm, 128), (arm, 4))}")

# %%
# The rate of group norm with 32 images is not the one that the search above chose, the highest of
# three. That was trained first, and the scaled rate was taken when its result was known:

searched = {32: run_study(STUDIES["short-rate-full"])["Group norm"]}
pair = ("that rate", 32), ("Group norm", 32)
found = contrasts.compared(long | {"that rate": searched}, *pair)
print(f"that rate less the scaled one: {found}")

# %%
# A rate that is best after five short epochs need not be best after twenty: that one costs group
# norm accuracy. So all rates here follow from those of the main study, without a choice; none of
# them was searched, and a search at full length might find better ones, for either norm.
#
# With 128 and 32 images the reading holds, with a smaller lead. With 8 and 4 it does not: batch
# norm is ahead in short trainings, and at full length it is not. From 128 images to 4, group norm
# loses something for reasons that have nothing to do with its statistics, and batch norm far more;
# its loss on the training images says the same. Both arms take the same number of steps. The long
# trainings have five times the images and twice the epochs, and these runs do not separate the two.
# Is it the scoring?

small = {n: runs for n, runs in long["Batch norm"].items() if n != 128}
print(measured.last_statistics(small, "images of a batch, at full length"))

# %%
# Hardly: precise statistics win back little. What small batches cost batch norm, they cost in
# training.
#
# What others found
# -----------------
#
# Wu and He trained ResNet-50 on ImageNet; two public repetitions took ResNet-20 and CIFAR-10.

from normstudy.study.literature import REPLICATIONS, WU_HE_BATCHES

for published in (WU_HE_BATCHES, *REPLICATIONS):
    print(published.table(), published.source, sep="\n", end="\n\n")

# %%
# In all three tables batch norm is ahead with 16 images and group norm with 4. At full length here,
# batch norm is ahead with 32 and group norm with 4. Theirs are larger networks with a norm after
# every convolution. Wu and He count the images on each of eight devices, whose gradients are added:
# their 4 images share statistics inside a step of 32, as in ghost batches. So the direction can be
# compared, the size of the loss cannot.
#
# What this does not show
# -----------------------
#
# A fifth of the images in ten epochs is a short training, whose accuracies are not to be compared
# with those of the main study, and in which batch norm is further ahead than at full length. The
# rate was chosen from three values by one seed, after half as many epochs. Momentum and weight
# decay were not: their best values may depend on the batch size as well (Wu & Johnson 2021 discuss
# what else changes). And a small batch is slow: nothing here is about time.
#
# Exercises
# ---------
#
# None of these needs a training.
#
# 1. How many values does each mean of batch norm run over, at 1 image and in every place of a norm?
# 2. Two images on maps of 1x1: what can batch norm give in training?
# 3. Which batch size is best for each arm, and how far is 8 images from it?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from normstudy.study.model import Net
#
#       net, cells = Net("batch"), []
#       for layer in net.modules():
#           if isinstance(layer, torch.nn.BatchNorm2d):
#               layer.register_forward_pre_hook(lambda _, x: cells.append(x[0][0, 0].numel()))
#       net(torch.zeros(1, 3, 32, 32))
#       print(cells)
#       assert min(cells) == 16
#
#    From 256 pixels at the stem to 16 in the last blocks. Those are few, but a variance can be
#    taken everywhere.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       pair = torch.tensor([[3.0], [3.5]]).view(2, 1, 1, 1)
#       given = torch.nn.BatchNorm2d(1)(pair).flatten()
#       print(given)
#       assert torch.allclose(given.abs(), torch.ones(2), atol=1e-3)
#
#    Minus one and one, whatever the two values are: everything but their order is lost.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       from normstudy.study.measures import summarize
#
#       for arm, of in points.items():
#           means = {size: summarize(runs).mean for size, runs in responses.held(of).items()}
#           best = max(means, key=means.get)
#           if 8 in means:
#               print(f"{arm}: {best}, and 8 is {means[best] - means[8]:.2f} points behind")
#
#    The best size says as much about the number of steps as about the norm: compare the arms at
#    equal sizes, not each at its own.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_530_accumulation.py` asks whether adding up gradients makes a
# small batch large, and :ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py` follows the
# running statistics by hand.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
