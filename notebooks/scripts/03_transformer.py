# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/03_transformer.ipynb)
#
# # What is left when the RNN is dropped?
#
# In 2017 a paper dropped the recurrent network and kept the attention. Here you build what is left, BERT's encoder, load real weights into it, and show that it is the real thing.
#
# | | |
# |---|---|
# | You will be able to | compute attention by hand, as matrices and in heads; assemble BERT's encoder and load a checkpoint into it; show what positions, residuals, norms and masks are for; compare a transformer with a GRU |
# | You need first | matrix products, softmax; what attention is for (notebook 02) |
# | Time | 40 minutes to read; the code runs in under a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the models come with the course |

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
# `model` may be any BERT. `sentence` is looked at closely, `full` repeats what is otherwise read from a file.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
sentence = "The young otter has soft white fur."
full = False

# %% [markdown]
# ## Every token asks every token
#
# **Question.** Who asks, when the RNN is gone?
#
# In notebook 02 the decoder's state asked, and the encoder's states were weighed against it (Bahdanau and others, online in 2014, published in 2015). You may read that attention weighs input words by their importance to other input words: that is *self-attention*, and comes only now. The tokens of one sentence ask each other. Each has three vectors: a *query*, what it looks for; a *key*, what it is found by; a *value*, what it hands over. Its result is the average of all values, weighted by a softmax over how well its query fits each key:
#
# $$\text{softmax}(QK^T / \sqrt{d})\,V$$
#
# $d$ is the number of components of a query. **Predict** before you run: which key gets most of the third query's attention?

# %% tags=["row-1.13", "nbval-check-output"]
import math

import torch
import torch.nn.functional as F

from course_lib.attention import scaled_dot_product_attention

torch.set_num_threads(1)                                         # enough, and times then depend less on what else runs
query = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])       # (3 tokens, 2)
key = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])         # (3, 2)
value = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, 4.0]])       # (3, 2)

looped = []
for q in query:
    exponentials = [math.exp(q @ k / math.sqrt(2)) for k in key]
    looped.append(sum(e / sum(exponentials) * v for e, v in zip(exponentials, value)))

weights = (query @ key.T / math.sqrt(2)).softmax(dim=1)          # (3 queries, 3 keys), each row sums to 1
output = weights @ value                                         # (3, 2)
print(weights, output, sep="\n")

assert torch.allclose(output, torch.stack(looped), atol=1e-6)
assert torch.allclose(output, F.scaled_dot_product_attention(query, key, value), atol=1e-6)
for ours, library in zip((output, weights), scaled_dot_product_attention(query, key, value)):
    assert torch.allclose(ours, library, atol=1e-6)

# %% [markdown]
# Loop, matrices, torch and `course_lib.attention` agree. No row waits for another; a recurrent network has to finish token 5 before it begins token 6.
#
# ### Several heads
#
# To look at several things at once, a layer has several *heads*: each takes its own components of queries, keys and values, and a last linear map joins their results. **Predict**: what becomes of the softmax without the division by $\sqrt{d}$, when $d$ grows?

# %% tags=["row-1.13", "nbval-check-output"]
from torch import nn

from course_lib.attention import MultiHeadAttention

torch.manual_seed(seed)
reference = nn.MultiheadAttention(8, 2, batch_first=True)        # 8 components, 2 heads; its biases start at zero
x = torch.randn(1, 3, 8)                                         # (1 sentence, 3 tokens, 8)
to_q, to_k, to_v = reference.in_proj_weight.chunk(3)             # each (8, 8)

each = []
for own in (slice(0, 4), slice(4, 8)):                           # the components of one head
    each.append(scaled_dot_product_attention(x @ to_q[own].T, x @ to_k[own].T, x @ to_v[own].T)[0])  # (1, 3, 4)
looped = reference.out_proj(torch.cat(each, dim=2))              # (1, 3, 8)

