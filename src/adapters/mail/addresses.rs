//! Mail addresses: parses them from settings, and checks them.

use crate::settings::FieldError;

/// RFC 5321 (4.5.3.1): the longest path, without its brackets, and the longest local part.
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// A mail address in canonical form: the domain in ASCII and in lower case.
///
/// `None` for everything but a plain `name@domain`: groups, comments, routes, quoted names, and names that begin with a
/// dash, which some mail programs take for an option.
pub fn address(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-.".contains(c);
    let is_local = !local.is_empty()
        && local.len() <= LONGEST_LOCAL
        && !local.starts_with(['-', '.'])
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(is_atom);
    let address = format!("{local}@{}", domain_of(domain)?);
    (is_local && address.len() <= LONGEST).then_some(address)
}

/// Whether the address is refused only because of characters outside ASCII before the `@`. Such an address is valid, but
/// works only if all mail servers on the way support RFC 6531.
fn is_international(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let ascii: String = local.chars().map(|c| if c.is_alphanumeric() { 'x' } else { c }).collect();
    !local.is_ascii() && address(&format!("{ascii}@{domain}")).is_some()
}

/// A domain name in ASCII (UTS 46); `None` if it is not valid.
pub fn domain_of(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let is_label = |label: &str| {
        let ordinary = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-') && ordinary
    };
    let is_number = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (ascii.len() <= 253 && !is_number && ascii.split('.').all(is_label)).then_some(ascii)
}

/// Whether a character separates the addresses of a list. GitLab accepts commas and brackets in only one of its two lists;
/// here they are accepted in both: `Ada <ada@example.com>, ops@example.com`.
fn separates(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>')
}

/// The addresses in a list, in order, each once regardless of case; entries that are not addresses are left out.
pub fn recipients(list: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let addresses = list.split(separates).filter_map(address);
    addresses.filter(|address| seen.insert(address.to_ascii_lowercase())).collect()
}

/// A warning for each entry of a list that is meant as an address and is none. Words without an `@` may be names.
pub fn warnings(list: &str) -> Vec<FieldError> {
    let entries = list.split(separates).filter(|entry| entry.contains('@'));
    let left_out = entries.filter(|entry| address(entry).is_none());
    let shown = |entry: &str| entry.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    let warning = |entry| {
        if is_international(entry) {
            format!("`{}` is left out: it has characters outside ASCII before the @", shown(entry))
        } else {
            format!("`{}` is no mail address and is left out", shown(entry))
        }
    };
    left_out.map(|entry| FieldError::new("recipients", warning(entry))).take(10).collect()
}

/// The error in a list of recipients, if there is one.
pub fn problems(list: &str, at_most: usize) -> Vec<FieldError> {
    let problem = |what: String| vec![FieldError::new("recipients", what)];
    match recipients(list).len() {
        0 => {
            let entries: Vec<&str> = list.split(separates).filter(|entry| !entry.is_empty()).collect();
            let shown: String = entries.join(" ").chars().filter(|c| !c.is_control()).take(100).collect();
            problem(format!("has no valid mail address: `{shown}`"))
        }
        count if count > at_most => problem(format!("can't exceed {at_most}")),
        _ => Vec::new(),
    }
}

/// Second-level names of country domains under which anyone may register a domain.
const PUBLIC: [&str; 17] = [
    "ac", "co", "com", "edu", "gob", "gov", "govt", "id", "mil", "ne", "net", "nom", "or", "org", "sch",
    "school", "gv",
];

/// Whether a mail may be from this address: its domain must be the forge's host or a parent domain of it, but not one under
/// which anyone may register. The receiving server would treat a mail from any other domain as forged.
///
/// For `gitlab.corp.company.com` those are `gitlab.corp.company.com`, `corp.company.com` and `company.com`.
pub fn may_be_from(address: &str, forge_host: &str) -> bool {
    let Some(domain) = address.rsplit_once('@').and_then(|(_, domain)| domain_of(domain)) else {
        return false;
    };
    let Some(host) = domain_of(forge_host) else { return false };
    let is_above = host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    let is_public = match domain.split('.').collect::<Vec<_>>().as_slice() {
        [second, country] => country.len() == 2 && PUBLIC.contains(second),
        labels => labels.len() < 2,
    };
    is_above && !is_public
}
