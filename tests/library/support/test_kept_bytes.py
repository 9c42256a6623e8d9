"""support/kept_bytes.py: what a step keeps for its backward pass, counted by hand for a small network."""

import torch
from torch import nn

from course_lib.support.kept_bytes import KeptBytes


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def test_inputs_and_activations_count_and_weights_do_not():
    model, x = network(), torch.randn(3, 4)
    with KeptBytes(model) as kept:
        loss = model(x).sum()
        assert kept.now == 4 * (3 * 4 + 3 * 8 + 3 * 8)  # the first layer's input; tanh's result; the last layer's input
        loss.backward()
    assert kept.most == 240 and kept.now == 0


def test_most_is_the_largest_at_any_moment():
    model, x = network(), torch.randn(6, 4)
    with KeptBytes(model) as kept:
        for half in x.split(3):
            model(half).sum().backward()
    assert kept.most == 240
    with KeptBytes(model) as kept:
        (model(x[:3]).sum() + model(x[3:]).sum()).backward()
    assert kept.most == 480


def test_gradients_stay_the_same():
    model, x = network(), torch.randn(3, 4)
    model(x).sum().backward()
    plain = [weights.grad.clone() for weights in model.parameters()]
    model.zero_grad()
    with KeptBytes(model):
        model(x).sum().backward()
    assert all(torch.equal(a, weights.grad) for a, weights in zip(plain, model.parameters()))
