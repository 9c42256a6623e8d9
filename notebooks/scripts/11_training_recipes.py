# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/11_training_recipes.ipynb)
#
# # Which recipe trains a good encoder?
#
# You train an encoder with today's library, from the data to the model card. Then you measure what each decision of the recipe is worth.
#
# | | |
# |---|---|
# | You will be able to | train, evaluate, keep the best checkpoint, save and reload; choose learning rate and batch size on one set and report another; say what stages, several tasks, a domain and the starting network are worth; translate an old `fit` |
# | You need first | notebook 06: the ranking loss; notebook 09: which loss for which data |
# | Time | 45 minutes to read; the code runs in about a minute |
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
# `model` is the encoder that you train, with `learning_rate`, `batch_size` and `epochs`. `full` makes the recorded results anew; it needs the public data sets (`COURSE_DATA`) and about an hour.

# %% tags=["parameters"]
seed = 0
model = "course/sbert-mini-ranking"
learning_rate = 5e-4
batch_size = 32
epochs = 1
full = False

# %% [markdown]
# ## One training, from the data to the model card
#
# **Question.** Residents ask a town the same things in many words. How do you make an encoder find the questions that ask the same?
#
# ### Data
#
# The file holds groups of four questions that ask the same thing. Two of a group make a pair that belongs together, as the ranking loss wants (notebook 09). Split by **group**: `train` to learn from, `dev` to choose with, `test` to report. If you split pairs, a text would stand on two sides, and you would measure memory.
#
# **Predict** how many pairs 75 groups of four questions give.

# %% tags=["nbval-check-output"]
import logging
import random
import matplotlib.pyplot as plt
import torch
from course_lib.support.folders import resolve                      # first: it filters a warning of tqdm's
import datasets
import transformers
from datasets import Dataset
from course_lib.datasets.town import load_duplicates

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
datasets.disable_progress_bars()
logging.getLogger("sentence_transformers.base.sampler").setLevel(logging.ERROR)     # it tells of every last batch
torch.set_num_threads(1)
asked = {}
for q in load_duplicates():
    asked.setdefault(q.group, []).append(q.question)
groups = random.Random(0).sample(list(asked), len(asked))           # the same split for every seed
part = {"train": groups[:75], "dev": groups[75:110], "test": groups[110:]}
pairs = [(one, other) for g in part["train"] for i, one in enumerate(asked[g]) for other in asked[g][i + 1 :]]
train_dataset = Dataset.from_dict({"anchor": [one for one, _ in pairs], "positive": [other for _, other in pairs]})
assert len({text for own in part.values() for g in own for text in asked[g]}) == 600                    # no text on two sides
print({name: len(own) for name, own in part.items()}, "groups;", len(pairs), "pairs to train on. The first:")
print(train_dataset[0])

# %% [markdown]
# ### Evaluator
#
# An *evaluator* is called with the model now and then, and returns scores on examples that it is not trained on. Choose one that does what your application does. Here two questions of each group are documents, and the other two are queries that should find them. The score, nDCG@10, is 1 if both stand first (notebook 13).
#
# One baseline is the encoder as it is. The other, _counted letters_, compares pieces of three to five letters, rare ones weighing more, and knows no meaning. **Predict** which is better.

# %%
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator as Ours

def search_set(name):
    """Queries, documents, and which documents each query should find, all by id."""
    queries, documents = ({f"{g}.{i}": asked[g][i] for g in part[name] for i in places} for places in ((1, 3), (0, 2)))
    return queries, documents, {query: {f"{query.split('.')[0]}.{i}" for i in (0, 2)} for query in queries}

class CountedLetters:
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit([text for own in asked.values() for text in own])

    def encode(self, texts):
        return self.pieces.transform(texts).toarray()

theirs = {name: InformationRetrievalEvaluator(*search_set(name), name=name) for name in ("dev", "test")}
ours = {name: Ours(*search_set(name)) for name in ("dev", "test")}
def ndcg(encoder, name):                                            # x 100
    return 100 * ours[name](encoder)["cosine_ndcg@10"]

encoder = SentenceTransformer(str(resolve(model)), device="cpu")
words, before = ({name: ndcg(one, name) for name in ours} for one in (CountedLetters(), encoder))
assert abs(100 * theirs["dev"](encoder)["dev_cosine_ndcg@10"] - before["dev"]) < 0.01                   # the same in both libraries
print(f"nDCG@10 x 100 on dev: counted letters {words['dev']:.1f}, the encoder before training {before['dev']:.1f}")

# %% [markdown]
# Counting wins: this encoder learnt from NLI and never saw such questions.
#
# ### Training
#
# **Predict** how many steps 450 pairs make in batches of 32, seen once, and whether the last checkpoint will be the best.

# %%
import tempfile
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import BatchSamplers
from sentence_transformers.sentence_transformer import losses

encoder.max_seq_length = 32
encoder.model_card_data.model_name, encoder.model_card_data.language = "Questions to a town", ["en"]
encoder.model_card_data.widget = [{"source_sentence": pairs[0][0], "sentences": [other for _, other in pairs[:3]]}]
checkpoints = tempfile.TemporaryDirectory()
arguments = SentenceTransformerTrainingArguments(
    output_dir=checkpoints.name,
    num_train_epochs=epochs, per_device_train_batch_size=batch_size, learning_rate=learning_rate,
    warmup_steps=0.1,                                               # below 1: a share of all steps
    batch_sampler=BatchSamplers.NO_DUPLICATES,                      # no text twice in a batch (notebook 09)
    eval_strategy="steps", eval_steps=3,                            # call the evaluator every three steps,
    save_strategy="steps", save_steps=3,                            # save as often,
    load_best_model_at_end=True, metric_for_best_model="dev_cosine_ndcg@10",    # and end with the best of these
    save_total_limit=1, save_only_model=True,                       # on the disk: no more than needed for that
    logging_steps=1, report_to="none", disable_tqdm=True, use_cpu=True, seed=seed)
