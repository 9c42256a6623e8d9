"""How good is an encoder? Evaluators: called with a model, they return a dict of numbers.

A model is anything with `encode(list of n texts) -> (n, dim)` array or tensor: this course's SentenceEncoder,
a SentenceTransformer, or a class of three lines. Each evaluator names the number to compare models by in
`primary_metric`; higher is better. Names and results are those of sentence_transformers' evaluators. printing.py prints
the dicts and appends them to a CSV file.

Left out on purpose: the maximum over similarity functions, which chooses one on the very data it is measured on; and
evaluators of translation, reranking and paraphrase mining.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import signature

import torch
from torch import Tensor

from course_lib.data import NLIExample, ScoredPair
from course_lib.losses import SoftmaxLoss
from course_lib.retrieval.metrics import AT_K, binary_classification, pearson, ranking_metrics, spearman
from course_lib.retrieval.search import top_k
from course_lib.similarity import PAIRWISE_SIMILARITY_FUNCTIONS, SIMILARITY_FUNCTIONS

DISTANCES = ("euclidean", "manhattan")  # their similarity is minus a distance


class EmbeddingSimilarityEvaluator:
    """Do the similarities of embeddings rank pairs of sentences as people do? The protocol of the STS tasks.

    Called with a model, returns Pearson's and Spearman's correlation, -1..1, of people's scores with each of
    four similarities: pearson_cosine, spearman_cosine, and so on for dot, euclidean, manhattan. With a
    `name`, keys begin with it: sts_spearman_cosine. ValueError where a correlation is not defined (see
    `pearson`).
    """

    def __init__(self, pairs: Sequence[ScoredPair], name: str = ""):
        self.pairs = list(pairs)
        self.name = name
        self.primary_metric = _key(name, "spearman_cosine")

    def __call__(self, model) -> dict[str, float]:
        u = embed(model, [pair.sentence1 for pair in self.pairs])  # (pairs, dim)
        v = embed(model, [pair.sentence2 for pair in self.pairs])
        gold = [pair.score for pair in self.pairs]
        metrics = {}
        for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items():
            scores = function(u, v).numpy()  # (pairs,)
            metrics[_key(self.name, f"pearson_{kind}")] = pearson(gold, scores)
            metrics[_key(self.name, f"spearman_{kind}")] = spearman(gold, scores)
        return metrics


class LabelAccuracyEvaluator:
    """How often does the classifier of a SoftmaxLoss, on top of the encoder, give a pair its right label?

    Called with a model, returns {"accuracy": 0..1} (with a `name`, {"nli_accuracy": ...}). `loss` is the
    SoftmaxLoss that was trained together with the model. ValueError without examples.
    """

    def __init__(self, examples: Sequence[NLIExample], loss: SoftmaxLoss, name: str = ""):
        if not len(examples):
            raise ValueError("accuracy needs at least one example")
        self.examples = list(examples)
        self.loss = loss
        self.name = name
        self.primary_metric = _key(name, "accuracy")

    @torch.no_grad()
    def __call__(self, model) -> dict[str, float]:
        device = next(self.loss.parameters()).device
        u = embed(model, [example.premise for example in self.examples]).to(device)  # (examples, dim)
        v = embed(model, [example.hypothesis for example in self.examples]).to(device)
        labels = torch.tensor([example.label for example in self.examples], device=device)
        right = self.loss.logits(u, v).argmax(dim=1) == labels  # (examples,)
        return {self.primary_metric: right.double().mean().item()}


class BinaryClassificationEvaluator:
    """Does a threshold on the similarity tell pairs that belong together (label 1) from others (label 0)?

    Called with a model, returns for each of four similarities the measures of `metrics.binary_classification`:
    cosine_accuracy, cosine_accuracy_threshold, cosine_f1, cosine_f1_threshold, cosine_precision, cosine_recall, cosine_ap,
    cosine_mcc, and so on for dot, euclidean, manhattan. Thresholds of the last two are distances: at most that far apart.
    pairs: two texts each; labels: 0 or 1 each. ValueError where they do not fit, or one of the labels does not occur.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], labels: Sequence[int], name: str = ""):
        if len(pairs) != len(labels) or set(labels) != {0, 1}:
            raise ValueError(
                f"expected a label for each pair, 0 or 1, and both of them, got {len(pairs)} pairs and {len(labels)} "
                f"labels, of which the first are {list(labels[:5])}"
            )
        self.pairs, self.labels = list(pairs), list(labels)
        self.name = name
        self.primary_metric = _key(name, "cosine_ap")

    def __call__(self, model) -> dict[str, float]:
        vectors = embed(model, [a for a, _ in self.pairs] + [b for _, b in self.pairs])  # (2 * pairs, dim)
        u, v = vectors.chunk(2)  # (pairs, dim) each
        metrics = {}
        for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items():
            found = binary_classification(function(u, v).numpy(), self.labels)
            sign = -1 if kind in DISTANCES else 1
            metrics |= {
                _key(self.name, f"{kind}_{metric}"): value * (sign if metric.endswith("threshold") else 1)
                for metric, value in found.items()
            }
        return metrics