q, k, v = ((x @ w.T).unflatten(2, (2, 4)).transpose(1, 2) for w in (to_q, to_k, to_v))  # (1, 2 heads, 3 tokens, 4)
together = scaled_dot_product_attention(q, k, v)[0].transpose(1, 2).flatten(2)          # (1, 3, 2, 4) -> (1, 3, 8)
ours = MultiHeadAttention(8, 2)
ours.load_state_dict(reference.state_dict())
for result in (reference.out_proj(together), ours(x, x, x)[0], reference(x, x, x)[0]):
    assert torch.allclose(result, looped, atol=1e-6)
print("queries of both heads:", tuple(q.shape), " result:", tuple(looped.shape))
for d in (4, 64, 1024):
    scores = torch.randn(500, d) @ torch.randn(d, 20)            # 500 queries, 20 keys
    print(f"d = {d:>4}: largest of 20 weights {scores.softmax(1).max(1).values.mean():.2f}, "
          f"divided by the root {(scores / math.sqrt(d)).softmax(1).max(1).values.mean():.2f}")

# %% [markdown]
# Dot products of longer vectors are larger, and the softmax of large numbers picks one key and ignores the rest. The division cures it.
#
# ## What else a layer needs
#
# **Question.** Attention mixes tokens. What is the rest of a layer for?
#
# After self-attention comes a *feed-forward* network: two linear maps with a bend (GELU) between them, for each token alone. Around each of the two lie a *residual connection*, which adds the input to the output, and a *layer norm*, which brings each token's vector to mean 0 and standard deviation 1, then applies a learned scale and shift.
#
# Stack 24 random layers, with and without these parts. Measure the size of the vectors (their standard deviation) and how alike the tokens have become (mean cosine of two tokens). The matrices have a standard deviation of 0.02, with which BERT's training starts, or of 0.04, about that of trained ones (printed below).
#
# **Predict** which part keeps the size, and which keeps the tokens apart.

# %% alt="Two line charts over 24 random layers with five curves each: as in BERT and without norms, both also with matrices twice as large, and without residuals. Left, logarithmic, the size of the vectors: it stays near 1, except without norms and with larger matrices, where it grows to nearly a hundred. Right, the cosine of different tokens: near 1 from the first layer on without residuals, rising slowly with larger matrices, near 0 otherwise."
import matplotlib.pyplot as plt
from course_lib.plotting import curve
from course_lib.similarity import cos_sim
plt.rcParams["figure.dpi"] = 70                                  # keeps this file small
def deep(residual=True, norm=True, std=0.02, dim=256):
    torch.manual_seed(seed)
    x, sizes, alike = torch.randn(16, dim), [], []               # (16 tokens, dim)
    for _ in range(24):
        q, k, v, o, wide, narrow = (std * torch.randn(a * dim, b * dim) for a, b in [(1, 1)] * 4 + [(1, 4), (4, 1)])
        for part in (lambda x: scaled_dot_product_attention(x @ q, x @ k, x @ v)[0] @ o, lambda x: F.gelu(x @ wide) @ narrow):
            x = part(x) + x if residual else part(x)
            x = F.layer_norm(x, (dim,)) if norm else x
        sizes.append(x.std().item()), alike.append((cos_sim(x, x).sum().item() - 16) / (16 * 15))
    return sizes, alike                                          # after each of the 24 layers
cases = {"as in BERT": {}, "without norms": {"norm": False}, "without norms, larger matrices": {"norm": False, "std": 0.04},
         "as in BERT, larger matrices": {"std": 0.04}, "without residuals": {"residual": False}}
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
found = {case: deep(**options) for case, options in cases.items()}
for case, results in found.items():
    for ax, values, name in zip(axes, results, ("size of the vectors", "mean cosine of two tokens")):
        curve(range(1, 25), values, case if ax is axes[0] else "", ax=ax).set(xlabel="layer", ylabel=name)
axes[0].set(yscale="log", title="Norms keep the size"), axes[1].set(title="Residuals keep the tokens apart")
plt.show()
assert found["without norms, larger matrices"][0][-1] > 10 > 2 > found["as in BERT"][0][-1]
assert found["without residuals"][1][0] > 0.9 and abs(found["as in BERT"][1][-1]) < 0.3
# %% [markdown]
# Without norms the size is left to the matrices: harmless at the start of training, out of bounds with larger ones. Without residuals one layer makes all tokens nearly equal: the average of everything is the same for everyone. With larger matrices residuals only delay it. Training might cope.
#
# ## Assemble it
#
# **Question.** How much code is BERT's encoder?
#
# Three cells. A batch is *padded*: filled up with `[PAD]` to its longest sentence; a mask says which tokens are real. The parts have the names they have in `transformers`, so that its checkpoints fit.

