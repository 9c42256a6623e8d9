"""What the trainings of training_recipes.py start from and learn from; no text that a model is measured on."""

import random
from functools import cache
from pathlib import Path

import torch

from course_lib.data import NLIExample, ScoredPair
from course_lib.models.masked_lm import BertForMaskedLM, load_masked_lm
from course_lib.support.tables import find, read_tsv
from course_lib.training import train
from recipes.bert_mini import BATCH, masked_language_loss, save, sentence_blocks
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter, short_texts
from recipes.shared.sentence_pairs import nli_examples, nli_triplets

PAIRS, TRIPLETS, STSB = 1300, 4096, "stsbenchmark/train"


@cache
def scored_pairs(genre: str = "") -> list[ScoredPair]:
    """STSb train, or one genre of it."""
    allowed = LeakFilter()
    rows = [values for _, values in read_tsv(find(STSB), "genre", "score", "sentence1", "sentence2")]
    rows = [(a, b, score) for kind, score, a, b in rows if genre in kind and allowed(a) and allowed(b)]
    return [ScoredPair(a, b, float(score) / 5) for a, b, score in rows]


@cache
def labelled_pairs() -> list[NLIExample]:
    return random.Random(0).sample(nli_examples(LeakFilter()), PAIRS)


@cache
def triplets() -> list[tuple[str, str, str]]:
    return random.Random(0).sample([t for t in nli_triplets(LeakFilter()) if len(t) == 3], TRIPLETS)


@cache
def language_model(tokens: int) -> Path:
    """bert-mini's architecture and tokenizer, random weights, then so many tokens of masked captions and NLI texts."""
    folder = BUILD / "training_recipes" / f"language-model-{tokens}"
    if not folder.exists():
        pretrained, tokenizer, allowed = *load_masked_lm("course/bert-mini"), LeakFilter()
        torch.manual_seed(0)
        model = BertForMaskedLM(pretrained.config)
        if tokens:
            texts = random.Random(0).sample([text for text in short_texts() if allowed(text)], tokens // 8)
            blocks, settings = sentence_blocks(tokenizer, texts, tokens), dict(learning_rate=1e-3, warmup=0.05)
            loss = lambda batch: masked_language_loss(model, batch)
            train(model, loss, blocks, batch_size=BATCH, show_progress_bar=False, **settings)
        save(model, tokenizer, folder)
    return folder
