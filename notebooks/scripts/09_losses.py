# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/09_losses.ipynb)
#
# # Which loss for which data?
#
# What your data say about texts decides which losses you can use.
#
# | | |
# |---|---|
# | You will be able to | choose a loss for a table of data; compute it by hand; build its table and its batches; compute the gradient of a large batch in little memory; find the rows and columns that teach the wrong thing |
# | You need first | notebook 06: siamese networks, softmax and ranking loss; notebook 05: cosine, Spearman |
# | Time | 40 minutes to read; the code runs in about a minute |
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
# `model` is the encoder that is trained, `data` its sentences. `guide` is a trained encoder that will judge which texts belong together.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
guide = "course/sbert-mini"
data = "course/nli"

# %% [markdown]
# ## The map
#
# **Question.** Which loss fits the data you have?
#
# | a row holds | for example | take first | what the loss asks |
# |---|---|---|---|
# | two texts that belong together | question, answer | `MultipleNegativesRankingLoss` | the own partner ranks first in the batch |
# | the same, with one or more texts that do not | question, answer, wrong answers | the same | it ranks before these, too |
# | two texts and a score | STS | `CoSENTLoss` | a pair with a higher score gets a higher cosine |
# | two texts and 0 or 1 | duplicate or not | `CoSENTLoss` | the same: 1 above 0 (`ContrastiveLoss`: together, or apart by a margin) |
# | two texts and a class | NLI | make rows of the second kind | (`SoftmaxLoss`: a classifier can tell the classes) |
# | one text and a class | tickets by topic | a classifier on the untouched encoder's vectors | (`BatchHardTripletLoss`: the own class is nearer than any other) |
# | texts alone | your documents | `MSELoss`, with vectors of a trained encoder as labels | the same vector (notebook 12) |
# | query, two texts, another model's scores | distillation | `MarginMSELoss` | the same difference of scores (notebook 12) |

# %%
import logging
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from course_lib.support.folders import resolve                      # first: it filters a warning of tqdm's
import datasets
import transformers
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
from recipes.loss_comparison import groups

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
datasets.disable_progress_bars()
logging.getLogger("sentence_transformers.base.sampler").setLevel(logging.ERROR)     # it tells of every last batch
torch.set_num_threads(1)
library = SentenceTransformer(str(resolve(model)), device="cpu").eval()
dim = library.get_embedding_dimension()
collator = SentenceTransformerDataCollator(library.preprocess)

def as_fed(table):
    """What the trainer feeds to a loss: the tokens of each column of texts, and the labels or None."""
    return SentenceTransformerTrainer.collect_features(None, collator(list(Dataset.from_dict(table))))

# %% tags=["row-2.18", "row-4.7", "nbval-check-output"]
premise, entailed, neutral, contradicted = "A man plays a guitar on a stage.", "A man is making music.", "A man plays for friends.", "The stage is empty."
other, answer, wrong, far = "Where is the lift?", "The lift is by the door.", "The lift is new.", "It rains."
together = {"anchor": [premise, other], "positive": [entailed, answer]}
pairs = {"sentence1": [premise] * 3, "sentence2": [entailed, neutral, contradicted]}
kinds = {
    "belong together": (together, losses.MultipleNegativesRankingLoss(library)),
    "with negatives": (together | {"negative_1": [neutral, wrong], "negative_2": [contradicted, far]}, losses.MultipleNegativesRankingLoss(library)),
    "pair and score": (pairs | {"score": [1.0, 0.5, 0.0]}, losses.CoSENTLoss(library)),
    "pair and 0 or 1": (pairs | {"label": [1, 0, 0]}, losses.CoSENTLoss(library)),
    "pair and class": (pairs | {"label": [1, 2, 0]}, losses.SoftmaxLoss(library, dim, num_labels=3)),
    "text and class": ({"text": [premise, entailed, other, answer], "label": [0, 0, 1, 1]}, losses.BatchHardTripletLoss(library)),
    "texts alone": ({"text": [premise, other], "label": library.encode([premise, other]).tolist()}, losses.MSELoss(library)),
    "a teacher's scores": ({"query": [premise], "text1": [entailed], "text2": [far], "score": [0.7]}, losses.MarginMSELoss(library)),
}
for kind, (table, loss) in kinds.items():
    features, labels = as_fed(table)
    value = loss(features, labels)
    assert value.ndim == 0 and value.isfinite() and (labels is None) == (len(features) == len(table))
    print(f"{kind:19} {', '.join(table):41} {len(features)} of texts  {type(loss).__name__}")

# %% [markdown]
# NLI has, for each premise, a sentence that follows from it, one that may be true and one that contradicts it. That makes three pairs with a class, a score, or 0 or 1; or one triplet; or one pair that belongs together. The scores 1, 0.5 and 0 are **made up**: NLI has none.
#
# ## Losses that look at one pair
#
# **Question.** A pair and a number: what should its cosine be?
#
# Let $c_i$ be the cosine of pair $i$ and $y_i$ its number. `CosineSimilarityLoss`, here called cosine MSE, wants the cosine to be the score: the mean of $(c_i - y_i)^2$.
#
# The *contrastive loss* is for labels 0 and 1. With the distance $d_i = 1 - c_i$, a pair that belongs together ($y_i = 1$) costs $d_i^2$. Any other costs $\max(0, m - d_i)^2$. The loss is half the mean. The *margin* $m$ is the distance beyond which nothing more is asked.

# %% tags=["row-4.9", "nbval-check-output"]
from course_lib.finetuning.contrastive import ContrastiveLoss
from course_lib.losses import CosineSimilarityLoss

u = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])                  # (3 pairs, 2)
v = torch.tensor([[1.0, 1.0], [4.0, 3.0], [2.0, 0.0]])                  # (3 pairs, 2)
scores, labels = torch.tensor([1.0, 0.8, 0.0]), torch.tensor([1, 0, 0])

def cosine_by_hand(a, b):
    return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5

by_hand = [cosine_by_hand(a, b) for a, b in zip(u.tolist(), v.tolist())]
squared = [(c - y) ** 2 for c, y in zip(by_hand, scores.tolist())]
contrastive = [(1 - c) ** 2 if y else max(0, 0.5 - (1 - c)) ** 2 for c, y in zip(by_hand, labels.tolist())]

