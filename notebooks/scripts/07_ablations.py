# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/07_ablations.ipynb)
#
# # Which pooling, which concatenation, and how sure can you be?
#
# Notebook 06 averaged the tokens, joined `u`, `v` and `|u - v|`, and put one linear layer on top. Here you change these parts one at a time, as Table 6 of the Sentence-BERT paper does. You also see how far to trust such a table.
#
# | | |
# |---|---|
# | You will be able to | plan an ablation with a control; say what a linear head can see of two vectors; tell a difference from the luck of few runs or of a small test set |
# | You need first | notebook 05: pooling, Spearman's correlation; notebook 06: the softmax objective, the ranking loss |
# | Time | 40 minutes to read; the code runs in about half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course |

# %% tags=["setup"]
# Locally this only chooses the CPU. In Colab it fetches the course, too, once, and changes no installed package.
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("COURSE_DEVICE", "cpu")              # a GPU is not needed, and its numbers differ a little
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
# You train from `model` on `data`, once for each of `seeds`; `seed` draws toy points and test sets. `full` repeats what is recorded, which takes the public data sets (`COURSE_DATA`) and about an hour.

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
# **Question.** Which parts of notebook 06's recipe does the score depend on?
#
# An *ablation* repeats an experiment with one part taken away or exchanged, and all else as it was.
#
# The head of notebook 06 gets three vectors side by side: the premise's `u`, the hypothesis's `v`, and `|u - v|`, their difference without its sign. The choice of these parts is the *concatenation*. A fourth part to choose from is `u*v`, the product number by number.
#
# Table 6 of the paper has results for seven concatenations: Spearman's correlation with people's scores, times 100.
#
# **Predict:** which of the seven will be best, and which worst?

# %% tags=["nbval-check-output"]
from itertools import combinations, product

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.data import load_nli, load_results, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import pairwise_cos_sim

torch.set_num_threads(1)                                                # enough for matrices this small
encoder = SentenceEncoder.load(model, dtype="float32")
dim = encoder.get_embedding_dimension()
paper = {
    "u, v": 66.04,
    "|u-v|": 69.78,
    "u*v": 70.54,
    "u, v, u*v": 77.44,
    "|u-v|, u*v": 78.37,
    "u, v, |u-v|, u*v": 80.44,
    "u, v, |u-v|": 80.78,
}
for name, reached in paper.items():
    head = SoftmaxLoss(dim, concatenation=tuple(name.split(", ")))
    print(f"{name:17} paper {reached:.1f}   {head.classifier.in_features:5} numbers into the head")

# %% [markdown]
# In the paper the concatenation of notebook 06 is best. Without `|u - v|` it becomes `(u, v)`, the worst of the seven. `(|u - v|, u*v)` gives the head as many numbers as `(u, v)` does, and scores far higher.
#
# ## What can a linear head see?
#
# **Question.** `|u - v|` and `u*v` are computed from `u` and `v`. What can they add?
#
# Here are all four parts for two pairs of short vectors, by loop and with tensors.

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
# A linear head on `(u, v)` gives a label the score `a·u + b·v`, plus a constant, where `a` and `b` are its weights. That is a number for one sentence **plus** a number for the other. No term looks at both.
#
# Take two sentences, A and B. The pairs (A, A) and (B, B) are _alike_. The pairs (A, B) and (B, A) are _crosswise_, and differ.
#
# **Predict:** a head with random weights scores all four. Which two scores have the larger sum, those of the alike pairs or of the crosswise ones?

# %% tags=["row-1.27", "nbval-check-output"]
with torch.no_grad():
    eating, money = encoder(["A man is eating food.", "She saves money every month."])          # (dim,) each
u = torch.stack([eating, money, eating, money])                         # (4, dim): (A, A), (B, B),
v = torch.stack([eating, money, money, eating])                         # (4, dim): (A, B), (B, A)

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
# For `(u, v)` the sums are the same whatever the weights, because both add up the same four numbers. So a linear head on `(u, v)` can never score both alike pairs above both crosswise ones. Every other concatenation has a part that is computed from both sentences.
#
# Below, `u` and `v` are single numbers: do the two lie close together? `LogisticRegression` is the linear head for two labels, trained on 2,000 pairs and tested on 4,000 new ones. The last panel has one hidden layer.
#
# **Predict** where the head on `(u, v)` will say "close together".

# %% tags=["row-1.27"] alt="Four square panels over u and v from -1 to 1. Pairs of numbers that lie close together are blue circles in a band along the diagonal, the others are orange crosses in two corners. Shading marks where the head says close together: with u and v nowhere; with the product in the lower left and the upper right corner; with the absolute difference on exactly the band; with u, v and a hidden layer on about the band."
from matplotlib.colors import ListedColormap
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

