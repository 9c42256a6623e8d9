# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/02_attention.ipynb)
#
# # What does the decoder look at, and how much does it help?
#
# The translator of notebook 01 presses a whole sentence into one vector, and gets long sentences wrong. Here the decoder may look at every word's state in each step. You measure how much that helps, and where it looks.
#
# | | |
# |---|---|
# | You will be able to | compute additive attention by hand; train translators with and without it; measure where one looks; test what a weight explains |
# | You need first | what an encoder, a decoder and a state are (notebook 01) |
# | Time | 60 minutes to read; the code runs in about half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the corpus comes with the course |

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
# Two small translators train on at most `max_pairs` English-Spanish pairs of at most `max_words` English words. `full = True` repeats the recorded trainings on the course's corpus.

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
# **Question.** The encoder leaves one state for each source word. How can the decoder make one vector of them, anew in each step?
#
# Bahdanau, Cho and Bengio (2014) let a small network compare the decoder's state $s$, the *query*, with each encoder state $h_j$, a *key*. Each pair gets a score, its *energy* $e_j$:
#
# $$e_j = v \cdot \tanh(W s + U h_j), \qquad \alpha_j = \frac{\exp e_j}{\sum_k \exp e_k}, \qquad c = \sum_j \alpha_j h_j$$
#
# The middle formula is the *softmax*: it turns any numbers into positive ones that add up to 1. These $\alpha_j$ are the *attention weights*. The average of the states with these weights, $c$, is the *context*. The matrices $W$ and $U$ and the vector $v$ are learnt. Query and key are added before the tanh, so this is *additive attention*.
#
# Take "the red car", to be translated as "el coche rojo". In the toy below a state has two numbers: is the word a noun, is it an adjective? A query says in the same way what is due next. $W$, $U$ and $v$ are chosen by hand.
#
# **Predict:** a noun is due, so the query is (1, 0). What does $W s$ add inside the two tanh, and which word gets the highest energy?

# %% tags=["row-1.8", "nbval-check-output"]
import math

import torch

torch.set_num_threads(1)                                                # the matrices are small
h = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])                  # (3 words, 2): the encoder's states
W = torch.tensor([[0.0, -4.0], [-4.0, 0.0]])
U = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
v = torch.tensor([3.0, 3.0])

def attend_in_loops(s):
    bent, energies = [], []
    for key in h:
        bent.append([math.tanh(W[k] @ s + U[k] @ key) for k in range(2)])
        energies.append(sum(v[k].item() * bent[-1][k] for k in range(2)))
    weights = [math.exp(energy) / sum(map(math.exp, energies)) for energy in energies]
    context = sum(weight * key for weight, key in zip(weights, h))
    return bent, energies, weights, context

noun_due = torch.tensor([1.0, 0.0])
print("W s =", (W @ noun_due).tolist())
bent, energies, weights, _ = attend_in_loops(noun_due)
for word, (first, second), energy, weight in zip(["the", "red", "car"], bent, energies, weights):
    print(f"{word}: energy 3 * {first:.3f} + 3 * {second:.3f} = {energy:.2f}, weight {weight:.2f}")
assert weights[2] > 0.8

# %% [markdown]
# The query adds nothing inside the first tanh and -4 inside the second. That far down a tanh is flat: the second stays close to -1 for all words. The first is near 1 for "car", the noun, and 0 for the others. So "car" gets the highest energy.
#
# **Predict** what becomes of the weights of two queries without the tanh.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.attention import AdditiveAttention, masked_softmax

queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])                        # a noun is due; an adjective is due
weights = torch.stack([torch.tanh(W @ s + h @ U.T) @ v for s in queries]).softmax(1)       # (2 queries, 3 words)
contexts = weights @ h                                                  # (2, 3) @ (3, 2) -> (2, 2)
without_tanh = torch.stack([(W @ s + h @ U.T) @ v for s in queries]).softmax(1)            # (2, 3)
for i in range(2):
    print(
        f"query {queries[i].tolist()}: with tanh {[round(a, 2) for a in weights[i].tolist()]}, "
        f"without {[round(a, 2) for a in without_tanh[i].tolist()]}"
    )
assert torch.equal(weights.argmax(1), torch.tensor([2, 1])) and torch.allclose(without_tanh[0], without_tanh[1])

toy = AdditiveAttention(query_size=2, key_size=2, attention_size=2)
toy.load_state_dict({"query.weight": W, "key.weight": U, "energy.weight": v[None]})
for i in range(2):
    _, _, looped, context = attend_in_loops(queries[i])
    assert torch.allclose(weights[i], torch.tensor(looped)) and torch.allclose(contexts[i], context)
    its_context, its_weights = toy(queries[i : i + 1], h[None])         # a batch of one
    assert torch.allclose(its_weights[0], weights[i]) and torch.allclose(its_context[0], contexts[i])

