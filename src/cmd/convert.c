/* hopseal convert: from smtp_tls_per_site and the parameters of its time to smtp_tls_policy_maps,
 * with the proof that both configurations decide the same. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/limits.h"
#include "cmd/convert_inside.h"
#include "mail/nexthop.h"
#include "os/os.h"

enum {
	CONVERT_UNEXPLAINED = 1,
	CONVERT_IMPOSSIBLE = 2,
	CONVERT_REPORT_MAX = 1024 * 1024 * 1024,
};

static const struct str convert_help = STR_INIT(
	"usage: hopseal convert [-c DIR] [--output DIR [--force]] [options]\n"
	"\n"
	"Turns smtp_tls_per_site, smtp_use_tls, smtp_enforce_tls and smtp_tls_enforce_peername\n"
	"into smtp_tls_policy_maps and smtp_tls_security_level, and proves it: every pair of\n"
	"next-hop and server that matters is decided under both, and each difference is told.\n"
	"Asks no DNS, and never changes what it reads.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"      --output DIR  write main.cf and its new tables there; else nothing is written\n"
	"      --force       replace files that are there\n"
	"      --mx DOMAIN=HOST[:PORT]  mail for DOMAIN goes to HOST: a transport entry with\n"
	"                    brackets says so from then on, and the entry for HOST holds\n"
	"      --pairs HOW   \"every\" pair is decided, or one for each \"class\"; by default\n"
	"                    every pair up to a million, which is the same result\n"
	"      --json        one JSON document\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 no difference, or each explained; 1 differences without an explanation,\n"
	"nothing is written; 2 it cannot be converted; 64 usage; 66 main.cf cannot be read; 73 a\n"
	"file is there, or cannot be made; 78 bad configuration.\n");

/* The new files while they are proved, below $TMPDIR. */
struct stage {
	char folder[1024];
	struct str table, transport;
};

/* ---- files ---- */

static bool write_text(const struct convert *c, struct str path,
		       bool (*text)(const struct convert *c, struct buf *out), struct error *e)
{
	struct buf out;
	bool is_written;

	buf_init(&out, TABLE_FILE_MAX);
	is_written = text(c, &out) ? os_file_write(path.p, buf_str(&out), e)
				   : error_set(e, ERROR_LIMIT, "too large");
	buf_fini(&out);
	return is_written || error_prefix(e, "%s", path.p);
}

static bool
write_tables(const struct convert *c, struct str table, struct str transport, struct error *e)
{
	if (c->has_per_site && !write_text(c, table, convert_table_text, e))
		return false;
	return c->n_routes == 0 || write_text(c, transport, convert_transport_text, e);
}

static struct str path_in(const struct convert *c, const char *dir, const char *name)
{
	return arena_fmt(c->arena, "%s/%s", dir, name);
}

/* A file that may still be being written is waited for: this one is not. */
static void date_long_ago(struct str path)
{
	const struct timespec old[] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };

	(void)utimensat(AT_FDCWD, path.p, old, 0);
}

static bool stage_open(const struct convert *c, struct stage *s, struct error *e)
{
	const char *tmp = getenv("TMPDIR");
	struct str folder = arena_fmt(c->arena, "%s/hopseal-convert.XXXXXX",
				      tmp && tmp[0] == '/' ? tmp : "/tmp");

	if (folder.n >= sizeof(s->folder))
		return error_set(e, ERROR_SYSTEM, "$TMPDIR is too long");
	memcpy(s->folder, folder.p, folder.n + 1);
	if (!mkdtemp(s->folder))
		return error_set(e, ERROR_SYSTEM, "%s: %s", folder.p, strerror(errno));
	s->table = path_in(c, s->folder, CONVERT_TABLE);
	s->transport = path_in(c, s->folder, CONVERT_TRANSPORT);
	if (!write_tables(c, s->table, s->transport, e))
		return false;
	date_long_ago(s->table);
	date_long_ago(s->transport);
	return true;
}

static void stage_close(struct stage *s)
{
	if (s->table.n > 0) {
		unlink(s->table.p);
		unlink(s->transport.p);
	}
	if (s->folder[0])
		rmdir(s->folder);
}

static bool
main_cf_text(const struct convert *c, const char *dir, struct str *text, struct error *e)
{
	struct buf out;
	bool fits;

	buf_init(&out, CONF_FILE_MAX);
	fits = convert_main_cf_text(c, str_of(dir), &out);
	*text = arena_str(c->arena, buf_str(&out));
	buf_fini(&out);
	return fits ||
	       error_set(e, ERROR_LIMIT, "the new main.cf is larger than %d octets", CONF_FILE_MAX);
}

/* ---- the proof ---- */

/* The folder's own path stands in the new main.cf by name: other tables that it names with
 * $config_directory are those of the old folder still. */
