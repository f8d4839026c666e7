"""YAML that people edit: read with line numbers, checked against a JSON Schema.

Errors name file, line and what to do, because the reader of a mapping error is a hospital's analyst
who has no Python at hand.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import yaml

from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jsonschema.exceptions import ValidationError

Place: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of a file to one value."""

Marks: TypeAlias = dict[Place, int]
"""The line, from 1, on which each value or key of a file stands."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads the large lexicons ten times faster


class _Loader(_Base):  # type: ignore[misc]  # chosen at import: C or Python, one interface
    """Scalars as in YAML 1.2: `no`, `NO` and `2026-01-01` stay text, a code such as `0012` too."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9]\d*)$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9]\d*)\.\d+$"), list("-0123456789"))

_TYPE_NAMES = {
    "string": "text (put it in quotes)",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a block of keys",
    "null": "null",
}


def load_yaml(path: Path) -> tuple[Any, Marks]:
    """Return the content of a YAML file and the line of every value in it.

    Only plain data: no tags, no anchors, no repeated keys. Raises `ConfigError` with file and line.
    """
    loader = _Loader(_read_text(path))
    try:
        node = loader.get_single_node()
        marks: Marks = {(): 1}
        data = _Builder(loader, path, marks).build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise mapping_error(path, line, f"this is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise mapping_error(path, 1, "this is not YAML: it holds characters that YAML does not allow") from None
    finally:
        loader.dispose()
    return data, marks


def validate(data: object, schema: Path, shown: Path | str, marks: Mapping[Place, int]) -> None:
    """Raise `ConfigError` at the first line that breaks the JSON Schema (2020-12) in the file `schema`.

    `shown` is the file's name in the message. A schema may refer to others of its folder, never to a network.
    """
    import jsonschema  # noqa: PLC0415 - 100 ms of import that `sidecar --help` does not need
    import referencing  # noqa: PLC0415 - comes with jsonschema

    def neighbour(uri: str) -> referencing.Resource[Any]:
        return referencing.Resource.from_contents(_load_schema(schema.parent / uri))

    registry: referencing.Registry[Any] = referencing.Registry(retrieve=neighbour)  # type: ignore[call-arg]  # attrs alias
    validator = jsonschema.Draft202012Validator(_load_schema(schema), registry=registry)
    # A key that is missing is often one that is misspelt, and the misspelt one says more.
    problems = [(error.validator == "required", *_problem(error, marks)) for error in validator.iter_errors(data)]
    if problems:
        _, line, message = min(problems)
        raise mapping_error(shown, line, message)


def mapping_error(path: Path | str, line: int, message: str) -> ConfigError:
    return ConfigError(f"{path}:{line}: {message}")


def did_you_mean(word: str, known: Iterator[str] | list[str]) -> str:
    """Return `, did you mean 'x'?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{near[0]}'?" if near else ""


def _load_schema(path: Path) -> Any:  # noqa: ANN401 - a JSON Schema is whatever its validator takes
    return json.loads(path.read_text(encoding="utf-8"))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise mapping_error(path, 1, "the file is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


class _Builder:
    """Turns YAML nodes into plain data and notes the line of each."""

    def __init__(self, loader: Any, path: Path, marks: Marks) -> None:  # noqa: ANN401 - PyYAML's loaders share no type
        self._loader = loader
        self._path = path
        self._marks = marks
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, place: Place) -> object:
        self._marks.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._loader.construct_object(node)
        self._refuse_alias(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._build_mapping(node, place)

    def _build_mapping(self, node: yaml.Node, place: Place) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in data:
                first = self._marks[*place, key]
                raise mapping_error(self._path, line, f"'{key}' stands here again, first on line {first}; keep one")
            self._marks[*place, key] = line
            data[key] = self.build(value_node, (*place, key))
        return data

    def _refuse_alias(self, node: yaml.Node) -> None:
        if id(node) in self._seen:
            raise mapping_error(self._path, node.start_mark.line + 1, "anchors (&, *) are not used here; write it out")
        self._seen.add(id(node))


def _problem(error: ValidationError, marks: Mapping[Place, int]) -> tuple[int, str]:
    place, wanted = tuple(error.absolute_path), cast("Any", error.validator_value)
    if error.validator == "additionalProperties":
        return _unknown_key(error, place, marks)
    line = marks.get(place, 1)
    name = f"'{place[-1]}'" if place and isinstance(place[-1], str) else "this entry"
    if error.validator == "required":
        return line, f"{error.message.split(' ', 1)[0]} is missing here"
    if error.validator == "enum":
        choices = [str(choice) for choice in wanted]
        return line, f"{name} must be one of {', '.join(choices)}{did_you_mean(str(error.instance), choices)}"
    if error.validator == "type":
        return line, f"{name} must be {_type_name(wanted)}"
    return line, f"{name}: {error.message}"


def _unknown_key(error: ValidationError, place: Place, marks: Mapping[Place, int]) -> tuple[int, str]:
    schema, block = cast("dict[str, Any]", error.schema), cast("dict[str, Any]", error.instance)
    known = list(schema.get("properties", {}))
    key = next(key for key in block if key not in known)
    hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
    return marks.get((*place, key), 1), f"'{key}' is not known{hint}"


def _type_name(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_TYPE_NAMES.get(name, name) for name in names)
