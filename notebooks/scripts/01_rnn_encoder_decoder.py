# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/01_rnn_encoder_decoder.ipynb)
#
# # Why does one context vector lose long sentences?
#
# Before attention, a translator read a sentence into one vector and wrote the translation from that vector. You build such a translator by hand, train it in seconds, and measure what its vector cannot hold.
#
# | | |
# |---|---|
# | You will be able to | compute a GRU's hidden states by hand; write a decoder's step and decode a sentence word by word; keep `[PAD]` out of states and losses; tell a bottleneck from too little training |
# | You need first | Python, matrix products, and what a neural network's training loop is. No Spanish |
# | Time | 40 minutes to read; the code runs in about a minute |
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
# The translators below read English sentences of at most `max_words` words. `full = True` repeats a recorded training.

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
# The course has a corpus of English sentences with Spanish translations. A small grammar made it. The sentences are correct, often silly, and each has one right translation, so a program can mark the answers.
#
# A network computes with numbers, so a *vocabulary* gives every word a number, from the commonest word on. Its first four numbers are for tokens that are not words: `[PAD]` fills batches up, `[BOS]` begins a sentence, `[EOS]` ends it, and `[UNK]` stands for every unknown word.
#
# **Predict:** what becomes of "horse", which the tiny vocabulary has never seen?

# %% tags=["nbval-check-output"]
import random

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_lib.datasets.translations import glosses, load_translations, split_of
from course_lib.plotting import curve
from course_lib.translation.vocabulary import BOS, EOS, PAD, Vocabulary, words

torch.set_num_threads(1)                                                         # the matrices are small
corpus = load_translations(data)
meaning = glosses(corpus)                                                        # Spanish word -> English

def literal(spanish_words):
    return " ".join(meaning.get(word, word) for word in spanish_words)

print(f"{len(corpus):,} pairs")
for pair in corpus[:300:100]:
    print(f"{pair.english}\n  {pair.spanish}\n  ({literal(words(pair.spanish))})")

tiny = Vocabulary.build(["the red car", "the car sleeps"])
print(tiny.tokens, tiny.encode("The red horse sleeps"), tiny.decode(tiny.encode("The red horse sleeps")))
assert tiny.decode(tiny.encode("the red car")) == "the red car"

# %% [markdown]
# "Horse" becomes `[UNK]`, and nobody can tell afterwards which word it was.
#
# The line in brackets translates the Spanish word for word. Spanish adjectives stand after their noun and take its gender and number. English "does" has no counterpart, so the two sentences need not have equally many words.
#
# ## Reading: a state for every word
#
# **Question.** What is a hidden state?
#
# A recurrent network (RNN) reads one word at a time and keeps a vector, the *hidden state* $h$. It holds what the network has made of the words so far, and each new word changes it. So there is one state after each word.
#
# A small network, the cell, computes the change. Ours is the *GRU* (gated recurrent unit) as torch computes it; Cho et al. (2014) let $r$ act on $h$ before $U_n$ does. It has two gates, vectors of numbers between 0 and 1. The reset gate $r$ says how much of the old state may enter a proposal $n$. The update gate $z$ says how much of the old state stays:
#
# $$r = \sigma(W_r x + U_r h), \quad z = \sigma(W_z x + U_z h), \quad n = \tanh(W_n x + r \odot U_n h), \quad h' = (1 - z) \odot n + z \odot h$$
#
# Here $x$ is the vector of the new word, the matrices $W$ and $U$ are learnt, $\sigma(a) = 1 / (1 + e^{-a})$ squeezes each number between 0 and 1, and $\odot$ multiplies number by number. The cell below does it in a loop, for words of two numbers and states of three.
#
# **Predict:** can a number in a state ever leave the range from -1 to 1?

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
# It cannot. Each number of $h'$ lies between a tanh and a number of the old $h$, which began at 0.
#
# Torch's GRU does the same for a whole sentence in one call. It also adds learnt numbers, its biases, which the cell sets to zero. It returns every state, and the last one once more. This last state is the *context vector*: all that the second half of the translator will see of the sentence.

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
print("states", tuple(states.shape), "context vector", tuple(context.shape), [round(v, 3) for v in context.tolist()])

