# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/17_ten_million.ipynb)
#
# # Where does one machine end?
#
# You search exactly, by an index and in a database, encode with several processes, kill some of them, and work out how many vectors one machine can search.
#
# | | |
# |---|---|
# | You will be able to | say what n vectors weigh; choose between exact search, an index and a database; measure what an index misses; encode so that a killed process loses no row |
# | You need first | notebook 13: search, quantisation, rescoring; notebook 15: k-means |
# | Time | 45 minutes to read; the code runs in about a minute |
# | Hardware | any laptop with 8 GB of memory, no GPU |
# | Download | nothing; in Colab, three packages (half a gigabyte, installed) |

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
# Locally this does nothing. In Colab it installs the packages of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("lancedb") is None:
    packages = ["faiss-cpu>=1.10", "lancedb>=0.40", "ray[data]>=2.60"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)

# %% [markdown]
# `rows` vectors are searched live, `actors` processes encode. You are ready to wait `patience` seconds for an answer, and the machine you plan for has `memory` gigabytes.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
rows = 1_000_000
actors = 2
patience = 0.1
memory = 16

# %% tags=["nbval-check-output"]
import re
import tempfile
import time
import faiss
import matplotlib.pyplot as plt
import numpy as np
import torch
from course_lib.data import load_nli, load_pairs, load_results, load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.plotting import LINES, MARKERS, PALETTE, curve

sentences = [s for p in load_sts() for s in (p.sentence1, p.sentence2)] + [s for pair in load_pairs() for s in pair]
sentences += ([s for e in load_nli() for s in (e.premise, e.hypothesis)]
              + [q.question for q in load_questions() + load_duplicates()])
sentences += [s for page in load_retrieval("course/help")[1].values() for s in re.split(r"(?<=[.!?])\s+", page)]
texts = [s for s in dict.fromkeys(sentences) if len(s) >= 20][:8000:2]
encoder = SentenceEncoder.load(model, dtype="float32")
base = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)               # (texts, dim)
dim, work, bundled = base.shape[1], Path(tempfile.mkdtemp()), model == "course/sbert-mini"
torch.set_num_threads(1), faiss.omp_set_num_threads(1)       # one thread from here on, so that times can be compared
print(f"{len(texts):,} sentences, {dim} numbers each")

# %% [markdown]
# ## What do ten million vectors weigh?
#
# **Question.** A question-and-answer site has ten million questions, and somebody asks a new one. Which of the old ones is nearest?
#
# A cross-encoder (notebook 04) reads each of the ten million together with the new one. With vectors, BERT has read each of the ten million once, beforehand. Now it reads the new question alone, and every stored vector is read and compared.
#
# **Predict** how long ten million passes of a cross-encoder take, and how long it takes to read ten million vectors of this model once. Assume ten gigabytes a second from memory, one from a disk.

# %% tags=["row-1.20", "row-1.21", "row-3.6", "nbval-check-output"]
pairs = load_results("04").query("experiment == 'cost' and setting == 'pairs'").nlargest(1, "n").iloc[0]
hours = 10_000_000 * pairs.value / (pairs.n * (pairs.n - 1) / 2) / 3600
print("one new question, ten million passes of the small cross-encoder, "
      f"as recorded for notebook 04: {hours:.1f} hours")
BITS = {"float32": 32, "float16": 16, "int8": 8, "signs": 1}
weight = {}
print("GB of ten million vectors; seconds to read them from memory, from a disk")
for width in sorted({256, 384, 768, 1024, dim}):
    line = f"{width:>5} numbers"
    for kind, bits in BITS.items():
        weight[width, kind] = 10_000_000 * width * bits / 8 / 1e9
        line += f"   {kind} {weight[width, kind]:6.2f}: {weight[width, kind] / 10:4.2f}, {weight[width, kind]:5.2f}"
    print(line)
assert hours > 1 and weight[256, "float32"] == 10.24 and weight[1024, "signs"] == weight[256, "float32"] / 8

# %% [markdown]
# The cross-encoder takes hours for one question. Reading all vectors of this model, as float32, takes a second from memory, at the assumed rate. Fewer bits a number mean less to keep and less to read.
#
# ### Vectors to measure with
#
# A *smoothed bootstrap* draws as many vectors as you like around real ones: $x = b_i + 0.7\,(b_j - b_k)$ with three real vectors $b$ at random, divided by its length.
#
# **Predict:** would random Gaussian vectors do as well? The cell prints the cosine with the nearest and the tenth nearest of 3,800 vectors of the same kind.

# %% tags=["nbval-check-output"]
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score

def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def draw(base, n, random):
    """n vectors of length 1 that scatter as those of base (texts, dim) do: (n, dim)."""
    i, j, k = random.integers(len(base), size=(3, n))
    return unit(base[i] + 0.7 * (base[j] - base[k]))

random = np.random.default_rng(seed)
kinds = {"real": base,
         "drawn": draw(base, len(base), random),
         "Gaussian": unit(random.standard_normal(base.shape, dtype=np.float32))}
cosines = {name: top_k(v[:200], v[200:], 10, dot_score)[0].mean(axis=0) for name, v in kinds.items()}      # (10,) each
for name, of in cosines.items():
    print(f"{name:>8}: cosine with the nearest {of[0]:.2f}, with the tenth {of[9]:.2f}")
assert cosines["Gaussian"][0] < cosines["drawn"][0] - 0.1
assert not bundled or seed or all(cosines["drawn"][rank] < cosines["real"][rank] for rank in (0, 9))

