# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/13_semantic_search.ipynb)
#
# # Can you search by meaning instead of by words?
#
# You search help pages for what people mean, measure how often it works, and meet four ways in which it fails without a word (raw dot products, truncation, prompts, two models' vectors).
#
# | | |
# |---|---|
# | You will be able to | compute recall, MRR and nDCG by hand; search a collection exactly and measure it; find and cure silent truncation; tell when vectors can be compared, and make them smaller |
# | You need first | notebook 05: pooling, cosine; notebook 08: encoding with a library |
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
# `model` is the encoder, `other_model` a second one with vectors of its own. `dataset` is a collection with queries and labelled answers; `overlap` is how many tokens neighbouring pieces of a long text share.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
other_model = "course/bert-mini"
dataset = "course/help"
overlap = 30

# %% tags=["nbval-check-output"]
import copy
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import normalize

from course_lib.data import load_pairs, load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.plotting import MARKERS, PALETTE, bars, curve

plt.rcParams["figure.dpi"] = 80
bundled = (model, other_model, dataset) == ("course/sbert-mini", "course/bert-mini", "course/help")
queries, corpus, relevant = load_retrieval(dataset)          # {id: text}, {id: text}, {query: {article: grade}}
ids, texts, asked = list(corpus), list(corpus.values()), list(queries.values())
kinds = load_fields(dataset, "queries", "words") or dict.fromkeys(queries, "all")
titles = load_fields(dataset, "corpus", "title")
encoder = SentenceEncoder.load(model, dtype="float32")
print(len(corpus), "articles,", len(queries), "queries,", sum(map(len, relevant.values())), "labelled answers")

# %% [markdown]
# The bundled collection is the help pages of an invented town. A grade of 2 means that the article answers the query, 1 that it helps in part. Some queries share no words with their answers: "my handbag was pinched and now I cannot take out novels" is answered by a page about lost library cards.
#
# ## How good is a ranking?
#
# **Question.** A search gives articles in an order. Which numbers say how good it is? Three are usual, each for the first $k$ places:
#
# - *Recall@k*: the share of the right articles that are among the first $k$.
# - *MRR@k*, mean reciprocal rank: 1 / the rank of the first right article, 0 if there is none, averaged over queries.
# - *nDCG@k*, normalised discounted cumulative gain: each article adds its grade, divided by $\log_2(1 + \text{rank})$; the sum is divided by that of the best possible order.
#
# **Predict** all three for the toy ranking below, with $k = 4$: the better article stands at rank 4, a lesser one at rank 2, and a third is missing.

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
# Two of three are found, the first at rank 2; nDCG is $(1/\log_2 3 + 2/\log_2 5) / (2 + 1/\log_2 3 + 1/2)$. From here on `ranking_metrics` computes their means over the queries.
#
# ## Keywords or meaning?
#
# *Semantic search* encodes all texts once, encodes the query when it comes, and returns the nearest texts. A *keyword search* counts the words that query and text share; here with TF-IDF weights, which make rare words count more (BM25, its successor, comes in notebook 14).
#
# **Predict** nDCG@10 of both, for queries that share words with their answers, and for those that do not. (For this model `encode_query` and `encode_document` are plain `encode`.)

# %% tags=["row-2.1", "row-2.7"] alt="Two bar charts of nDCG at 10, for queries that share words with their answers and for queries that do not. Keyword search is ahead of meaning in the first, 0.76 to 0.66, and close to zero in the second, where meaning keeps about half of its score."
from sklearn.feature_extraction.text import TfidfVectorizer

from course_lib.retrieval.search import top_k

def evaluate(rows, chosen=lambda query: True):
    rankings = {query: [ids[row] for row in found] for query, found in zip(queries, rows) if chosen(query)}
    return ranking_metrics(rankings, relevant, {"recall": [10], "mrr": [10], "ndcg": [10]})

words = TfidfVectorizer(sublinear_tf=True).fit(texts)
common = (words.transform(asked) @ words.transform(texts).T).toarray()                # (queries, articles)
by_words = (-common).argsort(axis=1, kind="stable")[:, :10]                           # (queries, 10)
vectors = torch.from_numpy(encoder.encode_document(texts, show_progress_bar=False))   # (articles, dim)
query_vectors = torch.from_numpy(encoder.encode_query(asked, show_progress_bar=False))  # (queries, dim)
by_meaning = top_k(query_vectors, vectors, 10)[1].tolist()                            # (queries, 10)

