"""A chunk's recipients as bytes, and back."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience import Recipient
from sender.ledger.packing import pack, unpack, unpack_column

people = st.builds(
    Recipient,
    st.none() | st.integers(1, 2**63 - 1),
    st.none() | st.text("abcxyz019._", min_size=1, max_size=30),
    st.none() | st.emails().map(str.lower),
    st.integers(0, 5),
    st.integers(1, 10**9),
)


@given(st.lists(people, max_size=60))
def test_whoever_is_packed_comes_back_in_order_with_every_identifier(recipients: list[Recipient]) -> None:
    unpacked = unpack(pack(recipients))

    assert unpacked == tuple(recipients)
    assert all(isinstance(recipient, Recipient) for recipient in unpacked)


def test_nobody_packs_to_nobody() -> None:
    assert unpack(pack([])) == ()


def test_the_same_recipients_pack_to_the_same_bytes() -> None:
    recipients = [Recipient(1, "ann", None, 0, 2), Recipient(None, "bob", "bob@x.io", 1, 2)]

    assert pack(recipients) == pack(tuple(recipients))


def test_a_chunk_of_a_thousand_names_takes_a_few_bytes_each() -> None:
    recipients = [Recipient(None, f"customer_{number * 7919 % 100000:05}", None, 0, number) for number in range(1000)]

    assert len(pack(recipients)) < 6000


@given(st.lists(people, max_size=60), st.integers(0, 2))
def test_one_kind_of_identifier_comes_back_as_json(recipients: list[Recipient], place: int) -> None:
    column = [recipient[place] for recipient in recipients]

    unpacked = orjson.loads(unpack_column(pack(recipients), place))

    assert unpacked == (None if column and set(column) == {None} else column)
