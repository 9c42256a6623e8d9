"""course_lib.pooling against the Pooling module of sentence-transformers, padded left and right."""

import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Pooling

from course_lib.pooling import POOLING_MODES, pool

DIM = 8
LENGTHS = [5, 1, 3, 7, 1]


def batch(side, dtype=torch.float64, lengths=LENGTHS):
    """Random token vectors, padding included, and the mask of these lengths."""
    longest, generator = max(lengths), torch.Generator().manual_seed(0)
    x = torch.randn(len(lengths), longest, DIM, generator=generator, dtype=torch.float64)
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return x.to(dtype), (real if side == "right" else real.flip(1)).long()


def reference(x, mask, mode):
    return Pooling(DIM, mode)({"token_embeddings": x, "attention_mask": mask})["sentence_embedding"]


MODES = [*POOLING_MODES, ("mean", "max"), ("max", "mean"), ["cls", "lasttoken"], POOLING_MODES]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4], [1]], ids=str)
def test_equals_sentence_transformers(mode, side, lengths):
    x, mask = batch(side, lengths=lengths)
    count = 1 if isinstance(mode, str) else len(mode)
    assert pool(x, mask, mode).shape == (len(lengths), DIM * count)
    torch.testing.assert_close(pool(x, mask, mode), reference(x, mask, mode), rtol=0, atol=1e-12)
    x = x.float()
    torch.testing.assert_close(pool(x, mask, mode), reference(x, mask, mode), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_gradients_equal_sentence_transformers(mode, side):
    x, mask = batch(side)
    x.requires_grad_()
    ours = torch.autograd.grad(pool(x, mask, mode).square().sum(), x)[0]
    theirs = torch.autograd.grad(reference(x, mask, mode).square().sum(), x)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert torch.all(ours[mask == 0] == 0)


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_sentence_transformers(mode, dtype):
    x, mask = batch("right", dtype)
    ours = pool(x, mask, mode)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, reference(x, mask, mode), rtol=0, atol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean"])
def test_means_of_half_precision_are_rounded_once(mode):
    x, mask = batch("right", torch.bfloat16, lengths=[300, 257])
    assert torch.equal(pool(x, mask, mode), pool(x.float(), mask, mode).bfloat16())


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("cls", [1.0]),
        ("lasttoken", [3.0]),
        ("max", [3.0]),
        ("mean", [2.0]),
        ("mean_sqrt_len_tokens", [4 / 2**0.5]),
        ("weightedmean", [7 / 3]),
    ],
)
@pytest.mark.parametrize("x, mask", [([1.0, 3.0, 9.0], [1, 1, 0]), ([9.0, 1.0, 3.0], [0, 1, 1])])
def test_by_hand(mode, expected, x, mask):
    x, mask = torch.tensor(x).view(1, 3, 1), torch.tensor([mask])
    torch.testing.assert_close(pool(x, mask, mode), torch.tensor([expected]))


def test_mean_is_the_default():
    x, mask = batch("right")
    assert torch.equal(pool(x, mask), pool(x, mask, "mean"))


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_never_read(mode, side):
    x, mask = batch(side)
    poisoned = x.masked_fill(mask[..., None] == 0, torch.nan)
    assert torch.equal(pool(poisoned, mask, mode), pool(x, mask, mode))


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
def test_mask_may_be_bool_integer_or_float(mode, dtype):
    x, mask = batch("left")
    assert torch.equal(pool(x, mask.to(dtype), mode), pool(x, mask, mode))


def test_input_is_not_changed():
    x, mask = batch("left")
    before = x.clone(), mask.clone()
    pool(x, mask, POOLING_MODES)
    assert torch.equal(x, before[0]) and torch.equal(mask, before[1])


def test_rows_with_nothing_to_pool_are_named():
    x, mask = batch("right")
    mask[[1, 3]] = 0
    with pytest.raises(ValueError, match=r"rows \[1, 3\] of 5"):
        pool(x, mask, "cls")
    with pytest.raises(ValueError, match=r"rows \[0, 1\]"):
        pool(torch.ones(2, 0, DIM), torch.ones(2, 0))


def test_batch_of_no_sentences():
    assert pool(torch.ones(0, 3, DIM), torch.ones(0, 3), ("mean", "max")).shape == (0, 2 * DIM)


@pytest.mark.parametrize("mode", ["average", (), ("mean", "average")])
def test_unknown_mode_lists_the_known_ones(mode):
    with pytest.raises(ValueError, match="weightedmean, lasttoken"):
        pool(*batch("right"), mode)


@pytest.mark.parametrize(
    "shape, mask_shape", [((2, 3), (2, 3)), ((2, 3, 4), (2, 4)), ((2, 3, 4), (3,)), ((2, 3, 4), (1, 3))]
)
def test_shapes_that_do_not_fit_are_named(shape, mask_shape):
    with pytest.raises(ValueError, match=r"expected token_embeddings .*got \(2, 3"):
        pool(torch.ones(shape), torch.ones(mask_shape))