points, fresh = (np.random.default_rng(seed + k).uniform(-1, 1, (n, 2)) for k, n in ((0, 2000), (1000, 4000)))
close, fresh_close = (np.abs(p[:, 0] - p[:, 1]) < 0.5 for p in (points, fresh))
grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 100)]), axis=-1).reshape(-1, 2)            # (10000, 2)
linear, hidden = LogisticRegression(C=1e3), MLPClassifier(16, solver="lbfgs", max_iter=300, random_state=seed)
panels = {"u, v": (linear, lambda p: p), "u*v": (linear, lambda p: p.prod(axis=1, keepdims=True)),
          "|u-v|": (linear, lambda p: np.abs(p[:, :1] - p[:, 1:])), "u, v, hidden layer": (hidden, lambda p: p)}
figure, axes = plt.subplots(1, 4, figsize=(10, 3.5), sharey=True, layout="constrained")
right, marked, guess = {}, {}, 1 - fresh_close.mean()                               # the guess: never close
for ax, (name, (classifier, features)) in zip(axes, panels.items()):
    right[name] = classifier.fit(features(points), close).score(features(fresh), fresh_close)
    says = marked[name] = classifier.predict(features(grid)).reshape(100, 100)
    ax.imshow(says, extent=(-1, 1, -1, 1), origin="lower", vmin=0, vmax=1, cmap=ListedColormap(["white", "#b9d3ea"]))
    for chosen, marker, colour, label in (
        (close, "o", "#0b3d91", "close together"),
        (~close, "x", "#b35c00", "not close"),
    ):
        ax.scatter(*points[:300][chosen[:300]].T, s=9, marker=marker, color=colour, linewidths=0.8, label=label)
    ax.set(xlabel="u", ylabel="v" if ax is axes[0] else None, xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.set_title(f"{name}\n{right[name]:.0%} right", fontsize="medium")
axes[0].fill([], [], color="#b9d3ea", label="here the head says: close together")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
figure.suptitle(f'Always to say "not close" is right for {guess:.0%} of the new pairs', fontsize="medium")
plt.show()
assert (
    not marked["u, v"].any() and abs(right["u, v"] - guess) < 0.01
    and guess + 0.03 < right["u*v"] < 0.9 < 0.95 < min(right["|u-v|"], right["u, v, hidden layer"])
)

# %% [markdown]
# With two labels, the linear head on `(u, v)` never says "close together". With three it could, if the other two won where `u - v` is far above and far below zero. On `|u - v|` it finds the band, with a single threshold. The hidden layer finds it from `u` and `v` alone.
#
# This is the idea behind `|u - v|`: a linear head can use a distance, if the _encoder_ puts sentences of like meaning close together. The encoder is what you keep.
#
# ## An encoder in miniature
#
# **Question.** Does training with `|u - v|` lead to better vectors?
#
# A whole encoder takes too long to train seven times, so you train something small. bert-mini's vectors are computed once and stay fixed. A square matrix, the _map_, turns each into a new one. Only the map and the head learn. The map begins as the identity, which changes nothing. It is measured as an encoder is: by the correlation of cosines with grades, here for 328 pairs that a language model wrote and graded.

# %%
def vectors_of(texts):
    return torch.from_numpy(encoder.encode(list(texts), show_progress_bar=False))               # (texts, dim)

examples, test_pairs = load_nli(data), load_sts("course/sts")
u, v = vectors_of(e.premise for e in examples), vectors_of(e.hypothesis for e in examples)      # (pairs, dim) each
labels = torch.tensor([e.label for e in examples])                                              # (pairs,)
test_u, test_v = vectors_of(p.sentence1 for p in test_pairs), vectors_of(p.sentence2 for p in test_pairs)
gold = np.array([p.score for p in test_pairs])
as_given = (
    (model, data, batch_size, learning_rate, epochs, seeds)
    == ("course/bert-mini", "course/nli", 64, 3e-3, 5, [0, 1, 2, 3, 4])
)

@torch.no_grad()
def cosines(change):
    return pairwise_cos_sim(change(test_u), change(test_v)).numpy()     # (328,)

identity = torch.nn.Linear(dim, dim, bias=False)
torch.nn.init.eye_(identity.weight)
before = 100 * spearman(gold, cosines(identity))
assert abs(before - 100 * spearman(gold, pairwise_cos_sim(test_u, test_v).numpy())) < 1e-3      # it changes nothing
print(f"{len(labels)} labelled pairs to learn from; before training: {before:.1f}")

# %% [markdown]
# A _seed_ sets what is left to chance: the head's first weights and the order of the pairs. With one seed, all concatenations meet the pairs in the same order.
#
# **Predict** for `(u, v)` and for `(u, v, |u - v|)`: does the score rise, stay, or fall?

# %%
def train_map(concatenation, labels, seed, rate=learning_rate, hidden=False):
    """The trained map; with `hidden`, the head has a hidden layer as wide as a vector."""
    parts = tuple(concatenation.split(", "))
    torch.manual_seed(seed)
    orders = [torch.randperm(len(labels)) for _ in range(epochs)]       # drawn first: the same for all concatenations
    deeper = None
    if hidden:
        deeper = torch.nn.Sequential(torch.nn.Linear(len(parts) * dim, dim), torch.nn.ReLU(), torch.nn.Linear(dim, 3))
    head = SoftmaxLoss(dim, concatenation=parts, classifier=deeper)
    change = torch.nn.Linear(dim, dim, bias=False)
    torch.nn.init.eye_(change.weight)
    optimizer = torch.optim.Adam([*change.parameters(), *head.parameters()], lr=rate)
    for order in orders:
        for rows in order.split(batch_size):
            loss = head(change(u[rows]), change(v[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return change

maps = {name: [train_map(name, labels, s) for s in seeds] for name in paper}
live = {name: np.array([100 * spearman(gold, cosines(change)) for change in runs]) for name, runs in maps.items()}
for name, scores in live.items():
    print(f"{name:17} {np.round(scores, 1)}   mean {scores.mean():.1f}")
assert not as_given or (
    (live["u, v"] < before).all()
    and (live["u, v, |u-v|"] > live["u, v"]).all()
    and 0 < live["u, v, |u-v|"].mean() - before < 1
)

# %% [markdown]
# Every run on `(u, v)` made the vectors worse than they were. `(u, v, |u - v|)` is ahead of it in every seed, with a mean less than a point above the start.
#
# `recipes/map_ablations.py` did the same trainings and also measured them on 1,500 pairs, the STS benchmark's development set. The next cell reads what it _recorded_, and compares its scores on the 328 pairs with yours.

# %%
import importlib
import pandas as pd

results = {recipe: load_results(file) for recipe, file in (("map_ablations", "07_maps"), ("ablations", "07"))}
if full:                                                                # needs COURSE_DATA, and about an hour
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
assert not as_given or max(np.abs(again)) < 0.5

# %% [markdown]
# They agree, so from here on you can use the larger test set.
#
# **Predict:** will the order of the seven be that of the paper?

# %% tags=["row-1.27"] alt="Two dot plots, a row for each concatenation in the order of the paper's scores. Left: five runs of the map each on 1,500 test pairs, with a dashed line for the score before training. The three rows that have |u-v| and something beside it lie highest, and only these three have a mean above the line. Right: the paper's means, where the same three rows and (u, v, u*v) lie far above the other three."
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

figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True, layout="constrained")
dots(axes[0], many, "Here: a map, five seeds, 1,500 test pairs", start[large]["mean; ; 0"][0])
axes[1].plot(list(paper.values()), range(7), "|", color="black", markersize=14, markeredgewidth=1.5)
axes[1].set_title("The paper: the whole encoder, means of ten seeds", fontsize="medium")
axes[1].set(xlim=(60, 84), xlabel="Spearman x 100, another scale")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
best = ("u, v, |u-v|", "u, v, |u-v|, u*v", "|u-v|, u*v")                 # |u-v| and something beside it
assert all(
    set(sorted(paper, key=lambda name: runs[name].mean())[-3:]) == set(best)
    for runs in (live, many, {n: np.array(p) for n, p in paper.items()})
)
assert {name for name in paper if many[name].mean() > start[large]["mean; ; 0"][0]} == set(best)

# %% [markdown]
# The three concatenations that have `|u - v|` and something beside it have the highest means, here, on your 328 pairs and in the paper. On the 1,500 pairs only their means lie above the start. One setting differs most: `(u, v, u*v)` does well in the paper, and not here.
#
# ## The control: labels that mean nothing
#
# **Question.** Did the scores move because of what the labels say?
#
# A _control_ repeats the experiment without its supposed cause. Here the labels are shuffled among the same pairs, so that they mean nothing. If real labels do better, their meaning has helped.
#
# **Predict:** for which concatenation do real labels beat shuffled ones?

# %% tags=["row-1.27"]
def deal_anew(seed):
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]

gain = {}
for name in ("u, v", "u, v, |u-v|"):
    scores = np.array([100 * spearman(gold, cosines(train_map(name, deal_anew(s), s))) for s in seeds])
    gain[name] = live[name] - scores                                    # (seeds,): the same seed, the same order
    print(
        f"({name}): real {live[name].mean():.1f}, shuffled {scores.mean():.1f}, "
        f"real minus shuffled {np.round(gain[name], 1)}"
    )
assert not as_given or (gain["u, v, |u-v|"] > 0).all() and 0 < (gain["u, v"] > 0).sum() < len(seeds)

# %% [markdown]
# On your 328 pairs, with `(u, v, |u - v|)` real labels are ahead in all five seeds. With `(u, v)` the seeds disagree.
#
# ## How many seeds make a difference?
#
# **Question.** When may you say that one setting is better than another?
#
# The usual summary is mean ± *standard deviation*: add up the squared distances from the mean, divide by n - 1, and take the root. This notebook uses a plainer rule: compare the runs with the same seed. A difference counts, as far as the luck of the seeds goes, if it has the same sign in **every** seed.
#
# **Predict:** if two settings are equally good, each seed is a coin toss. How often do three seeds agree by luck, how often five?

# %% tags=["nbval-check-output"]
def luck(n):
    """How often n coin tosses all agree: by listing what can happen."""
    tosses = list(product([-1, 1], repeat=n))
    return sum(abs(sum(signs)) == n for signs in tosses) / len(tosses)

def verdict(a, b):
    """Is `a` above `b`, seed by seed? Both (seeds,), in the order of the seeds."""
    above = int((np.asarray(a) > np.asarray(b)).sum())
    return {len(a): "yes", 0: "no, the reverse"}.get(above, "cannot tell")

assert [
    verdict([2, 5, 9], [1, 4, 8]),
    verdict([2, 5, 9], [1, 6, 8]),
    verdict([1, 4], [2, 5]),
] == ["yes", "cannot tell", "no, the reverse"]
print({n: f"{luck(n):.1%}" for n in (1, 3, 5)})

# %% [markdown]
# Three seeds agree by luck in a quarter of all cases, five in a sixteenth. That holds for **one** comparison, planned in advance. Seven settings make 21.
#
# **Predict:** how many of the 21 count by this rule, on the 1,500 pairs? And for how many of the seven do real labels beat shuffled ones?

# %%
decided = {pair: verdict(many[pair[0]], many[pair[1]]) for pair in combinations(paper, 2)}
separate = [pair for pair, said in decided.items() if said != "cannot tell"]
print(f"{len(separate)} of {len(decided)} count; by luck alone it would be {luck(5) * len(decided):.1f} on average")
helped = {}
for name in paper:
    noise = of_map[large][f"{name}; linear; 0.003; shuffled"]
    helped[name] = verdict(many[name], noise)
    print(f"{name:17} real {many[name].mean():.1f}, shuffled {noise.mean():.1f}; real above? {helped[name]}")
assert len(separate) > 5 * luck(5) * len(decided)
assert all(verdict(many[a], many[b]) == "yes" for a in best for b in paper if b not in best)
assert {name for name, said in helped.items() if said == "yes"} == set(best)
assert all(0 < many[name].mean() - start[large]["mean; ; 0"][0] < 2 for name in best)
assert max(many, key=lambda name: many[name].mean()) == "u, v, |u-v|"

# %% [markdown]
# Many more comparisons count than luck brings on average. Each of the three with `|u - v|` and something beside it beats each of the other four in every seed. Only in these three do real labels beat shuffled ones in every seed; for `u*v` and `(u, v, u*v)` they lose in every seed.
#
# So at this learning rate, 3e-3, **`|u - v|` needs something beside it**. The gain is small: on 1,500 pairs the three means lie less than two points above the start, and on your 328 pairs two of them lie below it.
#
# ## Which test sentences?
#
# **Question.** Seeds repeat the training. What if somebody had collected other test pairs?
#
# No seed shows this second kind of luck. A *bootstrap* does: draw test pairs at random, with repetition, as if they were another test set, and score again. Drawing 82 in place of 328 stands for a test set of a quarter of the size.
#
# **Predict:** in how many of the test sets of 82 pairs does `(u, v)` come out ahead of `(u, v, |u - v|)`?

# %% alt="Two panels with horizontal lines, each the range of 95 percent of 2,000 drawn test sets of 82 and of 328 pairs, with a dot at the middle. Left, (u, v, |u-v|) minus (u, v): the middle lies near three points, and the range crosses zero only for 82 pairs. Right, minus (|u-v|, u*v): the middle lies near one point, and both ranges cross zero."
from scipy.stats import rankdata, zscore

def scores_of(predicted, drawn):
    """Spearman x 100 on each drawn test set: the mean product of the two sides' ranks, brought to mean 0 and
    deviation 1."""
    ours, grades = (zscore(rankdata(values[drawn], axis=1), axis=1) for values in (predicted, gold))
    return 100 * (ours * grades).mean(axis=1)                           # (test sets,)

predicted = {name: cosines(maps[name][0]) for name in paper}            # the maps of one seed, (328,) each
rivals, sizes, low = ("u, v", "|u-v|, u*v"), (82, 328), {}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.1), sharey=True, sharex=True, layout="constrained")
for y, size in enumerate(sizes):
    drawn = np.random.default_rng(seed).integers(0, len(gold), (2000, size))                    # (test sets, pairs)
    for ax, rival in zip(axes, rivals):
        lead = scores_of(predicted["u, v, |u-v|"], drawn) - scores_of(predicted[rival], drawn)  # (test sets,)
        low[rival, size], middle, high = np.percentile(lead, [2.5, 50, 97.5])
        ax.plot([low[rival, size], high], [y, y], color="#0072b2", linewidth=3)
        ax.plot(middle, y, "o", color="black")
        print(
            f"{size:3} pairs: ahead of ({rival}) by {middle:.1f}, "
            f"95 % from {low[rival, size]:.1f} to {high:.1f}; behind in {(lead < 0).mean():.1%}"
        )
