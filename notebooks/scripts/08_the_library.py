# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/08_the_library.ipynb)
#
# # What does sentence-transformers do with your five sentences?
#
# You have built a sentence encoder from its parts. Here you load the same weights with the library sentence-transformers, and ask what its scores are worth.
#
# | | |
# |---|---|
# | You will be able to | read a printed model and run it module by module; count what was never read; judge a cosine beside graded pairs; choose a model and pin its revision |
# | You need first | notebook 06: mean pooling, cosine, the ranking loss |
# | Time | 40 minutes to read; the code runs in under a minute |
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
# `model` is what you take apart: a model of the course, a folder, or a name on the hub. `random_pairs` is how many random pairs of sentences a score is compared with.

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
# `pip install sentence-transformers` installs the library. The UKP Lab of TU Darmstadt made it in 2019; since 2025 it belongs to Hugging Face. Below, `library` is the model in sentence-transformers, and `encoder` is the same folder in `course_lib`.

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
print(
    f"\nmax_seq_length stands in this printout: {'max_seq_length' in str(library)}; "
    f"the model's is {library.max_seq_length}")

# %% [markdown]
# A model is a list of modules, one a line:
#
# - **(0) Transformer** turns a text into one vector a token. The task `feature-extraction` is the bare network, without a head. The rest of the line names its inputs, here only text, and its output.
# - **(1) Pooling** turns the token vectors into one vector a sentence. `pooling_mode` says how. `include_prompt` says whether a prompt's tokens count (see below).
# - Some models have a third line: `Normalize` divides each vector by its length, `Dense` can change the number of dimensions.
#
# `max_seq_length`, the number of tokens that are read, is not in the printout.
#
# Now run the modules one by one. **Predict** the shape of the data after `preprocess`, module 0 and module 1, for two sentences of 9 and 7 words.

# %% tags=["row-1.36", "nbval-check-output"]
cats = ["A cat sits on a mat beside the door", "A feline is on a red carpet"]
features = library.preprocess(cats)                                         # a dictionary that every module adds to
print("preprocess  adds", {name: tuple(value.shape) for name, value in features.items() if name != "modality"})
with torch.no_grad():
    for module in library:
        before = set(features)
        features = module(features)
        print(
            f"{type(module).__name__:11} adds",
            {name: tuple(features[name].shape) for name in sorted(set(features) - before)})

by_steps = features["sentence_embedding"].numpy()                           # (2, dim)
encoded = library.encode(cats, show_progress_bar=False)                     # (2, dim)
assert np.allclose(by_steps, encoded, atol=1e-6)
print("encode gives the same:", np.allclose(by_steps, encoded, atol=1e-6))

# %% [markdown]
# `preprocess` added `[CLS]` and `[SEP]` to each sentence, and would add padding to one with fewer tokens. The modules did the rest. `encode` gives the same vectors; it sorts a longer list by length and cuts it into batches.
#
# ## Six ways of pooling
#
# **Question.** The printout says `'pooling_mode': 'mean'`. What would the other modes compute?
#
# Take three tokens with vectors of two numbers, and a padding token. **Predict** which modes give another result when the three vectors come in reverse order, and which when the padding vector changes.

# %% tags=["row-1.38", "nbval-check-output"]
from sentence_transformers.sentence_transformer import modules
from course_lib.pooling import pool

a, b, c, padding = [1.0, 8.0], [2.0, 0.0], [6.0, 1.0], [99.0, 99.0]
by_hand = {
    "cls": a,                                                           # the first token
    "max": [max(x) for x in zip(a, b, c)],                              # the largest of each dimension
    "mean": [sum(x) / 3 for x in zip(a, b, c)],
    "mean_sqrt_len_tokens": [sum(x) / 3**0.5 for x in zip(a, b, c)],    # grows with the length
    "weightedmean": [(x + 2 * y + 3 * z) / 6 for x, y, z in zip(a, b, c)],    # later tokens weigh more
    "lasttoken": c,
}
assert set(by_hand) == set(modules.Pooling.POOLING_MODES)
mask = torch.tensor([[1, 1, 1, 0]])                                     # (1, 4): three tokens and padding

def pooled(mode, *tokens):                                              # in the library: 4 vectors -> (1, 2)
    features = {"token_embeddings": torch.tensor([tokens]), "attention_mask": mask}
    return modules.Pooling(2, mode)(features)["sentence_embedding"]

for mode, expected in by_hand.items():
    theirs = pooled(mode, a, b, c, padding)
    assert torch.allclose(theirs, torch.tensor([expected])) and torch.equal(theirs, pooled(mode, a, b, c, [-5.0, 7.0]))
    assert torch.allclose(theirs, pool(torch.tensor([[a, b, c, padding]]), mask, mode))     # course_lib agrees
    same = torch.allclose(theirs, pooled(mode, c, b, a, padding))
    print(f"{mode:22} {[round(x, 3) for x in expected]!s:18} turned round: {'the same' if same else 'another vector'}")

