"""Other models on BERT and beside it: heads, pair scorers, sparse and static vectors, two towers, images; surgery."""
