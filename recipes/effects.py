"""What the literature reports and what the course's own small models show, as tables.

They are data/results/effects.csv, docs/effects.md, and a short one in README.md.

    python recipes/effects.py

Trains nothing. It reads what the other recipes recorded in data/results and compares what should score higher with
what should score lower, seed by seed where there are seeds:

    seen here        every value that should be higher is higher than every value that should be lower
    not seen here    the two overlap
    the other way    every value that should be higher is lower than every value that should be lower

A published figure and ours are never of one scale: other models, other data, thousands of times the text. What can be
compared is the direction.
"""

from typing import NamedTuple

from course_lib.support.files import atomic_file
from course_lib.support.folders import COURSE_HOME
from recipes.shared.effect_tables import in_readme, measured, page
from recipes.shared.results import read_rows, write_rows

FILE, PAGE, README = "effects.csv", COURSE_HOME / "docs" / "effects.md", COURSE_HOME / "README.md"
SBERT = "Reimers and Gurevych 2019, table "


class Rows(NamedTuple):
    """Some rows of a results file: those with these texts in these columns, each value times `scale`."""

    file: str
    columns: dict[str, str]
    scale: float = 1.0

    def values(self) -> list[float]:
        """By seed. ValueError where there is no such row: an effect must not rest on nothing."""
        wanted = self.columns.items()
        found = [row for row in read_rows(f"{self.file}.csv") if all(row[column] == text for column, text in wanted)]
        if not found:
            raise ValueError(f"data/results/{self.file}.csv has no row with {self.columns}")
        return [self.scale * float(r["value"]) for r in sorted(found, key=lambda r: int(r.get("seed") or 0))]


class Effect(NamedTuple):
    name: str
    published: str  # higher and lower, and of what
    source: str
    notebook: str
    measure: str  # of ours
    higher: Rows
    lower: Rows
    note: str = ""


def rows(file: str, scale: float = 1.0, **columns: str) -> Rows:
    return Rows(file, columns, scale)


def translated(file: str, model: str, length: str) -> Rows:
    return rows(file, budget="long", model=model, metric="exact_match", length=length)


def stsb(file: str, **columns: str) -> Rows:
    return rows(file, data="stsbenchmark/dev", **columns)


def nli(setting: str) -> Rows:
    return stsb("06", experiment="nli", setting=setting)


def found(file: str, scale: float = 1.0, **columns: str) -> Rows:
    return rows(file, scale, metric="ndcg@10", **columns)


def shared_words(model: str) -> str:
    return f"{stsb('05', model=model, pooling='mean of shared words').values()[0]:.1f}"


