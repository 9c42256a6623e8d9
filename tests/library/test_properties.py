"""Whatever takes texts, pairs of texts or texts by id, given every container: it does what it does with the list, or an
error of ours says what to do. Nothing else. test_properties_of_vectors.py and test_properties_of_characters.py go on.

    COURSE_EXAMPLES=1000 python -m pytest tests/library/test_properties*.py     # a campaign: other examples every time
"""

from types import MappingProxyType, SimpleNamespace

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from containers import MISSING, OTHER, SAME, outcome
from hypothesis import given, note
from hypothesis import strategies as st
from property_settings import few
from small_models import short_tokenizer
from tokenizers import Tokenizer
from torch import nn

from course_lib.bert import BertConfig, BertModel
from course_lib.encoder import SentenceEncoder
from course_lib.finetuning.gradient_cache import cached_embeddings
from course_lib.finetuning.mining import mine_hard_negatives
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.models.masked_lm import BertForMaskedLM, pseudo_perplexity
from course_lib.models.sparse import SparseEncoder
from course_lib.models.two_towers import TwoTowers
from course_lib.modules import Pooling
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.chunking import chunk_documents, chunk_long_documents
from course_lib.retrieval.clustering import cluster_words
from course_lib.retrieval.evaluators import BinaryClassificationEvaluator, InformationRetrievalEvaluator
from course_lib.retrieval.reranking import rerank
from course_lib.training import train
from course_lib.transformer import Transformer
from course_lib.translation.decoding import translate
from course_lib.translation.pairs import source_batch, translation_loss
from course_lib.translation.scores import attention_weights, exact_match, length_thirds
from course_lib.translation.translators import RNNTranslator
from course_lib.translation.vocabulary import Vocabulary


class Models(SimpleNamespace):
    def __repr__(self):
        return "models"


@pytest.fixture(scope="module")
def models(minilm_folder):
    """One of each kind that reads texts, tiny and random."""
    torch.manual_seed(0)
    tokenizer = lambda: Tokenizer.from_str(short_tokenizer(minilm_folder))
    config = BertConfig(10_000, 16, 1, 2, 32, max_position_embeddings=48, initializer_range=0.3)
    encoder = SentenceEncoder([Transformer(BertModel(config), tokenizer()), Pooling(16)], dtype="float32").eval()
    english, spanish = Vocabulary(["a", "cat", "dog"]), Vocabulary(["gato", "perro"])
    return Models(
        encoder=encoder,
        towers=TwoTowers(encoder, encoder),
        scorer=CrossEncoder(BertForSequenceClassification(config, 1), tokenizer(), dtype="float32").eval(),
        sparse=SparseEncoder(BertForMaskedLM(config), tokenizer(), dtype="float32").eval(),
        mlm=(BertForMaskedLM(config).eval(), tokenizer()),
        translator=RNNTranslator(english, spanish, 4, 4).eval(),
    )


# ---- whatever takes texts

texts = st.lists(
    st.text(st.one_of(st.sampled_from("aAcdgot .+-\n"), st.characters(exclude_categories=["Cs"])), max_size=24),
    max_size=4,
)


def trained(examples):
    """The examples in the order in which a training meets them."""
    model, met = nn.Linear(1, 1), []
    options = dict(batch_size=2, learning_rate=0.1, show_progress_bar=False)
    train(model, lambda batch: met.extend(batch) or model.weight.sum(), examples, **options)
    return met


