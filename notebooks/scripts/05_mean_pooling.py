# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/05_mean_pooling.ipynb)
#
# # Is the average of BERT's vectors a sentence embedding?
#
# BERT gives one vector for each token. You want one for each sentence. The obvious step is to average, and at the end of this notebook you will have measured what that average is worth.
#
# | | |
# |---|---|
# | You will be able to | pool token vectors by hand in six ways; spot the padding mistake; explain why all of BERT's cosines are high, and measure it; score any encoder on three tasks |
# | You need first | what a tensor's shape is; that BERT turns tokens into vectors (notebooks 03 and 04 help) |
# | Time | 30 minutes to read; the code runs in half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the models come with the course |

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
# `model` is a BERT that was only trained to fill in masked words, `static_model` has one fixed vector a word, `trained_model` was trained to embed sentences and appears later. `full` repeats what is otherwise read from a file.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
static_model = "course/glove-mini"
trained_model = "course/sbert-mini"
word = "bank"
full = False

# %% tags=["row-CP1", "nbval-check-output"]
import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.data import load_sts
from course_lib.support.tables import find, read_tsv
from course_lib.encoder import SentenceEncoder
from course_lib.modules import Pooling
from course_lib.similarity import cos_sim

plt.rcParams["figure.dpi"] = 80
bundled = (model, static_model, trained_model) == ("course/bert-mini", "course/glove-mini", "course/sbert-mini")
transformer = SentenceEncoder.load(model)[0]
dim = transformer.model.config.hidden_size
encoder = SentenceEncoder([transformer, Pooling(dim, "mean")], dtype="float32").eval()
static = SentenceEncoder.load(static_model, dtype="float32")
trained = SentenceEncoder.load(trained_model, dtype="float32")
print(encoder)
print(encoder.tokens("A cat sits on a mat."))

assert len(encoder.token_embeddings(["A cat sits on a mat."])[0]) == len(encoder.tokens("A cat sits on a mat."))
assert encoder.encode("A cat sits on a mat.").shape == (dim,)

# %% [markdown]
# `encoder` is two modules in sequence: a Transformer that gives a vector for each token, with `[CLS]` put before the sentence and `[SEP]` after it, and a Pooling that averages them. No weight in it was ever trained on a sentence pair.
#
# ## One vector, three tasks
#
# **Question.** What would you do with a vector for a sentence? You compute it once and keep it, and three tasks become cheap arithmetic:
#
# - **search**: which sentence is nearest? Measured on the bundled sentences about eight topics: how often does the nearest neighbour share the topic?
# - **clustering**: which sentences belong together? K-means makes eight groups of the same sentences; the adjusted Rand index compares them with the topics, 1 for equal groups, about 0 for random ones.
# - **similarity**: how alike are two sentences? Measured on bundled pairs with scores from 0 to 5: Spearman's rank correlation of cosines and scores is 1 for the same order, about 0 for none.
#
# **Predict** before you run: is the plain average better than chance at all three?

# %% tags=["row-1.1"]
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import normalize

from course_lib.evaluation import spearman
from course_lib.similarity import pairwise_cos_sim

topics, sentences = map(np.array, zip(*[row for _, row in read_tsv(find("course/sentences"), "topic", "sentence")]))
pairs = load_sts("course/sts")
score = np.array([pair.score for pair in pairs])                             # (pairs,) 0 to 1
texts = [*sentences.tolist(), *(pair.sentence1 for pair in pairs), *(pair.sentence2 for pair in pairs)]

def three_tasks(vectors):
    vectors = normalize(torch.as_tensor(vectors), dim=1)                     # (texts, dim) one for each of `texts`
    ours, u, v = vectors[: len(topics)], *vectors[len(topics) :].chunk(2)    # (80, dim), (pairs, dim), (pairs, dim)
    nearest = cos_sim(ours, ours).fill_diagonal_(-1).argmax(1)               # (80,) not the sentence itself
    groups = KMeans(len(set(topics)), n_init=10, random_state=seed).fit_predict(ours)
    return {"search": np.mean(topics[nearest] == topics), "clustering": adjusted_rand_score(topics, groups),
            "similarity": spearman(score, pairwise_cos_sim(u, v))}

