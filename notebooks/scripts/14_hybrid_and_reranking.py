# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/14_hybrid_and_reranking.ipynb)
#
# # By words, by meaning, or both?
#
# You search the same pages by counted words, by vectors and by learnt sparse vectors, fuse and rerank the results, and say what each of it brings and costs.
#
# | | |
# |---|---|
# | You will be able to | compute BM25, a SPLADE vector and reciprocal rank fusion by hand; choose a fusion's setting without fooling yourself; tell whether a reranker pays; say which search suits which queries |
# | You need first | notebook 13: semantic search, pieces, nDCG, intervals; notebook 04: masked language modelling and the cross-encoder |
# | Time | 45 minutes to read; the code runs in about half a minute |
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
# `dataset` is a folder in BEIR's format, such as the help pages of a small town. `model` makes dense vectors, `sparse_model` sparse ones, `reranker` reads the first `candidates` pages again. `rrf_k` is the constant of a fusion. `full` repeats the recorded measurements.

# %% tags=["parameters"]
seed = 0
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
# "River" twice beats the commoner "ticket" three times, and both words together beat either. Loop and matrix product agree: **BM25 gives each document a vector** of counted weights, as long as the vocabulary.
#
# ### On real pages, beside dense vectors
#
# These are notebook 13's 300 help pages and 150 queries. 80 queries share words with their answers. The other 70 were written to share no stem of a word with them, stop words aside: that is the authors' label, not what BM25 finds.
#
# The dense vectors are those of a sentence encoder, one for each page. It reads only the beginning of a long page, BM25 reads everything. So there is a third search, by notebook 13's pieces: long pages are cut into pieces of 100 tokens, and the best one speaks for its page.

# %% tags=["nbval-check-output"]
from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.chunking import Passage, chunk_documents, search_passages
from course_lib.support.tokenization import tokenize

queries, corpus, relevant = load_retrieval(dataset)          # {id: text}, {id: text}, {query: {page: grade}}
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
titles, labels = load_fields(dataset, "corpus", "title"), load_fields(dataset, "queries", "words")
kinds, depth = np.array([labels.get(query, "all") for query in queries]), 100           # of each query; pages of a ranking
every_kind = sorted(set(kinds), reverse=True)
default = (dataset, model, sparse_model, reranker, rrf_k) == ("course/help", "course/sbert-mini", "course/splade-mini", "course/cross-encoder-mini", 60)

encoder = SentenceEncoder.load(model, dtype="float32")
def unit(some):                                              # (texts, dim), each of length 1
    return encoder.encode(list(some), normalize_embeddings=True, show_progress_bar=False)

lengths, room = list(map(len, tokenize(encoder[0].tokenizer, texts, None, special=False)[0])), encoder.max_seq_length - 2
long = {i: text for (i, text), tokens in zip(corpus.items(), lengths) if tokens > room}
passages = [Passage(i, 0, len(text), text) for i, text in corpus.items() if i not in long]
passages += chunk_documents(long, encoder, 100, 25)          # 100 tokens, 25 of them shared
read = [f"{titles.get(p.document, '')} {p.text}" if p.start else p.text for p in passages]   # with the title before it
bm25, vectors, fits = BM25(texts), unit(texts), [i not in long for i in ids]            # vectors: (pages, dim)
piece_vectors = np.concatenate([vectors[fits], unit(read[sum(fits):])])                 # (pieces, dim)
print(f"{len(texts)} pages, {len(queries)} queries; {len(long)} pages are longer than the {room} tokens that the encoder reads, "
      f"{1 - np.minimum(lengths, room).sum() / sum(lengths):.0%} of all tokens are not read; {len(passages)} pieces and whole pages")

# %% [markdown]
# Each search takes a list of queries and returns {page: score} for each. **Predict:** which kind of query does BM25 win, and by how much does it lose the other?

# %% tags=["nbval-check-output"]
from course_lib.retrieval.metrics import each_query, paired_bootstrap, ranking_metrics
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score

def results(scores, rows):                                   # (queries, k) each; a page with score 0 is not found
    return [{ids[row]: float(score) for score, row in zip(*line) if score} for line in zip(scores, rows)]

search, found, ndcg = {}, {}, {}                             # by name: the function, its results, nDCG@10 of each query
def add(name, function):
    search[name], found[name] = function, dict(zip(queries, function(asked)))
    ndcg[name] = each_query(found[name], relevant)           # (queries,)
    parts = "".join(f"   {kind} {ndcg[name][kinds == kind].mean():.3f}" for kind in every_kind)
    print(f"{name:<24} nDCG@10 {ndcg[name].mean():.3f}{parts}   recall@50 {ranking_metrics(found[name], relevant, {'recall': [50]})['recall@50']:.2f}")

