# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/03_transformer.ipynb)
#
# # What is left when the RNN is dropped?
#
# In 2017 a paper dropped the recurrent network (RNN) from the translator and kept the attention. In the encoder, the half that reads, every token looks at every other; alone, it is BERT. You build it, check it and switch parts of it off. In the decoder, the half that writes, no token may look ahead. At the end both halves meet RNNs on one task.
#
# | | |
# |---|---|
# | You will be able to | compute attention by hand and in heads; assemble BERT's encoder and load trained weights; show what a trained model loses without attention, feed-forward or the padding mask |
# | You need first | matrix products, softmax; what attention is for (notebook 02) |
# | Time | 60 minutes to read; the code runs in under a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the models come with the course |

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
# `model` may be any BERT that can still guess hidden words. `sentence` is looked at closely. `full` trains again what is otherwise read from a file, but for the BLEU on real sentences.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
sentence = "The young otter has soft white fur."
full = False

# %% [markdown]
# ## Every token asks every token
#
# **Question.** How do tokens learn of each other when there is no RNN?
#
# In *self-attention* the tokens of one sentence ask each other. Each token has one vector. Three learned matrices make three vectors of it: a *query*, what it looks for; a *key*, what it can be found by; and a *value*, what it hands over. All tokens share the same three matrices.
#
# The dot product says how well a query fits a key. The token's result is the average of all values, weighted by a softmax over these fits:
#
# $$\text{softmax}(QK^T / \sqrt{d})\,V$$
#
# The rows of $Q$, $K$ and $V$ are the tokens' queries, keys and values; $d$ is the number of components of a query. Below, the matrix for the queries swaps the two components and doubles them. **Predict**: which tokens does the first token look at most?

# %% tags=["row-1.13", "nbval-check-output"]
import math

import torch
import torch.nn.functional as F

from course_lib.attention import scaled_dot_product_attention

torch.set_num_threads(1)                                         # enough for matrices as small as these
x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])           # (3 tokens, 2)
query = x @ torch.tensor([[0.0, 2.0], [2.0, 0.0]])               # (3, 2); training would find these matrices
key = x @ torch.tensor([[1.0, 0.0], [0.0, 1.0]])                 # (3, 2)
value = x @ torch.tensor([[1.0, 0.0], [0.0, 4.0]])               # (3, 2)

looped = torch.zeros(3, 2)
for i in range(3):
    exponentials = [math.exp(query[i] @ key[j] / math.sqrt(2)) for j in range(3)]
    for j in range(3):
        looped[i] += exponentials[j] / sum(exponentials) * value[j]

weights = (query @ key.T / math.sqrt(2)).softmax(dim=1)          # (3 queries, 3 keys), each row sums to 1
output = weights @ value                                         # (3, 2)
print(weights, output, sep="\n")
assert torch.allclose(output, looped, atol=1e-6)
assert torch.allclose(output, F.scaled_dot_product_attention(query, key, value), atol=1e-6)
assert torch.allclose(output, scaled_dot_product_attention(query, key, value)[0], atol=1e-6)

# %% [markdown]
# The first token looks least at itself: its query fits the keys of the other two. The loop, the matrices, torch and `course_lib.attention` give the same result.
#
# No row needs another's result, so all can be computed at once. An RNN goes token by token.
#
# ### Why divide by √d?
#
# A dot product is a sum of $d$ products. The next cell draws random queries and keys. It prints the spread (standard deviation) of their dot products and the mean of the largest of a query's 20 weights. A query counts as stuck when its largest weight is above 0.99. Training goes by small changes of the scores, and these then hardly change the weights.
#
# **Predict**: how does the spread grow with $d$, and how many of the queries are stuck?

# %% tags=["row-1.13", "nbval-check-output"]
torch.manual_seed(seed)
for d in (4, 64, 1024):
    scores = torch.randn(500, d) @ torch.randn(d, 20)            # 500 random queries, 20 random keys
    spread = scores.std().item()
    print(f"d = {d}: spread of the scores {spread:.1f}")
    stuck = {}
    for name, divided in (("undivided", scores), ("divided", scores / math.sqrt(d))):
        largest = divided.softmax(dim=1).max(dim=1).values       # (500,)
        stuck[name] = (largest > 0.99).float().mean().item()
        print(f"   {name:<9} largest weight {largest.mean():.2f}, stuck {stuck[name]:.0%}")
    assert abs(spread / math.sqrt(d) - 1) < 0.25 and stuck["divided"] == 0
assert stuck["undivided"] > 0.5                                  # at d = 1024

