"""A stand-in for Jira (REST API 2) that keeps state: issues with comments, remote links, transitions and resolutions.

It prints its port first. Every issue of the project ABC is there, and made when it is first asked for. The workflow is
To Do (1) -11-> In Progress (3) -31-> Done (6), which sets a resolution; a transition that is not on offer is refused.

`POST /control/hang?at=N` makes it carry out the N-th request from then on without an answer, until `/control/go`.
`POST /control/begin?key=ABC-1&status=3` puts an issue into a state. `POST /control/hung` says how many hang.
`POST /control/state` shows all issues and requests, and the logins that were refused.
"""

import json
import re
import sys
import threading
from base64 import b64encode
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOGINS = {"Bearer t0ken", "Basic " + b64encode(b"forgebell:t0ken").decode()}
# A person has to answer a CAPTCHA before this user's logins are looked at again.
LOCKED = "Basic " + b64encode(b"forgebell:l0cked").decode()
STATES = {"1": ("To Do", "new"), "3": ("In Progress", "indeterminate"), "6": ("Done", "done")}
OFFERS = {"1": [("11", "Start", "3")], "3": [("31", "Finish", "6")], "6": [("5", "Reopen", "1")]}
MISSING = "Issue does not exist or you do not have permission to see it."

lock = threading.Lock()
issues, requests, refused = {}, [], []
hang = {"in": None, "hung": 0, "go": threading.Event()}


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def issue_of(name):
    for issue in issues.values():
        if name in (issue["id"], issue["key"]):
            return issue
    if not re.fullmatch(r"ABC-\d+", name):
        return None
    number = str(10_000 + len(issues))
    return issues.setdefault(name, {
        "id": number, "key": name, "status": "1", "resolved": None, "comments": [], "links": [], "moves": [],
    })


def refusal(status, words):
    return status, {"errorMessages": [words], "errors": {}}


def status_of(state):
    name, category = STATES[state]
    return {"id": state, "name": name, "statusCategory": {"id": 1, "key": category, "name": name}}


def transitions(issue):
    return [{"id": id, "name": name, "to": status_of(to)} for id, name, to in OFFERS[issue["status"]]]


def shown(issue, base):
    resolved = issue["resolved"]
    return {
        "id": issue["id"], "key": issue["key"], "self": f"{base}/issue/{issue['id']}",
        "fields": {
            "summary": "An issue", "status": status_of(issue["status"]),
            "resolution": {"id": "1", "name": "Done"} if resolved else None, "resolutiondate": resolved,
        },
    }


def answer(method, path, query, body, base):
    """The status and the JSON of an answer."""
    if path == "serverInfo":
        return 200, {"version": "9.12.4", "versionNumbers": [9, 12, 4], "deploymentType": "Server", "baseUrl": base}
    if path == "myself":
        return 200, {"name": "forgebell", "displayName": "Forgebell"}
    if path == "field":
        return 200, []
    found = re.fullmatch(r"issue/([^/]+)(?:/(comment|remotelink|transitions)(?:/(\d+))?)?", path)
    issue = found and issue_of(found[1])
    if not issue:
        return refusal(404, MISSING)
    part, number = found[2], found[3]
    if part is None:
        expanded = {"transitions": transitions(issue)} if "transitions" in query.get("expand", [""])[0] else {}
        return 200, {**shown(issue, base), **expanded}
    if part == "comment" and method == "GET":
        newest = sorted(issue["comments"], key=lambda comment: -int(comment["id"]))
        return 200, {"startAt": 0, "maxResults": 100, "total": len(newest), "comments": newest}
    if part == "comment":
        if len(body["body"]) > 32_767:
            return 400, {"errorMessages": [], "errors": {"comment": "The entered text is too long."}}
        comment = {"id": str(100 + len(issue["comments"])), "body": body["body"], "created": now()}
        issue["comments"].append(comment)
        return 201, comment
    if part == "remotelink" and method == "GET":
        return 200, issue["links"]
    if part == "remotelink" and method == "POST":
        known = [link for link in issue["links"] if link["globalId"] == body["globalId"]]
        if known:
            known[0].update(body)
            return 200, {"id": known[0]["id"]}
        link = {"id": 500 + len(issue["links"]), **body}
        link["self"] = f"{base}/issue/{issue['id']}/remotelink/{link['id']}"
        issue["links"].append(link)
        return 201, {"id": link["id"], "self": link["self"]}
    if part == "remotelink":
        known = [link for link in issue["links"] if str(link["id"]) == number]
        if not known:
            return refusal(404, "There is no such link.")
        known[0].update(body)
        return 204, None
    if method == "GET":
        return 200, {"transitions": transitions(issue)}
    to = [to for id, _, to in OFFERS[issue["status"]] if id == body["transition"]["id"]]
    if not to:
        return refusal(400, "It seems that you have tried to perform an illegal workflow operation.")
    issue["moves"].append(body["transition"]["id"])
    issue["status"] = to[0]
    issue["resolved"] = now() if to[0] == "6" else None
    return 204, None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, json_body, headers=()):
        raw = b"" if json_body is None else json.dumps(json_body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def control(self, path, query):
        with lock:
            if path == "hang":
                hang.update({"in": int(query["at"][0]), "hung": 0, "go": threading.Event()})
            if path == "begin":
                issue_of(query["key"][0])["status"] = query["status"][0]
            if path == "go":
                hang["go"].set()
            state = {"issues": issues, "requests": requests, "refused": refused}
            shown = state if path == "state" else {"hung": hang["hung"]}
            self.reply(200, shown)

    def do(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path.startswith("/control/"):
            return self.control(url.path.removeprefix("/control/"), query)
        prefix = "/jira/rest/api/2/"
        if not url.path.startswith(prefix):
            return self.reply(404, {"message": "null for uri"})
        login = self.headers.get("Authorization")
        if login not in LOGINS:
            reason = "AUTHENTICATION_DENIED" if login == LOCKED else "AUTHENTICATED_FAILED"
            with lock:
                refused.append(reason)
            said = [("X-Seraph-LoginReason", reason), ("WWW-Authenticate", "OAuth realm=\"jira\"")]
            return self.reply(*refusal(401, "You are not authenticated."), said)
        path = url.path.removeprefix(prefix)
        body = json.loads(raw) if raw else None
        base = f"http://{self.headers['Host']}{prefix}".rstrip("/")
        with lock:
            status, json_body = answer(self.command, path, query, body, base)
            requests.append({"method": self.command, "path": path, "body": body, "status": status})
            waits = None
            if hang["in"] is not None:
                hang["in"] -= 1
                if hang["in"] == 0:
                    hang["in"], waits = None, hang["go"]
                    hang["hung"] += 1
        if waits:
            waits.wait()
            self.close_connection = True
            return None
        return self.reply(status, json_body, [("X-Seraph-LoginReason", "OK"), ("X-AREQUESTID", "1x1x1")])

    do_GET = do_POST = do_PUT = do


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
sys.exit(0)
