"""Sparse vectors: a weight for each term of a vocabulary, nearly all of them 0, and the index that such vectors allow.

    encoder = SparseEncoder.load("course/splade-mini")
    documents = encoder.encode_document(texts)                        # scipy.sparse, float32 (texts, vocabulary)
    scores, rows = InvertedIndex(documents).search(encoder.encode_query(queries), k=10)
    encoder.decode(documents[:1], top_k=5)                            # [[("cat", 2.1), ("feline", 0.8), ...]]

SPLADE (Formal et al. 2021, arXiv 2107.05720 and 2109.10086): BERT's masked-language-model head says at each token which
words could stand there. The weight of a term is the highest of these logits over the text's tokens, as log(1 + relu(.)),
so that a text has weights for words of its own and for others that would fit. BM25, in bm25.py, counts instead.

The head is as wide as the vocabulary. Since log(1 + relu(.)) never falls, the maximum comes first and the rest once a
text, no logits of more than one text are ever held, and of their gradients only the few that are not 0 (`max_over_tokens`).

Left out on purpose: other architectures than BERT, sum pooling, separate query encoders, several processes.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.bert import ACTIVATIONS
from course_lib.inference import PreparedCopy, token_batches
from course_lib.models.classifier import load_masked_lm
from course_lib.models.masked_lm import BertForMaskedLM
from course_lib.modules import module_entries
from course_lib.support.devices import pick_device, pick_dtype
from course_lib.support.folders import atomic_folder, read_json, resolve, save_tensors, write_json
from course_lib.support.linear import linear
from course_lib.support.prompts import Prompted
from course_lib.support.tokenization import TOKENIZER_FILES, save_tokenizer, tokenize

POOLING = {"pooling_strategy": "max", "activation_function": "relu"}


class _MaxOverTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, lengths: list[int], dtype: torch.dtype):
        ctx.save_for_backward(hidden, weight)
        ctx.lengths, ctx.dtype = lengths, dtype
        words = weight.to(dtype)
        texts = hidden.to(dtype).split(lengths)  # each (length, hidden)
        return torch.stack([linear(text, words).amax(0).float() for text in texts])  # (texts, vocabulary)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        """Of each (text, term) only the token with the highest logit has a part, and most terms have none at all."""
        hidden, weight = ctx.saved_tensors
        of_hidden, of_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        for text, of_text, of_terms in zip(hidden.split(ctx.lengths), of_hidden.split(ctx.lengths), gradient):
            terms = of_terms.nonzero().squeeze(1)
            words, values = weight[terms], of_terms[terms, None]  # (terms, hidden), (terms, 1)
            tokens = (words.to(ctx.dtype) @ text.to(ctx.dtype).T).argmax(1)  # (terms,): where each is highest
            of_text.index_add_(0, tokens, values * words)
            of_weight.index_add_(0, terms, values * text[tokens])
        return of_hidden, of_weight, None, None


def max_over_tokens(hidden: Tensor, weight: Tensor, lengths: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """(tokens, hidden), (vocabulary, hidden) -> float32 (texts, vocabulary): the highest of a text's rows of hidden @ weight.T.

    lengths: tokens of each text, packed as in bert.py. dtype: what the products are computed in. Gradients are computed for
    the terms that pass one on, which after relu are few: the same as of the whole product, to rounding.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        return _MaxOverTokens.apply(hidden, weight, lengths, dtype)