trainer = SentenceTransformerTrainer(encoder, arguments, train_dataset, loss=losses.MultipleNegativesRankingLoss(encoder), evaluator=theirs["dev"])
trainer.remove_callback(transformers.PrinterCallback)               # it prints every entry of the log
finished = trainer.train()
print(f"{finished.global_step} steps; the mean of their losses: {finished.training_loss:.2f}")

# %% tags=["row-4.13"] alt="Two line charts over the 15 steps of the training. Above, the loss of each batch wavers, and falls on the whole. Below, nDCG on dev, measured every three steps: all five lie above the dotted line of the encoder before training, and from the second on above the dashed line of counted letters; a star marks the highest, the fourth."
from course_lib.plotting import LINES, MARKERS, PALETTE, history_curves

plt.rcParams["figure.dpi"] = 100
as_given = (model, learning_rate, batch_size, epochs) == ("course/sbert-mini-ranking", 5e-4, 32, 1)    # what is claimed below
log, metric = trainer.state.log_history, "nDCG on dev"
history = [{"step": entry["step"], "loss": entry["loss"]} for entry in log if "loss" in entry]
history += [{"step": entry["step"], metric: 100 * entry["eval_dev_cosine_ndcg@10"]} for entry in log if "eval_dev_cosine_ndcg@10" in entry]
seen = {entry["step"]: entry[metric] for entry in history if metric in entry}
peak = max(seen, key=seen.get)
ax = history_curves(history, [metric], "What the training said on its way")[1]
ax.plot(peak, seen[peak], "*", markersize=16, color=PALETTE[1], label="kept")
for i, (name, score) in enumerate({"counted letters": words["dev"], "before training": before["dev"]}.items()):
    ax.axhline(score, color="gray", linestyle=LINES[i + 1], label=name)
ax.legend(fontsize=8, ncols=3, loc=(0.35, 0.25))                     # between the lines
plt.show()
assert trainer.state.best_global_step == peak and abs(ndcg(encoder, "dev") - seen[peak]) < 0.01         # the encoder is the best one now
assert not as_given or seen[peak] > words["dev"] + 1 > before["dev"] + 5
print(f"best on dev: {seen[peak]:.1f} after step {peak} of {trainer.state.global_step}; the last: {seen[max(seen)]:.1f}")

# %% [markdown]
# The star is the checkpoint that the encoder holds now. (Where the last is the best, try more epochs.) The loss wavers with the questions in the batch. The highest of several wavering scores is partly luck: report another set.
#
# ### Test, save, reload
#
# `save_pretrained` writes weights, settings and a _model card_: a README with data, settings and scores, which the library collected on the way. Call the evaluator of test before saving, and it is on the card, too.
#
# **Predict** whether the score on test is higher or lower than on dev.

# %% tags=["row-1.45"]
from pathlib import Path
import numpy as np
from course_lib.encoder import SentenceEncoder

theirs["test"](encoder)
questions = list(search_set("test")[0].values())
with tempfile.TemporaryDirectory() as folder:
    encoder.save_pretrained(folder)
    again, in_the_course = SentenceTransformer(folder, device="cpu"), SentenceEncoder.load(folder, dtype="float32")
    card = (Path(folder) / "README.md").read_text(encoding="utf-8")
checkpoints.cleanup()
for other in (again, in_the_course):
    assert np.allclose(other.encode(questions, show_progress_bar=False), encoder.encode(questions), atol=1e-5)
after, ready = ({name: ndcg(one, name) for name in ours} for one in (again, SentenceEncoder.load("course/sbert-mini", dtype="float32")))
for name, scores in {"counted letters": words, "before training": before, "trained, saved, reloaded": after, "course/sbert-mini as it is": ready}.items():
    print(f"{name:26} dev {scores['dev']:.1f}, test {scores['test']:.1f}")
print("the card's parts:", ", ".join(line[4:] for line in card.splitlines() if line.startswith("### ")))
assert again.max_seq_length == 32 and all(f"`{name}`" in card for name in ours)
assert not as_given or (after["test"] > before["test"] + 2 and after["test"] > words["test"] + 1 and all(ready[name] > max(after[name], words[name]) + 5 for name in ours))

# %% [markdown]
# Training took the encoder past counting letters on both sets. But look at the last line: a better encoder, which has never seen the town, beats both by far. The start weighed more than the recipe.
#
# Scores on test are higher all round, also the baselines': its questions are easier, by chance. Compare with a baseline on the same set.
#
# ## What happens to what you leave out?
#
# **Predict** the default batch size, and what `load_best_model_at_end=True` does if it stands alone.

# %%
import pandas as pd

def show(rows):
    print(pd.DataFrame(rows).set_index("").rename_axis(None).to_string(float_format="%.1f", na_rep=""))

def settings(**options):
    return SentenceTransformerTrainingArguments(output_dir="unused", use_cpu=True, report_to="none", **options)

default = settings()
for name in ("per_device_train_batch_size", "learning_rate", "num_train_epochs", "warmup_steps", "weight_decay", "max_grad_norm", "lr_scheduler_type",
             "batch_sampler", "eval_strategy", "save_strategy", "save_steps", "load_best_model_at_end", "metric_for_best_model", "bf16"):
    value = getattr(default, name)
    print(f"{name:28} {getattr(value, 'value', value)}")
try:
    settings(load_best_model_at_end=True)
except ValueError as error:
    print("\nalone, load_best_model_at_end:", str(error).split(", but")[0])
assert (default.per_device_train_batch_size, default.learning_rate, default.warmup_steps, default.weight_decay) == (8, 5e-5, 0, 0)
assert default.eval_strategy == "no" and default.batch_sampler == BatchSamplers.BATCH_SAMPLER
assert [settings(warmup_steps=w).get_warmup_steps(30) for w in (0.1, 100)] == [3, 100]

