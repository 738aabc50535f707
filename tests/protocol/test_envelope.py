from asgi_sessions.protocol.envelope import Envelope

KEY_ID = "ab" * 8
KEYS = {KEY_ID: bytes(range(32))}


def test_an_envelope_opens_to_its_body() -> None:
    envelope = Envelope(1, 4, KEYS, KEY_ID)
    assert envelope.unwrap(envelope.wrap(b"body")) == b"body"


def test_an_envelope_of_another_kind_does_not_open_under_the_same_key() -> None:
    text = Envelope(1, 4, KEYS, KEY_ID).wrap(b"body")
    assert Envelope(2, 4, KEYS, KEY_ID).unwrap(text) is None
    assert not Envelope(2, 4, {"00" * 8: bytes(32)}, "00" * 8).unknown_key(text)
