"""What does bert-mini's loss mean? That of a guesser that knows how frequent each token is, on the same text and task.

    COURSE_DATA=... python recipes/token_frequencies.py

Three random samples of Wikipedia's articles: frequencies are counted on most of them, the loss is measured on the rest,
with tokens hidden as in recipes/bert_mini.py. Goes to data/results/04.csv as "frequencies".
"""

import argparse
import random
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.models.masked_lm import mask_tokens
from recipes.bert_mini import MASK, MASKED, VOCABULARY, make_wordpieces
from recipes.shared.pretraining_text import articles, text_sha256
from recipes.shared.results import record, row

SEEDS, COUNTED, MEASURED = (0, 1, 2), 500, 100  # articles to count, and to measure on
BLOCK = 8192  # tokens at a time


def guess(counts: Tensor, shown: Tensor, mask: int = MASK) -> Tensor:
    """Log probabilities (places, vocabulary): the shares of `counts` (vocabulary,), which are all above zero.

    Where the token that is shown is no [MASK] it is the true one half of the time, and gets half of the probability.
    """
    probabilities = (counts / counts.sum()).repeat(len(shown), 1)  # (places, vocabulary)
    visible = (shown != mask).nonzero().squeeze(1)
    probabilities[visible] /= 2
    probabilities[visible, shown[visible]] += 0.5
    return probabilities.log()


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tokenizer, pages, rows, sha = make_wordpieces(), articles(), [], text_sha256(short=False)

    def tokens_of(chosen: list) -> Tensor:
        encoded = tokenizer.encode_batch([p for page in chosen for p in page], add_special_tokens=False)
        return torch.tensor([token for e in encoded for token in e.ids])  # (tokens,)

    for seed in SEEDS:
        started = time.perf_counter()
        torch.manual_seed(seed)
        chosen = random.Random(seed).sample(pages, COUNTED + MEASURED)
        counted = tokens_of(chosen[:COUNTED])
        counts = torch.bincount(counted, minlength=VOCABULARY) + 1.0  # a token that was not met is not impossible
        losses = []
        for ids in tokens_of(chosen[COUNTED:]).split(BLOCK)[:-1]:
            masked, places, truth = mask_tokens(ids, torch.arange(BLOCK), int(MASKED * BLOCK), MASK, VOCABULARY)
            losses.append(F.nll_loss(guess(counts, masked[places]), truth).item())
        value, what = sum(losses) / len(losses), ("frequencies", "how frequent each token is", "Wikipedia", "mlm_loss")
        seconds = time.perf_counter() - started
        rows.append(
            row(
                *what, value, "python recipes/token_frequencies.py", seconds, n=len(counted), seed=seed, data_sha256=sha
            )
        )
        print(f"seed {seed}: {len(counted):,} tokens counted, {value:.3f} nats on {len(losses)} blocks", flush=True)
    record("04.csv", "frequencies", rows)


if __name__ == "__main__":
    main()
