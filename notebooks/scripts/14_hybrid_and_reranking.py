# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/14_hybrid_and_reranking.ipynb)
#
# # By words, by meaning, or both?
#
# You search the same pages by counted words, dense and learnt sparse vectors, fuse and rerank the results, and compare quality, time and bytes.
#
# | | |
# |---|---|
# | You will be able to | compute BM25, a SPLADE vector and reciprocal rank fusion by hand; read which terms a model adds; build an inverted index; say which search suits a query |
# | You need first | notebook 13: semantic search and nDCG; notebook 04: masked language modelling and the cross-encoder |
# | Time | 40 minutes to read; the code runs in about half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course (in Colab one small package, `bm25s`) |

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

# %% tags=["install"]
# Locally this does nothing. In Colab it installs the one package of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("bm25s") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "bm25s"], check=True)

# %% [markdown]
# `dataset` is a folder in BEIR's format, such as the help pages of a small town. `model` makes dense vectors, `sparse_model` sparse ones, `reranker` reads the first `candidates` documents again. `rrf_k` is the fusion's constant. `full` repeats the recorded measurement.

# %% tags=["parameters"]
dataset = "course/help"
model = "course/sbert-mini"
sparse_model = "course/splade-mini"
reranker = "course/cross-encoder-mini"
candidates = 10
rrf_k = 60
full = False

# %% [markdown]
# ## Words, counted
#
# **Question.** What is a word worth that query and document share?
#
# *BM25* adds up, for each word of the query that the document holds,
#
# $$\mathrm{idf} \cdot \frac{c}{c + k_1 (1 - b + b \cdot \text{length} / \text{mean length})}$$
#
# for $c$ occurrences in it. The *inverse document frequency* (IDF) is the logarithm of how rare the word is among all documents. $k_1$ says how soon further occurrences stop counting, $b$ how much length counts; here Lucene's 1.2 and 0.75. Nothing is learnt.
#
# **Predict** for the query "river ticket" and the documents "ticket ticket ticket"; "river boat ticket office"; "river river ferry"; "ticket machine tram stop market square ticket office": which comes first, and which word is worth more?

# %% tags=["nbval-check-output", "row-AT4"]
import math
import time

import numpy as np

from course_lib.retrieval.bm25 import BM25

toy = ["ticket ticket ticket", "river boat ticket office", "river river ferry", "ticket machine tram stop market square ticket office"]
words = [text.split() for text in toy]
mean_length = sum(map(len, words)) / len(words)

def idf(word):
    containing = sum(word in document for document in words)
    return math.log(1 + (len(words) - containing + 0.5) / (containing + 0.5))

def bm25_weight(word, document, k1=1.2, b=0.75):
    count = document.count(word)
    return idf(word) * count / (count + k1 * (1 - b + b * len(document) / mean_length))

by_loop = [sum(bm25_weight(word, document) for word in "river ticket".split()) for document in words]
counted = BM25(toy)
scores = (counted.encode_query("river ticket") @ counted.vectors.T).toarray()[0]        # (1, words) @ (words, 4): a product of matrices
assert np.allclose(by_loop, scores, atol=1e-6)
print({word: round(idf(word), 3) for word in ("river", "ticket")}, [round(score, 3) for score in by_loop])

# %% [markdown]
# "River" twice beats the commoner "ticket" three times, and both words together beat either. Loop and matrix product agree: **BM25 gives each document a vector** of counted weights, as long as the vocabulary.
#
# ### On real pages, against dense vectors
#
# These are notebook 13's 300 help pages and 150 questions, with grade 2 where a page answers, 1 where it helps. With 150 queries, differences of 0.02 or 0.03 may be chance.
#
# BM25 leaves out stop words such as "the" and "of". Of the questions, 45 share no other word with a page that answers them best. (For notebook 13's 70 queries in other words, a longer list of stop words did not count.)
#
# The dense encoder reads the first 128 tokens of a page, the sparse one and the reranker, below, 512, BM25 all. Most pages have more than 128, few more than 512: part of what follows is that, and notebook 13's pieces are the cure.
#
# **Predict:** which group does BM25 win, and by how much does it lose the other?

# %% tags=["nbval-check-output"]
from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.tokenization import tokenize

queries, corpus, relevant = load_retrieval(dataset)
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
systems, cost = {}, {}
def timed(run):
    start = time.process_time()                                         # of this process, all its threads added up
    return run(), time.process_time() - start