def difference(better, than, chosen=slice(None)):            # of nDCG x 100, with the interval of a paired bootstrap
    values = [100 * value for value in paired_bootstrap(ndcg[better][chosen], ndcg[than][chosen], seed=seed)]
    print(f"{better} against {than}: {{:+.1f}}, interval {{:+.1f}} to {{:+.1f}}".format(*values))
    return values

draw = np.random.default_rng(seed)
add("any order", lambda asked: [dict.fromkeys(draw.permutation(ids)[:depth].tolist()) for _ in asked])
add("BM25", lambda asked: results(*bm25.search(asked, depth)))
add("dense", lambda asked: results(*top_k(unit(asked), vectors, depth, dot_score)))
add("pieces", lambda asked: [{hit.document: hit.score for hit in hits} for hits in search_passages(unit(asked), piece_vectors, passages, depth)])
# %% tags=["nbval-check-output"]
ahead = {}
for kind in every_kind:
    print(f"{kind} queries ({(kinds == kind).sum()}):")
    ahead[kind] = [difference(*names, kinds == kind) for names in (("dense", "BM25"), ("pieces", "BM25"))]
gain = difference("pieces", "dense")
assert not default or ahead["shared"][0][2] < 0 < ahead["shared"][1][1] and ahead["other"][0][1] > 10 and gain[1] > 0

# %% [markdown]
# In other words BM25 finds accidents, hardly more than any order. With shared words it beats one vector a page, and pieces beat both.
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
# The maximum may come before the logarithm, because the logarithm never falls.
#
# `course/splade-mini` was taught by BM25's scores, by the weights that BM25 gives a text's own words, and by the cosines of all-MiniLM-L6-v2. So it has to resemble BM25: look at what it _adds_.

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
print("of the pages: {active_dims:.0f} terms a page, {sparsity_ratio:.2%} of the weights are 0".format(**sparsity(pages)))
assert not default or 20 < sparsity(pages)["active_dims"] < 200 and {"dogs", "kids"} <= set(added)

# %% [markdown]
# "In", "the" and "and" are gone. It adds little: "dogs" is sensible, "kids" for kittens is not.
#
# ## The inverted index
#
# **Question.** Is a vector of 12,000 numbers not slower to search than one of 256?
#
# Only if you multiply its zeros. An *inverted index* keeps, for each term, its *postings*: the documents that hold it, with their weights. A query adds up the lists of its own terms; zeros are never touched.
#
# **Predict:** which part of the multiplications is left: a tenth, a hundredth, a thousandth, or less?

# %% tags=["row-2.20", "nbval-check-output"]
from course_lib.retrieval.inverted_index import InvertedIndex

first_query = sparse.encode_query(asked[:1])                            # sparse (1, vocabulary)
postings = {}                                                           # term: [(page, weight), ...]
for row, (begin, end) in enumerate(zip(pages.indptr, pages.indptr[1:])):
    for term, weight in zip(pages.indices[begin:end], pages.data[begin:end]):
        postings.setdefault(int(term), []).append((row, weight))
by_hand, products = np.zeros(len(texts)), 0
for term, weight in zip(first_query.indices, first_query.data):
    for row, of_page in postings.get(int(term), []):
        by_hand[row] += weight * of_page
        products += 1

index = InvertedIndex(pages)
assert np.allclose(by_hand, (first_query @ pages.T).toarray()[0], atol=1e-3)
assert np.allclose(index.search(first_query, 10)[0][0], -np.sort(-by_hand)[:10], atol=1e-3)
every = math.prod(pages.shape)
print(f"{products:,} products instead of {every:,}, one of {every // products:,}; dense vectors need {vectors.size:,}")
add("sparse", lambda asked: results(*index.search(sparse.encode_query(asked, show_progress_bar=False), depth)))
against_words = difference("sparse", "BM25")
assert products < every / 200 and (not default or against_words[2] < 0)

# %% [markdown]
# So sparse vectors are cheap to _search_. They are not cheap to _make_: the table below has the whole time of a query. On these pages, of which it reads 512 tokens, this small model does not reach the BM25 that taught it.
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
# With $k = 60$ it does, with $k = 0$ the two are equal: the larger $k$, the more it counts to be found twice, and the less to be first.
#
# ### A trap: adding raw scores
#
# Cosines end at 1. BM25 has no upper end. So scores must be brought to one scale first: *min-max normalisation* gives each list's highest score 1 and its lowest 0. The library's `weighted_fusion` does that for each query; a document that a list lacks gets 0.
#
# **Predict:** add the scores as they are. Whose ranking comes out? And which of the other fusions is better than the vectors alone?

