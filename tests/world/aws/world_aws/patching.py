"""How moto's classes are changed: by methods that are put around its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

Method = Callable[..., Any]


def around(owner: type, name: str) -> Callable[[Method], Method]:
    """Replace a method by one that gets moto's own as its first argument."""
    original = getattr(owner, name)

    def install(replacement: Method) -> Method:
        @wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        setattr(owner, name, patched)
        return replacement

    return install


def answer(owner: type, **calls: Method) -> None:
    """Give moto's class answers of our own to calls."""
    for name, call in calls.items():
        setattr(owner, name, call)
