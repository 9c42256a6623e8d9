"""Make `course/cross-encoder-mini`: bert-mini learns to look from one text to the other, then to score pairs.

    COURSE_DATA=... python recipes/cross_encoder_mini.py

bert-mini never saw two texts at once, and fine-tuning alone hardly teaches it to compare them: one label a pair, seen
through one [CLS] vector that depends on nothing yet, is too little to find out that tokens of one text should look for
their like in the other. So there is a stage before, on pairs of captions and of NLI (their labels unused), with two
aims: for each token, does it occur in the other text? And for the pair, the cosine that the ranking model
(`recipes/siamese.py captions`) gives it. Then the head learns the scores of STSb train (binary cross-entropy).

Measured for comparison, on the same STSb train: no stage before, and NLI's three classes as the stage before.
Resumable: started again after an interruption, it goes on from the last checkpoint in build/cross-encoder-mini.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.data import ScoredPair, load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.tokenization import tokenize_pairs
from recipes.evaluate import CAPTIONS, NLI, STS
from recipes.shared.cards import model_folder, weights_sha256, write_cards, write_facts
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, record, row
from recipes.shared.sentence_pairs import all_caption_pairs, nli_examples
from recipes.shared.training import Numbers, train_in

NAME, WORK, COMMAND = "cross-encoder-mini", BUILD / "cross-encoder-mini", "python recipes/cross_encoder_mini.py"
TOKENS = 2_000_000  # of the first stage
LOOK = dict(batch_size=32, learning_rate=4e-4, epochs=1)
CLASSES = dict(batch_size=32, learning_rate=2e-4, epochs=1)
SCORES = dict(batch_size=32, learning_rate=2e-4, epochs=4)
SEEDS = (0, 1, 2)


def unlabelled_pairs(allowed: LeakFilter) -> list[tuple[str, str]]:
    """In turn: two captions of one image, captions of two images, premise and hypothesis."""
    captions, nli = all_caption_pairs(allowed), [(e.premise, e.hypothesis) for e in nli_examples(allowed)]
    random.Random(0).shuffle(captions)
    random.Random(0).shuffle(nli)
    strangers = [(a, captions[(i + 7) % len(captions)][1]) for i, (a, _) in enumerate(captions)]
    return [pair for three in zip(captions, strangers, nli) for pair in three]


def look_across(scorer: CrossEncoder, pairs: list[tuple[str, str]]) -> list[dict]:
    """The first stage: token by token, does it occur in the other text; and the pair's cosine for a bi-encoder."""
    ids, types = tokenize_pairs(scorer.tokenizer, pairs, 128)
    count = int(np.searchsorted(np.cumsum([len(i) for i in ids]), TOKENS))
    teacher = SentenceEncoder.load(CAPTIONS, dtype="float32")
    sides = ([pair[side] for pair in pairs[:count]] for side in (0, 1))
    u, v = (torch.from_numpy(teacher.encode(side, show_progress_bar=False)) for side in sides)  # (pairs, dim) each
    target = pairwise_cos_sim(u, v).clamp(0, 1)  # (pairs,)
    occurs = [np.where(t == 0, np.isin(i, i[t == 1]), np.isin(i, i[t == 0])) for i, t in zip(ids, types)]
    special = [scorer.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]")]
    model = nn.ModuleDict({"scorer": scorer, "token_head": nn.Linear(scorer.model.config.hidden_size, 1)})

    def loss(batch: list[int]) -> torch.Tensor:
        batch = sorted(batch, key=lambda k: len(ids[k]))
        input_ids, lengths, token_types = scorer._packed([ids[k] for k in batch], [types[k] for k in batch])
        hidden = scorer.model.bert(input_ids, lengths, token_types)  # (tokens, hidden)
        scores = scorer.model.classifier(scorer.model.pool(hidden, lengths)).squeeze(1).float()  # (batch,)
        inner = ~torch.isin(input_ids, torch.tensor(special))
        found = torch.from_numpy(np.concatenate([occurs[k] for k in batch])).float()  # (tokens,)
        guesses = model["token_head"](hidden).squeeze(1).float()  # (tokens,)
        by_token = F.binary_cross_entropy_with_logits(guesses[inner], found[inner])
        return by_token + F.binary_cross_entropy_with_logits(scores, target[batch])

    settings = dict(length=lambda k: len(ids[k]), checkpoint_every=200, **LOOK)
    return train_in(WORK / "look", model, loss, Numbers(count, pairs[:count]), **settings)


