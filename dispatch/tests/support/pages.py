"""The texts of pages."""

import re


def words(markup):
    """The text without tags, each run of white space as one space."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"</?bdi>", "", markup)).split())
