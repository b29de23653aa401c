"""Who leads on one machine: whoever has locked the file of that name, and touches it again and again."""

import pytest
from waiting import until

from wa_admin.backups.places import Places, alone
from wa_admin.leadership import FileLock

LOST_AFTER_SECONDS = 1.0


@pytest.fixture
def scheduler(tmp_path):
    """What each of several schedulers has of the lock; where a test does not ask, it is as good as frozen."""
    made = []

    def make():
        made.append(FileLock(tmp_path / "scheduler.lock", LOST_AFTER_SECONDS))
        return made[-1]

    yield make
    for one in made:
        one.give_up()


def test_who_is_frozen_is_replaced_and_knows_it_before_it_acts(scheduler):
    frozen, other = scheduler(), scheduler()
    assert frozen.take() and not other.take()
    assert until(other.take)
    assert not frozen.stands() and not frozen.is_held()
    assert other.is_held() and not frozen.take()


def test_who_goes_on_keeps_the_lead(scheduler):
    leader, other = scheduler(), scheduler()
    assert leader.take()
    assert not until(lambda: not leader.is_held() or other.take(), 2 * LOST_AFTER_SECONDS)


def test_the_end_of_one_that_was_replaced_changes_nothing(scheduler):
    frozen, leader, third = scheduler(), scheduler(), scheduler()
    assert frozen.take() and until(leader.take)
    frozen.give_up()
    assert leader.is_held() and not third.take()
    leader.give_up()
    assert third.take()


def test_a_restore_is_no_leader_that_froze(scheduler, tmp_path):
    ended, waiting = scheduler(), scheduler()
    assert ended.take()
    ended.give_up()
    with alone(Places(tmp_path, "", None)):
        assert not until(waiting.take, 2 * LOST_AFTER_SECONDS)
    assert waiting.take()
