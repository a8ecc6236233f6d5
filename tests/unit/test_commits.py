"""What a count of commits tells after a connection was lost."""

import pytest

from watcher.errors import StoreError
from watcher.store.commits import Commits, NodeCommits


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


def of_a_node() -> NodeCommits:
    """The counts of a node that has joined: 100 commits of all, 7 of its own."""
    commits = NodeCommits("postgresql://h/d", 100)
    commits.joined("a", 7)
    return commits


def test_a_node_counts_its_own_and_the_total_only_rises() -> None:
    commits = of_a_node()
    assert "'commits', 'commits:a'" in commits.raising
    commits.begun({"commits": 120, "commits:a": 8})
    commits.trying()
    commits.ended(happened=True)
    assert (commits.total, commits.count) == (120, 8)
    commits.saw(121, 120)
    commits.saw(119, 115)  # read before the last commit of this node
    assert commits.total == 121
    commits.reconnected({"commits": 121, "commits:a": 8})
    assert commits.problem is None
    with pytest.raises(StoreError, match="has lost 1 of"):
        commits.begun({"commits": 121, "commits:a": 9})
    assert "restart the daemon" in (commits.problem or "")


@pytest.mark.parametrize(
    ("total", "own", "words"),
    [(99, 7, "has lost 1 of"), (130, 6, "has lost 1 of"), (130, 9, "another program")],
)
def test_a_node_notices_what_is_lost(total: int, own: int, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        of_a_node().reconnected({"commits": total, "commits:a": own})
    with pytest.raises(StoreError, match=words):
        of_a_node().begun({"commits": total + 1, "commits:a": own + 1})


@pytest.mark.parametrize("happened", [False, True])
def test_a_node_finds_out_what_became_of_a_commit(happened: bool) -> None:
    commits = of_a_node()
    commits.begun({"commits": 101, "commits:a": 8})
    commits.trying()
    commits.reconnected({"commits": 110 + happened, "commits:a": 7 + happened})
    assert (commits.total, commits.count) == (110 + happened, 7 + happened)
    commits.begun({"commits": 112, "commits:a": 8 + happened})
