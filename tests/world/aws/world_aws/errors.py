"""AWS's error answers, in the protocol of the service that was called."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

JSON_TYPE = "application/x-amz-json-1.1"


class AwsError(Exception):
    """A refusal with the code, message and status that AWS would give."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def answer(error: AwsError, *, json_protocol: bool) -> Response:
    """Render an error so that an SDK reads the code out of it."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if json_protocol:
        body = json.dumps({"__type": error.code, "message": error.message})
        return Response(body, error.status, headers, content_type=JSON_TYPE)
    fault = "Sender" if error.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(body, error.status, headers, content_type="text/xml")
