# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/05_mean_pooling.ipynb)
#
# # Is the average of BERT's vectors a sentence embedding?
#
# BERT gives a vector for each token, and you want one for each sentence. You average them, meet a trap, and measure what the average is worth.
#
# | | |
# |---|---|
# | You will be able to | pool token vectors in six ways; spot the padding mistake; explain BERT's high cosines by a shared mean vector; compute alignment and uniformity; score encoders on three tasks |
# | You need first | what a tensor's shape is; that BERT turns tokens into vectors (notebook 04) |
# | Time | 40 minutes; the code runs in half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the models come with the course |

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
# `model` is a small BERT that has only learnt to fill in masked words of Wikipedia. `static_model` looks each word up in a table. `trained_model` is this BERT after training on pairs of sentences. `word` is one of the twelve in `data/senses.tsv`, each with two senses. `full = True` measures the recorded scores again; it needs `COURSE_DATA` (docs/running.md).

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
static_model = "course/glove-mini"
trained_model = "course/sbert-mini-ranking"
word = "bank"
full = False

# %% tags=["row-CP1", "nbval-check-output"]
import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.encoder import SentenceEncoder
from course_lib.modules import Pooling

bundled = (model, static_model, trained_model) == ("course/bert-mini", "course/glove-mini", "course/sbert-mini-ranking")
transformer = SentenceEncoder.load(model, dtype="float32")[0]
dim = transformer.model.config.hidden_size
encoder = SentenceEncoder([transformer, Pooling(dim, "mean")], dtype="float32").eval()
static = SentenceEncoder.load(static_model, dtype="float32")
trained = SentenceEncoder.load(trained_model, dtype="float32")

text = "A cat sits on a mat."
token_vectors = encoder.token_embeddings([text])[0]                          # (tokens, dim)
print(encoder.tokens(text))
print("token vectors  ", tuple(token_vectors.shape))
print("sentence vector", encoder.encode(text).shape)
assert len(token_vectors) == len(encoder.tokens(text)) and encoder.encode(text).shape == (dim,)

# %% [markdown]
# BERT puts `[CLS]` before the sentence and `[SEP]` after it, and gives a vector for each token, these two included. *Pooling* makes one vector of them all.
#
# ## How do many vectors become one?
#
# Start with numbers to check in your head: two sentences, of three and of two tokens, with vectors of two numbers. A `[PAD]` token fills up the second sentence, and an *attention mask* says which tokens are real.
#
# **Predict** the average of the second sentence's real tokens.

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
# *Mean pooling* multiplies by the mask, adds up, and divides by the number of _real_ tokens. Trained for it, a BERT followed by mean pooling is a sentence transformer.
#
# ## Trap: the padded mean
#
# What happens without the mask? For a single sentence, `model(**batch).last_hidden_state.mean(1)` is right. In a batch BERT returns vectors for `[PAD]` too, and this naive mean counts them.
#
# Encode "It rains." alone, and in a batch with a long text. **Predict** for the naive and for the masked mean whether the two vectors have a cosine of 1.

# %% tags=["row-1.22", "nbval-check-output"]
import transformers

from course_lib.pooling import POOLING_MODES, pool
from course_lib.similarity import cos_sim, pairwise_cos_sim
from course_lib.support.folders import resolve

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
tokenizer = transformers.AutoTokenizer.from_pretrained(resolve(model))
bert = transformers.AutoModel.from_pretrained(resolve(model), dtype=torch.float32).eval()

def first_vector(texts, naive):
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = bert(**batch).last_hidden_state                             # (texts, tokens, dim)
    return (hidden.mean(1) if naive else pool(hidden, batch["attention_mask"]))[0]

short, long = "It rains.", "The train was late again, so we waited on the platform and talked. " * 5
for naive in (True, False):
    alone, beside = first_vector([short], naive), first_vector([short, long], naive)
    print(f"{'naive' if naive else 'masked':<6} mean: cosine of alone and beside {cos_sim(alone, beside).item():.3f}")
    assert torch.allclose(alone, beside, atol=1e-4) != naive

# %% [markdown]
# With the naive mean, the vector of "It rains." depends on its neighbour in the batch. With the masked mean it does not.
#
# ## Six ways to pool
#
# Is the mean the only way? sentence-transformers has five more. For the vectors $x_1 \dots x_n$ of the real tokens:
#
# | mode | result |
# |---|---|
# | `cls` | $x_1$, the vector of `[CLS]` |
# | `lasttoken` | $x_n$ |
# | `max` | at each place the largest value |
# | `mean` | $(x_1 + \dots + x_n) / n$ |
# | `mean_sqrt_len_tokens` | $(x_1 + \dots + x_n) / \sqrt{n}$ |
# | `weightedmean` | $(1 x_1 + 2 x_2 + \dots + n x_n) / (1 + 2 + \dots + n)$: weighted by position |
#
# Use the mode that a trained encoder's folder names: it was trained with it.
#
# **Predict** the six results for the second toy sentence, whose real tokens are (1, 4) and (3, 8). For which modes will the cosine with `mean` be exactly 1?

