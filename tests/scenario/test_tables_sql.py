"""Tables that ask a database: `hopseal query` answers what Debian's `postmap -q` does."""

import itertools
import os
import sqlite3
import time

import pytest
from lab.tables import needs_postmap

# key, value, another column
ROWS = [
    ("example.com", "encrypt", "protocols=>=TLSv1.2"),
    ("o'hara.example", "verify", None),
    ('"quoted"', "double", None),
    ("back\\slash", "one", None),
    ("back\\'both", "two", None),
    ("per%cent", "percent", None),
    ("bücher.example", "ünïcode", None),
    ("void.example", "", None),
    ("null.example", None, "second"),
    ("semi;colon", "semicolon", None),
    ("a -- comment", "comment", None),
    ("x' OR '1'='1", "injected", None),
    ("dollar$1$$", "$$dollar", None),
    ("5", "number", None),
    ("two", "first", None),
    ("two", "", None),
    ("two", "second", None),
    ("two", None, None),
    ("alice@example.com", "alice@example.net", None),
    ("alice@bad", "no address", None),
    ("bob@mail.example.org", "@nobody", None),
    ("carol@mail.example.org", "carol@", None),
    ("quoted value", "it's \"quoted\" \\ and, more", None),
]

KEYS = [
    *dict.fromkeys(key for key, _, _ in ROWS),
    "EXAMPLE.COM",
    "BÜCHER.example",
    "nothing",
    "' OR '1'='1",
    "\\' OR 1=1 --",
    "'",
    "''",
    "\\",
    "%s",
    "*",
    "@example.com",
    "alice@",
    "@",
    "a@b@example.com",
    "carol@org",
    "x@..",
    "x@a..b",
    "x@example.com.",
    "x@.com",
    "line\nend",
    "k" * 3000,
]

# The parameters beside those that say where the database is.
PLAIN = "query = SELECT value FROM policy WHERE key = '%s' ORDER BY n"
FORMS = {
    "plain": PLAIN,
    "format": f"{PLAIN}\nresult_format = <%s|%S>",
    "format of addresses": f"{PLAIN}\nresult_format = %u at %d",
    "format with the key's parts": f"{PLAIN}\nresult_format = %s %U %D",
    "format with the key's labels": f"{PLAIN}\nresult_format = %2.%1=%s",
    "constant format": f"{PLAIN}\nresult_format = 100%%",
    "local part": "query = SELECT value FROM policy WHERE key LIKE '%u%%' ORDER BY n",
    "domain": "query = SELECT value FROM policy WHERE key = '%d' ORDER BY n",
    "labels": "query = SELECT value FROM policy WHERE key = '%2' || '.%1' ORDER BY n",
    "capitals": "query = SELECT '%S %U %D'",
    "only domains": f"{PLAIN}\ndomain = example.com, nothing.example",
    "all but one": f"{PLAIN}\ndomain = !example.com static:yes",
    "a list in tables": f"{PLAIN}\ndomain = inline:{{example.com=x}} FOLDER/domains",
    "continued": "# comment\nquery = SELECT value\n  FROM policy\n# more\n\n"
    "  WHERE key = '%s' ORDER BY n",
    "old": "table = policy\nselect_field = value\nwhere_field = key\n"
    "additional_conditions = AND value <> 'percent' ORDER BY n",
    "two columns": "query = SELECT value, more FROM policy WHERE key = '%s' ORDER BY n",
    "a number": "query = SELECT n FROM policy WHERE key = '%s' ORDER BY n",
    "constant": "query = SELECT 'always'",
    "no row": "query = SELECT value FROM policy WHERE 1 = 0",
    "many": "query = SELECT key FROM policy WHERE key <> '%s' ORDER BY n",
}


def fill(execute, parameter):
    execute("CREATE TABLE policy (n INTEGER, key TEXT, value TEXT, more TEXT)")
    for n, row in enumerate(ROWS):
        execute(f"INSERT INTO policy VALUES ({', '.join([parameter] * 4)})", (n, *row))


