"""
Does a more accurate network keep the order?
============================================

The same layers on maps of twice the side: batch, group and layer norm.

**The question.** The network of the main study was chosen for its speed, and pays for it in
accuracy. Do the distances between the norms hold in a network that is more accurate?
"""

from normstudy.study import controls, summaries
from normstudy.study.compare import differences
from normstudy.study.runs import run_study
from normstudy.study.studies import STUDIES

finer = run_study(STUDIES["finer-maps"])
main = {arm: runs for arm, runs in run_study(STUDIES["main"]).items() if arm in finer}
lost = STUDIES["finer-maps"].diverged
print("In short, on maps of twice the side:", controls.answer(main, finer, lost))

# %%
# **You will see** what the two networks share, what the larger maps bring to each arm, and what
# becomes of the distances.
#
# One layer less
# --------------
#
# The main study's network halves its maps right after the first convolution. Here that pool is
# left out, and nothing else: the layers after it are the same, with the same weights to learn, and
# have four times as many cells to compute.

from normstudy.study.data import load
from normstudy.study.train import build

images = load(STUDIES["main"].data)
nets = {
    "main study": build(main["Batch norm"][0].recipe, images),
    "finer maps": build(finer["Batch norm"][0].recipe, images),
}
sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
print(", ".join(f"{name}: {size:,} parameters" for name, size in sizes.items()))
assert len(set(sizes.values())) == 1
print(summaries.layers(nets["finer maps"], images.size))

# %%
# Each cell sees a smaller part of the image now, and every norm averages over four times as many
# cells.
#
# What the maps bring
# -------------------
#
# Every arm keeps the settings that were searched for the smaller maps. Chance is 10%.

columns = ["test_accuracy", "train_accuracy", "gap"]
print(f"Main study\n{summaries.results(main, columns)}\n")
print(f"Finer maps\n{summaries.results(finer, columns)}\n")
gains = []
for arm, runs in finer.items():
    gains += differences({f"{arm}, finer maps": runs, arm: main[arm]})
print(summaries.pairs(gains))

# %%
# Each of these rows is tested alone.
#
# What becomes of the distances
# -----------------------------
#
# As on the page of the controls: the distance in the main study, here, and by how much it changed,
# with an interval that holds for all pairs at once.

print(controls.table(controls.changes(main, finer), ("main study", "finer maps")))
print(controls.lost(lost, finer))

# %%
# And what is decided on the finer maps alone, whatever the main study found:

print(summaries.pairs(differences(finer)))

# %%
# What this does not show
# -----------------------
#
# This comparison is not in the plan of the main study. It has three seeds an arm, and settings that
# were searched on another network. The other arms were left out for the time that they take.
#
# Exercises
# ---------
#
# Neither of these needs a training.
#
# 1. Over how many cells does each norm take a mean after the first convolution, in both networks?
# 2. How much of the training accuracy that batch norm gains arrives in the test accuracy?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       import torch
#
#       batch = images.normalize(images.test.images[:2])
#       cells = []
#       for net in nets.values():
#           seen = []
#           net.norm1.register_forward_hook(lambda _, given, __, to=seen: to.append(given[0]))
#           with torch.no_grad():
#               net(batch)
#           cells.append(seen[0].shape[-1] ** 2)
#       print("cells of a map: {} and {}".format(*cells))
#       assert cells[1] == 4 * cells[0]
#
#    Batch norm takes the mean over that many for each image of the batch, group norm for each
#    channel of a group, and layer norm for every channel.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       pair = {"finer maps": finer["Batch norm"], "main study": main["Batch norm"]}
#       gains = [differences(pair, name)[0].mean for name in ("train_accuracy", "test_accuracy")]
#       print("points gained: {:.2f} in training, {:.2f} in the test".format(*gains))
#       assert gains[0] != gains[1]
#
#    What does not arrive widens the gap between the two.
#
# Where to go next
# ----------------
#
# :ref:`sphx_glr_auto_examples_plot_290_findings.py` has the main study, and
# :ref:`plan` tells how its network was chosen.

# sphinx_gallery_start_ignore
import matplotlib.pyplot as plt

plt.show()
# sphinx_gallery_end_ignore
