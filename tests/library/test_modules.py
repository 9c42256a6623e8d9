"""Folders: what sentence-transformers saves we load, what we save it loads, and the vectors are equal."""

import json

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from parity import TEXTS, assert_equal, load, saved, theirs, unit
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as st
from small_models import TOKENS, other_folder, tiny_bert_folder

from course_lib.bert import BertModel
from course_lib.encoder import SentenceEncoder
from course_lib.models.static import StaticEmbedding
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.pooling import POOLING_MODES
from course_lib.support.architectures import TransformersModel, positions
from course_lib.support.configs import POOLING_FLAGS
from course_lib.transformer import Transformer


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, minilm_folder):
    """A folder of plain transformers, without modules.json."""
    return tiny_bert_folder(tmp_path_factory.mktemp("tiny") / "bert", minilm_folder)


def assert_both_ways(folder, tmp_path):
    """Ours loads the folder; saved by ours, both load it, and again; the vectors are those of sentence-transformers."""
    expected = theirs(folder).encode(TEXTS)
    ours = load(folder)
    assert_equal(ours.encode(TEXTS), expected)
    ours.save(tmp_path / "saved")
    again, there = load(tmp_path / "saved"), theirs(tmp_path / "saved")
    assert_equal(there.encode(TEXTS), expected)
    assert_equal(again.encode(TEXTS), expected)
    assert again.max_seq_length == ours.max_seq_length
    if isinstance(ours[0], Transformer):
        assert there.max_seq_length == ours.max_seq_length
    assert again.get_embedding_dimension() == expected.shape[1]
    return ours


# ---- pooling


@pytest.mark.parametrize("modes", [*POOLING_MODES, ("cls", "mean"), POOLING_MODES], ids=str)
def test_pooling_modes_saved_by_sentence_transformers(modes, tiny, tmp_path):
    saved([st.Transformer(str(tiny)), st.Pooling(32, modes)], tmp_path / "new")
    ours = assert_both_ways(tmp_path / "new", tmp_path)
    assert ours[1].modes == ((modes,) if isinstance(modes, str) else modes)


@pytest.mark.parametrize("modes", [("max", "cls"), ("mean", "cls", "lasttoken")], ids=str)
def test_pooling_modes_in_another_order(modes, tiny, tmp_path):
    """The new dialect keeps the order; the flags we write have none, so we say no rather than change the vectors."""
    saved([st.Transformer(str(tiny)), st.Pooling(32, modes)], tmp_path / "new")
    assert_equal(load(tmp_path / "new").encode(TEXTS), theirs(tmp_path / "new").encode(TEXTS))
    with pytest.raises(ValueError, match="cannot be saved in flags"):
        load(tmp_path / "new").save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_old_flags_are_what_we_write(tiny, tmp_path):
    SentenceEncoder([Transformer.load(tiny), Pooling(32, ("cls", "max"))]).save(tmp_path / "old")
    config = json.loads((tmp_path / "old/1_Pooling/config.json").read_text())
    assert config == {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": True,
        "pooling_mode_max_tokens": True,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": False,
        "include_prompt": True,
    }
    assert tuple(POOLING_FLAGS) == POOLING_MODES
    kinds = [entry["type"] for entry in json.loads((tmp_path / "old/modules.json").read_text())]
    assert kinds == ["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"]


def test_pooling_flags_that_name_no_mode_mean_the_mean(tiny, tmp_path):
    SentenceEncoder([Transformer.load(tiny), Pooling(32)]).save(tmp_path / "m")
    (tmp_path / "m/1_Pooling/config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": false}'
    )
    assert_equal(load(tmp_path / "m").encode(TEXTS), theirs(tmp_path / "m").encode(TEXTS))


@pytest.mark.parametrize("mode", ["average", (), ("mean", "average")])
def test_unknown_pooling_modes_are_refused(mode):
    with pytest.raises(ValueError, match="expected one or several of"):
        Pooling(32, mode)


# ---- prompts


