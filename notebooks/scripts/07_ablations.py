# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/07_ablations.ipynb)
#
# # Which pooling, which concatenation, and how sure can you be?
#
# Notebook 06 took three choices as given: average the tokens, join `u`, `v` and `|u - v|`, put one linear map on top. Here you change them one at a time, as the paper's Table 6 does, and learn how far such a table can be trusted.
#
# | | |
# |---|---|
# | You will be able to | plan an ablation; say what a linear head can and cannot see of two vectors; tell a difference from the noise of a few runs; read a table of means and spreads |
# | You need first | notebook 06: the softmax objective, Spearman's correlation |
# | Time | 30 minutes to read; the code runs in about half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course |

# %% tags=["setup"]
# Locally this does nothing. In Colab it fetches the course, once, and changes no installed package.
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("course_lib") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"{sys.executable} has no course_lib: start Jupyter with `make lab`, "
                                  "or choose the course's .venv as the notebook's kernel (see the README)")
    course, unfinished = Path("/content/course"), Path("/content/course.unfinished")
    if not course.exists():
        shutil.rmtree(unfinished, ignore_errors=True)      # what an interrupted run left
        url = "https://github.com/sentence-transformers-course/course"
        clone = ["git", "clone", "--depth", "1", "--branch", "main", url, str(unfinished)]
        try:
            subprocess.run(clone, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise RuntimeError(f"cannot fetch {url}: is Colab online? Then run this cell again. {reason}") from None
        unfinished.rename(course)
    sys.path.insert(0, str(course))

# %% [markdown]
# `model` is the start of every training here, `data` is what it is trained on; `full` repeats the recorded runs, which needs `COURSE_DATA` and the better part of an hour.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
data = "course/nli"
batch_size = 32
learning_rate = 4e-4
full = False

# %% [markdown]
# ## What is an ablation?
#
# **Question.** The recipe has several parts. Which of them does the work?
#
# An *ablation* runs the same experiment again with one part taken away or exchanged, and everything else left as it was: data, number of steps, learning rate, measure.
#
# The paper's Table 6 exchanges the *concatenation*, the parts of `u` and `v` that are joined before the head. Besides `u`, `v` and `|u - v|` there is the product of the two, number by number: `u*v`.
#
# **Predict:** how many concatenations of these four parts are there, and how many did the paper try?

# %% tags=["nbval-check-output"]
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.data import load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.losses import SoftmaxLoss

plt.rcParams["figure.dpi"] = 70                                         # keeps this file small
torch.set_num_threads(1)                                                # as in the recorded runs
encoder = SentenceEncoder.load(model, dtype="float32")
dim = encoder.get_embedding_dimension()
parts = ["u", "v", "|u-v|", "u*v"]
possible = [names for n in range(1, 5) for names in combinations(parts, n)]
paper = {"u, v": 66.04, "|u-v|": 69.78, "u*v": 70.54, "|u-v|, u*v": 78.37, "u, v, u*v": 77.44, "u, v, |u-v|": 80.78, "u, v, |u-v|, u*v": 80.44}
assert set(paper) <= {", ".join(names) for names in possible}
for name in paper:
    head = SoftmaxLoss(dim, concatenation=tuple(name.split(", ")))
    print(f"{name:17} {head.classifier.in_features:5} features, {sum(p.numel() for p in head.parameters()):5} parameters in the head")
print(f"tried in the paper: {len(paper)} of {len(possible)}")

# %% [markdown]
# More parts mean a larger head, too: an ablation is seldom quite clean.
#
# ## What can a linear head see?
#
# **Question.** `|u - v|` and `u*v` are computed from `u` and `v`. What can they tell a head that it does not have already?
#
# First by loop, then with tensors, for two pairs of vectors of two numbers.

# %% tags=["nbval-check-output"]
u = torch.tensor([[1.0, -2.0], [0.5, 3.0]])                             # (2 pairs, 2)
v = torch.tensor([[0.0, 1.0], [0.5, 3.0]])                              # (2 pairs, 2)

by_loop = []
for a, b in zip(u.tolist(), v.tolist()):
    by_loop.append([*a, *b, *(abs(x - y) for x, y in zip(a, b)), *(x * y for x, y in zip(a, b))])

joined = torch.cat([u, v, (u - v).abs(), u * v], dim=1)                 # (2 pairs, 4 * 2)
assert joined.tolist() == by_loop
print(joined)

# %% [markdown]
# Now the limit. A linear head on `(u, v)` gives a label the score `a·u + b·v`: a number for the one sentence **plus** a number for the other. No term looks at both.
#
# **Predict:** the head scores two sentences against themselves, and against each other. Which two scores have the larger sum?

# %% tags=["row-1.27", "nbval-check-output"]
with torch.no_grad():
    eating, money = encoder(["A man is eating food.", "She saves money every month."])          # (dim,) each
u = torch.stack([eating, money, eating, money])                         # (4, dim): two pairs alike,
v = torch.stack([eating, money, money, eating])                         # (4, dim): then the same sentences crosswise

gaps = {}
for name in paper:
    torch.manual_seed(seed)
    head = SoftmaxLoss(dim, concatenation=tuple(name.split(", ")))      # any weights will do
    with torch.no_grad():
        scores = head.logits(u, v)                                      # (4, 3 labels)
    gaps[name] = (scores[:2].sum(0) - scores[2:].sum(0)).abs().max().item()
    print(f"{name:17} alike and crosswise have", "the same sum" if gaps[name] < 1e-4 else "different sums")
assert [name for name, gap in gaps.items() if gap < 1e-4] == ["u, v"]

# %% [markdown]
# The same sum, for every weight there is. So a linear head on `(u, v)` can never score both pairs of equal sentences above both pairs of different ones. All other concatenations have a term in which the two meet.
#
# See it in one dimension: each point is a pair of numbers; do the two lie close together? `LogisticRegression` is the linear head; the last panel gets one hidden layer.
#
# **Predict** the line that the first head draws.

# %% tags=["row-1.27"] alt="Four square panels over u and v from -1 to 1, with the pairs whose numbers lie close together as circles along the diagonal and the others as crosses. With u and v a linear head cannot follow the diagonal band and calls nearly everything by one label. With u*v it marks two opposite corners. With the absolute difference it marks exactly the band. With u, v and a hidden layer it marks about the band."
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

points = np.random.default_rng(seed).uniform(-1, 1, (400, 2))           # (400 pairs, u and v)
close = np.abs(points[:, 0] - points[:, 1]) < 0.6                       # (400,)
grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 80)]), axis=-1).reshape(-1, 2)             # (6400, 2)
linear, hidden = LogisticRegression(C=1e3), MLPClassifier(16, solver="lbfgs", max_iter=300, random_state=seed)
panels = {"u, v": (linear, lambda p: p), "u*v": (linear, lambda p: p.prod(axis=1, keepdims=True)),
          "|u-v|": (linear, lambda p: np.abs(p[:, :1] - p[:, 1:])), "u, v, hidden layer": (hidden, lambda p: p)}

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), sharey=True, layout="constrained")
right = {}
for ax, (name, (classifier, features)) in zip(axes, panels.items()):
    right[name] = classifier.fit(features(points), close).score(features(points), close)
    ax.contourf(*grid.T.reshape(2, 80, 80), classifier.predict(features(grid)).reshape(80, 80), levels=[-0.5, 0.5, 1.5], cmap="cividis", alpha=0.35)
    for marker, colour, chosen in (("o", "#0b3d91", close), ("x", "#b35c00", ~close)):
        ax.scatter(*points[chosen].T, s=9, marker=marker, color=colour, linewidths=0.8)
    ax.set(xlabel="u", aspect="equal")
    ax.set_title(f"{name}: {right[name]:.0%} right", fontsize="small")
