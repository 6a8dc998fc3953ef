/* A client that says anything at AUTH, of which only the right password may be accepted. The first
 * octet chooses the mechanism and the user's entry; then come the client's messages, up to a NUL
 * each. */

#include "fuzz.h"

#include "sasl/sasl.h"

static const struct str mechanisms[] = {
	STR_INIT("PLAIN"),
	STR_INIT("LOGIN"),
	STR_INIT("SCRAM-SHA-1"),
	STR_INIT("SCRAM-SHA-256"),
	STR_INIT("SCRAM-SHA-1-PLUS"),
	STR_INIT("SCRAM-SHA-256-PLUS"),
};

/* Nobody says that one by accident. */
#define SECRET "e3b0c44298fc1c149afbf4c8996fb924"

static const struct str entries[] = {
	STR_INIT(SECRET),
	STR_INIT("{PLAIN}" SECRET),
	STR_INIT("{SCRAM-SHA-256}4096,c2FsdA==,x,y"),
	STR_INIT("{SCRAM-SHA-256}4096,c2FsdA==,"
		 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
	{ NULL, 0 }, /* there is no such user */
};

static struct str next_text(struct str *rest)
{
	struct str text = *rest, after = STR_NONE;

	if (str_cut(*rest, '\0', &text, &after))
		*rest = after;
	else
		*rest = STR_NONE;
	return text;
}

/* An entry of the client's own making may be known to it. */
static bool run(struct sasl_session *s, struct str rest, struct str entry)
{
	enum sasl_state state = SASL_CHALLENGE;

	while (rest.p && (state == SASL_CHALLENGE || state == SASL_WANTS_ENTRY)) {
		if (state == SASL_WANTS_ENTRY) {
			CHECK(sasl_session_user(s).n <= SASL_USER_MAX);
			state = sasl_session_entry(s, entry);
			continue;
		}
		state = sasl_session_step(s, next_text(&rest));
		(void)str_hash(sasl_session_output(s));
	}
	return state == SASL_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sasl *g;
	size_t at;

	if (size < 1)
		return 0;
	if (!g)
		g = sasl_new();
	struct str rest = str_span((const char *)data + 1, size - 1);
	struct sasl_options o = {
		.mechanism = mechanisms[data[0] % ARRAY_LEN(mechanisms)],
		.service = STR("smtp"),
		.hostname = STR("mx.example"),
		.binding = data[0] & 128 ? STR("01234567890123456789012345678901") : STR(""),
	};
	bool knows = str_search(rest, STR(SECRET), &at);
	struct sasl_session *s = sasl_session_new(g, &o);

	if (data[0] & 64)
		(void)run(s, rest, next_text(&rest));
	else
		CHECK(!run(s, rest, entries[(data[0] >> 3) % ARRAY_LEN(entries)]) || knows);
	sasl_session_free(s);
	return 0;
}
