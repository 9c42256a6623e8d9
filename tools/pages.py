"""The pages of build/: executed notebooks, the glossary and the index as HTML; each is written in one step."""

import html
import re
from pathlib import Path

import nbformat
from alt_texts import add_alt
from glossary import anchor
from mathml import mathml
from repository import badges_as_links
from table_headers import with_header_cells

from course_lib.support.files import atomic_file

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notebooks of the course, executed</title><style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; vertical-align: top; padding: .3em .8em; border-bottom: 1px solid #bbb; }}
td:nth-child(3) {{ text-align: right; }} .pass {{ color: #00567a; }} .fail {{ color: #a03000; font-weight: bold; }}
</style></head><body><main>
<h1>Notebooks of the course, executed</h1>
<table>
<thead><tr><th scope="col">notebook</th><th scope="col">title</th><th scope="col">seconds</th>
<th scope="col">result</th></tr></thead>
<tbody>
{rows}
</tbody></table>
{glossary}
</main></body></html>
"""


def write(page, text):
    """A run that is killed leaves the old page or the new one, whole: half a page would be newer than its notebook."""
    with atomic_file(page) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def html_of(notebook, name):
    """The page of an executed notebook: with title, alt texts, table headers, links to the other pages."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="html", extra_template_basedirs=[str(Path(__file__).parent)])
    exporter.register_filter("markdown2html", markdown)
    notebook.metadata["title"] = title_of(notebook) or name
    body, _ = exporter.from_notebook_node(add_alt(notebook), resources={"metadata": {"name": name}})
    body = with_header_cells(body)
    body = re.sub(r'href="(?:\.\./(?:docs|notebooks)/)?(\w+)\.(?:md|ipynb)(["#])', r'href="\1.html\2', body)
    return body


def markdown(source):
    """Markdown as HTML, as nbconvert makes it, but with formulas as MathML and badges as words: nothing is loaded."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body):
            return self.formula(body, block=True)

        def inline_math(self, body):
            return self.formula(body, block=False)

        def formula(self, body, block):
            try:
                return mathml(body, block)
            except ValueError:  # of a learner's own notebook: it shows as it is written
                return f"<code>{self.escape_html(body)}</code>"

    return MarkdownWithMath(renderer=Renderer(escape=False)).render(badges_as_links(source))


def title_of(notebook):
    """The text of the first heading of level 1, or nothing."""
    lines = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return next((line[2:].strip() for line in lines if line.startswith("# ")), "")


def glossary_page(root):
    """build/glossary.html, to which the notebooks' pages link; False without a glossary."""
    file = root / "docs" / "glossary.md"
    if file.exists():
        cell = nbformat.v4.new_markdown_cell(file.read_text(encoding="utf-8"))
        text = html_of(nbformat.v4.new_notebook(cells=[cell]), "glossary")
        text = re.sub(r'<h2 id="[^"]*">([^<]*)', lambda m: f'<h2 id="{anchor(html.unescape(m[1]))}">{m[1]}', text)
        write(root / "build" / "glossary.html", text)
    return file.exists()
