"""The tensor that readers change on "Turn the knobs", and its table for those without JavaScript.

A Sphinx extension. The directive ``.. axes::`` writes the batch of the pages by hand under group
norm, computed by ``normstudy.byhand.norms``; the two scripts take its place in the browser. The
role ``:knobs:`words <preset>``` leads a page to its own numbers there.
"""

import html
import json
from typing import Any

import torch
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import ReferenceRole, SphinxDirective

from normstudy.byhand import norms
from normstudy.byhand.examples import (
    BATCHES,
    BETA,
    GAMMA,
    GRAD_Y,
    NUM_GROUPS,
    SHAPE,
    X,
    running_by_hand,
)
from normstudy.byhand.norms import INDEX_SETS
from normstudy.tables import NORM_NAMES, Table, number

NORM = "group"  # what the page shows first
LISTS = ("x", "dy", "gamma", "beta", "mean", "variance")  # of a state, as in axes-page.js
NAMES = NORM_NAMES | {
    "layer_channels": "Layer norm over channels, per pixel",
    "rms": "RMS norm over channels, per pixel",
}


def rules() -> dict[str, dict[str, Any]]:
    """Collect the rows of the table of norms that act on a batch, as the scripts read them."""
    return {
        name: {"over": rule.over, "affine": rule.affine, "centered": rule.centered}
        for name, rule in INDEX_SETS.items()
        if name != "weight"
    }


def state(norm: str = NORM) -> dict[str, Any]:
    """Begin with the batch, the parameters and the upstream gradient of the pages by hand."""
    flat = {"x": X, "dy": GRAD_Y}
    lists = {name: [v for image in of for m in image for v in m] for name, of in flat.items()}
    lists |= {"gamma": list(GAMMA), "beta": list(BETA)}
    lists |= {"mean": [0] * SHAPE[1], "variance": [1] * SHAPE[1]}
    shown = {"norm": norm, "shape": list(SHAPE), "groups": NUM_GROUPS, "eps": 0}
    return shown | {"mode": "training", "view": "x", "focus": 0} | lists


def presets() -> dict[str, dict[str, Any]]:
    """Collect what the pages by hand work with, by the name of a norm or of what is asked of it."""
    found = {norm: state(norm) for norm in ("batch", "group", "layer", "instance")}
    found["backward"] = found["batch"] | {"view": "dx"}
    example, last = running_by_hand(), len(BATCHES)  # the page evaluates its first batch at the end
    kept = {"mean": example[f"running_mean_{last}"], "variance": example[f"running_var_{last}"]}
    running = {"norm": "batch", "shape": [len(BATCHES[0]), 1, 1, 1], "groups": 1, "eps": 0}
    running |= {"mode": "evaluation", "view": "xhat", "x": list(BATCHES[0])}
    running |= {"dy": [1] * len(BATCHES[0]), "gamma": [1], "beta": [0]}
    found["running"] = running | {name: [float(v.values[0])] for name, v in kept.items()}
    return found


def address(shown: dict[str, Any]) -> str:
    """Write a state as axes-page.js reads it behind the # of an address."""
    lists = {name: ",".join(f"{value:.15g}" for value in shown[name]) for name in ("shape", *LISTS)}
    fields = ("norm", "shape", "groups", "eps", "mode", "view", *LISTS)
    return "&".join(f"{name}={lists.get(name, shown[name])}" for name in fields)


def table() -> Table:
    """Tabulate every cell: its set, the statistics of the set, and what becomes of the cell."""
    given = state()
    x, grad_y = (torch.tensor(given[k], dtype=torch.float64).reshape(SHAPE) for k in ("x", "dy"))
    gamma, beta = (torch.tensor(given[k], dtype=torch.float64) for k in ("gamma", "beta"))
    out = norms.forward(x, NORM, gamma, beta, num_groups=NUM_GROUPS, eps=0)
    grad = norms.backward(grad_y, out)
    sets = norms.index_sets(SHAPE, NORM, num_groups=NUM_GROUPS)
    rows = []
    for index in torch.cartesian_prod(*map(torch.arange, SHAPE)).tolist():
        at, own = tuple(index), int(sets[tuple(index)])
        values = (x[at], out.mean.flatten()[own], out.var.flatten()[own])
        results = (out.xhat[at], out.y[at], grad.x[at])
        exact = (round(float(v), 9) + 0.0 for v in (*values, *results))  # no −0, no 4e-17
        cells = (f"{v:.4g}".replace("-", "\N{MINUS SIGN}") for v in exact)
        rows.append((*(number(i + 1, 0) for i in at), str(own + 1), *cells))
    header = ("image", "channel", "row", "column", "set", "x", "mean", "variance")
    return Table((*header, "x\N{COMBINING CIRCUMFLEX ACCENT}", "y", "gradient of x"), tuple(rows))


class Axes(SphinxDirective):
    """The batch that readers change."""

    def run(self) -> list[nodes.Node]:
        """Return the table, with what the scripts need to take its place."""
        self.env.metadata[self.env.docname]["axes"] = "yes"
        data = {"rules": rules(), "names": {k: NAMES[k] for k in rules()}, "state": state()}
        marks = " ".join(f'data-{k}="{html.escape(json.dumps(v))}"' for k, v in data.items())
        inner = table()._repr_html_()
        text = f'<div class="axes" {marks}><div class="axes-scroll">{inner}</div></div>'
        return [nodes.raw("", text, format="html")]


class Preset(ReferenceRole):
    """A link to the page with the numbers of a worked example."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return a reference that :func:`lead_there` completes, since builders differ in paths."""
        if self.target not in presets():
            text = (
                f"there are no numbers {self.target!r} to change; accepted: {', '.join(presets())}"
            )
            return [], [self.inliner.reporter.error(text, line=self.lineno)]
        return [nodes.reference("", self.title, knobs=self.target, refuri="", internal=True)], []


def lead_there(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Give the links to presets their address."""
    for link in tree.findall(nodes.reference):
        if "knobs" in link:
            there = app.builder.get_relative_uri(page, "knobs")
            link["refuri"] = f"{there}#{address(presets()[link['knobs']])}"


def add_scripts(app: Sphinx, page: str, *_: Any) -> None:
    """Load the scripts on pages that have the directive, and on no other."""
    if "axes" in app.env.metadata.get(page, {}):
        app.add_js_file("axes-math.js", loading_method="defer")
        app.add_js_file("axes-page.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the hook with Sphinx."""
    app.add_directive("axes", Axes)
    app.add_role("knobs", Preset())
    app.connect("doctree-resolved", lead_there)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