# %% [markdown]
# On average, Gaussian vectors have no neighbours as near as real sentences have. Drawn vectors come closer to that, but not quite. A scan does the same arithmetic on any vectors, so drawn ones will do for its bytes and, for most ways roughly, its seconds. For recall, the share of the ten true neighbours that a search finds, a million real sentences of Wikipedia are recorded beside them.
#
# ### A job in the background
#
# The next cell starts a job and does not wait for it. The section _Encoding on many machines_ explains it.

# %%
from concurrent.futures import ThreadPoolExecutor

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from course_lib.support.folders import COURSE_HOME

source, target = work / "texts.parquet", work / "vectors"
pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), source)

def encode_and_kill():
    """Encode `source` on Ray, killing an actor. Returns how many processes there were, and the exit code."""
    options = [source, target, "--model", model, "--actors", str(actors)]
    with open(work / "job.log", "w", encoding="utf-8") as log:
        job = subprocess.Popen([sys.executable, "-m", "course_lib.scale.encode", *options],
                               cwd=COURSE_HOME, stdout=log, stderr=log)
    while job.poll() is None and not list(target.glob("*.parquet")):
        time.sleep(0.05)
    if job.poll() is not None:
        raise RuntimeError(f"nothing to kill, code {job.returncode}: "
                           f"{(work / 'job.log').read_text(encoding='utf-8')[-1000:]}")
    processes = psutil.Process(job.pid).children(recursive=True)
    next(p for p in processes if "MapWorker" in " ".join(p.cmdline())).kill()
    return len(processes), job.wait()

# Ray for Windows is a beta
running = None if sys.platform == "win32" else ThreadPoolExecutor().submit(encode_and_kill)

# %% [markdown]
# ## Search without an index
#
# **Question.** How fast is it to compare a query with all vectors ("exact" in the figures, even by codes), and what do fewer bits cost?
#
# int8 codes and signs find candidates, and the float16 vectors put these in order, as in notebook 13. In the output, "x10" means ten times as many candidates as neighbours wanted. Here the float16 scan is the truth, so its recall is 1 by definition. Signs ("bits" in the next output and figure: one a number) are searched by FAISS, a library for searching vectors, int8 codes by `course_lib` and by FAISS. Marks without a label are signs with fewer than a thousand candidates. The ten million recorded vectors are drawn around sentences of Wikipedia.
#
# **Predict** how many of the ten true neighbours are among ten candidates by signs, and among a thousand.

# %%
from course_lib.retrieval.quantization import quantize, rescored_top_k, value_ranges

