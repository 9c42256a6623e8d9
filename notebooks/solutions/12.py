"""Solutions of notebook 12. Try the exercises first: check() tells you what kind of mistake you made."""

from statistics import NormalDist

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


def front(sizes, draws):
    def beats(other, name):
        low, high = np.percentile(draws[other] - draws[name], (2.5, 97.5))
        return sizes[other] <= sizes[name] and high >= 0 and (sizes[other] < sizes[name] or low > 0)

    return [name for name in sizes if not any(beats(other, name) for other in sizes)]


def paired(draws, other, name, tail=2.5):
    return np.percentile(draws[other] - draws[name], (tail, 100 - tail))


def unpaired(draws, other, name):
    (low, high), (low_name, high_name) = (np.percentile(draws[key], (2.5, 97.5)) for key in (other, name))
    return low - high_name, high - low_name


def means(draws, other, name):
    return [draws[other].mean() - draws[name].mean()] * 2


def fronts(gap=paired, larger=False, gain=lambda smaller, better: smaller or better, itself=True, rivals=None):
    """What `front` turns into where one of its parts is wrong. rivals: (sizes, name) -> those that may beat it."""

    def wrong(sizes, draws):
        def beats(other, name):
            low, high = gap(draws, other, name)
            as_small = larger or sizes[other] <= sizes[name]
            return as_small and high >= 0 and gain(sizes[other] < sizes[name], low > 0) and (itself or other != name)

        return [
            name
            for name in sizes
            if not any(beats(other, name) for other in (rivals(sizes, name) if rivals else sizes))
        ]

    return wrong


def next_smaller(sizes, name):
    return sorted((other for other in sizes if sizes[other] < sizes[name]), key=sizes.get)[-1:]


def one_by_one(sizes, draws):
    """From the smallest on, each is compared only with those that were kept."""
    kept = []
    for name in sorted(sizes, key=sizes.get):
        if name in front({key: sizes[key] for key in (*kept, name)}, draws):
            kept.append(name)
    return [name for name in sizes if name in kept]


def drawn_forms(seed, forms, count=400):
    """forms: {name: (bytes, quality, noise of its own)} -> sizes, and draws that share their luck."""
    chance = np.random.default_rng(seed)
    spread = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])  # normal, and not by chance
    luck = 3 * chance.permutation(spread)
    sizes = {name: size for name, (size, _, _) in forms.items()}
    draws = {name: mean + luck + noise * chance.permutation(spread) for name, (_, mean, noise) in forms.items()}
    return sizes, draws


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
        title="Which forms are on the Pareto front",
        cases={
            "one step that is shown, one that is not": drawn_forms(
                0, {"large": (40, 52.1, 0.6), "middle": (20, 52, 0.2), "small": (10, 50, 0.2)}
            ),
            "two of one size, twice": drawn_forms(
                1, {"a": (10, 50, 0.2), "b": (10, 52, 0.2), "c": (5, 40.05, 0.5), "d": (5, 40, 0.5)}
            ),
            "the middle one varies much": drawn_forms(
                2, {"small": (10, 50, 0.1), "middle": (20, 50.3, 0.6), "large": (40, 50.6, 0.1)}
            ),
            "the middle one is bad": drawn_forms(
                3, {"small": (10, 55, 0.3), "middle": (20, 50, 0.3), "large": (40, 54.9, 0.3)}
            ),
            "worse in most draws": drawn_forms(4, {"small": (10, 50, 0), "large": (20, 51.8, 1)}),
            "worse in nearly all draws": drawn_forms(5, {"small": (10, 50, 0), "large": (20, 52.3, 1)}),
        },
        solution=front,
        wrong=[
            (fronts(means), "You compare means. A difference that the draws do not show counts as none."),
            (
                fronts(unpaired),
                "You take an interval of each form. All have the same draws: take the differences, draw by draw.",
            ),
            (
                fronts(gain=lambda smaller, better: better),
                "You drop a form only if another is shown to be better. A smaller one that is not worse beats it, too.",
            ),
            (
                fronts(gain=lambda smaller, better: smaller),
                "Only smaller forms beat others in yours. Of two of one size, one may be shown to be better.",
            ),
            (
                fronts(gain=lambda smaller, better: True),
                "Your front is empty, as each form is as good as itself. To beat, it must be ahead in something.",
            ),
            (
                fronts(gain=lambda smaller, better: True, itself=False),
                "Two of one size that are not shown to differ drop each other. To beat, be ahead in something.",
            ),
            (fronts(larger=True), "A larger form beats a smaller one in yours. To beat, it must not be larger."),
            (
                lambda sizes, draws: [name for name in sizes if name not in front(sizes, draws)],
                "You return the forms that are beaten.",
            ),
            (
                fronts(lambda *given: paired(*given, tail=5)),
                "You leave out 5 % on each side of the differences. How many are wanted?",
            ),
            (
                fronts(lambda *given: paired(*given, tail=0)),
                "You ask that all draws agree. How many may lie on the other side?",
            ),
            (
                fronts(rivals=next_smaller),
                "You compare each form only with the next smaller one. Any other may beat it.",
            ),
            (one_by_one, "You compare only with forms that are not beaten themselves. A beaten one may beat, too."),
        ],
    ),
}
