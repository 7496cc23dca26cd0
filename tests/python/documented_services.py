"""Sets every parameter that GitLab's documentation of 10.x and 14.x names, for each service of a table, and reads it back.

Each service is set in four ways: by python-gitlab and by curl, under `/services` and under `/integrations`. Each time it is
set in a project of its own, since a project may have one issue tracker only.

Usage: documented_services.py BASE_URL TOKEN TABLE
"""

import json
import subprocess
import sys

import gitlab

base, token, table = sys.argv[1:]
gl = gitlab.Gitlab(base, private_token=token)
with open(table, encoding="utf-8") as file:
    services = json.load(file)


def by_python(project: int, kind: str, slug: str, parameters: dict) -> None:
    manager = getattr(gl.projects.get(project, lazy=True), kind)
    manager.update(slug, parameters)


def by_curl(project: int, kind: str, slug: str, parameters: dict) -> None:
    form = []
    for name, value in parameters.items():
        text = json.dumps(value) if isinstance(value, bool) else str(value)
        form += ["--data-urlencode", f"{name}={text}"]
    url = f"{base}/api/v4/projects/{project}/{kind}/{slug}"
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--request", "PUT"]
    command += ["--header", f"PRIVATE-TOKEN: {token}", *form, url]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, (slug, kind, done.stdout, done.stderr)


def read_back(project: int, slug: str, service: dict, parameters: dict) -> list[str]:
    shown = gl.projects.get(project, lazy=True).integrations.get(slug).attributes
    assert shown["active"] is True and shown["slug"] == slug, shown
    wrong = []
    for name, value in parameters.items():
        if name in service["hidden"]:
            found = "hidden" if name not in shown["properties"] else "shown"
            value = "hidden"
        else:
            found = shown["properties"].get(name, shown.get(name, "missing"))
        if found != value:
            wrong.append(f"{slug}: {name} is {found!r}, not {value!r}")
    return wrong


wrong, project, count = [], 1000, 0
for slug, service in services.items():
    parameters = {**service["required"], **service["optional"]}
    for kind in ("services", "integrations"):
        for put in (by_python, by_curl):
            project += 1
            gl.http_put(f"/projects/{project}", post_data={})
            try:
                put(project, kind, slug, service["required"])
                put(project, kind, slug, parameters)
            except gitlab.GitlabError as error:
                wrong.append(f"{slug} under {kind}: {error}")
                continue
            wrong += read_back(project, slug, service, parameters)
    count += 1
assert not wrong, "\n".join(dict.fromkeys(wrong))
print(count, "services")
