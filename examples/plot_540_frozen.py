"""
Frozen batch norm for fine-tuning
=================================

A network that knows five digits learns five others from few images, its statistics frozen or not.

**The question.** A trained network is to learn something new from few images, in small batches.
Should batch norm take its statistics from these batches, or keep those that it has?

**The answer.** Here it should let them move. With each way at the best of four learning rates,
moving statistics are ahead of frozen ones by more than five points on images like the old ones, and
by more than fifteen on darker ones. It shows at the larger rates, which frozen statistics do not
bear; at the smaller ones five seeds leave it open.

**You will see** three ways to go on, on two kinds of new images and with four learning rates, and
which of their differences five seeds decide.
"""

# %%
# Three ways to go on
# -------------------
#
# In training mode batch norm normalizes with each small batch, and its running statistics move
# towards the new images. Frozen, it is in evaluation mode while everything else trains: it keeps
# normalizing with the mean and variance of the first training, and only its learned scale and shift
# change. Group norm has no running statistics, and is the third way. Freezing is a loop over the
# layers, to be repeated after each ``net.train()``, which would thaw them:

import copy

import torch
from torch import nn


def freeze(net):
    """Let batch norm keep its running statistics, and use them."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


# %%
# The task
# --------
#
# scikit-learn's digits are images of 8 × 8 pixels. A small network learns the digits 0 to 4 from
# all training images of these. Then it gets a new last layer for the digits 5 to 9 and six images
# of each, in batches of two, and is tested on all test images of these digits. The training images
# of the new digits that are left over choose the learning rate. Five classes to guess from make a
# chance level of 20%.
#
# In a second version the new images are dark: each pixel has a third of its brightness. Statistics
# that are right for the old images are wrong for these.

from normstudy.study.data import load

digits = load("digits")
train, test = (digits.normalize(split.images) for split in (digits.train, digits.test))
labels, test_labels = digits.train.labels, digits.test.labels
old, new = labels < 5, test_labels >= 5


def few(seed):
    """Draw six training images of each new digit, and return those that are left as well."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    of = [order[labels[order] == digit] for digit in range(5, 10)]
    parts = (torch.cat([o[:6] for o in of]), torch.cat([o[6:] for o in of]))
    return [(train[part], labels[part] - 5) for part in parts]


def dark(images):
    """Give each pixel a third of its brightness, on the scale of the normalized images."""
    black = (0 - digits.mean) / digits.std
    return black + (images - black) / 3


# %%
# The trainings
# -------------
#
# The network is two convolutions, each with a norm and a ReLU, an average and a linear layer. For
# each seed it is trained once with batch norm and once with group norm, and all ways go on from
# there with the same images in the same order.

from normstudy.study.finetuning import accuracy, beside, figure, fit, table


def network(norm):
    """Build the network, with a first last layer."""
    layers = []
    for before, behind in ((1, 16), (16, 32)):
        layer = nn.BatchNorm2d(behind) if norm == "batch" else nn.GroupNorm(4, behind)
        convolution = nn.Conv2d(before, behind, 3, padding=1, bias=False)
        layers += [convolution, layer, nn.ReLU()]
    layers.insert(3, nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5)
    )


ways = {"moving": "batch", "frozen": "batch", "Group norm": "group"}
versions = {"plain": nn.Identity(), "dark": dark}
rates = (0.001, 0.003, 0.01, 0.03)
scores, chosen_by, started = {}, {}, {"batch": [], "group": []}
for seed in range(5):
    torch.manual_seed(seed)
    trained = {norm: network(norm) for norm in ("batch", "group")}
    for norm, net in trained.items():
        fit(net, train[old], labels[old], epochs=5, batch_size=64, lr=0.01, seed=seed)
        started[norm].append(accuracy(net, test[~new], test_labels[~new]))
    head, ((images, answers), (rest, of_rest)) = nn.Linear(32, 5), few(seed)
    for version, change in versions.items():
        for lr in rates:
            for way, norm in ways.items():
                net = copy.deepcopy(trained[norm]).train()
                net[-1] = copy.deepcopy(head)
                if way == "frozen":
                    freeze(net)
                fit(
                    net,
                    change(images),
                    answers,
                    epochs=4,
                    batch_size=2,
                    lr=lr,
                    seed=seed,
                )
                place = (f"{version}, lr {lr:g}", way)
                score = accuracy(net, change(test[new]), test_labels[new] - 5)
                scores.setdefault(place, []).append(score)
                on_rest = accuracy(net, change(rest), of_rest)
                chosen_by.setdefault(place, []).append(on_rest)

# %%
# What came of it
# ---------------
#
# Each way with the one of its learning rates that is best on the images left over, on average over
# the seeds, and what moving statistics are ahead by, seed by seed:

at_best = {}
for version in versions:
    for way in ways:
        places = [(f"{version}, lr {lr:g}", way) for lr in rates]
        best = max(places, key=lambda place: sum(chosen_by[place]))
        print(f"{best[0]}: {way}")
        at_best[version, way] = scores[best]
print(table(at_best))
for other in ("frozen", "Group norm"):
    print(beside(at_best, "moving", other))

