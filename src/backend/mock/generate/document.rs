//! The document that a schema is: where its references lead, its patterns, and how much work
//! may still be put into it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use serde_json::Value;

use super::{Cause, MAX_STEPS, Unsatisfiable, keywords::Located, keywords::Part, pattern::Pattern};

/// A schema with everything its parts refer to.
pub(super) struct Document<'a> {
    root: &'a Value,
    steps: Cell<u64>,
    patterns: RefCell<HashMap<&'a str, Rc<Pattern>>>,
    /// Which schemas are being checked, and of which values.
    pub(super) checks: RefCell<Vec<(usize, usize)>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self {
            root,
            steps: Cell::new(MAX_STEPS),
            patterns: RefCell::default(),
            checks: RefCell::default(),
        }
    }

    /// Takes work from what is left. Without it a schema could keep a worker busy for hours.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Unsatisfiable> {
        let left = self.steps.get().checked_sub(steps as u64);
        self.steps.set(left.unwrap_or_default());
        let why = Cause::TooLarge("no value was found within the work allowed");
        left.map(|_| ()).ok_or(Unsatisfiable::new("", why))
    }

    /// Where a part's `$ref` leads.
    pub(super) fn target(&self, part: &Part<'a>) -> Result<Option<Located<'a>>, Unsatisfiable> {
        for keyword in ["$dynamicRef", "$recursiveRef"] {
            if part.has(keyword) {
                let why = format!("{keyword:?} is not supported");
                return Err(part.error(keyword, Cause::Unsupported(why)));
            }
        }
        let Some(reference) = part.text("$ref")? else {
            return Ok(None);
        };
        self.spend(1 + reference.len() / 16)?;
        let pointer = reference.strip_prefix('#').and_then(decoded);
        let found = pointer.and_then(|at| {
            let schema = self.root.pointer(&at)?;
            let at = at.into();
            Some(Located { schema, at })
        });
        let nowhere = || part.error("$ref", Cause::Unresolved(reference.to_owned()));
        found.ok_or_else(nowhere).map(Some)
    }

    /// Whether a text fits a pattern.
    pub(super) fn is_match(&self, pattern: &Pattern, text: &str) -> Result<bool, Unsatisfiable> {
        self.spend(pattern.cost(text))?;
        Ok(pattern.is_match(text))
    }

    /// A pattern, made once. `part` is where it stands, under `keyword`.
    pub(super) fn pattern(
        &self,
        source: &'a str,
        (part, keyword): (&Part<'a>, &str),
    ) -> Result<Rc<Pattern>, Unsatisfiable> {
        let locate = |cause| part.error(keyword, cause);
        self.cached_pattern(source)?.map_err(locate)
    }

    /// A pattern of our own or of the schema; the outer error is that of used up work.
    pub(super) fn cached_pattern(
        &self,
        source: &'a str,
    ) -> Result<Result<Rc<Pattern>, Cause>, Unsatisfiable> {
        if let Some(known) = self.patterns.borrow().get(source) {
            return Ok(Ok(known.clone()));
        }
        self.spend(100 + source.len())?;
        let pattern = match Pattern::parse(source) {
            Ok(pattern) => Rc::new(pattern),
            Err(cause) => return Ok(Err(cause)),
        };
        self.spend(pattern.weight / 4)?;
        self.patterns.borrow_mut().insert(source, pattern.clone());
        Ok(Ok(pattern))
    }
}

/// A URI fragment without its percent signs.
fn decoded(fragment: &str) -> Option<String> {
    if !fragment.contains('%') {
        return Some(fragment.to_owned());
    }
    let mut bytes = Vec::new();
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}
