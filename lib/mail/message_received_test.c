#include "mail/message_received.h"

#include "base/test.h"

static const struct address v4 = { ADDRESS_V4, { 192, 0, 2, 1 } };
static const struct address v6 = { ADDRESS_V6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } };

static const struct {
	const char *rule;
	struct message_received r;
	struct str want;
} cases[] = {
	{ "all that is known",
	  { .helo = STR_INIT("c.example"),
	    .client = &v4,
	    .hostname = STR_INIT("mx.example"),
	    .product = STR_INIT("Hopseal"),
	    .protocol = { .is_esmtp = true, .is_tls = true, .is_authenticated = true },
	    .id = STR_INIT("4abc"),
	    .tls_protocol = STR_INIT("TLSv1.3"),
	    .tls_cipher = STR_INIT("TLS_AES_256_GCM_SHA384"),
	    .tls_bits = 256,
	    .user = STR_INIT("me"),
	    .rcpt = STR_INIT("you@d.example"),
	    .at_utc_s = 1795346400 },
	  STR_INIT("Received: from c.example ([192.0.2.1])\r\n"
		   "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n"
		   "\t(Authenticated sender: me)\r\n"
		   "\tby mx.example (Hopseal) with ESMTPSA id 4abc\r\n"
		   "\tfor <you@d.example>; Sun, 22 Nov 2026 11:20:00 +0000\r\n") },
	{ "little is known",
	  { .client = &v6,
	    .hostname = STR_INIT("mx.example"),
	    .product = STR_INIT("Hopseal"),
	    .id = STR_INIT("4abc"),
	    .at_utc_s = 1795346400 },
	  STR_INIT("Received: from unknown ([IPv6:2001:db8::1])\r\n"
		   "\tby mx.example (Hopseal) with SMTP id 4abc; Sun, 22 Nov 2026 11:20:00 +0000"
		   "\r\n") },
	{ "nobody gets out of a comment",
	  { .helo = STR_INIT("a) by x (b\\\xff\x7f"),
	    .hostname = STR_INIT("mx"),
	    .product = STR_INIT("P"),
	    .user = STR_INIT("me)\r\nX: y"),
	    .protocol = { .is_lmtp = true, .is_smtputf8 = true },
	    .id = STR_INIT("1"),
	    .at_utc_s = 0 },
	  STR_INIT("Received: from a??by?x??b??? (localhost)\r\n"
		   "\t(Authenticated sender: me???X:?y)\r\n"
		   "\tby mx (P) with UTF8LMTP id 1; Thu, 1 Jan 1970 00:00:00 +0000\r\n") },
};

TEST(texts)
{
	FOR_EACH(c, cases) {
		struct buf out;

		buf_init(&out, MESSAGE_RECEIVED_MAX);
		message_received_text(&out, &c->r);
		ok_str(buf_str(&out), c->want, c->rule);
		buf_fini(&out);
	}
}

TEST(there_is_always_room)
{
	char *much = malloc(5000);
	struct buf out;

	memset(much, 'x', 5000);
	struct str s = str_span(much, 5000);
	struct message_received r = { .helo = s,
				      .client = &v6,
				      .hostname = s,
				      .product = s,
				      .id = STR("1"),
				      .tls_protocol = STR("TLSv1.3"),
				      .tls_cipher = STR("x"),
				      .user = s,
				      .rcpt = str_first(s, 320) };
	buf_init(&out, MESSAGE_RECEIVED_MAX);
	message_received_text(&out, &r);
	for (struct str rest = buf_str(&out), line; str_cut(rest, '\n', &line, &rest);)
		ok(line.n < 998, "no line is too long");
	buf_fini(&out);
	free(much);
}

TEST_MAIN(RUN(texts), RUN(there_is_always_room))
