"""The documentation's hooks, and what the noxfile decides."""

import ast
import random
import re
from pathlib import Path
from types import SimpleNamespace

import gallery_hooks
import live_graphs
import matplotlib.pyplot as plt
import numpy as np
import pytest
import runs_of_the_report as report
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from study.fakes import fake_run

import noxfile
from normstudy.drawing import describe
from normstudy.study import figures
from normstudy.study.files import DataError
from normstudy.study.recipes import Recipe
from normstudy.study.studies import STUDIES

pytestmark = pytest.mark.usefixtures("own_sphinx")

ROOT = Path(__file__).parents[1]
CONF = """
from gallery_hooks import TwinFigure
numfig = True
def setup(app):
    app.add_directive("twin-figure", TwinFigure)
"""


def scrape(folder: Path) -> str:
    """Call the scraper as Sphinx-Gallery does, for pages in ``folder``."""
    paths = (str(folder / "images" / f"page_{number:03}.png") for number in range(1, 9))
    (folder / "images").mkdir(exist_ok=True)
    block_vars = {"image_path_iterator": paths, "src_file": "plot_210_data.py"}
    return gallery_hooks.figure_scraper(None, block_vars, {"src_dir": str(folder)})


def figure(**words: str):
    fig, axes = plt.subplots(figsize=(4, 3))
    axes.plot([0, 1], color="#0072B2", label="line")
    return describe(
        fig, **({"name": "curve", "caption": "A *line*.", "alt": 'A "rising" line'} | words)
    )


# -- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("plot_340_report_e", "report-e-samples"),
        ("plot_350_same_budget", "same-budget-samples"),
        ("plot_210_data", "samples"),
    ],
)
def test_a_page_of_the_reports_adds_its_own_name_to_those_of_figures(page, name):
    assert gallery_hooks.own_name(page, "samples") == name


def test_a_figure_is_saved_sharp_in_light_and_dark_and_written_with_its_words(tmp_path):
    figure()
    page = scrape(tmp_path)
    assert plt.get_fignums() == []
    light, dark = (Image.open(tmp_path / "images" / f"page_001{x}.webp") for x in ("", "_dark"))
    width = int(re.search(r":width: (\d+)px", page)[1])
    assert light.width == dark.width
    assert width == light.width // 2
    assert light.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert dark.getpixel((0, 0))[3] == 0, "the dark twin has no background"
    assert ".. twin-figure:: /images/page_001.webp\n   :dark: /images/page_001_dark.webp\n" in page
    assert ':name: fig-curve\n   :alt: A "rising" line\n' in page
    assert page.endswith("\n\n   A *line*.\n")


def test_a_graph_of_runs_is_written_live(tmp_path):
    runs = {"Batch norm": [fake_run(Recipe(), [0.5, 0.8])]}
    fig = figures.history(runs, "test_loss")
    page = scrape(tmp_path)
    assert ".. live-figure:: /images/page_001.webp\n   :live: /images/fig-test-loss.html\n" in page
    assert (tmp_path / "images" / "fig-test-loss.html").read_text() == live_graphs.widget(fig.graph)
    assert (tmp_path / "images" / "page_001.webp").exists(), "for thumbnails and the start page"


def test_a_block_without_figures_writes_nothing(tmp_path):
    assert scrape(tmp_path) == ""


@pytest.mark.parametrize("word", ["name", "caption", "alt"])
def test_a_figure_without_its_words_stops_the_build(tmp_path, word):
    figure(**{word: ""})
    with pytest.raises(ValueError, match=rf"plot_210_data.py: figure 1 has no {word}\. .*describe"):
        scrape(tmp_path)


def test_a_figure_that_nobody_described_stops_the_build(tmp_path):
    plt.figure()
    with pytest.raises(ValueError, match="has no name and no caption and no alt"):
        scrape(tmp_path)


