#include "proto/smtp_command.h"

#include "mail/address.h"
#include "mail/domain.h"
#include "mail/mailbox.h"
#include "proto/smtp_extension.h"

static const struct {
	struct str name;
	enum smtp_verb verb;
} verbs[] = {
	{ STR_INIT("HELO"), SMTP_VERB_HELO },         { STR_INIT("EHLO"), SMTP_VERB_EHLO },
	{ STR_INIT("LHLO"), SMTP_VERB_LHLO },         { STR_INIT("MAIL"), SMTP_VERB_MAIL },
	{ STR_INIT("RCPT"), SMTP_VERB_RCPT },         { STR_INIT("DATA"), SMTP_VERB_DATA },
	{ STR_INIT("RSET"), SMTP_VERB_RSET },         { STR_INIT("NOOP"), SMTP_VERB_NOOP },
	{ STR_INIT("VRFY"), SMTP_VERB_VRFY },         { STR_INIT("EXPN"), SMTP_VERB_EXPN },
	{ STR_INIT("HELP"), SMTP_VERB_HELP },         { STR_INIT("QUIT"), SMTP_VERB_QUIT },
	{ STR_INIT("STARTTLS"), SMTP_VERB_STARTTLS }, { STR_INIT("AUTH"), SMTP_VERB_AUTH },
	{ STR_INIT("BDAT"), SMTP_VERB_BDAT },
};

static const struct str blanks = STR_INIT(" \t");

struct smtp_command smtp_command_parse(struct str line)
{
	struct smtp_command c = { .verb = SMTP_VERB_UNKNOWN };
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_ieq_ascii(str_first(line, n), verbs[i].name))
			c.verb = verbs[i].verb;
	c.argument = str_trim_set(str_from(line, n), blanks);
	return c;
}

bool smtp_command_parse_bdat(struct str argument, struct smtp_command_bdat *out)
{
	struct str rest = argument, size = STR_NONE, last;

	if (!str_token(&rest, blanks, &size) || !str_to_u64(size, &out->size_octets))
		return false;
	out->is_last = str_token(&rest, blanks, &last);
	return !out->is_last || (str_ieq_ascii(last, STR("LAST")) && str_trim(rest).n == 0);
}

/* Paths: RFC 5321 section 4.1.2. */

/* The octets up to the ">" that ends the path; `in` begins behind the "<". */
static bool cut_path(struct str in, struct str *path, struct str *rest)
{
	bool is_quoted = false;

	for (size_t i = 0; i < in.n; i++) {
		if (is_quoted && in.p[i] == '\\') {
			i++;
		} else if (in.p[i] == '"') {
			is_quoted = !is_quoted;
		} else if (in.p[i] == '>' && !is_quoted) {
			*path = str_first(in, i);
			*rest = str_from(in, i + 1);
			return true;
		}
	}
	return false;
}

/* "@a.example,@b.example:" is to be taken and ignored: RFC 5321 appendix C. */
static bool skip_source_route(struct str *path)
{
	struct str route, rest, hop;

	if (path->n == 0 || path->p[0] != '@')
		return true;
	if (!str_cut(*path, ':', &route, &rest))
		return false;
	while (str_token(&route, STR(","), &hop))
		if (hop.p[0] != '@' || !domain_is_hostname(str_from(hop, 1)))
			return false;
	*path = rest;
	return rest.n > 0;
}

/* One quoted string from end to end, or an atom with dots; mailbox_parse has seen to the rest. */
static bool is_local_part(struct str local)
{
	if (local.p[0] != '"') {
		for (size_t i = 0; i < local.n; i++)
			if (str_contains(STR("\"(),:;@[\\]"), local.p[i]))
				return false;
		return true;
	}
	for (size_t i = 1; i < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		else if (local.p[i] == '"')
			return i == local.n - 1;
	}
	return false;
}

/* RFC 5321 section 4.1.3; no tag but IPv6 was ever registered. */
static bool is_literal(struct str domain)
{
	struct str text = str_first(str_from(domain, 1), domain.n - 2);
	enum address_family want = ADDRESS_V4;
	struct address address;

	if (domain.n < 3 || domain.p[domain.n - 1] != ']')
		return false;
	if (str_ihas_prefix_ascii(text, STR("IPv6:"))) {
		text = str_from(text, 5);
		want = ADDRESS_V6;
	}
	return address_parse(text, &address) && address.family == want;
}

static bool is_domain(struct str domain, bool is_smtputf8)
{
	return domain.p[0] == '[' ? is_literal(domain)
				  : domain_is_hostname_utf8(domain, is_smtputf8);
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 127)
			return false;
	return true;
}

