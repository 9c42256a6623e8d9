"""Changes to a model that is already there: more tokens, fewer layers, parts that do not learn.

    add_tokens(encoder, ["[DOC]", "[QRY]"], special_tokens=True)    # vocabulary and embeddings grow together
    keep_layers(encoder, [0, 3])                                    # of four layers the first and the last
    freeze(encoder, 1)                                              # embeddings and the first layer stay as they are

All three take a SentenceEncoder and change its first module in place; `copy.deepcopy(encoder)` first keeps the old one.
What is changed is saved and loaded like any model, here and in sentence-transformers.

Left out on purpose: taking tokens away, heads that are tied to the vocabulary (a masked language model's).
"""

import copy
from collections.abc import Iterable, Sequence

import torch
from tokenizers import AddedToken
from torch import nn

from course_lib.encoder import SentenceEncoder
from course_lib.models.static import StaticEmbedding
from course_lib.support.architectures import TransformersModel
from course_lib.support.text_inputs import check_container


def add_tokens(encoder: SentenceEncoder, tokens: Iterable[str | AddedToken], special_tokens: bool = False) -> int:
    """Add tokens to an encoder's tokenizer, and a row for each to its word embeddings; return how many were new.

    tokens: strings, or `tokenizers.AddedToken` to choose how they are found in a text. Strings become what
        transformers' `tokenizer.add_tokens` makes of them: a special one is found as it is written and stays whole,
        wherever it stands; an ordinary one is found after the tokenizer has normalised the text (lower-cased it, say),
        also inside of words.
    A token that the vocabulary has adds no row and keeps its own. A special one is kept whole from then on; an ordinary
    one changes nothing (transformers would then cut it out of longer words, and make "[CLS]" an ordinary token).

    New rows are random: normal, each dimension with the mean and the standard deviation it has in the rows there are,
    drawn from torch's global random state. They mean nothing until they are trained. transformers gives all new rows
    the mean, so that at first they can hardly be told apart (Hewitt 2021,
    nlp.stanford.edu/~johnhew/vocab-expansion.html); with its mean_resizing=False it draws from N(0, initializer_range).

    The table's parameter stays the same object, with more rows. An optimiser that has made a step with it raises at the
    next one: add tokens first. Raises TypeError and ValueError for what is no token, and changes nothing then.
    """
    tokens = [tokens] if isinstance(tokens, AddedToken) else tokens
    check_container([tokens] if isinstance(tokens, str) else tokens, "tokens", "a list of strings")
    listed = [] if isinstance(tokens, str) else list(tokens)
    wrong = [token for token in listed if not isinstance(token, (str, AddedToken))]
    if isinstance(tokens, str) or wrong:
        raise TypeError(f"tokens is {tokens!r}; expected a list of strings, such as ['[DOC]', '[QRY]']")
    added = [
        t if isinstance(t, AddedToken) else AddedToken(t, special=special_tokens, normalized=not special_tokens)
        for t in listed
    ]
    if not all(token.content.strip() for token in added):
        raise ValueError(f"tokens is {listed!r}; a token needs at least one character that is no space")
    tokenizer = encoder[0].tokenizer
    new = list(dict.fromkeys(token.content for token in added if tokenizer.token_to_id(token.content) is None))
    for token in added:
        if token.special:
            tokenizer.add_special_tokens([token])
        elif token.content in new:
            tokenizer.add_tokens([token])
    if new:
        grow(encoder, {tokenizer.token_to_id(content) for content in new})
    return len(new)


def grow(encoder: SentenceEncoder, ids: set[int]):
    """Random rows for these token ids in the word embeddings, which grow where they have none; see `add_tokens`."""
    table = word_embeddings(encoder)
    rows = table.weight.detach()  # (vocabulary, dim)
    size = max(len(rows), max(ids) + 1)  # some tables have spare rows
    fill = sorted(ids | set(range(len(rows), size)))
    grown = rows.new_zeros(size, rows.shape[1])
    grown[: len(rows)] = rows
    grown[fill] = rows.mean(0) + rows.std(0) * torch.randn(len(fill), rows.shape[1]).to(rows)
    table.weight.data, table.weight.grad, table.num_embeddings = grown, None, size
    if not isinstance(encoder[0], StaticEmbedding):
        encoder[0].model.config.vocab_size = size


def word_embeddings(encoder: SentenceEncoder) -> nn.Embedding | nn.EmbeddingBag:
    """The table with a row (dim,) for each token."""
    if isinstance(encoder[0], StaticEmbedding):
        return encoder[0].embedding
    model = encoder[0].model
    return (
        model.model.get_input_embeddings() if isinstance(model, TransformersModel) else model.embeddings.word_embeddings
    )


def layer_list(model: nn.Module) -> nn.ModuleList:
    """The layers of a model, ours or transformers'. ValueError where no list has `num_hidden_layers` of them."""
    count = model.config.num_hidden_layers
    for module in model.modules():  # from the outside in
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ValueError(
        f"{type(model).__name__} has no list of {count} layers; "
        "some models, such as ALBERT, use one layer several times"
    )


def keep_layers(encoder: SentenceEncoder, layers: Sequence[int]):
    """Drop all layers of the encoder's model but these, counted from 0, in place.

    `num_hidden_layers` of its config follows.
    The kept layers have not seen each other's vectors before: expect worse results until the model is trained again
    (Sanh et al. 2019, arXiv 1910.01108, start their student so).
    Raises ValueError for numbers that do not rise or do not exist, and where the rest does not fit a model's config.
    """
    model, kept = encoder[0].model, list(layers)
    found = layer_list(model)
    if not kept or not set(kept) <= set(range(len(found))) or kept != sorted(set(kept)):
        raise ValueError(f"layers to keep are {kept}; expected rising numbers from 0 to {len(found) - 1}, at least one")
    inner = getattr(model, "model", model)  # what is inside a TransformersModel
    config = copy.deepcopy(inner.config)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in kept]
    with torch.device("meta"):  # shapes only
        expected = [shapes(layer) for layer in layer_list(type(inner)(config))]
    if expected != [shapes(found[i]) for i in kept]:
        raise ValueError(
            f"the layers {kept} of {type(inner).__name__} do not make a model of {len(kept)}: "
            "its layers are not built alike; try keeping 0"
        )
    for i in reversed(range(len(found))):
        if i not in kept:
            del found[i]
    for name in ("num_hidden_layers", "layer_types"):
        if hasattr(config, name):
            setattr(inner.config, name, getattr(config, name))


def shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def freeze(encoder: SentenceEncoder, layers: int | None = None):
    """Keep parameters of the encoder's model from learning: embeddings and the first `layers` layers; None: all of it.

    Whatever was frozen before, the layers after these learn, and nothing else of the model; what follows it in the
    encoder stays as it is, and so does dropout. torch's own `encoder.requires_grad_()` lets everything learn again.
    Raises ValueError for a number of layers that the model does not have.
    """
    model = encoder[0].model
    found = [] if layers is None else layer_list(model)
    if layers is not None and not 0 <= layers <= len(found):
        raise ValueError(f"layers to freeze: {layers}; expected 0 to {len(found)}, or None for the whole model")
    model.requires_grad_(False)
    for layer in found[layers or 0 :]:
        layer.requires_grad_(True)