def test_dark_figures_have_light_letters_and_lifted_colours():
    fig = figure()
    axes = fig.axes[0]
    note = axes.annotate("here", (0, 0), (1, 1), color="black", arrowprops={"color": "black"})
    kept = axes.text(0, 0, "on a cell", color="black", gid="as-is")
    bars = axes.bar([0, 1], [1, 1], color=["white", "#D55E00"])
    dots = axes.scatter([0, 1], [0, 1], c=["black", "#009E73"])
    (point,) = axes.plot(0.5, 0.5, "o", color="black")
    gallery_hooks.to_dark(fig)
    ink = to_hex((gallery_hooks.DARK_INK,) * 3)
    assert to_hex(axes.title.get_color()) == to_hex(note.get_color()) == ink
    assert to_hex(note.arrow_patch.get_facecolor()) == ink
    assert to_hex(kept.get_color()) == "#000000"
    assert to_hex(bars[0].get_facecolor()) == "#191919"
    assert to_hex(dots.get_facecolors()[0]) == ink
    assert to_hex(point.get_markerfacecolor()) == to_hex(point.get_markeredgecolor()) == ink
    blue = np.array(to_rgb("#0072B2"))
    assert np.allclose(to_rgb(axes.lines[0].get_color()), blue + gallery_hooks.LIFT * (1 - blue))


def test_the_two_images_of_a_figure_share_one_caption_and_number(tmp_path):
    figure()
    page = scrape(tmp_path)
    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "index.rst").write_text(f"Title\n=====\n\n{page}\nSee :numref:`fig-curve`.\n")
    out = tmp_path / "out"
    app = Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    html = (out / "index.html").read_text()
    assert html.count("<figure") == html.count("<figcaption") == 1
    assert html.count('alt="A &quot;rising&quot; line"') == 2
    assert 'id="fig-curve"' in html
    assert '<span class="std std-numref">Fig. 1</span>' in html
    for image in ("page_001.webp", "page_001_dark.webp"):
        assert f'href="_images/{image}"' in html, "a click opens the image at its full size"
    assert {"only-light", "only-dark"} <= set(re.findall(r"only-\w+", html))


