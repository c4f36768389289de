import pytest

from gateway.points.following import Change, Deletions, change, emptied, flag_text, in_turn, may_follow


@pytest.mark.parametrize(
    ("seen", "now", "changed"),
    [
        ("", (), Change()),
        ("\\seen urgente", ("Urgente", "\\Seen"), Change()),
        ("", ("\\Seen", "\\Recent", "Lavoro"), Change(("Lavoro", "\\Seen"), ())),
        ("\\flagged lavoro", (), Change((), ("\\flagged", "lavoro"))),
        ("", ("\\Deleted",), Change()),
        ("\\deleted", (), Change((), ("\\deleted",))),
    ],
)
def test_what_changed_there_is_known_flag_by_flag(seen: str, now: tuple[str, ...], changed: Change) -> None:
    assert change(seen, now) == changed
    assert change(flag_text(now), now) == Change()


@pytest.mark.parametrize(
    ("folder", "deletions", "followed"),
    [
        ("Archive", Deletions.KEEP, True),
        ("Trash", Deletions.KEEP, False),
        ("Trash", Deletions.TRASH, True),
    ],
)
def test_to_the_trash_is_followed_where_deletions_are(folder: str, deletions: Deletions, followed: bool) -> None:
    assert may_follow(folder, deletions) is followed


@pytest.mark.parametrize(
    ("gone", "known", "is_empty"), [(20, 20, False), (21, 21, True), (21, 42, False), (0, 0, False)]
)
def test_a_folder_of_which_most_is_gone_was_emptied(gone: int, known: int, is_empty: bool) -> None:
    assert emptied(gone, known) is is_empty


def test_all_of_a_large_folder_have_their_turn_and_the_newest_each_time() -> None:
    uids = range(1, 26_001)
    after, asked = 0, set[int]()
    for turn in range(3):
        some, after = in_turn(uids, after)
        assert len(some) <= 11_000
        assert some == sorted(set(some))
        assert set(uids[-1_000:]) <= set(some)
        asked.update(some)
        assert (after == 0) is (turn == 2)
    assert asked == set(uids)


def test_a_small_folder_is_asked_for_whole() -> None:
    assert in_turn([3, 5, 8], 0) == ([3, 5, 8], 0)
    assert in_turn([], 0) == ([], 0)
