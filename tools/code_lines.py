"""Lines of Python that are longer than the page is wide: they go on further in than they began."""

import re


def with_hanging_lines(page):
    """The HTML page with each line of its Python code in a span that says how many spaces it begins with."""
    code = r'(<div class="highlight-python notranslate"><div class="highlight"><pre>)(.*?)\n(</pre>)'
    return re.sub(code, lambda match: match[1] + spans(match[2]) + match[3], page, flags=re.S)


def spans(code):
    """Highlighted lines, in each of which all tags are closed: course.css reads --begins."""
    found = []
    for line in code.removeprefix("<span></span>").split("\n"):
        begins = re.match(" *", re.sub(r"<[^>]*>", "", line)).end()
        found.append(f'<span class="line" style="--begins: {begins}ch">{line}\n</span>')
    return "".join(found)
