"""nginx, Envoy and HAProxy before examples/protect: its answers mean the same to their clients.

Refusals are handed on as they are, those of uploads and of gRPC too, and connections live on after
them. What one user was answered, a proxy that caches gives to nobody else."""

import http.client
import json
import subprocess
import tempfile
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import grpc
import httpx

from programs import ALICE, BOB, EVERY_WAY, protect
from proxies import Relay, auth_request, envoy, haproxy, nginx, port_of
from with_grpc import unary

UNKNOWN = {"Authorization": "Bearer nobody"}
UPLOAD = {"Content-Type": "text/plain", "Content-Length": "300000"}
ELSEWHERE = {"Origin": "http://elsewhere.example"}
NOBODY_TO_ASK = ["--introspect", "http://127.0.0.1:9/", "--client-id", "a", "--client-secret", "b"]


def check(report):
    with tempfile.TemporaryDirectory() as folder:
        uploads(report, folder)
        connections(report, folder)
        refusals(report, folder)
        calls_of_grpc(report, folder)
        streams_of_grpc(report, folder)
        caches(report, folder)


def kept_alive(folder, origin):
    """The proxies over HTTP/1.1, which keep their connections to the server."""
    server = origin.removeprefix("http://")
    return {
        "nginx": nginx(folder, """
            location / {
                proxy_pass http://api;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_request_buffering off;
            }
        """, f"upstream api {{ server {server}; keepalive 8; }}"),
        "Envoy": envoy(folder, {"api": (origin, "http")}),
        "HAProxy": haproxy(folder, origin),
    }


def over_http2(folder, origin):
    server = origin.removeprefix("http://")
    return {
        "nginx": nginx(folder, "location / { grpc_pass grpc://api; }",
                       f"upstream api {{ server {server}; keepalive 8; }}", "http2"),
        "Envoy": envoy(folder, {"api": (origin, "http2")}),
        "HAProxy": haproxy(folder, origin, "proto h2"),
    }


def uploads(report, folder):
    """200 refused uploads of 300 kB through each proxy."""
    server = protect("--without-grpc").origin

    def answer(client, origin):
        try:
            return client.post(origin, headers=UNKNOWN | UPLOAD, content=bytes(300_000)).status_code
        except httpx.HTTPError as error:
            return str(error)

    secret = nginx(folder, 'return 200 "the secret";')
    for name, proxy in {
        "nginx, its defaults": nginx(folder, f"location / {{ proxy_pass {server}; }}"),
        "nginx, which asks": auth_request(folder, server, secret),
        **kept_alive(folder, server),
    }.items():
        with httpx.Client() as client:
            answers = Counter(answer(client, proxy.origin) for _ in range(200))
        report.equal(f"{name}: refused uploads", answers, {401: 200})

    # Which of them asks the server if a client may go on that asks before it sends.
    file = Path(folder) / "upload"
    file.write_bytes(bytes(300_000))
    headers = (UNKNOWN | UPLOAD | {"Expect": "100-continue"}).items()
    flags = [flag for name, value in headers for flag in ["-H", f"{name}: {value}"]]
    for name, proxy in kept_alive(folder, server).items():
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", *flags,
             "--data-binary", f"@{file}", proxy.origin],
            capture_output=True, text=True, timeout=30,
        )
        expected = "401 0" if name == "HAProxy" else "401 300000"
        report.equal(f"{name}: a client that asks before it sends", done.stdout, expected)


