"""Do mined negatives teach more than random ones? The ranking loss on 4,000 pairs, five ways: data/results/12.csv.

    COURSE_DATA=... python recipes/negatives.py

Half the pairs are captions of one image (Flickr30k's training images, two pairs an image), half are premises of SNLI
with a hypothesis they entail. course/bert-mini learns from them as they are, or with one text more a pair, its
negative, which is the second text of another pair:

    none        the other pairs of the batch are all the negatives there are
    random      any pair's, but not one of the same image or premise
    mined       the nearest to the first text for all-MiniLM-L6-v2, but not the pair's own
    filtered    the nearest among those whose cosine is at most 0.95 of the pair's own
    true        the nearest of another image or premise

But for "true", the miner is not told which pairs are of one image. We know, and count how many of its negatives are
none: they describe the very image of the anchor. Pairs, batches, steps and learning rate are the same in all five;
without negatives there is a third less to read.

Measured: one of two captions of each of Flickr30k's 1,000 test images must find the other three, among those and all
captions of the 1,000 validation images; premises of SNLI's development set the hypotheses they entail, among all of
that set; STSb; and far from the training data, Quora's pairs and SciFact (the first 128 tokens of a document).

Resumable: models lie in build/negatives, and what is in the table is not measured again.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from pathlib import Path

from course_lib.data import LABELS, load_nli, load_sts
from course_lib.datasets.captions import load_captions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.finetuning.mining import mine_hard_negatives
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.retrieval.evaluators import BinaryClassificationEvaluator, InformationRetrievalEvaluator
from course_lib.siamese import siamese_objective
from course_lib.support.files import atomic_file
from course_lib.support.fingerprint import fingerprint
from course_lib.support.tables import find, read_tsv
from course_lib.support.texts import only_words
from course_lib.training import train
from recipes.shared.cards import weights_sha256
from recipes.shared.made import made
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, read_rows, record, row

WORK, FILE, COMMAND = BUILD / "negatives", "12.csv", "python recipes/negatives.py"
START, FLICKR = "course/bert-mini", "captions/flickr30k"
PAIRS = 2_000  # of each half
SETTINGS = dict(batch_size=32, learning_rate=3e-4, epochs=1)
KINDS, SEEDS = ("none", "random", "mined", "filtered", "true"), (0, 1, 2)
RELATIVE_MARGIN = 0.05
Pair = tuple[str, str, str]  # the image or premise it belongs to, anchor, positive


def training_pairs() -> list[Pair]:
    """PAIRS of captions, then PAIRS of premise and entailed hypothesis; no text twice, none that is measured on."""
    allowed, generator = LeakFilter(), random.Random(0)
    asked = [text for split in ("test", "val") for texts in load_captions(FLICKR, split).values() for text in texts]
    seen = set(map(only_words, asked))
    seen |= {only_words(text) for example in load_nli("snli/dev") for text in (example.premise, example.hypothesis)}

    def new(texts: list[str]) -> list[str]:
        found = {only_words(t): t for t in texts if only_words(t) not in seen and allowed(t)}
        seen.update(found)
        return list(found.values())

    images, entailed = sorted(load_captions(FLICKR, "train").items()), defaultdict(list)
    for example in load_nli("snli/train"):
        if example.label == LABELS["entailment"]:
            entailed[example.premise].append(example.hypothesis)
    premises = sorted(entailed.items())
    generator.shuffle(images)
    generator.shuffle(premises)
    of_images, of_premises = [], []
    for image, of_image in images:
        if len(of_images) < PAIRS and len(four := new(of_image)) >= 4:
            of_images += [(image, four[0], four[1]), (image, four[2], four[3])]
    for premise, hypotheses in premises:
        if len(of_premises) < PAIRS and new([premise]):
            of_premises += [(premise, premise, hypothesis) for hypothesis in new(hypotheses)]
    return of_images[:PAIRS] + of_premises[:PAIRS]


def with_negatives(kind: str, pairs: list[Pair], work: Path) -> list[tuple[str, ...]]:
    """(anchor, positive) or (anchor, positive, negative) of each pair, in their order. `work` keeps what is mined."""
    if kind == "none":
        return [(anchor, positive) for _, anchor, positive in pairs]
    path = work / f"{kind}.json"
    if not made(path, fingerprint([kind, RELATIVE_MARGIN, *pairs])):
        if kind == "random":
            generator = random.Random(0)
            others = [next(p for p in generator.sample(pairs, 9) if p[0] != key)[2] for key, _, _ in pairs]
            found = {(a, p): n for (_, a, p), n in zip(pairs, others)}
        elif kind == "true":
            key_of, miner = {positive: key for key, _, positive in pairs}, SentenceEncoder.load(minilm_folder())
            mined = mine_hard_negatives([p[1:] for p in pairs], miner, num_negatives=20, output_format="n-tuple")
            found = {}
            for a, p, *nearest in mined.examples:
                found[a, p] = next((n for n in nearest if key_of[n] != key_of[p]), None)
        else:
            margin = dict(relative_margin=RELATIVE_MARGIN, range_max=len(pairs) - 1) if kind == "filtered" else {}
            miner = SentenceEncoder.load(minilm_folder())
            mined = mine_hard_negatives([p[1:] for p in pairs], miner, num_negatives=1, **margin)
            print(mined, flush=True)
            found = {(a, p): n for a, p, n in mined.examples}
        with atomic_file(path) as unfinished:
            unfinished.write_text(json.dumps([found.get((a, p)) for _, a, p in pairs]), encoding="utf-8")
    negatives = json.loads(path.read_text(encoding="utf-8"))
    return [(a, p) if n is None else (a, p, n) for (_, a, p), n in zip(pairs, negatives)]


def trained(kind: str, seed: int, work: Path = WORK) -> Path:
    """The folder of the model trained with this kind of negatives; trains it where it is not there."""
    folder, checkpoint = work / f"{kind}-{seed}", work / f"{kind}-{seed}.safetensors"
    examples = with_negatives(kind, training_pairs(), work)
    if made(folder, fingerprint([SETTINGS, *examples])):
        return folder
    encoder = SentenceEncoder.load(START)
    encoder.max_seq_length = 128
    train(
        encoder,
        siamese_objective(encoder, MultipleNegativesRankingLoss()),
        examples,
        **SETTINGS,
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_every=25,
        log=lambda entry: print(kind, seed, entry, flush=True),
        show_progress_bar=False,
    )
    encoder.save(folder)
    checkpoint.unlink()
    return folder


def same_image_rows(pairs: list[Pair], work: Path) -> list[dict]:
    """For each kind, how many caption pairs have a negative of the anchor's own image, and how many pairs have none."""
    image_of, rows = {text: image for image, *both in pairs[:PAIRS] for text in both}, []
    for kind in KINDS[1:]:
        start, given = time.perf_counter(), with_negatives(kind, pairs, work)
        of_captions = zip(given[:PAIRS], pairs)
        same = [len(texts) > 2 and image_of.get(texts[2]) == image for texts, (image, _, _) in of_captions]
        counts = {"same_image": (sum(same), len(same)), "without": (sum(len(t) < 3 for t in given), len(pairs))}
        origin = dict(data_sha256=data_sha256(FLICKR), model_sha256=weights_sha256(minilm_folder()))
        for metric, (count, of) in counts.items():
            seconds = time.perf_counter() - start
            rows.append(row("negatives", kind, FLICKR, metric, count, COMMAND, seconds, n=of, **origin))
    return rows


