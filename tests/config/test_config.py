"""Settings: one order of precedence, where each value comes from, and files that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from bertkit.config import read_file, resolve, site_names, site_profile, variable
from bertkit.config import schema as schemas
from bertkit.errors import UsageProblem


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's own file, in a place of the test's."""
    return tmp_path / "config.yaml"


def environment(own: Path, **more: str) -> Dict[str, str]:
    return {"BERTKIT_CONFIG": str(own), "USER": "alice", **more}


def test_option_environment_file_site_and_default_are_taken_in_this_order(own: Path) -> None:
    own.write_text("site: voyager\nnamespace: from-file\nkeep_seconds: 60\nimage: from/file\n")
    environ = environment(own, BERTKIT_NAMESPACE="from-environment", BERTKIT_IMAGE="from/env")
    resolved = resolve(environ, {"image": "from/option"})
    settings = resolved.settings()
    assert settings.image == "from/option"
    assert settings.namespace == "from-environment"
    assert settings.keep_seconds == 60
    assert settings.service_account == "alice"
    assert settings.kind == "job"
    assert {
        key: resolved.sources[key]
        for key in ("image", "namespace", "keep_seconds", "service_account", "kind", "user")
    } == {
        "image": "option",
        "namespace": "BERTKIT_NAMESPACE",
        "keep_seconds": str(own),
        "service_account": "site voyager",
        "kind": "default",
        "user": "login name",
    }


def test_the_site_is_chosen_in_the_same_order(own: Path) -> None:
    own.write_text("site: voyager\n")
    assert resolve(environment(own), {}).values["site"] == "voyager"
    environ = environment(own, BERTKIT_SITE="generic")
    assert resolve(environ, {}).sources["site"] == "BERTKIT_SITE"
    assert resolve(environ, {}, site="voyager").sources["site"] == "option"
    own.unlink()
    assert resolve(environment(own), {}).values["site"] == "generic"


def test_mappings_are_merged_and_lists_are_taken_whole(own: Path) -> None:
    own.write_text(
        "site: voyager\n"
        "images: {1.9.0: mine}\n"
        "resources: {card: {memory: 48G}}\n"
        "volumes: [{name: a, mount: /voyager, host_path: /v}]\n"
    )
    resolved = resolve(environment(own), {"release": "1.9.0"})
    settings = resolved.settings()
    assert settings.image == "mine"
    assert settings.resources["card"].memory == "48G"
    assert settings.resources["card"].cpu == "6"
    assert [volume.name for volume in settings.volumes] == ["a"]
    assert resolved.sources["resources.card.memory"] == str(own)
    assert resolved.sources["resources.card.cpu"] == "site voyager"


def test_names_are_filled_in_wherever_they_stand(own: Path) -> None:
    settings = resolve(environment(own), {"user": "bob", "release": "1.12.0"}, site="voyager")
    filled = settings.settings()
    assert filled.namespace == "bob-restricted"
    assert filled.repo == "/voyager/ceph/users/bob/bertkit/Model-References-1.12.0"
    assert "${" not in json.dumps(settings.values)


def test_a_name_is_asked_for_only_where_a_setting_needs_one(own: Path) -> None:
    environ = {"BERTKIT_CONFIG": str(own)}
    assert resolve(environ, {"image": "a"}, site="generic").settings().user is None
    with pytest.raises(UsageProblem, match="say --user NAME"):
        resolve(environ, {}, site="voyager")


def test_a_profile_of_ones_own_is_named_by_its_file(tmp_path: Path, own: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("namespace: lab\nimage: ${users}\n")
    with pytest.raises(UsageProblem, match=r"\$\{users\} is not known"):
        resolve(environment(own), {}, site=str(path))
    path.write_text("namespace: lab\n")
    resolved = resolve(environment(own), {}, site=str(path))
    assert (resolved.values["site"], resolved.sources["namespace"]) == ("lab", "site lab")
    with pytest.raises(UsageProblem, match=r"the settings lack release, volumes, paths\.repo"):
        resolved.settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("namespce: a", "line 1: namespce: no such setting; did you mean namespace?"),
        ("paths: {datum: /a}", "paths.datum: no such setting; did you mean data?"),
        ("volumes:\n  - {name: a, mount: /a, hostpath: /b}", "line 2: volumes[0].hostpath"),
        ("volumes: [{name: a}]", "volumes[0]: lacks mount"),
        ("volumes: [{name: A_b, mount: /a}]", "volumes[0].name: 'A_b' is not written"),
        ("release: 1.13", "release: wants a text (quote it), not 1.13"),
        ("kind: cronjob", "kind: is 'cronjob'; it can be 'job', 'pod'"),
        ("mpijob_version: [v1]", "mpijob_version: is ['v1']; it can be"),
        ("resources: {card: {memory: 9999999999999999Gi}}", "resources.card.memory"),
        ("keep_seconds: true", "keep_seconds: wants a whole number"),
        ("keep_seconds: -1", "is below 0"),
        ("paths: {data: relative}", "paths.data: 'relative' is not written"),
        ("namespace: ''", "is empty"),
        ('image: "a\\nb"', "cannot be printed"),
        ("env: {A: 1}", "env.A: wants a text"),
        ("- a", "wants a mapping"),
        ("a: 1\n---\nb: 2", "one YAML document"),
        ("site: &x a\nuser: *x", "anchors"),
    ],
)
def test_what_is_no_settings_file_is_refused_with_line_and_place(
    text: str, words: str, own: Path
) -> None:
    own.write_text(text)
    with pytest.raises(UsageProblem) as caught:
        resolve(environment(own), {})
    assert caught.value.exit_code == 2
    assert words in str(caught.value)


