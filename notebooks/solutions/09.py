"""Solutions of notebook 09. Try the exercises first: check() tells you what kind of mistake you made."""

import zlib
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 09.1


class Tiny(nn.Module):
    """An encoder of given texts: each has a vector of its own, at first the mean of its words' random vectors."""

    def __init__(self, texts, dim=16):
        super().__init__()
        self.place = {text: i for i, text in enumerate(texts)}
        words = {word: zlib.crc32(word.encode()) for text in texts for word in text.lower().split()}
        of = {word: torch.randn(dim, generator=torch.Generator().manual_seed(seed)) for word, seed in words.items()}
        vectors = [torch.stack([of[word] for word in text.lower().split()]).mean(0) for text in texts]
        self.vectors = nn.Parameter(torch.stack(vectors))  # (texts, dim)

    def __getitem__(self, module):
        return self  # losses look at what the first module is

    def preprocess(self, texts, prompt=None, task=None):
        return {"input_ids": torch.tensor([[self.place[text]] for text in texts])}  # (batch, 1)

    def forward(self, features):
        return {"sentence_embedding": self.vectors[features["input_ids"][:, 0]]}  # (batch, dim)

    def cosine(self, a, b):
        return F.cosine_similarity(self.vectors[self.place[a]], self.vectors[self.place[b]], dim=0).item()


class Training:
    """What `train` is in a case: it feeds a table as the library's trainer does, to a tiny encoder, and says what came.

    texts: the columns of `rows` that are texts; a list of texts counts, too. judge: given this object, the encoder, the
    columns of texts and the batches, says what is wrong, or "" when the encoder learnt what it should.
    """

    def __init__(self, rows, texts, judge):
        self.rows, self.judge, self.done = rows, judge, {}
        values = [row[name] for row in rows for name in texts]
        self.texts = [text for value in values for text in (value if isinstance(value, list) else [value])]

    def __deepcopy__(self, memo):
        return self  # what was trained once is not trained again for each copy

    def __call__(self, loss, table, batch_sampler="BATCH_SAMPLER"):
        """loss: its name; table: {column: list}; batch_sampler: the name of a member of BatchSamplers."""
        loss, table = getattr(loss, "__name__", loss), table.to_dict() if hasattr(table, "to_dict") else table
        batch_sampler = getattr(batch_sampler, "value", str(batch_sampler)).upper()
        key = repr((loss, table, batch_sampler))
        if key not in self.done:
            self.done[key] = self.run(loss, table, batch_sampler)
        return self.done[key]

    def run(self, loss, table, batch_sampler):
        """One training. Returns "learnt", or what is wrong in words."""
        if not isinstance(table, dict) or len({len(column) for column in table.values()}) != 1:
            raise ValueError("expected a table as a dictionary, {name of a column: list}, all lists of one length")
        columns = {name: list(column) for name, column in table.items()}
        label = next((name for name in ("label", "labels", "score", "scores") if name in columns), None)
        if label and not all(isinstance(value, (bool, int, float)) for value in columns[label]):
            return f"it stops: {columns[label][0]!r} in the column {label!r} is no number"
        for name in (name for name in columns if name != label):
            if other := [value for value in columns[name] if value not in self.texts]:
                return f"the column {name!r} is read as texts, and {other[0]!r} is none of these"
        encoder = Tiny(dict.fromkeys(self.texts))
        batches = self.fit(encoder, loss, columns, batch_sampler)
        if unread := len(set(self.texts).difference(*(column for name, column in columns.items() if name != label))):
            return f"{unread} of {len(set(self.texts))} texts stand in no row of your table"
        sides = [column for name, column in columns.items() if name != label]
        return self.judge(self.rows, encoder, loss, sides, batches) or "learnt"

    def fit(self, encoder, loss, columns, batch_sampler):
        """Train for 60 epochs with batches of 4; returns the numbers of the rows in each batch."""
        import datasets
        from sentence_transformers import SentenceTransformerTrainer
        from sentence_transformers.base import sampler
        from sentence_transformers.sentence_transformer import losses
        from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

        options = {"num_labels": 2, "sentence_embedding_dimension": 16} if loss == "SoftmaxLoss" else {}
        table, generator = datasets.Dataset.from_dict(columns), torch.Generator()
        torch.manual_seed(0)
        objective, collate = (
            getattr(losses, loss)(encoder, **options),
            SentenceTransformerDataCollator(encoder.preprocess),
        )
        collate.maybe_warn_about_column_order = lambda names: None  # of a wrong order the answer tells
        parameters = list({id(p): p for p in (*encoder.parameters(), *objective.parameters())}.values())
        optimizer, seen = torch.optim.Adam(parameters, lr=0.03), []
        kinds = dict.fromkeys(("NO_DUPLICATES", "NO_DUPLICATES_HASHED"), sampler.NoDuplicatesBatchSampler)
        kinds["GROUP_BY_LABEL"] = sampler.GroupByLabelBatchSampler
        if batch_sampler == "BATCH_SAMPLER":
            kind, of = sampler.DefaultBatchSampler, torch.utils.data.RandomSampler(table, generator=generator)
        else:
            kind, of = kinds[batch_sampler], table
        valid = ["label", "labels", "score", "scores"]
        batches = kind(of, batch_size=4, drop_last=False, valid_label_columns=valid, generator=generator, seed=0)
        for epoch in range(60):
            batches.set_epoch(epoch)
            for rows in batches:
                seen += [rows]
                features = SentenceTransformerTrainer.collect_features(None, collate([table[i] for i in rows]))
                optimizer.zero_grad()
                objective(*features).backward()
                optimizer.step()
        return seen


