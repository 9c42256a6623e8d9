"""recipes/translation.py: the split of a corpus that has none, BLEU, and the tables. Nothing is trained for long."""

import csv
import json

import pytest
from sacrebleu.metrics import BLEU

import recipes.shared.results
from course_lib.support.texts import only_words
from recipes import transformer_data, translation
from recipes.shared.results import data_sha256, read_rows
from recipes.translation import (
    BUDGETS,
    FILES,
    RUNS,
    bleu,
    length_bucket,
    load,
    new_translator,
    recorded_results,
    rows_of,
    run,
    tables,
)

SMALL = BUDGETS["live"]._replace(max_words=5, epochs=1, embedding_size=8, hidden_size=8, d_model=8)


def test_bleu_is_sacrebleus_with_several_references():
    written = ["¿ dónde está el gato negro ?", "no lo sé .", "ella canta ."]
    references = [["¿Dónde está el gato negro?"], ["No lo sé.", "No sé."], ["Ella canta bien.", "Canta."]]
    score, signature = bleu(written, references)
    expected = BLEU(lowercase=True, tokenize="intl").corpus_score(
        written, [[r[0] for r in references], [None, "No sé.", "Canta."]]
    )
    assert score == pytest.approx(expected.score, abs=1e-9) and 50 < score < 100
    assert signature.startswith("nrefs:var|case:lc|eff:no|tok:intl|smooth:exp|version:")
    assert bleu(written[:2], [r[:1] for r in references[:2]])[0] == pytest.approx(100)


def test_a_corpus_without_a_split_gets_one_by_source_sentence(tmp_path):
    rows = [(f"Sentence number {i}{mark}", f"Frase {i} {k}") for i in range(600) for k in range(2) for mark in ".!"]
    (tmp_path / "pairs.tsv").write_text(
        "english\tspanish\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8"
    )
    pairs = load(BUDGETS["tatoeba"]._replace(data=str(tmp_path / "pairs.tsv")))
    in_train = {only_words(source) for source, _ in pairs.train}
    test = [source for source, _ in pairs.test]
    assert test and len(set(test)) == len(test) and not in_train & set(map(only_words, test))
    assert all(
        sorted(right) == [f"Frase {only_words(source).split()[-1]} {k}" for k in range(2)]
        for source, right in zip(test, pairs.references)
    )
    assert (
        len(pairs.train) > 0.95 * len(rows) and len(in_train) + len(set(map(only_words, test))) < 600
    )  # some are for development
    assert load(BUDGETS["tatoeba"]._replace(data=str(tmp_path / "pairs.tsv"))) == pairs


def test_the_courses_corpus_keeps_its_split():
    pairs = load(SMALL)
    assert all(len(source.split()) <= 5 for source, _ in pairs.train + pairs.test)
    assert len(pairs.test) == len(pairs.links) == len(pairs.references) and all(pairs.links)
    assert not {source for source, _ in pairs.train} & {source for source, _ in pairs.test}


def test_models_of_a_budget_are_of_about_one_size():
    pairs = load(BUDGETS["live"])
    sizes = {
        kind: sum(p.numel() for p in new_translator(kind, BUDGETS["live"], pairs.train, 0).parameters())
        for kind in FILES
    }
    assert abs(sizes["transformer"] / sizes["gru-attention"] - 1) < 0.1
    assert sizes["gru-attention"] - sizes["gru"] == 2 * 128**2 + 128


def test_length_buckets_sort_by_length():
    assert [length_bucket("a " * n) for n in (3, 5, 6, 11, 24)] == ["03-05", "03-05", "06-08", "09-11", "24-26"]


