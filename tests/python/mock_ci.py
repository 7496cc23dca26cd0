"""A MockCI server: a commit is unknown at first, then its build runs, then it has the state that the command line names.

Prints its port. GET /{namespace}/{project}/status/{sha}.json
"""

import collections
import http.server
import json
import sys

ASKED = collections.Counter()


class MockCi(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ASKED[self.path] += 1
        state = {1: None, 2: "running"}.get(ASKED[self.path], sys.argv[1])
        body = json.dumps({"status": state}).encode()
        self.send_response(200 if state and self.path.endswith(".json") else 404)
        self.end_headers()
        self.wfile.write(body)


server = http.server.HTTPServer(("127.0.0.1", 0), MockCi)
print(server.server_port, flush=True)
server.serve_forever()
