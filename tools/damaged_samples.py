"""Small model folders and data files of every kind that course_lib reads, for damage.py to damage."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn

from course_lib import data
from course_lib.bert import BertConfig, BertModel
from course_lib.datasets import captions, questions, retrieval, town, translations
from course_lib.encoder import SentenceEncoder
from course_lib.models.classifier import BertForSequenceClassification
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.models.images import ImageEncoder, TextImageEncoder
from course_lib.models.masked_lm import BertForMaskedLM, fill_mask, load_masked_lm
from course_lib.models.sparse import SparseEncoder
from course_lib.models.static import StaticEmbedding
from course_lib.models.two_towers import TwoTowers
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.support.folders import read_json, write_json
from course_lib.training import train
from course_lib.transformer import Transformer
from recipes.shared.measured import Measured

TEXTS = ["A cat sits on the mat, café!", "WHERE is the laptop? 123 你好"]


@dataclass
class Sample:
    """A folder, how it is read, and what is then computed: `expected`, where nothing is damaged."""

    name: str
    folder: Path
    load: Callable[[Path], Any]
    use: Callable[[Any], Any] = lambda found: found
    expected: Any = None

    def __post_init__(self):
        copy = self.folder.with_name(self.folder.name + ".read")  # reading a checkpoint may write it again
        shutil.copytree(self.folder, copy)
        self.expected = self.use(self.load(copy))
        shutil.rmtree(copy)


# ---- models


def encoder(folder: Path) -> SentenceEncoder:
    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


def encode(model) -> np.ndarray:
    return model.encode(TEXTS)


def tokenizer() -> Tokenizer:
    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator(TEXTS * 5, vocab_size=90, show_progress=False)
    made = Tokenizer.from_str(pieces.to_str())
    special = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special)
    return made


def model_folders(work: Path, others: bool = True) -> list[Sample]:
    """A sample of each kind of folder. others: those too that transformers, seconds to import, makes."""
    torch.manual_seed(0)
    words = tokenizer()
    config = BertConfig(words.get_vocab_size(), 24, 2, 3, 48, max_position_embeddings=64, initializer_range=0.3)
    files = {"tokenizer_config.json": json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}).encode()}
    bert = Transformer(BertModel(config), words, 32, tokenizer_files=files)
    static = StaticEmbedding(tokenizer(), torch.randn(words.get_vocab_size(), 12))
    whole = SentenceEncoder([bert, Pooling(24, ("cls", "mean")), Dense(48, 12), Normalize()], prompts={"query": "q: "})

    whole.save(work / "flags")
    new_dialect(shutil.copytree(work / "flags", work / "modes"))
    in_shards(shutil.copytree(work / "flags", work / "shards"))
    plain(shutil.copytree(work / "flags", work / "plain"))
    SentenceEncoder([static, Dense(12, 6)]).save(work / "static")
    router(work / "router", SentenceEncoder([bert, Pooling(24), Dense(24, 12)]), static)
    CrossEncoder(BertForSequenceClassification(config, 1), words, 40, tokenizer_files=files).save(work / "scorer")
    BertForSequenceClassification(config, 3).save(shutil.copytree(work / "plain", work / "classifier"))
    SparseEncoder(BertForMaskedLM(config), words, 32, tokenizer_files=files).save(work / "sparse")
    shutil.copytree(work / "sparse", work / "masked")
    TextImageEncoder(whole, ImageEncoder(dim=12, width=16, side=16)).save(work / "pictures")

    pairs, pictures = [(a, b) for a in TEXTS for b in TEXTS], np.arange(768, dtype=np.uint8).reshape(1, 16, 16, 3)
    ids = torch.arange(1, 11)
    samples = [Sample(name, work / name, encoder, encode) for name in ("flags", "modes", "shards", "plain", "static")]
    samples += [
        Sample("router", work / "router", lambda f: TwoTowers.load(f, "cpu", "float32"), of_both_towers),
        Sample(
            "scorer",
            work / "scorer",
            lambda f: CrossEncoder.load(f, None, "cpu", "float32"),
            lambda m: m.predict(pairs),
        ),
        Sample(
            "classifier",
            work / "classifier",
            BertForSequenceClassification.load,
            lambda m: m(ids, [4, 6]).detach().nan_to_num().numpy(),  # whoever calls a torch module looks at its numbers
        ),
        Sample(
            "sparse",
            work / "sparse",
            lambda f: SparseEncoder.load(f, "cpu", "float32"),
            lambda m: m.encode(TEXTS).toarray(),
        ),
        Sample("masked", work / "masked", load_masked_lm, guesses),
        Sample("pictures", work / "pictures", TextImageEncoder.load, lambda m: of_both_halves(m, pictures)),
    ]
    return samples + (of_transformers(work) if others else [])


def of_transformers(work: Path) -> list[Sample]:
    """Another architecture, and a BERT with a vocabulary in place of tokenizer.json."""
    import transformers

    transformers.logging.disable_progress_bar()
    words = tokenizer()
    config = transformers.DistilBertConfig(
        vocab_size=words.get_vocab_size(), dim=24, hidden_dim=48, n_layers=2, n_heads=3, max_position_embeddings=64
    )
    transformers.DistilBertModel(config).save_pretrained(work / "distilbert")
    words.save(str(work / "distilbert" / "tokenizer.json"))
    write_json(work / "distilbert" / "tokenizer_config.json", {"tokenizer_class": "DistilBertTokenizer"})
    vocabulary = shutil.copytree(work / "plain", work / "vocabulary")
    (vocabulary / "tokenizer.json").unlink()
    listed = sorted(words.get_vocab(), key=words.get_vocab().get)
    (vocabulary / "vocab.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
    return [Sample(name, work / name, encoder, encode) for name in ("distilbert", "vocabulary")]


def of_both_towers(towers: TwoTowers) -> np.ndarray:
    return np.concatenate([towers.encode_query(TEXTS), towers.encode_document(TEXTS)])


def of_both_halves(towers: TextImageEncoder, pictures: np.ndarray) -> np.ndarray:
    return np.concatenate([towers.text.encode(TEXTS), towers.image.encode(pictures)])


def guesses(found) -> np.ndarray:
    return np.array([guess["score"] for guess in fill_mask(*found, "a cat [MASK] on the mat")])


def new_dialect(folder: Path):
    """As sentence-transformers writes a folder since its version 6."""
    pooling = {"embedding_dimension": 24, "pooling_mode": ["cls", "mean"], "include_prompt": True}
    write_json(folder / "1_Pooling" / "config.json", pooling)
    modules = read_json(folder / "modules.json", kind=list)
    for entry in modules:
        kind = entry["type"].rpartition(".")[2]
        place = "base.modules.transformer" if kind == "Transformer" else "sentence_transformer.modules"
        entry["type"] = f"sentence_transformers.{place}.{kind}"
    write_json(folder / "modules.json", modules)
    settings = {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
    write_json(folder / "sentence_bert_config.json", settings)
    config = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": 32})


def in_shards(folder: Path):
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    write_json(folder / "model.safetensors.index.json", index)
    (folder / "model.safetensors").unlink()


def plain(folder: Path):
    """As transformers knows it."""
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    for place in ("1_Pooling", "2_Dense", "3_Normalize"):
        shutil.rmtree(folder / place)


def router(folder: Path, query: SentenceEncoder, document: StaticEmbedding):
    query.save(folder / "query")
    SentenceEncoder([document]).save(folder / "document")
    structure, types = {"query": [], "document": ["document_0"]}, {"document_0": "StaticEmbedding"}
    (folder / "document" / "0_StaticEmbedding").rename(folder / "document_0")
    for i, kind in enumerate(("Transformer", "Pooling", "Dense")):
        (folder / f"query_{i}").mkdir()
        inside = folder / "query" if kind == "Transformer" else folder / "query" / f"{i}_{kind}"
        for file in [path for path in inside.iterdir() if path.is_file()]:
            file.rename(folder / f"query_{i}" / file.name)
        structure["query"].append(f"query_{i}")
        types[f"query_{i}"] = kind
    shutil.rmtree(folder / "query")
    shutil.rmtree(folder / "document")
    types = {path: f"sentence_transformers.models.{kind}" for path, kind in types.items()}
    write_json(folder / "router_config.json", {"types": types, "structure": structure, "parameters": {}})
    write_json(
        folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]
    )


# ---- data files


def table(header: str, *rows: str) -> bytes:
    return "\n".join([header.replace(" ", "\t"), *(row.replace("|", "\t") for row in rows), ""]).encode()


def data_files(work: Path) -> list[Sample]:
    """A sample of each kind of file, alone in its folder."""
    rows = [f'{label}|A premise {i}|A hypothesis, "so" {i}' for i, label in enumerate(sorted(data.LABELS) * 4)]
    tables = {
        "nli.tsv": (data.load_nli, table("label premise hypothesis", *rows)),
        "grouped.tsv": (
            data.load_nli,
            table("premise entailment neutral contradiction", *(f"p{i}|e{i}|n{i}|c{i}" for i in range(9))),
        ),
        "triplets.tsv.gz": (
            data.load_triplets,
            table("label premise hypothesis", *(r.replace("0", "1") for r in rows)),
        ),
        "sts.tsv.gz": (
            data.load_sts,
            table("score sentence1 sentence2", *(f"{i / 2}|Sätze {i}|b {i}" for i in range(11))),
        ),
        "pairs.tsv": (data.load_pairs, table("sentence1 sentence2", *(f"a {i}|b {i}" for i in range(20)))),
        "captions.tsv.gz": (
            captions.load_captions,
            table("image caption", *(f"{i // 5}.jpg|A dog {i}" for i in range(30))),
        ),
        "questions.tsv": (
            questions.load_questions,
            table(
                "label question split",
                *(f"{label}|Who {i}?|train" for i, label in enumerate(questions.QUESTION_LABELS)),
            ),
        ),
        "translations.tsv": (
            translations.load_translations,
            table("english spanish alignment split", *(f"Go {i} .|Ve {i} .|0-0 1-1|dev" for i in range(11))),
        ),
        "duplicates.tsv": (
            town.load_duplicates,
            table("group topic question", *(f"{i // 2}|bins|When {i}?" for i in range(9))),
        ),
        "faq.tsv.gz": (town.load_faq, table("question answer topic", *(f"When {i}?|At {i}.|bins" for i in range(9)))),
    }
    samples = []
    for name, (load, content) in tables.items():
        folder = work / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        samples.append(Sample(name, folder, lambda folder, name=name, load=load: load(folder / name)))
    for ending in ("", ".gz"):
        samples.append(retrieval_set(work / f"retrieval{ending.replace('.', '-')}", ending))
    samples += [checkpoint(work / "training"), measurements(work / "measured"), results(work / "results")]
    return samples


def retrieval_set(folder: Path, ending: str) -> Sample:
    texts = {
        "corpus.jsonl": "".join(
            json.dumps({"_id": f"d{i}", "title": f"T{i}", "text": f"text {i}", "metadata": {"n": i}}) + "\n"
            for i in range(9)
        ),
        "queries.jsonl": "".join(json.dumps({"_id": f"q{i}", "text": f"query {i}"}) + "\n" for i in range(5)),
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\td{i}\t1\n" for i in range(5)),
    }
    (folder / "qrels").mkdir(parents=True)
    for name, text in texts.items():
        content = text.encode()
        (folder / (name + ending)).write_bytes(gzip.compress(content) if ending else content)
    return Sample(
        f"retrieval{ending}",
        folder,
        lambda folder: (retrieval.load_retrieval(folder), retrieval.load_fields(folder, "corpus", "n")),
    )


def checkpoint(folder: Path) -> Sample:
    """A training that was broken off and goes on."""
    folder.mkdir()

    def run(folder: Path, steps: int | None = None) -> np.ndarray:
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        calls = iter(range(10**9))

        def loss(batch: list) -> torch.Tensor:
            if steps is not None and next(calls) >= steps:
                raise KeyboardInterrupt
            return model(torch.stack(batch)).square().mean()

        settings = dict(batch_size=4, learning_rate=0.1, checkpoint_every=2, log_every=3, show_progress_bar=False)
        train(model, loss, list(torch.arange(80.0).reshape(20, 4) / 80), **settings, checkpoint=folder / "checkpoint")
        return model.weight.detach().numpy()

    try:
        run(folder, steps=3)
    except KeyboardInterrupt:
        pass
    return Sample("checkpoint", folder, run)


def measurements(folder: Path) -> Sample:
    """What recipes/shared/measured.py keeps."""
    measured = Measured(folder / "found.jsonl")
    for i in range(9):
        measured.add(("snli", i), {"spearman": i / 10})
    return Sample("measured", folder, lambda folder: dict(Measured(folder / "found.jsonl")))


def results(folder: Path) -> Sample:
    """A table of data/results."""
    (folder / "data" / "results").mkdir(parents=True)
    rows = "".join(f"course/m{i},{i},0.{i}\n" for i in range(9))
    (folder / "data" / "results" / "06.csv").write_text("model,n,value\n" + rows, encoding="utf-8")

    def load(folder: Path) -> str:
        data.COURSE_HOME = folder
        return data.load_results("06").to_csv()

    return Sample("results", folder, load)