# %%
from course_lib.bert import ACTIVATIONS

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        for name in ("query", "key", "value"):
            self.add_module(name, nn.Linear(config.hidden_size, config.hidden_size))

    def forward(self, x, mask):                                  # (batch, tokens, hidden), (batch, tokens)
        q, k, v = (part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])  # (batch, heads, tokens, tokens)
        scores = scores.masked_fill(mask[:, None, None] == 0, -math.inf)     # no one looks at [PAD]
        self.weights = scores.softmax(-1)                        # kept, to be looked at
        return (self.weights @ v).transpose(1, 2).flatten(2)     # (batch, heads, tokens, size) -> (batch, tokens, hidden)

class AddAndNorm(nn.Module):
    def __init__(self, config, inputs):
        super().__init__()
        self.dense = nn.Linear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x, residual):
        return self.LayerNorm(self.dense(x) + residual)

# %%
class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(config), "output": AddAndNorm(config, config.hidden_size)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.intermediate_size)})
        self.output = AddAndNorm(config, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x, mask):
        x = self.attention["output"](self.attention["self"](x, mask), x)     # (batch, tokens, hidden)
        wide = self.activation(self.intermediate["dense"](x))                # (batch, tokens, intermediate)
        return self.output(wide, x)                                          # (batch, tokens, hidden)

# %% [markdown]
# The first layer's input is a sum of three vectors: the token's, its position's, and its token type's, which tells first from second sentence where a model reads pairs. Here all types are 0.

# %%
from course_lib.bert import BertConfig
from course_lib.support.folders import read_json, resolve

class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        sizes = {"word": config.vocab_size, "position": config.max_position_embeddings, "token_type": config.type_vocab_size}
        self.embeddings = nn.ModuleDict({f"{kind}_embeddings": nn.Embedding(n, config.hidden_size) for kind, n in sizes.items()})
        self.embeddings["LayerNorm"] = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))})

    def embed(self, ids):                                        # (batch, tokens) -> (batch, tokens, hidden)
        e = self.embeddings
        positions = e["position_embeddings"].weight[: ids.shape[1]]          # (tokens, hidden)
        return e["LayerNorm"](e["word_embeddings"](ids) + positions + e["token_type_embeddings"].weight[0])

    def forward(self, ids, mask):
        x = self.embed(ids)
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        return x                                                 # (batch, tokens, hidden)

encoder = Encoder(config := BertConfig.from_dict(read_json(resolve(model) / "config.json"))).eval()
print(f"{sum(p.numel() for p in encoder.parameters()):,} parameters; in a layer:",
      {name: sum(p.numel() for p in part.parameters()) for name, part in encoder.encoder["layer"][0].named_children()})

# %% [markdown]
# The feed-forward network (`intermediate` and `output`) holds two thirds of a layer.
#
# ## Is it the real thing?
#
# Load the trained weights by name, give a padded batch to both, and compare each real token. **Predict**: what will be left over or missing?

# %% tags=["nbval-check-output"]
import transformers

from course_lib.support.folders import read_weights
from course_lib.support.architectures import load_bert

weights = read_weights(resolve(model))                           # name -> tensor
load_bert(encoder, weights, resolve(model))                      # by name; what is missing is an error
left = {name.removeprefix("bert.").split(".")[0] for name in weights} - {"embeddings", "encoder"}
matrices = [p.std() for p in encoder.encoder.parameters() if p.ndim == 2]
print(f"standard deviation of the trained matrices: {torch.stack(matrices).mean():.2f}")
print(f"{len(encoder.state_dict())} tensors loaded, such as {list(encoder.state_dict())[5]}; left over: {left}")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
tokenizer = transformers.AutoTokenizer.from_pretrained(resolve(model))
reference = transformers.BertModel.from_pretrained(resolve(model), dtype=torch.float32, add_pooling_layer=False).eval()
torch.set_grad_enabled(False)                                    # nothing is trained from here on

