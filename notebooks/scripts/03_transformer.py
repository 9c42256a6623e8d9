# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/03_transformer.ipynb)
#
# # What is left when the RNN is dropped?
#
# In 2017 a paper dropped the recurrent network and kept the attention. Here you build what is left, BERT's encoder, load trained weights into it, and check it number by number.
#
# | | |
# |---|---|
# | You will be able to | compute attention by hand, as matrices and in heads; assemble BERT's encoder and load a checkpoint into it; show what positions, residuals, norms and masks are for; compare a transformer with RNNs |
# | You need first | matrix products, softmax; what attention is for (notebook 02) |
# | Time | 50 minutes to read; the code runs in under a minute |
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
# `model` may be any BERT that still has the head it was pre-trained with. `sentence` is looked at closely. `full` trains again what is otherwise read from a file.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
sentence = "The young otter has soft white fur."
full = False

# %% [markdown]
# ## Every token asks every token
#
# **Question.** Who asks, when there is no RNN?
#
# In notebook 02 the decoder's state asked the encoder's states. In *self-attention* the tokens of one sentence ask each other. Each token has three vectors: a *query*, what it looks for; a *key*, what it can be found by; and a *value*, what it hands over. The dot product says how well a query fits a key. The token's result is the average of all values, weighted by a softmax over these fits:
#
# $$\text{softmax}(QK^T / \sqrt{d})\,V$$
#
# $d$ is the number of components of a query. **Predict** before you run: which key gets most of the third query's attention?

# %% tags=["row-1.13", "nbval-check-output"]
import math

import torch
import torch.nn.functional as F

from course_lib.attention import scaled_dot_product_attention

torch.set_num_threads(1)                                         # enough for matrices as small as these
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
# The third query fits the third key best, and that key gets half of the attention. Loop, matrices, torch and `course_lib.attention` agree. No row needs another's result, so all can be computed at once. A recurrent network has to finish token 4 before it begins token 5.
#
# ### Several heads
#
# One softmax makes one choice. To look at several things at once, a layer has several *heads*. Each computes attention on its own components of queries, keys and values. Their results are laid side by side, and a last linear map mixes them.
#
# The last lines try the division by $\sqrt{d}$ on random vectors. **Predict**: what becomes of the softmax without it when $d$ grows?

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
    scores = torch.randn(500, d) @ torch.randn(d, 20)            # 500 random queries, 20 random keys
    plain, divided = (s.softmax(1).max(1).values.mean() for s in (scores, scores / math.sqrt(d)))
    print(f"d = {d:>4}: largest of 20 weights {plain:.2f}, after the division {divided:.2f}")
assert divided < 0.3 and plain > 0.9

# %% [markdown]
# Dot products of longer vectors are larger, and a softmax of large numbers picks one key and ignores the rest. With the division the weights stay spread, whatever $d$ is.
#
# ## Assemble it
#
# **Question.** How much code is BERT's encoder?
#
# A *tokenizer* cuts a text into *sub-words*, which are words or pieces of words. BERT's puts `[CLS]` before every text and `[SEP]` after it. Where the texts of a batch differ in length, the shorter ones are filled up with `[PAD]`: the batch is *padded*. A mask says 1 for a real token and 0 for `[PAD]`, so that no token looks at one.
#
# Attention moves information between tokens. A layer has three more parts:
#
# - A *feed-forward network* works on each token by itself. It is two linear maps with a curved function between them (GELU: nearly 0 below zero, nearly $x$ above).
# - A *residual connection* around attention, and another around the feed-forward network, adds its input to its output.
# - A *layer norm* after each sum brings a token's vector to mean 0 and standard deviation 1, then applies a learned scale and shift.
#
# All parts have their names in `transformers`, so that its checkpoints fit.

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
# The first layer's input is a sum of three vectors: one for the token, one for its position, and one for its token type. The type tells first from second sentence where a model reads pairs; here it is 0.

# %%
from course_lib.bert import BertConfig, initialize
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
# That is all of it. The feed-forward network (`intermediate` and `output`) has two thirds of a layer's weights.
#
# ## Is it the real thing?
#
# **Question.** Does this code compute what BERT computes?
#
# Load the trained weights by name, give one padded batch to your encoder and to that of `transformers`, and compare. **Predict**: which weights of the file will your encoder have no place for?

# %% tags=["nbval-check-output"]
import transformers

