# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/13_semantic_search.ipynb)
#
# # Can you search by meaning instead of by words?
#
# You search help pages by what people mean, measure how well it works, meet four ways in which it fails without an error, and end with a search that you could deploy.
#
# | | |
# |---|---|
# | You will be able to | compute recall, MRR and nDCG; say whether one search is better than another; cut long texts into pieces; tell when two vectors can be compared; build a search, and say what it costs for ten million texts |
# | You need first | notebook 05: pooling, cosine; notebook 08: encoding with a library |
# | Time | 45 minutes to read; the code runs in about half a minute |
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
# `model` is the encoder; `parent`, from which it was trained, and `stranger` are others. `dataset` has texts, queries and labelled answers. `size` and `overlap` are those of the pieces of long texts, in tokens.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
parent = "course/bert-mini"
stranger = "course/glove-mini"
dataset = "course/help"
size = 100
overlap = 25

# %% tags=["nbval-check-output"]
import copy
import json
import re
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import normalize

from course_lib.data import load_pairs, load_results, load_sts
from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.plotting import MARKERS, PALETTE, bars, curve

plt.rcParams["figure.dpi"] = 100
bundled = (model, parent, stranger, dataset, size, overlap) == ("course/sbert-mini", "course/bert-mini", "course/glove-mini", "course/help", 100, 25)
queries, corpus, relevant = load_retrieval(dataset)          # {id: text}, {id: text}, {query: {article: grade}}
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
kinds = load_fields(dataset, "queries", "words") or dict.fromkeys(queries, "all")
titles = load_fields(dataset, "corpus", "title")
encoder = SentenceEncoder.load(model, dtype="float32")
print(len(corpus), "articles,", len(queries), "queries,", sum(map(len, relevant.values())), "labelled answers")

# %% [markdown]
# The bundled collection is the help pages of an invented town. A grade of 2 means that the article answers the query, 1 that it helps in part. Some queries share no words with their answers: "my handbag was pinched and now I cannot take out novels" asks for the page about lost library cards.
#
# ## How good is a ranking?
#
# **Question.** Which numbers say how good an order of articles is? Three are usual, each for the first $k$ places:
#
# - *Recall@k* is the share of the right articles that are among the first $k$.
# - *MRR@k*, the mean reciprocal rank, is 1 / the rank of the first right article, or 0 if there is none, averaged over queries.
# - *nDCG@k*, the normalised discounted cumulative gain: each article adds its grade, divided by $\log_2(1 + \text{rank})$. The sum is divided by that of the best possible order.
#
# **Predict** all three for the toy ranking below, with $k = 4$. The better article stands at rank 4, a lesser one at rank 2, and a third is missing.

# %% tags=["row-2.7", "nbval-check-output"]
from course_lib.retrieval.metrics import ranking_metrics

ranking, grades, k = ["a", "b", "c", "d"], {"d": 2, "b": 1, "x": 1}, 4

found = [document for document in ranking if document in grades]
recall = len(found) / len(grades)
reciprocal_rank = 1 / (1 + ranking.index(found[0]))
gain = sum(grades.get(document, 0) / np.log2(1 + rank) for rank, document in enumerate(ranking, 1))
best = sum(grade / np.log2(1 + rank) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:k], 1))
print(f"recall@4 {recall:.3f}   MRR@4 {reciprocal_rank:.3f}   nDCG@4 {gain / best:.3f}")

library = ranking_metrics({"q": ranking}, {"q": grades}, {"recall": [k], "mrr": [k], "ndcg": [k]})
assert np.allclose(list(library.values()), [recall, reciprocal_rank, gain / best])

# %% [markdown]
# nDCG is $(1/\log_2 3 + 2/\log_2 5) / (2 + 1/\log_2 3 + 1/2)$. Only nDCG looks at grades; the rest of this notebook uses nDCG@10.
#
# ## Keywords or meaning?
#
# **Question.** *Semantic search* encodes all texts once, encodes the query when it comes, and returns the texts with the nearest vectors. A *keyword search* counts the words that query and text share. Rare words count more (TF-IDF; notebook 14 has BM25). Which is better?
#
# Both answer the same queries, so subtract their scores query by query. The mean depends on the queries you happened to ask. A bootstrap (notebook 07) shows by how much: draw as many queries with repetition, average their differences, repeat. The range of 95 % of the averages is the interval. If it contains 0, these queries cannot tell which search is better.
#
# **Predict** nDCG@10 of both searches, for queries that share words with their answers, and for those that do not.

# %% tags=["row-2.1", "nbval-check-output"]
from sklearn.feature_extraction.text import TfidfVectorizer

from course_lib.retrieval.metrics import each_query, paired_bootstrap
from course_lib.retrieval.search import top_k

words = TfidfVectorizer(sublinear_tf=True).fit(texts)
common = (words.transform(asked) @ words.transform(texts).T).toarray()                       # (queries, articles)
vectors = encoder.encode_document(texts, convert_to_tensor=True, show_progress_bar=False)    # (articles, dim)
query_vectors = encoder.encode_query(asked, convert_to_tensor=True, show_progress_bar=False) # (queries, dim)
cosines = normalize(query_vectors, dim=1) @ normalize(vectors, dim=1).T                      # (queries, articles)
by_meaning = cosines.sort(dim=1, descending=True, stable=True).indices[:, :10]               # (queries, 10)
assert torch.equal(by_meaning, top_k(query_vectors, vectors, 10)[1])                         # the library agrees
any_order = np.random.default_rng(seed).random(common.shape)

def ndcg(rows, answers=relevant):
    """nDCG@10 of each query, from the articles found: (queries, 10) -> (queries,)."""
    rankings = {query: [ids[row] for row in line] for query, line in zip(queries, np.asarray(rows).tolist())}
    return each_query(rankings, answers)

scores = {"any order": ndcg(any_order.argsort()[:, :10]), "keywords": ndcg((-common).argsort(axis=1, kind="stable")[:, :10]),
          "meaning": ndcg(by_meaning)}
print({name: round(float(found.mean()), 3) for name, found in scores.items()})

