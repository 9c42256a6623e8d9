"""course_lib.evaluation against the evaluators of sentence-transformers."""

import numpy as np
import pytest
import torch
from sentence_transformers.base.evaluation import SequentialEvaluator as SequentialReference
from sentence_transformers.sentence_transformer import evaluation as reference

from course_lib.data import NLIExample, ScoredPair, load_retrieval
from course_lib.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    LabelAccuracyEvaluator,
    SequentialEvaluator,
    TripletEvaluator,
)
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import SIMILARITY_FUNCTIONS

KINDS = ["cosine", "dot", "euclidean", "manhattan"]


class Table:
    """An encoder that looks its vectors up; the further arguments are those that the reference passes."""

    similarity_fn_name = "cosine"

    def __init__(self, vectors, convert=np.asarray):
        self.vectors, self.convert = vectors, convert

    def encode(self, sentences, convert_to_tensor=False, **_):
        found = self.convert([self.vectors[s] for s in sentences])
        return torch.as_tensor(found) if convert_to_tensor else found

    encode_query = encode_document = encode


def quiet(evaluator):
    """The reference without writing to the model's card: a Table has none."""
    evaluator.store_metrics_in_model_card_data = lambda *_: None
    return evaluator


@pytest.fixture
def pairs():
    score = np.random.default_rng(1).integers(0, 6, 40) / 5  # six values for forty pairs: many ties
    return [ScoredPair(f"a{i}", f"b{i}", float(s)) for i, s in enumerate(score)]


@pytest.fixture
def table():
    random = np.random.default_rng(2)
    return {f"{side}{i}": random.normal(size=7) for i in range(40) for side in "ab"}


@pytest.mark.parametrize("name", ["", "sts-dev"])
def test_similarity_equals_sentence_transformers(pairs, table, name):
    ours = EmbeddingSimilarityEvaluator(pairs, name)
    columns = [p.sentence1 for p in pairs], [p.sentence2 for p in pairs], [p.score for p in pairs]
    theirs = quiet(
        reference.EmbeddingSimilarityEvaluator(*columns, name=name, similarity_fn_names=KINDS, main_similarity="cosine")
    )
    expected = theirs(Table(table))
    found = ours(Table(table))
    assert len(found) == 8 and set(found) == {k for k in expected if not k.endswith("_max")}
    assert found == pytest.approx({k: expected[k] for k in found}, abs=1e-9)
    assert ours.primary_metric == theirs.primary_metric and ours.primary_metric in found


@pytest.mark.parametrize(
    "convert",
    [
        lambda v: torch.tensor(np.array(v)),
        lambda v: np.array(v, dtype=np.float32),
        lambda v: torch.tensor(np.array(v), requires_grad=True),
    ],
)
def test_a_model_may_return_arrays_or_tensors(pairs, table, convert):
    evaluator = EmbeddingSimilarityEvaluator(pairs)
    assert evaluator(Table(table, convert)) == pytest.approx(evaluator(Table(table)), abs=1e-6)


def test_a_perfect_model_has_rank_correlation_one():
    angles = {"a": 0.0, "b": 0.3, "c": 0.8, "d": 1.5}
    table = {k: [np.cos(x), np.sin(x)] for k, x in angles.items()}
    pairs = [ScoredPair("a", k, s) for k, s in zip("abcd", [1.0, 0.9, 0.2, 0.0])]
    metrics = EmbeddingSimilarityEvaluator(pairs)(Table(table))
    assert metrics["spearman_cosine"] == metrics["spearman_euclidean"] == 1.0 > metrics["pearson_cosine"]


def test_broken_models_are_named(pairs, table):
    evaluator = EmbeddingSimilarityEvaluator(pairs)
    with pytest.raises(ValueError, match="NaN or infinite values for 1 of 40"):
        evaluator(Table(table | {"b3": [np.nan] * 7}))
    with pytest.raises(ValueError, match="all 40 values of the second sequence are equal"):
        evaluator(Table(dict.fromkeys(table, [1.0, 2.0])))
    with pytest.raises(ValueError, match=r"\(1, 7\) for 40 sentences, expected \(40, dim\)"):
        evaluator(Table(table, lambda v: np.array(v[:1])))
    with pytest.raises(ValueError, match="at least 2"):
        EmbeddingSimilarityEvaluator(pairs[:1])(Table(table))


