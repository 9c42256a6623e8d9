"""Translators: an encoder reads a sentence, a decoder writes it in the other language, word by word.

    RNNTranslator          encoder and decoder are GRUs or LSTMs. Without attention the decoder has one vector to work
                           from, the encoder's last state (Cho et al. 2014, arXiv 1406.1078; Sutskever et al. 2014,
                           1409.3215); with it, a weighted average of all states, new in each step (Bahdanau et al.
                           2014, 1409.0473)
    TransformerTranslator  torch's `nn.Transformer`: no recurrence at all (Vaswani et al. 2017, arXiv 1706.03762)

Both are trained by `training.train` with `translation_loss` (pairs.py), and `translate` (decoding.py) takes both:

    model = RNNTranslator(Vocabulary.build(english), Vocabulary.build(spanish), attention=True)
    train(model, lambda batch: translation_loss(model, batch), pairs, learning_rate=3e-3, length=pair_length)
    translate(model, ["the red car is not here ."])

A decoder starts from [BOS] and stops at [EOS]. A sentence's numbers are the same alone and beside longer ones.

Left out on purpose: several layers and both directions in the RNN encoder, sampling, a cache of the Transformer's keys
(each step computes the whole beginning again, so writing n words costs n passes).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_lib.attention import AdditiveAttention
from course_lib.translation.pairs import MAX_LENGTH
from course_lib.translation.vocabulary import PAD, Vocabulary


class RNNState(NamedTuple):
    """What an RNN decoder knows between two words; every tensor has one row a sentence."""

    hidden: Tensor  # (batch, hidden)
    cell: Tensor  # (batch, hidden): the LSTM's second state; the GRU's is `hidden` again
    keys: Tensor  # (batch, source, hidden): the encoder's states; without attention the last one, (batch, 1, hidden)
    projected: Tensor  # (batch, source, hidden): the keys as the attention sees them
    mask: Tensor  # (batch, source) bool: True where there is a word or [EOS], False at [PAD]


class TransformerState(NamedTuple):
    """What a Transformer's decoder knows between two words."""

    written: Tensor  # (batch, words so far) ids
    memory: Tensor  # (batch, source, d_model): the encoder's output
    mask: Tensor  # (batch, source) bool