def evaluators() -> dict[str, tuple[str, object]]:
    """Data set -> (the metric that is recorded, evaluator)."""
    queries, corpus, relevant = {}, {}, {}
    for image, of_image in load_captions(FLICKR, "test").items():
        others = {f"{image} {i}": caption for i, caption in enumerate(of_image)}
        asked = list(others)[:2]
        queries |= {name: others.pop(name) for name in asked}
        corpus |= others
        relevant |= {name: set(others) for name in asked}
    for image, of_image in load_captions(FLICKR, "val").items():
        corpus |= {f"{image} {i}": caption for i, caption in enumerate(of_image)}
    hypotheses, premises, entailed = {}, {}, defaultdict(set)
    for example in load_nli("snli/dev"):
        hypotheses[example.hypothesis] = example.hypothesis
        premises[example.premise] = example.premise
        if example.label == LABELS["entailment"]:
            entailed[example.premise].add(example.hypothesis)
    quora = [row for _, row in read_tsv(find("quora/dev"), "is_duplicate", "question1", "question2")]
    duplicates = BinaryClassificationEvaluator([(a, b) for _, a, b in quora], [int(label) for label, _, _ in quora])
    return {
        FLICKR: ("cosine_ndcg@10", InformationRetrievalEvaluator(queries, corpus, relevant)),
        "snli/dev": ("cosine_ndcg@10", InformationRetrievalEvaluator(premises, hypotheses, entailed)),
        "stsbenchmark/dev": ("spearman_cosine", EmbeddingSimilarityEvaluator(load_sts("stsbenchmark/dev"))),
        "quora/dev": ("cosine_ap", duplicates),
        "scifact": ("cosine_ndcg@10", InformationRetrievalEvaluator(*load_retrieval("scifact"))),
    }


SHORT = {"cosine_ndcg@10": "ndcg@10", "spearman_cosine": "spearman", "cosine_ap": "ap"}


def measure_negatives(kind: str, seed: int, data: str, metric: str, evaluate, pairs: list[Pair]):
    """Add a line to the table, unless it is there."""
    rows = [r for r in read_rows(FILE) if r["experiment"] == "negatives" and r["metric"] in SHORT.values()]
    if any((r["data"], r["model"], r["seed"]) == (data, kind, str(seed)) for r in rows):
        return
    start, folder = time.perf_counter(), trained(kind, seed)
    value = evaluate(SentenceEncoder.load(folder))[metric]
    origin = dict(data_sha256="" if data == "scifact" else data_sha256(data), model_sha256=weights_sha256(folder))
    what = "negatives", kind, data, SHORT[metric], value, COMMAND, time.perf_counter() - start
    rows.append(row(*what, n=len(pairs), seed=seed, **origin))
    print(data, kind, seed, SHORT[metric], rows[-1]["value"], flush=True)
    record(FILE, "negatives", [*same_image_rows(pairs, WORK), *rows])


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    pairs, measures = training_pairs(), evaluators()
    runs = [(kind, seed) for seed in SEEDS for kind in KINDS]
    for run in runs:
        trained(*run)
    for data, (metric, evaluate) in measures.items():
        for run in runs:
            measure_negatives(*run, data, metric, evaluate, pairs)


if __name__ == "__main__":
    main()