static bool open_after(const struct convert *c, const struct stage *s, struct cmd_decider *after,
		       struct error *e)
{
	struct conf_findings findings;
	struct conf *conf;
	struct str text;

	if (!main_cf_text(c, s->folder, &text, e))
		return false;
	conf = cmd_configure_text(&c->sources, text, c->arena, &findings, e);
	if (!conf)
		return error_prefix(e, "the new main.cf");
	return cmd_decider_open(after, conf, e);
}

static bool
prove(struct convert *c, enum convert_pairs pairs, struct convert_proof *proof, struct error *e)
{
	struct stage s = { .folder = "" };
	struct cmd_decider after;
	bool is_proved = false;

	if (stage_open(c, &s, e) && open_after(c, &s, &after, e)) {
		is_proved = convert_prove(c, &after, pairs, proof, e);
		cmd_decider_close(&after);
	}
	stage_close(&s);
	return is_proved;
}

/* ---- the new folder ---- */

static bool is_same_folder(const char *a, const char *b)
{
	struct os_file_id x, y;
	struct error e;

	return os_file_stat(a, &x, &e) && os_file_stat(b, &y, &e) && x.dev == y.dev &&
	       x.ino == y.ino;
}

static bool is_free(const struct convert *c, struct str path)
{
	struct stat st;

	if (c->is_forced || lstat(path.p, &st) != 0)
		return true;
	cmd_say(STR_FMT " is there already; --force replaces it", STR_ARG(path));
	return false;
}

/* Everything that can be in the way is looked at before the first file is written. */
static int check_output(const struct convert *c)
{
	if (!c->output)
		return EX_OK;
	if (mkdir(c->output, 0755) != 0 && errno != EEXIST) {
		cmd_say("%s: %s", c->output, strerror(errno));
		return EX_CANTCREAT;
	}
	if (is_same_folder(c->output, cmd_config_dir(&c->sources))) {
		cmd_say("%s is the folder that is read, and is not changed: name another one",
			c->output);
		return EX_USAGE;
	}
	return is_free(c, path_in(c, c->output, "main.cf")) &&
			       is_free(c, path_in(c, c->output, CONVERT_TABLE)) &&
			       is_free(c, path_in(c, c->output, CONVERT_TRANSPORT))
		       ? EX_OK
		       : EX_CANTCREAT;
}

/* main.cf comes last: it names the others. */
static int write_output(const struct convert *c)
{
	struct str path = path_in(c, c->output, "main.cf"), text;
	struct error e = { 0 };

	if (main_cf_text(c, "$config_directory", &text, &e) &&
	    write_tables(c, path_in(c, c->output, CONVERT_TABLE),
			 path_in(c, c->output, CONVERT_TRANSPORT), &e) &&
	    (os_file_write(path.p, text, &e) || error_prefix(&e, "%s", path.p)))
		return EX_OK;
	cmd_say("%s", e.text);
	return EX_CANTCREAT;
}

/* ---- the report ---- */

static bool print_report(const struct convert *c, const struct convert_proof *proof, int status)
{
	struct buf out;
	bool is_printed;

	buf_init(&out, CONVERT_REPORT_MAX);
	is_printed = c->is_json ? convert_json(&out, c, proof, status)
				: convert_text(&out, c, proof, status);
	if (!is_printed)
		cmd_say("the report has more than %d octets", CONVERT_REPORT_MAX);
	is_printed = is_printed && cmd_print(buf_str(&out));
	buf_fini(&out);
	return is_printed;
}

static int report(const struct convert *c, const struct convert_proof *proof)
{
	int status = EX_OK;

	if (c->is_impossible)
		status = CONVERT_IMPOSSIBLE;
	else if (proof->n_unexplained > 0)
		status = CONVERT_UNEXPLAINED;
	else if (c->output)
		status = write_output(c);
	if (!print_report(c, c->is_impossible ? NULL : proof, status))
		return EX_IOERR;
	return status;
}

/* ---- all of it ---- */

static bool is_anything_set(const struct conf *conf)
{
	static const enum conf_id ids[] = { CONF_smtp_tls_per_site, CONF_smtp_use_tls,
					    CONF_smtp_enforce_tls, CONF_smtp_tls_enforce_peername };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (conf_is_set(conf, ids[i]))
			return true;
	return false;
}

