"""SentenceEncoder.encode and its relatives, against sentence-transformers on the real all-MiniLM-L6-v2."""

import copy
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from parity import unit
from sentence_transformers import SentenceTransformer
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.inference import token_batches
from course_lib.models.static import StaticEmbedding
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.support.tokenization import replace_lone_surrogates
from course_lib.support.windows import WINDOW
from course_lib.transformer import Transformer

LONE = ["half \ud83d", "\ude42 half", "\udfff"]  # lone surrogates
ODD = [
    "",
    " ",
    "\n\n\t",
    "word " * 10_000,
    "🙂👩‍👩‍👧🇩🇪",
    "مرحبا بالعالم",
    "שלום עולם",
    "a\nb\r\nc",
    "[CLS] [SEP] [MASK] [PAD]",
    "x" * 5000,
    "\x00\x01 control",
    "\u200bzero\u200dwidth",
    "naïve Ünïcödé",
    "A cat.",
    "A cat.",
    "...",
    "你好世界",
    "1234567890" * 30,
]


@pytest.fixture(scope="module")
def peer(minilm_folder):
    return SentenceTransformer(str(minilm_folder), device="cpu")


@pytest.fixture(scope="module")
def static(minilm):
    """Cheap: a random vector a token, 4 wide, with MiniLM's tokenizer."""
    torch.manual_seed(0)
    tokenizer = copy.deepcopy(minilm[0].tokenizer)
    return SentenceEncoder([StaticEmbedding(tokenizer, torch.randn(30522, 4))], dtype="float32")


@pytest.fixture
def tiny(tmp_path, minilm_folder):
    first = Transformer.load(tiny_bert_folder(tmp_path / "bert", minilm_folder))
    return SentenceEncoder([first, Pooling(32)], dtype="float32").eval()


# ---- equal to sentence-transformers


def test_odd_texts_equal_sentence_transformers(minilm, peer):
    ours, theirs = minilm.encode(ODD), peer.encode(ODD)
    assert ours.dtype == np.float32 and ours.shape == theirs.shape == (len(ODD), 384)
    assert np.abs(unit(ours) - unit(theirs)).max() <= 1e-6
    np.testing.assert_array_equal(ours[13], ours[14])


