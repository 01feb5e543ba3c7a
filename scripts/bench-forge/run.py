"""`scripts/bench forge`: measures the forge beside its peers in one run. Each figure is ours, the peer's, their ratio, the
target, and whether it is met. What it starts it ends, by process id; what it writes is in one directory, removed at the end
(the generated repositories stay in target/bench).

--markdown prints the table for docs/performance.md; --quick takes fewer rounds; --only P4,P7 measures these alone.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True

import generate
import tools
from peers import Peers
from site_under_test import Site

LS_REFS = tools.packet(b"command=ls-refs\n") + tools.packet(b"agent=bench/1") + tools.packet(b"object-format=sha1") + b"0001" \
    + b"".join(map(tools.packet, (b"peel\n", b"symrefs\n", b"unborn\n", b"ref-prefix refs/heads/\n", b"ref-prefix refs/tags/\n", b"ref-prefix HEAD\n"))) + b"0000"


class Bench:
    def __init__(self, options, program, work):
        self.options, self.work = options, pathlib.Path(work)
        self.rounds = 3 if options.quick else 9
        self.seconds = 2 if options.quick else 6
        self.rows = []
        self.site, self.peers = Site(program, work), None

    def row(self, name, what, ours, peer, target, unit, within=None, note=""):
        """`target` is an upper bound; a negative one is a lower bound of its absolute value. None: told, not judged."""
        if within is None and target is not None:
            within = ours <= target if target >= 0 else ours >= -target
        verdict = "–" if within is None else "met" if within else "NOT MET"
        shown = "–" if target is None else f"{'≤' if target >= 0 else '≥'} {abs(target):g}"
        ratio = f"{ours / peer:.3g}" if peer else "–"
        self.rows.append((name, what, f"{ours:.4g}", f"{peer:.4g}" if peer else "–", ratio, shown, unit, verdict, note))
        print("%-4s %-50s %10s %10s %8s %9s %-6s %s %s" % self.rows[-1], flush=True)

    def wanted(self, *names):
        return not self.options.only or any(name in self.options.only for name in names)

    # ---- the site -------------------------------------------------------------------------------------------------------

    def prepare(self, shapes):
        first = self.site.install()
        self.row("P14", "first run ever, to the first answer", first, None, 1000, "ms")
        self.site.fill()
        self.site.down()
        self.site.start()
        for name, shape in shapes.items():
            source = generate.make(shape, self.options.cache)
            took = tools.timed(["git", "-C", source, "push", "--quiet", "--mirror", self.site.remote(name)],
                               env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "pack.threads", "GIT_CONFIG_VALUE_0": "2"})
            self.row("–", f"first push of the {name} one", took / 1000, None, None, "s")
        self.wait_for_upkeep(len(shapes))
        self.peers = Peers(self.work, self.site.repositories(), self.site.key)

    def wait_for_upkeep(self, count):
        """Waits until so many repositories were tidied after their push, and the server and its children use no processor time."""
        begun = time.monotonic()
        tools.wait_for(lambda: (self.work / "serve.log").read_text().count('"repository tidied"') >= count, 240)
        quiet, before = 0, self.site.cpu()
        while quiet < 4 and time.monotonic() - begun < 240:
            time.sleep(0.5)
            children = pathlib.Path(f"/proc/{self.site.process.pid}/task").glob("*/children")
            busy = any(self.read(path).strip() for path in children)
            now = self.site.cpu()
            quiet = 0 if busy or now - before > 0.05 else quiet + 1
            before = now
        self.row("–", "upkeep after the first pushes", time.monotonic() - begun, None, None, "s")

    @staticmethod
    def read(path):
        try:
            return path.read_text()
        except OSError:
            return ""

    def restart(self):
        self.site.stop()
        self.site.start()

    def browser(self):
        return tools.Browser(self.site.http)

    # ---- pages ----------------------------------------------------------------------------------------------------------

    def cold_home(self):
        ours, heads, filled, peer, dropped = [], [], [], [], False
        for _ in range(max(3, self.rounds // 2)):
            self.site.stop()
            dropped = tools.drop_caches()
            self.site.start()
            _, body, head, took, _ = self.browser().get("/bench/big")
            ours.append(took), heads.append(head)
            filled.append(self.filled(body))
            time.sleep(1.5)
            filled.append(self.filled(self.browser().get("/bench/big")[1]))
            dropped = tools.drop_caches()
            peer.append(tools.Browser(self.peers.web).get("/cgit/big/")[3])
        how = "caches dropped" if dropped else "caches warm"
        self.row("P1", f"big home, fresh server ({how})", tools.median(ours), tools.median(peer), 150, "ms")
        self.row("P1", "… to the first byte", tools.median(heads), None, None, "ms")
        self.row("P1", "… column filled in that page", tools.median(filled[::2]), None, None, "%")
        self.row("P1", "… column filled 1.5 s later", tools.median(filled[1::2]), None, -100, "%")

    @staticmethod
    def filled(body):
        table = re.search(rb"<table.*?</table>", body, re.S)
        rows = re.findall(rb"<tr.*?(?=<tr|</table>)", table.group(0), re.S) if table else []
        rows = [row for row in rows if b"<a " in row and b"href=\"..\"" not in row]
        known = sum(1 for row in rows if b"<time" in row or b" ago" in row)
        return 100 * known / max(1, len(rows))

    def warm_pages(self):
        rounds = 25 if self.options.quick else 101
        cgit, ours = tools.Browser(self.peers.web), self.browser()
        self.row("P2", "big home, warm p50", ours.median("/bench/big", rounds), cgit.median("/cgit/big/", 15), 8, "ms")
        for what, mine, theirs in (("tree", "/bench/small/src/main/src", "/cgit/small/tree/src"),
                                   ("file", "/bench/small/src/main/src/engine.c", "/cgit/small/tree/src/engine.c"),
                                   ("log", "/bench/small/commits/main", "/cgit/small/log/")):
            self.row("P3", f"small {what}, warm p50", ours.median(mine, rounds), cgit.median(theirs, rounds), 2, "ms")
        _, _, _, _, answer = ours.get("/bench/small/src/main/src/engine.c")
        tag = answer.getheader("ETag")
        if tag:
            times = [ours.get("/bench/small/src/main/src/engine.c", If_None_Match=tag) for _ in range(rounds)]
            if all(one[0] == 304 for one in times):
                self.row("P3", "small file, unchanged (304)", tools.median([one[3] for one in times]), None, None, "ms")

    def throughput(self):
        peer = tools.wrk(self.peers.web, "/cgit/small/", self.seconds)
        before = self.site.cpu()
        ours = tools.wrk(self.site.http, "/bench/small", self.seconds)
        used = (self.site.cpu() - before) / (ours * self.seconds) * 1000
        self.row("P4", "small home, requests/s, 16 connections", ours, peer, -2000, "1/s", note=f"{used:.2f} CPU ms each")

    def blame(self):
        path, times, git = "/bench/big/blame/main/src/engine.c", [], []
        size = 0
        for _ in range(max(3, self.rounds // 2)):
            self.restart()
            _, body, _, took, _ = self.browser().get(path)
            times.append(took)
            size = len(body)
            git.append(tools.timed(["git", "-C", self.peers.roots / "big.git", "blame", "--porcelain", "main", "--", "src/engine.c"],
                                   env={"GIT_CONFIG_GLOBAL": str(self.peers.work / "gitconfig")}))
        cold, peer = tools.median(times), tools.median(git)
        self.row("P6", "blame of a 2,500-line file, cold", cold, peer, round(1.1 * peer, 1), "ms")
        self.row("P6", "… cached", self.browser().median(path, 15), None, 20, "ms")
        self.row("P6", "… bytes of HTML", size / 1000, None, 400, "KB")

    def sizes(self):
        browser = self.browser()
        for what, path, target in (("a tree of 1,100 entries", "/bench/big/src/main/t", 200),
                                   ("a file of 2,400 lines", "/bench/big/src/main/src/tables.c", 350)):
            browser.get(path)
            time.sleep(1)
            _, body, _, took, _ = browser.get(path)
            self.row("P17", f"HTML of {what}", len(body) / 1000, None, target, "KB", note=f"warm {took:.1f} ms")

    # ---- Git ------------------------------------------------------------------------------------------------------------

    def refs(self):
        script = self.work / "ls-refs.lua"
        body = "".join(f"\\{byte}" if not 48 <= byte <= 122 or byte == 92 else chr(byte) for byte in LS_REFS)
        body = "".join(f"\\{byte:03d}" for byte in LS_REFS)
        script.write_text(f'wrk.method = "POST"\nwrk.body = "{body}"\nwrk.headers["Content-Type"] = "application/x-git-upload-pack-request"\n'
                          'wrk.headers["Git-Protocol"] = "version=2"\n')
        query = "info/refs?service=git-upload-pack"
        for what, suffix, options in (("info/refs, version 2", query, {"headers": ["Git-Protocol: version=2"]}),
                                      ("info/refs, version 0", query, {}), ("ls-refs", "git-upload-pack", {"script": script})):
            peer = tools.wrk(self.peers.web, f"/git/small.git/{suffix}", self.seconds, **options)
            ours = tools.wrk(self.site.http, f"/bench/small.git/{suffix}", self.seconds, **options)
            self.row("P7", f"{what}, requests/s", ours, peer, -5000, "1/s")
            self.row("P7", "… at least as many as http-backend", ours / peer, None, -1, "×")

    def clones(self):
        for name, count in (("small", 5 if self.options.quick else 20), ("big", 1 if self.options.quick else 5)):
            request = tools.whole_clone(self.site.repositories()[name])
            ours, peer, walls = [], [], [[], []]
            for _ in range(count):
                # A restart: no clone may come from what was kept of another.
                self.restart()
                before, begun = self.site.cpu(), time.perf_counter()
                got = tools.fetch_http(self.site.http, f"/bench/{name}.git", request)
                walls[0].append(time.perf_counter() - begun)
                self.settled(self.site.cpu)
                ours.append(self.site.cpu() - before)
                before, begun = self.peers.cpu("daemon"), time.perf_counter()
                theirs = tools.fetch_daemon(self.peers.daemon, f"/{name}.git", request)
                walls[1].append(time.perf_counter() - begun)
                self.settled(lambda: self.peers.cpu("daemon"))
                peer.append(self.peers.cpu("daemon") - before)
                if abs(got - theirs) > 0.02 * theirs:
                    raise SystemExit(f"bench: the clones differ: {got} and {theirs} bytes")
            total, other = sum(ours) / count, sum(peer) / count
            self.row("P8", f"full clone of the {name} one, server CPU", total * 1000, other * 1000, round(1030 * other, 1), "ms",
                     note=f"wall {tools.median(walls[0]) * 1000:.0f} / {tools.median(walls[1]) * 1000:.0f} ms")

    @staticmethod
    def settled(clock):
        """Children count once they have ended and been waited for."""
        before = -1
        while before != (before := clock()):
            time.sleep(0.15)

    def repeated_clones(self):
        request = tools.whole_clone(self.site.repositories()["big"])
        self.restart()
        used = []
        for _ in range(6):
            before = self.site.cpu()
            tools.fetch_http(self.site.http, "/bench/big.git", request)
            self.settled(self.site.cpu)
            used.append((self.site.cpu() - before) * 1000)
        last = tools.median(used[2:])
        self.row("P9", "third and later identical clone, server CPU", last, used[0], round(0.05 * used[0], 1), "ms",
                 note=f"second {used[1]:.0f} ms")

    def ssh(self):
        command = f"ssh -F /dev/null -i {self.site.key} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no " \
                  "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        urls = (f"ssh://git@127.0.0.1:{self.site.ssh}/bench/small.git",
                f"ssh://{subprocess.run(['id', '-un'], capture_output=True, text=True).stdout.strip()}@127.0.0.1:{self.peers.ssh}{self.peers.roots}/small.git")
        times = ([], [])
        for _ in range(self.rounds):
            for url, own in zip(urls, times):
                own.append(tools.timed(["git", "ls-remote", url], env={"GIT_SSH_COMMAND": command}))
        self.row("P11", "ls-remote over SSH, p50", tools.median(times[0]), tools.median(times[1]), 60, "ms")

    def pushes(self):
        """The peer takes the same pushes with no rule at all, over the same kind of transport."""
        bare, work = self.peers.roots / "bare.git", self.work / "pushing"
        shutil.copytree(self.site.repositories()["small"], bare)
        subprocess.run(["git", "clone", "--quiet", "--no-local", bare, work], check=True, capture_output=True,
                       env={**tools.CLEAN, "GIT_CONFIG_GLOBAL": str(self.peers.work / "gitconfig")})
        subprocess.run(["git", "-C", bare, "config", "http.receivepack", "true"], check=True)
        identity = {"GIT_AUTHOR_NAME": "Bench", "GIT_AUTHOR_EMAIL": "bench@example.invalid", "GIT_COMMITTER_NAME": "Bench",
                    "GIT_COMMITTER_EMAIL": "bench@example.invalid"}
        urls = (self.site.remote("small"), f"http://127.0.0.1:{self.peers.web}/git/bare.git")
        times = ([], [])
        for number in range(self.rounds + 1):
            with open(work / "README.md", "a") as readme:
                readme.write(f"line {number}\n")
            tools.timed(["git", "-C", work, "commit", "--quiet", "--all", "--message", f"push {number}"], env=identity)
            for url, own in zip(urls, times):
                own.append(tools.timed(["git", "-C", work, "push", "--quiet", url, "HEAD:refs/heads/main"]))
        ours, peer = tools.median(times[0][1:]), tools.median(times[1][1:])
        self.row("P12", "push of one commit over HTTP, judged", ours, peer, round(peer + 10, 1), "ms")

    # ---- the process ----------------------------------------------------------------------------------------------------

    def memory(self):
        self.restart()
        time.sleep(3 if self.options.quick else 10)
        self.row("P13", "memory, idle", self.site.resident()[0], None, 35, "MB")
        count = 1_000 if self.options.quick else 10_000
        begun = time.perf_counter()
        self.crawl(count)
        rate = count / (time.perf_counter() - begun)
        whole, own = self.site.resident()
        self.row("P13", f"memory after {count:,} pages", own, None, 90, "MB",
                 note=f"{rate:.0f} pages/s; with mapped packs {whole:.0f} MB, at most {tools.peak(self.site.process.pid):.0f} MB")

    def crawl(self, count):
        repository = self.peers.roots / "big.git"
        git = ["git", "-c", "safe.directory=*", "-C", str(repository)]
        files = subprocess.run([*git, "ls-tree", "-r", "--name-only", "main"], capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
        commits = subprocess.run([*git, "rev-list", "--max-count=6000", "main"], capture_output=True, text=True, check=True).stdout.split()
        folders = sorted({file.rsplit("/", 1)[0] for file in files if "/" in file})
        paths = [f"/bench/big/src/main/{urllib.parse.quote(path)}" for path in files + folders] + [f"/bench/big/commit/{oid}" for oid in commits]
        paths = [paths[number * 7919 % len(paths)] for number in range(count)]

        def walk(own):
            browser = self.browser()
            for path in own:
                status = browser.get(path)[0]
                if status != 200:
                    failed.append((status, path))

        failed = []
        threads = [threading.Thread(target=walk, args=(paths[start::4],)) for start in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        if failed:
            raise SystemExit(f"bench: {len(failed)} pages failed, the first: {failed[0]}")

    def starts(self):
        times = []
        for _ in range(self.rounds):
            self.site.stop()
            times.append(self.site.start())
        self.row("P14", "start, to the first answer", tools.median(times), None, 100, "ms")

    def all(self):
        shapes = {"small": generate.SMALL, "big": generate.BIG}
        if self.options.commits:
            shapes["big"] = {**generate.BIG, "commits": self.options.commits}
        self.prepare(shapes)
        for names, measure in ((("P1",), self.cold_home), (("P2", "P3"), self.warm_pages), (("P4",), self.throughput), (("P6",), self.blame),
                               (("P7",), self.refs), (("P8",), self.clones), (("P9",), self.repeated_clones), (("P11",), self.ssh),
                               (("P13",), self.memory), (("P14",), self.starts), (("P17",), self.sizes), (("P12",), self.pushes)):
            if self.wanted(*names):
                measure()

    def markdown(self):
        print("\n| id | measure | ours | peer | ratio | target | unit | |  |\n|---|---|---:|---:|---:|---:|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser = argparse.ArgumentParser(prog="scripts/bench forge", description=__doc__.split("\n\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown at the end")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look while working")
    parser.add_argument("--only", type=lambda text: text.split(","), help="measure these ids alone, as in P4,P7")
    parser.add_argument("--commits", type=int, help="commits of the big repository (80,000)")
    parser.add_argument("--cache", default=target / "bench", help="where the generated repositories are kept")
    options = parser.parse_args()
    for tool in ("git", "wrk", "nginx", "fcgiwrap", "sshd", "ssh-keygen"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise SystemExit(f"bench: {tool} is missing: apt-get install git wrk nginx fcgiwrap cgit openssh-server")
    program = pathlib.Path(os.environ.get("GITGRIT_BENCH_BINARY", target / "release/gitgrit-ops")).resolve()
    if not program.exists():
        subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "gitgrit-ops"], cwd=root, check=True)
    work = tempfile.mkdtemp(prefix="gitgrit-bench-")
    bench = Bench(options, program, work)
    print("%-4s %-50s %10s %10s %8s %9s %-6s" % ("id", f"what (median of {bench.rounds} or more)", "ours", "peer", "ratio", "target", "unit"))
    begun = time.monotonic()
    try:
        bench.all()
    finally:
        if bench.peers:
            bench.peers.stop()
        bench.site.stop()
        bench.site.down()
        shutil.rmtree(work, ignore_errors=True)
    missed = sum(row[7] == "NOT MET" for row in bench.rows)
    print(f"{missed} not met; {time.monotonic() - begun:.0f} s")
    if options.markdown:
        bench.markdown()


main()
