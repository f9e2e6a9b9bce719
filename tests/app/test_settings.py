from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import MIN_TOKEN_LENGTH, Settings, is_loopback

LONG = "x" * MIN_TOKEN_LENGTH


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LOADERSCOPE_{name.upper()}", raising=False)


def test_a_token_is_made_at_each_start_and_is_long() -> None:
    first, second = (Settings().token.get_secret_value() for _ in range(2))
    assert first != second
    assert len(first) >= 43  # 32 bytes in base64


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "dashboard.lan", "128.0.0.1"])
def test_a_host_that_others_reach_needs_a_token_and_a_name(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ValidationError, match="so a token is needed: set LOADERSCOPE_TOKEN"):
        Settings(host=host, allowed_hosts=frozenset({"dashboard.lan"}))
    with pytest.raises(ValidationError, match="the name that browsers call it by is needed"):
        Settings(host=host, token=SecretStr(LONG))
    assert Settings(host=host, token=SecretStr(LONG), allowed_hosts=frozenset({"dashboard.lan"})).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_loopback_host_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).host == host


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.npy").touch()
    monkeypatch.setenv("LOADERSCOPE_DATA", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b.npy")]))
    monkeypatch.setenv("LOADERSCOPE_ALLOWED_HOSTS", "Dashboard.lan, other.lan:9000")
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("LOADERSCOPE_TOKEN", LONG)
    settings = Settings()
    assert settings.data == (tmp_path / "a", tmp_path / "b.npy")
    assert settings.allowed_hosts == {"dashboard.lan", "other.lan:9000"}
    assert settings.runs_home == tmp_path / "runs"
    assert settings.token.get_secret_value() == LONG


def test_a_token_file_is_read_and_its_absence_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{LONG}\n")
    assert Settings(token_file=file).token.get_secret_value() == LONG
    with pytest.raises(ValidationError, match=r"the token file .*missing cannot be read"):
        Settings(token_file=tmp_path / "missing")


@pytest.mark.parametrize("name", ["token", "view_token"])
def test_a_short_token_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValidationError, match="a token of 8 characters can be guessed") as caught:
        Settings(**{name: "hunter42"})
    assert "hunter42" not in str(caught.value)


def test_the_view_token_must_be_another() -> None:
    with pytest.raises(ValidationError, match="the view token equals the token"):
        Settings(token=SecretStr(LONG), view_token=SecretStr(LONG))


@pytest.mark.parametrize("name", ["*", "*.lan", "http://dashboard.lan"])
def test_a_pattern_or_an_address_is_no_host_name(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a host name"):
        Settings(allowed_hosts=frozenset({name}))


def test_samples_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="missing is not there: give the folder, or the file"):
        Settings(data=(tmp_path / "missing",))


def test_settings_do_not_change_and_do_not_show_their_token() -> None:
    settings = Settings(token=SecretStr(LONG))
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    assert LONG not in repr(settings)
