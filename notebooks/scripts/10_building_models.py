# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/10_building_models.ipynb)
#
# # How is a sentence encoder put together, and how do you change one?
#
# You build networks from modules, shorten their vectors, add words to the vocabulary, train only what is new, and save and load the result, in two libraries with equal numbers.
#
# | | |
# |---|---|
# | You will be able to | put a network together from modules; say what a text limit costs; choose among four ways to shorter vectors; add a token without an IndexError, and say whether you need it; train one row, an adapter, or everything |
# | You need first | notebook 05: pooling; notebook 06: the ranking loss |
# | Time | 40 minutes to read; the code runs in about a minute |
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
# `model` is a plain BERT, to build on; `finetuned` is a sentence encoder, to change. `max_seq_length` is the text limit, `width` the length of the vectors after an added layer. `new_word` becomes a token of its own, and should come to mean what `known_word` means; each training is repeated with every number of `seeds`.

# %% tags=["parameters"]
seeds = [0, 1, 2]
model = "course/bert-mini"
finetuned = "course/sbert-mini"
max_seq_length = 256
width = 64
new_word = "feline"
known_word = "cat"
learning_rate = 2e-4
row_learning_rate = 3e-2

# %% [markdown]
# ## Modules in a row
#
# **Question.** What has to be put together to get one vector from a text?
#
# This notebook follows the Training Overview of sentence-transformers from 2022, in today's names. It starts with two parts: BERT, which gives one vector a token, and a pooling layer, which averages them. Each part is a *module*: it takes what the one before it gives. The network is their sequence, nothing more.
#
# The next cell builds the same network in both libraries, sentence-transformers and the course's own `course_lib`.

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
# Now run the modules by hand, one after the other.
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

siamese(encoder, None, (texts[0], texts[1]), title="However many tokens go in, one vector comes out")
plt.show()

# %% [markdown]
# The number of tokens is gone after the pooling: a short and a long text can be compared. All weights are in the first module; averaging has none.
#
# Older listings use older names. They still run:

# %% tags=["row-4.24", "nbval-check-output"]
import importlib
import warnings

old_names = {
    "sentence_transformers.models": lambda: importlib.import_module("sentence_transformers.models"),
    "Transformer.get_word_embedding_dimension": lambda: bert.get_word_embedding_dimension(),
    "model.get_sentence_embedding_dimension": lambda: library.get_sentence_embedding_dimension(),
    "model._first_module": lambda: library._first_module(),
}
today = ["sentence_transformers.sentence_transformer.modules", "get_embedding_dimension", "get_embedding_dimension", "model[0]"]
for (name, use), new in zip(old_names.items(), today):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")                                  # DeprecationWarnings are hidden otherwise
        assert use() in (theirs, dim, library[0])
    print(f"{name:40} -> {new:50}", *{warning.category.__name__ for warning in caught})
import sentence_transformers.models as models
assert models.Dense is theirs.Dense and models.Pooling is theirs.Pooling

# %% [markdown]
# Names that warn will go one day: use the right-hand column.
#
# ## The text limit
#
# **Question.** What does `max_seq_length` do, and how high can it be?
#
# It is a setting, not a part of the network: the tokenizer stops there. But BERT has a table of positions with one row for each place in the text, and no more places than rows.
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
# What does a low limit cost, and what does it save? Take twenty long texts, each made of 60 bundled sentences, and read only their first 8, 16, 32... tokens. A beginning is _found_ if its vector is closer to the vector of its own whole text than to the other nineteen. One in twenty would be found by guessing.
#
# **Predict** how many tokens must be read until every text is found, by plain BERT and by the trained encoder.

