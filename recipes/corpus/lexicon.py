"""The words of course/en_es: English beside Spanish, with what grammar.py needs to know about each.

Every English word has exactly one Spanish counterpart here, where a dictionary has several: the doctor is always
"el médico", the neighbour always "la vecina". That is what makes a translation either right or wrong.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """Forms by number (English, Spanish), the Spanish gender "m" or "f", and tags: what can be done with it."""

    en: tuple[str, str]  # singular, plural ("" where there is none)
    es: tuple[str, str]
    gender: str
    tags: frozenset[str]


def plural(word: str) -> str:
    """
    >>> [plural(word) for word in ("casa", "flor", "joven")]
    ['casas', 'flores', 'jóvenes']
    """
    if word == "joven":
        return "jóvenes"
    if word[-1] in "aeiouáéó":
        return word + "s"
    return word + "es"


def feminine(word: str) -> str:
    """
    >>> [feminine(word) for word in ("rojo", "grande", "azul")]
    ['roja', 'grande', 'azul']
    """
    return word[:-1] + "a" if word.endswith("o") else word


def _nouns(table: str, *tags: str) -> list[Noun]:
    """One noun a line: English singular / plural, Spanish singular, gender, tags. A plural of - means: has none."""
    nouns = []
    for line in table.strip().splitlines():
        singular, many, spanish, gender, *more = line.split()
        none = many == "-"
        nouns.append(
            Noun(
                (singular, "" if none else many),
                (spanish, "" if none else plural(spanish)),
                gender,
                frozenset((*tags, *more)),
            )
        )
    return nouns


# Tags of things: what verbs do with them (trade: buy, sell, look for, find), what adjectives say of them (clean or
# dirty; broken, for "break"; "wooden", "silver"; "warm": hot or cold), and in, on, under, behind: where something else
# can be.
THINGS = _nouns(
    """
car      cars      coche      m trade clean break under
house    houses    casa       f trade clean wooden behind
boat     boats     barco      m trade wooden break behind
table    tables    mesa       f trade clean wooden break on under
chair    chairs    silla      f trade clean wooden break on under
key      keys      llave      f trade silver
book     books     libro      m trade read write
letter   letters   carta      f read write open
map      maps      mapa       m trade read
door     doors     puerta     f open clean wooden break behind
box      boxes     caja       f trade open wooden silver in container
bag      bags      bolsa      f trade open clean in container
watch    watches   reloj      m trade silver break
apple    apples    manzana    f trade eat
cake     cakes     pastel     m trade eat
""",
    "thing",
)
MASS = _nouns(
    """
bread    -         pan        m trade eat
soup     -         sopa       f eat warm
water    -         agua       f drink warm
milk     -         leche      f drink warm trade
coffee   -         café       m drink warm trade
""",
    "mass",
)
PERSONS = _nouns(
    """
man       men        hombre     m adult
woman     women      mujer      f adult
boy       boys       niño       m
girl      girls      niña       f
teacher   teachers   profesor   m adult
doctor    doctors    médico     m adult
nurse     nurses     enfermera  f adult
farmer    farmers    granjero   m adult
brother   brothers   hermano    m kin adult
sister    sisters    hermana    f kin adult
friend    friends    amigo      m kin adult
""",
    "person",
)
ANIMALS = _nouns(
    """
dog      dogs      perro      m
horse    horses    caballo    m
cow      cows      vaca       f
eagle    eagles    águila     f
""",
    "animal",
)
PLACES = _nouns(
    """
