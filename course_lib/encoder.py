"""SentenceEncoder: texts in, vectors out. The course's counterpart of sentence_transformers.SentenceTransformer.

    encoder = SentenceEncoder.load("course/sbert-mini")
    vectors = encoder.encode(["A cat sits on a mat", "A feline is on a carpet"])   # float32 (2, 256)
    encoder.similarity(vectors, vectors)                                           # (2, 2) cosines

`encode` tokenises each distinct text once, sorts by number of tokens, and fills batches up to a number of *tokens*
rather than of texts, so that a batch of long texts is no larger than one of short ones. Packed (see bert.py), it
computes no padding, and a text's vector does not depend on its neighbours.

Left out on purpose: several processes, quantised outputs, other backends, model cards.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import similarity as similarities
from course_lib.inference import PreparedCopy, each_once, pack, progress_bar
from course_lib.modules import load_modules
from course_lib.support.configs import SETTINGS, output_dim, read_settings, save_modules, write_settings
from course_lib.support.devices import pick_device, pick_dtype
from course_lib.support.embeddings import finite
from course_lib.support.folders import DEFAULT, atomic_folder, opened
from course_lib.support.prompts import Prompted
from course_lib.support.text_inputs import text_list, text_source
from course_lib.support.windows import Windows
from course_lib.transformer import TokenEmbeddings, Transformer


class SentenceEncoder(PreparedCopy, Prompted, nn.Sequential):
    """Modules in sequence, from a list of texts to a tensor (texts, dim).

    modules: Transformer and Pooling, or StaticEmbedding, then any Dense and Normalize.
    prompts: texts to put before each text, by name; `default_prompt_name` is the one used when none is asked for.
    similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan"; what `similarity` computes.
    truncate_dim: `encode` keeps this many of the first dimensions.
    dtype: what `encode` computes in. Weights, training and results are float32 whatever it is.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str = "cosine",
        truncate_dim: int | None = None,
        dtype: str | torch.dtype = "auto",
    ):
        super().__init__(*(modules.values() if isinstance(modules, Mapping) else modules))  # a slice comes as a dict
        if similarity_fn_name not in similarities.SIMILARITY_FUNCTIONS:
            known = list(similarities.SIMILARITY_FUNCTIONS)
            raise ValueError(f"similarity_fn_name is {similarity_fn_name!r}; expected one of {known}")
        self.set_prompts(prompts, default_prompt_name)
        output_dim(self)  # raises where modules do not fit each other
        self.similarity_fn_name, self.truncate_dim, self.dtype = similarity_fn_name, truncate_dim, dtype

    # ---- folders

    @classmethod
    def load(
        cls, name: str | Path = DEFAULT, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
    ) -> "SentenceEncoder":
        """Read a folder in sentence-transformers' format, or a plain `transformers` one, which gets mean pooling.

        name: a folder, "course/..." (bundled), or a name on the hub.
        dtype: "auto" encodes in bfloat16 where the device computes it in hardware, else in float32.
        Raises FileNotFoundError or ValueError that says which file is missing, damaged or not understood.
        """
        with opened(name) as folder:
            encoder = cls(load_modules(folder), **read_settings(folder), dtype=dtype)
        return encoder.to(pick_device(device)).eval()

    def save(self, folder: str | Path, half: bool = False):
        """Write the folder in sentence-transformers' format (readable by its versions 3 to 6), or leave what was there.

        half: store a Transformer's and Dense's weights as float16, half the size; they are float32 again when read.
        """
        with atomic_folder(folder) as unfinished:
            save_modules(self, unfinished, half)
            write_settings(unfinished, {name: getattr(self, name) for name in SETTINGS})

    # ---- sizes

    @property
    def max_seq_length(self) -> int | None:
        """Tokens of a text that are read, [CLS] and [SEP] included; may be set, up to the model's positions."""
        return self[0].max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int):
        limit = getattr(self[0], "positions", None) or math.inf
        if not 3 <= value <= limit:
            raise ValueError(f"max_seq_length is {value}; expected 3 to {limit}, the positions the model has")
        self[0].max_seq_length = value

    def get_embedding_dimension(self) -> int:
        """Length of a vector that `encode` returns."""
        return min(dim for dim in (output_dim(self), self.truncate_dim) if dim)

    # ---- from texts to vectors

    def forward(self, texts: list[str], prompt: str = "") -> Tensor:
        """Texts to float32 (texts, dim), with gradients: what training calls. `encode` is the fast way without them."""
        ids, _ = self[0].tokenize([prompt + text for text in text_list(texts)])
        order = np.argsort([len(i) for i in ids], kind="stable")
        vectors = self._run(list(self), [ids[k] for k in order], self._prompt_length(prompt))
        return vectors[torch.from_numpy(np.argsort(order)).to(vectors.device)]  # back in the order given

    def _run(self, chain: list[nn.Module], ids: list[np.ndarray], prompt_length: int) -> Tensor:
        """Token ids, each (tokens_i,), through the modules: (texts, dim)."""
        x = chain[0](*pack(ids, self.device), prompt_length)
        for module in chain[1:]:
            x = module(x)
        return x

    def _prompt_length(self, prompt: str) -> int:
        """Tokens that a prompt takes at a sentence's start, [CLS] included and the closing [SEP] not."""
        return len(self[0].tokenize([prompt])[0][0]) - 1 if prompt else 0

    def _modules_for_inference(self) -> list[nn.Module]:
        """The modules with the model prepared in `dtype`."""
        if not isinstance(self[0], Transformer):
            return list(self)
        prepared = self.prepared(self[0].model, pick_dtype(self.dtype, self.device))
        return [lambda ids, lengths, prompt: TokenEmbeddings(prepared(ids, lengths), lengths, prompt), *list(self)[1:]]

    def encode(
        self,
        sentences: str | Iterable[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        batch_tokens: int | None = None,
        normalize_embeddings: bool = False,
        convert_to_tensor: bool = False,
        show_progress_bar: bool | None = None,
        out: np.ndarray | None = None,
        return_truncated: bool = False,
    ):
        """Texts to vectors: float32 (texts, dim), in the order given; one text gives (dim,).

        sentences: a string, a list, or any iterable (support/text_inputs.py); without a length, 16,384 texts at a time.
        prompt: put before each text; or prompt_name, one of `self.prompts`.
        batch_tokens: tokens computed at a time; the default suits the device.
        normalize_embeddings: L2-normalise the vectors.
        out: an array or memory map of floats (at least texts, dim) to write into; returned, cut to the number of texts.
            After an error about a text it holds the windows of 16,384 before that text's own; of a list, nothing.
        show_progress_bar: by default one appears on work of more than a few seconds.
        return_truncated: also return how many texts were longer than `max_seq_length` and cut.

        Raises TypeError naming the position of what is no string, ValueError for an unknown prompt or an unfit `out`.
        """
        prompt = self.resolve_prompt(prompt, prompt_name)
        source, one = text_source(sentences, "sentences")
        windows = Windows(source, self.get_embedding_dimension(), out)
        tokenize = lambda texts: self[0].tokenize([prompt + text for text in texts])
        chain, prompt_length, truncated = self._modules_for_inference(), self._prompt_length(prompt), 0
        with progress_bar(windows.total, "encode", "text", show_progress_bar) as progress, torch.inference_mode():
            for texts, rows in windows:
                for ids, cut, places in each_once(texts, tokenize, self.device, progress, batch_tokens):
                    vectors = self._run(chain, ids, prompt_length)[:, : windows.dim]
                    vectors = F.normalize(vectors, dim=-1) if normalize_embeddings else vectors
                    for vector, where, was_cut in zip(finite(vectors, places, windows.done - len(texts)), places, cut):
                        rows[where] = vector
                        truncated += was_cut * len(where)
        result = windows.rows()[0] if one else windows.rows()
        if convert_to_tensor:
            result = torch.from_numpy(np.asarray(result)).to(self.device)
        return (result, truncated) if return_truncated else result

    # ---- looking inside

    def tokens(self, text: str) -> list[str]:
        """The tokens a text is cut into, special ones included."""
        return [self[0].tokenizer.id_to_token(int(i)) for i in self[0].tokenize([text])[0][0]]

    def token_embeddings(self, texts: list[str]) -> list[Tensor]:
        """Before pooling: for each text float32 (tokens_i, hidden)."""
        ids, _ = self[0].tokenize(text_list(texts))
        with torch.no_grad():
            found = self[0](*pack(ids, self.device))
        return list(found.vectors.split(found.lengths))

    def similarity(self, a, b) -> Tensor:
        """All of `a` (n, dim) with all of `b` (m, dim): (n, m) scores of `similarity_fn_name`."""
        return similarities.SIMILARITY_FUNCTIONS[self.similarity_fn_name](a, b)
