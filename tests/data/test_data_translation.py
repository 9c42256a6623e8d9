"""The translation data: course/en_es against rules of Spanish written down once more, pairs by hand, the reader."""

import gzip
import os
import subprocess
import sys
from collections import Counter

import pytest

from course_lib.datasets.translations import Translation, glosses, load_translations, split_of
from course_lib.support.folders import COURSE_HOME
from course_lib.support.tables import find
from course_lib.support.texts import only_words
from course_lib.translation.vocabulary import words
from recipes import en_es

# Spanish words by gender and number, from a dictionary and not from the grammar's lexicon.
FORMS = {
    "m0": """coche barco libro mapa reloj pastel pan café hombre niño profesor médico granjero hermano amigo perro
        caballo jardín mercado parque puente río pueblo castillo""",
    "f0": """casa mesa silla llave carta puerta caja bolsa manzana sopa agua leche mujer niña enfermera hermana vaca
        águila cocina semana escuela playa estación""",
    "m1": """coches barcos libros mapas relojes pasteles hombres niños profesores médicos granjeros hermanos amigos
        perros caballos días""",
    "f1": """casas mesas sillas llaves cartas puertas cajas bolsas manzanas mujeres niñas enfermeras hermanas vacas
        águilas""",
}
NOUNS = {word: form for form, line in FORMS.items() for word in line.split()}
NAMES = dict.fromkeys("juan pedro luis diego".split(), "m0") | dict.fromkeys("maría ana elena carmen".split(), "f0")
PERSONS = set("hombre mujer niño niña profesor médico enfermera granjero hermano hermana amigo".split()) | set(NAMES)
PERSONS |= set("hombres mujeres niños niñas profesores médicos enfermeras granjeros hermanos hermanas amigos".split())
DETERMINERS = {
    "m0": "el al del un este nuestro mi su",
    "f0": "la una esta nuestra mi su",
    "m1": "los estos nuestros muchos mis sus dos tres",
    "f1": "las estas nuestras muchas mis sus dos tres",
}
DETERMINERS = {form: set(line.split()) for form, line in DETERMINERS.items()}
STATES = "cansado enfermo roto limpio sucio frío".split()  # these take estar; so does caliente
QUALITIES = "rojo blanco negro pequeño nuevo viejo caro alto famoso".split()  # these take ser
ADJECTIVES = {
    word[:-1] + ending: forms
    for word in STATES + QUALITIES
    for ending, forms in (("o", "m0"), ("a", "f0"), ("os", "m1"), ("as", "f1"))
}
ADJECTIVES |= dict.fromkeys("verde grande joven inteligente caliente".split(), "m0 f0")
ADJECTIVES |= dict.fromkeys("verdes grandes jóvenes inteligentes calientes".split(), "m1 f1")
SER, ESTAR = set("es son era eran".split()), set("está están estaba estaban".split())
TRANSITIVE = set(
    """compra compran compró compraron vende venden vendió vendieron busca buscan buscó buscaron encuentra encuentran
    encontró encontraron ve ven vio vieron come comen comió comieron bebe beben bebió bebieron lee leen leyó leyeron
    escribe escriben escribió escribieron abre abren abrió abrieron ayuda ayudan ayudó ayudaron visita visitan visitó
    visitaron espera esperan esperó esperaron""".split()
)


@pytest.fixture(scope="module")
def corpus():
    return load_translations("course/en_es")


def split(corpus, name):
    return [pair for pair in corpus if pair.split == name]


def faults_of_agreement(spanish):
    """What is wrong with determiners and adjectives beside their nouns."""
    tokens, faults = spanish.split(), []
    for i, token in enumerate(tokens):
        after = tokens[i + 1] if i + 1 < len(tokens) else ""
        if any(token in of_form for of_form in DETERMINERS.values()):
            form = NOUNS.get(after)
            if after in ("agua", "águila") and token in ("el", "al", "del", "un", "la", "una"):
                right = token in ("el", "al", "del", "un")
            else:
                right = form and token in DETERMINERS[form]
            if not right:
                faults.append(f"{token} {after}")
        if token in NOUNS:
            rest = tokens[i + 1 :]
            rest = rest[2:] if rest[:2] in (["de", "madera"], ["de", "plata"]) else rest
            for adjective in rest:
                if adjective not in ADJECTIVES:
                    break
                if NOUNS[token] not in ADJECTIVES[adjective]:
                    faults.append(f"{token} {adjective}")
    return faults


