# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/04_bert.ipynb)
#
# # What do pre-training and fine-tuning buy?
#
# BERT first guesses hidden words in plain text, then learns tasks from few labels. You measure what the first step is worth for the second, and see why scoring two sentences together cannot search ten million questions.
#
# | | |
# |---|---|
# | You will be able to | cut words into pieces as BERT does; fill in and score text with a masked language model; swap the head on one core; measure what pre-training saves in labels; say what pairs cost, and what embedding once really costs |
# | You need first | what a transformer encoder is (notebook 03); softmax and cross-entropy |
# | Time | 40 minutes to read; the code runs in under a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course |

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
# `model` is a BERT with its pre-training head, `pair_model` scores pairs, `encoder_model` gives a vector a sentence. `labels` says how many labelled questions you train on; `full` repeats that on the three recorded samples.

# %% tags=["parameters"]
seed = 0
model = "course/bert-mini"
pair_model = "course/cross-encoder-mini"
encoder_model = "course/sbert-mini"
data = "course/questions"
labels = 50
full = False

# %% [markdown]
# ## How does text become tokens?
#
# **Question.** A model has a fixed list of tokens. What does it do with a word that is not in it?
#
# *WordPiece* takes the longest piece of the list that the word begins with, then the longest that the rest begins with, and so on. Pieces inside a word are written with `##`. If nothing fits, the whole word becomes `[UNK]`.
#
# **Predict** the pieces of "they" if the list holds "the", "th" and "##ey".
#
# Then the real list, where texts are lower-cased and split into words first: your function against the model's tokenizer.

# %% tags=["nbval-check-output"]
from course_lib.data import load_nli
from course_lib.models.masked_lm import load_masked_lm

def wordpiece(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        sharps = "##" if start else ""
        fits = [end for end in range(start + 1, len(word) + 1) if sharps + word[start:end] in vocabulary]
        if not fits:
            return ["[UNK]"]
        pieces.append(sharps + word[start : max(fits)])                      # the longest piece that fits
        start = max(fits)
    return pieces

print(wordpiece("unaffable", {"un", "##aff", "##able", "##a"}), wordpiece("they", {"the", "th", "##ey"}))

bundled = (model, pair_model) == ("course/bert-mini", "course/cross-encoder-mini")
mlm, tokenizer = load_masked_lm(model)
vocabulary = tokenizer.get_vocab()
texts = list(dict.fromkeys(t for e in load_nli("course/nli") for t in (e.premise, e.hypothesis)))
words = [[word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))] for text in texts]
cut = [sum((wordpiece(word, vocabulary) for word in each), []) for each in words]
assert cut == [tokenizer.encode(text, add_special_tokens=False).tokens for text in texts]
pieces_a_word = sum(map(len, cut)) / sum(map(len, words))
print(f"{len(vocabulary):,} tokens in the list; {pieces_a_word:.2f} pieces a word;", wordpiece("aeroplanes", vocabulary))

# %% [markdown]
# Equal everywhere. The rule is greedy: "th" and "##ey" would have fitted, but "the" is longer, and "y" fits nothing. Real lists hold every letter, so this is rare.
#
# ## What does guessing hidden words teach?
#
# **Question.** BERT was pre-trained to guess tokens behind `[MASK]`, looking at both sides. What does a small one know after that?
#
# A *masked language model* is the encoder with a *head* on top: a small network that makes of the vector at the hidden place a score for every token of the list. You will read that BERT was trained for "token classification"; its two tasks were this one, and to say whether one passage follows another. `bert-mini` had only this one.
#
# **Predict** the likeliest words.

# %% tags=["nbval-check-output"]
import torch

from course_lib.models.masked_lm import fill_mask

torch.set_num_threads(1)                                                     # enough, and times then depend less on what else runs
for text in ("The boy is wearing a red [MASK].", "The people [MASK] hungry.", "The dog [MASK] hungry.",
             "The album was released in [MASK] 2009.", "The capital of France is [MASK]."):
    ids = torch.tensor(tokenizer.encode(text).ids)                           # (tokens,), [CLS] and [SEP] included
    place = (ids == vocabulary["[MASK]"]).nonzero().item()
    with torch.no_grad():
        hidden = mlm.bert(ids, [len(ids)])                                   # (tokens, hidden)
        scores = mlm.logits(hidden[place])                                   # (hidden,) -> (vocabulary,)
    probabilities = scores.softmax(0)
    best = probabilities.topk(3)

    assert [f["token"] for f in fill_mask(mlm, tokenizer, text, top_k=3)] == best.indices.tolist()
    print(text, {tokenizer.id_to_token(i): round(p, 2) for i, p in zip(best.indices.tolist(), best.values.tolist())})

