"""What the measures of bundles need: a command with its cost, an engine with nothing in it, and a count of what goes to one."""

import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Cost:
    """What a command took: seconds, seconds of processor time (an engine's included), and megabytes at most."""

    def __init__(self, wall, cpu, memory, code, said=""):
        self.wall, self.cpu, self.memory, self.code, self.said = wall, cpu, memory, code, said


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def command(arguments, engine=None, environment=None, directory=None, may_fail=False, end_after=None):
    """Runs it. `end_after` seconds it is ended with SIGKILL."""
    surroundings = {**os.environ, **(environment or {})}
    if engine:
        surroundings["DOCKER_HOST"] = engine.address
    before = engine.processor_seconds() if engine else 0
    work = pathlib.Path(os.environ["GITGRIT_BENCH_WORK"])
    # The kernel counts a child's peak from what its parent had: `time` has next to nothing, this interpreter much.
    measured = [] if end_after else ["/usr/bin/time", "--quiet", "--format", "%e %U %S %M", "--output", work / "cost"]
    with open(work / "said", "w+b") as said:
        begun = time.perf_counter()
        child = subprocess.Popen([str(word) for word in [*measured, *arguments]], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                 env=surroundings, cwd=directory)
        try:
            child.wait(end_after)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        wall = time.perf_counter() - begun
        said.seek(0)
        words = said.read().decode(errors="replace")
    after = engine.processor_seconds() if engine else 0
    if child.returncode and not may_fail and not end_after:
        raise SystemExit(f"bench: {arguments}: exit {child.returncode}\n{words[-2000:]}")
    if end_after:
        return Cost(wall, 0, 0, child.returncode, words)
    _, user, system, memory = (float(number) for number in (work / "cost").read_text().split())
    return Cost(wall, user + system + after - before, memory * 1024 / 1e6, child.returncode, words)


def shell(line, **options):
    return command(["bash", "-euo", "pipefail", "-c", line], **options)


def median(costs):
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "memory", "code")))


def settle():
    """What was written before is not paid for by the next measure."""
    os.sync()


class Engine:
    """An engine of the benchmark's own, with its own data, on a socket of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.socket = self.folder / "docker.sock"
        self.address = f"unix://{self.socket}"
        self.log = open(self.folder / "log", "wb")
        (self.folder / "daemon.json").write_text("{}")
        # In a network of its own: an engine changes the bridge and the rules of the network that it is in.
        line = (f"ip link set lo up; exec dockerd --config-file {self.folder}/daemon.json --data-root {self.folder}/root --exec-root {self.folder}/exec"
                f" --pidfile {self.folder}/pid --host {self.address} --iptables=false --ip-masq=false")
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", line], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while subprocess.run(["docker", "version"], env={**os.environ, "DOCKER_HOST": self.address}, capture_output=True, check=False).returncode:
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"bench: dockerd does not start, see {self.folder}/log")
            time.sleep(0.1)

    def processor_seconds(self):
        """Of dockerd and what it started."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return processor_seconds(self.process.pid) + sum(processor_seconds(pid) for pid in children)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Counter:
    """Between a client and an engine: counts the bytes that the client sends in bodies and heads."""

    def __init__(self, engine, folder):
        self.engine, self.sent = engine, 0
        self.path = pathlib.Path(folder) / "counted.sock"
        self.path.unlink(missing_ok=True)
        self.address = f"unix://{self.path}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def processor_seconds(self):
        return self.engine.processor_seconds()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            other = socket.socket(socket.AF_UNIX)
            other.connect(str(self.engine.socket))
            threading.Thread(target=self._pass, args=(client, other, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(other, client, False), daemon=True).start()

    def _pass(self, source, sink, is_counted):
        try:
            while piece := source.recv(1 << 18):
                if is_counted:
                    self.sent += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        self.path.unlink(missing_ok=True)


class Watcher:
    """How many bytes lie below some folders, at most, while something runs."""

    def __init__(self, *folders):
        self.folders, self.most, self.is_over = folders, 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.is_over.wait(0.01):
            self.most = max(self.most, sum(size_below(folder) for folder in self.folders))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def size_below(folder):
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except OSError:
                pass
    return total