# %% tags=["row-2.1", "row-2.7"] alt="Two bar charts of nDCG at 10 with bars for any order, keywords and meaning. For queries that share words with their answers the bar of keywords is the longest. For queries in other words keywords are hardly better than any order, and the bar of meaning is by far the longest."
def difference(better, than, chosen=slice(None)):
    """Prints by how much the first mean is above the second, in points of nDCG x 100; returns it with its interval."""
    values = [100 * value for value in paired_bootstrap(better[chosen], than[chosen], seed=seed)]
    print("   difference {:+.1f}, interval {:+.1f} to {:+.1f}".format(*values))
    return values

gains = scores["meaning"] - scores["keywords"]                                               # (queries,)
drawn = np.random.default_rng(seed).integers(len(gains), size=(2000, len(gains)))            # (draws, queries)
by_hand = np.percentile(gains[drawn].mean(axis=1), (2.5, 97.5))
assert np.allclose(paired_bootstrap(scores["meaning"], scores["keywords"], seed=seed)[1:], by_hand)

heading_of, of_kind, ahead = {"shared": "Queries that share words with their answers", "other": "Queries in other words"}, np.array(list(kinds.values())), {}
figure, axes = plt.subplots(1, len(set(of_kind)), figsize=(9.5, 2), layout="constrained", sharex=True, squeeze=False)
for ax, kind in zip(axes[0], sorted(set(of_kind), reverse=True)):
    chosen = of_kind == kind
    bars({name: found[chosen].mean() for name, found in scores.items()}, f"{heading_of.get(kind, kind)} ({chosen.sum()})", "nDCG@10", ax, baseline="any order")
    print(f"{heading_of.get(kind, kind)}: meaning against keywords")
    ahead[kind] = difference(scores["meaning"], scores["keywords"], chosen)
plt.show()
assert not bundled or ahead["shared"][1] < 0 and ahead["other"][1] > 10

# %% [markdown]
# Where the words are the same, counting wins. (It reads whole articles. Does the encoder?) Where they differ, counting is hardly better than any order, and meaning is far ahead: its interval is clear of 0. Real queries are of both kinds, so notebook 14 combines the two searches.
#
# ## A trap: dot where cosine was meant
#
# **Question.** The dot product of two vectors is their cosine times both lengths. The query's length multiplies all scores alike; an article's does not. How much does that change?
#
# **Predict** for how many of the queries another article comes first if you rank by the dot product of the vectors as they are.

# %% tags=["row-BP4"] alt="Two curves: how often an article is among the first ten against the mean length of its vector, for five groups of articles. With the raw dot product the curve climbs steeply towards long vectors; with the cosine it does not."
from course_lib.similarity import dot_score

found = {"dot of raw vectors": top_k(query_vectors, vectors, 10, dot_score)[1],
         "dot of unit vectors": top_k(query_vectors, normalize(vectors, dim=1), 10, dot_score)[1], "cosine": by_meaning}
lengths = vectors.norm(dim=1)                                                                # (articles,)
fifths = [part.tolist() for part in lengths.argsort().chunk(5)]                              # the shortest vectors first
_, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for i, (name, rows) in enumerate(found.items()):
    print(f"{name:<20} nDCG@10 {ndcg(rows).mean():.3f}   first article differs from cosine's: {int((rows[:, 0] != by_meaning[:, 0]).sum())}")
    if name != "dot of unit vectors":
        often = torch.bincount(rows.flatten(), minlength=len(texts)).float()                 # (articles,)
        curve([lengths[part].mean() for part in fifths], [often[part].mean() for part in fifths], name, ax)
raw_loss = difference(ndcg(found["dot of raw vectors"]), ndcg(by_meaning))
ax.set(xlabel="mean length of the articles' vectors, a fifth of the articles each", ylabel="times among the first ten", ylim=0)
ax.set_title("The raw dot product prefers long vectors", fontsize="medium")
plt.show()
assert torch.equal(found["dot of unit vectors"], by_meaning)
assert not bundled or (found["dot of raw vectors"][:, 0] != by_meaning[:, 0]).sum() > 20 and raw_loss[2] < 0

# %% [markdown]
# Articles with long vectors come up too often, and the ranking is worse: the interval lies below 0. This model was trained with cosines, so its lengths were never meant to say anything. With *unit vectors*, which are divided by their length, the dot product _is_ the cosine. Normalise once, when you store them.
#
# Some models are trained for the raw dot product: `model.similarity_fn_name` says so, or else the model card.
#
# ## What does the encoder not read?
#
# **Question.** An encoder reads the first `max_seq_length` tokens and drops the rest. Nothing tells you, so this is called *silent truncation*. How much is lost here?
#
# **Predict.** Everything after the limit of a long article is replaced by nonsense. How far does the article's vector move?

# %% tags=["row-CP4", "nbval-check-output"]
from course_lib.support.tokenization import tokenize

def count(texts):                                            # tokens of each text, nothing cut
    return [len(found) for found in tokenize(encoder[0].tokenizer, texts, None, special=False)[0]]

room, tokens_of = encoder.max_seq_length - 2, dict(zip(ids, count(texts)))            # beside [CLS] and [SEP]
longest = max(texts, key=lambda text: len(text.split()))
start = " ".join(longest.split()[: encoder.max_seq_length])  # as many words: at least as many tokens
changed, before = encoder.encode([start + " The rest is nonsense: purple, seventeen, wombat." * 50, longest], show_progress_bar=False)
print(f"the encoder reads {encoder.max_seq_length} tokens; the longest article has {len(longest.split())} words")
print("largest difference of the two vectors:", np.abs(changed - before).max())

_, cut = encoder.encode(texts, return_truncated=True, show_progress_bar=False)
lost = sum(max(0, n - room) for n in tokens_of.values()) / sum(tokens_of.values())
print(f"{cut} of {len(texts)} articles are cut; {lost:.0%} of all tokens are never read")
assert np.array_equal(changed, before) and cut == sum(n > room for n in tokens_of.values()) > 0

