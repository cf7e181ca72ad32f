from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.standin import records
from tests.standin.conftest import Pretrained
from tests.standin.runner import CONFIG, STANDIN, Bench, dllog, weights

pytestmark = pytest.mark.tensorflow


def test_the_loss_goes_down(pretrained: Pretrained) -> None:
    logged = dllog(Path(f"{pretrained.output}.json"))
    # Upstream counts iterations from one, so 12 updates are the iterations 2 to 13.
    assert [line["step"] for line in logged] == list(range(2, 14))
    assert logged[-1]["mlm_loss"] < logged[0]["mlm_loss"] - 0.1
    assert logged[0]["total_loss"] == pytest.approx(logged[0]["mlm_loss"] + logged[0]["nsp_loss"])


def test_a_log_line_has_upstreams_keys(pretrained: Pretrained) -> None:
    assert set(dllog(Path(f"{pretrained.output}.json"))[0]) == {
        *("step", "throughput_train", "mlm_loss", "nsp_loss", "total_loss"),
        *("avg_loss_step", "learning_rate"),
    }


def test_the_run_ends_with_its_throughput(pretrained: Pretrained) -> None:
    assert re.search(r"Total Training Time = [\d.]+ for Sentences = 48", pretrained.text)
    assert re.search(
        r"Throughput Average \(sentences/sec\) with overhead = [\d.]+", pretrained.text
    )


def test_the_two_newest_checkpoints_are_kept(pretrained: Pretrained) -> None:
    names = {path.name for path in pretrained.output.iterdir() if "tfevents" not in path.name}
    parts = ("index", "meta", "data-00000-of-00001")
    assert names == {
        *("checkpoint", "graph.pbtxt"),
        *(f"model.ckpt-{step}.{part}" for step in (8, 12) for part in parts),
    }


def test_variables_have_the_names_of_googles_bert(pretrained: Pretrained) -> None:
    shapes = {name: value.shape for name, value in weights(pretrained.output).items()}
    trained = {name for name in shapes if not re.search("adam_|global_step", name)}
    layer = {
        f"{block}/{part}"
        for block in ("attention/output/dense", "intermediate/dense", "output/dense")
        for part in ("kernel", "bias")
    }
    layer |= {
        f"attention/self/{name}/{part}"
        for name in ("query", "key", "value")
        for part in ("kernel", "bias")
    }
    layer |= {
        f"{block}/LayerNorm/{part}"
        for block in ("attention/output", "output")
        for part in ("gamma", "beta")
    }
    assert trained == {
        *("bert/embeddings/word_embeddings", "bert/embeddings/position_embeddings"),
        *("bert/embeddings/token_type_embeddings", "bert/pooler/dense/kernel"),
        *("bert/embeddings/LayerNorm/gamma", "bert/embeddings/LayerNorm/beta"),
        *(f"bert/encoder/layer_{number}/{name}" for number in (0, 1) for name in layer),
        *("bert/pooler/dense/bias", "cls/predictions/output_bias"),
        *("cls/predictions/transform/dense/kernel", "cls/predictions/transform/dense/bias"),
        *("cls/predictions/transform/LayerNorm/gamma", "cls/predictions/transform/LayerNorm/beta"),
        *("cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias"),
    }
    assert shapes["cls/seq_relationship/output_weights"] == (2, 32)
    assert shapes["bert/embeddings/word_embeddings"] == (200, 32)


def test_two_ranks_train_one_model_on_packed_data_from_phase_1s_checkpoint(
    pretrained: Pretrained,
) -> None:
    import numpy as np

    pytest.importorskip("horovod.tensorflow")
    bench = pretrained.bench
    data = records.write_directory(
        bench.home / "packed", length=64, predictions=10, pack=True, seed=3
    )
    output = bench.home / "phase2"
    result = bench.pretrain(
        data,
        output,
        *("--max_seq_length=64", "--max_predictions_per_seq=10", "--num_train_steps=3"),
        *("--num_accumulation_steps=4", "--allreduce_post_accumulation=True"),
        f"--init_checkpoint={pretrained.output / 'model.ckpt-12'}",
        ranks=2,
    )
    assert result.returncode == 0, result.stdout[-4000:]

    first, second = weights(output), weights(output / "worker_1")
    assert first["global_step"] == 3
    for name, value in first.items():
        if not name.endswith("/accum"):  # a rank's own sum, before the average
            np.testing.assert_array_equal(value, second[name], err_msg=name)

    logged = dllog(Path(f"{output}.0.json"))
    fresh = dllog(Path(f"{pretrained.output}.json"))
    assert logged[0]["mlm_loss"] < fresh[0]["mlm_loss"] - 0.1
    # The rate is for one rank; decay is by the root, and the warm-up is over after one step.
    assert float(logged[0]["learning_rate"]) == pytest.approx(2 * 0.02 * (2 / 3) ** 0.5)
    # 4 steps of 4 records became 2, as a pack holds 2 sequences.
    assert "for Sentences = 96" in result.stdout  # 3 updates * 2 ranks * 2 steps * 4 packs * 2


