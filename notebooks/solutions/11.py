"""Solutions of notebook 11. Try the exercises first: check() tells you what kind of mistake you made."""

import tempfile

import numpy as np
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from course_lib.exercises import Exercise
from course_lib.retrieval.metrics import paired_bootstrap
from recipes.shared.trainer_settings import described

# ---- 11.1


def report(runs, groups, start):
    recipe = max(runs, key=lambda name: runs[name]["dev"].mean())
    gains = runs[recipe]["test"] - start  # (seeds, queries)
    gains = np.stack([gains[:, groups == g].mean(axis=1) for g in np.unique(groups)], axis=1)  # (seeds, groups)
    own = gains.mean(axis=0)  # (groups,)
    gain, low, high = paired_bootstrap(own, np.zeros_like(own))
    return recipe, gain, low, high, bool(low > 0 and all(gains.mean(axis=1) > 0))


def reported(choose=lambda run: run["dev"].mean(), pick=lambda gains: gains.mean(axis=0), grouped=True, shown=None):
    """What `report` turns into where one of its parts is wrong."""

    def wrong(runs, groups, start):
        recipe = max(runs, key=lambda name: choose(runs[name]))
        gains = runs[recipe]["test"] - start  # (seeds, queries)
        if grouped:
            gains = np.stack([gains[:, groups == g].mean(axis=1) for g in np.unique(groups)], axis=1)
        own = pick(gains)
        gain, low, high = paired_bootstrap(own, np.zeros_like(own))
        verdict = shown(gains.mean(axis=1), low, high) if shown else low > 0 and all(gains.mean(axis=1) > 0)
        return recipe, gain, low, high, bool(verdict)

    return wrong


def other_way_round(runs, groups, start):
    return report({name: run | {"test": 2 * start - run["test"]} for name, run in runs.items()}, groups, start)


def drawn_scores(gain, dev, of_seeds, of_groups, seed):
    """Three recipes, "a", "b" and "c", with three seeds each, on 12 groups of one to four queries. gain: of each recipe
    on test; dev: (seeds,) of each; of_seeds: what each seed adds on test; of_groups: by how much groups differ."""
    draw = np.random.default_rng(seed)
    groups = np.repeat(np.arange(12), [1, 2, 3, 4] * 3)  # (queries,)
    start, runs = draw.uniform(50, 80, len(groups)), {}
    for recipe, own, on_dev in zip("abc", gain, dev):
        of_group = draw.normal(0, of_groups, 12)
        of_group -= of_group.mean()
        noise = draw.normal(0, 1, (3, len(groups)))
        test = start + own + np.reshape(of_seeds, (3, 1)) + of_group[groups] + noise  # (seeds, queries)
        runs[recipe] = {"dev": np.array(on_dev), "test": test}
    return runs, groups, start


# ---- 11.2


def trainer(columns=("text1", "text2", "label"), losses_of=None, leave_out=(), given=("asks", "scores"), **options):
    """A translation, and what it turns into where something is left out or wrong."""

    def translation(model, questions, graded, evaluator, metric, folder):
        data = {
            "asks": Dataset.from_dict(dict(zip(("anchor", "positive"), map(list, zip(*questions))))),
            "scores": Dataset.from_dict(dict(zip(columns, map(list, zip(*graded))))),
        }
        loss = {"asks": losses.MultipleNegativesRankingLoss(model), "scores": losses.CosineSimilarityLoss(model)}
        settings = {
            "per_device_train_batch_size": 16,
            "num_train_epochs": 1,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "warmup_steps": 4,
            "multi_dataset_batch_sampler": "round_robin",
            "eval_strategy": "steps",
            "eval_steps": 5,
            "save_strategy": "steps",
            "save_steps": 5,
            "load_best_model_at_end": True,
            "metric_for_best_model": metric,
        } | options
        settings = {name: value for name, value in settings.items() if name not in leave_out}
        arguments = SentenceTransformerTrainingArguments(
            folder, report_to="none", use_cpu=True, disable_tqdm=True, **settings
        )
        data, loss = ({name: of[name] for name in given} for of in (data, loss))
        loss = losses_of(loss) if losses_of else loss
        return SentenceTransformerTrainer(model, arguments, data, loss=loss, evaluator=evaluator)

    return translation