mean = encoder.encode(texts, show_progress_bar=False)                        # (texts, dim)
chance = {"search": (np.sum(topics == topics[0]) - 1) / (len(topics) - 1), "clustering": 0.0, "similarity": 0.0}
for task, value in three_tasks(mean).items():
    print(f"{task:<11} {value:.2f}   (chance {chance[task]:.2f})")
    assert value > chance[task]

# %% [markdown]
# Better than chance at all three. Whether that is _good_, the table at the end tells.
#
# ## What does a word's vector know?
#
# Before BERT, words had fixed vectors: Word2Vec and GloVe store one vector for each word. The bundled `glove-mini` was made by GloVe's method. In a bundled file "bank" is a place for money in five sentences, and the edge of a river in five others.
#
# **Question.** How many different vectors do the ten occurrences get, from the static model and from BERT? **Predict** both numbers.
#
# The figure shows each set along the two directions in which it varies most (principal components).

# %% tags=["row-1.2"] alt="Two scatter plots of the ten occurrences of the word bank. Left, static vectors: all ten lie on one point. Right, contextual vectors: ten separate points, circles for one sense and squares for the other."
from course_lib.plotting import scatter

senses = [row for _, row in read_tsv(find("course/senses"), "word", "sense", "sentence")]

def static_occurrence(text, word):
    tokens = static.tokens(text)
    return torch.from_numpy(static.encode(tokens))[tokens.index(word)]       # (tokens, dim) -> (dim,)

def contextual_occurrence(text, word):
    tokens, pieces = encoder.tokens(text), encoder.tokens(f"the {word}")[2:-1]         # a rare word has several pieces
    first = next(i for i in range(len(tokens)) if tokens[i : i + len(pieces)] == pieces)
    return encoder.token_embeddings([text])[0][first : first + len(pieces)].mean(0)    # (dim,)

def plane(vectors):
    centred = vectors - vectors.mean(0)                                      # (10, dim)
    return centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T           # (10, 2)

kinds, sentences_with = zip(*[(sense, text) for w, sense, text in senses if w == word])
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for ax, name, occurrence in [(axes[0], "Static", static_occurrence), (axes[1], "BERT", contextual_occurrence)]:
    vectors = torch.stack([occurrence(text, word) for text in sentences_with])         # (10, dim)
    points = len(vectors.unique(dim=0))
    scatter(plane(vectors), kinds, f"{name}: {len(vectors)} times \"{word}\", different vectors: {points}", ax=ax)
    assert points == (1 if name == "Static" else len(sentences_with))
plt.show()

# %% [markdown]
# The static model looks the word up: ten points on top of each other. BERT computes the vector from the whole sentence: they spread. Do they also _separate_, sense from sense? One word in two dimensions proves little, so count over all twelve words of the file: how often is the nearest other occurrence of the word of the same sense?

# %%
def same_sense(vector_of):
    hits = []
    for w in dict.fromkeys(w for w, _, _ in senses):
        rows = [(sense, text) for other, sense, text in senses if other == w]
        vectors = torch.stack([torch.as_tensor(vector_of(text, w)) for _, text in rows])      # (10, dim)
        nearest = cos_sim(vectors, vectors).fill_diagonal_(-1).argmax(1)     # (10,)
        hits += [rows[i][0] == sense for i, (sense, _) in zip(nearest, rows)]
    return sum(hits) / len(hits)

in_file = [text for _, _, text in senses]
bert_average, static_average = [dict(zip(in_file, m.encode(in_file, show_progress_bar=False))) for m in (encoder, static)]
by_token = same_sense(contextual_occurrence)
by_sentence = same_sense(lambda text, w: bert_average[text])
by_words = same_sense(lambda text, w: static_average[text])
print(f"guessing                                 {4 / 9:.2f}")
print(f"BERT's vector of the ambiguous word      {by_token:.2f}")
print(f"average of all BERT vectors              {by_sentence:.2f}")
print(f"average of all static vectors            {by_words:.2f}")

assert by_token > 4 / 9 + 0.1

# %% [markdown]
# The context has reached the word's own vector: its neighbours share its sense more often than by guessing. But read the last two lines. Averages over the sentence, even of static vectors, also tell the senses apart, because the _other_ words give them away ("loan", "canoe"). That only a contextual model can know the sense is not shown.
#
# ## Does word order count?
#
# **Predict.** "The dog bit the man" and "The man bit the dog" have the same words. What is the cosine of their averages, static and from BERT?

