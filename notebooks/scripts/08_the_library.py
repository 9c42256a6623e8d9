# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/08_the_library.ipynb)
#
# # What does sentence-transformers do with your five sentences?
#
# You have built a sentence encoder from its parts. Here you load the same weights with the library that everybody uses, find out what it silently ignores, and learn what its scores are worth.
#
# | | |
# |---|---|
# | You will be able to | read a printed model and run it module by module; count what was never read; judge a cosine by people's grades; choose a model and pin its revision |
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
# `model` is what you take apart: a model of the course, a folder, or a name on the hub. `random_pairs` is how many pairs of unrelated sentences a score is compared with.

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
# `pip install sentence-transformers` installs the library. The UKP Lab of TU Darmstadt made it in 2019; since 2025 it belongs to Hugging Face. Below, `library` is the model in sentence-transformers, and `encoder` the same folder in `course_lib`.

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
# - **(0) Transformer** turns text into one vector a token. `transformer_task` says what is loaded: `feature-extraction` is the bare network, without a head. `modality_config` lists the kinds of input (here only text), the method that each goes through and which of its results is kept. `module_output_name` names the vectors for the next module.
# - **(1) Pooling** turns the token vectors into one vector a sentence. `pooling_mode` says how, `include_prompt` whether the tokens of a prompt count; prompts come below.
# - A third line, where there is one, divides each vector by its length (`Normalize`) or changes the number of dimensions (`Dense`).
#
# `max_seq_length`, the number of tokens that are read, is not printed.
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
# `preprocess` added `[CLS]` and `[SEP]` to each text, and padding to the shorter one. Then `encode` only ran the modules. It sorts a longer list by length and cuts it into batches. On request it also puts a prompt before each text, divides vectors by their length, or cuts them short, as below.
#
# ## Six ways of pooling
#
# **Question.** What would the other pooling modes compute?
#
# Take three tokens with vectors of two numbers, and a padding token.
#
# **Predict:** which modes give another result when the same token vectors come in reverse order? And which when the padding vector changes?

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
# Padding changes none of them. Turning a real sentence round would also change the token vectors, so there no mode is safe. The mode is part of a trained model, like its weights; notebook 07 showed what another mode costs.
#
# ## What the model never reads
#
# ### A trap: the end of a long text
#
# **Question.** What happens to a text longer than `max_seq_length`?
#
# Two long mails begin alike. One ends in a yes, the other in a no. **Predict** the cosine of their vectors.

