# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/08_the_library.ipynb)
#
# # What does sentence-transformers do with your five sentences?
#
# You have built a sentence encoder from its parts. Here you load the same weights with the library that everybody uses, find out what it silently ignores, and learn what its scores are worth.
#
# | | |
# |---|---|
# | You will be able to | read a printed model and run it module by module; count what was never read; judge a cosine by people's grades; choose a model and load it safely |
# | You need first | notebook 06: mean pooling, cosine, the ranking loss |
# | Time | 40 minutes to read; the code runs in under a minute |
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
# `model` is what you take apart: a model of the course, a folder, or a name on the hub. `random_pairs` is how many pairs of unrelated sentences a score is compared with. `full` measures what is otherwise read from a file.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini"
random_pairs = 20000
full = False

# %% [markdown]
# ## Load it, print it, read it
#
# **Question.** What does a loaded model say about itself?
#
# `pip install sentence-transformers` installs the library. The UKP Lab of TU Darmstadt made it in 2019; an engineer of Hugging Face has maintained it since late 2023, and in 2025 the project moved there.
#
# Two libraries appear here: `library` is the model in sentence-transformers, `encoder` the same folder in `course_lib`.

# %% tags=["row-1.35", "row-1.36"]
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_lib.support.folders import resolve                              # first: it filters a warning of tqdm's
from course_lib.encoder import SentenceEncoder
import transformers
from sentence_transformers import SentenceTransformer, util

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

folder = str(resolve(model))                                                # "course/..." -> a folder on this machine
library = SentenceTransformer(folder, device="cpu")
encoder = SentenceEncoder.load(model, device="cpu", dtype="float32")
dim = library.get_embedding_dimension()
assert len(library) == len(encoder) and library.max_seq_length == encoder.max_seq_length
print(f"sentence-transformers {version('sentence-transformers')}\n{library}")
print(f"\nmax_seq_length stands in this printout: {'max_seq_length' in str(library)}; the model's is {library.max_seq_length}")

# %% [markdown]
# A model is a list of modules. Read the printout line by line:
#
# - **(0) Transformer** turns text into one vector a token. `transformer_task` says which class of the package transformers is loaded: `feature-extraction` is the bare network, without a head. `modality_config` lists the kinds of input (here only text), the method that each goes through (`forward`) and which of its results is kept (`last_hidden_state`). `module_output_name` is the name under which the next module finds the vectors.
# - **(1) Pooling** turns the token vectors into one vector a sentence. `pooling_mode` says how. `include_prompt` says whether the tokens of a prompt count in the average; prompts come below.
# - A third line, where there is one, divides each vector by its length (`Normalize`) or changes the number of dimensions (`Dense`).
#
# One setting that you need is not printed: `max_seq_length`, the number of tokens that are read.
#
# **Predict** the shape of the data after each of three steps, for two sentences of 9 and 7 words: after `preprocess`, after module 0, after module 1.

# %% tags=["row-1.36", "nbval-check-output"]
cats = ["A cat sits on a mat beside the door", "A feline is on a red carpet"]
features = library.preprocess(cats)                                         # a dictionary that every module adds to
print("preprocess  adds", {name: tuple(value.shape) for name, value in features.items() if name != "modality"})
with torch.no_grad():
    for module in library:
        before = set(features)
        features = module(features)
        print(f"{type(module).__name__:11} adds", {name: tuple(features[name].shape) for name in sorted(set(features) - before)})

by_steps = features["sentence_embedding"].numpy()                           # (2, dim)
encoded = library.encode(cats, show_progress_bar=False)                     # (2, dim)
assert np.allclose(by_steps, encoded, atol=1e-6)
print("encode gives the same:", np.allclose(by_steps, encoded, atol=1e-6))

# %% [markdown]
# That is all of `encode`, apart from sorting texts by length and cutting the list into batches. `preprocess` added `[CLS]` and `[SEP]` to each text, and padding to the shorter one.
#
# ## Six ways of pooling
#
# **Question.** What would the other pooling modes compute?
#
# Take a sentence of three tokens with vectors of two numbers, and a padding token. First by hand, then from both libraries.
#
# **Predict:** which modes give another result when the sentence is turned round? And which when the padding vector changes?

# %% tags=["row-1.38", "nbval-check-output"]
from sentence_transformers.sentence_transformer import modules
from course_lib.pooling import POOLING_MODES, pool

