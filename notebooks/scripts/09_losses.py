# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/09_losses.ipynb)
#
# # Which loss for which data?
#
# What your data say about sentences decides which losses you can use. Build five from toy numbers, and see what each does to the space.
#
# | | |
# |---|---|
# | You will be able to | name the loss for a data set; compute it by hand; read a space by alignment and uniformity; count the false negatives of a batch |
# | You need first | notebook 06: siamese networks, softmax and ranking loss; notebook 05: cosine, Spearman |
# | Time | 35 minutes to read; the code runs in about half a minute |
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
# `model` is trained here for seconds, on the groups of `data`. `guide` is a trained encoder that will judge what belongs together. `full` repeats the recorded trainings on a public set.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
guide = "course/sbert-mini"
data = "course/nli"
learning_rate = 2e-4
full = False

# %% [markdown]
# ## One group of sentences, five formats
#
# **Question.** What can a data set say about sentences?
#
# Take a premise of an NLI set with one hypothesis of each label: four sentences, five formats. An example here is a tuple of texts, with a number at the end where there is one. (sentence-transformers' old `InputExample` held the same; its trainer today takes a table.) A batch must become _columns_: all first texts, all second texts, all numbers.
#
# **Predict** which formats leave the neutral sentence out.

# %% tags=["row-4.7", "nbval-check-output"]
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from recipes.loss_comparison import LOSSES, examples, groups, measure, train_one

plt.rcParams["figure.dpi"] = 70                                         # keeps this file small
premise, entailed, neutral, contradicted = "A man plays a guitar on a stage.", "A man is making music.", "A man plays for friends.", "The stage is empty."
formats = {
    "labelled pairs": [(premise, entailed, 1), (premise, neutral, 2), (premise, contradicted, 0)],
    "scored pairs": [(premise, entailed, 1.0), (premise, neutral, 0.5), (premise, contradicted, 0.0)],
    "pairs of 0 and 1": [(premise, entailed, 1), (premise, neutral, 0), (premise, contradicted, 0)],
    "triplets": [(premise, entailed, contradicted)],
    "positives": [(premise, entailed)],
}

def collate(batch):
    """Examples -> columns: lists of texts, and numbers as a tensor (batch,)."""
    return [list(column) if isinstance(column[0], str) else torch.tensor(column) for column in zip(*batch)]

for kind, rows in formats.items():
    assert rows == examples(kind, [(premise, entailed, neutral, contradicted)])
    columns = next(iter(DataLoader(rows, batch_size=3, collate_fn=collate)))
    assert columns[0] == [premise] * len(rows) and all(len(column) == len(rows) for column in columns)
    print(f"{kind:17}", "  ".join(f"{len(c)} texts" if isinstance(c, list) else str(c.tolist()) for c in columns))

# %% [markdown]
# Where would the scores come from? NLI has none. Entailment 1, neutral 0.5, contradiction 0 is **made up**. Real scores are people's, as in STS data.
#
# ## Losses that look at one pair
#
# **Question.** A pair and a number: what should its cosine be?
#
# That score, says `CosineSimilarityLoss`, SBERT's regression objective: the mean squared difference of cosine and score. For labels 0 and 1 there is the *contrastive loss*: belonging pairs shall have distance 0, others at least a *margin*, the distance beyond which nothing more is asked. Distance is 1 - cosine here.
#
# **Predict** which of the three pairs costs nothing in the contrastive loss with margin 0.5.

# %% tags=["row-4.9", "nbval-check-output"]
from course_lib.finetuning.contrastive import ContrastiveLoss
from course_lib.losses import CosineSimilarityLoss

u = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])                  # (3 pairs, 2)
v = torch.tensor([[1.0, 1.0], [4.0, 3.0], [2.0, 0.0]])                  # (3 pairs, 2)
scores, labels = torch.tensor([1.0, 0.8, 0.0]), torch.tensor([1, 0, 0])

squared, contrastive = [], []
for a, b, score, label in zip(u.tolist(), v.tolist(), scores.tolist(), labels.tolist()):
    lengths = sum(x * x for x in a) ** 0.5 * sum(x * x for x in b) ** 0.5
    cosine = sum(x * y for x, y in zip(a, b)) / lengths
    squared.append((cosine - score) ** 2)
    contrastive.append((1 - cosine) ** 2 if label else max(0, 0.5 - (1 - cosine)) ** 2)

