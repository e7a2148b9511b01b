"""Compares the rights in a rendered chart with the lists in its files/rights.

    rights.py RENDERED [--namespaces A,B] [--watch-secrets] [--all-tokens] [--named NAMESPACE:NAME,...]

The lists are what the tests run with. Whatever the chart's modes make of them is a sum of these lists, each in a namespace or in all of them.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

RIGHTS = pathlib.Path("charts/iamdb-operator/files/rights")
OWN = "iamdb-system"
EVERYWHERE = "*"


def objects(text: str) -> list[dict]:
    """kubectl reads YAML; Python's standard library does not."""
    command = ["kubectl", "create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-"]
    told = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    found, at = [], 0
    while (at := told.find("{", at)) >= 0:
        one, at = json.JSONDecoder().raw_decode(told, at)
        found += one.get("items", [one])
    return found


def grants(rules: list[dict]):
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [EVERYWHERE]):
                        yield f"{verb} {resource}.{group}/{name}"


def listed(name: str) -> list[str]:
    role = 'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\nrules:\n'
    return list(grants(objects(role + (RIGHTS / f"{name}.yaml").read_text())[0]["rules"]))


def wanted(arguments: argparse.Namespace) -> dict[str, set[str]]:
    rights = collections.defaultdict(set)
    rights[EVERYWHERE].update(listed("cluster"))
    rights[OWN].update(listed("own"))
    scope = arguments.namespaces.split(",") if arguments.namespaces else [EVERYWHERE]
    lists = ["namespaces", "events"] + ["secrets-watch"] * arguments.watch_secrets + ["tokens"] * arguments.all_tokens
    for namespace in scope:
        for name in lists:
            rights[namespace].update(listed(name))
    if arguments.namespaces:
        rights["default"].update(listed("events"))
    for one in filter(None, arguments.named.split(",")):
        namespace, name = one.split(":")
        rights[namespace].add(f"create serviceaccounts/token./{name}")
    return rights


def given(rendered: list[dict]) -> dict[str, set[str]]:
    """The rights of the operator's account: roles without a binding to it give none."""
    roles = {}
    for it in rendered:
        if it["kind"] in ("Role", "ClusterRole"):
            roles[it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]] = it.get("rules") or []
    rights = collections.defaultdict(set)
    for it in rendered:
        if it["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        bound = [(subject["kind"], subject["namespace"], subject["name"]) for subject in it["subjects"]]
        assert bound == [("ServiceAccount", OWN, "iamdb-operator")], it
        namespace = it["metadata"].get("namespace") if it["kind"] == "RoleBinding" else None
        role = (it["roleRef"]["kind"], namespace if it["roleRef"]["kind"] == "Role" else None, it["roleRef"]["name"])
        rights[namespace or EVERYWHERE].update(grants(roles[role]))
    return rights


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rendered", type=pathlib.Path)
    parser.add_argument("--namespaces", default="")
    parser.add_argument("--watch-secrets", action="store_true")
    parser.add_argument("--all-tokens", action="store_true")
    parser.add_argument("--named", default="")
    arguments = parser.parse_args()
    want, have = wanted(arguments), given(objects(arguments.rendered.read_text()))
    for namespace in sorted(want.keys() | have.keys()):
        for right in sorted(have[namespace] - want[namespace]):
            print(f"too many in {namespace}: {right}")
        for right in sorted(want[namespace] - have[namespace]):
            print(f"missing in {namespace}: {right}")
    sys.exit(want != have)


if __name__ == "__main__":
    main()
