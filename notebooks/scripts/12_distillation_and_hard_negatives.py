# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/12_distillation_and_hard_negatives.ipynb)
#
# # Can a small model know what a large one knows?
#
# You make an encoder and its vectors smaller, put size, speed and quality into one picture, then mine hard negatives, and count those that are false.
#
# | | |
# |---|---|
# | You will be able to | cut layers off an encoder and teach it again; shorten vectors by PCA, by truncation and with a Matryoshka loss; read a picture of size, speed and quality; mine hard negatives and filter out false ones |
# | You need first | notebook 06: the ranking loss; notebook 05: mean pooling, cosine, Spearman |
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
# `model` is the teacher of the student that you train here, and it finds the negatives. `student_layers` are the layers that the student keeps. `relative_margin` says how far below the right answer a negative must lie. `full` makes the recorded results again.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
data = "course/nli"
student_layers = [0]
batch_size = 32
learning_rate = 1e-3
epochs = 2
relative_margin = 0.05
full = False

# %% [markdown]
# ## A teacher instead of labels
#
# **Question.** What can a model learn from another model?
#
# *Distillation* trains a small model, the *student*, to do what a larger one, the *teacher*, does. No labels are needed, only texts: the teacher's vectors are the right answers. What should agree? Either the vectors themselves (mean squared error, which needs equal dimensions), or only the similarities between the texts of a batch (any dimensions).
#
# Start with three texts, vectors of two numbers. The student's vectors are the teacher's, turned by 90 degrees.
#
# **Predict** both losses: is either of them zero?

# %% tags=["nbval-check-output"]
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from course_lib.finetuning.distillation import MSELoss, RelationalLoss
from course_lib.finetuning.matryoshka import MatryoshkaLoss
from course_lib.similarity import cos_sim, pairwise_cos_sim, pairwise_dot_score

plt.rcParams["figure.dpi"] = 70                                         # keeps this file small
teacher_vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])    # (3 texts, 2)
student_vectors = torch.tensor([[0.0, 1.0], [-0.8, 0.6], [-1.0, 0.0]])  # (3 texts, 2)

squares = [(s - t) ** 2 for own, wanted in zip(student_vectors.tolist(), teacher_vectors.tolist()) for s, t in zip(own, wanted)]
by_loop = sum(squares) / len(squares)
by_vectors = (student_vectors - teacher_vectors).square().mean()
cosines = F.normalize(student_vectors, dim=1) @ F.normalize(student_vectors, dim=1).T       # (3, 3)
by_relations = (cosines - teacher_vectors @ teacher_vectors.T).square().mean()

assert abs(by_loop - by_vectors) < 1e-6
assert torch.isclose(by_vectors, MSELoss()(student_vectors, teacher_vectors))
assert torch.isclose(by_relations, RelationalLoss()(student_vectors, teacher_vectors), atol=1e-6)
print(f"vectors: {by_vectors:.3f}   similarities: {by_relations:.3f}")

# %% [markdown]
# Turning all vectors changes no similarity, so the second loss is content where the first is not. Search only needs similarities; equal vectors let you exchange the model without encoding your collection again.
#
# ## A student with fewer layers
#
# **Question.** Where does a small student come from?
#
# The cheapest start is the teacher itself, with layers left out. The kept layers have never seen each other's vectors, but they already know words and grammar.
#
# **Predict:** how many of the parameters go, if only one of four layers stays? And does the student still work, before it has learnt anything?

# %% tags=["row-AT3"]
from course_lib.data import load_nli, load_pairs, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.models.surgery import freeze, keep_layers

teacher = SentenceEncoder.load(model, dtype="float32")
student = SentenceEncoder.load(model, dtype="float32")
keep_layers(student, student_layers)
freeze(student, 0)                                                      # the word embeddings stay the teacher's

sts = EmbeddingSimilarityEvaluator(load_sts("course/sts"))
unseen = [pair.sentence1 for pair in load_sts("course/sts")]

