/* hopseal_listeners, and what the parameters behind it come to for each entry. */

#include "listen/room.h"

#include <stdlib.h>

#include "policy/receiver.h"
#include "sasl/client.h"

/* What an entry may set for itself. */
static const enum conf_id of_listener[] = {
	CONF_mynetworks,
	CONF_smtpd_client_restrictions,
	CONF_smtpd_helo_restrictions,
	CONF_smtpd_sender_restrictions,
	CONF_smtpd_relay_restrictions,
	CONF_smtpd_recipient_restrictions,
	CONF_smtpd_sender_login_maps,
	CONF_smtpd_peername_lookup,
	CONF_smtpd_banner,
	CONF_smtpd_helo_required,
	CONF_disable_vrfy_command,
	CONF_smtpd_discard_ehlo_keywords,
	CONF_smtpd_forbid_bare_newline,
	CONF_smtpd_forbid_bare_newline_exclusions,
	CONF_smtpd_forbid_unauth_pipelining,
	CONF_smtpd_forbidden_commands,
	CONF_hopcount_limit,
	CONF_local_header_rewrite_clients,
	CONF_always_add_missing_headers,
	CONF_message_drop_headers,
	CONF_message_size_limit,
	CONF_myhostname,
	CONF_smtpd_timeout,
	CONF_smtpd_starttls_timeout,
	CONF_smtpd_min_data_rate,
	CONF_smtpd_recipient_limit,
	CONF_smtpd_error_sleep_time,
	CONF_smtpd_soft_error_limit,
	CONF_smtpd_hard_error_limit,
	CONF_smtpd_junk_command_limit,
	CONF_smtpd_client_connection_count_limit,
	CONF_smtpd_client_connection_rate_limit,
	CONF_smtpd_client_message_rate_limit,
	CONF_smtpd_client_recipient_rate_limit,
	CONF_smtpd_client_new_tls_session_rate_limit,
	CONF_smtpd_client_auth_rate_limit,
	CONF_smtpd_client_event_limit_exceptions,
	CONF_smtpd_tls_security_level,
	CONF_smtpd_tls_wrappermode,
	CONF_smtpd_tls_cert_file,
	CONF_smtpd_tls_key_file,
	CONF_smtpd_tls_eccert_file,
	CONF_smtpd_tls_eckey_file,
	CONF_smtpd_tls_chain_files,
	CONF_smtpd_tls_protocols,
	CONF_smtpd_tls_mandatory_protocols,
	CONF_smtpd_tls_ciphers,
	CONF_smtpd_tls_mandatory_ciphers,
	CONF_smtpd_tls_exclude_ciphers,
	CONF_smtpd_tls_mandatory_exclude_ciphers,
	CONF_smtpd_tls_received_header,
	CONF_smtpd_sasl_auth_enable,
	CONF_smtpd_sasl_authenticated_header,
	CONF_smtpd_sasl_security_options,
	CONF_smtpd_sasl_tls_security_options,
	CONF_smtpd_tls_auth_only,
	CONF_hopseal_sasl_mechanisms,
	CONF_hopseal_sasl_password_maps,
};

/* What the entries have in common while they are read. */
struct reader {
	struct listen_setup *setup;
	struct conf *conf;
	const struct net_network *own;
	size_t n_own;
	struct error *e;
};

static struct arena *arena_of(struct reader *r)
{
	return r->setup->arena;
}

/* Addresses. */

static bool parse_any(struct reader *r, struct str port, struct listen_setting *s)
{
	struct str protocols = conf_str(r->conf, CONF_inet_protocols);
	size_t at;
	bool has_v4 = !str_ieq_ascii(protocols, STR("ipv6"));
	bool has_v6 = str_ieq_ascii(protocols, STR("all")) || str_search(protocols, STR("6"), &at);
	uint64_t n;

	if (!str_to_u64(port, &n) || n > UINT16_MAX)
		return false;
	if (has_v4)
		s->at[s->n_at++] = (struct net_endpoint){ { ADDRESS_V4, { 0 } }, (uint16_t)n };
	if (has_v6)
		s->at[s->n_at++] = (struct net_endpoint){ { ADDRESS_V6, { 0 } }, (uint16_t)n };
	return true;
}