begin = time.process_time()
queries, ranges = draw(base, 50, random), value_ranges(draw(base, 20_000, random))            # (queries, dim), (2, dim)
float16, int8 = np.empty((rows, dim), np.float16), np.empty((rows, dim), np.int8)
signs, codes = (np.empty((rows, dim // 8), np.uint8),
                faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT))
codes.train(draw(base, 20_000, random))                                 # FAISS's int8: one range for all numbers
for start in range(0, rows, 1024):                                      # few enough for the processor's cache
    part = slice(start, min(start + 1024, rows))
    vectors = draw(base, part.stop - start, random)
    float16[part], int8[part], signs[part] = vectors, quantize(vectors, "int8", ranges), quantize(vectors, "ubinary")
    codes.add(vectors)
truth = top_k(queries, float16, 10, dot_score)[1]                       # (queries, 10)
print(f"{rows:,} vectors drawn, quantised and compared with {len(queries)} queries "
      f"in {time.process_time() - begin:.0f} s of processor time")

def recall(found, truth=truth):
    return np.mean([len(set(a[:10]) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist())])

def rescored(vectors, queries, candidates):
    """The ten best of the candidates (queries, many) by the vectors themselves: (queries, 10)."""
    candidates = np.sort(np.maximum(candidates, 0), axis=1)
    scores = np.einsum("qd,qcd->qc", queries, vectors[candidates].astype(np.float32))
    return np.take_along_axis(candidates, np.argsort(-scores, axis=1, kind="stable")[:, :10], axis=1)

# %%
def milliseconds(find, queries):
    """Of single calls, the median, in processor time: waiting for other programs does not count."""
    took = []
    for query in queries:
        begin = time.process_time()
        find(query[None])
        took.append(1000 * (time.process_time() - begin))
    return float(np.median(took))

counter = faiss.IndexBinaryFlat(dim)
counter.add(signs)
ways = {"float16": lambda q: top_k(q, float16, 10, dot_score)[1],
        "int8, x2 rescored": lambda q: rescored_top_k(q, int8, float16, 10, ranges, 2)[1],
        "int8 by FAISS, x2 rescored": lambda q: rescored(float16, q, codes.search(q, 20)[1])}
for times in (1, 10, 40, 100):
    ways[f"bits, x{times} rescored"] = (
        lambda q, n=10 * times: rescored(float16, q, counter.search(quantize(q, "ubinary"), n)[1]))
results = load_results("17")
# how many vectors the recipe drew, of course/sbert-mini
n, recorded_dim = results.query("experiment == 'exact'").n.max(), 256
exact = results.query("experiment == 'exact' and n == @n").pivot(index="setting", columns="metric", values="value")
on_real = results.query("experiment == 'real'").pivot(index="setting", columns="metric", values="value")
n_real = results.query("experiment == 'real'").n.max()                                        # sentences of Wikipedia
here = {name: (milliseconds(way, queries[:7]), recall(way(queries) if name != "float16" else truth))
        for name, way in ways.items()}
there = {name: tuple(exact.loc[name, ["ms_alone", "recall"]]) for name in ways}

# %% tags=["row-1.21"] alt="Scatter plot with logarithmic axes: gigabytes that are searched, across, and seconds for one query alone, upwards; round marks for the vectors of this notebook, squares for ten million, recorded. In both, float16 lies at the upper right, int8 below and left of it, lower by FAISS than by course_lib, and signs at the far left, lowest. Labels give the recall: 1.00 for float16 and int8, and for signs that of 1,000 candidates."
_, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for i, (label, run, size, width) in enumerate([(f"{rows:,} drawn vectors, here", here, rows, dim),
                                               (f"{n:,} drawn vectors, recorded", there, n, recorded_dim)]):
    gigabytes = [size * width * {"float16": 16, "int8": 8, "bits": 1}[re.split("[, ]", name)[0]] / 8e9 for name in run]
    ax.plot(gigabytes, [ms / 1000 for ms, _ in run.values()], MARKERS[i], color=PALETTE[i], label=label)
    print(f"{label}:")
    for gb, (name, (ms, found)) in zip(gigabytes, run.items()):
        print(f"    {name:<26} {gb:5.2f} GB: {ms:8.1f} ms a query alone, recall {found:.3f}")
        if not name.startswith("bits") or "x100" in name:
            ax.annotate(f"  {name.removesuffix(' rescored')}: {found:.2f}  ", (gb, ms / 1000),
                        fontsize=8, va="center", ha="right" if "FAISS" in name else "left")
ax.set(xscale="log", yscale="log", xlabel="GB that are searched", ylabel="seconds, one query alone",
       title="Exact search of drawn vectors; the label is the recall")
ax.margins(x=0.2)
ax.legend(fontsize=8)
plt.show()
print(f"{n_real:,} real sentences of Wikipedia, recorded:")
for name in ways:
    of = on_real.loc[name]
    print(f"    {name:<26} {of.bytes / 1e9:5.2f} GB: {of.ms_alone:8.1f} ms a query alone, recall {of.recall:.3f}")
for name in ("int8, x2 rescored", "int8 by FAISS, x2 rescored"):
    assert min(here[name][1], there[name][1], on_real.recall[name]) > 0.99
for ms in (exact.ms_alone, on_real.ms_alone):                           # on both, signs are the quickest
    assert ms["bits, x100 rescored"] < ms["int8 by FAISS, x2 rescored"] < ms["int8, x2 rescored"] < ms["float16"]
assert there["bits, x100 rescored"][1] > 0.985 and on_real.recall["bits, x100 rescored"] < 0.92

# %% [markdown]
# int8 codes with twice the candidates reach a recall of at least 0.99 in all three blocks of the output. They are half the bytes to scan. In the two recorded blocks they take less time than float16, and signs less still.
#
# **A trap: made-up vectors.** On a million drawn vectors, and on ten million, a thousand candidates by signs hold about 99 of 100 true neighbours. Do not expect that of sentences: on the million real ones, a thousand candidates hold 91.
#
# So take a scan of int8 codes, rescored, while it is quick enough for you: there is no index to build. What if it is too slow?

# %% [markdown]
# ## An index: read only some lists
#
# **Question.** Can you leave vectors out before you compare them?
#
# k-means (notebook 15) finds centroids, and each vector goes into the list of its nearest centroid. A query is compared with the centroids, and then only with the vectors of the nearest lists, the *probes*. This is an *inverted file* (IVF). The cell checks that `course_lib` finds what FAISS finds, and that reading all lists is exact search.

# %% tags=["nbval-check-output"]
import inspect

from course_lib.scale.ivf import InvertedLists

few, asked = (draw(base, 100_000, np.random.default_rng(seed)),                                # (n, dim)
              draw(base, 200, np.random.default_rng(seed + 100)))                              # (200, dim)
nearest = top_k(asked, few, 10, dot_score)[1]                                                  # (200, 10): the truth
theirs = faiss.index_factory(dim, "IVF256,Flat", faiss.METRIC_INNER_PRODUCT)
theirs.cp.niter = 8
theirs.train(few[::3])
theirs.add(few)
ours = InvertedLists(few, theirs.quantizer.reconstruct_n(0, 256))                              # its centroids
for probes in (1, 8, 256):
    theirs.nprobe = probes
    (scores, found), (their_scores, their_rows) = ours.search(asked[:20], 10, probes), theirs.search(asked[:20], 10)
    assert (np.allclose(scores, their_scores, atol=1e-5)
            and (found == their_rows).mean() > 0.99)                    # equal scores may change places
assert np.array_equal(found, nearest[:20])                                                     # all lists: exact
print(inspect.getsource(InvertedLists.search))

# %% [markdown]
# Reading fewer lists misses the neighbours that lie in others. **Predict** for 100,000 vectors in 256 lists: which share of the vectors do 8 probes read, and which share of the true neighbours do they find?
#
# The left panel is **recorded** by `recipes/scale.py`: the sentences of Wikipedia in 4,096 lists. The right one is measured here, with a recorded band of five other seeds. The panels differ in vectors and lists, so read each for itself.

# %% alt="Two line charts of recall at 10 against the share of the lists that are read, on a logarithmic axis. Left, a million real sentences in 4,096 lists, recorded: the curve rises steeply and flattens near 1. Right, the hundred thousand drawn vectors of this notebook in 256 lists: the curve rises inside a narrow band of five recorded seeds. In both, a dotted line of lists chosen at random lies far below."
def of_lists(found):                                                     # {probes: recall} from the recorded settings
    return {int(name.split(", ")[1].split()[0]): value
            for name, value in zip(found.setting, found.value)
            if "probes" in name}

probes, points = np.array([1, 2, 4, 8, 16, 32]), []
for theirs.nprobe in probes.tolist():
    points.append(recall(theirs.search(asked, 10)[1], nearest))
share = probes / 256                                                     # of the lists
read = (np.diff(ours.starts)[top_k(asked, ours.centroids, 8, dot_score)[1]]
        .sum(axis=1).mean() / len(few))                                  # of the vectors, 8 probes
real = of_lists(results.query("experiment == 'real' and metric == 'recall' and setting.str.startswith('IVF4096,Flat')"))
seeds = results.query("experiment == 'live'")
band = np.array([[of_lists(of)[p] for p in probes]
                 for _, of in seeds.groupby(seeds.setting.str.split(",").str[0])])     # (seeds, probes)
_, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
curve([p / 4096 for p in real], list(real.values()), "4,096 lists (recorded)", axes[0])
curve(share, points, "256 lists (here)", axes[1])
axes[1].fill_between(share, band.min(0), band.max(0), color=PALETTE[0], alpha=0.3, linewidth=0,
                     label="five other seeds (recorded)")
for ax, at_random, title in zip(axes, (np.geomspace(1 / 4096, 1 / 16), np.geomspace(1 / 256, 1 / 8)),
                                (f"{n_real:,} real sentences", f"{len(few):,} drawn vectors")):
    ax.plot(at_random, at_random, ":", color="gray", label="lists chosen at random")
    ax.set(xscale="log", xlabel="share of the lists that are read", ylabel="recall@10", ylim=(0, 1.02), title=title)
    ax.legend(fontsize=8)
plt.show()
print(f"8 of 256 lists, {share[3]:.1%}, hold {read:.1%} of the vectors")
for p, low, high, value in zip(probes, band.min(0), band.max(0), points):
    print(f"{p:>3} probes: recall {value:.3f}, recorded {low:.3f} to {high:.3f}")
assert not bundled or seed or all(low - 0.02 < value < high + 0.02
                                  for low, high, value in zip(band.min(0), band.max(0), points))
assert (points[3] > 10 * share[3]
        and all((np.diff(np.diff(of) / np.diff(p)) < 0).all()
                for p, of in ((probes, points), (list(real), list(real.values())))))

# %% [markdown]
# In both panels a few lists hold most of the neighbours, and each further list brings less (the axis is logarithmic). The number of probes is yours to choose at each query: **measure recall on your own vectors against exact search**, as here.
#
# ## Smaller vectors in the lists
#
# **Question.** An index of whole vectors is as heavy as the vectors. What may its lists hold instead?
#
# *Product quantisation* (PQ) cuts a vector into short pieces, here of two numbers, and replaces each piece by the nearest of 16 that k-means found: four bits. A query's products with the 16 are computed once for each piece, and only looked up for each vector. The order they give is coarse, so a hundred candidates are rescored.
#
# **Predict** the recall without rescoring and with it, if the same 32 lists of whole vectors reach 0.88.

# %%
from sentence_transformers.util.quantization import semantic_search_faiss

coded = faiss.index_factory(dim, f"IVF256,PQ{dim // 2}x4fs", faiss.METRIC_INNER_PRODUCT)
coded.cp.niter, coded.nprobe = 8, 32
coded.train(few[::3])
coded.add(few)
in_index = len(faiss.serialize_index(coded))
plain, with_vectors = coded.search(asked, 10)[1], rescored(few, asked, coded.search(asked, 100)[1])
print(f"here, {len(few):,} vectors: {few.nbytes / 1e6:.0f} MB as float32, {in_index / 1e6:.0f} MB in the index")
print(f"32 probes: recall {recall(plain, nearest):.2f} by the codes, "
      f"{recall(with_vectors, nearest):.2f} rescored, {points[-1]:.2f} with whole vectors")
graph = results.query("experiment == 'graph'").pivot(index="setting", columns="metric", values="value")
for kind in ("IVF256,Flat", "HNSW16"):
    built, asked_64 = graph.loc[kind], graph.loc[f"{kind}, 64"]
    print(f"recorded, {kind}: built in {built.build_seconds:.0f} s, {built.bytes / 1e6:.0f} MB, "
          f"recall {asked_64.recall:.2f} at {asked_64.ms_alone:.2f} ms a query")
assert (graph.loc["HNSW16, 64", "ms_alone"] < graph.loc["IVF256,Flat, 64", "ms_alone"] / 4
        and graph.loc["HNSW16", "build_seconds"] > 10 * graph.loc["IVF256,Flat", "build_seconds"])
# sentence-transformers
hits, _ = semantic_search_faiss(asked, corpus_embeddings=few, top_k=10, rescore=False, exact=True)
assert np.mean([[hit["corpus_id"] for hit in line] == rows.tolist() for line, rows in zip(hits, nearest)]) > 0.99

def measured(experiment, start="", size=n):
    of = results.query("experiment == @experiment and n == @size")
    return of[of.setting.str.startswith(start)].pivot(index="setting", columns="metric", values="value")

assert (not bundled
        or recall(plain, nearest) + 0.1 < recall(with_vectors, nearest)
        and abs(recall(with_vectors, nearest) - points[-1]) < 0.02)

# %% tags=["row-1.21"] alt="Two panels, recorded: milliseconds of one query alone against recall, with logarithmic time. Left, a million real sentences: codes alone end at 0.65, rescored they rise to 0.99 at a millisecond; exact signs end at 0.91, above the index; exact int8 stands at 1.00, more than fifteen times as slow. Right, ten million drawn vectors: exact signs are a flat line that meets the index at 0.99, LanceDB lies above the index and crosses the signs, exact int8 lies far above all."
_, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
for ax, experiment, what in zip(axes, ("real", "exact"), ("real sentences", "drawn vectors")):
    size = results.query("experiment == @experiment").n.max()
    scans = measured(experiment, size=size)
    coded_of = measured("real" if experiment == "real" else "faiss", "IVF4096,PQ128x4fs, ", size)
    families = {"IVF,PQ, codes alone": coded_of[~coded_of.index.str.contains("rescored")],
                "IVF,PQ, 100 rescored": coded_of[coded_of.index.str.contains("x10 ")],
                "exact signs, rescored": scans[scans.index.str.contains("bits, x[14]0")],
                "exact int8, rescored": scans.loc[["int8 by FAISS, x2 rescored"]],
                "LanceDB, on disk": measured("lancedb", "IVF_RQ,", size)}
    for i, (name, of) in enumerate((name, of.sort_values("recall")) for name, of in families.items() if len(of)):
        ax.plot(of.recall, of.ms_alone, MARKERS[i] + LINES[i % 4], color=PALETTE[i], label=name)
        print(f"{size:>10,} {what}, {name:<22} recall up to {of.recall.max():.3f}, then {of.ms_alone.iloc[-1]:7.2f} ms")
    ax.set(yscale="log", xlabel="recall@10", ylabel="ms, one query alone", title=f"{size:,} {what}")
    ax.legend(fontsize=7)
    if experiment == "real":
        assert (families["exact signs, rescored"].recall.max() < 0.92
                and (15 * families["IVF,PQ, 100 rescored"].ms_alone.iloc[-1]
                     < families["exact int8, rescored"].ms_alone.item()))
plt.show()
two_digits = lambda value: f"{float(f'{value:.2g}'):,.0f}"
index, scan = (measured("faiss"),
               measured("exact").loc[["int8, x2 rescored", "int8 by FAISS, x2 rescored"]].min())  # the quicker of both
best, build = index.loc["IVF4096,PQ128x4fs, 1024 probes, x10 rescored"], index.build_seconds.max()
for column, where in {"ms_alone": "alone", "ms_in_a_batch": "in a batch"}.items():
    print(f"queries {where}: {scan[column]:.0f} ms exactly, "
          f"{best[column]:.0f} by the index, which is built in {build:.0f} s; "
          f"it pays after {two_digits(1000 * build / (scan[column] - best[column]))} queries")
assert best.recall > 0.985

# %% [markdown]
# On the 100,000 drawn vectors, codes lose recall, and rescoring brings it back to that of whole vectors in the same lists. For that, the whole vectors must be kept beside the index.
#
# - On a million real sentences (left), the rescored index reaches 0.986 in less than a fifteenth of the time of exact int8, whose recall is 1.000. Signs, scanned in full, reach 0.909.
# - On ten million drawn vectors (right), the rescored index and exact signs both reach 0.991, in 12 and 16 milliseconds. LanceDB is the database of the next section. Along each line grows the number of probes, of candidates, or (LanceDB) of both.
#
# The index has a price that exact search has not: it must be built. The *break-even* is the number of queries after which building has paid. It is printed against exact int8 on the drawn vectors, of which the index finds a little less: for queries asked alone, and for many at once. Exact signs are quicker than int8, but on real sentences they miss more.
#
# *HNSW* is the other common index: a graph of neighbours, walked from node to node. The recorded lines compare it with lists of whole vectors, on 100,000 drawn vectors: at the printed recalls it answers more than four times as fast; it takes more than ten times as long to build. In sentence-transformers, `semantic_search_faiss` searches exactly, or by HNSW with `exact=False`.
#
# ## A database of vectors
#
# **Question.** An index finds row numbers. Who keeps the texts, the dates and the deletions, and what happens when the process is killed?
#
# A *vector database* does. LanceDB is one without a server: a library over a folder, as SQLite is one over a file. Its index lies on disk. The table has 50,000 drawn vectors, each with the sentence around which it was drawn, and a year.

# %%
from course_lib.scale import table as tables

def batches(n, size=10_000):
    random = np.random.default_rng(seed)
    for start in range(0, n, size):
        i, j, k = random.integers(len(base), size=(3, size))
        ids = np.arange(start, start + size)
        yield {"id": ids, "year": 1950 + ids % 75, "near": [texts[row] for row in i],
               "vector": unit(base[i] + 0.7 * (base[j] - base[k]))}

folder = work / "table"
table = tables.create(folder, batches(50_000))                # one batch in memory at a time
tables.index(table, partitions=64)
query = encoder.encode(["Where do I renew my library card?"], normalize_embeddings=True, show_progress_bar=False)[0]
for where in (None, "year >= 2020"):
    found = tables.search(table, query, 3, where=where)
    print(where or "no filter", *zip(found["year"].to_pylist(), found["near"].to_pylist()), sep="\n    ")
assert table.count_rows() == 50_000 and min(found["year"].to_pylist()) >= 2020
everything = np.concatenate([batch["vector"] for batch in batches(50_000)])                    # (50_000, dim)
by_table = [tables.search(table, q, 10, probes=32)["id"].to_pylist() for q in asked[:20]]
exact_rows = top_k(asked[:20], everything, 10, dot_score)[1]
assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(by_table, exact_rows.tolist())]) > 0.8