# %% [markdown]
# Without the tanh the query adds the same number to all energies, and the softmax cancels it. With the tanh each query has its own weights. Loops, matrices and `AdditiveAttention` from `course_lib` agree.
#
# ## Into the translator
#
# **Question.** Where does the context enter the decoder, and how many parameters does attention add?
#
# `RNNTranslator` is the GRU encoder and decoder of notebook 01; its encoder reads forwards only, that of Bahdanau et al. both ways. In step $i$ the _old_ state $s_{i-1}$ is the query. The context $c_i$ goes, beside the previous word's vector $y_{i-1}$, into the GRU cell, and once more into the _readout_, a layer of tanh before the output layer. With matrices $R$ and $O$:
#
# $$s_{i-1} \to \alpha_i \to c_i, \qquad s_i = \mathrm{GRU}([y_{i-1}; c_i],\, s_{i-1}), \qquad \text{scores} = O \tanh(R\,[s_i; c_i; y_{i-1}])$$
#
# The model without attention has the encoder's last state as $c_i$ in every step. Otherwise the two are built alike.
#
# Here $W$ and $U$ are 128 by 128. **Predict** how many parameters attention adds.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.translation.translators import RNNTranslator
from course_lib.translation.vocabulary import BOS, Vocabulary, words
from recipes.translation import BUDGETS, length_bucket, load, recorded_results

# the asserts about results of a training speak of these values only, and some of this seed only
as_given = (data, max_words, max_pairs, epochs, hidden_size, learning_rate) == ("course/en_es", 10, 8000, 2, 128, 0.012)
this_run = as_given and seed == 0
pairs = load(BUDGETS["live"]._replace(data=data, max_words=max_words))
pairs = pairs._replace(train=pairs.train[:: math.ceil(len(pairs.train) / max_pairs)])
english, spanish = (Vocabulary.build(texts, max_size=10_000) for texts in zip(*pairs.train))

def new_translator(attention):
    torch.manual_seed(seed)
    return RNNTranslator(english, spanish, embedding_size=64, hidden_size=hidden_size, attention=attention, dropout=0.0)

models = {"without attention": new_translator(False), "with attention": new_translator(True)}
plain, attending = (model.state_dict() for model in models.values())
added = sorted(attending.keys() - plain.keys())
for name in added:
    print(f"{name:24} {tuple(attending[name].shape)}")
extra = sum(attending[name].numel() for name in added)
print(f"{extra:,} parameters more")
assert extra == 2 * hidden_size**2 + hidden_size and all(attending[name].shape == plain[name].shape for name in plain)

# %% [markdown]
# They are $v$, $U$ and $W$. Now train both models, on the same pairs in the same order. The pairs come from a grammar written for this course, which gives each sentence one right answer. A translation is right if every word is. A milder measure is the share of the right answer's words that stand in the translation, in any order. The samples are the first test sentences of 4, 6, 8 and 10 words, counting punctuation.

# %% tags=["row-1.8"]
from collections import Counter

from course_lib.training import train
from course_lib.translation.decoding import translate
from course_lib.translation.pairs import pair_length, source_batch, target_batch, translation_loss
from course_lib.translation.scores import mean_by

sources, references = zip(*pairs.test)
answers = [words(reference) for reference in references]
written, correct, kept = {}, {}, {}
for name, model in models.items():
    train(model, lambda batch: translation_loss(model, batch), pairs.train, batch_size=32, epochs=epochs, seed=seed,
          learning_rate=learning_rate, length=pair_length, autocast=False, show_progress_bar=False)
    written[name] = [words(text) for text in translate(model, sources)]
    compared = list(zip(written[name], answers))
    correct[name] = 100 * sum(text == answer for text, answer in compared) / len(answers)
    kept[name] = 100 * sum(
        (Counter(text) & Counter(answer)).total() / len(answer)
        for text, answer in compared
    ) / len(answers)
    print(f"{name:17}: {correct[name]:.0f}% of {len(answers)} sentences right, {kept[name]:.0f}% of the right words")
assert not as_given or (
    correct["with attention"] > correct["without attention"] + 25
    and kept["with attention"] > kept["without attention"] + 15
)

lengths = [len(words(source)) for source in sources]
for i in [lengths.index(length) for length in (4, 6, 8, 10) if length in lengths]:
    print(f"\n{sources[i]}\n{references[i]}")
    for name in models:
        print(f"{' '.join(written[name][i])}   <- {name}")
assert not this_run or written["with attention"][i] != answers[i]       # the last of them

# %% [markdown]
# In this run the model with attention is ahead by both measures. Its samples still hold mistakes: in the stored output the first adds a word, and the last drops the main verb, "durmió".
#
# ## One step, whole
#
# **Question.** What happens between one word and the next?
#
# `one_step` computes the whole step with the trained model's own matrices. As in notebook 01, `[BOS]` begins a sentence and `[EOS]` ends it. The encoder reads `[EOS]`, too.
#
# For "the sick women are tired .", the decoder has just written "las". **Predict:** at which English word does it look now?

# %% tags=["row-1.8"]
from collections import namedtuple

Step = namedtuple("Step", "energies weights context state scores")

@torch.no_grad()
def one_step(model, previous, s, keys, mask, weights=None):
    """previous word (batch,) ids, s (batch, hidden), keys (batch, source, hidden), mask (batch, source)."""
    net, y = model.attention, model.target_embedding(previous)          # y: (batch, embedding)
    # W s + U h, then v: (batch, source)
    energies = torch.tanh(net.query(s)[:, None] + net.key(keys)) @ net.energy.weight[0]
    if weights is None:
        weights = energies.masked_fill(~mask, -torch.inf).softmax(1)    # [PAD] gets 0: see the trap below
    c = (weights[:, None] @ keys)[:, 0]                                 # (batch, 1, source) @ (batch, source, hidden)
    s = model.decoder(torch.cat([y, c], 1), s)                          # the GRU cell: (batch, hidden)
    return Step(energies, weights, c, s, model.output(torch.tanh(model.readout(torch.cat([s, c, y], 1)))))

