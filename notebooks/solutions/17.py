"""Solutions of notebook 17. Try the exercises first: check() tells you what kind of mistake you made."""

import math

from course_lib.exercises import Exercise

# ---- 17.1

BITS = {"float32": 32, "float16": 16, "int8": 8, "signs": 1}


def weigh(n, dim, kind, gigabytes_per_second):
    weight = n * math.ceil(dim * BITS[kind] / 8)
    return weight, weight / (gigabytes_per_second * 10**9)


def bits_for_bytes(n, dim, kind, gigabytes_per_second):
    weight = n * dim * BITS[kind]
    return weight, weight / (gigabytes_per_second * 10**9)


def always_float32(n, dim, kind, gigabytes_per_second):
    return weigh(n, dim, "float32", gigabytes_per_second)


def a_byte_a_sign(n, dim, kind, gigabytes_per_second):
    return weigh(n, dim, "int8" if kind == "signs" else kind, gigabytes_per_second)


def bits_run_on(n, dim, kind, gigabytes_per_second):
    weight = math.ceil(n * dim * BITS[kind] / 8)
    return weight, weight / (gigabytes_per_second * 10**9)


def rounded_down(n, dim, kind, gigabytes_per_second):
    weight = n * (dim * BITS[kind] // 8)
    return weight, weight / (gigabytes_per_second * 10**9)


def binary_gigabytes(n, dim, kind, gigabytes_per_second):
    weight, _ = weigh(n, dim, kind, gigabytes_per_second)
    return weight, weight / (gigabytes_per_second * 2**30)


def speed_times_weight(n, dim, kind, gigabytes_per_second):
    weight, _ = weigh(n, dim, kind, gigabytes_per_second)
    return weight, gigabytes_per_second * 10**9 / weight


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
        title="Bytes of n vectors, and seconds to read them",
        cases={
            "ten million in float32": (10_000_000, 256, "float32", 10),
            "float16 from a disk": (1_000_000, 384, "float16", 2),
            "int8": (5000, 100, "int8", 20),
            "signs": (10_000_000, 1024, "signs", 10),
            "signs that do not fill their last byte": (3001, 100, "signs", 1),
        },
        solution=weigh,
        wrong=[
            (bits_for_bytes, "You count bits. How many of them are a byte?"),
            (always_float32, "You take four bytes a number, whatever the kind."),
            (a_byte_a_sign, "A sign is one bit, not one byte."),
            (bits_run_on, "Each vector begins with a byte of its own: round up for each vector, not for all together."),
            (rounded_down, "The last signs of a vector need a byte, too, if they do not fill it."),
            (binary_gigabytes, "A gigabyte is 10**9 bytes here, not 2**30."),
            (speed_times_weight, "Your seconds are the wrong way round: more bytes take longer."),
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