# %% tags=["row-2.22", "nbval-check-output"]
bites = ["The dog bit the man.", "The man bit the dog."]
for name, m in [("static average", static), ("BERT average", encoder)]:
    u, v = m.encode(bites)
    print(f"{name:<15} equal: {np.allclose(u, v, atol=1e-5)}")

each = static.encode(static.tokens(bites[0]))                                # (words, dim): the table's rows
assert np.allclose(each.mean(0), static.encode(bites[0]), atol=1e-5)         # ... and the vector is their average

text = str(sentences[0])
shuffled = np.random.default_rng(seed).permutation(text.split()).tolist()
assert np.allclose(static.encode(text), static.encode(" ".join(shuffled)), atol=1e-5)
assert np.allclose(*static.encode(bites), atol=1e-5) and not np.allclose(*encoder.encode(bites), atol=1e-3)

# %% [markdown]
# A sum does not know in which order its terms came. The average of static vectors is a *bag of words*: every shuffling of a sentence has the same vector. BERT adds a position to each token, so its token vectors differ, and so does their average. Whether it differs _usefully_ is not shown.
#
# ## How do many vectors become one?
#
# Now the averaging itself, on numbers you can check in your head: two sentences, of three and of two tokens, with vectors of two components. To fit both into one tensor the second is filled up with a `[PAD]` token, and an *attention mask* says which tokens are real.
#
# **Predict** the average of the second sentence.

# %% tags=["row-1.22", "nbval-check-output"]
tokens = torch.tensor([[[1.0, 0.0], [2.0, 6.0], [6.0, 0.0]],
                       [[1.0, 4.0], [3.0, 8.0], [9.0, 9.0]]])    # (2 sentences, 3 tokens, 2)
mask = torch.tensor([[1, 1, 1],
                     [1, 1, 0]])                                 # (2, 3)

looped = []
for sentence, real in zip(tokens, mask):
    total, count = torch.zeros(2), 0
    for vector, is_real in zip(sentence, real):
        if is_real:
            total, count = total + vector, count + 1
    looped.append(total / count)

weights = mask.unsqueeze(-1).float()                             # (2, 3, 1)
pooled = (tokens * weights).sum(1) / weights.sum(1)              # (2, 2) / (2, 1) -> (2, 2)
print(pooled)

assert torch.equal(torch.stack(looped), pooled)

# %% [markdown]
# Mean pooling is: multiply by the mask, add up, divide by the number of _real_ tokens. A BERT with this on top is the simplest sentence transformer.
#
# ### Six ways
#
# For the vectors $x_1 \dots x_n$ of the real tokens:
#
# | mode | result |
# |---|---|
# | `cls` | $x_1$, the vector of `[CLS]`, the token that BERT puts first |
# | `lasttoken` | $x_n$ |
# | `max` | in each component the largest value |
# | `mean` | $(x_1 + \dots + x_n) / n$ |
# | `mean_sqrt_len_tokens` | $(x_1 + \dots + x_n) / \sqrt{n}$ |
# | `weightedmean` | $(1 x_1 + 2 x_2 + \dots + n x_n) / (1 + 2 + \dots + n)$ |
#
# A model's folder says which mode it was trained with: use that one.
#
# **Predict** the six results for the second toy sentence, whose real tokens are (1, 4) and (3, 8).

# %% tags=["row-2.5", "nbval-check-output"]
from course_lib.pooling import POOLING_MODES, pool

a, b = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 8.0])
by_hand = {"cls": a, "lasttoken": b, "max": torch.maximum(a, b), "mean": (a + b) / 2,
           "mean_sqrt_len_tokens": (a + b) / 2**0.5, "weightedmean": (1 * a + 2 * b) / (1 + 2)}

assert set(by_hand) == set(POOLING_MODES)
for mode in POOLING_MODES:
    result = pool(tokens, mask, mode)[1]                         # (2,)
    assert torch.allclose(result, by_hand[mode])
    print(f"{mode:<21} {[round(x, 3) for x in result.tolist()]}")

