"""The plan is a pure function of the options, and keeps its own rules."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.torture.fault_plan import HEAL_S, LASTS_S
from tests.torture.options import MODES, PARTS, ROLES, Options, modes_of
from tests.torture.plan import ACTS, QUIET_S, make_plan

ALL = modes_of("all")
SEEDS = range(8)


def plan(**changes):
    return make_plan(Options(**({"modes": ALL, "seed": 7, "seconds": 120.0} | changes)))


def test_same_seed_and_options_give_the_same_plan():
    assert plan() == plan()


@pytest.mark.parametrize("changes", [{"seed": 8}, {"seconds": 60.0}, {"users": 12}, {"rate": 10.0}])
def test_another_seed_or_option_gives_another_plan(changes):
    assert plan(**changes) != plan()


def test_traffic_is_the_same_whatever_breaks():
    broken, whole = plan(), plan(modes=())
    assert broken._replace(faults=()) == whole
    assert whole.faults == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_come_one_or_two_at_a_time_with_time_to_heal(seed):
    faults = plan(seed=seed).faults
    groups = [[faults[0]]]
    for fault in faults[1:]:
        ends = max(one.at_s + one.lasts_s for one in groups[-1])
        if fault.at_s >= ends + HEAL_S[0]:
            groups.append([fault])
        else:
            groups[-1].append(fault)
    assert max(map(len, groups)) <= 2
    assert all(one.at_s >= QUIET_S and one.at_s + one.lasts_s <= 120.0 - QUIET_S for one in faults)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_faults_at_a_time_have_two_targets(seed):
    faults = plan(seed=seed).faults
    for fault in faults:
        for other in faults:
            if other is not fault and abs(other.at_s - fault.at_s) < 1.0:
                assert not other.target.startswith(fault.target)


def test_every_mode_has_its_turn_and_keeps_to_its_length():
    seen = {fault.mode for seed in SEEDS for fault in plan(seed=seed).faults}
    assert seen == set(MODES)
    for seed in SEEDS:
        for fault in plan(seed=seed).faults:
            least, most = LASTS_S[fault.mode]
            assert least <= fault.lasts_s <= most
            assert fault.target in {*PARTS, *ROLES, "mongo", "kafka", "redis"}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_alone_breaks_nothing_else(mode):
    assert {fault.mode for fault in plan(modes=(mode,)).faults} == {mode}


@pytest.mark.parametrize("seed", SEEDS)
def test_senders_are_in_their_conversation_and_owners_never_leave(seed):
    made = plan(seed=seed)
    for send in made.sends:
        conversation = made.conversations[send.conversation]
        assert send.sender in {*conversation.members, *conversation.strangers}
    for change in made.changes:
        conversation = made.conversations[change.conversation]
        assert change.user in conversation.strangers
        assert change.user != conversation.members[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_act_is_done_by_who_is_or_was_a_member(seed):
    made = plan(seed=seed)
    assert {act.kind for act in made.acts} == set(ACTS)
    for act in made.acts:
        conversation = made.conversations[act.conversation]
        assert act.user in {*conversation.members, *conversation.strangers}
        if conversation.kind == "group" and act.kind == "pin":
            assert act.user == conversation.members[0]


def test_changes_of_one_member_alternate():
    made = plan()
    for number, conversation in enumerate(made.conversations):
        for user in conversation.strangers:
            inside = user in conversation.members
            for change in made.changes:
                if (change.conversation, change.user) == (number, user):
                    assert change.join != inside
                    inside = change.join


def test_stays_of_a_device_follow_one_another():
    for person in plan().people:
        assert 2 <= len(person.devices) <= 3
        for device in person.devices:
            for one, other in zip(device.stays, device.stays[1:], strict=False):
                assert one.at_s + one.lasts_s <= other.at_s


def test_the_number_of_sends_is_about_the_rate():
    sends = plan(rate=50.0).sends
    assert 0.9 * 6000 < len(sends) < 1.1 * 6000
    assert {send.how for send in sends} == {"patient", "impatient", "twice", "again"}


@pytest.mark.parametrize(
    "text, modes",
    [
        ("none", ()),
        ("kill", ("kill",)),
        ("flush, kill", ("kill", "flush")),
        ("all", tuple(MODES)),
    ],
)
def test_modes_are_words_with_commas(text, modes):
    assert modes_of(text) == modes


@pytest.mark.parametrize("text", ["earthquake", "none,kill"])
def test_a_mode_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="none"):
        modes_of(text)


def test_faults_may_come_at_fixed_moments_and_last_for_so_long():
    plan = make_plan(Options(("flush", "mongo"), seed=3, seconds=60, every_s=10, lasts_s=4))
    at = [fault.at_s for fault in plan.faults]
    assert [later - earlier for earlier, later in pairwise(at)] == [10] * (len(at) - 1)
    assert [fault.mode for fault in plan.faults[:4]] == ["flush", "mongo", "flush", "mongo"]
    assert {fault.lasts_s for fault in plan.faults} == {4}
    assert at[-1] <= 60
