# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/02_attention.ipynb)
#
# # What does the decoder look at, and how much does it help?
#
# A translator that presses a sentence into one vector forgets long ones. Here you give the decoder the whole sentence back, as a weighted look in each step, and measure what that is worth.
#
# | | |
# |---|---|
# | You will be able to | compute additive attention by hand; train a translator with it and one without; measure where it looks against a baseline; test what a weight explains |
# | You need first | what an encoder, a decoder and a state are (notebook 01) |
# | Time | 35 minutes to read; the code runs in about half a minute |
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
# `data` is a set of English-Spanish sentence pairs. Two small translators train on at most `max_pairs` of them, of at most `max_words` words, read `epochs` times. `full = True` repeats the recorded trainings.

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
# **Question.** The encoder leaves one state for each source word. The decoder, about to write a word, has one state of its own. How do these become one vector to write from?
#
# Bahdanau, Cho and Bengio (2014; at ICLR in 2015) let a small network compare the decoder's state $s$, the *query*, with each encoder state $h_j$, a *key*. Each pair gets a score, its *energy*:
#
# $$e_j = v \cdot \tanh(W s + U h_j), \qquad \alpha_j = \frac{\exp e_j}{\sum_k \exp e_k}, \qquad c = \sum_j \alpha_j h_j$$
#
# The middle formula is the *softmax*: it turns any numbers into positive ones that add up to 1. The $\alpha_j$ are the *attention weights*, and $c$, the average of the states with these weights, is the *context*. $W$, $U$ and $v$ are learnt. Query and key are added before the tanh, so this is *additive attention*.
#
# Take "the red car", to be translated as "el coche rojo". In the toy below a state has two components: is the word a noun, is it an adjective? A query says in the same way what is due next. $W$ and $U$ are chosen to make sense of that; a model has to learn them.
#
# **Predict:** a noun is due, so the query is (1, 0). What does $W s$ add inside the two tanh, and which word keeps the highest energy?

# %% tags=["row-1.8", "nbval-check-output"]
import math

import torch

torch.set_num_threads(1)                                                # as in the recorded runs; the matrices are small
h = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])                  # (3 words, 2): the encoder's states
W = torch.tensor([[0.0, -4.0], [-4.0, 0.0]])
U = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
v = torch.tensor([3.0, 3.0])

def attend_in_loops(s):
    bent = [[math.tanh(W[k] @ s + U[k] @ h[j]) for k in range(2)] for j in range(len(h))]
    energies = [sum(v[k].item() * bent[j][k] for k in range(2)) for j in range(len(h))]
    total = sum(math.exp(e) for e in energies)
    weights = [math.exp(e) / total for e in energies]
    return bent, energies, weights, sum(w * h[j] for j, w in enumerate(weights))

noun_due = torch.tensor([1.0, 0.0])
print("W s =", (W @ noun_due).tolist())
for word, (a, b), energy, weight in zip(["the", "red", "car"], *attend_in_loops(noun_due)[:3]):
    print(f"{word}: energy 3 * {a:.3f} + 3 * {b:.3f} = {energy:.2f}, weight {weight:.2f}")
assert max(range(3), key=attend_in_loops(noun_due)[2].__getitem__) == 2

# %% [markdown]
# The query adds -4 inside the second tanh, where the curve is flat: whatever the key says, the result is close to -1 for all three words. That unit is shut. The first unit gets nothing added, and it tells the noun from the other two. So the query decides _which question is asked of the keys_, and "car" wins.
#
# The tanh does the choosing. **Predict** what becomes of the weights of two queries if you leave it out.

# %% tags=["row-1.8", "nbval-check-output"]
queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])                        # a noun is due; an adjective is due
energies = torch.tanh((queries @ W.T)[:, None] + h @ U.T) @ v           # (2, 1, 2) + (3, 2) -> (2, 3, 2) -> (2, 3)
weights = energies.softmax(1)                                           # (2, 3)
contexts = weights @ h                                                  # (2, 3) @ (3, 2) -> (2, 2)
for s, alpha, context in zip(queries, weights, contexts):
    _, _, looped, looped_context = attend_in_loops(s)
    assert torch.allclose(alpha, torch.tensor(looped)) and torch.allclose(context, looped_context)

straight = (((queries @ W.T)[:, None] + h @ U.T) @ v).softmax(1)        # no tanh
for name, found in (("with tanh", weights), ("without", straight)):
    print(f"{name:9}", "; ".join(f"query {s.tolist()}: weights {[round(a, 2) for a in alpha.tolist()]}" for s, alpha in zip(queries, found)))
