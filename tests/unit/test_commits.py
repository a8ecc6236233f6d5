"""What a count of commits tells after a connection was lost."""

import pytest

from watcher.errors import StoreError
from watcher.store.commits import Commits


def lost_answer(*, told: bool) -> Commits:
    """The count after a commit whose answer did not come; `told`: its caller was told so."""
    commits = Commits("postgresql://h/d", 7)
    commits.check_next(8)
    commits.trying()
    if told:
        commits.given_up()
    return commits


@pytest.mark.parametrize(("counted", "happened"), [(7, False), (8, True)])
def test_whether_a_commit_has_happened_is_known_afterwards(counted: int, happened: bool) -> None:
    commits = lost_answer(told=False)
    assert commits.found(counted) is happened
    commits.check_next(counted + 1)
    assert commits.problem is None


def test_a_commit_that_was_told_to_have_failed_must_not_be_there() -> None:
    """Memory goes by what was told: only a new start goes by the database."""
    commits = lost_answer(told=True)
    with pytest.raises(StoreError, match="what the daemon was told had failed"):
        commits.found(8)
    assert "restart the daemon" in (commits.problem or "")
    assert lost_answer(told=True).found(7) is False


@pytest.mark.parametrize(
    ("counted", "words"), [(6, "has lost 1 of"), (0, "has lost 7 of"), (9, "another program")]
)
def test_another_count_is_another_database(counted: int, words: str) -> None:
    for commits in (Commits("postgresql://h/d", 7), lost_answer(told=False)):
        with pytest.raises(StoreError, match=words):
            commits.found(counted)
        assert words in (commits.problem or "")
    commits = Commits("postgresql://h/d", 7)
    with pytest.raises(StoreError, match=words):
        commits.check_next(counted + 1)


def test_a_commit_that_failed_leaves_the_count() -> None:
    commits = Commits("postgresql://h/d", 7)
    commits.trying()
    commits.ended(happened=False)
    commits.check_next(8)
    commits.trying()
    commits.ended(happened=True)
    commits.check_next(9)
