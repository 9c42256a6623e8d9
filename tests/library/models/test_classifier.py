"""course_lib.models.classifier against transformers: the fill-mask pipeline and BertForSequenceClassification."""

import math
import shutil
from functools import partial

import pytest
import torch
import transformers
from parity import assert_close
from small_models import mask_of, padded, random_batch, random_config, tiny_bert_folder
from torch import nn

from course_lib.bert import BertConfig
from course_lib.models.classifier import (
    BertForSequenceClassification,
    fill_mask,
    load_masked_lm,
    pseudo_perplexity,
    token_log_likelihoods,
)
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
    assert sum(x["score"] for x in fill_mask(*load_masked_lm(tiny_lm), text, top_k=30522)) == pytest.approx(1, abs=1e-4)


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


# ---- classification


def ours_and_theirs(config: dict, num_labels: int, dtype):
    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(transformers.BertConfig(**config, num_labels=num_labels)).to(
        dtype
    )
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    ours = BertForSequenceClassification(BertConfig.from_dict(theirs.config.to_dict()), num_labels).to(dtype)
    assert set(ours.state_dict()) == set(dict(theirs.named_parameters()))
    ours.load_state_dict(dict(theirs.named_parameters()))
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_classification_equals_transformers(seed):
    config = random_config(seed)
    ids, types, lengths = random_batch(config, seed)
    for dtype, share in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        ours, theirs = ours_and_theirs(config, 1 + seed % 4, dtype)
        logits = theirs(
            padded(ids, lengths), attention_mask=mask_of(lengths).long(), token_type_ids=padded(types, lengths)
        ).logits
        assert_close(ours(ids, lengths, types), logits, share)


def test_gradients_equal_transformers():
    config = random_config(3)
    ids, types, lengths = random_batch(config, 3)
    ours, theirs = ours_and_theirs(config, 3, torch.float64)
    labels = torch.arange(len(lengths)) % 3
    nn.functional.cross_entropy(ours(ids, lengths, types), labels).backward()
    theirs(
        padded(ids, lengths),
        attention_mask=mask_of(lengths).long(),
        token_type_ids=padded(types, lengths),
        labels=labels,
    ).loss.backward()
    for name, p in theirs.named_parameters():
        assert torch.allclose(dict(ours.named_parameters())[name].grad, p.grad, atol=1e-10), name


@torch.no_grad()
def test_saved_and_loaded_both_ways(tmp_path, minilm_folder):
    folder = tiny_bert_folder(tmp_path / "theirs", minilm_folder)
    torch.manual_seed(1)
    config = dict(
        num_labels=3,
        classifier_dropout=0.4,
        id2label={0: "no", 1: "yes", 2: "perhaps"},
        label2id={"no": 0, "yes": 1, "perhaps": 2},
    )
    theirs = transformers.BertForSequenceClassification.from_pretrained(folder, **config).eval()
    theirs.save_pretrained(folder)
    ours = BertForSequenceClassification.load(folder)
    assert ours.id2label == {0: "no", 1: "yes", 2: "perhaps"} and ours.dropout.p == 0.4 and not ours.training
    ids = torch.tensor([101, 2023, 102, 101, 2003, 3231, 102])
    logits = ours(ids, [3, 4])
    assert torch.allclose(logits[1:], theirs(ids[None, 3:]).logits, atol=1e-6)

    (tmp_path / "ours").mkdir()
    ours.save(tmp_path / "ours")
    again, report = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert (
        again.config.id2label == ours.id2label
        and again.config.classifier_dropout == 0.4
        and again.config.dtype == torch.float32
    )
    assert torch.equal(again.eval()(ids[None, 3:]).logits, theirs(ids[None, 3:]).logits)
    assert torch.equal(BertForSequenceClassification.load(tmp_path / "ours")(ids, [3, 4]), logits)


def test_a_new_head_on_an_old_core(tmp_path, minilm_folder):
    with pytest.raises(ValueError, match="give num_labels"):
        BertForSequenceClassification.load("course/bert-mini")
    torch.manual_seed(0)
    one = BertForSequenceClassification.load("course/bert-mini", num_labels=6)
    two = BertForSequenceClassification.load("course/bert-mini", num_labels=6)
    same = {n: torch.equal(p, dict(two.named_parameters())[n]) for n, p in one.named_parameters()}
    assert {n for n, equal in same.items() if not equal} == {
        "classifier.weight",
        "bert.pooler.dense.weight",
    }  # new biases are zeros
    encoder = BertForSequenceClassification.load("course/sbert-mini", num_labels=1)  # saved with a pooler of zeros
    assert encoder.bert.pooler["dense"].weight.abs().sum() > 0

    folder = tiny_bert_folder(tmp_path, minilm_folder)  # a BertModel with a pooler of its own, and no prefix "bert."
    pooler = transformers.BertModel.from_pretrained(folder).pooler.dense.weight
    assert torch.equal(BertForSequenceClassification.load(folder, num_labels=2).bert.pooler["dense"].weight, pooler)


def test_heads_that_do_not_fit_are_refused(tmp_path, minilm_folder):
    model = BertForSequenceClassification.load("course/bert-mini", num_labels=3)
    model.save(tmp_path)
    with pytest.raises(ValueError, match="num_labels is 2, and .* has a head with 3"):
        BertForSequenceClassification.load(tmp_path, num_labels=2)
    assert BertForSequenceClassification.load(tmp_path, num_labels=3).num_labels == 3
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | {"model_type": "roberta"})
    with pytest.raises(ValueError, match="model_type is 'roberta'"):
        BertForSequenceClassification.load(tmp_path)


def test_dropout_only_in_training():
    model = BertForSequenceClassification(BertConfig(50, 16, 1, 2, 32, hidden_dropout_prob=0.0), classifier_dropout=0.5)
    logits = partial(model, torch.arange(1, 9), [3, 5])
    assert torch.equal(model.eval() and logits(), logits())
    model.train()
    assert not torch.equal(logits(), logits())
