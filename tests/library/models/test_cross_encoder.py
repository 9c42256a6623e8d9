"""course_lib.models.cross_encoder against sentence_transformers.CrossEncoder."""

import copy
import json
import pickle
import re
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from small_models import tiny_bert_folder
from torch import nn

from course_lib.bert import BertConfig
from course_lib.data import load_sts
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.support.folders import COURSE_HOME, read_json, resolve, write_json
from course_lib.support.tokenization import tokenize_pairs
from course_lib.support.tokenizer_files import read_tokenizer
from course_lib.training import train

PAIRS = [
    ("A cat sits on a mat.", "A feline is on a carpet."),
    ("", ""),
    ("", "Only the second"),
    ("Only the first", ""),
    ("naïve café 你好 🙂", "NOT in capitals, no. 42!"),
    ("A cat sits on a mat.", "A feline is on a carpet."),
    ("\t\n", "a\u200bb"),
    ("a long one " * 300, "a short one"),
    ("a short one", "a long one " * 300),
    ("first " * 400, "second " * 700),
    ("same", "same"),
]


def tiny_cross_encoder(folder, minilm_folder, num_labels=1, **changes):
    """A random cross-encoder as transformers saves it, biases and norms random too."""
    torch.manual_seed(num_labels)
    tiny_bert_folder(folder, minilm_folder, **changes)
    model = transformers.BertForSequenceClassification.from_pretrained(folder, num_labels=num_labels)
    for name, p in model.named_parameters():
        nn.init.normal_(p, mean=float("LayerNorm.weight" in name), std=0.3)
    model.save_pretrained(folder)
    config = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": 512})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, minilm_folder):
    return tiny_cross_encoder(tmp_path_factory.mktemp("tiny"), minilm_folder)


@pytest.fixture
def scorer(folder):
    return load(folder)


def load(folder, **options):
    return CrossEncoder.load(folder, device="cpu", dtype="float32", **options)


# ---- pairs to token ids


@pytest.mark.parametrize("max_length", [3, 4, 5, 8, 9, 64, 512])
@pytest.mark.parametrize("name", ["course/bert-mini", "all-MiniLM-L6-v2"])
def test_pairs_are_tokenized_and_truncated_as_in_transformers(name, max_length, minilm_folder):
    folder = resolve(name) if name.startswith("course") else minilm_folder
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer = read_tokenizer(folder)
    pairs = (
        PAIRS if max_length > 50 else [(a[:80], b[:60]) for a, b in PAIRS]
    )  # what is cut off comes in every combination: slow
    expected = theirs([a for a, _ in pairs], [b for _, b in pairs], truncation="longest_first", max_length=max_length)
    ids, types = tokenize_pairs(tokenizer, pairs, max_length)
    assert [i.tolist() for i in ids] == expected["input_ids"]
    assert [t.tolist() for t in types] == expected["token_type_ids"]
    assert max(map(len, ids)) == max_length


def test_lone_surrogates_in_pairs(scorer):
    assert scorer.predict(("a \ud800 b", "c")) == scorer.predict(("a \ufffd b", "c"))


# ---- equal to sentence-transformers


@pytest.mark.parametrize(
    "num_labels, changes",
    [(1, {}), (3, {}), (1, {"hidden_act": "relu", "num_hidden_layers": 1}), (2, {"max_position_embeddings": 64})],
)
def test_scores_equal_sentence_transformers(tmp_path, minilm_folder, num_labels, changes):
    folder = tiny_cross_encoder(tmp_path, minilm_folder, num_labels, **changes)
    limit = changes.get("max_position_embeddings", 512)
    config = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": limit})
    ours, theirs = load(folder), TheirCrossEncoder(str(folder), device="cpu")
    assert ours.max_seq_length == theirs.max_seq_length == limit
    for activation in (None, nn.Identity(), nn.Tanh()):
        a, b = ours.predict(PAIRS, activation), theirs.predict(PAIRS, activation_fn=activation)
        assert a.dtype == np.float32 and a.shape == b.shape == (
            (len(PAIRS),) if num_labels == 1 else (len(PAIRS), num_labels)
        )
        bounded = activation is None and num_labels == 1  # a sigmoid; logits may be larger
        assert np.abs(a - b).max() <= (1e-6 if bounded else 1e-5 * np.abs(b).max())
    assert ours.predict(PAIRS, nn.Identity()).std() > 0.01


