"""Coverage-guided fuzzing of the envelopes: no message may raise anything but a dead letter's code.

    python -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris orjson
    PYTHONPATH=. /tmp/fuzz/bin/python benchmarks/fuzz_envelopes.py [--seconds N] [--keep DIR]

Atheris (wheels for CPython on Linux) is no dependency of the project. Starts
from the fixtures, mutates bytes and JSON structure in turn, strings and base64 that hold JSON included. Exits 1
and prints the input's file when something escapes.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris
import orjson

with atheris.instrument_imports(include=["sidecar"]):
    from sidecar.errors import DeadLetterEvent
    from sidecar.intake.envelope import lane_key, read_record
    from sidecar.intake.peek import SkipRules, peek
    from sidecar.intake.record import Record
    from sidecar.references import FHIR_ID, FHIR_TYPE

FIXTURES = Path(__file__).parent.parent / "tests/intake/fixtures"
PIECES = [orjson.loads(file.read_bytes()) for file in sorted(FIXTURES.rglob("*.json"))]
JUNK = [None, True, 0, -1, 2**63, 1e300, "", "{", "<a/>", "\ufeff{}", "\x00", "d", "%%%", "A/1", [], {}, [[]], {"": {}}]
CLOUD = (("ce_specversion", b"1.0"), ("ce_type", b"x.deleted.v1"), ("ce_subject", b"DocumentReference/9"))
GOOGLE = (("action", b"DeleteResource"), ("payloadType", b"FullResource"), ("versionId", b"\xff"))
HEADERS = ((), (), (), CLOUD, CLOUD[:2], GOOGLE, (*GOOGLE[:1], ("payloadType", b"NameOnly")), (("__op", b"d"),))
KEYS = (None, b"", b"Patient/p1", b'"DocumentReference/1"')
RULES = SkipRules(frozenset({("http://loinc.org", "18842-5")}), "urn:ehr-draft-sidecar:draft")
DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def read_one(data: bytes) -> None:
    """Read one input: the last byte picks headers and key, the rest is the value."""
    value, picks = data[:-1], data[-1] if data else 0
    record = Record("t", 0, 7, KEYS[picks // 8 % 4], value if picks < 248 else None, HEADERS[picks % 8])
    assert lane_key(record)
    try:
        events = read_record(record)
    except DeadLetterEvent:
        events = ()
    for event in events:
        assert FHIR_TYPE.fullmatch(event.resource_type)
        assert FHIR_ID.fullmatch(event.id)
    try:
        message = orjson.loads(value)
    except orjson.JSONDecodeError:
        return
    hint = peek(message, RULES)
    if hint is not None and record.value is not None and not record.headers:
        assert [(event.reference, event.retracted) for event in events] == [(hint.reference, False)]


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change the structure two times in three, else the bytes."""
    chance = random.Random(seed)  # noqa: S311 - a mutator, and libFuzzer gives the seed
    value, picks = data[:-1], data[-1:] or b"\0"
    if chance.random() < 1 / 3:
        return atheris.Mutate(data, len(data))
    try:
        message = orjson.loads(value)
    except orjson.JSONDecodeError:
        message = chance.choice(PIECES)
    for _ in range(chance.randint(1, 3)):
        message = change(message, chance)
    changed = orjson.dumps(message) + (picks if chance.random() < 0.8 else bytes([chance.randrange(256)]))
    return changed if len(changed) <= most else data


def change(value: object, chance: random.Random) -> object:
    """Walk down to a random place and replace, drop, double or swap what is there."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {other: inner for other, inner in value.items() if other != name}
        renamed = chance.choice(list(chance.choice(PIECES))) if chance.random() < 0.05 else name
        return {**value, renamed if isinstance(renamed, str) else name: change(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], change(value[place], chance), *value[place + chance.randint(0, 1) :]]
    if isinstance(value, str) and chance.random() < 0.7:
        return change_text(value, chance)
    return chance.choice(JUNK) if chance.random() < 0.5 else chance.choice(PIECES)


def change_text(text: str, chance: random.Random) -> str:
    """Change JSON inside a string, plain or base64; else cut or join the string."""
    try:
        return orjson.dumps(change(orjson.loads(text), chance)).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass
    try:
        inner = orjson.loads(base64.b64decode(text, validate=True))
        return base64.b64encode(orjson.dumps(change(inner, chance))).decode()
    except (ValueError, orjson.JSONEncodeError):
        place = chance.randint(0, len(text))
        return text[:place] + chance.choice(["", "/", "DocumentReference/1", "\u0130", " "]) + text[place + 1 :]


def fuzz(seconds: int, folder: str) -> None:
    for number, piece in enumerate(PIECES):
        (Path(folder) / f"{number:03}").write_bytes(orjson.dumps(piece) + b"\0")
    options = [f"-max_total_time={seconds}", "-max_len=16384", "-timeout=10", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, folder], read_one, custom_mutator=mutate)
    atheris.Fuzz()


def report(seconds: int, keep: str | None) -> int:
    """Fuzz in a process of its own, because libFuzzer ends the one that it runs in."""
    folder = keep or tempfile.mkdtemp(prefix="fuzz-envelopes-")
    Path(folder).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    command = [sys.executable, __file__, "--child", folder, "--seconds", str(seconds)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    done = DONE.search(child.stderr)
    crashes = [str(file) for pattern in ("crash-*", "timeout-*", "oom-*") for file in Path(folder).glob(pattern)]
    summary = {
        "runs": int(done[1]) if done else None,
        "seconds": round(time.monotonic() - started),
        "inputs_kept": sum(1 for _ in Path(folder).iterdir()),
        "crashes": crashes,
    }
    print(json.dumps(summary))
    if child.returncode or crashes or done is None:
        print(child.stderr[-4000:], file=sys.stderr)
        return 1
    if keep is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", help="folder for the inputs, to go on from another time")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        fuzz(given.seconds, given.child)
    sys.exit(report(given.seconds, given.keep))
