"""One space for texts and pictures: course/sbert-mini and a small image encoder learn from drawn scenes.

Writes data/results/16.csv.

    python recipes/text_and_images.py [--runs N]

4,000 scenes of the 72 seen kinds (count, colour, shape), a picture and a caption each; 5 epochs in batches of 64,
learning rate 2e-3 (tuned: 3e-4), symmetric ranking loss with scale 20. Settings, three seeds each (the control two):

    whitened         the text encoder frozen, its vectors whitened, a Dense on top: what the notebook trains
    raw              the same without whitening
    hard negatives   whitened, and each caption of two groups with its colours exchanged as a further negative, where
                     its kinds are seen
    other negatives  whitened, and as many captions of other scenes as further negatives: a control at equal numbers
    place negatives  whitened, and each caption of two groups with its places exchanged as a further negative; these are
                     more, since its kinds are always seen
    tuned            raw, and the text encoder learns as well (but for its word embeddings)
    longer           whitened, 24 epochs: about the time that tuned takes

The metrics are those of recipes/text_and_images_quality.py and recipes/text_and_images_closely.py.

Interrupted, or stopped after N trainings, it goes on with what build/text_and_images.jsonl does not hold yet: delete
that file to measure all anew (25 minutes on one core). A setting that is not there keeps what was recorded of it.
"""

import argparse
import hashlib
import time

import torch
from torch import nn

from course_lib.datasets.pictures import SEEN, UNSEEN, Scene, captions, draw, sample_scenes
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.images import ImageEncoder, TextImageEncoder, whitening
from course_lib.models.surgery import freeze
from course_lib.modules import Dense
from course_lib.training import train
from recipes.shared.arguments import at_least_0
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.measured import Measured
from recipes.shared.places import BUILD
from recipes.shared.results import record, row
from recipes.text_and_images_closely import measure_closely
from recipes.text_and_images_quality import SCENES, candidates, known, measure_binding, measure_towers, worded

COMMAND, DONE, TEXT = "python recipes/text_and_images.py", BUILD / "text_and_images.jsonl", "course/sbert-mini"
DIM, BATCH, RATE, SEEDS = 128, 64, 2e-3, (0, 1, 2)
NEGATIVES = ("other negatives", "hard negatives")  # equally many
SETTINGS, EPOCHS = ("whitened", *NEGATIVES, "place negatives", "raw", "longer", "tuned"), 5
CLOSELY = "whitened"  # measured closely, outside the time that is recorded
APART = (CLOSELY, *NEGATIVES, "longer", "tuned")  # "binding" is measured apart as well, outside the time, too
LONGER = 24  # epochs of the frozen text encoder, in about the time of "tuned"
TUNED_RATE = 3e-4  # a trained encoder takes smaller steps


def new_towers(setting: str, vectors: torch.Tensor) -> TextImageEncoder:
    """The two encoders before training. vectors: (captions, dim) of the text encoder, to whiten by."""
    text = SentenceEncoder.load(TEXT, device="cpu", dtype="float32")
    text.requires_grad_(False)
    if setting == "tuned":
        text.requires_grad_(True)
        freeze(text, 0)
    dim = text.get_embedding_dimension()
    between = [] if setting in ("raw", "tuned") else [whitening(vectors)]
    text = SentenceEncoder([*text, *between, Dense(dim, DIM, activation_function=None)], dtype="float32")
    return TextImageEncoder(text, ImageEncoder(DIM))


def hard_negatives(setting: str, scenes: list[Scene], seed: int) -> list[str | None]:
    """For each scene a caption of what it is not, or None. For the same scenes in both of NEGATIVES."""
    exchanged = [scene.swapped() if len(scene.groups) == 2 else scene for scene in scenes]
    if setting == "hard negatives":
        others = exchanged
    elif setting == "other negatives":
        others = sample_scenes(len(scenes), 7000 + seed, SEEN, pairs=1.0, without=scenes)
    elif setting == "place negatives":
        others = exchanged = [Scene(scene.groups[::-1], scene.places) for scene in scenes]
    else:
        return [None] * len(scenes)
    fitting = (len(scene.groups) == 2 and known(scene) for scene in exchanged)
    return [text if fits else None for text, fits in zip(worded(others), fitting)]


