"""What a client reads and sends back must change nothing: else Terraform and its like would apply blanks without a word.

The daemon's own description says which services there are, which settings each requires, and an example of each.

Usage: drift.py BASE_URL TOKEN
"""

import sys

import gitlab

base, token = sys.argv[1:]
gl = gitlab.Gitlab(base, private_token=token)
gl.auth()
assert gl.user.bot and gl.user.username == f"bot_{gl.user.id}", gl.user.attributes
project = gl.projects.get(42, lazy=True)
document = gl.http_get("/openapi.json")
schemas = document["components"]["schemas"]
prefix = "/projects/{id}/integrations/"


def state(slug: str) -> dict:
    """All that is shown, but for when it changed."""
    shown = project.integrations.get(slug).attributes
    return {name: value for name, value in shown.items() if name != "updated_at"}


covered = []
for path, item in document["paths"].items():
    slug = path.removeprefix(prefix)
    if slug == path or "/" in slug or "put" not in item:
        continue
    reference = item["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    settings = schemas[reference.rsplit("/", 1)[1]]
    examples = {name: spec["examples"][0] for name, spec in settings["properties"].items() if "examples" in spec}
    secrets = {name for name, spec in settings["properties"].items() if spec.get("writeOnly")}
    required = {name: examples[name] for name in settings.get("required", [])}
    if slug == "jira":
        # No setting of its login is required by itself, but one of the two ways to log in is.
        required |= {name: examples[name] for name in ("username", "password")}
    for configured in (required, examples):
        project.integrations.update(slug, configured)
        first = state(slug)
        assert first["active"] is True, first
        shown = first["properties"]
        assert set(shown) >= {name for name in configured if name not in secrets and name not in first}, (slug, shown)
        # A client knows what it can't read, secrets before all, from its own configuration.
        unseen = {name: value for name, value in configured.items() if name not in shown and name not in first}
        flags = {name: value for name, value in first.items() if name.endswith("_events")}
        project.integrations.update(slug, {**unseen, **flags, **shown})
        assert state(slug) == first, (slug, first, state(slug))
    # A project has one issue tracker at a time.
    project.integrations.delete(slug)
    covered.append(slug)

assert "slack" in covered and "emails-on-push" in covered, covered
print("covered:", *covered)
print("no drift")
