# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/07_ablations.ipynb)
#
# # Which pooling, which concatenation, and how sure can you be?
#
# Notebook 06 averaged the tokens, joined `u`, `v` and `|u - v|`, and put one linear layer on top. Here you change these choices one at a time, as the paper's Table 6 does, and see how far such a table can be trusted.
#
# | | |
# |---|---|
# | You will be able to | plan an ablation with a control; say what a linear head can and cannot see of two vectors; tell a difference from the luck of a few runs or of a small test set |
# | You need first | notebook 06: the softmax objective, the ranking loss, Spearman's correlation |
# | Time | 40 minutes to read; the code runs in about half a minute |
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
# What you train starts from `model` and learns from `data`, once for each of `seeds`; `seed` draws toy points and test sets. `full` repeats what is recorded, which takes the public data sets (`COURSE_DATA`) and hours.

# %% tags=["parameters"]
seed = 0
seeds = [0, 1, 2, 3, 4]
model = "course/bert-mini"
data = "course/nli"
batch_size = 64
learning_rate = 3e-3
epochs = 5
full = False

# %% [markdown]
# ## What is an ablation?
#
# **Question.** Which part of notebook 06's recipe does the work?
#
# An *ablation* repeats an experiment with one part taken away or exchanged, and all else as it was: data, steps, rate, measure.
#
# The head of notebook 06 gets three vectors side by side: the premise's `u`, the hypothesis's `v`, and `|u - v|`, their difference without its sign. The choice of these parts is the *concatenation*. A fourth part to choose from is `u*v`, the product number by number. Table 6 has the paper's result for seven concatenations: Spearman's correlation, times 100, with people's scores.
#
# **Predict:** how many concatenations of four parts are possible, and which of the seven will be worst?

# %% tags=["nbval-check-output"]
from itertools import combinations, permutations, product

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.data import load_nli, load_results, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import pairwise_cos_sim

torch.set_num_threads(1)                                                # as in the recorded runs
encoder = SentenceEncoder.load(model, dtype="float32")
dim = encoder.get_embedding_dimension()
paper = {"u, v": 66.04, "|u-v|": 69.78, "u*v": 70.54, "|u-v|, u*v": 78.37, "u, v, u*v": 77.44, "u, v, |u-v|": 80.78, "u, v, |u-v|, u*v": 80.44}
for name, reached in paper.items():
    head = SoftmaxLoss(dim, concatenation=tuple(name.split(", ")))
    print(f"{name:17} paper {reached:.1f}   {head.classifier.in_features:5} numbers into the head")
possible = [names for n in range(1, 5) for names in combinations(["u", "v", "|u-v|", "u*v"], n)]
print(f"tried in the paper: {len(paper)} of {len(possible)}")

# %% [markdown]
# The concatenation of notebook 06 is best. `(u, v)`, which lacks nothing but the difference, is worst, by almost 15 points. More parts also mean a larger head, so this ablation is not quite clean.
#
# ## What can a linear head see?
#
# **Question.** `|u - v|` and `u*v` are computed from `u` and `v`. What can they tell a head that it does not have?
#
# Here are all four for two pairs of short vectors, by loop and with tensors.

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
# Now the limit. A linear head on `(u, v)` gives a label the score `a·u + b·v`, where `a` and `b` are its weights. That is a number for one sentence **plus** a number for the other; no term looks at both.
#
# Take two sentences. Pair each with itself, for two pairs alike; then pair them crosswise, for two pairs that differ.
#
# **Predict:** a head with random weights scores all four. Which two scores have the larger sum, alike or crosswise?

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
# For `(u, v)` the sums are the same, whatever the weights, because both add up the same four numbers. So a linear head on `(u, v)` can never score both pairs of equal sentences above both pairs of different ones. Every other concatenation has a term in which the two meet.
#
# Each point below is a pair of numbers; the question is whether the two lie close together. `LogisticRegression` is the linear head, trained on 400 pairs and tested on 4,000 new ones; the last panel gets one hidden layer.
#
# **Predict** the line that the head on `(u, v)` draws.

# %% tags=["row-1.27"] alt="Four square panels over u and v from -1 to 1. Pairs of numbers that lie close together are blue circles in a band along the diagonal, the others are orange crosses in two corners. With u and v the linear head's line has nothing to do with the band; with the product it marks two opposite corners; with the absolute difference it marks exactly the band; with u, v and a hidden layer about the band."
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

points, fresh = (np.random.default_rng(seed + k).uniform(-1, 1, (n, 2)) for k, n in ((0, 400), (1000, 4000)))
close, fresh_close = (np.abs(p[:, 0] - p[:, 1]) < 0.6 for p in (points, fresh))
grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 100)]), axis=-1).reshape(-1, 2)            # (10000, 2)
linear, hidden = LogisticRegression(C=1e3), MLPClassifier(16, solver="lbfgs", max_iter=300, random_state=seed)
panels = {"u, v": (linear, lambda p: p), "u*v": (linear, lambda p: p.prod(axis=1, keepdims=True)),
          "|u-v|": (linear, lambda p: np.abs(p[:, :1] - p[:, 1:])), "u, v, hidden layer": (hidden, lambda p: p)}