class TripletEvaluator:
    """How often is an anchor more similar to its positive than to its negative, by more than `margin`?

    Called with a model, returns this share, 0..1, for each of four similarities: cosine_accuracy, dot_accuracy,
    euclidean_accuracy, manhattan_accuracy. As in sentence_transformers, anchors are encoded as queries, the others as
    documents (see `embed`). ValueError without triplets.
    """

    def __init__(self, triplets: Sequence[tuple[str, str, str]], name: str = "", margin: float = 0.0):
        if not len(triplets):
            raise ValueError("accuracy needs at least one triplet")
        self.triplets = list(triplets)
        self.name = name
        self.margin = margin
        self.primary_metric = _key(name, "cosine_accuracy")

    def __call__(self, model) -> dict[str, float]:
        anchors, positives, negatives = zip(*self.triplets)
        a = embed(model, list(anchors), "query")  # (triplets, dim)
        p, n = embed(model, [*positives, *negatives], "document").chunk(2)
        return {
            _key(self.name, f"{kind}_accuracy"): (function(a, p) > function(a, n) + self.margin).double().mean().item()
            for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items()
        }


class InformationRetrievalEvaluator:
    """Does the search for a query find the documents that are relevant to it?

    Called with a model, ranks the whole corpus for each query, exactly, and returns the means of `metrics.ranking_metrics`:
    cosine_accuracy@1, cosine_precision@10, cosine_recall@10, cosine_ndcg@10, cosine_mrr@10, cosine_map@100 and more.

    queries, corpus: from ids to texts; relevant: from queries' ids to the ids of their documents, or from these to
        grades (`data.load_retrieval` reads all three). Queries without relevant documents are left out, and so are answers to queries that are not there.
    similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan".
    at_k: for each measure the numbers of first documents it looks at.
    ValueError where no query is left, where the corpus lacks a relevant document, and for an unknown measure.
    Of documents with equal scores the one with the smaller id comes first. The scores are never all in memory at once
    (search.py), the vectors are: 150 MB for 100,000 texts and 384 dimensions.
    """

    def __init__(
        self,
        queries: Mapping[str, str],
        corpus: Mapping[str, str],
        relevant: Mapping[str, Collection[str] | Mapping[str, int]],
        name: str = "",
        similarity_fn_name: str = "cosine",
        at_k: Mapping[str, Sequence[int]] = AT_K,
    ):
        for query, documents in relevant.items():
            if isinstance(documents, str):
                raise TypeError(
                    f"relevant[{query!r}] is {documents!r}; expected a set of ids of documents, or a mapping from them to grades"
                )
        if similarity_fn_name not in SIMILARITY_FUNCTIONS:
            raise ValueError(
                f"similarity_fn_name is {similarity_fn_name!r}; expected one of {list(SIMILARITY_FUNCTIONS)}"
            )
        self.relevant = {query: relevant[query] for query in queries if relevant.get(query)}
        self.queries = {query: queries[query] for query in self.relevant}
        self.corpus = dict(sorted(corpus.items()))  # by id: the smaller one first among equals
        if missing := sorted(
            {document for documents in self.relevant.values() for document in documents} - set(corpus)
        ):
            raise ValueError(
                f"{len(missing)} relevant documents are not in the corpus of {len(corpus)}, {missing[0]!r} among them; "
                "put them in, or take them out of relevant"
            )
        ranking_metrics(
            {query: [] for query in self.queries}, self.relevant, at_k
        )  # raises ValueError where it is called for
        self.name, self.similarity_fn_name, self.at_k = name, similarity_fn_name, at_k
        main = "ndcg" if "ndcg" in at_k else next(iter(at_k))
        self.primary_metric = _key(name, f"{similarity_fn_name}_{main}@{max(at_k[main])}")

    def __call__(self, model) -> dict[str, float]:
        metrics = ranking_metrics(self.rankings(model), self.relevant, self.at_k)
        return {_key(self.name, f"{self.similarity_fn_name}_{metric}"): value for metric, value in metrics.items()}

    def rankings(self, model) -> dict[str, list[str]]:
        """For each query's id the ids of the documents found, best first, as many as the largest k of `at_k`."""
        queries = embed(model, list(self.queries.values()), "query")  # (queries, dim)
        corpus = embed(model, list(self.corpus.values()), "document")  # (documents, dim)
        k = max(k for ks in self.at_k.values() for k in ks)
        _, rows = top_k(queries, corpus, k, SIMILARITY_FUNCTIONS[self.similarity_fn_name])  # (queries, k)
        ids = list(self.corpus)
        return {query: [ids[row] for row in found] for query, found in zip(self.queries, rows.tolist())}