# %% [markdown]
# The network that reads is the *encoder*. For three words or thirty, its context vector has the same size.
#
# ## Writing: one word, then the next
#
# **Question.** How does a vector become a sentence?
#
# The network that writes is the *decoder*, a second GRU. Both need vectors for words. An *embedding* is a table with a row of numbers for each word; the rows begin at random and are learnt.
#
# In step $i$ the decoder takes three things: the embedding $y$ of the word before, the context vector $c$, and its own last state $s_{i-1}$, where $s_0$ is $c$. It computes its next state, and a score for each Spanish word:
#
# $$s_i = \mathrm{GRU}([y; c],\ s_{i-1}), \qquad \mathrm{logits} = V \tanh(R\,[s_i; c; y])$$
#
# $[y; c]$ puts the two vectors end to end. The scores are called *logits*; a softmax makes probabilities of them. $R$ and $V$ are learnt matrices (with biases, not written here). The next cell makes the parts of a translator and writes the decoder's step.
#
# **Predict:** how many logits does a step return?

# %% tags=["row-1.4", "nbval-check-output"]
def sentences(split):
    chosen = [p for p in corpus if split_of(p) == split and len(words(p.english)) <= max_words]
    return [(p.english, p.spanish) for p in chosen]

pairs, test = sentences("train"), sentences("test")
pairs = pairs if len(pairs) <= max_pairs else random.Random(seed).sample(pairs, max_pairs)
english, spanish = (Vocabulary.build(side, max_size=10_000) for side in zip(*pairs))
print(f"{len(pairs):,} pairs to learn from, {len(test)} to test; {len(english)} English and {len(spanish)} Spanish tokens")
torch.manual_seed(seed)
parts = nn.ModuleDict({
    "source_embedding": nn.Embedding(len(english), embedding_size, padding_idx=PAD),
    "target_embedding": nn.Embedding(len(spanish), embedding_size, padding_idx=PAD),
    "encoder": nn.GRU(embedding_size, hidden_size, batch_first=True),
    "decoder": nn.GRUCell(embedding_size + hidden_size, hidden_size),
    "readout": nn.Linear(hidden_size + hidden_size + embedding_size, embedding_size),   # R
    "output": nn.Linear(embedding_size, len(spanish)),                                  # V
})

def step(net, previous, s, c):
    """Ids (batch,) of the previous words, states and contexts (batch, hidden) -> logits and the new states."""
    y = net.target_embedding(previous)                                           # (batch, embedding)
    s = net.decoder(torch.cat([y, c], dim=1), s)                                 # (batch, hidden)
    features = torch.tanh(net.readout(torch.cat([s, c, y], dim=1)))              # (batch, embedding)
    return net.output(features), s                                               # (batch, vocabulary)
print("logits of a step:", tuple(step(parts, torch.tensor([BOS]), *torch.zeros(2, 1, hidden_size))[0].shape))

# %% [markdown]
# To write a sentence, the decoder is told `[BOS]` first. The word with the highest score is written, and told to the decoder in the next step. This is *greedy decoding*. It ends when the decoder writes `[EOS]`, however many words the source had.
#
# **Predict** what an untrained translator writes.

# %% tags=["row-1.4"]
@torch.no_grad()
def read(net, text):
    """An English sentence -> the encoder's state after each word and after [EOS], (words + 1, hidden)."""
    ids = torch.tensor([[*english.encode(text), EOS]])                           # (1, words + 1)
    return net.encoder(net.source_embedding(ids))[0][0]

@torch.no_grad()
def write(net, c, most=40):
    """A context vector (hidden,) -> the words that greedy decoding writes, and the decoder's states."""
    c = c.unsqueeze(0)                                                           # (1, hidden)
    s, previous, written, states = c, torch.tensor([BOS]), [], []
    while len(written) < most and previous != EOS:
        logits, s = step(net, previous, s, c)
        previous = logits.argmax(1)                                              # (1,)
        written.append(spanish.tokens[previous])
        states.append(s[0])
    return written, states

text = test[0][0]
print(text, "->", *write(parts, read(parts, text)[-1])[0][:8], "...")