TAKE_TEXTS = {
    "encode": lambda m, x: m.encoder.encode(x),
    "encode_query": lambda m, x: m.encoder.encode_query(x),
    "encode_document": lambda m, x: m.towers.encode_document(x),
    "forward": lambda m, x: m.encoder(x).detach(),
    "token_embeddings": lambda m, x: torch.cat(m.encoder.token_embeddings(x)),
    "tokenize": lambda m, x: np.concatenate([[], *m.encoder[0].tokenize(x)[0]]),
    "sparse encode": lambda m, x: m.sparse.encode(x).toarray(),
    "sparse forward": lambda m, x: m.sparse(x).detach(),
    "rank": lambda m, x: m.scorer.rank("a cat", x, return_documents=True),
    "pseudo_perplexity": lambda m, x: pseudo_perplexity(*m.mlm, x),
    "BM25": lambda m, x: BM25(x).vectors.toarray(),
    "BM25 queries": lambda m, x: BM25(["a cat", "got"]).search(x, 2),
    "mined corpus": lambda m, x: mine_hard_negatives([("a cat", "a dog")], m.encoder, x, num_negatives=1).examples,
    "cached_embeddings": lambda m, x: cached_embeddings(m.encoder, x, 2).detach(),
    "cluster_words": lambda m, x: cluster_words(x, [0] * m.count),
    "vocabulary": lambda m, x: Vocabulary.build(x).tokens,
    "translate": lambda m, x: translate(m.translator, x),
    "source_batch": lambda m, x: source_batch(m.translator, x)[0],
    "length_thirds": lambda m, x: length_thirds(x),
    "train": lambda m, x: trained(x),
}
OF_ONE = {"encode", "encode_query", "encode_document", "sparse encode", "pseudo_perplexity", "BM25", "BM25 queries"}
OF_ROWS = {"train"}  # takes rows and pairs as well as texts: dictionaries, lists
OPTIONAL = {"mined corpus"}
ANY_ORDER = {"pseudo_perplexity", "vocabulary"}
NO_LENGTH = {"generator", "values"}


def same(a, b) -> bool:
    """Equal, or the same kind of error."""
    if isinstance(a, Exception) or isinstance(b, Exception):
        return type(a) is type(b)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(np.asarray(a), np.asarray(b)) if isinstance(a, (np.ndarray, torch.Tensor)) else a == b


@pytest.mark.parametrize("entry", TAKE_TEXTS)
@given(texts=texts, kind=st.sampled_from(list(SAME)))
@few
def test_texts_in_any_container(entry, models, texts, kind):
    """As from the list; what the list raises, too."""
    models.count, take = len(texts), TAKE_TEXTS[entry]
    found, expected = outcome(take, models, SAME[kind](texts)), outcome(take, models, texts)
    if entry in OF_ROWS and kind in {*NO_LENGTH, "ordered set"}:
        assert isinstance(found, TypeError) or kind == "ordered set"
        return
    note(f"{found!r}\n{expected!r}")
    assert same(found, expected)


@pytest.mark.parametrize("entry", TAKE_TEXTS)
def test_no_texts_but_a_container(entry, models):
    """TypeError, and never the keys of a dictionary, the columns of a table, the letters of a string."""
    texts, take, models.count = ["a cat", "two dogs."], TAKE_TEXTS[entry], 2
    for kind in OTHER:
        if entry in OF_ROWS and kind in ("Dataset", "rows", "nested", "array (n, 2)", "bytes"):
            continue
        if entry in OPTIONAL and kind == "None":
            continue
        found = outcome(take, models, OTHER[kind](texts))
        if kind == "set" and entry in ANY_ORDER:
            assert same(found, take(models, sorted(texts)))
        else:
            assert isinstance(found, TypeError), (kind, found)
        if kind in ("dictionary", "DataFrame", "Dataset"):
            assert (".values()" if kind == "dictionary" else "['text']" if entry != "train" else "") in str(found)
    found = outcome(take, models, "a cat")
    if entry in OF_ONE:
        assert not isinstance(found, Exception) and same(found, take(models, np.array("a cat")))
    else:
        assert isinstance(found, Exception) and ("the string 'a cat'" in str(found) or entry == "cached_embeddings")


@pytest.mark.parametrize("entry", [entry for entry in TAKE_TEXTS if entry not in OF_ROWS])
@given(bad=st.sampled_from(MISSING), place=st.integers(0, 3))
@few
def test_what_is_no_text_is_named_with_its_place(entry, models, bad, place):
    texts, models.count = ["a", "b", "a cat"], 4
    found = outcome(TAKE_TEXTS[entry], models, [*texts[:place], bad, *texts[place:]])
    assert isinstance(found, TypeError) and f" {place} is " in str(found) and "expected a string" in str(found)


# ---- whatever takes pairs of texts