# %% [markdown]
# A batch of 8 gives the ranking loss seven negatives, and the default sampler does not look for texts that stand in it twice. Nothing is evaluated. To keep the best, name four things: an evaluator, `eval_strategy`, the same `save_strategy`, and `metric_for_best_model`. (Without the last, the loss on an `eval_dataset` decides.)
#
# ## Which learning rate, which batch size?
#
# **Question.** Are they two questions or one?
#
# Three rates with two batch sizes, three seeds each, on a pair of each group, seen once. The course's `train` (notebook 06) is called with one line.
#
# **Predict** which batch size wants the larger rate.

# %%
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.training import train

few = [(asked[g][1], asked[g][3]) for g in part["train"]]
rates, sizes, seeds = (5e-5, 5e-4, 2e-3), (8, 64), range(seed, seed + 3)

def trained(size, rate, s):
    """Train once; nDCG on dev and on test."""
    encoder = SentenceEncoder.load(model, device="cpu", dtype="float32")
    encoder.max_seq_length = 32
    train(encoder, siamese_objective(encoder, MultipleNegativesRankingLoss()), few, batch_size=size, learning_rate=rate,
          seed=s, no_duplicates=True, show_progress_bar=False)
    return ndcg(encoder, "dev"), ndcg(encoder, "test")

grid = {(size, rate): np.array([trained(size, rate, s) for s in seeds]) for size in sizes for rate in rates}    # (seeds, 2) each

# %% alt="Two lines over three learning rates, with a mark for each of three seeds, on the axis of nDCG on dev; a dotted line is the encoder before training. Both begin a little above it at the smallest rate and are highest at the middle one. At the largest, batch size 8, solid, falls far below the dotted line; batch size 64, dashed, falls back to a little above it."
_, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for i, size in enumerate(sizes):
    found = np.array([grid[size, rate][:, 0] for rate in rates])            # (rates, seeds)
    ax.plot(rates, found.mean(axis=1), color=PALETTE[i], linestyle=LINES[i], label=f"batch size {size}, {-(-len(few) // size)} steps")
    ax.plot(rates, found, MARKERS[i], color=PALETTE[i], alpha=0.7)
ax.axhline(before["dev"], color="gray", linestyle=":", label="before training")
ax.set(xscale="log", xlabel="learning rate", ylabel="nDCG on dev", title="Which rate is too large depends on the batch size")
ax.legend(fontsize=8)
plt.show()
mean = {setting: values.mean(axis=0) for setting, values in grid.items()}
for (size, rate), values in grid.items():
    print(f"batch size {size:2}, rate {rate:g}: dev {mean[size, rate][0]:.1f} ({values[:, 0].min():.1f} to {values[:, 0].max():.1f}), test {mean[size, rate][1]:.1f}")
chosen = max(mean, key=lambda setting: mean[setting][0])
print(f"chosen on dev: batch size {chosen[0]}, rate {chosen[1]:g}; on test {mean[chosen][1]:.1f}, before training {before['test']:.1f}")
gain = {setting: values - [before["dev"], before["test"]] for setting, values in grid.items()}                  # (seeds, 2) each
if as_given:
    assert gain[8, 2e-3].max() < -5 and gain[64, 5e-4].min() > 1.5 and max(gain[8, 5e-5].max(), gain[64, 5e-5].max()) < 4
    assert gain[64, 2e-3][:, 0].min() > 0 > gain[64, 2e-3][:, 1].max()

# %% [markdown]
# It is one question. On dev the middle rate is the best for both; what differs is the price of too large a one. The largest tears the encoder apart in batches of 8, which make 10 steps; with batches of 64, which make 2, it stays above its start. At the smallest both have hardly moved. A rate belongs to a batch size and a number of steps: change these, and try rates again.
#
# Now compare dev with test. The large batch at the largest rate gains on dev and loses on test, with all three seeds. Seeds show how much the _training_ wavers, not what 70 queries can tell apart. A choice needs many queries, and its score another set.
#
# ## A trap: a warm-up longer than the run
#
# **Question.** You run the example of the training overview of 2022: two pairs, one epoch, `warmup_steps=100`. What has the encoder learnt?
#
# *Warm-up*: the learning rate climbs in a line over the first steps. transformers multiplies it at step $s$ by $s / 100$. Two pairs make a single step, step 0.
#
# **Predict** the largest change of a weight, and the same with a factor of 1. (Adam divides a gradient by its own size.)

# %% tags=["row-4.10"]
from transformers import get_linear_schedule_with_warmup

from course_lib.losses import CosineSimilarityLoss
from course_lib.training import learning_rate_factor

def factor_of(step, warmup_steps, total_steps):                             # in transformers
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    return get_linear_schedule_with_warmup(optimizer, warmup_steps, total_steps).lr_lambdas[0](step)

def largest_change(factor):
    """Of any weight, in one AdamW step on two scored pairs at a learning rate of 2e-5 times `factor`."""
    encoder = SentenceEncoder.load("course/bert-mini", dtype="float32")
    weights = [p.detach().clone() for p in encoder.parameters()]
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-5 * factor, weight_decay=0.01)
    u, v = encoder(["My first sentence", "Another pair"]), encoder(["My second sentence", "Unrelated sentence"])        # (2, dim) each
    CosineSimilarityLoss()(u, v, torch.tensor([0.8, 0.3])).backward()
    optimizer.step()
    return max((a - b).abs().max().item() for a, b in zip(weights, encoder.parameters()))

moved = [largest_change(factor) for factor in (factor_of(0, 100, 1), learning_rate_factor(0, 100, 1), factor_of(0, 0, 1))]
for name, change in zip(("100 warm-up steps", "the same in course_lib", "no warm-up"), moved):
    print(f"{name:24} largest change {change:.1e}")
assert moved[0] == 0 < moved[1] < 1e-6 and 1.9e-5 < moved[2] < 2.2e-5

