"""Encode texts that are too many for one process: parquet files of texts become parquet files of vectors, on Ray Data.

    python -m course_lib.scale.encode texts vectors --model course/sbert-mini --actors 2
    RAY_ADDRESS=10.0.0.1:6379 python -m course_lib.scale.encode texts vectors --actors 64      # the same on a cluster

Each actor is a process that loads the model once and encodes blocks of texts. What a killed actor had in hand, another
encodes. A job that was killed goes on when the same command is given again: the checkpoint has the ids of the rows that
are written. Started again after its end it encodes the new rows alone.

Without RAY_ADDRESS Ray is started for this job on this machine, reachable from nowhere else. A cluster's machines have
the course installed and see the same folders; its token stands in RAY_AUTH_TOKEN.
Left out on purpose: GPUs (`num_gpus=1` of map_batches), folders that are no file system (s3://).
"""

import argparse
import hashlib
import logging
import os
import secrets
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("RAY_DATA_USE_DATASOURCE_V2", "0")  # V2 starts more processes, to read footers
if not os.environ.get("RAY_ADDRESS"):  # read when ray is imported
    os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_AUTH_MODE="token")  # 0: listens on loopback only
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

import ray
from ray.data.checkpoint import CheckpointConfig

from course_lib.support.folders import DEFAULT, read_json, resolve, write_json

BLOCK = 1000  # texts that are encoded, written and lost together


class Encode:
    """What an actor is made of: {"text": (texts,), ...} -> the same with "vector", float32 (texts, dim) of length 1."""

    def __init__(self, model: str):
        import torch

        from course_lib.encoder import SentenceEncoder

        torch.set_num_threads(1)  # an actor a core; two threads on a busy core wait for each other
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self.encoder = SentenceEncoder.load(model, dtype="float32")

    def __call__(self, batch: dict) -> dict:
        vectors = self.encoder.encode(batch.pop("text").tolist(), normalize_embeddings=True, show_progress_bar=False)
        return batch | {"vector": vectors}


def encode_parquet(source: str | Path, target: str | Path, model: str = DEFAULT, actors: int = 2):
    """Write a parquet folder `target` with the columns of `source` (a file or folder), "text" replaced by "vector".

    source: "id", a different one in each row, and "text"; other columns are kept. The ids that are written stand in the
    folder target + ".checkpoint". ValueError where it belongs to another model or other weights.
    """
    source, target = os.path.abspath(source), os.path.abspath(target)
    checkpoint = f"{target}.checkpoint"
    _same_model(Path(f"{checkpoint}.model.json"), model)
    _connect(actors)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.checkpoint_config = CheckpointConfig("id", checkpoint, delete_checkpoint_on_success=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    texts = ray.data.read_parquet(source).repartition(target_num_rows_per_block=BLOCK)  # or one block, for one actor
    pool = ray.data.ActorPoolStrategy(size=actors)
    vectors = texts.map_batches(Encode, fn_constructor_args=(model,), batch_size=BLOCK, compute=pool, num_cpus=1)
    vectors.write_parquet(target)
    ray.shutdown()


def _same_model(file: Path, model: str):
    """Remember with which model the work was begun; ValueError where `file` remembers another."""
    weights = b"".join(path.read_bytes() for path in sorted(resolve(model).rglob("*.safetensors")))
    now = {"model": model, "weights": hashlib.sha256(weights).hexdigest()}
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, now)
    if (begun := read_json(file)) != now:
        raise ValueError(f"{file} says that the work was begun with {begun}, not {now}; take another target")


def _connect(actors: int):
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level="ERROR")
        return
    ray.init(
        num_cpus=actors + 2,  # reading and writing take one each: Ray waits for ever where actors take all
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=256 * 2**20,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="parquet with the columns id and text: a file or a folder")
    parser.add_argument("target", help="folder for parquet with the columns id and vector")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--actors", type=int, default=2)
    encode_parquet(**vars(parser.parse_args()))
