# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/10_building_models.ipynb)
#
# # How is a sentence encoder put together, and how do you change one?
#
# You build a sentence encoder from modules, in two libraries with equal vectors. Then you change a trained one in four places: how much it reads, how long its vectors are, which words it knows, and which of its weights learn. At the end you build one with three of these changes, save it and load it.
#
# | | |
# |---|---|
# | You will be able to | build a network from modules, save and load it; test a text limit; shorten vectors; add a token, and say whether you need it; train one row, an adapter, or everything |
# | You need first | notebook 05: pooling; notebook 06: the ranking loss |
# | Time | 40 minutes to read; the code runs in less than a minute |
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
# `model` is a plain BERT, to build on; `finetuned` is a sentence encoder, to change. `max_seq_length` is the text limit, `width` the length of the shortened vectors. `new_word` should come to mean what `known_word` means. Each of `seeds` gives one run where texts are drawn or a layer is trained. `learning_rate` serves only the section on the optimiser.

# %% tags=["parameters"]
seeds = [0, 1, 2]
model = "course/bert-mini"
finetuned = "course/sbert-mini"
max_seq_length = 256
width = 64
new_word = "feline"
known_word = "cat"
learning_rate = 2e-4

# %% [markdown]
# ## Modules in a row
#
# **Question.** What has to be put together to get one vector from a text?
#
# This notebook follows the Training Overview of sentence-transformers from 2022. Its first network has two parts: BERT, which gives one vector for each token, and a pooling layer, which averages them. Each part is a *module*: it takes what the one before it gives. The next cell puts them in sequence in both libraries, sentence-transformers and the course's own `course_lib`.

# %% tags=["row-4.4", "nbval-check-output"]
import random

import matplotlib.pyplot as plt
import numpy as np
import torch

import course_lib.modules as ours                                            # first: it filters a warning of tqdm's
from course_lib.support.folders import resolve
from course_lib.encoder import SentenceEncoder
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as theirs

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
plt.rcParams["figure.dpi"] = 100
torch.set_num_threads(1)                                                 # batches are small: more threads only wait

bert = theirs.Transformer(str(resolve(model)), max_seq_length=max_seq_length)
dim = bert.get_embedding_dimension()
library = SentenceTransformer(modules=[bert, theirs.Pooling(dim)], device="cpu")
encoder = SentenceEncoder([ours.Transformer.load(resolve(model)), ours.Pooling(dim)], dtype="float32").eval()
encoder.max_seq_length = max_seq_length
print(*[type(module).__name__ for module in library], "/", *[type(module).__name__ for module in encoder])
assert library.max_seq_length == encoder.max_seq_length == max_seq_length

# %% [markdown]
# Now run them by hand.
#
# **Predict** the shape after each module, for three texts: a word, a sentence, a phrase ten times.

# %% tags=["row-4.3", "nbval-check-output"]
texts = ["Hi.", "A cat sits on a mat.", "The cat that sat on the mat " * 10]
features = library.preprocess(texts)
ids, _ = encoder[0].tokenize(texts)                                      # three arrays of token ids
lengths = [len(i) for i in ids]
with torch.no_grad():
    padded = library[0](features)["token_embeddings"]                    # (texts, longest, dim)
    packed = encoder[0](torch.from_numpy(np.concatenate(ids)).long(), lengths)
    pooled = encoder[1](packed)                                          # (texts, dim)
print(
    f"{lengths} tokens; token vectors: sentence-transformers {tuple(padded.shape)}, "
    f"course_lib {tuple(packed.vectors.shape)}")
print(f"after pooling, in both: {tuple(pooled.shape)}")

one_by_one = torch.stack([padded[i, :n].mean(dim=0) for i, n in enumerate(lengths)])     # the average, written out
assert packed.vectors.shape == (sum(lengths), dim) and padded.shape == (len(texts), max(lengths), dim)
for vectors in (one_by_one, torch.from_numpy(encoder.encode(texts)), torch.from_numpy(library.encode(texts))):
    assert torch.allclose(pooled, vectors, atol=1e-5)

# %% [markdown]
# sentence-transformers fills every text up to the longest. `course_lib` lays the tokens of all texts end to end, without padding. After the pooling both have one vector for each text, and the vectors are equal.

# %% tags=["row-4.3"] alt="Diagram from top to bottom: a short and a long text enter one frame, a network used twice, of a Transformer and a mean Pooling. The arrows carry the shapes: as many vectors as tokens before the pooling, one vector for each text after it. Two rows of coloured stripes show the two vectors; below them stands their cosine."
from time import process_time                                            # for the times below

from course_lib.diagrams import siamese
from course_lib.plotting import PALETTE, curve                           # for the figures below

siamese(encoder, None, (texts[0], texts[1]), title="However many tokens go in, one vector comes out")
plt.show()