# %% [markdown]
# Nothing: AdamW multiplies all it does by the rate, weight decay too. (At a factor of 1 its first step moves a weight by about the rate.) `course_lib` counts from one; that makes the change small, not useful. The mistake is the number 100: write a share. The SBERT paper used a tenth.
#
# In a run of 60 steps, a line's factors, added up, say what it is worth in steps at the full rate. **Predict** that sum for 100 warm-up steps.

# %% alt="Line chart of the learning rate, as a share of its maximum, over 60 steps. With a tenth of warm-up it rises quickly to one and falls in a line to zero. With 100 warm-up steps it only climbs, and ends at about six tenths. With 10,000 warm-up steps it lies on the floor."
import inspect

total, tenth = 60, 6
schedules = {"a tenth": [factor_of(s, tenth, total) for s in range(total)], "100 steps": [factor_of(s, 100, total) for s in range(total)],
             "10,000 steps": [factor_of(s, 10_000, total) for s in range(total)]}
by_hand = [s / tenth if s < tenth else (total - s) / (total - tenth) for s in range(total)]
assert schedules["a tenth"] == by_hand
assert all(learning_rate_factor(s, tenth, total) == factor_of(s + (s < tenth), tenth, total) for s in range(total))
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for i, (name, factors) in enumerate(schedules.items()):
    ax.plot(factors, color=PALETTE[i], linestyle=LINES[i], label=f"warm-up of {name}")
    print(f"warm-up of {name:13} worth {sum(factors):4.1f} of {total} steps")
ax.set(xlabel="step", ylabel="share of the learning rate", title="A warm-up longer than the run never arrives")
ax.legend(fontsize=8)
plt.show()
assert 17 < sum(schedules["100 steps"]) < 18 and sum(schedules["10,000 steps"]) < 1
print(inspect.getsource(learning_rate_factor))

# %% [markdown]
# On the floor lies 10,000, the default of the old `fit`. The schedule of `course_lib`, printed last, is one step ahead of transformers' while it rises, and the same while it falls.
#
# ## How many pairs does an evaluator need?
#
# **Question.** The overview's evaluator has three pairs, with the scores 0.3, 0.6 and 0.2. Can Spearman's correlation of three pairs be 0.7?

# %% tags=["row-4.14", "row-4.15", "nbval-check-output"]
from itertools import permutations

from course_lib.data import ScoredPair, load_sts
from course_lib.evaluation import EmbeddingSimilarityEvaluator, spearman
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator as Theirs

three = [ScoredPair("This list contains the first column", "Sentences contains the other column", 0.3),
         ScoredPair("With your sentences", "The evaluator matches sentences1[i] with sentences2[i]", 0.6),
         ScoredPair("You want your model to evaluate on", "Compute the cosine similarity and compares it to scores[i]", 0.2)]
bert = SentenceTransformer(str(resolve("course/bert-mini")), device="cpu")
ours_3 = EmbeddingSimilarityEvaluator(three)(bert)["spearman_cosine"]
theirs_3 = Theirs(*zip(*((p.sentence1, p.sentence2, p.score) for p in three)), write_csv=False)(bert)["spearman_cosine"]
possible = sorted({round(spearman([p.score for p in three], order), 3) for order in permutations((1, 2, 3))})
print(f"ours {ours_3:.3f}, theirs {theirs_3:.3f}; all that three pairs can give: {possible}")
graded = load_sts("course/sts")
u, v = (bert.encode([getattr(pair, side) for pair in graded], show_progress_bar=False) for side in ("sentence1", "sentence2"))    # (328, dim) each
close, drawn = bert.similarity_pairwise(u, v).tolist(), random.Random(0)
for size in (20, 160):
    found = [spearman([graded[i].score for i in some], [close[i] for i in some]) for some in (drawn.sample(range(len(graded)), size) for _ in range(20))]
    print(f"twenty draws of {size:3} of the course's {len(graded)} pairs: {min(found):.2f} to {max(found):.2f}")
assert abs(ours_3 - theirs_3) < 1e-4 and possible == [-1.0, -0.5, 0.5, 1.0]

# %% [markdown]
# Three pairs know only four scores, and twenty still waver widely. Use hundreds.
#
# ## Two stages: first NLI, then STS
#
# **Question.** Does training on NLI first help an encoder that is then trained on scored pairs?
#
# The next sections compare longer trainings on public data sets, **recorded** by `recipes/training_recipes.py`: batches of 32, a tenth of warm-up, a rate of 2e-4 where none is named, three seeds each. Here: all of STSb's training pairs four times with cosine MSE, as in the paper. The start is `bert-mini`, or `sbert-mini-nli` (28,000 NLI examples with the softmax loss, as in 2019), or `sbert-mini-ranking` (as many, with the ranking loss). SICK is another set of scored pairs, which nothing here is trained on.
#
# **Predict** the order of the three.

# %% tags=["row-4.15"]
from course_lib.data import load_results

recorded = load_results("11")
if full:
    from recipes.training_recipes import run_all
    recorded = pd.DataFrame([row for rows in run_all() for row in rows]).astype({"value": float})

def values(experiment, setting, where):
    """What was measured on the data set `where` after that training: a number for each seed."""
    found = recorded.query("experiment == @experiment and setting == @setting and data == @where").value.tolist()
    assert found, f"nothing was recorded for {experiment}, {setting}, {where}"
    return found

def spread(found):
    return f"{sum(found) / len(found):.1f} ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else f"{found[0]:.1f}"

stsb_dev, stages = "stsbenchmark/dev", ["STSb alone", "NLI by softmax, then STSb", "NLI by ranking, then STSb"]
show([{"": name, "STSb dev before": values("stages", f"{name}: before", stsb_dev)[0], "after": spread(values("stages", name, stsb_dev)),
       "SICK before": values("stages", f"{name}: before", "sick/trial")[0], "SICK after": spread(values("stages", name, "sick/trial"))} for name in stages])
