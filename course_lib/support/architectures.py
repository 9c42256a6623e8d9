"""Behind one interface: a checkpoint's tensors in a BERT of the course, or any other encoder of `transformers`.

Both are called as `model(input_ids, lengths)` with a packed batch (see bert.py), and give one vector a token.

Left out on purpose: encoder-decoder models, token types other than 0.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.support.configs import check_shapes, shapes
from course_lib.support.folders import read_weights, save_tensors
from course_lib.support.packed_attention import PACKED, attends_packed, mpnet


def load_bert(model: nn.Module, weights: dict[str, Tensor], where: Path):
    """Copy a checkpoint's tensors into `model`. The checkpoint may hold more (a pooler, another head), but not less."""
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    weights = of_checkpoint(weights, own)
    check_shapes(weights, own, where)
    model.load_state_dict({name: weights[name] for name in own})


def make_bert(
    make: Callable[..., nn.Module], config, weights: dict[str, Tensor], where: Path, new: Sequence[str] = ()
) -> nn.Module:
    """The BERT that `make` makes of its config, with a checkpoint's tensors in it.

    new: parts of the names of tensors that stay as they are made, whatever the checkpoint has.
    Raises ValueError as `load_bert` does, but before a model is made that takes more memory than the weights.
    """
    for size in ("vocab_size", "num_attention_heads", "max_position_embeddings", "type_vocab_size"):
        if getattr(config, size) < 1:
            raise ValueError(f"{size} in {where / 'config.json'} is {getattr(config, size)}; expected 1 at least")
    own = shapes(partial(make, config), config.num_hidden_layers, weights, where)
    own = {name: shape for name, shape in own.items() if not any(part in name for part in new)}
    weights = of_checkpoint(weights, own)
    check_shapes(weights, own, where)
    model = make(config)
    model.load_state_dict({name: weights[name] for name in own}, strict=False)  # looked at above
    return model


def of_checkpoint(weights: dict[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """A checkpoint's tensors by the names that a model has for its `own`: older ones, and a prefix, are replaced."""
    weights = {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): t
        for name, t in weights.items()
    }
    if any(name in weights for name in own):
        return weights
    return {name.removeprefix("bert."): t for name, t in weights.items()}


class TransformersModel(nn.Module):
    """Any encoder of `transformers` behind the interface of `BertModel`: (tokens,) and lengths -> (tokens, hidden).

    Packed as `BertModel` where packed_attention.py knows how. Elsewhere texts of nearly equal length, neighbours in the
    batch, are padded to the longest of them: whoever sorts a batch by length computes little padding.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.config = model.config
        self.first, self.positions = first_position(model), positions(model)

    @classmethod
    def load(cls, folder: Path) -> "TransformersModel":
        """Raises ValueError for what transformers cannot read, missing weights, and encoder-decoder models."""
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

    def save(self, folder: Path, half: bool = False):
        """Config and weights, as transformers writes them; half: float16, half the size."""
        self.model.save_pretrained(folder)
        if half:
            save_tensors(read_weights(folder), folder / "model.safetensors", half)

    def forward(self, input_ids: Tensor, lengths: list[int]) -> Tensor:
        if self.positions and max(lengths) > self.positions:
            has = f"a sentence has {max(lengths)} tokens, the model has {self.positions} positions"
            raise ValueError(f"{has}; truncate it first")
        if self.config.model_type not in PACKED:
            groups = nearly_equal(lengths)
            parts = input_ids.split([sum(group) for group in groups])  # (tokens of the group,) each
            return torch.cat([self._padded(ids, group) for ids, group in zip(parts, groups)])
        places = torch.cat([torch.arange(self.first, self.first + n) for n in lengths])  # (tokens,)
        places = places.to(input_ids.device)
        if self.config.model_type == "mpnet":
            return mpnet(self.model, input_ids, places, lengths)
        with attends_packed(self.model):
            return self.model(input_ids[None], position_ids=places[None], lengths=lengths).last_hidden_state[0]

    def _padded(self, input_ids: Tensor, lengths: list[int]) -> Tensor:
        pad = max(0, getattr(self.config, "pad_token_id", None) or 0)  # masked: any token will do
        sentences = input_ids.split(lengths)
        padded = nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=pad)  # (batch, longest)
        each = torch.tensor(lengths, device=input_ids.device)
        mask = torch.arange(padded.shape[1], device=input_ids.device) < each[:, None]  # (batch, longest)
        hidden = self.model(input_ids=padded, attention_mask=mask.long()).last_hidden_state  # (batch, longest, hidden)
        return hidden[mask]  # (tokens, hidden)


def nearly_equal(lengths: list[int]) -> list[list[int]]:
    """Neighbours whose lengths differ by a tenth at most: `[20, 19, 19, 3]` gives `[[20, 19, 19], [3]]`."""
    groups = [[]]
    for length in lengths:
        shortest, longest = min([*groups[-1], length]), max([*groups[-1], length])
        groups += [[]] if longest > 1.1 * shortest else []
        groups[-1].append(length)
    return groups


def first_position(model: nn.Module) -> int:
    """The row of the position table that a text's first token gets. RoBERTa's family starts after its padding token."""
    tables = [m for m in model.modules() if isinstance(getattr(m, "position_embeddings", None), nn.Embedding)]
    padding = getattr(tables[0], "padding_idx", None) if tables else None
    return 0 if padding is None else padding + 1


def positions(model: nn.Module) -> int | None:
    """How many tokens a text may have: the rows of the position table, or None where positions are computed."""
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, nn.Embedding):
            return table.num_embeddings - first_position(model)
    found = getattr(model.config, "max_position_embeddings", None)
    return found if found and found > 0 else None
