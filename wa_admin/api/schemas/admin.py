"""Sessions once more, in camelCase."""

from __future__ import annotations

from marshmallow import fields

from ... import phone
from ...models import Status
from ...services.session_fields import DESCRIPTION_LENGTH, NAME_LENGTH
from ..fields import Moment, Number, Text, YesNo
from .sessions import LONGEST_ID
from .shape import BIGGEST_ID, LONGEST_SESSION_NAME, Answer, Call


class NewAdminSessionSchema(Call):
    name = Text(longest=NAME_LENGTH, required=True, metadata={"example": "Customer Support"})
    session_id = Text(
        longest=LONGEST_ID,
        allow_none=True,
        may_be_empty=True,
        data_key="sessionId",
        metadata={"example": "customer_support"},
    )
    phone_number = Text(
        longest=phone.LONGEST,
        allow_none=True,
        may_be_empty=True,
        data_key="phoneNumber",
        metadata={"example": "+6285117132297"},
    )
    is_active = YesNo(data_key="isActive")
    is_default = YesNo(data_key="isDefault", metadata={"example": False})
    description = Text(
        longest=DESCRIPTION_LENGTH,
        lines=True,
        may_be_empty=True,
        allow_none=True,
        metadata={"example": "Main customer support session"},
    )


class AdminSessionEditSchema(NewAdminSessionSchema):
    id = Number(1, BIGGEST_ID, required=True, metadata={"example": 1})
    name = Text(longest=NAME_LENGTH, metadata={"example": "Customer Support"})


class AdminDeleteQuerySchema(Call):
    id = Text(longest=LONGEST_SESSION_NAME, required=True, metadata={"example": "1"})


class AdminSessionSchema(Answer):
    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata={"example": "Customer Support"})
    session_id = fields.String(data_key="sessionId", metadata={"example": "customer_support"})
    phone_number = fields.String(
        data_key="phoneNumber", attribute="number", allow_none=True, metadata={"example": "6285117132297"}
    )
    is_active = fields.Boolean(data_key="isActive")
    is_default = fields.Boolean(data_key="isDefault")
    description = fields.String()
    status = fields.String(metadata={"enum": [word.value for word in Status], "example": "connected"})
    reason = fields.String(allow_none=True)
    is_connected = fields.Boolean(data_key="isConnected")
    created_at = Moment(data_key="createdAt")
    updated_at = Moment(data_key="updatedAt")


class AdminDeletedSchema(Answer):
    message = fields.String(metadata={"example": "Session deleted"})
