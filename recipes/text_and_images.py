"""One space for texts and pictures: what course/sbert-mini and a small image encoder learn from drawn scenes. Writes data/results/16.csv.

    python recipes/text_and_images.py [--runs N]

4,000 scenes of the 72 seen kinds (count, colour, shape), a picture and a caption each; 5 epochs in batches of 64,
learning rate 2e-3 (tuned: 3e-4), symmetric ranking loss with scale 20. Settings, with three seeds each:

    whitened         the text encoder frozen, its vectors whitened, a Dense on top: what the notebook trains
    raw              the same without whitening
    hard negatives   and each caption of two groups with its colours exchanged as a further negative, where its kinds are seen
    tuned            raw, and the text encoder learns as well (but for its word embeddings)

Metrics are shares. No scene that is tested on was trained on. All have two groups, but for the 144 single groups of unseen
kinds: nearly every single group of a seen kind is in the training. Recall@1 from text to picture and back, each among 100: 50
scenes whose kinds are all unseen (or all of 18 seen kinds, for comparison) and 50 scenes of any kinds, ten times; and both
directions' mean among all 1,000. "near miss, PART": pictures of unseen kinds that are nearer to their caption than to the
same with one part changed (chance 0.5). "binding": pictures of seen kinds nearer to their caption than to the one with the
colours exchanged, where that scene is of seen kinds, and not trained on, too (chance 0.5). "zero-shot, PART": single groups
of unseen kinds, told by short prompts, or ("averaged") by the mean of all captions like "a small red circle at the
top" that fit the class.

Interrupted, or stopped after N trainings, it goes on with what build/text_and_images.jsonl does not hold yet: delete that file
to measure all anew (seven minutes on one core).
"""

import argparse
import hashlib
import json
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib.datasets.pictures import (
    COLOURS,
    COUNTS,
    FAMILIAR,
    PLACES,
    SEEN,
    SHAPES,
    SIZES,
    UNSEEN,
    Group,
    Scene,
    captions,
    draw,
    sample_scenes,
)
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.images import ImageEncoder, TextImageEncoder, whitening
from course_lib.models.surgery import freeze
from course_lib.modules import Dense
from course_lib.training import train
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.results import record, row

COMMAND, DONE, TEXT = "python recipes/text_and_images.py", Path("build/text_and_images.jsonl"), "course/sbert-mini"
SCENES, DIM, BATCH, RATE, SEEDS = 4000, 128, 64, 2e-3, (0, 1, 2)
SETTINGS, EPOCHS = ("whitened", "raw", "hard negatives", "tuned"), 5
PROMPTS = {
    "colour": {colour: f"something {colour}" for colour in COLOURS},
    "shape": {shape: f"a {shape}" for shape in SHAPES},
    "count": {1: "one shape", 2: "two shapes", 3: "three shapes"},
}
TUNED_RATE = 3e-4  # a trained encoder takes smaller steps


def build(setting: str, vectors: torch.Tensor) -> TextImageEncoder:
    """The two encoders before training. vectors: (captions, dim) of the text encoder, to whiten by."""
    text = SentenceEncoder.load(TEXT, device="cpu", dtype="float32")
    text.requires_grad_(False)
    if setting == "tuned":
        text.requires_grad_(True)
        freeze(text, 0)
    dim = text.get_embedding_dimension()
    between = [] if setting in ("raw", "tuned") else [whitening(vectors)]
    return TextImageEncoder(
        SentenceEncoder([*text, *between, Dense(dim, DIM, activation_function=None)], dtype="float32"),
        ImageEncoder(DIM),
    )


def known(scene: Scene) -> bool:
    """Are both kinds of this scene among the seen?"""
    return all(group.kind in SEEN for group in scene.groups)