@pytest.mark.parametrize("name, key", [("", "accuracy"), ("snli", "snli_accuracy")])
@pytest.mark.parametrize("convert", [np.asarray, lambda v: np.array(v, dtype=np.float32)])
def test_label_accuracy(name, key, convert):
    loss = SoftmaxLoss(2)
    weight = torch.zeros(3, 6)  # of u, v and |u - v|, two dimensions each
    weight[0, 4] = weight[1, 0] = weight[2, 3] = 1.0  # 0 if they differ in the first, 2 if v has the second
    loss.classifier.weight.data, loss.classifier.bias.data = weight, torch.zeros(3)
    table = {"u": [2.0, 0.0], "far": [-1.0, 0.0], "near": [2.0, 0.0], "up": [2.0, 9.0]}
    examples = [NLIExample("u", *rest) for rest in [("far", 0), ("near", 1), ("up", 2), ("up", 0)]]
    evaluator = LabelAccuracyEvaluator(examples, loss, name)
    assert evaluator(Table(table, convert)) == {key: 0.75}
    assert evaluator.primary_metric == key
    swapped = [NLIExample(e.hypothesis, e.premise, e.label) for e in examples]  # the order of u and v matters
    assert LabelAccuracyEvaluator(swapped, loss, name)(Table(table, convert)) == {key: 0.5}


def test_label_accuracy_needs_examples():
    with pytest.raises(ValueError, match="at least one"):
        LabelAccuracyEvaluator([], SoftmaxLoss(2))


@pytest.mark.parametrize("name", ["", "quora"])
@pytest.mark.parametrize("digits", [16, 0])  # rounded to whole numbers many similarities are equal
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_classification_equals_sentence_transformers(table, name, digits, dtype):
    table = {text: np.round(vector, digits) for text, vector in table.items()}
    labels = [int(i % 3 == 0) for i in range(40)]
    for i in range(0, 40, 3):
        table[f"b{i}"] = np.round(table[f"a{i}"] + table[f"b{i}"], digits)
    pairs = [(f"a{i}", f"b{i}") for i in range(40)] + [("a3", "b3"), ("a3", "b4")]
    labels += [1, 0]
    ours = BinaryClassificationEvaluator(pairs, labels, name)
    theirs = quiet(
        reference.BinaryClassificationEvaluator(*map(list, zip(*pairs)), labels, name=name, similarity_fn_names=KINDS)
    )
    found, expected = (evaluator(Table(table, lambda v: np.array(v, dtype))) for evaluator in (ours, theirs))
    assert len(found) == 32 and set(found) == {key for key in expected if "max_" not in key}
    assert found == pytest.approx({key: expected[key] for key in found}, abs=1e-9)
    assert ours.primary_metric == (f"{name}_" if name else "") + "cosine_ap" and ours.primary_metric in found


@pytest.mark.parametrize(
    "pairs, labels",
    [([("a", "b")], [1]), ([("a", "b")] * 2, [0, 0]), ([("a", "b")] * 3, [0, 1, 2]), ([("a", "b")], [0, 1]), ([], [])],
)
def test_binary_classification_needs_both_labels(pairs, labels):
    with pytest.raises(ValueError, match=f"0 or 1, and both of them, got {len(pairs)} pairs and {len(labels)}"):
        BinaryClassificationEvaluator(pairs, labels)


@pytest.mark.parametrize("name", ["", "nli"])
@pytest.mark.parametrize("margin", [0.0, 0.2, -0.1])
def test_triplets_equal_sentence_transformers(table, name, margin):
    triplets = [(f"a{i}", f"b{i}", f"a{(i + 1) % 40}") for i in range(40)] + [("a0", "b1", "b1")]  # the last is a draw
    ours = TripletEvaluator(triplets, name, margin)
    theirs = quiet(
        reference.TripletEvaluator(
            *zip(*triplets), name=name, margin=margin, main_similarity_function="cosine", similarity_fn_names=KINDS
        )
    )
    found, expected = ours(Table(table)), theirs(Table(table))
    assert (
        len(found) == 4
        and set(found) == {key for key in expected if "max_" not in key}
        and 0 < min(found.values()) <= max(found.values()) < 1
    )
    assert {key: float(np.float32(value)) for key, value in found.items()} == {
        key: expected[key] for key in found
    }  # theirs is a float32
    assert ours.primary_metric == theirs.primary_metric and ours.primary_metric in found