def measure(encoder):
    """Spearman with people's scores, and how close the vectors of unseen sentences are to the teacher's."""
    vectors, wanted = (one.encode(unseen, show_progress_bar=False) for one in (encoder, teacher))
    return {"spearman": sts(encoder)["spearman_cosine"], "cosine_with_teacher": pairwise_cos_sim(vectors, wanted).mean().item()}

def count(encoder):
    return sum(p.numel() for p in encoder.parameters())

before = measure(student)
print(f"teacher: {count(teacher):>9,} parameters, {measure(teacher)['spearman']:.3f}")
print(f"student: {count(student):>9,} parameters, {before['spearman']:.3f}, cosine with the teacher {before['cosine_with_teacher']:.3f}")
assert count(student) < count(teacher) and before["cosine_with_teacher"] < 0.99

# %% [markdown]
# Half and more of a small BERT are its word embeddings, so leaving out layers saves more time than bytes.
#
# Now it learns. The texts are the sentences of the bundled NLI set and of the bundled pairs, without labels.

# %% tags=["row-AT3"]
from course_lib.training import train

torch.set_num_threads(1)                                                # a run is then the same on every number of cores
texts = [text for e in load_nli(data) for text in (e.premise, e.hypothesis)] + [text for pair in load_pairs() for text in pair]
texts = list(dict.fromkeys(texts))
assert not set(texts) & set(unseen)
targets = torch.from_numpy(teacher.encode(texts, show_progress_bar=False))              # (texts, dim)
mse = MSELoss()

def distil(batch):
    """batch: positions in `texts` -> how far the student's vectors are from the teacher's."""
    return mse(student([texts[k] for k in batch]), targets[batch])

history = train(student, distil, range(len(texts)), batch_size=batch_size, learning_rate=learning_rate, epochs=epochs, seed=seed,
                show_progress_bar=False, log_every=20)
after = measure(student)
print(f"{len(texts)} texts, {history[-1]['step']} steps in {history[-1]['seconds']:.0f} s: the loss fell from {history[0]['loss']:.3f} to {history[-1]['loss']:.3f}")
print({name: f"{before[name]:.3f} -> {after[name]:.3f}" for name in after})
assert after["cosine_with_teacher"] > before["cosine_with_teacher"] + 0.02

# %% [markdown]
# A few seconds move the student's vectors towards the teacher's, on sentences it never saw. The same run was made with three seeds and **recorded** in `data/results/12.csv`. Is yours among them?

# %%
import runpy
import sys
import numpy as np
from course_lib.data import load_results
if full:                                                                # needs COURSE_DATA, and an hour
    for sys.argv in (["negatives"], ["students", "layers"], ["students", "dimensions"], ["students", "bundled"]):
        runpy.run_module(f"recipes.{sys.argv[0]}", run_name="__main__")

recorded = load_results("12")
def values(experiment, metric, **wanted):
    """The recorded numbers of an experiment: one a seed."""
    rows = recorded.query("experiment == @experiment and metric == @metric")
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows.value.tolist()

default = (model, data, student_layers, batch_size, learning_rate, epochs) == ("course/sbert-mini", "course/nli", [0], 32, 1e-3, 2)
for metric, live in (("spearman", 100 * after["spearman"]), ("cosine_with_teacher", after["cosine_with_teacher"])):
    band, slack = values("bundled", metric), 1.0 if metric == "spearman" else 0.01
    print(f"{metric}: here {live:.3f}, recorded {min(band):.3f} to {max(band):.3f}")
    assert len(band) >= 3 and (not default or min(band) - slack < live < max(band) + slack)

# %% [markdown]
# ### The real thing: all-MiniLM-L6-v2 with fewer layers
#
# `recipes/students.py` did the same to a full-size model: all-MiniLM-L6-v2, six layers, cut to 3, 2 and 1, evenly spaced, once as they are and once after a short distillation on 8,000 sentences.
#
# **Predict** where the two curves meet, and where they part.

# %% tags=["row-AT3"] alt="Line chart of the Spearman correlation on STSb dev against the number of layers kept of all-MiniLM-L6-v2, 1 to 6. Cut without training, the curve falls the more, the fewer layers are left. After a short distillation it lies above at every depth."
from course_lib.plotting import bars, curve, heatmap