for ax, rival in zip(axes, rivals):
    ax.axvline(0, color="grey", linestyle="--")
    ax.set(
        ylim=(1.5, -0.5), yticks=range(2), yticklabels=[f"{size} pairs" for size in sizes],
        xlabel="points; the line holds 95 of 100 test sets",
    )
    ax.set_title(f"(u, v, |u-v|) minus ({rival})", fontsize="medium")
plt.show()
assert {case for case, edge in low.items() if edge > 0} == {("u, v", 328)}    # the range lies right of zero

# %% [markdown]
# Each line is the range of 95 of 100 drawn test sets, its dot the median. For these maps of one seed, the range of the lead over `(u, v)` includes 0 with 82 pairs, and no longer with 328. The smaller lead over `(|u - v|, u*v)` has a range that includes 0 at both sizes.
#
# ## The whole encoder
#
# **Question.** Do the same concatenations lead when the whole encoder is trained?
#
# `recipes/ablations.py` trained all of bert-mini on short pairs of SNLI (at most 20 words together): first the head, then both at a small rate, as in notebook 06. That rate was chosen on these 1,500 pairs, with the mean and `(u, v, |u - v|)`. A seed draws the pairs and their order, the same for all settings. There are three seeds, and no control with shuffled labels.
#
# **Predict:** which concatenation comes out on top?

