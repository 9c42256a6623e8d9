"""Words and their numbers, for the translators of the first chapters.

Sentences are cut into whole words. A vocabulary of words cannot write what it has not seen: [UNK] stands for every
other word. Chapter 4 shows the cure, pieces of words.

Left out on purpose: sub-words, cased text (everything is lower-cased), languages without blanks.
"""

import re
from collections import Counter
from collections.abc import Iterable

from course_lib.support.text_inputs import checked_text, text_list
from course_lib.support.texts import word

SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[UNK]")
PAD, BOS, EOS, UNK = range(4)  # padding, beginning of sentence, end of sentence, unknown word
WORDS = re.compile(rf"{word()}(?:['’-]{word()})*|[^\w\s]")


def words(text: str) -> list[str]:
    """The lower-cased words of a text; each punctuation mark is a word of its own.

    Text that is already lower-cased words between blanks comes back as it is.

    >>> words("Don't you see the red car?")
    ["don't", 'you', 'see', 'the', 'red', 'car', '?']
    """
    return WORDS.findall(checked_text(text).lower())


class Vocabulary:
    """Numbers for words: 0..3 are [PAD], [BOS], [EOS] and [UNK], then come the words from the commonest on."""

    def __init__(self, tokens: Iterable[str]):
        """tokens: the words, in the order of their numbers, without the special ones."""
        self.tokens = [*SPECIAL, *text_list(tokens, "tokens", "word")]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self.ids) < len(self.tokens):
            twice = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(
                f"words occur twice in the vocabulary: {', '.join(twice[:5])}; give each once, and none of {SPECIAL}"
            )

    @classmethod
    def build(cls, sentences: Iterable[str], max_size: int | None = None) -> "Vocabulary":
        """The words of `sentences`, from the commonest on, ties in the order of the alphabet.

        max_size: how many entries at most, the four special ones included; None takes every word.
        """
        sentences = text_list(sentences, "sentences", "sentence", ordered=False)
        counts = Counter(word for sentence in sentences for word in words(sentence))
        if max_size is not None and max_size <= len(SPECIAL):
            raise ValueError(f"max_size is {max_size}; {len(SPECIAL)} entries are special, so a vocabulary needs more")
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(ordered if max_size is None else ordered[: max_size - len(SPECIAL)])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's words, [UNK] for those not in the vocabulary; nothing is put before or after."""
        return [self.ids.get(word, UNK) for word in words(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of these numbers, one blank between, up to the first [EOS]; [PAD] and [BOS] are left out."""
        found = []
        for i in ids:
            if i == EOS:
                break
            if i not in (PAD, BOS):
                found.append(self.tokens[i])
        return " ".join(found)
