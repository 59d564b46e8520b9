"""What this machine is: the device to train on, and what a record says of where it was made."""

import datetime as dt
import math
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.nn import functional as F

from normstudy.study.locks import say

SLOW = 3.0
"""Where bfloat16 takes this many times as long as float32, float32 is the better choice."""

_CONTAINER = Path("/sys/fs/cgroup")  # where Linux says what a container may take


def checkout() -> Path | None:
    """Folder of the project's checkout that this package is imported from, or None if installed."""
    root = Path(__file__).parents[2]
    try:
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return None
    return root if '\nname = "normstudy"\n' in project else None


def pick_device(device: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"`` or ``"cuda"`` into a device that is there.

    Raises
    ------
    ValueError
        If CUDA is asked for and PyTorch sees none, or the name is unknown.
    """
    there = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if there else "cpu")
    if device not in ("cpu", "cuda"):
        msg = f"device={device!r} is unknown; accepted: auto, cpu, cuda"
        raise ValueError(msg)
    if device == "cuda" and not there:
        msg = 'device="cuda" was asked for, but PyTorch sees no GPU here; use "cpu" or "auto"'
        raise ValueError(msg)
    return torch.device(device)


@cache
def slowdown(device: torch.device) -> float:
    """How many times as long as in float32 a step in bfloat16 takes; infinity where it cannot.

    On a CPU found out by a small step of the network, since processors and libraries that have no
    arithmetic of 16 bits imitate it, at very different speeds. A GPU is not timed: it has such
    arithmetic, and counts as faster, or it cannot.
    """
    if device.type == "cuda":
        return 0.5 if torch.cuda.is_bf16_supported(including_emulation=False) else math.inf
    try:
        times = [min(_step(device, low=low) for _ in range(3)) for low in (False, True)]
    except RuntimeError:  # DNNL does not support bf16/f16 backward on the platform
        return math.inf
    return times[1] / times[0]


def _step(device: torch.device, *, low: bool) -> float:
    """Time a depthwise and a pointwise convolution, forward and backward, in seconds."""
    maps = torch.ones(16, 32, 16, 16, device=device).to(memory_format=torch.channels_last)
    depthwise = torch.ones(32, 1, 3, 3, device=device, requires_grad=True)
    pointwise = torch.ones(64, 32, 1, 1, device=device, requires_grad=True)
    began = time.perf_counter()
    with torch.autocast(device.type, torch.bfloat16, enabled=low):
        y = F.conv2d(F.conv2d(maps, depthwise, padding=1, groups=32), pointwise)
    y.float().sum().backward()
    return time.perf_counter() - began


def check_precision(precisions: Iterable[str], device: torch.device) -> None:
    """Say before hours of training if a precision is slow here.

    Raises
    ------
    ValueError
        If it cannot be trained in here.
    """
    if "bfloat16" not in precisions or (times := slowdown(device)) < SLOW:
        return
    way_out = "choose --precision float32, or NORMSTUDY_PRECISION=float32 in the environment"
    if times == math.inf:
        msg = f"{_device_name(device)} cannot train in bfloat16; {way_out}"
        raise ValueError(msg)
    say(f"bfloat16 takes {times:.0f} times as long as float32 on this processor; {way_out}")


def describe(device: torch.device) -> dict[str, Any]:
    """Collect the date, and what may alter numbers: versions, revision, processor and threads."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "normstudy": version("normstudy"),
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        **rounding(device),
    }


def rounding(device: torch.device) -> dict[str, Any]:
    """Collect what decides the last bits of a number, for one version of the code."""
    return {
        "torch": str(torch.__version__),
        "device": _device_name(device),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "no limit"),
        "threads": torch.get_num_threads(),
    }


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Leave PyTorch's generators of the CPU and of a device as they were.

    Without a list of devices, ``fork_rng`` starts CUDA on every GPU, also for what the CPU does.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def say_where(device: torch.device, doing: str, threads: int | None = None) -> None:
    """Say on what a training runs: on a CPU also its threads, by default those of this process."""
    count = threads or torch.get_num_threads()
    of_cpu = "" if device.type == "cuda" else f", {count} thread{'s' * (count > 1)}"
    say(f"{doing} on {_device_name(device)}{of_cpu}")


def processor() -> str:
    """Name the model of the processor, by which PyTorch's libraries choose their code."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has this file
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.machine())


def free_memory() -> int:
    """Bytes that new processes can take: what the machine has left, or a container is allowed.

    What a container has taken includes files that were read, whose memory is given back on demand.
    """
    free = int(psutil.virtual_memory().available)
    try:
        allowed, taken, details = (
            (_CONTAINER / name).read_text(encoding="ascii")
            for name in ("memory.max", "memory.current", "memory.stat")
        )
        cached = int(dict(line.split() for line in details.splitlines())["inactive_file"])
        return min(free, int(allowed) - int(taken) + cached)
    except (OSError, ValueError, KeyError):  # no container, or one that says "max"
        return free


@dataclass(frozen=True, slots=True)
class Process:
    """A process: where it runs, its number, and when it began, since numbers are used again."""

    machine: str
    number: int
    began: float

    def is_alive(self) -> bool:
        """Whether it still runs; asked on its own machine."""
        try:
            found = psutil.Process(self.number)
            same = abs(found.create_time() - self.began) < 60  # clocks are set
            return same and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def this_process() -> Process:
    """Describe the process that calls."""
    return Process(platform.node(), os.getpid(), psutil.Process().create_time())


@cache
def end_with(caller: Process) -> None:
    """Let this process end soon after its caller does, however that ends.

    Does nothing in the caller itself and on another machine.
    """
    if caller.machine != platform.node() or caller.number == os.getpid():
        return

    def watch() -> None:
        while caller.is_alive():
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _git_revision() -> str:
    """Commit of the project's own checkout; ``"unknown"`` for an installed or a copied package."""
    root = checkout()
    if root is None or not (root / ".git").exists():  # a repository around it is somebody else's
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, cwd=root, env=own, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() + " CPU, " + platform.machine()
