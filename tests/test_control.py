from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from sidecar.control import CHECK_SECONDS, ControlFile, Pauses, read_pauses
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError


class Site:
    """A control file and a clock; every write has a time of its own, as with a person at the keyboard."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.writes = path, 0.0, 0
        self.control = ControlFile(path, clock=lambda: self.now)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.writes += 1
        os.utime(self.path, (self.writes, self.writes))

    def pauses(self) -> Pauses:
        self.now += CHECK_SECONDS
        return self.control.pauses


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "control.yaml")


def test_all_three_pauses_are_read(site: Site) -> None:
    site.write("pause_all: false\npause_tasks: [summary]\npause_departments: [cardiology, 0012]\n")
    assert site.pauses() == Pauses(False, frozenset({TaskKind.SUMMARY}), frozenset({"cardiology", "0012"}))


def test_a_pause_holds_its_task_or_its_department_and_no_other() -> None:
    pauses = Pauses(tasks=frozenset({TaskKind.SUMMARY}), departments=frozenset({"icu"}))
    assert pauses.hold(TaskKind.SUMMARY, None)
    assert pauses.hold(TaskKind.GLOSSARY, "icu")
    assert not pauses.hold(TaskKind.GLOSSARY, "ICU")
    assert not pauses.hold(TaskKind.GLOSSARY, None)
    assert Pauses(everything=True).hold(TaskKind.GLOSSARY, None)


def test_a_change_is_seen_and_looked_for_at_most_every_few_seconds(site: Site) -> None:
    site.write("pause_all: true")
    assert site.pauses().everything
    site.write("pause_all: false")
    assert site.control.pauses.everything
    assert not site.pauses().everything


def test_no_path_and_no_file_pause_nothing(site: Site) -> None:
    assert ControlFile(None).pauses == Pauses()
    assert site.pauses() == Pauses()


@pytest.mark.parametrize(
    "wrong",
    ["pause_al: true", "pause_tasks: [sumary]", "pause_tasks: summary", "[", "[]", "pause_all: perhaps", "\x00"],
)
def test_wrong_content_keeps_the_last_good_one_and_is_logged_once_as_a_code(
    site: Site, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.write("pause_departments: [icu]")
    before = site.pauses()
    caplog.clear()
    site.write(wrong)
    assert (site.pauses(), site.pauses()) == (before, before)
    (logged,) = caplog.records
    assert (logged.levelno, logged.__dict__["code"]) == (logging.ERROR, "control-invalid")
    site.write("pause_all: true")
    assert site.pauses().everything


def test_wrong_content_at_start_pauses_everything_until_it_is_right(site: Site) -> None:
    site.write("pause_tasks: [sumary]")
    assert site.pauses().everything
    site.write("")
    assert site.pauses() == Pauses()


def test_a_file_that_went_ends_no_pause(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write("pause_all: true")
    site.pauses()
    site.path.unlink()
    assert site.pauses().everything
    assert caplog.records[-1].__dict__["code"] == "control-missing"


def test_the_message_for_people_names_the_key_and_the_known_tasks(site: Site) -> None:
    site.write("pause_tasks: [sumary]")
    with pytest.raises(ConfigError, match=r"control\.yaml: wrong at pause_tasks.*summary"):
        read_pauses(site.path)
