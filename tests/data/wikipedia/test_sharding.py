"""Files of text are of equal size, and the same articles give the same files."""

from bertkit.data.chance import below, seeded
from bertkit.data.wikipedia.sharding import Sharder


def sizes_of(sharder, articles):
    sizes = {}
    for size in articles:
        shard = sharder.place(size)
        sizes[shard] = sizes.get(shard, 0) + size
    return sizes


def test_shards_of_a_split_differ_by_one_article_at_most():
    rng = seeded("articles")
    articles = [50 + below(rng, 20_000) for _ in range(5000)]
    sizes = sizes_of(Sharder(8, 0.1, 1), articles)
    for split in ("training", "test"):
        of_split = [size for (name, _), size in sizes.items() if name == split]
        assert len(of_split) == 8
        assert max(of_split) - min(of_split) <= max(articles)


def test_the_test_files_have_their_share_of_the_text():
    sizes = sizes_of(Sharder(8, 0.1, 1), [1000] * 50_000)
    test = sum(size for (split, _), size in sizes.items() if split == "test")
    assert abs(test / sum(sizes.values()) - 0.1) < 0.001


def test_the_seed_decides_between_equal_shards():
    first, second = Sharder(8, 0.1, 1), Sharder(8, 0.1, 2)
    placed = [[sharder.place(10) for _ in range(100)] for sharder in (first, second)]
    assert placed[0] != placed[1]
    assert placed[0] == [place(10) for place in [Sharder(8, 0.1, 1).place] for _ in range(100)]