def test_a_checkout_may_lie_in_any_folder(tmp_path):
    """Sphinx-Gallery warns of spaces in the whole path, and only those in a name break links."""
    assert not [path for path in (ROOT / "examples").glob("*.py") if re.search(r"\s", path.name)]
    conf = ast.parse((ROOT / "docs" / "conf.py").read_text(encoding="utf-8"))
    (setting,) = (
        ast.unparse(node)
        for node in conf.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "suppress_warnings"
    )
    source = tmp_path / "a space ü, 100 %s [1]" / "docs"
    examples = source.parent / "examples"
    for folder in (source, examples):
        folder.mkdir(parents=True)
    (examples / "README.txt").write_text("Pages\n=====\n")
    (examples / "plot_a.py").write_text('"""\nA\n=\n\nPage.\n"""\nprint(1)\n')
    (source / "index.rst").write_text("Title\n=====\n\n.. toctree::\n\n   auto_examples/index\n")
    (source / "conf.py").write_text(
        f"{setting}\nextensions = ['sphinx_gallery.gen_gallery']\n"
        "exclude_patterns = ['sg_execution_times.rst']\n"
        "sphinx_gallery_conf = {'examples_dirs': '../examples', 'gallery_dirs': 'auto_examples',\n"
        "    'write_computation_times': False}\n"
    )
    out = tmp_path / "out"
    app = Sphinx(source, source, out, out / "trees", "html", status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    assert "A" in (out / "auto_examples" / "plot_a.html").read_text(encoding="utf-8")


# -- caches --------------------------------------------------------------------------------------


def test_examples_begin_from_the_same_random_state():
    def draw():
        gallery_hooks.reset({}, "plot_210_data.py")
        leaking = np.random.rand()  # noqa: NPY002 - the global state is what leaks
        return random.random(), leaking, torch.rand(()).item()

    assert draw() == draw()


def test_the_fingerprint_covers_package_runs_and_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_hooks, "DOCS", tmp_path / "docs")
    monkeypatch.delenv("NORMSTUDY_REPORT", raising=False)
    files = [
        tmp_path / "normstudy/byhand/norms.py",
        tmp_path / "normstudy/study/votes.csv",
        tmp_path / "docs/runs/mnist/one.json",
        tmp_path / "docs/timings/loops.json",
        tmp_path / "docs/storm.json",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    seen = [gallery_hooks.fingerprint()]
    assert gallery_hooks.fingerprint() == seen[0]
    for file in files:
        file.write_text("2")
        seen.append(gallery_hooks.fingerprint())
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    seen.append(gallery_hooks.fingerprint())
    monkeypatch.setattr(gallery_hooks.metadata, "version", lambda _: "0")
    seen.append(gallery_hooks.fingerprint())
    assert len(set(seen)) == len(seen)


def test_pages_are_made_again_until_a_build_succeeds(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_hooks, "STAMP", tmp_path / "fingerprint.txt")
    monkeypatch.setattr(gallery_hooks, "DOCS", tmp_path)
    of_yesterday = [
        tmp_path / "api/generated/normstudy.gone.rst",
        tmp_path / "auto_examples/plot_900_gone.rst",
    ]
    for page in of_yesterday:
        page.parent.mkdir(parents=True)
        page.touch()
    builder = SimpleNamespace(format="html")
    env = SimpleNamespace(found_docs={"index", "notation"})

    def build(exception=None):
        config = SimpleNamespace(sphinx_gallery_conf={"run_stale_examples": False})
        app = SimpleNamespace(builder=builder, config=config, env=env, outdir=tmp_path / "html")
        gallery_hooks.forget_stale_pages(app)
        outdated = gallery_hooks.outdated_pages(app)
        gallery_hooks.remember(app, exception)
        return config.sphinx_gallery_conf["run_stale_examples"], outdated

    assert build(RuntimeError("an example failed")) == (True, ["index", "notation"])
    assert build() == (True, ["index", "notation"])
    assert build() == (False, ["index", "report"])
    assert not any(page.exists() for page in of_yesterday)


def test_a_picture_of_a_notebook_is_described_by_the_words_before_it(tmp_path):
    (tmp_path / "notebooks").mkdir()
    text = "Title\n=====\n\nA *line*\nrises.\n\n.. image:: a.png\n"
    Image.new("1", (1, 1)).save(tmp_path / "notebooks" / "a.png")
    (tmp_path / "notebooks" / "index.rst").write_text(text)
    (tmp_path / "conf.py").write_text(
        "from gallery_hooks import NotebookPictures\nroot_doc = 'notebooks/index'\n"
        "def setup(app):\n    app.add_transform(NotebookPictures)\n"
    )
    out = tmp_path / "out"
    app = Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None, warningiserror=True)
    app.build()
    assert 'alt="A line rises."' in (out / "notebooks" / "index.html").read_text()


def test_a_picture_of_a_notebook_is_the_figure_that_its_code_draws(tmp_path):
    (tmp_path / "notebooks").mkdir()
    pictures = tmp_path / "auto_examples" / "images"
    pictures.mkdir(parents=True)
    for name in ("fig-loss", "fig-loss-dark", "fig-test-loss", "fig-test-loss-dark"):
        Image.new("RGB", (600, 400)).save(pictures / f"{name}.webp")
    Image.new("1", (1, 1)).save(tmp_path / "notebooks" / "a.png")
    text = "Title\n=====\n\nA line.\n\n"
    for call in ('draw(arms, "test_loss")', "plot(other)"):
        text += f".. code-block:: python\n\n   {call}\n\n.. image:: a.png\n\n"
    (tmp_path / "notebooks" / "index.rst").write_text(text)
    (tmp_path / "conf.py").write_text(
        "from gallery_hooks import NotebookPictures\nroot_doc = 'notebooks/index'\n"
        "def setup(app):\n    app.add_transform(NotebookPictures)\n"
    )
    out = tmp_path / "out"
    Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None).build()
    page = (out / "notebooks" / "index.html").read_text()
    light, dark, plain = re.findall(r"<img [^>]*>", page)
    assert "fig-test-loss.webp" in light
    assert "only-light" in light
    assert "width: 300px" in light
    assert "fig-test-loss-dark.webp" in dark
    assert "only-dark" in dark
    assert "a.png" in plain
    assert 'alt="A line."' in light