# %% [markdown]
# What people wear, "are" after "people" and "is" after "dog", a month before a year: the words around a gap were enough. The capital it does not know.
#
# ### A score for a whole text
#
# Hide each token in turn and ask for the probability of the true one. The exponential of minus the mean logarithm is the *pseudo-perplexity*: 1 for a model that is always sure and right, the size of the list for blind guesses. **Predict** what shuffling the words does to it.

# %% alt="Histogram of the logarithm of the pseudo-perplexity of forty sentences, as written and with their words shuffled. The shuffled sentences lie far to the right of the original ones, with little overlap."
import matplotlib.pyplot as plt
import numpy as np

from course_lib.support.tables import find, read_tsv
from course_lib.models.masked_lm import pseudo_perplexity
from course_lib.plotting import histogram

plt.rcParams["figure.dpi"] = 75                                              # keeps this file small
sentences = [text for _, (text,) in read_tsv(find("course/sentences"), "sentence")][::2]
shuffle = np.random.default_rng(seed)
scrambled = [" ".join(shuffle.permutation(text.rstrip(".").split())) + "." for text in sentences]
as_written, shuffled = ([pseudo_perplexity(mlm, tokenizer, text) for text in group] for group in (sentences, scrambled))
worse = sum(a < b for a, b in zip(as_written, shuffled))
print(f"the shuffled sentence is the less likely one {worse} times of {len(sentences)}")
assert worse > 0.9 * len(sentences)

histogram({"as written": np.log10(as_written), "words shuffled": np.log10(shuffled)}, "To the model, shuffled sentences are far less likely",
          xlabel="pseudo-perplexity, as a power of ten")
plt.show()

# %% [markdown]
# They hardly overlap: order and sense have left traces in the weights.
#
# ## What does pre-training take?
#
# **Question.** How long does such a model have to read?
#
# Below, a still smaller BERT with random weights learns for some seconds, on the bundled sentences. In each batch 15% of the tokens are chosen; of these, 80% are hidden, 10% replaced by a random token and 10% left alone, so that the model cannot rely on seeing `[MASK]`. The loss is cross-entropy at the chosen places.
#
# **Predict** the loss before the first step: weights that know nothing, and the list printed above.

# %%
import math

import torch.nn.functional as F

from course_lib.bert import BertConfig
from course_lib.models.masked_lm import BertForMaskedLM, mask_tokens
from course_lib.training import train

special = torch.tensor([vocabulary["[CLS]"], vocabulary["[SEP]"]])
encoded = [torch.tensor(e.ids) for e in tokenizer.encode_batch(texts)]       # each (tokens,)

def hidden_token_loss(network, batch):
    ids = torch.cat(batch)                                                   # (tokens,) packed: one sentence after the other
    candidates = (~torch.isin(ids, special)).nonzero().squeeze(1)            # (tokens that may be hidden,)
    masked, places, truth = mask_tokens(ids, candidates, round(0.15 * len(candidates)), vocabulary["[MASK]"], len(vocabulary))
    return F.cross_entropy(network(masked, [len(i) for i in batch], places).float(), truth)

torch.manual_seed(seed)
tiny = BertForMaskedLM(BertConfig(len(vocabulary), 128, 2, 2, 512, hidden_dropout_prob=0, attention_probs_dropout_prob=0))
first_loss = hidden_token_loss(tiny, encoded[:100]).item()
history = train(tiny, lambda batch: hidden_token_loss(tiny, batch), encoded, batch_size=64, learning_rate=2e-3, epochs=4, seed=seed,
                length=len, log_every=20, show_progress_bar=False)