depths = [1, 2, 3, 6]

def by_depth(kind, metric="spearman", data="stsbenchmark/dev"):
    rows = recorded.query("experiment == 'layers' and metric == @metric and data == @data")
    rows = rows[rows.setting.str.split(";").str[0].isin((kind, "whole"))]
    return [rows.value[rows.n == n].iloc[0] for n in depths]

ax = curve(depths, by_depth("cut"), "layers left out")
curve(depths, by_depth("distilled"), "then distilled", ax=ax)
ax.set(xlabel="layers kept of all-MiniLM-L6-v2", ylabel="Spearman x 100", title="Leaving out layers is repaired by a short distillation", xticks=depths)
plt.show()
speed = by_depth("distilled", "relative_speed", "course/sts")
for n, cut, taught, times in zip(depths, by_depth("cut"), by_depth("distilled"), speed):
    print(f"{n} layers: {cut:5.1f} cut, {taught:5.1f} distilled, {times:.1f} times as fast")
assert all(taught > cut + 1 for n, cut, taught in zip(depths, by_depth("cut"), by_depth("distilled")) if n < 6)

# %% [markdown]
# Layers do similar work: of six, four can go, and after a short distillation the rest scores nearly as before. One layer alone falls clearly behind. The last column is what it buys.
#
# ## Shorter vectors
#
# **Question.** A million vectors of 384 numbers take 1.5 GB. Which numbers can go?
#
# A vector has no unimportant end: truncation to the first numbers drops whatever happens to stand there. *Principal component analysis* (PCA) first turns all vectors so that the direction along which they vary most comes first, then the next, at right angles; what is dropped then matters least. They are the eigenvectors of the covariance matrix.
#
# **Predict** for four points near a diagonal line: which share of the variance does the first direction hold?

# %% tags=["nbval-check-output"]
from sklearn.decomposition import PCA

points = np.array([[2.0, 1.9], [-1.0, -1.2], [0.5, 0.6], [-1.5, -1.3]])  # (4, 2)
centred = points - points.mean(axis=0)
covariance = np.zeros((2, 2))
for row in centred:                                                     # a loop over the points
    covariance += np.outer(row, row) / (len(points) - 1)
assert np.allclose(covariance, centred.T @ centred / (len(points) - 1)) and np.allclose(covariance, np.cov(points.T))

def principal_components(vectors):
    """(n, dim) -> (dim, dim): as columns the directions of largest variance, the largest first; and the variances (dim,)."""
    variances, directions = np.linalg.eigh(np.cov(vectors.astype(np.float64).T))        # the smallest first
    return directions[:, ::-1], variances[::-1]

directions, variances = principal_components(points)
fitted = PCA().fit(points)
assert np.allclose(np.abs(directions.T), np.abs(fitted.components_)) and np.allclose(variances, fitted.explained_variance_)
assert np.allclose(np.abs(centred @ directions), np.abs(fitted.transform(points)))
print(f"share of the variance: {variances[0] / variances.sum():.3f}; first direction {np.abs(directions[:, 0]).round(2)}, up to its sign")

# %% [markdown]
# The sign of a direction is arbitrary, so "equal" here means up to the sign. For cosines it does not matter: both vectors turn alike.
#
# The third way is to train for the cut. A *Matryoshka loss* (Kusupati et al. 2022), named after the dolls inside dolls, adds up any loss over several lengths: on the whole vectors, on their first half, quarter, and so on. The first numbers must then do the work alone.

# %% tags=["nbval-check-output"]
from course_lib.losses import MultipleNegativesRankingLoss

torch.manual_seed(seed)
anchors, positives = torch.randn(4, 8), torch.randn(4, 8)               # (4 pairs, 8)
ranking = MultipleNegativesRankingLoss()

total = 0.0
for dim in (8, 4, 2):
    first, second = anchors[:, :dim], positives[:, :dim]                # (4, dim)
    scores = 20 * cos_sim(first, second)                                # (4, 4)
    total += F.cross_entropy(scores, torch.arange(4))
    assert torch.isclose(ranking(first, second), F.cross_entropy(scores, torch.arange(4)), atol=1e-5)