# %% [markdown]
# The answers come with their texts and years, and the filter holds.
#
# ### A trap: the filter that finds nothing
#
# You look for three rows that certainly exist, by their ids, with the plain call of the library and two probes of 64 lists. **Predict** how many of the three come back.

# %%
wanted = "id IN (7, 19000, 42001)"
plain = (table.search(query).distance_type("l2").select(["id", "_distance"])
         .limit(10).nprobes(2).where(wanted).to_arrow())
cured = tables.search(table, query, 10, probes=2, where=wanted)
print(f"nprobes(2): {plain.num_rows} of 3 rows; course_lib's search: {cured.num_rows} of 3")
assert plain.num_rows < cured.num_rows == 3
print(*(line.strip() for line in inspect.getsource(tables.search).splitlines() if "nprobes" in line), sep="\n")
filtered = measured("lancedb", "where").ms_alone
unfiltered = measured("lancedb").loc["IVF_RQ, 64 probes, x20 rescored"].ms_alone
print(f"recorded, {n:,} drawn vectors, 64 probes: {unfiltered:.0f} ms without a filter")
for where, ms in filtered.items():
    print(f"    {where.replace(', indexed', ', with an index of the column')}: {ms:.0f} ms")
assert filtered.min() > 8 * unfiltered

# %% [markdown]
# The plain call misses rows that exist, and there is no error. It reads the two lists nearest to the query, and these rows lie in others. One cure (question 2 has another) is to let it read on until it has as many rows as asked for, or has read all lists: `minimum_nprobes(...)` and `maximum_nprobes(0)`. A narrow filter may make it read every list. Each recorded search with a filter and this cure took more than eight times as long as the one without, the widest filter longest.
#
# ### Killed in the middle
#
# A process appends a thousand rows at a time and reports each append. It is killed, without a chance to tidy up. **Predict** what the table holds.

