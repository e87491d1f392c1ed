"""Sphinx builds the documentation from here: ``tox run -e docs``."""

import sys
import tomllib
from pathlib import Path

from zope.interface.interface import InterfaceClass

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the reference is made from the docstrings

_pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

project = "txabstracthttp"
author = "The txabstracthttp developers"
copyright = "2026, The txabstracthttp developers"  # noqa: A001  Sphinx's name for it
version = release = _pyproject["project"]["version"]

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"txabstracthttp {version}"

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

# `name` in a docstring or in the text is a link where there is something of that name, and plain otherwise:
# Twisted's own names are not ours to resolve, and building needs no network.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:(class|exc|data)", r"(?!txabstracthttp\.).*"),
    ("py:class", r"txabstracthttp\.(headers\.T|signals\.Observer)"),  # type variables
]

# In an annotation an interface is to be shown as one would write it.
InterfaceClass.__repr__ = lambda self: self.__name__
