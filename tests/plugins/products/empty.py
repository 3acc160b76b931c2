"""Repositories that are empty, made once and copied for each test.

Restic chooses how hard its key is to guess by what the processor can do in half a second, and every start takes that half second again.
This one was made by `restic init` on a processor that was held up, so that its key costs a few milliseconds; its passphrase is SECRET.
"""

import atexit
import base64
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SECRET = "correct horse"
RESTIC_CONFIG = (
    "Zecsm62Rx10qUstT1YC/DNlsw/QDEgZXWqrCDm4BsfrfjeRn++x0xM6Z9/ZhhSEllvtAXAQ8OfdiKEeR/FkBSJFL2GklJ0UjvVff7VaG3cus0IJh6nibwwBxhQZ6jPKr"
    "sf7TCjEoFo7RSd4R2lno9739/hQqsRbWkGAHV47EhHWX5JYXB1I1nnwLl0n3t0i7KkDV3Bzc/9cudTE="
)
RESTIC_KEY = "5b98c9b77f4d1a3ce06dc6cf8b94a2d88d9cb9de0a8eca9c5fb0031aa2ee48ea"  # the SHA-256 of what follows
RESTIC_KEY_FILE = (
    '{"created":"2026-11-22T18:53:46.109167059Z","username":"root","hostname":"vm","kdf":"scrypt","N":4096,"r":8,"p":1,'
    '"salt":"pZ0J4TBFLMXUyFKVwofwLc8mw++EwIrPpWVpWZS20OyuASsnw4t8V43PwiCp4yCTWeuEliw2XkEXaozHYJITLA==",'
    '"data":"GMv2VBNZnGhfjmZA5uYBqWTbPNP3KYhb5qOgZjeroftBevDHsaruHNmHeU4xYXIdE1RZOUuNUI5VRk/H669kPYtaIGxfCPgNQsLBMYvw72qnDL96RdhjxUtDJ9d'
    'hB+Uzo1bfOek3QzGihEqB+cZKp4dHs6ql4h4e2/HRT79+rl+XrvxVle7hMvxTVHXOYfQDO7uZK4JxfCspC25PBBAfSA=="}'
)


@functools.cache
def _templates() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vfo-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _made(program: str) -> Path:
    repository = _templates() / program
    if program == "borg":
        environment = {**os.environ, "BORG_PASSPHRASE": SECRET, "BORG_BASE_DIR": str(_templates() / "base")}
        subprocess.run(["borg", "init", "--encryption", "repokey-blake2", repository], env=environment, check=True, capture_output=True)
    else:
        for name in ("data", "index", "keys", "locks", "snapshots"):
            (repository / name).mkdir(parents=True)
        (repository / "config").write_bytes(base64.b64decode(RESTIC_CONFIG))
        (repository / "keys" / RESTIC_KEY).write_text(RESTIC_KEY_FILE)
    return repository


def put(program: str, place: Path) -> None:
    """An empty repository of the program's at that place."""
    shutil.copytree(_made(program), place)
