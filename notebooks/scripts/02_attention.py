# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/02_attention.ipynb)
#
# # What does the decoder look at, and how much does it help?
#
# A translator that presses a long sentence into one vector forgets. Here the decoder may look at the whole sentence in each step, and you measure what that is worth.
#
# | | |
# |---|---|
# | You will be able to | compute additive attention by hand; train translators with and without it; measure where one looks; test what a weight explains |
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
# Two small translators train on at most `max_pairs` English-Spanish sentence pairs of at most `max_words` words. `full = True` repeats the recorded trainings on the course's corpus, in some minutes.

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
# **Question.** The encoder leaves a state for each source word. The decoder has one state of its own. How do these become one vector to write from?
#
# Bahdanau, Cho and Bengio (2014) let a small network compare the decoder's state $s$, the *query*, with each encoder state $h_j$, a *key*. Each pair gets a score, its *energy*:
#
# $$e_j = v \cdot \tanh(W s + U h_j), \qquad \alpha_j = \frac{\exp e_j}{\sum_k \exp e_k}, \qquad c = \sum_j \alpha_j h_j$$
#
# The middle formula is the *softmax*: it makes any numbers positive, with the sum 1. The $\alpha_j$ are the *attention weights*; $c$, the average of the states with these weights, is the *context*. The matrices $W$ and $U$ and the vector $v$ are learnt. Query and key are added before the tanh, so this is *additive attention*.
#
# Take "the red car", to be translated as "el coche rojo". In the toy below a state has two numbers: is the word a noun, is it an adjective? A query says in the same way what is due next. $W$ and $U$ are chosen to suit that; a model has to learn them.
#
# **Predict:** a noun is due, so the query is (1, 0). What does $W s$ add inside the two tanh, and which word gets the highest energy?

# %% tags=["row-1.8", "nbval-check-output"]
import math

import torch

torch.set_num_threads(1)                                                # as in the recorded runs; the matrices are small
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
# The query adds nothing to the first sum and -4 to the second. So far down a tanh is flat: whatever the key adds, the second tanh stays close to -1. It says nothing about the key. The first tanh follows the key: it is near 1 for "car", the noun, and 0 for the others. So the query decides _which question is asked of the keys_, and "car" wins.
#
# The tanh does the choosing. **Predict** what becomes of the weights of two queries if you leave it out.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.attention import AdditiveAttention, masked_softmax

queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])                        # a noun is due; an adjective is due
sums = (queries @ W.T)[:, None] + h @ U.T                               # (2, 1, 2) + (3, 2) -> (2 queries, 3 words, 2)
weights = (torch.tanh(sums) @ v).softmax(1)                             # (2, 3)
contexts = weights @ h                                                  # (2, 3) @ (3, 2) -> (2, 2)
without_tanh = (sums @ v).softmax(1)                                    # (2, 3)
for i in range(2):
    print(f"query {queries[i].tolist()}: with tanh {[round(a, 2) for a in weights[i].tolist()]}, without {[round(a, 2) for a in without_tanh[i].tolist()]}")
assert torch.equal(weights.argmax(1), torch.tensor([2, 1])) and torch.allclose(without_tanh[0], without_tanh[1])

toy = AdditiveAttention(query_size=2, key_size=2, attention_size=2)
toy.load_state_dict({"query.weight": W, "key.weight": U, "energy.weight": v[None]})
for i in range(2):
    _, _, looped, context = attend_in_loops(queries[i])
    assert torch.allclose(weights[i], torch.tensor(looped)) and torch.allclose(contexts[i], context)
    its_context, its_weights = toy(queries[i : i + 1], h[None])         # a batch of one
    assert torch.allclose(its_weights[0], weights[i]) and torch.allclose(its_context[0], contexts[i])

