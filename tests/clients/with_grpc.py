"""gRPC by its own implementation: the empty message, and what a refusal becomes."""

import grpc

from programs import ALICE, BOB, protect


def unary(channel, *metadata):
    """The code, and the message or else the details."""
    method = channel.unary_unary("/api.Calls/List")
    try:
        return grpc.StatusCode.OK, method(b"", metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        return error.code(), error.details()


def check(report):
    server = protect("--scope", "write")
    with grpc.insecure_channel(server.origin.removeprefix("http://")) as channel:
        bearer = lambda token: ("authorization", f"Bearer {token}")
        report.equal("bob", unary(channel, bearer(BOB)), (grpc.StatusCode.OK, b""))
        code, details = unary(channel)
        report.equal("no token", code, grpc.StatusCode.UNAUTHENTICATED)
        report.contains("no token: why", details, "no access token")
        code, _ = unary(channel, bearer("nobody"))
        report.equal("unknown", code, grpc.StatusCode.UNAUTHENTICATED)
        code, _ = unary(channel, bearer(ALICE))
        report.equal("alice may not write", code, grpc.StatusCode.PERMISSION_DENIED)
    server.stop()
    # Nobody can be asked: another try may help, another token not.
    introspection = ["--introspect", "http://127.0.0.1:9/", "--client-id", "a"]
    server = protect(*introspection, "--client-secret", "b")
    with grpc.insecure_channel(server.origin.removeprefix("http://")) as channel:
        code, _ = unary(channel, ("authorization", "Bearer nobody"))
        report.equal("nobody can tell", code, grpc.StatusCode.UNAVAILABLE)