# %% [markdown]
# Reversed, three modes give another vector. Padding changes none of the six. The mode belongs to a trained model like its weights: leave it as the folder says.
#
# ## What the model never reads
#
# ### A trap: the end of a long text
#
# **Question.** Every text becomes one vector. Was all of it read?
#
# Two long mails begin alike. One ends in a yes, the other in a no. **Predict** the cosine of their vectors.

# %% tags=["row-1.37", "nbval-check-output"]
opening = "Thank you for the long and friendly talk that we had about your offer. " * (library.max_seq_length // 10)
endings = ["We accept it.", "We refuse it, and you will hear from our lawyers."]
mails = [opening + ending for ending in endings]
yes, no = library.encode(endings, show_progress_bar=False)
vectors = library.encode(mails, show_progress_bar=False)                                # (2, dim)
print(
    "largest difference of the two mails' vectors is under 1e-6: "
    f"{bool(np.abs(vectors[0] - vectors[1]).max() < 1e-6)}")
print(
    f"cosine of the mails: {util.cos_sim(*vectors).item():.2f}, "
    f"of the two endings alone: {util.cos_sim(yes, no).item():.2f}")

token_ids = library.tokenizer(mails, truncation=False)["input_ids"]                     # with [CLS] and [SEP]
lengths = [len(ids) for ids in token_ids]
print(
    f"{lengths} tokens; {sum(n > library.max_seq_length for n in lengths)} of {len(mails)} texts "
    f"exceed {library.max_seq_length}")

_, cut = encoder.encode(mails, return_truncated=True, show_progress_bar=False)          # course_lib counts for you
assert np.allclose(vectors[0], vectors[1], atol=1e-6) and util.cos_sim(yes, no) < 0.9
assert cut == sum(n > library.max_seq_length for n in lengths) == 2

# %% [markdown]
# The two vectors are equal, though the endings differ. This is *truncation*: what lies beyond the *maximum sequence length* is dropped before the network sees it, without an error. So tokenise without truncation first, and compare the lengths with `library.max_seq_length`.
#
# ### Capitals
#
# **Question.** Are capitals read?
#
# The setting `do_lower_case` says whether the library lower-cases texts; here it is off. (The tokenizer has one of the same name.) The cell tries the model as loaded, with a tokenizer told to leave capitals alone, and with that tokenizer and the setting switched on. **Predict** for each whether `apple pie` and `APPLE PIE` get the same vector.

# %% tags=["row-1.37", "nbval-check-output"]
words = ["apple pie", "APPLE PIE"]
cased = {"processor_kwargs": {"do_lower_case": False}}                          # goes to the tokenizer
variants = {"as loaded": {}, "capitals left alone": cased, "the same, do_lower_case": cased | {"do_lower_case": True}}
for name, options in variants.items():
    module = modules.Transformer(folder, **options)
    lower, upper = SentenceTransformer(modules=[module, library[1]], device="cpu").encode(
        words, show_progress_bar=False)
    same = bool(np.allclose(lower, upper, atol=1e-6))
    assert same == (name != "capitals left alone")
    print(
        f"{name:24} do_lower_case={module.do_lower_case!s:6} "
        f"APPLE PIE -> {module.tokenizer.tokenize(words[1])}   equal: {same}")

# %% [markdown]
# As loaded, both get the same vector although the setting is off: the model is *uncased*, and its tokenizer lower-cases by itself. Told not to, it finds neither word in its vocabulary and writes `[UNK]`, the token for unknown words. In the third line the library lower-cases, and the vectors are equal again.
#
# ## Five sentences, one matrix
#
# **Question.** What do the cosines of such vectors tell you?
#
# The example is from [Marqo's introduction to sentence transformers](https://marqo.ai/course/introduction-to-sentence-transformers): five sentences of its website.
#
# **Predict** the shape of what `encode` returns, and which two sentences will be closest.

# %% tags=["row-1.39", "row-1.40"] alt="Heatmap of the cosines of five sentences about Marqo, five by five, with the values in the cells: the diagonal is 1, sentences 1 and 5 are closest by far, and all other cells are much paler."
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
assert np.isclose(sim[0, 4], (sim - 2 * np.eye(5)).max(), atol=1e-6)    # the largest outside the diagonal
_, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
heatmap(sim, labels=[fill(s, 45) for s in sentences], title="Sentences 1 and 5 are closest", ax=ax)
ax.images[0].colorbar.remove()                                          # the values stand in the cells
plt.show()

# %% tags=["nbval-check-output"]
from itertools import combinations

def shared_words(one, two):
    """The share of their different words that two texts have in common."""
    one, two = set(one.lower().split()), set(two.lower().split())
    return len(one & two) / len(one | two)

by_words = {(i + 1, j + 1): shared_words(sentences[i], sentences[j]) for i, j in combinations(range(5), 2)}
closest = max(by_words, key=by_words.get)
print(f"most shared words: sentences {closest}, {by_words[closest]:.0%}")
assert closest == (1, 5)

# %% [markdown]
# Sentences 1 and 5 have the highest cosine, 0.93. They also share the most words. So this example cannot tell a score for meaning from a score for words.
#
# ## Is that score high?
#
# **Question.** What is the cosine of two sentences that mean about the same in other words?
#
# Take "A cat sits on a mat" with "A feline is on a carpet", and "She is reading a book" with "A girl is immersed in a novel". A third pair has nearly the same words and the opposite meaning: "She is reading a book" with "She is not reading a book".
#
# A cosine alone says little: notebook 05 had a model whose cosines were high for everything. So compare it with others of the same model: with random pairs, and with the course's pairs that are graded 0.8 or higher, from 0 (nothing in common) to 1 (the same meaning). (A language model wrote and graded them. They were checked with all-MiniLM-L6-v2, the teacher of the course's model, which may favour it.) The *percentile* of a score is the share of a group below it. The cell also negates sentences of the graded pairs: it puts "not" behind the first "is".
#
# **Predict** the order of the three cosines.

# %% tags=["row-2.2", "row-2.6", "nbval-check-output"]
from course_lib.data import load_sts
from course_lib.similarity import cos_sim, pairwise_cos_sim

bundled = load_sts()
firsts, seconds, grades = (
    [p.sentence1 for p in bundled], [p.sentence2 for p in bundled], np.array([p.score for p in bundled]))
def encode_both(one, some, others):                                                 # (n, dim) twice
    return one.encode(some, show_progress_bar=False), one.encode(others, show_progress_bar=False)

left, right = encode_both(library, firsts, seconds)
graded = pairwise_cos_sim(left, right).numpy()                                      # (pairs,)
best = graded[grades >= 0.8]
i, j = np.random.default_rng(seed).integers(len(bundled), size=(2, random_pairs))
random_scores = pairwise_cos_sim(left[i[i != j]], right[j[i != j]]).numpy()         # never the two of one pair
affirmed = [
    text for text in dict.fromkeys(firsts + seconds)
    if " is " in text and " not " not in text and "?" not in text]
negated = [text.replace(" is ", " is not ", 1) for text in affirmed]
negations = pairwise_cos_sim(*encode_both(library, affirmed, negated)).numpy()

pairs = {"cat": ("A cat sits on a mat", "A feline is on a carpet"),
         "reading": ("She is reading a book", "A girl is immersed in a novel"),
         "negated": ("She is reading a book", "She is not reading a book")}
scores = {name: util.cos_sim(*library.encode(list(two), show_progress_bar=False)).item() for name, two in pairs.items()}
print(f"{'':8} cosine   percentile among random pairs   among {len(best)} pairs graded 0.8 to 1   words shared")
for name, score in scores.items():
    print(
        f"{name:8} {score:6.2f} {(random_scores < score).mean():31.2%} {(best < score).mean():32.0%} "
        f"{shared_words(*pairs[name]):14.0%}")
print(
    f"{len(affirmed)} negations: {(negations > np.median(best)).mean():.0%} "
    "above the middle of the best-graded pairs")

# %% tags=["row-2.2", "row-2.6"] alt="Two panels over one axis of cosines. Above, a hump of random pairs near 0, and well to its right, between about 0.5 and 1, a hump of the pairs that were graded highest; the negations lie on its upper part. Below, one dot for each graded pair, its grade against its cosine, rising to the right with much scatter. Three vertical lines: the cat pair at the lower end of the best pairs, the reading pair below their middle, the negated pair to the right of both."
from course_lib.plotting import PALETTE

_, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
groups = {"random pairs": random_scores, "pairs graded 0.8 to 1": best, "a sentence and its negation": negations}
for (name, some), colour, hatch in zip(groups.items(), PALETTE, ("", "xx", "..")):
    top.hist(
        some, np.arange(-0.3, 1.01, 0.05), weights=np.full(len(some), 100 / len(some)),
        color=colour, alpha=0.5, hatch=hatch, label=name)
top.set_title("Most negations are closer than most of the best-graded pairs", fontsize="medium", pad=18)
top.set(ylabel="share in %", ylim=(0, 1.5 * top.get_ylim()[1]))
bottom.scatter(graded, grades, s=12, color="gray", alpha=0.6, label="one graded pair")
for (name, score), style in zip(scores.items(), (":", "--", "-")):
    top.text(
        score, 1.02, name, transform=top.get_xaxis_transform(), fontsize=9,
        ha={"cat": "right", "reading": "left"}.get(name, "center"))
    for ax in (top, bottom):
        ax.axvline(score, color="black", linestyle=style)
for ax in (top, bottom):
    ax.legend(fontsize=8, loc="upper left")
bottom.set(xlabel="cosine", ylabel="grade of the pair")
plt.show()
precision = {cut: (grades[graded >= cut] >= 0.6).mean() for cut in (0.5, 0.6, 0.7, 0.8)}
for cut, share in precision.items():
    print(
        f"cosine {cut} or higher: {(graded >= cut).sum():3} of {len(graded)} pairs pass, "
        f"{share:.0%} of them graded 0.6 or higher")
assert scores["negated"] > max(scores["cat"], scores["reading"]) and max(scores["cat"], scores["reading"]) < 0.9
assert (negations > np.median(best)).mean() > 0.5
if model == "course/sbert-mini":                                            # another model has its own scale
    assert (
        (random_scores < min(scores.values())).mean() > 0.98
        and max(scores["cat"], scores["reading"]) < np.median(best))
    assert list(precision.values()) == sorted(precision.values())

# %% [markdown]
# All three pairs lie above nearly all random pairs. Both paraphrases lie below the middle of the best-graded pairs, and the negated pair lies above it. It is no exception: most of the 102 negations do. So a high cosine of this model does not say that two texts agree.
#
# The lower panel shows every graded pair. The printed lines use a cosine as a threshold: the share of good pairs among those that pass it is its precision. Here a good pair is one graded 0.6 or higher. From 0.5 to 0.8, fewer and fewer pairs pass, and a larger share of them is good. This need not go on: the two pairs with the highest cosines are graded only about 0.5. Choose yours by graded pairs of your own data, as in exercise 2, and check it on others: on the pairs that chose it, its share is flattered.
#
# ## The same folders, two libraries
#
# **Question.** Graded pairs can judge a score. Can they judge a model?
#
# `STS` is the rank correlation of all cosines with the grades, times 100. `found` is the percentage of 200 sentences whose paraphrase is the nearest of 200 candidates; guessing finds half a percent. The four models are those of notebooks 05 to 07: BERT as it is, and trained in three ways. The last, `course/sbert-mini`, began from an earlier BERT. Their data differ, too: the last also read captions and Wikipedia. `course_lib` wrote their folders; sentence-transformers reads them.
#
# **Predict** which model has the highest `STS`, and which the lowest.

# %% tags=["nbval-check-output"]
from course_lib.evaluation import spearman
from course_lib.side_by_side import FOUR, table

four = {name: SentenceTransformer(str(resolve(place)), device="cpu") for name, place in FOUR.items()}
compared = table(four).drop(columns="partners")
print(compared)
for column in compared:
    assert compared[column].idxmin() == "BERT, averaged" and compared[column].idxmax() == "with a teacher"

vectors = {name: encode_both(four[name], firsts, seconds) for name in ("ranking on NLI", "with a teacher")}

# %% [markdown]
# They can tell the best from the worst: the one with a teacher is highest in both columns, and averaged BERT is lowest in both. The middle two differ by only 0.4 in `STS`, too little to rank them, but by 8 in `found`. But the graded pairs were checked with that teacher, so its lead in `STS` may be flattered.
#
# ### Now from course_lib: the same numbers
#
# **Question.** Does it matter which library computes the vectors? The cell compares them on the sentences of the graded pairs and some odd texts.

# %% tags=["nbval-check-output"]
texts = firsts + seconds
odd = ["", " ", "naïve café", "a" * 500, "word " * 1000, "NOT in capitals!", "🙂", texts[0]]
ours = encoder.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)            # (texts, dim)
theirs = library.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)
assert np.abs(ours - theirs).max() < 1e-6
assert torch.allclose(
    encoder.similarity(ours[:50], ours[50:90]), library.similarity(theirs[:50], theirs[50:90]), atol=1e-6)