axes[0].set_ylabel("v")
figure.suptitle("Circles lie close together; only |u-v| makes that a linear question", fontsize="medium")
plt.show()
assert right["u, v"] < 0.65 < right["u*v"] < 0.93 and min(right["|u-v|"], right["u, v, hidden layer"]) > 0.95

# %% [markdown]
# On `(u, v)` the head is no better than guessing. The product sees whether two numbers have the same sign, which often, not always, goes with being close. With `|u - v|` the band becomes a threshold. A hidden layer builds the band from `u` and `v`, but inside the head, which is thrown away after training.
#
# That is the bet behind the concatenation. The weights on `|u - v|` turn a label's score into a distance, each dimension with a weight of its own. To make good use of it, the _encoder_ has to place sentences by meaning, and the encoder is what you keep.
#
# ## One cell of the grid, live
#
# **Question.** Does it show after a few seconds of training?
#
# Two runs from the same weights, on the same pairs in the same order. One argument differs.
#
# **Predict** how far apart their scores will be.

# %%
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.siamese import siamese_objective
from course_lib.training import train

sts = EmbeddingSimilarityEvaluator(load_sts("course/sts"))
examples = load_nli(data)

def run(concatenation):
    """Train the siamese network of notebook 06 for one pass; its encoder."""
    network = torch.nn.ModuleDict({"encoder": SentenceEncoder.load(model, dtype="float32")})
    torch.manual_seed(seed)
    network["head"] = SoftmaxLoss(dim, concatenation=tuple(concatenation.split(", ")))
    objective = siamese_objective(network["encoder"], network["head"])
    history = train(network, objective, examples, batch_size=batch_size, learning_rate=learning_rate, seed=seed, show_progress_bar=False)
    print(f"({concatenation}): {history[-1]['step']} steps in {history[-1]['seconds']:.0f} s, loss {history[-1]['loss']:.2f}")
    return network["encoder"]

