"""Makes JSON schemas for kubeconform of what a real apiserver says that it accepts, our own kinds among them.

    kubectl get --raw /openapi/v2 | schemas.py FOLDER

kubeconform's own are on GitHub; these need no network, and are of the very version that the chart is tested on. Strict: a field that the
apiserver does not know is an error.
"""

import json
import pathlib
import sys


def strict(node):
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: strict(value) for key, value in node.items()}
    if isinstance(ref := node.get("$ref"), str):
        node["$ref"] = ref.replace("#/definitions/", "definitions.json#/definitions/")
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string") is True:
        return {"type": ["string", "integer"]}
    if isinstance(node.get("properties"), dict) and node.get("x-kubernetes-preserve-unknown-fields") is not True:
        node.setdefault("additionalProperties", False)
    return node


def main(folder: pathlib.Path) -> None:
    definitions = json.load(sys.stdin)["definitions"]
    # Quantities are numbers as well; what a CRD's schema may hold is not for us to check twice.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    for name, definition in definitions.items():
        if name.endswith(".JSONSchemaProps"):
            definitions[name] = {"type": "object"}
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            parts = [kind["kind"], group, kind["version"]] if group else [kind["kind"], kind["version"]]
            schema = {"$ref": f"definitions.json#/definitions/{name}"}
            (folder / f"{'-'.join(parts).lower()}.json").write_text(json.dumps(schema))
    (folder / "definitions.json").write_text(json.dumps({"definitions": strict(definitions)}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