class SequentialEvaluator:
    """Several evaluators one after the other, their results in one dict.

    Called with a model, returns all their numbers and, as "sequential_score", the one to compare models by: what
    `main_score_function` makes of the list of the evaluators' primary metrics, by default the last of them. ValueError
    without evaluators, or where two give numbers of one name: give them names.
    """

    primary_metric = "sequential_score"

    def __init__(
        self,
        evaluators: Sequence[Callable],
        main_score_function: Callable[[list[float]], float] = lambda scores: scores[-1],
    ):
        self.evaluators = list(evaluators)
        self.main_score_function = main_score_function
        if not self.evaluators:
            raise ValueError("expected at least one evaluator")

    def __call__(self, model) -> dict[str, float]:
        metrics, scores = {}, []
        for evaluator in self.evaluators:
            found = evaluator(model)
            if twice := metrics.keys() & found.keys():
                raise ValueError(f"two evaluators give {sorted(twice)[0]!r}; give each a name of its own")
            metrics |= found
            scores.append(found[evaluator.primary_metric])
        return metrics | {self.primary_metric: self.main_score_function(scores)}


def embed(model, texts: list[str], kind: str = "") -> Tensor:
    """The model's embeddings, (texts, dim), on the CPU. ValueError unless finite, one a text.

    kind: "query" or "document", for models that put a prompt before each: `model.encode_query` is called in the place of
    `model.encode`, where there is one.
    """
    encode = getattr(model, f"encode_{kind}", model.encode)
    quiet = {"show_progress_bar": False} if "show_progress_bar" in signature(model.encode).parameters else {}
    embeddings = torch.as_tensor(encode(texts, **quiet)).detach().cpu()
    if embeddings.ndim != 2 or len(embeddings) != len(texts):
        raise ValueError(
            f"encode gave the shape {tuple(embeddings.shape)} for {len(texts)} sentences, expected ({len(texts)}, dim)"
        )
    if bad := int((~embeddings.isfinite().all(dim=1)).sum()):
        raise ValueError(f"encode gave NaN or infinite values for {bad} of {len(texts)} sentences")
    return embeddings


def _key(name: str, metric: str) -> str:
    return f"{name}_{metric}" if name else metric