assert torch.isclose(total, MatryoshkaLoss(ranking, [8, 4, 2])(anchors, positives), atol=1e-5)
print(f"three lengths, one loss: {total:.3f}")

# %% [markdown]
# `recipes/students.py` trained an earlier bert-mini (30 million tokens instead of 150) with the ranking loss on 4,000 pairs, with and without a Matryoshka loss around it, all else equal.
#
# **Predict:** does the Matryoshka model pay for its short vectors at 256 numbers? And which is best at 8?

# %% alt="Two line charts of Spearman on STSb dev against the dimension of the vectors, from 8 to all of them, on a logarithmic axis. Left, bert-mini after the ranking loss: the first numbers fall fastest, principal components and the model trained with the Matryoshka loss stay close together above them. Right, all-MiniLM-L6-v2: the first numbers lie above the principal components at few dimensions."
def by_dim(name, kind):
    """Dimensions, and Spearman by seed: (seeds, dimensions)."""
    rows = recorded.query("experiment == 'dimensions' and model == @name and setting == @kind")
    table = rows.pivot(index="seed", columns="n", values="value")
    return table.columns.astype(int).tolist(), table.to_numpy()

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained", sharey=True)
minilm = "sentence-transformers/all-MiniLM-L6-v2"
drawn = {"first numbers": (0, "ranking", "first numbers"), "principal components": (0, "ranking", "principal components"),
         "Matryoshka, first numbers": (0, "matryoshka", "first numbers"), "first numbers ": (1, minilm, "first numbers"),
         "principal components ": (1, minilm, "principal components")}
for label, (panel, name, kind) in drawn.items():
    curve(*by_dim(name, kind), label.strip(), ax=axes[panel])
for ax, title in zip(axes, ("bert-mini, ranking loss", "all-MiniLM-L6-v2")):
    ax.set(xlabel="numbers a vector", title=title, xscale="log")
    ax.set_xticks([8, 32, 128, 256], [8, 32, 128, 256])
axes[0].set_ylabel("Spearman x 100")
figure.suptitle("The first numbers are a poor choice for one model, and a good one for the other", fontsize="medium")
plt.show()
ends = {label.strip() + f" ({name.split('/')[-1]})": by_dim(name, kind) for label, (_, name, kind) in drawn.items()}
assert np.mean(ends["principal components (ranking)"][1], 0)[1] > np.mean(ends["first numbers (ranking)"][1], 0)[1] + 2        # at 16 numbers
for label, (dims, by_seed) in ends.items():
    print(f"{label:48}", *(f"{dim}: {np.mean(column):.1f}" for dim, column in zip(dims, zip(*by_seed))), sep="  ")

# %% [markdown]
# Left, the first numbers of an ordinary vector are the worst choice. Turning the vectors to their principal components, or training for the cut, keeps far more, and about equally much; only at 8 numbers is the Matryoshka model ahead (one seed, against three). Its whole vectors cost next to nothing. Right, components do _not_ help all-MiniLM-L6-v2: its first numbers are better. One suspect is where the components come from: captions and premises, while the test also has news. Measure on texts like yours before you cut.
#
# ### A trap: cut, then dot product
#
# Vectors of length 1 are often compared by dot product, which then equals the cosine, and is all that many indexes compute. After the cut they no longer have length 1.
#
# **Predict** what happens to the correlation when you cut to 16 numbers and keep the dot product.

# %%
pairs = load_sts("course/sts")
scores = [pair.score for pair in pairs]
u, v = (torch.from_numpy(teacher.encode([getattr(p, side) for p in pairs], normalize_embeddings=True, show_progress_bar=False)) for side in ("sentence1", "sentence2"))
from course_lib.evaluation import spearman

assert torch.allclose(pairwise_dot_score(u, v), pairwise_cos_sim(u, v), atol=1e-5)      # whole vectors: the same
lengths = u[:, :16].norm(dim=1)
found = {"cut, dot product": spearman(scores, pairwise_dot_score(u[:, :16], v[:, :16])),
         "cut, length 1 again": spearman(scores, pairwise_dot_score(F.normalize(u[:, :16], dim=1), F.normalize(v[:, :16], dim=1)))}