EXACT, STSB = "sentences translated exactly, %", "STSb dev, Spearman x 100"
BERT = stsb("06", experiment="before")
EFFECTS = [
    Effect(
        "One vector loses long sentences",
        "BLEU falls with the length of the sentence",
        "Cho et al. 2014, arXiv 1409.1259, figure 4",
        "01",
        f"short against long: {EXACT}",
        translated("01", "gru", "shortest third"),
        translated("01", "gru", "longest third"),
    ),
    Effect(
        "Attention repairs it",
        "26.75 against 17.82 BLEU",
        "Bahdanau et al. 2015, table 1",
        "02",
        f"with and without: {EXACT}",
        translated("02", "gru-attention", "all"),
        translated("01", "gru", "all"),
    ),
    Effect(
        "A transformer needs no recurrence",
        "28.4 against 24.6 BLEU",
        "Vaswani et al. 2017, table 2",
        "03",
        f"against an LSTM with attention: {EXACT}",
        translated("03", "transformer", "all"),
        translated("02", "lstm-attention", "all"),
    ),
    Effect(
        "Pre-training saves labels",
        "100 labels reach what 10,000 reach from scratch",
        "Howard and Ruder 2018, abstract",
        "04",
        "kind of question from 50 labels (TREC), % right, against random weights",
        rows("04", experiment="questions", data="trec_questions", n="50", model="course/bert-mini"),
        rows(
            "04",
            experiment="questions",
            data="trec_questions",
            n="50",
            model="bert-mini's architecture, random weights",
        ),
    ),
    Effect(
        "Averaged word vectors beat BERT's average",
        "58.02 against 46.35, STSb test",
        SBERT + "1",
        "05",
        STSB,
        stsb("05", model="course/glove-mini", pooling="mean"),
        stsb("05", model="course/bert-mini", pooling="mean"),
        "On the words that both know, published GloVe (six billion words read) reaches "
        f"{shared_words('GloVe 6B, 50 numbers')}, ours (40 million) {shared_words('course/glove-mini')}: both stay "
        "below our BERT's average.",
    ),
    Effect(
        "Siamese training on NLI makes BERT's average a sentence embedding",
        "77.03 against 46.35, STSb test",
        SBERT + "1",
        "06",
        STSB,
        nli("softmax"),
        BERT,
    ),
    Effect(
        "A head that is fitted first spares the encoder",
        "10 points more out of distribution",
        "Kumar et al. 2022, arXiv 2202.10054, abstract",
        "06",
        f"against an untrained head at the encoder's rate: {STSB}",
        nli("softmax"),
        nli("softmax, untrained head"),
        "With a larger rate of its own an untrained head loses little (notebook 06).",
    ),
    Effect(
        "|u - v| makes the encoder do the work",
        "80.78 against 66.04, STSb dev",
        SBERT + "6",
        "07",
        f"(u, v, |u - v|) against (u, v): {STSB}",
        stsb("07", experiment="encoder", setting="mean; u, v, |u-v|; 0.0001"),
        stsb("07", experiment="encoder", setting="mean; u, v; 0.0001"),
    ),
    Effect(
        "The maximum fails where cosines are learnt from scores",
        "87.44 against 69.92, STSb dev",
        SBERT + "6",
        "07",
        f"mean against max: {STSB}",
        stsb("07", experiment="regression", setting="mean; ; 0.0003"),
        stsb("07", experiment="regression", setting="max; ; 0.0003"),
    ),
    Effect(
        "The ranking loss beats the softmax objective",
        "85.54 against 77.77, STSb test (RoBERTa)",
        f"sentence-transformers' documentation, 2021; {SBERT}1",
        "06",
        STSB,
        nli("ranking"),
        nli("softmax"),
    ),
    Effect(
        "NLI first, then STSb",
        "85.35 against 84.67, STSb test",
        SBERT + "2",
        "11",
        f"NLI by softmax, then STSb, against STSb alone: {STSB}",
        stsb("11", experiment="stages", setting="NLI by softmax, then STSb"),
        stsb("11", experiment="stages", setting="STSb alone"),
    ),
    Effect(
        "NLI by the ranking loss first, then STSb",
        "87.21 against 84.92, STSb test (RoBERTa)",
        f"sentence-transformers' documentation, 2021; {SBERT}2",
        "11",
        f"against STSb alone: {STSB}",
        stsb("11", experiment="stages", setting="NLI by ranking, then STSb"),
        stsb("11", experiment="stages", setting="STSb alone"),
    ),
    Effect(
        "Half the layers keep most, after distillation",
        "85.23 of 85.44 with 6 of 12 layers, STSb",
        "sentence-transformers' documentation, 2021",
        "12",
        f"all-MiniLM-L6-v2 with 3 of 6 layers, distilled against only cut: {STSB}",
        stsb("12", experiment="layers", setting="distilled; layers 0 2 5"),
        stsb("12", experiment="layers", setting="cut; layers 0 2 5"),
    ),
    Effect(
        "A Matryoshka loss keeps short vectors useful",
        "vectors 14 times shorter, as accurate",
        "Kusupati et al. 2022, arXiv 2205.13147, abstract",
        "12",
        f"16 of 256 numbers, against the plain ranking loss: {STSB}",
        stsb("12", experiment="dimensions", model="matryoshka", setting="first numbers", n="16"),
        stsb("12", experiment="dimensions", model="ranking", setting="first numbers", n="16"),
    ),
    Effect(
        "Mined negatives help, once the false ones are filtered out",
        "36.38 filtered, 33.32 none, 26.03 not filtered, MRR@10",
        "Qu et al. 2021 (RocketQA), table 4",
        "12",
        "filtered against none: captions of one image, nDCG@10 x 100",
        found("12", 100, experiment="negatives", model="filtered", data="captions/flickr30k"),
        found("12", 100, experiment="negatives", model="none", data="captions/flickr30k"),
    ),
    Effect(
        "Mined negatives without a filter do harm",
        "33.32 none, 26.03 not filtered, MRR@10",
        "Qu et al. 2021 (RocketQA), table 4",
        "12",
        "none against not filtered: captions of one image, nDCG@10 x 100",
        found("12", 100, experiment="negatives", model="none", data="captions/flickr30k"),
        found("12", 100, experiment="negatives", model="mined", data="captions/flickr30k"),
    ),
    Effect(
        "Words and meaning together beat words alone",
        "top-20 accuracy rises when BM25 is added to dense search",
        "Ma et al. 2021, arXiv 2104.05740",
        "14",
        "BM25 and all-MiniLM-L6-v2 against BM25: SciFact, nDCG@10 x 100",
        found("14", experiment="scifact", model="sum of BM25, sentence-transformers/all-MiniLM-L6-v2"),
        found("14", experiment="scifact", model="BM25"),
    ),
    Effect(
        "A cross-encoder improves what a search found",
        "68.8 against 66.5, SciFact, nDCG@10",
        "Thakur et al. 2021 (BEIR), table 2",
        "14",
        "fifty of sbert-mini's pieces reranked against not: SciFact, nDCG@10 x 100",
        found(
            "14",
            experiment="reranking",
            data="scifact",
            model="pieces of course/sbert-mini",
            setting="best piece",
            n="50",
        ),
        found("14", experiment="reranking", data="scifact", model="pieces of course/sbert-mini", setting="before"),
        "Behind BM25, as in the paper, ours gains nothing beyond chance there, and four points on the help pages; the "
        "order of sbert-mini's pieces on the help pages it does not improve.",
    ),
]


def main():
    table = measured(EFFECTS)
    write_rows(FILE, table)
    readme = in_readme(README.read_text(encoding="utf-8"), table)
    for path, text in ((PAGE, page(table)), (README, readme)):
        with atomic_file(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    for row in table:
        print(f"{row['verdict']:14} {row['effect']}: {row['higher']} against {row['lower']}")


if __name__ == "__main__":
    main()