heading_of = {"shared": "Queries that share words with their answers", "other": "Queries in other words"}
figure, axes = plt.subplots(1, len(set(kinds.values())), figsize=(9, 1.8), layout="constrained", sharex=True, squeeze=False)
for ax, kind in zip(axes[0], sorted(set(kinds.values()), reverse=True)):
    rows = {"keywords": by_words, "meaning": by_meaning}
    scores = {name: evaluate(found, lambda query: kinds[query] == kind) for name, found in rows.items()}
    bars({name: score["ndcg@10"] for name, score in scores.items()}, f"{heading_of.get(kind, kind)} ({sum(kinds[q] == kind for q in queries)})", "nDCG@10", ax)
    print(f"words {kind}: " + "; ".join(f"{name} nDCG@10 {score['ndcg@10']:.3f}, recall@10 {score['recall@10']:.3f}" for name, score in scores.items()))
    assert not bundled or (scores["meaning"]["recall@10"] > 5 * scores["keywords"]["recall@10"]) == (kind == "other")
plt.show()

# %% [markdown]
# Where words are the same, counting beats this small encoder. Where they differ, counting finds one right article in twenty, and meaning half of them (recall@10). (With 150 queries, two or three points may be chance.) Real queries are of both kinds: notebook 14 combines the two.
#
# ## A trap: dot where cosine was meant
#
# The dot product is the cosine times the lengths of the two vectors. That of the query's vector changes no ranking; that of an article's vector does.
#
# **Predict.** For how many of the queries is another article first if you rank by the dot product of the vectors as they are?

# %% tags=["row-BP4"] alt="Scatter plot of articles: length of the vector against how often the dot product and the cosine put it among the first ten. The dot product's points rise to the right, towards longer vectors, the cosine's do not."
from course_lib.similarity import dot_score

raw = top_k(query_vectors, vectors, 10, dot_score)[1]
unit = top_k(query_vectors, normalize(vectors, dim=1), 10, dot_score)[1]
cosine = top_k(query_vectors, vectors, 10)[1]
for name, rows in [("dot of raw vectors", raw), ("dot of unit vectors", unit), ("cosine", cosine)]:
    print(f"{name:<20} nDCG@10 {evaluate(rows.tolist())['ndcg@10']:.3f}   first article differs from cosine's: {int((rows[:, 0] != cosine[:, 0]).sum())}")
assert torch.equal(unit, cosine)

lengths = vectors.norm(dim=1)                                                         # (articles,)
_, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for i, (name, rows) in enumerate([("dot of raw vectors", raw), ("cosine", cosine)]):
    often = torch.bincount(rows.flatten(), minlength=len(texts))                      # (articles,)
    ax.scatter(lengths, often, marker=MARKERS[i], facecolors="none", edgecolors=PALETTE[i], s=18, linewidths=0.8, label=f"{name}: correlation with length {np.corrcoef(lengths, often)[0, 1]:.2f}")
ax.set(xlabel="length of the article's vector", ylabel="times among the first 10")
ax.set_title("The raw dot product prefers long vectors", fontsize="medium")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# Long vectors come up too often. This model was trained with cosines, so its lengths were never meant to say anything. With *unit vectors*, which are divided by their length, the dot product _is_ the cosine: normalise once, when you store them. Models trained for the raw dot product say so in their folder (`similarity_fn_name`).
#
# ## What does the encoder not read?
#
# An encoder reads `max_seq_length` tokens. What comes after is cut off: *silent truncation*, for nothing tells you.
#
# **Predict.** Replace everything after the limit of a long article by nonsense. How far does its vector move? And how many of the articles are cut?

# %% tags=["row-CP4", "nbval-check-output"]
from course_lib.support.tokenization import tokenize

def count(texts):                                            # tokens of each text, nothing cut
    return [len(found) for found in tokenize(encoder[0].tokenizer, texts, None, special=False)[0]]

