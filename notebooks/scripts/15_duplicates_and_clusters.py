# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/15_duplicates_and_clusters.ipynb)
#
# # Which of these texts say the same?
#
# At the end you will have found duplicates, groups and answers among a town's questions, and will know how far to trust each.
#
# | | |
# |---|---|
# | You will be able to | find the closest pairs; choose a threshold on labelled pairs and measure it on others; cluster texts, score and name clusters; build a bot that may say "I don't know", and a recommender |
# | You need first | notebook 05: sentence vectors and the cosine |
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
# `dataset` holds 600 questions to the council of Harrowmere, an invented town. `precision` is the share of right merges that you ask for, `wrong_costs` says how many right answers one wrong answer of the bot outweighs, `liked` is what somebody borrowed.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
dataset = "course/duplicates"
precision = 0.9
wrong_costs = 1.0
liked = ["Claw hammer", "Spirit level, 120 cm", "Hacksaw"]

# %% [markdown]
# ## Comparing all with all
#
# **Question.** How many comparisons does it take to find the closest pair of $n$ texts?
#
# *Paraphrase mining* compares each text with each other, for the pairs that say the same. A cosine is symmetric, so of the $n \times n$ matrix only the part above its diagonal is needed, the *upper triangle*.
#
# **Predict** for (1, 0), (0, 1), (0.9, 0.2), (-1, 0.3) and (0.2, 1): how many pairs, and which is the closest?

# %% tags=["row-2.9", "nbval-check-output"]
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import normalize

from course_lib.retrieval.paraphrases import paraphrase_mining_embeddings

plt.rcParams["figure.dpi"] = 70                                         # keeps this file small
toy = normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.2], [-1.0, 0.3], [0.2, 1.0]]), dim=1)    # (5, 2)

looped = []
for i in range(len(toy)):
    for j in range(i + 1, len(toy)):
        looped.append((sum(a * b for a, b in zip(toy[i].tolist(), toy[j].tolist())), i, j))

rows, columns = np.triu_indices(len(toy), k=1)                          # (10,) each: the places above the diagonal
scores = (toy @ toy.T).numpy()[rows, columns]                           # (5, 5) -> (10,)
assert np.allclose([score for score, _, _ in looped], scores, atol=1e-6)
mined = paraphrase_mining_embeddings(toy)
assert [pair[1:] for pair in mined] == [pair[1:] for pair in sorted(looped, reverse=True)]
print(f"{len(looped)} pairs of {len(toy)} texts; the closest: {[(round(score, 3), i, j) for score, i, j in mined[:2]]}")

# %% [markdown]
# There are $n(n-1)/2$ pairs. A matrix product compares many at once.
#
# **Predict** for 1,000 texts: how many times as fast as a loop are matrix products, block by block along the upper triangle?

# %% tags=["row-2.9"]
import time
from itertools import combinations

from course_lib.data import load_nli
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.paraphrases import upper_triangle

encoder = SentenceEncoder.load(model, dtype="float32")
trained = model in ("course/sbert-mini", "sentence-transformers/all-MiniLM-L6-v2")                     # others may be too weak
many = list(dict.fromkeys(text for e in load_nli() for text in (e.premise, e.hypothesis)))[:2000]
vectors = normalize(torch.from_numpy(encoder.encode(many, show_progress_bar=False)), dim=1)            # (2000, dim)
torch.set_num_threads(1)                                                # as the loop has
paraphrase_mining_embeddings(vectors)                                   # the first call is slower
for n in (250, 500, 1000, 2000):
    start = time.perf_counter()
    for count, (a, b) in enumerate(combinations(vectors[:n].numpy(), 2), start=1):
        cosine = a @ b                                                  # (dim,), (dim,) -> a number
    loop = time.perf_counter() - start
    start = time.perf_counter()
    paraphrase_mining_embeddings(vectors[:n], max_pairs=100, top_k=10, row_block=64)
    blocks = time.perf_counter() - start
    computed = sum(scores.numel() for _, _, scores in upper_triangle(vectors[:n], row_block=64))
    print(f"{n:5} texts: {count:>9,} pairs, {loop:.3f} s in a loop; {computed:>9,} scores ({computed / count - 1:3.0%} too many), {blocks:.3f} s by blocks: {loop / blocks:.0f} times as fast")
    assert count == n * (n - 1) // 2 <= computed <= n * (n + 64) / 2
assert loop > 2 * blocks

# %% [markdown]
# Twice the texts, four times the pairs. The third line ends with the answer; times so short vary from run to run. Blocks on the diagonal compute too much: a quarter at 250 texts, 3% at 2,000.
#
# ## What stands on top
#
# **Question.** Are the closest pairs duplicates?
#
# Groups of four ask the same thing. The collection was made hard: beside a group stands a twin that asks nearly the same, in almost the same words.
#
# **Predict:** of the 20 pairs with the highest cosine, how many are duplicates?

