"""The real database servers that stand behind DB instances and clusters."""

from __future__ import annotations

from collections.abc import Iterable

from .cluster import Cluster
from .config import ClusterSeed, EndpointSeed, InstanceSeed
from .server import Server


class Servers:
    """The servers by the endpoint (`host:port`) that reaches them, and the clusters by their identifier.

    A replica's server is another address of its source's, which is not touched on the replica's account.

    By endpoint, not by instance: an instance that is deleted and created again, or swapped in under the same name,
    is the same machine to its clients.
    """

    def __init__(
        self, seeds: Iterable[InstanceSeed], clusters: Iterable[ClusterSeed], replicas: Iterable[EndpointSeed]
    ) -> None:
        by_name = {
            seed.identifier: Server(seed.local, seed.sql, seed.iam, seed.master_username, seed.master_password)
            for seed in seeds
        }
        self._by_endpoint = {seed.endpoint: by_name[seed.identifier] for seed in seeds}
        self._by_endpoint |= {
            f"{replica.host}:{seed.port}": Server(route.local, (), seed.iam, seed.master_username, seed.master_password)
            for replica in replicas
            for route in replica.routes
            for seed in seeds
            if seed.identifier == route.instance
        }
        self._clusters = {seed.identifier: Cluster(seed, by_name) for seed in clusters}

    def at(self, endpoint: str) -> Server | None:
        return self._by_endpoint.get(endpoint)

    def cluster(self, identifier: str) -> Cluster | None:
        return self._clusters.get(identifier)