# %% tags=["row-2.5", "nbval-check-output"]
a, b = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 8.0])
by_hand = {"cls": a, "lasttoken": b, "max": torch.maximum(a, b), "mean": (a + b) / 2,
           "mean_sqrt_len_tokens": (a + b) / 2**0.5, "weightedmean": (1 * a + 2 * b) / (1 + 2)}

assert set(by_hand) == set(POOLING_MODES)
for mode in POOLING_MODES:
    result = pool(tokens, mask, mode)[1]                                     # (2,)
    cosine = cos_sim(result, by_hand["mean"]).item()
    print(f"{mode:<21} {str([round(x, 3) for x in result.tolist()]):<16} cosine with mean {cosine:.4f}")
    assert torch.allclose(result, by_hand[mode])
    assert (mode in ("mean", "mean_sqrt_len_tokens")) == (cosine > 0.999999)

# %% [markdown]
# `mean` and `mean_sqrt_len_tokens` differ only in the vector's length, and a cosine does not depend on the length.
#
# ## Now from course_lib and from sentence-transformers
#
# Does `pool` from course_lib agree with your two lines and with sentence-transformers? The cell compares them, and then encodes texts of different length. The last two differ only in the last of their 601 words. **Predict** whether their vectors differ.

# %% tags=["row-1.22", "row-1.3", "row-3.3", "nbval-check-output"]
from sentence_transformers import SentenceTransformer

theirs = SentenceTransformer(str(resolve(model)), device="cpu")              # a Transformer and a Pooling, like ours
TheirPooling = type(theirs[1])
torch.manual_seed(seed)
x, m = torch.randn(4, 7, 5), (torch.arange(7) < torch.tensor([[7], [1], [4], [6]])).long()   # (4, 7, 5), (4, 7)
w = m.unsqueeze(-1).float()                                                  # (4, 7, 1)
assert torch.allclose(pool(x, m, "mean"), (x * w).sum(1) / w.sum(1), atol=1e-6)
for mode in POOLING_MODES:
    features = TheirPooling(5, mode)({"token_embeddings": x, "attention_mask": m})
    assert torch.allclose(pool(x, m, mode), features["sentence_embedding"], atol=1e-6)
assert np.allclose(encoder.encode([text, long]), theirs.encode([text, long]), atol=1e-5)
print(f"the libraries agree in {len(POOLING_MODES)} modes")

for n in (1, 500):
    each = encoder.token_embeddings(["rain " * n])[0]                        # (tokens, dim)
    print(f"{n:>3} words: token vectors {tuple(each.shape)}, sentence vector {encoder.encode('rain ' * n).shape}")
ends, cut = encoder.encode(["rain " * 600 + "falls", "rain " * 600 + "stops"], return_truncated=True)
print(f"601 words: limit {encoder.max_seq_length} tokens, {cut} texts cut, equal vectors: {np.array_equal(*ends)}")
assert np.array_equal(*ends) and cut == 2 and encoder.max_seq_length < 600

# %% [markdown]
# They agree. (`return_truncated` is `course_lib`'s alone.) The encoder reads only the first `max_seq_length` tokens, here 512, so texts that differ only beyond them get the same vector.
#
# ## What is one vector good for?
#
# Three tasks measure it:
#
# - **search**: of 80 sentences, ten on each of eight topics, how many have a nearest neighbour on the same topic?
# - **clustering**: *k-means* makes eight groups of these sentences, and the *adjusted Rand index* compares them with the topics: 1 for the same groups, about 0 for random ones.
# - **similarity** (semantic textual similarity, STS): for the course's own 328 pairs, graded from 0 to 5 by the language model that wrote them, *Spearman's rank correlation* compares the order of the cosines with that of the grades: 1 for the same order, about 0 for none.
#
# BERT's average has to beat chance, and also counting words: a vector with one entry for each word, in which words that are rare in the course's test texts and pairs weigh more (tf-idf).
#
# Would a lead in similarity hold with other pairs? `lead` draws 328 pairs with replacement, 2,000 times, and gives the middle 95 % of the leads. If this interval includes 0, our pairs do not settle who is ahead.
#
# **Predict** at which task BERT's average is least ahead of counting words.

# %%
from types import SimpleNamespace

import pandas as pd
from scipy.stats import rankdata, zscore
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import normalize

from course_lib.data import load_pairs, load_sts
from course_lib.evaluation import spearman
from course_lib.support.tables import find, read_tsv

topics, sentences = map(np.array, zip(*[row for _, row in read_tsv(find("course/sentences"), "topic", "sentence")]))
pairs = load_sts("course/sts")
grade = np.array([5 * pair.score for pair in pairs])                         # (pairs,) load_sts gives 0 to 1
texts = [*sentences.tolist(), *(pair.sentence1 for pair in pairs), *(pair.sentence2 for pair in pairs)]
tfidf = TfidfVectorizer().fit([*texts, *(one for pair in load_pairs("course/pairs") for one in pair)])
counting = SimpleNamespace(encode=lambda texts, **_: tfidf.transform(texts).toarray().astype("float32"))
counts, mean = counting.encode(texts), encoder.encode(texts, show_progress_bar=False)     # (texts, words), (texts, dim)

