"""Sparse vectors: a weight for each term of a vocabulary, nearly all of them 0, and the index that such vectors allow.

    encoder = SparseEncoder.load("course/splade-mini")
    documents = encoder.encode_document(texts)                        # scipy.sparse, float32 (texts, vocabulary)
    scores, rows = InvertedIndex(documents).search(encoder.encode_query(queries), k=10)
    encoder.decode(documents[:1], top_k=5)                            # [[("cat", 2.1), ("feline", 0.8), ...]]

SPLADE (Formal et al. 2021, arXiv 2107.05720 and 2109.10086): BERT's masked-language-model head says at each token which
words could stand there. A term's weight is the highest of these logits over the text's tokens, as log(1 + relu(.)), so
that a text has weights for words of its own and for others that would fit. BM25, in bm25.py, counts instead.

Since log(1 + relu(.)) never falls, the maximum may come first and the rest once a text: see max_over_tokens.py.

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

from course_lib.inference import (
    PreparedCopy,
    default_batch_tokens,
    each_once,
    pack,
    progress_bar,
    token_batches,
)
from course_lib.models.masked_lm import BertForMaskedLM
from course_lib.models.max_over_tokens import max_over_tokens
from course_lib.support.configs import read_modules, read_settings, write_modules, write_settings
from course_lib.support.devices import pick_device, pick_dtype
from course_lib.support.embeddings import finite
from course_lib.support.folders import atomic_folder, opened, read_json, save_tensors, write_json
from course_lib.support.prompts import Prompted
from course_lib.support.text_inputs import text_list
from course_lib.support.tokenization import tokenize
from course_lib.support.tokenizer_files import read_tokenizer_settings, save_tokenizer

PREFIX = "sentence_transformers.sparse_encoder.models"
MODULES = [("", f"{PREFIX}.MLMTransformer"), ("1_SpladePooling", f"{PREFIX}.SpladePooling")]  # folder and kind of each
POOLING = {"pooling_strategy": "max", "activation_function": "relu"}


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
        positions = model.config.max_position_embeddings
        self.max_seq_length = min(max_seq_length or positions, positions)
        self.set_prompts(prompts, default_prompt_name)
        self.tokenizer_files = tokenizer_files or {}

    # ---- folders

    @classmethod
    def load(
        cls, name: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
    ) -> "SparseEncoder":
        """Read a folder in sentence-transformers' SparseEncoder format, or of a BERT with its language model head.

        name: a folder, "course/..." (bundled), or a name on the hub.
        Raises FileNotFoundError or ValueError that says which file is missing, damaged or not understood.
        """
        with opened(name) as folder:
            modules, settings = read_modules(folder), {}
            kinds = [kind.rsplit(".", 1)[-1] for _, kind in modules]
            if "SpladePooling" in kinds:
                if len(kinds) != 2 or kinds[0] not in ("MLMTransformer", "Transformer"):
                    raise ValueError(f"{folder} has the modules {kinds}; expected MLMTransformer and SpladePooling")
                path = folder / modules[1][0] / "config.json"
                other = {key: value for key, value in read_json(path).items() if POOLING.get(key, value) != value}
                if other:
                    raise ValueError(
                        f"{path} says {other}; this SparseEncoder computes {POOLING} only, "
                        "sentence_transformers.SparseEncoder more"
                    )
                settings = read_settings(folder, ["prompts", "default_prompt_name"])
            encoder = cls(BertForMaskedLM.load(folder), **read_tokenizer_settings(folder), **settings, dtype=dtype)
        return encoder.to(pick_device(device)).eval()

    def save(self, folder: str | Path, half: bool = False):
        """Write the folder in sentence-transformers' format (SparseEncoder, versions 5 and 6), or leave what was there.

        half: store the weights as float16, half the size; they are float32 again when read.
        """
        pooling = POOLING | {"word_embedding_dimension": self.get_embedding_dimension()}
        settings = {
            "model_type": "SparseEncoder",
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": "dot",
        }
        limit = {"max_seq_length": self.max_seq_length, "do_lower_case": False}
        with atomic_folder(folder) as unfinished:
            write_json(unfinished / "config.json", self.model.config.to_dict("BertForMaskedLM"))
            save_tensors(self.model.state_dict(), unfinished / "model.safetensors", half)
            write_json(unfinished / "sentence_bert_config.json", limit)
            save_tokenizer(self.tokenizer, self.tokenizer_files, unfinished)
            (unfinished / "1_SpladePooling").mkdir()
            write_json(unfinished / "1_SpladePooling" / "config.json", pooling)
            write_modules(unfinished, MODULES)
            write_settings(unfinished, settings)

    # ---- from texts to vectors

    def get_embedding_dimension(self) -> int:
        """Length of a vector: the size of the vocabulary."""
        return self.model.config.vocab_size

    def forward(self, texts: list[str], prompt: str = "") -> Tensor:
        """Texts to dense float32 (texts, vocabulary), with gradients: what training calls.

        `encode` is the fast way without them.
        """
        texts = text_list(texts)
        if not texts:
            raise ValueError("there are no texts: expected one at least (encode takes none as well)")
        ids, _ = self._tokenize([prompt + text for text in texts])
        dtype = torch.bfloat16 if torch.is_autocast_enabled(self.device.type) else torch.float32
        words, parts, order = self.model.bert.embeddings.word_embeddings.weight, [], []
        budget = default_batch_tokens(self.device)  # what a cache holds
        for batch in token_batches([len(i) for i in ids], budget):
            packed, lengths = pack([ids[k] for k in batch], self.device)
            parts.append(self._weights(self.model.bert(packed, lengths), words, lengths, dtype))
            order += batch
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(self.device)]  # back in the order given

    def _tokenize(self, texts: list[str]) -> tuple[list[np.ndarray], list[bool]]:
        """Token ids of each text, int32 (tokens_i,), and whether it was cut."""
        return tokenize(self.tokenizer, texts, self.max_seq_length, rows=self.get_embedding_dimension())

    def _weights(self, hidden: Tensor, words: Tensor, lengths: list[int], dtype: torch.dtype) -> Tensor:
        """(tokens, hidden) -> (texts, vocabulary): log(1 + relu(highest logit)) (Formal et al. 2021b, equation 2)."""
        highest = max_over_tokens(self.model.transform(hidden).float(), words, lengths, dtype)
        return torch.log1p(F.relu(highest + self.model.cls["predictions"].bias))

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
        """Texts to sparse float32 (texts, vocabulary), in the order given; one text gives one row.

        sentences: a string, or any iterable of strings. Each distinct text is computed once.
        prompt: put before each text; or prompt_name, one of `self.prompts`.
        batch_tokens: tokens computed at a time; the default suits the device.
        show_progress_bar: by default one appears on work of more than a few seconds.

        Raises TypeError naming the position of what is not a string, ValueError for an unknown prompt.
        """
        prompt = self.resolve_prompt(prompt, prompt_name)
        texts = text_list(sentences, "sentences", alone=True)
        token_ids = lambda some: self._tokenize([prompt + text for text in some])
        dtype = pick_dtype(self.dtype, self.device)
        bert, words = self.prepared(self.model.bert, dtype), self.model.bert.embeddings.word_embeddings.weight.to(dtype)
        found: list[tuple[np.ndarray, np.ndarray]] = [None] * len(texts)  # terms and weights of each
        with progress_bar(len(texts), "encode", "text", show_progress_bar) as progress:
            for ids, _, places in each_once(texts, token_ids, self.device, progress, batch_tokens):
                packed, lengths = pack(ids, self.device)
                vectors = self._weights(bert(packed, lengths).float(), words, lengths, dtype)
                for vector, rows in zip(finite(vectors, places), places):
                    terms = np.flatnonzero(vector)
                    sparse = terms.astype(np.int32), vector[terms]
                    for row in rows:
                        found[row] = sparse
        counts = np.cumsum([0, *(len(terms) for terms, _ in found)])
        terms = np.concatenate([np.empty(0, np.int32), *(terms for terms, _ in found)])
        weights = np.concatenate([np.empty(0, np.float32), *(weights for _, weights in found)])
        return scipy.sparse.csr_array((weights, terms, counts), shape=(len(texts), self.get_embedding_dimension()))

    # ---- looking inside

    def decode(self, vectors: scipy.sparse.sparray, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """Of each row the terms and their weights, highest first; `top_k` of them, or all."""
        vectors = scipy.sparse.csr_array(vectors)
        found = []
        for start, end in zip(vectors.indptr, vectors.indptr[1:]):
            best = start + np.argsort(-vectors.data[start:end], kind="stable")[:top_k]
            found.append([(self.tokenizer.id_to_token(int(vectors.indices[i])), float(vectors.data[i])) for i in best])
        return found


def sparsity(vectors: scipy.sparse.sparray) -> dict[str, float]:
    """{"active_dims": terms a text on average, "sparsity_ratio": share of all weights that are 0}.

    The names are those of sentence-transformers.
    """
    vectors = scipy.sparse.csr_array(vectors)
    active = vectors.nnz / max(1, vectors.shape[0])
    return {"active_dims": active, "sparsity_ratio": 1 - active / vectors.shape[1]}
