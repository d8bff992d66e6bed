"""The polyglot guest in Python: one class for each exported interface."""

import os
import socket
import sys
import time

from componentize_py_types import Err, Ok
from wit_world.exports.compute import Problem_NoneOf, Problem_TooMuch, Summary
from wit_world.exports.surroundings import Found
from wit_world.imports import files_read

MOST = 2**53 - 1


def tried(work):
    """What `work` gives, or why it gives nothing, as a result of WIT."""
    try:
        return Ok(work())
    except OSError as error:
        return Err(str(error))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def connect():
    # Not by a name, for whose encoding the interpreter would look for a module among its files.
    with socket.socket() as client:
        client.connect(("127.0.0.1", 9))
    return "connected"


def count_to(rounds):
    done = 0
    while done < rounds:
        done += 1
    return done


class Compute:
    def summarise(self, items):
        for item in items:
            if item.count == 0:
                raise Err(Problem_NoneOf(item.name))
        total = sum(item.price * item.count for item in items)
        if total > MOST:
            raise Err(Problem_TooMuch())
        tags = {}
        for tag in (tag for item in items for tag in item.tags):
            tags[tag] = tags.get(tag, 0) + 1
        dearest = max(items, key=lambda item: item.price).name if items else None
        names = [item.name[::-1] for item in items]
        return Summary(total=total, names=names, tags=sorted(tags.items()), dearest=dearest)

    def spin(self, rounds):
        return count_to(rounds)

    def spin_for_long(self, rounds):
        return count_to(rounds)


class Surroundings:
    def look(self):
        return Found(
            environment=sorted(os.environ),
            arguments=sys.argv[1:],
            files=tried(lambda: sorted(os.listdir("/"))),
            file=tried(lambda: read("/etc/passwd")),
            socket=tried(connect),
            now=time.time_ns() // 1_000_000,
            random=os.urandom(16).hex(),
        )

    def print(self, text):
        print(text)
        print(text[::-1], file=sys.stderr)

    def flood(self, bytes):
        # What is unbuffered is cut off where the stream takes no more at once.
        for at in range(0, bytes, 1_000):
            sys.stdout.write("x" * min(1_000, bytes - at))

    def wait(self, milliseconds):
        start = time.monotonic_ns()
        time.sleep(milliseconds / 1_000)
        return (time.monotonic_ns() - start) // 1_000_000


class Files:
    def read(self, path):
        try:
            return files_read.read("workspace", path).decode("utf-8")
        except Err as refused:
            raise Err(f"{type(refused.value).__name__}: {getattr(refused.value, 'value', '')}") from None
