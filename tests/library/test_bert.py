"""course_lib.bert and course_lib.inference against transformers' BERT."""

import copy
from collections import Counter

import pytest
import torch
import transformers
from parity import assert_close
from small_models import mask_of, padded, random_batch, random_config
from tokenizers import Tokenizer
from torch import nn

from course_lib.bert import BertConfig, BertModel, runs
from course_lib.inference import FusedSelfAttention, PackedLinear, for_inference
from course_lib.models.masked_lm import BertForMaskedLM, mask_tokens
from course_lib.support.architectures import load_bert
from course_lib.support.folders import read_json, read_weights


def ours_and_theirs(config: dict, dtype=torch.float64, mlm: bool = False):
    """The same random weights in both models."""
    kind = transformers.BertForMaskedLM if mlm else transformers.BertModel
    torch.manual_seed(0)
    theirs = kind(transformers.BertConfig(**config)).to(dtype)
    for p in theirs.parameters():  # biases and norms too
        nn.init.normal_(p, std=0.3)
    ours = (BertForMaskedLM if mlm else BertModel)(BertConfig.from_dict(theirs.config.to_dict())).to(dtype)
    own = dict(theirs.named_parameters())
    with torch.no_grad():
        for name, p in ours.named_parameters():
            p.copy_(own[name])
    return ours.eval(), theirs.eval()


def their_hidden(model, ids, lengths, types=None):
    """transformers' last hidden state, the padding taken out."""
    mask = mask_of(lengths)
    types = None if types is None else padded(types, lengths)
    return model(padded(ids, lengths), attention_mask=mask.long(), token_type_ids=types).last_hidden_state[mask]


# ---- equal to transformers


@pytest.mark.parametrize("seed", range(20))
@torch.no_grad()
def test_equals_transformers_on_random_configurations(seed):
    config = random_config(seed)
    ids, types, lengths = random_batch(config, seed)
    for dtype, share in [(torch.float64, 1e-9), (torch.float32, 1e-5)]:
        ours, theirs = ours_and_theirs(config, dtype)
        assert_close(ours(ids, lengths), their_hidden(theirs, ids, lengths), share)
        assert_close(ours(ids, lengths, types), their_hidden(theirs, ids, lengths, types), share)


@torch.no_grad()
def test_token_types_change_the_result():
    config = random_config(0, type_vocab_size=3)
    ours, _ = ours_and_theirs(config)
    ids, _, lengths = random_batch(config)
    zeros, ones = torch.zeros_like(ids), torch.ones_like(ids)
    assert torch.equal(ours(ids, lengths), ours(ids, lengths, zeros))
    assert not torch.allclose(ours(ids, lengths, zeros), ours(ids, lengths, ones))


TEXTS = ["", "A cat sits on a mat.", "naïve café 你好 🙂", "word " * 270, "The laptop is on the table, and it runs."]


@pytest.fixture(scope="module")
def real(minilm_folder, minilm):
    """all-MiniLM-L6-v2 as ours, as transformers', and packed token ids of TEXTS."""
    theirs = transformers.BertModel.from_pretrained(minilm_folder, dtype=torch.float32).eval()
    # a tokenizer of its own, that of the encoder is set to 256 tokens; the file's pads to 128 and cuts there
    tokenizer = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [torch.tensor(tokenizer.encode(text).ids[:512]) for text in TEXTS]
    return minilm[0].model, theirs, torch.cat(ids), [len(i) for i in ids]