from course_lib.support.architectures import load_bert
from course_lib.support.folders import read_weights

weights = read_weights(resolve(model))                           # name -> tensor
load_bert(encoder, weights, resolve(model))                      # by name; what is missing is an error
left = {name.removeprefix("bert.").split(".")[0] for name in weights} - {"embeddings", "encoder"}
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
print(" ".join(tokenizer.convert_ids_to_tokens(ids[0, mask[0] == 1])))
print(f"{tuple(ours.shape)}: {mask.sum()} real tokens, {(mask == 0).sum()} [PAD]")
assert torch.allclose(ours[mask == 1], theirs[mask == 1], atol=1e-5)

# %% [markdown]
# All numbers of all real tokens agree, up to rounding. Left over is `cls`, the head with which this model was trained: it guesses words that are hidden behind `[MASK]` (notebook 04). In the printed tokens, `##er` continues the piece before it. The published BERT differs in vocabulary, size and training, not in code.
#
# ## Residuals and norms: a fresh network
#
# **Question.** What would go wrong without residual connections, or without layer norms?
#
# Build twelve layers of the width of BERT-base, 768, with random weights as BERT's training starts from (standard deviation 0.02). Send 16 random token vectors through. After each layer measure the size of the vectors (their standard deviation, _before_ the norm sets it to 1) and how alike the tokens are (the mean cosine of two). Three seeds each.
#
# **Predict** which part keeps the size, and which keeps the tokens apart.

# %% alt="Two line charts over twelve layers with three curves each; the bands of three seeds are narrow. Left, the size of the vectors before the norm: with all parts it stays flat a little above 1, without norms it rises from layer to layer, without residuals it stays flat below one half. Right, the mean cosine of two tokens: without residuals it is near 0.9 after the first layer and 1 from then on; with all parts and without norms it starts near 0 and rises slowly."
import matplotlib.pyplot as plt
from course_lib.plotting import PALETTE, curve
cases = ("all parts", True, True), ("without norms", True, False), ("without residuals", False, True)
parts = (lambda x: layer.attention["output"].dense(layer.attention["self"](x, torch.ones(1, 16))),
         lambda x: layer.output.dense(layer.activation(layer.intermediate["dense"](x))))
layer, (size, alike) = Layer(BertConfig()), torch.zeros(2, 3, 3, 12)             # BERT-base's sizes; (seeds, cases, layers)
for s in range(3):
    torch.manual_seed(seed + s)
    states = [torch.randn(1, 16, 768)] * 3                       # (1, tokens, hidden) for each case
    for depth in range(12):
        initialize(layer, 0.02)                                  # new random weights: the next layer
        for case, (_, residual, norm) in enumerate(cases):
            for part in parts:
                y = part(states[case]) + residual * states[case]
                states[case] = F.layer_norm(y, (768,)) if norm else y
            unit = F.normalize(states[case][0], dim=1)           # (16, 768); all cosines add up to the square of its sum
            size[s, case, depth], alike[s, case, depth] = y.std(), (unit.sum(0).square().sum() - 16) / (16 * 15)
assert (size[:, 1].diff() > 0).all() and (size[:, 1, -1] > 2).all() and (size[:, 0] - 1).abs().max() < 0.3
assert (alike[:, 2, 0] > 0.8).all() and (alike[:, 0, 0] < 0.1).all() and (alike[:, 0, -1] < 0.5).all()
_, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for case, (name, *_) in enumerate(cases):
    curve(range(1, 13), size[:, case], name, ax=axes[0]), curve(range(1, 13), alike[:, case], ax=axes[1])
axes[0].set(xlabel="layer", ylabel="size before the norm", ylim=(0, None), title="Without norms the vectors grow with each layer")
axes[1].set(xlabel="layer", ylabel="mean cosine of two tokens", ylim=(-0.03, 1.03), title="Without residuals one layer makes the tokens alike")
plt.show()

# %% [markdown]
# Without norms each layer adds to what is there, and the vectors grow; with them every layer gets an input of size 1. Without residuals a fresh attention layer hands every token nearly the same average, and the tokens become alike at once. With residuals they do so slowly. What training could repair, this does not say.
#
# ## Attention and feed-forward: a trained network
#
# **Question.** What does a trained model lose without one of its two main parts?
#
# Hide one word at a time in 80 bundled sentences and let the encoder and the left-over head guess it. Then switch a part off in all layers: with weights of zero it adds nothing to the residual. The yardstick is to guess the most frequent word always.
#
# **Predict** what a hidden word's vector can know when all attention is off.

