"""The prose of the model cards: what each shipped model is, from which texts, and what it is bad at."""

NLI_DATA = (
    "SNLI (train, test; CC BY-SA 4.0), MultiNLI (train, dev_mismatched; mostly OANC), counterfactually revised SNLI "
    "(Apache-2.0, CC BY-SA 4.0), Wikipedia NLI (CC BY-SA 3.0)"
)
SNLI = "SNLI (train, test; CC BY-SA 4.0)"
MULTINLI = "MultiNLI (train, dev_mismatched; mostly OANC)"
WIKIPEDIA = "articles of the English Wikipedia of 2015 (CC BY-SA 3.0)"
EARLIER = "as of commit d050e45, from the bert-mini of that commit, which had read 30 million tokens; today it is"
CAPTIONS = "Flickr30k and Flickr8k captions (research use)"
PROTOCOL = (
    "Spearman's correlation x 100 of cosine similarities with the scores of the set, float32, all pairs of the set "
    "in one correlation."
)

TEXTS = {
    "glove-mini": dict(
        title="word vectors, averaged",
        what="One fixed 128-dimensional vector for each of the 19,999 commonest words, made with GloVe (Pennington et "
        "al. 2014), in StaticEmbedding's format. `frequencies.safetensors` holds each word's share f of the "
        "training text, for weighted means (each vector times a / (a + f), a = 0.001).",
        data=f"40 million words: {CAPTIONS}, sentences of {NLI_DATA}, and articles of the English Wikipedia of 2015 "
        "(CC BY-SA 3.0).",
        command="python recipes/glove_mini.py",
        bad="Word order and context: `dog bites man` and `man bites dog` get one vector. Words outside its vocabulary "
        "count as zero vectors.",
    ),
    "bert-mini": dict(
        title="a small BERT, pre-trained only",
        what="4 layers, 256 wide, 4 heads, 12,000 WordPieces, 512 positions; trained to guess masked words, and "
        "nothing else. It never saw a sentence pair. As a sentence encoder (mean pooling) it is what the course "
        "starts from, not what it recommends.",
        data=f"A{WIKIPEDIA[1:]}.",
        command="python recipes/bert_mini.py --tokens 150_000_000 --ship",
        bad="Similarity: all its sentence vectors lie close together. Rare words, names, languages other than "
        "English, facts.",
    ),
    "sbert-mini-nli": dict(
        title="bert-mini, fine-tuned by the 2019 recipe",
        what="bert-mini as a siamese network with mean pooling, trained to label sentence pairs as entailment, "
        "neutral or contradiction by softmax over (u, v, |u - v|) (Reimers and Gurevych 2019), after its head had been "
        "fitted alone (Kumar et al. 2022). `softmax_head/` holds the classifier, which encoding does not need.",
        data=f"Labelled pairs of {SNLI}; and what bert-mini, which it starts from, learnt from: {WIKIPEDIA}.",
        command="python recipes/siamese.py softmax",
        bad="Search and similarity in earnest: `course/sbert-mini` is the better encoder of the same size. English "
        "only; short sentences.",
    ),
    "sbert-mini-ranking": dict(
        title="bert-mini, fine-tuned by the ranking loss",
        what="NLI alone, as for `course/sbert-mini-nli`, and another objective: multiple negatives ranking (Henderson "
        "et al. 2017; cosine, scale 20). Each premise picks the hypothesis it entails out of all of its batch.",
        data=f"Premises with what they entail and what contradicts them, of {SNLI} and {MULTINLI}; and what "
        f"bert-mini, which it starts from, learnt from: {WIKIPEDIA}.",
        command="python recipes/siamese.py ranking",
        bad="Long texts, search in earnest: `course/sbert-mini` is the better encoder of the same size. English only.",
    ),
    "sbert-mini": dict(
        title="the course's default encoder",
        what="an earlier bert-mini with mean pooling, trained with multiple negatives ranking loss (Henderson et al. "
        "2017; cosine, scale 20), then, twice, as the student of all-MiniLM-L6-v2 (Apache-2.0): it learnt to give "
        "texts the teacher's vectors, rotated by PCA to 256 dimensions, and pairs of texts the teacher's cosines. No "
        "similarity scores of people were used.",
        data=f"Entailment pairs and triplets of {NLI_DATA}; pairs of captions of one image from {CAPTIONS}; then the "
        "teacher's vectors of all these sentences, of English sentences of Tatoeba (CC BY 2.0) and of sentences "
        "and paragraphs of the English Wikipedia of 2015 (CC BY-SA 3.0); and what the earlier bert-mini, which it "
        "starts from, learnt from: Wikipedia and the same captions and sentences.",
        command="python recipes/distillation.py vectors`, then `python recipes/distillation.py student`, "
        "from the model of commit d050e45, whose own recipes made it from a bert-mini that had read 30 million tokens: "
        "`python recipes/siamese.py ranking`, then `python recipes/distillation.py",
        bad="Negation and numbers (`not bad` against `bad`), rare words, long documents, languages other than "
        "English. It has the size of a teaching model: for real use take a full-size one.",
    ),
    "cross-encoder-mini": dict(
        title="a scorer of sentence pairs",
        what="the network of `course/sbert-mini` with a classification head: it reads two texts at once, `[CLS] A "
        "[SEP] B [SEP]`, and gives the pair a score from 0 (nothing in common) to 1 (the same meaning). It first "
        "learnt from pairs that nobody labelled: from which of four near paragraphs a sentence was taken, which "
        "cosine all-MiniLM-L6-v2 (Apache-2.0) gives two near texts, and of each token, whether it occurs in the other "
        "text; then the scores of people.",
        data=f"Sentences and paragraphs of the English Wikipedia of 2015 (CC BY-SA 3.0); near texts among captions of "
        f"{CAPTIONS}, sentences of {NLI_DATA} without their labels, sentences of Tatoeba (CC BY 2.0) and Wikipedia, "
        "with the teacher's cosines; scored pairs of the STS Benchmark (train; CC BY-SA 4.0); and what sbert-mini, "
        "which it starts from, learnt from.",
        command="python recipes/distillation.py vectors`, then `python recipes/cross_encoder_mini.py",
        bad="Search: it says how alike two texts are, not whether one answers the other, and it was never trained on "
        "questions with passages. It has no vector for a text, so n texts cost n (n - 1) / 2 passes. The score of "
        "(A, B) is not exactly that of (B, A). English only; short sentences.",
        protocol="Spearman's correlation x 100 of the model's scores with those of the set, float32, all pairs of the "
        "set in one correlation, each pair in the order of the file.",
    ),
    "reranker-mini": dict(
        title="a scorer that orders what a search found",
        what="`course/cross-encoder-mini`, trained further: it reads a query and a text at once, `[CLS] query [SEP] "
        "text [SEP]`, and gives them a score from 0 to 1, of which the order counts. It learnt, from lists of eight "
        "texts a query, the order that a teacher gives them: the cosine of all-MiniLM-L6-v2 (Apache-2.0), and a little "
        "of BM25's score. Nobody labelled any of it.",
        data=f"Sentences of Tatoeba (CC BY 2.0), of {NLI_DATA}, without their labels, and of the English Wikipedia of "
        "2015 (CC BY-SA 3.0) as queries; paragraphs of Wikipedia and long ones of the same sentences as texts; and "
        "what cross-encoder-mini, which it starts from, learnt from.",
        command="python recipes/distillation.py vectors`, then `python recipes/reranker_mini.py",
        bad="It imitates a teacher that turns each text into a vector alone, and is no better than that. It cannot "
        "find what the first search missed, and costs a pass for each pair. How alike two sentences are, "
        "cross-encoder-mini says better. English only.",
        protocol="nDCG@10 x 100, float32, of what each first search finds, before and after its first 10 or 50 texts "
        "are ordered anew; of long texts the piece is read that is nearest for course/sbert-mini.",
    ),
    "splade-mini": dict(
        title="a learned sparse encoder",
        what="bert-mini with its masked-language-model head, read as SPLADE (Formal et al. 2021): the weight of a "
        "term is the highest of its logits over the text's tokens, as log(1 + relu(.)). A text has weights for "
        "its own tokens and for others that would fit. In the format of sentence-transformers' SparseEncoder "
        "(version 5 on).",
        data="Paragraphs of articles of the English Wikipedia of 2015 (CC BY-SA 3.0), a sentence of each as query; "
        "the cosines that all-MiniLM-L6-v2 (Apache-2.0) gives to them, BM25's scores, and the weights that BM25 "
        f"gives to their words; and what the earlier bert-mini, which it starts from, learnt from: Wikipedia, "
        f"{CAPTIONS}, sentences of {NLI_DATA} without their labels.",
        command=f"python recipes/splade_mini.py` {EARLIER} `python recipes/splade_mini.py",
        bad="Words outside its 12,000 WordPieces, which it sees in pieces (names, chemistry); texts longer than the "
        "480 tokens of its training; questions, of which it saw few. English only. It weighs words nearly as BM25 "
        "does, and what it adds to the words of a text is often beside the point. Full-size models were trained "
        "on questions with passages, this one was not.",
        protocol="SciFact (test queries) as in BEIR, exact search by dot product over whole documents; x 100. "
        "`terms`: weights above 0 a text, on average.",
    ),
}
