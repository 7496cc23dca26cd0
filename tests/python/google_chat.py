"""Reads requests to Google Chat with Google's own protobuf classes, which refuse unknown and mistyped fields.

Usage: google_chat.py FILE, with one request on each line: {"query": {…}, "body": {…}}. Prints what is wrong with each as a
list in JSON, on a line of its own.
"""

import json
import sys

from google.apps import chat_v1
from google.protobuf import json_format

# The limit of a message with all that belongs to it.
LONGEST = 32_000
# What a webhook's address holds besides the parameters of the call.
CREDENTIALS = {"key", "token"}


def problems(query, body):
    found = []
    request = {"message": body, **{name: value for name, value in query.items() if name not in CREDENTIALS}}
    try:
        read = json_format.ParseDict(request, chat_v1.types.CreateMessageRequest.pb()())
        if not read.message.text.strip():
            found.append("no text")
        if read.message.ByteSize() > LONGEST:
            found.append(f"{read.message.ByteSize()} bytes")
    except json_format.ParseError as error:
        found.append(str(error))
    return found


with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        request = json.loads(line)
        print(json.dumps(problems(request["query"], request["body"])))
