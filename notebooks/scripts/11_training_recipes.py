# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/11_training_recipes.ipynb)
#
# # Which recipe trains a good encoder?
#
# You train an encoder with today's library, by a script that you can take over, and learn what to compare it with. Then you see what several decisions of the recipe are worth.
#
# | | |
# |---|---|
# | You will be able to | write a training script that evaluates, keeps the best checkpoint and saves; choose on one set, report another, and say whether a gain is shown; train in stages and on several tasks; translate an old `fit` |
# | You need first | notebooks 04 (pre-training), 06 (the ranking loss) and 09 (which loss for which data) |
# | Time | 45 minutes to read; the code runs in half a minute |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course |

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
# **Question.** Residents ask a town the same things in many words. How do you train an encoder to find the questions that ask the same, and what do you compare it with?
#
# The script has five parts. Each begins a cell below, and ends with the cell or where a line says `# beside the script`. To take it over, copy the five parts and the parameters, put your own texts and their split into the first, and let the second measure what your application does; parts 4 and 5 name its score and write to folders that are deleted, and part 4 cuts texts at 32 tokens.
#
# ### Data
#
# The file holds groups of four questions that ask the same thing. A language model wrote them for an invented town, and rewrote half so that all-MiniLM-L6-v2 found their groups better.
#
# Two questions of one group make a pair for the ranking loss (notebook 09). The split is by **group**: `train` to learn from, `dev` to choose with, `test` to report. If you split pairs at random, a text could stand in `train` and in `test`, and the score would partly measure memory.

# %% tags=["nbval-check-output"]
# script 1 of 5: data
import random
from itertools import combinations
# `resolve` finds the course's models (first: it filters a warning of tqdm's)
from course_lib.support.folders import resolve
from datasets import Dataset
# in your project neither this nor `resolve`: fill `asked` with your own texts
from course_lib.datasets.town import load_duplicates

asked = {}                                                          # {group: its questions}
for q in load_duplicates():
    asked.setdefault(q.group, []).append(q.question)
groups = random.Random(0).sample(list(asked), len(asked))           # the same split for every seed
part = {"train": groups[:75], "dev": groups[75:110], "test": groups[110:]}
pairs = [
    {"anchor": a, "positive": b, "label": i}
    for i, group in enumerate(part["train"])
    for a, b in combinations(asked[group], 2)
]
train_dataset = Dataset.from_list(pairs)

# beside the script: a look at the data, and less output from here on
import logging
import datasets
import transformers
assert len({text for own in part.values() for g in own for text in asked[g]}) == 600  # no text on two sides
print({name: len(own) for name, own in part.items()}, "groups;", len(pairs), "pairs to train on. The first:")
print(train_dataset[0])
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar(), datasets.disable_progress_bars()
# else it tells that the last batch repeats pairs
logging.getLogger("sentence_transformers.base.sampler").setLevel(logging.ERROR)

# %% [markdown]
# ### Evaluator
#
# An *evaluator* returns scores of the model on examples that it is not trained on. Here two questions of each group are documents, and the other two are queries that should find them. The score is nDCG@10, which is 1 if both documents of the group stand first (notebook 13).
#
# Compare it with two others: the encoder before training, which learnt from NLI (does one sentence follow from another?) and never saw the town, and _counted letters_, which compares pieces of three to five letters, gives rare pieces more weight, and knows no meaning. **Predict** which is higher.

# %%
# script 2 of 5: evaluator
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

def search_set(name):
    """Queries, documents, and which documents each query should find, all by id."""
    queries = {f"{g}.{i}": asked[g][i] for g in part[name] for i in (1, 3)}
    documents = {f"{g}.{i}": asked[g][i] for g in part[name] for i in (0, 2)}
    return queries, documents, {f"{g}.{i}": {f"{g}.0", f"{g}.2"} for g in part[name] for i in (1, 3)}

evaluators = {name: InformationRetrievalEvaluator(*search_set(name), name=name) for name in ("dev", "test")}
# in your project: SentenceTransformer("a model's name")
encoder = SentenceTransformer(str(resolve(model)), device="cpu")

# beside the script: what to compare with
from sklearn.feature_extraction.text import TfidfVectorizer
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator as Ours
class CountedLetters:                                               # it counts over all 600 texts, those of test too
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit(
        [text for own in asked.values() for text in own]
    )
    def encode(self, texts):
        return self.pieces.transform(texts).toarray()
ours = {name: Ours(*search_set(name)) for name in ("dev", "test")}  # the same score, for whatever can encode
def ndcg(encoder, name):                                            # x 100
    return 100 * ours[name](encoder)["cosine_ndcg@10"]
words, before = ({name: ndcg(one, name) for name in ours} for one in (CountedLetters(), encoder))
print(f"nDCG@10 x 100 on dev: counted letters {words['dev']:.1f}, the encoder before training {before['dev']:.1f}")

# %% [markdown]
# Counted letters are ahead on dev. The training has to beat them, not only its start.
#
# ### Batches
#
# For the ranking loss every other positive of a batch is a wrong answer, so no batch should hold two pairs of one group. The library's sampler `NO_DUPLICATES` compares texts, but two pairs of a group may share no text. `groups_apart` gives the same sampler only each pair's group number, so it keeps groups apart instead of texts.
#
# **Predict** whether pairs still meet their own group under `NO_DUPLICATES`.

# %% tags=["nbval-check-output"]
# script 3 of 5: batches
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

def groups_apart(dataset, **options):
    """NO_DUPLICATES, shown the labels in place of the texts: no group stands in a batch twice.
    The loss reads no label."""
    return NoDuplicatesBatchSampler(dataset.select_columns("label"), **options | {"valid_label_columns": None})

# beside the script: does a pair meet its own group, and what does a short batch do?
import numpy as np
import torch
from course_lib.losses import MultipleNegativesRankingLoss
torch.set_num_threads(1)
for name, sampler in {"NO_DUPLICATES": NoDuplicatesBatchSampler, "groups_apart": groups_apart}.items():
    batches = list(sampler(
        train_dataset, batch_size=32, drop_last=True,
        valid_label_columns=["label"], generator=torch.Generator(), seed=seed,
    ))
    new = batches[:13]                                              # of 14: since 6.2 the last may repeat pairs
    labels = [[pairs[i]["label"] for i in batch] for batch in new]
    met = sum(of.count(label) > 1 for of in labels for label in of)
    print(f"{name:13} {met:2} of the {32 * len(new)} pairs in {len(new)} batches meet another pair of their group")
    assert (met == 0) == (name == "groups_apart") and (
        seed or len(set().union(*new)) == 32 * 13 and len(set().union(*batches)) < 32 * 14
    )