# %%
APPEND = """
import sys
import numpy as np
from course_lib.scale import table as tables
table = tables.opened(sys.argv[1])
n, dim = table.count_rows(), int(sys.argv[2])
while True:
    vectors = np.random.default_rng(n).standard_normal((1000, dim))
    tables.append(table, {"id": np.arange(n, n + 1000), "year": [2026] * 1000, "near": [""] * 1000, "vector": vectors})
    n += 1000
    print(n, flush=True)
"""
child = subprocess.Popen([sys.executable, "-c", APPEND, str(folder), str(dim)],
                         cwd=COURSE_HOME, stdout=subprocess.PIPE, text=True)
told = [child.stdout.readline() for _ in range(10)]
child.kill()                                                            # SIGKILL: nothing that it could catch
told += child.stdout.read().splitlines()
ids, acknowledged = np.sort(tables.opened(folder).to_arrow()["id"].to_numpy()), int(told[-1])
assert np.array_equal(ids, np.arange(len(ids))) and len(ids) in (acknowledged, acknowledged + 1000)
appends = results.query("experiment == 'appends'")
kills, times = appends.set_index("metric").value, appends.n.max()
print(f"reported: {acknowledged:,} rows; found after the kill: {len(ids):,}, each once")
print(f"recorded: {times} kills, {kills.lost:.0f} reported rows lost, {kills.repeated:.0f} twice, "
      f"opened again within {kills.reopened:.1f} s")
