"""course_lib.translation: words, batches, translators, decoding, scores; against torch's own layers and in loops."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from parity import close
from torch import nn

from course_lib.datasets.translations import load_translations
from course_lib.training import train
from course_lib.translation.decoding import decode, translate
from course_lib.translation.pairs import MAX_LENGTH, pad, pair_length, source_batch, target_batch, translation_loss
from course_lib.translation.scores import (
    THIRDS,
    alignment_hits,
    attention_weights,
    entropy,
    exact_match,
    length_thirds,
    mean_by,
    partners,
    position_only,
    position_shares,
)
from course_lib.translation.translators import RNNTranslator, TransformerTranslator, sinusoids
from course_lib.translation.vocabulary import BOS, EOS, PAD, SPECIAL, UNK, Vocabulary, words

PAIRS = [
    ("the red car", "el coche rojo"),
    ("a cat", "un gato"),
    ("the cat sees the red car", "el gato ve el coche rojo"),
    ("no", "no"),
    ("a red cat sees a car", "un gato rojo ve un coche"),
    ("the car", "el coche"),
]
ENGLISH, SPANISH = (Vocabulary.build(texts) for texts in zip(*PAIRS))
KINDS = ["gru", "lstm", "gru attention", "lstm attention", "transformer"]


def translator(kind, source=ENGLISH, target=SPANISH, dtype=torch.float64, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    if kind == "transformer":
        model = TransformerTranslator(source, target, 16, 2, 2, dim_feedforward=32, dropout=dropout)
    else:
        cell, _, attention = kind.partition(" ")
        model = RNNTranslator(source, target, 8, 12, attention=bool(attention), cell=cell, dropout=dropout)
    for p in model.parameters():  # bigger than the start, so that differences show; padding vectors too
        nn.init.normal_(p, std=0.4)
    return model.to(dtype).eval()


@pytest.fixture(scope="module")
def corpus():
    return load_translations()


# vocabulary


def test_words_sets_punctuation_apart_and_lower_cases():
    assert words("Don't you see María's  RED-ish car?") == ["don't", "you", "see", "maría's", "red-ish", "car", "?"]
    assert words("¿Dónde está él?\n") == ["¿", "dónde", "está", "él", "?"]
    assert words("हिन्दी में।") == ["हिन्दी", "में", "।"] and words("Mari\u0301a") == [
        "mari\u0301a"
    ]  # marks stay with their letters
    assert words(" \t") == words("") == []


def test_words_leaves_the_courses_corpus_as_it_is(corpus):
    for pair in corpus:
        assert words(pair.english) == pair.english.split() and words(pair.spanish) == pair.spanish.split()


def test_vocabulary_numbers_words_from_the_commonest_on():
    vocabulary = Vocabulary.build(["b a b", "c a b d"])
    assert vocabulary.tokens == [*SPECIAL, "b", "a", "c", "d"] and len(vocabulary) == 8
    assert vocabulary.encode("A x b") == [5, UNK, 4]
    assert vocabulary.decode([BOS, 5, PAD, UNK, 4, EOS, 6]) == "a [UNK] b"
    assert Vocabulary.build(["b a b", "c a b d"], max_size=6).tokens == [*SPECIAL, "b", "a"]


def test_vocabulary_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="max_size is 4"):
        Vocabulary.build(["a"], max_size=4)
    with pytest.raises(ValueError, match="twice in the vocabulary: a;"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ValueError, match=r"\[EOS\]"):
        Vocabulary(["[EOS]"])


# batches and loss


def test_batches_have_end_and_padding_where_they_belong():
    model = translator("gru")
    source, mask = source_batch(model, ["the cat", "zebra", ""])
    the, cat = ENGLISH.encode("the cat")
    assert source.tolist() == [[the, cat, EOS], [UNK, EOS, PAD], [EOS, PAD, PAD]]
    assert mask.tolist() == [[True, True, True], [True, True, False], [True, False, False]]
    target, _ = target_batch(model, ["no", ""])
    assert target.tolist() == [[BOS, *SPANISH.encode("no"), EOS], [BOS, EOS, PAD]]


def test_long_sentences_are_cut_with_a_warning():
    with pytest.warns(UserWarning, match=f"150 words; the first {MAX_LENGTH} are used"):
        source, _ = source_batch(translator("gru"), ["cat " * 150])
    assert source.shape == (1, MAX_LENGTH + 1) and source[0, -1] == EOS


@pytest.mark.parametrize("kind", KINDS)
def test_longest_sentences_pass_through_every_model(kind):
    model, pair = translator(kind), ("cat " * MAX_LENGTH, "gato " * MAX_LENGTH)
    assert torch.isfinite(translation_loss(model, [pair, PAIRS[0]]))
    assert len(decode(model, [pair[0]])[0].tokens) <= MAX_LENGTH


@pytest.mark.parametrize("kind", KINDS)
def test_masked_loss_equals_cross_entropy_on_the_words_alone(kind):
    model = translator(kind)
    total, count = 0, 0
    for pair in PAIRS:  # one at a time: nothing is ever padded
        source = torch.tensor([[*ENGLISH.encode(pair[0]), EOS]])
        target = torch.tensor([[BOS, *SPANISH.encode(pair[1]), EOS]])
        logits, _ = model(source, torch.ones_like(source, dtype=torch.bool), target[:, :-1])
        total += F.cross_entropy(logits[0], target[0, 1:], reduction="sum")
        count += target.shape[1] - 1
    close(translation_loss(model, PAIRS), total / count)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_do_not_come_from_padding(kind):
    model = translator(kind)
    batch = torch.autograd.grad(translation_loss(model, PAIRS), list(model.parameters()))
    alone = [torch.zeros_like(p) for p in model.parameters()]
    counts = [len(words(target)) + 1 for _, target in PAIRS]
    for pair, n in zip(PAIRS, counts):
        gradients = torch.autograd.grad(translation_loss(model, [pair]), list(model.parameters()), allow_unused=True)
        for whole, g in zip(alone, gradients):
            whole += n / sum(counts) * (0 if g is None else g)
    for a, b in zip(batch, alone):
        close(a, b)
    named = dict(zip(dict(model.named_parameters()), batch))
    for side in ("source", "target"):
        assert torch.all(named[f"{side}_embedding.weight"][PAD] == 0)


# the state after the last real token


@pytest.mark.parametrize("kind", KINDS[:4])
def test_decoder_starts_from_the_state_after_the_last_real_token(kind):
    model = translator(kind)
    source, mask = source_batch(model, [source for source, _ in PAIRS])
    state = model.start(source, mask)
    for i, (text, _) in enumerate(PAIRS):
        ids = torch.tensor([[*ENGLISH.encode(text), EOS]])
        outputs, last = model.encoder(model.source_embedding(ids))  # torch's layer, nothing padded
        close(state.hidden[i], outputs[0, -1])
        if kind.startswith("lstm"):
            close(state.cell[i], last[1][0, 0])
        if "attention" in kind:
            close(state.keys[i, : ids.shape[1]], outputs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_beside_a_sentence_changes_nothing(kind):
    model = translator(kind)
    source, mask = source_batch(model, [source for source, _ in PAIRS])
    target, real = target_batch(model, [target for _, target in PAIRS])
    wider, wide_mask = F.pad(source, (0, 5), value=PAD), F.pad(mask, (0, 5), value=False)
    logits, weights = model(source, mask, target[:, :-1])
    more, more_weights = model(wider, wide_mask, target[:, :-1])
    for i, pair in enumerate(PAIRS):
        ids, n = pad([[*ENGLISH.encode(pair[0]), EOS]], "cpu")[0], int(real[i].sum()) - 1
        alone, alone_weights = model(ids, torch.ones_like(ids, dtype=torch.bool), target[i : i + 1, :n])
        close(alone[0], logits[i, :n])
        close(alone[0], more[i, :n])
        if "attention" in kind:
            close(alone_weights[0], weights[i, :n, : ids.shape[1]])
            assert torch.all(more_weights[i, :n, ids.shape[1] :] == 0)
    order = [3, 0, 5, 1, 2, 4]
    close(model(source[order], mask[order], target[order][:, :-1])[0], logits[order])


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_does_not_see_the_words_after_it(kind):
    model = translator(kind)
    source, mask = source_batch(model, [PAIRS[2][0]])
    target, _ = target_batch(model, [PAIRS[2][1]])
    changed = target.clone()
    changed[0, 4:] = 5
    close(model(source, mask, changed)[0][:, :4], model(source, mask, target)[0][:, :4], atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_teacher_forcing(kind):
    model = translator(kind)
    source, mask = source_batch(model, [source for source, _ in PAIRS])
    target, _ = target_batch(model, [target for _, target in PAIRS])
    logits, weights = model(source, mask, target)
    state = model.start(source, mask)
    for t in range(target.shape[1]):
        step, state, its = model.step(target[:, t], state)
        close(step, logits[:, t])
        if weights is not None:
            close(its, weights[:, t])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_without_attention_the_decoder_equals_torchs_recurrent_layer(kind):
    """One vector is all that the decoder gets: torch's whole-sequence layer on [word, last state] gives its states."""
    model = translator(kind)
    source, mask = source_batch(model, [PAIRS[2][0]])
    target, _ = target_batch(model, [PAIRS[2][1]])
    start = model.start(source, mask)
    layer = (nn.GRU if kind == "gru" else nn.LSTM)(8 + 12, 12, batch_first=True).double()
    layer.load_state_dict({f"{name}_l0": p for name, p in model.decoder.state_dict().items()})
    embedded = model.target_embedding(target)
    context = start.hidden[:, None].expand(-1, target.shape[1], -1)
    first = start.hidden[None] if kind == "gru" else (start.hidden[None], start.cell[None])
    states, _ = layer(torch.cat([embedded, context], 2), first)
    close(model(source, mask, target)[0], model.score(states, context, embedded))


