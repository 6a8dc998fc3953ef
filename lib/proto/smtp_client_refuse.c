/* What need not be sent to be known to fail: this server cannot take it, whatever it would say. */

#include "proto/smtp_client_inside.h"

static bool refuse(struct smtp_client *c, struct status s, struct str reason)
{
	smtp_transaction_settle_rest(c, smtp_verdict_local(s, reason));
	return true;
}

static bool is_too_big(const struct smtp_client *c)
{
	return c->size_limit > 0 && c->t.mail.size_octets > c->size_limit;
}

static bool lacks(const struct smtp_client *c, enum smtp_extension e)
{
	return (c->extensions & (unsigned)e) == 0;
}

/* RFC 6152 section 3. */
bool smtp_transaction_must_downgrade(const struct smtp_client *c)
{
	return c->t.mail.is_8bit && lacks(c, SMTP_EXT_8BITMIME) && !c->o.no_downgrade;
}

static bool refuse_conversion(struct smtp_client *c, enum mime_downgrade_fault f)
{
	smtp_transaction_settle_rest(c, smtp_verdict_inconvertible(c, f));
	return true;
}

/* What this server cannot take whatever it would say to it. */
bool smtp_transaction_refuse(struct smtp_client *c)
{
	const struct smtp_mail *m = &c->t.mail;

	if (!smtp_wire_is_path(m->sender) || !smtp_wire_is_value(m->ret) ||
	    !smtp_wire_is_value(m->envid))
		return refuse(c, STATUS(5, 1, 7),
			      STR("the sender address or a parameter of it cannot be sent"));
	if (is_too_big(c)) /* RFC 1870 section 6.1 */
		return refuse(c, STATUS(5, 3, 4),
			      arena_fmt(c->events,
					"the message has %llu octets and the server takes %llu",
					(unsigned long long)m->size_octets,
					(unsigned long long)c->size_limit));
	if (m->is_smtputf8 && lacks(c, SMTP_EXT_SMTPUTF8)) /* RFC 6531 section 3.2 */
		return refuse(c, STATUS(5, 6, 7),
			      STR("the message needs SMTPUTF8, which the server does not offer"));
	if (m->is_requiretls && (!c->is_tls || lacks(c, SMTP_EXT_REQUIRETLS))) /* RFC 8689 */
		return refuse(c, STATUS(5, 7, 30),
			      STR("the message needs REQUIRETLS, which the server does not offer "
				  "inside TLS"));
	if (m->has_8bit_header && smtp_transaction_must_downgrade(c))
		return refuse_conversion(c, MIME_DOWNGRADE_8BIT_HEADER);
	return false;
}