def add(name, search, size, seconds):
    """Search for all queries; keep {query: {document: score}}, milliseconds a query, bytes, seconds to encode the documents."""
    (scores, rows), took = timed(search)                                # (queries, 50) each
    cost[name] = 1000 * took / len(queries), size, seconds
    systems[name] = {q: {ids[r]: float(s) for s, r in zip(*found) if s != 0} for q, *found in zip(queries, scores, rows)}
def embed(texts):
    return encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)   # (texts, dim), of length 1
bm25, seconds = timed(lambda: BM25(texts))
add("BM25", lambda: bm25.search(asked, 50), bm25.index.nbytes, seconds)
encoder = SentenceEncoder.load(model, dtype="float32")
vectors, seconds = timed(lambda: embed(texts))
add("dense", lambda: top_k(embed(asked), vectors, 50, dot_score), vectors.nbytes, seconds)
print(f"{len(corpus)} documents, {len(queries)} queries, {np.mean([len(found) for found in relevant.values()]):.1f} relevant documents a query")

# %% tags=["nbval-check-output"]
from course_lib.retrieval.metrics import ranking_metrics

def shared_words(query):
    """Words of a query that occur in a document that answers it best, the most of any such document."""
    best = [ids.index(d) for d, grade in relevant[query].items() if grade == max(relevant[query].values())]
    asked_for = bm25.encode_query(queries[query]).indices
    return int((bm25.vectors[best].toarray()[:, asked_for] > 0).sum(axis=1).max())
shared = {query: shared_words(query) for query in queries}
groups = {"no shared word": [q for q in queries if shared[q] == 0], "some shared word": [q for q in queries if shared[q] > 0]}
groups = {group: chosen for group, chosen in groups.items() if chosen}
def reading(name, limit, tokenizer):
    lengths = np.array([len(found) for found in tokenize(tokenizer, texts, None)[0]])  # tokens of each page, nothing cut
    print(f"{name} reads {limit} tokens; {(lengths > limit).sum()} of {len(texts)} pages have more; {np.minimum(lengths, limit).sum():,} of {lengths.sum():,} tokens are read")
def quality(name, chosen=None):
    """nDCG@10 and recall@50 of a system, over the chosen queries."""
    found = ranking_metrics({q: list(systems[name][q]) for q in chosen or queries}, relevant, {"ndcg": (10,), "recall": (50,)})
    return found["ndcg@10"], found["recall@50"]

reading("dense", encoder.max_seq_length, encoder[0].tokenizer)
for group, chosen in groups.items():
    print(f"{group:16} {len(chosen):3} queries   nDCG@10", {name: round(quality(name, chosen)[0], 3) for name in systems})
default = (dataset, model, sparse_model, reranker) == ("course/help", "course/sbert-mini", "course/splade-mini", "course/cross-encoder-mini")
if default:
    assert quality("BM25", groups["no shared word"])[0] < 0.1 < quality("dense", groups["no shared word"])[0]

# %% [markdown]
# Without a shared word BM25 finds accidents only. With shared words it is as good as this trained model.
#
# ## Words, learnt
#
# **Question.** Can a vector over the vocabulary also hold words that the text does not say?
#
# A masked language model gives, at every token, a score (logit) for each *term*: an entry of its vocabulary, a word or a piece of one. *SPLADE* (Formal et al. 2021) makes a vector of these guesses. A term's weight in a text $x$ is
#
# $$w_v = \max_{t \in x} \log(1 + \mathrm{relu}(\mathrm{logit}_{t,v}))$$
#
# the best guess at any token; relu makes negative numbers 0, the logarithm tames large ones. Training pushes almost all weights of such a *learned sparse* vector to zero, and leaves terms that help to find the text. That some are not the text's own is called *term expansion*.
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
assert torch.allclose(torch.tensor(by_loop), by_matrix) and torch.allclose(torch.log1p(torch.relu(logits.amax(0))), by_matrix)
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
reading("sparse", sparse.max_seq_length, sparse.tokenizer)

# %% [markdown]
# The library takes the maximum before the logarithm, which changes nothing, because the logarithm never falls; and it goes text by text, never holding the logits of a whole batch.
#
# What did the model learn to add?

# %% tags=["row-2.15"] alt="Two bar charts of term weights, highest first. Left, for 'swimming with my dog in the lake': swimming, lake and dog weigh most; dogs, outdoors and playing are added, hatched and marked with a plus. Right, for 'cats and kittens need food': cats, food, and kittens in two pieces; kids, children, participants and girls are added."
import matplotlib.pyplot as plt