cosines = F.cosine_similarity(u, v)                                     # (3, 2), (3, 2) -> (3,)
mse = (cosines - scores).square().mean()
halved = torch.where(labels == 1, (1 - cosines).square(), F.relu(0.5 - (1 - cosines)).square()).mean() / 2
assert torch.isclose(mse, torch.tensor(squared).mean()) and torch.isclose(halved, torch.tensor(contrastive).mean() / 2)
assert torch.isclose(mse, CosineSimilarityLoss()(u, v, scores)) and torch.isclose(halved, ContrastiveLoss()(u, v, labels))
print("cosines    ", [round(x, 2) for x in by_hand])
print("squared    ", [round(x, 2) for x in squared], f" mean {mse:.3f}")
print("contrastive", [round(x, 2) for x in contrastive], f" half the mean {halved:.3f}")

# %% [markdown]
# In the contrastive loss the third pair costs nothing: its distance is 1, beyond the margin of 0.5.
#
# ## Losses that compare
#
# **Question.** What if no cosine is prescribed, only which of two should be higher?
#
# *CoSENT* reads only the order of the scores. Wherever pair $i$ has a higher score than pair $j$, the sum grows with $c_j - c_i$:
#
# $$\log\Big(1 + \sum_{y_i > y_j} e^{20\,(c_j - c_i)}\Big)$$
#
# The *triplet loss* takes an anchor, a positive and a negative, and asks that the negative is farther from the anchor by a margin: $\max(0,\, d(a, p) - d(a, n) + m)$.
#
# **Predict** what happens to CoSENT and to cosine MSE when all scores are divided by 5.

# %% tags=["nbval-check-output"]
from course_lib.finetuning.cosent import CoSENTLoss

terms = [1.0]
for i in range(3):
    for j in range(3):
        if scores[i] > scores[j]:                                       # so the cosine of i should be higher
            terms.append(torch.exp(20 * (cosines[j] - cosines[i])).item())

excess = 20 * (cosines[None, :] - cosines[:, None])                     # (3, 3): by how much j is above i
ordered = scores[:, None] > scores[None, :]                             # (3, 3)
cosent = torch.log(1 + excess[ordered].exp().sum())
assert torch.isclose(cosent, torch.tensor(sum(terms)).log()) and torch.isclose(cosent, CoSENTLoss()(u, v, scores))
smaller = CoSENTLoss()(u, v, scores / 5), CosineSimilarityLoss()(u, v, scores / 5)
print(f"CoSENT     {cosent:.3f}, with scores divided by 5: {smaller[0]:.3f}")
print(f"cosine MSE {mse:.3f}, with scores divided by 5: {smaller[1]:.3f}")
assert torch.equal(smaller[0], CoSENTLoss()(u, v, scores)) and smaller[1] != mse

# %% [markdown]
# CoSENT does not change, since the order is the same.
#
# ## A loss that makes its own negatives
#
# **Question.** What if you have only pairs that belong together?
#
# The ranking loss (notebook 06) finds opposites in the batch: an anchor's *in-batch negatives* are the positives of the other anchors. Hard negatives, in one column or several, join the candidates. With $s = 20$ and all candidates $k$, anchor $i$ costs
#
# $$-\log \frac{e^{s \cos(a_i, p_i)}}{\sum_k e^{s \cos(a_i, k)}}$$
#
# **Predict** the loss of an encoder that puts all sentences on one point, with 3 candidates and with 9.

# %% tags=["nbval-check-output"]
from course_lib.losses import MultipleNegativesRankingLoss, TripletLoss

def ranking_by_loop(anchors, candidates):
    each = []
    for i, a in enumerate(anchors):
        exps = [torch.exp(20 * F.cosine_similarity(a, c, dim=0)) for c in candidates]
        each.append(-torch.log(exps[i] / sum(exps)))                    # anchor i should pick candidate i
    return sum(each) / len(each)

hard, harder = torch.tensor([[0.2, 1.0], [1.0, 0.1], [-1.0, 0.5]]), torch.tensor([[0.9, 0.2], [1.0, 1.0], [0.1, 1.0]])
point = torch.ones(3, 2)
batches = {"positives only": (u, v), "two negatives a row": (u, v, hard, harder), "one point": (point,) * 2, "one point, two negatives": (point,) * 4}
for name, columns in batches.items():
    candidates = torch.cat(columns[1:])                                 # (3 or 9, 2)
    logits = 20 * F.normalize(columns[0], dim=1) @ F.normalize(candidates, dim=1).T     # (3, 3 or 9)
    loss = F.cross_entropy(logits, torch.arange(3))
    assert torch.isclose(loss, ranking_by_loop(columns[0], candidates)) and torch.isclose(loss, MultipleNegativesRankingLoss()(*columns))
    print(f"{name:25} {len(candidates)} candidates, loss {loss:.3f}")
assert torch.isclose(loss, torch.tensor(9.0).log())

# %% [markdown]
# On one point an anchor can only guess, at the cost of the logarithm of the number of candidates.
#
# **Predict**, before the figure: which loss still pushes a negative that is already at a right angle to its anchor?

# %% alt="Four panels with curves of the loss against a cosine. Cosine MSE: parabolas with their lowest points at the scores 1, 0.5 and 0. Contrastive: belonging pairs fall to zero at cosine 1, other pairs are flat at zero below cosine 0.5. Triplet with cosine distance: flat at zero while the negative's cosine is below 0.3, then a straight line. Ranking: a smooth rise once the negative comes near the positive's cosine of 0.8, steep at scale 20 and gentle at scale 5."
from course_lib.plotting import LINES, PALETTE

grid = torch.linspace(-1, 1, 41)
anchor, turned = torch.tensor([[1.0, 0.0]]), torch.stack([grid, (1 - grid**2).clamp(min=0).sqrt()], dim=1)     # (1, 2), (41, 2)
near = torch.tensor([[0.8, 0.6]])                                       # a positive with cosine 0.8
panels = {
    "Cosine MSE: one best cosine": {f"score {s}": lambda x, s=s: CosineSimilarityLoss()(anchor, x, torch.tensor([s])) for s in (1.0, 0.5, 0.0)},
    "Contrastive: far enough is enough": {name: lambda x, y=y: ContrastiveLoss()(anchor, x, torch.tensor([y])) for name, y in (("together", 1), ("not", 0))},
    "Triplet: also far enough": {"margin 0.5": lambda x: TripletLoss("cosine", 0.5)(anchor, near, x)},
    "Ranking: it fades": {f"scale {s:.0f}": lambda x, s=s: MultipleNegativesRankingLoss(s)(anchor, near, x) for s in (20.0, 5.0)},
}
figure, axes = plt.subplots(1, 4, figsize=(13, 3), layout="constrained", sharey=True)
for ax, (title, curves) in zip(axes, panels.items()):
    for i, (name, loss) in enumerate(curves.items()):
        ax.plot(grid, [loss(x[None]).item() for x in turned], label=name, color=PALETTE[i], linestyle=LINES[i])
    if ax in axes[2:]:
        ax.axvline(0.8, color="grey", linewidth=0.8, label="the positive")
    ax.set(xlabel="cosine of the negative" if ax in axes[2:] else "cosine of the pair", ylabel="loss" if ax is axes[0] else "", ylim=(-0.05, 1.5))
    ax.set_title(title, fontsize="medium")
    ax.legend(fontsize=8, loc="upper left" if ax in axes[2:] else "upper right")
