"""Queries and documents that nobody had to write: sentences of Wikipedia and the text around them (splade_mini.py)."""

import random

from recipes.shared.pretraining_text import LeakFilter, articles, sentences_of

GROUP, WORDS = 4, (6, 30)  # pairs of one article; words of a query
KEEP = 0.2  # share of queries that stay in their document


def paragraph_pairs(allowed: LeakFilter, count: int, seed: int = 0) -> list[tuple[tuple[str, str], ...]]:
    """`count` groups of GROUP pairs (query, document), each group from as many paragraphs of one article.

    A query is a sentence of a paragraph, the document the rest of it; now and then the sentence stays.
    """
    draw, found = random.Random(seed), []
    for article in articles(seed=2):
        paragraphs = [s for s in map(sentences_of, article) if 4 <= len(s) and all(map(allowed, s))]
        draw.shuffle(paragraphs)
        pairs = []
        for sentences in paragraphs[: 3 * GROUP]:
            first = draw.randrange(max(1, len(sentences) - 8))
            sentences = sentences[first : first + 8]
            fit = [i for i, s in enumerate(sentences) if WORDS[0] <= len(s.split()) <= WORDS[1]]
            if fit:
                i = draw.choice(fit)
                rest = sentences if draw.random() < KEEP else sentences[:i] + sentences[i + 1 :]
                pairs.append((sentences[i], " ".join(rest)))
        found += [tuple(pairs[j : j + GROUP]) for j in range(0, len(pairs) - GROUP + 1, GROUP)]
        if len(found) >= count:
            return found[:count]
    return found


def long_pairs(allowed: LeakFilter, count: int, seed: int = 1) -> list[tuple[str, str]]:
    """(sentence, text): 6 to 32 sentences that follow one another in an article, and one of them; `count` of them."""
    draw, found = random.Random(seed), []
    for article in articles(seed=5):
        paragraphs = [s for s in map(sentences_of, article) if len(s) >= 3 and all(map(allowed, s))]
        sentences = [s for paragraph in paragraphs for s in paragraph]
        first = 0
        while first + 8 < len(sentences) and first <= 200 and len(found) < count:
            text = sentences[first : first + (length := draw.choice([6, 10, 16, 24, 32]))]
            found.append((draw.choice(text), " ".join(text)))
            first += length + 20
        if len(found) >= count:
            break
    return found
