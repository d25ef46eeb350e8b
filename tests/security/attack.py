"""What an attack is, and what every attacker knows."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import tiny_course

# An attacker's first cell: where everything is, and what to do with what is found. `secret` is the function that a
# check asks for; only who got hold of the reference's answer can return it.
KNOWN = r"""
import ctypes, gc, os, platform, re, resource, signal, socket, struct, subprocess, sys, threading, time

loot = []

def take(thing):
    text = bytes(thing).decode(errors="replace") if isinstance(thing, (bytes, bytearray, memoryview)) else str(thing)
    loot.extend(re.findall("canary-[a-z]+-[0-9a-f]{32}", text))
    print(text[:200], loot[-9:])

def secret():
    return loot[0] if loot else "I do not know"

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    assert platform.machine() == "x86_64", "the numbers are of this architecture"
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def forge(*messages, raw=b""):
    import msgpack
    for body in map(msgpack.packb, messages):
        raw += struct.pack("!I", len(body)) + body
    for descriptor in range(3, 128):
        try:
            sent = 0
            while sent < len(raw):
                sent += os.write(descriptor, raw[sent:])
        except OSError:
            pass
"""

CENTERED, SOFTMAX, AVERAGE, LARGEST = 40, 40, 20, 5
SECRET = 100

WRONG = {
    "softmax": "def softmax(z):\n    return z",
    "Average": "class Average:\n    def add(self, value):\n        return -1.0",
    "largest": "def largest(x):\n    return -1",
}


@dataclass(frozen=True)
class Attack:
    """A hostile notebook with one behaviour.

    Its honest part is a right `centered`, which is worth 40 points; all other answers are wrong unless given.

    cells:   run before the answers, after `KNOWN`.
    answers: other answers, by problem.
    earns:   the points of its honest part.
    ends:    what becomes of its own cells: "ran", "raised", "refused" (raised, as it was not permitted), "killed" or
             "timed out"; "" if any of it is fine.
    steals:  the canary that it gets where there is no sandbox: proof that the attack is a real one.
    leaves:  what it leaves behind where there is no sandbox.
    """

    name: str
    what: str
    cells: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    earns: float = CENTERED
    ends: str = ""
    steals: str = ""
    leaves: str = ""

    def sources(self, known: str) -> list[str]:
        """The code cells of its notebook."""
        answers = {**tiny_course.ANSWERS, **WRONG, **self.answers}
        return [known, *map(_cell, self.cells), tiny_course.IMPORTS, *map(_cell, answers.values())]


def _cell(text: str) -> str:
    return textwrap.dedent(text).strip()