# %% tags=["row-2.9"]
from course_lib.support.tables import find, read_tsv
from course_lib.datasets.town import load_duplicates

generator = np.random.default_rng(seed)
if dataset.startswith("quora"):                                         # pairs that somebody labelled; no groups
    answers, *pairs = zip(*[row for _, row in read_tsv(find(dataset), "is_duplicate", "question1", "question2")][:2000])
    questions, inverse = np.unique(pairs, return_inverse=True)
    first, second = inverse.reshape(2, -1)
    kinds = np.where(np.array(answers) == "1", "the same", "labelled as different")
    chosen_on, measured_on = (generator.permutation(len(kinds)) % 2 == np.array([[0], [1]]))           # half of the pairs each
else:                                                                   # all pairs are labelled
    groups, topics, questions = map(np.array, zip(*[(q.group, q.topic, q.question) for q in load_duplicates(dataset)]))
    first, second = np.triu_indices(len(questions), k=1)
    kinds = np.where(groups[first] == groups[second], "the same", np.where(topics[first] == topics[second], "same topic", "another topic"))
    half = np.isin(groups, generator.permutation(np.unique(groups))[::2])
    chosen_on, measured_on = half[first] & half[second], ~half[first] & ~half[second]
same = kinds == "the same"                                              # (pairs,)

vectors = torch.from_numpy(encoder.encode(list(questions), show_progress_bar=False))   # (questions, dim)
kind_of = dict(zip(zip(first.tolist(), second.tolist()), kinds))
closest = paraphrase_mining_embeddings(vectors, max_pairs=20)
for score, i, j in closest[:6]:
    print(f"{score:.2f}  {kind_of.get((i, j), 'unknown')}\n      {questions[i]}\n      {questions[j]}")
print(f"of the closest {len(closest)}: {sum(kind_of.get((i, j)) == 'the same' for _, i, j in closest)} duplicates")
assert len(closest) == 20 and min(closest)[0] == closest[-1][0]

# %% [markdown]
# Most of these pairs differ in one word, and that word is the question. The other tokens agree, so do the vectors. Duplicates stand further down, as people choose different words for one question.
#
# ## A threshold
#
# **Question.** From which cosine on do you call two questions duplicates?
#
# *Precision* is the share of the pairs called duplicates that are duplicates; *recall* is the share of the duplicates that were called so; *F1* is the harmonic mean of both. The threshold with the best F1 is chosen on one half of the groups and **measured on the other half**, which had no say in it. AP, *average precision*, is the precision at each duplicate, best cosine first, averaged: one number for all thresholds.
#
# Then the other pairs are thinned out, until there are as many as duplicates. **Predict:** what does that do to precision and recall?

# %% tags=["row-2.8"]
from sklearn.metrics import average_precision_score

from course_lib.retrieval.metrics import binary_classification
from course_lib.similarity import cos_sim, pairwise_cos_sim

cosines = pairwise_cos_sim(vectors[first], vectors[second]).numpy()     # (pairs,)
found = binary_classification(cosines[chosen_on], same[chosen_on].astype(int))
threshold = found["f1_threshold"]
def measure(mask):
    """Precision, recall and F1 of the chosen threshold, and average precision, on the pairs of the mask."""
    called, right = cosines[mask] >= threshold, same[mask]
    hits = (called & right).sum()
    p, r = hits / max(called.sum(), 1), hits / right.sum()
    return {"precision": p, "recall": r, "F1": 2 * p * r / max(p + r, 1e-9), "AP": average_precision_score(right, cosines[mask])}
assert np.isclose(measure(chosen_on)["F1"], found["f1"]) and np.isclose(measure(chosen_on)["AP"], found["ap"])
mixtures = {"chosen on": chosen_on, "measured on": measured_on}
for kind in np.unique(kinds[~same]):                                    # as many others as duplicates, of one kind
    others = generator.permutation(np.flatnonzero(measured_on & (kinds == kind)))[: (measured_on & same).sum()]
    mixtures[f"duplicates and {kind}, 1 : 1"] = (measured_on & same) | np.isin(np.arange(len(same)), others)
print(f"threshold {threshold:.2f}")
for name, mask in {**mixtures, "all pairs": np.full(len(same), True)}.items():
    print(f"{name:42}", *(f"{metric} {value:.2f}" for metric, value in measure(mask).items()), f"duplicates 1 in {mask.sum() / (mask & same).sum():.0f}")
