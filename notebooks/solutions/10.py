"""Solutions of notebook 10. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from course_lib.bert import BertConfig, BertModel
from course_lib.encoder import SentenceEncoder
from course_lib.exercises import Exercise
from course_lib.models.surgery import word_embeddings
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


def three_steps(network, optimizer):
    """What `train` is in a case: three steps on texts of all words -> what has changed, in names and numbers."""
    before = {name: weights.detach().clone() for name, weights in network.named_parameters()}
    table = next(name for name, weights in network.named_parameters() if weights is word_embeddings(network).weight)
    for _ in range(3):
        optimizer.zero_grad()
        (network(["a b c d", "e f g h", "h a g b"]) - 1).square().sum().backward()
        optimizer.step()
    changed = {name: weights.detach() != before[name] for name, weights in network.named_parameters()}
    rows = torch.nonzero(changed.pop(table).any(dim=1)).flatten().tolist()
    return {"rows of the table": rows, "other weights": sorted(name for name, where in changed.items() if where.any())}


def new_rows_of(network, known):
    """Everything stays, but the rows from `known` on: the others' gradients become zeros."""
    network.requires_grad_(False)
    table = word_embeddings(network).weight.requires_grad_(True)
    new = (torch.arange(len(table)) >= known).float().unsqueeze(1)  # (vocabulary, 1)
    table.register_hook(lambda gradient: gradient * new)


def adamw(network, decay=0.0):
    learning = [weights for weights in network.parameters() if weights.requires_grad]
    return torch.optim.AdamW(learning, lr=0.01, weight_decay=decay)


def ready(network, known, train):
    new_rows_of(network, known)
    network[2].requires_grad_(True)
    return train(network, adamw(network))


def everything(network, known, train):
    return train(network, torch.optim.AdamW(network.parameters(), lr=0.01))


def everything_read(network, known, train):
    return train(network, torch.optim.Adam(network.parameters(), lr=0.01))


def decayed(network, known, train):
    new_rows_of(network, known)
    network[2].requires_grad_(True)
    return train(network, adamw(network, decay=0.01))


def last_row_only(network, known, train):
    return ready(network, len(word_embeddings(network).weight) - 1, train)


def whole_table(network, known, train):
    return ready(network, 0, train)


def old_rows(network, known, train):
    new_rows_of(network, 0)
    table = word_embeddings(network).weight
    old = (torch.arange(len(table)) < known).float().unsqueeze(1)
    table.register_hook(lambda gradient: gradient * old)
    network[2].requires_grad_(True)
    return train(network, adamw(network))


def one_row_late(network, known, train):
    return ready(network, known + 1, train)


def dense_frozen(network, known, train):
    new_rows_of(network, known)
    return train(network, adamw(network))


def table_frozen(network, known, train):
    network.requires_grad_(False)
    network[2].requires_grad_(True)
    return train(network, adamw(network))


def weight_without_bias(network, known, train):
    new_rows_of(network, known)
    network[2].linear.weight.requires_grad_(True)
    return train(network, adamw(network))


def bert_learns(network, known, train):
    new_rows_of(network, known)
    network[2].requires_grad_(True)
    network[0].model.encoder.requires_grad_(True)
    return train(network, adamw(network))


def a_slice(network, known, train):
    rows = word_embeddings(network).weight[known:]  # a new tensor, no parameter
    return train(network, torch.optim.AdamW([rows, *network[2].parameters()], lr=0.01, weight_decay=0.0))


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


def tiny_network():
    """The tiny BERT, a mean and a Dense layer, with words g and h (rows 10 and 11) as the new ones."""
    torch.manual_seed(0)
    return SentenceEncoder([tiny_transformer(), Pooling(8), Dense(8, 3)], dtype="float32").eval()


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
        title="What learns, and what stays",
        cases={
            "two new rows": (tiny_network(), 10, three_steps),
            "three new rows": (tiny_network(), 9, three_steps),
            "one new row": (tiny_network(), 11, three_steps),
        },
        solution=ready,
        wrong=[
            (everything, "Everything has changed. What stops a weight from learning?"),
            (
                everything_read,
                "Everything has learnt but the rows of words that no text had. What stops a weight from learning?",
            ),
            (
                decayed,
                "The old rows have changed, although they get no gradient. AdamW's weight decay shrinks each number of "
                "a parameter at every step, whatever its gradient.",
            ),
            (
                last_row_only,
                "Only the last row of the table has learnt. The new ones begin at `known`: how many are there?",
            ),
            (
                whole_table,
                "The old rows of the table have learnt, too. A parameter learns as a whole or not at all, so what can "
                "keep some of its rows?",
            ),
            (old_rows, "The old rows have learnt and the new ones have not. Which ones should the zeros meet?"),
            (one_row_late, "The first new row has not learnt. Rows are counted from 0: which is the first new one?"),
            (dense_frozen, "The Dense layer has not learnt."),
            (table_frozen, "The new rows have not learnt: only the Dense layer has."),
            (weight_without_bias, "The Dense layer's weight has learnt and its bias has not. It is part of the layer."),
            (bert_learns, "BERT's layers have learnt, too. Only the Dense layer and the new rows should."),
            (
                a_slice,
                "A slice of the table is a new tensor and no parameter: an optimiser refuses it. Give it the whole "
                "table, and see to it that only the new rows get a gradient.",
            ),
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
