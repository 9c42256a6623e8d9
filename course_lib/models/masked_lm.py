"""Masked language modelling: the head that BERT is pre-trained with, and the hiding of tokens for it to guess.

    model = BertForMaskedLM(BertConfig(...))
    masked, positions, labels = mask_tokens(input_ids, candidates, count, mask_token_id, vocab_size)
    F.cross_entropy(model(masked, lengths, positions), labels)

Parameters keep transformers' names. classifier.py loads such a model and asks it things; sparse.py makes vectors of its guesses.

Left out on purpose: predicting the next sentence, BERT's other task (later models dropped it: Liu et al. 2019, RoBERTa).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.bert import ACTIVATIONS, BertConfig, BertModel, initialize
from course_lib.support.linear import Linear


class BertForMaskedLM(nn.Module):
    """BERT with the head it is pre-trained with: guess the token at each chosen position.

    The output layer is the word embedding matrix itself, turned round (*tied*), plus a bias.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        dense, norm = (
            Linear(config.hidden_size, config.hidden_size),
            nn.LayerNorm(config.hidden_size, config.layer_norm_eps),
        )
        self.cls = nn.ModuleDict(
            {"predictions": nn.ModuleDict({"transform": nn.ModuleDict({"dense": dense, "LayerNorm": norm})})}
        )
        self.cls["predictions"].register_parameter("bias", nn.Parameter(torch.zeros(config.vocab_size)))
        initialize(self.cls, config.initializer_range)

    def logits(self, hidden: Tensor) -> Tensor:
        """(positions, hidden) -> (positions, vocabulary)."""
        head = self.cls["predictions"]
        x = ACTIVATIONS[self.config.hidden_act](head["transform"]["dense"](hidden))
        return F.linear(head["transform"]["LayerNorm"](x), self.bert.embeddings.word_embeddings.weight, head.bias)

    def forward(self, input_ids: Tensor, lengths: list[int], positions: Tensor) -> Tensor:
        """Logits (positions, vocabulary) at the chosen packed positions only: the head is as wide as the vocabulary."""
        return self.logits(self.bert(input_ids, lengths)[positions])


def mask_tokens(input_ids: Tensor, candidates: Tensor, count: int, mask_token_id: int, vocab_size: int):
    """Choose `count` of the `candidates` (packed positions, int64) for the model to guess, and hide them.

    Of the chosen, 80% become [MASK], 10% a random token, 10% stay (Devlin et al. 2019, section 3.1), so that the model
    cannot rely on seeing [MASK]. Uses torch's global random state. Returns (masked ids, positions, true ids).
    """
    positions = candidates[torch.randperm(len(candidates))[:count]]
    labels = input_ids[positions]
    dice = torch.rand(len(positions))
    replacement = torch.where(
        dice < 0.8, mask_token_id, torch.where(dice < 0.9, torch.randint(vocab_size, dice.shape), labels)
    )
    masked = input_ids.clone()
    masked[positions] = replacement
    return masked, positions, labels
