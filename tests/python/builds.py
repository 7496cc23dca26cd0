"""What build servers receive, read by other people's libraries: forwarded events by gidgetlab, builds by TeamCity's client.

Usage: builds.py RECEIVED.json

The file holds a list of requests: {"service", "method", "path", "headers" (lower-case names), "body", "event", "secret"},
where `body` is Base64, `event` the name that the event must have, and `secret` the token that the service checks.
"""

import base64
import json
import sys
import xml.etree.ElementTree

from dohq_teamcity.models import Build, BuildType
from gidgetlab.sansio import Event


def forwarded(request: dict) -> None:
    body = base64.b64decode(request["body"])
    event = Event.from_http(request["headers"], body, secret=request.get("secret"))
    assert event.event == request["event"], (request["service"], event.event)
    assert event.data == json.loads(body), request["service"]
    assert event.project_id, request["service"]


def model(kind: type, element: xml.etree.ElementTree.Element, parts: dict):
    """Reads an element into a model of the client: each attribute and each child must be a field of the model."""
    names = {json_name: name for name, json_name in kind.attribute_map.items()}
    fields = {names[key]: value for key, value in element.attrib.items()}
    for child in element:
        fields[names[child.tag]] = model(parts[child.tag], child, {})
    return kind(**fields)


def queued(request: dict) -> None:
    build = model(Build, xml.etree.ElementTree.fromstring(base64.b64decode(request["body"])), {"buildType": BuildType})
    assert build.branch_name == request["branch"], (build, request["branch"])
    assert build.build_type.id == request["build_type"], (build, request["build_type"])


with open(sys.argv[1]) as file:
    requests = json.load(file)
assert requests
for request in requests:
    queued(request) if request["service"] == "teamcity" else forwarded(request)
print(len(requests), "read")
