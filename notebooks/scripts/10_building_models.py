# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/10_building_models.ipynb)
#
# # How is a sentence encoder put together, and how do you change one?
#
# You build networks from modules, add a layer, add words to the vocabulary, train only what is new, and save and load the result, in two libraries with equal numbers.
#
# | | |
# |---|---|
# | You will be able to | put a network together from modules; say what a text limit costs; add a Dense layer and tell what it does before training; add tokens without an IndexError; train one row of a table and nothing else |
# | You need first | notebook 05: pooling; notebook 06: the ranking loss |
# | Time | 35 minutes to read; the code runs in about half a minute |
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
# `model` is a plain BERT, to build on; `finetuned` is a sentence encoder, to change. `max_seq_length` is the text limit of the network, `width` the length of the vectors after an added layer. `new_word` is added to the vocabulary, and should come to mean what `known_word` means.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
finetuned = "course/sbert-mini"
max_seq_length = 256
width = 64
new_word = "feline"
known_word = "cat"
learning_rate = 2e-4
row_learning_rate = 3e-2
epochs = 2

# %% [markdown]
# ## Modules in a row
#
# **Question.** What has to be put together to get one vector from a text?
#
# The training overview of sentence-transformers, the source of this notebook, starts with two parts: BERT, which gives one vector a token, and a pooling layer, which averages them. Each part is a *module*: it takes what the one before it gives. The network is their sequence, nothing more.
#
# The next cell is the overview's first listing, in today's names, and the same in the course's library. Then the course's network is run by hand, one module after the other.
#
# **Predict** the shape of `x` after each of the two modules, for three texts: a word, a sentence, ten sentences.

# %% tags=["row-4.4", "nbval-check-output"]
import matplotlib.pyplot as plt
import numpy as np
import torch

import course_lib.modules as ours
from course_lib.support.folders import resolve                               # first: it filters a warning of tqdm's
from course_lib.encoder import SentenceEncoder
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as theirs

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
plt.rcParams["figure.dpi"] = 70                                          # keeps this file small
torch.set_num_threads(1)                                                 # batches are small here: more threads only wait

word_embedding_model = theirs.Transformer(str(resolve(model)), max_seq_length=max_seq_length)
pooling_model = theirs.Pooling(word_embedding_model.get_embedding_dimension())
library = SentenceTransformer(modules=[word_embedding_model, pooling_model], device="cpu")

dim = word_embedding_model.get_embedding_dimension()
encoder = SentenceEncoder([ours.Transformer.load(resolve(model)), ours.Pooling(dim)], dtype="float32").eval()
encoder.max_seq_length = max_seq_length
print(*[type(module).__name__ for module in library], "/", *[type(module).__name__ for module in encoder])
assert library.max_seq_length == encoder.max_seq_length == max_seq_length

# %% tags=["row-4.3", "nbval-check-output"]
texts = ["Hi.", "A cat sits on a mat.", "The cat that sat on the mat " * 10]
ids, cut = encoder[0].tokenize(texts)                                    # three arrays of token ids
lengths = [len(i) for i in ids]
with torch.no_grad():
    x = encoder[0](torch.from_numpy(np.concatenate(ids)).long(), lengths)    # texts in, one vector a token out
    print(lengths, "tokens:", tuple(x.vectors.shape))                        # (tokens, dim)
    x = encoder[1](x)
    print(len(texts), "texts: ", tuple(x.shape))                             # (texts, dim)

one_by_one = torch.stack([t.mean(dim=0) for t in encoder.token_embeddings(texts)])    # the average, written out
assert torch.allclose(x, one_by_one, atol=1e-6)
assert np.allclose(x, encoder.encode(texts), atol=1e-5) and np.allclose(x, library.encode(texts), atol=1e-5)

# %% [markdown]
# A text of a few tokens and one of many give vectors of the same length; BERT-base would give 768 numbers. Both libraries compute the same. Drawn from the modules themselves:

# %% tags=["row-4.3"] alt="Diagram from top to bottom: a short and a long text enter one frame, a network used twice, of a Transformer and a mean Pooling. The arrows carry the shapes: as many vectors as tokens before the pooling, one vector for each text after it. Two rows of coloured stripes show the two vectors; below them stands their cosine."
from course_lib.diagrams import siamese

