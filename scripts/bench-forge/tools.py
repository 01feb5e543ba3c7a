"""What every measure needs: a port, a clock, a process's processor time, a connection, a median."""

import http.client
import os
import pathlib
import re
import socket
import statistics
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
CLEAN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
         "GIT_TERMINAL_PROMPT": "0"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("bench: something did not start; see its log")
        time.sleep(0.002)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cpu(*pids):
    """Seconds of processor time of these processes and of all their children that have ended."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def resident(pid):
    """Megabytes in memory: all, and those that are not mapped packs. The kernel takes the latter back when it needs them."""
    own, mapped, is_pack = 0, 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_pack = bool(re.search(r"\.(pack|idx|graph)$|multi-pack-index", line))
        elif line.startswith("Rss:"):
            size = int(line.split()[1]) * 1024 / 1e6
            own, mapped = (own, mapped + size) if is_pack else (own + size, mapped)
    return own + mapped, own


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024 / 1e6


def median(values):
    return statistics.median(values)


def drop_caches():
    """Says whether the kernel's caches were dropped: only the root of a machine of its own may, and wants to."""
    if os.environ.get("GITGRIT_BENCH_KEEP_CACHES"):
        return False
    try:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        return True
    except OSError:
        return False


class Browser:
    """One connection that is kept open."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path, **headers):
        """Status, body, milliseconds to the head, milliseconds to the end."""
        begun = time.perf_counter()
        self.connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = self.connection.getresponse()
        head = (time.perf_counter() - begun) * 1000
        body = response.read()
        return response.status, body, head, (time.perf_counter() - begun) * 1000, response

    def median(self, path, rounds):
        """The median time of a warm page; it must be there."""
        times = []
        for number in range(rounds + 2):
            status, _, _, took, _ = self.get(path)
            if status != 200:
                raise SystemExit(f"bench: {path} answered {status}")
            if number > 1:
                times.append(took)
        return median(times)


def wrk(port, path, seconds, script=None, headers=()):
    """Requests a second over 16 connections."""
    arguments = ["wrk", "-t1", "-c16", f"-d{seconds}s"]
    for header in headers:
        arguments += ["-H", header]
    if script:
        arguments += ["-s", str(script)]
    said = subprocess.run([*arguments, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if re.search(r"Non-2xx or 3xx responses|Socket errors: connect [1-9]", said):
        raise SystemExit(f"bench: {path} failed under load:\n{said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))


def timed(arguments, **options):
    """Milliseconds that a command takes; it must succeed."""
    begun = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, env={**CLEAN, **options.pop("env", {})}, **options)
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(map(str, arguments))} failed: {done.stderr.decode()[-500:]}")
    return (time.perf_counter() - begun) * 1000


def packet(text):
    return b"%04x%s" % (len(text) + 4, text)


def whole_clone(repository):
    """The request that a full clone sends (protocol version 2)."""
    said = subprocess.run(["git", "-C", repository, "for-each-ref", "--format=%(objectname)"], capture_output=True, check=True,
                          env={**CLEAN, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}).stdout
    wants = b"".join(packet(b"want %s\n" % oid) for oid in dict.fromkeys(said.split()))
    head = packet(b"command=fetch") + packet(b"agent=bench/1") + packet(b"object-format=sha1") + b"0001"
    return head + packet(b"thin-pack\n") + packet(b"no-progress\n") + packet(b"ofs-delta\n") + wants + packet(b"done\n") + b"0000"


def fetch_http(port, path, request):
    """Sends a fetch and takes the pack without looking at it; gives its bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
    connection.request("POST", f"{path}/git-upload-pack", request, headers)
    response, count = connection.getresponse(), 0
    if response.status != 200:
        raise SystemExit(f"bench: a fetch from {path} answered {response.status}")
    buffer = bytearray(1 << 20)
    while got := response.readinto(buffer):
        count += got
    return count


def fetch_daemon(port, path, request):
    """The same fetch from `git daemon`."""
    with socket.create_connection(("127.0.0.1", port), timeout=300) as stream:
        stream.sendall(packet(b"git-upload-pack %s\0host=127.0.0.1\0\0version=2\0" % path.encode()))
        seen = b""
        while not seen.endswith(b"0000"):
            seen += stream.recv(65536)
        stream.sendall(request)
        count, buffer = 0, bytearray(1 << 20)
        stream.shutdown(socket.SHUT_WR)
        while got := stream.recv_into(buffer):
            count += got
        return count
