"""Train a classifier of topics on a clean data set: hashed words and a linear model, a batch at a time.

    training-portal exec --data clean/ -- python train.py clean/ model.joblib

`exec` lets it start only on a data set that its receipt describes, while the lease lasts and the portal's gate is open.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import joblib
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

TOPICS = ["cooking", "music", "sport", "travel"]
ROWS = 5_000
SEED = 7


def batches(data: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Texts and their topics, `ROWS` at a time, file by file."""
    for path in sorted(data.glob("**/*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(ROWS, columns=["text", "topic"]):
            texts, topics = (column.to_pylist() for column in batch.columns)
            yield [text or "" for text in texts], topics


def train(data: Path) -> tuple[SGDClassifier, int, float]:
    """The model, the rows it learned from, and the share of the last batch that it tells right before it learns it.

    Raises ValueError where there is no row.
    """
    words = HashingVectorizer(n_features=2**16, alternate_sign=False)
    model = SGDClassifier(random_state=SEED)
    rows, right = 0, 0.0
    for texts, topics in batches(data):
        table = words.transform(texts)
        if rows:
            right = float(model.score(table, topics))
        model.partial_fit(table, topics, classes=TOPICS)
        rows += len(texts)
    if not rows:
        raise ValueError(f"{data} has no row to learn from.")
    return model, rows, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a directory that `training-portal verify` accepts")
    parser.add_argument("model", type=Path, help="where the model is written")
    options = parser.parse_args()
    model, rows, right = train(options.data)
    joblib.dump(model, options.model)
    print(f"{rows} rows; {right:.0%} of the last batch told right before it was learned")


if __name__ == "__main__":
    main()
