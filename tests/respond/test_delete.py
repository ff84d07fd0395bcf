"""The only act without an undo: a person's, once, and believed only when the key can no longer be read."""

from __future__ import annotations

import pytest
from build import a_key, an_action
from fake_keys import FakeKeys, Fault

from monitor.domain import Verb
from monitor.errors import ActionFailed, NotFound, Unavailable
from monitor.respond.delete import DeleteKey


class Deletion:
    """Deletes at the fake issuer; `error` is the answer, `works` whether it did."""

    def __init__(self, keys, *, works=True, error=None):
        self.keys, self.works, self.error, self.n_calls = keys, works, error, 0

    async def delete(self, key_hash):
        self.n_calls += 1
        if self.works:
            self.keys.keys.pop(key_hash, None)
        if self.error is not None:
            raise self.error


def asked(**changes):
    return an_action(verb=Verb.DELETE, **({"requested_by": "cli:ada"} | changes))


async def test_a_person_deletes_a_key_and_it_is_gone():
    keys = FakeKeys.holding(a_key(1), a_key(2))
    said = (await DeleteKey(keys, Deletion(keys)).apply(asked())).said
    assert "no longer found" in said
    assert list(keys.keys) == [a_key(2).key_hash]


async def test_nothing_automatic_deletes_a_key():
    keys = FakeKeys.holding(a_key())
    deletion = Deletion(keys)
    with pytest.raises(ActionFailed, match="never repeated by the program"):
        await DeleteKey(keys, deletion).apply(asked(requested_by="monitor"))
    assert deletion.n_calls == 0


async def test_the_service_settles_an_open_delete_by_reading_and_cannot_repeat_it():
    keys = FakeKeys.holding(a_key())
    assert not await DeleteKey(keys).is_applied(asked())
    with pytest.raises(ActionFailed, match="never repeated") as failure:
        await DeleteKey(keys).apply(asked())
    assert failure.value.permanent
    assert await DeleteKey(FakeKeys.holding()).is_applied(asked())


@pytest.mark.parametrize("works", [True, False])
async def test_a_lost_answer_is_settled_by_reading_and_never_by_a_second_delete(works):
    keys = FakeKeys.holding(a_key())
    deletion = Deletion(keys, works=works, error=Unavailable("no answer"))
    if works:
        await DeleteKey(keys, deletion).apply(asked())
    else:
        with pytest.raises(ActionFailed, match="still exists") as failure:
            await DeleteKey(keys, deletion).apply(asked())
        assert failure.value.permanent
    assert deletion.n_calls == 1


async def test_an_unreadable_key_is_not_deleted_and_an_unread_outcome_is_unknown():
    keys = FakeKeys.holding(a_key(), faults={0: Fault(Unavailable("down"))})
    with pytest.raises(ActionFailed, match="nothing was deleted"):
        await DeleteKey(keys, Deletion(keys)).apply(asked())
    keys = FakeKeys.holding(a_key(), faults={1: Fault(Unavailable("down"))})
    with pytest.raises(ActionFailed) as failure:
        await DeleteKey(keys, Deletion(keys)).apply(asked())
    assert (failure.value.permanent, failure.value.is_outcome_unknown) == (True, True)


async def test_a_key_that_is_gone_already_is_deleted():
    keys = FakeKeys.holding(a_key(), faults={0: Fault(NotFound("404"))})
    assert (await DeleteKey(keys, Deletion(keys)).apply(asked())).said == "was deleted already"