def judge_questions(rows, encoder, loss, sides, batches):
    questions, answers = {row["question"]: row["answer"] for row in rows}, {row["answer"] for row in rows}
    if not set(sides[0]) <= set(questions):
        return "your anchors are answers, which learn to find their question; users type questions"
    if again := sum(len({sides[1][i] for i in batch}) < len(batch) for batch in batches):
        return (
            f"in {again} of {len(batches)} batches an answer stands twice: a question's own answer is its negative, too"
        )
    off = [q for q, own in questions.items() if max(answers, key=lambda a: encoder.cosine(q, a)) != own]
    return f"{len(off)} of {len(questions)} questions do not find their answer" if off else ""


def judge_grades(rows, encoder, loss, sides, batches):
    cosines = [encoder.cosine(row["sentence1"], row["sentence2"]) for row in rows]
    if min(cosines[1:]) > 0.95:
        return "the pairs graded 1, 2, 3, 4 and 5 all end at a cosine near 1"
    return "" if cosines == sorted(cosines) else "the cosines do not stand in the order of the grades"


def judge_clicks(rows, encoder, loss, sides, batches):
    pages = [page for row in rows for page in (row["clicked"], *row["shown"])]
    nearest = [max(pages, key=lambda page: encoder.cosine(row["query"], page)) for row in rows]
    off = sum(page != row["clicked"] for page, row in zip(nearest, rows))
    return f"for {off} of {len(rows)} queries a page that was not clicked is the nearest" if off else ""


def judge_topics(rows, encoder, loss, sides, batches):
    topic = {row["text"]: row["topic"] for row in rows}
    of = [topic[text] for text in sides[0]]
    alone = sum(Counter(of[i] for i in batch)[of[j]] == 1 for batch in batches for j in batch)
    if loss.startswith("Batch") and alone:
        return f"{alone} of {sum(map(len, batches))} times a text met no other of its topic in its batch"
    nearest = {a: max((b for b in topic if b != a), key=lambda b: encoder.cosine(a, b)) for a in topic}
    off = sum(topic[a] != topic[b] for a, b in nearest.items())
    return f"for {off} of {len(topic)} texts the nearest is of another topic" if off else ""


def judge_duplicates(rows, encoder, loss, sides, batches):
    of = {
        answer: [encoder.cosine(r["first"], r["second"]) for r in rows if r["same"] == answer]
        for answer in ("yes", "no")
    }
    if max(of["yes"]) < min(of["no"]):
        return "the pairs that do not ask the same are nearer than all that do"
    off = sum(cosine >= min(of["yes"]) for cosine in of["no"])
    return f"{off} of {len(of['no'])} pairs that do not ask the same are as near as one that does" if off else ""


