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
# Two small translators train on at most `max_pairs` English-Spanish pairs whose English has at most `max_words` words. `full = True` repeats the recorded trainings on the course's corpus, in some minutes.

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
# The middle formula is the *softmax*: it makes any numbers positive, with the sum 1. The $\alpha_j$ are the *attention weights*; $c$, the average of the states with these weights, is the *context*. The matrices $W$ and $U$ and the vector $v$ are learnt. Query and key are added before the tanh, so this is *additive attention*. Each $h_j$ does two jobs: it is compared, as the key, and it is averaged. (Notebook 03 gives each job a vector of its own.)
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
# The query adds nothing to the first sum and -4 to the second. So far down a tanh is flat: whatever the key adds, the second tanh stays close to -1. The first tanh follows the key: it is near 1 for "car", the noun, and 0 for the others. So the query decides _which question is asked of the keys_, and "car" wins.
#
# The tanh does the choosing. **Predict** what becomes of the weights of two queries if you leave it out.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.attention import AdditiveAttention, masked_softmax

queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])                        # a noun is due; an adjective is due
weights = torch.stack([torch.tanh(W @ s + h @ U.T) @ v for s in queries]).softmax(1)       # (2 queries, 3 words)
contexts = weights @ h                                                  # (2, 3) @ (3, 2) -> (2, 2)
without_tanh = torch.stack([(W @ s + h @ U.T) @ v for s in queries]).softmax(1)            # (2, 3)
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
# Without attention, $c_i$ is the encoder's last state in every step; nothing else differs between your two models. Both are simpler than the paper's, whose encoder also reads from right to left.
#
# Here $W$ and $U$ are 128 by 128. **Predict** how many parameters attention adds.

# %% tags=["row-1.8", "nbval-check-output"]
from course_lib.translation.translators import RNNTranslator
from course_lib.translation.vocabulary import BOS, Vocabulary, words
from recipes.translation import BUDGETS, length_bucket, load, recorded_results

# the asserts about results of a training speak of these values only
as_given = (data, max_words, max_pairs, epochs, hidden_size, learning_rate) == ("course/en_es", 10, 8000, 2, 128, 0.012)
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
# They are $v$, $U$ and $W$. Now train both models, on the same pairs in the same order.
#
# The pairs come from a grammar written for this course, so there is one right answer; a translation is right if every word is. A second number is milder: what share of the right answer's words stands in the translation, in any order? **Predict** both numbers for both models. Below stand the first test sentences of 4, 6, 8 and 10 words; a full stop counts as one.

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
# **Question.** What happens between one word and the next?
#
# `one_step` is the whole step, with the trained model's own matrices. As in notebook 01, `[BOS]` begins a sentence and `[EOS]` ends it. The encoder reads `[EOS]`, too.
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
# The old state meets every encoder state, and each pair gets an energy. The softmax gives most of the weight to "women", past the adjective before it. So the stripes of the context (12 of its numbers) resemble those below "women". The readout puts "mujeres" first.
#
# ## Does it help where it hurts?
#
# **Question.** What do more seeds, longer runs and longer sentences say?
#
# `recipes/translation.py` trained both models with your budget (five seeds), on all pairs up to 25 words (three seeds), and on sentences that people wrote, from [Tatoeba](https://tatoeba.org) (one seed). These last are measured in *BLEU*, a score from 0 to 100 for shared word sequences. All is **recorded**. **Predict** the shape of both curves over the length of the sentence.

# %%
from course_lib.plotting import attention_map, bars, curve
from course_lib.translation.scores import THIRDS

kinds = {"without attention": "gru", "with attention": "gru-attention"}
recorded = recorded_results(["gru", "gru-attention", "lstm"], full)

def runs(budget, name, lengths, metric="exact_match"):
    """(seeds, lengths): the recorded values."""
    rows = recorded[(recorded.budget == budget) & (recorded.model == kinds.get(name, name)) & (recorded.metric == metric)]
    return torch.tensor(rows.pivot(index="seed", columns="length", values="value")[list(lengths)].to_numpy().copy())