# %% tags=["row-1.27"] alt="Dot plot with a row for each concatenation, three recorded runs of the whole encoder each on 1,500 test pairs, and a dashed line for the score before training. The means of (u, v), |u-v| and u*v lie below the line; those of (u, v, u*v) and of the three rows with |u-v| and something beside it lie above."
encoders = {}
for name in (small, large):
    runs = recorded("ablations", "encoder", name)
    encoders[name] = {parts: runs[f"mean; {parts}; 0.0001"] for parts in paper}
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
dots(ax, encoders[large], "The whole encoder, three seeds, 1,500 test pairs", start[large]["mean; ; 0"][0])
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
for rival in [name for name in paper if name != "u, v, |u-v|"]:
    said = [verdict(runs["u, v, |u-v|"], runs[rival]) for runs in encoders.values()]
    lead = (encoders[large]["u, v, |u-v|"] - encoders[large][rival]).mean()
    print(
        f"(u, v, |u-v|) above ({rival})? 328 pairs: {said[0]}; "
        f"1,500 pairs: {said[1]}, by {lead:+.1f}, paper {paper['u, v, |u-v|'] - paper[rival]:+.1f}"
    )
separate = [verdict(encoders[large][a], encoders[large][b]) != "cannot tell" for a, b in combinations(paper, 2)]
print(
    f"{sum(separate)} of {len(separate)} count on 1,500 pairs; "
    f"by luck alone it would be {luck(3) * len(separate):.1f} on average"
)
assert all(
    verdict(runs[a], runs[b]) == "yes"
    for runs in encoders.values()
    for a in best
    for b in ("u, v", "|u-v|", "u*v")
)
won = [verdict(encoders[name]["u, v, |u-v|, u*v"], encoders[name]["u, v, |u-v|"]) for name in (small, large)]
risen = {name for name, scores in encoders[large].items() if scores.mean() > start[large]["mean; ; 0"][0]}
assert won == ["cannot tell", "yes"] and risen == {*best, "u, v, u*v"}