# %% [markdown]
# It writes nonsense.
#
# ## What is learnt, and what `[PAD]` is for
#
# **Question.** What does the loss look at?
#
# In training, the decoder is always told the right previous word. This is *teacher forcing*. The loss of a word is the cross-entropy, $-\log$ of the probability that the right word got. The loss of a sentence is the mean over its words and `[EOS]`.
#
# From here on the translator is `course_lib`'s `RNNTranslator`, with parts of the same names. The cell loads yours into it, and asserts at each step that states and logits agree.
#
# **Predict** the loss of an untrained translator, which has to choose among all Spanish tokens.

# %% tags=["row-1.4", "row-1.6"]
import math

from course_lib.translation.pairs import source_batch, target_batch, translation_loss
from course_lib.translation.translators import RNNTranslator

# dropout sets random numbers to 0 in training, against learning by heart; here it is off
untrained = RNNTranslator(english, spanish, embedding_size, hidden_size, attention=False, dropout=0.0)
untrained.load_state_dict(parts.state_dict())
source, target = test[0]
right, losses = [*spanish.encode(target), EOS], []
with torch.no_grad():
    s = c = read(parts, source)[-1:]                                             # (1, hidden)
    state = untrained.start(*source_batch(untrained, [source]))                      # the same, in course_lib
    for previous, word in zip([BOS, *right], right):
        logits, s = step(parts, torch.tensor([previous]), s, c)
        expected, state, _ = untrained.step(torch.tensor([previous]), state)
        assert torch.allclose(logits, expected, atol=1e-6) and torch.allclose(s, state.hidden, atol=1e-6)
        losses.append(-logits.log_softmax(1)[0, word])
        print(f"told {spanish.tokens[previous]!r}, to predict {spanish.tokens[word]!r}: loss {losses[-1]:.2f}")
    loss = torch.stack(losses).mean()
    assert torch.allclose(loss, translation_loss(untrained, [(source, target)]), atol=1e-5)
print(f"mean {loss:.2f}; an even guess among {len(spanish)} tokens: {math.log(len(spanish)):.2f}")

# %% [markdown]
# The mean is close to that of an even guess.
#
# Several sentences are computed together, as one rectangle of numbers, and short ones are filled up with `[PAD]`. This *padding* belongs to no sentence, and must not count. **Predict:** how many of the numbers below count in the loss?

# %% tags=["row-1.6", "nbval-check-output"]
from course_lib.translation.pairs import pad

small = Vocabulary(["el", "coche", "rojo", "duerme", "."])                       # the red car sleeps .
rows = [[BOS, *small.encode(text), EOS] for text in ("el coche rojo duerme .", "duerme .")]
targets, real = pad(rows, torch.device("cpu"))                                   # (2, longest), (2, longest) True or False
print(targets)
print("told to the decoder", tuple(targets[:, :-1].shape), "to be predicted", tuple(targets[:, 1:].shape))
print("count in the loss:", int(real[:, 1:].sum()), "of", targets[:, 1:].numel())

two = [min(test, key=lambda p: len(p[0])), max(test, key=lambda p: len(p[0]))]   # a short and a long sentence
with torch.no_grad():
    together, first, second = (translation_loss(untrained, batch) for batch in (two, two[:1], two[1:]))
counts = target_batch(untrained, [t for _, t in two])[1][:, 1:].sum(1)             # (2,)
assert torch.allclose(together, (first * counts[0] + second * counts[1]) / counts.sum(), atol=1e-5)

@torch.no_grad()
def hits(model, pairs):
    """For each pair, told the right previous words: has each right next word the highest score? True or False, (words + 1,)."""
    target, real = target_batch(model, [t for _, t in pairs])                    # (pairs, longest + 2) each
    logits, _ = model(*source_batch(model, [s for s, _ in pairs]), target[:, :-1])
    right = logits.argmax(-1) == target[:, 1:]                                   # (pairs, longest + 1)
    return [row[keep].float() for row, keep in zip(right, real[:, 1:])]

# %% [markdown]
# Nine: seven words and two `[EOS]`. So a sentence must have the same loss alone and in company, and the cell asserts that it has. The function `hits`, for later, leaves `[PAD]` out in the same way.
#
# ## Training, live
#
# **Question.** What can this translator learn in a few seconds?
#
# The cell trains three translators, which differ in their seed alone: in the numbers they start from and the order of the sentences. Then it measures the *exact match*, the share of test sentences translated without a mistake. None of these was in the training.
#
# **Predict** this share for sentences of at most 5 words, and for sentences of at least 9.

