"""What the server is told at its start: from the environment (`LOADERSCOPE_...`) and the command line, then frozen.

A value on the command line wins over the environment. Numbers that bound something say what happens at the bound.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from loader_core.trace.home import home, runs_home

DEFAULT_PORT = 8000
MIN_TOKEN_LENGTH = 16
MAKE_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105 - how to make one
ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::[0-9]{1,5})?")
"""Scheme, host and port of a page, as browsers write it."""

FRONT_END_PLACES = (
    Path(__file__).parent / "static",
    Path(__file__).parent.parent / "frontend" / "dist",
)
"""Where the built front end is: in an installed wheel, and in a checkout."""


class Settings(BaseSettings):
    """The server's settings, checked on construction and never changed afterwards.

    Raises pydantic.ValidationError, whose text says which setting is wrong and what to do.
    """

    model_config = SettingsConfigDict(
        env_prefix="LOADERSCOPE_", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(DEFAULT_PORT, ge=0, le=65_535, description="0: any free port")
    home: Path = Field(default_factory=home, description="folder of the recordings")
    data: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="the user's own files and folders of samples, separated as in PATH"
    )
    token: SecretStr = Field(SecretStr(""), description="who holds it may do everything; made at each start if absent")
    token_file: Path | None = Field(None, description="a file with the token, such as a container's secret")
    view_token: SecretStr | None = Field(None, description="who holds it may look, and change nothing")
    allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="names by which browsers may call this server, beside the loopback names"
    )
    embed: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="origins whose pages may show the dashboard in a frame, such as http://localhost:8888"
    )
    front_end: Path = Field(
        default_factory=lambda: next((place for place in FRONT_END_PLACES if place.is_dir()), FRONT_END_PLACES[-1])
    )

    max_live_runs: int = Field(2, ge=1, le=16, description="one more is refused")
    run_budget_bytes: int = Field(
        512 * 1024**2, ge=1024**2, description="of one recording; past it the oldest events are folded into its roll-up"
    )
    max_body_bytes: int = Field(1024**2, ge=1024, description="of one request; a longer one is refused with 413")
    max_browsers: int = Field(32, ge=1, le=1024, description="open websockets; one more is refused")
    messages_per_s: float = Field(20, gt=0, description="of one websocket; a faster one is closed")
    message_burst: int = Field(40, ge=1, description="messages that may come at once")

    _token_was_made: bool = PrivateAttr(False)

    @property
    def token_was_made(self) -> bool:
        """Whether nobody chose the token: it lives as long as these settings."""
        return self._token_was_made

    @property
    def runs_home(self) -> Path:
        """The folder with one directory per recording."""
        return runs_home(self.home)

    @field_validator("data", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value

    @field_validator("data")
    @classmethod
    def _resolve_paths(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            if not path.exists():
                raise ValueError(f"{path} is not there: give the folder, or the file, that holds your samples")
        return tuple(path.resolve() for path in value)

    @field_validator("allowed_hosts", "embed", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_names(cls, value: frozenset[str]) -> frozenset[str]:
        for name in value:
            if "/" in name or "*" in name:
                raise ValueError(f"{name!r} is not a host name: write it as in `dashboard.lan` or `dashboard.lan:8000`")
        return frozenset(name.lower() for name in value)

    @field_validator("embed")
    @classmethod
    def _check_origins(cls, value: frozenset[str]) -> frozenset[str]:
        for origin in value:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin: write it as in `http://localhost:8888`")
        return value

    @model_validator(mode="before")
    @classmethod
    def _read_or_make_token(cls, values: Any) -> Any:
        if values.get("token"):
            return values
        path = values.get("token_file")
        if path is None:
            return values
        try:
            return {**values, "token": Path(path).read_text("ascii").strip()}
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the token file {path} cannot be read: {error}") from error

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        """A server that others can reach needs a token that was chosen, and the name it is called by."""
        given = self.token.get_secret_value()
        if not is_loopback(self.host):
            if not given:
                raise ValueError(
                    f"host {self.host} can be reached from other machines, so a token is needed: set "
                    f"LOADERSCOPE_TOKEN, or LOADERSCOPE_TOKEN_FILE ({MAKE_TOKEN})"
                )
            if not self.allowed_hosts:
                raise ValueError(
                    f"host {self.host} can be reached from other machines, so the name that browsers call it by is "
                    "needed: set LOADERSCOPE_ALLOWED_HOSTS, for example to dashboard.lan"
                )
        for secret in (self.token, self.view_token):
            if secret is not None and 0 < len(secret.get_secret_value()) < MIN_TOKEN_LENGTH:
                raise ValueError(
                    f"a token of {len(secret.get_secret_value())} characters can be guessed: use at least "
                    f"{MIN_TOKEN_LENGTH} ({MAKE_TOKEN})"
                )
        if self.view_token is not None and self.view_token.get_secret_value() == given:
            raise ValueError("the view token equals the token: whoever may look could do everything")
        if not given:
            object.__setattr__(self, "token", SecretStr(secrets.token_urlsafe(32)))
            self._token_was_made = True
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