@torch.no_grad()
def test_equals_transformers_on_the_real_model(real):
    ours, theirs, ids, lengths = real
    assert min(lengths) == 2 and max(lengths) > 256
    assert_close(ours(ids, lengths), their_hidden(theirs, ids, lengths), 1e-5)
    double, reference = copy.deepcopy(ours).double(), copy.deepcopy(theirs).double()
    ids, lengths = ids[: sum(lengths[:3])], lengths[:3]  # the short ones
    assert_close(double(ids, lengths), their_hidden(reference, ids, lengths), 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_masked_language_model_equals_transformers(seed):
    config = random_config(seed, vocab_size=50)
    ours, theirs = ours_and_theirs(config, mlm=True)
    ids, _, lengths = random_batch(config)
    positions = torch.tensor([0, 7, 4, len(ids) - 1])
    logits = theirs(padded(ids, lengths), attention_mask=mask_of(lengths).long()).logits[mask_of(lengths)]
    assert ours(ids, lengths, positions).shape == (4, 50)
    assert_close(ours(ids, lengths, positions), logits[positions], 1e-9)


def test_output_layer_is_the_word_embedding():
    """Tied: not a matrix of its own, but the gradients of both uses add up in the one."""
    ours, theirs = ours_and_theirs(random_config(1), mlm=True)
    names = {name for name, _ in ours.named_parameters()}
    assert names == {name for name, _ in theirs.named_parameters()}
    assert theirs.cls.predictions.decoder.weight is theirs.bert.embeddings.word_embeddings.weight


@pytest.mark.parametrize("seed", range(4))
def test_gradients_equal_transformers(seed):
    config = random_config(seed)
    ours, theirs = ours_and_theirs(config)
    ids, types, lengths = random_batch(config, seed)
    target = torch.randn(len(ids), config["hidden_size"], dtype=torch.float64)
    ours.train(), theirs.train()
    (ours(ids, lengths, types) * target).sum().backward()
    (their_hidden(theirs, ids, lengths, types) * target).sum().backward()
    reference = dict(theirs.named_parameters())
    assert len(list(ours.parameters())) == len(reference) - 2  # less the pooler
    for name, p in ours.named_parameters():
        expected = reference[name].grad
        assert (p.grad - expected).abs().max() <= 1e-9 * max(1.0, expected.abs().max()), name


def test_masked_language_model_gradients_equal_transformers():
    config = random_config(2, vocab_size=40)
    ours, theirs = ours_and_theirs(config, mlm=True)
    ids, _, lengths = random_batch(config)
    positions, labels = torch.tensor([2, 5, 9]), torch.tensor([7, 30, 1])
    nn.functional.cross_entropy(ours(ids, lengths, positions), labels).backward()
    logits = theirs(padded(ids, lengths), attention_mask=mask_of(lengths).long()).logits[mask_of(lengths)]
    nn.functional.cross_entropy(logits[positions], labels).backward()
    reference = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        assert (p.grad - reference[name].grad).abs().max() <= 1e-9, name


# ---- packing


@torch.no_grad()
def test_a_sentence_does_not_depend_on_its_neighbours(real):
    ours, _, ids, lengths = real
    together = ours(ids, lengths).split(lengths)
    for sentence, vectors in zip(ids.split(lengths), together):
        assert_close(ours(sentence, [len(sentence)]), vectors, 2e-6)
    backwards = ours(torch.cat(ids.split(lengths)[::-1]), lengths[::-1]).split(lengths[::-1])
    for a, b in zip(backwards[::-1], together):
        assert_close(a, b, 2e-6)


def test_runs():
    assert runs([3, 3, 5]) == [(2, 3), (1, 5)]
    assert runs([2, 1, 1, 2]) == [(1, 2), (2, 1), (1, 2)]
    assert runs([]) == []


# ---- dropout


def test_starts_with_normal_weights_zero_biases_and_a_zero_vector_for_padding():
    shape = dict(vocab_size=5000, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    model = BertModel(BertConfig(**shape, initializer_range=0.05))
    words = model.embeddings.word_embeddings.weight
    assert not words[0].any() and words[1:].std().item() == pytest.approx(0.05, rel=0.02)
    assert model.embeddings.position_embeddings.weight.any(dim=1).all()  # there, no row is set apart
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 2 * 6 and not any(m.bias.any() for m in linear)
    assert all(m.weight.std().item() == pytest.approx(0.05, rel=0.1) for m in linear)


def test_dropout_in_training_only():
    config = random_config(0, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.0)
    for changes in [{}, {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.3}]:
        ours, _ = ours_and_theirs(config | changes)
        ids, _, lengths = random_batch(config)
        still = ours(ids, lengths)
        assert torch.equal(ours(ids, lengths), still)
        ours.train()
        assert not torch.allclose(ours(ids, lengths), still)
        torch.manual_seed(1)
        once = ours(ids, lengths)
        torch.manual_seed(1)
        assert torch.equal(ours(ids, lengths), once)


def test_dropout_is_as_strong_as_transformers():
    """In training both give random results; on average they are equal, and equally far apart."""
    config = random_config(0, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2, num_hidden_layers=2)
    ours, theirs = ours_and_theirs(config)
    ours.train(), theirs.train()
    lengths = [9] * 300  # the same sentence 300 times
    ids = torch.randint(config["vocab_size"], (9,)).repeat(300)
    a = ours(ids, lengths).detach().view(300, 9, -1)
    b = their_hidden(theirs, ids, lengths).detach().view(300, 9, -1)
    assert (a.mean(0) - b.mean(0)).abs().mean() <= 0.15 * b.std(0).mean()
    assert 0.97 <= a.std(0).mean() / b.std(0).mean() <= 1.03


# ---- errors


def test_too_long_a_sentence_is_an_error():
    config = random_config(0, max_position_embeddings=9)
    ours, _ = ours_and_theirs(config)
    assert len(ours(torch.zeros(9, dtype=torch.long), [9])) == 9
    with pytest.raises(ValueError, match="10 tokens, the model has 9 positions"):
        ours(torch.zeros(12, dtype=torch.long), [2, 10])


@pytest.mark.parametrize(
    "ids, lengths",
    [
        (torch.zeros(4), [3]),
        (torch.zeros(4), [3, 2]),
        (torch.zeros(4), [4, 0]),
        (torch.zeros(4), [5, -1]),
        (torch.zeros(2, 2), [2, 2]),
        (torch.zeros(0), []),
    ],
)
def test_lengths_that_do_not_fit_are_an_error(ids, lengths):
    ours, _ = ours_and_theirs(random_config(0))
    with pytest.raises(ValueError, match=r"expected ids of shape \(tokens,\) and lengths >= 1 that add up"):
        ours(ids.long(), lengths)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"hidden_act": "mish"}, "hidden_act is 'mish'; this BERT knows"),
        ({"hidden_size": 30, "num_attention_heads": 4}, "hidden_size 30 does not divide into 4 attention heads"),
    ],
)
def test_configurations_that_are_not_this_bert_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        BertConfig.from_dict(random_config(0) | changes)


