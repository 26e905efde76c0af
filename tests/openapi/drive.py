"""Drives a real ting by its own description, three times: as anybody, as somebody signed in,
and as a privileged caller. Whatever is asked, the answer is never a 500 and as described."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

SECRET = "a shared secret of the tests"

# What is tried is the same each time; a long run tries something else.
SEED = os.environ.get("TING_TEST_SEED", "1")

# Seconds: generating, by caller; and until a run that does not end is ended.
BUDGET = 12
LIMIT = 60

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


class Ting:
    """A server on ports of the system, with a store that is gone afterwards."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="ting-openapi-")
        own = {name: value for name, value in os.environ.items() if not name.startswith("TING_")}
        own |= {
            "TING_HTTP__LISTEN": "127.0.0.1:0",
            "TING_ADMIN__LISTEN": "127.0.0.1:0",
            "TING_API__SECRET": SECRET,
            "TING_LOG__FORMAT": "json",
            "TING_STORE__PATH": str(Path(self.directory.name) / "ting.db"),
        }
        # To a file, so that a log that nobody reads fills no pipe.
        self.log = Path(self.directory.name) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [os.environ["TING_BIN"]], cwd=self.directory.name, env=own, stdout=log, stderr=log
            )
        self.url = f"http://{self.ready()}"
        return self

    def ready(self):
        """Waits until it serves; its address."""
        listening = None
        follow = ["tail", "--pid", str(self.process.pid), "-n", "+1", "-f", str(self.log)]
        with subprocess.Popen(follow, stdout=subprocess.PIPE) as tail:
            try:
                for line in tail.stdout:
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if event.get("message") == "listening":
                        listening = event["http.listen"]
                    if event.get("message") == "ready":
                        return listening
            finally:
                tail.kill()
        raise SystemExit(f"ting did not start:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()

    def sign_in(self, username):
        """The token of somebody new."""
        request = urllib.request.Request(
            f"{self.url}/restapi/v1/sessions",
            json.dumps({"username": username}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.load(answer)["ting_auth"]


def drive(ting, caller, options):
    """One run; whether all was as described."""
    print(f"---- as {caller}", flush=True)
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{ting.url}/api/openapi.json",
        "--url",
        ting.url,
        "--checks",
        ",".join(CHECKS),
        "--max-time",
        str(BUDGET),
        "--phases",
        "examples,coverage,fuzzing",
        "--workers",
        "2",
        "--seed",
        SEED,
        "--no-color",
        "--warnings",
        "off",
        *options,
    ]
    with tempfile.TemporaryDirectory() as directory:
        try:
            done = subprocess.run(command, cwd=directory, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            print(f"not ended within {LIMIT} s")
            return False
    alive = ting.process.poll() is None
    panicked = "panicked at" in ting.log.read_text(errors="replace")
    if panicked or not alive:
        print("the server panicked" if panicked else "the server has ended")
        print(ting.log.read_text(errors="replace")[-4000:])
    return done.returncode == 0 and alive and not panicked


def main():
    with Ting() as ting:
        bearer = f"Authorization: Bearer {ting.sign_in('openapi')}"
        # Who signs out would go on as anybody.
        stay = ["--exclude-method", "DELETE"]
        callers = [
            ("anybody", []),
            ("somebody signed in", ["-H", bearer, *stay]),
            ("a privileged caller", ["-H", f"Authorization: {SECRET}"]),
        ]
        passed = [drive(ting, caller, options) for caller, options in callers]
    print(f"{passed.count(True)} passed, {passed.count(False)} failed, 0 skipped")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