trained = {name: run(name) for name in ("u, v", "u, v, |u-v|")}
live = {name: 100 * sts(one)["spearman_cosine"] for name, one in {"before": encoder, **trained}.items()}
print({name: round(score, 1) for name, score in live.items()})

# %% [markdown]
# One run each: is that a difference, or luck? A seed sets what is left to chance: here the head's first weights and the order of the pairs. So run it again with other seeds. Three seeds of this small budget were **recorded** by `recipes/ablations.py` in `data/results/07.csv`, as was everything else below.

# %%
import importlib
import pandas as pd

from course_lib.data import load_results

results = load_results("07")
if full:                                                                # needs COURSE_DATA, and the better part of an hour
    rows = [row for unit in importlib.import_module("recipes.ablations").run_all() for row in unit]
    results = pd.DataFrame(rows).astype({"value": float})

def recorded(experiment, measured_on, rate="0.0004", seeds=3):
    """{(pooling, concatenation, head): scores in the order of the seeds}, of settings with at least so many seeds"""
    chosen = results.query("experiment == @experiment and data == @measured_on")
    found = {}
    for setting, runs in chosen.groupby("setting", sort=False):
        *setting, its_rate = setting.split("; ")
        if its_rate == rate and len(runs) >= seeds:
            found[tuple(setting)] = runs.sort_values("seed").value.to_numpy()
    return found

start = results.query("experiment == 'start'").set_index(["setting", "data"]).value
for rate in ("0.0002", "0.0004"):                                       # tried first, with seed 0
    on_sts, on_nli = (recorded("nli", name, rate, seeds=1) for name in ("stsbenchmark/dev", "snli/dev, multinli/dev_matched"))
    print(f"learning rate {float(rate):g}:", *(f"({name}) STS {on_sts['mean', name, 'linear'][0]:.1f}, NLI labels right "
                                              f"{on_nli['mean', name, 'linear'][0]:.1f} %;" for name in trained))

# %% [markdown]
# The cell asserts that your runs fall among the recorded ones, with three points of room at both ends.

# %% alt="Dot plot of Spearman correlations on the bundled pairs after the small training, a row each for (u, v) and (u, v, |u-v|): the recorded seeds as blue dots, their mean as a black bar, this notebook's run as an orange diamond near them, and bert-mini before training as a dashed line."
def dots(ax, runs, title, before=None, here=None):
    """Every run as a dot, their mean as a bar; the start as a dashed line, this notebook's own runs as diamonds."""
    for y, (name, scores) in enumerate(runs.items()):
        ax.plot(scores, np.full(len(scores), y), "o", color="#0072b2", alpha=0.6, label=None if y else "recorded, one seed each")
        ax.plot(2 * [np.mean(scores)], [y - 0.3, y + 0.3], color="black", label=None if y else "their mean")
        if here:
            ax.plot(here[name], y, "D", color="#d55e00", label=None if y else "this run")
    if before is not None:
        ax.axvline(before, color="grey", linestyle="--", label="before training")
    ax.set_yticks(range(len(runs)), runs)
    ax.set(ylim=(len(runs) - 0.5, -0.5), xlabel="Spearman x 100")
    ax.set_title(title, fontsize="medium")

