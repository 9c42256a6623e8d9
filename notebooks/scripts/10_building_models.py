# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/10_building_models.ipynb)
#
# # How is a sentence encoder put together, and how do you change one?
#
# You build networks from modules in two libraries with equal numbers, and then change a trained encoder in four places: how much it reads, how long its vectors are, which words it knows, and which of its weights learn.
#
# | | |
# |---|---|
# | You will be able to | put a network together from modules, save it and load it; say what a text limit costs; compare ways to shorter vectors; add a token, and say whether you need it; train one row, an adapter, or everything |
# | You need first | notebook 05: pooling; notebook 06: the ranking loss |
# | Time | 40 minutes to read; the code runs in less than a minute |
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
# `model` is a plain BERT, to build on; `finetuned` is a sentence encoder, to change. `max_seq_length` is the text limit, `width` the length of the shortened vectors. `new_word` becomes a token, and should come to mean what `known_word` means. Each of `seeds` gives one run where texts are drawn or a layer is trained. `learning_rate` serves only the section on the optimiser.

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
# This notebook follows the Training Overview of sentence-transformers from 2022. It starts with two parts: BERT, which gives one vector a token, and a pooling layer, which averages them. Each part is a *module*: it takes what the one before it gives. The network is their sequence.
#
# The next cell builds it in both libraries, sentence-transformers and the course's own `course_lib`.

# %% tags=["row-4.4", "nbval-check-output"]
import random

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
plt.rcParams["figure.dpi"] = 100
torch.set_num_threads(1)                                                 # batches are small here: more threads only wait

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
# **Predict** the shape after each module, for three texts: a word, a sentence, ten sentences.

# %% tags=["row-4.3", "nbval-check-output"]
texts = ["Hi.", "A cat sits on a mat.", "The cat that sat on the mat " * 10]
features = library.preprocess(texts)
ids, _ = encoder[0].tokenize(texts)                                      # three arrays of token ids
lengths = [len(i) for i in ids]
with torch.no_grad():
    padded = library[0](features)["token_embeddings"]                    # (texts, longest, dim)
    packed = encoder[0](torch.from_numpy(np.concatenate(ids)).long(), lengths)
    pooled = encoder[1](packed)                                          # (texts, dim)
print(f"{lengths} tokens; token vectors: sentence-transformers {tuple(padded.shape)}, course_lib {tuple(packed.vectors.shape)}")
print(f"after pooling, in both: {tuple(pooled.shape)}")

one_by_one = torch.stack([padded[i, :n].mean(dim=0) for i, n in enumerate(lengths)])     # the average, written out
assert packed.vectors.shape == (sum(lengths), dim) and padded.shape == (len(texts), max(lengths), dim)
for vectors in (one_by_one, torch.from_numpy(encoder.encode(texts)), torch.from_numpy(library.encode(texts))):
    assert torch.allclose(pooled, vectors, atol=1e-5)

# %% [markdown]
# sentence-transformers fills every text up to the longest. `course_lib` lays the tokens of all texts end to end, so there is no padding, and no first dimension for the texts. After the pooling both have one vector a text, and the vectors are equal.

# %% tags=["row-4.3"] alt="Diagram from top to bottom: a short and a long text enter one frame, a network used twice, of a Transformer and a mean Pooling. The arrows carry the shapes: as many vectors as tokens before the pooling, one vector for each text after it. Two rows of coloured stripes show the two vectors; below them stands their cosine."
from course_lib.diagrams import siamese
from course_lib.plotting import PALETTE, curve                           # for the figures below

siamese(encoder, None, (texts[0], texts[1]), title="However many tokens go in, one vector comes out")
plt.show()