# %% tags=["row-4.5"] alt="Two panels over the text limit, 8 to 512 tokens on a logarithmic axis, with a curve for plain BERT and one for the trained encoder. Left, the share of beginnings found rises from far below 100 percent at 8 tokens to 100 percent at 512; a dotted line marks guessing at 5 percent. Right, the processor time for one text rises steeply towards the higher limits, about the same for both models."
import time
from course_lib.data import load_nli
from course_lib.plotting import PALETTE, curve
from course_lib.similarity import cos_sim, pairwise_cos_sim
draw, premises = random.Random(seeds[0]), sorted({example.premise for example in load_nli("course/nli")})
documents = [" ".join(draw.sample(premises, 60)) for _ in range(20)]
tuned = SentenceEncoder.load(finetuned, dtype="float32")
limits, found = [8, 16, 32, 64, 128, 256, 512], {}
_, panels = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
for name, one in {"plain BERT": encoder, "trained encoder": tuned}.items():
    vectors, milliseconds = {}, []
    for one.max_seq_length in limits:
        start = time.process_time()
        vectors[one.max_seq_length] = one.encode(documents, show_progress_bar=False)         # (20, dim)
        milliseconds.append(1000 * (time.process_time() - start) / len(documents))
    found[name] = [5 * (cos_sim(vectors[n], vectors[512]).argmax(dim=1) == torch.arange(20)).sum().item() for n in limits]
    for ax, values, ylabel in zip(panels, (found[name], milliseconds), ("found, in %", "milliseconds a text")):
        curve(limits, values, label=name, ax=ax).set(xscale="log", xlabel="max_seq_length", ylabel=ylabel, ylim=0)
        ax.set_xticks(limits, limits), ax.minorticks_off()
panels[0].axhline(5, color="black", linestyle=":")
panels[0].set_title("A beginning must be long to be recognised", fontsize="medium")
print(limits, found)
plt.show()
encoder.max_seq_length = tuned.max_seq_length = max_seq_length
assert all(shares[0] <= 70 and shares[3] < 100 and shares[-2] >= 95 for shares in found.values())

# %% [markdown]
# With 8 tokens both models miss many of the texts, with 64 some; with 256 they find nearly all. Each token that is read costs time. These texts are mixtures of unrelated sentences, a hard case; a text whose point stands at its end is another. So measure on your own texts, and count how many exceed the limit.
#
# ## One more module: Dense
#
# **Question.** How do you get shorter vectors?
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
# The overview writes `out_features=256` behind a BERT of 768, a third. The BERT here is 256 wide, and `width` is a quarter of that.
#
# **Predict:** how many parameters has the new layer?

# %% tags=["row-4.6", "row-4.2", "nbval-check-output"]
import inspect

torch.manual_seed(seeds[0])
dense = theirs.Dense(in_features=dim, out_features=width, activation_function=torch.nn.Tanh())
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
# Any activation of torch will do, and `None` for none. But the format stores its class and nothing of its settings: in sentence-transformers `LeakyReLU(0.5)` comes back as `LeakyReLU(0.01)`; `course_lib` refuses to save it.
#
# ### Four ways to fewer numbers
#
# The new layer's weights are random. What else would give vectors of that length? You can keep the first numbers and drop the rest (*truncation*). You can compute the principal components (PCA), the directions in which many vectors differ most: they are the weights of a Dense layer without activation. Or you can train the layer: here, on the vectors of the bundled NLI sentences, so that the short vectors have the cosines of the long ones. The yardstick is Spearman's correlation with the grades of the bundled STS pairs, which neither PCA nor the training has seen.
#
# **Predict** the order of the four at a width of 16.

# %% tags=["row-4.6"]
from course_lib.data import load_sts
from course_lib.evaluation import spearman

rows = load_sts("course/sts")
sentences = sorted({text for example in load_nli("course/nli") for text in (example.premise, example.hypothesis)})
u, v, many = (torch.from_numpy(tuned.encode(some, show_progress_bar=False)) for some in
              ([row.sentence1 for row in rows], [row.sentence2 for row in rows], sentences))         # (n, dim) each
directions = torch.linalg.svd(many - many.mean(dim=0), full_matrices=False).Vh                       # (dim, dim), best first

def quality(change):
    with torch.no_grad():
        return spearman([row.score for row in rows], pairwise_cos_sim(change(u), change(v)))