def hits(vectors):                                                           # (texts, dim) one for each of `texts`
    ours = torch.as_tensor(vectors)[: len(topics)]                           # (80, dim)
    return topics[cos_sim(ours, ours).fill_diagonal_(-1).argmax(1)] == topics              # (80,) search: right or not

# %% tags=["row-1.1"]
def similarity_cosines(vectors):
    return pairwise_cos_sim(*torch.as_tensor(vectors)[len(topics) :].chunk(2)).numpy()     # (pairs,)

def three_tasks(vectors):
    ours = normalize(torch.as_tensor(vectors)[: len(topics)], dim=1)         # (80, dim)
    groups = [KMeans(8, n_init=10, random_state=s).fit_predict(ours) for s in range(seed, seed + 5)]     # five starts
    return {"search": hits(vectors).mean(), "clustering": np.mean([adjusted_rand_score(topics, g) for g in groups]),
            "similarity": spearman(grade, similarity_cosines(vectors))}

def lead(a, b):
    draws = np.random.default_rng(seed).integers(len(pairs), size=(2000, len(pairs)))      # (draws, pairs)
    a, b, right = (zscore(rankdata(values[draws], axis=1), axis=1)           # Spearman's is the correlation of ranks
                   for values in (similarity_cosines(a), similarity_cosines(b), grade))
    return np.percentile((a * right).mean(1) - (b * right).mean(1), [2.5, 97.5])

chance = {"search": (np.sum(topics == topics[0]) - 1) / (len(topics) - 1), "clustering": 0.0, "similarity": 0.0}
board = {"chance": chance, "counting words": three_tasks(counts), "BERT, averaged": three_tasks(mean)}
print(pd.DataFrame(board).T.to_string(float_format="%.2f"))
low, high = lead(mean, counts)
print(f"BERT's lead in similarity over counting words: {low:.2f} to {high:.2f}")
if bundled:
    assert board["BERT, averaged"]["search"] > 0.5 > 0.3 > board["counting words"]["search"] and low < 0 < high
    assert board["BERT, averaged"]["clustering"] > 0.3 > 0.1 > board["counting words"]["clustering"]

# %% [markdown]
# In search and clustering BERT's average is far ahead of counting words. In similarity the interval includes 0: our pairs do not settle which is better.
#
# ## Does the context get into the vector?
#
# A static model looks up one static vector for each word, the same in every sentence, as Word2Vec and *GloVe* do. BERT computes a word's vector from the whole sentence. Ten bundled sentences have "bank": in five a place for money, in five the edge of a river.
#
# **Predict** how many different vectors the ten "bank" get from each model. The figure shows the two directions in which each set varies most.

# %% tags=["row-1.2"] alt="Two scatter plots of the ten occurrences of the word bank. Left, static vectors: all ten lie on one spot, labelled as 10 points on one spot. Right, BERT: ten separate points, circles for the sense money and squares for the sense river."
from course_lib.plotting import scatter

senses = [row for _, row in read_tsv(find("course/senses"), "word", "sense", "sentence")]

def static_occurrence(text, word):
    words = static.tokens(text)
    return torch.from_numpy(static.encode(words))[words.index(word)]         # (words, dim) -> (dim,)

def contextual_occurrence(text, word):
    all_pieces, pieces = encoder.tokens(text), encoder.tokens(f"the {word}")[2:-1]     # a rare word has several pieces
    first = next(i for i in range(len(all_pieces)) if all_pieces[i : i + len(pieces)] == pieces)
    return encoder.token_embeddings([text])[0][first : first + len(pieces)].mean(0)    # (dim,)

kinds, sentences_with = zip(*[(sense, text) for w, sense, text in senses if w == word])
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for ax, name, occurrence in [(axes[0], "Static", static_occurrence), (axes[1], "BERT", contextual_occurrence)]:
    vectors = torch.stack([occurrence(text, word) for text in sentences_with])         # (10, dim)
    centred = vectors - vectors.mean(0)                                      # (10, dim)
    flat = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T           # (10, 2)
    points = len(vectors.unique(dim=0))
    scatter(flat, kinds, f"{name}: {len(vectors)} times \"{word}\", different vectors: {points}", ax=ax)
    assert points == (1 if name == "Static" else len(vectors))
axes[0].text(0.5, 0.6, f"{len(kinds)} points on one spot", ha="center", transform=axes[0].transAxes)
plt.show()

# %% [markdown]
# The static model gives all ten the same vector, BERT ten different ones.
#
# Do BERT's vectors tell the two senses apart? Count over twelve ambiguous words, with ten sentences each: how often has the nearest of the other nine occurrences the same sense? With equal vectors you could only guess.

# %% tags=["nbval-check-output"]
def same_sense(vector_of):
    found = []
    for w in dict.fromkeys(w for w, _, _ in senses):
        rows = [row[1:] for row in senses if row[0] == w]                    # sense, text
        vectors = torch.stack([torch.as_tensor(vector_of(text, w)) for _, text in rows])      # (10, dim)
        nearest = cos_sim(vectors, vectors).fill_diagonal_(-1).argmax(1)     # (10,)
        found += [rows[i][0] == sense for i, (sense, _) in zip(nearest, rows)]
    return sum(found)