small = {name: recorded("live", "course/sts")["mean", name, "linear"] for name in trained}
as_recorded = (model, data, batch_size, learning_rate) == ("course/bert-mini", "course/nli", 32, 4e-4)
figure, ax = plt.subplots(figsize=(8, 2.2), layout="constrained")
dots(ax, small, "After the small training the two settings are hard to tell apart", live["before"], live)
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for name, scores in small.items():
    print(f"{name:11} mean {scores.mean():.1f}, from {scores.min():.1f} to {scores.max():.1f} with {len(scores)} seeds")
    assert not as_recorded or scores.min() - 3 <= live[name] <= scores.max() + 3 and scores.mean() < live["before"]

# %% [markdown]
# Not a difference you could rely on: the seeds scatter as widely as the two settings differ, and both end below the start. Had you run one seed only, you would have told a story about it.
#
# ## How many seeds make a difference?
#
# **Question.** When may you say that one setting is better?
#
# The usual summary is mean ± *standard deviation*: the root of the mean squared distance from the mean (divided by n - 1). It says how far **one more run** would typically fall from the mean. The mean of n runs scatters less, by the *standard error*: the standard deviation divided by the root of n.
#
# With three seeds both are rough guesses. So this notebook uses a plain rule as well: a difference counts if **every** run of one setting lies above every run of the other.
#
# **Predict:** if two settings are equally good, how often do three runs each come out so by luck?

# %% tags=["nbval-check-output"]
orders = list(combinations(range(6), 3))                                # the places of the first setting's runs among all six
lucky = [places for places in orders if places in ((0, 1, 2), (3, 4, 5))]
print(f"{len(lucky)} of {len(orders)} orders separate the two settings completely")

def verdict(a, b):
    """Is setting `a` above setting `b`? Both (seeds,)."""
    if min(a) > max(b):
        return "yes"
    return "no, the reverse" if max(a) < min(b) else "not reproduced"

assert [verdict([4, 5, 6], [1, 2, 3]), verdict([1, 4, 5], [2, 3, 6]), verdict([1, 2], [3, 4])] == ["yes", "not reproduced", "no, the reverse"]
pairs_of_settings = len(list(combinations(paper, 2)))
print(f"{pairs_of_settings} pairs of {len(paper)} settings: about {pairs_of_settings * len(lucky) / len(orders):.0f} would separate by luck if all were equal")

# %% [markdown]
# So "separated" is strong for one comparison planned in advance, and weak for the best of twenty picked afterwards. A "not reproduced" does not say that two settings are equal: it says that these runs cannot tell.
#
# There is a second kind of noise that no seed shows: **which sentence pairs** you measure on. Draw the bundled pairs anew, with repetition, as if it were another test set of the same kind, and score again. This is called a *bootstrap*.
#
# **Predict** which is larger: the spread over seeds, or over test sets.

# %%
from course_lib.evaluation import spearman
from course_lib.similarity import pairwise_cos_sim

test_pairs = load_sts("course/sts")
gold = np.array([pair.score for pair in test_pairs])
def cosines(one):
    u, v = (torch.from_numpy(one.encode(list(side), show_progress_bar=False)) for side in zip(*((p.sentence1, p.sentence2) for p in test_pairs)))
    return pairwise_cos_sim(u, v).numpy()                               # (pairs,)

predicted = {name: cosines(one) for name, one in trained.items()}
drawn = np.random.default_rng(seed).integers(0, len(gold), (500, len(gold)))                    # (500 test sets, pairs)
resampled = {name: np.array([100 * spearman(gold[i], scores[i]) for i in drawn]) for name, scores in predicted.items()}
over_tests = {name: scores.std() for name, scores in resampled.items()}
for name in trained:
    print(f"{name:11} spread over seeds {small[name].std(ddof=1):.1f}, over test sets {over_tests[name]:.1f}")
    assert over_tests[name] > 0.7 * small[name].std(ddof=1) or not as_recorded
difference = resampled["u, v, |u-v|"] - resampled["u, v"]
print(f"their difference on the same test set: spread {difference.std():.1f}")
assert difference.std() < min(over_tests.values())

# %% [markdown]
# A few hundred pairs leave a score uncertain by some points, here at least as much as the seeds do. But two settings measured on **the same** test set, trained with the same seed on the same pairs, share much of their luck: their difference is steadier than either score. Compare like with like, pair by pair.
#
# ## The concatenations
#
# **Question.** Which concatenation trains the best encoder?
#
# Now the recorded grid: a few thousand short pairs of the public NLI sets, drawn, ordered and started by each seed, and the same for all settings of that seed; measured on the STS benchmark's development set, as in the paper, which trained on about a million. The learning rate that got more NLI labels right above, averaged over its two settings, was taken for all: chosen by what the loss trains, not by what is compared.
#
# **Predict** the order of the seven, and whether training helps at all at this size.

