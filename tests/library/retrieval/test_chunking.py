"""course_lib.retrieval.chunking: pieces that fit, cover the text and end well; documents as from a full sort."""

import random
import re

import numpy as np
import pytest
import torch

from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.chunking import Passage, chunk, chunk_documents, chunk_long_documents, search_passages
from course_lib.similarity import cos_sim


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder.load("course/sbert-mini", dtype="float32")


@pytest.fixture(scope="module")
def static():
    return SentenceEncoder.load("course/glove-mini", dtype="float32")


SENTENCES = " ".join(f"Sentence number {i} tells something about the tram, and ends." for i in range(60))
ODD = (
    '  One (two) three!  "Four," she said.\n\nA family 👩‍👩‍👧 and a flag 🇪🇸, naïve Café.\u00a0'
    + "unfathomably" * 40
    + " İstanbul ßß ﬁne. "
    + "你好世界。再见世界。" * 9
    + "\ud83d lone half \udc00. "
    + "a-b_c/d" * 30
    + " the\tend "
)
# many tokens each, others when cut
LONG_WORDS = " ".join("".join(random.Random(i).choices("aeioubcdfgklmnprstvz", k=95)) for i in range(20))


def count(encoder, text):
    """Tokens of a text, special ones aside."""
    return len(encoder[0].tokenizer.encode(re.sub("[\ud800-\udfff]", "\ufffd", text), add_special_tokens=False).ids)


@pytest.mark.parametrize(
    "max_tokens, overlap", [(1, 0), (2, 1), (7, 0), (7, 3), (20, 19), (50, 10), (126, 0), (126, 40)]
)
@pytest.mark.parametrize(
    "text",
    [SENTENCES, ODD, ODD * 3, "x" * 5000, "word " * 500, LONG_WORDS],
    ids=["sentences", "odd", "odd3", "x", "words", "long"],
)
@pytest.mark.parametrize("kind", ["encoder", "static"])
def test_pieces_fit_cover_and_overlap(kind, text, max_tokens, overlap, request):
    encoder = request.getfixturevalue(kind)
    spans = chunk(text, encoder, max_tokens, overlap)
    clean = re.sub("[\ud800-\udfff]", "\ufffd", text)
    offsets = encoder[0].tokenizer.encode(clean, add_special_tokens=False).offsets
    covered = set()
    for i, (start, end) in enumerate(spans):
        piece = text[start:end]
        assert piece and piece == piece.strip() and 0 <= start < end <= len(text)
        # one token may be several when it stands alone
        assert count(encoder, piece) <= max_tokens or (start, end) in offsets
        if i:
            assert start > spans[i - 1][0] and end > spans[i - 1][1]
            shared = text[start : spans[i - 1][1]]  # start may lie after the end before: then it is ""
            assert count(encoder, shared) <= overlap
        covered.update(range(start, end))
    assert all(covered.issuperset(range(a, b)) for a, b in offsets if text[a:b].strip())


def test_ends_of_sentences_come_first_then_of_words(encoder):
    pieces = [SENTENCES[a:b] for a, b in chunk(SENTENCES, encoder, 40)]
    assert len(pieces) > 15
    assert all(piece.startswith("Sentence") and piece.endswith(".") for piece in pieces)
    words = " ".join(f"word{i}" for i in range(100))
    pieces = [words[a:b] for a, b in chunk(words, encoder, 20)]
    assert " ".join(pieces) == words
    long = [words[a:b] for a, b in chunk(words, encoder, 20, overlap=8)]
    assert all(set(a.split()) & set(b.split()) for a, b in zip(long, long[1:]))


@pytest.mark.parametrize(
    "text, expected",
    [("", []), ("  \n\t ", []), ("hi", [(0, 2)]), ("  A short text. \n", [(2, 15)]), ("👩‍👩‍👧", [(0, 5)])],
)
def test_texts_that_fit_are_one_piece(encoder, text, expected):
    assert chunk(text, encoder) == chunk(text, encoder, overlap=5) == expected


