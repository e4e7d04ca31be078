"""The bytes of an event stream, as the tests look at them."""

LINE_HEARTBEAT = b":\n"
BLOCK_HEARTBEAT = b":\n\n"


def payloads(body: bytes) -> list[bytes]:
    """The `data` of each event, in order. Whatever is not `data: …` and a blank line is an error."""
    blocks = body.split(b"\n\n")
    assert blocks.pop() == b"", "the last event has to be whole"
    for block in blocks:
        assert block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block, block
    return [block.removeprefix(b"data: ") for block in blocks]


def without_heartbeats(body: bytes, form: bytes) -> bytes:
    """The stream as it is without its heartbeats, of which there are none of another form."""
    plain = body.replace(form, b"")
    assert not plain.startswith(b":") and b"\n:" not in plain, body
    return plain