cosines = (F.normalize(u, dim=1) * F.normalize(v, dim=1)).sum(dim=1)    # (3, 2) -> (3,)
mse = (cosines - scores).square().mean()
pulled, pushed = (1 - cosines).square(), F.relu(0.5 - (1 - cosines)).square()
halved = torch.where(labels == 1, pulled, pushed).mean() / 2
assert torch.isclose(mse, torch.tensor(squared).mean()) and torch.isclose(mse, CosineSimilarityLoss()(u, v, scores))
assert torch.isclose(halved, torch.tensor(contrastive).mean() / 2) and torch.isclose(halved, ContrastiveLoss()(u, v, labels))
print("cosines    ", [round(x, 2) for x in cosines.tolist()])
print("squared    ", [round(x, 2) for x in squared], f" mean {mse:.3f}")
print("contrastive", [round(x, 2) for x in contrastive], f" half the mean {halved:.3f}")

# %% [markdown]
# The third pair: its distance is 1, beyond the margin. `OnlineContrastiveLoss` counts only a batch's hard pairs: belonging ones farther apart than the nearest stranger, and the reverse.
#
# ## Losses that compare
#
# **Question.** What if no cosine is prescribed, only which of two should be higher?
#
# *CoSENT* takes scored pairs, but reads only their order: wherever pair i has the higher score, its cosine should be higher than that of pair j. The *triplet loss* takes an anchor, a positive and a negative: the negative shall be farther away than the positive, by a margin.
#
# **Predict** what happens to each loss when all scores are divided by 5.

# %% tags=["row-3.5", "nbval-check-output"]
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.losses import TripletLoss

terms = [1.0]                                                           # log(1 + ...)
for i in range(3):
    for j in range(3):
        if scores[i] > scores[j]:                                       # so the cosine of i should be higher
            terms.append(torch.exp(20 * (cosines[j] - cosines[i])).item())
by_loop = torch.log(torch.tensor(sum(terms)))

excess = 20 * (cosines[None, :] - cosines[:, None])                     # (3, 3): j above i
ordered = scores[:, None] > scores[None, :]                             # (3, 3)
cosent = torch.cat([torch.zeros(1), excess[ordered]]).logsumexp(dim=0)
assert torch.isclose(cosent, by_loop) and torch.isclose(cosent, CoSENTLoss()(u, v, scores))
assert torch.equal(CoSENTLoss()(u, v, scores / 5), cosent) and CosineSimilarityLoss()(u, v, scores / 5) != mse
print(f"CoSENT {cosent:.3f}, with scores divided by 5 the same")

negatives = torch.tensor([[0.0, 1.0], [0.0, 5.0], [0.0, 0.0]])          # (3, 2)
by_loop = [max(0, torch.dist(a, p).item() - torch.dist(a, n).item() + 1) for a, p, n in zip(u, v, negatives)]
to_positive, to_negative = (u - v).norm(dim=1), (u - negatives).norm(dim=1)     # (3, 2) -> (3,)
triplet = F.relu(to_positive - to_negative + 1).mean()
assert torch.isclose(triplet, torch.tensor(by_loop).mean()) and torch.isclose(triplet, TripletLoss(margin=1.0)(u, v, negatives))
print("triplet", [round(x, 2) for x in by_loop], f"mean {triplet:.3f}")

# %% [markdown]
# A triplet with a loss of 0 teaches nothing more.
#
# ## A loss that makes its own negatives
#
# **Question.** What if you have only pairs that belong together?
#
# Questions with answers, titles with texts: most data are like that. If you only ask pairs to be close, one point for everything is perfect. The ranking loss (notebook 06) finds opposites in the batch: an anchor's *in-batch negatives* are the other anchors' positives. Hard negatives, such as contradictions, join the candidates.
#
# **Predict** the loss of an encoder that puts all sentences on one point, with 3 candidates, and with 6.

# %% tags=["nbval-check-output"]
from course_lib.losses import MultipleNegativesRankingLoss

def ranking_by_loop(anchors, candidates):
    losses = []
    for i, a in enumerate(anchors):
        logits = [20 * F.cosine_similarity(a, c, dim=0) for c in candidates]
        losses.append(-torch.stack(logits).log_softmax(dim=0)[i])       # anchor i should pick candidate i
    return torch.stack(losses).mean()

hard = torch.tensor([[0.2, 1.0], [1.0, 0.1], [-1.0, 0.5]])              # (3, 2)
point = torch.ones(3, 2)
for name, columns in (("positives only", (u, v)), ("with hard negatives", (u, v, hard)), ("one point", (point,) * 2), ("one point, hard", (point,) * 3)):
    anchors, candidates = columns[0], torch.cat(columns[1:])            # (3, 2), (3 or 6, 2)
    logits = 20 * F.normalize(anchors, dim=1) @ F.normalize(candidates, dim=1).T    # (3, 3 or 6)
    loss = F.cross_entropy(logits, torch.arange(3))
    assert torch.isclose(loss, ranking_by_loop(anchors, candidates)) and torch.isclose(loss, MultipleNegativesRankingLoss()(*columns))
    print(f"{name:20} {len(candidates)} candidates, loss {loss:.3f}")