# %% tags=["row-1.4"]
from course_lib.training import train
from course_lib.translation.pairs import pair_length
from course_lib.translation.scores import exact_match

def trained(seed, kind=RNNTranslator, **options):
    torch.manual_seed(seed)
    model = kind(english, spanish, embedding_size, hidden_size, attention=False, dropout=0.0, **options)
    history = train(model, lambda batch: translation_loss(model, batch), pairs, batch_size=batch_size, epochs=epochs, seed=seed,
                    learning_rate=learning_rate, length=pair_length, autocast=False, show_progress_bar=False)
    print(f"seed {seed}: loss {history[0]['loss']:.2f} at first, {history[-1]['loss']:.2f} at last")
    return model

models = [trained(s) for s in (seed, seed + 1, seed + 2)]
translator = models[0]
given = data, max_words, max_pairs, embedding_size, hidden_size, batch_size, learning_rate, epochs
as_given = given == ("course/en_es", 10, 20_000, 64, 128, 32, 1.2e-2, 2)         # what the asserts below speak of
short, long = ([p for p in test if low <= len(words(p[0])) <= high] for low, high in ((0, 5), (9, max_words)))
for name, chosen in ("at most 5 words", short), ("at least 9 words", long):
    shares = [100 * sum(exact_match(model, chosen)) / max(1, len(chosen)) for model in models]
    print(f"{len(chosen)} test sentences of {name}: {', '.join(f'{share:.0f}' for share in shares)} % right (one number a seed)")
    assert not as_given or (min(shares) > 25 if chosen is short else max(shares) < 5)

# %% [markdown]
# Each translator gets more than a quarter of the short sentences right, and hardly any long one. Here is what the first one wrote, with the word-for-word meaning beside it.

