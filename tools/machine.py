"""What this machine is: processor, instruction sets, cores, memory. Standard library alone; unknown is None or {}."""

import ctypes
import os
import platform
import subprocess
import sys

LINUX_FLAGS = {  # what torch's kernels look for, by the names of /proc/cpuinfo (x86, then ARM)
    "AVX2": "avx2",
    "AVX512": "avx512f",
    "AVX512-BF16": "avx512_bf16",
    "AMX": "amx_bf16",
    "NEON": "asimd",
    "SVE": "sve",
    "ARM-BF16": "bf16",
}
MAC_FLAGS = {
    "AVX2": "hw.optional.avx2_0",
    "AVX512": "hw.optional.avx512f",
    "NEON": "hw.optional.neon",
    "ARM-BF16": "hw.optional.arm.FEAT_BF16",
}
WINDOWS_FLAGS = {"AVX2": 40, "AVX512": 41, "NEON": 19}  # of IsProcessorFeaturePresent
X86, ARM = ("AVX2", "AVX512", "AVX512-BF16", "AMX"), ("NEON", "SVE", "ARM-BF16")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def sysctl(name):
    """A value of macOS's sysctl, or ''."""
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def cpuinfo(key):
    """The value of a key of /proc/cpuinfo, of the first processor; '' elsewhere."""
    lines = (line.partition(":") for line in read("/proc/cpuinfo").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def cpu_name():
    return cpuinfo("model name") or sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def cpu_features():
    """{instruction set: present} as far as the system tells."""
    names = ARM if platform.machine().lower() in ("arm64", "aarch64") else X86
    flags = (cpuinfo("flags") or cpuinfo("Features")).split()
    if flags:
        return {name: LINUX_FLAGS[name] in flags for name in names}
    if sys.platform == "darwin":
        return {name: sysctl(MAC_FLAGS[name]) == "1" for name in names if name in MAC_FLAGS}
    if sys.platform == "win32":
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return {name: bool(present(WINDOWS_FLAGS[name])) for name in names if name in WINDOWS_FLAGS}
    return {}


def cores():
    """Cores that this process may use: a container or a batch system may have taken some away."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def memory():
    """(total, available) bytes; None where the system does not tell."""
    try:
        import psutil

        return psutil.virtual_memory().total, psutil.virtual_memory().available
    except Exception:  # not installed, or broken: it is what the doctor is called for
        pass
    lines = dict(line.split(":", 1) for line in read("/proc/meminfo").splitlines() if ":" in line)
    found = [int(lines[key].split()[0]) * 1024 if key in lines else None for key in ("MemTotal", "MemAvailable")]
    if found[0] is None and sysctl("hw.memsize").isdigit():
        found[0] = int(sysctl("hw.memsize"))
    return tuple(found)