assert torch.isclose(loss, torch.log(torch.tensor(6.0)))

# %% [markdown]
# On one point an anchor can only guess, which costs the logarithm of the number of candidates. So a larger batch is a harder task.
#
# **Predict**, before the figure: which loss still pushes a negative away that is already at a right angle?

# %% alt="Four panels with curves of the loss against a cosine. Cosine MSE: parabolas with their lowest points at the scores 1, 0.5 and 0. Contrastive: belonging pairs fall to zero at cosine 1, strangers are flat at zero below cosine 0.5. Triplet with cosine distance: flat at zero while the negative's cosine is below 0.3, then a straight line. Ranking: a smooth rise once the negative comes near the positive's cosine of 0.8, steep at scale 20 and gentle at scale 5."
from course_lib.plotting import LINES, PALETTE

grid = torch.linspace(-1, 1, 41)
anchor, other = torch.tensor([[1.0, 0.0]]), torch.stack([grid, (1 - grid**2).clamp(min=0).sqrt()], dim=1)     # (1, 2), (41, 2)
near = torch.tensor([[0.8, 0.6]])                                       # a positive with cosine 0.8
panels = {
    "Cosine MSE: a place for each score": {f"score {s}": lambda x, s=s: CosineSimilarityLoss()(anchor, x, torch.tensor([s])) for s in (1.0, 0.5, 0.0)},
    "Contrastive: far enough is enough": {f"label {y}": lambda x, y=y: ContrastiveLoss()(anchor, x, torch.tensor([y])) for y in (1, 0)},
    "Triplet: likewise, from the positive": {"margin 0.5": lambda x: TripletLoss("cosine", 0.5)(anchor, near, x)},
    "Ranking: never quite done": {f"scale {s}": lambda x, s=s: MultipleNegativesRankingLoss(s)(anchor, near, x) for s in (20.0, 5.0)},
}
figure, axes = plt.subplots(1, 4, figsize=(13, 2.7), layout="constrained")
for ax, (title, losses) in zip(axes, panels.items()):
    for i, (name, loss) in enumerate(losses.items()):
        ax.plot(grid, [loss(x[None]).item() for x in other], label=name, color=PALETTE[i], linestyle=LINES[i])
    if ax in axes[2:]:
        ax.axvline(0.8, color="grey", linewidth=0.8)                    # where the positive is
    ax.set(xlabel="cosine of the negative" if ax in axes[2:] else "cosine of the pair", ylabel="loss", ylim=(-0.05, 1.5))
    ax.set_title(title, fontsize="medium")
    ax.legend(fontsize=8)
plt.show()
assert panels["Triplet: likewise, from the positive"]["margin 0.5"](other[20:21]) == 0 < panels["Ranking: never quite done"]["scale 5.0"](other[20:21])

# %% [markdown]
# Cosine MSE alone pulls strangers _back_ that are too far apart. Contrastive and triplet loss stop at their margins. The ranking loss compares with the positive (grey line) and only fades.
#
# ## What a loss does to the space
#
# **Question.** How do you measure that?
#
# By two numbers of notebook 05, lower is better: **alignment**, the mean squared distance of pairs that mean the same, and **uniformity**, the logarithm of the mean of exp(-2 d²) over the distances d of all pairs, for vectors of length 1.
#
# **Predict** both for three encoders: one point for all; four corners, pairs together; four corners, pairs apart.

# %% tags=["nbval-check-output"]
from course_lib.evaluation import alignment, uniformity

corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])      # (4, 2)
for name, first, second in (("one point", torch.ones(4, 2), torch.ones(4, 2)), ("corners, pairs together", corners, corners),
                            ("corners, pairs apart", corners, corners.roll(1, dims=0))):
    apart = sum((a - b).square().sum() for a, b in zip(F.normalize(first, dim=1), F.normalize(second, dim=1))) / 4
    x = F.normalize(first, dim=1)                                       # (4, 2)
    spread = torch.stack([torch.exp(-2 * (x[i] - x[j]).square().sum()) for i in range(4) for j in range(i)]).mean().log()
    assert torch.isclose(apart, alignment(first, second)) and torch.isclose(spread, uniformity(first), atol=1e-6)
    print(f"{name:24} alignment {apart:.2f}   uniformity {spread:.2f}")

