#include "base/test.h"
#include "log/log.h"

#define TEXT(name, value)                                                                          \
	{                                                                                          \
		.field = FIELD_##name, .text = STR_INIT(value)                                     \
	}
#define NUMBER(name, value)                                                                        \
	{                                                                                          \
		.field = FIELD_##name, .number = value                                             \
	}

static struct str text_of(struct buf *b, enum log_event_id id, const struct log_value *v, size_t n)
{
	struct log_event e = { .id = id, .values = v, .n_values = n };

	buf_init(b, LOG_LINE_MAX);
	ok(event_text(b, &e), "it fits");
	return buf_str(b);
}

TEST(a_delivery_is_a_line_as_postfix_writes_it)
{
	static const struct log_value all[] = {
		TEXT(queue_id, "4Xy"),
		TEXT(to, "user@example.com"),
		TEXT(relay, "mx.example.com[192.0.2.1]:25"),
		NUMBER(conn_use, 3),
		TEXT(delay, "0.31"),
		TEXT(delays, "0.01/0/0.2/0.1"),
		TEXT(tls, "secure/verified"),
		TEXT(dsn, "2.0.0"),
		TEXT(status, "sent"),
		TEXT(reason, "250 2.0.0 Ok"),
	};
	struct buf b;

	ok_str(text_of(&b, EVENT_delivery, all, ARRAY_LEN(all)),
	       STR("4Xy: to=<user@example.com>, relay=mx.example.com[192.0.2.1]:25, conn_use=3, "
		   "delay=0.31, delays=0.01/0/0.2/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok), "
		   "tls=secure/verified"),
	       "with all that it may have");
	buf_fini(&b);
}

TEST(a_group_without_its_value_is_left_out)
{
	static const struct log_value some[] = { TEXT(queue_id, "4Xy"),
						 TEXT(client, "a[192.0.2.7]"),
						 TEXT(method, "PLAIN"),
						 { .field = FIELD_username } };
	struct buf b;

	ok_str(text_of(&b, EVENT_accepted, some, 2), STR("4Xy: client=a[192.0.2.7]"), "not given");
	buf_fini(&b);
	ok_str(text_of(&b, EVENT_accepted, some, 4),
	       STR("4Xy: client=a[192.0.2.7], sasl_method=PLAIN"), "given without a value");
	buf_fini(&b);
}

TEST(a_value_is_one_line_of_text)
{
	static const struct log_value v[] = {
		TEXT(queue_id, "4Xy"),
		TEXT(message_id, "<a\r\nb: status=sent\x1b[2J\xff\xe2\x80\xae>"),
	};
	struct buf b;

	ok_str(text_of(&b, EVENT_message_id, v, 2),
	       STR("4Xy: message-id=<a?\?b: status=sent?[2J?\?\?\?>"),
	       "no control, no other direction");
	buf_fini(&b);
}

TEST(a_long_value_is_cut)
{
	char *p = malloc(LOG_VALUE_MAX * 3);
	struct log_value v = { .field = FIELD_reason, .text = { p, LOG_VALUE_MAX * 3 } };
	struct buf b;

	memset(p, 'x', LOG_VALUE_MAX * 3);
	ok(text_of(&b, EVENT_trouble, &v, 1).n == LOG_VALUE_MAX, "as much as is shown");
	buf_fini(&b);
	free(p);
}

TEST(every_row_of_the_catalogue_can_be_written)
{
	struct log_value all[FIELD_COUNT];

	for (int i = 0; i < FIELD_COUNT; i++)
		all[i] = (struct log_value){ (enum log_field)i, STR("value"), 7 };
	for (int id = 0; id < EVENT_COUNT; id++) {
		struct buf b;
		struct str full = text_of(&b, (enum log_event_id)id, all, FIELD_COUNT);
		ok(full.n > 0 && !str_contains(full, '{') && !str_contains(full, '}'),
		   event_name((enum log_event_id)id).p);
		buf_fini(&b);
		(void)text_of(&b, (enum log_event_id)id, NULL, 0); /* without values, too */
		buf_fini(&b);
	}
}

TEST(a_full_buffer_is_told)
{
	static const struct log_value v[] = { TEXT(queue_id, "4Xy"), TEXT(message_id, "<a@b>") };
	struct log_event e = { .id = EVENT_message_id, .values = v, .n_values = 2 };

	for (size_t limit = 0; limit < sizeof("4Xy: message-id=<a@b>") - 1; limit++) {
		struct buf b;
		buf_init(&b, limit);
		ok(!event_text(&b, &e), "the limit");
		buf_fini(&b);
	}
}

TEST(as_json_an_event_has_all_its_values)
{
	static const struct log_value v[] = { TEXT(queue_id, "4Xy"),
					      TEXT(from, "a\"\xff"),
					      NUMBER(size, 4096),
					      { .field = FIELD_reason } };
	struct log_event e = { EVENT_queued, v, 4, STR("lmtp") };
	struct buf b;
	struct json j;

	buf_init(&b, LOG_LINE_MAX);
	json_init(&j, &b, false);
	event_json(&j, &e, 1709209845123);
	ok(json_end(&j), "it fits");
	ok_str(buf_str(&b),
	       STR("{\"at\":\"2024-02-29T12:30:45.123Z\",\"event\":\"queued\",\"severity\":"
		   "\"info\","
		   "\"program\":\"lmtp\",\"queue_id\":\"4Xy\",\"from\":\"a\\\"\xef\xbf\xbd\","
		   "\"size\":4096}\n"),
	       "one object");
	buf_fini(&b);
}

TEST_MAIN(RUN(a_delivery_is_a_line_as_postfix_writes_it),
	  RUN(a_group_without_its_value_is_left_out), RUN(a_value_is_one_line_of_text),
	  RUN(a_long_value_is_cut), RUN(every_row_of_the_catalogue_can_be_written),
	  RUN(a_full_buffer_is_told), RUN(as_json_an_event_has_all_its_values))