def train_one(setting: str, seed: int) -> tuple[TextImageEncoder, list[dict]]:
    scenes = sample_scenes(SCENES, seed, SEEN)
    pictures, own = (
        torch.from_numpy(draw(scenes, seed)),
        [captions(scene)[i % len(captions(scene))] for i, scene in enumerate(scenes)],
    )
    exchanged = [
        captions(scene.swapped())[i % len(captions(scene))]
        if len(scene.groups) == 2 and known(scene.swapped())
        else None
        for i, scene in enumerate(scenes)
    ]
    encoder = SentenceEncoder.load(TEXT, device="cpu", dtype="float32")
    texts = list(dict.fromkeys(own + [text for text in exchanged if text and setting == "hard negatives"]))
    vectors = dict(zip(texts, torch.from_numpy(encoder.encode(texts, show_progress_bar=False))))  # each (256,)
    torch.manual_seed(seed)
    towers = build(setting, torch.stack([vectors[text] for text in own]))
    head = nn.Sequential(*list(towers.text)[2:])  # what stands behind Transformer and Pooling
    ranking = MultipleNegativesRankingLoss(symmetric=True)

    def of_texts(some: list[str]) -> torch.Tensor:
        return towers.text(some) if setting == "tuned" else head(torch.stack([vectors[text] for text in some]))

    def objective(batch: list[int]) -> torch.Tensor:
        hard = [exchanged[i] for i in batch if exchanged[i]] if setting == "hard negatives" else []
        return ranking(
            towers.image(pictures[batch]), of_texts([own[i] for i in batch]), *([of_texts(hard)] if hard else [])
        )

    history = train(
        nn.ModuleDict({"image": towers.image, "text": towers.text}),
        objective,
        range(SCENES),
        batch_size=BATCH,
        learning_rate=TUNED_RATE if setting == "tuned" else RATE,
        epochs=EPOCHS,
        seed=seed,
        show_progress_bar=False,
    )
    return towers, history


def cosines(towers: TextImageEncoder, pictures: np.ndarray, texts: list[str]) -> np.ndarray:
    """(pictures, texts)."""
    return (
        towers.image.encode(pictures, normalize_embeddings=True)
        @ towers.text.encode(texts, normalize_embeddings=True, show_progress_bar=False).T
    )


def candidates(kinds, seed: int) -> list[Scene]:
    """1,000 scenes that were not trained on, in ten sets of candidates: 50 of these kinds, which are looked for, then 50 of any."""
    trained = sample_scenes(SCENES, seed, SEEN)
    wanted = sample_scenes(500, 1000 + seed, kinds, pairs=1.0, without=trained)
    any_kind = sample_scenes(500, 1500 + seed, pairs=1.0, without=trained + wanted)
    return [scene for k in range(0, 500, 50) for scene in wanted[k : k + 50] + any_kind[k : k + 50]]


def preferred(towers: TextImageEncoder, pictures: np.ndarray, scenes: list[Scene], others: list[Scene]) -> float:
    """The share of pictures, one a scene, nearer to their caption than to that of the other scene."""
    seen = towers.image.encode(pictures, normalize_embeddings=True)  # (n, 128)
    right, wrong = (
        towers.text.encode([captions(scene)[0] for scene in some], normalize_embeddings=True, show_progress_bar=False)
        for some in (scenes, others)
    )
    return float(((seen * right).sum(1) > (seen * wrong).sum(1)).mean())


