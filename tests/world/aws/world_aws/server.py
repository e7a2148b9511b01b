"""One real database server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PLUGIN = "AWSAuthenticationPlugin"
SQL_TIMEOUT_SECONDS = 20

# "already installed" and "does not exist", from MySQL and MariaDB: the wanted state was there before.
ALREADY_LOADED = ("ERROR 1125 ", "ERROR 1968 ")
ALREADY_GONE = ("ERROR 1305 ",)
UNREACHABLE = ("ERROR 2002 ", "ERROR 2013 ")


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
        """A replica takes no change of its plugins. Nobody but root gets in between, because `read_only` stays on."""
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


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