from course_lib.plotting import PALETTE, bars

plt.rcParams["figure.dpi"] = 70                                         # keeps this file small
examples = ["swimming with my dog in the lake", "cats and kittens need food"]
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
added = []
for ax, text in zip(axes, examples):
    own = set(sparse.tokenizer.encode(text).tokens)
    terms = sparse.decode(sparse.encode(text), 16)[0]                   # [(term, weight), ...], highest first
    labels = [("" if term in own else "+ ") + term for term, _ in terms]
    drawn = ax.barh(labels, [weight for _, weight in terms], color=[PALETTE[0] if term in own else PALETTE[1] for term, _ in terms])
    for bar, (term, _) in zip(drawn, terms):
        bar.set_hatch("" if term in own else "xx")
    ax.invert_yaxis()
    ax.set(title=f'"{text}"', xlabel="weight")
    added += [term for term, _ in terms if term not in own]
figure.suptitle("A text's own tokens, and with a plus, hatched, the terms that the model adds", fontsize="medium")
plt.show()
documents, seconds = timed(lambda: sparse.encode_document(texts, show_progress_bar=False))    # sparse (documents, vocabulary)
print({name: round(value, 4) for name, value in sparsity(documents).items()})
assert not default or 20 < sparsity(documents)["active_dims"] < 200 and {"dogs", "kids"} <= set(added)

# %% [markdown]
# "In", "the" and "and" are gone; the weights resemble BM25's, which this model was taught. It adds little: "dogs" is sensible, "kids" for kittens is not. Below the figure: terms a page, and the share of zeros.
#
# ## The inverted index
#
# **Question.** Is a vector of 12,000 numbers not slower to search than one of 256?
#
# Only if you multiply its zeros. An *inverted index* keeps, for each term, its *postings*: the documents that hold it, with their weights. A query adds up the lists of its own terms; zeros are never touched.
#
# **Predict:** a page has about a hundred terms of 12,000, a query fewer. Which part of the multiplications is left: a tenth, a hundredth, a thousandth, or less?

# %% tags=["row-2.20"]
from course_lib.retrieval.inverted_index import InvertedIndex

wanted = sparse.encode_query(asked, show_progress_bar=False)            # sparse (queries, vocabulary)
postings = {}                                                           # term: [(document, weight), ...]
for row, (first, end) in enumerate(zip(documents.indptr, documents.indptr[1:])):
    for term, weight in zip(documents.indices[first:end], documents.data[first:end]):
        postings.setdefault(int(term), []).append((row, weight))
by_hand, products = np.zeros(len(texts)), 0
for term, weight in zip(wanted[[0]].indices, wanted[[0]].data):         # the first query
    for row, of_document in postings.get(int(term), []):
        by_hand[row] += weight * of_document
        products += 1
whole = (wanted @ documents.T).toarray()                                # (queries, documents)
index = InvertedIndex(documents)
(scores, rows), took = timed(lambda: index.search(wanted, 50))
assert np.allclose(by_hand, whole[0], atol=1e-3) and np.allclose(scores, -np.sort(-whole, axis=1)[:, :50], atol=1e-4)
every = documents.shape[0] * documents.shape[1]
print(f"{products:,} products instead of {every:,}, one of {every // products:,}; of dense vectors, {vectors.shape[1]} numbers each: {vectors.size:,}")
add("sparse", lambda: index.search(sparse.encode_query(asked, show_progress_bar=False), 50), index.nbytes, seconds)
print(f"{1000 * took / len(asked):.2f} ms a query to search, {cost['sparse'][0]:.2f} ms to encode and search")
assert products < every / 200 and (not default or 1000 * took / len(asked) < cost["sparse"][0] / 4)

# %% [markdown]
# One of 11,009. For this query the index needs 327 products; dense vectors of 256 numbers would need 76,800. But encoding costs far more than the search, so in the table below the sparse system is the slower one: sparse vectors are cheap to _search_, not to _make_.
#
# ## Fusion
#
# **Question.** How do two lists become one?
#
# *Reciprocal rank fusion* (RRF; Cormack et al. 2009) looks at ranks only: each list gives a document $1 / (k + \mathrm{rank})$, and the sums are sorted. *Score fusion* adds the scores, weighted. To search by words and by vectors, and to fuse, is *hybrid search*.
#
# **Predict:** does a document that is second in both lists beat one that is first in one, and absent from the other?

