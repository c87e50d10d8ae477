"""idpyoidc as a peer: an authorization server that exchanges tokens (RFC 8693).

Environment:
  PORT        loopback port; 0 (the default) takes a free one
  ACCESS_TTL  lifetime of access tokens in seconds (default 600)

Prints "READY <issuer>" once it listens; SIGTERM ends it. State is in memory;
the keys that it signs with are made at each start.

  GET  /authorize
  POST /token /introspect /revoke
  GET  /.well-known/oauth-authorization-server   RFC 8414

What they answer is idpyoidc's. It leaves HTTP to whoever embeds it, so the
status is this script's: 401 `invalid_client` where it raises because of the
client, 400 with any other error, and `invalid_request` where it raises.

Whoever asks for a code is alice. Clients; the secret is ID-secret, in a Basic
header or in the body:
  front    code + PKCE, refresh token where `offline_access` is granted;
           redirect URI http://127.0.0.1:9999/callback (nobody listens there)
  gateway  exchanges tokens, those of other clients too
  orders, stock
           resource servers: each introspects what has its ID as audience
  rs       a resource server that may introspect every token

Scopes: read, write, offline_access. Tokens are JWTs. An exchange takes access
tokens and refresh tokens, and gives either, for the audiences orders and stock
and the resources https://orders.example and https://stock.example. A refresh
token is given for a subject with `offline_access`.
"""

import http.server
import json
import os
import signal
import sys
import threading
from urllib.parse import urlsplit

from idpyoidc.message import Message
from idpyoidc.server import Server
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError

LIFE = int(os.environ.get("ACCESS_TTL", "600"))
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPES = [
    "urn:ietf:params:oauth:token-type:access_token",
    "urn:ietf:params:oauth:token-type:refresh_token",
]
SCOPES = ["read", "write", "offline_access"]
HELPERS = "idpyoidc.server.oauth2.token_helper"
SECRETS = ["client_secret_basic", "client_secret_post"]