QUESTIONS = [
    {"answer": answer, "language": "English", "question": question}
    for answer, *questions in (
        ("At the desk by the door.", "Where do I get a card?", "How can I join the library?"),
        ("From nine to six, not on Sundays.", "When are you open?", "How late can I come?"),
        ("Two euros a day.", "What do I pay for a book that is late?", "How much is it to keep a film too long?"),
    )
    for question in questions
]
GRADES = [
    {"sentence1": first, "sentence2": second, "gold": float(grade)}
    for grade, (first, second) in enumerate(
        [
            ("The sun is hot.", "A dog reads the news."),
            ("A man cooks rice.", "A man paints a wall."),
            ("Two girls swim.", "A girl stands in the water."),
            ("The train is full.", "Many people take the bus."),
            ("A boy kicks a ball.", "A child plays with a ball."),
            ("She cut the bread.", "The bread was cut by her."),
        ]
    )
]
CLICKS = [
    {
        "shown": ["cheap hotels in rome", "flights to rome are late today"],
        "query": "cheap flights to rome",
        "clicked": "low fares for italy",
    },
    {
        "shown": ["bread knives", "bread in the history of france"],
        "query": "how to bake bread",
        "clicked": "a simple loaf, step by step",
    },
    {
        "shown": ["mend a broken heart", "a bike for children"],
        "query": "mend a flat bike",
        "clicked": "patching the tube of a wheel",
    },
    {
        "shown": ["the weather station of bergen", "weather words in norwegian"],
        "query": "weather in bergen",
        "clicked": "rain until friday on the coast",
    },
]
TOPICS = [
    {"text": text, "topic": topic}
    for topic, *texts in (
        (
            "billing",
            "I was charged twice for my order",
            "the invoice for my order is wrong",
            "please refund the second payment",
        ),
        (
            "delivery",
            "my order did not arrive",
            "the parcel for my neighbour came to me",
            "please send the second box again",
        ),
        (
            "account",
            "I cannot log in to see my order",
            "change the name for my profile",
            "please delete the second address",
        ),
        ("product", "the lamp in my order is broken", "which bulb for my lamp", "please explain the second switch"),
    )
    for text in texts
]
DUPLICATES = [
    {"id": f"q{i}", "first": first, "second": second, "same": same}
    for i, (first, second, same) in enumerate(
        [
            ("how do I reset my password", "how do I reset my phone", "no"),
            ("what is the capital of peru", "which city governs peru", "yes"),
            ("can dogs eat apples", "can dogs eat grapes", "no"),
            ("why is the sky blue", "what gives the sky its colour", "yes"),
            ("is tea good for sleep", "is coffee good for sleep", "no"),
            ("how old is the earth", "when did our planet form", "yes"),
            ("who wrote the iliad", "who wrote the aeneid", "no"),
            ("how do I lose weight", "what helps against being too heavy", "yes"),
        ]
    )
]


def column(rows, name):
    return [row[name] for row in rows]


def prepare(kind, rows, train):
    if kind == "questions and answers":
        table = {"anchor": column(rows, "question"), "positive": column(rows, "answer")}
        return train("MultipleNegativesRankingLoss", table, "NO_DUPLICATES")
    if kind == "graded pairs":
        table = {"sentence1": column(rows, "sentence1"), "sentence2": column(rows, "sentence2")}
        return train("CoSENTLoss", table | {"score": column(rows, "gold")})
    if kind == "clicks":
        table = {"anchor": column(rows, "query"), "positive": column(rows, "clicked")}
        negatives = {f"negative_{i + 1}": [row["shown"][i] for row in rows] for i in (0, 1)}
        return train("MultipleNegativesRankingLoss", table | negatives)
    if kind == "topics":
        numbers = {topic: i for i, topic in enumerate(dict.fromkeys(column(rows, "topic")))}
        table = {"text": column(rows, "text"), "label": [numbers[topic] for topic in column(rows, "topic")]}
        return train("BatchHardTripletLoss", table, "GROUP_BY_LABEL")
    table = {"sentence1": column(rows, "first"), "sentence2": column(rows, "second")}
    return train("CoSENTLoss", table | {"label": [int(same == "yes") for same in column(rows, "same")]})


