"""Masked language modelling: the head that BERT is pre-trained with, hiding tokens for it to guess, and asking it.

    model = BertForMaskedLM(BertConfig(...))
    masked, positions, labels = mask_tokens(input_ids, candidates, count, mask_token_id, vocab_size)
    F.cross_entropy(model(masked, lengths, positions), labels)

    model, tokenizer = load_masked_lm("course/bert-mini")
    fill_mask(model, tokenizer, "A cat [MASK] on a mat.")
    pseudo_perplexity(model, tokenizer, "A cat sits on a mat.")

Parameters and folders are those of transformers. sparse.py makes vectors of such a model's guesses.

Left out on purpose: predicting the next sentence, BERT's other task, which later models dropped (Liu et al. 2019).
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_lib.bert import ACTIVATIONS, BertConfig, BertModel, initialize
from course_lib.support.architectures import make_bert
from course_lib.support.embeddings import finite
from course_lib.support.folders import opened, read_json, read_weights
from course_lib.support.linear import Linear
from course_lib.support.text_inputs import text_list
from course_lib.support.tokenization import tokenize
from course_lib.support.tokenizer_files import read_tokenizer


class BertForMaskedLM(nn.Module):
    """BERT with the head it is pre-trained with: guess the token at each chosen position.

    The output layer is the word embedding matrix itself, turned round (*tied*), plus a bias.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        size = config.hidden_size
        transform = {"dense": Linear(size, size), "LayerNorm": nn.LayerNorm(size, config.layer_norm_eps)}
        self.cls = nn.ModuleDict({"predictions": nn.ModuleDict({"transform": nn.ModuleDict(transform)})})
        self.cls["predictions"].register_parameter("bias", nn.Parameter(torch.zeros(config.vocab_size)))
        initialize(self.cls, config.initializer_range)

    @classmethod
    def load(cls, name: str | Path) -> "BertForMaskedLM":
        """Read a folder of transformers' BERT, float32 on the CPU, in evaluation mode.

        Raises ValueError where it is no BERT, or has lost the head, as models fine-tuned for something else have.
        """
        with opened(name) as folder:
            config = read_json(folder / "config.json")
            if not config.get("tie_word_embeddings", True):
                raise ValueError(
                    f"{folder} has an output layer of its own (tie_word_embeddings is false); "
                    "expected BERT's, the word embeddings"
                )
            weights = read_weights(folder)
            if not any(name.startswith("cls.predictions.") for name in weights):
                raise ValueError(
                    f"{folder} has no masked language model head; "
                    "take a model as it was pre-trained, such as 'course/bert-mini'"
                )
            return make_bert(cls, BertConfig.from_dict(config), weights, folder).eval()

    def transform(self, hidden: Tensor) -> Tensor:
        """The head up to its last matrix: (tokens, hidden) -> (tokens, hidden)."""
        transform = self.cls["predictions"]["transform"]
        return transform["LayerNorm"](ACTIVATIONS[self.config.hidden_act](transform["dense"](hidden)))

    def logits(self, hidden: Tensor) -> Tensor:
        """(positions, hidden) -> (positions, vocabulary)."""
        words, bias = self.bert.embeddings.word_embeddings.weight, self.cls["predictions"].bias
        return F.linear(self.transform(hidden), words, bias)

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


def load_masked_lm(name: str | Path) -> tuple[BertForMaskedLM, Tokenizer]:
    """`BertForMaskedLM.load`, and its tokenizer."""
    with opened(name) as folder:
        return BertForMaskedLM.load(folder), read_tokenizer(folder)