# %% tags=["row-1.12"] alt="Three line charts against the length of the sentence, each with and without attention. Left, exactly right in percent, small budget: with attention from about 80 down to 32, without from 41 down to nearly 0; crosses of the live run lie in or near the bands. Middle, all pairs, up to 26 words: without attention the line falls to zero at about 13 words, a dotted one of an LSTM nearly on it; with attention it falls from 90 to 28. Right, BLEU on real sentences by thirds: with attention the line is higher everywhere, most on the longest third."
_, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", width_ratios=(3, 5, 3))
titles = {"live": "Small budget (x: your run)", "long": "All pairs: only attention reaches the long ones"}
for ax, (budget, title) in zip(axes, titles.items()):
    buckets = sorted({length for length in recorded[recorded.budget == budget].length if length[0].isdigit()})
    shown = [length.lstrip("0").replace("-0", "-") for length in buckets]
    for name in kinds:
        curve(shown, runs(budget, name, buckets), name, ax=ax)
        if budget == "live" and as_given:
            mine = mean_by([length_bucket(source) for source in sources], [text == answer for text, answer in zip(written[name], answers)])
            ax.scatter(shown, [100 * mine[length] for length in buckets], marker="x", color="black", s=60, zorder=3)
    ax.set(xlabel="English words", ylabel="exactly right, %", ylim=(-3, 100), title=title)
curve(shown, runs("long", "lstm", buckets), "an LSTM without", ax=axes[1])               # buckets: of the long run
for name in kinds:
    curve([third.removesuffix(" third") for third in THIRDS], runs("tatoeba", name, THIRDS, "bleu"), name, ax=axes[2])
axes[2].set(xlabel="third by length", ylabel="BLEU", ylim=(-1.5, 50), title="Real sentences, one seed")
plt.show()

# %% tags=["row-1.12"]
print("of 100 words right, if all words of a sentence were equally hard:")
a_word = []
for bucket in buckets:                                                  # of the long run
    middle = sum(map(int, bucket.split("-"))) / 2
    a_word.append([(runs("long", name, [bucket]).mean().item() / 100) ** (1 / middle) for name in kinds])
    without = f"{100 * a_word[-1][0]:.1f}" if a_word[-1][0] else "no sentence right"
    print(f"{bucket} English words: {100 * a_word[-1][1]:.1f} with attention; without: {without}")
plain_words, attending_words = zip(*a_word)
assert min(attending_words[:5]) > 0.97 and 1 - attending_words[-1] > 2 * (1 - attending_words[2])
assert sorted(plain_words, reverse=True) == list(plain_words)

for name, kind in {"with attention": "gru-attention", "an LSTM without": "lstm"}.items():
    print(f"{name:15} has {int(runs('long', kind, ['all'], 'parameters')[0]):,} parameters")
assert runs("long", "lstm", ["all"]).max() < runs("long", "with attention", ["all"]).min() - 50
gaps = runs("tatoeba", "with attention", THIRDS, "bleu") - runs("tatoeba", "without attention", THIRDS, "bleu")
assert gaps.min() > 5 and gaps.argmax() == 2
for name in kinds:                                                      # your run is near one of the recorded ones
    assert not as_given or (runs("live", name, ["all"]) - correct[name]).abs().min() < 5

# %% [markdown]
# The bands run from the lowest to the highest seed.
#
# With attention, more sentences are right at every length. From 12 words on the model without it gets almost none right, so there the gap narrows because attention falls, too.
#
# One wrong word spoils a sentence, so both curves would fall even if long sentences were no harder. The table takes this out. With attention, a word is about as often right among sixteen as among four. Among 25, the share of wrong words is more than twice that among ten. So attention moves the limit far out; it does not remove it.
#
# An LSTM without attention (one seed) has more parameters than the GRU with it, and hardly helps. Tatoeba agrees, most clearly in the longest third, but one seed is only a hint. All this holds for vectors of this size; larger ones may hold more.
#
# ## Where does it look?
#
# **Question.** In "el coche rojo" noun and adjective have changed places. Does the decoder look at "car" first, and then _back_ at "red"?
#
# The corpus says which words belong together: these pairs are the _links_, the _alignment_ of the two sentences. Give the model the right previous words (_teacher forcing_), so that its own mistakes do not count. In each swap of noun and adjective, does each have its largest weight on its linked word?
#
# **Predict** how often both do. (A ruler laid along both sentences never goes back.) The maps show two sentences of 6 to 8 words that the model translates without a mistake: the first where both do, and the first where only the noun does. A row is a step of the decoder; red frames mark the links.

# %% tags=["row-1.11"] alt="Two heatmaps of attention weights, Spanish words as rows, English words as columns, red frames around the linked words. Left, the largest weights of noun and adjective lie in the two frames that cross the diagonal. Right, only the noun's does; the adjective's largest weight lies outside its frame. In both, some other rows have their largest weight to the right of their frame."
from course_lib.translation.scores import attention_weights