print(f"lengths after the cut: {lengths.min():.2f} to {lengths.max():.2f}")
print({name: round(value, 2) for name, value in found.items()})
assert lengths.max() > 1.5 * lengths.min() and found["cut, length 1 again"] > found["cut, dot product"]

# %% [markdown]
# A long cut vector beats a short one by dot product, whatever it means: normalise again after a cut.
#
# ## Size, speed, quality
#
# **Question.** Which of all these would you take?
#
# There is no best model, but some are beaten: another is at least as small, fast _and_ good. Those that nobody beats are the *Pareto front*.
#
# **Predict** which of the course's models is beaten.

# %% tags=["row-BP1"] alt="Scatter plot of quality (Spearman on the bundled pairs) against speed as a multiple of all-MiniLM-L6-v2's, logarithmic. Each point is a model, its area the number of parameters. From top left to bottom right: all-MiniLM-L6-v2, its distilled students with 3, 2 and 1 layers, below them the course's small models, and far to the right the averaged word vectors."
names = ["course/glove-mini", "course/bert-mini", "course/sbert-mini-nli", "course/sbert-mini"]
library = load_results("08").set_index(["model", "metric"]).value
table = {name: (library[name, "relative_speed"] / library[minilm, "relative_speed"], library[name, "spearman_cosine"],
                count(SentenceEncoder.load(name)) / 1e6) for name in names}
for n, times, quality, size in zip(depths, speed, by_depth("distilled", data="course/sts"), by_depth("distilled", "parameters", "")):
    table[f"MiniLM-{n}"] = times, quality, size / 1e6

def beaten(name):
    """Is another at least as small, good and (within 5 %, which may be noise) as fast, and better in one of them?"""
    fast, good, size = table[name]
    return any(f > 0.95 * fast and g >= good and m <= size and (f > 1.05 * fast or g > good or m < size) for f, g, m in table.values())

figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
for name, (times, quality, millions) in table.items():
    ax.scatter(times, quality, s=12 * millions, color="white" if beaten(name) else "black", edgecolor="black")
    ax.annotate(name.removeprefix("course/"), (times, quality), xytext=(0, -16 if "sbert-mini" in name else 10), textcoords="offset points", fontsize=8, ha="center")
    print(f"{name:22} {millions:5.1f} M parameters {times:6.1f} times as fast {quality:5.1f} {'beaten' if beaten(name) else ''}")
ax.set(xscale="log", xlabel="speed, as a multiple of all-MiniLM-L6-v2's", ylabel="Spearman x 100, bundled pairs", title="Filled: on the front. Area: parameters")
ax.margins(0.12)
plt.show()
assert beaten("course/sbert-mini-nli") and not beaten("MiniLM-6") and not beaten("course/glove-mini")

# %% [markdown]
# Each filled point is somebody's best choice. Averaged word vectors are far behind in quality and far ahead in speed and size: a first sieve for millions of texts. Students of all-MiniLM-L6-v2 are fast and good, but carry its large vocabulary; `course/sbert-mini` is smaller. The bundled pairs are easy: on your own data, draw the picture again.
#
# ## What it takes together
#
# A guide of this library (see the references) names four methods: start from a pre-trained model (on natural language inference, say), train on data of your own, distil, use sparse vectors. They are no alternatives: the course's default encoder, `course/sbert-mini`, went through the first three. The figure shows the way that `course/sbert-mini` took, from the earlier bert-mini on.

# %% tags=["row-2.17"] alt="Bar chart of Spearman on STSb dev after each ingredient of course/sbert-mini: the mean of bert-mini 60, ranking loss on NLI 76, caption pairs 77, distillation 84, distillation on neighbours 85, and mined negatives, not shipped, 85."
methods = {"pre-trained, then NLI": ("06", "course/sbert-mini-nli"), "own pairs, ranking loss": ("06, 09, 11", None),
           "distillation": ("12", "course/sbert-mini"), "sparse vectors": ("14", None)}
