"""Make `course/reranker-mini`: a cross-encoder that learns to order what a search found, from a teacher's order.

    COURSE_DATA=... python recipes/distillation.py vectors        # the teacher's vectors, in build/distillation
    COURSE_DATA=... python recipes/reranker_mini.py

course/cross-encoder-mini learnt how alike two sentences are, and orders pages worse than the search before it: what
answers a question is seldom what is most like it. No labels exist here for that either, so a teacher gives the order.
Its score of a text for a query is all-MiniLM-L6-v2's cosine, plus WORDS times BM25's score as a share of the highest:
two judges that err in different places, and together better than each (data/results/14.csv, "scifact").

    queries    sentences as people say them (Tatoeba, MultiNLI), sentences of Wikipedia, a few words of such sentences
    texts      paragraphs and long sentences, none written for this course
    a list     a query and LIST texts: some of the first few, some of those behind them, some found by their words, one
               drawn at random

Loss: cross-entropy of softmax(scores) from softmax(teacher / TEMPERATURE) over each list, the listwise loss of Cao et
al. 2007 (ListNet, top one) with soft targets; beside it the loss of recipes/cross_encoder_mini.py's second head, which
says of each token whether it occurs in the other text. Resumable: it goes on from what lies in build/reranker-mini.
"""

import argparse
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data import load_nli
from course_lib.datasets.translations import load_translations
from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.search import top_k
from recipes import distillation
from recipes.cross_encoder_mini import fresh, read, tokens_of
from recipes.shared.cards import model_folder, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.training import train_in

NAME, WORK, START = "reranker-mini", BUILD / "reranker-mini", "course/cross-encoder-mini"
QUERIES = {"said": 11_000, "sentence": 10_000, "words": 6_000}
HELD_OUT = 200  # queries of the agreement that is watched
TEXTS, WORDS_OF_TEXT = 45_000, range(20, 110)
LIST, DEPTH = 8, 40  # texts of a list; how far down the teacher's order and BM25's they are drawn
WORDS, TEMPERATURE = 0.1, 0.05
TRAINING = dict(batch_size=8, learning_rate=3e-4, warmup=0.05)