# %% [markdown]
# The spread is about $\sqrt d$, so the division brings it to about 1. At $d = 1024$ most of these random queries are stuck without the division, and none with it.
#
# ### Several heads
#
# A layer has several *heads*. Each computes its own attention, from its own share of the components of queries, keys and values. Their results are laid side by side; one more linear map, the output map, will mix them.
#
# In a batch, shorter texts are filled up with `[PAD]`: they are *padded*. A mask says 1 for a real token and 0 for `[PAD]`. The score of a `[PAD]` becomes minus infinity, whose exponential is 0, so no token looks at it.

# %%
from torch import nn

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x, mask):                                  # (batch, tokens, hidden), (batch, tokens)
        queries = self.query(x).chunk(self.heads, dim=2)         # a share for each head: (batch, tokens, size)
        keys = self.key(x).chunk(self.heads, dim=2)
        values = self.value(x).chunk(self.heads, dim=2)
        weights, results = [], []
        for q, k, v in zip(queries, keys, values):
            scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[2])           # (batch, tokens, tokens)
            scores = scores.masked_fill(mask[:, None] == 0, -math.inf)       # no one looks at [PAD]
            weights.append(scores.softmax(dim=2))
            results.append(weights[-1] @ v)                      # (batch, tokens, size)
        self.weights = torch.stack(weights, dim=1)               # (batch, heads, tokens, tokens), to be looked at
        return torch.cat(results, dim=2)                         # (batch, tokens, hidden)

# %% [markdown]
# ## Assemble it
#
# **Question.** What is in BERT's encoder besides attention?
#
# Attention moves information between tokens. A layer has three more parts:
#
# - A *feed-forward network* works on each token by itself: two linear maps with a curved function, GELU, between them.
# - A *residual connection* around attention, and another around the feed-forward network, adds its input to its output.
# - A *layer norm* after each sum brings a token's vector to mean 0 and standard deviation 1, then applies a learned scale and shift. (In training BERT also uses dropout, left out here.)
#
# **Predict** where most of a layer's parameters are.

# %% alt="A drawing of one layer, from top to bottom: one vector a token goes into three boxes, query map, key map and value map; from there into attention in 4 heads, where each token reads all tokens; then an output map; then a box that adds what went in and applies the layer norm. Below, the feed-forward network, each token by itself, and again add and layer norm. Two brown lines, the residuals, lead around attention and around the feed-forward network. The boxes hold the sizes and numbers of parameters."
import matplotlib.pyplot as plt

from course_lib.bert import ACTIVATIONS, BertConfig, BertLayer
from course_lib.layer_diagram import encoder_layer
from course_lib.support.folders import read_json, resolve

config = BertConfig.from_dict(read_json(resolve(model) / "config.json"))     # the sizes of the model
encoder_layer(BertLayer(config), title="One layer of the encoder, with the number of parameters of each map")
plt.show()

# %% [markdown]
# Only in the orange box do tokens see each other. The feed-forward network has about twice the parameters of the four maps around attention. The code below takes its names from `transformers`, so that trained weights can be copied in by name.

# %%
class AddAndNorm(nn.Module):
    def __init__(self, config, inputs):
        super().__init__()
        self.dense = nn.Linear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x, residual):
        return self.LayerNorm(self.dense(x) + residual)

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
# The first layer's input is a sum of three vectors, with a layer norm: one for the token, one for its position, and one for its *token type*. The type tells first from second sentence where a model reads pairs; here it is 0.

# %%
class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(config.vocab_size, config.hidden_size),
            "position_embeddings": nn.Embedding(config.max_position_embeddings, config.hidden_size),
            "token_type_embeddings": nn.Embedding(config.type_vocab_size, config.hidden_size),
            "LayerNorm": nn.LayerNorm(config.hidden_size, config.layer_norm_eps)})
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

encoder = Encoder(config).eval()
counts = {name: sum(p.numel() for p in part.parameters()) for name, part in encoder.named_children()}
print(f"{sum(counts.values()):,} parameters: embeddings {counts['embeddings']:,}, "
      f"{len(encoder.encoder['layer'])} layers {counts['encoder']:,}")

# %% [markdown]
# The encoder is complete, but its weights are random.
#
# ## Is it the real thing?
#
# **Question.** Does this code compute what BERT computes?
#
# The file of trained weights maps names to tensors. **Predict** from the classes above how many tensors each layer takes.

# %% tags=["nbval-check-output"]
from course_lib.support.architectures import of_checkpoint
from course_lib.support.folders import read_weights

torch.set_grad_enabled(False)                                    # nothing is trained from here on
own = encoder.state_dict()                                       # name -> tensor, still random
trained = of_checkpoint(read_weights(resolve(model)), own)       # name -> tensor; names without "bert." before them
encoder.load_state_dict({name: trained[name] for name in own})
of_one = [name for name in own if name.startswith("encoder.layer.0.")]
print(f"{len(own)} tensors loaded, {len(of_one)} for each layer, such as {of_one[0]}")
print("left over in the file:", {name.split(".")[0] for name in trained if name not in own})

