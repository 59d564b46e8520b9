"""The live graphs of the built report in a browser, as readers use them: from the disk.

They are asked by keyboard, mouse and finger, in both modes, on a phone, without scripts and on
paper; what they answer is compared with the records of the runs.
"""

import json
import re
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import readme

api = pytest.importorskip("playwright.sync_api", reason="the browser tests need Playwright")
pytestmark = pytest.mark.site

CURVES, SEARCH = "auto_examples/plot_250_curves.html", "auto_examples/plot_240_search.html"
GRAPHS = {"test_loss": (1, 4), "test_accuracy": (100, 2)}  # column: scale and decimals
# What can be read in a graph: letters, their size, and where they stand
WORDS = """graph => [...graph.querySelectorAll("text, p, th, td, caption, legend, fieldset label")]
    .filter(part => part.checkVisibility() && part.textContent.trim())
    .map(part => {
        const box = part.getBoundingClientRect();
        return {text: part.textContent.trim(), drawn: part.tagName === "text",
                size: parseFloat(getComputedStyle(part).fontSize),
                left: box.left, right: box.right, top: box.top, bottom: box.bottom};
    })"""


@cache
def records(column: str) -> dict[str, dict[int, list[float]]]:
    """Read a column of the published runs of the study: values by arm and seed."""
    return {
        arm: {run.recipe.seed: run.history[column] for run in runs}
        for arm, runs in readme.published_arms().items()
    }


def shown(graph: Any) -> dict[str, list[str]]:
    """Read what the table shows now, by arm."""
    rows = graph.locator("tbody tr").all()
    texts = [row.locator("td:visible").all_inner_texts() for row in rows]
    cells = [[text.replace("\N{NO-BREAK SPACE}", " ") for text in of_row] for of_row in texts]
    names = [row.locator("th").inner_text().strip() for row in rows]
    return dict(zip(names, cells, strict=True))


def expected(column: str, epoch: int) -> dict[str, list[str]]:
    """Compute the same from the records."""
    scale, digits = GRAPHS[column]
    found = {}
    for arm, seeds in records(column).items():
        values = [scale * history[epoch - 1] for history in seeds.values()]
        spread = f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"
        found[arm] = [spread, f"{min(values):.{digits}f} to {max(values):.{digits}f}"]
    return found


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(2), ids=GRAPHS)
def test_the_slider_reads_the_records_by_keyboard_alone(visit: Any, place: int) -> None:
    page, column = visit(CURVES), list(GRAPHS)[place]
    graph = page.locator(".graph").nth(place)
    slider = graph.get_by_role("slider", name="epoch")
    last = len(next(iter(next(iter(records(column).values())).values())))
    assert shown(graph) == expected(column, last)
    assert graph.locator("output").inner_text() == "", "nobody asked yet"
    slider.focus()
    for key, epoch in (("Home", 1), *(("ArrowRight", e) for e in range(2, last + 1))):
        slider.press(key)
        assert graph.locator(".graph-step").inner_text() == f"Epoch {epoch}"
        assert shown(graph) == expected(column, epoch)
        assert slider.get_attribute("aria-valuetext") == f"Epoch {epoch}"
    slider.press("ArrowLeft")
    said = graph.locator("output").text_content()
    assert said.startswith(f"Epoch {last - 1}: ")
    for arm, (value, _) in expected(column, last - 1).items():
        assert f"{arm} {value}" in said.replace("\N{NO-BREAK SPACE}", " ")


def test_the_mouse_on_the_plot_takes_the_slider_along(visit: Any) -> None:
    page = visit(CURVES)
    graph = page.locator(".graph").first
    plot = graph.locator(".graph-plot > svg")
    plot.scroll_into_view_if_needed()
    steps = json.loads(graph.get_attribute("data-steps"))
    for epoch in (5, 14):
        box = plot.bounding_box()
        x = box["x"] + box["width"] * float(steps[epoch - 1]["x"].rstrip("%")) / 100
        page.mouse.move(x, box["y"] + 100)
        assert shown(graph) == expected("test_loss", epoch)
        assert graph.get_by_role("slider").input_value() == str(epoch - 1)
        cursor = graph.locator(".graph-cursor").bounding_box()
        assert cursor["x"] + cursor["width"] / 2 == pytest.approx(x, abs=1)


def test_a_finger_on_the_plot_does_the_same(visit: Any) -> None:
    page = visit(CURVES, width=360, has_touch=True, is_mobile=True)
    graph = page.locator(".graph").first
    plot = graph.locator(".graph-plot > svg")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.touchscreen.tap(box["x"] + 1, box["y"] + 50)
    assert shown(graph) == expected("test_loss", 1)