figure, axes = plt.subplots(1, 4, figsize=(10, 3.1), sharey=True, layout="constrained")
right = {}
for ax, (name, (classifier, features)) in zip(axes, panels.items()):
    right[name] = classifier.fit(features(points), close).score(features(fresh), fresh_close)
    ax.contourf(*grid.T.reshape(2, 100, 100), classifier.predict(features(grid)).reshape(100, 100), levels=[-0.5, 0.5, 1.5], cmap="cividis", alpha=0.35)
    for marker, colour, chosen in (("o", "#0b3d91", close), ("x", "#b35c00", ~close)):
        ax.scatter(*points[chosen].T, s=9, marker=marker, color=colour, linewidths=0.8)
    ax.set(xlabel="u", ylabel="v", aspect="equal")
    ax.set_title(f"{name}: {right[name]:.0%} right", fontsize="small")
others = [linear.fit(p, np.abs(p[:, 0] - p[:, 1]) < 0.6).score(fresh, fresh_close) for p in np.random.default_rng(seed).uniform(-1, 1, (20, 400, 2))]
guess, best_line = max(fresh_close.mean(), 1 - fresh_close.mean()), ((fresh[:, 0] - fresh[:, 1] < 0.6) == fresh_close).mean()
figure.suptitle(f"Close together (circles) or not? A guess is right for {guess:.0%}", fontsize="medium")
plt.show()
print(f"(u, v) with 20 other draws of training points: {np.mean(others):.0%} right on average; the best line there is: {best_line:.0%}")
assert np.mean(others) < guess + 0.03 < right["u*v"] < 0.9 < 0.95 < min(right["|u-v|"], right["u, v, hidden layer"])

# %% [markdown]
# On `(u, v)` the head learns nothing that lasts: its line depends on the draw of the points, and on new pairs it is no better than a guess. The best line there is cuts off one of the two corners. The product sees whether signs agree, which often goes with being close. With `|u - v|` the band becomes a threshold. A hidden layer builds the band from `u` and `v`, but inside the head, which is thrown away after training.
#
# That is the bet behind the concatenation. Weights on `|u - v|` make a label's score a kind of distance. To use a distance, the _encoder_ has to place sentences by meaning, and the encoder is what you keep.
#
# ## An encoder in miniature
#
# **Question.** Does `|u - v|` lead to better vectors?
#
# Training a whole encoder for each concatenation and seed takes too long. This takes seconds: bert-mini's vectors are computed once and stand still. One square matrix, the _map_, turns each old vector into a new one; only the map and the head learn. The map begins as the identity, which changes nothing. It learns through the head, as an encoder does, and is measured like one: by the correlation of cosines with people's scores for 328 pairs.

# %%
def vectors_of(texts):
    return torch.from_numpy(encoder.encode(list(texts), show_progress_bar=False))               # (texts, dim)

examples, test_pairs = load_nli(data), load_sts("course/sts")
u, v = vectors_of(e.premise for e in examples), vectors_of(e.hypothesis for e in examples)      # (pairs, dim) each
labels = torch.tensor([e.label for e in examples])                                              # (pairs,)
test_u, test_v = vectors_of(p.sentence1 for p in test_pairs), vectors_of(p.sentence2 for p in test_pairs)
gold = np.array([p.score for p in test_pairs])

@torch.no_grad()
def cosines(change):
    return pairwise_cos_sim(change(test_u), change(test_v)).numpy()     # (328,)

identity = torch.nn.Linear(dim, dim, bias=False)
torch.nn.init.eye_(identity.weight)
before = 100 * spearman(gold, cosines(identity))
assert abs(before - 100 * spearman(gold, pairwise_cos_sim(test_u, test_v).numpy())) < 1e-3      # it changes nothing
print(f"{len(labels)} labelled pairs to learn from; before training: {before:.1f}")

# %% [markdown]
# A _seed_ sets what is left to chance, here the order of the pairs and the head's first weights. With the same seed, all concatenations get the pairs in the same order.
#
# **Predict** for `(u, v)` and for `(u, v, |u-v|)`: does the score rise above the start, stay, or fall?

