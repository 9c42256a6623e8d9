# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/02_attention.ipynb)
#
# # What does the decoder look at, and how much does it help?
#
# A translator that presses a sentence into one vector forgets long ones. Here you give it the whole sentence back, a weighted look in each step, and measure what that is worth, and what it does not tell you.
#
# | | |
# |---|---|
# | You will be able to | compute additive attention by hand; train a translator with it and one without; compare its weights with gold word alignments; test what a weight explains |
# | You need first | what an encoder and a decoder are, and what a state is (notebook 01) |
# | Time | 35 minutes to read; the code runs in about a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the corpus comes with the course |

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
# `data` is a set of English-Spanish sentence pairs. The rest is the budget of the two small translators that train while you wait: pairs of at most `max_words` English words, at most `max_pairs` of them, read `epochs` times.

# %% tags=["parameters"]
seed = 0
data = "course/en_es"
max_words = 10
max_pairs = 8000
epochs = 2
hidden_size = 128
learning_rate = 0.012
full = False

# %% [markdown]
# ## How can a decoder choose where to look?
#
# **Question.** An encoder leaves one state for each source word. The decoder, about to write a word, has one state of its own. How do these become one vector to write from?
#
# Bahdanau, Cho and Bengio (2014; at ICLR in 2015) let a small network compare the decoder's state $s$ (the *query*) with each encoder state $h_j$ (a *key*), and give each pair a score, its *energy*:
#
# $$e_j = v \cdot \tanh(W s + U h_j), \qquad \alpha_j = \frac{\exp e_j}{\sum_k \exp e_k}, \qquad c = \sum_j \alpha_j h_j$$
#
# The $\alpha_j$ are the *attention weights*, $c$ is the *context*. $W$, $U$ and $v$ are learnt. This is *additive attention*: query and key are added before the tanh. Here are three words with states of two components, and two different queries.
#
# **Predict:** here $v$ counts the second component twice. Which of the three words gets the largest weight from the first query, (2, 0)?

# %% tags=["row-1.8", "nbval-check-output"]
import math

import matplotlib.pyplot as plt
import torch

torch.set_num_threads(1)                                                # as in the recorded runs; the matrices are small
h = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])                # (3 source words, 2): the encoder's states
queries = torch.tensor([[2.0, 0.0], [0.0, 2.0]])                        # (2 steps, 2): the decoder's states
W, U, v = torch.eye(2) * 2, torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([1.0, 2.0])

def attend_in_loops(s):
    energies = [sum(v[k] * math.tanh(W[k] @ s + U[k] @ h[j]) for k in range(2)) for j in range(len(h))]
    total = sum(math.exp(e) for e in energies)
    weights = [math.exp(e) / total for e in energies]
    return sum(w * h[j] for j, w in enumerate(weights)), torch.tensor(weights)

energies = torch.tanh((queries @ W.T)[:, None] + h @ U.T) @ v           # (2, 1, 2) + (3, 2) -> (2, 3, 2) -> (2, 3)
weights = energies.softmax(1)                                           # (2, 3)
contexts = weights @ h                                                  # (2, 3) @ (3, 2) -> (2, 2)
for s, context, alpha in zip(queries, contexts, weights):
    looped, in_loops = attend_in_loops(s)
    assert torch.allclose(looped, context, atol=1e-6) and torch.allclose(in_loops, alpha, atol=1e-6)
    print(f"query {s.tolist()}: weights {[round(a, 3) for a in alpha.tolist()]}, context {[round(c, 3) for c in context.tolist()]}")

