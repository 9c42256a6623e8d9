"""The embeddings of any model that has `encode`, looked at before they are returned, and before they are measured."""

from collections.abc import Sequence
from inspect import signature

import numpy as np
from torch import Tensor

from course_lib.support.vectors import tensor_of


def embed(model, texts: list[str], kind: str = "") -> Tensor:
    """The model's embeddings, (texts, dim), on the CPU. ValueError unless finite, one a text.

    kind: "query" or "document", for models that put a prompt before each: `model.encode_query` is called in the place
    of `model.encode`, where there is one.
    """
    encode = getattr(model, f"encode_{kind}", model.encode)
    quiet = {"show_progress_bar": False} if "show_progress_bar" in signature(model.encode).parameters else {}
    embeddings = tensor_of(encode(texts, **quiet), "what encode gave").detach().cpu()
    if embeddings.ndim != 2 or len(embeddings) != len(texts):
        shape = tuple(embeddings.shape)
        raise ValueError(f"encode gave the shape {shape} for {len(texts)} sentences, expected ({len(texts)}, dim)")
    if bad := int((~embeddings.isfinite().all(dim=1)).sum()):
        raise ValueError(f"encode gave NaN or infinite values for {bad} of {len(texts)} sentences")
    return embeddings


def finite(rows: Tensor, places: Sequence[Sequence[int]] = (), first: int = 0, of: str = "text") -> np.ndarray:
    """What a model computed of some texts, (texts, n), float32 on the CPU.

    places: where each of these texts stands in the texts given, counted from `first`; by default as they come. Raises
    ValueError that names the first one whose numbers are not finite.
    """
    numbers = rows.float().cpu().numpy()
    good = np.isfinite(numbers).all(1)
    if not good.all():
        places = places or [[row] for row in range(len(good))]
        place = first + min(min(where) for where, fine in zip(places, good) if not fine)
        raise ValueError(
            f"the model computes NaN or infinite numbers for {of} {place}: its weights are damaged, or went wrong in "
            "training, or are too large for the dtype it computes in (dtype='float32' has the widest range)"
        )
    return numbers