def adjectives(links):
    """{Spanish place: English place} of words that changed places with the word before."""
    return {b: a for a, b in links if (a + 1, b - 1) in links and sum(x == a or y == b for x, y in links) == 1}

all_weights = attention_weights(model, pairs.test)                      # for each pair (target words + 1, source words + 1)
KINDS = {(True, True): "Both on their links", (True, False): "Only the noun", (False, True): "Only the adjective", (False, False): "Neither"}
swaps, chosen = Counter(), {}
for i, links in enumerate(pairs.links):
    largest, swapped = all_weights[i].argmax(1).tolist(), adjectives(links)
    for b, a in swapped.items():
        kind = KINDS[largest[b - 1] == a + 1, largest[b] == a]
        swaps[kind] += 1
        if len(swapped) == 1 and written["with attention"][i] == answers[i] and 6 <= len(words(sources[i])) <= 8:
            chosen.setdefault(kind, i)
print(f"{swaps.total()} swaps:", ", ".join(f"{kind.lower()} {100 * swaps[kind] / swaps.total():.0f}%" for kind in KINDS.values()))
shown = [(kind, chosen[kind]) for kind in list(KINDS.values())[:2] if kind in chosen]
_, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, (kind, i) in zip(axes, shown):
    attention_map(all_weights[i], [*words(sources[i]), "[EOS]"], [*answers[i], "[EOS]"], title=f"{kind}: {100 * swaps[kind] / swaps.total():.0f}% of the swaps", ax=ax)
    for a, b in pairs.links[i]:
        ax.add_patch(plt.Rectangle((a - 0.5, b - 0.5), 1, 1, fill=False, edgecolor="tab:red", linewidth=2))
plt.show()
assert not as_given or len(shown) == 2 and 0.2 < swaps["Both on their links"] / swaps.total() < 0.3 and max(swaps, key=swaps.get) == "Only the noun"

# %% [markdown]
# In this run both do in about a quarter of the swaps. More often only the noun does: on the right, "verde" is right with the weight elsewhere. With `seed = 1` the two cross in most swaps. So a decoder can look back, and need not.
#
# ### Count, and count what a ruler would get
#
# Now take all linked Spanish words. Most keep about their place, so three methods compete that know no words: the same position; the diagonal, scaled by both lengths; and your model's weights for _another_ test sentence of the same two lengths.
#
# **Predict** who wins over all of them; without punctuation and determiners ("the", "my", "this"); and over those that the diagonal misses, where it has no bar.

# %%
from course_lib.translation.scores import alignment_hits, partners, position_only, position_shares

partner = partners(all_weights)                         # sentence -> another one of the same lengths; a few have none
methods = {"same position": [position_only(weights, scaled=False) for weights in all_weights],
           "scaled diagonal": [position_only(weights) for weights in all_weights],
           "another sentence": [all_weights[partner.get(k, k)] for k in range(len(all_weights))], "attention": all_weights}
hits = {name: torch.tensor([hit for k in partner for hit in alignment_hits(some[k], pairs.links[k])]) for name, some in methods.items()}
DETERMINERS = set("el la los las un una mi mis su sus nuestro nuestra nuestros nuestras este esta estos estas muchos muchas".split())

def others(answer):
    """The places of its words that are neither punctuation nor determiners."""
    return {t for t, word in enumerate(answer) if word[0].isalnum() and word not in DETERMINERS}

is_other = torch.tensor([t in others(answers[k]) for k in partner for t in sorted({t for _, t in pairs.links[k]})])
missed = ~hits["scaled diagonal"]                                       # (linked words,), as each of the hits

def found(which, names=methods):
    return {name: 100 * hits[name][which].float().mean().item() for name in names}

found_all, found_others = found(is_other | ~is_other), found(is_other)
found_missed = found(missed, ["same position", "another sentence", "attention"])
short_runs, long_runs = (runs(budget, "with attention", ["all"], "alignment")[:, 0] for budget in ("live", "long"))
long_pairs = load(BUDGETS["long"])
found_long = position_shares(long_pairs.test, long_pairs.links) | {"attention": long_runs.mean().item()}

