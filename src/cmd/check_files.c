/* The files that TLS needs: whether they can be used, and how long. */

#include "cmd/check_inside.h"

static void say_error(const struct check_to *to, struct conf_finding f, const struct error *e)
{
	f.text = arena_str(to->arena, error_text(e));
	to->found(to->arg, &f);
}

/* `place` has place and parameter. */
static void say_dates(const struct check_to *to, const struct policy_lint_certs *certs,
		      const struct conf_finding *place)
{
	struct conf_findings found = policy_lint_certs(to->arena, certs, to->now_at, to->within_s);

	for (size_t i = 0; i < found.n; i++) {
		struct conf_finding f = found.v[i];
		f.param = place->param;
		f.file = place->file;
		f.line = place->line;
		if (place->text.n)
			f.text = arena_fmt(to->arena, STR_FMT ": " STR_FMT, STR_ARG(place->text),
					   STR_ARG(f.text));
		to->found(to->arg, &f);
	}
}

static struct policy_lint_certs
certs_of(struct arena *a, enum policy_lint_file kind, struct str path, const struct tls_file *file)
{
	struct policy_lint_cert *v = ARENA_ARRAY(a, file->n_certs + 1, struct policy_lint_cert);

	for (size_t i = 0; i < file->n_certs; i++)
		v[i] = (struct policy_lint_cert){ file->certs[i].subject, file->certs[i].begins_at,
						  file->certs[i].ends_at };
	return (struct policy_lint_certs){ kind, path, v, file->n_certs, file->n_keys };
}

/* Files that cannot be read are told elsewhere. */
static void check_dates(const struct check_to *to, enum policy_lint_file kind, struct str path,
			const struct conf_finding *place)
{
	struct tls_file file;
	struct error e;

	if (!tls_file_read(to->arena, path, &file, &e))
		return;
	struct policy_lint_certs certs = certs_of(to->arena, kind, path, &file);
	say_dates(to, &certs, place);
}

void check_anchor_dates(const struct check_to *to, struct str path, const struct conf_finding *f)
{
	check_dates(to, POLICY_LINT_ANCHORS, path, f);
}

static bool check_ca_file(const struct check_to *to, const struct conf *conf)
{
	struct str path = conf_str(conf, CONF_smtp_tls_CAfile);
	struct conf_finding f =
		check_param_finding(conf, CONF_smtp_tls_CAfile, CONF_ERROR, STR("ca-file"));
	struct error e = { 0 };

	if (!path.n)
		return true;
	if (!tls_ca_file_check(path, &e)) {
		f.remedy = STR("name a file of PEM certificates, or remove the line");
		say_error(to, f, &e);
		return false;
	}
	check_dates(to, POLICY_LINT_CA, path, &f);
	return true;
}

/* All files of the folder together, for it is one set of CAs. */
static void check_ca_path(const struct check_to *to, const struct conf *conf)
{
	struct str path = conf_str(conf, CONF_smtp_tls_CApath);
	struct conf_finding f =
		check_param_finding(conf, CONF_smtp_tls_CApath, CONF_WARNING, STR("ca-path-empty"));
	struct tls_file_cert *all = ARENA_ARRAY(to->arena, TLS_ANCHORS_MAX, struct tls_file_cert);
	struct tls_file whole = { .certs = all }, file;
	const struct str *files;
	struct error e;
	size_t n = tls_ca_path_files(to->arena, path, &files);

	for (size_t i = 0; i < n; i++)
		if (tls_file_read(to->arena, files[i], &file, &e))
			for (size_t k = 0; k < file.n_certs && whole.n_certs < TLS_ANCHORS_MAX; k++)
				all[whole.n_certs++] = file.certs[k];
	if (whole.n_certs) {
		struct policy_lint_certs certs = certs_of(to->arena, POLICY_LINT_CA, path, &whole);
		say_dates(to, &certs, &f);
		return;
	}
	f.text = arena_fmt(to->arena,
			   STR_FMT ": no CA is trusted from there: no file has the name of a hash",
			   STR_ARG(path));
	f.remedy = STR("run \"openssl rehash\" on the folder");
	to->found(to->arg, &f);
}