class SparseEncoder(PreparedCopy, Prompted, nn.Module):
    """A BERT with its masked-language-model head, read as a sparse encoder; and its tokenizer.

    max_seq_length: tokens of a text that are read, [CLS] and [SEP] included; at most the model's positions.
    prompts: texts to put before each text, by name; `default_prompt_name` is the one used when none is asked for.
    dtype: what `encode` computes in. Weights, training and results are float32 whatever it is.
    """

    def __init__(
        self,
        model: BertForMaskedLM,
        tokenizer: Tokenizer,
        max_seq_length: int | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        dtype: str | torch.dtype = "auto",
        tokenizer_files: dict[str, bytes] | None = None,
    ):
        super().__init__()
        self.model, self.tokenizer, self.dtype = model, tokenizer, dtype
        self.max_seq_length = min(
            max_seq_length or model.config.max_position_embeddings, model.config.max_position_embeddings
        )
        self.set_prompts(prompts, default_prompt_name)
        self.tokenizer_files = tokenizer_files or {}

    # ---- folders

    @classmethod
    def load(
        cls, name: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
    ) -> "SparseEncoder":
        """Read a folder in sentence-transformers' SparseEncoder format, or of any BERT with its masked-language-model head.

        name: a folder, "course/..." (bundled), or a name on the hub.
        Raises FileNotFoundError or ValueError that says which file is missing, damaged or not understood.
        """
        folder = resolve(name)
        entries = module_entries(folder)
        modules = [kind.rsplit(".", 1)[-1] for _, kind in entries]
        if "SpladePooling" in modules:
            if len(modules) != 2 or modules[0] not in ("MLMTransformer", "Transformer"):
                raise ValueError(f"{folder} has the modules {modules}; expected MLMTransformer and SpladePooling")
            path = folder / entries[1][0] / "config.json"
            other = {key: value for key, value in read_json(path).items() if POOLING.get(key, value) != value}
            if other:
                raise ValueError(
                    f"{path} says {other}; this SparseEncoder computes {POOLING} only, sentence_transformers.SparseEncoder more"
                )
        config = (
            read_json(folder / "config_sentence_transformers.json", default={}) if "SpladePooling" in modules else {}
        )
        limits = (
            read_json(folder / "sentence_bert_config.json", default={}).get("max_seq_length"),
            read_json(folder / "tokenizer_config.json", default={}).get("model_max_length"),
        )
        files = {name: (folder / name).read_bytes() for name in TOKENIZER_FILES if (folder / name).exists()}
        encoder = cls(
            *load_masked_lm(folder),
            min((n for n in limits if n and n < 1e9), default=None),
            config.get("prompts"),
            config.get("default_prompt_name"),
            dtype,
            files,
        )
        return encoder.to(pick_device(device)).eval()

    def save(self, folder: str | Path, half: bool = False):
        """Write the folder in sentence-transformers' format (SparseEncoder, versions 5 and 6), or leave what was there.

        half: store the weights as float16, half the size; they are float32 again when read.
        """
        kinds = {"": "MLMTransformer", "1_SpladePooling": "SpladePooling"}
        with atomic_folder(folder) as unfinished:
            write_json(unfinished / "config.json", self.model.config.to_dict("BertForMaskedLM"))
            save_tensors(self.model.state_dict(), unfinished / "model.safetensors", half)
            write_json(
                unfinished / "sentence_bert_config.json",
                {"max_seq_length": self.max_seq_length, "do_lower_case": False},
            )
            save_tokenizer(self.tokenizer, self.tokenizer_files, unfinished)
            (unfinished / "1_SpladePooling").mkdir()
            write_json(
                unfinished / "1_SpladePooling" / "config.json",
                POOLING | {"word_embedding_dimension": self.get_embedding_dimension()},
            )
            write_json(
                unfinished / "modules.json",
                [
                    {
                        "idx": i,
                        "name": str(i),
                        "path": path,
                        "type": f"sentence_transformers.sparse_encoder.models.{kind}",
                    }
                    for i, (path, kind) in enumerate(kinds.items())
                ],
            )
            write_json(
                unfinished / "config_sentence_transformers.json",
                {
                    "model_type": "SparseEncoder",
                    "__version__": {},
                    "prompts": self.prompts,
                    "default_prompt_name": self.default_prompt_name,
                    "similarity_fn_name": "dot",
                },
            )

    # ---- from texts to vectors

    @property
    def device(self) -> torch.device:
        return self.model.bert.embeddings.word_embeddings.weight.device

    def get_embedding_dimension(self) -> int:
        """Length of a vector: the size of the vocabulary."""
        return self.model.config.vocab_size

    def forward(self, texts: list[str], prompt: str = "") -> Tensor:
        """Texts to dense float32 (texts, vocabulary), with gradients: what training calls. `encode` is the fast way without them."""
        ids, _ = tokenize(self.tokenizer, [prompt + text for text in texts], self.max_seq_length)
        dtype = torch.bfloat16 if torch.is_autocast_enabled(self.device.type) else torch.float32
        words, parts, order = self.model.bert.embeddings.word_embeddings.weight, [], []
        for batch in token_batches(
            [len(i) for i in ids], 2048 if self.device.type == "cpu" else 32_768
        ):  # small enough for a cache
            packed, lengths = self._packed(ids, batch)
            parts.append(
                self._weights(_transformed(self.model, self.model.bert(packed, lengths)).float(), words, lengths, dtype)
            )
            order += batch
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(self.device)]  # back in the order given

    def _packed(self, ids: list[np.ndarray], chosen: Iterable[int]) -> tuple[Tensor, list[int]]:
        """The chosen texts one after the other: token ids (tokens,), lengths."""
        packed = np.concatenate([ids[k] for k in chosen])
        return torch.from_numpy(packed).long().to(self.device), [len(ids[k]) for k in chosen]

    def _weights(self, hidden: Tensor, words: Tensor, lengths: list[int], dtype: torch.dtype) -> Tensor:
        """(tokens, hidden) -> (texts, vocabulary): log(1 + relu(highest logit)) (Formal et al. 2021b, equation 2)."""
        return torch.log1p(F.relu(max_over_tokens(hidden, words, lengths, dtype) + self.model.cls["predictions"].bias))

    @torch.inference_mode()
    def encode(
        self,
        sentences: str | Iterable[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        batch_tokens: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> scipy.sparse.csr_array:
        """Texts to sparse float32 (texts, vocabulary), in the order given; one text gives one row. Each distinct text is computed once.

        sentences: a string, or any iterable of strings.
        prompt: put before each text; or prompt_name, one of `self.prompts`.
        batch_tokens: tokens computed at a time; the default suits the device.
        show_progress_bar: by default one appears on work of more than a few seconds.

        Raises TypeError naming the position of what is not a string, ValueError for an unknown prompt.
        """
        prompt = self.resolve_prompt(prompt, prompt_name)
        places: dict[str, int] = {}  # each distinct text, and its number among them
        rows = []
        for i, text in enumerate([sentences] if isinstance(sentences, str) else sentences):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {text!r} ({type(text).__name__}); expected a string")
            rows.append(places.setdefault(text, len(places)))
        ids, _ = tokenize(self.tokenizer, [prompt + text for text in places], self.max_seq_length)
        dtype = pick_dtype(self.dtype, self.device)
        bert, words = self.prepared(self.model.bert, dtype), self.model.bert.embeddings.word_embeddings.weight.to(dtype)
        found: list[tuple[np.ndarray, np.ndarray]] = [None] * len(places)
        with tqdm(
            total=len(places),
            desc="encode",
            unit="text",
            delay=4 if show_progress_bar is None else 0,
            disable=show_progress_bar is False,
        ) as progress:
            for batch in token_batches(
                [len(i) for i in ids], batch_tokens or (2048 if self.device.type == "cpu" else 32_768)
            ):
                packed, lengths = self._packed(ids, batch)
                vectors = (
                    self._weights(_transformed(self.model, bert(packed, lengths).float()), words, lengths, dtype)
                    .cpu()
                    .numpy()
                )
                for k, vector in zip(batch, vectors):
                    terms = np.flatnonzero(vector)
                    found[k] = terms.astype(np.int32), vector[terms]
                progress.update(len(batch))
        counts = np.cumsum([0, *(len(found[k][0]) for k in rows)])
        terms, weights = (
            np.concatenate([np.empty(0, kind), *(found[k][side] for k in rows)])
            for side, kind in ((0, np.int32), (1, np.float32))
        )
        return scipy.sparse.csr_array((weights, terms, counts), shape=(len(rows), self.get_embedding_dimension()))

    # ---- looking inside

    def decode(self, vectors: scipy.sparse.sparray, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """Of each row the terms and their weights, highest first; `top_k` of them, or all."""
        vectors = scipy.sparse.csr_array(vectors)
        found = []
        for start, end in zip(vectors.indptr, vectors.indptr[1:]):
            best = start + np.argsort(-vectors.data[start:end], kind="stable")[:top_k]
            found.append([(self.tokenizer.id_to_token(int(vectors.indices[i])), float(vectors.data[i])) for i in best])
        return found


def _transformed(model: BertForMaskedLM, hidden: Tensor) -> Tensor:
    """The head up to its last matrix: (tokens, hidden) -> (tokens, hidden)."""
    transform = model.cls["predictions"]["transform"]
    return transform["LayerNorm"](ACTIVATIONS[model.config.hidden_act](transform["dense"](hidden)))


def sparsity(vectors: scipy.sparse.sparray) -> dict[str, float]:
    """{"active_dims": terms a text on average, "sparsity_ratio": share of all weights that are 0}; names as in sentence-transformers."""
    active = vectors.nnz / max(1, vectors.shape[0])
    return {"active_dims": active, "sparsity_ratio": 1 - active / vectors.shape[1]}