siamese(encoder, None, (texts[0], texts[1]), title="However many tokens go in, one vector comes out")
plt.show()

# %% [markdown]
# The first number of a shape is the number of tokens, and after the pooling it is gone. All parameters are in the first module: averaging has none.
#
# ## The text limit
#
# **Question.** What does `max_seq_length=256` do, and can it be more?
#
# It is a setting, not a part of the network: the tokenizer stops there. BERT itself has a table of positions with one row for each place, and no more places than rows.
#
# **Predict** what happens in each library if you ask for 1,000.

# %% tags=["row-4.5", "nbval-check-output"]
long_text = ["word " * 2000]
for limit in (8, max_seq_length, encoder[0].positions):
    encoder.max_seq_length = library.max_seq_length = limit
    assert len(encoder.tokens(long_text[0])) == limit
    assert np.allclose(encoder.encode(long_text), library.encode(long_text), atol=1e-5)
    print(f"limit {limit}: the model reads {limit} tokens, [CLS] and [SEP] among them; vectors equal")

library.max_seq_length = 1000                                            # taken without a word
try:
    library.encode(long_text)
except (RuntimeError, IndexError):
    print("sentence-transformers takes a limit of 1000, and fails when a long text comes")
try:
    encoder.max_seq_length = 1000
except ValueError as error:
    print("course_lib:", error)
library.max_seq_length = encoder.max_seq_length = max_seq_length

# %% [markdown]
# Is a low limit bad? Take twenty long texts, each made of bundled premises, and read only their first 8, 16, 32... tokens. Compare each of these vectors with that of the same text read to 512 tokens, and with those of the other texts.
#
# **Predict** how much of a text must be read until its vector is closest to its own.

# %% tags=["row-4.5"] alt="Two curves over the text limit, 8 to 512 tokens on a logarithmic axis: the cosine of the vector of a text's beginning with that of the whole text rises from about 0.4 to 1; the cosine with the vectors of other whole texts rises with it, just below."
import random
from course_lib.data import load_nli
from course_lib.plotting import curve, heatmap, histogram
from course_lib.similarity import cos_sim

premises = sorted({example.premise for example in load_nli("course/nli")})
shuffled = random.Random(seed)
documents = [" ".join(shuffled.sample(premises, 60)) for _ in range(20)]
limits, same, other, found = [8, 16, 32, 64, 128, 256, 512], [], [], []
encoder.max_seq_length = 512
whole = encoder.encode(documents, show_progress_bar=False)                       # (20, dim)
for limit in limits:
    encoder.max_seq_length = limit
    cosines = cos_sim(encoder.encode(documents, show_progress_bar=False), whole)     # (20, 20)
    same.append(cosines.diag().mean().item())
    other.append(((cosines.sum() - cosines.diag().sum()) / (20 * 19)).item())
    found.append((cosines.argmax(dim=1) == torch.arange(20)).float().mean().item())
encoder.max_seq_length = max_seq_length
ax = curve(limits, same, label="with the whole text")
curve(limits, other, label="with other whole texts", ax=ax)
ax.set(xscale="log", xlabel="max_seq_length", ylabel="mean cosine", title="A beginning resembles its text, and other texts nearly as much")
ax.set_xticks(limits, limits)
plt.show()
print({limit: f"{share:.0%} closest to their own text" for limit, share in zip(limits, found)})
assert same == sorted(same) and found[-1] == 1 and found[0] < 0.5

# %% [markdown]
# The upper curve alone would suggest that a few tokens are enough. The lower one is the yardstick: with this model all long texts are alike, so the beginning must be long to single out its own.
#
# ## One more module: Dense
#
# **Question.** What does a Dense layer compute?
#
# The overview's second network adds a third module. A *Dense layer* multiplies a vector by a matrix, adds a bias, and sends each number through a function, the *activation*: here tanh, which squeezes everything into -1..1. First by a loop, then as a matrix product, then with the two libraries' `Dense`.

# %% tags=["nbval-check-output"]
import math