ranking = MultipleNegativesRankingLoss()
u, v = (                                                            # (32, dim) each
    torch.from_numpy(encoder.encode([pairs[i][side] for i in new[0]], show_progress_bar=False))
    for side in ("anchor", "positive")
)
of_all, of_two = ranking(u, v), np.mean([ranking(u[i : i + 2], v[i : i + 2]) for i in range(0, 32, 2)])
print(f"loss of the encoder before training on a batch of 32: {of_all:.2f}; "
      f"on the same pairs two by two, on average {of_two:.2f}")
assert of_two < of_all / 4 and len(pairs) % 32 == len(pairs) % 64 == 2

# %% [markdown]
# Under `NO_DUPLICATES` some pairs still meet their own group; under `groups_apart` none does.
#
# On the same pairs the loss is far lower two by two than in a batch of 32. So a short batch at the end would look like progress, and `dataloader_drop_last` leaves it out.
#
# ### Training
#
# The arguments say how fast to learn, how to make batches, and when to evaluate and save. Here the evaluator scores on dev every two steps. At the end the trainer loads the best checkpoint, the saved weights with the highest score on dev.

# %%
# script 4 of 5: training
import tempfile
import sentence_transformers
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer import losses
from transformers import PrinterCallback

encoder.max_seq_length = 32                                         # tokens: what is longer is cut
encoder.model_card_data.model_name, encoder.model_card_data.language = "Questions to a town", ["en"]
encoder.model_card_data.widget = [                                  # its examples
    {"source_sentence": pairs[0]["anchor"], "sentences": [pair["positive"] for pair in pairs[:3]]}
]
loss = losses.MultipleNegativesRankingLoss(encoder)
# deleted at the end: keep a path instead, without .name
checkpoints = tempfile.TemporaryDirectory()
arguments = SentenceTransformerTrainingArguments(
    output_dir=checkpoints.name, seed=seed, num_train_epochs=epochs, learning_rate=learning_rate,
    warmup_steps=0.1,                                               # below 1: a share of all steps
    per_device_train_batch_size=batch_size, batch_sampler=groups_apart, dataloader_drop_last=True,
    eval_strategy="steps", eval_steps=2,                            # every two of 14 steps: evaluate and save,
    save_strategy="steps", save_steps=2,
    load_best_model_at_end=True,                                    # and end with the best of these
    metric_for_best_model="dev_cosine_ndcg@10",
    save_total_limit=1, save_only_model=True,                       # on the disk: no more than needed for that
    logging_steps=1, report_to="none", disable_tqdm=True,
    use_cpu=True,                                                   # with a GPU: neither use_cpu nor device="cpu"
)
trainer = SentenceTransformerTrainer(encoder, arguments, train_dataset, loss=loss, evaluator=evaluators["dev"])
trainer.remove_callback(PrinterCallback)                            # it prints every entry of the log
finished = trainer.train()
print(f"sentence-transformers {sentence_transformers.__version__}: {finished.global_step} steps; "
      f"the mean of their losses: {finished.training_loss:.2f}")

# %% tags=["row-4.13"] alt="Two line charts over the 14 steps of the training. Above, the loss of each batch wavers, falls on the whole, and is lowest at the last step. Below, nDCG on dev, measured every two steps: all seven lie above the dotted line of the encoder before training, and the last four above the dashed line of counted letters; a star marks the highest, the sixth."
import matplotlib.pyplot as plt
from course_lib.plotting import LINES, MARKERS, PALETTE, curve, history_curves

plt.rcParams["figure.dpi"] = 100
# the claims below are about these values
as_given = (model, learning_rate, batch_size, epochs) == ("course/sbert-mini-ranking", 5e-4, 32, 1)
log, metric = trainer.state.log_history, "nDCG on dev"
history = [{"step": entry["step"], "loss": entry["loss"]} for entry in log if "loss" in entry]
history += [
    {"step": entry["step"], metric: 100 * entry["eval_dev_cosine_ndcg@10"]}
    for entry in log
    if "eval_dev_cosine_ndcg@10" in entry
]
seen = {entry["step"]: entry[metric] for entry in history if metric in entry}
peak = max(seen, key=seen.get)
ax = history_curves(history, [metric], "The loss of each batch, and nDCG on dev")[1]
ax.plot(peak, seen[peak], "*", markersize=16, color=PALETTE[1], label="kept")
for i, (name, score) in enumerate({"counted letters": words["dev"], "before training": before["dev"]}.items()):
    ax.axhline(score, color="gray", linestyle=LINES[i + 1], label=name)
ax.legend(fontsize=8, ncols=3, loc=(0.35, 0.25))                     # between the lines
plt.show()
# the encoder is the best one now
assert trainer.state.best_global_step == peak and abs(ndcg(encoder, "dev") - seen[peak]) < 0.01
assert not as_given or min(seen.values()) > before["dev"] and (seed or seen[peak] - seen[max(seen)] < 0.5)
print(f"best on dev: {seen[peak]:.1f} after step {peak} of {trainer.state.global_step}; "
      f"the last: {seen[max(seen)]:.1f}")

# %% [markdown]
# The star marks the checkpoint that the encoder holds now; the last scores nearly the same. The highest of several scores is partly luck, so report another set, on which nothing was chosen.
#
# ### Test, save, reload
#
# `save_pretrained` writes the weights, the settings and a _model card_, a README with data, settings and scores. The reloaded encoder must give the same vectors.

# %% tags=["row-1.45"]
# script 5 of 5: the report on test, and the saved model
scores = evaluators["test"](encoder)                                # before saving: then they are on the card, too
folder = tempfile.TemporaryDirectory()                              # the same
encoder.save_pretrained(folder.name)
again = SentenceTransformer(folder.name, device="cpu")
print(f"nDCG@10 x 100 on test: {100 * scores['test_cosine_ndcg@10']:.1f}; "
      f"on dev it was {100 * trainer.state.best_metric:.1f}")

# beside the script: what was saved, and another encoder
from course_lib.encoder import SentenceEncoder
in_the_course = SentenceEncoder.load(folder.name, dtype="float32")
card = (Path(folder.name) / "README.md").read_text(encoding="utf-8")
folder.cleanup(), checkpoints.cleanup()
questions = list(search_set("test")[0].values())
for other in (again, in_the_course):
    assert np.allclose(other.encode(questions, show_progress_bar=False), encoder.encode(questions), atol=1e-5)
after, ready = (
    {name: ndcg(one, name) for name in ours}
    for one in (again, SentenceEncoder.load("course/sbert-mini", dtype="float32"))
)
print("the card's parts:", ", ".join(line[4:] for line in card.splitlines() if line.startswith("### ")))
assert (
    abs(100 * scores["test_cosine_ndcg@10"] - after["test"]) < 0.01
    and again.max_seq_length == 32
    and all(f"`{name}`" in card for name in ours)
)
assert not as_given or all(ready[name] > max(after[name], words[name]) + 5 for name in ours)