# %% tags=["row-1.27"] alt="Two dot plots, one row a concatenation. Left, the course's recorded runs on the STS benchmark's development set: dots of one row are spread as widely as the means of the rows differ, and the score before training is a dashed line. Right, the paper's means: (u, v) is lowest, |u-v| and u*v alone a little higher, concatenations with both sentences and a comparison far higher."
grid = recorded("nli", "stsbenchmark/dev")
ours = {name: grid["mean", name, "linear"] for name in sorted(paper, key=paper.get) if ("mean", name, "linear") in grid}
figure, axes = plt.subplots(1, 2, figsize=(10, 2.9), sharey=True, layout="constrained")
pairs = results.query("experiment == 'nli'").n
dots(axes[0], ours, f"Here: bert-mini, {max(pairs):,} pairs; the seeds scatter widely", start["mean", "stsbenchmark/dev"])
figure.legend(loc="outside lower center", ncols=3, fontsize=8)
dots(axes[1], {name: [paper[name]] for name in ours}, "The paper: BERT-base, a million pairs, mean of ten seeds")
plt.show()
for name, scores in ours.items():
    print(f"{name:17} here {scores.mean():.1f} ± {scores.std(ddof=1):.1f} ({len(scores)} seeds)   paper {paper[name]:.1f}")
print("not recorded with three seeds:", [name for name in paper if name not in ours])
assert ours["u, v"].max() < start["mean", "stsbenchmark/dev"]

# %% [markdown]
# Every run on `(u, v)` ends below the mean of an untrained bert-mini. `|u - v|` alone and `(u, v, |u - v|)` lie highest on average, but their dots overlap with its dots: the head's first weights, and which pairs in which order, move a score by as much as the concatenation does.
#
# Now the claims, one by one. The paper's first: `|u - v|` is what matters.

# %% tags=["row-1.27", "nbval-check-output"]
claims = [("|u-v|", "u, v"), ("u, v, |u-v|", "u, v"), ("|u-v|, u*v", "u, v"), ("u, v, |u-v|, u*v", "u, v"),
          ("u*v", "u, v"), ("u, v, u*v", "u, v"), ("u, v, |u-v|", "|u-v|"), ("u, v, |u-v|", "u, v, |u-v|, u*v")]
verdicts = {}
for better, worse in (claim for claim in claims if set(claim) <= set(ours)):
    gap = ours[better] - ours[worse]                                    # (seeds,): the same seed, the same pairs
    verdicts[better, worse] = verdict(ours[better], ours[worse])
    print(f"{better:16} above {worse:16} paper {paper[better] - paper[worse]:+6.1f}   here {gap.mean():+5.1f} ± {gap.std(ddof=1):.1f}   {verdicts[better, worse]}")
for better in ("|u-v|", "u, v, |u-v|"):
    assert ours[better].mean() > ours["u, v"].mean() and verdicts[better, "u, v"] == "not reproduced"

# %% [markdown]
# With `|u - v|`, alone or beside `u` and `v`, the encoder is better on average, as in the paper, but not in every run: by the rule above this is **not reproduced**, and the code says so. The paper's gap for `(u, v, |u - v|)` is several times as wide, after a far larger BERT was trained on about a million pairs.
#
# ## The pooling
#
# **Question.** Is the mean of the tokens the best sentence vector?
#
# In the paper mean pooling is best by a little after NLI training: a "rather minor" influence. With another objective it is not minor at all. Trained to hit people's scores with the cosine, on the STS benchmark's own training set (a *regression* objective), max pooling fails.
#
# **Predict** whether max pooling fails here as well.

# %% tags=["row-1.26", "row-BP3"] alt="Two dot plots, one row a pooling, with grey ticks for the scores before training. Left, after the softmax objective on NLI; right, after training the cosine on STS scores."
paper_pooling = {"nli": {"mean": 80.78, "cls": 79.80, "max": 79.07}, "stsb": {"mean": 87.44, "cls": 86.62, "max": 69.92}}
pooling = {"nli": {mode: scores for (mode, name, head), scores in grid.items() if (name, head) == ("u, v, |u-v|", "linear")},
           "stsb": {mode: scores for (mode, *_), scores in recorded("stsb", "stsbenchmark/dev").items()}}
