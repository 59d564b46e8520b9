"""Bytes that changed on the disk are never taken for numbers, and never executed."""

import random
import warnings

import torch
from harness import RECIPES, SEED, TINY, note, same

from normstudy.study import checkpoints, runs, train

DAMAGES = 300
CPU = torch.device("cpu")


def flipped(content, rng):
    place = rng.randrange(len(content))
    return (
        content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
    )


def truncated(content, rng):
    return content[: rng.randrange(len(content))]


def swapped(content, rng):
    """Exchange two stretches of equal length."""
    size = rng.randrange(1, len(content) // 3)
    one, other = sorted(rng.sample(range(len(content) // size), 2))
    parts = [content[i * size : (i + 1) * size] for i in (one, other)]
    found = bytearray(content)
    found[one * size : (one + 1) * size], found[other * size : (other + 1) * size] = parts[::-1]
    return bytes(found)


def test_records_and_checkpoints(whole, tmp_path, monkeypatch):
    rng = random.Random(SEED)
    recipe = RECIPES[0]
    other = RECIPES[1]
    path = runs.save(whole[recipe.name], tmp_path)
    record, strange = path.read_bytes(), runs.save(whole[other.name], tmp_path).read_bytes()
    unfinished = tmp_path / "a.pt"
    saved, write = {}, checkpoints.write

    def watched(path, about, state):
        saved.update(about=about)
        write(path, about, state)

    monkeypatch.setattr(checkpoints, "write", watched)
    train.train(TINY, device="cpu", checkpoint=unfinished, progress=False)
    checkpoint, about = unfinished.read_bytes(), saved["about"]
    counts = dict.fromkeys(("records", "checkpoints", "harmless"), 0)
    for number in range(DAMAGES):
        damage = rng.choice([flipped, truncated, swapped])
        if number % 2:
            content = damage(checkpoint, rng)
            if content == checkpoint:
                continue
            unfinished.write_bytes(content)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = checkpoints.read(
                    unfinished, about, most=1 << 22, device=torch.device("cpu")
                )
            assert found is None
            assert len(told) == 1
            counts["checkpoints"] += 1
        else:
            path.write_bytes(strange if rng.random() < 0.05 else damage(record, rng))
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = runs.find(recipe, tmp_path)
            if found is None:
                assert len(told) == 1
                counts["records"] += 1
            else:  # white space between values may change, and stretches that are equal
                assert same(found, whole[recipe.name])
                counts["harmless"] += 1
    note(
        "damages",
        damages=sum(counts.values()),
        damages_refused=counts["records"] + counts["checkpoints"],
        damages_harmless=counts["harmless"],
        damages_accepted=0,
    )