x = torch.tensor([[1.0, 0.0, 2.0], [-3.0, 1.0, 0.5]])                    # (2 sentences, 3)
weight, bias = torch.tensor([[0.5, -1.0, 0.2], [0.1, 0.3, -2.0]]), torch.tensor([0.1, 0.0])      # (2, 3), (2,)

by_loop = [[math.tanh(sum(w * value for w, value in zip(row, sentence)) + b) for row, b in zip(weight.tolist(), bias.tolist())]
           for sentence in x.tolist()]
by_matrix = torch.tanh(x @ weight.T + bias)                              # (2, 3) @ (3, 2) -> (2, 2)
assert torch.allclose(by_matrix, torch.tensor(by_loop))

our_dense, their_dense = ours.Dense(3, 2), theirs.Dense(in_features=3, out_features=2, activation_function=torch.nn.Tanh())
for dense in (our_dense, their_dense):
    dense.load_state_dict({"linear.weight": weight, "linear.bias": bias})
assert torch.equal(our_dense(x), by_matrix) and torch.equal(their_dense({"sentence_embedding": x})["sentence_embedding"], by_matrix)
print(by_matrix)

# %% [markdown]
# ### Now from the library: a network of three modules
#
# The overview writes `out_features=256` behind a BERT of 768, so vectors shrink to a third. Behind the default model, which is 256 wide, 256 would shrink nothing; the parameter `width` is a quarter of that. Both libraries get the same modules and the same weights.
#
# **Predict:** how many parameters has the new layer?

# %% tags=["row-4.6", "row-4.2", "nbval-check-output"]
import inspect

torch.manual_seed(seed)
dense_model = theirs.Dense(in_features=pooling_model.get_embedding_dimension(), out_features=width, activation_function=torch.nn.Tanh())
library = SentenceTransformer(modules=[word_embedding_model, pooling_model, dense_model], device="cpu")
network = SentenceEncoder([*encoder, ours.Dense(dim, width, activation_function=torch.nn.Tanh())], dtype="float32").eval()
network[2].load_state_dict(library[2].state_dict())                      # the same names: linear.weight, linear.bias

texts += ["", "naïve café 🙂", "word " * 1000]
a, b = network.encode(texts), library.encode(texts)                      # (texts, width) each
assert a.shape == b.shape == (len(texts), width) and np.abs(a - b).max() < 1e-5
assert np.abs(a).max() <= 1
print(f"{a.shape}, all between -1 and 1; largest difference below 1e-5: {bool(np.abs(a - b).max() < 1e-5)}")
print(f"Dense: {sum(p.numel() for p in network[2].parameters()):,} = {dim} x {width} + {width} parameters\n")
print(inspect.getsource(ours.Dense.forward))
print("modules to build with:", *ours.KINDS)

# %% [markdown]
# Any activation of torch will do, and `None` for none. But the format stores its class and nothing of its settings: in sentence-transformers `LeakyReLU(0.5)` comes back as `LeakyReLU(0.01)`; `course_lib` refuses to save it.
#
# ### What does it do before it has learned anything?
#
# The new layer's weights are random. Measure the network on the bundled STS pairs without the layer, then with untrained layers of several widths, five random starts each.
#
# **Predict:** does a random matrix of 256 x 64 destroy the vectors?

# %% tags=["row-4.6"] alt="Curves of Spearman's correlation over the width of an untrained Dense layer, from 4 to 256 on a logarithmic axis: with tanh and without an activation the curves lie on each other and rise with the width, from far below a horizontal line, the score without the layer, to just below it; bands show five random starts."
from course_lib.data import load_sts
from course_lib.evaluation import spearman
from course_lib.similarity import pairwise_cos_sim

rows = load_sts("course/sts")
u, v = (torch.from_numpy(encoder.encode([getattr(row, side) for row in rows], show_progress_bar=False)) for side in ("sentence1", "sentence2"))     # (328, dim) each
score = lambda u, v: spearman([row.score for row in rows], pairwise_cos_sim(u, v))
widths, without, mean = [4, 16, 64, 256], score(u, v), {}
_, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for name, activation in (("tanh", torch.nn.Tanh()), ("no activation", None)):
    runs = np.empty((5, len(widths)))
    for run, column in np.ndindex(runs.shape):
        torch.manual_seed(seed + run)
        with torch.no_grad():
            dense = ours.Dense(dim, widths[column], activation_function=activation)
            runs[run, column] = score(dense(u), dense(v))
    mean[name] = runs.mean(axis=0)
    curve(widths, runs, label=name, ax=ax)