# %% [markdown]
# It does not move at all. Count before you build: with `return_truncated=True`, or by tokenising without truncation (notebook 08).
#
# ### Pieces
#
# The cure is *chunking*: cut a long text into pieces that fit, and let the best piece speak for its text. Neighbours share an *overlap*, so that a sentence at a border is whole in one of them. First cut ten words into pieces of five, two of them shared. **Predict** how many.

# %% tags=["row-3.1", "nbval-check-output"]
from course_lib.retrieval.chunking import Passage, chunk, chunk_documents

toy = "one two three four five six seven eight nine ten".split()
pieces = []
for first in range(0, len(toy) - 2, 5 - 2):
    pieces.append(" ".join(toy[first : first + 5]))
print(*pieces, sep="\n")

text = " ".join(toy)
assert [text[start:end] for start, end in chunk(text, encoder, max_tokens=5, overlap=2)] == pieces

limit = max(room, 2 * size)
long = {i: text for i, text in corpus.items() if tokens_of[i] > limit}                # these are cut into pieces
whole = [Passage(i, 0, len(text), text) for i, text in corpus.items() if i not in long]     # the others stay as they are
passages = whole + chunk_documents(long, encoder, size, overlap)
assert all(corpus[p.document][p.start : p.end] == p.text for p in passages)
print(f"{len(whole)} articles stay whole, {len(long)} long ones become {len(passages) - len(whole)} pieces")

# %% [markdown]
# `chunk` counts tokens, prefers to end where a sentence ends, and gives the place of each piece in characters, so that you can show the passage.
#
# ### Does position matter?
#
# **Question.** Take a sentence out of a long article and search for it. Its article should come first. Does it?
#
# **Predict** the share that does (recall@1) against the sentence's place in the article, with one vector an article, and with pieces.

# %% tags=["row-CP2"] alt="Two curves of recall at 1 against the place of the sentence in its article. With one vector an article the curve falls to a low level as soon as the sentences lie beyond what the encoder reads. With pieces it stays much higher at every place."
from course_lib.retrieval.chunking import search_passages

probes = []                                                  # (article, tokens before the sentence, sentence)
for i, text in long.items():
    ends = [0, *(m.end() for m in re.finditer(r"[.!?]\s+", text)), len(text)]
    sentences = [(a, text[a:b].strip()) for a, b in zip(ends, ends[1:]) if len(text[a:b].split()) >= 8]
    probes += [(i, n, sentence) for n, (_, sentence) in zip(count([text[:a] for a, _ in sentences]), sentences)]
probes = [probes[j] for j in sorted(np.random.default_rng(seed).permutation(len(probes))[:400])]

in_pieces = encoder.encode([p.text for p in passages[len(whole):]], convert_to_tensor=True, show_progress_bar=False)
place = {i: row for row, i in enumerate(ids)}
piece_vectors = torch.cat([vectors[[place[p.document] for p in whole]], in_pieces])          # (passages, dim)
probe_vectors = encoder.encode([sentence for *_, sentence in probes], convert_to_tensor=True, show_progress_bar=False)
first = {"one vector an article": [ids[row] for row in top_k(probe_vectors, vectors, 1)[1][:, 0].tolist()],
         "best piece": [hits[0].document for hits in search_passages(probe_vectors, piece_vectors, passages, 1)]}