def connections(report, folder):
    """Refusals, uploads among them, leave the connections on both sides of a proxy alone."""
    bearer = {"Authorization": f"Bearer {ALICE}"}
    requests = [
        (200, "GET", bearer),
        (401, "GET", {}),
        (401, "GET", UNKNOWN),
        (400, "GET", {"Authorization": "Bearer"}),
        (401, "POST", UNKNOWN | UPLOAD),
    ]
    server = protect().origin
    for name in ["nginx", "Envoy", "HAProxy"]:
        relay = Relay(server)
        proxy = kept_alive(folder, relay.origin)[name]
        before = relay.connections
        client = http.client.HTTPConnection("127.0.0.1", port_of(proxy.origin), timeout=10)
        client.connect()
        socket, wrong = client.sock, []
        for _ in range(20):
            for status, method, headers in requests:
                body = bytes(300_000) if "Content-Length" in headers else None
                client.request(method, "/", body, headers)
                answer = client.getresponse()
                answer.read()
                if answer.status != status:
                    wrong.append((method, headers, answer.status))
        report.equal(f"{name}: the answers over one connection", wrong, [])
        report.true(f"{name}: the client's connection lives on", client.sock is socket)
        opened = relay.connections - before
        report.true(f"{name}: connections to the server", 1 <= opened <= 8, opened)
        client.close()

    # The same over HTTP/2, for refusals in the form of gRPC.
    calls = [[], [bearer_of("nobody")], [bearer_of(ALICE)], [bearer_of(BOB)]]
    codes = ["UNAUTHENTICATED", "UNAUTHENTICATED", "PERMISSION_DENIED", "OK"]
    server = protect("--scope", "write").origin
    for name in ["nginx", "Envoy", "HAProxy"]:
        behind = Relay(server)
        before = Relay(over_http2(folder, behind.origin)[name].origin)
        with grpc.insecure_channel(before.origin.removeprefix("http://")) as channel:
            found = [[unary(channel, *call)[0].name for call in calls] for _ in range(20)]
        report.equal(f"{name}: codes of gRPC over one connection", found, [codes] * 20)
        counts = before.connections, behind.connections
        # A proxy that has not taken a connection back yet opens another for the next call.
        report.true(f"{name}: connections of gRPC", counts[0] == 1 and counts[1] <= 8, counts)


def bearer_of(token):
    return "authorization", f"Bearer {token}"


def refusals(report, folder):
    """Status, headers and body are those of the server itself, preflights included."""
    realm = ["--accept", EVERY_WAY, "--scope", "write"]
    server, outage = protect(*realm).origin, protect(*NOBODY_TO_ASK).origin
    requests = {
        "no token": (server, "GET", ELSEWHERE),
        "unknown": (server, "GET", ELSEWHERE | UNKNOWN),
        "malformed": (server, "GET", ELSEWHERE | {"Authorization": "Bearer"}),
        "alice may not write": (server, "GET", ELSEWHERE | {"X-Api-Key": ALICE}),
        "a cookie from elsewhere": (server, "POST", ELSEWHERE | {"Cookie": f"sid={BOB}"}),
        "gRPC-Web": (server, "POST", ELSEWHERE | {"Content-Type": "application/grpc-web"}),
        "preflight": (server, "OPTIONS", ELSEWHERE | {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization",
        }),
        "nobody can tell": (outage, "GET", ELSEWHERE | UNKNOWN),
    }

    def answer(origin, method, headers):
        answer = httpx.request(method, origin, headers=headers)
        told = [(name, value) for name, value in answer.headers.multi_items() if name.startswith((
            "www-authenticate", "access-control", "cache-control", "retry-after", "vary", "grpc",
            "content-type",
        ))]
        return answer.status_code, sorted(told), answer.text

    direct = {name: answer(*request) for name, request in requests.items()}
    statuses = [status for status, _, _ in direct.values()]
    report.equal("the statuses", statuses, [401, 401, 400, 403, 403, 200, 200, 503])
    for name, (_, told, _) in direct.items():
        told = dict(told)
        if name == "preflight":
            allowed = told["access-control-allow-headers"]
            report.equal("preflight: it names the header", allowed, "authorization")
            continue
        report.contains(f"{name}: a page may read why", told["access-control-expose-headers"],
                        "www-authenticate")
        report.equal(f"{name}: no cache keeps it", told["cache-control"], "no-store")
    through = {origin: kept_alive(folder, origin) for origin in [server, outage]}
    for proxy in ["nginx", "Envoy", "HAProxy"]:
        for name, (origin, *request) in requests.items():
            handed_on = answer(through[origin][proxy].origin, *request)
            report.equal(f"{proxy}: {name}", handed_on, direct[name])


