# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/01_rnn_encoder_decoder.ipynb)
#
# # Why does one context vector lose long sentences?
#
# Before attention, a translator read a whole sentence into one vector and wrote the translation from it. You build one, train it in seconds, and measure what its vector cannot hold.
#
# | | |
# |---|---|
# | You will be able to | compute a GRU's hidden states by hand; decode a sentence word by word; keep `[PAD]` out of states and losses; measure how quality falls with length |
# | You need first | Python, matrix products, and what a neural network's training loop is |
# | Time | 30 minutes to read; the code runs in about half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: the sentences come with the course |

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
# Everything you may want to change: `max_words` is the longest English sentence used for the training here; `full` repeats recorded trainings.

# %% tags=["parameters"]
seed = 0
data = "course/en_es"
max_words = 10
max_pairs = 20_000
embedding_size = 64
hidden_size = 128
batch_size = 32
learning_rate = 1.2e-2
epochs = 2
full = False

# %% [markdown]
# ## Two languages
#
# **Question.** What has to be learnt?
#
# The course's corpus of English and Spanish comes from a small grammar: correct, often silly, and with one right translation for each sentence, so that a machine can mark the answers.
#
# A network computes with numbers, so a *vocabulary* numbers the words, from the commonest on. Its first four numbers are for tokens that are not words: `[PAD]` fills batches up, `[BOS]` begins a sentence, `[EOS]` ends it, `[UNK]` stands for every unknown word. **Predict**, before you run the cell: what becomes of "horse", which the tiny vocabulary has never seen?

# %% tags=["nbval-check-output"]
import random
from zlib import crc32

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_lib.diagrams import arrow, box, stripes
from course_lib.datasets.translations import load_translations
from course_lib.translation.vocabulary import BOS, EOS, Vocabulary, words

plt.rcParams["figure.dpi"] = 80                                         # keeps this file small
torch.set_num_threads(1)                                                # as in the recorded runs; the matrices are small
corpus = load_translations(data)
bundled = data == "course/en_es"
print(f"{len(corpus):,} pairs")
for pair in corpus[:300:100]:
    print(pair.english, "|", pair.spanish)

tiny = Vocabulary.build(["the red car", "the car sleeps"])
ids = tiny.encode("The red horse sleeps")
print(tiny.tokens, ids, tiny.decode(ids))
assert tiny.decode(tiny.encode("the red car")) == "the red car"

# %% [markdown]
# Articles, adjectives and verbs agree with their noun, adjectives follow it, "does" has no counterpart. And the two sentences need not have equally many words.
#
# ## Reading: a state for every word
#
# **Question.** What is a hidden state?
#
# A recurrent network reads one word at a time and keeps a vector, the *hidden state* $h_t$: what it has made of the words so far. Each new word changes it. There is one state per word, not per sentence, as some analogies have it.
#
# How it changes, a cell decides. The *GRU* (gated recurrent unit, Cho et al. 2014) has two gates, vectors between 0 and 1. The reset gate $r$ says how much of the old state a proposal $n$ may use, the update gate $z$ how much of the old state stays:
#
# $$r = \sigma(W_r x + U_r h), \quad z = \sigma(W_z x + U_z h), \quad n = \tanh(W_n x + r \odot U_n h), \quad h' = (1 - z) \odot n + z \odot h$$
#
# Here for words of two numbers and states of three, in a loop. (Torch's GRU has biases too; they are zero here.) **Predict:** can a state ever leave the range from -1 to 1?

# %% tags=["row-1.5", "nbval-check-output"]
sentence = ["the", "red", "car"]
vectors = torch.tensor([[1.0, 0.0], [-0.5, 1.0], [0.3, -2.0]])                   # (3 words, 2)
W = torch.linspace(-1, 1, 18).sin().reshape(3, 3, 2)                             # (r, z, n; state, word)
U = torch.linspace(-2, 2, 27).cos().reshape(3, 3, 3)                             # (r, z, n; state, state)

