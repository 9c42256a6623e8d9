"""Make `course/bert-mini`: WordPieces, then masked language modelling, from raw text to the folder in data/models.

    COURSE_DATA=... python recipes/bert_mini.py --ship

The matrices of the layers learn by Muon (Jordan et al. 2024; scaled as in Liu et al. 2025, arXiv 2502.16982), which
gets about twice as much out of a token as AdamW does; all else learns by AdamW. The learning rate rises, stays, and
falls at the end (Hu et al. 2024, arXiv 2404.06395). So a run whose rate has not begun to fall can be made longer, and
several falls can branch off it:

    python recipes/bert_mini.py --tokens 42_000_000 --decay-tokens 0  # constant rate; to go on: more tokens
    cp -r build/bert-mini build/fall
    python recipes/bert_mini.py --tokens 49_000_000 --decay-tokens 7_000_000 --work build/fall

Resumable: started again after an interruption, it goes on from the last checkpoint in its folder, with the batches
that it would have read. The encoder is left in FOLDER/model. With --ship it goes to data/models, and the curve of the
loss to data/results/04.csv, where notebook 04 finds it.

On Linux a step on the CPU takes a seventh less time where the C library keeps the memory that is given back: set
MALLOC_MMAP_MAX_=0 and MALLOC_TRIM_THRESHOLD_=100000000000 in the environment.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn

from course_lib.bert import BertConfig
from course_lib.encoder import SentenceEncoder
from course_lib.models.masked_lm import BertForMaskedLM, mask_tokens
from course_lib.modules import Pooling, Transformer
from course_lib.support.devices import native_bfloat16, pick_device
from course_lib.support.fingerprint import fingerprint
from course_lib.support.folders import atomic_folder, read_json, save_tensors, write_json
from course_lib.support.training_checkpoint import load_checkpoint, save_checkpoint
from recipes.shared.cards import model_folder, weights_sha256, write_facts
from recipes.shared.made import made
from recipes.shared.pretraining_batches import CLS, SEP, Text, blocks, running_text, single_sentences
from recipes.shared.pretraining_text import LeakFilter, articles, sentences_of, short_texts, text_sha256
from recipes.shared.results import record, row

WORK = Path("build/bert-mini")
VOCABULARY, MASK = 12_000, 4
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # tokens 0 to 4
TOKENIZER_CONFIG = {
    "tokenizer_class": "BertTokenizer",
    "do_lower_case": True,
    "model_max_length": 512,
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

# Tokens of a step: in sequences of 512 and of 128, in single sentences of Wikipedia, in captions and NLI sentences.
TEXTS = {
    "wikipedia": {"long": 1024, "running": 5120, "sentences": 2048},
    "mixed": {"long": 1024, "running": 4096, "sentences": 1536, "short": 1536},
}
NAMES = {"wikipedia": "Wikipedia", "mixed": "Wikipedia, captions, NLI sentences"}
STEP = 8192
# Share of the tokens to guess: a fifth of those that are not [CLS] or [SEP]. BERT's 15% is too few (Wettig et al. 2023,
# arXiv 2202.08005).
MASKED = 0.195
RATE, WARMUP = 2e-3, 200  # learning rate, and the steps in which it rises
SAVE_EVERY, LOG_EVERY = 300, 25  # seconds between checkpoints, steps between lines of the log


# ---- text: raw, then tokens, then blocks


def make_wordpieces() -> Tokenizer:
    """The vocabulary of the model that ships; where there is none, a new one, of every ninth article."""
    path = model_folder("bert-mini") / "tokenizer.json"
    if not path.exists():
        tokenizer = BertWordPieceTokenizer(lowercase=True)
        tokenizer.train_from_iterator(
            (paragraph for page in articles()[::9] for paragraph in page),
            vocab_size=VOCABULARY,
            min_frequency=5,
            limit_alphabet=300,
            special_tokens=SPECIAL,
            show_progress=False,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(path))
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.post_processor = TemplateProcessing(  # without it a text is encoded without [CLS] and [SEP]
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return tokenizer


def prepare(text: str, file: Path, tokenizer: Tokenizer) -> dict:
    """Write the blocks of each kind of text of TEXTS[text], once; returns the facts about them."""
    if not made(file, text_sha256(short="short" in TEXTS[text])):
        allowed = LeakFilter()
        pages = [[p for p in page if allowed(p)] for page in articles()]
        first, second = len(pages) // 8, len(pages) * 3 // 8  # three disjoint sets of articles
        single = [s for page in pages[first:second] for p in page for s in sentences_of(p) if allowed(s)]
        sequences = {
            "long": lambda: running_text(tokenizer, pages[:first], 512),
            "running": lambda: running_text(tokenizer, pages[second:], 128),
            "sentences": lambda: single_sentences(tokenizer, single),
            "short": lambda: single_sentences(tokenizer, [text for text in short_texts() if allowed(text)]),
        }
        tensors, facts = {}, {}
        for kind, size in TEXTS[text].items():
            tensors[f"{kind}.ids"], tensors[f"{kind}.length"] = blocks(sequences[kind](), size)
            facts[f"tokens_{kind}"] = tensors[f"{kind}.ids"].numel()
        write_json(file.with_suffix(".json"), facts | {"leaks_dropped": allowed.dropped})
        save_tensors(tensors, file.with_suffix(".unfinished"), half=False)
        file.with_suffix(".unfinished").replace(file)
    return read_json(file.with_suffix(".json"))


# ---- training


def masked_language_loss(model: BertForMaskedLM, ids: Tensor, lengths: list[int]) -> Tensor:
    """Hide some of the tokens, int64 (tokens,) on the CPU, and let the model guess them: mean cross-entropy, nats.

    Batches of one size hide the same number of tokens. Uses torch's global random state.
    """
    candidates = torch.nonzero((ids != CLS) & (ids != SEP)).squeeze(1)
    masked, positions, labels = mask_tokens(ids, candidates, int(MASKED * len(ids)), MASK, VOCABULARY)
    device = model.cls["predictions"].bias.device
    masked, positions, labels = (t.to(device, non_blocking=True) for t in (masked, positions, labels))
    return F.cross_entropy(model(masked, lengths, positions).float(), labels)


class Optimizers:
    """Muon for the matrices of the layers, AdamW for embeddings, head, biases and norms; to a checkpoint they are one.

    "match_rms_adamw" gives Muon's steps the size of AdamW's, so that one learning rate serves both.
    """

    def __init__(self, model: BertForMaskedLM):
        matrices = {id(p): p for p in model.bert.encoder.parameters() if p.ndim == 2}
        others = [p for p in model.parameters() if id(p) not in matrices]
        groups = [
            {"params": [p for p in others if p.ndim == 2], "weight_decay": 0.01},
            {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        ]
        muon = torch.optim.Muon(
            matrices.values(), lr=RATE, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        self.both = muon, torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), fused=True)
        self.offset = 0, len(matrices)  # in a checkpoint AdamW's parameters are numbered on from Muon's

    def step(self, rate: float):
        """Change the weights by their gradients, which are cleared."""
        for optimizer in self.both:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()

    def state_dict(self) -> dict:
        states = [optimizer.state_dict()["state"] for optimizer in self.both]
        joined = {i + offset: moments for state, offset in zip(states, self.offset) for i, moments in state.items()}
        return {"state": joined, "param_groups": []}

    def load_state_dict(self, saved: dict):
        for optimizer, offset in zip(self.both, self.offset):
            groups = optimizer.state_dict()["param_groups"]
            mine = range(offset, offset + sum(len(group["params"]) for group in groups))
            state = {i - offset: moments for i, moments in saved["state"].items() if i in mine}
            optimizer.load_state_dict({"state": state, "param_groups": groups})


def rate_factor(step: int, steps: int, decay_steps: int) -> float:
    """Rises to 1 over the first WARMUP steps, stays, falls linearly over the last `decay_steps`, to 0 after them."""
    return min((step + 1) / WARMUP, 1.0, (steps - step) / max(decay_steps, 1))


def pretrain(
    model: BertForMaskedLM, text: Text, checkpoint: Path, steps: int, decay_steps: int, settings: dict
) -> list[dict]:
    """Train until `steps` steps are done, from the checkpoint if there is one; returns the log.

    What a step reads and hides depends on seed and step alone. `settings` and text have to be those of the checkpoint.
    `steps` and `decay_steps` need not: this is how a run is made longer, and how a fall branches off.
    Raises FloatingPointError where the loss is not a finite number; the checkpoint is then the last one before.
    """
    optimizers, device = Optimizers(model), next(model.parameters()).device
    settings = settings | {"content": fingerprint(text.kinds)}
    step, history, before = 0, [], 0.0
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizers, settings)
        step, history, before = state["step"], state["history"], state["seconds"]
    model.train()
    losses: list[Tensor] = []  # they stay on the device: whoever reads one waits for it
    started = saved = time.perf_counter()
    while step < steps:
        torch.manual_seed((text.seed << 32) + step)
        with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(device)):
            loss = masked_language_loss(model, *text.batch(step))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(RATE * rate_factor(step, steps, decay_steps))
        losses.append(loss.detach())
        step += 1
        if step % LOG_EVERY == 0 or step == steps:
            mean, now = torch.stack(losses).mean().item(), time.perf_counter()
            if not np.isfinite(mean):
                raise FloatingPointError(f"the loss is {mean} in the steps before {step}")
            entry = {"step": step, "tokens": step * STEP, "loss": mean, "seconds": round(before + now - started, 1)}
            print(json.dumps(entry), flush=True)
            history.append(entry)
            losses.clear()
            if now - saved > SAVE_EVERY or step == steps:
                state = {"step": step, "history": history, "seconds": entry["seconds"], "settings": settings}
                save_checkpoint(checkpoint, model, optimizers, state)
                saved = now
    model.eval()
    return history


def curve(history: list[dict], text: str, points: int = 30) -> list[dict]:
    """About `points` lines of the log, closer together where the loss falls fastest: steps grow by a factor."""
    steps = np.array([entry["step"] for entry in history])
    at = {int(np.abs(steps - step).argmin()) for step in np.geomspace(steps[0], steps[-1], points)}
    data, weights = text_sha256(short="short" in TEXTS[text]), weights_sha256(model_folder("bert-mini"))
    return [
        row(
            "pretraining",
            "course/bert-mini",
            NAMES[text],
            "mlm_loss",
            history[i]["loss"],
            "python recipes/bert_mini.py",
            history[i]["seconds"],
            n=history[i]["tokens"],
            seed=0,
            data_sha256=data,
            model_sha256=weights,
        )
        for i in sorted(at)
    ]


def save(model: BertForMaskedLM, tokenizer: Tokenizer, folder: Path):
    """The folder: transformers' BertForMaskedLM, and modules.json so that it loads as an encoder with mean pooling."""
    files = {"tokenizer_config.json": json.dumps(TOKENIZER_CONFIG, indent=2).encode()}
    transformer = Transformer(model.bert, tokenizer, tokenizer_files=files)
    with atomic_folder(folder) as unfinished:
        SentenceEncoder([transformer, Pooling(model.config.hidden_size, "mean")]).save(unfinished, half=True)
        write_json(unfinished / "config.json", model.config.to_dict("BertForMaskedLM"))
        save_tensors(model.state_dict(), unfinished / "model.safetensors", half=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", choices=TEXTS, default="wikipedia", help="mixed: with captions and NLI sentences")
    parser.add_argument("--tokens", type=int, default=80_000_000, help="to read in all")
    parser.add_argument(
        "--decay-tokens", type=int, help="the last so many, while the rate falls to 0; 15%% of them by default"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="folder of checkpoint, prepared text and model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--ship", action="store_true", help="put the model, its curve and its facts into data")
    arguments = parser.parse_args()
    steps = arguments.tokens // STEP
    decay_steps = round(0.15 * steps) if arguments.decay_tokens is None else arguments.decay_tokens // STEP
    arguments.work.mkdir(parents=True, exist_ok=True)

    tokenizer, file = make_wordpieces(), arguments.work / f"{arguments.text}.safetensors"
    facts = prepare(arguments.text, file, tokenizer)
    print(facts, flush=True)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    model = BertForMaskedLM(config).to(pick_device(arguments.device))
    text, settings = Text(load_file(file)), {"text": arguments.text, "seed": 0}
    history = pretrain(model, text, arguments.work / "checkpoint.safetensors", steps, decay_steps, settings)
    save(model, tokenizer, arguments.work / "model")
    if arguments.ship:
        save(model, tokenizer, model_folder("bert-mini"))
        record("04.csv", "pretraining", curve(history, arguments.text))
        last = history[-1]
        facts |= {"steps": last["step"], "tokens": last["tokens"], "tokens_while_the_rate_fell": decay_steps * STEP}
        write_facts("bert-mini", facts | {"mlm_loss": last["loss"], "seconds": last["seconds"]})


if __name__ == "__main__":
    main()
