"""Fine-tune bert-mini on sentence pairs: the objective of 2019, and the one that replaced it.

    COURSE_DATA=... python recipes/siamese.py OBJECTIVE

    softmax     course/sbert-mini-nli: softmax over (u, v, |u - v|) on SNLI
    ranking     course/sbert-mini-ranking: multiple negatives ranking on SNLI and MultiNLI, nothing else
    mined       the same with mined negatives on all NLI sets and captions, from course/sbert-mini: does not ship

A head that knows nothing asks the encoder for nonsense, and at a rate that teaches something the encoder pays for it.
So the softmax head is fitted first, on the vectors as they are; then both learn together: linear probing, then
fine-tuning (Kumar et al. 2022, arXiv 2202.10054). Which pairs, how many and which rate was chosen on STSb dev, which
stops rising long before the NLI accuracy does. Softmax does without MultiNLI: this small model hardly learns to label
its pairs, and trying makes it worse at everything else; the ranking loss gains from them. recipes/objectives.py
compares, with three seeds each.

Resumable: started again after an interruption, it goes on from its last checkpoint in build/siamese.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.data import NLIExample, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.losses import MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.siamese import siamese_objective
from course_lib.support.folders import atomic_folder, save_tensors
from course_lib.support.training_examples import columns
from course_lib.training import train
from recipes.shared.cards import model_folder, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.sentence_pairs import MULTINLI, SNLI, all_caption_pairs, mined_triplets, nli_examples, nli_triplets
from recipes.shared.training import train_in

WORK = BUILD / "siamese"


class Settings(NamedTuple):
    model: str
    learning_rate: float
    begin: str = "course/bert-mini"
    share: float = 1.0  # of the examples; each is seen once
    ships: bool = False


OBJECTIVES = {
    "softmax": Settings("sbert-mini-nli", 1e-4, share=0.5, ships=True),
    "ranking": Settings("sbert-mini-ranking", 3e-4, ships=True),
    "mined": Settings("sbert-mini-mined", 5e-5, begin="course/sbert-mini"),
}
NLI_OF = {"softmax": SNLI, "ranking": SNLI + MULTINLI}
BATCH = 64
HEAD_RATE = 3e-3  # of the head alone


def examples_of(objective: str, allowed: LeakFilter) -> list:
    """NLIExamples for "softmax"; tuples (anchor, positive) or (anchor, positive, negative) for all others."""
    if objective == "softmax":
        return nli_examples(allowed, NLI_OF[objective])
    if objective == "ranking":
        return nli_triplets(allowed, NLI_OF[objective])
    return mined_triplets(nli_triplets(allowed) + all_caption_pairs(allowed), SentenceEncoder.load(minilm_folder()))


def fit_head(
    head: SoftmaxLoss,
    encoder: SentenceEncoder,
    examples: Sequence[NLIExample],
    seed: int = 0,
    *,
    batch_size: int = BATCH,
    epochs: int = 1,
):
    """Teach the head to read the encoder's vectors as they are: the encoder is left alone, and reads each text once."""
    sides = [example.premise for example in examples], [example.hypothesis for example in examples]
    u, v = (torch.from_numpy(encoder.encode(side, show_progress_bar=False)) for side in sides)  # (examples, dim) each
    known = list(zip(u, v, torch.tensor([example.label for example in examples])))

    def loss(batch: list[tuple]) -> torch.Tensor:
        return head(*map(torch.stack, zip(*batch)))

    train(
        head,
        loss,
        known,
        batch_size=batch_size,
        learning_rate=HEAD_RATE,
        epochs=epochs,
        seed=seed,
        show_progress_bar=False,
    )


def token_counts(encoder: SentenceEncoder, examples: Sequence) -> dict:
    """{example: tokens of all its texts}"""
    texts = {example: [v for v in columns(example).values() if isinstance(v, str)] for example in examples}
    distinct = list({text for several in texts.values() for text in several})
    tokens = dict(zip(distinct, map(len, encoder[0].tokenize(distinct)[0])))
    return {example: sum(tokens[text] for text in several) for example, several in texts.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objective", choices=OBJECTIVES)
    parser.add_argument("--work", type=Path, default=WORK)
    arguments = parser.parse_args()
    settings, allowed = OBJECTIVES[arguments.objective], LeakFilter()
    work = arguments.work / settings.model

    encoder = SentenceEncoder.load(settings.begin)
    encoder.max_seq_length = 128
    examples = examples_of(arguments.objective, allowed)
    examples = random.Random(0).sample(examples, round(settings.share * len(examples)))
    counts = token_counts(encoder, examples)
    print(f"{len(examples)} examples, {sum(counts.values())} tokens, {allowed.dropped} leaks dropped", flush=True)

    torch.manual_seed(0)
    softmax = arguments.objective == "softmax"
    head = SoftmaxLoss(encoder.get_embedding_dimension()) if softmax else MultipleNegativesRankingLoss()
    if softmax and not (work / "checkpoint.safetensors").exists():
        fit_head(head, encoder, examples)
    sts = EmbeddingSimilarityEvaluator(load_sts("stsbenchmark/dev"), "stsb_dev")
    history = train_in(
        work,
        nn.ModuleDict({"encoder": encoder, "head": head}),
        siamese_objective(encoder, head),
        examples,
        batch_size=BATCH,
        learning_rate=settings.learning_rate,
        length=counts.__getitem__,
        checkpoint_every=250,
        evaluators=[lambda model: {"stsb_dev": sts(model["encoder"])[sts.primary_metric]}],
    )
    with atomic_folder(model_folder(settings.model) if settings.ships else work / "model") as unfinished:
        encoder.save(unfinished, half=True)
        if softmax:
            (unfinished / "softmax_head").mkdir()
            save_tensors(head.state_dict(), unfinished / "softmax_head" / "model.safetensors", half=True)
    write_facts(
        settings.model,
        {
            "examples": len(examples),
            "leaks_dropped": allowed.dropped,
            "batch_size": BATCH,
            "learning_rate": settings.learning_rate,
            "tokens": sum(counts.values()),
            "loss": history[-1]["loss"],
            "seconds": history[-1]["seconds"],
            "stsb_dev": history[-1]["stsb_dev"],
        },
    )


if __name__ == "__main__":
    main()