scores = {method: sts(SentenceEncoder.load(name, dtype="float32"))["spearman_cosine"] for method, (_, name) in methods.items() if name}
for method, (notebook, name) in methods.items():
    print(f"{method:24} notebook {notebook:12}", f"{name}: {scores[method]:.2f} on the bundled pairs" if name else "")
assert scores["distillation"] > scores["pre-trained, then NLI"]
ingredients = {data: dict(zip(rows.model, rows.value)) for data, rows in recorded.query("experiment == 'ingredients'").groupby("data", sort=False)}
for name in list(ingredients["scifact"])[-3:]:
    print(f"{name:22}", "  ".join(f"{data} {values[name]:.1f}" for data, values in ingredients.items()))
bars(ingredients["stsbenchmark/dev"], "What each ingredient of course/sbert-mini adds", "Spearman x 100, STSb dev")
plt.show()
assert ingredients["scifact"]["and neighbours"] > 1.5 * ingredients["scifact"]["and on caption pairs"]

# %% [markdown]
# Distillation came twice: with batches of texts from one source, then of the teacher's neighbours. One step more, ranking with mined negatives, gained on STSb and SciFact and lost on SICK and TREC: left out.
#
# ## Negatives: random, hard, false
#
# **Question.** Which wrong answers teach most?
#
# The ranking loss asks an anchor to prefer its positive to negatives. A random text is told from the positive at a glance. A *hard negative* looks like the answer and is not one. To find such texts, search: the nearest neighbours of the anchor, without its own positive. That is *hard negative mining*.
#
# The catch is in eight sentences, four pairs. Rows are anchors, columns the positives of all pairs.
#
# **Predict** which negative is mined for anchor 1, and whether you would want it pushed away.

# %% tags=["row-AT2"] alt="Heatmap of the cosines of four anchors with four positives. The diagonal is high. The second positive is as close to the first anchor as its own, and the first positive close to the second anchor: both pairs tell of a child jumping into a pool. The other cells are low."
pairs = [("A boy jumps into the pool.", "A child is leaping into the water."),
         ("A kid dives into a swimming pool.", "A boy plunges into the pool."),
         ("A girl is reading a book in the park.", "A young woman sits on a bench with a novel."),
         ("A man repairs a bicycle in his garage.", "Someone is fixing a bike at home.")]
anchors, positives = (teacher.encode([pair[side] for pair in pairs]) for side in (0, 1))    # (4, dim) each
cosines = cos_sim(anchors, positives)                                                       # (4, 4)
heatmap(cosines, labels=[anchor for anchor, _ in pairs], title="The nearest wrong answer to anchor 1 is right")
plt.show()
assert (cosines - 2 * torch.eye(4)).argmax(dim=1)[0] == 1

# %% [markdown]
# The second positive fits the first anchor better than its own does: the two pairs tell of one scene, and nobody said so. That is a *false negative*.
#
# A remedy: distrust a negative that is _nearly as close_ as the positive. Keep one only if its cosine is at most 0.95 of the positive's: a relative margin of 0.05.

# %% tags=["row-AT2", "nbval-check-output"]
from course_lib.finetuning.mining import mine_hard_negatives

def mine(cosines, margin=None):
    """(n, n) cosines of anchors with all positives -> for each anchor the column of its negative, or None."""
    chosen = []
    for i, row in enumerate(cosines.tolist()):
        limit = 1.0 if margin is None else row[i] * (1 - margin)
        allowed = [j for j in range(len(row)) if j != i and row[j] <= limit]
        chosen.append(max(allowed, key=lambda j: row[j], default=None))
    return chosen

for margin in (None, relative_margin):
    by_hand = [(a, p, pairs[j][1]) for (a, p), j in zip(pairs, mine(cosines, margin)) if j is not None]
    mined = mine_hard_negatives(pairs, teacher, num_negatives=1, relative_margin=margin)
    assert by_hand == mined.examples
    print(f"relative margin {margin}:", *(negative for _, _, negative in by_hand), sep="\n    ")

