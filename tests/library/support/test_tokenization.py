"""course_lib.support.tokenization: the places of tokens, and tokens that a model or a tokenizer cannot take."""

import json

import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.models.masked_lm import fill_mask, load_masked_lm, pseudo_perplexity
from course_lib.models.sparse import SparseEncoder
from course_lib.support.folders import resolve
from course_lib.support.tokenization import token_spans, tokenize
from course_lib.support.tokenizer_files import read_tokenizer


def encoder(name):
    return SentenceEncoder.load(f"course/{name}", device="cpu", dtype="float32")


def masked(use):
    def run(found, text):
        return use(*found, text)

    return lambda: load_masked_lm("course/bert-mini"), lambda found: found[1], run


KINDS = {
    "encoder": (lambda: encoder("sbert-mini"), lambda m: m[0].tokenizer, lambda m, text: m.encode(text)),
    "static": (lambda: encoder("glove-mini"), lambda m: m[0].tokenizer, lambda m, text: m.encode(text)),
    "sparse": (
        lambda: SparseEncoder.load("course/splade-mini", device="cpu"),
        lambda m: m.tokenizer,
        lambda m, text: m.encode(text),
    ),
    "scorer": (
        lambda: CrossEncoder.load("course/cross-encoder-mini", device="cpu"),
        lambda m: m.tokenizer,
        lambda m, text: m.predict((text, "b")),
    ),
    "fill_mask": masked(fill_mask),
    "pseudo_perplexity": masked(pseudo_perplexity),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_without_an_embedding_is_named(kind):
    load, tokenizer, use = KINDS[kind]
    model = load()
    tokenizer(model).add_special_tokens([AddedToken("[NEW]", special=True, normalized=False)])
    use(model, "a cat [MASK] on the mat")
    number = tokenizer(model).token_to_id("[NEW]")
    with pytest.raises(
        IndexError, match=rf"token '\[NEW\]' is number {number} of the tokenizer, and the model has emb"
    ):
        use(model, "a cat [NEW] [MASK]")


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_not_finite_are_told(kind):
    load, _, use = KINDS[kind]
    model = load()
    with torch.no_grad():
        for weight in (model[0] if isinstance(model, tuple) else model).parameters():
            weight.fill_(3e38)
    with pytest.raises(
        ValueError, match="the model computes NaN or infinite numbers for (text|hidden token) 0: its weig"
    ):
        use(model, "a cat [MASK] on the mat")


def test_the_text_is_named_by_its_place():
    model = encoder("glove-mini")
    model[0].embedding.weight.data[model[0].tokenizer.token_to_id("cat")] = torch.nan
    with pytest.raises(ValueError, match="numbers for text 20002: its"):
        model.encode("a dog" if i % 20_005 != 20_002 else "a cat" for i in range(20_010))


def test_a_tokenizer_without_its_unknown_token():
    tokenizer = read_tokenizer(resolve("course/bert-mini"))
    content = json.loads(tokenizer.to_str())
    content["model"]["vocab"]["[unk]"] = content["model"]["vocab"].pop("[UNK]")
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "[UNK]"]
    damaged = type(tokenizer).from_str(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"the tokenizer cannot read a text \(.*UNK.*\); its tokenizer.json is damaged"
    ):
        tokenize(damaged, ["a cat", "☃"], None)


def test_a_tokenizer_without_a_mask():
    model, tokenizer = load_masked_lm("course/bert-mini")
    content = json.loads(tokenizer.to_str().replace("[MASK]", "[mask]"))
    for use in (fill_mask, pseudo_perplexity):
        with pytest.raises(ValueError, match=r"the tokenizer has no \[MASK\]"):
            use(model, type(tokenizer).from_str(json.dumps(content)), "a cat")


def test_places_of_tokens_are_those_of_the_text_as_it_was_given():
    tokenizer = read_tokenizer(resolve("course/bert-mini"))
    text = "İstanbul \ud83d Café ß naïve"
    spans = token_spans(tokenizer, text)
    assert len(spans) == len(tokenize(tokenizer, [text], None, special=False)[0][0])
    words = [(start, end) for start, end in spans if text[start:end] in ("Café", "naïve")]
    assert len(words) >= 1 and all(0 <= start <= end <= len(text) for start, end in spans)
    assert np.all(np.diff([start for start, _ in spans]) >= 0)
