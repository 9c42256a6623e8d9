"""Word vectors as a sentence encoder: sentence-transformers' module StaticEmbedding, without Transformer and Pooling.

Left out on purpose: making the vectors (recipes/glove_mini.py does).
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_lib.support.folders import read_weights, save_tensors
from course_lib.support.tokenization import tokenize
from course_lib.support.tokenizer_files import read_tokenizer_json


class StaticEmbedding(nn.Module):
    """One fixed vector a token, averaged: a sentence encoder without context. A text without tokens gets zeros.

    Saved in float32 always: sentence-transformers computes in the dtype it finds, and float16 fits no Dense after it.
    """

    def __init__(self, tokenizer: Tokenizer, weights: Tensor):
        super().__init__()
        self.tokenizer = tokenizer
        tokenizer.no_padding()
        self.embedding = nn.EmbeddingBag.from_pretrained(weights, freeze=False, mode="mean")
        self.dims = None, self.embedding.embedding_dim
        self.max_seq_length = (tokenizer.truncation or {}).get("max_length")  # mostly None: no limit

    @classmethod
    def load(cls, folder: Path) -> "StaticEmbedding":
        weights = read_weights(folder)
        matrix = weights.get("embedding.weight", weights.get("embeddings"))
        if matrix is None:
            raise ValueError(f"{folder} holds {sorted(weights)}; expected 'embedding.weight'")
        if "mapping" in weights:  # model2vec: tokens share rows,
            matrix = matrix[weights["mapping"].long()]
        if "weights" in weights:  # and each token has a weight of its own
            matrix = matrix * weights["weights"][:, None]
        tokenizer = read_tokenizer_json(folder / "tokenizer.json")
        if len(matrix) < tokenizer.get_vocab_size():
            raise ValueError(
                f"{folder} has {len(matrix)} vectors for {tokenizer.get_vocab_size()} tokens; expected one a token"
            )
        return cls(tokenizer, matrix)

    def save(self, folder: Path, half: bool = False):
        save_tensors(self.state_dict(), folder / "model.safetensors", half=False)
        self.tokenize([])  # sets the tokenizer's own limit, which is saved with it
        self.tokenizer.save(str(folder / "tokenizer.json"))

    def tokenize(self, texts: list[str]) -> tuple[list[np.ndarray], list[bool]]:
        return tokenize(self.tokenizer, texts, self.max_seq_length, special=False, rows=self.embedding.num_embeddings)

    def forward(self, input_ids: Tensor, lengths: list[int], prompt_length: int = 0) -> Tensor:
        offsets = torch.tensor([0, *lengths[:-1]], device=input_ids.device).cumsum(0)  # where each sentence starts
        return self.embedding(input_ids, offsets)  # (sentences, dim)
