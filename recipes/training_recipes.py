"""Training recipes compared: stages, domains, several tasks at once, backbones. Each with three seeds. Writes data/results/11.csv.

    COURSE_DATA=... python recipes/training_recipes.py                # all that data/results/11.csv does not hold yet
    COURSE_DATA=... python recipes/training_recipes.py --minutes 10   # begins nothing after that; call it again to go on

    experiment   model                             setting
    stages       where training starts             cosine loss on all of STSb train, four times, as in the paper: alone, or after NLI (trained in one of two ways)
    domains      an encoder trained on NLI         cosine loss on 1,300 pairs of STSb's captions, or of its news
    tasks        course/sbert-mini-nli             cosine loss on 1,300 STSb pairs; the same in turn with softmax batches on 1,300 NLI pairs
    backbones    five networks                     ranking loss on 4,096 NLI triplets: the published 14-task protocol, scaled down
    live         course/bert-mini                  what notebook 11 repeats on the bundled pairs

All are seen once, but for "stages" and "live" (four times). The setting "before" is the model as it was. `n` is the number of training
examples, `data` what was measured (see task_mix.py). Pairs with a sentence of STSb dev or SICK trial are not trained on.
data_sha256 is of the files trained on and the file measured on, one after the other; model_sha256 of the weights at the
start; seconds are of training and measuring. A unit's rows are written when it is done. Trained models are not kept.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.data import ScoredPair, load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.models.masked_lm import BertForMaskedLM, load_masked_lm, pseudo_perplexity
from course_lib.siamese import siamese_objective
from course_lib.support.folders import read_weights, resolve
from course_lib.support.tables import find, read_tsv
from course_lib.training import train
from recipes.bert_mini import BATCH, masked_language_loss, save, sentence_blocks
from recipes.evaluate import RANKING_NLI as RANKING
from recipes.evaluate import RANKING_NLI_NAME as RANKING_NAME
from recipes.shared.cards import weights_sha256
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.pretraining_text import LeakFilter, short_texts
from recipes.shared.results import append, data_sha256, read_rows, row
from recipes.shared.sentence_pairs import NLI_SETS, nli_examples, nli_triplets
from recipes.task_mix import DEV, SICK, genres, tasks

COMMAND, FILE, SEEDS = "python recipes/training_recipes.py", "11.csv", (0, 1, 2)
PAIRS, TRIPLETS = 1300, 4096
STSB, NLI_DEV = "stsbenchmark/train", "snli/dev"
WORK, NAMES = Path("build/training_recipes"), {RANKING: RANKING_NAME}
STAGES = {
    "STSb alone": "course/bert-mini",
    "NLI by softmax, then STSb": "course/sbert-mini-nli",
    "NLI by ranking, then STSb": RANKING,
}
RATES = {  # backbones, and the learning rate of each: word vectors need larger steps, a network that is trained already smaller ones
    "random weights": 2e-4,
    "course/bert-mini": 2e-4,
    "course/glove-mini": 5e-3,
    "random weights, 0.4 million tokens of pre-training": 2e-4,
    MINILM: 5e-5,
}


class Unit(NamedTuple):
    """One training (setting "before": none) and what is measured after it: run() gives {(data, metric): value}."""

    experiment: str
    model: str
    setting: str
    seed: int | str
    n: int
    start: str | Path
    trained_on: list[str]
    run: Callable[[], dict]


# ---- what is trained on


@cache
def scored_pairs(genre: str = "") -> list[ScoredPair]:
    """STSb train, or one genre of it."""
    allowed = LeakFilter()
    rows = [values for _, values in read_tsv(find(STSB), "genre", "score", "sentence1", "sentence2")]
    return [
        ScoredPair(a, b, float(score) / 5) for kind, score, a, b in rows if genre in kind and allowed(a) and allowed(b)
    ]


@cache
def labelled_pairs() -> list:
    return random.Random(0).sample(nli_examples(LeakFilter()), PAIRS)


@cache
def triplets() -> list:
    return random.Random(0).sample([t for t in nli_triplets(LeakFilter()) if len(t) == 3], TRIPLETS)


@cache
def language_model(tokens: int) -> Path:
    """bert-mini's architecture and tokenizer, random weights, then so many tokens of masked captions and NLI sentences."""
    folder = WORK / f"language-model-{tokens}"
    if not folder.exists():
        pretrained, tokenizer, allowed = *load_masked_lm("course/bert-mini"), LeakFilter()
        torch.manual_seed(0)
        model = BertForMaskedLM(pretrained.config)
        if tokens:
            texts = random.Random(0).sample([text for text in short_texts() if allowed(text)], tokens // 8)
            train(
                model,
                lambda batch: masked_language_loss(model, batch),
                sentence_blocks(tokenizer, texts, tokens),
                batch_size=BATCH,
                learning_rate=1e-3,
                warmup=0.05,
                show_progress_bar=False,
            )
        save(model, tokenizer, folder)
    return folder


# ---- training


def network(start: str | Path, head: nn.Module, seed: int = 0) -> nn.ModuleDict:
    encoder = SentenceEncoder.load(start, device="cpu")
    if encoder.max_seq_length:
        encoder.max_seq_length = 128
    torch.manual_seed(seed)
    return nn.ModuleDict({"encoder": encoder, "head": head})


def on_scores(
    start: str | Path, pairs: list[ScoredPair], seed: int, epochs: int = 1, batch_size: int = 32
) -> SentenceEncoder:
    model = network(start, CosineSimilarityLoss())
    train(
        model,
        siamese_objective(model["encoder"], model["head"]),
        pairs,
        batch_size=batch_size,
        learning_rate=2e-4,
        epochs=epochs,
        seed=seed,
        show_progress_bar=False,
    )
    return model["encoder"]


def measured(encoder: SentenceEncoder, by: dict) -> dict:
    return {key: task(encoder) for key, task in by.items()}


# ---- the experiments: each gives its units


def stages(names: list[str]) -> Iterator[Unit]:
    by = {key: task for key, task in tasks().items() if key[0] in (DEV, SICK)}
    for name in names:
        start, pairs = STAGES[name], scored_pairs()
        unit = Unit("stages", NAMES.get(start, start), name, "", len(pairs), start, [STSB], None)
        yield unit._replace(
            setting=f"{name}: before",
            n=0,
            trained_on=[],
            run=lambda start=start: measured(SentenceEncoder.load(start, device="cpu"), by),
        )
        for seed in SEEDS:
            yield unit._replace(
                seed=seed, run=lambda start=start, seed=seed: measured(on_scores(start, pairs, seed, epochs=4), by)
            )


def domains() -> Iterator[Unit]:
    by = genres() | {key: task for key, task in tasks().items() if key[0] != DEV}
    unit = Unit("domains", NAMES[RANKING], "before", "", 0, RANKING, [], None)
    yield unit._replace(run=lambda: measured(SentenceEncoder.load(RANKING, device="cpu"), by))
    for seed in SEEDS:
        for genre in ("captions", "news"):
            chosen = random.Random(seed).sample(scored_pairs(genre), PAIRS)
            yield unit._replace(
                setting=genre,
                seed=seed,
                n=PAIRS,
                trained_on=[STSB],
                run=lambda seed=seed, chosen=chosen: measured(on_scores(RANKING, chosen, seed), by),
            )


def backbones(names: list[str]) -> Iterator[Unit]:
    def run(name, start, rate, seed):
        model = network(start, MultipleNegativesRankingLoss())
        if seed != "":
            train(
                model,
                siamese_objective(model["encoder"], model["head"]),
                triplets(),
                batch_size=32,
                learning_rate=rate,
                seed=seed,
                show_progress_bar=False,
            )
        found = measured(model["encoder"], tasks())
        if seed == "" and (resolve(start) / "config.json").exists() and name != MINILM:
            sentences = [text for _, (text,) in read_tsv(find("course/sentences"), "sentence")]
            found["course/sentences", "pseudo_perplexity"] = pseudo_perplexity(*load_masked_lm(start), sentences)
        return found

    for name in names:
        start, rate = name, RATES[name]
        if "random" in name:
            start = language_model(400_000 if "million" in name else 0)
        elif name == MINILM:
            start = minilm_folder()
        for seed in ("", *SEEDS):
            n, setting = (0, "before") if seed == "" else (len(triplets()), f"learning rate {rate:g}")
            yield Unit(
                "backbones", name, setting, seed, n, start, NLI_SETS if n else [], partial(run, name, start, rate, seed)
            )


def multitask() -> Iterator[Unit]:
    start = "course/sbert-mini-nli"

    def run(joint, seed):
        model = network(start, SoftmaxLoss(256))
        model["head"].load_state_dict(read_weights(resolve(start) / "softmax_head"))
        losses = [
            siamese_objective(model["encoder"], CosineSimilarityLoss()),
            siamese_objective(model["encoder"], model["head"]),
        ]
        examples = [random.Random(0).sample(scored_pairs(), PAIRS), labelled_pairs()]
        settings = dict(batch_size=32, learning_rate=1e-4, seed=seed, show_progress_bar=False)
        if joint:
            train(model, losses, examples, sampling="round-robin", **settings)
        elif joint is False:
            train(model, losses[0], examples[0], **settings)
        nli = LabelAccuracyEvaluator(random.Random(0).sample(load_nli(NLI_DEV), 1000), model["head"])
        return measured(
            model["encoder"],
            {(DEV, "spearman"): tasks()[DEV, "spearman"], (NLI_DEV, "accuracy"): lambda e: nli(e)["accuracy"]},
        )

    unit = Unit("tasks", start, "before", "", 0, start, [], partial(run, None, 0))
    yield unit
    for seed in SEEDS:
        yield unit._replace(setting="STSb", seed=seed, n=PAIRS, trained_on=[STSB], run=partial(run, False, seed))
        yield unit._replace(
            setting="STSb and NLI in turn",
            seed=seed,
            n=2 * PAIRS,
            trained_on=[STSB, *NLI_SETS],
            run=partial(run, True, seed),
        )


def live() -> Iterator[Unit]:
    pairs, start = load_sts("course/sts"), "course/bert-mini"
    held_out = EmbeddingSimilarityEvaluator(pairs[228:])
    by = {("course/sts", "spearman"): lambda encoder: held_out(encoder)["spearman_cosine"]}
    unit = Unit(
        "live", start, "before", "", 0, start, [], lambda: measured(SentenceEncoder.load(start, device="cpu"), by)
    )
    yield unit
    for seed in SEEDS:
        yield unit._replace(
            setting="cosine loss, four epochs",
            seed=seed,
            n=228,
            trained_on=["course/sts"],
            run=lambda seed=seed: measured(on_scores(start, pairs[:228], seed, 4, 16), by),
        )


def units() -> Iterator[Unit]:
    """In the order of their importance: what is left out when time is short comes last."""
    yield from stages(list(STAGES))
    yield from live()
    yield from domains()
    yield from multitask()
    yield from backbones(list(RATES))


def run_all(done: set[tuple] = frozenset(), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit whose (experiment, model, setting, seed) is not in `done`; begins none after `minutes`."""
    begun = time.perf_counter()
    for unit in units():
        if (unit.experiment, unit.model, unit.setting, str(unit.seed)) in done:
            continue
        if time.perf_counter() - begun > 60 * minutes:
            return
        since = time.process_time()
        found, sha = unit.run(), weights_sha256(resolve(unit.start))
        seconds = time.process_time() - since
        yield [
            row(
                unit.experiment,
                unit.model,
                data,
                metric,
                value,
                COMMAND,
                seconds,
                n=unit.n,
                seed=unit.seed,
                setting=unit.setting,
                data_sha256=data_sha256(*unit.trained_on, data.split(":")[0]),
                model_sha256=sha,
            )
            for (data, metric), value in found.items()
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further unit after so many")
    minutes = parser.parse_args().minutes
    torch.set_num_threads(1)
    done = {(r["experiment"], r["model"], r["setting"], r["seed"]) for r in read_rows(FILE)}
    for rows in run_all(done, minutes):
        append(FILE, rows)
        print(
            *(rows[0][key] for key in ("experiment", "model", "setting", "seed")),
            {r["data"]: r["value"] for r in rows},
            rows[0]["seconds"],
            flush=True,
        )


if __name__ == "__main__":
    main()
