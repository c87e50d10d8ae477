"""examples/call between authorization servers that others wrote and examples/protect."""

import json
import os
import tempfile
from pathlib import Path

from programs import call, protect

PROVIDER = os.environ["INTEROP_OIDC_PROVIDER"]
REALM = os.environ["INTEROP_REALM"]
DJANGO = os.environ["INTEROP_DJANGO"]
KEYS = Path(__file__).parent.parent / "interop/oidc-provider/client-keys.json"

TOKEN_URL = ["--token-url", f"{PROVIDER}/token"]
SCOPE = ["--scope", "read"]
AUDIENCE = "urn:rs:jwt:es256"


def client(name):
    return ["--client-id", name, "--client-secret", f"{name}-secret-that-is-long-enough-for-hs256"]


def check(report):
    opaque(report)
    jwts(report)
    authentication(report)
    elsewhere(report)
    refused(report)


def opaque(report):
    server = protect("--introspect", f"{PROVIDER}/token/introspection", *client("rs"), *SCOPE,
                     "--accept", "header,query,basic,header=x-api-key")
    asking = [*TOKEN_URL, *client("svc-basic"), *SCOPE]
    for place in ["header", "query", "basic", "header=x-api-key"]:
        status, printed, said = call(*asking, "--place", place, f"{server.origin}/calls?page=2")
        report.equal(f"introspected, {place}", (status, printed[:4]), (0, "200\n"))
        answer = json.loads(printed[4:])
        report.equal(f"introspected, {place}: whose",
                     (answer["principal"]["client_id"], answer["location"]),
                     ("svc-basic", place.partition("=")[0]))
        report.contains(f"introspected, {place}: cost", said,
                        "calls 1, token requests 1, retries 0")
    many = ["--repeat", "50", "--concurrency", "8", "--every", "1ms", "--data", '{"a":1}']
    status, printed, said = call(*asking, *many, server.origin)
    report.equal("50 calls, 8 at once", (status, printed.count("200\n{")), (0, 50))
    report.contains("50 calls: one token request", said, "calls 50, token requests 1, retries 0")
    report.contains("50 calls: progress", said, "50 of 50 calls, 0 failed")
    # It has the scope `read` at the most, and another token would be no better.
    write = protect("--introspect", f"{PROVIDER}/token/introspection", *client("rs"),
                    "--scope", "write")
    status, printed, said = call(*asking, write.origin)
    report.equal("too few scopes", (status, printed[:3]), (1, "403"))
    report.contains("too few scopes: no other token", said, "token requests 1, retries 0")
    # The token is good, but not here: another is tried once.
    here = protect()
    status, printed, said = call(*asking, here.origin)
    report.equal("not good here", (status, printed[:3]), (1, "401"))
    report.contains("not good here: once more", said, "calls 1, token requests 2, retries 1")
    at = server.origin.replace("127.0.0.1", "192.0.2.1")
    status, _, said = call(*asking, at)
    report.equal("plain http to elsewhere", status, 2)
    report.contains("plain http to elsewhere: why", said, "plain http")


def jwts(report):
    asking = [*TOKEN_URL, *client("svc-basic"), *SCOPE, "--resource", AUDIENCE]
    issuer = ["--issuer", PROVIDER, "--audience", AUDIENCE, *SCOPE]
    for name, keys in [("keys by metadata", []), ("keys by URL", ["--jwks", f"{PROVIDER}/jwks"])]:
        status, printed, _ = call(*asking, protect(*issuer, *keys).origin)
        report.equal(f"JWT, {name}", (status, printed[:4]), (0, "200\n"))
        principal = json.loads(printed[4:])["principal"]
        report.equal(f"JWT, {name}: whose", (principal["iss"], principal["aud"]),
                     (PROVIDER, [AUDIENCE]))
    other = ["--issuer", PROVIDER, "--audience", "urn:rs:other"]
    status, printed, _ = call(*asking, protect(*other).origin)
    report.equal("JWT for another", (status, printed[:3]), (1, "401"))
    both = protect(*issuer, "--introspect", f"{PROVIDER}/token/introspection", *client("rs"))
    for name, asked in [("JWT", asking), ("opaque", [*asking[:-1], "urn:rs:opaque"])]:
        status, printed, _ = call(*asked, both.origin)
        expected = (0, "200") if name == "JWT" else (1, "401")
        report.equal(f"JWTs and introspection for one audience: {name}", (status, printed[:3]),
                     expected)
    by_metadata = ["--issuer", PROVIDER, *asking[2:]]
    status, _, said = call(*by_metadata, both.origin)
    report.equal("the token endpoint by metadata", status, 0)


