"""`bertkit logs`: whose, and whole, whatever happens to the connection."""

import threading
from itertools import islice

import pytest

from bertkit.kube.connect import connect
from bertkit.kube.kinds import POD
from bertkit.kube.logs import lines, of_rank, sources
from tests.kube.kubelet import kubelet
from tests.kube.played import Played
from tests.kube.wire import wire


@pytest.fixture
def played(api, new_namespace):
    return Played(api, new_namespace(api))


@pytest.fixture
def node(played):
    with kubelet(played.server, f"node-of-{played.namespace}") as node:
        yield node


@pytest.fixture
def logs(call, played):
    config = str(played.server.kubeconfig(namespace=played.namespace))
    return lambda *arguments: call("logs", *arguments, "--kubeconfig", config)


@pytest.fixture
def job(played, node):
    made = played.make()
    played.starts(made)
    for pod in (played.launcher(), "bert-worker-0", "bert-worker-1"):
        played.runs(pod, node.node)
        node.prints(pod, f"this is {pod}", "", "ümläut")
    return made


def test_the_launchers_log_is_printed_as_it_is_and_a_workers_when_asked_for(logs, job, played):
    assert logs("bert").out == f"this is {played.launcher()}\n\nümläut\n"
    assert logs("bert", "--worker", "1").out.startswith("this is bert-worker-1\n")
    everyone = logs("bert", "--all").out
    assert everyone.count("==>") == 3
    answer = logs("bert", "--worker", "7")
    assert answer.code == 2
    assert "there are 0, 1" in answer.err
    assert logs("bert", "--worker", "1", "--launcher").code == 2


def test_a_ranks_lines_are_those_that_mpirun_has_marked(logs, job, played, node):
    node.prints(played.launcher(), "[1,0]<stdout>: zero", "[1,10]<stderr>: ten", "mpirun says")
    node.prints(played.launcher(), "[prterun-bert-1@1,1]<stdout>: one, of Open MPI 5")
    assert logs("bert", "--rank", "10").out == "ten\n"
    assert logs("bert", "--rank", "1").out == "one, of Open MPI 5\n"
    assert list(of_rank(0, iter(["[1,0]<stdout>:no blank", "[1,0] other"]))) == ["no blank"]


def test_all_logs_are_kept_in_a_directory_of_the_jobs_own(logs, job, tmp_path):
    answer = logs("bert", "--save", str(tmp_path))
    assert answer.code == 0, answer.err
    (directory,) = tmp_path.iterdir()
    assert directory.name.startswith("bert-2")
    assert sorted(each.name for each in directory.iterdir()) == [
        "bert-launcher-x7k2p.log", "bert-worker-0.log", "bert-worker-1.log",
    ]  # fmt: skip
    assert (directory / "bert-worker-0.log").read_text() == "this is bert-worker-0\n\nümläut\n"


def test_following_goes_on_through_cut_connections_without_losing_or_doubling(job, played, node):
    pod = played.launcher()
    with wire(played.server.port) as cable:
        config = played.server.kubeconfig(namespace=played.namespace, server=cable.address)
        cluster = connect(kubeconfig=config)
        (source,) = sources(cluster.get(POD, pod))
        followed = lines(cluster, source, follow=True)
        seen = list(islice(followed, 3))
        # Lines of the very same moment are told apart by their number.
        node.prints(pod, "a", "b", at_once=True)
        seen += islice(followed, 2)
        cable.cut()
        node.prints(pod, "c", at_once=True)
        seen += islice(followed, 1)
        node.cut()  # the server's connection to the kubelet, this time
        node.prints(pod, "d", "d", "e")
        threading.Timer(0.3, lambda: (played.ends(pod, 0), node.ends(pod))).start()
        seen += followed
        assert cable.carried > 1
    assert seen == [f"this is {pod}", "", "ümläut", "a", "b", "c", "d", "d", "e"]
    assert sum("follow=true" in each for each in node.asked) >= 3


def test_a_pod_that_has_printed_nothing_says_why(logs, played):
    job = played.make()
    assert "has no launcher now" in logs("bert").err
    played.starts(job)
    played.unschedulable(played.launcher(), "0/2 nodes are available: 2 Insufficient cpu.")
    answer = logs("bert")
    assert answer.code == 3
    assert "waits for a node: not enough CPU cores are free (on 2 of 2 nodes)" in answer.err
