from django import template

from ..kpi.text import number

register = template.Library()


@register.filter
def figure(value: float | None, digits: int = 0) -> str:
    """Format with thousands separators; None is shown as a dash."""
    return number(value, digits)
