"""Articles as sentences, dealt over shards of about the same size."""

import os
import random
import re

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]*[A-Z0-9])")


def sentences(article):
    """The sentences of an article. A rule of thumb; upstream uses NLTK's trained model."""
    return [sentence for sentence in SENTENCE_END.split(article.strip()) if sentence]


def shard(input_files, output_directory, prefix, n_training, n_test, fraction_test, seed):
    """Write training/PREFIX_training_N.txt and test/PREFIX_test_N.txt below the directory.

    A sentence a line and an empty line after each article, as create_pretraining_data wants it.
    """
    articles = []
    for path in input_files:
        with open(path, encoding="utf-8") as file:
            articles += [found for found in map(sentences, file) if found]
    if not articles:
        raise ValueError(f"No articles in {', '.join(input_files)}")
    random.Random(seed).shuffle(articles)
    held_back = int(len(articles) * fraction_test)
    for split, part, count in (
        ("training", articles[held_back:], n_training),
        ("test", articles[:held_back], n_test),
    ):
        directory = os.path.join(output_directory, split)
        os.makedirs(directory, exist_ok=True)
        # No empty shards, as a rank whose files hold no record would wait for one for ever,
        # and two articles in each, so that there is another to take a strange sentence from.
        sizes = [0] * min(count, (len(part) + 1) // 2)
        shards = [[] for _ in sizes]
        for article in part:
            smallest = sizes.index(min(sizes))
            shards[smallest].append(article)
            sizes[smallest] += len(article)
        for number, content in enumerate(shards):
            path = os.path.join(directory, f"{prefix}_{split}_{number}.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines("\n".join(article) + "\n\n" for article in content)
