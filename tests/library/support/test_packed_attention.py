"""Models of transformers without padding: equal to the same model with padding and a mask."""

import copy
import random

import pytest
import torch
import transformers
from parity import assert_equal, load, theirs
from repository import ROOT
from small_models import mask_of
from torch import nn

from course_lib.data import load_sts
from course_lib.inference import PackedLinear, can_pack, for_inference
from course_lib.support.architectures import TransformersModel, nearly_equal
from course_lib.support.packed_attention import NAME, PACKED

NAMES = "Albert Camembert DistilBert Electra Ernie ModernBert MPNet NomicBert Roberta XLMRoberta XLMRobertaXL".split()
KINDS = {getattr(transformers, name + "Config").model_type: name for name in NAMES}
OTHERS = {"deberta-v2": "DebertaV2", "squeezebert": "SqueezeBert"}  # padded to nearly equal lengths
POSITIONS = 40
MPNET = ROOT / "build" / "bench-models" / "all-mpnet-base-v2"


def random_model(kind: str, seed: int, **changes) -> TransformersModel:
    """A tiny model of random shape in float64, its weights far from their start."""
    drawn = random.Random(seed)
    heads, size = drawn.choice([1, 2, 3]), drawn.choice([4, 8])
    config = dict(
        vocab_size=90,
        hidden_size=heads * size,
        num_hidden_layers=drawn.choice([1, 2, 3]),
        num_attention_heads=heads,
        intermediate_size=drawn.choice([8, 20]),
        max_position_embeddings=POSITIONS + 2,
        pad_token_id=drawn.choice([0, 1]),
    )
    if kind in ("albert", "electra"):
        config |= dict(embedding_size=drawn.choice([4, heads * size]))
    if kind == "squeezebert":
        groups = {f"{name}_groups": 1 for name in ("q", "k", "v", "post_attention", "intermediate", "output")}
        config |= dict(embedding_size=heads * size) | groups
    if kind == "distilbert":
        config |= dict(
            dim=config["hidden_size"],
            n_layers=config["num_hidden_layers"],
            n_heads=heads,
            hidden_dim=config["intermediate_size"],
        )
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
            del config[name]
    if kind == "modernbert":  # local layers that see 5 tokens to either side
        config |= dict(local_attention=10, global_attn_every_n_layers=2)
        config |= dict(cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3)
    if kind == "deberta-v2":
        config |= dict(relative_attention=True, pos_att_type=["c2p", "p2c"])
    torch.manual_seed(seed)
    name = (KINDS | OTHERS)[kind]
    model = getattr(transformers, name + "Model")(getattr(transformers, name + "Config")(**config | changes))
    for p in model.parameters():
        nn.init.normal_(p, std=0.4)
    return TransformersModel(model.double().eval())


def batch(seed: int, longest: int = POSITIONS) -> tuple[torch.Tensor, list[int]]:
    """Packed token ids and lengths: runs of equal length, in any order."""
    drawn = random.Random(seed)
    lengths = [n for _ in range(4) for n in drawn.choice([1, 1, 2, 3]) * [drawn.randint(1, longest)]]
    return torch.tensor([drawn.randint(4, 89) for _ in range(sum(lengths))]), lengths