def but(kind, other):
    """The solution with one mistake: of this kind of data, `other` makes the table."""
    return lambda asked, rows, train: other(rows, train) if asked == kind else prepare(asked, rows, train)


def as_it_stands(rows, train):
    return train("MultipleNegativesRankingLoss", {name: column(rows, name) for name in rows[0]})


def answers_first(rows, train):
    table = {name: column(rows, name) for name in ("answer", "question")}
    return train("MultipleNegativesRankingLoss", table, "NO_DUPLICATES")


def any_batch(rows, train):
    return train("MultipleNegativesRankingLoss", {name: column(rows, name) for name in ("question", "answer")})


def grades_as_cosines(rows, train):
    table = {name: column(rows, name) for name in ("sentence1", "sentence2")}
    return train("CosineSimilarityLoss", table | {"score": column(rows, "gold")})


def grades_called_gold(rows, train):
    return train("CoSENTLoss", {name: column(rows, name) for name in ("sentence1", "sentence2", "gold")})


def clicked_only(rows, train):
    return train("MultipleNegativesRankingLoss", {"anchor": column(rows, "query"), "positive": column(rows, "clicked")})


def one_shown(rows, train):
    table = {"anchor": column(rows, "query"), "positive": column(rows, "clicked")}
    return train("MultipleNegativesRankingLoss", table | {"negative": [row["shown"][0] for row in rows]})


def negatives_first(rows, train):
    shown = {f"negative_{i}": [row["shown"][i] for row in rows] for i in (0, 1)}
    table = {"anchor": column(rows, "query")} | shown | {"positive": column(rows, "clicked")}
    return train("MultipleNegativesRankingLoss", table)


def topics_as_words(rows, train):
    return train(
        "BatchHardTripletLoss", {"text": column(rows, "text"), "label": column(rows, "topic")}, "GROUP_BY_LABEL"
    )


def topics_mixed(rows, train):
    numbers = sorted(set(column(rows, "topic")))
    table = {"text": column(rows, "text"), "label": [numbers.index(topic) for topic in column(rows, "topic")]}
    return train("BatchHardTripletLoss", table)


def all_belong_together(rows, train):
    return train("MultipleNegativesRankingLoss", {name: column(rows, name) for name in ("first", "second")})


def turned_round(rows, train):
    table = {name: column(rows, name) for name in ("first", "second")}
    return train("CoSENTLoss", table | {"label": [int(same == "no") for same in column(rows, "same")]})


def answers_as_words(rows, train):
    return train(
        "CoSENTLoss", {name: column(rows, name) for name in ("first", "second")} | {"label": column(rows, "same")}
    )


# ---- 09.2


def cosines(anchors, *columns):
    """(batch, dim) each -> (batch, candidates): of each anchor with the first column's texts, then the second's, ..."""
    return normalize(anchors, dim=1) @ normalize(torch.cat(columns), dim=1).T


def false_negatives(anchors, positives, negatives):
    scores = cosines(anchors, positives, negatives)  # (batch, 2 * batch)
    return scores > scores.diag()[:, None]


def positives_only(anchors, positives, negatives):
    return false_negatives(anchors, positives, negatives)[:, : len(anchors)]


def negatives_in_front(anchors, positives, negatives):
    return false_negatives(anchors, positives, negatives).roll(len(anchors), dims=1)


def row_by_row(anchors, positives, negatives):
    marked = false_negatives(anchors, positives, negatives)
    return torch.stack(marked.split(len(anchors), dim=1), dim=2).flatten(1)


def than_own_negative(anchors, positives, negatives):
    first, second = cosines(anchors, positives), cosines(anchors, negatives)
    return torch.cat([first > first.diag()[:, None], second > second.diag()[:, None]], dim=1)


