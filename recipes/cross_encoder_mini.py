"""Make `course/cross-encoder-mini`: the encoder of course/sbert-mini learns to read two texts at once.

    COURSE_DATA=... python recipes/distillation.py vectors        # the teacher's vectors, in build/distillation
    COURSE_DATA=... python recipes/cross_encoder_mini.py

sbert-mini never saw two texts in a row, and one score a pair, seen through one vector, is too little to find out that
tokens of one text should look for their like in the other. So there is a stage before, on pairs that nobody labelled:

    search   a sentence of Wikipedia and four paragraphs: the one it was taken out of, and three of the twenty that
             sbert-mini finds nearest. Cross-entropy of the four scores.
    near     two texts that are near for all-MiniLM-L6-v2: its cosine. Binary cross-entropy.

In both, a second head says of each token whether it occurs in the other text, too. Then the scores of STSb train are
learnt, with some of the first two in between, so that they are not forgotten.

Measured for comparison, on the same STSb train: bert-mini alone, and sbert-mini without the stage of pairs.
Resumable: started again, it goes on from what lies in build/cross-encoder-mini.
"""

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data import ScoredPair, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.search import top_k
from course_lib.support.tokenization import tokenize_pairs
from recipes import distillation
from recipes.evaluate import STS
from recipes.shared.cards import model_folder, weights_sha256, write_cards, write_facts
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, record, row
from recipes.shared.training import train_in
from recipes.wikipedia_pairs import paragraph_pairs

NAME, WORK, COMMAND = "cross-encoder-mini", BUILD / "cross-encoder-mini", "python recipes/cross_encoder_mini.py"
GROUPS = 2_500  # of four queries each
NEAR_TEXTS, NEAR_WORDS = 120_000, 30  # texts the near pairs come from, and their most words
CANDIDATES = 20
TOGETHER = 8  # labelled pairs that make one example, so that a batch of any task has about as many tokens
PAIRS = dict(batch_size=8, learning_rate=3e-4, warmup=0.05)
SCORES = dict(batch_size=4, learning_rate=1e-4, epochs=4)
KEPT = 300, 300  # examples of the two beside the scores
SEEDS = (0, 1, 2)


def searches(allowed: LeakFilter, encoder: SentenceEncoder) -> list[tuple[str, ...]]:
    """(sentence, its paragraph, three other paragraphs near the sentence)."""
    pairs = [pair for group in paragraph_pairs(allowed, GROUPS) for pair in group]
    asked, documents = ([pair[side] for pair in pairs] for side in (0, 1))
    queries, corpus = (
        encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False) for texts in (asked, documents)
    )
    _, nearest = top_k(queries, corpus, CANDIDATES + 1)  # (queries, CANDIDATES + 1)
    draw, found = random.Random(0), []
    for own, (rows, (query, document)) in enumerate(zip(nearest.tolist(), pairs)):
        others = draw.sample([k for k in rows if k != own][:CANDIDATES], 3)
        found.append((query, document, *(documents[k] for k in others)))
    return found


