# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/sentence-transformers-course/course/blob/main/notebooks/00_start_here.ipynb)
#
# # What can you do with your own sentences in ten minutes?
#
# You turn sentences into vectors, see which of them mean the same, search 300 pages by meaning, and find out where that fails.
#
# | | |
# |---|---|
# | You will be able to | compare sentences of your own by meaning; search a collection; say what "not" does to a vector, and how often such a search misses |
# | You need first | a little Python |
# | Time | 10 minutes to read; the code runs in about ten seconds |
# | Hardware | any laptop, no GPU |
# | Download | nothing: models and data come with the course (Colab fetches the course and `bm25s`) |

# %% tags=["setup"]
# Locally this only chooses the CPU. In Colab it fetches the course, too, once, and changes no installed package.
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("COURSE_DEVICE", "cpu")              # a GPU is not needed, and its numbers differ a little
if importlib.util.find_spec("course_lib") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"{sys.executable} has no course_lib: start Jupyter with `make lab`, "
                                  "or choose the course's .venv as the notebook's kernel (see the README)")
    course, unfinished = Path("/content/course"), Path("/content/course.unfinished")
    if not course.exists():
        shutil.rmtree(unfinished, ignore_errors=True)      # what an interrupted run left
        url = "https://github.com/sentence-transformers-course/course"
        clone = ["git", "clone", "--depth", "1", "--branch", "main", url, str(unfinished)]
        try:
            subprocess.run(clone, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise RuntimeError(f"cannot fetch {url}: is Colab online? Then run this cell again. {reason}") from None
        unfinished.rename(course)
    sys.path.insert(0, str(course))

# %% tags=["install"]
# Locally this does nothing. In Colab it installs the one package of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("bm25s") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "bm25s"], check=True)

# %% tags=["parameters"]
# Put your own sentences and your own question here (in English), and run the cells from here on again.
sentences = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The striker scored a goal.",
    "A player put the ball in the net.",
    "She saves money every month.",
    "He pays into a savings account.",
]
question = "can I bring my dog on the tram"
model = "course/sbert-mini"
untrained = "course/bert-mini"

# %% tags=["nbval-check-output"]
from course_lib.encoder import SentenceEncoder

encoder = SentenceEncoder.load(model, dtype="float32")
vectors = encoder.encode(sentences)                                     # (sentences, numbers)
print(vectors.shape, vectors.dtype)
assert len(vectors) == len(sentences)

# %% [markdown]
# Each sentence, short or long, has become a row of numbers, a vector: its sentence embedding. Two vectors are compared by the cosine of the angle between them: 1 for the same direction, 0 for a right angle, -1 for the opposite one.
#
# ## Which sentences mean the same?
#
# The six sentences are three pairs. The two of a pair say about the same and share no word but "a", "the" and the like. **Predict** for each sentence which of the other five is nearest to it.

# %% tags=["row-1.40"] alt="Heatmap of the cosines of six sentences with each other. The diagonal is 1. Beside it the two sentences of each pair, on eating, on a goal and on saving, have the highest values of their rows; the other cells are paler."
import matplotlib.pyplot as plt
import torch

from course_lib.plotting import heatmap
from course_lib.side_by_side import SIX
from course_lib.similarity import cos_sim

def nearest(cosines):
    """For each sentence the number of the one that is nearest to it: (sentences, sentences) -> (sentences,)"""
    return cosines.clone().fill_diagonal_(-1).argmax(dim=1)             # all but itself

bundled = (sentences, model, untrained) == (list(SIX), "course/sbert-mini", "course/bert-mini")
cosines = cos_sim(vectors, vectors)                                     # (sentences, sentences)
finding = "The two sentences of a pair are nearest to each other" if bundled else "Cosines of your sentences"
heatmap(cosines, labels=sentences, title=finding)
plt.show()
partner = torch.arange(len(sentences)) ^ 1                              # 0 and 1, 2 and 3, 4 and 5
assert torch.allclose(cosines, cosines.T, atol=1e-6)
assert torch.allclose(cosines.diagonal(), torch.ones(len(sentences)), atol=1e-5)
assert not bundled or torch.equal(nearest(cosines), partner)

# %% [markdown]
# Each sentence has its partner nearest, the fourth only just (0.35 against 0.29). To count shared words would have found the first two pairs by "is" and "the", and not the third, which shares none. Cosines are no percentages: compare them with each other.
#
# ## Search by words, search by meaning
#
# `course/help` holds 300 help pages of an invented town, and 150 questions each with the pages known to answer it, wholly or in part. 70 of the questions avoid their answer's words. A keyword search counts the words that question and page share, with more weight for rare words, repeated ones and short pages (the formula is called BM25). A semantic search takes the pages whose vectors are nearest to the question's.
#
# One page is called "Dogs and other animals on board". **Predict** which search puts it first for "can I bring my dog on the tram".