ax.axhline(without, color="black", linestyle=":", label="without the layer")
ax.set(xscale="log", xlabel="width of the Dense layer", ylabel="Spearman", title="A random layer keeps most of a vector, if it is wide enough")
ax.set_xticks(widths, widths)
ax.legend()
plt.show()
print(f"without {without:.3f};", {f"{name}, {w}": round(float(m), 3) for name in mean for w, m in zip(widths, mean[name])})
assert all((m[:-1] < m[1:]).all() and m[0] < without - 0.03 for m in mean.values()) and np.abs(np.subtract(*mean.values())).max() < 0.02

# %% [markdown]
# A wide random layer loses little: it mixes dimensions, and distances survive mixing. The narrower it is, the more is lost, and nothing is gained at any width. The activation hardly matters here: close to zero tanh is nearly a straight line. A layer that shrinks vectors pays off once it is trained.
#
# ## Old listings, today's names
#
# **Question.** What of the overview's code still runs?
#
# Names have moved since 2022; the old ones still work, some with a warning. And in copies of the page text is lost: `from import DataLoader`, or a call that has slipped into a comment.
#
# **Predict** which of the two does more harm.

# %% tags=["row-4.24", "nbval-check-output"]
import ast
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from sentence_transformers import models                             # the old home of the modules
    assert models.Transformer is theirs.Transformer and models.Pooling is theirs.Pooling and models.Dense is theirs.Dense
    for module, old in ((word_embedding_model, "get_word_embedding_dimension"), (pooling_model, "get_sentence_embedding_dimension")):
        before = len(caught)
        assert getattr(module, old)() == module.get_embedding_dimension() == dim
        print(f"{type(module).__name__ + '.' + old:43} -> get_embedding_dimension     warns: {len(caught) > before}")
    assert library._first_module() is library[0] and library[0].auto_model is not None
print(f"{'sentence_transformers.models':43} -> {theirs.__name__}")
print(f"{'model._first_module()':43} -> model[0]\n")

lost = {"from import DataLoader": "from torch.utils.data import DataLoader",
        "#Tune the model[(train_dataloader, train_loss)], epochs=1, warmup_steps=100)":
            "model.fit(train_objectives=[(train_dataloader, train_loss)], epochs=1, warmup_steps=100)"}
for copied, repaired in lost.items():
    try:
        found = f"is read as {len(ast.parse(copied).body)} statements"
    except SyntaxError:
        found = "is a SyntaxError"
    assert len(ast.parse(repaired).body) == 1 and hasattr(SentenceTransformer, "fit")
    print(f"{copied[:30]!r:34} {found:24} mended: {repaired[:38]}...")

# %% [markdown]
# The first error stops you at once. The second is a comment: the script runs to its end and trains nothing. What `fit` does today is for notebook 11.
#
# ## Save it, load it
#
# **Question.** Where does a model come from when you give a name?
#
# Two statements of the overview are out of date. That a path needs a `/` to be taken for one. And that you can put a zip archive on a server and give its address.
#
# **Predict:** which of the names below are looked for on disk, which on the hub?

# %% tags=["row-4.16", "row-4.17", "nbval-check-output"]
import contextlib
import tempfile
import zipfile

with tempfile.TemporaryDirectory() as place:
    network.save(Path(place) / "my-model")
    print(sorted(str(file.relative_to(place)) for file in Path(place).rglob("*.json")))
    with contextlib.chdir(place):                                        # a name without a slash, beside the folder
        loaded = [SentenceTransformer("my-model", device="cpu"), SentenceEncoder.load("my-model", dtype="float32")]
        with zipfile.ZipFile("packed.zip", "w") as archive:              # what replaces the zip address:
            for file in Path("my-model").rglob("*"):
                archive.write(file)
        shutil.unpack_archive("packed.zip", "unpacked")                  # fetch it yourself, unpack it, give the folder
        loaded += [SentenceTransformer("unpacked/my-model", device="cpu"), SentenceEncoder.load("unpacked/my-model", dtype="float32")]
    for one in loaded:
        assert np.allclose(one.encode(texts), a, atol=1e-5)
