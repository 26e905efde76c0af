#!/usr/bin/env python3
"""Starts a node, makes use of it, and prints its metrics with the labels that each has, as JSON.

    shown.py BINARY [METRIC...]     waits for these, but not for ever
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


class Node:
    """A node on the embedded store, of which a person, a page from elsewhere and somebody impatient make use."""

    def __init__(self, binary, at):
        self.log = (at / "log").open("w")
        environment = {"TING_HTTP__LISTEN": "127.0.0.1:0", "TING_ADMIN__LISTEN": "127.0.0.1:0", "TING_STORE__PATH": str(at / "ting.db"),
                       "TING_LOG__FORMAT": "json", "TING_LIMITS__SIGN_INS_PER_MINUTE": "1", "TING_HTTP__TRUSTED_PROXIES": "127.0.0.1"}
        self.process = subprocess.Popen([binary], env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        listening = self.until("where it listens", self.listening)
        self.public, self.admin = (f"http://{listening[key]}" for key in ("http.listen", "admin.listen"))
        self.until("ready", lambda: self.status(self.admin + "/readyz") == 200)

    def until(self, what, happened, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if answer := happened():
                return answer
            time.sleep(0.05)
        raise TimeoutError(f"{what}: not within {seconds} s\n{pathlib.Path(self.log.name).read_text()}")

    def listening(self):
        lines = pathlib.Path(self.log.name).read_text().splitlines()
        return next((json.loads(line) for line in lines if '"http.listen"' in line and line.endswith("}")), None)

    def ask(self, url, body=None, headers=(), method=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"content-type": "application/json", **dict(headers)}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def status(self, url):
        return self.ask(url)[0]

    def metrics(self):
        """Names of metrics with the labels that they have."""
        shown = {}
        for line in self.ask(self.admin + "/metrics")[1].splitlines():
            if match := re.match(r"(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? ", line):
                shown.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[3] or ""))
        return shown

    def be_used(self):
        sessions = self.public + "/restapi/v1/sessions"
        token = json.loads(self.ask(sessions, {"username": "ada"})[1])["ting_auth"]
        bearer = {"authorization": f"Bearer {token}"}
        self.ask(sessions, {"username": "eve"}, {"origin": "http://elsewhere.example"})
        for _ in range(2):
            self.ask(sessions, {"username": "bob"}, {"x-forwarded-for": "192.0.2.1"})
        polling = self.public + "/socket.io/?EIO=4&transport=polling"
        polling += "&sid=" + json.loads(self.ask(polling)[1][1:])["sid"]
        self.ask(polling, b"40")
        self.ask(polling)
        self.ask(polling, b'42["login",{"username":"ada","ting_auth":"%s","channels":["ting"]}]' % token.encode())
        self.ask(polling, b'421["nothing",{}]')
        self.ask(self.public + "/api/v1/message", {"type": "channel", "target": "ting", "text": "he"}, bearer)
        self.ask(self.public + "/restapi/v1/users/ada", {"password": "a long enough one"}, bearer, "PATCH")
        self.ask(sessions, {"username": "ada", "password": "a wrong one"})
        self.ask(sessions, headers=bearer, method="DELETE")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def main(binary, *wanted):
    with tempfile.TemporaryDirectory(prefix="ting-shown-") as at:
        node = Node(binary, pathlib.Path(at))
        try:
            node.be_used()
            # Some are counted once a second.
            try:
                node.until("all that is wanted", lambda: set(wanted) <= node.metrics().keys(), seconds=10)
            except TimeoutError:
                pass
            shown = node.metrics()
            print(json.dumps({metric: sorted(labels) for metric, labels in shown.items()}))
        finally:
            node.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
