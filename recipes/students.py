"""Smaller models and smaller vectors from a model that is there. Writes to data/results/12.csv and 12_scores.csv.

    COURSE_DATA=... python recipes/students.py layers        # all-MiniLM-L6-v2 with 3, 2 and 1 of its 6 layers
    COURSE_DATA=... python recipes/students.py dimensions    # a training that expects truncation, and one that does not
    python recipes/students.py bundled                       # what notebook 12 trains, with other seeds

layers: the evenly spaced layers that are kept run as they are, and after a short distillation: the mean squared
difference of the student's vectors from the whole model's, on 8,000 caption, NLI, Tatoeba and Wikipedia sentences
without a label. The word embeddings stay as they are. Speed is measured as in recipes/speed_and_quality.py: processor
time on one thread, all models in turns. 12_scores.csv has what two models are compared by in pairs: of the whole model
and of each student the cosine of each graded pair and the nDCG@10 of each question to the help pages.

bundled: what notebook 12 trains, by both losses (the teacher's vectors, and its similarities), at four learning rates.

dimensions: bert-mini after the ranking loss on the pairs of recipes/negatives.py, with and without MatryoshkaLoss
around it, and its vectors cut to their first numbers.

Resumable: models lie in build/students. The teacher's vectors are those that recipes/distillation.py makes first.
"""

import argparse
import random
import statistics
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

from course_lib.data import load_nli, load_pairs, load_sts
from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.finetuning.distillation import MSELoss, RelationalLoss
from course_lib.finetuning.matryoshka import MatryoshkaLoss
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.surgery import freeze, keep_layers
from course_lib.siamese import siamese_objective
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.fingerprint import fingerprint
from course_lib.training import train
from recipes import distillation, negatives
from recipes.live_negatives import measures
from recipes.shared import two_tests
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.made import made
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, record, row, write_rows
from recipes.shared.training import Numbers
from recipes.speed_and_quality import processor_seconds, sts_texts

WORK, FILE, COMMAND = BUILD / "students", "12.csv", "python recipes/students.py"
SCORES = "12_scores.csv"
DEPTHS, TEXTS, ROUNDS = (3, 2, 1), 8_000, 5
DISTILLATION = dict(batch_size=64, learning_rate=5e-4, epochs=1)
BUNDLED, RATES = dict(batch_size=32, epochs=1), (3e-4, 1e-3, 3e-3, 1e-2)
DIMS = (256, 128, 64, 32, 16, 8)
STS = ("stsbenchmark/dev", "course/sts")


def correlation(u: np.ndarray, v: np.ndarray, data: str) -> float:
    """u, v: (pairs, dim), the vectors of both sides of an STS set."""
    return spearman(pairwise_cos_sim(u, v).numpy(), [p.score for p in load_sts(data)])


def both_sides(encoder: SentenceEncoder, data: str) -> tuple[np.ndarray, np.ndarray]:
    pairs, sides = load_sts(data), ("sentence1", "sentence2")
    return tuple(encoder.encode([getattr(p, side) for p in pairs], show_progress_bar=False) for side in sides)


# ---- fewer layers


def spaced(count: int, of: int) -> list[int]:
    """`count` of the layers 0..of - 1, evenly spaced; the first is always among them."""
    return np.linspace(0, of - 1, count).round().astype(int).tolist()


def distillation_data(work: Path) -> tuple[list[str], torch.Tensor]:
    """TEXTS sentences and the teacher's vectors (texts, 384)."""
    texts = distillation.texts_to_learn(LeakFilter())
    wide = distillation.kept_vectors(texts, distillation.WORK / "minilm")
    chosen = sorted(random.Random(0).sample(range(len(texts)), TEXTS))
    return [texts[k] for k in chosen], torch.from_numpy(wide[chosen].astype(np.float32))


