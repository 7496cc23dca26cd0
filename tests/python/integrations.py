"""What people do with python-gitlab, done to Forgebell: list, get, create, update, delete, by both names.

Usage: integrations.py BASE_URL TOKEN WEBHOOK
"""

import sys

import gitlab

base, token, webhook = sys.argv[1:]
gl = gitlab.Gitlab(base, private_token=token)
project = gl.projects.get(42, lazy=True)

version, revision = gl.version()
assert version != "unknown", (version, revision)

# Nothing is configured yet.
assert project.integrations.list(get_all=True) == []
try:
    project.integrations.get("slack")
    raise AssertionError("an integration that was never configured was found")
except gitlab.GitlabGetError as error:
    assert error.response_code == 404, error
    assert error.error_message == "404 Integration Not Found", error.error_message

# Made by the first update, and active at once.
made = project.integrations.update("slack", {"webhook": webhook, "channel": "#ops", "push_events": True})
assert made["slug"] == "slack" and made["active"] is True, made
assert made["title"] == "Slack notifications", made
assert made["properties"]["channel"] == "#ops", made
assert "webhook" not in made["properties"], made
assert list(made)[:6] == ["id", "title", "slug", "created_at", "updated_at", "active"], list(made)

# An update names the required settings again, and leaves what it does not name.
changed = project.integrations.update("slack", {"webhook": webhook, "note_events": False})
assert changed["note_events"] is False and changed["push_events"] is True, changed
assert changed["properties"]["channel"] == "#ops", changed
assert changed["id"] == made["id"] and changed["created_at"] == made["created_at"], (made, changed)

found = project.integrations.get("slack")
assert found.note_events is False and found.properties["channel"] == "#ops", found.attributes

# Every setting is there, with its default or null; what was read can be sent back and changes nothing.
shown = project.integrations.get("slack").properties
assert shown["notify_only_broken_pipelines"] is True and shown["branches_to_be_notified"] == "default", shown
assert shown["username"] is None and shown["push_channel"] is None, shown
again = project.integrations.update("slack", {"webhook": webhook, **shown})
assert again["properties"] == shown, (shown, again)
assert project.integrations.get("slack").properties == shown

# The client's own way to save sends only what changed.
found.channel = "#dev"
found.webhook = webhook
found.save()
assert project.integrations.get("slack").properties["channel"] == "#dev"

# The client's list has never heard of Discord, and is no obstacle.
project.integrations.update("discord", {"webhook": "https://discord.com/api/webhooks/1/s3cret"})
project.integrations.update("emails-on-push", {"recipients": "ada@example.com grace@example.com"})
listed = [integration.slug for integration in project.integrations.list(get_all=True)]
assert listed == ["slack", "discord", "emails-on-push"], listed

# The old name is the same thing.
assert [service.slug for service in project.services.list(get_all=True)] == listed
assert project.services.get("discord").title == "Discord Notifications"

# What is wrong is told as GitLab tells it.
try:
    project.integrations.update("slack", {"channel": "#ops"})
    raise AssertionError("a required setting was missing, but the update succeeded")
except gitlab.GitlabUpdateError as error:
    assert error.response_code == 400, error
    assert error.error_message == "webhook is missing", error.error_message
try:
    project.integrations.update("slack", {"webhook": webhook, "push_events": "perhaps"})
    raise AssertionError("perhaps is no boolean")
except gitlab.GitlabUpdateError as error:
    assert error.error_message == "push_events is invalid", error.error_message

# Deleted is switched off: the settings stay, the list no longer has it.
project.integrations.delete("slack")
off = project.integrations.get("slack")
assert off.active is False and off.properties["channel"] == "#dev", off.attributes
assert [integration.slug for integration in project.integrations.list(get_all=True)] == ["discord", "emails-on-push"]
project.services.delete("discord")
assert [integration.slug for integration in project.integrations.list(get_all=True)] == ["emails-on-push"]

# By path as well as by number.
gl.http_put("/projects/42", post_data={"path_with_namespace": "acme/web/rocket"})
by_path = gl.projects.get("acme/web/rocket", lazy=True)
assert by_path.integrations.get("emails-on-push").active is True

# Strangers learn nothing.
for stranger, status in [(gitlab.Gitlab(base), 401), (gitlab.Gitlab(base, private_token="fbt-wrong"), 401)]:
    try:
        stranger.projects.get(42, lazy=True).integrations.list(get_all=True)
        raise AssertionError("a stranger was let in")
    except (gitlab.GitlabAuthenticationError, gitlab.GitlabListError) as error:
        assert error.response_code == status, error
try:
    gl.projects.get(4711, lazy=True).integrations.list(get_all=True)
    raise AssertionError("there is no such project")
except gitlab.GitlabListError as error:
    assert (error.response_code, error.error_message) == (404, "404 Project Not Found"), error

print("done")
