"""Do older versions of sentence-transformers read what course_lib saves, and get the same vectors?

    python tools/compat.py            all versions
    python tools/compat.py 3.4 6.2    some

Each version gets an environment of its own in build/compat/, made on the first call (a gigabyte, some minutes). The
folders are small ones saved here, one of each kind, and the sentence encoders of data/models. Exit code 1 if a vector
differs.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from environments import TORCH, environment
from repository import ROOT

WORK = ROOT / "build" / "compat"
VERSIONS = {  # sentence-transformers, and a transformers of its time
    "3.4": ["sentence-transformers==3.4.*", "transformers==4.48.*"],
    "4.1": ["sentence-transformers==4.1.*", "transformers==4.51.*"],
    "5.7": ["sentence-transformers==5.7.*", "transformers==4.57.*"],
    "6.2": ["sentence-transformers==6.2.*", "transformers>=5,<6"],
}
TOLERANCE = 1e-5  # of the largest component
TEXTS = [
    "A cat sits on the mat.",
    "",
    "Where is the laptop?",
    "naïve café 🙂",
    "word " * 600,
    "NOT in capitals, no. 42!",
    "مرحبا",
]

PEER = """
import json, os, sys
import numpy as np
from sentence_transformers import SentenceTransformer
with open("texts.json", encoding="utf-8") as file:
    texts = json.load(file)
version = sys.argv[1]
for folder in sys.argv[2:]:
    name = os.path.basename(folder)
    try:
        model = SentenceTransformer(folder, device="cpu")
        prompt = "query" if name == "prompts" else None
        vectors = np.concatenate([model.encode(texts), model.encode(texts, prompt_name=prompt)])
        np.save(f"{name}-{version}.npy", vectors)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
"""


def save_folders() -> list[Path]:
    """One folder of each kind, saved by course_lib from random weights, and the models that come with the course."""
    import torch
    from tokenizers import BertWordPieceTokenizer, Tokenizer
    from tokenizers.processors import TemplateProcessing

    from course_lib.bert import BertConfig, BertModel
    from course_lib.encoder import SentenceEncoder
    from course_lib.models.static import StaticEmbedding
    from course_lib.modules import Dense, Normalize, Pooling
    from course_lib.transformer import Transformer

    torch.manual_seed(0)
    pieces = BertWordPieceTokenizer(
        lowercase=False
    )  # keeps the case: a reader that makes its own tokenizer is found out
    pieces.train_from_iterator(TEXTS * 5, vocab_size=200, show_progress=False)
    tokenizer = Tokenizer.from_str(pieces.to_str())
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=special)
    config = BertConfig(tokenizer.get_vocab_size(), 24, 2, 3, 48, max_position_embeddings=64, initializer_range=0.3)

    def bert():
        return Transformer(BertModel(config), tokenizer, 32)

    encoders = {
        "bert-dense": SentenceEncoder([bert(), Pooling(24), Dense(24, 8), Normalize()]),
        "modes": SentenceEncoder(
            [bert(), Pooling(24, ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"))]
        ),
        "prompts": SentenceEncoder([bert(), Pooling(24, include_prompt=False)], {"query": "Where is "}),
        "static": SentenceEncoder(
            [
                StaticEmbedding(tokenizer, torch.randn(config.vocab_size, 8)),
                Dense(8, 4, activation_function=torch.nn.GELU()),
            ]
        ),
    }
    for name, encoder in encoders.items():
        encoder.save(WORK / "folders" / name, half=True)
    modules = sorted((ROOT / "data" / "models").glob("*/modules.json"))
    shipped = [file.parent for file in modules if "sparse_encoder" not in file.read_text(encoding="utf-8")]
    return [WORK / "folders" / name for name in encoders] + shipped


def our_vectors(folder: Path):
    import numpy as np

    from course_lib.encoder import SentenceEncoder

    try:
        encoder = SentenceEncoder.load(folder, device="cpu", dtype="float32")
        return np.concatenate(
            [encoder.encode(TEXTS), encoder.encode(TEXTS, prompt_name="query" if folder.name == "prompts" else None)]
        )
    except ValueError as error:
        print(f"{folder.name}: course_lib: {error}", file=sys.stderr)


def difference(ours, file: Path) -> tuple[str, bool]:
    """What stands in the table, and whether it is good."""
    import numpy as np

    if ours is None or not file.exists():
        return "not read", False
    theirs = np.load(file)
    if theirs.shape != ours.shape or theirs.dtype != ours.dtype:
        return f"{theirs.dtype} {theirs.shape}", False
    share = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    return f"{share:.1e}", share <= TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("versions", nargs="*", help=f"of {', '.join(VERSIONS)}; by default all")
    versions = parser.parse_args().versions or list(VERSIONS)
    if unknown := set(versions) - set(VERSIONS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known are {', '.join(VERSIONS)}")
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    folders = save_folders()
    for file in WORK.glob("*.npy"):
        file.unlink()
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": "", "TOKENIZERS_PARALLELISM": "false"}
    for version in versions:
        python = environment(WORK / f"venv-{version}", [TORCH, *VERSIONS[version]])
        command = [python, "-W", "ignore", "-c", PEER, version, *folders]
        subprocess.run(command, cwd=WORK, env=os.environ | offline, check=True)

    print(f"\n{'largest difference':20}" + "".join(f"{'ST ' + version:>14}" for version in versions))
    all_good = True
    for folder in folders:
        ours = our_vectors(folder)
        cells = [difference(ours, WORK / f"{folder.name}-{version}.npy") for version in versions]
        all_good &= all(good for _, good in cells)
        print(f"{folder.name:20}" + "".join(f"{text + ('' if good else ' !'):>14}" for text, good in cells))
    print(f"{'all within' if all_good else 'NOT all within'} {TOLERANCE:g} of the largest component")
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
