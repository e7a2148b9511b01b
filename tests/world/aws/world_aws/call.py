"""What one HTTP request asks of AWS: service, action, who signed it, which parameters it has."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from werkzeug.wrappers import Request

CREDENTIAL = re.compile(r"(?P<key>[^/\s=]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

# Calls that STS answers without a signature: what they carry is the proof.
UNSIGNED_ACTIONS = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})

# As CloudTrail's `readOnly`: STS calls hand out sessions but change no resource.
READ_PREFIXES = ("Get", "List", "Describe", "BatchGet", "Simulate", "Lookup", "Decode", "Assume")


@dataclass(frozen=True)
class Call:
    """An AWS API call, before it is looked at by moto."""

    service: str
    action: str
    access_key_id: str | None
    session_token: str | None
    parameters: tuple[str, ...]
    json_protocol: bool

    @property
    def write(self) -> bool:
        """Whether the call changes a resource."""
        return not self.action.startswith(READ_PREFIXES)

    @property
    def changes_access(self) -> bool:
        """Whether it may change who gets into a database: new sessions do, though they are no write."""
        return self.service in ("iam", "rds", "sts") and (self.write or self.action.startswith("Assume"))

    @property
    def may_be_unsigned(self) -> bool:
        return self.service == "sts" and self.action in UNSIGNED_ACTIONS


def parse(request: Request) -> Call:
    """Read the call out of a request; the body stays readable for moto."""
    target = request.headers.get("X-Amz-Target", "")
    body = request.get_data(cache=True)
    if target:
        action, parameters = target.rpartition(".")[2], _json_names(body)
    else:
        fields = {**request.args.to_dict(flat=False), **parse_qs(body.decode("utf-8", "replace"))}
        action, parameters = fields.get("Action", [""])[0], _query_names(fields)
    key, service = _credential(request)
    if service is None:
        service = "sts" if action in UNSIGNED_ACTIONS else ""
    token = request.headers.get("X-Amz-Security-Token") or request.args.get("X-Amz-Security-Token")
    return Call(service, action, key, token, parameters, json_protocol=bool(target))


def _credential(request: Request) -> tuple[str | None, str | None]:
    """The access key id and the service of the signature's scope, from the header or a presigned URL."""
    signed = request.headers.get("Authorization") or request.args.get("X-Amz-Credential") or ""
    scope = CREDENTIAL.search(signed)
    return (scope["key"], scope["service"].lower()) if scope else (None, None)


def _query_names(fields: dict[str, list[str]]) -> tuple[str, ...]:
    """Top-level parameter names: `Tags.member.1.Key` is `Tags`."""
    names = {name.partition(".")[0] for name in fields if not name.startswith("X-Amz-")}
    return tuple(sorted(names - {"Action", "Version"}))


def _json_names(body: bytes) -> tuple[str, ...]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return ()
    return tuple(sorted(document)) if isinstance(document, dict) else ()
