"""What this machine is: the device to train on, and what a record says of where it was made."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


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


def describe(device: torch.device) -> dict[str, Any]:
    """Collect what may alter numbers: versions, revision of the code, processor and threads."""
    return {
        "normstudy": version("normstudy"),
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": _device_name(device),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "no limit"),
        "threads": torch.get_num_threads(),
    }


def _git_revision() -> str:
    """Commit of the checkout that holds the package, or ``"unknown"``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        here = Path(__file__).parent
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() + " CPU, " + platform.machine()