# %% tags=["row-AT4", "row-2.21", "nbval-check-output"]
from collections import Counter

def raw_sum(parts):
    total = Counter()
    for scores in parts:
        total.update(scores)                                 # adds up
    return dict(total.most_common())

def rrf(parts):
    return reciprocal_rank_fusion(parts, rrf_k)

def fusion(names, how):                                      # a search that fuses what the named searches find
    return lambda asked: [how(parts) for parts in zip(*(search[name](asked) for name in names))]

add("raw sum", fusion(["BM25", "dense"], raw_sum))
first_ten = {name: np.mean([len({*list(found["raw sum"][q])[:10]} & {*list(found[name][q])[:10]}) for q in queries]) for name in ("BM25", "dense")}
print("   of its first ten, also among the first ten of", {name: round(float(n), 1) for name, n in first_ten.items()})
for partner in ("dense", "pieces", "sparse"):
    add(f"RRF: BM25 + {partner}", fusion(["BM25", partner], rrf))
    add(f"sum: BM25 + {partner}", fusion(["BM25", partner], weighted_fusion))
effect = {(name, partner): difference(f"{name} + {partner}", partner) for partner in ("dense", "pieces") for name in ("RRF: BM25", "sum: BM25")}
sum_or_ranks = difference("sum: BM25 + dense", "RRF: BM25 + dense")
assert first_ten["BM25"] > first_ten["dense"] + 1 and (not default or sum_or_ranks[1] > 0 > max(effect["RRF: BM25", "pieces"][2], effect["sum: BM25", "pieces"][2]))

# %% [markdown]
# The raw sum is BM25 with a whisper of meaning. Of the others none is better than pieces alone, with the usual settings. RRF gives BM25's list the same say on every query, also where that list holds accidents. A sum keeps the gaps between pages, and is better than RRF.
#
# ### Which $k$, which weight?
#
# **Question.** The usual settings are $k = 60$ and equal weights. Are they good ones here, and may you choose better ones?
#
# Sweep both. **Predict** whether BM25 should have more weight than the vectors, or less.

# %% tags=["row-2.21"] alt="Two panels of nDCG at 10, for BM25 fused with dense vectors, with pieces and with sparse vectors. Left, against the k of reciprocal rank fusion: all three curves fall or stay level as k grows. Right, against the weight of BM25 in a sum: all three meet at weight 1; that of dense vectors rises to a peak left of the middle; that of pieces begins highest and falls from the start; that of sparse vectors rises slowly."
weights, constants = [round(0.1 * tenth, 1) for tenth in range(11)], (0, 1, 3, 10, 30, 60, 100, 300)
def fused_with(partner, how):
    return each_query({q: how([found["BM25"][q], found[partner][q]]) for q in queries}, relevant)      # (queries,)

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
swept = {}
for partner in ("dense", "pieces", "sparse"):
    swept["RRF", partner] = {k: fused_with(partner, lambda parts: reciprocal_rank_fusion(parts, k)) for k in constants}
    swept["sum", partner] = {w: fused_with(partner, lambda parts: weighted_fusion(parts, [w, 1 - w])) for w in weights}
    for ax, kind in ((left, "RRF"), (right, "sum")):
        curve(list(swept[kind, partner]), [values.mean() for values in swept[kind, partner].values()], f"BM25 and {partner}", ax)
left.axvline(60, color="gray", linestyle=":")
right.axvline(0.5, color="gray", linestyle=":")
left.set(xscale="symlog", xlim=(-0.3, 400), xticks=constants, xticklabels=constants, xlabel="k of reciprocal rank fusion; dotted: 60", ylabel="nDCG@10")
right.set(xlabel="weight of BM25, the rest for the partner; dotted: equal")
left.get_legend().remove()
figure.suptitle("BM25 helps one vector a page, and has nothing to add to pieces", fontsize="medium")
plt.show()

# %% [markdown]
# One vector a page gains by a little BM25, and less by as much again. Pieces gain by none: the best of their curve is at its left end, above everything that whole pages reach. Most of what BM25 could mend was what the one vector had not read.
#
# But the best point of a curve is chosen after looking, so it flatters. Choose on one half of the queries and report on the other, for several splits. **Predict** how much of the advantage is left.

