#include "base/test.h"
#include "sql/pgsql.h"

static const struct pgsql_login login = {
	.dbname = STR_INIT("mail"),
	.user = STR_INIT("mailer"),
	.password = STR_INIT("sesame"),
	.encoding = STR_INIT("UTF8"),
};

TEST(pgsql_servers)
{
	static const struct {
		struct str host;
		enum pgsql_kind kind;
		bool has_password;
		struct str name;
	} cases[] = {
		{ STR_INIT("localhost"), PGSQL_INET, true, STR_INIT("localhost") },
		{ STR_INIT("db.example:5433"), PGSQL_INET, true, STR_INIT("db.example:5433") },
		{ STR_INIT("inet:db.example:5433"), PGSQL_INET, true, STR_INIT("db.example:5433") },
		{ STR_INIT("inet:[::1]:5433"), PGSQL_INET, true, STR_INIT("[::1]:5433") },
		{ STR_INIT("/run/postgresql"), PGSQL_UNIX, true, STR_INIT("/run/postgresql") },
		{ STR_INIT("unix:/run/postgresql"), PGSQL_UNIX, true, STR_INIT("/run/postgresql") },
		{ STR_INIT("postgresql://u:p@db.example:1/x"), PGSQL_URI, true,
		  STR_INIT("postgresql://db.example") },
		{ STR_INIT("postgres:///x?host=/run&user=u"), PGSQL_URI, false,
		  STR_INIT("postgresql:///run") },
	};
	struct error e = { 0 };

	FOR_EACH(c, cases) {
		struct str host = test_exact(c->host);
		struct pgsql_server *s = pgsql_server_new(host, &login, &e);
		free((char *)host.p);
		ok(s != NULL, e.text);
		ok(pgsql_server_kind(s) == c->kind, c->host.p);
		ok(pgsql_server_has_password(s) == c->has_password, c->host.p);
		ok_str(pgsql_server_name(s), c->name, c->host.p);
		pgsql_server_free(s);
	}
}

TEST(pgsql_servers_that_are_none)
{
	static const struct str hosts[] = {
		STR_INIT("postgresql://u:sesame@[db.example/x"),
		STR_INIT("postgresql://u:sesame@db.example/x?nonsense=1"),
		STR_INIT("postgresql://u:%zzsesame@db.example/x"),
		STR_INIT("u:sesame@db.example"),
		STR_INIT("postgresql:/u:sesame@db.example"),
	};

	FOR_EACH(host, hosts) {
		struct error e = { 0 };
		size_t at;
		ok(pgsql_server_new(*host, &login, &e) == NULL, host->p);
		ok(e.kind == ERROR_CONFIG && !str_search(error_text(&e), STR("sesame"), &at),
		   e.text);
	}
}

/* No socket is below a folder that is not there. */
TEST(pgsql_no_server)
{
	static const struct str hosts[] = {
		STR_INIT("/nowhere"),
		STR_INIT("postgresql://u:sesame@/x?host=/nowhere"),
	};

	FOR_EACH(host, hosts) {
		struct error e = { 0 };
		struct pgsql_server *s = pgsql_server_new(*host, &login, &e);
		size_t at;
		ok(s != NULL, e.text);
		struct pgsql *p = pgsql_start(s, &e);
		ok(p == NULL || pgsql_connect(p, &e) == PGSQL_FAILED, host->p);
		ok(e.kind == ERROR_TEMP && str_search(error_text(&e), STR("/nowhere"), &at),
		   e.text);
		ok(!str_search(error_text(&e), STR("sesame"), &at), e.text);
		pgsql_close(p);
		pgsql_server_free(s);
	}
}

TEST_MAIN(RUN(pgsql_servers), RUN(pgsql_servers_that_are_none), RUN(pgsql_no_server))