plt.show()
push = {name: torch.autograd.functional.jacobian(curve, torch.tensor([[0.0, 1.0]])).norm()
        for title in list(panels)[2:] for name, curve in panels[title].items()}
print("push on a negative at a right angle:", ", ".join(f"{name} {value:.0e}" for name, value in push.items()))
assert push["margin 0.5"] == 0 < push["scale 20"] < 1e-5 and push["scale 5"] > 0.05

# %% [markdown]
# Cosine MSE even pulls back what is too far apart. Contrastive and triplet loss stop at their margins. The ranking loss never quite stops, but at scale 20 the push is next to nothing.
#
# ## The same sentences, three learning rates
#
# **Question.** Which loss does harm?
#
# A fair comparison gives each loss several learning rates and seeds. So the encoder stays _frozen_, and only a square layer behind it is trained. It begins as the identity, which changes nothing. The layer can learn little, but it shows which losses harm such a layer.
#
# Bundled groups of NLI teach; bundled STS pairs measure. `recipes/loss_layers.py` **recorded** five seeds, and the notebook repeats one.

# %%
import inspect
from course_lib.data import load_sts
from course_lib.datasets.questions import load_questions
from course_lib.encoder import SentenceEncoder
from recipes.loss_layers import HALVES, LAYERS, MAKERS, RATES, freeze, half_rows, layer_rows, order, recorded, train_layer

default = (model, guide, data) == ("course/bert-mini", "course/sbert-mini", "course/nli")       # what is claimed below
nli = groups(data)                                                      # (premise, entailed, neutral, contradicted) each
graded = [(p.sentence1, p.sentence2, p.score) for p in load_sts("course/sts")]
encoder = SentenceEncoder.load(model, dtype="float32")
frozen = freeze(encoder, nli + graded)                                  # each text once, with its vector
premises, *hypotheses = map(frozen.of, zip(*nli))                       # (groups, dim) each
apart = [round(1 - F.cosine_similarity(premises, x).mean().item(), 2) for x in hypotheses]
print(f"{len(nli)} groups, {len(graded)} graded pairs; before training, Spearman x 100 is {(before := 100 * order(frozen, graded)):.1f}")
print("mean distance from the premise before training: entailed {}, neutral {}, contradicted {}\n".format(*apart))
assert not default or 0.1 < apart[0] < apart[1] < 0.25 and abs(apart[2] - apart[0]) < 0.02
print(inspect.getsource(train_layer))

# %% [markdown]
# A contradiction begins as near as an entailed sentence, and the contrastive loss pushes it away up to its margin. Where none is named, contrastive and triplet loss have the margin 0.5; with margin 0 the contrastive loss pushes nothing apart.
#
# Rows called _shuffled_ are controls: classes, scores or positives were dealt out anew.
#
# **Predict** which losses a large rate harms most, and what shuffling does to softmax.

# %% tags=["row-4.8"] alt="Fifteen rows, one a loss, sorted by what is left at the largest rate; in each a point of this run and a pale bar of five recorded seeds, in three colours and markers for three learning rates, on the axis of Spearman correlation; a dashed line at 73.6 marks the state before training; the names of shuffled controls stand in brackets. In the upper rows CoSENT, contrastive with margins 0 and 0.1, ranking and softmax stay close to the line at all rates, and so do CoSENT and softmax with shuffled scores or labels. In the lowest five, contrastive with its default margin, triplet with either margin, ranking with shuffled positives and cosine MSE move to the left as the rate grows, to between 64 and 71."
from course_lib.plotting import MARKERS

def reached(pairs, trials):
    """Trains a layer for each trial at each rate: {name: Spearman x 100 of the pairs, (rates,)}."""
    layers = {name: [train_layer(frozen, *trial, rate, seed) for rate in RATES] for name, trial in trials.items()}
    return {name: 100 * torch.tensor([order(frozen, pairs, layer) for layer in some]) for name, some in layers.items()}

def dots(ax, rows, bands, start):
    """rows: {name: this run, (rates,)}; bands: {name: recorded, (seeds, rates)}; the first on top."""
    for i, (name, values) in enumerate(reversed(rows.items())):
        for k, rate in enumerate(RATES):
            ends, y = [bands[name][:, k].min(), bands[name][:, k].max()], i + 0.22 * (1 - k)
            ax.plot(ends, [y, y], color=PALETTE[k], linewidth=4, alpha=0.35, label=f"{rate:g}, five seeds" if i == 0 else None)
            ax.plot(values[k], y, MARKERS[k], color=PALETTE[k], label=f"{rate:g}, this run" if i == 0 else None)
    ax.axvline(start, color="grey", linestyle="--", label="before training")
    ax.set_yticks(range(len(rows)), [f"({name})" if "shuffled" in name else name for name in reversed(rows)])
    ax.legend(title="rate", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))

known = recorded("layer")
LAYERS = sorted(LAYERS, key=lambda name: -known[name][:, -1].mean())    # least harmed by the largest rate first
found = reached(graded, {name: layer_rows(name, nli, seed) for name in LAYERS})
_, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
dots(ax, found, known, before)
ax.set(xlabel="Spearman x 100 on 328 graded pairs", title="Three losses tear the order apart; a small contrastive margin does not")
plt.show()