# %% [markdown]
# Every row of the next table is higher on test than on dev, so compare scores within one set only.
#
# ### Is it a gain?
#
# Two kinds of chance stand behind a difference. Another _seed_ trains another encoder. Other _questions_ give other scores. To see how far these matter, draw the 40 groups of test anew, with repetition, 2,000 times. The interval holds the middle 95 per cent of these differences (notebook 13).
#
# From here on most trainings are **recorded**. `recipes/training_recipes.py` ran each with three seeds in the course's own loop (`train`, notebook 06), and kept the last weights. The next table also has `sbert-mini`. It never saw the town either, but as a student of all-MiniLM-L6-v2 it is favoured by the rewriting.

# %%
from itertools import permutations
import pandas as pd
from course_lib.data import load_results
from course_lib.retrieval.metrics import each_query, paired_bootstrap
from recipes.town_questions import on_town_pairs

recorded = load_results("11")
if full:
    from recipes.training_recipes import run_all
    recorded = pd.DataFrame([row for rows in run_all() for row in rows]).astype({"value": float})

def values(experiment, setting, where, start=None):
    """What was measured on the data set `where` after that training: a number for each seed."""
    of = recorded[(recorded.experiment == experiment) & (recorded.setting == setting) & (recorded.data == where)]
    of = of[~of.metric.str.contains("gain")]
    found = of.value[(of.model == start) | (start is None)].tolist()
    assert found, f"nothing was recorded for {experiment}, {setting}, {where}"
    return found

def spread(found):
    return (
        f"{sum(found) / len(found):.1f} ({min(found):.1f} to {max(found):.1f})" if len(found) > 1
        else f"{found[0]:.1f}"
    )

def show(rows):
    print(pd.DataFrame(rows).set_index("").rename_axis(None).to_string(float_format="%.1f", na_rep=""))

# %%
def town(start, size, rate, epochs=1):
    """nDCG x 100 of the recorded trainings on the 450 pairs (groups apart, no drop_last):
    {"dev": one number for each seed, "test": ...}."""
    setting = f"batch size {size}, learning rate {rate:g}" + (f", {epochs} epochs" if epochs > 1 else "")
    return {part: [100 * value for value in values("town", setting, f"course/duplicates: {part}", start)]
            for part in ours}
def by_group(encoder):
    """nDCG x 100 of each group of test: (40,).
    Its two queries seek the same documents, so they are no independent draws."""
    return 100 * each_query(ours["test"].rankings(encoder), ours["test"].relevant).reshape(-1, 2).mean(axis=1)
def on_other_groups(first, second):
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*paired_bootstrap(first, second))
def apart(lower, higher, parts=("dev", "test")):
    """Whether all seeds of one setting of `grid` (made below) are below all of another, on each of these parts."""
    return all(max(grid[lower][part]) < min(grid[higher][part]) for part in parts)

given, good = (SentenceEncoder.load(name, dtype="float32") for name in (model, "course/sbert-mini"))
lines = {"counted letters": words, "your encoder before": before, "trained by you": after,
         "trained, recorded": town("course/sbert-mini-ranking", 32, 5e-4),
         "sbert-mini as it is": ready, "sbert-mini, trained, recorded": town("course/sbert-mini", 32, 5e-4)}
show([{"": name} | {part: spread(scores[part] if isinstance(scores[part], list) else [scores[part]]) for part in ours}
      for name, scores in lines.items()])
mine, counted, start, better = (by_group(one) for one in (again, CountedLetters(), given, good))
print("differences on test, and where other groups would put them:")
for name, pair in {"you - before": (mine, start), "you - counted letters": (mine, counted),
                   "sbert-mini - you": (better, mine)}.items():
    print(f"  {name:22} {on_other_groups(*pair)}")
weak, strong = list(lines.values())[3::2]
assert all(min(weak[part]) < words[part] < max(weak[part]) and min(strong[part]) < ready[part] < max(strong[part])
           for part in ours)
(_, low, high), (_, above, _), (_, ahead, _) = (
    paired_bootstrap(*pair) for pair in ((mine, counted), (mine, start), (better, mine)))
assert not as_given or (all(before[part] < min(weak[part]) for part in ours)
                        and all(np.mean(scores["test"]) > np.mean(scores["dev"]) for scores in lines.values())
                        and (seed or low < 0 < min(high, above, ahead)))

# %% [markdown]
# On test your run is above its start, and the interval of this difference lies above 0. Every recorded seed is above that start, too. Against counted letters the interval includes 0, and the recorded seeds lie on both sides. So a gain over the start is shown, and one over counted letters is not.
#
# `sbert-mini` is far above your encoder without any training on the town. Trained in the same way, its seeds lie around its score before. So compare a recipe with three things: its start, a baseline that knows no meaning, and another start.
#
# ## What happens to what you leave out?
#
# **Question.** Your script sets many options. What does the library do without them? **Predict** what `load_best_model_at_end=True` does if it stands alone.

# %%
from sentence_transformers.base.sampler import BatchSamplers

def settings(**options):
    return SentenceTransformerTrainingArguments(output_dir="unused", use_cpu=True, report_to="none", **options)

default = settings()
for name in (
    "per_device_train_batch_size", "learning_rate", "num_train_epochs", "warmup_steps",
    "weight_decay", "max_grad_norm", "lr_scheduler_type", "batch_sampler",
    "eval_strategy", "save_strategy", "save_steps",
    "load_best_model_at_end", "metric_for_best_model", "bf16",
):
    value = getattr(default, name)
    print(f"{name:28} {getattr(value, 'value', value)}")
try:
    settings(load_best_model_at_end=True)
except ValueError as error:
    print("\nalone, load_best_model_at_end:", str(error).split(", but")[0])
assert (
    default.per_device_train_batch_size, default.learning_rate, default.warmup_steps, default.weight_decay
) == (8, 5e-5, 0, 0)
assert default.eval_strategy == "no" and default.batch_sampler == BatchSamplers.BATCH_SAMPLER
assert [settings(warmup_steps=w).get_warmup_steps(30) for w in (0.1, 100)] == [3, 100]

# %% [markdown]
# Alone, it is an error. To keep the best checkpoint, give four things: an evaluator, `eval_strategy`, the same `save_strategy`, and `metric_for_best_model`. With `"steps"`, set `eval_steps` and `save_steps`. The default batch of 8 gives the ranking loss seven wrong answers for each pair.
#
# ## Which learning rate, which batch size?
#
# **Question.** Does the best learning rate depend on the batch size?
#
# The recorded runs take four rates with batches of 8 (57 steps) and of 64 (8 steps), with three seeds each, and see all pairs once. Two rates were also run with batches of 64 for 8 epochs (64 steps). A band spans the seeds.
#
# **Predict** which batch size ends lower at the largest rate after one epoch.

