"""A head on top of BERT that classifies: texts, or pairs of them.

    classifier = BertForSequenceClassification.load("course/bert-mini", num_labels=6)   # BERT, and a new head
    classifier(input_ids, lengths)                                                      # logits (sentences, 6)

The head that BERT is pre-trained with is in masked_lm.py. Folders are those of transformers.

Left out on purpose: heads that label every token or mark an answer's span, regression, several labels at once.
"""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.bert import BertConfig, BertModel, initialize
from course_lib.support.architectures import make_bert
from course_lib.support.folders import opened, read_json, read_weights, save_tensors, write_json
from course_lib.support.reading import of_kind


class BertForSequenceClassification(nn.Module):
    """BERT, and on its [CLS] vector a dense layer with tanh (the *pooler*), dropout, and a linear map to the labels.

    Devlin et al. 2019 (arXiv 1810.04805), section 4.1 and figure 4a; equal to transformers' class of the same name.
    `model(input_ids, lengths)` takes a packed batch (see bert.py) and returns logits, (sentences, num_labels).
    id2label: names of the labels, {0: "LABEL_0", ...} unless a folder has others.
    """

    def __init__(self, config: BertConfig, num_labels: int = 2, classifier_dropout: float | None = None):
        super().__init__()
        self.config, self.num_labels, self.classifier_dropout = config, num_labels, classifier_dropout
        self.id2label = {i: f"LABEL_{i}" for i in range(num_labels)}
        self.bert = BertModel(config)
        dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.bert.pooler = nn.ModuleDict({"dense": dense})  # where transformers has it
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
        with opened(name) as folder:
            config, weights = read_json(folder / "config.json"), read_weights(folder)
            if "bert.embeddings.word_embeddings.weight" not in weights:
                weights = {f"bert.{n}": t for n, t in weights.items()}
            found = len(weights["classifier.weight"]) if "classifier.weight" in weights else None
            if not (found or num_labels):
                raise ValueError(
                    f"{folder} has no classification head; give num_labels to get a new one, "
                    "whose scores mean nothing until it is trained"
                )
            if found and num_labels not in (None, found):
                raise ValueError(
                    f"num_labels is {num_labels}, and {folder} has a head with {found}; "
                    "leave num_labels out, or take another model"
                )
            kinds = {"classifier_dropout": float, "id2label": dict}
            config = of_kind(config, kinds, folder / "config.json")
            make = partial(cls, num_labels=found or num_labels, classifier_dropout=config.get("classifier_dropout"))
            has_pooler = "bert.pooler.dense.weight" in weights and weights["bert.pooler.dense.weight"].any()
            own = [] if found else ["classifier", *([] if has_pooler else ["pooler"])]
            model = make_bert(make, BertConfig.from_dict(config), weights, folder, new=own)
            if found and "id2label" in config:
                model.id2label = {int(i): label for i, label in config["id2label"].items()}
        return model.eval()

    def save(self, folder: Path, half: bool = False, **more):
        """Write `config.json` (with the entries `more`) and weights into an existing folder; half: as float16."""
        labels = {
            "id2label": {str(i): label for i, label in self.id2label.items()},
            "label2id": {label: int(i) for i, label in self.id2label.items()},
        }
        config = self.config.to_dict("BertForSequenceClassification") | labels
        write_json(folder / "config.json", config | {"classifier_dropout": self.classifier_dropout, **more})
        save_tensors(self.state_dict(), folder / "model.safetensors", half)

    def pool(self, hidden: Tensor, lengths: list[int]) -> Tensor:
        """The pooler on the vector of each sentence's first token: (tokens, hidden) -> (sentences, hidden)."""
        first = torch.tensor([0, *lengths[:-1]], device=hidden.device).cumsum(0)  # where each sentence starts
        return torch.tanh(self.bert.pooler["dense"](hidden[first]))

    def forward(self, input_ids: Tensor, lengths: list[int], token_type_ids: Tensor | None = None) -> Tensor:
        pooled = self.pool(self.bert(input_ids, lengths, token_type_ids), lengths)  # (sentences, hidden)
        return self.classifier(self.dropout(pooled))  # (sentences, labels)
