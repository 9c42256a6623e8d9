"""BM25: how well the words of a document fit the words of a query, by counting. The baseline of every search engine.

    bm25 = BM25(texts)
    scores, rows = bm25.search(["a feline on a carpet"], k=10)

A word's weight in a document grows with the number of times it occurs there, less and less with each; is divided by
more in long documents; and is multiplied by how rare the word is (Robertson and Zaragoza 2009, "The Probabilistic
Relevance Framework: BM25 and Beyond"):

    idf(word) * count / (count + k1 * (1 - b + b * length / mean length)),  idf = ln(1 + (m - n + 0.5) / (n + 0.5))

with m documents, n of which hold the word. A document's score is the sum over the query's words. None of that depends
on the query, so the weights are computed once: they are sparse vectors, and go into the same index as learnt ones.
Counting and weights are the work of the package bm25s (Lù 2024, arXiv 2407.03618), in the variant of Lucene, with
Lucene's k1 and b.

Left out on purpose: stemming, which bm25s takes as a function; other languages' stop words; signs, without which, as in
Lucene, "C" and "C++" are one word.
"""

from collections.abc import Iterable

import bm25s
import numpy as np
import scipy.sparse

from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.support.text_inputs import text_list
from course_lib.support.texts import word

WORD = word()  # bm25s's own pattern drops words of one letter or digit, and takes the vowels of Hindi for blanks


def bm25_tokens(texts: list[str]) -> bm25s.tokenization.Tokenized:
    """Texts as numbers of their lower-cased words, without Lucene's 33 English stop words ("a", "the", "of" ...).

    `ids`: a list for each text; `vocab`: the number of each word, in the order in which they first occur.
    """
    return bm25s.tokenize(text_list(texts), token_pattern=WORD, stopwords="en", show_progress=False)


class BM25:
    """An index of `documents`, strings. k1: how soon further occurrences stop to count; b: 0..1, how much length does.

    `vectors`, sparse float32 (documents, words), holds the weights; `vocabulary` numbers the words.
    Raises ValueError for settings out of range, TypeError for what is not a string.
    """

    def __init__(self, documents: Iterable[str], k1: float = 1.2, b: float = 0.75):
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ValueError(f"k1 is {k1} and b is {b}; expected k1 of at least 0 and b of 0 to 1")
        found = bm25_tokens(text_list(documents, "documents", "document", alone=True))
        self.vocabulary: dict[str, int] = dict(found.vocab)
        self.vectors = scipy.sparse.csr_array((len(found.ids), len(self.vocabulary)), dtype=np.float32)
        if self.vocabulary:
            counted = bm25s.BM25(method="lucene", k1=k1, b=b)
            counted.index(found, create_empty_token=False, show_progress=False)
            parts = tuple(counted.scores[name] for name in ("data", "indices", "indptr"))  # term by term
            self.vectors = scipy.sparse.csc_array(parts, shape=self.vectors.shape).tocsr()
        self.index = InvertedIndex(self.vectors)

    def encode_query(self, queries: str | Iterable[str]) -> scipy.sparse.csr_array:
        """How often each word of the vocabulary occurs in each query: sparse float32 (queries, words)."""
        found = bm25_tokens(text_list(queries, "queries", "query", alone=True))
        number = {i: self.vocabulary[word] for word, i in found.vocab.items() if word in self.vocabulary}
        known = [[number[i] for i in ids if i in number] for ids in found.ids]
        rows = np.repeat(np.arange(len(known)), [len(terms) for terms in known])  # (words of all queries,)
        terms = np.array([term for terms in known for term in terms], dtype=np.int64)  # (words of all queries,)
        counts = np.ones(len(terms), np.float32), (rows, terms)  # equal places are added up
        return scipy.sparse.coo_array(counts, shape=(len(known), len(self.vocabulary))).tocsr()

    def search(self, queries: str | Iterable[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of the k best documents of each query, (queries, min(k, documents)) each."""
        return self.index.search(self.encode_query(queries), k)
