"""Writes the seed corpus, made of the requests in tests/cases/server.json."""

import base64
import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent
CASES = json.loads((ROOT.parent / "tests/cases/server.json").read_text())


def expanded(text):
    return re.sub(r"\{\{repeat:(.*?):(\d+)\}\}", lambda m: m[1] * int(m[2]), text)


def write(target, data):
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

# A POST to a server that reads the query of a GET alone.
write("request_head", b"POST /r?access_token=mF_9.B5f-4.1JqM&x=1\nAuthorization:Bearer tok-rw")

write("token_response", b"\0application/json\n" b'{"access_token":"t","expires_in":3600.9,"scope":["a"]}')
write("token_response", b"\xc9text/plain\n" b'{"error":"invalid_client","error_description":"x"}')
write("token_response", b"\0application/x-www-form-urlencoded\naccess_token=t&expires_in=60")

DOCUMENTS = [
    [
        b'{"issuer":"https://as.example","token_endpoint":"https://as.example/t","jwks_uri":"http://as.example/k"}',
        b'{"issuer":"https://as.example","mtls_endpoint_aliases":{"token_endpoint":"https://m.as.example/t"}}',
        b'{"issuer":"https://evil.example"}',
    ],
    [
        b'{"resource":"https://api.example/v1","authorization_servers":["https://as.example","https://b.example"]}',
        b'{"resource":"https://api.example/v1","authorization_servers":["https://evil.example"]}',
        b'{"resource":"https://evil.example"}',
    ],
    [
        b'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"\n'
        b'{"resource":"https://api.example","authorization_servers":["https://as.example"]}',
        b'Bearer realm="a", Bearer resource_metadata="https://evil.example/"\n{}',
    ],
    [
        b"code=SplxlOBeZQQYbYS6WxSbIA&state=state",
        b"iss=https%3A%2F%2Fas.example&code=a&state=state",
        b"error=access_denied&error_description=no&state=state",
        b"code=a&code=b&state=other",
    ],
    [
        b'{"access_token":"mF_9.B5f-4.1JqM","asked_at":1700000000,"lifetime":600,"scope":"read write"}',
        b'{"access_token":"t","asked_at":18446744073709551615,"lifetime":18446744073709551615,"scope":null}',
    ],
    [
        b"2~1700000000~47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.state.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        b"2~18446744073709551615~47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU.state.",
    ],
    [
        b"Basic " + base64.b64encode(b"app:hunter2-hunter2") + b"\ntoken=t&token_type_hint=access_token",
        b"\nclient_id=app&client_secret=hunter2-hunter2&token=t",
        b"Basic " + base64.b64encode(b"a%70p:hunter2-hunter2") + b"\nclient_id=app&token=t&token=u",
        b"\nclient_id=app&token=t",
    ],
]
for which, texts in enumerate(DOCUMENTS):
    for text in texts:
        write("documents", bytes([which]) + text)

write("introspection", b'\0\n{"active":true,"sub":"a","aud":["a"],"exp":4102444800,"scope":"r w","token_type":"Bearer"}')
write("introspection", b'\0\n{"active":true,"aud":"a","cnf":{"jkt":"x"},"nbf":1e9,"iat":"0","token_use":"access"}')
write("introspection", b'\xc8\n{"error":"unsupported_token_type"}')
write("introspection", b'\xe57\n{"active":false}')

JWKS = [
    '{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256",'
    '"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
    '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}',
    '{"kty":"OKP","crv":"Ed25519","key_ops":["verify"],"alg":"EdDSA",'
    '"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
    '{"kty":"RSA","n":"' + "q" * 341 + 'w","e":"AQAB","x5c":["a"]}',
    '{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko","alg":"HS256"}',
]
for jwk in JWKS:
    write("jwk_set", b'{"keys":[' + jwk.encode() + b"]}")
write("jwk_set", b'{"keys":[' + ",".join(JWKS).encode() + b',1],"a":{}}')

for header in [
    '{"alg":"ES256","typ":"at+jwt","kid":"1"}',
    '{"alg":"EdDSA","crit":["exp"],"jku":"https://x"}',
    '{"alg":"RS256","x5c":["a"],"jwk":{"kty":"oct"}}',
    '{"alg":"HS256"}',
]:
    payload = '{"iss":"a","aud":["b"],"exp":1}'
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, payload)]
    for parts in (encoded, [header, payload]):
        write("jwt", ".".join([*parts, "A" * 86]).encode())

# Tokens of a validator's keys with a few bytes in the place of others, and tokens of nobody.
for which in range(3):
    for offset in (0, 3, 40, 70, 71, 72, 73, 120, 200, 300, 330, 400):
        for edit in ("", "A", "=", ".", "AAAA", "eyJhbGciOiJub25lIn0"):
            write("jwt_validator", f"@{which}{offset:03}{edit}".encode())
for header in ('{"alg":"ES256","typ":"at+jwt","kid":"ES256"}', '{"alg":"EdDSA","kid":"EdDSA"}', '{"alg":"none"}'):
    for payload in (
        '{"iss":"https://as.example","aud":"https://api.example","exp":9999999999}',
        '{"iss":"https://as.example","aud":[],"exp":"1","sub":"a","sub":"b"}',
    ):
        encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, payload)]
        for signature in ("", "A" * 86):
            write("jwt_validator", ".".join([*encoded, signature]).encode())
