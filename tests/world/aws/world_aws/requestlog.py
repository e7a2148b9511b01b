"""One JSON line for each call that was answered: names and codes, never a value."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from .call import Call


class RequestLog:
    """Appends to the log file; a line is in the file before its call is answered."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def write(self, call: Call, *, principal: str | None, status: int, code: str | None) -> None:
        """Log one call."""
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "service": call.service,
                "action": call.action,
                "principal": principal,
                "status": status,
                "code": code,
                "write": call.write,
                "parameters": call.parameters,
            }
        )
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