sentence, translation = (
    ("the sick women are tired .", "las mujeres enfermas están cansadas .") if as_given
    else pairs.test[0]
)
model, previous = models["with attention"].eval(), torch.tensor(spanish.encode(translation)[:1])
with torch.no_grad():
    _, before, _ = model.step(torch.tensor([BOS]), model.start(*source_batch(model, [sentence])))
    its_scores, its_state, its_weights = model.step(previous, before)   # the step of course_lib.translation
step = one_step(model, previous, before.hidden, before.keys, before.mask)
for mine, its in ((step.scores, its_scores), (step.state, its_state.hidden), (step.weights, its_weights)):
    assert torch.allclose(mine, its, atol=1e-4)

# %% tags=["row-1.12"] alt="Diagram of one decoder step. Above, the words of 'the sick women are tired' with a striped bar for each encoder state. A dotted line from the old state runs past all of them; below each stand its energy and its weight. A thick blue line runs from the weight of 'women' into the context, thin ones from a few other words. Old state, context and the previous word 'las' enter a GRU cell; new state, context and previous word enter the readout, which gives mujeres the highest probability of four words."
import matplotlib.pyplot as plt
from course_lib.step_diagram import attention_step

probabilities = step.scores[0].softmax(0)
best = {spanish.tokens[i]: probabilities[i].item() for i in probabilities.topk(4).indices}
attention_step([*words(sentence), "[EOS]"], before.keys[0], step.energies[0], step.weights[0], words(translation)[0],
               before.hidden[0], step.context[0], step.state[0], best, title="One step of the decoder")
plt.show()
assert not as_given or (
    step.weights[0].argmax() == words(sentence).index("women")
    and max(best, key=best.get) == "mujeres"
)

# %% [markdown]
# The softmax gives most of the weight to "women". So the stripes of the context (12 of its numbers) resemble those below "women". The readout gives "mujeres" the highest probability.
#
# ## Does it help with long sentences?
#
# **Question.** So far there was one run, on short sentences. What do more seeds and longer sentences say?
#
# Of the settings in which `recipes/translation.py` trained both kinds of model, three are shown: your budget (five seeds), all pairs up to 25 words (three seeds), and, with larger models, sentences that people wrote, from [Tatoeba](https://tatoeba.org) (one seed). The learning rates differ between settings. These last are measured in *BLEU*, a score from 0 to 100 for shared word sequences. All these results are **recorded**. **Predict** how both curves run as the sentences get longer.

# %%
from course_lib.plotting import attention_map, bars, curve
from course_lib.translation.scores import THIRDS

kinds = {"without attention": "gru", "with attention": "gru-attention"}
recorded = recorded_results(["gru", "gru-attention", "lstm"], full)

def runs(budget, name, lengths, metric="exact_match"):
    """(seeds, lengths): the recorded values."""
    rows = recorded[
        (recorded.budget == budget)
        & (recorded.model == kinds.get(name, name))
        & (recorded.metric == metric)
    ]
    return torch.tensor(rows.pivot(index="seed", columns="length", values="value")[list(lengths)].to_numpy().copy())

def first_and_last(bucket, budget):
    """"09-11" -> 9, 11; no pair of the budget is longer than its max_words."""
    first, last = map(int, bucket.split("-"))
    return first, min(last, BUDGETS[budget].max_words)

# %% tags=["row-1.12"] alt="Three line charts against the length of the sentence, each with and without attention. Left, exactly right in percent, small budget: with attention from about 80 down to 32, without from 41 down to nearly 0; of the crosses of the live run one lies clearly outside its band, at about 25 below the line with attention for 9 and 10 words. Middle, all pairs, up to 25 words: without attention the line falls to zero at about 13 words, a dotted one of an LSTM nearly on it; with attention it falls from 90 to 28. Right, BLEU on real sentences by thirds: with attention the line is higher everywhere, most on the longest third."
_, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", width_ratios=(3, 5, 3))
titles = {"live": "Small budget (x: your run)", "long": "All pairs up to 25 words"}
for ax, (budget, title) in zip(axes, titles.items()):
    buckets = sorted({length for length in recorded[recorded.budget == budget].length if length[0].isdigit()})
    shown = ["{}-{}".format(*first_and_last(bucket, budget)) for bucket in buckets]
    for name in kinds:
        curve(shown, runs(budget, name, buckets), name, ax=ax)
        if budget == "live" and as_given:
            mine = mean_by(
                [length_bucket(source) for source in sources],
                [text == answer for text, answer in zip(written[name], answers)],
            )
            ax.scatter(shown, [100 * mine[bucket] for bucket in buckets], marker="x", color="black", s=60, zorder=3)
    ax.set(xlabel="English words", ylabel="exactly right, %", ylim=(-3, 100), title=title)
curve(shown, runs("long", "lstm", buckets), "an LSTM without", ax=axes[1])               # buckets: of the long run
for name in kinds:
    curve([third.removesuffix(" third") for third in THIRDS], runs("tatoeba", name, THIRDS, "bleu"), name, ax=axes[2])
