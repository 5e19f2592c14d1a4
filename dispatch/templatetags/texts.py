from django import template

from ..texts import isolated

register = template.Library()
register.filter("isolated", isolated)
