"""course_lib.models.classifier against transformers' BertForSequenceClassification."""

from functools import partial

import pytest
import torch
import transformers
from parity import assert_close
from small_models import mask_of, padded, random_batch, random_config, tiny_bert_folder
from torch import nn

from course_lib.bert import BertConfig
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.support.folders import read_json, write_json


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
