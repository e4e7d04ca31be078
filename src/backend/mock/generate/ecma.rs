//! Patterns as JSON Schema has them (ECMA-262), in the words of Rust's regex crates.

/// A pattern in two readings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translation {
    /// All of it.
    pub(super) full: String,
    /// Without what looks ahead or behind, which nothing can be written from.
    pub(super) plain: String,
}

/// Reads a pattern. What is not understood is left as it is, for the parser to refuse.
pub(super) fn translate(pattern: &str) -> Translation {
    let mut translator = Translator {
        rest: pattern,
        groups: Vec::new(),
        looks: 0,
        to: Translation::default(),
    };
    let mut is_class = false;
    while let Some(next) = translator.take() {
        match next {
            '\\' => translator.escape(is_class),
            ']' if is_class => {
                is_class = false;
                translator.put("]");
            }
            // Rust reads sets within sets here, ECMAScript a character.
            '[' | '&' | '~' if is_class => translator.put(&format!("\\{next}")),
            '[' => {
                is_class = true;
                translator.put("[");
            }
            '(' if !is_class => translator.open(),
            ')' if !is_class => translator.close(),
            '{' if !is_class && !is_count(translator.rest) => translator.put("\\{"),
            _ => translator.put(next.encode_utf8(&mut [0; 4])),
        }
    }
    translator.to
}

struct Translator<'a> {
    rest: &'a str,
    /// The groups that are open: whether each looks around.
    groups: Vec<bool>,
    /// How many of them do.
    looks: usize,
    to: Translation,
}

impl Translator<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn put(&mut self, text: &str) {
        self.to.full.push_str(text);
        if self.looks == 0 {
            self.to.plain.push_str(text);
        }
    }

    fn open(&mut self) {
        let looks = ["?=", "?!", "?<=", "?<!"];
        let is_look = looks.iter().any(|look| self.rest.starts_with(look));
        self.looks += usize::from(is_look);
        self.groups.push(is_look);
        self.put("(");
    }

    fn close(&mut self) {
        self.put(")");
        let was_look = self.groups.pop().unwrap_or_default();
        self.looks -= usize::from(was_look);
    }

    fn escape(&mut self, is_class: bool) {
        let Some(next) = self.take() else {
            return self.put("\\");
        };
        match next {
            // These are of ASCII alone.
            'd' if is_class => self.put("0-9"),
            'd' => self.put("[0-9]"),
            'D' if !is_class => self.put("[^0-9]"),
            'w' if is_class => self.put("A-Za-z0-9_"),
            'w' => self.put("[A-Za-z0-9_]"),
            'W' if !is_class => self.put("[^A-Za-z0-9_]"),
            // Rust reads the borders of words, or nothing at all.
            '<' | '>' | '/' | ' ' => self.put(next.encode_utf8(&mut [0; 4])),
            _ if !next.is_ascii() => self.put(next.encode_utf8(&mut [0; 4])),
            'p' | 'P' | 'u' | 'x' if self.rest.starts_with('{') => {
                let end = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
                let (name, rest) = self.rest.split_at(end);
                self.rest = rest;
                self.put(&format!("\\{next}{name}"));
            }
            _ => self.put(&format!("\\{next}")),
        }
        // In `[\w-.]` no range begins.
        let is_set = matches!(next, 'd' | 'D' | 'w' | 'W' | 's' | 'S');
        if is_class && is_set && self.rest.starts_with('-') {
            self.take();
            self.put("\\-");
        }
    }
}

/// Whether what follows a `{` makes it a repetition.
fn is_count(rest: &str) -> bool {
    let Some((inner, _)) = rest.split_once('}') else {
        return false;
    };
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && is_digits(low) && is_digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ecmascript_writes_otherwise_is_rewritten() {
        for (from, to) in [
            (r"^\d+\/\w$", r"^[0-9]+/[A-Za-z0-9_]$"),
            (r"[\w-.]", r"[A-Za-z0-9_\-.]"),
            (r"[[a&&b]", r"[\[a\&\&b]"),
            (r"{a}b{2,}", r"\{a}b{2,}"),
            (r"\p{L}{2}", r"\p{L}{2}"),
            (r"\", r"\"),
        ] {
            let found = translate(from);
            assert_eq!(found.full, to);
            assert_eq!(found.plain, to);
        }
    }

    #[test]
    fn lookaround_is_kept_apart() {
        let found = translate(r"^(?!a(b))(?<x>c)(?=[)])d");
        assert_eq!(found.full, r"^(?!a(b))(?<x>c)(?=[)])d");
        assert_eq!(found.plain, "^(?<x>c)d");
    }
}
