"""When two texts are the same text but for case, punctuation and blanks."""

import re


def normalized(text: str) -> str:
    """The lower-cased words of letters and digits, one blank between: how texts are compared for leaks.

    >>> normalized("A  man's RED motor-cycle!")
    'a man s red motor cycle'
    """
    return " ".join(re.findall(r"[^\W_]+", text.lower()))
