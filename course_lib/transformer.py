"""The first module of a sentence encoder: a tokenizer and a model that gives one vector a token.

The model is the course's own BERT (bert.py), or any other encoder of `transformers` behind the same interface
(support/architectures.py). Folders are those of `transformers`, plus `sentence_bert_config.json`, in which
sentence-transformers keeps `max_seq_length`.

Left out on purpose: encoder-decoder models, token types other than 0, truncation from the left.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertModel
from course_lib.support.architectures import TransformersModel, make_bert, positions
from course_lib.support.folders import read_json, read_weights, save_tensors, write_json
from course_lib.support.tokenization import tokenize
from course_lib.support.tokenizer_files import lower_cases, lower_casing, read_tokenizer_settings, save_tokenizer


@dataclass
class TokenEmbeddings:
    """What passes from Transformer to Pooling: packed token vectors, and how many tokens each sentence has."""

    vectors: Tensor  # (tokens, hidden)
    lengths: list[int]
    prompt_length: int = 0  # tokens at each sentence's start that belong to the prompt, [CLS] included


class Transformer(nn.Module):
    """A tokenizer and a model that gives one vector a token.

    model: `BertModel`, or `TransformersModel` around another architecture.
    max_seq_length: tokens of a text that are read, special tokens included; at most the model's positions.
    do_lower_case: lower-case texts, but for special tokens, before the tokenizer, which may do so itself.
    tokenizer_files: further files of the tokenizer, such as tokenizer_config.json, which `save` writes as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        max_seq_length: int | None = None,
        do_lower_case: bool = False,
        tokenizer_files: dict[str, bytes] | None = None,
    ):
        super().__init__()
        self.model, self.tokenizer = model, lower_casing(tokenizer) if do_lower_case else tokenizer
        self.tokenizer.no_truncation()  # `tokenize` sets its own
        self.tokenizer.no_padding()
        self.dims = None, model.config.hidden_size  # it takes token ids, and gives vectors of this length
        self.positions = positions(model)
        self.max_seq_length = min((n for n in (max_seq_length, self.positions) if n), default=None)
        self.tokenizer_files = tokenizer_files or {}

    @classmethod
    def load(cls, folder: Path) -> "Transformer":
        config = read_json(folder / "config.json")
        if config.get("model_type") == "bert":
            model = make_bert(BertModel, BertConfig.from_dict(config), read_weights(folder), folder)
        else:
            model = TransformersModel.load(folder)
        return cls(model, **read_tokenizer_settings(folder))

    def save(self, folder: Path, half: bool = False):
        if isinstance(self.model, TransformersModel):
            self.model.save(folder, half)
        else:
            write_json(folder / "config.json", self.model.config.to_dict())
            width = self.model.config.hidden_size  # of a pooler that nothing uses, but transformers reports if missing
            pooler = {"pooler.dense.weight": torch.zeros(width, width), "pooler.dense.bias": torch.zeros(width)}
            save_tensors(self.model.state_dict() | pooler, folder / "model.safetensors", half)
        settings = {"max_seq_length": self.max_seq_length, "do_lower_case": self.do_lower_case}
        write_json(folder / "sentence_bert_config.json", settings)
        save_tokenizer(self.tokenizer, self.tokenizer_files, folder)

    def tokenize(self, texts: list[str]) -> tuple[list[np.ndarray], list[bool]]:
        """Token ids of each text, int32 (tokens_i,), and whether it was cut."""
        return tokenize(self.tokenizer, texts, self.max_seq_length, rows=getattr(self.model.config, "vocab_size", None))

    @property
    def do_lower_case(self) -> bool:
        """Are texts lower-cased, but for special tokens, before the tokenizer does anything else? May be set."""
        return lower_cases(self.tokenizer)

    @do_lower_case.setter
    def do_lower_case(self, value: bool):
        self.tokenizer = lower_casing(self.tokenizer, bool(value))

    def forward(self, input_ids: Tensor, lengths: list[int], prompt_length: int = 0) -> TokenEmbeddings:
        """Packed token ids, int64 (tokens,), of sentences with so many tokens each: their vectors."""
        return TokenEmbeddings(self.model(input_ids, lengths), lengths, prompt_length)

    def __repr__(self) -> str:
        c, kind = self.model.config, type(getattr(self.model, "model", self.model)).__name__
        shape = f"{c.num_hidden_layers} layers, {c.hidden_size} wide, {c.vocab_size} tokens"
        settings = f"max_seq_length={self.max_seq_length}, do_lower_case={self.do_lower_case}"
        return f"Transformer({settings}) with {kind}: {shape}"
