"""Sphinx's configuration of the documentation site: ``make docs`` builds it into build/docs, without a network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask_corbado_session import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "flask-corbado-session"
author = "the authors of flask-corbado-session"
copyright = author  # a year would have to be kept
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # PostgreSQL's dollar quotes are no token of the SQL lexer

myst_enable_extensions = ["attrs_inline", "deflist", "html_image"]
myst_heading_anchors = 4
myst_url_schemes = ["http", "https", "mailto"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"flask-corbado-session {__version__}"
html_static_path = ["_static"]
html_favicon = "../demo_site/static/icon.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True


PICTURE = re.compile(r"<picture>(.*?)</picture>", re.DOTALL)


def split_pictures(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Make two images of each ``<picture>``, the form that a Git forge shows by the reader's colour scheme.

    The site has a switch of its own for that, which only classes follow.
    """
    source[0] = PICTURE.sub(lambda picture: _two_images(picture[1]), source[0])


def _two_images(inside: str) -> str:
    dark = re.search(r'srcset="([^"]+)"', inside)
    light = re.search(r'<img src="([^"]+)"', inside)
    text = re.search(r'alt="([^"]+)"', inside)
    if dark is None or light is None or text is None:
        raise ValueError(f"a <picture> needs a source for the dark scheme, an img and an alt: {inside.strip()}")
    images = [(light[1], "only-light"), (dark[1], "only-dark")]
    return "\n\n".join(f'<img src="{path}" alt="{text[1]}" class="picture {name}">' for path, name in images)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", split_pictures)
