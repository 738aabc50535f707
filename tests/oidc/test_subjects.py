"""Subject identifiers: each format of RFC 9493 and of Shared Signals, and what is none of it."""

from typing import Any

import pytest

from asgi_sessions.oidc.signed_jwt import InvalidToken
from asgi_sessions.oidc.subjects import older_subject, subject_in

EMAIL = {"format": "email", "email": "ada@example.com"}
PERSON = {"format": "iss_sub", "iss": "https://idp.example/", "sub": "145234573"}
GOOD: list[dict[str, Any]] = [
    {"format": "account", "uri": "acct:ada@example.com"},
    EMAIL,
    {"format": "email", "email": '"ada lovelace"@example.com'},
    PERSON,
    {"format": "opaque", "id": "11112222333344445555"},
    {"format": "phone_number", "phone_number": "+12065550100"},
    {"format": "phone_number", "phone_number": "+1 206 555 0123"},
    {"format": "did", "url": "did:example:123456"},
    {"format": "did", "url": "did:example:123456/did/url/path?versionId=1"},
    {"format": "uri", "uri": "https://user.example.com/"},
    {"format": "uri", "uri": "urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f"},
    {"format": "aliases", "identifiers": [EMAIL, PERSON]},
    {"format": "jwt_id", "iss": "https://idp.example/", "jti": "B70BA622"},
    {"format": "saml_assertion_id", "issuer": "https://idp.example/", "assertion_id": "_8e8dc5f6"},
    {"format": "ip-addresses", "ip-addresses": ["10.29.37.75"]},
    {"format": "complex", "user": EMAIL, "tenant": PERSON, "org_unit": {"format": "opaque", "id": "x"}},
    {"format": "complex", "user": {"format": "aliases", "identifiers": [EMAIL]}, "of_ours": EMAIL},
    {"format": "catalog_item", "catalog_id": {"of": ["ours"]}},
    PERSON | {"more": "than the format has"},
]


@pytest.mark.parametrize("subject", GOOD, ids=str)
def test_a_subject_is_handed_on_as_it_is(subject: dict[str, Any]) -> None:
    assert subject_in(subject) == subject
    assert older_subject(subject) == subject


BAD: list[Any] = [
    None,
    "ada",
    ["ada"],
    7,
    {},
    {"email": "ada@example.com"},
    {"format": None, "email": "ada@example.com"},
    {"format": "", "email": "ada@example.com"},
    {"format": ["email"], "email": "ada@example.com"},
    {"format": "account"},
    {"format": "account", "uri": "ada@example.com"},
    {"format": "account", "uri": "acct:ada"},
    {"format": "email"},
    {"format": "email", "email": ""},
    {"format": "email", "email": None},
    {"format": "email", "email": "ada"},
    {"format": "email", "email": "ada@example.com\n"},
    {"format": "email", "email": ["ada@example.com"]},
    {"format": "email", "email": "a" * 1000 + "@example.com"},
    {"format": "iss_sub", "iss": "https://idp.example/"},
    {"format": "iss_sub", "sub": "145234573"},
    {"format": "iss_sub", "iss": "", "sub": "145234573"},
    {"format": "iss_sub", "iss": "https://idp.example/", "sub": None},
    {"format": "iss_sub", "iss": "https://idp.example/", "sub": 145234573},
    {"format": "opaque"},
    {"format": "opaque", "id": ""},
    {"format": "opaque", "id": 7},
    {"format": "phone_number", "phone_number": "2065550100"},
    {"format": "phone_number", "phone_number": "+1 206 CALL NOW"},
    {"format": "phone_number"},
    {"format": "did", "url": "https://example.com"},
    {"format": "did"},
    {"format": "uri", "uri": "no uri"},
    {"format": "uri"},
    {"format": "jwt_id", "iss": "https://idp.example/"},
    {"format": "saml_assertion_id", "issuer": "https://idp.example/"},
    {"format": "aliases"},
    {"format": "aliases", "identifiers": []},
    {"format": "aliases", "identifiers": EMAIL},
    {"format": "aliases", "identifiers": [EMAIL, {"format": "email"}]},
    {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [EMAIL]}]},
    {"format": "aliases", "identifiers": [{"format": "complex", "user": EMAIL}]},
    {"format": "aliases", "identifiers": [EMAIL] * 51},
    {"format": "complex"},
    {"format": "complex", "user": "ada"},
    {"format": "complex", "user": {"email": "ada@example.com"}},
    {"format": "complex", "user": {"format": "email"}},
    {"format": "complex", "user": {"format": "complex", "user": EMAIL}},
    {"format": "complex"} | {f"member_{number}": EMAIL for number in range(51)},
]


@pytest.mark.parametrize("subject", BAD, ids=lambda subject: str(subject)[:60])
def test_what_is_no_subject_is_refused(subject: Any) -> None:
    for read in (subject_in, older_subject):
        with pytest.raises(InvalidToken, match="It"):
            read(subject)


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ({"subject_type": "iss-sub", "iss": "i", "sub": "s"}, {"format": "iss_sub", "iss": "i", "sub": "s"}),
        ({"subject_type": "id_token_claims", "iss": "i", "sub": "s"}, {"format": "iss_sub", "iss": "i", "sub": "s"}),
        ({"subject_type": "email", "email": "ada@example.com"}, EMAIL),
        ({"subject_type": "phone", "phone": "+15550100"}, {"format": "phone_number", "phone_number": "+15550100"}),
        ({"user": EMAIL}, {"format": "complex", "user": EMAIL}),
        ({"user": {"subject_type": "email", "email": "ada@example.com"}}, {"format": "complex", "user": EMAIL}),
    ],
)
def test_subjects_of_drafts_are_put_into_todays_words(older: dict[str, Any], today: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        subject_in(older)
    assert older_subject(older) == today
