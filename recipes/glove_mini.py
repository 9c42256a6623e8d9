"""Make `course/glove-mini`: word vectors by GloVe (Pennington et al. 2014, ACL D14-1162) on the text of bert-mini.

    COURSE_DATA=... python recipes/glove_mini.py
    COURSE_DATA=... python recipes/glove_mini.py --control    # on articles alone, as bert-mini: scores into 05.csv

Counts which words stand within ten words of each other, then fits vectors whose dot products are the logarithms of the
counts. Counts below 1 are dropped. Resumable: the fit goes on from build/glove-mini; counting is done anew. What ships
is the sum of word and context vectors, as in the paper.

glove-mini reads captions and NLI sentences before the articles; bert-mini has read articles only. The control says what
that gave: the same, of as many words, from the articles alone. It is measured and does not ship.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn

from course_lib.encoder import SentenceEncoder
from course_lib.models.static import StaticEmbedding
from course_lib.support.folders import atomic_folder, save_tensors
from recipes.evaluate import averaged_words, similarity_rows
from recipes.shared.cards import model_folder, write_facts
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import LeakFilter, articles, short_texts
from recipes.shared.results import record_command
from recipes.shared.training import train_in

CONTROL, COMMAND = "GloVe, articles alone", "python recipes/glove_mini.py --control"
VOCABULARY, SHIPPED, DIM, WINDOW, TOKENS = 30_000, 20_000, 128, 10, 40_000_000
CHUNK = 2_000_000  # tokens whose neighbours are counted at a time
BLOCK = 65_536  # counts in an example of the training loop


def make_tokenizer(texts: list[str]) -> Tokenizer:
    """Lower-cased words and punctuation, as BERT splits them before WordPieces; rare words are [UNK]."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(vocab_size=VOCABULARY, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def count_neighbours(paragraphs: list[np.ndarray]) -> scipy.sparse.csr_matrix:
    """Upper triangle of the symmetric matrix of counts, (VOCABULARY, VOCABULARY): words d apart add 1 / d."""
    counts = scipy.sparse.csr_matrix((VOCABULARY, VOCABULARY), dtype=np.float32)
    ids = np.concatenate(paragraphs)  # (tokens,)
    which = np.repeat(np.arange(len(paragraphs), dtype=np.int32), [len(p) for p in paragraphs])
    for start in range(0, len(ids), CHUNK):
        part, of = ids[start : start + CHUNK + WINDOW], which[start : start + CHUNK + WINDOW]
        rows, columns, weights = [], [], []
        for d in range(1, WINDOW + 1):
            left, right = part[:-d][:CHUNK], part[d:][:CHUNK]
            keep = (of[:-d][:CHUNK] == of[d:][:CHUNK]) & (left != 0) & (right != 0)  # one paragraph, known words
            rows.append(np.minimum(left, right)[keep])
            columns.append(np.maximum(left, right)[keep])
            weights.append(np.full(keep.sum(), 1 / d, dtype=np.float32))
        entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
        counts = counts + scipy.sparse.coo_matrix(entries, shape=counts.shape).tocsr()
    return counts


class GloVe(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.contexts = nn.Embedding(VOCABULARY, DIM), nn.Embedding(VOCABULARY, DIM)
        self.word_bias, self.context_bias = nn.Embedding(VOCABULARY, 1), nn.Embedding(VOCABULARY, 1)
        for part in self.children():
            nn.init.uniform_(part.weight, -0.5 / DIM, 0.5 / DIM)

    def forward(self, i: torch.Tensor, j: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Equation 8: squared error of the log count, weighted by min(1, (count / 100) ** 0.75). All (counts,)."""
        guess = (self.words(i) * self.contexts(j)).sum(1) + self.word_bias(i)[:, 0] + self.context_bias(j)[:, 0]
        return ((count / 100).pow(0.75).clamp(max=1) * (guess - count.log()) ** 2).mean()


def glove_loss(model: GloVe, batch: list[tuple]) -> torch.Tensor:
    i, j, count = (torch.from_numpy(np.concatenate(part)) for part in zip(*batch))
    swap = torch.rand(len(i)) < 0.5  # the matrix is symmetric: either word may be the context
    return model(torch.where(swap, j, i).long(), torch.where(swap, i, j).long(), count)


def ship(folder: Path, tokenizer: Tokenizer, vectors: torch.Tensor, frequencies: torch.Tensor):
    """Write the folder with the SHIPPED commonest words (ids go by frequency): vectors and shares of the text."""
    words = {word: i for word, i in tokenizer.get_vocab().items() if i < SHIPPED}
    tokenizer.model = models.WordLevel(words, unk_token="[UNK]")
    vectors = vectors[:SHIPPED].clone()
    vectors[0] = 0  # [UNK] says nothing
    with atomic_folder(folder) as unfinished:
        SentenceEncoder([StaticEmbedding(tokenizer, vectors)]).save(unfinished)
        save_tensors({"frequencies": frequencies[:SHIPPED]}, unfinished / "frequencies.safetensors", half=False)


def fit(work: Path, folder: Path, short: bool) -> dict:
    """Write `folder` from TOKENS words: captions and NLI sentences first where `short`, then articles. The facts."""
    allowed = LeakFilter()
    texts, words = [], 0
    first = [text for text in short_texts() if allowed(text)] if short else []
    for text in first + [p for page in articles() for p in page if allowed(p)]:
        texts.append(text)
        words += text.count(" ") + 1
        if words > TOKENS:
            break
    tokenizer = make_tokenizer(texts)
    paragraphs = []
    for k in range(0, len(texts), 1024):
        paragraphs += [np.array(e.ids, dtype=np.int32) for e in tokenizer.encode_batch_fast(texts[k : k + 1024])]
    del texts
    counts = count_neighbours(paragraphs).tocoo()
    seen = np.bincount(np.concatenate(paragraphs), minlength=VOCABULARY)
    keep = counts.data >= 1
    i, j, count = counts.row[keep], counts.col[keep], counts.data[keep]
    order = np.random.default_rng(0).permutation(len(i))
    i, j, count = i[order], j[order], count[order]
    examples = [(i[k : k + BLOCK], j[k : k + BLOCK], count[k : k + BLOCK]) for k in range(0, len(i), BLOCK)]
    facts = {"tokens": int(seen.sum()), "counts": len(i), "leaks_dropped": allowed.dropped}
    print(facts, flush=True)

    torch.manual_seed(0)
    model = GloVe()
    settings = dict(batch_size=1, learning_rate=5e-3, epochs=20, warmup=0.02, weight_decay=0.0, autocast=False)
    history = train_in(work, model, lambda batch: glove_loss(model, batch), examples, **settings)
    vectors = (model.words.weight + model.contexts.weight).detach()
    ship(folder, tokenizer, vectors, torch.from_numpy(seen / seen.sum()).float())
    return facts | {"loss": history[-1]["loss"], "seconds": history[-1]["seconds"]}


def main():
    parser = argparse.ArgumentParser(description="Word vectors by GloVe")
    parser.add_argument("--control", action="store_true", help="from articles alone, into build/ and 05.csv")
    if not parser.parse_args().control:
        write_facts("glove-mini", fit(BUILD / "glove-mini", model_folder("glove-mini"), short=True))
        return
    folder = BUILD / "glove-articles" / "model"
    print(fit(folder.parent, folder, short=False))
    rows = similarity_rows(averaged_words(CONTROL, folder), COMMAND)
    for row in rows:
        print(row["pooling"], row["data"], row["value"])
    record_command("05.csv", rows)


if __name__ == "__main__":
    main()
