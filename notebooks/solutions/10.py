"""Solutions of notebook 10. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from course_lib.bert import BertConfig, BertModel
from course_lib.encoder import SentenceEncoder
from course_lib.exercises import Exercise
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.transformer import Transformer

# ---- 10.1


def grow(table, known, pieces):
    missing = max(0, known + len(pieces) - len(table))
    grown = torch.cat([table, torch.zeros(missing, table.shape[1])])  # (max(rows, known + new), dim)
    for i, own in enumerate(pieces):
        grown[known + i] = table[own].mean(dim=0)
    return grown


def behind_the_spare_rows(table, known, pieces):
    return grow(table, len(table), pieces)


def spare_rows_lost(table, known, pieces):
    return grow(table, known, pieces)[: known + len(pieces)]


def spare_rows_left_in_between(table, known, pieces):
    longer = torch.cat([table, torch.zeros(len(pieces), table.shape[1])])
    return grow(longer, known, pieces)


def new_rows_first(table, known, pieces):
    new = grow(table, len(table), pieces)[len(table) :]
    return torch.cat([new, table])


def mean_of_all(table, known, pieces):
    return grow(table, known, [list(range(len(table)))] * len(pieces))


def mean_of_known(table, known, pieces):
    return grow(table, known, [list(range(known))] * len(pieces))


def same_row_for_all(table, known, pieces):
    together = [piece for own in pieces for piece in own]
    return grow(table, known, [together] * len(pieces))


def each_piece_once(table, known, pieces):
    return grow(table, known, [sorted(set(own)) for own in pieces])


def first_piece(table, known, pieces):
    return grow(table, known, [own[:1] for own in pieces])


def last_piece(table, known, pieces):
    return grow(table, known, [own[-1:] for own in pieces])


def one_number(table, known, pieces):
    grown = grow(table, known, pieces)
    for i, own in enumerate(pieces):
        grown[known + i] = table[own].mean()
    return grown


def sums(table, known, pieces):
    grown = grow(table, known, pieces)
    for i, own in enumerate(pieces):
        grown[known + i] = table[own].sum(dim=0)
    return grown


def zeros(table, known, pieces):
    grown = grow(table, known, pieces)
    grown[known : known + len(pieces)] = 0
    return grown


# ---- 10.2


def where(name, folders, old_names):
    if name in folders:
        return name
    if name.count("/") > 1:
        return "nowhere"
    return name if "/" in name or name in old_names else f"sentence-transformers/{name}"


def slash_is_a_path(name, folders, old_names):
    if "/" in name:
        return name if name in folders else "nowhere"
    return where(name, [], old_names)


def slash_needed_for_a_folder(name, folders, old_names):
    return where(name, [folder for folder in folders if "/" in folder], old_names)


def addresses_too(name, folders, old_names):
    return name if "/" in name else where(name, folders, old_names)


def three_slashes(name, folders, old_names):
    return name if name.count("/") == 2 else where(name, folders, old_names)


def no_prefix(name, folders, old_names):
    return where(name, folders, [name])


def always_prefix(name, folders, old_names):
    return where(name, folders, [])


def prefix_for_old_names(name, folders, old_names):
    if name in folders or "/" in name:
        return where(name, folders, old_names)
    return f"sentence-transformers/{name}" if name in old_names else name


def hub_first(name, folders, old_names):
    return where(name, [], old_names)


def folders_only(name, folders, old_names):
    return name if name in folders else "nowhere"


# ---- 10.3


def dense_of(directions, bias, activation=None):
    dense = Dense(directions.shape[1], directions.shape[0], activation_function=activation)
    dense.load_state_dict({"linear.weight": directions, "linear.bias": bias})
    return dense


def vectors_of(modules, limit, texts):
    encoder = SentenceEncoder(modules, dtype="float32").eval()
    encoder.max_seq_length = limit
    return encoder.encode(texts, show_progress_bar=False)  # (texts, width)


def assemble(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean)  # W (x - mean) = W x - W mean
    return vectors_of([transformer, Pooling(len(mean)), dense, Normalize()], limit, texts)


def squeezed(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean, nn.Tanh())
    return vectors_of([transformer, Pooling(len(mean)), dense, Normalize()], limit, texts)


def not_centred(transformer, directions, mean, limit, texts):
    return assemble(transformer, directions, torch.zeros_like(mean), limit, texts)


def mean_added(transformer, directions, mean, limit, texts):
    return assemble(transformer, directions, -mean, limit, texts)


def unit_too_early(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean)
    return vectors_of([transformer, Pooling(len(mean)), Normalize(), dense], limit, texts)


def never_unit(transformer, directions, mean, limit, texts):
    return vectors_of([transformer, Pooling(len(mean)), dense_of(directions, -directions @ mean)], limit, texts)


def first_token(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean)
    return vectors_of([transformer, Pooling(len(mean), "cls"), dense, Normalize()], limit, texts)


def largest(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean)
    return vectors_of([transformer, Pooling(len(mean), "max"), dense, Normalize()], limit, texts)


def no_limit(transformer, directions, mean, limit, texts):
    return assemble(transformer, directions, mean, transformer.max_seq_length, texts)


def limit_of_words(transformer, directions, mean, limit, texts):
    return no_limit(transformer, directions, mean, limit, [" ".join(text.split()[:limit]) for text in texts])


def dense_first(transformer, directions, mean, limit, texts):
    dense = dense_of(directions, -directions @ mean)
    return vectors_of([transformer, dense, Pooling(len(directions)), Normalize()], limit, texts)


def no_dense(transformer, directions, mean, limit, texts):
    return vectors_of([transformer, Pooling(len(mean)), Normalize()], limit, texts)


def tiny_transformer(dim=8):
    """A BERT of one layer with random weights, for texts of the words a to h."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    sizes = dict(
        vocab_size=len(words), hidden_size=dim, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = BertModel(BertConfig(**sizes, max_position_embeddings=32))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return Transformer(model, tokenizer)


