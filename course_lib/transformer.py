"""The first module of a sentence encoder: a tokenizer and a model that gives one vector a token.

The model is the course's own BERT (bert.py), or any other encoder of `transformers` behind the same interface. Folders
are those of `transformers`, plus `sentence_bert_config.json`, in which sentence-transformers keeps `max_seq_length`.

Left out on purpose: encoder-decoder models, token types other than 0, truncation from the left.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertModel
from course_lib.models.surgery import add_tokens, freeze, keep_layers
from course_lib.support.folders import read_json, read_weights, save_tensors, write_json
from course_lib.support.tokenization import TOKENIZER_FILES, read_tokenizer, save_tokenizer, tokenize


@dataclass
class TokenEmbeddings:
    """What passes from Transformer to Pooling: packed token vectors, and how many tokens each sentence has."""

    vectors: Tensor  # (tokens, hidden)
    lengths: list[int]
    prompt_length: int = 0  # tokens at each sentence's start that belong to the prompt, [CLS] included


class PaddedModel(nn.Module):
    """Any `transformers` encoder behind the interface of `BertModel`: pads, runs the model, takes the padding out."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.config = model.config

    @classmethod
    def load(cls, folder: Path) -> "PaddedModel":
        from transformers import AutoModel

        read_weights(folder)  # refuses pickles, damage and NaN before transformers is asked
        try:
            model, report = AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            raise ValueError(f"transformers cannot read {folder} ({error})") from error
        missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
        if missing or model.config.is_encoder_decoder:
            problem = f"lacks the weights {missing[:3]}" if missing else "is an encoder-decoder model"
            raise ValueError(f"{folder} {problem}; expected an encoder with all its weights")
        return cls(model)

    def forward(self, input_ids: Tensor, lengths: list[int]) -> Tensor:
        pad = getattr(self.config, "pad_token_id", None) or 0
        sentences = input_ids.split(lengths)
        padded = nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=pad)  # (batch, longest)
        each = torch.tensor(lengths, device=input_ids.device)
        mask = torch.arange(padded.shape[1], device=input_ids.device) < each[:, None]  # (batch, longest)
        hidden = self.model(input_ids=padded, attention_mask=mask.long()).last_hidden_state  # (batch, longest, hidden)
        return hidden[mask]  # (tokens, hidden)