# %% tags=["row-1.11"] alt="Four panels of horizontal bars, linked words found in percent, with black marks for recorded seeds. All linked words: the scaled diagonal 73, attention 62 with four marks below the dashed line of the diagonal and one above. Without punctuation and determiners: attention 72, scaled diagonal 64. Words that the diagonal misses: attention 62, another sentence 28, same position 10. Long run, all linked words: attention 83 with three marks close together, scaled diagonal 60."
_, axes = plt.subplots(2, 2, figsize=(10, 4.6), layout="constrained", sharex=True)
bars(found_all, "All linked words", ax=axes[0, 0], digits=0, runs={"attention": short_runs}, baseline="scaled diagonal")
bars(found_others, "Without punctuation and determiners", ax=axes[0, 1], digits=0, baseline="scaled diagonal")
bars(found_missed, "Words that the diagonal misses", "linked words found, %", ax=axes[1, 0], digits=0, baseline="another sentence")
bars(found_long, "Long run, all linked words", "linked words found, %", ax=axes[1, 1], digits=0, runs={"attention": long_runs}, baseline="scaled diagonal")
axes[0, 0].set_xlim(0, 100)
plt.show()
if as_given:
    assert sorted([*short_runs, found_all["scaled diagonal"]])[4] == found_all["scaled diagonal"]
    assert found_others["attention"] > found_others["scaled diagonal"] + 3
    assert found(~is_other)["scaled diagonal"] > found(~is_other)["attention"] + 20
    assert found_missed["attention"] > found_missed["another sentence"] + 15
assert long_runs.min() > found_long["scaled diagonal"] + 20

# %% [markdown]
# Each dashed line is the best method that knows no words; black marks are recorded seeds. Over all linked words a short training loses to a ruler: four of five seeds lie below the diagonal, one above, this run beside the lowest. But the ruler wins by punctuation and determiners. A full stop ends both sentences. A determiner keeps its place, while the model has reason to look past "the": the noun tells whether "el", "la", "los" or "las" is due. Over the other words attention wins.
#
# Where the diagonal misses, the weights of another sentence show what position can tell. Attention finds far more, so its weights follow the _words_. In the long run it wins over all.
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

print("misses, %         farther left   one left   one right   farther right")
sides = {}
for name in ("scaled diagonal", "attention"):
    away = misses(methods[name])
    sides[name] = [100 * side.float().mean().item() for side in (away < -1, away == -1, away == 1, away > 1)]
    print(f"{name:17} {sides[name][0]:12.0f} {sides[name][1]:10.0f} {sides[name][2]:11.0f} {sides[name][3]:15.0f}")
assert not as_given or sum(sides["attention"][2:]) > 75 > 55 > sum(sides["scaled diagonal"][2:]) > 40 and sides["attention"][2] > 50

print("\nwords that share a look:")
shared = {"before training": attention_weights(new_translator(True), pairs.test), "trained": all_weights}
for name, some in shared.items():
    shared[name] = counts = 2 ** torch.cat([entropy(weights) for weights in some])
    print(f"{name:15} {counts.median():.1f} in the middle one of all steps; fewer than 1.5 in {100 * (counts < 1.5).float().mean():.0f}% of the steps")
assert not as_given or shared["trained"].median() < shared["before training"].median() / 2 and (shared["trained"] < 1.5).float().mean() < 0.25

# %% [markdown]
# Most misses of the weights lie to the right in the English sentence, and most of these on the very next word; the diagonal errs to both sides alike. The encoder may be why: it reads from left to right, so the state after a word tells of that word too. Nothing here tests that.
#
# Before training the weight lies evenly on all words. Training narrows it, but seldom to one.
#
# ## What a weight does not explain
#
# **Question.** "The model wrote 'rojo' because it looked at 'red'." Is that what a weight says?
#
# Under teacher forcing, replace the weights of one step at a time: is the next word still right? The steps before keep theirs, so the old state is what it was. Seven replacements:
#
# - all weight on the strongest word;
# - the strongest word removed: the others share its weight in proportion;
# - the _linked_ words removed in the same way;
# - the next strongest word removed, one without a link;
# - all words alike;
# - the weights dealt out at random;
# - a context of zeros.
#
# The baseline is the model trained without attention. **Predict:** which of the seven fall below it?

# %% tags=["row-1.10"]
(source, mask), (target, real) = source_batch(model, sources), target_batch(model, references)
links = torch.zeros(len(sources), target.shape[1], source.shape[1])
for i, t, j in [(i, t, j) for i, linked in enumerate(pairs.links) for j, t in linked]:
    links[i, t, j] = 1                                                  # target word t is linked with source word j