def padded(texts):
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"]           # (texts, tokens) each

ids, mask = padded([sentence, "It is lying on the rocks by the river, in the sun, and does not want to be disturbed."])
ours, theirs = encoder(ids, mask), reference(ids, attention_mask=mask).last_hidden_state     # (2, tokens, hidden)
print(f"{tuple(ours.shape)}: {mask.sum()} real tokens, {(mask == 0).sum()} [PAD]")
assert torch.allclose(ours[mask == 1], theirs[mask == 1], atol=1e-5)

# %% [markdown]
# Every number agrees, up to rounding. Left over is `cls`, the head that fills in masked words. The published BERT differs in vocabulary, size and training, not in this code.
#
# ## Where is the word order?
#
# **Question.** Nothing in attention says which token comes first. What does the model know of the order?
#
# Turn the words of `sentence` round, once with all position vectors made equal, once as it is. **Predict** for both: do the tokens' vectors only change places? Does their mean change?

# %% tags=["row-2.4", "nbval-check-output"]
import copy

without = copy.deepcopy(encoder)
table = without.embeddings["position_embeddings"].weight         # (positions, hidden)
table.copy_(table.mean(0).expand_as(table))

ids, mask = padded([sentence])                                   # (1, tokens)
n = ids.shape[1]
turned = [0, *range(n - 2, 0, -1), n - 1]                        # [CLS] and [SEP] stay where they are
print(" ".join(tokenizer.convert_ids_to_tokens(ids[0, turned])))
for name, net in (("without positions", without), ("with positions", encoder)):
    before, after = net(ids, mask)[0], net(ids[:, turned], mask)[0]          # (tokens, hidden) each
    along = torch.allclose(after, before[turned], atol=1e-4)
    same_mean = torch.allclose(after.mean(0), before.mean(0), atol=1e-4)
    print(f"{name:<17} vectors only change places: {along}, mean stays: {same_mean}")
    assert along == same_mean == (net is without)

# %% [markdown]
# Without positions the encoder reads a bag of words, however many layers it has. A recurrent network reads in order; here the order is one added vector, learned in BERT, a pattern of sines in the paper of 2017.
#
# ## Now from the library
#
# `course_lib.bert` is the same model without `[PAD]`. A batch is *packed*: the tokens of all sentences lie one after the other in one matrix, and a list says how long each sentence is. Only attention, printed below, has to know where a sentence ends; `fast_attention` is the softmax of scores that you wrote, without a mask. The assert compares it with yours on every real token.

# %% tags=["nbval-check-output"]
import inspect

from course_lib import bert
from course_lib.support.tables import find, read_tsv

print(inspect.getsource(bert.BertSelfAttention.forward))
packed = bert.BertModel(config).eval()
load_bert(packed, weights, resolve(model))

sentences = [text for _, (topic, text) in read_tsv(find("course/sentences"), "topic", "sentence")]
mixed = [" ".join(sentences[i : i + count]) for i in range(0, 80, 5) for count in (1, 1, 1, 1, 2, 4)]     # 96 texts
ids, mask = padded(mixed)                                        # (96, longest)
lengths = mask.sum(1).tolist()
vectors = packed(ids[mask == 1], lengths)                        # (tokens,) -> (tokens, hidden)
assert torch.allclose(vectors, encoder(ids, mask)[mask == 1], atol=1e-4)
print(f"{len(mixed)} texts of {min(lengths)} to {max(lengths)} tokens: {tuple(ids.shape)} ids padded, {len(vectors)} packed")

# %% [markdown]
# ### What does padding cost?
#
# The texts go through both in random order, in batches of 32. **Predict** the share of `[PAD]`, and how much longer the padded model takes.

# %%
import random
import time

random.Random(seed).shuffle(mixed)
batches = [padded(mixed[i : i + 32]) for i in range(0, len(mixed), 32)]
real, places = sum(mask.sum().item() for _, mask in batches), sum(mask.numel() for _, mask in batches)