# %% alt="Two panels, dev and test, of nDCG over four learning rates, with lines through the means of three seeds and bands from the lowest to the highest. On dev, batches of 8 in 57 steps (solid) and batches of 64 in 8 steps (dashed) rise from about 72 to 80 and 81 at the third rate and fall at the largest, to 68 and 79. On test they begin at 84 and 83 and fall to 68 and 78. Batches of 64 in 64 steps (dotted), at the two larger rates, end lower than in 8 steps. At the largest rate all bands on test lie below the dotted line of the encoder before training. Counted letters, a dash-dotted line, lie at 79 on dev and 82 on test."
# runs: (batch size, epochs)
rates, runs = (5e-5, 2e-4, 5e-4, 2e-3), {(8, 1): "57 steps", (64, 1): "8 steps", (64, 8): "64 steps in 8 epochs"}
grid = {(size, rate, rounds): town("course/sbert-mini-ranking", size, rate, rounds)
        for size, rounds in runs for rate in (rates if rounds == 1 else rates[2:])}
figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), sharey=True, layout="constrained")
for ax, part_of in zip(axes, ours):
    for (size, rounds), steps in runs.items():
        tried = [rate for rate in rates if (size, rate, rounds) in grid]
        curve(tried, np.transpose([grid[size, rate, rounds][part_of] for rate in tried]),
              f"batches of {size}, {steps}", ax=ax)
    for name, score, line in (("counted letters", words[part_of], "-."), ("before training", before[part_of], ":")):
        ax.axhline(score, color="gray", linestyle=line, label=name)
    ax.set(xscale="log", xlabel="learning rate", title=f"nDCG on {part_of}",
           xticks=rates, xticklabels=["5e-5", "2e-4", "5e-4", "2e-3"])
    ax.minorticks_off()
    ax.get_legend().remove()                                                # one for both panels:
figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside lower center")
figure.suptitle("After one epoch at 2e-3, batches of 64 end above batches of 8")
plt.show()
for (size, rate, rounds), scores in grid.items():
    print(f"batches of {size:2}, rate {rate:<6g} {rounds} epoch{'s' * (rounds > 1):1}: "
          f"dev {spread(scores['dev'])}, test {spread(scores['test'])}")
chosen = max(grid, key=lambda setting: np.mean(grid[setting]["dev"]))
tuned = by_group(on_town_pairs(model, *chosen, seed))                       # of test, (40,)
print(f"chosen on dev: batches of {chosen[0]}, rate {chosen[1]:g}. "
      f"Trained here, test {tuned.mean():.1f}; above counted letters {on_other_groups(tuned, counted)}")
assert (chosen == (64, 5e-4, 1) and all(min(grid[chosen][part]) > words[part] for part in ours)
        and np.argmax([np.mean(grid[8, rate, 1]["dev"]) for rate in rates]) == 2)
assert not as_given or (abs(tuned.mean() - np.mean(grid[chosen]["test"])) < 1.5
                        and paired_bootstrap(tuned, counted)[1] < 0 < paired_bootstrap(tuned, counted)[2])
assert apart((8, 2e-3, 1), (64, 2e-3, 1)) and not apart((8, 2e-4, 1), (8, 5e-4, 1), ["dev"])
assert not any(apart(*two, [part])                                          # at similar steps
               for rate in rates[2:] for two in permutations([(8, rate, 1), (64, rate, 8)]) for part in ours)
assert not as_given or (all(max(grid[how]["test"]) < before["test"] for how in grid if how[1] == 2e-3)
                        and min(grid[64, 2e-3, 1]["dev"]) > before["dev"] + 5)

# %% [markdown]
# After one epoch, 5e-4 has the highest mean on dev among these four rates, for both batch sizes. For batches of 8 its seeds overlap with those of 2e-4, which has the higher mean on test. Whether the best rate depends on the batch size stays open.
#
# At 2e-3 every run ends below the start on test. After one epoch at this rate, every run with batches of 8 is below every run with batches of 64, on both sets. Where batches of 64 make 64 steps, the seeds of the two sizes overlap. So the difference after one epoch may come from the number of steps as well as from the batch size.
#
# Dev chooses batches of 64 at 5e-4. All its recorded seeds are above counted letters. Yet the interval of the run made here still includes 0.
#
# ## A trap: a warm-up longer than the run
#
# **Question.** You run the example of the training overview of 2022: two pairs, one epoch, `warmup_steps=100`. What has the encoder learnt?
#
# *Warm-up* means that the learning rate climbs in a line over the first steps. With 100 such steps, transformers multiplies it at step $s$ by $s / 100$. Two pairs make a single step, step 0.
#
# **Predict** the largest change of a weight, and the same without warm-up.

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
    u, v = (                                                                # (2, dim) each
        encoder(["My first sentence", "Another pair"]),
        encoder(["My second sentence", "Unrelated sentence"]),
    )
    CosineSimilarityLoss()(u, v, torch.tensor([0.8, 0.3])).backward()
    optimizer.step()
    return max((a - b).abs().max().item() for a, b in zip(weights, encoder.parameters()))

moved = [largest_change(factor_of(0, warmup_steps, 1)) for warmup_steps in (100, 0)]
for name, change in zip(("100 warm-up steps", "no warm-up"), moved):
    print(f"{name:24} largest change {change:.1e}")
assert moved[0] == 0 and 1.9e-5 < moved[1] < 2.2e-5
# a share of a single step: all of it
assert settings(warmup_steps=0.1).get_warmup_steps(1) == 1 and factor_of(0, 1, 1) == 0

# %% [markdown]
# With 100 warm-up steps no weight changes, because AdamW multiplies every change by the learning rate, that of weight decay included.
#
# The factors of a schedule, added up, say how many steps at the full rate the run is worth. **Predict** that sum for 60 steps with a warm-up of 100.

# %% alt="Line chart of the learning rate, as a share of its maximum, over 60 steps. With a tenth of warm-up it rises quickly to one and falls in a line to zero. With 100 warm-up steps it only climbs, and ends at about six tenths. With 10,000 warm-up steps it lies on the floor."
total, tenth = 60, 6
schedules = {
    "a tenth": [factor_of(s, tenth, total) for s in range(total)],
    "100 steps": [factor_of(s, 100, total) for s in range(total)],
    "10,000 steps": [factor_of(s, 10_000, total) for s in range(total)],
}
by_hand = [s / tenth if s < tenth else (total - s) / (total - tenth) for s in range(total)]
assert schedules["a tenth"] == by_hand
# course_lib's first step learns
assert all(
    learning_rate_factor(s, tenth, total) == factor_of(s + (s < tenth), tenth, total)
    for s in range(total)
)
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for i, (name, factors) in enumerate(schedules.items()):
    ax.plot(factors, color=PALETTE[i], linestyle=LINES[i], label=f"warm-up of {name}")
    print(f"warm-up of {name:13} worth {sum(factors):4.1f} of {total} steps")
