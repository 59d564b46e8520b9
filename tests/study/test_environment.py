"""A device is one that is there, and a record says where its numbers were made."""

import json
import re

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


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert describe(torch.device("cuda"))["device"] == "NVIDIA H100"


def test_outside_of_a_checkout_the_revision_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # and where there is no git
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