# %% [markdown]
# The figure shows that the number of tokens is gone after the pooling: a short and a long text can be compared. All weights are in the first module.
#
# From here on the chain is changed: first what goes in, the text limit; then what comes out, the vectors; then the words it knows; and last its weights.
#
# ## What goes in: the text limit
#
# **Question.** What does `max_seq_length` do, and how high can it be?
#
# It is a setting, not a part of the network: the tokenizer stops there. But BERT has a table of positions with one row for each place in the text.
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
# What does a low limit cost, and what does it save? For each seed, take twenty texts, each made of 20 bundled sentences, and read only their first 8, 16, 32... tokens with the trained encoder. A beginning is _found_ if its vector is closer to the vector of its own whole text than to those of the other nineteen. One in twenty would be found by guessing.
#
# **Predict** how many of about 400 tokens must be read until every text is found.

# %% tags=["row-4.5"] alt="Two panels over the text limit, 8 to 256 tokens on a logarithmic axis, with bands over the seeds. Left, the share of beginnings found rises from about 60 percent at 8 tokens to 100 percent at 64 and above; a dotted line marks guessing at 5 percent. Right, over the text limit on an even axis, the processor time for one text rises almost along a straight line."
from time import process_time
from course_lib.data import load_nli
from course_lib.similarity import cos_sim, pairwise_cos_sim
tuned = SentenceEncoder.load(finetuned, dtype="float32")
premises = sorted({example.premise for example in load_nli("course/nli")})
limits, found, milliseconds = [8, 16, 32, 64, 128, 256], [], []
for seed in seeds:
    draw, tuned.max_seq_length = random.Random(seed), tuned[0].positions
    documents = [" ".join(draw.sample(premises, 20)) for _ in range(20)]
    assert max(len(tuned.tokens(document)) for document in documents) < tuned.max_seq_length             # all are read whole
    whole = tuned.encode(documents, show_progress_bar=False)
    for tuned.max_seq_length in limits:
        start = process_time()
        vectors = tuned.encode(documents, show_progress_bar=False)                                       # (20, long)
        milliseconds.append(50 * (process_time() - start))                                               # for one of 20
        found.append(5 * (cos_sim(vectors, whole).argmax(dim=1) == torch.arange(20)).sum().item())       # in percent
tuned.max_seq_length, found = max_seq_length, np.reshape(found, (len(seeds), -1))                        # (seeds, limits)
_, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
curve(limits, found, label="trained encoder", ax=left).axhline(5, color="black", linestyle=":", label="guessing")
curve(limits, np.reshape(milliseconds, found.shape), ax=right).set(ylabel="processor time a text, in ms", title="The time grows with the tokens read")
left.set(ylabel="found, in %", title="A few sentences are enough here"), left.legend()
left.set(xscale="log", xlabel="max_seq_length, in doublings", ylim=0, xticks=limits, xticklabels=limits), left.minorticks_off()
right.set(xlabel="max_seq_length", xlim=0, ylim=0, xticks=limits[2:])
plt.show()
assert found[:, 0].max() < 95 and found[:, 3:].min() == 100

# %% [markdown]
# Eight tokens are too few for many of these texts; 64, a sixth of a text, are enough for all. From 64 on, twice the limit takes about twice the time; below, less than that. But in these texts each sentence says as much about the whole as the next.
#
# ## What comes out: shorter vectors
#
# **Question.** How do you get shorter vectors, and what do they lose?
#
# The overview's second network adds a third module. A *Dense layer* multiplies a vector by a matrix, adds a bias, and sends each number through a function, the *activation*: here tanh, which squeezes everything into -1..1. First by a loop, then as a matrix product, then with the two libraries' `Dense`.

# %% alt="The curve of tanh from -5 to 5: steep and straight through 0, flat near -1 and 1 beyond -2 and 2. Four points on it mark the layer's numbers before and after the activation: 1.0 becomes 0.76, -1.0 becomes -0.76, and two below -2 both become nearly -1."
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
before = (x @ weight.T + bias).flatten()                                 # (4,)
_, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.plot(torch.linspace(-5, 5, 101), torch.linspace(-5, 5, 101).tanh(), color=PALETTE[0])
ax.plot(before, before.tanh(), "o", color=PALETTE[1])
ax.set(xlabel="number before the activation", ylabel="after it", title="tanh flattens large numbers")
plt.show()

