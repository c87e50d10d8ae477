"""openid-client and oauth4webapi, with tokens that are bound to a key, at examples/protect."""

import json
import os
import subprocess

from programs import Server, free_port

AUDIENCE = "urn:rs:jwt:es256"


def check(report):
    """What is done and expected is in tests/interop/openid-client/calls.mjs."""
    calls = os.environ["INTEROP_OPENID_CLIENT"] + "/calls.mjs"
    for mode, issuer in [
        ("allowed", os.environ["INTEROP_OIDC_PROVIDER"]),
        ("nonces", os.environ["INTEROP_NONCES"]),
        ("required", os.environ["INTEROP_OIDC_PROVIDER"]),
    ]:
        at = protect(issuer, *([] if mode == "allowed" else [f"--{mode}"])).origin
        command = ["node", calls, issuer, AUDIENCE, at, mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        for line in done.stdout.splitlines():
            report.equal(*json.loads(line))
        report.equal(f"{mode}: it came to its end", (done.returncode, done.stderr), (0, ""))


def protect(issuer, *how):
    """The URL of a server is part of what its clients prove."""
    listen = f"127.0.0.1:{free_port()}"
    return Server("protect", "--issuer", issuer, "--audience", AUDIENCE, "--listen", listen,
                  "--dpop", f"http://{listen}", *how)
