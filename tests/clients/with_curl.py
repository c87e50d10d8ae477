"""curl: each place of a token, each refusal, and CORS without a browser."""

import base64
import json
import subprocess
from urllib.parse import quote

from programs import ALICE, BOB, EVERY_WAY, protect


def curl(*arguments):
    """The status, the headers (a list for each name) and the body."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "10", "-w", "%{stderr}%{http_code} %{header_json}", *arguments],
        capture_output=True, text=True, check=True,
    )
    status, _, headers = done.stderr.partition(" ")
    return int(status), json.loads(headers), done.stdout


def check(report):
    server = protect("--accept", EVERY_WAY, "--realm", "api", "--scope", "read")
    at = server.origin
    places = {
        "header": (f"{at}/calls", "-H", f"Authorization: Bearer {BOB}"),
        "query": (f"{at}/calls?a=1&access_token={quote(BOB, safe='')}&b=2",),
        "basic": (f"{at}/calls", "-u", f"{BOB}:"),
        "form": (f"{at}/calls", "--data-urlencode", f"access_token={BOB}"),
        "cookie": (f"{at}/calls", "-b", f"sid={BOB}"),
        "header, its own": (f"{at}/calls", "-H", f"X-Api-Key: {BOB}"),
    }
    for version in ["--http1.1", "--http2-prior-knowledge"]:
        for place, arguments in places.items():
            status, _, body = curl(version, *arguments)
            said = json.loads(body)
            whose = (status, said["principal"]["sub"], said["location"])
            report.equal(f"{place} {version}", whose, (200, "bob", place.split(",")[0]))
            report.true(f"{place} {version}: not in the URI", "access_token" not in said["uri"])
    said = json.loads(curl(*places["query"])[2])
    report.true("the rest of the query is as it was", said["uri"].endswith("/calls?a=1&b=2"), said)

    refuse(report, at)
    cors(report, at)
    report.equal("SIGTERM ends it", server.stop(), 0)
    log = "".join(server.log)
    report.true("no token in the log", ALICE not in log and BOB not in log, log)
    report.true("a line a decision", log.count("allowed") >= 12 and "refused why=missing" in log, log)

    terse(report)
    more_places(report)


def refuse(report, at):
    bearer = 'Bearer realm="api"'
    basic = 'Basic realm="api", charset="UTF-8"'
    invalid = f'{bearer}, error="invalid_token", error_description="'
    twice = ("-H", f"Authorization: Bearer {BOB}", f"{at}/?access_token={ALICE}")
    cases = [
        ("nothing", 401, f'{bearer}, scope="read"', (at,)),
        ("unknown token", 401, invalid, ("-H", "Authorization: Bearer nobody", at)),
        ("unknown token in the query", 401, invalid, (f"{at}/?access_token=nobody",)),
        ("unknown user", 401, invalid, ("-u", "nobody:", at)),
        ("two tokens", 400, f'{bearer}, error="invalid_request"', twice),
        ("no token behind Bearer", 400, f'{bearer}, error="invalid_request"',
         ("-H", "Authorization: Bearer", at)),
        ("another scheme", 401, f'{bearer}, scope="read"', ("-H", "Authorization: Digest x", at)),
    ]
    for name, expected, challenge, arguments in cases:
        status, headers, body = curl(*arguments)
        challenges = headers.get("www-authenticate", [""])
        report.equal(f"{name}: {expected}", status, expected)
        report.true(f"{name}: challenge", challenges[0].startswith(challenge), challenges)
        if expected == 401:
            report.equal(f"{name}: Basic is offered", challenges[1:], [basic])
        report.equal(f"{name}: in the body", json.loads(body)["status"], expected)
        report.equal(f"{name}: not kept", headers["cache-control"], ["no-store"])


def cors(report, at):
    preflight = [
        "-X", "OPTIONS", "-H", "Origin: http://elsewhere.example",
        "-H", "Access-Control-Request-Method: PUT",
        "-H", "Access-Control-Request-Headers: authorization", f"{at}/calls",
    ]
    status, headers, _ = curl(*preflight)
    report.equal("preflight", (status, headers["access-control-allow-headers"]),
                 (200, ["authorization"]))
    status, _, body = curl("-X", "OPTIONS", at)
    report.equal("no OPTIONS gets past the CORS layer", (status, body), (200, ""))
    _, headers, _ = curl(at)
    report.contains("the challenge can be read",
                    headers["access-control-expose-headers"][0], "www-authenticate")


def terse(report):
    """What else the command line changes."""
    resource = "http://127.0.0.1/api"
    at = protect("--terse", "--optional", "--scope", "write", "--resource", resource).origin
    status, headers, _ = curl("-H", "Authorization: Bearer nobody", at)
    challenge = headers["www-authenticate"][0]
    report.contains("the challenge points to the metadata", challenge,
                    'resource_metadata="http://127.0.0.1/.well-known/oauth-protected-resource/api"')
    report.equal("a bad token is refused where none is needed", status, 401)
    status, headers, _ = curl("-H", f"Authorization: Bearer {ALICE}", at)
    report.equal("too few scopes", status, 403)
    challenge = headers["www-authenticate"][0]
    report.contains("too few scopes: which", challenge, 'error="insufficient_scope"')
    report.contains("too few scopes: which", challenge, 'scope="write"')
    status, _, body = curl(f"{at}/.well-known/oauth-protected-resource/api")
    document = json.loads(body)
    report.equal("RFC 9728", (status, document["resource"], document["scopes_supported"]),
                 (200, resource, ["write"]))
    report.equal("anonymous, but a scope is needed", curl(at)[0], 401)
    at = protect("--optional").origin
    report.equal("anonymous", json.loads(curl(at)[2])["principal"], None)


def more_places(report):
    """The Basic password, and the subprotocols of a WebSocket upgrade."""
    ways = "password=token,password=,websocket=b64.,websocket-pair=bearer"
    at = protect("--accept", ways).origin
    upgrade = [at, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
               "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    encoded = base64.urlsafe_b64encode(BOB.encode()).decode().rstrip("=")
    for name, place, arguments in [
        ("Basic password", "basic", (at, "-u", f"token:{BOB}")),
        ("Basic password without a user", "basic", (at, "-u", f":{BOB}")),
        ("subprotocol", "websocket", (*upgrade, "-H", f"Sec-WebSocket-Protocol: chat, b64.{encoded}")),
        ("subprotocol after its name", "websocket",
         (*upgrade, "-H", f"Sec-WebSocket-Protocol: chat, bearer, {ALICE}")),
    ]:
        status, _, body = curl(*arguments)
        whose = "alice" if "bearer" in arguments[-1] else "bob"
        principal = json.loads(body).get("principal") or {}
        report.equal(name, (status, principal.get("sub"), json.loads(body).get("location")),
                     (200, whose, place))
    report.equal("Basic password of another user", curl("-u", f"other:{BOB}", at)[0], 401)
    report.equal("subprotocol alone", curl(*upgrade, "-H", f"Sec-WebSocket-Protocol: b64.{encoded}")[0], 400)
