/* Runs recorded TLS policy decisions against lib/policy, from main.cf text to decision, with real
 * tables: policy_vectors_test FILE. Speaks TAP; README.md says what a line of FILE holds. */

#include "policy_expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "table/table.h"
#include "tls/tls.h"

#define FILE_MAX (64u * 1024 * 1024)

static bool get_bool(const struct json_node *n, const char *path)
{
	bool v = false;

	return json_get_bool(n, path, &v) && v;
}

/* Tables are files, and "@NAME@" in a setting stands for the path of one. */

static void table_path(const struct run *r, struct str name, char *out, size_t size)
{
	snprintf(out, size, "%s/" STR_FMT, r->dir, STR_ARG(name));
}

/* Written long ago, as far as anybody can see: of a file that may still be being written, the first
 * look waits. */
static void write_table(const struct run *r, struct str name, struct str text)
{
	const struct timespec old[] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	char path[256];
	FILE *f;

	table_path(r, name, path, sizeof(path));
	f = fopen(path, "w");
	if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0 ||
	    utimensat(AT_FDCWD, path, old, 0) != 0) {
		perror(path);
		exit(1);
	}
}

static void
each_table(const struct run *r, void (*each)(const struct run *, struct str, struct str))
{
	const struct json_node *tables = json_at(r->c, "tables"), *text;
	void *at = NULL;
	struct str name;

	while (json_member_next(tables, &at, &name, &text))
		each(r, name, run_str(text, ""));
}

static void remove_table(const struct run *r, struct str name, struct str text)
{
	char path[256];

	(void)text;
	table_path(r, name, path, sizeof(path));
	unlink(path);
}

static bool is_table(const struct run *r, struct str name)
{
	return str_eq(name, STR("missing")) || json_member(json_at(r->c, "tables"), name);
}

static void add(struct buf *b, struct str s)
{
	if (!buf_add(b, s))
		abort();
}

static void add_value(const struct run *r, struct buf *out, struct str value)
{
	struct str before, rest, name, after;
	char path[256];

	while (str_cut(value, '@', &before, &rest)) {
		add(out, before);
		if (str_cut(rest, '@', &name, &after) && is_table(r, name)) {
			table_path(r, name, path, sizeof(path));
			add(out, str_of(path));
			value = after;
		} else {
			add(out, STR("@"));
			value = rest;
		}
	}
	add(out, value);
}

static void make_main_cf(const struct run *r, struct buf *out)
{
	const struct json_node *value;
	void *at = NULL;
	struct str name;

	add(out, STR("myhostname = client.example.net\ninet_protocols = all\n"));
	while (json_member_next(json_at(r->c, "config"), &at, &name, &value)) {
		add(out, name);
		add(out, STR(" = "));
		add_value(r, out, run_str(value, ""));
		add(out, STR("\n"));
	}
}

/* False: the configuration was refused. */
static bool start(struct run *r)
{
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct conf_source source = { .file = STR("main.cf") };
	struct conf_findings findings;
	struct error e = { .kind = ERROR_NONE };
	struct buf text;

	buf_init(&text, CONF_FILE_MAX);
	make_main_cf(r, &text);
	source.text = arena_str(r->a, buf_str(&text));
	buf_fini(&text);
	r->conf = conf_new(&source, 1, &machine, r->a, &findings);
	r->policy = r->conf ? policy_config_new(r->a, r->conf, &e) : NULL;
	return r->policy != NULL;
}

static void ask_trust_anchors(struct run *r, const struct question *q, struct answer *answer)
{
	struct error e;
	size_t n;

	*answer = (struct answer){ .status = ANSWER_FAILED };
	if (tls_trust_anchors_count(q->name, &n, &e)) {
		answer->status = ANSWER_FOUND;
		answer->value = arena_fmt(r->a, "%zu", n);
	} else {
		answer->failure = arena_str(r->a, error_text(&e));
	}
}

/* A step must not depend on anything but its arguments, nor ask what is answered. */
static bool
ask(struct run *r, struct tables *tables, struct fact_list *facts, const struct question *q)
{
	struct table_query query = { .arena = r->a, .key = q->name, .is_partial = q->is_partial };
	struct answer answer;

	if (fact_find(fact_list_set(facts), q)) {
		run_differ(r, "asked twice for \"" STR_FMT "\"", STR_ARG(q->name));
		return false;
	}
	if (q->kind == QUESTION_TRUST_ANCHORS) {
		ask_trust_anchors(r, q, &answer);
	} else if (tables_lookup(tables, q->table, &query, &answer)) {
		run_differ(r, "the table does not answer at once");
		return false;
	}
	fact_list_add(facts, q, &answer);
	return true;
}