def own_negative_spared(anchors, positives, negatives):
    return false_negatives(anchors, positives, negatives) & ~torch.eye(len(anchors), dtype=torch.bool).repeat(1, 2)


def negatives_never(anchors, positives, negatives):
    marked = positives_only(anchors, positives, negatives)
    return torch.cat([marked, torch.zeros_like(marked)], dim=1)


def with_its_own(anchors, positives, negatives):
    scores = cosines(anchors, positives, negatives)
    return scores >= scores.diag()[:, None]


def with_ties(anchors, positives, negatives):
    own = torch.eye(len(anchors), 2 * len(anchors), dtype=torch.bool)
    return with_its_own(anchors, positives, negatives) & ~own


def own_by_pairs(anchors, positives, negatives):
    own = (normalize(anchors, dim=1) * normalize(positives, dim=1)).sum(1)  # rounded otherwise than in the matrix
    return cosines(anchors, positives, negatives) > own[:, None]


def farther(anchors, positives, negatives):
    scores = cosines(anchors, positives, negatives)
    return scores < scores.diag()[:, None]


def by_column(anchors, positives, negatives):
    scores = cosines(anchors, positives, negatives)
    return scores > scores.diag().repeat(2)[None, :]


def transposed(anchors, positives, negatives):
    return false_negatives(anchors, positives, negatives).T


def by_dot_product(anchors, positives, negatives):
    scores = anchors @ torch.cat([positives, negatives]).T
    return scores > scores.diag()[:, None]


def the_others(anchors, positives, negatives):
    return ~false_negatives(anchors, positives, negatives)


def of_numbers(anchors, positives, negatives):
    return false_negatives(anchors, positives, negatives).float()


# ---- 09.3


def masked_ranking_loss(anchors, positives, negatives, mask, scale=20.0):
    scores = scale * cosines(anchors, positives, *negatives)  # (batch, candidates)
    return F.cross_entropy(scores.masked_fill(mask, -torch.inf), torch.arange(len(anchors)))


def filled(anchors, positives, negatives, mask, scale, value):
    scores = scale * cosines(anchors, positives, *negatives)
    return F.cross_entropy(scores.masked_fill(mask, value), torch.arange(len(anchors)))


def unmasked(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, torch.zeros_like(mask), scale)


def masked_in_the_first_column(anchors, positives, negatives, mask, scale=20.0):
    first = torch.arange(mask.shape[1]) < len(anchors)
    return masked_ranking_loss(anchors, positives, negatives, mask & first, scale)


def without_hard_negatives(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, [], mask[:, : len(anchors)], scale)


def one_hard_column(anchors, positives, negatives, mask, scale=20.0):
    columns = min(len(negatives), 1)
    return masked_ranking_loss(anchors, positives, negatives[:1], mask[:, : (1 + columns) * len(anchors)], scale)


def own_hard_negatives_only(anchors, positives, negatives, mask, scale=20.0):
    own, batch = torch.eye(len(anchors), dtype=torch.bool), torch.ones(len(anchors), len(anchors), dtype=torch.bool)
    among = torch.cat([batch] + [own] * len(negatives), dim=1)
    return masked_ranking_loss(anchors, positives, negatives, mask | ~among, scale)


def stacked_by_row(anchors, positives, negatives, mask, scale=20.0):
    candidates = torch.stack([positives, *negatives], dim=1).flatten(0, 1)  # a row's texts beside each other
    scores = (scale * cosines(anchors, candidates)).masked_fill(mask, -torch.inf)
    return F.cross_entropy(scores, (1 + len(negatives)) * torch.arange(len(anchors)))


def negatives_before_positives(anchors, positives, negatives, mask, scale=20.0):
    scores = (scale * cosines(anchors, *negatives, positives)).masked_fill(mask, -torch.inf)
    return F.cross_entropy(scores, len(negatives) * len(anchors) + torch.arange(len(anchors)))


def zeroed(anchors, positives, negatives, mask, scale=20.0):
    return filled(anchors, positives, negatives, mask, scale, 0.0)


def minus_one(anchors, positives, negatives, mask, scale=20.0):
    return filled(anchors, positives, negatives, mask, scale, -scale)