@pytest.mark.parametrize("include_prompt", [True, False])
def test_prompts(include_prompt, tiny, tmp_path):
    prompts = {"query": "Represent the question: ", "passage": "Passage: ", "document": "Text: "}
    parts = [st.Transformer(str(tiny)), st.Pooling(32, "mean", include_prompt=include_prompt)]
    saved(parts, tmp_path / "new", prompts=prompts, default_prompt_name="passage")
    load(tmp_path / "new").save(tmp_path / "old")
    for folder in (tmp_path / "new", tmp_path / "old"):
        a, b = load(folder), theirs(folder)
        assert a.prompts == b.prompts == prompts and a.default_prompt_name == b.default_prompt_name == "passage"
        assert_equal(a.encode(TEXTS), b.encode(TEXTS))
        assert_equal(a.encode(TEXTS, prompt_name="query"), b.encode(TEXTS, prompt_name="query"))
        assert_equal(a.encode(TEXTS, prompt="Say: "), b.encode(TEXTS, prompt="Say: "))
        assert_equal(a.encode(TEXTS, prompt=""), b.encode(TEXTS, prompt=""))
        assert_equal(a.encode_query(TEXTS), b.encode_query(TEXTS))
        assert_equal(a.encode_document(TEXTS), b.encode_document(TEXTS))
        assert_equal(a.encode_query(TEXTS, prompt="Say: "), b.encode_query(TEXTS, prompt="Say: "))
    different = [
        a.encode(TEXTS[0]),
        a.encode_query(TEXTS[0]),
        a.encode_document(TEXTS[0]),
        a.encode(TEXTS[0], prompt=""),
    ]
    assert all(np.abs(x - y).max() > 1e-3 for i, x in enumerate(different) for y in different[:i])
    with torch.no_grad():
        assert_equal(a(TEXTS, prompt="Say: ").numpy(), b.encode(TEXTS, prompt="Say: "))


@pytest.mark.parametrize("prompts, default", [({}, None), ({"passage": "p: "}, "passage"), ({"query": "q: "}, "query")])
def test_a_query_without_a_prompt_of_its_own_gets_none(prompts, default, tiny, tmp_path):
    """Not even the default one: as in sentence-transformers."""
    parts = [st.Transformer(str(tiny)), st.Pooling(32)]
    b = SentenceTransformer(modules=parts, prompts=prompts, default_prompt_name=default, device="cpu")
    a = SentenceEncoder([Transformer.load(tiny), Pooling(32)], prompts, default, dtype="float32").eval()
    for name in ("encode", "encode_query", "encode_document"):
        assert_equal(getattr(a, name)(TEXTS), getattr(b, name)(TEXTS))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_leaving_the_prompt_out_in_every_mode(mode, tiny):
    a = SentenceEncoder([Transformer.load(tiny), Pooling(32, mode, include_prompt=False)], dtype="float32").eval()
    b = SentenceTransformer(
        modules=[st.Transformer(str(tiny)), st.Pooling(32, mode, include_prompt=False)], device="cpu"
    )
    assert_equal(a.encode(TEXTS), b.encode(TEXTS))
    if mode == "weightedmean":
        with pytest.raises(ValueError, match="weightedmean cannot leave a prompt out"):
            a.encode(TEXTS, prompt="Say it: ")
    else:
        assert_equal(a.encode(TEXTS, prompt="Say it: "), b.encode(TEXTS, prompt="Say it: "))


def test_unknown_prompt_lists_the_known_ones(minilm):
    with pytest.raises(ValueError, match=r"no prompt 'qeury'; this model has \['document', 'query'\]"):
        minilm.encode("a", prompt_name="qeury")


# ---- Dense, Normalize, StaticEmbedding


ACTIVATIONS = [
    torch.nn.Tanh,
    torch.nn.Identity,
    torch.nn.GELU,
    torch.nn.ReLU,
    torch.nn.Sigmoid,
    torch.nn.SiLU,
    torch.nn.LeakyReLU,
    torch.nn.PReLU,
]


