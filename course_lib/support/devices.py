"""What the machine can do: which device, and whether it multiplies bfloat16 numbers itself.

Where a processor has instructions for bfloat16 (AMX or AVX512-BF16 on CPUs, NVIDIA from compute capability 8), matrix
products run several times as fast as in float32. Where it has not, bfloat16 is emulated, and slower.
"""

import os
from functools import cache

import torch


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """`"auto"` takes CUDA, then MPS, then the CPU; any other value goes to `torch.device`.

    The environment variable COURSE_DEVICE says what "auto" means: the notebooks set it to "cpu", whose numbers they
    quote, where it is not set.
    """
    device = os.environ.get("COURSE_DEVICE", "auto") if device == "auto" else device
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def native_bfloat16(device: torch.device) -> bool:
    """True where the device computes bfloat16 matrix products in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return has_amx() or _cpu_says("_is_avx512_bf16_supported")
    return False


@cache
def has_amx() -> bool:
    """True where the processor multiplies small matrices of bfloat16 at once (Intel, since 2023)."""
    return _cpu_says("_is_amx_tile_supported")


def _cpu_says(check: str) -> bool:
    return getattr(torch.cpu, check, lambda: False)()  # absent in some versions of torch


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """`"auto"` is bfloat16 where it is native, else float32; also takes "float32", "bfloat16" or a torch dtype."""
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype == "auto":
        return torch.bfloat16 if native_bfloat16(device) else torch.float32
    if named.get(dtype, dtype) not in named.values():
        raise ValueError(f"dtype is {dtype!r}; expected 'auto', 'float32' or 'bfloat16'")
    return named.get(dtype, dtype)
