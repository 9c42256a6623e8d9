"""Solutions of notebook 08. Try the exercises first: check() tells you what kind of mistake you made."""

import atexit
import functools
import json
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from course_lib.exercises import Exercise
from course_lib.support.folders import resolve

# ---- 08.1

FLAGS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean"}


def by_hand(folder, text):
    return vector_of(folder, text, **settings_of(folder))


def settings_of(folder):
    """What a model's folder says: how to pool, whether to normalise, how many tokens to read, what to put before."""
    parts = {module["type"].split(".")[-1]: module["path"] for module in content(folder, "modules.json")}
    pooling = content(folder, parts["Pooling"], "config.json")
    names = content(folder, "config_sentence_transformers.json")
    return {
        "mode": pooling.get("pooling_mode") or next(mode for flag, mode in FLAGS.items() if pooling.get(flag)),
        "normalised": "Normalize" in parts,
        "limit": content(folder, "sentence_bert_config.json")["max_seq_length"],
        "prompt": names["prompts"].get(names["default_prompt_name"], ""),
    }


def vector_of(folder, text, mode, normalised, limit, prompt):
    tokenizer, network = loaded(folder)
    inputs = tokenizer(prompt + text, truncation=True, max_length=limit, return_tensors="pt")
    with torch.no_grad():
        tokens = network(**inputs).last_hidden_state[0]  # (tokens, dim)
    return pooled(tokens, mode, normalised)


def pooled(tokens, mode, normalised):
    vector = {"cls": tokens[0], "max": tokens.amax(0), "mean": tokens.mean(0)}[mode]  # (dim,)
    return (F.normalize(vector, dim=0) if normalised else vector).numpy()


def content(folder, *names):
    return json.loads(Path(folder, *names).read_text(encoding="utf-8"))


@functools.cache
def loaded(folder):
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)


def always_the_mean(folder, text):
    return vector_of(folder, text, **settings_of(folder) | {"mode": "mean"})


def flags_not_read(folder, text):
    mode = content(folder, "1_Pooling", "config.json").get("pooling_mode", "mean")
    return vector_of(folder, text, **settings_of(folder) | {"mode": mode})


def only_flags_read(folder, text):
    pooling = content(folder, "1_Pooling", "config.json")
    mode = next((mode for flag, mode in FLAGS.items() if pooling.get(flag)), "mean")
    return vector_of(folder, text, **settings_of(folder) | {"mode": mode})


def never_normalised(folder, text):
    return vector_of(folder, text, **settings_of(folder) | {"normalised": False})


def always_normalised(folder, text):
    return vector_of(folder, text, **settings_of(folder) | {"normalised": True})


def without_prompt(folder, text):
    return vector_of(folder, text, **settings_of(folder) | {"prompt": ""})


def the_prompt_of_queries(folder, text):
    prompt = content(folder, "config_sentence_transformers.json")["prompts"]["query"]
    return vector_of(folder, text, **settings_of(folder) | {"prompt": prompt})


def the_prompt_of_queries_where_none_is_the_default(folder, text):
    names = content(folder, "config_sentence_transformers.json")
    prompt = names["prompts"][names["default_prompt_name"] or "query"]
    return vector_of(folder, text, **settings_of(folder) | {"prompt": prompt})


def not_cut(folder, text):
    return vector_of(folder, text, **settings_of(folder) | {"limit": 512})


def special_tokens_on_top(folder, text):
    settings = settings_of(folder)
    return vector_of(folder, text, **settings | {"limit": settings["limit"] + 2})


def words_cut(folder, text):
    settings = settings_of(folder)
    words = (settings["prompt"] + text).split()[: settings["limit"]]
    return vector_of(folder, " ".join(words), **settings | {"limit": 512, "prompt": ""})


def characters_cut(folder, text):
    settings = settings_of(folder)
    return vector_of(folder, text[: settings["limit"]], **settings)


def sep_cut_off(folder, text):
    tokenizer, network = loaded(folder)
    settings = settings_of(folder)
    ids = tokenizer(settings["prompt"] + text)["input_ids"][: settings["limit"]]
    with torch.no_grad():
        tokens = network(torch.tensor([ids])).last_hidden_state[0]
    return pooled(tokens, settings["mode"], settings["normalised"])


def pooled_without_special_tokens(folder, text):
    tokenizer, network = loaded(folder)
    settings = settings_of(folder)
    limits = {"truncation": True, "max_length": settings["limit"]}
    inputs = tokenizer(settings["prompt"] + text, return_tensors="pt", **limits)
    with torch.no_grad():
        tokens = network(**inputs).last_hidden_state[0]
    return pooled(tokens if settings["mode"] == "cls" else tokens[1:-1], settings["mode"], settings["normalised"])