# %% [markdown]
# The figure shows that the number of tokens is gone after the pooling. So a short and a long text can be compared; this plain BERT's cosine says little yet. From here on the sequence is changed, beginning with what goes in.
#
# ## What goes in: the text limit
#
# **Question.** What does `max_seq_length` do, and how high can it be?
#
# It is a setting, not a part of the network: the tokenizer stops there. But BERT has a table of positions, with one row for each place in the text.
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
# The limit ends where the table ends. What does a low one cost? For each seed, take twenty texts of 20 bundled sentences each. Let the trained encoder read only their first 8, 16, 32... tokens. A beginning is _found_ if its vector is closer to the vector of its own whole text than to those of the other nineteen. Guessing finds one of twenty.
#
# **Predict** how many tokens must be read until every text is found.

# %% tags=["row-4.5"] alt="Two panels over the text limit, 8 to 256 tokens on a logarithmic axis, with bands over the seeds. Left, the share of beginnings found rises from about 60 percent at 8 tokens to 100 percent at 64 and above; a dotted line marks guessing at 5 percent. Right, over the text limit on an even axis, the processor time for one text rises almost along a straight line."
from course_lib.data import load_nli
from course_lib.similarity import cos_sim, pairwise_cos_sim
tuned = SentenceEncoder.load(finetuned, dtype="float32")
premises = sorted({example.premise for example in load_nli("course/nli")})
limits, found, milliseconds = [8, 16, 32, 64, 128, 256], [], []
for seed in seeds:
    draw, tuned.max_seq_length = random.Random(seed), tuned[0].positions
    documents = [" ".join(draw.sample(premises, 20)) for _ in range(20)]
    assert max(len(tuned.tokens(document)) for document in documents) < tuned.max_seq_length        # all are read whole
    whole = tuned.encode(documents, show_progress_bar=False)
    for limit in limits:
        tuned.max_seq_length = limit
        start = process_time()
        vectors = tuned.encode(documents, show_progress_bar=False)                                  # (20, long)
        milliseconds.append(50 * (process_time() - start))                                          # for one of 20
        found.append(5 * (cos_sim(vectors, whole).argmax(dim=1) == torch.arange(20)).sum().item())  # in percent
tuned.max_seq_length, found = max_seq_length, np.reshape(found, (len(seeds), -1))                   # (seeds, limits)
_, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
curve(limits, found, label="trained encoder", ax=left).axhline(5, color="black", linestyle=":", label="guessing")
left.set(ylabel="found, in %", title="All are found from 64 tokens on"), left.legend()
left.set(
    xscale="log", xlabel="max_seq_length, in doublings", ylim=0,
    xticks=limits, xticklabels=limits), left.minorticks_off()
curve(limits, np.reshape(milliseconds, found.shape), ax=right).set(
    ylabel="processor time a text, in ms", title="The time grows with the limit")
right.set(xlabel="max_seq_length", xlim=0, ylim=0, xticks=limits[2:])
plt.show()
assert found[:, 0].max() < 75 and found[:, 3:].min() == 100

# %% [markdown]
# In each seed more than a quarter of the texts are missed at 8 tokens, and all are found from 64 on. The right panel shows how the time grows with the limit. Bands, here and below, run from the lowest run to the highest. These texts are sentences in random order: test a limit with your own.
#
# ## What comes out: shorter vectors
#
# **Question.** How do you get shorter vectors, and what do they lose?
#
# The overview's second network adds a third module. A *Dense layer* multiplies a vector by a matrix, adds a bias, and sends each number through a function, the *activation*: here tanh, which squeezes everything into -1..1. First by a loop, then as a matrix product, then with the two libraries' `Dense`.

# %%
import math

x = torch.tensor([[1.0, 0.0, 2.0], [-3.0, 1.0, 0.5]])                    # (2 sentences, 3)
weight, bias = torch.tensor([[0.5, -1.0, 0.2], [0.1, 0.3, -2.0]]), torch.tensor([0.1, 0.0])      # (2, 3), (2,)

by_loop = [
    [math.tanh(sum(w * value for w, value in zip(row, sentence)) + b)
     for row, b in zip(weight.tolist(), bias.tolist())]
    for sentence in x.tolist()]
by_matrix = torch.tanh(x @ weight.T + bias)                              # (2, 3) @ (3, 2) -> (2, 2)
assert torch.allclose(by_matrix, torch.tensor(by_loop))

our_dense, their_dense = (
    ours.Dense(3, 2),
    theirs.Dense(in_features=3, out_features=2, activation_function=torch.nn.Tanh()))
for dense in (our_dense, their_dense):
    dense.load_state_dict({"linear.weight": weight, "linear.bias": bias})
assert (
    torch.equal(our_dense(x), by_matrix)
    and torch.equal(their_dense({"sentence_embedding": x})["sentence_embedding"], by_matrix))
print(by_matrix)

# %% [markdown]
# All of them give the same numbers.
#
# ### Now from the library: a network of three modules
#
# The next cell puts such a layer behind the network from above, by the overview's own names, which are old and still run.
#
# **Predict:** how many parameters has the new layer?

# %% tags=["row-4.6", "row-4.2", "row-4.24", "nbval-check-output"]
import contextlib
import inspect
import warnings