def jwt(lifetime):
    kwargs = {"lifetime": lifetime}
    return {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": kwargs}


def configuration(issuer):
    keys = [{"type": "OCT", "use": ["enc"], "kid": kid} for kid in ("password", "salt")]
    return {
        "issuer": issuer,
        "httpc_params": {"verify": True, "timeout": 1},
        "key_conf": {"key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]},
        "session_params": {"encrypter": {"kwargs": {"keys": {"key_defs": keys}}}},
        "token_handler_args": {
            "key_conf": {
                "key_defs": [{"type": "oct", "bytes": "24", "use": ["enc"], "kid": "code"}]
            },
            "code": {"lifetime": 60},
            "token": jwt(LIFE),
            "refresh": jwt(3600),
        },
        "scopes_to_claims": {scope: [] for scope in SCOPES},
        "preference": {
            "grant_types_supported": ["authorization_code", "refresh_token", EXCHANGE],
        },
        "authentication": {
            "anybody": {
                "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
                "class": "idpyoidc.server.user_authn.user.NoAuthn",
                "kwargs": {"user": "alice"},
            }
        },
        "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {}}},
        "authz": {
            "class": "idpyoidc.server.authz.AuthzHandling",
            "kwargs": {
                "grant_config": {
                    "usage_rules": {
                        "authorization_code": {
                            "supports_minting": ["access_token", "refresh_token"],
                            "max_usage": 1,
                        },
                        "access_token": {
                            "supports_minting": ["access_token", "refresh_token"],
                            "expires_in": LIFE,
                        },
                        "refresh_token": {
                            "supports_minting": ["access_token", "refresh_token"],
                            "expires_in": 3600,
                        },
                    },
                    "expires_in": 43200,
                }
            },
        },
        "endpoint": {
            "server_metadata": {
                "path": ".well-known/oauth-authorization-server",
                "class": "idpyoidc.server.oauth2.server_metadata.ServerMetadata",
                "kwargs": {"client_authn_method": []},
            },
            "authorization": {
                "path": "authorize",
                "class": "idpyoidc.server.oauth2.authorization.Authorization",
                "kwargs": {
                    "client_authn_method": [],
                    "response_types_supported": ["code"],
                    "response_modes_supported": ["query"],
                },
            },
            "token": {
                "path": "token",
                "class": "idpyoidc.server.oauth2.token.Token",
                "kwargs": {
                    "client_authn_method": SECRETS,
                    "request_format": "urlencoded",
                    "grant_types_helpers": {
                        "authorization_code": {
                            "class": f"{HELPERS}.access_token.AccessTokenHelper",
                        },
                        "refresh_token": {
                            "class": f"{HELPERS}.refresh_token.RefreshTokenHelper",
                        },
                        EXCHANGE: {
                            "class": f"{HELPERS}.token_exchange.TokenExchangeHelper",
                            "kwargs": {
                                "subject_token_types_supported": TYPES,
                                "requested_token_types_supported": TYPES,
                                "policy": {
                                    "": {
                                        "function": f"{HELPERS}.validate_token_exchange_policy",
                                        "kwargs": {
                                            "audience": ["orders", "stock"],
                                            "resource": [
                                                "https://orders.example",
                                                "https://stock.example",
                                            ],
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
            "introspection": {
                "path": "introspect",
                "class": "idpyoidc.server.oauth2.introspection.Introspection",
                "kwargs": {"client_authn_method": SECRETS},
            },
            "token_revocation": {
                "path": "revoke",
                "class": "idpyoidc.server.oauth2.token_revocation.TokenRevocation",
                "kwargs": {"client_authn_method": SECRETS},
            },
        },
        "add_ons": {
            "pkce": {
                "function": "idpyoidc.server.oauth2.add_on.pkce.add_support",
                "kwargs": {"essential": True, "code_challenge_methods": {"S256": True}},
            }
        },
    }


def client(name, *grants, **more):
    return {
        "client_id": name,
        "client_secret": f"{name}-secret",
        "client_salt": name,
        "redirect_uris": [],
        "response_types_supported": [],
        "grant_types_supported": list(grants),
        "allowed_scopes": SCOPES,
        **more,
    }


CLIENTS = [
    client(
        "front",
        "authorization_code",
        "refresh_token",
        redirect_uris=[("http://127.0.0.1:9999/callback", {})],
        response_types_supported=["code"],
    ),
    client("gateway", EXCHANGE, "refresh_token"),
    client("orders"),
    client("stock"),
    client("rs", enforce_audience_restriction=False),
]


class Handler(http.server.BaseHTTPRequestHandler):
    # Its state knows no threads, its connections have one each.
    lock = threading.Lock()

    def do_GET(self):
        self.serve("server_metadata", "authorization", asked=urlsplit(self.path).query)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        asked = self.rfile.read(length).decode()
        self.serve("token", "introspection", "token_revocation", asked=asked)

    def serve(self, *names, asked):
        path = urlsplit(self.path).path.lstrip("/")
        for name in names:
            endpoint = self.server.peer.endpoint[name]
            if endpoint.endpoint_path == path:
                with self.lock:
                    return self.answer(endpoint, asked)
        return self.send(404, [], "")

    def answer(self, endpoint, asked):
        try:
            http_info = {"headers": {name.lower(): v for name, v in self.headers.items()}}
            asked = endpoint.parse_request(asked, http_info=http_info)
            if "error" in asked:
                return self.refuse(400, asked)
            found = endpoint.process_request(asked, http_info=http_info)
            if "error" in found:
                return self.refuse(400, found)
            reply = endpoint.do_response(request=asked, **found)
        except ClientAuthenticationError as error:
            return self.refuse(401, {"error": "invalid_client", "error_description": str(error)})
        except Exception as error:  # of many classes, those of its JWT library among them
            return self.refuse(400, {"error": "invalid_request", "error_description": str(error)})
        if endpoint.response_placement == "url":
            return self.send(302, [("Location", reply["response"])], "")
        return self.send(200, reply["http_headers"], reply["response"])

    def refuse(self, status, error):
        error = error.to_dict() if isinstance(error, Message) else error
        headers = [("Content-Type", "application/json")]
        if status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="idpyoidc"'))
        return self.send(status, headers, json.dumps(error))

    def send(self, status, headers, body):
        body = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    address = ("127.0.0.1", int(os.environ.get("PORT", "0")))
    server = http.server.ThreadingHTTPServer(address, Handler)
    issuer = f"http://127.0.0.1:{server.server_port}"
    server.peer = Server(ASConfiguration(configuration(issuer), base_path="."))
    for one in CLIENTS:
        server.peer.context.cdb[one["client_id"]] = one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"READY {issuer}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