def test_lone_surrogates_become_replacement_characters(minilm):
    """Their neighbours are not changed by them."""
    for text, clean in [
        ("a\ud83d", "a\ufffd"),
        ("\udfffb c", "\ufffdb c"),
        ("\ud83d\ud83d\ude42x", "\ufffd🙂x"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
    ]:
        assert replace_lone_surrogates(text) == clean
    expected = minilm.encode(["half \ufffd", "\ufffd half", "\ufffd", "A cat 🙂"])
    np.testing.assert_allclose(minilm.encode([*LONE, "A cat 🙂"]), expected, atol=1e-6)
    np.testing.assert_allclose(minilm.encode("\ud83d\ude42"), minilm.encode("🙂"), atol=1e-6)  # two halves make one


def test_token_embeddings_and_tokens_equal_sentence_transformers(minilm, peer):
    texts = ["A cat sits.", "", "word " * 400]
    for ours, theirs in zip(minilm.token_embeddings(texts), peer.encode(texts, output_value="token_embeddings")):
        assert ours.shape == theirs.shape and (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    assert minilm.tokens("A cat sits.") == ["[CLS]", "a", "cat", "sits", ".", "[SEP]"]


def test_forward_equals_encode_and_has_gradients(minilm):
    texts = ["short", "a much longer sentence about nothing at all", "mid length text", "short"]
    vectors = minilm(texts)
    np.testing.assert_allclose(vectors.detach().numpy(), minilm.encode(texts), atol=1e-6)
    vectors[0].sum().backward()
    assert minilm[0].model.encoder["layer"][0].output.dense.weight.grad.abs().max() > 0
    minilm.zero_grad()


def test_bfloat16_stays_close(minilm, minilm_folder):
    texts = ["A cat sits on the mat.", "Where is the laptop?", "word " * 50, "", "Quantum chromodynamics is hard."]
    low = SentenceEncoder.load(minilm_folder, device="cpu", dtype="bfloat16").encode(texts)
    assert low.dtype == np.float32
    assert np.sum(unit(low) * unit(minilm.encode(texts)), axis=1).min() >= 0.9995
    assert not np.array_equal(low, minilm.encode(texts))


# ---- neighbours and batches


@pytest.mark.parametrize("batch_tokens", [1, 100, 2048, 100_000])
def test_a_vector_does_not_depend_on_its_neighbours(batch_tokens, minilm):
    texts = ["A cat.", "word " * 250, "", "Where is the laptop?", "A dog runs in the park.", "b", "c " * 40]
    alone = np.stack([minilm.encode(text) for text in texts])
    assert np.abs(minilm.encode(texts, batch_tokens=batch_tokens) - alone).max() <= 1e-6
    assert np.abs(minilm.encode(texts[::-1], batch_tokens=batch_tokens)[::-1] - alone).max() <= 1e-6


def test_token_batches():
    lengths = [3, 9, 2, 50, 9, 1]
    batches = list(token_batches(lengths, 20))
    assert sorted(itertools.chain(*batches)) == list(range(6))
    assert [lengths[k] for batch in batches for k in batch] == sorted(lengths, reverse=True)
    assert all(len(batch) == 1 or sum(lengths[k] for k in batch) <= 20 for batch in batches)
    assert len(batches) == 3 and list(token_batches([], 20)) == []


def test_each_distinct_text_is_computed_once(tiny, monkeypatch):
    computed = []
    run = SentenceEncoder._run
    monkeypatch.setattr(
        SentenceEncoder, "_run", lambda self, chain, ids, n: computed.extend(ids) or run(self, chain, ids, n)
    )
    vectors = tiny.encode(["a b", "c d", "a b", "a b", "c d"])
    assert len(computed) == 2
    assert np.array_equal(vectors[[0, 1, 0, 0, 1]], vectors)


# ---- what may come in


def test_strings_and_sequences(static):
    texts = ["one", "two words", "three of them"]
    expected = static.encode(texts)
    assert expected.shape == (3, 4) and static.encode("one").shape == (4,)
    np.testing.assert_array_equal(static.encode("one"), expected[0])
    np.testing.assert_array_equal(static.encode(np.str_("one")), expected[0])
    for sequence in (
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        iter(texts),
        (t for t in texts),
        dict.fromkeys(texts),
    ):
        np.testing.assert_array_equal(static.encode(sequence), expected)


@pytest.mark.parametrize(
    "nothing", [[], (), iter([]), np.array([], dtype=str)], ids=["list", "tuple", "generator", "array"]
)
def test_nothing_gives_an_empty_matrix(nothing, static):
    vectors = static.encode(nothing)
    assert vectors.shape == (0, 4) and vectors.dtype == np.float32


def texts_40k():
    for i in range(40_000):
        yield " ".join(["w"] * (i * 7919 % 9)) + f" {i}"  # lengths go up and down, all distinct


def test_long_generators_keep_their_order(static):
    expected = static.encode(list(texts_40k()))
    assert expected.shape == (40_000, 4) and len(np.unique(expected, axis=0)) > 35_000
    read = []
    vectors = static.encode(read.append(text) or text for text in texts_40k())
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    out = np.full((50_000, 4), 7, dtype=np.float32)
    result, cut = static.encode(texts_40k(), out=out, return_truncated=True)
    assert result.shape == (40_000, 4) and np.shares_memory(result, out) and cut == 0
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert np.all(out[40_000:] == 7)


def test_generators_are_read_one_window_at_a_time(static):
    """A generator longer than memory can be encoded into a memory map: no more than a window is ever read ahead."""
    read, out = [], np.zeros((WINDOW + 10, 4), dtype=np.float32)

    def texts():
        for i in range(WINDOW + 10):
            if i == WINDOW:  # the second window is asked for: the first is done
                assert np.abs(out[:WINDOW]).sum(axis=1).all() and not out[WINDOW:].any()
            read.append(i)
            yield f"text {i}"

    static.encode(texts(), out=out)
    assert len(read) == WINDOW + 10 and np.abs(out).sum(axis=1).all()


# ---- out=


def test_out_takes_arrays_and_memory_maps(static, tmp_path):
    texts = [f"text {i}" for i in range(20)]
    expected = static.encode(texts)
    for out in (
        np.zeros((20, 4), np.float32),
        np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (20, 4)),
    ):
        result = static.encode(texts, out=out)
        assert np.shares_memory(result, out)
        np.testing.assert_array_equal(out, expected)
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected)
    half = np.zeros((30, 4), np.float16)
    assert static.encode(texts, out=half).shape == (20, 4)
    np.testing.assert_array_equal(half[:20], expected.astype(np.float16))
    assert static.encode("text 3", out=half).shape == (4,)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((3, 5), np.float32),
        np.zeros(8, np.float32),
        np.zeros((1, 4), np.float32),
        np.zeros((2, 4, 1), np.float32),
        np.zeros((2, 4), np.int64),
    ],
    ids=lambda x: f"{x.dtype}{x.shape}",
)
def test_out_that_does_not_fit_is_refused(out, static):
    with pytest.raises(ValueError, match=r"expected floats \(2, 4\)"):
        static.encode(["a", "b"], out=out)
    assert not out.any()