a, b, c, padding = [1.0, 8.0], [2.0, 0.0], [6.0, 1.0], [99.0, 99.0]
by_hand = {
    "cls": a,                                                           # the first token
    "max": [max(x) for x in zip(a, b, c)],                              # the largest of each dimension
    "mean": [sum(x) / 3 for x in zip(a, b, c)],
    "mean_sqrt_len_tokens": [sum(x) / 3**0.5 for x in zip(a, b, c)],    # grows with the length
    "weightedmean": [(x + 2 * y + 3 * z) / 6 for x, y, z in zip(a, b, c)],    # later tokens weigh more
    "lasttoken": c,
}
assert set(by_hand) == set(POOLING_MODES)
tokens, mask = torch.tensor([[a, b, c, padding]]), torch.tensor([[1, 1, 1, 0]])    # (1, 4, 2), (1, 4)
turned, other = tokens[:, [2, 1, 0, 3]], torch.tensor([[a, b, c, [-5.0, 7.0]]])
for mode, expected in by_hand.items():
    ours = pool(tokens, mask, mode)                                                # (1, 2)
    theirs = modules.Pooling(2, mode)({"token_embeddings": tokens, "attention_mask": mask})["sentence_embedding"]
    assert torch.allclose(ours, torch.tensor([expected])) and torch.allclose(ours, theirs)
    assert torch.allclose(ours, pool(other, mask, mode))                           # padding is never seen
    same = torch.allclose(ours, pool(turned, mask, mode))
    print(f"{mode:22} {[round(x, 3) for x in expected]!s:18} turned round: {'the same' if same else 'another vector'}")

# %% [markdown]
# Padding changes none of them: the mask keeps it out. The mode is part of a trained model, like its weights; notebook 07 showed what another mode costs.
#
# ## What the model never reads
#
# ### A trap: the end of a long text
#
# **Question.** What happens to a text longer than `max_seq_length`?
#
# Two long mails begin alike. One ends in a yes, the other in a no.
#
# **Predict** the cosine of their vectors.