ax.set(xlabel="step", ylabel="share of the learning rate", title="A warm-up longer than the run never arrives")
ax.legend(fontsize=8)
plt.show()
assert 17 < sum(schedules["100 steps"]) < 18 and sum(schedules["10,000 steps"]) < 1

# %% [markdown]
# With the old `fit`'s default of 10,000 they are worth less than one step.
#
# ## How many pairs does an evaluator need?
#
# **Question.** The overview's evaluator has three pairs, with the scores 0.3, 0.6 and 0.2. Can Spearman's correlation of three pairs be 0.7?

# %% tags=["row-4.14", "row-4.15", "nbval-check-output"]
from course_lib.data import ScoredPair, load_sts
from course_lib.evaluation import EmbeddingSimilarityEvaluator, spearman
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator as Theirs

three = [
    ScoredPair("This list contains the first column", "Sentences contains the other column", 0.3),
    ScoredPair("With your sentences", "The evaluator matches sentences1[i] with sentences2[i]", 0.6),
    ScoredPair("You want your model to evaluate on", "Compute the cosine similarity and compares it to scores[i]", 0.2),
]
bert = SentenceTransformer(str(resolve("course/bert-mini")), device="cpu")
ours_3 = EmbeddingSimilarityEvaluator(three)(bert)["spearman_cosine"]
theirs_3 = Theirs(*zip(*((p.sentence1, p.sentence2, p.score) for p in three)), write_csv=False)(bert)["spearman_cosine"]
possible = sorted({round(spearman([p.score for p in three], order), 3) for order in permutations((1, 2, 3))})
print(f"ours {ours_3:.3f}, theirs {theirs_3:.3f}; all that three pairs can give: {possible}")
graded = load_sts("course/sts")
u, v = (                                                                    # (328, dim) each
    bert.encode([getattr(pair, side) for pair in graded], show_progress_bar=False)
    for side in ("sentence1", "sentence2")
)
close, drawn = bert.similarity_pairwise(u, v).tolist(), random.Random(0)
for size in (20, 160):
    found = [
        spearman([graded[i].score for i in some], [close[i] for i in some])
        for some in (drawn.sample(range(len(graded)), size) for _ in range(20))
    ]
    print(f"twenty draws of {size:3} of the course's {len(graded)} pairs: {min(found):.2f} to {max(found):.2f}")
assert abs(ours_3 - theirs_3) < 1e-4 and possible == [-1.0, -0.5, 0.5, 1.0]

# %% [markdown]
# Three pairs can give only four values, and 0.7 is none of them. With 20 pairs the score depends much on which are drawn. With 160 it still moves by a tenth.
#
# ## Two stages: first NLI, then STS
#
# This section and the next three read recorded trainings on public data sets. These have batches of 32, a tenth of warm-up, a rate of 2e-4 where none is named, and three seeds each; ranges in brackets are over seeds.
#
# **Question.** Does training on NLI first help an encoder that is then trained on scored pairs?
#
# STSb and SICK are pairs of sentences whose similarity people scored; the measure is Spearman's correlation x 100. Each encoder reads STSb's training pairs (without those that share a sentence with the sets measured) four times, with a loss that pulls the cosine to the score. None is trained on SICK. The start is `bert-mini`, which is pre-trained only, or one of two that then learnt NLI: `sbert-mini-nli` from 28,000 examples of SNLI by the softmax loss of 2019, or `sbert-mini-ranking` from as many of SNLI and MultiNLI by the ranking loss.
#
# **Predict** the order of the three on STSb.

# %% tags=["row-4.15"]
stsb_dev, stages = "stsbenchmark/dev", ["STSb alone", "NLI by softmax, then STSb", "NLI by ranking, then STSb"]
rows = []
for name in stages:
    (dev_before,), (sick_before,) = (values("stages", f"{name}: before", where) for where in (stsb_dev, "sick/trial"))
    dev_after, sick_after = (spread(values("stages", name, where)) for where in (stsb_dev, "sick/trial"))
    rows.append({
        "": name, "STSb dev before": dev_before, "after": dev_after,
        "SICK before": sick_before, "SICK after": sick_after,
    })
show(rows)
print("the paper, BERT-base, STSb test (Table 2): STSb alone 84.67, NLI first 85.35")
alone, softmax, by_ranking = (values("stages", name, stsb_dev) for name in stages)
assert min(softmax) > max(alone) + 0.5 and min(by_ranking) > max(alone) + 3.5
assert max(values("stages", stages[1], "sick/trial")) < min(values("stages", stages[0], "sick/trial"))
assert values("stages", "NLI by ranking, then STSb: before", stsb_dev)[0] > max(alone + softmax)

# %% [markdown]
# On STSb dev every run with NLI first ends above every run without, and the paper's Table 2 has the same order. (The two NLI trainings differ in data and learning rate, too, not only in the loss.) On SICK every run with softmax first ends below every run without NLI, and ranking first overlaps.
#
# ## Several tasks at once
#
# **Question.** Can one encoder learn a second task and keep the first?
#
# In *multi-task learning*, several sets of examples, each with its own loss, train one encoder. Give the trainer dictionaries, `train_dataset={"sts": ..., "nli": ...}` and `loss={"sts": ..., "nli": ...}`. Each batch comes from one set, by default as often as its size says (*proportional sampling*). *Round-robin sampling* takes a batch of each in turn, and ends with the smallest set. The cell first shows both for 30 rows of A and 70 of B.
#
# In the recorded runs `sbert-mini-nli`, with its NLI head, learns STSb's training pairs once: alone, with as many pairs of NLI (in turns), or with twice as many (in proportion). **Predict** what STSb alone does to its accuracy on SNLI.

# %% tags=["row-4.11", "row-4.18", "nbval-check-output"]
from course_lib.support.batches import Order

bert.model_card_data.widget = encoder.model_card_data.widget
sets = {"A": train_dataset.select(range(30)), "B": train_dataset.select(range(30, 100))}
for sampling in ("round-robin", "proportional"):
    one = settings(per_device_train_batch_size=10,
                   multi_dataset_batch_sampler=sampling.replace("round-robin", "round_robin"), disable_tqdm=True)
    loss = losses.MultipleNegativesRankingLoss(bert)
    order = SentenceTransformerTrainer(bert, one, sets, loss=dict.fromkeys(sets, loss)).get_train_dataloader()
    letters = "".join(batch["dataset_name"] for batch in order)
    turns, _ = Order((30, 70), 10, seed, sampling, lengths=(None, None), texts=(None, None)).epoch(0)
    assert sorted(letters) == sorted("AB"[task] for task, _ in turns)       # the same counts in course_lib
    print(f"{sampling:13} {letters.count('A')} batches of A, {letters.count('B')} of B",
          "in turn" if letters == "AB" * 3 else "mixed")

together = ["before", "STSb", "STSb and NLI, round-robin", "STSb and NLI, proportional"]
joint = {name: {data: values("together", name, data) for data in (stsb_dev, "sick/trial", "snli/dev")}
         for name in together}
