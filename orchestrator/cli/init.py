"""`vfo init`: from an address to a configuration that works."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

if TYPE_CHECKING:
    from orchestrator.enrol import Answers


def init(  # noqa: PLR0913 - each is an option of the command
    *,
    url: Annotated[str, typer.Option(help="The address of the pool's coordinator, or of any member.")] = "",
    name: Annotated[str, typer.Option(help="What the pool is called in the configuration.")] = "",
    username: Annotated[str, typer.Option()] = "",
    password_file: Annotated[Path | None, typer.Option(help="A file with the password; it is referred to, not copied.")] = None,
    password_env: Annotated[str | None, typer.Option(help="An environment variable with the password; it is referred to.")] = None,
    fingerprint: Annotated[str, typer.Option(help="The SHA-256 that the certificate must have; else it is shown and asked about.")] = "",
    ca_file: Annotated[Path | None, typer.Option(help="Authorities to verify by, instead of a fingerprint.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Verify nothing. For laboratories.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Pin the certificates that are shown without asking.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Try a pool's address and login, show and pin its certificates, and write the configuration (mode 0600).

    What no option says is asked for, on a terminal. A configuration that is there keeps what it has and gets the pool added.
    """
    from orchestrator import enrol
    from orchestrator.cli import output

    answers = enrol.Answers(
        url=url or _ask("Address of the pool's coordinator", "--url", "https://"),
        name=name or _ask("A name for the pool", "--name", "pool"),
        username=username or _ask("User name", "--username", "root"),
        password=None if password_file or password_env else _ask_password(),
        password_file=password_file,
        password_env=password_env,
        ca_file=ca_file,
        insecure=insecure,
    )
    enrol.check(answers, config)
    pins = _pins(answers, fingerprint, yes=yes) if answers.pinned else ()
    found = enrol.log_in(answers, pins)
    enrol.write(answers, found, config)
    if as_json:
        output.json(
            {"pool": found.pool, "name": answers.name, "hosts": found.hosts, "fingerprints": found.fingerprints, "config": str(config)}
        )
        return
    console = output.console()
    console.print(f"Logged in to pool {found.pool or '(without a name)'}: {', '.join(found.hosts)}.", markup=False)
    if found.fingerprints:
        console.print(f"Pinned {len(found.fingerprints)} certificate(s), of {len(found.hosts)} host(s).")
    console.print(f"Wrote {config}. Next: vfo doctor --config {config}", markup=False)


def _ask(question: str, option: str, default: str) -> str:
    from orchestrator.cli.failures import WrongInput

    if not sys.stdin.isatty():
        if option in ("--name", "--username"):
            return default
        raise WrongInput(f"{option}: it is needed, and there is no terminal to ask on")
    answer: str = typer.prompt(question, default=default, err=True)
    return answer


def _ask_password() -> str:
    from orchestrator.cli.failures import WrongInput

    if not sys.stdin.isatty():
        raise WrongInput("--password-file or --password-env: one is needed, and there is no terminal to ask on")
    answer: str = typer.prompt("Password", hide_input=True, err=True)
    return answer


def _pins(answers: Answers, expected: str, *, yes: bool) -> tuple[str, ...]:
    """The fingerprint that the server showed and that somebody agreed to."""
    from orchestrator import enrol
    from orchestrator.cli.failures import NotSo

    shown = enrol.certificate(answers)
    if expected:
        enrol.compare(expected, shown.fingerprint)
        return (shown.fingerprint,)
    typer.echo(f"{answers.url} shows the certificate of {shown.subject}, valid until {shown.not_after:%Y-%m-%d}:", err=True)
    typer.echo(f"  SHA-256 {shown.fingerprint}", err=True)
    typer.echo("Compare it on the host: openssl x509 -noout -fingerprint -sha256 -in /etc/xensource/xapi-ssl.pem", err=True)
    if yes or (sys.stdin.isatty() and typer.confirm("Is it the same?", err=True)):
        return (shown.fingerprint,)
    raise NotSo("the certificate was not agreed to: nothing was written (--fingerprint or --yes agree without a terminal)")
