"""Sets, reads and deletes each integration with every parameter that python-gitlab knows of it.

The daemon's own description says which services it offers, and has an example of each setting.

Usage: parameters.py BASE_URL TOKEN
"""

import sys

import gitlab
from gitlab.v4.objects import ProjectIntegrationManager

base, token = sys.argv[1:]
gl = gitlab.Gitlab(base, private_token=token)
project = gl.projects.get(42, lazy=True)
document = gl.http_get("/openapi.json")
schemas = document["components"]["schemas"]
# GitLab's name of the service, where python-gitlab has another one.
NAMES = {"circuit": "unify-circuit"}


def schema(slug: str) -> dict | None:
    item = document["paths"].get("/projects/{id}/integrations/" + slug)
    if item is None:
        return None
    reference = item["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return schemas[reference.rsplit("/", 1)[1]]["properties"]


def value(spec: dict):
    if "examples" in spec:
        return spec["examples"][0]
    return {"boolean": False, "integer": 2}.get(spec.get("type"), "x")


covered, unknown = [], []
for name, (required, optional) in ProjectIntegrationManager._service_attrs.items():
    slug = NAMES.get(name, name)
    known = schema(slug)
    if known is None:
        continue
    unknown += [f"{slug}: {parameter}" for parameter in (*required, *optional) if parameter not in known]
    given = {parameter: value(known[parameter]) for parameter in (*required, *optional) if parameter in known}
    given["active"] = True
    saved = project.integrations.update(slug, given)
    assert not saved.get("warnings"), (slug, saved["warnings"])
    shown = project.integrations.get(slug).attributes
    assert shown["active"] is True, shown
    for parameter, expected in given.items():
        if known.get(parameter, {}).get("writeOnly"):
            assert parameter not in shown["properties"], (slug, parameter)
            continue
        read = shown.get(parameter, shown["properties"].get(parameter))
        assert str(read).lower() == str(expected).lower(), (slug, parameter, expected, read)
    project.integrations.delete(slug)
    assert slug not in [one.slug for one in project.integrations.list(get_all=True)], slug
    covered.append(slug)

print("unknown:", *unknown, sep="\n")
print("covered:", *covered)
print(len(covered), "done")
