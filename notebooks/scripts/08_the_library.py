# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/08_the_library.ipynb)
#
# # What does sentence-transformers do with your five sentences?
#
# You have built a sentence encoder from its parts. Here you load the same weights with the library that everybody uses, read what it prints, find out what it silently ignores, and learn what its scores are worth.
#
# | | |
# |---|---|
# | You will be able to | read a printed model; work six pooling modes by hand; tell which part of a text was never read; say whether a cosine is high; choose a model from a table |
# | You need first | notebook 06: mean pooling, cosine, the ranking loss |
# | Time | 30 minutes to read; the code runs in about half a minute |
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
# The library is installed with `pip install sentence-transformers`; the course's environment and Colab have it. It is often called Hugging Face's. It was made, and for six years kept, by the UKP Lab of TU Darmstadt; Hugging Face took it over in 2025.
#
# The first lines below are there to keep its progress bars out of the notebook; errors still show.

# %% tags=["row-1.35"]
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
plt.rcParams["figure.dpi"] = 70                                         # keeps this file small

library = SentenceTransformer(str(resolve(model)), device="cpu")        # the library's model
encoder = SentenceEncoder.load(model, device="cpu", dtype="float32")    # the course's, of the same files
dim = encoder.get_embedding_dimension()
assert len(library) == len(encoder) and library.max_seq_length == encoder.max_seq_length
print({name: version(name) for name in ("sentence-transformers", "transformers", "torch")})

# %% [markdown]
# Marqo's introduction loads `bert-base-nli-mean-tokens`, the SBERT of 2019, and shows what `print` said of it then. Your model is the same kind of thing, so its printout in that form can differ in two numbers only.
#
# **Predict** which two.

# %% tags=["row-1.36", "nbval-check-output"]
from course_lib.modules import Pooling
from course_lib.support.configs import POOLING_FLAGS

published = """(0): Transformer({'max_seq_length': 128, 'do_lower_case': False}) with Transformer model: BertModel
(1): Pooling({'word_embedding_dimension': 768, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True, \
'pooling_mode_max_tokens': False, 'pooling_mode_mean_sqrt_len_tokens': False, 'pooling_mode_weightedmean_tokens': False, \
'pooling_mode_lasttoken': False, 'include_prompt': True})"""

def old_form(module):
    if isinstance(module, Pooling):
        modes = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
        flags = {POOLING_FLAGS[mode]: mode in module.modes for mode in modes}
        return f"Pooling({({'word_embedding_dimension': module.dim} | flags | {'include_prompt': module.include_prompt})})"
    if not hasattr(module, "tokenizer"):
        return f"{type(module).__name__}()"
    kind = type(getattr(module.model, "model", module.model)).__name__
    return f"Transformer({({key: getattr(module, key) for key in ('max_seq_length', 'do_lower_case')})}) with Transformer model: {kind}"

printed = [f"({i}): {old_form(module)}" for i, module in enumerate(encoder)]
if "BertModel" in printed[0] and encoder[1].modes == ("mean",):
    assert printed[:2] == published.replace("768", str(dim)).replace("128", str(encoder.max_seq_length)).split("\n")
print("then:", *printed, "", "today:", library, sep="\n")

# %% [markdown]
# With the default model it is one number: both read 128 tokens, and a vector is shorter. Read it line by line:
#
# - **(0) Transformer.** Text in, one vector a token out. `max_seq_length` and `do_lower_case` get a section each below. Today's form leaves both settings out; the model has them.
# - **(1) Pooling.** One vector a token in, one vector a sentence out. Six flags in the old form, one of them true; one name today.
# - A third line, where there is one, divides by the length (`Normalize`) or changes the number of dimensions (`Dense`).
#
# ## The other five flags
#
# **Question.** What would the five modes that are `False` compute?
#
# Take a sentence of three tokens with vectors of two numbers, and a padding token to be ignored. First by hand, with plain numbers, then from both libraries.
#
# **Predict:** which modes give another result when the sentence is turned round? And when the padding vector changes?

