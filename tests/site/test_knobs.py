"""The page "Turn the knobs" in a browser: by mouse, by keyboard alone, and without scripts.

What it shows is compared with ``normstudy.byhand.norms``, and with the pages by hand that lead
there.
"""

from typing import Any

import axes_page
import numpy as np
import pytest
import torch

from normstudy.byhand import norms
from normstudy.byhand.examples import SHAPE, by_hand, running_by_hand

pytestmark = pytest.mark.site

PAGE = "knobs.html"
CELLS = """() => [...document.querySelectorAll(".axes-grid [data-cell]")]
    .sort((a, b) => a.dataset.cell - b.dataset.cell)
    .map(cell => cell.querySelector(".axes-number").textContent)"""
SHOWN = """([norm, cells]) => document.querySelector("[data-knob=norm]").value === norm
    && document.querySelectorAll("[data-cell]").length === cells"""
FOCUSED = "() => document.activeElement.dataset.cell"
# Where the focus is: before the batch, in it, or in the text behind it
PLACE = """() => {
    const axes = document.querySelector(".axes"), at = document.activeElement;
    const behind = axes.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING;
    return axes.contains(at) ? "in" : behind ? "behind" : "before";
}"""


def value(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def cells(page: Any) -> list[float]:
    """Read the numbers of the grid, in the order (N, C, H, W)."""
    return [value(text) for text in page.evaluate(CELLS)]


def tab_to(page: Any, selector: str) -> None:
    """Press the tab key until something has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"the tab key does not come to {selector}")


def results(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Compute what the page shows in each of its views."""
    flat = {name: torch.tensor(state[name], dtype=torch.float64) for name in axes_page.LISTS}
    x, grad_y = (flat[name].reshape(state["shape"]) for name in ("x", "dy"))
    shape = norms.affine_shape(x.shape, state["norm"])
    gamma, beta = (flat[name] for name in ("gamma", "beta"))
    if len(shape) > 1:
        gamma, beta = (v[:, None, None].expand(shape).contiguous() for v in (gamma, beta))
    options = {"num_groups": state["groups"], "eps": state["eps"]}
    if state["mode"] == "evaluation":
        options["running"] = norms.RunningStatistics(flat["mean"], flat["variance"])
    out = norms.forward(x, state["norm"], gamma, beta, **options)
    grad = norms.backward(grad_y, out)
    return {"x": x, "dy": grad_y, "xhat": out.xhat, "y": out.y, "dx": grad.x, "mean": out.mean}


def drawn(norm: str, mode: str, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a batch, and parameters."""
    n, c, h, w = 2, int(rng.choice([2, 4, 6])), *rng.integers(2, 4, 2).tolist()
    sizes = {"x": n * c * h * w, "dy": n * c * h * w, "gamma": c, "beta": c, "mean": c}
    lists = {name: rng.normal(1, 3, size).round(2).tolist() for name, size in sizes.items()}
    lists["variance"] = rng.uniform(0.5, 4, c).round(2).tolist()
    return lists | {
        "norm": norm,
        "shape": [n, c, h, w],
        "groups": 2 if norm == "group" else 1,
        "eps": float(rng.choice([0.001, 0.1])),
        "mode": mode,
        "view": "x",
    }


# -- by keyboard alone -----------------------------------------------------------------------------


def test_a_number_is_changed_by_keyboard_alone_and_its_mean_is_said(visit: Any) -> None:
    page, keys = visit(PAGE), None
    keys = page.keyboard
    tab_to(page, '[data-knob="norm"]')
    for _ in range(10):  # up to the first norm of the list, wherever the page begins
        keys.press("ArrowUp")
    assert page.locator('[data-knob="norm"]').input_value() == "batch"
    tab_to(page, "[data-cell]")
    keys.press("ArrowRight")
    place = int(page.evaluate(FOCUSED))
    region = page.locator(".axes-worked")
    assert region.get_attribute("aria-live") == "polite"
    before = region.inner_text()

    keys.type("-17")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    state = axes_page.state("batch") | {"groups": 1}
    state["x"][place] = -17
    computed = results(state)
    assert cells(page) == state["x"]
    mean = f"{float(computed['mean'].flatten()[0]):.4g}".replace("-", "\N{MINUS SIGN}")
    assert f" = {mean}" in region.inner_text().splitlines()[2]
    assert f" = {mean}" not in before

    keys.press("Enter")
    assert page.evaluate(FOCUSED) == str(place), "back where the number is"
    presses = 0
    while page.evaluate(PLACE) == "in":
        keys.press("Tab")
        presses += 1
    assert page.evaluate(PLACE) == "behind", "in the text that follows"
    assert presses <= 5


def test_the_grid_is_one_stop_and_arrow_keys_move_in_it(visit: Any) -> None:
    page = visit(PAGE)
    page.locator("[data-cell]").first.focus()
    n, c, h, w = SHAPE

    def at(image: int, channel: int, row: int, column: int) -> str:
        return str(((image * c + channel) * h + row) * w + column)

    steps = [
        ("ArrowRight", at(0, 0, 0, 1)),
        ("ArrowRight", at(0, 1, 0, 0)),
        ("ArrowDown", at(0, 1, 1, 0)),
        ("ArrowDown", at(1, 1, 0, 0)),
        ("End", at(1, c - 1, 0, w - 1)),
        ("ArrowRight", at(1, c - 1, 0, w - 1)),
        ("Home", at(1, 0, 0, 0)),
        ("ArrowLeft", at(1, 0, 0, 0)),
        ("ArrowUp", at(0, 0, h - 1, 0)),
    ]
    for key, there in steps:
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == there, key
        assert page.locator('.axes-grid [tabindex="0"]').count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) is None, "the next stop is outside the grid"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == at(0, 0, h - 1, 0), "the grid remembers its cell"
    assert n == 2


# -- the call in PyTorch ---------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [name for name in norms.INDEX_SETS if name != "weight"])
def test_the_call_in_pytorch_runs_and_computes_what_is_shown(visit: Any, norm: str) -> None:
    page = visit(PAGE)
    page.locator('[data-knob="norm"]').select_option(norm)
    page.get_by_text("The same in PyTorch").click()
    modes = ["training", *(["evaluation"] if norm in ("batch", "instance") else [])]
    for mode in modes:
        if len(modes) > 1:
            page.locator('[data-knob="mode"]').select_option(mode)
        made: dict[str, Any] = {"print": lambda *_: None}
        exec(page.locator(".axes pre").inner_text(), made)
        for view, tensor in (("y", made["y"]), ("gradient of x", made["x"].grad)):
            page.get_by_role("radio", name=view, exact=True).check()
            shown = pytest.approx(tensor.flatten().tolist(), rel=6e-4, abs=1e-9)
            assert cells(page) == shown, (norm, mode, view)


def test_the_call_is_copied(visit: Any) -> None:
    page = visit(PAGE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("The same in PyTorch").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator(".axes pre").inner_text()


# -- by mouse --------------------------------------------------------------------------------------


def test_a_number_is_changed_by_mouse_and_the_link_keeps_it(visit: Any) -> None:
    page = visit(PAGE)
    page.locator('[data-knob="norm"]').select_option("instance")
    page.locator('[data-knob="mode"]').select_option("evaluation")
    page.get_by_role("radio", name="gradient of y").check()
    page.locator('[data-cell="5"]').click()
    page.get_by_label("gradient of y of").fill("2.5")
    page.get_by_role("radio", name="y", exact=True).check()
    page.locator('[data-knob="eps"]').fill("0.25")
    page.locator('[data-knob="eps"]').press("Enter")
    page.get_by_text("running statistics and their gradients").click()
    page.get_by_label("running variance of channel 1").fill("9")
    page.get_by_label("running variance of channel 1").press("Enter")

    state = axes_page.state("instance") | {"groups": 1, "mode": "evaluation", "eps": 0.25}
    state["dy"][5] = 2.5
    state["variance"][1] = 9
    expected = results(state)
    assert cells(page) == pytest.approx(expected["y"].flatten().tolist(), rel=6e-4, abs=1e-9)

    link = page.get_by_role("link", name="Link to these numbers").get_attribute("href")
    other = visit(f"{PAGE}#{link.partition('#')[2]}")
    assert cells(other) == cells(page)
    for knob in ("norm", "mode", "eps", "0", "1", "2", "3"):
        of = f'[data-knob="{knob}"]'
        assert other.locator(of).input_value() == page.locator(of).input_value()
    other.get_by_role("radio", name="gradient of x").check()
    assert cells(other) == pytest.approx(expected["dx"].flatten().tolist(), rel=6e-4, abs=1e-9)
    other.get_by_role("button", name="the batch of the pages by hand").click()
    assert cells(other) == axes_page.state()["x"]


def test_any_batch_shows_what_norms_compute(visit: Any) -> None:
    page, rng = visit(PAGE), np.random.default_rng(0)
    modes = [(norm, "training") for norm in axes_page.rules()]
    for norm, mode in [*modes, ("batch", "evaluation"), ("instance", "evaluation")]:
        state = drawn(norm, mode, rng)
        page.evaluate("hash => { location.hash = hash; }", axes_page.address(state))
        page.wait_for_function(SHOWN, arg=[norm, len(state["x"])])
        place, new = int(rng.integers(len(state["x"]))), round(float(rng.normal(0, 9)), 2)
        page.locator(f'[data-cell="{place}"]').click()
        page.locator(".axes-edit input").fill(str(new))
        state["x"][place] = new
        for view, tensor in results(state).items():
            if view == "mean":
                continue
            page.locator(f'[name="axes-view"][value="{view}"]').check()
            expected = tensor.flatten().tolist()
            assert cells(page) == pytest.approx(expected, rel=6e-4, abs=1e-9), (norm, mode, view)


# -- without scripts -------------------------------------------------------------------------------


def test_without_scripts_the_whole_table_is_there(visit: Any) -> None:
    page = visit(PAGE, java_script_enabled=False)
    table = page.locator(".axes table")
    assert table.is_visible()
    assert tuple(table.locator("th").all_inner_texts()) == axes_page.table().header
    texts = table.locator("td").all_inner_texts()
    assert texts == [cell for row in axes_page.table().rows for cell in row]
    assert page.get_by_role("grid").count() == 0, "nothing that does nothing"


# -- the numbers of the pages by hand --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "norm"),
    [("120_batch_norm", "batch"), ("130_group_norm", "group"), ("140_layer_norm", "layer"),
     ("150_instance_norm", "instance"), ("160_backward", "batch")],
)  # fmt: skip
def test_a_page_by_hand_opens_with_its_numbers(visit: Any, name: str, norm: str) -> None:
    page = visit(f"auto_examples/plot_{name}.html")
    page.get_by_role("link", name="Change these numbers").click()
    page.locator(".axes-grid").wait_for()
    view, step = ("dx", "grad_x") if name == "160_backward" else ("x", "x")
    assert page.locator('[data-knob="norm"]').input_value() == norm
    assert page.locator(f'[name="axes-view"][value="{view}"]').is_checked()
    worked = [float(number) for number in by_hand(norm)[step].tensor.flatten()]
    assert cells(page) == pytest.approx(worked, rel=1e-3)


def test_the_page_on_evaluation_opens_with_its_running_statistics(visit: Any) -> None:
    page = visit("auto_examples/plot_170_train_and_evaluation.html")
    page.get_by_role("link", name="Change these numbers").click()
    page.locator(".axes-grid").wait_for()
    assert page.locator('[data-knob="mode"]').input_value() == "evaluation"
    worked = [float(number) for number in running_by_hand()["xhat_eval"].values]
    assert cells(page) == pytest.approx(worked, rel=1e-3)
