"""course_lib.models.masked_lm against transformers: its fill-mask pipeline, and one mask at a time."""

import math
import shutil

import pytest
import torch
import transformers
from small_models import TOKENS, tiny_bert_folder
from torch import nn

from course_lib.models.masked_lm import fill_mask, load_masked_lm, pseudo_perplexity, token_log_likelihoods
from course_lib.support.folders import read_json, resolve, write_json


@pytest.fixture(scope="module")
def mini():
    return load_masked_lm("course/bert-mini")


@pytest.fixture(scope="module")
def pipeline():
    folder = str(resolve("course/bert-mini"))
    model = transformers.BertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    return transformers.pipeline(
        "fill-mask", model=model, tokenizer=transformers.AutoTokenizer.from_pretrained(folder), device="cpu"
    )


@pytest.fixture(scope="module")
def tiny_lm(tmp_path_factory, minilm_folder):
    """A random BertForMaskedLM as transformers saves it, biases and norms random too."""
    folder = tiny_bert_folder(tmp_path_factory.mktemp("lm"), minilm_folder)
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    model.save_pretrained(folder)
    return folder


# ---- fill_mask


@pytest.mark.parametrize(
    "text",
    ["A cat sits on a [MASK].", "[MASK]", "Don't [MASK] me, No. 5!", "naïve [MASK] 你好 🙂", "word " * 500 + "[MASK]"],
)
def test_fill_mask_equals_the_pipeline(mini, pipeline, text):
    ours, theirs = fill_mask(*mini, text, top_k=7), pipeline(text, top_k=7)
    assert len(ours) == 7
    for a, b in zip(ours, theirs, strict=True):
        assert a["score"] == pytest.approx(b["score"], abs=1e-5)
        assert (a["token"], a["token_str"], a["sequence"]) == (b["token"], b["token_str"], b["sequence"])


def test_several_masks_give_a_list_each(mini, pipeline):
    text = "The [MASK] plays the [MASK]."
    ours, theirs = fill_mask(*mini, text, top_k=3), pipeline(text, top_k=3)
    assert [len(each) for each in ours] == [3, 3]
    for a, b in zip(ours, theirs, strict=True):
        assert [x["token"] for x in a] == [x["token"] for x in b]
        assert [x["sequence"] for x in a] == [x["sequence"] for x in b]


def test_fill_mask_on_random_weights(tiny_lm):
    model = transformers.BertForMaskedLM.from_pretrained(tiny_lm).eval()
    theirs = transformers.pipeline(
        "fill-mask", model=model, tokenizer=transformers.AutoTokenizer.from_pretrained(tiny_lm), device="cpu"
    )
    text = "One [MASK] of many words"
    ours = fill_mask(*load_masked_lm(tiny_lm), text)
    assert [x["token"] for x in ours] == [x["token"] for x in theirs(text)]
    assert sum(x["score"] for x in fill_mask(*load_masked_lm(tiny_lm), text, top_k=TOKENS)) == pytest.approx(
        1, abs=1e-4
    )


def test_fill_mask_refuses(mini):
    with pytest.raises(ValueError, match=r"no \[MASK\] in 'A cat.'"):
        fill_mask(*mini, "A cat.")
    with pytest.raises(ValueError, match="tokens, the model 512 positions"):
        fill_mask(*mini, "word " * 600 + "[MASK]")
    with pytest.raises(TypeError, match="expected a string"):
        fill_mask(*mini, ["A [MASK]."])


def test_a_folder_without_the_head_is_refused(tmp_path, minilm_folder, tiny_lm):
    with pytest.raises(ValueError, match="no masked language model head"):
        load_masked_lm("course/sbert-mini")
    untied = shutil.copytree(tiny_lm, tmp_path / "untied")
    write_json(untied / "config.json", read_json(untied / "config.json") | {"tie_word_embeddings": False})
    with pytest.raises(ValueError, match="output layer of its own"):
        load_masked_lm(untied)


# ---- pseudo-perplexity


def reference(pipeline, text):
    """One mask at a time through transformers' model, without batching."""
    ids = pipeline.tokenizer(text, return_tensors="pt")["input_ids"]
    found = []
    for place in range(1, ids.shape[1] - 1):
        masked = ids.clone()
        masked[0, place] = pipeline.tokenizer.mask_token_id
        with torch.no_grad():
            found.append(pipeline.model(masked).logits[0, place].log_softmax(-1)[ids[0, place]])
    return torch.stack(found)


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_log_likelihoods_equal_one_mask_at_a_time(mini, pipeline, batch_tokens):
    text = "A group of people are playing football in the park."
    ours = token_log_likelihoods(*mini, text, batch_tokens)
    assert torch.allclose(ours, reference(pipeline, text), atol=1e-4)
    assert (ours < 0).all()


def test_pseudo_perplexity_of_a_corpus_counts_tokens(mini):
    texts = ["A man is eating.", "", "Two dogs run across a field of grass."]
    each = torch.cat([token_log_likelihoods(*mini, t) for t in texts])
    assert len(token_log_likelihoods(*mini, "")) == 0
    assert pseudo_perplexity(*mini, texts) == pytest.approx(math.exp(-each.mean()))
    assert pseudo_perplexity(*mini, texts[0]) < pseudo_perplexity(*mini, "eating . is man A")
    for nothing in ("", [], [""]):
        with pytest.raises(ValueError, match="no tokens"):
            pseudo_perplexity(*mini, nothing)