# %% tags=["row-1.38", "nbval-check-output"]
from sentence_transformers import models
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
turned = tokens[:, [2, 1, 0, 3]]
for mode, expected in by_hand.items():
    ours = pool(tokens, mask, mode)                                                # (1, 2)
    theirs = models.Pooling(2, mode)({"token_embeddings": tokens, "attention_mask": mask})["sentence_embedding"]
    assert torch.allclose(ours, torch.tensor([expected])) and torch.allclose(ours, theirs)
    same = torch.allclose(ours, pool(turned, mask, mode))
    print(f"{mode:22} {[round(x, 3) for x in expected]!s:18} turned round: {'the same' if same else 'another vector'}")

# %% [markdown]
# Padding changes none of them: the mask keeps it out. The mode is part of a trained model, like its weights; notebook 06 showed what another one costs.
#
# ## What the model never reads
#
# ### A trap: the end of a long text
#
# **Question.** What happens to a text longer than `max_seq_length`?
#
# Two long mails begin alike and end in a yes and in a no.
#
# **Predict** the cosine of their vectors.

# %% tags=["row-1.37", "nbval-check-output"]
opening = "Thank you for the long and friendly talk that we had about your offer. " * (encoder.max_seq_length // 10)
mails = [opening + "We accept it.", opening + "We refuse it, and you will hear from our lawyers."]
yes, no = encoder.encode(["We accept it.", "We refuse it, and you will hear from our lawyers."], show_progress_bar=False)
vectors, cut = encoder.encode(mails, return_truncated=True, show_progress_bar=False)    # (2, dim)
theirs = library.encode(mails, show_progress_bar=False)

assert np.allclose(vectors[0], vectors[1], atol=1e-6) and np.allclose(theirs[0], theirs[1], atol=1e-6)
print(f"{cut} of {len(mails)} texts were cut after {encoder.max_seq_length} tokens; both libraries: equal vectors")
print(f"cosine of the two endings alone: {util.cos_sim(yes, no).item():.2f}")
assert cut == 2 and util.cos_sim(yes, no) < 0.99

# %% [markdown]
# This is *truncation*: what lies beyond the *maximum sequence length*, 128 tokens in that printout, is dropped before the model sees it, without an error and by default without a word. The vectors are equal. So count before you embed: the course's `encode` returns how many texts were cut. Cutting long texts into pieces is for notebook 13.
#
# ### Capitals
#
# `do_lower_case: False` sounds as if capitals count.
#
# **Predict:** do `apple pie` and `APPLE PIE` get the same vector?

# %% tags=["row-1.37", "nbval-check-output"]
import copy
import json

from tokenizers import Tokenizer
from course_lib.transformer import Transformer

words = ["apple pie", "Apple Pie", "APPLE PIE"]
settings = json.loads(encoder[0].tokenizer.to_str()) | {"normalizer": None}       # the same tokenizer, told to leave text alone
cased = Transformer(encoder[0].model, Tokenizer.from_str(json.dumps(settings)), encoder.max_seq_length)
flagged = copy.copy(cased)
flagged.do_lower_case = True
for name, first in (("as loaded", encoder[0]), ("tokenizer keeps case", cased), ("the same, do_lower_case", flagged)):
    variant = SentenceEncoder([first, *list(encoder)[1:]], dtype="float32")
    vectors = variant.encode(words, show_progress_bar=False)
    same = bool(np.allclose(vectors[0], vectors[2], atol=1e-6))
    assert same == (variant.tokens(words[0]) == variant.tokens(words[2])) and (same or not first.do_lower_case)
    print(f"{name:24} do_lower_case={first.do_lower_case!s:6} APPLE PIE -> {variant.tokens(words[2])}   equal: {same}")

# %% [markdown]
# The flag only says whether the library lower-cases texts ahead of the tokenizer. An *uncased* model, like yours and like the SBERT of 2019, has a tokenizer that lower-cases by itself, so its capitals are lost with the flag off. Take that away and capitals turn into unknown tokens; switch the flag on and all is well again.
#
# ## Five sentences, one matrix
#
# **Question.** What can you read off a matrix of cosines?
#
# Marqo's example has five short sentences from its own website. `encode` turns a list into an array, one row a sentence.
#
# **Predict** its shape, and which two sentences will be closest.

# %% tags=["row-1.39", "nbval-check-output"]
sentences = [
    "With Marqo you can use your data to increase relevance with embedding search",
    "Join the conversation on our Marqo Community Channel",
    "AI search that understands the way your customers think",
    "How RedBubble increased revenue with Marqo",
    "With Marqo you can use your data to increase downloads with embedding search",
]
embeddings = library.encode(sentences, show_progress_bar=False)         # (5, dim)
assert embeddings.shape == (5, dim)
assert isinstance(embeddings, np.ndarray) and np.asarray(embeddings) is embeddings
print(type(embeddings).__name__, embeddings.dtype, embeddings.shape)

# %% [markdown]
# `encode` returns an array already: the line `embeddings = np.array(embeddings)` that follows in many tutorials only copies it. Now all cosines at once.

# %% tags=["row-1.40"] alt="Heatmap of the cosines of Marqo's five sentences, five by five, values in the cells: the diagonal is 1, sentences 1 and 5 are closest by far, all other cells are paler."
from pathlib import Path
from textwrap import fill
from course_lib.plotting import heatmap, histogram

sim = util.cos_sim(embeddings, embeddings).numpy()                      # (5, 5)
assert np.allclose(sim, sim.T, atol=1e-6) and np.allclose(np.diag(sim), 1, atol=1e-6)
closest = max(((i, j) for i in range(5) for j in range(i)), key=lambda pair: sim[pair])
_, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
heatmap(sim, labels=[fill(s, 45) for s in sentences], title=f"Sentences {closest[1] + 1} and {closest[0] + 1} are closest ({Path(model).name})", ax=ax)
plt.show()
assert closest == (4, 0)

# %% [markdown]
# The matrix is symmetric, so bottom left (5, 1) and top right (1, 5) are one number, and ten numbers say everything. The closest two differ in one word.
#
# ### The published matrix
#
# The article prints its matrix, from `bert-base-nli-mean-tokens`. The authors' own notebook prints one for the same five sentences: all digits agree, except those of sentence 4.
#
# **Predict:** the diagonal says 0.9999999 in one place and 1.0000001 in another. Is something wrong?

# %% tags=["row-1.41", "nbval-check-output"]
article = np.array([[0.9999999, 0.6356604, 0.66937524, 0.4040454, 0.9407738],
                    [0.6356604, 0.9999999, 0.6081568, 0.21924865, 0.58871996],
                    [0.66937524, 0.6081568, 1.0, 0.2225984, 0.59990084],
                    [0.4040454, 0.21924865, 0.2225984, 0.99999976, 0.5078909],
                    [0.9407738, 0.58871996, 0.59990084, 0.5078909, 1.0000001]])
notebook_row_4 = np.array([0.70119, 0.32855833, 0.36581916, 1.0, 0.74803436])

assert np.array_equal(article, article.T) and article[4, 0] == article[0, 4]
assert np.abs(np.diag(article) - 1).max() < 1e-6 and np.abs(np.diag(sim) - 1).max() < 1e-6
print("sentence 4 with the others, article: ", article[3].round(2))
print("                     their notebook: ", notebook_row_4.round(2))
print(f"                              yours: {sim[3].round(2)}")
first, last = (set(sentences[i].lower().split()) for i in (0, 4))
print(f"sentences 1 and 5 share {len(first & last)} of {len(first | last)} words; cosine {article[4, 0]:.2f} there, {sim[4, 0]:.2f} here")
assert (notebook_row_4 - article[3])[[0, 1, 2, 4]].min() > 0.1 and len(first & last) / len(first | last) > 0.8

# %% [markdown]
# Nothing is wrong with the diagonal: 32-bit floats hold about seven digits, and a cosine is a sum of many rounded products. Compare floats with a tolerance, never with `==`.
#
# The row of sentence 4 is another matter. One model cannot give one sentence two rows, so sentence 4 was probably another text when the article's matrix was printed. That is an inference; nobody has confirmed it. And the famous 0.94 is mostly shared words: do not take it for understanding.
#
# ## Is that score high?
#
# **Question.** "She is reading a book" and "A girl is immersed in a novel" are said to score high, "A cat sits on a mat" and "A feline is on a carpet" even "close to 1". Are they?
#
# A cosine alone says little: notebook 05 had a model whose cosines were high for everything. So put the score among the scores of sentences that have nothing to do with each other. The *percentile* is the share of them that lie below.
#
# **Predict** both cosines, and one for a third pair: "She is reading a book" and "She is not reading a book".

# %% tags=["row-2.2", "row-2.6"] alt="Histogram of the cosines of random sentence pairs, a hump far from 1, with three vertical lines: the cat pair and the reading pair lie beyond the right end of the hump, and the pair of a statement and its negation farther to the right."
from course_lib.data import load_sts
from course_lib.similarity import cos_sim, pairwise_cos_sim

pairs = {"cat": ("A cat sits on a mat", "A feline is on a carpet"),
         "reading": ("She is reading a book", "A girl is immersed in a novel"),
         "negated": ("She is reading a book", "She is not reading a book")}
bundled = load_sts("course/sts")
left, right = (encoder.encode([getattr(p, side) for p in bundled], show_progress_bar=False) for side in ("sentence1", "sentence2"))
generator = np.random.default_rng(seed)
i = generator.integers(len(bundled), size=random_pairs)
j = (i + generator.integers(1, len(bundled), size=random_pairs)) % len(bundled)     # never the same row
random_scores = pairwise_cos_sim(left[i], right[j]).numpy()                         # (random_pairs,)

ax = histogram(random_scores, "High is what few random pairs reach; a negation reaches it too")
scores = {name: cos_sim(*library.encode(list(pair), show_progress_bar=False)).item() for name, pair in pairs.items()}
for (name, score), style in zip(scores.items(), (":", "--", "-")):
    ax.axvline(score, color="black", linestyle=style, label=name)
    print(f"{name:8} cosine {score:.2f}, above {(random_scores < score).sum():,} of {random_pairs:,} random pairs")
ax.legend()
plt.show()
print("it reads:", *encoder.tokens(pairs["cat"][1]))
assert max(scores["cat"], scores["reading"]) < 0.9 and (random_scores < scores["negated"]).mean() > 0.9

# %% [markdown]
# Neither pair is close to 1. Both are above nearly all random pairs, although the small model knows "feline" only in pieces, as its tokens show. A section below has the numbers of a full-size model. And a sentence and its negation beat both: most words are shared. A cosine measures how alike two texts are, not whether they agree.
#
# The blog that "close to 1" comes from compares one more pair, with an older name of the function.

# %% tags=["row-2.25", "nbval-check-output"]
import warnings

nlp = library.encode(["I love NLP", "Natural Language Processing is fascinating"], show_progress_bar=False)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    old_name, new_name = util.pytorch_cos_sim(nlp[0], nlp[1]), util.cos_sim(nlp[0], nlp[1])
assert torch.equal(old_name, new_name) and torch.allclose(new_name, library.similarity(nlp[0], nlp[1]))
print(f"pytorch_cos_sim {old_name.item():.3f}, cos_sim {new_name.item():.3f}; warnings: {len(caught)}; "
      f"above {100 * (random_scores < new_name.item()).mean():.0f} % of random pairs")

# %% [markdown]
# `pytorch_cos_sim` still works, silently. Write `cos_sim`, or better `model.similarity`, which uses the function that the model's configuration names. The score is low, and yet above nearly all random pairs: no fixed number means "similar".
#
# ## Now from the library: the same numbers
#
# You have used both libraries side by side. Are they the same? Encode all bundled sentences and some odd ones with both.

# %% tags=["nbval-check-output"]
import inspect

texts = [text for p in bundled for text in (p.sentence1, p.sentence2)]
texts += ["", " ", "naïve café", "a" * 500, "word " * 1000, "NOT in capitals!", "🙂", texts[0]]
ours = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)            # (texts, dim)
theirs = library.encode(texts, normalize_embeddings=True, show_progress_bar=False)
assert np.abs(ours - theirs).max() < 1e-6
assert torch.allclose(cos_sim(ours[:50], ours[50:90]), util.cos_sim(ours[:50], ours[50:90]), atol=1e-6)
print(f"{len(texts)} texts, largest difference under 1e-6: {bool(np.abs(ours - theirs).max() < 1e-6)}")
print(inspect.getsource(SentenceEncoder.similarity))

