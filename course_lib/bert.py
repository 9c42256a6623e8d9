"""A minimal BERT, packed.

One file, the whole model (Devlin et al. 2019, arXiv 1810.04805): embeddings, self-attention, feed-forward. It computes
what `transformers.BertModel` computes, on the same weights under the same names, but without padding. A batch is
*packed*: the tokens of all sentences lie one after the other in a `(tokens, hidden)` matrix, beside it their lengths:

    lengths = [3, 3, 5]     tokens:  a a a b b b c c c c c

Linear layers, norms and activations look at one token at a time, so they need not know where a sentence ends; they are
most of the work, and none of it is spent on `[PAD]`. Only attention and positions look at sentences. Both go over
*runs* of neighbours of equal length, which need no mask: whoever sorts a batch by length gets few runs and large matrix
products, but any order is right. `Linear`, `linear` and `fast_attention` compute what torch's own do, often faster.

Left out on purpose: decoding with a cache, cross-attention, relative positions, and padding itself. masked_lm.py adds
the head it is pre-trained with. For other architectures `transformer.py` uses `transformers.AutoModel`.
"""

from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.support.fast_attention import fast_attention
from course_lib.support.linear import Linear, linear
from course_lib.support.reading import of_kind

gelu_tanh = partial(F.gelu, approximate="tanh")
ACTIVATIONS = {"gelu": F.gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh, "relu": F.relu, "silu": F.silu}


@dataclass
class BertConfig:
    """The fields of a `config.json` that change what an encoder computes; names and defaults are transformers'."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    def __post_init__(self):
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act is {self.hidden_act!r}; this BERT knows {sorted(ACTIVATIONS)}")
        if self.hidden_size % self.num_attention_heads:
            heads = f"{self.num_attention_heads} attention heads; choose a number of heads that divides it"
            raise ValueError(f"hidden_size {self.hidden_size} does not divide into {heads}")

    @classmethod
    def from_dict(cls, config: dict) -> "BertConfig":
        """Read a `config.json`. Raises ValueError where the model is not a BERT encoder with absolute positions."""
        expected = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}
        for name, value in expected.items():
            if config.get(name, value) != value:
                raise ValueError(f"{name} is {config[name]!r}, this BERT computes {value!r} only; use another model")
        config = of_kind(config, {f.name: f.type for f in fields(cls)}, "config.json")
        return cls(**{f.name: config[f.name] for f in fields(cls) if f.name in config})

    def to_dict(self, architecture: str = "BertModel") -> dict:
        """The `config.json` that transformers reads; `dtype` says float32 whatever the weights are stored in."""
        return {"architectures": [architecture], "model_type": "bert", "dtype": "float32", **asdict(self)}


def runs(lengths: list[int]) -> list[tuple[int, int]]:
    """Neighbours of equal length together: `[3, 3, 5]` gives `[(2, 3), (1, 5)]`, (sentences, tokens in each)."""
    return [(len(list(same)), length) for length, same in groupby(lengths)]


class BertEmbeddings(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, batch_runs: list, token_type_ids: Tensor | None) -> Tensor:
        longest = max(length for _, length in batch_runs)
        limit = self.position_embeddings.num_embeddings
        if longest > limit:
            raise ValueError(f"a sentence has {longest} tokens, the model has {limit} positions; truncate it first")
        types = self.token_type_embeddings
        x = self.word_embeddings(input_ids)  # (tokens, hidden)
        x = x + (types.weight[0] if token_type_ids is None else types(token_type_ids))
        positions = torch.arange(longest, device=input_ids.device)
        positions = torch.cat([positions[:length].repeat(count) for count, length in batch_runs])  # (tokens,)
        return self.dropout(self.LayerNorm(x + self.position_embeddings(positions)))


class BertSelfAttention(nn.Module):
    """Scaled dot-product attention within each sentence (Vaswani et al. 2017, equation 1)."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = Linear(config.hidden_size, config.hidden_size)
        self.key = Linear(config.hidden_size, config.hidden_size)
        self.value = Linear(config.hidden_size, config.hidden_size)
        self.dropout = config.attention_probs_dropout_prob

    def project(self, x: Tensor) -> Tensor:
        """(tokens, hidden) -> (tokens, 3 * hidden): queries, keys and values in one matrix product."""
        three = self.query, self.key, self.value
        return linear(x, torch.cat([m.weight for m in three]), torch.cat([m.bias for m in three]))

    def forward(self, x: Tensor, batch_runs: list) -> Tensor:
        sizes = [count * length for count, length in batch_runs]  # tokens of each run
        contexts = []
        # split, for its gradient is put together once; that of a slice is as large as the whole, for every run
        for part, (count, length) in zip(self.project(x).split(sizes), batch_runs):  # (tokens of the run, 3 * hidden)
            qkv = part.view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, count, heads, length, size)
            context = fast_attention(*qkv, self.dropout if self.training else 0.0)  # (count, heads, length, size)
            contexts.append(context.transpose(1, 2).reshape(count * length, -1))  # (tokens of the run, hidden)
        return torch.cat(contexts)  # (tokens, hidden)


class BertOutput(nn.Module):
    """A linear map, dropout, the residual connection and the norm: the end of both halves of a layer."""

    def __init__(self, config: BertConfig, in_features: int):
        super().__init__()
        self.dense = Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class BertLayer(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        attention = {"self": BertSelfAttention(config), "output": BertOutput(config, config.hidden_size)}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": Linear(config.hidden_size, config.intermediate_size)})
        self.output = BertOutput(config, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor, batch_runs: list) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, batch_runs), x)  # (tokens, hidden)
        wide = self.activation(self.intermediate["dense"](x))  # (tokens, intermediate)
        return self.output(wide, x)  # (tokens, hidden)


def initialize(module: nn.Module, std: float):
    """BERT's start: normal weights, zero biases, a zero vector for [PAD]."""
    for m in module.modules():
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=std)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)
        if isinstance(m, nn.Embedding) and m.padding_idx is not None:
            nn.init.zeros_(m.weight[m.padding_idx])


class BertModel(nn.Module):
    """The encoder: one vector a token.

    `model(input_ids, lengths)` takes the packed token ids, int64 (tokens,), and the number of tokens of each sentence,
    a list of ints >= 1 that add up to `tokens`; optional `token_type_ids`, int64 (tokens,). It returns the last hidden
    state, (tokens, hidden), in the same order. Equal to `transformers.BertModel` on every token.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        layers = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        initialize(self, config.initializer_range)

    def forward(self, input_ids: Tensor, lengths: list[int], token_type_ids: Tensor | None = None) -> Tensor:
        if input_ids.ndim != 1 or sum(lengths) != len(input_ids) or min(lengths, default=0) < 1:
            got = f"input_ids has shape {tuple(input_ids.shape)} and lengths {lengths[:8]}... add up to {sum(lengths)}"
            raise ValueError(f"{got}; expected ids of shape (tokens,) and lengths >= 1 that add up to tokens")
        batch_runs = runs(lengths)
        x = self.embeddings(input_ids, batch_runs, token_type_ids)  # (tokens, hidden)
        for layer in self.encoder["layer"]:
            x = layer(x, batch_runs)
        return x
