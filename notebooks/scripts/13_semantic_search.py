# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/13_semantic_search.ipynb)
#
# # Can you search by meaning instead of by words?
#
# You search help pages by what people mean, measure how well it works, meet four traps that raise no error, and build a search that you could deploy.
#
# | | |
# |---|---|
# | You will be able to | compute recall, MRR and nDCG; say whether one search is better; cut long texts into pieces; tell when vectors can be compared; build a search and say what it costs |
# | You need first | notebook 05: pooling, cosine; notebook 08: encoding with a library |
# | Time | 45 minutes to read; the code runs in under a minute |
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
# `model` is the encoder. `bert`, another BERT of its size with the same tokenizer, and `stranger`, which averages word vectors, stand for other models. `dataset` has texts, queries and labelled answers. `size` and `overlap` are those of the pieces of long texts, in tokens.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
bert = "course/bert-mini"
stranger = "course/glove-mini"
dataset = "course/help"
size = 100
overlap = 25

# %% tags=["nbval-check-output"]
import json
import re
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize

from course_lib.data import load_pairs, load_results, load_sts
from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.plotting import MARKERS, PALETTE, bars, curve
from course_lib.retrieval.quantization import quantize, rescored_top_k, truncate, value_ranges

plt.rcParams["figure.dpi"] = 100
bundled = (model, bert, stranger, dataset, size, overlap) == (
    "course/sbert-mini", "course/bert-mini", "course/glove-mini", "course/help", 100, 25)
queries, corpus, relevant = load_retrieval(dataset)          # {id: text}, {id: text}, {query: {article: grade}}
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
kinds = load_fields(dataset, "queries", "words") or dict.fromkeys(queries, "all")
titles = load_fields(dataset, "corpus", "title")
encoder = SentenceEncoder.load(model, device="cpu", dtype="float32")
print(len(corpus), "articles,", len(queries), "queries,", sum(map(len, relevant.values())), "labelled answers")

# %% [markdown]
# The bundled collection is the help pages of an invented town. Grade 2 means that an article answers the query, grade 1 that it helps in part. Some queries share words with their answers (`shared`). Others share only words like "my" or "and" with the articles of grade 2 (`other`): "my handbag was pinched and now I cannot take out novels" asks for the page about lost library cards.
#
# ## How good is a ranking?
#
# **Question.** Which numbers say how good a ranking is? Three are usual, each for the first $k$ places:
#
# - *Recall@k* is the share of the right articles that are among the first $k$.
# - *MRR@k*, the mean reciprocal rank, is 1 / the rank of the first right article, or 0 if there is none, averaged over queries.
# - *nDCG@k*, the normalised discounted cumulative gain, adds the grade of each article, divided by $\log_2(1 + \text{rank})$. The sum is divided by that of the best possible order.
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
# nDCG is $(1/\log_2 3 + 2/\log_2 5) / (2 + 1/\log_2 3 + 1/2)$. Only nDCG looks at grades. The rest of this notebook uses nDCG@10, and once recall@1.
#
# ## Keywords or meaning?
#
# **Question.** *Semantic search* encodes all texts once, encodes the query when it comes, and returns the texts with the nearest vectors. A *keyword search* counts the words that query and text share, and rare words count more (TF-IDF; notebook 14 has BM25). Which is better?
#
# Both searches answer the same queries, so subtract their scores query by query. A bootstrap (notebook 07) shows how much the mean depends on the queries you happened to ask: draw as many with repetition, average their differences, repeat. The middle 95 % of the averages are the interval. If it contains 0, these queries cannot tell which search is better.
#
# **Predict** which search is ahead for queries that share words with their answers, and which for the others.

# %% tags=["row-2.1", "nbval-check-output"]
from sklearn.feature_extraction.text import TfidfVectorizer

from course_lib.retrieval.metrics import each_query, paired_bootstrap
from course_lib.retrieval.search import hamming_sim, top_k

words = TfidfVectorizer(sublinear_tf=True).fit(texts)
common = (words.transform(asked) @ words.transform(texts).T).toarray()                       # (queries, articles)
# vectors: (articles, dim); cut: see trap 2
vectors, cut = encoder.encode_document(texts, convert_to_tensor=True, return_truncated=True, show_progress_bar=False)
query_vectors = encoder.encode_query(asked, convert_to_tensor=True, show_progress_bar=False) # (queries, dim)
cosines = normalize(query_vectors, dim=1) @ normalize(vectors, dim=1).T                      # (queries, articles)
by_meaning = cosines.sort(dim=1, descending=True, stable=True).indices[:, :10]               # (queries, 10)
assert torch.equal(by_meaning, top_k(query_vectors, vectors, 10)[1])                         # the library agrees
any_order = np.random.default_rng(seed).random(common.shape)

def ndcg(rows, answers=relevant):
    """nDCG@10 of each query, from the articles found: (queries, 10) -> (queries,)."""
    rankings = {query: [ids[row] for row in line] for query, line in zip(queries, np.asarray(rows).tolist())}
    return each_query(rankings, answers)

scores = {"any order": ndcg(any_order.argsort()[:, :10]),
          "keywords": ndcg((-common).argsort(axis=1, kind="stable")[:, :10]),
          "meaning": ndcg(by_meaning)}
print({name: round(float(found.mean()), 3) for name, found in scores.items()})

# %% tags=["row-2.1", "row-2.7"] alt="Two bar charts of nDCG at 10 with bars for any order, keywords and meaning. For queries that share words with their answers the bar of keywords is the longest. For queries in other words keywords are hardly better than any order, and the bar of meaning is by far the longest."
def difference(name, better, than, chosen=slice(None)):      # of the means, in points of nDCG x 100, with its interval
    values = [100 * value for value in paired_bootstrap(better[chosen], than[chosen], seed=seed)]
    print(f"{name:<45} difference {{:+.1f}}, interval {{:+.1f}} to {{:+.1f}}".format(*values))
    return values

def intervals(series, xlabel, title):                         # series: {legend: {row: (middle, low, high)}}
    rows = list(dict.fromkeys(row for values in series.values() for row in values))
    _, ax = plt.subplots(figsize=(9, 1.2 + 0.3 * len(rows)), layout="constrained")
    for i, (label, values) in enumerate(series.items()):
        middle, low, high = np.transpose(list(values.values()))                              # (rows,) each
        ax.errorbar(middle, [rows.index(row) + 0.2 * i for row in values], xerr=[middle - low, high - middle],
                    fmt=MARKERS[i], color=PALETTE[i], label=label)
    ax.axvline(0, color="black", linestyle="--", linewidth=1)
    ax.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel)
    ax.set_title(title, fontsize="medium")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()