# %% [markdown]
# Each of the three with `|u - v|` and something beside it beats `(u, v)`, `|u - v|` alone and `u*v`, in every seed and on both test sets. With the map it is the same on 1,500 pairs. But here, on 1,500 pairs, the mean of `(u, v, u*v)` lies above the start too, and the seeds cannot tell it from `(u, v, |u - v|)`.
#
# **Which of the three is best stays open.** In the paper and for the map on 1,500 pairs, `(u, v, |u - v|)` has the highest mean. Here all four parts beat it in every seed on 1,500 pairs, and on 328 pairs the seeds disagree. With three seeds, luck alone would make about five of 21 comparisons count on average.
#
# ## The pooling
#
# **Question.** Is the mean of the tokens the best sentence vector?
#
# Two other choices are the first token, `[CLS]`, and the largest value in each dimension, max (notebook 05). After NLI the paper finds the influence "rather minor". Another training, again from BERT, makes the cosine of a pair learn people's score, the *regression objective*. After it, max falls far behind in the paper.
#
# NLI is recorded at two rates, STS scores, from the benchmark's training set, at one.
#
# **Predict** whether max pooling falls behind here as well.

# %% tags=["row-1.26", "row-BP3"] alt="Two dot plots with a row each for mean, cls and max pooling, three recorded runs each on 1,500 test pairs, and grey ticks for the scores before training, 65, 60 and 61. After NLI and after STS scores the mean pooling's average lies highest, that of cls lower, and every run of max below the mean pooling in its seed."
modes = ("mean", "cls", "max")
trainings = {"NLI, rate 1e-4": ("encoder", "u, v, |u-v|; 0.0001"), "NLI, rate 3e-4": ("encoder", "u, v, |u-v|; 0.0003"),
             "STS scores": ("regression", "; 0.0003")}