# %%
def train_map(concatenation, labels, seed, rate=learning_rate, hidden=False):
    """The trained map and head; with `hidden`, the head has a hidden layer as wide as a vector."""
    parts = tuple(concatenation.split(", "))
    torch.manual_seed(seed)
    orders = [torch.randperm(len(labels)) for _ in range(epochs)]       # drawn first: the same for all concatenations
    deeper = torch.nn.Sequential(torch.nn.Linear(len(parts) * dim, dim), torch.nn.ReLU(), torch.nn.Linear(dim, 3)) if hidden else None
    head = SoftmaxLoss(dim, concatenation=parts, classifier=deeper)
    change = torch.nn.Linear(dim, dim, bias=False)
    torch.nn.init.eye_(change.weight)
    optimizer = torch.optim.Adam([*change.parameters(), *head.parameters()], lr=rate)
    for rows in (rows for order in orders for rows in order.split(batch_size)):
        loss = head(change(u[rows]), change(v[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return change, head

maps = {name: [train_map(name, labels, s) for s in seeds] for name in paper}
live = {name: np.array([100 * spearman(gold, cosines(change)) for change, _ in runs]) for name, runs in maps.items()}
for name, scores in live.items():
    print(f"{name:17} {np.round(scores, 1)}   mean {scores.mean():.1f}")
assert (live["u, v"] < before).all() and (live["u, v, |u-v|"] > live["u, v"]).all()

# %% [markdown]
# Every run on `(u, v)` made the vectors worse than they were, and with the same seed `(u, v, |u - v|)` always beats it.
#
# `recipes/map_ablations.py` did the same trainings and also measured them on the 1,500 pairs of the STS benchmark's development set. The next cell reads what it _recorded_; the difference it prints shows that these are your runs again.
#
# **Predict:** will the order of the seven be that of the paper?

# %%
import importlib
import pandas as pd

results = {recipe: load_results(file) for recipe, file in (("map_ablations", "07_maps"), ("ablations", "07"))}
if full:                                                                # needs COURSE_DATA, and some hours
    for recipe in results:
        rows = [row for unit in importlib.import_module(f"recipes.{recipe}").run_all() for row in unit]
        results[recipe] = pd.DataFrame(rows).astype({"value": float})

def recorded(recipe, experiment, measured_on):
    """{setting: scores in the order of the seeds}"""
    rows = results[recipe].query("experiment == @experiment and data == @measured_on")
    return {setting: runs.sort_values("seed").value.to_numpy() for setting, runs in rows.groupby("setting", sort=False)}

small, large = "course/sts", "stsbenchmark/dev"
start = {name: recorded("ablations", "before", name) for name in (small, large)}
of_map = {name: recorded("map_ablations", "map", name) for name in (small, large)}
many = {name: of_map[large][f"{name}; linear; 0.003; real"] for name in paper}
again = [of_map[small][f"{name}; linear; 0.003; real"].mean() - live[name].mean() for name in paper]
print("largest difference between your means and the recorded ones:", round(max(np.abs(again)), 1))
top = {name for name in paper if "|u-v|" in name and name != "|u-v|"}
assert all(set(sorted(paper, key=lambda name: runs[name].mean())[-3:]) == top for runs in (live, many))
assert {name for name in paper if many[name].mean() > start[large]["mean; ; 0"][0]} == top

# %% tags=["row-1.27"] alt="Three dot plots, a row for each concatenation in the order of the paper's scores. Left and middle: five runs of the map each, on 328 and on 1,500 test pairs, with a dashed line for the score before training. The three rows that have |u-v| and something beside it lie highest, and on 1,500 pairs they alone lie above the line. Right: the paper's scores, where the same three rows and (u, v, u*v) lie far above the other three."
def dots(ax, runs, title, before=None):
    """Every run as a dot, their mean as a bar, the start as a dashed line."""
    for y, scores in enumerate(runs.values()):
        ax.plot(scores, np.full(len(scores), y), "o", color="#0072b2", alpha=0.6, label=None if y else "one run")
        ax.plot(2 * [np.mean(scores)], [y - 0.3, y + 0.3], color="black", label=None if y else "mean of the runs")
    if before is not None:
        ax.axvline(before, color="grey", linestyle="--", label="before training")
    ax.set_yticks(range(len(runs)), runs)
    ax.set(ylim=(len(runs) - 0.5, -0.5), xlabel="Spearman x 100")
    ax.set_title(title, fontsize="medium")

order = sorted(paper, key=paper.get)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), sharey=True, layout="constrained")
dots(axes[0], {name: live[name] for name in order}, "A map, 328 test pairs", before)
dots(axes[1], {name: many[name] for name in order}, "A map, 1,500 test pairs", start[large]["mean; ; 0"][0])
dots(axes[2], {name: [paper[name]] for name in order}, "The paper: BERT-base, 1,500 pairs")
axes[0].set_xlim(69, 76)
axes[1].set_xlim(60.7, 67.7)
axes[2].set(xlim=(60, 84), xlabel="Spearman x 100, another scale")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
by_luck = np.array([spearman(list(paper.values()), places) for places in permutations(range(7))])  # (5040,)
for title, runs in (("328 pairs", live), ("1,500 pairs", many)):
    agreement = spearman(list(paper.values()), [scores.mean() for scores in runs.values()])
    print(f"{title}: correlation with the paper {agreement:.2f}; of all orders of seven, {(by_luck >= agreement - 1e-9).mean():.1%} do as well")

# %% [markdown]
# On both test sets the three concatenations that have `|u - v|` and something beside it come out on top, as in the paper, and on 1,500 pairs they alone end above the start. One setting disagrees: `(u, v, u*v)` does well in the paper, and not here. Seven settings can be ordered in 5,040 ways, and about one in a hundred fits the paper's order so well.
#
# ## The control: labels that mean nothing
#
# **Question.** A score that moved has not said why. Was it because of what the labels say?
#
# A _control_ repeats the experiment without its supposed cause, here what the labels mean: they are dealt out anew, at random, among the same pairs. What real labels bring beyond shuffled ones was learnt from them.
#
# **Predict:** for which concatenation do real labels beat shuffled ones?

# %% tags=["row-1.27"]
def deal_anew(seed):
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]

