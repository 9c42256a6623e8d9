"""Which files of a folder are a model's, by their names: those that transformers and sentence-transformers read.

Everything else in a model's folder is its owner's: a model card, a thesis, `.git`, and what other programs made of the
model (`pytorch_model.bin`, `onnx/`), which nobody reads who finds `model.safetensors`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files, SHARD
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")

VOCABULARIES = ["vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"]
TOKENIZER_FILES = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", *VOCABULARIES]
# sentence-transformers wrote a Transformer's settings under the name of its architecture; it reads the first it finds
SENTENCE_CONFIGS = [
    f"sentence_{architecture}_config.json"
    for architecture in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
]
OWN = {WEIGHTS, INDEX, "config.json", "modules.json", "config_sentence_transformers.json", "router_config.json"}
OWN |= {"tokenizer.json", *TOKENIZER_FILES, *SENTENCE_CONFIGS}
OWN |= {"preprocessor_config.json", "processor_config.json", "chat_template.jinja"}  # go before the tokenizer's own


def own_files(folder: Path, places: Iterable[str] = ()) -> set[str]:
    """The model's files in a folder, as "1_Pooling/config.json": at its top, where its modules lie, and in `places`."""
    found = set()
    for place in {"", *places, *module_places(folder)}:
        for file in (folder / place).iterdir() if (folder / place).is_dir() else ():
            if (file.name in OWN or SHARD.fullmatch(file.name)) and (file.is_file() or file.is_symlink()):
                found.add(str(PurePosixPath(place, file.name)))
    return found


def module_places(folder: Path) -> set[str]:
    """The folders in it that `modules.json` names, if it can be read."""
    entries = _content(folder / "modules.json")
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    paths = [Path(path) for path in paths if isinstance(path, str)]
    return {path.as_posix() for path in paths if not path.is_absolute() and ".." not in path.parts}


def is_model(folder: Path) -> bool:
    """Is it the folder of a model, be it a damaged one? Many programs have a `config.json`: it says what it is of."""
    if (folder / "modules.json").is_file():
        return True
    config = _content(folder / "config.json")
    if isinstance(config, dict):
        return {"text", "image"} <= set(config) or bool({"model_type", "architectures", "hidden_size"} & set(config))
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def _content(file: Path):
    """What a JSON file holds; None without it, or where it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