def test_the_search_reads_every_rate_that_was_tried(visit: Any) -> None:
    graph = visit(SEARCH).locator(".graph")
    slider = graph.get_by_role("slider", name="peak learning rate")
    runs = readme.STUDIES["learning-rates"].recipes()
    found = {arm: [run for recipe in recipes if (run := readme.find(recipe, readme.PUBLISHED))]
             for arm, recipes in runs.items()}  # fmt: skip
    rates = sorted({run.recipe.lr for of_arm in found.values() for run in of_arm})
    seen = {}
    slider.focus()
    slider.press("Home")
    for _ in range(int(slider.get_attribute("max")) + 1):
        seen[float(graph.locator(".graph-step").inner_text().split()[-1])] = shown(graph)
        slider.press("ArrowRight")
    for rate in rates:
        for arm, several in found.items():
            scores = [100 * run.accuracy for run in several if run.recipe.lr == rate]
            best = f"{max(scores):.2f}" if scores else seen[rate][arm][0]
            assert seen[rate][arm][0] == best
            assert scores or best in {"not tried", "loss not finite"}


# -- switches --------------------------------------------------------------------------------------


def test_arms_are_switched_off_and_on(visit: Any) -> None:
    graph = visit(CURVES).locator(".graph").first
    switch = graph.get_by_role("checkbox", name="Group norm")
    i = switch.get_attribute("value")
    parts = graph.locator(f'.graph-plot [data-arm="{i}"] .graph-mean')
    assert parts.count() == 1
    assert parts.is_visible()
    switch.focus()
    switch.press("Space")
    assert not parts.is_visible()
    assert not graph.locator(".graph-name", has_text="Group norm").is_visible()
    assert switch.is_visible(), "so that it can be switched on again"
    graph.get_by_role("slider").press("Home")
    said = graph.locator("output").text_content()
    assert "Group norm" not in said
    assert "Layer norm" in said
    switch.press("Space")
    assert parts.is_visible()


def test_single_seeds_are_switched_on_and_off(visit: Any) -> None:
    graph = visit(CURVES).locator(".graph").nth(1)
    seed = next(iter(next(iter(records("test_accuracy").values()))))
    lines = graph.locator(f'.graph-seed[data-seed="{seed}"]')
    switch = graph.get_by_role("checkbox", name=str(seed), exact=True)
    assert lines.count() == len(records("test_accuracy"))
    assert not any(line.is_visible() for line in lines.all())
    switch.check()
    assert all(line.is_visible() for line in lines.all())
    graph.get_by_role("slider").press("Home")
    for arm, cells in shown(graph).items():
        assert cells[2] == f"{100 * records('test_accuracy')[arm][seed][0]:.2f}"
    switch.uncheck()
    assert not any(line.is_visible() for line in lines.all())
    assert {len(cells) for cells in shown(graph).values()} == {2}


# -- looks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", [CURVES, SEARCH])
def test_every_word_is_on_the_screen_and_can_be_read(visit: Any, name: str, width: int) -> None:
    page = visit(name, width=width)
    for graph in page.locator(".graph").all():
        words = graph.evaluate(WORDS)
        for word in words:
            assert word["size"] >= 11, word
            assert word["left"] >= 0, word
            assert word["right"] <= width, word
        for arm in shown(graph):
            assert arm in {word["text"] for word in words}
        for a, b in combinations([word for word in words if word["drawn"]], 2):
            wide = min(a["right"], b["right"]) - max(a["left"], b["left"])
            high = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
            assert wide < 1 or high < 4, (a["text"], b["text"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_colours_follow_light_and_dark_without_a_reload(visit: Any) -> None:
    page = visit(CURVES, color_scheme="light")
    look = """() => [".graph-mean", ".graph-ink"].map(name => {
        const style = getComputedStyle(document.querySelector(".graph-plot " + name));
        return name === ".graph-mean" ? style.stroke : style.fill;
    })"""
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    dark = page.evaluate(look)
    ink = [sum(map(float, re.findall(r"[\d.]+", letters))) for _, letters in (light, dark)]
    assert light[0] != dark[0]
    assert ink[0] + 300 < ink[1], "black letters become light ones"


def test_without_scripts_the_whole_graph_and_the_last_epoch_are_there(visit: Any) -> None:
    page = visit(CURVES, java_script_enabled=False)
    for place, column in enumerate(GRAPHS):
        graph = page.locator(".graph").nth(place)
        last = len(next(iter(next(iter(records(column).values())).values())))
        assert graph.locator(".graph-step").inner_text() == f"Epoch {last}"
        assert shown(graph) == expected(column, last)
        assert all(line.is_visible() for line in graph.locator(".graph-plot .graph-mean").all())
        assert not graph.get_by_role("slider").is_visible(), "nothing that does nothing"
        assert not graph.get_by_role("checkbox").first.is_visible()


def test_on_paper_the_switches_are_gone_and_the_numbers_stay(visit: Any) -> None:
    page = visit(CURVES)
    page.emulate_media(media="print")
    graph = page.locator(".graph").first
    assert not graph.get_by_role("slider").is_visible()
    assert graph.locator("td").first.is_visible()
    assert graph.locator(".graph-mean").first.is_visible()