# %% tags=["row-1.37", "nbval-check-output"]
opening = "Thank you for the long and friendly talk that we had about your offer. " * (library.max_seq_length // 10)
endings = ["We accept it.", "We refuse it, and you will hear from our lawyers."]
mails = [opening + ending for ending in endings]
yes, no = library.encode(endings, show_progress_bar=False)
vectors = library.encode(mails, show_progress_bar=False)                                # (2, dim)
print(f"largest difference of the two mails' vectors is under 1e-6: {bool(np.abs(vectors[0] - vectors[1]).max() < 1e-6)}")
print(f"cosine of the mails: {util.cos_sim(*vectors).item():.2f}, of the two endings alone: {util.cos_sim(yes, no).item():.2f}")

token_ids = library.tokenizer(mails, truncation=False)["input_ids"]                     # with [CLS] and [SEP]
lengths = [len(ids) for ids in token_ids]
print(f"{lengths} tokens; {sum(n > library.max_seq_length for n in lengths)} of {len(mails)} texts exceed {library.max_seq_length}")

_, cut = encoder.encode(mails, return_truncated=True, show_progress_bar=False)          # course_lib counts for you
assert np.allclose(vectors[0], vectors[1], atol=1e-6) and util.cos_sim(yes, no) < 0.9
assert cut == sum(n > library.max_seq_length for n in lengths) == 2

# %% [markdown]
# The two vectors are equal. This is *truncation*: everything beyond the *maximum sequence length* is dropped before the model sees it, without an error. So count before you embed: tokenise without truncation, and compare the lengths with `model.max_seq_length`.
#
# ### Capitals
#
# **Predict:** do `apple pie` and `APPLE PIE` get the same vector? The cell tries the model as loaded, with a tokenizer told to leave capitals alone, and with that tokenizer and the setting switched on.

# %% tags=["row-1.37", "nbval-check-output"]
words = ["apple pie", "APPLE PIE"]
cased = {"processor_kwargs": {"do_lower_case": False}}                          # goes to the tokenizer
variants = {"as loaded": {}, "capitals left alone": cased, "the same, do_lower_case": cased | {"do_lower_case": True}}
for name, options in variants.items():
    module = modules.Transformer(folder, **options)
    lower, upper = SentenceTransformer(modules=[module, library[1]], device="cpu").encode(words, show_progress_bar=False)
    same = bool(np.allclose(lower, upper, atol=1e-6))
    assert same == (name != "capitals left alone")
    print(f"{name:24} do_lower_case={module.do_lower_case!s:6} APPLE PIE -> {module.tokenizer.tokenize(words[1])}   equal: {same}")

# %% [markdown]
# The vectors are equal although the setting is off: it only says whether the library adds a lower-casing step, and an *uncased* model has a tokenizer that lower-cases anyway. In the second line the tokenizer no longer lower-cases. The vocabulary has no capitals, so both words become `[UNK]`, the token for unknown words. In the third line the library lower-cases, and the vectors are equal again.
#
# ## Five sentences, one matrix
#
# **Question.** What can you read off a matrix of cosines?
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
# Sentences 1 and 5 have the highest cosine, and counting shared words finds them, too.
#
# ## Is that score high?
#
# **Question.** "A cat sits on a mat" and "A feline is on a carpet" mean about the same. So do "She is reading a book" and "A girl is immersed in a novel". Are their cosines close to 1?
#
# A cosine alone says little: notebook 05 had a model whose cosines were high for everything. Compare it with random pairs; the *percentile* of a score is the share of them below it. Better, compare it with pairs that people graded, from 0 (nothing in common) to 1 (the same meaning). The cell also tries negations: it puts "not" behind the first "is" of every graded sentence that has one; as a control, "now".
#
# **Predict** the cosines of the two paraphrases, and of "She is reading a book" with "She is not reading a book".

# %% tags=["row-2.2", "row-2.6", "nbval-check-output"]
from course_lib.data import load_sts
from course_lib.similarity import cos_sim, pairwise_cos_sim

bundled = load_sts()
firsts, seconds, grades = [p.sentence1 for p in bundled], [p.sentence2 for p in bundled], np.array([p.score for p in bundled])
def encode_both(one, some, others):                                                 # (n, dim) twice
    return one.encode(some, show_progress_bar=False), one.encode(others, show_progress_bar=False)

left, right = encode_both(library, firsts, seconds)
graded = pairwise_cos_sim(left, right).numpy()                                      # (pairs,)
best = graded[grades >= 0.8]
i, j = np.random.default_rng(seed).integers(len(bundled), size=(2, random_pairs))
random_scores = pairwise_cos_sim(left[i[i != j]], right[j[i != j]]).numpy()         # never the two of one pair
affirmed = [text for text in dict.fromkeys(firsts + seconds) if " is " in text and " not " not in text]
with_word = {word: [text.replace(" is ", f" is {word} ", 1) for text in affirmed] for word in ("not", "now")}
negations, controls = (pairwise_cos_sim(*encode_both(library, affirmed, texts)).numpy() for texts in with_word.values())

pairs = {"cat": ("A cat sits on a mat", "A feline is on a carpet"),
         "reading": ("She is reading a book", "A girl is immersed in a novel"),
         "negated": ("She is reading a book", "She is not reading a book")}
scores = {name: util.cos_sim(*library.encode(list(two), show_progress_bar=False)).item() for name, two in pairs.items()}
print(f"{'':8} cosine   above of random pairs   above of {len(best)} pairs graded 0.8 to 1   words shared")
for name, score in scores.items():
    print(f"{name:8} {score:6.2f} {(random_scores < score).mean():18.2%} {(best < score).mean():23.0%} {shared_words(*pairs[name]):29.0%}")
print(f'{len(affirmed)} sentences, "not" put in: median {np.median(negations):.2f}, above {(best < np.median(negations)).mean():.0%} of the best pairs; "now" put in: {np.median(controls):.2f}, closer than "not" in {(controls > negations).mean():.0%}')

# %% tags=["row-2.2", "row-2.6"] alt="Two panels over one axis of cosines. Above, a hump of random pairs near 0, and well to its right, between about 0.5 and 1, a hump of the pairs that people graded highest; the negations lie on its upper part. Below, one dot for each graded pair, its grade against its cosine, rising to the right with much scatter. Three vertical lines: the cat pair at the lower end of the best pairs, the reading pair below their middle, the negated pair to the right of both."
from course_lib.plotting import PALETTE

_, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
groups = {"random pairs": random_scores, "pairs that people graded 0.8 to 1": best, "a sentence and its negation": negations}
for (name, some), colour, hatch in zip(groups.items(), PALETTE, ("", "xx", "..")):
    top.hist(some, np.arange(-0.3, 1.01, 0.05), weights=np.full(len(some), 100 / len(some)), color=colour, alpha=0.5, hatch=hatch, label=name)
top.set_title("Most negations are closer than most of the pairs that people find most alike", fontsize="medium", pad=18)
top.set(ylabel="share in %", ylim=(0, 1.5 * top.get_ylim()[1]))
bottom.scatter(graded, grades, s=12, color="gray", alpha=0.6, label="one graded pair")
for low in (0, 0.2, 0.4, 0.6, 0.8):
    group = graded[(grades >= low) & (grades < low + 0.2 + (low == 0.8))]
    bottom.plot(np.percentile(group, (10, 90)), [low + 0.1] * 2, color=PALETTE[0], linewidth=2)
    bottom.plot(group.mean(), low + 0.1, "s", color=PALETTE[0], label="mean of a fifth, and its middle 80 %" if low == 0 else None)
for (name, score), style in zip(scores.items(), (":", "--", "-")):
    top.text(score, 1.02, name, transform=top.get_xaxis_transform(), fontsize=9, ha={"cat": "right", "reading": "left"}.get(name, "center"))
    for ax in (top, bottom):
        ax.axvline(score, color="black", linestyle=style)
for ax in (top, bottom):
    ax.legend(fontsize=8, loc="upper left")
bottom.set(xlabel="cosine", ylabel="grade given by people")
plt.show()
assert scores["negated"] > max(scores["cat"], scores["reading"]) and max(scores["cat"], scores["reading"]) < 0.9
assert (negations > np.median(best)).mean() > 0.5 and np.median(controls) > np.median(negations)
if model == "course/sbert-mini":                                            # another model has its own scale
    assert (random_scores < min(scores.values())).mean() > 0.98 and max(scores["cat"], scores["reading"]) < np.median(best)
# %% [markdown]
# All three lie above nearly all random pairs. Beside graded pairs they differ. Both paraphrases stay below the middle of the pairs that people graded highest, and neither is close to 1; but nobody graded these two, and people might put them lower, too. In the lower panel, pairs graded 0.4 to 1 overlap widely: a cosine of 0.6 hardly tells a half-alike pair from a paraphrase. The negation beats both, and it is no exception: most negations lie above the middle of the best pairs. They share nearly all words with their sentence. The word "not" does count: it takes 0.08 from the median cosine, "now" only 0.03. But 0.08 is little beside the distance to unrelated pairs.
#
# So this model's cosine measures how alike two texts are, not whether they agree; test yours. And no fixed number means "similar": grade pairs of your own data, and look where a score lies among them.
#
# ## The same folders, two libraries
#
# **Question.** Can sentence-transformers read the models of the course?
#
# These are the four of notebooks 05 to 07: BERT as it is, and trained in three ways; the last is `course/sbert-mini`. `STS` is the rank correlation with people's grades, times 100. `found` is the percentage of 200 sentences whose paraphrase is the nearest of 200 candidates; guessing finds half a percent.
#
# **Predict** the order of the rows by `STS`.

# %% tags=["nbval-check-output"]
from course_lib.evaluation import spearman
from course_lib.side_by_side import FOUR, table

four = {name: SentenceTransformer(str(resolve(place)), device="cpu") for name, place in FOUR.items()}
compared = table(four).drop(columns="partners")
print(compared)
assert compared["STS"].idxmin() == "BERT, averaged" and compared["STS"].drop("with a teacher").max() < compared.loc["with a teacher", "STS"] - 5

vectors = {name: encode_both(four[name], firsts, seconds) for name in list(FOUR)[1:]}
softmax, ranking, _ = (pairwise_cos_sim(*two).numpy() for two in vectors.values())        # (pairs,) each
draws = np.random.default_rng(seed).integers(len(grades), size=(500, len(grades)))        # the pairs drawn anew, 500 times
gains = [100 * (spearman(ranking[some], grades[some]) - spearman(softmax[some], grades[some])) for some in draws]
low, high = np.percentile(gains, (2.5, 97.5))
print(f"STS, ranking minus softmax: from {low:.1f} to {high:.1f} in 95 % of the draws")
assert low < 0 < high

# %% [markdown]
# On these pairs each training scores above averaged BERT (by 3 points at least; we drew no interval for that), and the one with a teacher is far ahead. `STS` cannot order the two rows between them: with the pairs drawn anew, with repetition (a bootstrap, notebook 07), their difference falls on both sides of zero. sentence-transformers read folders that `course_lib` wrote.
#
# ### Now from course_lib: the same numbers
#
# **Predict** the largest difference between the two libraries, over all bundled sentences and some odd ones.

# %% tags=["nbval-check-output"]
texts = firsts + seconds
odd = ["", " ", "naïve café", "a" * 500, "word " * 1000, "NOT in capitals!", "🙂", texts[0]]
ours = encoder.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)            # (texts, dim)
theirs = library.encode(texts + odd, normalize_embeddings=True, show_progress_bar=False)
assert np.abs(ours - theirs).max() < 1e-6
assert torch.allclose(encoder.similarity(ours[:50], ours[50:90]), library.similarity(theirs[:50], theirs[50:90]), atol=1e-6)
print(f"{len(texts + odd)} texts, largest difference under 1e-6: {bool(np.abs(ours - theirs).max() < 1e-6)}")
print(f"similarity is {library.similarity_fn_name} in sentence-transformers, {encoder.similarity_fn_name} in course_lib")

