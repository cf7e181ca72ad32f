"""The steps from a Wikipedia dump to TFRecords, each an --action.

Small dumps only: everything is done in one process, and a step's input fits into memory.
"""

import argparse
import os

from TensorFlow.nlp.bert.data_preprocessing import TextSharding, WikicorpusTextFormatting
from TensorFlow.nlp.bert.data_preprocessing.GooglePretrainedWeightDownloader import (
    GooglePretrainedWeightDownloader,
)
from TensorFlow.nlp.bert.data_preprocessing.tokenization import FullTokenizer
from TensorFlow.nlp.bert.data_preprocessing.WikiDownloader import WikiDownloader


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Preprocessing for BERT. The stand-in knows the English Wikipedia only."
    )
    parser.add_argument(
        "--action",
        required=True,
        choices=("download", "text_formatting", "sharding", "create_tfrecord_files"),
    )
    parser.add_argument(
        "--dataset", required=True, choices=("wikicorpus_en", "google_pretrained_weights")
    )
    parser.add_argument("--input_files", help="text with an article a line, comma separated")
    parser.add_argument("--n_training_shards", type=int, default=1472)
    parser.add_argument("--n_test_shards", type=int, default=1472)
    parser.add_argument("--fraction_test_set", type=float, default=0.1)
    parser.add_argument("--vocab_file", help="the vocabulary, a token a line")
    parser.add_argument("--do_lower_case", type=int, default=1, help="0 for a cased vocabulary")
    parser.add_argument("--max_seq_length", type=int, default=512)
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--masked_lm_prob", type=float, default=0.15)
    parser.add_argument("--random_seed", type=int, default=12345)
    parser.add_argument("--dupe_factor", type=int, default=5, help="times each text is used")
    return parser.parse_args()


def main():
    args = parse_arguments()
    home = os.environ.get("BERT_PREP_WORKING_DIR")
    if not home:
        raise SystemExit("bertPrep: BERT_PREP_WORKING_DIR must name the working directory")
    download = os.path.join(home, "download")
    formatted = os.path.join(home, "formatted_one_article_per_line")
    sharded = os.path.join(home, "sharded", args.dataset)
    tfrecord = os.path.join(home, "tfrecord", f"seq_len_{args.max_seq_length}", args.dataset)
    one_per_line = os.path.join(formatted, f"{args.dataset}_one_article_per_line.txt")

    if args.action == "download":
        os.makedirs(download, exist_ok=True)
        if args.dataset == "google_pretrained_weights":
            GooglePretrainedWeightDownloader(download).download()
        else:
            WikiDownloader("en", download).download()
    elif args.dataset == "google_pretrained_weights":
        raise SystemExit("bertPrep: google_pretrained_weights can only be downloaded")
    elif args.action == "text_formatting":
        os.makedirs(formatted, exist_ok=True)
        dump = os.path.join(download, args.dataset, f"{args.dataset}.xml")
        WikicorpusTextFormatting.write_one_article_per_line(dump, one_per_line)
    elif args.action == "sharding":
        TextSharding.shard(
            args.input_files.split(",") if args.input_files else [one_per_line],
            sharded,
            args.dataset,
            args.n_training_shards,
            args.n_test_shards,
            args.fraction_test_set,
            args.random_seed,
        )
    else:
        create_tfrecord_files(args, sharded, tfrecord)


def create_tfrecord_files(args, sharded, tfrecord):
    # Only this action needs TensorFlow.
    from TensorFlow.nlp.bert.data_preprocessing import create_pretraining_data

    if not args.vocab_file:
        raise SystemExit("bertPrep: create_tfrecord_files needs --vocab_file")
    tokenizer = FullTokenizer(args.vocab_file, bool(args.do_lower_case))
    for split in ("training", "test"):
        os.makedirs(os.path.join(tfrecord, split), exist_ok=True)
        for name in sorted(os.listdir(os.path.join(sharded, split))):
            source = os.path.join(sharded, split, name)
            target = os.path.join(tfrecord, split, name[: -len(".txt")] + ".tfrecord")
            count = create_pretraining_data.write_records(tokenizer, source, target, args)
            print(f"{target}: {count} records", flush=True)


if __name__ == "__main__":
    main()
