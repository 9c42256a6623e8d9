"""Training recipes compared: stages, domains, several tasks at once, backbones, a town; each with three seeds.

    COURSE_DATA=... python recipes/training_recipes.py                # all that data/results/11.csv does not hold yet
    COURSE_DATA=... python recipes/training_recipes.py --minutes 10   # begins nothing after that; call it again

    experiment   model                       setting
    stages       where training starts       cosine loss on all of STSb train, four times, as in the paper: alone, or
                                             after NLI (trained in one of two ways)
    domains      an encoder trained on NLI   cosine loss on 1,300 pairs of STSb's captions, or of its news
    together     course/sbert-mini-nli       cosine loss on all of STSb train; the same together with softmax batches on
                                             twice as many NLI pairs, by round-robin or proportional sampling
    backbones    five networks               ranking loss on 4,096 NLI triplets: the published 14-task protocol, scaled
                                             down
    town         two encoders                ranking loss on the 450 pairs of a town's questions (town_questions.py), at
                                             several batch sizes and learning rates

All are seen once, but for "stages" (four times) and where a setting names epochs. The setting "before" is the model as
it was. `n` is the number of training examples, `data` what was measured (see task_mix.py). Pairs with a sentence of
STSb dev or SICK trial are not trained on. data_sha256 is of the files trained on and the file measured on, one after
the other; model_sha256 of the weights at the start; seconds are of training and measuring. A unit's rows are written
when it is done. Trained models are not kept.
"""

import random
import time
from collections.abc import Callable, Container, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from course_lib.data import ScoredPair, load_nli
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import LabelAccuracyEvaluator
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.models.masked_lm import load_masked_lm, pseudo_perplexity
from course_lib.siamese import siamese_objective
from course_lib.support.folders import read_weights, resolve
from course_lib.support.tables import find, read_tsv
from course_lib.training import train
from recipes.shared.cards import weights_sha256
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.results import data_sha256, row
from recipes.shared.sentence_pairs import NLI_SETS
from recipes.shared.units import record_units, rows_of_units
from recipes.task_mix import DEV, SICK, gain_interval, genres, tasks
from recipes.town_questions import TOWN, on_town_pairs, town_pairs, town_tasks
from recipes.training_sets import PAIRS, STSB, labelled_pairs, language_model, scored_pairs, triplets

COMMAND, FILE, SEEDS = "python recipes/training_recipes.py", "11.csv", (0, 1, 2)
NLI_DEV, RANKING = "snli/dev", "course/sbert-mini-ranking"
STAGES = {
    "STSb alone": "course/bert-mini",
    "NLI by softmax, then STSb": "course/sbert-mini-nli",
    "NLI by ranking, then STSb": RANKING,
}
RATES = {  # of the backbones: word vectors need larger steps, a network that is trained already smaller ones
    "random weights": 2e-4,
    "course/bert-mini": 2e-4,
    "course/glove-mini": 5e-3,
    "random weights, 0.4 million tokens of pre-training": 2e-4,
    MINILM: 5e-5,
}
GRID = [(size, rate, 1) for size in (8, 64) for rate in (5e-5, 2e-4, 5e-4, 2e-3)]
AS_MANY_STEPS = [(64, rate, 8) for rate in (5e-4, 2e-3)]  # as batches of 8 make in one epoch
ON_THE_TOWN = {  # (batch size, learning rate, epochs); the first of each is notebook 11's own training
    "course/sbert-mini": [(32, 5e-4, 1), (32, 5e-5, 1)],
    RANKING: [(32, 5e-4, 1), *GRID, *AS_MANY_STEPS],
}


class Training(NamedTuple):
    """One training (setting "before": none) and what is measured after it: run() gives {(data, metric): value}."""

    experiment: str
    model: str
    setting: str
    seed: int | str
    n: int
    start: str | Path
    trained_on: list[str]
    run: Callable[[], dict]


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
    settings = dict(batch_size=batch_size, learning_rate=2e-4, epochs=epochs, seed=seed, show_progress_bar=False)
    train(model, siamese_objective(model["encoder"], model["head"]), pairs, **settings)
    return model["encoder"]


def loaded(start: str | Path) -> SentenceEncoder:
    return SentenceEncoder.load(start, device="cpu")


def measured(encoder: SentenceEncoder, by: dict) -> dict:
    return {key: task(encoder) for key, task in by.items()}


# ---- the experiments: each gives its units


def stages(names: list[str]) -> Iterator[Training]:
    by = {key: task for key, task in tasks().items() if key[0] in (DEV, SICK)}
    for name in names:
        start, pairs = STAGES[name], scored_pairs()
        before = Training("stages", start, f"{name}: before", "", 0, start, [], None)
        yield before._replace(run=lambda start=start: measured(loaded(start), by))
        for seed in SEEDS:
            run = lambda start=start, seed=seed: measured(on_scores(start, pairs, seed, epochs=4), by)
            yield before._replace(setting=name, seed=seed, n=len(pairs), trained_on=[STSB], run=run)