# %% [markdown]
# Numbers near 0 hardly change. Those far from it all become nearly -1 or 1, and their differences are lost.
#
# ### Now from the library: a network of three modules
#
# The next cell uses the overview's own names for module and method. They are old, and still run.
#
# **Predict:** how many parameters has the new layer?

# %% tags=["row-4.6", "row-4.2", "row-4.24", "nbval-check-output"]
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
network = SentenceEncoder([*encoder, ours.Dense(dim, width, activation_function=torch.nn.Tanh())], dtype="float32").eval()
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
# The new layer's weights are random. Instead, you can keep the first numbers and drop the rest (*truncation*), or keep numbers chosen at random. You can compute the principal components (PCA), the directions in which many vectors differ most: they are the weights of a Dense layer without bias and activation. Or you can train the layer: here for a hundred steps on bundled NLI sentences, so that the short vectors have the cosines of the long ones.
#
# The yardstick, from here to the end, is Spearman's correlation with the grades of the bundled STS pairs, which neither PCA nor the training has seen.
#
# **Predict** the order of the five at a width of 16.

# %% tags=["row-4.6"]
from course_lib.data import load_sts
from course_lib.evaluation import spearman
grades, firsts, seconds = zip(*((row.score, row.sentence1, row.sentence2) for row in load_sts("course/sts")))
sentences = sorted({text for example in load_nli("course/nli") for text in (example.premise, example.hypothesis)})

def encode(one, some):
    return torch.from_numpy(one.encode(list(some), show_progress_bar=False))                         # (n, long)

u, v, many = encode(tuned, firsts), encode(tuned, seconds), encode(tuned, sentences)
long = u.shape[1]
directions = torch.linalg.svd(many - many.mean(dim=0), full_matrices=False).Vh                       # (long, long), best first

def quality(change):
    with torch.no_grad():
        return spearman(grades, pairwise_cos_sim(change(u), change(v)))