static enum smtp_command_fault check_path(struct str path, bool is_smtputf8)
{
	struct mailbox box;

	if (path.n > SMTP_PATH_MAX)
		return SMTP_COMMAND_PATH_TOO_LONG;
	if (!is_smtputf8 && !is_ascii(path))
		return SMTP_COMMAND_NEEDS_SMTPUTF8;
	if (path.n == 0 || !mailbox_parse(path, &box) || !is_local_part(box.local) ||
	    !domain_is_utf8(box.local)) /* RFC 6531 section 3.3 */
		return SMTP_COMMAND_BAD_PATH;
	if (box.domain.n == 0) /* RFC 5321 section 4.1.1.3 */
		return str_ieq_ascii(path, STR("postmaster")) ? SMTP_COMMAND_OK
							      : SMTP_COMMAND_NO_DOMAIN;
	return is_domain(box.domain, is_smtputf8) ? SMTP_COMMAND_OK : SMTP_COMMAND_BAD_PATH;
}

/* "FROM:<path>" or "TO:<path>"; a blank after the colon is no standard but common. */
static enum smtp_command_fault
take_path(struct str argument, struct str prefix, struct str *path, struct str *parameters)
{
	if (!str_ihas_prefix_ascii(argument, prefix))
		return SMTP_COMMAND_NO_FROM;
	argument = str_from(argument, prefix.n);
	while (argument.n > 0 && argument.p[0] == ' ')
		argument = str_from(argument, 1);
	if (argument.n == 0 || argument.p[0] != '<' ||
	    !cut_path(str_from(argument, 1), path, parameters))
		return SMTP_COMMAND_BAD_PATH;
	if (parameters->n > 0 && !str_contains(blanks, parameters->p[0]))
		return SMTP_COMMAND_BAD_PATH;
	return skip_source_route(path) ? SMTP_COMMAND_OK : SMTP_COMMAND_BAD_PATH;
}

/* Parameter values. */

