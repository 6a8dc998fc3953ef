#include "deliver/site_options.h"

static uint64_t time_ms(const struct conf *conf, enum conf_id id)
{
	return conf_time_s(conf, id) * 1000;
}

static struct smtp_client_timeouts timeouts(const struct conf *c)
{
	return (struct smtp_client_timeouts){
		.greeting_ms = time_ms(c, CONF_smtp_helo_timeout),
		.helo_ms = time_ms(c, CONF_smtp_helo_timeout),
		.starttls_ms = time_ms(c, CONF_smtp_starttls_timeout),
		.mail_ms = time_ms(c, CONF_smtp_mail_timeout),
		.rcpt_ms = time_ms(c, CONF_smtp_rcpt_timeout),
		.data_init_ms = time_ms(c, CONF_smtp_data_init_timeout),
		.data_xfer_ms = time_ms(c, CONF_smtp_data_xfer_timeout),
		.data_done_ms = time_ms(c, CONF_smtp_data_done_timeout),
		.rset_ms = time_ms(c, CONF_smtp_rset_timeout),
		.quit_ms = time_ms(c, CONF_smtp_quit_timeout),
	};
}

/* smtp_discard_ehlo_keywords: keywords in any case; those we never use mean nothing. */
static unsigned discarded(struct str keywords)
{
	unsigned bits = 0;
	struct str word;

	while (str_token(&keywords, STR(", \t\r\n"), &word))
		bits |= smtp_extension_of(word);
	return bits;
}

static struct smtp_client_options smtp_options(const struct conf *c)
{
	return (struct smtp_client_options){
		.helo_name = conf_str(c, CONF_smtp_helo_name),
		.is_tls_already = conf_bool(c, CONF_smtp_tls_wrappermode),
		.helo_only = conf_bool(c, CONF_smtp_never_send_ehlo),
		.ehlo_only_if_esmtp = !conf_bool(c, CONF_smtp_always_send_ehlo),
		.greeting_5xx_defers = conf_bool(c, CONF_smtp_skip_5xx_greeting),
		.quits_without_waiting = conf_bool(c, CONF_smtp_skip_quit_response),
		.discarded = discarded(conf_str(c, CONF_smtp_discard_ehlo_keywords)),
		.line_length_limit = (size_t)conf_int(c, CONF_smtp_line_length_limit),
		.data_rate_min = conf_bool(c, CONF_smtp_per_request_deadline)
					 ? (unsigned)conf_int(c, CONF_smtp_min_data_rate)
					 : 0,
		.no_downgrade = conf_bool(c, CONF_disable_mime_output_conversion),
		.timeouts = timeouts(c),
	};
}

struct session_options deliver_session_options(const struct conf *c, enum route_protocol protocol)
{
	struct session_options o = {
		.total_ms = SMTP_SESSION_MS_MAX,
		.smtp = smtp_options(c),
		.connect_ms = time_ms(c, CONF_smtp_connect_timeout),
		.tls_ms = time_ms(c, CONF_smtp_starttls_timeout),
	};

	o.smtp.dialect = protocol == ROUTE_LMTP ? SMTP_DIALECT_LMTP : SMTP_DIALECT_SMTP;
	return o;
}

struct tls_client *deliver_tls_new(const struct conf *c, struct error *e)
{
	struct tls_client_options o = {
		.ca_file = conf_str(c, CONF_smtp_tls_CAfile),
		.ca_path = conf_str(c, CONF_smtp_tls_CApath),
		.appends_default_ca = conf_bool(c, CONF_tls_append_default_CA),
		.verify_depth = (unsigned)conf_int(c, CONF_smtp_tls_scert_verifydepth),
		.chain_files = conf_str(c, CONF_smtp_tls_chain_files),
		.cert_file = conf_str(c, CONF_smtp_tls_cert_file),
		.key_file = conf_str(c, CONF_smtp_tls_key_file),
		.dcert_file = conf_str(c, CONF_smtp_tls_dcert_file),
		.dkey_file = conf_str(c, CONF_smtp_tls_dkey_file),
		.eccert_file = conf_str(c, CONF_smtp_tls_eccert_file),
		.eckey_file = conf_str(c, CONF_smtp_tls_eckey_file),
	};

	if (conf_bool(c, CONF_hopseal_tls_session_cache))
		o.session_lifetime_s =
			(unsigned)conf_time_s(c, CONF_smtp_tls_session_cache_timeout);

	return tls_client_new(&o, e);
}

bool deliver_source_address(const struct conf *c, enum address_family family,
			    struct net_endpoint *out)
{
	struct str text = conf_str(c, family == ADDRESS_V4 ? CONF_smtp_bind_address
							   : CONF_smtp_bind_address6);

	out->port = 0;
	return text.n > 0 && address_parse(text, &out->address);
}

struct tls_demand deliver_tls_demand(const struct policy_decision *d)
{
	return (struct tls_demand){
		.versions = d->versions,
		.cipher_list = d->cipher_list,
		.sni = d->sni,
		.trust_files = d->trust_files,
		.n_trust_files = d->n_trust_files,
		.digest = d->level == TLS_LEVEL_FINGERPRINT ? d->fingerprint_digest : STR(""),
		.needs_authentication = d->level >= TLS_LEVEL_FINGERPRINT,
	};
}