# %% [markdown]
# ## Now from the library
#
# `pool` came from `course_lib.pooling`. Its heart, printed below, does the same for a whole batch, with padding on either side. The asserts compare it with the two lines above on a random batch, and the encoder's sentence vector with the average of its token vectors.

# %% tags=["row-1.22", "nbval-check-output"]
import inspect

from course_lib import pooling

print(inspect.getsource(pooling._pool))

torch.manual_seed(seed)
x, m = torch.randn(4, 7, 5), (torch.arange(7) < torch.tensor([[7], [1], [4], [6]])).long()   # (4, 7, 5), (4, 7)
w = m.unsqueeze(-1).float()                                      # (4, 7, 1)
assert torch.allclose(pool(x, m, "mean"), (x * w).sum(1) / w.sum(1), atol=1e-6)

vectors = encoder.token_embeddings([text])[0]                    # (tokens, dim)
assert np.allclose(vectors.mean(0), encoder.encode(text), atol=1e-5)

# %% [markdown]
# ## Trap: the padded mean
#
# Many scripts end in `model(**batch).last_hidden_state.mean(1)`. That is right for one sentence. In a batch the shorter ones have `[PAD]` tokens, the model returns vectors for these too, and `.mean(1)` counts them.
#
# Here it is, on toy numbers and on the same BERT loaded with `transformers`: one short sentence, encoded alone and beside a long text.
#
# **Predict**: may a sentence's vector depend on what stands beside it?

# %% tags=["row-1.22", "nbval-check-output"]
import transformers

from course_lib.support.folders import resolve

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
toy, real = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])      # 9 belongs to [PAD]
print(f"toy: right {pool(toy, real).item():.2f}, naive {toy.mean(1).item():.2f}")

tokenizer = transformers.AutoTokenizer.from_pretrained(resolve(model))
bert = transformers.AutoModel.from_pretrained(resolve(model), dtype=torch.float32).eval()

def short_sentence(texts, naive):
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = bert(**batch).last_hidden_state                 # (texts, tokens, dim)
    return (hidden.mean(1) if naive else pool(hidden, batch["attention_mask"]))[0]

short, long = "It rains.", " ".join(sentences[:5])
for naive in (True, False):
    alone, beside = short_sentence([short], naive), short_sentence([short, long], naive)
    same = torch.allclose(alone, beside, atol=1e-4)
    print(f"{'naive' if naive else 'masked'} mean: same vector alone and in a batch: {same}")
    assert same != naive

# %% [markdown]
# The naive mean gives one sentence two vectors, both of the right shape, and nothing warns you. If your cosines change with the batch size, look here first. `course_lib`'s encoder computes no padding at all.
#
# ## Any length, one size
#
# **Predict** the shape of the vectors of texts with one word, ten, a hundred, and five hundred.

# %% tags=["row-1.3", "row-3.3", "nbval-check-output"]
for n in (1, 10, 100, 500):
    long_text = " ".join(("the cat sat on the mat and then " * 63).split()[:n])
    each = encoder.token_embeddings([long_text])[0]                          # (tokens, dim)
    print(f"{n:>3} words: token vectors {tuple(each.shape)}, sentence vector {encoder.encode(long_text).shape}")

many = [" ".join(["rain"] * n) for n in range(1, 501, 20)]
vectors, cut = encoder.encode([*many, "rain " * 5000], return_truncated=True, show_progress_bar=False)
print(f"{len(vectors)} texts: {vectors.shape}, cut at {encoder.max_seq_length} tokens: {cut}")
assert vectors.shape == (len(many) + 1, dim) and np.isfinite(vectors).all()

# %% [markdown]
# Pooling turns any number of rows into one. A long text has to fit into as many numbers as a short one, and a text beyond `max_seq_length` is cut: `return_truncated` tells how many were.
#
# ## Why are all the cosines high?
#
# Take eight sentences, two on each of four topics. **Predict** the cosine of one about tomato sauce and one about a corner kick. Then look at the left heatmap.

# %% tags=["row-3.4"] alt="Two heatmaps of the cosines of eight sentences, two on each of four topics. Left, BERT averages as they are: all cells are red, about a half and more for every pair. Right, after the mean vector is removed: the diagonal stays dark red, the other cells are pale, spread around zero."
from course_lib.plotting import heatmap

