"""Facts and model cards: what a recipe measured goes to data/results/recipes/NAME.json, from there into README.md.

`python recipes/cards.py` writes all cards anew from what was recorded.
"""

import hashlib
import json
from pathlib import Path

from course_lib.support.files import atomic_file
from course_lib.support.folders import COURSE_HOME
from recipes.shared.card_texts import PROTOCOL, TEXTS
from recipes.shared.minilm import MINILM
from recipes.shared.places import FACTS
from recipes.shared.results import read_rows

LICENCE = (
    "The weights are offered under CC BY-SA 4.0, as the share-alike sources ask; the captions' own terms allow "
    "research and teaching, so ask their owners before other uses."
)
CAUTION = (
    "STSb dev was watched while the recipes were written. Its sentences and SICK trial's were kept out of the training "
    "text by the recipes; sentences of the STSb and SICK test sets had been taken out of the SNLI, cad_nli and caption "
    "files they read, not out of the others. SNLI test and MultiNLI dev_mismatched are training data here: report no "
    "scores on them."
)

ENCODER = {
    "code": """from course_lib.encoder import SentenceEncoder

encoder = SentenceEncoder.load("course/{name}")
vectors = encoder.encode(["A man is eating food.", "Someone is having a meal."])  # (2, dim)""",
    "peer": "SentenceTransformer",
}
USES = {  # of models that are no sentence encoders
    "cross-encoder-mini": {
        "code": """from course_lib.models.cross_encoder import CrossEncoder

scorer = CrossEncoder.load("course/{name}")
scores = scorer.predict([("A man is eating food.", "Someone is having a meal.")])  # (1,) of 0 to 1""",
        "peer": "CrossEncoder",
    },
    "reranker-mini": {
        "code": """from course_lib.models.cross_encoder import CrossEncoder

scorer = CrossEncoder.load("course/{name}")
hits = scorer.rank("Who wrote Hamlet?", ["A hamlet is a small village.", "Hamlet is a play by Shakespeare."])""",
        "peer": "CrossEncoder",
    },
    "splade-mini": {
        "code": """from course_lib.models.sparse import SparseEncoder

encoder = SparseEncoder.load("course/{name}")
print(encoder.decode(encoder.encode(["A man is eating food."]), 5))  # the five heaviest terms""",
        "peer": "SparseEncoder",
    },
}


def write_facts(name: str, facts: dict):
    with atomic_file(FACTS / f"{name}.json") as unfinished:
        unfinished.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def weights_sha256(folder: Path) -> str:
    """Of the encoder's own weights: in the folder, or in that of its first module."""
    return hashlib.sha256(min(folder.rglob("model.safetensors")).read_bytes()).hexdigest()


def model_folder(name: str) -> Path:
    return COURSE_HOME / "data" / "models" / name


def write_cards(rows: list[dict]):
    """README.md of each shipped model that `rows` are about."""
    for name, card in cards(rows).items():
        with atomic_file(model_folder(name) / "README.md") as unfinished:
            unfinished.write_text(card, encoding="utf-8")


def cards(rows: list[dict]) -> dict[str, str]:
    """{model: its card} of each shipped model that `rows` are about."""
    found = {}
    for name in TEXTS:
        if scores := [r for r in rows if r["model"] == f"course/{name}"]:
            facts = json.loads((FACTS / f"{name}.json").read_text(encoding="utf-8"))
            found[name] = model_card(name, facts, scores, rows[0]["command"])
    return found


def model_card(name: str, facts: dict, scores: list[dict], measured_by: str) -> str:
    """How a model is used, what it is, scores, weaknesses, data, licence; last its recipe, with figures of the log."""
    text = TEXTS[name]
    use = USES.get(name, ENCODER)
    paragraphs = [
        "---\nlicense: cc-by-sa-4.0\nlanguage: en\nlibrary_name: sentence-transformers\n---",
        f"# course/{name}: {text['title']}",
        f"```python\n{use['code'].format(name=name)}\n```",
        f'In sentence-transformers, with the folder\'s path: `{use["peer"]}("data/models/{name}")`.',
        text["what"],
        "## Scores",
        text.get("protocol", PROTOCOL) + " Accuracy is the softmax head's." * (name == "sbert-mini-nli"),
        score_table(scores),
        f"Made by `COURSE_DATA=... {measured_by}`. {CAUTION}",
        "## What it is bad at",
        text["bad"],
        "## Data and licence",
        text["data"],
    ]
    if "leaks_dropped" in facts:
        paragraphs.append(
            f"{facts['leaks_dropped']:,} texts that equal, normalised, one of STSb dev or SICK trial were left out "
            "(one that comes twice counts twice)."
        )
    paragraphs += [
        LICENCE,
        "## Recipe",
        f"`COURSE_DATA=... {text['command']}`. Key figures of its log (one thread of a shared machine with two cores):",
        "\n".join(f"- {key.replace('_', ' ')}: {_show(value)}" for key, value in facts.items()),
    ]
    return "\n\n".join(paragraphs) + "\n"


def score_table(scores: list[dict]) -> str:
    """A line for each score, beside it what others have on the same set, where it was measured."""
    others = {peer: [values.get((r["data"], r["metric"])) for r in scores] for peer, values in peers().items()}
    others = {peer: values for peer, values in others.items() if any(values)}
    lines = [["pooling", "data", "metric", "value", *others], ["---"] * (4 + len(others))]
    for i, r in enumerate(scores):
        beside = [values[i] or "-" for values in others.values()]
        lines.append([r.get("pooling", "head"), r["data"], r["metric"], f"{float(r['value']):.1f}", *beside])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def peers() -> dict[str, dict[tuple[str, str], str]]:
    """{peer: {(data, metric): value}} of what benchmarks/models.py and recipes/hybrid.py recorded."""
    found = {"BM25": {}, MINILM: {}}
    for row in read_rows("14.csv"):
        if row["model"] in found and row["experiment"] == "scifact":
            found[row["model"]][row["data"], row["metric"]] = f"{float(row['value']):.1f}"
    for row in read_rows("models.csv"):
        if row["model"] in found and row["measure"].endswith(" spearman"):
            for metric in ("spearman", "spearman_cosine"):
                found[row["model"]][row["measure"].split()[0], metric] = f"{float(row['value']):.1f}"
    return {name.split("/")[-1]: values for name, values in found.items()}


def _show(value) -> str:
    if isinstance(value, list):
        return ", ".join(_show(v) for v in value)
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