# %% tags=["row-AT4", "nbval-check-output"]
from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion

def by_ranks(lists):
    fused = {}
    for ranking in lists:
        for rank, document in enumerate(ranking, 1):
            fused[document] = fused.get(document, 0) + 1 / (rrf_k + rank)
    return dict(sorted(fused.items(), key=lambda item: -item[1]))

lists = [["a", "b", "c"], ["d", "b", "a"]]
assert list(by_ranks(lists).items()) == list(reciprocal_rank_fusion(lists, rrf_k).items())
print({document: round(score, 5) for document, score in by_ranks(lists).items()})

# %% [markdown]
# With $k = 60$, being found twice counts for more than being first once: RRF's strength and, below, its weakness.
#
# ### A trap: adding raw scores
#
# Cosines end at 1. BM25 has no upper end.
#
# **Predict:** add the two as they are. Whose ranking comes out?

# %% tags=["row-AT4"]
def raw_sum(results):
    total = {}
    for scores in results:
        for document, score in scores.items():
            total[document] = total.get(document, 0) + score
    return dict(sorted(total.items(), key=lambda item: -item[1]))

def fuse(name, parts, how):
    systems[name], took = timed(lambda: {q: how([systems[part][q] for part in parts]) for q in queries})
    cost[name] = tuple(sum(values) for values in zip((1000 * took / len(queries), 0, 0), *(cost[part] for part in parts)))

fuse("raw sum", ["BM25", "dense"], raw_sum)
same = {part: np.mean([len(set(list(systems["raw sum"][q])[:10]) & set(list(systems[part][q])[:10])) for q in queries]) for part in ("BM25", "dense")}
ranges = {part: max(max(found.values(), default=0) for found in systems[part].values()) for part in ("BM25", "dense")}
print("highest scores:", {part: round(value, 2) for part, value in ranges.items()})
print("of the ten first of the raw sum, also among the ten first of", {part: f"{value:.1f}" for part, value in same.items()})
assert ranges["BM25"] > 5 * ranges["dense"] and same["BM25"] > same["dense"]

# %% [markdown]
# The sum is BM25 with a whisper of meaning. Scores must be brought to one scale first: *min-max normalisation* gives each list's highest score 1 and its lowest 0. The library's `weighted_fusion` does that for each query; a document that a list lacks gets 0.

# %% tags=["row-AT4", "row-2.21"]
def rrf(results):
    return reciprocal_rank_fusion([list(scores) for scores in results], rrf_k)

fuse("RRF: BM25 + dense", ["BM25", "dense"], rrf)
fuse("RRF: BM25 + sparse", ["BM25", "sparse"], rrf)
fuse("RRF: all three", ["BM25", "dense", "sparse"], rrf)
fuse("sum: BM25 + dense", ["BM25", "dense"], weighted_fusion)
fuse("sum: dense + sparse", ["dense", "sparse"], weighted_fusion)
for name in systems:
    print(f"{name:20} nDCG@10 {quality(name)[0]:.3f}   recall@50 {quality(name)[1]:.3f}")
if default:
    assert quality("RRF: BM25 + dense")[1] > quality("BM25")[1] and quality("sum: BM25 + dense")[0] > quality("RRF: BM25 + dense")[0] + 0.02

# %% [markdown]
# RRF puts BM25 and dense clearly _below_ dense alone. It gives BM25's list the same say on every question, also where that list holds accidents only. Normalised scores keep the gaps within a list, and their sum is about as good as dense alone. Among the first 50, both have hardly more of the answers than dense alone. The small sparse model pulls BM25 down.
#
# ## Rerank
#
# **Question.** Would a model that reads query and page together order the first few better?
#
# *Reranking* gives the first candidates of a fast search to a cross-encoder. It costs a pass through BERT for each pair, and cannot find what is not among the candidates.
#
# Mind that `course/cross-encoder-mini` learnt how _similar_ two sentences are, on captions and news; a question and its answer are not.
#
# **Predict:** does it help?

# %% tags=["row-2.14"]
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.reranking import rerank

