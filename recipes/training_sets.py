"""What the trainings of training_recipes.py start from and learn from; no text that a model is measured on."""

import random
from functools import cache
from pathlib import Path

import torch

from course_lib.data import NLIExample, ScoredPair
from course_lib.models.masked_lm import BertForMaskedLM, load_masked_lm
from course_lib.support.tables import find, read_tsv
from course_lib.training import train
from recipes.bert_mini import masked_language_loss, save
from recipes.shared.made import made
from recipes.shared.places import BUILD
from recipes.shared.pretraining_batches import blocks, lengths_in, single_sentences
from recipes.shared.pretraining_text import CAPTIONS, NLI_FILES, LeakFilter, short_texts
from recipes.shared.results import data_sha256
from recipes.shared.sentence_pairs import nli_examples, nli_triplets

PAIRS, TRIPLETS, STSB = 1300, 4096, "stsbenchmark/train"
BLOCK = 512  # tokens


@cache
def scored_pairs(genre: str = "") -> list[ScoredPair]:
    """STSb train, or one genre of it."""
    allowed = LeakFilter()
    rows = [values for _, values in read_tsv(find(STSB), "genre", "score", "sentence1", "sentence2")]
    rows = [(a, b, score) for kind, score, a, b in rows if genre in kind and allowed(a) and allowed(b)]
    return [ScoredPair(a, b, float(score) / 5) for a, b, score in rows]


@cache
def labelled_pairs(count: int) -> list[NLIExample]:
    return random.Random(0).sample(nli_examples(LeakFilter()), count)


@cache
def triplets() -> list[tuple[str, str, str]]:
    return random.Random(0).sample([t for t in nli_triplets(LeakFilter()) if len(t) == 3], TRIPLETS)


@cache
def language_model(tokens: int) -> Path:
    """bert-mini's architecture and tokenizer, random weights, then so many tokens of masked captions and NLI texts."""
    folder = BUILD / "training_recipes" / f"language-model-{tokens}"
    if not made(folder, f"{tokens} {data_sha256(*CAPTIONS, *NLI_FILES)}"):
        pretrained, tokenizer, allowed = *load_masked_lm("course/bert-mini"), LeakFilter()
        torch.manual_seed(0)
        model = BertForMaskedLM(pretrained.config)
        if tokens:
            texts = random.Random(0).sample([text for text in short_texts() if allowed(text)], tokens // 8)
            ids, length = blocks(single_sentences(tokenizer, texts), BLOCK)

            def loss(batch: list[int]) -> torch.Tensor:
                lengths = [n for i in batch for n in lengths_in(BLOCK, length[i].item())]
                return masked_language_loss(model, ids[batch].flatten().long(), lengths)

            chosen = torch.randperm(len(ids))[: tokens // BLOCK].tolist()
            train(model, loss, chosen, batch_size=8, learning_rate=1e-3, warmup=0.05, show_progress_bar=False)
        save(model, tokenizer, folder)
    return folder