def test_configuration_survives_the_way_through_its_file():
    config = BertConfig.from_dict(random_config(3) | {"unknown": 1})
    written = config.to_dict("BertForMaskedLM")
    assert BertConfig.from_dict(written) == config
    assert written["dtype"] == "float32" and written["architectures"] == ["BertForMaskedLM"]
    theirs = transformers.BertConfig(**written)
    assert all(getattr(theirs, name) == value for name, value in written.items() if name not in ("dtype", "model_type"))


def test_defaults_are_those_of_transformers():
    theirs = transformers.BertConfig().to_dict()
    assert {name: theirs[name] for name in vars(BertConfig())} == vars(BertConfig())


# ---- masking


@pytest.fixture(scope="module")
def masked():
    """20,000 of 100,000 positions hidden; every tenth position is special and no candidate."""
    torch.manual_seed(0)
    ids = torch.randint(100, 1000, (100_000,))
    ids[::10] = 1
    candidates = (ids != 1).nonzero().flatten()
    return ids, candidates, *mask_tokens(ids, candidates, 20_000, mask_token_id=4, vocab_size=1000)


def test_masking_chooses_the_count_asked_for_among_the_candidates(masked):
    ids, candidates, hidden, positions, labels = masked
    assert len(positions) == len(set(positions.tolist())) == 20_000
    assert torch.isin(positions, candidates).all()
    assert torch.equal(labels, ids[positions])
    elsewhere = torch.ones_like(ids, dtype=torch.bool)
    elsewhere[positions] = False
    assert torch.equal(hidden[elsewhere], ids[elsewhere])  # special positions among them
    assert (positions.double().mean() - 50_000).abs() < 1000  # from the whole text, not from its start


def test_masking_takes_all_candidates_when_asked_for_more():
    ids = torch.arange(10, 20)
    _, positions, labels = mask_tokens(ids, torch.tensor([3, 5]), 99, 4, 1000)
    assert sorted(positions.tolist()) == [3, 5] and sorted(labels.tolist()) == [13, 15]


