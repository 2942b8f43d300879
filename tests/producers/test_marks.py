"""What people read, hide and clear, on several devices that do not wait for one another."""

from __future__ import annotations

import pytest

from domain.errors import BadRequest, Unavailable
from domain.ids import own_id
from producers.marks import Marks
from tests.builders import ANN, ANN_BOB, BOB, draft


@pytest.fixture
def marks(town) -> Marks:
    return Marks(town.path.sender, town.path.reading, town.path.unread)


async def test_message_that_another_device_has_hidden_or_cleared_can_still_be_read(town, marks):
    await town.direct()
    hidden = (await town.send(draft())).sent
    await town.stores.messages.change({"_id": {"c": ANN_BOB, "q": hidden.seq}}, {"$set": {"hid": [BOB]}})
    assert (await marks.read(BOB, ANN_BOB, hidden.seq)).member.read_seq == hidden.seq
    cleared = (await town.send(draft())).sent
    await marks.set(BOB, ANN_BOB, {"cleared_seq": cleared.seq})
    assert (await marks.read(BOB, ANN_BOB, cleared.seq)).member.read_seq == cleared.seq
    with pytest.raises(BadRequest):
        await marks.read(BOB, ANN_BOB, cleared.seq + 1)


async def test_receipt_is_not_lost_by_a_process_that_dies_before_the_mark_moves(town, marks):
    """The mark tells a later try whether there is something to do, so it moves last."""
    await town.direct()
    sent = (await town.send(draft())).sent

    class Dying:
        """It stores one change and is gone before the next one."""

        left = 1

        async def change(self, change, recipients=1):
            if not self.left:
                raise Unavailable("gone")
            self.left -= 1
            return await town.path.sender.change(change, recipients)

    with pytest.raises(Unavailable):
        await Marks(Dying(), town.path.reading, town.path.unread).read(BOB, ANN_BOB, sent.seq)
    assert (await marks.read(BOB, ANN_BOB, sent.seq)).member.read_seq == sent.seq
    told = await town.stores.messages.documents([(own_id(ANN), 1), (own_id(ANN), 2)], ["t", "m"])
    assert [document["t"] for document in told.values()] == ["receipt"]