def test_no_triplets():
    with pytest.raises(ValueError, match="at least one triplet"):
        TripletEvaluator([])


@pytest.fixture
def retrieval(table):
    """20 queries, 60 documents of which some have equal vectors, 1 to 5 answers each; more queries and answers that count for nothing."""
    random = np.random.default_rng(7)
    queries = {f"q{i}": f"a{i}" for i in range(20)} | {"unanswered": "a30", "no answers": "a31"}
    corpus = {f"d{i}": f"b{i % 40}" for i in random.permutation(60)}
    relevant = {f"q{i}": {f"d{d}" for d in random.choice(60, 1 + i % 5, replace=False)} for i in range(20)}
    return queries, corpus, relevant | {"no answers": set(), "not asked": {"d3"}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name, at_k",
    [
        ("", {}),
        ("beir", {"accuracy": [2], "precision": [1, 90], "recall": [1, 90], "ndcg": [3, 5], "mrr": [4], "map": [7]}),
    ],
)
def test_retrieval_equals_sentence_transformers(table, retrieval, kind, name, at_k):
    ours = InformationRetrievalEvaluator(*retrieval, name, kind, **({"at_k": at_k} if at_k else {}))
    options = {f"{metric}_at_k": list(ks) for metric, ks in at_k.items() if metric not in ("precision", "recall")}
    options |= {"precision_recall_at_k": at_k["recall"]} if at_k else {}
    theirs = quiet(
        reference.InformationRetrievalEvaluator(
            *retrieval, name=name, score_functions={kind: SIMILARITY_FUNCTIONS[kind]}, **options
        )
    )
    found, expected = ours(Table(table)), theirs(Table(table))
    assert set(found) == set(expected) and found == pytest.approx(expected, abs=1e-9)
    assert ours.primary_metric == theirs.primary_metric and ours.primary_metric in found


def test_equal_scores_are_ordered_by_id(table, retrieval):
    rankings = InformationRetrievalEvaluator(*retrieval, at_k={"recall": [60]}).rankings(Table(table))
    assert list(rankings) == [f"q{i}" for i in range(20)]
    for ranking in rankings.values():
        assert sorted(ranking) == sorted(retrieval[1])
        for i in range(20):  # d3 and d43 have one text: "d3" before "d43", but "d45" before "d5"
            first, second = sorted([f"d{i}", f"d{i + 40}"])
            assert ranking.index(first) + 1 == ranking.index(second)


def test_retrieval_does_not_depend_on_the_order_of_the_corpus(table, retrieval):
    queries, corpus, relevant = retrieval
    backwards = dict(reversed(corpus.items()))
    model = Table(dict.fromkeys(table, [1.0, 2.0]))  # all scores are equal
    first, second = (InformationRetrievalEvaluator(queries, texts, relevant) for texts in (corpus, backwards))
    assert first(model) == second(model) and first.rankings(model) == second.rankings(model)


def test_queries_and_documents_have_their_prompts():
    class Prompted(Table):
        encode_query = lambda self, texts, **_: self.encode(["query: " + text for text in texts])
        encode_document = lambda self, texts, **_: self.encode(["document: " + text for text in texts])

    model = Prompted(
        {"query: a": [1.0, 0.0], "document: a": [0.0, 1.0], "document: b": [1.0, 0.1], "document: c": [0.5, 1.0]}
    )
    assert (
        InformationRetrievalEvaluator({"1": "a"}, {"1": "a", "2": "b"}, {"1": {"2"}})(model)["cosine_accuracy@1"] == 1
    )
    assert TripletEvaluator([("a", "b", "c")])(model)["cosine_accuracy"] == 1


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda q, c, r: ({}, c, r), ValueError, "none of the 0 queries"),
        (lambda q, c, r: (q, c, {}), ValueError, "none of the 0 queries"),
        (lambda q, c, r: (q, c, {"q0": set()}), ValueError, "none of the 0"),
        (lambda q, c, r: (q, {}, r), ValueError, "not in the corpus of 0"),
        (
            lambda q, c, r: (q, c, r | {"q0": {"d1", "x"}, "q1": {"y"}}),
            ValueError,
            "^2 relevant documents are not in the corpus of 60, 'x' among",
        ),
        (lambda q, c, r: (q, c, {"q0": "d1"}), TypeError, r"relevant\['q0'\] is 'd1'; expected a set"),
    ],
)
def test_what_cannot_be_retrieved(retrieval, change, error, message):
    with pytest.raises(error, match=message):
        InformationRetrievalEvaluator(*change(*retrieval))