def seconds(run):
    start = time.process_time()                                  # of the processor, not of the clock on the wall
    for ids, mask in batches:
        run(ids, mask)
    return time.process_time() - start

def run_packed(ids, mask):
    return packed(ids[mask == 1], mask.sum(1).tolist())

both = [(seconds(encoder), seconds(run_packed)) for _ in range(4)]            # in turns
padded_best, packed_best = (min(times) for times in zip(*both))
print(f"[PAD]: {1 - real / places:.0%} of all places. Padded takes {padded_best / packed_best:.1f} times as long as packed.")
assert real < 0.8 * places and padded_best > 0.8 * packed_best

# %% [markdown]
# Padding is computed like any other token, then thrown away. (These lengths are very mixed; texts sorted by length have less of it.)
#
# ## Trap: no mask
#
# Forget the mask, as in `model(input_ids)`, and nothing fails: every token counts as real.
#
# **Predict**: a short sentence stands beside a long text. How much of its attention goes to `[PAD]`?

# %% tags=["nbval-check-output"]
alone, _ = padded(["It rains."])
beside, real = padded(["It rains.", " ".join(sentences[:3])])
words = alone.shape[1]                                           # the first tokens of the padded row are the same
for name, mask in (("with the mask", real), ("without", torch.ones_like(real))):
    expected = encoder(alone, torch.ones_like(alone))[0]         # (words, hidden)
    same = torch.allclose(encoder(beside, mask)[0, :words], expected, atol=1e-4)
    wasted = torch.stack([layer.attention["self"].weights[0, :, :words, words:] for layer in encoder.encoder["layer"]])
    print(f"{name:<13} same vectors alone and in a batch: {same}; share of attention on [PAD]: {wasted.sum(-1).mean():.2f}")
    assert same == (mask is real) and (wasted.sum() == 0) == same

# %% [markdown]
# The shapes are right, the numbers change with the batch. To find it, encode a sentence alone and beside a long one.
#
# ## What do the heads look at?
#
# **Question.** Nobody told the heads what to do. What did they learn?
#
# Over 80 bundled sentences: what share of a word's attention goes to the token before it, or after it? **Predict** how near to 100 % any head comes.

# %% alt="Three attention maps over the tokens of one sentence. Left: the head that looks most at the token before, a bright line one below the diagonal. Middle: the head that looks most at the token after, a bright line one above the diagonal. Right: the head that spreads its attention most, no clear line."
from course_lib.plotting import attention_map

def maps(texts):
    ids, mask = padded(texts)
    encoder(ids, mask)                                           # leaves its weights in the layers
    return ids, mask, torch.stack([layer.attention["self"].weights for layer in encoder.encoder["layer"]], 1)

ids, mask, found = maps(sentences)                               # found: (80, layers, heads, tokens, tokens)
asks = (mask == 1) & (ids != tokenizer.cls_token_id) & (ids != tokenizer.sep_token_id)       # (80, tokens): words only
equal, heads = 1 / mask.sum(1).float().mean(), {}
for name, offset, asking in (("before", -1, asks[:, 1:]), ("after", 1, asks[:, :-1])):
    share = (found.diagonal(offset, 3, 4) * asking[:, None, None]).sum((0, 3)) / asking.sum()          # (layers, heads)
    heads[name] = share.argmax().item()
    print(f"on the token {name}: at most {share.max():.0%}, median head {share.median():.0%}, equal attention {equal:.0%}")
    assert share.max() > 2 * equal
heads["anywhere"] = (found.amax(-1) * asks[:, None, None]).sum((0, 3)).argmin().item()       # the least decided head

ids, _, found = maps([sentence])
figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
for ax, (name, i) in zip(axes, heads.items()):
    layer, head = divmod(i, found.shape[2])
    title = f"looks {name}: layer {layer + 1}, head {head + 1}"
    attention_map(found[0, layer, head], tokenizer.convert_ids_to_tokens(ids[0]), title=title, ax=ax)
plt.show()

