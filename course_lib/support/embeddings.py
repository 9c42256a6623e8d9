"""The embeddings of any model that has `encode`, looked at before they are measured."""

from inspect import signature

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
