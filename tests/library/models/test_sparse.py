"""course_lib.models.sparse: the vectors of sentence_transformers.SparseEncoder, and gradients of the whole product."""

import json
import logging
import shutil

import numpy as np
import pytest
import scipy.sparse
import torch
from sentence_transformers import SparseEncoder as TheirEncoder
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

from course_lib.models.masked_lm import load_masked_lm
from course_lib.models.max_over_tokens import max_over_tokens
from course_lib.models.sparse import SparseEncoder, sparsity
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.folders import read_json, write_json

TEXTS = [
    "A cat sits on a mat.",
    "",
    "naïve café 🎉 שלום",
    "word " * 600,
    "Interleukin-6 is a cytokine. " * 30,
    "A cat sits on a mat.",
]
LOWERED = 5.0  # what is taken off the output bias


@pytest.fixture(scope="module")
def encoder():
    """bert-mini, its output bias lowered so that most weights are 0, as after a sparse training."""
    encoder = SparseEncoder.load("course/bert-mini", device="cpu", dtype="float32")
    with torch.no_grad():
        encoder.model.cls["predictions"].bias -= LOWERED
    return encoder


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    encoder.save(tmp_path_factory.mktemp("sparse") / "model")
    return tmp_path_factory.getbasetemp() / "sparse0" / "model"


def same(ours: scipy.sparse.csr_array, theirs: torch.Tensor) -> bool:
    """Within 1e-5 of the largest weight."""
    theirs = theirs.to_dense().numpy()
    return ours.shape == theirs.shape and np.abs(ours.toarray() - theirs).max() < 1e-5 * theirs.max()


# ---- vectors


def test_ours_in_sentence_transformers(encoder, folder):
    theirs = TheirEncoder(str(folder), device="cpu")
    assert same(encoder.encode(TEXTS), theirs.encode(TEXTS))
    assert theirs.max_seq_length == encoder.max_seq_length == 512 and theirs.similarity_fn_name == "dot"
    found = sparsity(encoder.encode(TEXTS))
    assert found == pytest.approx(theirs.sparsity(theirs.encode(TEXTS)), rel=1e-4) and found["sparsity_ratio"] > 0.9
    assert [[term for term, _ in row] for row in encoder.decode(encoder.encode(TEXTS[:1]), 5)] == [
        [term for term, _ in theirs.decode(theirs.encode(TEXTS[:1])[0], 5)]
    ]


def test_theirs_in_ours(encoder, folder, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    theirs = TheirEncoder(
        modules=[MLMTransformer(str(folder), max_seq_length=64), SpladePooling("max")],
        device="cpu",
        prompts={"query": "question: "},
        default_prompt_name=None,
    )
    theirs.save(str(tmp_path / "theirs"))
    ours = SparseEncoder.load(tmp_path / "theirs", device="cpu", dtype="float32")
    assert ours.max_seq_length == 64 and ours.prompts == {"query": "question: ", "document": ""}
    assert same(ours.encode(TEXTS), theirs.encode(TEXTS))
    assert same(ours.encode_query(TEXTS), theirs.encode_query(TEXTS)) and not same(
        ours.encode_query(TEXTS), theirs.encode(TEXTS)
    )
    assert same(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))


def test_saved_and_loaded(encoder, folder, tmp_path):
    again = SparseEncoder.load(folder, device="cpu", dtype="float32")
    assert (again.encode(TEXTS) != encoder.encode(TEXTS)).nnz == 0
    again.max_seq_length = 20
    again.save(tmp_path / "half", half=True)
    half = SparseEncoder.load(tmp_path / "half", device="cpu", dtype="float32")
    assert half.max_seq_length == 20 and same(
        half.encode(TEXTS), TheirEncoder(str(tmp_path / "half"), device="cpu").encode(TEXTS)
    )
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.51 * (
        folder / "model.safetensors"
    ).stat().st_size
    assert "model_type" in read_json(folder / "config_sentence_transformers.json")


def test_a_text_does_not_depend_on_its_neighbours(encoder):
    together = encoder.encode(TEXTS, batch_tokens=100_000)
    assert (
        together.dtype == np.float32
        and together.shape == (6, 12_000)
        and (together.data > 0).all()
        and together.has_canonical_format
    )
    for i, text in enumerate(TEXTS):
        assert np.abs(encoder.encode(text, batch_tokens=1).toarray() - together[[i]].toarray()).max() < 1e-5
    assert (together[[0]] != together[[5]]).nnz == 0  # a text that comes twice