guess = round(4 / 9 * len(senses))                                           # four of the other nine are right
right = same_sense(contextual_occurrence)
print(f"guessing          {guess} of {len(senses)}")
print(f"the word's vector {right} of {len(senses)}")
assert not bundled or right > guess + 20

# %% [markdown]
# The nearest has the same sense in 88 of 120 cases, against 53 by guessing. So the context reaches a word's vector.
#
# ## Does the average know who bit whom?
#
# "The dog bit the man" and "The man bit the dog" have the same words in another order. **Predict** the cosine of their two vectors by the static model, and whether BERT's average gives the same.

# %% tags=["row-2.22", "nbval-check-output"]
bites = ["The dog bit the man.", "The man bit the dog."]
for name, m in [("static average", static), ("BERT, averaged", encoder), ("trained encoder", trained)]:
    print(f"{name:<15} {cos_sim(*m.encode(bites)).item():.3f}")

each = static.encode(static.tokens(bites[0]))                                # (words, dim): the table's rows
assert np.allclose(each.mean(0), static.encode(bites[0]), atol=1e-5)         # ... and the vector is their average
assert np.allclose(*static.encode(bites), atol=1e-5) and not np.allclose(*encoder.encode(bites), atol=1e-3)

# %% [markdown]
# The static average is a *bag of words*: every shuffling of a sentence has the same sum. BERT's two averages differ, so the order has left a trace in them.
#
# Does the cosine use this trace? "The man was bitten by the dog" means the same as "The dog bit the man", and not the same as "The man bit the dog". **Predict** for how many of 80 such triples the passive sentence is nearer to the one that means the same. Guessing gets half.

# %%
from itertools import permutations

people, verbs = ["dog", "man", "girl", "teacher", "doctor"], ["chased", "followed", "helped", "called"]
triples = [(f"The {b} was {verb} by the {a}.", f"The {a} {verb} the {b}.", f"The {b} {verb} the {a}.")
           for verb in verbs for a, b in permutations(people, 2)]            # passive, same meaning, opposite

def who_did_what(m):
    passive, same, opposite = (m.encode(list(side), show_progress_bar=False) for side in zip(*triples))
    return (pairwise_cos_sim(passive, same) > pairwise_cos_sim(passive, opposite)).double().mean().item()

print(triples[0])
right = {"BERT, averaged": who_did_what(encoder), "trained encoder": who_did_what(trained)}
for name, share in right.items():
    print(f"{name:<15} right in {share:.1%} of {len(triples)}")
assert not bundled or right["trained encoder"] < right["BERT, averaged"] < 0.4

# %% [markdown]
# Both are far below half: mostly, the passive sentence is nearer to the one with the roles exchanged. That one has the two nouns in the same order. So on these triples the order of the nouns counts for more in the cosine than who did what.
#
# ## Why are all the cosines high?
#
# Do sentences on different topics get low cosines? Take six, two on each of three topics. **Predict** the cosine of one about eating and one about saving money.
#
# For the right heatmap the mean vector of all 736 texts was subtracted.

# %% tags=["row-3.4"] alt="Two heatmaps of the cosines of six sentences, with a frame round the two sentences of each topic. Left, BERT's averages as they are: every cell is red, also outside the frames. Right, with the mean vector subtracted: the frames are clearly red and most other cells are pale."
from course_lib.plotting import heatmap
from course_lib.side_by_side import SIX, outline