def drawn_queries(texts: list[str], draw: random.Random) -> list[tuple[str, int]]:
    """(query, row of the text that it is, or of the paragraph that it is from)."""
    row_of = {text: row for row, text in enumerate(texts)}
    spoken = [pair.english for pair in load_translations("tatoeba")]
    spoken += [text for example in load_nli("multinli/train") for text in (example.premise, example.hypothesis)]
    short = [row_of[text] for text in dict.fromkeys(spoken) if text in row_of and 5 <= len(text.split()) <= 16]
    asked = [row for row in short if texts[row].endswith("?")]
    said = draw.sample(asked, min(len(asked), QUERIES["said"] // 2))
    said += draw.sample(sorted({*short} - {*said}), QUERIES["said"] - len(said))
    of_passage = [  # a sentence that stands before the paragraph it is from
        row
        for row, (text, after) in enumerate(zip(texts, texts[1:]))
        if len(after.split()) in distillation.PASSAGE_WORDS and 6 <= len(text.split()) <= 30 and text in after
    ]
    queries = [(texts[row], row) for row in said]
    queries += [(texts[row], row + 1) for row in draw.sample(of_passage, min(len(of_passage), QUERIES["sentence"]))]
    for row in draw.sample(of_passage, min(len(of_passage), QUERIES["words"])):
        words = [word.strip(".,;:()\"'") for word in texts[row].split() if len(word) > 3]
        kept = sorted(draw.sample(range(len(words)), min(len(words), draw.randint(3, 6))))
        queries.append((" ".join(words[k] for k in kept), row + 1))
    draw.shuffle(queries)
    return queries


def lists(texts: list[str], vectors: np.ndarray) -> list[tuple[str, tuple[str, ...], tuple[float, ...]]]:
    """(query, LIST texts, the teacher's score of each)."""
    draw, found = random.Random(0), []
    rows = [row for row, text in enumerate(texts) if len(text.split()) in WORDS_OF_TEXT]
    long = [row for row in rows if len(texts[row].split()) > 40]
    others = sorted(set(rows) - set(long))
    rows = sorted({*long, *draw.sample(others, max(0, TEXTS - len(long)))})
    documents, unit = [texts[row] for row in rows], vectors[rows].astype(np.float32)  # (documents, 384)
    place, counted = {row: k for k, row in enumerate(rows)}, BM25(documents)
    queries = drawn_queries(texts, draw)
    asked = SentenceEncoder.load(minilm_folder()).encode(
        [query for query, _ in queries], normalize_embeddings=True, show_progress_bar=False
    )  # (queries, 384)
    _, near = top_k(asked, unit, DEPTH)  # (queries, DEPTH)
    for number, (query, row) in enumerate(queries):
        (counts,), (found_by_words,) = counted.search([query], DEPTH)  # (DEPTH,) each
        highest = max(float(counts[0]), 1e-6)
        count = dict(zip(found_by_words.tolist(), (counts / highest).tolist()))
        own = {place.get(row)} if texts[row] == query else set()  # that a text is like itself says nothing
        candidates = [k for k in dict.fromkeys([*near[number].tolist(), *count]) if k not in own]
        score = {k: float(unit[k] @ asked[number]) + WORDS * count.get(k, 0.0) for k in candidates}
        order = sorted(candidates, key=score.get, reverse=True)
        chosen = draw.sample(order[:4], 2) + draw.sample(order[4:DEPTH], min(3, len(order[4:DEPTH])))
        by_words = [k for k in count if k not in {*chosen, *own}]
        chosen += draw.sample(by_words, min(2, len(by_words)))
        while len(chosen) < LIST:
            chosen += [k for k in [draw.randrange(len(rows))] if k not in {*chosen, *own}]
        scores = [score.get(k, float(unit[k] @ asked[number])) for k in chosen]
        found.append((query, tuple(documents[k] for k in chosen), tuple(scores)))
    return found


def pairs_of(example: tuple) -> list[tuple[str, str]]:
    query, documents, _ = example
    return [(query, document) for document in documents]


def list_loss(logits: Tensor, batch: list[tuple]) -> Tensor:
    """logits (lists * LIST,) -> cross-entropy of the order they give from the teacher's, mean over lists, in nats."""
    wanted = torch.tensor([scores for *_, scores in batch]) / TEMPERATURE  # (lists, LIST)
    return F.cross_entropy(logits.view(len(batch), -1), wanted.softmax(1))


@torch.no_grad()
def agreement(scorer: CrossEncoder, held_out: list[tuple]) -> dict:
    """On lists not learnt from: the loss, and how often teacher and student name the same text first."""
    pairs = [pair for example in held_out for pair in pairs_of(example)]
    logits = torch.from_numpy(scorer.predict(pairs, torch.nn.Identity(), show_progress_bar=False))
    wanted = torch.tensor([scores for *_, scores in held_out])  # (lists, LIST)
    same = (logits.view(len(held_out), -1).argmax(1) == wanted.argmax(1)).float().mean().item()
    return {"held_out_loss": list_loss(logits, held_out).item(), "same_first": same}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    allowed = LeakFilter()
    texts = distillation.texts_to_learn(allowed)
    found = lists(texts, distillation.kept_vectors(texts, distillation.WORK / "minilm"))
    held_out, learnt = found[:HELD_OUT], found[HELD_OUT:]
    print(f"{len(learnt)} lists, {allowed.dropped} leaks dropped", flush=True)

    model = fresh(START)
    scorer = model["scorer"]

    def loss(batch: list[tuple]) -> Tensor:
        logits, by_token = read(model, [pair for example in batch for pair in pairs_of(example)])
        return list_loss(logits, batch) + by_token

    tokens = tokens_of(scorer, learnt, pairs_of)
    watch = [lambda model: agreement(model["scorer"], held_out)]
    history = train_in(
        WORK,
        model,
        loss,
        learnt,
        length=tokens.__getitem__,
        evaluators=watch,
        evaluate_every=500,
        checkpoint_every=250,
        **TRAINING,
    )
    scorer.save(model_folder(NAME), half=True)
    facts = {
        "lists": len(learnt),
        "texts_a_list": LIST,
        "leaks_dropped": allowed.dropped,
        "tokens": sum(tokens[example] for example in learnt),
    }
    facts |= {"words": WORDS, "temperature": TEMPERATURE, **TRAINING, **history[-1]}
    write_facts(NAME, facts)


if __name__ == "__main__":
    main()