# %% tags=["row-2.21", "nbval-check-output"]
def held_out(by_setting, splits=10):
    """{setting: (queries,)} -> (queries,): each query with the setting that is best for halves without it; and these settings."""
    values, names, chosen = np.stack(list(by_setting.values())), list(by_setting), Counter()           # (settings, queries)
    total, generator = np.zeros(len(queries)), np.random.default_rng(seed)
    for _ in range(splits):
        order = generator.permutation(len(queries))
        for choosing, judged in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            best = values[:, choosing].mean(axis=1).argmax()
            total[judged] += values[best, judged]
            chosen[names[best]] += 1
    return total / splits, chosen

usual, gains = {"RRF": min(constants, key=lambda k: abs(k - rrf_k)), "sum": 0.5}, {}
for (kind, partner), by_setting in swept.items():
    honest, chosen = held_out(by_setting)
    gains[kind, partner] = [100 * value for value in paired_bootstrap(honest, by_setting[usual[kind]], seed=seed)]
    best = max(by_setting.values(), key=np.mean)
    print(f"{kind} of BM25 and {partner:<6} usual {by_setting[usual[kind]].mean():.3f}   best of all {best.mean():.3f}   chosen on the other half {honest.mean():.3f}, "
          "that is {:+.1f}, interval {:+.1f} to {:+.1f}".format(*gains[kind, partner]), f"  chosen: {chosen.most_common(2)}")
assert not default or gains["RRF", "dense"][1] > 0 and np.mean(swept["sum", "pieces"][0.0]) > max(np.mean(v) for v in swept["sum", "dense"].values())

# %% [markdown]
# What is left is less than the best points promise. For RRF with one vector a page it is far from chance: $k = 60$ is no law, and on these 300 pages a $k$ near 1 does better. For a sum with pieces most halves choose a weight of 0 or 0.1: hardly any BM25.
#
# ## Rerank
#
# **Question.** Would a model that reads query and page together order the first few better?
#
# *Reranking* gives the first candidates of a fast search to a cross-encoder. It costs a pass through BERT for each pair, and cannot find what is not among the candidates.
#
# `course/cross-encoder-mini` learnt which of four paragraphs a sentence was taken from, then how alike two sentences are. It saw no questions with answers. It would not read a long page to its end, so it gets the page's piece that is nearest to the query.
#
# Two orders of the same candidates say what its order is worth: any order, and the best one. **Predict** where the cross-encoder comes between them, and on which side of the order before.

# %% tags=["row-2.14"]
from course_lib.models.cross_encoder import CrossEncoder

scorer, text_of, first = CrossEncoder.load(reranker, dtype="float32"), dict(zip(passages, read)), "pieces"

def best_pieces(asked):                                      # for each query {page: its piece that is nearest}
    return [{hit.document: text_of[hit.passage] for hit in hits} for hits in search_passages(unit(asked), piece_vectors, passages, len(ids))]

def reranked(asked):
    """The first candidates of a search by the cross-encoder's score, then the others."""
    rankings = [list(scores) for scores in search[first](asked)]
    pairs = [(query, texts[page]) for query, ranking, texts in zip(asked, rankings, best_pieces(asked)) for page in ranking[:candidates]]
    scores = iter(scorer.predict(pairs, show_progress_bar=False).tolist())             # (pairs,)
    read = [{page: next(scores) for page in ranking[:candidates]} for ranking in rankings]
    return [dict.fromkeys(sorted(own, key=own.get, reverse=True) + ranking[candidates:]) for own, ranking in zip(read, rankings)]

def reorder(key):                                            # key: of a query and a page; the highest comes first
    return [dict.fromkeys(sorted(list(found[first][q])[:candidates], key=lambda page: -key(q, page))) for q in queries]

add(f"{candidates} reranked", reranked)
ndcg["any order of these"] = each_query(dict(zip(queries, reorder(lambda q, page: draw.random()))), relevant)
ndcg["best order of these"] = each_query(dict(zip(queries, reorder(lambda q, page: relevant[q].get(page, 0)))), relevant)
beside = [difference(f"{candidates} reranked", name) for name in (first, "any order of these", "best order of these")]
assert not default or candidates != 10 or beside[0][2] < 0 < beside[1][1]

# %% [markdown]
# Its order is far above any order, so it has learnt to search. The order before was better still: the whole interval lies below 0. The best order says that there was room.
#
# Is it the model, or the search before it? `recipes/reranking.py` has **recorded** other first searches, from bad to good: pieces by the word vectors of glove-mini, BM25, one vector a page, pieces; with 10, 50 and 100 candidates.
#
# **Predict** which of them the cross-encoder improves, and whether more candidates help.