# %%
test.sort(key=lambda pair: len(words(pair[0])))                                  # from short to long
lengths = [max(4, len(words(source))) for source, _ in test]                     # the few sentences of 3 words count as 4
places = sorted(set(lengths))
print("test sentences of each length:", {n: lengths.count(n) for n in places})
answers = [write(translator, read(translator, source)[-1])[0][:-1] for source, _ in test]
for (source, target), written in list(zip(test, answers))[len(test) // 20 :: len(test) // 7]:
    right = written == words(target)
    print(f"{'right' if right else 'WRONG'}: {source}\n  wrote {' '.join(written)}   ({literal(written)})")
    if not right:
        print(f"  right {target}   ({literal(words(target))})")

wrong = [(written, words(target)) for written, (_, target) in zip(answers, test) if written != words(target)]
alike = [pair for pair in wrong if len(pair[0]) == len(pair[1])]
kept = sum(a == b for pair in alike for a, b in zip(*pair)) / max(1, sum(len(target) for _, target in alike))
print(f"{len(wrong)} of {len(test)} are wrong. {len(alike)} of these have as many words as they should, and {100 * kept:.0f} % of their words are right.")

# %% [markdown]
# Compare the word-for-word lines. Words are replaced by others of their kind, parts of the longer sentences are missing, and some of the Spanish breaks its own grammar. Is the decoder told too little about the sentence, or has it learnt too little?
#
# ## One vector in between
#
# **Question.** Where does the information pass?
#
# The figure shows your first translator at work on a six-word test sentence that it gets right. A stripe is a state, its first 16 numbers as colours.
#
# **Predict:** how many numbers go from the upper half of the figure to the lower half?

# %% tags=["row-1.5", "row-1.6"] alt="Diagram. Above, the English words are read one after another, with arrows into a row of striped encoder states and from each state to the next. The last state is drawn again below, as the context vector. From it a line leads to the start of the row of decoder states and into each of them. Each decoder state also has the word before it, fed from above, [BOS] at first, and writes a Spanish word below, from which a dashed arrow leads to the next fed word. The last word written is [EOS]."
from course_lib.unrolled import unrolled

right_ones = [source for (source, target), written in zip(test, answers) if written == words(target)]
source = next((s for s in right_ones if len(words(s)) == 6), test[0][0])
encoder_states = read(translator, source)                                        # (words + 1, hidden)
written, decoder_states = write(translator, encoder_states[-1])
context = translator.start(*source_batch(translator, [source])).hidden[0]        # as the library computes it
assert torch.allclose(context, encoder_states[-1], atol=1e-6)
unrolled([*words(source), "[EOS]"], encoder_states, written, torch.stack(decoder_states),
         title="Everything the decoder knows of the sentence passes through one vector")
plt.show()

# %% [markdown]
# Only the context vector connects the upper rows with the lower ones: `hidden_size` numbers, however long the sentence is. Such a place is called a *bottleneck*. To arrive there, each word has to survive all later updates of the state.
#
# ## Measured: quality by length
#
# **Question.** Why does exact match fall with length?
#
# There are four suspects. A long sentence has more words to get wrong. It may be of a harder kind, with two clauses. The training may be too short. And the vector may hold too little.
#
# The first can be ruled out by looking at single words. Under teacher forcing, take the share of words that get the highest score: the *next-word accuracy*, which `hits` finds. If sentences were only longer, it would not fall.
#
# For the last, make the vector smaller. `Narrow` gives the decoder the vector's first numbers and zeros for the rest. `Blind` gives it none and is the baseline: it can only guess from the Spanish words before.
#
# **Predict** the next-word accuracy at four and at ten words, with the whole vector and with none.

# %% tags=["row-1.7"] alt="Line chart of next-word accuracy in percent against the number of words of the English sentence, four to ten. The curve for the whole context vector, with a narrow band over three seeds, falls from about 95 to below 60. The curve for a quarter of it lies below, from about 70 to about 45, and the one without a vector lowest, from about 45 to 35."
from course_lib.translation.scores import mean_by

class Narrow(RNNTranslator):
    """The decoder is given the first `numbers` of the context vector, and zeros for the others."""
    numbers = hidden_size // 4
    def start(self, source, mask):
        state, keep = super().start(source, mask), torch.arange(hidden_size) < self.numbers
        return state._replace(hidden=state.hidden * keep, keys=state.keys * keep)    # s_0 and c

class Blind(Narrow):
    numbers = 0

def by_length(model):                                                            # % of right next words at each length
    return torch.tensor([100 * share for share in mean_by(lengths, [h.mean().item() for h in hits(model, test)]).values()])

own = torch.stack([by_length(model) for model in models])                        # (3 seeds, lengths)
part, none = (by_length(trained(seed, kind)).unsqueeze(0) for kind in (Narrow, Blind))
ax = None
for name, runs in ("the whole vector, 3 seeds", own), ("a quarter of it, 1 seed", part), ("no vector, 1 seed", none):
    print(f"{name:25}", " ".join(f"{value:3.0f}" for value in runs.mean(0)), "% at", places, "words")
    ax = curve(places, runs, name, ax=ax)
ax.set(ylabel="next-word accuracy in %", ylim=(0, 102), xlabel="words of the English sentence", title="The next word gets harder with length, and with a smaller vector")
plt.show()
assert not as_given or (own[:, 0] - own[:, -1]).min() > 25 and none[0, -1] > own[:, -1].mean() / 2
assert not as_given or (own - part).min() > 5 and (part - none).min() > 0

# %% [markdown]
# The next word gets harder: each seed loses more than 25 points from four words to ten. So it is not only the number of words. (The few four-word sentences are of the simplest kind. Do not read much into the first step.)
#
# A smaller vector costs words at every length. And at ten words, more than half of what the whole vector gets right can be guessed without any vector.
#
# ## Too little training?
#
# **Question.** Would more training end the fall? And are long sentences simply harder?
#
# Both need a control: the same sentences and training, without the bottleneck. With attention, the decoder looks at all states of the encoder in every step; notebook 02 explains how.
#
# The figure is **recorded** by `recipes/translation.py`. Left, the training is the one above. Right, it takes the same number of epochs over all training sentences, of 3 to 25 words.
#
# **Predict:** does the longer training close the gap between the two?

# %% tags=["row-1.4", "row-1.7"] alt="Two line charts with the same axis, exact match in percent, against the number of words of the English sentence in groups of three. In both, the translator with one context vector lies below the one that sees all states, and the bands over the seeds never meet. Left, trained as above, one vector falls from about 40 to 0 within ten words, all states from about 80 to about 30. Right, after the longer training, one vector falls from below 80 to 0 at 15 words, all states from 90 to below 30 at 24 words and more."
from recipes.translation import BUDGETS, load, recorded_results

recorded = recorded_results(["gru", "gru-attention"], full)                      # full: many minutes
recorded = recorded[(recorded.metric == "exact_match") & recorded.length.str.contains("-")]
print(f"{len(pairs):,} pairs above; {len(load(BUDGETS['long']).train):,} in the longer training")
_, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
found = {}
titles = "Trained as above: one vector falls to zero", "Trained longer: it still does, only later"
for budget, title, ax in zip(("live", "long"), titles, axes):
    print(title)
    for kind, name in ("gru", "one context vector"), ("gru-attention", "all states (notebook 02)"):
        rows = recorded[(recorded.budget == budget) & (recorded.model == kind)]
        table = found[budget, kind] = rows.pivot(index="seed", columns="length", values="value")    # a row is a seed
        groups = [length.lstrip("0").replace("-0", "-") for length in table]     # "3-5", "6-8", ... words
        curve(groups, table.to_numpy(), f"{name}, {len(table)} seeds", ax=ax)
        print(f"  {name:24}", " ".join(f"{value:3.0f}" for value in table.mean()), f"% at {', '.join(groups)} words")
    ax.set(ylabel="exact match in %", ylim=(-2, 102), xlabel="words of the English sentence", title=title)
    assert (found[budget, "gru"].max() < found[budget, "gru-attention"].min()).all()    # the seeds never overlap
plt.show()
slow, quick = found["long", "gru"], found["live", "gru-attention"]
assert slow.loc[:, "15-17":].max().max() < 1
assert abs(slow["03-05"].mean() - quick["03-05"].mean()) < 5 and slow["06-08"].max() + 10 < quick["06-08"].min()

# %% [markdown]
# More training helps, and does not end the fall. From 15 words on, one vector gets fewer than one sentence in a hundred right. (The groups on the left end at ten words.)
#
# The control reads the same sentences and loses much less, so their kind is not the whole reason. Perhaps the control only learns faster? Compare one vector after the long training with all states after the short one. On the shortest sentences they are about equal. At 6 to 8 words, one vector is clearly behind.
#
# One doubt remains: attention also adds some weights, and a shorter way from each word to the loss. The gap is what looking at all states is worth, whatever the cause.
#
# ## What the vector keeps
#
# **Question.** Which words does the context vector still know?
#
# Try to read them back. For each place in the sentence, a *linear probe* gets the context vector and names the word that stood there: each English word has a weighted sum of the vector's numbers, and the highest sum wins. Least squares finds the weights on training sentences. The probe is tested on sentences that neither it nor the translator has seen.
#
# There are two baselines: the commonest word of that place, and an untrained encoder.
#
# **Predict:** which of ten words are found best: the first, those in the middle, or the last? And in the untrained encoder?

# %% tags=["row-1.7"] alt="Two line charts of the share of words that a probe reads back, in percent, against the place of the word. Left, five-word sentences: the trained encoders lie between about 60 and 97 percent at every place. Right, ten-word sentences: they fall from almost 90 percent at the first word to about 20 in the middle and rise to about 60 at the last. The untrained encoder rises towards the last word in both, to almost 100 percent. The commonest word stays below 25 percent."
unseen = test + sentences("dev")

@torch.no_grad()
def probed(model, n):
    """For sentences of n words, at each place: the share of words read back, and the commonest word's, in %."""
    learn, ask = (source_batch(model, [s for s, _ in group if len(words(s)) == n]) for group in (pairs, unseen))
    x, z = (model.start(*batch).hidden for batch in (learn, ask))                # (sentences, hidden) each
    word, right = (ids[:, : n - 1] for ids, _ in (learn, ask))                   # (sentences, places), no full stop
    wanted = nn.functional.one_hot(word, len(english)).float()                   # (sentences, places, vocabulary)
    weights = torch.linalg.lstsq(x, wanted.flatten(1)).solution                  # (hidden, places * vocabulary)
    named = (z @ weights).reshape(len(z), n - 1, -1).argmax(-1)                  # (sentences, places)
    return 100 * torch.stack([named == right, word.mode(0).values == right]).float().mean(1)

probes = {n: torch.stack([probed(model, n) for model in (*models, untrained)]) for n in sorted({min(5, max_words), max_words})}
_, axes = plt.subplots(1, len(probes), figsize=(10, 3.6), sharey=True, layout="constrained", squeeze=False)
for ax, (n, runs) in zip(axes[0], probes.items()):
    for name, shares in ("trained, 3 seeds", runs[:3, 0]), ("untrained, 1 seed", runs[3:, 0]), ("always the commonest word", runs[:1, 1]):
        curve(range(1, n), shares, name, ax=ax)
        print(f"{n:2} words, {name:26}", " ".join(f"{value:3.0f}" for value in shares.mean(0)), "%")
    ax.set(xlabel="place of the word", ylabel="words read back in %", ylim=(0, 102), xticks=range(1, n), title=f"Sentences of {n} words")
plt.show()
five, ten = probes[min(5, max_words)][:3, 0], probes[max_words][:, 0]            # (3 seeds, places), (4, places)
assert not as_given or (five.mean(1) > ten[:3].mean(1) + 20).all() and (ten[:3] > probes[max_words][0, 1]).all()
assert not as_given or all(run.argmax() == 0 and 2 <= run.argmin() <= 6 for run in ten[:3])
assert not as_given or ten[3].argmax() == 8 and (ten[:3, 0] > ten[3, 0] + 30).all()

# %% [markdown]
# The longer the sentence, the fewer of its words can be read back. Of ten words, the first is read back most often, those in the middle least.
#
# The untrained encoder does the opposite. It knows the last word almost always and the first seldom, because each later word overwrites a part of the state. Training has changed what survives, at the same places and for the same words. An encoder learns what to keep. (What a linear probe misses may still be there in another form.)
#
# Some words need others far away. In "the eagles that are in the garden are tired", the Spanish form of "tired" depends on "eagles". For such a *long-range dependency* the word must survive in the state all the way. Sutskever et al. (2014) read the source backwards, which brings its first words close to the decoder.
#
# ## The trap: the last step of a padded batch
#
# **Question.** Which state is the last one?
#
# For a single sentence, `states[:, -1]` was right. Now short sentences share a batch with the corpus's longest one. **Predict** what `states[:, -1]` holds for them, and how many are still translated right.

# %% tags=["row-1.6"]
some = [pair for pair in test if len(words(pair[0])) <= 5][:100]
longest = max((pair.english for pair in corpus), key=lambda text: len(words(text)))
ids, mask = source_batch(translator, [source for source, _ in some] + [longest])         # (sentences, longest + 1)
with torch.no_grad():
    states, _ = translator.encoder(translator.source_embedding(ids))             # [PAD] is read like a word
naive = states[:, -1]                                                            # (sentences, hidden)
right = states[torch.arange(len(ids)), mask.sum(1) - 1]                          # after the last real token
assert torch.allclose(translator.start(ids, mask).hidden, right, atol=1e-5)      # what course_lib takes
assert torch.allclose(naive[-1], right[-1])                                      # the longest sentence has no [PAD]

correct = {}
for name, vectors in ("last time step", naive), ("last real token", right):
    similarity = torch.cosine_similarity(vectors[:-1], right[:-1]).mean() if some else torch.tensor(1.0)
    correct[name] = sum(write(translator, c)[0][:-1] == words(target) for c, (_, target) in zip(vectors, some))
    print(f"{name}: {correct[name]} of {len(some)} short sentences right; mean cosine with the true context vector {similarity:.2f}")
assert not as_given or 4 * correct["last time step"] < correct["last real token"]

# %% [markdown]
# A GRU goes on reading: the state changes once more at each `[PAD]`. The embedding of `[PAD]` is zero, but the old state and the biases still act. Nothing raises an error, and most right translations are lost.
#
# The cure is to take each sentence's own last state, or to let `pack_padded_sequence` stop there. The test: one sentence, alone and in long company, must give the same vector.
#
# ## Now from course_lib
#
# `RNNTranslator` packs its batches, and `translate` writes many sentences at once. It must agree with your loop. One exception is allowed, as rounding may decide between equal scores.

# %% tags=["nbval-check-output"]
from course_lib.translation.decoding import translate

every = test[:: max(1, len(test) // 40)][:40]
at_once = translate(translator, [source for source, _ in every])
one_by_one = [" ".join(write(translator, read(translator, source)[-1])[0]).removesuffix(" [EOS]") for source, _ in every]
print(f"{len(every)} translations by both")
assert sum(a == b for a, b in zip(at_once, one_by_one)) >= len(every) - 1

# %% [markdown]
# ## Your own sizes
#
# Set `hidden_size = 32` at the top, predict each figure, and run all. If `COURSE_DATA` names a folder with the Tatoeba pairs, `data = "tatoeba"` trains on sentences that people wrote.
#
# ## Exercises
#
# `check` names the kind of mistake, never the answer.
#
# **1.** Decode several sentences at once, greedily. All of them move on together, but each translation ends at its own `[EOS]`.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def greedy(step, state, n, bos, eos, most):
    """step(previous, state) -> (logits, new state), where previous is (n,) ids and logits are (n, vocabulary).

    Returns a list of n lists: the ids that each sentence writes, before its first eos; at most `most` each.
    """
    ...

check("01.1", greedy)

# %% [markdown]
# **2.** Compute one step of an *LSTM* (Hochreiter and Schmidhuber 1997), an older and larger cell. It has two states, `h` and `c`. With $a = W x + U h + b$, cut into four equal parts in the order i, f, g, o: $c' = \sigma(f) \odot c + \sigma(i) \odot \tanh(g)$ and $h' = \sigma(o) \odot \tanh(c')$.

# %% tags=["exercise", "nbval-check-output"]
def lstm_step(x, h, c, W, U, b):
    """x (input,), h and c (hidden,), W (4 * hidden, input), U (4 * hidden, hidden), b (4 * hidden,) -> (h', c')."""
    ...

check("01.2", lstm_step)

# %% [markdown]
# **3.** Compute the loss of a batch: the mean cross-entropy of all target words that are not `[PAD]`, whose number is 0.

# %% tags=["exercise", "nbval-check-output"]
def translation_cross_entropy(logits, targets):
    """(batch, words, vocabulary), (batch, words) -> a number. logits[i, t] are those for the word targets[i, t]."""
    ...

check("01.3", translation_cross_entropy)

# %% [markdown]
# ## Questions
#
# **1.** A drawing of an encoder-decoder fills the translation up with `[PAD]` "so that it has the same length as the input". What is wrong with that?
#
# <details><summary>Answer</summary>A translation may have more or fewer words than its source; it ends at [EOS]. [PAD] only makes the sentences of a batch equally long.</details>
#
# **2.** A translator gets most short sentences right and no long ones. Is its context vector too small? Name three other reasons, and how to rule them out.
#
# <details><summary>Answer</summary>A long sentence has more words: compare next-word accuracy. It may be harder, and the training too short: give a model without the bottleneck the same sentences and training, short and long.</details>
#
# **3.** Your encoder gives a sentence one vector alone and another in a batch. What do you look for first?
#
# <details><summary>Answer</summary>A state taken at [PAD]. Compare the vector with the state after the last real token.</details>
#
# ## Summary
#
# - An encoder makes a hidden state after each word. The last one is the context vector, which the decoder is given in every step.
# - `[PAD]` serves batching alone. A short sentence's last state is not at the batch's last step.
# - With one context vector, each next word gets harder to find as sentences grow, and a smaller vector makes it worse. A translator that sees all states loses less.
# - The longer the sentence, the fewer of its words a probe can read back from the context vector.
#
# ## References
#
# - Sutskever, Vinyals and Le (2014), [Sequence to sequence learning](https://arxiv.org/abs/1409.3215), with LSTMs.
# - Cho et al. (2014), [the RNN encoder-decoder](https://arxiv.org/abs/1406.1078), with the GRU; and [its fall with length](https://arxiv.org/abs/1409.1259).
# - Hochreiter and Schmidhuber (1997), [Long short-term memory](https://doi.org/10.1162/neco.1997.9.8.1735).
#
# **Next:** [02_attention](02_attention.ipynb) lets the decoder look back at every state of the encoder.