scorer = CrossEncoder.load(reranker)
before = "sum: BM25 + dense"
found, took = timed(lambda: rerank(scorer, queries, corpus, {q: list(systems[before][q]) for q in queries}, candidates, show_progress_bar=False))
systems["reranked"] = {q: dict.fromkeys(ranking) for q, ranking in found.items()}
milliseconds = 1000 * took / len(queries)
cost["reranked"] = (cost[before][0] + milliseconds, *cost[before][1:])
print(f"nDCG@10 {quality(before)[0]:.3f} before, {quality('reranked')[0]:.3f} after; recall@50 {quality(before)[1]:.3f}, {quality('reranked')[1]:.3f}")
print(f"{milliseconds:.1f} ms a query for {candidates} pairs of at most {scorer.max_seq_length} tokens, after {cost[before][0]:.1f} ms for the search")
assert not default or quality("reranked")[0] < quality(before)[0] - 0.05 and milliseconds > 5 * cost[before][0]

# %% [markdown]
# It does harm, at many times the cost of the search: being alike is not being the answer, and the model learnt from single sentences, not pages. A cross-encoder is better at what it was trained for, and not necessarily at anything else.
#
# ## One table
#
# **Question.** What does which search cost, and what does it find?

# %% tags=["row-2.20", "row-2.21"]
print(f"{'':29}recall   CPU ms a query          index  CPU seconds to")
print(f"{'':20}nDCG@10      @50  (encode and search)     bytes  make documents' vectors")
for name in systems:
    ndcg, recall = quality(name)
    ms, size, seconds = cost[name]
    print(f"{name:20}  {ndcg:5.3f}    {recall:5.3f}  {ms:19.2f} {size:9,}  {seconds:23.2f}")
assert not default or cost["sparse"][2] > cost["dense"][2] > 0 and cost["BM25"][0] < cost["dense"][0] < cost["reranked"][0]

# %% [markdown]
# To encode the pages the sparse model takes over twice the dense one's time: it reads 1.4 times as many tokens, and has the head. Its index is no smaller than the dense vectors, although more than 99 of 100 weights are zero: each of the others takes eight bytes, four for the weight and four for the page's number. BM25's is smaller than either, and needs no model.
#
# ## When does which win?
#
# **Predict** which system is best without shared words, and which with them.

# %% tags=["row-2.21"] alt="Horizontal bars of nDCG@10 for seven systems, two bars each. For queries that share no word with their answer, hatched, BM25 and the sparse model are near 0, dense vectors lead with 0.33, the fused systems lie in between. For the other queries all lie between 0.5 and 0.65, the sums of scores highest, except the reranked one, which is lower."
shown = ["BM25", "dense", "sparse", "RRF: BM25 + dense", "sum: BM25 + dense", "sum: dense + sparse", "reranked"]
figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
places = np.arange(len(shown))
for shift, (group, chosen), hatch, colour in zip((-0.2, 0.2), groups.items(), ("xx", ""), PALETTE):
    drawn = ax.barh(places + shift, [quality(name, chosen)[0] for name in shown], 0.4, label=f"{group} ({len(chosen)} queries)", hatch=hatch, color=colour)
    ax.bar_label(drawn, fmt="%.2f", fontsize=8, padding=2)
ax.set_yticks(places, shown)
ax.invert_yaxis()
ax.margins(x=0.1)
ax.set_xlabel("nDCG@10")
ax.set_title("Without shared words fusion dilutes the dense vectors, with them it helps", fontsize="medium")
ax.legend(fontsize=8)
plt.show()
if default:
    none, some = groups.values()
    assert max(shown, key=lambda name: quality(name, none)[0]) == "dense" and max(shown, key=lambda name: quality(name, some)[0]) == "sum: BM25 + dense"

# %% [markdown]
# Without shared words dense vectors stand alone, and every list of accidents mixed in dilutes them. The terms that the sparse model adds do not help: 0.01, where BM25 has 0.02. With shared words, BM25 and dense score alike, and their sum is better than each (0.65). Which group is yours depends on who asks.
#
# Single questions say why: below, those where two systems differ most, the page that answers, and at which of its words those of the question first stand. Then a test: each _name or number_ that only one page has, among the tokens that all systems read, is a query. BM25 finds that page by construction.
#
# **Predict** how often the dense vectors put it first.

# %%
import re
from course_lib.datasets.retrieval import load_fields
titles = load_fields(dataset, "corpus", "title")
def ndcg_of(name, query):
    return ranking_metrics({query: list(systems[name][query])}, relevant, {"ndcg": (10,)})["ndcg@10"]
