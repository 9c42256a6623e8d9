"""Make `course/sbert-mini`: the student of two teachers, which starts from the ranking model.

    COURSE_DATA=... python recipes/siamese.py captions     # the start, in build/siamese
    make bench-models                                      # all-mpnet-base-v2, in build/bench-models
    COURSE_DATA=... python recipes/distillation.py [--minilm FOLDER] [--mpnet FOLDER] [--vectors minilm | mpnet]

No labels, only texts. Loss: 1 - a text's cosine with its vector by all-MiniLM-L6-v2, rotated by PCA to the student's
256 dimensions, and the squared difference of all cosines in the batch from the teacher's. What lies in a batch together
decides what the second term teaches. First, texts that have something to do with one another by where they come from
(captions of one image, a premise and its hypotheses, sentences in a row), then texts that are near one another for
MiniLM: the cosines of strangers are all about 0, and those of near texts are what similarity is about. In this second
stage a second teacher, all-mpnet-base-v2, which is eight times as slow and knows more, has read the texts, too, and
the cosines to learn are the mean of both. Among the texts are whole paragraphs beside sentences of theirs, since
search compares short texts with long ones.

--vectors makes the vectors of one teacher and stops: two cores can run both at once. The teachers are compared with the
published hashes. Resumable: started again after an interruption, it goes on from what lies in build/distillation.
"""

import argparse
import hashlib
import json
import random
import time
from collections import defaultdict
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
from course_lib.support.hub import verify_weights
from recipes.evaluate import CAPTIONS, MINED
from recipes.shared.cards import model_folder, weights_sha256, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter, articles, sentences_of
from recipes.shared.quality import quality
from recipes.shared.results import data_sha256, record, row
from recipes.shared.sentence_pairs import CAPTION_SETS, NLI_SETS
from recipes.shared.training import Numbers, train_in

COMMAND = "python recipes/distillation.py"
WORK = BUILD / "distillation"
WIKI_GROUPS, WIKI_WORDS = 70_000, 40
PASSAGES, PASSAGE_WORDS = 2, range(60, 200)  # paragraphs an article, from the fifth on, and their words
MAX_TOKENS = 256
MPNET = "sentence-transformers/all-mpnet-base-v2"
CHUNK = 16_384  # texts the teacher encodes between two saves
STAGES = {
    "groups": dict(batch_size=64, learning_rate=5e-4, epochs=2, warmup=0.075),
    "neighbours": dict(batch_size=4, learning_rate=4e-4, epochs=1, warmup=0.03),
}  # of 48 texts each
NEIGHBOURS, CLUSTERS = 48, 4096
RELATIONS = 20.0  # weight of the second term
BOTH = 0.45  # share of the groups that both teachers read


def related_texts(allowed: LeakFilter) -> list[tuple[str, ...]]:
    """Texts that belong together, 1 to 5 a group, each text once in all."""
    seen: set[str] = set()

    def new(texts) -> tuple[str, ...]:
        kept = tuple(t for t in dict.fromkeys(texts) if t not in seen and allowed(t))
        seen.update(kept)
        return kept

    found = []
    for name in CAPTION_SETS:
        found += [new(captions) for captions in load_captions(name).values()]
    hypotheses = defaultdict(list)
    for name in NLI_SETS:
        for example in load_nli(name):
            hypotheses[example.premise].append(example.hypothesis)
    for premise, several in hypotheses.items():
        group = new([premise, *several])
        found += [group[i : i + 5] for i in range(0, len(group), 5)]
    english = new(pair.english for pair in load_translations("tatoeba"))
    found += [english[i : i + 4] for i in range(0, len(english), 4)]
    wiki, pages = 0, articles(seed=1)
    for article in pages:
        for paragraph in article[:4]:
            group = new([s for s in sentences_of(paragraph) if len(s.split()) <= WIKI_WORDS][:3])
            wiki += bool(group)
            found.append(group)
        if wiki >= WIKI_GROUPS:
            break
    for article in pages:
        long = [paragraph for paragraph in article[4:] if len(paragraph.split()) in PASSAGE_WORDS][:PASSAGES]
        found.append(new([text for passage in long for text in (sentence_of(passage), passage)]))
    return [group for group in found if group]


