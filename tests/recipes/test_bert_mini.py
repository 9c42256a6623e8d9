"""recipes/bert_mini.py: what a step reads, how the rate goes, and that a run goes on exactly where it was."""

import re

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from course_lib.bert import BertConfig
from course_lib.models.masked_lm import BertForMaskedLM, load_masked_lm
from recipes import bert_mini
from recipes.bert_mini import Optimizers, pretrain, rate_factor
from recipes.shared.pretraining_batches import CLS, SEP, Text, blocks, lengths_in, running_text, single_sentences

PAGES = [
    [f"Article {i} tells of river {i + 3} and of town {j}, where many people live." for j in range(60)]
    for i in range(40)
]
CAPTION = "a dog leaps over a wooden fence"


@pytest.fixture(scope="module")
def tokenizer():
    return load_masked_lm("course/bert-mini")[1]


@pytest.fixture
def corpus(monkeypatch):
    """A small Wikipedia, one caption many times over, and a sentence that may not be learnt from."""

    class Filter:
        dropped = 0

        def __call__(self, text):
            return "river 9 " not in text

    monkeypatch.setattr(bert_mini, "LeakFilter", Filter)
    monkeypatch.setattr(bert_mini, "articles", lambda: PAGES)
    monkeypatch.setattr(bert_mini, "text_sha256", lambda short: "of all files")
    monkeypatch.setattr(bert_mini, "short_texts", lambda: iter([CAPTION] * 2000))
    sizes = {"long": 512, "running": 256, "sentences": 128}
    monkeypatch.setattr(bert_mini, "TEXTS", {"wikipedia": sizes, "mixed": sizes | {"short": 64}})


def text(tokenizer, seed=0) -> Text:
    ids, length = blocks(single_sentences(tokenizer, [p for page in PAGES for p in page]), 128)
    more, other = blocks(running_text(tokenizer, PAGES, 32), 64)
    return Text({"a.ids": ids, "a.length": length, "b.ids": more, "b.length": other}, seed)