@pytest.mark.parametrize("out", [[[0.0] * 4] * 2, torch.zeros(2, 4), np.broadcast_to(np.float32(0), (2, 4))])
def test_out_that_cannot_be_written_to_is_refused(out, static):
    with pytest.raises(TypeError, match="out is a .*; expected an array or a memory map that can be written to"):
        static.encode(["a", "b"], out=out)


@pytest.mark.parametrize("prompts", [["query: "], {"query": 3}, "query: "])
def test_prompts_are_texts_by_name(prompts, static):
    with pytest.raises(TypeError, match="prompts.* is .*; expected"):
        SentenceEncoder([static[0]], prompts=prompts)
    with pytest.raises(TypeError, match=r"prompt is 3 \(int\); expected a string"):
        static.encode("a", prompt=3)


def test_out_too_small_for_a_generator_holds_whole_windows(static):
    out = np.zeros((WINDOW + 5, 4), dtype=np.float32)
    with pytest.raises(
        ValueError, match=f"out has room for {WINDOW + 5} texts, and there are more; {WINDOW} are written"
    ):
        static.encode(texts_40k(), out=out)
    assert np.abs(out[:WINDOW]).sum(axis=1).all() and not out[WINDOW:].any()


# ---- what may not come in


@pytest.mark.parametrize("wrong", [None, 3, 2.5, ["a"], b"a"])
def test_what_is_not_a_string_is_named_with_its_position(wrong, static):
    out = np.zeros((4, 4), dtype=np.float32)
    with pytest.raises(TypeError, match=r"text 2 is .*; expected a string"):
        static.encode(["a", "b", wrong, "c"], out=out)
    assert not out.any()


def test_the_position_counts_through_a_generator(static):
    out = np.zeros((30_000, 4), dtype=np.float32)
    texts = (None if i == 20_001 else "a b" for i in range(30_000))
    with pytest.raises(TypeError, match=r"text 20001 is None \(NoneType\)"):
        static.encode(texts, out=out)
    assert np.abs(out[:WINDOW]).sum(axis=1).all() and not out[WINDOW:].any()  # as the docstring says


@pytest.mark.parametrize("wrong", [None, 5, 1.5])
def test_what_is_not_even_a_sequence(wrong, static):
    with pytest.raises(TypeError, match=f"sentences is {wrong}; expected a string, or a list or generator"):
        static.encode(wrong)


# ---- options


def test_truncated_texts_are_counted(minilm):
    texts = ["word " * 254, "word " * 255, "word " * 300, "word " * 300, "short"]
    vectors, cut = minilm.encode(texts, return_truncated=True)
    assert cut == 3  # 254 words, [CLS] and [SEP] are the 256 that fit; the same text twice counts twice
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert minilm.encode(iter(texts), return_truncated=True)[1] == 3
    assert minilm.encode("short", return_truncated=True)[1] == 0


def test_max_seq_length(minilm_folder, peer):
    ours = SentenceEncoder.load(minilm_folder, device="cpu", dtype="float32")
    assert ours.max_seq_length == peer.max_seq_length == 256
    texts = ["word " * 700, "a b c d e f g h i j k l m n"]
    try:
        for limit in (3, 8, 512):
            ours.max_seq_length = peer.max_seq_length = limit
            assert np.abs(ours.encode(texts) - peer.encode(texts)).max() <= 1e-6
            assert len(ours.token_embeddings(texts)[0]) == limit
    finally:
        peer.max_seq_length = 256
    for wrong in (513, 2, 0, -1):
        with pytest.raises(ValueError, match=f"max_seq_length is {wrong}; expected 3 to 512"):
            ours.max_seq_length = wrong


