/* Log lines of values from anywhere: one line each, that speaks to no terminal. The first octet is
 * the event; after it come fields, each an octet and its text up to a NUL. */

#include "fuzz.h"

#include "log/log.h"

enum { VALUES_MAX = 16 };

static size_t take_values(struct str rest, struct log_value *v)
{
	size_t n = 0;

	while (rest.n > 1 && n < VALUES_MAX) {
		struct log_value *x = &v[n++];
		struct str after = STR("");
		*x = (struct log_value){
			.field = (enum log_field)((uint8_t)rest.p[0] % FIELD_COUNT),
			.text = str_from(rest, 1),
			.number = (uint8_t)rest.p[0],
		};
		if (str_cut(x->text, '\0', &x->text, &after))
			rest = after;
		else
			rest = STR("");
	}
	return n;
}

static void check_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		CHECK((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
	for (size_t n; s.n > 0; s = str_from(s, n)) {
		n = str_utf8_len(s);
		CHECK(n > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_value values[VALUES_MAX];
	struct log_event e = { .values = values };
	struct buf out;
	struct json j;

	if (size < 1)
		return 0;
	e.id = (enum log_event_id)(data[0] % EVENT_COUNT);
	e.n_values = take_values(str_span((const char *)data + 1, size - 1), values);
	buf_init(&out, LOG_LINE_MAX);
	if (event_text(&out, &e))
		check_line(buf_str(&out));
	buf_reset(&out);
	json_init(&j, &out, false);
	event_json(&j, &e, (int64_t)size * 86399999);
	if (json_end(&j)) { /* it ends its line */
		CHECK(str_has_suffix(buf_str(&out), STR("}\n")));
		check_line(str_first(buf_str(&out), buf_len(&out) - 1));
	}
	buf_fini(&out);
	return 0;
}
