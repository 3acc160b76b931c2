"""`vfo doctor`: what stands in the way, and what to do about it."""

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName


def doctor(*, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Examine each pool: reachable, trusted, allowed, and able to carry VFs. Exit code 1 when a finding fails."""
    from orchestrator import bootstrap
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import NotSo

    loaded = house.configuration(config, pool)
    rows = [row for name in loaded.pools if pool in (None, name) for row in bootstrap.examine(loaded, name)]
    if as_json:
        output.json(rows)
    else:
        cells = [[row["pool"], output.status(row["level"]), row["subject"], row["text"], row["advice"] or "-"] for row in rows]
        output.table(["pool", "", "what", "found", "to do"], cells)
    failing = sum(row["level"] == "fail" for row in rows)
    if failing:
        raise NotSo(f"{failing} finding(s) fail")