n = int(recorded[(recorded.experiment == "together") & (recorded.setting == "STSb")].n.iloc[0])         # pairs of STSb
steps = [0, *(
    Order(sizes, 32, seed, how, [None] * 2, [None] * 2).steps_per_epoch
    for sizes, how in (((n,), "proportional"), ((n, 2 * n), "round-robin"), ((n, 2 * n), "proportional"))
)]
table = [{"": name, "steps": count, "STSb dev": spread(of[stsb_dev]), "SICK": spread(of["sick/trial"]),
          "SNLI accuracy": spread(of["snli/dev"])}
         for (name, of), count in zip(joint.items(), steps)]
# the same start, of the table before
longer = {where: values("stages", stages[1], where) for where in (stsb_dev, "sick/trial")}
show(table + [{"": "STSb, read four times", "steps": 4 * steps[1], "STSb dev": spread(longer[stsb_dev]),
               "SICK": spread(longer["sick/trial"]), "SNLI accuracy": "not recorded"}])
nli, own = ({name: of[data] for name, of in joint.items()} for data in ("snli/dev", stsb_dev))
assert max(nli["STSb"]) < 36 and all(
    min(nli[name]) > nli["before"][0] - 4 and abs(np.mean(own[name]) - np.mean(own["STSb"])) < 1
    for name in together[2:])
assert min(longer[stsb_dev]) > max(max(own[name]) for name in together[1:]) and steps == [0, 164, 328, 491]

# %% [markdown]
# After STSb alone the accuracy on SNLI is close to guessing among three labels. The head was not refitted to the changed encoder, so the encoder may still hold what it knew. With batches of NLI in between, most of that accuracy stays.
#
# On STSb the means of the three trainings lie within one point. This compares equal data of STSb, not equal steps: the joint runs are two and three times as long. The last row spends more steps on STSb alone, and all its seeds are higher there.
#
# ## In the domain, and out of it
#
# **Question.** What does training on your own kind of text give, and what does it cost elsewhere?
#
# STSb's pairs come from captions, news and forums. `sbert-mini-ranking` learns the scores of 1,300 pairs of captions, or of 1,300 of news. Each point is a seed, with its own draw of pairs; its line shows where the gain would lie for other pairs or texts.
#
# **Predict:** after training on news, what happens on news, and what on captions?

# %% tags=["row-2.19", "row-4.1", "row-BP2"] alt="Three panels of points gained on seven measures, by kind of measure, for an encoder trained on captions (circles) and one trained on news (squares): three seeds each, with a horizontal line for the interval, and a vertical line at zero. Trained on news it gains three to four points on news, with lines from about 0 to 7, and loses about three on captions, with all lines left of zero. Trained on captions it gains a point or none on captions and loses two to three on forums; on SICK its lines all lie left of zero. On Quora, TREC and AG News nearly all lines cross zero."
kinds = {
    "Spearman x 100": {
        "STSb captions": (f"{stsb_dev}: captions", 625), "STSb news": (f"{stsb_dev}: news", 500),
        "STSb forums": (f"{stsb_dev}: forums", 375), "SICK": ("sick/trial", 500),
    },
    "average precision x 100": {"Quora duplicates": ("quora/dev", 600)},
    "accuracy in %": {"TREC questions": ("trec_questions/train", 300), "AG News topics": ("ag_news/train", 300)},
}
bounds = recorded[recorded.metric.str.contains("gain")].sort_values(["seed", "metric"])
gain, clear, rows = {}, {}, []
figure, axes = plt.subplots(3, 1, figsize=(8, 6.5), layout="constrained", height_ratios=[4, 1.4, 2.2])
for ax, (kind, measures) in zip(axes, kinds.items()):
    for place, (name, (where, n)) in enumerate(measures.items()):
        row = {"": name, "n": n, "before": values("domains", "before", where)[0]}
        for i, genre in enumerate(("captions", "news")):
            gain[genre, name] = [value - row["before"] for value in values("domains", genre, where)]  # of each seed
            # own: (seeds, 2.5 and 97.5 %)
            own = 100 * bounds.value[(bounds.setting == genre) & (bounds.data == where)].to_numpy().reshape(3, 2)
            clear[genre, name] = sum(low > 0 or high < 0 for low, high in own)
            row |= {f"{genre}: gain": spread(gain[genre, name]), f"{genre}, clear of 0": f"{clear[genre, name]} of 3"}
            heights = place + (-0.36, 0.06)[i] + np.array([0, 0.12, 0.24])
            ax.hlines(heights, *own.T, color=PALETTE[i], alpha=0.5)
            ax.plot(gain[genre, name], heights, MARKERS[i], color=PALETTE[i], markersize=5,
                    label=None if place else f"trained on {genre}")
        rows.append(row)
    ax.axvline(0, color="gray", linewidth=1)
    ax.set(yticks=range(len(measures)), yticklabels=list(measures),
           xlabel=f"gain in {kind}", xlim=(-8, 8), ylim=(len(measures) - 0.5, -0.5))
axes[0].set_title("Clear in all seeds: news costs on captions, captions cost on SICK")
axes[0].legend(fontsize=8, title="line: 95 % interval", title_fontsize=8)
plt.show(), show(rows)
assert ({key for key, seeds in clear.items() if seeds == 3} == {("news", "STSb captions"), ("captions", "SICK")}
        and (clear["news", "STSb news"], clear["captions", "STSb captions"]) == (2, 0))
assert (3 < min(gain["news", "STSb news"]) < max(gain["news", "STSb news"]) < 4
        and max(gain["news", "STSb captions"]) < -2.5 and max(gain["captions", "SICK"]) < 0)

# %% [markdown]
# Training on news gains three to four points on news, where the lines of two seeds in three are clear of 0. It loses about three on captions, where all three lines are. Training on captions shows no gain there, and a clear loss on SICK in all three seeds, though its sentences come from captions. So measure every kind of text that you still need.
#
# ## Which network to start from?
#
# **Question.** How far does the same training bring different networks?
#
# In the recorded runs each network sees 4,096 NLI triplets once with the ranking loss, and is measured on five tasks. Three share one architecture. One has random weights, one has learnt to guess masked words in 0.4 million tokens of captions and NLI, and `bert-mini` in 150 million of Wikipedia. The fourth averages word vectors (rate 5e-3). The fifth, all-MiniLM-L6-v2 (5e-5), is larger and already trained on a billion pairs, NLI and Quora's duplicates among them.
#
# **Predict** which one gains most.