@pytest.mark.parametrize("activation, bias", [*zip(ACTIVATIONS, 4 * (True, False)), (torch.nn.Tanh, False)])
def test_dense_and_normalize(activation, bias, tiny, tmp_path):
    parts = [st.Transformer(str(tiny)), st.Pooling(32), st.Dense(32, 9, bias, activation()), st.Normalize()]
    for weight in parts[2].activation_function.parameters():  # PReLU's slope, 0.25 when new
        torch.nn.init.constant_(weight, -0.7)
    saved(parts, tmp_path / "new")
    ours = assert_both_ways(tmp_path / "new", tmp_path)
    assert [type(m) for m in ours] == [Transformer, Pooling, Dense, Normalize] and type(
        ours[2].activation_function
    ) is activation
    np.testing.assert_allclose(np.linalg.norm(ours.encode(TEXTS), axis=1), 1, rtol=1e-6)


def test_dense_without_an_activation_is_linear():
    x = torch.randn(3, 4)
    for activation in (None, torch.nn.Identity()):
        ours, other = Dense(4, 2, activation_function=activation), st.Dense(4, 2, activation_function=activation)
        ours.load_state_dict(other.state_dict())
        assert torch.equal(ours(x), other({"sentence_embedding": x})["sentence_embedding"]) and torch.equal(
            ours(x), ours.linear(x)
        )
    assert type(Dense(4, 2).activation_function) is type(st.Dense(4, 2).activation_function) is torch.nn.Tanh
    with pytest.raises(TypeError, match="expected a module of torch.nn, such as torch.nn.Tanh"):
        Dense(4, 2, activation_function=torch.tanh)


class Ours(torch.nn.Tanh):
    pass


SETTINGS = [
    torch.nn.LeakyReLU(0.5),
    torch.nn.GELU("tanh"),
    torch.nn.PReLU(8),
    torch.nn.Threshold(0.1, 20),
    torch.nn.Sequential(torch.nn.Tanh()),
    Ours(),
]


@pytest.mark.parametrize("activation", SETTINGS, ids=repr)
def test_activations_whose_settings_would_be_lost_are_not_saved(activation, tiny, tmp_path):
    """sentence-transformers saves the class and loads another: LeakyReLU(0.5) comes back as LeakyReLU(0.01)."""
    encoder = SentenceEncoder([Transformer.load(tiny), Pooling(32), Dense(32, 8, activation_function=activation)])
    assert encoder.encode(TEXTS).shape == (len(TEXTS), 8)
    with pytest.raises(ValueError, match="cannot be saved: the format names a class of torch.nn"):
        encoder.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("options", [{"use_residual": True}, {"module_input_name": "token_embeddings"}])
def test_dense_that_we_do_not_compute_is_refused(options, tiny, tmp_path):
    parts = [st.Transformer(str(tiny)), st.Pooling(32), st.Dense(32, 32, **options)]
    saved(parts, tmp_path / "new")
    with pytest.raises(ValueError, match="plain Dense modules"):
        load(tmp_path / "new")


@pytest.mark.parametrize(
    "path",
    [
        "torch.nn.functional.gelu",
        "os.system",
        "torch.nn.modules.activation.Nothing",
        "their.layers.Tanh",
        "torch.nn.modules.activation.Threshold",
    ],
)
def test_activations_that_are_no_module_of_torch_are_refused(path, tiny, tmp_path):
    SentenceEncoder([Transformer.load(tiny), Pooling(32), Dense(32, 4)]).save(tmp_path / "m")
    file = tmp_path / "m/2_Dense/config.json"
    file.write_text(file.read_text().replace("torch.nn.modules.activation.Tanh", path))
    with pytest.raises(ValueError, match="expected a module of torch.nn|cannot be made without settings"):
        load(tmp_path / "m")


