"""numpydoc, with its template compiled once: it does so for each of a thousand docstrings itself.

A Sphinx extension, in the place of ``numpydoc``, by the door that numpydoc has for this.
"""

from pathlib import Path
from typing import Any

import numpydoc
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape, docscrape_sphinx
from sphinx.application import Sphinx


def setup(app: Sphinx) -> Any:
    """Set numpydoc up."""
    loader = FileSystemLoader(Path(docscrape_sphinx.__file__).parent / "templates")
    template = SandboxedEnvironment(loader=loader).get_template("numpydoc_docstring.rst")

    def get_doc_object(
        obj: Any, what: Any = None, doc: Any = None, config: Any = None, **_: Any
    ) -> docscrape.NumpyDocString:
        """Read one docstring."""
        return docscrape.get_doc_object(
            *(obj, what, doc, {**(config or {}), "template": template}),
            class_doc=docscrape_sphinx.SphinxClassDoc,
            func_doc=docscrape_sphinx.SphinxFunctionDoc,
            obj_doc=docscrape_sphinx.SphinxObjDoc,
        )

    return numpydoc.setup(app, get_doc_object)