room, tokens_of = encoder.max_seq_length - 2, dict(zip(ids, count(texts)))            # beside [CLS] and [SEP]
long = max(texts, key=lambda text: len(text.split()))
start = " ".join(long.split()[: encoder.max_seq_length])     # as many words: at least as many tokens
changed = encoder.encode(start + " The rest is nonsense: purple, seventeen, wombat." * 50)
_, cut = encoder.encode(texts, return_truncated=True, show_progress_bar=False)
print(f"the encoder reads {encoder.max_seq_length} tokens; the longest article has {len(long.split())} words")
print("largest difference of the two vectors:", np.abs(changed - encoder.encode(long)).max())
lost = [n - room for n in tokens_of.values() if n > room]
print(f"{cut} of {len(texts)} articles are cut; half of them lose at most {np.median(lost):.0f} tokens, {sum(n > room for n in lost)} more than they keep")

assert np.array_equal(changed, encoder.encode(long)) and cut == len(lost) > 0

# %% [markdown]
# It does not move at all. Most articles lose a little, some lose most. `encode` tells you how many are cut if you ask with `return_truncated=True`.
#
# ### Pieces
#
# The cure is *chunking*: cut a long text into pieces that fit, encode each, and let the best piece speak for its text. Neighbours share an *overlap*, so that a short sentence on the border is whole in one of them. First pieces of five words, two of them shared.

# %% tags=["row-3.1", "nbval-check-output"]
from course_lib.retrieval.chunking import chunk, chunk_documents, search_passages

toy = "one two three four five six seven eight nine ten".split()
size, shared, pieces = 5, 2, []
for first in range(0, len(toy) - shared, size - shared):
    pieces.append(" ".join(toy[first : first + size]))
print(*pieces, sep="\n")

text = " ".join(toy)
assert [text[start:end] for start, end in chunk(text, encoder, max_tokens=size, overlap=shared)] == pieces

passages = chunk_documents(corpus, encoder, overlap=overlap)
assert all(corpus[p.document][p.start : p.end] == p.text for p in passages)
_, still_cut = encoder.encode([p.text for p in passages], return_truncated=True, show_progress_bar=False)
print(f"{len(texts)} articles, {len(passages)} pieces, {still_cut} of them cut")
assert still_cut == 0

# %% [markdown]
# `chunk` does so with tokens, prefers to end where a sentence ends, and gives character offsets: you can show the very passage.
#
# ### Does position matter?
#
# Take a sentence out of a long article and search for it. The article should come first. **Predict**: where does recall@1 break off without pieces? With pieces?

# %%
import re

probes = []                                                  # (article, tokens before the sentence, sentence)
for i in (i for i in ids if tokens_of[i] > 2 * room):
    ends = [0, *(m.end() for m in re.finditer(r"[.!?]\s+", corpus[i])), len(corpus[i])]
    sentences = [(a, corpus[i][a:b].strip()) for a, b in zip(ends, ends[1:]) if len(corpus[i][a:b].split()) >= 8]
    before = count([corpus[i][:a] for a, _ in sentences])
    probes += [(i, position, sentence) for position, (_, sentence) in zip(before, sentences)]
chosen = np.random.default_rng(seed).permutation(len(probes))[:600]
probes = [probes[j] for j in sorted(chosen)]