axes[2].set(xlabel="third by length", ylabel="BLEU", ylim=(-1.5, 50), title="Real sentences, one seed")
plt.show()

# %% tags=["row-1.12"]
attending_runs, plain_runs = (                                          # (seeds, lengths) each
    runs("long", name, buckets) for name in ("with attention", "without attention")
)
print("all pairs up to 25 words, exactly right, % (one number a seed):")
for bucket, attending_shares, plain_shares in zip(buckets, attending_runs.T.tolist(), plain_runs.T.tolist()):
    first, last = first_and_last(bucket, "long")
    attending, plain = (" ".join(f"{share:5.1f}" for share in shares) for shares in (attending_shares, plain_shares))
    print(f"{first:2}-{last:2} English words: {attending} with attention, {plain} without")
for budget, lengths_there in {"live": buckets[:3], "long": buckets}.items():
    assert (
        runs(budget, "with attention", lengths_there).min(0).values
        .gt(runs(budget, "without attention", lengths_there).max(0).values)
        .all()
    )
assert (
    plain_runs[:, 3:].max() < 3                                         # from 12 words on
    and (attending_runs[:, -1] < attending_runs[:, 0]).all()            # longest, shortest
)

for name, kind in {"with attention": "gru-attention", "an LSTM without": "lstm"}.items():
    print(f"{name:15} has {int(runs('long', kind, ['all'], 'parameters')[0]):,} parameters")
assert (
    runs("long", "lstm", ["all"])[0, 0] < runs("long", "with attention", ["all"]).min() - 50
    and (runs("long", "lstm", buckets) < attending_runs).all()
)
gaps = runs("tatoeba", "with attention", THIRDS, "bleu") - runs("tatoeba", "without attention", THIRDS, "bleu")
assert gaps.min() > 5 and gaps.argmax() == 2
for name in kinds:                                                      # your run is near one of the recorded ones
    print(
        f"small budget, {name}: {correct[name]:.0f}% exactly right in your run, recorded",
        *(f"{r:.0f}" for r in runs("live", name, ["all"])[:, 0]),
    )
    assert not as_given or (runs("live", name, ["all"]) - correct[name]).abs().min() < 5

# %% [markdown]
# Bands run from the lowest to the highest recorded seed; a run of yours may lie outside. In the first two charts, more sentences are right with attention in every recorded seed, at every length. From 12 words on the model without it gets almost none right. With attention, too, the longest sentences are less often right than the shortest. One wrong word spoils a sentence, so this alone does not show that their words are harder.
#
# An LSTM without attention (one seed) has more parameters than the GRU with it, but stays below it at every length. On Tatoeba attention is ahead in each third (one seed).
#
# ## Where does it look?
#
# **Question.** In "el coche rojo" noun and adjective have changed places. Does the decoder look at "car" first, and then _back_ at "red"?
#
# The corpus says which words belong together: these _links_ are the _alignment_ of the two sentences. The model is given the right previous words (_teacher forcing_), so that its own mistakes do not count. For each swap of noun and adjective: does each Spanish word have its largest weight on its linked English word?
#
# The maps show two sentences of 6 to 8 words, translated without a mistake: the first where both do, and the first where only the noun does. A row is a step; red frames mark the links. **Predict** how often both do.

# %% tags=["row-1.11"] alt="Two heatmaps of attention weights, Spanish words as rows, English words as columns, red frames around the linked words. Left, the largest weights of noun and adjective lie in the two frames that cross the diagonal. Right, only the noun's does; the adjective's largest weight lies outside its frame. On the left, two other rows have their largest weight to the right of their frame."
from course_lib.translation.scores import attention_weights
from recipes.en_es import ENGLISH_ADJECTIVES, ENGLISH_NOUNS
def swapped_adjectives(english, links):
    """(English place, Spanish place) of each adjective with one link that has changed places with its noun, the
    next English word."""
    return [(en, es) for en, es in links if (en + 1, es - 1) in links and sum(en == x or es == y for x, y in links) == 1
            and english[en] in ENGLISH_ADJECTIVES and english[en + 1] in ENGLISH_NOUNS]
all_weights = attention_weights(model, pairs.test)                      # a pair: (target words + 1, source words + 1)
OUTCOMES = {
    (True, True): "Both on their links",
    (True, False): "Only the noun",
    (False, True): "Only the adjective",
    (False, False): "Neither",
}
swaps, examples = Counter(), {}
for i, adjectives in enumerate(map(swapped_adjectives, map(words, sources), pairs.links)):
    looks_at = all_weights[i].argmax(1).tolist()                        # for each Spanish place an English one
    for en, es in adjectives:
        swaps[outcome := OUTCOMES[looks_at[es - 1] == en + 1, looks_at[es] == en]] += 1     # noun, adjective
        if len(adjectives) == 1 and 6 <= lengths[i] <= 8 and written["with attention"][i] == answers[i]:
            examples.setdefault(outcome, i)
