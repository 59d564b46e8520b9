"""Many records made side by side: one lock each, and nothing lost with a worker that dies.

The workers are joblib's, of whatever backend is active. What is made, and how it is kept, the
caller says.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
from filelock import FileLock, Timeout
from tqdm import tqdm

from normstudy.study import store
from normstudy.study.locks import held, say

_GIVEN_UP = 3  # deaths of workers: side by side with others, once more, and alone


@dataclass(slots=True, kw_only=True)
class Crew:
    """Makes records side by side, and holds the lock of each while it is in work."""

    place: Path
    """The store."""
    task: Callable[[str], Any]
    """What a worker does for a record, as ``joblib.delayed`` has it; returns name and result.

    It is asked for with the lock in hand.
    """
    is_made: Callable[[str], bool]
    """Whether another process has made it since; asked with the lock in hand."""
    take: Callable[[str, Any], None]
    """Keeps what a worker made."""
    progress: bool
    locks: dict[str, FileLock] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    elsewhere: list[str] = field(default_factory=list)
    """What other processes are making."""
    deaths: Counter[str] = field(default_factory=Counter)
    """How often a worker died while the record was in work or next in line, there or elsewhere."""

    def make(self, names: Sequence[str], jobs: int) -> list[str]:
        """Make everything, and return the names of what took its worker along each time.

        Joblib does not tell which worker died, and stops the others with it. What was in work goes
        on in new workers, behind all else, and alone after a second death.
        """
        with tqdm(total=len(names), desc="Trainings", disable=not self.progress) as bar:
            rest = list(names)
            while rest:
                fewest = self.deaths[rest[0]]
                together = [name for name in rest if self.deaths[name] == fewest]
                self._side_by_side(together[: 1 if fewest == _GIVEN_UP - 1 else None], jobs, bar)
                rest = [name for name in rest if not self._settled(name)]
                rest.sort(key=self.deaths.__getitem__)
            while self.elsewhere:
                name = self.elsewhere.pop(0)
                lock = store.lock(self.place, name)
                with held(lock, f"training {name}", progress=self.progress):
                    pass  # until it is made, or given up
                self._side_by_side([name], 1, bar)
        return [name for name in names if self.deaths[name] == _GIVEN_UP]

    def _settled(self, name: str) -> bool:
        """Whether nothing more is to be done for a record in a worker."""
        return name in self.done or name in self.elsewhere or self.deaths[name] == _GIVEN_UP

    def _side_by_side(self, names: Sequence[str], jobs: int, bar: "tqdm[Any]") -> None:
        """Make some of the records, or as many as are made before a worker dies."""
        crew = joblib.Parallel(
            n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs, batch_size=1
        )
        try:
            with closing(crew(self._tasks(names, bar))) as results:
                for name, result in results:
                    self.take(name, result)
                    self._finish(name, bar)
        except BrokenProcessPool:
            self.deaths.update(list(self.locks))
            if self.progress:
                say(
                    "a worker was killed, as happens where memory is short; what was in work or "
                    "next in line goes on, after its last finished epoch if it has one: "
                    f"{', '.join(self.locks)}"
                )
        finally:
            for lock in self.locks.values():
                lock.release()
            self.locks.clear()

    def _tasks(self, names: Sequence[str], bar: "tqdm[Any]") -> Iterator[Any]:
        """Yield one task after the other; joblib takes as many at a time as there are workers."""
        for name in names:
            lock = store.lock(self.place, name)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self.elsewhere.append(name)
                continue
            self.locks[name] = lock
            if self.is_made(name):
                self._finish(name, bar)
            else:
                yield self.task(name)

    def _finish(self, name: str, bar: "tqdm[Any]") -> None:
        self.locks.pop(name).release()
        self.done.add(name)
        bar.update()