eight = [i for topic in dict.fromkeys(topics.tolist()) for i in np.flatnonzero(topics == topic)[:2]][:8]
units = normalize(torch.from_numpy(mean[: len(topics)]), dim=1)                              # (80, dim), length 1
centred = units - units.mean(0)                                                              # (80, dim)
before, after = cos_sim(units, units), cos_sim(centred, centred)                             # (80, 80)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
heatmap(before[eight][:, eight], sentences[eight].tolist(), "As they are: every pair looks alike", ax=left)
heatmap(after[eight][:, eight], title="Without the mean vector: pairs differ", ax=right)
plt.show()

different = ~torch.eye(len(units), dtype=torch.bool)                                         # all but the diagonal
assert abs(after[different].mean()) < 0.05
if bundled:
    assert before[eight][:, eight].min() > 0.4 and before[different].mean() > 0.5

# %% [markdown]
# On the left every pair gets a high cosine. All vectors share one large part: their mean. Subtract it, and the cosines spread around zero. This is arithmetic: for vectors of length 1 the average of all cosines _is_ the squared length of the mean vector, $\frac{1}{n^2} \sum_{ij} u_i \cdot u_j = \bar u \cdot \bar u$, as the next cell asserts.
#
# So a cosine means nothing by itself, and no fixed threshold for "similar" holds for all models. What counts is whether _similar_ pairs come out higher than _unrelated_ ones. The histograms show both, from the scored pairs: scores of at least 4 of 5, and of at most 1.
#
# Two numbers sum it up (Wang and Isola 2020), lower is better for both: *alignment* is the mean squared distance of similar pairs, *uniformity* says how evenly all vectors are spread over the sphere. **Predict**: which of the two is bad for the plain average?

# %% tags=["row-3.4"] alt="Three pairs of histograms of cosines, for similar and for unrelated sentence pairs. Left, BERT averages: both lie close together at the high end. Middle, without the mean vector: both are wider. Right, the trained encoder: unrelated pairs low, similar pairs high, with a wider gap between them."
from course_lib.plotting import histogram

spaces = {"BERT average": mean, "mean removed": mean - mean.mean(0),
          "trained encoder": trained.encode(texts, show_progress_bar=False)}         # (texts, dim) each
titles = ["BERT average: all are high", "Mean removed: spread out", "Trained encoder: set apart"]
assert torch.allclose(cos_sim(units, units).mean(), units.mean(0).pow(2).sum(), atol=1e-5)

alignment, uniformity = {}, {}
figure, axes = plt.subplots(1, 3, figsize=(12, 3), layout="constrained", sharex=True)
for ax, title, (name, vectors) in zip(axes, titles, spaces.items()):
    vectors = normalize(torch.as_tensor(vectors), dim=1)                     # (texts, dim)
    u, v = vectors[len(topics) :].chunk(2)                                   # (pairs, dim) each
    cosines = (u * v).sum(1)                                                 # (pairs,)
    alignment[name] = (u - v)[score >= 0.8].pow(2).sum(1).mean().item()
    uniformity[name] = torch.pdist(vectors).pow(2).mul(-2).exp().mean().log().item()
    print(f"{name:<16} alignment {alignment[name]:.2f}, uniformity {uniformity[name]:.2f}")
    histogram({"similar": cosines[score >= 0.8], "unrelated": cosines[score <= 0.2]}, title, ax=ax)
plt.show()
assert not bundled or min(alignment, key=alignment.get) == max(uniformity, key=uniformity.get) == "BERT average"

# %% [markdown]
# The plain average has the best alignment and the worst uniformity: similar sentences are close, because all sentences are close. Removing the mean spreads everything, similar pairs too; whether it also _ranks_ pairs better, the next section says. The trained encoder moves unrelated pairs further away than similar ones.
#
# ## Is it a sentence embedding?
#
# The candidates: the average of static vectors; `[CLS]`, maximum and mean of the same BERT; its mean centred, as above; and the trained encoder. **Predict** their order by similarity. In the Sentence-BERT paper (right chart), averaged GloVe beat averaged BERT, and `[CLS]` came last by far.

