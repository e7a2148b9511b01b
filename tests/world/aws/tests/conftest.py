"""Starts the launcher as the world does, and speaks to it through boto3."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

# An address of our own, so that a world can run beside the tests.
HOST = os.environ.get("WORLD_AWS_TEST_HOST", "127.78.0.1")
PACKAGE_ROOT = Path(__file__).parents[1]
ACCOUNT = "123456789012"
REGION = "us-east-1"
ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "sts.amazonaws.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/kubernetes.default.svc"
ADMIN = ("AKIAWORLDADMIN000001", "admin-secret")
OPERATOR = ("AKIAOPERATOR00000001", "operator-secret")
SHOP_ROLE = f"arn:aws:iam::{ACCOUNT}:role/shop-app"
SHOP_SUBJECT = "system:serviceaccount:shop:app"
START_SECONDS = 60

# Stands in for the servers' client: writes down what it was told, and fails when a file says with which error.
FAKE_SQL = """#!/bin/sh
{ printf '%s\\n' "$*"; cat; } >>"$0.log"
case $* in *gtid_executed*) echo 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5 ;; *WAIT_FOR*) echo 0 ;; esac
if [ -f "$0.error" ]; then cat "$0.error" >&2; exit 1; fi
"""


def free_port() -> int:
    """A port that nobody listens on: several runs of these tests may stand side by side."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class World:
    """A running launcher and what belongs to it."""

    url: str
    folder: Path
    key: rsa.RSAPrivateKey
    process: subprocess.Popen[bytes]

    def client(self, service: str, credentials: tuple[str, ...] = ADMIN, region: str = REGION) -> Any:
        key, secret, *token = credentials
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token[0] if token else None,
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=20),
        )

    def unsigned_sts(self) -> Any:
        config = Config(signature_version=UNSIGNED, parameter_validation=False, retries={"total_max_attempts": 1})
        return boto3.client("sts", endpoint_url=self.url, region_name=REGION, config=config)

    def auth(self) -> dict[str, Any]:
        document = json.loads((self.folder / "auth.json").read_text())
        assert isinstance(document, dict)
        return document

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "aws.log").read_text().splitlines()]

    def sql(self, instance: str) -> str:
        path = self.folder / f"sql-{instance}.log"
        return path.read_text() if path.exists() else ""

    def jwt(self, *, key: rsa.RSAPrivateKey | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "sub": SHOP_SUBJECT,
            "aud": [AUDIENCE],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        } | claims
        return jwt.encode(payload, key or self.key, algorithm=algorithm)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_world/{path}", json=body, timeout=20)
        answer.raise_for_status()
        return answer.json()


def trust(principal: Any, action: str = "sts:AssumeRole", condition: Any = None) -> dict[str, Any]:
    """A trust policy with one statement."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": action}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(*users: str, resource_id: str = "db-ORDERS0000000000000000001") -> str:
    """An identity policy that lets in as the given database users."""
    resources = [f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:{resource_id}/{user}" for user in users]
    statement = {"Sid": "Connect", "Effect": "Allow", "Action": "rds-db:connect", "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _instance(folder: Path, identifier: str, engine: str, version: str, octet: int) -> dict[str, Any]:
    script = folder / f"sql-{identifier}"
    script.write_text(FAKE_SQL)
    script.chmod(0o755)
    return {
        "identifier": identifier,
        "engine": engine,
        "engineVersion": version,
        "resourceId": f"db-{identifier.upper()}".ljust(27, "0") + "1",
        "host": f"{identifier}.cworld000001.{REGION}.rds.amazonaws.com",
        "port": 3306,
        "local": f"127.10.2.{octet}:3306",
        "iam": True,
        "masterUsername": "admin",
        "masterPassword": f"{identifier.partition('-')[0]}-master-password",
        "sql": [str(script), "--user=root"],
    }


def _member(folder: Path, identifier: str, octet: int) -> dict[str, Any]:
    return _instance(folder, identifier, "aurora-mysql", "8.0.mysql_aurora.3.05.2", octet) | {"cluster": "ledger"}


def _endpoint(name: str, kind: str, prefix: str, **routes: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "host": f"{prefix}cworld000001.{REGION}.rds.amazonaws.com",
        "routes": [
            {
                "instance": instance.replace("_", "-"),
                "address": f"127.10.1.{octet}",
                "local": f"127.10.2.{octet}:3306",
            }
            for instance, octet in routes.items()
        ],
    }


def _cluster(folder: Path) -> dict[str, Any]:
    endpoints = [
        _endpoint("ledger", "writer", "ledger.cluster-", ledger_1=21, ledger_2=22),
        _endpoint("ledger-ro", "reader", "ledger.cluster-ro-", ledger_2=32, ledger_1=31),
        _endpoint("reports", "custom", "reports.cluster-custom-", ledger_2=42, ledger_1=41),
    ]
    (folder / "ledger.writer").write_text("ledger-1\n")
    hosts = [f"{endpoint['routes'][0]['address']} {endpoint['host']}" for endpoint in endpoints]
    (folder / "hosts").write_text("\n".join([*hosts, "127.0.0.1 localhost", ""]))
    return {
        "identifier": "ledger",
        "engine": "aurora-mysql",
        "engineVersion": "8.0.mysql_aurora.3.05.2",
        "resourceId": "cluster-LEDGER00000000000000000001",
        "port": 3306,
        "iam": True,
        "masterUsername": "admin",
        "writer": str(folder / "ledger.writer"),
        "hosts": str(folder / "hosts"),
        "members": [
            {"instance": name, "promote": f"promote {name};\n", "follow": f"{name} follows;\n"}
            for name in ("ledger-1", "ledger-2")
        ],
        "endpoints": endpoints,
    }


def _trust_store(folder: Path, address: str) -> dict[str, str]:
    """A CA that signed itself stands in for the databases' and for the one that certifies the trust store."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trust store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    ca, key_file = str(folder / "ca.crt"), str(folder / "ca.key")
    return {"ca": ca, "listen": address, "certificate": ca, "key": key_file}