def test_attention_is_the_only_difference():
    with_it, without = translator("gru attention"), translator("gru")
    extra = {name: p.shape for name, p in with_it.state_dict().items() if name not in without.state_dict()}
    assert set(extra) == {"attention.query.weight", "attention.key.weight", "attention.energy.weight"}
    assert all(p.shape == with_it.state_dict()[name].shape for name, p in without.state_dict().items())
    assert sum(shape.numel() for shape in extra.values()) == 2 * 12**2 + 12


def test_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="cell is 'rnn'; expected 'gru' or 'lstm'"):
        RNNTranslator(ENGLISH, SPANISH, cell="rnn")


def test_positions_are_the_papers():
    table = sinusoids(50, 6)
    for position, i in itertools.product((0, 1, 7, 49), range(3)):
        angle = position / 10000 ** (2 * i / 6)
        assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_transformer_is_torchs_and_sees_positions():
    model = translator("transformer")
    assert isinstance(model.transformer, nn.Transformer)
    source, mask = source_batch(model, ["the red car", "car red the"])
    memory = model.start(source, mask).memory
    assert (memory[0, 0] - memory[1, 2]).abs().max() > 1e-3  # "the" first and last


@pytest.mark.parametrize("kind", ["gru attention", "transformer"])
def test_dropout_works_in_training_only(kind):
    model = translator(kind, dropout=0.5)
    assert translation_loss(model, PAIRS) == translation_loss(model, PAIRS)
    model.train()
    assert translation_loss(model, PAIRS) != translation_loss(model, PAIRS)
    assert translate(model, ["the car"]) == translate(model, ["the car"]) and model.training


