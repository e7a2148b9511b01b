"""The real database servers that stand behind DB instances."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from .config import InstanceSeed

PLUGIN = "AWSAuthenticationPlugin"
SQL_TIMEOUT_SECONDS = 20

# "already installed" and "does not exist", from MySQL and MariaDB: the wanted state was there before.
ALREADY_LOADED = ("ERROR 1125 ", "ERROR 1968 ")
ALREADY_GONE = ("ERROR 1305 ",)


@dataclass
class Server:
    """One server: where its logins arrive, how to run SQL on it as root, its master user's password."""

    local: str
    sql: tuple[str, ...]
    iam: bool
    master_username: str
    master_password: str

    def set_iam(self, enabled: bool) -> None:
        """Load or unload the plugin, as RDS does when IAM authentication is switched; without it logins answer 1524."""
        if enabled == self.iam:
            return
        if enabled:
            self._run(("-e", f"INSTALL PLUGIN {PLUGIN} SONAME '{PLUGIN}.so'"), tolerate=ALREADY_LOADED)
        else:
            self._run(("-e", f"UNINSTALL PLUGIN {PLUGIN}"), tolerate=ALREADY_GONE)
        self.iam = enabled

    def set_master_password(self, password: str) -> None:
        """Change the master user's password; by standard input, because arguments are seen by every process."""
        statement = f"ALTER USER '{self.master_username}'@'%' IDENTIFIED BY '{_quoted(password)}';"
        self._run((), stdin=statement)
        self.master_password = password

    def _run(self, arguments: tuple[str, ...], *, stdin: str = "", tolerate: tuple[str, ...] = ()) -> None:
        if not self.sql:
            return
        done = subprocess.run(
            [*self.sql, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SQL_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0 and not any(error in done.stderr for error in tolerate):
            raise RuntimeError(f"{self.sql[0]} failed on {self.local}: {done.stderr.strip()}")


class Servers:
    """The servers by the endpoint (`host:port`) that reaches them.

    By endpoint, not by instance: an instance that is deleted and created again, or swapped in under the same name,
    is the same machine to its clients.
    """

    def __init__(self, seeds: Iterable[InstanceSeed]) -> None:
        self._by_endpoint = {
            seed.endpoint: Server(seed.local, seed.sql, seed.iam, seed.master_username, seed.master_password)
            for seed in seeds
        }

    def at(self, endpoint: str) -> Server | None:
        return self._by_endpoint.get(endpoint)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
