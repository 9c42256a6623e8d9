"""CrossEncoder: a pair of texts in, a score out. The course's counterpart of sentence_transformers.CrossEncoder.

    scorer = CrossEncoder.load("course/cross-encoder-mini")
    scorer.predict([("A cat sits on a mat.", "A feline is on a carpet.")])       # float32 (1,), 0..1
    scorer.rank("Who wrote Hamlet?", ["Hamlet is a play by Shakespeare.", "A hamlet is a small village."])

BERT reads both texts at once, [CLS] A [SEP] B [SEP], so that every token of one can attend to every token of the other,
and a classification head turns the [CLS] vector into a score (Devlin et al. 2019, section 4.1). There is no vector for
a text alone: n texts have n (n - 1) / 2 pairs, and each is a pass through BERT.

Left out on purpose: other architectures than BERT (sentence-transformers reads them), prompts, several processes.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_lib.inference import PreparedCopy, each_once, pack, progress_bar
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.support.configs import activation_path, read_activation, read_modules, read_settings
from course_lib.support.devices import pick_device, pick_dtype
from course_lib.support.embeddings import finite
from course_lib.support.folders import atomic_folder, opened, read_json, write_json
from course_lib.support.text_inputs import checked_text, is_pair, pair_list, text_list
from course_lib.support.tokenization import tokenize_pairs
from course_lib.support.tokenizer_files import read_tokenizer_settings, save_tokenizer
from course_lib.support.vectors import tensor_of

ENTRIES = {"architectures": list, "sentence_transformers": dict, "sbert_ce_default_activation_function": str}


class CrossEncoder(PreparedCopy, nn.Module):
    """A BERT with a classification head, and its tokenizer.

    max_seq_length: tokens a pair may have, [CLS] and both [SEP] included; a longer pair loses tokens from the end of
        its longer text. At most the model's positions.
    activation_fn: from logits to scores; by default sigmoid for one label, nothing for several.
    dtype: what `predict` computes BERT in. Weights, training, head and results are float32 whatever it is.
    """

    def __init__(
        self,
        model: BertForSequenceClassification,
        tokenizer: Tokenizer,
        max_seq_length: int | None = None,
        activation_fn: nn.Module | None = None,
        dtype: str | torch.dtype = "auto",
        tokenizer_files: dict[str, bytes] | None = None,
    ):
        super().__init__()
        if model.config.type_vocab_size < 2:
            raise ValueError("the model has one token type, and a pair needs two; take another BERT")
        self.model, self.tokenizer, self.dtype = model, tokenizer, dtype
        positions = model.config.max_position_embeddings
        self.max_seq_length = min(max_seq_length or positions, positions)
        self.activation_fn = activation_fn or (nn.Sigmoid() if model.num_labels == 1 else nn.Identity())
        self.tokenizer_files = tokenizer_files or {}

    # ---- folders

    @classmethod
    def load(
        cls,
        name: str | Path,
        num_labels: int | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
    ) -> "CrossEncoder":
        """Read a folder in sentence-transformers' CrossEncoder format (versions 2 to 6), or of any BERT.

        name: a folder, "course/..." (bundled), or a name on the hub.
        num_labels: makes a new head where the folder has none, to be trained: 1 for scores, more for classes.
        Raises FileNotFoundError or ValueError that says which file is missing, damaged or not understood.
        """
        with opened(name) as folder:
            config = read_json(folder / "config.json", entries=ENTRIES)
            settings = read_settings(folder, ["activation_fn", "default_prompt_name"])
            if config.get("model_type") != "bert":
                raise ValueError(
                    f"{folder} holds a {config.get('model_type')!r} model, and this CrossEncoder reads BERT only; "
                    "sentence_transformers.CrossEncoder reads others"
                )
            model = BertForSequenceClassification.load(folder, num_labels)
            is_cross_encoder = "BertForSequenceClassification" in config.get("architectures", [])
            if is_cross_encoder and (len(read_modules(folder)) > 1 or settings.get("default_prompt_name")):
                raise ValueError(
                    f"{folder} has further modules or a prompt; "
                    "this CrossEncoder knows BERT with its own head and no prompt"
                )
            path = (
                settings.get("activation_fn")
                or config.get("sentence_transformers", {}).get("activation_fn")
                or config.get("sbert_ce_default_activation_function")
            )  # versions 5.8 and 6, 4 and 5, 2 and 3
            activation = read_activation(path, folder) if path else None
            # the limit of other files is that of one text, not of two
            tokenizer = read_tokenizer_settings(folder, sentence_config=False)
            scorer = cls(model, **tokenizer, activation_fn=activation, dtype=dtype)
        return scorer.to(pick_device(device)).eval()

    def save(self, folder: str | Path, half: bool = False):
        """Write the folder in sentence-transformers' CrossEncoder format (versions 3 to 6), or leave what was there.

        half: store the weights as float16, half the size; they are float32 again when read.
        """
        path = activation_path(self.activation_fn)
        with atomic_folder(folder) as unfinished:
            in_configs = {
                "sentence_transformers": {"activation_fn": path},
                "sbert_ce_default_activation_function": path,
            }
            self.model.save(unfinished, half, **in_configs)
            save_tokenizer(self.tokenizer, self.tokenizer_files, unfinished)
            config = read_json(unfinished / "tokenizer_config.json")
            write_json(unfinished / "tokenizer_config.json", config | {"model_max_length": self.max_seq_length})

    # ---- from pairs to scores

    @property
    def num_labels(self) -> int:
        return self.model.num_labels

    def forward(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """Pairs to logits (pairs, num_labels), with gradients: what training calls.

        `predict` is the fast way without them.
        """
        ids, types = self._tokenize(pairs)
        order = np.argsort([len(i) for i in ids], kind="stable")
        sorted_pairs = self._packed([ids[k] for k in order], [types[k] for k in order])
        logits = self.model(*sorted_pairs)  # (pairs, num_labels)
        return logits[torch.from_numpy(np.argsort(order)).to(logits.device)]  # back in the order given

    def _tokenize(self, pairs: list[tuple[str, str]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Token ids and types of each pair, both int32 (tokens_i,)."""
        return tokenize_pairs(self.tokenizer, pairs, self.max_seq_length, rows=self.model.config.vocab_size)

    def _packed(self, ids: list[np.ndarray], types: list[np.ndarray]) -> tuple[Tensor, list[int], Tensor]:
        """Pairs one after the other: token ids (tokens,), lengths, token types (tokens,)."""
        return *pack(ids, self.device), pack(types, self.device)[0]

    def loss(self, pairs: Sequence[tuple[str, str]], labels: Sequence[float]) -> Tensor:
        """A scalar to minimise: binary cross-entropy with scores of 0..1 for one label, for several cross-entropy.

        Both take logits and have sigmoid or softmax inside; `activation_fn` plays no part. In nats.
        labels: scores, or numbers of classes. Raises ValueError for labels that do not fit.
        """
        pairs = pair_list(pairs)
        labels = tensor_of(labels, "labels")
        highest = 1 if self.num_labels == 1 else self.num_labels - 1
        fit = labels.shape == (len(pairs),) and len(pairs) and 0 <= labels.min() and labels.max() <= highest
        if not fit:  # NaN does not either
            raise ValueError(
                f"expected for each of the {len(pairs)} pairs a label of 0 to {highest}, got {labels.tolist()}"
            )
        if self.num_labels > 1 and labels.is_floating_point():
            raise ValueError(f"this model has {self.num_labels} classes, so labels are integers; got {labels.dtype}")
        logits, labels = self(pairs).float(), labels.to(self.device)
        if self.num_labels == 1:
            return F.binary_cross_entropy_with_logits(logits.squeeze(1), labels.float())
        return F.cross_entropy(logits, labels.long())

    @torch.inference_mode()
    def predict(
        self,
        pairs: Iterable[tuple[str, str]],
        activation_fn: nn.Module | None = None,
        *,
        batch_tokens: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> np.ndarray:
        """Scores of pairs: float32 (pairs,), or (pairs, num_labels) for several labels; one pair gives one score.

        pairs: one pair of strings, or any iterable of pairs. Each distinct pair is computed once.
        activation_fn: in place of the model's own; `torch.nn.Identity()` gives logits.
        batch_tokens: tokens computed at a time; the default suits the device.
        show_progress_bar: by default one appears on work of more than a few seconds.

        Raises TypeError naming the position of what is not a pair of strings.
        """
        one = is_pair(pairs)
        pairs = pair_list([pairs] if one else pairs)
        bert = self.prepared(self.model.bert, pick_dtype(self.dtype, self.device))
        rows = torch.empty(len(pairs), self.num_labels)
        with progress_bar(len(pairs), "predict", "pair", show_progress_bar) as progress:
            for ids, types, places in each_once(pairs, self._tokenize, self.device, progress, batch_tokens):
                input_ids, lengths, token_type_ids = self._packed(ids, types)
                pooled = self.model.pool(bert(input_ids, lengths, token_type_ids).float(), lengths)  # (batch, hidden)
                for where, logits in zip(places, finite(self.model.classifier(pooled), places)):
                    rows[where] = torch.from_numpy(logits)
        scores = (activation_fn or self.activation_fn)(rows)  # (pairs, num_labels)
        scores = (scores.squeeze(1) if self.num_labels == 1 else scores).numpy()
        return scores[0] if one else scores

    def rank(
        self, query: str, documents: Sequence[str], top_k: int | None = None, return_documents: bool = False, **options
    ) -> list[dict]:
        """Documents by their score with the query, best first: [{"corpus_id": place in `documents`, "score": ...}, ...]

        return_documents: add the document itself as "text". `options` go to `predict`. Equal scores keep their order.
        Raises ValueError where the model has several labels, which have no order.
        """
        if self.num_labels != 1:
            raise ValueError(f"this model has {self.num_labels} labels, and ranking needs a single score; use predict")
        query, documents = checked_text(query, what="query"), text_list(documents, "documents", "document")
        scores = self.predict([(query, document) for document in documents], **options)
        best = np.argsort(-scores, kind="stable")[:top_k]
        return [
            {"corpus_id": int(i), "score": float(scores[i]), **({"text": documents[i]} if return_documents else {})}
            for i in best
        ]