def test_masking_shares_are_80_10_10(masked):
    ids, _, hidden, positions, labels = masked
    kinds = Counter(
        "mask" if h == 4 else "same" if h == label else "random"
        for h, label in zip(hidden[positions].tolist(), labels.tolist())
    )
    assert abs(kinds["mask"] / 20_000 - 0.8) < 0.01
    assert abs(kinds["same"] / 20_000 - 0.1) < 0.01
    assert abs(kinds["random"] / 20_000 - 0.1) < 0.01
    random = hidden[positions][(hidden[positions] != 4) & (hidden[positions] != labels)]
    assert random.unique().numel() > 700 and random.min() >= 0 and random.max() < 1000  # over the whole vocabulary


def test_masking_does_not_change_its_input_and_follows_the_seed():
    ids = torch.arange(50)
    torch.manual_seed(7)
    first = mask_tokens(ids, ids, 10, 99, 50)
    torch.manual_seed(7)
    again = mask_tokens(ids, ids, 10, 99, 50)
    assert torch.equal(ids, torch.arange(50))
    assert all(torch.equal(a, b) for a, b in zip(first, again))


# ---- reading weights


def test_checkpoints_with_heads_prefixes_and_old_names_are_read(tmp_path):
    config = random_config(0)
    ours, theirs = ours_and_theirs(config, torch.float32, mlm=True)
    weights = {name: t.clone() for name, t in theirs.state_dict().items()}
    old = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for n, t in weights.items()
    }
    for checkpoint in (weights, old):
        model = BertModel(ours.config)
        load_bert(model, checkpoint, tmp_path)
        assert all(torch.equal(t, ours.bert.state_dict()[name]) for name, t in model.state_dict().items())


# ---- prepared for inference


@pytest.mark.parametrize("seed", range(8))
@torch.no_grad()
def test_inference_equals_the_model_on_random_configurations(seed):
    config = random_config(seed)
    ours, _ = ours_and_theirs(config, torch.float32)
    ids, types, lengths = random_batch(config, seed)
    assert_close(for_inference(ours, torch.float32)(ids, lengths, types), ours(ids, lengths, types), 1e-5)


@torch.no_grad()
def test_inference_equals_the_real_model(real):
    ours, _, ids, lengths = real
    reference = ours(ids, lengths)
    assert_close(for_inference(ours, torch.float32)(ids, lengths), reference, 1e-5)
    low = for_inference(ours, torch.bfloat16)(ids, lengths)
    assert low.dtype == torch.bfloat16
    mean = lambda x: torch.stack([s.float().mean(0) for s in x.split(lengths)])
    assert nn.functional.cosine_similarity(mean(low), mean(reference)).min() >= 0.9995


@torch.no_grad()
def test_inference_without_onednn_operators(real, monkeypatch):
    ours, _, ids, lengths = real
    kinds = {type(m) for m in for_inference(ours, torch.float32).modules()}
    assert FusedSelfAttention in kinds
    if hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkldnn.is_available():
        assert PackedLinear in kinds
    monkeypatch.setattr("course_lib.inference.can_pack", lambda model, dtype: False)
    plain = for_inference(ours, torch.float32)
    assert PackedLinear not in {type(m) for m in plain.modules()}
    assert_close(plain(ids, lengths), ours(ids, lengths), 1e-5)


def test_inference_is_a_copy_without_dropout_or_gradients():
    config = random_config(0, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    ours, _ = ours_and_theirs(config, torch.float32)
    ids, _, lengths = random_batch(config)
    expected = ours(ids, lengths).detach()
    prepared = for_inference(ours.train(), torch.float32)
    with torch.no_grad():
        for p in ours.parameters():
            p.zero_()
        assert_close(prepared(ids, lengths), expected, 1e-5)
    assert ours.training and all(p.requires_grad for p in ours.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inference_gives_the_same_twice(dtype):
    config = random_config(0, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    ids, _, lengths = random_batch(config)
    prepared = for_inference(ours_and_theirs(config, torch.float32)[0].train(), dtype)
    with torch.no_grad():
        assert torch.equal(prepared(ids, lengths), prepared(ids, lengths))


def test_real_weights_are_those_of_the_file(minilm_folder, minilm):
    weights, config = read_weights(minilm_folder), read_json(minilm_folder / "config.json")
    own = minilm[0].model.state_dict()
    assert len(own) == 101 and all(torch.equal(t, weights[name]) for name, t in own.items())
    assert minilm[0].model.config.num_attention_heads == config["num_attention_heads"]