def calls_of_grpc(report, folder):
    """Codes and messages are those of the server itself."""
    server, outage = protect("--scope", "write").origin, protect(*NOBODY_TO_ASK).origin
    calls = {
        "bob": (server, bearer_of(BOB)),
        "no token": (server,),
        "unknown": (server, bearer_of("nobody")),
        "alice may not write": (server, bearer_of(ALICE)),
        "nobody can tell": (outage, bearer_of("nobody")),
    }

    def answer(origin, *metadata):
        with grpc.insecure_channel(origin.removeprefix("http://")) as channel:
            # A refusal leaves the connection alone: each is the same the second time.
            first, second = unary(channel, *metadata), unary(channel, *metadata)
            return first if first == second else (first, second)

    direct = {name: answer(*call) for name, call in calls.items()}
    report.equal("the codes", [code.name for code, _ in direct.values()],
                 ["OK", "UNAUTHENTICATED", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNAVAILABLE"])
    through = {origin: over_http2(folder, origin) for origin in [server, outage]}
    for proxy in ["nginx", "Envoy", "HAProxy"]:
        for name, (origin, *metadata) in calls.items():
            handed_on = answer(through[origin][proxy].origin, *metadata)
            report.equal(f"{proxy}: gRPC, {name}", handed_on, direct[name])


class TwoSeconds(BaseHTTPRequestHandler):
    """Introspection by which each token is good for two seconds more, with the leeway of 30 s."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"active": True, "sub": "alice", "exp": int(time.time()) - 28}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def streams_of_grpc(report, folder):
    """A stream that outlives its token ends with trailers."""
    asked = ThreadingHTTPServer(("127.0.0.1", 0), TwoSeconds)
    Thread(target=asked.serve_forever).start()
    try:
        url = f"http://127.0.0.1:{asked.server_port}/"
        server = protect("--introspect", url, "--client-id", "a", "--client-secret", "b").origin
        for name, origin in {
            "no proxy": server,
            **{name: proxy.origin for name, proxy in over_http2(folder, server).items()},
        }.items():
            messages, end = 0, None
            with grpc.insecure_channel(origin.removeprefix("http://")) as channel:
                metadata = [("authorization", f"Bearer {quote(name, safe='')}".replace("%20", "-"))]
                try:
                    watch = channel.unary_stream("/api.Calls/Watch")
                    for _ in watch(b"", metadata=metadata, timeout=20):
                        messages += 1
                except grpc.RpcError as error:
                    end = error.code().name, error.details()
            expected = 1, ("UNAUTHENTICATED", "the access token is no longer good")
            report.equal(f"{name}: a stream of gRPC ends", (messages, end), expected)
    finally:
        asked.shutdown()
        asked.server_close()


def caches(report, folder):
    """Two users and nobody, one after the other, through an nginx that caches whatever it may."""
    server = protect("--accept", EVERY_WAY, "--optional").origin

    def caching(more=""):
        zone = f"cache{len(more)}"
        return nginx(folder, f"""
            location / {{
                proxy_pass {server};
                proxy_cache {zone};
                proxy_cache_valid any 10m;
                add_header X-Cache $upstream_cache_status always;
                {more}
            }}
        """, f"proxy_cache_path {folder}/{zone} keys_zone={zone}:1m;").origin

    plain = caching()
    careful = caching("proxy_no_cache $http_authorization; proxy_cache_bypass $http_authorization;")
    bearer = lambda token: {"headers": {"Authorization": f"Bearer {token}"}}
    ways = {
        "query": (plain, lambda token: {"params": {"access_token": token}}),
        "cookie": (plain, lambda token: {"headers": {"Cookie": f"sid={token}"}}),
        "header": (plain, lambda token: {"headers": {"X-Api-Key": token}}),
        "form": (plain, lambda token: {"data": {"access_token": token}}),
        "bearer": (careful, bearer),
        "basic": (careful, lambda token: {"auth": (token, "")}),
    }

    def whose(origin, path, with_token):
        method = "POST" if "data" in with_token else "GET"
        answer = httpx.request(method, f"{origin}/{path}", **with_token)
        if answer.status_code != 200:
            return answer.status_code
        principal = answer.json()["principal"]
        return principal and principal["sub"]

    for way, (origin, present) in ways.items():
        tokens = [ALICE, BOB, "nobody", ALICE, "nobody", BOB]
        answers = [whose(origin, way, present(token)) for token in tokens]
        expected = ["alice", "bob", 401, "alice", 401, "bob"]
        report.equal(f"nginx that caches: each gets their own, {way}", answers, expected)
    for way, (origin, present) in ways.items():
        whose(origin, f"first-{way}", present(ALICE))
        anonymous = {"data": {}} if way == "form" else {}
        report.equal(f"nginx that caches: nobody gets what alice got, {way}",
                     whose(origin, f"first-{way}", anonymous), None)
    # It does cache; and `Authorization` needs what layer_order.md says.
    states = [httpx.get(f"{plain}/public").headers["X-Cache"] for _ in range(2)]
    report.equal("nginx that caches: what needs no token", states, ["MISS", "HIT"])
    whose(plain, "authorization", bearer(ALICE))
    leaked = whose(plain, "authorization", {})
    report.equal("nginx that caches: what it does with Authorization if not told", leaked, "alice")