assert torch.allclose(straight[0], straight[1]) and not torch.allclose(weights[0], weights[1])

# %% [markdown]
# Without the tanh the query adds one number to all energies alike, and the softmax cancels it. With it, each query has its own weights, and so its own context.
#
# ## Into the translator
#
# **Question.** Where does the context go, and how many parameters does attention add?
#
# `RNNTranslator` is the GRU encoder and decoder of notebook 01. In step $i$ the _old_ state $s_{i-1}$ asks. The context $c_i$ then goes, beside the previous word's vector $y_{i-1}$, into the GRU cell and once more into the output:
#
# $$s_{i-1} \to \alpha_i \to c_i, \qquad s_i = \mathrm{GRU}([y_{i-1}; c_i],\, s_{i-1}), \qquad \text{scores} = \mathrm{output}([s_i; c_i; y_{i-1}])$$
#
# Without attention, $c_i$ is the encoder's last state in every step; that is the only difference. One thing is simpler than in the paper: Bahdanau's encoder reads the sentence in both directions, this one only from left to right.
#
# **Predict** how many parameters attention adds, for states of 128 numbers.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.translation.translators import RNNTranslator
from course_lib.translation.vocabulary import BOS, Vocabulary, words
from recipes.translation import BUDGETS, length_bucket, load, recorded_results

bundled = (data, max_words, max_pairs, epochs, hidden_size, learning_rate) == ("course/en_es", 10, 8000, 2, 128, 0.012)
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
print(f"{extra:,} parameters more")
assert extra == 2 * hidden_size**2 + hidden_size and all(attending[name].shape == plain[name].shape for name in plain)

# %% [markdown]
# They are $v$, $U$ and $W$; everything else has the same shape in both models. Now train both, on the same pairs in the same order for the same number of steps.
#
# The pairs come from a grammar written for this course, so there is one right answer; a translation is right if every word is. Samples: the first test sentence of 4, 6, 8 and 10 words. **Predict** what share of all test sentences each model gets right.

# %% tags=["row-1.8"]
from collections import Counter

from course_lib.training import train
from course_lib.translation.decoding import translate
from course_lib.translation.pairs import pair_length, source_batch, target_batch, translation_loss
from course_lib.translation.scores import mean_by

sources, references = zip(*pairs.test)
live, written = {}, {}
for name, model in models.items():
    train(model, lambda batch: translation_loss(model, batch), pairs.train, batch_size=32, epochs=epochs, seed=seed,
          learning_rate=learning_rate, length=pair_length, autocast=False, show_progress_bar=False)
    written[name] = [words(text) for text in translate(model, sources)]
    right = [text == words(reference) for text, reference in zip(written[name], references)]
    live[name] = {group: 100 * share for by in (["all"] * len(right), map(length_bucket, sources)) for group, share in mean_by(list(by), right).items()}
    wrong = [(text, words(reference)) for text, reference, ok in zip(written[name], references, right) if not ok]
    kept = sum((Counter(text) & Counter(reference)).total() / len(reference) for text, reference in wrong) / max(1, len(wrong))
    print(f"{name:17}: {live[name]['all']:.0f}% of {len(right)} right; a wrong one has {100 * kept:.0f}% of the right words, "
          f"and {100 * sum(len(t) < len(r) for t, r in wrong) / max(1, len(wrong)):.0f}% of the wrong ones are too short")
firsts = {len(words(source)): i for i, source in reversed(list(enumerate(sources)))}                # the first of each length
for i in (firsts[n] for n in (4, 6, 8, 10) if n in firsts):
    print(f"\n{sources[i]}\n{references[i]}", *(f"{' '.join(text[i])}   <- {name}" for name, text in written.items()), sep="\n")

# %% [markdown]
# Both models write Spanish. The one without attention often writes about something else; the one with it keeps more of the words, even where it goes wrong. But in the last sample it drops the main verb, "durmió". Attention shows the whole source in each step; it keeps no list of what has been translated already. Only the decoder's state can know that.
#
# ## One step, whole
#
# **Question.** What exactly happens between one word and the next?
#
# `one_step` is the whole step, written out with the trained model's own matrices. (`change` is for an experiment later.) The cell draws the step after the first word of the translation, the encoder above, the decoder below, and asserts that the model's own `step` gives the same.
#
# **Predict:** "las" is written for "the sick women are tired .". Which English word does the decoder look at?