share = {outcome: 100 * swaps[outcome] / swaps.total() for outcome in OUTCOMES.values()}
print(f"{swaps.total()} swaps:", ", ".join(f"{outcome.lower()} {share[outcome]:.0f}%" for outcome in share))
_, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, outcome in zip(axes, ["Both on their links", "Only the noun"]):
    if (i := examples.get(outcome)) is not None:
        attention_map(
            all_weights[i], [*words(sources[i]), "[EOS]"], [*answers[i], "[EOS]"],
            title=f"{outcome}: {share[outcome]:.0f}% of the swaps", ax=ax,
        )
        for en, es in pairs.links[i]:
            ax.add_patch(plt.Rectangle((en - 0.5, es - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=2))
plt.show()
assert not this_run or share["Both on their links"] < 50 and share["Only the noun"] > share["Only the adjective"]

# %% [markdown]
# In this run both do in fewer than half of the swaps. If only one does, it is more often the noun: on the right, "verde" is translated rightly while its largest weight lies on "letter". So the largest weight can go back to the linked word, and need not.
#
# From here to the trap, results are of this run unless recorded seeds are named.
#
# ### Count, and count what a ruler would get
#
# **Question.** How many of all linked Spanish words have their largest weight on a link, and is that many?
#
# Many words keep their place, so methods that know no words (rulers) find links, too. Three compete: the same position; the diagonal, scaled by both lengths; and the model's weights for _another_ test sentence of the same two lengths. Where the diagonal misses, two others replace it and the same position: the diagonal moved one place to the left or right.
#
# **Predict** which finds most over all linked words; without punctuation and determiners ("the", "my", "this"); and where the diagonal misses.

# %%
from course_lib.translation.scores import alignment_hits, entropy, partners, position_only, position_shares

partner = partners(all_weights)                         # sentence -> another one of the same lengths; a few have none
diagonals = [position_only(weights) for weights in all_weights]
methods = {
    "same position": [position_only(weights, scaled=False) for weights in all_weights],
    "scaled diagonal": diagonals,
    "diagonal, one left": [weights.roll(-1, 1) for weights in diagonals],
    "diagonal, one right": [weights.roll(1, 1) for weights in diagonals],
    "another sentence": [all_weights[partner.get(i, i)] for i in range(len(all_weights))],
    "attention": all_weights,
}
DETERMINERS = set(
    "el la los las un una mi mis su sus nuestro nuestra nuestros nuestras "
    "este esta estos estas muchos muchas".split()
)
linked = [(i, t) for i in partner for t in sorted({t for _, t in pairs.links[i]})]          # (sentence, Spanish place)
is_mark = torch.tensor([not answers[i][t][0].isalnum() for i, t in linked])                 # punctuation
is_determiner = torch.tensor([answers[i][t] in DETERMINERS for i, t in linked])
hits = {
    name: torch.tensor([hit for i in partner for hit in alignment_hits(some[i], pairs.links[i])])
    for name, some in methods.items()
}

def found(which, names):
    """{method: how many of the linked words `which` it finds, %}"""
    return {name: 100 * hits[name][which].float().mean().item() for name in names}

four, every, small = (
    ["same position", "scaled diagonal", "another sentence", "attention"],
    slice(None),
    is_mark | is_determiner,
)
missed = ~hits["scaled diagonal"]

# %% tags=["row-1.11"] alt="Four panels of horizontal bars, linked words found in percent, with black marks for recorded seeds. All linked words: the scaled diagonal 73, attention 62 with four marks below the dashed line of the diagonal and one above. Without punctuation and determiners: attention 72, scaled diagonal 64. Words that the diagonal misses: attention 62, the diagonal moved one place to the right 44, to the left 40, another sentence about 26. Long run, all linked words: attention 83 with three marks close together, scaled diagonal 60."
found_all, found_large = found(every, four), found(~small, four)
found_missed = found(missed, ["diagonal, one left", "diagonal, one right", "another sentence", "attention"])
short_runs, long_runs = (runs(budget, "with attention", ["all"], "alignment")[:, 0] for budget in ("live", "long"))
long_pairs = load(BUDGETS["long"])
found_long = position_shares(long_pairs.test, long_pairs.links) | {"attention": long_runs.mean().item()}
_, axes = plt.subplots(2, 2, figsize=(10, 5), layout="constrained", sharex=True)
bars(found_all, "All linked words", ax=axes[0, 0], digits=0,
     runs={"attention": short_runs}, baseline="scaled diagonal").set_xlim(0, 100)
bars(found_large, "Without punctuation and determiners", ax=axes[0, 1], digits=0, baseline="scaled diagonal")
bars(found_missed, "Words that the diagonal misses", "linked words found, %", ax=axes[1, 0], digits=0,
     baseline="diagonal, one right")
bars(found_long, "Long run, all linked words", "linked words found, %", ax=axes[1, 1], digits=0,
     runs={"attention": long_runs}, baseline="scaled diagonal")
for number in [text for ax in axes.flat for text in ax.texts]:          # into the bars, away from marks and lines
    number.set(x=0, color="white", weight="bold", path_effects=[])
plt.show()
print(
    "attention, all linked words, %, a number a seed: short run", *short_runs.round().int().tolist(),
    "long run", *long_runs.round().int().tolist(),
)
assert not as_given or sorted([*short_runs, found_all["scaled diagonal"]])[4] == found_all["scaled diagonal"]
if this_run:
    assert found_large["attention"] > found_large["scaled diagonal"] + 3
    for which in (is_mark, is_determiner):
        assert found(which, four)["scaled diagonal"] > found(which, four)["attention"] + 10
    assert found_missed["attention"] > found_missed["diagonal, one right"] + 10
    assert (
        max(found_missed, key=found_missed.get) == "attention"
        and min(found_missed, key=found_missed.get) == "another sentence"
    )
assert long_runs.min() > found_long["scaled diagonal"] + 20

# %% [markdown]
# The dashed line continues the grey bar, the best method shown that knows no words; black marks are recorded seeds. In the first three panels the bars leave out the few sentences that have no partner; the marks do not. In the fourth, attention's bar is the mean of its marks. Over all linked words, four of the five seeds of the short training lie below the diagonal. In the stored output this run is close to the lowest. In the long training all three seeds lie far above its diagonal.
#
# Among punctuation and determiners the diagonal finds more (in the left map "las" looks at "women"); among the other words attention does. Where the diagonal misses, it finds more than either moved diagonal, and the weights of another sentence find fewest of the four. So these weights follow _this sentence_, and not only the lengths.
#
# ## How narrow is the look?
#
# **Question.** Some rows of the maps have one bright cell, others several. How many words share a look?
#
# The *entropy* of the weights, in bits, is $-\sum_j \alpha_j \log_2 \alpha_j$. Two to this power is 1 when one word has all the weight, and $n$ when $n$ words share it evenly. **Predict** this number before and after training.

# %% tags=["row-1.9"]
before_training = attention_weights(new_translator(True), pairs.test)
untrained, trained = (2 ** torch.cat([entropy(weights) for weights in some]) for some in (before_training, all_weights))
print(
    "words that share a look, median of all steps: "
    f"before training {untrained.median():.1f}, trained {trained.median():.1f}"
)
bits = [runs(budget, "with attention", ["all"], "entropy")[:, 0] for budget in ("live", "long")]
print(
    f"mean entropy in bits, this run: {trained.log2().mean():.2f}; recorded: short run",
    *(f"{b:.2f}" for b in bits[0]),
    "long run",
    *(f"{b:.2f}" for b in bits[1]),
)
assert all(1.2 < b < 1.5 for b in (*bits[0], *bits[1]))
assert not as_given or 2 < trained.median() < untrained.median() / 2 and 1.2 < trained.log2().mean() < 1.5

# %% [markdown]
# In the median, training narrows the look to less than half, but to no less than two words. The mean entropy is between 1.2 and 1.5 bits in this run and in every seed printed.
#
# ## What a weight does not explain
#
# **Question.** "The model wrote 'rojo' because it looked at 'red'." Is that what a weight says?
#
# To test it, replace the weights of one step at a time, under teacher forcing. The steps before keep theirs. Is the next word still right? You try seven changes:
#
# - all weight goes to the strongest word;
# - the strongest word is removed, and the others share the weight in proportion;
# - the _linked_ words are removed in this way (a step without links stays as it is);
# - the next strongest word without a link is removed;
# - all words weigh alike;
# - the weights are dealt out at random;
# - the context is zeros.
#
# **Predict:** after which of these are fewer words right than in the model trained without attention?

# %% tags=["row-1.10"]
(source, source_mask), (target, target_mask) = source_batch(model, sources), target_batch(model, references)
is_link = torch.zeros(len(sources), target.shape[1], source.shape[1])   # (pairs, Spanish, English place): 1 on a link
for i, links in enumerate(pairs.links):
    for en, es in links:
        is_link[i, es, en] = 1

@torch.no_grad()
def next_words(change=None):
    """(pairs, target words + 1, vocabulary): the probabilities of the next word, after the right words before it.

    change(weights, t): the weights (pairs, source words + 1) that step t writes with, in place of its own."""
    start, scores = model.start(source, source_mask), []
    s, keys = start.hidden, start.keys
    for t in range(target.shape[1] - 1):
        learnt = one_step(model, target[:, t], s, keys, source_mask)
        changed = (
            learnt if change is None
            else one_step(model, target[:, t], s, keys, source_mask, change(learnt.weights, t))
        )
        scores.append(changed.scores)                                   # (pairs, vocabulary)
        s = learnt.state                                                # the next step starts from the unchanged state
    return torch.stack(scores, 1).softmax(2)

# %% tags=["row-1.10"]
def strongest(weights):                                                 # (..., source): 1 at the largest weight, else 0
    return torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1])