assert kills.lost == kills.repeated == 0

# %% [markdown]
# Every reported row is there, once, here and in the recorded kills. Of the thousand rows in hand, all are there or none: the cell checks it.
#
# ## Encoding on many machines
#
# **Question.** The vectors must be computed first. How do you spread that, and what if a process dies after six hours?
#
# Ray Data cuts a collection into blocks and hands them to *actors*, processes that each load the model once. `course_lib.scale.encode` switches on its *checkpoint*: Ray notes a block's ids there, writes the block's parquet file, and then confirms the ids. A job started again skips what is confirmed and deletes what is not. The same command runs on a laptop and, with `RAY_ADDRESS`, should run on a cluster whose machines share the code and the folders: not tried here. In the job that was started above, an actor was killed once the first vectors were written.
#
# **Predict** how many rows are missing at the end, and how many are there twice.

# %%
if running is None:
    print("left out: Ray for Windows is a beta")
else:
    processes, code = running.result()                                   # waits where the job is not through
    print(f"{processes} processes; 1 actor killed; exit code {code}")
    encoded = pq.read_table(target).sort_by("id")
    assert code == 0 and encoded["id"].to_pylist() == list(range(len(texts)))
    assert np.abs(np.stack(encoded["vector"].to_numpy()) - base).max() < 1e-5    # as encoded at the beginning
    print(f"{len(texts):,} rows, each once, equal to those of one process")

# %% [markdown]
# No row is missing, none is there twice, and the vectors are those of one process. What if the whole job dies? **Recorded** by `recipes/scale_encode.py`: a job on 20,000 sentences, all its processes killed three times, each time started again with the same command. The recipe also recorded processor time, once each for 2,000 and 20,000 sentences. From these two the cell computes the cost of a start and that of a text.

# %%
killed = results.query("experiment == 'killed'").set_index(["setting", "metric"]).value
for what in ("jobs of Ray", "an actor of Ray"):
    print(f"{what} killed: {killed[what, 'rows']:,.0f} rows at the end, {killed[what, 'distinct']:,.0f} different ones")
    assert killed[what, "rows"] == killed[what, "distinct"] == 20_000
took = results.query("experiment == 'encode'").set_index(["setting", "n"]).value
least, most = sorted(took["2 actors"].index)
def line(setting):                                                      # processor seconds = start + texts * each
    each = (took[setting, most] - took[setting, least]) / (most - least)
    return took[setting, least] - least * each, each

(start, each), (alone_start, alone) = line("2 actors"), line("one process")
print(f"processor time: Ray {start:.0f} s to start and {1000 * each:.2f} ms a text, "
      f"one process {alone_start:.0f} s and {1000 * alone:.2f} ms")