print(f"before: {first_loss:.2f}; guessing blindly costs ln {len(vocabulary)} = {math.log(len(vocabulary)):.2f}")
print(f"after {history[-1]['seconds']:.0f} s: {history[-1]['loss']:.2f}")
assert abs(first_loss - math.log(len(vocabulary))) < 0.3 and history[-1]["loss"] < first_loss - 1

# %% [markdown]
# `bert-mini` read for most of an hour. `recipes/bert_mini.py` **recorded** lines of its log in `data/results/04.csv`.

# %% tags=["row-1.15"] alt="Line chart of the masked language model loss against the number of tokens read, on a logarithmic axis. The live run of the tiny model ends after about a hundred thousand tokens; the recorded curve of bert-mini goes from four hundred thousand to thirty million tokens and falls from above eight to about six, more and more slowly until eight million, and then faster, to about four."
from course_lib.data import load_results
from course_lib.plotting import curve

recorded = load_results("04")
log = recorded.query("experiment == 'pretraining'")
tokens, losses = log.n.astype(int).tolist(), log.value.tolist()
read = sum(map(len, encoded)) * np.array([entry["epoch"] for entry in history])        # tokens at each line of the live log

ax = curve(tokens, losses, "bert-mini (recorded)")
curve(read, [entry["loss"] for entry in history], "a tiny model, here, on other text", ax=ax)
ax.axhline(math.log(len(vocabulary)), color="grey", linestyle=":", linewidth=1)
ax.set(xscale="log", xlabel="tokens read", ylabel="loss at hidden tokens, nats", title="The loss slows down, then falls again")
plt.show()
million_words = tokens[-1] / pieces_a_word / 1e6
print(f"bert-mini read {tokens[-1]:,} tokens, about {million_words:.0f} million words; BERT's text has 3,300 million: {3300 / million_words:.0f} times as many")
assert losses[-1] < losses[0] - 3

unseen = [torch.tensor(tokenizer.encode(text).ids) for text in sentences]
with torch.no_grad():
    torch.manual_seed(seed)
    on_unseen = {name: np.mean([hidden_token_loss(net, unseen).item() for _ in range(5)]) for name, net in (("tiny", tiny), ("pre-trained", mlm))}
print("on sentences that neither was trained on:", *(f"{name} {loss:.1f}" for name, loss in on_unseen.items()))
assert on_unseen["pre-trained"] < on_unseen["tiny"] - 1

# %% [markdown]
# Up to eight million tokens the loss falls ever more slowly, then fast again; why, is not shown. The live curve is not ahead: its text is a few thousand plain sentences, read over and over. On sentences that are new to both, `bert-mini` is far better.
#
# ### Who can afford it, and who may use it
#
# BERT's text, says its paper, was BooksCorpus (800 million words) and the English Wikipedia (2,500 million words; passages, no lists or tables). "Companies like Google and OpenAI train them, and they are free" is too broad, though:
#
# | weights | made by | from | licence |
# |---|---|---|---|
# | BERT, 2018 | Google | the books and Wikipedia above | Apache-2.0 |
# | GPT-2, 2019 | OpenAI | web pages linked from Reddit | MIT, modified |
# | RoBERTa, 2019 | Facebook AI, University of Washington | 160 GB of text | MIT |
# | GPT-3, 2020 | OpenAI | web, books, Wikipedia | weights not published |
# | `bert-mini` | this course | Wikipedia, captions, NLI sentences | CC BY-SA 4.0 |
#
# So read each licence. It covers the weights; texts keep their own rights.
#
# ## One core, many heads
#
# **Question.** What changes when the same BERT has to classify? To *fine-tune* it, you take its head off, put another on, and train all of it on your task, with labels. The usual classification head reads the vector of `[CLS]`, the token before every text: a linear layer with tanh, called the *pooler*, then a linear map to one number a class.
#
# **Predict** what share of the parameters is new, and how many times `bert-mini` fits into BERT-base. (The meta device counts without a download.)

# %% tags=["row-1.17", "row-1.18", "nbval-check-output"]
from course_lib.bert import BertModel
from course_lib.models.classifier import BertForSequenceClassification

def count(module):
    return sum(p.numel() for p in module.parameters())

with torch.device("meta"):
    base, large = BertModel(BertConfig()), BertModel(BertConfig(30522, 1024, 24, 16, 4096))