def next_strongest(weights, is_link):                                   # ... at the largest other one without a link
    return strongest(weights * (1 - strongest(weights)) * (1 - is_link))

def without(weights, which):                                            # the others share what is left, in proportion
    rest = weights * (1 - which)
    return rest / rest.sum(1, keepdim=True).clamp(min=1e-9)

# %% tags=["row-1.10"] alt="Horizontal bars of right next words in percent: learnt weights highest at about 90, next strongest removed at 89, strongest word only at 84. The grey bar of the model without attention ends at 71, with a dashed line. Strongest word removed, linked words removed, all words alike, dealt out at random and context of zeros all end to the left of that line, at about 62, 60, 57, 48 and 32."
changes = {
    "learnt weights": None,
    "strongest word only": lambda weights, t: strongest(weights).float(),
    "strongest word removed": lambda weights, t: without(weights, strongest(weights)),
    "linked words removed": lambda weights, t: without(weights, is_link[:, t]),
    "next strongest removed": lambda weights, t: without(weights, next_strongest(weights, is_link[:, t])),
    "all words alike": lambda weights, t: source_mask / source_mask.sum(1, keepdim=True),
    "dealt out at random": lambda weights, t: weights.gather(
        1, torch.rand(weights.shape).masked_fill(~source_mask, 2).argsort(1)                 # [PAD] last
    ),
    "context of zeros": lambda weights, t: torch.zeros_like(weights),
}
torch.manual_seed(seed)
guesses = {name: next_words(change) for name, change in changes.items()}
with torch.no_grad():
    guesses["without attention"] = models["without attention"].eval()(source, source_mask, target[:, :-1])[0]