# %%
import copy
from course_lib.models.masked_lm import BertForMaskedLM
from course_lib.support.tables import find, read_tsv

head = BertForMaskedLM.load(model)                               # what was left over: hidden vectors -> scores of all words
sentences = [text for _, (topic, text) in read_tsv(find("course/sentences"), "topic", "sentence")]
ids, mask = padded(sentences)                                    # (80, tokens)
is_word = torch.tensor([token.isalpha() for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))])
row, place = is_word[ids].nonzero()[::2].T                       # every second word
truth, hidden = ids[row, place], ids[row]                        # (words,), (words, tokens): one copy for each word
hidden[torch.arange(len(row)), place] = tokenizer.mask_token_id
def guesses(*off):                                               # the guessed word for each hidden one: (words,)
    net = copy.deepcopy(encoder)
    for layer in net.encoder["layer"]:
        for name, part in (("attention", layer.attention["output"]), ("feed-forward", layer.output)):
            if name in off:
                part.dense.weight.zero_(), part.dense.bias.zero_()
    return head.logits(net(hidden, mask[row])[torch.arange(len(row)), place]).argmax(1)
found = {"all parts": guesses(), "without feed-forward": guesses("feed-forward"), "without attention": guesses("attention")}
found["most frequent word"] = truth.mode().values.expand_as(truth)
right = {name: (guess == truth).float().mean().item() for name, guess in found.items()}
print(f"{len(truth)} hidden words, guessed right:", ", ".join(f"{name} {share:.0%}" for name, share in right.items()))
assert all(found["without attention"][place == p].unique().numel() == 1 for p in place)     # one guess for each place
assert right["without attention"] <= right["most frequent word"] < right["all parts"] - 0.03
assert right["without feed-forward"] < right["all parts"] - 0.02

# %% [markdown]
# Without attention a hidden word's vector knows its place and nothing else: the guess is the same in every sentence, and no better than the most frequent word. Without the feed-forward networks fewer words are guessed right. This shows what this model relies on; one trained without a part might find another way.
#
# ## Where is the word order?
#
# **Question.** Nothing in attention says which token comes first. How does the model know?
#
# Reverse the words of `sentence`, once with all position vectors made equal, once with the model as it is. **Predict** for both: do the tokens' vectors only change places? Does their mean change?

# %% tags=["row-2.4", "nbval-check-output"]
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
# Without positions the encoder reads a bag of words, however many layers it has. The order reaches it through one added vector for each position. BERT learns these vectors; the paper of 2017 used a fixed pattern of sines.
#
# ## Now from course_lib
#
# `course_lib.bert` is the same model without `[PAD]`. A batch is *packed*: the tokens of all texts lie one after the other in one matrix. Only attention has to know where a text ends. Its code is printed below; `batch_runs` says how many neighbouring texts have which length, and `fast_attention` computes what you wrote, without a mask.
#
# What does that save? Texts of mixed lengths go through in random order, in batches of 32, in three ways: your encoder on padded batches; the packed code on the same batches, `[PAD]` taken for text; and the packed code on real tokens only. **Predict** the share of `[PAD]`.

# %%
import inspect
import random
import time

from course_lib import bert

print(inspect.getsource(bert.BertSelfAttention.forward))
packed = bert.BertModel(config).eval()
load_bert(packed, weights, resolve(model))
mixed = [" ".join(sentences[i : i + count]) for i in range(0, 80, 5) for count in (1, 1, 1, 1, 2, 4)]     # 96 texts
random.Random(seed).shuffle(mixed)
batches = [padded(mixed[i : i + 32]) for i in range(0, len(mixed), 32)]                  # ids and mask of each: (32, longest)
real, places = sum(mask.sum().item() for _, mask in batches), sum(mask.numel() for _, mask in batches)
ways = {"your code, padded": (encoder, places),
        "packed code, fed the [PAD] too": (lambda ids, mask: packed(ids.flatten(), [ids.shape[1]] * len(ids)), places),
        "packed code, real tokens only": (lambda ids, mask: packed(ids[mask == 1], mask.sum(1).tolist()), real)}
