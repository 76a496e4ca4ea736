"""Addresses, certificates and keys as people have them: used where that is safe, else told with what to change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from curation.caption.model import connection
from curation.caption.model.chat import ModelIdentity
from curation.caption.model.connection import address_fault, base_url, hide, read_key, shown
from curation.caption.model.probe import probe
from curation.core.errors import ModelError
from tests.support.certificates import contexts
from tests.support.chat_server import MODEL, Answer, chat_server

IDENTITY = ModelIdentity(MODEL, "main")
KEY = "a-made-up-key-0001"


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        (" http://h:8000/v1\n", "http://h:8000/v1"),
        ("http://h:8000/v1/chat/completions", "http://h:8000/v1"),
        ("http://h:8000/v1/chat/completions/", "http://h:8000/v1"),
        ("http://h:8000/v1/models", "http://h:8000/v1"),
        ("http://h:8000/api/v1//", "http://h:8000/api/v1"),
        ("http://h:8000", "http://h:8000"),
    ],
)
def test_the_base_url_is_what_stands_before_the_call(url: str, used: str) -> None:
    assert base_url(url) == used


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("127.0.0.1:8000", "not a http"),
        ("localhost:8000/v1", "not a http"),
        ("ftp://h/v1", "not a http"),
        ("http://", "host name"),
        ("http://h:port/v1", "valid port"),
        ("http://h:0/v1", "valid port"),
        (f"http://user:{KEY}@h/v1", "api_key_env"),
        (f"http://h/v1?key={KEY}", "no query"),
    ],
)
def test_an_address_that_cannot_be_used_is_told(url: str, names: str) -> None:
    assert names in address_fault(url)
    with pytest.raises(ModelError, match=names) as error:
        probe([url], MODEL, "main")
    assert KEY not in str(error.value) and "\n" not in str(error.value) and "caption.endpoints" in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@h/v1",
        f"http://h/v1?key={KEY}",
        f"user:{KEY}@h:80/v1",
        f"https://{KEY}@h/v1#x",
        f"http://u:{KEY}/?@h/v1",
        f"http://u:a?{KEY}@h",
        f"http://u:a#{KEY}@h/v1",
        f"http://h/?a=b/{KEY}",
    ],
)
def test_no_secret_of_an_address_is_shown(url: str) -> None:
    assert KEY not in shown(url) and "h" in shown(url)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (KEY, KEY),
        (f"{KEY}\n", KEY),
        (f" {KEY}\r\n", KEY),
        (f'"{KEY}"', KEY),
        (f"'{KEY}' ", KEY),
        (f"\ufeff{KEY}", KEY),
        (f"Bearer {KEY}", KEY),
        (f"bearer  {KEY}\n", KEY),
        ("Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz"),
    ],
)
def test_a_key_is_used_without_what_a_file_or_a_shell_put_around_it(
    value: str, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection._warn_of_blanks.cache_clear()
    monkeypatch.setenv("SOME_KEY", value)
    assert read_key("SOME_KEY") == key
    assert ("SOME_KEY" in caplog.text) == (value.strip("\"' \n\r\ufeff") != value)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "value",
    [None, "", " \n", "schlüssel-0001", f"{KEY}\n{KEY}", f"{KEY} and more words", f"{KEY}\x00", f"{KEY}…", "Bearer "],
)
def test_a_key_that_no_header_can_carry_is_refused_by_the_name_of_its_variable(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None and "\x00" not in value:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ModelError, match=r"SOME_KEY.*") as error:
        read_key("SOME_KEY")
    assert "\n" not in str(error.value) and "api_key_env" in str(error.value)
    assert not value or not value.strip() or value.strip() not in str(error.value)


def test_a_key_is_hidden_however_it_is_spelled() -> None:
    key = "sk/secret+key=="
    for said in (f"Bearer {key}", "sk%2Fsecret%2Bkey%3D%3D", "sk\\/secret+key=="):
        assert "secret" not in hide(f"you sent {said}!", key)
    assert hide("nothing to hide", "") == "nothing to hide"


@pytest.mark.parametrize("sent", [KEY, "Basic dXNlcjpwYXNz", ""])
def test_the_key_is_sent_as_a_bearer_unless_it_names_its_scheme(sent: str) -> None:
    with chat_server() as server:
        assert probe([server.url], MODEL, "main", sent) == IDENTITY
    (line,) = [h for h in server.headers_of_models[0].splitlines() if h.lower().startswith("authorization:")]
    assert line.split(": ", 1)[1] == (sent if " " in sent else f"Bearer {sent or 'none'}")


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the file of the authority that only its test knows."""
    for name in (*connection._BUNDLES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    server, client = contexts(tmp_path, "127.0.0.1")
    file = tmp_path / "authority.pem"
    file.write_text("".join(ssl.DER_cert_to_PEM_cert(der) for der in client.get_ca_certs(binary_form=True)))
    return server, file


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ca_bundle"])
def test_certificates_of_a_private_authority_are_trusted_where_they_are_named(
    name: str, authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, file = authority
    with chat_server(tls=tls) as server:
        with pytest.raises(ModelError, match=r"certificate is not trusted.*ca_bundle.*SSL_CERT_FILE") as error:
            probe([server.url], MODEL, "main")
        assert "\n" not in str(error.value)
        if name == "ca_bundle":
            assert probe([server.url], MODEL, "main", ca_bundle=str(file)) == IDENTITY
        else:
            monkeypatch.setenv(name, str(file))
            assert probe([server.url], MODEL, "main") == IDENTITY


def test_a_bundle_that_is_not_there_is_refused_and_a_stale_variable_only_told(
    authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tls, file = authority
    caplog.set_level(logging.WARNING)
    with chat_server(tls=tls) as server:
        with pytest.raises(ModelError, match=r"ca_bundle .* cannot be used"):
            probe([server.url], MODEL, "main", ca_bundle=str(file.with_name("none.pem")))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert probe([server.url], MODEL, "main") == IDENTITY
    assert "REQUESTS_CA_BUNDLE" in caplog.text


@pytest.mark.parametrize(
    ("base", "path", "names"),
    [
        ("/v1", "", r"set caption.endpoints to that"),
        ("/api/v1", "/api", "/api/v1"),
        ("", "/v1", "set caption.endpoints"),
    ],
)
def test_an_address_one_step_away_is_named(base: str, path: str, names: str) -> None:
    with chat_server(base=base) as server:
        wrong = f"http://127.0.0.1:{server.port}{path}"
        with pytest.raises(ModelError, match=names) as error:
            probe([wrong], MODEL, "main")
        assert server.url in str(error.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_with_where_it_leads(status: int) -> None:
    moved = Answer("", status, f"Location: https://elsewhere/v1/models?key={KEY}\r\n")
    with chat_server(models=moved) as server, pytest.raises(ModelError, match="https://elsewhere/v1") as error:
        probe([server.url], MODEL, "main")
    assert KEY not in str(error.value) and "endpoint" in str(error.value)


@pytest.mark.parametrize(
    ("status", "key", "names"),
    [(401, "", "wants an API key"), (403, "", "api_key_env"), (401, KEY, "check the key"), (403, KEY, "check the key")],
)
def test_who_is_not_let_in_reads_which_setting_to_change(status: int, key: str, names: str) -> None:
    refusal = Answer({"error": {"message": f"bad key {key}"}}, status)
    with chat_server(models=refusal) as server, pytest.raises(ModelError, match=names) as error:
        probe([server.url], MODEL, "main", key)
    assert "api_key_env" in str(error.value) and (not key or key not in str(error.value))


@pytest.mark.parametrize(
    "models",
    [
        Answer({"object": "list", "data": [{"id": MODEL}]}),
        Answer([{"id": MODEL}]),
        Answer({"models": [{"name": MODEL, "model": MODEL}]}),
        Answer({"data": [MODEL]}),
        Answer({"data": [{"id": "*"}]}),
        Answer({"data": [{"id": "ti*"}, {"id": "other"}]}),
    ],
)
def test_a_list_of_models_has_many_forms(models: Answer) -> None:
    with chat_server(models=models) as server:
        assert probe([server.url], MODEL, "main") == IDENTITY


@pytest.mark.parametrize(
    "models", [Answer({"data": []}), Answer({"data": [{"id": "other"}]}), Answer("", 404), Answer("", 405)]
)
def test_a_model_that_is_not_listed_is_used_if_the_server_knows_it_from_a_made_up_name(models: Answer) -> None:
    unknown = Answer({"error": {"message": "no such model", "code": "model_not_found"}}, 404)
    with chat_server(models=models, fault=lambda _, body: None if body["model"] == MODEL else unknown) as server:
        assert probe([server.url], MODEL, "main") == IDENTITY
    with chat_server(models=models) as server, pytest.raises(ModelError):
        probe([server.url], MODEL, "main")
    with chat_server(models=models, fault=lambda *_: unknown) as server, pytest.raises(ModelError):
        probe([server.url], MODEL, "main")
