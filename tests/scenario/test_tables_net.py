"""Tables that ask a server: what Postfix gets from it Hopseal gets, too, and whatever goes wrong is
a failed lookup, never "not found"."""

import contextlib
import os
import shutil
import socket
import time

import pytest
from lab import netns, peers, process, rewrite
from lab.mapserver import CLOSE, SILENT, Error, MapServer, Raw, Slow
from lab.tables import needs_postmap

MEMCACHED = shutil.which("memcached") or "/usr/bin/memcached"
KINDS = ["socketmap", "socketmap-unix", "tcp", "memcache"]

VALUES = {
    "example.com": "encrypt ciphers=high",
    "[mail.example.com]:587": "secure match=a:b",
    "bücher.example": "ünïcode",
    "per%cent": "100%",
    "long": "v" * 3000,
    "EXAMPLE.org": "upper",
    "example.org": "lower",
    "user@example.net": "user",
}
KEYS = [*VALUES, "Example.COM", "nothing", "a b", "ß", "x" * 200]


@pytest.fixture
def served(network, folder, tmp_path):
    """served(kind, script) starts a server, and gives it and the table that asks it."""
    with contextlib.ExitStack() as stack:

        def start(kind, script, **config):
            path = tmp_path / "socket" if kind.endswith("-unix") else None
            protocol = kind.removesuffix("-unix")
            server = stack.enter_context(MapServer(protocol, script, path=path))
            if protocol != "memcache":
                return server, server.spec
            return server, memcache(folder, server.place, **config)

        yield start


def memcache(folder, place, **config):
    config = {"max_try": 1, "retry_pause": 1, "timeout": 2, **config}
    lines = [f"{name} = {value}\n" for name, value in {"memcache": place, **config}.items()]
    return f"memcache:{folder.write('memcache.cf', ''.join(lines))}"


def quick(folder, spec, key, timeout="2s"):
    return folder.hopseal("query", "-o", f"hopseal_table_timeout={timeout}", spec, key)


@pytest.mark.parametrize("kind", KINDS)
def test_server_answers_as_in_postfix(folder, served, kind):
    needs_postmap(kind)
    server, spec = served(kind, VALUES)
    values = {key: folder.agree(spec, key) for key in KEYS}
    assert values["bücher.example"] == "ünïcode"
    assert values["nothing"] is None
    is_folded = kind == "memcache"
    assert values["Example.COM"] == ("encrypt ciphers=high" if is_folded else None)
    assert server.keys[0::2] == server.keys[1::2]  # both ask for the same


ODD = {
    "socketmap": [b"8:NOTFOUND,", b"0006:OK a b,", b"2:OK,", b"7:ok abcd,", b"3:may,", b"0:,"],
    "tcp": [b"250 v\n", b"550 no\n", b"450 x\n", b"200 a b\n", b"200 %zz\n", b"200\n"],
    "memcache": [
        b"END\r\n",
        b"VALUE k 0 1 77\r\nv\r\nEND\r\n",
        b"VALUE k 0 4\r\nv\r\nEND\r\n",
        b"nonsense\r\n",
    ],
}


@pytest.mark.parametrize("kind, reply", [(kind, each) for kind in ODD for each in ODD[kind]])
def test_odd_replies_as_in_postfix(folder, served, kind, reply):
    """Where Postfix fails, so do we, and the other way round; it says 1 for that, too."""
    needs_postmap(kind)
    _, spec = served(kind, {"k": Raw(reply)})
    ours, theirs = folder.hopseal("query", spec, "k"), folder.postmap("-q", "k", spec)
    assert ours.stdout == theirs.stdout
    has_failed = "query error" in theirs.stderr
    if reply == b"2:OK,":
        has_failed = True  # an empty value: an error where a list of tables is asked
    assert ours.returncode == (75 if has_failed else theirs.returncode)