/* "[192.0.2.1]:25", as Postfix writes addresses in other places. */
static struct str without_brackets(struct arena *a, struct str text)
{
	struct str host, port;

	if (!str_rcut(text, ':', &host, &port) || host.n < 3 || host.p[0] != '[' ||
	    host.p[host.n - 1] != ']' || str_contains(host, ':'))
		return text;
	return arena_fmt(a, STR_FMT ":" STR_FMT, STR_ARG(str_first(str_from(host, 1), host.n - 2)),
			 STR_ARG(port));
}

static bool parse_address(struct reader *r, struct str text, struct listen_setting *s)
{
	if (str_has_prefix(text, STR("unix:"))) {
		s->path = arena_str(arena_of(r), str_from(text, 5));
		s->n_at = 1;
		return str_has_prefix(s->path, STR("/"));
	}
	if (str_has_prefix(text, STR("*:")))
		return parse_any(r, str_from(text, 2), s);
	s->n_at = 1;
	return net_endpoint_parse(without_brackets(arena_of(r), text), &s->at[0]);
}

static bool parse_type(struct str type, struct listen_setting *s)
{
	s->is_wrapper = str_eq(type, STR("smtps"));
	s->engine.dialect = str_eq(type, STR("lmtp")) ? SMTP_DIALECT_LMTP : SMTP_DIALECT_SMTP;
	return s->is_wrapper || str_eq(type, STR("smtp")) || str_eq(type, STR("lmtp"));
}

static bool parse_entry(struct reader *r, struct str token, struct listen_setting *s)
{
	struct str type, address;

	s->text = arena_str(arena_of(r), token);
	if (str_cut(token, ':', &type, &address) && parse_type(type, s) &&
	    parse_address(r, address, s))
		return true;
	return error_set(r->e, ERROR_CONFIG,
			 "hopseal_listeners: \"" STR_FMT
			 "\" is not smtp:, smtps: or lmtp: and an address such as 127.0.0.1:25, "
			 "[::1]:25, *:25 or unix:/path",
			 STR_ARG(str_first(token, 100)));
}

/* The entry's own settings. */

static bool may_set(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(of_listener); i++)
		if (str_eq(conf_name(of_listener[i]), name))
			return true;
	return false;
}

static bool parse_override(struct reader *r, struct str token, struct str *text)
{
	struct str inside = str_trim(str_first(str_from(token, 1), token.n - 2)), name, value;

	if (!str_has_suffix(token, STR("}")) || !str_cut(inside, '=', &name, &value))
		return error_set(r->e, ERROR_CONFIG,
				 "hopseal_listeners: \"" STR_FMT "\" is not { name = value }",
				 STR_ARG(str_first(token, 100)));
	if (!may_set(str_trim(name)))
		return error_set(r->e, ERROR_CONFIG,
				 "hopseal_listeners: " STR_FMT
				 " cannot be set for a listener alone",
				 STR_ARG(str_first(str_trim(name), 100)));
	*text = arena_fmt(arena_of(r), STR_FMT STR_FMT " = " STR_FMT "\n", STR_ARG(*text),
			  STR_ARG(str_trim(name)), STR_ARG(str_trim(value)));
	return true;
}

static bool settle_conf(struct reader *r, struct str overrides, struct listen_setting *s)
{
	struct conf_source more = { s->text, overrides };
	struct conf_findings found;

	if (overrides.n == 0) {
		s->conf = conf_ref(r->conf);
		return true;
	}
	s->conf = conf_with(r->conf, &more, 1, arena_of(r), &found);
	for (size_t i = 0; !s->conf && i < found.n; i++)
		if (found.v[i].severity == CONF_ERROR)
			return error_set(r->e, ERROR_CONFIG, "hopseal_listeners: " STR_FMT,
					 STR_ARG(str_first(found.v[i].text, 300)));
	return s->conf != NULL;
}

