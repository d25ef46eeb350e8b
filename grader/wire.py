"""The messages between the grader and a sandbox: length-prefixed msgpack, bounded, and never pickle."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgpack

_LENGTH = struct.Struct("!I")
LARGEST = 256 * 2**20
# What is shorter may be anything: it does not take much memory. Longer ones hold few, large items.
_SHORT = 2**20
_ITEMS = 250_000


class WireError(RuntimeError):
    """What arrived is no message: too long, cut short or not msgpack."""


def pack(message: Any) -> bytes:
    """A message as the bytes that travel."""
    body = msgpack.packb(message)
    return _LENGTH.pack(len(body)) + body


class Outbox:
    """Messages on their way out. They wait in the channel, and outlive this process there, until the bell is rung.

    To wake the reader takes longer than to send a message. What can wait travels with the next message.
    """

    def __init__(self, channel: socket.socket, bell: socket.socket) -> None:
        self._channel = channel
        self._bell = bell
        self._waiting = b""

    def later(self, message: Any) -> None:
        self._waiting += pack(message)

    def now(self, message: Any) -> None:
        data, self._waiting = memoryview(self._waiting + pack(message)), b""
        while data:
            try:
                data = data[self._channel.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:  # the channel is full
                self.ring()
                select.select([], [self._channel], [])

    def ring(self) -> None:
        """Wake the reader."""
        self._bell.send(b"!")


def must_not_swell(data: bytes, items: int = _ITEMS) -> None:
    """Raise WireError if msgpack data is long and of many parts: a byte may stand for an object of a hundred."""
    if len(data) <= _SHORT:
        return
    reader = msgpack.Unpacker(max_buffer_size=len(data), max_bin_len=len(data), max_ext_len=len(data))
    reader.feed(data)
    waiting = 1
    while waiting:
        waiting -= 1
        kind = data[reader.tell()]
        if kind & 0xF0 == 0x90 or kind in (0xDC, 0xDD):
            parts = reader.read_array_header()
        elif kind & 0xF0 == 0x80 or kind in (0xDE, 0xDF):
            parts = 2 * reader.read_map_header()
        else:
            reader.skip()
            continue
        waiting += parts
        items -= parts
        if items < 0:
            raise WireError("it has too many parts")


def receive(channel: socket.socket) -> Any:
    """The next message, or None at the end. Blocks; for channels whose other end is trusted."""
    header = _exactly(channel, _LENGTH.size)
    if header is None:
        return None
    body = _exactly(channel, _LENGTH.unpack(header)[0])
    return None if body is None else msgpack.unpackb(body, strict_map_key=False)


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = channel.recv(min(size - len(parts), 2**20))
        if not part:
            return None
        parts += part
    return bytes(parts)


class Inbox:
    """Messages from an untrusted process, as their bytes come in. At most `total` bytes are ever taken."""

    def __init__(self, total: int = LARGEST) -> None:
        self._buffer = bytearray()
        self._room = total

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """Take some bytes; yield the messages that they complete, each a list that starts with its name.

        Raises WireError at the first thing that is no message, after all that came before it.
        """
        self._room -= len(data)
        if self._room < 0:
            raise WireError("the submission sent back too much")
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            size = _LENGTH.unpack_from(self._buffer)[0]
            if size > LARGEST:
                raise WireError("the submission sent back a message that is too long")
            if len(self._buffer) < _LENGTH.size + size:
                return
            body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
            del self._buffer[: _LENGTH.size + size]
            yield _message(body)


def _message(body: bytes) -> list[Any]:
    try:
        must_not_swell(body)
        message = msgpack.unpackb(body, strict_map_key=False)
    except Exception as error:
        raise WireError(f"the submission sent back something else than a message: {error}") from None
    if not (isinstance(message, list) and message and isinstance(message[0], str)):
        raise WireError("the submission sent back something else than a message")
    return message
