"""Two encoders, one for queries and one for documents, that were trained to put a query near its answers.

    towers = TwoTowers(small_encoder, large_encoder)           # or TwoTowers.load(folder)
    towers.similarity(towers.encode_query("how do I ...?"), towers.encode_document(texts))

A query is encoded while somebody waits, documents beforehand: so the query's tower may be the small one, a
StaticEmbedding even. sentence-transformers calls this a Router (formerly Asym); folders it saved are read here. The
milder form of the same idea is one encoder with two prompts: see `SentenceEncoder.encode_query`.

Left out on purpose: other routes than query and document, saving (save the two encoders), training.
"""

from pathlib import Path

import torch
from torch import Tensor

from course_lib.encoder import SentenceEncoder
from course_lib.modules import KINDS
from course_lib.support.configs import in_order, load_module, read_modules, read_settings
from course_lib.support.devices import pick_device
from course_lib.support.folders import opened, read_json


class TwoTowers:
    """`encode_query` by one encoder, `encode_document` by the other.

    Raises ValueError where their vectors differ in length, or their similarity functions. That both were trained for
    one space cannot be seen from outside: vectors of unrelated models compare by chance, whatever their length.
    """

    def __init__(self, query: SentenceEncoder, document: SentenceEncoder):
        dims = query.get_embedding_dimension(), document.get_embedding_dimension()
        if dims[0] != dims[1]:
            raise ValueError(
                f"the query encoder gives vectors of {dims[0]} numbers, the document encoder {dims[1]}: "
                "they cannot be compared"
            )
        if query.similarity_fn_name != document.similarity_fn_name:
            raise ValueError(
                f"the query encoder was made for {query.similarity_fn_name!r}, "
                f"the document encoder for {document.similarity_fn_name!r}"
            )
        self.query, self.document = query, document

    @classmethod
    def load(
        cls, name: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
    ) -> "TwoTowers":
        """Read a folder of sentence-transformers whose first module is a Router with the routes "query" and "document".

        Modules that both routes name are shared; modules after the Router belong to both. Raises FileNotFoundError or
        ValueError that says what is missing or not understood.
        """
        with opened(name) as folder:
            if not (folder / "router_config.json").exists():
                raise ValueError(
                    f"{folder} has no router_config.json: it is one encoder, not two; SentenceEncoder.load reads those"
                )
            file, after = folder / "router_config.json", dict(read_modules(folder)[1:])
            router = read_json(file, entries={"types": dict, "structure": dict})
            kinds = router.get("types", {}) | after
            modules = {path: load_module(folder / path, kind, KINDS) for path, kind in kinds.items()}
            routes, towers = router.get("structure", {}), []
            for route in ("query", "document"):
                if route not in routes:
                    raise ValueError(f"{file} has the routes {sorted(routes)}; expected 'query' and 'document'")
                chain = in_order([modules[path] for path in (*routes[route], *after)], folder)
                tower = SentenceEncoder(chain, **read_settings(folder), dtype=dtype)
                towers.append(tower.eval())
        return cls(*(tower.to(pick_device(device)) for tower in towers))

    def encode_query(self, sentences, **options):
        """As `SentenceEncoder.encode_query`, by the query encoder."""
        return self.query.encode_query(sentences, **options)

    def encode_document(self, sentences, **options):
        """As `SentenceEncoder.encode_document`, by the document encoder."""
        return self.document.encode_document(sentences, **options)

    encode = encode_document  # what evaluators call where a text is neither

    def similarity(self, a, b) -> Tensor:
        """All of `a` (n, dim) with all of `b` (m, dim): (n, m) scores."""
        return self.document.similarity(a, b)