print(len(loaded), "models loaded by path, all give the vectors that were saved\n")

for name in ("https://example.org/my-model.zip", "my/path/to/model/", "my-model"):
    for load in (lambda name: SentenceTransformer(name, device="cpu", local_files_only=True), SentenceEncoder.load)[: 2 - (name == "my-model")]:
        try:
            load(name)
        except OSError as error:                                         # FileNotFoundError is one
            print(f"{name:33} {type(error).__name__}: {str(error).split(';')[0][:70]}")

# %% [markdown]
# A folder that exists is taken, slash or not. If there is none, a name with at most one slash is looked for on the Hugging Face hub (a bare `my-model` as `sentence-transformers/my-model`); here that was forbidden by `local_files_only=True`. An address has more slashes, so it counts as a path that does not exist: no request is sent.
#
# What replaces the zip address is the hub: push the folder, load it by `owner/name`. Downloads lie in the hub's cache, not in torch's any more, or where `SENTENCE_TRANSFORMERS_HOME` says.
#
# ## New tokens
#
# **Question.** How does a network learn a token it has never seen?
#
# For some tasks you want markers, such as `[DOC]` before documents and `[QRY]` before queries. A *special token* is one that is never cut into pieces. The overview adds two to the tokenizer and stops there.
#
# ### A trap: a tokenizer that knows more than its model
#
# **Predict** what `encode` returns for a text with `[DOC]`.

# %% tags=["row-4.19", "nbval-check-output"]
from tokenizers import AddedToken

tokens = ["[DOC]", "[QRY]"]
marked = ["[DOC] A cat sits on a mat.", "[QRY] Where is the cat?", "no marker", "a [doc] in small letters"]
new_network = SentenceTransformer(modules=[theirs.Transformer(str(resolve(model))), theirs.Pooling(dim)], device="cpu")
existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
course = SentenceEncoder.load(finetuned, dtype="float32")
plain = course.encode(marked)                                            # before: the markers in pieces
print(course.tokens(marked[0]))

for name, one in (("a new network", new_network), ("an existing model", existing)):
    one.tokenizer.add_tokens(tokens, special_tokens=True)                # the overview's line
course[0].tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
for name, one in (("a new network", new_network), ("an existing model", existing), ("course_lib", course)):
    try:
        one.encode(marked)
    except IndexError as error:
        print(f"{name:18} IndexError: {error}")
table = existing[0].auto_model.get_input_embeddings().weight             # (vocabulary, hidden)
print(f"{len(existing.tokenizer):,} tokens, {len(table):,} rows; [DOC] is number {existing.tokenizer.convert_tokens_to_ids('[DOC]'):,}")

# %% [markdown]
# The tokenizer hands out two new numbers, and the table of word embeddings has no rows for them. Missing is the line `auto_model.resize_token_embeddings(len(tokenizer))`, lost in copies of the page. In `course_lib` one call does both, so that they cannot part.
#
# How do the new rows start? "Randomly", says the overview.
#
# **Predict** the cosine of the two new rows, in each library.

# %% tags=["row-4.19", "nbval-check-output"]
from course_lib.models.surgery import add_tokens

existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer))  # the line that was missing
their_table = existing[0].auto_model.get_input_embeddings().weight.detach()

def word_table(one):
    return next(part for part in one[0].modules() if isinstance(part, torch.nn.Embedding)).weight     # (vocabulary, hidden)

course = SentenceEncoder.load(finetuned, dtype="float32")
torch.manual_seed(seed)
added = add_tokens(course, tokens, special_tokens=True)                  # tokenizer and table together
our_table = word_table(course).detach()
print(f"{added} added, then {add_tokens(course, tokens, special_tokens=True)}; {len(our_table):,} rows;", course.tokens(marked[0]), course.tokens(marked[3])[2:5])
near = {name: cos_sim(*table[-2:].chunk(2)).item() for name, table in (("transformers", their_table), ("course_lib", our_table))}
print("cosine of the rows of [DOC] and [QRY]:", {name: round(cosine, 2) for name, cosine in near.items()})