heading_of, of_kind, ahead = (
    {"shared": "Queries that share words with their answers", "other": "Queries in other words"},
    np.array(list(kinds.values())), {})
_, axes = plt.subplots(1, len(set(of_kind)), figsize=(9.5, 2), layout="constrained", sharex=True, squeeze=False)
for ax, kind in zip(axes[0], sorted(set(of_kind), reverse=True)):
    chosen = of_kind == kind
    bars({name: found[chosen].mean() for name, found in scores.items()},
         f"{heading_of.get(kind, kind)} ({chosen.sum()})", "nDCG@10", ax, baseline="any order")
    ahead[kind] = difference(f"{kind}: meaning against keywords", scores["meaning"], scores["keywords"], chosen)
plt.show()
assert not bundled or ahead["shared"][2] < 0 and ahead["other"][1] > 10

# %% [markdown]
# Keywords are 9.6 points (hundredths of nDCG) ahead for queries that share words. For others, meaning is 29 points ahead.
#
# ## Trap 1: dot where cosine was meant
#
# **Question.** The dot product of two vectors is their cosine times both lengths. The length of an article's vector multiplies that article's score. What happens to the ranking?
#
# **Predict** for how many of the 150 queries another article comes first if you rank by the dot product of the vectors as they are.

# %% tags=["row-BP4"] alt="Two curves: how often an article is among the first ten against the mean length of its vector, for five groups of articles. With the raw dot product the curve climbs steeply towards long vectors; with the cosine it does not."
from course_lib.similarity import dot_score

found = {"dot of raw vectors": top_k(query_vectors, vectors, 10, dot_score)[1],
         "dot of unit vectors": top_k(normalize(query_vectors, dim=1), normalize(vectors, dim=1), 10, dot_score)[1],
         "cosine": by_meaning}
lengths = vectors.norm(dim=1)                                                                # (articles,)
fifths = [part.tolist() for part in lengths.argsort().chunk(5)]  # the shortest vectors first
_, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for i, (name, rows) in enumerate(found.items()):
    print(f"{name:<20} nDCG@10 {ndcg(rows).mean():.3f}   "
          f"first article differs from cosine's: {int((rows[:, 0] != by_meaning[:, 0]).sum())}")
    if name != "dot of unit vectors":
        often = torch.bincount(rows.flatten(), minlength=len(texts)).float()                 # (articles,)
        curve([lengths[part].mean() for part in fifths], [often[part].mean() for part in fifths], name, ax)
raw_loss = difference("raw dot against cosine", ndcg(found["dot of raw vectors"]), ndcg(by_meaning))
ax.set(xlabel="mean length of the articles' vectors, a fifth of the articles each", ylabel="times among the first ten",
       ylim=0)
ax.set_title("The raw dot product prefers long vectors", fontsize="medium")
ax.legend(fontsize=8, loc="upper center")
plt.show()
assert torch.equal(found["dot of unit vectors"], by_meaning)
assert not bundled or (found["dot of raw vectors"][:, 0] != by_meaning[:, 0]).sum() > 20 and raw_loss[2] < 0

# %% [markdown]
# Another article comes first for 61 queries. Articles with long vectors come up more often, and the ranking is worse: the interval of the difference lies below 0. *Unit vectors* are divided by their length, so their dot product _is_ the cosine. A model trained for the raw dot product says so in `encoder.similarity_fn_name` or on its card.
#
# ## Trap 2: what does the encoder not read?
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
changed, before = encoder.encode([start + " The rest is nonsense: purple, seventeen, wombat." * 50, longest],
                                 show_progress_bar=False)
print(f"the encoder reads {encoder.max_seq_length} tokens; the longest article has {len(longest.split())} words")
print("largest difference of the two vectors:", np.abs(changed - before).max())

lost = sum(max(0, n - room) for n in tokens_of.values()) / sum(tokens_of.values())
print(f"{cut} of {len(texts)} articles were cut when they were encoded; {lost:.0%} of all tokens are never read")
assert np.array_equal(changed, before) and cut == sum(n > room for n in tokens_of.values()) > 0

# %% [markdown]
# It does not move at all. Here 30 of 300 articles are cut, and a third of all tokens is never read. Count before you build: with `return_truncated=True` in `course_lib`, elsewhere with the tokenizer.
#
# ### Pieces
#
# The cure is *chunking*: cut a long text into pieces that fit, and let the piece nearest to the query speak for its text. Neighbours share an *overlap*, so that a short sentence at a border is whole in one of them.
#
# **Predict** how many pieces of five words ten words make, if neighbours share two.

# %% tags=["row-3.1", "nbval-check-output"]
from course_lib.retrieval.chunking import chunk, chunk_long_documents

toy = "one two three four five six seven eight nine ten".split()
pieces = [" ".join(toy[first : first + 5]) for first in range(0, len(toy) - 2, 5 - 2)]
print(*pieces, sep="\n")

text = " ".join(toy)
assert [text[start:end] for start, end in chunk(text, encoder, max_tokens=5, overlap=2)] == pieces

passages, shown = chunk_long_documents(corpus, encoder, size, overlap, titles)        # shown: with titles, for later
long = {p.document: corpus[p.document] for p in passages if p.start}                  # these were cut
whole = [p for p in passages if p.document not in long]                               # these were not, and come first
assert all(corpus[p.document][p.start : p.end] == p.text for p in passages)
place = {i: row for row, i in enumerate(ids)}                                         # of an article among `vectors`
print(f"{len(whole)} articles stay whole, {len(long)} long ones become {len(passages) - len(whole)} pieces")

known = dict(zip(texts, vectors))                                                     # {text: vector}

def encode_pieces(shown):
    """Vectors of the passages, (passages, dim). No text is encoded twice."""
    new = [text for text in dict.fromkeys(shown) if text not in known]
    found, too_long = encoder.encode_document(new, convert_to_tensor=True, return_truncated=True,
                                              show_progress_bar=False)
    assert not too_long
    known.update(zip(new, found))
    return torch.stack([known[text] for text in shown])

# %% [markdown]
# `chunk` ends a piece where a sentence ends, if one does in its second half, and begins the next piece up to 25 tokens earlier.
#
# ### Does position matter?
#
# **Question.** Copy a sentence from a long article and search for it. Does its article come first, wherever the sentence stands?
#
# **Predict** the share that does (recall@1) for sentences after the limit, with one vector an article and with pieces.