def layer_of(wide, seed, steps):
    torch.manual_seed(seed)
    layer = ours.Dense(long, wide, activation_function=None)
    optimizer = torch.optim.Adam(layer.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = many[torch.randperm(len(many))[:128]]                                                # (128, long)
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
    "random layer and tanh": [[quality(lambda x: layer_of(w, seed, steps=0)(x).tanh()) for w in widths] for seed in range(5)],
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
some, layer, squeezed, first, components, trained = (np.array(runs) for runs in ways.values())           # (runs, widths) each
assert (components > np.concatenate([some, layer, squeezed, first, trained - 0.01])).all() and (first > some)[:, 1:].all() and components[0, 0] > trained[:, 0].mean() + 0.03
assert (np.maximum(layer, squeezed).max(axis=0) < np.minimum(first[0], trained.min(axis=0)))[1:].all() and first[0, 0] < layer.mean(axis=0)[0]
assert all(abs(full - way.mean(axis=0)[1] - 0.05) < 0.01 and full - way.mean(axis=0)[2] < 0.01 for way in (first, components, trained))

# %% [markdown]
# Principal components are clearly best at 4. At 16 and 64 the first numbers and a hundred steps of training are level with them: all lose about 0.05 at 16, and next to nothing at 64. There the untrained layer loses more in each of its five starts, with or without tanh; at 4 it is better on average than the first numbers.
#
# The first numbers are special in this model: numbers chosen at random do worse. By its card, this model learned vectors which PCA had turned, so its first numbers carry the most. Notebook 12 trains a model on purpose to be cut.
#
# ## Save it, load it
#
# **Question.** Where does a model go, and where does it come from when you give a name?
#
# The next cell makes the principal components a third module of `finetuned` and writes the result to a folder. Without a layer, `truncate_dim` keeps the first numbers.
#
# The overview says that a path needs a `/`, and that the address of a zip archive will do. Both are out of date.
#
# **Predict:** which of the names at the end are looked for on disk, which on the hub?

# %% tags=["row-4.16", "row-4.17"]
import contextlib
import tempfile
(layer := theirs.Dense(long, width, bias=False, activation_function=None)).load_state_dict({"linear.weight": directions[:width].contiguous()})
library = SentenceTransformer(str(resolve(finetuned)), device="cpu")
short, some = SentenceTransformer(modules=[*library, layer], device="cpu"), sentences[:20]
assert np.allclose(short.encode(some), library.encode(some) @ directions[:width].T.numpy(), atol=1e-5)
assert np.array_equal(library.encode(some, truncate_dim=width), library.encode(some)[:, :width])
with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
    short.save_pretrained("my-model", create_model_card=False)               # a name without a slash
    holds = {"modules.json": "the list of modules", "model.safetensors": "BERT's weights", "2_Dense/model.safetensors": "the new layer's"}
    for file in sorted(str(path.relative_to("my-model")) for path in Path("my-model").rglob("*") if path.is_file()):
        print(f"    {file:34} {holds.get(file, '')}")
    shutil.make_archive("packed", "zip", ".", "my-model")                    # what replaces the zip address: fetch it yourself,
    shutil.unpack_archive("packed.zip", "unpacked")                          # unpack it, and give the folder
    for folder in ("my-model", "unpacked/my-model"):                         # either library reads either folder
        both = SentenceTransformer(folder, device="cpu"), SentenceEncoder.load(folder, dtype="float32")
        assert all(np.allclose(one.encode(some), short.encode(some), atol=1e-5) for one in both)
    print("both folders, loaded by either library, give the vectors that were saved")
for name in ("https://example.org/my-model.zip", "my/own/model", "owner/model", "my-model"):
    try:
        SentenceTransformer(name, device="cpu", local_files_only=True)       # no network
    except FileNotFoundError:
        print(f"{name:33} more than one slash: looked for on disk only, and not there")
    except OSError as error:
        print(f"{name:33} looked for on the hub, and not fetched from there before ({type(error).__name__})")

# %% [markdown]
# A folder that exists is taken, slash or not. If there is none, a name with at most one slash is looked for on the Hugging Face hub, or in what was fetched from there before; more slashes mean a path that does not exist. A bare name gets the owner `sentence-transformers/`, unless it is one of a few old names such as `bert-base-uncased`.
#
# ## What the words are: new tokens
#
# **Question.** How is a token of your own added?
#
# The tokenizer has a fixed list of tokens, and for each BERT has a row in a table of word embeddings. You may want a row more when a word that your texts are full of falls into pieces, or for a marker that must never be mistaken for text. The overview adds two markers, `[DOC]` and `[QRY]`, to tell documents from queries. A *special token* such as these is never cut. Today a _prompt_, a few words before the text, usually does that, without a new token: notebook 13.
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
print(f"{len(existing.tokenizer):,} tokens, {len(table):,} rows; [DOC] is number {existing.tokenizer.convert_tokens_to_ids('[DOC]'):,}")
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
    existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer), **options)       # the second line
    new_rows[name] = existing[0].auto_model.get_input_embeddings().weight.detach()[-2:]      # (2, hidden)
course = SentenceEncoder.load(finetuned, dtype="float32")
before = course.encode(marked[2:])
torch.manual_seed(seeds[0])
added = add_tokens(course, tokens, special_tokens=True)                                      # tokenizer and table together
new_rows["course_lib"] = word_embeddings(course).weight.detach()[-2:]
near = {name: cos_sim(*two.chunk(2)).item() for name, two in new_rows.items()}
print("cosine of the two new rows:", {name: round(cosine, 1) + 0.0 for name, cosine in near.items()})

new_rows["transformers, mean_resizing=False"].copy_(new_rows["course_lib"])                  # the same rows: the same vectors
assert added == 2 and np.allclose(course.encode(marked), existing.encode(marked), atol=1e-5)
assert np.allclose(course.encode(marked[2:]), before, atol=1e-6)                             # no marker, no change
assert near["transformers"] > 0.99 and max(abs(near[name]) for name in list(near)[1:]) < 0.5

# %% [markdown]
# Today's `transformers` gives all new rows the average row with a little noise, so at first the two markers can hardly be told apart. The other two ways draw each row at random.
#
# ### A second trap: the optimiser was there first
#
# **Predict** what an optimiser does with a table that has grown since: if it has made no step yet, and if it has made one.

