"""Fetch Apache Kafka's broker, as Maven coordinates, into the user's cache.

    python -m tests.kafka.fetch 4.1.2 3.9.2

Done once a version: the stamp beside the jars holds the digest of pom.xml, and an unchanged one costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
FETCH_SECONDS = 300


class ToolMissing(Exception):
    """The message says what to install."""


def libs(version: str) -> Path:
    """Return the folder of the broker's jars, fetched where they are not there yet. Raises `ToolMissing`."""
    require("java", "openjdk-17-jre-headless")
    home = cache() / version
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / ".lock"):
        if _stamp_of(home) != _digest():
            _fetch(version, home)
    return home / "libs"


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ehr-draft-sidecar" / "kafka"


def require(tool: str, package: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise ToolMissing(f"the Kafka suite needs {tool}: apt-get install {package} (or any JDK 17 and Maven 3.8)")
    return found


def _fetch(version: str, home: Path) -> None:
    maven = require("mvn", "maven")
    part = home / "libs.part"
    shutil.rmtree(part, ignore_errors=True)
    command = [
        maven, "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies",
        "-DincludeScope=runtime", f"-Dkafka.version={version}", f"-DoutputDirectory={part}",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=FETCH_SECONDS)
    # Two versions in one folder would make one classpath, so the folder is replaced whole.
    shutil.rmtree(home / "libs", ignore_errors=True)
    part.rename(home / "libs")
    (home / "stamp").write_text(_digest(), encoding="ascii")


def _stamp_of(home: Path) -> str:
    stamp = home / "stamp"
    return stamp.read_text(encoding="ascii") if stamp.exists() else ""


def _digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let a second run wait for the first one's download."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(versions: list[str]) -> int:
    for version in versions:
        try:
            sys.stdout.write(f"{libs(version)}\n")
        except ToolMissing as error:
            sys.stderr.write(f"{error}\n")
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
