"""Certificates, good and bad in known ways, made with the openssl command.

`openssl ca` is used for every leaf because it alone can set both dates in OpenSSL 3.0. All leaves
share one key: a key is not what the tests are about, and one is quicker than fifty.
"""

import pathlib
import subprocess
from dataclasses import dataclass

CONFIG = """
[ca]
default_ca = lab
[lab]
database = {dir}/index.txt
new_certs_dir = {dir}
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 30
policy = any
email_in_dn = no
copy_extensions = none
[any]
commonName = optional
[req]
distinguished_name = dn
prompt = no
[dn]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""

# What is wrong, or special, with a certificate made for `name`.
KINDS = (
    "valid",
    "self-signed",
    "other-ca",
    "wrong-name",
    "expired",
    "not-yet-valid",
    "cn-only",
    "wildcard",
    "partial-wildcard",
    "deep-wildcard",
    "intermediate",
    "missing-intermediate",
    "issuer-not-ca",
    "ip-address",
)

OTHER_NAME = "somebody-else.example"
PAST = ("20240101000000Z", "20240201000000Z")
FUTURE = ("20490101000000Z", "20490201000000Z")


@dataclass(frozen=True)
class Cert:
    """A chain as a server sends it (leaf first), with its key, and the leaf by itself."""

    kind: str
    name: str
    chain: pathlib.Path
    key: pathlib.Path
    leaf: pathlib.Path


class Authority:
    """A folder of CAs and of the certificates they have signed."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "index.txt").touch()
        self._config = self.dir / "openssl.cnf"
        self._config.write_text(CONFIG.format(dir=self.dir))
        self.key = self._new_key("leaf")
        self.root = self._new_root("root", "Lab Root")
        self.stranger = self._new_root("stranger", "Stranger Root")
        self._cache = {}
        ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign"
        self.issuing = self._sign("issuing", "Lab Issuing CA", ca, "root", self._new_key("issuing"))
        not_ca = "basicConstraints=critical,CA:FALSE"
        key = self._new_key("impostor")
        self.impostor = self._sign("impostor", "Not A CA", not_ca, "root", key)

    def cert(self, kind, name, address=None, algorithm="ec"):
        """The certificate of that kind for the host `name`; made once."""
        at = (kind, name, address, algorithm)
        if at not in self._cache:
            self._cache[at] = self._make(*at)
        return self._cache[at]

    def _make(self, kind, name, address, algorithm):
        if kind not in KINDS:
            raise ValueError(kind)
        key = self.key if algorithm == "ec" else self._rsa_key(algorithm)
        stem = "-".join(filter(None, [kind, name, address, algorithm]))
        parent = name.split(".", 1)[1] if "." in name else name
        san = {
            "wrong-name": f"DNS:{OTHER_NAME}",
            "cn-only": None,
            "wildcard": f"DNS:*.{parent}",
            "partial-wildcard": f"DNS:{name[0]}*.{parent}",
            "deep-wildcard": f"DNS:*.{parent.split('.', 1)[-1]}",
            "ip-address": f"IP:{address}",
        }.get(kind, f"DNS:{name}")
        extensions = "basicConstraints=CA:FALSE" + (f"\nsubjectAltName={san}" if san else "")
        subject = name if kind == "cn-only" else f"lab {kind}"[:60]
        if kind == "self-signed":
            leaf = self._self_sign(stem, subject, san, key)
            return Cert(kind, name, leaf, key, leaf)
        issuer = {
            "other-ca": "stranger",
            "intermediate": "issuing",
            "missing-intermediate": "issuing",
            "issuer-not-ca": "impostor",
        }.get(kind, "root")
        dates = {"expired": PAST, "not-yet-valid": FUTURE}.get(kind)
        leaf = self._sign(stem, subject, extensions, issuer, key, dates)
        chain = leaf
        if kind in ("intermediate", "issuer-not-ca"):
            chain = self.dir / f"{stem}.chain.pem"
            chain.write_text(leaf.read_text() + (self.dir / f"{issuer}.pem").read_text())
        return Cert(kind, name, chain, key, leaf)

    def _new_key(self, stem):
        path = self.dir / f"{stem}.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        return path

    def _new_root(self, stem, subject):
        key, path = self._new_key(stem), self.dir / f"{stem}.pem"
        self._openssl(
            *("req", "-x509", "-config", self._config, "-extensions", "root", "-days", "30"),
            *("-key", key, "-subj", f"/CN={subject}", "-out", path),
        )
        return path

    def _rsa_key(self, algorithm):
        path = self.dir / f"{algorithm}.key"
        if not path.exists():
            bits = {"rsa": "2048", "rsa-1024": "1024"}[algorithm]
            self._openssl("genrsa", "-out", path, bits)
        return path

    def _self_sign(self, stem, subject, san, key):
        path = self.dir / f"{stem}.pem"
        self._openssl(
            *("req", "-x509", "-config", self._config, "-days", "30", "-key", key),
            *("-subj", f"/CN={subject}", "-addext", f"subjectAltName={san}", "-out", path),
        )
        return path

    def _sign(self, stem, subject, extensions, issuer, key, dates=None):
        request, path = self.dir / f"{stem}.csr", self.dir / f"{stem}.pem"
        ext = self.dir / f"{stem}.ext"
        ext.write_text(extensions + "\n")
        self._openssl(
            *("req", "-new", "-config", self._config, "-key", key),
            *("-subj", f"/CN={subject}", "-out", request),
        )
        when = ("-startdate", dates[0], "-enddate", dates[1]) if dates else ()
        self._openssl(
            *("ca", "-batch", "-notext", "-config", self._config, "-extfile", ext, *when),
            *("-cert", self.dir / f"{issuer}.pem", "-keyfile", self.dir / f"{issuer}.key"),
            *("-in", request, "-out", path),
        )
        return path

    def _openssl(self, *args):
        done = subprocess.run(
            ["openssl", *map(str, args)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(map(str, args))}\n{done.stderr}")