def model(width: int = 8) -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(
        BertConfig(
            vocab_size=bert_mini.VOCABULARY,
            hidden_size=width,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * width,
            max_position_embeddings=64,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


# ---- text


@pytest.mark.parametrize("size", [512, 1024, 1536, 2048])
def test_the_lengths_in_a_block_fill_it_and_are_sentences(size):
    for length in range(8, 129, 4):
        *same, last = lengths_in(size, length)
        assert sum(same) + last == size and set(same) == {length} and 8 <= last <= length + 4 and last % 4 == 0
    assert lengths_in(1024, 512) == [512, 512] and lengths_in(5120, 128) == [128] * 40


def test_sequences_keep_their_tokens(tokenizer):
    whole = tokenizer.encode(PAGES[0][0], add_special_tokens=False).ids
    (sequence,) = single_sentences(tokenizer, [PAGES[0][0]])
    assert sequence[0] == CLS and sequence[-1] == SEP and len(sequence) == (len(whole) + 2) // 4 * 4
    assert sequence[1:-1].tolist() == whole[: len(sequence) - 2]
    (cut,) = single_sentences(tokenizer, ["word " * 300])
    assert len(cut) == 128 and not list(single_sentences(tokenizer, ["A dog."]))
    page = [i for p in PAGES[0] for i in tokenizer.encode(p, add_special_tokens=False).ids]
    cuts = list(running_text(tokenizer, PAGES[:1], 32))
    assert [i for s in cuts for i in s[1:-1].tolist()] == page[: len(page) // 30 * 30]


def test_a_batch_is_whole_sequences_and_every_epoch_reads_all_blocks_anew(tokenizer):
    read = text(tokenizer)
    for step in range(5):
        ids, lengths = read.batch(step)
        assert len(ids) == sum(lengths) == 128 + 64
        starts = torch.tensor([0, *lengths]).cumsum(0)
        assert (ids[starts[:-1]] == CLS).all() and (ids[starts[1:] - 1] == SEP).all()
        assert ((ids == CLS) | (ids == SEP)).sum() == 2 * len(lengths)
    n = len(read.kinds[0][0])
    first, second = (
        [tuple(read.batch(step)[0][:128].tolist()) for step in steps] for steps in (range(n), range(n, 2 * n))
    )
    assert sorted(first) == sorted(second) == sorted(map(tuple, read.kinds[0][0].tolist())) and first != second
    assert torch.equal(text(tokenizer).batch(n + 3)[0], read.batch(n + 3)[0])
    assert not torch.equal(text(tokenizer, seed=1).batch(3)[0], read.batch(3)[0])


@pytest.mark.parametrize("name", ["wikipedia", "mixed"])
def test_captions_are_read_only_where_they_are_asked_for(tokenizer, corpus, tmp_path, name):
    file = tmp_path / "text.safetensors"
    facts = bert_mini.prepare(name, file, tokenizer)
    prepared = load_file(file)
    found = {kind.removesuffix(".ids"): ids for kind, ids in prepared.items() if kind.endswith(".ids")}
    assert set(found) == set(bert_mini.TEXTS[name]) and facts["tokens_running"] == found["running"].numel() > 0
    texts = {kind: tokenizer.decode_batch(ids.tolist()) for kind, ids in found.items()}
    assert all(("dog" in block) == (kind == "short") for kind, blocks in texts.items() for block in blocks)
    assert not any("river 9 " in block for blocks in texts.values() for block in blocks)
    numbers = [set(re.findall(r"article (\d+)", " ".join(texts[kind]))) for kind in ("long", "running", "sentences")]
    assert all(numbers) and sum(map(len, numbers)) == len(set().union(*numbers))  # no article is read in two ways
    assert bert_mini.prepare(name, file, None) == facts  # the second time it is read, not made


# ---- training


def test_the_rate_rises_stays_and_falls():
    constant = [rate_factor(step, 1000, 0) for step in range(1000)]
    assert constant[0] == 1 / 200 and constant[99] == 0.5 and set(constant[199:]) == {1.0}
    falling = [rate_factor(step, 1000, 100) for step in range(1000)]
    assert falling[:900] == constant[:900] and falling[950] == 0.5 and falling[999] == pytest.approx(0.01)


def test_every_weight_has_one_optimizer():
    network = model()
    muon, adamw = ([p for group in o.param_groups for p in group["params"]] for o in Optimizers(network).both)
    assert {id(p) for p in muon} | {id(p) for p in adamw} == {id(p) for p in network.parameters()}
    assert len(muon) + len(adamw) == len(list(network.parameters()))
    assert len(muon) == 6 and {id(p) for p in muon} == {
        id(m.weight) for m in network.bert.encoder.modules() if isinstance(m, nn.Linear)
    }


def test_a_run_that_goes_on_is_the_run_that_was_not_interrupted(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(bert_mini, "LOG_EVERY", 2)
    monkeypatch.setattr(bert_mini, "WARMUP", 3)
    settings, whole, parts = {"text": "a", "seed": 0}, model(), model()
    history = pretrain(whole, text(tokenizer), tmp_path / "whole", 12, 4, settings)
    pretrain(parts, text(tokenizer), tmp_path / "parts", 6, 0, settings)  # the rate is still constant
    again = model(width=8)
    joined = pretrain(again, text(tokenizer), tmp_path / "parts", 12, 4, settings)
    assert [entry["loss"] for entry in joined] == [entry["loss"] for entry in history]
    assert [entry["step"] for entry in history] == [2, 4, 6, 8, 10, 12] and history[-1]["tokens"] == 12 * bert_mini.STEP
    for (name, tensor), other in zip(whole.state_dict().items(), again.state_dict().values()):
        assert torch.equal(tensor, other), name
    one, two = (load_file(tmp_path / name) for name in ("whole", "parts"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert any(name.startswith("optimizer.") for name in one)


def test_a_checkpoint_of_another_text_is_refused(tokenizer, tmp_path):
    pretrain(model(), text(tokenizer), tmp_path / "checkpoint", 1, 0, {"text": "wikipedia", "seed": 0})
    with pytest.raises(ValueError, match="other settings"):
        pretrain(model(), text(tokenizer), tmp_path / "checkpoint", 2, 0, {"text": "mixed", "seed": 0})
    other = text(tokenizer)
    other.kinds[0][0][0, 5] += 1  # one token of it
    with pytest.raises(ValueError, match="other examples, as many as these"):
        pretrain(model(), other, tmp_path / "checkpoint", 2, 0, {"text": "wikipedia", "seed": 0})


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tokenizer, tmp_path, monkeypatch):
    settings, file = {"text": "a", "seed": 0}, tmp_path / "checkpoint"
    pretrain(model(), text(tokenizer), file, 1, 0, settings)
    before = file.read_bytes()
    monkeypatch.setattr(
        bert_mini, "masked_language_loss", lambda m, *batch: m.cls["predictions"].bias.sum() * torch.nan
    )
    with pytest.raises(FloatingPointError, match="before 2"):
        pretrain(model(), text(tokenizer), file, 2, 0, settings)
    assert file.read_bytes() == before


def test_guessing_the_same_words_over_and_over_is_learnt(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(bert_mini, "WARMUP", 10)
    monkeypatch.setattr(bert_mini, "LOG_EVERY", 10)
    history = pretrain(model(32), text(tokenizer), tmp_path / "checkpoint", 60, 20, {})
    assert history[0]["loss"] > 8 and history[-1]["loss"] < history[0]["loss"] - 1