torch.manual_seed(seeds[0])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")                                      # DeprecationWarnings are hidden otherwise
    import sentence_transformers.models as models                        # as in 2022
    dense = models.Dense(bert.get_word_embedding_dimension(), out_features=width, activation_function=torch.nn.Tanh())
print("old names:", *sorted({warning.category.__name__ for warning in caught}))
assert models.Dense is theirs.Dense and models.Pooling is theirs.Pooling and dense.in_features == dim
library = SentenceTransformer(modules=[*library, dense], device="cpu")
network = SentenceEncoder(
    [*encoder, ours.Dense(dim, width, activation_function=torch.nn.Tanh())], dtype="float32").eval()
network[2].load_state_dict(library[2].state_dict())                      # the same names: linear.weight, linear.bias

texts += ["", "naïve café 🙂", "word " * 1000]
a, b = network.encode(texts), library.encode(texts)                      # (texts, width) each
assert a.shape == b.shape == (len(texts), width) and np.abs(a - b).max() < 1e-5
assert np.abs(a).max() <= 1
print(f"{a.shape}, all between -1 and 1; largest difference below 1e-5: {bool(np.abs(a - b).max() < 1e-5)}")
print(f"Dense: {sum(p.numel() for p in network[2].parameters()):,} = {dim} x {width} + {width} parameters\n")
print(inspect.getsource(ours.Dense.forward))

# %% [markdown]
# Today's names are `sentence_transformers.sentence_transformer.modules` and `get_embedding_dimension`.
#
# ### Five ways to fewer numbers
#
# The new layer's weights are random. Instead, you can keep the first numbers and drop the rest, or keep numbers chosen at random. You can compute the principal components (PCA), the directions in which many vectors differ most: they are the weights of a Dense layer, here without activation and without the bias that would subtract the mean. Or you can train the layer, here for a hundred steps on bundled NLI sentences, so that the short vectors have the cosines of the long ones.
#
# The score, from here to the end, is Spearman's correlation with the grades of the bundled STS pairs. Neither PCA nor the training uses these pairs.
#
# **Predict:** which of the five lose least at a width of 16?

# %% tags=["row-4.6"]
from course_lib.data import load_sts
from course_lib.evaluation import spearman
grades, firsts, seconds = zip(*((row.score, row.sentence1, row.sentence2) for row in load_sts("course/sts")))
sentences = sorted({text for example in load_nli("course/nli") for text in (example.premise, example.hypothesis)})

def encode(one, some):
    return torch.from_numpy(one.encode(list(some), show_progress_bar=False))             # (n, long)

u, v, many = encode(tuned, firsts), encode(tuned, seconds), encode(tuned, sentences)
long = u.shape[1]
directions = torch.linalg.svd(many - many.mean(dim=0), full_matrices=False).Vh           # (long, long), best first

def quality(change):
    with torch.no_grad():
        return spearman(grades, pairwise_cos_sim(change(u), change(v)))