def test_ranks_and_accumulation_and_batch_multiply_to_one_global_batch(bench: Bench) -> None:
    import random

    import numpy as np

    pytest.importorskip("horovod.tensorflow")
    # Two records with as many masked words each, so that a mean of means is the mean. A file
    # holds one of them four times: whatever a rank reads of its file is the same batch.
    rng = random.Random(5)
    drawn = (records.unpacked(rng, 64, 8) for _ in range(100))
    one, other = [record for record in drawn if sum(record["masked_lm_weights"]) == 8][:2]
    data = bench.home / "two_records"
    records.write(data / "a.tfrecord", [one] * 4)
    records.write(data / "b.tfrecord", [other] * 4)
    # Small weights, so that no gradient is long enough to be clipped, and no dropout.
    config = bench.home / "small_weights.json"
    text = json.dumps({**CONFIG, "initializer_range": 0.0005})
    config.write_text(text.replace("0.1", "0.0"))

    gradients = []
    for name, batch, steps, ranks in (
        ("batch", 8, 1, None),
        ("accumulation", 4, 2, None),
        ("ranks", 4, 1, 2),
        ("all", 2, 2, 2),
    ):
        output = bench.home / f"global_batch_{name}"
        start = bench.home / "global_batch_batch" / "model.ckpt-0"
        result = bench.pretrain(
            data,
            output,
            *(f"--train_batch_size={batch}", f"--num_accumulation_steps={steps}"),
            *("--num_train_steps=1", "--num_warmup_steps=0"),
            *("--max_seq_length=64", "--max_predictions_per_seq=8"),
            *(f"--bert_config_file={config}", "--allreduce_post_accumulation=True"),
            *([f"--init_checkpoint={start}"] if gradients else []),
            *([] if ranks else ["--deterministic_run"]),
            ranks=ranks,
        )
        assert result.returncode == 0, result.stdout[-4000:]
        momentum = {k: v for k, v in weights(output).items() if k.endswith("adam_m")}
        gradients.append(10.0 * np.concatenate([momentum[key].ravel() for key in sorted(momentum)]))

    assert 0.1 < np.linalg.norm(gradients[0]) < 1.0
    for other_way in gradients[1:]:
        np.testing.assert_allclose(other_way, gradients[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--no_such_flag=1"], "Unknown command line flag 'no_such_flag'"),
        (["--do_train=False"], "At least one of `do_train` or `do_eval` must be True."),
        (["--amp", "--manual_fp16"], "AMP and Manual Mixed Precision Training are both activated"),
        (["--amp"], "--noamp"),
        (["--max_seq_length=65"], "Cannot use sequence length 65"),
    ],
)
def test_flags_that_upstream_refuses_are_refused(
    bench: Bench, flags: list[str], words: str
) -> None:
    data = bench.home / "any"
    data.mkdir(exist_ok=True)
    result = bench.pretrain(data, bench.home / "refused", *flags)
    assert result.returncode == 1
    assert words in result.stdout


def test_a_missing_required_flag_is_refused(bench: Bench) -> None:
    result = bench.run("run_pretraining.py", "--do_train", "--output_dir=x")
    assert result.returncode == 1
    assert "--bert_config_file must have a value other than None" in result.stdout


def test_packed_data_that_leaves_no_accumulation_step_is_refused(bench: Bench) -> None:
    data = records.write_directory(
        bench.home / "few", length=32, predictions=5, pack=True, records=1
    )
    result = bench.pretrain(data, bench.home / "refused")
    assert result.returncode == 1
    assert "num_accumulation_steps becomes 0" in result.stdout


def test_a_finished_run_is_not_trained_again(pretrained: Pretrained) -> None:
    result = pretrained.bench.pretrain(
        pretrained.data, pretrained.output, "--num_train_steps=12", "--dllog_path=again.json"
    )
    assert result.returncode == 1
    assert "Nothing to train" in result.stdout


def test_evaluation_fails_as_in_upstream_until_its_missing_argument_is_there(
    pretrained: Pretrained, tmp_path: Path
) -> None:
    import shutil

    flags = (
        *("--do_train=False", "--do_eval=True", f"--eval_files_dir={pretrained.data}"),
        *("--max_eval_steps=2", "--dllog_path=eval.json"),
    )
    result = pretrained.bench.pretrain(pretrained.data, pretrained.output, *flags)
    assert result.returncode == 1
    assert "missing 1 required positional argument: 'enable_packed_data_mode'" in result.stdout

    shutil.copytree(STANDIN, tmp_path / "standin")
    mended = Bench(tmp_path, tmp_path / "standin")
    script = mended.bert / "run_pretraining.py"
    line = "        is_training=False,\n"
    text = script.read_text()
    assert text.count(line) == 1
    script.write_text(text.replace(line, line + "        enable_packed_data_mode=False,\n"))
    result = mended.pretrain(pretrained.data, pretrained.output, *flags)
    assert result.returncode == 0, result.stdout[-4000:]
    scores = (pretrained.output / "eval_results.txt").read_text()
    assert "global_step = 12" in scores
    assert "masked_lm_accuracy = " in scores
