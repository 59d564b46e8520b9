"""What a cluster adds to a run is read from the benchmark, and told as what is added."""

import cluster_overhead
import pytest
from sphinx.application import Sphinx

from normstudy.study.timings import Timings

HERE, DASK = "in one process", "through Dask"
MADE = Timings(
    name="cluster",
    per="run",
    seconds={
        ("a study of 1 run", HERE): [0.100, 0.200, 0.100],
        ("a study of 1 run", DASK): [0.150, 0.260, 0.190],
        ("a study of 20 runs", HERE): [0.100, 0.110, 0.100],
        ("a study of 20 runs", DASK): [0.107, 0.120, 0.105],
    },
    environment={"device": "AVX2 CPU, x86_64", "torch": "2.15.0"},
    date="2026-11-25",
)


def test_what_is_added_is_the_difference_within_a_round():
    answer, *_, how = told = cluster_overhead.told(MADE)
    assert answer.startswith("7 milliseconds a run in a study of 20 runs, and 60 in a study of 1 ")
    assert "     - 60 (50 to 90)" in told
    assert "     - 7 (5 to 10)" in told
    assert how.startswith("Medians of 3 rounds")
    assert "2026-11-25: AVX2 CPU, x86_64, torch 2.15.0" in how


@pytest.mark.usefixtures("own_sphinx")
@pytest.mark.parametrize(("there", "shown"), [(True, "7 (5 to 10)"), (False, "measures it")])
def test_a_page_shows_it_or_how_to_have_it(tmp_path, monkeypatch, there, shown):
    monkeypatch.setattr(cluster_overhead, "FIGURES", tmp_path / "timings" / "cluster.json")
    if there:
        MADE.save(tmp_path / "timings")
    (tmp_path / "conf.py").write_text('extensions = ["cluster_overhead"]\n')
    (tmp_path / "index.rst").write_text("Title\n=====\n\n.. cluster-overhead::\n")
    out = tmp_path / "out"
    app = Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    assert shown in (out / "index.html").read_text()