control = {name: np.array([100 * spearman(gold, cosines(train_map(name, deal_anew(s), s)[0])) for s in seeds]) for name in ("u, v", "u, v, |u-v|")}
gain = {name: live[name] - scores for name, scores in control.items()}                          # (seeds,): the same seed, the same order
for name, scores in control.items():
    print(f"({name}): real {live[name].mean():.1f}, shuffled {scores.mean():.1f}, real minus shuffled {np.round(gain[name], 1)}")
assert (gain["u, v, |u-v|"] > 0).all() and not (gain["u, v"] > 0).all()

# %% [markdown]
# With `(u, v)` the labels teach the map nothing that helps: noise does as well. With `(u, v, |u - v|)` real labels win in every seed.
#
# Is that an accident of one rate? Here are three, recorded:

# %% tags=["row-1.27"] alt="Two dot plots of the score with real labels minus the score with shuffled labels, five seeds at each of three learning rates, with a dashed line at zero. For (u, v, |u-v|), blue dots, the difference grows with the rate; on 1,500 test pairs every dot lies above zero. For (u, v), orange crosses, the dots scatter around zero on 328 pairs and lie mostly below it on 1,500."
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
rates, gains = ("0.0003", "0.001", "0.003"), {}
for ax, name, title in zip(axes, (small, large), ("328 test pairs", "1,500 test pairs")):
    for parts, colour, marker, shift in (("u, v, |u-v|", "#0072b2", "o", -0.06), ("u, v", "#d55e00", "X", 0.06)):
        real, noise = ([of_map[name][f"{parts}; linear; {rate}; {kind}"] for rate in rates] for kind in ("real", "shuffled"))
        gains[name, parts] = np.array(real) - np.array(noise)           # (rates, seeds)
        print(f"{title}, ({parts}): real {np.mean(real, axis=1).round(1)}, shuffled {np.mean(noise, axis=1).round(1)}")
        x = np.repeat(np.arange(3) + shift, len(real[0]))
        ax.plot(x, gains[name, parts].ravel(), marker, color=colour, alpha=0.7, label=f"({parts})")
        ax.plot(np.arange(3) + shift, gains[name, parts].mean(axis=1), color=colour)
    ax.axhline(0, color="grey", linestyle="--")
    ax.set(xlabel="learning rate", title=title)
    ax.set_xticks(range(3), rates)
axes[0].set_ylabel("real minus shuffled labels, points")
axes[1].legend(fontsize=8, loc="upper left")
plt.show()
assert gains[large, "u, v, |u-v|"].min() > 0 > gains[large, "u, v"].mean(axis=1).max()

# %% [markdown]
# On 1,500 pairs the answer is the same at each rate: with `(u, v, |u - v|)` real labels win in every seed, with `(u, v)` they lose on average. The bet holds. The gap grows from both sides: with larger steps real labels help more, and noise harms more.
#
# ## How many seeds make a difference?
#
# **Question.** When may you say that one setting is better than another?
#
# The usual summary is mean ± *standard deviation*, the root of the mean squared distance from the mean (divided by n - 1): how far **one more run** would typically fall from it. The mean of n runs scatters less, by the *standard error*: the standard deviation divided by the root of n.
#
# From a few runs both are rough guesses, so this notebook uses a plain rule as well: compare the runs with the same seed. A difference counts if it has the same sign in **every** seed.
#
# **Predict:** if two settings are equally good, each seed is a coin toss. How often do three seeds agree by luck, and how often five?

# %% tags=["nbval-check-output"]
def luck(n):
    """How often n coin tosses all agree: by listing what can happen."""
    tosses = list(product([-1, 1], repeat=n))
    return sum(abs(sum(signs)) == n for signs in tosses) / len(tosses)

def verdict(a, b):
    """Is `a` above `b`, seed by seed? Both (seeds,), in the order of the seeds."""
    above = int((np.asarray(a) > np.asarray(b)).sum())
    return {len(a): "yes", 0: "no, the reverse"}.get(above, "cannot tell")

assert [verdict([2, 5, 9], [1, 4, 8]), verdict([2, 5, 9], [1, 6, 8]), verdict([1, 4], [2, 5])] == ["yes", "cannot tell", "no, the reverse"]
print({n: f"{luck(n):.1%}" for n in (1, 3, 5)})