is_right = {name: guess.argmax(2) == target[:, 1:] for name, guess in guesses.items()}       # (pairs, target words + 1)
shares = {name: 100 * right[target_mask[:, 1:]].float().mean().item() for name, right in is_right.items()}
bars(
    shares, "The next word after a change of the weights", "right next words, %",
    digits=0, baseline="without attention",
).set_xlim(0, 100)
plt.show()
line, kept_up = shares["without attention"], ("strongest word only", "next strongest removed")
if as_given:
    assert (
        min(shares[name] for name in kept_up) > line + 5
        and max(shares[name] for name in list(changes)[1:] if name not in kept_up) < line - 3
    )
    assert shares["strongest word only"] + 3 < shares["learnt weights"] < shares["next strongest removed"] + 3

# %% [markdown]
# All weight on the strongest word leaves somewhat fewer words right, and the removal of the next strongest nearly as many as before. The other five leave fewer right words than the model without attention has. That does not show that attention harms: the model was never trained with such contexts.
#
# Now take words whose largest weight lies off the link. **Predict** which removal turns most right words wrong: the strongest, the linked, or the next strongest word?

# %% tags=["row-1.10"]
learnt = torch.zeros_like(is_link)                                      # (pairs, Spanish, English): weights, padded
for i, weights in enumerate(all_weights):
    learnt[i, : weights.shape[0], : weights.shape[1]] = weights
taken_away = {"strongest word removed": learnt * strongest(learnt), "linked words removed": learnt * is_link,
              "next strongest removed": learnt * next_strongest(learnt, is_link)}            # the weight that goes

effects, places = {}, torch.tensor(linked)                              # (linked words, 2): sentence and Spanish place
for kind, which in {"determiners": is_determiner, "other words": ~small}.items():
    i, t = places[which & ~hits["attention"]].T                         # those with the strongest weight off the link
    before = is_right["learnt weights"][i, t]
    print(
        f"{kind} with the strongest weight off the link: {len(i)}, of which {before.sum()} are written rightly; "
        "weight and probability are means over these:"
    )
    print("   removed          its weight, %   probability moved, %   right to wrong   wrong to right")
    for removal, weights in taken_away.items():
        after = is_right[removal][i, t]
        moved = (guesses[removal] - guesses["learnt weights"])[i, t].abs().sum(1) / 2        # (words,)
        effects[kind, removal] = (100 * weights[i, t].sum(1)[before].mean().item(), 100 * moved[before].mean().item(),
                                  (before & ~after).sum().item(), (~before & after).sum().item())
        print("   {:15} {:14.0f} {:22.0f} {:16} {:16}".format(
            removal.removesuffix(" removed"), *effects[kind, removal]
        ))
top, link, other = (effects["other words", removal] for removal in taken_away)
if this_run:
    assert link[0] < top[0] / 2 and abs(link[1] - top[1]) < 5 and abs(other[0] - link[0]) < 5
    assert link[2] > top[2] and link[2] > 3 * other[2] and top[3] > 5 * link[3]
    by_weight = [effects["determiners", removal][:3] for removal in taken_away]
    assert all(a > b > c for a, b, c in zip(*by_weight))    # weight, probability, right to wrong: all fall

# %% [markdown]
# Read the second block first, the words that are neither determiners nor punctuation. The linked word has on average less than half the weight of the strongest. Yet its removal turns more right words wrong. (Removing the strongest also turns many wrong words right. Both removals move about as much probability, measured as half the sum of all absolute changes.) The next strongest weighs on average about as much as the linked word, and its removal turns far fewer wrong. With determiners, removing the strongest turns most wrong. So in this run _the size of a weight alone does not tell how many right words its removal turns wrong_.
#
# A weight tells how much of a _state_ went into the context. A state is made after all earlier words are read, and need not be about one word alone. In other tasks, Jain and Wallace find quite different weights that give nearly the same output, and conclude that weights do not explain the output. Wiegreffe and Pinter answer that an explanation need not be the only one.
#
# ## Trap: a softmax that counts [PAD]
#
# Sentences of a batch are filled up to one length with `[PAD]`. The encoder stops at the last real word (notebook 01), and zeros are filled in behind it. But a zero vector is a key, too: its energy is $v \cdot \tanh(W s)$, and the softmax gives it a weight. So padding is left out _before_ the softmax, by an energy of minus infinity, whose exponential is 0 (`masked_softmax` in `course_lib`).
#
# **Predict** for the toy sentence with two `[PAD]` behind it: what do the weights of the words add up to without a mask, and with one multiplied afterwards? Then sentences of one length are translated alone, and beside a longer one. Which translations change?

