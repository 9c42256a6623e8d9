"""Which negatives teach most? The ranking loss on the bundled NLI triples with eight kinds: data/results/12.csv.

What each question of the search got after each training stands in 12_questions.csv, for paired differences.

    python recipes/live_negatives.py

An anchor is a premise of course/nli, its positive what the premise entails. Beside the other pairs of the batch it gets
one text more, its negative:

    none                    nothing more
    random positive         the positive of another pair
    random contradiction    what contradicts another premise
    own contradiction       what contradicts this very premise: hard, and by its label not false
    mined                   the nearest of all hypotheses for course/sbert-mini, but not the pair's own positive
    filtered                the nearest among those whose cosine is at most 0.95 of the positive's
    ranks 50 to 100         one of the 50th to the 100th nearest
    ranks 2 and 3           one of these two: about as near as the filtered ones, without a look at the positive

All kinds see the same pairs, batches, steps and learning rate. They start from course/bert-mini, which was never
trained on pairs, and from course/sbert-mini, which is a sentence encoder. Measured: the graded pairs of course/sts, and
the search in course/help, of whose pages the first 64 tokens are read. Resumable: what is in the table is
not measured again, unless the encoder from which it started, or the one that mined its negatives, has changed.
"""

import argparse
import random
import time
from collections.abc import Callable

import numpy as np
import torch

from course_lib.data import LABELS, load_nli, load_sts
from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.finetuning.mining import mine_hard_negatives
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from course_lib.retrieval.metrics import each_query
from course_lib.siamese import siamese_objective
from course_lib.training import train
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.results import data_sha256, read_rows, record, row, write_rows
from recipes.shared.two_tests import TOKENS

FILE, EXPERIMENT, COMMAND = "12.csv", "live negatives", "python recipes/live_negatives.py"
QUESTIONS = "12_questions.csv"
DATA, MINER = "course/nli", "course/sbert-mini"
STARTS, SEEDS = ("course/bert-mini", "course/sbert-mini"), (0, 1, 2)
SETTINGS = dict(batch_size=32, learning_rate=3e-4, epochs=1)
MINED = ("mined", "filtered", "ranks 50 to 100", "ranks 2 and 3")
Example = tuple[str, ...]  # anchor, positive, and perhaps a negative


class Kept:
    """An encoder for texts that it read before: vectors (texts, dim)."""

    def __init__(self, texts: list[str], vectors):
        self.place, self.vectors = {text: i for i, text in enumerate(texts)}, vectors

    def encode(self, texts: list[str], **_):
        return self.vectors[[self.place[text] for text in texts]]


def kinds(miner, data: str = DATA, relative_margin: float = 0.05, seed: int = 0) -> dict[str, list[Example]]:
    """{kind: (anchor, positive) or (anchor, positive, negative) of each pair}, every kind in the order of the file.

    miner: anything with `encode`. A pair for which nothing lies below the margin has no negative.
    """
    examples, generator = load_nli(data), random.Random(seed)
    of = {name: [e.hypothesis for e in examples if e.label == label] for name, label in LABELS.items()}
    pairs = [(e.premise, e.hypothesis) for e in examples if e.label == LABELS["entailment"]]
    own = {e.premise: e.hypothesis for e in examples if e.label == LABELS["contradiction"]}
    corpus, n = list(dict.fromkeys(e.hypothesis for e in examples)), len(pairs)

    def dealt(texts: list[str]) -> list[str]:
        """For each pair the text of another place in the list."""
        return [texts[(i + generator.randrange(1, len(texts))) % len(texts)] for i in range(n)]

    def mined(nearest: int = 1, **options) -> list[Example]:
        """One of the negatives that are found, from the `nearest`-th on."""
        found = mine_hard_negatives(pairs, miner, corpus, output_format="n-tuple", **options)
        last = {texts[:2]: texts[1 + nearest :] for texts in found.examples}
        return [(*pair, generator.choice(last[pair])) if pair in last else pair for pair in pairs]

    negatives = {
        "random positive": dealt(of["entailment"]),
        "random contradiction": dealt(of["contradiction"]),
        "own contradiction": [own.get(premise) for premise, _ in pairs],
    }
    return {
        "none": pairs,
        **{
            kind: [(*pair, text) if text else pair for pair, text in zip(pairs, texts)]
            for kind, texts in negatives.items()
        },
        "mined": mined(num_negatives=1),
        "filtered": mined(num_negatives=1, relative_margin=relative_margin, range_max=n),
        "ranks 50 to 100": mined(50, num_negatives=100),
        "ranks 2 and 3": mined(2, num_negatives=3),
    }