balanced = [mask for name, mask in mixtures.items() if "1 : 1" in name]
rare = same[measured_on].mean() < 0.1
assert not (trained and rare) or min(measure(mask)["precision"] for mask in balanced) > measure(measured_on)["precision"] + 0.1

# %% [markdown]
# Thinning leaves recall alone and raises precision. But duplicates grow with $n$, pairs with $n^2$: of half of the questions one pair in 100 is a duplicate, of all 600 one in 200, and precision falls. **A precision measured on balanced pairs does not hold in a collection:** calibrate on pairs as rare as you will meet them.
#
# `calibrate` looks for the lowest threshold with a given precision.

# %% tags=["row-2.8"] alt="Left, histogram of the cosines of the question pairs by kind: pairs that ask the same lie further right than pairs of one topic and of different topics, and overlap with both. Right, precision against recall: with one other pair for each duplicate the curves lie high; with all other pairs the curve begins at zero, climbs to nearly 0.8 and falls again."
from sklearn.metrics import precision_recall_curve

from course_lib.retrieval.paraphrases import calibrate
from course_lib.plotting import LINES, MARKERS, PALETTE, histogram

figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
drawn = {kind: generator.choice(cosines[kinds == kind], 800) for kind in dict.fromkeys(["the same", *kinds])}
histogram(drawn, "No cosine separates them", ax=axes[0])
axes[0].axvline(threshold, color="black", linestyle=":")
for k, (name, mask) in enumerate((name, mask) for name, mask in mixtures.items() if name != "chosen on"):
    p, r, _ = precision_recall_curve(same[mask], cosines[mask])
    p, r = p[:-1], r[:-1]                                               # without scikit-learn's last point: nothing called
    axes[1].plot(r, p, color=PALETTE[k], linestyle=LINES[k], label=f"{name.removeprefix('duplicates and ')}, up to {p.max():.2f}")
axes[1].set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
axes[1].set_title("The same scores, other mixtures", fontsize="medium")
axes[1].legend(fontsize=8, loc="lower center")
plt.show()
for wanted in (precision, 0.5):
    try:
        strict = calibrate(cosines[chosen_on], same[chosen_on].astype(int), wanted)
        called = measured_on & (cosines >= strict)
        print(f"precision {wanted}: from {strict:.2f} on; on the other half {same[called].mean():.2f}, recall {same[called].sum() / same[measured_on].sum():.2f}")
        assert same[chosen_on & (cosines >= strict)].mean() >= wanted
    except ValueError as refused:
        print(f"precision {wanted}: {refused}")

# %% [markdown]
# Left the cosines (dotted: the threshold), right the *precision-recall curve* of each mixture, strict thresholds at the left. With the default model and no thinning, 0.9 cannot be had: the curve begins with errors, climbs to nearly 0.8 and falls again. Let people look through such a list, not a machine merge it.
#
# ## A trap: friends of friends
#
# It is tempting to join whatever is linked: A is close to B, B to C, so all three are one *connected component* of the graph whose edges are the pairs above the threshold. `find_duplicates` does that. *Community detection* asks that each member be close to one central text.
#
# **Predict:** how large does the largest component get as the threshold falls?

# %% tags=["row-2.9"] alt="Line chart of the size of the largest group against the threshold, from 0.9 down to 0.4. Connected components stay small at first, then one of them swallows most of the questions; the largest community grows slowly."
from course_lib.retrieval.clustering import community_detection
from course_lib.retrieval.paraphrases import find_duplicates
from course_lib.plotting import curve

thresholds = np.arange(0.9, 0.39, -0.05).round(2)
components = [find_duplicates(vectors, t) for t in thresholds]
communities = [community_detection(vectors, t, min_community_size=2) for t in thresholds]
largest = {"connected components": [max(map(len, g), default=1) for g in components], "communities": [max(map(len, g), default=1) for g in communities]}
ax = None
for name, values in largest.items():
    ax = curve(thresholds, values, name, ax=ax)
ax.invert_xaxis()
ax.set(xlabel="threshold", ylabel="questions in the largest group", title="One chain swallows the collection")
plt.show()
for t, group in zip(thresholds, components):
    within = cos_sim(vectors[group[0]], vectors[group[0]]) if group else torch.ones(1, 1)
    print(f"{t:.2f}: {len(group):3} groups, the largest of {len(within):3}, in it the lowest cosine {within.min():.2f}")
merged, around = find_duplicates(vectors, threshold), community_detection(vectors, threshold, min_community_size=2)
print(f"at {threshold:.2f}, chosen above: of {len(vectors)} questions {len(merged[0])} in the largest component, {len(around[0])} in the largest community")
assert cos_sim(vectors[around[0][:1]], vectors[around[0]]).min() > threshold - 1e-6                    # the first is the centre
assert len(merged[0]) > 2 * len(around[0]) or not trained

