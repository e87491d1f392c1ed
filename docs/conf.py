"""Sphinx builds the documentation from here: ``tox run -e docs``."""

import tomllib
from pathlib import Path

_pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))

project = "txabstracthttp"
author = "The txabstracthttp developers"
copyright = "2026, The txabstracthttp developers"  # noqa: A001  Sphinx's name for it
version = release = _pyproject["project"]["version"]

html_theme = "furo"
exclude_patterns = ["_build"]
nitpicky = True
