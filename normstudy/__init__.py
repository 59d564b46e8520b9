"""Normalization layers: computed by hand, and compared with one small network.

The package has two wings. One explains each normalization with numbers that a reader can check;
the other trains one network under every normalization and keeps what came out. They meet in the
pages of the report (``examples/``), in the command line and in two shared modules.
"""

from importlib.metadata import version

__version__ = version("normstudy")