# %% [markdown]
# Either alone is won by a useless encoder. Now train twice on the bundled groups, from the same weights, with as many sentences read: once with made-up scores and cosine MSE, once with triplets and the ranking loss. Each step puts the texts of a batch through one encoder and hands its vectors to the loss, column by column. Measured on the bundled STS pairs (alignment: those with scores of 4 and more).
#
# **Predict** which of the two spreads the sentences more.

# %% tags=["row-2.18"]
from course_lib.data import load_results
from course_lib.encoder import SentenceEncoder

torch.set_num_threads(1)
recorded = load_results("09")

def values(experiment, setting, on, metric):
    """The recorded values of all seeds."""
    return recorded.query("experiment == @experiment and setting == @setting and data == @on and metric == @metric").value.tolist()

trained, space = {"before": SentenceEncoder.load(model, dtype="float32")}, {}      # encoders, and what is measured of them
for name in ("cosine MSE", "ranking, hard negatives"):
    trained[name], history = train_one(name, groups(data), learning_rate, seed, model)
    print(f"{name}: {history[-1]['step']} steps, {history[-1]['seconds']:.0f} s")
for name, encoder in trained.items():
    space[name] = measure(encoder, "course/sts")
    print(f"{name:24}", "   ".join(f"{metric} {value:.2f}" for metric, value in space[name].items()))
    if name != "before" and (model, data, learning_rate) == ("course/bert-mini", "course/nli", 2e-4):
        for metric, slack in (("spearman", 3.0), ("uniformity", 0.3)):
            band, live = values("bundled", name, "course/sts", metric), space[name][metric] * (100 if metric == "spearman" else 1)
            assert min(band) - slack < live < max(band) + slack, (name, metric, live, band)
order = [space[name]["spearman"] for name in ("cosine MSE", "before", "ranking, hard negatives")]
assert (model, data) != ("course/bert-mini", "course/nli") or order == sorted(order)

# %% [markdown]
# Both runs lie in the recorded band. Both losses spread the sentences, the ranking loss much more. Similar pairs drift apart, too (alignment grows), but less than strangers, so the order improves. Cosine MSE makes the order _worse_ than before training. It learnt what you told it, and you told it that a contradiction is worth as little as a stranger.

# %% alt="Three histograms of cosines, of sentence pairs with a score of 4 and more, and of sentences from different pairs. Before training both lie between 0.3 and 1 and overlap. After cosine MSE they are a little lower and overlap more. After the ranking loss the different pairs lie around 0.3 and the alike pairs stay mostly above 0.5."
from course_lib.data import load_sts
from course_lib.plotting import histogram
from course_lib.similarity import cos_sim

pairs = load_sts("course/sts")
figure, axes = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained", sharex=True)
gaps = {}
for ax, (name, encoder) in zip(axes, trained.items()):
    first, second = (torch.from_numpy(encoder.encode([getattr(p, side) for p in pairs], show_progress_bar=False)) for side in ("sentence1", "sentence2"))
    cosines = cos_sim(first, second)                                    # (pairs, pairs)
    alike = cosines.diag()[torch.tensor([p.score >= 0.8 for p in pairs])]
    strangers = cosines[~torch.eye(len(pairs), dtype=torch.bool)][::50] # first and second sentence of different pairs
    gaps[name] = ((alike.mean() - strangers.mean()) / strangers.std()).item()
    histogram({"score 4 and more": alike, "different pairs": strangers}, f"{name}:\napart by {gaps[name]:.1f} deviations", ax=ax)
plt.show()

# %% [markdown]
# Different pairs move left most under the ranking loss. What counts is the gap between the heaps, in standard deviations of the different pairs.

# %% alt="Three scatter plots of forty sentences on four topics, projected to their two main directions: before training, after cosine MSE, after the ranking loss. In all three football and cooking lie on opposite sides. After the ranking loss, football, weather and cooking form clearer groups than after cosine MSE, and money stays scattered."
from course_lib.support.tables import find, read_tsv
from course_lib.plotting import scatter

topics, sentences = zip(*[row for _, row in read_tsv(find("course/sentences"), "topic", "sentence")])
shown = [i for i, topic in enumerate(topics) if topic in ("cooking", "football", "money", "weather")]
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, (name, encoder) in zip(axes, trained.items()):
    vectors = F.normalize(torch.from_numpy(encoder.encode([sentences[i] for i in shown], show_progress_bar=False)), dim=1)       # (40, dim)
    centred = vectors - vectors.mean(dim=0)
    _, lengths, axes_of = torch.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes_of[:2].T                                     # (40, dim) @ (dim, 2) -> (40, 2)
    nearest = (cos_sim(vectors, vectors) - 2 * torch.eye(len(shown))).argmax(dim=1)
    same = sum(topics[shown[i]] == topics[shown[j]] for i, j in enumerate(nearest.tolist()))
    scatter(plane, [topics[i] for i in shown], f"{name}:\n{same} of {len(shown)} beside their topic", ax=ax)
    handles = ax.get_legend_handles_labels()
    ax.get_legend().remove()
