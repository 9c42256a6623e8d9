"""From texts to token ids, with the fast tokenizers of the `tokenizers` library.

Whoever counts, cuts or encodes tokens does it here, so that all see the same ones. tokenizer_files.py reads tokenizers.
"""

import re
from collections.abc import Iterator
from functools import partial

import numpy as np
from tokenizers import Encoding, Tokenizer

from course_lib.support.reading import is_error
from course_lib.support.text_inputs import pair_list, text_list


def replace_lone_surrogates(text: str) -> str:
    """Halves of a UTF-16 pair, which no encoding can write, become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def tokenize(
    tokenizer: Tokenizer, texts: list[str], max_length: int | None, special: bool = True, rows: int | None = None
) -> tuple[list[np.ndarray], list[bool]]:
    """Token ids of each text, int32 (tokens_i,), cut at `max_length`; and for each text whether it was cut.

    rows: of the table of embeddings. Raises IndexError for a token that has none, naming it.
    """
    ids, cut = [], []
    for encoding in _encodings(tokenizer, text_list(texts), max_length, special):
        ids.append(np.array(encoding.ids, dtype=np.int32))
        cut.append(bool(encoding.overflowing))
    check_rows(tokenizer, ids, rows)
    return ids, cut


def tokenize_pairs(
    tokenizer: Tokenizer, pairs: list[tuple[str, str]], max_length: int | None, rows: int | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids and token types of each pair, both int32 (tokens_i,).

    BERT's are [CLS] A [SEP] B [SEP], and 0 up to the first [SEP], 1 after it. A pair over `max_length` loses tokens
    from the end of whichever text is longer at the time. rows: as of `tokenize`.
    """
    ids, types = [], []
    for encoding in _encodings(tokenizer, pair_list(pairs), max_length):
        ids.append(np.array(encoding.ids, dtype=np.int32))
        types.append(np.array(encoding.type_ids, dtype=np.int32))
    check_rows(tokenizer, ids, rows)
    return ids, types


def check_rows(tokenizer: Tokenizer, ids: list[np.ndarray], rows: int | None):
    """Raise IndexError for a token whose number is no row of the table of embeddings."""
    if rows is None or not ids or (highest := int(np.concatenate(ids).max(initial=0))) < rows:
        return
    raise IndexError(
        f"the token {tokenizer.id_to_token(highest)!r} is number {highest} of the tokenizer, and the model has "
        f"embeddings for {rows}: they are of two models, or tokens were added without embeddings (add_tokens adds both)"
    )


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
    encode = partial(tokenizer.encode_batch if places else tokenizer.encode_batch_fast, add_special_tokens=special)
    for i in range(0, len(texts), 1024):  # the tokenizer's own objects are large: keep few of them
        part = texts[i : i + 1024]
        try:
            found = encode(part)
        except (UnicodeEncodeError, TypeError):
            clean = [
                replace_lone_surrogates(t) if isinstance(t, str) else tuple(map(replace_lone_surrogates, t))
                for t in part
            ]
            found = encode(clean)
        except BaseException as error:
            if not is_error(error):
                raise
            raise ValueError(
                f"the tokenizer cannot read a text ({str(error).strip()}); its tokenizer.json is damaged or "
                "incomplete: copy or download it again"
            ) from error
        yield from found