for winner, loser in (("BM25", "dense"), ("dense", "BM25")):
    gain = {q: ndcg_of(winner, q) - ndcg_of(loser, q) for q in queries}
    print(f"{winner} before {loser}:")
    for query in sorted(gain, key=lambda q: (-round(gain[q], 3), q))[:4]:
        page = max(systems[winner][query], key=lambda document: relevant[query].get(document, 0))     # of equal grades the first
        words_of_page = re.findall(r"\w+", corpus[page].lower())
        common = sorted({words_of_page.index(w) + 1: w for w in re.findall(r"\w+", queries[query].lower()) if w in bm25.vocabulary and w in words_of_page}.items())
        print(f"  {gain[query]:.2f}  {queries[query][:90]}")
        print(f"        -> {titles.get(page, page)}, {len(words_of_page)} words:", ", ".join(f"{w} {place}" for place, w in common) or "none of them")
by_word = bm25.vectors.tocsc()                                          # column by column: the documents of each word
once = {word: by_word.indices[by_word.indptr[i]] for word, i in bm25.vocabulary.items() if by_word.indptr[i + 1] - by_word.indptr[i] == 1}
read = [set(re.findall(r"\w+", encoder[0].tokenizer.decode(found).lower())) for found in tokenize(encoder[0].tokenizer, texts, encoder.max_seq_length)[0]]
capital = {found.lower() for text in texts for found in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)}
for kind, chosen in {"numbers": [w for w in once if w.isdigit()], "names": [w for w in once if w in capital]}.items():
    chosen = [word for word in chosen if word in read[once[word]]]
    rows = {"sparse": index.search(sparse.encode_query(chosen), 1)[1][:, 0], "dense": top_k(embed(chosen), vectors, 1, dot_score)[1][:, 0]}
    hits = {name: np.mean([row == once[word] for word, row in zip(chosen, found)]) for name, found in rows.items()}
    print(f"{len(chosen)} {kind} that one page has, page found first:", {name: round(float(share), 2) for name, share in hits.items()})
    assert not default or hits["sparse"] > hits["dense"]

# %% [markdown]
# The four questions that BM25 wins are all answered deep inside long pages: "bats" is word 366 of its page, "mouldy" 425, and the dense encoder reads 128 tokens (notebook 13). BM25 reads every word. The dense vectors win where the resident has other words: "naked where it is so hot" means the sauna.
#
# By a number alone the dense vectors find one page in ten, by a name about half. The sparse ones find nearly all: they keep the pieces of a word.
#
# ## Recorded: a public test set
#
# SciFact asks which of 5,183 abstracts speak to each of 300 claims. `recipes/hybrid.py` measured the systems there and **recorded** them in `data/results/14.csv`. BM25's published nDCG@10 is 66.5 (times 100, as below).
#
# **Predict** where the small models stand in another domain, and whether they improve BM25.

# %% tags=["row-2.21"] alt="Horizontal bars of nDCG@10 x 100 on SciFact. BM25 has 66.6, sbert-mini 34, all-MiniLM-L6-v2 64.5, bert-mini as a sparse encoder 44, splade-mini 67. Fused with BM25, sbert-mini lies below BM25 alone, splade-mini a little above it, at 67.5 by ranks and 68.6 by scores, and all-MiniLM-L6-v2 at 69 and 71. Reranking by cross-encoder-mini lies lower."
import runpy
from course_lib.data import load_results
if full:                                                                # needs COURSE_DATA, and a quarter of an hour
    sys.argv = ["hybrid"]
    runpy.run_module("recipes.hybrid", run_name="__main__")

table = load_results("14").query("experiment == 'scifact'")
table = table.assign(model=table.model.str.replace("(course|sentence-transformers)/", "", regex=True))
recorded = {name: dict(zip(rows.metric, rows.value)) for name, rows in table.groupby("model", sort=False)}
_, ax = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
values = {f"{name}  ({of['milliseconds']:.1f} ms)": of["ndcg@10"] for name, of in recorded.items()}
bars(values, "Far from their training, the sparse model keeps up with BM25, the dense one does not", "nDCG@10 x 100 on SciFact; in brackets milliseconds a query", ax)
plt.show()
ndcg = {name: of["ndcg@10"] for name, of in recorded.items()}
assert abs(ndcg["BM25"] - 66.5) < 1 and abs(ndcg["splade-mini"] - ndcg["BM25"]) < 2
assert ndcg["sbert-mini"] < ndcg["bert-mini as a sparse encoder"] - 5 and ndcg["BM25"] < ndcg["RRF of BM25, all-MiniLM-L6-v2"] - 1
found = {name: round(of["recall@100"], 1) for name, of in recorded.items() if name.endswith(("BM25", "BM25, sbert-mini", "BM25, splade-mini"))}
print("recall@100 x 100:", found)
assert all(recall >= found["BM25"] for recall in found.values()) and ndcg["RRF of BM25, sbert-mini"] < ndcg["BM25"] - 10 and ndcg["BM25"] < ndcg["sum of BM25, splade-mini"]
assert dataset != "scifact" or abs(100 * quality("BM25")[0] - ndcg["BM25"]) < 0.5