def test_images_say_how_large_they_are_and_wait(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.webp")
    (tmp_path / "b.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "conf.py").write_text("extensions = ['page_images']\n")
    (tmp_path / "index.rst").write_text(
        "Title\n=====\n\n.. image:: a.webp\n   :width: 30px\n   :alt: A & B\n\n.. image:: b.svg\n"
    )
    out = tmp_path / "out"
    Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None).build()
    first, second = re.findall(r"<img [^>]*>", (out / "index.html").read_text())
    assert first.startswith('<img width="60" height="40" loading="lazy"')
    assert 'alt="A &amp; B"' in first
    assert "loading" not in second


def test_answers_are_headed_in_the_notebooks_that_readers_download(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_hooks, "DOCS", tmp_path)
    path = tmp_path / "auto_examples" / "plot_120_batch_norm.ipynb"
    path.parent.mkdir()
    path.write_text(
        '{"source": ["3. Why?\\n\\n.. dropdown:: Answer to 3\\n\\nσ"]}', encoding="utf-8"
    )
    for _ in range(2):
        gallery_hooks.mend_notebooks(None)
        written = path.read_text(encoding="utf-8")
        assert written == '{"source": ["3. Why?\\n\\n**Answer to 3**\\n\\nσ"]}'


def test_mathjax_lies_beside_the_pages(tmp_path):
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    gallery_hooks.copy_mathjax(app, None)
    mathjax = tmp_path / "_static" / "mathjax"
    assert (mathjax / "tex-chtml.js").stat().st_size > 100_000
    assert len(list((mathjax / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))) > 10


# -- the noxfile ---------------------------------------------------------------------------------


class Session:
    """Stands in for nox's session: remembers what it was asked to run."""

    def __init__(self, *posargs: str) -> None:
        self.posargs = list(posargs)
        self.commands: list[tuple[str, ...]] = []
        self.env: dict[str, str] = {}

    def install(self, *_packages: str) -> None:
        pass

    def log(self, _text: str) -> None:
        pass

    def run(self, *command: str, **_settings):
        self.commands.append(command)


@pytest.fixture
def docs_folder(tmp_path, monkeypatch):
    """Let the noxfile clean up here and not in the real folder."""
    (tmp_path / "auto_examples").mkdir()
    monkeypatch.setattr(noxfile, "DOCS", tmp_path)
    return tmp_path


def test_the_report_is_one_call_of_sphinx(docs_folder):
    session = Session()
    noxfile.docs(session)
    (build,) = session.commands
    assert build[:4] == ("sphinx-build", "-n", "-W", "--keep-going")
    assert build[-2:] == (str(docs_folder), str(docs_folder / "_build" / "html"))
    assert "-D" not in build
    assert (docs_folder / "auto_examples").exists()


def test_arguments_reach_sphinx(docs_folder):
    session = Session("--dataset", "digits", "--retrain")
    noxfile.docs(session)
    given = " ".join(session.commands[0])
    assert "-D report_data=digits -D report_retrain=1" in given


def test_the_book_is_made_from_the_pages_and_lies_beside_them(docs_folder):
    for builder in ("html", "epub"):
        (docs_folder / "_build" / builder).mkdir(parents=True)
    (docs_folder / "_build" / "epub" / "normstudy.epub").write_text("a book")
    session = Session("--dataset", "cifar10", "--retrain")
    noxfile.book(session)
    pages, epub, pdf = (" ".join(command) for command in session.commands)
    assert "-b html" in pages
    assert "-b epub" in epub
    assert "report_retrain" in pages
    assert "report_retrain" not in epub, "trained once"
    assert pdf == f"python {docs_folder / 'book_pdf.py'}"
    assert (docs_folder / "_build" / "html" / "normstudy.epub").read_text() == "a book"


def test_every_page_can_be_looked_at_or_one_of_each_kind():
    session, every = Session(), Session("--every-page", "-x")
    noxfile.site(session)
    noxfile.site(every)
    assert session.commands == [("pytest", "-m", "site", "-n", "auto", "tests/site")]
    assert every.commands == [(*session.commands[0], "-x")]
    assert "NORMSTUDY_EVERY_PAGE" not in session.env
    assert every.env["NORMSTUDY_EVERY_PAGE"] == "1"


def test_tests_of_a_gpu_are_not_passed_over_where_there_is_none(monkeypatch):
    session = Session("-x")
    noxfile.gpu(session)
    (python, option, look), tests = session.commands
    assert (python, option) == ("python", "-c")
    assert tests == ("pytest", "-m", "gpu", "-x")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    exec(look)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="PyTorch sees no GPU here: nothing was tested on one"):
        exec(look)