for name, (run, computed) in ways.items():
    rounds = []
    for _ in range(3):
        start = time.process_time()                              # of the processor, not of the clock on the wall
        results = [run(ids, mask) for ids, mask in batches]
        rounds.append(time.process_time() - start)
    print(f"{name:<31} {computed:,} tokens computed, {min(rounds):.2f} s")
assert all(torch.allclose(result, encoder(*batch)[batch[1] == 1], atol=1e-4) for result, batch in zip(results, batches))
assert real < 0.5 * places

# %% [markdown]
# The packed model gives the same vectors as yours. More than half of the padded places hold no text; they are computed like any other, then thrown away. The times keep two causes apart: between the first and the second only the code differs, between the second and the third only the padding. (Sorting texts by length before cutting them into batches avoids much of it.)
#
# ## Trap: no mask
#
# Forget the mask, as in `model(input_ids)`, and nothing fails: `transformers` then takes every token for a real one.
#
# **Predict**: a short sentence stands beside a long text. How much of its attention goes to `[PAD]`?

# %% tags=["nbval-check-output"]
alone, _ = padded(["It rains."])
beside, real = padded(["It rains.", " ".join(sentences[:3])])
words = alone.shape[1]                                           # the first tokens of the padded row are the same
even = 1 - words / beside.shape[1]                               # if all tokens were looked at alike
for name, mask in (("with the mask", real), ("without", torch.ones_like(real))):
    expected = encoder(alone, torch.ones_like(alone))[0]         # (words, hidden)
    same = torch.allclose(encoder(beside, mask)[0, :words], expected, atol=1e-4)
    wasted = torch.stack([layer.attention["self"].weights[0, :, :words, words:].sum(-1) for layer in encoder.encoder["layer"]])
    print(f"{name:<13} same vectors alone and in a batch: {same}; attention on [PAD]: {wasted.mean():.2f}, if spread evenly {even:.2f}")
    assert same == (mask is real) and (wasted.sum() == 0) == same
assert 0.1 < wasted.mean() < even

# %% [markdown]
# The model gives `[PAD]` less attention than an even spread would, but far from none, so a sentence's vectors change with its neighbour in the batch. No error is raised. To find this mistake, encode a sentence alone and beside a long one, and compare.
#
# ## What do the heads look at?
#
# **Question.** Nobody told the heads what to do. What did they learn?
#
# Over the 80 sentences: what share of a token's attention goes to the token before it, and to the token after it? Two yardsticks: equal attention to all tokens, and the heads of three encoders with random weights. **Predict** how near to 1 any head comes.

# %% alt="Three panels. Left, a scatter of heads by their attention to the token before and to the token after: most trained heads lie at the lower left near the dotted lines of equal attention, one or two lie near 1 on the horizontal axis and one or two near 1 on the vertical axis; all heads with random weights lie where the dotted lines cross. Middle and right, attention maps of those two heads over one sentence: a bright line just below the diagonal, and one just above it."
def maps(net, texts):                                            # (texts, layers, heads, tokens, tokens)
    ids, mask = padded(texts)
    net(ids, mask)                                               # leaves its weights in the layers
    return ids, mask, torch.stack([layer.attention["self"].weights for layer in net.encoder["layer"]], 1)
def neighbours(net):                                             # attention to the token before, after: (2, layers, heads)
    ids, mask, found = maps(net, sentences)
    asks = (mask == 1) & (ids != tokenizer.cls_token_id) & (ids != tokenizer.sep_token_id)                   # (80, tokens)
    sides = (found.diagonal(-1, 3, 4), asks[:, 1:]), (found.diagonal(1, 3, 4), asks[:, :-1])
    return torch.stack([(share * a[:, None, None]).sum((0, 3)) / a.sum() for share, a in sides])
trained = neighbours(encoder)
untrained = torch.stack([neighbours(Encoder(config)) for _ in range(3)], 1)  # (2, seeds, layers, heads)
ids, _, found = maps(encoder, [sentence])
equal, tokens = 1 / padded(sentences)[1].sum(1).float().mean(), tokenizer.convert_ids_to_tokens(ids[0])
figure, axes = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")
for values, marker, colour, name in ((trained, "o", PALETTE[0], "trained heads"), (untrained, "x", PALETTE[3], "random weights, 3 seeds")):
    axes[0].scatter(*values.flatten(1), marker=marker, color=colour, label=name)
