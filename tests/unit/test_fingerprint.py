"""What stands for a plan that was shown: the same however it is cut, another for anything that people would notice."""

from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience import Recipient
from campaigns.fingerprint import PlanFingerprint
from campaigns.model import IdentifierKind

SAID = {"run": "spring", "campaign": "spring", "account": "default", "message": "m", "audience": "a"}
recipients = st.lists(
    st.builds(
        Recipient,
        st.integers(1, 99),
        st.none() | st.text("abc", min_size=1, max_size=3),
        st.none(),
        st.just(0),
        st.just(2),
    ),
    max_size=8,
)


def fingerprint(*parts: list[Recipient], kind: IdentifierKind = IdentifierKind.ID, other: str = "") -> str:
    made = PlanFingerprint()
    for part in parts:
        made.add(kind, part)
    return made.hexdigest(**(SAID | ({other: "other"} if other else {})))


@given(recipients, recipients)
def test_it_does_not_matter_how_the_recipients_are_cut(first: list[Recipient], second: list[Recipient]) -> None:
    assert fingerprint([*first, *second]) == fingerprint(second, first)


@given(recipients, recipients)
def test_other_people_make_another_one(first: list[Recipient], second: list[Recipient]) -> None:
    are_same = sorted(map(Recipient.keys, first)) == sorted(map(Recipient.keys, second))
    assert (fingerprint(first) == fingerprint(second)) is are_same


def test_so_do_another_message_order_account_campaign_run_and_kind() -> None:
    person = [Recipient(1, "ann", None, 0, 2)]
    every = [fingerprint(person, other=name) for name in SAID]
    by_name = fingerprint(person, kind=IdentifierKind.USERNAME)
    assert len({fingerprint(person), by_name, *every}) == len(SAID) + 2