# %% [markdown]
# `cls` is left over. This model was trained to guess words that are hidden behind `[MASK]` (notebook 04), and `cls` turns a token's vector into a score for each possible guess.
#
# A *tokenizer* cuts a text into *sub-words*: words or pieces of words (`##` marks a piece that goes on a word). BERT's puts `[CLS]` before every text and `[SEP]` after it. Give one padded batch to your encoder and to `transformers`.

# %% tags=["nbval-check-output"]
import transformers
from course_lib.support.tables import find, read_tsv

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
tokenizer = transformers.AutoTokenizer.from_pretrained(resolve(model))
reference = transformers.BertModel.from_pretrained(resolve(model), dtype=torch.float32, add_pooling_layer=False).eval()

def padded(texts):                                               # ids and mask, (texts, tokens) each
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"]

sentences = [text for _, (topic, text) in read_tsv(find("course/sentences"), "topic", "sentence")]
ids, mask = padded([sentence, *sentences])
print(" ".join(tokenizer.convert_ids_to_tokens(ids[0, mask[0] == 1])))
print(f"{len(ids)} texts: {mask.sum():,} real tokens, {(mask == 0).sum():,} [PAD]")
ours, theirs = encoder(ids, mask), reference(ids, attention_mask=mask).last_hidden_state     # (81, tokens, hidden)
assert torch.allclose(ours[mask == 1], theirs[mask == 1], atol=1e-4)

# %% [markdown]
# All numbers of all real tokens agree, up to rounding.
#
# ## Where is the word order?
#
# **Question.** Nothing in attention says which token comes first. How does the model know?
#
# Reverse the tokens of `sentence` between `[CLS]` and `[SEP]`. Do it in three encoders: one with all position vectors made equal, the model as it is, and one with random weights. **Predict** for each: does each token keep its vector at its new place?

# %% tags=["row-2.4", "nbval-check-output"]
import copy

without = copy.deepcopy(encoder)
table = without.embeddings["position_embeddings"].weight         # (positions, hidden)
table.copy_(table.mean(dim=0).expand_as(table))

def mean_vectors(net, texts):                                    # of each text's real tokens: (texts, hidden)
    ids, mask = padded(texts)
    return (net(ids, mask) * mask.unsqueeze(2)).sum(dim=1) / mask.sum(dim=1, keepdim=True)

torch.manual_seed(seed)
ids, mask = padded([sentence])                                   # (1, tokens)
n, pair = ids.shape[1], torch.triu_indices(len(sentences), len(sentences), offset=1)     # (2, pairs): each pair once
turned = [0, *range(n - 2, 0, -1), n - 1]                        # [CLS] and [SEP] stay where they are
print(" ".join(tokenizer.convert_ids_to_tokens(ids[0, turned])))
for name, net in (("without positions", without), ("with positions", encoder), ("random weights", Encoder(config))):
    before, after = net(ids, mask)[0], net(ids[:, turned], mask)[0]          # (tokens, hidden) each
    keeps = torch.allclose(after, before[turned], atol=1e-4)
    means = F.cosine_similarity(after.mean(dim=0), before.mean(dim=0), dim=0).item()
    print(f"{name:<17} each token keeps its vector: {keeps}, cosine of the sentence's two means: {means:.2f}")
    all_means = F.normalize(mean_vectors(net, sentences), dim=1)             # (80, hidden)
    others = (all_means @ all_means.T)[pair[0], pair[1]]         # (3160,)
    print(
        f"{'':<17} of two different sentences: "
        f"{others.mean():.2f} on average, {others.min():.2f} to {others.max():.2f}"
    )
    assert keeps == (means > 0.9999) == (net is without) and (others < means).float().mean() > 0.99

# %% [markdown]
# Without positions the encoder reads a bag of words. A score depends on two vectors, not on where they stand. An average ignores the order of its terms. Everything else looks at one token alone. The order comes in only with the position vectors, which BERT learns.
#
# In the model as it is, the order changes the tokens' vectors. The mean of this sentence's vectors moves as well, but less far than two different sentences are apart on average. With random weights all these cosines are high; the two means' 1.00 is rounded.
#
# ## What does each part do for a trained model?
#
# **Question.** What does a trained model lose when one part is switched off?
#
# In 80 bundled sentences, hide one word at a time, if it is a single token. Let the encoder and `cls` guess it among all sub-words of letters that begin a word.