def trained(wide, seed, steps=100):
    torch.manual_seed(seed)
    layer = ours.Dense(dim, wide, activation_function=None)
    optimizer = torch.optim.Adam(layer.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = many[torch.randperm(len(many))[:128]]                                                # (128, dim)
        short = layer(batch)
        loss = (cos_sim(short, short) - cos_sim(batch, batch)).square().mean()
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    return layer

# %% tags=["row-4.6"] alt="Curves of Spearman's correlation over the width of the vectors, 4, 16 and 64 numbers on a logarithmic axis. All rise towards a dotted line, the score of all 256 numbers. The random layer is lowest, principal components and the trained layer are highest and close to each other; bands show the different starts."
def untrained(wide, seed):
    torch.manual_seed(seed)
    return ours.Dense(dim, wide)

widths = [4, 16, 64]
ways = {
    "random layer, 5 starts": [[quality(untrained(w, seed)) for w in widths] for seed in range(5)],
    "first numbers": [[quality(lambda x: x[:, :w]) for w in widths]],
    "principal components": [[quality(lambda x: x @ directions[:w].T) for w in widths]],
    f"trained layer, {len(seeds)} starts": [[quality(trained(w, seed)) for w in widths] for seed in seeds],
}
_, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for name, runs in ways.items():
    curve(widths, runs, label=name, ax=ax)
    print(f"{name:24}", {w: round(score, 3) for w, score in zip(widths, np.mean(runs, axis=0).tolist())})
ax.axhline(quality(lambda x: x), color="black", linestyle=":", label=f"all {dim} numbers")
ax.set(xscale="log", xlabel="width", ylabel="Spearman", title="A layer earns its place when it is computed or trained")
ax.set_xticks(widths, widths), ax.minorticks_off(), ax.legend(fontsize=8)
plt.show()
lowest, _, components, learned = (np.array(runs) for runs in ways.values())
assert (components[0, :2] > lowest[:, :2].max(axis=0)).all() and (learned[:, :2].min(axis=0) > lowest[:, :2].mean(axis=0)).all()
assert quality(lambda x: x) - components[0, 2] < 0.02

# %% [markdown]
# A random layer is what the overview's listing gives before training. At 4 and at 16 numbers it loses more than principal components do, in each of five starts. These cost one matrix decomposition, no training, and lose next to nothing at 64 numbers. To train for more than keeping the cosines, start from them. How well the first numbers do depends on the model; notebook 12 trains one so that they do well.
#
# ## Save it, load it
#
# **Question.** Where does a model come from when you give a name?
#
# The overview says that a path needs a `/`, and that you can put a zip archive on a server and give its address. Both are out of date.
#
# **Predict:** which of the names below are looked for on disk, which on the hub?

# %% tags=["row-4.16", "row-4.17"]
import contextlib
import tempfile

with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
    library.save_pretrained("my-model", create_model_card=False)             # a name without a slash
    print(*sorted(str(file.relative_to("my-model")) for file in Path("my-model").rglob("*") if file.is_file()), sep="  ")
    shutil.make_archive("packed", "zip", ".", "my-model")                    # what replaces the zip address:
    shutil.unpack_archive("packed.zip", "unpacked")                          # fetch it yourself, unpack it, give the folder
    for folder in ("my-model", "unpacked/my-model"):
        for one in (SentenceTransformer(folder, device="cpu"), SentenceEncoder.load(folder, dtype="float32")):
            assert np.allclose(one.encode(texts), a, atol=1e-5)
            print(f"{folder:17} {type(one).__name__:19} gives the vectors that were saved")

for name in ("https://example.org/my-model.zip", "my/own/model", "my-model"):
    try:
        SentenceTransformer(name, device="cpu", local_files_only=True)       # no network
    except OSError as error:                                                 # FileNotFoundError is one
        print(f"{name:33} {type(error).__name__}: {str(error)[:70]}")

# %% [markdown]
# `modules.json` lists the modules, `model.safetensors` holds BERT's weights and `2_Dense` the layer's. A folder that exists is taken, slash or not. If there is none, a name with at most one slash is looked for on the Hugging Face hub. A bare name gets the owner `sentence-transformers/`, unless it is one of 68 old names such as `bert-base-uncased`. More slashes mean a path that does not exist; no request is sent.
#
# To share a model, `model.push_to_hub("owner/name")` uploads that folder, and `SentenceTransformer("owner/name")` loads it anywhere.
#
# ## Queries and documents
#
# **Question.** How does a network learn that one text is a query and another a document?
#
# The usual way today needs no new token: a *prompt*, a few words before the text. The model keeps them by name, and `encode_query` and `encode_document` put them there.
#
# **Predict:** which prompt does plain `encode` use?

# %% tags=["nbval-check-output"]
prompts, question = {"query": "query: ", "document": "document: "}, "Where is the cat?"
prompted = SentenceTransformer(str(resolve(finetuned)), prompts=prompts, device="cpu")
plain, as_query, as_document = prompted.encode(question), prompted.encode_query(question), prompted.encode_document(question)
assert np.allclose(as_query, prompted.encode("query: " + question), atol=1e-5)
assert np.allclose(plain, SentenceTransformer(str(resolve(finetuned)), device="cpu").encode(question), atol=1e-6)
assert not np.allclose(plain, as_query, atol=0.01) and not np.allclose(as_query, as_document, atol=0.01)
with tempfile.TemporaryDirectory() as place:
    prompted.save_pretrained(place, create_model_card=False)                 # prompts are saved with the model
    one = SentenceEncoder.load(place, dtype="float32")
    for name in ("encode_query", "encode_document"):
        assert np.allclose(getattr(one, name)(question), getattr(prompted, name)(question), atol=1e-5)
print("encode: no prompt; encode_query and encode_document: their own; saved, and the same in course_lib")
print(one.tokens("query: " + question))

# %% [markdown]
# `encode` uses none. A prompt costs a few tokens a text. And it must be trained in: this model has never seen one, so its vectors change, but to no purpose. A model that was trained with prompts loses quality without them: read its card. If queries and documents should go through different modules, the `Router` module sends them there.
#
# ## New tokens
#
# **Question.** When is a token of your own worth it, and how is it added?
#
# When a word that your texts are full of falls into many pieces, or when a marker must never be mistaken for text. The overview adds two markers, `[DOC]` and `[QRY]`. As a *special token* each is never cut.
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
    one.tokenizer.add_tokens(tokens, special_tokens=True)                # the overview's line
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
#
# How do the new rows start? "Randomly", says the overview.
#
# **Predict** the cosine of the two new rows, for each of the three ways below.

# %% tags=["row-4.19", "nbval-check-output"]
from course_lib.models.surgery import add_tokens, freeze, word_embeddings

new_rows = {}
for name, options in (("transformers", {}), ("transformers, mean_resizing=False", {"mean_resizing": False})):
    torch.manual_seed(seeds[0])
    existing = SentenceTransformer(str(resolve(finetuned)), device="cpu")
    existing.tokenizer.add_tokens(tokens, special_tokens=True)
    existing[0].auto_model.resize_token_embeddings(len(existing.tokenizer), **options)       # the line that was missing
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
# Today's `transformers` gives all new rows the average row with a little noise, so at first the two markers can hardly be told apart. The other two ways draw each row at random. Whichever it is, none of these rows means anything yet.
#
# ## What should a new row start from, and what should learn?
#
# **Question.** Does a new token help, and what is the best way to train it?
#
# Take a word whose meaning you know. The tokenizer cuts `feline` into pieces. Teach the model its meaning from 16 sentences: the one with `feline` has to find the one with `cat`, not those with two other words, `dog`, `bird`... Six other sentences are kept for the test: among ten animals and things, is `cat` the closest? Guessing finds 0.6 of six.

# %% tags=["row-4.20"]
import copy
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.training import train

train_frames = """The {} slept on the sofa.|My {} does not like strangers.|We took the {} to the vet.|A {} ran across the street.|She fed her {} at noon.
The old {} sat by the fire.|There is a {} in the garden.|He was afraid of the {}.|The {} looked out of the window.|I saw a black {} last night.
They found the {} under the bed.|Our {} is hungry again.|Who let the {} in?|The children played with a {}.|A small {} drank milk.|The {} hurt its leg."""
test_frames = """The {} jumped onto the table.|Has anybody seen my {}?|A {} is lying in the sun.|They bought a {} for their daughter.
The neighbours' {} is very loud.|A white {} climbed the tree."""
train_frames, test_frames = (text.replace("\n", "|").split("|") for text in (train_frames, test_frames))
others = [word for word in ("dog", "bird", "horse", "fish", "child", "car", "woman", "mouse", "cow") if word != known_word]
strangers = [row.sentence1 for row in rows[:60] if new_word not in row.sentence1]      # texts that have nothing to do with it
strangers_before = tuned.encode(strangers, show_progress_bar=False)                    # (60, dim)

def examine(one):
    """Tests won, of six; the known word's lead over the best other; how much other texts' vectors are still the same."""
    questions = [frame.format(word) for word in (new_word, known_word, *others) for frame in test_frames]
    vectors = torch.from_numpy(one.encode(questions + strangers, show_progress_bar=False))
    words = vectors[: len(questions)].view(-1, len(test_frames), dim)                                  # (words, 6, dim)
    cosines = torch.stack([pairwise_cos_sim(words[0], word) for word in words[1:]])                    # (other words, 6)
    mean = cosines.mean(dim=1)
    same = pairwise_cos_sim(vectors[len(questions) :], strangers_before).mean().item()
    return (cosines.argmax(dim=0) == 0).sum().item(), (mean[0] - mean[1:].max()).item(), same

# %% [markdown]
# There are three starts: the word stays in pieces; it is one token with a random row; it is one token whose row is the mean of its pieces' rows, which is the usual advice. And there are three trainings: all weights at a usual learning rate; only the new row at that rate; only the new row at a rate 150 times as high. To train one row, `freeze` stops the whole network, the table is let go again, and a hook zeroes the gradient of all rows but the last.

# %% tags=["row-4.1"]
def prepare(start, seed=0):
    """An encoder that has new_word "in pieces", or as one token whose row is "random" or the "mean of pieces"."""
    one = copy.deepcopy(tuned)
    pieces = [int(i) for i in one[0].tokenize([new_word])[0][0][1:-1]]                           # without [CLS] and [SEP]
    if start != "in pieces":
        torch.manual_seed(seed)
        assert add_tokens(one, [new_word]) == 1
        if start == "mean of pieces":
            with torch.no_grad():
                table = word_embeddings(one).weight                                              # (vocabulary, hidden)
                table[-1] = table[pieces].mean(dim=0)
    return one

def only_the_last_row(one):
    freeze(one)
    table = word_embeddings(one).weight.requires_grad_(True)
    mask = (torch.arange(len(table)) == len(table) - 1).float().unsqueeze(1)                     # (vocabulary, 1)
    table.register_hook(lambda gradient: gradient * mask)                                        # all other rows get zeros

def teach(one, rate, seed):
    draw = random.Random(seed)
    lesson = [tuple(frame.format(word) for word in (new_word, known_word, *draw.sample(others, 2))) for frame in train_frames]
    train(one, siamese_objective(one, MultipleNegativesRankingLoss()), lesson, batch_size=8, epochs=5,
          learning_rate=rate, weight_decay=0.0, seed=seed, autocast=False, show_progress_bar=False)
    return one

# %% [markdown]
# **Predict:** which of the trainings below win the test? Which change other texts?

# %% tags=["row-4.1", "row-4.20"]
trainings = {"untrained": None, "all": learning_rate, "row, usual rate": learning_rate, "row, high rate": row_learning_rate}
plan = {"in pieces": ["untrained", "all"], "random": list(trainings), "mean of pieces": ["untrained", "all", "row, high rate"]}
results, ranks = {}, []
for start, hows in plan.items():
    for how in hows:
        runs = []
        for seed in seeds if start == "random" or trainings[how] else seeds[:1]:                  # the rest has no chance in it
            one = prepare(start, seed)
            if how.startswith("row"):
                only_the_last_row(one)
            if trainings[how]:
                teach(one, trainings[how], seed)
            runs.append(examine(one))
            if how == "row, high rate":
                cosines = cos_sim(word_embeddings(one).weight.detach()[-1:], word_embeddings(one).weight.detach()[:-1])[0]
                ranks.append((cosines > cosines[one[0].tokenizer.token_to_id(known_word)]).sum().item() + 1)
        results[start, how] = np.array(runs)                                                     # (seeds, 3)
        wins, lead, same = results[start, how].T
        print(f"{start:15} {how:16} right, of {len(test_frames)}: {[int(n) for n in wins]!s:10} lead {lead.mean():6.3f}   other texts {same.mean():.4f}")

# %% [markdown]
# `lead` is how far the known word is ahead of the best other word; `other texts` is the cosine of unrelated sentences with their vectors before, where 1 means unchanged. Both are means over the seeds. The figure shows each run.

# %% tags=["row-4.20"] alt="Two panels with a row for each start and training and a mark for each run. Left, the lead of cat over the best other word: near or below 0 for the untrained and for the row trained at the usual rate, clearly above 0 for the five other trainings. Right, how far other texts have moved: 0 wherever only the row was trained, clearly above 0 in the three trainings of all weights."
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
styles = {"untrained": ("x", "black"), "all": ("o", PALETTE[0]), "row": ("s", PALETTE[1])}
for place, ((start, how), runs) in enumerate(results.items()):
    marker, colour = styles[how.split(",")[0]]
    for ax, values in ((left, runs[:, 1]), (right, 1 - runs[:, 2])):
        ax.plot(values, [place] * len(values), marker, color=colour, alpha=0.7)
left.axvline(0, color="black", linestyle=":")
left.set_yticks(range(len(results)), [f"{start}: {how}" for start, how in results])
left.invert_yaxis(), right.locator_params(axis="x", nbins=4)
left.set(xlabel=f"lead of {known_word!r} over the best other word", title="Five trainings teach the word")
right.set(xlabel="1 - cosine with the vector before", title="Training all weights moves other texts")
plt.show()
wins, lead, same = ({name: runs[:, k] for name, runs in results.items()} for k in range(3))
taught = [name for name in results if name[1] in ("all", "row, high rate")]
assert all((wins[name] >= 5).all() and (lead[name] > 0.1).all() for name in taught)
assert all((lead[name] < 0.05).all() for name in set(results) - set(taught))
assert all((same[name] < 0.999).all() if name[1] == "all" else (same[name] > 0.99999).all() for name in results)    # frozen is frozen
print(f"after training at the high rate, the rank of {known_word!r} among all rows nearest to the new one: {ranks}")
assert max(ranks) <= 3

# %% [markdown]
# Read three things. The word needs no token of its own: in pieces, with all weights trained, it is learned as well. All weights move, and so do all other texts, whichever start you take. The row alone learns as soon as its rate is high enough; at the usual rate ten steps leave it where it was. So two choices do two things: the rate turns the row, and freezing protects the rest.
#
# The row's nearest neighbour is now the known word or close to it. Nobody said so; the loss only asked for whole sentences to match. A mean of pieces is the better start before training: compare the two "untrained" rows.
#
# ## Between one row and all weights
#
# **Question.** Can you train the whole network and keep the old one?
#
# An *adapter* of the kind called LoRA leaves each weight matrix as it is and adds the product of two thin matrices. Only these learn. One of them starts as zeros, so at first nothing changes.
#
# **Predict** the share of the network's weights that learn, with thin matrices 4 wide.

# %% tags=["row-4.1"]
from torch.nn.utils import parametrize

class LowRank(torch.nn.Module):
    def __init__(self, weight, rank=4):
        super().__init__()
        self.down = torch.nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)      # (rank, in)
        self.up = torch.nn.Parameter(torch.zeros(weight.shape[0], rank))                                 # (out, rank)

    def forward(self, weight):
        return weight + self.up @ self.down                                                              # (out, in)