class Transformer(nn.Module):
    """A tokenizer and a model that gives one vector a token.

    model: `BertModel`, or `PaddedModel` around another architecture.
    max_seq_length: tokens a text may have, special tokens included; what is longer is cut. At most the model's positions.
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
        self.model, self.tokenizer, self.do_lower_case = model, tokenizer, do_lower_case
        tokenizer.no_truncation()  # `tokenize` sets its own
        tokenizer.no_padding()
        self.positions = positions(model)
        self.max_seq_length = min((n for n in (max_seq_length, self.positions) if n), default=None)
        self.tokenizer_files = tokenizer_files or {}

    @classmethod
    def load(cls, folder: Path) -> "Transformer":
        config = read_json(folder / "config.json")
        settings = read_json(folder / "sentence_bert_config.json", default={})
        tokenizer_config = read_json(folder / "tokenizer_config.json", default={})
        if config.get("model_type") == "bert":
            model = BertModel(BertConfig.from_dict(config))
            load_bert(model, read_weights(folder), folder)
        else:
            model = PaddedModel.load(folder)
        limits = [
            n for n in (settings.get("max_seq_length"), tokenizer_config.get("model_max_length")) if n and n < 1e9
        ]
        files = {name: (folder / name).read_bytes() for name in TOKENIZER_FILES if (folder / name).exists()}
        return cls(
            model, read_tokenizer(folder), limits[0] if limits else None, bool(settings.get("do_lower_case")), files
        )

    def save(self, folder: Path, half: bool = False):
        if isinstance(self.model, PaddedModel):
            self.model.model.save_pretrained(folder)
            if half:
                save_tensors(read_weights(folder), folder / "model.safetensors", half)
        else:
            write_json(folder / "config.json", self.model.config.to_dict())
            width = (
                self.model.config.hidden_size
            )  # transformers' BertModel reports a missing pooler; nothing here uses it
            pooler = {"pooler.dense.weight": torch.zeros(width, width), "pooler.dense.bias": torch.zeros(width)}
            save_tensors(self.model.state_dict() | pooler, folder / "model.safetensors", half)
        write_json(
            folder / "sentence_bert_config.json",
            {"max_seq_length": self.max_seq_length, "do_lower_case": self.do_lower_case},
        )
        save_tokenizer(self.tokenizer, self.tokenizer_files, folder)

    @property
    def dims(self) -> tuple[int | None, int]:
        return None, self.model.config.hidden_size

    def tokenize(self, texts: list[str]) -> tuple[list[np.ndarray], list[bool]]:
        return tokenize(
            self.tokenizer, [self._lower(t) for t in texts] if self.do_lower_case else texts, self.max_seq_length
        )

    def _lower(self, text: str) -> str:
        as_written = [
            re.escape(t.content) for t in self.tokenizer.get_added_tokens_decoder().values() if not t.normalized
        ]
        parts = (
            re.split(f"({'|'.join(as_written)})", text) if as_written else [text]
        )  # every second one is a special token
        return "".join(part if i % 2 else part.lower() for i, part in enumerate(parts))

    def forward(self, input_ids: Tensor, lengths: list[int], prompt_length: int = 0) -> TokenEmbeddings:
        return TokenEmbeddings(self.model(input_ids, lengths), lengths, prompt_length)

    # ---- changes in place, see surgery.py

    def add_tokens(self, tokens: Iterable[str | AddedToken], special_tokens: bool = False) -> int:
        """More tokens, and a random row of the word embeddings for each; returns how many were new. See surgery.add_tokens."""
        inner = self.model
        table = (
            inner.model.get_input_embeddings() if isinstance(inner, PaddedModel) else inner.embeddings.word_embeddings
        )
        added = add_tokens(self.tokenizer, table, tokens, special_tokens)
        inner.config.vocab_size = table.num_embeddings
        return added

    def keep_layers(self, layers: Sequence[int]):
        """Drop all layers but these, counted from 0. See surgery.keep_layers."""
        keep_layers(self.model, layers)

    def freeze(self, layers: int | None = None):
        """The embeddings and the first `layers` layers do not learn; None: nothing of the model does. See surgery.freeze."""
        freeze(self.model, layers)

    def __repr__(self) -> str:
        c, kind = self.model.config, type(getattr(self.model, "model", self.model)).__name__
        shape = f"{c.num_hidden_layers} layers, {c.hidden_size} wide, {c.vocab_size} tokens"
        return f"Transformer(max_seq_length={self.max_seq_length}, do_lower_case={self.do_lower_case}) with {kind}: {shape}"


def positions(model: nn.Module) -> int | None:
    """How many tokens a text may have: the rows of the position table, or None where positions are computed.

    RoBERTa's family starts to count after the number of its padding token: 514 rows are 512 positions.
    """
    for module in model.modules():
        table, padding = getattr(module, "position_embeddings", None), getattr(module, "padding_idx", None)
        if isinstance(table, nn.Embedding):
            return table.num_embeddings - (0 if padding is None else padding + 1)
    found = getattr(model.config, "max_position_embeddings", None)
    return found if found and found > 0 else None


def load_bert(model: nn.Module, weights: dict[str, Tensor], where: Path):
    """Copy a checkpoint's tensors into `model`. The checkpoint may hold more (a pooler, another head), but not less."""
    own = model.state_dict()
    weights = {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): t
        for name, t in weights.items()
    }
    if not any(name in weights for name in own):
        weights = {name.removeprefix("bert."): t for name, t in weights.items()}
    missing = [name for name in own if name not in weights]
    wrong = [
        f"{n} {tuple(weights[n].shape)}, expected {tuple(t.shape)}"
        for n, t in own.items()
        if n in weights and weights[n].shape != t.shape
    ]
    if missing or wrong:
        raise ValueError(
            f"the weights in {where} do not fit its config.json: missing {missing[:3]}, of another shape {wrong[:3]}"
        )
    model.load_state_dict({name: weights[name] for name in own})