def layer_of(wide, seed, steps):
    torch.manual_seed(seed)
    layer = ours.Dense(long, wide, activation_function=None)
    optimizer = torch.optim.Adam(layer.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = many[torch.randperm(len(many))[:128]]                                    # (128, long)
        short = layer(batch)
        loss = (cos_sim(short, short) - cos_sim(batch, batch)).square().mean()
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return layer

# %% tags=["row-4.6"] alt="Five curves of Spearman's correlation over the width of the vectors, 4, 16 and 64 numbers on a logarithmic axis, with bands over the starts. All rise towards a dotted line, the score of all numbers. Numbers chosen at random are lowest at each width. The random layer lies above them. The first numbers, the trained layer and the principal components lie close together at 16 and 64; at 4 the principal components are highest and the first numbers lower than the random layer."
def numbers(seed):
    return torch.randperm(long, generator=torch.Generator().manual_seed(seed))
widths = [4, 16, 64]
ways = {
    "numbers chosen at random": [[quality(lambda x: x[:, numbers(seed)[:w]]) for w in widths] for seed in range(5)],
    "random layer": [[quality(layer_of(w, seed, steps=0)) for w in widths] for seed in range(5)],
    "random layer and tanh": [
        [quality(lambda x: layer_of(w, seed, steps=0)(x).tanh()) for w in widths] for seed in range(5)],
    "first numbers": [[quality(lambda x: x[:, :w]) for w in widths]],
    "principal components": [[quality(lambda x: x @ directions[:w].T) for w in widths]],
    "trained layer": [[quality(layer_of(w, seed, steps=100)) for w in widths] for seed in seeds],
}
_, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for name, runs in ways.items():
    print(f"{name:24}", {w: round(score, 3) for w, score in zip(widths, np.mean(runs, axis=0).tolist())})
    if "tanh" not in name:                                               # its curve would lie on the random layer's
        curve(widths, runs, label=name, ax=ax)
print(f"all {long} numbers          {(full := quality(lambda x: x)):.3f}")
ax.axhline(full, color="black", linestyle=":", label=f"all {long} numbers")
ax.set(xscale="log", xlabel="width", ylabel="Spearman", title="At 4 numbers, principal components lose least")
ax.set_xticks(widths, widths), ax.minorticks_off(), ax.legend(fontsize=8)
plt.show()
some, layer, squeezed, first, components, trained = (np.array(runs) for runs in ways.values())    # (runs, widths) each
assert (
    np.concatenate([first, components, trained]).min(axis=0)
    > np.concatenate([some, layer, squeezed]).max(axis=0)
)[1:].all()
assert components[0, 0] > max(way[:, 0].mean() for way in (some, layer, squeezed, first, trained))
assert all(
    abs(full - way.mean(axis=0)[1] - 0.05) < 0.01 and full - way.mean(axis=0)[2] < 0.01
    for way in (first, components, trained))

# %% [markdown]
# The first numbers, the principal components and the trained layer lose about 0.05 at 16, and less than 0.01 at 64. At both widths the untrained layer loses more in each of its five starts. So do numbers chosen at random, in each of five draws. By its card, this model learned vectors that PCA had rotated, so its first numbers may be special. Notebook 12 trains a model on purpose to be cut.
#
# ## Save it, load it
#
# **Question.** What is in a saved model, and where is a model looked for by its name?
#
# The next cell gives `finetuned` a Dense layer whose weights are the principal components, saves the network of three modules in a folder, and loads it in both libraries. `truncate_dim` keeps the first numbers, without a layer.
#
# In the overview, a path needs a `/`, and the address of a zip archive can be given. The end of the cell tries four names today.
#
# **Predict:** which are looked for on disk only, and which on the hub?

# %% tags=["row-4.16", "row-4.17"]
import tempfile
layer = theirs.Dense(long, width, bias=False, activation_function=None)
layer.load_state_dict({"linear.weight": directions[:width].contiguous()})   # the principal components
library = SentenceTransformer(str(resolve(finetuned)), device="cpu")
short, some = SentenceTransformer(modules=[*library, layer], device="cpu"), sentences[:20]
assert np.allclose(short.encode(some), library.encode(some) @ directions[:width].T.numpy(), atol=1e-5)
assert np.array_equal(library.encode(some, truncate_dim=width), library.encode(some)[:, :width])
with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
    short.save_pretrained("my-model", create_model_card=False)               # a name without a slash
    holds = {
        "modules.json": "the list of modules",
        "model.safetensors": "BERT's weights",
        "2_Dense/model.safetensors": "the new layer's",
    }
    for file in sorted(str(path.relative_to("my-model")) for path in Path("my-model").rglob("*") if path.is_file()):
        print(f"    {file:34} {holds.get(file, '')}")
    shutil.make_archive("packed", "zip", ".", "my-model")                    # what replaces the zip address: fetch it
    shutil.unpack_archive("packed.zip", "unpacked")                          # yourself, unpack it, and give the folder
    for folder in ("my-model", "unpacked/my-model"):                         # either library reads either folder
        for again in (SentenceTransformer(folder, device="cpu"), SentenceEncoder.load(folder, dtype="float32")):
            assert np.allclose(again.encode(some), short.encode(some), atol=1e-5)
    print("both folders, loaded by either library, give the vectors that were saved")
for name in ("https://example.org/my-model.zip", "my/own/model", "owner/model", "my-model"):
    try:
        SentenceTransformer(name, device="cpu", local_files_only=True)       # no network
    except FileNotFoundError:
        print(f"{name:33} more than one slash: looked for on disk only, and not there")
    except OSError as error:
        print(f"{name:33} looked for on the hub, and not fetched from there before ({type(error).__name__})")

# %% [markdown]
# Both libraries give the saved network's vectors. A folder that exists is taken, slash or not. If there is none, a name with at most one slash is looked for on the Hugging Face hub (without one as `sentence-transformers/NAME`, except some well-known ones), or in what was fetched from there before. A zip archive has to be fetched and unpacked first.
#
# ## What the words are: new tokens
#
# **Question.** How is a token of your own added?
#
# The tokenizer has a list of tokens, and BERT has a row for each in a table of word embeddings. You may want one more for a word that falls into pieces, or for a marker: the overview adds `[DOC]` and `[QRY]`, to tell documents from queries. A *special token* such as these is never cut. Notebook 13 tells the two apart with a _prompt_, a few words before the text that `encode_query` and `encode_document` add, and no new token; a `Router` sends each to a network of its own.
#
# ### A trap: a tokenizer that knows more than its model
#
# **Predict** what `encode` returns for a text with `[DOC]`.

# %% tags=["row-4.19", "nbval-check-output"]
tokens = ["[DOC]", "[QRY]"]
marked = ["[DOC] A cat sits on a mat.", "[QRY] Where is the cat?", "no marker"]
new_network = SentenceTransformer(modules=[theirs.Transformer(str(resolve(model))), theirs.Pooling(dim)], device="cpu")
existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
print("before:", existing.tokenizer.tokenize(marked[0]))

for name, one in (("a new network", new_network), ("an existing model", existing)):
    one.tokenizer.add_tokens(tokens, special_tokens=True)                # the overview's first line, without its second
    try:
        one.encode(marked)
    except IndexError as error:
        print(f"{name:18} IndexError: {error}")
print("after: ", existing.tokenizer.tokenize(marked[0]))
table = existing[0].auto_model.get_input_embeddings().weight             # (vocabulary, hidden)
print(
    f"{len(existing.tokenizer):,} tokens, {len(table):,} rows; "
    f"[DOC] is number {existing.tokenizer.convert_tokens_to_ids('[DOC]'):,}")
assert len(existing.tokenizer) == len(table) + 2

# %% [markdown]
# The tokenizer hands out two new numbers, and the table of word embeddings has no rows for them. A second call is needed: `resize_token_embeddings`. In `course_lib`, `add_tokens` does both, so that they cannot part.

# %% tags=["row-4.19", "nbval-check-output"]
from course_lib.models.surgery import add_tokens, word_embeddings

new_rows = {}
for name, options in (("transformers", {}), ("transformers, mean_resizing=False", {"mean_resizing": False})):
    torch.manual_seed(seeds[0])
    existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
    existing.tokenizer.add_tokens(tokens, special_tokens=True)
    existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer), **options)   # the second line
    new_rows[name] = existing[0].auto_model.get_input_embeddings().weight.detach()[-2:]  # (2, hidden)
