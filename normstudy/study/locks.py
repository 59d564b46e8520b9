"""One process at a time, and a word from whoever has to wait."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from tqdm import tqdm


def say(text: str) -> None:
    """Write a line to standard error, above the progress bars."""
    tqdm.write(f"normstudy: {text}", file=sys.stderr)


@contextmanager
def held(lock: FileLock, doing: str, *, progress: bool = True) -> Iterator[None]:
    """Hold a lock; where another process holds it, say what that is doing, and wait."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if progress:
            say(f"another process is {doing}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
