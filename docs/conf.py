"""Configuration of the report, for Sphinx 8.2 to 9."""

import os
import sys
from importlib import metadata
from pathlib import Path

import pypandoc

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for our own extensions
# nbsphinx looks for pandoc on the PATH, where its wheel does not put it
os.environ["PATH"] = f"{Path(pypandoc.get_pandoc_path()).parent}{os.pathsep}{os.environ['PATH']}"

project = "normstudy"
author = "the normstudy authors"
copyright = f"2026, {author}"
release = version = metadata.version("normstudy")

extensions = [
    "myst_parser",
    "nbsphinx",
    "notfound.extension",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "sphinxext.opengraph",
    "accessible",
    "answers",
    "axes_page",
    "book_epub",
    "cluster_overhead",
    "definitions",
    "docstrings",
    "gallery_hooks",
    "index_terms",
    "live_graphs",
    "page_images",
    "page_links",
    "printed_tables",
    "provenance",
    "runs_of_the_report",
    "storm_figures",
    "worksheet_download",
]
# without these the gallery's generated notebooks would replace its executed pages
exclude_patterns = [
    "_build",
    "auto_examples/index.rst",  # report.rst has chapters instead
    "auto_examples/**.ipynb",
    "auto_examples/**.py",
    "**.ipynb_checkpoints",
    "sg_execution_times.rst",
]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"numpy\._typing\..*"),  # what ArrayLike unfolds to
    ("py:class", r"filelock\._native\..*"),  # what FileLock unfolds to, by operating system
    # where torch defines what it calls torch.optim.SGD, torch.nn.BatchNorm2d and torch.autocast
    ("py:class", r"torch\.(optim\.sgd\.SGD|nn\.modules\.batchnorm\.BatchNorm2d)"),
    ("py:class", r"torch\.amp\.autocast_mode\.autocast"),
    ("py:class", "tqdm"),  # whose documentation is a README
    ("py:class", r"(normstudy\..*\.)?_[PRT]"),  # type variables
]
suppress_warnings = [
    # of the whole path, which is the reader's choice; a test looks at the names of the examples
    "sphinx_gallery.space_in_filename",
    "epub.unknown_project_files",  # downloads and scripts stay on the web
]
numfig = True
default_role = "code"
highlight_language = "python"

# -- the pages of the report: examples/ ----------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "nested_sections": False,
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("gallery_hooks.figure_scraper", "answers.keep"),
    "reset_modules": ("matplotlib", "gallery_hooks.reset"),
    "run_stale_examples": False,  # gallery_hooks decides
    "abort_on_example_error": False,
    "ignore_repr_types": r"matplotlib\.|builtins\.list",
    "remove_config_comments": True,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "default_thumb_file": str(DOCS / "_static" / "logo.svg"),
    "thumbnail_size": (640, 320),  # of the shape of a card, with twice its pixels
    "doc_module": ("normstudy",),
    "backreferences_dir": "api/generated/backreferences",
    "inspect_global_variables": True,
}
nbsphinx_execute = "auto"  # the notebook is published with its outputs; a test compares them
nbsphinx_requirejs_path = ""
nbsphinx_widgets_path = ""
html_sourcelink_suffix = ""

# -- API reference -------------------------------------------------------------------------------

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
# Inventories in plain text, one line for each name that the report links to: no download.
intersphinx_mapping = {
    name: (url, f"_inv/{name}.txt")
    for name, url in {
        "matplotlib": "https://matplotlib.org/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "python": "https://docs.python.org/3/",
        "torch": "https://docs.pytorch.org/docs/stable/",
        "torchvision": "https://docs.pytorch.org/vision/stable/",
    }.items()
}

# -- citations and mathematics -------------------------------------------------------------------

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
mathjax_path = "mathjax/tex-chtml.js"  # gallery_hooks puts it there
mathjax3_config = {
    # nbsphinx would read every dollar sign of every page as mathematics
    "options": {
        "ignoreHtmlClass": "tex2jax_ignore|mathjax_ignore|document|bd-article|content",
        "enableMenu": False,  # with its menu, every formula would be a stop of the tab key
    },
    "tex": {"macros": {"E": r"\operatorname{E}", "Var": r"\operatorname{Var}"}},
}

# -- HTML ----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "normstudy"
html_baseurl = "https://normstudy.github.io/normstudy/"
html_static_path = ["_static", "readme/shared-cells.png"]
html_css_files = ["normstudy.css"]
html_js_files = [("normstudy.js", {"defer": "defer"})]
html_logo = html_favicon = "_static/logo.svg"
html_show_sphinx = False
html_copy_source = True
html_search_scorer = str(DOCS / "search_scorer.js")
html_context = {
    "default_mode": "auto",
    "edit_base": "https://github.com/normstudy/normstudy/edit/main/",
}
html_theme_options = {
    "logo": {"text": "normstudy", "alt_text": "normstudy, to the start page"},
    "icon_links": [
        {
            "name": "Source code",
            "url": "https://github.com/normstudy/normstudy",
            "icon": "fa-brands fa-github",
        }
    ],
    "navbar_align": "left",
    "navigation_depth": 2,
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc", "sg_download_links", "edit-link", "sourcelink"]},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "github-light-high-contrast",
    "pygments_dark_style": "github-dark-high-contrast",
}
# only the report and the API reference have pages below them
html_sidebars: dict[str, list[str]] = {
    name: []
    for name in (
        "404",
        "changelog",
        "contributing",
        "glossary",
        "index",
        "notation",
        "notebooks/three_models",
        "promises",
        "references",
    )
}

copybutton_exclude = ".linenos, .gp, .go"
notfound_urls_prefix = "/normstudy/"
ogp_site_url = html_baseurl
ogp_social_cards = {"enable": False}  # they would be drawn for every page at every build
ogp_image = "_static/shared-cells.png"  # of pages that have no figure
ogp_image_alt = "Which cells share a mean under batch, layer, group and instance norm"

# -- the report as one file --------------------------------------------------------------------

epub_basename = "normstudy"
epub_identifier = html_baseurl
epub_scheme = "URL"
epub_uid = "normstudy"
epub_description = metadata.metadata("normstudy")["Summary"]
epub_contributor = author
epub_css_files = ["book.css"]
epub_tocscope = "includehidden"
epub_show_urls = "no"
epub_use_index = False
linkcheck_ignore = [rf"{html_baseurl}normstudy\.(epub|pdf)"]  # published with the pages