# %% tags=["row-1.23", "row-2.5"] alt="Two bar charts of Spearman correlations. Left, measured here on the bundled pairs: static average, BERT's CLS, max, mean, mean with the common part removed, and the trained encoder, whose bar is the longest. Right, published for STSb: averaged GloVe 0.58, averaged BERT 0.46, CLS 0.17, SBERT 0.77."
from course_lib.plotting import bars

modes = ["cls", "max", "mean"]
three = SentenceEncoder([transformer, Pooling(dim, modes)], dtype="float32").eval()
cls, largest, again = np.split(three.encode(texts, show_progress_bar=False), 3, axis=1)      # (texts, dim) each
assert np.allclose(again, mean, atol=1e-5)

board = {"static average": three_tasks(static.encode(texts)), "BERT [CLS]": three_tasks(cls),
         "BERT max": three_tasks(largest), "BERT mean": three_tasks(mean),
         "BERT mean, centred": three_tasks(spaces["mean removed"]),
         "trained encoder": three_tasks(spaces["trained encoder"])}
print(f"{'':<19} search  clustering  similarity")
for name, row in board.items():
    print(f"{name:<19} {row['search']:>6.2f}  {row['clustering']:>10.2f}  {row['similarity']:>10.2f}")

paper = {"averaged GloVe": 0.5802, "BERT [CLS]": 0.1650, "averaged BERT": 0.4635, "SBERT (NLI, base)": 0.7703}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 2.6), layout="constrained", sharex=True)
bars({name: row["similarity"] for name, row in board.items()}, "Here, bundled pairs: training wins", "Spearman", ax=left)
bars(paper, "Published, STSb test: training wins", "Spearman", ax=right)
plt.show()

# %% tags=["row-1.23", "row-CP1", "nbval-check-output"]
similarity = {name: row["similarity"] for name, row in board.items()}
for name in sorted(similarity, key=similarity.get, reverse=True):
    print(f"{similarity[name]:.2f}  {name}")

untrained = [similarity[name] for name in similarity if name != "trained encoder"]
if bundled:
    assert similarity["trained encoder"] > max(untrained) + 0.03
    assert all(board["trained encoder"][task] > board["BERT mean"][task] for task in chance)

sts_tasks, senteval = {"GloVe": 61.32, "BERT": 54.81}, {"GloVe": 81.52, "BERT": 84.94}
print("published averages, GloVe and BERT:")
print("cosine on seven STS sets ", *sts_tasks.values())
print("classifiers, SentEval    ", *senteval.values())
assert sts_tasks["GloVe"] > sts_tasks["BERT"] and senteval["GloVe"] < senteval["BERT"]

# %% [markdown]
# The trained encoder, of the same size and pooling, is best at similarity, as in the paper, and by far at search and clustering. Unlike the paper, `[CLS]` is not far behind the mean, and the static average is last. Removing the mean vector moved all cosines, and did not improve their order. Do not compare the _values_ of the two charts: other pairs, other models.
#
# You will often read that BERT's average is "worse than GloVe". The last lines say what was measured: it holds for the plain _cosine_. With a classifier trained on top of the vectors (SentEval), BERT's average is the better one. The information is in it; the cosine does not show it.
#
# ### Recorded: the real benchmark
#
# The STS benchmark does not ship with the course. `recipes/evaluate.py` measured its development set (Spearman x 100) into `data/results/05.csv`. The cell asserts that the file belongs to the models you have, and that your numbers on the bundled pairs are the recorded ones. *Weighted mean* multiplies each static vector by a / (a + frequency of its word), a = 0.001, so that "the" counts for little (Arora et al. 2017). With the benchmark at hand (`COURSE_DATA`, see the README), `full = True` measures everything again.

# %% tags=["row-1.23"]
import hashlib

from course_lib.data import load_results

recorded = load_results("05")
names = {("course/glove-mini", "mean"): "static average", ("course/bert-mini", "cls"): "BERT [CLS]",
         ("course/bert-mini", "max"): "BERT max", ("course/bert-mini", "mean"): "BERT mean",
         ("course/sbert-mini", "mean"): "trained encoder"}
value = recorded.set_index(["model", "pooling", "data"]).value
for (name, mode, data), points in value.sort_values(ascending=False).items():
    if data == "stsbenchmark/dev":
        print(f"{points:.1f}  {name}, {mode}")
    elif bundled and (name, mode) in names:
        assert abs(points - 100 * similarity[names[name, mode]]) < 0.5