def test_the_rules_find_faults():
    for wrong in (
        "la coche",
        "el casa",
        "las niñas alto",
        "el mapa blanca",
        "la agua",
        "una águila",
        "este águila",
        "a los niña",
        "caja de madera roja pequeño",
        "del casa",
        "muchas libros",
    ):
        assert faults_of_agreement(wrong), wrong
    for right in (
        "el coche rojo",
        "el agua fría",
        "un águila blanca",
        "esta águila",
        "el mapa blanco grande",
        "del agua",
        "cajas de madera rojas pequeñas",
        "los niños inteligentes",
    ):
        assert faults_of_agreement(right) == [], right


def test_articles_and_adjectives_agree_with_their_nouns(corpus):
    assert [(pair.spanish, faults) for pair in corpus if (faults := faults_of_agreement(pair.spanish))] == []


def test_every_adjective_and_determiner_of_the_file_is_one_of_the_rules(corpus):
    others = Counter(word for pair in corpus for word in pair.spanish.split())
    known = {
        *NOUNS,
        *NAMES,
        *ADJECTIVES,
        *SER,
        *ESTAR,
        *TRANSITIVE,
        *(word for some in DETERMINERS.values() for word in some),
    }
    other = """. , ? ¿ a ahora aunque ayer canta cantan cantaron cantó cerca con corre corren corrieron corrió creo
        cuando cuándo de debajo delante detrás dice dicen dijeron dijo duerme duermen durmieron durmió dónde días e en
        fue fueron había hay la los madera mientras no nunca pasada pero plata por porque qué que quién sabemos semana
        si siempre sobre sé todos trabaja trabajan trabajaron trabajó va van y"""
    assert sorted(set(others) - known - set(other.split())) == []


def test_adjectives_after_ser_and_estar(corpus):
    nominal, checked = (
        {*ADJECTIVES, *NOUNS, *NAMES, *(word for some in DETERMINERS.values() for word in some)},
        Counter(),
    )
    for pair in corpus:
        tokens = pair.spanish.split()
        for i, (verb, adjective) in enumerate(zip(tokens, tokens[1:])):
            if verb not in SER | ESTAR or adjective not in ADJECTIVES:
                continue
            state = any(adjective.startswith(word[:-1]) for word in STATES) or adjective.startswith("caliente")
            assert state == (verb in ESTAR), pair.spanish
            plural = verb in ("son", "eran", "están", "estaban")
            assert ("1" in ADJECTIVES[adjective]) == plural, pair.spanish
            subject = [NOUNS.get(word) or NAMES[word] for word in tokens[:i] if word in NOUNS or word in NAMES]
            if len(subject) == 1 and set(tokens[:i]) <= nominal:  # the sentence begins with the subject
                assert subject[0] in ADJECTIVES[adjective], pair.spanish
                checked[state] += 1
    assert min(checked[True], checked[False]) > 200


def test_places_take_estar(corpus):
    places = {"en", "sobre", "cerca", "detrás", "delante", "debajo"}
    found = [
        pair.spanish
        for pair in corpus
        for verb, after in zip(pair.spanish.split(), pair.spanish.split()[1:])
        if verb in SER and after in places
    ]
    assert found == [] and sum(f" {verb} en " in pair.spanish for pair in corpus for verb in ESTAR) > 300


def test_persons_as_objects_take_a(corpus):
    seen = 0
    for pair in corpus:
        tokens = pair.spanish.split()
        if "¿" in tokens:
            continue  # there the subject follows the verb
        for verb, *after in zip(tokens, tokens[1:], tokens[2:]):
            if verb in TRANSITIVE:
                assert after[0] not in NAMES and (
                    after[1] not in PERSONS
                    or not any(after[0] in some for some in DETERMINERS.values())
                    or after[0] == "al"
                ), pair.spanish
                seen += after[0] in ("a", "al")
    assert seen > 2000


def test_contractions_marks_and_conjunctions(corpus):
    for pair in corpus:
        text = f" {pair.spanish} "
        assert " de el " not in text and " a el " not in text and " y i" not in text, text
        assert pair.spanish.startswith("¿ ") == pair.spanish.endswith(" ?") == pair.english.endswith(" ?"), text
        assert (" e " in text) == (" e i" in text), text
        assert " a a" not in f" {pair.english}" and " a e" not in f" {pair.english}" and " an b" not in pair.english, (
            pair.english
        )
    assert (
        sum(" al " in pair.spanish for pair in corpus) > 500 and sum(" del " in pair.spanish for pair in corpus) > 200
    )


