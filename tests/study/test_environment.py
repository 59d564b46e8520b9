"""A device is one that is there, and a record says where its numbers were made."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import psutil
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
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"])
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


WORKER = """
import sys, time
from normstudy.study.environment import Process, end_with
end_with(Process(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
print("working", flush=True)
time.sleep({seconds})
print("done", flush=True)
"""


def working_for(caller, seconds):
    """Start a process that works for a caller."""
    arguments = [caller.machine, str(caller.number), repr(caller.began)]
    line = [sys.executable, "-c", WORKER.format(seconds=seconds), *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


@pytest.mark.processes
def test_a_worker_ends_with_its_caller():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as caller:
        began = psutil.Process(caller.pid).create_time()
        of = environment.Process(environment.this_process().machine, caller.pid, began)
        assert of.is_alive()
        with working_for(of, 60) as worker:
            assert worker.stdout.readline() == "working\n"
            caller.kill()
            assert caller.wait() != 0
            assert worker.wait(20) == 1
            assert worker.stdout.read() == ""
    assert not of.is_alive()
    with working_for(of, 60) as late:
        assert late.wait(60) == 1, "and so does one that begins when its caller is gone"


@pytest.mark.processes
def test_a_worker_of_another_machine_or_of_this_process_goes_on():
    here = environment.this_process()
    assert here.is_alive()
    assert not replace(here, began=here.began - 1000).is_alive(), "the number was used before"
    environment.end_with(here)
    with working_for(replace(here, machine="elsewhere", number=2**22 + 5), 0.8) as worker:
        assert worker.wait(60) == 0


def test_memory_is_that_of_the_container_where_there_is_one(monkeypatch, tmp_path):
    assert 0 < environment.free_memory() <= psutil.virtual_memory().available * 1.5
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 600\nactive_file 300\ninactive_file 70\n")
    monkeypatch.setattr(environment, "_CONTAINER", tmp_path)
    assert environment.free_memory() == 2070, "files that were read make room"
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1500))
    assert environment.free_memory() == 1500, "where the machine has less than that"
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5000))
    assert environment.free_memory() == 5000
    for missing in ("memory.stat", "memory.max"):
        (tmp_path / "memory.max").write_text("3000\n")
        (tmp_path / missing).unlink()
        assert environment.free_memory() == 5000, "as outside of a container"


def test_the_processor_has_a_name():
    assert environment.processor()


def test_a_repository_around_the_package_is_somebody_elses(tmp_path, monkeypatch):
    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True)

    package = tmp_path / "normstudy" / "study"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    git("init")
    git("add", ".")
    git("commit", "-m", "theirs")
    monkeypatch.setattr(environment, "__file__", str(package / "environment.py"))
    assert environment.checkout() is None
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "normstudy"\n')
    assert environment.checkout() == tmp_path
    assert re.fullmatch("[0-9a-f]{40}-dirty", describe(torch.device("cpu"))["git_revision"])
    (tmp_path / ".git").rename(tmp_path.parent / ".git")
    try:
        assert describe(torch.device("cpu"))["git_revision"] == "unknown", "a copy within theirs"
    finally:
        (tmp_path.parent / ".git").rename(tmp_path / ".git")


def test_git_is_asked_of_the_checkout_whatever_the_environment_says(monkeypatch, tmp_path):
    expected = describe(torch.device("cpu"))["git_revision"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert describe(torch.device("cpu"))["git_revision"] == expected


def test_outside_of_a_checkout_the_revision_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no git
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "normstudy/study/environment.py"))
    assert describe(torch.device("cpu"))["git_revision"] == "unknown"


@pytest.fixture
def nothing_known():
    """Let a test find out how fast this machine is, and let no other test see what it found."""
    environment.slowdown.cache_clear()
    yield
    environment.slowdown.cache_clear()


def refused(*_, **__):
    raise RuntimeError("DNNL does not support bf16/f16 backward on the platform")


@pytest.mark.usefixtures("nothing_known")
def test_a_processor_is_as_slow_as_its_quickest_steps(monkeypatch):
    cpu = torch.device("cpu")
    seconds = {False: [9.0, 2.0, 4.0], True: [8.0, 7.0, 30.0]}
    monkeypatch.setattr(environment, "_step", lambda device, low: seconds[low].pop())
    assert environment.slowdown(cpu) == 3.5
    assert environment.slowdown(cpu) == 3.5, "found out once"
    environment.slowdown.cache_clear()
    monkeypatch.setattr(environment, "_step", refused)
    assert environment.slowdown(cpu) == math.inf


def test_a_step_of_the_network_takes_time():
    assert environment._step(torch.device("cpu"), low=False) > 0


@pytest.mark.usefixtures("nothing_known")
def test_a_card_is_not_timed(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(environment, "_step", refused)
    for supported, times in ((True, 0.5), (False, math.inf)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda s=supported, **_: s)
        environment.slowdown.cache_clear()
        assert environment.slowdown(gpu) == times


@pytest.mark.usefixtures("nothing_known")
def test_a_precision_that_is_slow_here_is_refused_or_told(monkeypatch, capsys):
    cpu = torch.device("cpu")
    monkeypatch.setattr(environment, "_step", refused)
    with pytest.raises(ValueError, match=r"CPU.* cannot train in bfloat16; choose --precision flo"):
        environment.check_precision(["float32", "bfloat16"], cpu)
    environment.check_precision(["float32"], cpu)
    monkeypatch.setattr(environment, "slowdown", lambda device: 9.2)
    environment.check_precision({"bfloat16"}, cpu)
    told = capsys.readouterr().err
    assert told.startswith("normstudy: bfloat16 takes 9 times as long as float32 on this processor")
    assert "NORMSTUDY_PRECISION=float32" in told
