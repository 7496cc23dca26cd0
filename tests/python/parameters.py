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
# Names that GitLab itself does not know any more.
FORMER = {("pipelines-email", "notify_only_broken_builds")}


def schema(slug: str) -> dict | None:
    item = document["paths"].get("/projects/{id}/integrations/" + slug)
    if item is None:
        return None
    reference = item["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return schemas[reference.rsplit("/", 1)[1]]["properties"]


def value(name: str, spec: dict):
    if name.endswith("_events"):
        return False
    if "examples" in spec:
        return spec["examples"][0]
    is_switch = isinstance(spec.get("default"), bool)
    return not spec["default"] if is_switch else "x"


covered, unknown = [], []
for name, (required, optional) in ProjectIntegrationManager._service_attrs.items():
    slug = NAMES.get(name, name)
    known = schema(slug)
    if known is None:
        continue
    unknown += [f"{slug}: {parameter}" for parameter in (*required, *optional)
                if parameter not in known and (slug, parameter) not in FORMER]
    given = {parameter: value(parameter, known[parameter]) for parameter in (*required, *optional) if parameter in known}
    # The daemon says of `active` that it has no effect here.
    given.pop("active", None)
    saved = project.integrations.update(slug, given)
    # Warnings may name what python-gitlab does not know (the `base_url` of a service that has ended).
    ignored = [warning for warning in saved.get("warnings", []) if warning.split(":")[0] in given]
    assert not ignored, (slug, ignored)
    shown = project.integrations.get(slug).attributes
    assert shown["active"] is True, shown
    for parameter, expected in given.items():
        if known.get(parameter, {}).get("writeOnly"):
            assert parameter not in shown["properties"], (slug, parameter)
            continue
        # A tracker has a `title` of its own, and so has every integration.
        read = shown["properties"].get(parameter, shown.get(parameter))
        if isinstance(read, str) and "***" in read:
            # A password in an address is masked, and the rest is shown (irker's `recipients`).
            read, expected = read.split("***")[0], str(expected)[: read.index("***")]
        assert str(read).lower() == str(expected).lower(), (slug, parameter, expected, read)
    project.integrations.delete(slug)
    assert slug not in [one.slug for one in project.integrations.list(get_all=True)], slug
    covered.append(slug)

print("unknown:", *unknown, sep="\n")
print("covered:", *covered)
print(len(covered), "done")