# %% [markdown]
# Both small models come from bert-mini, yet the sparse one keeps up with BM25 here (67.0; not on the help pages), and the dense one does not. Even bert-mini's own guesses, not trained as a sparse encoder at all (44.4), beat the dense vectors (34.3), made of 128 tokens only. Fused with BM25, the sparse one adds a point or two, the dense one takes many away; the recall grows with both. all-MiniLM-L6-v2 alone is a little worse than BM25, and together they beat either: here fusion pays where the parts are about equally good.
#
# ## Now from the library
#
# It is in `course_lib`: `bm25.py`, `sparse.py`, `inverted_index.py`, `fusion.py`, `reranking.py`. The fusion is as short as yours:

# %%
import inspect

print(inspect.getsource(reciprocal_rank_fusion).split('"""')[2])
assert all(list(by_ranks([systems["BM25"][q], systems["dense"][q]])) == list(systems["RRF: BM25 + dense"][q]) for q in queries)

# %% [markdown]
# ## With full-size models
#
# `model="sentence-transformers/all-MiniLM-L6-v2"` (90 MB) taught both small models. `sparse_model="prithivida/Splade_PP_en_v1"` (440 MB) is a full-size SPLADE, trained on questions with passages; so was `reranker="cross-encoder/ms-marco-MiniLM-L6-v2"` (90 MB): does this passage answer this question? `dataset="scifact"` needs the set in `COURSE_DATA`.
#
# ## Exercises
#
# **14.1** Write reciprocal rank fusion.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def fuse_ranks(rankings, k):
    """rankings: lists of ids, best first. The ids of all, best first by the sum of 1 / (k + rank), ranks from 1; ties in order of appearance."""
    ...

check("14.1", fuse_ranks)

# %% [markdown]
# **14.2** Make SPLADE vectors of a padded batch.

# %% tags=["exercise", "nbval-check-output"]
def splade(logits, attention_mask):
    """logits: (batch, tokens, vocabulary), attention_mask: (batch, tokens) of 0 and 1 -> weights (batch, vocabulary)."""
    ...

check("14.2", splade)

# %% [markdown]
# ## Questions
#
# **1.** A query is a part number, "BX-2041". Which system would you not trust alone?
#
# <details><summary>Answer</summary>The dense one: it has to squeeze a string it never saw into its vector, while BM25 gives it a high IDF. A sparse model stands between: it cuts the number into pieces.</details>
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
# - BM25 counts; names, numbers and rare words are its strength, and without a shared word it finds next to nothing.
# - A learned sparse vector is a text in weighted words, its own and added ones: cheap to search by an inverted index, dearer to make than a dense one.
# - Fusion by ranks needs no scale and listens to every list alike; by scores it needs one, and keeps how far each document is ahead of the next.
# - A reranker orders what was found, by what it has learnt.
#
# ## References
#
# - Stephen Robertson and Hugo Zaragoza (2009). *The Probabilistic Relevance Framework: BM25 and Beyond*. Foundations and Trends in Information Retrieval 3(4).
# - Thibault Formal, Carlos Lassance, Benjamin Piwowarski and Stéphane Clinchant (2021). *SPLADE v2: Sparse Lexical and Expansion Model for Information Retrieval*. arXiv 2109.10086.
# - Gordon Cormack, Charles Clarke and Stefan Büttcher (2009). *Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods*. SIGIR.
# - Rodrigo Nogueira and Kyunghyun Cho (2019). *Passage Re-ranking with BERT*. arXiv 1901.04085.
# - Xing Han Lù (2024). *BM25S: Orders of magnitude faster lexical search via eager sparse scoring*. arXiv 2407.03618.
#
# **Next:** notebook 15 finds duplicates and clusters in the same vectors.