/* What it all comes to. */

static uint64_t number(const struct listen_setting *s, enum conf_id id)
{
	return (uint64_t)conf_int(s->conf, id);
}

static uint64_t ms(const struct listen_setting *s, enum conf_id id)
{
	return conf_time_s(s->conf, id) * 1000;
}

static enum listen_tls tls_level(const struct listen_setting *s)
{
	struct str level = conf_str(s->conf, CONF_smtpd_tls_security_level);

	bool is_old = level.n == 0; /* the level takes the place of the two that were before it */
	bool is_used = is_old && conf_bool(s->conf, CONF_smtpd_use_tls);
	bool is_enforced = is_old && conf_bool(s->conf, CONF_smtpd_enforce_tls);

	if (s->is_wrapper || is_enforced || str_ieq_ascii(level, STR("encrypt")))
		return LISTEN_TLS_ENCRYPT;
	return is_used || str_ieq_ascii(level, STR("may")) ? LISTEN_TLS_MAY : LISTEN_TLS_NONE;
}

static bool settle_tls(struct reader *r, struct listen_setting *s)
{
	struct tls_server_options *o = &s->tls_options;
	struct policy_receiver p;

	s->is_wrapper = s->is_wrapper || conf_bool(s->conf, CONF_smtpd_tls_wrappermode);
	s->tls = tls_level(s);
	s->tells_tls = conf_bool(s->conf, CONF_smtpd_tls_received_header);
	if (s->tls == LISTEN_TLS_NONE)
		return true;
	if (!(s->tls == LISTEN_TLS_MAY ? policy_receiver_optional
				       : policy_receiver_mandatory)(arena_of(r), s->conf, &p, r->e))
		return false;
	*o = (struct tls_server_options){
		.cert_file = conf_str(s->conf, CONF_smtpd_tls_cert_file),
		.key_file = conf_str(s->conf, CONF_smtpd_tls_key_file),
		.eccert_file = conf_str(s->conf, CONF_smtpd_tls_eccert_file),
		.eckey_file = conf_str(s->conf, CONF_smtpd_tls_eckey_file),
		.chain_files = conf_str(s->conf, CONF_smtpd_tls_chain_files),
		.versions = p.versions,
		.cipher_list = p.cipher_list,
		.prefers_own_ciphers = conf_bool(s->conf, CONF_tls_preempt_cipherlist),
	};
	if (o->cert_file.n + o->eccert_file.n + o->chain_files.n > 0)
		return true;
	return error_set(r->e, ERROR_CONFIG,
			 STR_FMT ": TLS needs a certificate: smtpd_tls_cert_file or "
				 "smtpd_tls_chain_files",
			 STR_ARG(s->text));
}

static void add_word(struct arena *a, struct str *list, struct str word)
{
	*list = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(*list), list->n ? " " : "",
			  STR_ARG(word));
}

static bool
read_traits(struct reader *r, const struct listen_setting *s, enum conf_id id, unsigned *out)
{
	struct str bad;

	if (sasl_traits_parse(conf_str(s->conf, id), out, &bad))
		return true;
	return error_set(r->e, ERROR_CONFIG, STR_FMT ": \"" STR_FMT "\" is no security option",
			 STR_ARG(conf_name(id)), STR_ARG(str_first(bad, 60)));
}

