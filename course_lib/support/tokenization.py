"""From texts to token ids, with the fast tokenizers of the `tokenizers` library.

Left out on purpose: training a tokenizer (recipes/bert_mini.py does it), slow tokenizers, truncation from the left.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from course_lib.support.folders import read_json, write_json
from course_lib.support.model_files import TOKENIZER_FILES, VOCABULARIES

LIMITS = {"sentence_bert_config.json": "max_seq_length", "tokenizer_config.json": "model_max_length"}

# what transformers has to be told of a tokenizer that was not made by it; BERT's names
SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def read_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a folder."""
    if (folder / "tokenizer.json").exists():
        try:
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises a bare Exception
            raise ValueError(
                f"{folder / 'tokenizer.json'} cannot be read ({error}); copy or download it again"
            ) from error
    if not any((folder / name).exists() for name in VOCABULARIES):  # transformers would make one without words
        raise FileNotFoundError(
            f"{folder / 'tokenizer.json'} is missing, and so is a vocabulary ({', '.join(VOCABULARIES)})"
        )
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, use_fast=True).backend_tokenizer
    except Exception as error:
        raise ValueError(
            f"no fast tokenizer can be made of the files in {folder} ({error}); save it with tokenizer.json"
        ) from error


def read_tokenizer_settings(folder: Path, limits: Iterable[str] = LIMITS) -> dict:
    """What a folder says of its tokenizer, under the names of an encoder's settings.

    tokenizer: the tokenizer itself.
    max_seq_length: how many tokens a text may have, by the first of the files `limits` that says so, or None.
    tokenizer_files: what else belongs to the tokenizer, to be saved as it is: name -> content.
    """
    found = (read_json(folder / file, default={}).get(LIMITS[file]) for file in limits)
    return {
        "tokenizer": read_tokenizer(folder),
        "max_seq_length": next((n for n in found if n and n < 1e9), None),  # transformers writes 1e30 for no limit
        "tokenizer_files": {f: (folder / f).read_bytes() for f in TOKENIZER_FILES if (folder / f).exists()},
    }


def save_tokenizer(tokenizer: Tokenizer, files: dict[str, bytes], folder: Path):
    """Write `tokenizer.json`, a `tokenizer_config.json` that names BERT's special tokens, then `files` as they are."""
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {kind: token for kind, token in SPECIAL_TOKENS.items() if tokenizer.token_to_id(token) is not None}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **special})
    for name, content in files.items():
        (folder / name).write_bytes(content)


def replace_lone_surrogates(text: str) -> str:
    """Halves of a UTF-16 pair, which no encoding can write, become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def tokenize(
    tokenizer: Tokenizer, texts: list[str], max_length: int | None, special: bool = True
) -> tuple[list[np.ndarray], list[bool]]:
    """Token ids of each text, int32 (tokens_i,), cut at `max_length`; and for each text whether it was cut."""
    ids, cut = [], []
    for encoding in _encodings(tokenizer, texts, max_length, special):
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
    for encoding in _encodings(tokenizer, pairs, max_length):
        ids.append(np.array(encoding.ids, dtype=np.int32))
        types.append(np.array(encoding.type_ids, dtype=np.int32))
    return ids, types


def _encodings(tokenizer: Tokenizer, texts: list, max_length: int | None, special: bool = True) -> Iterator[Encoding]:
    """The tokenizer's own result for each text or pair, without padding."""
    tokenizer.no_padding()
    if max_length:
        tokenizer.enable_truncation(max_length)
    else:
        tokenizer.no_truncation()
    for i in range(0, len(texts), 1024):  # the tokenizer's own objects are large: keep few of them
        part = texts[i : i + 1024]
        try:
            yield from tokenizer.encode_batch_fast(part, add_special_tokens=special)
        except (UnicodeEncodeError, TypeError):
            clean = [
                replace_lone_surrogates(t) if isinstance(t, str) else tuple(map(replace_lone_surrogates, t))
                for t in part
            ]
            yield from tokenizer.encode_batch_fast(clean, add_special_tokens=special)
