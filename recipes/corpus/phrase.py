"""The same words in English and Spanish, with what belongs together; and how they are spelled beside each other.

A phrase is two lists of tokens; a token is a word and the set of *units* it expresses, and two words are aligned where
they share a unit. A unit may be several words, as in "looks for" / "busca". "Does", "did", the "a" before persons, "¿"
and the article in "maria's book" / "el libro de maría" express none and stay unaligned. "Del" is aligned with both
words of "of the".
"""


class Phrase:
    """The same in both languages: lists of (word, units), and the features that a verb or adjective agrees with."""

    def __init__(self, en=(), es=(), gender="m", number=0, tags=frozenset(), dropped=frozenset()):
        self.en, self.es = list(en), list(es)
        self.gender, self.number, self.tags = gender, number, tags  # number: 0 singular, 1 plural
        self.dropped = dropped  # the unit of a subject that Spanish leaves out

    def __add__(self, other: "Phrase") -> "Phrase":
        return Phrase(self.en + other.en, self.es + other.es)

    def joined(self, before: "Phrase", after: "Phrase") -> "Phrase":
        """Words added before and after; the features stay."""
        whole = before + self + after
        return Phrase(whole.en, whole.es, self.gender, self.number, self.tags)


def spelled_english(tokens: list) -> list:
    """ "a" becomes "an" before a vowel."""
    following = [word for word, _ in tokens[1:]] + [""]
    return [
        ("an" if word == "a" and after[0] in "aeiou" else word, units)
        for (word, units), after in zip(tokens, following)
    ]


def spelled_spanish(tokens: list) -> list:
    """el agua, un águila (both feminine); e before i; then al and del, which carry the units of both words."""
    spelled = []
    for (word, units), after in zip(tokens, [word for word, _ in tokens[1:]] + [""]):
        if after in ("agua", "águila"):
            word = {"la": "el", "una": "un"}.get(word, word)
        if word == "y" and after.startswith("i"):
            word = "e"
        if word == "el" and spelled and spelled[-1][0] in ("a", "de"):
            before, its_units = spelled.pop()
            word, units = {"a": "al", "de": "del"}[before], its_units | units
        spelled.append((word, units))
    return spelled


def word_alignment(english: list, spanish: list) -> list[tuple[int, int]]:
    return [(i, j) for i, (_, a) in enumerate(english) for j, (_, b) in enumerate(spanish) if a & b]
