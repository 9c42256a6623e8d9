"""What stands on top of BERT: a head that guesses hidden tokens, and a head that classifies.

    model, tokenizer = load_masked_lm("course/bert-mini")
    fill_mask(model, tokenizer, "A cat [MASK] on a mat.")
    pseudo_perplexity(model, tokenizer, "A cat sits on a mat.")

    classifier = BertForSequenceClassification.load("course/bert-mini", num_labels=6)   # the same core, a new head

The masked language model itself is in masked_lm.py. Folders are those of transformers.

Left out on purpose: heads that label every token or mark an answer's span, regression, several labels at once.
"""

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertModel, initialize
from course_lib.models.masked_lm import BertForMaskedLM
from course_lib.support.folders import read_json, read_weights, resolve, save_tensors, write_json
from course_lib.support.tokenization import read_tokenizer, tokenize
from course_lib.transformer import load_bert

# ---- guessing hidden tokens


def load_masked_lm(name: str | Path) -> tuple[BertForMaskedLM, Tokenizer]:
    """A BERT with the head it was pre-trained with, float32 on the CPU, in evaluation mode; and its tokenizer.

    Raises ValueError where the folder is no BERT, or has lost that head: models fine-tuned for something else have none.
    """
    folder = resolve(name)
    config = read_json(folder / "config.json")
    if not config.get("tie_word_embeddings", True):
        raise ValueError(
            f"{folder} has an output layer of its own (tie_word_embeddings is false); expected BERT's, the word embeddings"
        )
    model, weights = BertForMaskedLM(BertConfig.from_dict(config)), read_weights(folder)
    if not any(name.startswith("cls.predictions.") for name in weights):
        raise ValueError(
            f"{folder} has no masked language model head; take a model as it was pre-trained, such as 'course/bert-mini'"
        )
    load_bert(model, weights, folder)
    return model.eval(), read_tokenizer(folder)


def fill_mask(model: BertForMaskedLM, tokenizer: Tokenizer, text: str, top_k: int = 5) -> list[dict] | list[list[dict]]:
    """The `top_k` likeliest tokens for each [MASK] in `text`, with their probabilities; transformers' fill-mask pipeline.

    Each is {"score": 0..1, "token": its id, "token_str": the token, "sequence": the text with it filled in}. A text with
    several masks gives a list for each: every mask is guessed with the others still hidden.
    Raises ValueError without a mask, and where the text is longer than the model.
    """
    ids, mask = _ids(model, tokenizer, text), tokenizer.token_to_id("[MASK]")
    positions = (ids == mask).nonzero().squeeze(1)  # (masks,)
    if not len(positions):
        raise ValueError(f"there is no [MASK] in {text!r}; write one where a token is to be guessed")
    with torch.no_grad():
        scores, tokens = model(ids, [len(ids)], positions).softmax(-1).topk(top_k)  # both (masks, top_k)
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
        copies[rows, places] = tokenizer.token_to_id("[MASK]")
        with torch.no_grad():
            logits = model(copies.flatten(), [n] * len(places), rows * n + places)  # (copies, vocabulary)
        found.append(logits.log_softmax(-1)[rows, ids[places]])  # (copies,)
    return torch.cat(found)


def pseudo_perplexity(model: BertForMaskedLM, tokenizer: Tokenizer, texts: str | list[str]) -> float:
    """exp(-mean log probability of a token, each hidden in turn), over all tokens of the texts (Salazar et al. 2020, equation 2).

    1 would be a model that is always sure and right; one that guesses blindly has the size of its vocabulary. Only models
    with one vocabulary can be compared. Raises ValueError where there are no tokens.
    """
    found = torch.cat(
        [token_log_likelihoods(model, tokenizer, t) for t in ([texts] if isinstance(texts, str) else texts)]
        or [torch.zeros(0)]
    )
    if not len(found):
        raise ValueError("there are no tokens to guess: the texts are empty")
    return math.exp(-found.mean().item())


def _ids(model: BertForMaskedLM, tokenizer: Tokenizer, text: str) -> Tensor:
    """Token ids, int64 (tokens,), [CLS] and [SEP] included. Cutting a text could cut off its mask, so that is refused."""
    if not isinstance(text, str):
        raise TypeError(f"text is {text!r}; expected a string")
    ids = torch.from_numpy(tokenize(tokenizer, [text], None)[0][0]).long()
    if len(ids) > model.config.max_position_embeddings:
        raise ValueError(
            f"the text has {len(ids)} tokens, the model {model.config.max_position_embeddings} positions; shorten it"
        )
    return ids


