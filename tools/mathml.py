"""TeX formulas as MathML: a browser shows them without JavaScript, so that a page loads nothing to show them."""

import re

from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

OTHER_NAMES = {  # of commands that docutils does not know
    r"\big": r"\bigl",
    r"\Big": r"\Bigl",
    r"\dots": r"\ldots",
    r"\gt": ">",
    r"\lt": "<",
}


def mathml(tex, block=False):
    """The <math> element of a formula; block=True for one on a line of its own.

    Errors: ValueError names the formula, and what of it docutils does not know.
    """
    known = re.sub(r"\\[A-Za-z]+", lambda match: OTHER_NAMES.get(match[0], match[0]), tex)
    try:
        return tex2mathml(known, as_block=block)
    except MathError as error:
        raise ValueError(f"docutils cannot read the formula {tex.strip()!r}: {error}") from None
