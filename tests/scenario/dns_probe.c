/* Asks one question through src/dns and prints the answer as a fact:
 *
 *	dns_probe [--root ADDRESS[@PORT]] [--forward ADDRESS[@PORT]] [--anchor FILE] [--timeout MS]
 *	          [--only 4|6] mx|address|native NAME
 *
 * Exit status 78 and one line when the resolver does not start. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dns/dns.h"
#include "net/net.h"

struct probe {
	struct net_loop *loop;
	struct question question;
};

static void answered(void *arg, const struct answer *answer)
{
	struct probe *p = arg;
	struct fact fact = { p->question, *answer };
	struct buf b;
	struct json j;

	buf_init(&b, 1 << 20);
	json_init(&j, &b, false);
	fact_json(&j, &fact);
	if (json_end(&j))
		printf(STR_FMT, STR_ARG(buf_str(&b)));
	buf_fini(&b);
	net_loop_stop(p->loop);
}

static struct dns_options defaults(void)
{
	return (struct dns_options){ .timeout_ms = 5000, .has_ipv4 = true, .has_ipv6 = true };
}

static int ask(const struct dns_options *o, struct question q)
{
	struct probe p = { net_loop_new(), q };
	struct error e;
	struct dns *dns = dns_new(p.loop, o, &e);

	if (!dns) {
		fprintf(stderr, "dns_probe: %s\n", e.text);
		net_loop_free(p.loop);
		return 78;
	}
	(void)!dns_ask(dns, &q, answered, &p);
	net_loop_run(p.loop);
	dns_free(dns);
	net_loop_free(p.loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct dns_options o = defaults();
	struct str forward, root;
	struct question q = { 0 };
	int i;

	for (i = 1; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		const char *value = argv[i + 1];
		if (!strcmp(argv[i], "--root")) {
			root = str_of(value);
			o.root_servers = &root;
			o.n_root_servers = 1;
		} else if (!strcmp(argv[i], "--forward")) {
			forward = str_of(value);
			o.servers = &forward;
			o.n_servers = 1;
		} else if (!strcmp(argv[i], "--anchor")) {
			o.trust_anchor_file = str_of(value);
		} else if (!strcmp(argv[i], "--timeout")) {
			o.timeout_ms = strtoul(value, NULL, 10);
		} else if (!strcmp(argv[i], "--only")) {
			o.has_ipv4 = !strcmp(value, "4");
			o.has_ipv6 = !strcmp(value, "6");
		} else {
			return 64;
		}
	}
	if (i + 2 != argc || !question_kind_from(str_of(argv[i]), &q.kind) ||
	    q.kind == QUESTION_TABLE)
		return 64;
	q.name = str_of(argv[i + 1]);
	return ask(&o, q);
}