def test_odd_options_of_retrieval(retrieval, table):
    with pytest.raises(ValueError, match="'hamming'; expected one of"):
        InformationRetrievalEvaluator(*retrieval, similarity_fn_name="hamming")
    with pytest.raises(ValueError, match="no measure hits"):
        InformationRetrievalEvaluator(*retrieval, at_k={"hits": [1]})
    with pytest.raises(ValueError, match="NaN or infinite values for 2 of 60"):  # d3 and d43
        InformationRetrievalEvaluator(*retrieval)(Table(table | {"b3": [np.nan] * 7}))
    assert (
        InformationRetrievalEvaluator(*retrieval, at_k={"recall": [2, 5], "map": [9]}).primary_metric
        == "cosine_recall@5"
    )


@pytest.mark.parametrize(
    "main, expected",
    [
        ({}, lambda a, b: b),
        ({"main_score_function": max}, max),
        ({"main_score_function": lambda s: s[0]}, lambda a, b: a),
    ],
)
def test_several_in_sequence(pairs, table, main, expected):
    triplets = [(f"a{i}", f"b{i}", f"a{(i + 1) % 40}") for i in range(40)]
    parts = [TripletEvaluator(triplets, "nli"), EmbeddingSimilarityEvaluator(pairs, "sts")]
    ours, theirs = (
        SequentialEvaluator(parts, **main),
        SequentialReference(
            [
                lambda model, *_: {"first": parts[0](model)["nli_cosine_accuracy"]},
                lambda model, *_: {"second": parts[1](model)["sts_spearman_cosine"]},
            ],
            **main,
        ),
    )
    found = ours(Table(table))
    a, b = found["nli_cosine_accuracy"], found["sts_spearman_cosine"]
    assert found["sequential_score"] == theirs(Table(table))["sequential_score"] == expected(a, b) and a != b
    assert ours.primary_metric == "sequential_score" and len(found) == 4 + 8 + 1


def test_sequences_that_make_no_sense(pairs, table):
    with pytest.raises(ValueError, match="at least one evaluator"):
        SequentialEvaluator([])
    with pytest.raises(ValueError, match="two evaluators give 'pearson_cosine'; give each a name"):
        SequentialEvaluator([EmbeddingSimilarityEvaluator(pairs), EmbeddingSimilarityEvaluator(pairs)])(Table(table))


def test_the_real_minilm_on_scifact(course_data, minilm_folder):
    """All 300 test queries; of the corpus what answers them and every fifth document besides, for time."""
    from course_lib.encoder import SentenceEncoder

    queries, corpus, relevant = load_retrieval("scifact")
    assert (len(queries), len(corpus), sum(map(len, relevant.values()))) == (300, 5183, 339)
    kept = set().union(*relevant.values()) | set(list(corpus)[::5])
    corpus = {identity: text for identity, text in corpus.items() if identity in kept}
    encoder = SentenceEncoder.load(minilm_folder, device="cpu")
    texts = [*queries.values(), *corpus.values()]
    model = Table(dict(zip(texts, encoder.encode(texts, show_progress_bar=False))))
    model.similarity = encoder.similarity
    ours, theirs = (
        InformationRetrievalEvaluator(queries, corpus, relevant),
        quiet(reference.InformationRetrievalEvaluator(queries, corpus, relevant)),
    )
    found = ours(model)
    assert (
        found == pytest.approx(theirs(model), abs=1e-9)
        and len(found) == 15
        and ours.primary_metric == theirs.primary_metric
    )
    assert 0.70 < found["cosine_ndcg@10"] < 0.80  # 0.645 among all documents
    assert found["cosine_recall@1"] < found["cosine_recall@10"] < 1