def test_a_run_is_kept_and_redone_when_its_budget_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(translation, "WORK", tmp_path)
    monkeypatch.setitem(BUDGETS, "live", SMALL)
    found = run("live", "gru-attention", 0, tmp_path)
    metrics = {(metric, length) for metric, length, _ in found["measured"]}
    assert {
        ("exact_match", "all"),
        ("exact_match", "03-05"),
        ("alignment", "all"),
        ("entropy", "all"),
        ("loss", "all"),
    } <= metrics
    file = tmp_path / "live-gru-attention-0.json"
    file.write_text(json.dumps(found | {"seconds": -1.0}))
    assert run("live", "gru-attention", 0, tmp_path)["seconds"] == -1.0  # read, not made again
    monkeypatch.setitem(BUDGETS, "live", SMALL._replace(batch_size=64))
    assert run("live", "gru-attention", 0, tmp_path)["seconds"] >= 0


def test_what_is_recorded_belongs_to_the_corpus_and_to_the_runs():
    rows = [row for file in sorted(set(FILES.values())) for row in read_rows(file)]
    for budget in ("live", "repeated", "long"):
        measured = {
            (r["model"], int(r["seed"])) for r in rows if r["budget"] == budget and r["metric"] == "exact_match"
        }
        assert measured == set(RUNS[budget])
    corpora = {r["data_sha256"] for r in [*rows, *read_rows("03_data.csv")] if r["data"] == "course/en_es"}
    assert corpora == {data_sha256("course/en_es")}, "the corpus has changed since it was measured"


def test_tables_keep_the_rows_of_others(tmp_path, monkeypatch):
    work, results = tmp_path / "work", tmp_path / "results"
    work.mkdir(), results.mkdir()
    monkeypatch.setattr(recipes.shared.results, "RESULTS", results)
    found = dict(
        budget="live",
        seed=0,
        data="course/en_es",
        seconds=1.5,
        data_sha256="abc",
        measured=[["exact_match", "all", 51.23456]],
    )
    for kind in ("gru", "gru-attention", "transformer"):
        (work / f"live-{kind}-0.json").write_text(json.dumps(found | {"model": kind}))
    (results / "03.csv").write_text("experiment,value,n\nother,1,7\ntranslation,99,8\n")
    tables(work)
    tables(work)  # again: nothing doubled
    for file, kind in (("01.csv", "gru"), ("02.csv", "gru-attention"), ("03.csv", "transformer")):
        with open(results / file, encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert [(r["model"], r["value"]) for r in rows if r["experiment"] == "translation"] == [(kind, "51.2346")]
    assert [(r["value"], r["n"]) for r in rows if r["experiment"] == "other"] == [("1", "7")]
    assert rows_of(found | {"model": "gru"})[0]["command"] == "python -m recipes.translation run live gru 0"


def test_recorded_results_are_of_the_models_asked_for_and_can_be_made_again(monkeypatch):
    recorded = recorded_results(["gru", "gru-attention"])
    assert set(recorded.model) == {"gru", "gru-attention"} and set(recorded.budget) == {
        "live",
        "repeated",
        "long",
        "tatoeba",
    }
    assert not {"lstm", "transformer"} & set(recorded_results(["gru"]).model)

    def again(budget, kind, seed):
        return dict(
            budget=budget, model=kind, seed=seed, data="d", seconds=1, data_sha256="", measured=[("m", "all", 7)]
        )

    monkeypatch.setattr(translation, "run", again)
    made = recorded_results(["gru"], full=True)
    assert set(made[made.budget != "tatoeba"].value) == {7.0} and len(made[made.budget == "long"]) == 3
    assert made[made.budget == "tatoeba"].equals(recorded_results(["gru"]).query("budget == 'tatoeba'"))


def test_results_by_number_of_pairs_are_read_or_made_again(monkeypatch):
    read = transformer_data.recorded_results()
    assert set(read.pairs) == {512, 2048, 4096} and set(read.model) == {"gru-attention", "transformer"}
    row = {"model": "transformer", "pairs": "512", "seed": "7", "value": "12.5"}
    monkeypatch.setattr(transformer_data, "train_all", lambda: iter([row]))
    made = transformer_data.recorded_results(full=True)
    assert made[["pairs", "seed", "value"]].values.tolist() == [[512, 7, 12.5]]