# %% [markdown]
# They differ by rounding alone. Use `model.similarity`: it computes the function that the model's configuration names.
#
# ## How fast?
#
# **Question.** What decides how many texts a second you get?
#
# The next cell times both libraries on one core. sentence-transformers pads every text of a batch to the longest one, and the network computes the padding, too. `course_lib` lays the texts of a batch end to end, so there is nothing to pad. As `encode` sorts by length, padding need not explain the whole difference. Word vectors (`glove-mini`) need no network: they are looked up and averaged.
#
# **Predict** three ratios: `course_lib` to sentence-transformers, word vectors to a transformer, batches of 32 texts to single texts.

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
    print(f"{Path(name).name:12} {millions:5.1f} million parameters; texts a second: sentence-transformers {theirs:8,.0f}, "
          f"course_lib {ours:8,.0f}, {ours / theirs:.1f} times as many")
by_batch = {size: texts_a_second(library, texts[:128], batch_size=size) for size in (1, 8, 32, 128)}
torch.set_num_threads(threads)
print("sentence-transformers by batch_size:", {size: f"{rate:,.0f}" for size, rate in by_batch.items()})

# %% tags=["row-2.13"] alt="Scatter plot of quality, Spearman times 100 on the bundled pairs, against texts a second on a logarithmic axis. Each model has a circle for sentence-transformers and, to its right, a diamond for course_lib. glove-mini is far to the right and far below the other two; all-MiniLM-L6-v2 is furthest to the left, sbert-mini a little to the right of it."
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
ax.set_title("Word vectors are fastest by far, and worst by far", fontsize="medium")
ax.margins(x=0.15, y=0.2)
ax.legend(fontsize=8, loc="lower left")
plt.show()
assert min(quality[minilm], quality[model]) > quality["course/glove-mini"] + 10
assert min(speed["course/glove-mini"].values()) > 5 * max(*speed[minilm].values(), *speed[model].values())

