"""The tokenizer of a folder: read as transformers and sentence-transformers read it, and written.

`tokenizer.json` describes a tokenizer; `tokenizer_config.json` names a class of transformers, which may know better.
`BertTokenizer` lower-cases or not by its own settings, whatever the first file says: that class is followed here. Any
other that does more than read `tokenizer.json` is asked itself.

Left out on purpose: training a tokenizer (recipes/bert_mini.py does it), slow tokenizers, truncation from the left.
"""

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer, Lowercase, Normalizer, Sequence
from tokenizers.pre_tokenizers import BertPreTokenizer

from course_lib.support.folders import read_json, write_json
from course_lib.support.model_files import SENTENCE_CONFIGS, TOKENIZER_FILES, VOCABULARIES
from course_lib.support.reading import is_error, reading

AS_WRITTEN = ("PreTrainedTokenizerFast", "TokenizersBackend")  # classes that read tokenizer.json, and nothing else
# sentence-transformers' settings that change what becomes of a text, and are not followed here
UNREAD = (
    "processor_kwargs",
    "tokenizer_args",
    "processing_kwargs",
    "query_length",
    "document_length",
    "query_expansion",
)
BERT = ("BertTokenizer", "BertTokenizerFast")
# what transformers has to be told of a tokenizer that was not made by it; BERT's names
SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def read_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer that transformers' AutoTokenizer makes of a folder."""
    settings, file = read_token_settings(folder), folder / "tokenizer.json"
    kind, tokenizer = tokenizer_class(folder, settings), read_tokenizer_json(file) if file.exists() else None
    if tokenizer and kind in AS_WRITTEN and knows_its_tokens(tokenizer, settings):
        return tokenizer
    if tokenizer and kind in BERT and is_bert(tokenizer, settings):
        tokenizer.normalizer = bert_normalizer(settings)
        return tokenizer
    if not tokenizer and not any((folder / name).exists() for name in VOCABULARIES):  # it would be one without words
        raise FileNotFoundError(f"{file} is missing, and so is a vocabulary ({', '.join(VOCABULARIES)})")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False).backend_tokenizer
    except BaseException as error:
        if not is_error(error):
            raise
        if tokenizer and kind is None:  # the class was only guessed
            return tokenizer
        raise ValueError(
            f"no fast tokenizer can be made of the files in {folder} ({error}); save it with tokenizer.json"
        ) from error


def read_tokenizer_json(file: Path) -> Tokenizer:
    """The tokenizer that a `tokenizer.json` describes."""
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: {file.parent} has no tokenizer")
    with reading(file, "a tokenizer"):
        return Tokenizer.from_file(str(file))


def read_token_settings(folder: Path) -> dict:
    """What `tokenizer_config.json` says, with what older files say of special and added tokens where it does not."""
    kinds = {"model_max_length": int | float, "tokenizer_class": str}
    settings = read_json(folder / "tokenizer_config.json", default={}, entries=kinds)
    if "added_tokens_decoder" in settings:
        return settings
    added = read_json(folder / "added_tokens.json", default={})
    return settings | read_json(folder / "special_tokens_map.json", default={}) | {"added_tokens": list(added)}


def tokenizer_class(folder: Path, settings: dict) -> str | None:
    """The class of transformers that a folder's tokenizer is of, where one is named or its model is a BERT."""
    config = read_json(folder / "config.json", default={})
    default = "BertTokenizer" if config.get("model_type") == "bert" else None
    return settings.get("tokenizer_class") or config.get("tokenizer_class") or default


def knows_its_tokens(tokenizer: Tokenizer, settings: dict) -> bool:
    """Are the special tokens that the settings name all in tokenizer.json? transformers would add the others."""
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    named = [value for name, value in settings.items() if name.endswith("_token") and value]
    for more in ("additional_special_tokens", "extra_special_tokens", "added_tokens"):
        named += settings.get(more) or []
    named += (settings.get("added_tokens_decoder") or {}).values()
    return known >= {token["content"] if isinstance(token, dict) else token for token in named}


def is_bert(tokenizer: Tokenizer, settings: dict) -> bool:
    """Does tokenizer.json describe what BertTokenizer makes of its vocabulary, but for the normalizer?"""
    model, pieces = tokenizer.model, ("##", 100, settings.get("unk_token", "[UNK]"))
    if not isinstance(model, WordPiece) or not isinstance(tokenizer.pre_tokenizer, BertPreTokenizer):
        return False
    if (model.continuing_subword_prefix, model.max_input_chars_per_word, model.unk_token) != pieces:
        return False
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pair = tokenizer.encode("", "")
    special = [settings.get(name, SPECIAL_TOKENS[name]) for name in ("cls_token", "sep_token", "sep_token")]
    return pair.tokens == special and pair.type_ids == [0, 0, 1] and knows_its_tokens(tokenizer, settings)