def small_model():
    """A vector for each word, the same on every machine."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(200)}, unk_token="w0"))
    words.pre_tokenizer = Whitespace()
    model = SentenceTransformer(modules=[StaticEmbedding(words, embedding_weights=np.eye(200, 4))], device="cpu")
    model.model_card_data.widget = ["no examples for a model card"]
    return model


WORDS = [f"w{i}" for i in range(200)]
QUESTIONS, GRADED = list(zip(WORDS[:80], WORDS[90:])), [(a, b, i / 80) for i, a, b in zip(range(80), WORDS, WORDS[5:])]
FOLDER = tempfile.TemporaryDirectory()  # a trainer makes its folder at once


EXERCISES = {
    "11.1": Exercise(
        title="Choose on dev, report test",
        cases={
            "a gain in all seeds and most groups": (
                drawn_scores([4, 6, 9], [[70, 71, 69], [74, 73, 75], [72, 70, 71]], [0, 1, -1], 3, seed=0)
            ),
            "one lucky seed on dev": (
                drawn_scores([5, 7, 3], [[70, 70, 82], [75, 76, 77], [71, 71, 72]], [-1, 0, 1], 3, seed=1)
            ),
            "groups that differ a lot": (
                drawn_scores([3, 1, 4], [[78, 79, 77], [70, 71, 69], [72, 73, 74]], [0.5, 0, -0.5], 9, seed=2)
            ),
            "one seed below the start": (
                drawn_scores([2, 3, 4], [[70, 71, 72], [70, 73, 72], [78, 74, 76]], [2, -6, 4], 1, seed=3)
            ),
            "a loss": drawn_scores([-5, 2, 1], [[80, 81, 82], [75, 74, 73], [71, 72, 73]], [0, 0.5, -0.5], 2, seed=4),
        },
        solution=report,
        wrong=[
            (reported(choose=lambda run: run["test"].mean()), "You choose on the set that you report."),
            (
                reported(choose=lambda run: run["dev"].max()),
                "You choose the recipe of the luckiest seed on dev. What speaks for a recipe are all of its seeds.",
            ),
            (
                reported(choose=lambda run: -run["dev"].mean()),
                "You choose the recipe that is worst on dev: a higher nDCG is better.",
            ),
            (reported(pick=lambda gains: gains[0]), "You report one seed of the recipe. Another would say otherwise."),
            (
                reported(pick=lambda gains: gains[gains.mean(axis=1).argmax()]),
                "You report the seed that is best on test: that is choosing on test.",
            ),
            (
                reported(grouped=False),
                "You draw queries. Those of a group seek the same documents, so they are no independent draws.",
            ),
            (
                reported(pick=np.ravel),
                "You draw a group once for each seed. Seeds are no further groups: take their mean first.",
            ),
            (
                reported(shown=lambda seeds, low, high: low > 0),
                "Your verdict asks the interval alone. Is each seed above the start?",
            ),
            (
                reported(shown=lambda seeds, low, high: all(seeds > 0)),
                "Your verdict asks the seeds alone. Where could other groups put the gain?",
            ),
            (
                reported(shown=lambda seeds, low, high: seeds.mean() > 0),
                "Your verdict only asks whether the gain is above 0. How sure is that?",
            ),
            (
                reported(shown=lambda seeds, low, high: low > 0 and all(seeds > 0) or high < 0 and all(seeds < 0)),
                "You call a loss shown a gain: below 0 a clear interval is none.",
            ),
            (other_way_round, "You subtract the other way round: a gain is above 0 where the recipe is better."),
            (lambda *given: report(*given)[1:4], "Name the recipe first, and end with the verdict: five things."),
        ],
    ),
    "11.2": Exercise(
        title="Translate a `fit` of 2022",
        cases={
            f"best by {name}": (
                small_model(),
                QUESTIONS,
                GRADED,
                EmbeddingSimilarityEvaluator(*zip(*GRADED[:9]), name="dev", write_csv=False),
                name,
                FOLDER.name,
            )
            for name in ("dev_spearman_cosine", "dev_pearson_cosine")
        },
        solution=described(trainer()),
        wrong=[
            (described(translation), message)
            for translation, message in (
                (
                    trainer(leave_out=["learning_rate", "weight_decay"]),
                    "Your learning rate and weight decay are today's defaults. The table above has those of `fit`.",
                ),
                (
                    trainer(leave_out=["learning_rate"]),
                    "Your learning rate is today's default. The table above has that of `fit`.",
                ),
                (
                    trainer(leave_out=["weight_decay"]),
                    "Your weights do not decay, which is today's default. In `fit` they did: see the table above.",
                ),
                (
                    trainer(leave_out=["multi_dataset_batch_sampler"]),
                    "Your batches come from both sets in a mixed order, by their sizes. In `fit` the tasks take turns.",
                ),
                (
                    trainer(leave_out=["warmup_steps"]),
                    "Your first step has the full rate: today's default is no warm-up at all.",
                ),
                (
                    trainer(leave_out=["per_device_train_batch_size"]),
                    "Your batches hold 8, today's default. In the old script the DataLoader said how many.",
                ),
                (
                    trainer(leave_out=["num_train_epochs"]),
                    "You train for three epochs, today's default. `fit`'s was 1.",
                ),
                (
                    trainer(losses_of=lambda loss: dict(zip(loss, reversed(loss.values())))),
                    "Your losses are swapped: the ranking loss wants pairs, the cosine loss two texts and a label.",
                ),
                (
                    trainer(losses_of=lambda loss: loss["asks"]),
                    "You train both sets with the ranking loss, which does not read a label. Give a dictionary.",
                ),
                (
                    trainer(given=["asks"]),
                    "You train on the questions alone. Where do the graded pairs come in?",
                ),
                (
                    trainer(given=["scores"]),
                    "You train on the graded pairs alone. Where do the questions come in?",
                ),
                (
                    trainer(columns=("text1", "text2", "similarity")),
                    "Your scores stand in a column that the trainer takes for a third text. Call it label or score.",
                ),
                (
                    trainer(leave_out=["eval_strategy", "load_best_model_at_end"]),
                    "Your trainer has an evaluator and never calls it: when should it?",
                ),
                (
                    trainer(leave_out=["eval_steps", "save_steps"]),
                    "You do not say after how many steps to evaluate: by default 500, more than there are.",
                ),
                (
                    trainer(leave_out=["load_best_model_at_end"]),
                    "Your model ends with the last weights. The old script kept the best.",
                ),
                (
                    trainer(leave_out=["metric_for_best_model"]),
                    "Which checkpoint is the best? Without a metric, that of the lowest loss, which nobody measures.",
                ),
            )
        ],
    ),
}
