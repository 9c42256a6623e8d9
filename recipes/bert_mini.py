"""Make `course/bert-mini`: WordPieces, then masked language modelling, from raw text to the folder in data/models.

    COURSE_DATA=... python recipes/bert_mini.py [--tokens 30_000_000]

Resumable: started again after an interruption, it goes on from the last checkpoint in build/bert-mini. The log is
build/bert-mini/log.jsonl; some of its lines go to data/results/04.csv, as the curve that notebook 04 shows.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.processors import TemplateProcessing

from course_lib.bert import BertConfig
from course_lib.encoder import SentenceEncoder
from course_lib.models.masked_lm import BertForMaskedLM, mask_tokens
from course_lib.modules import Pooling, Transformer
from course_lib.support.folders import atomic_folder, save_tensors, write_json
from course_lib.training import train
from recipes.shared.cards import model_folder, weights_sha256, write_facts
from recipes.shared.pretraining_text import LeakFilter, articles, sentences_of, short_texts, text_sha256
from recipes.shared.results import record, row

WORK = Path("build/bert-mini")
VOCABULARY, BLOCK, BATCH = 12_000, 512, 8
MASKED = 72  # of the 512 tokens of an example: 14%, or 15% of those that are not [CLS] or [SEP]
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
TOKENIZER_CONFIG = json.dumps(
    {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": 512,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    indent=2,
)
CLS, SEP, MASK = SPECIAL["[CLS]"], SPECIAL["[SEP]"], SPECIAL["[MASK]"]
# shares of the tokens: sequences of 512, single Wikipedia sentences, captions and NLI sentences; the rest is sequences of 128
LONG, SENTENCES, SHORT = 0.10, 0.15, 0.17


def make_wordpieces(texts: list[str]) -> Tokenizer:
    path = WORK / "tokenizer.json"
    if not path.exists():
        tokenizer = BertWordPieceTokenizer(lowercase=True)
        tokenizer.train_from_iterator(
            texts,
            vocab_size=VOCABULARY,
            min_frequency=5,
            limit_alphabet=300,
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
        tokenizer.save(str(path.with_suffix(".unfinished")))
        path.with_suffix(".unfinished").rename(path)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.post_processor = TemplateProcessing(  # without it a text is encoded without [CLS] and [SEP]
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, SPECIAL[t]) for t in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def ids_of(tokenizer, texts: list[str]) -> list[list[int]]:
    return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def full_blocks(tokenizer, pages: list[list[str]], length: int, tokens: int) -> list[tuple]:
    """Running text of whole articles, cut into sequences of exactly `length`; BLOCK // length of them make an example."""
    examples, sequences, body = [], [], []
    for page in pages:
        body += [i for ids in ids_of(tokenizer, page) for i in ids]
        while len(body) >= length - 2:
            sequences.append([CLS, *body[: length - 2], SEP])
            body = body[length - 2 :]
            if len(sequences) == BLOCK // length:
                examples.append((np.array(sequences, dtype=np.uint16).ravel(), [length] * len(sequences)))
                sequences = []
        body = []  # a sequence does not run over into the next article
        if len(examples) * BLOCK >= tokens:
            break
    return examples


def sentence_blocks(tokenizer, texts: list[str], tokens: int) -> list[tuple]:
    """Single sentences. An example holds as many of one length as fit, and one more that fills it to exactly BLOCK tokens:
    batches of one size keep the memory of the matrix library small. Sentences of a length whose fillers have run out are
    left out, so that somewhat fewer come out than `tokens` says."""
    by_length: dict[int, list] = {}
    total = 0
    for ids in ids_of(tokenizer, texts):
        if 3 <= len(ids) <= 126 and total < tokens:
            by_length.setdefault(len(ids) + 2, []).append([CLS, *ids, SEP])
            total += len(ids) + 2
    examples = []
    for length in sorted(by_length, reverse=True):
        n, left = divmod(BLOCK, length)
        if 0 < left < 5:  # too short for a sentence: one of the n is replaced by a longer one
            n, left = n - 1, left + length
        while len(by_length[length]) >= n and (not left or by_length.get(left)):
            sentences = [by_length[length].pop() for _ in range(n)] + ([by_length[left].pop()] if left else [])
            examples.append((np.array([i for s in sentences for i in s], dtype=np.uint16), [len(s) for s in sentences]))
    return examples