def fill_mask(model: BertForMaskedLM, tokenizer: Tokenizer, text: str, top_k: int = 5) -> list[dict] | list[list[dict]]:
    """The `top_k` likeliest tokens for each [MASK], with their probabilities, as transformers' fill-mask pipeline.

    Each is {"score": 0..1, "token": its id, "token_str": the token, "sequence": the text with it filled in}. A text
    with several masks gives a list for each: every mask is guessed with the others still hidden.
    Raises ValueError without a mask, and where the text is longer than the model.
    """
    ids, mask = _ids(model, tokenizer, text), _mask(tokenizer)
    positions = (ids == mask).nonzero().squeeze(1)  # (masks,)
    if not len(positions):
        raise ValueError(f"there is no [MASK] in {text!r}; write one where a token is to be guessed")
    scores, tokens = _guess(model, ids, [len(ids)], positions).softmax(-1).topk(top_k)  # both (masks, top_k)
    found = []
    for position, p, candidates in zip(positions.tolist(), scores.tolist(), tokens.tolist()):
        filled = [torch.cat([ids[:position], torch.tensor([t]), ids[position + 1 :]]).tolist() for t in candidates]
        found.append(
            [
                {
                    "score": score,
                    "token": token,
                    "token_str": tokenizer.decode([token], skip_special_tokens=False),
                    "sequence": tokenizer.decode(f, skip_special_tokens=len(positions) == 1),
                }
                for score, token, f in zip(p, candidates, filled)
            ]
        )
    return found[0] if len(found) == 1 else found


def token_log_likelihoods(model: BertForMaskedLM, tokenizer: Tokenizer, text: str, batch_tokens: int = 4096) -> Tensor:
    """For each token of `text` the log of the probability that the model gives it when it alone is hidden: (tokens,).

    In nats, without [CLS] and [SEP]. Their sum is the pseudo-log-likelihood (Salazar et al. 2020, arXiv 1910.14659,
    equation 1). A text of n tokens is read n times.
    """
    ids = _ids(model, tokenizer, text)
    n, inner = len(ids), torch.arange(1, len(ids) - 1)  # the places of the tokens between [CLS] and [SEP]
    found = [torch.zeros(0)]
    for places in inner.split(max(1, batch_tokens // n)) if len(inner) else ():
        copies = ids.repeat(len(places), 1)  # (copies, n)
        rows = torch.arange(len(places))
        copies[rows, places] = _mask(tokenizer)
        logits = _guess(model, copies.flatten(), [n] * len(places), rows * n + places)  # (copies, vocabulary)
        found.append(logits.log_softmax(-1)[rows, ids[places]])  # (copies,)
    return torch.cat(found)


def pseudo_perplexity(model: BertForMaskedLM, tokenizer: Tokenizer, texts: str | list[str]) -> float:
    """exp(-mean log probability of a token, each hidden in turn), over all tokens of the texts.

    Salazar et al. 2020, equation 2. 1 would be a model that is always sure and right; one that guesses blindly has the
    size of its vocabulary. Only models with one vocabulary can be compared. Raises ValueError without any tokens.
    """
    texts = text_list(texts, alone=True, ordered=False)
    found = torch.cat([token_log_likelihoods(model, tokenizer, t) for t in texts] or [torch.zeros(0)])
    if not len(found):
        raise ValueError("there are no tokens to guess: the texts are empty")
    return math.exp(-found.mean().item())


def _mask(tokenizer: Tokenizer) -> int:
    """The number of [MASK]. ValueError without one."""
    if (number := tokenizer.token_to_id("[MASK]")) is None:
        raise ValueError("the tokenizer has no [MASK]: take the one of a model that was pre-trained with it")
    return number


@torch.no_grad()
def _guess(model: BertForMaskedLM, ids: Tensor, lengths: list[int], positions: Tensor) -> Tensor:
    """Logits (positions, vocabulary). ValueError where they are not finite."""
    logits = model(ids, lengths, positions)
    finite(logits, of="hidden token")
    return logits


def _ids(model: BertForMaskedLM, tokenizer: Tokenizer, text: str) -> Tensor:
    """Token ids, int64 (tokens,), [CLS] and [SEP] included. ValueError for too many: a cut may lose a mask."""
    ids = torch.from_numpy(tokenize(tokenizer, [text], None, rows=model.config.vocab_size)[0][0]).long()
    if len(ids) > model.config.max_position_embeddings:
        raise ValueError(
            f"the text has {len(ids)} tokens, the model {model.config.max_position_embeddings} positions; shorten it"
        )
    return ids
