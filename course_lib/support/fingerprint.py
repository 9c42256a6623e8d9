"""A short text that tells examples apart by their content: what is resumed goes on only with what it was begun with.

    fingerprint(examples)        "5d9c..." 32 hexadecimal digits, the same in every process and on every machine

Every example is looked at once, some hundred thousand a second. Examples that only number what lies elsewhere, or that
are drawn anew each time they are read, may say by an attribute `content` of their list what is to be looked at instead.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import torch
from torch import Tensor

PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def fingerprint(examples: Iterable) -> str:
    """Of the examples in their order: texts, numbers, tensors, arrays, and tuples, lists, sets, dictionaries and
    dataclasses of these. Of anything else only the type counts."""
    digest = hashlib.blake2b(digest_size=16)
    for example in getattr(examples, "content", examples):
        _add(digest, example)
    return digest.hexdigest()


def _add(digest, value):
    kind = type(value)
    if kind in (tuple, list) and any(isinstance(part, np.generic) for part in value):
        value = kind(part.item() if isinstance(part, np.generic) else part for part in value)
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, str):
        value = str.__str__(value)
    if type(value) in PLAIN or kind in (tuple, list) and PLAIN.issuperset(map(type, value)):
        return _write(digest, ascii(value))  # tells texts from numbers, and where each ends
    if isinstance(value, Tensor):
        flat = value.detach().cpu().reshape(-1).contiguous()
        return _write(digest, f"{value.dtype} {tuple(value.shape)}", flat.view(torch.uint8).numpy().tobytes())
    if isinstance(value, np.ndarray) and value.dtype != object:
        return _write(digest, f"{value.dtype} {value.shape}", value.tobytes())
    if isinstance(value, Mapping):
        parts = [part for item in value.items() for part in item]
    elif isinstance(value, (set, frozenset)):
        parts = sorted(value, key=ascii)
    elif isinstance(value, (tuple, list, np.ndarray)):
        parts = list(value)
    else:
        parts = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
    _write(digest, f"{kind.__qualname__} of {len(parts)}")
    for part in parts:
        _add(digest, part)


def _write(digest, text: str, content: bytes = b""):
    digest.update(f"{len(text)} {len(content)} {text}".encode() + content)