# %% [markdown]
# One seed always agrees with itself: it is a story, not a result. Three agree by luck in a quarter of all cases, five in a sixteenth. That holds for **one** comparison, planned in advance. Seven settings make 21 comparisons, and among so many something always looks clear.
#
# **Predict:** how many of the 21 separate here, on the 1,500 pairs?

# %%
upper, lower = sorted(top), [name for name in paper if name not in top]
decided = {pair: verdict(many[pair[0]], many[pair[1]]) for pair in combinations(paper, 2)}
separate = [pair for pair, said in decided.items() if said != "cannot tell"]
print(f"{len(separate)} of {len(decided)} separate; luck alone would separate {luck(5) * len(decided):.1f}")
for pair, said in decided.items():
    if said == "cannot tell":
        print("   cannot tell:", " and ".join(f"({name})" for name in pair))
paired = [(many[a] - many[b]).std(ddof=1) for a, b in decided]
unrelated = [np.hypot(many[a].std(ddof=1), many[b].std(ddof=1)) for a, b in decided]
print(f"spread of a difference over seeds: paired {np.mean(paired):.2f}, expected of unrelated runs {np.mean(unrelated):.2f}")
helped = [name for name in paper if verdict(many[name], of_map[large][f"{name}; linear; 0.003; shuffled"]) == "yes"]
print("real labels above shuffled ones in every seed:", " ".join(f"({name})" for name in helped))
assert sorted(helped) == upper and all(verdict(many[a], many[b]) == "yes" for a, b in product(upper, lower))

# %% [markdown]
# The seven fall into two groups: each of the three with `|u - v|` and something beside it beats each of the other four in every seed. In these three, and in no others, real labels beat shuffled ones in every seed. Within a group, five runs cannot order most, which does not make them equal.
#
# The two spreads may surprise you: two runs with one seed differ no more steadily than unrelated runs. What an order of the pairs does to one setting says little about another. Pairing is right in any case; it pays where luck is shared.
#
# ## Which test sentences?
#
# **Question.** Seeds repeat the training. What if somebody had collected other test pairs?
#
# No seed shows this second kind of luck. A *bootstrap* does: draw test pairs at random, with repetition, as if they were another test set, and score again. Drawing more or fewer shows what a larger or smaller test set would do.
#
# **Predict:** in how many of the test sets of 82 pairs, a quarter of the bundled ones, does `(u, v)` come out ahead of `(u, v, |u - v|)`?

# %% alt="Two panels with horizontal lines, each the range of 95 percent of 300 drawn test sets of 82, 328 and 1,500 pairs, with a dot at the middle. Left, (u, v, |u-v|) minus (u, v): the middle stays near three points, the range shrinks and crosses zero only for 82 pairs. Right, minus (|u-v|, u*v): the middle stays near one point, and the ranges for 82 and for 328 pairs cross zero."
predicted = {name: cosines(maps[name][0][0]) for name in paper}        # the maps of one seed, (328,) each
rivals, sizes = ("u, v", "|u-v|, u*v"), (82, 328, 1500)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True, sharex=True, layout="constrained")
reversed_in = {}
for ax, rival in zip(axes, rivals):
    differences = []
    for size in sizes:
        drawn = np.random.default_rng(seed).integers(0, len(gold), (300, size))                 # (test sets, pairs)
        ours, theirs = (np.array([100 * spearman(gold[i], predicted[name][i]) for i in drawn]) for name in ("u, v, |u-v|", rival))
        differences.append(ours - theirs)
        reversed_in[rival, size] = (ours < theirs).mean()
        print(f"{size:5} pairs: ({rival}) scatters by {theirs.std():.1f}, the difference by {(ours - theirs).std():.1f}, reversed in {(ours < theirs).mean():.0%}")
        assert (ours - theirs).std() < theirs.std()
    for y, drawn_differences in enumerate(differences):
        low, middle, high = np.percentile(drawn_differences, [2.5, 50, 97.5])
        ax.plot([low, high], [y, y], color="#0072b2", linewidth=3)
        ax.plot(middle, y, "o", color="black")
    ax.axvline(0, color="grey", linestyle="--")
    ax.set(xlabel="points; the line has 95 of 100 test sets", ylim=(2.5, -0.5), title=f"(u, v, |u-v|) minus ({rival})")
axes[0].set_yticks(range(3), [f"{size:,} pairs" for size in sizes])
plt.show()
assert reversed_in["u, v", 82] > 0.03 > 0.02 > reversed_in["u, v", 1500]

