"""What an answer's code prints stands below it in the report, and a wrong answer ends the build."""

import json
import re
from types import SimpleNamespace

import answers
import pytest

PAGE = '''"""
Title
=====
"""

double = 2 * 3

# %%
# Exercises
# ---------
#
# 1. How much is it?
# 2. Is it even?
#
# .. dropdown:: Answer to 1
#
#    .. code-block:: python
#
#       def told(number):
#           return f"{number} in all"
#
#       print(told(double))
#       double = 0
#
#    Three and three.
#
# .. dropdown:: Answer to 2
#
#    .. code-block:: python
#
#       assert double % 2 == 0
#
#    It is.

print("The end.")
'''


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "plot_210_data.py"
    path.write_text(PAGE, encoding="utf-8")
    return path


def keep(page, names, line=None):
    """Call the hook as Sphinx-Gallery does, behind the block that begins at a line."""
    line = line or answers._blocks(page)[-1][2]
    where = {"src_file": str(page), "target_file": str(page), "example_globals": names}
    assert answers.keep(("code", "", line), where, {}) == ""
    kept = page.with_suffix(".answers.json")
    return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None


def test_the_code_of_each_answer_is_found(page):
    assert list(answers.codes(page)) == ["1", "2"]
    assert answers.codes(page)["2"] == "assert double % 2 == 0\n"
    assert "\n\nprint(told(double))\n" in answers.codes(page)["1"]


def test_answers_run_behind_the_last_block_with_the_values_of_the_page(page):
    names = {"double": 6}
    assert keep(page, names, line=5) is None
    assert keep(page, names) == {"1": "6 in all", "2": ""}
    assert names == {"double": 6}, "an answer leaves the page as it is"


def test_a_wrong_answer_ends_the_build(page):
    with pytest.raises(
        ValueError, match=r"plot_210_data\.py: the code of answer 2 fails: Assertion"
    ):
        keep(page, {"double": 5})


def test_what_was_printed_stands_below_the_code(page):
    keep(page, {"double": 6})
    app, name = SimpleNamespace(srcdir=page.parent), page.stem
    source = [re.sub("^# ?", "", PAGE, flags=re.MULTILINE)]
    answers.show(app, name, source)
    shown = """      double = 0

   .. rst-class:: sphx-glr-script-out

   .. code-block:: none

      6 in all

   Three and three.
"""
    assert shown in source[0]
    assert source[0].count("sphx-glr-script-out") == 1, "nothing is said of what prints nothing"


def test_pages_without_answers_stay_as_they_are(tmp_path):
    source = [PAGE]
    answers.show(SimpleNamespace(srcdir=tmp_path), "index", source)
    assert source == [PAGE]
