"""Batch, layer and group normalization: computed by hand, and compared with one small network.

The package has two wings. One explains each normalization with numbers that a reader can check;
the other trains one network under every normalization and keeps what came out. The pages of the
report (``examples/``) are the only place where the two meet.
"""

from importlib.metadata import version

__version__ = version("normstudy")