# %% [markdown]
# ## Which model?
#
# **Question.** The SBERT of 2019 is not in the library's table of models any more; its card calls it deprecated. What came after it?
#
# `data/models.tsv` collects facts about the models that Marqo's introduction and the blog name, each with its source. Two rows are added live: parameters are counted, the rest is read off the loaded model or measured.
#
# **Predict:** four of them are called "the best" in the introduction. From which year are these?

# %% tags=["row-1.42", "row-1.43", "row-1.44", "row-2.12", "nbval-check-output"]
from course_lib.support.tables import find, read_tsv

columns = ("model", "parameters", "dimension", "max_tokens", "normalised", "year", "stsb", "tasks14", "base", "purpose")
table = {row[0].split("/")[1]: dict(zip(columns, row)) for _, row in read_tsv(find("course/models"), *columns)}
for name in ("course/bert-mini", "course/sbert-mini"):
    one = SentenceEncoder.load(name, dtype="float32")
    lengths = np.linalg.norm(one.encode(sentences, show_progress_bar=False), axis=1)
    live = sum(p.numel() for p in one.parameters()), one.get_embedding_dimension(), one.max_seq_length
    table[name] = dict(zip(columns, (name, *live, "yes" if np.allclose(lengths, 1, atol=1e-5) else "no", "-", "-", "-", "BERT", "this course")))

