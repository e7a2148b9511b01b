"""Evaluates role trust policies: may this principal do this action in this context?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Principal:
    """Who asks: a kind of the `Principal` element and every name that denotes the asker."""

    kind: str
    names: frozenset[str]
    context: Mapping[str, tuple[str, ...]]


def admits(document: str, action: str, principal: Principal) -> bool:
    """Whether the policy allows and does not deny; what cannot be evaluated never helps the asker."""
    statements = _as_list(json.loads(document).get("Statement", []))
    matching = [
        statement
        for statement in statements
        if _action_matches(statement, action) and _principal_matches(statement, principal)
    ]
    denied = any(
        statement.get("Effect") == "Deny" and _conditions_hold(statement, principal, unknown=True)
        for statement in matching
    )
    allowed = any(
        statement.get("Effect") == "Allow" and _conditions_hold(statement, principal, unknown=False)
        for statement in matching
    )
    return allowed and not denied


def _action_matches(statement: Mapping[str, Any], action: str) -> bool:
    return any(_like(pattern.lower(), action.lower()) for pattern in _as_list(statement.get("Action", [])))


def _principal_matches(statement: Mapping[str, Any], principal: Principal) -> bool:
    element = statement.get("Principal", {})
    if element == "*":
        return True
    names = _as_list(element.get(principal.kind, []))
    return any(name in principal.names or (name == "*" and principal.kind == "AWS") for name in names)


def _conditions_hold(statement: Mapping[str, Any], principal: Principal, *, unknown: bool) -> bool:
    """All conditions of a statement; an operator that is not known here counts as `unknown`."""
    context = {key.lower(): values for key, values in principal.context.items()}
    for operator, keys in statement.get("Condition", {}).items():
        test = OPERATORS.get(operator.removesuffix("IfExists"))
        for key, wanted in keys.items():
            if test is None:
                held = unknown
            elif key.lower() not in context and operator.endswith("IfExists"):
                held = True
            else:
                held = test(context.get(key.lower(), ()), _as_list(wanted))
            if not held:
                return False
    return True


Test = Callable[[Iterable[str], list[str]], bool]


def _any(match: Callable[[str, str], bool]) -> Test:
    """True if some value of the context matches some wanted value; an absent key never does."""
    return lambda values, wanted: any(match(pattern, value) for value in values for pattern in wanted)


def _none(match: Callable[[str, str], bool]) -> Test:
    """The negated operators: an absent key satisfies them."""
    return lambda values, wanted: not _any(match)(values, wanted)


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


def _equal_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


def _like(pattern: str, value: str) -> bool:
    """IAM's wildcards: `*` and `?`, nothing else is special."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


OPERATORS: dict[str, Test] = {
    "StringEquals": _any(_equal),
    "StringNotEquals": _none(_equal),
    "StringEqualsIgnoreCase": _any(_equal_ignoring_case),
    "StringLike": _any(_like),
    "StringNotLike": _none(_like),
    "ArnEquals": _any(_like),
    "ArnLike": _any(_like),
    "ArnNotEquals": _none(_like),
    "ArnNotLike": _none(_like),
}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