pooled, above = {}, {}
for title, (experiment, setting) in trainings.items():
    for name, pairs in ((large, "1,500"), (small, "328")):
        runs = recorded("ablations", experiment, name)
        pooled[title, name] = scores = {mode: runs[f"{mode}; {setting}"] for mode in modes}
        above[title, name] = [verdict(scores["mean"], scores[rival]) for rival in ("cls", "max")]
        shown = ", ".join(f"{mode} {scores[mode].mean():.1f}" for mode in modes)
        print(
            f"{title:14} {pairs:>5} pairs: {shown}; "
            f"mean above cls? {above[title, name][0]}; above max? {above[title, name][1]}"
        )
print("paper: NLI: mean 80.8, cls 79.8, max 79.1; STS scores: mean 87.4, cls 86.6, max 69.9")
figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True, sharex=True, layout="constrained")
begun = {mode: start[large][f"{mode}; ; 0"][0] for mode in modes}
for ax, title in zip(axes, ("NLI, rate 1e-4", "STS scores")):
    dots(ax, pooled[title, large], f"Trained on {title}, 1,500 test pairs")
    ax.plot(
        list(begun.values()), range(3), "|",
        color="grey", markersize=14, markeredgewidth=2, label="before training",
    )
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
assert all(said == ["yes", "yes"] for (title, _), said in above.items() if title != "NLI, rate 3e-4")
assert (
    above["NLI, rate 3e-4", large] == ["cannot tell", "yes"]
    and above["NLI, rate 3e-4", small] == ["cannot tell", "cannot tell"]
)

# %% [markdown]
# In both trainings of the figure the mean is ahead of `[CLS]` and of max, in every seed and on both test sets. The grey ticks show that it was ahead before training, too. On 1,500 pairs max trails clearly after NLI as well, unlike in the paper. At the larger NLI rate only one of these verdicts is left, the lead over max on 1,500 pairs.
#
# ## The head
#
# **Question.** Would a deeper head do better?
#
# In the toy figure a hidden layer found the band from `u` and `v` alone. Now the map gets such a head. Two rates are recorded. You repeat the hidden layer at the smaller one, to check the record.
#
# **Predict** for `(u, v)`: does the hidden layer lead to better vectors?

# %% tags=["row-1.28"] alt="Two dot plots, five runs a row, for linear and hidden-layer heads at the learning rates 0.001 and 0.003, and a dashed line for the score before training. With (u, v) all means lie below the line, and at each rate the hidden layer lies lower than the linear head, by three and by five points. With (u, v, |u-v|) all lie above the line, close together."
figure, axes = plt.subplots(1, 2, figsize=(9, 2.9), sharey=True, sharex=True, layout="constrained")
said = {}
for ax, parts in zip(axes, ("u, v", "u, v, |u-v|")):
    runs = {}
    for rate in ("0.001", "0.003"):
        line = runs[f"linear, {rate}"] = of_map[large][f"{parts}; linear; {rate}; real"]
        deep = runs[f"hidden layer, {rate}"] = of_map[large][f"{parts}; one hidden layer; {rate}; real"]
        said[parts, rate] = verdict(deep, line)
        print(
            f"({parts}), rate {rate}, 1,500 pairs: hidden layer {deep.mean():.1f}, linear {line.mean():.1f}; "
            f"hidden layer above? {said[parts, rate]}"
        )
    dots(ax, runs, f"({parts}), 1,500 test pairs", start[large]["mean; ; 0"][0])
    own = np.mean([100 * spearman(gold, cosines(train_map(parts, labels, s, rate=1e-3, hidden=True))) for s in seeds])
    same = of_map[small][f"{parts}; one hidden layer; 0.001; real"].mean()
    print(f"({parts}), rate 0.001, 328 pairs: hidden layer, your runs {own:.1f}, recorded {same:.1f}")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
