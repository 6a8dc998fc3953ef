"""Tables that ask a PostgreSQL server: `hopseal query` answers what Debian's `postmap -q` does, and
in bounded time whatever the server does."""

import contextlib
import socket
import time

import pytest
from lab import peers
from lab.postgres import ADDRESS, PASSWORD, Postgres
from lab.sql import FORMS, KEYS, PLAIN, ROWS, fill
from lab.tables import needs_postmap

PORT = 5432  # of this worker's network; the one that a socket's folder stands for
NOBODY = 5433


def quoted(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


@pytest.fixture(scope="module")
def server(network):
    """A server with the rows, and a function that answers."""
    sql = []

    def execute(text, values=()):
        for value in values:
            text = text.replace("%s", quoted(value), 1)
        sql.append(text + ";\n")

    fill(execute, "%s")
    execute(
        "CREATE FUNCTION find(text) RETURNS SETOF text LANGUAGE SQL AS "
        "$$SELECT value FROM policy WHERE key = $1 ORDER BY n$$"
    )
    try:
        with peers.public_folder("postgres") as folder:
            with Postgres(folder, PORT) as postgres:
                postgres.execute("".join(sql))
                yield postgres
    except peers.Unavailable as e:
        pytest.skip(str(e))


LOGIN = f"user = mail\npassword = {PASSWORD}\ndbname = postgres\n"


def pgsql_table(folder, server, parameters=PLAIN, hosts=None, login=LOGIN, name="pgsql.cf"):
    text = f"{login}hosts = {hosts or f'unix:{server.dir}'}\n{parameters}"
    path = folder.write(name, text.replace("FOLDER", str(folder.dir)))
    path.chmod(0o600)
    return f"pgsql:{path}"


def quick(folder, seconds=2):
    """A configuration that does not wait long."""
    folder.write("main.cf", f"compatibility_level = 3.6\nhopseal_table_timeout = {seconds}s\n")


def took(began, least, most):
    """Bounds on the time since `began`; the upper one for loaded machines."""
    return least <= time.monotonic() - began < most


@pytest.mark.parametrize("form", [*FORMS, "function"])
def test_pgsql_answers_as_in_postfix(folder, server, form):
    needs_postmap("pgsql")
    folder.write("domains", "mail.example.org !example.org\n")
    parameters = {**FORMS, "function": "select_function = find"}[form]
    # This Postfix asks in LATIN1; since 3.8 the encoding is UTF-8, as here.
    keys = [key for key in KEYS if key.isascii()]
    values = folder.agree_on_all(pgsql_table(folder, server, parameters), keys)
    if form == "plain":
        assert values["o'hara.example"] == "verify"
        assert values["x' or '1'='1"] == "injected"
        assert values["back\\'both"] == "two"
        assert values["two"] == "first,second"
        assert "void.example" not in values and "null.example" not in values
    if form == "two columns":
        assert values["example.com"] == "encrypt,protocols=>=TLSv1.2"


def test_letters_beyond_ascii(folder, server):
    spec = pgsql_table(folder, server)
    assert folder.hopseal("query", spec, "BÜCHER.example").stdout == "ünïcode\n"
    latin = pgsql_table(folder, server, f"{PLAIN}\nencoding = LATIN1", name="latin.cf")
    assert folder.hopseal("query", latin, "example.com").stdout == "encrypt\n"
    assert folder.hopseal("query", latin, "bücher.example").returncode == 1


URI = f"postgresql://mail:{PASSWORD.replace(' ', '%20')}@{ADDRESS}:{PORT}/postgres"


@pytest.mark.parametrize(
    "hosts,login",
    [
        ("FOLDER", LOGIN),
        ("unix:FOLDER", LOGIN),
        (f"inet:{ADDRESS}:{PORT}", LOGIN),
        (f"{ADDRESS}:{PORT}", LOGIN),
        (ADDRESS, LOGIN),
        (URI, "dbname = unused\n"),
        (f"{URI}?connect_timeout=3&sslmode=disable", "dbname = unused\n"),
        (f"postgres://{ADDRESS}/postgres?user=mail&password=open%20sesame", ""),
    ],
)
def test_hosts_as_in_postfix(folder, server, hosts, login):
    needs_postmap("pgsql")
    hosts = hosts.replace("FOLDER", str(server.dir))
    spec = pgsql_table(folder, server, hosts=hosts, login=login)
    if hosts.startswith("postgres://"):  # this Postfix knows one of the two names
        assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
    else:
        assert folder.agree(spec, "example.com") == "encrypt"


def test_limit(folder, server):
    spec = pgsql_table(folder, server, f"{PLAIN}\nexpansion_limit = 1")
    assert folder.agree(spec, "example.com") == "encrypt"
    done = folder.hopseal("query", spec, "two")
    assert done.returncode == 75 and "expansion_limit" in done.stderr
    everything = "query = SELECT repeat(value, 100000) FROM policy, generate_series(1, 1000)"
    spec = pgsql_table(folder, server, everything)
    done = folder.hopseal("query", spec, "two")
    assert done.returncode == 75 and "too long" in done.stderr


@pytest.mark.parametrize(
    "parameters,hosts,login,said",
    [
        ("query = SELECT x FROM missing WHERE y = '%s'", None, LOGIN, "42P01"),
        ("query = SELEC '%s'", None, LOGIN, "syntax error"),
        ("query = COPY policy TO STDOUT", None, LOGIN, "none to a query"),
        ("query = SELECT 1 / 0 WHERE '%s' <> ''", None, LOGIN, "division by zero"),
        (PLAIN, None, LOGIN.replace("sesame", "barley"), "authentication failed"),
        (PLAIN, None, LOGIN.replace("postgres", "other"), "does not exist"),
        (PLAIN, "/nowhere", LOGIN, "/nowhere"),
        (PLAIN, f"{ADDRESS}:{NOBODY}", LOGIN, "refused"),
        (PLAIN, f"postgresql://mail:barley@{ADDRESS}/postgres", "", "authentication failed"),
        (PLAIN, f"postgresql://mail:sesame@[{ADDRESS}/postgres", "", "URI"),
        (PLAIN, f"postgresql://mail:open sesame@{ADDRESS}/postgres", LOGIN, "no connection URI"),
        (PLAIN, None, LOGIN.replace("dbname = postgres\n", ""), '"dbname" is missing'),
        ("", None, LOGIN, '"query" is missing'),
        (f"{PLAIN}\nretry_interval = 0", None, LOGIN, "retry_interval"),
    ],
)
def test_what_is_broken_fails(hopseal, folder, server, parameters, hosts, login, said):
    spec = pgsql_table(folder, server, parameters, hosts=hosts, login=login)
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and said in done.stderr, done
    assert took(began, 0, 8)
    told = hopseal.configure(smtp_tls_policy_maps=spec).check().out + done.stderr
    assert "sesame" not in told and "barley" not in told


def test_findings(hopseal, folder, server):
    spec = pgsql_table(
        folder, server, "query = SELECT value FROM policy WHERE key = %s\nhost = localhost\n"
    )
    for path, secret in [(folder.dir / "pgsql.cf", True), (folder.dir / "uri.cf", True)]:
        if path.name == "uri.cf":
            pgsql_table(folder, server, hosts=URI, login="", name="uri.cf")
        for mode in (0o644, 0o640):
            path.chmod(mode)
            p = hopseal.configure(smtp_tls_policy_maps=f"pgsql:{path}")
            found = p.check().json["findings"]
            assert all(f["severity"] == "warning" for f in found)
            codes = {f["code"]: f["line"] for f in found}
            assert ("table-readable-by-all" in codes) == (secret and mode == 0o644)
            if path.name == "pgsql.cf":
                assert codes["table-query-bare"] == 5 and codes["table-parameter-unknown"] == 6
    assert spec


def test_stopped_and_started_again(folder, server):
    spec = pgsql_table(folder, server)
    with folder.start(spec) as child:
        assert folder.ask(child, "example.com") == "encrypt"
        server.stop()
        began = time.monotonic()
        done = folder.hopseal("query", spec, "example.com")
        assert done.returncode == 75 and took(began, 0, 9), done
        assert str(server.dir) in done.stderr
        server.start()
        assert folder.ask(child, "example.com") == "encrypt", "on a new connection"
        server.stop()
        began = time.monotonic()
        assert folder.ask(child, "example.com") == ""
        _, told = child.communicate(timeout=10)
        assert child.returncode == 75 and took(began, 0, 9), told
    server.start()
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"


def test_frozen(folder, server):
    quick(folder)
    spec = pgsql_table(folder, server)
    with folder.start(spec) as child:
        assert folder.ask(child, "example.com") == "encrypt"
        server.freeze()
        try:
            began = time.monotonic()
            assert folder.ask(child, "example.com") == ""
            _, told = child.communicate(timeout=20)
            assert child.returncode == 75 and "in time" in told
            assert took(began, 1.5, 9)
            for hosts in (f"unix:{server.dir}", f"{ADDRESS}:{PORT}"):
                began = time.monotonic()
                spec = pgsql_table(folder, server, hosts=hosts)
                done = folder.hopseal("query", spec, "example.com")
                assert done.returncode == 75 and "in time" in done.stderr
                assert took(began, 1.5, 9)
        finally:
            server.thaw()
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"


def test_a_query_that_takes_too_long(folder, server):
    quick(folder, 1)
    spec = pgsql_table(folder, server, "query = SELECT pg_sleep(30) WHERE '%s' <> ''")
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and took(began, 0.9, 15)


@contextlib.contextmanager
def silent_server(port):
    """Accepts, and says nothing."""
    with socket.create_server((ADDRESS, port)) as s:
        yield s


def test_other_servers_are_tried(folder, server):
    spec = pgsql_table(folder, server, hosts=f"{ADDRESS}:{NOBODY}, {ADDRESS}:{PORT}")
    with folder.start(spec) as child:
        for key, value, _ in ROWS[:2]:
            assert folder.ask(child, key) == value
        child.stdin.close()
        assert child.wait(10) == 0
    quick(folder, 4)
    with silent_server(NOBODY):
        for _ in range(3):  # which of them is first is a matter of chance
            assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
        first = f"{ADDRESS}:{NOBODY} postgresql://{URI.partition('://')[2]}"
        spec = pgsql_table(folder, server, hosts=first)
        with folder.start(spec) as child:
            began = time.monotonic()
            assert folder.ask(child, "example.com") == "encrypt"
            assert took(began, 1.5, 6), "half of the time for the first one"
            began = time.monotonic()
            for _ in range(100):
                assert folder.ask(child, "example.com") == "encrypt"
            assert took(began, 0, 20), "that one is known to be down"


def test_many_keys_at_once(folder, server):
    keys = [key for key, _, _ in ROWS] * 50
    done = folder.hopseal("query", pgsql_table(folder, server), "-", input="\n".join(keys))
    assert done.returncode == 0 and done.stdout.count("\n") == 50 * (len(ROWS) - 2)


def test_decision_by_pgsql(hopseal, folder, server):
    server.execute("DELETE FROM policy WHERE key = 'good.example'")
    server.execute("INSERT INTO policy VALUES (0, 'good.example', 'encrypt', NULL)")
    spec = pgsql_table(folder, server)
    hopseal.configure(smtp_tls_policy_maps=spec)
    assert hopseal.explain("good.example").decision["level"] == "encrypt"
    server.stop()
    try:
        explained = hopseal.explain("good.example")
    finally:
        server.start()
    assert explained.decision["level"] == "invalid" and "4.7.5" in explained.out
    assert "sesame" not in explained.out + explained.err