units = normalize(torch.from_numpy(mean), dim=1)                             # (texts, dim), each of length 1
six = normalize(torch.from_numpy(encoder.encode(list(SIX))), dim=1)          # (6, dim)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
for ax, vectors, title in [(axes[0], six, "As they are"), (axes[1], six - units.mean(0), "Mean vector subtracted")]:
    cosines = cos_sim(vectors, vectors)                                      # (6, 6)
    heatmap(cosines, labels=SIX if ax is axes[0] else None, title=title, ax=ax)
    outline(ax)
    others = cosines[torch.arange(6)[:, None] // 2 != torch.arange(6) // 2]  # (24,) two topics
    print(f"{title:<24} different topics: {others.min():.2f} to {others.max():.2f}")
    if bundled:
        assert others.min() > 0.5 if vectors is six else others.mean() < 0.2
axes[0].images[0].colorbar.remove()
plt.show()

# %% [markdown]
# On the left even different topics have cosines from 0.62 to 0.81. Once the mean vector is subtracted, these lie between -0.13 and 0.31.
#
# How large is this mean vector $\bar u$? For $n$ vectors $u_i$ of length 1, its squared length is exactly the average of all cosines:
#
# $$\frac{1}{n^2} \sum_{i,j} u_i \cdot u_j = \bar u \cdot \bar u = \lVert \bar u \rVert^2$$
#
# The cell computes both sides.

# %% tags=["row-3.4"]
spaces = {"BERT, averaged": units,
          "trained encoder": normalize(torch.from_numpy(trained.encode(texts, show_progress_bar=False)), dim=1)}
squared = {}
for name, vectors in spaces.items():
    average = cos_sim(vectors, vectors).mean().item()                        # over all n x n pairs of texts
    length = vectors.mean(0).norm().item()                                   # of the mean vector
    squared[name] = length**2
    print(f"{name:<15} average cosine {average:.2f}; mean vector: length {length:.2f}, squared {length**2:.2f}")
    assert np.isclose(average, squared[name], atol=1e-4)
assert not bundled or squared["BERT, averaged"] > 0.6 > 0.3 > squared["trained encoder"]

# %% [markdown]
# Both sides agree: 0.73 for BERT's average, 0.20 for the trained encoder. BERT's averages share a large mean vector. (The two say the same: this measures the height, and names no cause.)
#
# ## Does a high level do harm?
#
# What counts is whether _similar_ pairs (graded at least 4) come out higher than _unrelated_ ones (at most 1). Take the threshold that separates them best. The share of similar pairs below it, plus that of unrelated pairs above it, is their _overlap_: 0 for perfect separation, 1 for none.
#
# **Predict**: does subtracting the mean vector make the overlap smaller?

# %% tags=["row-3.4"] alt="Two panels with two overlapping histograms of cosines each, for similar and for unrelated pairs, over the same axes. Left, BERT's averages as they are: both lie above 0.5 and overlap a little. Right, mean vector subtracted: both lie lower and are wider, and overlap as much."
from course_lib.plotting import LINES, PALETTE

def overlap(vectors, grade):
    cosines = similarity_cosines(vectors)                                    # (pairs,)
    similar, unrelated = cosines[grade >= 4], cosines[grade <= 1]
    return min((similar < t).mean() + (unrelated >= t).mean() for t in cosines), similar, unrelated

spaces = {"As they are": units, "Mean vector subtracted": normalize(units - units.mean(0), dim=1)}
shares = []
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharex=True, sharey=True)
for ax, (name, vectors) in zip(axes, spaces.items()):
    share, similar, unrelated = overlap(vectors, grade)
    shares.append(share)
    for i, (label, values) in enumerate([("similar", similar), ("unrelated", unrelated)]):
        ax.hist(values, np.linspace(-0.5, 1, 31), weights=np.full(len(values), 100 / len(values)), alpha=0.45,
                histtype="stepfilled", color=PALETTE[i], edgecolor="black", linestyle=LINES[i], label=label)
    ax.set(title=f"{name}: overlap {share:.2f}", xlabel="cosine", xticks=[-0.5, 0, 0.5, 1])
axes[0].set_ylabel("share of the pairs in %")
figure.legend(*ax.get_legend_handles_labels(), loc="outside right center")
plt.show()
print(f"{len(similar)} similar and {len(unrelated)} unrelated pairs")
assert not bundled or max(shares) < 0.3 and abs(shares[0] - shares[1]) < 0.03

# %% [markdown]
# On the left both groups lie above 0.5, and they overlap little. On the right they lie lower, and overlap as much.
#
# A high _level_ alone does no harm: add the same number to every cosine, and their order stays. But a threshold for "similar" has to be chosen for each model.
#
# ## Alignment and uniformity
#
# Subtracting a vector can change the order of the cosines. What does it gain, and what does it cost? Two numbers describe it (Wang and Isola 2020), for vectors of length 1. *Alignment* says how close the vectors of $m$ similar pairs $(u_k, v_k)$ are, *uniformity* how evenly all vectors $x_i$ are spread, over their $P$ pairs. Lower is better for both:
#
# $$\text{alignment} = \frac{1}{m} \sum_{k} \lVert u_k - v_k \rVert^2, \qquad \text{uniformity} = \log \frac{1}{P} \sum_{i \lt j} e^{-2 \lVert x_i - x_j \rVert^2}$$
#
# The squared distance is $2 - 2 \cos$, so a low alignment means high cosines of similar pairs.
#
# **Predict** both numbers for four vectors, two pairs: if all four are the same, and if all stand at right angles.

# %% tags=["row-3.4", "nbval-check-output"]
def alignment(u, v):
    return (u - v).pow(2).sum(1).mean().item()                               # (pairs, dim) twice -> a number

def uniformity(x):
    return torch.pdist(x).pow(2).mul(-2).exp().mean().log().item()           # (n, dim); pdist: all distances i < j

e = torch.eye(4)                                                             # four directions at right angles
for name, (u, v) in {"all the same": (e[[0, 0]], e[[0, 0]]), "all at right angles": (e[[0, 1]], e[[2, 3]]),
                     "partners the same": (e[[0, 1]], e[[0, 1]])}.items():
    x = torch.cat([u, v])                                                    # (4, 4)
    print(f"{name:<20} alignment {alignment(u, v):.2f}, uniformity {uniformity(x) + 0.0:.2f}")
    looped = [np.exp(-2 * ((x[i] - x[j]) ** 2).sum().item()) for i in range(4) for j in range(i + 1, 4)]
    assert np.isclose(uniformity(x), np.log(np.mean(looped)), atol=1e-6)