def domains() -> Iterator[Training]:
    """Beside each score, between which values its gain lies on other draws of the pairs or texts."""
    by = genres() | {key: task for key, task in tasks().items() if key[0] != DEV}
    untrained = cache(lambda: {key: task.items(loaded(RANKING)) for key, task in by.items()})

    def run(genre: str = "", seed: int = 0) -> dict:
        if not genre:
            return measured(loaded(RANKING), by)
        encoder, found = on_scores(RANKING, random.Random(seed).sample(scored_pairs(genre), PAIRS), seed), {}
        for (data, metric), task in by.items():
            items = task.items(encoder)
            found[data, metric] = task.score(items, np.arange(len(items)))
            low, high = gain_interval(task, untrained()[data, metric], items)
            found |= {(data, f"{metric} gain, 2.5 %"): low, (data, f"{metric} gain, 97.5 %"): high}
        return found

    before = Training("domains", RANKING, "before", "", 0, RANKING, [], run)
    yield before
    for seed in SEEDS:
        for genre in ("captions", "news"):
            yield before._replace(setting=genre, seed=seed, n=PAIRS, trained_on=[STSB], run=partial(run, genre, seed))


def backbones(names: list[str]) -> Iterator[Training]:
    def run(name, start, rate, seed):
        model = network(start, MultipleNegativesRankingLoss())
        if seed != "":
            settings = dict(batch_size=32, learning_rate=rate, seed=seed, show_progress_bar=False)
            train(model, siamese_objective(model["encoder"], model["head"]), triplets(), **settings)
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
            task = partial(run, name, start, rate, seed)
            yield Training("backbones", name, setting, seed, n, start, NLI_SETS if n else [], task)


def together() -> Iterator[Training]:
    start = "course/sbert-mini-nli"
    nli = random.Random(0).sample(load_nli(NLI_DEV), 1000)

    def run(sampling, seed):
        model = network(start, SoftmaxLoss(256))
        model["head"].load_state_dict(read_weights(resolve(start) / "softmax_head"))
        losses = [siamese_objective(model["encoder"], loss) for loss in (CosineSimilarityLoss(), model["head"])]
        examples = [scored_pairs(), labelled_pairs(2 * len(scored_pairs()))]
        settings = dict(batch_size=32, learning_rate=2e-4, seed=seed, show_progress_bar=False)
        if sampling:
            train(model, losses, examples, sampling=sampling, **settings)
        elif sampling is None:
            train(model, losses[0], examples[0], **settings)
        by = {key: task for key, task in tasks().items() if key[0] in (DEV, SICK)}
        accuracy = LabelAccuracyEvaluator(nli, model["head"])
        return measured(model["encoder"], by | {(NLI_DEV, "accuracy"): lambda e: accuracy(e)["accuracy"]})

    before = Training("together", start, "before", "", 0, start, [], partial(run, "", 0))
    yield before
    pairs = len(scored_pairs())
    for seed in SEEDS:
        alone = before._replace(setting="STSb", seed=seed, n=pairs, trained_on=[STSB], run=partial(run, None, seed))
        yield alone
        for sampling, seen in (("round-robin", 2), ("proportional", 3)):
            both, on = f"STSb and NLI, {sampling}", [STSB, *NLI_SETS]
            yield alone._replace(setting=both, n=seen * pairs, trained_on=on, run=partial(run, sampling, seed))


def town() -> Iterator[Training]:
    by, n = town_tasks(), len(town_pairs())
    for start, settings in ON_THE_TOWN.items():
        untrained = partial(SentenceEncoder.load, start, device="cpu", dtype="float32")
        before = Training("town", start, "before", "", 0, start, [], lambda load=untrained: measured(load(), by))
        yield before
        for size, rate, epochs in settings:
            setting = f"batch size {size}, learning rate {rate:g}" + (f", {epochs} epochs" if epochs > 1 else "")
            for seed in SEEDS:
                run = lambda s=start, how=(size, rate, epochs, seed): measured(on_town_pairs(s, *how), by)
                yield before._replace(setting=setting, seed=seed, n=n, trained_on=[TOWN], run=run)


def trainings() -> Iterator[Training]:
    """In the order of their importance: what is left out when time is short comes last."""
    yield from stages(list(STAGES))
    yield from domains()
    yield from backbones(list(RATES))
    yield from together()
    yield from town()


def measure_training(unit: Training) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    since = time.process_time()
    found, sha = unit.run(), weights_sha256(resolve(unit.start))
    seconds, rows = time.process_time() - since, []
    for (data, metric), value in found.items():
        origin = dict(data_sha256=data_sha256(*unit.trained_on, data.split(":")[0]), model_sha256=sha)
        what = unit.experiment, unit.model, data, metric, value, COMMAND, seconds
        rows.append(row(*what, n=unit.n, seed=unit.seed, setting=unit.setting, **origin))
    return rows


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(trainings(), measure_training, done, minutes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    record_units(__doc__, FILE, run_all)
