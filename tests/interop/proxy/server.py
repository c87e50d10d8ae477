"""A forward proxy (PyPI proxy.py) as a peer: tunnels (CONNECT) for those who know the password.

    server.py

Prints "READY http://HOST:PORT" once it listens; SIGTERM ends it. The user is `user`, the password
`p@ss/word`. It finds the name as.interop.example, which nothing else does: that is this machine.
"""

import signal
import sys

from proxy import Proxy
from proxy.http.proxy import HttpProxyBasePlugin


class Names(HttpProxyBasePlugin):
    def resolve_dns(self, host, port):
        return "127.0.0.1" if host == "as.interop.example" else None, None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = ["--hostname", "127.0.0.1", "--port", "0", "--num-acceptors", "1", "--num-workers", "1",
               "--basic-auth", "user:p@ss/word", "--log-level", "WARNING"]
    with Proxy(options, plugins=[Names]) as proxy:
        print(f"READY http://127.0.0.1:{proxy.flags.port}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