# %% [markdown]
# Each query has its own weights and so its own context: a decoder with attention gets a _new_ context in every step, where the translator of notebook 01 has one for all steps. The weights of a step are positive and add up to 1. They compare the decoder with the source; the weights of source words on _each other_, self-attention, come in notebook 03.
#
# ## In the model
#
# **Question.** What does a translator gain in size by this? `RNNTranslator` is the GRU encoder and decoder of notebook 01. `attention=True` is the only difference: without it the context is the encoder's last state, in every step.
#
# **Predict** how many weights attention adds, for states of 128 numbers.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.translation.pairs import pair_length, source_batch, translation_loss
from course_lib.translation.translators import RNNTranslator
from course_lib.training import train
from course_lib.translation.vocabulary import BOS, Vocabulary, words
from recipes.translation import BUDGETS, RUNS, length_bucket, load, rows_of, run

pairs = load(BUDGETS["live"]._replace(data=data, max_words=max_words))
pairs = pairs._replace(train=pairs.train[:: max(1, len(pairs.train) // max_pairs)])
english, spanish = (Vocabulary.build(texts, max_size=10_000) for texts in zip(*pairs.train))

def new_translator(attention):
    torch.manual_seed(seed)
    return RNNTranslator(english, spanish, embedding_size=64, hidden_size=hidden_size, attention=attention, dropout=0.0)

models = {"without attention": new_translator(False), "with attention": new_translator(True)}
plain, attending = (model.state_dict() for model in models.values())
for name in sorted(attending.keys() - plain.keys()):
    print(f"{name:24} {tuple(attending[name].shape)}")
extra = sum(attending[name].numel() for name in attending.keys() - plain.keys())
print(f"{extra:,} weights more")
assert extra == 2 * hidden_size**2 + hidden_size and all(attending[name].shape == plain[name].shape for name in plain)

# %% [markdown]
# $v$, $U$ and $W$, in this order: a vector and two matrices. Everything else has the same shape in both. Now train both, on the same pairs in the same order for the same number of steps.
#
# The pairs come from a grammar written for this course: there is one right answer, and the corpus says which words belong together. **Predict** what share of sentences with up to ten words each model translates without a mistake.

# %% tags=["row-1.8"]
from course_lib.translation.decoding import decode, translate
from course_lib.translation.scores import THIRDS, exact_match, length_thirds, mean_by

live, sources = {}, [source for source, _ in pairs.test]
for name, model in models.items():
    history = train(model, lambda batch: translation_loss(model, batch), pairs.train, batch_size=32, epochs=epochs, seed=seed,
                    learning_rate=learning_rate, length=pair_length, autocast=False, show_progress_bar=False)
    right = exact_match(model, pairs.test)
    by_length = ["all"] * len(right), length_thirds(sources), [length_bucket(source) for source in sources]
    live[name] = {group: 100 * share for groups in by_length for group, share in mean_by(groups, right).items()}
    print(f"{name:18} {history[-1]['step']} steps in {history[-1]['seconds']:.0f} s, loss {history[-1]['loss']:.2f}; "
          f"right: {live[name]['all']:.0f}% of {len(right)}, " + ", ".join(f"{live[name].get(third, 0):.0f}% of the {third}" for third in THIRDS))
for source, target in pairs.test[:3]:
    print(f"\n{source}\n{target}", *(f"{translate(model, [source])[0]}   <- {name}" for name, model in models.items()), sep="\n")
bundled = (data, max_words, max_pairs, epochs, hidden_size, learning_rate) == ("course/en_es", 10, 8000, 2, 128, 0.012)
assert not bundled or live["with attention"]["all"] > live["without attention"]["all"] + 20

# %% [markdown]
# ## Does it help where it hurts?
#
# One short run proves little. `recipes/translation.py` trained both on all pairs of the corpus, up to 25 words, with three seeds, and with the small budget from above with five. Its results are **recorded** in `data/results`; bands run from the lowest to the highest seed. `full = True` trains all of it again.
#
# **Predict** the shape of both curves over the length of the sentence.

# %% tags=["row-1.12"] alt="Two line charts of exact match in percent against the length of the source sentence. Left, the small budget, up to ten words: the model with attention lies far above the one without, and crosses for the live run lie in or near the bands. Right, all pairs, up to 25 words: without attention the curve falls to zero at about 12 words, with attention it falls slowly."
import pandas as pd

from course_lib.data import load_results
from course_lib.plotting import PALETTE, curve

recorded = pd.concat([load_results("01"), load_results("02")])
kinds = {"without attention": "gru", "with attention": "gru-attention"}
if full:                                                                # about ten minutes
    runs = [(budget, *which) for budget in ("live", "long") for which in RUNS[budget] if which[0] in kinds.values()]
    again = pd.DataFrame([row for one in runs for row in rows_of(run(*one))]).astype({"value": float})
    recorded = pd.concat([recorded.query("budget == 'tatoeba'"), again])

def seeds(budget, name, metric, length):
    rows = recorded[recorded.model == kinds[name]]
    return rows.query("budget == @budget and metric == @metric and length == @length").value.tolist()

figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained", sharey=True)
for ax, budget, title in zip(axes, ("live", "long"), ("Small budget, short sentences (x: your run)", "All pairs: only attention reaches the long ones")):
    lengths = sorted(length for length in set(recorded.query("budget == @budget").length) if length[0].isdigit())
    for name in kinds:
        curve(lengths, torch.tensor([seeds(budget, name, "exact_match", n) for n in lengths]).T, name, ax=ax)
        if budget == "live" and bundled:
            ax.scatter(lengths, [live[name][n] for n in lengths], marker="x", color="black", s=60, zorder=3)
    ax.set(xlabel="English words", ylabel="exactly right, %", title=title)
plt.show()

# %% tags=["row-1.12"]
import hashlib

from course_lib.support.tables import find

assert set(recorded.query("budget != 'tatoeba'").data_sha256) == {hashlib.sha256(find("course/en_es").read_bytes()).hexdigest()}
for third in THIRDS:
    with_it, without = (torch.tensor(seeds("long", name, "exact_match", third)) for name in reversed(kinds))
    gap = with_it - without                                             # (3 seeds,)
    half = 4.303 * gap.std() / len(gap) ** 0.5                          # Student's t with 2 degrees of freedom: 95%
    print(f"{third:15} without {without.mean():.0f}%, with {with_it.mean():.0f}%: a gap of {gap.mean():.0f} points, 95% interval +-{half:.0f}")
assert len(gap) == 3 and gap.min() >= 20                                # the longest third

for name in kinds:
    band = seeds("live", name, "exact_match", "all")
    print(f"live, {name}: {live[name]['all']:.0f}%, recorded {min(band):.0f} to {max(band):.0f}%")
    assert not bundled or min(band) - 10 <= live[name]["all"] <= max(band) + 10

# %% [markdown]
# Without attention a few words are translated well and a dozen hardly ever without a mistake. With it the curve falls, too, but the longest third keeps a good part; the gap is widest in the middle third, as the longest sentences are hard for both. Both had the same pairs and steps; a step with attention takes longer, as the seconds of your live runs show.
#
# One wrong word spoils an exact match, so even equal errors on every word make a curve fall. It is the _gap_ between the curves that speaks for attention.
#
# ## Where does it look?
#
# **Question.** Spanish puts most adjectives behind the noun: "the red car" is "el coche rojo". If the weights are what one hopes for, the decoder looks at "car" while it writes "coche", then _back_ at "red". **Predict** where in a map of weights such a pair shows.
#
# The maps show two test sentences that your model translates without a mistake and whose gold alignment crosses. Each row is a step of the decoder: the word it writes, and how it spread its look over the source.

# %% tags=["row-1.11"] alt="Two heatmaps of attention weights of translated test sentences, Spanish words as rows, English words as columns, red frames around the gold alignment. Bright cells run down the diagonal and cross where an adjective and its noun change places; some lie one column or two to the right of their frame."
from course_lib.plotting import attention_map

model = models["with attention"]

def swaps(links):
    """Two neighbours, each linked with one word, that change places: (i, j) and (i + 1, j - 1)."""
    single = {(a, b) for a, b in links if [x for x, _ in links].count(a) == [y for _, y in links].count(b) == 1}
    return any((a + 1, b - 1) in single for a, b in single)

right = exact_match(model, pairs.test)
chosen = [i for i, source in enumerate(sources) if 6 <= len(words(source)) <= 8 and "?" not in source]
chosen = sorted(chosen, key=lambda i: (not right[i], not swaps(pairs.links[i])))[:2]
figure, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
for ax, found, i in zip(axes, decode(model, [sources[i] for i in chosen]), chosen):
    attention_map(found.weights, [*words(sources[i]), "[EOS]"], found.tokens, title=sources[i], ax=ax)
    for source, target in pairs.links[i]:
        ax.add_patch(plt.Rectangle((source - 0.5, target - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=2))
figure.suptitle("Spanish words look at their English words, more or less (red frames: gold alignment)", fontsize="medium")
plt.show()
assert all(swaps(pairs.links[i]) for i in chosen) or not bundled

# %% [markdown]
# Noun and adjective change places, and the bright cells follow, roughly: some lie a column or two too far to the right, and the end of a sentence is blurred.
#
# Two maps are an anecdote. Count: for each Spanish word that the corpus links with an English one, does its largest weight lie on a linked word? So that a model's own mistakes do not count, it is given the reference translation word by word (*teacher forcing*) and only its weights are read. **Predict** the share. And where it misses: in which direction?

# %% tags=["row-1.11"] alt="Bar chart of the distance between the source word with the largest weight and the gold-linked word, in words. The bar at 0 is the highest; of the misses most lie at plus one."
from collections import Counter

from course_lib.translation.scores import attention_weights, entropy

all_weights = attention_weights(model, pairs.test)                      # for each pair (target words + 1, source words + 1)
offsets, right_of_it = Counter(), Counter()
for w, links, (_, text) in zip(all_weights, pairs.links, pairs.test):
    for target in {target for _, target in links}:
        strongest = w[target].argmax().item()
        offset = min((strongest - source for source, t in links if t == target), key=abs)
        offsets[offset] += 1
        right_of_it[words(text)[target]] += offset == 1

if offsets:
    share, misses = 100 * offsets[0] / offsets.total(), offsets.total() - offsets[0]
    band, long = (seeds(budget, "with attention", "alignment", "all") for budget in ("live", "long"))
    print(f"strongest weight on the linked word: live {share:.0f}%, recorded {min(band):.0f} to {max(band):.0f}%; "
          f"all pairs, recorded {min(long):.0f} to {max(long):.0f}%")
    often = " ".join(word for word, _ in right_of_it.most_common(8))
    print(f"of the misses, {100 * offsets[1] / misses:.0f}% lie one word to the right, most often for: {often}")
    figure, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
    ax.bar(range(-4, 5), [100 * offsets[k] / offsets.total() for k in range(-4, 5)], color=PALETTE[0])
    ax.set(xlabel="strongest source word minus linked word", ylabel="target words, %", title="Most lie on the linked word, most misses just after it")
    plt.show()
    assert min(long) >= 80 and (not bundled or min(band) - 10 <= share <= max(band) + 10)

# %% [markdown]
# Nobody told the model which words belong together. It was asked for the next word only, and most of its strongest weights agree with the grammar; with more training, more do.
#
# The misses are not random. Most lie one word to the right: at the end of the sentence, where the full stop looks at [EOS], and for articles. A Spanish article cannot be chosen from "the" alone, it needs the gender and number of the noun, and the noun comes next. And a state of this encoder has read all words before its own, so the noun's state tells of the article as well.
#
# ## How narrow is the look?
#
# You read with your eyes on one word, and hardly see the rest. Measure it: the *entropy* of a step's weights, $-\sum_j \alpha_j \log_2 \alpha_j$ in bits, is 0 when one word has all the weight, and $\log_2 n$ when all $n$ have the same.
#
# **Predict**: over how many words is the look spread, on average, in sentences of ten words?

# %% tags=["row-1.9"] alt="Line chart of attention entropy in bits against the number of source words. The dashed line of an even spread rises to above three bits; the model's mean entropy lies far below it and rises slowly."
by_length = {}
for w in all_weights:
    by_length.setdefault(w.shape[1] - 1, []).append(entropy(w).mean().item())
lengths = sorted(n for n in by_length if len(by_length[n]) >= 5)
measured = [sum(by_length[n]) / len(by_length[n]) for n in lengths]
even = [entropy(torch.full((n + 1,), 1 / (n + 1))).item() for n in lengths]       # [EOS] is a place to look, too
ax = curve(lengths, measured, "this model")
curve(lengths, even, "all words alike", ax=ax)
ax.set(xlabel="English words", ylabel="bits", ylim=(0, None), title="Narrower than an even spread, and wider in longer sentences")
plt.show()
for n, m, e in list(zip(lengths, measured, even))[-1:]:
    print(f"{n} words: {m:.2f} bits, as if spread evenly over {2**m:.1f} of {n + 1} places")
assert all(m < e for m, e in zip(measured, even)) and entropy(torch.tensor([0.0, 1.0])) == 0

# %% [markdown]
# A narrow look, but not at one word, and it widens with the sentence.
#
# ## The whole machine in one picture
#
# A textbook's figure of attention is drawn by hand; this one is drawn from the tensors of your model. Below, the encoder's states, a block of coloured stripes a word; above, the decoder's states; between them the weights, as lines whose strength is the weight. In the translator of notebook 01 everything goes through the last encoder state.

# %% tags=["row-1.12"] alt="Diagram: at the bottom the encoder's states of an English sentence as striped columns, at the top the decoder's states of its Spanish translation. Blue lines between them, darker for larger attention weights, run mostly straight up and cross where adjective and noun change places."
index = chosen[0]
found = decode(model, [sources[index]])[0]
with torch.no_grad():
    state = model.start(*source_batch(model, [sources[index]]))
    keys, states = state.keys[0], []                                    # (source, hidden)
    for word in [BOS, *spanish.encode(found.text)]:
        _, state, _ = model.step(torch.tensor([word]), state)
        states.append(state.hidden[0])                                  # (hidden,)

figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for vectors, tokens, y in ((keys, [*words(sources[index]), "[EOS]"], 0), (states, found.tokens, 4)):
    for x, (vector, token) in enumerate(zip(vectors, tokens)):
        ax.imshow(vector[:, None], cmap="RdBu_r", vmin=-1, vmax=1, extent=(x - 0.2, x + 0.2, y, y + 1), aspect="auto")
        ax.text(x, y - 0.35 if y == 0 else y + 1.15, token, ha="center", fontsize=9)
for i, row in enumerate(found.weights):
    for j, weight in enumerate(row.tolist()):
        ax.plot([j, i], [1, 4], color=PALETTE[0], alpha=weight, linewidth=4 * weight)
ax.set(xlim=(-0.6, max(len(keys), len(states)) - 0.4), ylim=(-0.6, 5.6), title="Every step looks at all encoder states (below), each weighed anew")
ax.axis("off")
plt.show()
assert torch.allclose(found.weights.sum(1), torch.ones(len(found.tokens)), atol=1e-5) and len(states) == len(found.tokens)

# %% [markdown]
# Each word at the top gathers what it needs from below. Where thick lines cross, words change places.
#
# ## What a weight does not explain
#
# **Question.** "The model wrote _rojo_ because it looked at _red_." Is that what a weight says?
#
# Interfere, and see what changes. Under teacher forcing, count the right next words with the learnt weights; with all words weighed alike; with the weights of each step dealt out to the wrong words at random; and with the strongest word taken away, its weight given to the others. Nothing else in the model changes. **Predict** the four shares. Then the one that matters: of the words whose strongest weight was _not_ on a linked word, how many are right?

# %% tags=["row-1.10"] alt="Bar chart of the share of right next words under teacher forcing: with learnt weights highest, with the strongest source word taken away lower, with even weights and with shuffled weights lower still but well above zero."
from course_lib.plotting import bars
from course_lib.translation.pairs import target_batch

class Altered(torch.nn.Module):
    """An attention whose weights are changed, by a function of the weights and the mask, before the context is made of them."""
    def __init__(self, learnt, change):
        super().__init__()
        self.learnt, self.key, self.change = learnt, learnt.key, change

    def forward(self, query, keys, mask, projected):
        weights = self.change(self.learnt(query, keys, mask, projected)[1], mask)      # (batch, source)
        return (weights[:, None] @ keys)[:, 0], weights                                # (batch, hidden), (batch, source)

def strongest_removed(weights, mask):
    rest = weights.scatter(1, weights.argmax(1, keepdim=True), 0.0)
    return rest / rest.sum(1, keepdim=True)

def shuffled(weights, mask):
    return weights.gather(1, torch.rand(weights.shape).masked_fill(~mask, 2).argsort(1))        # [PAD] stays last

changes = {"learnt weights": lambda weights, mask: weights, "strongest word removed": strongest_removed,
           "all words alike": lambda weights, mask: mask / mask.sum(1, keepdim=True), "shuffled weights": shuffled}

# %% tags=["row-1.10"] alt="Bar chart of the share of right next words under teacher forcing: highest with the learnt weights, lower with the strongest source word removed, with even and with shuffled weights, but well above zero for each."
(source, mask), (target, real) = source_batch(model, sources), target_batch(model, [text for _, text in pairs.test])
learnt, shares = model.attention, {}
torch.manual_seed(seed)
for name, change in changes.items():
    model.attention = Altered(learnt, change)
    with torch.no_grad():
        logits, weights = model(source, mask, target[:, :-1])           # (pairs, target words + 1, vocabulary)
    model.attention = learnt
    assert torch.all(weights.masked_select(~mask[:, None]) == 0)        # whatever we do, [PAD] gets nothing
    assert torch.allclose(weights.sum(2), torch.ones(weights.shape[:2]), atol=1e-5)
    right = logits.argmax(2) == target[:, 1:]                           # (pairs, target words + 1)
    shares[name] = 100 * right[real[:, 1:]].float().mean().item()
    first_right = right if name == "learnt weights" else first_right
bars(shares, "The weights matter; they are not the only way through", "right next words, %")
plt.show()
assert not bundled or shares["learnt weights"] - 10 > max(share for name, share in shares.items() if name != "learnt weights")

looks = {True: [], False: []}                                           # strongest weight on a linked word? -> right next words
for i, (w, links) in enumerate(zip(all_weights, pairs.links)):
    for t in {t for _, t in links}:
        looks[(w[t].argmax().item(), t) in links].append(first_right[i, t].item())
for on_link, rights in looks.items():
    if rights:
        print(f"strongest weight {'on' if on_link else 'off'} the linked word: {100 * sum(rights) / len(rights):.0f}% of {len(rights)} next words right")
assert not bundled or sum(looks[False]) / len(looks[False]) > 0.5

# %% [markdown]
# The weights are no decoration: take them away or deal them out wrongly, and far fewer words come out right. Yet even shuffled weights leave a good share: there are the decoder's own state and the previous word. And of the words whose strongest weight lay elsewhere, most were right all the same.
#
# So a weight tells how much of a _state_ went into the context. It does not tell which word the state is about (a recurrent state has read everything before it), nor that the output depends on it. Two papers in the references argue about it. To know what matters, change it and measure.
#
# ## Now from the library
#
# The module inside the translator is `course_lib.attention.AdditiveAttention`, printed below. Given the toy numbers it must give the toy weights, one query at a time, and your lines of matrices must give what the trained module gives.

# %% tags=["row-1.8", "nbval-check-output"]
import inspect

from course_lib.attention import AdditiveAttention, masked_softmax

toy = AdditiveAttention(query_size=2, key_size=2, attention_size=2)
toy.load_state_dict({"query.weight": W, "key.weight": U, "energy.weight": v[None]})
for s, context, alpha in zip(queries, contexts, weights_by_hand := (torch.tanh((queries @ W.T)[:, None] + h @ U.T) @ v).softmax(1)):
    its_context, its_weights = toy(s[None], h[None], torch.ones(1, 3, dtype=torch.bool))
    assert torch.allclose(its_context[0], context, atol=1e-6) and torch.allclose(its_weights[0], alpha, atol=1e-6)

trained = model.attention
q, k = torch.randn(1, hidden_size), torch.randn(5, hidden_size)         # a query and five keys
energies = torch.tanh(q @ trained.query.weight.T + k @ trained.key.weight.T) @ trained.energy.weight[0]     # (5,)
assert torch.allclose(trained(q, k[None])[1][0], energies.softmax(0), atol=1e-5)
print(inspect.getsource(AdditiveAttention.forward))

# %% [markdown]
# ## Trap: a softmax that counts [PAD]
#
# Sentences of a batch are filled up to one length with `[PAD]`, whose encoder states are zeros. A zero key is a key: its energy is $v \cdot \tanh(W s)$, and the softmax gives it a weight. So padding has to be left out _before_ the softmax, by an energy of minus infinity. Multiplying by the mask afterwards is not enough.
#
# **Predict** for the toy words and two `[PAD]` beside them: what do the wrong ways give in place of 1 and 0?

# %% tags=["row-1.10", "nbval-check-output"]
padded = torch.cat([h, torch.zeros(2, 2)])                              # (5, 2): three words, two [PAD]
is_word = torch.tensor([True, True, True, False, False])
energies = torch.tanh(W @ queries[0] + padded @ U.T) @ v                # (5,)
ways = {"no mask": energies.softmax(0), "multiplied afterwards": energies.softmax(0) * is_word,
        "minus infinity before": energies.masked_fill(~is_word, -torch.inf).softmax(0)}
for name, alpha in ways.items():
    print(f"{name:22} words {alpha[is_word].sum():.3f}, [PAD] {alpha[~is_word].sum():.3f}")
assert torch.equal(ways["minus infinity before"], masked_softmax(energies, is_word))
assert torch.allclose(ways["minus infinity before"][:3], weights_by_hand[0]) and not torch.allclose(ways["no mask"][:3], weights_by_hand[0])

def first_weights(texts, use_mask):
    """The weights of the first step on the first text, beside the others."""
    ids, real = source_batch(model, texts)
    state = model.start(ids, real)
    return model.attention(state.hidden, state.keys, real if use_mask else None)[1][0, : real[0].sum()]

short, long = min(sources, key=len), max(sources, key=len)
for use_mask in (True, False):
    with torch.no_grad():
        same = torch.allclose(first_weights([short], use_mask), first_weights([short, long], use_mask), atol=1e-5)
    print(f"{'with' if use_mask else 'without'} a mask: same weights alone and beside a longer sentence: {same}")
    assert same == use_mask

# %% [markdown]
# Nothing fails without the mask, but a sentence's weights depend on its neighbours in the batch. The test that finds it: the same sentence alone and beside a longer one.
#
# ## With real sentences
#
# The grammar's sentences have one right translation and few words. Set `data = "tatoeba"` to train on sentences that people wrote (download them from [tatoeba.org](https://tatoeba.org/en/downloads); the environment variable `COURSE_DATA` names their folder, see the README). In a few seconds a model learns little of these: expect low numbers, and no alignment, as nobody aligned them. The recipe's longer runs, two passes over all pairs, are recorded: *BLEU*, a score from 0 to 100 for shared word sequences, computed by sacrebleu, on test sentences whose English is in no training pair.

# %% tags=["row-1.12"]
bleu = recorded.query("budget == 'tatoeba' and metric == 'bleu'").set_index(["model", "length"]).value
print(f"{'BLEU':18}" + "".join(f"{length:>16}" for length in ("all", *THIRDS)))
for name, kind in kinds.items():
    print(f"{name:18}" + "".join(f"{bleu[kind, length]:16.1f}" for length in ("all", *THIRDS)))
gaps = {length: bleu["gru-attention", length] - bleu["gru", length] for length in THIRDS}
assert min(gaps.values()) > 0 and max(gaps, key=gaps.get) == "longest third"

# %% [markdown]
# Attention gains on real sentences as well, and most on the longest third. One seed each: take the size of the gap with care.
#
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** Additive energies of a whole batch, without a loop. No softmax yet.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def additive_energies(queries, keys, W, U, v):
    """queries (batch, q), keys (batch, source, k), W (a, q), U (a, k), v (a,) -> energies (batch, source)."""
    ...

check("02.1", additive_energies)

# %% [markdown]
# **2.** From energies to weights, with padding left out. The energies may be large.

# %% tags=["exercise", "nbval-check-output"]
def attention_from_energies(energies, mask):
    """(batch, source) and a mask (batch, source), 1 = real word -> weights (batch, source)."""
    ...

check("02.2", attention_from_energies)

# %% [markdown]
# **3.** Alignment share of one sentence. A target word may be linked with several source words, then either will do; words without a link do not count.

# %% tags=["exercise", "nbval-check-output"]
def alignment_share(weights, links):
    """weights (target, source), links: a list of (source, target) pairs, not empty -> a number from 0 to 1."""
    ...

check("02.3", alignment_share)

# %% [markdown]
# ## Questions
#
# **1.** Why is there no point in computing $U h_j$ again in each step of the decoder?
#
# <details><summary>Answer</summary>The keys do not change while a sentence is written, only the query does. The library computes it once a sentence.</details>
#
# **2.** A colleague masks by setting the energies of padding to 0 before the softmax. What goes wrong?
#
# <details><summary>Answer</summary>An energy of 0 is an ordinary energy: exp(0) = 1, so padding gets weight, and more of it than words whose energy is below 0.</details>
#
# **3.** A word is translated right, and the largest weight lies on another word. Has the model cheated?
#
# <details><summary>Answer</summary>No. A weight says how much of an encoder state goes into the context, not which word it tells of. A recurrent state has read all the words before it too, and the decoder's own state knows what it wrote.</details>
#
# ## Summary
#
# - Attention compares the decoder's state with every encoder state, and makes a new context in every step.
# - It adds two matrices and a vector. With them the model translates sentences that are out of reach for a single vector.
# - Its weights are positive, sum to 1, and are exactly 0 on padding, if the mask comes before the softmax.
# - Most of the time the largest weight lies on the linked word, and crosses where the order changes. Nobody told the model about alignments.
# - Weights show where a model looks. They do not prove why it writes what it writes: interfere and measure.
#
# ## References
#
# - Bahdanau, Cho and Bengio (2014, ICLR 2015), [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473): figure 3 has such maps, appendix A the equations.
# - Cho et al. (2014), [the encoder-decoder without attention](https://arxiv.org/abs/1406.1078).
# - Jain and Wallace (2019), [Attention is not explanation](https://arxiv.org/abs/1902.10186); Wiegreffe and Pinter (2019), [Attention is not not explanation](https://arxiv.org/abs/1908.04626).
# - Post (2018), [sacrebleu](https://arxiv.org/abs/1804.08771).
#
# **Next:** [03_transformer](03_transformer.ipynb) keeps the attention and drops the recurrence.