figure.legend(*handles, loc="outside right center")
plt.show()

# %% [markdown]
# A plane shows little of so many dimensions, so the titles count, in all of them, nearest neighbours of the same topic.
#
# ## One budget for all
#
# **Question.** Which loss makes the most of the same sentences?
#
# `recipes/loss_comparison.py` trained with each loss on public data (SNLI), three seeds; the cell shows what it **recorded**. Equal for all: the premises of a seed, the start, the number of sentences read, in all and per step, learning rate and schedule. Not equal, because the formats are not: pairs show each premise with three hypotheses, triplets with two, positives with one.
#
# **Predict** the order of softmax, cosine MSE and ranking.

# %% tags=["row-1.34", "row-4.8"] alt="Two panels. Left, one row a loss, a point for each seed on the axis of Spearman correlation on STSb dev: both ranking losses and CoSENT lie far to the right of the dashed line of the model before training, both contrastive losses and triplet with Euclidean distance a little to the right of it, triplet with cosine distance about the line, cosine MSE a little and softmax clearly to the left. Right, alignment against uniformity: CoSENT alone at the upper left, near zero in both; triplet with cosine distance and the ranking losses lowest; softmax above them."
from course_lib.plotting import MARKERS
if full:                                                                # needs COURSE_DATA; half an hour
    import pandas as pd
    from recipes.loss_comparison import RUNS, rows_of, run
    again = pd.DataFrame([row for key in RUNS if key[0] == "snli" for row in rows_of(*key, run(*key))]).astype({"value": float})
    recorded = pd.concat([recorded.query("experiment != 'snli'"), again])
on, found = "stsbenchmark/dev", {}
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for name in reversed([name for name in LOSSES if len(values("snli", name, on, "spearman")) >= 3]):
    found[name] = values("snli", name, on, "spearman")
    kind = list(formats).index(LOSSES[name][0])
    style = dict(color=PALETTE[kind], marker=MARKERS[kind], linestyle="none")
    left.plot(found[name], [name] * len(found[name]), **style)
    mean = [sum(values("snli", name, on, m)) / len(found[name]) for m in ("alignment", "uniformity")]
    right.plot(*mean, **style, label=LOSSES[name][0])
    right.annotate(name, mean, fontsize=8, xytext=(6, -9 if name == "ranking" else 2), textcoords="offset points")
left.axvline(before := values("untrained", "untrained", on, "spearman")[0], color="grey", linestyle="--")
left.set(title="The ranking losses and CoSENT gain, softmax loses", xlabel="Spearman x 100 on STSb dev; dashed: before training")
right.set(title="What each does to the space (lower left is best)", xlabel="alignment", ylabel="uniformity", xmargin=0.25)
named = dict(zip(*reversed(right.get_legend_handles_labels())))
right.legend(named.values(), named.keys(), fontsize=8)
plt.show()

# %%
later = found["ranking"] + found["ranking, hard negatives"] + found["CoSENT"]
others = [value for name, seeds in found.items() if name not in ("ranking", "ranking, hard negatives", "CoSENT") for value in seeds]
print(f"before training {before:.1f}; " + "; ".join(f"{name} {sum(seeds) / len(seeds):.1f}" for name, seeds in reversed(found.items())))
print(f"worst run of the ranking losses and CoSENT {min(later):.1f}, best of all others {max(others):.1f}")
assert min(later) > max(others) and max(found["softmax"] + found["cosine MSE"]) < before
assert all(abs(sum(seeds) / 3 - before) < 2 for name, seeds in found.items() if name.startswith(("triplet", "contrastive", "online")))

# %% [markdown]
# The ranking losses gain most, and CoSENT nearly as much: the worst run of the three is better than the best of all others. The contrastive and the triplet losses end within two points of where they began. Softmax and cosine MSE end below it. Softmax pays for a head that starts untrained (notebook 06 fits the head first, and gains); cosine MSE learns the scores that we made up. CoSENT has the best alignment and the worst uniformity: it moved _all_ cosines towards 1, and kept their order. All nine had the same learning rate; another one may suit some of them better.
#
# ## False negatives
#
# **Question.** What if another anchor's positive is right for you, too?
#
# Then the ranking loss pushes apart what belongs together: a *false negative*. In the batch below two pictures occur twice, with other captions. If you know where texts come from, a fixed rule finds them: same picture. If not, another encoder, a *guide*, marks what it finds nearer to the anchor than its own positive.
#
# **Predict** how many cells of the matrix the rule marks.

