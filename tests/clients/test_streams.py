"""The official SDKs read whole streams, of the mock and through the proxy: text, several choices, usage, early close."""

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "How does a token fall? 🌊"}], "seed": 7, "max_tokens": 24}
STREAM = REQUEST | {"stream": True}
WITH_USAGE = STREAM | {"stream_options": {"include_usage": True}}


def test_a_stream_says_what_the_whole_completion_says(sdk, server):
    stream, whole = sdk.ask(server.base_url, {"request": STREAM}, {"request": REQUEST})
    assert stream.error is None and whole.error is None
    assert stream.text(), "an empty answer would prove nothing"
    assert stream.choices() == whole.choices()
    assert len({chunk["id"] for chunk in stream.chunks}) == 1


def test_each_of_three_choices_is_complete(sdk, server):
    stream, whole = sdk.ask(server.base_url, {"request": STREAM | {"n": 3}}, {"request": REQUEST | {"n": 3}})
    assert stream.error is None and whole.error is None
    assert sorted(stream.choices()) == [0, 1, 2]
    assert all(choice["text"] and choice["finish_reason"] for choice in stream.choices().values())
    assert stream.choices() == whole.choices()
    assert all(len(chunk["choices"]) == 1 for chunk in stream.chunks)


def test_usage_comes_last_and_alone_when_asked_for(sdk, server):
    stream, whole = sdk.ask(server.base_url, {"request": WITH_USAGE}, {"request": REQUEST})
    *others, last = stream.chunks
    assert last["choices"] == []
    assert last["usage"] == whole.completion["usage"]
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"] > 0
    assert all(chunk["choices"] and chunk.get("usage") is None for chunk in others)


def test_usage_does_not_come_unasked(sdk, server):
    (stream,) = sdk.ask(server.base_url, {"request": STREAM})
    assert stream.error is None
    assert all(chunk["choices"] and chunk.get("usage") is None for chunk in stream.chunks)


def test_the_sdks_own_fold_of_a_stream_is_the_whole_completion(sdk, server):
    # The helper sets `stream` itself, and the Python one takes an answer that hit its limit for an error.
    request = {name: value for name, value in REQUEST.items() if name != "max_tokens"} | {"n": 2}
    folded, whole = sdk.ask(server.base_url, {"request": request, "fold": True}, {"request": request})
    assert folded.error is None and whole.error is None
    assert folded.choices() == whole.choices()


def test_a_stream_closed_early_does_not_disturb_the_next(sdk, beating_server):
    calls = {"request": STREAM, "take": 2}, {"request": STREAM}, {"request": REQUEST}
    closed, stream, whole = sdk.ask(beating_server.base_url, *calls)
    assert closed.error is None and len(closed.chunks) == 2
    assert stream.error is None
    assert stream.choices() == whole.choices()