# %% tags=["nbval-check-output"]
for steps_before in (0, 1):
    existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
    optimizer = torch.optim.AdamW(existing.parameters(), lr=learning_rate)

    def step():
        existing(existing.preprocess(marked))["sentence_embedding"][:, 0].sum().backward()       # any loss will do here
        optimizer.step(), optimizer.zero_grad()

    for _ in range(steps_before):
        step()
    existing.tokenizer.add_tokens(tokens, special_tokens=True)
    existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer))
    table = existing[0].auto_model.get_input_embeddings().weight
    rows_before = table.detach()[-2:].clone()                                                    # (2, hidden)
    try:
        step()
        print(f"{steps_before} steps before: no error, the new rows learn: {not torch.equal(table.detach()[-2:], rows_before)}")
    except RuntimeError as error:
        print(f"{steps_before} step before:  RuntimeError: {str(error).partition(' at ')[0]}")

# %% [markdown]
# The longer table is still the parameter that the optimiser holds. One that has made a step also keeps averages for each number of the old table, and the lengths no longer fit. So add tokens first.
#
# ## What should learn?
#
# **Question.** Does a new token help? What should it start from, and which weights should learn?
#
# Take a word whose meaning you know, such as `feline`, which the tokenizer cuts into pieces. Teach the model its meaning from 16 sentences: the one with `feline` has to find the one with `cat`, not one with `dog`, `bird`... Six other sentences are kept for the test: among ten animals and things, is `cat` the closest, and by how much? Guessing finds 0.6 of six.
#
# There are three starts: the word stays in pieces; it is one token with a random row; it is one token whose row is the mean of its pieces' rows, which is the usual advice.
#
# And there are four trainings, of ten steps each. All weights learn; only the new row, as the cell shows; all weights, the new row at a 150 times higher rate; or an adapter, which comes below.
#
# Here each training runs once, where "this run" is not blank below. `recipes/new_words.py` **recorded** three seeds for `feline`, `canine`, `stallion` and `taxicab`, so that not one word decides.

# %% tags=["row-4.20"]
from recipes.new_words import ARMS, LESSON, TEST, LowRank, adapt, adapted_parts, examine, only_the_last_row, pieces_of, prepare, setting_of, taught, teach

print("16 to learn from:", *LESSON[:3], "...\nsix to test with:", *TEST[:3], "...")
print(f"{new_word!r} is {len(pieces_of(tuned, new_word))} tokens: {tuned.tokens(new_word)[1:-1]}\n")
print(*map(inspect.getsource, (only_the_last_row, teach, taught)), sep="\n")
one = prepare(tuned, new_word, "mean of pieces")
only_the_last_row(one)
one([LESSON[0].format(new_word)]).sum().backward()
moved = word_embeddings(one).weight.grad.abs().sum(dim=1) > 0                                        # (vocabulary,)
print(f"of {len(moved):,} rows {moved.sum()} gets a gradient, the last one: {bool(moved[-1])}")
assert moved.sum() == 1 and moved[-1] and len(LESSON) == 16 and len(TEST) == 6

# %% [markdown]
# An *adapter* of the kind called LoRA leaves a weight matrix as it is and adds the product of two thin matrices: here for queries and values in each layer. Only these learn. One of them starts as zeros, so at first nothing changes.
#
# **Predict** the share of the network's weights that learn, with thin matrices 4 wide.

# %% tags=["row-4.1", "nbval-check-output"]
from torch.nn.utils import parametrize

print(inspect.getsource(LowRank.__init__), inspect.getsource(LowRank.forward), inspect.getsource(adapt), sep="\n")
adapted = prepare(tuned, new_word, "in pieces")
adapt(adapted)
assert torch.allclose(encode(adapted, sentences[:20]), many[:20], atol=1e-5)                             # nothing has changed yet
learning, total = (sum(p.numel() for p in adapted.parameters() if p.requires_grad or every) for every in (False, True))
print(f"{len(adapted_parts(adapted))} matrices have an adapter; {learning:,} of {total:,} weights learn: {learning / total:.1%}")

