"""What is pre-training worth? Six kinds of question, told apart after 50, 200 or 1,000 labelled examples.

    COURSE_DATA=... python recipes/questions.py

Two starts of one architecture with one tokenizer: bert-mini's weights, and random ones. Each start gets the learning
rate of four that did best on 200 questions set aside from the training part, for each number of labels on its own; then
it is trained on several random samples and measured on the test part. Both take the same number of steps, and the same
head: a linear map on the vector of the first word. bert-mini's [CLS] was never trained to say anything about its text,
and the trials with 50 labels include it, so that one can see what it is worth. A training part that is too small for
1,000 labels beside the 200 gives the trials what there is; then the 200 are trained on, too.
Everything goes to data/results/04.csv: the trials as "questions-dev", the result as "questions". The models are not
kept.

Interrupted, it goes on with what build/questions.jsonl does not hold yet.
"""

import argparse
import random
import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertModel
from course_lib.data import load_results
from course_lib.datasets.questions import QUESTION_LABELS, Question, load_questions
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.support.folders import read_json, resolve
from course_lib.support.tokenization import tokenize
from course_lib.support.tokenizer_files import read_tokenizer
from course_lib.training import train
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.measured import Measured
from recipes.shared.places import BUILD
from recipes.shared.results import data_sha256, record, row

COMMAND, DONE = "python recipes/questions.py", BUILD / "questions.jsonl"
STEPS = {50: 100, 200: 200, 1000: 400}  # for each number of labels
RATES = (1e-4, 3e-4, 1e-3, 3e-3)  # the trials
SEEDS, DEV, BATCH = (0, 1, 2), 200, 16
SETS = ("course/questions", "trec_questions")
STARTS = {"pre-trained": "course/bert-mini", "scratch": "bert-mini's architecture, random weights"}


def questions(data: str) -> tuple[list[Question], list[Question]]:
    """Those to train on, and those to test on."""
    if data == "course/questions":
        return tuple([q for q in load_questions(data) if q.split == split] for split in ("train", "test"))
    return load_questions(f"{data}/train"), load_questions(f"{data}/test")


class FirstWordClassifier(nn.Module):
    """A linear map on the vector of the token after [CLS]."""

    def __init__(self, bert: BertModel):
        super().__init__()
        self.bert, self.classifier = bert, nn.Linear(bert.config.hidden_size, len(QUESTION_LABELS))

    def forward(self, input_ids: Tensor, lengths: list[int]) -> Tensor:
        cls = torch.tensor([0, *lengths[:-1]]).cumsum(0)  # where each question starts
        return self.classifier(self.bert(input_ids, lengths)[cls + 1])  # (questions, labels)


