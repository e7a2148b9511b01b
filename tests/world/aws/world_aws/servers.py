"""The real database servers that stand behind DB instances and clusters."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .config import ClusterSeed, EndpointSeed, InstanceSeed, MemberSeed

PLUGIN = "AWSAuthenticationPlugin"
SQL_TIMEOUT_SECONDS = 20

# "already installed" and "does not exist", from MySQL and MariaDB: the wanted state was there before.
ALREADY_LOADED = ("ERROR 1125 ", "ERROR 1968 ")
ALREADY_GONE = ("ERROR 1305 ",)
UNREACHABLE = ("ERROR 2002 ", "ERROR 2013 ")

CATCH_UP_SECONDS = 10


class Unreachable(RuntimeError):
    """A server that does not run."""


@dataclass
class Server:
    """One server: where its logins arrive, how to run SQL on it as root, its master user's password."""

    local: str
    sql: tuple[str, ...]
    iam: bool
    master_username: str
    master_password: str
    read_only: bool = False

    def set_iam(self, enabled: bool) -> None:
        """Load or unload the plugin, as RDS does when IAM authentication is switched; without it logins answer 1524."""
        if enabled == self.iam:
            return
        with self._writable():
            if enabled:
                self._run(("-e", f"INSTALL PLUGIN {PLUGIN} SONAME '{PLUGIN}.so'"), tolerate=ALREADY_LOADED)
            else:
                self._run(("-e", f"UNINSTALL PLUGIN {PLUGIN}"), tolerate=ALREADY_GONE)
        self.iam = enabled

    def set_master_password(self, password: str) -> None:
        """Change the master user's password."""
        self.execute(f"ALTER USER '{self.master_username}'@'%' IDENTIFIED BY '{_quoted(password)}';")
        self.master_password = password

    def execute(self, statements: str) -> None:
        """Run statements from standard input: arguments are seen by every process, and passwords are among them."""
        self._run((), stdin=statements)

    def query(self, statement: str) -> str:
        """The one value that a statement answers."""
        return self._run(("--batch", "--skip-column-names", "-e", statement)).strip()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        """A replica takes no change of its plugins either; nobody but root gets in between, because `read_only` stays."""
        if not self.read_only:
            yield
            return
        self._run(("-e", "SET GLOBAL super_read_only = OFF"))
        try:
            yield
        finally:
            self._run(("-e", "SET GLOBAL super_read_only = ON"))

    def _run(self, arguments: tuple[str, ...], *, stdin: str = "", tolerate: tuple[str, ...] = ()) -> str:
        if not self.sql:
            return ""
        done = subprocess.run(
            [*self.sql, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SQL_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0 and not any(error in done.stderr for error in tolerate):
            kind = Unreachable if any(error in done.stderr for error in UNREACHABLE) else RuntimeError
            raise kind(f"{self.sql[0]} failed on {self.local}: {done.stderr.strip()}")
        return done.stdout


class Cluster:
    """The servers of a DB cluster, one of which writes, and the names that follow them."""

    def __init__(self, seed: ClusterSeed, servers: dict[str, Server]) -> None:
        self.seed = seed
        self._members: dict[str, tuple[MemberSeed, Server]] = {
            member.instance: (member, servers[member.instance]) for member in seed.members
        }
        self._set_writer(seed.writer.read_text(encoding="ascii").strip())

    @property
    def writer(self) -> str:
        """The instance that writes."""
        return self._writer

    @property
    def master_password(self) -> str:
        return self._members[self._writer][1].master_password

    def set_master_password(self, password: str) -> None:
        """Change it on the writer, from which it is replicated."""
        self._members[self._writer][1].set_master_password(password)
        for _, server in self._members.values():
            server.master_password = password

    def fail_over(self, target: str) -> None:
        """Make another member the writer, and let the names and the replication follow. Open sessions stay.

        A writer that is dead is left behind; it finds its place when it is started again.
        """
        if target == self._writer:
            return
        old_seed, old = self._members[self._writer]
        new_seed, new = self._members[target]
        reachable = True
        try:
            old.execute("SET GLOBAL super_read_only = ON;")
            executed = old.query("SELECT REPLACE(@@GLOBAL.gtid_executed, CHAR(10), '')")
            if new.query(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', {CATCH_UP_SECONDS})") == "1":
                raise RuntimeError(f"{target} did not catch up within {CATCH_UP_SECONDS} s")
        except Unreachable:
            reachable = False
        new.execute(new_seed.promote)
        self._set_writer(target)
        self.seed.writer.write_text(target + "\n", encoding="ascii")
        self._move_names()
        if reachable:
            old.execute(old_seed.follow)

    def _set_writer(self, instance: str) -> None:
        self._writer = instance
        for name, (_, server) in self._members.items():
            server.read_only = name != instance

    def _move_names(self) -> None:
        """Rewrite the hosts file in place: processes have this very file mounted over theirs."""
        text = self.seed.hosts.read_text(encoding="utf-8")
        for endpoint in self.seed.endpoints:
            for route in endpoint.routes:
                text = text.replace(f"{route.address} {endpoint.host}\n", f"{self._address(endpoint)} {endpoint.host}\n")
        with self.seed.hosts.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()

    def _address(self, endpoint: EndpointSeed) -> str:
        """What a name resolves to now: the writer's endpoint leads to the writer, all others to a reader."""
        leads = (r.address for r in endpoint.routes if (r.instance == self._writer) == (endpoint.kind == "writer"))
        return next(leads)


class Servers:
    """The servers by the endpoint (`host:port`) that reaches them, and the clusters by their identifier.

    By endpoint, not by instance: an instance that is deleted and created again, or swapped in under the same name,
    is the same machine to its clients.
    """

    def __init__(self, seeds: Iterable[InstanceSeed], clusters: Iterable[ClusterSeed] = ()) -> None:
        by_name = {
            seed.identifier: Server(seed.local, seed.sql, seed.iam, seed.master_username, seed.master_password)
            for seed in seeds
        }
        self._by_endpoint = {seed.endpoint: by_name[seed.identifier] for seed in seeds}
        self._clusters = {seed.identifier: Cluster(seed, by_name) for seed in clusters}

    def at(self, endpoint: str) -> Server | None:
        return self._by_endpoint.get(endpoint)

    def cluster(self, identifier: str) -> Cluster | None:
        return self._clusters.get(identifier)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
