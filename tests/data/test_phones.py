import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk.data.phones import NUMBERS, PHONES, SHORTEST_PAUSE, filled, from_arpabet, from_ipa, from_sampa, spread
from artalk.errors import BadInput
from tests.shared import shared

ARPABET = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH SIL"


def test_the_set_has_no_doubles_and_begins_with_silence():
    assert len(set(PHONES)) == len(PHONES)
    assert NUMBERS["sil"] == 0


@pytest.mark.parametrize(
    ("symbol", "phones"),
    [
        ("ˈaʊ", ("a", "ʊ")),
        ("eː", ("e",)),
        ("tʃ", ("tʃ",)),
        ("t͡ʃ", ("tʃ",)),
        ("ts", ("t", "s")),
        ("pf", ("p", "f")),
        ("ç", ("x",)),
        ("ʁ", ("ɹ",)),
        ("g", ("ɡ",)),
        ("ʔ", ("sil",)),
        ("", ("sil",)),
        ("ɔø", ("ɔ", "ø")),
        ("ɪ̃", ("ɪ",)),
        ("_:", ("sil",)),
    ],
)
def test_ipa(symbol, phones):
    assert from_ipa(symbol) == phones


def test_arpabet_is_whole():
    for symbol in ARPABET.split():
        assert set(from_arpabet(symbol)) <= set(PHONES)
    assert from_arpabet("AY1") == ("a", "ɪ")


def test_sampa():
    assert from_sampa("OY") == ("ɔ", "y")
    assert from_sampa("a:") == ("a",)
    assert from_sampa("?") == ("sil",)


@pytest.mark.parametrize(("read", "symbol"), [(from_ipa, "♥"), (from_arpabet, "QQ"), (from_sampa, "♥")])
def test_unknown_signs_are_errors(read, symbol):
    with pytest.raises(BadInput):
        read(symbol)


def test_every_sign_of_the_dutch_alignment_is_known():
    lines = shared("corpus/nathalie_nl/nathalie_align.jsonl").read_text(encoding="utf-8").splitlines()
    signs = {phone["phone"] for line in lines for word in json.loads(line)["words"] for phone in word["phones"]}
    assert len(signs) > 50
    for sign in signs:
        assert set(from_ipa(sign)) <= set(PHONES)


def test_a_diphthong_is_shared_out():
    spans = spread(1.0, 2.0, ("a", "ʊ"))
    assert [phone for _, _, phone in spans] == ["a", "ʊ"]
    assert spans[0][0] == 1.0
    assert spans[0][1] == spans[1][0] == pytest.approx(1.6)
    assert spans[1][1] == 2.0


SPANS = st.lists(
    st.tuples(st.floats(0, 3), st.floats(0.001, 0.4), st.sampled_from(PHONES)).map(lambda s: (s[0], s[0] + s[1], s[2])),
    max_size=12,
)


@given(SPANS)
@settings(deadline=None, max_examples=150)
def test_filled_covers_the_whole_time_without_gaps_or_overlaps(spans):
    whole = filled(spans, 3.0)
    assert whole[0][0] == 0.0
    assert whole[-1][1] == pytest.approx(3.0, abs=2e-3)
    for (start, end, _), (following, _, _) in zip(whole, [*whole[1:], (whole[-1][1], 0, "")], strict=True):
        assert start < end
        assert end == pytest.approx(following, abs=1e-9)
    for start, end, phone in whole[1:-1]:
        assert phone != "sil" or end - start >= SHORTEST_PAUSE - 1e-9