static bool is_upper_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* RFC 3461 section 4. */
static bool is_xtext(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '=')
			return false;
		if (s.p[i] != '+')
			continue;
		if (s.n - i < 3 || !is_upper_hex(s.p[i + 1]) || !is_upper_hex(s.p[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

/* RFC 3461 section 4.1: NEVER alone, or some of the others. */
static bool is_notify(struct str s)
{
	struct str word;

	if (str_ieq_ascii(s, STR("NEVER")))
		return true;
	for (size_t at = 0; at <= s.n; at += word.n + 1) {
		word = str_from(s, at);
		(void)str_find(word, ',', &word.n);
		if (!str_ieq_ascii(word, STR("SUCCESS")) && !str_ieq_ascii(word, STR("FAILURE")) &&
		    !str_ieq_ascii(word, STR("DELAY")))
			return false;
	}
	return true;
}

/* RFC 3461 section 4.2; utf-8 addresses need not be xtext (RFC 6533 section 3). */
static bool is_orcpt(struct str s)
{
	struct str type, address;

	if (s.n > 500 || !str_cut(s, ';', &type, &address) || type.n == 0 || address.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	return is_xtext(address) || (str_ieq_ascii(type, STR("utf-8")) && domain_is_utf8(address));
}

/* One parameter: what it is called, whether it has a value, and where that goes. */
struct parameter {
	struct str name, value;
	bool has_value;
};

static bool next_parameter(struct str *rest, struct parameter *p)
{
	struct str token;

	if (!str_token(rest, blanks, &token))
		return false;
	p->has_value = str_cut(token, '=', &p->name, &p->value);
	if (!p->has_value) {
		p->name = token;
		p->value = STR_NONE;
	}
	return true;
}

static bool is_named(const struct parameter *p, const char *name, unsigned extensions,
		     enum smtp_extension needs)
{
	return (extensions & (unsigned)needs) && str_ieq_ascii(p->name, str_of(name));
}

static enum smtp_command_fault set_span(struct str *to, struct str value, bool is_good)
{
	if (to->n > 0)
		return SMTP_COMMAND_TWICE;
	if (!is_good || value.n == 0)
		return SMTP_COMMAND_BAD_PARAMETER;
	*to = value;
	return SMTP_COMMAND_OK;
}

static enum smtp_command_fault set_flag(bool *to, const struct parameter *p)
{
	if (*to)
		return SMTP_COMMAND_TWICE;
	*to = true;
	return p->has_value ? SMTP_COMMAND_BAD_PARAMETER : SMTP_COMMAND_OK;
}

static enum smtp_command_fault set_body(enum smtp_body *to, struct str value)
{
	if (*to != SMTP_BODY_UNSAID)
		return SMTP_COMMAND_TWICE;
	if (str_ieq_ascii(value, STR("7BIT")))
		*to = SMTP_BODY_7BIT;
	else if (str_ieq_ascii(value, STR("8BITMIME")))
		*to = SMTP_BODY_8BITMIME;
	else
		return SMTP_COMMAND_BAD_PARAMETER;
	return SMTP_COMMAND_OK;
}

/* RFC 1870 section 3: up to twenty digits. */
static enum smtp_command_fault set_size(struct smtp_command_mail *m, bool *is_set, struct str value)
{
	if (*is_set)
		return SMTP_COMMAND_TWICE;
	*is_set = true;
	return str_to_u64(value, &m->size_octets) ? SMTP_COMMAND_OK : SMTP_COMMAND_BAD_PARAMETER;
}

static bool is_ret(struct str s)
{
	return str_ieq_ascii(s, STR("FULL")) || str_ieq_ascii(s, STR("HDRS"));
}

static enum smtp_command_fault take_mail_parameter(const struct parameter *p, unsigned ext,
						   struct smtp_command_mail *m, bool *has_size)
{
	if (is_named(p, "SIZE", ext, SMTP_EXT_SIZE))
		return set_size(m, has_size, p->value);
	if (is_named(p, "BODY", ext, SMTP_EXT_8BITMIME))
		return set_body(&m->body, p->value);
	if (is_named(p, "SMTPUTF8", ext, SMTP_EXT_SMTPUTF8))
		return set_flag(&m->is_smtputf8, p);
	if (is_named(p, "REQUIRETLS", ext, SMTP_EXT_REQUIRETLS))
		return set_flag(&m->is_requiretls, p);
	if (is_named(p, "RET", ext, SMTP_EXT_DSN))
		return set_span(&m->ret, p->value, is_ret(p->value));
	if (is_named(p, "ENVID", ext, SMTP_EXT_DSN))
		return set_span(&m->envid, p->value, p->value.n <= 100 && is_xtext(p->value));
	if (is_named(p, "AUTH", ext, SMTP_EXT_AUTH)) /* RFC 4954 section 5: <> is "unknown" */
		return set_span(&m->auth, p->value, is_xtext(p->value));
	return SMTP_COMMAND_UNKNOWN_PARAMETER;
}

enum smtp_command_fault
smtp_command_parse_mail(struct str argument, unsigned extensions, struct smtp_command_mail *out)
{
	struct smtp_command_mail m = { .sender = STR_NONE };
	struct str rest = STR_NONE;
	struct parameter p;
	bool has_size = false;
	enum smtp_command_fault f = take_path(argument, STR("FROM:"), &m.sender, &rest);

	while (f == SMTP_COMMAND_OK && next_parameter(&rest, &p))
		f = take_mail_parameter(&p, extensions, &m, &has_size);
	if (f == SMTP_COMMAND_OK && m.sender.n > 0) /* RFC 5321 section 4.5.5: <> */
		f = check_path(m.sender, m.is_smtputf8);
	if (f == SMTP_COMMAND_OK || f == SMTP_COMMAND_NO_DOMAIN)
		*out = m;
	return f;
}

static enum smtp_command_fault
take_rcpt_parameter(const struct parameter *p, unsigned ext, struct smtp_command_rcpt *r)
{
	if (is_named(p, "NOTIFY", ext, SMTP_EXT_DSN))
		return set_span(&r->notify, p->value, is_notify(p->value));
	if (is_named(p, "ORCPT", ext, SMTP_EXT_DSN))
		return set_span(&r->orcpt, p->value, is_orcpt(p->value));
	return SMTP_COMMAND_UNKNOWN_PARAMETER;
}

enum smtp_command_fault smtp_command_parse_rcpt(struct str argument, unsigned extensions,
						bool is_smtputf8, struct smtp_command_rcpt *out)
{
	struct smtp_command_rcpt r = { .address = STR_NONE };
	struct str rest = STR_NONE;
	struct parameter p;
	enum smtp_command_fault f = take_path(argument, STR("TO:"), &r.address, &rest);

	while (f == SMTP_COMMAND_OK && next_parameter(&rest, &p))
		f = take_rcpt_parameter(&p, extensions, &r);
	if (f == SMTP_COMMAND_OK)
		f = check_path(r.address, is_smtputf8);
	if (f == SMTP_COMMAND_OK || f == SMTP_COMMAND_NO_DOMAIN)
		*out = r;
	return f;
}