TEXTS = ["a b c", "d", "b c d e f g h a b c", "h g f e d c b a"]
DIRECTIONS = torch.tensor(
    [[0.5, -0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0], [0, 0, 0, 0, 0, 0, 0.8, -0.6]]
)
MEAN = torch.tensor([0.4, -0.3, 0.2, 0.5, -0.6, 0.3, 0.2, -0.1])
TINY = tiny_transformer()

FOLDERS = ["my-model", "runs/best", "/home/me/models/best"]
OLD_NAMES = ["bert-base-uncased", "roberta-base"]
TABLE = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 6.0], [5.0, 9.0]])

EXERCISES = {
    "10.1": Exercise(
        title="Rows for new tokens",
        cases={
            "two new tokens, no spare rows": (TABLE, 4, [[0, 1], [1, 2, 3]]),
            "two new tokens, one spare row": (TABLE, 3, [[0, 1], [1, 2]]),
            "one new token, two spare rows": (TABLE, 2, [[0, 1]]),
            "a piece that occurs twice": (TABLE, 4, [[2, 2, 1]]),
            "nothing to do": (TABLE, 3, []),
            "nothing to do, and spare rows": (TABLE, 2, []),
            "spare rows just enough": (TABLE, 2, [[1], [0, 1]]),
        },
        solution=grow,
        keeps_arguments=True,
        wrong=[
            (
                behind_the_spare_rows,
                "Your new rows stand behind the spare ones. Which row does the tokenizer's next number point to?",
            ),
            (
                spare_rows_lost,
                "You cut rows off where the table has more rows than the tokenizer has tokens. None may be lost.",
            ),
            (
                spare_rows_left_in_between,
                "Your table gets a row for each new token even where spare rows would do. They are used first.",
            ),
            (
                new_rows_first,
                "Your new rows come first, so every old token now has another token's row. Where must they stand?",
            ),
            (
                mean_of_all,
                "Your new rows are the mean of the whole table. Which rows belong to the new token's pieces?",
            ),
            (
                mean_of_known,
                "Your new rows are the mean of all known tokens. Which rows belong to the new token's pieces?",
            ),
            (same_row_for_all, "All your new tokens get one row, from the pieces of all. Each has pieces of its own."),
            (each_piece_once, "A piece that occurs twice in a word counts twice in its mean."),
            (first_piece, "Your new rows copy the first piece's row. The other pieces count, too."),
            (last_piece, "Your new rows copy the last piece's row. The other pieces count, too."),
            (
                one_number,
                "Your new rows hold one number everywhere: the mean of all numbers. Average each dimension by itself.",
            ),
            (sums, "Your new rows are sums. The more pieces, the longer the row: what is asked for?"),
            (zeros, "Your new rows are zeros. Fill them from their pieces."),
        ],
    ),
    "10.2": Exercise(
        title="Where a model is looked for",
        cases={
            "a folder, no slash": ("my-model", FOLDERS, OLD_NAMES),
            "a folder, one slash": ("runs/best", FOLDERS, OLD_NAMES),
            "a folder, many slashes": ("/home/me/models/best", FOLDERS, OLD_NAMES),
            "no folder, no slash": ("all-MiniLM-L6-v2", FOLDERS, OLD_NAMES),
            "an old name": ("bert-base-uncased", FOLDERS, OLD_NAMES),
            "an old name that is a folder's, too": ("roberta-base", [*FOLDERS, "roberta-base"], OLD_NAMES),
            "an old name with its owner": ("google-bert/bert-base-uncased", FOLDERS, OLD_NAMES),
            "no folder, one slash": ("BAAI/bge-small-en-v1.5", FOLDERS, OLD_NAMES),
            "no folder, two slashes": ("a/b/c", FOLDERS, OLD_NAMES),
            "no folder, many slashes": ("./my/path/to/model/", FOLDERS, OLD_NAMES),
            "an address": ("https://example.org/my-model.zip", FOLDERS, OLD_NAMES),
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
            (three_slashes, "Nearly. How many slashes has an owner and a name? Look at a/b/c."),
            (
                no_prefix,
                "Nearly. A bare name is not asked for as it is: the hub's names have an owner. Which one is assumed?",
            ),
            (always_prefix, "Nearly. Some bare names, older than that rule, are asked for as they are."),
            (prefix_for_old_names, "You give an owner to the old names and to no other. It is the other way round."),
            (
                hub_first,
                "You go to the hub, or nowhere, even where a folder of that name exists.",
            ),
            (folders_only, "You look on disk only. What is tried when there is no such folder?"),
        ],
    ),
    "10.3": Exercise(
        title="A network of four modules",
        cases={
            "a limit of 6": (TINY, DIRECTIONS, MEAN, 6, TEXTS),
            "a limit of 32": (TINY, DIRECTIONS, MEAN, 32, TEXTS),
            "two numbers": (TINY, DIRECTIONS[1:], MEAN, 8, TEXTS[2:]),
        },
        solution=assemble,
        wrong=[
            (squeezed, "Your Dense layer sends its numbers through tanh, its default. None was asked for."),
            (not_centred, "The mean is not subtracted. A Dense layer has a bias: which one subtracts the mean first?"),
            (mean_added, "Your bias adds the mean's components, where they should be taken off."),
            (unit_too_early, "Your vectors have length 1 before the Dense layer, and another one after it."),
            (never_unit, "Your vectors do not have length 1. Which module sees to that?"),
            (first_token, "You take the vector of [CLS]. The mean of all tokens was asked for."),
            (largest, "You take the largest numbers over the tokens. Their mean was asked for."),
            (no_limit, "Your network reads the long texts to their end. Where is the limit set?"),
            (
                limit_of_words,
                "You count the words that are read. The limit counts tokens, and [CLS] and [SEP] are two of them.",
            ),
            (dense_first, "Your Dense layer stands before the pooling. Which module gives one vector for each text?"),
            (no_dense, "There is no Dense layer: your vectors are as long as the Transformer's."),
        ],
    ),
}