figure, axes = plt.subplots(1, 2, figsize=(10, 2.7), sharey=True, layout="constrained")
for ax, objective, title in zip(axes, pooling, ("Trained on NLI: (u, v, |u-v|)", "Trained on STS scores: the cosine")):
    dots(ax, pooling[objective], title)
    ax.plot([start[mode, "stsbenchmark/dev"] for mode in pooling[objective]], range(len(pooling[objective])), "|", color="grey", markersize=14, markeredgewidth=2, label="before training")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
for objective, runs in pooling.items():
    for mode, scores in runs.items():
        than_mean = "" if mode == "mean" else f"   mean above {mode}? {verdict(runs['mean'], scores)}"
        print(f"{objective:5}{mode:5} {scores.mean():.1f} ± {scores.std(ddof=1):.1f}   paper {paper_pooling[objective][mode]}{than_mean}")

# %% [markdown]
# Each line says whether the mean lies above that pooling in every run. Trained on scores, max pooling fails here, too. `[CLS]` loses under both, by far more than in the paper, and ends below where it began. So "take the mean" is a good first choice, no law: good released encoders use `[CLS]`. What you must not do is to pool otherwise than the model was trained (notebook 06).
#
# ## The head
#
# **Question.** Would a deeper head do better?
#
# Some accounts draw a feed-forward network with hidden layers on top of `(u, v, |u - v|)`. The paper and the library have one linear map. Recorded with the same budget: a head with one hidden layer as wide as the embedding.
#
# **Predict** for both heads: the share of NLI labels they get right, and the encoder's score on STS.

# %% tags=["row-1.28", "nbval-check-output"]
nli_sets = "snli/dev, multinli/dev_matched"
accuracy = recorded("nli", nli_sets)
heads = {head: (grid[setting], accuracy[setting]) for setting in grid for mode, name, head in [setting] if (mode, name) == ("mean", "u, v, |u-v|")}
assert "linear" in heads
for kind, (on_sts, on_nli) in heads.items():
    print(f"{kind:17} STS {on_sts.mean():.1f} ± {on_sts.std(ddof=1):.1f}   NLI labels right {on_nli.mean():.1f} % ± {on_nli.std(ddof=1):.1f}")
if len(heads) == 2:
    (linear_sts, linear_nli), (deeper_sts, deeper_nli) = heads["linear"], heads["one hidden layer"]
    print("linear above deeper on STS:", verdict(linear_sts, deeper_sts), "- deeper above linear on NLI:", verdict(deeper_nli, linear_nli))

# %% [markdown]
# In the toy figure a hidden layer found the band all by itself, from `u` and `v`. What the head can work out for itself, the encoder need not learn.
#
# ### A trap: the column called NLI
#
# Table 6 has a column "NLI". It is often quoted as accuracy on NLI. It is not: the caption says that it is the STS score of a model **trained on** NLI. Spring the trap: choose the setting by its NLI accuracy, and see which encoder you get.
#
# **Predict:** does the setting that classifies best also give the best encoder?

# %% tags=["row-1.28"] alt="Scatter plot of the recorded settings: the share of right NLI labels against the Spearman correlation on the STS benchmark, large marks for means and small grey dots for single seeds."
settings = [setting for setting in grid if setting in accuracy]
x, y = ([measured[setting].mean() for setting in settings] for measured in (accuracy, grid))
best = {"NLI accuracy": settings[int(np.argmax(x))], "STS": settings[int(np.argmax(y))]}
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for setting, a, b in zip(settings, x, y):
    mode, name, kind = setting
    label = name if (mode, kind) == ("mean", "linear") else mode if kind == "linear" else kind
    ax.plot(accuracy[setting], grid[setting], ".", color="grey", markersize=4)
    ax.plot(a, b, "o" if "|u-v|" in name else "s" if "u*v" in name else "X", color="#0072b2" if "|u-v|" in name else "#d55e00")
    ax.annotate(label, (a, b), xytext=(5, 4), textcoords="offset points", fontsize=8)
ax.set(xlabel="NLI labels right, % (a guess: 33)", ylabel="Spearman x 100, STSb dev")
ax.set_title("Right labels and good vectors are two different things", fontsize="medium")
plt.show()
print({measure: " / ".join(setting) for measure, setting in best.items()})
by_difference, by_both = ("mean", "|u-v|", "linear"), ("mean", "u, v", "linear")
assert accuracy[by_difference].mean() < accuracy[by_both].mean() and grid[by_difference].mean() > grid[by_both].mean()
print(f"Spearman of the two columns over {len(settings)} settings: {spearman(x, y):.2f}; STS before training: {start['mean', 'stsbenchmark/dev']:.1f}")

