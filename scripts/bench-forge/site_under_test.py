"""Our own site: installed, filled through its own doors, then served as a child of the benchmark."""

import http.client
import http.cookiejar
import json
import os
import pathlib
import re
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

import tools

PASSWORD = "a bench password of some length"


class Site:
    def __init__(self, program, work):
        self.program, self.work = program, pathlib.Path(work)
        self.directory = self.work / "gitgrit-site"
        self.http, self.ssh = tools.free_port(), tools.free_port()
        self.process, self.token = None, None
        self.key = self.work / "key"

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.work, check=True, capture_output=True, text=True)

    def install(self):
        """Installs and gives the milliseconds to the first answer of the first run ever."""
        (self.work / "password").write_text(PASSWORD)
        arguments = ["install", "--embedded", self.directory, "--lab", "--yes", "--http", f"127.0.0.1:{self.http}",
                     "--ssh", f"127.0.0.1:{self.ssh}", "--admin", "bench", "--admin-password-file", self.work / "password"]
        begun = time.perf_counter()
        installing = subprocess.Popen([self.program, *arguments], cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        tools.wait_for(lambda: self.answers(tls=True), 30)
        took = (time.perf_counter() - begun) * 1000
        if installing.wait() != 0:
            raise SystemExit("bench: install failed: " + installing.stderr.read().decode())
        return took

    def answers(self, tls=False):
        try:
            kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
            extra = {"context": ssl._create_unverified_context()} if tls else {}
            connection = kind("127.0.0.1", self.http, timeout=2, **extra)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def fill(self):
        """What a person does in a browser: signs in, adds a key, makes a token and two repositories."""
        jar = http.cookiejar.CookieJar()
        context = ssl._create_unverified_context()
        browser = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(jar))
        base = f"https://localhost:{self.http}"

        def submit(page, action, **fields):
            shown = browser.open(base + page).read().decode()
            token = re.search(r'name="csrf"[^>]*value="([^"]*)"', shown)
            if token:
                fields["csrf"] = token.group(1)
            request = urllib.request.Request(base + action, urllib.parse.urlencode(fields).encode(), {"Origin": base})
            return browser.open(request).read().decode()

        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        submit("/sign-in", "/sign-in", name="bench", password=PASSWORD)
        submit("/settings/keys", "/settings/keys", title="bench", key=pathlib.Path(f"{self.key}.pub").read_text())
        made = self.run("admin", "token", "create", "bench", "--user", "bench", "--scope", "write:repository", "--json", "--site", self.directory)
        self.token = json.loads(made.stdout)["token"]
        for name in ("small", "big"):
            submit("/new", "/new", name=name, description="made for a benchmark", visibility="public")

    def remote(self, name):
        secret = urllib.parse.quote(self.token or PASSWORD, safe="")
        return f"http://bench:{secret}@127.0.0.1:{self.http}/bench/{name}.git"

    def down(self):
        subprocess.run([self.program, "down"], cwd=self.work, capture_output=True)

    def start(self):
        """Serves plain HTTP, as the peers do; gives the milliseconds to the first answer."""
        begun = time.perf_counter()
        log = open(self.work / "serve.log", "ab")
        arguments = ["serve", "--site", self.directory, "--no-tls", "--http", f"127.0.0.1:{self.http}", "--ssh", f"127.0.0.1:{self.ssh}"]
        # The same environment as `up` and the systemd unit give it; one client may ask as often as it can.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072",
                       "MALLOC_TRIM_THRESHOLD_": "131072", "GITGRIT_TRANSFERS_PER_MINUTE": "0"}
        self.process = subprocess.Popen([self.program, *arguments], cwd=self.work, stdout=log, stderr=log, env=environment)
        tools.wait_for(self.answers, 30)
        return (time.perf_counter() - begun) * 1000

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def repositories(self):
        """The bare repositories on disk: the small one was made first."""
        found = sorted((self.directory / "data/repositories").glob("*/*.git"), key=lambda path: int(path.stem))
        return dict(zip(("small", "big"), found))

    def resident(self):
        return tools.resident(self.process.pid)

    def cpu(self):
        return tools.cpu(self.process.pid)