# %% tags=["row-1.8", "row-1.12"] alt="Diagram of one decoder step. Above, the words of 'the sick women are tired' with a striped bar for each encoder state; below each its weight. A thick blue line runs from 'women' into the context in the middle, thin ones from a few other words. Old state, context and the previous word 'las' enter a GRU cell; new state, context and previous word enter the output, which gives mujeres the highest probability of four words."
import matplotlib.pyplot as plt
from course_lib.step_diagram import attention_step

@torch.no_grad()
def one_step(model, previous, s, keys, mask, change=None):
    """previous (batch,) ids, s (batch, hidden), keys (batch, source, hidden) -> scores of all words, new state, context, weights."""
    net, y = model.attention, model.target_embedding(previous)              # y: (batch, embedding)
    energies = torch.tanh(net.query(s)[:, None] + net.key(keys)) @ net.energy.weight[0]     # W s + U h, then v: (batch, source)
    weights = energies.masked_fill(~mask, -torch.inf).softmax(1)            # [PAD] gets 0: see the trap below
    weights = weights if change is None else change(weights, mask)
    c = (weights[:, None] @ keys)[:, 0]                                     # (batch, 1, source) @ (batch, source, hidden)
    s = model.decoder(torch.cat([y, c], 1), s)                              # the GRU cell: (batch, hidden)
    return model.output(torch.tanh(model.readout(torch.cat([s, c, y], 1)))), s, c, weights

sentence, reference = ("the sick women are tired .", "las mujeres enfermas están cansadas .") if bundled else pairs.test[0]
model, first = models["with attention"], spanish.encode(reference)[:1]
with torch.no_grad():
    _, before, _ = model.step(torch.tensor([BOS]), model.start(*source_batch(model, [sentence])))
    theirs, after, _ = model.step(torch.tensor(first), before)
scores, state, context, alpha = one_step(model, torch.tensor(first), before.hidden, before.keys, before.mask)
assert torch.allclose(scores, theirs, atol=1e-5) and torch.allclose(state, after.hidden, atol=1e-5)
attention_step([*words(sentence), "[EOS]"], before.keys[0], alpha[0], spanish.decode(first), before.hidden[0], context[0], state[0],
               {spanish.tokens[i]: scores[0].softmax(0)[i].item() for i in scores[0].topk(4).indices}, title="One step looks at a noun, and writes it")
plt.show()
assert not bundled or alpha[0, words(sentence).index("women")] > 0.5

# %% [markdown]
# The old state is compared with all encoder states. Most of the weight goes to "women", past the adjective before it, so the stripes of the context (12 of its numbers) look almost like those below "women". Old state, context and previous word make the new state, and the output gives "mujeres" the highest probability. In the next step the new state asks, and everything is weighed anew.
#
# ## Does it help where it hurts?
#
# **Question.** One short run proves little. What do more seeds, longer runs and longer sentences say?
#
# `recipes/translation.py` trained both models with your small budget (five seeds), on all pairs of the corpus, up to 25 words (three seeds), and on sentences that people wrote, from [Tatoeba](https://tatoeba.org) (one seed), measured in *BLEU*, a score from 0 to 100 for shared word sequences. The results are **recorded** in `data/results`. **Predict** the shape of both curves over the length of the sentence.

# %% tags=["row-1.12"] alt="Three line charts against the length of the sentence, each with and without attention. Left, exactly right in percent, small budget: with attention from 80 down to 32, without from 41 down to nearly 0; the crosses of the live run lie in or near the bands. Middle, all pairs, up to 26 words: without attention the line reaches zero at about 13 words, with attention it falls slowly from 90 to 28. Right, BLEU on real sentences by thirds: with attention the line is higher everywhere, most on the longest third."
from course_lib.plotting import PALETTE, curve
from course_lib.translation.scores import THIRDS

kinds = {"without attention": "gru", "with attention": "gru-attention"}
recorded = recorded_results(tuple(kinds.values()), full)

def seeds(budget, name, length, metric="exact_match"):
    rows = recorded[recorded.model == kinds[name]].query("budget == @budget and metric == @metric and length == @length")
    return torch.tensor(rows.value.tolist())

