"""Chromium: pages of another origin that call an API, and a user who signs in."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import sync_playwright

from programs import ALICE, BOB, Server, protect

PROVIDER = os.environ["INTEROP_OIDC_PROVIDER"]

FETCH = """async ([url, options]) => {
  const response = await fetch(url, options);
  const names = ['www-authenticate', 'grpc-status', 'grpc-message'];
  const headers = Object.fromEntries(names.map((name) => [name, response.headers.get(name)]));
  return {status: response.status, headers, text: await response.text()};
}"""


class Page(BaseHTTPRequestHandler):
    """An empty page, whatever is asked for."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_):
        pass


def check(report):
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=elsewhere.serve_forever).start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ["BROWSER"], args=["--no-sandbox"]
            )
            try:
                calls_from_elsewhere(report, browser, f"http://127.0.0.1:{elsewhere.server_port}/")
                alice_signs_in(report, browser, Server("sign_in"), "the calls of alice")
                provider = ["--issuer", PROVIDER, "--client-id", "app", "--scope", "openid"]
                alice_signs_in(report, browser, Server("sign_in", *provider), '{"sub":"alice"}')
                not_her_sign_in(report, browser)
            finally:
                browser.close()
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()


def calls_from_elsewhere(report, browser, url):
    server = protect("--scope", "write", "--accept", "header,query")
    at = f"{server.origin}/calls"
    page = browser.new_page()
    page.goto(url)
    fetch = lambda to, **options: page.evaluate(FETCH, [to, options])
    bearer = lambda token: {"Authorization": f"Bearer {token}"}

    answer = fetch(at, method="PUT", headers=bearer(BOB), body="x")
    report.equal("a page calls", answer["status"], 200)
    report.contains("a page calls: whose", answer["text"], '"sub":"bob"')
    answer = fetch(f"{at}?access_token={BOB.replace('+', '%2B')}")
    report.contains("a page calls: query", answer["text"], '"location":"query"')
    for name, status, part, options in [
        ("no token", 401, 'Bearer realm="protect"', {}),
        ("unknown", 401, 'error="invalid_token"', {"headers": bearer("nobody")}),
        ("alice may not write", 403, 'scope="write"', {"headers": bearer(ALICE)}),
    ]:
        answer = fetch(at, **options)
        report.equal(f"a page calls: {name}", answer["status"], status)
        challenge = answer["headers"]["www-authenticate"]
        report.contains(f"a page calls: {name}: it reads the challenge", challenge, part)
    web = {"Content-Type": "application/grpc-web+proto"}
    answer = fetch(at, method="POST", headers=web, body="")
    report.equal("gRPC-Web: the page reads the refusal",
                 (answer["status"], answer["headers"]["grpc-status"]), (200, "16"))
    answer = fetch(at, method="POST", headers=web | bearer(BOB), body="")
    report.equal("gRPC-Web: the page reads the status", answer["text"][-15:], "grpc-status:0\r\n")
    page.close()


def alice_signs_in(report, browser, server, greeting):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.origin)
    report.equal("nobody yet", page.text_content("#who"), "Nobody is signed in.")
    page.click("text=Log in")
    if not page.url.startswith(server.origin):
        # The provider's own pages.
        page.fill("[name=login]", "alice")
        page.fill("[name=password]", "alice")
        page.click("[type=submit]")
        page.click("[type=submit]")
        page.wait_for_url(f"{server.origin}/")
    who = page.text_content("#who")
    report.equal("alice signed in", who, f"The API answered 200: {greeting}"
                 + (", by calls" if "calls" in greeting else ""))
    # Those of the provider are beside it: a cookie knows no port.
    own = [it for it in context.cookies(server.origin) if it["name"].startswith("sign_in")]
    report.equal("one cookie is left", [it["name"] for it in own], ["sign_in_session"])
    session = own[0]
    report.equal("no script reads it", (session["httpOnly"], session["sameSite"]), (True, "Lax"))
    report.equal("the browser has no token", page.evaluate("document.cookie"), "")
    page.reload()
    report.contains("still", page.text_content("#who"), greeting)

    other = browser.new_context()
    stranger = other.new_page()
    stranger.goto(server.origin)
    report.equal("another browser is nobody", stranger.text_content("#who"),
                 "Nobody is signed in.")
    other.close()

    page.click("text=Log out")
    page.wait_for_selector("text=Log in")
    report.equal("out", page.text_content("#who"), "Nobody is signed in.")
    context.add_cookies([session])
    page.goto(server.origin)
    report.equal("the old session is over", page.text_content("#who"), "Nobody is signed in.")
    context.close()
    # It would say so if the token had not been revoked.
    report.equal("the server has nothing to tell", (server.stop(), server.log), (0, []))


def not_her_sign_in(report, browser):
    """What a link from somebody else cannot do."""
    server = Server("sign_in")
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"{server.origin}/callback?code=theirs&state=theirs")
    report.equal("a callback to nobody's sign-in", answer.status, 400)
    # Alice began one, and is then sent back with the code of another's.
    context.request.get(f"{server.origin}/log-in", max_redirects=0)
    answer = page.goto(f"{server.origin}/callback?code=theirs&state=theirs")
    report.equal("a callback to another's sign-in", answer.status, 400)
    report.contains("a callback to another's sign-in: why", page.text_content("#who"), "state")
    page.goto(server.origin)
    report.equal("she is nobody", page.text_content("#who"), "Nobody is signed in.")
    context.close()
