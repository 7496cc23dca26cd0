"""Google's token endpoint and an Identity-Aware Proxy with a Prometheus behind it, as far as a client sees them.

    google_iap.py ACCOUNT_KEY.pem CLIENT_ID

Prints its port. Requests for tokens are verified by Google's own library, and so are the tokens that reach the proxy.

- POST /token: an identity token for a request that the account signed (RFC 7523)
- GET /prometheus/api/v1/query: with such a token, what Prometheus answers; otherwise the proxy's refusal
- GET /seen: how many tokens were given, how many requests passed the proxy, and why others did not
"""

import http.server
import json
import sys
import time
import urllib.parse

import google.auth.crypt
import google.auth.jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

EMAIL = "bell@example.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SUCCESS = {"status": "success", "data": {"resultType": "scalar", "result": [1700000000.1, "1"]}}


def pem(key):
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, info)


with open(sys.argv[1], "rb") as file:
    ACCOUNT = pem(serialization.load_pem_private_key(file.read(), None).public_key())
CLIENT = sys.argv[2]
GOOGLE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SEEN = {"tokens": 0, "passed": 0, "refused": []}


class Google(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_POST(self):
        length = int(self.headers["content-length"])
        form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode(), strict_parsing=True))
        here = f"http://127.0.0.1:{server.server_port}/token"
        try:
            assert self.path == "/token" and form["grant_type"] == GRANT, self.path
            claims = google.auth.jwt.decode(form["assertion"], certs=ACCOUNT, audience=here)
            assert claims["iss"] == EMAIL and claims["exp"] - claims["iat"] <= 3600, claims
            assert claims["target_audience"] == CLIENT, claims
        except Exception as error:
            SEEN["refused"].append(str(error))
            return self.answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        SEEN["tokens"] += 1
        now = int(time.time())
        token = {"iss": "https://accounts.google.com", "aud": CLIENT, "email": EMAIL, "iat": now, "exp": now + 3600}
        signer = google.auth.crypt.RSASigner(GOOGLE, key_id="g1")
        return self.answer(200, {"id_token": google.auth.jwt.encode(signer, token).decode()})

    def do_GET(self):
        if self.path == "/seen":
            return self.answer(200, SEEN)
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        try:
            assert scheme == "Bearer", "no token"
            google.auth.jwt.decode(token, certs=pem(GOOGLE.public_key()), audience=CLIENT)
        except Exception as error:
            SEEN["refused"].append(str(error))
            return self.answer(401, "Invalid IAP credentials", x_goog_iap_generated_response="true")
        SEEN["passed"] += 1
        known = self.path == "/prometheus/api/v1/query?query=1"
        return self.answer(200 if known else 404, SUCCESS if known else {})

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Google)
print(server.server_port, flush=True)
server.serve_forever()