print("the paper, BERT-base, STSb test (Table 2): STSb alone 84.67, NLI first 85.35")
alone, softmax, ranking = (values("stages", name, stsb_dev) for name in stages)
on_sick = [values("stages", name, "sick/trial") for name in stages]
assert min(softmax) > max(alone) + 0.5 and min(ranking) > max(alone) + 3.5 and max(on_sick[1]) < min(on_sick[0]) and abs(np.mean(on_sick[2]) - np.mean(on_sick[0])) < 2
assert values("stages", "NLI by ranking, then STSb: before", stsb_dev)[0] > max(alone + softmax)

# %% [markdown]
# The paper's order is reproduced: NLI by softmax first is worth 1.4 points, in the paper 0.7, and the worst run with it beats the best without. NLI by the ranking loss is worth 4.5: that encoder is above both others before it has seen a score. (It learnt from MultiNLI, too, the softmax one from SNLI alone.) A likely reason: it trains a cosine, which the second stage needs.
#
# On SICK the first stage brings little: the softmax encoder ends below STSb alone.
#
# ## Several tasks at once
#
# **Question.** Can one encoder learn two tasks in one training?
#
# *Multi-task learning*, here: several sets of examples, each with its own loss, on one encoder. Give the trainer dictionaries, `train_dataset={"sts": ..., "nli": ...}` and `loss={"sts": ..., "nli": ...}`. Each batch comes from one set, by default as often as its size says (*proportional sampling*). *Round-robin sampling* takes a batch of each in turn, and ends with the smallest set.
#
# **Predict** the orders for 70 rows of A and 30 of B, in batches of 10.
#
# Below, recorded: `sbert-mini-nli`, with its head, learns all of STSb's training pairs once, alone or together with twice as many of NLI. **Predict** what STSb alone does to its accuracy on NLI.

# %% tags=["row-4.11", "row-4.18", "nbval-check-output"]
from course_lib.support.batches import Order

bert.model_card_data.widget = encoder.model_card_data.widget
sets = {"A": train_dataset.select(range(70)), "B": train_dataset.select(range(70, 100))}
for sampling in ("round-robin", "proportional"):
    one = settings(per_device_train_batch_size=10, multi_dataset_batch_sampler=sampling.replace("round-robin", "round_robin"), disable_tqdm=True)
    loss = losses.MultipleNegativesRankingLoss(bert)
    order = SentenceTransformerTrainer(bert, one, sets, loss=dict.fromkeys(sets, loss)).get_train_dataloader()
    letters = "".join(batch["dataset_name"] for batch in order)
    turns, _ = Order((70, 30), 10, seed, sampling, lengths=(None, None), texts=(None, None)).epoch(0)
    assert sorted(letters) == sorted("AB"[task] for task, _ in turns)       # the same counts in course_lib
    print(f"{sampling:13} {letters.count('A')} batches of A, {letters.count('B')} of B", "in turn" if letters == "AB" * 3 else "mixed")

together = ["before", "STSb", "STSb and NLI, round-robin", "STSb and NLI, proportional"]
joint = {name: {data: values("together", name, data) for data in (stsb_dev, "sick/trial", "snli/dev")} for name in together}
show([{"": name, "STSb dev": spread(of[stsb_dev]), "SICK": spread(of["sick/trial"]), "NLI accuracy": spread(of["snli/dev"])} for name, of in joint.items()])
nli, own = ({name: of[data] for name, of in joint.items()} for data in ("snli/dev", stsb_dev))
assert max(nli["STSb"]) < 45 and all(min(nli[name]) > nli["before"][0] - 6 and abs(np.mean(own[name]) - np.mean(own["STSb"])) < 1 for name in together[2:])

# %% [markdown]
# After STSb alone the encoder's vectors no longer suit the old head: it does little better than guessing among three labels. Batches of the old task in between keep nearly all of its accuracy, and on STSb all three end level. The price is two and three times as many steps.
#
# ## In the domain, and out of it
#
# **Question.** What does training on your own kind of text give, and what does it cost elsewhere?
#
# STSb's pairs come from captions, news and forums. `sbert-mini-ranking` learns from 1,300 pairs of captions, or of news.
#
# **Predict:** after training on captions, which of the measures fall?

# %% tags=["row-2.19", "row-4.1", "row-BP2"] alt="Three panels of points gained on seven measures, by kind of measure, for an encoder trained on captions (circles) and one trained on news (squares), three seeds each, with a vertical line at zero. Trained on news it gains three to four points on news and loses about three on captions. Trained on captions it gains a point or none on captions and loses two to three on forums. Both lose on SICK. On Quora, TREC and AG News most marks lie within two points of zero."
kinds = {"Spearman x 100": {"STSb captions": f"{stsb_dev}: captions", "STSb news": f"{stsb_dev}: news", "STSb forums": f"{stsb_dev}: forums", "SICK": "sick/trial"},
         "average precision x 100": {"Quora duplicates": "quora/dev"},
         "accuracy in %": {"TREC questions": "trec_questions/train", "AG News topics": "ag_news/train"}}
gain = {genre: {where: [value - values("domains", "before", where)[0] for value in values("domains", genre, where)]
                for kind in kinds.values() for where in kind.values()} for genre in ("captions", "news")}
figure, axes = plt.subplots(3, 1, figsize=(7, 4.4), layout="constrained", height_ratios=[4, 1.4, 2.2])
for ax, (kind, measures) in zip(axes, kinds.items()):
    for i, genre in enumerate(gain):
        for row, where in enumerate(measures.values()):
            ax.plot(gain[genre][where], [row + 0.3 * i - 0.15] * 3, MARKERS[i], color=PALETTE[i], alpha=0.8, label=f"trained on {genre}" if row == 0 else None)
    ax.axvline(0, color="gray", linewidth=1)
    ax.set(yticks=range(len(measures)), yticklabels=list(measures), xlabel=f"gain in {kind}; a mark is a seed", xlim=(-4.5, 4.5), ylim=(len(measures) - 0.5, -0.5))