axes[0].axvline(equal, color="grey", linestyle=":"), axes[0].axhline(equal, color="grey", linestyle=":", label="equal attention")
axes[0].set(xlabel="attention to the token before", ylabel="attention to the token after", title="A few trained heads look at neighbours"), axes[0].legend()
for ax, name, share in zip(axes[1:], ("before", "after"), trained):
    layer, number = divmod(share.argmax().item(), found.shape[2])
    image = ax.imshow(found[0, layer, number], cmap="cividis", vmin=0, vmax=1)
    ax.set(yticks=range(len(tokens)), yticklabels=tokens, title=f"the token {name}: layer {layer + 1}, head {number + 1}")
    ax.set_xticks(range(len(tokens)), tokens, rotation=90)
figure.colorbar(image, ax=axes[1:], label="attention weight"), plt.show()
assert (trained.amax((1, 2)) > 0.5).all() and untrained.max() < 0.2 and equal < 0.1

# %% [markdown]
# Each row of a map shows where one token looks. One head follows the token before, just below the diagonal; another the token after. No head with random weights comes near, so training did it, and training asked for nothing but hidden words. What the other heads do, this does not say. Nor does high attention prove importance (question 3).
#
# ## A sentence's way through, in three steps
#
# The tokenizer makes ids of a text. The encoder makes of each id a vector. *Pooling* makes one vector of all of them, here their mean. Follow `sentence`, then one word at the same place of two sentences. **Predict** after how many layers its two vectors differ.

# %% tags=["row-2.3", "row-2.4", "nbval-check-output"]
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

ids, mask = padded(["The bank of the river was steep.", "The bank lent the company money."])
for name, net in (("this model", encoder), ("random weights", Encoder(config))):
    states = [net.embed(ids)]                                    # (2, tokens, hidden), before the first layer and after each
    for layer in net.encoder["layer"]:
        states.append(layer(states[-1], mask))
    cosines = [F.cosine_similarity(*x[:, 2], dim=0).item() for x in states]  # of "bank", after [CLS] and "the"
    print(f'"bank" in two sentences, {name}, before the first layer and after each:', " ".join(f"{c:.2f}" for c in cosines))
    assert abs(cosines[0] - 1) < 1e-5 and (max(cosines[1:]) < 0.98) == (net is encoder)

# %% [markdown]
# `SentenceEncoder.encode`, in the first assert, does the same three steps. Before the first layer a word at one place has one vector, from then on one for this sentence. Random weights hardly move it. Whether the difference is one of sense is counted in notebook 05.
#
# ## The other half: a decoder
#
# BERT is an encoder. A translator also needs a decoder, and its layers differ in two points. In training it must not see the words that it has yet to write, so a *causal mask* hides all tokens after the one that asks. And between self-attention and feed-forward there is *cross-attention*: queries from the decoder, keys and values from the encoder's result, as in notebook 02.
#
# **Predict** the first row of the masked weights.

# %% tags=["row-1.13", "nbval-check-output"]
torch.manual_seed(seed)
target, source = torch.randn(5, 8), torch.randn(7, 8)            # (5 tokens to write, 8), (7 tokens read, 8)
scores = target @ target.T / math.sqrt(8)                        # (5, 5)
future = torch.ones(5, 5).triu(diagonal=1) == 1                  # True above the diagonal
weights = scores.masked_fill(future, -math.inf).softmax(dim=1)
print(weights.numpy().round(2))
at_once = weights @ target                                       # (5, 8), all five rows in one product
for n in range(1, 6):                                            # the same row by row, from what is written so far
    step = F.scaled_dot_product_attention(target[n - 1 : n], target[:n], target[:n])         # (1, 8)
    assert torch.allclose(step[0], at_once[n - 1], atol=1e-6)
assert torch.allclose(at_once, scaled_dot_product_attention(target, target, target, ~future)[0], atol=1e-6)
read, look = scaled_dot_product_attention(at_once, source, source)           # cross-attention
print("cross-attention: weights", tuple(look.shape), "result", tuple(read.shape))

