"""nginx and Envoy that ask examples/protect whether a request may pass.

With `auth_request` and `ext_authz` they let a request pass where examples/protect answers with 2xx:
whatever a request without a token says of itself, it does not get the secret."""

import tempfile

import httpx

from programs import ALICE, protect
from proxies import FILTERS, auth_request, envoy, nginx

SECRET = "the secret"
CHALLENGE = 'Bearer realm="protect"'
KINDS = ["application/grpc", "application/grpc+proto", "application/grpc-web",
         "application/grpc-web-text", "application/json"]
TOKENS = {
    "none": {},
    "malformed": {"Authorization": "Bearer"},
    "unknown": {"Authorization": "Bearer nobody"},
    "alice": {"Authorization": f"Bearer {ALICE}"},
}
# With these an OPTIONS is a preflight.
PREFLIGHT = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "GET"}


def check(report):
    with tempfile.TemporaryDirectory() as folder:
        asked, with_grpc = protect("--without-grpc").origin, protect().origin
        secret = nginx(folder, f'return 200 "{SECRET}";')
        for name, proxy in {
            "nginx": auth_request(folder, asked, secret),
            "nginx, without the flag": auth_request(folder, with_grpc, secret),
            "nginx, with the method": auth_request(folder, asked, secret, "$request_method"),
            "Envoy, asking over HTTP/1": ext_authz(folder, asked, secret, "http"),
            "Envoy, asking over HTTP/2": ext_authz(folder, asked, secret, "http2"),
        }.items():
            guarded(report, name, proxy.origin)
        # What the flag is for: the checks above would see it missing.
        for name, proxy, kind in [
            ("nginx", auth_request(folder, with_grpc, secret, "$request_method"), KINDS[2]),
            ("Envoy", ext_authz(folder, with_grpc, secret, "http"), KINDS[2]),
            ("Envoy", ext_authz(folder, with_grpc, secret, "http2"), KINDS[0]),
        ]:
            answer = httpx.post(proxy.origin, headers={"Content-Type": kind})
            report.equal(f"{name} lets {kind} pass without the flag", answer.text, SECRET)


def guarded(report, name, origin):
    """Requests of each kind, over each version that the proxy speaks."""
    with httpx.Client() as http1, httpx.Client(http1=False, http2=True) as http2:
        clients = {"HTTP/1": http1}
        if name.startswith("Envoy"):
            clients["HTTP/2"] = http2
        for version, client in clients.items():
            answer = client.get(origin)
            report.equal(f"{name}: no token over {version}", answer.status_code, 401)
            challenge = answer.headers.get("WWW-Authenticate")
            report.equal(f"{name}: the challenge over {version}", challenge, CHALLENGE)
            for method in ["GET", "POST", "OPTIONS"]:
                for kind in KINDS:
                    headers = {"Content-Type": kind, **PREFLIGHT}
                    ask = lambda token: client.request(method, origin, headers=headers | token)
                    passed = [whose for whose, token in TOKENS.items() if ask(token).text == SECRET]
                    report.equal(f"{name}: {method} {kind} over {version}", passed, ["alice"])


def ext_authz(folder, asked, secret, protocol):
    """Envoy, which asks by `protocol`: `http` is HTTP/1."""
    asks = {"name": "ext_authz", "typed_config": {
        "@type": f"{FILTERS}.http.ext_authz.v3.ExtAuthz",
        "http_service": {"server_uri": {"uri": asked, "cluster": "asked", "timeout": "5s"}},
        "allowed_headers": {"patterns": [
            {"exact": name.lower()} for name in ["Content-Type", *PREFLIGHT]
        ]},
    }}
    return envoy(folder, {"secret": (secret.origin, "http"), "asked": (asked, protocol)}, asks)