print(f"{len(texts + odd)} texts, largest difference under 1e-6: {bool(np.abs(ours - theirs).max() < 1e-6)}")
print(
    f"similarity is {library.similarity_fn_name} in sentence-transformers, "
    f"{encoder.similarity_fn_name} in course_lib")

# %% [markdown]
# For the vectors it does not: of vectors scaled to length 1, no number differs by as much as a millionth. `library.similarity` agrees, too; it computes the function that the model's configuration names.
#
# ## How fast?
#
# **Question.** The vectors are the same. How long do they take?
#
# The next cell times both libraries on one core. sentence-transformers pads the texts of a batch to the longest one; `course_lib` computes no padding. Word vectors (`glove-mini`) need no network: they are looked up and averaged.
#
# **Predict** how many times as many texts a second word vectors reach as a transformer does.

# %%
import time

def texts_a_second(one, some=texts, **options):
    """The best of three rounds, in processor time."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        one.encode(some, show_progress_bar=False, **options)
        seconds.append(time.process_time() - start)
    return len(some) / min(seconds)

threads, speed = torch.get_num_threads(), {}
torch.set_num_threads(1)
minilm = "sentence-transformers/all-MiniLM-L6-v2"
for name in ["course/glove-mini", model] + [minilm] * full:
    in_course = SentenceEncoder.load(name, device="cpu", dtype="float32")
    in_library = SentenceTransformer(str(resolve(name)), device="cpu")
    speed[name] = {"sentence-transformers": texts_a_second(in_library), "course_lib": texts_a_second(in_course)}
    theirs, ours = speed[name].values()
    millions = sum(weights.numel() for weights in in_library.parameters()) / 1e6
    print(
        f"{Path(name).name:12} {millions:5.1f} million parameters; texts a second: "
        f"sentence-transformers {theirs:8,.0f}, course_lib {ours:8,.0f}, {ours / theirs:.1f} times as many")
by_batch = {size: texts_a_second(library, texts[:128], batch_size=size) for size in (1, 8, 32, 128)}
torch.set_num_threads(threads)
print("sentence-transformers by batch_size:", {size: f"{rate:,.0f}" for size, rate in by_batch.items()})

# %% tags=["row-2.13"] alt="Scatter plot of quality, Spearman times 100 on the bundled pairs, against texts a second on a logarithmic axis. Each model has a circle for sentence-transformers and, to its right, a diamond for course_lib. glove-mini is far to the right and far below the other two; all-MiniLM-L6-v2 is furthest to the left, sbert-mini a little to the right of it."
from course_lib.data import load_results
from course_lib.evaluation import EmbeddingSimilarityEvaluator

recorded = load_results("08").set_index(["model", "metric"]).value
evaluate = EmbeddingSimilarityEvaluator(bundled)
quality = {
    name: 100 * evaluate(SentenceTransformer(str(resolve(name)), device="cpu"))["spearman_cosine"]
    for name in speed}
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
    ax.annotate(
        shown, (speed[name]["sentence-transformers"], quality[name]),
        xytext=(-4, 8), textcoords="offset points", fontsize=9)
ax.set(xscale="log", xlabel="texts a second, one core", ylabel="Spearman x 100")
ax.set_title("Word vectors are fastest by far, and worst by far", fontsize="medium")
ax.margins(x=0.15, y=0.2)
ax.legend(fontsize=8, loc="lower left")
plt.show()
assert min(quality[minilm], quality[model]) > quality["course/glove-mini"] + 10
assert (
    min(speed["course/glove-mini"].values()) > 5 * max(*speed[minilm].values(), *speed[model].values())
    and by_batch[1] == min(by_batch.values()))

# %% [markdown]
# Word vectors are fastest by far (in the stored run over 40 times as many texts a second as `sbert-mini`, in either library) and worst by far. The points of all-MiniLM-L6-v2, a larger transformer, were **recorded** with `recipes/speed_and_quality.py`, and are placed by their ratio to the small model. It checked the graded pairs, so its height may be flattered.
#
# Among the four batch sizes, single texts were the slowest, and in the stored run 128 was slower than 32. So pass `encode` the whole list. `backend="onnx"` may be faster on processors; at the time of writing it needs an environment of its own, with an older transformers and an older sentence-transformers.
#
# ## What an application needs
#
# A search encodes documents once and queries later. Prompts, dimensions and weights must fit on both sides.
#
# ### Prompts
#
# **Question.** Why are there `encode_query` and `encode_document`?
#
# Some models were trained with a prompt, a few words before each text: multilingual-e5 wants `query: ` or `passage: `. `library.prompts` names them. `encode_query` puts the one named "query" before its texts, `encode_document` the one named "document" (else "passage" or "corpus"). Plain `encode` adds none unless the model has a default. The course's models were trained without.
#
# **Predict** what happens to `found` when queries get a prompt that the model was not trained with.

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
assert np.allclose(plain, library.encode(first, show_progress_bar=False), atol=1e-6)        # its prompt is empty
assert np.allclose(
    instructed[:9], library.encode([instruction + text for text in first[:9]]), atol=1e-6)  # it is only text
prompted.set_pooling_include_prompt(False)
left_out = prompted.encode_query(first, show_progress_bar=False)
print(f"prompts of this model: {library.prompts}")
for name, queries in (
    ("no prompt", plain), ("an instruction", instructed), ("the same, include_prompt=False", left_out)):
    print(f"{name:32} found {found(queries, documents):6.1%}")
assert not np.allclose(left_out, plain, atol=1e-3)                                          # it is still read
assert model != "course/sbert-mini" or (
    found(plain, documents) > found(left_out, documents) > found(instructed, documents))

# %% [markdown]
# A prompt is only text before the text. This one lowers `found`. With `include_prompt=False` its tokens are left out of the average, and `found` falls less.
#
# In a search, use `encode_query` and `encode_document`. Print `library.prompts`. Where they are empty, as here, or missing, `encode_query` adds nothing: see whether the model card names one.
#
# ### Fewer dimensions
#
# **Question.** May you cut vectors to save memory?
#
# `truncate_dim=64` keeps the first 64 numbers of each vector. The cell compares the first ones with as many drawn at random, five times, in two models: trained with a ranking loss, and with a teacher. **Predict** how many points of `STS` the first 64 of 256 lose.

# %% alt="Two panels, Spearman times 100 against the number of kept dimensions from 8 to 256 on a logarithmic axis. Left, the model trained with a ranking loss: the line of the first dimensions runs at the lower edge of the band of random choices, at 16 and 32 below it. Right, the model with a teacher: the line of the first dimensions runs above the band."
from course_lib.plotting import curve

short = SentenceTransformer(folder, device="cpu", truncate_dim=dim // 4)
assert np.allclose(short.encode(sentences), embeddings[:, : dim // 4], atol=1e-6)    # it cuts, and does nothing else
kept = [8, 16, 32, 64, 128, 256]
lots = [np.random.default_rng(seed + run).permutation(256) for run in range(5)]      # five orders of the dimensions

def sts(name, columns):
    return 100 * spearman(pairwise_cos_sim(*(side[:, columns] for side in vectors[name])), grades)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
for ax, name in zip(axes, vectors):
    leading = np.array([sts(name, slice(k)) for k in kept])                          # (6,)
    drawn = np.array([[sts(name, lot[:k]) for k in kept] for lot in lots])           # (5, 6)
    ahead = (leading > drawn.max(0))[:-1]                                            # (5,): at 256 all are the same
    print(f"{name}: the first 64 {leading[3]:.1f}, 64 at random {drawn[:, 3].min():.1f} to {drawn[:, 3].max():.1f}, "
          f"all 256 {leading[5]:.1f}; above all five at {[k for k, better in zip(kept, ahead) if better]}")
    assert ahead.all() if name == "with a teacher" else not ahead.any()
    curve(kept, leading, label="the first ones", ax=ax)
    curve(kept, drawn, label="as many at random, five times", ax=ax)
    ax.set(xscale="log", xlabel="dimensions kept", ylabel="Spearman x 100" if ax is axes[0] else "", title=name)
    ax.set_xticks(kept, kept)
    ax.minorticks_off()
figure.suptitle("Only with a teacher do the first dimensions beat all five random choices")
plt.show()

# %% [markdown]
# With a teacher, the first dimensions beat all five random choices at each size from 8 to 128. (It learned its teacher's vectors turned by PCA, which puts the widest directions first.) With the ranking loss they do so at none. The first 64 lose 0.2 points with the teacher and 2.1 with the ranking loss. So measure before you cut. Models trained with a Matryoshka loss (notebook 12) are made for it.
#
# ### The revision
#
# **Question.** What happens when queries and index come from different weights?
#
# Both models above give vectors of 256 numbers. **Predict** the share found when queries come from one and documents from the other.

# %% tags=["nbval-check-output"]
mixed = ["ranking on NLI", "with a teacher"]
queries, indexed = (
    {name: four[name].encode(side, show_progress_bar=False) for name in mixed}
    for side in (first, second))
shares = {(q, d): found(queries[q], indexed[d]) for q in mixed for d in mixed}
for (q, d), share in shares.items():
    print(f"queries: {q:16} documents: {d:16} found {share:6.1%}")
assert all((share < 0.05) == (q != d) for (q, d), share in shares.items())

# %% [markdown]
# Between these two models, trained apart, next to nothing is found, and no error says so. A name on the hub may get new weights; the nearer they are to the old ones, the less the loss may be noticed. So name the commit, and store it beside the index:
#
# ```python
# SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2", revision="8b3219a92973c328a8e22fadcfa821b5dc75636a")
# ```
#
# ## Which model today?
#
# **Question.** Prompts and dimensions differ from model to model. What do you have to know before you choose one?
#
# The rows below are a choice of models, not a ranking. Most of their facts (`data/models.tsv`, with the full names to load) are those of the MTEB benchmark's registry on 29 November 2026.
#
# **Predict:** how many of these eleven expect a prompt?

# %% tags=["row-2.12", "nbval-check-output"]
from course_lib.support.tables import find, read_header, read_tsv

columns = read_header(find("course/models"))
facts = {row[0]: dict(zip(columns, row)) for _, row in read_tsv(find("course/models"), *columns)}
today = {name: row for name, row in facts.items() if "MTEB registry" in row["source"]}
print(f"{'':40} year  licence     languages  millions   dim  tokens  prompts")
for name, row in today.items():
    print(
        f"{name.split('/')[1]:40} {row['year']}  {row['licence']:11} {row['languages']:9} "
        f"{int(row['parameters']) / 1e6:9.0f} {row['dimension']:>5} {row['max_tokens']:>7}  {row['prompts']}")
assert {row["licence"] for row in today.values()} == {"apache-2.0", "mit", "gemma"}
assert sum(row["prompts"] == "yes" for row in today.values()) == 6

# %% [markdown]
# - **Licence.** Apache 2.0 and MIT allow commercial use. "gemma" is a licence of its own, with terms to read.
# - **Languages.** Choose a model that was trained on yours.
# - **Millions** of parameters tell the download, not the speed. static-similarity has about as many as bge-base, but they are a table of which a text looks up a few rows.
# - **Dimension** decides the memory of your index.
# - **Tokens** are what is read at most. The row with `-` averages word vectors and has no limit.
#
# The [MTEB leaderboard](https://huggingface.co/spaces/mteb/leaderboard) ranks models. Compare two or three that fit on your own data.
#
# ## What comes next: it can still learn
#
# **Question.** If none fits, you can train one further. What must its loss say?
#
# A loaded model is a PyTorch module with gradients. Train two copies for 40 steps on the same four pairs: the cat pair and three paraphrases. The first loss only asks each pair to come closer: it is 1 minus the mean cosine. The second is the ranking loss of notebook 06: each first sentence shall find its partner among the four second ones. **Predict** what each does to the mean cosine of 60 pairs of unrelated sentences.

# %%
three = np.random.default_rng(seed).choice(len(first), 3, replace=False)
sixty = np.random.default_rng(seed).choice(len(bundled), 60, replace=False)
anchors = [pairs["cat"][0]] + [first[n] for n in three]
positives = [pairs["cat"][1]] + [second[n] for n in three]
unrelated = [firsts[n] for n in sixty], [seconds[n] for n in np.roll(sixty, 1)]   # each with another pair's sentence

def path(loss_of, steps=40):
    """Trains a copy -> the mean cosines of trained and of unrelated pairs at every eighth step, `found` and STS at
    the end."""
    student, seen = SentenceTransformer(folder, device="cpu"), []
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
    for step in range(steps + 1):
        u, v = (
            student(student.preprocess(side))["sentence_embedding"]             # (4, dim) each
            for side in (anchors, positives))
        scores = util.cos_sim(u, v)                                             # (4, 4)
        if step % 8 == 0:
            seen.append((
                scores.diag().mean().item(),
                pairwise_cos_sim(*encode_both(student, *unrelated)).mean().item()))
        if step < steps:
            optimizer.zero_grad()
            loss_of(scores).backward()
            optimizer.step()
    after = (
        found(*encode_both(student, first, second)),
        spearman(grades, pairwise_cos_sim(*encode_both(student, firsts, seconds)).numpy()))
    return np.array(seen), *after                                               # (6, 2), a share, a correlation

# %% tags=["row-1.45"] alt="Two paths in a plane: the mean cosine of unrelated pairs against that of the four trained pairs. Both begin at the same point and run to the right. The path of the ranking loss ends early, about as low as it began. The path of the other loss reaches nearly 1 at its second point, and then climbs steeply."
def only_closer(scores):                                                        # (4, 4): each anchor with each positive
    return 1 - scores.diag().mean()

def ranking_loss(scores):
    return torch.nn.functional.cross_entropy(20 * scores, torch.arange(4))

runs = {"only closer": path(only_closer), "ranking loss": path(ranking_loss)}
before = found(plain, documents)
start = runs["ranking loss"][0][0]                                              # both begin here
print(
    f"{'before':13} trained pairs {start[0]:.2f}, unrelated pairs {start[1]:.2f}, found {before:.1%}, "
    f"STS {100 * spearman(grades, pairwise_cos_sim(left, right).numpy()):.1f}")
_, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for name, (seen, after, order) in runs.items():
    curve(*seen.T, label=f"{name}: a point every 8 steps", ax=ax)
    print(
        f"{name:13} trained pairs {seen[-1, 0]:.2f}, unrelated pairs {seen[-1, 1]:.2f}, found {after:.1%}, "
        f"STS {100 * order:.1f}")
    assert abs(after - before) < 0.05
ax.set(xlabel="mean cosine of the four trained pairs", ylabel="mean cosine of 60 unrelated pairs", ylim=0)
ax.set_title("Asked only for closeness, the model brings unrelated pairs closer, too", fontsize="medium")
plt.show()
closer, ranked = runs["only closer"][0][-1], runs["ranking loss"][0][-1]
assert closer[0] > 0.97 > ranked[0] and closer[1] - start[1] > max(0.05, 3 * abs(ranked[1] - start[1]))

# %% [markdown]
# The loss that only asks for closeness brings its four pairs to a cosine of nearly 1, and the mean cosine of the unrelated pairs rises as well. The ranking loss stops short of 1 and leaves the unrelated pairs nearly where they were. `found` and STS moved little in both runs; three of `found`'s 200 pairs were trained on.
#
# So ask of a loss what it pulls together, and also what it keeps apart. Notebook 09 is about that.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"`: 90 MB are downloaded once. `full = True` measures MiniLM's speed.
#
# ## Appendix: reading old code
#
# Printouts of 2019 to 2025 have a flag for each pooling mode:
#
# ```
# (0): Transformer({'max_seq_length': 128, 'do_lower_case': False}) with Transformer model: BertModel
# (1): Pooling({'word_embedding_dimension': 768, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True, ...})
# ```
#
# This one is of `bert-base-nli-mean-tokens`, the SBERT of 2019, whose card calls it deprecated. Marqo's article uses it for the five sentences, and names four newer models (after "then").

# %% tags=["row-1.41", "row-1.42", "row-1.43", "row-1.44", "row-1.46", "row-2.25", "nbval-check-output"]
import re

from course_lib.support.folders import COURSE_HOME

article = np.array([0.9407738, 0.58871996, 0.59990084, 0.5078909, 1.0000001])    # sentence 5 with each of the five
assert article[4] != 1 and np.isclose(article[4], 1, atol=1e-6) and article[:4].argmax() == sim[4, :4].argmax() == 0
print("sentence 5 with the others, in the article:", article[:4].round(2), "here:", sim[4, :4].round(2))
nlp = library.encode(["I love NLP", "Natural Language Processing is fascinating"], show_progress_bar=False)
assert torch.equal(util.pytorch_cos_sim(nlp[0], nlp[1]), util.cos_sim(nlp[0], nlp[1]))

names = (
    "bert-base-nli-mean-tokens", "all-mpnet-base-v2", "all-MiniLM-L6-v2", "all-distilroberta-v1",
    "paraphrase-mpnet-base-v2")
old, *newer = (facts[f"sentence-transformers/{name}"] for name in names)
for column in ("year", "max_tokens", "normalised"):
    print(f"{column:10} {old[column]:>4}, then", *(row[column] for row in newer))
assert (
    old["purpose"].endswith("its card calls it deprecated")
    and all(int(row["max_tokens"]) > int(old["max_tokens"]) for row in newer))
numbers = re.findall(r"number += +\{(\d)\}", (COURSE_HOME / "references.bib").read_text(encoding="utf-8"))
assert numbers == list("1234567")                                                # the article's references, complete

# %% [markdown]
# All four newer models read more tokens. The article prints 1.0000001 for the cosine of a sentence with itself: 32-bit floats hold about seven digits, so compare them with a tolerance.
#
# ## Exercises
#
# **1.** Get the library's vector without the library. A model's folder says how: `modules.json` lists the modules, `1_Pooling/config.json` the mode (here mean, cls or max, in today's form or as the old flags of the appendix), `sentence_bert_config.json` the `max_seq_length`, `config_sentence_transformers.json` the prompts and the default. `transformers.AutoTokenizer` and `transformers.AutoModel` read the rest. Try `folder` first, against `library.encode`; `check` uses others, some with a default prompt.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def by_hand(folder, text):
    """A model's folder and a text -> what SentenceTransformer(folder).encode(text) returns: an array (dim,)."""
    ...