# %% tags=["row-2.14"] alt="Four curves of nDCG at 10 against the candidates reranked: before, 10, 50 and 100. Pieces by word vectors begin near 10 and climb steeply. BM25 begins near 42 and sinks slowly. One vector a page begins at 50 and pieces at 56, and both fall. With 100 candidates all four lie close together, between 34 and 38."
import runpy
from course_lib.data import load_results

if full:                                                     # needs COURSE_DATA, and half an hour
    for recipe in ("hybrid", "reranking"):
        sys.argv = [recipe]
        runpy.run_module(f"recipes.{recipe}", run_name="__main__")

rows = load_results("14").query("experiment == 'reranking' and data == 'course/help'")
rows = rows.assign(model=rows.model.str.replace("course/", ""))
ax = None
for name, of_name in rows.groupby("model", sort=False):
    values = of_name.set_index(["setting", "n", "metric"]).value
    numbers = sorted({n for setting, n, _ in values.index if setting == "best piece"})
    ax = curve(range(1 + len(numbers)), [values["before", 0, "ndcg@10"]] + [values["best piece", n, "ndcg@10"] for n in numbers], name, ax)
    print(f"{name:<22} before {values['before', 0, 'ndcg@10']:.1f}, any order of {numbers[0]:.0f} {values['any order', numbers[0], 'ndcg@10']:.1f}, best order {values['best order', numbers[0], 'ndcg@10']:.1f}")
    for setting, n in [("best piece", n) for n in numbers] + [("best piece, sum", numbers[0]), ("whole text", numbers[0])]:
        print(f"   {n:>3.0f} reranked, {setting:<16} {values[setting, n, 'ndcg@10']:.1f}, {values[setting, n, 'difference']:+.1f}, interval {values[setting, n, 'low']:+.1f} to {values[setting, n, 'high']:+.1f}")
ax.set(xticks=range(1 + len(numbers)), xticklabels=["before", *(f"{n:.0f}" for n in numbers)], ylim=0, xlabel="candidates reranked", ylabel="nDCG@10 x 100",
       title="A reranker helps the search that is worse than itself")
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), title="first search")
plt.show()
lift = rows[rows.setting == "best piece"].pivot_table("value", ["model", "n"], "metric")
assert lift.low["pieces of glove-mini"].min() > 0 and lift.high["pieces of sbert-mini"].max() < 0
assert not default or candidates != 10 or abs(100 * ndcg["10 reranked"].mean() - lift["ndcg@10"]["pieces of sbert-mini", 10]) < 0.5

# %% [markdown]
# A bad search gets several times better, and more so with more candidates. BM25 stays as it was, then loses; the better the order before, the more is lost. With 100 candidates all four are near one level: the cross-encoder's own. Cut-off whole texts are worse for it than best pieces, but with pieces it loses, too. What it lacks is the lesson: it never saw answers to questions. Added to the first search's score, it does less harm.
#
# Full-size rerankers were trained on questions with passages. Published for one of them, with BM25's first 100 on SciFact: 68.8 after 66.5 before (Thakur et al. 2021).
#
# ## One table
#
# **Question.** What does which search cost, and what does it find?
#
# "Alone" is the latency, one query at a time; "together" is the time for each of ten queries in one call, the inverse of the throughput (notebook 13).