# %% [markdown]
# At the largest rate, cosine MSE, triplet and contrastive loss lose three points and more, on average. Too wide a margin does harm here: with 0.1 or none the contrastive loss keeps the order, and with 0.05 the triplet loss loses half as much.
#
# To keep the order is not to learn: softmax and CoSENT keep it as well with shuffled labels or scores.
#
# And if the whole encoder learns? `recipes/loss_comparison.py` trained it on premises of SNLI: 7,488 sentences read, one learning rate, 2e-4, three seeds. STSb dev measures.
#
# **Predict** which losses end below the encoder before training, and where the shuffled ones end.

# %% tags=["row-1.34", "row-3.5"]
from course_lib.data import load_results

if default and seed < 5:                                                # seeds 0 to 4 were recorded
    off = max((found[name] - known[name][seed]).abs().max().item() for name in found)
    print(f"the points of this run and of the same seed as recorded are at most {off:.2f} apart\n")
table = load_results("09").query("data == 'stsbenchmark/dev'").groupby(["metric", "setting"]).value.agg(["mean", "min", "max"])
whole, closeness = table.loc["spearman"], table.loc["mean cosine"]
print(f"{'':26}the layer, three rates   the whole encoder")
for name in ["untrained", *LAYERS]:
    text = f"{name:26}{'  '.join(f'{x:.1f}' for x in known[name].mean(dim=0).tolist()):25}"
    if name in whole.index:
        mean, lowest, highest = whole.loc[name]
        text += f"{mean:.1f} ({lowest:.1f} to {highest:.1f}), mean cosine of any two sentences {closeness.loc[name, 'mean']:.2f}"
    print(text)
torn, leading = ["cosine MSE", "triplet, cosine", "contrastive"], ["CoSENT", "ranking", "ranking, hard negatives"]
kept = [name for name in LAYERS if name not in [*torn, "triplet, margin 0.05", "ranking, shuffled"]]
means, begun = {name: of.mean(dim=0) for name, of in known.items()}, known["untrained"].mean()             # (rates,) each; a scalar
assert all((known[name][:, 2] < begun - 1.5).all() for name in torn) and all(means[name].min() > begun - 1.6 for name in kept)
assert max(of.max() for of in means.values()) < begun + 1 and means["ranking, shuffled"][2] < begun - 5 and means["triplet, margin 0.05"][2] > means["triplet, cosine"][2] + 3
assert all((means[name] - means[f"{name}, shuffled"]).abs().max() < 1 for name in ("softmax", "CoSENT", "CoSENT, 0 and 1"))
assert whole.loc[leading, "min"].min() > whole.drop(leading)["max"].max() and closeness.loc["CoSENT", "min"] > 0.9
assert whole.loc[["softmax", "cosine MSE"], "max"].max() < whole.loc["untrained", "min"] < whole.loc[["contrastive", "contrastive, margin 0.1"], "min"].min()
assert whole.loc["softmax, shuffled", "max"] > whole.loc["softmax", "min"] and whole.loc[["ranking, shuffled", "CoSENT, shuffled"], "max"].max() < whole.loc["untrained", "min"] - 10
assert abs(whole.loc["ranking", "mean"] - whole.loc["ranking, hard negatives", "mean"]) < 0.5

# %% [markdown]
# At this one rate, both ranking losses and CoSENT on scores lead: the worst of their runs beats the best of all others. Hard negatives added nothing here. On 0 and 1, CoSENT ends above the contrastive loss on average, but their runs overlap. With shuffled rows, ranking and CoSENT on scores put all sentences on nearly one point: they had gained from the right partners and the right order, although the scores were made up. Triplet ends on either side of the untrained encoder. Softmax, like cosine MSE, ends below it, and its runs overlap with the shuffled ones: after so few sentences, this measure does not show whether it learnt from the classes.
#
# **The layer, taught and measured on other sentences, did not foretell this.** There no loss gained a point, the contrastive loss tore the order, and softmax kept it. Of these two, only the contrastive loss ends above the untrained encoder, by about a point with either margin, and it had no shuffled control. The later sections train a layer again: take their gains as hints.
#
# ## Made-up scores and real ones
#
# **Question.** Is cosine MSE bad, or were its scores?
#
# Half of the graded pairs, drawn by the seed, train the layer; the other half measures. Controls are NLI with _kinder_ scores, 1, 0.8 and 0.6; real scores _shuffled_; and real scores _rescaled_ to the mean and the spread of the cosines before training.
#
# **Predict** which of the eight rows gain.

# %% alt="Eight rows; in each a point of this run and a pale bar of five recorded draws for three learning rates, on the axis of the gain in Spearman correlation; a dashed line at 0 marks the state before training; the names of the two shuffled controls stand in brackets. Cosine MSE with made-up scores lies to the left of the line, with kinder scores about half as far, with real scores around the line, with rescaled ones mostly to the right, with shuffled scores farthest to the left. CoSENT with made-up scores lies around the line, with real scores mostly to the right of it, with shuffled scores to the left."
kinds, rest = half_rows(frozen, nli, graded, seed)                      # rows of five kinds, and the half that measures
trials = {name: (MAKERS[name.split(", ")[0]], kinds[name.partition(", ")[2]]) for name in HALVES}
start, known = 100 * order(frozen, rest), recorded("half")
known = {name: of - known["untrained"] for name, of in known.items() if name in HALVES}                     # (5 draws, rates) each
gains = {name: values - start for name, values in reached(rest, trials).items()}
_, ax = plt.subplots(figsize=(9, 4), layout="constrained")
dots(ax, gains, known, 0)
ax.set(xlabel="gain in Spearman x 100 on the half that was not trained on", title="Real scores help CoSENT at once, cosine MSE once they are rescaled")
plt.show()
first, second, real = zip(*kinds["real scores"])
real, began = torch.tensor(real), F.cosine_similarity(frozen.of(first), frozen.of(second))              # (164,) each
print(f"scores: mean {real.mean():.2f}, deviation {real.std():.2f}; cosines: mean {began.mean():.2f}, deviation {began.std():.2f}")
print("means of the five recorded draws, at the three rates:")
print("\n".join(f"{name:27} {'  '.join(f'{x:+5.1f}' for x in of.mean(dim=0).tolist())}" for name, of in known.items()))
worst, kinder, plain, scaled, _, _, helped, _ = known.values()
assert (worst < 0).all() and (kinder > worst + 0.3).all() and plain.mean(dim=0).abs().max() < 1 and (scaled.mean(dim=0) > 0.4).all()
assert (helped[:, 1] > 1.5).all() and ((helped.amin(dim=0) < scaled.amax(dim=0)) & (scaled.amin(dim=0) < helped.amax(dim=0))).all()
assert ((helped - scaled).mean(dim=0) > 0).tolist() == [False, True, False] and all((of < 0).all() for name, of in known.items() if "shuffled" in name)
# %% [markdown]
# Cosine MSE takes each number at its word: with kinder scores it loses far less. Real scores hold it in place, and once they are rescaled it gains: their scale had cost the gain. Each at its best rate, CoSENT gains more than the rescaled cosine MSE on average, 2.6 against 2.0; at the two other rates it gains less, and at all three their bands overlap. With scores shuffled both lose: CoSENT's gain came from the scores (the rescaled ones had no such control). So, as far as a layer shows, take real scores, though here they come with sentences like those measured; with CoSENT the whole encoder gained from made-up ones, too. CoSENT needs no rescaling, so try it first.
#
# ## False negatives
#
# **Question.** What if another anchor's positive is right for you, too?
#
# Then the loss pushes apart what belongs together: a *false negative*.
#
# If you know where texts come from, use a rule: same picture, same product. If not, let another trained encoder, a *guide*, mark each candidate that it finds nearer to the anchor than the own positive. The bundled duplicate questions know the truth: four ask the same, which makes two pairs. So each anchor has exactly one false negative.
#
# **Predict** whether most of the guide's marks are right.