# %% tags=["row-CP2"] alt="Two curves of recall at 1 against the place of the sentence in its article. With one vector an article the curve falls to a low level as soon as the sentences lie beyond what the encoder reads. With pieces it stays much higher at every place."
from course_lib.retrieval.chunking import search_passages

probes = []                                                  # (article, tokens before the sentence, sentence)
for i, text in long.items():
    ends = [0, *(m.end() for m in re.finditer(r"[.!?]\s+", text)), len(text)]
    sentences = [(a, text[a:b].strip()) for a, b in zip(ends, ends[1:]) if len(text[a:b].split()) >= 8]
    probes += [(i, n, sentence) for n, (_, sentence) in zip(count([text[:a] for a, _ in sentences]), sentences)]
probes = [probes[j] for j in sorted(np.random.default_rng(seed).permutation(len(probes))[:400])]

piece_vectors = encode_pieces([p.text for p in passages])
probe_vectors = encoder.encode_query([sentence for *_, sentence in probes], convert_to_tensor=True,
                                     show_progress_bar=False)
first = {"one vector an article": [ids[row] for row in top_k(probe_vectors, vectors, 1)[1][:, 0].tolist()],
         "best piece": [hits[0].document for hits in search_passages(probe_vectors, piece_vectors, passages, 1)]}