their_table[-2:] = our_table[-2:]                                        # the same rows: the same vectors
with_tokens = course.encode(marked)
assert np.allclose(with_tokens, existing.encode(marked), atol=1e-5) and np.allclose(with_tokens[2:], plain[2:], atol=1e-5)
with tempfile.TemporaryDirectory() as place:
    course.save(place)
    for again in (SentenceTransformer(place, device="cpu"), SentenceEncoder.load(place, dtype="float32")):
        assert np.allclose(again.encode(marked), with_tokens, atol=1e-5)
assert near["transformers"] > 0.99 and abs(near["course_lib"]) < 0.5
print("saved and loaded in both libraries: the same vectors; texts without a new token have not changed")

# %% [markdown]
# In 2022 each new row was drawn at random. Today's `transformers` gives all of them the average row, with a little noise: at first the two markers can hardly be told apart. `course_lib` draws each row with the mean and spread of the rows that exist. Neither means anything yet.
#
# ## A random row, before and after
#
# **Question.** What does fine-tuning make of a new token?
#
# With markers that is hard to see, so take a word whose meaning you know. The tokenizer cuts `feline` into pieces. Add it as one token, and let it be learned from 16 sentences: the one with `feline` has to find the one with `cat`, not the one with `dog`, `bird`... Six other sentences are kept for the test: among ten animals and things, is `cat` the closest?
#
# **Predict** how many of six are right before training, in pieces and as a new token.

# %% tags=["row-4.20"]
train_frames = """The {} slept on the sofa.|My {} does not like strangers.|We took the {} to the vet.|A {} ran across the street.|She fed her {} at noon.
The old {} sat by the fire.|There is a {} in the garden.|He was afraid of the {}.|The {} looked out of the window.|I saw a black {} last night.
They found the {} under the bed.|Our {} is hungry again.|Who let the {} in?|The children played with a {}.|A small {} drank milk.|The {} hurt its leg."""
test_frames = """The {} jumped onto the table.|Has anybody seen my {}?|A {} is lying in the sun.|They bought a {} for their daughter.
The neighbours' {} is very loud.|A white {} climbed the tree."""
train_frames, test_frames = (text.replace("\n", "|").split("|") for text in (train_frames, test_frames))
others = [word for word in ("dog", "bird", "horse", "fish", "child", "car", "woman", "mouse", "cow") if word != known_word]
choices = [known_word, *others]

def compare(one):
    """Mean cosine of the test sentences with new_word and those with each choice, (choices,), and how often the known word won."""
    first = one.encode([frame.format(new_word) for frame in test_frames], show_progress_bar=False)
    cosines = torch.stack([pairwise_cos_sim(first, one.encode([frame.format(choice) for frame in test_frames], show_progress_bar=False)) for choice in choices], dim=1)
    return cosines.mean(dim=0), (cosines.argmax(dim=1) == 0).sum().item()     # of (6 test sentences, choices)

stages = {"in pieces": SentenceEncoder.load(finetuned, dtype="float32")}
for name in ("new, random row", "all tuned", "only the row tuned"):
    stages[name] = SentenceEncoder.load(finetuned, dtype="float32")
    torch.manual_seed(seed)
    assert add_tokens(stages[name], [new_word]) == 1
results = {name: compare(stages[name]) for name in list(stages)[:2]}
print({name: f"{wins} of {len(test_frames)}" for name, (_, wins) in results.items()}, stages["in pieces"].tokens(new_word)[1:-1])

# %% [markdown]
# Now train, in two ways. The usual one: all weights, at a usual learning rate. The other: `freeze()` keeps every parameter of the network from learning, the table is let go again, and a hook on its gradient leaves only the new row: one row learns, nothing else, with a much higher learning rate.
#
# **Predict** for each: does the row move? Do other texts get worse? (The score on the STS pairs will tell.)