panels = ("live", "Small budget (x: your run)"), ("long", "All pairs: only attention reaches the long ones"), ("tatoeba", "Real sentences, one seed")
for ax, (budget, title) in zip(plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", width_ratios=(3, 5, 3))[1], panels):
    real = budget == "tatoeba"
    lengths = THIRDS if real else sorted(n for n in set(recorded.query("budget == @budget").length) if n[0].isdigit())
    names = [n.removesuffix(" third").lstrip("0").replace("-0", "-") for n in lengths]
    for name in kinds:
        curve(names, torch.stack([seeds(budget, name, n, "bleu" if real else "exact_match") for n in lengths], 1), name, ax=ax)
        if budget == "live" and bundled:
            ax.scatter(names, [live[name][n] for n in lengths], marker="x", color="black", s=60, zorder=3)
    ax.set(xlabel="third by length" if real else "English words", ylabel="BLEU" if real else "exactly right, %", ylim=(-3, 50 if real else 100), title=title)
plt.show()

# %% tags=["row-1.12"]
for third in THIRDS:
    gap = seeds("long", "with attention", third) - seeds("long", "without attention", third)            # (3 seeds,)
    half = 4.303 * gap.std() / 3**0.5                                       # Student's t: a 95% interval from three values
    real = (seeds("tatoeba", "with attention", third, "bleu") - seeds("tatoeba", "without attention", third, "bleu")).item()
    print(f"{third:15} attention adds {gap.mean():.0f} points, 95% interval +-{half:.0f}; on real sentences {real:.1f} BLEU")
    assert gap.mean() - half > 20 and real > 0
for name in kinds:
    band = seeds("live", name, "all")
    print(f"small budget, {name}: you {live[name]['all']:.0f}%, recorded {band.min():.0f} to {band.max():.0f}%")
    assert not bundled or band.min() - 5 <= live[name]["all"] <= band.max() + 5

# %% [markdown]
# The bands run from the lowest to the highest seed; your run must lie within 5 points of its band. Without attention, sentences of a dozen words hardly ever come out without a mistake; with it the curve falls slowly. In each third of the lengths the gap is more than 20 points, with 95% certainty. Real sentences gain too, but that is one seed.
#
# One wrong word spoils a sentence, so any such curve falls. It is the _gap_ that speaks for attention.
#
# ## Where does it look?
#
# **Question.** Spanish puts most adjectives behind the noun: "the red car" is "el coche rojo". Does the decoder look at "car" while it writes "coche", and then _back_ at "red"?
#
# The corpus says which words belong together: these pairs are the _links_, the _alignment_ of the two sentences. The maps show two test sentences with such a swap that your model translates without a mistake: the first in which the strongest weights follow the swap, and the first in which the adjective's does not. Each row is a step of the decoder; red frames mark the links. **Predict** what a swap looks like.

# %% tags=["row-1.11"] alt="Two heatmaps of attention weights, Spanish words as rows, English words as columns, red frames around the linked words. Left, the largest weights of noun and adjective lie in the two frames that cross the diagonal. Right, the adjective's largest weight lies outside its frame. In both, some other rows have their largest weight to the right of their frame."
from course_lib.plotting import attention_map
from course_lib.translation.decoding import decode

def adjectives(links):
    """Places of Spanish words that change places with the word before: links (i, j) and (i + 1, j - 1), no others."""
    single = {(a, b) for a, b in links if [x for x, _ in links].count(a) == [y for _, y in links].count(b) == 1}
    return {b: a for a, b in single if (a + 1, b - 1) in single}                # Spanish place -> English place

found, chosen = decode(model, sources), {}
for i, (translation, links) in enumerate(zip(found, pairs.links)):
    if words(translation.text) == words(references[i]) and 6 <= len(words(sources[i])) <= 8 and (swapped := adjectives(links)):
        strongest = translation.weights.argmax(1).tolist()
        follows = all(strongest[b] == a and strongest[b - 1] == a + 1 for b, a in swapped.items())
        if follows or all(strongest[b] != a for b, a in swapped.items()):
            chosen.setdefault(follows, i)
figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, follows, title in zip(axes, (True, False), ("Noun and adjective cross", "The adjective looks elsewhere, and is right")):
    if (i := chosen.get(follows)) is not None:
        attention_map(found[i].weights, [*words(sources[i]), "[EOS]"], found[i].tokens, title=title, ax=ax)
        for a, b in pairs.links[i]:
            ax.add_patch(plt.Rectangle((a - 0.5, b - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=2))
plt.show()
assert not bundled or len(chosen) == 2

# %% [markdown]
# On the left the weights of noun and adjective cross, as hoped. On the right the adjective's largest weight is not on its English word, and the translation is right all the same. Keep this second map in mind.
#
# ### Count, and count what a ruler would get
#
# Two maps are an anecdote. Take every linked Spanish word of the test sentences: does its largest weight lie on a word linked with it? The model's own mistakes should not count, so it is given the reference translation word by word (_teacher forcing_), and only its weights are read.
#
# The share means nothing alone, because most words keep about their place. Three methods compete that do not know the words: the same position; the diagonal, scaled by both lengths; and your model's weights for _another_ test sentence of the same lengths. **Predict** who wins over all linked words, and who over those for which the diagonal is wrong.

# %% tags=["row-1.11"] alt="Three panels of horizontal bars, linked words found in percent. All linked words: the scaled diagonal has the longest bar, attention comes second, with marks for its seeds on both sides of the diagonal's length. Only the words off the diagonal: attention has by far the longest bar, another sentence's weights about half of it, the diagonal none. Long run, all linked words: attention, with three marks close together for its seeds, far ahead of diagonal and same position."
from course_lib.translation.scores import alignment_hits, attention_weights, position_only
def found_by(all_weights, pairs):                                       # (linked words,): is the largest weight on a link?
    return torch.tensor([hit for weights, links in zip(all_weights, pairs.links) for hit in alignment_hits(weights, links)], dtype=torch.bool)
def rulers(pairs):
    shapes = [torch.zeros(len(words(target)) + 1, len(words(source)) + 1) for source, target in pairs.test]
    return {name: found_by([position_only(shape, scaled) for shape in shapes], pairs) for name, scaled in (("same position", False), ("scaled diagonal", True))}

all_weights = attention_weights(model, pairs.test)                      # for each pair (target words + 1, source words + 1)
alike = {weights.shape: [k for k, other in enumerate(all_weights) if other.shape == weights.shape] for weights in all_weights}
another = {k: same[n - 1] for same in alike.values() for n, k in enumerate(same)}       # the one before, of the same shape
hits = rulers(pairs) | {"another sentence's weights": found_by([all_weights[another[k]] for k in range(len(all_weights))], pairs),
                        "attention": found_by(all_weights, pairs)}
short_run, long_run = (seeds(budget, "with attention", "all", "alignment") for budget in ("live", "long"))    # (5 seeds,), (3 seeds,)
long_rulers = {name: 100 * hit.float().mean().item() for name, hit in rulers(load(BUDGETS["long"])).items()}
shares, shares_off = ({name: 100 * hit[which].float().mean().item() for name, hit in hits.items()} for which in (slice(None), ~hits["scaled diagonal"]))
for ax, values, marks, title in zip(plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained", sharey=True)[1], (shares, shares_off, long_rulers | {"attention": long_run.mean().item()}),
                                    (short_run, [], long_run), ("All linked words", "Off the diagonal: attention wins", "Long run, recorded: attention wins")):
    ax.barh(list(values), list(values.values()), color=[PALETTE[name == "attention"] for name in values])
    for name, value in values.items():
        ax.text(98, name, f"{value:.0f}", ha="right", va="center")
    ax.plot(marks, ["attention"] * len(marks), "k|", markersize=14)         # recorded seeds
    ax.set(xlim=(0, 100), xlabel="largest weight on a linked word, %", title=title)
plt.show()
assert not bundled or shares_off["attention"] > shares_off["another sentence's weights"] + 15
assert long_run.min() > long_rulers["scaled diagonal"] + 20 and (not bundled or short_run.min() < shares["scaled diagonal"] < short_run.max())

# %% [markdown]
# Over all linked words, attention after a short training is no better than a ruler: its recorded seeds (black marks) lie on both sides of the diagonal. Off the diagonal it is different. The weights of another sentence find there what position can tell; attention finds far more, so its weights follow the _words_. In the long run it also wins over all words. Nobody told the model about links.
#
# ## Which way does it miss, and how narrow is the look?
#
# **Question.** Attention is often likened to an eye that rests on one word. On how many does it really rest, and where when it misses?
#
# The *entropy* of a step's weights, $-\sum_j \alpha_j \log_2 \alpha_j$ in bits, is 0 when one word has all the weight and $\log_2 n$ when $n$ words share it evenly. So 2 to the power of the entropy counts the places, as if the weight were spread evenly. The baseline is the network before training. **Predict** both: the direction, and the number of places for ten words.

# %% tags=["row-1.9"]
from course_lib.translation.scores import entropy

looks = [weights.argmax(1).tolist() for weights in all_weights]         # where the largest weight lies
linked = [(i, t) for i, links in enumerate(pairs.links) for t in sorted({t for _, t in links})]     # all linked Spanish words
distances = Counter(min((looks[i][t] - source for source, target in pairs.links[i] if target == t), key=abs) for i, t in linked)
misses = {side: sum(n for distance, n in distances.items() if distance in which) for side, which in
          {"one word to the right": {1}, "further right": range(2, 99), "to the left": range(-99, 0)}.items()}
print("misses:", ", ".join(f"{100 * n / max(1, sum(misses.values())):.0f}% {side}" for side, n in misses.items()))
assert not bundled or misses["one word to the right"] > sum(misses.values()) / 2

def spread(all_weights):
    """{English words: over how many places a step's weight is spread, on average}"""
    return mean_by([weights.shape[1] - 1 for weights in all_weights], [2 ** entropy(weights).mean().item() for weights in all_weights])

trained, untrained = spread(all_weights), spread(attention_weights(new_translator(True), pairs.test))
for n in trained:                                                       # [EOS] is a place to look at, too
    print(f"{n:2} words: before training {untrained[n]:4.1f} of {n + 1} places; trained {trained[n]:.1f}, or {100 * trained[n] / (n + 1):.0f}% of them")
assert not bundled or all(trained[n] < untrained[n] / 2 for n in range(4, 11))
assert not bundled or (trained[10] > trained[4] and trained[10] / 11 < trained[4] / 5)

# %% [markdown]
# Most misses lie one word to the right. That fits an encoder that reads from left to right: the state after a word tells of that word too. Articles have a reason of their own: "the" does not say whether "el", "la", "los" or "las" is due, and the noun that does comes next.
#
# Before training the weight lies evenly on all places. Afterwards a step looks at two or three, not at one: in longer sentences at more, but at a smaller share.
#
# ## What a weight does not explain
#
# **Question.** "The model wrote 'rojo' because it looked at 'red'." Is that what a weight says?
#
# Interfere, and see. Give the model the right previous words, and count how often its next word is right: with the learnt weights; with all weight on the strongest word; with the strongest word removed and its weight given to the others; with all words alike; with the weights of each step dealt out at random. Nothing else changes, and your `one_step` runs. The baseline is the model trained without attention, given the same previous words. **Predict:** which of the five fall below it?

# %% tags=["row-1.10"] alt="Horizontal bars of right next words in percent: learnt weights highest at about 90, strongest word only a little lower, then the model without attention at about 71, marked by a dashed line; strongest word removed, all words alike and weights dealt out at random all end to the left of that line, between about 48 and 64."
(source, mask), (target, real) = source_batch(model, sources), target_batch(model, references)

@torch.no_grad()
def right_next_words(change=None, visible=mask):
    """(pairs, target words + 1): is the model's next word right, after the right words before it?"""
    state, best = model.start(source, mask), []
    s = state.hidden
    for t in range(target.shape[1] - 1):
        scores, s, _, _ = one_step(model, target[:, t], s, state.keys, visible, change)
        best.append(scores.argmax(1))                                   # (pairs,)
    return torch.stack(best, 1) == target[:, 1:]

def strongest_only(weights, mask):
    return torch.zeros_like(weights).scatter(1, weights.argmax(1, keepdim=True), 1.0)

def strongest_removed(weights, mask):
    rest = weights.scatter(1, weights.argmax(1, keepdim=True), 0.0)
    return rest / rest.sum(1, keepdim=True)

def dealt_out(weights, mask):
    return weights.gather(1, torch.rand(weights.shape).masked_fill(~mask, 2).argsort(1))    # [PAD] stays last

changes = {"learnt weights": None, "strongest word only": strongest_only, "strongest word removed": strongest_removed,
           "all words alike": lambda weights, mask: mask / mask.sum(1, keepdim=True), "dealt out at random": dealt_out}

# %% tags=["row-1.10"] alt="Horizontal bars of right next words in percent: learnt weights highest at about 90, strongest word only a little lower. The bar of the model without attention ends at about 71, a dashed line. Strongest word removed, all words alike and weights dealt out at random all end to the left of that line, the last at about 47."
torch.manual_seed(seed)
right = {name: right_next_words(change) for name, change in changes.items()}
with torch.no_grad():
    right["without attention"] = models["without attention"](source, mask, target[:, :-1])[0].argmax(2) == target[:, 1:]
shares = {name: 100 * found[real[:, 1:]].float().mean().item() for name, found in right.items()}
baseline, names = shares["without attention"], list(shares)
_, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
drawn = ax.barh(names, list(shares.values()), color=["dimgray" if name == "without attention" else PALETTE[0] for name in names])
ax.bar_label(drawn, fmt="%.0f", label_type="center", color="white")
ax.axvline(baseline, color="black", linestyle="--")
ax.invert_yaxis()
ax.set(xlim=(0, 100), xlabel="right next words, %", title="Wrong weights are worse than a model without attention")
plt.show()
assert not bundled or min(shares["learnt weights"], shares["strongest word only"]) > baseline + 5
assert not bundled or max(shares["strongest word removed"], shares["all words alike"], shares["dealt out at random"]) < baseline - 3

# %% [markdown]
# All weight on the strongest word is nearly as good as the learnt weights. The other three changes leave fewer right words than the model without attention has. So this decoder relies on its weights. What is left without them comes from its state and the previous word.
#
# Now the case of the second map: a word is right although its strongest weight lies elsewhere. Punctuation and articles are easy to guess, so they are counted apart, and each group stands beside the model without attention. **Predict:** of the other words with the strongest weight off the link, how many are right?

# %% tags=["row-1.10"]
ARTICLES = {"el", "la", "los", "las", "un", "una", "unos", "unas"}
groups = {}
for i, t in linked:
    word = words(references[i])[t]
    kind = "punctuation" if not word[0].isalnum() else "articles" if word in ARTICLES else "other words"
    group = f"{'on' if (looks[i][t], t) in pairs.links[i] else 'off'} the linked word: {kind}"
    groups.setdefault(group, []).append([right[name][i, t].item() for name in ("learnt weights", "strongest word removed", "without attention")])

columns = ("words", "learnt weights", "strongest removed", "no attention")
print(f"{'right next words, %; strongest weight...':42}" + "".join(f"{name:>19}" for name in columns))
table = {group: 100 * torch.tensor(rows, dtype=torch.float).mean(0) for group, rows in sorted(groups.items(), reverse=True)}
for group, (learnt, removed, none) in table.items():
    print(f"{group:42}{len(groups[group]):19}{learnt:19.0f}{removed:19.0f}{none:19.0f}")
if bundled:
    on, off_link = table["on the linked word: other words"], table["off the linked word: other words"]
    assert off_link[0] > off_link[2] + 10 and on[0] > off_link[0] + 10
    assert on[0] - on[1] > 2 * (off_link[0] - off_link[1])

# %% [markdown]
# Look at the rows of "other words". Off the link most words are right, fewer than on it but more than without attention. So the information often came through in another way. The third column agrees: on the link, removing the strongest word spoils many words; off it, the loss is small.
#
# A weight tells how much of a _state_ went into the context. It does not tell which word that state is about (it has read everything before it), nor that the output depends on it. Two papers below argue about this. To know what matters, change it and measure.
#
# ## Now from course_lib
#
# The module inside the translator is `course_lib.attention.AdditiveAttention`. Given the toy numbers it must give the toy weights, and the trained one what your lines of matrices give. Printed are the last lines of its `forward`; those before check shapes.

# %% tags=["row-1.8", "nbval-check-output"]
import inspect

from course_lib.attention import AdditiveAttention, masked_softmax

toy = AdditiveAttention(query_size=2, key_size=2, attention_size=2)
toy.load_state_dict({"query.weight": W, "key.weight": U, "energy.weight": v[None]})
for s, context, alpha in zip(queries, contexts, weights):
    its_context, its_weights = toy(s[None], h[None])                    # batches of one
    assert torch.allclose(its_context[0], context, atol=1e-6) and torch.allclose(its_weights[0], alpha, atol=1e-6)

trained_module = model.attention
q, k = torch.randn(1, hidden_size), torch.randn(5, hidden_size)         # a query and five keys
by_hand = torch.tanh(q @ trained_module.query.weight.T + k @ trained_module.key.weight.T) @ trained_module.energy.weight[0]     # (5,)
assert torch.allclose(trained_module(q, k[None])[1][0], by_hand.softmax(0), atol=1e-5)
print(*inspect.getsource(AdditiveAttention.forward).splitlines()[-5:], sep="\n")

# %% [markdown]
# `projected` is $U h_j$ for all words; the translator computes it once a sentence.
#
# ## Trap: a softmax that counts [PAD]
#
# Sentences of a batch are filled up to one length with `[PAD]`. The translator's encoder skips them (torch calls this packing) and has zeros where their states would be. But a zero vector is a key like any other: its energy is $v \cdot \tanh(W s)$, and the softmax gives it a weight. So padding has to be left out _before_ the softmax, by an energy of minus infinity, whose exponential is 0.
#
# **Predict** for the toy sentence with two `[PAD]` behind it: what do the weights of the words add up to without a mask, and with one that is multiplied afterwards? And what does a missing mask cost the trained model?

# %% tags=["row-1.10"]
padded = torch.cat([h, torch.zeros(2, 2)])                              # (5, 2): three words, two [PAD]
is_word = torch.tensor([True, True, True, False, False])
energies = torch.tanh(W @ queries[0] + padded @ U.T) @ v                # (5,)
masked = {"no mask": energies.softmax(0), "multiplied afterwards": energies.softmax(0) * is_word,
          "minus infinity before": energies.masked_fill(~is_word, -torch.inf).softmax(0)}
for name, alpha in masked.items():
    print(f"{name:22} words {alpha[is_word].sum():.3f}, [PAD] {alpha[~is_word].sum():.3f}")
assert torch.equal(masked["minus infinity before"], masked_softmax(energies, is_word))
assert torch.allclose(masked["minus infinity before"][:3], weights[0]) and not torch.allclose(masked["no mask"][:3], weights[0])

def first_weights(texts, use_mask):
    """The weights of the first step on the first text, beside the others."""
    ids, real = source_batch(model, texts)
    state = model.start(ids, real)
    return model.attention(state.hidden, state.keys, real if use_mask else None)[1][0, : real[0].sum()]

short, long = min(sources, key=len), max(sources, key=len)
for name, visible in (("with a mask", mask), ("without a mask", torch.ones_like(mask))):
    with torch.no_grad():
        same = torch.allclose(first_weights([short], visible is mask), first_weights([short, long], visible is mask), atol=1e-5)
    share = 100 * right_next_words(visible=visible)[real[:, 1:]].float().mean().item()
    print(f"{name:14}: same weights alone and beside a longer sentence: {same}; {share:.1f}% right next words")
    assert same == (visible is mask)

# %% [markdown]
# Without the mask nothing fails and little gets worse, but a sentence's translation depends on its neighbours in the batch. The test that finds it: the same sentence alone and beside a longer one.
#
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** Additive energies of every step with every source word, for a whole batch, without a loop. No softmax yet.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def additive_energies(queries, keys, W, U, v):
    """queries (batch, target, q), keys (batch, source, k), W (a, q), U (a, k), v (a,) -> energies (batch, target, source)."""
    ...

check("02.1", additive_energies)

# %% [markdown]
# **2.** From energies to weights, with padding left out. The energies may be large, of either sign. And a row may be all padding: its weights are all 0.

# %% tags=["exercise", "nbval-check-output"]
def attention_from_energies(energies, mask):
    """energies (batch, source), mask (batch, source) of booleans, True = real word -> weights (batch, source)."""
    ...

check("02.2", attention_from_energies)

# %% [markdown]
# **3.** Alignment share of one sentence. A target word may be linked with several source words: then a look at any of them is right. Words without a link do not count.

# %% tags=["exercise", "nbval-check-output"]
def alignment_share(weights, links):
    """weights (target, source), links: a list of (source, target) pairs, not empty -> a number from 0 to 1."""
    ...

check("02.3", alignment_share)

# %% [markdown]
# ## Questions
#
# **1.** Somebody leaves the tanh out. What does this attention look at?
#
# <details><summary>Answer</summary>At the same words in every step. The query adds one number to all energies, and the softmax cancels it.</details>
#
# **2.** A colleague masks by setting the energies of padding to 0 before the softmax. What goes wrong?
#
# <details><summary>Answer</summary>An energy of 0 is an ordinary energy: exp(0) = 1, so padding gets more weight than words whose energy is below 0.</details>
#
# **3.** A paper reports that the strongest weight lies on the linked word for 62% of the words. What do you ask?
#
# <details><summary>Answer</summary>What a diagonal scaled by length reaches on the same sentences, and how many words off that diagonal the model finds.</details>
#
# ## Summary
#
# - Attention compares the decoder's old state with every encoder state, and makes a new context in every step.
# - It adds two matrices and a vector. With them the model translates sentences that are out of reach for a single vector.
# - Its weights are positive, sum to 1, and are 0 on padding, if the mask comes before the softmax.
# - The strongest weight follows words that leave the diagonal. Over all words a diagonal does as well as a short training, so always measure one.
# - Weights show where a model looks, not why it writes what it writes: interfere, and compare with a model without attention.
#
# ## References
#
# - Bahdanau, Cho and Bengio (2014, ICLR 2015), [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473): figure 3 has such maps.
# - Cho et al. (2014), [the encoder-decoder without attention](https://arxiv.org/abs/1406.1078).
# - Tu et al. (2016), [Modeling coverage for neural machine translation](https://arxiv.org/abs/1601.04811): a list of what has been translated.
# - Jain and Wallace (2019), [Attention is not explanation](https://arxiv.org/abs/1902.10186); Wiegreffe and Pinter (2019), [Attention is not not explanation](https://arxiv.org/abs/1908.04626).
#
# **Next:** [03_transformer](03_transformer.ipynb) keeps the attention and drops the recurrence.