axes[0].set_title("News gains at home; captions were known already")
axes[0].legend(fontsize=8)
plt.show()
show([{"": name} | {f"by {genre}": spread(gain[genre][where]) for genre in gain} for kind in kinds.values() for name, where in kind.items()])
home = {genre: gain[genre][f"{stsb_dev}: {genre}"] for genre in gain}
assert min(home["news"]) > 3 and max(home["captions"]) < 1.5 and max(gain["news"][f"{stsb_dev}: captions"]) < -2
assert min(gain["news"]["trec_questions/train"]) > 1.9 and max(gain["news"]["ag_news/train"]) < 0
assert max(gain["captions"][f"{stsb_dev}: forums"]) < -2 and max(gain["captions"]["sick/trial"] + gain["news"]["sick/trial"]) < -1

# %% [markdown]
# Training on news gains three points on news and costs about as many on captions. Training on captions gains little on captions (SNLI's premises are captions, so this encoder knew them), and costs two points and more on forums. Both lose on SICK. News gains two points or more on TREC, which are questions, and loses on AG News, which is news: a topic is another task than a similarity. So a domain pays where it is new to the encoder. What it does elsewhere, measure.
#
# ## Which network to start from?
#
# **Question.** Does a better language model make a better encoder?
#
# The overview of 2022 trained thirteen networks alike, on 560,000 triplets, and measured 14 tasks. Five have a model card with a score on MNLI, a test of language understanding.
#
# **Predict** the sign of the correlation between the two columns.

# %% tags=["row-4.21", "row-4.23", "nbval-check-output"]
fourteen_tasks = {"mpnet-base": 60.99, "ernie-2.0-en": 60.73, "deberta-base": 60.21, "roberta-base": 59.63, "t5-base": 59.21,
                  "bert-base-uncased": 59.17, "distilbert-base": 59.03, "TinyBERT-L6-H768": 58.27, "t5-v1_1-base": 57.63,
                  "MiniLMv2-L6-H768": 57.31, "albert-base-v2": 57.14, "MiniLM-L12-H384": 56.79, "deberta-v3-base": 54.46}
mnli = {"deberta-v3-base": 90.6, "deberta-base": 88.8, "roberta-base": 87.6, "MiniLM-L12-H384": 85.7, "bert-base-uncased": 84.5}
show([{"": name, "MNLI": score, "14 tasks": fourteen_tasks[name]} for name, score in mnli.items()])
names = list(mnli)
without = [spearman([mnli[n] for n in names if n != left], [fourteen_tasks[n] for n in names if n != left]) for left in names]
rank_correlation = spearman(list(mnli.values()), [fourteen_tasks[n] for n in names])
print(f"rank correlation {rank_correlation:.2f}; with one network left out, {min(without):.2f} to {max(without):.2f}")
assert list(fourteen_tasks.values()) == sorted(fourteen_tasks.values(), reverse=True) and min(without) < 0 < max(without)
assert max(mnli, key=mnli.get) == min(fourteen_tasks, key=fourteen_tasks.get)

# %% [markdown]
# Five networks do not settle a sign: leave one out, and it turns. But do not rely on such a score: the best of them made the worst encoder.
#
# Recorded at our size: 4,096 NLI triplets, seen once with the ranking loss, then five tasks. Three networks share one architecture: random weights, the same after 0.4 million tokens of masked language modelling, and `bert-mini`, after 150 million. Then averaged word vectors (rate 5e-3), and all-MiniLM-L6-v2, an encoder already (5e-5).
#
# **Predict** which one gains most.

# %% tags=["row-2.16", "row-4.22", "row-4.23", "row-4.21"] alt="Chart of five networks by the mean of five tasks, before (open circles) and after training on NLI triplets (squares, three seeds), in the order of the circles. The network with little pre-training rises from 37 to between 52 and 53, word vectors from 51 to 52, random weights from 51 to 57, bert-mini from 65 to between 67 and 68, all-MiniLM-L6-v2 from 79 to 80."
tasks = {"STSb dev": stsb_dev, "SICK": "sick/trial", "Quora": "quora/dev", "TREC": "trec_questions/train", "AG News": "ag_news/train"}
of_backbones = recorded.query("experiment == 'backbones' and data in @tasks.values()")
raw = {name: of_backbones.query("model == @name and setting == 'before'").set_index("data").value for name in of_backbones.model.unique()}
raw = dict(sorted(raw.items(), key=lambda item: item[1].mean()))
own = {name: of_backbones.query("model == @name and setting != 'before'").groupby("seed").value.mean().tolist() for name in raw}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for i, name in enumerate(raw):
    ax.plot(raw[name].mean(), i, "o", markerfacecolor="none", color="black", label="before" if i == 0 else None)
    ax.plot(own[name], [i] * 3, MARKERS[1], color=PALETTE[1], alpha=0.7, label="after, three seeds" if i == 0 else None)
ax.set(yticks=range(len(raw)), yticklabels=[name.split("/")[-1].replace(", ", ",\n") for name in raw], xlabel="mean of five tasks x 100", title="None comes near the network that was an encoder before")
ax.invert_yaxis()
ax.legend(fontsize=8)
plt.show()
perplexity = recorded.query("metric == 'pseudo_perplexity'").set_index("model").value
show([{"": name.removesuffix(" of pre-training")} | {task: raw[name][where] for task, where in tasks.items()} | {"mean": raw[name].mean(), "after": spread(own[name]), "perplexity": perplexity.get(name, float("nan"))} for name in raw])
little, random_weights = "random weights, 0.4 million tokens of pre-training", "random weights"
assert perplexity["course/bert-mini"] < perplexity[little] < perplexity[random_weights]
assert max(own[little]) < min(own[random_weights]) and max(own[random_weights]) + 8 < min(own["course/bert-mini"])
assert all(raw[name].mean() < min(own[name]) for name in raw) and max(own["course/bert-mini"]) + 10 < raw["sentence-transformers/all-MiniLM-L6-v2"].mean()

