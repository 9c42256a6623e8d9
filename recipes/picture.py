"""The picture at the top of README.md: what training does to six sentences, and to a search.

    python recipes/picture.py

Writes docs/picture.png from the models in data/models, the help pages, and the scores that recipes/evaluate.py
recorded in data/results/05.csv. The file carries the hashes of the weights and the scores it was drawn from, so that a
test sees when it is no longer of today's models.
"""

import io
import json

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.plotting import PALETTE, heatmap
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.search import top_k
from course_lib.side_by_side import SIX, outline
from course_lib.similarity import cos_sim
from course_lib.support.files import atomic_file
from course_lib.support.folders import COURSE_HOME
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.results import read_rows

FILE = COURSE_HOME / "docs" / "picture.png"
MODELS = {
    "Word vectors, averaged": "glove-mini",
    "BERT's vectors, averaged": "bert-mini",
    "A BERT of this size, trained": "sbert-mini",
}
QUESTION = "can I bring my dog on the tram"
WANTED = "Dogs and other animals on board"


def drawn_from() -> dict[str, str]:
    """{model: "the hash of its weights, its score on STSb dev"}"""
    scores = {
        row["model"]: row["value"]
        for row in read_rows("05.csv")
        if (row["pooling"], row["data"]) == ("mean", "stsbenchmark/dev")
    }
    return {name: f"{weights_sha256(model_folder(name))} {scores[f'course/{name}']}" for name in MODELS.values()}


def first_titles(encoder: SentenceEncoder, k: int = 3) -> dict[str, list[str]]:
    """The titles of the k help pages that each search finds first for QUESTION."""
    pages = list(load_retrieval("course/help")[1].values())
    titles = list(load_fields("course/help", "corpus", "title").values())
    vectors = encoder.encode_document(pages, show_progress_bar=False)  # (300, dim)
    found = {
        "by words (BM25)": BM25(pages).search([QUESTION], k)[1],
        "by meaning (the third network)": top_k(encoder.encode_query([QUESTION]), vectors, k)[1],
    }
    return {search: [titles[row] for row in rows[0]] for search, rows in found.items()}


def draw(scores: dict[str, float]) -> Figure:
    """scores: {model: Spearman x 100 on STSb dev}"""
    figure = plt.figure(figsize=(11, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[3, 1.45])
    above.suptitle("How alike are six sentences, three pairs of the same meaning in other words?", fontsize="large")
    axes = above.subplots(1, len(MODELS))
    for ax, (title, name) in zip(axes, MODELS.items()):
        encoder = SentenceEncoder.load(f"course/{name}", dtype="float32")
        vectors = encoder.encode(list(SIX), show_progress_bar=False)  # (6, dim)
        heatmap(cos_sim(vectors, vectors), labels=SIX if ax is axes[0] else None, title=title, ax=ax)
        outline(ax)
        ax.set_xlabel(f"STS benchmark (dev): {scores[name]:.1f}", fontsize=11, fontweight="bold")
        if ax is not axes[-1]:
            ax.images[0].colorbar.remove()
    axes[-1].images[0].colorbar.set_label("cosine")
    below.suptitle(f'Which of 300 help pages answer "{QUESTION}"?', fontsize="large")
    for ax, (search, titles) in zip(below.subplots(1, 2), first_titles(encoder).items()):
        ax.set(xlim=(0, 1), ylim=(-0.1, 4))
        ax.axis("off")
        ax.text(0.1, 3.4, search, fontsize=10, va="center", fontweight="bold")
        for place, title in enumerate(titles, 1):
            right = title == WANTED
            ax.text(
                0.1,
                3.4 - place,
                f"{place}.  {title}{'   ✓' if right else ''}",
                fontsize=10,
                va="center",
                color=PALETTE[0] if right else "black",
                fontweight="bold" if right else "normal",
            )
    return figure


def save(figure: Figure, facts: dict[str, str]):
    """A PNG of at most 256 colours, with `facts` as its text."""
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    figure.savefig(file, dpi=150)
    text.add_text("drawn from", json.dumps(facts))
    image = Image.open(file).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    with atomic_file(FILE) as unfinished:
        image.save(unfinished, "PNG", optimize=True, pnginfo=text)


def main():
    facts = drawn_from()
    save(draw({name: float(fact.split()[1]) for name, fact in facts.items()}), facts)
    print(f"{FILE.relative_to(COURSE_HOME)}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
