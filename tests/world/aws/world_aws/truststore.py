"""The trust store: the certificates of the databases' CA, as AWS publishes them for everybody to fetch."""

from __future__ import annotations

import hashlib
import re

from werkzeug.wrappers import Request, Response

from .call import Call
from .config import TrustStoreSeed

BUNDLE = re.compile(r"/(?P<area>global|[a-z]{2}(?:-[a-z]+)+-\d)/(?P=area)-bundle\.pem")

# What it is called in faults and in the request log.
CALL = Call("truststore", "GetBundle", None, None, (), json_protocol=False)


class TrustStore:
    """Bundles of the Region that the world is in, and of all Regions; they hold the same CA."""

    def __init__(self, seed: TrustStoreSeed, region: str) -> None:
        self._seed = seed
        self._areas = ("global", region)
        self._instead: bytes | None = None

    def wants(self, request: Request) -> bool:
        """Whether the request is for a bundle."""
        return BUNDLE.fullmatch(request.path) is not None

    def publish(self, text: str | None) -> None:
        """Serve another text from now on, or the databases' CA again."""
        self._instead = None if text is None else text.encode()

    def answer(self, request: Request) -> Response:
        """The bundle, or that it has not changed."""
        found = BUNDLE.fullmatch(request.path)
        if found is None or found["area"] not in self._areas or request.method not in ("GET", "HEAD"):
            # As S3 answers for what it will not even say is missing.
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, content_type="application/xml")
        body = self._seed.ca.read_bytes() if self._instead is None else self._instead
        response = Response(body, content_type="application/x-pem-file")
        response.set_etag(hashlib.md5(body, usedforsecurity=False).hexdigest())
        response.make_conditional(request)
        return response