def make_examples(tokenizer, pages: list[list[str]], short: list[str], tokens: int) -> list[tuple]:
    at = [0, len(pages) // 8, len(pages) // 8 + len(pages) // 5, len(pages)]  # three disjoint sets of articles
    single = [s for page in pages[at[1] : at[2]] for p in page for s in sentences_of(p)]
    random.Random(1).shuffle(single)
    examples = full_blocks(tokenizer, pages[at[0] : at[1]], 512, int(LONG * tokens))
    examples += sentence_blocks(tokenizer, single, int(SENTENCES * tokens))
    examples += 2 * sentence_blocks(tokenizer, short, int(SHORT * tokens) // 2)
    rest = tokens - sum(len(ids) for ids, _ in examples)
    return examples + full_blocks(tokenizer, pages[at[2] : at[3]], 128, rest)


def masked_language_loss(model: BertForMaskedLM, batch: list[tuple]) -> torch.Tensor:
    ids = torch.from_numpy(np.concatenate([ids for ids, _ in batch]).astype(np.int64))  # (tokens,)
    lengths = [n for _, ns in batch for n in ns]
    candidates = torch.nonzero((ids != CLS) & (ids != SEP)).squeeze(1)
    masked, positions, labels = mask_tokens(ids, candidates, MASKED * len(batch), MASK, VOCABULARY)
    return F.cross_entropy(model(masked, lengths, positions).float(), labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=30_000_000)
    tokens = parser.parse_args().tokens
    WORK.mkdir(parents=True, exist_ok=True)

    allowed = LeakFilter()
    pages = [[p for p in page if allowed(p)] for page in articles()]
    short = [text for text in short_texts() if allowed(text)]
    random.Random(0).shuffle(short)
    sample = [p for page in pages[:: max(1, len(pages) // 3000)] for p in page]
    tokenizer = make_wordpieces(sample + short)
    examples = make_examples(tokenizer, pages, short, tokens)
    del pages, short
    if sum(len(ids) for ids, _ in examples) < 0.98 * tokens:
        raise SystemExit(f"the text in COURSE_DATA does not fill {tokens} tokens; give fewer with --tokens")
    facts = {
        "tokens": sum(len(ids) for ids, _ in examples),
        "sequences": sum(len(n) for _, n in examples),
        "leaks_dropped": allowed.dropped,
    }
    (WORK / "data.json").write_text(json.dumps(facts), encoding="utf-8")
    print(facts, flush=True)

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=SPECIAL["[PAD]"],
    )
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    with open(WORK / "log.jsonl", "a", encoding="utf-8") as log:
        history = train(
            model,
            lambda batch: masked_language_loss(model, batch),
            examples,
            batch_size=BATCH,
            learning_rate=1e-3,
            warmup=0.05,
            length=lambda example: len(example[0]),
            checkpoint=WORK / "checkpoint.safetensors",
            checkpoint_every=250,
            log=lambda entry: print(json.dumps(entry), file=log, flush=True),
            show_progress_bar=False,
        )
    save(model, tokenizer, model_folder("bert-mini"))
    record("04.csv", "pretraining", curve(history))
    write_facts(
        "bert-mini",
        facts | {"mlm_loss": history[-1]["loss"], "steps": history[-1]["step"], "seconds": history[-1]["seconds"]},
    )


def curve(history: list[dict], points: int = 30) -> list[dict]:
    """About `points` lines of the log, closer together where the loss falls fastest: their steps grow by a constant factor."""
    at = {
        min(range(len(history)), key=lambda i: abs(history[i]["step"] - step))
        for step in np.geomspace(history[0]["step"], history[-1]["step"], points)
    }
    data, model = text_sha256(), weights_sha256(model_folder("bert-mini"))
    return [
        row(
            "pretraining",
            "course/bert-mini",
            "Wikipedia, captions, NLI sentences",
            "mlm_loss",
            history[i]["loss"],
            "python recipes/bert_mini.py",
            history[i]["seconds"],
            n=history[i]["step"] * BATCH * BLOCK,
            seed=0,
            data_sha256=data,
            model_sha256=model,
        )
        for i in sorted(at)
    ]


def save(model: BertForMaskedLM, tokenizer, folder: Path):
    """The folder: transformers' BertForMaskedLM, and modules.json so that it loads as an encoder with mean pooling."""
    transformer = Transformer(
        model.bert, tokenizer, tokenizer_files={"tokenizer_config.json": TOKENIZER_CONFIG.encode()}
    )
    SentenceEncoder([transformer, Pooling(model.config.hidden_size, "mean")]).save(folder, half=True)
    with atomic_folder(folder) as unfinished:
        shutil.copytree(folder, unfinished, dirs_exist_ok=True)
        write_json(unfinished / "config.json", model.config.to_dict("BertForMaskedLM"))
        save_tensors(model.state_dict(), unfinished / "model.safetensors", half=True)


if __name__ == "__main__":
    main()