def test_results_as_tensors_and_normalised(static):
    vectors = static.encode(["a b", "c"], convert_to_tensor=True)
    assert isinstance(vectors, torch.Tensor) and vectors.dtype == torch.float32 and not vectors.is_inference()
    np.testing.assert_array_equal(vectors.numpy(), static.encode(["a b", "c"]))
    assert static.encode("a", convert_to_tensor=True).shape == (4,)
    assert static.encode([], convert_to_tensor=True).shape == (0, 4)
    normal = static.encode(["a b", "c", ""], normalize_embeddings=True)
    np.testing.assert_allclose(normal[:2], unit(static.encode(["a b", "c"])), atol=1e-6)
    assert not normal[2].any()


def test_truncate_dim(minilm_folder, minilm, tmp_path):
    texts = ["A cat.", "Where is the laptop?"]
    whole = minilm.encode(texts)
    short = SentenceEncoder(list(minilm), truncate_dim=64, dtype="float32").eval()
    assert short.get_embedding_dimension() == 64 and minilm.get_embedding_dimension() == 384
    np.testing.assert_allclose(short.encode(texts), whole[:, :64], atol=1e-6)
    normal = short.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, rtol=1e-5)
    peer = SentenceTransformer(str(minilm_folder), truncate_dim=64, device="cpu")
    np.testing.assert_allclose(normal, peer.encode(texts, normalize_embeddings=True), atol=1e-6)


def test_progress_bar(static, capsys):
    for shown, expected in ((True, True), (False, False), (None, False)):
        static.encode(["a"] * 3, show_progress_bar=shown)
        assert ("encode: 100%" in capsys.readouterr().err) == expected


def test_similarity(minilm, peer):
    texts = ["A cat sits on the mat.", "A feline rests on the rug.", "Stocks fell."]
    a, b = minilm.encode(texts), minilm.encode(texts[::-1])
    for name in ("cosine", "dot", "euclidean", "manhattan"):
        ours, theirs = SentenceEncoder(list(minilm), similarity_fn_name=name), copy.copy(peer)
        theirs.similarity_fn_name = name
        assert (ours.similarity(a, b) - theirs.similarity(a, b)).abs().max() <= 1e-6
    assert minilm.similarity(a, b).shape == (3, 3)
    with pytest.raises(ValueError, match="similarity_fn_name is 'cos'; expected one of"):
        SentenceEncoder(list(minilm), similarity_fn_name="cos")


def test_settings_are_saved(static, tmp_path):
    encoder = SentenceEncoder(list(static), {"query": "q: "}, "query", "dot", 2)
    encoder.save(tmp_path / "m")
    again = SentenceEncoder.load(tmp_path / "m")
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"):
        assert getattr(again, name) == getattr(encoder, name)
    other = SentenceTransformer(str(tmp_path / "m"), device="cpu")
    assert (other.prompts, other.default_prompt_name, other.similarity_fn_name) == (encoder.prompts, "query", "dot")


def test_modules_are_seen(minilm):
    assert [type(module) for module in minilm] == [Transformer, Pooling, Normalize] and len(minilm) == 3
    assert minilm[1].modes == ("mean",)
    text = repr(minilm)
    assert (
        "(0): Transformer(max_seq_length=256" in text
        and "BertModel: 6 layers, 384 wide" in text
        and "(2): Normalize()" in text
    )


def test_unknown_dtype_is_refused(static, tiny):
    with pytest.raises(ValueError, match="dtype is 'float16'; expected 'auto', 'float32' or 'bfloat16'"):
        SentenceEncoder(list(tiny), dtype="float16").encode("a")


# ---- the copy prepared for inference


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("fused", [True, False])  # a fused step does not count in a weight's `_version`
def test_encode_follows_a_training_step(tiny, fused, mode):
    texts = ["A cat.", "Where is the laptop?"]
    before = tiny.encode(texts)
    optimizer = torch.optim.AdamW(tiny.parameters(), lr=0.01, fused=fused)
    tiny.train(mode)
    tiny(texts).square().sum().backward()
    optimizer.step()
    tiny.eval()
    after = tiny.encode(texts)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, tiny(texts).detach().numpy(), atol=1e-5)