for name, core in (("BERT-large", large), ("BERT-base", base), ("this model", mlm.bert)):
    print(f"{name:<22} {count(core):>11,} parameters, {4 * count(core) / 1e6:>5,.0f} MB in float32")
assert 105e6 < count(base) < 110e6 and 330e6 < count(large) < 340e6          # the paper says 110M and 340M, pooler included

torch.manual_seed(seed)
classifier = BertForSequenceClassification.load(model, num_labels=6)         # a new head for six classes
old, now = mlm.bert.state_dict(), classifier.bert.state_dict()
assert all(torch.equal(old[name], now[name]) for name in old)                # the whole core, tensor by tensor
print(f"head that guesses      {count(mlm.cls):>11,} of its own; its last layer is the core's word embeddings")
print(f"head that classifies   {count(classifier) - count(mlm.bert):>11,}: the pooler and the last map; all {len(old)} tensors of the core are equal")

# %% [markdown]
# ### What is the core worth?
#
# **Question.** How many labels does pre-training save?
#
# The bundled questions ask for one of six things: an abbreviation, a description, an entity, a person, a place, a number (TREC's classes; a guess is right for one in six). The live run trains on 50 of them, twice: with the pre-trained core, and with the same architecture and tokenizer, but random weights. **Predict** both accuracies.
#
# One thing is not as in the paper. `bert-mini` never had to say anything about a whole text, so its `[CLS]` starts empty-handed. The head here is a linear map on the vector of the first word, where much of a question's kind shows. Learning rates were chosen on questions kept apart.

# %%
import random
import re

from course_lib.datasets.questions import load_questions

starts = {"pre-trained": "course/bert-mini", "from scratch": "bert-mini's architecture, random weights"}
pool, test = ([q for q in load_questions(data) if q.split == split] for split in ("train", "test"))
random.Random(0).shuffle(pool)
pool = pool[200:]                                                            # the first 200 chose the settings