def bert_normalizer(settings: dict) -> BertNormalizer:
    """What BertTokenizer does to a text before it looks for words, by the settings of `tokenizer_config.json`."""
    return BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )


def normalizers(tokenizer: Tokenizer) -> list[Normalizer]:
    """What a tokenizer does to a text before it looks for words, step by step."""
    normalizer = tokenizer.normalizer
    return list(normalizer) if isinstance(normalizer, Sequence) else [normalizer] if normalizer else []


def lower_cases(tokenizer: Tokenizer) -> bool:
    """Does it lower-case a text, but for special tokens, in a step of its own? BERT's normalizer does not count."""
    return any(isinstance(step, Lowercase) for step in normalizers(tokenizer))


def lower_casing(tokenizer: Tokenizer, on: bool = True) -> Tokenizer:
    """The tokenizer, or where it does not lower-case texts first a copy that does; `on`=False: the reverse."""
    if lower_cases(tokenizer) == on:
        return tokenizer
    copy, steps = Tokenizer.from_str(tokenizer.to_str()), normalizers(tokenizer)
    steps = [Lowercase(), *steps] if on else [step for step in steps if not isinstance(step, Lowercase)]
    copy.normalizer = Sequence(steps) if len(steps) > 1 else steps[0] if steps else None
    return copy


def read_sentence_config(folder: Path) -> dict:
    """sentence-transformers' own settings of a Transformer: of its files, the first that says anything.

    Raises ValueError for settings that change a text's tokens and are not followed here.
    """
    kinds = {"max_seq_length": int, "do_lower_case": bool}
    found = (read_json(folder / name, default={}, entries=kinds) for name in SENTENCE_CONFIGS)
    config = next(filter(None, found), {})
    if unread := [name for name in UNREAD if config.get(name)]:
        raise ValueError(
            f"the settings of sentence-transformers in {folder} have {unread[0]}: {config[unread[0]]}, which is not "
            "followed here; take it out if texts mean the same without, or use sentence_transformers"
        )
    return config


def read_tokenizer_settings(folder: Path, sentence_config: bool = True) -> dict:
    """What a folder says of its tokenizer, under the names of an encoder's settings.

    tokenizer: the tokenizer itself.
    max_seq_length: how many tokens a text may have, or None.
    tokenizer_files: what else belongs to the tokenizer, to be saved as it is: name -> content.
    sentence_config: whether files of sentence-transformers count, or those of transformers alone.
    """
    config = read_sentence_config(folder) if sentence_config else {}
    limit = config.get("max_seq_length") or read_token_settings(folder).get("model_max_length")
    if limit and limit < 3:
        raise ValueError(
            f"max_seq_length is {limit} in {folder}; a text needs 3 tokens at least, [CLS] and [SEP] among them"
        )
    tokenizer = read_tokenizer(folder)
    return {
        "tokenizer": lower_casing(tokenizer) if config.get("do_lower_case") else tokenizer,
        "max_seq_length": int(limit) if limit and limit < 1e9 else None,  # transformers writes 1e30 for no limit
        "tokenizer_files": {f: (folder / f).read_bytes() for f in TOKENIZER_FILES if (folder / f).exists()},
    }


def save_tokenizer(tokenizer: Tokenizer, files: dict[str, bytes], folder: Path):
    """Write `tokenizer.json`, a `tokenizer_config.json` that names BERT's special tokens, then `files` as they are.

    Where these name BERT's class, and a text would not go through what this tokenizer does to it, another class is
    named, so that it is read as it is.
    """
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {kind: token for kind, token in SPECIAL_TOKENS.items() if tokenizer.token_to_id(token) is not None}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **special})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    settings, own = read_token_settings(folder), [n.__getstate__() for n in normalizers(lower_casing(tokenizer, False))]
    if tokenizer_class(folder, settings) in BERT and own != [bert_normalizer(settings).__getstate__()]:
        config = special | read_json(folder / "tokenizer_config.json") | {"tokenizer_class": AS_WRITTEN[0]}
        write_json(folder / "tokenizer_config.json", config)
