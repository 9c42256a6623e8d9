"""The first vector comes as soon as torch is imported: nothing else that takes long is."""

import subprocess
import sys

HEAVY = ("torch._dynamo", "sympy", "scipy", "pandas", "sklearn", "matplotlib", "transformers", "huggingface_hub")
CODE = """
import sys
import torch
before = set(sys.modules)
from course_lib.encoder import SentenceEncoder
vectors = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32").encode(["A cat sits on a mat."])
print(vectors.shape, *sorted(set(sys.modules) - before))
"""


def test_a_first_vector_imports_little_but_torch():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("(1, 256)"), done.stderr
    imported = done.stdout.split()
    assert "course_lib.encoder" in imported and [name for name in HEAVY if name in imported] == []