# %% tags=["row-4.1", "row-4.20"]
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.surgery import freeze
from course_lib.siamese import siamese_objective
from course_lib.training import train

triplets = [tuple(frame.format(word) for word in (new_word, known_word, other)) for frame in train_frames for other in others]
start, loss = word_table(stages["new, random row"]).detach().clone(), MultipleNegativesRankingLoss()
only_row = stages["only the row tuned"]
freeze(only_row)
word_table(only_row).requires_grad_(True)
mask = (torch.arange(len(start)) == len(start) - 1).float().unsqueeze(1)      # (rows, 1): the last row alone
word_table(only_row).register_hook(lambda gradient: gradient * mask)          # all other rows get zeros
for name, rate in (("all tuned", learning_rate), ("only the row tuned", row_learning_rate)):
    one = stages[name]
    history = train(one, siamese_objective(one, loss), triplets, batch_size=32, epochs=epochs,
                    learning_rate=rate, weight_decay=0.0, seed=seed, autocast=False, show_progress_bar=False)
    results[name] = compare(one)
    print(f"{name:20} {history[-1]['step']} steps in {history[-1]['seconds']:.0f} s")
sides = [[getattr(row, side) for row in rows] for side in ("sentence1", "sentence2")]
sts = {name: score(*(one.encode(side, show_progress_bar=False) for side in sides)) for name, one in stages.items()}
for name, one in stages.items():
    moved = "" if name == "in pieces" else f", row against its start: cosine {pairwise_cos_sim(word_table(one)[-1:].detach(), start[-1:]).item():.3f}"
    print(f"{name:20} {results[name][1]} of {len(test_frames)} right, STS pairs {sts[name]:.4f}{moved}")
assert min(results[name][1] for name in ("all tuned", "only the row tuned")) > results["new, random row"][1] + 2
assert torch.equal(word_table(only_row)[:-1], start[:-1]) and sts["only the row tuned"] == sts["in pieces"]

# %% [markdown]
# Both ways solve the task. But look at the row. With all weights tuned it has hardly moved: ten steps at a small rate are too few for a row that starts at random, so the rest of the network has learned to live with a meaningless vector, and all other texts have changed with it: compare the scores on the STS pairs. Tuned alone, the row has turned, and no text without the word has changed at all: the other rows are equal bit for bit. Where did it turn to?

# %% tags=["row-4.20"] alt="Three histograms, one above the other, of the cosines of the new row with all other rows of the table. Random and after tuning all weights they are the same hump around 0, with the vertical line of the known word inside it. After tuning only the row the line of the known word stands at the far right, beyond nearly all other words."
figure, axes = plt.subplots(3, 1, figsize=(6.5, 5), sharex=True, layout="constrained")
known = only_row[0].tokenizer.token_to_id(known_word)
for ax, (name, one) in zip(axes, list(stages.items())[1:]):
    cosines = cos_sim(word_table(one)[-1:].detach(), word_table(one)[:-1].detach())[0]       # (vocabulary,)
    place = (cosines > cosines[known]).sum().item() + 1
    histogram(cosines, f"{name}: {known_word!r} is number {place:,} of {len(cosines):,}", xlabel="", ax=ax)
    ax.axvline(cosines[known], color="black", linestyle="--")
    nearest = [one[0].tokenizer.id_to_token(i) for i in cosines.topk(4).indices.tolist()]
    print(f"{name:20} nearest rows: {nearest}")
axes[-1].set_xlabel(f"cosine of the row of {new_word!r} with every other row; dashed: with that of {known_word!r}")
plt.show()
assert place <= 20

# %% [markdown]
# From a few sentences the row has found its neighbour among all rows of the table. Nobody told it; the loss only asked for whole sentences to match.
#
# There is a way without any training: copy the row of a word that means the same. Here are all five together.

# %% tags=["row-4.20"] alt="Heatmap of mean cosines, five rows by ten columns: test sentences with the new word against the same sentences with cat, dog, bird and so on. In pieces and with a random row all ten columns look alike. After either tuning the column of the known word stands out. With its row copied that column is 1."
stages["row copied"] = SentenceEncoder.load(finetuned, dtype="float32")
add_tokens(stages["row copied"], [new_word])
with torch.no_grad():
    word_table(stages["row copied"])[-1] = word_table(stages["row copied"])[known]
