"""evaluate.py compares two sets of word vectors on the words that both have, and on no others."""

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from course_lib.encoder import SentenceEncoder
from course_lib.models.static import StaticEmbedding
from recipes import evaluate


def test_both_are_cut_to_the_shared_words(tmp_path, monkeypatch):
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "cat": 2, "sits": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    own = torch.arange(8.0).reshape(4, 2)
    file = tmp_path / "vectors.npz"
    np.savez(file, words=np.array(["sits", "dog", "a"]), vectors=np.arange(9, dtype=np.float16).reshape(3, 3))
    monkeypatch.setattr(evaluate, "GLOVE_6B", file.name)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    encoder = SentenceEncoder([StaticEmbedding(tokenizer, own)], dtype="float32")
    mine, theirs = (shared for _, _, shared, _ in evaluate.of_shared_words("own", encoder, "its hash"))
    assert mine[0].embedding.weight.tolist() == [[0, 0], [2, 3], [0, 0], [6, 7]]
    assert theirs[0].embedding.weight.tolist() == [[0, 0, 0], [6, 7, 8], [0, 0, 0], [0, 1, 2]]