static bool settle_auth(struct reader *r, struct listen_setting *s)
{
	struct str rest = conf_str(s->conf, CONF_hopseal_sasl_mechanisms), word;
	unsigned in_clear, in_tls;
	bool is_tls_only = conf_bool(s->conf, CONF_smtpd_tls_auth_only);

	s->tells_user = conf_bool(s->conf, CONF_smtpd_sasl_authenticated_header);
	s->has_auth = conf_bool(s->conf, CONF_smtpd_sasl_auth_enable);
	s->passwords = conf_str(s->conf, CONF_hopseal_sasl_password_maps);
	if (!s->has_auth)
		return true;
	if (s->passwords.n == 0)
		return error_set(r->e, ERROR_CONFIG,
				 "smtpd_sasl_auth_enable needs hopseal_sasl_password_maps");
	if (!read_traits(r, s, CONF_smtpd_sasl_security_options, &in_clear) ||
	    !read_traits(r, s, CONF_smtpd_sasl_tls_security_options, &in_tls))
		return false;
	while (str_token(&rest, STR(", \t\r\n"), &word)) {
		if (!sasl_is_mechanism(word))
			return error_set(r->e, ERROR_CONFIG,
					 "hopseal_sasl_mechanisms: \"" STR_FMT
					 "\" is no mechanism here",
					 STR_ARG(str_first(word, 60)));
		bool is_bound = str_has_suffix(word, STR("-PLUS"));
		unsigned traits = sasl_traits_of(word);
		bool is_good = (traits & in_tls) == in_tls;
		if (is_good)
			add_word(arena_of(r), &s->mechanisms_bound, word);
		if (is_good && !is_bound)
			add_word(arena_of(r), &s->mechanisms, word);
		if (!is_bound && !is_tls_only && !sasl_shows_password(word) &&
		    (traits & in_clear) == in_clear)
			add_word(arena_of(r), &s->engine.mechanisms_in_clear, word);
	}
	if (s->mechanisms_bound.n == 0)
		return error_set(r->e, ERROR_CONFIG,
				 "smtpd_sasl_tls_security_options leaves no mechanism of "
				 "hopseal_sasl_mechanisms");
	s->engine.mechanisms = s->mechanisms;
	return true;
}

static bool settle_forbidden(struct reader *r, struct listen_setting *s)
{
	struct str rest = conf_str(s->conf, CONF_smtpd_forbidden_commands), word;

	while (str_token_braced(&rest, STR(", \t\r\n"), &word)) {
		if (str_eq(word, STR("regexp:{{/^[^A-Z]/ Bogus}}")))
			s->engine.forbids_nonletters = true;
		else if (str_contains(word, ':') || str_contains(word, '/'))
			return error_set(r->e, ERROR_CONFIG,
					 "smtpd_forbidden_commands: \"" STR_FMT
					 "\": no table but that of the default is supported",
					 STR_ARG(str_first(word, 100)));
		else
			add_word(arena_of(r), &s->engine.forbidden, word);
	}
	return true;
}

static unsigned extensions_of(const struct listen_setting *s)
{
	unsigned bits = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME |
			SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_CHUNKING;
	struct str rest = conf_str(s->conf, CONF_smtpd_discard_ehlo_keywords), word;

	if (conf_bool(s->conf, CONF_requiretls_enable))
		bits |= SMTP_EXT_REQUIRETLS;
	if (conf_bool(s->conf, CONF_smtputf8_enable))
		bits |= SMTP_EXT_SMTPUTF8;
	if (s->tls != LISTEN_TLS_NONE && !s->is_wrapper)
		bits |= SMTP_EXT_STARTTLS;
	if (s->has_auth)
		bits |= SMTP_EXT_AUTH;
	while (str_token(&rest, STR(", \t\r\n"), &word))
		bits &= ~smtp_extension_of(word);
	return bits;
}

