"""Texts of any characters: `encode` gives what sentence-transformers gives, and `chunk` pieces that fit and cover.

All of Unicode: halves of surrogate pairs, control characters, right to left, marks on marks, emoji of several
characters, blanks of all kinds, nothing at all, words of thousands of letters, the tokenizer's own special tokens.

    COURSE_EXAMPLES=1000 python -m pytest tests/library/test_properties_of_characters.py -s       10,000 texts and more
"""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parity import theirs
from property_settings import CAMPAIGN, few
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.modules import Pooling
from course_lib.retrieval.chunking import chunk
from course_lib.transformer import Transformer

PIECES = [
    *("a", "The cat sat.", " ", "\n\n", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\r\n", ". ", "! ", "-5", "C++"),
    *("\x00", "\x07", "\x1b[0m", "\x7f", "\u0085", "\u2028", "\ufffd", "\ufffe", "\U0010ffff", "\ud83d", "\udc00"),
    *("עִבְרִית", "العربية", "\u202e", "\u2067", "हिन्दी", "ไทย", "한국어", "한국", "日本語。", "ﬁ", "ß", "İ", "Ǆ", "½"),
    *("e\u0301\u0323", "Z" + "\u0300\u0315\u0330" * 9, "\u0301", "👩‍👩‍👧", "👍🏽", "❤️", "🇪🇸", "5️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
    *("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "##ing", "</s>", "unfathomably" * 30, "x" * 3000, "a b " * 60),
]
texts = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(st.characters(), max_size=4)), max_size=12).map("".join),
)
seen = {"texts": 0, "pieces": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, minilm_folder):
    return tiny_bert_folder(tmp_path_factory.mktemp("tiny"), minilm_folder, max_position_embeddings=64)


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder([Transformer.load(folder), Pooling(32)], dtype="float32").eval()


@pytest.fixture(scope="module")
def peer(folder):
    return theirs(folder)


@pytest.fixture(scope="module", autouse=True)
def count():
    yield
    if CAMPAIGN:
        print(f"\n{seen['texts']:,} texts encoded, {seen['pieces']:,} pieces cut")


@given(batch=st.lists(texts, min_size=10 if CAMPAIGN else 1, max_size=30 if CAMPAIGN else 8))
@few
def test_encode_is_what_sentence_transformers_gives(batch, encoder, peer):
    found = encoder.encode(batch, show_progress_bar=False)
    whole = [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for text in batch]
    expected = peer.encode(whole, show_progress_bar=False)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(encoder.encode(batch[0]) - found[0]).max() <= 1e-5  # whatever stands beside it
    seen["texts"] += len(batch)


@given(text=texts, max_tokens=st.integers(1, 62), share=st.floats(0, 0.9))
@few
def test_pieces_fit_and_cover(text, max_tokens, share, encoder):
    tokenizer, overlap = encoder[0].tokenizer, int(share * max_tokens)
    tokenizer.no_truncation()
    encoded = lambda part: tokenizer.encode(re.sub("[\ud800-\udfff]", "\ufffd", part), add_special_tokens=False)
    offsets, covered, before = encoded(text).offsets, set(), (-1, -1)
    for start, end in chunk(text, encoder, max_tokens, overlap):
        piece = text[start:end]
        assert 0 <= start < end <= len(text) and piece == piece.strip() and piece
        assert start > before[0] and end > before[1]
        one = sum(a < end and b > start for a, b in offsets) == 1  # a token that is several when it stands alone
        assert len(encoded(piece).ids) <= max_tokens or one or (start, end) in offsets
        covered.update(range(start, end))
        before = start, end
        seen["pieces"] += 1
    assert all(covered.issuperset(range(a, b)) for a, b in offsets if text[a:b].strip())
