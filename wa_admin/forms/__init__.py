"""What people fill in: field by field, with a sentence for everything that can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask_wtf import FlaskForm
from wtforms.validators import ValidationError

from ..refusal import Refusal


@contextmanager
def refusals_as_errors() -> Iterator[None]:
    """In a validator: a refusal is what is wrong with the field."""
    try:
        yield
    except Refusal as refusal:
        raise ValidationError(str(refusal)) from refusal


@contextmanager
def refusals_shown_in(form: FlaskForm) -> Iterator[None]:
    """A service's refusal becomes an error beside the field that it names, or above the form."""
    try:
        yield
    except Refusal as refusal:
        field = form[refusal.field] if refusal.field and refusal.field in form else None
        if field is not None:
            field.errors = [*field.errors, str(refusal)]
        else:
            form.form_errors.append(str(refusal))
