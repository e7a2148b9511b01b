"""Faults that a test arms: errors, delays, and replies held back after the call took effect."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .call import Call
from .errors import AwsError


@dataclass
class Fault:
    """One armed fault; a service or action that is not given matches every call."""

    number: int
    service: str | None
    action: str | None
    code: str | None
    status: int
    left: int
    delay: float
    hold: bool
    released: threading.Event = field(default_factory=threading.Event)

    def matches(self, call: Call) -> bool:
        return self.service in (None, "*", call.service) and self.action in (None, "*", call.action)

    def error(self) -> AwsError | None:
        """What the call fails with instead of taking effect."""
        return AwsError(self.code, "injected by the test world", self.status) if self.code else None

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "service": self.service,
            "action": self.action,
            "code": self.code,
            "status": self.status,
            "times": self.left,
            "delay": self.delay,
            "hold": "reply" if self.hold else None,
        }


class Faults:
    """The armed faults, oldest first, and what they did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._held: dict[int, tuple[Fault, Call]] = {}
        self._fired: list[dict[str, Any]] = []
        self._count = 0

    def arm(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Arm a fault; raises ValueError for a specification that would do nothing or is not understood."""
        with self._lock:
            self._count += 1
            fault = _parse(self._count, spec)
            self._armed.append(fault)
            return fault.describe()

    def take(self, call: Call) -> Fault | None:
        """The fault that this call meets, used up by one."""
        with self._lock:
            fault = next((armed for armed in self._armed if armed.matches(call)), None)
            if fault is None:
                return None
            fault.left -= 1
            if fault.left == 0:
                self._armed.remove(fault)
            self._fired.append(
                {
                    "id": fault.number,
                    "time": datetime.now(UTC).isoformat(),
                    "service": call.service,
                    "action": call.action,
                }
            )
            if fault.hold:
                self._held[id(call)] = (fault, call)
            return fault

    def wait(self, fault: Fault, call: Call) -> None:
        """Keep a held call's reply back until everything is released."""
        fault.released.wait()
        with self._lock:
            self._held.pop(id(call), None)

    def describe(self) -> dict[str, Any]:
        """What is armed, what fired, and whose reply is being held."""
        with self._lock:
            return self._describe()

    def clear(self) -> dict[str, Any]:
        """Disarm all, release what is held, forget what fired; answers how it stood before."""
        with self._lock:
            before = self._describe()
            for fault in [*self._armed, *(fault for fault, _ in self._held.values())]:
                fault.released.set()
            self._armed.clear()
            self._held.clear()
            self._fired.clear()
            return before

    def _describe(self) -> dict[str, Any]:
        return {
            "armed": [fault.describe() for fault in self._armed],
            "fired": list(self._fired),
            "held": [
                {"id": fault.number, "service": call.service, "action": call.action}
                for fault, call in self._held.values()
            ],
        }


def _parse(number: int, spec: Mapping[str, Any]) -> Fault:
    unknown = set(spec) - {"service", "action", "code", "status", "times", "delay", "hold"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    hold = spec.get("hold")
    if hold not in (None, "reply"):
        raise ValueError('hold is "reply" or absent')
    code, delay, times = spec.get("code"), float(spec.get("delay", 0)), int(spec.get("times", 1))
    if times < 1 or delay < 0:
        raise ValueError("times is at least 1, delay at least 0")
    if not (code or delay or hold):
        raise ValueError("a fault needs a code, a delay or a hold")
    if code and hold:
        raise ValueError("a call that fails has no effect to hold the reply of")
    return Fault(
        number=number,
        service=spec.get("service"),
        action=spec.get("action"),
        code=code,
        status=int(spec.get("status", 400)),
        left=times,
        delay=delay,
        hold=hold == "reply",
    )