@pytest.mark.parametrize("argument", ["--retrain", "--fresh", "-E"])
def test_a_build_from_nothing_forgets_the_pages(docs_folder, argument):
    noxfile.docs(Session(argument))
    assert not (docs_folder / "auto_examples").exists()


def test_an_unknown_argument_is_refused(docs_folder, capsys):
    with pytest.raises(SystemExit):
        noxfile.docs(Session("--datset", "digits"))
    assert "unrecognized arguments: --datset" in capsys.readouterr().err


# -- the runs of the report ------------------------------------------------------------------------


def unreachable(name):
    raise DataError(f"{name} is not there.")


def config(**values):
    given = {"report_data": "", "report_retrain": False, "nbsphinx_execute": "auto"} | values
    gallery = {"ignore_pattern": r"__init__\.py"}
    return SimpleNamespace(
        html_theme_options={}, sphinx_gallery_conf=gallery, exclude_patterns=[], **given
    )


@pytest.fixture
def two_pages(tmp_path, monkeypatch):
    """Two pages, the second of which asks for a study that nobody has trained."""
    pages = [tmp_path / "examples" / f"plot_{name}.py" for name in ("1_old", "2_new")]
    pages[0].parent.mkdir()
    for page, study in zip(pages, ("cifar10", "study-e"), strict=True):
        page.write_text(f'arms = run_study(STUDIES["{study}"])\n')
    monkeypatch.setattr(report, "PAGES", pages)
    monkeypatch.setattr(report, "NOTEBOOKS", [])
    monkeypatch.setattr(report, "load", lambda name: None)
    monkeypatch.setattr(report, "find", lambda r: None if r.data == "mnist" and r.seed else r)
    monkeypatch.setattr(report, "run_all", lambda *_, **__: [])
    monkeypatch.setenv("NORMSTUDY_REPORT", "cifar10")
    return pages


def test_digits_stand_in_for_cifar10_where_it_cannot_be_had(monkeypatch):
    monkeypatch.setattr(report, "load", unreachable)
    assert report.choose_data("") == "digits"


def test_a_set_that_was_asked_for_is_never_replaced(monkeypatch):
    assert report.choose_data("digits") == "digits"
    monkeypatch.setattr(report, "load", unreachable)
    with pytest.raises(DataError, match="cifar10 is not there"):
        report.choose_data("cifar10")
    with pytest.raises(ExtensionError, match="cifar10 is not there"):
        report.prepare(None, config(report_data="cifar10"))
    with pytest.raises(
        ExtensionError, match="report_data='imagenet' is unknown; accepted: cifar10"
    ):
        report.prepare(None, config(report_data="imagenet"))


