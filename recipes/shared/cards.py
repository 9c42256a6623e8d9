"""Facts and model cards: what a recipe measured goes to data/results/recipes/NAME.json, from there into README.md."""

import hashlib
import json
from pathlib import Path

from course_lib.support.files import atomic_file
from course_lib.support.folders import COURSE_HOME
from recipes.shared.card_texts import PROTOCOL, TEXTS
from recipes.shared.places import FACTS

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
    for name in TEXTS:
        if scores := [r for r in rows if r["model"] == f"course/{name}"]:
            facts = json.loads((FACTS / f"{name}.json").read_text(encoding="utf-8"))
            card = model_card(name, facts, scores, rows[0]["command"])
            with atomic_file(model_folder(name) / "README.md") as unfinished:
                unfinished.write_text(card, encoding="utf-8")


def model_card(name: str, facts: dict, scores: list[dict], measured_by: str) -> str:
    """What a model is, data, licence, recipe with its key figures, scores, weaknesses."""
    text = TEXTS[name]
    paragraphs = [
        "---\nlicense: cc-by-sa-4.0\nlanguage: en\nlibrary_name: sentence-transformers\n---",
        f"# course/{name}: {text['title']}",
        text["what"],
        "## Data and licence",
        text["data"],
    ]
    if "leaks_dropped" in facts:
        paragraphs.append(
            f"{facts['leaks_dropped']:,} texts that equal, normalised, a sentence of STSb dev or SICK trial were "
            "dropped (each time one was met)."
        )
    paragraphs += [
        LICENCE,
        "## Recipe",
        f"`COURSE_DATA=... {text['command']}`. Key figures of its log (one thread of a shared machine with two cores):",
        "\n".join(f"- {key.replace('_', ' ')}: {_show(value)}" for key, value in facts.items()),
        "## Scores",
        text.get("protocol", PROTOCOL) + " Accuracy is the softmax head's." * (name == "sbert-mini-nli"),
        "| pooling | data | metric | value |\n|---|---|---|---|\n"
        + "\n".join(f"| {r.get('pooling', 'head')} | {r['data']} | {r['metric']} | {r['value']} |" for r in scores),
        f"Made by `COURSE_DATA=... {measured_by}`. {CAUTION}",
        "## What it is bad at",
        text["bad"],
    ]
    return "\n\n".join(paragraphs) + "\n"


def _show(value) -> str:
    if isinstance(value, list):
        return ", ".join(_show(v) for v in value)
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
