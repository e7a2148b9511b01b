"""The real servers of a DB cluster, and how they change places."""

from __future__ import annotations

from .config import ClusterSeed, EndpointSeed, MemberSeed
from .server import Server, Unreachable

CATCH_UP_SECONDS = 10


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
            now = self._address(endpoint)
            for route in endpoint.routes:
                text = text.replace(f"{route.address} {endpoint.host}\n", f"{now} {endpoint.host}\n")
        with self.seed.hosts.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()

    def _address(self, endpoint: EndpointSeed) -> str:
        """What a name resolves to now: the writer's endpoint leads to the writer, all others to a reader."""
        leads = (r.address for r in endpoint.routes if (r.instance == self._writer) == (endpoint.kind == "writer"))
        return next(leads)