# %% [markdown]
# A difference of three points may be lost among 82 pairs and is clear among 328; one of a single point needs the 1,500. The difference scatters far less than either score, because both settings meet the same easy and hard pairs. Here pairing pays.
#
# Neither kind of luck covers the choice of the model or of the budget.
#
# ## The whole encoder
#
# **Question.** Does the map tell the truth about what it stands for?
#
# `recipes/ablations.py` trained all of bert-mini on pairs of SNLI: first the head, then both at a small rate, as in notebook 06. A seed draws the pairs and their order, the same for all settings. All this is recorded.
#
# **Predict:** is `(u, v, |u - v|)` above `(u, v)` in all three seeds?

# %% tags=["row-1.27"] alt="Two dot plots, a row for each concatenation, three recorded runs of the whole encoder each, on 328 and on 1,500 test pairs, with a dashed line for the score before training. On 1,500 pairs the means of (u, v), |u-v| and u*v lie below the line; those of (u, v, u*v) and of the three rows with |u-v| and something beside it lie above."
encoders = {name: {parts: runs[f"mean; {parts}; 0.0001"] for parts in order}
            for name, runs in ((name, recorded("ablations", "encoder", name)) for name in (small, large))}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True, layout="constrained")
for ax, name, title in zip(axes, (small, large), ("The encoder, 328 test pairs", "The encoder, 1,500 test pairs")):
    dots(ax, encoders[name], title, start[name]["mean; ; 0"][0])
    ax.set_xlim(start[name]["mean; ; 0"][0] - 5, start[name]["mean; ; 0"][0] + 6)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
for better, worse in (("u, v, |u-v|", "u, v"), ("u, v, |u-v|", "|u-v|"), ("|u-v|", "u, v"), ("u, v, |u-v|", "u, v, u*v")):
    a, b = encoders[large][better], encoders[large][worse]
    print(f"({better}) above ({worse})? {verdict(a, b)}: {(a - b).mean():+.1f} ± {(a - b).std(ddof=1):.1f}, paper {paper[better] - paper[worse]:+.1f}")
agreement = spearman([paper[name] for name in order], [encoders[large][name].mean() for name in order])
print(f"correlation with the paper {agreement:.2f}; of all orders of seven, {(by_luck >= agreement - 1e-9).mean():.1%} do as well")
assert all(verdict(runs["u, v, |u-v|"], runs["u, v"]) == "yes" for runs in encoders.values())
risen = {name for name, scores in encoders[large].items() if scores.mean() > start[large]["mean; ; 0"][0]}
assert risen == {name for name in paper if paper[name] > 75}

# %% [markdown]
# Yes, in all three seeds, on both test sets. On 1,500 pairs four concatenations end above the start, the same four that are far ahead in the paper. All four parts beat the recipe's three here.
#
# ## The pooling
#
# **Question.** Is the mean of the tokens the best sentence vector?
#
# Instead of the mean of all tokens you may take the first, `[CLS]`, or the largest value in each dimension (max). After training on NLI the paper finds the influence "rather minor". Trained so that the cosine of a pair is people's score (the *regression objective*), max falls far behind.
#
# A rate that suits one pooling may not suit another, so the NLI runs are recorded with two.
#
# **Predict** whether max pooling fails here as well.

# %% tags=["row-1.26", "row-BP3"] alt="Three dot plots with a row each for mean, cls and max pooling, three recorded runs each, and grey ticks for the scores before training, 65, 60 and 61. After NLI with two learning rates and after STS scores, the mean of the mean pooling lies highest, that of cls lower, and every run of max below both in its seed."
trained = {title: recorded("ablations", experiment, large) for title, experiment in (("NLI", "encoder"), ("STS scores", "regression"))}
panels = {"Trained on NLI, rate 1e-4": {m: trained["NLI"][f"{m}; u, v, |u-v|; 0.0001"] for m in ("mean", "cls", "max")},
          "Trained on NLI, rate 3e-4": {m: trained["NLI"][f"{m}; u, v, |u-v|; 0.0003"] for m in ("mean", "cls", "max")},
          "Trained on STS scores": {m: trained["STS scores"][f"{m}; ; 0.0003"] for m in ("mean", "cls", "max")}}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True, sharex=True, layout="constrained")
for ax, (title, runs) in zip(axes, panels.items()):
    dots(ax, runs, title)
    print(f"{title}:", ", ".join(f"{mode} {scores.mean():.1f}" for mode, scores in runs.items()))
    ax.plot([start[large][f"{m}; ; 0"][0] for m in runs], range(3), "|", color="grey", markersize=14, markeredgewidth=2, label="before training")
    for rival in ("cls", "max"):
        print(f"   mean above {rival}? {verdict(runs['mean'], runs[rival])}, by {(runs['mean'] - runs[rival]).mean():.1f} points")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
print("paper, NLI: mean 80.8, cls 79.8, max 79.1; STS scores: mean 87.4, cls 86.6, max 69.9")
assert all(verdict(runs[mode], runs["max"]) == "yes" for runs in panels.values() for mode in ("mean", "cls"))

