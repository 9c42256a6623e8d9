"""Solutions of notebook 12. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise
from course_lib.similarity import cos_sim
from recipes.shared.mined_measures import measured, questions_in_groups

# ---- 12.1


def short_similarity(queries, pages, dim):
    _, directions = np.linalg.eigh(np.cov(pages.T))  # (wide, wide), the smallest variance first
    turn = directions[:, ::-1][:, :dim]
    return unit(queries @ turn) @ unit(pages @ turn).T  # (n, dim) @ (dim, m) -> (n, m)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def shortened(fit=lambda queries, pages: pages, turn=None, before=None, length=unit, centre=False):
    """What `short_similarity` turns into where one of its parts is wrong."""

    def wrong(queries, pages, dim):
        _, directions = np.linalg.eigh(np.cov(fit(queries, pages).T))
        kept = turn(directions, dim) if turn else directions[:, ::-1][:, :dim]
        middle = pages.mean(axis=0) if centre else 0
        q, p = (before(x) if before else x - middle for x in (queries, pages))
        return length(q @ kept) @ length(p @ kept).T

    return wrong


def by_length_in_place_of_variance(queries, pages, dim):
    kept = np.linalg.eigh(pages.T @ pages)[1][:, ::-1][:, :dim]
    return unit(queries @ kept) @ unit(pages @ kept).T


def first_numbers(queries, pages, dim):
    return unit(queries[:, :dim]) @ unit(pages[:, :dim]).T


def as_they_are(x):
    return x


def drawn_search(seed, n, m, wide):
    """Vectors of queries and pages whose numbers vary unlike, around means that are not 0, of any length."""
    draw = np.random.default_rng(seed)
    mix = draw.normal(size=(wide, wide)) * np.geomspace(3, 0.3, wide)
    of = lambda many: (draw.normal(size=(many, wide)) @ mix.T + 2) * draw.uniform(0.5, 2, size=(many, 1))
    return of(n), of(m)


# ---- 12.2


def mined(anchors, texts, own, share=0.8, limit=None, cosine=cos_sim, best=np.argmax):
    """The nearest text whose cosine is at most `share` of the positive's."""
    scores, rows = np.asarray(cosine(anchors, texts)), np.arange(len(anchors))  # (n, m)
    limits = share * scores[rows, own] if limit is None else limit
    allowed = scores <= np.reshape(limits, (-1, 1))
    allowed[rows, own] = False
    found = [np.flatnonzero(line) for line in allowed]
    return [int(places[best(line[places])]) if len(places) else None for line, places in zip(scores, found)]


def nearest(anchors, texts, own):
    return cos_sim(anchors, texts).argmax(dim=1).tolist()