# %% tags=["nbval-check-output"]
from course_lib.models.masked_lm import BertForMaskedLM

guesser = BertForMaskedLM.load(model)                            # `cls`: a token's vector -> a score for each sub-word
number = tokenizer.get_vocab()                                   # sub-word -> its id
is_word = torch.zeros(len(number), dtype=torch.bool)
is_word[[i for piece, i in number.items() if piece.isalpha()]] = True        # not "##er", not "."

questions, answers = [], []
for text in sentences:
    words = text.lower().replace(".", " .").split()
    for place, word in enumerate(words):
        if word.isalpha() and word in number:
            questions.append(" ".join([*words[:place], "[MASK]", *words[place + 1:]]))
            answers.append(word)
asked, asked_mask = padded(questions)                            # (words, tokens): a text for each hidden word
which, places = (asked == tokenizer.mask_token_id).nonzero(as_tuple=True)    # one [MASK] in each row
truth = torch.tensor([number[word] for word in answers])         # (words,)
print(f"{len(questions)} hidden words, such as {answers[1]!r} in {questions[1]!r}")
frequent = max(answers, key=answers.count)
print(f"the most frequent of them: {frequent!r}, {answers.count(frequent)} times")

# %% [markdown]
# Now switch a part off in all layers. With weights of zero it adds nothing to the residual. One baseline always gives the most frequent word. The other deals the guesses out at random among the hidden words at the same place. This would change nothing if a guess depended on the place alone. **Predict** what the vector of a hidden word can know when all attention is off.

# %% alt="Horizontal bars, the number of hidden words guessed right. All parts is far ahead, at more than twice the grey baseline that always answers with the most frequent word; without feed-forward networks is below the baseline; without attention has a bar of zero. Black marks, the same guesses dealt out to words at the same place of other sentences, lie far to the left of the bars' ends for all parts and without feed-forward networks."
from course_lib.plotting import bars

def guesses(off=None):                                           # of the encoder without this part
    net = copy.deepcopy(encoder)
    for layer in net.encoder["layer"]:
        for part in {"attention": [layer.attention["output"]], "feed-forward": [layer.output]}.get(off, []):
            part.dense.weight.zero_(), part.dense.bias.zero_()
    hidden = net(asked, asked_mask)[which, places]               # (words, hidden): the vectors of the [MASK]s
    return guesser.logits(hidden).masked_fill(~is_word, -math.inf).argmax(dim=1)         # (words,)

always = f"always '{frequent}'"
found = {always: torch.full_like(truth, number[frequent]), "without attention": guesses("attention"),
         "without feed-forward": guesses("feed-forward"), "all parts": guesses()}
for i in (1, 300, 400):
    print(questions[i], answers[i],
          {name: tokenizer.convert_ids_to_tokens(guess[i].item()) for name, guess in found.items()}, sep="\n   ")
torch.manual_seed(seed)
right = {name: (guess == truth).sum().item() for name, guess in found.items()}
def shuffled():                                                  # the words by place, those at one place in any order
    return torch.argsort(places + torch.rand(len(places)))
dealt = {
    name: [(guess[shuffled()] == truth[shuffled()]).sum().item() for _ in range(10)]
    for name, guess in found.items() if name != always
}
assert all(found["without attention"][places == p].unique().numel() == 1 for p in places)     # one guess for each place
assert right["without attention"] == 0 and right["without feed-forward"] < right[always] < right["all parts"] / 2
assert all(right[name] > 2 * max(dealt[name]) for name in ("without feed-forward", "all parts"))
bars(
    right, title="With attention, a guess comes from its sentence",
    xlabel=f"guessed right, of {len(truth)} hidden words\n"
           "(black: the same guesses, dealt out among words at the same place)",
    digits=0, runs=dealt, baseline=always,
)
plt.show()

# %% [markdown]
# Without attention no guess is right. A hidden word's vector then knows only its place, so all guesses at one place are the same.
#
# Without the feed-forward networks fewer guesses are right than with "the". Dealt out, most of these hits are gone, so the guesses do depend on their sentence. With all parts more than twice as many are right as with "the". All this is about a model that was trained with both parts.
#
# ## What do the heads look at?
#
# **Question.** Nobody told the heads where to look. Does any follow a simple pattern?
#
# What share of a token's attention goes to the token before it, and to the one after it? Compare with equal attention, and with three random encoders. **Predict** how near to 1 any head comes.

# %% tags=["nbval-check-output"]
ids, mask = padded(sentences)                                    # (80, tokens)
asks = (mask == 1) & (ids != tokenizer.cls_token_id) & (ids != tokenizer.sep_token_id)       # no [CLS], [SEP], [PAD]