# %% [markdown]
# In the figure one component swallows the others: chains of neighbours join questions with nothing in common. At the threshold with the best F1, wrong pairs that do little harm in a list link 421 of the 600 questions. Look at the largest group before you merge.
#
# ## Clusters
#
# **Question.** Which texts belong together, if nobody gives you pairs?
#
# A *cluster* is a group of texts whose vectors lie close together. (Texts, not "sentence pairs", as some accounts say.) Compare clusters with known topics: is a pair of texts together in both? The *adjusted Rand index* (ARI) counts such pairs, subtracts what chance would give, and scales the rest: 1 for equal groups, about 0 for random ones. *Normalised mutual information* (NMI), 0 to 1, says how much the cluster tells about the topic, without a correction: many small clusters raise it.
#
# **Predict** for six texts of the topics a a a b b b in the clusters 0 0 1 1 2 2: is the ARI above 0 or below?

# %% tags=["nbval-check-output"]
from math import comb

from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

truth, clusters = list("aaabbb"), [0, 0, 1, 1, 2, 2]
pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
both = sum(truth[i] == truth[j] and clusters[i] == clusters[j] for i, j in pairs)
in_truth, in_clusters = (sum(labels[i] == labels[j] for i, j in pairs) for labels in (truth, clusters))
by_chance = in_truth * in_clusters / len(pairs)
by_pairs = (both - by_chance) / ((in_truth + in_clusters) / 2 - by_chance)                             # equal groups: both = in_truth = in_clusters

table = np.array([[sum(t == a and c == b for t, c in zip(truth, clusters)) for b in range(3)] for a in "ab"])   # (2, 3) counts
assert both == sum(comb(int(n), 2) for n in table.ravel()) and np.isclose(by_pairs, adjusted_rand_score(truth, clusters))
print("rows: topics a, b; columns: clusters 0, 1, 2", table, sep="\n")
print(f"together in both {both}, by chance {by_chance:.1f}: ARI {by_pairs:.3f}, NMI {normalized_mutual_info_score(truth, clusters):.3f}")

# %% [markdown]
# Three ways to cluster. *K-means* moves $k$ centres until each text lies with its nearest. *Agglomerative clustering* joins the two closest clusters until $k$ are left; Ward's rule (join what adds least spread), the average or the single closest pair says what "closest" means. Communities need a threshold in the place of $k$, and leave texts out.
#
# **Predict** for the town's questions: what do random clusters score for their 15 topics, and for their 150 groups?

# %% tags=["row-2.10"]
from sklearn.cluster import AgglomerativeClustering, KMeans

town = load_duplicates()
texts, known = [q.question for q in town], {"topic": np.array([q.topic for q in town]), "group": np.array([q.group for q in town])}
unit = normalize(torch.from_numpy(encoder.encode(texts, show_progress_bar=False)), dim=1).numpy()      # (600, dim)
labels, scores = {}, {}
print("topics:", ", ".join(sorted(set(known["topic"]))))
for what, truth in known.items():
    k = len(set(truth))
    labels[what, "random"] = generator.integers(0, k, len(unit))
    labels[what, "k-means"] = KMeans(k, n_init=3, random_state=seed).fit_predict(unit)
    for linkage in ("ward", "average", "single"):
        labels[what, f"agglomerative, {linkage}"] = AgglomerativeClustering(k, linkage=linkage).fit_predict(unit)
    labels[what, "communities"] = np.full(len(unit), -1)                # -1: in none
    for number, members in enumerate(community_detection(unit, 0.6, min_community_size=3)):
        labels[what, "communities"][members] = number
for (what, name), of_text in labels.items():
    inside = of_text >= 0
    scores[what, name] = [score(known[what][inside], of_text[inside]) for score in (adjusted_rand_score, normalized_mutual_info_score)]
    print(f"{what:6} {name:23} ARI {scores[what, name][0]:5.2f}  NMI {scores[what, name][1]:.2f}  {len(set(of_text[inside])):3} clusters of {inside.mean():4.0%} of the texts")
assert scores["topic", "k-means"][0] > scores["topic", "agglomerative, single"][0] + 0.2 or not trained
assert abs(scores["topic", "agglomerative, single"][0] - scores["topic", "random"][0]) < 0.1 or model != "course/sbert-mini"
assert scores["group", "random"][1] > 0.5 > 0.05 > scores["group", "random"][0]