check("08.1", by_hand)

# %% [markdown]
# **2.** Graded pairs give you a threshold. Find the lowest of their cosines for which this holds: of the pairs with that cosine or a higher one, at least the share `share` has a grade of at least `good`. Then try it on `graded` and `grades` with `good=0.6, share=0.9`.

# %% tags=["exercise", "nbval-check-output"]
def threshold(cosines, grades, good, share):
    """Two arrays (pairs,), the lowest good grade, the share wanted -> one of the cosines, or math.inf if none will
    do."""
    ...

check("08.2", threshold)

# %% [markdown]
# ## Questions
#
# **1.** One model has 23 million parameters, another 108 million. Which is faster?
#
# <details><summary>Answer</summary>The number does not say. A table of word vectors is only looked up, while a transformer's layers compute with every token. Measure both.</details>
#
# **2.** Two models give the same pair 0.55 and 0.70. Which of them finds it more similar?
#
# <details><summary>Answer</summary>You cannot tell. Each model has its own scale. Look where each score lies among graded pairs, or at least among random pairs, of the same model.</details>
#
# **3.** After an update of a service the search finds nothing sensible, and no log shows an error. What do you check first?
#
# <details><summary>Answer</summary>Whether queries and index come from the same weights and prompts (the revision, <code>prompts</code>, <code>encode_query</code> against <code>encode</code>), and whether the texts grew beyond the maximum sequence length. None of these raises an error.</details>
#
# ## Summary
#
# - A sentence transformer is a list of modules; `encode` runs them in batches.
# - Beyond `max_seq_length` nothing is read, and there is no error. Tokenise without truncation and count.
# - A cosine is high or low beside graded pairs of the same model. Here most negations scored higher than most of the best-graded pairs.
# - Give the whole list to `encode`. For search, use `encode_query` and `encode_document`, fix the revision, and measure before you cut dimensions.
# - A loss that only asked for closeness raised the cosines of unrelated pairs, too.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://aclanthology.org/D19-1410). The library: [documentation](https://sbert.net), [code](https://github.com/huggingface/sentence-transformers), and its [move to Hugging Face](https://huggingface.co/blog/sentence-transformers-joins-hf).
# - Cer et al. (2017), [the STS benchmark](https://aclanthology.org/S17-2001); Muennighoff et al. (2023), [MTEB](https://aclanthology.org/2023.eacl-main.148), and its [registry of models](https://github.com/embeddings-benchmark/mteb).
# - Wang et al. (2020), [MiniLM](https://arxiv.org/abs/2002.10957); Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - Marqo, Introduction to Sentence Transformers, linked above; its seven references are complete in `references.bib`.
#
# **Next:** notebook 09: which loss for which data?