def sentence_of(paragraph: str) -> str:
    """The sentence in its middle: the first one often names the subject and says nothing else."""
    sentences = sentences_of(paragraph) or [paragraph]
    return sentences[len(sentences) // 2]


def teacher_vectors(texts: list[str], folder: Path, work: Path, max_tokens: int = MAX_TOKENS) -> np.ndarray:
    """The teacher's unit vectors, float16 (texts, dim), kept in `work`: gone on with where an earlier run stopped."""
    work.mkdir(parents=True, exist_ok=True)
    teacher = SentenceEncoder.load(folder)
    teacher.max_seq_length = max_tokens
    state = {"texts": len(texts), "sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()}
    path, progress, done = work / "teacher.npy", work / "teacher.json", 0
    if progress.exists():
        before = json.loads(progress.read_text(encoding="utf-8"))
        if {k: before[k] for k in state} != state:
            raise ValueError(f"{path} holds the vectors of other texts; remove {work} to start anew")
        done = before["done"]
    shape = (len(texts), teacher.get_embedding_dimension())
    vectors = np.lib.format.open_memmap(
        path, "r+" if done else "w+", dtype=None if done else np.float16, shape=None if done else shape
    )
    for first in range(done, len(texts), CHUNK):
        chunk = texts[first : first + CHUNK]
        vectors[first : first + len(chunk)] = teacher.encode(chunk, normalize_embeddings=True, show_progress_bar=False)
        vectors.flush()
        with atomic_file(progress) as unfinished:
            write_json(unfinished, state | {"done": first + len(chunk)})
    return vectors


def principal_axes(vectors: np.ndarray, dim: int) -> np.ndarray:
    """(n, wide) -> (wide, dim): the directions that keep most of the vectors' length.

    They are the eigenvectors of the second moments with the largest eigenvalues.
    """
    parts = (part.astype(np.float64) for part in np.array_split(vectors, max(1, len(vectors) // 10_000)))
    moments = sum(part.T @ part for part in parts)
    return np.linalg.eigh(moments)[1][:, ::-1][:, :dim].astype(np.float32)


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
    """Quality after each step of the way from bert-mini to the student, and after one more, for data/results/12.csv."""
    steps = [
        ("mean of bert-mini", resolve("course/bert-mini"), "the start"),
        ("ranking loss on NLI", resolve("course/sbert-mini-ranking"), "python recipes/siamese.py ranking"),
        ("and on caption pairs", CAPTIONS, "python recipes/siamese.py captions"),
        ("distillation, groups", WORK / "groups" / "model", COMMAND),
        ("and neighbours", WORK / "neighbours" / "model", COMMAND),
        ("mined, not shipped", MINED, "python recipes/siamese.py mined"),
    ]
    rows = []
    for name, folder, command in steps:
        if not folder.is_dir():
            print(f"{name}: {folder} is not there, `{command}` makes it", flush=True)
            continue
        start, encoder = time.perf_counter(), SentenceEncoder.load(folder, dtype="float32")
        for data, metric, value in quality(encoder):
            sha = data_sha256(data) if data.startswith(("sts", "course")) else ""
            share = value / 100 if metric in ("spearman", "accuracy") else value
            what = "ingredients", name, data, metric, share, command, time.perf_counter() - start
            rows.append(row(*what, data_sha256=sha, model_sha256=weights_sha256(folder)))
            print(f"{name:24} {data:18} {metric:10} {rows[-1]['value']}", flush=True)
            start = time.perf_counter()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--mpnet", type=Path, default=BUILD / "bench-models" / "all-mpnet-base-v2")
    parser.add_argument("--vectors", choices=("minilm", "mpnet"))
    arguments = parser.parse_args()
    verify_weights(MPNET, arguments.mpnet / "model.safetensors", arguments.mpnet)

    allowed = LeakFilter()
    grouped = related_texts(allowed)
    texts = [t for group in grouped for t in group]
    first = np.cumsum([0, *map(len, grouped)]).tolist()  # where a group's texts begin
    chosen = sorted(random.Random(0).sample(range(len(grouped)), round(BOTH * len(grouped))))
    both = [row for k in chosen for row in range(first[k], first[k + 1])]  # the texts that both teachers read
    print(
        f"{len(grouped)} groups, {len(texts)} texts, {len(both)} for both, {allowed.dropped} leaks dropped", flush=True
    )
    if arguments.vectors != "mpnet":
        minilm = teacher_vectors(texts, minilm_folder(arguments.minilm), WORK / "minilm")
    if arguments.vectors != "minilm":
        mpnet = teacher_vectors([texts[row] for row in both], arguments.mpnet, WORK / "mpnet")
    if arguments.vectors:
        return
    student = SentenceEncoder.load(CAPTIONS)
    student.max_seq_length = MAX_TOKENS
    axes = principal_axes(minilm, student.get_embedding_dimension())
    parts = np.array_split(minilm, len(minilm) // CHUNK + 1)
    targets = torch.from_numpy(np.concatenate([part.astype(np.float32) @ axes for part in parts]))
    kept = targets.square().sum(1).mean().item()
    print(f"{targets.shape[1]} dimensions keep {kept:.4f} of MiniLM's squared length", flush=True)
    targets = F.normalize(targets, dim=1)  # (texts, dim)
    of_both = torch.from_numpy(np.concatenate([minilm[both], mpnet], axis=1))  # (texts for both, 384 + 768)

    lengths = [len(ids) for ids in student[0].tokenize(texts)[0]]
    groups = [list(range(a, b)) for a, b in zip(first, first[1:])]
    batches = {  # lists of places, the row of `texts` at each place, and the vector whose cosines are to be learnt
        "groups": (groups, range(len(texts)), targets),
        "neighbours": (neighbours(targets[both], NEIGHBOURS, CLUSTERS), both, of_both),
    }
    sts = EmbeddingSimilarityEvaluator(load_sts("stsbenchmark/dev"), "stsb_dev")
    facts = {
        "texts": len(texts),
        "texts_for_both": len(both),
        "leaks_dropped": allowed.dropped,
        "kept_by_pca": kept,
        "relations": RELATIONS,
    }
    for stage, (lists, row_at, teacher) in batches.items():
        rows_of = [[row_at[place] for place in places] for places in lists]

        def loss(batch: list[int], lists=lists, rows_of=rows_of, teacher=teacher) -> Tensor:
            places, rows = ([i for k in batch for i in some[k]] for some in (lists, rows_of))
            return distillation_loss(student([texts[row] for row in rows]), targets[rows], teacher[places].float())

        history = train_in(
            WORK / stage,
            student,
            loss,
            Numbers(len(rows_of), [*texts, *rows_of]),
            **STAGES[stage],
            length=lambda k, rows_of=rows_of: sum(lengths[row] for row in rows_of[k]),
            checkpoint_every=250,
            evaluators=[lambda model: {"stsb_dev_spearman_cosine": sts(model)[sts.primary_metric]}],
        )
        student.save(WORK / stage / "model", half=True)
        facts |= {f"{stage}_{name}": value for name, value in STAGES[stage].items()}
        facts |= {
            f"{stage}_tokens": STAGES[stage]["epochs"] * sum(lengths[row] for rows in rows_of for row in rows),
            f"{stage}_loss": history[-1]["loss"],
            f"{stage}_seconds": history[-1]["seconds"],
            f"{stage}_stsb_dev": history[-1]["stsb_dev_spearman_cosine"],
        }
    student.save(model_folder("sbert-mini"), half=True)
    write_facts("sbert-mini", facts)
    record("12.csv", "ingredients", ingredients())


if __name__ == "__main__":
    main()