class RNNTranslator(nn.Module):
    """attention=False: the context of every step is the encoder's last state. attention=True: `AdditiveAttention` over
    all of them. All other sizes are the same; attention adds two matrices and a vector, 2 * hidden_size**2 +
    hidden_size weights.

    Each step takes the previous word and the context, and makes the next state: s_i = cell([y_{i-1}, c_i], s_{i-1}),
    where s_0 is the encoder's last state. A layer of tanh over [s_i, c_i, y_{i-1}] then scores the next word (the paper
    has maxout).

    cell: "gru" or "lstm". dropout: on embeddings and on that layer, while training. Sentences of the batch may come in
    any order; the state after the last real token counts, never one at [PAD].
    """

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        embedding_size: int = 128,
        hidden_size: int = 256,
        attention: bool = True,
        cell: str = "gru",
        dropout: float = 0.1,
    ):
        super().__init__()
        if cell not in ("gru", "lstm"):
            raise ValueError(f"cell is {cell!r}; expected 'gru' or 'lstm'")
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        encoder, decoder = (nn.GRU, nn.GRUCell) if cell == "gru" else (nn.LSTM, nn.LSTMCell)
        self.source_embedding = nn.Embedding(len(source_vocabulary), embedding_size, padding_idx=PAD)
        self.target_embedding = nn.Embedding(len(target_vocabulary), embedding_size, padding_idx=PAD)
        self.encoder = encoder(embedding_size, hidden_size, batch_first=True)
        self.decoder = decoder(embedding_size + hidden_size, hidden_size)
        self.attention = AdditiveAttention(hidden_size, hidden_size, hidden_size) if attention else None
        self.readout = nn.Linear(2 * hidden_size + embedding_size, embedding_size)
        self.output = nn.Linear(embedding_size, len(target_vocabulary))
        self.dropout = nn.Dropout(dropout)

    def start(self, source: Tensor, mask: Tensor) -> RNNState:
        """Read the source: ids and mask (batch, source), [PAD] on the right -> the state before the first word."""
        embedded = self.dropout(self.source_embedding(source))  # (batch, source, embedding)
        packed = pack_padded_sequence(embedded, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        hidden, cell = last if isinstance(last, tuple) else (last, last)  # (1, batch, hidden) after the last real token
        hidden, cell = hidden[0], cell[0]  # (batch, hidden)
        if self.attention is None:
            return RNNState(hidden, cell, hidden.unsqueeze(1), hidden.unsqueeze(1), mask[:, :1])
        keys, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])  # (batch, source, hidden)
        return RNNState(hidden, cell, keys, self.attention.key(keys), mask)

    def advance(self, embedded: Tensor, state: RNNState) -> tuple[RNNState, Tensor, Tensor | None]:
        """The previous word's vector (batch, embedding) -> the next state, its context (batch, hidden) and the
        attention's weights (batch, source), None without attention."""
        if self.attention is None:
            context, weights = state.keys[:, 0], None  # (batch, hidden)
        else:
            context, weights = self.attention(state.hidden, state.keys, state.mask, state.projected)
        previous = (state.hidden, state.cell) if isinstance(self.decoder, nn.LSTMCell) else state.hidden
        new = self.decoder(torch.cat([embedded, context], 1), previous)
        hidden, cell = new if isinstance(new, tuple) else (new, new)
        return state._replace(hidden=hidden, cell=cell), context, weights

    def score(self, hidden: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        """State, context and previous word, each (..., its size) -> logits (..., target vocabulary)."""
        return self.output(self.dropout(torch.tanh(self.readout(torch.cat([hidden, context, embedded], -1)))))

    def step(self, previous: Tensor, state: RNNState) -> tuple[Tensor, RNNState, Tensor | None]:
        """Write one word: ids (batch,) of the previous ones -> logits (batch, target vocabulary), the new state, and
        weights (batch, source)."""
        embedded = self.dropout(self.target_embedding(previous))  # (batch, embedding)
        state, context, weights = self.advance(embedded, state)
        return self.score(state.hidden, context, embedded), state, weights

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing: each step is given the right previous word, whatever the model would have written.

        source (batch, source), mask (batch, source), target (batch, target) beginning with [BOS] -> logits (batch,
        target, vocabulary) for the word after each, and the attention's weights (batch, target, source), None without
        attention.
        """
        state = self.start(source, mask)
        embedded = self.dropout(self.target_embedding(target))  # (batch, target, embedding)
        hidden, contexts, attended = [], [], []
        for t in range(target.shape[1]):
            state, context, weights = self.advance(embedded[:, t], state)
            hidden.append(state.hidden)
            contexts.append(context)
            attended.append(weights)
        logits = self.score(torch.stack(hidden, 1), torch.stack(contexts, 1), embedded)  # (batch, target, vocabulary)
        return logits, None if self.attention is None else torch.stack(attended, 1)  # (batch, target, source)


class TransformerTranslator(nn.Module):
    """`nn.Transformer` between two embeddings and an output layer; positions are the paper's sines (section 3.5).

    `start`, `step` and `forward` as in `RNNTranslator`; weights are None (torch's layers do not hand them out).
    """

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int = 256,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        self.source_embedding = nn.Embedding(len(source_vocabulary), d_model, padding_idx=PAD)
        self.target_embedding = nn.Embedding(len(target_vocabulary), d_model, padding_idx=PAD)
        # the encoder that nn.Transformer would make itself, without its nested tensors, "a prototype"
        layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, dropout, batch_first=True)
        encoder = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.transformer = nn.Transformer(
            d_model, nhead, num_layers, num_layers, dim_feedforward, dropout, custom_encoder=encoder, batch_first=True
        )
        self.output = nn.Linear(d_model, len(target_vocabulary))
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.source_embedding, self.target_embedding):  # times sqrt(d_model) in `embed`
            nn.init.normal_(embedding.weight, std=d_model**-0.5)  # then as large as the positions
        self.register_buffer("positions", sinusoids(MAX_LENGTH + 1, d_model), persistent=False)  # (positions, d_model)

    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        """ids (batch, length) -> (batch, length, d_model), positions added."""
        x = embedding(ids) * math.sqrt(embedding.embedding_dim)
        return self.dropout(x + self.positions[: ids.shape[1]])

    def start(self, source: Tensor, mask: Tensor) -> TransformerState:
        memory = self.transformer.encoder(self.embed(self.source_embedding, source), src_key_padding_mask=~mask)
        return TransformerState(source.new_zeros(len(source), 0), memory, mask)

    def decode(self, target: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """(batch, target) -> (batch, target, d_model); each position sees the words before it and all of the source."""
        n = target.shape[1]
        future = torch.ones(n, n, dtype=torch.bool, device=target.device).triu(1)  # (target, target), True: leave out
        embedded = self.embed(self.target_embedding, target)
        return self.transformer.decoder(embedded, memory, tgt_mask=future, memory_key_padding_mask=~mask)

    def step(self, previous: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState, None]:
        state = state._replace(written=torch.cat([state.written, previous.unsqueeze(1)], 1))  # (batch, words so far)
        return self.output(self.decode(*state)[:, -1]), state, None

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, None]:
        memory = self.start(source, mask).memory
        return self.output(self.decode(target, memory, mask)), None


def sinusoids(length: int, size: int) -> Tensor:
    """(length, size): component 2i is sin(position / 10000^(2i / size)), component 2i + 1 its cosine; size is even."""
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)  # (length, size / 2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
