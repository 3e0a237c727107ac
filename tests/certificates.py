"""A certificate for this machine that has signed itself."""

from __future__ import annotations

import pathlib
import subprocess


def sign_itself(cert: pathlib.Path, key: pathlib.Path) -> None:
    """Write a certificate for 127.0.0.1, for servers and for clients, and its key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=broker", "-addext"]
    command += ["subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
    command += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def tls_directory(directory: pathlib.Path) -> pathlib.Path:
    """Make a directory as the files of deploy/nats expect it."""
    directory.mkdir()
    sign_itself(directory / "tls.crt", directory / "tls.key")
    (directory / "ca.crt").write_bytes((directory / "tls.crt").read_bytes())
    return directory