assert start > alone_start and each > alone
for n_texts in (10_000_000, 1_000_000_000):
    of_a_core = n_texts * each / 3600
    print(f"{n_texts:>13,} texts: {of_a_core:,.0f} hours of one core; divided evenly, "
          f"{of_a_core / 16:,.1f} hours on 16 cores, {of_a_core / 128:,.1f} on 128")

# %% [markdown]
# No row was lost or doubled by these kills. Ray takes more processor time than one process, to start and for each text. It gives you the restart and the division of the work. If the work divides evenly, 16 cores encode ten million such sentences with this small model within an hour. This is arithmetic, not a measurement.
#
# ## Training on several processes
#
# **Question.** Encoding gives the same vectors in one process or several. Does training learn the same, too?
#
# Each process has a copy of the model and a share of every batch. The gradients are added up, so that all take the same step. The ranking loss (notebook 09) needs more: each anchor chooses among all positives of the batch, and a process with half of the batch has half of them. So the processes _gather_ each other's vectors: `MultipleNegativesRankingLoss(gather=gather)`. The script trains three steps on 64 pairs, with gathering and without.
#
# **Predict** which losses of two processes equal those of one: with gathering, without, or both.

# %%
(work / "my_training.py").write_text("""import sys
from course_lib.data import load_pairs
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.support.distributed import gather, processes
from course_lib.training import train
settings = dict(batch_size=64, epochs=3, learning_rate=1e-4, autocast=False, log_every=1, show_progress_bar=False)
for name, of_all in {"gathered": gather, "own negatives": None}.items():
    encoder = SentenceEncoder.load(sys.argv[1], dtype="float32")
    objective = siamese_objective(encoder, MultipleNegativesRankingLoss(gather=of_all))
    loss = lambda batch: encoder.eval() and objective(batch)\
           # eval: no dropout, so that losses can be compared
    history = train(encoder, loss, load_pairs()[:64], **settings)
    if processes()[0] == 0:                                            # of several processes the first reports
        print(f"{name:>13}:", *(f"{entry['loss']:.4f}" for entry in history))
""", encoding="utf-8")
launchers, losses = {1: [], 2: ["-m", "course_lib.scale.parallel", "--processes", "2"]}, {}
options = dict(cwd=COURSE_HOME, env=os.environ | {"PYTHONPATH": str(COURSE_HOME), "OMP_NUM_THREADS": "1"},
               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
runs = {n: subprocess.Popen([sys.executable, *launcher, str(work / "my_training.py"), model], **options)
        for n, launcher in launchers.items()}                           # at once
for count, run in runs.items():
    told, complaints = run.communicate()
    assert run.returncode == 0, complaints
    print("python", *launchers[count], "my_training.py", model, f"\n{told}")
    losses[count] = np.array([line.split(":")[1].split() for line in told.splitlines()], float)         # (2, steps)
assert np.abs(losses[2][0] - losses[1][0]).max() < 2e-4 and losses[2][1, 0] < losses[1][1, 0]

# %% [markdown]
# Each printed loss is the mean over the processes. With gathering, two processes have the losses of one, at every step. Without it the first loss is lower, although the weights are the same: each anchor chooses among half as many positives. The run ends without an error.
#
# ## What to use for how many vectors
#
# **Question.** Where does one machine end?
#
# The cell takes the times and bytes recorded for ten million drawn vectors of 256 numbers, for four of the ways with a recall of about 0.99 or more; exact signs reach it too, but are left out: on real sentences they reached 0.909. LanceDB's codes are bits too, and were not recorded on real sentences: measure its recall on yours. It computes how many vectors each can search within `patience` seconds, if time grows with their number and recall stays, and how many fit: into `memory` gigabytes with the float16 vectors, for LanceDB into a terabyte of disk.

# %% alt="Horizontal lines on a logarithmic axis of vectors from a thousand to ten billion, one for each way to search, with the limit of time and the limit of space marked on each. float16 ends first, near a million, then int8 at a few million, both by time; the index in memory ends by space and LanceDB by time, both near thirty million."
# whole: bytes of the float16 vectors
exact_of, lance, whole = measured("exact"), measured("lancedb"), 2 * recorded_dim * n
disk = lance.loc[["create", "IVF_RQ"], "bytes"].sum()
ways = {"exact, float16": (exact_of.loc["float16", "ms_alone"], whole, memory),
        "exact, int8 rescored": (scan.ms_alone, recorded_dim * n + whole, memory),
        "IVF,PQ rescored, in memory": (best.ms_alone, index.bytes.max() + whole, memory),
        "LanceDB, on disk": (lance.loc["IVF_RQ, 1024 probes, x50 rescored", "ms_alone"], disk, 1000)}
_, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
limits = {}
for y, (name, (ms, size, gigabytes)) in enumerate(ways.items()):
    by_time, by_space = n * patience * 1000 / ms, n * gigabytes * 1e9 / size
    limits[name] = min(by_time, by_space)
    ax.hlines(y, 1e3, limits[name], color=PALETTE[0], linewidth=4)
    ax.plot(by_time, y, "o", color=PALETTE[1], label=f"{patience} s a query" if not y else None)
    ax.plot(by_space, y, "s", color=PALETTE[2], label="space" if not y else None)
    print(f"{name:<30} {two_digits(limits[name]):>14} vectors, limited by {'time' if by_time < by_space else 'space'}")
ax.set(xscale="log", xlim=(1e3, 1e10), yticks=range(len(ways)), yticklabels=ways, xlabel="vectors",
       title="How far one machine goes, with drawn vectors of 256 numbers")
ax.invert_yaxis()
ax.legend(fontsize=8)
plt.show()
assert lance.recall["IVF_RQ, 1024 probes, x50 rescored"] > 0.985
assert ((patience, memory) != (0.1, 16)
        or all(2.5e7 < limits[name] < 3e7 for name in ("IVF,PQ rescored, in memory", "LanceDB, on disk")))
assert ((patience, memory) != (0.1, 16)
        or (limits["exact, float16"] < limits["exact, int8 rescored"]
            < min(limits["IVF,PQ rescored, in memory"], limits["LanceDB, on disk"])))

# %% [markdown]
# Each line ends at the first of its two limits. The exact ways end by time. The index ends by memory and LanceDB by time, both between 25 and 30 million vectors. Beyond that you need more memory or threads, whole vectors in fewer bits or on a disk, more patience, a lower recall or a second machine.
#
# The limits hold for the machine that recorded them, drawn vectors, no filter, one thread, one query at a time, and all of `memory` for vectors and index: leave room for the system and the texts. Times are processor time, of LanceDB that of all its threads together. Waiting for the disk is not in them: time LanceDB by the clock, on your disk.
#
# ## In practice
#
# For the setting and the machine recorded:
#
# | vectors | take |
# |---|---|
# | up to a million | exact search over an array in memory |
# | to five million | exact over int8 codes by FAISS, rescored; LanceDB to keep texts and changes too |
# | to 25 million (in memory 15 GB, without system and texts) | IVF with small codes, rescored (FAISS, LanceDB) |
# | more, or many users, or no break when a machine fails | a server: below |
# | more than a night's encoding | Ray Data with checkpoints, on one machine, then on more |
#
# **A server, on paper.** pgvector adds vectors to PostgreSQL: choose it if your data lie there already. It has HNSW and, for filters, `hnsw.iterative_scan`, which, switched on, reads on as far as `hnsw.max_scan_tuples`. Qdrant is a server made for vectors and what belongs to them, with HNSW, int8 codes, filters and *shards*: each machine searches its part, and the answers are merged, as in exercise 2.
#
# **What to watch.** Recall against exact search on your own queries, after each change; filters that few rows pass; the model's fingerprint (notebook 13).
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB): 384 numbers; the recorded rows keep 256.
#
# ## Exercises
#
# **1.** You have searched with several numbers of probes, and once exactly. Which number do you set?

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def fewest_probes(found, truth, wanted):
    """found: {probes: for each query the rows found, -1 where a list held too few}; truth: for each query its true rows
    -> the fewest probes whose recall, each query's share of its true rows, on average is at least `wanted`; else 0."""
    ...

