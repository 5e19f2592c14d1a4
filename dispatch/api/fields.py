import re
from typing import Any

from rest_framework import serializers

INT4_MAX = 2_147_483_647
INT8_MAX = 9_223_372_036_854_775_807
DIGITS = re.compile(r"-?[0-9]{1,20}", re.ASCII)


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer, or ASCII digits as a form sends them: not true, 1.0 or Arabic digits."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is int or (isinstance(data, str) and DIGITS.fullmatch(data)):
            return super().to_internal_value(data)
        self.fail("invalid")


class StrictCharField(serializers.CharField):
    """A string; DRF would take numbers too, so that 1e400 became the worker "inf"."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