# %% tags=["row-2.20", "row-2.21"]
def milliseconds(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return 1000 * (time.perf_counter() - begin)

size = {"BM25": bm25.index.nbytes, "dense": vectors.nbytes, "pieces": piece_vectors.nbytes, "sparse": index.nbytes}
makes = {"BM25": lambda: BM25(texts), "dense": lambda: unit(texts[:30]), "pieces": lambda: unit(read[-30:]),
         "sparse": lambda: sparse.encode_document(texts[:30], show_progress_bar=False)}
share = {"BM25": 1, "dense": len(texts) / 30, "pieces": len(read) / 30, "sparse": len(texts) / 30}
table = ["BM25", "dense", "pieces", "sparse", "RRF: BM25 + pieces", "sum: BM25 + pieces", f"{candidates} reranked"]
made = {name: share[name] * milliseconds(make) / 1000 for name, make in makes.items()}
alone, together = {}, {}
print(f"{'':<24} nDCG@10  recall@50  alone, ms  together, ms  index, bytes  to make it, s")
for name in table:
    search[name](asked[:1])                                  # warm up
    alone[name] = np.median([milliseconds(search[name], [query]) for query in asked[:10]])
    together[name] = milliseconds(search[name], asked[:10]) / 10
    parts = [name] if name in size else ["BM25", "pieces"] if "BM25" in name else ["pieces"]
    recall = ranking_metrics(found[name], relevant, {"recall": [50]})["recall@50"]
    seconds = sum(made[part] for part in parts)
    print(f"{name:<24} {ndcg[name].mean():7.3f}  {recall:9.2f}  {alone[name]:9.2f}  {together[name]:12.2f}  {sum(size[p] for p in parts):12,}  {seconds:13.2f}")
assert not default or alone["BM25"] < alone["dense"] < alone[f"{candidates} reranked"] / 3

# %% [markdown]
# Alone, a dense query costs many times what BM25 does, and nearly all of that is encoding. The sparse model is dearer, because of its head of 12,000 terms. A cross-encoder reads ten texts where the others read one query. The sparse index is no smaller than dense vectors: each weight takes four bytes, and four more for the number of its page.
#
# ## When does which win?
#
# **Predict** which system is best for each kind of query.

# %% tags=["row-2.21"] alt="Horizontal bars of nDCG at 10 for seven systems, two bars each. For queries in other words, hatched, the bars of BM25 and of the sparse model are near zero, dense vectors have the longest, pieces a shorter one, and the fused systems lie below them. For queries that share words, pieces and their fusions with BM25 have the longest bars."
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for shift, kind, hatch, colour in zip((-0.2, 0.2), sorted(set(kinds)), ("xx", ""), PALETTE):
    values = [ndcg[name][kinds == kind].mean() for name in table]
    drawn = ax.barh(np.arange(len(table)) + shift, values, 0.4, label=f"{kind} ({(kinds == kind).sum()} queries)", hatch=hatch, color=colour)
    ax.bar_label(drawn, fmt="%.2f", fontsize=8, padding=2)
ax.set_yticks(range(len(table)), table)
ax.invert_yaxis()
ax.margins(x=0.1)
ax.set(xlabel="nDCG@10", title="Fusion with BM25 costs the queries in other words")
ax.legend(title="words of the answer", fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
plt.show()
by_kind = {}
for kind in every_kind:
    print(kind, end="   ")
    by_kind[kind] = difference("sum: BM25 + pieces", "pieces", kinds == kind)
assert not default or by_kind["other"][2] < 0 and by_kind["shared"][1] < 0 < by_kind["shared"][2]

# %% [markdown]
# With shared words the sum is the longest bar, but its gain over pieces cannot be told from chance. In other words it loses much: BM25's accidents push out what pieces had found. Which kind is yours depends on who asks.
#
# Single queries say why. Below are those that BM25 wins most clearly, and what pieces make of them. Then a test: each _name or number_ that one page alone has, among its first 150 words, is a query, and that page should come first. BM25 finds it by construction. **Predict** how often the vectors do.

# %% tags=["nbval-check-output"]
import re

behind = np.argsort(-(ndcg["BM25"] - ndcg["dense"]).round(6), kind="stable")[:4]
for row in behind:
    values = ", ".join(f"{name} {ndcg[name][row]:.2f}" for name in ("BM25", "dense", "pieces", "sum: BM25 + pieces"))
    answers = [i for i in relevant[list(queries)[row]] if i in long]
    print(f"{values}; {'a long page' if answers else 'no long page'} answers: {asked[row][:80]}")

by_word = bm25.vectors.tocsc()                               # column by column: the pages of each word
once = {word: ids[by_word.indices[by_word.indptr[i]]] for word, i in bm25.vocabulary.items() if by_word.indptr[i + 1] - by_word.indptr[i] == 1}
start_of = {i: set(re.findall(r"\w+", text.lower())[:150]) for i, text in corpus.items()}
capital = {name.lower() for text in texts for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)}
hits = {}
for what, chosen in {"numbers": [w for w in once if w.isdigit()], "names": [w for w in once if w in capital]}.items():
    chosen = [word for word in chosen if word in start_of[once[word]]]
    for name in ("BM25", "dense", "pieces", "sparse", "sum: BM25 + pieces") if chosen else ():
        hits[what, name] = np.mean([next(iter(scores), None) == once[word] for word, scores in zip(chosen, search[name](chosen))])
    print(f"{len(chosen)} {what}, page found first:", {name: round(float(share), 2) for (kind, name), share in hits.items() if kind == what})
assert not default or all(hits[what, "BM25"] == 1 and hits[what, "sparse"] > hits[what, "dense"] + 0.2 for what in ("numbers", "names"))

# %% [markdown]
# All four queries are answered by a long page, and pieces find most of what the one vector missed. But a name or number dissolves in a vector, of a page or of a piece. There the sparse encoder finds nearly all, because it keeps the pieces of a word, and the sum finds all. **That is what BM25 is for.**
#
# ## Recorded: a public test set
#
# SciFact asks which of 5,183 abstracts speak to each of 300 claims. `recipes/hybrid.py` has **recorded** the systems there. "Chosen" are the settings that are best for SciFact's 809 _other_ claims. BM25's published nDCG@10 is 66.5 (times 100, as below).
#
# **Predict** which systems are better than BM25 there, by more than chance.

# %% tags=["row-2.21"] alt="Two panels for SciFact. Left, intervals of the difference from BM25: sbert-mini, its pieces and bert-mini as a sparse encoder lie far to the left of the dashed line at zero; all-MiniLM-L6-v2 and splade-mini cross it. The sums with pieces of sbert-mini cross it too, its reciprocal rank fusion lies left of it. All fusions with all-MiniLM-L6-v2 and the sums with splade-mini lie to the right. Right, against the weight of BM25 in a sum: the curve of all-MiniLM-L6-v2 is an arch with its peak in the middle, that of pieces of sbert-mini climbs steeply to a flat top at high weights, that of splade-mini is nearly flat."
recorded = load_results("14").query("data == 'scifact'")
recorded = recorded.assign(model=recorded.model.str.replace("(course|sentence-transformers)/", "", regex=True))
scifact = recorded[recorded.experiment == "scifact"].pivot_table("value", "model", "metric", sort=False)
partners = ["pieces of sbert-mini", "splade-mini", "all-MiniLM-L6-v2"]
names = ["sbert-mini", "pieces of sbert-mini", "all-MiniLM-L6-v2", "bert-mini as a sparse encoder", "splade-mini"]
names += [f"{kind} of BM25, {partner}" for partner in partners for kind in ("RRF", "sum", "chosen sum")]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained", width_ratios=(3, 2))
for y, (name, of) in enumerate(scifact.loc[names].iterrows()):
    left.plot([of.low, of.high], [y, y], color=PALETTE[int(y >= 5)], linewidth=2)
    left.plot(of.difference, y, MARKERS[int(y >= 5)], color=PALETTE[int(y >= 5)])
left.axvline(0, color="black", linestyle="--", linewidth=1)
left.set(yticks=range(len(names)), yticklabels=[f"{name}  {scifact['ndcg@10'][name]:.1f}" for name in names], ylim=(len(names) - 0.5, -0.5),
         xlabel=f"points above BM25 ({scifact['ndcg@10']['BM25']:.1f})")
for partner in partners:
    line = recorded[(recorded.experiment == "weights") & (recorded.model == f"sum of BM25, {partner}") & (recorded.metric == "ndcg@10")]
    curve(line.setting.str.removeprefix("BM25 ").astype(float), line.value, partner, right)
right.set(xlabel="weight of BM25 in the sum", ylabel="nDCG@10 x 100")
figure.suptitle("A partner that is about as good as BM25 improves it, a weak one does not", fontsize="medium")
plt.show()
print(scifact.loc[["BM25", *names[:5]], ["recall@100", "milliseconds alone", "milliseconds", "milliseconds a document", "bytes"]].round(2).to_string())
of_reading = recorded[(recorded.experiment == "reranking") & recorded.setting.isin(["any order", "best order", "best piece", "best piece, sum"])]
print(of_reading.pivot_table("value", ["setting", "n"], "metric")[["ndcg@10", "difference", "low", "high"]].round(1).to_string())
assert of_reading[(of_reading.setting == 'best piece') & (of_reading.metric == 'high')].value.max() < 0
assert all(scifact['ndcg@10'][f"sum of BM25, {p}"] > scifact['ndcg@10'][f"RRF of BM25, {p}"] for p in partners)
assert abs(scifact["ndcg@10"]["BM25"] - 66.5) < 1 and scifact.high["sbert-mini"] < 0 < scifact.low["chosen sum of BM25, all-MiniLM-L6-v2"]

# %% [markdown]
# Science is far from what sbert-mini was trained on. Pieces help it, and it stays far behind BM25. RRF cannot know that one of its lists is bad, and loses; a weight that was chosen on other claims gives BM25 the say, and the sum is as good as BM25. all-MiniLM-L6-v2 and BM25 cannot be told apart, err on different claims, and together are better than either. splade-mini, no better than BM25 on its own, adds a little to it. Reranking BM25's order loses here, too.
#
# ## In practice
#
# The same in sentence-transformers, asserted equal.

# %% tags=["row-2.15", "nbval-check-output"]
import transformers
from course_lib.retrieval.reranking import rerank
from course_lib.support.folders import resolve
from sentence_transformers import CrossEncoder as LibraryCrossEncoder, SparseEncoder as LibrarySparseEncoder

transformers.utils.logging.disable_progress_bar()
quiet = dict(show_progress_bar=False)
library = LibrarySparseEncoder(str(resolve(sparse_model)), device="cpu")
theirs, asking = library.encode_document(texts[:8], **quiet), library.encode_query(asked[:8], **quiet)     # torch.sparse (8, vocabulary)
assert np.allclose(theirs.to_dense(), pages[:8].toarray(), atol=1e-4)
assert np.allclose(library.similarity(asking, theirs), (sparse.encode_query(asked[:8], **quiet) @ pages[:8].T).toarray(), atol=1e-3)
assert [term for term, _ in library.decode(theirs[0], top_k=5)] == [term for term, _ in sparse.decode(pages[[0]], 5)[0]]
assert np.isclose(library.sparsity(theirs)["active_dims"], sparsity(pages[:8])["active_dims"])

reader = LibraryCrossEncoder(str(resolve(reranker)), device="cpu")
few = {query: list(found[first][query])[:5] for query in list(queries)[:3]}
by_rerank = rerank(scorer, queries, corpus, few, **quiet)              # whole pages: cut at the same token in both
for query, documents in few.items():
    ranked = reader.rank(queries[query], [corpus[document] for document in documents], **quiet)
    assert [documents[hit["corpus_id"]] for hit in ranked] == by_rerank[query]
    assert np.allclose([hit["score"] for hit in ranked], [hit["score"] for hit in scorer.rank(queries[query], [corpus[d] for d in documents], **quiet)], atol=1e-4)
print("equal: SparseEncoder.encode_document, encode_query, similarity, decode, sparsity; CrossEncoder.rank")

# %% [markdown]
# **What to use.**
#
# - Names, numbers, codes, words of the trade: BM25 or a sparse encoder must be in it.
# - Users' own words: a dense encoder, on pieces.
# - Both, or you do not know: both, fused. A sum of normalised scores was better than RRF with $k = 60$ for every partner here (Bruch et al. 2022 found the same). RRF is for lists without comparable scores. With a hundred labelled queries choose the weight, and judge it on others.
# - A reranker, if it was trained on questions with passages and somebody can wait for it. It pays where its own order is better than the one it gets; measure with 10 candidates, then with more.
#
# Large collections need an index: for sparse vectors the inverted one, in which engines skip documents that cannot reach the first places; for dense ones an approximate index such as HNSW or IVF. Elasticsearch, OpenSearch, Vespa, Weaviate, Qdrant, Milvus and LanceDB search by words and by vectors and fuse both. `sentence_transformers.sparse_encoder.search_engines` searches sparse vectors in four engines. BM25 is in `bm25s`, not in sentence-transformers.
#
# **What it costs.** Two indexes to keep in step, and a cross-encoder's pass for each candidate while somebody waits.
#
# **What to watch.** Raw scores added; settings reported on the queries that chose them; a reranker never compared with the order before it; what each model reads of a long text.
#
# ## With full-size models
#
# `sparse_model="prithivida/Splade_PP_en_v1"` (440 MB) is a full-size SPLADE, trained on questions with passages; so was `reranker="cross-encoder/ms-marco-MiniLM-L6-v2"` (90 MB). `model="sentence-transformers/all-MiniLM-L6-v2"` has 90 MB, too. `dataset="scifact"` needs the set in `COURSE_DATA`.
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
# **14.3** Choose a setting honestly.

# %% tags=["exercise", "nbval-check-output"]
def choose_and_report(values, chooses):
    """values: (settings, queries), nDCG; chooses: (queries,) of bool, the queries that may choose.
    -> (number of the setting with the best mean over these, its mean over the other queries)."""
    ...

check("14.3", choose_and_report)

# %% [markdown]
# ## Questions
#
# **1.** A query is a part number, "BX-2041". Which search would you not trust alone?
#
# <details><summary>Answer</summary>The dense one: it has to squeeze a string that it never saw into its vector, while BM25 gives it a high IDF. A sparse model stands between: it cuts the number into pieces.</details>
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
# - A learned sparse vector is a text in weighted words, its own and added ones: cheap to search, dear to make.
# - Fusion by ranks listens to every list alike; by scores it keeps how far a document is ahead of the next.
# - Choose a fusion's setting on queries that you do not report on.
# - A reranker pulls every search towards its own quality: it helps those that are worse. Measure it beside the order that you had.
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
# **Next:** [15_duplicates_and_clusters](15_duplicates_and_clusters.ipynb) finds duplicates and clusters in the same vectors.