def pooler_output(folder, text):
    tokenizer, network = loaded(folder)
    settings = settings_of(folder)
    if settings["mode"] != "cls":
        return by_hand(folder, text)
    with torch.no_grad():
        vector = network(**tokenizer(settings["prompt"] + text, return_tensors="pt")).pooler_output[0]
    return (F.normalize(vector, dim=0) if settings["normalised"] else vector).numpy()


HOME = Path(tempfile.mkdtemp(prefix="course-08-"))  # the folders that the cases name
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


@functools.cache
def network():
    """A network that is written in a moment: one layer, 16 numbers a token, weights drawn by lot."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng():
        torch.manual_seed(8)
        return BertModel(BertConfig(vocab_size=12000, max_position_embeddings=512, **sizes))


def write_folder(name, kinds, pooling, limit, default_prompt):
    """A model as sentence-transformers reads it, in a folder of its own. kinds: the types of its modules."""
    folder = HOME / name
    network().config.save_pretrained(folder)
    save_file(network().state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(resolve("course/bert-mini") / file, folder)
    paths = ["" if i == 0 else f"{i}_{kind.split('.')[-1]}" for i, kind in enumerate(kinds)]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(zip(paths, kinds))
    ]
    prompts = {"query": "find the answer: ", "document": "remember this: "}
    contents = {
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": limit, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts, "default_prompt_name": default_prompt},
    }
    for path in paths[1:]:
        (folder / path).mkdir()
    for file, what in contents.items():
        (folder / file).write_text(json.dumps(what, indent=2), encoding="utf-8")
    return str(folder)


OLD = [f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling")]
NEW = [
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "sentence_transformers.base.modules.normalize.Normalize",
]


def flags(mode):
    return {"word_embedding_dimension": 16} | {flag: mode == name for flag, name in FLAGS.items()}


def named(mode):
    return {"embedding_dimension": 16, "pooling_mode": mode, "include_prompt": True}


SHORT, LONG = (
    "A cat sits on a mat",
    "The neighbours told us that a grey cat had been sitting on the mat since the morning",
)

# ---- 08.2


def threshold(cosines, grades, good, share):
    fitting = [cut for cut in cosines if (grades[cosines >= cut] >= good).mean() >= share]
    return min(fitting, default=math.inf)


def highest(cosines, grades, good, share):
    return max((cut for cut in cosines if (grades[cosines >= cut] >= good).mean() >= share), default=math.inf)


def first_in_the_list(cosines, grades, good, share):
    return next((cut for cut in cosines if (grades[cosines >= cut] >= good).mean() >= share), math.inf)


def until_the_first_miss(cosines, grades, good, share):
    lowest = math.inf
    for cut in np.unique(cosines)[::-1]:
        if (grades[cosines >= cut] >= good).mean() < share:
            break
        lowest = cut
    return lowest


def of_the_good_ones(cosines, grades, good, share):
    found = [cut for cut in cosines if (cosines[grades >= good] >= cut).mean() >= share]
    return max(found, default=math.inf)


def quantile(cosines, grades, good, share):
    return np.quantile(cosines[grades >= good], 1 - share)


def of_all_pairs(cosines, grades, good, share):
    return min((cut for cut in cosines if ((cosines >= cut) & (grades >= good)).mean() >= share), default=math.inf)


def pairs_above(cosines, grades, good, share):
    above = {cut: grades[cosines > cut] >= good for cut in cosines}
    return min((cut for cut, those in above.items() if len(those) and those.mean() >= share), default=math.inf)


def grades_above(cosines, grades, good, share):
    return threshold(cosines, grades, np.nextafter(good, np.inf), share)


def more_than_the_share(cosines, grades, good, share):
    return min((cut for cut in cosines if (grades[cosines >= cut] >= good).mean() > share), default=math.inf)


def pair_by_pair(cosines, grades, good, share):
    order = np.argsort(-cosines, kind="stable")
    shares = np.cumsum(grades[order] >= good) / np.arange(1, len(order) + 1)
    return min(cosines[order][shares >= share], default=math.inf)


def place(cosines, grades, good, share):
    fitting = [i for i, cut in enumerate(cosines) if (grades[cosines >= cut] >= good).mean() >= share]
    return min(fitting, key=lambda i: cosines[i], default=math.inf)


def one_where_nothing_fits(cosines, grades, good, share):
    return min(threshold(cosines, grades, good, share), 1.0)


def mean_grade(cosines, grades, good, share):
    return min((cut for cut in cosines if grades[cosines >= cut].mean() >= good), default=math.inf)


EXERCISES = {
    "08.1": Exercise(
        title="Do what a model's folder says",
        cases={
            "the mean, prompts that encode does not use": (write_folder("mean", OLD, flags("mean"), 128, None), SHORT),
            "the first token, then Normalize": (write_folder("cls", NEW, named("cls"), 128, None), SHORT),
            "a prompt that is the default": (write_folder("prompt", NEW[:2], named("mean"), 128, "document"), SHORT),
            "the maximum of 10 tokens": (write_folder("max", OLD, flags("max"), 10, None), LONG),
            "the mean of 10 tokens, prompt and all": (write_folder("cut", OLD, flags("mean"), 10, "document"), LONG),
        },
        solution=by_hand,
        wrong=[
            (always_the_mean, "You average in every folder. 1_Pooling/config.json says how to pool."),
            (
                flags_not_read,
                "Right where the file names a pooling_mode. Old folders set one flag to true instead; the appendix "
                "shows them.",
            ),
            (only_flags_read, "Right for old folders with their flags. New ones name the mode: pooling_mode."),
            (never_normalised, "One folder has a third module in modules.json. What does it do to the vector?"),
            (
                always_normalised,
                "You divide by the length everywhere. Only a module Normalize in modules.json does that.",
            ),
            (without_prompt, "You leave the prompt away. Two folders name one as their default, and encode uses it."),
            (the_prompt_of_queries, "You take the prompt for queries. Plain encode takes the one that is the default."),
            (
                the_prompt_of_queries_where_none_is_the_default,
                "Where default_prompt_name is null, encode uses no prompt at all.",
            ),
            (not_cut, "You read the whole text. sentence_bert_config.json says how many tokens are read."),
            (special_tokens_on_top, "You read two tokens too many: [CLS] and [SEP] count towards max_seq_length."),
            (words_cut, "You cut after so many words. max_seq_length counts tokens, and [CLS] and [SEP] among them."),
            (characters_cut, "You cut the text after so many characters. max_seq_length counts tokens."),
            (
                sep_cut_off,
                "You cut the list of ids, and [SEP] goes with the rest. The tokenizer cuts the text and keeps [SEP]: "
                "truncation=True, max_length=...",
            ),
            (pooled_without_special_tokens, "You pool the words alone. [CLS] and [SEP] are pooled, too."),
            (
                pooler_output,
                "pooler_output has gone through a layer more. The mode cls takes the first row of last_hidden_state.",
            ),
        ],
    ),
    "08.2": Exercise(
        title="From which cosine on are pairs good?",
        cases={
            "six pairs, one miss on the way": (
                np.array([0.6, 0.9, 0.8, 0.3, 0.7, 0.5]),
                np.array([1.0, 0.9, 0.2, 0.1, 0.8, 0.9]),
                0.8,
                0.75,
            ),
            "equal cosines": (np.array([0.9, 0.6, 0.6, 0.2]), np.array([1.0, 0.9, 0.1, 0.9]), 0.8, 0.9),
            "none is good enough": (np.array([0.9, 0.8, 0.4]), np.array([0.3, 0.7, 0.9]), 0.8, 0.5),
            "all pairs pass": (np.array([0.2, 0.6, 0.4, 0.8]), np.array([0.0, 0.7, 0.5, 0.7]), 0.5, 0.75),
        },
        solution=threshold,
        wrong=[
            (highest, "You return the highest cosine that fits. The lowest lets more pairs pass."),
            (first_in_the_list, "You return the first cosine of the list that fits. The pairs come in no order."),
            (
                until_the_first_miss,
                "You stop at the first cosine that does not fit. Further down the share can rise again.",
            ),
            (
                of_the_good_ones,
                "You ask how many of the good pairs pass. Asked is how many of those that pass are good.",
            ),
            (quantile, "A quantile of the good pairs says how many of them pass, not how many others pass with them."),
            (of_all_pairs, "You divide by all pairs. Divide by those whose cosine is high enough."),
            (pairs_above, "You leave out the pair at the threshold itself: at least, not above."),
            (grades_above, "A pair graded exactly `good` is good. Look at the comparison."),
            (more_than_the_share, "Exactly the share is enough. Look at the comparison."),
            (pair_by_pair, "Where pairs have the same cosine, they pass together or not at all."),
            (place, "You return where the pair stands in the list. Asked is its cosine."),
            (one_where_nothing_fits, "Where no cosine fits, return math.inf: a cosine of 1 may still occur."),
            (mean_grade, "You compare the mean grade. Count which share of the pairs has at least the grade `good`."),
        ],
    ),
}
