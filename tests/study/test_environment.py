"""A device is one that is there, and a record says where its numbers were made."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from normstudy.study import environment
from normstudy.study.environment import describe, pick_device


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    match = r'device="cuda" was asked for, but PyTorch sees no GPU here; use "cpu" or "auto"'
    with pytest.raises(ValueError, match=match):
        pick_device("cuda")
    with pytest.raises(ValueError, match="device='tpu' is unknown; accepted: auto, cpu, cuda"):
        pick_device("tpu")


def test_a_record_says_what_may_alter_numbers():
    found = describe(torch.device("cpu"))
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["device"].startswith(torch.backends.cpu.get_cpu_capability())
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", found["git_revision"])


def test_a_record_says_how_far_the_processor_was_used(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert describe(torch.device("cpu"))["onednn_max_cpu_isa"] == "no limit"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert describe(torch.device("cpu"))["onednn_max_cpu_isa"] == "AVX2"


@pytest.mark.parametrize("given", [None, "0"])
def test_huge_pages_are_asked_for_unless_the_user_decided(given):
    inherited = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    environ = inherited | ({} if given is None else {"THP_MEM_ALLOC_ENABLE": given})
    code = "import os, normstudy.study.networks; print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == (given or "1")


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert describe(torch.device("cuda"))["device"] == "NVIDIA H100"


def test_outside_of_a_checkout_the_revision_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # and where there is no git
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