course = SentenceEncoder.load(finetuned, dtype="float32")
before = course.encode(marked[2:])
torch.manual_seed(seeds[0])
added = add_tokens(course, tokens, special_tokens=True)                                  # tokenizer and table together
new_rows["course_lib"] = word_embeddings(course).weight.detach()[-2:]
near = {name: cos_sim(*two.chunk(2)).item() for name, two in new_rows.items()}
print("cosine of the two new rows:", {name: round(cosine, 1) + 0.0 for name, cosine in near.items()})

new_rows["transformers, mean_resizing=False"].copy_(new_rows["course_lib"])              # same rows: same vectors
assert added == 2 and np.allclose(course.encode(marked), existing.encode(marked), atol=1e-5)
assert np.allclose(course.encode(marked[2:]), before, atol=1e-6)                         # no marker, no change
assert near["transformers"] > 0.99 and max(abs(near[name]) for name in list(near)[1:]) < 0.5

# %% [markdown]
# By default `transformers` gives all new rows the average row with a little noise, so their cosine is almost 1. The other two ways draw each row at random.
#
# ### A second trap: the optimiser was there first
#
# **Predict** what an optimiser does with a table that has grown since: if it has made no step yet, and if it has made one.

# %% tags=["nbval-check-output"]
for steps_before in (0, 1):
    existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
    optimizer = torch.optim.AdamW(existing.parameters(), lr=learning_rate, weight_decay=0)  # decay would move rows, too

    def step():
        existing(existing.preprocess(marked))["sentence_embedding"][:, 0].sum().backward()  # any loss will do here
        optimizer.step(), optimizer.zero_grad()

    for _ in range(steps_before):
        step()
    existing.tokenizer.add_tokens(tokens, special_tokens=True)
    existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer))
    table = existing[0].auto_model.get_input_embeddings().weight
    rows_before = table.detach()[-2:].clone()                                               # (2, hidden)
    try:
        step()
        print(
            f"{steps_before} steps before: no error, "
            f"the new rows learn: {not torch.equal(table.detach()[-2:], rows_before)}")
    except RuntimeError as error:
        print(f"{steps_before} step before:  RuntimeError: {str(error).partition(' at ')[0]}")

# %% [markdown]
# The longer table is still the parameter that the optimiser holds. One that has made a step also keeps averages for each number of the old table, and the lengths no longer fit. So add tokens first.
#
# ## What should learn?
#
# **Question.** Which weights should learn a new word, and does the word need a token of its own?
#
# Take a word whose meaning you know, such as `feline`, which the tokenizer cuts into pieces. Teach it from 16 sentences: the one with `feline` has to find the same sentence with `cat`, not with `dog`, `bird`..., and no other sentence of its batch. Six other sentences are the test: among ten words, is `cat` the closest, and by how much?
#
# There are three starts: the word stays in pieces, or it is one token, with a random row or with the mean of its pieces' rows. And there are three trainings, of ten steps each. All weights learn. Or only the new row learns: the gradients of all other rows become zeros. Or an adapter learns, which comes below.
#
# Here one word is taught once. `recipes/new_words.py` **recorded** three seeds of each training, of `course/sbert-mini`, for each of `feline`, `canine`, `stallion` and `taxicab`.

# %% tags=["row-4.20"]
from recipes.new_words import (
    ARMS, LESSON, TEST, WORDS, LowRank,
    adapt, adapted_parts, examine, only_the_last_row, pieces_of, prepare, setting_of, taught, teach)

print("16 to learn from:", *LESSON[:3], "...\nsix to test with:", *TEST[:3], "...")
print(f"{new_word!r} is {len(pieces_of(tuned, new_word))} tokens: {tuned.tokens(new_word)[1:-1]}\n")
print(*map(inspect.getsource, (only_the_last_row, teach)), sep="\n")
one = prepare(tuned, new_word, "mean of pieces")
only_the_last_row(one)
one([LESSON[0].format(new_word)]).sum().backward()
moved = word_embeddings(one).weight.grad.abs().sum(dim=1) > 0                                        # (vocabulary,)
print(f"of {len(moved):,} rows {moved.sum()} gets a gradient, the last one: {bool(moved[-1])}")
assert moved.sum() == 1 and moved[-1] and len(LESSON) == 16 and len(TEST) == 6

