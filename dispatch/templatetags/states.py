from django import template

from ..stations import label_of

register = template.Library()
register.filter("state_label", label_of)
