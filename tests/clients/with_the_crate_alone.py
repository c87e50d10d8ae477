"""examples/call between examples/authorization_server and examples/protect: every way and grant."""

import json
import tempfile
from pathlib import Path

from programs import Server, call

APP = ["--client-id", "app", "--client-secret", "app-secret-that-everybody-can-see"]
KEY = Path(__file__).parent.parent.parent / "examples/authorization_server/signer.jwk"
AUDIENCE = "https://api.example"


def check(report):
    with tempfile.TemporaryDirectory() as folder:
        opaque(report, f"{folder}/assertion")
    jwts(report)


def opaque(report, assertion):
    server = Server("authorization_server", "--assertion", assertion)
    asks = ["--introspect", f"{server.origin}/introspect", *APP]
    at = Server("protect", *asks, "--accept", "header,query,basic,header=x-api-key").origin
    token_url = ["--token-url", f"{server.origin}/token"]
    app = [*token_url, *APP]
    signer = [*token_url, "--client-id", "signer", "--auth", f"private-key-jwt={KEY}"]
    log_in = ["--token-url", f"{server.origin}/authorization", "--grant"]
    for name, arguments, whose in [
        *((f"auth {how}", [*app, "--auth", how], "app")
          for how in ["basic", "basic-raw", "post", "query", "secret-jwt"]),
        ("auth private-key-jwt", signer, "signer"),
        ("password", [*app, "--grant", "password=alice:wonderland"], "alice"),
        ("log-in", [*log_in, "login=alice:wonderland"], "alice"),
        ("assertion", [*app, "--grant", f"jwt-bearer={assertion}"], "alice"),
        ("metadata", ["--issuer", server.origin, *APP], "app"),
        *((f"place {place}", [*app, "--place", place], "app")
          for place in ["header", "query", "basic", "header=x-api-key"]),
        ("what else there is", [*app, "--scope", "read", "--audience", "a", "--param", "k=v",
                                "--resource", "https://a.example", "--method", "PUT",
                                "--data", "{}", "--allow-plain-http"], "app"),
    ]:
        status, printed, said = call(*arguments, at)
        report.equal(f"{name}: status", (status, printed[:4]), (0, "200\n"))
        principal = json.loads(printed[4:] or "{}").get("principal", {})
        report.equal(f"{name}: whose", principal.get("sub") or principal.get("client_id"), whose)
        report.contains(f"{name}: cost", said, "calls 1, token requests 1, retries 0")
    status, _, said = call(*app, "--grant", f"jwt-bearer={assertion}", at)
    report.equal("an assertion is good once", status, 1)
    report.contains("an assertion is good once: why", said, "invalid_grant: the assertion is not of a trusted issuer")
    for name, arguments, why in [
        ("a wrong password", [*log_in, "login=alice:hunter22"], "(401 Unauthorized)"),
        ("no secret", [*token_url, "--client-id", "app"], "invalid_client: the client is unknown"),
        ("no token to exchange", [*app, "--grant", "exchange=hunter22"], "invalid_request: the"),
    ]:
        status, printed, said = call(*arguments, at)
        report.equal(name, (status, printed), (1, ""))
        report.contains(f"{name}: why", said, why)
        report.true(f"{name}: nothing secret", "hunter22" not in said, said)


def jwts(report):
    server = Server("authorization_server", "--jwts", AUDIENCE, "--lifetime", "2s")
    app = ["--token-url", f"{server.origin}/token", *APP]
    issuer = ["--issuer", server.origin, "--audience"]
    at = Server("protect", *issuer, AUDIENCE, "--jwks", f"{server.origin}/jwks").origin
    status, printed, said = call(*app, "--repeat", "10", "--every", "300ms", at)
    report.equal("JWTs are renewed before they expire", (status, printed.count("200\n")), (0, 10))
    requests = int(said.split("token requests ")[1].split(",")[0])
    report.true("JWTs are renewed: cost", 2 <= requests < 10, said)
    status, printed, said = call(*app, Server("protect", *issuer, "another").origin)
    report.equal("JWTs for another", (status, printed[:3]), (1, "401"))
    issuers(report, server.origin)
    report.equal("the server ends", server.stop(), 0)


def issuers(report, first):
    """Two issuers, each with its own audience; the client has to be listed, and its name is its role."""
    second = Server("authorization_server", "--jwts", "https://second.example").origin
    both = ["--issuer", first, "--audience", AUDIENCE, "--issuer", second, "--audience"]
    role = ["--allow-client-id", "app", "--role-claim", "client_id", "--role"]
    at = Server("protect", *both, "https://second.example", *role, "app").origin
    for name, issuer in [("the first issuer", first), ("the second issuer", second)]:
        status, printed, _ = call("--token-url", f"{issuer}/token", *APP, at)
        report.equal(name, (status, printed[:3]), (0, "200"))
    of_second = ["--token-url", f"{second}/token", *APP]
    for name, arguments, expected in [
        ("the audience of the other issuer", [*both, AUDIENCE], "401"),
        ("another client", [*both, "https://second.example", "--allow-client-id", "web"], "401"),
        ("another role", [*both, "https://second.example", *role, "admin"], "403"),
    ]:
        status, printed, _ = call(*of_second, Server("protect", *arguments).origin)
        report.equal(name, (status, printed[:3]), (1, expected))
