#!/usr/bin/env python3
"""Bundles beside the commands that they take the place of, in one run: R1 to R11, R19 and R20.

The images are those of the stack, built from the commit that is checked out (bundle/images.toml; packages come from the
cache in target/images, or from Debian). Engines are of this run alone, on sockets of their own, with empty data. A ratio
is ours divided by the peer's. Processor seconds count the engine's work for both sides."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import measure

NAMES = ["app", "sandbox", "db", "redis", "trusted-builder", "dind"]


class Bench:
    def __init__(self, options, program, root, work):
        self.options, self.program, self.root, self.work = options, program, root, work
        self.missed, self.number = 0, 0
        self.engine = None

    # ---- the table ----------------------------------------------------------------------------------------------------

    def row(self, name, what, ours, peer, target, unit, note=""):
        """`target` bounds ours, or ours divided by the peer's when there is one and it ends with `×`."""
        ratio = ours / peer if peer else None
        judged = ratio if target and str(target[0]).endswith("×") else ours
        verdict = "–"
        if target:
            bound = float(str(target[0]).rstrip("×"))
            verdict = "met" if judged <= bound else "NOT MET"
            self.missed += verdict == "NOT MET"
        shown = [name, what, f"{ours:.4g}", f"{peer:.4g}" if peer else "–", f"{ratio:.3g}" if ratio is not None else "–",
                 f"≤ {target[0]}" if target else "–", unit, verdict, note]
        if self.options.markdown:
            print("| " + " | ".join(shown) + " |", flush=True)
        else:
            print("%-4s %-52s %10s %10s %8s %9s %-5s %-8s %s" % tuple(shown), flush=True)

    def wanted(self, *names):
        return not self.options.only or any(name in self.options.only for name in names)

    def folder(self, name):
        self.number += 1
        path = self.work / f"{name}-{self.number}"
        path.mkdir()
        return path

    def gitgrit(self, *arguments, **options):
        environment = {"HOME": str(self.home), "TMPDIR": str(self.temporary), **options.pop("environment", {})}
        return measure.command([self.program, *arguments], environment=environment, **options)

    # ---- what is measured with ----------------------------------------------------------------------------------------

    def prepare(self):
        self.home, self.temporary = self.folder("home"), self.folder("temporary")
        self.tree = self.work / "tree"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", self.root, self.tree], check=True)
        self.commit = subprocess.run(["git", "-C", self.tree, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        self.engine = measure.Engine(self.work / "engine")
        archive = self.work / "images.tar"
        self.gitgrit("bundle", "images", "--recipes", self.tree / "bundle/images.toml", "--tag", "bench", "--git-tag", "bench", "--commit", self.commit,
                     "--program", self.options.carried, "--cache", self.root / "target/images", "--out", archive)
        measure.command(["docker", "load", "--quiet", "--input", archive], engine=self.engine)
        archive.unlink()
        self.gitgrit("bundle", "keygen", self.work / "key", "--no-password")
        self.trusted = ["--public-key", self.work / "key.pub"]
        self.references = [f"gitgrit-{name}:bench" for name in NAMES]
        print(f"bench: {len(NAMES)} images of {self.commit[:12]}, {self.image_bytes() / 1e6:.0f} MB as docker save gives them", flush=True)

    def image_bytes(self):
        line = "docker save " + " ".join(self.references) + " | wc -c"
        return int(measure.shell(line, engine=self.engine).said)

    def build(self, profile, cache, out, *more, tag="bench", program=None, **options):
        """The program that travels may be of another commit than the tree, and so the tree counts as changed."""
        images = [word for name in NAMES for word in ("--image", f"{name}=gitgrit-{name}:{tag}")]
        return self.gitgrit("bundle", "build", "--source", self.tree, "--tag", tag, *images, "--out", out, "--cache", cache, "--profile", profile,
                            "--program", program or self.options.carried, "--key", self.work / "key.key", "--allow-dirty", *more,
                            engine=self.engine, **options)

    def built(self, profile, cache, out, tag, program):
        self.build(profile, cache, out, tag=tag, program=program)
        return out

    def the_bundle(self, out):
        return next(out.glob("*.ggb"))

    # ---- build: R1, R2, R3, R9, R19 -----------------------------------------------------------------------------------

    def builds(self):
        stage = self.folder("peer")
        line = (f"cd {stage}; rm -rf stage *.tar *.tgz; mkdir stage; docker save -o images.tar {' '.join(self.references)}; cp images.tar stage/;"
                f" cp -r {self.options.carried} {self.tree}/docs {self.tree}/compose {self.tree}/templates stage/; tar czf install.tgz -C stage .; sha256sum install.tgz > install.tgz.sha256")
        peers, fast, small = [], [], []
        for _ in range(self.options.rounds):
            measure.settle()
            peers.append(measure.shell(line, engine=self.engine))
            for profile, costs in (("fast", fast), ("release", small)):
                out, cache = self.folder(profile), self.folder("cache")
                measure.settle()
                costs.append(self.build(profile, cache, out))
                shutil.rmtree(cache)
        peer, fast, small = measure.median(peers), measure.median(fast), measure.median(small)
        self.tgz = stage / "install.tgz"
        self.fast, self.small = (self.the_bundle(max(self.work.glob(f"{name}-*"), key=os.path.getmtime)) for name in ("fast", "release"))
        (stage / "images.tar").rename(self.work / "saved.tar")
        shutil.rmtree(stage / "stage")
        packed = self.tgz.stat().st_size
        self.row("R1", "build, fast, nothing kept: wall", fast.wall, peer.wall, ("0.143×",), "s")
        self.row("R1", "… processor time", fast.cpu, peer.cpu, None, "s")
        self.row("R1", "… size", self.fast.stat().st_size / 1e6, packed / 1e6, ("0.96×",), "MB")
        self.row("R2", "build, release, nothing kept: wall", small.wall, peer.wall, ("0.5×",), "s")
        self.row("R2", "… processor time", small.cpu, peer.cpu, None, "s")
        self.row("R2", "… size", self.small.stat().st_size / 1e6, packed / 1e6, ("0.80×",), "MB")
        for threads, bound in ((1, 64), (2, 128)):
            costs = [self.build(profile, self.folder("cache"), self.folder("out"), "--threads", str(threads)) for profile in ("fast", "release")]
            for profile, cost in zip(("fast", "release"), costs):
                self.row("R9", f"peak memory of build, {profile}, threads: {threads}", cost.memory / 1.048576, None, (bound,), "MiB")
        if self.wanted("R3"):
            self.to_oci(fast)

    def to_oci(self, ours):
        """An archive of Docker's as an OCI layout, blobs packed with zstd."""
        target = self.folder("skopeo")
        copies = "; ".join(f"skopeo copy --quiet --dest-compress-format zstd docker-archive:{self.work}/saved.tar:{reference} oci:{target}:{name}"
                           for name, reference in zip(NAMES, self.references))
        peer = measure.shell(copies)
        self.row("R3", "docker archive to OCI, zstd: processor time", ours.cpu, peer.cpu, ("0.45×",), "s", "ours: the whole build")
        self.row("R3", "… size", self.fast.stat().st_size / 1e6, measure.size_below(target) / 1e6, ("1×",), "MB", "ours: program and manual too")

    def reproduced(self):
        out = self.folder("again")
        self.build("fast", self.folder("cache"), out, "--threads", "1", environment={"TZ": "Pacific/Kiritimati", "LC_ALL": "C"})
        differs = subprocess.run(["cmp", "--silent", self.fast, self.the_bundle(out)], check=False).returncode
        line = f"docker save {self.references[1]} | sha256sum"
        twice = {measure.shell(line, engine=self.engine).said for _ in range(2)}
        self.row("R19", "bytes of two builds differ (0: equal)", differs, None, (0,), "", f"docker save twice: {'equal' if len(twice) == 1 else 'differ'}")

    # ---- verify: R7, R11 ----------------------------------------------------------------------------------------------

    def verified(self):
        rounds = self.options.rounds * 3
        (self.tgz.parent / "install.tgz.sha256").read_bytes()
        peer = measure.median([measure.shell(f"cd {self.tgz.parent}; sha256sum --check --quiet install.tgz.sha256") for _ in range(rounds)])
        for words, flags, bound in (("BLAKE3", [], 15), ("SHA-256 alone", ["--sha256"], 3)):
            cost = measure.median([self.gitgrit("bundle", "verify", self.fast, *self.trusted, *flags) for _ in range(rounds)])
            self.row("R7", f"verify, {words}", cost.wall * 1e3, peer.wall * 1e3, (f"{1 / bound:.3f}×",), "ms", f"{peer.wall / cost.wall:.1f} times as fast")
        broken = self.work / "broken.ggb"
        shutil.copyfile(self.fast, broken)
        with open(broken, "r+b") as file:
            file.seek(broken.stat().st_size - (64 << 10))
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        empty = measure.Engine(self.work / "refusing")
        counter = measure.Counter(empty, self.work)
        cost = self.gitgrit("bundle", "load", broken, *self.trusted, "--state", self.folder("state"), engine=counter, may_fail=True)
        if cost.code != 13:
            raise SystemExit(f"bench: a broken bundle ended with {cost.code}: {cost.said}")
        self.row("R11", "one flipped bit near the end: sent to the engine", counter.sent, None, (4096,), "bytes", f"refused after {cost.wall * 1e3:.0f} ms")
        counter.close()
        empty.stop()
        broken.unlink()

    # ---- load: R4, R5, R8, R9, R10 ------------------------------------------------------------------------------------

    def loads(self):
        peers, ours, memory, temporary, final = [], [], [], 0, 0
        for _ in range(self.options.rounds):
            there, engine = self.folder("there"), measure.Engine(self.work / "peer-engine")
            measure.settle()
            peers.append(measure.shell(f"cd {self.tgz.parent}; sha256sum --check --quiet install.tgz.sha256; tar xzf install.tgz -C {there};"
                                       f" docker load --quiet --input {there}/images.tar", engine=engine))
            again = measure.shell(f"docker load --quiet --input {there}/images.tar", engine=engine)
            engine.stop()
            shutil.rmtree(there)
            engine, state = measure.Engine(self.work / "our-engine"), self.folder("state")
            measure.settle()
            with measure.Watcher(self.home, self.temporary, state) as watcher:
                ours.append(self.gitgrit("bundle", "load", self.fast, *self.trusted, "--state", state, engine=engine))
            temporary = max(temporary, watcher.most)
            final = measure.size_below(engine.folder / "root")
            repeated = [self.gitgrit("bundle", "load", self.fast, *self.trusted, "--state", state, engine=engine) for _ in range(5)]
            engine.stop()
        peer, cost, repeat = measure.median(peers), measure.median(ours), measure.median(repeated)
        self.row("R4", "cold install, everything verified: wall", cost.wall, peer.wall, ("0.333×",), "s")
        self.row("R4", "… processor time", cost.cpu, peer.cpu, None, "s")
        self.row("R5", "load, everything there", repeat.wall, again.wall, (0.05,), "s", "verified as a whole each time")
        self.row("R8", "disk at the peak beyond bundle and layers", temporary / 1e6, (self.tgz.stat().st_size + (self.work / 'saved.tar').stat().st_size) / 1e6,
                 (1,), "MB", f"layers take {final / 1e6:.0f} MB")
        self.row("R9", "peak memory of load", cost.memory / 1.048576, None, (128,), "MiB")

    def killed(self):
        """Ended at half, then run again: all that was sent, against all that has to be."""
        engine, state = measure.Engine(self.work / "whole-engine"), self.folder("state")
        counter = measure.Counter(engine, self.work)
        whole = self.gitgrit("bundle", "load", self.fast, *self.trusted, "--state", state, engine=counter)
        sent = counter.sent
        counter.close()
        engine.stop()
        engine, state = measure.Engine(self.work / "killed-engine"), self.folder("state")
        counter = measure.Counter(engine, self.work)
        self.gitgrit("bundle", "load", self.fast, *self.trusted, "--state", state, engine=counter, end_after=whole.wall / 2)
        self.gitgrit("bundle", "load", self.fast, *self.trusted, "--state", state, engine=counter)
        layers = {layer["digest"]: layer["size"] for image in self.inspected()["images"] for layer in image["layers"]}
        largest, total = max(layers.values()), sum(layers.values())
        self.row("R10", "killed at half and run again: bytes sent, over one run", counter.sent / sent, None, (round(1.05 + largest / total, 3),), "×",
                 "docker load: 2.0 (from zero)")
        counter.close()
        engine.stop()

    def inspected(self):
        return json.loads(self.gitgrit("bundle", "inspect", self.fast, *self.trusted, "--json").said)

    # ---- delta and parts: R6, R20 --------------------------------------------------------------------------------------

    def deltas(self):
        """The next version of the program alone: its image, the file beside it, nothing else."""
        older = self.options.older
        archive, cache, out = self.work / "older.tar", self.folder("cache"), self.folder("older")
        self.gitgrit("bundle", "images", "--recipes", self.tree / "bundle/images.toml", "--tag", "older", "--git-tag", "older", "--commit", self.commit,
                     "--program", older, "--cache", self.root / "target/images", "--out", archive)
        measure.command(["docker", "load", "--quiet", "--input", archive], engine=self.engine)
        archive.unlink()
        for profile, newer in (("fast", self.fast), ("release", self.small)):
            base = self.the_bundle(self.built(profile, cache, out / profile, "older", older))
            deltas, made = self.folder("delta"), self.folder("made")
            cost = self.gitgrit("bundle", "delta", newer, "--base", base, *self.trusted, "--out", deltas / "new.ggd")
            delta = deltas / "new.ggd"
            self.row("R6", f"the next version of the program alone, {profile}", delta.stat().st_size / 1e6, newer.stat().st_size / 1e6, ("0.02×",), "MB",
                     f"made in {cost.wall:.1f} s; " + ("the same program" if older == self.options.carried else "another program"))
            applied = self.gitgrit("bundle", "apply", delta, "--base", base, *self.trusted, "--out", made / newer.name)
            if subprocess.run(["cmp", newer, self.the_bundle(made)], check=False).returncode:
                raise SystemExit("bench: what a delta made is another bundle")
            self.row("R6", f"… applied, {profile}, equal byte for byte", applied.wall, None, None, "s", f"{applied.memory / 1.048576:.0f} MiB")

    def parts(self):
        media, joined = self.folder("media"), self.folder("joined")
        size = self.fast.stat().st_size
        cost = self.gitgrit("bundle", "split", self.fast, "--size", str(size // 3), "--parity", "--out", media, *self.trusted, "--sheet", self.work / "sheet")
        self.row("R20", "split into parts with parity", cost.wall, None, None, "s", f"{len(list(media.glob('*.ggb.0*')))} parts")
        measure.settle()
        with measure.Watcher(self.home, self.temporary, joined) as watcher:
            place = measure.median([self.gitgrit("bundle", "verify", media, *self.trusted) for _ in range(self.options.rounds)])
        whole = measure.median([self.gitgrit("bundle", "verify", self.fast, *self.trusted) for _ in range(self.options.rounds)])
        self.row("R20", "verified where the parts lie", place.wall, whole.wall, None, "s", "beside the same in one file")
        self.row("R20", "… bytes written for that", watcher.most, None, (0,), "bytes", "the peers write a second copy")
        sorted(media.glob("*.ggb.0*"))[1].unlink()
        cost = self.gitgrit("bundle", "join", media, "--out", joined / self.fast.name)
        differs = subprocess.run(["cmp", "--silent", self.fast, joined / self.fast.name], check=False).returncode
        self.row("R20", "joined with one part lost: differs (0: equal)", differs, None, (0,), "", f"{cost.wall:.1f} s")

    def all(self):
        self.prepare()
        print("%-4s %-52s %10s %10s %8s %9s %-5s" % ("id", "what", "ours", "peer", "ratio", "target", "unit"), flush=True)
        self.builds()
        for names, part in ((("R19",), self.reproduced), (("R7", "R11"), self.verified), (("R4", "R5", "R8"), self.loads), (("R10",), self.killed),
                            (("R6",), self.deltas), (("R20",), self.parts)):
            if self.wanted(*names):
                part()
        print(f"{self.missed} not met", flush=True)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser = argparse.ArgumentParser(prog="scripts/bench bundle", description=__doc__.split("\n\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print rows of a Markdown table")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", type=lambda text: text.split(","), help="measure these ids alone, as in R4,R7; builds are always measured")
    parser.add_argument("--carried", type=pathlib.Path, help="the program that travels (a stripped copy of the one that is measured)")
    parser.add_argument("--older", type=pathlib.Path, help="the program of the version before, for R6 (the same one)")
    options = parser.parse_args()
    for tool in ("docker", "dockerd", "git", "skopeo", "mmdebstrap", "strip"):
        if not shutil.which(tool):
            raise SystemExit(f"bench: {tool} is missing; run scripts/dev-setup")
    program = pathlib.Path(os.environ.get("GITGRIT_BENCH_BINARY", target / "release/gitgrit-ops")).resolve()
    if not program.exists():
        subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "gitgrit-ops"], cwd=root, check=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="gitgrit-bench-"))
    os.environ["GITGRIT_BENCH_WORK"] = str(work)
    if not options.carried:
        options.carried = work / "gitgrit-ops"
        subprocess.run(["strip", "-o", options.carried, program], check=True)
    options.older = options.older or options.carried
    bench = Bench(options, program, root, work)
    try:
        bench.all()
    finally:
        if bench.engine:
            bench.engine.stop()
        shutil.rmtree(work, ignore_errors=True)


main()
