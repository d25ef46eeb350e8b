"""The messages between the grader and a sandbox: complete ones arrive whole, anything else is a WireError."""

import select
import socket
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.wire import Inbox, Outbox, WireError, pack, receive

data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4),
)
messages = st.builds(lambda name, rest: [name, *rest], st.text(), st.lists(data, max_size=3))


@given(st.lists(messages, max_size=5), st.data())
@settings(deadline=None)
def test_messages_arrive_whole_however_their_bytes_are_cut(sent, cut):
    stream = b"".join(map(pack, sent))
    cuts = sorted(cut.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    inbox = Inbox()
    arrived = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        arrived += inbox.feed(stream[start:end])
    assert arrived == sent


@given(data)
@settings(deadline=None)
def test_a_message_passes_through_a_socket(value):
    (left, right), (bell, rung) = socket.socketpair(), socket.socketpair()
    with left, right, bell, rung:
        Outbox(left, bell).now(value)
        assert receive(right) == value


def test_the_bell_rings_when_the_channel_is_full_or_when_asked():
    (left, right), (bell, rung) = socket.socketpair(), socket.socketpair()
    with left, right, bell, rung:
        rung.setblocking(False)
        outbox = Outbox(left, bell)
        outbox.now(["little"])
        assert receive(right) == ["little"]
        with pytest.raises(BlockingIOError):
            rung.recv(1)
        much = ["much", bytes(2**22)]
        thread = threading.Thread(target=outbox.now, args=[much])
        thread.start()
        assert select.select([rung], [], [], 60)[0]  # before anything is read
        assert receive(right) == much
        thread.join()
        rung.recv(2**16)
        outbox.ring()
        assert rung.recv(2**16) == b"!"


def test_the_end_of_a_channel_is_none():
    left, right = socket.socketpair()
    with right:
        with left:
            left.sendall(pack(["whole"])[:-1])
        assert receive(right) is None


@given(st.binary(max_size=64))
@settings(deadline=None)
def test_hostile_bytes_are_messages_or_a_wire_error(sent):
    try:
        arrived = list(Inbox().feed(sent))
    except WireError:
        return
    assert all(isinstance(message, list) and isinstance(message[0], str) for message in arrived)


def framed(body):
    return struct.pack("!I", len(body)) + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x90",
        b"\x91\x01",
        b"\x91\xa1\xff",
        b"\xa1x",
        b"\x81\x01\x02",
        b"\x01\x02",
        b"\x91" * 9999,
    ],
    ids=["nothing", "reserved", "number", "empty list", "unnamed", "not UTF-8", "text", "map", "two", "deep"],
)
def test_a_body_that_is_no_message_is_a_wire_error(body):
    with pytest.raises(WireError, match="something else than a message"):
        list(Inbox().feed(framed(body)))


def test_a_message_that_announces_too_much_is_refused_before_it_comes():
    with pytest.raises(WireError, match="too long"):
        list(Inbox().feed(b"\xff\xff\xff\xff"))


def test_only_so_much_is_ever_taken():
    inbox = Inbox(total=100)
    list(inbox.feed(pack(["a" * 50])))
    with pytest.raises(WireError, match="too much"):
        list(inbox.feed(pack(["b" * 50])))


def test_what_came_before_garbage_is_still_read():
    messages = Inbox().feed(pack(["cell", 1]) + b"\xff\xff\xff\xff")
    assert next(messages) == ["cell", 1]
    with pytest.raises(WireError):
        next(messages)
