"""The examples as processes, and what they are told."""

import os
import subprocess
import threading

EXAMPLES = os.environ["EXAMPLES"]

# Two tokens; Bob's needs care in a query and in a form.
ALICE = "mF_9.B5f-4.1JqM"
BOB = "b-._~+/b=="

EVERY_WAY = "header,query,basic,form,cookie=sid,header=x-api-key"

_running = []


class Server:
    """One that prints `READY` and its origin. What it logs is kept."""

    def __init__(self, example, *arguments):
        self.process = subprocess.Popen(
            [f"{EXAMPLES}/{example}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _running.append(self)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        word, _, self.origin = self.process.stdout.readline().strip().partition(" ")
        if word != "READY":
            self.stop()
            raise RuntimeError(f"{example} did not start: {''.join(self.log)}")

    def stop(self):
        """Its exit status after SIGTERM."""
        self.process.terminate()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        if self in _running:
            _running.remove(self)
        return status


def stop_all():
    for server in list(_running):
        server.stop()


def protect(*arguments):
    """A server that knows alice, who may read, and bob, who may write too."""
    tokens = ["--token", f"{ALICE}=alice:read", "--token", f"{BOB}=bob:read write"]
    return Server("protect", *tokens, *arguments)


def call(*arguments):
    """examples/call: its exit status, what it printed, and what it said."""
    done = subprocess.run(
        [f"{EXAMPLES}/call", *arguments], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr
