from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import ConfigError
from sidecar.settings import load_settings, require_kafka


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sidecar.yaml"
    path.write_text(text)
    return path


def test_the_default_writes_nothing() -> None:
    assert load_settings().mode == "dry-run"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "kafka: {bootstrap_servers: [a:1], group_id: g}\nehr: {base_url: http://x}\n")
    monkeypatch.setenv("SIDECAR_KAFKA__BOOTSTRAP_SERVERS", "b:1, c:2")
    settings = load_settings(path)
    assert settings.kafka.bootstrap_servers == ("b:1", "c:2")
    assert (settings.kafka.group_id, settings.ehr.base_url) == ("g", "http://x")


def test_a_comma_list_in_the_file_is_a_list_too(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "kafka: {topics: 'a,b'}")).kafka.topics == ("a", "b")


def test_the_file_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_CONFIG", str(write(tmp_path, "mode: live")))
    assert load_settings().mode == "live"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafka: {bootstrap_server: a}", r"kafka\.bootstrap_server.*did you mean 'bootstrap_servers'"),
        ("modus: live", "modus.*did you mean 'mode'"),
        ("mode: final", "setting 'mode'"),
        ("worker: {concurrency: 0}", r"worker\.concurrency"),
        ("[]", "must be a mapping"),
        ("a: [", r"sidecar\.yaml:1: not valid YAML"),
        ("kafka: 5", "setting 'kafka'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(write(tmp_path, text))


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_KAFKA__TOPIC", "x")
    with pytest.raises(ConfigError, match="did you mean 'SIDECAR_KAFKA__TOPICS'"):
        load_settings()


def test_a_wrong_value_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, "worker: {concurrency: hunter2}"))
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("given", "named", "not_named"),
    [
        ({"TOPICS": "", "BOOTSTRAP_SERVERS": "a:1"}, "SIDECAR_KAFKA__TOPICS", "BOOTSTRAP"),
        ({"TOPICS": "notes", "BOOTSTRAP_SERVERS": " , "}, "SIDECAR_KAFKA__BOOTSTRAP_SERVERS", "TOPICS"),
    ],
)
def test_a_worker_needs_brokers_and_topics(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str, not_named: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"SIDECAR_KAFKA__{name}", value)
    with pytest.raises(ConfigError, match=named) as caught:
        require_kafka(load_settings())
    assert not_named not in str(caught.value)


def test_brokers_and_topics_are_enough(tmp_path: Path) -> None:
    require_kafka(load_settings(write(tmp_path, "kafka: {topics: notes, bootstrap_servers: 'a:1'}")))
