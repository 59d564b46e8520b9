"""Each page names its source and its picture; the sitemap names each page."""

from types import SimpleNamespace
from xml.etree import ElementTree as ET

import page_links
import pytest
from docutils import nodes

HOME = "https://example.org/report/"


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("index", "docs/index.rst"),
        ("changelog", "docs/changelog.md"),
        ("notebooks/three_models", "docs/notebooks/three_models.ipynb"),
        ("auto_examples/plot_130_group_norm", "examples/plot_130_group_norm.py"),
        ("api/generated/normstudy.study.runs", "normstudy/study/runs.py"),
        ("api/generated/normstudy.study.runs.Run", "normstudy/study/runs.py"),
        ("genindex", None),
    ],
)
def test_a_page_leads_to_the_file_that_it_is_made_from(page, source):
    assert page_links.source_of(page) == source
    assert source is None or (page_links.ROOT / source).is_file()


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_page_is_shown_by_its_first_picture(kind):
    config = SimpleNamespace(html_baseurl=HOME, html_context={"edit_base": HOME})
    page = nodes.paragraph(
        "", "", nodes.image(uri="x.svg"), nodes.image(uri=f"../a.{kind}", alt="A")
    )
    context = {"meta": None}
    page_links.add_links(SimpleNamespace(config=config), "index", "", context, page)
    assert context["meta"] == {"og:image": f"{HOME}_images/a.{kind}", "og:image:alt": "A"}
    assert context["edit_url"] == f"{HOME}docs/index.rst"


def test_the_sitemap_lists_every_page_also_those_that_were_not_written_again(tmp_path):
    builder = SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html")
    env = SimpleNamespace(found_docs={"index", "404", "auto_examples/plot_130_group_norm"})
    config = SimpleNamespace(html_baseurl=HOME)
    app = SimpleNamespace(builder=builder, env=env, config=config, outdir=tmp_path)
    page_links.write_sitemap(app, None)
    listed = [place.text for place in ET.parse(tmp_path / "sitemap.xml").iter() if place.text]
    assert [url for url in listed if url.strip()] == [
        f"{HOME}auto_examples/plot_130_group_norm.html",
        f"{HOME}index.html",
    ]