# %% [markdown]
# For 150 groups even random clusters have a high NMI and an ARI of 0: believe the ARI. Single linkage is the chain again: for topics no better than chance. Communities are scored on the texts they kept.
#
# ### What is this cluster about?
#
# *Class-based tf-idf* names a cluster: a word weighs its count in the cluster times $\log(1 + A / f)$, with $f$ its count everywhere, $A$ the average number of words of a cluster. Stop words are left out.
#
# **Predict** which of the topics above k-means mixed.

# %% tags=["row-2.10"] alt="Heatmap of the k-means clusters, one a row and named by its typical words, against the 15 topics: which share of the cluster's questions has which topic. Most rows have one bright cell; a few are spread over several topics."
from course_lib.retrieval.clustering import cluster_words
from course_lib.plotting import heatmap

clusters, names = labels["topic", "k-means"], sorted(set(known["topic"]))
words = cluster_words(texts, clusters.tolist(), k=3)
share = np.array([[np.mean(known["topic"][clusters == c] == name) for name in names] for c in sorted(words)])  # (clusters, topics)
order = np.argsort(share.argmax(axis=1), kind="stable")
figure, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
heatmap(share[order], title="Most clusters are mainly one topic, and their words say which", kind="unit", ax=ax)
ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
ax.set_yticks(range(len(order)), [", ".join(words[c]) for c in order], fontsize=8)
ax.images[0].colorbar.set_label("share of the cluster")
plt.show()
for c in order[share[order].max(axis=1) <= 0.5]:
    print(f"{', '.join(words[c])}:", ", ".join(f"{names[t]} {share[c, t]:.2f}" for t in np.argsort(-share[c], kind="stable") if share[c, t] >= 0.1))
assert (share.max(axis=1) > 0.5).sum() > len(names) / 2 or not trained

# %% [markdown]
# A row is a cluster under its three words, a column a topic, the colour the share of the cluster. Those without a main topic are listed: `bike, parking, station` holds two and names both; `open, holidays, lido` is spread over many, as most of its questions ask when.
#
# ### Which sentences stand for all?
#
# An *extractive summary* chooses sentences and writes none. *LexRank* chooses the central ones, those similar to central sentences. It is PageRank (a web page counts if pages that count link to it) on the graph of cosines. By hand: start with equal weights; again and again let each sentence hand on 85% of its weight in proportion to its cosines, and deal out the other 15% evenly.
#
# **Predict** for the FAQ's answers about the library: do three sentences touch all five?

# %% tags=["row-2.9"]
from course_lib.retrieval.clustering import lexrank
from course_lib.datasets.town import load_faq

about = [entry for entry in load_faq() if entry.topic == "library"]
replies_to, parts = zip(*[(e.question, sentence.strip(" .") + ".") for e in about for sentence in e.answer.split(". ")])
text_vectors = encoder.encode(list(parts), show_progress_bar=False)     # (sentences, dim)
steps = cos_sim(text_vectors, text_vectors).double().clamp(min=0).numpy()
steps = steps / steps.sum(axis=1, keepdims=True)                        # (sentences, sentences): rows add up to 1
weight = np.full(len(parts), 1 / len(parts))
for _ in range(200):
    handed = np.zeros(len(parts))
    for giver in range(len(parts)):
        handed += weight[giver] * steps[giver]
    weight = 0.15 / len(parts) + 0.85 * handed                          # 15% of all weight is dealt out evenly
assert np.allclose(weight, lexrank(text_vectors), atol=1e-9)

ranked = np.argsort(-weight)
print(f"{len(about)} answers, {len(parts)} sentences. Most central:", *(f"    {parts[i]}" for i in ranked[:3]), "Least:", f"    {parts[ranked[-1]]}", sep="\n")
print("No sentence of the answers to:", *(f"    {e.question}" for e in about if e.question not in {replies_to[i] for i in ranked[:3]}), sep="\n")
summary, rest = text_vectors[ranked[:3]], text_vectors[ranked[3:]]
drawn = [generator.permutation(len(parts)) for _ in range(200)]
by_chance = np.mean([cos_sim(text_vectors[d[:3]], text_vectors[d[3:]]).amax(0).mean() for d in drawn])
print(f"cosine of a sentence with the nearest of the summary: {cos_sim(summary, rest).amax(0).mean():.2f}; of three drawn at random: {by_chance:.2f}")
assert cos_sim(summary, rest).amax(0).mean() > by_chance or model != "course/sbert-mini"

# %% [markdown]
# The summary is nearer to the other sentences than three drawn at random. Central is not complete: it says nothing of two answers, how to return books and how to print.
#
# ## A bot that may say "I don't know"
#
# **Question.** How do you keep a bot from answering what it cannot know?
#
# Guides promise "human-like" chatbots. The plain mechanism: print the answer of the FAQ's entry nearest to the question. A nearest entry _always_ exists, also for what the FAQ does not treat, so below a threshold the bot says that it does not know. A right answer earns a point, a wrong one costs `wrong_costs`, silence nothing. The threshold with most points on half of the questions is measured on the other half.
#
# Two indexes compete: the FAQ's questions alone, and questions with their answers. **Predict** which is better.