results["row copied"] = compare(stages["row copied"])
matrix = torch.stack([cosines for cosines, _ in results.values()])               # (stages, choices)
_, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
heatmap(matrix, labels=list(stages), title=f"What {new_word!r} resembles: nothing in particular, then {known_word!r}", ax=ax)
ax.set_xticks(range(len(choices)), choices, rotation=45, ha="right")
plt.show()
lead = {name: (row[0] - row[1:].max()).item() for name, row in zip(stages, matrix)}
print({name: round(gap, 2) for name, gap in lead.items()}, "ahead of the best other choice")
assert matrix[-1, 0] > 0.999 and min(lead["all tuned"], lead["only the row tuned"]) > max(lead["in pieces"], lead["new, random row"]) + 0.03

# %% [markdown]
# Before, no column stands out; after, one does. The copy is a perfect synonym, and can never be more than that. If you add a term with a meaning of its own, copy a related row and train on from there.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` and `finetuned = "sentence-transformers/all-MiniLM-L6-v2"`: 440 and 90 MB are downloaded once. `width = 256` is then the overview's own listing, 768 to 256. MiniLM cuts `feline` in pieces as well. Expect the live training to take several times as long.
#
# ## Exercises
#
# **1.** Give a table of word embeddings room for more tokens. New rows get the mean of the rows there are. Tables with spare rows exist: none may be lost.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def grow(table, tokens):
    """table (rows, dim) and the number of tokens the tokenizer knows -> (max(rows, tokens), dim)."""
    ...

check("10.1", grow)

# %% [markdown]
# **2.** Where is a model looked for?

# %% tags=["exercise", "nbval-check-output"]
def where(name, folders):
    """A name, and the folders that exist -> the folder's name itself, the name to ask the hub for, or "nowhere".

    As sentence-transformers does it today: see the section on loading."""
    ...

check("10.2", where)

# %% [markdown]
# ## Questions
#
# **1.** You call `add_tokens` after you have made the optimiser and trained for a while. What should happen, and why is silence the worst answer?
#
# <details><summary>Answer</summary>The optimiser holds running averages in the table's old shape. In course_lib the parameter stays the same object with more rows, so the next step raises an error. Had a new parameter taken its place, the optimiser would go on with the old one, and the new rows would never learn, unnoticed.</details>
#
# **2.** A network of Transformer, Pooling and Dense(256, 64) loses quality against the one without Dense. Name two ways to make the layer earn its place.
#
# <details><summary>Answer</summary>Train it, with the network or alone, on your task or to imitate a teacher. Or compute it: the main directions of many vectors (PCA) make a linear layer that loses as little as possible.</details>
#
# **3.** Only one row was trained. Why must weight decay be off for that?
#
# <details><summary>Answer</summary>AdamW's weight decay shrinks every number of a parameter at every step, whatever its gradient. The hook zeroes the gradients of the other rows; they would shrink all the same.</details>
#
# ## Summary
#
# - A sentence encoder is modules in sequence. Each takes what the one before gives, and in both libraries equal weights give equal vectors.
# - The text limit is a setting. It can be lowered freely, and raised to the number of positions.
# - A Dense layer is a matrix, a bias and an activation. Untrained it keeps most of a vector and improves nothing.
# - A folder that exists is loaded; otherwise the hub is asked. Addresses of zip archives are not read any more.
# - Tokenizer and table must grow together. A new row means nothing, and a short training of everything may leave it so; frozen surroundings and a higher rate train the row itself.
#
# ## References
#
# - Reimers and others (2022), Training Overview, the documentation of [Sentence Transformers](https://github.com/huggingface/sentence-transformers): the listings of this notebook.
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084).
# - Hewitt (2021), [Initializing new word embeddings](https://nlp.stanford.edu/~johnhew/vocab-expansion.html): why the mean, for language models.
# - Johnson and Lindenstrauss (1984), Extensions of Lipschitz mappings into a Hilbert space: why random layers keep distances.
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): AdamW.
#
# **Next:** notebook 11: the training call, with all its options.
