"""course_lib.support.tokenizer_files: the tokenizer that transformers and sentence-transformers make of a folder."""

import json
import shutil

import numpy as np
import pytest
from parity import assert_equal, load, theirs
from small_models import tiny_bert_folder
from tokenizers import AddedToken, Tokenizer
from tokenizers.normalizers import BertNormalizer, Lowercase, Sequence, Strip

from course_lib.models.sparse import SparseEncoder
from course_lib.retrieval.chunking import chunk
from course_lib.support.folders import read_json, write_json
from course_lib.support.model_files import SENTENCE_CONFIGS
from course_lib.support.tokenizer_files import lower_cases, lower_casing, read_tokenizer

TEXTS = ["Hello WORLD, École naïve", "[MASK] 中文字 [mask] [SEP]", "", "İstanbul ΟΔΟΣ", "don't [NEW] [new] a\tb\u00a0c"]
WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] hello world hello, ecole ##s ##t na ##ive new mask istanbul don b c a 文".split()
)
WORDS += ["Hello", "##ï", "É", "ecol", "##e", "WORLD", "[", "]", ",", "'", "中", "i", "o", "##δος", "t"]


def tokenizer_json(**changes):
    """BERT's tokenizer with a short vocabulary."""
    special = {"id": 0, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    cls, sep = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("[CLS]", "[SEP]"))
    a, b = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    last = {"SpecialToken": {"id": "[SEP]", "type_id": 1}}
    named = {token: {"id": token, "ids": [WORDS.index(token)], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special | {"id": i, "content": token} for i, token in enumerate(WORDS[:5])],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, a, sep],
            "pair": [cls, a, sep, b, last],
            "special_tokens": named,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: i for i, word in enumerate(dict.fromkeys(WORDS))},
        },
    }
    return json.dumps(content | changes)


def with_tokens():
    tokenizer = Tokenizer.from_str(tokenizer_json())
    tokenizer.add_special_tokens([AddedToken("[NEW]", special=True, normalized=False)])
    tokenizer.add_tokens(["doN"])
    return tokenizer.to_str()


cased = json.loads(tokenizer_json())["normalizer"] | {"lowercase": False}
FILES = {
    "uncased": tokenizer_json(),
    "cased": tokenizer_json(normalizer=cased),
    "as it is": tokenizer_json(normalizer=None),
    "lower-casing first": tokenizer_json(
        normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}, cased]}
    ),
    "no [CLS]": tokenizer_json(post_processor=None),
    "whole words": tokenizer_json(pre_tokenizer={"type": "WhitespaceSplit"}),
    "more tokens": with_tokens(),
}
NEW = {"content": "[NEW]", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
SETTINGS = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"strip_accents": True, "do_lower_case": False},
    {"tokenize_chinese_chars": False},
    {"additional_special_tokens": ["[NEW]"]},
    {"mask_token": "[NEW]"},
    {"unk_token": "[PAD]"},
    {"cls_token": "[SEP]"},
    {"cls_token": NEW | {"content": "[CLS]", "__type": "AddedToken"}},
    {"added_tokens_decoder": {str(len(set(WORDS))): NEW}},
]
CASES = [(file, settings, kind) for file in FILES for settings in SETTINGS[:5] for kind in ("BertTokenizer", None)]
CASES += [
    ("uncased", settings, kind) for settings in SETTINGS[5:] for kind in ("BertTokenizerFast", "TokenizersBackend")
]
CASES += [("cased", {"do_lower_case": True}, "PreTrainedTokenizerFast"), ("uncased", {}, "MPNetTokenizer")]


def tokens(tokenizer):
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = [tokenizer.encode(*texts) for text in TEXTS for texts in ((text,), (text, "hello"))]
    return [(encoding.ids, encoding.type_ids) for encoding in found]


@pytest.mark.parametrize("file, settings, kind", CASES, ids=str)
def test_the_tokenizer_is_the_one_of_transformers(file, settings, kind, tmp_path):
    import transformers

    (tmp_path / "tokenizer.json").write_text(FILES[file], encoding="utf-8")
    write_json(tmp_path / "tokenizer_config.json", settings | ({"tokenizer_class": kind} if kind else {}))
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    expected = tokens(transformers.AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer)
    assert tokens(read_tokenizer(tmp_path)) == expected


@pytest.mark.parametrize("name", ["special_tokens_map.json", "added_tokens.json"])
def test_files_of_special_and_added_tokens_count(name, tmp_path):
    import transformers

    (tmp_path / "tokenizer.json").write_text(FILES["uncased"], encoding="utf-8")
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    content = {"special_tokens_map.json": {"mask_token": "[NEW]"}, "added_tokens.json": {"[NEW]": len(set(WORDS))}}
    write_json(tmp_path / name, content[name])
    expected = tokens(transformers.AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer)
    assert tokens(read_tokenizer(tmp_path)) == expected != tokens(Tokenizer.from_str(FILES["uncased"]))