# %% [markdown]
# `|u - v|` alone labels fewer pairs right than `(u, v)` on average: it cannot tell premise from hypothesis, and entailment has a direction. Yet its encoder is the better one on average. By the wrong column you would have dropped it.
#
# ## Now from the library
#
# These runs changed one argument, `concatenation` or `classifier`:

# %% tags=["nbval-check-output"]
import inspect

torch.manual_seed(seed)
u, v = torch.randn(5, 4), torch.randn(5, 4)
by_name = {"u": u, "v": v, "|u-v|": (u - v).abs(), "u*v": u * v}                                # (5, 4) each
for name in paper:
    names = tuple(name.split(", "))
    assert torch.equal(SoftmaxLoss(4, concatenation=names).features(u, v), torch.cat([by_name[part] for part in names], dim=1))
deeper = torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
assert SoftmaxLoss(4, classifier=deeper).logits(u, v).shape == (5, 3)
print(inspect.getsource(SoftmaxLoss.features))

# %% [markdown]
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` (440 MB) and `learning_rate = 2e-5` to run the live cell on the paper's BERT: some minutes a run. `full = True` remakes the recorded grid with this course's model.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says. It names the kind of mistake, never the answer.
#
# **1.** Join the parts that are asked for.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def join(u, v, names):
    """u, v (batch, dim); names, some of "u", "v", "|u-v|", "u*v" in any order -> (batch, len(names) * dim)"""
    ...

check("07.1", join)

# %% [markdown]
# **2.** Summarise the runs of one setting, without numpy's or torch's `std`.

# %% tags=["exercise", "nbval-check-output"]
def summary(scores):
    """A list of at least two numbers -> (mean, standard deviation, standard error of the mean)"""
    ...

check("07.2", summary)

# %% [markdown]
# **3.** Two settings were run with the same seeds. By how much is `a` better, and how far does that scatter from seed to seed?

# %% tags=["exercise", "nbval-check-output"]
def paired_difference(a, b):
    """Dictionaries {seed: score}; only seeds in both count -> (mean, standard deviation) of a's score minus b's"""
    ...

check("07.3", paired_difference)

# %% [markdown]
# ## Questions
#
# **1.** You try twenty learning rates with one seed each and report the best score. Why is it too good?
#
# <details><summary>Answer</summary>The best of twenty is partly the luckiest of twenty. Choose on one set of runs or sentences, report on another: run the chosen rate again with new seeds, and measure on a test set that chose nothing.</details>
#
# **2.** A linear head on (u - v), with its sign: does it see more than one on (u, v)?
#
# <details><summary>Answer</summary>No, less: its weights on v are minus those on u. What a linear head cannot compute is the absolute value.</details>
#
# **3.** Swap premise and hypothesis. Which concatenations stay the same, and why does that hurt on NLI but not on STS?
#
# <details><summary>Answer</summary>|u-v|, u*v, and the two together. "A dog runs" follows from "A black dog runs", not the other way round: NLI labels have a direction. Likeness has none.</details>
#
# ## Summary
#
# - An ablation changes one part and keeps the rest. Say what was kept: data, steps, learning rate, measure.
# - A linear head on `(u, v)` adds a score for each sentence and never compares them. `|u - v|` makes "close together" a linear question, so that the encoder must do the work.
# - One seed is a story. The standard deviation says how far a run scatters, the standard error how far the mean does. Neither covers the choice of test pairs, of model, or of budget.
# - Here the averages order `(u, v)` and the two settings with `|u - v|` as the paper does, but the runs overlap: not reproduced at this budget.
# - Table 6's "NLI" column is STS after training on NLI. Right labels and good vectors are two different things.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): section 6, table 6.
# - Conneau et al. (2017), [InferSent](https://arxiv.org/abs/1705.02364): where the concatenation with `|u - v|` and `u*v` comes from.
# - Reimers and Gurevych (2017), [Reporting score distributions makes a difference](https://arxiv.org/abs/1707.09861): why one seed is not enough.
# - Efron (1979), Bootstrap methods: another look at the jackknife.
#
# **Next:** notebook 08 does the same in sentence-transformers; notebook 09 keeps the encoder and changes the loss.
