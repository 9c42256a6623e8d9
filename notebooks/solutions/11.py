"""Solutions of notebook 11. Try the exercises first: check() tells you what kind of mistake you made."""

from course_lib.exercises import Exercise

# ---- 11.1


def mean(runs, which):
    return sum(run[which] for run in runs) / len(runs)


def choose(runs):
    best = max(runs, key=lambda name: mean(runs[name], 0))
    return best, mean(runs[best], 1)


def chooses_on_test(runs):
    best = max(runs, key=lambda name: mean(runs[name], 1))
    return best, mean(runs[best], 1)


def says_dev(runs):
    best = max(runs, key=lambda name: mean(runs[name], 0))
    return best, mean(runs[best], 0)


def luckiest_run(runs):
    best = max(runs, key=lambda name: max(dev for dev, _ in runs[name]))
    return best, mean(runs[best], 1)


def luckiest_run_alone(runs):
    best = max(runs, key=lambda name: max(runs[name]))
    return best, max(runs[best])[1]


def test_of_the_best_seed(runs):
    best = max(runs, key=lambda name: mean(runs[name], 0))
    return best, max(runs[best])[1]


def best_test_of_the_chosen(runs):
    best = max(runs, key=lambda name: mean(runs[name], 0))
    return best, max(test for _, test in runs[best])


def pools_both(runs):
    best = max(runs, key=lambda name: mean(runs[name], 0) + mean(runs[name], 1))
    return best, mean(runs[best], 1)


def adds_up(runs):
    best = max(runs, key=lambda name: sum(dev for dev, _ in runs[name]))
    return best, mean(runs[best], 1)


def choice_alone(runs):
    return choose(runs)[0]


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


def never_stops(scores, patience):
    return max(range(len(scores)), key=scores.__getitem__), len(scores) - 1


def runs_on(scores, patience):
    return early_stop(scores, patience)[0], len(scores) - 1


def keeps_one_too_few(scores, patience):
    return early_stop(scores, patience - 1)


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
        title="Choose on dev, say test",
        cases={
            "a setting that is better on dev and worse on test": (
                {
                    "slow": [(70.0, 74.0), (71.0, 73.0), (72.0, 75.0)],
                    "fast": [(74.0, 71.0), (73.0, 72.0), (75.0, 70.0)],
                },
            ),
            "one lucky seed": ({"wild": [(90.0, 60.0), (60.0, 58.0)], "calm": [(80.0, 70.0), (78.0, 72.0)]},),
            "a test set that prefers another": (
                {
                    "a": [(80.0, 50.0), (82.0, 52.0)],
                    "b": [(79.0, 60.0), (80.0, 63.0)],
                    "c": [(60.0, 70.0)],
                },
            ),
            "not equally many seeds": ({"few": [(80.0, 66.0)], "many": [(70.0, 60.0), (70.0, 62.0), (70.0, 64.0)]},),
        },
        solution=choose,
        wrong=[
            (chooses_on_test, "You choose on test. Then its score flatters the choice, as dev's would: choose on dev."),
            (says_dev, "You say the score on dev. It is the highest of several, and partly luck: say another set's."),
            (luckiest_run, "One lucky seed decides your choice. Compare the settings' means on dev."),
            (luckiest_run_alone, "You choose a single run. A setting has as many runs as seeds: compare their means."),
            (
                test_of_the_best_seed,
                "The setting is right. But you say the score of one seed: say their mean.",
            ),
            (
                best_test_of_the_chosen,
                "The setting is right. But you say its best seed on test: say their mean.",
            ),
            (pools_both, "Your choice looks at test as well. What chooses must not report."),
            (adds_up, "You add the scores of dev up, so that a setting with more seeds wins. Take their mean."),
            (choice_alone, "Return two things: the name of the setting and its score on test."),
        ],
    ),
    "11.2": Exercise(
        title="Keep the best, stop early",
        cases={
            "a peak in the middle": ([0.5, 0.6, 0.7, 0.65, 0.66, 0.9], 2),
            "a dip, then better": ([0.5, 0.4, 0.6, 0.55, 0.7, 0.6, 0.5], 2),
            "a zigzag below the best": ([0.7, 0.5, 0.6, 0.55, 0.65, 0.5], 3),
            "a tie": ([0.6, 0.6, 0.6, 0.5], 3),
            "two falls in a row": ([0.5, 0.8, 0.7, 0.6, 0.75, 0.9], 2),
            "always better": ([0.1, 0.2, 0.3], 1),
        },
        solution=early_stop,
        wrong=[
            (keeps_the_last, "You keep the last model that was run. The point of evaluating was to keep a better one."),
            (
                never_stops,
                "You look at all scores: the best of them, and the last. Training stops when patience runs out, and "
                "what comes later is never seen.",
            ),
            (runs_on, "The kept one is right, but your training runs to the end. When has patience run out?"),
            (
                keeps_one_too_few,
                "You stop one evaluation too early: with a patience of 2, the second without a new best is the last.",
            ),
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