# %% [markdown]
# Four equal vectors have the best alignment and the worst uniformity, so look at both numbers together.
#
# The figure does so for BERT's average and three trained encoders. Natural language inference (NLI) labels pairs of sentences: the second follows from the first, contradicts it, or neither. _softmax on NLI_ learnt to name the label. _ranking on NLI_, the one you have used, learnt to pick a sentence's partner out of many. _with a teacher_ began from an earlier BERT, and after ranking learnt to copy a larger encoder's vectors, those of all-MiniLM-L6-v2.
#
# The grey line needs no training. It starts at BERT's average, and from dot to dot ten per cent more of the mean vector is subtracted.
#
# **Predict** on which side of the line the trained encoders lie.

# %% tags=["row-3.4"] alt="A plane with alignment to the right and uniformity upwards. A grey line leads from BERT's average at the upper left to the lower right, where the whole mean vector is subtracted. The three trained encoders lie to the left of the line: softmax on NLI near its upper end, ranking on NLI and the one with a teacher further down."
from course_lib.plotting import MARKERS
from course_lib.side_by_side import FOUR, heatmaps, table

def both(vectors):
    u, v = vectors[len(topics) :].chunk(2)                                   # (pairs, dim) each
    return alignment(u[grade >= 4], v[grade >= 4]), uniformity(vectors)

line = np.array([both(normalize(units - part * units.mean(0), dim=1)) for part in np.linspace(0, 1, 11)])    # (11, 2)
four = {name: SentenceEncoder.load(folder, dtype="float32") for name, folder in FOUR.items()}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(*line.T, color="gray", marker=".", label="mean subtracted in part: 0, 10 ... 100 %")
for i, (name, m) in enumerate(four.items()):
    point = both(normalize(torch.from_numpy(m.encode(texts, show_progress_bar=False)), dim=1))
    ax.plot(*point, MARKERS[i], color=PALETTE[i], markersize=9, label=name)
    on_line = np.interp(point[1], line[::-1, 1], line[::-1, 0])              # the line's alignment at this uniformity
    print(f"{name:<15} alignment {point[0]:.2f}, uniformity {point[1]:.2f}; line at this uniformity {on_line:.2f}")
    assert not bundled or name == "BERT, averaged" or point[0] < on_line - 0.02
ax.set(xlabel="alignment (lower: similar pairs are closer)", ylabel="uniformity (lower: more evenly spread)")
ax.legend()
plt.show()

# %% [markdown]
# Along the line uniformity gets better and alignment worse: similar pairs move apart too. The trained encoders lie to its left. At the same uniformity, their similar pairs are closer.
#
# ## Is it a sentence embedding?
#
# Back to the three tasks, now with more vectors. One row averages what enters BERT's first layer, where no token has seen another. **Predict**: does subtracting the mean vector help search, and does it help similarity?

# %% tags=["row-1.23", "row-2.5"]
def before_layers(text):
    return bert.embeddings(torch.tensor([tokenizer(text).input_ids]))[0].detach().mean(0)  # (dim,)

three = SentenceEncoder([transformer, Pooling(dim, ["cls", "max", "mean"])], dtype="float32").eval()
cls, largest, again = np.split(three.encode(texts, show_progress_bar=False), 3, axis=1)      # (texts, dim) each
assert np.allclose(again, mean, atol=1e-5)

kinds = {
    "static average": static.encode(texts),
    "before BERT's first layer": torch.stack([before_layers(text) for text in texts]),
    "BERT [CLS]": cls,
    "BERT max": largest,
    "BERT mean": mean,
    "BERT mean, subtracted": units - units.mean(0),
}
board = {"chance": chance, "counting words": board["counting words"]} | {k: three_tasks(v) for k, v in kinds.items()}
print(pd.DataFrame(board).T.to_string(float_format="%.2f"))
leads = {name: lead(mean, vectors) for name, vectors in kinds.items() if name != "BERT mean"}
for name, (low, high) in leads.items():
    print(f"BERT mean's lead in similarity over {name:<25} {low:6.3f} to {high:.3f}")
before, after = hits(mean), hits(kinds["BERT mean, subtracted"])
print(f"search, by subtracting: {(after & ~before).sum()} of {len(topics)} gained, {(before & ~after).sum()} lost")
if bundled:
    of_bert = [row for name, row in board.items() if name.startswith("BERT")]
    assert all(row[task] > board[low][task] for low in list(kinds)[:2] for row in of_bert for task in chance)
    assert {name for name, (low, _) in leads.items() if low > 0} == set(leads) - {"BERT max"}
    assert after.sum() > before.sum()

# %% [markdown]
# All four kinds of BERT vectors are ahead of both averages without context, at all three tasks. In similarity the mean is ahead of `[CLS]`; for its lead over the maximum the interval includes 0. Subtracting the mean vector, here that of the very texts tested, puts 8 more of the 80 sentences right in search and loses 1. It costs a little similarity: the mean as it is stays ahead, with an interval above 0.
#
# ### Recorded: the STS benchmark
#
# Is the order the same on the STS benchmark, a larger set of graded pairs? The left chart has our scores on its development set, by which the settings of the trained encoders were chosen. The right one has those of the paper that introduced Sentence-BERT, on the test set. So compare within a chart, not across. *Weighted mean*, not the mode `weightedmean`, lets frequent words count less (Arora et al. 2017).