assert said["u, v", "0.001"] == said["u, v", "0.003"] == "no, the reverse"
assert said["u, v, |u-v|", "0.001"] == "yes" and said["u, v, |u-v|", "0.003"] == "cannot tell"

# %% [markdown]
# On 1,500 pairs, with `(u, v)` the hidden layer leads to worse vectors than the linear head does, in every seed and at both rates. With `(u, v, |u - v|)` it leads to better ones in every seed at the smaller rate; at the larger one the seeds disagree. A head that can do more is no sure gain.
#
# ### A trap: the column called NLI
#
# Table 6 has a column "NLI". By its caption that is not accuracy on NLI, but the STS score of a model **trained on** NLI. Here are both for the recorded encoders: the STS score, and the share of right labels on 500 pairs of SNLI's development set.
#
# **Predict:** of `(u, v)` and `(|u - v|, u*v)`, which gets more labels right? Which has the better vectors?

# %% tags=["row-1.28"] alt="Scatter plot of the seven concatenations of the whole encoder, means of three seeds: share of right labels on 500 unseen pairs against the Spearman correlation on 1,500 pairs, with a dashed line for the start. (u, v), an orange cross, labels about 51 percent right and lies below the line. (|u-v|, u*v), a blue circle, labels about 46 percent right and lies about five points higher. The other five are small grey dots."
labelled = recorded("ablations", "encoder", "snli/dev")
fit = {name: labelled[f"mean; {name}; 0.0001"] for name in paper}       # (seeds,) each
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
compared = {"u, v": ("X", "#d55e00", 9), "|u-v|, u*v": ("o", "#0072b2", 9)}
for name in paper:
    x, y = fit[name].mean(), encoders[large][name].mean()
    marker, colour, size = compared.get(name, ("o", "grey", 5))
    ax.plot(x, y, marker, color=colour, markersize=size)
    below = name in ("u, v", "|u-v|")                                   # where the dashed line is just above
    ax.annotate(f"({name})", (x, y), xytext=(0, -9 if below else 9), textcoords="offset points",
                ha="center", va="top" if below else "bottom", fontsize=9)
ax.axhline(start[large]["mean; ; 0"][0], color="grey", linestyle="--", label="before training")
ax.set(
    xlim=(41, 56), ylim=(61, 71),
    xlabel="labels of unseen pairs right, % (a guess: 33)", ylabel="Spearman x 100, 1,500 pairs",
)
ax.set_title("(u, v) gets more labels right, (|u-v|, u*v) has better vectors", fontsize="medium")
ax.legend(fontsize=8, loc="lower right")
plt.show()
for name in compared:
    print(f"({name}), a number a seed: labels right {fit[name]} %, vectors {encoders[large][name].round(1)}")
assert (
    verdict(fit["u, v"], fit["|u-v|, u*v"]) == "yes"
    and verdict(encoders[large]["|u-v|, u*v"], encoders[large]["u, v"]) == "yes"
)

# %% [markdown]
# In every seed `(u, v)` gets more labels right than `(|u - v|, u*v)`, and in every seed its vectors are worse. So here one number did not stand for the other, but the two settings were picked afterwards, there are three seeds, and no bootstrap of the 500 pairs. Labels can be right without a comparison: in SNLI the hypothesis alone gives many away (Gururangan et al. 2018).
#
# ## A loss without a head
#
# **Question.** What if there is no head at all?
#
# The ranking loss of notebook 06 works on the cosines themselves, so it has no concatenation to choose. For pairs that belong together, today's recipes use it in place of Table 6's objective (notebook 09). Here it learns from each seed's entailed pairs alone, about a third.
#
# **Predict:** does ranking with the mean end above or below the softmax loss, which learns from all pairs?

# %% tags=["row-1.26"] alt="Dot plot of three recorded runs each on 1,500 test pairs, with a grey tick for each pooling's score before training. Softmax on (u, v, |u-v|) lies around 68 and on all four parts around 69.5. Ranking with the mean lies around 70, with [CLS] around 68, and with max slightly above 70."
pairs = (
    results["ablations"].query("experiment in ('encoder', 'ranking')")
    .groupby("experiment").n.mean().round().astype(int)
)
ranked = {}
for name in (small, large):
    runs = recorded("ablations", "ranking", name)
    ranked[name] = {mode: runs[f"{mode}; ; 0.0003"] for mode in modes}