# %% tags=["row-2.26"] alt="Line chart for two indexes, the FAQ's questions alone and questions with their answers: the share of right answers against the share of questions that the bot answers, as the threshold falls. With answers in the index the curve falls from 1 to about 0.5 and lies higher nearly everywhere; with the questions alone it drops to 0.4 at once, climbs to 0.7 and falls to 0.4 again. Markers show the chosen thresholds."
from course_lib.datasets.town import load_faq_questions

faq, asked = load_faq(), load_faq_questions()
entry_of = {entry.question: number for number, entry in enumerate(faq)}
wanted = np.array([entry_of.get(q.answer_to, -1) for q in asked])       # (questions,) -1: not in the FAQ
tuned = generator.permutation(len(asked)) % 2 == 0                      # half of the questions
query = encoder.encode([q.question for q in asked], show_progress_bar=False)
indexes = {"question": [e.question for e in faq], "question + answer": [f"{e.question} {e.answer}" for e in faq]}
def points(answered, right):
    return right[answered].sum() - wrong_costs * (~right[answered]).sum()
bots = {}
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for k, (name, texts) in enumerate(indexes.items()):
    confidence, nearest = (t.numpy() for t in cos_sim(query, encoder.encode(texts, show_progress_bar=False)).max(dim=1))     # (questions,) each
    right = nearest == wanted
    limit = max([2.0, *confidence[tuned]], key=lambda t: points(tuned & (confidence >= t), right))     # 2.0: never answer
    bots[name] = confidence, nearest, right, limit
    order = np.flatnonzero(~tuned)[np.argsort(-confidence[~tuned])]     # of the other half, the surest first
    share_right = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    ax.plot(np.arange(1, len(order) + 1) / len(order), share_right, LINES[k], color=PALETTE[k], label=name)
    if answered := (confidence[order] >= limit).sum():
        ax.plot(answered / len(order), share_right[answered - 1], MARKERS[k], color=PALETTE[k], markersize=9)
ax.set(xlabel="share of the questions answered", ylabel="share of them right", ylim=(0, 1.05), title="With answers in the index, more of what it says is right")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The *risk-coverage curve* of each index (of right answers here, not of wrong ones) begins with the question of which the bot is surest; markers show the thresholds. With answers in the index more is right, at nearly every share. Figure and counts are of the other half.

# %% tags=["row-2.26"]
for name, (confidence, nearest, right, limit) in bots.items():
    said = confidence >= limit
    print(f"{name}: threshold {limit:.2f}, {points(~tuned & said, right):.1f} points; answering always: {points(~tuned, right):.1f} points")
    for kind, those in {"in the FAQ": ~tuned & (wanted >= 0), "not in the FAQ": ~tuned & (wanted < 0)}.items():
        print(f"    {kind:15} {those.sum():3} questions: answered right {(those & said & right).sum():3}, answered wrong {(those & said & ~right).sum():3}, \"I don't know\" {(those & ~said).sum():3}")
    wrong = np.flatnonzero(~tuned & said & ~right)
    print(f"    errors, {len(wrong[:2])} of {len(wrong)}:")
    for number in wrong[:2]:
        print(f"        {asked[number].question} -> {faq[nearest[number]].question}")
    assert points(~tuned & said, right) > points(~tuned, right) or not trained or wrong_costs < 1
assert bots["question + answer"][2].sum() > bots["question"][2].sum() or not trained                   # right if it always answers

# %% [markdown]
# Silence pays with both, at a price: with answers in the index, 13 of the 44 questions that the FAQ answers get none, and 7 of the 16 others still get one. The errors shown are near misses again. A cosine measures how close two texts are, not whether the answer fits.
#
# ## A recommender
#
# **Question.** What else might somebody like who borrowed three things?
#
# Take the mean of the liked things' vectors, and offer the nearest others. Measured without people: draw three things of one of the catalogue's ten categories, and count how many of five recommendations are of the same. **Predict** the share.

# %% tags=["row-2.26"]
from course_lib.retrieval.search import top_k
from course_lib.datasets.town import load_catalogue

catalogue = load_catalogue()
items, category = (np.array([getattr(thing, field) for thing in catalogue]) for field in ("item", "category"))
thing_vectors = normalize(torch.from_numpy(encoder.encode([f"{t.item}. {t.description}" for t in catalogue], show_progress_bar=False)), dim=1)

