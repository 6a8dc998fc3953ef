"""What databases hold in the tests, and the queries and keys that they are asked."""

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
    ("x' or '1'='1", "injected", None),
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
    "many": "query = SELECT key FROM policy WHERE key <> '%s' AND n > 6 ORDER BY n",
}


def fill(execute, parameter):
    execute("CREATE TABLE policy (n INTEGER, key TEXT, value TEXT, more TEXT)")
    for n, row in enumerate(ROWS):
        execute(f"INSERT INTO policy VALUES ({', '.join([parameter] * 4)})", (n, *row))
