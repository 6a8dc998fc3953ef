/* A server that says anything to our login. The first octet chooses the mechanism; then come the
 * server's challenges, up to a NUL each. One that does not know the password is never believed by a
 * mechanism that has it prove that it does. */

#include "fuzz.h"

#include "sasl/client.h"

static const struct str names[] = {
	STR_INIT("PLAIN"),       STR_INIT("LOGIN"),         STR_INIT("CRAM-MD5"),
	STR_INIT("SCRAM-SHA-1"), STR_INIT("SCRAM-SHA-256"), STR_INIT("SCRAM-SHA-256-PLUS"),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sasl *g;
	struct str text;

	if (size < 1)
		return 0;
	if (!g)
		g = sasl_new();
	struct sasl_login o = {
		.mechanism = names[data[0] % ARRAY_LEN(names)],
		.hostname = STR("mx.example"),
		.user = STR("me"),
		.password = STR("e3b0c44298fc1c149afbf4c8996fb924"),
		.binding = STR("01234567890123456789012345678901"),
	};
	struct sasl_client *c = sasl_client_new(g, &o);
	struct str rest = str_span((const char *)data + 1, size - 1);
	bool goes_on = !sasl_client_is_first(c) || sasl_client_step(c, STR_NONE);

	while (goes_on && str_cut(rest, '\0', &text, &rest))
		goes_on = sasl_client_step(c, text);
	(void)str_hash(sasl_client_output(c));
	if (str_has_prefix(o.mechanism, STR("SCRAM")))
		CHECK(!sasl_client_is_complete(c));
	sasl_client_free(c);
	return 0;
}
