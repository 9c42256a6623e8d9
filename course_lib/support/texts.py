"""When two texts are the same text, or have the same words: in letters of any script, with their marks, and with signs.

    normalized     the same but for case, punctuation and blanks, so that one may stand for the other: "C" and "C++" not
    only_words     the same words, whatever signs stand between them: to find leaks, where one too many does no harm

Left out on purpose: other languages' rules of case, words that sound or mean the same.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

NO_UNDERSCORE = r"[^\W_]"  # letters and digits, for `re`


def normalized(text: str) -> str:
    """The lower-cased words and the signs that say something, one blank between.

    Signs are those of currencies and mathematics, other symbols (°, emoji), %, a minus before a number, and + and #
    behind a word. A letter with an accent is the same as the letter and the accent after it.

    >>> normalized("A  man's RED motor-cycle!"), normalized("Learn C++ (-5 %)")
    ('a man s red motor cycle', 'learn c++ - 5 %')
    """
    return " ".join(_words_and_signs().findall(_plain(text).replace("−", "-")))


def only_words(text: str) -> str:
    """The lower-cased words of letters and digits, one blank between.

    >>> only_words("Learn C++ (-5 %)")
    'learn c 5'
    """
    return " ".join(_words().findall(_plain(text)))


@cache
def word(letters: str = r"\w") -> str:
    r"""The pattern of a word for `re`: a run of `letters`, with the marks behind them: accents, the vowels of Hindi.

    `\w` knows letters, digits and _, and takes a mark for the end of a word.
    """
    marks = _ranges(c for c in _characters("M") if not "\ufe00" <= c <= "\ufe0f")  # these only choose a picture
    return f"{letters}+(?:[{marks}]+{letters}*)*"


@cache
def _words() -> re.Pattern:
    return re.compile(word(NO_UNDERSCORE))


@cache
def _words_and_signs() -> re.Pattern:
    separators = "|~"  # mathematics to Unicode, but set between words like dashes
    signs = _ranges(c for c in _characters("S") if unicodedata.category(c) != "Sk" and c not in separators)
    return re.compile(rf"{word(NO_UNDERSCORE)}[+#]*|(?<![\w–—-])-(?=[.,]?\d)|[%‰{signs}]")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def _characters(category: str) -> list[str]:
    """All characters of a general category of Unicode. From U+20000 on are letters alone, and what chooses pictures."""
    return [c for c in map(chr, range(0x20000)) if unicodedata.category(c)[0] == category]


def _ranges(characters: Iterable[str]) -> str:
    """What stands in the brackets of a pattern for these characters, which rise: a-z."""
    ranges: list[list[int]] = []
    for code in map(ord, characters):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
