"""docs/glossary.md: what it defines, and the links to it that each notebook gets when it is built.

A notebook's first use of each term in prose is linked. An entry of the glossary is a heading of level 2 (the term), a
sentence or two, and a last paragraph with "Also: ..." (other forms of the term), symbol and shape if it has any, and
"Notebook [NN_name](...)", the one that introduces it. A word too common to be linked wherever it stands ("key") has
the line DEFINED below its heading: it is linked only where a notebook sets it in *italics*, that is, defines it.
"""

import re
from dataclasses import dataclass

from repository import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
DEFINED = "<!-- linked only where it is defined -->"
# What is no prose: code, formulas, headings, folded answers, links and images, HTML tags, the references.
NO_PROSE = re.compile(
    r"^## References$.*|```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|^#{1,6} .*?$|<details>.*?</details>"
    r"|!?\[[^\]]*\]\([^)]*\)|<[^>\n]*>",
    re.S | re.M,
)
LINK = re.compile(r"\[([^\]]*)\]\(\.\./docs/glossary\.md#[^)]*\)")
ITALICS = re.compile(r"(?<![*\w])\*(?![\s*])([^*\n]+?)(?<!\s)\*(?![*\w])")


def anchor(heading):
    """As GitHub makes it from a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@dataclass(frozen=True)
class Entry:
    term: str
    forms: tuple  # the term first
    text: str  # what it means
    notebook: str  # "" where none is named
    common: bool  # linked only in italics

    @property
    def anchor(self):
        return anchor(self.term)

    def patterns(self):
        """A pattern for each form, with or without a plural s; a form in lower case may begin a sentence."""
        for form in self.forms:
            first = (
                f"[{form[0].upper()}{form[0]}]" if form == form.lower() and form[0].isalpha() else re.escape(form[0])
            )
            yield len(form), f"{first}{re.escape(form[1:])}s?"


def read(file=GLOSSARY):
    """The entries of the glossary, in its order; none where there is no such file."""
    if not file.exists():
        return []
    found = []
    for part in re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.M)[1:]:
        term, _, body = part.partition("\n")
        text, _, facts = body.replace(DEFINED, "").strip().rpartition("\n\n")
        also = re.search(r"\bAlso: (.*?)\.(?: |$)", facts)
        notebook = re.search(r"\bNotebook \[(\w+)\]", facts)
        forms = (term.strip(), *(also[1].split(", ") if also else ()))
        found.append(Entry(term.strip(), forms, text.strip(), notebook[1] if notebook else "", DEFINED in body))
    return found


def prose(source):
    """The text with all that is no prose blanked out; every place stays where it is."""
    return NO_PROSE.sub(lambda match: "\0" * len(match[0]), source)


def places(sources, entries):
    """[(cell, start, end, entry)] of the first use of each entry in Markdown texts.

    Longer terms go before shorter ones: "mean pooling" is no use of "pooling".
    """
    forms = sorted(
        ((length, pattern, entry) for entry in entries for length, pattern in entry.patterns()),
        key=lambda form: -form[0],
    )
    either = "|".join(
        rf"((?<=\*){pattern}(?=\*))" if entry.common else rf"({pattern}(?![\w-]))" for _, pattern, entry in forms
    )
    either = re.compile(rf"(?<![\w-])(?:{either})")  # only where a word begins is any form looked for
    found = {}
    for cell, source in enumerate(sources):
        for match in either.finditer(prose(source)) if forms else ():
            found.setdefault(forms[match.lastindex - 1][2].term, (cell, *match.span(), forms[match.lastindex - 1][2]))
    return list(found.values())


def linked(sources, entries):
    """Markdown texts with a link at the first use of each entry. Links that are there already are made anew."""
    sources = [LINK.sub(r"\1", source) for source in sources]
    for cell, start, end, entry in sorted(places(sources, entries), key=lambda place: place[:2], reverse=True):
        text = sources[cell]
        sources[cell] = f"{text[:start]}[{text[start:end]}](../docs/glossary.md#{entry.anchor}){text[end:]}"
    return sources


def undefined(sources, entries):
    """Terms in *italics*, which define them, that have no entry."""
    known = re.compile("|".join(pattern for entry in entries for _, pattern in entry.patterns()))
    return [
        italic
        for source in sources
        for italic in ITALICS.findall(prose(LINK.sub(r"\1", source)))
        if not known.fullmatch(italic)
    ]
