"""The examples and the proxies as processes, and what they are told."""

import os
import socket
import subprocess
import threading
import time

EXAMPLES = os.environ["EXAMPLES"]

# Two tokens; Bob's needs care in a query and in a form.
ALICE = "mF_9.B5f-4.1JqM"
BOB = "b-._~+/b=="

EVERY_WAY = "header,query,basic,form,cookie=sid,header=x-api-key"

_running = []


class Program:
    """One that runs until it is stopped. What it logs is kept."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        _running.append(self)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()

    def failed(self):
        self.stop()
        return RuntimeError(f"{self.process.args[0]} did not start: {''.join(self.log)}")

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


class Server(Program):
    """One that prints `READY` and its origin."""

    def __init__(self, example, *arguments):
        super().__init__(f"{EXAMPLES}/{example}", *arguments)
        word, _, self.origin = self.process.stdout.readline().strip().partition(" ")
        if word != "READY":
            raise self.failed()


class Proxy(Program):
    """One that listens on a port that it is given."""

    def __init__(self, port, *command):
        super().__init__(*command)
        self.origin = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if self.process.poll() is not None or time.monotonic() > end:
                raise self.failed()
            time.sleep(0.05)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_stopped(server):
    """It is stopped with the others."""
    _running.append(server)


def stop_all():
    for server in list(_running):
        server.stop()
    _running.clear()


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