means = {place: sum(values) / len(values) for place, values in at_best.items()}
ahead = [means[version, "moving"] - means[version, "frozen"] for version in versions]
assert ahead[0] > 5
assert ahead[1] > 15

# %%
# The same seed means the same images and orders, so the differences are taken seed by seed. The
# intervals of a table hold together; where one holds zero, these seeds do not decide. The picture
# has every seed:

picture = figure(
    at_best,
    title="Five new digits from six images each",
    note="Each way at its best rate; test images of the new digits; chance level 20%.",
    name="fine-tuning",
)

# %%
# The seeds lie far apart, so a single run would decide nothing. What does darkness cost each way?
# Five seeds leave that open:

across = {(way, version): values for (version, way), values in at_best.items()}
print(beside(across, "dark", "plain"))

# %%
# All rates, mean ± standard deviation over five seeds of what the fine-tuned networks get right of
# the new digits:

print(table(scores))
print(beside(scores, "moving", "frozen"))

# %%
# Under each way some rate is too high, and under moving statistics it is the highest of all: they
# normalize the maps anew after each step, however far the weights have moved. Where the statistics
# are frozen, nothing takes that up. At the two smaller rates five seeds decide nothing, on either
# kind of image: where the advantage shows, it is with larger steps.
#
# Group norm started from a weaker network, which may be a part of its distance. Of the old digits,
# the first trainings get right, in the five seeds:

for norm, found in started.items():
    print(f"{norm}: {', '.join(f'{value:.0f}%' for value in found)}")

# %%
# What darkness does to the maps
# ------------------------------
#
# A frozen batch norm subtracts the mean of the *old* images and divides by their deviation. Dark
# images vary less, so the next layer gets less than it learned to read:

net, variances = copy.deepcopy(trained["batch"]), {}
for mode in (False, True):  # the second moves the statistics
    for version, change in versions.items():
        y = net.train(mode)[:2](change(test[new]))
        variances[mode, version] = y.var((0, 2, 3)).mean().item()
print(
    f"moving: {variances[True, 'plain']:.2f} for plain, {variances[True, 'dark']:.2f} for dark"
)
print(
    f"frozen: {variances[False, 'plain']:.2f} for plain, {variances[False, 'dark']:.2f} for dark"
)
assert variances[False, "dark"] < variances[False, "plain"] / 3

# %%
# These are means over the channels of their variances after the first norm. The statistics of the
# batch undo the change: away from the border, darkness is a factor and a shift for each channel of
# the maps, which batch norm does not see. Group norm sees it: the shift is another one for each
# channel, and the channels of a group share their mean
# (:ref:`sphx_glr_auto_examples_plot_188_invariances.py` has both cases). That is a reason for
# frozen statistics to lose something on dark images. On plain ones, whose variance at the first
# norm is what they remember, they do worse at the higher rates alone.
#
# The batches are small in images only. In a batch of two a channel has 128 values at the first norm
# and 32 at the second. Whether larger batches would do better was not tried.
#
# What this does not show
# -----------------------
#
# Large networks. There, batch norms are often frozen, with statistics from a million images of the
# same kind, and batches of one or two images of one scene, whose pixels resemble each other. Here
# the statistics come from five digits and go on to five others. These are five seeds of a network
# of a few thousand weights, with four learning rates. And whoever has six images of each digit has
# none left over to choose a rate by.
#
# Exercises
# ---------
#
# 1. Does a frozen batch norm in a network in training mode move its running statistics?
# 2. Freeze a network, and call ``net.train()`` again. What happens?
# 3. Give a network of the first training the dark images without any further training, once in
#    evaluation mode and once with the statistics of the test images. Which scores more of the old
#    digits?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       layer = nn.BatchNorm2d(1)
#       still = nn.Sequential(layer).train()
#       freeze(still)
#       still(test)
#       assert still.training and layer.num_batches_tracked == 0
#       assert layer.weight.requires_grad
#
#    No: the mode of the layer decides, not that of the network. Its scale and shift go on learning.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       thawed = nn.Sequential(nn.BatchNorm2d(1))
#       freeze(thawed)
#       thawed.train()(test)
#       assert thawed[0].num_batches_tracked == 1
#
#    ``train`` goes through all layers and thaws them: the statistics move again. So code that
#    freezes does it at the beginning of every epoch, or in the ``train`` method of the network.
#
# .. dropdown:: Answer to 3
#
#    .. code-block:: python
#
#       early = test_labels < 5
#       darkened, answer = dark(test[early]), test_labels[early]
#       kept = copy.deepcopy(trained["batch"])
#       fresh = copy.deepcopy(kept).train()
#       right = (fresh(darkened).argmax(1) == answer).double().mean().item()
#       assert 100 * right > accuracy(kept, darkened, answer)
#
#    The statistics of the test images do. New statistics alone, without a step of training, undo
#    a change of brightness.
#
# Where to go next
# ----------------
#
# What the two modes are: :ref:`sphx_glr_auto_examples_plot_170_train_and_evaluation.py`. What small
# batches do to the gradient: :ref:`sphx_glr_auto_examples_plot_530_accumulation.py`.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