# decoding


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_takes_the_most_probable_word_in_each_step(kind):
    model = translator(kind)
    for (text, _), found in zip(PAIRS, decode(model, [text for text, _ in PAIRS])):
        source, ids = torch.tensor([[*ENGLISH.encode(text), EOS]]), [BOS]
        while ids[-1] != EOS and len(ids) - 1 < 2 * len(words(text)) + 10:
            logits, _ = model(source, torch.ones_like(source, dtype=torch.bool), torch.tensor([ids]))
            logits[0, -1, [PAD, BOS]] = -torch.inf
            ids.append(int(logits[0, -1].argmax()))
        assert found.tokens == [SPANISH.tokens[i] for i in ids[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_that_never_ends_is_stopped(kind):
    model = translator(kind)
    with torch.no_grad():
        model.output.bias[EOS] = -1e9
    short, long = decode(model, ["no", "the cat sees the red car"])
    assert len(short.tokens) == 2 * 1 + 10 and len(long.tokens) == 2 * 6 + 10 and "[EOS]" not in short.tokens


@pytest.mark.parametrize("kind", KINDS)
def test_translations_do_not_depend_on_the_batch(kind):
    model = translator(kind)
    texts = ["a cat", "", "the cat sees the red car", "zebra unicorn", "  ", "no", "the red car"]
    together = decode(model, texts)
    assert [t.text for t in together] == translate(model, texts, batch_size=2)
    for text, found in zip(texts, together):
        assert decode(model, [text])[0].tokens == found.tokens
    assert together[1] == together[4] == ("", [], None)
    assert translate(model, []) == []


def test_attention_of_a_translation_has_a_row_a_word():
    for found, (text, _) in zip(decode(translator("gru attention"), [text for text, _ in PAIRS]), PAIRS):
        assert found.weights.shape == (len(found.tokens), len(words(text)) + 1)
        close(found.weights.sum(1), torch.ones(len(found.tokens), dtype=torch.float64))
    assert decode(translator("gru"), ["a cat"])[0].weights is None


def test_a_single_string_is_refused():
    with pytest.raises(TypeError, match=r"write \[sentence\]"):
        translate(translator("gru"), "the red car")


# scores


def test_attention_weights_sum_to_one_over_the_sentence():
    model = translator("gru attention")
    model.train()
    for weights, (source, target) in zip(attention_weights(model, PAIRS, batch_size=4), PAIRS, strict=True):
        assert weights.shape == (len(words(target)) + 1, len(words(source)) + 1)
        close(weights.sum(1), torch.ones(len(weights), dtype=torch.float64))
    assert model.training
    with pytest.raises(ValueError, match="attention=True"):
        attention_weights(translator("transformer"), PAIRS)


def test_alignment_hits_by_hand():
    weights = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.2, 0.1, 0.6, 0.1], [0.1, 0.2, 0.6, 0.1], [0.0, 0.0, 0.0, 1.0]])
    # the red car -> el coche rojo: "rojo" looks at "car", which is wrong
    assert alignment_hits(weights, [(0, 0), (1, 2), (2, 1)]) == [True, True, False]
    assert alignment_hits(weights, [(1, 2), (2, 2)]) == [True]  # linked with two words: either will do
    assert alignment_hits(weights, []) == []


