"""How many mined negatives are false, and what do they do? Captions whose image is known: data/results/12.csv.

    COURSE_DATA=... python recipes/negatives.py

Half of 4,000 pairs are captions of one image (Flickr30k's training images, two pairs an image), half are premises of
SNLI with a hypothesis they entail. A pair can get one text more, its negative, the second text of another pair:

    none        the other pairs of the batch are all the negatives there are
    random      any pair's, but not one of the same image or premise
    mined       the nearest to the first text for all-MiniLM-L6-v2, but not the pair's own
    filtered    the nearest among those whose cosine is at most 0.95 of the pair's own

Counted: how many negatives of caption pairs are none, because they describe the very image of the anchor. The miner is
not told which pairs are of one image. Trained, with three seeds: course/bert-mini by the ranking loss, with none, mined
and filtered ones; pairs, batches, steps and learning rate are the same, without negatives there is a third less to
read. Measured: one of two captions of each of Flickr30k's 1,000 test images must find the other three, among those and
all captions of the 1,000 validation images. recipes/live_negatives.py compares more kinds, on the bundled pairs.

Resumable: models lie in build/negatives, and what is in the table is not measured again.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from pathlib import Path

from course_lib.data import LABELS, load_nli
from course_lib.datasets.captions import load_captions
from course_lib.encoder import SentenceEncoder
from course_lib.finetuning.mining import mine_hard_negatives
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from course_lib.siamese import siamese_objective
from course_lib.support.files import atomic_file
from course_lib.support.fingerprint import fingerprint
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
COUNTED, TRAINED, SEEDS = ("random", "mined", "filtered"), ("none", "mined", "filtered"), (0, 1, 2)
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
    """For each kind, how many caption pairs have a negative of the anchor's own image."""
    image_of, rows = {text: image for image, *both in pairs[:PAIRS] for text in both}, []
    for kind in COUNTED:
        start, given = time.perf_counter(), with_negatives(kind, pairs, work)
        of_captions = list(zip(given, pairs))[:PAIRS]
        same = sum(len(texts) > 2 and image_of.get(texts[2]) == image for texts, (image, _, _) in of_captions)
        origin = dict(data_sha256=data_sha256(FLICKR), model_sha256=weights_sha256(minilm_folder()))
        seconds = time.perf_counter() - start
        rows.append(row("negatives", kind, FLICKR, "same_image", same, COMMAND, seconds, n=PAIRS, **origin))
    return rows


def captions_of_one_image() -> InformationRetrievalEvaluator:
    queries, corpus, relevant = {}, {}, {}
    for image, of_image in load_captions(FLICKR, "test").items():
        others = {f"{image} {i}": caption for i, caption in enumerate(of_image)}
        asked = list(others)[:2]
        queries |= {name: others.pop(name) for name in asked}
        corpus |= others
        relevant |= {name: set(others) for name in asked}
    for image, of_image in load_captions(FLICKR, "val").items():
        corpus |= {f"{image} {i}": caption for i, caption in enumerate(of_image)}
    return InformationRetrievalEvaluator(queries, corpus, relevant)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    pairs, search = training_pairs(), captions_of_one_image()
    rows = [r for r in read_rows(FILE) if r["experiment"] == "negatives" and r["metric"] == "ndcg@10"]
    done = {(r["model"], r["seed"]) for r in rows}
    for seed, kind in ((seed, kind) for seed in SEEDS for kind in TRAINED if (kind, str(seed)) not in done):
        start, folder = time.perf_counter(), trained(kind, seed)
        value = search(SentenceEncoder.load(folder))["cosine_ndcg@10"]
        what = "negatives", kind, FLICKR, "ndcg@10", value, COMMAND, time.perf_counter() - start
        origin = dict(data_sha256=data_sha256(FLICKR), model_sha256=weights_sha256(folder))
        rows.append(row(*what, n=len(pairs), seed=seed, **origin))
        print(kind, seed, rows[-1]["value"], flush=True)
        record(FILE, "negatives", [*same_image_rows(pairs, WORK), *rows])


if __name__ == "__main__":
    main()