# %% tags=["nbval-check-output"]
from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.search import top_k

questions, pages, answers = load_retrieval("course/help")               # {id: text} twice, {question: {page: grade}}
titles, texts = list(load_fields("course/help", "corpus", "title").values()), list(pages.values())
encoder.max_seq_length = 96                                             # of each page the first 96 tokens: quick
bm25, page_vectors = BM25(texts), encoder.encode_document(texts, show_progress_bar=False)   # (300, numbers)

def by_words(asked, k=3):
    return bm25.search(asked, k)[1]                                     # (questions, k) rows of pages, best first

def by_meaning(asked, k=3):
    return top_k(encoder.encode_query(asked, show_progress_bar=False), page_vectors, k)[1]   # (questions, k)

word = {number: word for word, number in bm25.vocabulary.items()}
for query in (question, "dog tram"):
    for row in by_words([query])[0]:
        shared = [word[n] for n in bm25.encode_query(query).indices if bm25.vectors[row, n] > 0]
        print(f"{query:30}  words    {titles[row]:45} {' '.join(sorted(shared))}")
for row in by_meaning([question])[0]:
    print(f"{question:30}  meaning  {titles[row]}")
if (question, model) == ("can I bring my dog on the tram", "course/sbert-mini"):
    wanted = titles.index("Dogs and other animals on board")
    assert by_meaning([question])[0, 0] == wanted not in by_words([question, "dog tram"])[:, 0]

# %% [markdown]
# The search by meaning puts the page about dogs first. The search by words is led astray, by "i" and "bring", and again when asked only "dog tram"; behind each of its hits stand the words that it shares with the question, without the few, such as "on" and "the", that this search leaves out. It compares spellings: "tram" and "trams" are two words to it (many search engines cut such endings off first), and "bring my dog" is no more than "bring", "my" and "dog".
#
# ## Where does the model fail?
#
# **Predict**: is "Dogs are allowed on the tram." nearer to its opposite, or to the same in other words? And for how many of the 150 questions does each search put a right page first?

# %% tags=["nbval-check-output"]
import pandas as pd

said, opposite = "Dogs are allowed on the tram.", "Dogs are not allowed on the tram."
reworded = "You may take your pet along on the tram."
to_opposite, to_reworded = cos_sim(encoder.encode([said]), encoder.encode([opposite, reworded]))[0].tolist()
print(f"to its opposite {to_opposite:.2f}, to the same in other words {to_reworded:.2f}\n")

ids, asked, kind = list(pages), list(questions.values()), load_fields("course/help", "queries", "words")
def right_first(rows):
    """For each question, is the first page found one of those that answer it? (questions, k) -> [bool, ...]"""
    return [ids[row] in answers[number] for number, row in zip(questions, rows[:, 0])]

groups = ["in other words" if kind[number] == "other" else "in the page's words" for number in questions]
scores, rows = top_k(encoder.encode_query(asked, show_progress_bar=False), page_vectors, 1)   # (questions, 1) each
found = pd.DataFrame({"questions": 1, "by words": right_first(by_words(asked)), "by meaning": right_first(rows)})
counts = found.groupby(groups).sum()
print(counts)
surest = max((i for i, right in enumerate(found["by meaning"]) if not right), key=lambda i: scores[i, 0])
wanted = titles[ids.index(list(answers[list(questions)[surest]])[0])]
print(f"\nwrong, and surest of it: {asked[surest]}\n  found   {titles[rows[surest, 0]]}\n  wanted  {wanted}")
if bundled:
    assert to_opposite > 0.8 and to_opposite > to_reworded
    other, same = counts.loc["in other words"], counts.loc["in the page's words"]
    assert 8 * other["by words"] <= other["by meaning"] <= other["questions"] / 4
    assert same["by words"] > same["by meaning"] > same["questions"] / 2

# %% [markdown]
# Here one added "not" moves the vector less than saying nearly the same in other words. One example proves no rule (notebook 08 has more), but do not let a cosine decide what "not" decides.
#
# Of the questions in other words, counting words answers almost none. Meaning answers 17 against 2, and still fewer than one in four; the last lines show its mistake with the highest cosine. For questions in the page's words both put a right page first more often than not. There counting is ahead, 59 to 51: a small lead on 80 questions. Counting reads whole pages, the model only their first 96 tokens, which may cost it some answers. Notebook 14 puts both together.
#
# ## What did the training do?
#
# `course/bert-mini` is the same kind of network, four layers of BERT, never trained on pairs of sentences: it has only learnt to fill in masked words. Its sentence vector is, like the other's, the average of its words' vectors (mean pooling). **Predict** its heatmap, and how many of the 150 questions, 68 by the trained model, it answers.

