"""Make `course/sbert-mini`: the student of all-MiniLM-L6-v2 goes on learning, from more and longer texts.

    git archive d050e45 data/models/sbert-mini | tar x -C build/distillation     # the start
    COURSE_DATA=... python recipes/distillation.py vectors [--minilm FOLDER]     # the teacher reads all texts
    COURSE_DATA=... python recipes/distillation.py student

No labels, only texts. Loss: 1 - a text's cosine with its vector by the teacher, and the squared difference of all
cosines in a list of texts from the teacher's. The teacher's 384 dimensions are cut to the student's 256 by PCA and
turned to where the student's vectors are (orthogonal Procrustes, Schoenemann 1966): a rotation changes no cosine, and
the student need not learn one. What lies in a list together decides what the second term teaches: the cosines of
strangers are all about 0, and those of near texts are what similarity is about. So each list holds texts that are near
one another for the teacher. Among the texts are paragraphs beside sentences of theirs, since search compares short
texts with long ones.

The start had learnt the same from 608,702 shorter texts; that commit's recipes say how it was made. Resumable: started
again after an interruption, both go on from what lies in build/distillation.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.data import load_nli, load_sts
from course_lib.datasets.captions import load_captions
from course_lib.datasets.translations import load_translations
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.finetuning.distillation import RelationalLoss
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.files import atomic_file
from course_lib.support.folders import resolve, write_json
from recipes.shared.cards import model_folder, weights_sha256, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter, articles, sentences_of
from recipes.shared.quality import quality
from recipes.shared.results import data_sha256, record, row
from recipes.shared.sentence_pairs import CAPTION_SETS, NLI_SETS
from recipes.shared.training import Numbers, train_in

COMMAND = "python recipes/distillation.py student"
WORK = BUILD / "distillation"
WIKI_GROUPS, WIKI_WORDS = 70_000, 40  # paragraphs of which up to three sentences are read, and their most words
PASSAGE_WORDS = range(60, 140)  # of the one paragraph an article that is read whole
MAX_TOKENS = 192
ALIGNED = 8_000  # texts by which the teacher is turned to the student
CHUNK = 16_384  # texts the teacher encodes between two saves
TRAINING = dict(batch_size=2, learning_rate=4e-4, warmup=0.03)  # a batch is two lists
NEIGHBOURS, CLUSTERS = 64, 4096  # texts a list
START = WORK / "data" / "models" / "sbert-mini"
RELATIONS = 20.0  # weight of the second term


def texts_to_learn(allowed: LeakFilter) -> list[str]:
    """Captions, sentences of NLI sets, of Tatoeba and of Wikipedia, then paragraphs of it; each text once."""
    found: dict[str, None] = {}

    def add(texts):
        found.update((text, None) for text in texts if text not in found and allowed(text))

    for name in CAPTION_SETS:
        for captions in load_captions(name).values():
            add(captions)
    for name in NLI_SETS:
        for example in load_nli(name):
            add((example.premise, example.hypothesis))
    add(pair.english for pair in load_translations("tatoeba"))
    groups, pages = 0, articles(seed=1)
    for article in pages:
        for paragraph in article[:4]:
            group = [s for s in sentences_of(paragraph) if len(s.split()) <= WIKI_WORDS][:3]
            groups += bool(group)
            add(group)
        if groups >= WIKI_GROUPS:
            break
    for article in pages:
        long = [paragraph for paragraph in article[4:] if len(paragraph.split()) in PASSAGE_WORDS][:1]
        add(text for passage in long for text in (sentence_of(passage), passage))
    return list(found)


def sentence_of(paragraph: str) -> str:
    """The sentence in its middle: the first one often names the subject and says nothing else."""
    sentences = sentences_of(paragraph) or [paragraph]
    return sentences[len(sentences) // 2]


def teacher_vectors(texts: list[str], folder: Path, work: Path, max_tokens: int = MAX_TOKENS) -> np.ndarray:
    """The teacher's unit vectors, float16 (texts, dim), kept in `work`: gone on with where an earlier run stopped."""
    work.mkdir(parents=True, exist_ok=True)
    teacher = SentenceEncoder.load(folder)
    teacher.max_seq_length = max_tokens
    path, progress, done = work / "teacher.npy", work / "teacher.json", 0
    if progress.exists():
        done = texts_done(texts, work)
    shape = (len(texts), teacher.get_embedding_dimension())
    vectors = np.lib.format.open_memmap(
        path, "r+" if done else "w+", dtype=None if done else np.float16, shape=None if done else shape
    )
    for first in range(done, len(texts), CHUNK):
        chunk = texts[first : first + CHUNK]
        vectors[first : first + len(chunk)] = teacher.encode(chunk, normalize_embeddings=True, show_progress_bar=False)
        vectors.flush()
        with atomic_file(progress) as unfinished:
            write_json(unfinished, texts_known_by(texts) | {"done": first + len(chunk)})
    return vectors