# %% [markdown]
# Each row sums to 1, and nothing comes from above the diagonal. So a row is the same whether later words are there or not, and in training all words are computed at once.
#
# ## Transformer or RNN: what does one task say?
#
# **Question.** Does the transformer translate better than an RNN?
#
# `course_lib.translation.translators` has a translator made of torch's `nn.Transformer` beside the RNNs of notebooks 01 and 02. All were trained on the same pairs for as many steps; the transformer has its own learning rate. A translation counts if every word is right. The results are **recorded** by `recipes/translation.py` and, on the right, by `recipes/transformer_data.py`, which `full = True` runs again.
#
# On the right the number of _different_ pairs grows while the number of steps stays, with sentences of at most ten words. **Predict** who needs more pairs.

# %% tags=["row-1.13", "row-1.14"] alt="Two line charts of the share of sentences translated exactly, mean and range of the seeds. Left, by length: the transformer and the LSTM with attention are highest and close together, and meet at the longest sentences; the GRU with attention falls faster, the GRU without attention is near zero from ten words on. Right, by number of different training pairs, on a logarithmic axis: both the transformer and the GRU with attention rise steeply, the transformer is above at each number."
import pandas as pd
from course_lib.data import load_results
translators = pd.concat(map(load_results, ("01", "02", "03"))).query("budget == 'long'")
by_length = translators[translators.length.str[0].str.isdigit() & (translators.metric == "exact_match")]
by_length = by_length.assign(words=by_length.length.str[:2].astype(int) + 1)             # "03-05" words: 4 in the middle
by_pairs = load_results("03_data")
if full:
    by_pairs = pd.DataFrame(importlib.import_module("recipes.transformer_data").train_all()).astype({"pairs": int, "value": float})
names = {"transformer": "transformer", "gru-attention": "GRU with attention", "lstm-attention": "LSTM with attention", "gru": "GRU without attention"}
_, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, rows, x in zip(axes, (by_length, by_pairs), ("words", "pairs")):
    found, at = {}, sorted(set(rows[x]))
    for kind in (kind for kind in names if kind in set(rows.model)):
        table = rows[rows.model == kind].pivot_table(index="seed", columns=x, values="value")                # (seeds, places)
        found[kind] = table.mean()
        curve(at, table.to_numpy(), f"{names[kind]}, {len(table)} seeds", ax=ax)
        print(f"{x}, {names[kind]:<21}", "  ".join(f"{place}: {value:.0f} %" for place, value in found[kind].items()))
    ax.set_xscale("linear" if x == "words" else "log"), ax.set_xticks(at, at), ax.minorticks_off()
    assert (found["transformer"] > found["gru-attention"] + 5).all()
    assert x == "pairs" or ((found["lstm-attention"] > found["gru-attention"]) & (found["lstm-attention"] > found["transformer"] - 8)).all()
axes[0].set(xlabel="words of the English sentence", ylabel="translated exactly, %", ylim=(0, 102), title="An LSTM with attention comes close")
axes[1].set(xlabel="different training pairs (LSTM not measured)", title="More different pairs help both")
axes[0].legend(loc=(0.4, 0.06), fontsize=8)
plt.show()
print("parameters:", {names[kind]: int(count) for kind, count in translators[translators.metric == "parameters"].groupby("model").value.first().items() if kind in names})

# %% [markdown]
# The transformer is ahead of the GRU with attention at every length and at every number of pairs. The LSTM with attention, which has more parameters than either, comes close to the transformer. So it matters which RNN the transformer is compared with. This corpus is small and regular.
#
# With few pairs both translate few sentences, and the transformer does not need more pairs than the GRU. BERT's paper gives another reason for its encoder: earlier language models read from left to right only, and an encoder sees both sides of a word.
#
# ### What can be computed at once?
#
# In training the whole pair is known; writing makes one word after the other. Count, on untrained models, how often each decoder is called for a batch of sentences of 96 words, and on how many positions of a sentence. **Predict** the four pairs of numbers.

# %% tags=["row-1.13"]
from course_lib.translation.translators import RNNTranslator, TransformerTranslator
from course_lib.translation.vocabulary import Vocabulary

@torch.enable_grad()
def training(net, ids):
    net(ids, ids > 0, ids)[0].logsumexp(-1).mean().backward()
def writing(net, ids):
    state = net.start(ids, ids > 0)
    for previous in ids.T:                                       # one word of each sentence at a time
        state = net.step(previous, state)[1]

