"""The checks, one after the other: each file `with_*.py` beside this one has a `check(report)`.

Environment, all of it set by `run`:
  EXAMPLES               where the built examples are
  BROWSER, NGINX, HAPROXY
                         the paths of Chromium and the proxies
  INTEROP_OIDC_PROVIDER, INTEROP_NONCES, INTEROP_REALM, INTEROP_DJANGO
                         authorization servers; see tests/interop
  INTEROP_OPENID_CLIENT  where openid-client is installed
"""

import importlib
import signal
import sys
import time
import traceback
from pathlib import Path

from programs import stop_all


class Report:
    """What was right, and what was not."""

    def __init__(self):
        self.right, self.wrong = 0, 0

    def equal(self, name, found, expected):
        self.true(name, found == expected, f"{found!r} is not {expected!r}")

    def contains(self, name, whole, part):
        self.true(name, part in (whole or ""), f"{part!r} is not in {whole!r}")

    def true(self, name, holds, otherwise=""):
        if holds:
            self.right += 1
        else:
            self.wrong += 1
        print(f"{'ok' if holds else 'FAIL':<4} {name}{'' if holds else f': {otherwise}'}", flush=True)


def main(parts):
    report = Report()
    for file in sorted(Path(__file__).parent.glob("with_*.py")):
        if parts and not any(part in file.stem for part in parts):
            continue
        print(f"\n{file.stem}", flush=True)
        start = time.monotonic()
        try:
            importlib.import_module(file.stem).check(report)
        except Exception:
            report.true(file.stem, False, traceback.format_exc())
        finally:
            stop_all()
        print(f"     {time.monotonic() - start:.1f} s", flush=True)
    print(f"\n{report.right} right, {report.wrong} wrong")
    return 1 if report.wrong or not report.right else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
