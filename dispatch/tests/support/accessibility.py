"""axe-core's check of a page against WCAG 2.2 AA, light and dark."""

from axe_playwright_python.sync_playwright import Axe

STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Django's script draws these icons beside its lists of groups and permissions: a span with a label
# but without a role.
OF_DJANGO = ".help-tooltip.search-label-icon"


def violations(page, *stricter):
    """Return the rule, the element and the fault of each violation on the page.

    `stricter`: ids of rules to check beyond the standard.
    """
    options = {
        "runOnly": {"type": "tag", "values": STANDARD},
        "rules": {rule: {"enabled": True} for rule in stricter},
        "resultTypes": ["violations"],
    }
    found = Axe().run(page, {"exclude": [OF_DJANGO]}, options).response["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