# %% tags=["row-1.37", "nbval-check-output"]
opening = "Thank you for the long and friendly talk that we had about your offer. " * (library.max_seq_length // 10)
endings = ["We accept it.", "We refuse it, and you will hear from our lawyers."]
mails = [opening + ending for ending in endings]
yes, no = library.encode(endings, show_progress_bar=False)
vectors = library.encode(mails, show_progress_bar=False)                                # (2, dim)
print(f"largest difference of the two mails' vectors is under 1e-6: {bool(np.abs(vectors[0] - vectors[1]).max() < 1e-6)}")
print(f"cosine of the two endings alone: {util.cos_sim(yes, no).item():.2f}")

token_ids = library.tokenizer(mails, truncation=False)["input_ids"]                     # with [CLS] and [SEP]
lengths = [len(ids) for ids in token_ids]
print(f"{lengths} tokens; {sum(n > library.max_seq_length for n in lengths)} of {len(mails)} texts exceed {library.max_seq_length}")

_, cut = encoder.encode(mails, return_truncated=True, show_progress_bar=False)          # course_lib counts for you
assert np.allclose(vectors[0], vectors[1], atol=1e-6) and util.cos_sim(yes, no) < 0.9
assert cut == sum(n > library.max_seq_length for n in lengths) == 2

# %% [markdown]
# The two vectors are equal. This is *truncation*: everything beyond the *maximum sequence length* is dropped before the model sees it, without an error and without a word. So count before you embed. The recipe for sentence-transformers: tokenise without truncation, and compare the lengths with `model.max_seq_length`. (`return_truncated` exists only in `course_lib`.) Notebook 13 shows what to do then.
#
# ### Capitals
#
# Old printouts show a setting `do_lower_case: False`. It sounds as if capitals count.
#
# **Predict:** do `apple pie` and `APPLE PIE` get the same vector? The cell tries the model as loaded, with a tokenizer that leaves capitals alone, and with that tokenizer and the setting switched on.

# %% tags=["row-1.37", "nbval-check-output"]
import copy
import json

from tokenizers import Tokenizer
from course_lib.transformer import Transformer

words = ["apple pie", "APPLE PIE"]
settings = json.loads(encoder[0].tokenizer.to_str()) | {"normalizer": None}       # the same tokenizer, told to leave text alone
cased = Transformer(encoder[0].model, Tokenizer.from_str(json.dumps(settings)), encoder.max_seq_length)
flagged = copy.copy(cased)
flagged.do_lower_case = True
for name, first in (("as loaded", encoder[0]), ("capitals left alone", cased), ("the same, do_lower_case", flagged)):
    variant = SentenceEncoder([first, *list(encoder)[1:]], dtype="float32")
    lower, upper = variant.encode(words, show_progress_bar=False)
    same = bool(np.allclose(lower, upper, atol=1e-6))
    assert same == (variant.tokens(words[0]) == variant.tokens(words[1])) == (name != "capitals left alone")
    print(f"{name:24} do_lower_case={first.do_lower_case!s:6} APPLE PIE -> {variant.tokens(words[1])}   equal: {same}")

# %% [markdown]
# The vectors are equal although the setting is off. It only says whether the library lower-cases a text before the tokenizer sees it. An *uncased* model has a tokenizer that lower-cases by itself, so capitals are lost either way. The second line removes that step: the vocabulary has no capitals, and both words become `[UNK]`, the token for unknown words. In the third line the library lower-cases, and the vectors are equal again.
#
# ## Five sentences, one matrix
#
# **Question.** What can you read off a matrix of cosines?
#
# The example is from Marqo's introduction to sentence transformers: five sentences of its website.
#
# **Predict** the shape of what `encode` returns, and which two sentences will be closest.

# %% tags=["row-1.39", "row-1.40"] alt="Heatmap of the cosines of five sentences about Marqo, five by five, with the values in the cells: the diagonal is 1, sentences 1 and 5 are closest by far, and all other cells are much paler."
from pathlib import Path
from textwrap import fill
from course_lib.plotting import heatmap

sentences = [
    "With Marqo you can use your data to increase relevance with embedding search",
    "Join the conversation on our Marqo Community Channel",
    "AI search that understands the way your customers think",
    "How RedBubble increased revenue with Marqo",
    "With Marqo you can use your data to increase downloads with embedding search",
]
embeddings = library.encode(sentences, show_progress_bar=False)         # (5, dim): an array already
assert isinstance(embeddings, np.ndarray) and embeddings.shape == (5, dim)
sim = util.cos_sim(embeddings, embeddings).numpy()                      # (5, 5)
assert np.allclose(sim, sim.T, atol=1e-6) and np.allclose(np.diag(sim), 1, atol=1e-6)
assert sim[0, 4] == (sim - 2 * np.eye(5)).max()                         # the largest outside the diagonal
_, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
heatmap(sim, labels=[fill(s, 45) for s in sentences], title="Sentences 1 and 5 are closest", ax=ax)
ax.images[0].colorbar.remove()                                          # the values stand in the cells
plt.show()
shared, either = (kind(*(set(sentences[i].lower().split()) for i in (0, 4))) for kind in (set.intersection, set.union))
print(f"embeddings: {embeddings.dtype} {embeddings.shape}; sentences 1 and 5 share {len(shared)} of {len(either)} words")

# %% [markdown]
# Sentences 1 and 5 have the highest cosine, and they differ in one word: counting shared words would have found them, too. The matrix is symmetric, so ten numbers say everything.
#
# ## Is that score high?
#
# **Question.** A blog says that "She is reading a book" and "A girl is immersed in a novel" score high, and that "A cat sits on a mat" and "A feline is on a carpet" come "close to 1". Do they?
#
# A cosine alone says little: notebook 05 had a model whose cosines were high for everything. Compare it with pairs that have nothing to do with each other; the *percentile* of a score is the share of them below it. Better, compare it with pairs that people graded, from 0 (nothing in common) to 1 (the same meaning).
#
# **Predict** both cosines, and one for a third pair: "She is reading a book" and "She is not reading a book".

# %% tags=["row-2.2", "row-2.6", "nbval-check-output"]
from course_lib.data import load_sts
from course_lib.similarity import cos_sim, pairwise_cos_sim

pairs = {"cat": ("A cat sits on a mat", "A feline is on a carpet"),
         "reading": ("She is reading a book", "A girl is immersed in a novel"),
         "negated": ("She is reading a book", "She is not reading a book")}
bundled = load_sts()
grades = np.array([p.score for p in bundled])
left, right = (library.encode([getattr(p, side) for p in bundled], show_progress_bar=False) for side in ("sentence1", "sentence2"))
graded = pairwise_cos_sim(left, right).numpy()                                      # (pairs,)
generator = np.random.default_rng(seed)
i = generator.integers(len(bundled), size=random_pairs)
j = (i + generator.integers(1, len(bundled), size=random_pairs)) % len(bundled)     # never the same row
random_scores = pairwise_cos_sim(left[i], right[j]).numpy()                         # (random_pairs,)

best, scores, below = graded[grades >= 0.8], {}, {}
print(f"{'':8} cosine   above of random pairs   above of pairs graded 0.8 to 1   words shared")
for name, (one, two) in pairs.items():
    scores[name] = util.cos_sim(*library.encode([one, two], show_progress_bar=False)).item()
    below[name] = (random_scores < scores[name]).mean(), (best < scores[name]).mean()
    word_sets = [set(text.lower().split()) for text in (one, two)]
    overlap = len(set.intersection(*word_sets)) / len(set.union(*word_sets))
    print(f"{name:8} {scores[name]:6.2f} {below[name][0]:18.2%} {below[name][1]:23.0%} of {len(best)} {overlap:22.0%}")

# %% tags=["row-2.2", "row-2.6"] alt="Two panels over one axis of cosines. Above, a hump of random pairs near 0, and well to its right a hump of the pairs that people graded highest, between about 0.5 and 1. Below, one dot for each graded pair, its grade against its cosine, rising to the right with much scatter. Three vertical lines: the cat pair at the lower end of the best pairs, the reading pair below their middle, the negated pair to the right of most of them."
from course_lib.plotting import PALETTE

_, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
bins = np.arange(-0.3, 1.01, 0.05)
for (name, some), colour, hatch in zip({"random pairs": random_scores, "pairs that people graded 0.8 to 1": best}.items(), PALETTE, ("", "xx")):
    top.hist(some, bins, weights=np.full(len(some), 100 / len(some)), color=colour, alpha=0.5, hatch=hatch, label=name)
top.set_title("A negation scores like the pairs that people find most alike", fontsize="medium", pad=18)
top.set(ylabel="share in %", ylim=(0, 36))
bottom.scatter(graded, grades, s=12, color="gray", alpha=0.6, label="one graded pair")
for low in (0, 0.2, 0.4, 0.6, 0.8):
    group = graded[(grades >= low) & (grades < low + 0.2 + (low == 0.8))]
    bottom.plot(np.percentile(group, (10, 90)), [low + 0.1] * 2, color=PALETTE[0], linewidth=2)
    bottom.plot(group.mean(), low + 0.1, "s", color=PALETTE[0], label="mean of a fifth, and its middle 80 %" if low == 0 else None)
for (name, score), style in zip(scores.items(), (":", "--", "-")):
    top.text(score, 1.02, name, transform=top.get_xaxis_transform(), ha="center", fontsize=9)
    for ax in (top, bottom):
        ax.axvline(score, color="black", linestyle=style)
top.legend(fontsize=8, loc="upper left")
bottom.legend(fontsize=8, loc="upper left")
bottom.set(xlabel="cosine", ylabel="grade given by people")
plt.show()
assert scores["negated"] > max(scores["cat"], scores["reading"]) and max(scores["cat"], scores["reading"]) < 0.9
if model == "course/sbert-mini":                                            # another model has its own scale
    assert min(share for share, _ in below.values()) > 0.99
    assert below["negated"][1] > 0.5 > max(below["cat"][1], below["reading"][1])

# %% [markdown]
# Beside random pairs all three look excellent: each lies above nearly all of them. Beside graded pairs they part. In this small model the negated pair beats most of the pairs that people graded highest. Both paraphrases stay below the middle of those pairs, and neither is close to 1. The table's last column has a cheap explanation: the negated pair shares most of its words.
#
# So a cosine measures how alike two texts are, not whether they agree. And no fixed number means "similar": grade pairs of your own data, and look where a score lies among them.
#
# ## The same folders, two libraries
#
# **Question.** Can sentence-transformers read all models of the course?
#
# These are the four of notebooks 05 to 07: BERT as it is, and trained in three ways. `STS` is the rank correlation with people's grades. `found` is the share of 200 sentences whose paraphrase is the nearest of 200 candidates; guessing finds half a percent. `partners` counts how many of six sentences have the other of their topic as their nearest; guessing gets about one.
#
# **Predict** the order of the rows by `STS`.

# %% tags=["nbval-check-output"]
from course_lib.side_by_side import FOUR, table

four = {name: SentenceTransformer(str(resolve(place)), device="cpu") for name, place in FOUR.items()}
compared = table(four)
print(compared)
assert (compared["STS"] > compared.loc["BERT, averaged", "STS"]).iloc[1:].all() and compared["STS"].drop("with a teacher").max() < compared.loc["with a teacher", "STS"] - 5

# %% [markdown]
# Each training beats averaged BERT, and the one with a teacher is far ahead. sentence-transformers computed the table from folders that `course_lib` wrote.
#
# ### Now from course_lib: the same numbers
#
# Encode all bundled sentences and some odd ones with both libraries.
#
# **Predict** the largest difference between two numbers.

# %% tags=["nbval-check-output"]
texts = [text for p in bundled for text in (p.sentence1, p.sentence2)]
odd = ["", " ", "naïve café", "a" * 500, "word " * 1000, "NOT in capitals!", "🙂", texts[0]]
ours = encoder.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)            # (texts, dim)
theirs = library.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)
assert np.abs(ours - theirs).max() < 1e-6
assert torch.allclose(encoder.similarity(ours[:50], ours[50:90]), library.similarity(theirs[:50], theirs[50:90]), atol=1e-6)
print(f"{len(texts + odd)} texts, largest difference under 1e-6: {bool(np.abs(ours - theirs).max() < 1e-6)}")
print(f"similarity is {library.similarity_fn_name} in sentence-transformers, {encoder.similarity_fn_name} in course_lib")

