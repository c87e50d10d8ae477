"""Writes the seed corpus: the requests in tests/cases/server.json, and texts that are good or wrong in
one way each, so that a rule which is gone shows at once; and, of seeds/, what earlier runs found.

With `keep`, packs what corpus/ has beyond these into seeds/, the smallest first, up to a size. Run
`cargo fuzz cmin` before."""

import base64
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent
SECRET = "hunter2-hunter2"
CASES = json.loads((ROOT.parent / "tests/cases/server.json").read_text())


def expanded(text):
    return re.sub(r"\{\{repeat:(.*?):(\d+)\}\}", lambda m: m[1] * int(m[2]), text)


MADE = {}


def write(target, data):
    MADE.setdefault(target, set()).add(data)
    folder = ROOT / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


for case in CASES:
    request = case["request"]
    lines = [f"{request['method']} {request['uri']}"]
    lines += [f"{name}:{value}" for name, value in request["headers"]]
    write("request_head", expanded("\n".join(lines)).encode())
    if "body" in request:
        write("form", expanded(request["body"]).encode())
    for text in case["expect"].get("www_authenticate_contains", []):
        write("challenge", ("Bearer " + text.removeprefix("Bearer ")).encode())


def texts(target, *seeds):
    for seed in seeds:
        write(target, seed.encode() if isinstance(seed, str) else seed)


def variants(good, *others):
    """The JSON of `good`, and of `good` with the members of each other in the place of its own, or
    without those that are `...`."""
    for other in ({}, *others):
        members = {**good, **other}
        yield json.dumps({name: value for name, value in members.items() if value is not ...})


def basic(text):
    return "Authorization:Basic " + base64.b64encode(text.encode()).decode()


UPGRADE = "Connection:Upgrade\nUpgrade:websocket\nSec-WebSocket-Protocol:"
texts(
    "request_head",
    # A POST to a server that reads the query of a GET alone.
    "POST /r?access_token=mF_9.B5f-4.1JqM&x=1\nAuthorization:Bearer tok-rw",
    "GET /r?access_token=tok-rw&x=1\nAuthorization:Bearer tok-rw",
    "GET /r?access_token=tok-rw\nCookie:at=tok-ro",
    "GET /r?a=%2f&access_token=tok-rw&b=1+2&&c",
    "GET /r?access_token=tok-rw&access_token=tok-ro",
    "GET /r?token=tok-rw&token=tok-ro",
    "POST /r?token=tok-rw&x=1",
    "GET /r\nX-Api-Key:tok-rw\nCookie:at=tok-ro",
    "GET /r\nX-Api-Key:tok-rw\nX-Api-Key:tok-ro",
    "GET /r\nAuthorization:Bearer tok-rw\nAuthorization:Bearer tok-ro",
    "GET /r\nCookie:a=1; at=tok-rw; b=2\nCookie:c=3",
    "GET /r\nCookie:at=tok-rw; at=tok-ro",
    "POST /r\nCookie:at=tok-rw\nSec-Fetch-Site:cross-site",
    "POST /r\nCookie:at=tok-rw\nOrigin:https://evil.example\nHost:api.example",
    "POST /r\n" + basic("tok-rw:") + "\nSec-Fetch-Site:cross-site",
    "POST https://api.example/r\nCookie:at=tok-rw\nOrigin:https://api.example",
    "GET /r\nCookie:at=tok-rw\n" + UPGRADE + "chat\nOrigin:https://evil.example\nHost:api.example",
    "GET /r\n" + UPGRADE + "chat, b64.dG9rLXJ3\nX-Api-Key:tok-ro",
    "GET /r\n" + UPGRADE + "chat, b64.dG9rLXJ3, b64.dG9rLXJ3",
    "GET /r\n" + UPGRADE + "bearer, tok-rw, chat",
    "GET /r\nAuthorization:DPoP tok-rw\nCookie:at=tok-ro",
    "GET /r\nAuthorization:Token tok-rw",
    "GET /r\nX-Auth:Key tok-rw\nAuthorization:Token tok-ro",
    "GET /r\n" + basic("x-access-token:tok-rw"),
    "GET /r\n" + basic("someone:tok-rw"),
    "GET /r\n" + basic("tok-rw:password"),
    "POST /r?access_token=tok-rw\nX-Api-Key:tok-rw",
)