BEYOND = {
    "socketmap": [b"4:OK v,4:OK w,", b"100001:", b"7:OK v\0ab,", b"5:OK v", b"220 smtp\r\n"],
    "tcp": [b"200 v\n200 w\n", b"2" * 5000, b"200 v\0\n", b"200 %00\n", b"\n"],
    "memcache": [
        b"VALUE l 0 1\r\nv\r\nEND\r\n",  # another key's value
        b"VALUE k 0 1\r\nv\r\nVALUE k 0 1\r\nw\r\nEND\r\n",
        b"VALUE k 0 99999\r\n",
        b"VALUE k 0 99999999999999999999\r\n",
        b"ERROR\r\n",
        b"CLIENT_ERROR x\r\n",
        b"END\r\nEND\r\n",
    ],
}
TROUBLE = {
    "closes": CLOSE,
    "silent": SILENT,
    "slow": Slow(30, "v"),
    "error": Error("come later"),
    "garbage": Raw(b"\x16\x03\x01\x02\x00\x01\xff\n"),
    "html": Raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    "half": Raw(b"2"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", TROUBLE)
def test_trouble_is_never_not_found(folder, served, kind, what):
    server, spec = served(kind, {"k": TROUBLE[what]})
    began = time.monotonic()
    done = quick(folder, spec, "k", "1s")
    assert done.returncode == 75 and done.stdout == "" and spec in done.stderr, done
    assert time.monotonic() - began < 9
    assert server.keys == ["k"]


@pytest.mark.parametrize("kind, reply", [(kind, each) for kind in BEYOND for each in BEYOND[kind]])
def test_answers_that_cannot_be_trusted(folder, served, kind, reply):
    _, spec = served(kind, {"k": Raw(reply)})
    done = quick(folder, spec, "k", "1s")
    assert done.returncode == 75 and done.stdout == "" and spec in done.stderr, done


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there(folder, served, kind):
    server, spec = served(kind, {"k": "v"})
    server.stop()
    began = time.monotonic()
    done = folder.hopseal("query", spec, "k")
    assert done.returncode == 75 and "connect: " in done.stderr, done
    assert time.monotonic() - began < 9


class Asker:
    """`hopseal query SPEC -`, asked key by key."""

    def __init__(self, folder, spec):
        self.child = folder.start(spec)

    def ask(self, key):
        self.child.stdin.write(key + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().rstrip("\n").partition("\t")[2]

    def end(self, *keys):
        """Asks for the last keys, and gives the exit status and what was said."""
        _, err = self.child.communicate("".join(key + "\n" for key in keys), timeout=20)
        return self.child.returncode, err


@pytest.mark.parametrize("kind", KINDS)
def test_one_connection_for_many_keys(folder, served, kind):
    server, spec = served(kind, {f"k{i}": f"v{i}" for i in range(500)})
    done = folder.hopseal("query", spec, "-", input="".join(f"k{i}\n" for i in range(500)))
    assert done.returncode == 0 and done.stdout.count("\n") == 500
    assert "k499\tv499\n" in done.stdout
    # a second one when a key comes before the first has laid its answer down
    assert server.accepted <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_server_ends_an_idle_connection(folder, served, kind):
    """Its restart loses no lookup, as long as it is back."""
    server, spec = served(kind, {"a": "1", "b": "2", "c": "3"})
    asker = Asker(folder, spec)
    assert asker.ask("a") == "1"
    server.hang_up()
    assert asker.ask("b") == "2"
    server.stop()
    server.start()
    assert asker.ask("c") == "3"
    assert asker.end() == (0, "")
    assert server.accepted == 3 and server.keys == ["a", "b", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_server_dies_in_the_session(folder, served, kind):
    server, spec = served(kind, {"a": "1", "b": "2"})
    asker = Asker(folder, spec)
    assert asker.ask("a") == "1"
    server.stop()
    status, err = asker.end("b")
    assert status == 75 and "connect: " in err


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_servers(folder, served, kind):
    _, spec = served(kind, {"k": "b", "b": "c", "bad": Error()})
    assert folder.hopseal("query", f"unionmap:{{{spec},static:s}}", "k").stdout == "b,s\n"
    assert folder.hopseal("query", f"pipemap:{{{spec},{spec}}}", "k").stdout == "c\n"
    assert folder.hopseal("query", f"pipemap:{{{spec},{spec}}}", "b").returncode == 1
    assert folder.hopseal("query", f"unionmap:{{static:s,{spec}}}", "bad").returncode == 75


@pytest.mark.parametrize("kind", ["socketmap", "tcp"])
def test_keys_of_transport_maps_as_in_postfix(hopseal, served, kind):
    """Both show the server whole keys only."""
    seen = []
    for ask in ("postfix", "hopseal"):
        server, spec = served(kind, {"*": None})
        if ask == "hopseal":
            hopseal.configure(transport_maps=spec)
            hopseal.run("explain", "user@sub.dept.example")  # there is no such domain
        else:
            with peers.public_folder(f"rewrite-{kind}") as top:
                main_cf = f"myhostname = gateway.example\ntransport_maps = {spec}\n"
                try:
                    with rewrite.Resolver(top).running(main_cf) as postfix:
                        postfix.resolve("user@sub.dept.example")
                except rewrite.Unavailable as e:
                    pytest.skip(str(e))
        seen.append(set(server.keys))
    assert seen[0] == seen[1]
    assert "user@sub.dept.example" in seen[0] and ".dept.example" not in seen[0]


def test_policy_from_a_server(hopseal, served):
    server, spec = served("socketmap-unix", {".example": "encrypt", "good.example": "verify"})
    hopseal.configure(smtp_tls_policy_maps=spec)
    assert hopseal.explain("good.example").decision["level"] == "verify"
    assert hopseal.explain("mx1.good.example").decision["level"] == "encrypt"
    assert server.keys[1:] == ["mx1.good.example", ".good.example", ".example"]


@pytest.mark.parametrize("what", [Error(), CLOSE, SILENT])
def test_mail_waits_when_the_policy_cannot_be_had(hopseal, served, sink, what):
    _, spec = served("socketmap", {"good.example": what})
    hopseal.configure(smtp_tls_policy_maps=spec, hopseal_table_timeout="1s")
    with sink() as s:
        done = hopseal.send("bob@good.example")
        assert done.fate == ("deferred", "4.7.5"), done
        assert not any(session.verbs() for session in s.sessions)


def test_check_asks_no_server(hopseal, served):
    server, spec = served("socketmap", {})
    hopseal.configure(smtp_tls_policy_maps=spec)
    assert [f for f in hopseal.check().json["findings"] if f["code"].startswith("table")] == []
    assert server.accepted == 0
    hopseal.configure(smtp_tls_policy_maps="socketmap:unix:private/policy:map")
    (found,) = [f for f in hopseal.check().json["findings"] if f["code"].startswith("table")]
    assert found["code"] == "table-bad-body" and "whole path" in found["text"]


# ---- memcache ----


@pytest.fixture
def memcached(network, tmp_path):
    """A real one: its port, and what puts values into it."""
    if not os.path.exists(MEMCACHED):
        pytest.skip("memcached is not installed")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    user = ["-u", "nobody"] if netns.has_many_users() else []
    argv = [MEMCACHED, "-l", "127.0.0.1", "-p", str(port), "-t", "1", "-m", "8", *user]
    with process.daemon(argv, tmp_path / "memcached.log") as child:
        process.wait_until(
            lambda: process.accepts("127.0.0.1", port),
            "memcached",
            daemon=child,
            log=tmp_path / "memcached.log",
        )
        yield port, child


def put(port, values):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        for key, value in values.items():
            octets = value.encode()
            s.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(octets), octets))
            assert s.recv(100) == b"STORED\r\n"


CONFIGS = [
    {},
    {"key_format": "mail-%s"},
    {"key_format": "%d"},
    {"key_format": "%u"},
    {"key_format": "%%%2.%1"},
    {"domain": "example.net, example.org"},
    {"data_size_limit": 5},
    {"line_size_limit": 20},
    {"backup": "inline:{nothing=backup, example.com=other}"},
    {"key_format": "%d", "backup": "static:backup"},
    {"max_try": 2},
]
MEMCACHE_KEYS = ["example.com", "Example.COM", "user@example.net", "@example.net", "nothing", "a b"]


@pytest.mark.parametrize("config", CONFIGS)
def test_memcached_answers_as_in_postfix(folder, memcached, config):
    needs_postmap("memcache")
    port, _ = memcached
    kept = {
        "example.com": "may",
        "mail-example.com": "prefixed",
        "user@example.net": "encrypt",
        "example.net": "domain",
        "user": "local",
        "%example.net": "labels",
    }
    spec = memcache(folder, f"inet:127.0.0.1:{port}", **config)
    for key in MEMCACHE_KEYS:
        put(port, kept)
        ours = folder.hopseal("query", spec, key)
        theirs = folder.postmap("-q", key, spec)
        assert ours.stdout == theirs.stdout, (key, ours, theirs)
        assert (ours.returncode == 75) == ("query error" in theirs.stderr), (key, ours, theirs)


def test_memcached_that_is_gone(folder, memcached):
    port, child = memcached
    put(port, {"k": "v"})
    place = f"inet:127.0.0.1:{port}"
    assert folder.hopseal("query", memcache(folder, place), "k").stdout == "v\n"
    process.end_group(child)
    assert folder.hopseal("query", memcache(folder, place), "k").returncode == 75
    spec = memcache(folder, place, backup="inline:{k=b}")
    assert folder.hopseal("query", spec, "k").stdout == "b\n"
    assert folder.hopseal("query", spec, "l").returncode == 1  # the backup has it all


def test_tries_of_memcache(folder, served):
    server, spec = served("memcache", {"k": Error()}, max_try=3)
    began = time.monotonic()
    done = folder.hopseal("query", spec, "k")
    assert done.returncode == 75 and "SERVER_ERROR later" in done.stderr
    assert len(server.keys) == 3 and 2 <= time.monotonic() - began < 9


def test_backup_of_memcache_is_a_server(folder, served, tmp_path):
    backup, where = served("socketmap-unix", {"k": "v", "bad": Error()})
    server, spec = served("memcache", {"bad": Error()}, backup=where)
    assert folder.hopseal("query", spec, "k").stdout == "v\n"
    assert folder.hopseal("query", spec, "l").returncode == 1
    assert folder.hopseal("query", spec, "bad").returncode == 75
    assert server.keys == backup.keys == ["k", "l", "bad"]


@pytest.mark.parametrize(
    "config, words",
    [
        ({"memcache": "localhost:11211"}, "inet:host:port or unix:/path"),
        ({"key_format": "%x"}, "%x"),
        ({"max_try": "0"}, "max_try"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_memcache_configurations_that_are_wrong(folder, config, words):
    config = {"memcache": "inet:127.0.0.1:1", **config}
    text = "".join(f"{name} = {value}\n" for name, value in config.items())
    done = folder.hopseal("query", f"memcache:{folder.write('m.cf', text)}", "k")
    assert done.returncode == 75 and words in done.stderr