def test_an_image_of_ones_own_has_bertkit_and_the_repository_in_it(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_CONFIG", str(own))
    said = ["config", "init", "--site", "voyager", "--user", "bob", "--image", "r/bertkit:1.13.0"]
    assert call(capsys, *said)[0] == 0
    settings = resolve(environment(own), {}).settings()
    assert (settings.image, settings.program, settings.install_from, settings.repo) == (
        "r/bertkit:1.13.0", "bertkit", None, "/opt/Model-References",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ("[{name: a, mount: /a}]", "exactly one of"),
        ("[{name: a, mount: /a, claim: b, empty_dir: true}]", "exactly one of"),
        ("[{name: a, mount: /a, claim: b}, {name: a, mount: /b, claim: b}]", "the name a"),
        ("[{name: a, mount: /a/, claim: b}, {name: b, mount: /a, claim: b}]", "the mount /a"),
    ],
)
def test_volumes_that_contradict_are_refused(volumes: str, words: str, own: Path) -> None:
    own.write_text(f"image: a\nvolumes: {volumes}\n")
    with pytest.raises(UsageProblem, match=words):
        resolve(environment(own), {}).settings()


def test_every_scalar_has_a_variable_of_its_own_that_nothing_else_uses() -> None:
    names = [variable(place) for place in schemas.scalars()]
    assert "BERTKIT_PATHS_DATA" in names
    assert len(names) == len(set(names))
    taken = {"BERTKIT_REPO", "BERTKIT_DATA", "BERTKIT_OUTPUT", "BERTKIT_UPSTREAM", "BERTKIT_PYTHON",
             "BERTKIT_SHARES", "BERTKIT_CONFIG"}  # fmt: skip
    assert not taken & set(names)


def test_a_variable_that_is_no_fit_value_is_named(own: Path) -> None:
    with pytest.raises(UsageProblem, match="BERTKIT_MPIJOB_VERSION"):
        resolve(environment(own, BERTKIT_MPIJOB_VERSION="v3"), {})


@pytest.mark.parametrize("name", site_names())
def test_the_shipped_profiles_are_fit(name: str) -> None:
    _, profile = site_profile(name)
    assert schemas.problems(profile) == []


@pytest.mark.parametrize(
    "value",
    [
        {}, {"namespace": "a"}, {"namespce": "a"}, {"kind": "x"}, {"keep_seconds": 1.5},
        {"keep_seconds": True}, {"volumes": [{"name": "a", "mount": "/a"}]},
        {"volumes": [{"name": "a"}]}, {"volumes": {}}, {"env": {"A": 1}}, {"images": {"a": ""}},
        {"resources": {"card": {"cpu": "6"}}}, {"resources": {"card": {"cpu": "six"}}},
        {"resources": {"cards": {}}}, {"operator_features": ["x"]}, [], "a", None,
    ],
)  # fmt: skip
def test_editors_that_use_the_schema_say_the_same(value: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    fits = jsonschema.Draft7Validator(dict(schemas.schema())).is_valid(value)
    assert fits == (schemas.problems(value) == [])


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> List[Any]:
    code = exit_code_of(bertkit, list(arguments))
    return [code, *capsys.readouterr()]


def test_init_writes_a_file_that_show_then_reads(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_CONFIG", str(own))
    said = ["config", "init", "--site", "voyager", "--user", "bob"]
    code, out, _ = call(capsys, *said, "--dry-run")
    assert (code, own.exists()) == (0, False)
    assert call(capsys, *said)[0] == 0
    assert own.read_text() == out
    assert read_file(own) == {"site": "voyager", "user": "bob"}
    assert call(capsys, *said)[0] == 0
    code, _, err = call(capsys, "config", "init", "--site", "generic")
    assert code == 2
    assert "--force" in err
    code, out, _ = call(capsys, "config", "show")
    assert code == 0
    assert f"({own})" in next(line for line in out.splitlines() if line.startswith("user "))
    code, out, _ = call(capsys, "config", "show", "--json")
    shown = json.loads(out)
    assert shown["values"]["namespace"] == "bob-restricted"
    assert shown["sources"]["namespace"] == "site voyager"
    assert call(capsys, "config", "check")[0] == 0
    own.write_text("usr: bob\n")
    code, _, err = call(capsys, "config", "check", str(own))
    assert code == 2
    assert "did you mean user?" in err