# %% [markdown]
# Two heads of `bert-mini` look at neighbours: one at the token before, one at the token after. Filling in masked words taught them. What the third is for, the picture does not say. Nor does high attention prove importance (question 3).
#
# ## One word, two contexts
#
# **Question.** When does a word's vector begin to depend on its context?
#
# A bundled file has words such as "bank" in two senses. Take all pairs of sentences with the word at the same place, so that equal vectors enter the first layer, and compare its two vectors after each layer. **Predict**: are pairs of one sense closer?

# %% tags=["row-2.4"] alt="Line chart of the cosine of a word's vectors in two sentences, after each layer, mean and range of the pairs. Both lines start at exactly 1 and fall in the first two layers; pairs of the same sense stay slightly above pairs of different senses, and the ranges overlap widely."
seen, pairs = [], {"same sense": [], "different senses": []}
for _, (word, sense, text) in read_tsv(find("course/senses"), "word", "sense", "sentence"):
    ids, mask = padded([text])
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    if word not in tokens:
        continue                                                 # cut into pieces
    place, x = tokens.index(word), encoder.embed(ids)
    states = [x[0, place]]
    for layer in encoder.encoder["layer"]:
        x = layer(x, mask)                                       # (1, tokens, hidden)
        states.append(x[0, place])
    for other_word, other_sense, other_place, other_states in seen:
        if (word, place) == (other_word, other_place):
            kind = "same sense" if sense == other_sense else "different senses"
            pairs[kind].append(F.cosine_similarity(torch.stack(states), torch.stack(other_states)).tolist())
    seen.append((word, sense, place, states))
ax = None
for kind, cosines in pairs.items():
    ax = curve(range(len(states)), cosines, f"{kind}, {len(cosines)} pairs", ax=ax)
    assert all(abs(c[0] - 1) < 1e-5 and c[-1] < 0.99 for c in cosines)
    print(f"{kind}: mean cosine after the last layer {sum(c[-1] for c in cosines) / len(cosines):.2f}")
ax.set(xlabel="layers passed", ylabel="cosine", xticks=range(len(states)), title="One word in two sentences: equal before the first layer")
plt.show()

# %% [markdown]
# Before the first layer: one word, one vector. From then on: the word in its sentence. One sense stays closer on average; the bands, lowest to highest, overlap widely. Notebook 05 counts how often the sense can be read off.
#
# ## A sentence's way through, in three steps
#
# A tokenizer cuts a text into *sub-words*, words or pieces of words; the encoder makes of each, with position and context, a vector; *pooling* makes one vector of all (here the mean). Some call that a "context vector"; keep this name for what a decoder gets in notebooks 01 and 02.
#
# **Predict**: which word of `sentence` is cut into pieces?

# %% tags=["row-2.3", "nbval-check-output"]
from course_lib.encoder import SentenceEncoder
from course_lib.pooling import pool

ids, mask = padded([sentence])                                   # 1. text -> ids (1, tokens)
vectors = encoder(ids, mask)                                     # 2. ids -> vectors (1, tokens, hidden)
whole = SentenceEncoder.load(model, device="cpu", dtype="float32")
vector = pool(vectors, mask, whole[1].modes[0])                  # 3. vectors -> one vector (1, hidden)

for token, i, numbers in zip(tokenizer.convert_ids_to_tokens(ids[0]), ids[0].tolist(), vectors[0]):
    print(f"{token:<10} {i:>6} ", " ".join(f"{x:5.2f}" for x in numbers[:3]), "...")
print(f"{whole[1].modes[0] + ' of all':<17} ", " ".join(f"{x:5.2f}" for x in vector[0, :3]), "... ", tuple(vector.shape))
assert torch.allclose(F.normalize(vector), F.normalize(torch.from_numpy(whole.encode([sentence]))), atol=1e-5)

# %% [markdown]
# `SentenceEncoder.encode`, in the assert, does the same three steps. What the last is worth, notebooks 05 and 06 measure.
#
# ## Transformer or RNN: what does one task say?
#
# **Question.** The transformer is called superior. Is it, on a task of this course?
#
# BERT is the encoder half. For translation a decoder attends to its result: `course_lib.translation.translators` has such a translator (torch's `nn.Transformer`) beside the RNNs of notebooks 01 and 02, with about as many parameters as the GRU with attention, trained on the same pairs for as many steps, each at its own learning rate. The results are **recorded**, three seeds each (LSTM: one), by `recipes/translation.py` and, on the right, `recipes/transformer_data.py`, which `full = True` runs again.
#
# Transformers are said to need a lot of data. On the right, with short sentences, the number of different pairs grows and the number of steps stays. **Predict** who needs more pairs.

