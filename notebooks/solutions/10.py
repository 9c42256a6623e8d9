"""Solutions of notebook 10. Try the exercises first: check() tells you what kind of mistake you made."""

import torch

from course_lib.exercises import Exercise

# ---- 10.1


def grow(table, tokens):
    missing = max(0, tokens - len(table))
    return torch.cat([table, table.mean(dim=0).expand(missing, -1)])  # (max(rows, tokens), dim)


def cut_to_size(table, tokens):
    return grow(table, tokens)[:tokens]


def new_rows_first(table, tokens):
    missing = max(0, tokens - len(table))
    return torch.cat([table.mean(dim=0).expand(missing, -1), table])


def zeros(table, tokens):
    missing = max(0, tokens - len(table))
    return torch.cat([table, torch.zeros(missing, table.shape[1])])


def one_number(table, tokens):
    missing = max(0, tokens - len(table))
    return torch.cat([table, table.mean().expand(missing, table.shape[1])])


def as_many_as_tokens(table, tokens):
    return torch.cat([table, table.mean(dim=0).expand(tokens, -1)])


def last_row_repeated(table, tokens):
    missing = max(0, tokens - len(table))
    return torch.cat([table, table[-1:].expand(missing, -1)])


# ---- 10.2


def where(name, folders):
    if name in folders:
        return name
    if name.count("/") > 1:
        return "nowhere"
    return name if "/" in name else f"sentence-transformers/{name}"


def slash_is_a_path(name, folders):
    if "/" in name:
        return name if name in folders else "nowhere"
    return f"sentence-transformers/{name}"


def slash_needed_for_a_folder(name, folders):
    if "/" in name and name in folders:
        return name
    return where(name, [])


def addresses_too(name, folders):
    if name in folders or "/" in name:
        return name
    return f"sentence-transformers/{name}"


def no_prefix(name, folders):
    return "nowhere" if name.count("/") > 1 and name not in folders else name


def hub_first(name, folders):
    return where(name, [])


def folders_only(name, folders):
    return name if name in folders else "nowhere"


FOLDERS = ["my-model", "runs/best", "/home/me/models/best"]

EXERCISES = {
    "10.1": Exercise(
        title="Room for new tokens",
        cases={
            "two new tokens": (torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 6.0]]), 5),
            "spare rows": (torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 6.0], [9.0, 9.0]]), 3),
            "nothing to do": (torch.tensor([[1.0, 4.0, 7.0]]), 1),
        },
        solution=grow,
        wrong=[
            (
                cut_to_size,
                "You cut rows off where the table has more rows than the tokenizer has tokens. None may be lost.",
            ),
            (
                new_rows_first,
                "Your new rows come first, so every old token now has another token's row. Where must they stand?",
            ),
            (zeros, "Your new rows are zeros. Asked for is the mean of the rows there are."),
            (
                one_number,
                "Your new rows hold one number everywhere: the mean of the whole table. Take the mean of each "
                "dimension.",
            ),
            (as_many_as_tokens, "You add a row for each token the tokenizer knows. How many rows are missing?"),
            (last_row_repeated, "Your new rows repeat the last row. Asked for is the mean of all."),
        ],
    ),
    "10.2": Exercise(
        title="Where a model is looked for",
        cases={
            "a folder, no slash": ("my-model", FOLDERS),
            "a folder, one slash": ("runs/best", FOLDERS),
            "a folder, many slashes": ("/home/me/models/best", FOLDERS),
            "no folder, no slash": ("all-MiniLM-L6-v2", FOLDERS),
            "no folder, one slash": ("BAAI/bge-small-en-v1.5", FOLDERS),
            "no folder, many slashes": ("./my/path/to/model/", FOLDERS),
            "an address": ("https://example.org/my-model.zip", FOLDERS),
        },
        solution=where,
        wrong=[
            (
                slash_is_a_path,
                "That is the rule of 2022: a slash makes a path. Today a folder needs none, and hub names have one.",
            ),
            (slash_needed_for_a_folder, "A folder without a slash in its name counts, too, if it exists."),
            (
                addresses_too,
                "What has more than one slash and is no folder is not asked for anywhere, addresses included.",
            ),
            (
                no_prefix,
                "Nearly. A bare name is not asked for as it is: the hub's names have an owner. Which one is assumed?",
            ),
            (hub_first, "You go to the hub, or nowhere, even where a folder of that name exists."),
            (folders_only, "You look on disk only. What is tried when there is no such folder?"),
        ],
    ),
}