def minus_hundred(anchors, positives, negatives, mask, scale=20.0):
    return filled(anchors, positives, negatives, mask, scale, -100.0)


def by_exponentials(anchors, positives, negatives, mask, scale=20.0):
    exps = (scale * cosines(anchors, positives, *negatives)).exp() * ~mask
    return -(exps.diag() / exps.sum(1)).log().mean()


def added_up(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, mask, scale) * len(anchors)


def symmetric(anchors, positives, negatives, mask, scale=20.0):
    back = masked_ranking_loss(positives, anchors, [], mask[:, : len(anchors)].T, scale)
    return (masked_ranking_loss(anchors, positives, negatives, mask, scale) + back) / 2


def mask_inverted(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, ~mask, scale)


def inverted_by_a_number(anchors, positives, negatives, mask, scale=20.0):
    return filled(anchors, positives, negatives, ~mask, scale, -1e9)


def mask_reversed(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, ~mask & ~torch.eye(*mask.shape, dtype=torch.bool), scale)


def anchors_dropped(anchors, positives, negatives, mask, scale=20.0):
    kept = ~mask.any(1)
    scores = scale * cosines(anchors, positives, *negatives)
    return F.cross_entropy(scores[kept], torch.arange(len(anchors))[kept])


def not_scaled(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, mask, 1.0)


def fixed_scale(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, mask)


def of_dot_products(anchors, positives, negatives, mask, scale=20.0):
    scores = scale * anchors @ torch.cat([positives, *negatives]).T
    return F.cross_entropy(scores.masked_fill(mask, -torch.inf), torch.arange(len(anchors)))


