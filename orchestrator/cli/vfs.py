"""`vfo vfs`: every port, and who has its VFs."""

from typing import Any

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName


def vfs(*, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the ports: how many VFs, who uses them, what is free, promised, leaked."""
    from orchestrator.cli import house, output
    from orchestrator.views import vfs as view

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        rows = [row for access in opened for row in view.ports(access.port, access.ledger)]
    if as_json:
        output.json(rows)
    elif not rows:
        output.console().print("No port has SR-IOV enabled. (`vfo doctor` says which could.)")
    else:
        headings = ["pool", "port", "mode", "total", "free", "promised", "leaked", "missing", "in use by"]
        output.table(headings, [_cells(row) for row in rows])
        for row in rows:
            for odd in row["odd"]:
                output.console().print(f"{row['pool']}: {row['name']}: {odd['text']} ({odd['advice']})", markup=False)


def _cells(row: dict[str, Any]) -> list[str]:
    users = ", ".join(user["name"] for user in row["users"]) or "-"
    noted = f" ({'; '.join(row['in_flight'])})" if row["in_flight"] else ""
    missing = "?" if row["missing"] is None else str(row["missing"])
    numbers = [str(row[name]) for name in ("total", "free", "promised", "leaked")]
    return [row["pool"], row["name"], row["mode"], *numbers, missing, users + noted]