kitchen  -  cocina      f in
garden   -  jardín      m in
market   -  mercado     m in
school   -  escuela     f in behind
park     -  parque      m in
bridge   -  puente      m under
river    -  río         m
beach    -  playa       f
station  -  estación    f in
village  -  pueblo      m in
castle   -  castillo    m in
""",
    "place",
)
NAMES = {
    "maria": ("maría", "f"),
    "ana": ("ana", "f"),
    "elena": ("elena", "f"),
    "carmen": ("carmen", "f"),
    "juan": ("juan", "m"),
    "pedro": ("pedro", "m"),
    "luis": ("luis", "m"),
    "diego": ("diego", "m"),
}


@dataclass(frozen=True)
class Adjective:
    """`verb`: the Spanish "to be" that it takes after a noun. `kinds`: tags of the nouns it goes with."""

    en: str
    es: str  # masculine singular
    verb: str  # "ser" or "estar"
    kinds: frozenset[str]
    colour: bool  # stands next to the noun when there are two: "big red car"

    def form(self, gender: str, number: int) -> str:
        word = feminine(self.es) if gender == "f" else self.es
        return plural(word) if number else word


def _adjectives(table: str) -> list[Adjective]:
    rows = (line.split() for line in table.strip().splitlines())
    return [Adjective(en, es, verb, frozenset(kinds), "colour" in kinds) for en, es, verb, *kinds in rows]


ADJECTIVES = _adjectives("""
red         rojo        ser   thing colour
white       blanco      ser   thing animal colour
black       negro       ser   thing animal colour
green       verde       ser   thing colour
big         grande      ser   thing animal place
small       pequeño     ser   thing animal place
new         nuevo       ser   thing place
old         viejo       ser   thing animal place adult
expensive   caro        ser   trade
tall        alto        ser   person
young       joven       ser   person animal
famous      famoso      ser   person place
intelligent inteligente ser   person animal
tired       cansado     estar person animal
sick        enfermo     estar person animal
broken      roto        estar break
clean       limpio      estar clean
dirty       sucio       estar clean
cold        frío        estar warm
hot         caliente    estar warm
""")
OPPOSITES = ({"old", "young", "new"}, {"big", "small"}, {"clean", "dirty"}, {"hot", "cold"})
MATERIALS = {"wooden": "de madera", "silver": "de plata"}  # the tag of the nouns made of it


@dataclass(frozen=True)
class Verb:
    """English: base, third person, past. Spanish: present he, they; past he, they (the preterite)."""

    en: tuple[str, str, str]
    es: tuple[str, str, str, str]
    objects: frozenset[str]  # tags of the nouns it takes; empty: it takes none
    particle: str = ""  # "look for"


def _verbs(table: str) -> list[Verb]:
    verbs = []
    for line in table.strip().splitlines():
        words = line.split()
        base, particle = (words[0].split("_") + [""])[:2]
        verbs.append(Verb((base, *words[1:3]), tuple(words[3:7]), frozenset(words[7:]), particle))
    return verbs


VERBS = _verbs("""
buy      buys    bought   compra    compran    compró    compraron    trade
sell     sells   sold     vende     venden     vendió    vendieron    trade
look_for looks   looked   busca     buscan     buscó     buscaron     trade
find     finds   found    encuentra encuentran encontró  encontraron  trade
see      sees    saw      ve        ven        vio       vieron       thing animal person
eat      eats    ate      come      comen      comió     comieron     eat
drink    drinks  drank    bebe      beben      bebió     bebieron     drink
read     reads   read     lee       leen       leyó      leyeron      read
write    writes  wrote    escribe   escriben   escribió  escribieron  write
open     opens   opened   abre      abren      abrió     abrieron     open
help     helps   helped   ayuda     ayudan     ayudó     ayudaron     person
visit    visits  visited  visita    visitan    visitó    visitaron    person place
wait_for waits   waited   espera    esperan    esperó    esperaron    person
""")
INTRANSITIVE = _verbs("""
sleep    sleeps  slept    duerme    duermen    durmió    durmieron
work     works   worked   trabaja   trabajan   trabajó   trabajaron
run      runs    ran      corre     corren     corrió    corrieron
sing     sings   sang     canta     cantan     cantó     cantaron
""")
GO = _verbs("go goes went va van fue fueron")[0]
SAY = _verbs("say says said dice dicen dijo dijeron")[0]
TO_BE = {"ser": ("es", "son", "era", "eran"), "estar": ("está", "están", "estaba", "estaban")}  # the past: imperfect

DETERMINERS = {  # English singular, plural ("" where there is none): Spanish m, f, m plural, f plural
    ("the", "the"): ("el", "la", "los", "las"),
    ("a", ""): ("un", "una", "", ""),
    ("this", "these"): ("este", "esta", "estos", "estas"),
    ("my", "my"): ("mi", "mi", "mis", "mis"),
    ("our", "our"): ("nuestro", "nuestra", "nuestros", "nuestras"),
    ("her", "her"): ("su", "su", "sus", "sus"),
    ("", "two"): ("", "", "dos", "dos"),
    ("", "three"): ("", "", "tres", "tres"),
    ("", "many"): ("", "", "muchos", "muchas"),
}
_THE, _A, _MY, _OUR, _HER = ("the", "the"), ("a", ""), ("my", "my"), ("our", "our"), ("her", "her")
_COUNTS, _NONE = (("", "two"), ("", "three"), ("", "many")), ("", "")
USUAL_DETERMINERS = {  # by the first tag that the noun has
    "mass": (_NONE, _NONE, _THE, _MY),
    "kin": (_MY, _OUR, _HER),
    "place": (_THE, _THE, _A, _OUR, ("this", "these")),
    "person": (_THE, _THE, _A, ("this", "these"), *_COUNTS),
    "thing": (_THE, *DETERMINERS),
    "animal": (_THE, *DETERMINERS),
}
PREPOSITIONS = {  # Spanish, and the tags of the nouns that may follow
    "in": ("en", {"in"}),
    "near": ("cerca de", {"place"}),
    "behind": ("detrás de", {"behind"}),
    "in front of": ("delante de", {"behind"}),
    "under": ("debajo de", {"under"}),
    "on": ("sobre", {"on"}),
}