print(f"{'':33} {'million':>8} {'dim':>6} {'max':>4} {'norm':>5} {'year':>5} {'STSb':>6} {'14':>6}")
for name, row in table.items():
    print(f"{name:33} {int(row['parameters']) / 1e6:8.1f} {row['dimension']:>6} {row['max_tokens']:>4} {row['normalised']:>5}"
          f" {row['year']:>5} {row['stsb']:>6} {row['tasks14']:>6}  {row['purpose'].split(';')[0]}")

best_four = [table[name] for name in ("all-mpnet-base-v2", "all-MiniLM-L6-v2", "all-distilroberta-v1", "paraphrase-mpnet-base-v2")]
assert {row["year"] for row in best_four} == {"2021"}                                      # "the best" of then
assert all(int(row["max_tokens"]) > 128 for row in best_four)                              # longer texts
assert [row["normalised"] for row in best_four] == ["yes", "yes", "yes", "no"]             # three normalise
leaderboard = sorted((row["year"], float(row["stsb"])) for row in table.values() if row["stsb"] != "-")
assert leaderboard == sorted(leaderboard, key=lambda entry: entry[1])                      # newer is better, here

# %% [markdown]
# `STSb` is the test set of the STS benchmark, `14` the library's own mean over fourteen tasks; `-` means that it does not apply or that no source was at hand. The introduction names three advantages of the four newer models. Longer texts: true of all. Other base models: true of three, MiniLM is a small BERT. Normalisation layers: true of three, and such a layer has no weights, it divides by the length; for the cosine it changes nothing.
#
# "The best" was 2021's best. Newer models are on the [MTEB leaderboard](https://huggingface.co/spaces/mteb/leaderboard); try them on your own data.
#
# ## Quality against speed
#
# **Question.** "MiniLM is fast and compact": fast compared with what?
#
# The next cell measures the shipped models: quality on the bundled pairs, and sentences a second of one processor core. The point of all-MiniLM-L6-v2 was **recorded** by `recipes/speed_and_quality.py` on one machine, and is placed by its ratio to `sbert-mini` there. Different hardware moves the ratio.
#
# **Predict** how many times faster averaged word vectors are than a transformer of four layers.