static int convert_opened(struct convert *c, enum convert_pairs pairs)
{
	const struct conf *conf = c->before.site.conf;
	struct convert_proof proof = { .n_pairs = 0 };
	struct error e = { 0 };
	int status;

	if (!is_anything_set(conf)) {
		cmd_say("nothing to convert: main.cf has neither smtp_tls_per_site nor "
			"smtp_use_tls, "
			"smtp_enforce_tls, smtp_tls_enforce_peername");
		return CONVERT_IMPOSSIBLE;
	}
	c->has_per_site = conf_str(conf, CONF_smtp_tls_per_site).n > 0 &&
			  conf_str(conf, CONF_smtp_tls_policy_maps).n == 0;
	map_init(&c->known);
	map_init(&c->plain);
	map_init(&c->kept);
	map_init(&c->served);
	if (c->has_per_site)
		convert_collect(c);
	if (c->is_impossible || prove(c, pairs, &proof, &e))
		status = report(c, &proof);
	else
		status = cmd_fail(&e);
	convert_proof_fini(&proof);
	map_fini(&c->known);
	map_fini(&c->plain);
	map_fini(&c->kept);
	map_fini(&c->served);
	return status;
}

static bool read_main_cf(struct convert *c, struct error *e)
{
	struct str path = path_in(c, cmd_config_dir(&c->sources), "main.cf");
	struct buf b;
	bool is_read;

	buf_init(&b, CONF_FILE_MAX);
	is_read = os_file_read(path.p, &b, NULL, e);
	c->text = arena_str(c->arena, buf_str(&b));
	buf_fini(&b);
	return is_read || error_prefix(e, "%s", path.p);
}

static int convert_run(struct convert *c, enum convert_pairs pairs)
{
	struct error e = { 0 };
	int status = EX_OK;
	struct conf *conf = cmd_configure(&c->sources, CONF_ERROR, &status);

	if (!conf)
		return status;
	if (!cmd_decider_open(&c->before, conf, &e))
		return cmd_fail(&e);
	status = check_output(c);
	if (status == EX_OK)
		status = read_main_cf(c, &e) ? convert_opened(c, pairs) : cmd_fail(&e);
	cmd_decider_close(&c->before);
	return status;
}

/* ---- options ---- */

enum { OPT_JSON = 256, OPT_OUTPUT, OPT_FORCE, OPT_MX, OPT_PAIRS };

static const struct option convert_long[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "mx", required_argument, NULL, OPT_MX },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int option_mx(struct convert *c, const char *text)
{
	struct convert_mx mx;
	struct nexthop n;
	struct str server;

	if (!str_cut(str_of(text), '=', &mx.domain, &server) ||
	    !domain_is_hostname_utf8(mx.domain, true) ||
	    nexthop_parse(server, 25, true, &n) != NEXTHOP_OK || n.is_bracketed || n.is_address)
		return cmd_usage("convert", "--mx %s: DOMAIN=HOST or DOMAIN=HOST:PORT is wanted",
				 text);
	mx.domain = arena_lower(c->arena, mx.domain);
	mx.host = arena_lower(c->arena, n.domain);
	mx.port = n.port;
	c->mx = base_realloc(c->mx, (c->n_mx + 1) * sizeof(*c->mx));
	c->mx[c->n_mx++] = mx;
	return 0;
}

static int option_pairs(enum convert_pairs *pairs, const char *text)
{
	if (strcmp(text, "every") == 0)
		*pairs = CONVERT_PAIRS_EVERY;
	else if (strcmp(text, "class") == 0)
		*pairs = CONVERT_PAIRS_CLASSES;
	else
		return cmd_usage("convert", "--pairs %s: \"every\" or \"class\" is wanted", text);
	return 0;
}

static int convert_option(struct convert *c, int opt, enum convert_pairs *pairs)
{
	switch (opt) {
	case 'c':
		c->sources.config_dir = optarg;
		return 0;
	case OPT_JSON:
		c->is_json = true;
		return 0;
	case OPT_OUTPUT:
		c->output = optarg;
		return 0;
	case OPT_FORCE:
		c->is_forced = true;
		return 0;
	case OPT_MX:
		return option_mx(c, optarg);
	case OPT_PAIRS:
		return option_pairs(pairs, optarg);
	case 'h':
		return cmd_print(convert_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int convert_parse(struct convert *c, enum convert_pairs *pairs, int argc, char **argv)
{
	int opt;

	opterr = 0; /* cmd_bad_option says it */
	while ((opt = getopt_long(argc, argv, ":c:h", convert_long, NULL)) != -1) {
		int status = cmd_is_bad_option(opt) ? cmd_bad_option("convert", opt, argv)
						    : convert_option(c, opt, pairs);
		if (status != 0)
			return status;
	}
	if (optind != argc)
		return cmd_usage("convert", "no argument is wanted: \"%s\"", argv[optind]);
	return 0;
}

int cmd_convert(int argc, char **argv)
{
	struct convert c = { .arena = arena_new() };
	enum convert_pairs pairs = CONVERT_PAIRS_AUTO;
	int status = convert_parse(&c, &pairs, argc, argv);

	if (status == 0)
		status = convert_run(&c, pairs);
	free(c.mx);
	free(c.keys.v);
	free(c.entries);
	free(c.routes);
	free(c.notes);
	arena_free(c.arena);
	return status < 0 ? EX_OK : status;
}