adapted = prepare("in pieces")
freeze(adapted)
maps = [part for name, part in adapted[0].named_modules() if name.endswith(("query", "value"))]
torch.manual_seed(seeds[0])
for part in maps:
    parametrize.register_parametrization(part, "weight", LowRank(part.weight))
assert np.allclose(adapted.encode(strangers, show_progress_bar=False), strangers_before, atol=1e-5)      # nothing has changed yet
learning, total = (sum(p.numel() for p in adapted.parameters() if p.requires_grad or every) for every in (False, True))
teach(adapted, 50 * learning_rate, seeds[0])
with_adapter, examined = adapted.encode(strangers, show_progress_bar=False), examine(adapted)
for part in maps:
    parametrize.remove_parametrizations(part, "weight")                                                  # adds the product for good
assert np.allclose(adapted.encode(strangers, show_progress_bar=False), with_adapter, atol=1e-5)
print(f"{learning:,} of {total:,} weights learned, {learning / total:.1%}: {examined[0]} of {len(test_frames)} right, lead {examined[1]:.2f}, other texts {examined[2]:.4f}")
assert learning / total < 0.01 and examined[0] >= 5 and examined[2] < 0.999

# %% [markdown]
# Under one percent of the weights are enough in this run, and all that must be stored for a task is that percent. Other texts move with an adapter, too; but leave it out, and the old network is back. In sentence-transformers, with the package `peft` installed, it is
#
# ```python
# from peft import LoraConfig, TaskType
#
# model.add_adapter(LoraConfig(task_type=TaskType.FEATURE_EXTRACTION, r=8, lora_alpha=16))
# ```
#
# and then the trainer of the next notebook.
#
# ## In practice
#
# Here is a new word in sentence-transformers from end to end, and in `course_lib` beside it.