def authentication(report):
    at = protect("--introspect", f"{PROVIDER}/token/introspection", *client("rs")).origin
    odd = ["--client-id", "svc:odd %+/", "--client-secret", "s p+%/:&=?~secret"]
    ways = [
        ("post", [*client("svc-post"), "--auth", "post"], 0),
        ("secret-jwt", [*client("svc-secret-jwt"), "--auth", "secret-jwt"], 0),
        ("basic, odd characters", odd, 0),
        ("basic-raw, odd characters", [*odd, "--auth", "basic-raw"], 1),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for key in json.loads(KEYS.read_text())["keys"]:
            file = Path(folder) / key["kid"]
            file.write_text(json.dumps(key))
            name = f"svc-key-jwt-{key['kid']}"
            ways.append((name, ["--client-id", name, "--auth", f"private-key-jwt={file}"], 0))
        for name, arguments, expected in ways:
            for found in [TOKEN_URL, ["--issuer", PROVIDER]]:
                status, printed, said = call(*found, *arguments, at)
                report.true(f"{name} by {found[0]}", status == expected, said)


def elsewhere(report):
    """Other servers: a realm's paths, the password grant, a log-in endpoint of its own kind."""
    realm = ["--token-url", f"{REALM}/protocol/openid-connect/token", *client("svc-basic")]
    at = protect("--introspect", f"{REALM}/protocol/openid-connect/token/introspect",
                 *client("rs")).origin
    report.equal("the paths of a realm", call(*realm, at)[0], 0)
    alice = ["--client-id", "ropc", "--client-secret", "ropc-secret",
             "--grant", "password=alice:alice", *SCOPE]
    status, printed, _ = call("--token-url", f"{DJANGO}/token/", *alice, f"{DJANGO}/api/read")
    report.equal("password", (status, printed[:3]), (0, "200"))
    report.contains("password: whose", printed, "alice")
    log_in = ["--token-url", f"{DJANGO}/authorization", "--grant", "login=alice:alice"]
    status, printed, _ = call(*log_in, f"{DJANGO}/api/jwt")
    report.equal("log-in", (status, printed[:3]), (0, "200"))


def refused(report):
    at = protect().origin
    with tempfile.NamedTemporaryFile("w") as assertion:
        assertion.write("e30.e30.e30\n")
        assertion.flush()
        for grant in [f"jwt-bearer={assertion.name}", "exchange=e30.e30.e30"]:
            status, printed, said = call(*TOKEN_URL, *client("svc-basic"), "--grant", grant, at)
            name = f"{grant.partition('=')[0]}, which the server does not know"
            report.equal(name, (status, printed), (1, ""))
            report.contains(f"{name}: error", said, "unsupported_grant_type")
    secret = ["--client-id", "svc-basic", "--client-secret", "hunter2-hunter2-hunter2"]
    status, printed, said = call(*TOKEN_URL, *secret, at)
    report.equal("a wrong secret", (status, printed), (1, ""))
    report.contains("a wrong secret: error", said, "invalid_client: client authentication failed")
    report.true("a wrong secret is not shown", "hunter2" not in said, said)
    status, _, said = call(*TOKEN_URL, *client("svc-basic"), "--scope", "openid", at)
    report.contains("a wrong scope", said, "invalid_scope")
    status, _, said = call("--token-url", "http://127.0.0.1:9/", *secret, at)
    report.equal("nobody there", status, 1)
    report.contains("nobody there: why", said, "did not answer")
    status, _, said = call("--tokn", at)
    report.equal("a wrong argument", status, 2)
    report.contains("a wrong argument: which", said, "--tokn")
    report.equal("help", call("--help")[0], 0)