def near_pairs(texts: list[str], vectors: np.ndarray) -> list[tuple[str, str, float]]:
    """(text, text, cosine): each text with the nearest of a list of near texts, and with any other of the list."""
    draw, found = random.Random(0), []
    short = [row for row, text in enumerate(texts) if len(text.split()) <= NEAR_WORDS]
    short = sorted(draw.sample(short, min(NEAR_TEXTS, len(short))))
    unit = F.normalize(torch.from_numpy(vectors[short]).float(), dim=1)  # (NEAR_TEXTS, 384)
    for rows in distillation.neighbours(unit, size=32, clusters=max(1, len(short) // 64)):
        cosines = unit[rows] @ unit[rows].T  # (texts of the list, the same)
        nearest = (cosines - 2 * torch.eye(len(rows))).argmax(1).tolist()
        for i, j in [*enumerate(nearest), *zip(range(len(rows)), draw.sample(range(len(rows)), len(rows)))]:
            if i != j:
                found.append((texts[short[rows[i]]], texts[short[rows[j]]], cosines[i, j].clamp(0, 1).item()))
    draw.shuffle(found)
    return list(dict.fromkeys(found))[:NEAR_TEXTS]


def read(model: nn.ModuleDict, pairs: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """Pairs to their logits, (pairs,), and to the loss of the second head: which tokens occur in the other text?"""
    scorer = model["scorer"]
    ids, types = scorer._tokenize(pairs)
    order = sorted(range(len(ids)), key=lambda k: len(ids[k]))
    input_ids, lengths, token_types = scorer._packed([ids[k] for k in order], [types[k] for k in order])
    hidden = scorer.model.bert(input_ids, lengths, token_types)  # (tokens, hidden)
    logits = scorer.model.classifier(scorer.model.pool(hidden, lengths)).squeeze(1).float()  # (pairs,), in that order
    occurs = [np.where(t == 0, np.isin(i, i[t == 1]), np.isin(i, i[t == 0])) for i, t in zip(ids, types)]
    occurs = torch.from_numpy(np.concatenate([occurs[k] for k in order])).float()  # (tokens,)
    special = torch.tensor([scorer.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]")])
    inner, guesses = ~torch.isin(input_ids, special), model["token_head"](hidden).squeeze(1).float()  # (tokens,) each
    by_token = F.binary_cross_entropy_with_logits(guesses[inner], occurs[inner])
    return logits[torch.tensor(order).argsort()], by_token


def together(labelled: list[tuple]) -> list[tuple]:
    """(text, text, label) each -> examples of TOGETHER of them."""
    return [tuple(labelled[i : i + TOGETHER]) for i in range(0, len(labelled), TOGETHER)]


def pairs_of(example: tuple) -> list[tuple[str, str]]:
    """Of a search, (query, document, document, ...), or of several labelled pairs, ((text, text, label), ...)."""
    if isinstance(example[0], str):
        return [(example[0], document) for document in example[1:]]
    return [(a, b) for a, b, _ in example]


def tasks(model: nn.ModuleDict) -> list[Callable[[list[tuple]], Tensor]]:
    def search(batch: list[tuple]) -> Tensor:
        logits, by_token = read(model, [pair for example in batch for pair in pairs_of(example)])
        return F.cross_entropy(logits.view(len(batch), -1), torch.zeros(len(batch), dtype=torch.long)) + by_token

    def near(batch: list[tuple]) -> Tensor:
        logits, by_token = read(model, [pair for example in batch for pair in pairs_of(example)])
        cosines = torch.tensor([cosine for example in batch for *_, cosine in example])
        return F.binary_cross_entropy_with_logits(logits, cosines) + by_token

    def labels(batch: list[tuple]) -> Tensor:
        pairs = [pair for example in batch for pair in pairs_of(example)]
        return model["scorer"].loss(pairs, [label for example in batch for *_, label in example])

    return [search, near, labels]


def tokens_of(scorer: CrossEncoder, examples: list, pairs_of: Callable) -> dict[tuple, int]:
    """{example: the tokens of all its pairs}, by which a batch is made of examples of similar length."""
    ids, _ = tokenize_pairs(scorer.tokenizer, [p for e in examples for p in pairs_of(e)], scorer.max_seq_length)
    tokens = map(len, ids)
    return {example: sum(next(tokens) for _ in pairs_of(example)) for example in examples}


def trained(model: nn.ModuleDict, losses: list, examples: list[list], folder: Path, **settings) -> list[dict]:
    scorer = model["scorer"]
    tokens = tokens_of(scorer, [example for several in examples for example in several], pairs_of)
    history = train_in(folder, model, losses, examples, length=tokens.__getitem__, checkpoint_every=200, **settings)
    scorer.save(folder / "model", half=True)
    return history


def load_scorer(folder: Path) -> CrossEncoder:
    return CrossEncoder.load(folder / "model", dtype="float32")


def fresh(name: str, seed: int = 0) -> nn.ModuleDict:
    """A folder's BERT with untrained heads."""
    torch.manual_seed(seed)
    scorer = CrossEncoder.load(name, num_labels=1, dtype="float32")
    scorer.max_seq_length = 256
    return nn.ModuleDict({"scorer": scorer, "token_head": nn.Linear(scorer.model.config.hidden_size, 1)})


def with_core_of(folder: Path, seed: int) -> nn.ModuleDict:
    """The core of a trained scorer with untrained heads."""
    model = fresh("course/bert-mini", seed=seed)
    model["scorer"].model.bert.load_state_dict(load_scorer(folder).model.bert.state_dict())
    return model


def sts_spearman(scorer: CrossEncoder, pairs: list[ScoredPair]) -> float:
    scores = scorer.predict([(p.sentence1, p.sentence2) for p in pairs], show_progress_bar=False)
    return spearman([p.score for p in pairs], scores)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    allowed, rows = LeakFilter(), []

    def measured(name: str, data: str, folder: Path, seed: int):
        scorer, start = load_scorer(folder), time.perf_counter()
        value = sts_spearman(scorer, load_sts(data))
        origin = dict(data_sha256=data_sha256(data), model_sha256=weights_sha256(folder / "model"))
        what = "cross-encoder", name, data, "spearman", value, COMMAND, time.perf_counter() - start
        rows.append(row(*what, seed=seed, **origin))
        print(f"{name:32} {data:22} {seed} {rows[-1]['value']}", flush=True)

    scored = (p for p in load_sts("stsbenchmark/train") if allowed(p.sentence1) and allowed(p.sentence2))
    sts = together([(p.sentence1, p.sentence2, p.score) for p in scored])
    texts = distillation.texts_to_learn(allowed)
    near = together(near_pairs(texts, distillation.kept_vectors(texts, distillation.WORK / "minilm")))
    search = searches(allowed, SentenceEncoder.load("course/sbert-mini"))
    dropped, dev = allowed.dropped, load_sts("stsbenchmark/dev")
    print(f"{len(search)} searches, {TOGETHER * len(near)} near pairs, {dropped} leaks dropped", flush=True)

    watch = [lambda model: {"stsb_dev": sts_spearman(model["scorer"], dev)}]
    pairs = fresh("course/sbert-mini")
    history = trained(pairs, tasks(pairs)[:2], [search, near], WORK / "pairs", evaluators=watch, **PAIRS)
    some = [several[:kept] for several, kept in zip((search, near), KEPT)]
    ways = {
        "pairs, then STSb": lambda seed: with_core_of(WORK / "pairs", seed),
        "sbert-mini, then STSb": lambda seed: fresh("course/sbert-mini", seed=seed),
        "STSb only": lambda seed: fresh("course/bert-mini", seed=seed),
    }
    for name, begin in ways.items():
        for seed in SEEDS:
            model, folder = begin(seed), WORK / f"{name.split(',')[0].replace(' ', '-').lower()}-{seed}"
            own, shipped = name == "pairs, then STSb", name == "pairs, then STSb" and seed == SEEDS[0]
            losses, examples = (tasks(model), [*some, sts]) if own else (tasks(model)[2:], [sts])
            end = trained(model, losses, examples, folder, seed=seed, evaluators=watch, **SCORES)[-1]
            for data in STS:
                measured(f"course/{NAME}" if shipped else name, data, folder, seed)
            if shipped:
                load_scorer(folder).save(model_folder(NAME), half=True)
                facts = {"searches": len(search), "near_pairs": TOGETHER * len(near), "leaks_dropped": dropped}
                facts |= {f"pairs_{name}": value for name, value in PAIRS.items()}
                facts |= {"pairs_loss": history[-1]["loss"], "scored_pairs": sum(map(len, sts)), **SCORES}
                facts |= {"scores_loss": end["loss"], "seconds": history[-1]["seconds"] + end["seconds"]}
                write_facts(NAME, facts | {"stsb_dev": end["stsb_dev"]})
                write_cards(rows)
        record("04.csv", "cross-encoder", rows)


if __name__ == "__main__":
    main()