# %% tags=["row-1.13", "row-1.14"] alt="Two line charts of the share of sentences translated exactly, mean and range of three seeds. Left, by length: the transformer is highest at every length, the LSTM with attention is close below, the GRU with attention falls faster, the GRU without attention is near zero from twelve words on. Right, by number of different training pairs: both rise steeply, the transformer is above the GRU with attention at each."
import hashlib
import pandas as pd
from course_lib.data import load_results

translators = pd.concat(map(load_results, ("01", "02", "03")))
by_length = translators[translators.length.str[0].str.isdigit()].query("budget == 'long' and metric == 'exact_match'")  # "03-05" words
by_pairs = load_results("03_data")
parameters = dict(zip(by_pairs.model, by_pairs.parameters))
if full:
    by_pairs = pd.DataFrame(importlib.import_module("recipes.transformer_data").train_all()).astype({"pairs": int, "value": float})
assert {*by_length.data_sha256, *by_pairs.data_sha256} == {hashlib.sha256(find("course/en_es").read_bytes()).hexdigest()}
figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained")
titles = "The transformer is ahead, an LSTM close behind", "As many steps on more different pairs: both gain"
for ax, rows, x, title in zip(axes, (by_length, by_pairs), ("length", "pairs"), titles):
    places, means = sorted(set(rows[x])), {}
    for kind in [kind for kind in ("transformer", "gru-attention", "gru", "lstm-attention") if kind in set(rows.model)]:
        seeds = torch.tensor([rows.value[(rows.model == kind) & (rows[x] == place)].tolist() for place in places]).T
        assert len(seeds) >= 3 or kind == "lstm-attention"
        curve([str(place) for place in places], seeds, kind, ax=ax).set(xlabel=x + ", words" * (x == "length"), ylabel="exact, %", title=title)
        means[kind] = seeds.mean(0)                              # (seeds, places) -> (places,)
        print(f"{x}, {kind:<14}", "  ".join(f"{place}: {mean:.0f} %" for place, mean in zip(places, means[kind])))
    assert (means["transformer"] > means["gru-attention"] + 2).all()
plt.show()
print("parameters:", parameters)

# %% [markdown]
# Here the transformer is ahead of the GRU with attention at every length, and most on long sentences. An LSTM with attention comes close: what an RNN is made of matters too. And this is one small, regular corpus; the paper of 2017 showed it on real translation.
#
# Hungry for data are both: with the fewest pairs they translate few sentences, though they see each more often. But nowhere does the transformer need more than the GRU. Some say the architecture was "not complex enough" for language. That was not BERT's argument: its paper says that earlier language models read left to right only, and that labels are scarce. Hence an encoder that sees both sides, trained once on text without labels: notebook 04.
#
# ### How fast?
#
# In training the whole pair is known; writing makes one word after the other. Both are timed here, on untrained models (the time is the same). **Predict** which suits the transformer.

# %% tags=["row-1.13"] alt="Line chart, logarithmic, of words per second against the length of the sentences, from 8 to 96 words. In training the transformer is ahead of the GRU on all but the shortest sentences, the more so the longer they are. In writing the GRU is far ahead, and the transformer falls steeply with the length."
import itertools
from course_lib.translation.translators import RNNTranslator, TransformerTranslator
from course_lib.translation.vocabulary import Vocabulary

@torch.enable_grad()
def training(net, ids):
    net(ids, ids > 0, ids)[0].logsumexp(-1).mean().backward()
def writing(net, ids):
    state = net.start(ids, ids > 0)
    for previous in ids.T:                                       # one word of each sentence at a time
        state = net.step(previous, state)[1]
