"""Every page of the report: accessible, self-contained, and never wider than a phone."""

from functools import cache
from importlib import resources
from typing import Any

import pytest
from browsing import PICTURES, SITE, Watch, settle

pytestmark = pytest.mark.site

STANDARDS = "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"
RULES = {"type": "tag", "values": STANDARDS}
CHECK = """async rules => {
    const {violations} = await axe.run(document, {
        runOnly: rules, resultTypes: ["violations"], preload: false,
    });
    return violations.flatMap(v => v.nodes.map(n =>
        `${v.id}: ${n.html.slice(0, 120)} (${n.target.join(" ")}) ${n.failureSummary}`));
}"""
# Everything that has moved while the page was loaded, as a part of the screen
SHIFTS = """window.shifted = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { window.shifted += e.value; }))
    .observe({type: "layout-shift", buffered: true});"""
UNSIZED = """() => [...document.querySelectorAll("article img:not(.toggler)")]
    .filter(i => !/\\.svg$/.test(i.src) && !(i.width && i.getAttribute("height")))
    .map(i => i.src)"""
# Stops of the tab key without a mark: focus changes nothing, neither of them nor around them. Of
# stops alike in tag and classes, also of what is around them, the first two are tried.
UNMARKED = """() => {
    const look = el => {
        const seen = [];
        for (let at = el; at && seen.length < 4; at = at.parentElement)
            for (const pseudo of [null, "::before", "::after"]) {
                const s = getComputedStyle(at, pseudo);
                seen.push([s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor,
                    s.backgroundColor, s.textDecoration, s.color].join());
            }
        return seen.join();
    };
    const stops = [...document.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex]")]
        .filter(el => el.tabIndex >= 0 && !el.disabled
            && el.checkVisibility({visibilityProperty: true}));
    const kind = el => el ? el.tagName + el.className + kind(el.parentElement) : "";
    const bare = [], tried = {};
    for (const el of stops) {
        if ((tried[kind(el)] = (tried[kind(el)] || 0) + 1) > 2) continue;
        document.activeElement.blur();
        const before = look(el);
        el.focus({focusVisible: true, preventScroll: true});
        if (document.activeElement !== el) bare.push("no focus: " + el.outerHTML.slice(0, 150));
        else if (look(el) === before) bare.push("no mark: " + el.outerHTML.slice(0, 150));
    }
    return bare;
}"""

# What paper would cut off: it is wider than its place, and only a scroll bar reaches the rest
CUT = """() => [...document.querySelectorAll(".bd-article *")]
    .filter(el => el.checkVisibility() && el.scrollWidth > el.clientWidth + 1
        && ["auto", "scroll", "hidden"].includes(getComputedStyle(el).overflowX)
        && el.clientWidth > 1)
    .map(el => el.outerHTML.slice(0, 150))"""


@cache
def axe() -> str:
    """Read axe-core, which the package for Python brings along."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def barriers(tab: Any, page_name: str, width: int) -> list[str]:
    """Look at a page in light and dark, keep a picture of each, and name what axe finds."""
    found = []
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        picture = f"{page_name.removesuffix('.html').replace('/', '-')}-{width}-{mode}.jpg"
        tab.screenshot(path=PICTURES / picture, type="jpeg", quality=60)
        found += [f"{width} px, {mode}: {fault}" for fault in tab.evaluate(CHECK, RULES)]
    return found


def test_a_page_has_no_barrier_and_holds_still(page_name: str, tab: Any, server: str) -> None:
    watch = Watch(tab, server)
    tab.add_init_script(SHIFTS)
    tab.goto(server + page_name)
    settle(tab)
    found = [f"an image has no size: {image}" for image in tab.evaluate(UNSIZED)]
    if (shifted := tab.evaluate("window.shifted")) >= 0.05:
        found.append(f"while it is loaded, {shifted:.3f} of the screen moves")
    if (size := sum(image.stat().st_size for image in watch.images)) >= 400_000:
        found.append(f"it begins with {size:,} bytes of images")
    tab.evaluate(axe())
    found += barriers(tab, page_name, 1280)
    tab.set_viewport_size({"width": 400, "height": 900})
    settle(tab)
    found += barriers(tab, page_name, 400)
    assert not found, "\n".join(found)
    assert not watch.foreign
    assert not watch.errors


def test_a_page_needs_no_server_no_wide_screen_and_no_mouse(page_name: str, tab: Any) -> None:
    if page_name == "404.html":
        return  # only a server shows it, so its links begin with the project's name
    watch = Watch(tab, SITE.resolve().as_uri())
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.goto((SITE / page_name).resolve().as_uri())
    settle(tab)
    root = "document.documentElement"
    assert tab.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), "it moves sideways"
    assert not watch.foreign
    assert not watch.errors
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.emulate_media(media="print")
    assert not tab.evaluate(CUT)
    tab.emulate_media(media="screen")
    tab.keyboard.press("Tab")  # from now on, focus comes from the keyboard
    unmarked = tab.evaluate(UNMARKED)
    assert not unmarked, "\n".join(unmarked)
