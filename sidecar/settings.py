"""Settings: one YAML file, every value also from the environment, which wins.

`SIDECAR_<SECTION>__<FIELD>`; lists are comma-separated; a secret is named by a file (`…_file`).
A key that does not exist is an error that names the nearest one that does.
"""

from __future__ import annotations

import difflib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "SIDECAR_"
CONFIG_VARIABLE = "SIDECAR_CONFIG"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _with_offset(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_offset)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
    bootstrap_servers: CommaList = Field((), description="host:port, comma-separated")
    topics: CommaList = Field((), description="topics that carry DocumentReference events")
    group_id: str = Field("ehr-draft-sidecar", min_length=1, description="consumer group")
    session_timeout_seconds: float = Field(
        30.0, ge=6, le=300, description="after this silence the group gives a dead worker's partitions to others"
    )
    max_poll_interval_seconds: float = Field(
        300.0, ge=1, le=86400, description="longest silence of the poller, which never waits for a draft"
    )
    group_instance_id: str | None = Field(
        None, description="static membership: a restart within the session timeout moves no partition"
    )
    commit_done_map: bool = Field(
        default=False, description="keep offsets finished out of order in the commit's metadata, at most 3 KiB"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password_file: Path | None = None
    sasl_oauthbearer_token_file: Path | None = Field(
        None, description="access token for OAUTHBEARER; read again at every connection"
    )
    ssl_cafile: Path | None = Field(None, description="CA of the brokers, PEM")
    ssl_certfile: Path | None = Field(None, description="client certificate, PEM")
    ssl_keyfile: Path | None = Field(None, description="key of the client certificate, PEM")
    dead_letter_payload: Literal["keep", "omit"] = Field(
        "keep", description="`omit` leaves the value out of dead letters: no PHI on a second topic"
    )
    from_time: Moment | None = Field(
        None, description="first go-live: ISO time before which no record is drafted; UTC without an offset"
    )


class EhrSettings(Section):
    profile: str = Field("generic-r4", description="a file of mappings/ehr")
    base_url: str | None = Field(None, description="FHIR base URL, the one server spoken to")
    auth: Literal["none", "bearer", "basic"] = "none"
    token_file: Path | None = Field(None, description="bearer token; read again for every request")
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = Field(None, description="CA of the EHR, PEM; replaces the public ones")
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    timeout_seconds: float = Field(30.0, gt=0, le=600)
    attachment_limit_bytes: int = Field(10 * 1024 * 1024, gt=0, description="a larger attachment is parked")


class EngineSettings(Section):
    kind: Literal["extractive"] = "extractive"


class WorkerSettings(Section):
    concurrency: int = Field(4, ge=1, le=1024, description="patients worked on at once")
    drain_seconds: float = Field(25.0, ge=0, description="time that SIGTERM leaves to running drafts")
    parked_retry_seconds: float = Field(900.0, gt=0, description="pause before parked work is tried again")
    drafts_per_minute: float = Field(0.0, ge=0, description="most drafts begun a minute by one worker; 0 is no limit")
    control_file: Path | None = Field(None, description="YAML file of pauses, read again when it changes")


class LedgerSettings(Section):
    url: str = Field("sqlite:///sidecar.db", description="SQLAlchemy URL")


class MappingsSettings(Section):
    dir: Path | None = Field(None, description="folder that overlays the packaged mappings")


class HttpSettings(Section):
    host: str = Field("127.0.0.1", description="reserved for health and metrics, which this release does not serve")
    port: int = Field(8080, ge=0, le=65535, description="reserved, as `http.host`")


class Settings(BaseSettings):
    """Everything that can be set. Frozen; passed down explicitly."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    mode: Literal["off", "dry-run", "shadow", "live"] = Field("dry-run", description="what may be written")
    kafka: KafkaSettings = KafkaSettings()
    ehr: EhrSettings = EhrSettings()
    engine: EngineSettings = EngineSettings()
    worker: WorkerSettings = WorkerSettings()
    ledger: LedgerSettings = LedgerSettings()
    mappings: MappingsSettings = MappingsSettings()
    http: HttpSettings = HttpSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file (which arrives as init values); no .env and no secrets folder."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_settings(config: Path | None = None) -> Settings:
    """Read the file (argument, else `SIDECAR_CONFIG`, else none) and the environment.

    Raises `ConfigError` that names every wrong key and value by its path, never by its content.
    """
    path = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    values = _read_file(path) if path else {}
    problems = [*_unknown_keys(values, Settings, ()), *_unknown_variables(os.environ)]
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(error))) from None


def require_kafka(settings: Settings) -> None:
    """Raise `ConfigError` that names every Kafka setting without which no worker can start."""
    needed = {
        "bootstrap_servers": "the brokers, host:port, comma-separated",
        "topics": "the topics that carry DocumentReference events, comma-separated",
    }
    empty = [
        f"kafka.{name} is empty: name {what}; {PREFIX}KAFKA__{name.upper()} sets it too"
        for name, what in needed.items()
        if not getattr(settings.kafka, name)
    ]
    if empty:
        raise ConfigError("\n".join(empty))


def _read_file(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - a worker configured by its environment alone does without

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read ({type(error).__name__}); --config or {CONFIG_VARIABLE} names it"
        raise ConfigError(msg) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}{f':{mark.line + 1}' if mark else ''}: not valid YAML") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a mapping of sections")
    return values


def _fields(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    return {
        name: info.annotation if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel) else None
        for name, info in model.model_fields.items()
    }


def _unknown_keys(values: Mapping[str, Any], model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    fields = _fields(model)
    for key, value in values.items():
        if key not in fields:
            yield _unknown(".".join((*path, str(key))), str(key), list(fields), ".".join(path))
        elif (section := fields[key]) is not None and isinstance(value, dict):
            yield from _unknown_keys(value, section, (*path, key))


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = [CONFIG_VARIABLE]
    for name, section in _fields(Settings).items():
        known += (
            [f"{PREFIX}{name}__{field}".upper() for field in _fields(section)]
            if section
            else [f"{PREFIX}{name}".upper()]
        )
    for variable in environ:
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            yield _unknown(variable, variable, known, "")


def _unknown(shown: str, key: str, known: list[str], section: str) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = (
        f"did you mean '{nearest[0]}'?"
        if nearest
        else f"known {'in ' + section if section else 'here'}: {', '.join(known)}"
    )
    return f"setting '{shown}' does not exist; {hint}"


def _problems(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        yield f"setting '{'.'.join(map(str, item['loc']))}': {item['msg']}"


def read_secret(path: Path) -> str:
    """Return the secret in `path`, without the line end that editors add."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: secret cannot be read ({type(error).__name__})") from None