def distilled(depth: int, data: tuple[list[str], torch.Tensor], work: Path) -> SentenceEncoder:
    folder = work / f"minilm-{depth}"
    if not folder.exists():
        texts, targets = data
        student = SentenceEncoder.load(minilm_folder())
        keep_layers(student, spaced(depth, 6))
        freeze(student, 0)
        student.max_seq_length, mse = 128, MSELoss()
        train(
            student,
            lambda batch: mse(student([texts[k] for k in batch]), targets[batch]),
            Numbers(len(texts), [*texts, targets]),
            **DISTILLATION,
            checkpoint=work / f"minilm-{depth}.safetensors",
            checkpoint_every=25,
            log=lambda entry: print(depth, entry, flush=True),
            show_progress_bar=False,
        )
        student.save(folder, half=True)
        (work / f"minilm-{depth}.safetensors").unlink()
    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


def scores_of_each(encoder: SentenceEncoder) -> dict[tuple[str, str], str]:
    """{(data, item): the cosine of a graded pair, or the nDCG@10 of a question to the help pages}."""
    cosines, gains = two_tests.each(*two_tests.vectors(encoder)).values()
    found = {("course/sts", str(i)): cosine for i, cosine in enumerate(cosines)}
    found |= {("course/help", question): gain for question, gain in zip(load_retrieval("course/help")[0], gains)}
    return {item: f"{value:.6g}" for item, value in found.items()}


def layers():
    torch.set_num_threads(1)
    whole = SentenceEncoder.load(minilm_folder(), device="cpu", dtype="float32")
    data = distillation_data(WORK) if any(not (WORK / f"minilm-{n}").exists() for n in DEPTHS) else None
    students: dict[int, dict[str, SentenceEncoder]] = {6: {"whole": whole}}
    for depth in DEPTHS:
        cut = SentenceEncoder.load(minilm_folder(), device="cpu", dtype="float32")
        keep_layers(cut, spaced(depth, 6))
        students[depth] = {"cut": cut, "distilled": distilled(depth, data, WORK)}
    texts = sts_texts()
    seconds = processor_seconds({depth: list(kinds.values())[-1] for depth, kinds in students.items()}, texts, ROUNDS)
    sha, rows, search = weights_sha256(minilm_folder()), [], measures()["course/help"][1]
    for depth, kinds in students.items():
        for kind, encoder in kinds.items():
            measured = {("spearman", name): correlation(*both_sides(encoder, name), name) for name in STS}
            measured["ndcg@10", "course/help"] = search(encoder)
            measured["parameters", ""] = sum(p.numel() for p in encoder.parameters())
            if kind != "cut":
                measured["texts_per_second", "course/sts"] = len(texts) / statistics.median(seconds[depth])
                ratios = [a / b for a, b in zip(seconds[6], seconds[depth])]
                measured["relative_speed", "course/sts"] = statistics.median(ratios)
            setting = f"{kind}; layers {' '.join(map(str, spaced(depth, 6)))}"
            for (metric, name), value in measured.items():
                origin = dict(data_sha256=data_sha256(name) if name else "", model_sha256=sha)
                what = "layers", MINILM, name, metric, value, f"{COMMAND} layers", sum(seconds[depth])
                rows.append(row(*what, n=depth, seed=0, setting=setting, **origin))
                print(depth, kind, name, metric, rows[-1]["value"], flush=True)
    record(FILE, "layers", rows)
    each = {f"layers_{depth}": scores_of_each(list(kinds.values())[-1]) for depth, kinds in students.items()}
    items = list(each["layers_6"])
    write_rows(SCORES, [dict(data=d, item=i) | {name: found[d, i] for name, found in each.items()} for d, i in items])


