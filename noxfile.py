#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""Everything the project can be asked to do: ``nox --list`` names it."""

import argparse
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"  # a second call installs nothing

# PyTorch is 2,000 modules: where this is set, every process compiles those that it imports again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
PROJECT = nox.project.load_toml("pyproject.toml")
DOCS = Path("docs")
LOOK_FOR_A_GPU = """
import sys, torch
if not torch.cuda.is_available():
    sys.exit("PyTorch sees no GPU here: nothing was tested on one")
"""


def install(session: nox.Session, group: str) -> None:
    """Install the package, editable, and one dependency group of pyproject.toml."""
    session.install("--editable", ".", *nox.project.dependency_groups(PROJECT, group))


def docs_options(arguments: list[str]) -> argparse.Namespace:
    """Read what follows ``nox -s docs --``."""
    parser = argparse.ArgumentParser(prog="nox -s docs --", description="Build the report.")
    parser.add_argument(
        "--dataset",
        choices=["cifar10", "digits"],
        help="what the report shows; by default CIFAR-10, or digits where CIFAR-10 cannot be had",
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train all runs on that set again, on this machine"
    )
    parser.add_argument(
        "-E", "--fresh", action="store_true", help="forget every earlier build first"
    )
    parser.add_argument("-b", "--builder", default="html", help="another builder: linkcheck, ...")
    return parser.parse_args(arguments)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "typecheck")
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and the examples in docstrings, a file at a time on each core."""
    install(session, "test")
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *session.posargs)


@nox.session
def processes(session: nox.Session) -> None:
    """Run the tests that start processes of their own, each of which loads PyTorch first."""
    install(session, "test")
    session.run(
        *("pytest", "-m", "processes and not storm", "-n", "auto", "--dist", "loadfile"),
        *session.posargs,
    )


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """Run the tests that need a GPU; where PyTorch sees none, fail and say so."""
    install(session, "test")
    session.run("python", "-c", LOOK_FOR_A_GPU)
    session.run("pytest", "-m", "gpu", *session.posargs)


@nox.session(default=False)
def storm(session: nox.Session) -> None:
    """Kill, crowd, starve and damage trainings, for some minutes; docs/storm.json keeps count."""
    install(session, "test")
    where = ("tests/storm", "tests/study/test_cluster.py")
    session.run("pytest", "-m", "storm", *where, *session.posargs)


@nox.session(default=False, venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the tests of the package with the lowest versions that it declares."""
    groups = nox.project.dependency_groups(PROJECT, "test")
    session.install("--resolution", "lowest-direct", "--editable", ".[cluster]")
    session.install("--editable", ".", *groups, "--constraint", str(lowest_versions(session)))
    tests = ("tests/byhand", "tests/study", "tests/test_main.py")
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *tests)


def lowest_versions(session: nox.Session) -> Path:
    """Write down what is installed, so that the tools of the tests change none of it."""
    path = Path(session.create_tmp()) / "lowest.txt"
    frozen = session.run("uv", "pip", "freeze", "--quiet", "--exclude-editable", silent=True)
    path.write_text(str(frozen), encoding="utf-8")
    return path


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities in what is installed, and for weak points in workflows."""
    session.install("--editable", ".", "pip-audit>=2.7", "zizmor>=1.9")
    session.run("pip-audit", "--skip-editable")
    session.run("zizmor", "--offline", ".github/workflows")


@nox.session(default=False)
def worksheet(session: nox.Session) -> None:
    """Recalculate the worksheet in LibreOffice, which must be installed, and compare with torch."""
    install(session, "test")
    session.run("pytest", "-m", "libreoffice", "tests/byhand/test_worksheet.py", *session.posargs)


@nox.session(default=False)
def screenshot(session: nox.Session) -> None:
    """Make the picture of the worksheet again, with LibreOffice, which must be installed."""
    session.install("--editable", ".", "pypdfium2>=4.30")
    session.run("python", "docs/screenshot.py")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the report into docs/_build/html; pages whose runs are not all there are left out."""
    options = docs_options(session.posargs)
    install(session, "docs")
    if options.fresh or options.retrain:
        for made in ("_build", "api/generated", "auto_examples"):
            shutil.rmtree(DOCS / made, ignore_errors=True)
    output = build(session, options.builder, options)
    if options.builder == "html":
        session.log(f"The report: {(output / 'index.html').resolve().as_uri()}")


def build(session: nox.Session, builder: str, options: argparse.Namespace) -> Path:
    """Have Sphinx build the report, and return the folder."""
    settings = ["-D", f"report_data={options.dataset}"] if options.dataset else []
    settings += ["-D", "report_retrain=1"] if options.retrain else []
    output = DOCS / "_build" / builder
    session.run(
        *("sphinx-build", "-n", "-W", "--keep-going", "-b", builder, *settings),
        *("-d", str(DOCS / "_build" / "doctrees"), str(DOCS), str(output)),
    )
    return output


@nox.session(default=False)
def book(session: nox.Session) -> None:
    """Make the report one EPUB and one PDF, beside its pages; Chromium prints the PDF."""
    options = docs_options(session.posargs)
    install(session, "site")
    pages = build(session, "html", options)
    options.retrain = False  # once is enough
    epub = build(session, "epub", options)
    shutil.copy(epub / "normstudy.epub", pages)
    session.run("python", str(DOCS / "book_pdf.py"))
    session.log(f"The book: {(pages / 'normstudy.pdf').resolve().as_uri()}, and the same as .epub")


@nox.session(default=False)
def site(session: nox.Session) -> None:
    """Look at the built report in Chromium (``-- --every-page``: at all pages of the API too)."""
    arguments = [argument for argument in session.posargs if argument != "--every-page"]
    if "--every-page" in session.posargs:
        session.env["NORMSTUDY_EVERY_PAGE"] = "1"
    install(session, "site")
    session.run("pytest", "-m", "site", "-n", "auto", "tests/site", *arguments)


@nox.session(default=False)
def readme(session: nox.Session) -> None:
    """Write README.md's numbers, tables and pictures from the published runs."""
    session.install("--editable", ".")
    session.run("python", "docs/readme.py")


@nox.session(default=False)
def reproduce(session: nox.Session) -> None:
    """Train a published run again in an empty store, and compare (``-- --all``: all of them)."""
    session.install("--editable", ".")
    session.run("python", "-m", "normstudy", "reproduce", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Time the trainer and the norms beside the alternatives; nothing else should run meanwhile."""
    install(session, "bench")
    session.run("python", "docs/bench.py", *session.posargs)


if __name__ == "__main__":
    nox.main()
