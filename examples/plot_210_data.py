"""
The images, and what guessing scores
====================================

The images that every arm of the study is trained on, how they are split, and what is done to them
before the network sees them.

**The question.** What is there to learn, on how many images is it scored, and what would a guess
achieve?
"""

from normstudy.study import pictures, summaries
from normstudy.study.data import draw_batch, load
from normstudy.study.studies import STUDIES

study = STUDIES["main"]
images = load(study.data)
error = 100 * (0.85 * 0.15 / len(images.test)) ** 0.5
print(
    f"In short: {len(images.classes)} classes, {len(images.train):,} images to learn them from "
    f"and {len(images.test):,} to be scored on.\nA guess is right for about 10% of them, and an "
    f"accuracy of 85% has a standard error of {error:.2f} points."
)

# %%
# **You will see** sample images of every class, a table of the splits, the chance level that
# belongs beside every score, and what augmentation and normalization do to a batch.
#
# The images
# ----------
#
# The study uses CIFAR-10: 60,000 colour photographs of 32 × 32 pixels in ten classes, 6,000 of each
# (Krizhevsky 2009). Where that cannot be downloaded, the same report is built on scikit-learn's
# handwritten digits, and a banner on each page says so. The pictures are so small that some are
# hard even for people, which is worth remembering on the page about mistakes.

samples = pictures.samples(images)

# %%
# Each row of the figure is one class. Look along a row to see how much the images of one class
# differ: in pose, in background, in how much of the picture the object fills. Then look down a
# column for rows that resemble each other. Those are the classes that a network confuses.
#
# How many, and what would a guess score?
# ---------------------------------------
#
# Settings are chosen on a validation split, which is taken out of the training images and always
# holds the same ones, whatever the seed. The test images score the result and choose nothing: what
# is trained, with how many seeds, and how it is judged were written down before this study was
# trained (:ref:`plan`). An earlier study with another network had looked at them twice before it
# was finished, which is why this one has a plan.

print(summaries.splits(images))

# %%
# The last column is the accuracy of a network that always gives the most frequent answer. With ten
# classes of about equal size it is close to 10%, and this *chance level* stands in every figure of
# accuracy. A network that gives every class the probability 1/10 has a loss of
# :math:`\ln 10 \approx 2.303` nats, the chance level of the loss.
#
# The number of test images also limits how precisely any accuracy can be known. An accuracy
# :math:`a`, measured on :math:`n` images, has the standard error
# :math:`\sqrt{a (1 - a) / n}`, even for a single network that is trained no further:

for accuracy in (0.80, 0.85, 0.90):
    error = (accuracy * (1 - accuracy) / len(images.test)) ** 0.5
    print(f"accuracy {accuracy:.0%}: standard error {100 * error:.2f} points")

# %%
# So two networks whose accuracies differ by less than that may well change places on other test
# images. All arms of this study are scored on the same images. The verdicts on the page of
# findings ask what other seeds would give on these images; further intervals there count the images
# too.
#
# What happens to a batch
# -----------------------
#
# During training, each image is padded by a few reflected pixels, cut out again at a random place,
# and in half of the cases mirrored, where a mirror image keeps its class (a mirrored 3 is no 3).
# Then the mean of each colour is subtracted and its standard deviation divided out, both taken over
# the training images. This is normalization too, of the images, once and for all. It is the same
# in all arms.

import torch

recipe = study.recipes()["Batch norm"][0]
index = torch.arange(recipe.batch_size)
once, again = (
    draw_batch(images, images.train, index, recipe, torch.Generator().manual_seed(seed))
    for seed in (0, 1)
)
print(f"a batch of images: {tuple(once.shape)}, that is (N, C, H, W)")
print(f"mirrored: {'half of the images' if images.mirror else 'none'}")
print(f"cut from {recipe.crop} reflected pixels around the image")

every = images.normalize(images.train.images)
print(
    f"over all training images: mean {every.mean().item():z.4f}, variance {every.var():.4f}"
)
assert every.mean().abs() < 1e-3
assert (every.var() - 1).abs() < 1e-2

# %%
# The same images come out differently in every epoch, so the network cannot learn single pixels by
# heart. Test images are normalized, with the constants of the training images, and otherwise left
# alone.

changed = (once != again).flatten(1).any(1).float().mean().item()
print(f"images of the batch that look different in the next epoch: {changed:.0%}")

# %%
# What this does not show
# -----------------------
#
# Ten samples of a class do not say what the class is like. Nothing here says whether training and
# test images are independent of each other: CIFAR-10 is known to hold near-duplicates across the
# two (Barz & Denzler 2020), so every published accuracy on it, ours included, is a little too high.
#
# Exercises
# ---------
#
# 1. Set ``crop=0`` and ``flip=False`` in the recipe. What does the last number become?
# 2. Set ``rotation=15`` as well, and compare two batches again.
# 3. How many test images would you need for a standard error of 0.1 points at an accuracy of 90%?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       plain = replace(recipe, crop=0, flip=False)
#       first, second = (
#           draw_batch(images, images.train, index, plain, torch.Generator().manual_seed(seed))
#           for seed in (0, 1)
#       )
#       assert first.equal(second)
#
#    0%: without augmentation every epoch shows the same images, in another order.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       from dataclasses import replace
#
#       turned = replace(recipe, crop=0, flip=False, rotation=15)
#       first, second = (
#           draw_batch(images, images.train, index, turned, torch.Generator().manual_seed(seed))
#           for seed in (0, 1)
#       )
#       assert (first != second).flatten(1).any(1).all()
#
#    100%: the angle is drawn from a continuum, so no image is turned alike twice. Unlike a crop by
#    whole pixels, a rotation also blurs the image a little.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       needed = 0.9 * (1 - 0.9) / 0.001**2
#       assert round(needed) == 90_000
#
#    90,000, nine times as many as CIFAR-10 has. The error falls with the root of the number.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_220_model.py` describes the network that these batches enter.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
