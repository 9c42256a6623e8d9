"""A small grammar that builds a sentence in English and Spanish at once, and knows which words belong together.

It has: agreement of gender and number; adjectives after their noun; ser and estar; negation; questions, in which the
Spanish verb comes first; relative clauses; lists; sentences of several clauses, in the present or the past. Subjects
that English has to name (she, they) are left out in Spanish, and the verb is aligned with them.

Left out on purpose: object pronouns, the subjunctive, compound tenses, meaning. Sentences are grammatical, and often
odd.
"""

import random
from itertools import count

from recipes.corpus.lexicon import (
    ADJECTIVES,
    ANIMALS,
    DETERMINERS,
    GO,
    INTRANSITIVE,
    MASS,
    MATERIALS,
    NAMES,
    OPPOSITES,
    PERSONS,
    PLACES,
    PREPOSITIONS,
    SAY,
    THINGS,
    TO_BE,
    USUAL_DETERMINERS,
    VERBS,
)
from recipes.corpus.phrase import Phrase, spelled_english, spelled_spanish

PRESENT, PAST = 0, 1
PERSON = frozenset({"person", "adult"})  # what can be said of people called by a name or a pronoun


class Grammar:
    def __init__(self, seed: int):
        self.random, self.units, self.richness, self.names = random.Random(seed), count(), 1.0, []

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance * self.richness

    def pick(self, *options):
        return self.random.choice(options)

    def same(self, en: str, es: str, dropped: frozenset = frozenset()) -> Phrase:
        """Words that mean the same as a whole: each word of one side is aligned with each word of the other."""
        unit = frozenset({next(self.units)})
        return Phrase([(word, unit) for word in en.split()], [(word, unit | dropped) for word in es.split()])

    def alone(self, en: str = "", es: str = "") -> Phrase:
        """Words without a counterpart."""
        return Phrase([(word, frozenset()) for word in en.split()], [(word, frozenset()) for word in es.split()])

    # Noun phrases

    def noun_phrase(self, nouns: list, tense: int | None = None, determiners: tuple = ()) -> Phrase:
        """ "the small red car that maria sells"; a relative clause only where a tense is given for it."""
        noun = self.random.choice(nouns)
        determiner, number = self.determiner(noun, determiners)
        head = self.same(noun.en[number], noun.es[number])
        for adjective in self.adjectives(noun):
            word = self.same(adjective.en, adjective.form(noun.gender, number))
            head = Phrase(word.en + head.en, head.es + word.es)  # they cross: red car, coche rojo
        materials = [material for material in MATERIALS if material in noun.tags]
        if materials and self.maybe(0.2):
            material = self.random.choice(materials)
            word = self.same(material, MATERIALS[material])
            head = Phrase(head.en[:-1] + word.en + head.en[-1:], head.es[:1] + word.es + head.es[1:])
        article = DETERMINERS[determiner][2 * number + (noun.gender == "f")] if determiner else ""
        if determiner == ("the", "the") and "thing" in noun.tags and self.maybe(0.3):
            owner = self.name()
            owner = self.same(f"{owner.en[0][0]}'s", f"de {owner.es[0][0]}")
            phrase = Phrase(owner.en + head.en, self.alone(es=article).es + head.es + owner.es)
        else:
            phrase = self.same(determiner[number], article) + head if determiner else head
        phrase = Phrase(phrase.en, phrase.es, noun.gender, number, noun.tags)
        if tense is not None and determiner and self.maybe(0.12):
            phrase = phrase.joined(Phrase(), self.relative(phrase, tense))
        return phrase

    def determiner(self, noun, among: tuple = ()) -> tuple:
        """A determiner (empty: none) and a number that the noun and the determiner both have."""
        usual = next(usual for tag, usual in USUAL_DETERMINERS.items() if tag in noun.tags)
        among = [words for words in usual if words in among] if among else usual
        if not among or self.pick(*among) == ("", ""):
            return (), 0
        return self.pick(
            *((words, number) for words in among for number in (0, 1) if words[number] and noun.en[number])
        )

    def adjectives(self, noun) -> list:
        """None, one, or a colour and another one; the one next to the noun first."""
        fitting = [adjective for adjective in ADJECTIVES if adjective.kinds & noun.tags]
        colours = [adjective for adjective in fitting if adjective.colour]
        others = [adjective for adjective in fitting if not adjective.colour and adjective.verb == "ser"]
        if colours and others and self.maybe(0.15):
            return [self.random.choice(colours), self.random.choice(others)]
        return [self.adjective(fitting)] if fitting and self.maybe(0.6) else []

    def adjective(self, fitting: list):
        """Those of "estar" are fewer, and taken more often."""
        states = [adjective for adjective in fitting if adjective.verb == "estar"]
        return self.random.choice(states if states and self.random.random() < 0.4 else fitting)

    def relative(self, head: Phrase, tense: int) -> Phrase:
        """ "who sells bread", "that is closed", "that maria sees" """
        pronoun = self.same("who" if "person" in head.tags else "that", "que")
        if "thing" in head.tags and self.pick(True, False):
            verb = self.random.choice([verb for verb in VERBS if verb.objects & head.tags])
            subject = self.person()
            return pronoun + subject + self.verb(verb, subject, tense)
        if "person" in head.tags and self.pick(True, False):
            return pronoun + self.transitive(head, tense)
        return pronoun + (self.quality(head, tense) if self.pick(True, False) else self.location(head, tense))

    def name(self) -> Phrase:
        """A name that the sentence has not had yet, while there are such."""
        name = self.names.pop() if self.names else self.pick(*NAMES)
        word = self.same(name, NAMES[name][0])
        return Phrase(word.en, word.es, NAMES[name][1], 0, PERSON)

    def person(self, tense: int | None = None) -> Phrase:
        return self.name() if self.random.random() < 0.4 else self.noun_phrase(PERSONS, tense)

    def subject(self, tense: int | None = None, pronouns: float = 0.1) -> Phrase:
        if self.random.random() < pronouns:
            en, gender, number = self.pick(("he", "m", 0), ("she", "f", 0), ("they", "m", 1))
            unit = frozenset({next(self.units)})
            return Phrase([(en, unit)], [], gender, number, PERSON, dropped=unit)
        if self.maybe(0.15):
            first, second = self.person(), self.person()
            gender = "f" if first.gender == second.gender == "f" else "m"
            both = first + self.same("and", "y") + second
            return Phrase(both.en, both.es, gender, 1, PERSON)
        return self.noun_phrase(ANIMALS, tense) if self.maybe(0.15) else self.person(tense)

    def objects(self, verb, tense: int | None = None) -> Phrase:
        """One thing, or a list of two or three. Persons take "a"."""
        kind = self.pick(*sorted(verb.objects))
        nouns = [noun for noun in THINGS + MASS + PERSONS + ANIMALS + PLACES if kind in noun.tags]
        length = min(len(nouns), self.pick(1, 2, 3) if self.maybe(0.4) else 1)
        items = [self.noun_phrase([noun], tense) for noun in self.random.sample(nouns, length)]
        items = [self.name() if "person" in item.tags and self.maybe(0.4) else item for item in items]
        items = [item.joined(self.alone(es="a"), Phrase()) if "person" in item.tags else item for item in items]
        phrase = items[0]
        for i, item in enumerate(items[1:], start=2):
            phrase = phrase + (self.same("and", "y") if i == len(items) else self.same(",", ",")) + item
        return phrase

    # Verb phrases

    def verb(self, verb, subject: Phrase, tense: int, how: str = "") -> Phrase:
        """sees: ve; does not see: no ve; never sees: nunca ve"""
        es = verb.es[2 * tense + subject.number]
        en = verb.en[2] if tense == PAST else verb.en[0 if subject.number else 1]
        if how == "not":
            auxiliary = self.alone("did" if tense == PAST else "do" if subject.number else "does")
            return auxiliary + self.same("not", "no") + self.same(f"{verb.en[0]} {verb.particle}", es, subject.dropped)
        adverb = self.same(how, {"always": "siempre", "never": "nunca"}[how]) if how else Phrase()
        return adverb + self.same(f"{en} {verb.particle}", es, subject.dropped)

    def manner(self) -> str:
        return self.pick("not", "not", "never", "always") if self.maybe(0.3) else ""

    def transitive(self, subject: Phrase, tense: int) -> Phrase:
        verb = self.random.choice(VERBS)
        return self.verb(verb, subject, tense, self.manner()) + self.objects(verb, tense)

    def action(self, subject: Phrase, tense: int) -> Phrase:
        """What the subject does, perhaps where and when; perhaps a second thing."""
        kind, how = self.random.random(), self.manner()
        if kind < 0.65 and "person" in subject.tags:
            phrase = self.transitive(subject, tense)
        elif kind < 0.85:
            fitting = [verb for verb in INTRANSITIVE if "person" in subject.tags or verb.en[0] in ("sleep", "run")]
            phrase = self.verb(self.pick(*fitting), subject, tense, how)
        else:
            phrase = self.verb(GO, subject, tense, how) + self.same("to", "a") + self.noun_phrase(PLACES, tense)
        if self.maybe(0.3):
            company = self.maybe(0.4) and not {"sleep", "sleeps", "slept"} & {word for word, _ in phrase.en}
            phrase = phrase + (self.same("with", "con") + self.person() if company else self.place(subject))
        if self.maybe(0.2):
            past = (("yesterday", "ayer"), ("last week", "la semana pasada"))
            phrase = phrase + self.same(
                *self.pick(*(past if tense == PAST else (("now", "ahora"), ("every day", "todos los días"))))
            )
        if "person" in subject.tags and self.maybe(0.12):
            phrase = phrase + self.same("and", "y") + self.transitive(subject, tense)
        return phrase

    def place(self, subject: Phrase) -> Phrase:
        """Where something is or happens; people are not in bags and boxes."""
        preposition = self.pick("in", "in", "in", "near", "behind", "in front of", "under", "on")
        es, tags = PREPOSITIONS[preposition]
        nouns = [
            noun
            for noun in THINGS + PLACES
            if tags & noun.tags and not ("person" in subject.tags and "container" in noun.tags)
        ]
        return self.same(preposition, es) + self.noun_phrase(nouns)

    def to_be(self, kind: str, subject: Phrase, tense: int) -> Phrase:
        en = (("is", "are"), ("was", "were"))[tense][subject.number]
        return self.same(en, TO_BE[kind][2 * tense + subject.number], subject.dropped)

    def quality(self, subject: Phrase, tense: int, negated: bool = False) -> Phrase:
        """ "is not tall": the adjective decides between ser and estar, and agrees with the subject."""
        fitting = [adjective for adjective in ADJECTIVES if adjective.kinds & subject.tags]
        adjective = self.adjective(fitting)
        opposed = next((words for words in OPPOSITES if adjective.en in words), {adjective.en})
        alike = [
            other for other in fitting if other.verb == adjective.verb and other.en not in opposed and not other.colour
        ]
        verb = self.to_be(adjective.verb, subject, tense)
        negation = self.same("not", "no") if negated else Phrase()
        phrase = Phrase(verb.en + negation.en, negation.es + verb.es)
        phrase = phrase + self.same(adjective.en, adjective.form(subject.gender, subject.number))
        if alike and self.maybe(0.2):
            other = self.random.choice(alike)
            phrase = phrase + self.same("and", "y") + self.same(other.en, other.form(subject.gender, subject.number))
        return phrase

    def location(self, subject: Phrase, tense: int) -> Phrase:
        return self.to_be("estar", subject, tense) + self.place(subject)

    def state(self, subject: Phrase, tense: int) -> Phrase:
        return (
            self.quality(subject, tense, self.maybe(0.2)) if self.pick(True, False) else self.location(subject, tense)
        )

    # Sentences

    def clause(self, tense: int, pronouns: float = 0.1) -> Phrase:
        kind = self.random.random()
        if kind < 0.75:
            subject = self.subject(tense, pronouns)
            return subject + self.action(subject, tense)
        if kind < 0.83:
            thing = self.noun_phrase(
                THINGS + MASS + ANIMALS, determiners=(("a", ""), ("", "two"), ("", "three"), ("", "many"))
            )
            en = (("there is", "there are"), ("there was", "there were"))[tense][thing.number]
            return self.same(en, ("hay", "había")[tense]) + thing + self.place(thing)
        if kind < 0.91:
            subject = self.noun_phrase(THINGS + MASS, tense, (("the", "the"), ("my", "my"), ("this", "these")))
            return subject + self.state(subject, tense)
        subject = self.subject(tense, pronouns)
        return subject + self.state(subject, tense)

    def question(self, tense: int) -> Phrase:
        """In Spanish the verb comes before the subject, and nothing stands for "does" and "did"."""
        kind, subject = self.random.random(), self.subject()
        if kind < 0.15:
            return self.same("who", "quién") + self.action(Phrase(tags=PERSON), tense)
        if kind < 0.3:
            return self.same("where", "dónde") + self.to_be("estar", subject, tense) + subject
        if kind < 0.4:
            quality = self.quality(subject, tense)
            return Phrase(quality.en[:1] + subject.en + quality.en[1:], quality.es + subject.es)
        verb = self.random.choice([verb for verb in VERBS if "person" in subject.tags or "animal" in verb.objects])
        auxiliary = self.alone("did" if tense == PAST else "do" if subject.number else "does")
        asked = self.same(f"{verb.en[0]} {verb.particle}", verb.es[2 * tense + subject.number], subject.dropped)
        middle = Phrase(auxiliary.en + subject.en + asked.en, asked.es + subject.es)
        if kind < 0.55 and "person" not in verb.objects:
            return self.same("what", "qué") + middle
        adverb = self.pick(None, None, ("why", "por qué"), ("when", "cuándo"), ("where", "dónde"))
        return (self.same(*adverb) if adverb else Phrase()) + middle + self.objects(verb)

    def report(self, tense: int) -> Phrase:
        """ "maria says that", "i think that" """
        opening = self.pick(
            ("i think that", "creo que"), ("i know that", "sé que"), ("we know that", "sabemos que"), None
        )
        if opening:
            return self.same(*opening) + self.clause(tense)
        subject = self.person()
        return (
            subject + self.verb(SAY, subject, tense, self.manner()) + self.same("that", "que") + self.clause(tense, 0.3)
        )

    def sentence(self, clauses: int) -> tuple[list, list]:
        """English and Spanish tokens, each a word and its units."""
        tense, opening = self.pick(PRESENT, PAST), self.random.random()
        self.names = self.random.sample(list(NAMES), len(NAMES))
        joints = [("when", "cuando"), ("although", "aunque")] + [("while", "mientras"), ("if", "si")] * (
            tense == PRESENT
        )
        self.random.shuffle(joints)
        ask = self.random.random() < 0.17
        if ask:
            whole = self.alone(es="¿") + self.question(tense)
        elif opening < 0.15:
            whole = self.report(tense)
        elif opening < 0.35 and clauses > 1:
            whole = self.same(*joints.pop()) + self.clause(tense) + self.same(",", ",") + self.clause(tense, 0.3)
            clauses -= 1
        else:
            whole = self.clause(tense)
        joints += [] if ask else [("because", "porque"), ("and", "y"), (", but", ", pero")]
        for joint in self.random.sample(joints, clauses - 1):
            whole = whole + self.same(*joint) + self.clause(tense, 0.3)
        whole = whole + (self.same("?", "?") if ask else self.same(".", "."))
        return spelled_english(whole.en), spelled_spanish(whole.es)
