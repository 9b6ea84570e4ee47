//! Globs over what belongs to a subsystem.

use globset::{Glob, GlobMatcher};

/// A glob of a subsystem's rules. One that cannot be read matches nothing: the scenario file's reader has
/// refused it before anything was recorded.
pub struct Pattern(Option<GlobMatcher>);

impl Pattern {
    /// Reads a glob.
    pub fn new(glob: &str) -> Self {
        Self(Glob::new(glob).ok().map(|glob| glob.compile_matcher()))
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|matcher| matcher.is_match(name))
    }
}

/// Whether a descriptor (`KIND NAME`) fits a rule: `KIND`, `KIND:NAME` or a path, each a glob.
pub fn fits_descriptor(rule: &str, descriptor: &str) -> bool {
    let (kind, name) = descriptor.split_once(' ').unwrap_or((descriptor, ""));
    match rule.split_once(':') {
        Some((rule_kind, rule_name)) if is_kind(rule_kind) => rule_kind == kind && Pattern::new(rule_name).fits(name),
        _ if is_kind(rule) => rule == kind,
        _ => Pattern::new(rule).fits(name),
    }
}

fn is_kind(word: &str) -> bool {
    crate::sample::FdKind::ALL.iter().any(|kind| kind.name() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_fits_by_kind_by_kind_and_name_or_by_path() {
        for (rule, descriptor, fits) in [
            ("tcp", "tcp ESTABLISHED to 127.0.0.1:5432", true),
            ("tcp", "udp 127.0.0.1:53", false),
            ("tcp:*:5432", "tcp ESTABLISHED to 127.0.0.1:5432", true),
            ("tcp:*:5433", "tcp ESTABLISHED to 127.0.0.1:5432", false),
            ("*/store-?.db*", "file /var/lib/x/store-a.db-wal", true),
            ("*/store-?.db*", "file /var/log/x.log", false),
            ("/tmp/store:*", "file /tmp/store:1", true),
            ("file", "file /tmp/x", true),
            ("*x", "file", false),
            ("[", "file [", false),
        ] {
            assert_eq!(fits_descriptor(rule, descriptor), fits, "{rule} on {descriptor}");
        }
    }
}