def train_scorer(scorer: CrossEncoder, examples: list[tuple], folder: Path, **settings) -> list[dict]:
    """Train on (text, text, label), and save the model in `folder`."""
    ids, _ = tokenize_pairs(scorer.tokenizer, [e[:2] for e in examples], scorer.max_seq_length)
    counts = dict(zip(examples, map(len, ids)))

    def loss(batch: list[tuple]) -> torch.Tensor:
        return scorer.loss([e[:2] for e in batch], [e[2] for e in batch])

    history = train_in(folder, scorer, loss, examples, length=counts.__getitem__, checkpoint_every=200, **settings)
    scorer.save(folder / "model", half=True)
    return history


def load_scorer(folder: Path) -> CrossEncoder:
    return CrossEncoder.load(folder / "model", dtype="float32")


def sts_spearman(scorer: CrossEncoder, pairs: list[ScoredPair]) -> float:
    scores = scorer.predict([(p.sentence1, p.sentence2) for p in pairs], show_progress_bar=False)
    return spearman([p.score for p in pairs], scores)


def nli_accuracy(scorer: CrossEncoder, data: str) -> float:
    examples = load_nli(data)
    logits = scorer.predict([(e.premise, e.hypothesis) for e in examples], show_progress_bar=False)  # (examples, 3)
    return float((logits.argmax(1) == [e.label for e in examples]).mean())


def untrained(num_labels: int, seed: int = 0) -> CrossEncoder:
    torch.manual_seed(seed)
    return CrossEncoder.load("course/bert-mini", num_labels=num_labels, dtype="float32")


def new_head(scorer: CrossEncoder, seed: int) -> CrossEncoder:
    """The same core with an untrained head for one score."""
    fresh = untrained(1, seed)
    fresh.model.bert.load_state_dict(scorer.model.bert.state_dict())
    return fresh


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    allowed, rows = LeakFilter(), []

    def measured(name: str, data: str, metric: str, folder: Path, seed: int):
        scorer, start = load_scorer(folder), time.perf_counter()
        value = sts_spearman(scorer, load_sts(data)) if metric == "spearman" else nli_accuracy(scorer, data)
        origin = dict(data_sha256=data_sha256(data), model_sha256=weights_sha256(folder / "model"))
        what = "cross-encoder", name, data, metric, value, COMMAND, time.perf_counter() - start
        rows.append(row(*what, seed=seed, **origin))
        print(f"{name:32} {data:22} {seed} {metric:10} {rows[-1]['value']}", flush=True)

    scored = (p for p in load_sts("stsbenchmark/train") if allowed(p.sentence1) and allowed(p.sentence2))
    sts = [(p.sentence1, p.sentence2, p.score) for p in scored]
    pairs, look = unlabelled_pairs(allowed), untrained(1)
    dropped = allowed.dropped
    look_history = look_across(look, pairs)
    labelled = [(e.premise, e.hypothesis, e.label) for e in nli_examples(allowed)]
    classes = untrained(3)
    classes.model.id2label = {0: "contradiction", 1: "entailment", 2: "neutral"}

    dev, seconds = load_sts("stsbenchmark/dev"), look_history[-1]["seconds"]
    watch = [lambda scorer: {"stsb_dev_spearman": sts_spearman(scorer, dev)}]
    before = {
        "pairs, then STSb": lambda seed: load_scorer(WORK / "look"),
        "STSb only": lambda seed: untrained(1, seed),
        "NLI, then STSb": lambda seed: new_head(load_scorer(WORK / "nli"), seed),
    }
    look.save(WORK / "look" / "model")
    for name, start in before.items():
        if name == "NLI, then STSb":
            train_scorer(classes, labelled, WORK / "nli", **CLASSES)
            for data in NLI:
                measured("NLI", data, "accuracy", WORK / "nli", 0)
        for seed in SEEDS:
            folder = WORK / f"{name.split()[0].strip(',').lower()}-{seed}"
            history = train_scorer(start(seed), sts, folder, seed=seed, evaluators=watch, **SCORES)
            shipped = name == "pairs, then STSb" and seed == SEEDS[0]
            for data in STS:
                measured(f"course/{NAME}" if shipped else name, data, "spearman", folder, seed)
            if shipped:
                load_scorer(folder).save(model_folder(NAME), half=True)
                write_facts(
                    NAME,
                    {
                        "tokens_of_pairs": TOKENS,
                        "pairs_learning_rate": LOOK["learning_rate"],
                        "pairs_loss": look_history[-1]["loss"],
                        "scored_pairs": len(sts),
                        "leaks_dropped": dropped,
                        **SCORES,
                        "scores_loss": history[-1]["loss"],
                        "stsb_dev_by_epoch": [e["stsb_dev_spearman"] for e in history if "stsb_dev_spearman" in e],
                        "seconds": seconds + history[-1]["seconds"],
                    },
                )
                write_cards(rows)
        record("04.csv", "cross-encoder", rows)


if __name__ == "__main__":
    main()