vocabulary, ids, calls = Vocabulary(f"word{i}" for i in range(300)), torch.randint(4, 300, (16, 96)), {}
transformer, gru = TransformerTranslator(vocabulary, vocabulary, 80, 4, 2, 160).eval(), RNNTranslator(vocabulary, vocabulary, 64, 128).eval()
for name, net, decoder in (("transformer", transformer, transformer.transformer.decoder), ("GRU", gru, gru.decoder)):
    for job in (training, writing):
        sizes = calls[name, job.__name__] = []                   # positions of a sentence in each call of the decoder
        hook = decoder.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[:-1].numel() // 16))
        start = time.process_time()
        job(net, ids)
        speed = ids.numel() / (time.process_time() - start)
        hook.remove()
        print(f"{name:<11} {job.__name__}: {len(sizes):>2} calls, {sum(sizes):>5,} positions; here {speed:,.0f} words a second")
assert calls["transformer", "training"] == [96] and calls["transformer", "writing"] == list(range(1, 97))
assert calls["GRU", "training"] == calls["GRU", "writing"] == [1] * 96

# %% [markdown]
# The GRU's decoder works word by word in both jobs. The transformer's takes all 96 words in one call when they are known. When it writes, this one computes the whole beginning again for each word. (Real systems keep the keys and values of what is written.) The words a second are those of the processor that ran this. That training needs one call for a whole sentence is why the RNN was dropped.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"`, the BERT of the paper (a download of 440 MB). Expect the same agreement. Other architectures (RoBERTa, MPNet) are refused with a message.
#
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** A decoder goes on writing several texts, padded on the left. Compute its self-attention's weights: each real token looks at the real tokens up to and including itself. The rows of `[PAD]`, which have nothing to look at, are to be 0.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def decoder_weights(query, key, mask):
    """(batch, tokens, size), the same, (batch, tokens) -> (batch, tokens, tokens): row i holds the weights of query i."""
    ...

check("03.1", decoder_weights)

# %% [markdown]
# **2.** What does each head contribute? The output map is linear, so a layer's output is a sum over its heads. Split it: `x` holds what each head has made of each token, `weight` is the matrix of the output map as `nn.Linear` stores it. The parts have to add up to what the layer computes from the joined heads.

# %% tags=["exercise", "nbval-check-output"]
def head_parts(x, weight):
    """(batch, heads, tokens, size), (hidden, heads * size) -> (batch, heads, tokens, hidden)."""
    ...

check("03.2", head_parts)

# %% [markdown]
# ## Questions
#
# **1.** Why does the order of the words not reach an encoder without positions, although every token attends to every other?
#
# <details><summary>Answer</summary>A query fits a key by what the two vectors hold, and an average does not depend on the order of its terms. Everything else looks at one token at a time.</details>
#
# **2.** A batch has 31 sentences of 10 tokens and one of 200. What share of a padded batch is padding, and what are two ways out?
#
# <details><summary>Answer</summary>32 times 200 are 6,400 places, 510 of them real: 92 % padding. Sort the texts by length before cutting them into batches, or pack.</details>
#
# **3.** A head gives 99 % of its attention to the word before. Someone concludes that the model decides by that word. What is missing?
#
# <details><summary>Answer</summary>What is done with it: the value fetched may be small, later layers may ignore it, and the residual passes the head by. Change the word, or switch the head off, and measure.</details>
#
# ## Summary
#
# - Self-attention compares each token's query with all keys and averages the values. Heads do it side by side.
# - Attention does not know the order; positions are added to the input.
# - In a fresh network norms keep the size of the vectors, and residuals keep the tokens apart for longer.
# - With trained weights your encoder equals `transformers`, and the packed model of the course.
# - Attention brings in the sentence; the feed-forward network, most of a layer's weights, works on each token alone.
# - Padding costs work, and without the mask it costs correctness.
# - A decoder adds cross-attention and a causal mask, with which training computes all words at once.
# - On this course's translations the transformer beats the GRU with attention; an LSTM with attention comes close.
#
# ## References
#
# - Vaswani et al. (2017), [Attention is all you need](https://arxiv.org/abs/1706.03762). Bahdanau et al. (2014), [attention in translation](https://arxiv.org/abs/1409.0473).
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805).
# - Dong et al. (2021), [attention without residuals loses rank](https://arxiv.org/abs/2103.03404). Clark et al. (2019), [what BERT's heads look at](https://arxiv.org/abs/1906.04341).
#
# **Next:** [04_bert](04_bert.ipynb) trains this encoder to fill in masked words, and shows what that buys.
