from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.standin import tasks
from tests.standin.conftest import Pretrained
from tests.standin.runner import Bench, weights

pytestmark = pytest.mark.tensorflow


def test_two_ranks_fine_tune_on_mrpc(pretrained: Pretrained) -> None:
    import numpy as np

    pytest.importorskip("horovod.tensorflow")
    bench = pretrained.bench
    output = bench.home / "mrpc"
    result = bench.run(
        "run_classifier.py",
        *("--task_name=MRPC", "--do_train=true", "--do_eval=true", "--do_predict=true"),
        f"--data_dir={tasks.write_mrpc(bench.home / 'MRPC', 33)}",
        f"--vocab_file={tasks.write_vocab(bench.home / 'vocab.txt')}",
        f"--bert_config_file={bench.config}",
        f"--init_checkpoint={pretrained.output / 'model.ckpt-12'}",
        f"--output_dir={output}",
        *("--max_seq_length=24", "--train_batch_size=4", "--use_horovod=true"),
        ranks=2,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    assert "  Num steps = 12" in result.stdout  # 33 pairs / 2 ranks / batch 4 * 3 epochs

    assert {path.name for path in output.iterdir()} == {
        *("worker_0", "worker_1", "train.tf_record_0", "train.tf_record_1"),
        *("eval.tf_record", "predict.tf_record", "eval_results.txt", "test_results.tsv"),
    }
    lines = (output / "eval_results.txt").read_text().splitlines()
    scores = {name: float(value) for name, value in (line.split(" = ") for line in lines)}
    assert set(scores) == {"accuracy", "global_step", "loss"}
    assert scores["global_step"] == 12
    assert 0.5 < scores["accuracy"] <= 1.0
    shares = [
        [float(share) for share in line.split("\t")]
        for line in (output / "test_results.tsv").read_text().splitlines()
    ]
    assert len(shares) == 33
    assert all(sum(pair) == pytest.approx(1.0, abs=1e-4) for pair in shares)

    first, second = weights(output / "worker_0"), weights(output / "worker_1")
    np.testing.assert_array_equal(first["output_weights"], second["output_weights"])


def test_squad_is_trained_answered_and_scored(pretrained: Pretrained) -> None:
    bench = pretrained.bench
    output = bench.home / "squad"
    data = tasks.write_squad(bench.home / "train-v1.1.json", 12)
    result = bench.run(
        "run_squad.py",
        *("--do_train=true", "--do_predict=true", "--do_eval=true", "--cpu_only"),
        *(f"--train_file={data}", f"--predict_file={data}", f"--output_dir={output}"),
        f"--vocab_file={tasks.write_vocab(bench.home / 'vocab.txt')}",
        f"--bert_config_file={bench.config}",
        *("--max_seq_length=48", "--doc_stride=16", "--max_query_length=8"),
        *("--train_batch_size=8", "--num_train_epochs=20", "--learning_rate=0.002"),
    )
    assert result.returncode == 0, result.stdout[-4000:]
    assert (output / "train.tf_record").exists()
    assert (output / "model.ckpt-30.index").exists()  # 12 questions / batch 8 * 20 epochs

    questions = json.loads(data.read_text())["data"][0]["paragraphs"]
    answers = json.loads((output / "predictions.json").read_text())
    nbest = json.loads((output / "nbest_predictions.json").read_text())
    assert set(answers) == {f"q{number}" for number in range(12)}
    for number, paragraph in enumerate(questions):
        candidates = nbest[f"q{number}"]
        assert candidates[0]["text"] == answers[f"q{number}"]
        assert all(candidate["text"] in paragraph["context"] for candidate in candidates)
        assert sum(c["probability"] for c in candidates) == pytest.approx(1.0)

    scored = bench.run("evaluate-v1.1.py", str(data), str(output / "predictions.json"))
    scores = json.loads(scored.stdout)
    assert set(scores) == {"exact_match", "f1"}
    assert f"Final accuracy {scores['f1'] / 100.0}" in result.stdout


def test_a_right_answer_scores_100_whatever_its_article_and_case(
    bench: Bench, tmp_path: Path
) -> None:
    data = tasks.write_squad(tmp_path / "dev.json", 2)
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps({"q0": "the ÉMILE!", "q1": "Émile fox"}))
    scored = bench.run("evaluate-v1.1.py", str(data), str(predictions))
    assert json.loads(scored.stdout) == {
        "exact_match": 50.0,
        "f1": pytest.approx(100.0 * (1 + 2 / 3) / 2),
    }


@pytest.mark.parametrize(
    ("script", "flags", "words"),
    [
        ("run_classifier.py", ["--cpu_only", "--use_horovod=true"], "exclude each other"),
        ("run_classifier.py", ["--do_train=false"], "At least one of `do_train`, `do_eval`"),
        ("run_classifier.py", ["--task_name=snli"], "Task not found: snli"),
        ("run_classifier.py", ["--do_train=false", "--do_eval=true"], "Without --do_train"),
        ("run_squad.py", [], "`train_file` must be specified"),
        ("run_squad.py", ["--train_file=x", "--max_seq_length=128"], "only trained up to"),
        ("run_squad.py", ["--train_file=x", "--max_seq_length=60"], "must be greater than"),
    ],
)
def test_what_upstream_refuses_is_refused(
    bench: Bench, script: str, flags: list[str], words: str
) -> None:
    common = ["--do_train=true", f"--vocab_file={bench.config}", "--output_dir=refused"]
    if script == "run_classifier.py":
        common += ["--task_name=mrpc", "--data_dir=.", "--max_seq_length=32"]
    result = bench.run(script, *common, f"--bert_config_file={bench.config}", *flags)
    assert result.returncode == 1
    assert words in result.stdout