# %% [markdown]
# An *adapter* of the kind called LoRA leaves a weight matrix as it is and adds the product of two thin matrices: here for queries and values in each layer. Only these learn. One starts as zeros, so at first nothing changes.
#
# **Predict** the share of weights that learn with an adapter whose thin matrices are 4 wide.

# %% tags=["row-4.1", "nbval-check-output"]
from torch.nn.utils import parametrize

print(*map(inspect.getsource, (LowRank.__init__, LowRank.forward, adapt)), sep="\n")
adapted = prepare(tuned, new_word, "in pieces")
adapt(adapted)
assert torch.allclose(encode(adapted, sentences[:20]), many[:20], atol=1e-5)         # nothing has changed yet
total = sum(p.numel() for p in adapted.parameters())
learning = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
print(
    f"{len(adapted_parts(adapted))} matrices have an adapter; "
    f"{learning:,} of {total:,} weights learn: {learning / total:.1%}")

# %% [markdown]
# The last line of the next table is no training: there the known word stands in its own sentences, as if the new row were a perfect copy of its row.
#
# **Predict:** which of the trainings teach the word? Which change other texts?

# %% tags=["row-4.1", "row-4.20"]
from course_lib.data import load_results
def shown(name):
    return name.replace("nothing", "untrained").replace("weights, ", "weights at ")
live = [arm for arm in ARMS if arm[1:] not in [("adapter", 2e-4), ("adapter", 2e-3), ("row", 2e-3)]]
results, kept = {}, {}
for arm in live:
    one = kept[arm[1]] = taught(tuned, arm, new_word, known_word, seeds[0])      # a copy, trained
    right, lead = examine(one, known_word if "itself" in arm[0] else new_word, known_word)
    results[setting_of(arm)] = right, lead, pairwise_cos_sim(encode(one, firsts[:60]), u[:60]).mean().item()
table = load_results("10")
table[["arm", "word"]] = table.setting.str.split("; ", expand=True)
lead, right, others, grade = (
    {name: of.to_numpy() for name, of in table[table.metric == metric].groupby("arm", sort=False).value}
    for metric in ("lead", "right", "other texts", "spearman"))
print(
    f"{'':48}this run, {new_word}  four words, recorded\n"
    f"{'':50}lead  others     lead                     right  others     STS")
for name in lead:
    here = "{1:6.3f}  {2:.4f}".format(*results[name]) if name in results else " " * 14
    low, high = lead[name].min(), lead[name].max()
    print(
        f"{shown(name):48}{here}   {lead[name].mean():6.3f} ({low:6.3f} to {high:5.3f})  "
        f"{right[name].mean():4.1f}  {others[name].mean():.4f}  {grade[name].mean():.2f}")
same = table[(table.metric == "lead") & (table.word == new_word) & (table.seed == seeds[0])].set_index("arm").value
off = [
    abs(results[name][1] - same[name]) for name in results
    if name in same and finetuned == "course/sbert-mini" and WORDS.get(new_word) == known_word]
print(f"{len(off)} leads of this run are recorded, too, and differ by at most {max(off, default=0):.3f}")
assert max(off, default=0) < 0.02
assert all(
    (others[name] == 1).all() if ": row, " in name else (others[name] < 1).all()
    for name in others if ", 0" in name)
assert all((grade["in pieces: nothing"][0] - of < 0.6).all() for of in grade.values())

# %% [markdown]
# The number behind a training is its learning rate. `right` counts the tests won, of six. `lead` is how far the known word is ahead of the best other word, in cosine; brackets hold the lowest and the highest. `others` is the mean cosine of other sentences with their vectors before, where 1 means unchanged. `STS` is the score, times 100. In the figure, pale marks were recorded, large ones are this run, and a dashed line marks the known words' mean lead.

# %% tags=["row-4.20"] alt="Two panels with a row for each start and training: pale marks for four words and three seeds, and a large mark for this run. Left, the lead of the known word: near 0 for the new word untrained, and for row and adapter at the usual rate; it rises with the rate of either, and is about 0.3 on average where all weights were trained in pieces. A dashed line marks the known word itself; the marks of the row alone at the high rate lie around it. Right, what the STS score loses: nothing where only the row was trained, up to about 0.5 points elsewhere."
_, (left, right_panel) = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True, layout="constrained")
styles = {
    "nothing": ("x", "black"),
    "all weights": ("o", PALETTE[0]),
    "row": ("s", PALETTE[1]),
    "adapter": ("^", PALETTE[2]),
}
for place, name in enumerate(lead):
    marker, colour = styles[name.split(": ")[1].split(", 0")[0]]
    left.plot(lead[name], [place] * len(lead[name]), marker, color=colour, alpha=0.35)
    right_panel.plot(
        grade["in pieces: nothing"][0] - grade[name], [place] * len(lead[name]),
        marker, color=colour, alpha=0.35)
    if name in results:
        left.plot(results[name][1], place, marker, color=colour, markersize=9, markeredgecolor="black")