def seeds_of(setting: str) -> tuple[int, ...]:
    return SEEDS[:2] if setting == "other negatives" else SEEDS


def epochs_of(setting: str) -> int:
    return LONGER if setting == "longer" else EPOCHS


def train_towers(setting: str, seed: int) -> tuple[TextImageEncoder, list[dict]]:
    scenes = sample_scenes(SCENES, seed, SEEN)
    pictures, own = torch.from_numpy(draw(scenes, seed)), worded(scenes)
    others = hard_negatives(setting, scenes, seed)
    encoder = SentenceEncoder.load(TEXT, device="cpu", dtype="float32")
    texts = list(dict.fromkeys(own + [text for text in others if text]))
    vectors = dict(zip(texts, torch.from_numpy(encoder.encode(texts, show_progress_bar=False))))  # each (256,)
    torch.manual_seed(seed)
    towers = new_towers(setting, torch.stack([vectors[text] for text in own]))
    head = nn.Sequential(*list(towers.text)[2:])  # what stands behind Transformer and Pooling
    ranking = MultipleNegativesRankingLoss(symmetric=True)

    def of_texts(some: list[str]) -> torch.Tensor:
        return towers.text(some) if setting == "tuned" else head(torch.stack([vectors[text] for text in some]))

    def objective(batch: list[int]) -> torch.Tensor:
        hard = [others[i] for i in batch if others[i]]
        sides = towers.image(pictures[batch]), of_texts([own[i] for i in batch])
        return ranking(*sides, *([of_texts(hard)] if hard else []))

    history = train(
        nn.ModuleDict({"image": towers.image, "text": towers.text}),
        objective,
        range(SCENES),
        batch_size=BATCH,
        learning_rate=TUNED_RATE if setting == "tuned" else RATE,
        epochs=epochs_of(setting),
        seed=seed,
        show_progress_bar=False,
    )
    return towers, history


def scenes_sha256(seed: int) -> str:
    """Of what is trained on and searched with this seed."""
    scenes = sample_scenes(SCENES, seed, SEEN) + candidates(UNSEEN, seed)
    return hashlib.sha256("\n".join(captions(scene)[0] for scene in scenes).encode()).hexdigest()


def record_trainings(done: dict[tuple, dict]):
    model_sha = weights_sha256(model_folder("sbert-mini"))
    for setting in SETTINGS:
        rows = []
        for seed in seeds_of(setting):
            found = done.get((setting, seed), {"metrics": {}})
            origin = dict(data_sha256=scenes_sha256(seed), model_sha256=model_sha)
            for metric, value in found["metrics"].items():
                what = setting, TEXT, "drawn scenes", metric, value, COMMAND, found["seconds"]
                rows.append(row(*what, n=SCENES, seed=seed, setting=f"{epochs_of(setting)} epochs", **origin))
        if rows:
            record("16.csv", setting, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=at_least_0(int), default=10**6, help="stop after so many trainings; the next call goes on"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = Measured(DONE, " ".join([weights_sha256(model_folder("sbert-mini")), *map(scenes_sha256, SEEDS)]))
    missing = [(setting, seed) for setting in SETTINGS for seed in seeds_of(setting) if (setting, seed) not in done]
    for key in missing[: arguments.runs]:
        begun = time.process_time()
        towers, history = train_towers(*key)
        found = {"metrics": measure_towers(towers, key[1]), "seconds": time.process_time() - begun}
        if key[0] in APART:
            found["metrics"] |= measure_binding(towers, key[1])
        if key[0] == CLOSELY:
            found["metrics"] |= measure_closely(towers, key[1])
        done.add(key, found | {"steps": history[-1]["step"], "loss": history[-1]["loss"]})
        record_trainings(done)
        print(*key, done[key], flush=True)
    record_trainings(done)


if __name__ == "__main__":
    main()