# %% [markdown]
# Without the tanh the query adds one number to all energies alike, and the softmax cancels it. With it, each query has its own weights and context. Loops, matrices and `AdditiveAttention` from `course_lib` agree.
#
# ## Into the translator
#
# **Question.** Where does the context go, and how many parameters does attention add?
#
# `RNNTranslator` is the GRU encoder and decoder of notebook 01. In step $i$ the _old_ state $s_{i-1}$ asks. The context $c_i$ then goes, beside the previous word's vector $y_{i-1}$, into the GRU cell, and once more into the _readout_, a layer of tanh before the output layer. With matrices $R$ and $O$:
#
# $$s_{i-1} \to \alpha_i \to c_i, \qquad s_i = \mathrm{GRU}([y_{i-1}; c_i],\, s_{i-1}), \qquad \text{scores} = O \tanh(R\,[s_i; c_i; y_{i-1}])$$
#
# Without attention, $c_i$ is the encoder's last state in every step; that is the only difference. The paper's encoder reads in both directions, this one only from left to right; start and readout differ, too.
#
# States have 128 numbers, and $W$ and $U$ are 128 by 128. **Predict** how many parameters attention adds.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.translation.translators import RNNTranslator
from course_lib.translation.vocabulary import BOS, Vocabulary, words
from recipes.translation import BUDGETS, length_bucket, load, recorded_results

