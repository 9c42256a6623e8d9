"""course_lib.models.surgery against transformers and sentence-transformers: more tokens, fewer layers, frozen parts."""

import copy

import numpy as np
import pytest
import torch
import transformers
from parity import TEXTS, assert_equal, load, theirs
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as st
from small_models import TOKENS, other_folder, tiny_bert_folder
from tokenizers import AddedToken

from course_lib.encoder import SentenceEncoder
from course_lib.losses import CosineSimilarityLoss
from course_lib.models.static import StaticEmbedding
from course_lib.models.surgery import add_tokens, freeze, keep_layers, layer_list, word_embeddings
from course_lib.modules import Dense, Pooling
from course_lib.training import parameter_groups, train
from course_lib.transformer import Transformer

NEW = ["[DOC]", "[QRY]"]
ODD = [
    "[DOC] A cat sat.",
    "a[DOC]b",
    "[doc] [Doc]",
    "x [QRY][QRY] y",
    "[QRY",
    "[DOC]" * 300,
    "",
    "[CLS] [MASK]",
    "Covid19, COVID19S!",
    "İ[DOC]Σ",
]


@pytest.fixture
def folder(tmp_path, minilm_folder):
    return tiny_bert_folder(tmp_path / "bert", minilm_folder, num_hidden_layers=4)


KINDS = ["Bert", "MPNet", "Roberta", "DistilBert"]


def folder_of(kind, tmp_path, minilm_folder):
    return (
        tiny_bert_folder(tmp_path / kind, minilm_folder)
        if kind == "Bert"
        else other_folder(kind, tmp_path / kind, minilm_folder)
    )


# ---- add_tokens


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_added_tokens_equal_those_of_the_reference_libraries(kind, special, tmp_path, minilm_folder):
    """The same calls there, our rows copied: the same tokens, the same vectors; saved, both libraries load them."""
    folder = folder_of(kind, tmp_path, minilm_folder)
    ours, other = load(folder), theirs(folder)
    tokens = NEW if special else ["covid19", "[DOC]"]
    before = word_embeddings(ours).weight.detach().clone()
    assert (
        add_tokens(ours, tokens, special_tokens=special)
        == other.tokenizer.add_tokens(tokens, special_tokens=special)
        == 2
    )
    table = word_embeddings(ours)
    ids = [ours[0].tokenizer.token_to_id(token) for token in tokens]
    others = [i for i in range(len(before)) if i not in ids]
    assert torch.equal(table.weight[others], before[others]) and table.weight.requires_grad
    assert (
        table.num_embeddings
        == len(table.weight)
        == ours[0].model.config.vocab_size
        == max(len(before), *(i + 1 for i in ids))
    )

    other[0].auto_model.resize_token_embeddings(len(table.weight), mean_resizing=False)
    with torch.no_grad():
        other[0].auto_model.get_input_embeddings().weight.copy_(table.weight)
    for text in ODD:
        cut = other.tokenizer(text, truncation=True, max_length=other.max_seq_length)["input_ids"]
        assert ours.tokens(text) == other.tokenizer.convert_ids_to_tokens(cut), text
    expected = other.encode(ODD)
    assert_equal(ours.encode(ODD), expected)
    for name, one in (("ours", ours), ("other", other)):
        one.save(str(tmp_path / name))
        assert_equal(load(tmp_path / name).encode(ODD), expected)
        assert_equal(theirs(tmp_path / name).encode(ODD), expected)
    assert add_tokens(load(tmp_path / "ours"), tokens, special) == 0


def test_without_new_rows_it_is_an_index_error_in_both(folder):
    ours, other = load(folder), theirs(folder)
    for tokenizer in (ours[0].tokenizer, other.tokenizer):
        tokenizer.add_tokens(NEW)
    for one in (ours, other):
        with pytest.raises(IndexError):
            one.encode("[DOC] A cat.")


def test_special_tokens_stay_whole(folder):
    encoder = load(folder)
    assert "[DOC]" not in encoder.tokens("[DOC] a cat")
    add_tokens(encoder, NEW, special_tokens=True)
    assert encoder.tokens("[DOC] a cat[QRY]s [doc]") == [
        "[CLS]",
        "[DOC]",
        "a",
        "cat",
        "[QRY]",
        "s",
        "[",
        "doc",
        "]",
        "[SEP]",
    ]
    assert encoder.tokens("a b c d [DOC]")[-2] == "[DOC]"