right = {name: np.array([a == b for a, (b, *_) in zip(found, probes)]) for name, found in first.items()}
where = np.minimum([n // (room // 2) for _, n, _ in probes], 5)                              # (probes,): 0 to 5
ax = None
for name, hit in right.items():
    ax = curve([f"from {b * (room // 2)}\n({(where == b).sum()})" for b in np.unique(where)], [hit[where == b].mean() for b in np.unique(where)], name, ax)
ax.set(xlabel=f"tokens before the sentence (sentences); the encoder reads {room}", ylabel="recall@1", ylim=(0, 1.05), title="What the encoder has not read is hardly ever found")
read = np.array([n < room for _, n, _ in probes])            # (probes,): does the sentence begin within the limit?
print(f"{read.sum()} sentences within the limit, {(~read).sum()} after it:", {name: f"recall@1 {hit[read].mean():.2f} and {hit[~read].mean():.2f}" for name, hit in right.items()})
assert not bundled or right["one vector an article"][~read].mean() + 0.1 < min(right["one vector an article"][read].mean(), right["best piece"][~read].mean() - 0.2)
plt.show()

# %% [markdown]
# Beyond the limit one vector an article finds next to nothing. Pieces find sentences wherever they stand, if not all of them: the vector of one sentence is not the vector of a piece of several.
#
# ### How long, how much overlap, and what to put before a piece?
#
# **Question.** The sentences above were made for pieces. What do pieces bring for the labelled queries with a long answer?
#
# A piece from the middle no longer says what its article is about. So the cell puts the title before each piece but the first, which has it, and for comparison leaves it out once.
#
# **Predict** what matters most: the size, the overlap, or the title.

# %% tags=["row-3.1"]
has_long = np.array([any(i in long for i in relevant[query]) for query in queries])          # (queries,)
row_of = torch.tensor([place[p.document] for p in whole])

def with_pieces(size, overlap, titled):
    """The articles found when the long ones are cut so, (queries, 10), and the number of pieces."""
    cut = chunk_documents(long, encoder, size, overlap)
    shown = [f"{titles.get(p.document, '')} {p.text}" if titled and p.start else p.text for p in cut]
    found, too_long = encoder.encode(shown, convert_to_tensor=True, return_truncated=True, show_progress_bar=False)
    assert not too_long
    hits = search_passages(query_vectors, torch.cat([vectors[row_of], found]), whole + cut, 10)
    return [[place[hit.document] for hit in line] for line in hits], len(cut)

settings = [(size // 2, overlap // 2), (size, 0), (size, overlap), (size, 2 * overlap), (min(2 * size, room - 26), 2 * overlap)]    # 26: room for a title
variants = {(*setting, True): with_pieces(*setting, True) for setting in settings}
variants[size, overlap, False] = with_pieces(size, overlap, False)

# %% tags=["row-CP2"] alt="Horizontal intervals of the gain in nDCG over one vector an article, for pieces of several sizes and overlaps with titles, and for one setting without titles. All lie to the right of the dashed line at zero, and they overlap each other."
_, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
effect, with_answers = {}, [query for query, chosen in zip(queries, has_long) if chosen]
for y, ((tokens, shared, titled), (found, number)) in enumerate(variants.items()):
    name = f"{tokens} tokens, {shared} shared, {'title' if titled else 'no title'}"
    print(f"{name:<34} {number:>5} pieces:", end="")
    effect[name] = middle, low, high = difference(ndcg(found), scores["meaning"], has_long)
    ax.plot([low, high], [y, y], color=PALETTE[int(not titled)], linewidth=2)
    ax.plot(middle, y, MARKERS[int(not titled)], color=PALETTE[int(not titled)])
ax.axvline(0, color="black", linestyle="--", linewidth=1)
ax.set(yticks=range(len(effect)), yticklabels=effect, ylim=(len(effect) - 0.5, -0.5), xlabel="points of nDCG@10 x 100 above one vector an article", title="Pieces help; their size, overlap and title matter less")
plt.show()
best, plain, none, double = (variants[key][0] for key in ((size, overlap, True), (size, overlap, False), (size, 0, True), (size, 2 * overlap, True)))
dealt = relevant | dict(zip(with_answers, (relevant[with_answers[i]] for i in np.random.default_rng(seed).permutation(len(with_answers)))))
lines = {"the title, all else equal": (ndcg(best), ndcg(plain), has_long), "twice the overlap against none": (ndcg(double), ndcg(none), has_long),
         "pieces against keywords, shared words": (ndcg(best), scores["keywords"], of_kind == "shared"),
         "pieces, for queries with short answers": (ndcg(best), scores["meaning"], ~has_long),
         "pieces, answers dealt out anew": (ndcg(best, dealt), ndcg(by_meaning, dealt), has_long)}
for name, line in lines.items():
    print(f"{name:<40}", end="")
    lines[name] = difference(*line)
assert not bundled or min(low for _, low, _ in effect.values()) > 8 and max(middle for middle, *_ in lines.values()) < min(middle for middle, *_ in effect.values()) - 3 and lines["pieces, for queries with short answers"][2] < 0 < lines["pieces against keywords, shared words"][1]

# %% [markdown]
# Cutting at all brings by far the most: every interval lies above 0. Title and overlap bring less; their lines say how much, and how surely. A title costs next to nothing, so much overlap twice the pieces.
#
# With pieces meaning beats keywords on shared words, too: the encoder had lost there because it had not read everything.
#
# The last two lines are controls. Queries with short answers lose, likely because each long article now has many chances to come up: some gain remains even when the answers are dealt out anew.
#
# ## One encoder, or two?
#
# ### Prompts
#
# **Question.** A query is short and asks; an article is long and answers. In *asymmetric search* the two are treated differently. The mild form is a *prompt*: a few words before each text, others before a query than before a document. `encode_query` and `encode_document` put them there, if the model's folder names any. Do they help?
#
# **Predict** the effect of `query: ` on this model, which was trained without prompts, and on multilingual-e5-small, which learned with `query: ` and `passage: `. The second is **recorded** with `recipes/prompts.py`, from weights of four bits.

# %% tags=["row-3.7"] alt="Five horizontal intervals of the gain in nDCG by prompts. For this model the interval does not lie above zero. For multilingual-e5-small the intervals of both prompts as trained, of the one before queries and of the one before documents lie to the right of zero; with the documents' prompt before both the interval contains zero."
prompted = SentenceEncoder(list(encoder), prompts={"query": "query: "}, dtype="float32")
assert np.array_equal(prompted.encode_query(asked[:3]), encoder.encode(["query: " + text for text in asked[:3]]))
assert np.array_equal(prompted.encode_document(texts[:3]), encoder.encode(texts[:3]))

print("the model's own prompts:", encoder.prompts, "; 'query: ' before each query:", end="")
with_prompt = ndcg(top_k(prompted.encode_query(asked, convert_to_tensor=True, show_progress_bar=False), vectors, 10)[1])
shown = {"this model, 'query: ' before queries": difference(with_prompt, scores["meaning"])}
recorded = load_results("13").query("experiment == 'prompts'").set_index(["setting", "metric"]).value
e5 = {setting: [100 * recorded[setting, metric].mean() for metric in ("difference", "low", "high")]
      for setting in ("as trained", "before queries only", "before documents only", "the documents' before both")}
print(f"recorded, multilingual-e5-small without prompts: nDCG@10 {recorded['no prompts', 'ndcg@10'].item():.3f}")
for setting, values in e5.items():
    print(f"   {setting:<20} {recorded[setting, 'ndcg@10'].mean():.3f}, difference {{:+.1f}}, interval {{:+.1f}} to {{:+.1f}}".format(*values))
    shown[f"multilingual-e5-small, {setting}"] = values
_, ax = plt.subplots(figsize=(8, 2.2), layout="constrained")
for y, (name, (middle, low, high)) in enumerate(shown.items()):
    ax.plot([low, high], [y, y], color=PALETTE[int(y > 0)], linewidth=2)
    ax.plot(middle, y, MARKERS[int(y > 0)], color=PALETTE[int(y > 0)])
ax.axvline(0, color="black", linestyle="--", linewidth=1)
ax.set(yticks=range(len(shown)), yticklabels=shown, xlabel="points of nDCG@10 x 100 above no prompts", title="Prompts help the model that was trained with them", ylim=(len(shown) - 0.5, -0.5))
plt.show()
assert not bundled or e5["as trained"][1] > 0 and e5["the documents' before both"][1] < 0 and shown["this model, 'query: ' before queries"][1] < 0

# %% [markdown]
# `query: ` does not help a model that never saw it. The other model is better with its own two prompts than with none. With the documents' prompt before the queries as well, the gain is gone. No error tells you that prompts are missing or wrong, so use exactly those that the model's card names, on both sides.
#
# ### Vectors of two models
#
# **Question.** You change to a better model. Can its query vectors search the old model's article vectors?
#
# **Predict** nDCG@10 if queries are encoded by the model's parent, and by a stranger whose vectors average word vectors.
#
# There may be a repair, if the spaces differ mostly by a rotation. Let the rows of $A$ and $B$ be the same everyday sentences in both, as unit vectors minus their mean. The rotation $W$ that makes the squares of $A W - B$ smallest is the *orthogonal Procrustes map* $W = U V^T$, where $U S V^T$ is the singular value decomposition of $A^T B$.

# %% tags=["row-CP3"] alt="Bar chart of nDCG at 10 for queries encoded by different models. The articles' own model has the longest bar. The parent and the stranger as they are reach hardly more than any order. Mapped, both are clearly longer than that and clearly shorter than the own model's bar."
everyday = [text for pair in load_sts("course/sts") for text in (pair.sentence1, pair.sentence2)]
everyday = list(dict.fromkeys(everyday + [text for pair in load_pairs("course/pairs") for text in pair]))

def unit_vectors(encoder, texts):
    return normalize(encoder.encode(texts, convert_to_tensor=True, show_progress_bar=False), dim=1)     # (texts, dim)

B, results = unit_vectors(encoder, everyday), {"the articles' own model": scores["meaning"]}              # (sentences, dim)
for name, other in (("its parent", parent), ("a stranger", stranger)):
    other = SentenceEncoder.load(other, dtype="float32")
    A, theirs = unit_vectors(other, everyday), unit_vectors(other, asked)                                 # (sentences, dim), (queries, dim)
    dim = min(A.shape[1], B.shape[1])                                                                     # what they have in common
    results[f"{name}, as it is"] = ndcg(top_k(theirs[:, :dim], vectors[:, :dim], 10)[1])
    U, _, Vh = torch.linalg.svd((A - A.mean(0)).T @ (B - B.mean(0)), full_matrices=False)
    W = U @ Vh                                                                                            # (their dim, dim)
    assert torch.allclose(U.T @ U, torch.eye(dim), atol=1e-4) and torch.allclose(Vh @ Vh.T, torch.eye(dim), atol=1e-4)
    results[f"{name}, mapped"] = ndcg(top_k((theirs - A.mean(0)) @ W + B.mean(0), vectors, 10)[1])
    results[f"{name} on both sides"] = ndcg(top_k(theirs, unit_vectors(other, texts), 10)[1])
results["any order"] = scores["any order"]
bars({name: found.mean() for name, found in results.items()}, "Queries of another model find little, mapped or not", "nDCG@10", baseline="any order")
plt.show()
print({name: round(float(found.mean()), 3) for name, found in results.items()})
assert not bundled or all(results[f"{name}, as it is"].mean() < 0.06 and results[f"{name}, as it is"].mean() + 0.02 < results[f"{name}, mapped"].mean() < min(results["the articles' own model"].mean(), 0.2 + results[f"{name} on both sides"].mean()) - 0.1
                          for name in ("its parent", "a stranger"))

# %% [markdown]
# As they are, the vectors of another model find next to nothing, and no error says so. The map repairs a part: mapped queries of these two weak models find far less than the articles' model does. After a change of model encode everything again.
#
# ### Two towers
#
# **Question.** The query is encoded while somebody waits, so its encoder, its *tower*, should be small; articles are encoded beforehand. What does a small tower cost?
#
# Take only the encoder's first layer. A linear map, by least squares on the everyday sentences, takes its vectors to those of the whole encoder. **Predict** what is left of nDCG@10, without the map and with it.

# %% tags=["row-AT1"]
from course_lib.modules import Dense
from course_lib.models.surgery import keep_layers
from course_lib.models.two_towers import TwoTowers

one_layer = copy.deepcopy(encoder)
keep_layers(one_layer, [0])
x = one_layer.encode(everyday, convert_to_tensor=True, show_progress_bar=False)                           # (sentences, dim)
x = torch.cat([x, torch.ones(len(x), 1)], dim=1)                                                          # (sentences, dim + 1): a bias
y = encoder.encode(everyday, convert_to_tensor=True, show_progress_bar=False)                             # (sentences, dim)
solution = torch.linalg.lstsq(x, y).solution                                                              # (dim + 1, dim)
linear_map = Dense(*solution[:-1].shape, activation_function=None)
linear_map.linear.weight.data, linear_map.linear.bias.data = solution[:-1].T.contiguous(), solution[-1].contiguous()
small = SentenceEncoder([*one_layer, linear_map], dtype="float32").eval()
towers = {"the whole encoder": encoder, "one layer": one_layer, "one layer and a map": TwoTowers(query=small, document=encoder)}
by_tower = {}
for name, tower in towers.items():
    by_tower[name] = ndcg(top_k(tower.encode_query(asked, convert_to_tensor=True, show_progress_bar=False), vectors, 10)[1])
    print(f"queries by {name:<20} nDCG@10 {by_tower[name].mean():.2f}")
cost = difference(by_tower["one layer and a map"], by_tower["the whole encoder"])
assert not bundled or by_tower["one layer"].mean() + 0.1 < by_tower["one layer and a map"].mean() and cost[2] < 0

# %% [markdown]
# One layer alone lives in another space. A map brings part of the quality back; the time comes below. Real pairs are trained together.
#
# ## How small may a vector be?
#
# **Question.** You can keep only the first numbers of each vector (*truncated dimensions*), or fewer bits of each number. *Quantisation* to int8 keeps 8 of 32 bits. *Binary vectors* keep only the signs, and are compared by how many differ (the *Hamming distance*). Codes can also find candidates, here 20 for 10 places, that the full vectors put in order: *rescoring*.
#
# **Predict** which saves more for the same loss: fewer numbers, or fewer bits.

# %% tags=["row-3.6"] alt="Five curves of nDCG at 10 against the bytes of a vector on a logarithmic axis. float32 falls as numbers are dropped, and later if it is rescored. int8 with rescoring is the curve of float32 at a quarter of the bytes. Binary vectors lie further left and lower, and rescoring lifts them."
from course_lib.retrieval.quantization import quantize, rescored_top_k, truncate, value_ranges
from course_lib.retrieval.search import hamming_sim

def search_codes(dim, precision, rescore_multiplier):
    """The ten best articles for each query by shorter vectors or codes: (queries, 10)."""
    short, short_queries = truncate(vectors, dim), truncate(query_vectors, dim)
    if precision == "float32":
        rows = top_k(short_queries, short, 10 * max(1, rescore_multiplier), dot_score)[1]
        return rows if not rescore_multiplier else rows.gather(1, cosines.gather(1, rows).argsort(dim=1, descending=True)[:, :10])
    if precision == "ubinary" and not rescore_multiplier:
        return top_k(quantize(short_queries, precision), quantize(short, precision), 10, hamming_sim)[1]
    ranges = value_ranges(short)
    return rescored_top_k(short_queries, quantize(short, precision, ranges), short, 10, ranges, rescore_multiplier)[1]

width, ax, curves, dims = vectors.shape[1], None, {}, [vectors.shape[1] // part for part in (16, 8, 4, 2, 1)]
for name, precision, multiplier, bits in [("float32", "float32", 0, 32), ("float32, rescored", "float32", 2, 32), ("int8, rescored", "int8", 2, 8), ("binary", "ubinary", 0, 1), ("binary, rescored", "ubinary", 2, 1)]:
    curves[name] = [ndcg(search_codes(dim, precision, multiplier)) for dim in dims]         # (queries,) each
    ax = curve([dim * bits / 8 for dim in dims], [found.mean() for found in curves[name]], name, ax)
    print(f"{name:<17}", *(f"{dim} numbers {found.mean():.3f}  " for dim, found in zip(dims, curves[name])))
ax.set(xscale="log", xlabel="bytes a vector that are searched", ylabel="nDCG@10", ylim=0, title="Where bytes are few, fewer bits cost less than fewer numbers")
plt.show()
print("signs rescored, against float32:", end="")
difference(curves["binary, rescored"][-1], curves["float32"][-1])
at = {name: dict(zip(dims, (one.mean() for one in found))) for name, found in curves.items()}       # compared at 64 bytes, then at 32
assert not bundled or at["int8, rescored"][64] > at["float32, rescored"][16] + 0.05 and at["binary, rescored"][256] > max(at["int8, rescored"][32], at["float32, rescored"][16]) + 0.02 and min(at["int8, rescored"][256], at["float32, rescored"][64]) > at["float32"][256] - 0.01 and at["binary"][256] > at["binary"][64] + 0.02

# %% [markdown]
# With rescoring, int8 loses nothing that can be seen at a quarter of the memory, beside the full vectors on disk; so does a quarter of the numbers. With fewer bytes, fewer bits beat fewer numbers: signs in 32 bytes are ahead of 16 rescored numbers in 64.
#
# Two cautions. This model is narrow, and signs get better with the width, as the printed row shows. And 20 of 300 articles are many; among millions you rescore hundreds.
#
# ## A search you could deploy
#
# **Question.** What has to be stored, and what has to be checked, so that a search still works next year?
#
# `build` writes a folder: the passages, their unit vectors as int8 codes for the search and as float16 for the rescoring, and a description. The description holds, as a fingerprint, the vectors of one sentence, as a query and as a document. `Search` encodes that sentence again when it opens the folder. Another model, other weights or another prompt give other vectors, and it refuses.

# %%
from dataclasses import asdict
from pathlib import Path

def fingerprint(encoder, probe="Where do I get a new card?"):
    return np.concatenate([encoder.encode_query(probe), encoder.encode_document(probe)])                 # (2 dim,)

def build(folder, corpus, titles, encoder, name, size, overlap):
    """Write a searchable folder: what fits stays whole, the rest in pieces with their titles."""
    passages = []
    for i, text in corpus.items():
        fits = count([text])[0] <= encoder.max_seq_length - 2
        passages += [Passage(i, 0, len(text), text)] if fits else chunk_documents({i: text}, encoder, size, overlap)
    shown = [f"{titles.get(p.document, '')} {p.text}" if p.start else p.text for p in passages]
    vectors = encoder.encode_document(shown, normalize_embeddings=True, show_progress_bar=False)         # (passages, dim)
    ranges = value_ranges(vectors)
    for file, array in (("codes", quantize(vectors, "int8", ranges)), ("vectors", vectors.astype(np.float16)), ("ranges", ranges)):
        np.save(folder / f"{file}.npy", array)
    about = {"model": name, "fingerprint": fingerprint(encoder).tolist(), "passages": [asdict(p) for p in passages]}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")

# %%
class Search:
    def __init__(self, folder, encoder):
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        now, then = fingerprint(encoder), np.array(about["fingerprint"], dtype=np.float32)
        if now.shape != then.shape or not np.allclose(now, then, atol=1e-3):
            raise ValueError(f"these vectors were made by {about['model']} as it was then; encode the texts again")
        self.encoder, self.passages = encoder, [Passage(**p) for p in about["passages"]]
        self.codes, self.ranges = np.load(folder / "codes.npy"), np.load(folder / "ranges.npy")
        self.vectors = np.load(folder / "vectors.npy", mmap_mode="r")                        # stays on disk

    def find(self, query, k=10, pieces=50):
        """The best passages of k different documents, best first: (document, score, passage)."""
        vector = self.encoder.encode_query([query], normalize_embeddings=True, show_progress_bar=False)  # (1, dim)
        scores, rows = rescored_top_k(vector, self.codes, self.vectors, min(pieces, len(self.codes)), self.ranges, 2)
        best = {}
        for score, row in zip(scores[0].tolist(), rows[0].tolist()):
            best.setdefault(self.passages[row].document, (score, self.passages[row]))
        return [(document, *found) for document, found in list(best.items())[:k]]

# %% [markdown]
# **Predict** whether the folder's codes rank worse than the exact vectors, and what happens when the parent model opens it.

# %% tags=["nbval-check-output"]
folder = Path(tempfile.mkdtemp())
build(folder, corpus, titles, encoder, model, size, overlap)
search = Search(folder, encoder)
stored = ndcg([[place[document] for document, *_ in search.find(query)] for query in asked])
exact = search_passages(normalize(query_vectors, dim=1), torch.from_numpy(search.vectors.astype(np.float32)), search.passages, 10)
exact = ndcg([[place[hit.document] for hit in line] for line in exact])
print(f"from the folder: nDCG@10 {stored.mean():.2f}, exact {exact.mean():.2f}, one vector an article {scores['meaning'].mean():.2f}")
against_exact = difference(stored, exact)
behind = [query for query in queries if (hit := search.find(queries[query])[0])[0] in relevant[query] and hit[2].start and count([corpus[hit[0]][: hit[2].start]])[0] > room]
for query in behind[:1]:                                     # its best passage lies beyond what the encoder reads of the article
    document, _, passage = search.find(queries[query])[0]
    print(f"\n{queries[query]!r}\n-> {titles.get(document)!r}, characters {passage.start} to {passage.end}:\n{passage.text}\n")
try:
    Search(folder, SentenceEncoder.load(parent, dtype="float32"))
except ValueError as error:
    print("refused:", error)
    refused = True
assert refused and (not bundled or len(behind) > 0 and abs(against_exact[0]) < 1 and stored.mean() > scores["meaning"].mean() + 0.02)

# %% [markdown]
# By nDCG the folder is as good as an exact search of its pieces, it shows a passage that the one vector of its article never held, and it refuses the parent's vectors, which have the same length. It also has the weakness of pieces: queries with short answers lose. To change it, write a new folder beside it, check that with your labelled queries, then switch.
#
# ### How long does one query take?
#
# **Question.** *Latency* is how long one person waits for one answer; *throughput* is how many you get through in a second. Is one the inverse of the other?
#
# **Predict:** are the queries faster alone, one after another, or in one call? Do the vectors differ?

# %% tags=["row-BP5"]
def milliseconds(function, *arguments):
    begin = time.perf_counter()
    result = function(*arguments)
    return 1000 * (time.perf_counter() - begin), result

quiet = dict(show_progress_bar=False)
search.find(asked[0]), small.encode(asked[:1], **quiet)                                      # warm up
alone = {"one layer and a map: encode": [milliseconds(lambda: small.encode([query], **quiet))[0] for query in asked],
         "the whole encoder: encode": [milliseconds(lambda: encoder.encode([query], **quiet))[0] for query in asked],
         "find: encode, search, rescore": [milliseconds(search.find, query)[0] for query in asked]}
for name, took in alone.items():
    print(f"{name:<30} alone: half of the queries within {np.median(took):5.1f} ms, 95 % within {np.percentile(took, 95):5.1f} ms")
for budget in (64, 1024, 4096):
    took, together = milliseconds(lambda: encoder.encode(asked, batch_tokens=budget, **quiet))
    print(f"{budget:>5} tokens at a time: {took / len(asked):5.1f} ms for each query of {len(asked)}, {1000 * len(asked) / took:6.0f} queries a second")
    assert np.abs(together - query_vectors.numpy()).max() < 1e-4

# %% [markdown]
# They are not. Large matrix products use a processor well, so in *batches* a query usually takes less time. That counts while you encode the collection. A person waits for the latency: time single calls, and look at the slow ones. The vectors are the same. `course_lib` counts a batch in tokens (`batch_tokens`), sentence-transformers in texts (`batch_size`).
#
# ### What changes at 100,000 texts, and at ten million?
#
# **Question.** Exact search compares the query with every vector. When does that become too slow, or too large?
#
# **Predict** the memory of ten million vectors of this model in float32.

# %% alt="Two lines on logarithmic axes: milliseconds for one query against 1,000, 10,000 and 100,000 vectors, for float32 and for int8 with rescoring. Both rise with the number of vectors; dotted lines continue them straight to ten million."
sizes, took = [1_000, 10_000, 100_000], {"float32, exact": [], "int8, rescored": []}
random = np.random.default_rng(seed)
for n in sizes:
    many = normalize(torch.from_numpy(random.standard_normal((n, width), dtype=np.float32)), dim=1)       # (n, dim)
    ranges = value_ranges(many[:1000])
    codes, query = quantize(many, "int8", ranges), normalize(query_vectors[:1], dim=1)
    ways = {"float32, exact": lambda: top_k(query, many, 10, dot_score), "int8, rescored": lambda: rescored_top_k(query, codes, many, 10, ranges, 4)}
    for name, way in ways.items():
        way()
        took[name].append(np.median([milliseconds(way)[0] for _ in range(9)]))
_, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for name, values in took.items():
    curve(sizes, values, name, ax)
for i, values in enumerate(took.values()):
    ax.plot([sizes[-1], 1e7], [values[-1], 100 * values[-1]], color=PALETTE[i], linestyle=":")
ax.set(xscale="log", yscale="log", xlabel="vectors", ylabel="ms for one query, alone", title="Exact search grows with the number of vectors")
plt.show()
for n in (len(search.passages), 100_000, 10_000_000):
    in_mb = {kind: n * width * bits / 8 / 1e6 for kind, bits in (("float32", 32), ("float16", 16), ("int8", 8), ("signs", 1))}
    print(f"{n:>10,} vectors of {width} numbers, in MB: " + ", ".join(f"{kind} {mb:,.1f}" for kind, mb in in_mb.items()))
assert not bundled or round(in_mb["float32"]) == 10_240

# %% [markdown]
# Exact search reads all vectors, so the dotted lines go on with a hundred times the time for a hundred times the vectors.
#
# - **At 100,000 texts** the search stays the same: all vectors fit into memory, and one exact scan answers a query. What takes long is encoding. Do it once, keep the vectors, encode only what is new.
# - **At ten million** float32 takes ten gigabytes for this narrow model. Keep int8 codes in memory and full vectors on disk. If the dotted line lies above what your users accept, you need an _index_, which groups the vectors beforehand and looks only into groups near the query. It misses some neighbours, and a setting trades time for recall. Filters, deletions and updates are the business of a vector database. Notebook 17 (to come) builds all this.
#
# ## In practice
#
# The same in sentence-transformers, asserted equal.

# %% tags=["nbval-check-output"]
from course_lib.support.folders import resolve
import transformers
from sentence_transformers import SentenceTransformer, util
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.sentence_transformer.modules import Router
from sentence_transformers.util.quantization import quantize_embeddings

transformers.utils.logging.disable_progress_bar()
library = SentenceTransformer(str(resolve(model)), device="cpu")
assert np.allclose(library.encode_document(texts[:8]), vectors[:8], atol=1e-5) and np.allclose(library.encode_query(asked), query_vectors, atol=1e-5)
assert [[hit["corpus_id"] for hit in line] for line in util.semantic_search(query_vectors, vectors, top_k=10)] == by_meaning.tolist()
ranges = value_ranges(vectors)                                                               # keep them with the codes
assert np.array_equal(quantize_embeddings(vectors.numpy(), "int8", ranges=ranges), quantize(vectors.numpy(), "int8", ranges))
assert np.allclose(library.encode(asked[:8], truncate_dim=width // 4, normalize_embeddings=True), truncate(query_vectors[:8], width // 4), atol=1e-5)
few = dict(list(corpus.items())[:60])
answered = {q: {i for i in found if i in few} for q, found in relevant.items() if any(i in few for i in found)}
theirs = InformationRetrievalEvaluator({q: queries[q] for q in answered}, few, answered, write_csv=False)(library)
ours = {q: [ids[row] for row in cosines[list(queries).index(q), :60].argsort(descending=True)[:10]] for q in answered}
ours = ranking_metrics(ours, answered, {"mrr": [10], "recall": [10], "ndcg": [10]})
assert all(np.isclose(theirs[f"cosine_{name}"], value) for name, value in ours.items())

small.save(folder / "small")
pair = SentenceTransformer(modules=[Router.for_query_document(list(SentenceTransformer(str(folder / "small"), device="cpu")), list(library))], device="cpu")
assert np.allclose(pair.encode_query(asked[:8]), small.encode(asked[:8]), atol=1e-4) and np.allclose(pair.encode_document(texts[:8]), vectors[:8], atol=1e-5)
print("equal: encode_query, encode_document, semantic_search, quantize_embeddings, truncate_dim, the evaluator, Router")

# %% [markdown]
# - **What to use.** `encode_query` and `encode_document`; `util.semantic_search`, meant for up to about a million vectors; `InformationRetrievalEvaluator`, which knows no grades; `semantic_search_faiss`, beside `quantize_embeddings`, which searches codes and rescores; `Router` for two towers.
# - **What it costs.** Encoding once, then memory: vectors times numbers times bytes.
# - **What to watch.** Texts that are cut, prompts on both sides, one model for all vectors, unit vectors before a dot product, ranges kept with int8 codes. Keep labelled queries, and look at intervals before each change.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB), which also learned from questions with answers. `dataset = "scifact"` searches scientific abstracts, if that set lies in the folder `COURSE_DATA`.
#
# ## Exercises
#
# `check` names the kind of mistake, never the answer.
#
# **1.** The graded nDCG of one ranking.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def ndcg_at_k(ranking, grades, k):
    """ranking: ids, best first; grades: {id: grade above 0} of all right ones -> nDCG of the first k, 0 to 1."""
    ...

check("13.1", ndcg_at_k)

# %% [markdown]
# **2.** Where do pieces begin and end?

# %% tags=["exercise", "nbval-check-output"]
def windows(tokens, size, overlap):
    """(start, end) of each piece of a text of that many tokens: `size` tokens each, the last one perhaps fewer,
    each beginning `overlap` tokens before the end of the one before, and none after the end is reached."""
    ...

check("13.2", windows)

# %% [markdown]
# ## Questions
#
# **1.** Your search works well on the first page of each manual and badly on the rest. What do you check first?
#
# <details><summary>Answer</summary>How many texts are longer than <code>max_seq_length</code>: only their beginning is in the vectors. Cut them into pieces.</details>
#
# **2.** You switch to a better model for new documents and leave the old vectors as they are. Both models give 384 numbers. What happens?
#
# <details><summary>Answer</summary>Nothing fails, and old documents are found by chance. Encode all documents again, and keep a fingerprint of the model beside the vectors.</details>
#
# **3.** A new search is 2 points of nDCG better on 150 queries, with an interval from -1 to +5. Do you deploy it?
#
# <details><summary>Answer</summary>These queries cannot tell: the interval contains 0. Label more, or decide by something else, such as cost.</details>
#
# ## Summary
#
# - nDCG says how good a ranking is, a paired bootstrap whether another is better.
# - Meaning finds what keywords cannot. Where the words are the same, it wins only if it reads whole articles, in pieces.
# - What comes after `max_seq_length` is not in the vector. Count what is cut, and search pieces with their titles.
# - Use the similarity and the prompts that the model was trained with. Vectors of two models do not compare.
# - int8 codes with rescoring cost nothing that could be seen. Signs cost quality.
# - Store a fingerprint of the model with the vectors, and time queries alone.
#
# ## References
#
# - Thakur et al. (2021), [BEIR](https://arxiv.org/abs/2104.08663): sets of search tasks.
# - Järvelin and Kekäläinen (2002), [cumulated gain](https://doi.org/10.1145/582415.582418).
# - Efron (1979), [bootstrap methods](https://doi.org/10.1214/aos/1176344552).
# - Wang et al. (2024), [multilingual E5](https://arxiv.org/abs/2402.05672).
# - Schönemann (1966), [the orthogonal Procrustes problem](https://doi.org/10.1007/BF02289451).
# - Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - sentence-transformers, [semantic search](https://sbert.net/examples/sentence_transformer/applications/semantic-search/README.html) and [quantisation](https://sbert.net/examples/sentence_transformer/applications/embedding-quantization/README.html).
#
# **Next:** [14_hybrid_and_reranking](14_hybrid_and_reranking.ipynb) puts keywords and meaning together.