# %% [markdown]
# The margin judges by the miner's own cosines: it removes a false negative only where the miner sees that it is close. And among four pairs nothing is hard. In a larger set there is: here are the premises of the bundled NLI set with the hypotheses they entail; all hypotheses of the file may become negatives. Labels tell what was found.
#
# **Predict:** of the mined negatives, how many contradict the very premise they were mined for?

# %% tags=["row-AT2"]
from collections import Counter

from course_lib.data import LABELS

examples = load_nli(data)
names_of = {number: name for name, number in LABELS.items()}
label_of = {(e.premise, e.hypothesis): names_of[e.label] for e in examples}
pairs = [(e.premise, e.hypothesis) for e in examples if names_of[e.label] == "entailment"]
for margin in (None, relative_margin):
    mined = mine_hard_negatives(pairs, teacher, [e.hypothesis for e in examples], num_negatives=1, relative_margin=margin, range_max=50)
    kinds = Counter(label_of.get((anchor, negative), "of another premise") for anchor, _, negative in mined.examples)
    above = [(one, s) for one, s in zip(mined.examples, mined.scores) if s[1] >= s[0]]
    print(f"margin {margin}: {dict(kinds)}; {len(above)} of {len(mined.examples)} at least as close as the positive")
    assert len(above) == 0 or margin is None
    for (anchor, positive, negative), s in above[:3]:
        print(f"    {anchor}\n        positive {s[0]:.2f} {positive}\n        negative {s[1]:.2f} {negative}")

# %% [markdown]
# Here the nearest texts are often the premise's own contradictions: true negatives, and the hardest there are. They share most words with the premise, so the miner finds them _closer_ than the positive, and the margin throws many of them out. A margin on cosines cannot tell a contradiction from a rewording. Labels, or a cross-encoder that scores both texts together (`mine_hard_negatives` takes one), can.
#
# ### Do they teach more?
#
# `recipes/negatives.py` gave the earlier bert-mini 4,000 pairs: captions of one image, and premises with what they entail. Same pairs, batches and steps, with three seeds; only the additional negative differs: none, a random text, the nearest one that all-MiniLM-L6-v2 finds, the nearest below the margin, and "true": the nearest of another image or premise. That we know which texts describe one image is luck; with it we count false negatives.
#
# **Predict** the order of the five, for finding the other captions of an image among thousands.

# %% tags=["row-AT2"] alt="Left, bars: the share of caption negatives that describe the anchor's own image, none of the random and true ones, more than a third of the mined, about a tenth of the filtered. Right, line chart of nDCG at 10 for none, random, mined, filtered and true negatives, with bands over three seeds: random highest, mined and true lowest."
kinds = ["none", "random", "mined", "filtered", "true"]
false = {kind: 100 * values("negatives", "same_image", model=kind)[0] / 2000 for kind in kinds[1:]}
sets = {"captions of one image": ("captions/flickr30k", "ndcg@10"), "premise to hypothesis": ("snli/dev", "ndcg@10"),
        "STSb dev": ("stsbenchmark/dev", "spearman"), "Quora pairs": ("quora/dev", "ap"), "SciFact": ("scifact", "ndcg@10")}
runs = {name: {kind: np.array(values("negatives", metric, model=kind, data=file)) * (1 if metric == "spearman" else 100) for kind in kinds}
        for name, (file, metric) in sets.items()}
runs = {name: of_kind for name, of_kind in runs.items() if all(len(numbers) >= 3 for numbers in of_kind.values())}
for name, of_kind in runs.items():
    print(f"{name:22}", *(f"{kind} {v.mean():.1f} ({v.min():.1f} to {v.max():.1f})" for kind, v in of_kind.items()), sep="  ")
figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
bars(false, "Known false negatives, % of the caption pairs", ax=axes[0])
for name in (name for name in runs if sets[name][1] == "ndcg@10"):
    curve(range(5), np.array([runs[name][kind] for kind in kinds]).T, name, ax=axes[1])