PAIRS = [("a cat", "un gato"), ("two dogs.", "dos perros"), ("a cat", "gato")]
TAKE_PAIRS = {
    "predict": lambda m, x: m.scorer.predict(x),
    "scorer": lambda m, x: m.scorer(x).detach(),
    "loss": lambda m, x: m.scorer.loss(x, [0, 1, 0.5]).item(),
    "mined": lambda m, x: mine_hard_negatives(x, m.encoder, num_negatives=1).examples,
    "classified": lambda m, x: BinaryClassificationEvaluator(x, [0, 1, 1])(m.encoder),
    "translation_loss": lambda m, x: translation_loss(m.translator, x).item(),
    "exact_match": lambda m, x: exact_match(m.translator, x),
    "attention_weights": lambda m, x: attention_weights(m.translator, x),
}
SAME_PAIRS = {
    "tuple": tuple,
    "zip": lambda pairs: zip(*zip(*pairs)),
    "array": np.array,
    "arrays": lambda pairs: [np.array(pair) for pair in pairs],
    "lists": lambda pairs: list(map(list, pairs)),
    "Series": lambda pairs: pd.Series(pairs, index=[2, 1, 0]),
    "{pair: label}": lambda pairs: dict.fromkeys(pairs, 1),
}
OTHER_PAIRS = {
    "dictionary": lambda pairs: dict(enumerate(pairs)),
    "DataFrame": lambda pairs: pd.DataFrame(pairs, columns=["a", "b"]),
    "Dataset": lambda pairs: datasets.Dataset.from_pandas(pd.DataFrame(pairs, columns=["a", "b"])),
    "rows": lambda pairs: [{"a": a, "b": b} for a, b in pairs],
    "sets": lambda pairs: list(map(set, pairs)),
    "set": set,
    "texts": lambda pairs: [a for a, _ in pairs],
    "strings": lambda pairs: ["ab", "cd", "ef"],
    "transposed": lambda pairs: list(zip(*pairs)),
    "a string": lambda pairs: "ab",
    "None": lambda pairs: None,
}


@pytest.mark.parametrize("entry", TAKE_PAIRS)
def test_pairs_in_any_container(entry, models):
    take = TAKE_PAIRS[entry]
    expected = outcome(take, models, PAIRS)
    for kind in SAME_PAIRS:
        assert same(outcome(take, models, SAME_PAIRS[kind](PAIRS)), expected), kind
    for kind in OTHER_PAIRS:
        found = outcome(take, models, OTHER_PAIRS[kind](PAIRS))
        assert isinstance(found, TypeError), (kind, found)
        advice = {
            "dictionary": ".values()",
            "DataFrame": "['a'], ",
            "Dataset": "['a'], ",
            "rows": "(row['a'], row['b'])",
        }
        assert advice.get(kind, "expected") in str(found)
    for bad in MISSING:
        found = outcome(take, models, [*PAIRS[:2], ("a", bad)])
        assert isinstance(found, TypeError) and "pair 2 is" in str(found)


# ---- whatever takes texts by id

TAKE_MAPPINGS = {
    "corpus": lambda m, x: InformationRetrievalEvaluator({"q": "a cat"}, x, {"q": ["y"]})(m.encoder),
    "queries": lambda m, x: InformationRetrievalEvaluator(x, {"y": "a cat"}, {"x": ["y"]})(m.encoder),
    "chunk_documents": lambda m, x: chunk_documents(x, m.encoder),
    "chunk_long_documents": lambda m, x: chunk_long_documents(x, m.encoder),
    "reranked corpus": lambda m, x: rerank(m.scorer, {"q": "a cat"}, x, {"q": ["y", "x"]}),
}


@pytest.mark.parametrize("entry", TAKE_MAPPINGS)
def test_texts_by_id_in_any_container(entry, models):
    by_id, take = {"x": "two dogs.", "y": "a cat"}, TAKE_MAPPINGS[entry]
    expected = take(models, by_id)
    assert same(take(models, MappingProxyType(by_id)), expected) and same(take(models, pd.Series(by_id)), expected)
    table = pd.DataFrame({"_id": list(by_id), "text": list(by_id.values())})
    bad = [
        list(by_id.values()),
        table,
        datasets.Dataset.from_pandas(table),
        "a cat",
        None,
        list(by_id.items()),
        set(by_id),
    ]
    for value in bad:
        found = outcome(take, models, value)
        assert isinstance(found, TypeError) and "expected {id: text}" in str(found), found
    for value in MISSING:
        found = outcome(take, models, by_id | {"y": value})
        assert isinstance(found, TypeError) and ("['y'] is" in str(found) or "pair 0 is" in str(found)), found