# %% [markdown]
# The last line below is no training but a yardstick for the row: the known word stands in its own sentences, as if the new row were a perfect copy of its row.
#
# **Predict:** which of the trainings teach the word? Which change other texts?

# %% tags=["row-4.1", "row-4.20"]
from course_lib.data import load_results

def shown(name):
    return name.replace("nothing", "untrained").replace("row fast, rest, ", "row at 0.03, the rest at ").replace("weights, ", "weights at ")
live = [arm for arm in ARMS if arm[1:] not in [("adapter", 2e-4), ("adapter", 2e-3), ("row", 2e-3)]]     # the others: recorded only
results, kept = {}, {}
for arm in live:
    one = kept[arm[1]] = taught(tuned, arm, new_word, known_word, seeds[0])
    right, lead = examine(one, known_word if "itself" in arm[0] else new_word, known_word)
    results[setting_of(arm)] = right, lead, pairwise_cos_sim(encode(one, firsts[:60]), u[:60]).mean().item()
table = load_results("10")
table[["arm", "word"]] = table.setting.str.split("; ", expand=True)
lead, right, others, grade = ({name: of.to_numpy() for name, of in table[table.metric == metric].groupby("arm", sort=False).value}
                              for metric in ("lead", "right", "other texts", "spearman"))
print(f"{'':48}this run, {new_word}  four words, recorded\n{'':50}lead  others     lead                     right  others     STS")
for name in lead:
    here = "{1:6.3f}  {2:.4f}".format(*results[name]) if name in results else " " * 14
    low, high = lead[name].min(), lead[name].max()
    print(f"{shown(name):48}{here}   {lead[name].mean():6.3f} ({low:6.3f} to {high:5.3f})  {right[name].mean():4.1f}  {others[name].mean():.4f}  {grade[name].mean():.2f}")
same = table[(table.metric == "lead") & (table.word == new_word) & (table.seed == seeds[0])].set_index("arm").value
off = [abs(results[name][1] - same[name]) for name in results if name in same]
print(f"{len(off)} leads of this run are recorded, too, and differ by at most {max(off, default=0):.3f}")
assert max(off, default=0) < 0.02
assert all((others[name] == 1).all() if ": row, " in name else (others[name] < 1).all() for name in others if ", 0" in name)
assert all((grade["in pieces: nothing"][0] - of < 0.6).all() for of in grade.values()) and (lead["mean of pieces: nothing"] > lead["random row: nothing"].reshape(4, 3).max(axis=1)).all()

# %% [markdown]
# `right` counts the tests won, of six. `lead` is how far the known word is ahead of the best other word. `others` is the mean cosine of other sentences with their vectors before, where 1 means unchanged; `STS` is the yardstick. In the figure, pale marks were recorded, the large ones are this run, and a dashed line marks the known word itself.

# %% tags=["row-4.20"] alt="Two panels with a row for each start and training: pale marks for four words and three seeds, and a large mark for this run. Left, the lead of the known word: near 0 for all that is untrained, with the random row lowest, and for row and adapter at the usual rate; it rises with the rate of either; it is largest with all weights trained. A dashed line marks the known word itself, which the row alone reaches on average at the high rate. Right, what the STS grade loses: nothing where only the row was trained, up to about 0.5 points where all weights or an adapter at a high rate were trained."
_, (left, right_panel) = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True, layout="constrained")
styles = {"nothing": ("x", "black"), "all weights": ("o", PALETTE[0]), "row": ("s", PALETTE[1]), "adapter": ("^", PALETTE[2]), "row fast, rest": ("D", PALETTE[3])}
for place, name in enumerate(lead):
    marker, colour = styles[name.split(": ")[1].split(", 0")[0]]
    left.plot(lead[name], [place] * len(lead[name]), marker, color=colour, alpha=0.35)
    right_panel.plot(grade["in pieces: nothing"][0] - grade[name], [place] * len(lead[name]), marker, color=colour, alpha=0.35)
    if name in results:
        left.plot(results[name][1], place, marker, color=colour, markersize=9, markeredgecolor="black")