@pytest.mark.parametrize("half", [False, True])
def test_saved_folders_score_the_same_there_and_here(tmp_path, scorer, half):
    scorer.activation_fn, scorer.max_seq_length = nn.Tanh(), 100
    scorer.save(tmp_path / "ours", half)
    theirs, again = TheirCrossEncoder(str(tmp_path / "ours"), device="cpu"), load(tmp_path / "ours")
    assert isinstance(theirs.activation_fn, nn.Tanh) and isinstance(again.activation_fn, nn.Tanh)
    assert theirs.max_seq_length == again.max_seq_length == 100 and theirs.num_labels == again.num_labels == 1
    np.testing.assert_allclose(again.predict(PAIRS), theirs.predict(PAIRS), atol=1e-6)
    np.testing.assert_allclose(again.predict(PAIRS), scorer.predict(PAIRS), atol=1e-2 if half else 0)
    again.save(tmp_path / "ours", half)  # in its own place, and once more
    np.testing.assert_array_equal(load(tmp_path / "ours").predict(PAIRS), again.predict(PAIRS))


def test_reads_what_sentence_transformers_saves(tmp_path, folder, scorer):
    theirs = TheirCrossEncoder(str(folder), device="cpu", activation_fn=nn.Identity())
    theirs.save_pretrained(str(tmp_path))
    assert (tmp_path / "modules.json").exists()  # the dialect of version 6
    ours = load(tmp_path)
    assert isinstance(ours.activation_fn, nn.Identity)
    np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), atol=1e-6)


@pytest.mark.parametrize(
    "entry",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"},
    ],
)
def test_reads_the_older_dialects(tmp_path, folder, entry):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | entry)
    np.testing.assert_allclose(
        load(tmp_path).predict(PAIRS), TheirCrossEncoder(str(tmp_path), device="cpu").predict(PAIRS), atol=1e-6
    )
    assert isinstance(load(tmp_path).activation_fn, nn.Tanh)


def test_rank_equals_sentence_transformers(folder, scorer):
    query, documents = "Where is the cat?", [b for _, b in PAIRS]
    theirs = TheirCrossEncoder(str(folder), device="cpu").rank(query, documents, top_k=7, return_documents=True)
    ours = scorer.rank(query, documents, top_k=7, return_documents=True)
    assert [r["corpus_id"] for r in ours] == [r["corpus_id"] for r in theirs] and len(ours) == 7
    assert [r["text"] for r in ours] == [r["text"] for r in theirs]
    assert [r["score"] for r in ours] == pytest.approx([r["score"] for r in theirs], abs=1e-6)
    json.dumps(ours)  # plain numbers


def test_rank_of_little(scorer):
    assert scorer.rank("a", []) == []
    assert [r["corpus_id"] for r in scorer.rank("a", ["same", "same", "same"])] == [0, 1, 2]
    assert "text" not in scorer.rank("a", ["b"])[0]
    with pytest.raises(TypeError, match="expected a list"):
        scorer.rank("a", "bc")


def test_rank_needs_one_label(tmp_path, minilm_folder):
    with pytest.raises(ValueError, match="3 labels"):
        load(tiny_cross_encoder(tmp_path, minilm_folder, 3)).rank("a", ["b"])


# ---- batches and odd input


@pytest.mark.parametrize("batch_tokens", [1, 50, 10_000])
def test_neighbours_and_order_do_not_matter(scorer, batch_tokens):
    alone = np.array([scorer.predict(pair) for pair in PAIRS])
    np.testing.assert_allclose(scorer.predict(PAIRS, batch_tokens=batch_tokens), alone, atol=1e-6)
    np.testing.assert_allclose(scorer.predict(PAIRS[::-1], batch_tokens=batch_tokens), alone[::-1], atol=1e-6)


def test_one_pair_no_pair_and_other_containers(scorer):
    one = scorer.predict(("a", "b"))
    assert one.shape == () and isinstance(one, np.float32)
    assert scorer.predict(["a", "b"]) == one
    assert scorer.predict([]).shape == (0,) and scorer.predict([]).dtype == np.float32
    for pairs in ([["a", "b"]], np.array([["a", "b"]]), iter([("a", "b")]), {("a", "b"): 1}):
        np.testing.assert_array_equal(scorer.predict(pairs), [one])


def test_each_distinct_pair_is_computed_once(scorer, monkeypatch):
    seen = Counter()
    packed = scorer._packed
    monkeypatch.setattr(scorer, "_packed", lambda ids, types: seen.update(map(bytes, ids)) or packed(ids, types))
    scores = scorer.predict([("a", "b"), ("b", "a"), ("a", "b"), ["a", "b"]])
    assert len(seen) == 2 and set(seen.values()) == {1}
    assert scores[0] == scores[2] == scores[3] != scores[1]


@pytest.mark.parametrize(
    "pairs, position",
    [
        ([("a", "b"), ("a", None)], 1),
        ([("a", "b"), ("a",)], 1),
        ([("a", float("nan"))], 0),
        (["ab"], 0),
        ([("a", "b", "c")], 0),
        ("ab", 0),
        ([3], 0),
    ],
)
def test_what_is_no_pair_is_named(scorer, pairs, position):
    with pytest.raises(TypeError, match=f"pair {position} is .*expected two strings"):
        scorer.predict(pairs)