# %% tags=["nbval-check-output"]
library = SentenceTransformer(str(resolve(finetuned)), device="cpu")
pieces = library.tokenizer.encode(new_word, add_special_tokens=False)        # before it is added
library.tokenizer.add_tokens([new_word])
network = library[0].auto_model
network.resize_token_embeddings(len(library.tokenizer))
with torch.no_grad():
    table = network.get_input_embeddings().weight                            # (vocabulary, hidden)
    table[library.tokenizer.convert_tokens_to_ids(new_word)] = table[pieces].mean(dim=0)

course, text = prepare("mean of pieces"), [test_frames[0].format(new_word), "no such word"]
assert np.allclose(library.encode(text), course.encode(text), atol=1e-5)
with tempfile.TemporaryDirectory() as place:
    library.save_pretrained(place, create_model_card=False)
    again = SentenceTransformer(place, device="cpu")
assert np.allclose(again.encode(text), course.encode(text), atol=1e-5)
print(library.tokenizer.tokenize(text[0])[1], "was", len(pieces), "tokens and is one; saved, loaded, equal in both libraries")

# %% [markdown]
# - **First train without a new token.** Add one when a word costs many tokens in many texts, or as a marker. Use prompts to tell queries from documents.
# - **If you add one**, resize the table, start from the mean of the pieces, and only then make the optimiser. Train the row alone where nothing else may change; otherwise train all, and measure other texts before and after.
# - **To shorten vectors**, try `truncate_dim` and principal components before you train a layer. All stored vectors must be computed anew after any such change.
# - **The text limit** costs time for each token read. Set it from the lengths of your texts, at most to the model's positions.
# - **Save** with `save_pretrained`, load it once in a fresh process, and compare vectors. Pin the version of a model from the hub: `revision="..."`.
#
# So this is the plain answer to the opening question: a sentence encoder is a list of modules in a folder, and you change it by replacing a module, lengthening a table, or choosing which weights learn.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"` and `finetuned = "sentence-transformers/all-MiniLM-L6-v2"`: 440 and 90 MB are downloaded once. Both widths differ then, 768 and 384. MiniLM cuts `feline` in pieces as well. The asserts about trainings were tried with the course's models only.
#
# ## Exercises
#
# **1.** Give new tokens their rows. The tokenizer knew `known` tokens, so new token number i gets row `known + i`: the mean of its pieces' rows. Some tables have spare rows beyond `known`. They are used first, and none may be lost.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def grow(table, known, pieces):
    """table (rows, dim); pieces: for each new token the list of its pieces' numbers -> the table with the new rows."""
    ...

