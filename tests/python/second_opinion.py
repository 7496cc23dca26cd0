"""Sends one message as Apprise does to each address, and prints the requests that it makes, each as JSON on a line:
{"url": …, "headers": {…}, "body": {…}}. Nothing goes out: the function that would send them records them.

Usage: second_opinion.py ADDRESS…
"""

import json
import sys

import apprise
import requests


class Taken:
    status_code = 200
    headers = {}
    content = b'{"status": 1}'
    text = '{"status": 1}'

    def json(self):
        return {"status": 1}


def record(url, data=None, headers=None, **_):
    body = json.loads(data) if isinstance(data, str) else dict(data)
    print(json.dumps({"url": url, "headers": dict(headers or {}), "body": body}))
    return Taken()


requests.post = record
for address in sys.argv[1:]:
    sender = apprise.Apprise()
    assert sender.add(address), f"{address} is no address of Apprise"
    assert sender.notify(title="A title", body="A body", body_format=apprise.NotifyFormat.MARKDOWN)
