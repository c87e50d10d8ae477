"""Writes the seed corpus, made of the requests in tests/cases/server.json."""

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

write("token_response", b"\0application/json\n" b'{"access_token":"t","expires_in":3600.9,"scope":["a"]}')
write("token_response", b"\xc9text/plain\n" b'{"error":"invalid_client","error_description":"x"}')
write("token_response", b"\0application/x-www-form-urlencoded\naccess_token=t&expires_in=60")

write("introspection", b'\0\n{"active":true,"sub":"a","aud":["a"],"exp":4102444800,"scope":"r w","token_type":"Bearer"}')
write("introspection", b'\0\n{"active":true,"aud":"a","cnf":{"jkt":"x"},"nbf":1e9,"iat":"0","token_use":"access"}')
write("introspection", b'\xc8\n{"error":"unsupported_token_type"}')
write("introspection", b'\xe57\n{"active":false}')