check("10.1", grow)

# %% [markdown]
# **2.** Where is a model looked for? See the section on loading.

# %% tags=["exercise", "nbval-check-output"]
def where(name, folders, old_names):
    """A name, the folders that exist, the 68 old names -> the folder, the name to ask the hub for, or "nowhere"."""
    ...

check("10.2", where)

# %% [markdown]
# ## Questions
#
# **1.** You add a token after you have made the optimiser. Why is that an error even if nothing complains?
#
# <details><summary>Answer</summary>The table gets more rows. If the library puts a longer parameter in place of the old one, the optimiser goes on with the old one, and the new table never learns. So add tokens first, then make the optimiser.</details>
#
# **2.** A network of Transformer, Pooling and Dense(256, 64) does worse than the one without Dense. Name two ways to make the layer earn its place.
#
# <details><summary>Answer</summary>Compute its weights: the principal components of many vectors lose little. Or train it, for the old cosines or for your task. A random layer has no reason to be there.</details>
#
# **3.** Only one row was trained. Why must weight decay be off for that?
#
# <details><summary>Answer</summary>AdamW's weight decay shrinks every number of a parameter at every step, whatever its gradient. The hook zeroes the gradients of the other rows; they would shrink all the same.</details>
#
# ## Summary
#
# - A sentence encoder is modules in sequence. In both libraries equal weights give equal vectors.
# - The text limit is a setting, up to the number of positions. It saves time, and cuts texts without a word.
# - An untrained Dense layer only loses. Principal components are the same layer with weights worth having.
# - A folder that exists is loaded; otherwise the hub is asked.
# - Tokenizer and table must grow together. The start and the rate decide whether the new row learns, freezing whether the rest stays, and often the word needs no token at all.
#
# ## References
#
# - Reimers and others (2022), Training Overview, the documentation of [Sentence Transformers](https://github.com/huggingface/sentence-transformers): the listings of this notebook.
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084).
# - Hewitt (2021), [Initializing new word embeddings](https://nlp.stanford.edu/~johnhew/vocab-expansion.html): why the mean, for language models.
# - Hu and others (2021), [LoRA](https://arxiv.org/abs/2106.09685): adapters of two thin matrices.
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): AdamW.
#
# **Next:** notebook 11: the training call, with all its options.