def test_special_tokens_stay_whole_where_texts_are_lower_cased_first(folder, tmp_path):
    encoder = load(folder)
    encoder[0].do_lower_case = True
    add_tokens(encoder, NEW, special_tokens=True)
    assert encoder.tokens("A CAT[DOC]S") == ["[CLS]", "a", "cat", "[DOC]", "s", "[SEP]"]
    encoder.save(tmp_path / "lower")
    assert_equal(load(tmp_path / "lower").encode(ODD), theirs(tmp_path / "lower").encode(ODD))


def test_existing_tokens_add_nothing(folder):
    encoder = load(folder)
    weight, before = word_embeddings(encoder).weight, encoder.encode(TEXTS)
    rows, pointer, random_state = len(weight), weight.data_ptr(), torch.get_rng_state()
    assert (
        add_tokens(encoder, ["table", "[CLS]", "##s"])
        == add_tokens(encoder, ["[MASK]"], special_tokens=True)
        == add_tokens(encoder, [])
        == 0
    )
    assert len(weight) == rows and weight.data_ptr() == pointer and torch.equal(torch.get_rng_state(), random_state)
    assert encoder.tokens("stable [CLS]") == [
        "[CLS]",
        "stable",
        "[CLS]",
        "[SEP]",
    ]  # transformers: 's', 'table', '[', 'cl', '##s', ']'
    assert_equal(encoder.encode(TEXTS), before)
    assert add_tokens(encoder, ["[DOC]", "table", "[DOC]"], special_tokens=True) == 1 and len(weight) == rows + 1
    assert (
        add_tokens(encoder, ["[DOC]"], special_tokens=True) == add_tokens(encoder, ["[DOC]"]) == 0
        and len(weight) == rows + 1
    )


def test_a_special_token_of_the_vocabulary_keeps_its_row_and_is_whole_from_then_on(folder):
    """BERT's vocabulary has unused tokens, which its tokenizer nevertheless cuts up."""
    encoder = load(folder)
    rows = len(word_embeddings(encoder).weight)
    assert "[unused7]" not in encoder.tokens("a [unused7] b")
    assert add_tokens(encoder, ["[unused7]"], special_tokens=True) == 0 and len(word_embeddings(encoder).weight) == rows
    assert encoder.tokens("a [unused7] b") == ["[CLS]", "a", "[unused7]", "b", "[SEP]"]