def test_a_page_whose_data_cannot_be_had_is_left_out(two_pages, monkeypatch):
    monkeypatch.setattr(report, "find", lambda recipe: recipe)
    assert report.left_out({"digits"}) == {}
    monkeypatch.setattr(report, "load", lambda name: unreachable(name) if name == "mnist" else None)
    assert report.left_out({"digits"}) == {}, "its runs are all it shows"
    two_pages[1].write_text(two_pages[1].read_text() + "images = load(study.data)\n")
    why = "MNIST cannot be had: mnist is not there."
    assert report.left_out({"digits"}) == {two_pages[1]: why}


def test_runs_of_the_report_are_made_before_its_pages(monkeypatch):
    made = {}

    def run_all(wanted, *, retrain=False):
        made.setdefault(retrain, []).extend(wanted)

    monkeypatch.setattr(report, "run_all", run_all)
    monkeypatch.setenv("NORMSTUDY_REPORT", "")
    settings = config(report_data="digits", report_retrain=True)
    report.prepare(None, settings)
    norms = {"batch", "group", "layer", "instance", "none"}
    assert {recipe.norm for recipe in made[True]} == norms
    assert {recipe.data for recipe in made[True]} == {"digits"}
    search = [recipe for arm in STUDIES["learning-rates"].recipes().values() for recipe in arm]
    assert set(search) < set(made[False]), "published, so never trained again"
    assert settings.html_theme_options["announcement"] == report.NOTICE
    assert settings.nbsphinx_execute == "always", "the stored outputs are those of CIFAR-10"


def test_a_report_on_cifar10_shows_the_stored_notebook_and_no_notice(monkeypatch):
    monkeypatch.setattr(report, "run_all", lambda *_, **__: [])
    monkeypatch.setattr(report, "load", lambda name: None)
    monkeypatch.setenv("NORMSTUDY_REPORT", "")
    settings = config()
    report.prepare(None, settings)
    assert settings.html_theme_options == {}
    assert settings.nbsphinx_execute == "auto"


@pytest.mark.parametrize("data", ["cifar10", "digits"])
def test_a_page_waits_for_its_runs_and_no_build_trains_them(data, two_pages, monkeypatch):
    made = []
    monkeypatch.setattr(report, "run_all", lambda wanted, **_: made.extend(wanted))
    assert report.left_out({"digits"}) == {
        two_pages[1]: "12 of 15 runs of study-e are missing; "
        "`normstudy study study-e --store docs/runs/mnist-study-e` trains them"
    }
    settings = config(report_data=data)
    report.prepare(None, settings)
    assert {recipe.data for recipe in made} == {data}
    assert settings.sphinx_gallery_conf["ignore_pattern"] == r"__init__\.py|plot_2_new"
    assert settings.exclude_patterns == ["auto_examples/plot_2_new.rst"]


def test_a_page_does_not_wait_for_runs_that_this_build_trains(two_pages, monkeypatch):
    monkeypatch.setattr(report, "find", lambda _: None)
    assert report.left_out({"digits", "cifar10"}).keys() == {two_pages[1]}
    monkeypatch.setenv("NORMSTUDY_REPORT", "digits")
    assert report.left_out({"digits"}).keys() == {two_pages[1]}


