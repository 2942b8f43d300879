"""The deployment files name only what exists; what they do when run is in `compose_up.py`."""

from __future__ import annotations

import re
import stat
import subprocess
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from infra.local.mongo import MongoServer
from infra.settings import PARTS
from ringpost.processes import WORKERS

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "infra" / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
FILE = yaml.safe_load(COMPOSE)
SERVICES = FILE["services"]
ONCE = {"folders", "init"}
OURS = {*ONCE, "api", "gateway", *WORKERS}
ENGINES = {"mongo", "kafka", "redis"}
SETTINGS = {
    part.model_config.get("env_prefix", "") + name.upper()
    for part in PARTS.values()
    for name in part.model_fields
}
SECRET = {
    "RINGPOST_MONGO_URL",
    "RINGPOST_REDIS_URL",
    "RINGPOST_KAFKA_PASSWORD",
    "RINGPOST_ADMIN_KEY",
    "RINGPOST_TOKEN_KEY",
}


def test_every_part_and_every_engine_is_a_service():
    assert set(SERVICES) == OURS | ENGINES


@pytest.mark.parametrize("file", [COMPOSE, DOCKERFILE, (ROOT / "docs" / "production.md").read_text()])
def test_every_setting_that_is_named_exists(file):
    named = set(re.findall(r"RINGPOST_[A-Z0-9_]+", file)) - {"RINGPOST_CONFIG"}
    assert {
        name for name in named if name not in SETTINGS and name.removesuffix("_FILE") not in SECRET
    } == set()


@pytest.mark.parametrize("variable", ["MONGO_IMAGE", "KAFKA_IMAGE", "REDIS_IMAGE", "PYTHON_IMAGE"])
def test_every_image_is_a_variable_with_an_official_default(variable):
    assert re.search(r"\$\{" + variable + r":-[a-z/]+:[0-9][\w.-]*\}", COMPOSE)


def test_mongod_keeps_as_many_changes_as_that_of_up_and_as_production_advises(tmp_path):
    server = MongoServer(tmp_path, print)
    server.ports = {"port": 27017}
    ours = server.settings()["wiredTigerEngineConfigString"]
    assert f"--wiredTigerEngineConfigString={ours} " in " ".join(SERVICES["mongo"]["command"])
    assert ours in (ROOT / "docs" / "production.md").read_text()


def test_the_image_is_built_from_the_same_base_as_by_compose():
    assert "ARG PYTHON_IMAGE=python:3.11-slim" in DOCKERFILE
    assert SERVICES["folders"]["build"]["args"]["PYTHON_IMAGE"] == "${PYTHON_IMAGE:-python:3.11-slim}"


@pytest.mark.parametrize("name", sorted((OURS | ENGINES) - ONCE))
def test_what_runs_on_starts_again_and_says_how_it_is(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_what_prepares_runs_once():
    assert {SERVICES[name]["restart"] for name in ONCE} == {"no"}


@pytest.mark.parametrize("name", sorted(OURS - ONCE))
def test_a_part_starts_behind_the_replica_set_and_the_engines(name):
    healthy = {engine: {"condition": "service_healthy"} for engine in ENGINES}
    assert SERVICES[name]["depends_on"] == healthy | {"init": {"condition": "service_completed_successfully"}}


def test_only_what_is_needed_for_the_image_reaches_its_builder():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = {"domain", "infra", "producers", "consumers", "api", "ringpost", "web"}
    assert kept == rooms | {"pyproject.toml", "requirements-runtime.lock", "README.md", "LICENSE"}
    assert all((ROOT / name).exists() for name in kept)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `secrets.sh` makes."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([DEPLOY / "secrets.sh", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", sorted(OURS | ENGINES))
def test_every_container_has_bounds_and_no_rights(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert "privileged" not in service
    assert service.get("cap_add", []) == (["CHOWN"] if name == "folders" else [])


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_runs_as_a_user_of_its_own(name):
    assert re.fullmatch(r"(\$\{[A-Z]+_UID:-[1-9]\d*\}:?){2}", SERVICES[name]["user"])


def test_only_who_gives_folders_away_is_root_and_it_has_neither_network_nor_secrets():
    assert {name for name in OURS if "user" in SERVICES[name]} == {"folders"}
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)
    folders = SERVICES["folders"]
    assert (folders["user"], folders["network_mode"], "secrets" in folders) == ("0:0", "none", False)


def test_every_secret_comes_from_a_file_that_the_script_makes(folder):
    given = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert given == set(FILE["secrets"])
    for name, secret in FILE["secrets"].items():
        assert secret == {"file": f"${{SECRETS:-./secrets}}/{name}"}
        assert (folder / name).read_text().strip()
    for service in SERVICES.values():
        assert not SECRET & set(service.get("environment", {}))


def test_a_part_has_only_the_secrets_that_it_reads():
    for name in sorted(OURS):
        values = [value for value in SERVICES[name].get("environment", {}).values() if isinstance(value, str)]
        read = {
            word.removeprefix("/run/secrets/") for word in [*values, *SERVICES[name].get("entrypoint", [])]
        }
        assert set(SERVICES[name].get("secrets", [])) == read & set(FILE["secrets"])


def test_secrets_are_made_once_and_only_their_owner_gets_at_them(folder):
    before = {file.name: file.read_text() for file in folder.iterdir()}
    subprocess.run([DEPLOY / "secrets.sh", folder], check=True, capture_output=True)
    assert {file.name: file.read_text() for file in folder.iterdir()} == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(set(before.values())) == len(before)
    assert "secrets/" in (DEPLOY / ".gitignore").read_text().split()


def test_what_engines_and_ringpost_are_told_is_one_password(folder):
    def read(name: str) -> str:
        return (folder / name).read_text().strip()

    assert f"ringpost:{read('mongo_password')}@" in read("mongo_url")
    assert f"ringpost:{read('redis_password')}@" in read("redis_url")
    assert f" #{sha256(read('redis_password').encode()).hexdigest()} " in read("redis_users")
    assert f'user_ringpost="{read("kafka_password")}"' in read("kafka_users")


def test_the_image_has_the_version_of_the_project():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"${{IMAGE:-ringpost:{version}}}"}


def test_redis_stays_within_its_container():
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "volatile-lru"
    assert command[command.index("--maxmemory") + 1] == "${REDIS_MAXMEMORY:-512mb}"
    assert SERVICES["redis"]["mem_limit"] == "${REDIS_MEMORY:-768m}"