# %% [markdown]
# They differ by rounding alone. Use `model.similarity` where you can: it computes the function that the model's configuration names.
#
# ## How fast?
#
# **Question.** What decides how many texts a second you get?
#
# The next cell times both libraries on one core, in one run, with the same texts. `course_lib` computes no padding; sentence-transformers pads every batch to its longest text. Word vectors (`glove-mini`) are the cheapest encoder there is.
#
# **Predict** three ratios: `course_lib` to sentence-transformers; word vectors to a transformer of four layers; batches of 32 texts to single texts.

# %%
import time

def texts_a_second(one, some=texts, **options):
    """The best of three rounds, in processor time, which other work on the machine hardly disturbs."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        one.encode(some, show_progress_bar=False, **options)
        seconds.append(time.process_time() - start)
    return len(some) / min(seconds)

threads = torch.get_num_threads()
torch.set_num_threads(1)
minilm = "sentence-transformers/all-MiniLM-L6-v2"
speed = {}
for name in ["course/glove-mini", model] + [minilm] * full:
    in_course = SentenceEncoder.load(name, device="cpu", dtype="float32")
    in_library = SentenceTransformer(str(resolve(name)), device="cpu")
    speed[name] = {"sentence-transformers": texts_a_second(in_library), "course_lib": texts_a_second(in_course)}
    theirs, ours = speed[name].values()
    print(f"{Path(name).name:12} sentence-transformers {theirs:8,.0f}, course_lib {ours:8,.0f} texts a second: {ours / theirs:.1f} times as many")
by_batch = {size: texts_a_second(library, texts[:128], batch_size=size) for size in (1, 8, 32, 128)}
torch.set_num_threads(threads)
print("sentence-transformers by batch_size:", {size: f"{rate:,.0f}" for size, rate in by_batch.items()})

# %% tags=["row-2.13"] alt="Scatter plot of quality, Spearman times 100 on the bundled pairs, against texts a second on a logarithmic axis. Each model has a circle for sentence-transformers and, to its right, a diamond for course_lib. glove-mini is far to the right and lowest, sbert-mini in the middle and high, all-MiniLM-L6-v2 at the left and highest."
from course_lib.data import load_results
from course_lib.evaluation import EmbeddingSimilarityEvaluator

recorded = load_results("08").set_index(["model", "metric"]).value
evaluate = EmbeddingSimilarityEvaluator(bundled)
quality = {name: 100 * evaluate(SentenceTransformer(str(resolve(name)), device="cpu"))["spearman_cosine"] for name in speed}
if minilm not in speed:                                                     # it is a download: see the text
    ratios = (recorded[minilm, metric] for metric in ("relative_speed_library", "relative_speed"))
    speed[minilm] = {who: ratio * speed[model]["course_lib"] for who, ratio in zip(speed[model], ratios)}
    quality[minilm] = recorded[minilm, "spearman_cosine"]
live = full or model == minilm
_, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name in speed:
    ax.plot(list(speed[name].values()), [quality[name]] * 2, color="gray", linewidth=1, zorder=1)
    for (who, rate), marker, colour in zip(speed[name].items(), "oD", PALETTE):
        ax.scatter(rate, quality[name], marker=marker, color=colour, label=who if name == minilm else None, zorder=2)
    shown = Path(name).name + " (recorded)" * (name == minilm and not live)
    ax.annotate(shown, (speed[name]["sentence-transformers"], quality[name]), xytext=(-4, 8), textcoords="offset points", fontsize=9)
ax.set(xscale="log", xlabel="texts a second, one core", ylabel="Spearman x 100")
ax.set_title("Word vectors are fastest and worst; MiniLM is slowest and best", fontsize="medium")
ax.margins(x=0.15, y=0.2)
ax.legend(fontsize=8, loc="lower left")
plt.show()
assert quality[minilm] >= quality[model] > quality["course/glove-mini"] + 10

# %% [markdown]
# Each step to the right costs quality: MiniLM is best and slowest, word vectors are fastest and worst. The points of all-MiniLM-L6-v2 were **recorded** with `recipes/speed_and_quality.py` and are placed by their ratio to the small model, which other hardware may move. MiniLM is often called fast and compact; that is meant beside models of five times its size.
#
# The last printed line holds the cheapest gain: single texts are slow. Pass the whole list; `batch_size` is 32 by default. On a GPU try larger ones.
#
# ## What an application needs
#
# ### Prompts
#
# **Question.** Why are there `encode_query` and `encode_document`?
#
# Many newer models were trained with a prompt, a few words before each text, often another for a query than for a document. multilingual-e5 wants `query: ` and `passage: `; Qwen3-Embedding wants an instruction before the query and nothing before the document. A model keeps them in `model.prompts`. `encode_query` puts the one named "query" before its texts, `encode_document` the one named "document"; plain `encode` adds none unless the model has a default. The course's models were trained without.
#
# **Predict** what happens to a search when queries get a prompt that the model was not trained with.

# %% tags=["nbval-check-output"]
from course_lib.data import load_pairs

first, second = map(list, zip(*load_pairs("course/pairs")))

def found(queries, documents):
    """The share of queries whose own document is the nearest. (n, dim) twice."""
    return (cos_sim(queries, documents).argmax(1) == torch.arange(len(queries))).double().mean().item()

instruction = "Instruct: Given a search query, retrieve texts that say the same\nQuery: "
prompted = SentenceTransformer(folder, device="cpu", prompts={"query": instruction, "document": ""})
documents = library.encode_document(second, show_progress_bar=False)
plain, instructed = (one.encode_query(first, show_progress_bar=False) for one in (library, prompted))
assert np.allclose(plain, library.encode(first, show_progress_bar=False), atol=1e-6)                      # its prompt is empty
assert np.allclose(instructed[:9], library.encode([instruction + text for text in first[:9]]), atol=1e-6)    # it is only text
prompted.set_pooling_include_prompt(False)
left_out = prompted.encode_query(first, show_progress_bar=False)
print(f"prompts of this model: {library.prompts}")
for name, queries in (("no prompt", plain), ("an instruction", instructed), ("the same, include_prompt=False", left_out)):
    print(f"{name:32} found {found(queries, documents):6.1%}")
assert model != "course/sbert-mini" or found(plain, documents) > found(left_out, documents) > found(instructed, documents)

# %% [markdown]
# A prompt is nothing but text, and a wrong one costs: its words are averaged into every query. `include_prompt=False` keeps them out of the average, but they still change the other tokens. To forget a prompt that a model expects is as silent. Read the model card, print `model.prompts`, and use `encode_query` and `encode_document` for search: without prompts they do what `encode` does.
#
# ### Fewer dimensions
#
# **Question.** May you cut vectors to save memory?
#
# `truncate_dim=64` keeps the first 64 numbers of each vector. Are they better than others? The baseline keeps as many at random, five times.
#
# **Predict** for which of two models the first dimensions are special: trained with a ranking loss, or with a teacher.

# %% alt="Two panels, Spearman times 100 against the number of kept dimensions from 8 to 256 on a logarithmic axis. Left, the model trained with a ranking loss: the line of the first dimensions runs within or below the band of random choices. Right, the model with a teacher: the line of the first dimensions lies well above the band from 128 down to 16."
from course_lib.evaluation import spearman
from course_lib.plotting import curve

short = SentenceTransformer(folder, device="cpu", truncate_dim=dim // 4)
assert np.allclose(short.encode(sentences), embeddings[:, : dim // 4], atol=1e-6)            # it cuts, and does nothing else
kept, outcome = [8, 16, 32, 64, 128, 256], {}
_, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
for ax, name in zip(axes, ("ranking on NLI", "with a teacher")):
    u, v = (four[name].encode([getattr(p, side) for p in bundled], show_progress_bar=False) for side in ("sentence1", "sentence2"))
    score = lambda columns: 100 * spearman(pairwise_cos_sim(u[:, columns], v[:, columns]), grades)
    by_chance = [[score(np.random.default_rng(seed + run).permutation(256)[:k]) for k in kept] for run in range(5)]
    outcome[name] = np.array([score(slice(k)) for k in kept]), np.array(by_chance)           # (6,), (5, 6)
    curve(kept, outcome[name][0], label="the first ones", ax=ax)
    curve(kept, outcome[name][1], label="as many at random, five times", ax=ax)
    ax.set(xscale="log", xlabel="dimensions kept", title=name)
    ax.set_xticks(kept, kept, minor=False)
    ax.minorticks_off()
axes[0].set_ylabel("Spearman x 100")
plt.show()
print({name: {k: f"{one:.1f} (random {chance.mean():.1f})" for k, one, chance in zip(kept, ours, by.T)} for name, (ours, by) in outcome.items()})
ahead = {name: (ours[1:5] > by[:, 1:5].max(0)) for name, (ours, by) in outcome.items()}      # at 16, 32, 64, 128
assert ahead["with a teacher"].all() and not ahead["ranking on NLI"].any()

# %% [markdown]
# With a teacher, the first dimensions beat every random choice from 16 to 128; with the ranking loss they never do. The teacher's vectors were ordered by importance before they were taught (notebook 12). Models trained with a Matryoshka loss (notebook 12) are made for such cuts. For any other model measure first. For dot products, divide by the length again after the cut.
#
# ### The revision
#
# **Question.** What happens when an index was built with other weights than its queries?
#
# **Predict** the share found when queries come from one and documents from the other.

# %% tags=["nbval-check-output"]
mixed = ["ranking on NLI", "with a teacher"]
queries, indexed = ({name: four[name].encode(side, show_progress_bar=False) for name in mixed} for side in (first, second))
shares = {(q, d): found(queries[q], indexed[d]) for q in mixed for d in mixed}
for (q, d), share in shares.items():
    print(f"queries: {q:16} documents: {d:16} found {share:6.1%}")
assert all((share < 0.05) == (q != d) for (q, d), share in shares.items())

# %% [markdown]
# Nothing is found, and nothing complains. A name on the hub may get new weights, so name the commit too, and store it beside the index:
#
# ```python
# SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2", revision="8b3219a92973c328a8e22fadcfa821b5dc75636a")
# ```
#
# ### Another backend
#
# `backend="onnx"` runs the same network in ONNX Runtime, often faster on processors. It needs `pip install sentence-transformers[onnx]`. In November 2026 its newest part (optimum-onnx 0.1.0) wants transformers below 4.58, and sentence-transformers 6.2 wants 5 or later: use an environment of its own with an older sentence-transformers, and compare the vectors as here.

# %%
try:
    onnx = SentenceTransformer(folder, device="cpu", backend="onnx")
except Exception as error:                                                  # not installed, or versions that do not fit
    print(f"no ONNX here ({type(error).__name__}); everything else in this notebook works without it")
else:
    difference = np.abs(onnx.encode(sentences, show_progress_bar=False) - embeddings).max()
    print(f"largest difference from torch: {difference:.1e}")
    assert difference < 1e-3

# %% [markdown]
# ## Which model today?
#
# **Question.** What do you have to know about a model before you choose it?
#
# The rows below are a choice of small models that sentence-transformers loads, not a ranking. Their facts stand in `data/models.tsv`, and were read from the registry of the MTEB benchmark on 29 November 2026.
#
# **Predict:** how many have a licence that you know? How many expect a prompt?

# %% tags=["row-2.12", "nbval-check-output"]
from course_lib.support.tables import find, read_header, read_tsv

columns = read_header(find("course/models"))
facts = {row[0]: dict(zip(columns, row)) for _, row in read_tsv(find("course/models"), *columns)}
today = {name: row for name, row in facts.items() if "MTEB registry" in row["source"]}
print(f"{'':40} year  licence     languages  millions   dim  tokens  prompts")
for name, row in today.items():
    print(f"{name.split('/')[1]:40} {row['year']}  {row['licence']:11} {row['languages']:9} {int(row['parameters']) / 1e6:9.0f} "
          f"{row['dimension']:>5} {row['max_tokens']:>7}  {row['prompts']}")
assert {row["licence"] for row in today.values()} == {"apache-2.0", "mit", "gemma"}
assert sum(row["prompts"] == "yes" for row in today.values()) == 6

# %% [markdown]
# - **Licence.** Apache 2.0 and MIT allow commercial use. "gemma" is a licence of its own, with terms to read.
# - **Languages.** An English model gives vectors for any text, also where they mean nothing.
# - **Parameters** decide the speed; **dimension** decides the memory of your index.
# - **Tokens** are what is read at most. The row with `-` averages word vectors and has no limit.
#
# The [MTEB leaderboard](https://huggingface.co/spaces/mteb/leaderboard) ranks models. Take two or three that fit your languages, licence and hardware, and compare them on your own data.
#
# ## What comes next: it can still learn
#
# **Question.** What must a loss say?
#
# A loaded model is a PyTorch module with gradients. The next cell trains it twice, for 40 steps. The first loss asks only that the cat pair come closer. The second is the ranking loss of notebook 06 on the cat pair and three other paraphrases: each sentence shall find its partner among the four.
#
# **Predict** what each does to random pairs and to `STS`.

# %% tags=["row-1.45"]
def trained(anchors, positives, steps=40):
    """A copy of the model, trained on pairs: the ranking loss, or for one pair 1 - cosine."""
    student = SentenceTransformer(folder, device="cpu")
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
    for step in range(steps):
        u, v = (student(student.preprocess(side))["sentence_embedding"] for side in (anchors, positives))    # (n, dim)
        scores = util.cos_sim(u, v)                                                                          # (n, n)
        loss = torch.nn.functional.cross_entropy(20 * scores, torch.arange(len(u))) if len(u) > 1 else 1 - scores.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student.eval()

def measured(one):
    x, y = (one.encode([getattr(p, side) for p in bundled], show_progress_bar=False) for side in ("sentence1", "sentence2"))
    cat = util.cos_sim(*one.encode(list(pairs["cat"]), show_progress_bar=False)).item()
    return cat, pairwise_cos_sim(x[:-1], y[1:]).mean().item(), spearman(pairwise_cos_sim(x, y), grades)

others = np.random.default_rng(seed).choice(len(first), 3, replace=False)
four_pairs = [[pairs["cat"][k], *(side[n] for n in others)] for k, side in enumerate((first, second))]
after = {"before": measured(library), "only closer": measured(trained(*([text] for text in pairs["cat"]))), "ranking": measured(trained(*four_pairs))}
for name, (cat, random_mean, sts) in after.items():
    print(f"{name:12} cat pair {cat:.2f}   random pairs {random_mean:.3f}   STS {sts:.3f}")
assert model != "course/sbert-mini" or after["only closer"][1] > after["before"][1] + 0.1 and after["only closer"][2] < after["before"][2] - 0.02
assert model != "course/sbert-mini" or after["ranking"][0] > after["before"][0] + 0.1 and np.abs(np.subtract(after["ranking"], after["before"]))[1:].max() < 0.03

# %% [markdown]
# The first loss pulled other texts together, too: random pairs rose and `STS` fell. The second moved the cat pair as well, and kept both nearly where they were. A loss must also say what shall stay apart. Notebooks 09 to 12 are about that.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"`: 90 MB are downloaded once. Expect a third line in the printout and 256 tokens. The negation still beats both paraphrases, but now only a fifth of the best pairs. `full = True` measures MiniLM's speed here.
#
# ## Appendix: reading old code
#
# Printouts of 2019 to 2023 name two settings and one flag for each pooling mode:
#
# ```
# (0): Transformer({'max_seq_length': 128, 'do_lower_case': False}) with Transformer model: BertModel
# (1): Pooling({'word_embedding_dimension': 768, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True, ...})
# ```
#
# This one is of `bert-base-nli-mean-tokens`, the SBERT of 2019, whose card calls it deprecated. Marqo's article prints its cosines for the five sentences, and names four models of 2021 that replaced it.

# %% tags=["row-1.41", "row-1.42", "row-1.43", "row-1.44", "row-2.25", "nbval-check-output"]
article = np.array([[0.9999999, 0.6356604, 0.66937524, 0.4040454, 0.9407738], [0.6356604, 0.9999999, 0.6081568, 0.21924865, 0.58871996],
                    [0.66937524, 0.6081568, 1.0, 0.2225984, 0.59990084], [0.4040454, 0.21924865, 0.2225984, 0.99999976, 0.5078909],
                    [0.9407738, 0.58871996, 0.59990084, 0.5078909, 1.0000001]])
assert np.array_equal(article, article.T) and 0 < np.abs(np.diag(article) - 1).max() < 1e-6
print(f"diagonal off 1 by less than 1e-6; sentences 1 and 5: {article[4, 0]:.2f} there, {sim[4, 0]:.2f} here")

old = facts["sentence-transformers/bert-base-nli-mean-tokens"]
best_four = [facts[f"sentence-transformers/{name}"] for name in
             ("all-mpnet-base-v2", "all-MiniLM-L6-v2", "all-distilroberta-v1", "paraphrase-mpnet-base-v2")]
assert {row["year"] for row in best_four} == {"2021"} and old["purpose"].endswith("its card calls it deprecated")
print("published:", old["year"], "and", *[row["year"] for row in best_four])
print("reads tokens:", old["max_tokens"], "and", *[row["max_tokens"] for row in best_four])
print("divides by the length:", old["normalised"], "and", *[row["normalised"] for row in best_four])
assert all(int(row["max_tokens"]) > int(old["max_tokens"]) for row in best_four)

nlp = library.encode(["I love NLP", "Natural Language Processing is fascinating"], show_progress_bar=False)
assert torch.equal(util.pytorch_cos_sim(nlp[0], nlp[1]), util.cos_sim(nlp[0], nlp[1]))
print(f"pytorch_cos_sim = cos_sim = {util.cos_sim(nlp[0], nlp[1]).item():.3f}")

# %% [markdown]
# The diagonal is not exactly 1, because 32-bit floats hold about seven digits: compare them with a tolerance. The later models read longer texts. Three of the four divide by the length, which changes dot products but no cosine. `pytorch_cos_sim` is an old name of `cos_sim`.
#
# ## Exercises
#
# **1.** Before you embed a collection, count what will not be read. `token_counts` are the tokens of each text, `[CLS]` and `[SEP]` not counted; these two take two of the `max_seq_length` places.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def unread(token_counts, max_seq_length):
    """A list of numbers, and the limit -> (how many texts are cut, how many tokens in all are never read)."""
    ...

check("08.1", unread)

# %% [markdown]
# **2.** Find the two most similar sentences of a collection.

# %% tags=["exercise", "nbval-check-output"]
def closest_pair(vectors):
    """vectors (n, dim), a tensor, lengths differ -> (i, j), i < j: the rows with the largest cosine."""
    ...

check("08.2", closest_pair)

# %% [markdown]
# ## Questions
#
# **1.** A colleague sets `max_seq_length = 4096` on this model because the texts are long. What happens?
#
# <details><summary>Answer</summary>This BERT has a table of 512 positions. <code>course_lib</code> refuses the setting; sentence-transformers accepts it, and fails when a long text comes. Models with rotary positions have no such table: they compute something for any length, but beyond the lengths of their training measure what it is worth.</details>
#
# **2.** Two models give the same pair 0.55 and 0.70. Which of them finds it more similar?
#
# <details><summary>Answer</summary>You cannot tell. Each model has its own scale. Look where each score lies among graded pairs, or at least among random pairs, of the same model.</details>
#
# **3.** After an update of a service the search finds nothing sensible, and no log shows an error. What do you check first?
#
# <details><summary>Answer</summary>Whether queries and index come from the same weights and the same prompts: the revision, <code>model.prompts</code>, <code>encode_query</code> against <code>encode</code>, <code>truncate_dim</code>, and whether the texts grew beyond the maximum sequence length. None of these raises an error.</details>
#
# ## Summary
#
# - A sentence transformer is a list of modules; `encode` runs them in batches.
# - Beyond `max_seq_length` nothing is read, and nothing is said. Tokenise without truncation and count.
# - A cosine is high or low beside graded pairs of the same model. A negation may beat a paraphrase.
# - Both libraries agree to a millionth; `course_lib` computes no padding.
# - Give the whole list to `encode`, use `encode_query` and `encode_document`, fix the revision, and measure before you cut dimensions.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://aclanthology.org/D19-1410). The library: [documentation](https://sbert.net), [code](https://github.com/huggingface/sentence-transformers), and its [move to Hugging Face](https://huggingface.co/blog/sentence-transformers-joins-hf).
# - Cer et al. (2017), [the STS benchmark](https://aclanthology.org/S17-2001); Muennighoff et al. (2023), [MTEB](https://aclanthology.org/2023.eacl-main.148), and its [registry of models](https://github.com/embeddings-benchmark/mteb).
# - Wang et al. (2020), [MiniLM](https://arxiv.org/abs/2002.10957); Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - Marqo, Introduction to Sentence Transformers: the five sentences and their matrix. Its seven references are complete in `references.bib`:

# %% tags=["row-1.46", "nbval-check-output"]
import re

from course_lib.support.folders import COURSE_HOME

bibliography = (COURSE_HOME / "references.bib").read_text(encoding="utf-8")
entries = [dict(re.findall(r"(\w+) += \{(.+)\},", entry)) for entry in bibliography.split("\n@")[1:]]
seven = {int(entry["number"]): entry for entry in entries if "number" in entry}
for number, entry in sorted(seven.items()):
    print(f"[{number}] {entry['title']}, {entry['year']}")
assert sorted(seven) == [1, 2, 3, 4, 5, 6, 7] and seven[6]["title"].startswith("Sentence-BERT:")

# %% [markdown]
# **Next:** notebook 09: which loss for which data?