# %% tags=["row-1.10"]
padded = torch.cat([h, torch.zeros(2, 2)])                              # (5, 2): three words, two [PAD]
is_word = torch.tensor([True, True, True, False, False])
energies = torch.tanh(W @ queries[0] + padded @ U.T) @ v                # (5,)
masked = {"no mask": energies.softmax(0), "multiplied afterwards": energies.softmax(0) * is_word,
          "minus infinity before": energies.masked_fill(~is_word, -torch.inf).softmax(0)}
for name, alpha in masked.items():
    print(f"{name:22} words {alpha[is_word].sum():.3f}, [PAD] {alpha[~is_word].sum():.3f}")
assert (
    torch.equal(masked["minus infinity before"], masked_softmax(energies, is_word))
    and masked["multiplied afterwards"].sum() < 0.95
)

# %% tags=["row-1.10"]
@torch.no_grad()
def write(texts, use_mask):
    """Translate a batch word by word, as `translate` does."""
    ids, real = source_batch(model, texts)
    state, word, found = model.start(ids, real), torch.full((len(texts),), BOS), []
    s, visible = state.hidden, real if use_mask else torch.ones_like(real)
    for _ in range(2 * max_words):
        step = one_step(model, word, s, state.keys, visible)
        s, word = step.state, step.scores.argmax(1)
        found.append(word)
    return [spanish.decode(written) for written in torch.stack(found, 1).tolist()]

common, longest = Counter(lengths).most_common(1)[0][0], sources[lengths.index(max(lengths))]
equals = [text for text, length in zip(sources, lengths) if length == common]    # among themselves they need no padding
for use_mask in (True, False):
    changed = sum(one != other for one, other in zip(write(equals, use_mask), write([*equals, longest], use_mask)))
    print(f"mask {use_mask!s:5}: beside a longer sentence, {changed} of {len(equals)} translations are others")
    assert not as_given or (changed == 0) == use_mask

# %% [markdown]
# A mask multiplied afterwards leaves the words less than 1 in all. Without a mask no error is raised, but some translations depend on their neighbours in the batch.
#
# ## Exercises
#
# **1.** Compute the additive energies of every step with every source word, for a whole batch, without a softmax.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def additive_energies(queries, keys, W, U, v):
    """queries (batch, target, q), keys (batch, source, k), W (a, q), U (a, k), v (a,) -> energies (batch, target,
    source)."""
    ...

check("02.1", additive_energies)

# %% [markdown]
# **2.** Compute the alignment share of one sentence: of the target words that have a link, the share whose largest weight is on a linked source word. A target word may have several links: then a look at any of them is right.

# %% tags=["exercise", "nbval-check-output"]
def alignment_share(weights, links):
    """weights (target, source), links: a list of (source, target) pairs, not empty -> a number from 0 to 1."""
    ...

check("02.2", alignment_share)

# %% [markdown]
# **3.** Interfere with one sentence. For each step and each source word: remove this word, so that the others share the weight in proportion. How far does the context move? Return the length of the difference, the root of its sum of squares. Where no weight is left, the new context is 0.
#
# When it is right, try it on states of your own. Does the word with the largest weight always move the context most?

# %% tags=["exercise", "nbval-check-output"]
def how_far(weights, keys):
    """weights (target, source), keys (source, hidden) -> (target, source): row i says how far each removal moves
    step i's context."""
    ...

check("02.3", how_far)

# %% [markdown]
# ## Questions
#
# **1.** Two steps in the translation of one sentence have different weights. What must differ between them: old state, encoder states, previous word?
#
# <details><summary>Answer</summary>The old state. The encoder states are the same in every step, and the previous word enters only after the look.</details>
#
# **2.** A colleague masks by setting the energies of padding to 0 before the softmax. What goes wrong?
#
# <details><summary>Answer</summary>An energy of 0 is an ordinary one: exp(0) = 1, so padding gets more weight than words whose energy is below 0.</details>
#
# **3.** A paper reports that the strongest weight lies on the linked word for 62% of the words. What do you ask?
#
# <details><summary>Answer</summary>What share does a diagonal scaled by length find in the same sentences? And of the words that the diagonal misses, how many does the model find?</details>
#
# ## Summary
#
# - Attention compares the decoder's old state with every encoder state, and makes a new context in every step.
# - In both settings shown on the course's corpus, the GRU gets more sentences right with attention, in every seed and at every length.
# - The mask comes before the softmax; otherwise padding takes weight from the words.
# - The largest weight can follow words that change places, and need not. How many links it finds means little without a ruler's number beside it.
# - Weights show which states are averaged. To learn what the next word depends on, interfere and measure.
#
# ## References
#
# - Bahdanau, Cho and Bengio (2014, ICLR 2015), [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473): figure 3 has such maps.
# - Tu et al. (2016), [Modeling coverage for neural machine translation](https://arxiv.org/abs/1601.04811): a list of what has been translated, which the formulas here lack.
# - Jain and Wallace (2019), [Attention is not explanation](https://arxiv.org/abs/1902.10186); Wiegreffe and Pinter (2019), [Attention is not not explanation](https://arxiv.org/abs/1908.04626).
#
# **Next:** [03_transformer](03_transformer.ipynb) keeps the attention and drops the recurrence.