static void settle_engine(struct listen_setting *s)
{
	struct smtp_server_options *o = &s->engine;
	struct str bare = conf_str(s->conf, CONF_smtpd_forbid_bare_newline);

	o->hostname = conf_str(s->conf, CONF_myhostname);
	o->extensions = extensions_of(s);
	o->is_tls_already = s->is_wrapper;
	o->needs_tls = s->tls == LISTEN_TLS_ENCRYPT && !s->is_wrapper;
	o->size_limit = number(s, CONF_message_size_limit);
	o->recipients_max = (size_t)number(s, CONF_smtpd_recipient_limit);
	o->errors_max = (size_t)number(s, CONF_smtpd_hard_error_limit);
	o->errors_soft_max = (size_t)number(s, CONF_smtpd_soft_error_limit);
	o->error_delay_ms = ms(s, CONF_smtpd_error_sleep_time);
	o->junk_max = (size_t)number(s, CONF_smtpd_junk_command_limit);
	o->counts_refusals = true;
	o->bare_newline =
		str_ieq_ascii(bare, STR("reject")) ? SMTP_BARE_REFUSE : SMTP_BARE_NORMALISE;
	o->takes_bare_names = conf_bool(s->conf, CONF_append_at_myorigin);
	o->is_helo_optional = !conf_bool(s->conf, CONF_smtpd_helo_required);
	o->forbids_early = conf_bool(s->conf, CONF_smtpd_forbid_unauth_pipelining);
	o->command_ms = o->data_ms = ms(s, CONF_smtpd_timeout);
	o->data_rate_min = number(s, CONF_smtpd_min_data_rate);
	o->session_ms = SMTP_SESSION_MS_MAX;
}

static void settle_limits(struct listen_setting *s)
{
	static const enum conf_id rates[LISTEN_RATES] = {
		[LISTEN_RATE_CONNECTIONS] = CONF_smtpd_client_connection_rate_limit,
		[LISTEN_RATE_MESSAGES] = CONF_smtpd_client_message_rate_limit,
		[LISTEN_RATE_RECIPIENTS] = CONF_smtpd_client_recipient_rate_limit,
		[LISTEN_RATE_TLS] = CONF_smtpd_client_new_tls_session_rate_limit,
		[LISTEN_RATE_AUTH] = CONF_smtpd_client_auth_rate_limit,
	};

	for (size_t i = 0; i < LISTEN_RATES; i++)
		s->rate_max[i] = number(s, rates[i]);
	s->connections_max = (size_t)number(s, CONF_smtpd_client_connection_count_limit);
	s->rate_unit_ms = ms(s, CONF_anvil_rate_time_unit);
	s->handshake_ms = ms(s, CONF_smtpd_starttls_timeout);
	s->prefix[ADDRESS_V4] = (unsigned)number(s, CONF_smtpd_client_ipv4_prefix_length);
	s->prefix[ADDRESS_V6] = (unsigned)number(s, CONF_smtpd_client_ipv6_prefix_length);
	s->hopcount_limit = (unsigned)number(s, CONF_hopcount_limit);
}

/* Postfix starts its server with "stress" in its configuration when there are too many clients. */
static bool settle_stress(struct reader *r, struct listen_setting *s)
{
	struct conf_source more = { s->text, STR("stress = yes\n") };
	struct conf_findings found;
	struct listen_setting stressed = { .conf = conf_with(s->conf, &more, 1, arena_of(r),
							     &found) };

	if (!stressed.conf)
		return error_set(r->e, ERROR_CONFIG, STR_FMT ": not with stress = yes",
				 STR_ARG(s->text));
	s->stressed = s->engine;
	s->stressed.command_ms = s->stressed.data_ms = ms(&stressed, CONF_smtpd_timeout);
	s->stressed.errors_max = (size_t)number(&stressed, CONF_smtpd_hard_error_limit);
	s->stressed.junk_max = (size_t)number(&stressed, CONF_smtpd_junk_command_limit);
	s->handshake_stressed_ms = ms(&stressed, CONF_smtpd_starttls_timeout);
	conf_unref(stressed.conf);
	return true;
}

static bool has_word(struct str list, struct str word)
{
	struct str token;

	while (str_token(&list, STR(", \t\r\n"), &token))
		if (str_ieq_ascii(token, word))
			return true;
	return false;
}

static void settle_message(struct listen_setting *s)
{
	struct str clients = conf_str(s->conf, CONF_local_header_rewrite_clients);

	s->banner = conf_str(s->conf, CONF_smtpd_banner);
	s->product = conf_str(s->conf, CONF_mail_name);
	s->has_vrfy = !conf_bool(s->conf, CONF_disable_vrfy_command);
	s->adds_always = conf_bool(s->conf, CONF_always_add_missing_headers);
	s->adds_for_own = has_word(clients, STR("permit_inet_interfaces"));
	s->adds_for_mynetworks = has_word(clients, STR("permit_mynetworks"));
	s->dropped_fields = conf_str(s->conf, CONF_message_drop_headers);
	s->completes_names = conf_bool(s->conf, CONF_append_at_myorigin);
	s->origin = conf_str(s->conf, CONF_myorigin);
}