for name, digest in zip(recorded.model, recorded.model_sha256):
    assert digest == hashlib.sha256(min(resolve(name).rglob("model.safetensors")).read_bytes()).hexdigest()
assert value["course/sbert-mini", "mean", "stsbenchmark/dev"] > value["course/bert-mini", "mean", "stsbenchmark/dev"] + 15
if full:
    from recipes.evaluate import similarity_rows, variants
    again = [row for name, mode, m in variants() for row in similarity_rows(name, mode, m, resolve(name))]
    assert all(abs(float(row["value"]) - points) < 0.5 for row, points in zip(again, recorded.value, strict=True))

# %% [markdown]
# Unlike GloVe in the paper, plain averages of word vectors stay far below BERT's mean here; weighted ones come close. So: the average is better than chance, and a poor sentence embedding. Nothing in BERT's training asked that the cosine of two averages should mean anything. A loss in notebook 06 does.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"`, the BERT of the paper, a download of 440 MB, and `trained_model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB). Expect the shared mean again, and a wide gap between plain average and trained encoder.
#
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** `[CLS]` and `[SEP]` are not words. Average the vectors of the words only. The mask counts `[CLS]`, the words and `[SEP]`, in this order; padding stands on the right.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def mean_of_words(token_embeddings, attention_mask):
    """(batch, tokens, dim), (batch, tokens) -> (batch, dim): the mean without [CLS], [SEP] and padding."""
    ...

check("05.1", mean_of_words)

# %% [markdown]
# **2.** Remove what all vectors share, then compare them. Take the vectors as they are, without normalising them first.

# %% tags=["exercise", "nbval-check-output"]
def centred_cosines(vectors):
    """(n, dim) -> (n, n): the cosines of all pairs after the mean vector has been subtracted."""
    ...

check("05.2", centred_cosines)

# %% [markdown]
# **3.** Some models pool the _last_ token, and some tokenizers pad on the left. Find the last real token, wherever the padding is.

# %% tags=["exercise", "nbval-check-output"]
def last_token(token_embeddings, attention_mask):
    """(batch, tokens, dim), (batch, tokens) -> (batch, dim): the vector of each sentence's last real token."""
    ...

check("05.3", last_token)

# %% [markdown]
# ## Questions
#
# **1.** You average a sentence's static vectors, then those of its words in reverse. What is the cosine of the two, and why can no choice of word vectors change it?
#
# <details><summary>Answer</summary>1: a sum does not depend on the order of its terms, so both are the same vector. Only what is computed from positions or neighbours can tell the orders apart.</details>
#
# **2.** A colleague reports: "Our BERT average is excellent, similar questions have cosines above 0.9." What do you ask?
#
# <details><summary>Answer</summary>What cosines do <em>unrelated</em> questions have? With a large common part they are above 0.9 too. Ask for both histograms, or for a rank correlation on scored pairs.</details>
#
# **3.** The naive mean of the trap was right on a single sentence. Which test of an encoder finds the mistake?
#
# <details><summary>Answer</summary>Encode one sentence alone and in a batch with a much longer one, and require equal vectors.</details>
#
# ## Summary
#
# - One vector a sentence, of one size for any length, serves search, clustering and similarity.
# - Averages of static vectors see neither context nor word order. BERT's token vectors see both.
# - Mean pooling divides a masked sum by the number of real tokens. Without the mask, a vector depends on its neighbours in the batch.
# - BERT's averages share a large mean vector, so all their cosines are high. A cosine says something only in comparison.
# - The plain average is a poor sentence embedding; training on pairs can make the network a better one.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): Table 1 (STS) and Table 5 (SentEval).
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805). Pennington et al. (2014), [GloVe](https://aclanthology.org/D14-1162/).
# - Arora et al. (2017), [weighted averages of word vectors](https://openreview.net/forum?id=SyK00v5xx).
# - Wang and Isola (2020), [alignment and uniformity](https://arxiv.org/abs/2005.10242).
# - Ethayarajh (2019), [high cosines of contextual vectors](https://arxiv.org/abs/1909.00512).
#
# **Next:** [06_sbert](06_sbert.ipynb) trains this network on pairs of sentences, with the siamese set-up of Sentence-BERT.