# %% tags=["row-2.16", "row-4.22", "row-4.23", "row-4.21"] alt="Chart of five networks by the mean of five tasks, before (open circles) and after training on NLI triplets (squares, three seeds), in the order of the circles. The network with little pre-training rises from 37 to between 52 and 53, word vectors from 51 to 52, random weights from 51 to 57, bert-mini from 65 to between 67 and 68, all-MiniLM-L6-v2 from 79 to 80."
tasks = {"STSb dev": stsb_dev, "SICK": "sick/trial", "Quora": "quora/dev",
         "TREC": "trec_questions/train", "AG News": "ag_news/train"}
of_backbones = recorded[(recorded.experiment == "backbones") & recorded.data.isin(tasks.values())]
raw, own = {}, {}                       # each task before training; the mean after it, of each seed
for name, measured in of_backbones.groupby("model"):
    raw[name] = measured[measured.setting == "before"].set_index("data").value
    own[name] = measured[measured.setting != "before"].groupby("seed").value.mean().tolist()
raw = dict(sorted(raw.items(), key=lambda item: item[1].mean()))
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for i, name in enumerate(raw):
    ax.plot(raw[name].mean(), i, "o", markerfacecolor="none", color="black", label="before" if i == 0 else None)
    ax.plot(own[name], [i] * 3, MARKERS[1], color=PALETTE[1], alpha=0.7, label="after, three seeds" if i == 0 else None)
ax.set(yticks=range(len(raw)),
       yticklabels=[name.split("/")[-1].replace(", ", ",\n").replace("glove", "averaged word vectors,\nglove")
                    for name in raw],
       xlabel="mean of five tasks x 100", title="all-MiniLM-L6-v2 starts higher than the others end")
ax.invert_yaxis()
ax.legend(fontsize=8)
plt.show()
perplexity = recorded.query("metric == 'pseudo_perplexity'").set_index("model").value
of_tasks = {name: {task: raw[name][where] for task, where in tasks.items()}
            | {"mean": raw[name].mean(), "after": spread(own[name])} for name in raw}
show([{"": name.removesuffix(" of pre-training")} | row | {"perplexity": perplexity.get(name)}
      for name, row in of_tasks.items()])
little, random_weights = "random weights, 0.4 million tokens of pre-training", "random weights"
assert perplexity["course/bert-mini"] < perplexity[little] < perplexity[random_weights]
assert [task for task, where in tasks.items()
        if raw[random_weights][where] > raw["course/glove-mini"][where]] == ["STSb dev", "SICK", "Quora"]
assert (raw[little].mean() < raw[random_weights].mean() < raw["course/glove-mini"].mean() + 0.5
        and max(own[little]) < min(own[random_weights]))
assert 10 < np.mean(own["course/bert-mini"]) - np.mean(own[random_weights]) < 12
assert all(max(own[name]) + 10 < raw["sentence-transformers/all-MiniLM-L6-v2"].mean()
           for name in raw if "MiniLM" not in name)
# the lowest gains most
assert next(iter(raw)) == max(raw, key=lambda name: np.mean(own[name]) - raw[name].mean()) == little

# %% [markdown]
# The network with the lowest start gains most. `bert-mini` ends about eleven points above its own architecture from random weights, and all-MiniLM-L6-v2 begins above where the others end.
#
# Before training, random weights have about the mean of averaged word vectors. They know no word, but equal words begin as equal word vectors, so texts that share words can come out close. So a mean of 51 proves no knowledge. It also hides that random weights lead on the three tasks that compare two texts, and word vectors on the two that sort texts by kind.
#
# The network of 0.4 million tokens guesses words better than random weights (last column, notebook 04's pseudo-perplexity), and is the worse encoder by this mean.
#
# ## In practice
#
# To stop early, give the trainer transformers' `callbacks=[EarlyStoppingCallback(early_stopping_patience=3)]`. When memory is short, use `bf16=True` on a GPU that has it, LoRA (notebook 10), or `gradient_checkpointing=True` (newer: `activation_checkpointing`), which keeps less of the forward pass and computes it again. If you will encode with prompts, train with them: `prompts={"anchor": "query: ", ...}`. The trainer does not store them, so set the model's `prompts` before saving.

# %%
import warnings
from course_lib.support.kept_bytes import KeptBytes

warnings.filterwarnings("ignore", "`gradient_checkpointing", FutureWarning)       # now activation_checkpointing
pupil = SentenceTransformer(str(resolve(model)), device="cpu")
pupil.model_card_data.widget = encoder.model_card_data.widget
prompted = settings(
    per_device_train_batch_size=32, prompts={"anchor": "query: ", "positive": "document: "}, disable_tqdm=True,
)
prompting = SentenceTransformerTrainer(pupil, prompted, train_dataset, loss=losses.MultipleNegativesRankingLoss(pupil))
features, labels = prompting.collect_features(next(iter(prompting.get_train_dataloader())))
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
        prompting.loss(features, labels).backward()
    counter.remove()
    kept[saving], gradient[saving] = (
        bytes_kept.most / 1e6,
        torch.cat([p.grad.flatten() for p in pupil.parameters() if p.grad is not None]),
    )
print("a query as it is read:", read)
print(f"kept for the backward pass: {kept[False]:.0f} MB, with gradient checkpointing {kept[True]:.0f} MB; "
      f"a layer runs {len(ran[False])} times, then {len(ran[True])} times")
assert (
    torch.allclose(gradient[False], gradient[True], atol=1e-5)
    and kept[True] < kept[False] / 3
    and len(ran[True]) == 2 * len(ran[False])
)

# %% [markdown]
# The gradient is the same, and each layer runs twice as often. The numbers count only what is kept for the backward pass, not the peak of memory.
#
# ## Appendix: the old `fit`
#
# **Question.** What do you do with a script from before 2024?
#
# `fit` still runs, and hands all to the trainer. Below is the overview's minimal example, with its 100 warm-up steps. **Predict** what it saves.

# %% tags=["row-4.10", "row-4.13", "nbval-check-output"]
import contextlib
from sentence_transformers import InputExample
from torch.utils.data import DataLoader

examples = [
    InputExample(texts=["My first sentence", "My second sentence"], label=0.8),
    InputExample(texts=["Another pair", "Unrelated sentence"], label=0.3),
]
old = SentenceTransformer(str(resolve("course/bert-mini")), device="cpu")
old.model_card_data.widget = ["no examples for a model card"]
weights = {name: p.detach().clone() for name, p in old.named_parameters()}
with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.chdir(folder),
    warnings.catch_warnings(),
    open(os.devnull, "w", encoding="utf-8") as nowhere,
    contextlib.redirect_stdout(nowhere),
):
    warnings.simplefilter("ignore")                                         # old names
    train_dataloader = DataLoader(examples, shuffle=True, batch_size=16)
    train_loss = losses.CosineSimilarityLoss(old)
    old.fit(train_objectives=[(train_dataloader, train_loss)], epochs=1, warmup_steps=100, show_progress_bar=False)
    saved = list(Path(folder).rglob("*.safetensors"))