def new_classifier(start: str, head: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if start == "pre-trained":
        model = BertForSequenceClassification.load("course/bert-mini", num_labels=len(QUESTION_LABELS))
    else:
        config = BertConfig.from_dict(read_json(resolve("course/bert-mini") / "config.json"))
        model = BertForSequenceClassification(config, len(QUESTION_LABELS))
    return model if head == "[CLS]" else FirstWordClassifier(model.bert)


def logits_of(model: nn.Module, ids: list[np.ndarray]) -> Tensor:
    """(questions, labels), in the order given."""
    order = np.argsort([len(i) for i in ids], kind="stable")
    packed = torch.from_numpy(np.concatenate([ids[k] for k in order])).long()
    return model(packed, [len(ids[k]) for k in order])[torch.from_numpy(np.argsort(order))]


def train_classifier(start: str, head: str, chosen: list, rate: float, steps: int, seed: int) -> nn.Module:
    """Train a classifier on (token ids, label number) pairs."""
    model = new_classifier(start, head, seed)

    def loss(batch: list) -> Tensor:
        ids, labels = zip(*batch)
        return F.cross_entropy(logits_of(model, ids).float(), torch.tensor(labels))

    epochs = max(1, round(steps / -(-len(chosen) // BATCH)))
    settings = dict(batch_size=BATCH, learning_rate=rate, epochs=epochs, seed=seed)
    train(model, loss, chosen, **settings, show_progress_bar=False, log_every=10**6)
    return model


@torch.no_grad()
def accuracy(model: nn.Module, examples: list) -> float:
    parts = [[ids for ids, _ in examples[i : i + 256]] for i in range(0, len(examples), 256)]
    guesses = torch.cat([logits_of(model, part).argmax(1) for part in parts])  # (examples,)
    return (guesses == torch.tensor([label for _, label in examples])).double().mean().item()


def measure_questions(names: tuple[str, ...] = SETS) -> dict[str, list[dict]]:
    """The rows of both experiments, for the data sets named."""
    known = Measured(DONE)
    tokenizer = read_tokenizer(resolve("course/bert-mini"))
    bert = weights_sha256(model_folder("bert-mini"))
    rows: dict[str, list] = {"questions": [], "questions-dev": []}
    for data in names:
        files = [data] if data.startswith("course/") else [f"{data}/train", f"{data}/test"]
        sha = data_sha256(*files)
        pool, test = (
            list(zip(tokenize(tokenizer, [q.question for q in part], 128)[0], [q.label for q in part]))
            for part in questions(data)
        )
        random.Random(0).shuffle(pool)
        dev, pool = pool[:DEV], pool[DEV:]

        def sample(n, seed, where):
            enough = pool if n <= len(pool) or where == "questions-dev" else pool + dev
            return random.Random(seed).sample(enough, min(n, len(enough)))

        def measured(start, n, rate, seed, examples, where, head="first word"):
            steps = STEPS[n]
            key = (sha, start, head, n, rate, steps, seed, where)
            if key not in known:
                begun = time.perf_counter()
                value = accuracy(train_classifier(start, head, sample(n, seed, where), rate, steps, seed), examples)
                known.add(key, (value, time.perf_counter() - begun))
            value, seconds = known[key]
            setting = f"{head}, learning rate {rate:g}, {steps} steps"
            origin = dict(data_sha256=sha, model_sha256=bert if start == "pre-trained" else "")
            what = where, STARTS[start], data, "accuracy", value, COMMAND, seconds
            rows[where].append(row(*what, n=n, seed=seed, setting=setting, **origin))
            return value

        for n in STEPS:
            for start in STARTS:
                own = len(SEEDS)  # the seed of the trials' sample
                trials = {rate: measured(start, n, rate, own, dev, "questions-dev") for rate in RATES}
                best = max(trials, key=trials.get)
                if n == min(STEPS):
                    for rate in RATES:
                        measured(start, n, rate, own, dev, "questions-dev", "[CLS]")
                found = [measured(start, n, best, seed, test, "questions") for seed in SEEDS]
                shown = " ".join(f"{100 * share:.1f}" for share in found)
                print(f"{data:18} {start:12} {n:5} labels: {shown}   of {trials}", flush=True)
    return rows


def recorded_trials(data: str, n: int) -> pd.DataFrame:
    """The recorded trials with n labels: a row a learning rate, a column for each (start, head); accuracy in %."""
    rows = load_results("04").query("experiment == 'questions-dev' and data == @data and n == @n")
    heads, rates = rows.setting.str.extract(r"(.+), learning rate (.+), ").T.to_numpy()
    starts = rows.model.map({model: start for start, model in STARTS.items()})
    table = rows.assign(start=starts, head=heads, rate=rates.astype(float))
    return table.pivot(index="rate", columns=["start", "head"], values="value")


def recorded_accuracy(start: str, data: str) -> np.ndarray:
    """What was recorded on the test part, in %: (samples, sizes of STEPS)."""
    rows = load_results("04").query("experiment == 'questions' and data == @data")
    return rows[rows.model == STARTS[start]].pivot(index="seed", columns="n", values="value").to_numpy()


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for experiment, rows in measure_questions().items():
        record("04.csv", experiment, rows)


if __name__ == "__main__":
    main()
