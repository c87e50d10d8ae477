"""nginx and Envoy before examples/protect.

With `auth_request` and `ext_authz` they let a request pass where examples/protect answers with 2xx:
whatever a request without a token says of itself, it does not get the secret. As plain proxies they
hand on every refusal of an upload."""

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from programs import ALICE, Proxy, free_port, protect

NGINX = os.environ["NGINX"]
ENVOY = str(Path(sys.executable).parent / "envoy")

FILTERS = "type.googleapis.com/envoy.extensions.filters"
SECRET = "the secret"
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
        uploads(report, folder, protect().origin)


def uploads(report, folder, server):
    """200 refused uploads of 300 kB through each proxy."""
    headers = TOKENS["unknown"] | {"Content-Type": "text/plain"}

    def answer(client, origin):
        try:
            return client.post(origin, headers=headers, content=bytes(300_000)).status_code
        except httpx.HTTPError as error:
            return str(error)

    kept = nginx(folder, f"""
        location / {{
            proxy_pass {server};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    """)
    for name, proxy in {
        "nginx, its defaults": nginx(folder, f"location / {{ proxy_pass {server}; }}"),
        "nginx, HTTP/1.1 without a buffer": kept,
        "Envoy, HTTP/1.1": envoy(folder, {"api": (server, "http")}),
    }.items():
        with httpx.Client() as client:
            answers = Counter(answer(client, proxy.origin) for _ in range(200))
        report.equal(f"{name}: refused uploads", answers, {401: 200})


def guarded(report, name, origin):
    """Requests of each kind, over each version that the proxy speaks."""
    with httpx.Client() as http1, httpx.Client(http1=False, http2=True) as http2:
        clients = {"HTTP/1": http1}
        if name.startswith("Envoy"):
            clients["HTTP/2"] = http2
        for version, client in clients.items():
            status = client.get(origin).status_code
            report.equal(f"{name}: no token over {version}", status, 401)
            for method in ["GET", "POST", "OPTIONS"]:
                for kind in KINDS:
                    headers = {"Content-Type": kind, **PREFLIGHT}
                    ask = lambda token: client.request(method, origin, headers=headers | token)
                    passed = [whose for whose, token in TOKENS.items() if ask(token).text == SECRET]
                    report.equal(f"{name}: {method} {kind} over {version}", passed, ["alice"])


def nginx(folder, server):
    """nginx with what `server` says of its one server."""
    port = free_port()
    file = Path(folder) / f"{port}.conf"
    kept = "".join(f"{name}_temp_path {folder}/{name}; "
                   for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    file.write_text(f"""
        daemon off; master_process off; pid {folder}/{port}.pid; error_log stderr;
        events {{}}
        http {{ access_log off; {kept} server {{ listen 127.0.0.1:{port}; {server} }} }}
    """)
    return Proxy(port, NGINX, "-p", folder, "-e", "stderr", "-c", str(file))


def auth_request(folder, asked, secret, method="GET"):
    return nginx(folder, f"""
        location / {{
            auth_request /authorization;
            proxy_pass {secret.origin};
        }}
        location = /authorization {{
            internal;
            proxy_pass {asked};
            proxy_method {method};
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    """)


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


def envoy(folder, clusters, *filters):
    """Envoy before the first of `clusters`, which are origins and how they are spoken to."""
    port = free_port()
    file = Path(folder) / f"{port}.json"
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [
            *filters,
            {"name": "router",
             "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": next(iter(clusters))}}],
        }]},
    }
    file.write_text(json.dumps({"static_resources": {
        "listeners": [{
            "address": address(port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }],
        "clusters": [cluster(name, *spoken_to) for name, spoken_to in clusters.items()],
    }}))
    return Proxy(port, ENVOY, "-c", str(file), "-l", "warning", "--concurrency", "1",
                 "--disable-hot-restart")


def cluster(name, origin, protocol):
    endpoint = {"endpoint": {"address": address(int(origin.rpartition(":")[2]))}}
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {options: {
            "@type": f"type.googleapis.com/{options}",
            "explicit_http_config": {f"{protocol}_protocol_options": {}},
        }},
    }


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