def test_a_build_without_a_page_that_waits_has_no_warning(two_pages, tmp_path):
    source = tmp_path / "docs"
    (source / "auto_examples").mkdir(parents=True)
    (source / "auto_examples" / "plot_2_new.rst").write_text("Of an earlier build\n===\n")
    (two_pages[0].parent / "README.txt").write_text("Pages\n=====\n")
    for page in two_pages:
        text = "Page.\n\nAfter it: :ref:`sphx_glr_auto_examples_plot_2_new.py`."
        page.write_text(f'"""\n{page.stem}\n{"=" * 10}\n\n{text}\n"""\n# {page.read_text()}')
    (source / "index.rst").write_text(
        "Title\n=====\n\n.. toctree::\n   :glob:\n\n   auto_examples/plot_*\n\n"
        ".. minigallery:: ../examples/plot_*.py\n   :add-heading: Both\n\n"
        ".. card:: New\n   :link: sphx_glr_auto_examples_plot_2_new.py\n   :link-type: ref\n"
    )
    (source / "conf.py").write_text(
        "extensions = ['sphinx_design', 'sphinx_gallery.gen_gallery', 'runs_of_the_report']\n"
        "exclude_patterns = ['sg_execution_times.rst', 'auto_examples/index.rst']\n"
        "sphinx_gallery_conf = {'examples_dirs': '../examples', 'gallery_dirs': 'auto_examples',\n"
        "    'write_computation_times': False, 'plot_gallery': 'False',\n"
        "    'backreferences_dir': 'backreferences'}\n"
    )
    out = tmp_path / "out"
    app = Sphinx(
        *(source, source, out, out / "trees", "html", {"report_data": "cifar10"}),
        status=None,
        warningiserror=True,
    )
    app.build()
    assert app.statuscode == 0
    assert app.env.found_docs == {"index", "auto_examples/plot_1_old"}
    shown = (out / "index.html").read_text(encoding="utf-8")
    assert "plot_1_old" in shown
    assert "plot_2_new.html" not in shown
    leads = (out / "auto_examples" / "plot_1_old.html").read_text(encoding="utf-8")
    assert "After it: <span>plot_2_new</span>." in leads, "its title, without a link"


def test_no_page_leads_to_one_that_is_not_published(monkeypatch):
    monkeypatch.setattr(report, "load", lambda _: None)  # this is about runs, and not about images
    waiting = {page.stem for page in report.left_out({"digits"})}
    published = [page for page in PAGES if page.stem not in waiting]
    written = [*published, *(ROOT / "docs").glob("*.rst"), ROOT / "README.md"]
    assert published
    led = [(page.name, name) for page in written for name in waiting if name in page.read_text()]
    assert led == []


def test_the_report_shows_the_studies_that_its_pages_name():
    shown = report.studies_of([*report.PAGES, *report.NOTEBOOKS])
    assert {"main", "learning-rates", "groups", "lambdas", "study-e"} < set(shown)


def test_the_short_answer_is_a_list_made_from_the_runs(monkeypatch):
    monkeypatch.setattr(report, "run_study", lambda *_, **__: {})
    monkeypatch.setattr(report, "short_answer", lambda arms: ["Batch norm: best.", "None: last."])
    directive = report.ShortAnswer.__new__(report.ShortAnswer)
    (listed,) = directive.run()
    assert [item.astext() for item in listed] == ["Batch norm: best.", "None: last."]


# -- the layout that the contributor's page describes --------------------------------------------


def layout() -> dict[str, list[str]]:
    """Return the modules of each table of the contributor's page, in its order, by package."""
    page = (ROOT / "docs" / "contributing.rst").read_text()
    found = {}
    for table in page.split(".. list-table:: ``")[1:]:
        package = table.split("``")[0]
        found[package] = re.findall(r"^   \* - ``(\w+)``$", table, re.MULTILINE)
    return found