h = torch.zeros(3)                                                               # before the first word
by_hand = []
for word, x in zip(sentence, vectors):
    r = torch.sigmoid(W[0] @ x + U[0] @ h)                                       # (3,)
    z = torch.sigmoid(W[1] @ x + U[1] @ h)
    n = torch.tanh(W[2] @ x + r * (U[2] @ h))
    h = (1 - z) * n + z * h
    by_hand.append(h)
    print(f"after {word!r}: h = {[round(v, 3) for v in h.tolist()]}")
assert torch.stack(by_hand).abs().max() < 1

# %% [markdown]
# It cannot: $h'$ lies between $n$, which is a tanh, and the old $h$, which began at 0. Now the same from torch: one call returns every state, and the last one once more. That one is the *context vector*: all that the second half of the program will see of the sentence.

# %% tags=["row-1.4", "row-1.5", "nbval-check-output"]
gru = nn.GRU(input_size=2, hidden_size=3, batch_first=True)
with torch.no_grad():
    gru.weight_ih_l0.copy_(W.reshape(9, 2))
    gru.weight_hh_l0.copy_(U.reshape(9, 3))
    gru.bias_ih_l0.zero_()
    gru.bias_hh_l0.zero_()
    states, last = gru(vectors.unsqueeze(0))                                     # (1, 3 words, 3), (1, 1, 3)

assert torch.allclose(states[0], torch.stack(by_hand), atol=1e-6)
assert torch.equal(states[:, -1], last[0])
context = last[0, 0]                                                             # (3,)
print("states", tuple(states.shape), "context vector", tuple(context.shape))
print([round(v, 3) for v in context.tolist()])

# %% [markdown]
# The network that reads is the *encoder*. Three words or thirty: the context vector has the same size.
#
# ## Writing: one word, then the next
#
# **Question.** How does a vector become a sentence?
#
# The *decoder* is a second GRU. Its first state is the context vector, which it is given again in every step, so that it cannot be forgotten. It is told the previous word (`[BOS]` at first), moves to its next state, and scores all Spanish words. The best one is written, and told to it in the next step: *greedy decoding*. The translation ends where the decoder writes `[EOS]`, not where the source's length is reached.
#
# The next cell makes a real translator: embeddings, encoder, decoder, output. Then it writes by hand. **Predict** what an untrained one writes.

# %% tags=["row-1.4"]
from course_lib.translation.pairs import source_batch
from course_lib.translation.translators import RNNTranslator

chosen = [p for p in corpus if max(len(words(p.english)), len(words(p.spanish)) - 5) <= max_words]
is_test = {p.english: p.split == "test" if p.split else crc32(p.english.encode()) % 100 == 0 for p in chosen}
pairs = [(p.english, p.spanish) for p in chosen if not is_test[p.english] and p.split != "dev"]
pairs = pairs if len(pairs) <= max_pairs else random.Random(seed).sample(pairs, max_pairs)
test = [(p.english, p.spanish) for p in chosen if is_test[p.english]]
english, spanish = (Vocabulary.build(side, max_size=10_000) for side in zip(*pairs))
torch.manual_seed(seed)
translator = RNNTranslator(english, spanish, embedding_size, hidden_size, attention=False, dropout=0.0)

@torch.no_grad()
def write(model, text, most=60):
    """Greedy decoding, step by step: the words and the decoder's states."""
    state, previous, written, states = model.start(*source_batch(model, [text])), torch.tensor([BOS]), [], []
    while len(written) < most and previous != EOS:
        logits, state, _ = model.step(previous, state)                           # (1, vocabulary)
        previous = logits.argmax(1)                                              # (1,)
        written.append(spanish.tokens[previous])
        states.append(state.hidden[0])                                           # (hidden,)
    return written, states

print(f"{len(pairs):,} pairs to learn from, {len(test)} to test; {len(english)} English and {len(spanish)} Spanish tokens")
print(write(translator, "the red car is small .")[0][:8])