def test_bfloat16_is_close(encoder):
    texts = [text for text in TEXTS if text]  # nothing of an empty text is left by the bias
    half = torch.from_numpy(SparseEncoder(encoder.model, encoder.tokenizer, dtype="bfloat16").encode(texts).toarray())
    full = torch.from_numpy(encoder.encode(texts).toarray())
    assert pairwise_cos_sim(half, full).min() > 0.999


def test_what_was_prepared_follows_the_weights(encoder):
    ours = SparseEncoder(*load_masked_lm("course/bert-mini"), dtype="float32")
    dense = ours.encode(TEXTS[:1])
    ours.model.cls["predictions"].bias.data -= LOWERED
    ours.model.bert.embeddings.word_embeddings.weight.data[5:] += 0.0
    assert (ours.encode(TEXTS[:1]) != encoder.encode(TEXTS[:1])).nnz == 0 and dense.nnz > 1000 > ours.encode(
        TEXTS[:1]
    ).nnz


def test_odd_inputs(encoder):
    assert encoder.encode([]).shape == (0, 12_000) and encoder.decode(encoder.encode([])) == []
    assert encoder.encode("A cat.").shape == (1, 12_000) and encoder.encode(text for text in TEXTS).shape == (6, 12_000)
    assert sparsity(encoder.encode([])) == {"active_dims": 0, "sparsity_ratio": 1}
    with pytest.raises(TypeError, match=r"text 1 is 3 \(int\)"):
        encoder.encode(["a", 3])
    with pytest.raises(ValueError, match=r"no prompt 'qeury'; this model has \['document', 'query'\]"):
        encoder.encode(["a"], prompt_name="qeury")


def test_decode(encoder):
    vectors = encoder.encode(TEXTS[:1])
    terms = encoder.decode(vectors)[0]
    weights = [weight for _, weight in terms]
    assert (
        len(terms) == vectors.nnz
        and weights == sorted(weights, reverse=True)
        and {"cat", "mat"} <= {term for term, _ in terms}
    )
    assert encoder.decode(vectors, 3)[0] == terms[:3]
    for term, weight in terms:
        assert vectors[0, encoder.tokenizer.token_to_id(term)] == np.float32(weight)


# ---- folders that are not what they should be


@pytest.mark.parametrize(
    "change, message",
    [
        ({"pooling_strategy": "sum"}, "pooling_strategy"),
        ({"activation_function": "log1p_relu"}, "log1p_relu"),
    ],
)
def test_other_pooling_is_refused(folder, tmp_path, change, message):
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other" / "1_SpladePooling" / "config.json"
    write_json(path, json.loads(path.read_text()) | change)
    with pytest.raises(ValueError, match=message):
        SparseEncoder.load(tmp_path / "other")


def test_models_without_the_head_are_refused():
    with pytest.raises(ValueError, match="no masked language model head"):
        SparseEncoder.load("course/sbert-mini")


# ---- gradients


def test_gradients_of_the_whole_product():
    lengths, bias = [3, 1, 7, 7], torch.full((50,), -2.0, dtype=torch.float32)
    hidden, weight = torch.randn(18, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    upstream = torch.randn(4, 50)

    def gradients(highest):
        (torch.log1p(torch.relu(highest + bias)) * upstream).sum().backward()
        found = hidden.grad, weight.grad
        hidden.grad = weight.grad = None
        return found

    whole = torch.stack([part.amax(0) for part in (hidden @ weight.T).split(lengths)])  # (texts, vocabulary)
    ours = max_over_tokens(hidden, weight, lengths)
    assert torch.allclose(ours, whole, atol=1e-6)
    for a, b in zip(gradients(ours), gradients(whole)):
        assert torch.allclose(a, b, atol=1e-5) and b.abs().max() > 0.1
    assert not max_over_tokens(hidden.detach(), weight.detach(), lengths).requires_grad


def test_forward_is_encode_with_gradients(encoder):
    vectors = encoder(TEXTS)
    assert same(encoder.encode(TEXTS), vectors.detach())
    vectors.sum().backward()
    touched = {name for name, p in encoder.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert {
        "model.bert.embeddings.word_embeddings.weight",
        "model.cls.predictions.bias",
        "model.bert.encoder.layer.0.attention.self.query.weight",
    } <= touched
    encoder.zero_grad()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(encoder, folder):
    on_gpu = SparseEncoder.load(folder, device="cuda", dtype="float32")
    assert np.abs(on_gpu.encode(TEXTS).toarray() - encoder.encode(TEXTS).toarray()).max() < 1e-3
    on_gpu(TEXTS).sum().backward()