def kept_vectors(texts: list[str], work: Path) -> np.ndarray:
    """What `teacher_vectors` left in `work`: float16 (texts, dim). FileNotFoundError or ValueError if not of these."""
    if not (work / "teacher.json").exists() or texts_done(texts, work) < len(texts):
        raise FileNotFoundError(f"{work} does not hold the vectors of all texts; run recipes/distillation.py vectors")
    return np.load(work / "teacher.npy", mmap_mode="r")


def texts_known_by(texts: list[str]) -> dict:
    return {"texts": len(texts), "sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()}


def texts_done(texts: list[str], work: Path) -> int:
    """How many of the texts have their vectors in `work`. ValueError where these are the vectors of other texts."""
    before = json.loads((work / "teacher.json").read_text(encoding="utf-8"))
    if {k: before[k] for k in ("texts", "sha256")} != texts_known_by(texts):
        raise ValueError(f"{work / 'teacher.npy'} holds the vectors of other texts; remove {work} to start anew")
    return before["done"]


def principal_axes(vectors: np.ndarray, dim: int) -> np.ndarray:
    """(n, wide) -> (wide, dim): the directions that keep most of the vectors' length.

    They are the eigenvectors of the second moments with the largest eigenvalues.
    """
    parts = (part.astype(np.float64) for part in np.array_split(vectors, max(1, len(vectors) // 10_000)))
    moments = sum(part.T @ part for part in parts)
    return np.linalg.eigh(moments)[1][:, ::-1][:, :dim].astype(np.float32)


def turn_towards(vectors: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n, dim) each -> (dim, dim): the rotation (or reflection) that brings vectors nearest to `wanted`."""
    left, _, right = np.linalg.svd(vectors.astype(np.float64).T @ wanted.astype(np.float64))
    return (left @ right).astype(np.float32)


def neighbours(vectors: Tensor, size: int, clusters: int, seed: int = 0) -> list[list[int]]:
    """Unit vectors (texts, dim) -> lists of `size` indices, each index once, of texts that lie near one another.

    By k-means on the sphere: four rounds on a sample of at most 60,000 texts; then all texts, cluster by cluster, are
    cut into lists.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = vectors[torch.randperm(len(vectors), generator=generator)[:clusters]].clone()  # (clusters, dim)
    sample = vectors[torch.randperm(len(vectors), generator=generator)[:60_000]]

    def nearest(rows: Tensor) -> Tensor:
        return torch.cat([(part.bfloat16() @ centres.T.bfloat16()).argmax(1) for part in rows.split(8192)])  # (rows,)

    for _ in range(4):
        of = nearest(sample)
        sums = torch.zeros_like(centres).index_add_(0, of, sample)
        used = torch.bincount(of, minlength=len(centres))[:, None] > 0  # (clusters, 1)
        centres = torch.where(used, F.normalize(sums, dim=1), centres)
    of = nearest(vectors)
    order = torch.argsort(of * 1_000_000 + torch.randint(0, 1_000_000, (len(of),), generator=generator)).tolist()
    return [order[i : i + size] for i in range(0, len(order), size)]


def distillation_loss(student: Tensor, target: Tensor, teacher: Tensor) -> Tensor:
    """student, target (n, dim), teacher (n, any): 1 - a text's cosine with its target, and how far the student's and
    the teacher's cosines of all pairs are apart."""
    return (1 - pairwise_cos_sim(student.float(), target)).mean() + RELATIONS * RelationalLoss()(student, teacher)


def ingredients() -> list[dict]:
    """Quality before and after, for data/results/12.csv."""
    steps = [
        ("mean of bert-mini", "course/bert-mini", "the start"),
        ("ranking loss on NLI", "course/sbert-mini-ranking", "python recipes/siamese.py ranking"),
        ("and distillation", "course/sbert-mini", COMMAND),
    ]
    rows = []
    for name, model, command in steps:
        start, encoder = time.perf_counter(), SentenceEncoder.load(model, dtype="float32")
        for data, metric, value in quality(encoder):
            sha = data_sha256(data) if data.startswith(("sts", "course")) else ""
            share = value / 100 if metric in ("spearman", "accuracy") else value
            what = "ingredients", name, data, metric, share, command, time.perf_counter() - start
            rows.append(row(*what, data_sha256=sha, model_sha256=weights_sha256(resolve(model))))
            print(f"{name:24} {data:18} {metric:10} {rows[-1]['value']}", flush=True)
            start = time.perf_counter()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("vectors", "student"))
    parser.add_argument("--minilm", type=Path)
    arguments = parser.parse_args()

    allowed = LeakFilter()
    texts = texts_to_learn(allowed)
    print(f"{len(texts)} texts, {allowed.dropped} leaks dropped", flush=True)
    if arguments.part == "vectors":
        teacher_vectors(texts, minilm_folder(arguments.minilm), WORK / "minilm")
        return
    teacher = kept_vectors(texts, WORK / "minilm")
    student = SentenceEncoder.load(START)
    student.max_seq_length = MAX_TOKENS
    axes = principal_axes(teacher, student.get_embedding_dimension())
    some = np.linspace(0, len(texts) - 1, ALIGNED).astype(int)
    before = student.encode([texts[row] for row in some], normalize_embeddings=True, show_progress_bar=False)
    axes = axes @ turn_towards(teacher[some].astype(np.float32) @ axes, before)  # (384, dim)
    parts = np.array_split(teacher, len(teacher) // CHUNK + 1)
    targets = torch.from_numpy(np.concatenate([part.astype(np.float32) @ axes for part in parts]))
    kept = targets.square().sum(1).mean().item()
    targets = F.normalize(targets, dim=1)  # (texts, dim)
    agreed = (targets[some] * torch.from_numpy(before)).sum(1).mean().item()
    print(f"{kept:.4f} of the teacher's squared length kept; cosine of the start with it {agreed:.3f}", flush=True)

    lengths = [len(ids) for ids in student[0].tokenize(texts)[0]]
    lists = neighbours(targets, NEIGHBOURS, CLUSTERS)

    def loss(batch: list[int]) -> Tensor:
        rows = [row for k in batch for row in lists[k]]
        cosines_of = torch.from_numpy(teacher[rows]).float()  # (rows, 384)
        return distillation_loss(student([texts[row] for row in rows]), targets[rows], cosines_of)

    sts = EmbeddingSimilarityEvaluator(load_sts("stsbenchmark/dev"), "stsb_dev")
    history = train_in(
        WORK / "student",
        student,
        loss,
        Numbers(len(lists), [*texts, *lists]),
        **TRAINING,
        length=lambda k: sum(lengths[row] for row in lists[k]),
        checkpoint_every=250,
        evaluators=[lambda model: {"stsb_dev": sts(model)[sts.primary_metric]}],
        evaluate_every=1000,
    )
    student.max_seq_length = 256
    student.save(model_folder("sbert-mini"), half=True)
    facts = {
        "texts": len(texts),
        "leaks_dropped": allowed.dropped,
        "kept_by_pca": kept,
        "relations": RELATIONS,
        "texts_a_list": NEIGHBOURS,
        "cosine_at_the_start": agreed,
        **TRAINING,
        "tokens": sum(lengths[row] for rows in lists for row in rows),
        "loss": history[-1]["loss"],
        "seconds": history[-1]["seconds"],
        "stsb_dev": history[-1]["stsb_dev"],
    }
    write_facts("sbert-mini", facts)
    record("12.csv", "ingredients", ingredients())


if __name__ == "__main__":
    main()