# ---- whole folders


@pytest.fixture(scope="module")
def bert(tmp_path_factory, minilm_folder):
    """A random BERT; its tokenizer lower-cases. The folder says that a text may have 512 tokens."""
    folder = tiny_bert_folder(tmp_path_factory.mktemp("bert") / "bert", minilm_folder, vocab_size=len(set(WORDS)))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "tokenizer.json").write_text(FILES["uncased"], encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 512})
    return folder


@pytest.fixture
def folder(bert, tmp_path):
    """A copy of it with mean pooling, as sentence-transformers has it, to be changed."""
    folder = shutil.copytree(bert, tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    listed = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    write_json(folder / "modules.json", [{"idx": i, "name": str(i), **entry} for i, entry in enumerate(listed)])
    return folder


def change(file, **settings):
    write_json(file, read_json(file, default={}) | settings)


def test_a_setting_changed_in_tokenizer_config_alone(folder):
    before = load(folder).encode(TEXTS)
    change(folder / "tokenizer_config.json", do_lower_case=False)
    after = load(folder).encode(TEXTS)
    assert not np.allclose(before, after)
    assert_equal(after, theirs(folder).encode(TEXTS))


@pytest.mark.parametrize("name", SENTENCE_CONFIGS)
def test_settings_under_the_name_of_another_architecture(name, folder):
    change(folder / name, max_seq_length=7, do_lower_case=True)
    change(folder / "tokenizer_config.json", do_lower_case=False)
    ours = load(folder)
    assert ours.max_seq_length == 7 and ours[0].do_lower_case
    if name == "sentence_distilbert_config.json":
        assert_equal(ours.encode([*TEXTS, "hello " * 20]), theirs(folder).encode([*TEXTS, "hello " * 20]))


def test_the_first_file_that_says_anything_counts(folder):
    change(folder / SENTENCE_CONFIGS[0])
    change(folder / SENTENCE_CONFIGS[1], do_lower_case=True)
    change(folder / SENTENCE_CONFIGS[2], max_seq_length=7)
    assert load(folder).max_seq_length == theirs(folder).max_seq_length == 512 and load(folder)[0].do_lower_case


def test_settings_that_are_not_followed_are_refused(folder):
    change(folder / "sentence_bert_config.json", query_length=5)
    with pytest.raises(ValueError, match="query_length: 5, which is not followed here"):
        load(folder)


def test_lower_casing_counts_the_tokens_of_pieces_too(folder):
    """To a tokenizer that keeps the case, each of these words would be one unknown token; they are two."""
    change(folder / "sentence_bert_config.json", max_seq_length=10, do_lower_case=True)
    change(folder / "tokenizer_config.json", do_lower_case=False)
    encoder, text = load(folder), "ECOLS " * 40
    pieces = [text[start:end] for start, end in chunk(text, encoder)]
    assert pieces == ["ECOLS ECOLS ECOLS ECOLS"] * 10 and encoder.encode(pieces, return_truncated=True)[1] == 0


def test_sparse_encoders_lower_case_too(tmp_path):
    SparseEncoder.load("course/splade-mini").save(tmp_path / "model")
    change(tmp_path / "model" / "tokenizer_config.json", do_lower_case=False)
    change(tmp_path / "model" / "sentence_bert_config.json", do_lower_case=True)
    encoder = SparseEncoder.load(tmp_path / "model", dtype="float32")
    assert (encoder.encode("A CAT") != encoder.encode("a cat")).nnz == 0


def test_a_tokenizer_that_was_changed_is_saved_so_that_it_is_read_again(folder, tmp_path):
    """BertTokenizer would make its own normalizer of tokenizer_config.json."""
    for normalizer in (BertNormalizer(lowercase=False), None, Strip(), Sequence([Lowercase(), BertNormalizer()])):
        encoder = load(folder)
        encoder[0].tokenizer.normalizer = normalizer
        encoder.save(tmp_path / "saved")
        expected = encoder.encode(TEXTS)
        assert_equal(load(tmp_path / "saved").encode(TEXTS), expected)
        assert_equal(theirs(tmp_path / "saved").encode(TEXTS), expected)


def test_unchanged_files_are_saved_as_they_are(folder, tmp_path):
    load(folder).save(tmp_path / "saved")
    for name in ("tokenizer_config.json", "tokenizer.json"):
        assert read_json(tmp_path / "saved" / name) == read_json(folder / name)


def test_lower_casing_makes_a_copy():
    plain = Tokenizer.from_str(FILES["cased"])
    lower = lower_casing(plain)
    assert lower_cases(lower) and not lower_cases(plain) and lower_casing(lower) is lower
    assert lower.encode("HELLO [MASK]").tokens == plain.encode("hello [MASK]").tokens
    assert lower_casing(lower, on=False).to_str() == plain.to_str()