def imports(path: Path) -> set[str]:
    """Return the full names of everything that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = [f"{package}.{name}" for package, names in layout().items() for name in names]


def path_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def test_every_module_stands_in_the_layout_and_in_the_api_reference():
    there = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "normstudy").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert set(MODULES) == there
    page = (ROOT / "docs" / "api" / "index.rst").read_text()
    listed = re.findall(r"^   (normstudy\.[\w.]+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(there - {"normstudy.__main__"})


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_file_of_tests(module: str) -> None:
    *folder, name = path_of(module).relative_to(ROOT / "normstudy").with_suffix("").parts
    assert ROOT.joinpath("tests", *folder, f"test_{name.strip('_')}.py").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_upwards_and_never_between_the_wings(module):
    package, name = module.rsplit(".", 1)
    siblings = layout()[package]
    above = [f"{package}.{other}" for other in siblings[: siblings.index(name)]]
    if package == "normstudy":
        allowed = MODULES if name == "__main__" else above
    else:
        shared = [f"normstudy.{other}" for other in layout()["normstudy"] if other != "__main__"]
        allowed = [*shared, *above]
    used = {
        other
        for found in imports(path_of(module))
        for other in MODULES
        if f"{found}.".startswith(f"{other}.")
    }
    assert used <= set(allowed), f"{module} imports {used - set(allowed)}"
    outside = {found.split(".")[0] for found in imports(path_of(module))}
    assert not outside & {"conf", "docs", "examples", "gallery_hooks"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_outgrows_its_one_reason_to_exist(module):
    most = 400 if module.startswith("normstudy.study.") else 460
    assert len(path_of(module).read_text().splitlines()) <= most


PAGES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_keeps_to_the_rules_for_pages(path):
    text = path.read_text()
    shown = re.split(r"^# Exercises$", text, flags=re.MULTILINE)[0]  # their answers are folded
    tree, lines = ast.parse(text), [line for line in shown.splitlines() if line.strip()]
    title, *introduction = ast.get_docstring(tree).splitlines()
    prose = len(introduction) + sum(line.startswith("#") for line in lines)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert re.fullmatch(r"plot_[1-9]\d\d_[a-z0-9_]+", path.stem)
    assert len(title.split()) <= 8
    assert 80 <= len(shown.splitlines()) <= 250
    assert prose >= 0.4 * len(lines), f"{prose} of {len(lines)} lines are prose"
    assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree))
    outside = {name.split(".")[0] for name in imports(path)}
    assert not outside & {"os", "pathlib"}, "paths belong in the package"
    assert not {name for name in used if re.match("_[^_]", name)}, "private names"
    assert re.search(r"^# What this does not show$", text, re.MULTILINE)


def test_titles_of_pages_are_distinct():
    titles = [ast.get_docstring(ast.parse(path.read_text())).splitlines()[0] for path in PAGES]
    assert len(set(titles)) == len(titles)
    assert sum("mistakes" in title.lower() for title in titles) <= 1, "they would be mixed up"


def test_no_page_names_a_generated_picture_by_its_number():
    pages = [*PAGES, *(ROOT / "docs").glob("*.rst"), ROOT / "README.md"]
    assert not [page for page in pages if re.search(r"_\d{3}(_dark)?\.png", page.read_text())]


# -- what readers load and see first ---------------------------------------------------------------


def test_own_scripts_stay_small():
    docs = gallery_hooks.DOCS
    sizes = {p.name: p.stat().st_size for p in [*docs.glob("_static/*.js"), *docs.glob("*.js")]}
    assert len(sizes) >= 5
    assert sum(sizes.values()) < 30_000, sizes


PAGE = """Title
=====

**The question.** Which?

.. code-block:: Python


    from normstudy import study

    print("In short: this one.")

.. rst-class:: sphx-glr-script-out

 .. code-block:: none

    In short: this one.

**You will see** it.
"""


def test_the_code_above_an_answer_is_folded():
    source = [PAGE]
    gallery_hooks.fold_opening(None, "auto_examples/plot_1", source)
    head, folded = source[0].split(".. dropdown:: The code behind the answer\n")
    assert head == PAGE.partition(".. code-block")[0]
    code, output = folded.split(".. rst-class:: sphx-glr-script-out")
    assert "\n       from normstudy import study\n" in code
    assert "In short: this one." in output


@pytest.mark.parametrize(
    ("page", "text"),
    [("plan", PAGE), ("auto_examples/plot_1", PAGE.replace("**You will see**", "You have seen"))],
)
def test_other_code_stays_open(page, text):
    source = [text]
    gallery_hooks.fold_opening(None, page, source)
    assert source == [text]