/* ---- the client's own ---- */

static const struct {
	enum conf_id cert, key;
} pairs[] = {
	{ CONF_smtp_tls_cert_file, CONF_smtp_tls_key_file },
	{ CONF_smtp_tls_dcert_file, CONF_smtp_tls_dkey_file },
	{ CONF_smtp_tls_eccert_file, CONF_smtp_tls_eckey_file },
};

static bool say_identity(const struct check_to *to, struct conf_finding f, const struct error *e)
{
	f.remedy = STR("name files of one certificate with its chain and of its key, or remove the "
		       "lines: mail goes without a client certificate, too");
	say_error(to, f, e);
	return false;
}

static bool
check_pair(const struct check_to *to, const struct conf *conf, enum conf_id cert, enum conf_id key)
{
	struct str cert_file = conf_str(conf, cert), key_file = conf_str(conf, key);
	struct conf_finding f =
		check_param_finding(conf, cert, CONF_ERROR, STR("client-certificate"));
	struct error e = { 0 };

	if (!cert_file.n)
		return true;
	if (!tls_identity_check(cert_file, key_file, &e))
		return say_identity(to, f, &e);
	check_dates(to, POLICY_LINT_CLIENT, cert_file, &f);
	return true;
}

static bool check_chain_files(const struct check_to *to, const struct conf *conf)
{
	enum conf_id id = CONF_smtp_tls_chain_files;
	struct str files = conf_str(conf, id), path;
	struct conf_finding f =
		check_param_finding(conf, id, CONF_ERROR, STR("client-certificate"));
	struct error e = { 0 };

	if (!tls_chain_files_check(files, &e))
		return say_identity(to, f, &e);
	while (str_token(&files, STR(", \t\r\n"), &path))
		check_dates(to, POLICY_LINT_CLIENT, path, &f);
	return true;
}

static void say_pairs_ignored(const struct check_to *to, const struct conf *conf)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct conf_finding f =
			check_param_finding(conf, pairs[i].cert, CONF_WARNING, STR("ignored"));
		f.text = arena_fmt(to->arena,
				   STR_FMT " is ignored while smtp_tls_chain_files is set",
				   STR_ARG(f.param));
		f.remedy = STR("remove the line");
		if (conf_str(conf, pairs[i].cert).n)
			to->found(to->arg, &f);
	}
}

static bool check_identities(const struct check_to *to, const struct conf *conf)
{
	bool is_good = true;

	if (conf_str(conf, CONF_smtp_tls_chain_files).n) {
		say_pairs_ignored(to, conf);
		return check_chain_files(to, conf);
	}
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		is_good &= check_pair(to, conf, pairs[i].cert, pairs[i].key);
	return is_good;
}

/* Whether they can be used at all is for the levels that need them to say. */
static void check_anchor_files(const struct check_to *to, const struct conf *conf)
{
	enum conf_id id = CONF_smtp_tls_trust_anchor_file;
	struct str files = conf_str(conf, id), path;
	struct conf_finding f = check_param_finding(conf, id, CONF_ERROR, STR("trust-anchor"));

	while (str_token(&files, STR(", \t\r\n"), &path))
		check_dates(to, POLICY_LINT_ANCHORS, path, &f);
}

bool check_files(const struct check_to *to, const struct conf *conf)
{
	bool is_ca_good = check_ca_file(to, conf);

	check_anchor_files(to, conf);

	return check_identities(to, conf) && is_ca_good;
}

void check_ca_folder(const struct check_to *to, const struct conf *conf)
{
	if (conf_str(conf, CONF_smtp_tls_CApath).n)
		check_ca_path(to, conf);
}
