"""course_lib.finetuning.gradient_cache: the gradients of a large batch, in little memory."""

import weakref

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses as reference
from small_models import tiny_bert_folder
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_lib.data import load_triplets
from course_lib.encoder import SentenceEncoder
from course_lib.finetuning.gradient_cache import cached_embeddings
from course_lib.finetuning.matryoshka import MatryoshkaLoss
from course_lib.losses import MultipleNegativesRankingLoss, SoftmaxLoss

TRIPLETS = load_triplets("course/nli")
WIDTH = 32


class Memory(TorchDispatchMode):
    """Bytes of the tensors made while it is on: those alive, and the most that ever were. The same in every run."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.alive = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        for x in tree_leaves(result):
            if isinstance(x, torch.Tensor) and (storage := x.untyped_storage())._cdata not in given | self.alive:
                self.alive.add(storage._cdata)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.freed, storage._cdata, storage.nbytes())
        return result

    def freed(self, which, size):
        self.alive.discard(which)
        self.now -= size


class Float64(nn.Sequential):
    """The Transformer of an encoder and the mean of its tokens, all in float64, where Pooling gives float32."""

    def forward(self, texts):
        ids = self[0].tokenize(texts)[0]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # as the encoder does: equal lengths go together
        lengths = [len(ids[i]) for i in order]
        tokens = self[0](torch.cat([torch.tensor(ids[i]).long() for i in order]), lengths).vectors
        means = torch.stack([part.mean(dim=0) for part in tokens.split(lengths)])
        return means[torch.tensor(order).argsort()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, minilm_folder):
    """A random BERT of 4 layers, small enough to count all its gradients."""
    return tiny_bert_folder(tmp_path_factory.mktemp("bert"), minilm_folder, num_hidden_layers=4, hidden_size=WIDTH)


@pytest.fixture
def encoder(folder):
    return Float64(SentenceEncoder.load(folder, device="cpu", dtype="float32")[0]).double().eval()


def with_dropout(encoder, p):
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = p
        elif isinstance(getattr(module, "dropout", None), float):  # of attention weights
            module.dropout = p
    return encoder.train()


def batch(n, columns=2):
    """The first n of the triplets, column after column."""
    return [triplet[i] for i in range(columns) for triplet in TRIPLETS[:n]]


def gradients(loss, *modules):
    """Of all parameters that get one, after loss.backward()."""
    for module in modules:
        module.zero_grad()
    loss.backward()
    return {name: p.grad for module in modules for name, p in module.named_parameters() if p.grad is not None}


def largest_difference(ours, expected):
    assert ours.keys() == expected.keys() and ours
    return max((ours[name] - expected[name]).abs().max().item() for name in expected)


def in_groups(encoder, texts, size):
    """What is to be saved: all activations of all groups at once."""
    return torch.cat([encoder(texts[i : i + size]) for i in range(0, len(texts), size)])


# ---- the gradients of 512 pairs in a quarter of the memory


def test_512_pairs_have_the_same_gradients_in_a_quarter_of_the_memory(encoder):
    encoder[0].max_seq_length = 6  # of no account here but for the time that it takes
    texts, loss, runs = batch(512), MultipleNegativesRankingLoss(), {}
    for name, embed in (("plain", encoder), ("cached", lambda texts: cached_embeddings(encoder, texts))):
        with Memory() as memory:
            value = loss(*embed(texts).chunk(2))
            runs[name] = value.item(), gradients(value, encoder), memory.most
    (plain, expected, needed), (cached, found, less) = runs["plain"], runs["cached"]
    difference = largest_difference(found, expected)
    print(f"largest difference {difference:.1e}; at most {needed / 1e6:.0f} MB plain, {less / 1e6:.0f} MB cached")
    assert cached == pytest.approx(plain, abs=1e-9) and difference < 1e-9
    assert max(g.abs().max() for g in expected.values()) > 0.01 and len(expected) == 5 + 16 * 4
    assert (
        needed > 6 * 1024 * 4 * 10 * WIDTH * 8 / 2
    )  # the plain run was seen: 4 layers keep over ten vectors of each token
    assert less < needed / 4


def test_memory_is_counted():
    with Memory() as memory:
        a = torch.ones(1000)
        b = (a.view(10, 100) * 2).T.contiguous()  # 4,000 bytes, a view, two new ones of which one is kept
        assert memory.now == 8000 and memory.most == 12000
        del a, b
        assert memory.now == 0 and memory.most == 12000


# ---- the same as others do


def test_equals_the_three_steps_of_the_paper(encoder):
    texts, loss = batch(20, columns=3), MultipleNegativesRankingLoss()
    groups = [texts[i : i + 7] for i in range(0, 60, 7)]
    with torch.no_grad():
        vectors = torch.cat([encoder(group) for group in groups])  # 1. embed, and forget how
    vectors.requires_grad_()
    loss(*vectors.chunk(3)).backward()  # 2. the cache: vectors.grad
    encoder.zero_grad()
    for group, cache in zip(groups, vectors.grad.split(7)):
        encoder(group).backward(cache)  # 3. again, with activations
    expected = {name: p.grad.clone() for name, p in encoder.named_parameters()}
    found = gradients(loss(*cached_embeddings(encoder, texts, 7).chunk(3)), encoder)
    assert largest_difference(found, expected) < 1e-12


def test_equals_sentence_transformers(encoder, folder):
    n, columns = 12, 3
    theirs = SentenceTransformer(str(folder), device="cpu").double().eval()
    features = [theirs.preprocess([triplet[i] for triplet in TRIPLETS[:n]]) for i in range(columns)]
    value = reference.CachedMultipleNegativesRankingLoss(theirs, mini_batch_size=5)(features, None)
    expected = gradients(value, theirs)
    ours = MultipleNegativesRankingLoss()(*cached_embeddings(encoder, batch(n, columns), 5).chunk(columns))
    assert ours.item() == pytest.approx(value.item(), abs=1e-9)
    assert largest_difference(gradients(ours, encoder), expected) < 1e-9


@pytest.mark.parametrize("size", [1, 5, 23, 24, 1000])
def test_the_size_of_a_group_is_of_no_account(encoder, size):
    texts = batch(12)
    vectors = cached_embeddings(encoder, texts, size)
    assert vectors.shape == (24, WIDTH)
    torch.testing.assert_close(vectors, encoder(texts), rtol=0, atol=1e-12)
    weights = torch.randn(24, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = gradients((encoder(texts) * weights).sum(), encoder)
    assert largest_difference(gradients((vectors * weights).sum(), encoder), expected) < 1e-9


def test_a_loss_with_weights_of_its_own_learns_too(encoder):
    torch.manual_seed(0)
    texts, labels, head = batch(12), torch.arange(12) % 3, SoftmaxLoss(WIDTH).double()
    loss = MatryoshkaLoss(head, [WIDTH, 8])
    expected = gradients(loss(*encoder(texts).chunk(2), labels), encoder, loss)
    found = gradients(
        loss(*cached_embeddings(encoder, texts, 5).chunk(2), labels) / 3, encoder, loss
    )  # as in accumulation
    assert "loss.classifier.weight" in found
    assert largest_difference({name: 3 * g for name, g in found.items()}, expected) < 1e-9


# ---- dropout


@pytest.mark.parametrize("autocast", [False, True])
def test_dropout_drops_the_same_when_embedding_again(encoder, autocast):
    with_dropout(encoder, 0.2)
    if autocast:
        encoder.float()
    texts, loss, runs = batch(12), MultipleNegativesRankingLoss(), []
    for seed, embed in ((1, in_groups), (1, cached_embeddings), (2, cached_embeddings)):
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            value = loss(*embed(encoder, texts, 5).chunk(2))
        after = torch.rand(1).item()
        runs.append((value.item(), after, gradients(value, encoder), torch.rand(1).item()))
    (kept, after, expected, then), (cached, after_cached, found, then_cached), (_, _, other, _) = runs
    assert cached == kept and (after_cached, then_cached) == (
        after,
        then,
    )  # and the rest of the training draws the same
    scale = max(g.abs().max().item() for g in expected.values())
    assert largest_difference(found, expected) < (1e-2 if autocast else 1e-12) * scale
    assert largest_difference(other, expected) > 0.1 * scale


def test_an_encoder_that_changes_before_backward_is_an_error(encoder):
    value = cached_embeddings(with_dropout(encoder, 0.2), batch(4)).sum()
    encoder.eval()
    with pytest.raises(torch.utils.checkpoint.CheckpointError):
        value.backward()


# ---- odd input


def test_without_gradients_it_is_just_slower_to_read(encoder):
    texts = batch(4)
    with torch.no_grad():
        assert not cached_embeddings(encoder, texts, 3).requires_grad
    encoder.requires_grad_(False)
    vectors = cached_embeddings(encoder, texts, 3)
    assert not vectors.requires_grad
    torch.testing.assert_close(vectors, encoder(texts), rtol=0, atol=1e-12)


def test_texts_may_change_after_the_call(encoder):
    texts = batch(8)
    expected = gradients(encoder(texts).square().sum(), encoder)
    vectors = cached_embeddings(encoder, texts, 3)
    texts[:] = ["something else"] * 8
    assert largest_difference(gradients(vectors.square().sum(), encoder), expected) < 1e-9


@pytest.mark.parametrize(
    "texts, size, message",
    [
        ([], 32, "list of length 0 and 32"),
        ("one text", 32, "str of length 8"),
        (["a", "b"], 0, "length 2 and 0"),
        (["a"], -1, "and -1"),
    ],
    ids=str,
)
def test_what_cannot_be_cut_into_groups_is_named(encoder, texts, size, message):
    with pytest.raises(ValueError, match=message):
        cached_embeddings(encoder, texts, size)


def test_an_encoder_of_another_kind_is_named():
    class Broken(nn.Linear):
        def forward(self, texts):
            return F.relu(self.weight[:1])

    with pytest.raises(ValueError, match=r"gave \(1, 3\) for 2 texts, expected \(2, dim\)"):
        cached_embeddings(Broken(3, 3), ["a", "b"])