# %%
from course_lib.datasets.town import load_duplicates
from course_lib.similarity import cos_sim

asked = {}
for q in load_duplicates():
    asked.setdefault(q.group, []).append(q.question)
two_pairs = [(group, *of[i : i + 2]) for group, of in asked.items() for i in (0, 2)]
group_of, firsts, seconds = zip(*two_pairs)
n = len(two_pairs)
judge = SentenceTransformer(str(resolve(guide)), device="cpu")
judged = cos_sim(*(judge.encode(list(side), show_progress_bar=False) for side in (firsts, seconds)))       # (300, 300)
truth = torch.tensor([[i != j and group_of[i] == group_of[j] for j in range(n)] for i in range(n)])
marked = torch.tensor([[bool(judged[i, j] > judged[i, i]) for j in range(n)] for i in range(n)])
hits = (marked & truth).sum().item()
print(f"of {truth.sum()} false negatives the guide marks {hits}; it marks {marked.sum()} candidates, so {hits / marked.sum():.0%} of its marks are right; "
      f"marking at random, {truth.sum() / (n * (n - 1)):.1%} would be")
assert not default or 0.4 < hits / truth.sum() < 0.7 and 8 * truth.sum() / (n * (n - 1)) < hits / marked.sum() < 0.15

some = firsts[:32], seconds[:32]
logits = 20 * cos_sim(*(library.encode(list(side), show_progress_bar=False) for side in some))              # (32, 32)
ours = F.cross_entropy(logits.masked_fill(marked[:32, :32], -torch.inf), torch.arange(32))
guided = losses.GISTEmbedLoss(library, guide=judge, temperature=1 / 20, contrast_anchors=False, contrast_positives=False)
theirs = guided([library.preprocess(list(side)) for side in some], None)
assert torch.isclose(ours, theirs, atol=1e-4) and (not default or ours < F.cross_entropy(logits, torch.arange(32)))
print(f"ranking loss of 32 pairs {F.cross_entropy(logits, torch.arange(32)):.3f}, without the marked ones {ours:.3f}, GISTEmbedLoss {theirs:.3f}")

# %% [markdown]
# The guide finds about half of the false negatives, and most of its marks are wrong. `GISTEmbedLoss` leaves the marked ones out.
#
# Does it help? A layer learns from the pairs of 75 groups, all in one batch. The other 75 measure: how many of a question's nearest three ask the same? Controls use only the guide's right marks, or only its wrong ones.