left.axvline(lead["the known word itself: nothing"].mean(), color="grey", linestyle="--")
left.axvline(0, color="black", linestyle=":"), right_panel.axvline(0, color="black", linestyle=":")
left.set_yticks(range(len(lead)), map(shown, lead))
left.invert_yaxis()
left.set(xlabel="lead of the known word over the best other", title="How far the known word is ahead")
right_panel.set(xlabel="what Spearman x 100 on STS loses", title="The row alone leaves STS as it was")
plt.show()
pieces, token = lead["in pieces: all weights, 0.0002"], lead["mean of pieces: all weights, 0.0002"]      # (12,) each
row, usual_row = lead["mean of pieces: row, 0.03"], lead["mean of pieces: row, 0.0002"]
winners = ("all weights", "row, 0.03", "adapter, 0.01")
assert all((right[name] == 6).all() for name in right if any(winner in name for winner in winners))
assert (pieces > token).all() and (row > usual_row).all()
assert all((grade[name] == grade["in pieces: nothing"][0]).all() for name in grade if ": row, " in name)
assert abs(row.mean() - lead["the known word itself: nothing"].mean()) < 0.02

# %% [markdown]
# The recorded runs say three things about these words:
#
# - **They need no token.** With all weights trained at 0.0002, all six tests are won in each run, in pieces and as a token. At this rate, which is low for a new row, the lead is larger in pieces in each of the twelve runs.
# - **In ten steps, a row alone needs a high rate.** At 0.03 it wins all six tests in each run, with a mean lead of 0.227 from the mean of its pieces. At 0.0002 its mean lead is 0.017.
# - **Of the trainings that win all tests, only the row alone leaves other texts as they were.** Where all weights learn, the mean cosine with the vectors before is 0.99. With an adapter at 0.01 it is 0.98. No training costs more than 0.6 points on STS.
#
# The known word itself has a mean lead of 0.220. A larger lead is no better copy of it: a lead also grows when the new word and the other words move apart.
#
# ### Taking the adapter off
#
# At the rate that won all tests, the adapter did not protect other texts. But it is small, and it can be taken off again, or merged into the weights.

# %% tags=["row-4.1"]
adapted = kept["adapter"]
with_adapter, parts = encode(adapted, sentences[:20]), adapted_parts(adapted)
thin = [part.parametrizations.weight[0] for part in parts]                           # all that would be stored
for part in parts:
    parametrize.remove_parametrizations(part, "weight", leave_parametrized=False)
assert torch.allclose(encode(adapted, sentences[:20]), many[:20], atol=1e-5)         # off: the old network
for part, pair in zip(parts, thin):
    parametrize.register_parametrization(part, "weight", pair)
assert torch.allclose(encode(adapted, sentences[:20]), with_adapter, atol=1e-5)      # on again
for part in parts:
    parametrize.remove_parametrizations(part, "weight")
assert torch.allclose(encode(adapted, sentences[:20]), with_adapter, atol=1e-5)      # merged: no adapter left
assert not torch.allclose(with_adapter, many[:20], atol=1e-3)
print("off: the old vectors; on again, and merged: the adapter's")

# %% [markdown]
# So one network can serve several tasks, with a small adapter to store for each. In sentence-transformers, `model.add_adapter` makes one from a `LoraConfig` of the package `peft`, which the course does not install.
#
# ## In practice
#
# Now build one model with three of the changes: a limit, a token that starts from the mean of its pieces, and principal components as a third module. The new row is untrained here: train yours before you save it.

# %% tags=["nbval-check-output"]
import tempfile
from tokenizers import AddedToken

library = SentenceTransformer(str(resolve(finetuned)), device="cpu")
library.max_seq_length = 128                                                 # from the lengths of your own texts
ids = library.tokenizer.encode(new_word, add_special_tokens=False)           # its pieces, before it is added
library.tokenizer.add_tokens([AddedToken(new_word, single_word=True)])        # not inside longer words
network = library[0].auto_model
rows = len(network.get_input_embeddings().weight)                            # tables may have spare rows: never shorten
network.resize_token_embeddings(max(len(library.tokenizer), rows))
with torch.no_grad():
    table = network.get_input_embeddings().weight                            # (vocabulary, hidden)
    table[library.tokenizer.convert_tokens_to_ids(new_word)] = table[ids].mean(dim=0)
dense = theirs.Dense(long, width, bias=False, activation_function=None)
dense.load_state_dict({"linear.weight": directions[:width].contiguous()})    # the principal components
built = SentenceTransformer(modules=[*library, dense], device="cpu")

