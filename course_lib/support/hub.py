"""Models of the Hugging Face hub: from a mirror folder, or downloaded once and kept in the hub's cache.

A mirror is a folder with models as `owner/name/` in it, named by the environment variable COURSE_MODELS. It is looked
at first and needs no network. This fills it:

    hf download owner/name --include "*.json" --include "*.txt" --include "*.safetensors" --local-dir MIRROR/owner/name

Everything else is huggingface_hub's, and obeys its environment variables: where the cache lies (HF_HOME), another
server (HF_ENDPOINT), who you are (HF_TOKEN), no network at all (HF_HUB_OFFLINE=1). It takes up a broken connection
again where it broke. Of a process that was ended, the files that were finished stay; the one under way starts anew.

Left out on purpose: revisions other than `main`, code from the hub (trust_remote_code), weights that are not
safetensors.
"""

import hashlib
import os
from pathlib import Path

FILES = ["*.json", "*.txt", "*.model", "model*.safetensors", "*/model.safetensors"]  # a * matches any folders too
PICKLED = (".bin", ".pt", ".pth", ".ckpt")

# What `model.safetensors` of models that the course names must be. The first was computed from the weights that the
# tests use; on each of the others the ten public files agree that were found to pin it.
SHA256 = {
    "sentence-transformers/all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "sentence-transformers/all-mpnet-base-v2": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "google-bert/bert-base-uncased": "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
    "cross-encoder/ms-marco-MiniLM-L6-v2": "821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae",
}


def fetch(name: str) -> Path:
    """The folder of a model of the hub, `owner/name`; `name` alone is one of sentence-transformers' own.

    Raises FileNotFoundError that says where it was looked for and why that failed, and ValueError where the weights are
    pickled or are not the ones that the course knows by this name.
    """
    repository = name if "/" in name else f"sentence-transformers/{name}"
    mirror = os.environ.get("COURSE_MODELS")
    folder = Path(mirror).expanduser() / repository if mirror else None
    again = folder
    if folder is None or not folder.is_dir():
        folder = download(name, repository, folder)
        again = folder.parents[1]  # of .../models--owner--name/snapshots/commit: the weights lie beside snapshots
    verify_weights(repository, folder / "model.safetensors", again)
    return folder


def download(name: str, repository: str, mirror: Path | None) -> Path:
    """The folder in the hub's cache, after what it lacks was downloaded."""
    from huggingface_hub import constants, list_repo_files, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        folder, pickled = Path(snapshot_download(repository, allow_patterns=FILES)), []
        if not any(folder.rglob("*.safetensors")):
            pickled = [file for file in list_repo_files(repository) if file.endswith(PICKLED)]
    except Exception as error:  # the network, the disk, the name: anything may have gone wrong
        advice = "Check name and connection, or give a folder"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, GatedRepoError):
            advice = f"Accept its conditions at {constants.ENDPOINT}/{repository}, then log in with `hf auth login`"
        elif isinstance(error, RepositoryNotFoundError) or status == 401:
            advice = "There is no such model, or it is private: check the name, or log in with `hf auth login`"
        raise FileNotFoundError(
            f"{name!r} could not be had: no folder {Path(name).absolute()}; "
            f"no mirror {mirror or '(COURSE_MODELS is not set)'}; "
            f"{repository!r} neither in the cache {constants.HF_HUB_CACHE} nor at {constants.ENDPOINT} "
            f"({type(error).__name__}: {str(error).strip().partition(chr(10))[0]}). {advice}. "
            "'course/sbert-mini' needs no download"
        ) from error
    if pickled:
        raise ValueError(pickled_only(f"{repository!r} of the Hugging Face hub", pickled))
    return folder


def verify_weights(repository: str, file: Path, again: Path):
    """Raise ValueError for weights that are not what SHA256 names, if it names them.

    again: the folder to delete for a new copy.
    """
    expected = SHA256.get(repository)
    if not expected or not file.exists():  # whoever reads the weights says what is missing
        return
    with open(file, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"{file} is not the {repository!r} that the course knows: its sha256 is {found}, expected {expected}. "
            f"It is damaged or was replaced: delete {again} and load it again. "
            f"To load it as it is, give the folder {file.parent} instead of the name"
        )


def pickled_only(where: str, files: list[str]) -> str:
    """What is said of weights that are refused. The advice serves every kind of model, and of module."""
    files = sorted(files)
    weights = [file for file in files if "model" in Path(file).name] or files
    folder = Path(weights[0]).parent
    those = [file for file in weights if Path(file).parent == folder]
    return (
        f"{where} has pickled weights only ({', '.join(files)}), which can run code when read. If you trust them, "
        f"write there: safetensors.torch.save_file({{name: t.clone() for file in {those} for name, t in "
        "torch.load(file, map_location='cpu', weights_only=True).items()}, "
        f"{(folder / 'model.safetensors').as_posix()!r}, metadata={{'format': 'pt'}})"
    )
