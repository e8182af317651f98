"""The Ed25519 inside the scripts: RFC 8032's vectors, agreement with `cryptography`, and what must be refused."""

from hashlib import sha512

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from outsider import verify

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        sha512(b"abc").digest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
# Every point of order 1, 2, 4 or 8, in its own form and in others that a lax reader takes for it.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS.values(), ids=VECTORS)
def test_the_vectors_of_the_rfc_verify(public, message, signature):
    assert verify.is_signed(bytes.fromhex(public), message, bytes.fromhex(signature))
    assert not verify.is_signed(bytes.fromhex(public), message + b"x", bytes.fromhex(signature))


def test_a_signature_has_one_form():
    """S and S + L are the same to a verifier that does not look at the range."""
    signature = KEY.sign(b"text")
    s = int.from_bytes(signature[32:], "little")

    assert verify.is_signed(PUBLIC, b"text", signature)
    assert not verify.is_signed(
        PUBLIC, b"text", signature[:32] + (s + verify.L).to_bytes(32, "little")
    )


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(size):
    assert not verify.is_signed(PUBLIC, b"text", (KEY.sign(b"text") * 2)[:size])


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size):
    assert not verify.is_signed((PUBLIC * 2)[:size], b"text", KEY.sign(b"text"))


@pytest.mark.parametrize("s", [0, 1, verify.L - 1, verify.L, 2**256 - 1], ids=str)
@pytest.mark.parametrize("r", [*SMALL_ORDER[:6], "ff" * 32, PUBLIC.hex()])
def test_made_up_signatures_are_refused(r, s):
    signature = bytes.fromhex(r) + s.to_bytes(32, "little")

    assert not verify.is_signed(PUBLIC, b"text", signature)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_that_signs_anything_is_none(public):
    """With a key of small order a signature of R = 1, S = 0 fits many texts."""
    signature = bytes([1]) + bytes(63)

    assert not any(
        verify.is_signed(bytes.fromhex(public), b"%d" % number, signature) for number in range(40)
    )


@pytest.mark.parametrize("y", [verify.P, verify.P + 1, 2**255 - 1])
def test_a_point_is_written_in_one_way(y):
    assert verify.point_from(y.to_bytes(32, "little")) is None


def test_a_zero_has_no_sign():
    one_with_sign = (1 | 1 << 255).to_bytes(32, "little")

    assert verify.point_from(one_with_sign) is None


def test_half_of_all_numbers_are_no_point():
    found = [verify.point_from(y.to_bytes(32, "little")) for y in range(2, 200)]

    assert 60 < sum(point is None for point in found) < 140
    for y, point in enumerate(found, 2):
        assert point is None or verify.bytes_of(point) == y.to_bytes(32, "little")


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_it_agrees_with_cryptography_on_good_signatures(seed, message):
    key = Ed25519PrivateKey.from_private_bytes(seed)

    assert verify.is_signed(key.public_key().public_bytes_raw(), message, key.sign(message))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 96 * 8 - 1), st.binary(max_size=4))
def test_it_agrees_with_cryptography_when_a_bit_is_flipped(bit, message):
    bits = bytearray(PUBLIC + KEY.sign(message))
    bits[bit // 8] ^= 1 << bit % 8
    public, signature = bytes(bits[:32]), bytes(bits[32:])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        expected = True
    except (InvalidSignature, ValueError):
        expected = False

    assert verify.is_signed(public, message, signature) is expected is False