static bool is_parent_list(const struct listen_setting *s, enum conf_id id)
{
	return has_word(conf_str(s->conf, CONF_parent_domain_matches_subdomains), conf_name(id));
}

static bool settle_networks(struct reader *r, struct listen_setting *s)
{
	struct arena *a = arena_of(r);
	struct str exceptions = conf_str(s->conf, CONF_smtpd_client_event_limit_exceptions);
	struct str style = conf_str(s->conf, CONF_mynetworks_style);

	s->has_peer_names = conf_bool(s->conf, CONF_smtpd_peername_lookup);
	s->peer_name_ms = ms(s, CONF_hopseal_peername_timeout);
	if (!listen_networks_default(a, STR("host"), r->own, r->n_own, &s->own))
		return false;
	if (!conf_is_set(s->conf, CONF_mynetworks)) {
		if (!listen_networks_default(a, style, r->own, r->n_own, &s->mynetworks))
			return error_set(r->e, ERROR_CONFIG,
					 "mynetworks_style: \"" STR_FMT "\" is no style",
					 STR_ARG(str_first(style, 60)));
	} else if (!listen_networks_parse(a, STR("mynetworks"), conf_str(s->conf, CONF_mynetworks),
					  &s->mynetworks, r->e))
		return false;
	s->mynetworks.has_parents = is_parent_list(s, CONF_mynetworks);
	s->excluded = s->mynetworks;
	if (conf_is_set(s->conf, CONF_smtpd_forbid_bare_newline_exclusions) &&
	    !listen_networks_parse(a, STR("smtpd_forbid_bare_newline_exclusions"),
				   conf_str(s->conf, CONF_smtpd_forbid_bare_newline_exclusions),
				   &s->excluded, r->e))
		return false;
	s->excluded.has_parents = s->mynetworks.has_parents;
	s->exceptions = s->mynetworks;
	if ((conf_is_set(s->conf, CONF_smtpd_client_event_limit_exceptions) || exceptions.n > 0) &&
	    !listen_networks_parse(a, STR("smtpd_client_event_limit_exceptions"), exceptions,
				   &s->exceptions, r->e))
		return false;
	s->exceptions.has_parents = is_parent_list(s, CONF_smtpd_client_event_limit_exceptions);
	return true;
}

/* Restrictions. What is not known here is skipped, and told by the check of the configuration. */

static bool is_login_rule(enum conf_restriction word)
{
	return word >= CONF_RESTRICTION_LOGIN_MISMATCH;
}

static void settle_rules(struct reader *r, struct listen_setting *s, enum conf_id id,
			 struct listen_rules *out, bool *wants_logins)
{
	struct str rest = conf_str(s->conf, id), word, count = rest;
	size_t n = 0;
	bool is_warning = false;

	while (str_token_braced(&count, STR(", \t\r\n"), &word))
		n++;
	out->v = ARENA_ARRAY(arena_of(r), n, enum conf_restriction);
	while (str_token_braced(&rest, STR(", \t\r\n"), &word)) {
		enum conf_restriction is = conf_restriction_of(word);
		bool is_skipped = is_warning || is == CONF_RESTRICTION_UNKNOWN;
		is_warning = is == CONF_RESTRICTION_WARN_IF_REJECT;
		if (is_skipped || is_warning)
			continue;
		out->v[out->n++] = is;
		*wants_logins = *wants_logins || is_login_rule(is);
	}
}