@pytest.mark.parametrize(
    "shape, scaled, places",
    [
        ((4, 6), True, [0, 2, 4, 5]),  # three target words over five source words: first, middle, last; [EOS] at [EOS]
        ((4, 6), False, [0, 1, 2, 5]),
        ((6, 4), True, [0, 0, 1, 2, 2, 3]),  # round half to even
        ((6, 4), False, [0, 1, 2, 2, 2, 3]),  # past the end: the last word
        ((2, 4), True, [0, 3]),
        ((2, 2), True, [0, 1]),
    ],
)
def test_position_only_knows_the_lengths_alone(shape, scaled, places):
    found = position_only(torch.rand(shape), scaled)
    assert found.shape == shape and found.argmax(1).tolist() == places
    close(found.sum(1), torch.ones(shape[0]))


def test_the_diagonal_finds_what_keeps_its_place_and_misses_a_swap():
    links = [(0, 0), (1, 2), (2, 1), (3, 3)]
    assert alignment_hits(position_only(torch.zeros(5, 5)), links) == [True, False, False, True]


def test_shares_of_the_rulers_are_counted_over_all_linked_words():
    pairs = [("the red car sleeps", "el coche rojo duerme"), ("the car", "hay el coche rojo")]
    links = [[(0, 0), (1, 2), (2, 1), (3, 3)], [(0, 1), (1, 2)]]
    assert position_shares(pairs, links) == {"same position": 100 * 3 / 6, "scaled diagonal": 100 * 4 / 6}


def test_partners_have_the_same_shape_and_are_others():
    shapes = [(3, 4), (4, 3), (3, 4), (5, 5), (3, 4), (4, 3)]
    assert partners([torch.zeros(shape) for shape in shapes]) == {0: 4, 2: 0, 4: 2, 1: 5, 5: 1}


def test_entropy_is_in_bits():
    rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    close(entropy(rows), torch.tensor([0.0, 1.0, 2.0]), atol=1e-6)


def test_length_thirds():
    texts = ["a " * n for n in [3, 9, 5, 4, 8, 7, 4, 6, 5]]
    found = dict(zip([3, 9, 5, 4, 8, 7, 4, 6, 5], length_thirds(texts)))
    assert [found[n] for n in (3, 4, 5, 6, 7, 8, 9)] == [THIRDS[0]] * 2 + [THIRDS[1]] * 2 + [THIRDS[2]] * 3
    assert mean_by(["b", "a", "b"], [1, 2, 4]) == {"a": 2, "b": 2.5}


# learning


@pytest.mark.parametrize("kind", ["gru", "gru attention", "lstm attention", "transformer"])
def test_overfits_twenty_pairs(kind, corpus):
    short = [p for p in corpus if p.split == "train" and len(p.english.split()) <= 8]
    pairs = [(p.english, p.spanish) for p in short[:20]]
    source, target = (Vocabulary.build(texts) for texts in zip(*pairs))
    torch.manual_seed(0)
    if kind == "transformer":
        rate = 5e-3
        model = TransformerTranslator(source, target, d_model=32, num_layers=1, dim_feedforward=64, dropout=0.0)
    else:
        cell, _, attention = kind.partition(" ")
        model, rate = RNNTranslator(source, target, 32, 48, bool(attention), cell, dropout=0.0), 1e-2
    before = exact_match(model, pairs)
    train(
        model,
        lambda batch: translation_loss(model, batch),
        pairs,
        batch_size=10,
        learning_rate=rate,
        epochs=60,
        length=pair_length,
        autocast=False,
        show_progress_bar=False,
    )
    assert not any(before) and all(exact_match(model, pairs))
