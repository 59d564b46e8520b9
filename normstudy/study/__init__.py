"""The wing that measures: recipes, networks, trainings, and what the runs say."""

import os

# PyTorch asks for this once, at its first large tensor. On Linux, huge pages make a training step
# on the CPU faster: maps come and go, and are not cut into pages of 4 KiB.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