def neighbours(net):                                             # attention to the token before, after: a number a head
    net(ids, mask)                                               # leaves its weights in the layers
    before, after = [], []
    for layer in net.encoder["layer"]:
        weights = layer.attention["self"].weights.transpose(0, 1)            # (heads, 80, tokens, tokens)
        before.append(weights.diagonal(-1, 2, 3)[:, asks[:, 1:]].mean(dim=1))            # (heads,)
        after.append(weights.diagonal(1, 2, 3)[:, asks[:, :-1]].mean(dim=1))
    return {"before": torch.cat(before), "after": torch.cat(after)}          # (heads of all layers,) each

shares = neighbours(encoder)
random = [neighbours(Encoder(config)) for _ in range(3)]
equal = (asks / mask.sum(dim=1, keepdim=True)).sum() / asks.sum()
for side, share in shares.items():
    highest = max(r[side].max().item() for r in random)
    print(
        f"the token {side}: the five highest heads",
        " ".join(f"{s:.2f}" for s in share.sort(descending=True).values[:5]),
    )
    print(f"   highest with random weights {highest:.2f}, equal attention {equal:.2f}")
    assert share.max() > 0.5 and highest < 0.2 and equal < 0.1

# %% [markdown]
# The highest head of each kind, on one sentence:

# %% alt="Two attention maps of one sentence; rows are the tokens that ask, columns those that are asked. Left, the head that looks most at the token before: the cells just below the diagonal are bright. Right, the head that looks most at the token after: the cells just above the diagonal are bright."
from course_lib.plotting import attention_map

one, real = padded([sentence])
encoder(one, real)
_, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
for ax, (side, share) in zip(axes, shares.items()):
    layer, head = divmod(share.argmax().item(), config.num_attention_heads)
    weights = encoder.encoder["layer"][layer].attention["self"].weights[0, head]         # (tokens, tokens)
    title = f"Mostly the token {side}: layer {layer + 1}, head {head + 1}"
    attention_map(weights, tokenizer.convert_ids_to_tokens(one[0]), title=title, ax=ax)
    ax.set(xlabel="token that is looked at", ylabel="token that asks")
plt.show()

# %% [markdown]
# On the left nearly every token looks at the one before it; on the right, at the one after it. In the 80 sentences two heads of each kind stand out, and no head of the random encoders comes near.
#
# ## Now from course_lib: one vector for a sentence
#
# **Question.** How does a sentence get one vector, and what does the mask do for it?
#
# It takes three steps. The tokenizer makes ids of the text, the encoder makes a vector of each id, and *pooling* makes one vector of them all, here their mean. `SentenceEncoder.encode` of `course_lib.encoder` does all three. It needs no padding mask, since its batches are *packed*: the tokens of all texts stand one after the other, without `[PAD]`, and each text attends only to itself.
#
# **Trap.** Forget the mask, as in `model(input_ids)`, and no error is raised: `transformers` then takes `[PAD]` for text. The cell puts a short sentence beside a longer text.

# %% tags=["row-2.3", "row-2.4", "nbval-check-output"]
from course_lib.encoder import SentenceEncoder
from course_lib.pooling import pool

texts = ["It rains.", " ".join(sentences[:3])]                   # a short text, a long one
ids, mask = padded(texts[:1])                                    # 1. text -> ids (1, tokens)
vectors = encoder(ids, mask)                                     # 2. ids -> vectors (1, tokens, hidden)
alone = pool(vectors, mask, "mean")                              # 3. vectors -> one vector (1, hidden)
print(tokenizer.convert_ids_to_tokens(ids[0]), tuple(ids.shape), "->", tuple(vectors.shape), "->", tuple(alone.shape))
encoded = torch.from_numpy(SentenceEncoder.load(model, device="cpu", dtype="float32").encode(texts))     # (2, hidden)
assert torch.allclose(F.normalize(encoded[:1]), F.normalize(alone), atol=1e-4)

batch, real = padded(texts)
n, width = ids.shape[1], batch.shape[1]
print(
    f"both padded: {real.numel()} places; packed: {real.sum()}. "
    f"The short row has {width - n} [PAD], {1 - n / width:.0%}"
)
for name, mask in (("with the mask", real), ("without the mask", torch.ones_like(real))):
    beside = encoder(batch, mask)                                # (2, tokens, hidden)
    weights = torch.stack([layer.attention["self"].weights[0, :, :n] for layer in encoder.encoder["layer"]])
    on_pad = weights[..., n:].sum(dim=3).mean().item()           # of the attention of the short text's tokens
    cosine = F.cosine_similarity(pool(beside, real, "mean")[:1], alone).item()
    print(f"{name:<17} attention on [PAD] {on_pad:.2f}, cosine with the text alone {cosine:.2f}")
    assert (cosine > 0.9999) == (on_pad == 0) == (mask is real)
