"""The cards of all models that ship, anew from what the other recipes recorded in data/results.

    python recipes/cards.py

Measures nothing: after a change of a text or of the layout (recipes/shared/card_texts.py, cards.py).
"""

from recipes.reranking import for_card
from recipes.shared.cards import write_cards
from recipes.shared.results import read_rows

OF_SPLADE = ("ndcg@10", "recall@100", "terms a document", "terms a query")


def recorded() -> list[list[dict]]:
    """The rows that cards are made of, each list as the recipe gave it to `write_cards` that measured them."""
    scorer = [r for r in read_rows("04.csv") if r["experiment"] == "cross-encoder"]
    sparse = [r for r in read_rows("14.csv") if r["model"] == "course/splade-mini" and r["metric"] in OF_SPLADE]
    ranked = for_card([r for r in read_rows("14.csv") if r["experiment"] == "reranking"])
    return [read_rows("05.csv"), scorer, ranked, [r | {"pooling": "max"} for r in sparse]]


def main():
    for rows in recorded():
        write_cards(rows)


if __name__ == "__main__":
    main()
