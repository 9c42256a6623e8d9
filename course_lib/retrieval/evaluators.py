"""How good is an encoder at finding duplicates, and at search? Evaluators as in `evaluation`: called with a model, they
return a dict of numbers, of which `primary_metric` names the one to compare models by.

Left out on purpose: evaluators of translation, reranking and paraphrase mining.
"""

from collections.abc import Collection, Mapping, Sequence

from course_lib.retrieval.metrics import AT_K, binary_classification, ranking_metrics
from course_lib.retrieval.search import top_k
from course_lib.similarity import PAIRWISE_SIMILARITY_FUNCTIONS, SIMILARITY_FUNCTIONS
from course_lib.support.embeddings import embed
from course_lib.support.rankings import graded
from course_lib.support.text_inputs import check_mapping, pair_list, text_mapping
from course_lib.support.vectors import tensor_of

DISTANCES = ("euclidean", "manhattan")  # their similarity is minus a distance


class BinaryClassificationEvaluator:
    """Does a threshold on the similarity tell pairs that belong together (label 1) from others (label 0)?

    Called with a model, returns for each of four similarities the measures of `metrics.binary_classification`:
    cosine_accuracy, cosine_accuracy_threshold, cosine_f1, cosine_f1_threshold, cosine_precision, cosine_recall,
    cosine_ap, cosine_mcc, and so on for dot, euclidean, manhattan. Thresholds of the last two are distances: at most
    that far apart. pairs: two texts each; labels: 0 or 1 each. ValueError where they do not fit, or one of the labels
    does not occur.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], labels: Sequence[int], name: str = ""):
        pairs, labels = pair_list(pairs), tensor_of(labels, "labels").tolist()
        if len(pairs) != len(labels) or set(labels) != {0, 1}:
            raise ValueError(
                f"expected a label for each pair, 0 or 1, and both of them, got {len(pairs)} pairs and {len(labels)} "
                f"labels, of which the first are {labels[:5]}"
            )
        self.pairs, self.labels, self.prefix = pairs, labels, f"{name}_" if name else ""
        self.primary_metric = f"{self.prefix}cosine_ap"

    def __call__(self, model) -> dict[str, float]:
        vectors = embed(model, [a for a, _ in self.pairs] + [b for _, b in self.pairs])  # (2 * pairs, dim)
        u, v = vectors.chunk(2)  # (pairs, dim) each
        metrics = {}
        for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items():
            for metric, value in binary_classification(function(u, v).numpy(), self.labels).items():
                sign = -1 if kind in DISTANCES and metric.endswith("threshold") else 1
                metrics[f"{self.prefix}{kind}_{metric}"] = sign * value
        return metrics


class InformationRetrievalEvaluator:
    """Does the search for a query find the documents that are relevant to it?

    Called with a model, ranks the whole corpus for each query, exactly, and returns the means of
    `metrics.ranking_metrics`: cosine_accuracy@1, cosine_precision@10, cosine_recall@10, cosine_ndcg@10, cosine_mrr@10,
    cosine_map@100 and more.

    queries, corpus: from ids to texts; relevant: from queries' ids to the ids of their documents, or from these to
        grades (`datasets.retrieval` reads all three). Queries without relevant documents are left out, and so are
        answers to queries that are not there.
    similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan".
    at_k: for each measure the numbers of first documents it looks at.
    ValueError where no query is left, where the corpus lacks a relevant document, and for an unknown measure; TypeError
    for other containers (support/text_inputs.py, support/rankings.py).
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
        queries, corpus = text_mapping(queries, "queries"), text_mapping(corpus, "corpus")
        relevant = check_mapping(relevant, "relevant", "{query's id: ids of documents}")
        relevant = {query: graded(documents, f"relevant[{query!r}]") for query, documents in relevant.items()}
        if similarity_fn_name not in SIMILARITY_FUNCTIONS:
            raise ValueError(
                f"similarity_fn_name is {similarity_fn_name!r}; expected one of {list(SIMILARITY_FUNCTIONS)}"
            )
        self.relevant = {query: relevant[query] for query in queries if relevant.get(query)}
        self.queries = {query: queries[query] for query in self.relevant}
        try:
            self.corpus = dict(sorted(corpus.items()))  # by id: the smaller one first among equals
        except TypeError as error:
            kinds = ", ".join(sorted({type(key).__name__ for key in corpus}))
            raise TypeError(
                f"corpus has ids of the types {kinds}; expected ids of one type: make all strings"
            ) from error
        if missing := sorted({d for documents in self.relevant.values() for d in documents} - set(corpus)):
            raise ValueError(
                f"{len(missing)} relevant documents are not in the corpus of {len(corpus)}, {missing[0]!r} among them; "
                "put them in, or take them out of relevant"
            )
        ranking_metrics({query: [] for query in self.queries}, self.relevant, at_k)  # its ValueError, before encoding
        main = "ndcg" if "ndcg" in at_k else next(iter(at_k))
        self.similarity, self.at_k = SIMILARITY_FUNCTIONS[similarity_fn_name], at_k
        self.prefix = f"{name}_{similarity_fn_name}_" if name else f"{similarity_fn_name}_"
        self.primary_metric = f"{self.prefix}{main}@{max(at_k[main])}"

    def __call__(self, model) -> dict[str, float]:
        metrics = ranking_metrics(self.rankings(model), self.relevant, self.at_k)
        return {f"{self.prefix}{metric}": value for metric, value in metrics.items()}

    def rankings(self, model) -> dict[str, list[str]]:
        """For each query's id the ids of the documents found, best first, as many as the largest k of `at_k`."""
        queries = embed(model, list(self.queries.values()), "query")  # (queries, dim)
        corpus = embed(model, list(self.corpus.values()), "document")  # (documents, dim)
        k = max(k for ks in self.at_k.values() for k in ks)
        _, rows = top_k(queries, corpus, k, self.similarity)  # (queries, k)
        ids = list(self.corpus)
        return {query: [ids[row] for row in found] for query, found in zip(self.queries, rows.tolist())}