# %% alt="Heatmap of the cosines of the same six sentences, by BERT's average: all cells are red, above 0.6. The two sentences of a pair still have the highest values of their rows."
before = SentenceEncoder.load(untrained, dtype="float32")
before.max_seq_length = encoder.max_seq_length                          # both read the same 96 tokens
averages = before.encode(sentences)                                     # (sentences, numbers)
title = "BERT's average: all cosines are high" if bundled else "BERT's average of your sentences"
heatmap(cos_sim(averages, averages), labels=sentences, title=title)
plt.show()

options = dict(convert_to_tensor=True, show_progress_bar=False)
rows = top_k(before.encode(asked, **options), before.encode(texts, **options), 1)[1]
found["by BERT's average"] = right_first(rows.numpy())
print(found.groupby(groups).sum())
if bundled:
    assert cos_sim(averages, averages).min() > 0.6 and torch.equal(nearest(cos_sim(averages, averages)), partner)
    assert 4 * found["by BERT's average"].sum() < found["by meaning"].sum()

# %% [markdown]
# All cosines are high. Among six sentences each partner is nearest all the same; among 300 pages a right one seldom is: 13 of 150 questions are answered. `sbert-mini` began as an earlier version of `bert-mini`. Then it was trained on pairs of sentences, and to imitate the vectors of a larger model, all-MiniLM-L6-v2. How that is done is what this course is about.
#
# ## In sentence-transformers
#
# So far the course's own small encoder did the work. Its model is a folder in the format of sentence-transformers, the library that this course explains. Now the library loads the same folder. **Predict**: will the vectors be the same?

# %% tags=["nbval-check-output"]
import numpy as np
import transformers
from sentence_transformers import SentenceTransformer

from course_lib.support.folders import resolve

transformers.utils.logging.disable_progress_bar()
theirs = SentenceTransformer(str(resolve(model)), device="cpu").encode(sentences)       # (sentences, numbers)
print("equal:", np.allclose(theirs, vectors, atol=1e-5))
assert np.allclose(theirs, vectors, atol=1e-5)

# %% [markdown]
# They are, up to rounding. A model that you train here can be used there.
#
# ## Exercise
#
# Which two of many texts are most alike? Find the pair with the highest cosine. `check` says what kind of mistake you made, and never the answer.

# %% tags=["exercise", "nbval-check-output"]
from course_lib.exercises import check

def closest_pair(cosines):
    """(texts, texts), each text with each, a tensor -> (i, j), the numbers of the two texts most alike, i < j."""
    ...

check("00.1", closest_pair)

# %% [markdown]
# ## You wondered...
#
# | | notebook |
# |---|---|
# | where such models come from: who invented attention, and why? | [01](01_rnn_encoder_decoder.ipynb), [02](02_attention.ipynb) |
# | what happens inside, between the words and the vector? | [03](03_transformer.ipynb) |
# | why not simply ask BERT about each pair of sentences? | [04](04_bert.ipynb) |
# | why are all of BERT's cosines so high? | [05](05_mean_pooling.ipynb) |
# | how does training on pairs change that? | [06](06_sbert.ipynb), [07](07_ablations.ipynb) |
# | is 0.6 a high cosine, and what does "not" do to it? | [08](08_the_library.ipynb) |
# | can I train one for my own texts, and with which data? | [09](09_losses.ipynb), [11](11_training_recipes.ipynb) |
# | can I change the network, or make it smaller? | [10](10_building_models.ipynb), [12](12_distillation_and_hard_negatives.ipynb) |
# | why did it miss so many pages, and what do I build instead? | [13](13_semantic_search.ipynb) |
# | how do words and meaning work together? | [14](14_hybrid_and_reranking.ipynb) |
# | which of my texts say the same, and what groups are there? | [15](15_duplicates_and_clusters.ipynb) |
# | can one search pictures with sentences? | [16](16_text_and_images.ipynb) |
# | and if I have ten million texts? | [17](17_ten_million.ipynb) |
#
# **Now** put your own sentences and a question into the cell that begins "Put your own sentences", and run all cells again. A larger model is one name away: with `model = "sentence-transformers/all-MiniLM-L6-v2"` the first run downloads 90 MB. Some sentences above hold only for what is set now.
#
# **Next:** [05_mean_pooling](05_mean_pooling.ipynb) asks what BERT's average is worth; [01_rnn_encoder_decoder](01_rnn_encoder_decoder.ipynb) begins at the beginning.