def test_several_labels_and_no_pairs(tmp_path, minilm_folder):
    scorer = load(tiny_cross_encoder(tmp_path, minilm_folder, 3))
    assert scorer.predict([]).shape == (0, 3) and scorer.predict(("a", "b")).shape == (3,)


def test_bfloat16_is_close(folder, scorer):
    half = CrossEncoder.load(folder, device="cpu", dtype="bfloat16")
    a, b = half.predict(PAIRS), scorer.predict(PAIRS)
    assert a.dtype == np.float32 and 0 < np.abs(a - b).max() < 0.05
    assert CrossEncoder.load(folder, device="cpu").dtype == "auto"
    with pytest.raises(ValueError, match="expected 'auto', 'float32' or 'bfloat16'"):
        CrossEncoder.load(folder, device="cpu", dtype="float64").predict(PAIRS)


def test_predict_has_no_dropout_and_leaves_mode_and_random_state(folder):
    scorer = load(folder)
    expected, logits = scorer.predict(PAIRS), scorer(PAIRS).detach()
    scorer.train()
    state = torch.get_rng_state()
    np.testing.assert_array_equal(scorer.predict(PAIRS), expected)
    assert scorer.training and torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(scorer(PAIRS), logits)
    np.testing.assert_allclose(logits.sigmoid().squeeze(1).numpy(), expected, atol=1e-5)


def test_predict_follows_changed_weights_and_copies(scorer):
    before = scorer.predict(PAIRS)
    others = copy.deepcopy(scorer), pickle.loads(pickle.dumps(scorer))
    with torch.no_grad():
        scorer.model.bert.embeddings.word_embeddings.weight.mul_(1.5)
    assert np.abs(scorer.predict(PAIRS) - before).max() > 1e-3
    np.testing.assert_allclose(scorer.predict(PAIRS), scorer(PAIRS).sigmoid().squeeze(1).detach().numpy(), atol=1e-5)
    for other in others:
        np.testing.assert_array_equal(other.predict(PAIRS), before)


# ---- folders that are refused


def refuse(folder, tmp_path, message, change, name="config.json", default=None):
    broken = shutil.copytree(folder, tmp_path / "broken")
    write_json(broken / name, change(read_json(broken / name, default=default)))
    with pytest.raises(ValueError, match=message):
        load(broken)


def test_folders_that_are_refused(folder, tmp_path):
    refuse(
        folder,
        tmp_path / "1",
        "'roberta' model, and this CrossEncoder reads BERT only",
        lambda c: c | {"model_type": "roberta"},
    )
    refuse(
        folder,
        tmp_path / "2",
        "expected a module of torch.nn",
        lambda c: c | {"sentence_transformers": {"activation_fn": "os.system"}},
    )
    refuse(
        folder,
        tmp_path / "3",
        "further modules or a prompt",
        lambda c: {"default_prompt_name": "query"},
        "config_sentence_transformers.json",
        {},
    )
    with pytest.raises(ValueError, match="give num_labels"):
        load("course/bert-mini")
    with pytest.raises(FileNotFoundError, match="no model 'course/nothing'"):
        load("course/nothing")
    with pytest.raises(ValueError, match="NaN or infinite"):
        broken = load(folder)
        broken.model.classifier.bias.data.fill_(float("nan"))
        broken.save(tmp_path / "nan")
        load(tmp_path / "nan")