# %% alt="Heatmap of the cosines of seven captions, the anchors, with seven others, their positives. The diagonal is dark red. Four boxed cells off the diagonal, two for the dog and two for the chef, are about as dark; all other cells are pale."
from matplotlib.patches import Rectangle
from course_lib.plotting import heatmap

captions = [("dog", "A dog runs along the beach.", "A brown dog is running on the sand."), ("chef", "A chef cuts an onion.", "A cook is slicing vegetables."),
            ("bus", "People wait for a bus in the rain.", "A crowd stands at a wet bus stop."), ("dog", "A wet dog near the sea.", "The dog plays on the beach."),
            ("girl", "A girl reads on a sofa.", "A child with a book sits on a couch."), ("chef", "A man in a white hat prepares food.", "The chef is at work in his kitchen."),
            ("bike", "A man repairs a bicycle.", "Somebody is fixing a bike.")]
pictures, anchors, positives = zip(*captions)
judge = SentenceEncoder.load(guide, dtype="float32")
cosines = cos_sim(*(judge.encode(list(side), show_progress_bar=False) for side in (anchors, positives)))     # (7, 7)
n = len(captions)
by_loop = [[i != j and pictures[i] == pictures[j] for j in range(n)] for i in range(n)]
number = torch.tensor([pictures.index(p) for p in pictures])                        # (7,): one number a picture
by_rule = (number[:, None] == number[None, :]) & ~torch.eye(n, dtype=torch.bool)    # (7, 7)
by_guide = (cosines > cosines.diag()[:, None])                                      # (7, 7): nearer than the own positive
assert by_rule.tolist() == by_loop
ax = heatmap(cosines, labels=list(anchors), title="Boxed: another caption of the same picture, and yet a negative")
for i, j in by_rule.nonzero().tolist():
    ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, linewidth=3))
plt.show()
print(f"{by_rule.sum()} of {n * (n - 1)} negatives are false by the rule; the guide marks {by_guide.sum()}, {(by_guide & by_rule).sum()} of them by the rule, too")
assert cosines[by_rule].mean() > cosines[~by_rule & ~torch.eye(n, dtype=torch.bool)].mean() + 0.2

# %% [markdown]
# The boxed cells are as dark as the diagonal, and the loss tears just these apart. The guide misses what is a little farther than the own positive.
#
# The recipe counted them in batches of SNLI (a premise and what it entails) and of captions (two of one picture); its guide was all-MiniLM-L6-v2.
#
# **Predict** how the number per anchor grows from a batch of 64 to one of 512.

# %% alt="Two panels with logarithmic axes, SNLI and captions: false negatives an anchor against the number of pairs in the batch. In both panels three nearly straight rising lines: nearer than the positive by the guide is highest, the fixed rule and the guide's cosine above 0.8 lie far below."
from course_lib.plotting import curve

counted = {key: dict(zip(rows.n, rows.value)) for key, rows in recorded.query("experiment == 'false negatives'").groupby(["data", "setting", "metric"])}
names = {"rule": "same source or same text", "teacher, nearer than the positive": "guide: nearer than the positive", "teacher, cosine above 0.8": "guide: cosine > 0.8"}
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
for ax, on in zip(axes, ("snli/train", "captions/flickr30k")):
    for how, name in names.items():
        counts = counted[on, how, "false negatives an anchor"]
        sizes = [size for size, count in counts.items() if count > 0]
        curve(sizes, [counts[size] for size in sizes], name, ax=ax)
        assert counts[512] > counts[64] and ("nearer" not in how or 6 < counts[512] / counts[64] < 10)     # 8 times the candidates
        print(f"{on:18} {name:31} " + "   ".join(f"{size}: {counts[size]:.4f}" for size in (16, 64, 512)))
    ax.set(xscale="log", yscale="log", xlabel="pairs in the batch", title=on)
    ax.set_xticks(list(counts), list(counts), minor=False)
    ax.set_xticks([], minor=True)
axes[0].set_ylabel("false negatives an anchor")
plt.show()

# %% [markdown]
# All grow about in proportion to the batch. The rule finds few, since sources are many; the guide marks tens to hundreds of times as many. Captions of different pictures can mean the same, and no rule knows. Or the guide exaggerates.
#
# Is the guide right? The bundled groups tell: many are twins about one situation, so a sentence that one premise entails is often a hypothesis of another, _with a label_.