text = [TEST[0].format(new_word), "no such word", "word " * 1000]
with tempfile.TemporaryDirectory() as folder:                                # for your own model: a folder that stays
    built.save_pretrained(folder, create_model_card=False)
    for again in (SentenceTransformer(folder, device="cpu"), SentenceEncoder.load(folder, dtype="float32")):
        assert again.max_seq_length == 128 and np.allclose(again.encode(text), built.encode(text), atol=1e-5)
        print(*[type(module).__name__ for module in again], again.encode(text).shape, "limit", again.max_seq_length)
course = prepare(tuned, new_word, "mean of pieces")                          # the token by course_lib's own way
assert np.allclose(course.encode(text[:2]) @ directions[:width].T.numpy(), built.encode(text[:2]), atol=1e-5)

# %% [markdown]
# When does each change pay?
#
# | Change | It pays when | Seen in this notebook |
# |---|---|---|
# | lower limit | your own test loses little | sentences in random order: all found among 20 from 64 tokens on |
# | first numbers, principal components | you store many vectors | at 64 numbers: less than 0.01 lost, but this model's first numbers may be special |
# | all weights, no token | other vectors may move | all tests won |
# | a token's row alone | other vectors must not move | all tests won, at a high rate |
# | adapter | several tasks share a network | 0.3% of the weights to store |
#
# - **A token**: train without one first. By default an added token also matches inside longer words; `AddedToken(word, single_word=True)` prevents that. If you add one, lengthen the table where it is too short, never shorten it, and make the optimiser afterwards. Where only its row shall learn, set `weight_decay=0`: AdamW's default also moves rows without a gradient.
# - **Saving**: load the folder in a fresh process, and compare vectors. `push_to_hub` shares it; `revision="..."` pins the version that you load.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` and `finetuned = "sentence-transformers/all-MiniLM-L6-v2"`: 440 and 90 MB are downloaded once. The asserts about found texts, curves and trainings were tried with the course's models only.
#
# ## Exercises
#
# **1.** Give new tokens their rows. The tokenizer knew `known` tokens, so new token number i gets row `known + i`: the mean of its pieces' rows. Some tables have spare rows beyond `known`. They are used first, and none may be lost. Leave the given table as it is.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def grow(table, known, pieces):
    """table: torch tensor (rows, dim); pieces: for each new token the list of its pieces' numbers -> a new tensor
    with the new rows."""
    ...

check("10.1", grow)

# %% [markdown]
# **2.** Choose what learns: the rows of the table from `known` on, those of new words, and the whole Dense layer. Everything else stays as it is, to the last digit. Make an optimiser, and give it to `train`, which makes three steps and returns what has changed.

# %% tags=["exercise", "nbval-check-output"]
def ready(network, known, train):
    """network: a SentenceEncoder of Transformer, Pooling and Dense -> what `train(network, optimizer)` returns."""
    ...

check("10.2", ready)

# %% [markdown]
# **3.** Put a network together: the given `Transformer`, the mean of its token vectors, a Dense layer without activation that subtracts `mean` and then takes the components along `directions`, and `Normalize`, which gives each vector the length 1. It reads at most `limit` tokens. The modules are in `ours`.

# %% tags=["exercise", "nbval-check-output"]
def assemble(transformer, directions, mean, limit, texts):
    """directions: torch tensor (width, dim); mean: (dim,); texts: list of str -> their vectors as `encode` gives
    them in float32, (texts, width)."""
    ...

check("10.3", assemble)

# %% [markdown]
# ## Questions
#
# **1.** You add a token after you have made the optimiser. What happens before its first step, and what after?
#
# <details><summary>Answer</summary>In these versions the longer table stays the optimiser's parameter. Before the first step the optimiser learns the new row. After one, its averages have the old length, and the next step raises a RuntimeError.</details>
#
# **2.** A network of Transformer, Pooling and an untrained Dense(256, 64) does worse than the one without Dense. What do you do instead?
#
# <details><summary>Answer</summary>Try the first 64 numbers, which need no layer, and principal components. Train the layer only if it then beats both.</details>
#
# **3.** After a training the lead of the new word is larger than that of the known word itself. Is its vector a better copy?
#
# <details><summary>Answer</summary>No. A lead is a difference: it also grows when the new word and the other words move apart. A perfect copy has the known word's own lead.</details>
#
# ## Summary
#
# - A sentence encoder is modules in sequence. A saved folder holds them all, and both libraries read it.
# - The text limit is a setting, at most as high as the table of positions is long.
# - At 16 and 64 numbers, an untrained Dense layer loses more than this model's first numbers, principal components or a trained layer.
# - Tokenizer and table must grow together, before the optimiser is made.
# - The four words needed no token. A row alone learned them in ten steps at a high rate, and left other texts as they were.
#
# ## References
#
# - Reimers and others (2022), Training Overview, the documentation of [Sentence Transformers](https://github.com/huggingface/sentence-transformers): the listings of this notebook.
# - Hewitt (2021), [Initializing new word embeddings](https://nlp.stanford.edu/~johnhew/vocab-expansion.html): why the mean, for language models.
# - Hu and others (2021), [LoRA](https://arxiv.org/abs/2106.09685): adapters of two thin matrices.
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): AdamW.
#
# **Next:** notebook 11: which recipe trains a good encoder.