def any_text(anchors, texts, own):
    return ((own + len(texts) // 2) % len(texts)).tolist()


def nearer_than_the_positive(anchors, texts, own):
    scores, rows = cos_sim(anchors, texts).numpy(), np.arange(len(anchors))
    too_far = scores < 0.95 * scores[rows, own][:, None]
    scores[too_far], scores[rows, own] = -2, -2
    return [int(line.argmax()) if line.max() > -2 else None for line in scores]


def gives_up(anchors, texts, own):
    """No negative for an anchor whose nearest is suspect, where the next one would do."""
    good, all_of_them = mined(anchors, texts, own), mined(anchors, texts, own, share=1e9)
    return [a if a == b else None for a, b in zip(good, all_of_them)]


def limits_of_other_rows(anchors, texts, own):
    return mined(anchors, texts, own, limit=0.8 * cos_sim(anchors, texts).numpy()[:, 0])


# ---- 12.3


def false_share(groups):
    everything = sum(count for count, _, _ in groups)
    share, variance = 0, 0
    for count, read, false in groups:
        weight, rate = count / everything, false / read
        share += weight * rate
        if read < count:
            variance += weight**2 * rate * (1 - rate) / read
    return share, 2 * variance**0.5


def shares(weigh=None, whole=False, times=2, added=False, over=lambda count, read: read):
    """What `false_share` turns into where one of its parts is wrong. weigh: (count, read) -> the weight of a group."""

    def wrong(groups):
        weigh_ = weigh or (lambda count, read: count)
        total = sum(weigh_(count, read) for count, read, _ in groups)
        rates = [(weigh_(count, read) / total, false / read, count, read) for count, read, false in groups]
        errors = [
            weight * (rate * (1 - rate) / over(count, read)) ** 0.5
            for weight, rate, count, read in rates
            if whole or read < count
        ]
        spread = sum(errors) if added else sum(error**2 for error in errors) ** 0.5
        return sum(weight * rate for weight, rate, _, _ in rates), times * spread

    return wrong


def found_so_far(groups):
    return sum(false for _, _, false in groups) / sum(count for count, _, _ in groups), false_share(groups)[1]


def in_percent(groups):
    return tuple(100 * x for x in false_share(groups))


def true_share(groups):
    share, spread = false_share(groups)
    return 1 - share, spread


def variance_alone(groups):
    share, spread = false_share(groups)
    return share, (spread / 2) ** 2


EXERCISES = {
    "12.1": Exercise(
        title="A search with fewer numbers",
        cases={
            "four queries, forty pages, two numbers": (*drawn_search(0, 4, 40, 6), 2),
            "three numbers": (*drawn_search(1, 5, 60, 8), 3),
            "as many queries as pages": (*drawn_search(2, 30, 30, 5), 2),
        },
        solution=short_similarity,
        wrong=[
            (first_numbers, "You keep the first numbers as they are. Which directions hold most of the variance?"),
            (
                shortened(fit=lambda queries, pages: queries),
                "You fit the components on the queries. The collection is there before any of them.",
            ),
            (
                shortened(fit=lambda queries, pages: np.concatenate([queries, pages])),
                "You fit the components on the queries, too. The collection is there before any of them.",
            ),
            (
                shortened(turn=lambda directions, dim: directions[:, :dim]),
                "You keep the directions of smallest variance: eigh puts those first.",
            ),
            (
                shortened(turn=lambda directions, dim: directions[::-1][:dim].T),
                "You take rows of the matrix of directions. Each direction is a column.",
            ),
            (
                by_length_in_place_of_variance,
                "Your directions hold most of the length, not of the variance: that is measured from the mean.",
            ),
            (
                shortened(centre=True),
                "You centre the vectors before you turn them: whole ones would lose their cosines.",
            ),
            (
                shortened(length=as_they_are),
                "You take dot products: after the cut, lengths differ. See the trap above.",
            ),
            (
                shortened(before=unit, length=as_they_are),
                "You normalise the whole vectors and cut afterwards. Which length have they then?",
            ),
            (shortened(turn=lambda directions, dim: directions), "You keep all the numbers. How many were wanted?"),
            (
                lambda queries, pages, dim: short_similarity(queries, pages, dim).T,
                "Your matrix lies on its side: rows belong to queries, columns to pages.",
            ),
        ],
    ),
    "12.2": Exercise(
        title="Mine hard negatives, and leave out the false ones",
        cases={f"questions {i}": questions_in_groups(seed=i) for i in (1, 2)},
        solution=measured(mined),
        wrong=[
            (measured(function), message)
            for function, message in (
                (
                    nearest,
                    "You take the nearest text of all, and often that is the anchor's own positive.",
                ),
                (
                    lambda *given: mined(*given, share=1e9),
                    "You take the nearest text that is not the positive. More than half of these are right answers.",
                ),
                (
                    lambda *given: mined(*given, share=1),
                    "You only leave out what is nearer than the positive. What is nearly as near may be right, too.",
                ),
                (
                    lambda *given: mined(*given, share=0.95),
                    "A relative margin of 0.05 leaves a third of false ones here. How far below the positive is safe?",
                ),
                (
                    nearer_than_the_positive,
                    "You keep what is nearly as near as the positive, and leave out the rest. Which are the suspects?",
                ),
                (
                    lambda *given: mined(*given, cosine=lambda a, b: a @ b.T),
                    "You compare by dot product: these vectors have different lengths, and long ones win.",
                ),
                (
                    lambda *given: mined(*given, best=np.argmin),
                    "You take the farthest of those that are left. Which negative is the hard one?",
                ),
                (any_text, "Your negatives do not depend on the vectors. Hard ones are near their anchors."),
                (
                    gives_up,
                    "You give up each anchor whose nearest text is suspect. The next one may do.",
                ),
                (
                    limits_of_other_rows,
                    "You compare with the first text of the list. Where `texts` has an anchor's positive says `own`.",
                ),
            )
        ],
    ),
    "12.3": Exercise(
        title="The share of false negatives, and how far off it may be",
        cases={
            "all of one group read, a few of the other": ([(40, 40, 30), (160, 20, 5)],),
            "three groups": ([(10, 5, 3), (30, 10, 2), (60, 12, 3)],),
            "one group": ([(100, 20, 5)],),
            "one group without any": ([(50, 10, 0), (50, 10, 4)],),
        },
        solution=false_share,
        wrong=[
            (
                shares(weigh=lambda count, read: read),
                "You weigh each group by what was read of it. It must count by its size.",
            ),
            (shares(weigh=lambda count, read: 1), "You average the shares of the groups as if they were of one size."),
            (found_so_far, "Your share counts only those that were found. What of those that nobody has read?"),
            (in_percent, "You return per cent. A share lies between 0 and 1."),
            (true_share, "You return the share of true negatives."),
            (shares(whole=True), "A group that was read whole cannot be off: it adds nothing to the spread."),
            (shares(added=True), "You add up the errors of the groups. They are independent: add their squares."),
            (shares(times=1), "Your share is right; your spread is one standard error, and two were wanted."),
            (
                shares(over=lambda count, read: count),
                "Your share is right; your spread divides by how many there are. Only what was read tells.",
            ),
            (variance_alone, "Your share is right; your spread is a variance. A root is missing."),
            (lambda groups: false_share(groups)[0], "Return the spread as well: two numbers."),
        ],
    ),
}