def recommend(liked, k=5):
    """Rows of liked things -> rows of the k things nearest to their mean, without themselves."""
    taste = thing_vectors[liked].mean(dim=0, keepdim=True)              # (liked, dim) -> (1, dim)
    rows = top_k(taste, thing_vectors, k + len(liked))[1][0].tolist()
    return [row for row in rows if row not in liked][:k]

print(liked, "->", items[recommend([items.tolist().index(name) for name in liked])].tolist())
share, offered = {}, {}
for name in sorted(set(category)):
    draws = [generator.choice(np.flatnonzero(category == name), 3, replace=False).tolist() for _ in range(20)]
    offered[name] = category[[recommend(drawn) for drawn in draws]]     # (20, 5) categories
    share[name] = (offered[name] == name).mean()
chance = np.mean([(np.sum(category == name) - 3) / (len(catalogue) - 3) for name in share])
print(f"of the same category: {np.mean(list(share.values())):.2f}, by chance {chance:.2f}")
worst = min(share, key=share.get)
print(f"worst, {worst}:", ", ".join(f"{np.mean(offered[worst] == name):.2f} {name}" for name in np.unique(offered[worst])))
assert np.mean(list(share.values())) > (3 if trained else 1) * chance

# %% [markdown]
# The share is 0.71, by chance 0.09. Hand tools do worst: half of what is offered is power tools, described alike. And similar is not wanted: who borrowed three hammers may need a tent.
#
# ## The failure gallery
#
# **Question.** What does the cosine not see?
#
# Guides call the understanding of such models "perfect". Compare the bundled pairs that mean the same in other words with pairs in which a small change turns the meaning round: a negation, a number, swapped roles, sarcasm beside what it says literally.
#
# **Predict:** which of the five kinds has the highest cosines?

# %% tags=["row-2.26"]
gallery = {"negation": """The library is open on Mondays. | The library is not open on Mondays.
Dogs are allowed in the museum. | Dogs are not allowed in the museum.
I have received my Resident Card. | I have never received my Resident Card.
Smoking is permitted on the platform. | Smoking is forbidden on the platform.
The heating works. | The heating does not work.""", "number": """The pool costs four crowns. | The pool costs forty crowns.
Tram 2 stops at the hospital. | Tram 4 stops at the hospital.
The course starts on 3 May. | The course starts on 30 May.
Take one tablet every twelve hours. | Take twelve tablets every hour.
The bridge carries 3 tonnes. | The bridge carries 30 tonnes.""", "roles": """The tenant owes the landlord a month's rent. | The landlord owes the tenant a month's rent.
The cyclist overtook the bus. | The bus overtook the cyclist.
The mayor praised the firefighters. | The firefighters praised the mayor.
Bus B leaves before tram 2. | Tram 2 leaves before bus B.
Anna taught Ben to swim. | Ben taught Anna to swim.""", "sarcasm": """Brilliant idea to close the pool in a heatwave. | It was a brilliant idea to close the pool in the heatwave.
Oh great, my tram is cancelled again. | It is great that my tram is cancelled again.
Just what I needed, a parking fine. | A parking fine was what I needed.
Thanks a lot for losing my application twice. | I am grateful that you lost my application twice.
What a surprise, the heating failed in January. | I was surprised that the heating failed in January."""}
gallery = {kind: [line.split(" | ") for line in text.splitlines()] for kind, text in gallery.items()}
assert all(len(pair) == 2 for pairs in gallery.values() for pair in pairs)

# %% tags=["row-2.26"] alt="Points on a line for each kind of pair: cosines of 200 paraphrases, which spread from 0.3 to over 0.9, and of negations, changed numbers, swapped roles, and sarcasm beside its literal reading, which lie in the upper half of the paraphrases or beyond. Swapped roles lie close to 1."
from course_lib.data import load_pairs

figure, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
of_kind = {}
for k, (kind, examples) in enumerate({"paraphrase": load_pairs(), **gallery}.items()):
    sides = (encoder.encode(list(side), show_progress_bar=False) for side in zip(*examples))
    of_kind[kind] = pairwise_cos_sim(*sides).numpy()                    # (pairs,)
    ax.plot(of_kind[kind], np.full(len(examples), k), MARKERS[k], color=PALETTE[k], alpha=0.4 if k == 0 else 0.9)
    below = np.mean(of_kind["paraphrase"] < np.median(of_kind[kind]))
    print(f"{kind:10} {len(examples):3} pairs, in the middle {np.median(of_kind[kind]):.2f}: {below:4.0%} of the paraphrases score lower")
    assert kind == "paraphrase" or below > 0.5 or not trained