# %% [markdown]
# Word vectors are fastest by far and worst by far. all-MiniLM-L6-v2 has six layers of width 384, the small model four of width 256, and layers cost time. Its points were **recorded** with `recipes/speed_and_quality.py` and are placed by their ratio to the small model, which other hardware may move.
#
# The last printed line holds the cheapest gain: single texts are slow. The order among 8, 32 and 128 is not to be trusted: each is the best of three short rounds. Pass the whole list, and on a GPU try a larger `batch_size` than 32. `backend="onnx"` may be faster on processors; at the time of writing it needs an environment of its own, with an older transformers.
#
# ## What an application needs
#
# ### Prompts
#
# **Question.** Why are there `encode_query` and `encode_document`?
#
# Many newer models were trained with a prompt, a few words before each text, often another for a query than for a document: multilingual-e5 wants `query: ` and `passage: `. A model keeps them in `model.prompts`. `encode_query` puts the one named "query" before its texts, `encode_document` the one named "document" (else "passage" or "corpus"); plain `encode` adds none unless the model has a default. The course's models were trained without.
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
assert not np.allclose(left_out, plain, atol=1e-3)                                                         # it is still read
assert model != "course/sbert-mini" or found(plain, documents) > found(instructed, documents)

# %% [markdown]
# A prompt is nothing but text. A strange one costs: its words are averaged into every query. `include_prompt=False` keeps them out of the average, but they still change the vectors of the other tokens.
#
# Use `encode_query` and `encode_document` for search, and print `model.prompts`. Where it is empty, read the model card: many older models name their prompts only there, and `encode_query` silently adds nothing.
#
# ### Fewer dimensions
#
# **Question.** May you cut vectors to save memory?
#
# `truncate_dim=64` keeps the first 64 numbers of each vector. Are they better than 64 others, drawn at random five times?
#
# **Predict** for which of two models the first dimensions are better than others: trained with a ranking loss, or with a teacher.