# %% [markdown]
# Nonsense. What it should learn is to give the right next word a high score.
#
# ## What is learnt, and what `[PAD]` is for
#
# **Question.** What does the loss look at?
#
# While training, the decoder is told the right previous word, whatever it would have written itself: *teacher forcing*. The loss is the cross-entropy of the right next word, averaged over all words.
#
# Several sentences are computed together, as one rectangle of numbers, and short ones are filled up with `[PAD]`. That is all `[PAD]` is for: batching. It belongs to no sentence. **Predict:** how many of the numbers below count in the loss?

# %% tags=["row-1.6", "nbval-check-output"]
from course_lib.translation.pairs import pad

small = Vocabulary(["el", "coche", "rojo", "duerme", "."])
targets, real = pad([[BOS, *small.encode(text), EOS] for text in ["el coche rojo duerme .", "duerme ."]], torch.device("cpu"))
print(targets)
print("told to the decoder", tuple(targets[:, :-1].shape), "to be predicted", tuple(targets[:, 1:].shape))
print("count in the loss:", int(real[:, 1:].sum()), "of", targets[:, 1:].numel())

# %% [markdown]
# Nine: seven words and two `[EOS]`. The next cell computes the loss of the untrained translator by hand, over the words that count, and from the library. It then asserts what follows: a sentence has the same loss in any company.

# %% tags=["row-1.6"]
import math

from course_lib.translation.pairs import target_batch, translation_loss

two = [min(test, key=lambda p: len(p[0])), max(test, key=lambda p: len(p[0]))]
with torch.no_grad():
    target, real = target_batch(translator, [t for _, t in two])                 # (2, longest) each
    logits, _ = translator(*source_batch(translator, [s for s, _ in two]), target[:, :-1])
    right = logits.log_softmax(-1).gather(-1, target[:, 1:, None]).squeeze(-1)   # (2, longest - 1)
    loss = -right[real[:, 1:]].mean()
    together, first, second = (translation_loss(translator, batch) for batch in (two, two[:1], two[1:]))
counts = real[:, 1:].sum(1)                                                      # (2,)
assert torch.allclose(loss, together, atol=1e-5)
assert torch.allclose(together, (first * counts[0] + second * counts[1]) / counts.sum(), atol=1e-5)
print(f"loss {loss:.2f}; a blind guess among {len(spanish)} tokens: {math.log(len(spanish)):.2f}")

# %% [markdown]
# ## Training, live
#
# **Question.** What can this translator learn in a few seconds?
#
# It learns from sentences of at most `max_words` words. **Predict:** of test sentences of 3 to 5 words, and of 9 and more, what share will it translate without a single mistake?

# %% tags=["row-1.4"]
import time

from course_lib.translation.pairs import pair_length
from course_lib.training import train

start = time.perf_counter()
history = train(translator, lambda batch: translation_loss(translator, batch), pairs, batch_size=batch_size, epochs=epochs,
                learning_rate=learning_rate, seed=seed, length=pair_length, autocast=False, show_progress_bar=False)
print(f"{time.perf_counter() - start:.0f} seconds, loss {history[0]['loss']:.2f} -> {history[-1]['loss']:.2f}")
assert len(history) < 2 or history[-1]["loss"] < history[0]["loss"]