@pytest.fixture
def database(folder):
    """An SQLite file with the rows."""
    path = folder.dir / "policy.db"
    with sqlite3.connect(path) as db:
        fill(db.execute, "?")
    return path


def sqlite_table(folder, parameters=PLAIN, name="table.cf"):
    text = parameters.replace("FOLDER", str(folder.dir))
    return f"sqlite:{folder.write(name, f'dbpath = {folder.dir}/policy.db{chr(10)}{text}')}"


def ask_all(folder, spec, keys):
    """Values by key, as both programs give them."""
    return {key: folder.agree(spec, key) for key in keys}


@pytest.mark.parametrize("form", FORMS)
def test_sqlite_answers_as_in_postfix(folder, database, form):
    needs_postmap("sqlite")
    folder.write("domains", "# those\nmail.example.org !example.org\n")
    values = ask_all(folder, sqlite_table(folder, FORMS[form]), KEYS)
    if form == "plain":
        assert values["EXAMPLE.COM"] == "encrypt"
        assert values["o'hara.example"] == "verify"
        assert values["two"] == "first,second"
        assert values["void.example"] is values["null.example"] is None
    if form == "a list in tables":
        assert {key for key, value in values.items() if value} == {
            "alice@example.com", "bob@mail.example.org", "carol@mail.example.org"
        }


@pytest.mark.parametrize("limit,key", itertools.product([1, 2, 3], ["two", "example.com"]))
def test_more_values_than_the_limit_fail(folder, database, limit, key):
    needs_postmap("sqlite")
    spec = sqlite_table(folder, f"{PLAIN}\nexpansion_limit = {limit}")
    if key == "two" and limit == 1:
        done = folder.hopseal("query", spec, key)
        assert done.returncode == 75 and "expansion_limit" in done.stderr
        assert folder.postmap("-q", key, spec).returncode != 0
    else:
        assert folder.agree(spec, key) is not None


def test_parameters_in_main_cf(folder, database):
    needs_postmap("sqlite")
    folder.write(
        "main.cf",
        f"compatibility_level = 3.6\nwhere = WHERE key = '%s'\nlocal_dbpath = {database}\n"
        "local_query = SELECT value FROM policy $where\nlocal_result_format = (%s)\n",
    )
    assert folder.agree("sqlite:local", "example.com") == "(encrypt)"
    assert folder.hopseal("query", "sqlite:remote", "example.com").returncode == 75