@torch.no_grad()
def next_words(change=None):
    """(pairs, target words + 1, vocabulary): the probabilities of the next word, after the right words before it."""
    state, scores = model.start(source, mask), []
    s = state.hidden
    for t in range(target.shape[1] - 1):
        step = one_step(model, target[:, t], s, state.keys, mask)
        changed = step if change is None else one_step(model, target[:, t], s, state.keys, mask, change(step.weights, t))
        scores.append(changed.scores)                                   # (pairs, vocabulary)
        s = step.state                                                  # the next step starts from the unchanged one
    return torch.stack(scores, 1).softmax(2)

def strongest(weights):                                                 # (..., source): 1 at the largest weight
    return torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1])
def next_strongest(weights, linked):                                    # neither the strongest nor linked
    return strongest(weights * (1 - strongest(weights)) * (1 - linked))

def removed(weights, which):                                            # the others share what is left, in proportion
    rest = weights * (1 - which)
    return rest / rest.sum(1, keepdim=True).clamp(min=1e-9)

# %% tags=["row-1.10"] alt="Horizontal bars of right next words in percent: learnt weights highest at about 90, next strongest removed at 89, strongest word only at 84. The grey bar of the model without attention ends at 71, with a dashed line. Strongest word removed, linked words removed, all words alike, dealt out at random and context of zeros all end to the left of that line, at about 63, 61, 56, 47 and 33."
changes = {
    "learnt weights": None,
    "strongest word only": lambda weights, t: strongest(weights).float(),
    "strongest word removed": lambda weights, t: removed(weights, strongest(weights)),
    "linked words removed": lambda weights, t: removed(weights, links[:, t]),
    "next strongest removed": lambda weights, t: removed(weights, next_strongest(weights, links[:, t])),
    "all words alike": lambda weights, t: mask / mask.sum(1, keepdim=True),
    "dealt out at random": lambda weights, t: weights.gather(1, torch.rand(weights.shape).masked_fill(~mask, 2).argsort(1)),   # [PAD] stays last
    "context of zeros": lambda weights, t: torch.zeros_like(weights),
}
torch.manual_seed(seed)
guesses = {name: next_words(change) for name, change in changes.items()}
with torch.no_grad():
    guesses["without attention"] = models["without attention"].eval()(source, mask, target[:, :-1])[0]
right = {name: guess.argmax(2) == target[:, 1:] for name, guess in guesses.items()}     # (pairs, target words + 1)
shares = {name: 100 * found[real[:, 1:]].float().mean().item() for name, found in right.items()}
bars(shares, "Five of seven changes: worse than no attention", "right next words, %", digits=0, baseline="without attention").set_xlim(0, 100)
plt.show()
line = shares["without attention"]
if as_given:
    kept_up = "strongest word only", "next strongest removed"
    assert min(shares[name] for name in kept_up) > line + 5 and max(shares[name] for name in changes if name not in ("learnt weights", *kept_up)) < line - 3
    assert shares["strongest word only"] + 3 < shares["learnt weights"] < shares["next strongest removed"] + 3

# %% [markdown]
# With all weight on the strongest word, most words stay right, though clearly fewer. To lose the next strongest word costs little. The other five changes leave fewer right words than the model without attention has. So this decoder depends on its weights. (It was never trained with such contexts; this does not say that attention harms.)
#
# Now the case of the right map: the strongest weight lies off the link. Here the linked word and the next strongest have about equal weights (determiners apart). Remove one of the three. How much probability moves to other words, how many right words go wrong, how many wrong ones become right? **Predict** which does the most harm.

# %%
learnt = torch.zeros_like(links)                                        # (pairs, target, source): the weights, padded
off_link = {"determiners": [], "other words": []}                       # their places: (sentence, target word)
for i, weights in enumerate(all_weights):
    learnt[i, : weights.shape[0], : weights.shape[1]] = weights
    for t in sorted({t for _, t in pairs.links[i] if answers[i][t][0].isalnum()}):
        if not links[i, t, weights[t].argmax()]:
            off_link["other words" if t in others(answers[i]) else "determiners"].append((i, t))
lost = {"strongest word removed": learnt * strongest(learnt), "linked words removed": learnt * links,
        "next strongest removed": learnt * next_strongest(learnt, links)}