for source, target in sorted(test, key=lambda p: len(words(p[0])))[:: len(test) // 8]:
    written, _ = write(translator, source)
    mark = "right" if written[:-1] == words(target) else "WRONG"
    print(f"{mark}  {source}\n       {' '.join(written)}\n       {target}")

# %% [markdown]
# Each block shows the source, what was written, and the right answer. Look at the mistakes: most are good Spanish. The decoder has learnt to write the language; what it lacks is the words that the source had.
#
# ## One vector in between
#
# **Question.** Where does the information pass?
#
# The figure is drawn from the tensors of the translator you trained. Every small stripe is a state, its first 24 numbers as colours. **Predict:** how many numbers go from the upper half to the lower one?

# %% tags=["row-1.5", "row-1.6"] alt="Diagram. Above, the English words enter a row of encoder states, drawn as stripes of coloured cells, with arrows from each state to the next. The last state is drawn once more as a wide stripe in the middle, the context vector. From it arrows go down to every decoder state, drawn like those above; below each stands the Spanish word that it wrote, the last one being [EOS]."
source = "the girl reads two books ." if bundled else test[0][0]
with torch.no_grad():
    inputs, mask = source_batch(translator, [source])                            # (1, words + 1)
    encoder_states, last = translator.encoder(translator.source_embedding(inputs))   # (1, words + 1, hidden)
written, decoder_states = write(translator, source)
context = translator.start(inputs, mask).hidden[0].detach()                      # (hidden,)
assert torch.equal(context, last[0, 0]) and torch.allclose(context, encoder_states[0, -1])
_, ax = plt.subplots(figsize=(9, 4.4), layout="constrained")
step = 10 / max(len(inputs[0]), len(written))
for names, row, y in (([english.tokens[i] for i in inputs[0]], encoder_states[0], 1), (written, decoder_states, 5)):
    for i, (name, state) in enumerate(zip(names, row)):
        left, right = step * i + 0.1, step * (i + 1) - 0.25
        stripes(ax, left, right, y, state[:24], "")
        box(ax, (left + right) / 2, y - 0.7 if y == 1 else y + 0.7, right - left, 0.5, name, "#f2f2f2", 8)
        if i:                                                                    # from state to state
            ax.annotate("", (left, y), (left - 0.35, y), arrowprops={"arrowstyle": "-|>"})
        if y == 5:
            arrow(ax, (left + right) / 2, 3.3, 4.8)
arrow(ax, step * (len(inputs[0]) - 0.5), 1.2, 2.9)
stripes(ax, 0.1, 9.75, 3.1, context, "")
ax.text(0.1, 2.7, f"context vector: {len(context)} numbers for the whole sentence", fontsize=9)
ax.set(xlim=(0, 10), ylim=(6.2, -0.2), title="Everything the decoder knows of the source passes through one vector")
ax.axis("off")
plt.show()

# %% [markdown]
# The gap between the two halves is as wide as `hidden_size`, for three words or thirty: a *bottleneck*. And every word has to survive all later updates of the state to get there.
#
# ## Measured: quality by length
#
# **Question.** How long may a sentence be?
#
# *Exact match* is the share of sentences translated without any mistake. First the translator you trained; beside it the same training, recorded with several seeds by `recipes/translation.py`. The cell asserts that your run is in line with them, give or take ten points.

# %% tags=["row-1.4", "row-1.7"]
from course_lib.data import load_results
from course_lib.translation.scores import exact_match, mean_by

def bucket(source):
    low = len(words(source)) // 3 * 3
    return f"{low:02}-{low + 2:02}"

live = {name: 100 * share for name, share in mean_by([bucket(s) for s, _ in test], exact_match(translator, test)).items()}
results = load_results("01")

def recorded(model, budget):
    """{length: the values of all seeds}, in the order of the lengths."""
    chosen = results.query("model == @model and budget == @budget and metric == 'exact_match'")
    return {name: rows.value.tolist() for name, rows in chosen.groupby("length")}

trained = (max_words, max_pairs, embedding_size, hidden_size, batch_size, learning_rate, epochs)
as_recorded = bundled and trained == (10, 20_000, 64, 128, 32, 1.2e-2, 2)
for name, share in live.items():
    seeds = recorded("gru", "live").get(name, [])
    print(f"{name} words: {share:5.1f} % right; recorded {[round(value, 1) for value in seeds]}")
    assert not as_recorded or min(seeds) - 10 <= share <= max(seeds) + 10

# %% [markdown]
# But a few seconds are not much, and this translator saw no long sentences at all. So here is a fairer trial, recorded: all 24,000 training sentences of 3 to 25 words, all lengths about equally often, each seen twice. Three seeds of the GRU, and one of an *LSTM* (Hochreiter and Schmidhuber 1997), the older and larger cell with a second state for long memories. **Predict** where their curves reach zero.

# %% tags=["row-1.4", "row-1.7"] alt="Line chart of the share of test sentences translated without a mistake against the number of words of the English sentence. Both curves, GRU with a band over three seeds and LSTM, start high at three to five words, fall steeply, and stay at about zero for long sentences."
import hashlib

from course_lib.support.tables import find
from course_lib.plotting import curve

long_gru, long_lstm = recorded("gru", "long"), recorded("lstm", "long")
names = [name for name in long_gru if name[0].isdigit()]
print("words  GRU, three seeds       LSTM")
for name in names:
    print(name, "".join(f"{value:7.1f}" for value in long_gru[name]), f"{long_lstm[name][0]:10.1f}")

digest = hashlib.sha256(find("course/en_es").read_bytes()).hexdigest()           # they were measured on the data you have
assert set(results.query("data == 'course/en_es'").data_sha256) == {digest}
assert all(len(long_gru[name]) >= 3 for name in names)
assert min(long_gru["shortest third"]) - max(long_gru["longest third"]) > 20

middles = [int(name[:2]) + 1 for name in names]
ax = curve(middles, [[long_gru[name][seed] for name in names] for seed in range(3)], "GRU, 3 seeds")
curve(middles, [long_lstm[name][0] for name in names], "LSTM, 1 seed", ax=ax)
ax.set(xlabel="words of the English sentence", ylabel="exact match in %", ylim=(-3, 103))
ax.set_title("One context vector: short sentences pass, long ones do not", fontsize="medium")
plt.show()

# %% [markdown]
# Long sentences were in the training as often as short ones, and their words and rules are the same. What grows with the length is how much one vector has to carry. An LSTM does not cure it.
#
# Two limits of this figure: exact match is strict, one wrong word of twenty spoils a sentence; and more training or a larger state could move the curve. Notebook 02 therefore keeps budget and sizes, and changes only what the decoder may look at.
#
# ## What the vector keeps
#
# **Question.** Which words does the context vector still know?
#
# Change one word, and see how far the context vector moves: a word that it no longer knows can be changed without effect. The next cell puts a random word in each place, in sentences of 4, 6, 8 and 10 words, and divides by the vector's norm. **Predict** two things: does a word of a long sentence move the vector as far as one of a short sentence? And which place moves it least: the first, which was read longest ago, one in the middle, or the last?

# %% tags=["row-1.7"] alt="Line chart of how far the context vector moves when one word is replaced, against the place of that word, one curve for each sentence length. The curves of longer sentences lie lower; from six words on, each falls from the first word to the middle and rises again towards the last."
generator, ax, moved = torch.Generator().manual_seed(seed), None, {}
for length in range(4, min(max_words, 10) + 1, 2):
    if not (sources := [s for s, _ in pairs if len(words(s)) == length][:200]):
        continue
    with torch.no_grad():
        inputs, mask = source_batch(translator, sources)                         # (sentences, length + 1)
        before = translator.start(inputs, mask).hidden                           # (sentences, hidden)
        distances = []
        for place in range(length - 1):                                          # all but the full stop
            changed = inputs.clone()
            changed[:, place] = torch.randint(4, len(english), (len(sources),), generator=generator)
            distances.append((translator.start(changed, mask).hidden - before).norm(dim=1).mean() / before.norm(dim=1).mean())
    moved[length] = torch.stack(distances)                                       # (length - 1,)
    ax = curve(range(1, length), moved[length], f"{length} words", ax=ax)
    print(f"{length:2} words: mean {moved[length].mean():.2f}, first {moved[length][0]:.2f}, least {moved[length].min():.2f}, last {moved[length][-1]:.2f}")
ax.set(xlabel="place of the changed word", ylabel="relative change", ylim=(0, None))
ax.set_title("The more words share the vector, the less each of them moves it", fontsize="medium")
plt.show()
assert not as_recorded or moved[4].mean() > moved[6].mean() > moved[8].mean() > moved[10].mean()
assert not as_recorded or moved[10][2:-2].min() < min(moved[10][0], moved[10][-1])

# %% [markdown]
# Each word leaves less in the vector when more words share it. But it is not simply the oldest word that fades, as many accounts have it: from six words on, the middle moves it least. What is kept is learnt; a likely reason for the strong beginning: the decoder needs it first.
#
# Words that belong together may stand far apart: in "the eagles that are in the garden are tired", the form of "tired" depends on "eagles". Such a *long-range dependency* must survive in the state all the way.
#
# ## The trap: the last step of a padded batch
#
# **Question.** Which state is the last one?
#
# `states[:, -1]` was right for one sentence. Put short sentences into a batch with a long one. **Predict** what it holds for them.

# %% tags=["row-1.6"]
batch = [s for s, _ in test if len(words(s)) <= 5][:100] + [max((p.english for p in corpus), key=len)]
inputs, mask = source_batch(translator, batch)                                   # (sentences, longest + 1)
with torch.no_grad():
    states, _ = translator.encoder(translator.source_embedding(inputs))          # [PAD] is read like a word
    naive = states[:, -1]                                                        # (sentences, hidden)
    right = states[torch.arange(len(batch)), mask.sum(1) - 1]                    # after the last real token
    library = translator.start(inputs, mask).hidden
similarity = torch.cosine_similarity(naive, right)                               # (sentences,)
print(f"{batch[0]!r} and {int((~mask[0]).sum())} [PAD]: cosine of the two {similarity[0]:.2f}; the longest sentence: {similarity[-1]:.2f}")

assert torch.allclose(library, right, atol=1e-5)
assert torch.allclose(naive[-1], right[-1]) and not torch.allclose(naive[0], right[0], atol=0.1)

# %% [markdown]
# A GRU goes on reading: at each `[PAD]` the state changes once more. The vector of `[PAD]` is all zeros, and that does not help, because the old state and the biases still act. So the same sentence gets another context vector in longer company, and nothing raises an error. What it costs in translations:

# %% tags=["row-1.6"]
with torch.no_grad():
    answers = dict(test)
    correct = {}
    for name, hidden in (("last time step", naive), ("last real token", right)):
        state = translator.start(inputs, mask)._replace(hidden=hidden, cell=hidden, keys=hidden.unsqueeze(1))
        previous, columns = torch.full((len(batch),), BOS), []
        for _ in range(20):
            logits, state, _ = translator.step(previous, state)                  # (sentences, vocabulary)
            previous = logits.argmax(1)
            columns.append(previous)
        texts = [spanish.decode(row) for row in torch.stack(columns, 1).tolist()]
        correct[name] = sum(words(text) == words(answers[s]) for s, text in zip(batch[:-1], texts))
print({name: f"{n} of {len(batch) - 1} short sentences right" for name, n in correct.items()})
assert not as_recorded or correct["last time step"] < correct["last real token"]

# %% [markdown]
# The cure: take each sentence's own last state, or let torch stop there, as `pack_padded_sequence` does. The test that finds the mistake: one sentence, alone and in long company, must give the same vector.
#
# ## Now from the library
#
# The encoder's half of `course_lib.translation.translators.RNNTranslator`, as you built it, with packing; the flag `attention` is for notebook 02. And `course_lib.translation.decoding.translate`, which writes many sentences at once, must agree with the loop above (one exception is allowed: rounding may decide between two words of equal score).

# %% tags=["nbval-check-output"]
import inspect

from course_lib.translation.decoding import translate

print(inspect.getsource(RNNTranslator.start))
some = [s for s, _ in test[:40]]
from_library = translate(translator, some)
from_loop = [spanish.decode(spanish.ids[w] for w in write(translator, s, 2 * len(words(s)) + 10)[0]) for s in some]
agree = sum(a == b for a, b in zip(from_library, from_loop))
print(f"{len(from_library)} translations by both")
assert agree >= len(some) - 1

# %% [markdown]
# ## With full-size data
#
# `data = "tatoeba"` reads about 119,000 sentence pairs that people wrote, if `COURSE_DATA` names a folder that has them (see the README in `data`). Set `max_words = 15`, `hidden_size = 256` and `max_pairs = 100_000`, and wait some minutes. A sentence then has many right translations, so exact match is unfair; the recorded runs are scored with BLEU, which counts shared word sequences.
#
# `full = True` repeats the GRU's recorded trainings with one seed, which takes several minutes.

# %%
for row in results.query("metric == 'bleu'").itertuples():
    if not row.length[0].isdigit():
        print(f"{row.model} on {row.data}, {row.length}: BLEU {row.value:.1f}")
if full:
    import tempfile

    from recipes.translation import run
    with tempfile.TemporaryDirectory() as folder:
        for budget in ("live", "long"):
            again = {length: value for metric, length, value in run(budget, "gru", seed, Path(folder))["measured"] if metric == "exact_match"}
            assert all(min(values) - 10 <= again[name] <= max(values) + 10 for name, values in recorded("gru", budget).items())

# %% [markdown]
# ## Exercises
#
# `check` tells which kind of mistake it sees, never the answer.
#
# **1.** One step of an LSTM. It has two states, `h` and `c`, and three gates. With $a = W x + U h + b$, cut into four parts in the order i, f, g, o: $c' = \sigma(f) \odot c + \sigma(i) \odot \tanh(g)$ and $h' = \sigma(o) \odot \tanh(c')$.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def lstm_step(x, h, c, W, U, b):
    """x (input,), h and c (hidden,), W (4 * hidden, input), U (4 * hidden, hidden), b (4 * hidden,) -> (h', c')."""
    ...

check("01.1", lstm_step)

# %% [markdown]
# **2.** Take from a padded batch the state after each sentence's last real token. Padding stands on the right.

# %% tags=["exercise", "nbval-check-output"]
def last_states(states, mask):
    """(batch, tokens, hidden), (batch, tokens) of True and False -> (batch, hidden)."""
    ...

check("01.2", last_states)

# %% [markdown]
# **3.** The loss of a batch: the mean cross-entropy of all target words that are not `[PAD]`, whose number is 0.

# %% tags=["exercise", "nbval-check-output"]
def translation_cross_entropy(logits, targets):
    """(batch, words, vocabulary), (batch, words) -> a scalar tensor."""
    ...

check("01.3", translation_cross_entropy)

# %% [markdown]
# ## Questions
#
# **1.** A drawing of an encoder-decoder fills the translation up with `[PAD]` "so that it has the same length as the input". What is wrong with that?
#
# <details><summary>Answer</summary>A translation may have more or fewer words than its source; it ends at [EOS]. [PAD] only makes the sentences of a batch equally long, and counts neither in the states nor in the loss.</details>
#
# **2.** Somebody doubles `hidden_size`, and the curve of exact match moves to the right. Is the bottleneck gone?
#
# <details><summary>Answer</summary>It is wider. One vector of fixed size still stands for sentences of any length, and the cost of every step grows with the square of the size.</details>
#
# **3.** Your encoder gives a sentence one vector when it is alone and another in a batch. What do you look for first?
#
# <details><summary>Answer</summary>A state taken at [PAD], or an average over it. Compare the vector with the state after the last real token. (Differences in the seventh digit are only rounding.)</details>
#
# ## Summary
#
# - An encoder makes one hidden state per word; the last one is the context vector, and the decoder begins with it.
# - Decoding writes a word, tells it to the decoder, and goes on until `[EOS]`.
# - `[PAD]` serves batching alone. The last time step of a padded batch is not the last state of a short sentence.
# - With one context vector, exact match falls steeply with the length of the sentence, for GRU and LSTM alike.
# - The more words a sentence has, the less each one moves the context vector, and the middle ones least.
#
# ## References
#
# - Sutskever, Vinyals and Le (2014), [Sequence to sequence learning](https://arxiv.org/abs/1409.3215): LSTMs, and the reversed source.
# - Cho et al. (2014), [the RNN encoder-decoder](https://arxiv.org/abs/1406.1078), with the GRU; and [its fall with length](https://arxiv.org/abs/1409.1259).
# - Hochreiter and Schmidhuber (1997), [Long short-term memory](https://doi.org/10.1162/neco.1997.9.8.1735).
#
# **Next:** [02_attention](02_attention.ipynb) lets the decoder look back at every state of the encoder.