def test_spare_rows_are_used_and_never_lost(tmp_path, minilm_folder):
    """A table rounded up by 48 rows: transformers' resize to the tokenizer's length would cut 46 of them."""
    encoder = load(tiny_bert_folder(tmp_path / "spare", minilm_folder, vocab_size=TOKENS + 48))
    table = word_embeddings(encoder)
    before = table.weight.detach().clone()
    assert add_tokens(encoder, NEW, special_tokens=True) == 2
    assert table.weight.shape == before.shape and encoder[0].model.config.vocab_size == TOKENS + 48
    changed = (table.weight != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == [encoder[0].tokenizer.token_to_id(token) for token in NEW] == [TOKENS, TOKENS + 1]


def test_new_rows_are_random_like_the_old_ones():
    encoder = SentenceEncoder.load("course/bert-mini", device="cpu", dtype="float32")
    weight = word_embeddings(encoder).weight
    mean, std = weight.detach().mean(0), weight.detach().std(0)
    torch.manual_seed(3)
    assert add_tokens(encoder, [f"[T{i}]" for i in range(2000)], special_tokens=True) == 2000
    new = weight.detach()[-2000:]
    torch.testing.assert_close(new.mean(0), mean, atol=0.01, rtol=0)  # four standard errors are 0.005
    torch.testing.assert_close(new.std(0), std, atol=0.01, rtol=0)
    assert len(new.unique(dim=0)) == 2000
    again = SentenceEncoder.load("course/bert-mini", device="cpu", dtype="float32")
    torch.manual_seed(3)
    add_tokens(again, [f"[T{i}]" for i in range(2000)], special_tokens=True)
    assert torch.equal(weight, word_embeddings(again).weight)


def test_encode_follows_and_only_texts_with_the_tokens_change(folder):
    encoder = load(folder)
    before = encoder.encode(["[DOC] a cat", "a cat"])
    add_tokens(encoder, NEW, special_tokens=True)
    after = encoder.encode(["[DOC] a cat", "a cat", "[QRY] a cat"])
    assert_equal(after[1:2], before[1:2])
    assert np.abs(after[0] - before[0]).max() > 1e-3 and np.abs(after[0] - after[2]).max() > 1e-3


def test_prompts_of_new_tokens(folder, tmp_path):
    encoder = load(folder)
    encoder.prompts |= {"query": "[QRY] ", "document": "[DOC] "}
    add_tokens(encoder, NEW, special_tokens=True)
    encoder.save(tmp_path / "prompts")
    again, other = load(tmp_path / "prompts"), theirs(tmp_path / "prompts")
    assert_equal(again.encode_query(TEXTS), encoder.encode(["[QRY] " + text for text in TEXTS]))
    assert_equal(again.encode_document(TEXTS), other.encode_document(TEXTS))


def test_new_rows_learn(folder):
    """The parameter stays the same object: an optimiser made before it grew trains the new rows, too."""
    encoder = load(folder)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
    encoder(["[DOC] a cat"]).sum().backward()
    add_tokens(encoder, NEW, special_tokens=True)
    weight = word_embeddings(encoder).weight
    start = weight.detach().clone()
    encoder(["[DOC] a cat"]).square().sum().backward()
    optimizer.step()
    moved = (weight.detach() - start).abs().amax(dim=1)
    assert moved[encoder[0].tokenizer.token_to_id("[DOC]")] > 5e-3
    add_tokens(encoder, ["[LATE]"])
    encoder(["[LATE]"]).square().sum().backward()
    with pytest.raises(RuntimeError):  # never silently left out
        optimizer.step()


@pytest.mark.parametrize(
    "wrong, error",
    [
        ("[DOC]", TypeError),
        (["[DOC]", 3], TypeError),
        ([None], TypeError),
        (["[DOC]", ""], ValueError),
        ([" "], ValueError),
    ],
)
def test_what_is_no_token_is_refused_and_changes_nothing(wrong, error, folder):
    encoder = load(folder)
    vocabulary, rows = encoder[0].tokenizer.to_str(), len(word_embeddings(encoder).weight)
    with pytest.raises(error, match="tokens is .*\\[DOC\\]|at least one character"):
        add_tokens(encoder, wrong)
    assert encoder[0].tokenizer.to_str() == vocabulary and len(word_embeddings(encoder).weight) == rows


def test_added_token_objects_choose_how_they_are_found(folder):
    encoder = load(folder)
    assert (
        add_tokens(encoder, [AddedToken("covid", single_word=True), AddedToken("zzz", special=True, normalized=False)])
        == 2
    )
    assert encoder.tokens("covid postcovid zzzzzz")[1] == "covid" and encoder.tokens("postcovid").count("covid") == 0
    assert add_tokens(encoder, AddedToken("one")) == 0


def test_static_embeddings_grow_too(minilm_folder, tmp_path):
    from tokenizers import Tokenizer

    encoder = SentenceEncoder(
        [StaticEmbedding(Tokenizer.from_file(str(minilm_folder / "tokenizer.json")), torch.randn(30522, 8))]
    )
    assert add_tokens(encoder, NEW, special_tokens=True) == 2 and encoder[0].embedding.weight.shape == (30524, 8)
    np.testing.assert_allclose(encoder.encode("[DOC]"), encoder[0].embedding.weight[30522].detach(), atol=1e-6)
    encoder.save(tmp_path / "static")
    for one in (load(tmp_path / "static"), theirs(tmp_path / "static")):
        assert_equal(one.encode(ODD[:5]), encoder.encode(ODD[:5]))


def test_on_the_real_model(minilm_folder, tmp_path):
    encoder = load(minilm_folder)
    before = encoder.encode(TEXTS)
    assert add_tokens(encoder, NEW, special_tokens=True) == 2
    assert_equal(encoder.encode(TEXTS), before)
    encoder.save(tmp_path / "m")
    assert_equal(theirs(tmp_path / "m").encode(TEXTS + ODD), encoder.encode(TEXTS + ODD))


# ---- keep_layers


@pytest.mark.parametrize("kept", [[0], [3], [0, 3], [1, 2], [0, 1, 2, 3]])
def test_kept_layers_equal_the_reference_libraries(kept, folder, tmp_path):
    """sentence-transformers' recipe for smaller students: a new ModuleList, and the number in the config."""
    ours, other = load(folder), theirs(folder)
    before = ours.encode(TEXTS)
    keep_layers(ours, kept)
    bert = other[0].auto_model
    bert.encoder.layer = torch.nn.ModuleList(layer for i, layer in enumerate(bert.encoder.layer) if i in kept)
    bert.config.num_hidden_layers = len(kept)
    expected = other.encode(TEXTS)
    assert_equal(ours.encode(TEXTS), expected)
    assert ours[0].model.config.num_hidden_layers == len(layer_list(ours[0].model)) == len(kept)
    assert len(kept) == 4 or np.abs(ours.encode(TEXTS) - before).max() > 1e-2
    for name, one in (("ours", ours), ("other", other)):
        one.save(str(tmp_path / name))
        assert_equal(load(tmp_path / name).encode(TEXTS), expected)
        assert_equal(theirs(tmp_path / name).encode(TEXTS), expected)
    assert theirs(tmp_path / "ours")[0].auto_model.config.num_hidden_layers == len(kept)
    ours(TEXTS).sum().backward()
    assert all(p.grad is not None for p in ours.parameters())


@pytest.mark.parametrize("kind", ["MPNet", "Roberta", "DistilBert"])
def test_kept_layers_of_other_architectures(kind, tmp_path, minilm_folder):
    ours = load(folder_of(kind, tmp_path, minilm_folder))
    last = {name: tensor.clone() for name, tensor in layer_list(ours[0].model)[1].state_dict().items()}
    keep_layers(ours, [1])
    ours.save(tmp_path / "one")
    assert_equal(theirs(tmp_path / "one").encode(TEXTS), ours.encode(TEXTS))
    again = load(tmp_path / "one")
    assert_equal(again.encode(TEXTS), ours.encode(TEXTS))
    found = layer_list(again[0].model)
    assert len(found) == 1 and all(torch.equal(last[name], tensor) for name, tensor in found[0].state_dict().items())


def modern_bert(folder, minilm_folder):
    import shutil

    torch.manual_seed(0)
    config = transformers.ModernBertConfig(
        vocab_size=30522,
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=3,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=0.3,
    )
    transformers.ModernBertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(minilm_folder / name, folder)
    return folder


def test_layers_that_are_not_built_alike(tmp_path, minilm_folder):
    """ModernBERT's first layer has one norm less, and layers differ in kind: what cannot be loaded again is refused."""
    ours = load(modern_bert(tmp_path / "modern", minilm_folder))
    before = ours.encode(TEXTS)
    with pytest.raises(
        ValueError, match=r"the layers \[1, 2\] of ModernBertModel do not make a model of 2.*try keeping 0"
    ):
        keep_layers(ours, [1, 2])
    assert_equal(ours.encode(TEXTS), before)
    keep_layers(ours, [0, 1, 3])
    ours.save(tmp_path / "three")
    assert_equal(load(tmp_path / "three").encode(TEXTS), ours.encode(TEXTS))
    assert_equal(theirs(tmp_path / "three").encode(TEXTS), ours.encode(TEXTS))


def test_shared_layers_are_refused(tmp_path, minilm_folder):
    import shutil

    config = transformers.AlbertConfig(
        vocab_size=30522,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
    )
    transformers.AlbertModel(config).save_pretrained(tmp_path / "albert")
    shutil.copy(minilm_folder / "tokenizer.json", tmp_path / "albert")
    with pytest.raises(
        ValueError, match="AlbertModel has no list of 3 layers|TransformersModel has no list of 3 layers"
    ):
        keep_layers(load(tmp_path / "albert"), [0])


@pytest.mark.parametrize("kept", [[], [4], [-1], [3, 0], [0, 0], [1.5]])
def test_layers_that_do_not_exist_are_refused(kept, folder):
    encoder = load(folder)
    with pytest.raises(ValueError, match="expected rising numbers from 0 to 3, at least one"):
        keep_layers(encoder, kept)
    assert len(layer_list(encoder[0].model)) == 4


def test_a_copy_keeps_the_old_model(folder):
    encoder = load(folder)
    before = encoder.encode(TEXTS)
    small = copy.deepcopy(encoder)
    keep_layers(small, [0])
    add_tokens(small, NEW)
    assert_equal(encoder.encode(TEXTS), before)
    assert (
        encoder[0].model.config.num_hidden_layers == 4
        and encoder[0].model.config.vocab_size == len(word_embeddings(encoder).weight) == TOKENS
    )


# ---- freeze


@pytest.mark.parametrize("frozen", [None, 0, 2, 4])
@pytest.mark.parametrize("precision", [False, True])
def test_frozen_parts_stay_bit_for_bit_and_the_rest_learns(frozen, precision, folder):
    torch.manual_seed(0)
    encoder = SentenceEncoder([*load(folder), Dense(32, 8)], dtype="float32")
    freeze(encoder, frozen)
    layers = [f"0.model.encoder.layer.{i}." for i in range(4)][4 if frozen is None else frozen :]
    learning = {name for name, _ in encoder.named_parameters() if name.startswith(("2.", *layers))}
    assert {name for name, p in encoder.named_parameters() if p.requires_grad} == learning
    assert sum(len(group["params"]) for group in parameter_groups(encoder, 0.01)) == len(learning)

    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    loss = CosineSimilarityLoss()
    train(
        encoder,
        lambda rows: loss(*encoder([r[i] for i in (0, 1) for r in rows]).chunk(2), torch.tensor([r[2] for r in rows])),
        [("A cat.", "A dog.", 0.5), ("A man eats.", "He sleeps.", 0.1)] * 4,
        batch_size=4,
        learning_rate=1e-2,
        epochs=2,
        weight_decay=0.1,
        autocast=precision,
        show_progress_bar=False,
    )
    changed = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert learning - changed <= {
        name for name in learning if name.endswith("self.key.bias")
    }  # adds the same to all scores: no gradient
    assert changed <= learning


def test_frozen_embeddings_stay_frozen_when_they_grow(folder):
    encoder = load(folder)
    freeze(encoder, 1)
    add_tokens(encoder, NEW)
    assert not word_embeddings(encoder).weight.requires_grad
    encoder.requires_grad_()
    assert all(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("kind", ["MPNet", "Roberta", "DistilBert"])
def test_freezing_other_architectures(kind, tmp_path, minilm_folder):
    encoder = load(folder_of(kind, tmp_path, minilm_folder))
    freeze(encoder, 1)
    encoder(TEXTS).sum().backward()
    layers = layer_list(encoder[0].model)
    assert {p for p in encoder.parameters() if p.requires_grad} == set(layers[1].parameters())
    assert all(p.grad is not None for p in layers[1].parameters())


@pytest.mark.parametrize("layers", [-1, 5])
def test_freezing_layers_that_do_not_exist(layers, folder):
    encoder = load(folder)
    with pytest.raises(ValueError, match="expected 0 to 4, or None"):
        freeze(encoder, layers)
    assert all(p.requires_grad for p in encoder.parameters())


# ---- together with the modules of sentence-transformers: source document 4's listings


def test_a_network_from_scratch_equals_sentence_transformers(folder, tmp_path):
    torch.manual_seed(0)
    word = st.Transformer(str(folder), max_seq_length=16)
    other = SentenceTransformer(
        modules=[
            word,
            st.Pooling(word.get_embedding_dimension()),
            st.Dense(32, 9, activation_function=torch.nn.Tanh()),
        ],
        device="cpu",
    )
    ours = SentenceEncoder([Transformer.load(folder), Pooling(32), Dense(32, 9)], dtype="float32").eval()
    ours.max_seq_length = 16
    ours[2].load_state_dict(other[2].state_dict())
    assert_equal(ours.encode(TEXTS), other.encode(TEXTS))
    assert (
        ours.get_embedding_dimension() == other.get_embedding_dimension() == 9 and np.abs(ours.encode(TEXTS)).max() <= 1
    )

    add_tokens(ours, NEW, special_tokens=True)
    word.tokenizer.add_tokens(NEW, special_tokens=True)
    word.auto_model.resize_token_embeddings(len(word.tokenizer), mean_resizing=False)
    with torch.no_grad():
        word.auto_model.get_input_embeddings().weight.copy_(word_embeddings(ours).weight)
    assert_equal(ours.encode(ODD), other.encode(ODD))
    ours.save(tmp_path / "ours")
    other.save(str(tmp_path / "other"))
    for name in ("ours", "other"):
        assert_equal(load(tmp_path / name).encode(ODD), theirs(tmp_path / name).encode(ODD))
        assert load(tmp_path / name).max_seq_length == 16