piece_vectors = torch.from_numpy(encoder.encode([p.text for p in passages], show_progress_bar=False))   # (pieces, dim)
probe_vectors = torch.from_numpy(encoder.encode([sentence for _, _, sentence in probes], show_progress_bar=False))
whole = [ids[row] == i for (i, _, _), row in zip(probes, top_k(probe_vectors, vectors, 1)[1][:, 0].tolist())]
by_piece = [hits[0].document == i for (i, _, _), hits in zip(probes, search_passages(probe_vectors, piece_vectors, passages, 1))]
bins = np.minimum([position // room for _, position, _ in probes], 6)                # (probes,) 0 to 6

# %% [markdown]
# Each probe is now in a bin: 0 if it begins within what the encoder reads, 1 within as much again, and so on; 6 is everything behind.

# %% tags=["row-CP2"] alt="Two curves of recall at 1 against the position of the sentence in its article. With one vector an article the curve starts high and falls as soon as the position exceeds what the encoder reads. With pieces it stays at about the height where the first one starts, at every position."
found = {name: [np.mean(np.array(hits)[bins == b]) for b in np.unique(bins)] for name, hits in [("one vector an article", whole), ("best piece", by_piece)]}
ax = None
for name, values in found.items():
    ax = curve([f"from {b * room}" for b in np.unique(bins)], values, name, ax)
ax.set(xlabel="tokens before the sentence", ylabel="recall@1", ylim=(0, 1.05))
ax.set_title("What the encoder has not read is hardly ever found", fontsize="medium")
before, after = found["one vector an article"][0], np.mean(np.array(whole)[bins > 0])
print(f"{len(probes)} sentences; one vector: recall@1 {before:.2f} within the limit, {after:.2f} after it; pieces: {np.mean(by_piece):.2f}")
assert not bundled or before > after + 0.2 and np.mean(np.array(by_piece)[bins > 0]) > after + 0.3
plt.show()

# %% [markdown]
# Behind the limit one vector finds next to nothing. Pieces find sentences about equally well wherever they stand, if not all of them: the vector of a sentence is not that of a piece of many sentences.
#
# That test was made for pieces. Now the labelled queries: those with an answer longer than twice the limit, and the others. A piece from the middle no longer says what its article is about; the third row puts the title before each but the first, which has it. **Predict** who wins where.

# %% tags=["row-3.1", "row-CP2"]
titled = chunk_documents(corpus, encoder, room - 26, overlap)                                          # leaves room for a title
with_title = [p.text if p.start == 0 else f"{titles.get(p.document, '')} {p.text}" for p in titled]
titled_vectors, cut = encoder.encode(with_title, return_truncated=True, show_progress_bar=False)       # (pieces, dim)
titled_vectors = torch.from_numpy(titled_vectors)

place = {i: row for row, i in enumerate(ids)}
hits = {"one vector an article": by_meaning}
for name, where, which in [("best piece", piece_vectors, passages), ("best piece, with title", titled_vectors, titled)]:
    hits[name] = [[place[hit.document] for hit in line] for line in search_passages(query_vectors, where, which, 10)]
has_long = {query: any(tokens_of[i] > 2 * room for i in relevant[query]) for query in queries}
table = {}
print(f"nDCG@10 of queries whose answers are   long ({sum(has_long.values())})   short ({len(queries) - sum(has_long.values())})   all")
for name, rows in hits.items():
    table[name] = [evaluate(rows, chosen)["ndcg@10"] for chosen in (lambda query: has_long[query], lambda query: not has_long[query], lambda query: True)]
    print(f"{name:<38} {table[name][0]:9.3f}   {table[name][1]:10.3f}   {table[name][2]:.3f}")
assert not bundled or cut == 0 and table["best piece, with title"][0] > table["one vector an article"][0] + 0.1
answers = [line[0].passage for line in search_passages(query_vectors, titled_vectors, titled, 1)]
right = [(q, p) for q, p in zip(queries, answers) if relevant[q].get(p.document)]
behind = [(q, p) for q, p in right if count([corpus[p.document][: p.start]])[0] >= room]              # nothing of it is in the one vector
for query, best in behind[:1]:
    print(f"\n{queries[query]!r}\n-> {titles.get(best.document)!r}, characters {best.start} to {best.end}:\n{best.text}")

# %% [markdown]
# Pieces help where answers are long, and more with their title. Where answers are short they cost. Two likely reasons: a long article now has many chances to come first, and short ones are cut in two. (Titled pieces are 26 tokens shorter, to leave room.) Measure on queries like yours.
#
# ## One encoder, or two?
#
# A query is short and asks; an article is long and answers. In *asymmetric search* they are treated differently. The mild form is a *prompt*: a few words put before the text, others for queries than for documents. `encode_query` and `encode_document` do that, where the model's folder names prompts. **Predict**: what does a prompt do to a model that was never trained with one?

# %% tags=["row-3.7", "nbval-check-output"]
prompted = SentenceEncoder(list(encoder), prompts={"query": "query: "}, dtype="float32")
assert np.array_equal(prompted.encode_query(asked[:3]), encoder.encode(["query: " + text for text in asked[:3]]))
assert np.array_equal(prompted.encode_document(texts[:3]), encoder.encode(texts[:3]))

same, other = encoder.encode_query(asked, show_progress_bar=False), prompted.encode_query(asked, show_progress_bar=False)
print("the model's own prompts:", encoder.prompts)
for name, these in [("without a prompt", same), ("'query: ' before each query", other)]:
    rows = top_k(torch.from_numpy(these), vectors, 10)[1].tolist()
    print(f"{name:<28} nDCG@10 {evaluate(rows)['ndcg@10']:.3f}")

# %% [markdown]
# Without training a prompt does not help. Use exactly the prompts that a model's card names.
#
# ### Vectors of two models
#
# The strong form is two encoders. Both must have been made for one space. **Predict**: encode the titles of the articles with `other_model`, and search for each among the same titles encoded with `model`. How often is it among the first ten of 300?
#
# And a repair. If two spaces differ only by a rotation, a matrix $W$ with $W^T W = I$ takes one to the other. The best one for paired sentences, in the rows of $A$ and $B$ (unit vectors, minus their mean), makes the squares of $A W - B$ smallest. It has a closed form, the *orthogonal Procrustes map*: $W = U V^T$, where $U S V^T$ is the singular value decomposition of $A^T B$. It is learned here on other, everyday sentences.

# %% tags=["row-CP3"] alt="Bar chart of recall at 10 when titles encoded by one model are searched among the same titles encoded by another: a bar for chance, one hardly longer for vectors as they are, and a far longer one after the orthogonal map."
everyday = [q.question for q in load_questions("course/questions")]
everyday += [text for pair in load_sts("course/sts") for text in (pair.sentence1, pair.sentence2)]
everyday = list(dict.fromkeys(everyday + [text for pair in load_pairs("course/pairs") for text in pair]))
headings = list(dict.fromkeys([title for title in titles.values() if title] or texts))[:300]
stranger = SentenceEncoder.load(other_model, dtype="float32")

def unit_vectors(encoder, texts):
    return normalize(torch.from_numpy(encoder.encode(texts, show_progress_bar=False)), dim=1)     # (texts, dim)

A, B = unit_vectors(stranger, everyday), unit_vectors(encoder, everyday)                          # (sentences, dim) each
U, _, Vh = torch.linalg.svd((A - A.mean(0)).T @ (B - B.mean(0)), full_matrices=False)
W = U @ Vh                                                                                        # (dim, dim)
theirs, ours = unit_vectors(stranger, headings), unit_vectors(encoder, headings)                  # (titles, dim) each

def recall_at_10(a, b):
    dim = min(a.shape[1], b.shape[1])                        # models of two sizes: what they have in common
    return (top_k(a[:, :dim], b[:, :dim], 10)[1] == torch.arange(len(a))[:, None]).any(1).float().mean().item()

mixed = {"chance": 10 / len(headings), "two models, as they are": recall_at_10(theirs, ours),
         "two models, mapped": recall_at_10((theirs - A.mean(0)) @ W + B.mean(0), ours)}
bars(mixed, f"A rotation learned on {len(everyday):,} other sentences", "recall@10 of the same title")
assert not bundled or mixed["two models, as they are"] < 5 * mixed["chance"] < mixed["two models, mapped"]
centred = A - A.mean(0), B - B.mean(0)
assert W.shape[0] != W.shape[1] or (centred[0] @ W - centred[1]).norm() < (centred[0] - centred[1]).norm()
plt.show()

# %% [markdown]
# As they are, comparing the vectors of two models is hardly better than chance: the same number of dimensions is all that they have in common, and no error tells you. After a change of model, encode everything anew, or at least map it. The map finds most titles; it should help that one of these models was trained from the other.
#
# ### Two towers
#
# A useful pair: the query is encoded while somebody waits, so its *tower* should be small; articles are encoded beforehand. Take the first layer of the encoder only, and let a linear map, by least squares on the same everyday sentences, take its vectors to those of the whole encoder. **Predict** what is left of nDCG@10, with the map and without.

# %% tags=["row-AT1"]
from course_lib.modules import Dense
from course_lib.models.surgery import keep_layers
from course_lib.models.two_towers import TwoTowers

small = copy.deepcopy(encoder)
keep_layers(small, [0])
x = torch.from_numpy(small.encode(everyday, show_progress_bar=False))                             # (sentences, dim)
x = torch.cat([x, torch.ones(len(x), 1)], dim=1)                                                  # (sentences, dim + 1): a bias
solution = torch.linalg.lstsq(x, torch.from_numpy(encoder.encode(everyday, show_progress_bar=False))).solution
linear_map = Dense(*solution[:-1].shape, activation_function=None)
linear_map.linear.weight.data, linear_map.linear.bias.data = solution[:-1].T.contiguous(), solution[-1].contiguous()
towers = TwoTowers(query=SentenceEncoder([*small, linear_map], dtype="float32").eval(), document=encoder)

ndcg = {}
for name, query_tower in [("the whole encoder", encoder), ("one layer", small), ("one layer and a map", towers)]:
    took = []
    for _ in range(4):                                       # the first warms up
        begin = time.perf_counter()
        these = torch.from_numpy(query_tower.encode_query(asked, show_progress_bar=False))
        took.append((time.perf_counter() - begin) / len(asked))
    ndcg[name] = evaluate(top_k(these, vectors, 10)[1].tolist())["ndcg@10"]
    print(f"queries by {name:<20} nDCG@10 {ndcg[name]:.3f}   {1000 * min(took):.2f} ms a query")
assert not bundled or ndcg["one layer"] + 0.15 < ndcg["one layer and a map"] < ndcg["the whole encoder"]

# %% [markdown]
# One layer alone lives in another space. The map brings it back, and most of the quality with it. Real pairs are trained together; sentence-transformers calls them a Router, and `TwoTowers.load` reads its folders.
#
# ## How small may a vector be?
#
# Vectors of 384 to 1,024 numbers are usual, no law. Two ways to make them smaller: keep the first numbers only (*truncated dimensions*), or keep fewer bits of each. *Quantisation* to int8 keeps 8 of 32 bits, *binary vectors* keep only the signs, compared by how many differ (the *Hamming distance*). Candidates found by codes (here 40) can then be put in order by the full vectors: *rescoring*. **Predict** which saves more for the same loss.

# %% tags=["row-3.6"]
from course_lib.retrieval.quantization import quantize, rescored_top_k, truncate, value_ranges
from course_lib.retrieval.search import hamming_sim

def search_codes(dim, precision, rescore_multiplier):
    short, short_queries = truncate(vectors, dim), truncate(query_vectors, dim)
    if precision == "float32":
        return top_k(short_queries, short, 10, dot_score)[1]
    ranges = value_ranges(short)
    codes = quantize(short, precision, ranges)               # (articles, dim), or (articles, dim / 8) bytes of bits
    if rescore_multiplier:
        return rescored_top_k(short_queries, codes, short, 10, ranges, rescore_multiplier)[1]
    if precision == "ubinary":
        return top_k(quantize(short_queries, precision), codes, 10, hamming_sim)[1]
    lowest, highest = torch.from_numpy(ranges)               # (dim,) each: a code is one of 256 steps between them
    return top_k(short_queries, lowest + (codes.float() + 128.5) * (highest - lowest) / 255, 10, dot_score)[1]

# %% tags=["row-3.6"] alt="Curves of nDCG at 10 against bytes of a vector on a logarithmic axis: truncated float32 vectors fall steadily, int8 vectors are the same curve at a quarter of the bytes, binary vectors need an eighth of int8's bytes and score lower at the same number of dimensions, and rescoring brings part of it back."
width, ax, curves = vectors.shape[1], None, {}
dims = [width // part for part in (16, 8, 4, 2, 1)]
for name, precision, multiplier, bits in [("float32", "float32", 0, 32), ("int8", "int8", 0, 8), ("binary", "ubinary", 0, 1),
                                          ("binary, rescored", "ubinary", 4, 1)]:
    curves[name] = [evaluate(search_codes(dim, precision, multiplier).tolist())["ndcg@10"] for dim in dims]
    ax = curve([dim * bits / 8 for dim in dims], curves[name], name, ax)
ax.set(xscale="log", xlabel="bytes a vector that are searched", ylabel="nDCG@10")
ax.set_title("Fewer bits cost less than fewer numbers", fontsize="medium")
print("numbers a vector ", *(f"{dim:>7}" for dim in dims))
for name, values in curves.items():
    print(f"{name:<17}", *(f"{value:7.3f}" for value in values))
assert curves["int8"][-1] > curves["float32"][-1] - 0.02 and (not bundled or curves["int8"][-1] > curves["float32"][2] + 0.05)
plt.show()

# %% [markdown]
# int8 at full width takes a quarter of the memory at no visible loss. The same saving by truncation costs more, in a model not trained for it (notebook 12 trains one). Signs alone lose more; rescoring brings part of it back, from vectors that may lie on disk.
#
# ## How many texts at a time?
#
# Large matrix products use a processor well, so texts are encoded in *batches*; as texts differ in length, by a budget of tokens. **Predict**: does a text's vector depend on the budget? Does the speed?

# %% tags=["row-BP5"] alt="Curve of texts encoded in a second against the budget of tokens a batch, for budgets from 64 to 4,096 tokens."
some, budgets, speeds = texts[: min(len(texts), 200)], [64, 256, 1024, 4096], []
for budget in budgets:
    begin = time.perf_counter()
    batched = encoder.encode(some, batch_tokens=budget, show_progress_bar=False)
    speeds.append(len(some) / (time.perf_counter() - begin))
    assert np.abs(batched - vectors[: len(some)].numpy()).max() < 1e-4
    print(f"{budget:5} tokens a batch: {speeds[-1]:6.0f} texts/s")
ax = curve([str(budget) for budget in budgets], speeds)
ax.set(xlabel="tokens a batch", ylabel="texts a second", ylim=(0, None))
ax.set_title("Vectors do not depend on the batch; the speed may", fontsize="medium")
plt.show()

# %% [markdown]
# The vectors are the same to rounding: nothing is padded here, and no text sees its neighbours. The speeds are your machine's, at this moment: measure where you will run.
#
# ## Now from the library
#
# `top_k` came from `course_lib.retrieval.search`. What it gives is what `plain_top_k`, printed below, says in three lines: all scores, sorted. But it never holds all scores: it goes through the corpus in blocks and keeps each query's k best so far. Of the next block only scores above the k-th of these matter, and they are few. To find them it takes the highest score of each group of up to 64, and looks only into groups where that is above the limit.

# %% tags=["nbval-check-output"]
from course_lib.retrieval.search import plain_top_k

by_hand = (normalize(query_vectors, dim=1) @ normalize(vectors, dim=1).T).sort(dim=1, descending=True, stable=True)   # (queries, articles)
assert torch.equal(plain_top_k(query_vectors, vectors, 10)[1], by_hand.indices[:, :10])
for block in (50, 300):
    scores, rows = top_k(query_vectors, vectors, 10, corpus_block=block)
    assert torch.equal(rows, by_hand.indices[:, :10]) and torch.allclose(scores, by_hand.values[:, :10], atol=1e-6)
print(inspect.getsource(plain_top_k))
print("equal to a full sort, in blocks of 50 and of 300")

# %% [markdown]
# So the memory for scores grows with a block, not with the corpus, and the corpus may be a file larger than memory (`numpy.load(..., mmap_mode="r")`). Notebook 17 (to come) goes on from here.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB): it learned from pairs of questions and answers, among others, and reads 256 tokens. `dataset = "scifact"` searches scientific abstracts, if that set lies in the folder `COURSE_DATA`; it has one bar chart.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says. It names the kind of mistake, never the answer.
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
# <details><summary>Answer</summary>How many texts are longer than `max_seq_length` (`return_truncated=True`). Encoded whole, only their first page is in the vectors: cut them into pieces, each with its title.</details>
#
# **2.** You switch to a better model for new documents, and leave the old vectors as they are. Both have 384 numbers. What happens?
#
# <details><summary>Answer</summary>Nothing fails, and old documents are found by chance. Vectors of two models do not compare: encode all documents again, and keep the model's name beside the vectors.</details>
#
# **3.** A colleague normalises all vectors before taking cosines, and the scores stay the same. Useless?
#
# <details><summary>Answer</summary>For the cosine itself, yes: it divides by the lengths anyway. It is useful where something else is computed: a dot product, an index for inner products, codes of few bits.</details>
#
# ## Summary
#
# - Recall, MRR and nDCG say how good a ranking is; only nDCG looks at grades.
# - Meaning finds what keywords cannot, and keywords are strong where the words are the same.
# - What comes after `max_seq_length` is not in the vector. Count what is cut, and search pieces, with their titles.
# - Use the similarity and the prompts that the model was trained with. Vectors of two models compare by chance, unless they are mapped to one space.
# - int8 costs next to nothing. Binary vectors need rescoring, truncated ones a model trained for it.
#
# ## References
#
# - Thakur et al. (2021), [BEIR](https://arxiv.org/abs/2104.08663): search tasks to measure encoders on; SciFact is one.
# - Järvelin and Kekäläinen (2002), [cumulated gain](https://doi.org/10.1145/582415.582418).
# - Schönemann (1966), [the orthogonal Procrustes problem](https://doi.org/10.1007/BF02289451).
# - Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - Sources of this course: an overview, a guide, and Mixpeek's lists of good practice and mistakes.
#
# **Next:** [14_hybrid_and_reranking](14_hybrid_and_reranking.ipynb) puts keywords and meaning together.