# %% tags=["row-2.13"]
import time

from course_lib.data import load_results
from course_lib.evaluation import EmbeddingSimilarityEvaluator

minilm = "sentence-transformers/all-MiniLM-L6-v2"
recorded = load_results("08").set_index(["model", "metric"]).value
evaluate, threads, quality, speed = EmbeddingSimilarityEvaluator(bundled), torch.get_num_threads(), {}, {}
torch.set_num_threads(1)
for name in ["course/glove-mini", "course/bert-mini", "course/sbert-mini-nli", "course/sbert-mini"] + [minilm] * full:
    one = SentenceEncoder.load(name, device="cpu", dtype="float32")
    quality[name] = 100 * evaluate(one)["spearman_cosine"]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        one.encode(texts[:656], show_progress_bar=False)
        seconds.append(time.process_time() - start)
    speed[name] = 656 / min(seconds)
    assert abs(quality[name] - recorded[name, "spearman_cosine"]) < 0.5
torch.set_num_threads(threads)
assert speed["course/glove-mini"] > 3 * speed["course/sbert-mini"]
print({name: f"{rate:,.0f} a second" for name, rate in speed.items()})

# %% tags=["row-2.13"] alt="Scatter plot of quality, Spearman times 100 on the bundled pairs, against sentences a second on a logarithmic axis. glove-mini is far to the right and lowest; bert-mini, sbert-mini-nli and sbert-mini stand above one another at one speed, sbert-mini highest; all-MiniLM-L6-v2 is to the left of them and highest of all."
if not full:
    quality[minilm] = recorded[minilm, "spearman_cosine"]
    speed[minilm] = recorded[minilm, "relative_speed"] * speed["course/sbert-mini"]
