"""Fine-tune bert-mini on sentence pairs, two ways.

    COURSE_DATA=... python recipes/siamese.py OBJECTIVE

    softmax        course/sbert-mini-nli, the 2019 recipe: softmax over (u, v, |u - v|)
    ranking        multiple negatives ranking, on NLI and captions: what distillation.py starts from
    ranking-nli    the same on NLI alone, for comparison
    mined          ranking with mined negatives, from course/sbert-mini: a trial that does not ship

The ranking models stay in build/siamese. Resumable: started again after an interruption, each goes on from its last
checkpoint there.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.losses import MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.siamese import siamese_objective
from course_lib.support.folders import atomic_folder, save_tensors
from recipes.shared.cards import model_folder, write_facts
from recipes.shared.minilm import minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.sentence_pairs import all_caption_pairs, mined_triplets, nli_examples, nli_triplets
from recipes.shared.training import train_in

WORK = BUILD / "siamese"
RUNS = {  # name, start, batch size, learning rate, epochs
    "softmax": ("sbert-mini-nli", "course/bert-mini", 32, 2e-4, 1),
    "ranking": ("sbert-mini-ranking", "course/bert-mini", 64, 3e-4, 1),
    "ranking-nli": ("sbert-mini-nli-ranking", "course/bert-mini", 64, 3e-4, 1),
    "mined": ("sbert-mini-mined", "course/sbert-mini", 64, 5e-5, 1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objective", choices=RUNS)
    parser.add_argument("--work", type=Path, default=WORK)
    arguments = parser.parse_args()
    name, begin, batch_size, learning_rate, epochs = RUNS[arguments.objective]
    work = arguments.work / name

    allowed = LeakFilter()
    encoder = SentenceEncoder.load(begin)
    torch.manual_seed(0)
    encoder.max_seq_length = 128
    if arguments.objective == "softmax":
        examples, head = nli_examples(allowed), SoftmaxLoss(encoder.get_embedding_dimension())
        texts = [(e.premise, e.hypothesis) for e in examples]
    else:
        examples, head = nli_triplets(allowed), MultipleNegativesRankingLoss()
        if arguments.objective != "ranking-nli":
            examples += all_caption_pairs(allowed)
        if arguments.objective == "mined":
            examples = mined_triplets(examples, SentenceEncoder.load(minilm_folder()))
        texts = examples
    distinct = list({t for several in texts for t in several})
    tokens = dict(zip(distinct, map(len, encoder[0].tokenize(distinct)[0])))
    counts = {example: sum(tokens[t] for t in several) for example, several in zip(examples, texts)}
    print(f"{len(examples)} examples, {sum(counts.values())} tokens, {allowed.dropped} leaks dropped", flush=True)

    model = nn.ModuleDict({"encoder": encoder, "head": head})
    sts = EmbeddingSimilarityEvaluator(load_sts("stsbenchmark/dev"), "stsb_dev")
    history = train_in(
        work,
        model,
        siamese_objective(encoder, head),
        examples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        epochs=epochs,
        length=counts.__getitem__,
        checkpoint_every=250,
        evaluators=[lambda m: {"stsb_dev_spearman_cosine": sts(m["encoder"])[sts.primary_metric]}],
    )
    folder = model_folder(name) if arguments.objective == "softmax" else work / "model"
    with atomic_folder(folder) as unfinished:
        encoder.save(unfinished, half=True)
        if arguments.objective == "softmax":
            (unfinished / "softmax_head").mkdir()
            save_tensors(head.state_dict(), unfinished / "softmax_head" / "model.safetensors", half=True)
    epochs_seen = [entry for entry in history if "stsb_dev_spearman_cosine" in entry]
    write_facts(
        name,
        {
            "examples": len(examples),
            "leaks_dropped": allowed.dropped,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "epochs": epochs,
            "tokens": epochs * sum(counts.values()),
            "loss": history[-1]["loss"],
            "seconds": history[-1]["seconds"],
            "stsb_dev_by_epoch": [e["stsb_dev_spearman_cosine"] for e in epochs_seen],
        },
    )


if __name__ == "__main__":
    main()