over_all, others = (                                             # (1,), (80,)
    F.cosine_similarity(means, alone)
    for means in (beside.mean(dim=1)[:1], mean_vectors(encoder, sentences))
)
print(
    f"without, and [PAD] in the mean too: cosine {over_all.item():.2f}\n"
    f"{len(others)} other sentences, with the text alone: "
    f"{others.mean():.2f} on average, {others.min():.2f} to {others.max():.2f}"
)
assert over_all < others.min() and others.max() < cosine < others.max() + 0.05 and 0 < on_pad < 1 - n / width
assert torch.equal(reference(batch).last_hidden_state, reference(batch, torch.ones_like(real)).last_hidden_state)

# %% [markdown]
# With the mask the short sentence keeps its vector. Without it the vector moves about as far from the true one as the nearest of 80 other sentences is. With `[PAD]` averaged too, it is farther away than all of them. To find this mistake, compare a sentence's vector alone and beside a long text.
#
# ## The other half: a decoder
#
# **Question.** What may a word look at while the rest of the sentence is still to be written?
#
# A decoder looks at its own words and at the source. For the source its layers have *cross-attention*: the queries come from the decoder, the keys and values from the encoder's result.

# %% alt="A drawing of one decoder layer, from top to bottom: one vector a token written; self-attention in 4 heads, where each token reads itself and the tokens before it; add and layer norm; cross-attention in 4 heads, where each token reads all tokens of the source, with an arrow from a box at its right, from the encoder; add and layer norm; the feed-forward network; add and layer norm. A brown line, the residual, leads around each of the three parts."
from course_lib.layer_diagram import decoder_layer

theirs = nn.TransformerDecoderLayer(d_model=80, nhead=4, dim_feedforward=160, batch_first=True).eval()
decoder_layer(theirs, title="One layer of a decoder: a second attention reads what the encoder has read")
plt.show()

# %% [markdown]
# The other difference is the *causal mask*: it hides all tokens after the one that asks. The vector at word 3 may use words 1 to 3 and has to name word 4.
#
# `MultiHeadAttention` of `course_lib.attention` is your loop over heads with the output map. **Predict** the first row of the masked weights.

# %% tags=["row-1.13", "nbval-check-output"]
from course_lib.attention import MultiHeadAttention

class DecoderLayer(nn.Module):                                   # the names are those of torch
    def __init__(self, size, heads, wide):
        super().__init__()
        self.self_attn, self.multihead_attn = MultiHeadAttention(size, heads), MultiHeadAttention(size, heads)
        self.linear1, self.linear2 = nn.Linear(size, wide), nn.Linear(wide, size)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(size) for _ in range(3))

    def forward(self, x, source):                                # (batch, tokens, size), (batch, tokens read, size)
        n = x.shape[1]
        past = torch.ones(n, n, dtype=torch.bool).tril().expand(len(x), n, n)            # True up to the diagonal
        seen, self.weights = self.self_attn(x, x, x, past)
        x = self.norm1(seen + x)
        read, _ = self.multihead_attn(x, source, source)         # query, key, value
        x = self.norm2(read + x)
        return self.norm3(self.linear2(F.relu(self.linear1(x))) + x)

torch.manual_seed(seed)
target, source = torch.randn(1, 5, 80), torch.randn(1, 7, 80)    # 5 tokens written, 7 tokens read
decoder = DecoderLayer(80, 4, 160)
once = decoder(target, source)                                   # (1, 5, 80)
print(decoder.weights[0, 0].numpy().round(2))                    # of the first head

# %% [markdown]
# Nothing comes from above the diagonal. So a row has to be the same whether later words are there or not, after two layers too. The next cell checks this, and compares with torch's layer.

# %% tags=["row-1.13"]
theirs.load_state_dict(decoder.state_dict())
future = torch.ones(5, 5, dtype=torch.bool).triu(diagonal=1)     # torch's mask says the opposite: True is hidden
assert torch.allclose(theirs(target, source, tgt_mask=future), once, atol=1e-5)
twice = decoder(once, source)                                    # two layers, all five rows at once
for n in range(1, 6):                                            # the same from the first n words alone
    begun = decoder(decoder(target[:, :n], source), source)      # (1, n, 80)
    assert torch.allclose(begun, twice[:, :n], atol=1e-5)

# %% [markdown]
# ### What does the mask buy?
#
# In training the whole translation is known, and attention computes all its rows at once. The mask keeps a row from copying the next word, which does not yet exist when the model writes.
#
# Take an untrained `nn.Transformer`, and the GRU with attention of notebook 02. **Predict** for each, in training and in writing: how many calls of the decoder, one after the other, does a sentence of 96 words take?