static bool settle_restrictions(struct reader *r, struct listen_setting *s)
{
	static const enum conf_id lists[LISTEN_RULES] = {
		CONF_smtpd_client_restrictions,    CONF_smtpd_helo_restrictions,
		CONF_smtpd_sender_restrictions,    CONF_smtpd_relay_restrictions,
		CONF_smtpd_recipient_restrictions,
	};
	bool wants_logins = false;

	for (size_t i = 0; i < LISTEN_RULES; i++)
		settle_rules(r, s, lists[i], &s->rules[i], &wants_logins);
	s->recipient_delimiter = conf_str(s->conf, CONF_recipient_delimiter);
	if (!wants_logins || !s->has_auth)
		return true;
	s->logins = conf_str(s->conf, CONF_smtpd_sender_login_maps);
	if (str_trim_set(s->logins, STR(", \t\r\n")).n > 0)
		return true;
	return error_set(r->e, ERROR_CONFIG,
			 STR_FMT ": reject_sender_login_mismatch needs smtpd_sender_login_maps",
			 STR_ARG(s->text));
}

/* With the proxy's address in the place of the client's, mynetworks would mean another thing. */
static bool settle_proxy(struct reader *r, struct listen_setting *s)
{
	if (conf_str(s->conf, CONF_smtpd_upstream_proxy_protocol).n == 0)
		return true;
	return error_set(r->e, ERROR_CONFIG, "smtpd_upstream_proxy_protocol is not supported");
}

static bool settle(struct reader *r, struct str overrides, struct listen_setting *s)
{
	if (!settle_conf(r, overrides, s) || !settle_tls(r, s) || !settle_auth(r, s) ||
	    !settle_networks(r, s) || !settle_forbidden(r, s) || !settle_restrictions(r, s) ||
	    !settle_proxy(r, s))
		return false;
	settle_engine(s);
	settle_limits(s);
	settle_message(s);
	return settle_stress(r, s);
}

static const struct str separators = STR_INIT(", \t\r\n");

/* One entry and the braces behind it. */
static bool read_entry(struct reader *r, struct str *rest, struct listen_setting *s)
{
	struct str token, overrides = STR(""), after = *rest;

	if (!str_token_braced(rest, separators, &token) || !parse_entry(r, token, s))
		return false;
	for (after = *rest; str_token_braced(&after, separators, &token) && token.p[0] == '{';
	     *rest = after)
		if (!parse_override(r, token, &overrides))
			return false;
	return settle(r, overrides, s);
}

/* Whether inet_interfaces has it; names of hosts in that list stand for no address here, which can
 * only make mynetworks smaller. */
static bool is_in_use(const struct conf *conf, const struct address *address)
{
	struct str rest = conf_str(conf, CONF_inet_interfaces), word;
	bool is_loopback = address->family == ADDRESS_V4 ? address->octets[0] == 127
							 : address->octets[15] == 1;
	struct address listed;

	for (size_t i = 0; address->family == ADDRESS_V6 && i < 15; i++)
		is_loopback = is_loopback && address->octets[i] == 0;
	while (str_token(&rest, STR(", \t\r\n"), &word)) {
		if (str_ieq_ascii(word, STR("all")) ||
		    (is_loopback && (str_ieq_ascii(word, STR("loopback-only")) ||
				     str_ieq_ascii(word, STR("localhost")))))
			return true;
		if (word.n > 2 && word.p[0] == '[')
			word = str_first(str_from(word, 1), word.n - 2);
		if (address_parse(word, &listed) && address_eq(&listed, address))
			return true;
	}
	return false;
}

static bool read_networks(struct reader *r)
{
	const struct net_network *all;
	size_t n;

	if (!net_own_networks(arena_of(r), &all, &n, r->e))
		return false;
	struct net_network *own = ARENA_ARRAY(arena_of(r), n, struct net_network);
	for (size_t i = 0; i < n; i++)
		if (is_in_use(r->conf, &all[i].address))
			own[r->n_own++] = all[i];
	r->own = own;
	return true;
}

static bool read_all(struct reader *r)
{
	struct listen_setup *s = r->setup;
	struct str rest = conf_str(r->conf, CONF_hopseal_listeners), token, count = rest;
	size_t n = 0;

	while (str_token_braced(&count, separators, &token))
		n++;
	s->v = ARENA_ARRAY(s->arena, n, struct listen_setting);
	while (str_trim_set(rest, separators).n > 0)
		if (!read_entry(r, &rest, &s->v[s->n++]))
			return false;
	return true;
}