def reference(model: TransformersModel, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The model of transformers as everyone calls it: padded, with a mask."""
    mask = mask_of(lengths)
    ids = nn.utils.rnn.pad_sequence(ids.split(lengths), batch_first=True, padding_value=model.config.pad_token_id)
    return model.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state[mask]


def test_all_are_compared():
    assert set(KINDS) == PACKED and not PACKED & set(OTHERS)


@pytest.mark.parametrize("kind", KINDS | OTHERS)
def test_equals_the_padded_model_on_random_configurations(kind):
    for seed in range(20):
        model, (ids, lengths) = random_model(kind, seed), batch(seed)
        with torch.no_grad():
            torch.testing.assert_close(model(ids, lengths), reference(model, ids, lengths), rtol=0, atol=1e-9)
        assert model.config.model_type == kind


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_the_padded_model(kind):
    model, (ids, lengths) = random_model(kind, 3, pad_token_id=1), batch(3)
    weights = torch.randn(len(ids), model.config.hidden_size, dtype=torch.float64)
    found, expected = {}, {}
    for gradients, hidden in ((found, model(ids, lengths)), (expected, reference(model, ids, lengths))):
        model.zero_grad()
        (hidden * weights).sum().backward()
        gradients |= {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys() and len(found) > 10
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-8, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_maps_are_prepared_and_give_the_same(kind):
    model, (ids, lengths) = random_model(kind, 5, pad_token_id=1).float(), batch(5)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.3)):
        prepared = for_inference(model, dtype)
        kinds = [type(m) for m in prepared.modules()]
        if can_pack(model, dtype):  # bfloat16 only where the processor has AVX-512
            assert kinds.count(PackedLinear) > 3 and nn.Linear not in kinds
        else:
            assert dtype == torch.bfloat16 and PackedLinear not in kinds
        with torch.no_grad():
            hidden = prepared(ids, lengths)
            expected = reference(model, ids, lengths)
        assert hidden.dtype == dtype
        assert (hidden.float() - expected).abs().max() < tolerance * expected.abs().max()
    assert PackedLinear not in [type(m) for m in model.modules()]  # the model itself stays


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_that_of_the_model(kind):
    model, (ids, lengths) = random_model(kind, 5), batch(5)
    drop = [name for name in vars(model.config) if "dropout" in name and name != "classifier_dropout"]
    model = random_model(kind, 5, **dict.fromkeys(drop, 0.0)).train()
    torch.testing.assert_close(model(ids, lengths), reference(model, ids, lengths), rtol=0, atol=1e-9)
    attention = [name for name in drop if name.startswith("att")]
    model = random_model(kind, 5, **dict.fromkeys(drop, 0.0) | {attention[0]: 0.5}).train()
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(model(ids, lengths))
    assert torch.equal(outputs[0], outputs[1]) and not torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
def test_the_model_of_transformers_stays_what_it_was(kind):
    model, (ids, lengths) = random_model(kind, 0), batch(0)
    before = copy.deepcopy(model.config.to_dict()), model.config._attn_implementation
    model(ids, lengths)
    assert (model.config.to_dict(), model.config._attn_implementation) == before and before[1] != NAME
    with pytest.raises(IndexError):
        model(torch.full((3,), 1000), [3])
    assert model.config._attn_implementation == before[1]


@pytest.mark.parametrize("kind", KINDS)
def test_too_long_a_sentence_is_an_error(kind):
    model = random_model(kind, 0, pad_token_id=1)
    limit = model.positions
    assert limit == POSITIONS + (0 if kind in ("camembert", "mpnet") or "roberta" in kind else 2)
    ids = torch.full((limit + 1,), 7)
    assert model(ids[:-1], [limit]).isfinite().all()
    with pytest.raises(ValueError, match=f"a sentence has {limit + 1} tokens, the model has {limit} positions"):
        model(ids, [limit + 1])


@pytest.mark.skipif(not MPNET.is_dir(), reason="the real all-mpnet-base-v2 is not here: make bench-models")
def test_equals_sentence_transformers_on_the_real_mpnet():
    texts = [pair.sentence1 for pair in load_sts("course/sts")[:10]] + ["A long one. " * 130]
    ours, other = load(MPNET), theirs(MPNET)
    assert_equal(ours.encode(texts), other.encode(texts))
    ours.dtype = "bfloat16"
    assert (ours.encode(texts) * other.encode(texts)).sum(axis=1).min() > 0.9995


def test_nearly_equal():
    assert nearly_equal([20, 19, 19, 18, 3, 3, 4]) == [[20, 19, 19], [18], [3, 3], [4]]
    assert nearly_equal([7]) == [[7]] and nearly_equal([1, 2, 1]) == [[1], [2], [1]]
    assert nearly_equal([100, 91, 90]) == [[100, 91], [90]] and nearly_equal([90, 91, 99]) == [[90, 91, 99]]
