"""Exact search beside FAISS and sentence-transformers: the same vectors, the same queries, the same run.

    python benchmarks/search.py [--vectors 1000000] [--queries 100] [--rounds 7]

The vectors are random: points around 2,000 random centres, of length 1. So the times are those of any vectors, and the
recalls only show how roundings compare. Contenders take turns, round by round; medians and the ratios of each round
are printed. Takes 7 GB of memory with a million vectors.

FAISS is measured as it comes and at its best. As it comes, version 1.15 takes one query after the other up to 128,000
of them. At its best it multiplies blocks from 20 queries on (distance_compute_blas_threshold), with the AVX512 kernels
of the OpenBLAS in its wheel, which does not know recent processors and would take slow kernels on them
(OPENBLAS_CORETYPE).
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from machine import cores, cpu_features, cpu_name

if cpu_features().get("AVX512"):
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"  # read when FAISS is imported

import faiss
import numpy as np
import torch
from sentence_transformers.util import semantic_search
from torch.nn.functional import normalize

from course_lib.retrieval.quantization import quantize, rescored_top_k, value_ranges
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.products import dot_products, has_coarse_products

DIM, K, BLOCK = 384, 10, 16_384


def clustered(n: int, seed: int) -> torch.Tensor:
    """Unit vectors (n, DIM) around 2,000 centres, which are the same for every seed."""
    centres = torch.randn(2000, DIM, generator=torch.Generator().manual_seed(0))
    generator, vectors = torch.Generator().manual_seed(seed), torch.empty(n, DIM)
    for part in vectors.split(BLOCK):
        noise = torch.randn(len(part), DIM, generator=generator)
        part.copy_(normalize(centres[torch.randint(2000, (len(part),), generator=generator)] + noise, dim=1))
    return vectors


def faiss_search(index, queries: torch.Tensor, least_for_blas: int):
    """Distances and rows, multiplying blocks where there are at least `least_for_blas` queries."""
    faiss.cvar.distance_compute_blas_threshold = least_for_blas
    return index.search(queries.numpy(), K)


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(contenders: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one that does not count."""
    times = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, run in contenders.items():
            times[name] += [seconds(run)][: bool(i)]
    return times