figure, ax = plt.subplots(figsize=(7, 3.3), layout="constrained")
for name in quality:
    shown = name == minilm and not full
    ax.scatter(speed[name], quality[name], marker="D" if shown else "o", facecolor="none" if shown else "C0", edgecolor="C0")
    ax.annotate(Path(name).name + " (recorded)" * shown, (speed[name], quality[name]), xytext=(8, -3), textcoords="offset points")
ax.set(xscale="log", xlabel="sentences a second, one core", ylabel="Spearman x 100", title="Word vectors are fast, MiniLM is best, and its student is close",
       xlim=(min(speed.values()) / 2, max(speed.values()) * 4))
ax.margins(y=0.15)
plt.show()
assert quality[minilm] > quality["course/sbert-mini"] + 1 > quality["course/glove-mini"] + 10
for name in pairs:
    print(f"recorded for all-MiniLM-L6-v2: {name:8} cosine {recorded[minilm, f'cosine_{name}']:.2f}, "
          f"above {recorded[minilm, f'percentile_{name}']:.3f} % of random pairs")

# %% [markdown]
# MiniLM has about a third of the minis' speed, and is above them: "fast and compact" is meant beside models with nearly five times its parameters. `sbert-mini` comes close, because it learnt from MiniLM (notebook 12). Word vectors are many times faster than either, and worst. Softmax training on NLI leaves `sbert-mini-nli` below `bert-mini` here. Which exchange is right depends on what you search.
#
# The recorded numbers settle the pairs, too: for MiniLM both are above nearly all random pairs, and still not close to 1.
#
# ## What comes next: it can still learn
#
# A loaded model is not finished. Five steps on the cat pair alone, with a loss that asks for nothing but its cosine:
#
# **Predict** what happens to the random pairs meanwhile.

