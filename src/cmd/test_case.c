/* Reads a case of a policy test; strict, for a member that is misspelt would test nothing. */

#include "base/limits.h"
#include "cmd/test_inside.h"

enum case_kind { CASE_STR, CASE_BOOL, CASE_PORT, CASE_TEXTS, CASE_FACTS, CASE_OBJECT, CASE_ANY };

static const struct case_member {
	struct str name;
	enum case_kind kind;
} case_members[] = {
	{ STR_INIT("id"), CASE_STR },
	{ STR_INIT("class"), CASE_ANY },
	{ STR_INIT("comment"), CASE_ANY },
	{ STR_INIT("quirk"), CASE_ANY },
	{ STR_INIT("config"), CASE_TEXTS },
	{ STR_INIT("tables"), CASE_TEXTS },
	{ STR_INIT("nexthop"), CASE_STR },
	{ STR_INIT("host"), CASE_STR },
	{ STR_INIT("address"), CASE_STR },
	{ STR_INIT("port"), CASE_PORT },
	{ STR_INIT("tls_required_no"), CASE_BOOL },
	{ STR_INIT("requiretls"), CASE_BOOL },
	{ STR_INIT("facts"), CASE_FACTS },
	{ STR_INIT("expect"), CASE_OBJECT },
};

static const char *const case_wanted[] = {
	[CASE_STR] = "a string",
	[CASE_BOOL] = "true or false",
	[CASE_PORT] = "a port number or null",
	[CASE_TEXTS] = "an object of strings",
	[CASE_FACTS] = "an array",
	[CASE_OBJECT] = "an object",
	[CASE_ANY] = "",
};

static bool is_texts(const struct json_node *n)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;

	if (json_kind_of(n) != JSON_KIND_OBJECT)
		return false;
	while (json_member_next(n, &at, &name, &value))
		if (json_kind_of(value) != JSON_KIND_STR)
			return false;
	return true;
}

static bool is_port(const struct json_node *n)
{
	int64_t port;

	return json_is_none(n, "") || (json_get_int(n, "", &port) && port > 0 && port <= 65535);
}

static bool is_of_kind(const struct json_node *n, enum case_kind kind)
{
	switch (kind) {
	case CASE_STR:
		return json_kind_of(n) == JSON_KIND_STR;
	case CASE_BOOL:
		return json_kind_of(n) == JSON_KIND_BOOL;
	case CASE_PORT:
		return is_port(n);
	case CASE_TEXTS:
		return is_texts(n);
	case CASE_FACTS:
		return json_kind_of(n) == JSON_KIND_ARRAY;
	case CASE_OBJECT:
		return json_kind_of(n) == JSON_KIND_OBJECT;
	case CASE_ANY:
		return true;
	}
	CHECK(!"a member of no kind");
}

static bool check_member(struct str name, const struct json_node *value, struct error *e)
{
	for (size_t i = 0; i < ARRAY_LEN(case_members); i++) {
		const struct case_member *m = &case_members[i];
		if (str_eq(m->name, name))
			return is_of_kind(value, m->kind) ||
			       error_set(e, ERROR_DATA, STR_FMT ": %s is wanted", STR_ARG(name),
					 case_wanted[m->kind]);
	}
	return error_set(e, ERROR_DATA, "a case has no member \"" STR_FMT "\"", STR_ARG(name));
}

/* A table's name becomes a file's. */
static bool is_table_name(struct str name)
{
	if (name.n == 0 || name.n > 64 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !str_contains(STR("_-."), name.p[i]))
			return false;
	return true;
}

static bool check_tables(const struct test_case *c, struct error *e)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;

	if (c->tables && !c->config)
		return error_set(e, ERROR_DATA, "tables are of no use without config");
	while (json_member_next(c->tables, &at, &name, &value))
		if (!is_table_name(name))
			return error_set(e, ERROR_DATA,
					 "tables: a name is made of letters, digits, \"_\", \"-\" "
					 "and \".\"");
	return true;
}

static bool check_subject(const struct json_node *root, const struct test_case *c, struct error *e)
{
	bool has_address = json_member(root, STR("address")) != NULL;
	bool has_nexthop = json_member(root, STR("nexthop")) != NULL;

	if (has_address == has_nexthop)
		return error_set(e, ERROR_DATA,
				 has_address ? "address and nexthop exclude each other"
					     : "nexthop or address is missing");
	if (has_address && c->address.n == 0)
		return error_set(e, ERROR_DATA, "address: it is empty");
	if (c->nexthop.n > NEXTHOP_MAX || c->address.n > NEXTHOP_MAX || c->host.n > NEXTHOP_MAX)
		return error_set(e, ERROR_DATA, "a name is longer than %d octets", NEXTHOP_MAX);
	return true;
}

static struct str case_str(const struct json_node *root, const char *name)
{
	struct str s = STR("");

	return json_get_str(root, name, &s) ? s : STR("");
}

static bool case_bool(const struct json_node *root, const char *name)
{
	bool is_set = false;

	return json_get_bool(root, name, &is_set) && is_set;
}

bool test_case_read(const struct json_node *root, struct test_case *c, struct error *e)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;
	int64_t port = 0;

	if (json_kind_of(root) != JSON_KIND_OBJECT)
		return error_set(e, ERROR_DATA, "a case is an object, not %s",
				 json_kind_name(json_kind_of(root)));
	while (json_member_next(root, &at, &name, &value))
		if (!check_member(name, value, e))
			return false;
	c->id = case_str(root, "id");
	c->config = json_member(root, STR("config"));
	c->tables = json_member(root, STR("tables"));
	c->facts = json_member(root, STR("facts"));
	c->expect = json_member(root, STR("expect"));
	c->address = case_str(root, "address");
	c->nexthop = case_str(root, "nexthop");
	c->host = case_str(root, "host");
	c->port = json_get_int(root, "port", &port) ? (uint16_t)port : 0;
	c->has_tls_required_no = case_bool(root, "tls_required_no");
	c->has_requiretls = case_bool(root, "requiretls");
	if (c->id.n == 0)
		return error_set(e, ERROR_DATA, "id is missing");
	if (!c->expect || json_count(c->expect) == 0)
		return error_set(e, ERROR_DATA, "expect is missing, or names nothing");
	return check_tables(c, e) && check_subject(root, c, e);
}