change = max((weights[name] - p).abs().max().item() for name, p in old.named_parameters())
assert change == 0.0 and saved == []
print(f"largest change of {len(weights)} weight tensors: {change}; models saved: {len(saved)}")

# %% [markdown]
# It saves nothing. `fit` saves a model only if it is given `output_path`: the best model with an evaluator, the last without. Below are its options and today's names. (`max_steps` counts the whole run, not an epoch.) Today's `output_dir` gets checkpoints only, so call `save_pretrained` at the end.

# %% tags=["row-4.12", "row-4.11"]
import inspect

from course_lib.training import train

OPTIONS = (
    "train_objectives train_dataset examples; epochs num_train_epochs epochs; "
    "steps_per_epoch max_steps -; scheduler lr_scheduler_type -\n"
    "warmup_steps warmup_steps warmup; optimizer_class optim -; "
    "optimizer_params learning_rate learning_rate; weight_decay weight_decay weight_decay\n"
    "max_grad_norm max_grad_norm -; use_amp fp16 autocast; "
    "evaluator evaluator evaluators; evaluation_steps eval_steps evaluate_every\n"
    "save_best_model load_best_model_at_end best; output_path output_dir best; "
    "callback callbacks log; show_progress_bar disable_tqdm show_progress_bar\n"
    "checkpoint_path output_dir checkpoint; checkpoint_save_steps save_steps checkpoint_every; "
    "checkpoint_save_total_limit save_total_limit -\n"
    "resume_from_checkpoint resume_from_checkpoint checkpoint"
)

def defaults(*functions):
    return {name: p.default for function in functions for name, p in inspect.signature(function).parameters.items()}

known = [defaults(SentenceTransformer.fit),
         defaults(SentenceTransformerTrainer.train, SentenceTransformerTrainingArguments, SentenceTransformerTrainer),
         defaults(train)]
def shown(name, where):
    assert name in where or name == "-", f"{name} is no option of the installed library"
    return f"{name} = {where[name]}" if type(where.get(name)) in (int, float, str, dict) else name

options = [option.split() for option in OPTIONS.replace("\n", ";").split(";")]
print(pd.DataFrame([map(shown, row, known) for row in options], columns=["fit, today", "trainer", "course_lib"])
      .to_string(index=False))
assert {row[0] for row in options} == set(known[0]) - {"self"}
assert (known[0]["optimizer_params"] == {"lr": 2e-5}
        and known[0]["weight_decay"] == 0.01 and known[1]["weight_decay"] == 0.0)

# %% [markdown]
# ## With full-size models
#
# Set `model = "sentence-transformers/all-MiniLM-L6-v2"` and `learning_rate = 2e-5`. The recorded rows stay those of `sbert-mini-ranking`; the training after the grid and exercise 1 keep their own rates.
#
# ## Exercises
#
# **1.** Choose on dev, report test, and say what is shown. Once your function is right, it judges four trainings made here, against counted letters.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def report(runs, groups, start):
    """runs: {recipe: {"dev": (seeds,), "test": (seeds, queries)}}, arrays of nDCG x 100;
    groups: (queries,), the group of each query of test, of any size;
    start: (queries,), what is to be beaten on test.
    -> (recipe, gain, low, high, shown): the recipe that is best on dev by the mean of its seeds;
    the gain of its seeds' mean over `start` on test, where each group counts as one,
    and between which values other groups would put it (`paired_bootstrap` as it is; groups in ascending order);
    and whether that interval and each seed lie above 0."""
    ...

if check("11.1", report):
    of_queries = lambda encoder: 100 * each_query(ours["test"].rankings(encoder), ours["test"].relevant)        # (80,)
    trained = {rate: [on_town_pairs(model, 64, rate, 1, s) for s in (seed, seed + 1)] for rate in (2e-4, 5e-4)}
    runs = {
        rate: {"dev": np.array([ndcg(one, "dev") for one in two]), "test": np.array([of_queries(one) for one in two])}
        for rate, two in trained.items()
    }
    print("rate {}: {:+.1f} ({:+.1f} to {:+.1f}), shown: {}".format(
        *report(runs, np.repeat(range(40), 2), of_queries(CountedLetters()))
    ))

# %% [markdown]
# **2.** Translate: a script of 2022 becomes a trainer. Keep its numbers of steps as they are. `check` reads off your trainer what it would do, and trains nothing.

# %% tags=["exercise", "nbval-check-output"]
from recipes.shared.trainer_settings import described

OLD = """
asks = DataLoader([InputExample(texts=[a, b]) for a, b in questions], shuffle=True, batch_size=16)
scores = DataLoader([InputExample(texts=[a, b], label=score) for a, b, score in graded], shuffle=True, batch_size=16)
model.fit([(asks, losses.MultipleNegativesRankingLoss(model)), (scores, losses.CosineSimilarityLoss(model))],
          warmup_steps=4, evaluator=evaluator, evaluation_steps=5, output_path=folder, save_best_model=True)
"""

def translated(model, questions, graded, evaluator, metric, folder):
    """-> a SentenceTransformerTrainer that does what today's `fit` does with OLD,
    where OLD is silent by fit's defaults; not started yet.
    questions: a list of (text, text), graded: of (text, text, score). In fit the two sets take turns.
    metric: the evaluator's score that is to be highest.
    folder: for checkpoints; saving the end result is not the trainer's work."""
    ...

check("11.2", described(translated))

# %% [markdown]
# ## Questions
#
# **1.** A colleague fine-tunes on 500 pairs in batches of 32 for one epoch, with `warmup_steps=100`, and finds that "fine-tuning does not help". What do you compute first?
#
# <details><summary>Answer</summary>The steps: 16. The rate climbs to 15 per cent, and the run is worth 1.2 steps.</details>
#
# **2.** You have 10,000 questions in 500 topics, and you split the pairs at random. What does the best checkpoint then maximise?
#
# <details><summary>Answer</summary>A score that rewards memory: nearly every text of dev is in a training pair, too.</details>
#
# **3.** Two recipes differ by 0.5 points, one run each. What do you need before you say which is better?
#
# <details><summary>Answer</summary>The spread over seeds, and the interval over queries, drawn by group where they share documents.</details>
#
# ## Summary
#
# - A training needs pairs split by group, an evaluator that does what the application does, batches in which no group stands twice, the checkpoint that is best on dev, and one report on test.
# - Your run was above its start. A gain over counted letters was not shown, which is not the same as none.
# - Try several learning rates, and write the warm-up as a share of the steps.
# - NLI first ended higher on STSb in every run. Training on news cost points on captions.
#
# ## References
#
# - sentence-transformers, [training overview](https://sbert.net/docs/sentence_transformer/training_overview.html): the trainer.
# - Reimers and Gurevych (2019), [Sentence-BERT](https://arxiv.org/abs/1908.10084): Table 2, the two stages.
#
# **Next:** notebook 12 makes small students of large teachers, and looks for hard negatives.
