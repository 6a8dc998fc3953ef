#include "mail/message_received.h"

#include "mail/date.h"

#define SAID_MAX 255 /* octets of what a client said that are told again */

struct str message_protocol_name(struct message_protocol p)
{
	static const struct str names[2][2][2][2] = {
		{ { { STR_INIT("ESMTP"), STR_INIT("ESMTPA") },
		    { STR_INIT("ESMTPS"), STR_INIT("ESMTPSA") } },
		  { { STR_INIT("UTF8SMTP"), STR_INIT("UTF8SMTPA") },
		    { STR_INIT("UTF8SMTPS"), STR_INIT("UTF8SMTPSA") } } },
		{ { { STR_INIT("LMTP"), STR_INIT("LMTPA") },
		    { STR_INIT("LMTPS"), STR_INIT("LMTPSA") } },
		  { { STR_INIT("UTF8LMTP"), STR_INIT("UTF8LMTPA") },
		    { STR_INIT("UTF8LMTPS"), STR_INIT("UTF8LMTPSA") } } },
	};

	if (!p.is_lmtp && !p.is_esmtp)
		return STR("SMTP");
	return names[p.is_lmtp][p.is_smtputf8][p.is_tls][p.is_authenticated];
}

static void put(struct buf *out, struct str s)
{
	CHECK(buf_add(out, s));
}

/* What could end a comment, an atom or a line is shown as "?". */
static void put_said(struct buf *out, struct str said)
{
	said = str_first(said, SAID_MAX);
	while (said.n > 0) {
		size_t n = str_utf8_len(said);
		bool is_plain = n > 0 && str_shown_len(str_first(said, n)) == n &&
				!str_contains(STR("()<>\\\";, "), said.p[0]);

		put(out, is_plain ? str_first(said, n) : STR("?"));
		said = str_from(said, n ? n : 1);
	}
}

static void put_client(struct buf *out, const struct message_received *r)
{
	struct arena *a = arena_new();

	put(out, STR("Received: from "));
	put_said(out, r->helo.n ? r->helo : STR("unknown"));
	if (!r->client)
		put(out, STR(" (localhost)"));
	else
		CHECK(buf_fmt(out, " (" STR_FMT "%s[%s" STR_FMT "])", STR_ARG(r->host),
			      r->host.n ? " " : "", r->client->family == ADDRESS_V6 ? "IPv6:" : "",
			      STR_ARG(address_text(a, r->client))));
	put(out, STR("\r\n"));
	arena_free(a);
}

void message_received_text(struct buf *out, const struct message_received *r)
{
	char date[MESSAGE_DATE_MAX];

	put_client(out, r);
	if (r->tls_protocol.n)
		CHECK(buf_fmt(out, "\t(using " STR_FMT " with cipher " STR_FMT " (%u bits))\r\n",
			      STR_ARG(r->tls_protocol), STR_ARG(r->tls_cipher), r->tls_bits));
	if (r->user.n) {
		put(out, STR("\t(Authenticated sender: "));
		put_said(out, r->user);
		put(out, STR(")\r\n"));
	}
	CHECK(buf_fmt(out, "\tby " STR_FMT " (", STR_ARG(str_first(r->hostname, SAID_MAX))));
	put_said(out, r->product);
	CHECK(buf_fmt(out, ") with " STR_FMT " id " STR_FMT,
		      STR_ARG(message_protocol_name(r->protocol)), STR_ARG(r->id)));
	if (r->rcpt.n)
		CHECK(buf_fmt(out, "\r\n\tfor <" STR_FMT ">", STR_ARG(r->rcpt)));
	CHECK(buf_fmt(out, "; " STR_FMT "\r\n", STR_ARG(message_date(r->at_utc_s, date))));
}

void message_received_local_text(struct buf *out, const struct message_received *r, unsigned userid)
{
	char date[MESSAGE_DATE_MAX];

	CHECK(buf_fmt(out, "Received: by " STR_FMT " (",
		      STR_ARG(str_first(r->hostname, SAID_MAX))));
	put_said(out, r->product);
	CHECK(buf_fmt(out, ", from userid %u)\r\n\t%s" STR_FMT "; " STR_FMT "\r\n", userid,
		      r->id.n ? "id " : "", STR_ARG(r->id),
		      STR_ARG(message_date(r->at_utc_s, date))));
}