# %%
rough = torch.from_numpy(encoder.encode(sum(asked.values(), []), show_progress_bar=False)).reshape(n // 2, 4, dim)
def alike(vectors):                                                     # (groups, 4, dim) -> percentage of right ones
    flat = F.normalize(vectors.flatten(0, 1), dim=1)                    # (groups * 4, dim)
    nearest = (flat @ flat.T).fill_diagonal_(-1).topk(3).indices        # (groups * 4, 3)
    return 100 * (nearest // 4 == torch.arange(len(flat))[:, None] // 4).double().mean().item()
def train_masked(learnt, mask):                                         # numbers of 75 groups, (300, 300) -> a layer
    anchors, positives = rough[learnt][:, [0, 2]].flatten(0, 1), rough[learnt][:, [1, 3]].flatten(0, 1)     # (150, dim) each
    rows = torch.stack([2 * learnt, 2 * learnt + 1], dim=1).flatten()   # (150,): their places in the list of pairs
    layer = torch.eye(dim, requires_grad=True)
    optimizer = torch.optim.Adam([layer], lr=5e-4)
    for _ in range(60):
        optimizer.zero_grad()
        logits = 20 * cos_sim(anchors @ layer, positives @ layer) - 1e9 * mask[rows][:, rows]               # (150, 150)
        F.cross_entropy(logits, torch.arange(len(rows))).backward()
        optimizer.step()
    return layer.detach()
masks = {"none left out": marked & False, "by the rule": truth, "by the guide": marked, "by both": truth | marked, "only right marks": marked & truth, "only wrong marks": marked & ~truth}
halves = [torch.randperm(n // 2, generator=torch.Generator().manual_seed(s)).split(n // 4) for s in range(seed, seed + 3)]
share = {"before training": [alike(rough[held]) for _, held in halves]}
share |= {name: [alike(rough[held] @ train_masked(learnt, mask)) for learnt, held in halves] for name, mask in masks.items()}
print("\n".join(f"{name:17} {', '.join(f'{x:.1f}' for x in values)}" for name, values in share.items()))
_, none, rule, guided, both, right_marks, wrong_marks = torch.tensor(list(share.values()))                  # (3 seeds,) each
assert not default or (rule > none + 1).all() and (guided > none + 1).all() and (guided > rule - 1).all() and (both >= torch.maximum(rule, guided)).all()
assert not default or (right_marks > none + 1).all() and (wrong_marks > none - 0.5).all() and (wrong_marks - none).max() < 1.5

# %% [markdown]
# The guide helps as much as the rule, and both together help most. The right marks bring most of its gain; at this one rate, the wrong ones cost nothing, and added to the rule they even bring about a point. Here each anchor met its false negative in every step: in smaller batches expect less.
#
# The simplest rule is `BatchSamplers.NO_DUPLICATES`: no text twice in a batch. Two tables show what it can do: questions with their answers, some of which answer several, and the duplicate questions.
#
# **Predict** the share of anchors that meet a false negative, without the rule and with it.

# %%
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from course_lib.datasets.town import load_faq, load_faq_questions

answers = {entry.question: entry.answer for entry in load_faq()}
faq = [(q.question, answers[q.answer_to]) for q in load_faq_questions() if q.answer_to]
two_tables = {"questions and answers": (faq, [answer for _, answer in faq]), "duplicate questions": (list(zip(firsts, seconds)), group_of)}
met = {}                                                                # shares of anchors that meet a false negative
for name, (rows, same) in two_tables.items():
    for size in (16, 64):
        for rule in ("default", "NO_DUPLICATES"):
            draw = torch.Generator().manual_seed(seed)
            table = Dataset.from_list([{"anchor": a, "positive": b} for a, b in rows])
            if rule == "default":
                batches = DefaultBatchSampler(torch.utils.data.RandomSampler(table, generator=draw), size, False)
            else:
                batches = NoDuplicatesBatchSampler(table, size, False, generator=draw, seed=seed)
            again = []                                                  # over ten epochs
            for epoch in range(10):
                batches.set_epoch(epoch)
                again += [sum(same[i] == same[j] for j in batch) > 1 for batch in batches for i in batch]
            met[name, size, rule] = 100 * sum(again) / len(again)
    print(f"{name:22} {len(rows)} pairs; " + "; ".join(f"batch {size}, {rule}: {share:.0f} %" for (of, size, rule), share in met.items() if of == name))
assert all(share == 0 for (name, _, rule), share in met.items() if name.startswith("questions") and rule == "NO_DUPLICATES")
assert all(met["duplicate questions", 64, rule] > 10 for rule in ("default", "NO_DUPLICATES")) and met["questions and answers", 64, "default"] > 20

# %% [markdown]
# At 64 (an epoch is 64 and 16), over a third of the anchors meet their own answer again as a negative; the rule ends that, with smaller batches. It cannot help the duplicate questions: one anchor in five still meets its twin, in other words.
#
# ## A batch of 256 in little memory
#
# **Question.** How does anybody get so large a batch?
#
# A ranking loss compares all texts of a batch, so the batch cannot be cut into small ones. But only vectors meet in the loss; what fills the memory is what the encoder keeps for the backward pass. *Gradient caching* (`CachedMultipleNegativesRankingLoss`) encodes all texts in small groups and keeps only the vectors. Then it computes the loss and its gradient for each vector. At last it encodes each group again, keeping everything, and passes that gradient on.
#
# **Predict** how many texts are encoded in all, for 256 pairs.

# %%
from course_lib.support.kept_bytes import KeptBytes

library.max_seq_length = 12                                             # keeps this cell short
def step(loss, pairs):
    """One step without an update: the loss, MB kept, texts encoded, and the gradient of all weights."""
    features = [library.preprocess(list(side)) for side in zip(*pairs)]
    library.zero_grad()
    encoded = []
    counter = library[0].register_forward_hook(lambda module, inputs, output: encoded.append(len(inputs[0]["input_ids"])))
    with KeptBytes(library) as kept:
        value = loss(features, None)
        value.backward()
    counter.remove()
    gradient = torch.cat([weights.grad.flatten() for weights in library.parameters() if weights.grad is not None])
    return value.item(), kept.most / 1e6, sum(encoded), gradient
large = [(row[0], row[1]) for row in nli[:256]]
plain = step(losses.MultipleNegativesRankingLoss(library), large)
cached = step(losses.CachedMultipleNegativesRankingLoss(library, mini_batch_size=32), large)
small = step(losses.MultipleNegativesRankingLoss(library), large[:32])
for name, (value, size, count, _) in {"batch 256": plain, "batch 256, cached": cached, "batch 32": small}.items():
    print(f"{name:18} loss {value:.3f}   keeps {size:6.0f} MB   encodes {count} texts")
off = ((plain[3] - cached[3]).norm() / plain[3].norm()).item()
print(f"the gradients differ by {off:.0e} of their length")
assert off < 1e-4 and abs(plain[0] - cached[0]) < 1e-4
assert (not default or cached[1] < plain[1] / 8 and cached[1] < small[1]) and cached[2] == 2 * plain[2] == 1024

# %% [markdown]
# Without dropout, as here, the gradient is the same up to rounding, and the memory is no more than that of a batch of 32. The price is a second encoding of each text.
#
# ## One text and its class
#
# **Question.** What if a row is one text with a class?
#
# The *batch-hard triplet loss* takes each text of a batch as an anchor, with the farthest text of its own class and the nearest of another.
#
# **Predict** the two partners of the first of these four points.

# %% tags=["nbval-check-output"]
points, classes = torch.tensor([[0.0, 0.0], [3.0, 0.0], [1.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 0, 1, 1])

by_loop = []
for i in range(4):
    away = [torch.dist(points[i], x).item() for x in points]
    farthest = max((away[j], j) for j in range(4) if classes[j] == classes[i] and j != i)
    nearest = min((away[j], j) for j in range(4) if classes[j] != classes[i])
    by_loop.append(max(0, farthest[0] - nearest[0] + 1))
    print(f"anchor {i}: farthest of its class {farthest[1]}, nearest of another {nearest[1]}, loss {by_loop[-1]:.2f}")

def batch_hard(vectors, classes, margin):
    distances = torch.cdist(vectors, vectors)                           # (batch, batch)
    same = classes[:, None] == classes[None, :]                         # (batch, batch)
    hardest_positive = distances.masked_fill(~same, 0).amax(dim=1)      # (batch,); its own distance is 0
    hardest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return F.relu(hardest_positive - hardest_negative + margin).mean()

loss = batch_hard(points, classes, margin=1.0)
theirs = losses.BatchHardTripletLoss(None, margin=1.0).compute_loss_from_embeddings([points], classes)
assert torch.isclose(loss, torch.tensor(by_loop).mean()) and torch.isclose(loss, theirs)
print(f"mean {loss:.3f}, the same in sentence-transformers")

# %% [markdown]
# Does it help? The bundled questions have six classes, by the answer they want. Again a layer is trained, at three rates and with two seeds. Two readers name a test question's class: the nearest training question, and logistic regression.
#
# **Predict** which reader the training helps.

# %%
from sklearn.linear_model import LogisticRegression
asked_for = load_questions()
vectors = torch.from_numpy(encoder.encode([q.question for q in asked_for], show_progress_bar=False))        # (questions, dim)
label, test = torch.tensor([q.label for q in asked_for]), torch.tensor([q.split == "test" for q in asked_for])
learnt = torch.nonzero(~test).flatten()                                 # rows of the questions to learn from
dealt = label.scatter(0, learnt, label[learnt[torch.randperm(len(learnt), generator=torch.Generator().manual_seed(seed))]])     # the control
def right(vectors):                                                     # percentage of test questions, by either reader
    nearest = cos_sim(vectors[test], vectors[learnt]).argmax(dim=1)
    fitted = LogisticRegression(max_iter=1000).fit(vectors[learnt], label[learnt])
    return 100 * (label[learnt][nearest] == label[test]).double().mean().item(), 100 * fitted.score(vectors[test], label[test])
def train_classes(taught, rate, seed):
    torch.manual_seed(seed)
    layer = torch.eye(dim, requires_grad=True)
    optimizer = torch.optim.Adam([layer], lr=rate)
    for _ in range(150):
        batch = learnt[torch.randint(len(learnt), (48,))]
        optimizer.zero_grad(), batch_hard(vectors[batch] @ layer, taught[batch], margin=5.0).backward(), optimizer.step()
    return right(vectors @ layer.detach())
untrained, commonest = right(vectors), 100 * (label[test] == label[learnt].mode().values).double().mean()
print(f"{len(learnt)} questions to learn from, {test.sum()} test questions; always the commonest of the six classes: {commonest:.1f} % right")
print(f"nearest question, logistic regression: before training {untrained[0]:.1f}, {untrained[1]:.1f}")
for rate, taught in ((3e-4, label), (1e-3, label), (3e-3, label), (3e-3, dealt)):
    runs = [train_classes(taught, rate, s) for s in (seed, seed + 1)]
    print(f"rate {rate:g}, {'right' if taught is label else 'shuffled'} classes:", "; ".join(f"{nearest:.1f}, {regression:.1f}" for nearest, regression in runs))
    assert not default or all(max(regression - 1, nearest + 5) < untrained[1] and (rate < 1e-3 or (nearest - untrained[0]) * (1 if taught is label else -1) > 2) for nearest, regression in runs)

# %% [markdown]
# At the two larger rates the nearest question is right more often; with shuffled classes less often, so the classes taught it. Logistic regression on the untouched vectors is better still. The training does not help it, nor could it much: to a linear reader a linear layer adds nothing. A whole encoder was not trained here. So try a classifier first. If you train, each class must come twice in a batch: `BatchSamplers.GROUP_BY_LABEL`.
#
# ## A trap: the columns of the table
#
# **Question.** What if the columns stand in another order, or the labels have another name?
#
# **Predict**, for each of the three tables, what the loss takes for the positive.

# %% tags=["nbval-check-output"]
heard = []
logging.getLogger(SentenceTransformerDataCollator.__mro__[1].__module__).addFilter(lambda record: heard.append(record.getMessage()))
ranking = losses.MultipleNegativesRankingLoss(library)

def ours(*columns):
    return MultipleNegativesRankingLoss()(*(library.encode(c, convert_to_tensor=True, show_progress_bar=False) for c in columns))

titles, texts_of, names_of = [premise, other], [entailed, answer], ["entailment", "entailment"]
opposite = [contradicted, far]
wrong_tables = {
    "negative before positive": ({"anchor": titles, "negative": opposite, "positive": texts_of}, (titles, opposite, texts_of)),
    "the same, own names": ({"title": titles, "unrelated": opposite, "text": texts_of}, (titles, opposite, texts_of)),
    "labels called gold": ({"title": titles, "text": texts_of, "gold": names_of}, (titles, texts_of, names_of)),
}
for name, (table, taken) in wrong_tables.items():
    heard.clear()
    features, labels = as_fed(table)
    assert labels is None and torch.isclose(ranking(features, labels), ours(*taken), atol=1e-4)
    print(f"{name:25} positive: {taken[1][0]!r}, negative: {taken[2][0]!r}")
    print("    warned:", heard[0].split(". Note")[0] if heard else "nothing")
    assert len(heard) == (name == "negative before positive")

# %% [markdown]
# No table fails, and own names lose even the warning. The order of the columns decides, never their names. Labels must be called `label`, `labels`, `score` or `scores`. Under any other name, words like "entailment" are encoded as a text, here as a hard negative. So print a row before you train, and set the order with `table.select_columns([...])`.
#
# ### Scores from 0 to 5
#
# STS files score from 0 to 5. Six pairs of free vectors are trained on such scores, and on a fifth of them.
#
# **Predict** the six cosines after each.

# %% tags=["nbval-check-output"]
grades = torch.arange(6.0)                                              # 0 to 5, as in the files
for name, targets in (("0 to 5", grades), ("0 to 1", grades / 5)):
    torch.manual_seed(seed)
    first, second = torch.randn(6, 8, requires_grad=True), torch.randn(6, 8, requires_grad=True)
    optimizer = torch.optim.Adam([first, second], lr=0.05)
    theirs = losses.CosineSimilarityLoss(None)
    for _ in range(500):
        optimizer.zero_grad()
        loss = theirs.compute_loss_from_embeddings([first, second], targets)
        loss.backward()
        optimizer.step()
    ends = F.cosine_similarity(first, second)
    print(f"scores {name}: loss {loss.item():.2f}, cosines {[round(x, 1) + 0 for x in ends.tolist()]}")
    assert torch.allclose(ends, targets.clamp(max=1), atol=0.05)

# %% [markdown]
# From 1 (same topic) to 5 (same meaning), every pair asks for the cosine 1: the grades are gone, without a word. A margin has a scale, too: the default of `TripletLoss` is 5, but vectors of length 1 are at most 2 apart.
#
# ## In practice
#
# Most data can be made pairs that belong together. Take the ranking loss, and no text twice in a batch. The cached one makes any batch fit; choose its size on pairs kept aside.
#
# **Predict** which share of the push on wrong candidates an anchor's own hard negative gets, one of 127.

# %%
import tempfile
from sentence_transformers import SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import BatchSamplers
library.max_seq_length, library.model_card_data.widget = 64, ["no examples for a model card"]
train_dataset = Dataset.from_dict({"anchor": [row[0] for row in nli], "positive": [row[1] for row in nli], "negative": [row[3] for row in nli]})
with tempfile.TemporaryDirectory() as output:
    arguments = SentenceTransformerTrainingArguments(
        output_dir=output, per_device_train_batch_size=64, learning_rate=2e-5, num_train_epochs=1,
        batch_sampler=BatchSamplers.NO_DUPLICATES, report_to="none", use_cpu=True, seed=seed)
    trainer = SentenceTransformerTrainer(
        model=library, args=arguments, train_dataset=train_dataset,
        loss=losses.CachedMultipleNegativesRankingLoss(library, mini_batch_size=16))
    features, labels = trainer.collect_features(next(iter(trainer.get_train_dataloader())))
with torch.no_grad():
    library.eval()
    value, columns = trainer.loss(features, labels), [library(dict(column))["sentence_embedding"] for column in features]
    logits = 20 * cos_sim(columns[0], torch.cat(columns[1:]))           # (64, 128): first the positives, then the negatives
assert torch.isclose(value, MultipleNegativesRankingLoss()(*columns), atol=1e-5) and len(columns[0]) == 64
read = [tuple(ids[mask == 1].tolist()) for column in features for ids, mask in zip(column["input_ids"], column["attention_mask"])]
assert len(set(read)) == len(read) == 3 * 64
print(f"{len(columns)} columns of {len(columns[0])} texts, {len(read) - len(set(read))} texts twice, loss {value.item():.2f} in both libraries")
own, share = logits.diagonal(64), logits.softmax(dim=1)                 # (64,): of an anchor and its own negative; (64, 128)
print(f"without the column of negatives {len(columns[0])} candidates, loss {MultipleNegativesRankingLoss()(*columns[:2]):.2f}; with it {logits.shape[1]}")
print(f"own negative nearer than the positive: {(own > logits.diagonal()).sum()} of 64; of the push on wrong candidates it gets "
      f"{(share.diagonal(64) / (1 - share.diagonal())).mean():.0%}, all other anchors' negatives {((share[:, 64:].sum(1) - share.diagonal(64)) / (1 - share.diagonal())).mean():.0%}")

# %% [markdown]
# An anchor's own negative gets a tenth of the push.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` (440 MB) or `guide = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB). The recorded numbers remain bert-mini's.
#
# ## Exercises
#
# **1.** Choose a loss, build its table and choose the batches, for five kinds of data. A row is a dictionary with these columns:
#
# | kind | columns of a row | afterwards |
# |---|---|---|
# | `"questions and answers"` | answer, language, question | each question finds its answer; no answer twice in a batch |
# | `"graded pairs"` | sentence1, sentence2, gold: 0.0 to 5.0 | a higher grade, a higher cosine |
# | `"clicks"` | shown: two pages that were not clicked; query; clicked: a third page | the clicked page is the nearest to its query |
# | `"topics"` | text, topic: a word | the nearest text has the same topic; no topic is alone in a batch |
# | `"duplicates"` | id, first, second, same: "yes" or "no" | "yes" pairs are nearer than "no" pairs |
#
# `train(loss, table, batch_sampler)` trains a tiny encoder as the library's trainer would, in batches of 4. It takes the name of a loss, `{column: list}` and, if you like, the name of one of the `BatchSamplers`. It returns `"learnt"`, or what went wrong. Several answers are right.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def prepare(kind, rows, train):
    """kind: one of the five; rows: list of dict -> what `train(loss, table, batch_sampler)` returns."""
    ...

check("09.1", prepare)

# %% [markdown]
# **2.** What does a guide mark in a batch with one hard negative a row? The candidates are all positives, then all hard negatives. Mark those whose cosine with the anchor is higher than that of its own positive, which is never marked.

# %% tags=["exercise", "nbval-check-output"]
def false_negatives(anchors, positives, negatives):
    """The guide's embeddings, (batch, dim) each -> (batch, 2 * batch) of bool: row i, column j: candidate j is false for anchor i."""
    ...

check("09.2", false_negatives)

# %% [markdown]
# **3.** The ranking loss that leaves marked candidates out, with any number of columns of hard negatives.

# %% tags=["exercise", "nbval-check-output"]
def masked_ranking_loss(anchors, positives, negatives, mask, scale=20.0):
    """anchors, positives: (batch, dim) each; negatives: a list, maybe empty, of columns, (batch, dim) each;
    mask: (batch, candidates) of bool, True where left out; first the positives, then each column of negatives
    -> the mean loss, a scalar tensor."""
    ...

check("09.3", masked_ranking_loss)

# %% [markdown]
# ## Questions
#
# **1.** You have a million pairs of question and accepted answer, and a thousand pairs of questions that people scored from 0 to 5. Which losses, and in which order?
#
# <details><summary>Answer</summary>The ranking loss on the million, then CoSENT on a part of the thousand. The other part measures.</details>
#
# **2.** A triplet loss falls to 0 after a few hundred steps, and the encoder is still poor. Why?
#
# <details><summary>Answer</summary>The negatives were too easy: a triplet with loss 0 has no gradient. Harder negatives help, or a ranking loss.</details>
#
# **3.** A loss ends with shuffled labels where it ends with the right ones. What do you know?
#
# <details><summary>Answer</summary>That this measure does not show whether the labels taught anything.</details>
#
# ## Summary
#
# - What a row says decides. Pairs that belong together and the ranking loss are the usual answer.
# - Compare losses at several rates, and with shuffled labels: to do no harm is not to learn.
# - A score or a margin has a scale, and a wrong one can harm.
# - Larger batches have more false negatives; rules, `NO_DUPLICATES` or a guide take many out.
# - The order of the columns feeds a loss, and only a few names are labels.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084).
# - Hadsell, Chopra and LeCun (2006), Dimensionality reduction by learning an invariant mapping: the contrastive loss.
# - Huang et al. (2024), [CoSENT](https://doi.org/10.1109/TASLP.2024.3402087).
# - Henderson et al. (2017), [Efficient natural language response suggestion](https://arxiv.org/abs/1705.00652): the ranking loss.
# - Gao et al. (2021), [gradient caching](https://arxiv.org/abs/2101.06983).
# - Hermans et al. (2017), [In defense of the triplet loss](https://arxiv.org/abs/1703.07737).
# - Solatorio (2024), [GISTEmbed](https://arxiv.org/abs/2402.16829).
#
# **Next:** notebook 10 builds networks from modules.