# %% [markdown]
# Max is last in every seed of all three panels, already after NLI, where the paper sees little harm. At 1e-4, the better rate for both, `[CLS]` ends about two points behind the mean. It had started five behind: training helps it more.
#
# ## The head
#
# **Question.** Would a deeper head do better?
#
# In the toy figure a hidden layer found the band from `u` and `v` alone. Give the miniature both heads, at a third of the rate, which suits the deeper one better.
#
# **Predict** for `(u, v)`: does a hidden layer label more pairs correctly? Does it lead to better vectors?

# %% tags=["row-1.28"]
def labels_right(change, head):
    with torch.no_grad():
        return 100 * (head.logits(change(u), change(v)).argmax(dim=1) == labels).double().mean().item()

heads = {}
for name, deep in product(("u, v", "u, v, |u-v|"), (False, True)):
    runs = [train_map(name, labels, s, learning_rate / 3, deep) for s in seeds]
    heads[name, deep] = [np.array(x) for x in zip(*((labels_right(*one), 100 * spearman(gold, cosines(one[0]))) for one in runs))]
    right, sts = heads[name, deep]                                      # (seeds,) each
    print(f"({name}), {'hidden layer' if deep else 'linear'}: {right.mean():.0f} % of the labels right, vectors {sts.mean():.1f}")
(right, sts), (deep_right, deep_sts) = heads["u, v", False], heads["u, v", True]
assert verdict(deep_right, right) == "yes" and verdict(sts, deep_sts) == "yes"
assert verdict(heads["u, v, |u-v|", False][1], heads["u, v, |u-v|", True][1]) != "yes"

# %% [markdown]
# With `(u, v)` the deeper head labels more pairs correctly, and the vectors get worse. Perhaps the encoder need not learn what the head works out for itself. Where the comparison is handed to the head, a hidden layer does no such harm.
#
# ### A trap: the column called NLI
#
# Table 6 has a column "NLI", easily read as accuracy on NLI. The caption says otherwise: it is the STS score of a model **trained on** NLI. Spring the trap: choose the concatenation that gets the most labels right.
#
# **Predict:** does the best labeller also have the best vectors?

# %% tags=["row-1.28"] alt="Scatter plot of the seven concatenations: share of right training labels against the Spearman correlation, large marks for means and small grey dots for single seeds, with lines for guessing and for the start. |u-v| alone lies furthest right, with about 95 percent of the labels, and far below the start; (u, v, |u-v|) lies highest, in the middle right; (u, v) lies lower left."
fit = {name: np.array([labels_right(*one) for one in runs]) for name, runs in maps.items()}     # (seeds,) each
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name in paper:
    ax.plot(fit[name], live[name], "." , color="grey", markersize=5)
    ax.plot(fit[name].mean(), live[name].mean(), "o" if "|u-v|" in name else "X", color="#0072b2" if "|u-v|" in name else "#d55e00", markersize=8)
    ax.annotate(f"({name})", (fit[name].mean(), live[name].mean()), xytext=(7, 5), textcoords="offset points", fontsize=8)
ax.axhline(before, color="grey", linestyle="--")
ax.axvline(100 / 3, color="grey", linestyle=":")
ax.set(xlim=(30, 104), xlabel="training labels right, % (dotted: a guess)", ylabel="Spearman x 100 (dashed: before)")
ax.set_title("Right labels and good vectors are two different things", fontsize="medium")
plt.show()
best = {measure: max(paper, key=lambda name: runs[name].mean()) for measure, runs in (("labels", fit), ("vectors", live))}
unseen = {name: recorded("map_ablations", "map", "snli/dev")[f"{name}; linear; 0.003; real"].mean() for name in paper}
print(f"most training labels right: ({best['labels']}), most labels of SNLI dev: ({max(unseen, key=unseen.get)}), best vectors: ({best['vectors']})")
picked = best["labels"]
print(f"({picked}): {fit[picked].mean():.0f} % of the training labels, {unseen[picked]:.0f} % of unseen ones, vectors {live[picked].mean():.1f}, before {before:.1f}")
assert picked == max(unseen, key=unseen.get) and picked != best["vectors"] and (live[picked] < before).all()

# %% [markdown]
# The best labeller of the training pairs is `|u - v|` alone, largely by heart: on unseen pairs it is hardly better than others. Its vectors are worse than before training. By the wrong column you would have picked it.
#
# ## What trainers use today
#
# **Question.** Which of these settings would you choose for a model of your own?
#
# None of them. The ranking loss of notebook 06 has replaced the objective of Table 6; it has no head and so no concatenation. Recorded for comparison: the same pairs of each seed, of which it gets only the entailed ones, a third.
#
# **Predict:** what do two thirds of the pairs cost?

