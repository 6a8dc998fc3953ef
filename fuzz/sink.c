/* What people write on the command line of the sink: scripts, endpoints, protocol lists. The first
 * octet chooses. */

#include "fuzz.h"

#include <string.h>

#include "cmd/sink_script.h"
#include "cmd/sink_versions.h"
#include "net/net.h"

static void fuzz_script(struct str text)
{
	struct cmd_sink_script *s = cmd_sink_script_new();
	struct error e = { 0 };

	if (!cmd_sink_script_add_lines(s, text, &e))
		CHECK(e.kind != ERROR_NONE && e.text[0] != '\0');
	for (int stage = 0; stage < SINK_STAGES; stage++) {
		const struct cmd_sink_rule *r =
			cmd_sink_script_find(s, (enum cmd_sink_stage)stage, stage % 2 == 0,
					     STR("bob@a.example"));

		CHECK(r->deed != SINK_STRIP);
		CHECK((r->deed != SINK_REPLY && r->deed != SINK_RAW) ||
		      (r->code >= 200 && r->code <= 599));
	}
	cmd_sink_script_free(s);
}

static void fuzz_endpoint(struct str text)
{
	char out[NET_ENDPOINT_TEXT_MAX];
	struct net_endpoint a, b;

	if (!net_endpoint_parse(text, &a))
		return;
	CHECK(net_endpoint_parse(net_endpoint_text(&a, out), &b));
	CHECK(address_eq(&a.address, &b.address) && a.port == b.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	tls_versions mask;
	char kind;

	if (size == 0)
		return 0;
	kind = text.p[0];
	text = str_from(text, 1);
	if (kind == 'e')
		fuzz_endpoint(text);
	else if (kind == 'v')
		CHECK(!cmd_sink_versions_parse(text, &mask) || (mask & TLS_VERSIONS_ALL) != 0);
	else
		fuzz_script(text);
	return 0;
}