left.axvline(lead["the known word itself: nothing"].mean(), color="grey", linestyle="--")
left.axvline(0, color="black", linestyle=":"), right_panel.axvline(0, color="black", linestyle=":")
left.set_yticks(range(len(lead)), map(shown, lead))
left.invert_yaxis()
left.set(xlabel="lead of the known word over the best other", title="A fast row reaches the known word")
right_panel.set(xlabel="what Spearman x 100 on STS loses", title="The row alone costs nothing")
plt.show()
pieces, token, fast, row, drawn = (lead[name] for name in ("in pieces: all weights, 0.0002", "mean of pieces: all weights, 0.0002",
                                   "mean of pieces: row fast, rest, 0.0002", "mean of pieces: row, 0.03", "random row: row, 0.03"))        # (12,) each
assert all((right[name] == 6).all() for name in right if "all weights" in name)
assert (pieces > token).all() and fast.mean() > token.mean() + 0.03 and (fast > pieces).sum() == 4 and abs(row - drawn).max() < 0.05
assert abs(row.mean() - lead["the known word itself: nothing"].mean()) < 0.02 and row.mean() < fast.mean() < pieces.mean()

# %% [markdown]
# Table and figure say five things about the recorded runs:
#
# - **These words need no token.** With all weights trained at the usual rate, all six tests are won, in pieces and as a token, and in each of the twelve runs the lead is larger in pieces. But a perfect copy of the known word's row has a lead of only 0.220 on average. A larger one does not say that the word is nearer to the known one: the others may have moved away.
# - **A token's lead is smaller mostly because its row is slow.** With its row at the high rate, and the rest as usual, it nearly catches up: in four runs of twelve it is ahead of the pieces.
# - **The row alone gets about as far as the known word** on average, after ten steps at 0.03. Whether it stops there is not shown. At the usual rate, ten steps change little; at the high one it matters little whether it began as the mean of the pieces or at random. Untrained, the mean is the better start for each word.
# - **What is frozen stays.** All weights move other texts. On STS that costs less than 0.6 points.
# - **An adapter is no protection.** The more it learns, the more it moves other texts: next to nothing at the usual rate, more than all weights do at 0.01, where its lead is almost as large. So train the row alone where vectors of texts without the word must not change.
#
# ### Taking the adapter off
#
# If an adapter does not protect other texts, what is it good for? It is small, and it can be taken off again, or merged into the weights.

# %% tags=["row-4.1"]
adapted = kept["adapter"]
with_adapter, parts = encode(adapted, sentences[:20]), adapted_parts(adapted)
thin = [part.parametrizations.weight[0] for part in parts]                                               # all that would be stored
for part in parts:
    parametrize.remove_parametrizations(part, "weight", leave_parametrized=False)
assert torch.allclose(encode(adapted, sentences[:20]), many[:20], atol=1e-5)                             # off: the old network
for part, pair in zip(parts, thin):
    parametrize.register_parametrization(part, "weight", pair)
assert torch.allclose(encode(adapted, sentences[:20]), with_adapter, atol=1e-5)                          # on again
for part in parts:
    parametrize.remove_parametrizations(part, "weight")
assert torch.allclose(encode(adapted, sentences[:20]), with_adapter, atol=1e-5)                          # merged: no adapter left
assert not torch.allclose(with_adapter, many[:20], atol=1e-3)
print("off: the old vectors; on again, and merged: the adapter's")

# %% [markdown]
# One network can serve many tasks, with a fraction of a percent of weights to store for each. In sentence-transformers, `model.add_adapter` does the same with a `LoraConfig` of the package `peft`, which the course does not install.
#
# ## In practice
#
# Here a new word gets its row in sentence-transformers, and in `course_lib` beside it. Untrained, it is on average worse than the pieces: the training follows.

# %% tags=["nbval-check-output"]
import tempfile