# %% tags=["row-1.13"]
import time
from course_lib.translation.translators import RNNTranslator, TransformerTranslator
from course_lib.translation.vocabulary import Vocabulary

def training(net, ids):                                          # forward only, in both jobs
    net(ids, ids > 0, ids)

def writing(net, ids):
    state = net.start(ids, ids > 0)
    for previous in ids.T:                                       # one word of each sentence at a time
        state = net.step(previous, state)[1]

vocabulary, ids = Vocabulary(f"word{i}" for i in range(300)), torch.randint(4, 300, (16, 96))        # 16 sentences
transformer = TransformerTranslator(vocabulary, vocabulary, 80, 4, 2, 160).eval()
gru = RNNTranslator(vocabulary, vocabulary, 64, 128).eval()
for name, net, called in (("transformer", transformer, transformer.transformer.decoder), ("GRU", gru, gru.decoder)):
    for job in (training, writing):
        sizes = []                                               # words of a sentence that each call goes over
        hook = called.register_forward_hook(
            lambda module, inputs, output: sizes.append(output.shape[:-1].numel() // 16)
        )
        start = time.process_time()
        job(net, ids)
        speed = ids.numel() / (time.process_time() - start)
        hook.remove()
        print(
            f"{name:<11} {job.__name__}: {len(sizes):>2} calls, {sum(sizes):>5,} words gone over; "
            f"{speed:,.0f} words a second"
        )
        assert sizes == ([1] * 96 if net is gru else [96] if job is training else list(range(1, 97)))

# %% [markdown]
# The GRU's decoder takes 96 calls in both jobs; each needs the state that the one before has made. The transformer takes all known words in one call. In writing it goes word by word too, and this one goes over the whole beginning again in each call; keeping earlier keys and values avoids that. The speeds hold for your machine and these two models.
#
# Attention has a price: twice the length means four times the scores.
#
# ## Transformer or RNN: what does one task say?
#
# **Question.** Does a transformer translate better than RNNs on the corpus of notebook 01?
#
# A small grammar made this English-Spanish corpus. All models trained for equally many steps; the RNNs share the learning rate 0.01, the transformer has 0.002. None of the test sentences is in training; a translation counts if every word is right. The table gives the share in %, the mean of three seeds, by length in words. The results are **recorded**.

# %% tags=["row-1.13", "row-1.14"]
import pandas as pd
from recipes import transformer_data, translation

names = {
    "transformer": "transformer",
    "gru-attention": "GRU with attention",
    "lstm-attention": "LSTM with attention",
    "gru": "GRU without attention",
}
pairs = translation.load(translation.BUDGETS["long"]).train
print(f"{len(pairs):,} training pairs, such as:", *pairs[0], sep="\n   ")
recorded = translation.recorded_results(list(names), full)
long = recorded[recorded.budget == "long"]
# a length is "03-05" words and so on; none has 26
by_length = long[(long.metric == "exact_match") & (long.length < "3")].replace({"length": {"24-26": "24-25"}})
by_pairs = transformer_data.recorded_results(full)

def runs(rows, kind, column):                                    # (seeds, lengths or numbers of pairs)
    return rows[rows.model == kind].pivot_table(index="seed", columns=column, values="value")

table = pd.DataFrame(
    {name: runs(by_length, kind, "length").mean() for kind, name in names.items()}
).T.round().astype(int)
table["parameters"] = [int(long[(long.metric == "parameters") & (long.model == kind)].value.iloc[0]) for kind in names]
print(table.to_string())
real = recorded.query("budget == 'tatoeba' and metric == 'bleu' and length == 'all'")
print("BLEU on real sentences:", {names[kind]: round(value) for kind, value in zip(real.model, real.value)})
for rows, column in ((by_length, "length"), (by_pairs, "pairs")):            # the worst seed beats the best
    assert (runs(rows, "transformer", column).min() > runs(rows, "gru-attention", column).max()).all()
lead = runs(by_length, "transformer", "length").mean() - runs(by_length, "lstm-attention", "length").mean()
print("the transformer's lead over the LSTM:", lead.round(1).to_dict())
assert 1.5 < lead.iloc[:-1].min() and lead.max() < 6.5 and abs(lead.iloc[-1]) < 1

# %% [markdown]
# A band goes from the lowest to the highest of the three seeds. On the left all pairs are trained on; on the right fewer, of up to ten words, with 512 steps for each number (there the GRU's learning rate is 0.012). **Predict**: does the transformer need more pairs than the GRU with attention?

# %% tags=["row-1.13", "row-1.14"] alt="Two line charts of the share of sentences translated exactly, mean and range of three seeds. Left, by length: the transformer and the LSTM with attention are highest and close together, and meet at the longest sentences; the GRU with attention falls faster, the GRU without attention is near zero from 12 words on. Right, by number of different training pairs: both the transformer and the GRU with attention rise, steeply from 512 to 2048 pairs, slowly to 4096; the transformer is above at each number."
from course_lib.plotting import curve

_, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
for ax, rows, column in ((axes[0], by_length, "length"), (axes[1], by_pairs, "pairs")):
    for kind in [kind for kind in names if kind in set(rows.model)]:
        found = runs(rows, kind, column)
        x = found.columns if column == "pairs" else [place.lstrip("0").replace("-0", "-") for place in found]
        curve(x, found.to_numpy(), names[kind], ax=ax)
axes[0].set(
    xlabel="words of the English sentence", ylabel="translated exactly, %", ylim=(0, 102),
    title="By length: transformer first,\nlevel with the LSTM at the longest",
)
axes[1].set(
    xlabel="different training pairs, up to ten words", xlim=(0, 4300), xticks=x,
    title="By number of pairs: transformer first (LSTM not measured)",
)
axes[0].legend(loc=(0.34, 0.06), fontsize=8)
plt.show()

# %% [markdown]
# In every seed the transformer is ahead of the GRU with attention, at every length and every number of pairs. So on this corpus, with these few steps, it does not need more pairs than this GRU. The LSTM with attention, which has more parameters than both, is two to six points behind the transformer on average, and level at the longest sentences. So, at these learning rates, the lead depends on the RNN. On the real sentences of notebook 02 the transformer's BLEU is higher than the GRU's too, but these models are larger, and each was trained once.
#
# ## With a full-size model
#
# Set `model = "google-bert/bert-base-uncased"` to take a BERT of the paper apart (a download of 440 MB). Some asserts were set for the small model; delete one that fails.
#
# ## Exercises
#
# **1.** A decoder goes on writing several texts, padded on the left. Compute its self-attention's weights: each real token looks at the real tokens up to and including itself. The rows of `[PAD]`, which have nothing to look at, are 0.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def decoder_weights(query, key, mask):
    "(batch, tokens, size), the same, (batch, tokens) -> (batch, tokens, tokens): row i holds the weights of query i."
    ...

check("03.1", decoder_weights)

# %% [markdown]
# **2.** What does each head contribute? The output map's result, without its bias, is a sum with one part for each head. Split it: `x` holds what each head has made of each token, `weight` is the matrix of the output map as `nn.Linear` stores it.

# %% tags=["exercise", "nbval-check-output"]
def head_parts(x, weight):
    """(batch, heads, tokens, size), (hidden, heads * size) -> (batch, heads, tokens, hidden)."""
    ...

check("03.2", head_parts)

# %% [markdown]
# ## Questions
#
# **1.** `nn.GRU` takes all words of a sentence in one call, as a transformer does. Why can only the transformer compute them at once?
#
# <details><summary>Answer</summary>Inside its call the GRU goes word by word: a step needs the state that the step before has made. A transformer's row needs only the layer's input.</details>
#
# **2.** A batch has 31 sentences of 10 tokens and one of 200. What share of a padded batch is padding?
#
# <details><summary>Answer</summary>32 times 200 are 6,400 places, 510 of them real: 92 % padding. Packed, none of it is computed.</details>
#
# **3.** A head gives 99 % of its attention to the word before. Does the model decide by that word?
#
# <details><summary>Answer</summary>That is not shown: the value fetched may be small, later layers may ignore it, and the residual passes the head by. Change the word, or switch the head off, and measure.</details>
#
# ## Summary
#
# **What is left when the RNN is dropped?** Attention, through which every token reads every other; a feed-forward network for each token; residuals and norms around both; and position vectors, which bring in the order.
#
# - With trained weights your encoder computes what `transformers` computes. With attention switched off it guesses none of 748 hidden words, with feed-forward switched off 61, with both 215; always "the" gets 85.
# - Padding without a mask changes the result, and no error tells you.
# - A decoder adds cross-attention and a causal mask. Training computes all words at once, writing one by one.
# - On this corpus the transformer translates better than the GRU with attention; an LSTM with attention comes close.
#
# ## References
#
# - Vaswani et al. (2017), [Attention is all you need](https://arxiv.org/abs/1706.03762). Bahdanau et al. (2014), [attention in translation](https://arxiv.org/abs/1409.0473).
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805). Clark et al. (2019), [what BERT's heads look at](https://arxiv.org/abs/1906.04341).
#
# **Next:** [04_bert](04_bert.ipynb) trains this encoder to fill in masked words, and shows what that buys.