check("17.1", fewest_probes)

# %% [markdown]
# **2.** Merge what several machines found. Each numbers its own rows from 0.

# %% tags=["exercise", "nbval-check-output"]
def merge(found, sizes, k):
    """found: for each shard its best (score, row), best first; sizes: the rows of each shard. The rows of the whole
    are those of the first shard, then those of the second... -> the k best (score, row) of the whole, best first;
    of equal scores the lower row first."""
    ...

check("17.2", merge)

# %% [markdown]
# **3.** From how many queries on does an index save time?

# %% tags=["exercise", "nbval-check-output"]
def break_even(build_seconds, exact_ms, index_ms):
    """Seconds to build the index; milliseconds of a query without and with it -> the smallest whole number of queries
    for which building and searching takes less time than exact search; "never" if there is none."""
    ...

check("17.3", break_even)

# %% [markdown]
# ## Questions
#
# **1.** Your index has a recall of 0.95 against exact search. Users say that search is bad. Is it the index?
#
# <details><summary>Answer</summary>At most in part: on average one of twenty true neighbours is missing. Search the same questions exactly. What is still bad then is the model's, or the texts'.</details>
#
# **2.** A filter keeps a thousandth of the rows. Do you need the vector index for it?
#
# <details><summary>Answer</summary>No. Take the rows by an index of the column, and compare them all.</details>
#
# **3.** A job on eight machines died at 90 %. What do you check before you start it again?
#
# <details><summary>Answer</summary>That model and weights are the same, that checkpoint and target are those of the first start, and afterwards that each id is there once.</details>
#
# ## Summary
#
# - A scan reads all vectors, so their weight counts, and so does the code that compares them. int8 codes, rescored, miss hardly anything here.
# - Recall on drawn vectors does not stand for that on real ones. Measure on your own.
# - A few lists hold most neighbours. Small codes make an index light, and rescoring brings back what they lose, but needs the whole vectors, too.
# - A filter over an approximate index may find nothing, without an error.
# - With appends and checkpoints, none of the kills here lost a reported row or doubled one.
# - In-batch negatives must be gathered, or two processes train with another loss than one.
# - With 256 numbers a vector, 16 GB of memory, a terabyte of disk and 0.1 seconds of processor time, one machine ends at 25 to 30 million drawn vectors, one thread searching.
#
# ## References
#
# - Jégou, Douze and Schmid (2011), [Product quantization for nearest neighbor search](https://doi.org/10.1109/TPAMI.2010.57).
# - Douze et al. (2024), [The Faiss library](https://arxiv.org/abs/2401.08281).
# - Malkov and Yashunin (2016), [HNSW](https://arxiv.org/abs/1603.09320).
# - Gao and Long (2024), [RaBitQ](https://arxiv.org/abs/2405.12497): the bits in LanceDB's `IVF_RQ`.
# - Moritz et al. (2017), [Ray](https://arxiv.org/abs/1712.05889).
# - [LanceDB](https://lancedb.github.io/lancedb/), [Ray Data](https://docs.ray.io/en/latest/data/data.html), [pgvector](https://github.com/pgvector/pgvector), [Qdrant](https://qdrant.tech/documentation/).
#
# **That was the last notebook.** Notebook 13 has the search that you could deploy.