# %% tags=["row-1.26"] alt="Dot plot of three recorded runs each on 1,500 test pairs, with a dashed line for the score of the mean before training. Softmax on (u, v) lies around the line, softmax on (u, v, |u-v|) about three points above it. Ranking with the mean and with max lies about five points above it, ranking with [CLS] and with the last token between."
ranking = recorded("ablations", "ranking", large)
pairs = results["ablations"].query("experiment in ('encoder', 'ranking')").groupby("experiment").n.mean().round().astype(int)
today = {f"softmax on ({best_parts})": encoders[large][best_parts] for best_parts in ("u, v", "u, v, |u-v|")}
today |= {f"ranking, {mode}": ranking[f"{mode}; ; 0.0003"] for mode in ("mean", "cls", "max", "lasttoken")}
figure, ax = plt.subplots(figsize=(8, 2.9), layout="constrained")
dots(ax, today, f"Softmax on {pairs['encoder']:,} labelled pairs, ranking on about {pairs['ranking']} of them", start[large]["mean; ; 0"][0])
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for name, scores in today.items():
    print(f"{name:25} {scores.mean():.1f} ± {scores.std(ddof=1):.1f}")
assert all(verdict(today["ranking, mean"], scores) == "yes" for scores in encoders[large].values())
assert abs(today["ranking, max"].mean() - today["ranking, mean"].mean()) < 1 and verdict(today["ranking, mean"], today["ranking, lasttoken"]) == "yes"

# %% [markdown]
# A third of the pairs is enough: in every seed, ranking with the mean (rate 3e-4) beats every concatenation as recorded above (1e-4). And max pooling, last there, keeps up with the mean here: which pooling is good depends on the objective. The mean is a good first choice; a released model needs the pooling it was trained with.
#
# Many large embedding models of today are decoders: a token sees only what stands before it, so they pool the last token, which has seen the whole text. In bert-mini every token sees all, and the last stays behind the mean.
#
# ## Now from course_lib, and in sentence-transformers
#
# `course_lib.losses.SoftmaxLoss` takes the parts by name. `SoftmaxLoss` of sentence-transformers has three switches; with real sentences, both compute the same.

# %% tags=["nbval-check-output"]
from course_lib.support.folders import resolve
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import SoftmaxLoss as LibrarySoftmaxLoss

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
library = SentenceTransformer(str(resolve(model)), device="cpu")
sides = [[e.premise for e in examples[:6]], [e.hypothesis for e in examples[:6]]]
switches = ("concatenation_sent_rep", "u, v"), ("concatenation_sent_difference", "|u-v|"), ("concatenation_sent_multiplication", "u*v")
for on in [on for on in product([True, False], repeat=3) if any(on)]:
    names = [parts for (_, parts), chosen in zip(switches, on) if chosen]
    ours = SoftmaxLoss(dim, concatenation=tuple(", ".join(names).split(", ")))
    theirs = LibrarySoftmaxLoss(library, dim, 3, **{switch: chosen for (switch, _), chosen in zip(switches, on)})
    theirs.classifier = ours.classifier
    with torch.no_grad():
        loss = theirs([library.preprocess(side) for side in sides], labels[:6])
        assert torch.allclose(ours(u[:6], v[:6], labels[:6]), loss, atol=1e-4)
    print(f"({', '.join(names)}): the same loss")

# %% [markdown]
# Three switches have seven settings besides none: the seven of Table 6. The default is `(u, v, |u - v|)`.
#
# ## Exercises
#
# **1.** A head has one weight for each dimension of `|u - v|`, and nothing else. Write its score for each pair.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def score(u, v, weights):
    """u, v (batch, dim), weights (dim,) -> (batch,): what a linear head without bias gives for |u - v|"""
    ...

check("07.1", score)

# %% [markdown]
# **2.** Summarise the runs of one setting. You may use a library, if you know what it divides by.

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
# <details><summary>Answer</summary>The best of twenty is partly the luckiest. Run the chosen rate with new seeds, on test pairs that chose nothing.</details>
#
# **2.** A linear head on u - v, with its sign: does it see more than one on (u, v)?
#
# <details><summary>Answer</summary>No, less: its weights on v are minus those on u. What a linear head cannot compute is the absolute value.</details>
#
# **3.** After training, the score has risen by two points. Training on shuffled labels raises it by two points as well. What have the labels taught?
#
# <details><summary>Answer</summary>Nothing that the score shows.</details>
#
# ## Summary
#
# - An ablation changes one part. A control takes away the supposed cause: here, what the labels mean.
# - A linear head on `(u, v)` never compares two sentences, and real labels then help the vectors no more than shuffled ones. With `|u - v|` beside them, they help in every seed on the larger test set.
# - One seed is a story. Compare seed by seed, and count how often luck would look like that, over all comparisons you made.
# - A small test set hides small differences.
# - Right labels and good vectors are two different things.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): section 6, table 6.
# - Reimers and Gurevych (2017), [Reporting score distributions makes a difference](https://arxiv.org/abs/1707.09861).
# - Efron (1979), [Bootstrap methods: another look at the jackknife](https://doi.org/10.1214/aos/1176344552).
#
# **Next:** notebook 08 does the same in sentence-transformers; notebook 09 keeps the encoder and changes the loss.
