"""course_lib.models.two_towers against sentence-transformers' Router, on the same folder."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Router

from course_lib.encoder import SentenceEncoder
from course_lib.models.two_towers import TwoTowers
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from course_lib.support.folders import resolve

TEXTS = ["How do I renew a library card?", "Cards are renewed at the desk, or online.", "", "A tram 😀 stops here."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two different encoders behind a Router, then a module for both, with prompts."""
    query, document = (SentenceTransformer(str(resolve(f"course/{name}"))) for name in ("sbert-mini-nli", "sbert-mini"))
    router = Router.for_query_document(query_modules=list(query), document_modules=list(document))
    model = SentenceTransformer(modules=[router, Normalize()], prompts={"query": "ask: ", "document": ""})
    folder = tmp_path_factory.mktemp("router") / "model"
    model.save(str(folder))
    return folder


def test_equal_to_the_router(folder):
    ours, theirs = TwoTowers.load(folder, dtype="float32"), SentenceTransformer(str(folder))
    for kind in ("encode_query", "encode_document"):
        assert np.abs(getattr(ours, kind)(TEXTS) - getattr(theirs, kind)(TEXTS)).max() < 1e-6
    query, document = ours.encode_query(TEXTS), ours.encode_document(TEXTS)
    assert np.abs(query - document).max() > 0.1
    assert np.allclose(ours.similarity(query, document), theirs.similarity(query, document), atol=1e-6)


def test_a_module_of_both_routes_is_one(folder, tmp_path):
    one = SentenceTransformer(str(resolve("course/sbert-mini")))
    SentenceTransformer(modules=[Router.for_query_document(query_modules=list(one), document_modules=list(one))]).save(
        str(tmp_path / "m")
    )
    towers = TwoTowers.load(tmp_path / "m", dtype="float32")
    assert towers.query[0] is towers.document[0]
    assert np.array_equal(towers.encode_query(TEXTS), towers.encode_document(TEXTS))
    assert (
        np.abs(towers.encode(TEXTS) - SentenceEncoder.load("course/sbert-mini", dtype="float32").encode(TEXTS)).max()
        < 1e-6
    )


def test_evaluators_take_it(folder):
    towers = TwoTowers.load(folder, dtype="float32")
    evaluate = InformationRetrievalEvaluator({"q": TEXTS[0]}, {"a": TEXTS[1], "b": TEXTS[3]}, {"q": {"a"}})
    expected = (
        towers.similarity(towers.encode_query(TEXTS[:1]), towers.encode_document([TEXTS[1], TEXTS[3]]))[0].argmax() == 0
    )
    assert evaluate(towers)["cosine_accuracy@1"] == float(expected)


def test_what_does_not_fit(folder, tmp_path):
    encoders = [
        SentenceEncoder.load(f"course/{name}", dtype="float32")
        for name in ("sbert-mini", "sbert-mini-nli", "glove-mini")
    ]
    dims = [encoder.get_embedding_dimension() for encoder in encoders]
    other = next(encoder for encoder, dim in zip(encoders, dims) if dim != dims[0])
    with pytest.raises(ValueError, match=f"vectors of {dims[0]} numbers, the document encoder"):
        TwoTowers(encoders[0], other)
    dot = SentenceEncoder(list(encoders[0]), similarity_fn_name="dot")
    with pytest.raises(ValueError, match="made for 'cosine', the document encoder for 'dot'"):
        TwoTowers(encoders[0], dot)
    with pytest.raises(ValueError, match="no router_config.json: it is one encoder"):
        TwoTowers.load("course/sbert-mini")
    for name, change, message in [
        ("routes", lambda c: c["structure"].pop("query"), r"has the routes \['document'\]"),
        ("kind", lambda c: c["types"].update(query_0_Transformer="x.CLIP"), "is a module 'x.CLIP'"),
    ]:
        broken = tmp_path / name
        broken.mkdir()
        for path in folder.iterdir():
            (broken / path.name).symlink_to(path)
        config = json.loads((folder / "router_config.json").read_text())
        change(config)
        (broken / "router_config.json").unlink()
        (broken / "router_config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=message):
            TwoTowers.load(broken)
