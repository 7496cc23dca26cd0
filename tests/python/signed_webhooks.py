"""Webhooks signed as GitLab 19 signs them, by another implementation of Standard Webhooks.

Usage: signed_webhooks.py vectors              prints what src/api/tests/signed_webhooks.json holds
       signed_webhooks.py send BASE KEY OTHER  sends events to a daemon that knows KEY and not OTHER
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook

# With letters outside ASCII, and a body whose bytes a parser and a printer would change.
BODY = '{"object_kind": "push",  "ref": "refs/heads/main", "user_name": "Zo\u00eb", "project": {"id": 42, "path_with_namespace": "acme/rocket"}}'


def signature(key: str, event_id: str, moment: datetime, body: str = BODY) -> str:
    return Webhook(key).sign(event_id, moment, body)


def vectors() -> None:
    keys = ["whsec_" + base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2)]
    moment = datetime.fromtimestamp(1768469400, tz=timezone.utc)
    vector = {
        "made_by": "tests/python/signed_webhooks.py vectors, with the PyPI package standardwebhooks 1.1.0",
        "keys": keys,
        "id": "f5a4c5e0-0000-4000-8000-000000000001",
        "timestamp": 1768469400,
        "body": BODY,
    }
    vector["signatures"] = [signature(key, vector["id"], moment) for key in keys]
    print(json.dumps(vector, indent=2))


def send(base: str, key: str, other: str) -> None:
    def post(headers: dict[str, str], body: str = BODY) -> tuple[int, dict]:
        headers = {"Content-Type": "application/json", "X-Gitlab-Event": "Push Hook", **headers}
        request = urllib.request.Request(f"{base}/events", body.encode(), headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def signed(event_id: str, signatures: str, moment: datetime) -> dict[str, str]:
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signatures,
        }

    # The package reads the fields of a moment as UTC.
    now = datetime.now(tz=timezone.utc)
    good, bad = signature(key, "signed-1", now), signature(other, "signed-1", now)

    status, answer = post(signed("signed-1", good, now))
    assert (status, answer) == (202, {"id": "signed-1", "result": "accepted"}), (status, answer)
    status, answer = post(signed("signed-1", f"{bad} {good}", now))
    assert status == 202 and answer["result"].startswith("known"), (status, answer)

    def refused(headers: dict[str, str], body: str = BODY) -> None:
        status, answer = post(headers, body)
        assert status == 401, (status, answer)

    refused({})
    refused(signed("signed-1", bad, now))
    refused(signed("signed-2", good, now))
    refused(signed("signed-1", good, now), BODY.replace("main", "evil"))
    refused(signed("signed-1", good, now + timedelta(seconds=1)))
    for away in (timedelta(minutes=-6), timedelta(minutes=6)):
        moment = now + away
        refused(signed("signed-1", signature(key, "signed-1", moment), moment))
    print("done")


if sys.argv[1] == "vectors":
    vectors()
else:
    send(*sys.argv[2:])
