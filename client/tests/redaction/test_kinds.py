"""What each kind takes, and what it leaves: written for the patterns, unlike the measurement's texts."""

import pyarrow as pa
import pytest

from training_portal.redaction import Redactor

_ITEMS = {
    "email": [
        "write to jane.doe+news@mail.example.co.uk.",
        "jörg@bücher.example antwortet",
        "JANE@EXAMPLE.ORG",
        "jane (at) example (dot) org",
        "jane.doe [at] example.org",
        "jane at example dot org",
    ],
    "phone": [
        "+1 (415) 555-0132 ext. 12",
        "(0170) 1234567",
        "0049 30 901820",
        "+49(0)7652 93282",
        "01 42 68 53 00",
        "020 7946 0958",
        "415-555-0132",
        "call me: 4155550132",
        "Tel. 06581827",
        "+33 (0)1 42 68 53 00",
        "+41 44 668 18 00",
    ],
    "iban": [
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "IBAN FR14 2004 1010 0505 0001 3M02 606 merci",
        "ch93-0076-2011-6238-5295-7",
    ],
    "card": [
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "3530111333300000",
        "6304 0000 0000 0000",
        "30569309025904",
    ],
    "ip": ["203.0.113.7", "2001:db8:85a3::8a2e:370:7334", "fe80::1ff:fe23:4567:890a", "::ffff:203.0.113.7"],
    "mac": ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7", "001b.4411.3ab7"],
    "url": [
        "https://www.instagram.com/ada.lovelace/",
        "linkedin.com/in/ada-lovelace-1815",
        "https://social.example/@ada",
        "https://forum.example.org/users/ada1815?tab=posts",
        "https://example.org/list?user=ada",
    ],
    "handle": ["@ada_1815", "@ada@social.example", "u/ada_l", "ada#1815", "my insta: ada.l", "IG = adalovelace"],
    "national_id": [
        "536-90-4399",
        "SSN 536904399",
        "AB 12 34 56 C",
        "1 85 05 78 006 084 91",
        "2 69 05 2A 588 157 17",
        "756.9217.0769.85",
        "65 929 970 489",
        "Steuer-ID 65929970489",
        "SVNR 1237 010180",
        "15 070649 C 103",
        "Passport no. C01X00T47",
    ],
    "birth_date": [
        "born on 3 March 1975",
        "DOB 03/04/75",
        "geb. am 1.12.1960",
        "née le 1er août 1988",
        "Her birthday is March 3rd, 1975",
        "12.05.1991 geboren",
        "date de naissance : 1975-03-03",
    ],
    "secret": [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "password: hunter2!",
        "Mein Passwort lautet Sommer2024!",
        "mot de passe : Soleil#75",
        "postgres://ada:s3cret@db.example/app",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ],
}  # fmt: skip

_NO_ITEMS = [
    "logo@2x.png",
    "see you @ 5pm",
    "@media (max-width: 600px) and @Override",
    "Chapter 3.2.1.4, version 10.0.0.1",
    "127.0.0.1 is this machine",
    "std::vector and a::b",
    "the shop's article 4006381333931",
    "a Visa card of 13 digits: 4222222222222",
    "order 4155550132",
    "from 01.02.2024 to 2024-03-01",
    "IBAN DE89370400440532013001",
    "4111 1111 1111 1112",
    "000-12-3456",
    "on 3 March 1975 the bridge was opened",
    "password is required",
    "https://www.example.org/news/2024/03/article",
    "https://twitter.com/search?q=cats",
    "12:30:45 and 10-20-30",
    "We met 1,200,000 people in 2024 - 2025",
    "ISBN 978-3-16-148410-0",
    "Jane Doe lives at 12 Main Street, Springfield",
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in _ITEMS.items() for text in texts]
)
def test_an_item_is_replaced_by_the_name_of_its_kind(kind, text):
    column, hits = Redactor().redact(pa.array([f"so: {text} and more"]))

    assert hits.by_kind == {kind: 1}, column
    assert f"[{kind}]" in column[0].as_py()


@pytest.mark.parametrize("text", _NO_ITEMS)
def test_what_only_looks_like_an_item_stays(text):
    column, hits = Redactor().redact(pa.array([text]))

    assert column.to_pylist() == [text]
    assert hits.by_kind == {}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("so: ada@example.org.", "so: [email]."),
        ("IBAN FR14 2004 1010 0505 0001 3M02 606 merci", "IBAN [iban] merci"),
        ("((415) 555-0132)", "([phone])"),
        ("password: hunter2!", "password: [secret]!"),
        ("postgres://ada:s3cret@db.example/app", "postgres://ada:[secret]/app"),
        ("(see https://x.com/ada_l).", "(see [url])."),
        ("born on 3 March 1975, in London", "born on [birth_date], in London"),
    ],
)
def test_what_stands_around_an_item_stays(text, left):
    column, _ = Redactor().redact(pa.array([text]))

    assert column.to_pylist() == [left]
