"""What all messages of the prompt websocket have in common. Pure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

TEXT_LIMIT: Final = 20_000
"""Characters of a prompt that any configuration may allow; `inbox.max_text` is usually lower."""

REF_LIMIT: Final = 64

NAME_LIMIT: Final = 64
"""Characters of a viewer's name, of its id and of a gift."""

ID_LIMIT: Final = 200
"""Characters of the id of a prompt, and of a viewer's in the channel: the source's name, and the platform's id."""


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Ref = Annotated[str | None, Field(max_length=REF_LIMIT, description="Yours; sent back with the answer")]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]
Id = Annotated[str, Field(min_length=1, max_length=ID_LIMIT)]