def trained(start: str, examples: list[Example], seed: int = 0, **settings) -> SentenceEncoder:
    """The encoder `start` after one epoch of the ranking loss on these examples."""
    encoder = SentenceEncoder.load(start, device="cpu", dtype="float32")
    objective = siamese_objective(encoder, MultipleNegativesRankingLoss())
    train(encoder, objective, examples, seed=seed, show_progress_bar=False, **(SETTINGS | settings))
    return encoder


def measures() -> dict[str, tuple[str, Callable[[SentenceEncoder], float]]]:
    """{data set: (metric, function from an encoder to its value, 0 to 1)}. The search is in the first TOKENS tokens."""
    sts = EmbeddingSimilarityEvaluator(load_sts("course/sts"))
    each = of_each_question()
    return {
        "course/sts": ("spearman", lambda encoder: sts(encoder)["spearman_cosine"]),
        "course/help": ("ndcg@10", lambda encoder: each(encoder).mean()),
    }


def of_each_question() -> Callable[[SentenceEncoder], np.ndarray]:
    """A function from an encoder to the nDCG@10 of each question, 0 to 1: (150,), in the order of the file."""
    search = InformationRetrievalEvaluator(*load_retrieval("course/help"))

    def ndcg(encoder: SentenceEncoder) -> np.ndarray:
        before, encoder.max_seq_length = encoder.max_seq_length, TOKENS
        rankings = search.rankings(encoder)
        encoder.max_seq_length = before
        return each_query(rankings, search.relevant)

    return ndcg


def still_true(rows: list[dict], shas: dict[str, str]) -> list[dict]:
    """The rows whose start has these weights still, and whose negatives do not come from a miner of before.

    A row names its start's weights, not the miner's: other weights in any row of the miner's tell that it has changed.
    """
    same = [r for r in rows if r["model_sha256"] == shas[r["model"]]]
    changed = any(r["model"] == MINER and r not in same for r in rows)
    return [r for r in same if not (changed and r["setting"] in MINED)]


def column(start: str, kind: str, seed: int | str) -> str:
    """The name that a run has in QUESTIONS."""
    return f"{start}; {kind}; {seed}"


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    examples = kinds(SentenceEncoder.load(MINER, device="cpu", dtype="float32"))
    sts, each = EmbeddingSimilarityEvaluator(load_sts("course/sts")), of_each_question()
    shas = {start: weights_sha256(model_folder(start.removeprefix("course/"))) for start in STARTS}
    scores = {item["question"]: item for item in read_rows(QUESTIONS)}
    scores = scores or {question: {"question": question} for question in load_retrieval("course/help")[0]}
    rows = still_true([r for r in read_rows(FILE) if r["experiment"] == EXPERIMENT], shas)
    kept = [r for r in rows if column(r["model"], r["setting"], r["seed"]) in next(iter(scores.values()))]
    rows, done = kept, {(r["model"], r["setting"], r["seed"]) for r in kept}
    runs = [(start, "untrained", 0) for start in STARTS]
    runs += [(start, kind, seed) for seed in SEEDS for start in STARTS for kind in examples]
    for start, kind, seed in runs:
        if (start, kind, str(seed)) in done:
            continue
        begun = time.perf_counter()
        if kind == "untrained":
            encoder = SentenceEncoder.load(start, device="cpu", dtype="float32")
        else:
            encoder = trained(start, examples[kind], seed)
        gains = each(encoder)  # (150,)
        found = {("course/sts", "spearman"): sts(encoder)["spearman_cosine"], ("course/help", "ndcg@10"): gains.mean()}
        for (data, metric), value in found.items():
            what = EXPERIMENT, start, data, metric, value, COMMAND, time.perf_counter() - begun
            origin = dict(data_sha256=data_sha256(data), model_sha256=shas[start])
            rows.append(row(*what, n=len(examples["none"]), seed=seed, setting=kind, **origin))
            print(start, seed, kind, data, rows[-1]["value"], flush=True)
        for item, gain in zip(scores.values(), gains):
            item[column(start, kind, seed)] = f"{gain:.6g}"
        record(FILE, EXPERIMENT, rows)
        write_rows(QUESTIONS, list(scores.values()))


if __name__ == "__main__":
    main()
