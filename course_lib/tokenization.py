"""From texts to token ids, with the fast tokenizers of the `tokenizers` library.

Left out on purpose: training a tokenizer (recipes/bert_mini.py does it), slow tokenizers, pairs of texts.
"""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

VOCABULARIES = ["vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"]
TOKENIZER_FILES = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", *VOCABULARIES]


def read_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a folder."""
    if (folder / "tokenizer.json").exists():
        try:
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises a bare Exception
            raise ValueError(f"{folder / 'tokenizer.json'} cannot be read ({error}); copy or download it again") from error
    if not any((folder / name).exists() for name in VOCABULARIES):  # transformers would make one without words
        raise FileNotFoundError(f"{folder / 'tokenizer.json'} is missing, and so is a vocabulary ({', '.join(VOCABULARIES)})")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, use_fast=True).backend_tokenizer
    except Exception as error:
        raise ValueError(f"no fast tokenizer can be made of the files in {folder} ({error}); save it with tokenizer.json") from error


def replace_lone_surrogates(text: str) -> str:
    """Halves of a UTF-16 pair, which no encoding can write, become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def tokenize(tokenizer: Tokenizer, texts: list[str], max_length: int | None, special: bool = True) -> tuple[list[np.ndarray], list[bool]]:
    """Token ids of each text, int32 (tokens_i,), cut at `max_length`; and for each text whether it was cut."""
    if max_length:
        tokenizer.enable_truncation(max_length)
    else:
        tokenizer.no_truncation()
    ids, cut = [], []
    for i in range(0, len(texts), 1024):  # the tokenizer's own objects are large: keep few of them
        part = texts[i : i + 1024]
        try:
            encodings = tokenizer.encode_batch_fast(part, add_special_tokens=special)
        except (UnicodeEncodeError, TypeError):
            encodings = tokenizer.encode_batch_fast([replace_lone_surrogates(t) for t in part], add_special_tokens=special)
        ids += [np.array(e.ids, dtype=np.int32) for e in encodings]
        cut += [bool(e.overflowing) for e in encodings]
    return ids, cut