def test_a_dense_config_without_bias_and_activation_means_both(tiny, tmp_path):
    SentenceEncoder([Transformer.load(tiny), Pooling(32), Dense(32, 4)]).save(tmp_path / "m")
    file = tmp_path / "m/2_Dense/config.json"
    file.write_text(json.dumps({"in_features": 32, "out_features": 4}))
    dense = load(tmp_path / "m")[2]
    assert isinstance(dense.activation_function, torch.nn.Tanh) and dense.linear.bias is not None


def test_static_embedding(minilm_folder, tmp_path):
    torch.manual_seed(0)
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    part = st.StaticEmbedding(tokenizer, torch.randn(30522, 16))
    saved([part, st.Dense(16, 5)], tmp_path / "new")
    ours = assert_both_ways(tmp_path / "new", tmp_path)
    assert ours.max_seq_length is None
    assert (
        tmp_path / "saved/0_StaticEmbedding/model.safetensors"
    ).exists()  # version 3 takes the root for a Transformer
    empty = SentenceEncoder([ours[0]]).encode("")
    assert empty.shape == (16,) and not empty.any()


def test_static_embedding_keeps_the_limit_in_its_tokenizer(minilm_folder, tmp_path):
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.enable_truncation(5)
    saved([st.StaticEmbedding(tokenizer, embedding_dim=8)], tmp_path / "new")
    texts = ["one two three four five six seven", "one two three four five"]
    expected = theirs(tmp_path / "new").encode(texts)
    ours = load(tmp_path / "new")
    ours.save(tmp_path / "saved")
    for folder in ("new", "saved"):
        assert_equal(load(tmp_path / folder).encode(texts), expected)
        assert_equal(theirs(tmp_path / folder).encode(texts), expected)
    np.testing.assert_array_equal(expected[0], expected[1])
    assert ours.encode(texts, return_truncated=True)[1] == 1


