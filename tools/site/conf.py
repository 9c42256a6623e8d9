"""Sphinx's configuration for the course's site, whose sources stage.py writes. build_site.py runs both."""

import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from code_lines import with_hanging_lines
from mathml import mathml
from repository import BRANCH, REPOSITORY
from table_headers import with_header_cells

project = html_title = "How sentence transformers work"
author = "The sentence-transformers-course contributors"
copyright = f"{author}. Text: CC BY 4.0, code: Apache-2.0"

extensions = ["myst_nb"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # CONTRIBUTING shows notebook cells, with their %%, as Python

smartquotes = False  # the text is shown as it is written
html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["course.css"]
html_copy_source = False
html_show_sourcelink = False
html_use_index = False  # the glossary is one; the entries of stage.py are for the search
html_theme_options = {
    "repository_url": f"https://github.com/{REPOSITORY}",
    "repository_branch": BRANCH,
    "use_repository_button": True,
    "use_download_button": False,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search stands at the side
}


def formula(translator, node):
    block = isinstance(node, nodes.math_block)
    text = mathml(node.astext(), block)
    translator.body.append(
        f'<div class="formula" role="group" aria-label="Formula" tabindex="0">{text}</div>' if block else text
    )
    raise nodes.SkipNode


def readable(app, pagename, templatename, context, doctree):
    """For readers who hear the page: header cells say what they head, a folded cell says what it is. And long lines."""
    if "body" in context:
        body = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")
        context["body"] = with_hanging_lines(with_header_cells(body))


def setup(app):
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("html-page-context", readable)
