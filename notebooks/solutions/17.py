"""Solutions of notebook 17. Try the exercises first: check() tells you what kind of mistake you made."""

import math

from course_lib.exercises import Exercise

# ---- 17.1


def shares(found, truth):
    """Of each query the share of its true rows that are among those found."""
    return [len(set(rows) & set(true)) / len(true) for rows, true in zip(found, truth)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def fewest(found, reaches):
    """The smallest number of probes for whose rows `reaches(rows)` holds; 0 if there is none."""
    return min((probes for probes, rows in found.items() if reaches(rows)), default=0)


def fewest_probes(found, truth, wanted):
    return fewest(found, lambda rows: mean(shares(rows, truth)) >= wanted)


def in_place(found, truth, wanted):
    def share(rows, true):
        return mean(a == b for a, b in zip(rows, true))

    return fewest(found, lambda rows: mean(share(r, t) for r, t in zip(rows, truth)) >= wanted)


def of_the_found(found, truth, wanted):
    def share(rows, true):
        return len(set(rows) & set(true)) / len(rows)

    return fewest(found, lambda rows: mean(share(r, t) for r, t in zip(rows, truth)) >= wanted)


def all_together(found, truth, wanted):
    def share(rows):
        return sum(len(set(r) & set(t)) for r, t in zip(rows, truth)) / sum(len(t) for t in truth)

    return fewest(found, lambda rows: share(rows) >= wanted)


def every_query(found, truth, wanted):
    return fewest(found, lambda rows: min(shares(rows, truth)) >= wanted)


def some_query(found, truth, wanted):
    return fewest(found, lambda rows: max(shares(rows, truth)) >= wanted)


def more_than_wanted(found, truth, wanted):
    return fewest(found, lambda rows: mean(shares(rows, truth)) > wanted)


def best_recall(found, truth, wanted):
    return max(found, key=lambda probes: mean(shares(found[probes], truth)))


def most_probes(found, truth, wanted):
    return max((probes for probes, rows in found.items() if mean(shares(rows, truth)) >= wanted), default=0)


def first_measured(found, truth, wanted):
    return next((probes for probes, rows in found.items() if mean(shares(rows, truth)) >= wanted), 0)


def least_of_all(found, truth, wanted):
    return fewest_probes(found, truth, wanted) or max(found)


# ---- 17.2


def of_the_whole(found, sizes):
    """(score, row of the whole) of all shards, one after the other."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [(score, start + row) for start, hits in zip(starts, found) for score, row in hits]


def merge(found, sizes, k):
    return sorted(of_the_whole(found, sizes), key=lambda hit: (-hit[0], hit[1]))[:k]


def rows_of_shards(found, sizes, k):
    return sorted((hit for hits in found for hit in hits), key=lambda hit: (-hit[0], hit[1]))[:k]


def one_after_the_other(found, sizes, k):
    return of_the_whole(found, sizes)[:k]


def worst_first(found, sizes, k):
    return sorted(of_the_whole(found, sizes))[:k]


def higher_row_first(found, sizes, k):
    return sorted(of_the_whole(found, sizes), reverse=True)[:k]


def as_they_come(found, sizes, k):
    return sorted(of_the_whole(found, sizes), key=lambda hit: -hit[0])[:k]


def not_cut(found, sizes, k):
    return merge(found, sizes, len(of_the_whole(found, sizes)))


def starts_from_hits(found, sizes, k):
    return merge(found, [len(hits) for hits in found], k)


def a_share_of_each(found, sizes, k):
    share = math.ceil(k / len(found))
    return merge([hits[:share] for hits in found], sizes, k)


# ---- 17.3


def break_even(build_seconds, exact_ms, index_ms):
    if index_ms >= exact_ms:
        return "never"
    return math.floor(build_seconds * 1000 / (exact_ms - index_ms)) + 1


def seconds_and_milliseconds(build_seconds, exact_ms, index_ms):
    return "never" if index_ms >= exact_ms else math.floor(build_seconds / (exact_ms - index_ms)) + 1


def index_for_nothing(build_seconds, exact_ms, index_ms):
    return "never" if index_ms >= exact_ms else math.floor(build_seconds * 1000 / exact_ms) + 1


def never_never(build_seconds, exact_ms, index_ms):
    return math.floor(build_seconds * 1000 / (exact_ms - index_ms)) + 1 if index_ms != exact_ms else "never"


def as_long_as(build_seconds, exact_ms, index_ms):
    return "never" if index_ms >= exact_ms else math.ceil(build_seconds * 1000 / (exact_ms - index_ms))


def not_whole(build_seconds, exact_ms, index_ms):
    return "never" if index_ms >= exact_ms else build_seconds * 1000 / (exact_ms - index_ms)


EXERCISES = {
    "17.1": Exercise(
        title="The fewest probes that find enough",
        cases={
            "two queries": ({1: [[4, 9], [2, 7]], 4: [[4, 5], [7, 1]], 8: [[4, 5], [1, 2]]}, [[4, 5], [1, 2]], 0.7),
            "just enough": ({1: [[3, 0], [6, 9]], 2: [[3, 1], [6, 8]]}, [[3, 1], [6, 7]], 0.75),
            "measured in another order": ({8: [[1, 2]], 2: [[1, 2]], 4: [[2, 1]], 1: [[1, 5]]}, [[1, 2]], 0.9),
            "a list that holds too few": ({1: [[5, -1, -1]], 2: [[5, 6, -1]], 4: [[5, 6, 8]]}, [[5, 6, 8]], 0.6),
            "none finds enough": ({1: [[1, 2]], 16: [[1, 3]]}, [[3, 4]], 0.9),
            "queries with fewer true rows": (
                {1: [[1, 2, 3, 4], [9, 8, -1, -1]], 2: [[1, 2, 5, 6], [7, -1, -1, -1]]},
                [[1, 2, 3, 4], [7]],
                0.75,
            ),
            "one query is harder": (
                {2: [[1, 2], [8, 9]], 4: [[1, 2], [3, 9]], 8: [[1, 2], [3, 4]]},
                [[1, 2], [3, 4]],
                0.75,
            ),
        },
        solution=fewest_probes,
        wrong=[
            (in_place, "You compare place by place. A true row counts wherever it was found."),
            (of_the_found, "You divide by the number of rows found. Recall is a share of the true rows."),
            (all_together, "You add up all queries first. Take each query's share, then their mean."),
            (every_query, "You ask every query to reach it. The mean shall."),
            (some_query, "You are content when one query reaches it. The mean shall."),
            (more_than_wanted, "At least the recall wanted is asked for: equal is enough."),
            (best_recall, "You take the best recall. The fewest probes that reach the one wanted are quicker."),
            (most_probes, "You take the most probes that reach it. The fewest are quicker."),
            (first_measured, "The first measured need not be the smallest number."),
            (least_of_all, "Where none finds enough, 0 is asked for, so that nobody takes it for enough."),
        ],
    ),
    "17.2": Exercise(
        title="Merge the best rows of several shards",
        cases={
            "two shards": ([[(0.9, 3), (0.5, 0)], [(0.8, 1), (0.7, 2)]], [4, 3], 3),
            "all from one": ([[(0.2, 0), (0.1, 1)], [(0.9, 5), (0.8, 0)], [(0.3, 2)]], [2, 6, 3], 2),
            "equal scores": ([[(0.5, 4), (0.4, 0)], [(0.5, 1), (0.5, 2)]], [5, 3], 3),
            "fewer than k": ([[(0.6, 0)], [(0.7, 0)]], [10, 20], 5),
            "equal scores in one shard": ([[(0.5, 4), (0.5, 1)], [(0.5, 0), (0.3, 2)]], [6, 3], 2),
            "an empty shard": ([[], [(0.7, 1), (0.6, 0)]], [7, 2], 2),
        },
        solution=merge,
        wrong=[
            (
                rows_of_shards,
                "Your rows are those of the shards. Row 0 of the second shard is another row of the whole.",
            ),
            (one_after_the_other, "You take the first shard's rows first. The best may lie in the last."),
            (worst_first, "The highest score comes first."),
            (higher_row_first, "Of equal scores the lower row comes first."),
            (as_they_come, "Of equal scores the lower row comes first, also where a shard names the higher one first."),
            (not_cut, "You return all that was found, not the k best."),
            (
                starts_from_hits,
                "A shard's rows begin after all rows of the shards before it, not after those that they found.",
            ),
            (a_share_of_each, "You take equally many of each shard. All of the best may lie in one."),
        ],
    ),
    "17.3": Exercise(
        title="From how many queries on an index saves time",
        cases={
            "some": (160, 31.0, 1.0),
            "a round number": (3, 4.0, 1.0),
            "a quick index": (0.5, 200.0, 2.0),
            "no faster": (10, 5.0, 5.0),
            "slower": (10, 2.0, 5.0),
        },
        solution=break_even,
        wrong=[
            (seconds_and_milliseconds, "Building is in seconds, a query in milliseconds."),
            (index_for_nothing, "With the index a query takes time, too: it saves the difference."),
            (never_never, "An index that is slower than exact search never pays."),
            (as_long_as, "With so many queries both take equally long. Which number is the first with less?"),
            (not_whole, "A whole number of queries is asked for."),
        ],
    ),
}
