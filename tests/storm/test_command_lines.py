"""A command line that is no good is answered with one line, and leaves nothing behind."""

import random
from dataclasses import fields

from harness import SEED, Child, commanded, note

from normstudy.study.recipes import Recipe

LINES = 200
NUMBERS = ["-1", "nan", "inf", "-inf", "1e400", "1e39", "0x10", "", " ", "ten", "1.5.2", "10" * 30]
WORDS = ["", "bach", "Batch", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "a b", "\x1b[31m"]


def bad_value(rng, field):
    """Choose an option of ``train`` and a value that it does not accept."""
    if field.type in (int, float, "int", "float"):
        value = rng.choice(NUMBERS)
    elif field.type in (bool, "bool"):
        value = rng.choice(["maybe", "2", "yes please"])
    else:
        value = rng.choice(WORDS)
    return [f"--{field.name.replace('_', '-')}", value]


def bad_line(rng, store):
    """Make up a command line that must not do anything."""
    where = ["--store", str(store)]
    small = ["--data", "digits", "--epochs", "1", "--batch-size", "480"]
    kinds = [
        lambda: ["train", *small, *where, *bad_value(rng, rng.choice(fields(Recipe)))],
        lambda: ["train", *small, *where, f"--{rng.choice(['norms', 'lrs', 'x', 'epoch-s'])}", "1"],
        lambda: ["train", *small, *where, rng.choice([*WORDS, "more"])],
        lambda: ["train", *small, *where, "--crop", str(rng.randrange(8, 16))],
        lambda: ["train", *small, *where, "--norm", "group", "--num-groups", "7"],
        lambda: ["train", *small, *where, "--device", rng.choice(["cuda", "mps", "tpu", ""])],
        lambda: ["train", *small, *where, "--figures", "/proc/nowhere/pictures"],
        lambda: ["train", *small, "--store", "/proc/nowhere/store"],
        lambda: ["study", rng.choice(["nothing", "", "CIFAR10", "cifar-10"]), *where],
        lambda: [
            "study",
            "cifar10",
            *where,
            "--seeds",
            rng.choice(["0", "-3", "10000000000", "x"]),
        ],
        lambda: ["study", "cifar10", *where, "--jobs", rng.choice(["0", "-1", "1.5", "9" * 20])],
        lambda: ["study", "cifar10", *where, "--data", rng.choice(["svhn", "", "MNIST"])],
        lambda: ["runs", "--store", rng.choice(["/proc/nowhere", "/dev/null", "nowhere at all"])],
        lambda: ["runs", *where, rng.choice(["--jsn", "more", "--json=3"])],
        lambda: ["reproduce", rng.choice(["--al", "everything", "--device=abacus"])],
        lambda: [
            "worksheet",
            *rng.choice([[], ["/proc/nowhere/a.xlsx"], ["a.txt"], ["a.xlsx", "b"]]),
        ],
        lambda: [rng.choice(["trian", "", "-", "help", "--verbose", "--norm"]), *where],
    ]
    return rng.choice(kinds)()


def test_bad_command_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    rng, store, wrong = random.Random(SEED), tmp_path / "store", []
    statuses = {1: 0, 2: 0}
    for _ in range(LINES):
        line = bad_line(rng, store)
        ended = Child(commanded(*line), tmp_path).wait(60)
        said = ended.lines
        if ended.status not in statuses or len(said) != 1 or not said[0].startswith("normstudy: "):
            wrong.append((line, ended.status, ended.err[-600:]))
        else:
            statuses[ended.status] += 1
    assert not wrong, f"{len(wrong)}: {wrong[:8]}"
    assert not store.exists() or not list(store.rglob("*.json"))
    note(
        "command lines",
        bad_lines=LINES,
        bad_lines_status_1=statuses[1],
        bad_lines_status_2=statuses[2],
    )
