"""What the code in the answers to exercises prints, shown below it.

A Sphinx extension. The answers are folded text, which Sphinx-Gallery does not execute. Here their
code runs once its page has run, with the page's data, and an answer that is wrong ends the build.
"""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import matplotlib.pyplot as plt
from sphinx.application import Sphinx
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

CODE = re.compile(  # its last blank line belongs to what follows
    r"^\.\. dropdown:: Answer to (?P<number>\d+)\n\n"
    r"   \.\. code-block:: python\n\n(?P<code>(?: {6}.*\n|\n(?= {6}))+)",
    re.MULTILINE,
)
TAB = 3 * " "


def codes(page: Path) -> dict[str, str]:
    """Return the code of the answers of a page, by the number of the exercise."""
    prose = re.sub("^# ?", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {found["number"]: dedent(found["code"]) for found in CODE.finditer(prose)}


def execute(code: str, names: dict[str, Any]) -> str:
    """Run the code of an answer with the values of its page by name, and return what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "<answer>", "exec"), names)
    return printed.getvalue().rstrip()


def keep(block: tuple[str, str, int], block_vars: dict[str, Any], _conf: dict[str, Any]) -> str:
    """Behind the last block of a page, run its answers and keep what they print.

    Sphinx-Gallery calls it after each block of an example, as it calls what saves figures.

    Raises
    ------
    ValueError
        When the code of an answer fails: it asserts what the answer says.
    """
    page = Path(block_vars["src_file"])
    if block[2] != max(line for kind, _, line in _blocks(page) if kind == "code"):
        return ""
    told = {}
    for number, code in codes(page).items():
        try:
            told[number] = execute(code, dict(block_vars["example_globals"]))
        except Exception as error:
            msg = f"{page}: the code of answer {number} fails: {error!r}"
            raise ValueError(msg) from error
    plt.close("all")
    target = Path(block_vars["target_file"]).with_suffix(".answers.json")
    target.write_text(json.dumps(told), encoding="utf-8")
    return ""


def _blocks(page: Path) -> list[tuple[str, str, int]]:
    """Text and code of a page: kind, content, first line."""
    blocks: list[tuple[str, str, int]] = split_code_and_text_blocks(str(page))[1]
    return blocks


def show(app: Sphinx, name: str, source: list[str]) -> None:
    """Set what an answer prints below its code."""
    kept = Path(app.srcdir, f"{name}.answers.json")
    if not kept.exists():
        return
    told = json.loads(kept.read_text(encoding="utf-8"))

    def with_output(found: re.Match[str]) -> str:
        printed = told.get(found["number"])
        if not printed:
            return found[0]
        below = (
            f".. rst-class:: sphx-glr-script-out\n\n.. code-block:: none\n\n{indent(printed, TAB)}"
        )
        return f"{found[0]}\n{indent(below, TAB)}\n"

    source[0] = CODE.sub(with_output, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook with Sphinx; ``conf.py`` tells Sphinx-Gallery of :func:`keep`."""
    app.connect("source-read", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
