"""Print exact match and F1 of a predictions.json over SQuAD 1.1 as JSON.

python evaluate-v1.1.py dev-v1.1.json predictions.json
"""

import argparse
import json
import sys

from utils import squad_metrics


def main():
    parser = argparse.ArgumentParser(description="Evaluation for SQuAD 1.1")
    parser.add_argument("dataset_file", help="SQuAD JSON")
    parser.add_argument("prediction_file", help="question id -> answer, as JSON")
    args = parser.parse_args()
    with open(args.dataset_file, encoding="utf-8") as file:
        dataset = json.load(file)
    if dataset["version"] != "1.1":
        print(f"Evaluation expects v-1.1, but got v-{dataset['version']}", file=sys.stderr)
    with open(args.prediction_file, encoding="utf-8") as file:
        answers = json.load(file)
    print(json.dumps(squad_metrics.evaluate(dataset["data"], answers)))


if __name__ == "__main__":
    main()