axes[1].set(ylabel="nDCG@10 x 100", title="Random negatives help, hard ones do harm here")
axes[1].set_xticks(range(5), kinds)
axes[1].legend(fontsize=8, loc=(0.35, 0.18))                             # where no line is
plt.show()
found = runs["captions of one image"]                                   # beyond the spread of three seeds:
assert found["random"].min() > max(found["none"].max(), found["filtered"].max()) and found["filtered"].min() > found["mined"].max()
assert found["true"].max() < found["none"].min()                        # so known false negatives are not the reason

# %% [markdown]
# More than a third of the mined caption negatives describe the very image of their anchor; with the margin about a tenth still do. Do false negatives spoil the search? "true", without any that we know of, is as bad as "mined". What does harm here is that they are _hard_; the margin helps because it takes easier ones. **At this size mined negatives do not beat random ones**, by more than the spread: the claim of the guides is not reproduced. It was made for models trained long, for which a random text is too easy. Ours sees its first pairs, for 125 steps; that more steps would turn the order, these runs do not show.
#
# The habit to keep: **count false negatives, and compare with random ones, before you believe in mined ones.**
#
# ## Now from the library
#
# You have used the library's losses and its miner beside your own. The Matryoshka loss is no more than this:

# %% tags=["nbval-check-output"]
import inspect

print(inspect.getsource(MatryoshkaLoss.forward))

# %% [markdown]
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB) and `student_layers = [0, 2, 5]`: that is the recorded student of three layers, taught here on fewer sentences, in minutes rather than seconds. `student_layers = [0, 3]` gives `course/sbert-mini` a student of two layers.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says. It names the kind of mistake, never the answer.
#
# **1.** Cosine similarity of vectors cut to their first numbers.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def cut_similarity(a, b, dim):
    """a (n, wide), b (m, wide), dim <= wide -> (n, m) cosines of the first `dim` numbers."""
    ...

check("12.1", cut_similarity)

# %% [markdown]
# **2.** The hardest negative that is far enough below the positive: an absolute margin this time.

# %% tags=["exercise", "nbval-check-output"]
def hardest(scores, positive, margin):
    """scores: list of an anchor's scores with all texts; positive: the position of its positive ->
    the position of the highest score that is at most the positive's minus margin, or -1 if there is none."""
    ...

check("12.2", hardest)

# %% [markdown]
# ## Questions
#
# **1.** A student reaches its teacher's score on your test. Does it give the same search results?
#
# <details><summary>Answer</summary>Not necessarily: a correlation says that pairs are ranked as well, not that they are ranked alike. Compare vectors or results with the teacher's. And if the test looks like the texts it was taught on, it may be worse elsewhere.</details>
#
# **2.** You fit PCA on news and cut the vectors of recipes with it. What can go wrong?
#
# <details><summary>Answer</summary>The directions along which recipes differ may be among those dropped. Fit on texts like those you will search.</details>
#
# **3.** Your mined negatives make the model worse than random ones. What do you look at first?
#
# <details><summary>Answer</summary>At the negatives: read twenty. If many are right answers, filter by margin, skip the first ranks, or let a cross-encoder judge them.</details>
#
# ## Summary
#
# - A teacher's vectors are labels for any text. The cheapest student is the teacher with layers left out, taught again.
# - Vectors can be shortened afterwards, or trained for it (Matryoshka). Which way is best depends on the model: measure, and normalise after the cut.
# - Choose on the Pareto front of size, speed and quality; what lies behind it is beaten.
# - The nearest wrong answer is often a right one. Count false negatives before you train with mined ones, and filter them.
#
# ## References
#
# - Hinton et al. (2015), [Distilling the knowledge in a neural network](https://arxiv.org/abs/1503.02531); Reimers and Gurevych (2020), [vectors as targets](https://arxiv.org/abs/2004.09813); Sanh et al. (2019), [DistilBERT](https://arxiv.org/abs/1910.01108): the student starts from the teacher's layers.
# - Wang et al. (2020), [MiniLM](https://arxiv.org/abs/2002.10957).
# - Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - Moreira et al. (2024), [NV-Retriever](https://arxiv.org/abs/2407.15831): mining with a margin relative to the positive.
# - The sources of this course: a guide with the four methods; Mixpeek's advice to distil and to mine.
#
# **Next:** notebook 13 puts encoders to use: search by meaning.
