from __future__ import annotations

import os
from contextlib import nullcontext

import pytest
from pydantic import ValidationError

from infra.environment import OTHERS
from infra.settings import PARTS, SettingsError, load_settings

HUSH = "hush-hush-hush-hush-hush-hush-hush"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes the settings file and names it."""

    def write(text: str) -> None:
        path = tmp_path / "ringpost.toml"
        path.write_text(text)
        monkeypatch.setenv("RINGPOST_CONFIG", str(path))

    return write


def test_defaults_are_those_of_the_parts():
    settings = load_settings()
    assert {name: getattr(settings, name) for name in PARTS} == {name: part() for name, part in PARTS.items()}
    assert settings.ring.capacity == 1000


def test_file_overrides_defaults_and_the_environment_overrides_the_file(file, monkeypatch):
    file('[ring]\ncapacity = 7\nidle_ttl_s = 60\n[mongo]\nurl = "mongodb://file"\n')
    monkeypatch.setenv("RINGPOST_RING_CAPACITY", "9")
    settings = load_settings()
    assert (settings.ring.capacity, settings.ring.idle_ttl_s) == (9, 60)
    assert settings.mongo.url == "mongodb://file"


@pytest.mark.parametrize(
    "variable, value",
    [
        ("RINGPOST_RING_CAPACITY", "0"),
        ("RINGPOST_RING_CAPACITY", "many"),
        ("RINGPOST_MONGO_DRIVER", "other"),
        ("RINGPOST_KAFKA_PARTITIONS", "0"),
        ("RINGPOST_HTTP_PORT", "70000"),
        ("RINGPOST_REDIS_KEY_PREFIX", "{"),
        ("RINGPOST_TOKEN_ALGORITHM", "none"),
    ],
)
def test_bad_value_is_named_by_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


@pytest.mark.parametrize(
    "variable, value, sentence",
    [
        ("RING_CAPACITY", "many", 'must be a whole number from 1 to 100000, and is "many".'),
        ("RING_CAPACITY", "0", 'must be a whole number from 1 to 100000, and is "0".'),
        ("OUTBOX_ROWS", "1.5", 'must be a whole number from 1 on, and is "1.5".'),
        ("MONGO_TIMEOUT_S", "0", 'must be a number above 0, and is "0".'),
        ("MONGO_TIMEOUT_S", "", "must be a number above 0, and is empty."),
        ("LOG_LEVEL", "loud", 'must be debug, info, warning or error, and is "loud".'),
        ("KAFKA_SECURITY", "tls", 'must be plaintext, ssl, sasl_plaintext or sasl_ssl, and is "tls".'),
        ("KAFKA_TOPIC_PREFIX", "a b", 'must be letters, digits, `.`, `_` and `-`, and is "a b".'),
        ("HTTP_PORT", "tcp://10.0.0.1:80", "`enableServiceLinks: false`."),
        ("HTTP_TRUSTED_PROXIES", "10.0.0.0/8,proxy", 'and has "proxy".'),
        ("HTTP_ORIGINS", "https://chat.example/", 'and has "https://chat.example/".'),
        ("HTTP_ORIGINS", "*,https://chat.example", "or a list of origins without it."),
        ("HTTP_ORIGINS", "https://a:99999", 'and has "https://a:99999".'),
        ("GATEWAY_HEARTBEAT_S", "inf", 'must be a number above 0, and is "inf".'),
        ("WORKER_INSTANCE", "a b", 'up to 100 letters, digits, `.`, `_` and `-`, and is "a b".'),
        ("WORKER_SESSION_S", "nan", 'must be a number from 1 on, and is "nan".'),
        ("TOKEN_TTL_S", "3155760001", 'from 1 to 3155760000, and is "3155760001".'),
        ("RING_IDLE_TTL_S", "3155760001", 'from 1 to 3155760000, and is "3155760001".'),
        ("DATA_DIR", "", "must be the path of a folder."),
        ("DATA_DIR", __file__, f'must be the path of a folder, and "{__file__}" is none.'),
        ("KAFKA_BOOTSTRAP", "127.0.0.1:x", '"x" is no port, which is a number from 1 to 65535.'),
    ],
)
def test_wrong_value_is_answered_by_what_it_may_be(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(f"RINGPOST_{variable}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"RINGPOST_{variable} must be ")
    assert str(refused.value).endswith(sentence)


@pytest.mark.parametrize(
    "text, said",
    [
        ("[rings]\ncapacity = 1", r"no table \[rings\] in the settings file\. Did you mean ring\?"),
        ("[ring]\ncapacty = 1", r"no setting capacty in \[ring\] .* Did you mean capacity\?"),
        ("[ring]\nsize = 1", r"no setting size in \[ring\] of the settings file\.$"),
        ("[ring]\ncapacity = 'x'", r"^RINGPOST_RING_CAPACITY \(capacity in \[ring\]\) must be"),
        ("[ring]\ncapacity = true", r"\(capacity in \[ring\]\) must be .*, and is \"true\"\.$"),
        ("[http]\nport = '80'", r"\(port in \[http\]\) must be .*, and is \"80\"\.$"),
        ("[http]\nport = 80.0", r"\(port in \[http\]\) must be a whole number .*, and is \"80.0\"\.$"),
        (
            "[mongo]\ntimeout_s = false",
            r"\(timeout_s in \[mongo\]\) must be a number .*, and is \"false\"\.$",
        ),
        ("[mongo]\ntimeout_s = inf", r"\(timeout_s in \[mongo\]\) must be a number .*, and is \"inf\"\.$"),
        ("[kafka]\nbootstrap = ['u:hush@h']", r"^RINGPOST_KAFKA_BOOTSTRAP .* must be a text\.$"),
        ("[ring", "is no TOML"),
        ("ring = 1", "must be a table"),
    ],
)
def test_file_with_a_mistake_is_refused(file, text, said):
    file(text)
    with pytest.raises(SettingsError, match=said):
        load_settings()


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name, said",
    [
        ("RINGPOST_RING_CAPACTY", r"Did you mean RINGPOST_RING_CAPACITY\?"),
        ("RINGPOST_KAFKA_PASWORD_FILE", r"Did you mean RINGPOST_KAFKA_PASSWORD_FILE\?"),
        ("RINGPOST_TOKN", r"Did you mean RINGPOST_TOKEN\?"),
        ("ringpost_ring_capacty", r"Did you mean RINGPOST_RING_CAPACITY\?"),
        ("RINGPOST_RING_CAPACITY_FILE", r"^There is no setting RINGPOST_RING_CAPACITY_FILE\."),
        ("ringpost_config", r"^There is no setting ringpost_config\. Did you mean RINGPOST_CONFIG\?"),
        ("RINGPOST_PURPLE", r"^There is no setting RINGPOST_PURPLE\.$"),
    ],
)
def test_variable_that_nothing_reads_is_an_error_with_the_nearest_name(monkeypatch, name, said):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_variables_of_commands_tests_and_kubernetes_are_no_mistakes(monkeypatch, tmp_path):
    expected = vars(load_settings())
    file = tmp_path / "ringpost.toml"
    file.touch()
    for name in (*OTHERS, "RINGPOST_TEST_ENGINES", "RINGPOST_SERVICE_HOST", "RINGPOST_API_SERVICE_PORT_HTTP"):
        monkeypatch.setenv(name, str(file))
    monkeypatch.setenv("RINGPOST_GATEWAY_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("RINGPOST_GATEWAY_PORT_80_TCP_ADDR", "10.0.0.1")
    assert vars(load_settings()) == expected


# ------------------------------------------------------------------ secrets


SECRETS = {
    "RINGPOST_ADMIN_KEY": HUSH,
    "RINGPOST_TOKEN_KEY": f"{HUSH}, signed",
    "RINGPOST_MONGO_URL": f"mongodb://me:{HUSH}@h/",
    "RINGPOST_REDIS_URL": f"redis+sentinel://me:{HUSH}@h/name",
    "RINGPOST_REDIS_SENTINEL_PASSWORD": HUSH,
}


def values(settings):
    return (
        settings.auth.admin_key.get_secret_value(),
        settings.auth.token_key.get_secret_value(),
        settings.mongo.url,
        settings.redis.url,
        settings.redis.sentinel_password.get_secret_value(),
    )


def test_every_secret_may_come_from_a_file_without_the_end_of_its_line(monkeypatch, tmp_path):
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert values(load_settings()) == tuple(SECRETS.values())
    secrets = {part.variable(name) for part in PARTS.values() for name in part.secrets()}
    assert secrets == {*SECRETS, "RINGPOST_KAFKA_PASSWORD"}


def test_settings_file_may_name_the_file_of_a_secret(file, tmp_path):
    secret = tmp_path / "key"
    secret.write_text(HUSH)
    file(f'[auth]\nadmin_key_file = "{secret}"')
    assert load_settings().auth.admin_key.get_secret_value() == HUSH


def test_secret_and_its_file_are_not_both_given(file, monkeypatch, tmp_path):
    (tmp_path / "key").write_text(HUSH)
    monkeypatch.setenv("RINGPOST_ADMIN_KEY", "other")
    monkeypatch.setenv("RINGPOST_ADMIN_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(
        SettingsError, match=r"^Set RINGPOST_ADMIN_KEY or RINGPOST_ADMIN_KEY_FILE, not both\.$"
    ):
        load_settings()
    monkeypatch.delenv("RINGPOST_ADMIN_KEY")
    monkeypatch.delenv("RINGPOST_ADMIN_KEY_FILE")
    file('[auth]\nadmin_key = "a"\nadmin_key_file = "b"')
    with pytest.raises(SettingsError, match=r"admin_key or admin_key_file in \[auth\], not both"):
        load_settings()


def test_file_of_a_secret_wins_over_the_settings_file(file, monkeypatch, tmp_path):
    (tmp_path / "key").write_text(HUSH)
    file('[auth]\nadmin_key = "other"')
    monkeypatch.setenv("RINGPOST_ADMIN_KEY_FILE", str(tmp_path / "key"))
    assert load_settings().auth.admin_key.get_secret_value() == HUSH


@pytest.mark.parametrize("name", [*SECRETS, "RINGPOST_KAFKA_PASSWORD"])
def test_empty_variable_of_a_secret_leaves_it_to_its_file(monkeypatch, tmp_path, name):
    (part, field) = next(
        (part, field) for part in PARTS.values() for field in part.secrets() if part.variable(field) == name
    )
    (tmp_path / "key").write_text(SECRETS.get(name, HUSH))
    monkeypatch.setenv(name, "")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "key"))
    beside = {"url": SECRETS["RINGPOST_REDIS_URL"]} if field == "sentinel_password" else {}
    if name == "RINGPOST_KAFKA_PASSWORD":
        beside = {"bootstrap": "h", "security": "sasl_ssl", "sasl_mechanism": "PLAIN", "username": "me"}
    value = getattr(part(**beside), field)
    assert getattr(value, "get_secret_value", lambda: value)() == SECRETS.get(name, HUSH)


def test_empty_variable_of_a_secret_leaves_it_to_the_settings_file(file, monkeypatch):
    file(f'[auth]\nadmin_key = "{HUSH}"\n[mongo]\nurl = "mongodb://file"\n')
    monkeypatch.setenv("RINGPOST_ADMIN_KEY", "")
    monkeypatch.setenv("RINGPOST_ADMIN_KEY_FILE", "")
    monkeypatch.setenv("RINGPOST_MONGO_URL", "")
    settings = load_settings()
    assert settings.auth.admin_key.get_secret_value() == HUSH
    assert settings.mongo.url == "mongodb://file"


def test_variables_may_be_written_small_those_of_files_too(monkeypatch, tmp_path):
    (tmp_path / "key").write_text(HUSH)
    monkeypatch.setenv("ringpost_admin_key_file", str(tmp_path / "key"))
    monkeypatch.setenv("ringpost_ring_capacity", "5")
    settings = load_settings()
    assert (settings.auth.admin_key.get_secret_value(), settings.ring.capacity) == (HUSH, 5)
    monkeypatch.setenv("ringpost_admin_key", "another key that is long enough")
    with pytest.raises(SettingsError, match=r"RINGPOST_ADMIN_KEY_FILE, not both\.$"):
        load_settings()


@pytest.mark.parametrize(
    "admin, token, algorithm, said",
    [
        ("a" * 15, "", "HS256", r"^RINGPOST_ADMIN_KEY must have 16 bytes or more\.$"),
        ("", "t" * 31, "HS256", r"^RINGPOST_TOKEN_KEY must have 32 bytes or more, as HS256 needs it\.$"),
        ("", "t" * 47, "HS384", r"^RINGPOST_TOKEN_KEY must have 48 bytes or more, as HS384 needs it\.$"),
        ("", "t" * 63, "HS512", r"^RINGPOST_TOKEN_KEY must have 64 bytes or more, as HS512 needs it\.$"),
        ("k" * 32, "k" * 32, "HS256", r"^RINGPOST_ADMIN_KEY and RINGPOST_TOKEN_KEY must be two different"),
        ("a" * 16, "t" * 32, "HS256", None),
        ("", "é" * 16, "HS256", None),
    ],
)
def test_keys_are_long_enough_and_differ(monkeypatch, admin, token, algorithm, said):
    monkeypatch.setenv("RINGPOST_ADMIN_KEY", admin)
    monkeypatch.setenv("RINGPOST_TOKEN_KEY", token)
    monkeypatch.setenv("RINGPOST_TOKEN_ALGORITHM", algorithm)
    with pytest.raises(SettingsError, match=said) if said else nullcontext():
        load_settings()


@pytest.mark.parametrize(
    "host, admin_host, taken",
    [("127.0.0.1", "127.0.0.1", True), ("0.0.0.0", "127.0.0.1", True), ("127.0.0.1", "127.0.0.2", False)],
)
def test_one_address_does_not_serve_both_ports(monkeypatch, host, admin_host, taken):
    for name, value in {"HOST": host, "ADMIN_HOST": admin_host, "PORT": "80", "ADMIN_PORT": "80"}.items():
        monkeypatch.setenv(f"RINGPOST_HTTP_{name}", value)
    refusing = pytest.raises(
        SettingsError, match=r"^RINGPOST_HTTP_ADMIN_PORT and RINGPOST_HTTP_PORT are both 80"
    )
    with refusing if taken else nullcontext():
        load_settings()
    monkeypatch.setenv("RINGPOST_HTTP_PORT", "0")
    monkeypatch.setenv("RINGPOST_HTTP_ADMIN_PORT", "0")
    load_settings()


@pytest.mark.parametrize("content, said", [(None, "cannot be read"), (b"", "is empty"), (b"\xff", "UTF-8")])
def test_secret_that_cannot_be_read_is_named(monkeypatch, tmp_path, content, said):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("RINGPOST_TOKEN_KEY_FILE", str(path))
    with pytest.raises(SettingsError, match=f"^RINGPOST_TOKEN_KEY_FILE names .*{said}"):
        load_settings()


@pytest.mark.parametrize(
    "name, value",
    [
        ("RINGPOST_MONGO_URL", f"mongodb://me:{HUSH}@h:x/"),
        ("RINGPOST_MONGO_URL", f"mongo://me:{HUSH}@h/"),
        ("RINGPOST_REDIS_URL", f"redis://me:{HUSH}@h/x"),
        ("RINGPOST_REDIS_URL", f"redis://me:{HUSH}@h:x/0"),
    ],
)
def test_secret_is_in_no_sentence_and_not_shown(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as refused:
        load_settings()
    assert HUSH not in str(refused.value)


def test_secret_of_another_kind_is_not_shown_either(file):
    file("[auth]\nadmin_key = 12345\n")
    with pytest.raises(SettingsError, match="RINGPOST_ADMIN_KEY") as refused:
        load_settings()
    assert "12345" not in str(refused.value)


def test_secrets_are_not_shown(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert not [name for name in PARTS if HUSH in repr(getattr(settings, name))]


# ------------------------------------------------------------------ the rest


def test_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("RINGPOST_CONFIG", "/nowhere/ringpost.toml")
    with pytest.raises(SettingsError, match=r"/nowhere/ringpost\.toml"):
        load_settings()


def test_missing_engines_are_named_by_their_variables(monkeypatch):
    monkeypatch.setenv("RINGPOST_REDIS_URL", "redis://x")
    with pytest.raises(SettingsError, match=r"^Set RINGPOST_MONGO_URL, RINGPOST_KAFKA_BOOTSTRAP\."):
        load_settings().need_engines()


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        load_settings().ring.capacity = 3
