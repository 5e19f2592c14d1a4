from django import template

from ..kpi.text import number

register = template.Library()


@register.filter
def figure(value: float | None, digits: int = 0) -> str:
    """With its thousands marked; a dash where there is none."""
    return number(value, digits)
