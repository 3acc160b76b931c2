"""The report of backups as one HTML page that needs nothing else: no script, no picture, no font, and every name escaped. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.views.report import STATUSES, WELL, in_a_line, in_bytes, in_time, took

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #1b7f3b; --mild: #8a6d00 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7bd88f; --mild: #e6c65c } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p { margin: .3rem 0 } .soft { opacity: .7 } .wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .7rem .35rem 0; vertical-align: top }
th { border-bottom: 2px solid var(--line); font-weight: 600 } td { border-bottom: 1px solid var(--line) }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good) } .mild { color: var(--mild) }
@media print { body { margin: 0; max-width: none } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><h1 class="{tone}">{title}</h1>
<p>{line}</p><p class="soft">{since} to {until}</p>
{unseen}<h2>By policy</h2>{policies}
<h2>By VM</h2>{rows}
</body></html>
"""


def page(report: Mapping[str, Any]) -> str:
    """The page."""
    return PAGE.format(
        title="Every VM is saved" if report["well"] else "Some VMs are not saved",
        tone="good" if report["well"] else "bad",
        style=STYLE,
        line=escape(in_a_line(report)),
        since=_moment(report["since"]),
        until=_moment(report["until"]),
        unseen="".join(
            f'<p class="bad">Pool {escape(one["pool"])} could not be asked: {escape(one["reason"])}</p>\n' for one in report["unseen"]
        ),
        policies=_table(["policy", *STATUSES, "size", "read", "stored", "guests down"], [_policy(one) for one in report["policies"]]),
        rows=_table(
            ["policy", "VM", "pool", "status", "why", "mode", "began", "took", "down", "size", "read", "stored"],
            [_row(one) for one in report["backups"]],
        ),
    )


def _policy(one: Mapping[str, Any]) -> list[str]:
    name = escape(one["policy"]) + (f'<br><span class="mild">{escape(one["paused"])}</span>' if one["paused"] else "")
    counts = [_cell(one[status] or "", "" if status in WELL else "bad") for status in STATUSES]
    return [
        f"<td>{name}</td>",
        *counts,
        *(_cell(in_bytes(one[key])) for key in ("size", "read", "stored")),
        _cell(in_time(one["downtime"])),
    ]


def _row(row: Mapping[str, Any]) -> list[str]:
    tone = "bad" if row["status"] not in WELL else "good" if row["status"] == "saved" else "mild"
    tries = f" ({row['tries']} tries)" if row["tries"] > 1 else ""
    began = _moment(row["began_at"]) if row["began_at"] else "-"
    return [
        *(f"<td>{escape(str(row[key]))}</td>" for key in ("policy", "vm_name", "pool")),
        f'<td class="{tone}">{escape(row["status"])}{tries}</td>',
        *(f"<td>{escape(str(row[key]))}</td>" for key in ("why", "mode")),
        *(
            _cell(text)
            for text in (began, took(row), in_time(row["downtime"]), *(in_bytes(row[key]) for key in ("size", "read", "stored")))
        ),
    ]


def _cell(value: object, tone: str = "") -> str:
    return f'<td class="number {tone}">{escape(str(value))}</td>'


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return '<p class="soft">Nothing.</p>'
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _moment(at: Any) -> str:
    """In the zone of the machine that writes the page, which it names."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"