def bundled():
    """course/sbert-mini with its first layer only, taught by the whole of it on the bundled NLI sentences and pairs."""
    torch.set_num_threads(1)
    teacher, todo = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32"), measures()
    texts = [t for e in load_nli() for t in (e.premise, e.hypothesis)] + [t for pair in load_pairs() for t in pair]
    texts, rows, sha = list(dict.fromkeys(texts)), [], weights_sha256(model_folder("sbert-mini"))
    targets = torch.from_numpy(teacher.encode(texts, show_progress_bar=False))
    wanted, _ = both_sides(teacher, "course/sts")
    for name, loss in (("vectors", MSELoss()), ("similarities", RelationalLoss())):
        for rate, seed in product(RATES, negatives.SEEDS):
            start = time.perf_counter()
            student = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")
            keep_layers(student, [0])
            freeze(student, 0)
            train(
                student,
                lambda batch: loss(student([texts[k] for k in batch]), targets[batch]),
                list(range(len(texts))),
                learning_rate=rate,
                seed=seed,
                show_progress_bar=False,
                **BUNDLED,
            )
            u, _ = both_sides(student, "course/sts")
            found = {(data, metric): measure(student) for data, (metric, measure) in todo.items()}
            found["course/sts", "cosine_with_teacher"] = pairwise_cos_sim(u, wanted).mean().item()
            for (data, metric), value in found.items():
                what = "bundled", "course/sbert-mini", data, metric, value, f"{COMMAND} bundled"
                origin = dict(data_sha256=data_sha256(data), model_sha256=sha)
                setting, seconds = f"layers 0; {name}; {rate}", time.perf_counter() - start
                rows.append(row(*what, seconds, n=len(texts), seed=seed, setting=setting, **origin))
                print(name, rate, seed, metric, rows[-1]["value"], flush=True)
    record(FILE, "bundled", rows)


# ---- shorter vectors


def ranking_model(name: str, seed: int, work: Path) -> Path:
    """The folder of bert-mini after the ranking loss on the pairs of negatives.py.

    name: "ranking", or "matryoshka", with MatryoshkaLoss around that loss.
    """
    if name == "ranking":
        return negatives.trained("none", seed)
    folder = work / f"matryoshka-{seed}"
    pairs = [p[1:] for p in negatives.training_pairs()]
    if not made(folder, fingerprint([negatives.SETTINGS, DIMS, *pairs])):
        encoder = SentenceEncoder.load(negatives.START)
        encoder.max_seq_length, loss = 128, MatryoshkaLoss(MultipleNegativesRankingLoss(), DIMS)
        train(
            encoder,
            siamese_objective(encoder, loss),
            pairs,
            **negatives.SETTINGS,
            seed=seed,
            checkpoint=work / f"matryoshka-{seed}.safetensors",
            checkpoint_every=25,
            log=lambda entry: print(name, seed, entry, flush=True),
            show_progress_bar=False,
        )
        encoder.save(folder)
        (work / f"matryoshka-{seed}.safetensors").unlink()
    return folder


def dimensions():
    rows, models = [], [(name, seed) for name in ("ranking", "matryoshka") for seed in negatives.SEEDS]
    for name, seed in models:
        start, folder = time.perf_counter(), ranking_model(name, seed, WORK)
        u, v = both_sides(SentenceEncoder.load(folder, device="cpu", dtype="float32"), STS[0])
        origin = dict(data_sha256=data_sha256(STS[0]), model_sha256=weights_sha256(folder))
        for dim in (u.shape[1], *(d for d in DIMS if d < u.shape[1])):
            value, seconds = correlation(u[:, :dim], v[:, :dim], STS[0]), time.perf_counter() - start
            what = "dimensions", name, STS[0], "spearman", value, f"{COMMAND} dimensions", seconds
            rows.append(row(*what, n=dim, seed=seed, setting="first numbers", **origin))
        found = (f"{r['n']}: {r['value']}" for r in rows if (r["model"], r["seed"]) == (name, seed))
        print(name, seed, *found, flush=True)
        record(FILE, "dimensions", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("layers", "dimensions", "bundled"))
    WORK.mkdir(parents=True, exist_ok=True)
    {"layers": layers, "dimensions": dimensions, "bundled": bundled}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