# ---- classifying


class BertForSequenceClassification(nn.Module):
    """BERT, and on top of its [CLS] vector: a dense layer with tanh (the *pooler*), dropout, and a linear map to the labels.

    Devlin et al. 2019 (arXiv 1810.04805), section 4.1 and figure 4a; equal to transformers' class of the same name.
    `model(input_ids, lengths)` takes a packed batch (see bert.py) and returns logits, (sentences, num_labels).
    id2label: names of the labels, {0: "LABEL_0", ...} unless a folder has others.
    """

    def __init__(self, config: BertConfig, num_labels: int = 2, classifier_dropout: float | None = None):
        super().__init__()
        self.config, self.num_labels, self.classifier_dropout = config, num_labels, classifier_dropout
        self.id2label = {i: f"LABEL_{i}" for i in range(num_labels)}
        self.bert = BertModel(config)
        self.bert.pooler = nn.ModuleDict(
            {"dense": nn.Linear(config.hidden_size, config.hidden_size)}
        )  # where transformers has it
        self.dropout = nn.Dropout(config.hidden_dropout_prob if classifier_dropout is None else classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, num_labels)
        initialize(nn.ModuleList([self.bert.pooler, self.classifier]), config.initializer_range)

    @classmethod
    def load(cls, name: str | Path, num_labels: int | None = None) -> "BertForSequenceClassification":
        """Read a folder of transformers' BERT, float32 on the CPU, in evaluation mode.

        num_labels: makes a new, untrained head where the folder has none. Its pooler is the folder's if that has one
            (other than zeros, which sentence encoders are saved with), else new too. Draws from torch's random state.
        Raises ValueError for other architectures, and where head and `num_labels` do not agree.
        """
        folder = resolve(name)
        config, weights = read_json(folder / "config.json"), read_weights(folder)
        if "bert.embeddings.word_embeddings.weight" not in weights:
            weights = {f"bert.{n}": t for n, t in weights.items()}
        found = len(weights["classifier.weight"]) if "classifier.weight" in weights else None
        if not (found or num_labels):
            raise ValueError(
                f"{folder} has no classification head; give num_labels to get a new one, whose scores mean nothing until it is trained"
            )
        if found and num_labels not in (None, found):
            raise ValueError(
                f"num_labels is {num_labels}, and {folder} has a head with {found}; leave num_labels out, or take another model"
            )
        model = cls(BertConfig.from_dict(config), found or num_labels, config.get("classifier_dropout"))
        if found:
            model.id2label = {int(i): label for i, label in config.get("id2label", model.id2label).items()}
        else:
            own = {n: t for n, t in model.state_dict().items() if "pooler" in n or "classifier" in n}
            has_pooler = "bert.pooler.dense.weight" in weights and weights["bert.pooler.dense.weight"].any()
            weights = own | weights if has_pooler else weights | own
        load_bert(model, weights, folder)
        return model.eval()

    def save(self, folder: Path, half: bool = False, **more):
        """Write `config.json` (with the entries `more`) and weights into an existing folder; half: float16, half the size."""
        labels = {str(i): label for i, label in self.id2label.items()}
        write_json(
            folder / "config.json",
            self.config.to_dict("BertForSequenceClassification")
            | {
                "id2label": labels,
                "label2id": {label: int(i) for i, label in labels.items()},
                "classifier_dropout": self.classifier_dropout,
                **more,
            },
        )
        save_tensors(self.state_dict(), folder / "model.safetensors", half)

    def pool(self, hidden: Tensor, lengths: list[int]) -> Tensor:
        """The pooler on the vector of each sentence's first token: (tokens, hidden) -> (sentences, hidden)."""
        first = torch.tensor([0, *lengths[:-1]], device=hidden.device).cumsum(0)  # where each sentence starts
        return torch.tanh(self.bert.pooler["dense"](hidden[first]))

    def forward(self, input_ids: Tensor, lengths: list[int], token_type_ids: Tensor | None = None) -> Tensor:
        return self.classifier(
            self.dropout(self.pool(self.bert(input_ids, lengths, token_type_ids), lengths))
        )  # (sentences, labels)