# %%
rows = groups(data)
place = {row[1]: j for j, row in enumerate(rows)}                       # an entailed sentence -> its row
judged = [(i, place[text], label) for i, row in enumerate(rows) for text, label in zip(row[2:], ("neutral", "contradiction")) if text in place]
cosines = cos_sim(*(judge.encode([row[i] for row in rows], show_progress_bar=False) for i in (0, 1)))       # (groups, groups)
nearer = cosines > cosines.diag()[:, None]
flagged = [(i, j, label) for i, j, label in judged if nearer[i, j]]
others = len(rows) * (len(rows) - 1)
print(f"nearer than the positive: {100 * nearer.sum() / others:.1f} % of all {others:,} candidates, "
      f"and {len(flagged)} of {len(judged)} that the file calls neutral or contradiction")
for i, j, label in sorted(flagged, key=lambda found: -cosines[found[0], found[1]])[:3]:
    print(f"  {cosines[i, j]:.2f} (own {cosines[i, i]:.2f})  {rows[i][0]} / {rows[j][1]}  [{label}]")
assert not flagged or len(flagged) / len(judged) > nearer.sum() / others

# %% [markdown]
# These candidates do _not_ follow from the anchor: they are good hard negatives. Yet the guide marks more of them than of all candidates: twins share words. Where you know your texts' sources, use the rule.
#
# ## Which loss for which data
#
# | your data | loss | what it asks | mind |
# |---|---|---|---|
# | pairs with a class (NLI) | `SoftmaxLoss` | a head can tell the classes | it never asks for a cosine; make triplets of them if you can |
# | pairs with scores (STS) | `CoSENTLoss`, `CosineSimilarityLoss` | order of the scores; their values | MSE needs scores between -1 and 1 |
# | pairs with 0 or 1 (duplicates) | `OnlineContrastiveLoss`, `ContrastiveLoss` | together, or beyond a margin | the margin fits a distance |
# | anchor, positive, negative | `MultipleNegativesRankingLoss`, `TripletLoss` | the positive first; nearer by a margin | margin, easy triplets |
# | pairs that belong together | `MultipleNegativesRankingLoss` | the own positive first in the batch | batch size, false negatives |
#
# You may read that one trains with cross-entropy or triplet loss, depending on whether you have pairs or classes. Rather: softmax is for _labelled_ pairs, triplet loss for triplets, the ranking loss for pairs alone. No loss fits everything.
#
# ## Now from the library
#
# All nine are in `course_lib`, the three of SBERT and the ranking loss in `losses`, the others in `finetuning`, under the names of sentence-transformers. Each runs here on its format with real vectors, in both libraries. The last lines are the step you trained with:

# %% tags=["nbval-check-output"]
import inspect

from course_lib.siamese import siamese_objective
from sentence_transformers.sentence_transformer import losses as reference

class Given(torch.nn.Module):                                           # stands for the model: it is given embeddings
    device = torch.device("cpu")
    def forward(self, features):
        return features

cosine = {"distance_metric": reference.TripletDistanceMetric.COSINE, "triplet_margin": 0.5}
for name, (kind, make) in LOSSES.items():
    torch.manual_seed(seed)
    loss = make(judge.get_embedding_dimension())
    columns = collate(examples(kind, groups("course/nli")[:8]))
    vectors = [torch.from_numpy(judge.encode(c, show_progress_bar=False)) for c in columns if isinstance(c, list)]    # (batch, dim) each
    numbers = columns[len(vectors) :]                                   # one tensor (batch,), or nothing
    made = type(loss).__name__
    options = {"softmax": {"embedding_dimension": judge.get_embedding_dimension(), "num_labels": 3}, "triplet, cosine": cosine}.get(name, {})
    theirs = getattr(reference, made)(Given(), **options)
    theirs.load_state_dict(loss.state_dict())                           # the softmax head; the others have no weights
    value, expected = loss(*vectors, *numbers), theirs([{"sentence_embedding": x} for x in vectors], *(numbers or [None]))
    assert torch.isclose(value, expected, atol=1e-5)
    print(f"{kind:17} {made:29} {len(vectors)} columns of texts: the same in both libraries")
print(inspect.getsource(siamese_objective))

# %% [markdown]
# ## A trap: scores from 0 to 5
#
# STS files score pairs from 0 to 5. Given as they are to cosine MSE, shapes fit and the loss falls. Six pairs of free vectors are trained on such scores, and on the same divided by 5.
#
# **Predict** the six cosines after each.

# %% tags=["nbval-check-output"]
scores = torch.arange(6.0)                                              # 0 to 5, as in the files
for name, targets in (("0 to 5", scores), ("0 to 1", scores / 5)):
    torch.manual_seed(seed)
    first, second = torch.randn(6, 8, requires_grad=True), torch.randn(6, 8, requires_grad=True)
    optimizer = torch.optim.Adam([first, second], lr=0.05)
    for _ in range(1000):
        loss = F.mse_loss(F.cosine_similarity(first, second), targets)  # what sentence-transformers computes
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    reached = F.cosine_similarity(first, second)
    print(f"scores {name}: loss {loss.item():.2f}, cosines {[round(x, 1) + 0 for x in reached.tolist()]}")
    assert torch.allclose(reached, targets.clamp(max=1), atol=0.05)

