"""Makes the two repositories of the forge benchmark, the same bytes on every machine.

Histories that look like real ones where it matters for speed: files that change often beside files that nobody touched
since the first commit, side branches that are merged, annotated tags, lines of code from a small vocabulary (so that
deltas and compression find what they find in real code), one directory with 1,100 entries and one file whose 2,500 lines
come from hundreds of commits. Nothing here is random between runs: every draw comes from a seed.
"""

import pathlib
import random
import subprocess

WORDS = (
    "index object tree commit walk delta pack entry buffer offset length header parse write read open close flush "
    "cache lookup insert remove update replace prefix suffix path name value state context option config remote fetch "
    "push merge base branch tag note reset queue list node map table hash digest verify check error warn print format "
    "line column range match search filter sort order limit depth window thread lock signal child parent root leaf "
    "stream input output pipe socket listen accept connect timeout retry result status code message detail reason"
).split()
TYPES = "int size_t char struct void unsigned long const static".split()
PEOPLE = [f"{first} {last}" for first in
          "Ada Bela Cora Dario Edda Falk Gesa Hanno Ines Jonas Kaja Lino Mira Nils Oda Pia Quirin Rosa Sami Tilda".split()
          for last in "Abel Brandt Cramer Dietz Engel Fuchs Graf Huber Imhof Jahn Keller Lorenz Maier Nagel Otto".split()]
ENDINGS = [".c"] * 45 + [".h"] * 20 + [".rs"] * 10 + [".sh"] * 12 + [".py"] * 6 + [".txt"] * 4 + [".md"] * 3
START = 1_100_000_000

SMALL = {"name": "small", "seed": 7, "commits": 2_000, "files": 200, "wide": 0, "tags": 40, "step": 9_000, "lines": 180}
BIG = {"name": "big", "seed": 11, "commits": 80_000, "files": 4_000, "wide": 1_100, "tags": 900, "step": 5_500, "lines": 260}
BLAMED = ("src/engine.c", 2_500)
LONG = ("src/tables.c", 2_400)


def line_of(rng):
    """One line of something like code."""
    word = rng.choice
    kind = rng.random()
    indent = "\t" * rng.randint(0, 3)
    a, b, c = word(WORDS), word(WORDS), word(WORDS)
    if kind < 0.25:
        return f"{indent}{a}_{b}({c}, {word(WORDS)}->{word(WORDS)});"
    if kind < 0.45:
        return f"{indent}if ({a}->{b} {word(['==', '!=', '<', '>='])} {rng.randint(0, 4096)})"
    if kind < 0.60:
        return f"{indent}{word(TYPES)} {a}_{b} = {c}_{word(WORDS)}({rng.randint(0, 99)});"
    if kind < 0.70:
        return f"{indent}return {a}_{b} + {c};"
    if kind < 0.80:
        return f"{indent}/* {a} the {b} before its {c} is {word(WORDS)} */"
    if kind < 0.90:
        return word(["", "", indent + "}", indent + "{", indent + "else"])
    return f'{indent}die("{a} of {b} has no {c}");'


class Lines:
    """A pool of lines: drawing from it is much quicker than making each anew."""

    def __init__(self, rng):
        self.pool = [line_of(rng) for _ in range(30_000)]

    def take(self, rng, count):
        return rng.choices(self.pool, k=count)