# %% [markdown]
# The lowest gains most. On the same triplets `bert-mini` ends about eleven points above its own architecture from random weights. The road need not be straight: after 0.4 million tokens the network guesses words far better (the last column is notebook 04's pseudo-perplexity), and is the worse encoder. That is one network and one budget: a warning, not a law. (A mean of five unlike measures gives an order, not a quantity.)
#
# Random weights are no zero: each word piece gets a random vector of its own, and the mean compares which pieces two texts share. **Predict** the rank correlation of a random network's cosines with the cosines of counted pieces.

# %%
torch.manual_seed(seed)
for module in bert.modules():
    if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
        torch.nn.init.normal_(module.weight, std=0.02)                      # as BERT begins
u, v = (bert.encode([getattr(pair, side) for pair in graded], show_progress_bar=False) for side in ("sentence1", "sentence2"))
counted = CountVectorizer(tokenizer=bert.tokenizer.tokenize, lowercase=False, token_pattern=None).fit([t for p in graded for t in (p.sentence1, p.sentence2)])
a, b = (counted.transform([getattr(pair, side) for pair in graded]).toarray().astype(np.float32) for side in ("sentence1", "sentence2"))
random_cosines, shared = bert.similarity_pairwise(u, v), bert.similarity_pairwise(a, b)
grades = [pair.score for pair in graded]
print(f"random network and shared pieces {spearman(random_cosines, shared):.2f}; with people's scores: random network {spearman(grades, random_cosines):.2f}, "
      f"shared pieces {spearman(grades, shared):.2f}, bert-mini {spearman(grades, close):.2f}")
assert spearman(random_cosines, shared) > 0.7 and spearman(grades, random_cosines) < spearman(grades, close) - 0.05

# %% [markdown]
# Close: much of that 51 is what shared words are worth.
#
# ## In practice
#
# - **Start** from the best encoder that your machine runs. Measure counted letters first: what they find needs no encoder.
# - **Data**: pairs that belong together, split by what they are about; the cached ranking loss, `NO_DUPLICATES`, a large batch (notebook 09).
# - **Rate**: three values at _your_ batch size, a tenth of warm-up, one to three epochs. Larger networks want rates near 2e-5.
# - **Choose on dev, report test once**, beside start and baseline. A gain smaller than the spread over seeds is none.
# - **Watch** a set from outside your domain.
#
# When memory is short: `bf16=True` on a GPU that has it; `gradient_checkpointing=True`, which keeps less of the forward pass and computes it again; LoRA, with the package `peft` (notebook 10 builds one). An encoder with prompts is trained with them, `prompts={"anchor": "query: ", ...}`; the trainer does not write them into the model.
#
# **Predict** how much less a step keeps with gradient checkpointing.

# %%
import warnings
from course_lib.support.kept_bytes import KeptBytes

warnings.filterwarnings("ignore", "`gradient_checkpointing", FutureWarning)       # a new name is coming: activation_checkpointing
pupil = SentenceTransformer(str(resolve(model)), device="cpu")
pupil.model_card_data.widget = encoder.model_card_data.widget
prompted = settings(per_device_train_batch_size=32, prompts={"anchor": "query: ", "positive": "document: "}, disable_tqdm=True)
trainer = SentenceTransformerTrainer(pupil, prompted, train_dataset, loss=losses.MultipleNegativesRankingLoss(pupil))
features, labels = trainer.collect_features(next(iter(trainer.get_train_dataloader())))
read = pupil.tokenizer.decode(features[0]["input_ids"][0], skip_special_tokens=True)
assert read.startswith("query :") and not any(pupil.prompts.values())
ran, kept, gradient = {False: [], True: []}, {}, {}
for saving in (False, True):
    bert_inside = pupil[0].model
    (bert_inside.gradient_checkpointing_enable if saving else bert_inside.gradient_checkpointing_disable)()
    counter = bert_inside.encoder.layer[0].attention.register_forward_hook(lambda *_: ran[saving].append(1))
    torch.manual_seed(seed)                                                 # the same dropout
    pupil.train().zero_grad()
    with KeptBytes(pupil) as bytes_kept:
        trainer.loss(features, labels).backward()
    counter.remove()
    kept[saving], gradient[saving] = bytes_kept.most / 1e6, torch.cat([p.grad.flatten() for p in pupil.parameters() if p.grad is not None])
print("a query as it is read:", read)
print(f"kept {kept[False]:.0f} MB, with gradient checkpointing {kept[True]:.0f} MB; a layer runs {len(ran[False])} times, then {len(ran[True])} times")
assert torch.allclose(gradient[False], gradient[True], atol=1e-5) and kept[True] < kept[False] / 3 and len(ran[True]) == 2 * len(ran[False])

# %% [markdown]
# The gradient is the same; the price is a second forward pass.
#
# ## Appendix: the old `fit`
#
# **Question.** What do you do with a script from before 2024?
#
# `fit` still runs: it hands all to the trainer. Below is the overview's minimal example, with its 100 warm-up steps. **Predict** what it saves.

# %% tags=["row-4.10", "row-4.13", "nbval-check-output"]
import contextlib
import os
from sentence_transformers import InputExample
from torch.utils.data import DataLoader

examples = [InputExample(texts=["My first sentence", "My second sentence"], label=0.8), InputExample(texts=["Another pair", "Unrelated sentence"], label=0.3)]
old = SentenceTransformer(str(resolve("course/bert-mini")), device="cpu")
old.model_card_data.widget = ["no examples for a model card"]
weights = {name: p.detach().clone() for name, p in old.named_parameters()}
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
    warnings.simplefilter("ignore")                                         # old names
    train_dataloader = DataLoader(examples, shuffle=True, batch_size=16)
    train_loss = losses.CosineSimilarityLoss(old)
    old.fit(train_objectives=[(train_dataloader, train_loss)], epochs=1, warmup_steps=100, show_progress_bar=False)
    saved = list(Path(folder).rglob("*.safetensors"))