# %% alt="Two panels, Spearman times 100 against the number of kept dimensions from 8 to 256 on a logarithmic axis. Left, the model trained with a ranking loss: the line of the first dimensions runs at the lower edge of the band of random choices, at 16 and 32 below it. Right, the model with a teacher: the line of the first dimensions runs above the band."
from course_lib.plotting import curve

short = SentenceTransformer(folder, device="cpu", truncate_dim=dim // 4)
assert np.allclose(short.encode(sentences), embeddings[:, : dim // 4], atol=1e-6)            # it cuts, and does nothing else
kept = [8, 16, 32, 64, 128, 256]
lots = [np.random.default_rng(seed + run).permutation(256) for run in range(5)]              # five orders of the dimensions

def sts(name, columns):
    u, v = vectors[name]
    return 100 * spearman(pairwise_cos_sim(u[:, columns], v[:, columns]), grades)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
leading, drawn = {}, {}
for ax, name in zip(axes, ("ranking on NLI", "with a teacher")):
    leading[name] = np.array([sts(name, slice(k)) for k in kept])                            # (6,)
    drawn[name] = np.array([[sts(name, lot[:k]) for k in kept] for lot in lots])             # (5, 6)
    curve(kept, leading[name], label="the first ones", ax=ax)
    curve(kept, drawn[name], label="as many at random, five times", ax=ax)
    ax.set(xscale="log", xlabel="dimensions kept", ylabel="Spearman x 100" if ax is axes[0] else "", title=name)
    ax.set_xticks(kept, kept)
    ax.minorticks_off()
figure.suptitle("The first dimensions are better than others only where training made them so")
plt.show()

# %%
for name in leading:
    lowest, highest = drawn[name].min(0), drawn[name].max(0)
    print(name, *(f"\n{k:5} dimensions: the first {first:.1f}, at random {low:.1f} to {high:.1f}"
                  for k, first, low, high in zip(kept[:-1], leading[name], lowest, highest)))
ahead = {name: leading[name] > drawn[name].max(0) for name in leading}                       # at 8, 16, 32, 64, 128, 256
assert ahead["with a teacher"][1:3].all() and not ahead["ranking on NLI"].any()                  # [1:3]: 16 and 32
assert (leading["ranking on NLI"] < drawn["ranking on NLI"].min(0))[1:3].all()

# %% [markdown]
# With a teacher, the first dimensions beat every random choice at 16 and 32: the teacher's vectors were ordered by importance before they were taught (notebook 12). With the ranking loss the first ones never beat all five draws, and at 16 and 32 they are worse than all. We take that for an accident: a cosine does not see the order of the dimensions, so the loss puts no good ones first.
#
# Models trained with a Matryoshka loss (notebook 12) are made for such cuts. For any other model measure first: here the first 64 of 256 cost 0.2 points of `STS` with the teacher (86.3 for 86.5) and 2.1 with the ranking loss (74.9 for 77.0); `found` was not measured. If you use dot products, divide by the length again after the cut.
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
# Next to nothing is found, and nothing complains. These two were trained apart; a small update may cost less, and be noticed later. A name on the hub may get new weights, so name the commit too, and store it beside the index:
#
# ```python
# SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2", revision="8b3219a92973c328a8e22fadcfa821b5dc75636a")
# ```
#
# ## Which model today?
#
# **Question.** What do you have to know about a model before you choose it?
#
# The rows below are a choice of models, not a ranking. Their facts (`data/models.tsv`) are those of the MTEB benchmark's registry on 29 November 2026.
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
# - **Languages.** An English model gives vectors for any text, even where they mean nothing.
# - **Millions** of parameters decide the download, not the speed: static-similarity has about as many as bge-base, but they are a table of word vectors, of which a text needs a few rows. Layers and width decide the speed.
# - **Dimension** decides the memory of your index.
# - **Tokens** are what is read at most. The row with `-` averages word vectors and has no limit.
#
# The [MTEB leaderboard](https://huggingface.co/spaces/mteb/leaderboard) ranks models. Compare two or three that fit on your own data.
#
# ## What comes next: it can still learn
#
# **Question.** What must a loss say?
#
# A loaded model is a PyTorch module with gradients. The next cell trains it twice for 40 steps on the same four pairs, the cat pair and three paraphrases. The first loss only asks each pair to come closer: 1 minus the mean cosine. The second is the ranking loss of notebook 06: each sentence shall find its partner among the four.
#
# **Predict** what each does to unrelated pairs that it never sees, and to `found`.

# %% tags=["row-1.45"] alt="Two paths in a plane: the mean cosine of unrelated pairs against that of the four trained pairs. Both begin at the same point and run to the right. The path of the ranking loss ends early, about as low as it began. The path of the other loss reaches nearly 1 at its second point, and then climbs steeply."
def path(loss_of, steps=40):                                                     # trains a copy; a row at every eighth step
    student, seen = SentenceTransformer(folder, device="cpu"), []
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
    for step in range(steps + 1):
        u, v = (student(student.preprocess(side))["sentence_embedding"] for side in (anchors, positives))    # (4, dim) each
        scores = util.cos_sim(u, v)                                                                          # (4, 4)
        if step % 8 == 0:
            share = found(*encode_both(student, first, second)) if step in (0, steps) else None              # before and after
            seen.append((scores.diag().mean().item(), pairwise_cos_sim(*encode_both(student, *unrelated)).mean().item(), share))
        optimizer.zero_grad()
        loss_of(scores).backward()
        optimizer.step()
    return np.array(seen, dtype=float)                                                                       # (6, 3)
three, some = (np.random.default_rng(seed).choice(len(those), n, replace=False) for those, n in ((first, 3), (bundled, 60)))
anchors, positives = ([pairs["cat"][k]] + [side[n] for n in three] for k, side in enumerate((first, second)))
unrelated = [firsts[n] for n in some], [seconds[n] for n in np.roll(some, 1)]
paths = {"only closer": path(lambda scores: 1 - scores.diag().mean()),
         "ranking": path(lambda scores: torch.nn.functional.cross_entropy(20 * scores, torch.arange(4)))}
ax = curve(*paths["only closer"].T[:2], label="only closer: a point every 8 steps")
curve(*paths["ranking"].T[:2], label="ranking loss", ax=ax)
ax.set(xlabel="mean cosine of the four trained pairs", ylabel="mean cosine of 60 unrelated pairs", ylim=0, title="Asked only to come closer, pairs take others along")
plt.show()
(_, start, had), (closest, moved, closer), (reached, stayed, ranked) = paths["ranking"][0], paths["only closer"][-1], paths["ranking"][-1]
print(f"found: before {had:.1%}, after the loss that only asks for closer {closer:.1%}, after the ranking loss {ranked:.1%}")
assert closest > 0.97 > reached and paths["only closer"][1, 0] > 0.9 and moved - start > max(0.05, 3 * (stayed - start)) and max(abs(closer - had), abs(ranked - had)) < 0.05

# %% [markdown]
# After eight steps the first loss has made its pairs almost identical. It goes on, and the cosines of pairs that it never saw rise, too: nothing in it resists. The ranking loss asks for a lead over the other three, not for a cosine of 1: it slows down early, and leaves unrelated pairs nearly where they were.
#
# `found` counts all 200 sentences, of which three were trained on. With either loss it ends within a few sentences of what it was before, so 40 steps on four pairs have moved the level of the cosines more than the search. Nothing in a loss that asks only for closeness says when to stop; most losses also say what shall stay apart. Notebooks 09 to 12 are about that.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"`: 90 MB are downloaded once. `full = True` measures MiniLM's speed.
#
# ## Appendix: reading old code
#
# Printouts of 2019 to 2023 have a flag for each pooling mode:
#
# ```
# (0): Transformer({'max_seq_length': 128, 'do_lower_case': False}) with Transformer model: BertModel
# (1): Pooling({'word_embedding_dimension': 768, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True, ...})
# ```
#
# This one is of `bert-base-nli-mean-tokens`, the SBERT of 2019, whose card calls it deprecated. Marqo's article uses it for the five sentences, and names four models of 2021 that replaced it.

# %% tags=["row-1.41", "row-1.42", "row-1.43", "row-1.44", "row-1.46", "row-2.25", "nbval-check-output"]
import re

from course_lib.support.folders import COURSE_HOME

article = np.array([0.9407738, 0.58871996, 0.59990084, 0.5078909, 1.0000001])    # sentence 5 with each of the five
assert article[4] != 1 and np.isclose(article[4], 1, atol=1e-6) and article[:4].argmax() == sim[4, :4].argmax() == 0
print("sentence 5 with the others, in the article:", article[:4].round(2), "here:", sim[4, :4].round(2))
nlp = library.encode(["I love NLP", "Natural Language Processing is fascinating"], show_progress_bar=False)
assert torch.equal(util.pytorch_cos_sim(nlp[0], nlp[1]), util.cos_sim(nlp[0], nlp[1]))

names = ("bert-base-nli-mean-tokens", "all-mpnet-base-v2", "all-MiniLM-L6-v2", "all-distilroberta-v1", "paraphrase-mpnet-base-v2")
old, *newer = (facts[f"sentence-transformers/{name}"] for name in names)
for column in ("year", "max_tokens", "normalised"):
    print(f"{column:10} {old[column]:>4}, then", *(row[column] for row in newer))
assert old["purpose"].endswith("its card calls it deprecated") and all(int(row["max_tokens"]) > int(old["max_tokens"]) for row in newer)
numbers = re.findall(r"number += +\{(\d)\}", (COURSE_HOME / "references.bib").read_text(encoding="utf-8"))
assert numbers == list("1234567")                                                # the article's references, complete

# %% [markdown]
# The article prints 1.0000001 for a sentence with itself, because 32-bit floats hold about seven digits: compare them with a tolerance.
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
# **2.** Graded pairs give you a threshold. Find the lowest of their cosines for which this holds: of the pairs with that cosine or a higher one, at least the share `share` has a grade of at least `good`. Then try it on `graded` and `grades` with `good=0.6, share=0.9`: how many pairs pass?

# %% tags=["exercise", "nbval-check-output"]
def threshold(cosines, grades, good, share):
    """Two arrays (pairs,), the lowest good grade, the share wanted -> one of the cosines, or math.inf if none will do."""
    ...

check("08.2", threshold)

# %% [markdown]
# ## Questions
#
# **1.** One model has 23 million parameters, another 108 million. Which is faster?
#
# <details><summary>Answer</summary>The number does not say. Those of a transformer all take part in every text; a table of word vectors is only looked up. Look at layers and width, and measure.</details>
#
# **2.** Two models give the same pair 0.55 and 0.70. Which of them finds it more similar?
#
# <details><summary>Answer</summary>You cannot tell. Each model has its own scale. Look where each score lies among graded pairs, or at least among random pairs, of the same model.</details>
#
# **3.** After an update of a service the search finds nothing sensible, and no log shows an error. What do you check first?
#
# <details><summary>Answer</summary>Whether queries and index come from the same weights and prompts (the revision, <code>model.prompts</code>, <code>encode_query</code> against <code>encode</code>), and whether the texts grew beyond the maximum sequence length. None of these raises an error.</details>
#
# ## Summary
#
# - A sentence transformer is a list of modules; `encode` runs them in batches.
# - Beyond `max_seq_length` nothing is read, and nothing is said. Tokenise without truncation and count.
# - A cosine is high or low beside graded pairs of the same model. A negation may beat a paraphrase.
# - Give the whole list to `encode`, use `encode_query` and `encode_document`, fix the revision, and measure before you cut dimensions.
#
# ## References
#
# - Reimers and Gurevych (2019), [Sentence-BERT](https://aclanthology.org/D19-1410). The library: [documentation](https://sbert.net), [code](https://github.com/huggingface/sentence-transformers), and its [move to Hugging Face](https://huggingface.co/blog/sentence-transformers-joins-hf).
# - Cer et al. (2017), [the STS benchmark](https://aclanthology.org/S17-2001); Muennighoff et al. (2023), [MTEB](https://aclanthology.org/2023.eacl-main.148), and its [registry of models](https://github.com/embeddings-benchmark/mteb).
# - Wang et al. (2020), [MiniLM](https://arxiv.org/abs/2002.10957); Kusupati et al. (2022), [Matryoshka representation learning](https://arxiv.org/abs/2205.13147).
# - Marqo, Introduction to Sentence Transformers, linked above; its seven references are complete in `references.bib`.
#
# **Next:** notebook 09: which loss for which data?