def test_encode_follows_a_fused_step_that_changes_a_few_rows_only(tiny):
    """As in a training loop: evaluate, train, evaluate."""
    before = tiny.eval().encode("A cat.")
    words = tiny.requires_grad_(False)[0].model.embeddings.word_embeddings.weight.requires_grad_()
    optimizer = torch.optim.AdamW([words], lr=0.1, weight_decay=0.0, fused=True)
    tiny.train()
    tiny(["A cat."]).square().sum().backward()
    optimizer.step()
    after = tiny.eval().encode("A cat.")
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, tiny(["A cat."]).detach()[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("change", ["load_state_dict", "in place", "data", "float64 and back"])
def test_encode_follows_changed_weights(change, tiny):
    texts = ["A cat.", "Where is the laptop?"]
    before = tiny.encode(texts)
    if change == "load_state_dict":
        tiny.load_state_dict({name: t * 1.1 for name, t in tiny.state_dict().items()})
    elif change == "in place":
        with torch.no_grad():
            tiny[0].model.embeddings.word_embeddings.weight.mul_(1.5)
    elif change == "data":
        p = tiny[0].model.encoder["layer"][0].output.dense.weight
        p.data = p.data * 1.5
    else:
        tiny.double()
        tiny.float()
    with torch.no_grad():
        np.testing.assert_allclose(tiny.encode(texts), tiny(texts).numpy(), atol=1e-5)
    assert (np.abs(tiny.encode(texts) - before).max() > 1e-3) == (change != "float64 and back")


def test_encode_prepares_once(tiny):
    tiny.encode("a")
    prepared = tiny._prepared
    tiny.encode(["b", "c"])
    assert tiny._prepared is prepared


def test_encode_has_no_dropout_and_leaves_the_mode_and_random_state(tiny):
    expected = tiny.encode("A cat.")
    tiny.train()
    state = torch.get_rng_state()
    np.testing.assert_array_equal(tiny.encode("A cat."), expected)
    assert tiny.training and torch.equal(torch.get_rng_state(), state)
    assert not np.allclose(tiny(["A cat."]).detach().numpy(), expected)  # training has dropout
    assert all(p.requires_grad for p in tiny.parameters()) and "_prepared" not in "".join(tiny.state_dict())


def test_encoders_can_be_copied_and_pickled_after_encoding(tiny):
    expected = tiny.encode("A cat.")
    for other in (copy.deepcopy(tiny), pickle.loads(pickle.dumps(tiny))):
        np.testing.assert_array_equal(other.encode("A cat."), expected)
        with torch.no_grad():
            next(other.parameters()).mul_(2)
    np.testing.assert_array_equal(tiny.encode("A cat."), expected)


def test_encoding_in_any_order_of_calls_is_the_same(minilm):
    """State left by one call (truncation, the prompt) does not reach the next."""
    texts = ["A cat.", "word " * 300]
    expected = minilm.encode(texts)
    minilm.encode(texts, prompt="query: ")
    minilm.tokens("word " * 300)
    random.Random(0).shuffle(shuffled := list(texts))
    minilm.encode(shuffled)
    np.testing.assert_array_equal(minilm.encode(texts), expected)


def test_tokenizers_that_pad_are_kept_from_it(minilm):
    """The padding trap: a [PAD] among a sentence's own tokens."""
    tokenizer = copy.deepcopy(minilm[0].tokenizer)
    tokenizer.enable_padding(length=64)
    encoder = SentenceEncoder(
        [Transformer(minilm[0].model, tokenizer, 256), Pooling(384), Normalize()], dtype="float32"
    ).eval()
    np.testing.assert_allclose(encoder.encode(["A cat.", "b"]), minilm.encode(["A cat.", "b"]), atol=1e-6)


def test_dense_trains_with_the_encoder(tiny):
    encoder = SentenceEncoder([*tiny, Dense(32, 8)], dtype="float32")
    encoder(["A cat.", "b"]).sum().backward()
    assert encoder[2].linear.weight.grad.abs().max() > 0 and encoder.get_embedding_dimension() == 8


def test_a_slice_is_an_encoder_of_those_modules(minilm):
    assert len(minilm[:1]) == 1 and minilm[:1][0] is minilm[0]
    part = minilm[:2]  # without Normalize; prompts and dtype are the defaults again
    part.dtype = "float32"
    longer = part.encode("She is reading a book")
    assert np.allclose(longer / np.linalg.norm(longer), minilm.encode("She is reading a book"), atol=1e-5)
    assert abs(np.linalg.norm(longer) - 1) > 0.01