class FirstWordClassifier(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert, self.head = bert, torch.nn.Linear(bert.config.hidden_size, 6)

    def forward(self, questions):
        ids = [tokenizer.encode(q.question).ids for q in questions]
        packed = torch.tensor(sum(ids, []))                                  # (tokens,) one question after the other
        cls = torch.tensor([0, *map(len, ids[:-1])]).cumsum(0)               # where each begins, with [CLS]
        return self.head(self.bert(packed, [len(i) for i in ids])[cls + 1])  # (questions, 6)

# %%
def fine_tune(name, n, seed=seed):
    rows = recorded[recorded.model == starts[name]].query("experiment == 'questions' and data == 'course/questions'")
    nearest = min(rows.itertuples(), key=lambda row: abs(row.n - n))         # "first word, learning rate 0.0003, 100 steps"
    rate, steps = re.search(r"learning rate (\S+), (\d+) steps", nearest.setting).groups()
    questions = random.Random(seed).sample(pool, min(n, len(pool)))
    torch.manual_seed(seed)
    whole = BertForSequenceClassification.load(model, 6) if name == "pre-trained" else BertForSequenceClassification(mlm.config, 6)
    network = FirstWordClassifier(whole.bert)
    train(network, lambda batch: F.cross_entropy(network(batch).float(), torch.tensor([q.label for q in batch])), questions, batch_size=16,
          learning_rate=float(rate), epochs=max(1, round(int(steps) / -(-n // 16))), seed=seed, show_progress_bar=False)
    with torch.no_grad():
        return 100 * (network(test).argmax(1) == torch.tensor([q.label for q in test])).float().mean().item()

live = {name: np.mean([fine_tune(name, labels, each) for each in (range(3) if full else [seed])]) for name in starts}
for name, value in live.items():
    print(f"{labels} labels, {name}: {value:.0f} % of {len(test)} test questions right")

# %% tags=["row-1.16"] alt="Line chart of accuracy against the number of labelled questions, 50, 200 and 1,000, with bands over three samples, in two panels: the course's questions and TREC's. In both, the pre-trained start lies above random weights at every number of labels. Two crosses at 50 labels mark the live runs."
def right(its_data, name, n):
    rows = recorded[recorded.model == starts[name]]
    return rows.query("experiment == 'questions' and data == @its_data and n == @n").value.tolist()

numbers = (50, 200, 1000)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
for ax, its_data in zip(axes, ("course/questions", "trec_questions")):
    for name in starts:
        curve(numbers, np.array([right(its_data, name, n) for n in numbers]).T, f"{name}, recorded", ax=ax)     # (samples, 3)
    ax.set(xscale="log", xlabel="labelled questions", title=f"The pre-trained start is ahead ({its_data})")
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
    gaps = [np.mean(right(its_data, "pre-trained", n)) - np.mean(right(its_data, "from scratch", n)) for n in numbers]
    print(f"{its_data}: the pre-trained start is ahead by", *(f"{gap:.0f} points at {n} labels;" for gap, n in zip(gaps, numbers)))
    assert gaps[0] >= 10 and all(len(right(its_data, name, n)) >= 3 for name in starts for n in numbers)
axes[0].plot([labels] * len(live), list(live.values()), "kx", markersize=9, label="here")
axes[0].legend(fontsize=8)
axes[0].set_ylabel("right, in %")
plt.show()
for name, value in live.items() if bundled and (data, labels) == ("course/questions", 50) else ():
    assert min(right(data, name, 50)) - 6 <= value <= max(right(data, name, 50)) + 6     # another processor rounds otherwise

# %% [markdown]
# Same architecture, tokenizer, head, labels and steps, each start with the best of four learning rates: the difference is what reading bought. It is BERT's own argument: not that networks before it were "not complex enough", but that labels are scarce and text is not, and that a model should look both ways, not only to the left.
#
# ## Two texts at once
#
# **Question.** How does BERT compare two sentences?
#
# A *cross-encoder* reads both: `[CLS] A [SEP] B [SEP]`. Each token of A may attend to each token of B, and a head makes one number of the `[CLS]` vector. *Token types*, embeddings added to those of tokens and positions, say which text a token belongs to. There is no vector for A alone.
#
# Marqo's introduction shows the pair below, and a score; not that the head must have been trained on scored pairs. **Predict** what an untrained head gives.

# %% tags=["row-1.19"] alt="Diagram: the questions What is gravity and How do aeroplanes fly are cut into tokens and put in one row, with token type 0 for the first and 1 for the second; one BERT reads the row; below it, twice, the CLS vector as coloured stripes, a small head and a score: on the left an untrained head, on the right the trained one."
import copy

from course_lib.diagrams import cross
from course_lib.bert import initialize
from course_lib.models.cross_encoder import CrossEncoder

questions = "What is gravity?", "How do aeroplanes fly?"
scorer = CrossEncoder.load(pair_model, dtype="float32")
untrained = copy.deepcopy(scorer)
torch.manual_seed(seed)
initialize(torch.nn.ModuleList([untrained.model.bert.pooler, untrained.model.classifier]), std=0.02)   # as at the start of training

pair = scorer.tokenizer.encode(*questions)
assert pair.tokens.count("[SEP]") == 2 and pair.type_ids == sorted(pair.type_ids) and set(pair.type_ids) == {0, 1}
cross({"untrained": untrained, "trained": scorer}, questions, title="One BERT reads the pair once; only the heads differ")
plt.show()

# %% [markdown]
# A score came out both times. What are scores worth? Take the bundled pairs, each with a number for how alike they are, and compare the orders: Spearman's rank correlation is 1 for the same order, about 0 for none. Below: untrained heads from five seeds, and the trained model, live.
#
# Then **recorded**: `recipes/cross_encoder_mini.py` trained on the same public pairs (STSb) in three ways: at once; after labelling NLI pairs; and after a stage in which each token had to say whether it occurs in the other text, and the pair to repeat an encoder's cosine. Spearman x 100 is on STSb's development set. **Predict** the best of the three.

# %% tags=["row-1.19"]
from course_lib.data import load_sts
from course_lib.evaluation import spearman

scored = load_sts("course/sts")
pairs, gold = [(p.sentence1, p.sentence2) for p in scored], [p.score for p in scored]
orders, scores = [], []
for each in range(5):
    torch.manual_seed(each)
    some_head = CrossEncoder.load(model, num_labels=1, dtype="float32")
    orders.append(spearman(gold, some_head.predict(pairs, show_progress_bar=False)))
    scores.append(float(some_head.predict(questions)))
trained = spearman(gold, scorer.predict(pairs, show_progress_bar=False))
print("untrained heads, order:", *(f"{order:+.2f}" for order in orders), "  question pair:", *(f"{score:.2f}" for score in scores))
print(f"trained, order: {trained:.2f}   question pair: {scorer.predict(questions):.2f}, turned round: {scorer.predict(questions[::-1]):.2f}")
assert not bundled or trained > max(orders) + 0.2

on_dev = recorded.query("experiment == 'cross-encoder' and data == 'stsbenchmark/dev'")
on_dev = on_dev.replace({"model": {"course/cross-encoder-mini": "pairs, then STSb"}})       # the one that ships is one of three
ways = {way: rows.value.tolist() for way, rows in on_dev.groupby("model", sort=False)}
for way, values in ways.items():
    print(f"recorded, {way:<18} {np.mean(values):.1f}, runs from {min(values):.1f} to {max(values):.1f}")
assert np.mean(ways["pairs, then STSb"]) > max(np.mean(ways["STSb only"]), np.mean(ways["NLI, then STSb"])) + 5

# %% [markdown]
# Untrained heads order the pairs at random. The trained one follows the judgements, but is unsure of the question pair, and changes its mind when it is turned round: nothing makes (A, B) equal to (B, A).
#
# At once, the small BERT hardly learns to compare; it never saw two texts together, as BERT did in its second task. NLI labels take it part of the way, the third stage further. Reading both is no guarantee: `sbert-mini`, of the same size, ranks these pairs better by comparing two vectors (notebook 06). In the SBERT paper (Table 2) both are about equal on these pairs alone, and the cross-encoder is ahead after NLI.

# %% [markdown]
# ## Why is it hopeless for ten million questions?
#
# **Question.** A forum holds ten million questions. Has a new one been asked before? A cross-encoder must read the new question with each stored one: ten million passes for one query. (The best pair among n questions takes all n(n - 1)/2 pairs: more by far.) An encoder reads each text once, to a vector, and compares vectors.
#
# **Predict** the number of pairs among 10,000 sentences.

# %% tags=["row-1.20", "nbval-check-output"]
import time

def seconds(work):
    found = []
    for _ in range(2):
        start = time.process_time()                                          # of the processor: other work does not count
        work()
        found.append(time.process_time() - start)
    return min(found)

def passes(n):
    """To find the best pair among n texts: passes of a cross-encoder, and of an encoder."""
    return n * (n - 1) // 2, n

for n in (4, 10_000, 10_000_000):
    print(f"n = {n:>10,}: {passes(n)[0]:>18,} pairs to read, or {passes(n)[1]:>10,} texts")
print(f"one query against 10,000,000: {10_000_000:,} pairs to read, or 1 text, if the others have been read before")

assert passes(4)[0] == len([(i, j) for i in range(4) for j in range(i)])
assert passes(10_000)[0] == 49_995_000

# %% [markdown]
# Now with a clock. On logarithmic axes a cost of n to the power k is a straight line of slope k. **Predict** both slopes.

# %% tags=["row-1.20", "row-1.21"] alt="Two log-log charts of seconds against the number of sentences. Left, measured here: the pairs rise about twice as steeply as the embeddings. Right, recorded: scoring all pairs rises with slope two, embedding each sentence with slope one, comparing all vectors with slope near two but thousands of times lower."
from itertools import combinations

from course_lib.encoder import SentenceEncoder

encoder = SentenceEncoder.load(encoder_model, dtype="float32")
few, many = (8, 16, 32, 48), (128, 256, 512, 1024)
here = {"all pairs": (few, [seconds(lambda: scorer.predict(list(combinations(texts[:n], 2)), show_progress_bar=False)) for n in few]),
        "embedding": (many, [seconds(lambda: encoder.encode(texts[:n], show_progress_bar=False)) for n in many])}
then = {}
for what, name in (("pairs", "all pairs"), ("embedding", "embedding"), ("all cosines", "all cosines")):
    costs = recorded.query("experiment == 'cost' and setting == @what")
    then[name] = costs.n.tolist(), costs.value.tolist()

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained", sharex=True, sharey=True)
slopes = {}
for ax, where, measured in zip(axes, ("here", "recorded"), (here, then)):
    for name, (n, cost) in measured.items():
        slopes[where, name] = np.polyfit(np.log(n), np.log(cost), 1)[0]
        curve(n, cost, f"{name}: slope {slopes[where, name]:.2f}", ax=ax)
    ax.set(xscale="log", yscale="log", xlabel="sentences", ylabel="seconds", title=f"Pairs grow with the square ({where})")
plt.show()
assert abs(slopes["recorded", "all pairs"] - 2) < 0.15 and abs(slopes["recorded", "embedding"] - 1) < 0.15
assert slopes["here", "all pairs"] > slopes["here", "embedding"] + 0.2

# %% [markdown]
# Slopes near 2 and 1. (Comparing all vectors is all pairs again, but of a few hundred multiplications each.) For 10,000 sentences the SBERT paper reports 65 hours with BERT on a GPU, and 5 seconds with vectors.
#
# ### "BERT once": what it really costs
#
# With vectors a query takes BERT once, not ten million times. That leaves out three costs: somebody has embedded the ten million before (again with every new model), their vectors are kept in memory, and each query is compared with all of them. That last time grows with n, too; it was recorded for up to half a million vectors.

# %% tags=["row-1.21"]
pairs_a_second = passes(few[-1])[0] / here["all pairs"][1][-1]
texts_a_second = many[-1] / here["embedding"][1][-1]
n, cost = recorded.query("setting == 'one query'")[["n", "value"]].to_numpy().T
slope = np.polyfit(np.log(n), np.log(cost), 1)[0]
print(f"this machine, in a second of one core: {pairs_a_second:,.0f} pairs, {texts_a_second:,.0f} texts")
print(f"best pair among 10,000: {passes(10_000)[0] / pairs_a_second / 3600:.1f} hours as pairs, {10_000 / texts_a_second:.1f} s to embed")
print(f"one query against {n[-1]:,.0f} vectors (recorded): {1000 * cost[-1]:.0f} ms; slope {slope:.2f}")
print("ten million stored questions, one new one:")
print(f"  as pairs:            {1e7 / pairs_a_second / 3600:.1f} hours")
print(f"  with vectors:        {1000 / texts_a_second:.1f} ms for BERT, once, and {1e7 * cost[-1] / n[-1]:.2f} s to compare")
print(f"  before that:         {1e7 / texts_a_second / 3600:.1f} hours to embed all, offline")
print(f"  all the time:        {1e7 * encoder.get_embedding_dimension() * 4 / 1e9:.1f} GB of vectors in float32")
assert 1e7 * cost[-1] / n[-1] < 0.01 * 1e7 / pairs_a_second and abs(slope - 1) < 0.3

# %% [markdown]
# So vectors make search possible. A cross-encoder can still put the few best hits in order.
#
# ## Now from the library
#
# The head that you swapped in, in `course_lib.models.classifier`. A batch is packed, the tokens of all texts one after the other, so adding up lengths finds each `[CLS]`. The assert computes the question pair's score by hand.

# %% tags=["nbval-check-output"]
import inspect

print(inspect.getsource(BertForSequenceClassification.pool))

packed, types = torch.tensor(pair.ids), torch.tensor(pair.type_ids)          # (tokens,), (tokens,)
parts = dict(scorer.model.named_parameters())
with torch.no_grad():
    first = scorer.model.bert(packed, [len(packed)], types)[0]               # (hidden,): the vector of [CLS]
    pooled = torch.tanh(parts["bert.pooler.dense.weight"] @ first + parts["bert.pooler.dense.bias"])       # (hidden,)
    logit = parts["classifier.weight"] @ pooled + parts["classifier.bias"]   # (1,)
assert abs(scorer.activation_fn(logit).item() - scorer.predict(questions)) < 1e-5      # here a sigmoid

# %% [markdown]
# ## Trap: the mask that is not there
#
# A script counts words from 0: `[MASK]` is number 4, so it reads the guess at place 4. **Predict** that guess.

# %% tags=["nbval-check-output"]
text = "A man plays an [MASK] in the park."
ids = torch.tensor(tokenizer.encode(text).ids)
by_words = text.split().index("[MASK]")                                      # counts words, from 0, without [CLS]
by_tokens = (ids == vocabulary["[MASK]"]).nonzero().item()
with torch.no_grad():
    for name, place in (("counting words", by_words), ("finding the token", by_tokens)):
        p, token = mlm(ids, [len(ids)], torch.tensor([place]))[0].softmax(0).max(0)
        print(f"{name:<18} place {place}: {tokenizer.id_to_token(token.item())!r} with {p:.2f}, where there is {tokenizer.id_to_token(ids[place].item())!r}")
        assert (token == ids[place]) == (place != by_tokens)                 # at the wrong place it "guesses" what it sees

# %% [markdown]
# At the wrong place the model "guesses" a word that it can see. In training a tenth of the chosen tokens were left alone, so to say what is there is a good answer. Nothing looks wrong: evaluated like that, a masked language model is excellent. `[CLS]` shifts all places by one, and words of several pieces shift them further: look for the token's id.
#
# ## With full-size models
#
# Set `model = "google-bert/bert-base-uncased"`, a download of 440 MB: expect capitals, and lower pseudo-perplexities. `pair_model = "cross-encoder/ms-marco-MiniLM-L6-v2"` (90 MB) scores whether a passage answers a question, in logits. Everything is slower; the slopes stay.
#
# ## Exercises
#
# **1.** Build a cross-encoder's input, `[CLS] A [SEP] B [SEP]`, and its token types, from the ids of two texts. While it is longer than `max_length`, take a token from the end of the longer text (of A if both are equally long).

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def pair_input(a, b, cls, sep, max_length):
    """Lists of ids, two ids, a number -> (ids, token types), two lists of the same length."""
    ...

check("04.1", pair_input)

# %% [markdown]
# **2.** The pseudo-perplexity of a collection: from the natural log probabilities of the tokens of each text, one number for all tokens together.

# %% tags=["exercise", "nbval-check-output"]
def collection_perplexity(log_probabilities):
    """A list of lists of numbers <= 0 -> a number >= 1."""
    ...

check("04.2", collection_perplexity)

# %% [markdown]
# ## Questions
#
# **1.** In pre-training, why are some of the chosen tokens not hidden at all?
#
# <details><summary>Answer</summary>Later tasks have no <code>[MASK]</code>: every place needs a good vector.</details>
#
# **2.** You fine-tune BERT on few labels. A colleague needs twenty times as many from random weights for the same accuracy. What does the comparison leave out?
#
# <details><summary>Answer</summary>What the reading cost; whether both had their best settings; how much results vary.</details>
#
# **3.** A shop compares each new product with its 300 others. Is a cross-encoder hopeless there?
#
# <details><summary>Answer</summary>No: 300 passes take seconds.</details>
#
# ## Summary
#
# - WordPiece cuts words into known pieces, longest first.
# - A masked language model learns from text alone, from a lot of it.
# - Fine-tuning keeps the core and swaps the head; a pre-trained core saves labels.
# - A cross-encoder reads two texts together; its scores mean something only after training.
# - All pairs cost n(n - 1)/2 passes, vectors n. "BERT once" also needs n passes offline, memory, and a comparison with all vectors.
#
# ## References
#
# - Devlin et al. (2019), [BERT](https://arxiv.org/abs/1810.04805), sections 3.1 and 4.
# - Wu et al. (2016), [WordPiece in translation](https://arxiv.org/abs/1609.08144). Salazar et al. (2020), [pseudo-perplexity](https://arxiv.org/abs/1910.14659).
# - Licences: [BERT](https://github.com/google-research/bert), [GPT-2](https://github.com/openai/gpt-2), [RoBERTa](https://github.com/facebookresearch/fairseq). Texts: [Liu et al. (2019)](https://arxiv.org/abs/1907.11692), [Brown et al. (2020)](https://arxiv.org/abs/2005.14165).
# - Li and Roth (2002), [classes of questions](https://aclanthology.org/C02-1150/).
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084). Marqo, Introduction to Sentence Transformers: the question pair.
#
# **Next:** [05_mean_pooling](05_mean_pooling.ipynb) makes one vector of BERT's many.
