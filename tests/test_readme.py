"""README.md shows the published runs, and no others."""

import hashlib
import json
import re

import pytest
import readme


@pytest.fixture(scope="module")
def arms():
    return readme.published_arms()


@pytest.fixture(scope="module")
def record():
    return json.loads((readme.PICTURES / "pictures.json").read_text())


STALE = "run `uvx nox -s readme`"


def test_the_text_is_what_the_published_runs_say(arms, record):
    text = readme.README.read_text()
    assert readme.fill(text, readme.blocks(arms, record)) == text, STALE


def test_the_pictures_are_drawn_from_the_published_runs_by_the_present_code(arms, record):
    assert record["sources"] == readme.source_digest(arms), STALE


def test_the_pictures_are_those_that_were_drawn(record):
    found = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in readme.PICTURES.glob("*.png")
    }
    assert found == {name: words["sha256"] for name, words in record["pictures"].items()}, STALE
    used = re.findall(r"\]\(docs/readme/(\S+)\.png\)", readme.README.read_text())
    assert sorted(used) == sorted(found)


def test_another_run_changes_the_digest(arms):
    fewer = {label: runs[:1] for label, runs in arms.items()}
    assert readme.source_digest(fewer) != readme.source_digest(arms)


def test_blocks_are_written_between_their_marks():
    text = "A <!-- begin: x -->old<!-- end: x --> B"
    filled = readme.fill(text, {"x": "new"})
    assert filled == "A <!-- begin: x -->\n\nnew\n\n<!-- end: x --> B"
    assert readme.fill(filled, {"x": "new"}) == filled


def test_a_block_without_marks_is_refused():
    with pytest.raises(ValueError, match=r"marks for \[\] and there is \['x'\]"):
        readme.fill("no marks", {"x": "new"})