def paths(rng, shape):
    """The files, oldest first. The first ones never change again."""
    fixed = ["COPYING", "LICENSE", "INSTALL", "README.md", "Makefile", "src/engine.c", "src/tables.c"]
    wide = [f"t/t{number:04d}-{rng.choice(WORDS)}-{rng.choice(WORDS)}.sh" for number in range(shape["wide"])]
    directories = ["src", "lib", "docs", "tools", "tests"]
    directories += [f"{rng.choice(directories)}/{word}" for word in rng.sample(WORDS, min(40, shape["files"] // 12))]
    found = dict.fromkeys(fixed + [f"{rng.choice(WORDS)}-{rng.choice(WORDS)}.c" for _ in range(shape["files"] // 20)])
    while len(found) < shape["files"] - len(wide):
        directory = rng.choice(directories)
        found[f"{directory}/{rng.choice(WORDS)}_{rng.choice(WORDS)}{rng.choice(ENDINGS)}"] = None
    rest = list(found)[len(fixed):] + wide
    rng.shuffle(rest)
    return fixed + rest


def plan(rng, shape, files):
    """For each commit: its line (0 main, 1 side), whether it merges, and the files that it writes."""
    commits = []
    born, grown = 7 + len(files) // 10, len(files)
    quiet = {0, 1, 2}
    commits.append((0, False, list(range(born))))
    side, recent = [], []
    while len(commits) < shape["commits"]:
        left = shape["commits"] - len(commits)
        touched = set()
        if born < grown and rng.random() < (grown - born) / left * 1.2:
            touched.add(born)
            born += 1
        for _ in range(rng.choice([1, 1, 1, 2, 2, 4])):
            hot = recent and rng.random() < 0.6
            touched.add(rng.choice(recent) if hot else rng.randrange(3, born))
        if rng.random() < 0.01:
            touched.add(5)
        touched -= quiet
        recent = (recent + sorted(touched))[-60:]
        if side and (len(side) > 6 or rng.random() < 0.3):
            # What a side branch wrote goes into the merge; main has left those files alone meanwhile.
            written = sorted(set().union(*side))
            commits.append((0, True, written))
            side = []
        elif side or (rng.random() < 0.06 and left > 20):
            busy = rng.random() < 0.7
            if busy or not side:
                side.append(touched)
                commits.append((1, False, sorted(touched)))
            else:
                own = touched - set().union(*side)
                commits.append((0, False, sorted(own) or [4]))
        else:
            commits.append((0, False, sorted(touched) or [4]))
    return commits


def versions(commits, count):
    """How often each file is written by commits that are no merges."""
    times = [0] * count
    for _, merges, written in commits:
        if not merges:
            for file in written:
                times[file] += 1
    return times


def first_text(rng, lines, path, shape):
    for fixed, count in (BLAMED, LONG):
        if path == fixed:
            return lines.take(rng, count)
    if path.endswith(".md"):
        words = lambda count: " ".join(rng.choices(WORDS, k=count))
        return [f"# {words(3)}", ""] + [x for _ in range(12) for x in (f"## {words(2)}", "", words(40) + ".", "", f"* `{words(1)}`: {words(9)}", "")]
    return lines.take(rng, max(8, int(rng.lognormvariate(0, 0.9) * shape["lines"])))


def edit(rng, lines, text):
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        gone = rng.choice([0, 1, 1, 2, 4])
        text[at:at + gone] = lines.take(rng, rng.choice([0, 1, 1, 2, 3, gone]))
    return text or ["/* empty */"]


def message(rng, files):
    subject = f"{rng.choice(WORDS)}: {rng.choice(['fix', 'teach', 'drop', 'use', 'rework', 'document'])} {' '.join(rng.choices(WORDS, k=rng.randint(2, 5)))}"
    body = "".join(f"\n{' '.join(rng.choices(WORDS, k=11))}." for _ in range(rng.choice([0, 0, 2, 4, 6])))
    return (subject + ("\n" + body if body else "") + "\n").encode()


class Stream:
    """What `git fast-import` is fed."""

    def __init__(self, git):
        self.write = git.stdin.write
        self.marks = 0

    def data(self, payload):
        self.write(b"data %d\n%s\n" % (len(payload), payload))

    def mark(self):
        self.marks += 1
        self.write(b"mark :%d\n" % self.marks)
        return self.marks


def write_blobs(stream, shape, files, times, lines):
    """All versions of a file in a row: fast-import makes a delta against what came before."""
    marks = []
    for number, path in enumerate(files):
        rng = random.Random(shape["seed"] * 1_000_003 + number)
        text, own = first_text(rng, lines, path, shape), []
        for _ in range(times[number]):
            stream.write(b"blob\n")
            own.append(stream.mark())
            stream.data(("\n".join(text) + "\n").encode())
            text = edit(rng, lines, text)
        marks.append(own)
    return marks


def write_commits(stream, rng, shape, files, commits, marks):
    used, tips, shown = [0] * len(files), [0, 0], []
    when = START
    authors = rng.choices(PEOPLE, weights=[1 / (rank + 1) for rank in range(len(PEOPLE))], k=4096)
    for number, (line, merges, written) in enumerate(commits):
        when += rng.randint(1, 2 * shape["step"])
        author = authors[rng.randrange(4096)]
        who = f"{author} <{author.lower().replace(' ', '.')}@example.invalid> {when} +0000".encode()
        branch = b"refs/heads/main" if line == 0 else b"refs/heads/side"
        stream.write(b"commit %s\n" % branch)
        mark = stream.mark()
        stream.write(b"author %s\ncommitter %s\n" % (who, who))
        stream.data(b"merge: join the side branch\n" if merges else message(rng, written))
        opens = line == 1 and not tips[1]
        if number:
            stream.write(b"from :%d\n" % (tips[0] if line == 0 or opens else tips[1]))
        if merges:
            stream.write(b"merge :%d\n" % tips[1])
            tips[1] = 0
        for file in written:
            if not merges:
                used[file] += 1
            stream.write(b"M 100644 :%d %s\n" % (marks[file][used[file] - 1], files[file].encode()))
        tips[line] = mark
        if line == 0:
            shown.append((mark, who))
    every = max(1, len(shown) // (shape["tags"] + 1))
    for number, (mark, who) in enumerate(shown[every::every][:shape["tags"]]):
        stream.write(b"tag v%d.%d\nfrom :%d\ntagger %s\n" % (number // 10, number % 10, mark, who))
        stream.data(b"release %d.%d\n" % (number // 10, number % 10))
    for name, (mark, _) in zip((b"maint", b"next", b"seen", b"todo"), shown[-5::-max(1, len(shown) // 50)]):
        stream.write(b"reset refs/heads/%s\nfrom :%d\n\n" % (name, mark))


def make(shape, directory):
    """The bare repository of a shape; made once and kept."""
    place = pathlib.Path(directory) / f"{shape['name']}-{shape['commits']}.git"
    if (place / "made").exists():
        return place
    subprocess.run(["rm", "-rf", place], check=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", place], check=True)
    git = subprocess.Popen(["git", "-C", place, "fast-import", "--quiet", "--depth=50"], stdin=subprocess.PIPE)
    rng = random.Random(shape["seed"])
    lines, stream = Lines(rng), Stream(git)
    files = paths(rng, shape)
    commits = plan(rng, shape, files)
    marks = write_blobs(stream, shape, files, versions(commits, len(files)), lines)
    write_commits(stream, rng, shape, files, commits, marks)
    git.stdin.close()
    if git.wait() != 0:
        raise SystemExit("bench: git fast-import failed")
    # A side branch may still be open at the end; it is no branch of the finished repository.
    subprocess.run(["git", "-C", place, "update-ref", "-d", "refs/heads/side"], check=True)
    subprocess.run(["git", "-C", place, "pack-refs", "--all"], check=True)
    (place / "made").write_text("")
    return place