struct listen_setup *listen_setup_new(struct conf *conf, struct error *e)
{
	struct listen_setup *s = base_alloc(sizeof(*s));
	struct reader r = { .setup = s, .conf = conf, .e = e };

	s->refs = 1;
	s->arena = arena_new();
	s->conf = conf_ref(conf);
	s->connections_max = (size_t)conf_int(conf, CONF_hopseal_connection_limit);
	if (read_networks(&r) && read_all(&r))
		return s;
	listen_setup_unref(s);
	return NULL;
}

/* ---- files ---- */

/* A name that is never looked up would be one that never matches. */
static bool read_list(struct listen_setup *to, const struct listen_setting *s, enum conf_id id,
		      struct listen_networks *list, struct error *e)
{
	struct listen_networks out;

	if (!listen_networks_read(to->arena, conf_name(id), list, &out, e))
		return false;
	*list = out;
	return s->has_peer_names || !listen_networks_have(&out, LISTEN_PATTERN_NAME) ||
	       error_set(e, ERROR_CONFIG,
			 STR_FMT " has a name, but smtpd_peername_lookup is no: nobody has one",
			 STR_ARG(conf_name(id)));
}

/* A list that is mynetworks, when nothing else is said, is read with it. */
static bool read_other(struct listen_setup *to, const struct listen_setting *s, enum conf_id id,
		       const struct listen_networks *unread, struct listen_networks *list,
		       struct error *e)
{
	if (list->v != unread->v || list->n != unread->n)
		return read_list(to, s, id, list, e);
	list->v = s->mynetworks.v;
	list->n = s->mynetworks.n;
	return true;
}

static bool read_lists(struct listen_setup *to, struct listen_setting *s, struct error *e)
{
	struct listen_networks unread = s->mynetworks;

	return read_list(to, s, CONF_mynetworks, &s->mynetworks, e) &&
	       read_other(to, s, CONF_smtpd_client_event_limit_exceptions, &unread, &s->exceptions,
			  e) &&
	       read_other(to, s, CONF_smtpd_forbid_bare_newline_exclusions, &unread, &s->excluded,
			  e);
}

bool listen_setup_read(struct listen_setup *s, struct error *e)
{
	for (size_t i = 0; i < s->n; i++) {
		if (read_lists(s, &s->v[i], e))
			continue;
		e->kind = ERROR_CONFIG;
		return error_prefix(e, STR_FMT, STR_ARG(s->v[i].text));
	}
	s->is_read = true;
	return true;
}

bool listen_setup_try(const struct listen_setup *s, struct error *e)
{
	for (size_t i = 0; i < s->n; i++) {
		struct tls_server *tls;

		if (s->v[i].tls == LISTEN_TLS_NONE)
			continue;
		tls = tls_server_new(&s->v[i].tls_options, e);
		if (!tls) {
			e->kind = ERROR_CONFIG;
			return error_prefix(e, STR_FMT, STR_ARG(s->v[i].text));
		}
		tls_server_free(tls);
	}
	return true;
}

struct listen_setup *listen_setup_ref(struct listen_setup *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void listen_setup_unref(struct listen_setup *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < s->n; i++)
		conf_unref(s->v[i].conf);
	conf_unref(s->conf);
	arena_free(s->arena);
	free(s);
}

size_t listen_setup_count(const struct listen_setup *s)
{
	return s->n;
}

size_t listen_setup_connections_max(const struct listen_setup *s)
{
	return s->connections_max;
}

struct str listen_setup_passwords(const struct listen_setup *s, size_t i)
{
	CHECK(i < s->n);
	return s->v[i].has_auth ? s->v[i].passwords : STR("");
}

struct str listen_setup_text(const struct listen_setup *s, size_t i)
{
	CHECK(i < s->n);
	return s->v[i].text;
}
