"""Other models on BERT and beside it: heads, pair scorers, sparse vectors, two towers, images, static vectors, and changes in place."""