right = {name: np.array([a == b for a, (b, *_) in zip(found, probes)]) for name, found in first.items()}
where, ax = np.minimum([n // (room // 2) for _, n, _ in probes], 5), None                    # (probes,): 0 to 5
for name, hit in right.items():
    ax = curve([f"from {b * (room // 2)}\n({(where == b).sum()})" for b in np.unique(where)],
               [hit[where == b].mean() for b in np.unique(where)], name, ax)
ax.set(xlabel=f"tokens before the sentence (sentences); the encoder reads {room}", ylabel="recall@1", ylim=(0, 1.05),
       title="Pieces find what one vector an article does not hold")
ax.legend(fontsize=8, loc="center right")
read = np.array([n < room for _, n, _ in probes])            # (probes,): does the sentence begin within the limit?
print(f"{read.sum()} sentences within the limit, {(~read).sum()} after it:",
      {name: f"recall@1 {hit[read].mean():.2f} and {hit[~read].mean():.2f}" for name, hit in right.items()})
assert not bundled or right["one vector an article"][~read].mean() + 0.1 < min(
    right["one vector an article"][read].mean(), right["best piece"][~read].mean() - 0.2)
plt.show()

# %% [markdown]
# Of the sentences after the limit, one vector an article finds 7 %, and pieces find 84 %.
#
# ### What do pieces bring?
#
# **Question.** How much do pieces gain where one of the answers is a long article?
#
# A piece from the middle no longer says what its article is about. So the title is put before each piece but the first, which has it. One setting leaves titles out.

# %% tags=["row-3.1", "row-CP2"] alt="Horizontal intervals of the gain in nDCG over one vector an article, for queries with a long answer: pieces of several sizes and overlaps with titles, and one setting without titles. All lie to the right of the dashed line at zero, and they overlap each other."
def with_pieces(size, overlap, titles):
    """The long articles cut so: the articles found, (queries, 10), and the vectors, (passages, dim)."""
    passages, shown = chunk_long_documents(corpus, encoder, size, overlap, titles)
    found = encode_pieces(shown)
    hits = search_passages(query_vectors, found, passages, 10)
    return [[place[hit.document] for hit in line] for line in hits], found

settings = [(size // 2, overlap // 2), (size, 0), (size, overlap), (size, 2 * overlap),
            (min(2 * size, room - max(count(list(titles.values())))), 2 * overlap)]  # with room for a title
variants = {(*setting, True): with_pieces(*setting, titles) for setting in settings}
variants[size, overlap, False] = with_pieces(size, overlap, None)
score = {setting: ndcg(rows) for setting, (rows, _) in variants.items()}                     # (queries,) each
has_long = np.array([any(i in long for i in relevant[query]) for query in queries])          # (queries,)
effect = {"with titles": {}, "no titles": {}}
for (tokens, shared, titled), (_, found) in variants.items():
    name, series = f"{tokens} tokens, {shared} shared", "with titles" if titled else "no titles"
    effect[series][f"{name}, {series}"] = difference(f"{name}, {series}, {len(found) - len(whole)} pieces",
                                                     score[tokens, shared, titled], scores["meaning"], has_long)
intervals(effect, f"points of nDCG@10 x 100 above one vector an article, {has_long.sum()} queries",
          "Where a long article answers, pieces help on average, at every setting")
lowest = min(low for values in effect.values() for _, low, _ in values.values())
half, none, usual, untitled = (
    (size, *rest) for rest in ((2 * overlap, True), (0, True), (overlap, True), (overlap, False)))
for population, chosen in (("long answers", has_long), ("all queries", slice(None))):
    titles_help = difference(f"{population}: titles against no titles", score[usual], score[untitled], chosen)
    halves_help = difference(f"{population}: half shared against nothing", score[half], score[none], chosen)
    assert not bundled or titles_help[1] > 0 and (halves_help[1] > 0) == (population == "long answers")
assert not bundled or lowest > 0

# %% [markdown]
# All six settings gain. Compared in pairs, titles add 5 points here, and 3 over all queries. Sharing half of the tokens adds 4 points here, compared with none, for twice as many pieces; over all queries no gain is shown.
#
# What happens to the other queries? The next cell looks at all, by kind and by length: "long" if one of the answers is a long article, else "short". Keywords get the same pieces. A third way gives each article one vector again, the mean of its pieces.
#
# **Predict** what best pieces do to queries with short answers.

# %% tags=["row-CP2"] alt="Intervals of the gain in nDCG over one vector an article, for best pieces and for the mean of the pieces, in seven groups of queries. With long answers both lie to the right of the dashed line at zero where words are shared. With short answers best pieces lie to the left of it in other words, and the mean lies at zero or a little left."
owners = np.array([place[p.document] for p in passages])  # (passages,): rows of articles
common = (words.transform(asked) @ words.transform(shown).T).toarray()                       # (queries, passages)
counted = np.stack([common[:, owners == row].max(axis=1) for row in range(len(ids))], 1)     # (queries, articles)
rows, found = variants[size, overlap, True]
means = torch.stack([normalize(found[owners == row], dim=1).mean(0) for row in range(len(ids))])  # (articles, dim)
by_mean = top_k(query_vectors, means, 10)[1].tolist()                                        # (queries, 10)
ways = scores | {"keywords, best piece": ndcg((-counted).argsort(axis=1, kind="stable")[:, :10]),
                 "best piece": ndcg(rows), "mean of pieces": ndcg(by_mean)}
groups = {"all": of_kind != ""}                                                              # (queries,) each
for kind in sorted(set(of_kind), reverse=True):
    groups |= {kind: of_kind == kind, f"{kind}, short": (of_kind == kind) & ~has_long,
               f"{kind}, long": (of_kind == kind) & has_long}
groups = {name: chosen for name, chosen in groups.items() if chosen.any()}
counted_groups = {f"{name} ({chosen.sum()})": chosen for name, chosen in groups.items()}
print(pd.DataFrame({way: {name: of[chosen].mean() for name, chosen in counted_groups.items()}
                    for way, of in ways.items()}).round(3).to_string())
for way, found in (("one vector", by_meaning.tolist()), ("best piece", rows), ("mean", by_mean)):
    print(f"long articles among the first ten, {way}: "
          f"{np.isin(found, [place[i] for i in long]).sum(axis=1).mean():.1f}")
gain = {way: {name: difference(f"{name}: {way} against one vector", ways[way], ways["meaning"], chosen)
              for name, chosen in counted_groups.items()}
        for way in ("mean of pieces", "best piece")}
better = {name: difference(f"{name}: best piece against mean of pieces",
                           ways["best piece"], ways["mean of pieces"], chosen)
          for name, chosen in counted_groups.items()}
intervals(gain, "points of nDCG@10 x 100 above one vector an article",
          "Best pieces gain where words are shared with a long article; with short answers they lose")
if bundled:
    _, low, high = difference("shared: best piece against keywords, best piece", ways["best piece"],
                              ways["keywords, best piece"], groups["shared"])
    assert low < 0 < high and min(of["all (150)"][1] for of in gain.values()) > 0
    assert (better["shared, long (54)"][1] > 0
            and max(better["shared, short (26)"][2], better["other, short (61)"][2]) < 0)

# %% [markdown]
# Over all queries, best pieces and means both gain. Queries that share words with a long answer gain 29 points from best pieces. Queries with short answers lose, 3 points if they share words, 10 if they do not. Over all queries, long articles now take 4.5 of the first ten places, not 1.5. Best pieces are ahead of the mean with shared words and a long answer, and behind it with short answers.
#
# Where words are shared, keywords led by 0.756 to 0.660 while each article had one vector. Once both have pieces, neither is shown to lead.
#
# ## One encoder, or two?
#
# ### Trap 3: prompts
#
# **Question.** A query asks, an article answers. In *asymmetric search* the two are treated differently. The mild form is a *prompt*: a few words before each text, others before a query than before a document. `encode_query` and `encode_document` add those that the model's folder names. Do they help?
#
# **Predict** the effect of `query: ` on this model, which was trained without prompts, and on multilingual-e5-small, which learned with `query: ` and `passage: `. The second is **recorded** with `recipes/prompts.py`, with weights stored in four bits and the first 128 tokens of each article.

# %% tags=["row-3.7"] alt="Five horizontal intervals of the gain in nDCG by prompts. For this model the interval does not lie above zero. For multilingual-e5-small the intervals of both prompts as trained, of the one before queries and of the one before documents lie to the right of zero; with the documents' prompt before both the interval contains zero."
prompted = SentenceEncoder(list(encoder), prompts={"query": "query: "}, dtype="float32")
assert np.array_equal(prompted.encode_query(asked[:3]), encoder.encode(["query: " + text for text in asked[:3]]))
assert np.array_equal(prompted.encode_document(texts[:3]), encoder.encode(texts[:3]))

print("the model's own prompts:", encoder.prompts)
with_prompt = ndcg(top_k(prompted.encode_query(asked, convert_to_tensor=True, show_progress_bar=False), vectors, 10)[1])
gained = difference("'query: ' before each query", with_prompt, scores["meaning"])
recorded = load_results("13").query("experiment == 'prompts'").set_index(["setting", "metric"]).value
settings = ("as trained", "before queries only", "before documents only", "the documents' before both")
e5 = {setting: [100 * recorded[setting, metric].mean() for metric in ("difference", "low", "high")]
      for setting in settings}
print(f"recorded, multilingual-e5-small without prompts: nDCG@10 {recorded['no prompts', 'ndcg@10'].item():.3f}")
for setting, values in e5.items():
    print(f"   {setting:<20} {recorded[setting, 'ndcg@10'].mean():.3f}, "
          "difference {:+.1f}, interval {:+.1f} to {:+.1f}".format(*values))
intervals({"this model": {"this model, before queries": gained}, "multilingual-e5-small": e5},
          "points of nDCG@10 x 100 above no prompts", "Prompts help the model that was trained with them")
assert not bundled or e5["as trained"][1] > 0 and e5["the documents' before both"][1] < 0 and gained[1] < 0

# %% [markdown]
# This model is not shown to gain from a prompt that it never saw. The other gains 2.7 points from the two that it learned. A missing prompt raises no error, so use those that the model's card names, on both sides.
#
# ### Trap 4: vectors of two models
#
# **Question.** You change to a better model. Can its query vectors search the article vectors that the old model made?
#
# **Predict** nDCG@10 if the old model is another BERT of the same size, and if it is a stranger whose vectors average word vectors.
#
# A rotation might repair it. Let the rows of $A$ and $B$ be the same everyday sentences in the new and the old model, as unit vectors minus their mean. The rotation (or reflection) $W$ that makes the squares of $A W - B$ smallest is the *orthogonal Procrustes map* $W = U V^T$, where $U S V^T$ is the singular value decomposition of $A^T B$. With fewer numbers in $B$, as the stranger has, it makes the sum of the products of $AW$ and $B$ largest.

# %% tags=["row-CP3"] alt="Bar chart of nDCG at 10 on article vectors of two old models. For each, the new model's queries as they are reach no more than any order; mapped, they come out a little above the old model's own queries. The new model on both sides has by far the longest bar."
everyday = [text for pair in load_sts("course/sts") for text in (pair.sentence1, pair.sentence2)]
everyday = list(dict.fromkeys(everyday + [text for pair in load_pairs("course/pairs") for text in pair]))

def unit_vectors(encoder, texts):
    return normalize(encoder.encode(texts, convert_to_tensor=True, show_progress_bar=False), dim=1)     # (texts, dim)

new = encoder.encode(everyday, convert_to_tensor=True, show_progress_bar=False)  # (sentences, dim)
A, new_queries, results = normalize(new, dim=1), normalize(query_vectors, dim=1), {}  # (sentences, dim), (queries, dim)
for name, old in (("BERT", bert), ("stranger", stranger)):
    old = SentenceEncoder.load(old, device="cpu", dtype="float32")
    B, articles = unit_vectors(old, everyday), unit_vectors(old, texts)  # (sentences, old dim), (articles, old dim)
    U, _, Vh = torch.linalg.svd((A - A.mean(0)).T @ (B - B.mean(0)), full_matrices=False)
    W = U @ Vh  # (dim, old dim)
    dim = min(W.shape)  # what both have
    own = ndcg(top_k(unit_vectors(old, asked), articles, 10)[1])
    as_is = ndcg(top_k(new_queries[:, :dim], articles[:, :dim], 10)[1])
    mapped = ndcg(top_k((new_queries - A.mean(0)) @ W + B.mean(0), articles, 10)[1])
    results |= {f"{name}'s vectors, its own queries": own, f"{name}'s vectors, new queries": as_is,
                f"{name}'s vectors, new queries mapped": mapped}
    _, low, high = difference(f"{name}: mapped new queries against its own", mapped, own)
    both, *_ = difference(f"{name}: the new model on both sides against its own", scores["meaning"], own)
    assert not bundled or (as_is.mean() < 0.05 and as_is.mean() + 0.03 < mapped.mean()
                           and low < 0 < high < 8 and both > 35)
results |= {"the new model on both sides": scores["meaning"], "any order": scores["any order"]}
bars({name: found.mean() for name, found in results.items()}, "Old vectors hold a new model back", "nDCG@10",
     baseline="any order")
plt.show()
print({name: round(float(found.mean()), 3) for name, found in results.items()})

# %% [markdown]
# As they are (for the stranger, their first 128 numbers), the new queries find about as little as any order does. Mapped, they are not shown to do better than the old model's own queries: both intervals contain 0. The new model on both sides is 38 and 44 points ahead of those. So encode everything again.
#
# ### Two towers
#
# **Question.** The query is encoded while somebody waits, so its encoder, its *tower*, should be small. What does a small tower cost?
#
# Take only the encoder's first layer. A linear map, by least squares on the everyday sentences, takes its vectors to those of the whole encoder. **Predict** what is left of nDCG@10, without the map and with it.

# %% tags=["row-AT1"]
import copy

from course_lib.modules import Dense
from course_lib.models.surgery import keep_layers
from course_lib.models.two_towers import TwoTowers

one_layer = copy.deepcopy(encoder)
keep_layers(one_layer, [0])
x = one_layer.encode(everyday, convert_to_tensor=True, show_progress_bar=False)  # (sentences, dim)
x = torch.cat([x, torch.ones(len(x), 1)], dim=1)  # (sentences, dim + 1): a bias
solution = torch.linalg.lstsq(x, new).solution  # (dim + 1, dim)
linear_map = Dense(*solution[:-1].shape, activation_function=None)
linear_map.linear.weight.data, linear_map.linear.bias.data = solution[:-1].T.contiguous(), solution[-1].contiguous()
small = SentenceEncoder([*one_layer, linear_map], dtype="float32").eval()
towers = {"the whole encoder": encoder, "one layer": one_layer,
          "one layer and a map": TwoTowers(query=small, document=encoder)}
by_tower = {}
for name, tower in towers.items():
    by_tower[name] = ndcg(top_k(
        tower.encode_query(asked, convert_to_tensor=True, show_progress_bar=False), vectors, 10)[1])
    print(f"queries by {name:<20} nDCG@10 {by_tower[name].mean():.2f}")
cost = difference("one layer and a map against the whole encoder", by_tower["one layer and a map"],
                  by_tower["the whole encoder"])
assert not bundled or by_tower["one layer"].mean() + 0.1 < by_tower["one layer and a map"].mean() and cost[2] < 0

# %% [markdown]
# The map brings part of the quality back. Even so, 16 points are lost.
#
# ## How small may a vector be?
#
# **Question.** You can keep only the first numbers of each vector (*truncated dimensions*), or fewer bits of each number. *Quantisation* to int8 keeps 8 of 32 bits. *Binary vectors* keep only the signs, and are compared by how many differ (the *Hamming distance*). Codes can also find candidates, here 20 for 10 places, that the full vectors put in order: *rescoring*. What does each cost?
#
# **Predict** which loses less without rescoring: a quarter of the numbers, or a quarter of the bits.

# %% tags=["row-3.6"] alt="Six curves of nDCG at 10 against the bytes of a vector on a logarithmic axis: float32, int8 and signs, each alone and rescored. int8 is float32 at a quarter of the bytes. Rescored, both stay level down to a quarter of their numbers, then fall. Signs lie further left and lower, and rescoring lifts them."
def search_codes(dim, precision, candidates):
    """The ten best articles by shorter vectors or codes; or of so many candidates by full vectors: (queries, 10)."""
    short, short_queries, score = truncate(vectors, dim), truncate(query_vectors, dim), dot_score
    if precision == "int8":  # each code means the middle of its step
        low, high = torch.from_numpy(value_ranges(short))                                    # (dim,) each
        short = low + (quantize(short, "int8") + 128.5) * (high - low) / 255
    if precision == "signs":
        short, short_queries, score = quantize(short, "ubinary"), quantize(short_queries, "ubinary"), hamming_sim
    rows = top_k(short_queries, short, candidates or 10, score)[1]
    return rows.gather(1, cosines.gather(1, rows).argsort(dim=1, descending=True)[:, :10]) if candidates else rows

width, ax, found = vectors.shape[1], None, {}
dims = [width // part for part in (16, 8, 4, 2, 1)]
for precision, bits in (("float32", 32), ("int8", 8), ("signs", 1)):
    for name, candidates in ((precision, 0), (f"{precision} rescored", 20)):
        found |= {(dim, name): ndcg(search_codes(dim, precision, candidates)) for dim in dims}  # (queries,) each
        ax = curve([dim * bits / 8 for dim in dims], [found[dim, name].mean() for dim in dims], name, ax)
        print(f"{name:<17}", *(f"{dim} numbers {found[dim, name].mean():.3f}  " for dim in dims))
ax.set(xscale="log", xticks=2 ** np.arange(1, 11), xticklabels=2 ** np.arange(1, 11),
       xlabel="bytes a vector that are searched", ylabel="nDCG@10", ylim=0,
       title="Rescoring lifts shorter vectors and codes")
plt.show()
full = (width, "float32")
pairs = [((width, "int8"), full), ((width // 4, "int8 rescored"), full), ((width // 4, "float32"), full)]
print("share of the variance in the first quarter of the numbers: "
      f"{vectors[:, : width // 4].var(0).sum() / vectors.var(0).sum():.0%}")
apart = [difference("{} {}, against {} {}".format(*a, *b), found[a], found[b]) for a, b in pairs]
assert not bundled or all(low < 0 < high for _, low, high in apart[:2]) and apart[2][2] < -2

# %% [markdown]
# For a quarter of the bits no loss is shown. A quarter of the numbers loses 7 points, although in this model it holds 53 % of the variance. So measure before you cut; some models are trained for it (Matryoshka, notebook 12). Signs alone fall from 0.500 to 0.308, and further with fewer numbers. With rescoring of 20 among only 300 articles, no loss is shown even for 64 int8 numbers: 64 bytes a vector are searched, not 1,024, but the full vectors must be kept too.
#
# ## A search you could deploy
#
# **Question.** What must be stored and checked, so that a search still works next year?
#
# `build` writes a folder in four steps:
#
# 1. Cut long texts, and stop if a piece with its title is still too long (trap 2).
# 2. Encode the pieces as documents, with the model's prompt (trap 3), to unit vectors (trap 1).
# 3. Store them twice: as int8 codes for the search, and as float16 for the rescoring.
# 4. Store a fingerprint (trap 4): some texts, the longest among them, with their vectors as queries and as documents.

# %%
from dataclasses import asdict

from course_lib.retrieval.chunking import Passage

def fingerprint(encoder, probes):                                                            # (2 * probes, dim)
    return np.concatenate([encode(probes, show_progress_bar=False)
                           for encode in (encoder.encode_query, encoder.encode_document)])

def build(folder, corpus, titles, encoder, name, size, overlap):
    """Write a searchable folder: what fits stays whole, the rest in pieces with their titles."""
    passages, shown = chunk_long_documents(corpus, encoder, size, overlap, titles)
    vectors, cut = encoder.encode_document(shown, normalize_embeddings=True, return_truncated=True,
                                           show_progress_bar=False)  # (passages, dim)
    if cut:
        raise ValueError(f"the encoder would cut {cut} of {len(shown)} passages with their titles: make size smaller")
    folder.mkdir(parents=True, exist_ok=True)
    ranges = value_ranges(vectors)  # (2, dim): lowest and highest
    probes = [max(corpus.values(), key=len), *shown[:: len(shown) // 16 + 1]]
    np.save(folder / "codes.npy", quantize(vectors, "int8", ranges))
    np.save(folder / "ranges.npy", ranges)
    np.save(folder / "vectors.npy", vectors.astype(np.float16))
    np.save(folder / "fingerprint.npy", fingerprint(encoder, probes))
    about = {"model": name, "max_seq_length": encoder.max_seq_length, "probes": probes,
             "passages": [asdict(p) for p in passages]}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")

# %% [markdown]
# `Search` opens the folder. It encodes the fingerprint's texts again, and refuses if the limit of tokens or their vectors have changed. `find` takes the 50 nearest passages and keeps the first of each document; where long texts leave fewer than `k` documents, raise `pieces` in `nearest`.

# %%
class Search:
    def __init__(self, folder, encoder):
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        then, now = np.load(folder / "fingerprint.npy"), fingerprint(encoder, about["probes"])  # (2 * probes, dim) each
        if (about["max_seq_length"] != encoder.max_seq_length or now.shape != then.shape
                or not np.allclose(now, then, atol=1e-3)):
            raise ValueError(f"these vectors were made by {about['model']} as it was then; encode the texts again")
        self.encoder = encoder
        self.passages = [Passage(**p) for p in about["passages"]]
        self.codes, self.ranges = np.load(folder / "codes.npy"), np.load(folder / "ranges.npy")
        self.vectors = np.load(folder / "vectors.npy", mmap_mode="r")                        # stays on disk

    def find(self, query, k=10):
        """Up to k documents, best first, each with its nearest passage: (document, score, passage)."""
        return self.nearest(self.encoder.encode_query([query], normalize_embeddings=True, show_progress_bar=False), k)

    def nearest(self, vector, k=10, pieces=50):                                              # vector: (1, dim)
        scores, rows = rescored_top_k(vector, self.codes, self.vectors, min(pieces, len(self.codes)), self.ranges, 2)
        best = {}
        for score, row in zip(scores[0], rows[0]):                                           # best first
            passage = self.passages[row]
            best.setdefault(passage.document, (passage.document, float(score), passage))  # the first one counts
        return list(best.values())[:k]

# %% [markdown]
# Now build it, compare it with an exact search, and try to open it with another BERT, with a limit of 32 tokens, and with a prompt.

# %% tags=["nbval-check-output"]
folder, begin = Path(tempfile.mkdtemp()), time.process_time()                                # seconds of the processor
build(folder, corpus, titles, encoder, model, size, overlap)
seconds_to_build = time.process_time() - begin
search = Search(folder, encoder)
answers = [search.find(query) for query in asked]  # up to 10 (document, score, passage) each
stored = ndcg([[place[document] for document, *_ in line] for line in answers])
hits = search_passages(normalize(query_vectors, dim=1), torch.from_numpy(search.vectors.astype(np.float32)),
                       search.passages, 10)
exact = ndcg([[place[hit.document] for hit in line] for line in hits])
against_exact = difference(f"{len(search.passages)} passages: the folder against exact search", stored, exact)
behind = []  # first hits that help, by a passage the article's one vector does not hold
for (query, text), [(document, _, passage), *_] in zip(queries.items(), answers):
    if document in relevant[query] and count([corpus[document][: passage.start]])[0] > room:
        behind.append((text, document, passage))
print(f"{len(behind)} queries have a first hit that helps, by a passage beyond what the encoder reads of the article")
for text, document, passage in behind[:1]:
    print(f"\n{text!r}\n-> {titles.get(document)!r}, characters {passage.start} to {passage.end}:\n{passage.text}\n")
shorter, refused = copy.deepcopy(encoder), []
shorter.max_seq_length = 32
other_bert = SentenceEncoder.load(bert, device="cpu", dtype="float32")
other_bert.max_seq_length = encoder.max_seq_length
for name, other in {"another BERT": other_bert, "a limit of 32 tokens": shorter, "a prompt": prompted}.items():
    try:
        Search(folder, other)
    except ValueError as error:
        refused.append(f"{name} is refused: {error}")
print(*refused, sep="\n")
assert len(refused) == 3 and (not bundled or len(behind) > 0 and abs(against_exact[0]) < 1)

# %% [markdown]
# With 100 of 744 passages rescored, the folder ranks as well as an exact search of its float16 vectors. The passage that it shows may lie beyond what the encoder reads of the whole article. All three encoders are refused; a change that alters none of the kept vectors would slip through.
#
# For your own texts, give `build` a `Path`, a dictionary of texts (each begins with its title, if it has one), one of titles, which may be empty, and the other arguments as above. If texts or model change, build again. This search ranks by best pieces. By that, queries in other words lost 9 points above, so try the mean too.
#
# ### How long does one query take?
#
# **Question.** *Latency* is how long one person waits for one answer; *throughput* is how many you get through in a second. Where does the time go?
#
# **Predict** whether encoding or searching takes more of it.

# %% tags=["row-BP5"]
def milliseconds(function, *arguments):
    begin = time.perf_counter()
    result = function(*arguments)
    return 1000 * (time.perf_counter() - begin), result

quiet = dict(show_progress_bar=False)
search.find(asked[0]), small.encode(asked[:1], **quiet)                                      # warm up
took = {"encode, one layer and a map": [], "encode, the whole encoder": [], "search the folder": []}
for query in asked:                                                                          # they take turns
    took["encode, one layer and a map"].append(milliseconds(lambda text: small.encode([text], **quiet), query)[0])
    ms, vector = milliseconds(lambda text: encoder.encode_query([text], normalize_embeddings=True, **quiet),
                              query)                                                         # vector: (1, dim)
    took["encode, the whole encoder"].append(ms)
    took["search the folder"].append(milliseconds(search.nearest, vector)[0])
small_tower, encoding, searching = map(np.array, took.values())                              # (queries,) each
took["find: encode and search"] = encoding + searching
for name, times in took.items():
    print(f"{name:<28} alone: half of the queries within {np.median(times):5.1f} ms, "
          f"95 % within {np.percentile(times, 95):5.1f} ms")
print(f"share of encoding in find: {encoding.sum() / (encoding + searching).sum():.0%}")
batched = []                                                                                 # ms for each query
for budget in (64, 1024, 4096):
    ms, together = milliseconds(lambda: encoder.encode(asked, batch_tokens=budget, **quiet))
    batched.append(ms / len(asked))
    print(f"{budget:>5} tokens at a time: {batched[-1]:5.1f} ms for each query of {len(asked)}, "
          f"{1000 / batched[-1]:6.0f} queries a second")
    assert np.abs(together - query_vectors.numpy()).max() < 1e-4
assert encoding.sum() > searching.sum() and max(np.median(small_tower), *batched[1:]) < np.median(encoding)

# %% [markdown]
# With 744 passages most of `find` is encoding, and the small tower encodes faster. In *batches* a query takes less time than alone; `batch_tokens` counts tokens, sentence-transformers' `batch_size` texts. A person waits for the latency, so time single calls too.
#
# ### What changes at 100,000 texts, and at ten million?
#
# **Question.** Exact search compares the query with every vector. When does that become too slow, or too large?
#
# **Predict** the memory for ten million texts like these in float32.

# %% alt="Two lines on logarithmic axes: milliseconds for one query against 1,000, 10,000 and 100,000 vectors, for float32 and for int8 with rescoring. Both rise with the number of vectors; float32 rises more steeply, and dotted lines continue both to ten million texts, at 25 million vectors. A dashed line marks the time that encoding the query takes; both lines, with their continuations, cross it."
sizes, took = [1_000, 10_000, 100_000], {"float32, exact": [], "int8, rescored": []}
for n in sizes:
    many = normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=1)         # (n, dim)
    ranges = value_ranges(many[:1000])
    codes, query = quantize(many, "int8", ranges), normalize(query_vectors[:1], dim=1)
    ways = {"float32, exact": lambda: top_k(query, many, 10, dot_score),
            "int8, rescored": lambda: rescored_top_k(query, codes, many, 10, ranges, 4)}
    for name, way in ways.items():
        way()
        took[name].append(np.median([milliseconds(way)[0] for _ in range(9)]))
# a_text: vectors of a text
a_text, (_, ax) = len(search.passages) / len(corpus), plt.subplots(figsize=(6.5, 3.2), layout="constrained")
# ms: ten million texts, as many times slower
guess = {name: values[-1] * 1e7 * a_text / sizes[-1] for name, values in took.items()}
for name, values in took.items():
    curve(sizes, values, name, ax)
    print(f"{name:<15}", *(f"{n:,} vectors {ms:.2f} ms  " for n, ms in zip(sizes, values)),
          f"roughly {guess[name] / 100:.0f} ms for 100,000 texts, {guess[name] / 1000:.1f} s for ten million")
for i, (name, values) in enumerate(took.items()):
    ax.plot([sizes[-1], 1e7 * a_text], [values[-1], guess[name]], color=PALETTE[i], linestyle=":")
ax.axhline(np.median(encoding), color="black", linestyle="--", linewidth=1, label="encoding the query")
ax.legend(fontsize=8)
ax.set(xscale="log", yscale="log", xlabel="vectors (dotted: a rough guess, to ten million texts)",
       ylabel="ms for one query, alone", title="A scan takes longer with more vectors")
plt.show()
print(f"building the folder: {1000 * seconds_to_build / len(search.passages):.1f} s of one core for 1,000 vectors; "
      f"{a_text:.2f} vectors a text")
for n in (len(corpus), 100_000, 10_000_000):
    in_mb = {kind: n * a_text * width * bits / 8 / 1e6
             for kind, bits in (("float32", 32), ("float16", 16), ("int8", 8), ("signs", 1))}
    print(f"{n:>10,} texts: {n * seconds_to_build / len(corpus) / 3600:.2g} hours of one core; in MB: "
          + ", ".join(f"{kind} {mb:,.1f}" for kind, mb in in_mb.items()))
assert not bundled or round(in_mb["float32"]) == 25_395 and guess["float32, exact"] / 100 > np.median(encoding)

# %% [markdown]
# The dotted lines are a rough guess: the time at 100,000 vectors, multiplied. A text became 2.5 vectors here.
#
# - **At 100,000 texts** one scan of memory still answers a query. But by that guess a float32 scan takes longer than encoding the query, and in the stored run int8 does, too.
# - **At ten million** texts like these, one float32 query takes seconds by that guess. In float32 the vectors fill 25 gigabytes, and building takes days of one core. Int8 codes in memory, full vectors on disk, save memory; by that guess a query takes about a second. An _index_ looks only into groups of vectors near the query and may miss neighbours (notebook 17).
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
assert (np.allclose(library.encode_document(texts[:8]), vectors[:8], atol=1e-5)
        and np.allclose(library.encode_query(asked), query_vectors, atol=1e-5))
assert torch.allclose(library.similarity(query_vectors, vectors), encoder.similarity(query_vectors, vectors), atol=1e-6)
assert [[hit["corpus_id"] for hit in line]
        for line in util.semantic_search(query_vectors, vectors, top_k=10)] == by_meaning.tolist()
ranges = value_ranges(vectors)                                                               # keep them with the codes
assert np.array_equal(quantize_embeddings(vectors.numpy(), "int8", ranges=ranges),
                      quantize(vectors.numpy(), "int8", ranges))
assert np.allclose(library.encode(asked[:8], truncate_dim=width // 4, normalize_embeddings=True),
                   truncate(query_vectors[:8], width // 4), atol=1e-5)
few = dict(list(corpus.items())[:60])
answered = {q: {i for i in found if i in few} for q, found in relevant.items() if any(i in few for i in found)}
theirs = InformationRetrievalEvaluator({q: queries[q] for q in answered}, few, answered, write_csv=False)(library)
ours = {q: [ids[row] for row in cosines[list(queries).index(q), :60].argsort(descending=True)[:10]] for q in answered}
ours = ranking_metrics(ours, answered, {"mrr": [10], "recall": [10], "ndcg": [10]})
assert all(np.isclose(theirs[f"cosine_{name}"], value) for name, value in ours.items())
small.save(folder / "small")
pair = SentenceTransformer(modules=[Router.for_query_document(
    list(SentenceTransformer(str(folder / "small"), device="cpu")), list(library))], device="cpu")
assert (np.allclose(pair.encode_query(asked[:8]), small.encode(asked[:8]), atol=1e-4)
        and np.allclose(pair.encode_document(texts[:8]), vectors[:8], atol=1e-5))
print("equal: encode_query, encode_document, similarity, semantic_search, quantize_embeddings, truncate_dim, "
      "the evaluator, Router")

# %% [markdown]
# - **What to use.** `encode_query` and `encode_document`; `similarity`, the function that the model's folder names, for all scores; `util.semantic_search`, by cosine, for the best; `InformationRetrievalEvaluator`, which knows no grades; `quantize_embeddings` for codes; `Router` for two towers.
# - **What it costs.** Encoding once, then memory for a vector of each piece.
# - **With a GPU.** Set `os.environ["COURSE_DEVICE"] = "auto"` in the first cell and leave out `device="cpu"`: both libraries then encode on it; tensors that they return stay there until you call `.cpu()`, and every time above has to be measured anew.
# - **What to watch.** The four traps, and the ranges that belong to int8 codes.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB). `dataset = "scifact"` searches scientific abstracts, if that set lies in the folder that the environment variable `COURSE_DATA` names.
#
# ## Exercises
#
# **1.** Is the new search better? Both searches answered the same queries. The draws are made for you.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def compare(new, old, drawn):
    """new, old: (queries,), the nDCG of two searches for each query; drawn: (draws, queries), the numbers of the
    queries of each draw -> (low, high, word): the range of the middle 95 % of the draws' mean differences, new minus
    old; and "better", "worse", or, if the range contains 0, "cannot tell"."""
    ...

check("13.1", compare)

# %% [markdown]
# **2.** Build the heart of a search: from vectors of pieces to documents, each once, with the piece that you would show. The vectors come as the encoder made them.

# %% tags=["exercise", "nbval-check-output"]
def best_documents(query, pieces, documents, k):
    """query: (dim,), pieces: (n, dim), arrays of vectors of any length; documents: list of n numbers, the document
    of each piece -> list of up to k pairs (document, row of its nearest piece by cosine), best first, each document
    once."""
    ...

check("13.2", best_documents)

# %% [markdown]
# ## Questions
#
# **1.** Your search works well on the first page of each manual and badly on the rest. What do you check first?
#
# <details><summary>Answer</summary>How many texts are longer than <code>max_seq_length</code>: only their beginning is in the vectors. Cut them into pieces.</details>
#
# **2.** You switch to a better model for new documents and leave the old vectors as they are. Both models give 384 numbers. What happens?
#
# <details><summary>Answer</summary>No error comes, and the scores of the old documents mean nothing to the new queries. Encode all documents again, and keep a fingerprint of the model beside the vectors.</details>
#
# **3.** A new search is 2 points of nDCG better on 150 queries, with an interval from -1 to +5. Do you deploy it?
#
# <details><summary>Answer</summary>These queries cannot tell: the interval contains 0. Label more, or decide by something else, such as cost.</details>
#
# ## Summary
#
# - nDCG says how good a ranking is, a paired bootstrap whether another is shown to be better.
# - Meaning finds answers in other words. Where words are shared, keywords lead while articles have one vector, and are not shown to lead once both get pieces.
# - What comes after `max_seq_length` is not in the vector. Here best pieces help queries that share words with a long answer, and harm those with short answers; the mean does less of both.
# - Vectors of two models do not compare: keep a fingerprint beside them.
# - int8 is not shown to cost anything here, nor, with rescoring, is keeping only a quarter of its numbers.
# - A search is a folder: passages, unit vectors, a fingerprint.
#
# ## References
#
# - Thakur et al. (2021), [BEIR](https://arxiv.org/abs/2104.08663).
# - Järvelin and Kekäläinen (2002), [cumulated gain](https://doi.org/10.1145/582415.582418).
# - Wang et al. (2024), [multilingual E5](https://arxiv.org/abs/2402.05672).
# - Schönemann (1966), [the orthogonal Procrustes problem](https://doi.org/10.1007/BF02289451).
# - Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - sentence-transformers, [semantic search](https://sbert.net/examples/sentence_transformer/applications/semantic-search/README.html) and [quantisation](https://sbert.net/examples/sentence_transformer/applications/embedding-quantization/README.html).
#
# **Next:** [14_hybrid_and_reranking](14_hybrid_and_reranking.ipynb) puts keywords and meaning together.