def own_masked(anchors, positives, negatives, mask, scale=20.0):
    scores = scale * cosines(anchors, positives, *negatives)
    others = scores.masked_fill(mask | torch.eye(*mask.shape, dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - scores.diag()).mean()


def cut_off(anchors, positives, negatives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, negatives, mask, scale).detach()


ANCHORS = torch.tensor([[1.0, 0.2, 0.0], [0.1, 2.0, 0.3], [0.5, 0.4, 1.0], [3.0, 0.5, 0.3]])
POSITIVES = torch.tensor([[0.7, 0.5, 0.2], [0.3, 1.0, 0.1], [0.2, 0.4, 0.6], [1.0, 0.1, 0.1]])
NEGATIVES = torch.tensor([[0.9, 0.3, 0.1], [0.6, 0.2, 0.9], [0.4, 1.0, 0.2], [0.2, 0.3, 1.0]])
HARDER = torch.tensor([[0.3, 0.9, 0.4], [0.2, 1.2, 0.5], [0.9, 0.1, 0.7], [2.0, 0.1, 0.9]])
MASK = torch.zeros(4, 12, dtype=torch.bool)  # of the positives 0 to 3, NEGATIVES 4 to 7, HARDER 8 to 11
MASK[[0, 0, 1, 2, 2, 3, 3], [3, 4, 9, 0, 11, 2, 6]] = True

FORTY = torch.arange(1.0, 961.0).sqrt().mul(7).reshape(40, 24)  # angles: enough pairs for a last digit to differ

DATA = {
    "questions and answers": Training(QUESTIONS, ("question", "answer"), judge_questions),
    "graded pairs": Training(GRADES, ("sentence1", "sentence2"), judge_grades),
    "clicks": Training(CLICKS, ("query", "clicked", "shown"), judge_clicks),
    "topics": Training(TOPICS, ("text",), judge_topics),
    "duplicates": Training(DUPLICATES, ("first", "second"), judge_duplicates),
}
EXERCISES = {
    "09.1": Exercise(
        title="A loss, a table and batches for five kinds of data",
        cases={kind: (kind, training.rows, training) for kind, training in DATA.items()},
        solution=prepare,
        wrong=[
            (
                but("questions and answers", as_it_stands),
                "Questions and answers: you give the table as it stands. Every column that is no label is read as "
                "texts, in the order of the table. Which columns, and which first?",
            ),
            (
                but("questions and answers", answers_first),
                "Questions and answers: your first column holds the answers. The first column are the anchors, which "
                "look for their partner. Who looks for whom here?",
            ),
            (
                but("questions and answers", any_batch),
                "Questions and answers: an answer belongs to two questions. When both are in a batch, it is a negative "
                "of its own question. Which batches prevent that?",
            ),
            (
                but("graded pairs", grades_as_cosines),
                "Graded pairs: your loss wants the cosine to be the grade, and no cosine exceeds 1. Which loss reads "
                "only an order, or which scale would fit?",
            ),
            (
                but("graded pairs", grades_called_gold),
                "Graded pairs: your grades are read as a column of texts. Which names are those of labels?",
            ),
            (
                but("clicks", clicked_only),
                "Clicks: the pages that were shown and not clicked are in no column. They only look like an answer.",
            ),
            (but("clicks", one_shown), "Clicks: each query has two pages that were not clicked, and one is missing."),
            (
                but("clicks", negatives_first),
                "Clicks: the second column is the positive, whatever its name. What stands there in yours?",
            ),
            (but("topics", topics_as_words), "Topics: labels are numbers. Give each topic one."),
            (
                but("topics", topics_mixed),
                "Topics: in batches drawn at random a text seldom meets another of its topic, and is then only pushed "
                "away. Which batches hold a topic twice?",
            ),
            (
                but("duplicates", all_belong_together),
                "Duplicates: your loss takes every pair for one that belongs together, also those with 'no'.",
            ),
            (but("duplicates", turned_round), "Duplicates: a higher label asks for a higher cosine. Which is which?"),
            (but("duplicates", answers_as_words), "Duplicates: labels are numbers, and 'yes' and 'no' are words."),
        ],
    ),
    "09.2": Exercise(
        title="What a guide calls false negatives, also among hard negatives",
        cases={
            "four rows": (ANCHORS, POSITIVES, NEGATIVES),
            "nobody nearer": (torch.eye(3), torch.eye(3), -torch.eye(3)),
            "one positive twice": (
                torch.diag(torch.tensor([1.0, 1.0, 2.0])),
                torch.eye(3)[[0, 1, 1]] * 3,
                torch.eye(3)[[1, 1, 1]],
            ),
            "five rows": (
                torch.sin(torch.arange(20.0) + 1).reshape(5, 4),
                torch.cos(torch.arange(20.0) * 1.3).reshape(5, 4),
                torch.cos(torch.arange(20.0) * 0.7).reshape(5, 4),
            ),
            "forty rows": (FORTY.sin(), (1.7 * FORTY).cos(), (2.3 * FORTY).cos()),
        },
        solution=false_negatives,
        wrong=[
            (positives_only, "You look at the positives only. Which other texts does the loss compare an anchor with?"),
            (
                negatives_never,
                "You mark no hard negative. They were mined because they are near, so some may be right: they are "
                "candidates like the others.",
            ),
            (
                own_negative_spared,
                "You never mark the anchor's own hard negative. It is no safer than the others: what was mined for a "
                "question may answer it.",
            ),
            (
                than_own_negative,
                "You compare hard negatives with the anchor's own hard negative. The measure is its own positive, for "
                "all candidates.",
            ),
            (negatives_in_front, "Your columns begin with the hard negatives. First come the positives."),
            (
                row_by_row,
                "Your columns take turns, a positive and its hard negative. All positives come first, then all hard "
                "negatives.",
            ),
            (with_its_own, "You mark the anchor's own positive, too. It is what the anchor should pick."),
            (
                with_ties,
                "You mark ties: a candidate exactly as near as the own positive. Only what is higher is suspicious.",
            ),
            (
                own_by_pairs,
                "You mark some own positives. You compute their cosines a second time, and the last digit is rounded "
                "otherwise than in the matrix. Where in the matrix do they stand already?",
            ),
            (farther, "You mark the candidates that are farther away than the own positive. Which are suspicious?"),
            (by_column, "You compare with the candidate's own pair. The measure is the anchor's own positive."),
            (transposed, "Your matrix lies on its side: a row belongs to an anchor, a column to a candidate."),
            (by_dot_product, "You compare dot products; long candidates win. Cosines are meant."),
            (
                the_others,
                "You mark what may stay. Which candidates are suspicious, those nearer or those farther than the "
                "positive?",
            ),
            (of_numbers, "The right cells, but as 0 and 1. A mask is of bool: True and False, as a comparison gives."),
        ],
    ),
    "09.3": Exercise(
        title="A ranking loss with hard negatives that leaves false ones out",
        cases={
            "two columns of hard negatives": (ANCHORS, POSITIVES, [NEGATIVES, HARDER], MASK, 20.0),
            "a smaller scale": (ANCHORS, POSITIVES, [NEGATIVES, HARDER], MASK, 2.0),
            "no hard negatives": (ANCHORS, POSITIVES, [], MASK[:, :4], 20.0),
            "a large scale, all far away": (ANCHORS, -POSITIVES, [-NEGATIVES], MASK[:, :8], 200.0),
            "vectors to be trained": (
                ANCHORS.clone().requires_grad_(),
                POSITIVES.clone().requires_grad_(),
                [NEGATIVES.clone().requires_grad_()],
                MASK[:, :8],
                20.0,
            ),
        },
        solution=masked_ranking_loss,
        wrong=[
            (unmasked, "The mask changes nothing in your loss."),
            (
                masked_in_the_first_column,
                "Your mask spares the hard negatives: they may be false, too.",
            ),
            (without_hard_negatives, "Your loss never looks at the hard negatives. They join the candidates."),
            (one_hard_column, "Your loss takes one column of hard negatives. There may be several, or none."),
            (
                own_hard_negatives_only,
                "Your anchors meet only their own hard negatives. In the ranking loss a candidate is one for every "
                "anchor of the batch.",
            ),
            (
                stacked_by_row,
                "Your candidates stand row by row, a positive beside its hard negatives. The columns of `mask` are "
                "all positives, then all of the first column of hard negatives, and so on.",
            ),
            (
                negatives_before_positives,
                "Your candidates begin with the hard negatives. The columns of `mask` begin with the positives.",
            ),
            (
                zeroed,
                "You set the masked scores to 0. exp(0) is 1, so they still take part. Which score has no weight at "
                "all in a softmax?",
            ),
            (
                minus_one,
                "You set the masked cosines to -1. That is little, but exp of it is not 0. Which score has no weight "
                "at all in a softmax?",
            ),
            (
                minus_hundred,
                "You set the masked scores to -100. At a large scale an own positive can be as low, and then they "
                "take part. Which score has no weight in a softmax, whatever the scale?",
            ),
            (mask_reversed, "You leave out what should stay: True means left out."),
            (
                mask_inverted,
                "Your mask is inverted: what is True is kept, and all others are gone, the own positive among them.",
            ),
            (
                inverted_by_a_number,
                "Your mask is inverted: the huge negative number stands at the candidates that should stay, also at "
                "the own positive.",
            ),
            (
                by_exponentials,
                "Right until the scale is large: then your exponentials leave what a float32 can hold. F.cross_entropy "
                "and logsumexp take the largest score off first.",
            ),
            (added_up, "You add up the losses of the batch where their mean is wanted."),
            (
                symmetric,
                "You also let each positive pick its anchor, and take the mean of both ways. Only the anchors pick.",
            ),
            (
                anchors_dropped,
                "You drop anchors that have a false negative. They still have a positive to find; drop the "
                "candidates only.",
            ),
            (not_scaled, "You leave `scale` out."),
            (fixed_scale, "Another `scale` gives the same loss in yours. Where does it belong?"),
            (of_dot_products, "You compare dot products, so a long vector counts more. Which similarity is meant?"),
            (
                cut_off,
                "Right numbers, but no gradient flows from your loss to the vectors: it trains nothing. What cuts it "
                "off (detach, .item(), no_grad, torch.tensor around a result)?",
            ),
            (
                own_masked,
                "You leave the own positive out of the sum below the fraction. It is a candidate like the others.",
            ),
        ],
    ),
}
