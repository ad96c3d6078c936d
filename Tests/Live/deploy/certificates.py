"""An authority and what it has signed, as files: ca.crt, NAME.crt, NAME.key."""

from __future__ import annotations

import subprocess
from pathlib import Path

NEW = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def make(folder: Path, names: dict[str, str]) -> None:
    """`names`: what each certificate stands for, as DNS:redis.data or IP:127.0.0.1."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *NEW, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "2")
    for name, place in names.items():
        (folder / f"{name}.ext").write_text(f"subjectAltName={place}")
        openssl("req", *NEW, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.crt")
