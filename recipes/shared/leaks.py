"""Sentences that models are measured on, and that no recipe trains on."""

from itertools import chain

from course_lib.support.tables import SICK_COLUMNS, find, read_tsv
from course_lib.support.texts import only_words


def forbidden_sentences() -> set[str]:
    """The words of the sentences of STSb dev and SICK trial. Models are measured on them, never trained.

    Raises FileNotFoundError without COURSE_DATA, rather than let everything pass.
    """
    sts = read_tsv(find("stsbenchmark/dev"), "sentence1", "sentence2")
    sick = read_tsv(find("sick/trial"), *SICK_COLUMNS)
    return {only_words(sentence) for _, pair in chain(sts, sick) for sentence in pair}
