"""Readers find the page that answers them: the search of the report, in the browser."""

import csv
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from browsing import SITE, Watch

pytestmark = pytest.mark.site

with Path(__file__).with_name("questions.csv").open(encoding="utf-8") as file:
    QUESTIONS = {row["question"]: row["page"] for row in csv.DictReader(file)}


def found(tab: Any, home: str, question: str) -> list[str]:
    """Ask, and return the first pages in the order in which they are listed, each once."""
    tab.goto(f"{home}search.html?{urlencode({'q': question})}")
    tab.wait_for_function(
        "document.querySelector('.search-summary')?.innerText"
        " || document.querySelectorAll('ul.search > li').length > 9"
    )
    links = tab.eval_on_selector_all("ul.search > li > a", "all => all.map(a => a.href)")
    pages = [link.removeprefix(home).split(".html")[0] for link in links]
    return list(dict.fromkeys(pages))


def test_the_page_that_answers_a_question_ranks_first(tab: Any, server: str) -> None:
    ranks = {}
    for question, page in QUESTIONS.items():
        pages = found(tab, server, question)
        ranks[question] = pages.index(page) + 1 if page in pages else None
    reciprocal = [1 / rank if rank else 0 for rank in ranks.values()]
    assert len(ranks) >= 20
    assert sum(reciprocal) / len(ranks) >= 0.9, ranks


def test_the_search_works_without_a_server(tab: Any) -> None:
    home = SITE.resolve().as_uri() + "/"
    watch = Watch(tab, home)
    assert found(tab, home, "group norm")[0] == QUESTIONS["group norm"]
    assert not watch.errors