today = {f"softmax, mean, ({parts})": encoders[large][parts] for parts in ("u, v, |u-v|", "u, v, |u-v|, u*v")}
today |= {f"ranking, {mode}": scores for mode, scores in ranked[large].items()}
figure, ax = plt.subplots(figsize=(8, 2.9), layout="constrained")
dots(ax, today, f"Softmax: {pairs['encoder']:,} labelled pairs; ranking: about {pairs['ranking']} of them")
ax.plot(
    [begun[mode] for mode in ("mean", "mean", *modes)], range(5), "|",
    color="grey", markersize=14, markeredgewidth=2, label="before training",
)
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
plt.show()
for name, scores in today.items():
    print(f"{name:33} {scores.mean():.1f} ± {scores.std(ddof=1):.1f}")
for name, title in ((large, "1,500"), (small, "328")):
    beaten = [parts for parts, scores in encoders[name].items() if verdict(ranked[name]["mean"], scores) == "yes"]
    print(
        f"{title:>5} pairs: ranking with the mean above {len(beaten)} of 7 concatenations; "
        f"above cls? {verdict(ranked[name]['mean'], ranked[name]['cls'])}; "
        f"above max? {verdict(ranked[name]['mean'], ranked[name]['max'])}"
    )
    assert len(beaten) == 7 and verdict(ranked[name]["mean"], ranked[name]["cls"]) == "yes"
    assert verdict(ranked[name]["mean"], ranked[name]["max"]) == "cannot tell"

# %% [markdown]
# Ranking with the mean is ahead of all seven concatenations, in every seed and on both test sets. The rates differ, 3e-4 against 1e-4, so this compares two recipes and not the losses alone.
#
# Between the mean and max the seeds disagree here. So compare poolings in the recipe that you will use.
#
# ## Now from course_lib, and in sentence-transformers
#
# `course_lib.losses.SoftmaxLoss` takes the parts by name, `SoftmaxLoss` of sentence-transformers by three switches.

# %% tags=["nbval-check-output"]
from course_lib.support.folders import resolve
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import SoftmaxLoss as LibrarySoftmaxLoss

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
library = SentenceTransformer(str(resolve(model)), device="cpu")
sides = [[e.premise for e in examples[:6]], [e.hypothesis for e in examples[:6]]]
switches = (
    ("concatenation_sent_rep", "u, v"),
    ("concatenation_sent_difference", "|u-v|"),
    ("concatenation_sent_multiplication", "u*v"),
)
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
# **2.** A setting was run with real labels and with shuffled ones. How much did the meaning of the labels bring, and how far does that scatter over seeds (divide by n - 1)?

# %% tags=["exercise", "nbval-check-output"]
def from_meaning(before, real, shuffled):
    """before: the score without training. real, shuffled: {seed: score}; only seeds in both count.
    -> (mean, standard deviation) of what the labels' meaning brought"""
    ...

check("07.2", from_meaning)

# %% [markdown]
# **3.** Two models answered the same test pairs. Between which values do 95 of 100 drawn test sets put the difference of their percentages?

# %% tags=["exercise", "nbval-check-output"]
def interval(a, b, drawn):
    """NumPy arrays. a, b (pairs,): 1 where a model is right, else 0. drawn (test sets, size): row numbers.
    -> (low, high): the percentiles 2.5 and 97.5 of a's percentage minus b's"""
    ...

check("07.3", interval)

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
# **3.** Shuffled labels raise a score as much as the real ones do. What have the labels taught?
#
# <details><summary>Answer</summary>Nothing that the score shows.</details>
#
# ## Summary
#
# - An ablation changes one part and leaves all else as it was.
# - In a linear head on `(u, v)`, no term of a label's score compares the two sentences.
# - For the map, at one rate and on 1,500 pairs, real labels beat shuffled ones in every seed only where `|u - v|` had something beside it. The whole encoder, without that control, favours the same three over `(u, v)`, `|u - v|` and `u*v`.
# - Compare seed by seed, and count how often luck would look like that, over all comparisons you made. A bootstrap shows the luck of the test pairs.
# - The mean was ahead of max after NLI at 1e-4 and after STS scores. After the ranking loss the seeds disagreed about the two.
# - More right labels need not mean better vectors.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): section 6, table 6.
# - Reimers and Gurevych (2017), [Reporting score distributions makes a difference](https://arxiv.org/abs/1707.09861).
# - Efron (1979), [Bootstrap methods: another look at the jackknife](https://doi.org/10.1214/aos/1176344552).
# - Gururangan et al. (2018), [Annotation artifacts in natural language inference data](https://arxiv.org/abs/1803.02324).
#
# **Next:** notebook 08 loads encoders with sentence-transformers; notebook 09 keeps the encoder and changes the loss.