# the asserts about results of a training speak of these values only
as_given = (data, max_words, max_pairs, epochs, hidden_size, learning_rate) == ("course/en_es", 10, 8000, 2, 128, 0.012)
pairs = load(BUDGETS["live"]._replace(data=data, max_words=max_words))
pairs = pairs._replace(train=pairs.train[:: max(1, len(pairs.train) // max_pairs)])
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
# They are $v$, $U$ and $W$. Now train both models, on the same pairs in the same order.
#
# The pairs come from a grammar written for this course, so there is one right answer; a translation is right if every word is. The second number is the share of the answer's words that appear anywhere. **Predict** both for both models. Below stand the first test sentences of 4, 6, 8 and 10 words; a full stop counts as one.

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
    kept[name] = 100 * sum((Counter(text) & Counter(answer)).total() / len(answer) for text, answer in compared) / len(answers)
    print(f"{name:17}: {correct[name]:.0f}% of {len(answers)} sentences right, {kept[name]:.0f}% of the right words")
assert not as_given or correct["with attention"] > correct["without attention"] + 25 and kept["with attention"] > kept["without attention"] + 15

lengths = [len(words(source)) for source in sources]
for i in [lengths.index(length) for length in (4, 6, 8, 10) if length in lengths]:
    print(f"\n{sources[i]}\n{references[i]}")
    for name in models:
        print(f"{' '.join(written[name][i])}   <- {name}")

# %% [markdown]
# The model without attention often writes about something else. The one with attention finds more of the words. But in the last sample it drops the main verb, "durmió". Attention keeps no list of what has been translated; only the decoder's state can know that.
#
# ## One step, whole
#
# **Question.** What exactly happens between one word and the next?
#
# `one_step` is the whole step, with the trained model's own matrices. (An experiment later gives it other weights.) As in notebook 01, `[BOS]` begins a sentence and `[EOS]` ends it. The encoder reads `[EOS]`, too.
#
# In "the sick women are tired ." the first word, "las", has just been written. **Predict:** at which English word does the decoder look now?

# %% tags=["row-1.8"]
from collections import namedtuple

Step = namedtuple("Step", "energies weights context state scores")

@torch.no_grad()
def one_step(model, previous, s, keys, mask, weights=None):
    """previous word (batch,) ids, s (batch, hidden), keys (batch, source, hidden), mask (batch, source)."""
    net, y = model.attention, model.target_embedding(previous)              # y: (batch, embedding)
    energies = torch.tanh(net.query(s)[:, None] + net.key(keys)) @ net.energy.weight[0]     # W s + U h, then v: (batch, source)
    if weights is None:
        weights = energies.masked_fill(~mask, -torch.inf).softmax(1)        # [PAD] gets 0: see the trap below
    c = (weights[:, None] @ keys)[:, 0]                                     # (batch, 1, source) @ (batch, source, hidden)
    s = model.decoder(torch.cat([y, c], 1), s)                              # the GRU cell: (batch, hidden)
    return Step(energies, weights, c, s, model.output(torch.tanh(model.readout(torch.cat([s, c, y], 1)))))

sentence, translation = ("the sick women are tired .", "las mujeres enfermas están cansadas .") if as_given else pairs.test[0]
model, previous = models["with attention"].eval(), torch.tensor(spanish.encode(translation)[:1])
with torch.no_grad():
    _, before, _ = model.step(torch.tensor([BOS]), model.start(*source_batch(model, [sentence])))
    its_scores, its_state, its_weights = model.step(previous, before)       # the step of course_lib.translation
step = one_step(model, previous, before.hidden, before.keys, before.mask)
for mine, its in ((step.scores, its_scores), (step.state, its_state.hidden), (step.weights, its_weights)):
    assert torch.allclose(mine, its, atol=1e-4)

# %% tags=["row-1.12"] alt="Diagram of one decoder step. Above, the words of 'the sick women are tired' with a striped bar for each encoder state. A dotted line from the old state runs past all of them; below each stand its energy and its weight. A thick blue line runs from the weight of 'women' into the context, thin ones from a few other words. Old state, context and the previous word 'las' enter a GRU cell; new state, context and previous word enter the readout, which gives mujeres the highest probability of four words."
import matplotlib.pyplot as plt
from course_lib.step_diagram import attention_step

probabilities = step.scores[0].softmax(0)
best = {spanish.tokens[i]: probabilities[i].item() for i in probabilities.topk(4).indices}
attention_step([*words(sentence), "[EOS]"], before.keys[0], step.energies[0], step.weights[0], words(translation)[0],
               before.hidden[0], step.context[0], step.state[0], best, title="One step looks at a noun, and writes it")
plt.show()
assert not as_given or (step.weights[0].argmax() == words(sentence).index("women") and max(best, key=best.get) == "mujeres")

# %% [markdown]
# The old state meets every encoder state, and each pair gets an energy. The softmax gives most of the weight to "women", past the adjective before it. So the stripes of the context (12 of its numbers) resemble those below "women". The readout puts "mujeres" first, and in the next step the new state asks. Few steps look so sharply at one word; you will count.
#
# ## Does it help where it hurts?
#
# **Question.** What do more seeds, longer runs and longer sentences say?
#
# `recipes/translation.py` trained both models with your budget (five seeds), on all pairs of the corpus, up to 25 words (three seeds), and on sentences that people wrote, from [Tatoeba](https://tatoeba.org) (one seed). These last are measured in *BLEU*, a score from 0 to 100 for shared word sequences. All this is **recorded**. **Predict** the shape of both curves over the length of the sentence.

# %% tags=["row-1.12"] alt="Three line charts against the length of the sentence, each with and without attention. Left, exactly right in percent, small budget: with attention from about 80 down to 32, without from 41 down to nearly 0; crosses of the live run lie in or near the bands. Middle, all pairs, up to 26 words: without attention the line falls to zero at about 13 words, with attention it falls from 90 to 28. Right, BLEU on real sentences by thirds: with attention the line is higher everywhere, most on the longest third."
from course_lib.plotting import attention_map, bars, curve
from course_lib.translation.scores import THIRDS

kinds = {"without attention": "gru", "with attention": "gru-attention"}
recorded = recorded_results(["gru", "gru-attention", "lstm"], full)

def runs(budget, name, lengths, metric="exact_match"):
    """(seeds, lengths): the recorded values."""
    rows = recorded[(recorded.budget == budget) & (recorded.model == kinds.get(name, name)) & (recorded.metric == metric)]
    return torch.tensor(rows.pivot(index="seed", columns="length", values="value")[list(lengths)].to_numpy().copy())

_, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", width_ratios=(3, 5, 3))
for ax, budget in zip(axes, ("live", "long")):
    lengths = sorted({length for length in recorded[recorded.budget == budget].length if length[0].isdigit()})
    shown = [length.lstrip("0").replace("-0", "-") for length in lengths]
    for name in kinds:
        curve(shown, runs(budget, name, lengths), name, ax=ax)
        if budget == "live" and as_given:
            mine = mean_by([length_bucket(source) for source in sources], [text == answer for text, answer in zip(written[name], answers)])
            ax.scatter(shown, [100 * mine[length] for length in lengths], marker="x", color="black", s=60, zorder=3)
    ax.set(xlabel="English words", ylabel="exactly right, %", ylim=(-3, 100), title="Small budget (x: your run)" if budget == "live" else "All pairs: only attention reaches the long ones")
for name in kinds:
    curve([third.removesuffix(" third") for third in THIRDS], runs("tatoeba", name, THIRDS, "bleu"), name, ax=axes[2])
axes[2].set(xlabel="third by length", ylabel="BLEU", ylim=(-1.5, 50), title="Real sentences, one seed")
plt.show()

# %% tags=["row-1.12"]
for k, third in enumerate(THIRDS):
    without, attending = runs("long", "without attention", THIRDS)[:, k], runs("long", "with attention", THIRDS)[:, k]
    gap = attending - without                                               # (3 seeds,)
    least = gap.mean() - 4.303 * gap.std() / 3**0.5                         # Student's t: 95% certain, from three seeds
    print(f"{third:14}: {without.mean():2.0f}% without attention, {attending.mean():.0f}% with; the gap is {least:.0f} points at least")
    assert least > 35

print("\nif all words of a sentence were equally hard, this share of the words would be right:")
for bucket, middle in (("03-05", 4), ("06-08", 7), ("09-11", 10)):
    a_word = {name: (runs("long", name, [bucket]).mean().item() / 100) ** (1 / middle) for name in kinds}
    assert a_word["with attention"] > 0.97
    print(f"{middle:2} words: {a_word['without attention']:.3f} without attention, {a_word['with attention']:.3f} with")
assert a_word["without attention"] < 0.85                                # of ten

print("\nall lengths, lowest and highest seed:")
for name in ("without attention", "with attention", "lstm"):
    right, size = runs("long", name, ["all"]), int(runs("long", name, ["all"], "parameters")[0])
    print(f"{name.replace('lstm', 'without, an LSTM'):17} {size:,} parameters: {right.min():.0f} to {right.max():.0f}% right")
assert right.max() < runs("long", "with attention", ["all"]).min() - 50     # right: of the LSTM
for name in kinds:
    assert not as_given or (runs("live", name, ["all"]) - correct[name]).abs().min() < 5

# %% [markdown]
# The bands run from the lowest to the highest seed. A cross may lie outside; over all lengths your run is within 5 points of a recorded one.
#
# The gap is large in each third. (Its interval covers other seeds, not other corpora.) It is smallest in the longest third only because the model without attention has reached zero.
#
# One wrong word spoils a sentence, so both curves would fall even if long sentences were no harder. The second table takes this out: with attention, a word is as often right among ten as among four; without it, less often. The number of parameters is not the reason: an LSTM without attention (one seed) has more, and does hardly better than the GRU without. All this holds for a vector of 128 numbers; a larger one may hold more.
#
# ## Where does it look?
#
# **Question.** Spanish puts most adjectives behind the noun: "the red car" is "el coche rojo". Does the decoder look at "car" first, and then _back_ at "red"?
#
# The corpus says which words belong together: these pairs are the _links_, the _alignment_ of the two sentences. The maps show two test sentences with such a swap, both translated without a mistake. They are the first in which noun and adjective have their largest weight on the linked word, and the first in which the adjective has not. A row is a step of the decoder; red frames mark the links. **Predict** what a swap looks like.

# %% tags=["row-1.11"] alt="Two heatmaps of attention weights, Spanish words as rows, English words as columns, red frames around the linked words. Left, the largest weights of noun and adjective lie in the two frames that cross the diagonal. Right, the adjective's largest weight lies outside its frame. In both, some other rows have their largest weight to the right of their frame."
from course_lib.translation.decoding import decode

def adjectives(links):
    """{Spanish place: English place} of words that changed places with the word before."""
    return {b: a for a, b in links if (a + 1, b - 1) in links and sum(x == a or y == b for x, y in links) == 1}

decoded, chosen = decode(model, sources), {}
for i, links in enumerate(pairs.links):
    swapped = adjectives(links)
    if swapped and words(decoded[i].text) == answers[i] and 6 <= len(words(sources[i])) <= 8:
        largest = decoded[i].weights.argmax(1).tolist()
        adjective = {largest[b] == a for b, a in swapped.items()}
        noun = {largest[b - 1] == a + 1 for b, a in swapped.items()}
        if adjective == {True} and noun == {True}:
            chosen.setdefault("Noun and adjective cross", i)
        if adjective == {False}:
            chosen.setdefault("The adjective looks elsewhere, and is right", i)
_, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, title in zip(axes, sorted(chosen)):
    i = chosen[title]
    attention_map(decoded[i].weights, [*words(sources[i]), "[EOS]"], decoded[i].tokens, title=title, ax=ax)
    for a, b in pairs.links[i]:
        ax.add_patch(plt.Rectangle((a - 0.5, b - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=2))
plt.show()
assert not as_given or len(chosen) == 2

# %% [markdown]
# On the left the weights of noun and adjective cross. On the right the adjective's largest weight is elsewhere, and the translation is right all the same. Keep this map in mind.
#
# ### Count, and count what a ruler would get
#
# Two maps are an anecdote. Take every linked Spanish word of the test sentences: does its largest weight lie on a word linked with it? The model is given the reference translation word by word (_teacher forcing_), so its own mistakes do not count.
#
# Most words keep about their place, so three methods compete that do not know the words: the same position; the diagonal, scaled by both lengths; and your model's weights for _another_ test sentence of the same two lengths. (The few sentences without such a partner are left out.)
#
# **Predict** who wins over all linked words, and over those that the diagonal misses. (There it finds none, so it has no bar.)

# %% tags=["row-1.11"] alt="Three panels of horizontal bars, linked words found in percent, with black marks for single seeds. All linked words: the scaled diagonal 73, attention 62 with four marks below the dashed line of the diagonal and one above. Those that the diagonal misses: attention 62, another sentence 28, same position 10. Long run, all linked words: attention 83 with three marks close together, scaled diagonal 60, same position 47."
from course_lib.translation.scores import alignment_hits, attention_weights, partners, position_only, position_shares

all_weights = attention_weights(model, pairs.test)                      # for each pair (target words + 1, source words + 1)
partner = partners(all_weights)                                         # sentence -> another one of the same lengths
methods = {"same position": [position_only(weights, scaled=False) for weights in all_weights],
           "scaled diagonal": [position_only(weights) for weights in all_weights],
           "another sentence": [all_weights[partner.get(k, k)] for k in range(len(all_weights))], "attention": all_weights}
hits = {name: torch.tensor([hit for k in partner for hit in alignment_hits(some[k], pairs.links[k])]).float() for name, some in methods.items()}
missed = hits["scaled diagonal"] == 0                                   # (linked words,): those that the diagonal misses
found_all = {name: 100 * hit.mean().item() for name, hit in hits.items()}
found_off = {name: 100 * hit[missed].mean().item() for name, hit in hits.items() if name != "scaled diagonal"}
short_runs, long_runs = (runs(budget, "with attention", ["all"], "alignment")[:, 0] for budget in ("live", "long"))
long_pairs = load(BUDGETS["long"])
found_long = position_shares(long_pairs.test, long_pairs.links) | {"attention": long_runs.mean().item()}

_, axes = plt.subplots(1, 3, figsize=(12, 2.4), layout="constrained")
bars(found_all, "All linked words", ax=axes[0], digits=0, runs={"attention": short_runs}, baseline="scaled diagonal")
bars(found_off, "Those that the diagonal misses", ax=axes[1], digits=0, baseline="another sentence")
bars(found_long, "Long run, all linked words", ax=axes[2], digits=0, runs={"attention": long_runs}, baseline="scaled diagonal")
for ax in axes:
    ax.set(xlim=(0, 100), xlabel="linked words found, %")
plt.show()
assert not as_given or found_off["attention"] > found_off["another sentence"] + 15
assert long_runs.min() > found_long["scaled diagonal"] + 20 and (not as_given or sorted([*short_runs, found_all["scaled diagonal"]])[4] == found_all["scaled diagonal"])

# %% [markdown]
# Each dashed line is the best method that does not know the words; black marks are recorded seeds. Over all linked words, a short training is no better than a ruler: four of five seeds lie below the diagonal, one above, and this run beside the lowest. Among the words that the diagonal misses, the weights of another sentence show what position can tell. Attention finds far more, so its weights follow the _words_. In the long run it also wins over all words.
#
# ## Which way does it miss, and how narrow is the look?
#
# **Question.** On how many words does the look rest, and where when it misses?
#
# The *entropy* of a step's weights, $-\sum_j \alpha_j \log_2 \alpha_j$ in bits, is 0 when one word has all the weight and $\log_2 n$ when $n$ words share it evenly. So 2 to the power of the entropy counts the words that share the look. The baselines are the diagonal and the network before training. (Punctuation is left out of the misses.) **Predict** direction and number.

# %% tags=["row-1.9"]
from course_lib.translation.scores import entropy

def misses(all_weights):
    """Places from the linked word to the one with the largest weight, where they differ; positive to the right."""
    distances = []
    for weights, links, answer in zip(all_weights, pairs.links, answers):
        for t in sorted({t for _, t in links if answer[t][0].isalnum()}):
            distances.append(min((weights[t].argmax().item() - source for source, target in links if target == t), key=abs))
    return torch.tensor([distance for distance in distances if distance])

to_the_right = {}
for name, by in (("attention", all_weights), ("scaled diagonal", [position_only(weights) for weights in all_weights])):
    away = misses(by)
    to_the_right[name] = 100 * (away > 0).float().mean().item()
    print(f"{name:15} misses {len(away):4} words: {to_the_right[name]:.0f}% of the misses to the right, {100 * (away == 1).float().mean():.0f}% by one word")
assert not as_given or to_the_right["attention"] > 75 > 55 > to_the_right["scaled diagonal"]

untrained, trained = (2 ** torch.cat([entropy(w) for w in some]) for some in (attention_weights(new_translator(True), pairs.test), all_weights))
for name, counts in (("before training", untrained), ("trained", trained)):
    few, low, middle, high = (counts < 1.5).float().mean(), *counts.quantile(torch.tensor([0.25, 0.5, 0.75]))
    print(f"{name:15} shares a look among {middle:.1f} words (half of the steps: {low:.1f} to {high:.1f}); fewer than 1.5 in {100 * few:.0f}% of the steps")
assert not as_given or trained.median() < untrained.median() / 2 and few < 0.25

# %% [markdown]
# When the weights miss, most lie to the right in the English sentence; the diagonal errs to both sides alike. The encoder may be why: it reads from left to right, so the state after a word tells of that word too. Nothing here tests that. Articles have a reason of their own: "the" does not say whether "el", "la", "los" or "las" is due. The noun does, and it comes next.
#
# Before training the weight lies evenly on all words. Training narrows it, but seldom to one.
#
# ## What a weight does not explain
#
# **Question.** "The model wrote 'rojo' because it looked at 'red'." Is that what a weight says?
#
# Interfere, and see. Give the model the right previous words. Replace the weights of one step at a time: is the next word still right? The steps before keep their weights, so the state is what it was. Six replacements: all weight on the strongest word; the strongest word removed, and its weight given to the others; the _linked_ words removed in the same way; all words alike; the weights dealt out at random; a context of zeros. The baseline is the model trained without attention. **Predict:** which of the six fall below it?

# %% tags=["row-1.10"]
(source, mask), (target, real) = source_batch(model, sources), target_batch(model, references)
links = torch.zeros(len(sources), target.shape[1], source.shape[1])     # 1 where target word t is linked with source word j
for i, pairs_of_words in enumerate(pairs.links):
    for j, t in pairs_of_words:
        links[i, t, j] = 1

@torch.no_grad()
def right_next_words(change=None, visible=mask):
    """(pairs, target words + 1): is the model's next word right, after the right words before it?"""
    state, best = model.start(source, mask), []
    s = state.hidden
    for t in range(target.shape[1] - 1):
        step = one_step(model, target[:, t], s, state.keys, visible)
        changed = step if change is None else one_step(model, target[:, t], s, state.keys, visible, change(step.weights, t))
        best.append(changed.scores.argmax(1))                           # (pairs,)
        s = step.state                                                  # the next step starts from the unchanged one
    return torch.stack(best, 1) == target[:, 1:]

def strongest(weights):                                                 # (pairs, source): 1 at the largest weight
    return torch.nn.functional.one_hot(weights.argmax(1), weights.shape[1])

def removed(weights, which):                                            # the others share what is left, in proportion
    rest = weights * (1 - which)
    return rest / rest.sum(1, keepdim=True).clamp(min=1e-9)

# %% tags=["row-1.10"] alt="Horizontal bars of right next words in percent: learnt weights highest at about 90, strongest word only at 84. The grey bar of the model without attention ends at 71, with a dashed line. Strongest word removed, linked words removed, all words alike, dealt out at random and context of zeros all end to the left of that line, at about 63, 61, 56, 47 and 33."
changes = {
    "learnt weights": None,
    "strongest word only": lambda weights, t: strongest(weights).float(),
    "strongest word removed": lambda weights, t: removed(weights, strongest(weights)),
    "linked words removed": lambda weights, t: removed(weights, links[:, t]),
    "all words alike": lambda weights, t: mask / mask.sum(1, keepdim=True),
    "dealt out at random": lambda weights, t: weights.gather(1, torch.rand(weights.shape).masked_fill(~mask, 2).argsort(1)),   # [PAD] stays last
    "context of zeros": lambda weights, t: torch.zeros_like(weights),
}
torch.manual_seed(seed)
right = {name: right_next_words(change) for name, change in changes.items()}
with torch.no_grad():
    right["without attention"] = models["without attention"].eval()(source, mask, target[:, :-1])[0].argmax(2) == target[:, 1:]
shares = {name: 100 * found[real[:, 1:]].float().mean().item() for name, found in right.items()}
bars(shares, "Wrong weights: worse than no attention", "right next words, %", digits=0, baseline="without attention").set_xlim(0, 100)
plt.show()
line = shares["without attention"]
assert not as_given or min(shares["learnt weights"], shares["strongest word only"]) > line + 5
assert not as_given or max(share for name, share in shares.items() if name in list(changes)[2:]) < line - 3
assert not as_given or shares["context of zeros"] < shares["dealt out at random"]

# %% [markdown]
# With all weight on the strongest word, most words stay right, though the errors grow by half. All other changes leave fewer right words than the model without attention has. So this decoder depends on its weights. (It was never trained with such contexts; this does not say that attention harms.) With a context of zeros it has only its state and the previous word, and most words go wrong.
#
# Now the case of the second map: the strongest weight lies off the link. Articles and punctuation, easy to guess, are counted apart. **Predict:** which hurts more there, to lose the strongest word or the linked one?

# %% tags=["row-1.10"]
ARTICLES = {"el", "la", "los", "las", "un", "una", "unos", "unas"}
columns = ("learnt weights", "strongest word removed", "linked words removed", "without attention")
groups = {}
for i, weights in enumerate(all_weights):
    for t in sorted({t for _, t in pairs.links[i]}):
        word, largest = answers[i][t], weights[t].argmax().item()
        kind = "punctuation" if not word[0].isalnum() else "articles" if word in ARTICLES else "other words"
        on_link = (largest, t) in pairs.links[i]
        linked = sum(weights[t, j].item() for j, place in pairs.links[i] if place == t)
        row = [right[name][i, t].item() for name in columns] + [weights[t, largest].item(), linked]
        groups.setdefault((kind, "on" if on_link else "off"), []).append(row)

table = {group: 100 * torch.tensor(rows, dtype=torch.float).mean(0) for group, rows in groups.items()}
print("strongest weight            right next words, %:  strongest   linked  without    weight, %:  of the       of the")
print("on or off the link   words        learnt weights    removed  removed  attention      strongest word  linked ones")
for (kind, side), values in sorted(table.items(), key=lambda item: item[0][::-1], reverse=True):
    print(f"{side:3} {kind:11} {len(groups[kind, side]):11} {values[0]:21.0f} {values[1]:10.0f} {values[2]:8.0f} {values[3]:10.0f} {values[4]:19.0f} {values[5]:12.0f}")
word, article = table["other words", "off"], table["articles", "off"]
if as_given:
    assert word[4] > 2 * word[5] and word[0] - word[2] > word[0] - word[1] + 4      # less weight, more effect
    assert article[0] - article[1] > article[0] - article[2] + 15

# %% [markdown]
# Read the row of other words, off the link. The strongest word has more than twice the weight of the linked ones. Yet removing it costs little, and removing the linked ones costs more: _the smaller weight mattered more_. With articles it is the other way round: without the strongest word many are wrong, without "the" far fewer.
#
# A weight tells how much of a _state_ went into the context. It does not tell which word that state is about, for it has read all words before; nor how much the output depends on it. Two papers below argue about this.
#
# ## Trap: a softmax that counts [PAD]
#
# Sentences of a batch are filled up to one length with `[PAD]`. The encoder skips them and leaves zeros where their states would be. But a zero vector is a key like any other: its energy is $v \cdot \tanh(W s)$, and the softmax gives it a weight. So padding is left out _before_ the softmax, by an energy of minus infinity, whose exponential is 0 (`masked_softmax` in `course_lib`).
#
# **Predict** for the toy sentence with two `[PAD]` behind it: what do the weights of the words add up to without a mask, and with one multiplied afterwards? What does a missing mask cost the trained model?

# %% tags=["row-1.10"]
padded = torch.cat([h, torch.zeros(2, 2)])                              # (5, 2): three words, two [PAD]
is_word = torch.tensor([True, True, True, False, False])
energies = torch.tanh(W @ queries[0] + padded @ U.T) @ v                # (5,)
masked = {"no mask": energies.softmax(0), "multiplied afterwards": energies.softmax(0) * is_word,
          "minus infinity before": energies.masked_fill(~is_word, -torch.inf).softmax(0)}
for name, alpha in masked.items():
    print(f"{name:22} words {alpha[is_word].sum():.3f}, [PAD] {alpha[~is_word].sum():.3f}")
assert torch.equal(masked["minus infinity before"], masked_softmax(energies, is_word)) and masked["multiplied afterwards"].sum() < 0.95

def first_weights(texts, use_mask):
    """The weights of the first step on the first text, beside the others."""
    ids, real = source_batch(model, texts)
    state = model.start(ids, real)
    return model.attention(state.hidden, state.keys, real if use_mask else None)[1][0, : real[0].sum()].detach()

short, long, cost = min(sources, key=len), max(sources, key=len), {}
for use_mask in (True, False):
    same = torch.allclose(first_weights([short], use_mask), first_weights([short, long], use_mask), atol=1e-5)
    next_words = right_next_words(visible=mask if use_mask else torch.ones_like(mask))
    cost[use_mask] = 100 * (1 - next_words[real[:, 1:]].float().mean().item())
    print(f"mask {use_mask!s:5}: same weights alone and beside a longer sentence: {same!s:5}; {cost[use_mask]:.1f}% wrong next words")
    assert same == use_mask
assert not as_given or cost[True] < cost[False] < cost[True] + 4

# %% [markdown]
# Without the mask nothing fails, and the errors rise only a little. But a sentence's translation depends on its neighbours in the batch. The test that finds it: the same sentence alone and beside a longer one.
#
# ## Exercises
#
# **1.** Additive energies of every step with every source word, for a whole batch. No softmax yet.

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
# **3.** Alignment share of one sentence: of the target words that have a link, the share whose largest weight is on a linked source word. A target word may be linked with several source words: then a look at any of them is right.

# %% tags=["exercise", "nbval-check-output"]
def alignment_share(weights, links):
    """weights (target, source), links: a list of (source, target) pairs, not empty -> a number from 0 to 1."""
    ...

check("02.3", alignment_share)

# %% [markdown]
# ## Questions
#
# **1.** Two steps of one decoder have different weights. What must differ between them: old state, encoder states, previous word?
#
# <details><summary>Answer</summary>The old state. The encoder states are the same in every step, and the previous word enters only after the look.</details>
#
# **2.** A colleague masks by setting the energies of padding to 0 before the softmax. What goes wrong?
#
# <details><summary>Answer</summary>An energy of 0 is an ordinary one: exp(0) = 1, so padding gets more weight than words whose energy is below 0.</details>
#
# **3.** A paper reports that the strongest weight lies on the linked word for 62% of the words. What do you ask?
#
# <details><summary>Answer</summary>What a diagonal scaled by length reaches on the same sentences, and how many of the words that it misses the model finds.</details>
#
# ## Summary
#
# - Attention compares the decoder's old state with every encoder state, and makes a new context in every step.
# - It adds two matrices and a vector. With them the GRU translates sentences that it cannot from its last state alone.
# - Padding takes no weight from the words only if the mask comes before the softmax.
# - The strongest weight follows words that leave the diagonal. Over all words a diagonal does as well as a short training: measure one.
# - Weights show where a model looks, not why it writes what it writes: a small weight can matter more than a large one. Interfere, and measure.
#
# ## References
#
# - Bahdanau, Cho and Bengio (2014, ICLR 2015), [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473): figure 3 has such maps.
# - Tu et al. (2016), [Modeling coverage for neural machine translation](https://arxiv.org/abs/1601.04811): a list of what has been translated.
# - Jain and Wallace (2019), [Attention is not explanation](https://arxiv.org/abs/1902.10186); Wiegreffe and Pinter (2019), [Attention is not not explanation](https://arxiv.org/abs/1908.04626).
#
# **Next:** [03_transformer](03_transformer.ipynb) keeps the attention and drops the recurrence.
