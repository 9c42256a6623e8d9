"""Solutions of notebook 11. Try the exercises first: check() tells you what kind of mistake you made."""

from course_lib.exercises import Exercise

# ---- 11.1


def full_rate_steps(total_steps, warmup_steps):
    total = 0.0
    for step in range(total_steps):
        if step < warmup_steps:
            total += step / warmup_steps
        else:
            total += (total_steps - step) / (total_steps - warmup_steps)
    return total


def first_step_learns(total_steps, warmup_steps):
    rising = sum((step + 1) / warmup_steps for step in range(min(warmup_steps, total_steps)))
    return rising + sum(
        (total_steps - step) / (total_steps - warmup_steps) for step in range(warmup_steps, total_steps)
    )


def never_falls(total_steps, warmup_steps):
    return sum(step / warmup_steps if step < warmup_steps else 1.0 for step in range(total_steps))


def always_arrives(total_steps, warmup_steps):
    warmup_steps = min(warmup_steps, total_steps)
    return full_rate_steps(total_steps, warmup_steps)


def falls_from_the_start(total_steps, warmup_steps):
    return sum(
        step / warmup_steps if step < warmup_steps else (total_steps - step) / total_steps
        for step in range(total_steps)
    )


def mean_factor(total_steps, warmup_steps):
    return full_rate_steps(total_steps, warmup_steps) / total_steps


# ---- 11.2


def early_stop(scores, patience):
    best = 0
    for i, score in enumerate(scores):
        if score > scores[best]:
            best = i
        if i - best >= patience:
            return best, i
    return best, len(scores) - 1


def keeps_the_last(scores, patience):
    _, last = early_stop(scores, patience)
    return last, last


def looks_ahead(scores, patience):
    return max(range(len(scores)), key=scores.__getitem__), early_stop(scores, patience)[1]


def compares_with_the_one_before(scores, patience):
    best, worse = 0, 0
    for i, score in enumerate(scores):
        worse = worse + 1 if i and score <= scores[i - 1] else 0
        if score > scores[best]:
            best = i
        if worse >= patience:
            return best, i
    return best, len(scores) - 1


def counts_all_failures(scores, patience):
    best, failures = 0, 0
    for i, score in enumerate(scores[1:], start=1):
        if score > scores[best]:
            best = i
        else:
            failures += 1
        if failures >= patience:
            return best, i
    return best, len(scores) - 1


def one_too_patient(scores, patience):
    return early_stop(scores, patience + 1)


def a_tie_is_better(scores, patience):
    best = 0
    for i, score in enumerate(scores):
        if score >= scores[best]:
            best = i
        if i - best >= patience:
            return best, i
    return best, len(scores) - 1


EXERCISES = {
    "11.1": Exercise(
        title="What a run is worth in steps at the full rate",
        cases={
            "the overview's example": (1, 100),
            "a run shorter than its warm-up": (60, 100),
            "a tenth of warm-up": (60, 6),
            "no warm-up": (10, 0),
        },
        solution=full_rate_steps,
        wrong=[
            (
                first_step_learns,
                "Your warm-up counts from one. That is the course's schedule; what does the old one give step 0?",
            ),
            (never_falls, "After the warm-up your factor stays at 1. In this schedule it goes down again."),
            (
                always_arrives,
                "You shorten a warm-up that is longer than the run. The old schedule does not know that it is.",
            ),
            (
                falls_from_the_start,
                "After the warm-up your factor jumps: the fall has to begin at 1, at the step where the warm-up ends.",
            ),
            (mean_factor, "That is the mean factor. Here the sum is wanted: how many steps at the full rate."),
        ],
    ),
    "11.2": Exercise(
        title="Keep the best, stop early",
        cases={
            "a peak in the middle": ([0.5, 0.6, 0.7, 0.65, 0.66, 0.9], 2),
            "a dip, then better": ([0.5, 0.4, 0.6, 0.55, 0.7, 0.6, 0.5], 2),
            "a zigzag below the best": ([0.7, 0.5, 0.6, 0.55, 0.65, 0.5], 3),
            "a tie": ([0.6, 0.6, 0.6, 0.5], 3),
            "always better": ([0.1, 0.2, 0.3], 1),
        },
        solution=early_stop,
        wrong=[
            (keeps_the_last, "You keep the last model that was run. The point of evaluating was to keep a better one."),
            (looks_ahead, "Your kept one may lie after the end: an evaluation that is never run cannot be the best."),
            (
                compares_with_the_one_before,
                "You count how often the score falls below the one before. Count since the best.",
            ),
            (counts_all_failures, "You never set the count back. A new best gives the run its whole patience again."),
            (
                one_too_patient,
                "You wait for one evaluation too many: with a patience of 1, the first without a new best is the last.",
            ),
            (
                a_tie_is_better,
                "You take a tie for a new best. Only a higher score is one, else a run that stands still never stops.",
            ),
        ],
    ),
}