def _proxy() -> dict[str, Any]:
    return {
        "name": "orders-proxy",
        "id": "prx-0orders0000000001",
        "role": "orders-proxy",
        "target": "orders",
        "endpoints": [
            _endpoint("orders-proxy", "proxy", "orders-proxy.proxy-", orders=51),
            _endpoint("orders-proxy-ro", "proxy", "orders-proxy-ro.endpoint.proxy-", orders=52),
        ],
    }


def _configuration(folder: Path, address: str) -> dict[str, Any]:
    condition = {
        "StringEquals": {"kubernetes.default.svc:aud": AUDIENCE},
        "StringLike": {"kubernetes.default.svc:sub": "system:serviceaccount:shop:*"},
    }
    shop = trust({"Federated": PROVIDER}, "sts:AssumeRoleWithWebIdentity", condition)
    return {
        "listen": address,
        "region": REGION,
        "account": ACCOUNT,
        "partition": "aws",
        "authConfig": str(folder / "auth.json"),
        "requestLog": str(folder / "aws.log"),
        "oidc": {"issuer": ISSUER, "publicKey": str(folder / "sa.pub"), "audience": AUDIENCE},
        "trustStore": _trust_store(folder, f"{HOST}:{free_port()}"),
        "instances": [
            _instance(folder, "orders", "mysql", "8.0.33", 1),
            _instance(folder, "billing", "mariadb", "10.11", 2),
            _member(folder, "ledger-1", 11),
            _member(folder, "ledger-2", 12),
        ],
        "clusters": [_cluster(folder)],
        "proxies": [_proxy()],
        "replicas": [_endpoint("orders-replica", "replica", "orders-replica.", orders=3)],
        "users": [
            {"name": name, "accessKeyId": key, "secretAccessKey": secret}
            for name, (key, secret) in {"world-admin": ADMIN, "iamdb-operator": OPERATOR}.items()
        ],
        "roles": [
            {"name": "shop-app", "path": "/", "trust": shop},
            {"name": "orders-proxy", "path": "/", "trust": trust({"Service": "rds.amazonaws.com"})},
        ],
    }


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], World]:
    """Starts a launcher on a port, in a folder of its own."""

    def begin(port: int) -> World:
        folder = tmp_path_factory.mktemp("world")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "sa.pub").write_bytes(public)
        (folder / "aws.json").write_text(json.dumps(_configuration(folder, f"{HOST}:{port}")))
        process = subprocess.Popen(
            [sys.executable, "-m", "world_aws", "--config", str(folder / "aws.json")],
            env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        )
        world = World(f"http://{HOST}:{port}", folder, key, process)
        _await_ready(world)
        return world

    return begin


def _await_ready(world: World) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            world.control("GET", "ready")
            return
        except requests.ConnectionError:
            if world.process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def shared_world(start: Callable[[int], World]) -> Iterator[World]:
    """One launcher for all tests: they use names of their own."""
    world = start(free_port())
    yield world
    world.process.terminate()
    assert world.process.wait(timeout=10) == 0


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The launcher, with no faults left behind."""
    yield shared_world
    shared_world.control("DELETE", "faults")
    shared_world.control("POST", "iam", {})
    shared_world.control("POST", "truststore", {"pem": None})
