"""course_lib.retrieval.evaluators against the evaluators of sentence-transformers."""

import numpy as np
import pytest
from evaluator_reference import KINDS, Table, quiet, random_vectors
from sentence_transformers.sentence_transformer import evaluation as reference

from course_lib.datasets.retrieval import load_retrieval
from course_lib.retrieval.evaluators import BinaryClassificationEvaluator, InformationRetrievalEvaluator
from course_lib.similarity import SIMILARITY_FUNCTIONS


@pytest.fixture
def table():
    return random_vectors()


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


@pytest.fixture
def retrieval(table):
    """20 queries, 60 documents of which some have equal vectors, 1 to 5 answers each; and what counts for nothing."""
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

    model = Prompted({"query: a": [1.0, 0.0], "document: a": [0.0, 1.0], "document: b": [1.0, 0.1]})
    assert (
        InformationRetrievalEvaluator({"1": "a"}, {"1": "a", "2": "b"}, {"1": {"2"}})(model)["cosine_accuracy@1"] == 1
    )


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