# %% tags=["row-1.23", "row-CP1"] alt="Two bar charts of Spearman correlation times 100 on the STS benchmark. A dashed line marks BERT's mean. Left, the course's models on the development set: static average 39, weighted mean 58, BERT CLS 60, BERT max 61, BERT mean 65, softmax on NLI 73, ranking on NLI 77, with a teacher the longest bar. Right, published on the test set: averaged GloVe 58, BERT CLS 17, averaged BERT 46, Sentence-BERT trained on NLI 77."
from course_lib.data import load_results
from course_lib.plotting import bars

recorded, alone = load_results("05"), "GloVe, articles alone"
if full:                                                                     # the control is trained by its own recipe
    from recipes.evaluate import similarity_rows, variants
    measured = pd.DataFrame(similarity_rows(variants())).astype({"value": float})
    recorded = pd.concat([measured, recorded[recorded.model == alone]])
dev = recorded[recorded.data == "stsbenchmark/dev"].set_index(["model", "pooling"]).value
static_dev, bert_dev = dev["course/glove-mini"], dev["course/bert-mini"]     # one score a pooling
ours = {"static average": static_dev["mean"], "static, weighted mean": static_dev["weighted mean"],
        "BERT [CLS]": bert_dev["cls"], "BERT max": bert_dev["max"], "BERT mean": bert_dev["mean"],
        **{name: dev[folder, "mean"] for name, folder in list(FOUR.items())[1:]}}
paper = {"GloVe mean": 58.02, "BERT [CLS]": 16.50, "BERT mean": 46.35, "Sentence-BERT on NLI": 77.03}
figure, axes = plt.subplots(1, 2, figsize=(11, 3), layout="constrained", sharex=True)
bars(ours, "Ours, development set", "Spearman x 100", ax=axes[0], digits=1, baseline="BERT mean")
bars(paper, "Published, test set", "Spearman x 100", ax=axes[1], digits=1, baseline="BERT mean")
plt.show()
senteval = {"GloVe mean": 81.52, "BERT mean": 84.94}                         # published: a classifier on the averages
print("Published, SentEval:", senteval)
controls = {"ours on BERT's articles alone": dev[alone, "mean"],
            "ours on words shared with GloVe": static_dev["mean of shared words"],
            "published GloVe on these words": dev["GloVe 6B, 50 numbers", "mean of shared words"]}
print("Word vectors averaged, development set:", ", ".join(f"{name} {score:.1f}" for name, score in controls.items()))
scores = list(ours.values())                                                 # five untrained, then the trained ones
assert min(scores[5:]) > max(scores[:5]) == ours["BERT mean"] and list(paper.values())[-1] == max(paper.values())
assert ours["static average"] < ours["static, weighted mean"] < min(scores[2:5])
articles, shared, published = controls.values()
assert abs(articles - ours["static average"]) < 1 and shared + 5 < published < ours["BERT mean"] - 10
assert paper["GloVe mean"] > paper["BERT mean"] > paper["BERT [CLS]"] and senteval["BERT mean"] > senteval["GloVe mean"]

# %% [markdown]
# On the left the static average and BERT's `[CLS]`, max and mean stand in the same order as on our pairs. In both charts the encoders trained further are ahead. Among the others, BERT's mean is ahead of the static averages here, and averaged GloVe is ahead of averaged BERT in the paper. Its GloVe, BERT and test set all differ from ours, so the charts do not say why. Two exchanges are printed. Our word vectors had read captions and NLI sentences, BERT had not; that hardly matters. Published GloVe, which read six billion words, is ahead of ours on the words that both know, and still well below BERT's mean. With a classifier trained on the vectors (SentEval), the paper's averaged BERT is ahead of averaged GloVe.
#
# ## The four side by side
#
# What does training add to a network of this size? (The one with a teacher began from an earlier BERT, which had read captions and NLI sentences too; the other two from this one.) _STS_ is the similarity task, x 100. _found_ is the per cent of 200 sentences that have their own rewording nearest; guessing gets 0.5. _partners_ counts how many of the six sentences have their partner nearest. _passive_ is the per cent of the 80 triples that are right; counting words sees no difference there.
#
# **Predict** whether BERT's average finds more rewordings than counting words.

# %% tags=["row-1.23", "row-CP1"] alt="Four heatmaps of the cosines of six sentences, with a frame round the two sentences of each topic. BERT averaged: all cells are red. Softmax on NLI: still all red, a little paler outside the frames. Ranking on NLI and with a teacher: red inside the frames and pale outside."
numbers = table({"counting words": counting, **four})
numbers["passive"] = [None, *(round(100 * who_did_what(m), 1) for m in four.values())]
print(numbers.to_string(na_rep="-"))
heatmaps(four, "Cosines of six sentences")
plt.show()

same_topic = torch.arange(6)[:, None] // 2 == torch.arange(6) // 2           # (6, 6) the frames
between = {name: cos_sim(*[m.encode(list(SIX))] * 2)[~same_topic] for name, m in four.items()}      # (24,) two topics
vectors_of = {name: m.encode(texts, show_progress_bar=False) for name, m in four.items()}
tasks = pd.DataFrame({name: three_tasks(vectors) for name, vectors in vectors_of.items()}).T
print(tasks.to_string(float_format="%.2f"))

