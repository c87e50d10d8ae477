"""nginx, Envoy and HAProxy as processes."""

import json
import os
import socket
import sys
import threading
from pathlib import Path

from programs import Proxy, free_port, until_stopped

# nginx takes a variable of this name for sockets that it inherits.
NGINX = os.environ.pop("NGINX")
HAPROXY = os.environ["HAPROXY"]
ENVOY = str(Path(sys.executable).parent / "envoy")

FILTERS = "type.googleapis.com/envoy.extensions.filters"


class Relay:
    """Hands on what is sent to it, and counts the connections."""

    def __init__(self, origin):
        self.to = ("127.0.0.1", port_of(origin))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()
        until_stopped(self)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self.to)
            for ends in [(client, server), (server, client)]:
                threading.Thread(target=hand_on, args=ends, daemon=True).start()

    def stop(self):
        self.listener.close()


def hand_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


def nginx(folder, server, http="", listen=""):
    """nginx with what `server` says of its one server, and `http` of all."""
    port = free_port()
    file = Path(folder) / f"{port}.conf"
    kept = "".join(f"{name}_temp_path {folder}/{name}; "
                   for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    file.write_text(f"""
        daemon off; master_process off; pid {folder}/{port}.pid; error_log stderr;
        events {{}}
        http {{
            access_log off; {kept} {http}
            server {{ listen 127.0.0.1:{port} {listen}; {server} }}
        }}
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


def haproxy(folder, origin, protocol=""):
    """HAProxy before `origin`, which speaks HTTP/1 on both sides, or with `proto h2` HTTP/2."""
    port = free_port()
    file = Path(folder) / f"{port}.cfg"
    file.write_text(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend all
    bind 127.0.0.1:{port} {protocol}
    default_backend api
backend api
    server api 127.0.0.1:{port_of(origin)} {protocol}
""")
    return Proxy(port, HAPROXY, "-db", "-f", str(file))


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
    endpoint = {"endpoint": {"address": address(port_of(origin))}}
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


def port_of(origin):
    return int(origin.rpartition(":")[2])
