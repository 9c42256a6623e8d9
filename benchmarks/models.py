"""Size, speed and quality of the encoders that ship, beside all-MiniLM-L6-v2.

    COURSE_DATA=... python benchmarks/models.py [--minilm FOLDER]

recipes/shared/quality.py says what is measured; without COURSE_DATA only the bundled set is, and nothing is written.
It writes data/results/models.csv and docs/models.png. Speed is that of encoding the sentences of course/sts in float32
on one thread, by processor time, all models in turns. MB are those of the weights on disk (all-MiniLM-L6-v2 keeps
float32, the others float16).
"""

import argparse
import os
import statistics
from pathlib import Path

import matplotlib.pyplot as plt

from course_lib.support.folders import COURSE_HOME
from recipes.shared.cards import weights_sha256
from recipes.shared.quality import quality
from recipes.shared.results import write_rows
from recipes.speed_and_quality import processor_seconds, relative_speed, shipped, sts_texts

COMMAND = "python benchmarks/models.py"


def draw(table: dict[str, dict[str, float]], path: Path):
    """Quality against speed, the area of a point as its parameters."""
    figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for name, numbers in table.items():
        x, y = numbers["relative_speed"], numbers["stsbenchmark/dev spearman"]
        ax.scatter(
            x,
            y,
            s=30 * numbers["parameters"],
            alpha=0.6,
            color="tab:blue" if name.startswith("course/") else "tab:orange",
            edgecolor="black",
        )
        ax.annotate(
            f"{name.split('/')[1]}: {numbers['parameters']:.1f} M",
            (x, y),
            xytext=(18, 8),
            textcoords="offset points",
            fontsize=8,
        )
    ax.margins(0.35, 0.2)
    ax.set(
        xscale="log",
        xlabel="speed (course/sbert-mini = 1)",
        ylabel="STSb dev, Spearman x 100",
        title="Quality against speed; area: parameters",
    )
    ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", type=Path)
    folders, encoders = shipped(parser.parse_args().minilm)
    texts = sts_texts()
    seconds = processor_seconds(encoders, texts)

    table, rows = {}, []
    for name, encoder in encoders.items():
        weights = min(folders[name].rglob("model.safetensors"))
        numbers = {
            "parameters": sum(p.numel() for p in encoder.parameters()) / 1e6,
            "megabytes": weights.stat().st_size / 1e6,
            "dimensions": encoder.get_embedding_dimension(),
            "sentences_per_second": len(texts) / statistics.median(seconds[name]),
            "relative_speed": relative_speed(seconds, name),
        }
        numbers |= {f"{data} {metric}": value for data, metric, value in quality(encoder)}
        table[name] = numbers
        rows += [
            dict(
                model=name,
                measure=measure,
                value=f"{value:.4g}" if value < 1000 else f"{value:.0f}",
                command=COMMAND,
                model_sha256=weights_sha256(folders[name]),
            )
            for measure, value in numbers.items()
        ]
        print(
            f"\n{name}", *(f"    {measure:28} {value:8.1f}" for measure, value in numbers.items()), sep="\n", flush=True
        )
    if os.environ.get("COURSE_DATA"):
        write_rows("models.csv", rows)
        draw(table, COURSE_HOME / "docs" / "models.png")


if __name__ == "__main__":
    main()