change = max((weights[name] - p).abs().max().item() for name, p in old.named_parameters())
assert change == 0.0 and saved == []
print(f"largest change of {len(weights)} weight tensors: {change}; models saved: {len(saved)}")

# %% [markdown]
# Nothing learnt, and nothing saved: `fit` saves the best model only if it is given an evaluator, `output_path` and `save_best_model`. Here are all of its options and what they are called today. **Predict** two defaults that differ.

# %% tags=["row-4.12", "row-4.11"]
OPTIONS = """train_objectives train_dataset examples; epochs num_train_epochs epochs; steps_per_epoch max_steps -; scheduler lr_scheduler_type -
warmup_steps warmup_steps warmup; optimizer_class optim -; optimizer_params learning_rate learning_rate; weight_decay weight_decay weight_decay
max_grad_norm max_grad_norm -; use_amp bf16 autocast; evaluator evaluator evaluators; evaluation_steps eval_steps evaluate_every
save_best_model load_best_model_at_end best; output_path output_dir best; callback callbacks log; show_progress_bar disable_tqdm show_progress_bar
checkpoint_path output_dir checkpoint; checkpoint_save_steps save_steps checkpoint_every; checkpoint_save_total_limit save_total_limit -
resume_from_checkpoint resume_from_checkpoint checkpoint"""

def defaults(*functions):
    return {name: p.default for function in functions for name, p in inspect.signature(function).parameters.items()}

known = [defaults(SentenceTransformer.fit), defaults(SentenceTransformerTrainer.train, SentenceTransformerTrainingArguments, SentenceTransformerTrainer), defaults(train)]
def shown(name, where):
    assert name in where or name == "-", f"{name} is no option of the installed library"
    return f"{name} = {where[name]}" if type(where.get(name)) in (int, float, str) else name

rows = [option.split() for option in OPTIONS.replace("\n", ";").split(";")]
print(pd.DataFrame([map(shown, row, known) for row in rows], columns=["fit, until 2024", "trainer", "course_lib"]).to_string(index=False))
assert {row[0] for row in rows} == set(known[0]) - {"self"}
assert known[0]["optimizer_params"] == {"lr": 2e-5} and known[0]["weight_decay"] == 0.01 and known[1]["weight_decay"] == 0.0

# %% [markdown]
# What the names hide: the loss was half of each pair in `train_objectives`. `use_amp` computed in float16; bfloat16 needs no scaled loss. Several objectives came in turn; now the default is by size.
#
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` (90 MB) and `learning_rate = 2e-5`, and expect minutes in place of seconds. `python recipes/training_recipes.py` repeats the recorded trainings; it needs the public data sets that the README names.
#
# ## Exercises
#
# Write the function, run the cell, read what `check` says.
#
# **1.** Choose the setting with the best mean over its seeds on dev; its score is the mean on test.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def choose(runs):
    """runs: {name of the setting: [(score on dev, score on test) of each seed]} -> (name of the chosen setting, its score on test)."""
    ...

check("11.1", choose)

# %% [markdown]
# **2.** Keep the best, stop early: given the scores of all evaluations, which one is kept, and after which one does training stop, if it stops once `patience` evaluations in a row bring no new best?

# %% tags=["exercise", "nbval-check-output"]
def early_stop(scores, patience):
    """scores: a list of floats -> (position of the kept one, position of the last one that is run), from 0."""
    ...

check("11.2", early_stop)

# %% [markdown]
# In the trainer, the second is `callbacks=[EarlyStoppingCallback(early_stopping_patience=...)]`, from transformers.
#
# ## Questions
#
# **1.** A colleague fine-tunes on 500 pairs in batches of 32 for one epoch, with `warmup_steps=100`, and finds that "fine-tuning does not help". What do you compute first?
#
# <details><summary>Answer</summary>The steps: 16. The rate climbs to 15 per cent, and the run is worth 1.2 steps.</details>
#
# **2.** You have 10,000 questions in 500 topics, and you split the pairs at random. What does the best checkpoint then maximise?
#
# <details><summary>Answer</summary>How well the training topics are remembered: nearly every text of dev is in a training pair, too. Split by topic.</details>
#
# **3.** Two recipes differ by 0.5 points, one run each. What do you need before you say which is better?
#
# <details><summary>Answer</summary>The spread over seeds. If runs of one recipe lie a point apart, half a point between two says nothing.</details>
#
# ## Summary
#
# - A training is: pairs split by group; an evaluator that does what the application does; rate and batch size tried together; the checkpoint that is best on dev; one report on test, beside the start and a baseline that knows no meaning; a saved folder with its card.
# - The trainer's defaults evaluate nothing. `load_best_model_at_end` needs an evaluator, and equal strategies for saving and evaluating.
# - A rate belongs to a batch size and a number of steps.
# - Warm-up is a share of the steps. One step under 100 warm-up steps changes no weight.
# - NLI first helps STSb, by the ranking loss more than by softmax. Batches of an old task keep it in reach.
# - A domain pays where it is new to the encoder, and may cost elsewhere. The start weighs more than the recipe.
#
# ## References
#
# - sentence-transformers, [training overview](https://sbert.net/docs/sentence_transformer/training_overview.html): the trainer. Its edition of 2022 has `fit`, the three pairs and the table of thirteen networks.
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): Table 2, the two stages.
# - MNLI scores: the model cards of [deberta-v3-base](https://huggingface.co/microsoft/deberta-v3-base) (three of the five) and [MiniLM-L12-H384](https://huggingface.co/microsoft/MiniLM-L12-H384-uncased) (two).
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): AdamW.
# - Chen et al. (2016), [Training deep nets with sublinear memory cost](https://arxiv.org/abs/1604.06174): gradient checkpointing.
#
# **Next:** notebook 12 makes small students of large teachers, and looks for hard negatives.