average = numbers.loc["BERT, averaged"]
assert average["found"] <= numbers.loc["counting words", "found"] and numbers["passive"].max() < 50
for name in list(four)[1:]:
    low, high = lead(vectors_of[name], vectors_of["BERT, averaged"])
    print(f"{name:<15} lead in similarity over BERT's average {low:.3f} to {high:.3f}")
    assert numbers.loc[name, "STS"] > average["STS"] and numbers.loc[name, "found"] > average["found"] + 5
    assert (between[name] < between["BERT, averaged"]).all()
    assert not bundled or (tasks.loc[name] > tasks.loc["BERT, averaged"]).all() and low > 0

# %% [markdown]
# The heatmaps show lower cosines between topics after training, but subtracting the mean vector gave that too.
#
# BERT's average finds about half of the rewordings, no more than counting words does. The three trained encoders find more, and are ahead of BERT's average at the three tasks. In search the first two gain 5 of 80 sentences on balance, subtracting the mean vector 7: too few to settle which helps more. In similarity each interval lies above 0. On the triples all four stay below half. (A language model wrote the sentences of all tests but the triples. They were checked with all-MiniLM-L6-v2, the teacher, which may favour its student.)
#
# So is the average of our small BERT's vectors a sentence embedding? It is a usable one: it finds our topics far better than counting words does. Training such a network further made better ones for similarity and for rewordings.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` (440 MB), and `trained_model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB). The marks beside the grey line, the benchmark's charts and the side-by-side section keep the course's models.
#
# ## Exercises
#
# **1.** How unusual is a pair's cosine? Two lists of sentences come as token vectors with their masks; the sentences at the same place in both lists are a pair. Pool them by the masked mean. For each pair, return the share of the cosines between _different_ pairs (one sentence from each list) that are lower than its own.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def unusual(u_tokens, u_mask, v_tokens, v_mask):
    "(pairs, tokens, dim) and (pairs, tokens), for each list -> (pairs,): the share of other cosines that are lower."
    ...

check("05.1", unusual)

# %% [markdown]
# **2.** Above, the mean that was subtracted came from the very texts that were judged. A search cannot count its questions in: it meets one at a time. From the vectors as they are (above they had length 1 first), subtract the mean of _other_ texts, and then bring each to length 1. A vector that equals the mean becomes 0.

# %% tags=["exercise", "nbval-check-output"]
def centred(vectors, others):
    """(texts, dim), (other texts, dim) -> (texts, dim): without the others' mean, each of length 1."""
    ...

check("05.2", centred)

# %% [markdown]
# **3.** Some models pool the _last_ token, and some tokenizers pad on the left. Find the last real token of each sentence, wherever its padding is.

# %% tags=["exercise", "nbval-check-output"]
def last_token(token_embeddings, attention_mask):
    """(batch, tokens, dim), (batch, tokens) -> (batch, dim): the vector of each sentence's last real token."""
    ...

check("05.3", last_token)

# %% [markdown]
# ## Questions
#
# **1.** A colleague subtracts the mean vector, sees unrelated sentences fall to about 0, and reports a better model. What do you ask for?
#
# <details><summary>Answer</summary>Whether the order is better: Spearman's correlation with graded pairs, and a search. Here search got better and similarity a little worse.</details>
#
# **2.** Another reports: "Our BERT average is excellent, similar questions have cosines above 0.9." What do you ask?
#
# <details><summary>Answer</summary>What cosines do <em>unrelated</em> questions have? They may be about as high.</details>
#
# **3.** Which test of an encoder finds the naive mean of the trap?
#
# <details><summary>Answer</summary>Encode one sentence alone and in a batch with a much longer one, and require equal vectors, up to rounding.</details>
#
# ## Summary
#
# - Without the mask, a mean-pooled vector depends on its neighbours in the batch.
# - BERT's average finds our topics far better than counting words. In similarity our pairs do not settle which is better, and it finds no more rewordings.
# - Context reaches a word's vector. The order of the words leaves a trace in the average, but on our triples the cosine does not go by who did what.
# - BERT's averages share a large mean vector, so their cosines are high. The level alone does no harm, since the order counts.
# - Subtracting the mean vector trades alignment for uniformity: with the tested texts' own mean, it helped search and cost some similarity. At the same uniformity the trained encoders align better, and they were ahead of BERT's average at all three tasks.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): Table 1 (STSb) and Table 5 (SentEval).
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805). Pennington et al. (2014), [GloVe](https://aclanthology.org/D14-1162/).
# - Arora et al. (2017), [weighted averages of word vectors](https://openreview.net/forum?id=SyK00v5xx).
# - Wang and Isola (2020), [alignment and uniformity](https://arxiv.org/abs/2005.10242).
# - Ethayarajh (2019), [high cosines of contextual vectors](https://arxiv.org/abs/1909.00512).
#
# **Next:** [06_sbert](06_sbert.ipynb) trains this network on pairs of sentences.