def test_alignments_cover_the_words(corpus):
    crossing = multiple = 0
    for pair in corpus:
        english, spanish = pair.english.split(), pair.spanish.split()
        assert all(0 <= i < len(english) and 0 <= j < len(spanish) for i, j in pair.alignment)
        assert list(pair.alignment) == sorted(set(pair.alignment))
        unaligned = {word for i, word in enumerate(english) if i not in {i for i, _ in pair.alignment}}
        assert unaligned <= {"does", "do", "did"}, (pair.english, unaligned)
        unaligned = {word for j, word in enumerate(spanish) if j not in {j for _, j in pair.alignment}}
        assert unaligned <= {"a", "¿", "el", "la", "los", "las"}, (pair.spanish, unaligned)
        crossing += any(i < k and j > m for i, j in pair.alignment for k, m in pair.alignment)
        multiple += len(pair.alignment) > len({i for i, _ in pair.alignment})
    assert crossing > 0.6 * len(corpus) and multiple > 0.1 * len(corpus)


def test_some_alignments_by_hand(corpus):
    expected = {
        ("red", "rojo"),
        ("red", "roja"),
        ("she", "vio"),
        ("looks", "busca"),
        ("for", "busca"),
        ("the", "del"),
        ("near", "cerca"),
        ("ana's", "ana"),
        ("ana's", "de"),
        ("not", "no"),
        ("water", "agua"),
        ("wooden", "madera"),
        ("the", "al"),
        ("?", "?"),
    }
    links = Counter((pair.english.split()[i], pair.spanish.split()[j]) for pair in corpus for i, j in pair.alignment)
    assert expected <= set(links)
    assert links["red", "coche"] == links["car", "rojo"] == links["not", "ve"] == links["the", "a"] == 0
    assert all(links[english, spanish] == 0 for english in ("does", "did", "do") for spanish in NOUNS)


def test_lengths_are_spread_evenly(corpus):
    lengths = Counter(len(pair.english.split()) for pair in corpus)
    assert (min(lengths), max(lengths)) == (3, 25)
    assert all(0.03 < lengths[n] / len(corpus) < 0.06 for n in range(5, 26))
    test = [len(pair.english.split()) for pair in split(corpus, "test")]
    assert all(
        sum(n in third for n in test) > 0.28 * len(test) for third in (range(3, 11), range(11, 18), range(18, 26))
    )
    for side in ("english", "spanish"):
        assert 200 <= len({word for pair in corpus for word in getattr(pair, side).split()}) <= 350


def test_no_sentence_twice_and_none_of_dev_or_test_in_train(corpus):
    assert Counter(pair.split for pair in corpus) == en_es.SIZES
    for side in ("english", "spanish"):
        assert len({only_words(getattr(pair, side)) for pair in corpus}) == len(corpus)


def test_some_held_out_sentences_have_pairs_of_adjective_and_noun_that_train_never_shows(corpus):
    def pairs(sentence):
        tokens = sentence.split()
        return {
            (noun, adjective)
            for noun, adjective in zip(tokens, tokens[1:])
            if noun in NOUNS and adjective in ADJECTIVES
        }

    seen = set().union(*(pairs(pair.spanish) for pair in split(corpus, "train")))
    for name in ("dev", "test"):
        new = [bool(pairs(pair.spanish) - seen) for pair in split(corpus, name)]
        assert 0.05 < sum(new) / len(new) < 0.4, name


def test_words_cuts_the_corpus_at_its_blanks(corpus):
    for pair in corpus:
        assert words(pair.english) == pair.english.split() and words(pair.spanish) == pair.spanish.split()


def test_the_recipe_makes_the_file_again(tmp_path):
    """In another process, with another order of sets and dictionaries."""
    made, there = tmp_path / "en_es.tsv.gz", find("course/en_es")
    code = f"from pathlib import Path; from recipes.en_es import *; write(Path({str(made)!r}), corpus(SIZES))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=COURSE_HOME, env=os.environ | {"PYTHONHASHSEED": "4"})
    assert gzip.decompress(made.read_bytes()) == gzip.decompress(there.read_bytes())
    assert made.read_bytes()[4:8] == there.read_bytes()[4:8] == b"\0\0\0\0"  # gzip's time stamp
    assert [path.name for path in tmp_path.iterdir()] == ["en_es.tsv.gz"]


def test_other_seeds_make_other_sentences(tmp_path):
    sizes = {"train": 40, "dev": 5, "test": 5}
    rows = list(en_es.corpus(sizes, seed=1))
    assert Counter(row["split"] for row in rows) == sizes
    assert rows == list(en_es.corpus(sizes, seed=1)) != list(en_es.corpus(sizes, seed=2))
    en_es.write(tmp_path / "small.tsv.gz", rows)
    assert [pair.english for pair in load_translations(tmp_path / "small.tsv.gz")] == [row["english"] for row in rows]