def print_times(times: dict[str, list[float]], peers: list[str], extra: dict[str, str]):
    ratio = {peer: f"times {peer}" for peer in peers}
    print(f"{'':36} {'ms':>6}   " + "   ".join(f"{text:<39}" for text in ratio.values()) + "   recall@10")
    for name, measured in times.items():
        columns = []
        for peer in peers:
            ratios = [theirs / ours for theirs, ours in zip(times[peer], measured)]
            columns.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        print(
            f"{name:36} {1000 * statistics.median(measured):6.0f}   "
            + "   ".join(f"{text:<39}" for text in columns)
            + f"   {extra[name]}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    faiss.omp_set_num_threads(threads)
    corpus, queries = clustered(arguments.vectors, 1), clustered(arguments.queries, 2)
    ranges = value_ranges(corpus[:20_000])
    rounded, rounded_queries = corpus.bfloat16(), queries.bfloat16()
    codes, bits = quantize(corpus, "int8", ranges), quantize(corpus, "ubinary")
    index = faiss.IndexFlatIP(DIM)
    index.add(corpus.numpy())
    as_it_comes = faiss.cvar.distance_compute_blas_threshold
    print(
        f"{cpu_name()}, {cores()} cores, {threads} threads; torch {torch.__version__}, faiss {faiss.__version__}, "
        f"OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', '')}; native bfloat16: "
        f"{has_coarse_products(rounded_queries, rounded)}"
    )

    searches = {
        "course_lib float32": lambda q, b: top_k(q, corpus, K, dot_score),
        "course_lib float32, cosine": lambda q, b: top_k(q, corpus, K),
        "course_lib bfloat16": lambda q, b: top_k(b, rounded, K, dot_score),
        "course_lib int8, rescored": lambda q, b: rescored_top_k(q, codes, corpus, K, ranges, rescore_multiplier=2),
        "course_lib bits, rescored": lambda q, b: rescored_top_k(q, bits, corpus, K, rescore_multiplier=20),
        "FAISS IndexFlatIP": lambda q, b: faiss_search(index, q, as_it_comes),
        "FAISS IndexFlatIP at its best": lambda q, b: faiss_search(index, q, 20),
        "semantic_search, cosine (default)": lambda q, b: semantic_search(q, corpus, top_k=K),
        "semantic_search, dot of unit vectors": lambda q, b: semantic_search(
            q, corpus, top_k=K, score_function=dot_score
        ),
    }
    exact = top_k(queries, corpus, K, dot_score)[1]

    def rows(found):
        return [[hit["corpus_id"] for hit in hits] for hits in found] if isinstance(found, list) else found[1].tolist()

    recalls = {
        name: np.mean(
            [len(set(a) & set(b)) / K for a, b in zip(rows(search(queries, rounded_queries)), exact.tolist())]
        )
        for name, search in searches.items()
    }
    recalls["course_lib int8, not rescored"] = np.mean(
        [
            len(set(a) & set(b)) / K
            for a, b in zip(
                rescored_top_k(queries, codes, corpus, K, ranges, rescore_multiplier=1)[1].tolist(), exact.tolist()
            )
        ]
    )
    recalls["course_lib bits, not rescored"] = np.mean(
        [
            len(set(a) & set(b)) / K
            for a, b in zip(rescored_top_k(queries, bits, corpus, K, rescore_multiplier=1)[1].tolist(), exact.tolist())
        ]
    )
    text = {name: f"{recall:.3f}" for name, recall in recalls.items()}
    text["course_lib int8, rescored"] += f" ({recalls['course_lib int8, not rescored']:.3f} without)"
    text["course_lib bits, rescored"] += f" ({recalls['course_lib bits, not rescored']:.3f} without)"

    peers = ["FAISS IndexFlatIP", "FAISS IndexFlatIP at its best", "semantic_search, cosine (default)"]
    for n in dict.fromkeys((arguments.queries, 1)):
        q, b = queries[:n], rounded_queries[:n]
        times = compare(
            {name: lambda search=search: search(q, b) for name, search in searches.items()}, arguments.rounds
        )
        print(
            f"\n{n} {'query' if n == 1 else 'queries'}, {len(corpus):,} vectors of {DIM}, the best {K}; "
            f"{arguments.rounds} rounds: median (lowest-highest)"
        )
        print_times(times, peers, text)
        if n > 1:
            at_once = times
    best = {name: min(measured) for name, measured in times.items()}  # of one query, which is bound by memory

    flops, block = 2 * arguments.queries * DIM * len(corpus), slice(0, BLOCK)
    eight_bits = torch.from_numpy(np.ascontiguousarray(codes[block])) if isinstance(codes, np.ndarray) else codes[block]
    query_codes = torch.randint(-127, 128, queries.shape, dtype=torch.int8)
    print("\nshare of a bare product of the same shape, one block over and over (best of 30)")
    for name, product in [
        ("course_lib float32", lambda: dot_products(queries, corpus[block])),
        ("course_lib bfloat16", lambda: rounded_queries @ rounded[block].T),
        ("course_lib int8, rescored", lambda: dot_products(query_codes, eight_bits)),
    ]:
        bare = 2 * arguments.queries * DIM * len(corpus[block]) / min(seconds(product) for _ in range(30))
        rate = flops / statistics.median(at_once[name])
        print(f"{name:36} {rate / 1e9:6.0f} of {bare / 1e9:.0f} GFLOP/s: {100 * rate / bare:.0f}%")
    print("\nshare of a bare read of the corpus, one query (best round)")
    for name, vectors in [
        ("course_lib float32", corpus),
        ("course_lib bfloat16", rounded),
        ("course_lib int8, rescored", codes),
        ("course_lib bits, rescored", torch.as_tensor(bits)),
        ("FAISS IndexFlatIP", corpus),
    ]:
        size = vectors.numel() * vectors.element_size()
        numbers = vectors.view(-1).view(torch.float32)
        bare = size / min(seconds(numbers.sum) for _ in range(5))
        print(
            f"{name:36} {size / best[name] / 1e9:6.1f} of {bare / 1e9:.1f} GB/s: {100 * size / best[name] / bare:.0f}%"
        )


if __name__ == "__main__":
    main()
