"""Long texts in pieces that an encoder reads whole, and hits on pieces merged back to documents.

    passages = chunk_documents(corpus, encoder, overlap=20)                # corpus: {id: text}
    vectors = encoder.encode_document([passage.text for passage in passages])
    for hit in search_passages(encoder.encode_query(queries), vectors, passages, k=10)[0]:
        print(hit.score, hit.document, hit.passage.start, hit.passage.end, hit.passage.text)

An encoder drops what comes after its last position without a word. Pieces end where a sentence does, if one ends in
their second half; else where a word does; and within a word only if it is longer than a piece.

Left out on purpose: splitting by headings or by meaning; scores of documents other than their best passage's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from course_lib.retrieval.search import Vectors, top_k
from course_lib.support.text_inputs import checked_text, shown, text_mapping
from course_lib.support.tokenization import token_spans, tokenize

SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]|\n\s*\n\s*")


@dataclass(frozen=True)
class Passage:
    """A piece of a document: `text` is its characters from `start` up to, not including, `end`."""

    document: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A document found, with the score of its best passage."""

    document: str
    score: float
    passage: Passage


def chunk(text: str, encoder, max_tokens: int | None = None, overlap: int = 0) -> list[tuple[int, int]]:
    """Pieces of at most `max_tokens` tokens: (start, end) in characters; text[start:end] has no blanks around it.

    encoder: its first module's tokenizer counts the tokens. max_tokens: by default what fits beside the special tokens
    and the prompt "document". overlap: a piece begins up to this many tokens before the end of the one before, where a
    word begins. Each token is in some piece; a text without tokens has none. A text that fits is one piece.
    Raises ValueError for an overlap that leaves no step forward, for max_tokens below 1 or above what the encoder
    reads, and where the encoder has no limit and none is given.
    """
    max_tokens, text = _limit(encoder, max_tokens), checked_text(text)
    if not 0 <= overlap < max_tokens:
        most = f"{max_tokens - 1}, less than the {max_tokens} tokens of a piece"
        raise ValueError(f"overlap is {overlap}; expected 0 to {most}")
    offsets = [(a, b) for a, b in token_spans(encoder[0].tokenizer, text) if a < b]  # of each token
    begins, ends = [a for a, _ in offsets], [b for _, b in offsets]  # (tokens,) each, in characters
    words = {match.start() for match in re.finditer(r"\S+", text)}
    sentences = {match.end() for match in SENTENCE_END.finditer(text)}

    spans, first, done = [], 0, 0  # `done`: the first token that is in no piece yet
    while done < len(offsets):
        last = min(first + max_tokens, len(offsets))  # the token after the piece
        if last < len(offsets):
            second_half = max(first + max_tokens // 2, done)
            of_sentence = _boundary(begins, second_half, last, sentences)
            last = of_sentence or _boundary(begins, done, last, words) or last
        fits = _fits(encoder, text, begins[first], ends[first:last], max_tokens)
        while not fits and last > done + 1:  # part of a word may have more tokens alone than within the word
            last -= 1
            fits = _fits(encoder, text, begins[first], ends[first:last], max_tokens)
        if not fits and first < done:  # the overlap leaves no room
            first = done
            continue
        end = max(ends[first:last])
        piece = text[begins[first] : end]
        if piece.strip():
            start = begins[first] + len(piece) - len(piece.lstrip())
            spans.append((start, start + len(piece.strip())))
        while last < len(offsets) and ends[last] <= end:  # further tokens of the same character
            last += 1
        first, done = next((i for i in range(max(last - overlap, first + 1), last) if begins[i] in words), last), last
    return spans


def _room(encoder) -> int | None:
    """The tokens that the encoder reads beside special tokens and prompt; None where it has no limit."""
    if not encoder.max_seq_length:
        return None
    prompt = getattr(encoder, "prompts", {}).get("document", "")
    return encoder.max_seq_length - len(encoder[0].tokenize([prompt])[0][0])


def _limit(encoder, max_tokens: int | None) -> int:
    """Tokens of a piece."""
    room = _room(encoder)
    if max_tokens is None and room is None:
        raise ValueError("this encoder reads texts of any length: say with max_tokens how long a piece may be")
    if max_tokens is not None and not 1 <= max_tokens <= (room or max_tokens) or room is not None and room < 1:
        raise ValueError(
            f"max_tokens is {max_tokens}; expected at least 1, and at most the {room} that the encoder reads beside "
            "special tokens and prompt"
        )
    return room if max_tokens is None else max_tokens


def _boundary(begins: list[int], low: int, high: int, places: set[int]) -> int | None:
    """The last token above `low`, at most `high`, that begins at one of `places`."""
    return next((i for i in range(high, low, -1) if begins[i] in places), None)


def _fits(encoder, text: str, start: int, ends: list[int], max_tokens: int) -> bool:
    (ids,), _ = tokenize(encoder[0].tokenizer, [text[start : max(ends)].strip()], None, special=False)
    return len(ids) <= max_tokens


def chunk_documents(
    corpus: Mapping[str, str], encoder, max_tokens: int | None = None, overlap: int = 0
) -> list[Passage]:
    """The pieces of all documents, {id: text}, in order. Arguments and errors of `chunk`."""
    return [
        Passage(document, start, end, text[start:end])
        for document, text in text_mapping(corpus, "corpus").items()
        for start, end in chunk(text, encoder, max_tokens, overlap)
    ]


def chunk_long_documents(
    corpus: Mapping[str, str],
    encoder,
    max_tokens: int | None = None,
    overlap: int = 0,
    titles: Mapping[str, str] | None = None,
) -> tuple[list[Passage], list[str]]:
    """What the encoder reads whole stays whole, the rest is cut: the passages, and the text of each to encode.

    titles: {id: title}, put before each piece but a document's first, which says by itself what it is about; leave
    room for it in max_tokens. Whole documents come first, then the pieces of the long ones, both in the order of the
    corpus. Other arguments and errors as of `chunk`.
    """
    corpus, room, titles = text_mapping(corpus, "corpus"), _room(encoder), titles or {}
    token_ids, _ = tokenize(encoder[0].tokenizer, list(corpus.values()), None, special=False)
    fits = {document: room is None or len(ids) <= room for document, ids in zip(corpus, token_ids)}
    passages = [Passage(document, 0, len(text), text) for document, text in corpus.items() if fits[document]]
    long = {document: text for document, text in corpus.items() if not fits[document]}
    passages += chunk_documents(long, encoder, max_tokens, overlap)
    return passages, [
        f"{titles[p.document]} {p.text}" if p.start and p.document in titles else p.text for p in passages
    ]


def search_passages(queries: Vectors, vectors: Vectors, passages: list[Passage], k: int) -> list[list[Hit]]:
    """For each query the k documents with the best passages by cosine, best first; fewer where there are fewer.

    queries: (n, dim); vectors: (len(passages), dim). Exact: passages are searched deeper until k documents are among
    them. Raises ValueError where passages and vectors differ in number, and as `top_k` does.
    """
    if not isinstance(passages, (list, tuple)) or not all(isinstance(passage, Passage) for passage in passages):
        raise TypeError(f"passages is {shown(passages)}; expected a list of Passage, as chunk_documents gives it")
    if len(passages) != len(vectors):
        raise ValueError(f"there are {len(passages)} passages and {len(vectors)} vectors; expected one for each")
    wanted, depth = min(k, len({passage.document for passage in passages})), 2 * k
    while True:
        scores, rows = top_k(queries, vectors, depth)  # (n, depth) each
        hits = []
        for line, found in zip(scores.tolist(), rows.tolist()):
            best: dict[str, Hit] = {}
            for score, row in zip(line, found):
                best.setdefault(passages[row].document, Hit(passages[row].document, score, passages[row]))
            hits.append(list(best.values())[:k])
        if all(len(documents) >= wanted for documents in hits):
            return hits
        depth *= 2