library = SentenceTransformer(str(resolve(finetuned)), device="cpu")
ids = library.tokenizer.encode(new_word, add_special_tokens=False)                # its pieces, before it is added
library.tokenizer.add_tokens([new_word])
network = library[0].auto_model
rows = len(network.get_input_embeddings().weight)                            # some tables have spare rows: never shorten one
network.resize_token_embeddings(max(len(library.tokenizer), rows))
with torch.no_grad():
    table = network.get_input_embeddings().weight                            # (vocabulary, hidden)
    table[library.tokenizer.convert_tokens_to_ids(new_word)] = table[ids].mean(dim=0)

course, text = prepare(tuned, new_word, "mean of pieces"), [TEST[0].format(new_word), "no such word"]
assert np.allclose(library.encode(text), course.encode(text), atol=1e-5)
with tempfile.TemporaryDirectory() as place:
    library.save_pretrained(place, create_model_card=False)
    again = SentenceTransformer(place, device="cpu")
assert np.allclose(again.encode(text), course.encode(text), atol=1e-5)
print(library.tokenizer.tokenize(text[0])[1], "was", len(ids), "tokens and is one; saved, loaded, equal in both libraries")

# %% [markdown]
# - **First train without a new token.** Add one when a word costs many tokens in many texts, as a marker, or, training its row alone, when vectors of other texts must not change.
# - **If you add one**, lengthen the table where it is too short, never shorten it, start from the mean of the pieces, and only then make the optimiser. In a training of few steps, give its row a high rate, with `weight_decay=0`: AdamW's default also moves rows without a gradient. Test before and after.
# - **To shorten vectors**, try `truncate_dim` and principal components before you train a layer.
# - **The text limit**: set it from the lengths of your texts, at most to the model's positions.
# - **Save** with `save_pretrained`, load it once in a fresh process, and compare vectors. `push_to_hub` shares the folder; `revision="..."` pins the version of one that you load.
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
    """table: torch tensor (rows, dim); pieces: for each new token the list of its pieces' numbers -> a new tensor with the new rows."""
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
    """directions: torch tensor (width, dim); mean: (dim,); texts: list of str -> their vectors as `encode` gives them, (texts, width)."""
    ...

check("10.3", assemble)

# %% [markdown]
# ## Questions
#
# **1.** You add a token after you have made the optimiser. What happens before its first step, and what after?
#
# <details><summary>Answer</summary>In these versions the longer table stays the optimiser's parameter. Before the first step the optimiser simply learns the new row. After one, its averages have the old length, and the next step raises a RuntimeError.</details>
#
# **2.** A network of Transformer, Pooling and an untrained Dense(256, 64) does worse than the one without Dense. What do you do instead?
#
# <details><summary>Answer</summary>Try the first 64 numbers, which need no layer, and principal components. Train the layer only if it then beats both.</details>
#
# **3.** After a training the lead of the new word is larger than that of the known word itself. Is its vector a better copy?
#
# <details><summary>Answer</summary>No. A lead is a difference: it also grows when the other words move away. A perfect copy has the known word's own lead.</details>
#
# ## Summary
#
# - A sentence encoder is modules in sequence: you change it by adding a module, lengthening a table, or choosing which weights learn.
# - The text limit saves time, and cuts texts without a word.
# - At 16 and 64 numbers an untrained Dense layer loses more than this model's first numbers, which carry the most; principal components are a Dense layer with weights worth having.
# - Tokenizer and table must grow together, before the optimiser is made. In ten steps the rate decides whether a new row learns; only training the row alone leaves other texts as they were; and the words here needed no token.
#
# ## References
#
# - Reimers and others (2022), Training Overview, the documentation of [Sentence Transformers](https://github.com/huggingface/sentence-transformers): the listings of this notebook.
# - Hewitt (2021), [Initializing new word embeddings](https://nlp.stanford.edu/~johnhew/vocab-expansion.html): why the mean, for language models.
# - Hu and others (2021), [LoRA](https://arxiv.org/abs/2106.09685): adapters of two thin matrices.
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): AdamW.
#
# **Next:** notebook 11: the training call, with all its options.