ax.set_yticks(range(len(of_kind)), list(of_kind))
ax.set(xlabel="cosine", ylim=(len(of_kind) - 0.5, -0.5), title="A changed meaning is nearer than other words for the same")
plt.show()

# %% [markdown]
# In the figure the paraphrases spread, and the changed meanings lie in their upper half or beyond. Swapped roles are nearly invisible, numbers and negations often change a single word, and sarcasm keeps the words of what it does not mean. No threshold helps where wrong pairs score higher than right ones. What must not confuse these (doses, fines) needs rules, a model trained on such pairs, or a person.
#
# ## Now from the library
#
# This is how `course_lib.retrieval.paraphrases` makes its blocks.

# %% tags=["row-2.9", "row-2.10", "nbval-check-output"]
import inspect

from sentence_transformers import util

source = inspect.getsource(upper_triangle)
print(source[source.index("    for row in range") :])
exact = vectors.double()                                                # float64: no pair is a matter of rounding
ours, theirs = paraphrase_mining_embeddings(exact, top_k=10), util.paraphrase_mining_embeddings(exact, top_k=10)
assert {pair[1:] for pair in ours} == {tuple(pair[1:]) for pair in theirs}
assert np.allclose([score for score, *_ in ours], [score for score, *_ in theirs], atol=1e-9)

near, taken, by_hand = (cos_sim(exact, exact) >= 0.6).numpy(), set(), []         # (questions, questions)
for centre in np.argsort(-near.sum(axis=1), kind="stable").tolist():    # most neighbours first
    members = set(np.flatnonzero(near[centre]).tolist()) - taken
    if centre not in taken and len(members) >= 3:
        by_hand.append(members)
        taken |= members
assert sorted(map(sorted, by_hand)) == sorted(map(sorted, community_detection(exact, 0.6, min_community_size=3)))
print("the pairs are those of sentence-transformers, the communities those of the loop")

# %% [markdown]
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB), and see which errors stay. With `COURSE_DATA` (the folder of the large data sets, see the README), `dataset = "quora/dev"` takes 2,000 labelled pairs of questions that people asked. The threshold's cell says how many are duplicates: compare with a curve of that mixture.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says. It names the kind of mistake, never the answer.
#
# **1.** Precision and recall of a threshold.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def precision_recall(scores, labels, threshold):
    """Arrays scores (n,) and labels (n,) of 0 and 1: a pair is called a duplicate if its score is at least the threshold ->
    (precision, recall). The precision is 1.0 where nothing is called a duplicate."""
    ...

check("15.1", precision_recall)

# %% [markdown]
# **2.** Groups from pairs: friends of friends are in one group.

# %% tags=["exercise", "nbval-check-output"]
def components(n, pairs):
    """n texts, pairs (i, j) of linked ones -> a list of n numbers: for each text the lowest number in its group."""
    ...

check("15.2", components)

# %% [markdown]
# ## Questions
#
# **1.** A supplier reports a precision of 0.95 for duplicates, measured on 1,000 duplicates and 1,000 random pairs. You have 10,000 texts. What do you expect?
#
# <details><summary>Answer</summary>Much less: among your 50 million pairs a tiny share of the others outnumbers the duplicates. Label pairs of your own around the threshold.</details>
#
# **2.** Your clusters have an NMI of 0.8 with 100 clusters on 300 texts. Are they good?
#
# <details><summary>Answer</summary>You cannot tell: many small clusters have a high NMI by chance. Look at the ARI.</details>
#
# **3.** The bot is asked how to register a dog, and says how to register a car, with a cosine of 0.8. Does a higher threshold help?
#
# <details><summary>Answer</summary>At the price of silence on good matches with less. Better: an entry about dogs, or a check that reads question and answer together.</details>
#
# ## Summary
#
# - All pairs cost $n(n-1)/2$ comparisons; blocks make them cheap, not fewer.
# - Choose a threshold on labelled pairs, measure it on others, and keep duplicates as rare as they will be.
# - Joined pairs chain: look at the largest group. Communities around a centre do not chain.
# - Compare clusters with what is known by a measure corrected for chance.
# - A threshold lets a bot be silent. It does not say what fits.
# - Swapped roles hardly move the vector; a negation or a number moves it less than other words for the same do.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): clustering and mining as the reason for sentence vectors.
# - Hubert and Arabie (1985), Comparing partitions, Journal of Classification 2: the adjusted Rand index.
# - Grootendorst (2022), [BERTopic](https://arxiv.org/abs/2203.05794): class-based tf-idf.
# - Erkan and Radev (2004), [LexRank](https://arxiv.org/abs/1109.2128).
# - The source of this course that lists these uses: a blog's introduction to sentence transformers.
#
# **Next:** notebook 16 puts texts and images into one space.