names = Vocabulary(f"word{i}" for i in range(300))
nets = {"transformer": TransformerTranslator(names, names, 80, 4, 2, 160), "GRU": RNNTranslator(names, names, 64, 128)}
lengths, best, ax = (8, 16, 32, 64, 96), {}, None
for n in 3 * lengths:                                            # three rounds
    ids = torch.randint(4, 300, (16, n))                         # (16 sentences, n words)
    for key in itertools.product(nets, (training, writing)):
        start = time.process_time()
        key[1](nets[key[0]].eval(), ids)
        best[*key, n] = max(best.get((*key, n), 0), ids.numel() / (time.process_time() - start))
for name, job in itertools.product(nets, (training, writing)):
    ax = curve(lengths, [best[name, job, n] for n in lengths], f"{name}, {job.__name__}", ax=ax)
ax.set(yscale="log", xlabel="words in a sentence", ylabel="words a second", title="Training suits the transformer, writing the GRU")
plt.show()
assert best["transformer", training, 96] > best["GRU", training, 96] and best["GRU", writing, 96] > best["transformer", writing, 96]

# %% [markdown]
# In training all words of a pair are computed at once, and on long sentences the transformer gets through more of them; the GRU goes word by word. Writing is the other way round: the GRU takes one step a word, this transformer computes the whole beginning again for each. Real systems keep the keys and values of what is written; `course_lib` leaves that out.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB) or `"google-bert/bert-base-uncased"`, the BERT of the paper (440 MB). Expect the same agreement with `transformers`. Other architectures (RoBERTa, MPNet) are refused with a message.
#
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** The weights of attention in a padded batch. Only keys are masked; the rows of `[PAD]` are computed like any other.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def attention_weights(query, key, mask):
    """(batch, tokens, size), the same, (batch, tokens) -> (batch, tokens, tokens): row i holds the weights of query i."""
    ...

check("03.1", attention_weights)

# %% [markdown]
# **2.** Each head has made one vector for each token. Join them, head 1 first, so that every token has one vector again.

# %% tags=["exercise", "nbval-check-output"]
def merge_heads(x):
    """(batch, heads, tokens, size) -> (batch, tokens, heads * size)."""
    ...

check("03.2", merge_heads)

# %% [markdown]
# ## Questions
#
# **1.** Why does the order of the words not reach an encoder without positions, although every token attends to every other?
#
# <details><summary>Answer</summary>A query fits a key by what the two vectors hold, and an average does not depend on the order of its terms. Everything else looks at one token at a time.</details>
#
# **2.** A batch has 31 sentences of 10 tokens and one of 200. What share of a padded batch is padding, and what are two ways out?
#
# <details><summary>Answer</summary>32 times 200 are 6,400 places, 510 of them real: 92 % padding. Sort by length before cutting into batches, or pack.</details>
#
# **3.** A head gives 99 % of its attention to the word before. Someone concludes that the model decides by that word. What is missing?
#
# <details><summary>Answer</summary>What is done with it: the value fetched may be small, later layers may ignore it, and the residual passes the head by. Change the word, or switch the head off, and measure.</details>
#
# ## Summary
#
# - Self-attention compares each token's query with all keys and averages the values. Heads do it side by side.
# - Attention does not know the order; positions are added to the input.
# - Norms keep the size, residuals keep the tokens apart, the feed-forward network holds most of a layer's weights.
# - With real weights your encoder equals `transformers`, and the packed model of the course.
# - Padding costs time, and without the mask it costs correctness.
# - Here the transformer beats the GRU with attention at every length; an LSTM with attention comes close. The transformer trains faster on long sentences, and writes more slowly.
#
# ## References
#
# - Vaswani et al. (2017), [Attention is all you need](https://arxiv.org/abs/1706.03762). Bahdanau et al. (2014), [attention in translation](https://arxiv.org/abs/1409.0473).
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805).
# - Dong et al. (2021), [attention without residuals loses rank](https://arxiv.org/abs/2103.03404). Clark et al. (2019), [what BERT's heads look at](https://arxiv.org/abs/1906.04341).
#
# **Next:** [04_bert](04_bert.ipynb) trains this encoder to fill in masked words, and shows what that buys.
