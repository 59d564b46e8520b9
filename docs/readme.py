"""Write the numbers, the tables and the pictures of README.md from the published runs.

The prose is edited in README.md itself. What stands there between ``<!-- begin: name -->`` and
``<!-- end: name -->`` is written here, and so are the pictures in docs/readme. Another version of
matplotlib draws other pixels, so a picture counts as current by what it was drawn from: the runs
and the code, whose digest is kept beside the pictures together with a digest of each.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from normstudy.byhand import examples
from normstudy.byhand.diagrams import PICTURED, shared_cells
from normstudy.byhand.norms import index_sets
from normstudy.study import compare, controls, figures, findings, pictures, summaries
from normstudy.study.blueprint import network
from normstudy.study.data import load
from normstudy.study.design import Study
from normstudy.study.model import layer_table
from normstudy.study.runs import PUBLISHED, Run, RunError, find
from normstudy.study.store import write_whole
from normstudy.study.studies import STUDIES
from normstudy.study.train import build
from normstudy.tables import NORM_NAMES, Table, slug

STUDY = STUDIES["main"]
DOCS = Path(__file__).parent
README, PICTURES = DOCS.parent / "README.md", DOCS / "readme"
SHOWN = ("Batch norm + L1", "Group norm", "Layer norm")  # the arms whose mistakes are shown
DRAWN_BY = (  # modules of the package
    *("drawing", "tables", "byhand/diagrams", "byhand/examples", "byhand/norms"),
    *("study/blueprint", "study/compare", "study/curves", "study/data", "study/figures"),
    *("study/measures", "study/mistakes", "study/model", "study/mosaics", "study/networks"),
    "study/pictures",
)

Arms = dict[str, list[Run]]


def published_arms(study: Study = STUDY) -> Arms:
    """Read the published runs of a study.

    Raises
    ------
    RunError
        If a run is not published, its record is damaged, or its numbers are of another version.
    """
    arms: Arms = {}
    for label, recipes in study.recipes().items():
        for recipe in recipes:
            if (run := find(recipe, PUBLISHED)) is None:
                msg = f"{PUBLISHED} has no valid run {recipe.name}; train it into that folder first"
                raise RunError(msg)
            arms.setdefault(label, []).append(run)
    return arms


def source_digest(arms: Arms) -> str:
    """Compute a digest of what decides how the pictures look: the runs and the code."""
    digest = hashlib.sha256()
    for run in (run for runs in arms.values() for run in runs):
        parts = (run.recipe.name, json.dumps(run.history), json.dumps(run.clean_train))
        digest.update("".join(parts).encode())
        for array in (run.predictions, run.confidences, run.weight_quantiles):
            digest.update(array.tobytes())
    digest.update(repr(STUDY.reference).encode())
    for path in (Path(__file__), *(DOCS.parent / f"normstudy/{name}.py" for name in DRAWN_BY)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def draw(arms: Arms) -> dict[str, Figure]:
    """Draw every picture of the README, by the name of its file."""
    images = load(STUDY.data)
    drawn = {
        "graph-1-test-loss": figures.history(arms, "test_loss", title="Graph 1: test loss"),
        "graph-2-test-accuracy": figures.history(
            arms, "test_accuracy", title="Graph 2: test accuracy", reference=STUDY.reference
        ),
        "network": network(layer_table(build(arms["Batch norm"][0].recipe, images), images.size)),
        "shared-cells": shared_cells(examples.SHAPE, num_groups=examples.NUM_GROUPS),
    }
    for label in SHOWN:
        drawn[f"mistakes-{slug(label)}"] = pictures.mistakes(label, arms[label][0], images)
    return drawn


def save(drawn: Mapping[str, Figure], sources: str) -> dict[str, Any]:
    """Write the pictures, and the record that says what they show and were drawn from."""
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.png"):
        old.unlink()
    record: dict[str, Any] = {"sources": sources, "pictures": {}}
    for name, figure in drawn.items():
        path = PICTURES / f"{name}.png"
        figure.savefig(path, dpi=150)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        words = figure.normstudy  # type: ignore[attr-defined]
        record["pictures"][name] = {"alt": words["alt"], "sha256": sha256}
    content = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_whole(PICTURES / "pictures.json", content.encode())
    return record


def blocks(arms: Arms, record: dict[str, Any]) -> dict[str, str]:
    """Compose everything that is written into the README, by the name of its place."""
    shown = {name: _picture(name, words["alt"]) for name, words in record["pictures"].items()}
    mistakes = [text for name, text in shown.items() if name.startswith("mistakes")]
    finer, mnist = (published_arms(STUDIES[name]) for name in ("finer-maps", "mnist"))
    return {
        "short-answer": _listed(findings.short_answer(arms)),
        "finer-maps": _listed(findings.short_answer(finer)),
        "mnist": _mnist(mnist),
        "reports": _reports(arms),
        "counts": _counts(),
        "shared-cells": shown["shared-cells"],
        "by-hand": _by_hand(),
        "graph-1": shown["graph-1-test-loss"],
        "graph-2": shown["graph-2-test-accuracy"],
        "asides": _asides(arms),
        "findings": summaries.results(arms).markdown(),
        "differences": (
            f"{summaries.pairs(compare.differences(arms)).markdown()}\n\n{findings.marginal(arms)}"
        ),
        "mistakes": "\n\n".join(mistakes),
        "network": shown["network"],
        "hyperparameters": _hyperparameters(arms),
    }


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def fill(text: str, written: Mapping[str, str]) -> str:
    """Put each block between its two marks.

    Raises
    ------
    ValueError
        If the marks in the text are not those of the blocks.
    """
    marks = re.findall(r"<!-- begin: (\S+) -->", text)
    if sorted(marks) != sorted(written):
        msg = f"README.md has marks for {sorted(marks)} and there is {sorted(written)} to write"
        raise ValueError(msg)
    for name, block in written.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end)[1]}"
    return text


def _picture(name: str, alt: str) -> str:
    alt = alt.replace("[", "(").replace("]", ")")
    return f"![{alt}](docs/readme/{name}.png)"


def _asides(arms: Arms) -> str:
    """Say what two controls found: the penalty at one learning rate, and a norm that comes last."""
    alone = published_arms(STUDIES["no-penalty"])["Batch norm"]
    at_one_rate = {"Batch norm + L1": arms["Batch norm + L1"], "Batch norm": alone}
    (penalty,) = compare.differences(at_one_rate)
    last = published_arms(STUDIES["norm-last"])
    free = {**arms, "Group norm, 24 groups": last.pop("Group norm, 24 groups, activation last")}
    head = controls.changes({arm: free[arm] for arm in last}, last)[0]
    return (
        f"- At one learning rate: {penalty}\n"
        f"- {controls.sentence(head, 'with a norm in front of the pool')}"
    )


def _mnist(arms: Arms) -> str:
    """Say how far the arms on MNIST are apart."""
    said = summaries.extremes(arms, ["test_accuracy"])
    return f"- {said[0].upper()}{said[1:]}."


def _reports(arms: Arms) -> str:
    """Set our means beside the best numbers of the class reports."""
    if STUDY.reference is None:
        return ""
    return f"{summaries.beside(STUDY.reference, arms).markdown()}\n\n{STUDY.reference.source}"


def _counts() -> str:
    """Count the means that maps of the network have in a batch, under each norm."""
    shape = (128, 72, 8, 8)
    counts = {n: len(index_sets(shape, n, num_groups=8).unique()) for n in PICTURED}
    rows = [(NORM_NAMES[n], f"{k:,}", f"{math.prod(shape) // k:,}") for n, k in counts.items()]
    header = ("128 images, 72 channels of 8×8, 8 groups", "means", "cells in each")
    return Table(header, tuple(rows)).markdown()


def _by_hand() -> str:
    """Normalize one cell of the worked example under each norm."""
    place = (0, 3, 0, 0)
    rows = []
    for norm in ("batch", "layer", "group", "instance"):
        example = examples.by_hand(norm)
        means = ", ".join(f"{mean:g}" for mean in example["mean"].tensor.flatten().tolist())
        x, deviation, xhat = (
            example[step].tensor[place].item() for step in ("x", "deviation", "xhat")
        )
        worked = f"({x:g} − {x - deviation:g}) / {deviation / xhat:g} = {xhat:.3g}"
        rows.append((NORM_NAMES[norm], means, worked.replace("-", "−")))
    lines = [
        f"n = {n}: {' · '.join(str(list(channel)) for channel in image)}"
        for n, image in enumerate(examples.X)
    ]
    text = "```text\n" + "\n".join(lines) + "\n```\n\n"
    n, c, _, _ = place
    last = f"first cell of n = {n}, c = {c}"
    return text + Table(("norm", "all means", last), tuple(rows)).markdown()


def _hyperparameters(arms: Arms) -> str:
    """Tabulate the settings in which arms differ, and list those that they share."""
    shared = summaries.shared_settings(arms).items()
    listed = ", ".join(f"`{name}` {value}" for name, value in shared)
    return f"{summaries.settings(arms).markdown()}\n\nShared: {listed}."


def main() -> None:
    """Draw and write everything."""
    mpl.use("Agg")
    arms = published_arms()
    record = save(draw(arms), source_digest(arms))
    text = fill(README.read_text(encoding="utf-8"), blocks(arms, record))
    write_whole(README, text.encode())


if __name__ == "__main__":
    main()
