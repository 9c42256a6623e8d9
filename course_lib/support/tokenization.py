"""From texts to token ids, with the fast tokenizers of the `tokenizers` library.

Whoever counts, cuts or encodes tokens does it here, so that all see the same ones. tokenizer_files.py reads tokenizers.
"""

import re
from collections.abc import Iterator

import numpy as np
from tokenizers import Encoding, Tokenizer

from course_lib.support.text_inputs import pair_list, text_list


def replace_lone_surrogates(text: str) -> str:
    """Halves of a UTF-16 pair, which no encoding can write, become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def tokenize(
    tokenizer: Tokenizer, texts: list[str], max_length: int | None, special: bool = True
) -> tuple[list[np.ndarray], list[bool]]:
    """Token ids of each text, int32 (tokens_i,), cut at `max_length`; and for each text whether it was cut."""
    ids, cut = [], []
    for encoding in _encodings(tokenizer, text_list(texts), max_length, special):
        ids.append(np.array(encoding.ids, dtype=np.int32))
        cut.append(bool(encoding.overflowing))
    return ids, cut


def tokenize_pairs(
    tokenizer: Tokenizer, pairs: list[tuple[str, str]], max_length: int | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids and token types of each pair, both int32 (tokens_i,).

    BERT's are [CLS] A [SEP] B [SEP], and 0 up to the first [SEP], 1 after it. A pair over `max_length` loses tokens
    from the end of whichever text is longer at the time.
    """
    ids, types = [], []
    for encoding in _encodings(tokenizer, pair_list(pairs), max_length):
        ids.append(np.array(encoding.ids, dtype=np.int32))
        types.append(np.array(encoding.type_ids, dtype=np.int32))
    return ids, types


def token_spans(tokenizer: Tokenizer, text: str) -> list[tuple[int, int]]:
    """Where in `text` each token lies that `tokenize` makes of it: (start, end) in characters."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # one character for each half of a pair: the places stay
    (encoding,) = _encodings(tokenizer, [text], None, special=False, places=True)
    return encoding.offsets


def _encodings(
    tokenizer: Tokenizer, texts: list, max_length: int | None, special: bool = True, places: bool = False
) -> Iterator[Encoding]:
    """The tokenizer's own result for each text or pair, without padding; `places`: with the place of each token."""
    tokenizer.no_padding()
    if max_length:
        tokenizer.enable_truncation(max_length)
    else:
        tokenizer.no_truncation()
    encode = tokenizer.encode_batch if places else tokenizer.encode_batch_fast
    for i in range(0, len(texts), 1024):  # the tokenizer's own objects are large: keep few of them
        part = texts[i : i + 1024]
        try:
            yield from encode(part, add_special_tokens=special)
        except (UnicodeEncodeError, TypeError):
            clean = [
                replace_lone_surrogates(t) if isinstance(t, str) else tuple(map(replace_lone_surrogates, t))
                for t in part
            ]
            yield from encode(clean, add_special_tokens=special)