texts(
    "form",
    "access_token=tok-rw",
    "a=1&access_token=tok-rw&b=%20+",
    "access_token=tok-rw&access_token=tok-ro",
    "access_token=\n&access%5ftoken=tok-rw",
    "access_token=bad",
    "a=" + "b" * 4095,
)

HEADS = ["POST /r?x=1\nCookie:at=x", "GET /r?a=%2f&&b\nAccept:*/*", "GET /"]
texts("placement", *(f"{token}\n{head}" for token in ("tok-rw", "bad+/==", "t") for head in HEADS))
texts("placement", "tok-rw\nGET /r?access_token=tok-ro", "tok-rw\nGET /\nAuthorization:Bearer tok-ro")

JSON = "content-type: application/json\n\n"
TOKEN = {"access_token": "mF-9.B5f-4.1JqM", "token_type": "Bearer", "expires_in": 3600}
ANSWERS = list(
    variants(
        TOKEN,
        {"access_token": "abcdef0123456789", "refresh_token": "r", "scope": "a b"},
        {"token_type": "DPoP"},
        {"token_type": "N_A", "access_token": "abcdef0123456789"},
        {"token_type": ...},
        {"token_type": "mac", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"},
        {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"},
        {"expires_in": "60.9", "scope": ["a"]},
        {"expires_in": 1e300},
        {"error": "invalid_grant", "error_description": SECRET + " is wrong"},
        {"access_token": ""},
        {"access_token": 1, "refresh_token": "refresh-in-an-answer"},
    )
)
for grant in ("client_credentials", "exchange", "refresh"):
    texts("token_response", *(f"{grant}\n200\n{JSON}{body}" for body in ANSWERS))
texts(
    "token_response",
    "client_credentials\n401\nretry-after: 7\n" + JSON + '{"error":"invalid_client","error_description":"x"}',
    "client_credentials\n503\nretry-after: 999999999999\n\n",
    "client_credentials\n307\nlocation: https://evil.example/?" + SECRET + "\n\n",
    "client_credentials\n200\ncontent-type: application/x-www-form-urlencoded\n\naccess_token=t&expires_in=60&token_type=mac",
    "client_credentials\n200\ncontent-type: text/plain\n\naccess_token=t&token_type=bearer",
    "revoke\n200\n\n",
    "revoke\n503\nretry-after: 99999\n\n",
    "revoke\n400\n" + JSON + '{"error":"unsupported_token_type","error_description":"' + SECRET + '"}',
    "revoke\n302\nlocation: /\n\n",
)

GRPC = "content-type: application/grpc\ngrpc-status: "
CHALLENGES = [
    "Bearer",
    'Bearer error="invalid_token"',
    'Basic realm="x"',
    'DPoP algs="ES256"',
    'Bearer realm="a", Basic realm="b"',
    'Bearer error="insufficient_scope", scope="a b"',
    'Bearer error="insufficient_user_authentication", max_age="5"',
    'Bearer error="insufficient_user_authentication", acr_values="a b"',
    'Basic error="invalid_token"',
    "Bearer error=",
]
for status in (200, 401, 403):
    texts("resource_answer", *(f"{status}\nwww-authenticate: {text}\n\n" for text in CHALLENGES))
    texts("resource_answer", *(f"{status}\n{head}\n" for head in ("", GRPC + "16\n", GRPC + "7\n", "grpc-status: 16\n")))

DOCUMENTS = [
    [
        '{"issuer":"https://as.example","token_endpoint":"https://as.example/t","jwks_uri":"http://as.example/k"}',
        '{"issuer":"https://as.example","mtls_endpoint_aliases":{"token_endpoint":"https://m.as.example/t"}}',
        '{"issuer":"https://as.example","mtls_endpoint_aliases":{"token_endpoint":"http://m.as.example/t"}}',
        '{"issuer":"https://as.example","token_endpoint":"https://as.example/t","mtls_endpoint_aliases":{"token_endpoint":"http://m.as.example/t"}}',
        '{"issuer":"https://as.example/"}',
        '{"issuer":"https://evil.example"}',
    ],
    [
        '{"resource":"https://api.example/v1","authorization_servers":["https://as.example","https://b.example"]}',
        '{"resource":"https://api.example/v1","authorization_servers":["https://evil.example"]}',
        '{"resource":"https://api.example/v2","authorization_servers":["https://as.example"]}',
        '{"resource":"https://api.example","authorization_servers":["https://as.example"]}',
        '{"resource":"https://evil.example/v1","authorization_servers":["https://as.example"]}',
    ],
    [
        'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"\n'
        + '{"resource":"https://%s","authorization_servers":["https://as.example"]}' % resource
        for resource in ("api.example", "api.example/v1", "api.example/v1/", "api.example/v2", "api.example/v", "api.example/v1/things", "api.example/v1/thing", "evil.example/v1", "api.example/v1?a")
    ]
    + [
        'Bearer realm="a", Bearer resource_metadata="https://evil.example/"\n'
        '{"resource":"https://api.example/v1","authorization_servers":["https://as.example"]}',
    ],
    [
        "code=SplxlOBeZQQYbYS6WxSbIA&state=state",
        "iss=https%3A%2F%2Fas.example&code=a&state=state",
        "iss=https%3A%2F%2Fevil.example&code=a&state=state",
        "code=a&state=stat",
        "code=a&state=other",
        "code=a",
        "error=access_denied&error_description=no&state=state",
        "code=a&error=access_denied&state=state",
        "code=a&code=b&state=state",
        "code=a&state=state&state=other",
        "code=&state=state",
    ],
    [
        '{"access_token":"mF_9.B5f-4.1JqM","asked_at":1700000000,"lifetime":600,"scope":"read write"}',
        '{"access_token":"t","asked_at":18446744073709551615,"lifetime":18446744073709551615,"scope":null}',
    ],
    [
        "2~1700000000~47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.state.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "2~18446744073709551615~47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.state.",
    ],
    [
        basic("app:" + SECRET).split(":", 1)[1] + "\ntoken=t&token_type_hint=access_token",
        basic("app:" + SECRET).split(":", 1)[1] + f"\ntoken=t&client_id=app&client_secret={SECRET}",
        basic("app:" + SECRET).split(":", 1)[1] + "\ntoken=t&client_id=other",
        f"\nclient_id=app&client_secret={SECRET}&token=t",
        f"\nclient_id=app&client_secret={SECRET}&token=t&token=u",
        f"\nclient_id=app&client_secret={SECRET}&client_secret=x&token=t",
        f"\nclient_id=app&client_secret={SECRET}&token=",
        basic("a%70p:" + SECRET).split(":", 1)[1] + "\nclient_id=app&token=t&token=u",
        "\nclient_id=app&token=t",
    ],
]
for which, seeds in enumerate(DOCUMENTS):
    texts("documents", *(chr(which) + seed for seed in seeds))

METADATA = '{"issuer":"https://as.example/t1","token_endpoint":"%s"}'
ABSENT = ["404\n\n", "400\n\n", "429\nretry-after: 7\n\n", "503\nretry-after: 99999\n\n", "408\n\n", "302\nlocation: /\n\n"]
FOUND = ["200\n\n" + METADATA % url for url in ("https://as.example/t", "http://as.example/t", "https://a@as.example/t", "https://other.example/t")]
FOUND += ['200\n\n{"issuer":"https://evil.example","token_endpoint":"https://as.example/t"}', "200\n\n<html>"]
SPLIT = "\n---\n"
texts("discovery", *(SPLIT.join([first, "200\n\n" + json.dumps(TOKEN)]) for first in FOUND))
texts("discovery", *(SPLIT.join([first, second, "200\n\n" + json.dumps(TOKEN)]) for first in ABSENT for second in FOUND[:2] + ABSENT[:1]))

NOW = 2_000_000_000
ABOUT = {"active": True, "sub": "alice", "aud": "a", "exp": NOW + 60, "iss": "https://as.example"}
ABOUTS = list(
    variants(
        ABOUT,
        {"aud": ["b", "a"], "scope": "r w", "token_type": "Bearer", "client_id": "c", "jti": "j"},
        {"active": False},
        {"active": "true"},
        {"active": ...},
        {"cnf": {"jkt": "x"}},
        {"cnf": {"x5t#S256": "x"}},
        {"cnf": {"jkt": "x", "kid": "k"}},
        {"cnf": {"jkt": ""}},
        {"cnf": {}},
        {"cnf": {"jkt": "x"}, "token_type": "DPoP"},
        {"cnf": {"x5t#S256": "x"}, "token_type": "DPoP"},
        {"token_type": "DPoP"},
        {"token_type": "refresh_token"},
        {"token_use": "id_token"},
        {"typ": "Refresh"},
        {"aud": "b"},
        {"aud": ["b"]},
        {"aud": ...},
        {"aud": "a b"},
        {"iss": "https://evil.example"},
        {"iss": ...},
        {"exp": NOW - 29},
        {"exp": NOW - 31},
        {"exp": str(NOW + 60)},
        {"exp": 1e300},
        {"nbf": NOW + 29},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"iat": -1},
    )
)
REPEATED = [
    '{"active":true,"active":true,"sub":"alice","aud":"a"}',
    '{"active":false,"\\u0061ctive":true,"aud":"a"}',
    '{"active":true,"aud":"b","aud":"a"}',
    '{"active":true,"aud":"a","x":{"b":1,"b":2}}',
]
texts("introspection", *(f"200\n{JSON}{body}" for body in ABOUTS + REPEATED))
texts("introspection", *(f"{letters}|200\n{JSON}{body}" for letters in ("a", "n", "ck", "ox", "na") for body in ABOUTS))
texts(
    "introspection",
    *(f"{status}\n{JSON}" + '{"error":"%s"}' % error for status in (400, 401, 500) for error in ("unsupported_token_type", "invalid_token", "x")),
    *(f"{status}\nretry-after: {wait}\n\n" for status in (429, 503, 401) for wait in ("7", "0", "99999", "999999999999999999999", "soon", "Wed, 18 May 2033 04:33:20 GMT")),
    "429\n\n",
    f"403\n{JSON}{ABOUTS[0]}",
    f"201\n{JSON}{ABOUTS[0]}",
)

SIGNED = {"iss": "https://as.example", "aud": "id", "iat": NOW, "token_introspection": ABOUT}
TYPED = {"alg": "EdDSA", "typ": "token-introspection+jwt", "kid": "k"}
INNER = [{"token_introspection": {**ABOUT, **other}} for other in ({"active": False}, {"cnf": {}}, {"exp": 1}, {"aud": "b"})]
PAYLOADS = list(
    variants(SIGNED, {"iss": "https://evil.example"}, {"iss": ...}, {"aud": "other"}, {"aud": ["x", "id"]}, {"aud": ...}, {"iat": ...}, {"iat": NOW + 31}, {"iat": "0"}, {"token_introspection": ...}, {"token_introspection": [ABOUT]}, ABOUT, *INNER)
)
PAYLOADS.append(PAYLOADS[0].replace('"aud": "id"', '"aud":"other","aud":"id"'))
HEADERS = list(variants(TYPED, {"typ": "application/token-introspection+jwt"}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": ...}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "Ed25519", "kid": ...}, {"kid": "other"}))
HEADERS.append('{"alg":"none","alg":"EdDSA","typ":"token-introspection+jwt"}')
texts("introspection_jwt", *(f"{HEADERS[0]}\n{payload}" for payload in PAYLOADS))
texts("introspection_jwt", *(f"{header}\n{PAYLOADS[0]}" for header in HEADERS), json.dumps(ABOUT))


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# The public half of the Ed25519 key of 32 bytes of seven.
OWN = "6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw"
OKP = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": OWN}
JWKS = [
    '{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256",'
    '"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
    '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}',
    *variants(OKP, {"use": "enc"}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign"]}, {"alg": "EdDSA"}, {"alg": "ES256"}, {"kid": ...}, {"kid": "other"}, {"d": "x"}, {"x": OWN[:-1] + "x"}),
    json.dumps(OKP).replace('"kty"', '"use":"enc","use":"sig","kty"'),
    '{"kty":"RSA","n":"' + "q" * 341 + 'w","e":"AQAB","x5c":["a"]}',
    '{"kty":"oct","k":"%s","alg":"HS256"}' % encoded(b"AyM1SysPpbyDfgZld3umj1qzKObwVMko"),
]
texts("jwk_set", *('{"keys":[%s]}' % jwk for jwk in JWKS))
LONG = {**OKP, "kid": "\u00e9" * 300, "use": "enc"}
texts("jwk_set", json.dumps({"keys": [LONG]}), json.dumps({"keys": [OKP, LONG]}))
# The name of the one, and the signature of the other.
NAMED = {**OKP, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
texts("jwk_set", json.dumps({"keys": [NAMED, {**OKP, "kid": "other"}]}))
texts("jwk_set", '{"keys":[' + ",".join(JWKS) + ',1],"a":{}}', '{"keys":[],"keys":[%s]}' % JWKS[1])

# Those of RFC 7517 A.2 and RFC 8037 A.1, and what is missing or too much.
EC_PRIVATE = {
    "kty": "EC", "crv": "P-256", "kid": "1",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
}
OKP_PRIVATE = {
    "kty": "OKP", "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
OCT = {"kty": "oct", "alg": "HS256", "k": encoded(b"AyM1SysPpbyDfgZld3umj1qzKObwVMko")}
texts(
    "signing_key",
    *variants(EC_PRIVATE, {"alg": "ES256", "use": "sig"}, {"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": ["verify"]}, {"d": ...}, {"x": ...}, {"y": OWN}, {"d": OWN}, {"kid": ..., "alg": "ES384"}),
    *variants(OKP_PRIVATE, {"alg": "EdDSA", "kid": "k"}, {"d": ...}, {"x": OWN}, {"d": encoded(b"a" * 31)}),
    *variants(OCT, {"alg": "HS512"}, {"alg": ...}, {"k": "AAAA"}),
)

KEYS = '{"keys":[%s]}' % JWKS[1]
CACHING = [
    "cache-control: max-age=600",
    "cache-control: public, Max-Age=\"600\"\nage: 100",
    "cache-control: max-age=600\nage: 9999",
    "cache-control: max-age=600, max-age=60",
    "cache-control: max-age=9999999999999999999999",
    "cache-control: max-age=600, no-cache",
    "cache-control: no-store",
    "cache-control: max-age=soon",
    "age: 600",
    "x: y",
]
NEXT = ["304\n\n", "200\n\n" + KEYS, "503\n\n", "200\n\n{}", '304\netag: "b"\ncache-control: max-age=60\n\n']
texts("jwks_fetch", *(f'200\netag: "a"\n{head}\n\n{KEYS}{SPLIT}{NEXT[0]}' for head in CACHING))
texts("jwks_fetch", *(f'200\n{head}\n\n{KEYS}{SPLIT}{second}' for head in ("x: y", 'etag: W/"a"') for second in NEXT))
texts(
    "jwks_fetch",
    *(f"{status}\nretry-after: {wait}\n\n{SPLIT}{NEXT[1]}" for status in (429, 503, 404) for wait in ("7", "0", "99999", "999999999999999999999", "soon", "Wed, 18 May 2033 04:33:20 GMT")),
    f"304\n\n{SPLIT}{NEXT[1]}",
    f"200\n\n<html>{SPLIT}{NEXT[1]}",
)

# Tokens of a validator's keys with a few bytes in the place of others, and tokens of nobody.
for which in range(3):
    for offset in (0, 40, 71, 72, 120, 300, 330):
        texts("jwt_validator", *(f"@{which}{offset:03}{edit}" for edit in ("", "A", "=", ".", "eyJhbGciOiJub25lIn0")))
for header in ('{"alg":"ES256","typ":"at+jwt","kid":"ES256"}', '{"alg":"none"}'):
    payload = '{"iss":"https://as.example","aud":"https://api.example","exp":9999999999}'
    parts = [encoded(part.encode()) for part in (header, payload)]
    texts("jwt_validator", *(".".join([*parts, signature]) for signature in ("", "A" * 86)))

ACCESS = {
    "iss": "https://as.example", "aud": "https://api.example", "exp": NOW + 60, "iat": NOW,
    "sub": "alice", "client_id": "c1", "jti": "j1",
}
AT = {"alg": "EdDSA", "typ": "at+jwt"}
CLAIMS = list(
    variants(
        ACCESS,
        {"scope": "read write", "aud": ["x", "https://api.example"]},
        {"aud": "https://other.example"},
        {"aud": []},
        {"aud": ...},
        {"aud": "https://api.example/"},
        {"exp": NOW - 29},
        {"exp": NOW - 31},
        {"exp": ...},
        {"exp": str(NOW + 60)},
        {"exp": 1e300},
        {"nbf": NOW + 29},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"iat": -1},
        {"iat": ...},
        {"iss": "https://hs.example"},
        {"iss": "https://evil.example"},
        {"iss": ...},
        {"sub": ...},
        {"client_id": ..., "azp": "c1"},
        {"jti": ...},
        {"scope": ["read"]},
        {"cnf": {"jkt": "x"}},
        {"cnf": {}},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"token_use": "id"},
        {"at_hash": "x"},
    )
)
CLAIMS += [
    CLAIMS[0].replace('"aud"', '"aud":"https://other.example","aud"'),
    CLAIMS[0].replace('"exp"', '"exp":1,"exp"'),
    CLAIMS[0].replace('"sub"', '"sub":"bob","\\u0073ub"'),
    CLAIMS[0].replace('"sub"', '"x":{"a":1,"a":2},"sub"'),
    CLAIMS[0].replace('"sub"', ",".join(f'"x{n}":{n}' for n in range(20)) + ',"x19":1,"sub"'),
]
JOSE = list(
    variants(AT, {"typ": "application/at+jwt"}, {"typ": "JWT"}, {"typ": "dpop+jwt"}, {"typ": ...}, {"crit": ["exp"]}, {"crit": []}, {"kid": "EdDSA"}, {"kid": "ES256"}, {"kid": "other"}, {"alg": "Ed25519"}, {"alg": "ES256"}, {"alg": "ES384"}, {"alg": "HS256"}, {"alg": "HS384"}, {"alg": "none"}, {"alg": "RS256"}, {"jku": "https://x"}, {"x5c": "a"}, {"jwk": {"kty": "oct"}})
)
JOSE += [JOSE[0].replace('"typ"', '"typ":"JWT","typ"'), JOSE[0].replace('"alg"', '"alg":"none","alg"')]
texts("jwt_validator", *(f"{JOSE[0]}\n{claims}" for claims in CLAIMS), *(f"{header}\n{CLAIMS[0]}" for header in JOSE))
texts("jwt_validator", *('{"alg":"HS256","typ":"at+jwt"}\n' + claims for claims in variants({**ACCESS, "iss": "https://hs.example"}, {"cnf": {}}, {"aud": "x"})))
texts("jwt_validator", *('{"alg":"HS256","typ":"JWT"}\n' + claims for claims in variants({**ACCESS, "iss": "https://hs.example"}, {"typ": "ID"}, {"c_hash": "x"}, {"token_use": "refresh"})))
texts("jwt_validator", *(f'{JOSE[2]}\n{claims}' for claims in CLAIMS))
ODD = CLAIMS + list(
    variants(
        ACCESS,
        {"sub": 42},
        {"iss": None},
        {"aud": "c1", "azp": "c1", "at_hash": "x"},
        {"aud": "c1", "azp": "evil", "at_hash": "x"},
        {"aud": "c1", "token_use": "id"},
        {"azp": ["c1"]},
        {"events": {}},
        {"token_type": "DPoP"},
        {"act": {"sub": "x"}},
        {"act": "x"},
        {"roles": {"admin": 1}, "a": ["x"]},
    )
)
for letters in ("a", "c", "d", "i", "k", "n", "ox", "ptyrzsnid", "ptyrzsnia"):
    texts("jwt_validator", *(f"{letters}|{JOSE[0]}\n{claims}" for claims in ODD), *(f"{letters}|{header}\n{ODD[0]}" for header in JOSE))


# Of a proof. What is not JSON yet stands for the key and for the digest of the token.
PROOF = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": "$KEY"}
PROVES = {"jti": "1", "htm": "GET", "htu": "https://api.example/r", "iat": NOW, "ath": "$ATH"}


def key(text):
    return text.replace('"$KEY"', "$KEY")


HEADERS = [key(text) for text in variants(PROOF, {"typ": "jwt"}, {"typ": ...}, {"alg": "Ed25519"}, {"alg": "ES256"}, {"alg": "none"}, {"alg": "HS256"}, {"crit": ["exp"]}, {"jku": "https://x"}, {"x5c": ["a"]}, {"kid": "k"}, {"jwk": ...}, {"jwk": {"kty": "oct", "k": "AA"}}, {"jwk": {"kty": "OKP", "crv": "Ed25519"}})]
HEADERS += [HEADERS[0].replace('"typ"', '"typ":"jwt","typ"'), HEADERS[0].replace("$KEY", '$KEY,"jwk":{}')]
PROVEN = list(
    variants(
        PROVES,
        {"jti": ""},
        {"jti": "j" * 256},
        {"jti": "j" * 257},
        {"jti": ...},
        {"htm": "get"},
        {"htm": "POST"},
        {"htu": "https://api.example/r?q#f"},
        {"htu": "HTTPS://API.example:443/%72"},
        {"htu": "https://api.example//r"},
        {"htu": "https://api.example/./r"},
        {"htu": "https://api.example/R"},
        {"htu": "http://api.example/r"},
        {"htu": "https://u@api.example/r"},
        {"htu": "https://api.example.evil/r"},
        {"htu": "/r"},
        {"iat": NOW - 59},
        {"iat": NOW - 60},
        {"iat": NOW + 30},
        {"iat": NOW + 30.5},
        {"iat": str(NOW)},
        {"iat": 1e300},
        {"iat": ...},
        {"ath": "other"},
        {"ath": ...},
        {"nonce": "n"},
        {"nonce": 1},
    )
)
PROVEN += [PROVEN[0].replace('"htm"', '"htm":"POST","htm"'), PROVEN[0].replace('"ath"', '"\\u0061th":"x","ath"')]
texts("proof", "@000", "@000 ", "@010A", "@100.", "@200AA", "a.b.c", *(f"{HEADERS[0]}\n{claims}" for claims in PROVEN), *(f"{header}\n{PROVEN[0]}" for header in HEADERS))


KEPT = 24 * 1024
KEEPS = sys.argv[1:] == ["keep"]
for target, made in MADE.items():
    pack = ROOT / "seeds" / f"{target}.jsonl"
    if KEEPS:
        found = {path.read_bytes() for path in (ROOT / "corpus" / target).iterdir()} - made
        lines, size = [], 0
        for data in sorted(found, key=lambda data: (len(data), data)):
            line = json.dumps(data.decode("latin-1")) + "\n"
            if size + len(line) > KEPT:
                break
            lines.append(line)
            size += len(line)
        pack.parent.mkdir(exist_ok=True)
        pack.write_text("".join(lines))
    elif pack.exists():
        texts(target, *(json.loads(line).encode("latin-1") for line in pack.read_text().splitlines()))