# %% tags=["row-1.10"]
effects = {}
print("removed             its weight, %   probability moved, %   right to wrong   wrong to right")
for kind, places in off_link.items():
    print(f"{kind}, strongest weight off the link: {len(places)}")
    i, t = torch.tensor(places).T                                       # (words,) each
    before = right["learnt weights"][i, t]
    for removal, weights in lost.items():
        moved, after = (guesses[removal] - guesses["learnt weights"])[i, t].abs().sum(1) / 2, right[removal][i, t]
        weight, moved = 100 * weights[i, t].sum(1).mean().item(), 100 * moved.mean().item()
        harmed, mended = (before & ~after).sum().item(), (~before & after).sum().item()
        effects[kind, removal] = weight, moved, harmed, mended
        print(f"{removal.removesuffix(' removed'):15} {weight:17.0f} {moved:22.0f} {harmed:16} {mended:16}")
one, linked, other = (effects["other words", removal] for removal in lost)
if as_given:
    assert linked[0] < one[0] / 2 and linked[1] < one[1] and abs(other[0] - linked[0]) < 5
    assert abs(one[2] - one[3]) < 0.3 * one[2] and linked[2] > 1.4 * one[2] and linked[3] < 8 and linked[2] > 3 * other[2]
    small = [effects["determiners", removal] for removal in lost]       # weight, probability, right to wrong: all fall
    assert all(a > b > c for a, b, c in list(zip(*small))[:3])

# %% [markdown]
# Read the other words. Without the strongest word, about as many become right as go wrong. The linked word has less than half its weight, and moves less; but more go wrong without it, and hardly any becomes right. The next strongest weighs as much as the linked word, and is hardly missed. So _equal weights mattered differently, and a smaller one more than a larger_. With determiners the effects follow the weights.
#
# A weight tells how much of a _state_ went into the context. It does not tell which word that state is about (it has read all before), nor whether the right word depends on it. Two papers below argue about this.
#
# ## Trap: a softmax that counts [PAD]
#
# Sentences of a batch are filled up to one length with `[PAD]`. The encoder leaves zeros where their states would be. But a zero vector is a key, too: its energy is $v \cdot \tanh(W s)$, and the softmax gives it a weight. So padding is left out _before_ the softmax, by an energy of minus infinity, whose exponential is 0 (`masked_softmax` in `course_lib`).
#
# **Predict** for the toy sentence with two `[PAD]` behind it: what do the weights of the words add up to without a mask, and with one multiplied afterwards? What does a missing mask do to translations?

# %% tags=["row-1.10"]
padded = torch.cat([h, torch.zeros(2, 2)])                              # (5, 2): three words, two [PAD]
is_word = torch.tensor([True, True, True, False, False])
energies = torch.tanh(W @ queries[0] + padded @ U.T) @ v                # (5,)
masked = {"no mask": energies.softmax(0), "multiplied afterwards": energies.softmax(0) * is_word,
          "minus infinity before": energies.masked_fill(~is_word, -torch.inf).softmax(0)}
for name, alpha in masked.items():
    print(f"{name:22} words {alpha[is_word].sum():.3f}, [PAD] {alpha[~is_word].sum():.3f}")
assert torch.equal(masked["minus infinity before"], masked_softmax(energies, is_word)) and masked["multiplied afterwards"].sum() < 0.95

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
# Without the mask no error is raised, but a translation depends on its neighbours in the batch. The test that finds it: translate the same sentences without padding and beside a longer one.
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
# **3.** Alignment share of one sentence: of the target words that have a link, the share whose largest weight is on a linked source word. A target word may have several links: then a look at any of them is right.

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
# - It adds two matrices and a vector. With them the GRU translates sentences that its last state alone cannot hold.
# - Padding takes no weight from the words only if the mask comes before the softmax.
# - The strongest weight follows words that leave the diagonal. Over all words, a ruler beats this short training: measure one.
# - Weights show where a model looks, not why it writes what it writes. Interfere, and measure.
#
# ## References
#
# - Bahdanau, Cho and Bengio (2014, ICLR 2015), [Neural machine translation by jointly learning to align and translate](https://arxiv.org/abs/1409.0473): figure 3 has such maps.
# - Tu et al. (2016), [Modeling coverage for neural machine translation](https://arxiv.org/abs/1601.04811): a list of what has been translated.
# - Jain and Wallace (2019), [Attention is not explanation](https://arxiv.org/abs/1902.10186); Wiegreffe and Pinter (2019), [Attention is not not explanation](https://arxiv.org/abs/1908.04626).
#
# **Next:** [03_transformer](03_transformer.ipynb) keeps the attention and drops the recurrence.
