"""What exists when the world begins."""

from __future__ import annotations

import json

from moto.ec2.models import ec2_backends
from moto.iam.models import IAMBackend
from moto.rds.models import RDSBackend

from . import rdsproxies
from .config import ClusterSeed, Config, InstanceSeed, ProxySeed, UserSeed
from .rds import HOST
from .rdsclusters import add_custom_endpoint

INSTANCE_CLASS = "db.t4g.medium"
THUMBPRINT = "0" * 40


def seed(config: Config, iam: IAMBackend, rds: RDSBackend) -> None:
    """Create the users, the OIDC provider, the roles and the instances with their managed secrets."""
    for user in config.users:
        _user(config, iam, user)
    iam.create_open_id_connect_provider(
        url=config.oidc.issuer, thumbprint_list=[THUMBPRINT], client_id_list=[config.oidc.audience], tags=[]
    )
    for role in config.roles:
        iam.create_role(role.name, json.dumps(role.trust), role.path, None, "", [], None)
    for cluster in config.clusters:
        _cluster(rds, cluster)
    for instance in config.instances:
        if instance.cluster is None:
            _instance(rds, instance)
        else:
            _member(rds, instance, instance.cluster)
    for cluster in config.clusters:
        _writer(rds, cluster)
    for proxy in config.proxies:
        _proxies(config, iam, rds, proxy)


def _user(config: Config, iam: IAMBackend, seed: UserSeed) -> None:
    user = iam.create_user(config.region, seed.name)
    key = user.create_access_key(prefix="AKIA")
    key.access_key_id = seed.access_key_id
    key.secret_access_key = seed.secret_access_key
    iam.access_keys[key.access_key_id] = key


def _instance(rds: RDSBackend, seed: InstanceSeed) -> None:
    instance = rds.create_db_instance(
        {
            "db_instance_identifier": seed.identifier,
            "db_instance_class": INSTANCE_CLASS,
            "engine": seed.engine,
            "engine_version": seed.engine_version,
            "port": seed.port,
            "master_username": seed.master_username,
            "allocated_storage": 20,
            "enable_iam_database_authentication": seed.iam,
        }
    )
    instance.dbi_resource_id = seed.resource_id
    if instance.address != seed.host:
        instance.__dict__[HOST] = seed.host
    # The endpoint is complete only now, and the secret's password is looked up by it.
    instance.update(manage_master_user_password=True)
    # moto reports "creating" to whoever looks first.
    assert instance.master_user_secret.secret_status == "creating"


def _cluster(rds: RDSBackend, seed: ClusterSeed) -> None:
    cluster = rds.create_db_cluster(
        {
            "db_cluster_identifier": seed.identifier,
            "engine": seed.engine,
            "engine_version": seed.engine_version,
            "port": seed.port,
            "master_username": seed.master_username,
            "manage_master_user_password": True,
            "enable_iam_database_authentication": seed.iam,
        }
    )
    cluster.db_cluster_resource_id = seed.resource_id
    # moto reports "creating" to whoever looks first.
    assert cluster.status == cluster.master_user_secret.secret_status == "creating"
    for endpoint in seed.endpoints:
        if endpoint.kind == "custom":
            add_custom_endpoint(cluster, endpoint.name)


def _member(rds: RDSBackend, seed: InstanceSeed, cluster: str) -> None:
    instance = rds.create_db_instance(
        {
            "db_instance_identifier": seed.identifier,
            "db_instance_class": INSTANCE_CLASS,
            "engine": seed.engine,
            "db_cluster_identifier": cluster,
        }
    )
    instance.dbi_resource_id = seed.resource_id


def _writer(rds: RDSBackend, seed: ClusterSeed) -> None:
    """Let the member write that does, not moto's first one."""
    writer = seed.writer.read_text(encoding="ascii").strip()
    for member in rds.clusters[seed.identifier].members:
        member.is_cluster_writer = member.db_instance_identifier == writer


def _proxies(config: Config, iam: IAMBackend, rds: RDSBackend, seed: ProxySeed) -> None:
    """The proxy, and beside it one of the standard scheme, which is described and nothing more."""
    subnets = [subnet.id for subnet in ec2_backends[config.account][config.region].describe_subnets()]
    role = iam.get_role(seed.role)
    secret = rds.databases[seed.target].master_user_secret.secret_arn
    standard_auth = [{"AuthScheme": "SECRETS", "IAMAuth": "REQUIRED", "SecretArn": secret}]
    for name, scheme, auth, identifier in (
        (seed.name, rdsproxies.END_TO_END, [], seed.id),
        (f"{seed.name}-standard", rdsproxies.STANDARD, standard_auth, f"{seed.id[:-1]}2"),
    ):
        proxy = rds.create_db_proxy(name, "MYSQL", auth, role.arn, subnets, None, True, None, None, None)
        proxy.unique_id = identifier
        rdsproxies.set_auth_scheme(proxy, scheme)
        rds.register_db_proxy_targets(name, "default", [], [seed.target])
    for endpoint in seed.endpoints:
        if endpoint.name != seed.name:
            rdsproxies.add_endpoint(rds.db_proxies[seed.name], endpoint.name)