static bool decide(struct run *r)
{
	struct table_options options = { .is_utf8 = conf_bool(r->conf, CONF_smtputf8_enable) };
	struct tables *tables = tables_new(&options);
	struct fact_list *facts = fact_list_new(r->a);
	struct policy_step step;
	int asked = 0;

	tables_open(tables, STR("smtp_tls_per_site"), conf_str(r->conf, CONF_smtp_tls_per_site), 0);
	tables_open(tables, STR("smtp_tls_policy_maps"),
		    conf_str(r->conf, CONF_smtp_tls_policy_maps), 0);
	for (;;) {
		step = policy_step(r->a, r->policy, &r->subject, fact_list_set(facts));
		if (step.kind == POLICY_DECIDED || asked++ == POLICY_ASKS_MAX ||
		    !ask(r, tables, facts, &step.u.ask))
			break;
	}
	tables_free(tables);
	if (step.kind != POLICY_DECIDED) {
		run_differ(r, "no decision after %d questions", asked - 1);
		return false;
	}
	r->d = step.u.decided;
	return true;
}

static bool make_subject(struct run *r)
{
	r->subject = (struct policy_subject){
		.nexthop = run_str(r->c, "nexthop"),
		.host = run_str(r->c, "host"),
		.has_tls_required_no = get_bool(r->c, "tls_required_no"),
		.has_requiretls = get_bool(r->c, "requiretls"),
	};
	r->is_nexthop_ok =
		nexthop_parse(r->subject.nexthop, 25, conf_bool(r->conf, CONF_smtputf8_enable),
			      &r->nexthop) == NEXTHOP_OK;
	r->subject.port = r->nexthop.port;
	return r->is_nexthop_ok;
}

static void run(struct run *r)
{
	struct str fatal = run_str(r->c, "expect.error.fatal"), quirk = run_str(r->c, "quirk");
	bool is_started = start(r);

	if (str_eq(fatal, STR("startup")) == is_started && !quirk.n) {
		run_differ(r, is_started ? "started, want a fatal configuration error"
					 : "the configuration was refused");
		return;
	}
	if (!is_started)
		return;
	if (make_subject(r) == str_eq(fatal, STR("nexthop"))) {
		run_differ(r, r->is_nexthop_ok ? "the next-hop was taken, want it refused"
					       : "the next-hop was refused");
		return;
	}
	if (!r->is_nexthop_ok || !decide(r))
		return;
	if (quirk.n)
		run_compare_quirk(r, quirk);
	else
		run_compare(r);
}

/* True when nothing differs. */
static bool run_case(const struct json_node *c, const char *dir)
{
	struct run r = { .c = c, .a = arena_new() };
	bool is_good;

	snprintf(r.dir, sizeof(r.dir), "%s", dir);
	buf_init(&r.differences, 64u * 1024);
	each_table(&r, write_table);
	run(&r);
	each_table(&r, remove_table);
	is_good = buf_len(&r.differences) == 0;
	printf(STR_FMT, STR_ARG(buf_str(&r.differences)));
	buf_fini(&r.differences);
	conf_unref(r.conf);
	arena_free(r.a);
	return is_good;
}

static struct str read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char *p;
	size_t n;

	buf_init(out, FILE_MAX);
	while (f && (p = buf_reserve(out, 65536)) && (n = fread(p, 1, 65536, f)) > 0)
		buf_filled(out, n);
	if (!f || ferror(f) || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
	return buf_str(out);
}

static unsigned run_all(struct str text, const char *dir, unsigned *failed)
{
	unsigned cases = 0, line = 0;
	struct json_doc *doc;
	struct error e;

	while ((doc = json_line_next(&text, &line, &e))) {
		const struct json_node *c = json_doc_root(doc);
		bool is_good = run_case(c, dir);

		cases++;
		*failed += !is_good;
		printf("%s %u - " STR_FMT " " STR_FMT "\n", is_good ? "ok" : "not ok", cases,
		       STR_ARG(run_str(c, "id")), STR_ARG(run_str(c, "class")));
		json_doc_free(doc);
	}
	if (e.kind != ERROR_NONE) {
		printf("Bail out! line %u: %s\n", line, e.text);
		exit(1);
	}
	return cases;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/policy_vectors.XXXXXX";
	unsigned cases, failed = 0;
	struct buf file;

	if (argc != 2 || !mkdtemp(dir)) {
		fprintf(stderr, "usage: policy_vectors_test FILE\n");
		return 64;
	}
	cases = run_all(read_file(argv[1], &file), dir, &failed);
	printf("1..%u\n# %u cases, %u failed\n", cases, cases, failed);
	buf_fini(&file);
	rmdir(dir);
	return cases == 0 || failed > 0;
}
