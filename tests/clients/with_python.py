"""requests and httpx, each with its own way to put a token on a request."""

import httpx
import requests

from programs import ALICE, BOB, EVERY_WAY, protect


class Bearer(requests.auth.AuthBase, httpx.Auth):
    """The token, for either of the two."""

    def __init__(self, token):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def auth_flow(self, request):
        yield self(request)


def check(report):
    at = protect("--accept", EVERY_WAY, "--scope", "write").origin
    with (
        requests.Session() as session,
        httpx.Client() as http1,
        httpx.Client(http1=False, http2=True) as http2,
    ):
        for name, client in [("requests", session), ("httpx", http1), ("httpx, HTTP/2", http2)]:
            each(report, name, client, at)


def each(report, name, client, at):
    token = {"access_token": BOB}
    for place, request in {
        "header": {"auth": Bearer(BOB)},
        "query": {"params": token},
        "basic": {"auth": (BOB, "")},
        "form": {"method": "POST", "data": token},
        "cookie": {"headers": {"Cookie": f"sid={BOB}"}},
    }.items():
        answer = client.request(**{"method": "GET", "url": f"{at}/calls", **request})
        report.equal(f"{name}: {place}", answer.status_code, 200)
        said = answer.json()
        report.equal(f"{name}: {place}: whose", (said["principal"]["sub"], said["location"]),
                     ("bob", place))

    for what, request, status, part in [
        ("no token", {}, 401, 'Bearer realm="protect", scope="write"'),
        ("unknown", {"auth": Bearer("nobody")}, 401, 'error="invalid_token"'),
        ("two tokens", {"auth": Bearer(BOB), "params": token}, 400, 'error="invalid_request"'),
        ("alice may not write", {"auth": Bearer(ALICE)}, 403, 'error="insufficient_scope"'),
    ]:
        answer = client.request("GET", at, **request)
        report.equal(f"{name}: {what}", answer.status_code, status)
        report.contains(f"{name}: {what}: challenge", answer.headers["WWW-Authenticate"], part)