def measure(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    found = {}
    for name, kinds in (("unseen", UNSEEN), ("seen", FAMILIAR)):
        scenes = candidates(kinds, seed)
        scores = cosines(
            towers,
            draw(scenes, 1000 + seed),
            [captions(scene)[i % len(captions(scene))] for i, scene in enumerate(scenes)],
        )  # (1000, 1000)
        sets = [scores[k : k + 100, k : k + 100] for k in range(0, 1000, 100)]
        found[f"image to text, {name}"] = float(np.mean([s.argmax(1)[:50] == np.arange(50) for s in sets]))
        found[f"text to image, {name}"] = float(np.mean([s.argmax(0)[:50] == np.arange(50) for s in sets]))
        wanted = np.arange(1000) % 100 < 50
        found[f"both among 1000, {name}"] = float(
            np.mean([(scores.argmax(d) == np.arange(1000))[wanted] for d in (0, 1)])
        )

    generator, trained = np.random.default_rng(seed), set(sample_scenes(SCENES, seed, SEEN))
    two, one = (
        sample_scenes(500, 1000 + seed, UNSEEN, pairs=1.0),
        sample_scenes(144, 3000 + seed, UNSEEN, pairs=0.0),
    )  # of one group: all there are
    of_two, of_one = draw(two, 4000 + seed), draw(one, 3000 + seed)
    for part in ("count", "size", "colour", "shape"):
        found[f"near miss, {part}"] = preferred(
            towers, of_two, two, [scene.near_miss(part, generator) for scene in two]
        )
    for name, pictures, scenes in (("one group", of_one, one), ("two groups", of_two, two)):
        found[f"near miss, place of {name}"] = preferred(
            towers, pictures, scenes, [scene.near_miss("place", generator) for scene in scenes]
        )
    pairs = [
        scene
        for scene in sample_scenes(800, 2000 + seed, SEEN, pairs=1.0, without=trained)
        if known(scene.swapped()) and scene.swapped() not in trained
    ]
    found["binding"] = preferred(
        towers, draw(pairs[:300], 2000 + seed), pairs[:300], [scene.swapped() for scene in pairs[:300]]
    )

    every = [Scene((Group(*what),), (place,)) for *what, place in product(COUNTS, SIZES, COLOURS, SHAPES, PLACES)]
    vectors = towers.text.encode(
        [captions(scene)[0] for scene in every], normalize_embeddings=True, show_progress_bar=False
    )  # (720, 128)
    for part, prompts in PROMPTS.items():
        truth, classes = [getattr(scene.groups[0], part) for scene in one], list(prompts)
        averaged = np.stack(
            [vectors[[getattr(scene.groups[0], part) == c for scene in every]].mean(0) for c in classes]
        )  # (classes, 128)
        to_averages = towers.image.encode(of_one) @ (averaged / np.linalg.norm(averaged, axis=1, keepdims=True)).T
        for name, scores in (
            ("zero-shot", cosines(towers, of_one, list(prompts.values()))),
            ("zero-shot averaged", to_averages),
        ):
            found[f"{name}, {part}"] = float(np.mean([classes[k] == t for k, t in zip(scores.argmax(1), truth)]))
    return found


def scenes_sha256(seed: int) -> str:
    """Of what is trained on and searched with this seed."""
    return hashlib.sha256(
        "\n".join(captions(scene)[0] for scene in sample_scenes(SCENES, seed, SEEN) + candidates(UNSEEN, seed)).encode()
    ).hexdigest()


def record_runs(done: dict[tuple, dict]):
    model_sha = weights_sha256(model_folder("sbert-mini"))
    for setting in SETTINGS:
        rows = []
        for seed in SEEDS:
            found, sha = done.get((setting, seed)), scenes_sha256(seed)
            rows += [
                row(
                    setting,
                    TEXT,
                    "drawn scenes",
                    metric,
                    value,
                    COMMAND,
                    found["seconds"],
                    n=SCENES,
                    seed=seed,
                    setting=f"{EPOCHS} epochs",
                    data_sha256=sha,
                    model_sha256=model_sha,
                )
                for metric, value in (found or {"metrics": {}})["metrics"].items()
            ]
        record("16.csv", setting, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10**6, help="stop after so many trainings; the next call goes on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    DONE.parent.mkdir(exist_ok=True)
    DONE.touch()
    done = {tuple(key): found for key, found in map(json.loads, DONE.read_text(encoding="utf-8").splitlines())}
    for key in [(setting, seed) for setting in SETTINGS for seed in SEEDS if (setting, seed) not in done][
        : arguments.runs
    ]:
        begun = time.process_time()
        towers, history = train_one(*key)
        done[key] = {
            "metrics": measure(towers, key[1]),
            "seconds": time.process_time() - begun,
            "steps": history[-1]["step"],
            "loss": history[-1]["loss"],
        }
        with open(DONE, "a", encoding="utf-8") as file:
            print(json.dumps([key, done[key]]), file=file, flush=True)
        record_runs(done)
        print(*key, done[key], flush=True)
    record_runs(done)


if __name__ == "__main__":
    main()