def test_entries_that_are_null_count_as_not_there(folder, scorer, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    null = dict.fromkeys(("architectures", "sentence_transformers", "sbert_ce_default_activation_function", "id2label"))
    write_json(other / "config.json", read_json(other / "config.json") | null)
    np.testing.assert_array_equal(load(other).predict(PAIRS), scorer.predict(PAIRS))


def test_one_token_type_is_refused():
    model = BertForSequenceClassification(BertConfig(50, 16, 1, 2, 32, type_vocab_size=1), 1)
    with pytest.raises(ValueError, match="one token type"):
        CrossEncoder(model, load("course/bert-mini", num_labels=1).tokenizer)


def test_saving_over_other_things_is_refused(scorer, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError):
        scorer.save(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.txt"]


# ---- training


def test_losses_equal_torch_on_their_logits(folder, scorer, tmp_path, minilm_folder):
    theirs = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(
        [a for a, _ in PAIRS], [b for _, b in PAIRS], truncation=True, max_length=512, padding=True, return_tensors="pt"
    )
    scores = torch.linspace(0, 1, len(PAIRS))
    expected = nn.BCELoss()(theirs(**batch).logits.squeeze(1).sigmoid(), scores)
    assert torch.isclose(scorer.loss(PAIRS, scores.tolist()), expected, atol=1e-5)

    three = load(tiny_cross_encoder(tmp_path, minilm_folder, 3))
    labels = [i % 3 for i in range(len(PAIRS))]
    expected = nn.NLLLoss()(three(PAIRS).log_softmax(1), torch.tensor(labels))
    assert torch.isclose(three.loss(PAIRS, labels), expected, atol=1e-5)


@pytest.mark.parametrize("labels", [[0.5], [0.5, 1.2], [-0.1, 0.5], [float("nan"), 0.5], []])
def test_labels_that_do_not_fit_are_refused(scorer, labels):
    with pytest.raises(ValueError, match="a label of 0 to 1"):
        scorer.loss([("a", "b"), ("c", "d")], labels)


def test_class_numbers_are_whole_and_in_range(tmp_path, minilm_folder):
    three = load(tiny_cross_encoder(tmp_path, minilm_folder, 3))
    for labels, message in (([0, 3], "a label of 0 to 2"), ([-1, 0], "a label of 0 to 2"), ([0.0, 1.0], "integers")):
        with pytest.raises(ValueError, match=message):
            three.loss([("a", "b"), ("c", "d")], labels)
    with pytest.raises(ValueError, match="for each of the 0 pairs"):
        three.loss([], [])


def test_trains_in_the_loop_and_goes_on_after_an_interruption(tmp_path):
    pairs = load_sts("course/sts")[:32]

    def run(checkpoint, stop_at=None):
        torch.manual_seed(0)
        scorer = load("course/bert-mini", num_labels=1)
        calls = 0

        def loss(batch):
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise KeyboardInterrupt
            return scorer.loss([(p.sentence1, p.sentence2) for p in batch], [p.score for p in batch])

        train(
            scorer,
            loss,
            pairs,
            batch_size=8,
            learning_rate=3e-4,
            epochs=3,
            autocast=False,
            checkpoint=checkpoint,
            checkpoint_every=6,
            show_progress_bar=False,
        )
        return scorer.predict([(p.sentence1, p.sentence2) for p in pairs])

    torch.manual_seed(0)
    untrained = load("course/bert-mini", num_labels=1).predict([(p.sentence1, p.sentence2) for p in pairs])
    whole = run(tmp_path / "whole")
    gold = np.array([p.score for p in pairs])
    assert np.corrcoef(whole, gold)[0, 1] > np.corrcoef(untrained, gold)[0, 1] + 0.2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_at=7)
    np.testing.assert_allclose(run(tmp_path / "cut"), whole, atol=1e-5)


# ---- the model that ships

SHIPPED = COURSE_HOME / "data" / "models" / "cross-encoder-mini"


def test_the_shipped_model_scores_the_same_in_sentence_transformers():
    ours, theirs = load("course/cross-encoder-mini"), TheirCrossEncoder(str(SHIPPED), device="cpu")
    pairs = PAIRS + [(p.sentence1, p.sentence2) for p in load_sts("course/sts")[:60]]
    scores = ours.predict(pairs)
    np.testing.assert_allclose(scores, theirs.predict(pairs), atol=1e-6)
    assert 0 <= scores.min() and scores.max() <= 1 and isinstance(theirs.activation_fn, nn.Sigmoid)


def test_the_shipped_model_knows_alike_from_unlike():
    scorer = load("course/cross-encoder-mini")
    alike, unlike = scorer.predict(
        [
            ("A man is playing a guitar.", "A man plays the guitar."),
            ("A man is playing a guitar.", "The market fell on Monday."),
        ]
    )
    assert alike > 0.7 and unlike < 0.3


def test_the_shipped_folder_is_small_and_described():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16e6 and {path.suffix for path in files} <= {
        ".json",
        ".safetensors",
        ".md",
    }
    assert read_json(SHIPPED / "config.json")["dtype"] == "float32"
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: cc-by-sa-4.0") and re.search(r"seconds: [\d,.]+", card)
    for heading in ("## Data and licence", "## Recipe", "## Scores", "## What it is bad at"):
        assert heading in card


def test_the_recorded_score_comes_out_again():
    from course_lib.evaluation import spearman
    from recipes.shared.results import read_rows

    recorded = [
        r for r in read_rows("04.csv") if r["model"] == "course/cross-encoder-mini" and r["data"] == "course/sts"
    ]
    pairs = load_sts("course/sts")
    score = spearman(
        [p.score for p in pairs], load("course/cross-encoder-mini").predict([(p.sentence1, p.sentence2) for p in pairs])
    )
    assert len(recorded) == 1 and 100 * score == pytest.approx(float(recorded[0]["value"]), abs=0.05)