def test_static_embedding_with_shared_rows_and_weights(minilm_folder, tmp_path):
    """As model2vec writes them: rows, a row number a token, a weight a token."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    saved([st.StaticEmbedding(tokenizer, embedding_dim=8)], tmp_path / "m")
    shared = {"embeddings": torch.randn(50, 8), "mapping": torch.randint(50, (30522,)), "weights": torch.rand(30522)}
    save_file(shared, tmp_path / "m/model.safetensors")
    assert_both_ways(tmp_path / "m", tmp_path)
    save_file({"embeddings": torch.randn(50, 8)}, tmp_path / "m/model.safetensors")
    with pytest.raises(ValueError, match="has 50 vectors for 30522 tokens"):
        load(tmp_path / "m")


# ---- plain transformers folders, other architectures


def test_folder_without_modules_gets_mean_pooling(tiny, tmp_path):
    ours = assert_both_ways(tiny, tmp_path)
    assert type(ours[0].model) is BertModel and ours[1].modes == ("mean",) and ours.max_seq_length == 512


def test_folder_of_before_there_was_tokenizer_json(tiny, tmp_path, minilm_folder):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    words = (minilm_folder / "vocab.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "vocab.txt").write_text("".join(words[:TOKENS]), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    assert_equal(load(tmp_path).encode(TEXTS), theirs(tmp_path).encode(TEXTS))


def test_masked_language_model_folder(tiny, tmp_path):
    config = transformers.BertConfig.from_pretrained(tiny)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "mlm")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "mlm" / name).write_bytes((tiny / name).read_bytes())
    assert_both_ways(tmp_path / "mlm", tmp_path)


def test_a_padding_token_that_is_none(tmp_path, minilm_folder):
    """Some models name -1. It is masked: any token serves."""
    folder = other_folder("DistilBert", tmp_path / "plain", minilm_folder)
    expected = load(folder).encode(TEXTS)
    config = json.loads((folder / "config.json").read_text())
    for none in (-1, None):
        (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": none}))
        assert_equal(load(folder).encode(TEXTS), expected)


@pytest.mark.parametrize("kind", ["MPNet", "Roberta", "DistilBert"])
def test_other_architectures(kind, tmp_path, minilm_folder):
    folder = other_folder(kind, tmp_path / "plain", minilm_folder)
    ours = assert_both_ways(folder, tmp_path)
    assert type(ours[0].model) is TransformersModel and ours.max_seq_length == 40
    alone = np.stack([ours.encode(text) for text in TEXTS])
    assert np.abs(unit(alone) - unit(ours.encode(TEXTS, batch_tokens=10_000))).max() <= 1e-6
    assert ours.encode(TEXTS, return_truncated=True)[1] == 1
    ours.train()  # dropout, which `encode` must not apply
    assert_equal(ours.encode(TEXTS), theirs(folder).encode(TEXTS))
    assert ours.training and ours[0].model.training
    ours(TEXTS).sum().backward()
    assert all(
        p.grad is not None for name, p in ours.named_parameters() if "pooler" not in name and "token_type" not in name
    )


@pytest.mark.parametrize("kind, last", [("MPNet", 40), ("Roberta", 40), ("DistilBert", 42)])
def test_other_architectures_are_cut_at_their_last_position(kind, last, tmp_path, minilm_folder):
    """Of 42 rows RoBERTa's family uses 40. Without a tokenizer's limit sentence-transformers takes 42, and fails."""
    folder = other_folder(kind, tmp_path / "plain", minilm_folder, limit=None)
    ours = load(folder)
    assert ours.max_seq_length == last
    b = theirs(folder)
    b.max_seq_length = last
    assert_equal(ours.encode(TEXTS), b.encode(TEXTS))
    with pytest.raises(ValueError, match=f"max_seq_length is {last + 1}; expected 3 to {last}"):
        ours.max_seq_length = last + 1


@pytest.mark.parametrize("said, expected", [(77, 77), (-1, None), (None, None)])  # XLNet says -1: as many as you like
def test_where_positions_are_computed_the_config_says_how_many(said, expected):
    model = torch.nn.Linear(1, 1)
    model.config = transformers.PretrainedConfig(max_position_embeddings=said)
    assert positions(model) == expected


def test_other_architectures_with_missing_weights_are_refused(tmp_path, minilm_folder):
    from safetensors.torch import load_file, save_file

    folder = other_folder("DistilBert", tmp_path / "plain", minilm_folder)
    weights = load_file(folder / "model.safetensors")
    name = "transformer.layer.1.ffn.lin1.weight"
    save_file({n: t for n, t in weights.items() if n != name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks the weights .*layer.1.ffn.lin1.weight"):
        load(folder)
    save_file(weights | {name: torch.zeros(3, 3)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="transformers cannot read"):
        load(folder)


def test_encoder_decoders_are_refused(tmp_path):
    config = transformers.BartConfig(
        vocab_size=50,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
    )
    transformers.BartModel(config).save_pretrained(tmp_path / "bart")
    with pytest.raises(ValueError, match="is an encoder-decoder model; expected an encoder"):
        load(tmp_path / "bart")


# ---- float16, lower case, our own tokenizers


@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_half_precision_on_disk_is_float32_again_when_loaded(kind, tiny, tmp_path, minilm_folder):
    folder = tiny if kind == "Bert" else other_folder(kind, tmp_path / "plain", minilm_folder)
    first = Transformer.load(folder)
    encoder = SentenceEncoder([first, Pooling(first.dims[1]), Dense(first.dims[1], 8)], dtype="float32").eval()
    encoder.save(tmp_path / "whole")
    encoder.save(tmp_path / "half", half=True)
    sizes = [sum(f.stat().st_size for f in (tmp_path / name).rglob("*.safetensors")) for name in ("half", "whole")]
    assert 0.49 < sizes[0] / sizes[1] < 0.6
    ours, other = load(tmp_path / "half"), theirs(tmp_path / "half")
    assert {p.dtype for p in ours.parameters()} == {p.dtype for p in other.parameters()} == {torch.float32}
    assert_equal(ours.encode(TEXTS), other.encode(TEXTS))
    assert np.abs(ours.encode(TEXTS) - encoder.encode(TEXTS)).max() < 0.01
    assert json.loads((tmp_path / "half/config.json").read_text())["dtype"] == "float32"


def test_static_embedding_is_saved_in_float32(minilm_folder, tmp_path):
    """sentence-transformers would compute in float16, and fail at the Dense."""
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    encoder = SentenceEncoder([StaticEmbedding(tokenizer, torch.randn(30522, 8)), Dense(8, 8)])
    encoder.save(tmp_path / "half", half=True)
    assert_equal(theirs(tmp_path / "half").encode(TEXTS), load(tmp_path / "half").encode(TEXTS))


def test_lower_casing(tiny, tmp_path, minilm_folder):
    """do_lower_case of sentence_bert_config.json, before a tokenizer that keeps the case."""
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    texts = ["THE Cat", "the cat", "École"]
    for lower in (True, False):
        bert = Transformer.load(tiny).model
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
        files = {"tokenizer_config.json": json.dumps(config).encode()}
        SentenceEncoder([Transformer(bert, tokenizer, 64, lower, files), Pooling(32)]).save(tmp_path / "m")
        ours, other = load(tmp_path / "m"), theirs(tmp_path / "m")
        assert_equal(ours.encode(texts), other.encode(texts))
        assert np.allclose(*ours.encode(texts[:2]), atol=1e-6) == lower


@pytest.mark.parametrize("cased", [True, False])
def test_encoder_made_from_parts_saves_a_folder_that_others_read(cased, tiny, tmp_path):
    """Without the files a tokenizer of transformers comes with, tokenizer.json alone has to do."""
    tokenizer = tokenizers.Tokenizer.from_file(str(tiny / "tokenizer.json"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=not cased)
    encoder = SentenceEncoder(
        [Transformer(Transformer.load(tiny).model, tokenizer, 32), Pooling(32)], dtype="float32"
    ).eval()
    encoder.save(tmp_path / "m")
    assert_equal(theirs(tmp_path / "m").encode(TEXTS), encoder.encode(TEXTS))
    assert theirs(tmp_path / "m").max_seq_length == load(tmp_path / "m").max_seq_length == 32


# ---- modules that do not fit


def test_dimensions_that_do_not_fit_are_named(tiny, tmp_path):
    with pytest.raises(ValueError, match="Dense takes vectors of 31 numbers, and Pooling before it gives 32"):
        SentenceEncoder([Transformer.load(tiny), Pooling(32), Dense(31, 4)])
    with pytest.raises(ValueError, match="Pooling takes vectors of 16 numbers, and Transformer before it gives 32"):
        SentenceEncoder([Transformer.load(tiny), Pooling(16)])
    SentenceEncoder([Transformer.load(tiny), Pooling(32, ("cls", "mean")), Normalize(), Dense(64, 4)]).save(
        tmp_path / "m"
    )
    config = tmp_path / "m/1_Pooling/config.json"
    config.write_text(config.read_text().replace("32", "48"))
    with pytest.raises(ValueError, match="Pooling takes vectors of 48 numbers, and Transformer before it gives 32"):
        load(tmp_path / "m")
    config.write_text(config.read_text().replace("48", "32").replace('cls_token": true', 'cls_token": false'))
    with pytest.raises(ValueError, match="Dense takes vectors of 64 numbers, and Normalize before it gives 32"):
        load(tmp_path / "m")


def test_unknown_modules_are_refused(tiny, tmp_path):
    SentenceEncoder([Transformer.load(tiny), Pooling(32)]).save(tmp_path / "m")
    file = tmp_path / "m/modules.json"
    file.write_text(file.read_text().replace("models.Pooling", "models.LSTM"))
    with pytest.raises(
        ValueError, match="is a module 'sentence_transformers.models.LSTM'; known are Transformer, Pooling"
    ):
        load(tmp_path / "m")