# What is wrong, and a part of what is said about it. The lookup fails; it never finds nothing.
BROKEN = [
    ("dbpath = FOLDER/policy.db", '"query" is missing'),
    ("query = SELECT 1", '"dbpath" is missing'),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%x'", '"%x" means nothing'),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\nresult_format =", "result format"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\nexpansion_limit = x", "not a number"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\ndomain = /nowhere", "/nowhere"),
    ("dbpath = FOLDER/missing.db\nquery = SELECT '%s'", "No such file"),
    ("dbpath = FOLDER\nquery = SELECT '%s'", "Not a regular file"),
    ("dbpath = FOLDER/noise\nquery = SELECT '%s'", "not a database"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT x FROM missing WHERE y = '%s'", "no such table"),
    ("dbpath = FOLDER/policy.db\nquery = SELEC '%s'", "syntax error"),
    ("dbpath = FOLDER/policy.db\nquery = DELETE FROM policy WHERE key = '%s'", "readonly"),
]


@pytest.mark.parametrize("text,said", BROKEN)
def test_what_is_broken_fails(hopseal, folder, database, text, said):
    folder.write("noise", "x" * 5000)
    spec = f"sqlite:{folder.write('t.cf', text.replace('FOLDER', str(folder.dir)))}"
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and said in done.stderr, done
    assert "No such file" in folder.hopseal("query", "sqlite:/missing.cf", "x").stderr
    if said != "readonly":
        checked = hopseal.configure(smtp_tls_policy_maps=spec).check()
        errors = [f for f in checked.json["findings"] if f["severity"] == "error"]
        assert checked.code == 78 and any(said in f["text"] for f in errors), checked


def test_findings(hopseal, folder, database):
    spec = sqlite_table(
        folder,
        "query = SELECT value, more FROM policy WHERE key = '%s' OR key = %u\nquerry = x\n"
        "query = SELECT value, more FROM policy WHERE key = '%s' OR key = '%u' OR n = %s\n"
        "nonsense\n",
    )
    found = hopseal.configure(smtp_tls_policy_maps=spec).check().json["findings"]
    assert {(f["code"], f["line"]) for f in found} == {
        ("table-parameter-unknown", 3),
        ("table-parameter-again", 2),
        ("table-parameter-syntax", 5),
        ("table-query-bare", 4),
    }
    assert all(f["severity"] == "warning" and f["file"].endswith("table.cf") for f in found)
    two = sqlite_table(folder, "query = SELECT 'may', 'none'")
    found = hopseal.configure(smtp_tls_policy_maps=two).check().json["findings"]
    assert [f["code"] for f in found] == ["table-query-constant", "table-query-columns"]
    good = sqlite_table(folder)
    assert hopseal.configure(smtp_tls_policy_maps=good).check().json["findings"] == []


def ask(child, key):
    """One key, which is there, of a `hopseal query TYPE:NAME -` that goes on. "" when it ended."""
    child.stdin.write(f"{key}\n")
    child.stdin.flush()
    return child.stdout.readline().rstrip("\n").partition("\t")[2]


def test_a_file_that_is_replaced_answers(folder, database):
    child = folder.start(sqlite_table(folder))
    assert ask(child, "example.com") == "encrypt"
    with sqlite3.connect(database) as db:
        db.execute("UPDATE policy SET value = 'may' WHERE key = 'example.com'")
    assert ask(child, "example.com") == "may", "changed in place"
    with sqlite3.connect(folder.dir / "new.db") as db:
        db.execute("CREATE TABLE policy (n, key, value)")
        db.execute("INSERT INTO policy VALUES (1, 'example.com', 'none')")
    os.rename(folder.dir / "new.db", database)
    time.sleep(1.1)
    assert ask(child, "example.com") == "none"
    database.unlink()
    time.sleep(1.1)
    assert ask(child, "example.com") == ""
    _, told = child.communicate(timeout=10)
    assert child.returncode == 75 and "No such file" in told


def test_a_locked_file_fails(folder, database):
    spec = sqlite_table(folder)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert time.monotonic() - began < 3
    assert done.returncode == 75 and "locked" in done.stderr
    writer.execute("COMMIT")
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN EXCLUSIVE")
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
    writer.close()


def test_a_query_without_end_is_cut_off(folder, database):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    spec = sqlite_table(folder, f"query = {endless} WHERE x = '%s'")
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and "longer than 1000 ms" in done.stderr
    assert 0.9 < time.monotonic() - began < 5


def test_a_damaged_file_fails(folder, database):
    octets = bytearray(database.read_bytes())
    octets[4096:] = b"\xa5" * (len(octets) - 4096)
    database.write_bytes(octets)
    done = folder.hopseal("query", sqlite_table(folder), "example.com")
    assert done.returncode == 75 and "malformed" in done.stderr


def test_decision_by_sqlite(hopseal, folder, database):
    with sqlite3.connect(database) as db:
        db.execute("INSERT INTO policy VALUES (0, 'good.example', 'encrypt', NULL)")
    hopseal.configure(smtp_tls_policy_maps=sqlite_table(folder))
    assert hopseal.explain("good.example").decision["level"] == "encrypt"
    database.unlink()
    explained = hopseal.explain("good.example")
    assert "No such file" in explained.out
    assert explained.decision["level"] == "invalid" and "4.7.5" in explained.out
