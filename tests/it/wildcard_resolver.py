"""A resolver on 127.0.0.1:53 of a namespace that knows every name: each of type A is at 192.0.2.77, which nobody asks. With
KNOWS in its environment it knows that name alone, and says of every other that nobody gave it away. Says its process id in
$HOME/ready once it listens."""

import os
import socket

KNOWS = os.environ.get("KNOWS")

door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("127.0.0.1", 53))
with open(os.path.join(os.environ["HOME"], "ready"), "w") as ready:
    ready.write(str(os.getpid()))
while True:
    question, asker = door.recvfrom(512)
    end = question.index(0, 12) + 5
    kind = question[end - 4 : end - 2]
    wanted = b"".join(bytes([len(label)]) + label.encode() for label in KNOWS.split(".")) if KNOWS else None
    is_known = wanted is None or question[12 : end - 5] == wanted
    answer = b"\xc0\x0c" + kind + b"\x00\x01\x00\x00\x00\x01\x00\x04" + bytes([192, 0, 2, 77])
    is_address = is_known and kind == b"\x00\x01"
    flags = b"\x81\x80" if is_known else b"\x81\x83"
    head = question[:2] + flags + b"\x00\x01" + (b"\x00\x01" if is_address else b"\x00\x00") + b"\x00" * 4
    door.sendto(head + question[12:end] + (answer if is_address else b""), asker)