# %% tags=["row-1.45"]
student = SentenceEncoder.load(model, device="cpu", dtype="float32")
optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
for step in range(5):
    u, v = student(list(pairs["cat"]))                                      # (dim,) each, with gradients
    loss = 1 - torch.nn.functional.cosine_similarity(u, v, dim=0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

def cosines(one):
    u, v = one.encode(list(pairs["cat"]), show_progress_bar=False)
    return cos_sim(u, v).item(), pairwise_cos_sim(*(one.encode(x, show_progress_bar=False) for x in (texts[0:400:2], texts[3:403:2]))).mean().item()

(before, random_before), (after, random_after) = cosines(encoder), cosines(student)
print(f"cat pair {before:.2f} -> {after:.2f}; random pairs {random_before:.2f} -> {random_after:.2f}")
assert after > before + 0.05 and random_after > random_before

# %% [markdown]
# The pair went up, and others a little with it: a loss must also say what should stay apart, as the ranking loss of notebook 06 does. Notebooks 09 to 12 are about that.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"`: 90 MB are downloaded once, checked against a published SHA-256, and kept. Expect a third line in the printout, 256 tokens, and the recorded percentiles. `model = "sentence-transformers/all-mpnet-base-v2"` (440 MB) is not a BERT: the old form names another class. `full = True` measures MiniLM's speed here.
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
# **1.** A colleague sets `max_seq_length = 4096` on your model because the texts are long. What happens?
#
# <details><summary>Answer</summary>The model has a table of positions of fixed size, 512 here. More cannot be read, so the course's library refuses, and others fail when a long text comes. And up to 512 the model saw few long texts in training: measure before you trust it.</details>
#
# **2.** Two models give the same pair 0.55 and 0.70. Which of them finds it more similar?
#
# <details><summary>Answer</summary>You cannot tell. Each model has its own scale: look at the share of random pairs below each score, or at the scores of pairs that people judged.</details>
#
# **3.** Your search returns sentences that contradict the query. Is the model broken?
#
# <details><summary>Answer</summary>No. Sentence and negation share topic and words, and training asked for little else. If it matters, let a model that reads both sentences, such as a cross-encoder trained on NLI, judge the best hits.</details>
#
# ## Summary
#
# - A sentence transformer is a list of modules. The old printout shows the limit; today's hides it.
# - Beyond `max_seq_length` nothing is read, and nothing is said. Count.
# - `do_lower_case` adds a lower-caser; an uncased tokenizer has its own.
# - A matrix of cosines is symmetric, with ones on its diagonal up to rounding.
# - A cosine is high or low beside those of unrelated pairs of the same model. A negation may beat a paraphrase.
# - The course's `SentenceEncoder` and the library agree to a millionth.
#
# ## References
#
# - Marqo, Introduction to Sentence Transformers: the listing, its five sentences, its matrix; and the notebook that comes with it.
# - Reimers and Gurevych (2019), [Sentence-BERT](https://aclanthology.org/D19-1410); [Sentence Transformers](https://github.com/huggingface/sentence-transformers), the library.
# - Cer et al. (2017), [the STS benchmark](https://aclanthology.org/S17-2001).
# - Wang et al. (2020), [MiniLM](https://arxiv.org/abs/2002.10957); Song et al. (2020), [MPNet](https://arxiv.org/abs/2004.09297).
# - Muennighoff (2022), [SGPT](https://arxiv.org/abs/2202.08904): the weighted mean.
#
# The introduction ends with seven references, some without their full titles and authors. `references.bib` has them complete:

# %% tags=["row-1.46", "nbval-check-output"]
import re

from course_lib.support.folders import COURSE_HOME

bibliography = (COURSE_HOME / "references.bib").read_text(encoding="utf-8")
entries = [dict(re.findall(r"(\w+) += \{(.+)\},", entry)) for entry in bibliography.split("\n@")[1:]]
seven = {int(entry["number"]): entry for entry in entries if "number" in entry}
for number, entry in sorted(seven.items()):
    print(f"[{number}] {entry['title']}. {entry.get('booktitle') or entry.get('journal', '')} {entry['year']}")
assert sorted(seven) == [1, 2, 3, 4, 5, 6, 7] and seven[6]["title"].startswith("Sentence-BERT:")

# %% [markdown]
# **Next:** notebook 09 (in preparation): which loss for which data?