try:
    CosineSimilarityLoss()(first, second, scores)
except ValueError as error:
    print("course_lib:", error)
limit = TripletLoss()(F.normalize(first, dim=1), F.normalize(first, dim=1), -F.normalize(first, dim=1))
print(f"triplet loss with its default margin, on unit vectors, at its very best: {limit.item():.2f}")
assert torch.isclose(limit, torch.tensor(3.0), atol=1e-4)

# %% [markdown]
# A score of 1, same topic but another meaning, asks for the cosine 1, and so do 2 to 5: the grades are gone. `course_lib` refuses such scores, sentence-transformers does not. CoSENT would not mind.
#
# The last line is a cousin: a margin of 5 is for vectors of free length. On the unit sphere no distance exceeds 2, so no triplet is ever good enough.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` (440 MB) and `learning_rate = 2e-5`: minutes instead of seconds. `guide = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB) is the guide of the recorded counts: other cells may be marked. `full = True` repeats the recorded trainings.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says.
#
# **1.** The triplet loss with cosine distance, 1 - cosine.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def triplet_loss(anchors, positives, negatives, margin=0.5):
    """anchors, positives, negatives: (batch, dim) each -> the mean loss, a scalar tensor."""
    ...

check("09.1", triplet_loss)

# %% [markdown]
# **2.** Which candidates does a guide call false negatives? Those whose cosine with the anchor, in the guide's embeddings, is higher than that of the anchor's own positive. The own positive is none.

# %% tags=["exercise", "nbval-check-output"]
def false_negatives(anchors, positives):
    """The guide's embeddings, (batch, dim) each -> (batch, batch) of bool: row i, column j: candidate j is false for anchor i."""
    ...

check("09.2", false_negatives)

# %% [markdown]
# **3.** The ranking loss that leaves those candidates out. `mask` is what the second exercise returns.

# %% tags=["exercise", "nbval-check-output"]
def masked_ranking_loss(anchors, positives, mask, scale=20.0):
    """anchors, positives: (batch, dim) each; mask: (batch, batch) of bool, True where left out -> the mean loss, a scalar tensor."""
    ...

check("09.3", masked_ranking_loss)

# %% [markdown]
# ## Questions
#
# **1.** You have a million pairs of question and accepted answer, and a thousand pairs of questions that people scored from 0 to 5. Which losses, and in which order?
#
# <details><summary>Answer</summary>First the ranking loss on the million: it needs only belonging pairs. Then CoSENT, or cosine MSE with scores divided by 5, on the thousand, which say how alike.</details>
#
# **2.** A triplet loss falls to 0 after a few hundred steps, and the encoder is still poor. Why, and what helps?
#
# <details><summary>Answer</summary>The negatives were too easy, and a triplet with loss 0 has no gradient. Harder negatives help, or a ranking loss, which compares with all candidates of the batch and only fades.</details>
#
# **3.** You double the batch of a ranking loss on captions. What gets better, what worse?
#
# <details><summary>Answer</summary>More candidates are a harder task. But each anchor meets about twice as many false negatives. Keep captions of one picture in different batches, or mask them.</details>
#
# ## Summary
#
# - The format of your data decides: a class, a score, 0 or 1, which of two, or only that texts belong together.
# - At equal data the ranking losses gained most here, CoSENT nearly as much; positives alone were enough. Made-up scores teach what you made up.
# - Alignment and uniformity together show what a loss does; one alone can be bought with a useless space.
# - False negatives grow with the batch. Rules find few of them, guides mark hard negatives, too.
# - Scores and margins must fit the scale of what they are compared with.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084), section 3: classification, regression and triplet objectives.
# - Hadsell, Chopra and LeCun (2006), Dimensionality reduction by learning an invariant mapping: the contrastive loss.
# - Huang et al. (2024), [CoSENT](https://doi.org/10.1109/TASLP.2024.3402087).
# - Henderson et al. (2017), [Efficient natural language response suggestion](https://arxiv.org/abs/1705.00652): the ranking loss.
# - Wang and Isola (2020), [alignment and uniformity](https://arxiv.org/abs/2005.10242).
# - Solatorio (2024), [GISTEmbed](https://arxiv.org/abs/2402.16829): a guide for in-batch negatives.
#
# **Next:** notebook 10 builds networks from modules.
