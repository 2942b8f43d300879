"""What people read, hide and clear, on several devices that do not wait for one another."""

from __future__ import annotations

import pytest

from domain.errors import BadRequest
from producers.marks import Marks
from tests.builders import ANN_BOB, BOB, draft


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
