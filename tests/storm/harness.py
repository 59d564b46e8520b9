"""Processes that are killed, crowded and starved: forked from this one, which has PyTorch."""

import contextlib
import io
import json
import os
import platform
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import joblib
import psutil
import torch

from normstudy import __main__ as command
from normstudy.study import environment, runs, train
from normstudy.study.recipes import Recipe
from normstudy.study.train import COLUMNS

SEED = 12
TINY = Recipe(data="digits", epochs=4, batch_size=480, lr=0.1, crop=1, precision="float32")
RECIPES = [replace(TINY, seed=seed, norm=norm) for seed in range(3) for norm in ("batch", "layer")]
FIGURES = Path(__file__).parents[2] / "docs" / "storm.json"
MEASURED = [name for name in COLUMNS if name not in ("seconds", "images_per_second")]

train.train(replace(TINY, epochs=1), device="cpu", progress=False)  # loads all that is forked
_began = time.monotonic()
train.train(TINY, device="cpu", progress=False)
SECONDS = time.monotonic() - _began
"""What a training takes here and now."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it wrote to standard error, without progress bars."""
        text = self.err.replace("\r", "\n").splitlines()
        return [line for line in text if line.strip() and not re.search(r"\d+/\d+ \[", line)]


class Child:
    """A process that calls a function, with files for its output."""

    def __init__(
        self, call: Callable[[], object], folder: Path, *, user: int | None = None
    ) -> None:
        number = time.monotonic_ns()
        self.out, self.err = folder / f"{number}.out", folder / f"{number}.err"
        self.pid = os.fork()
        if self.pid:
            return
        status = 70
        try:
            os.setpgid(0, 0)
            for path, stream in ((self.out, 1), (self.err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
            for name, number in (("stdout", 1), ("stderr", 2)):
                setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w"), write_through=True))
            if user is not None:
                os.setuid(user)
            warnings.resetwarnings()  # which are errors in tests
            call()
            status = 0
        except SystemExit as stopped:
            if isinstance(stopped.code, str):
                sys.stderr.write(f"{stopped.code}\n")
            status = stopped.code if isinstance(stopped.code, int) else int(bool(stopped.code))
        except BaseException:  # noqa: BLE001 - a traceback is what is looked for
            traceback.print_exc()
        finally:
            os._exit(status)

    def wait(self, seconds: float = 300) -> Ended:
        """Wait for its end; one that does not end is killed, and that is an error."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return Ended(code, *(p.read_text(errors="replace") for p in (self.out, self.err)))
            time.sleep(0.01)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        message = f"no end after {seconds} s: {self.err.read_text(errors='replace')}"
        raise AssertionError(message)

    def runs(self) -> bool:
        """Whether it has not ended."""
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def kill(self, number: int, *, group: bool = False) -> None:
        """Send it a signal, or all of its group, as a terminal does."""
        (os.killpg if group else os.kill)(self.pid, number)

    def workers(self) -> list[psutil.Process]:
        """List the processes that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid).children(recursive=True)
            return [p for p in found if "resource_tracker" not in " ".join(_line(p))]
        return []


def _line(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def commanded(*arguments: str) -> Callable[[], None]:
    """Call the command line."""

    def call() -> None:
        sys.argv = ["normstudy", *arguments]
        command.main()

    return call


def trained(*recipes: Recipe, folder: Path, jobs: int | None = None) -> Callable[[], object]:
    """Train in a store: side by side, or without ``jobs`` one after the other."""
    if jobs:
        return lambda: runs.run_all(recipes, folder=folder, device="cpu", n_jobs=jobs)
    return lambda: [runs.run(recipe, folder=folder, device="cpu") for recipe in recipes]


def same(one: runs.Run, other: runs.Run) -> bool:
    """Whether two runs are equal to the bit, times aside."""
    arrays = ("predictions", "confidences", "weight_quantiles")
    return (
        one.recipe == other.recipe
        and all(one.history[name] == other.history[name] for name in MEASURED)
        and one.clean_train == other.clean_train
        and all((getattr(one, name) == getattr(other, name)).all() for name in arrays)
    )


def note(group: str, **figures: int | str) -> None:
    """Keep the figures of a test for the page that reports them, with the day and the machine."""
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{environment.processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "joblib": joblib.__version__,
    }
    known[group] = {"counted": about, "figures": figures}
    content = json.dumps(known, indent=1, ensure_ascii=False) + "\n"
    FIGURES.write_text(content, encoding="utf-8")