def test_hand_written_pairs(corpus):
    pairs = load_translations("course/en_es_written")
    assert len(pairs) >= 300 and all(pair.split == "" and pair.alignment == () for pair in pairs)
    for side in ("english", "spanish"):
        texts = [getattr(pair, side) for pair in pairs]
        assert len({only_words(text) for text in texts}) == len(texts)
        assert not {only_words(text) for text in texts} & {only_words(getattr(pair, side)) for pair in corpus}
        assert all(3 <= len(words(text)) <= 25 for text in texts)
        assert all(text == text.strip() and text[-1] in ".?!" for text in texts)
    assert all(
        ("?" in pair.spanish) == ("¿" in pair.spanish) and ("!" in pair.spanish) == ("¡" in pair.spanish)
        for pair in pairs
    )


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "pairs.tsv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_reader(write):
    path = write("spanish\tid\tsplit\talignment\tenglish\nel gato\t7\tdev\t0-0 1-1\tthe cat\n¡Sí!\t8\ttest\t\tYes!\n")
    assert load_translations(path) == [
        Translation("the cat", "el gato", ((0, 0), (1, 1)), "dev"),
        Translation("Yes!", "¡Sí!", (), "test"),
    ]
    assert load_translations(write("english\tspanish\nGo.\tVe.\n")) == [Translation("Go.", "Ve.")]


@pytest.mark.parametrize("links", ["2-0", "0-2", "0:0", "0-0,1-1", "-1-0", "0", "0-0 x", "0-²"])
def test_a_bad_alignment_names_file_and_line(write, links):
    path = write(f"english\tspanish\talignment\nthe cat\tel gato\t0-0\nthe cat\tel gato\t{links}\n")
    with pytest.raises(ValueError, match=r"pairs\.tsv, line 3: the alignment .* in 2 English and 2 Spanish words"):
        load_translations(path)


def test_a_missing_column_is_named(write):
    with pytest.raises(ValueError, match="no column spanish; the header has english, french"):
        load_translations(write("english\tfrench\nGo.\tVa.\n"))


def test_tatoeba_by_its_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="tatoeba_en_es/eng_spa.*manythings.*english, spanish"):
        load_translations("tatoeba")
    (tmp_path / "tatoeba_en_es").mkdir()
    (tmp_path / "tatoeba_en_es" / "eng_spa.tsv").write_text("english\tspanish\nGo.\tVe.\n")
    assert load_translations("tatoeba") == load_translations("tatoeba_en_es/eng_spa") == [Translation("Go.", "Ve.")]


def test_real_tatoeba(course_data):
    pairs = load_translations("tatoeba")
    assert len(pairs) == 118_964 and all(words(pair.english) and words(pair.spanish) for pair in pairs)
    assert words("¿Dónde está el Sr. O'Brien?") == ["¿", "dónde", "está", "el", "sr", ".", "o'brien", "?"]


def test_glosses_are_the_commonest_links_and_leave_unaligned_words_out():
    pairs = [
        Translation("the cat", "el gato", ((0, 0), (1, 1))),
        Translation(
            "the cat in front of me", "el gato delante de mí", ((0, 0), (1, 1), (2, 2), (3, 2), (4, 2), (2, 3))
        ),
        Translation("this cat", "el felino", ((0, 0),)),
    ]
    assert glosses(pairs) == {"el": "the", "gato": "cat", "delante": "in-front-of", "de": "of"}
    assert glosses([Translation("yes", "sí")]) == {}


def test_glosses_of_the_course():
    pairs = load_translations()
    meaning = glosses(pairs)
    assert meaning["mujer"] == "woman" and meaning["de"] == "of" and meaning["delante"] == "in-front-of"
    assert {word for pair in pairs for word in words(pair.spanish)} - set(meaning) == {"¿"}


def test_the_part_of_a_pair():
    assert [split_of(Translation("a", "b", split=part)) for part in ("train", "dev", "test")] == [
        "train",
        "dev",
        "test",
    ]
    found = Counter(split_of(Translation(f"Sentence {i}.", "x")) for i in range(10_000))
    assert set(found) == {"train", "dev", "test"} and 60 < found["dev"] < 140 and 60 < found["test"] < 140
    assert all(
        split_of(Translation(f"Sentence {i}.", "x")) == split_of(Translation(f"SENTENCE {i} !", "y"))
        for i in range(200)
    )