def test_the_default_is_what_the_encoder_reads_whole(encoder):
    long = SENTENCES * 5
    passages = chunk_documents({"d": long}, encoder)
    _, cut = encoder.encode([passage.text for passage in passages], return_truncated=True)
    assert cut == 0 and encoder.encode([long], return_truncated=True)[1] == 1
    assert all(long[p.start : p.end] == p.text and p.document == "d" for p in passages)
    assert count(encoder, passages[0].text) > 126 - 15  # and not much less
    with_prompt = SentenceEncoder(list(encoder), {"document": "a long prompt before each text: "}, dtype="float32")
    passages = chunk_documents({"d": long}, with_prompt)
    assert with_prompt.encode_document([p.text for p in passages], return_truncated=True)[1] == 0
    assert with_prompt.encode_document([long[p.start : p.end + 80] for p in passages], return_truncated=True)[1] > 0


def test_refusals(encoder, static):
    for overlap in (-1, 10):
        with pytest.raises(ValueError, match=f"overlap is {overlap}; expected 0 to 9"):
            chunk("text", encoder, 10, overlap)
    room = encoder.max_seq_length - 2  # beside [CLS] and [SEP]
    for tokens in (0, room + 1):
        with pytest.raises(ValueError, match=f"max_tokens is {tokens}; expected at least 1, and at most the {room}"):
            chunk("text", encoder, tokens)
    with pytest.raises(ValueError, match="say with max_tokens how long a piece may be"):
        chunk("text", static)
    with pytest.raises(ValueError, match="there are 1 passages and 2 vectors"):
        search_passages(np.eye(2), np.eye(2), [Passage("d", 0, 1, "x")], 1)


def test_what_is_read_whole_stays_whole_and_the_rest_is_cut(encoder, static):
    room = encoder.max_seq_length - 2
    corpus = {"a": SENTENCES, "b": "tram " * room, "c": "tram " * (room + 1), "d": ""}
    passages, texts = chunk_long_documents(corpus, encoder, 100, 25, {"a": "On trams", "b": "Not used"})
    pieces = chunk_documents({document: corpus[document] for document in "ac"}, encoder, 100, 25)
    assert passages == [*(Passage(document, 0, len(corpus[document]), corpus[document]) for document in "bd"), *pieces]
    later = [p.document == "a" and p.start > 0 for p in passages]
    assert texts == [f"On trams {p.text}" if with_title else p.text for p, with_title in zip(passages, later)]
    assert sum(later) > 5
    without, texts = chunk_long_documents(corpus, encoder, 100, 25)
    assert without == passages and texts == [p.text for p in passages]
    whole, _ = chunk_long_documents(corpus, static, 100, 25)  # it has no limit
    assert [p.text for p in whole] == list(corpus.values())


@pytest.mark.parametrize("k", [1, 3, 12, 50])
@pytest.mark.parametrize("as_tensor", [True, False])
def test_documents_by_their_best_passage(k, as_tensor):
    """Some documents have a hundred near passages, others one far away: searching deeper finds them all the same."""
    generator = np.random.default_rng(k)
    passages, vectors = [], []
    for document, n in enumerate([100, 1, 1, 80, 2, 3, 60, 1, 1, 1, 5, 7]):
        centre = generator.normal(size=8)
        for i in range(n):
            passages.append(Passage(f"d{document}", i, i + 1, f"{document} {i}"))
            vectors.append(centre + generator.normal(size=8) * 0.1)
    vectors, queries = np.array(vectors), generator.normal(size=(6, 8)) + vectors[5]
    hits = search_passages(*(torch.from_numpy(x) if as_tensor else x for x in (queries, vectors)), passages, k)
    scores = cos_sim(queries, vectors).numpy()
    for line, found in zip(scores, hits):
        best = {}
        for j in np.argsort(-line, kind="stable"):
            best.setdefault(passages[j].document, (passages[j], line[j]))
        expected = list(best.items())[:k]
        documents = [(document, passage) for document, (passage, _) in expected]
        assert [(hit.document, hit.passage) for hit in found] == documents
        assert np.allclose([hit.score for hit in found], [score for _, (_, score) in expected])
    assert search_passages(queries[:0], vectors, passages, k) == []
    assert search_passages(queries, vectors[:0], [], k) == [[]] * 6
